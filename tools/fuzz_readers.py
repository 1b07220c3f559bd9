"""Fuzzes every reader with mutated inputs: nothing may crash, escape or use too much memory.

Each input is read in this process under a limit of memory and time. Outcomes: ok, refused (one clear
DeoccError), traceback, memory, time, escape (a file was written outside the output folder, or read from
outside the dataset).

    python tools/fuzz_readers.py --count 1600 --seed 0 --json data/results/fuzz-readers.json

With `--add`, counts of runs with other seeds are added to the file.
"""

from __future__ import annotations

import argparse
import contextlib
import csv
import dataclasses
import io
import json
import logging
import random
import shutil
import signal
import sys
import tarfile
import tempfile
import time
import traceback
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import deocc  # noqa: F401  # before torch

# isort: split
import cv2
import numpy as np
import torch
from PIL import Image
from scipy.io import savemat

from deocc.errors import DeoccError
from deocc.experiments.registry import SYSTEMS, preset_of
from deocc.io import read_image, read_json, read_labels, read_mask, read_parsing, read_rgba, write_json
from deocc.models import ContentRecoveryNet, MaskCompletionNet, load_weights, save_weights
from deocc.occlusion import CaseFolder
from deocc.paths import RESULTS
from deocc.people import PeopleFolder
from deocc.people.filtering import Thresholds
from deocc.people.recipe import read_recipe, rebuild
from deocc.people.routing import RoutingLog
from deocc.people.sources.ahp import Ahp
from deocc.people.sources.build import build_people
from deocc.people.sources.ccp import ClothingCoParsing
from deocc.people.sources.coco import Coco
from deocc.people.sources.cocoa import Cocoa
from deocc.people.sources.journal import write_tables
from deocc.people.sources.lip import Lip
from deocc.people.sources.objects365 import Objects365
from deocc.people.sources.openimages import OpenImages
from deocc.people.sources.options import BuildOptions
from deocc.people.sources.pennfudan import PennFudan
from deocc.people.sources.voc import Voc
from deocc.people.unpack import unpack
from deocc.tables.collection import collect
from deocc.tables.page import format_report
from deocc.tables.report import table_json
from deocc.tables.rows import TABLE_2
from deocc.tables.stored import read_results
from deocc.training.config import TrainConfig, from_dict
from deocc.training.loop import train

SIDE = 96  # pixels of the photos
MEMORY = 2_000_000_000  # bytes that one input may take beyond what the process has
SECONDS = 30
OPTIONS = BuildOptions(Thresholds(min_side=20), occluder_share=1.0, segmenter="grabcut", keep="all")


class TooSlow(BaseException):
    """The alarm went off."""


# ------------------------------------------------------------------ valid inputs


def figure(x: int = 30) -> np.ndarray:
    """A body in a photo; SIDE x SIDE bool."""
    mask = np.zeros((SIDE, SIDE), np.uint8)
    cv2.ellipse(mask, (x + 15, 48), (12, 36), 0, 0, 360, 1, -1)
    return mask.astype(bool)


def picture(path: Path, seed: int = 0) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(seed).integers(30, 60, (SIDE, SIDE, 3), np.uint8)
    noise[figure()] += 120
    Image.fromarray(noise).save(path)


