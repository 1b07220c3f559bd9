"""Stand-ins for public datasets: rendered people in COCO's and Objects365's formats, with ground truth.

With them, a reader without the datasets can work through Sec. 4 of the paper. They also measure the automatic
filter, because the right route of every person is known.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from pycocotools import mask as coco_mask

from deocc.errors import PlacementError
from deocc.io import PathLike, write_image, write_json
from deocc.masks import mask_box
from deocc.occlusion import occlude, segmenter_error
from deocc.occlusion.case import person_as_occluder
from deocc.people.filtering import Route
from deocc.people.folder import Occluder, Person

# what can befall a person in a photo -> the right route, and how often it befalls here
KINDS: dict[str, tuple[Route, float]] = {
    "unoccluded": ("preserve", 0.40),
    "behind a thing": ("discard", 0.18),
    "behind a person": ("discard", 0.10),
    "out of view": ("discard", 0.12),
    "small": ("discard", 0.08),
    "bad mask": ("refine", 0.12),
}
ODDS = [odds / sum(o for _, o in KINDS.values()) for _, odds in KINDS.values()]
IN_FRONT = "in front of somebody"  # the person who hides another one; the right route is "preserve"


@dataclass
class Scene:
    """A photo with its annotations.

    Attributes:
        image: H x W x 3 uint8.
        people: (kind, mask H x W bool) of each person.
        things: (category, mask H x W bool) of each thing.
    """

    image: np.ndarray
    people: list[tuple[str, np.ndarray]]
    things: list[tuple[str, np.ndarray]] = field(default_factory=list)


def right_route(kind: str) -> Route:
    """The route that a careful annotator would choose for this kind."""
    return "preserve" if kind == IN_FRONT else KINDS[kind][0]


def _behind(person: Person, occluder: Occluder, kind: str, rng: np.random.Generator) -> Scene:
    case = occlude(person, occluder, rng.uniform(0.12, 0.5), rng)
    assert case.modal_mask is not None and case.occluder_mask is not None
    scene = Scene(case.image, [(kind, case.modal_mask)])
    if kind == "behind a thing":
        scene.things.append((occluder.category, case.occluder_mask))
        return scene
    x0, y0, x1, y1 = mask_box(case.occluder_mask)
    height, width = case.occluder_mask.shape
    whole = min(x0, y0, width - x1, height - y1) > 2
    scene.people.append((IN_FRONT if whole else "out of view", case.occluder_mask))
    return scene


def _out_of_view(person: Person, rng: np.random.Generator) -> Scene:
    """The photo cropped so that 15-45 % of the person's box is cut off, on one side."""
    box, size = mask_box(person.amodal_mask), person.amodal_mask.shape
    axis, low = int(rng.integers(2)), bool(rng.integers(2))  # 0: columns
    start, stop = box[axis], box[axis + 2]
    cut = round(rng.uniform(0.15, 0.45) * (stop - start))
    keep = slice(start + cut, size[1 - axis]) if low else slice(0, stop - cut)
    window = (slice(None), keep) if axis == 0 else (keep, slice(None))
    return Scene(np.ascontiguousarray(person.image[window]), [("out of view", person.amodal_mask[window])])


def _small(person: Person, rng: np.random.Generator) -> Scene:
    share = rng.uniform(0.35, 0.5, 2)[0]  # two draws, as when each side had its own
    size = [round(length * share) for length in person.amodal_mask.shape[::-1]]
    image = cv2.resize(person.image, size, interpolation=cv2.INTER_AREA)
    mask = cv2.resize(person.amodal_mask.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST)
    return Scene(image, [("small", mask.astype(bool))])


