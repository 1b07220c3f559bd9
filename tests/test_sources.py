"""Readers of public datasets: small datasets in each format, whole and broken, into people folders."""

import csv
import itertools
import json
import re
import shutil
import signal
import subprocess
import sys
import time
import tracemalloc
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from pycocotools import mask as coco_mask
from scipy.io import savemat

from deocc.cli import main as cli
from deocc.errors import DeoccError
from deocc.io import read_image, read_json, read_labels, write_image
from deocc.masks import mask_box
from deocc.occlusion import CaseFolder
from deocc.occlusion.folder import write_natural_case
from deocc.occlusion.priors import real_metres
from deocc.people import PeopleFolder
from deocc.people.filtering import Thresholds
from deocc.people.routing import FolderCandidates, RoutingLog
from deocc.people.sources.about import ABOUT
from deocc.people.sources.ahp import Ahp
from deocc.people.sources.build import build_people
from deocc.people.sources.candidates import Source
from deocc.people.sources.ccp import ClothingCoParsing, carried_share
from deocc.people.sources.coco import Coco, Part, coco_identity, refuse_releases
from deocc.people.sources.cocoa import Cocoa, in_front, is_person
from deocc.people.sources.index import Index, open_index
from deocc.people.sources.journal import write_tables
from deocc.people.sources.lip import Lip
from deocc.people.sources.objects365 import Objects365
from deocc.people.sources.openimages import OpenImages
from deocc.people.sources.options import BuildOptions, in_shard, parse_shard
from deocc.people.sources.pennfudan import PennFudan
from deocc.people.sources.regions import Polygons, RunLengths, Unusable, coco_region
from deocc.people.sources.voc import CLASSES, PERSON, Voc
from deocc.segmenters import METHODS

ROOT = Path(__file__).parent.parent
HEIGHT, WIDTH = 120, 150
OPTIONS = BuildOptions(Thresholds(min_side=50), split="source", occluder_share=1.0)

# ------------------------------------------------------------------ little datasets


def ring(x: float, y: float, size: float = 70) -> list[float]:
    """A body as a polygon: head, arms, legs; `size` high, its top left corner at (x, y)."""
    shares = [(0.4, 0), (0.6, 0), (0.62, 0.18), (0.9, 0.25), (0.9, 0.5), (0.72, 0.45), (0.75, 1), (0.56, 1),
              (0.5, 0.6), (0.44, 1), (0.25, 1), (0.28, 0.45), (0.1, 0.5), (0.1, 0.25),
              (0.38, 0.18)]  # fmt: skip
    return [value for a, b in shares for value in (x + 0.7 * size * a, y + size * b)]


def drawn(points: list[float]) -> np.ndarray:
    """A polygon's pixels; HEIGHT x WIDTH bool."""
    return Polygons((tuple(points),)).mask((HEIGHT, WIDTH))


def photo(*masks: np.ndarray, seed: int = 0) -> np.ndarray:
    """Bright figures on a dark, noisy ground."""
    rng = np.random.default_rng(seed)
    image = rng.integers(30, 50, (HEIGHT, WIDTH, 3), dtype=np.uint8)
    for mask in masks:
        image[mask] = rng.integers(180, 200, (int(mask.sum()), 3), dtype=np.uint8)
    return image


def write_photo(path: Path, *masks: np.ndarray, seed: int = 0) -> None:
    write_image(path, photo(*masks, seed=seed), quality=98)


def runs_of(mask: np.ndarray) -> list[int]:
    """Uncompressed run lengths, column by column, from outside."""
    flat = mask.flatten(order="F")
    lengths = [len(list(group)) for _, group in itertools.groupby(flat)]
    return [0, *lengths] if flat[0] else lengths


def packed(mask: np.ndarray) -> dict[str, Any]:
    """Compressed run lengths as they stand in a JSON file."""
    runs = coco_mask.encode(np.asfortranarray(mask.astype(np.uint8)))
    return {"size": [int(v) for v in runs["size"]], "counts": runs["counts"].decode()}


@dataclass
class CocoWriter:
    """Writes a dataset as COCO does."""

    root: Path
    part: str = "train2017"

    def __post_init__(self) -> None:
        self.images: list[Any] = []
        self.annotations: list[Any] = []

    def image(self, number: int, *masks: np.ndarray, write: bool = True) -> int:
        name = f"{number:012d}.jpg"
        if write:
            write_photo(self.root / self.part / name, *masks, seed=number)
        self.images.append({"id": number, "file_name": name, "height": HEIGHT, "width": WIDTH, "license": 4})
        return number

    def add(self, image: int, segmentation: Any, category: int = 1, **more: Any) -> None:
        number = 900 + len(self.annotations)
        facts = {"id": number, "image_id": image, "category_id": category, "iscrowd": 0}
        self.annotations.append({**facts, "segmentation": segmentation, **more})

    def people(self, count: int, start: int = 1) -> None:
        """One clean person a photo, as polygon, run lengths and compressed run lengths in turn."""
        for i in range(start, start + count):
            points = ring(20 + i % 7 * 10, 20 + i % 5 * 3)
            mask = drawn(points)
            runs = {"size": [HEIGHT, WIDTH], "counts": runs_of(mask)}
            self.add(self.image(i, mask), [[points], runs, packed(mask)][i % 3])

    def save(self) -> Path:
        content = {
            "info": {"year": 2017}, "licenses": [{"id": 4, "name": "Attribution License"}],
            "images": self.images, "annotations": self.annotations,
            "categories": [{"id": 1, "name": "person"}, {"id": 17, "name": "cat"}],
        }  # fmt: skip
        path = self.root / "annotations" / f"instances_{self.part}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(content))
        return path


def make_coco(root: Path) -> Source:
    """Three clean people (all ways to write a mask), a crowd, a small one, one at the border, a cat."""
    coco = CocoWriter(root)
    coco.people(3)
    crowd = drawn(ring(100, 20))
    coco.add(1, {"size": [HEIGHT, WIDTH], "counts": runs_of(crowd)}, iscrowd=1)
    coco.add(2, [ring(110, 5, 30)])
    coco.add(coco.image(4, drawn(ring(60, 49))), [ring(60, 49)])
    cat = [2.0, 2.0, 40.0, 2.0, 40.0, 90.0, 2.0, 90.0]
    points = ring(80, 20)
    both = [drawn([v + 3 for v in cat]), drawn(points)]
    coco.add(coco.image(5, *both), [points])
    coco.add(5, [[v + 3 for v in cat]], 17)
    coco.save()
    return Coco(root)


