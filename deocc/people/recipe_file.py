"""The format of recipe files. Types, ranges and names are checked on reading."""

import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import msgspec

from deocc.errors import DeoccError
from deocc.io import PathLike, inside, safe_name
from deocc.paths import RECIPES

FORMAT = "deocc recipe 1"
PERSON_FIELDS = (
    "id", "split", "photo", "annotation", "region_xywh", "box_xywh", "photo_size", "mask_share", "licence",
    "bag_share",
)  # fmt: skip
OCCLUDER_FIELDS = ("id", "split", "photo", "annotation", "category", "size", "licence")
SOURCES = ("coco", "pennfudan", "ccp")
COCO_PHOTO = re.compile(r"(train|val)2017/[0-9]{1,15}\.jpg")
MANY = 64 << 20  # bytes of a recipe file

Side = Annotated[int, msgspec.Meta(ge=1, le=65_535)]  # pixels
Place = Annotated[int, msgspec.Meta(ge=0, le=65_535)]
Index = Annotated[int, msgspec.Meta(ge=0, le=100_000)]
Share = Annotated[float, msgspec.Meta(ge=0, le=1)]


class PersonLine(NamedTuple):
    """A person of a recipe; boxes and regions are x, y, width, height in pixels of the original photo."""

    id: str
    split: str
    photo: str
    annotation: str  # file, and behind # an id or label; "box": the COCO person with this box
    region_xywh: tuple[Place, Place, Side, Side]
    box_xywh: tuple[Place, Place, Side, Side]
    photo_size: tuple[Side, Side]  # width, height
    mask_share: Share  # of the region
    licence: Index  # of the recipe's list
    bag_share: Share | None  # of the mask, where the source says


class OccluderLine(NamedTuple):
    """A cut-out of a recipe."""

    id: str
    split: str
    photo: str
    annotation: str  # as PersonLine's; "box": the only thing of this category and size
    category: str
    size: tuple[Side, Side]  # width, height of the cut-out
    licence: Index


class _File(msgspec.Struct):
    """A recipe as stored in its file; types and ranges are checked on reading."""

    format: str
    person_fields: tuple[str, ...]
    occluder_fields: tuple[str, ...]
    longer_side: Annotated[int, msgspec.Meta(ge=1, le=4096)]
    quality: Annotated[int, msgspec.Meta(ge=1, le=100)]
    occluder_side: Annotated[int, msgspec.Meta(ge=1, le=4096)]
    licences: tuple[str, ...]
    people: dict[str, list[PersonLine]]
    occluders: dict[str, list[OccluderLine]]
    lost: dict[str, dict[str, str | int]]


@dataclass(frozen=True)
class Recipe:
    """A people folder as facts.

    Attributes:
        longer_side: largest longer side of a person after scaling, pixels; occluder_side: of a cut-out.
        quality: of the JPEG files.
        licences: values of the column `licence`.
        people, occluders: lines by source.
        lost: sources that cannot be rebuilt: reason, and number of people of each split.
    """

    longer_side: int
    quality: int
    occluder_side: int
    licences: tuple[str, ...]
    people: dict[str, list[PersonLine]]
    occluders: dict[str, list[OccluderLine]]
    lost: dict[str, dict[str, Any]]


def find_recipe(name: PathLike) -> Path:
    """The path of a recipe file, or of the bundled recipe of that name."""
    path, bundled = Path(name), RECIPES / f"{name}.json"
    if path.is_file() or not bundled.is_file():
        return path
    return bundled


def read_recipe(path: PathLike) -> Recipe:
    """Reads a recipe file. Raises: DeoccError: it is missing, of another format, or damaged."""
    path = Path(path)
    try:
        if path.stat().st_size > MANY:
            raise DeoccError(f"{path}: larger than a recipe is; get it again")
        content = path.read_bytes()
        if msgspec.json.decode(content, type=_Head).format != FORMAT:
            raise DeoccError(f"{path}: no recipe of format {FORMAT!r}; write it with tools/make_recipe.py")
        raw = msgspec.json.decode(content, type=_File)
        _check(raw)
    except FileNotFoundError:
        raise DeoccError(f"{path}: no such file; give a recipe file, or the name of a bundled one") from None
    except (msgspec.ValidationError, ValueError, OSError, RecursionError) as error:
        if isinstance(error, DeoccError) and str(error).startswith(str(path)):
            raise
        what = "not readable as JSON" if type(error) is msgspec.DecodeError else "damaged recipe"
        raise DeoccError(f"{path}: {what} ({error}); get it again") from None
    return Recipe(raw.longer_side, raw.quality, raw.occluder_side, raw.licences, raw.people, raw.occluders,
                  raw.lost)  # fmt: skip


class _Head(msgspec.Struct):
    format: Any = None


def _check(raw: _File) -> None:
    """Checks sources, ids and lines. Raises: ValueError."""
    if raw.person_fields != PERSON_FIELDS or raw.occluder_fields != OCCLUDER_FIELDS:
        raise ValueError("other fields than expected")
    if unknown := set(raw.people) - set(SOURCES) | set(raw.occluders) - {"coco"}:
        raise ValueError(f"unknown source {', '.join(sorted(unknown))}")
    for groups in (raw.people, raw.occluders):
        lines: list[tuple[str, Any]] = [(source, line) for source in groups for line in groups[source]]
        seen = Counter(safe_name(line.id) for _, line in lines)
        if seen and seen.most_common(1)[0][1] > 1:
            raise ValueError(f"id {seen.most_common(1)[0][0]!r} stands twice")
        for source, line in lines:
            _check_line(source, line, len(raw.licences))


def _check_line(source: str, line: PersonLine | OccluderLine, licences: int) -> None:
    """Checks names, regions and numbers of one line. Raises: ValueError."""
    path, _, label = line.annotation.partition("#")
    for name in (line.photo, path) if path != "box" else (line.photo,):
        inside("originals", name, f"{line.id}: file")
    if source == "coco" and not COCO_PHOTO.fullmatch(line.photo):
        raise ValueError(f"{line.id}: photo {line.photo[:60]!r} is no name of COCO's")
    if source == "pennfudan" and not (label.isascii() and label.isdigit() and int(label[:4]) < 256):
        raise ValueError(f"{line.id}: annotation {line.annotation[:60]!r} names no label")
    if line.licence >= licences:
        raise ValueError(f"{line.id}: licence {line.licence} of {licences}")
    if isinstance(line, PersonLine):
        (x, y, w, h), (width, height) = line.region_xywh, line.photo_size
        if x + w > width or y + h > height:
            raise ValueError(f"{line.id}: the region leaves the photo of {width} x {height}")