def draw_scene(
    kind: str, person: Person, other: Person, occluders: Sequence[Occluder], rng: np.random.Generator
) -> Scene:
    """A photo in which a person has the problem `kind`.

    Raises:
        PlacementError: the occluder that was drawn cannot hide the share that was drawn; draw again.
    """
    if kind == "behind a thing":
        return _behind(person, occluders[int(rng.integers(len(occluders)))], kind, rng)
    if kind == "behind a person":
        return _behind(person, person_as_occluder(other), kind, rng)
    if kind == "out of view":
        return _out_of_view(person, rng)
    if kind == "small":
        return _small(person, rng)
    mask = person.amodal_mask
    if kind == "bad mask":
        mask = segmenter_error(mask, mask, np.zeros_like(mask), severity=1.0, rng=rng)
    return Scene(person.image, [(kind, mask)])


def draw_scenes(
    people: Sequence[Person], occluders: Sequence[Occluder], seed: int = 0, count: int | None = None
) -> Iterator[Scene]:
    """One scene per person, of a kind drawn by `KINDS`; reproducible."""
    rng = np.random.default_rng(seed)
    for index in range(len(people) if count is None else count):
        person, kind = people[index % len(people)], list(KINDS)[rng.choice(len(KINDS), p=ODDS)]
        for _ in range(5):
            try:
                yield draw_scene(kind, person, people[int(rng.integers(len(people)))], occluders, rng)
                break
            except PlacementError:
                continue


# ------------------------------------------------------------------ formats


def _polygons(mask: np.ndarray) -> list[list[float]]:
    """Outlines in COCO's style: rings, a sixth of a pixel inside the border; holes filled."""
    fine = mask.repeat(3, axis=0).repeat(3, axis=1).astype(np.uint8)
    contours, _ = cv2.findContours(fine, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    rings = [((c.reshape(-1, 2) + 0.5) / 3).round(2).flatten().tolist() for c in contours if len(c) >= 3]
    return rings or _run_lengths(mask)  # type: ignore[return-value]


def _run_lengths(mask: np.ndarray) -> dict[str, Any]:
    packed = coco_mask.encode(np.asfortranarray(mask.astype(np.uint8)))
    return {"size": [int(v) for v in packed["size"]], "counts": packed["counts"].decode()}


def _box(mask: np.ndarray) -> list[int]:
    x0, y0, x1, y1 = mask_box(mask)
    return [x0, y0, x1 - x0, y1 - y0]


def write_standins(scenes: Sequence[Scene], root: PathLike) -> dict[str, str]:
    """Writes scenes as two datasets: ``coco/`` with masks, ``objects365/`` with boxes only.

    In ``coco``, objects and every second person are polygons; the other people are run lengths.

    Returns:
        Person id of `deocc people` -> kind.
    """
    root, kinds = Path(root), dict[str, str]()
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for number, scene in enumerate(scenes, start=1):
        name = f"{number:012d}.jpg"
        for folder in ("coco/train2017", "objects365/train"):
            write_image(root / folder / name, scene.image, quality=95)
        height, width = scene.image.shape[:2]
        images.append({"id": number, "file_name": name, "height": height, "width": width})
        for category, (kind, mask) in [(1, p) for p in scene.people] + [(2, t) for t in scene.things]:
            key = len(annotations) + 1
            shape = _polygons(mask) if key % 2 or category == 2 else _run_lengths(mask)
            annotations.append({"id": key, "image_id": number, "category_id": category, "iscrowd": 0,
                                "bbox": _box(mask), "segmentation": shape})  # fmt: skip
            if category == 1:
                kinds |= {f"{source}_{key}": kind for source in ("coco_train2017", "objects365_train")}
    _write_json(root / "coco/annotations/instances_train2017.json", "person", images, annotations)
    boxes = [{k: v for k, v in a.items() if k != "segmentation"} for a in annotations]
    _write_json(root / "objects365/annotations/zhiyuan_objv2_train.json", "Person", images, boxes)
    return kinds


def _write_json(path: Path, person: str, images: list[Any], annotations: list[Any]) -> None:
    categories = [{"id": 1, "name": person}, {"id": 2, "name": "thing"}]
    content = {"images": images, "annotations": annotations, "categories": categories}
    write_json(path, json.loads(json.dumps(content)))