def make_objects365(root: Path) -> Source:
    images, annotations = [], []
    for i, (x, flags) in enumerate([(30, {}), (60, {"isfake": 1}), (40, {"iscrowd": 1}), (-3, {})], start=1):
        mask = drawn(ring(x, 25))
        x0, y0, x1, y1 = mask_box(mask)
        name = f"images/v1/patch0/objects365_v1_{i:08d}.jpg"
        write_photo(root / "train" / "patch0" / Path(name).name, mask, seed=i)
        images.append({"id": i, "file_name": name, "height": HEIGHT, "width": WIDTH, "license": 5})
        bbox = [x0 - 3, y0 - 3, x1 - x0 + 6, y1 - y0 + 6]
        annotations.append({"id": i, "image_id": i, "category_id": 1, "bbox": bbox, "iscrowd": 0, **flags})
    annotations.append({"id": 9, "image_id": 1, "category_id": 1, "bbox": [5, 5, -3, 9], "iscrowd": 0})
    content = {"images": images, "annotations": annotations, "categories": [{"id": 1, "name": "Person"}]}
    path = root / "annotations" / "zhiyuan_objv2_train.json"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps(content))
    return Objects365(root)


BOXES = "train-annotations-bbox.csv"


def make_openimages(root: Path) -> Source:
    header = ("ImageID,Source,LabelName,Confidence,XMin,XMax,YMin,YMax,IsOccluded,IsTruncated,IsGroupOf,"
              "IsDepiction,IsInside")  # fmt: skip
    rows, flags = [], ["0,0,0,0,0", "1,0,0,0,0", "0,1,0,0,0", "0,0,1,0,0", "-1,-1,-1,-1,-1"]
    for i, marks in enumerate(flags):
        mask = drawn(ring(30 + 5 * i, 25))
        x0, y0, x1, y1 = mask_box(mask)
        write_photo(root / "train" / f"{i:016x}.jpg", mask, seed=i)
        box = f"{(x0 - 3) / WIDTH},{(x1 + 3) / WIDTH},{(y0 - 3) / HEIGHT},{(y1 + 3) / HEIGHT}"
        label = "/m/04yx4" if i % 2 else "/m/01g317"
        rows.append(f"{i:016x},xclick,{label},1,{box},{marks}")
        rows.append(f"{i:016x},xclick,/m/0cmf2,1,{box},0,0,0,0,0")  # an airplane
    rows.insert(1, rows[0].replace("/m/01g317", "/m/04yx4"))  # the same box as a man
    rows.append(f"{4:016x},xclick,/m/01g317,1,0.5,0.4,0.1,0.9,0,0,0,0,0")  # inside out
    (root / BOXES).write_text("\n".join([header, *rows]) + "\n")
    return OpenImages(root)


