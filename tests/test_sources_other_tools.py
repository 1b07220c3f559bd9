"""What other tools write: flags, ids, separators, encodings, litter, names: read rightly, or refused."""

import json
import shutil
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from test_sources import (
    BOXES,
    HEIGHT,
    OPTIONS,
    WIDTH,
    CocoWriter,
    build,
    drawn,
    make_ahp,
    make_objects365,
    make_openimages,
    make_pennfudan,
    make_voc,
    packed,
    photo,
    ring,
    table,
    write_photo,
)

from deocc.cli import main as cli
from deocc.errors import DeoccError
from deocc.io import read_image, read_mask, turn, write_mask
from deocc.people import PeopleFolder
from deocc.people.folder import read_rows
from deocc.people.sources import files
from deocc.people.sources.ahp import Ahp
from deocc.people.sources.coco import Coco
from deocc.people.sources.files import named, picture, read_json_items, split_of_name, tails
from deocc.people.sources.openimages import OpenImages
from deocc.people.sources.problems import Unusable
from deocc.people.sources.regions import coco_region
from deocc.people.sources.voc import Voc
from deocc.people.texts import read_lines
from deocc.people.values import as_flag, as_key


def coco(
    root: Path, change: Callable[[dict[str, Any]], object] = lambda raw: None, encoding: str = "utf-8"
) -> Coco:
    """Three people in COCO's format, changed before they are written."""
    writer = CocoWriter(root)
    writer.people(3)
    path = writer.save()
    raw = json.loads(path.read_text())
    change(raw)
    path.write_text(json.dumps(raw, ensure_ascii=False), encoding=encoding)
    return Coco(root)


def every(key: str, field: str, value: Callable[[Any], Any]) -> Callable[[dict[str, Any]], None]:
    """Changes a field of all elements of an array."""

    def change(raw: dict[str, Any]) -> None:
        for item in raw[key]:
            item[field] = value(item.get(field))

    return change


@pytest.mark.parametrize(
    "change",
    [
        every("annotations", "category_id", str),
        every("categories", "id", str),
        every("annotations", "image_id", float),
        every("annotations", "image_id", str),
        every("images", "id", lambda n: f"{n}.0"),
        every("images", "id", lambda n: f" {n} "),
        every("annotations", "iscrowd", lambda _: "0"),
        every("annotations", "iscrowd", lambda _: False),
        every("annotations", "iscrowd", lambda _: None),
        every("annotations", "area", lambda _: float("nan")),
        every("annotations", "bbox", lambda _: [float("-inf"), 1, 2, 3]),
        every("images", "height", float),
        every("images", "width", str),
        every("images", "file_name", lambda name: f"train2017\\{name}"),
        every("images", "file_name", lambda name: f"C:\\data\\train2017\\{name}"),
        every("images", "file_name", lambda name: f"/home/other/train2017/{name}"),
        every("images", "file_name", lambda name: name.upper()),
        every("categories", "name", lambda name: f"{name.title()} "),
    ],
)
def test_ids_flags_and_names_of_other_tools(change: Callable[[dict[str, Any]], None], tmp_path: Path) -> None:
    report = build(coco(tmp_path / "data", change), tmp_path / "people")
    assert report["dropped"] == {} and report["kept"] == 3


def test_session_ids_have_folders_in_them(tmp_path: Path) -> None:
    def change(raw: dict[str, Any]) -> None:
        every("images", "id", lambda n: f"session1/{n}")(raw)
        every("annotations", "image_id", lambda n: f"session1/{n}")(raw)

    assert build(coco(tmp_path / "data", change), tmp_path / "people")["kept"] == 3


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-32"])
def test_json_in_any_unicode(encoding: str, tmp_path: Path) -> None:
    assert build(coco(tmp_path / "data", encoding=encoding), tmp_path / "people")["kept"] == 3


@pytest.mark.parametrize("flag", ["1", 1, 1.0, True, "true", "TRUE", "yes"])
def test_a_crowd_is_a_crowd_however_it_is_written(flag: Any, tmp_path: Path) -> None:
    source = coco(tmp_path / "data", lambda raw: raw["annotations"][0].update(iscrowd=flag))
    assert build(source, tmp_path / "people")["dropped"] == {"a crowd": 1}


