"""Files of strangers that want all memory, or files that are none of their business."""

import json
import os
import resource
import subprocess
import sys
import time
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.io import savemat
from test_recipe import Maker, add_pennfudan
from test_sources import (
    BOXES,
    CocoWriter,
    build,
    drawn,
    make_ahp,
    make_ccp,
    make_openimages,
    photo,
    ring,
    table,
    write_photo,
)

import make_recipe
from deocc.errors import DeoccError
from deocc.io import write_json
from deocc.occlusion import OcclusionCase, write_case
from deocc.people import PeopleFolder, Person, write_person
from deocc.people.recipe import read_recipe, rebuild
from deocc.people.sources import mat, stream
from deocc.people.sources.coco import Coco
from deocc.people.sources.mat import read_variable
from deocc.people.sources.problems import Unusable
from deocc.people.sources.stream import read_json_items

# ------------------------------------------------------------------ JSON

BOMBS = {
    "deep lists": (b'{"annotations": [' + b"[" * 200_000, "nested deeper"),
    "deep objects": (b'{"a":' * 80_000, "nested deeper"),
    "a deep closed list": (b'{"annotations": [' + b"[" * 9000 + b"]" * 9000 + b"]}", "nested deeper"),
    "a long text": (b'{"annotations": ["' + b"x" * (17 << 20) + b'"]}', "more than 16 MiB"),
    "a long element": (b'{"annotations": [[' + b"1," * (17 << 20) + b"1]]}", "more than 32 MiB"),
    "many digits": (b'{"annotations": [' + b"9" * 5000 + b"]}", "broken JSON"),
    "a large exponent": (b'{"annotations": [1e999999]}', "broken JSON"),
    "half a character": (b'{"annotations": ["\xc3"]}', "broken JSON"),
    "nothing": (b"", "broken JSON"),
    "two values": (b'{"annotations": []} {}', "broken JSON"),
}


@pytest.mark.parametrize("name", BOMBS)
def test_json_that_no_dataset_has_is_refused_at_once(name: str, tmp_path: Path) -> None:
    content, said = BOMBS[name]
    (tmp_path / "a.json").write_bytes(content)
    before, start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
    with pytest.raises(DeoccError, match=said) as error:
        list(read_json_items(tmp_path / "a.json", "annotations.item"))
    assert "\n" not in str(error.value) and time.process_time() - start < 10
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 700_000  # kB


@pytest.mark.parametrize("read", [1, 2, 3, 7, 64, 1 << 18])
def test_pieces_may_end_anywhere(read: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "READ", read)
    value = {"annotations": [{"t": 'NaN "quoted\\" \\\\ Infinity', "n": [1, -2.5], "x": float("nan")}] * 9}
    (tmp_path / "a.json").write_text(json.dumps(value))
    found = list(read_json_items(tmp_path / "a.json", "annotations.item"))
    assert found == [{**item, "x": None} for item in value["annotations"]]


STRANGE: list[Any] = [None, True, [], {}, "x" * 999, -1, 1e308, "\ud800", "a\x00b", [[[]]]]


@pytest.mark.parametrize("field", ["id", "image_id", "category_id", "iscrowd", "segmentation"])
@pytest.mark.parametrize("value", STRANGE)
def test_a_field_of_any_type_costs_one_person_at_most(field: str, value: Any, tmp_path: Path) -> None:
    writer = CocoWriter(tmp_path / "data")
    writer.people(2)
    writer.annotations[0][field] = value
    writer.save()
    report = build(Coco(tmp_path / "data"), tmp_path / "people")
    assert "coco_train2017_901" in table(tmp_path / "people") and "unexpected error" not in report["dropped"]


# ------------------------------------------------------------------ MATLAB files


def test_a_mat_file_that_grows_is_one_damaged_label_file(tmp_path: Path) -> None:
    source = make_ccp(tmp_path)
    path = next(tmp_path.rglob("0001.mat"))
    savemat(path, {"groundtruth": np.zeros((40_000, 40_000), np.uint8)}, do_compression=True)
    assert path.stat().st_size < 3_000_000
    report = build(source, tmp_path / "people")
    assert report["dropped"]["annotation damaged"] == 2
    after = read_variable(next(tmp_path.rglob("0002.mat")), "groundtruth")
    assert after.shape == (120, 150), "the next is read"


def test_a_reader_that_crashes_or_hangs_is_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    savemat(tmp_path / "a.mat", {"x": np.eye(3), "w": np.array(["ab", "c"], object)})
    assert (read_variable(tmp_path / "a.mat", "x") == np.eye(3)).all()
    assert read_variable(tmp_path / "a.mat", "w") == ["ab", "c"]
    assert mat._READER._process is not None
    os.kill(mat._READER._process.pid, 11)  # what a mutated file does to SciPy
    mat._READER._process.wait()
    assert (read_variable(tmp_path / "a.mat", "x") == np.eye(3)).all()
    monkeypatch.setattr(mat, "SECONDS", 0.5)
    os.mkfifo(tmp_path / "pipe.mat")
    with monkeypatch.context() as patch, pytest.raises(Unusable, match="crash, or wants too much"):
        patch.setattr(Path, "is_file", lambda path: True)
        read_variable(tmp_path / "pipe.mat", "x")  # opening it waits for ever
    monkeypatch.undo()
    assert (read_variable(tmp_path / "a.mat", "x") == np.eye(3)).all()
    for field in ("y", "x.z", "__class__"):
        with pytest.raises(Unusable, match="no readable"):
            read_variable(tmp_path / "a.mat", field)