def palette_picture(path: Path, labels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    picture = Image.fromarray(labels.astype(np.uint8)).convert("P")
    picture.putdata(labels.flatten().tolist())
    picture.save(path)


def make_voc(root: Path) -> Source:
    """A clean person; two side by side with the void band between them; SBD: the first again, and another."""
    base = root / "VOCdevkit" / "VOC2012"
    cup = np.zeros((HEIGHT, WIDTH), bool)
    cup[20:100, 110:140] = True
    scenes = {"2007_000001": [ring(40, 25)], "2007_000002": [ring(20, 25), ring(62, 25)]}
    for stem, rings in scenes.items():
        objects, classes = np.zeros((2, HEIGHT, WIDTH), int)
        for number, points in enumerate(rings, start=1):
            mask = drawn(points)
            objects[mask], classes[mask] = number, 15
        if stem.endswith("1"):
            objects[cup], classes[cup] = 7, 5
        everything = objects > 0
        void = cv2.dilate(everything.astype(np.uint8), np.ones((5, 5))).astype(bool) & ~everything
        objects[void], classes[void] = 255, 255
        palette_picture(base / "SegmentationObject" / f"{stem}.png", objects)
        palette_picture(base / "SegmentationClass" / f"{stem}.png", classes)
        write_photo(base / "JPEGImages" / f"{stem}.jpg", everything)
    lists = base / "ImageSets" / "Segmentation"
    lists.mkdir(parents=True)
    (lists / "train.txt").write_text("2007_000001\n")
    (lists / "val.txt").write_text("2007_000002\n2007_000003\n")  # the third has no picture
    sbd = root / "benchmark_RELEASE" / "dataset"
    mask = drawn(ring(50, 25))
    write_photo(sbd / "img" / "2008_000001.jpg", mask)
    (sbd / "inst").mkdir(parents=True)
    instances = np.where(mask, 1, np.where(cup, 2, 0)).astype(np.uint8)
    structure = {"Segmentation": instances, "Categories": np.array([[15], [5]], np.uint8)}
    savemat(sbd / "inst" / "2008_000001.mat", {"GTinst": structure})
    (sbd / "train.txt").write_text("2008_000001\n2007_000001\n")
    (sbd / "val.txt").write_text("")
    return Voc(root)


def parsed(mask: np.ndarray) -> np.ndarray:
    """LIP labels of a body: face above, clothes, legs below."""
    rows = np.arange(HEIGHT)[:, None]
    _, y0, _, y1 = mask_box(mask)
    share = (rows - y0) / (y1 - y0)
    return np.where(mask, np.select([share < 0.2, share < 0.6], [13, 5], 9), 0).astype(np.uint8)


def make_lip(root: Path) -> Source:
    for split, stems in (("train", ["77_471474", "78_5"]), ("val", ["100034_483681"])):
        for i, stem in enumerate(stems):
            mask = drawn(ring(40 + 10 * i, 25))
            write_photo(root / "TrainVal_images" / f"{split}_images" / f"{stem}.jpg", mask, seed=i)
            write_image(root / "TrainVal_parsing_annotations" / f"{split}_segmentations" / f"{stem}.png",
                        parsed(mask))  # fmt: skip
        (root / "TrainVal_images" / f"{split}_id.txt").write_text("\n".join(stems) + "\n")
    with (root / "TrainVal_images" / "val_id.txt").open("a") as file:
        file.write("100034_483681\n")  # twice
    return Lip(root)


def make_ahp(root: Path) -> Source:
    base = root / "train"
    for i, stem in enumerate(["a1", "a2", "b1"]):
        mask = drawn(ring(3 if stem == "a2" else 40, 30, 30 if stem == "a2" else 70))  # a2 is small
        write_photo(base / "JPEGImages" / f"{stem}.jpg", mask, seed=i)
        write_image(base / "Annotations" / f"{stem}.png", mask.astype(np.uint8) * (1 if i else 255))
        if stem != "b1":
            write_image(base / "PseudoParsingAnnotations" / f"{stem}.png", parsed(mask))
    (base / "ImageSets").mkdir()
    (base / "ImageSets" / "train.txt").write_text("a1\na2\n")
    (base / "ImageSets" / "val.txt").write_text("b1\n")
    return Ahp(root)


def make_pennfudan(root: Path) -> Source:
    for stem, rings in {
        "FudanPed00001": [ring(10, 25), ring(90, 25)],
        "PennPed00002": [ring(40, 25)],
    }.items():
        labels = np.zeros((HEIGHT, WIDTH), np.uint8)
        for number, points in enumerate(rings, start=1):
            labels[drawn(points)] = number
        write_photo(root / "PennFudanPed" / "PNGImages" / f"{stem}.png", labels > 0)
        write_image(root / "PennFudanPed" / "PedMasks" / f"{stem}_mask.png", labels)
    return PennFudan(root)


CCP_NAMES = ("null", "accessories", "bag", "boots", "hair", "jeans", "skin", "t-shirt")


def ccp_labels(mask: np.ndarray) -> np.ndarray:
    """Hair, face and arms of skin, shirt, jeans, boots."""
    labels = np.zeros(mask.shape, np.uint8)
    _, y0, _, y1 = mask_box(mask)
    share = (np.arange(HEIGHT)[:, None] - y0) / (y1 - y0) + np.zeros(mask.shape)
    for upper, name in ((1.01, "boots"), (0.9, "jeans"), (0.6, "t-shirt"), (0.2, "skin"), (0.08, "hair")):
        labels[mask & (share < upper)] = CCP_NAMES.index(name)
    return labels


def make_ccp(root: Path) -> Source:
    mask = drawn(ring(40, 25))
    base = root / "clothing-co-parsing"
    for stem in ("0001", "0002", "0003"):
        labels = ccp_labels(mask)
        if stem == "0002":
            labels[labels == CCP_NAMES.index("jeans")] = CCP_NAMES.index("bag")
        write_photo(base / "photos" / f"{stem}.jpg", mask)
        path = base / "annotations" / "pixel-level" / f"{stem}.mat"
        path.parent.mkdir(parents=True, exist_ok=True)
        savemat(path, {"groundtruth": labels})
    path.write_bytes(path.read_bytes()[:100])  # 0003 is cut off
    savemat(base / "label_list.mat", {"label_list": np.array([list(CCP_NAMES)], object)})
    return ClothingCoParsing(root)


def make_cocoa(root: Path) -> Source:
    """A man behind a box, a woman alone, and a table."""
    man, woman = ring(20, 25), ring(90, 25)
    table = [15.0, 70.0, 75.0, 70.0, 75.0, 110.0, 15.0, 110.0]
    visible = drawn(man) & ~drawn(table)
    regions = [
        {"segmentation": table, "name": "table", "order": 1},
        {"segmentation": man, "name": "man in red", "order": 2, "visible_mask": packed(visible)},
        {"segmentation": woman, "name": "woman", "order": 3},
    ]
    name = "COCO_train2014_000000000139.jpg"
    write_photo(root / "train2014" / name, drawn(man), drawn(woman))
    content = {
        "images": [{"id": 139, "file_name": name, "height": HEIGHT, "width": WIDTH}],
        "annotations": [{"image_id": 139, "id": 1, "regions": regions, "depth_constraint": "1-2", "size": 3}],
    }
    (root / "annotations").mkdir()
    (root / "annotations" / "COCO_amodal_train2014.json").write_text(json.dumps(content))
    return Cocoa(root)


# name -> (writer, ids that are kept, reasons of the others); boxes go through GrabCut
DATASETS: dict[str, tuple[Callable[[Path], Source], list[str], dict[str, int]]] = {
    "coco": (
        make_coco,
        ["coco_train2017_900", "coco_train2017_901", "coco_train2017_902", "coco_train2017_906"],
        {"a crowd": 1, "near the border": 1, "too small": 1},
    ),
    "objects365": (
        make_objects365, ["objects365_train_1"],
        {"a crowd": 1, "annotation damaged": 1, "marked: a depiction": 1, "near the border": 1},
    ),
    "openimages": (
        make_openimages,
        ["openimages_train_0000000000000000_0", "openimages_train_0000000000000004_0"],
        {"a crowd": 1, "annotation damaged": 1, "duplicate id": 1, "marked: occluded": 1,
         "marked: out of view": 1},
    ),
    "voc": (
        make_voc, ["voc_2007_000001_1", "voc_2008_000001_1"],
        {"touches other people": 2, "photo missing": 1},
    ),
    "lip": (make_lip, ["lip_100034_483681", "lip_77_471474", "lip_78_5"], {"duplicate id": 1}),
    "ahp": (make_ahp, ["ahp_a1", "ahp_a2", "ahp_b1"], {}),
    "cocoa": (make_cocoa, ["cocoa_train2014_000001_3"], {"marked: occluded": 1}),
    "pennfudan": (
        make_pennfudan,
        ["pennfudan_FudanPed00001_1", "pennfudan_FudanPed00001_2", "pennfudan_PennPed00002_1"], {},
    ),
    "ccp": (make_ccp, ["ccp_0001"], {"annotation damaged": 1, "marked: hidden by what they carry": 1}),
}  # fmt: skip


def build(source: Source, out: Path, **more: Any) -> dict[str, Any]:
    options = replace(OPTIONS, segmenter="grabcut")
    report = build_people(source, out, more.pop("options", options), progress=False, **more)
    return report["sources"][source.name]


def table(out: Path) -> dict[str, dict[str, str]]:
    return {row["id"]: row for row in csv.DictReader((out / "people.csv").read_text().splitlines())}


def content(out: Path) -> dict[str, bytes]:
    """Every file of a people folder but the journals."""
    files = (path for path in out.rglob("*") if path.is_file() and ".build" not in path.parts)
    return {str(path.relative_to(out)): path.read_bytes() for path in files}


# ------------------------------------------------------------------ each dataset


def test_every_option_of_people_is_documented() -> None:
    source = (ROOT / "deocc/cli/people.py").read_text()
    options, page = (
        set(re.findall(r'"(--[a-z][a-z-]+)"', source)),
        (ROOT / "docs/command-line.md").read_text(),
    )
    common = {"--out", "--seed", "--device", "--workers", "--help"}
    negated = {"--occluders"} if "--no-occluders" in page else set()
    assert options >= {"--export", "--strict"}
    assert not [option for option in options - common - negated if not re.search(rf"{option}\b", page)]


def test_every_dataset_is_tested_and_has_a_command() -> None:
    assert set(DATASETS) == set(ABOUT)


@pytest.mark.parametrize("name", DATASETS)
def test_dataset(name: str, tmp_path: Path) -> None:
    make, kept, dropped = DATASETS[name]
    report = build(make(tmp_path / "data"), tmp_path / "people")
    assert sorted(table(tmp_path / "people")) == kept
    assert report["dropped"] == dropped and set(report["examples"]) == set(dropped)
    assert report["kept"] == len(kept) and report["people"] == len(kept) + sum(dropped.values())
    for person in PeopleFolder(tmp_path / "people"):
        assert person.source == name and person.licence
        figure = person.image[person.amodal_mask].mean()
        assert figure > 150 > person.image[~person.amodal_mask].mean(), "the mask lies on the figure"
        if person.parsing is not None:
            assert ((person.parsing > 0) == person.amodal_mask).all()


def test_masks_survive_the_ways_to_write_them(tmp_path: Path) -> None:
    build(make_coco(tmp_path / "data"), tmp_path / "people")
    for number, person in enumerate(PeopleFolder(tmp_path / "people")[:3], start=1):
        row = table(tmp_path / "people")[person.id]
        x0, y0, x1, y1 = map(int, row["region_xyxy"].split())
        truth = drawn(ring(20 + number % 7 * 10, 20 + number % 5 * 3))
        assert row["scale"] == "1" and (person.amodal_mask == truth[y0:y1, x0:x1]).all()
        assert person.amodal_mask.sum() == truth.sum(), "the region holds the whole person"


def test_columns_say_where_a_person_comes_from(tmp_path: Path) -> None:
    build(make_coco(tmp_path / "data"), tmp_path / "people")
    row = table(tmp_path / "people")["coco_train2017_900"]
    assert row["photo"] == "000000000001.jpg" and row["licence"] == "Attribution License"
    assert (row["split"], row["proposal"], row["mask_from"]) == ("train", "preserve", "dataset")
    assert 0 < float(row["confidence"]) <= 1
    build(make_objects365(tmp_path / "boxes"), tmp_path / "boxed")
    assert next(iter(table(tmp_path / "boxed").values()))["mask_from"] == "grabcut"


def test_coco_cats_become_occluders(tmp_path: Path) -> None:
    report = build(make_coco(tmp_path / "data"), tmp_path / "people")
    (cat,) = PeopleFolder(tmp_path / "people").occluders()
    assert report["occluders"] == 1 and cat.category == "cat" and cat.id == "coco_train2017_907"
    assert cat.image[cat.mask].mean() > 150


def test_things_of_voc_go_by_the_names_that_sizes_are_known_by(tmp_path: Path) -> None:
    source = make_voc(tmp_path / "data")
    entries = {"2007_000001": "voc", "2008_000001": "sbd"}
    with closing(open_index(source, tmp_path / "index")) as index:
        things = [s for key in entries for s in source.photo(index.entry(key)).subjects if s.role == "object"]
    assert [thing.category for thing in things] == ["bottle", "bottle"]
    assert real_metres("held", "bottle") and len(CLASSES) == 21 and CLASSES[PERSON] == "person"
    for name in ("airplane", "motorcycle", "potted plant", "couch"):
        assert name in CLASSES and real_metres("grounded", name)


def test_without_things_the_bundled_occluders_come_along(tmp_path: Path) -> None:
    build(make_ccp(tmp_path / "data"), tmp_path / "people")
    assert len(PeopleFolder(tmp_path / "people").occluders("val")) == 13
    build(make_ccp(tmp_path / "again"), tmp_path / "without", occluders=False)
    assert not (tmp_path / "without" / "occluders").exists()


def test_lip_and_ahp_parsing(tmp_path: Path) -> None:
    for make, sides in ((make_lip, True), (make_ahp, True)):
        root = tmp_path / make.__name__
        build(make(root), root / "people")
        person = PeopleFolder(root / "people")[0]
        assert person.true_sides == sides and set(np.unique(person.parsing)) == {0, 5, 9, 13}
    folder = PeopleFolder(tmp_path / "make_ahp" / "people")
    assert [row["has_parsing"] for row in folder.rows] == ["1", "1", "0"]
    assert [row["split"] for row in folder.rows] == ["train", "train", "val"]


def test_ahp_layout_is_a_parameter(tmp_path: Path) -> None:
    make_ahp(tmp_path)
    (tmp_path / "train").rename(tmp_path / "valid")
    layout = Ahp(tmp_path, "valid/JPEGImages", "valid/Annotations", "", ("valid/ImageSets/val.txt",))
    build(layout, tmp_path / "people")
    assert list(table(tmp_path / "people")) == ["ahp_b1"]
    with pytest.raises(DeoccError, match="train/JPEGImages: no such folder; name AHP's folders.*deeper ROOT"):
        build(Ahp(tmp_path), tmp_path / "other")


def test_ahp_is_found_in_the_top_folder_of_its_archive(tmp_path: Path) -> None:
    make_ahp(tmp_path / "AHP")
    report = build(Ahp(tmp_path), tmp_path / "people")
    assert report["kept"] == 3 and PeopleFolder(tmp_path / "people")[0].parsing is not None
    lists = ("train/ImageSets/train.txt",)
    with pytest.raises(DeoccError, match="train/JPEGImages: no such folder"):
        build(Ahp(tmp_path, lists=lists), tmp_path / "other")


def test_an_inverted_mask_of_ahp_is_dropped_and_named(tmp_path: Path) -> None:
    source = make_ahp(tmp_path / "data")
    path = tmp_path / "data/train/Annotations/a1.png"
    write_image(path, np.where(read_labels(path) > 0, 0, 255).astype(np.uint8))
    assert build(source, tmp_path / "people")["dropped"] == {"mask looks inverted": 1}


@pytest.mark.parametrize("kind", ["a1.jpg", "JPEGImages/a1.jpg Annotations/a1.png", "a1.JPG"])
def test_lists_of_files_are_lists_of_names(kind: str, tmp_path: Path) -> None:
    source = make_ahp(tmp_path / "data")
    lists = (tmp_path / "data/train/ImageSets").glob("*.txt")
    for path in lists:
        names = path.read_text().split()
        path.write_text("".join(kind.replace("a1", name) + "\n" for name in names))
    assert build(source, tmp_path / "people")["kept"] == 3
    assert "ahp_a1" in table(tmp_path / "people")


def test_ccp_parsing_and_carried_things(tmp_path: Path) -> None:
    build(make_ccp(tmp_path / "data"), tmp_path / "people")
    (person,) = PeopleFolder(tmp_path / "people")
    assert not person.true_sides and {2, 5, 9, 13, 18, 19} == set(np.unique(person.parsing)) - {0, 255}
    labels = np.array([[0, 2, 2, 4]], np.uint8)
    assert carried_share(labels, CCP_NAMES) == pytest.approx(2 / 3)
    assert carried_share(np.zeros((2, 2), np.uint8), CCP_NAMES) == 0


def test_cocoa_gives_natural_cases(tmp_path: Path) -> None:
    source = make_cocoa(tmp_path / "data")
    report = build(
        source,
        tmp_path / "people",
        options=replace(OPTIONS, write_case=partial(write_natural_case, tmp_path / "cases")),
    )
    (case,) = CaseFolder(tmp_path / "cases")
    assert report["cases"] == 1 and case.target is None
    man, hidden = drawn(ring(20, 25)), drawn([15.0, 70.0, 75.0, 70.0, 75.0, 110.0, 15.0, 110.0])
    assert case.occlusion_ratio == pytest.approx((man & hidden).sum() / man.sum(), abs=0.02)
    assert (case.occluder_mask & case.amodal_mask == case.invisible_mask).all()
    assert case.occluder_mask.sum() > case.invisible_mask.sum(), "the table is more than what it hides"


def test_lists_and_layouts_that_are_named_are_not_passed_over(tmp_path: Path) -> None:
    make_ahp(tmp_path / "ahp")
    lists = ("train/ImageSets/train.txt", "train/ImageSets/vall.txt")
    with pytest.raises(DeoccError, match="vall.txt: no such file"):
        build(Ahp(tmp_path / "ahp", lists=lists), tmp_path / "a")
    source = make_lip(tmp_path / "lip")
    outer = tmp_path / "lip" / "TrainVal_parsing_annotations"
    for split in ("train", "val"):
        folder = outer / f"{split}_segmentations"
        folder.rename(outer / "own")
        folder.mkdir()
        (outer / "own").rename(folder / f"{split}_segmentations")
    assert build(source, tmp_path / "b")["kept"] == build(make_lip(tmp_path / "flat"), tmp_path / "c")["kept"]


def test_annotations_beside_the_photos_of_both_parts_are_read(tmp_path: Path) -> None:
    make_objects365(tmp_path)
    path = tmp_path / "annotations" / "zhiyuan_objv2_train.json"
    for split in ("train", "val"):
        (tmp_path / split).mkdir(exist_ok=True)
        shutil.copy(path, tmp_path / split / f"zhiyuan_objv2_{split}.json")
    shutil.rmtree(tmp_path / "annotations")
    with closing(open_index(Objects365(tmp_path), tmp_path / "index")) as index:
        assert {key.split("/")[0] for key in index.keys()} == {"train", "val"}


@pytest.mark.parametrize("name", ["instances_train2014.json", "instances_minival2017.json"])
def test_releases_of_coco_that_hold_the_same_people_are_refused(name: str, tmp_path: Path) -> None:
    make_coco(tmp_path)
    path = tmp_path / "annotations" / "instances_train2017.json"
    if "minival" in name:
        shutil.copy(path, path.with_name("instances_val2017.json"))
    shutil.copy(path, path.with_name(name))
    with pytest.raises(DeoccError, match="hold the same people more than once; name one file"):
        build(Coco(tmp_path), tmp_path / "people")
    assert build(Coco(tmp_path, path), tmp_path / "people")["kept"]


def test_disjoint_parts_of_val_and_exports_of_ones_own_are_no_releases() -> None:
    for names in (["train2014", "minival2014", "valminusminival2014"], ["site2019", "site2020"]):
        refuse_releases([Part(Path(f"instances_{name}.json"), name) for name in names])


def test_one_box_outside_the_photo_does_not_lose_its_neighbours(tmp_path: Path) -> None:
    source = make_objects365(tmp_path)
    path = tmp_path / "annotations" / "zhiyuan_objv2_train.json"
    content = json.loads(path.read_text())
    content["annotations"].append(
        {"id": 77, "image_id": 1, "category_id": 1, "bbox": [WIDTH + 1, 10, 60, 60], "iscrowd": 0}
    )
    path.write_text(json.dumps(content))
    report = build(source, tmp_path / "people", options=replace(OPTIONS, segmenter="grabcut", keep="all"))
    assert "objects365_train_1" in table(tmp_path / "people") and "unexpected error" not in report["dropped"]
    report = build(source, tmp_path / "strict", options=replace(OPTIONS, segmenter="grabcut"))
    assert report["people"] == report["kept"] + sum(report["dropped"].values()), "nobody is dropped twice"


def test_words_and_depths_of_cocoa() -> None:
    assert is_person("Man in red") and is_person("the young WOMAN") and not is_person("snowman")
    assert not is_person("man's hand") and not is_person("table")
    for words in (
        "man's hat",
        "person\u2019s shoe",
        "boys bat",
        "bag of a woman",
        "a horse carrying a rider",
    ):
        assert not is_person(words), words
    for words in (
        "baseball player",
        "a standing man",
        "little running boy",
        "person B",
        "man holds bat",
        "man far left",
        "woman sitting on a bench",
        "person 2",
        "the guy on the left",
        "man left",
    ):
        assert is_person(words), words
    assert in_front("1-2,1-3,12-3", 3) == [1, 12] and in_front("", 1) == [] and in_front(None, 1) == []


def test_one_photo_has_one_split_across_datasets(tmp_path: Path) -> None:
    assert coco_identity("COCO_train2014_000000000139.jpg") == coco_identity("000000000139.jpg") == "coco:139"
    hashed = replace(OPTIONS, split="hash")
    make_coco(tmp_path / "a")
    build(Coco(tmp_path / "a"), tmp_path / "train", options=hashed)
    (tmp_path / "a" / "train2017").rename(tmp_path / "a" / "val2017")
    listed = tmp_path / "a" / "annotations" / "instances_train2017.json"
    listed.rename(listed.with_name("instances_val2017.json"))
    build(Coco(tmp_path / "a"), tmp_path / "val", options=hashed)
    splits = [
        {row["photo"]: row["split"] for row in table(tmp_path / name).values()} for name in ("train", "val")
    ]
    assert splits[0] == splits[1]


def test_keep_decides_what_is_written(tmp_path: Path) -> None:
    source = make_coco(tmp_path / "data")
    points = ring(60, 20)
    shifted = [v + 9 * (i % 2 == 0) for i, v in enumerate(points)]
    coco = CocoWriter(tmp_path / "data")
    coco.add(coco.image(1, drawn(points)), [shifted])  # the mask lies beside the figure
    coco.add(coco.image(2, drawn(ring(60, 49))), [ring(60, 49)])
    coco.save()
    kept = {}
    for keep in ("preserve", "refine", "all"):
        build(source, tmp_path / keep, options=replace(OPTIONS, keep=keep))
        kept[keep] = [row["proposal"] for row in table(tmp_path / keep).values()]
    assert kept == {"preserve": [], "refine": ["refine"], "all": ["refine", "discard"]}
    assert read_json(tmp_path / "all" / "report.json")["sources"]["coco"]["preserved_ratio"] == 0
    assert read_json(tmp_path / "preserve" / "report.json")["sources"]["coco"]["dropped"] == {
        "near the border": 1, "to refine: outline off the edges": 1
    }  # fmt: skip


def test_whoever_is_kept_for_routing_brings_the_proposal_along(tmp_path: Path) -> None:
    source, coco = make_coco(tmp_path / "data"), CocoWriter(tmp_path / "data")
    coco.people(1)
    coco.add(coco.image(2, drawn(ring(60, 49))), [ring(60, 49)])  # touches the border
    coco.save()
    build(source, tmp_path / "all", options=replace(OPTIONS, keep="all"))
    folder = PeopleFolder(tmp_path / "all")
    found = {candidate.proposal: candidate for candidate in FolderCandidates(folder)}
    assert set(found) == {"preserve", "discard"} and not found["preserve"].reasons
    assert "from the border" in found["discard"].reasons[0]
    log = RoutingLog(tmp_path / "routes.csv")
    for candidate in found.values():
        log.add(candidate.id, candidate.proposal, candidate.proposal)
    assert folder.subset(log.ids("preserve")).ids == [found["preserve"].id]


# ------------------------------------------------------------------ malformed


def broken(root: Path, segmentation: Any, **image: Any) -> dict[str, Any]:
    """A COCO dataset with one good person and one with this segmentation (or photo)."""
    coco = CocoWriter(root / "data")
    coco.people(1)
    coco.add(coco.image(50, drawn(ring(40, 25)), write=image.pop("write", True)), segmentation)
    coco.images[-1].update(image)
    coco.save()
    report = build(Coco(root / "data"), root / "people")
    assert list(table(root / "people")) == ["coco_train2017_900"], "the good one is kept"
    return report


GOOD = ring(40, 25)
FULL = {"size": [HEIGHT, WIDTH], "counts": [HEIGHT * WIDTH]}


@pytest.mark.parametrize(
    ("segmentation", "image", "reason", "said"),
    [
        ([[v + 90 for v in GOOD]], {}, "polygon outside the photo", "the photo is 150 x 120"),
        ([[1e9, 1, 2, 2, 3, 3]], {}, "polygon outside the photo", "1000000000"),
        ([[float("nan"), 1, 2, 2, 3, 3]], {}, "annotation damaged", "neither polygons"),
        ([GOOD[:-1]], {}, "annotation damaged", "a polygon of 29 numbers"),
        ([], {}, "annotation damaged", "no polygon"),
        ([["a", "b"]], {}, "annotation damaged", "neither polygons nor run lengths"),
        (None, {}, "annotation damaged", "neither polygons nor run lengths"),
        ({"size": [HEIGHT, WIDTH - 1], "counts": [HEIGHT * (WIDTH - 1)]}, {}, "run lengths of another size",
         "they are for 149 x 120"),
        ({"size": [HEIGHT, WIDTH], "counts": [10, 50]}, {}, "run lengths of another size", "cover 60 of"),
        ({"size": [HEIGHT, WIDTH], "counts": [10, -5, 17995]}, {}, "run lengths of another size", "cover"),
        ({"size": [HEIGHT, WIDTH], "counts": "zz\x7f~"}, {}, "annotation damaged", "character"),
        ({"size": [HEIGHT, WIDTH], "counts": "d"}, {}, "annotation damaged", "middle of a number"),
        ({"size": [HEIGHT, WIDTH], "counts": "5"}, {}, "run lengths of another size", "they cover 5 of"),
        ({"size": [HEIGHT], "counts": [1]}, {}, "annotation damaged", "run lengths without size"),
        (FULL, {}, "mask empty", "no pixel"),
        ([GOOD], {"write": False}, "photo missing", "000000000050.jpg"),
        ([GOOD], {"height": HEIGHT + 1}, "sizes differ", "the annotation says 150 x 121"),
        ([GOOD], {"file_name": None}, "photo not listed", "no file name"),
    ],
)  # fmt: skip
def test_a_broken_annotation_is_reported_and_skipped(segmentation, image, reason, said, tmp_path) -> None:  # type: ignore[no-untyped-def]
    report = broken(tmp_path, segmentation, **image)
    assert report["dropped"] == {reason: 1}
    assert said in report["examples"][reason][0] and str(tmp_path) not in json.dumps(report)


def test_damaged_photo_duplicates_and_strangers(tmp_path: Path) -> None:
    coco = CocoWriter(tmp_path / "data")
    coco.people(3)
    path = tmp_path / "data" / "train2017" / "000000000002.jpg"
    path.write_bytes(path.read_bytes()[:300])
    (tmp_path / "data" / "train2017" / "000000000003.jpg").write_text("no picture")
    coco.add(1, [ring(100, 10)], id=900)  # taken
    coco.add(77, [ring(100, 10)])  # no such photo
    coco.images.append({**coco.images[0], "file_name": "other.jpg"})
    coco.annotations.append("nonsense")
    coco.save()
    report = build(Coco(tmp_path / "data"), tmp_path / "people")
    assert report["dropped"] == {"duplicate id": 2, "photo damaged": 2, "photo not listed": 1}
    assert list(table(tmp_path / "people")) == ["coco_train2017_900"]


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda p: p.write_text(p.read_text()[:-40]), "instances_train2017.json: broken JSON"),
        (lambda p: p.write_text("{" + p.read_text()), "broken JSON"),
        (lambda p: p.write_bytes(b"\xff\xfe" + p.read_bytes()), "broken JSON"),
        (lambda p: p.write_text("{}"), "no category person"),
        (lambda p: p.write_text(p.read_text().replace("person", "stone")), "no category person"),
        (lambda p: p.unlink(), "COCO's annotations not found, looked for annotations/instances_*.json"),
        (lambda p: shutil.rmtree(p.parents[1]), "no such folder; give the folder of the unpacked dataset"),
    ],
)
def test_a_broken_dataset_stops_with_one_line(spoil, said, tmp_path, capsys) -> None:  # type: ignore[no-untyped-def]
    coco = CocoWriter(tmp_path / "data")
    coco.people(1)
    spoil(coco.save())
    with pytest.raises(SystemExit) as stop:
        cli.main(["people", "coco", str(tmp_path / "data"), "--out", str(tmp_path / "people")])
    error = capsys.readouterr().err
    assert stop.value.code == 2 and error.count("\n") == 1 and said in error
    assert not (tmp_path / "people" / "people.csv").exists()


