"""Finds the originals of a recipe's lines."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from deocc.errors import DeoccError
from deocc.people.recipe_file import OccluderLine, PersonLine
from deocc.people.sources.coco import Annotation, names_of
from deocc.people.sources.files import read_json_items, require
from deocc.people.sources.objects365 import box_region
from deocc.people.sources.problems import Unusable
from deocc.people.values import as_flag, as_key, soft_key

SIGNS = {"coco": "annotations/instances_*.json", "pennfudan": "PedMasks", "ccp": "annotations/pixel-level"}


class Task(NamedTuple):
    """A line with the original's folder and COCO's segmentation."""

    line: PersonLine | OccluderLine
    source: str
    root: Path
    segmentation: Any = None


def root_of(source: str, root: Path) -> Path:
    """The folder to which a source's paths are relative: `root`/`source`, `root`, or a folder below."""
    sign = SIGNS[source]
    place = root / source if (root / source).is_dir() else root
    try:
        found = require(place, f"{source}'s annotations", sign)
    except DeoccError as error:
        raise DeoccError(
            f"{error}; `deocc people fetch {source} --out {root}` gets it, --only leaves it out"
        ) from None
    return found.parents[sign.count("/")]


def _photo_id(photo: str) -> str:
    return str(int(Path(photo).stem))


def segmentations(root: Path, lines: Sequence[PersonLine | OccluderLine]) -> dict[str, Any]:
    """Line id -> COCO's segmentation, if its annotation is found; streams the big files once."""
    found: dict[str, Any] = {}
    for part in ("val2017", "train2017"):
        here = [line for line in lines if line.photo.startswith(f"{part}/")]
        if not here:
            continue
        path = root / "annotations" / f"instances_{part}.json"
        names = names_of(path, "categories")
        there = _annotations(path, {_photo_id(line.photo) for line in here})
        found |= {line.id: _choose(line, there.get(_photo_id(line.photo), []), names) for line in here}
    return found


def _annotations(path: Path, photos: set[str]) -> dict[str, list[Annotation]]:
    """Photo -> its annotations, for some photos; skips crowds and unreadable annotations."""
    there: dict[str, list[Annotation]] = {}
    for item in read_json_items(path, "annotations.item"):
        try:
            if not isinstance(item, dict) or as_key(item.get("image_id"), "image_id") not in photos:
                continue
            annotation = msgspec.convert(item, Annotation)
            if not as_flag(annotation.iscrowd, "iscrowd"):
                there.setdefault(as_key(annotation.image_id, "image_id"), []).append(annotation)
        except (msgspec.ValidationError, DeoccError):
            continue  # the line that needs it is left out: "annotation missing"
    return there


def _choose(line: PersonLine | OccluderLine, there: list[Annotation], names: dict[str, str]) -> Any | None:
    """The segmentation of the annotation with a line's id, else of the only one that fits; or None."""
    number = line.annotation.rpartition("#")[2]
    category = "person" if isinstance(line, PersonLine) else line.category
    fits = [item for item in there if soft_key(item.id) == number]
    if not fits:
        alike = [item for item in there if names.get(soft_key(item.category_id)) == category]
        fits = [item for item in alike if _fits(line, item.bbox)]
    return fits[0].segmentation if len(fits) == 1 else None


def _fits(line: PersonLine | OccluderLine, bbox: Any) -> bool:
    """Whether a COCO box is a line's: nearly the same box, or, for a cut-out, nearly the same shape."""
    try:
        a, b, right, bottom = box_region(bbox).box
    except Unusable:
        return False
    c, d = right - a, bottom - b
    if isinstance(line, PersonLine):
        x, y, w, h = line.box_xywh
        wide, high = min(x + w, a + c) - max(x, a), min(y + h, b + d) - max(y, b)
        shared = max(wide, 0) * max(high, 0)
        return shared > 0.7 * (w * h + c * d - shared)
    scale = max(line.size) / max(c, d)
    return scale < 1.1 and all(abs(scale * v - s) < 4 for v, s in zip((c, d), line.size, strict=True))
