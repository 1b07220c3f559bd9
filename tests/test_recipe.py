"""Recipes: from originals in the layout of each dataset, the folder comes out as it was."""

import csv
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as coco_mask
from scipy.io import savemat

import make_recipe
from deocc.cli import main as cli
from deocc.errors import DeoccError
from deocc.io import read_json, read_mask, write_image, write_json, write_mask, write_parsing
from deocc.masks import mask_box
from deocc.paths import RECIPES
from deocc.people import PeopleFolder
from deocc.people import recipe as R
from deocc.people.sources.ccp_labels import TAGS, lip_parsing

SIZE = 300, 420  # height, width of every original


def photo(seed: int) -> np.ndarray:
    """Smooth noise, so that resampling keeps most of it."""
    noise = np.random.default_rng(seed).integers(0, 256, (38, 53, 3), np.uint8)
    return cv2.resize(noise, SIZE[::-1], interpolation=cv2.INTER_CUBIC)


def body(x: int, y: int, height: int) -> list[float]:
    """A standing figure as one polygon."""
    shares = [(0, 0), (0.2, 0), (0.2, 0.15), (0.4, 0.2), (0.4, 0.55), (0.25, 0.6), (0.25, 1), (-0.05, 1),
              (-0.05, 0.6), (-0.2, 0.55), (-0.2, 0.2), (0, 0.15)]  # fmt: skip
    return [float(v) for a, b in shares for v in (x + a * height, y + b * height)]


def filled(points: list[float]) -> np.ndarray:
    runs = coco_mask.frPyObjects([points], *SIZE)
    return coco_mask.decode(coco_mask.merge(runs)).astype(bool)


# --- originals, and the folder that was cut out of them --------------------------------------------


class Maker:
    """Writes originals as their owners have them, and a people folder with provenance out of them."""

    def __init__(self, root: Path) -> None:
        self.originals, self.folder = root / "originals", root / "people"
        self.humans: list[dict[str, Any]] = []
        self.things: list[dict[str, Any]] = []
        self.rows: list[dict[str, Any]] = []
        self.coco: dict[str, dict[str, list[Any]]] = {}

    def coco_photo(
        self, part: str, number: int, annotations: list[tuple[int, list[float], int]]
    ) -> np.ndarray:
        image, name = photo(number), f"{number:012d}.jpg"
        write_image(self.originals / "coco" / part / name, image, 97)
        data = self.coco.setdefault(part, {"images": [], "annotations": [], "licenses": []})
        data["images"].append({"id": number, "file_name": name, "height": SIZE[0], "width": SIZE[1]})
        for key, points, category in annotations:
            x0, y0, x1, y1 = (float(v) for v in mask_box(filled(points)))
            data["annotations"].append({
                "id": key, "image_id": number, "category_id": category, "iscrowd": 0,
                "segmentation": [points], "bbox": [x0, y0, x1 - x0, y1 - y0],
            })  # fmt: skip
        return image

    def save_coco(self) -> None:
        categories = [{"id": 1, "name": "person"}, {"id": 18, "name": "dog"}]
        for part, data in self.coco.items():
            path = self.originals / "coco/annotations" / f"instances_{part}.json"
            write_json(path, data | {"categories": categories})

    def person(self, source: str, name: str, image: np.ndarray, mask: np.ndarray, path: str, ann: str,
               labels: np.ndarray | None = None, split: str = "train") -> None:  # fmt: skip
        """Cuts a person out by this test's own means."""
        x0, y0, x1, y1 = mask_box(mask)
        x, y = max(0, x0 - 37), max(0, y0 - 29)
        w, h = min(SIZE[1], x1 + 45) - x, min(SIZE[0], y1 + 33) - y
        scale = min(1, 224 / max(x1 - x0, y1 - y0))
        to, window = (round(w * scale), round(h * scale)), np.s_[y : y + h, x : x + w]
        small = cv2.resize(mask[window].astype(np.uint8), to, interpolation=cv2.INTER_NEAREST) > 0
        write_image(
            self.folder / "images" / f"{name}.jpg", cv2.resize(image[window], to, interpolation=3), 88
        )
        write_mask(self.folder / "masks" / f"{name}.png", small)
        if labels is not None:
            parsing = cv2.resize(labels[window], to, interpolation=cv2.INTER_NEAREST)
            write_parsing(self.folder / "parsing" / f"{name}.png", parsing)
        licence = f"words of {source}"
        self.humans.append({
            "id": name, "path": path, "ann": ann, "src_size": [SIZE[1], SIZE[0]],
            "src_bbox": [x0, y0, x1 - x0, y1 - y0], "region_xywh": [x, y, w, h],
            "mask_frac": round(float(small.mean()), 4),
        })  # fmt: skip
        self.rows.append({
            "id": name, "split": split, "source": source, "has_parsing": int(labels is not None),
            "bag_share": 0.02 if labels is not None else "",
            "photo_left": int(x == 0), "photo_top": int(y == 0),
            "photo_right": int(x + w == SIZE[1]), "photo_bottom": int(y + h == SIZE[0]), "licence": licence,
        })  # fmt: skip

    def thing(self, name: str, image: np.ndarray, mask: np.ndarray, path: str, ann: str) -> None:
        x0, y0, x1, y1 = mask_box(mask)
        scale = min(1, 152 / max(x1 - x0, y1 - y0))
        to, window = (round((x1 - x0) * scale), round((y1 - y0) * scale)), np.s_[y0:y1, x0:x1]
        alpha = cv2.resize(mask[window].astype(np.uint8) * 255, to, interpolation=cv2.INTER_AREA)
        colours = cv2.resize(image[window], to, interpolation=cv2.INTER_AREA)
        write_image(self.folder / "occluders" / f"{name}.png", np.dstack([colours, alpha]))
        self.things.append({"id": name, "path": path, "ann": ann, "category": "dog", "size": list(to)})

    def save(self) -> None:
        self.save_coco()
        write_json(self.folder / "provenance.json", {"humans": self.humans, "occluders": self.things})
        things = [{**t, "split": "train", "licence": "words of coco"} for t in self.things]
        columns = {"people.csv": self.rows, "occluders/occluders.csv": things}
        for name, rows in columns.items():
            kept = [key for key in rows[0] if key not in ("path", "ann", "size")]
            with (self.folder / name).open("w", newline="") as file:
                writer = csv.DictWriter(file, kept, extrasaction="ignore")
                writer.writeheader()
                writer.writerows(rows)