@pytest.mark.parametrize("crowds", [1, 3])
def test_an_export_whose_every_mask_is_a_crowd_names_the_mend(
    crowds: int, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """CVAT and Datumaro write every brush mask so; in COCO itself some people are no crowd."""

    def change(raw: dict[str, Any]) -> None:
        for item in raw["annotations"][:crowds]:
            item.update(iscrowd=1, segmentation=packed(drawn(ring(20, 20))))

    report = build(coco(tmp_path / "data", change), tmp_path / "people")
    assert report["dropped"] == {"a crowd": crowds}
    said = [record.getMessage() for record in caplog.records if "set iscrowd to 0" in record.getMessage()]
    assert len(said) == (crowds == 3) and all("all 3 people are marked as crowds" in words for words in said)


def test_an_unknown_flag_drops_one_and_names_the_field(tmp_path: Path) -> None:
    source = coco(tmp_path / "data", lambda raw: raw["annotations"][0].update(iscrowd="maybe"))
    report = build(source, tmp_path / "people")
    assert report["dropped"] == {"annotation damaged": 1} and report["kept"] == 2
    assert "iscrowd is 'maybe'; 1 or 0 was expected" in report["examples"]["annotation damaged"][0]


@pytest.mark.parametrize("order", ["images", "annotations", "categories"])
def test_rows_come_in_any_order(order: str, tmp_path: Path) -> None:
    source = coco(tmp_path / "data", lambda raw: raw[order].reverse())
    assert build(source, tmp_path / "people")["kept"] == 3


BAD_RINGS = [[5.0, 5.0], [5.0, 5.0, 9.0, 9.0], [], [7.0], [5.0, 5.0, 5.0, 5.0, 5.0, 5.0]]


@pytest.mark.parametrize("bad", BAD_RINGS)
@pytest.mark.parametrize("first", [True, False])
def test_a_good_ring_counts_beside_a_degenerate_one(bad: list[float], first: bool) -> None:
    good = ring(40, 25)
    region = coco_region([bad, good] if first else [good, bad])
    found = region.mask((HEIGHT, WIDTH))
    assert (found ^ drawn(good)).sum() <= 1  # a point is a pixel


def test_polygons_in_shares_of_the_photo_are_named() -> None:
    shares = [value / (WIDTH, HEIGHT)[i % 2] for i, value in enumerate(ring(40, 25))]
    for ask in (lambda region: region.extent(), lambda region: region.mask((HEIGHT, WIDTH))):
        with pytest.raises(Unusable, match="within 0 and 1: shares, no pixels"):
            ask(coco_region([shares]))


def test_run_lengths_as_other_tools_write_them() -> None:
    runs: list[Any] = [WIDTH * 10.0, 60, HEIGHT * WIDTH - WIDTH * 10 - 60]
    mask = coco_region({"size": [float(HEIGHT), str(WIDTH)], "counts": runs}).mask((HEIGHT, WIDTH))
    assert mask.sum() == 60
    bad = [{"size": [1, 2, 3], "counts": []}, {"size": ["a", 2], "counts": "0"}, {"counts": {}}, 7, "x"]
    for segmentation in bad:
        with pytest.raises(Unusable, match="annotation damaged"):
            coco_region(segmentation)


NAMES = ["写真_①.jpg", "a b.jpg", "100%.jpg", "café.jpg", "x" * 180 + ".jpg", "a&b=c;d.jpg", "-rf.jpg"]


@pytest.mark.parametrize("name", NAMES)
def test_unusual_file_names(name: str, tmp_path: Path) -> None:
    source = coco(tmp_path / "data", lambda raw: raw["images"][1].update(file_name=name))
    folder = tmp_path / "data" / "train2017"
    (folder / "000000000002.jpg").rename(folder / unicodedata.normalize("NFD", name))
    report = build(source, tmp_path / "people")
    photos = {unicodedata.normalize("NFC", row["photo"]) for row in table(tmp_path / "people").values()}
    assert report["kept"] == 3 and name in photos
    assert len(list(PeopleFolder(tmp_path / "people"))) == 3


def test_names_that_differ_in_odd_characters_alone_stay_two(tmp_path: Path) -> None:
    def change(raw: dict[str, Any]) -> None:
        raw["annotations"][0]["id"], raw["annotations"][1]["id"] = "a b", "a_b"
        raw["annotations"][2]["id"] = "y" * 190

    assert build(coco(tmp_path / "data", change), tmp_path / "people")["kept"] == 3
    assert len(table(tmp_path / "people")) == 3


def litter(root: Path) -> None:
    """What file managers leave beside every file."""
    for path in [p for p in root.rglob("*") if p.is_file()]:
        (path.parent / f"._{path.name}").write_bytes(b"\x00\x05\x16\x07Mac OS X")
        (path.parent / ".DS_Store").write_bytes(b"\x00")
        (path.parent / "Thumbs.db").write_bytes(b"\xd0")
        copy = root / "__MACOSX" / path.relative_to(root).parent / f"._{path.name}"
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(b"\x00")


@pytest.mark.parametrize(
    ("make", "kept"),
    [(coco, 3), (make_voc, 2), (make_ahp, 3), (make_pennfudan, 3), (make_objects365, 1),
     (make_openimages, 2)],
)  # fmt: skip
def test_litter_is_passed_over(make: Callable[[Path], Any], kept: int, tmp_path: Path) -> None:
    (tmp_path / "data" / "download").mkdir(parents=True)
    source = make(tmp_path / "data" / "download")
    litter(tmp_path / "data")
    whole = type(source)(tmp_path / "data") if make is make_pennfudan else source
    assert build(whole, tmp_path / "people")["kept"] == kept


@pytest.mark.parametrize("missing", ["cam2/0001.jpg", None])
def test_photos_of_the_same_base_name_are_not_taken_for_each_other(
    missing: str | None, tmp_path: Path
) -> None:
    names = iter(["0001.jpg", "cam2/0001.jpg", "export/cam3/0002.jpg"])

    def change(raw: dict[str, Any]) -> None:
        every("images", "file_name", lambda _: next(names))(raw)
        raw["images"].append({"id": 77, "file_name": "other/0001.jpg", "height": float("inf")})

    source = coco(tmp_path / "data", change)
    folder = tmp_path / "data/train2017"
    for number, name in enumerate(["0001.jpg", "cam2/0001.jpg", "cam3/0002.jpg"], start=1):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / f"{number:012d}.jpg").rename(folder / name)
    if missing:
        (folder / missing).unlink()
    report = build(source, tmp_path / "people")
    assert report["dropped"] == ({"photo missing": 1} if missing else {})
    assert report["kept"] == (2 if missing else 3)