@pytest.mark.parametrize(
    ("name", "spoil", "said"),
    [
        ("openimages", lambda r: (r / BOXES).write_text("a,b\n1,2\n"), "column ImageID"),
        ("openimages", lambda r: (r / BOXES).write_bytes(b"\xff" * 50), "not a CSV file"),
        ("voc", lambda r: shutil.rmtree(r / "VOCdevkit"), "VOC's lists not found"),
        ("lip", lambda r: next(r.rglob("train_id.txt")).write_bytes(b"\xff\xfe"), "not a text file"),
        ("lip", lambda r: shutil.rmtree(r / "TrainVal_parsing_annotations"), "LIP's label maps (train)"),
        ("ahp", lambda r: shutil.rmtree(r / "train" / "ImageSets"), "name AHP's lists of ids by --lists"),
        ("pennfudan", lambda r: shutil.rmtree(next(r.rglob("PedMasks"))), "Penn-Fudan's masks not found"),
        ("ccp", lambda r: (r / "clothing-co-parsing" / "label_list.mat").unlink(), "label_list.mat"),
        ("cocoa", lambda r: next(r.rglob("*.json")).write_text('{"images": [{}], "annotations": []}'),
         "1 images but 0 annotations"),
        ("cocoa", lambda r: next(r.rglob("*.json")).write_text("["), "broken JSON"),
        ("objects365", lambda r: next(r.rglob("*.json")).unlink(), "Objects365's annotations not found"),
    ],
)  # fmt: skip
def test_other_broken_datasets(name, spoil, said, tmp_path) -> None:  # type: ignore[no-untyped-def]
    source = DATASETS[name][0](tmp_path / "data")
    spoil(tmp_path / "data")
    with pytest.raises(DeoccError) as error:
        build(source, tmp_path / "people")
    assert said in str(error.value) and "\n" not in str(error.value)