def add_coco(make: Maker) -> None:
    """Two people and a dog by COCO's ids, one person and one dog whom a mirror numbered anew."""
    tall, small, dog = body(150, 20, 260), body(60, 60, 130), [250.0, 150, 340, 150, 350, 230, 240, 230]
    image = make.coco_photo("val2017", 139, [(7, tall, 1), (8, dog, 18)])
    path, ann = "coco/images/val2017/000000000139.jpg", "annotations/instances_val2017.json"
    make.person("coco", "coco_000000000139_7", image, filled(tall), path, ann, split="val")
    make.thing("occ_000000000139_8", image, filled(dog), path, ann)
    other = body(300, 40, 200)
    image = make.coco_photo("train2017", 9, [(90001, small, 1), (90002, other, 1), (90003, dog, 18)])
    path, ann = "images/train2017/000000000009.jpg", "annotations/instances_train2017.json"
    make.person("coco", "coco_000000000009_90001", image, filled(small), path, ann)
    label = "labels/train2017/000000000009.txt"
    make.person("coco", "coco_000000000009_1", image, filled(other), path, label)
    make.thing("occ_000000000009_0", image, filled(dog), path, label)


def add_pennfudan(make: Maker) -> None:
    base, first, second = make.originals / "pennfudan/PennFudanPed", body(80, 30, 250), body(260, 50, 220)
    image = photo(3)
    write_image(base / "PNGImages/FudanPed00003.png", image)
    labels = filled(first) * np.uint8(1) + filled(second) * np.uint8(2)
    write_image(base / "PedMasks/FudanPed00003_mask.png", labels)
    for number, points in ((1, first), (2, second)):
        ann = f"data/PennFudanPed/PedMasks/FudanPed00003_mask.png#{number}"
        make.person("pennfudan", f"penn_FudanPed00003_{number}", image, filled(points),
                    "data/PennFudanPed/PNGImages/FudanPed00003.png", ann)  # fmt: skip