# ------------------------------------------------------------------ names that lead out

OUT = ["../../secret.jpg", "/etc/hostname", "..\\..\\secret.jpg", "a/../../../secret.jpg", "a\x00b.jpg", ".."]


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    """A photo outside the dataset's folder, as large as those inside."""
    write_photo(tmp_path / "secret.jpg", drawn(ring(40, 25)))
    return tmp_path / "inside" / "data"


@pytest.mark.parametrize("name", [*OUT, "ABSOLUTE"])
def test_annotations_read_no_photo_outside_the_dataset(name: str, secret: Path, tmp_path: Path) -> None:
    writer = CocoWriter(secret)
    writer.people(2)
    writer.images[0]["file_name"] = str(tmp_path / "secret.jpg") if name == "ABSOLUTE" else name
    writer.save()
    report = build(Coco(secret), tmp_path / "people")
    assert list(table(tmp_path / "people")) == ["coco_train2017_901"]
    assert set(report["dropped"]) <= {"bad file name", "photo missing"}


@pytest.mark.parametrize("name", [name for name in OUT if "\0" not in name])
def test_lists_read_no_file_outside_the_dataset(name: str, secret: Path, tmp_path: Path) -> None:
    source = make_ahp(secret)
    (secret / "train/ImageSets/train.txt").write_text(f"{name}\na1\n")
    build(source, tmp_path / "people")
    assert set(table(tmp_path / "people")) == {"ahp_a1", "ahp_b1"}
    boxes = make_openimages(tmp_path / "boxes")
    path = tmp_path / "boxes" / BOXES
    path.write_text(path.read_text().replace(f"{0:016x},", f"{name},"))
    report = build(boxes, tmp_path / "boxed")
    assert set(report["dropped"]) >= {"bad file name"} or "photo missing" in report["dropped"]


@pytest.mark.parametrize("name", ["../evil", "/tmp/evil", "..\\evil", "C:\\evil", "a\x01b", "", "x" * 300])
def test_no_id_writes_or_reads_outside_its_folder(name: str, tmp_path: Path) -> None:
    folder, mask = tmp_path / "people", drawn(ring(40, 25))
    with pytest.raises(DeoccError):
        write_person(folder, Person(name, photo(mask), mask))
    with pytest.raises(DeoccError):
        write_case(folder, OcclusionCase(name, photo(mask), mask))
    folder.mkdir(exist_ok=True)
    (folder / "people.csv").write_text(f'id,split,source,has_parsing\n"{name}",val,coco,0\n')
    with pytest.raises(DeoccError) as error:
        PeopleFolder(folder)[0]
    assert "\n" not in str(error.value)
    assert sorted(p.name for p in tmp_path.rglob("*") if p.is_file()) == ["people.csv"]


# ------------------------------------------------------------------ recipes

SPOILED: list[tuple[int, Any]] = [
    (0, "../evil"), (0, "/evil"), (0, 7), (0, None), (0, ""), (0, "x" * 400), (1, 5), (2, "../../secret.jpg"),
    (2, "/etc/passwd"), (2, 7), (3, "../../x#1"), (3, "no label"), (3, "a#999999"), (4, [0, 0, 9, 9, 9]),
    (4, [0, 0, 0, 0]), (4, [-1, 0, 9, 9]), (4, [0, 0, 10**9, 10**9]), (4, [0, 0, 421, 300]), (4, "xywh"),
    (4, [0, 0, float("nan"), 1]), (5, [1, 2]), (6, [0, 0]), (6, [420.5, 300]), (7, "much"), (7, 1e99),
    (8, 99), (8, -1), (8, 10**30), (9, "bag"), (9, -0.5),
]  # fmt: skip


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Maker:
    maker = Maker(tmp_path_factory.mktemp("recipes"))
    add_pennfudan(maker)
    write_json(maker.folder / "provenance.json", {"humans": maker.humans, "occluders": []})
    rows = maker.rows
    text = [",".join(rows[0]), *(",".join(str(value) for value in row.values()) for row in rows)]
    (maker.folder / "people.csv").write_text("\n".join(text) + "\n")
    (maker.folder / "occluders").mkdir(exist_ok=True)
    (maker.folder / "occluders/occluders.csv").write_text("id,split,category,licence\n")
    return maker


def recipe_of(made: Maker) -> dict[str, Any]:
    return json.loads(make_recipe.one_row_a_line(make_recipe.make(made.folder)))