def test_label_files_missing_or_damaged(tmp_path: Path) -> None:
    source = make_voc(tmp_path)
    base = tmp_path / "VOCdevkit" / "VOC2012"
    (base / "SegmentationClass" / "2007_000001.png").unlink()
    objects = base / "SegmentationObject" / "2007_000002.png"
    objects.write_bytes(objects.read_bytes()[:60])
    (tmp_path / "benchmark_RELEASE" / "dataset" / "inst" / "2008_000001.mat").write_bytes(b"MATLAB")
    report = build(source, tmp_path / "people")
    assert report["dropped"] == {"annotation damaged": 2, "annotation missing": 1, "photo missing": 1}


def test_label_map_of_another_size_or_class(tmp_path: Path) -> None:
    source = make_lip(tmp_path)
    folder = tmp_path / "TrainVal_parsing_annotations" / "train_segmentations"
    write_image(folder / "78_5.png", read_labels(folder / "78_5.png")[:-1])
    labels = read_labels(folder / "77_471474.png")
    write_image(folder / "77_471474.png", np.where(labels > 0, 20, 0).astype(np.uint8))
    report = build(source, tmp_path / "people")
    assert report["dropped"] == {"annotation damaged": 1, "duplicate id": 1, "sizes differ": 1}


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 40), st.integers(1, 40), st.floats(0, 1))
def test_run_lengths_round_trip(seed: int, height: int, width: int, share: float) -> None:
    rng = np.random.default_rng(seed)
    mask = rng.random((height, width)) < share
    mask = cv2.dilate(mask.astype(np.uint8), np.ones((rng.integers(1, 5), 1))).astype(bool)
    mask[rng.integers(height), rng.integers(width)] = True
    for segmentation in (packed(mask), {"size": [height, width], "counts": runs_of(mask)}):
        region = coco_region(segmentation)
        assert isinstance(region, RunLengths) and (region.mask((height, width)) == mask).all()
        with pytest.raises(Unusable):
            region.mask((height + 1, width))
        lying = replace(region, size=(height + 1, width))
        with pytest.raises(Unusable, match="they cover"):
            lying.mask((height + 1, width))