def add_ccp(make: Maker) -> None:
    base, mask = make.originals / "ccp", filled(body(150, 20, 260))
    rows = np.arange(SIZE[0])[:, None] * np.ones(SIZE[1], int)
    words = np.select(
        [rows < 35, rows < 60, rows < 170, rows < 262], ["hair", "skin", "dress", "skin"], "boots"
    )
    tags = np.where(mask, np.vectorize(TAGS.index)(words), 0).astype(np.uint8)
    image = photo(11)
    write_image(base / "photos/0011.jpg", image, 97)
    (base / "annotations/pixel-level").mkdir(parents=True)
    savemat(base / "annotations/pixel-level/0011.mat", {"groundtruth": tags})
    savemat(base / "label_list.mat", {"label_list": np.array([list(TAGS)], object)})
    make.person("ccp", "ccp_0011", image, mask, "photos/0011.jpg", "annotations/pixel-level/0011.mat",
                lip_parsing(tags))  # fmt: skip


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Maker:
    make = Maker(tmp_path_factory.mktemp("recipe"))
    add_coco(make)
    add_pennfudan(make)
    add_ccp(make)
    mask = filled(body(100, 30, 200))
    make.person("vik", "vik_1", photo(50), mask, "Training_Images/photos/1.jpg", "annotations/1.png")
    make.save()
    return make


@pytest.fixture
def facts(made: Maker, tmp_path: Path) -> R.Recipe:
    path = tmp_path / "recipe.json"
    path.write_text(make_recipe.one_row_a_line(make_recipe.make(made.folder)))
    return R.read_recipe(path)


# --- there and back -------------------------------------------------------------------------------


def table(folder: Path) -> dict[str, dict[str, str]]:
    with (folder / "people.csv").open(newline="") as file:
        return {row["id"]: row for row in csv.DictReader(file)}


def test_a_folder_comes_out_as_it_was(made: Maker, facts: R.Recipe, tmp_path: Path) -> None:
    report = R.rebuild(facts, made.originals, tmp_path / "out")
    assert report["people"] == {"in_recipe": 6, "rebuilt": 6} and report["left_out"] == {}
    assert report["occluders"] == {"in_recipe": 2, "rebuilt": 2}
    assert report["lost"]["vik"]["train"] == 1
    before = {person.id: person for person in PeopleFolder(made.folder)}
    after = {person.id: person for person in PeopleFolder(tmp_path / "out")}
    assert set(after) == set(before) - {"vik_1"}
    for name, person in after.items():
        old = before[name]
        assert person.image.shape == old.image.shape and (person.split, person.source) == (
            old.split,
            old.source,
        )
        assert np.abs(person.image.astype(float) - old.image).mean() < 4
        shared, both = person.amodal_mask & old.amodal_mask, person.amodal_mask | old.amodal_mask
        assert shared.sum() > 0.98 * both.sum()
        assert (person.parsing is None) == (old.parsing is None)
        if person.parsing is not None and old.parsing is not None:
            assert (person.parsing == old.parsing).mean() > 0.995
            assert len(np.unique(person.parsing)) >= 6


def test_columns_come_back(made: Maker, facts: R.Recipe, tmp_path: Path) -> None:
    R.rebuild(facts, made.originals, tmp_path / "out")
    before, after = table(made.folder), table(tmp_path / "out")
    for name, row in after.items():
        assert {key: row[key] for key in before[name]} == before[name]


def test_cut_outs_come_back(made: Maker, facts: R.Recipe, tmp_path: Path) -> None:
    R.rebuild(facts, made.originals, tmp_path / "out")
    old, new = (PeopleFolder(folder).occluders() for folder in (made.folder, tmp_path / "out"))
    assert [thing.id for thing in new] == sorted(thing.id for thing in old)
    for thing, other in zip(new, sorted(old, key=lambda t: t.id), strict=True):
        assert thing.mask.shape == other.mask.shape and thing.category == "dog"
        assert (thing.mask == other.mask).mean() > 0.99


def test_workers_change_nothing(made: Maker, facts: R.Recipe, tmp_path: Path) -> None:
    for workers in (1, 2):
        R.rebuild(facts, made.originals, tmp_path / str(workers), ("pennfudan",), workers)
    files = sorted(path.relative_to(tmp_path / "1") for path in (tmp_path / "1").rglob("*") if path.is_file())
    assert len(files) == 6
    for name in files:
        assert (tmp_path / "1" / name).read_bytes() == (tmp_path / "2" / name).read_bytes()


# --- originals that do not fit --------------------------------------------------------------------


def moved(path: Path) -> None:
    write_image(path, np.roll(np.asarray(Image.open(path)), 9, 1))