def test_the_recipe_that_is_spoiled_below_is_a_good_one(made: Maker, tmp_path: Path) -> None:
    write_json(tmp_path / "r.json", recipe_of(made))
    report = rebuild(read_recipe(tmp_path / "r.json"), made.originals, tmp_path / "out")
    assert report["people"]["rebuilt"] == report["people"]["in_recipe"] > 0


@pytest.mark.parametrize(("place", "value"), SPOILED)
def test_a_recipe_of_other_types_or_names_is_one_line(
    place: int, value: Any, made: Maker, tmp_path: Path
) -> None:
    raw = recipe_of(made)
    raw["people"]["pennfudan"][0][place] = value
    (tmp_path / "r.json").write_text(json.dumps(raw))
    with pytest.raises(DeoccError, match="r.json: (damaged recipe|not readable)") as error:
        read_recipe(tmp_path / "r.json")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("change", [
    {"longer_side": 0}, {"quality": 101}, {"quality": "high"}, {"licences": []}, {"licences": "free"},
    {"people": []},
    {"people": {"pennfudan": {}}}, {"occluders": {"ccp": []}}, {"lost": []}, {"lost": {"x": 1}},
    {"person_fields": []}, {"format": "deocc recipe 2"}, {"format": 1},
])  # fmt: skip
def test_a_recipe_is_checked_as_a_whole(change: dict[str, Any], made: Maker, tmp_path: Path) -> None:
    write_json(tmp_path / "r.json", recipe_of(made) | change)
    with pytest.raises(DeoccError, match="r.json: "):
        read_recipe(tmp_path / "r.json")


@pytest.mark.parametrize("content", [b"", b"[" * 100_000, b"{", b"\xff\xfe", b"9" * 9999, b'"x"', b"null"])
def test_what_is_no_recipe_at_all(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "r.json").write_bytes(content)
    with pytest.raises(DeoccError, match="r.json: "):
        read_recipe(tmp_path / "r.json")


# ------------------------------------------------------------------ archives


@pytest.mark.parametrize("kind", ["zip", "zip link", "tgz", "tgz name"])
def test_archives_do_not_grow_without_limit(kind: str, tmp_path: Path) -> None:
    """Two gigabytes out of two megabytes are refused before they come, in less than 200 MB."""
    code = f"""
import io, stat, sys, tarfile, zipfile, gzip
from pathlib import Path
path, kind = Path(sys.argv[1]), {kind!r}
piece, many = bytes(1 << 20), 2000
if kind.startswith("zip"):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        info = zipfile.ZipInfo("zeros")
        info.compress_type = zipfile.ZIP_DEFLATED
        if kind == "zip link":
            info.external_attr = (stat.S_IFLNK | 0o777) << 16
        with archive.open(info, "w", force_zip64=True) as sink:
            for _ in range(many):
                sink.write(piece)
else:
    info = tarfile.TarInfo("zeros")
    info.size = many << 20
    if kind == "tgz name":
        info.type = tarfile.GNUTYPE_LONGNAME
    with gzip.open(path, "wb", compresslevel=1) as sink:
        sink.write(info.tobuf())
        for _ in range(many):
            sink.write(piece)
        sink.write(bytes(1024))
import resource
resource.setrlimit(resource.RLIMIT_AS, (2_500_000_000, 2_500_000_000))
from deocc.errors import DeoccError
from deocc.people.unpack import unpack
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
try:
    unpack(path, path.parent / "out", progress=False)
except DeoccError as error:
    print("refused:", error)
assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200_000
"""
    name = tmp_path / ("a.zip" if kind.startswith("zip") else "a.tgz")
    ran = subprocess.run([sys.executable, "-c", code, name], capture_output=True, text=True, timeout=300)
    assert ran.returncode == 0, ran.stderr
    assert "refused:" in ran.stdout or kind == "zip link", "a link of zeros is left out"
    assert not [p for p in (tmp_path / "out").rglob("*") if p.is_file()]


def test_an_archive_that_lies_about_its_sizes_is_damaged(tmp_path: Path) -> None:
    from deocc.people.unpack import unpack

    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("zeros", bytes(5_000_000))
    raw = (tmp_path / "a.zip").read_bytes()
    lie = raw.replace((5_000_000).to_bytes(4, "little"), (10).to_bytes(4, "little"))
    (tmp_path / "a.zip").write_bytes(lie)
    with pytest.raises(DeoccError, match="damaged"):
        unpack(tmp_path / "a.zip", tmp_path / "out", progress=False)
    assert not [p for p in (tmp_path / "out").rglob("*") if p.is_file()]


def test_a_picture_in_the_way_is_no_traceback(tmp_path: Path) -> None:
    (tmp_path / "people").write_text("x")
    writer = CocoWriter(tmp_path / "data")
    writer.people(1)
    writer.save()
    with pytest.raises(DeoccError, match="is a file; choose another folder"):
        build(Coco(tmp_path / "data"), tmp_path / "people")