# ------------------------------------------------------------------ shards, workers, interruptions, memory


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twenty-five photos in COCO's format, some people dropped."""
    root = tmp_path_factory.mktemp("many") / "data"
    coco = CocoWriter(root)
    coco.people(20)
    for number in range(30, 35):
        coco.add(coco.image(number, drawn(ring(60, 49))), [ring(60, 49)])
    coco.save()
    return root


@pytest.fixture(scope="module")
def one_run(many: Path) -> Path:
    build(Coco(many), many.parent / "one")
    return many.parent / "one"


def test_shards_in_any_order_equal_one_run(many: Path, one_run: Path, tmp_path: Path) -> None:
    for i in (2, 3, 1):
        build(Coco(many), tmp_path / "people", shard=(i, 3))
    assert content(tmp_path / "people") == content(one_run)
    assert len(table(one_run)) == 20


def test_shards_copied_together_equal_one_run(many: Path, one_run: Path, tmp_path: Path, capsys) -> None:  # type: ignore[no-untyped-def]
    for i in (1, 2):
        build(Coco(many), tmp_path / f"shard{i}", shard=(i, 2))
        shutil.copytree(tmp_path / f"shard{i}", tmp_path / "people", dirs_exist_ok=True)
    assert content(tmp_path / "people") != content(one_run), "the last copy's tables are there"
    with pytest.raises(SystemExit):
        cli.main(["people", "merge", str(tmp_path / "people")])
    assert "coco: 20 of 25 people in 25 photos" in capsys.readouterr().out
    assert content(tmp_path / "people") == content(one_run)