SPOILED = {
    "photo missing": lambda root: (root / "ccp/photos/0011.jpg").unlink(),
    "another photo": lambda root: write_image(root / "ccp/photos/0011.jpg", photo(1)[:200]),
    "photo damaged": lambda root: (root / "ccp/photos/0011.jpg").write_bytes(b"no picture"),
    "annotation missing": lambda root: (root / "ccp/annotations/pixel-level/0011.mat").unlink(),
    "annotation damaged": lambda root: (root / "ccp/annotations/pixel-level/0011.mat").write_bytes(b"x"),
    "another mask": lambda root: moved(root / "pennfudan/PennFudanPed/PedMasks/FudanPed00003_mask.png"),
}


@pytest.mark.parametrize("reason", SPOILED)
def test_what_does_not_fit_is_left_out_and_counted(
    reason: str, made: Maker, facts: R.Recipe, tmp_path: Path
) -> None:
    root = shutil.copytree(made.originals, tmp_path / "originals")
    SPOILED[reason](root)
    report = R.rebuild(facts, root, tmp_path / "out")
    lost = 2 if reason == "another mask" else 1
    assert report["left_out"] == {reason: lost} and report["people"]["rebuilt"] == 6 - lost
    assert len(PeopleFolder(tmp_path / "out")) == 6 - lost
    assert read_json(tmp_path / "out/recipe-report.json") == json.loads(json.dumps(report))


def test_a_changed_polygon_is_another_mask(made: Maker, facts: R.Recipe, tmp_path: Path) -> None:
    root = shutil.copytree(made.originals, tmp_path / "originals")
    path = root / "coco/annotations/instances_val2017.json"
    data = read_json(path)
    data["annotations"][0]["segmentation"] = [body(150, 20, 200)]
    write_json(path, data)
    assert R.rebuild(facts, root, tmp_path / "out")["left_out"] == {"another mask": 1}


def run(capsys: pytest.CaptureFixture[str], *words: object) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as stop:
        cli.main([str(word) for word in words])
    return int(stop.value.code or 0), *capsys.readouterr()