def test_last_parts_that_tell_names_apart() -> None:
    assert tails(["a/x/1.jpg", "b/x/1.jpg", "b/y/1.jpg", "1.jpg"]) == [3, 3, 2, 1]
    assert tails(["/home/me/cam1/1.jpg", "/home/me/cam2/1.JPG", "2.jpg"]) == [2, 2, 1]


@pytest.mark.parametrize("split", ["train", "val", "test", ""])
def test_a_split_is_a_word_of_a_name(split: str) -> None:
    names = {
        "train": ["train2017", "instances_Train", "trainval", "objv2_train", "trainset", "traindata",
                  "trainimages", "train_full"],
        "val": ["val", "minival2014", "valminusminival2014", "validation", "valid-1", "valset",
                "validationset"],
        "test": ["test2014", "image_info_test-dev2017", "testset", "testsplit"],
        "": ["latest", "interval_3", "contest", "retrained", "upvalue", "trainsets", "interval"],
    }  # fmt: skip
    assert {split_of_name(name) for name in names[split]} == {split}


def test_the_folder_of_a_photo_is_not_listed_where_its_name_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A listing of a million names stays in the memory of every worker."""
    write_photo(tmp_path / "a1.jpg", drawn(ring(40, 30)))
    monkeypatch.setattr(files, "_listing", lambda *_: pytest.fail("listed"))
    assert picture([tmp_path], "a1") == picture([tmp_path], "a1.jpg") == tmp_path / "a1.jpg"


def test_ids_that_would_be_alike_are_refused_before_work_begins(tmp_path: Path) -> None:
    ids = iter(["s1/1", "s1_1", "s2_1"])
    source = coco(tmp_path / "data", every("annotations", "id", lambda _: next(ids)))
    with pytest.raises(DeoccError, match="names train2017/s1/1 and train2017/s1_1 would give the same id"):
        build(source, tmp_path / "people")
    assert not (tmp_path / "people").exists()
    make_ahp(tmp_path / "ahp")
    (tmp_path / "ahp/train/ImageSets/val.txt").write_text("s1/1\ns1_1\n")
    with pytest.raises(DeoccError, match="names s1/1 and s1_1"):
        build(Ahp(tmp_path / "ahp"), tmp_path / "people")


def test_capital_endings(tmp_path: Path) -> None:
    source = make_pennfudan(tmp_path / "data")
    for path in list((tmp_path / "data").rglob("*.png")):
        path.rename(path.with_suffix(".PNG"))
    assert build(source, tmp_path / "people")["kept"] == 3


# ------------------------------------------------------------------ tables


def rewritten(path: Path, how: str) -> None:
    """A CSV file as a spreadsheet would save it."""
    text = path.read_text()
    if how == "semicolon":
        text = "\n".join(line.replace(",", ";").replace(".", ",") for line in text.split("\n"))
    text = {"tab": text.replace(",", "\t"), "sep": "sep=,\n" + text}.get(how, text)
    text = {"crlf": text.replace("\n", "\r\n"), "blank": text + ",,,,\n\n"}.get(how, text)
    path.write_text(text, encoding={"bom": "utf-8-sig", "utf-16": "utf-16"}.get(how, "utf-8"), newline="")


HOW = ["semicolon", "tab", "sep", "crlf", "blank", "bom", "utf-16"]


@pytest.mark.parametrize("how", HOW)
def test_boxes_out_of_a_spreadsheet(how: str, tmp_path: Path) -> None:
    source = make_openimages(tmp_path / "data")
    expected = build(source, tmp_path / "people")
    rewritten(tmp_path / "data" / BOXES, how)
    again = build(source, tmp_path / "again")
    assert (again["kept"], again["dropped"]) == (expected["kept"], expected["dropped"])


@pytest.mark.parametrize("yes", ["1", "1.0", "True", "true", "TRUE", "yes"])
def test_openimages_flags(yes: str, tmp_path: Path) -> None:
    source = make_openimages(tmp_path / "data")
    expected = build(source, tmp_path / "people")["dropped"]
    path = tmp_path / "data" / BOXES
    header, *rows = path.read_text().splitlines()
    fields = [row.split(",") for row in rows]
    for row in fields:
        row[8:] = [yes if flag == "1" else "0.0" if yes == "1.0" else flag for flag in row[8:]]
    path.write_text("\n".join([header, *(",".join(row) for row in fields)]))
    assert build(source, tmp_path / "again")["dropped"] == expected


def test_openimages_sorted_by_label_loses_nobody(tmp_path: Path) -> None:
    rows = []
    header = ("ImageID,Source,LabelName,Confidence,XMin,XMax,YMin,YMax,IsOccluded,IsTruncated,IsGroupOf,"
              "IsDepiction,IsInside")  # fmt: skip
    for number in range(3):
        masks = [drawn(ring(x, 25, 60)) for x in (15, 90)]
        write_photo(tmp_path / "data" / "train" / f"{number}.jpg", *masks, seed=number)
        for x, label in ((12, "/m/01g317"), (87, "/m/04yx4")):
            box = f"{x / WIDTH},{(x + 50) / WIDTH},{22 / HEIGHT},{88 / HEIGHT}"
            rows.append(f"{number},x,{label},1,{box},0,0,0,0,0")
    found = {}
    for order in ("photo", "label", "backwards"):
        rows.sort(key=lambda row: row.split(",")[2 if order == "label" else 0], reverse=order == "backwards")
        (tmp_path / "data" / BOXES).write_text("\n".join([header, *rows]))
        report = build(OpenImages(tmp_path / "data"), tmp_path / order)
        assert report["people"] == 6 and "duplicate id" not in report["dropped"]
        found[order] = {name: row["region_xyxy"] for name, row in table(tmp_path / order).items()}
    assert found["photo"] == found["label"] == found["backwards"] and len(found["photo"]) == 6


def people_folder(root: Path, ids: tuple[str, ...] = ("a", "b")) -> Path:
    for name in ids:
        mask = drawn(ring(40, 25))
        write_photo(root / "images" / f"{name}.jpg", mask)
        write_mask(root / "masks" / f"{name}.png", mask)
        (root / "parsing" / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(mask.astype(np.uint8) * 5).save(root / "parsing" / f"{name}.png")
    lines = ["id,split,source,has_parsing", *(f"{name},val,coco,1" for name in ids)]
    (root / "people.csv").write_text("\n".join(lines) + "\n")
    return root


@pytest.mark.parametrize("how", [how for how in HOW if how != "semicolon"])
def test_people_csv_out_of_a_spreadsheet(how: str, tmp_path: Path) -> None:
    rewritten(people_folder(tmp_path) / "people.csv", how)
    assert [person.id for person in PeopleFolder(tmp_path)] == ["a", "b"]


@pytest.mark.parametrize("flag", ["1", "1.0", "True", "true", "TRUE", "yes"])
def test_parsing_is_used_however_the_flag_is_written(flag: str, tmp_path: Path) -> None:
    path = people_folder(tmp_path) / "people.csv"
    path.write_text(path.read_text().replace("coco,1", f"coco,{flag}"))
    assert all(person.parsing is not None for person in PeopleFolder(tmp_path))
    path.write_text(path.read_text().replace(f"coco,{flag}", "coco,perhaps"))
    with pytest.raises(DeoccError, match="has_parsing is 'perhaps'; 1 or 0 was expected"):
        PeopleFolder(tmp_path)[0]


def test_a_cut_out_without_transparency_is_refused(tmp_path: Path) -> None:
    folder = people_folder(tmp_path) / "occluders"
    folder.mkdir()
    (folder / "occluders.csv").write_text("id,split,category\ncup,val,cup\n")
    Image.fromarray(photo()).save(folder / "cup.png")
    with pytest.raises(DeoccError, match="cup.png: no alpha channel.*save it with transparency"):
        PeopleFolder(tmp_path).occluders()[0]
    Image.fromarray(np.dstack([photo(), np.full((HEIGHT, WIDTH), 255, np.uint8)])).save(folder / "cup.png")
    assert PeopleFolder(tmp_path).occluders()[0].mask.all(), "a thing that fills its picture, and says so"


@pytest.mark.parametrize("orientation", [1, 2, 3, 4])
def test_a_photo_that_exif_turns_over_its_mask_is_refused(orientation: int, tmp_path: Path) -> None:
    path = people_folder(tmp_path) / "images/a.jpg"
    exif(path, photo(drawn(ring(40, 25))), orientation)
    if orientation == 1:
        assert PeopleFolder(tmp_path)[0].id == "a"
    else:
        with pytest.raises(DeoccError, match="a.jpg: its EXIF orientation.*save the photo upright"):
            PeopleFolder(tmp_path)[0]


def test_ids_that_a_spreadsheet_made_numbers_of(tmp_path: Path) -> None:
    people_folder(tmp_path, ("7", "8"))
    path = tmp_path / "people.csv"
    path.write_text(path.read_text().replace("7,", "7.0,").replace("8,", "8.0,"))
    assert len(list(PeopleFolder(tmp_path))) == 2


def test_a_row_that_is_cut_off_is_named(tmp_path: Path) -> None:
    path = people_folder(tmp_path) / "people.csv"
    path.write_text(path.read_text() + "c,val\n")
    with pytest.raises(DeoccError, match="people.csv: row 4 has 2 fields, the header has 4"):
        read_rows(path, ("id",))


def test_values() -> None:
    assert [as_key(value, "id") for value in (7, 7.0, "7", "7.0", " 7 ", "a/b", -3)] == [
        "7", "7", "7", "7", "7", "a/b", "-3"
    ]  # fmt: skip
    for bad in (None, True, "", float("nan"), [], {}, "x" * 300, 10**4000):
        with pytest.raises(DeoccError, match="an id"):
            as_key(bad, "id")
    assert not any(as_flag(value, "flag") for value in (None, "", 0, "0.0", -1, "no", False, float("nan")))
    for bad in (2, "2", [], {}, "ja"):
        with pytest.raises(DeoccError, match="flag is"):
            as_flag(bad, "flag")


def test_a_file_is_found_however_its_accents_are_written(tmp_path: Path) -> None:
    (tmp_path / unicodedata.normalize("NFD", "é.PNG")).write_text("x")
    assert named(tmp_path, unicodedata.normalize("NFC", "é.png")).is_file()
    assert not named(tmp_path, "e.png").is_file()


# ------------------------------------------------------------------ questions and errors


def run(capsys: pytest.CaptureFixture[str], *words: object) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as stop:
        cli.main([str(word) for word in words])
    return int(stop.value.code or 0), *capsys.readouterr()


def test_two_years_of_voc_are_a_question(tmp_path: Path) -> None:
    make_voc(tmp_path / "data")
    shutil.copytree(tmp_path / "data/VOCdevkit/VOC2012", tmp_path / "data/VOCdevkit/VOC2007")
    with pytest.raises(DeoccError, match="VOC2007, VOCdevkit/VOC2012; say which: --year 2012"):
        build(Voc(tmp_path / "data"), tmp_path / "people")
    assert not (tmp_path / "people").exists()
    for name in ("data", "data/VOCdevkit/VOC2012"):
        source = Voc(tmp_path / name, tmp_path / "data", "2012")
        assert build(source, tmp_path / "people" / name)["kept"] == 2


def test_two_copies_of_a_dataset_are_a_question(tmp_path: Path) -> None:
    for part in ("one", "two"):
        coco(tmp_path / "data" / part)
    with pytest.raises(DeoccError, match="more than once, in one, two; give the right one"):
        build(Coco(tmp_path / "data"), tmp_path / "people")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda raw: raw.update(annotations=[]), "annotations is empty"),
        (lambda raw: raw.update(annotations=[1, 2]), "annotations is empty, or no list of objects"),
        (every("annotations", "category_id", lambda _: 99), "3 of them have a category_id that no category"),
        (every("annotations", "category_id", lambda _: 17), "none of 3 annotations is of a person"),
        (every("images", "id", lambda n: n + 50), "none of 3 people was kept; 3 were dropped as photo not"),
        (every("images", "file_name", lambda _: "x.jpg"), "3 were dropped as photo missing"),
    ],
)
def test_nobody_at_all_is_an_error_with_the_reason(change, said, tmp_path, capsys) -> None:  # type: ignore[no-untyped-def]
    coco(tmp_path / "data", change)
    status, _, wrong = run(capsys, "people", "coco", tmp_path / "data", "--out", tmp_path / "people")
    assert status == 2 and said in wrong and "Traceback" not in wrong


def test_strict_says_what_could_not_be_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    coco(tmp_path / "data")
    (tmp_path / "data/train2017/000000000002.jpg").write_bytes(b"\xff\xd8 cut")
    command = ("people", "coco", tmp_path / "data", "--min-side", 50, "--out", tmp_path / "people")
    status, said, _ = run(capsys, *command)
    assert status == 0 and "dropped 1: photo damaged (such as coco_train2017_901" in said and "2 of 3" in said
    assert run(capsys, *command, "--strict")[0] == 3


# ------------------------------------------------------------------ EXIF against annotations


def exif(path: Path, image: np.ndarray, orientation: int) -> None:
    picture, tags = Image.fromarray(image), Image.Exif()
    tags[0x0112] = orientation
    picture.save(path, quality=98, exif=tags)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_masks_drawn_on_stored_pixels_fit_the_stored_pixels(orientation: int, tmp_path: Path) -> None:
    source, mask = make_ahp(tmp_path / "data"), drawn(ring(40, 30))
    exif(tmp_path / "data/train/JPEGImages/a1.jpg", photo(mask), orientation)
    sheet = coco(tmp_path / "coco")
    number = 1
    points = drawn(ring(20 + number % 7 * 10, 20 + number % 5 * 3))
    exif(tmp_path / "coco/train2017/000000000001.jpg", photo(points), orientation)
    for name, reader in (("ahp", source), ("coco", sheet)):
        build(reader, tmp_path / name / "people")
        person = PeopleFolder(tmp_path / name / "people")[0]
        assert person.image[person.amodal_mask].mean() > 150 > person.image[~person.amodal_mask].mean()


def test_masks_drawn_on_turned_pixels_fit_the_turned_pixels(tmp_path: Path) -> None:
    mask = drawn(ring(40, 30))
    source = make_ahp(tmp_path / "data")
    path = tmp_path / "data/train/JPEGImages/a1.jpg"
    exif(path, np.ascontiguousarray(np.rot90(photo(mask))), 6)  # viewers turn it back, by 90 degrees
    assert read_image(path).shape[:2] == mask.shape
    build(source, tmp_path / "people")
    person = PeopleFolder(tmp_path / "people")[0]
    assert person.image[person.amodal_mask].mean() > 150 > person.image[~person.amodal_mask].mean()
    assert read_mask(tmp_path / "data/train/Annotations/a1.png").shape == mask.shape


@pytest.mark.parametrize("orientation", [2, 3, 4])
def test_masks_drawn_on_turned_pixels_of_the_same_size_fit_them(orientation: int, tmp_path: Path) -> None:
    mask = drawn(ring(40, 30))
    stored = turn(photo(mask), orientation)  # these three turns undo themselves
    for name, source in (("ahp", make_ahp(tmp_path / "ahp")), ("coco", coco(tmp_path / "coco"))):
        if name == "coco":
            path = tmp_path / "coco/annotations/instances_train2017.json"
            raw = json.loads(path.read_text())
            raw["annotations"][0]["segmentation"] = packed(mask)
            path.write_text(json.dumps(raw))
        photos = {"ahp": "train/JPEGImages/a1.jpg", "coco": "train2017/000000000001.jpg"}
        exif(tmp_path / name / photos[name], stored, orientation)
        build(source, tmp_path / name / "people")
        person = PeopleFolder(tmp_path / name / "people")[0]
        assert person.image[person.amodal_mask].mean() > 150 > person.image[~person.amodal_mask].mean()


def test_a_photo_whose_masks_fit_no_way_up_clearly_better_is_left_out(tmp_path: Path) -> None:
    source = make_ahp(tmp_path / "data")
    exif(tmp_path / "data/train/JPEGImages/a1.jpg", photo(), 3)
    assert build(source, tmp_path / "people")["dropped"] == {"orientation unknown": 1}


@pytest.mark.parametrize("orientation", [2, 3, 4])
def test_boxes_lie_on_the_stored_pixels_of_a_photo_that_keeps_its_size(
    orientation: int, tmp_path: Path
) -> None:
    source = make_objects365(tmp_path / "data")
    before = build(source, tmp_path / "before")
    (person,) = PeopleFolder(tmp_path / "before")
    path = tmp_path / "data/train/patch0" / table(tmp_path / "before")[person.id]["photo"]
    exif(path, read_image(path), orientation)
    assert build(source, tmp_path / "people")["dropped"] == before["dropped"]
    assert [one.id for one in PeopleFolder(tmp_path / "people")] == [person.id]


@pytest.mark.parametrize(
    ("raw", "words"), [(b"{", r"own copy"), (b"\xe4\xf6", "UTF-8 text"), (None, "no such file")]
)
def test_what_to_do_about_a_damaged_file_of_ones_own(raw: bytes | None, words: str, tmp_path: Path) -> None:
    path = tmp_path / "mine"
    if raw is not None:
        path.write_bytes(raw)
    with pytest.raises(DeoccError, match=words) as error:
        list(read_json_items(path, "images.item") if raw == b"{" else read_lines(path))
    assert "fetch it again" not in str(error.value)


def test_where_no_annotation_says_which_way_up_the_photo_is_left_out(tmp_path: Path) -> None:
    source = make_openimages(tmp_path / "data")
    exif(tmp_path / "data/train/0000000000000000.jpg", photo(drawn(ring(30, 25))), 6)
    report = build(source, tmp_path / "people", options=OPTIONS)
    assert report["dropped"]["orientation unknown"] == 1