def test_workers_change_nothing(many: Path, one_run: Path, tmp_path: Path) -> None:
    build(Coco(many), tmp_path / "people", workers=2)
    assert content(tmp_path / "people") == content(one_run)


def test_a_killed_run_goes_on(many: Path, one_run: Path, tmp_path: Path) -> None:
    """SIGKILL in the middle leaves whole files only; the next run ends as one run would have."""
    out = tmp_path / "people"
    code = (
        "import sys, time; from pathlib import Path; from dataclasses import replace\n"
        "from deocc.people.filtering import Thresholds\n"
        "from deocc.people.sources import build as b, coco\n"
        "real = b.build_photo\n"
        "def slow(*given):\n    time.sleep(0.15); return real(*given)\n"
        "b.build_photo = slow\n"
        "options = b.BuildOptions(Thresholds(min_side=50), occluder_share=1.0, segmenter='grabcut')\n"
        "b.build_people(coco.Coco(Path(sys.argv[1])), sys.argv[2], options, progress=False)\n"
    )
    run = subprocess.Popen([sys.executable, "-c", code, str(many), str(out)])
    deadline = time.monotonic() + 60
    while len(list((out / "masks").glob("[!.]*"))) < 5 and time.monotonic() < deadline:
        time.sleep(0.02)
    run.send_signal(signal.SIGKILL)
    run.wait()
    done = len(list((out / "masks").glob("[!.]*")))
    assert 5 <= done < 20 and not (out / "people.csv").exists()
    for path in out.rglob("[!.]*.jpg"):
        assert read_image(path).size
    build(Coco(many), out)
    left = {name for name in content(out) if "/." not in name}  # what SIGKILL left of a file being written
    assert {name: content(out)[name] for name in left} == content(one_run)