def test_the_command(made: Maker, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, out = tmp_path / "recipe.json", tmp_path / "out"
    path.write_text(make_recipe.one_row_a_line(make_recipe.make(made.folder)))
    status, said, _ = run(capsys, "people", "recipe", path, made.originals, "--out", out)
    assert status == 0 and "6 of 6 people" in said and "cannot be rebuilt: vik (1 train)" in said
    status, said, _ = run(capsys, "people", "recipe", path, made.originals, "--out", out)
    assert status == 0 and "6 of 6 people" in said, "there is nothing left to do"
    raw = read_json(path)
    write_json(path, raw | {"quality": 70})
    status, _, wrong = run(capsys, "people", "recipe", path, made.originals, "--out", out)
    assert status == 2 and "holds something" in wrong, "another recipe"


def content(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_a_rebuild_that_was_cut_off_goes_on(
    made: Maker, facts: R.Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    R.rebuild(facts, made.originals, tmp_path / "one")
    real, calls = R.write_person, []

    def stop(*given: Any) -> Any:
        calls.append(given[1].id)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return real(*given)

    monkeypatch.setattr(R, "write_person", stop)
    with pytest.raises(KeyboardInterrupt):
        R.rebuild(facts, made.originals, tmp_path / "cut")
    (tmp_path / "cut/images/.coco_000000000009_1.jpg.abcdefgh").write_bytes(b"half")
    R.rebuild(facts, made.originals, tmp_path / "cut")
    assert len(calls) == 3 + 4 and not set(calls[:2]) & set(calls[3:]), "what was there was not made again"
    assert content(tmp_path / "cut") == content(tmp_path / "one")


def test_shards_of_a_rebuild_equal_one_run(made: Maker, facts: R.Recipe, tmp_path: Path) -> None:
    root = shutil.copytree(made.originals, tmp_path / "originals")
    (root / "ccp/photos/0011.jpg").unlink()
    R.rebuild(facts, root, tmp_path / "one")
    for part in (2, 1, 3):
        report = R.rebuild(facts, root, tmp_path / "parts", shard=(part, 3))
    assert report["people"]["rebuilt"] == 5 and report["left_out"] == {"photo missing": 1}
    assert content(tmp_path / "parts") == content(tmp_path / "one")


def test_originals_that_come_later_are_rebuilt_by_the_same_command(
    made: Maker, facts: R.Recipe, tmp_path: Path
) -> None:
    root, out = shutil.copytree(made.originals, tmp_path / "originals"), tmp_path / "out"
    photo = root / "ccp/photos/0011.jpg"
    kept = photo.read_bytes()
    photo.unlink()
    assert R.rebuild(facts, root, out, ("coco", "ccp"))["people"]["rebuilt"] == 3
    photo.write_bytes(kept)
    assert R.rebuild(facts, root, out)["people"]["rebuilt"] == 6, "pennfudan, too"
    assert not (out / "left-out.json").exists()
    R.rebuild(facts, made.originals, tmp_path / "one")
    assert content(out) == content(tmp_path / "one")
    photo.write_bytes(b"no picture")
    assert R.rebuild(facts, root, out)["left_out"] == {"photo damaged": 1}
    assert not (out / "images/ccp_0011.jpg").exists() and "ccp_0011" not in table(out)


def spoiled(change: Callable[[dict[str, Any]], Any]) -> Callable[[Path], None]:
    def spoil(path: Path) -> None:
        raw = read_json(path)
        change(raw)
        write_json(path, raw)

    return spoil


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda path: path.unlink(), "no such file"),
        (lambda path: path.write_text("{"), "not readable as JSON"),
        (spoiled(lambda raw: raw.update(format="other")), "no recipe of format"),
        (spoiled(lambda raw: raw.pop("people")), "damaged recipe"),
        (spoiled(lambda raw: raw["people"]["ccp"][0].pop()), "damaged recipe"),
        (spoiled(lambda raw: raw["people"].update(vik=[])), "unknown source vik"),
    ],
)
def test_bad_recipes_are_refused(
    spoil: Callable[[Path], None], words: str, made: Maker, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "recipe.json"
    path.write_text(make_recipe.one_row_a_line(make_recipe.make(made.folder)))
    spoil(path)
    status, _, wrong = run(capsys, "people", "recipe", path, made.originals, "--out", tmp_path / "out")
    assert status == 2 and words in wrong and wrong.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_missing_originals_say_how_to_get_them(made: Maker, facts: R.Recipe, tmp_path: Path) -> None:
    root = shutil.copytree(made.originals, tmp_path / "originals")
    shutil.rmtree(root / "pennfudan")
    with pytest.raises(DeoccError, match="deocc people fetch pennfudan"):
        R.rebuild(facts, root, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    report = R.rebuild(facts, root, tmp_path / "out", only=("coco", "ccp"))
    assert report["people"]["rebuilt"] == 4
    with pytest.raises(DeoccError, match="unknown"):
        R.rebuild(facts, root, tmp_path / "other", only=("vik",))


# --- the bundled recipe ---------------------------------------------------------------------------


def test_the_bundled_recipe_is_facts_alone() -> None:
    path = R.find_recipe("real-humans")
    assert path == RECIPES / "real-humans.json" and path.stat().st_size < 1_000_000
    facts = R.read_recipe(path)
    counts = {name: len(lines) for name, lines in facts.people.items()}
    assert counts == {"ccp": 890, "coco": 308, "pennfudan": 215} and len(facts.occluders["coco"]) == 451
    assert (facts.lost["vik"]["train"], facts.lost["vik"]["val"]) == (40, 8)
    lines = [line for some in facts.people.values() for line in some]
    assert sum(line.split == "val" for line in lines) == 159 - 8
    assert sum(line.annotation == "box" for line in lines) == 8
    assert len({line.id for line in lines}) == len(lines)
    for line in lines:
        (x, y, w, h), (a, b, c, d) = line.region_xywh, line.box_xywh
        assert 0 <= x <= a and 0 <= y <= b and x + w >= a + c and y + h >= b + d
        assert x + w <= line.photo_size[0] and y + h <= line.photo_size[1] and 0 < line.mask_share < 1
        assert line.split in ("train", "val") and line.licence < len(facts.licences)


def test_the_recipe_makes_pictures_of_the_right_size(made: Maker, facts: R.Recipe, tmp_path: Path) -> None:
    """A person longer than 224 px comes down to it; a shorter one stays."""
    R.rebuild(facts, made.originals, tmp_path / "out")
    lengths = {}
    for path in (tmp_path / "out/masks").iterdir():
        x0, y0, x1, y1 = mask_box(read_mask(path))
        lengths[path.stem] = max(x1 - x0, y1 - y0)
    assert abs(lengths["coco_000000000139_7"] - 224) <= 2
    assert abs(lengths["coco_000000000009_90001"] - 130) <= 2