def grey(path: Path, labels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(labels.astype(np.uint8)).save(path)


def ring() -> list[float]:
    points = cv2.findContours(figure().astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)[0][0]
    return [float(v) for v in points.ravel()]


def coco_like(root: Path, file: str, person: str, photos: str) -> None:
    for number in (1, 2):
        picture(root / photos / f"{number:012d}.jpg", number)
    images = [{"id": n, "file_name": f"{n:012d}.jpg", "height": SIDE, "width": SIDE} for n in (1, 2)]
    boxed = {"iscrowd": 0, "bbox": [30.0, 12, 30, 72], "area": 2000.0}
    annotations = [
        {"id": 7, "image_id": 1, "category_id": 1, "segmentation": [ring()], **boxed},
        {"id": 8, "image_id": 2, "category_id": 1, **boxed,
         "segmentation": {"size": [SIDE, SIDE], "counts": [SIDE * 40, SIDE * 10, SIDE * 46]}},
        {"id": 9, "image_id": 2, "category_id": 2, "segmentation": [ring()], **boxed},
    ]  # fmt: skip
    categories = [{"id": 1, "name": person}, {"id": 2, "name": "cat"}]
    write_json(root / file, {"images": images, "annotations": annotations, "categories": categories})


def make_cocoa(root: Path) -> None:
    picture(root / "train2014" / "a.jpg")
    regions = [{"segmentation": ring(), "name": "man", "order": 1, "visible_mask": {
        "size": [SIDE, SIDE], "counts": [SIDE * 40, SIDE * 10, SIDE * 46]}},
        {"segmentation": [1.0, 1, 9, 1, 9, 9], "name": "table"}]  # fmt: skip
    images = [{"id": 5, "file_name": "a.jpg", "height": SIDE, "width": SIDE}]
    notes = [{"image_id": 5, "id": 1, "regions": regions, "depth_constraint": "2-1"}]
    write_json(root / "annotations/COCO_amodal_train2014.json", {"images": images, "annotations": notes})


def make_openimages(root: Path) -> None:
    picture(root / "train" / "ab.jpg")
    text = ("ImageID,LabelName,XMin,XMax,YMin,YMax,IsOccluded,IsTruncated,IsGroupOf,IsDepiction\n"
            "ab,/m/01g317,0.3,0.65,0.1,0.9,0,0,0,0\nab,/m/04yx4,0.1,0.2,0.1,0.9,1,0,1,-1\n")  # fmt: skip
    (root / "train-annotations-bbox.csv").write_text(text)


def make_voc(root: Path) -> None:
    base = root / "VOC2012"
    picture(base / "JPEGImages/x.jpg")
    grey(base / "SegmentationObject/x.png", figure() * 1)
    grey(base / "SegmentationClass/x.png", figure() * 15)
    (base / "ImageSets/Segmentation").mkdir(parents=True)
    (base / "ImageSets/Segmentation/train.txt").write_text("x\n")
    sbd = root / "benchmark_RELEASE/dataset"
    picture(sbd / "img/y.jpg")
    (sbd / "inst").mkdir()
    savemat(sbd / "inst/y.mat", {"GTinst": {"Segmentation": figure() * np.uint8(1), "Categories": [[15]]}})
    for split, words in (("train", "y\n"), ("val", "")):
        (sbd / f"{split}.txt").write_text(words)


def make_lip(root: Path) -> None:
    picture(root / "train_images/1_2.jpg")
    grey(root / "train_segmentations/1_2.png", figure() * 5)
    (root / "train_id.txt").write_text("1_2\n")


def make_ahp(root: Path) -> None:
    picture(root / "train/JPEGImages/a.jpg")
    grey(root / "train/Annotations/a.png", figure() * 255)
    grey(root / "train/PseudoParsingAnnotations/a.png", figure() * 5)
    (root / "train/ImageSets").mkdir()
    (root / "train/ImageSets/train.txt").write_text("a\n")


def make_pennfudan(root: Path) -> None:
    picture(root / "PNGImages/p.png")
    grey(root / "PedMasks/p_mask.png", figure() * 1)


def make_ccp(root: Path) -> None:
    picture(root / "photos/0001.jpg")
    (root / "annotations/pixel-level").mkdir(parents=True)
    savemat(root / "annotations/pixel-level/0001.mat", {"groundtruth": figure() * np.uint8(2)})
    savemat(root / "label_list.mat", {"label_list": np.array([["null", "hair", "t-shirt"]], object)})


def make_people(root: Path) -> None:
    for name in ("a", "b"):
        picture(root / f"images/{name}.jpg")
        grey(root / f"masks/{name}.png", figure() * 255)
        grey(root / f"parsing/{name}.png", figure() * 5)
    (root / "people.csv").write_text("id,split,source,has_parsing,true_sides,licence\na,val,coco,1,0,x\n"
                                     "b,train,lip,0,1,\n")  # fmt: skip
    (root / "occluders").mkdir()
    Image.fromarray(np.full((20, 20, 4), 255, np.uint8)).save(root / "occluders/o.png")
    (root / "occluders/occluders.csv").write_text("id,split,category,licence\no,val,thing,\n")


def make_recipe(root: Path) -> None:
    make_pennfudan(root / "pennfudan")
    fields = ["id", "split", "photo", "annotation", "region_xywh", "box_xywh", "photo_size", "mask_share",
              "licence", "bag_share"]  # fmt: skip
    line = ["p1", "train", "PNGImages/p.png", "PedMasks/p_mask.png#1", [20, 4, 60, 88], [33, 12, 25, 73],
            [SIDE, SIDE], float(figure()[4:92, 20:80].mean()), 0, None]  # fmt: skip
    things = ["id", "split", "photo", "annotation", "category", "size", "licence"]
    write_json(root / "recipe.json", {
        "format": "deocc recipe 1", "person_fields": fields, "occluder_fields": things, "longer_side": 224,
        "quality": 90, "occluder_side": 99, "licences": ["free"], "people": {"pennfudan": [line]},
        "occluders": {}, "lost": {"vik": {"why": "gone", "train": 3}},
    })  # fmt: skip


def make_journal(root: Path) -> None:
    make_pennfudan(root / "data")
    build_people(PennFudan(root / "data"), root / "people", OPTIONS, progress=False, occluders=False)


def make_cases(root: Path) -> None:
    case = root / "c1"
    picture(case / "image.png")
    picture(case / "target.png")
    for name in ("modal", "amodal", "occluder", "initial"):
        grey(case / f"{name}.png", figure() * 255)
    grey(case / "parsing.png", figure() * 5)
    write_json(case / "case.json", {"box_xyxy": [30, 12, 60, 84], "occlusion_ratio": 0.2, "person_id": "c"})


def make_zip(root: Path) -> None:
    with zipfile.ZipFile(root / "a.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for name in ("set/1.txt", "set/2.txt"):
            archive.writestr(name, b"words " * 50)


def make_tar(root: Path) -> None:
    with tarfile.open(root / "a.tgz", "w:gz") as archive:
        info = tarfile.TarInfo("set/1.txt")
        info.size = 300
        archive.addfile(info, io.BytesIO(b"words " * 50))


def make_pictures(root: Path) -> None:
    picture(root / "a.jpg")
    picture(root / "a.png")
    grey(root / "g.png", figure() * 5)
    Image.fromarray((figure() * 60000).astype(np.uint16)).save(root / "d.png")
    Image.fromarray(np.full((20, 20, 4), 255, np.uint8)).save(root / "r.png")


def make_log(root: Path) -> None:
    (root / "routes.csv").write_text("id,route,proposal,seconds\na,preserve,preserve,1.5\n")


class Blur:
    """One convolution to be trained, with items by (epoch, index)."""

    discriminator, step = None, 0

    def __init__(self) -> None:
        self.network = torch.nn.Conv2d(3, 3, 3, padding=1)

    def losses(self, batch: Any) -> dict[str, torch.Tensor]:
        return {"squares": self.network(batch["image"]).square().mean()}

    def to(self, device: Any) -> Blur:
        self.network.to(device)
        return self

    def __len__(self) -> int:
        return 4

    def item(self, epoch: int, index: int) -> dict[str, torch.Tensor]:
        return {"image": torch.full((3, 4, 4), epoch + index / 4)}


RUN = TrainConfig(
    batch_size=2, steps=6, schedule="constant", warmup_steps=0, workers=0, eval_every=0, checkpoint_every=2,
    log_every=2,
)  # fmt: skip


def make_run(root: Path) -> None:
    train(Blur(), Blur(), RUN, root / "run", device="cpu")


def make_settings(root: Path) -> None:
    """Every field of a preset by its dotted key, as `--set` and the tables change them."""

    def walk_fields(config: Any, path: str) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for one in dataclasses.fields(config):
            value, key = getattr(config, one.name), f"{path}{one.name}"
            found |= walk_fields(value, f"{key}.") if dataclasses.is_dataclass(value) else {key: value}
        return found

    for number, name in enumerate(("mask/ours", "content/ours", "mask/pix2pix", "content/deepfill")):
        stage = SYSTEMS[name].stage
        fields = walk_fields(preset_of(name, "tiny"), "")
        write_json(root / f"{number}.json", {
            "system": name, "changes": {k: v for k, v in fields.items() if k.startswith((stage, "size"))},
        })  # fmt: skip


def make_weights(root: Path) -> None:
    save_weights(root / "mask.safetensors", MaskCompletionNet(8, templates=(2, 8, 8), levels=4))
    save_weights(root / "content.safetensors", ContentRecoveryNet(8, levels=5))


def make_result(root: Path) -> None:
    """A stored result of a table, with fewer cases."""
    path = min((RESULTS / "tables").glob("control-initial-*.json"))
    value = json.loads(path.read_text())
    for result in value["results"].values():
        result["per_case"] = {key: column[:5] for key, column in result["per_case"].items()}
    write_json(root / path.name, value)


# ------------------------------------------------------------------ readers


def read_run(root: Path, out: Path) -> None:
    with contextlib.suppress(DeoccError):
        config = read_json(root / "run/config.json")
        from_dict(TrainConfig, config if isinstance(config, dict) else {})
    train(Blur(), Blur(), dataclasses.replace(RUN, steps=8), root / "run", resume=True, device="cpu")


def read_settings(root: Path, out: Path) -> None:
    for path in sorted(root.glob("*.json")):
        value = read_json(path)
        try:
            system, changes = value["system"], dict(value["changes"])
        except (TypeError, KeyError, ValueError):
            continue  # no change that --set could make
        preset_of(str(system), "tiny", {str(key): new for key, new in changes.items()})


def read_weights(root: Path, out: Path) -> None:
    for path in sorted(root.glob("*.safetensors")):
        load_weights(path)


def read_a_result(root: Path, out: Path) -> None:
    table = collect(TABLE_2, "small", read_results([root]))
    format_report(table_json(table), TABLE_2)


def building(source: Callable[[Path], Any]) -> Callable[[Path, Path], None]:
    def read(root: Path, out: Path) -> None:
        report = build_people(source(root), out, OPTIONS, progress=False, occluders=False)
        for facts in report["sources"].values():  # caught, named and counted, but nobody expected it
            assert "unexpected error" not in facts["dropped"], facts["examples"]["unexpected error"]
        list(PeopleFolder(out))

    return read


def read_people(root: Path, out: Path) -> None:
    folder = PeopleFolder(root)
    for items in (folder, folder.occluders()):
        for index in range(len(items)):
            with contextlib.suppress(DeoccError):
                items[index]


def read_pictures(root: Path, out: Path) -> None:
    for path in sorted(root.iterdir()):
        for read in (read_image, read_labels, read_mask, read_parsing, read_rgba):
            with contextlib.suppress(DeoccError):
                read(path)


def read_log(root: Path, out: Path) -> None:
    log = RoutingLog(root / "routes.csv")
    assert log.median_seconds >= 0 or not log.rows or log.median_seconds != log.median_seconds
    log.counts  # noqa: B018


def read_cases(root: Path, out: Path) -> None:
    list(CaseFolder(root))


def read_stored(root: Path, out: Path) -> None:
    read_json(root / "c1/case.json")


def read_a_recipe(root: Path, out: Path) -> None:
    rebuild(read_recipe(root / "recipe.json"), root, out)


def unpacking(name: str) -> Callable[[Path, Path], None]:
    return lambda root, out: print(unpack(root / name, out, progress=False), file=io.StringIO())


@dataclass(frozen=True)
class Reader:
    """A valid input, its reader, and the files to mutate."""

    make: Callable[[Path], None]
    read: Callable[[Path, Path], None]
    files: str  # pattern


READERS = {
    "coco": Reader(lambda r: coco_like(r, "annotations/instances_train2017.json", "person", "train2017"),
                   building(Coco), "*.json"),
    "objects365": Reader(lambda r: coco_like(r, "annotations/zhiyuan_objv2_train.json", "Person", "train"),
                         building(Objects365), "*.json"),
    "cocoa": Reader(make_cocoa, building(Cocoa), "*.json"),
    "openimages": Reader(make_openimages, building(OpenImages), "*.csv"),
    "voc": Reader(make_voc, building(Voc), "*.[tpm]*"),
    "sbd": Reader(make_voc, building(Voc), "*.mat"),
    "lip": Reader(make_lip, building(Lip), "*.[tpj]*"),
    "ahp": Reader(make_ahp, building(Ahp), "*.[tpj]*"),
    "pennfudan": Reader(make_pennfudan, building(PennFudan), "*.png"),
    "ccp": Reader(make_ccp, building(ClothingCoParsing), "*.mat"),
    "people.csv": Reader(make_people, read_people, "*.csv"),
    "people": Reader(make_people, read_people, "*.[pj]*g"),
    "recipe": Reader(make_recipe, read_a_recipe, "recipe.json"),
    "journal": Reader(make_journal, lambda r, o: print(write_tables(r / "people", False), file=io.StringIO()),
                      "*.sqlite"),
    "cases": Reader(make_cases, read_cases, "*.json"),
    "stored": Reader(make_cases, read_stored, "*.json"),
    "pictures": Reader(make_pictures, read_pictures, "*.*"),
    "zip": Reader(make_zip, unpacking("a.zip"), "*.zip"),
    "tar": Reader(make_tar, unpacking("a.tgz"), "*.tgz"),
    "checkpoints": Reader(make_run, read_run, "*.[pjc]*"),
    "settings": Reader(make_settings, read_settings, "*.json"),
    "weights": Reader(make_weights, read_weights, "*.safetensors"),
    "results": Reader(make_result, read_a_result, "*.json"),
    "routes": Reader(make_log, read_log, "*.csv"),
}  # fmt: skip


# ------------------------------------------------------------------ mutations

WORDS: list[Any] = [
    None, True, False, -1, 0, 1.0, 2**31, 2**63, 10**400, 1e308, -1e308, "", "1", "1.0", "TRUE", "yes", "NaN",
    "../../x", "../x.jpg", "/etc/passwd", "C:\\x", "a\x00b", "x" * 5000, "\ud800", "①", "é", [], {}, [[]],
    [None], {"a": {}}, [1] * 3000, "../" * 40 + "etc/passwd", "con", ".", "..", "~", "%s%n", "=1+1", "\u202e",
    [[1, 2]], [[1, 2, 3, 4]], {"size": 1}, {"size": [96, 96], "counts": "0" * 999},
    {"size": [10**9, 10**9], "counts": [10**18]},
]  # fmt: skip


def walk(value: Any, place: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Every place in a JSON value."""
    yield place
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield from walk(inner, (*place, key))


def mutate_json(data: bytes, rng: random.Random) -> bytes:
    """Changes, removes or doubles one place; or nests or lengthens the text."""
    value = json.loads(data)
    kind = rng.randrange(12)
    if kind == 0:
        return b"[" * rng.choice([30, 1000, 200_000]) + data
    if kind == 1:
        return data.replace(b"[", b"[" * rng.choice([20, 100_000]), 1)
    if kind == 2:
        return data.replace(b"1", b"9" * rng.choice([20, 400, 5000]), rng.randrange(1, 4))
    if kind == 3:
        return data.replace(b"}", b', "k": NaN, "l": Infinity}', rng.randrange(1, 6))
    for _ in range(rng.randrange(1, 4)):
        places = [place for place in walk(value) if place]
        if not places:
            break
        *way, last = rng.choice(places)
        inner = value
        for key in way:
            inner = inner[key]
        if rng.random() < 0.15:
            del inner[last]
        elif rng.random() < 0.15 and isinstance(inner, list):
            inner.append(inner[last])
        else:
            inner[last] = rng.choice(WORDS)
    text = json.dumps(value, ensure_ascii=rng.random() < 0.8)
    return text.encode(rng.choice(["utf-8", "utf-8", "utf-8-sig", "utf-16"]), "surrogatepass")


def mutate_checkpoint(path: Path, rng: random.Random) -> bytes:
    """Changes or removes one place of a checkpoint."""
    state = torch.load(path, weights_only=True)
    *way, last = rng.choice([place for place in walk(state) if place])
    inner = state
    for key in way:
        inner = inner[key]
    if isinstance(inner, dict) and rng.random() < 0.2:
        del inner[last]
    elif isinstance(inner, dict | list):
        words = [word for word in WORDS if not (isinstance(word, str) and "\ud800" in word)]
        inner[last] = rng.choice([*words, torch.zeros(3), torch.ones(2, 2, dtype=torch.int64)])
    sink = io.BytesIO()
    torch.save(state, sink)
    return sink.getvalue()


def mutate_weights(data: bytes, rng: random.Random) -> bytes:
    """Changes the header of a safetensors file: network, shape or words."""
    size = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + size])
    about = header["__metadata__"]
    kind = rng.randrange(4)
    if kind == 0:
        about["class"] = rng.choice(["ContentRecoveryNet", "MaskCompletionNet", "Conv2d", "", "os.system"])
    elif kind == 1:
        del about[rng.choice(sorted(about))]
    else:
        about["config"] = mutate_json(about["config"].encode(), rng).decode("utf-8", "replace")
    text = json.dumps(header).encode("utf-8", "replace")
    return len(text).to_bytes(8, "little") + text + data[8 + size :]


def mutate_csv(data: bytes, rng: random.Random) -> bytes:
    """Changes one field, or separators, encodings, lengths of rows."""
    rows = list(csv.reader(io.StringIO(data.decode())))
    for _ in range(rng.randrange(1, 4)):
        row = rng.choice(rows)
        if row and rng.random() < 0.8:
            row[rng.randrange(len(row))] = str(rng.choice(WORDS))
        elif rng.random() < 0.5:
            row.append("more")
        elif row:
            row.pop()
    text = io.StringIO()
    csv.writer(text, delimiter=rng.choice(",,;\t|")).writerows(rows)
    encoding = rng.choice(["utf-8", "utf-8-sig", "utf-16", "latin-1"])
    return rng.choice(["", "", "sep=;\n"]).encode(encoding) + text.getvalue().encode(encoding, "replace")


def mutate_bytes(data: bytes, rng: random.Random) -> bytes:
    """Flips bits; removes, doubles or zeroes pieces; cuts the end off."""
    raw = bytearray(data)
    for _ in range(rng.choice([1, 1, 3, 10, 50])):
        if not raw:
            break
        place, kind = rng.randrange(len(raw)), rng.randrange(6)
        length = rng.choice([1, 2, 4, 16, 200])
        if kind <= 1:
            raw[place] ^= 1 << rng.randrange(8)
        elif kind == 2:
            raw[place : place + length] = rng.randbytes(length)
        elif kind == 3:
            raw[place : place + length] = rng.choice([b"\x00", b"\xff", b"\x7f"]) * length
        elif kind == 4:
            raw[place:place] = raw[place : place + length]
        else:
            del raw[place : place + (length if rng.random() < 0.8 else len(raw))]
    return bytes(raw)


def bomb(name: str, rng: random.Random) -> bytes | None:
    """For some suffixes, a bomb or a file that leads out of its folder."""
    sink = io.BytesIO()
    if name.endswith(".zip"):
        with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED) as archive:
            if rng.random() < 0.5:
                archive.writestr("zeros", bytes(250_000_000))
            else:
                archive.writestr(rng.choice(["../out", "/out", "a/../../out", "..\\out", "C:\\out"]), b"out")
        return sink.getvalue()
    if name.endswith(".tgz"):
        with tarfile.open(fileobj=sink, mode="w:gz", compresslevel=1) as tar:
            info = tarfile.TarInfo(rng.choice(["zeros", "../out", "/out"]))
            info.size = 250_000_000 if info.name == "zeros" else 3
            if rng.random() < 0.3:
                info = tarfile.TarInfo("a")
                info.type, info.size = tarfile.GNUTYPE_LONGNAME, 250_000_000
            tar.addfile(info, io.BytesIO(bytes(info.size)))
        return sink.getvalue()
    if name.endswith(".mat"):
        savemat(sink, {"groundtruth": np.zeros((20_000, 20_000), np.uint8),
                       "GTinst": {"Segmentation": np.zeros((3, 3)), "Categories": [[1e300]]}},
                do_compression=True)  # fmt: skip
        return sink.getvalue()
    if name.endswith(".png"):
        Image.new(rng.choice(["1", "L"]), (12_500, 12_500)).save(sink, "PNG")
        return sink.getvalue()
    return None


def mutate(path: Path, rng: random.Random) -> None:
    """Mutates a file in place, by its kind."""
    data = path.read_bytes()
    if rng.random() < 0.03 and (made := bomb(path.name, rng)) is not None:
        data = made
    elif path.suffix == ".pt" and rng.random() < 0.7:
        data = mutate_checkpoint(path, rng)
    elif path.suffix == ".safetensors" and rng.random() < 0.7:
        data = mutate_weights(data, rng)
    elif path.suffix == ".json" and rng.random() < 0.8:
        data = mutate_json(data, rng)
    elif path.suffix == ".csv" and rng.random() < 0.8:
        data = mutate_csv(data, rng)
    elif path.suffix == ".txt":
        words = [str(word).encode("utf-8", "surrogatepass") for word in rng.sample(WORDS, 3)]
        data = rng.choice([data + b"\n".join(words), mutate_bytes(data, rng)])
    else:
        data = mutate_bytes(data, rng)
    path.write_bytes(data)


# ------------------------------------------------------------------ one input


@dataclass
class Tally:
    """The outcomes of all inputs."""

    outcomes: dict[str, Counter[str]] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)
    most_memory: int = 0
    most_seconds: float = 0.0

    def total(self) -> Counter[str]:
        return sum(self.outcomes.values(), Counter[str]())


def memory() -> int:
    """Bytes that this process holds now."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * 4096


def reset_peak() -> None:
    with contextlib.suppress(OSError), open("/proc/self/clear_refs", "w") as file:
        file.write("5")


def peak() -> int:
    """Most bytes that this process has held since `reset_peak`."""
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) * 1024 for line in file if line.startswith("VmHWM"))


def everything(folder: Path, but: Path) -> set[str]:
    return {str(p) for p in folder.rglob("*") if but not in p.parents and p != but}


def run_one(name: str, seed: int, cache: Path, tally: Tally) -> str:
    """Makes, mutates and reads one input. Returns: the outcome."""
    reader, rng = READERS[name], random.Random(f"{name} {seed}")
    with tempfile.TemporaryDirectory() as folder:
        root, out = Path(folder) / "a" / "b" / "data", Path(folder) / "a" / "b" / "out"
        shutil.copytree(cache / name, root)
        mutate(rng.choice(sorted(path for path in root.rglob(reader.files) if path.is_file())), rng)
        decoys(Path(folder))
        before = everything(Path(folder), root)
        reset_peak()
        held, start, outcome = memory(), time.monotonic(), "ok"
        signal.alarm(SECONDS + 5)
        try:
            reader.read(root, out)
        except DeoccError as error:
            outcome = "refused" if "\n" not in str(error) else "traceback"
        except TooSlow:
            outcome = "time"
        except MemoryError:
            outcome = "memory"
        except Exception:
            outcome = "traceback"
            tally.failures.append(f"{name} {seed}: {traceback.format_exc(limit=-4)}")
        finally:
            signal.alarm(0)
        seconds, grown = time.monotonic() - start, peak() - held
        tally.most_memory = max(tally.most_memory, grown)
        tally.most_seconds = max(tally.most_seconds, seconds)
        outcome = "memory" if grown > MEMORY else "time" if seconds > SECONDS else outcome
        if found := escapes(Path(folder), root, out, before):
            outcome = "escape"
            tally.failures.append(f"{name} {seed}: {found[:3]}")
        return outcome


def escapes(folder: Path, root: Path, out: Path, before: set[str]) -> list[str]:
    """Files written outside the output folder, or copied from outside the dataset (decoys are red)."""
    strange = [p for p in everything(folder, root) - before if p != str(out) and not p.startswith(f"{out}/")]
    for path in (*out.rglob("*.jpg"), *out.rglob("*.png")):
        image = cv2.imread(str(path))
        if image is not None and (image.reshape(-1, 3).mean(0)[:2] < 9).all() and image[..., 2].mean() > 200:
            strange.append(str(path))
    return strange


def decoys(folder: Path) -> None:
    """Puts red pictures where a name that leads out of the dataset would find them."""
    for place in (folder, folder / "a", folder / "a/b"):
        for name in ("x.jpg", "x.png", "x"):
            Image.new("RGB", (SIDE, SIDE), (255, 0, 0)).save(place / name, "PNG")


def _too_slow(*_: Any) -> None:
    raise TooSlow


def fuzz(count: int, seed: int = 0, only: list[str] | None = None) -> Tally:
    """Reads `count` mutated inputs, each reader in turn."""
    tally, names = Tally(), only or list(READERS)
    logging.getLogger("deocc").setLevel(logging.ERROR)
    signal.signal(signal.SIGALRM, _too_slow)
    with tempfile.TemporaryDirectory() as folder:
        for name in names:
            (Path(folder) / name).mkdir()
            READERS[name].make(Path(folder) / name)
        with contextlib.redirect_stderr(io.StringIO()):
            for number in range(count):
                name = names[number % len(names)]
                outcome = run_one(name, seed + number, Path(folder), tally)
                tally.outcomes.setdefault(name, Counter())[outcome] += 1
    return tally


def added(before: Any, more: Any) -> Any:
    """Merges the figures of two runs: counts are added, the larger "most_..." stays."""
    if isinstance(more, dict):
        known = {name: added(before[name], more[name]) if name in before else more[name] for name in more}
        largest = {name: max(before[name], more[name]) for name in more if name[:4] == "most" and before}
        return {**before, **known, **largest}
    return before + more


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", nargs="*", choices=list(READERS))
    parser.add_argument("--json", type=Path)
    parser.add_argument("--add", action="store_true", help="to the figures that --json has")
    given = parser.parse_args()
    start = time.monotonic()
    tally = fuzz(given.count, given.seed, given.only)
    for failure in tally.failures:
        print(failure, file=sys.stderr)
    result = added(read_json(given.json) if given.add and given.json.is_file() else {}, {
        "inputs": given.count, "seeds": [given.seed], "outcomes": dict(tally.total()),
        "readers": {name: dict(counts) for name, counts in tally.outcomes.items()},
        "most_memory_mb": round(tally.most_memory / 1e6), "most_seconds": round(tally.most_seconds, 1),
        "seconds": round(time.monotonic() - start),
    })  # fmt: skip
    print(json.dumps(result, indent=1))
    if given.json:
        write_json(given.json, result)
    sys.exit(bool(set(tally.total()) - {"ok", "refused"}))


if __name__ == "__main__":
    main()