def test_a_second_run_does_nothing_twice(many: Path, one_run: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in (one_run / "masks").iterdir()}
    build(Coco(many), one_run)
    assert {path: path.stat().st_mtime_ns for path in (one_run / "masks").iterdir()} == before


def test_missing_photos_are_looked_for_again(tmp_path: Path) -> None:
    coco = CocoWriter(tmp_path / "data")
    coco.people(2)
    coco.save()
    hidden = tmp_path / "data" / "train2017" / "000000000001.jpg"
    hidden.rename(tmp_path / "aside.jpg")
    assert build(Coco(tmp_path / "data"), tmp_path / "people")["dropped"] == {"photo missing": 1}
    (tmp_path / "aside.jpg").rename(hidden)
    report = build(Coco(tmp_path / "data"), tmp_path / "people")
    assert report["dropped"] == {} and report["kept"] == 2


def test_two_datasets_share_a_folder(tmp_path: Path) -> None:
    build(make_coco(tmp_path / "a"), tmp_path / "people")
    build(make_pennfudan(tmp_path / "b"), tmp_path / "people")
    assert {row["source"] for row in table(tmp_path / "people").values()} == {"coco", "pennfudan"}
    assert set(read_json(tmp_path / "people" / "report.json")["sources"]) == {"coco", "pennfudan"}


def test_folders_of_another_making_are_refused(many: Path, one_run: Path, tmp_path: Path) -> None:
    with pytest.raises(DeoccError, match="coco was made with other options \\(thresholds\\)"):
        build(Coco(many), one_run, options=replace(OPTIONS, segmenter="grabcut", thresholds=Thresholds()))
    (tmp_path / "people.csv").write_text("id\n")
    with pytest.raises(DeoccError, match="were not made by this command"):
        build(Coco(many), tmp_path)
    with pytest.raises(DeoccError, match="nothing was built here"):
        write_tables(tmp_path)
    damaged = shutil.copytree(one_run, tmp_path / "damaged")
    (damaged / ".build" / "coco-1of1.sqlite").write_bytes(b"no database" * 100)
    with pytest.raises(DeoccError, match="coco-1of1.sqlite: damaged"):
        build(Coco(many), damaged)


@pytest.mark.parametrize("text", ["0/3", "4/3", "1", "a/b", "1/0", "-1/2", ""])
def test_bad_shards(text: str) -> None:
    with pytest.raises(DeoccError, match="i/n with 1 <= i <= n was expected"):
        parse_shard(text)


def test_every_photo_is_in_exactly_one_shard() -> None:
    shards = [[in_shard(f"photo{i}", (part, 4)) for part in range(1, 5)] for i in range(400)]
    assert all(sum(row) == 1 for row in shards)
    assert min(np.sum(shards, axis=0)) > 70


def _peak_of_indexing(root: Path, people: int) -> int:
    """Bytes that Python holds at most while a COCO file of so many people is indexed and read back."""
    coco = CocoWriter(root)
    for number in range(people):
        coco.image(number, write=False)
        coco.add(number, [[float(v) for v in ring(10, 10)]])
    coco.save()
    del coco
    tracemalloc.start()
    with closing(open_index(Coco(root), root / "index")) as index:
        assert (
            isinstance(index, Index) and sum(len(index.entry(key).subjects) for key in index.keys()) == people
        )
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak


def test_memory_does_not_grow_with_the_dataset(tmp_path: Path) -> None:
    few, many = (_peak_of_indexing(tmp_path / str(people), people) for people in (800, 8000))
    assert many < 1.2 * few


# ------------------------------------------------------------------ the command line, and what comes after


@pytest.mark.parametrize("name", ["openimages", "objects365"])
def test_an_unknown_segmenter_is_refused_before_the_first_photo(name: str, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    source = {"openimages": make_openimages, "objects365": make_objects365}[name](tmp_path / "data")
    with pytest.raises(DeoccError, match="segmenter 'mask-rcnn' is unknown"):
        build(source, tmp_path / "people", options=replace(OPTIONS, segmenter="mask-rcnn"), shard=(1, 2))


def test_a_segmenter_that_lacks_its_weights_is_not_replaced_by_a_box(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    source = make_objects365(tmp_path / "data")
    for method in ("deeplab", "mask-rcnn"):
        with pytest.raises(DeoccError) as error:
            build(source, tmp_path / "people", options=replace(OPTIONS, segmenter=method))
        assert "grabcut" in str(error.value) and "box" not in str(error.value)


def test_every_segmenter_is_named_in_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        cli.main(["people", "objects365", "--help"])
    shown = capsys.readouterr().out
    assert all(method in shown for method in METHODS)


@pytest.mark.parametrize("words", [["--min-side", "50"], ["--gutter", "1"], ["--keep", "all"]])
def test_options_of_the_filter_are_refused_where_nobody_is_filtered(
    words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make_ahp(tmp_path / "data")
    command = ["people", "ahp", str(tmp_path / "data"), "--out", str(tmp_path / "people")]
    with pytest.raises(SystemExit) as stop:
        cli.main([*command, *words])
    assert stop.value.code == 2 and f"{words[0]}: ahp has no use for it" in capsys.readouterr().err
    with pytest.raises(SystemExit) as stop:
        cli.main(command)
    assert not stop.value.code


@pytest.mark.parametrize("name", DATASETS)
def test_every_command_has_help(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        cli.main(["people", name, "--help"])
    shown = capsys.readouterr().out
    assert not stop.value.code
    assert all(
        option in shown for option in ("--out", "--shard", "--workers", "--seed", "--device", "--keep")
    )


def test_command_to_cases_and_training(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`people`, then `occlude` and `train`, each as a user calls it."""
    make_coco(tmp_path / "data")
    make_lip(tmp_path / "lip")
    people = tmp_path / "people"
    runs = [
        ["people", "coco", tmp_path / "data", "--min-side", 50, "--shard", "1/2", "--out", people],
        ["people", "coco", tmp_path / "data", "--min-side", 50, "--shard", "2/2", "--out", people],
        ["people", "lip", tmp_path / "lip", "--min-side", 50, "--out", people],
        ["occlude", people, "--split", "all", "--per-person", 1, "--out", tmp_path / "cases"],
        ["train", "mask/ours", "--people", people, "--preset", "tiny", "--steps", 2, "--all-people",
         "--device", "cpu", "--out", tmp_path / "run"],
    ]  # fmt: skip
    for words in runs:
        with pytest.raises(SystemExit) as stop:
            cli.main([str(word) for word in words])
        shown = capsys.readouterr()
        assert not stop.value.code, shown.err
        if words[1] == "lip":
            assert "dropped 1: duplicate id" in shown.out and "3 of 4 people in 3 photos" in shown.out
    assert len(CaseFolder(tmp_path / "cases")) == 7
    assert list((tmp_path / "run").glob("*.safetensors"))
