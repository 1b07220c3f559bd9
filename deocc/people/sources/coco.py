"""COCO instances, and other datasets in COCO's annotation format."""

import logging
import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from deocc.errors import DeoccError
from deocc.people.sources.about import ABOUT
from deocc.people.sources.candidates import Entry, Photo, Problem, Subject, Writer
from deocc.people.sources.files import matches, picture, read_json_items, require, split_of_name
from deocc.people.sources.problems import Unusable
from deocc.people.sources.regions import coco_region
from deocc.people.values import as_flag, as_key, as_length, soft_key

LOG = logging.getLogger("deocc")
PEOPLE = frozenset({"person"})
Scalar = str | int | float | bool | None


class Image(msgspec.Struct):
    """An element of `images`."""

    id: str | int | float
    file_name: Any = None
    height: Scalar = None
    width: Scalar = None
    license: Scalar = None


class Annotation(msgspec.Struct):
    """An element of `annotations`."""

    image_id: str | int | float
    id: Scalar = None
    category_id: Scalar = None
    iscrowd: Scalar = None
    isfake: Scalar = None
    isreflected: Scalar = None
    segmentation: list[Any] | dict[str, Any] | None = None
    bbox: list[Any] | None = None


def photo_folders(root: Path, images: Path | None, part: str) -> list[Path]:
    """Folders that may hold the photos of a part."""
    return [images] if images else [root / part, root / "images" / part, root / "images", root]


def photo_file(root: Path, images: Path | None, facts: dict[str, Any]) -> Path:
    """The file of a photo. Args: facts: of the photo. Raises: Unusable: it is not found."""
    return picture(photo_folders(root, images, facts["part"]), facts["file"], facts.get("tail", 1))


@dataclass(frozen=True)
class Part:
    """One annotation file with its split and photo folders."""

    annotations: Path
    name: str  # such as "train2017"

    @property
    def split(self) -> str:
        return split_of_name(self.name)


def part_name(path: Path) -> str:
    """The part that an annotation file is named after: its last word, or else the first one with a split."""
    *others, last = path.stem.split("_")
    return next((word for word in (last, *others) if split_of_name(word)), last)


def find_parts(root: Path, annotations: Path | None, what: str, *patterns: str) -> list[Part]:
    """The annotation files below a folder, or the named one. Raises: DeoccError: there is none."""
    if annotations is not None:
        paths = [annotations]
    else:
        try:
            first = require(root, what, *patterns)
        except DeoccError as error:
            raise DeoccError(
                f"{error}, or one file with --annotations and its photos with --images"
            ) from None
        names = (Path(pattern).name for pattern in patterns)
        paths = sorted({path for name in names for path in matches(first.parent, name)})
        if (folder := first.parent.name) in ("train", "val"):  # one file in each
            other = first.parent.with_name("val" if folder == "train" else "train")
            paths += [
                path for p in patterns if p.startswith(other.name) for path in matches(other, Path(p).name)
            ]
    short = [part_name(paths[0])] if annotations else [path.stem.rsplit("_", 1)[-1] for path in paths]
    return [Part(p, name if short.count(name) == 1 else p.stem) for p, name in zip(paths, short, strict=True)]


def refuse_releases(parts: Sequence[Part]) -> None:
    """Refuses several releases of COCO, which hold the same annotations: 2014 and 2017, val and minival."""
    found = [re.fullmatch(r"(train|val|minival|valminusminival)(2014|2017)", part.name) for part in parts]
    official = {(match[1], match[2]) for match in found if match}
    parts_of_val = {year for kind, year in official if kind in ("minival", "valminusminival")}
    if len({year for _, year in official}) > 1 or any(("val", year) in official for year in parts_of_val):
        names = ", ".join(sorted(part.name for part in parts))
        raise DeoccError(
            f"{parts[0].annotations.parent}: {names} hold the same people more than once; name one file with "
            "--annotations (further runs can add others to the same --out)"
        )


def index_coco(
    part: Part, index: Writer, keep: Callable[[Annotation], dict[str, Any]], objects: bool
) -> None:
    """Streams one annotation file into the index.

    Ids are compared as text, so that 1, 1.0 and "1" are the same. An unreadable annotation becomes a problem
    of its photo.

    Args:
        part: the file.
        index: the index to fill.
        keep: annotation -> facts of its subject.
        objects: also keep objects other than people.

    Raises:
        DeoccError: broken JSON, no category of people, or nobody of that category.
    """
    path = part.annotations
    index.reads(path)
    named = names_of(path, "categories")
    if not PEOPLE & {name.lower() for name in named.values()}:
        raise DeoccError(f"{path}: no category {' or '.join(sorted(PEOPLE))}; is it a file of instances?")
    licences = names_of(path, "licenses")
    for item in _objects(path, "images"):
        _index_image(item, part, licences, index)
    found, run_lengths = Counter[str](), 0
    for number, item in enumerate(_objects(path, "annotations"), start=1):
        try:
            role = _index_annotation(item, part, named, keep, objects, index)
            found[role] += 1
            run_lengths += role == "crowd" and isinstance(item.get("segmentation"), dict)
        except DeoccError as error:
            found["problem"] += 1
            index.problem(*_problem(item, part, number, error))
    if not set(found) & {"person", "crowd", "problem"}:
        raise DeoccError(f"{path}: {_nobody(path, found, named)}")
    if run_lengths and not found["person"]:
        LOG.warning(
            "%s: all %d people are marked as crowds (iscrowd 1), as CVAT and Datumaro mark every mask; if "
            "each mask is one person, set iscrowd to 0 in this file", path, found["crowd"],
        )  # fmt: skip


def names_of(path: Path, key: str) -> dict[str, str]:
    """Id -> name of the elements of an array; skips those without a readable id."""
    found = {}
    for item in _objects(path, key):
        try:
            found[as_key(item.get("id"), "id")] = str(item.get("name")).strip()
        except DeoccError:
            continue
    return found


def _nobody(path: Path, found: Counter[str], named: dict[str, str]) -> str:
    """Reason why a file has nobody in it."""
    if not found:
        return "annotations is empty, or no list of objects; is it the right file?"
    ids = sorted(key for key, name in named.items() if name.lower() in PEOPLE)
    return (
        f"none of {found.total()} annotations is of a person (category_id {' or '.join(ids) or '?'}); "
        f"{found['']} of them have a category_id that no category has"
    )


def _index_image(item: dict[str, Any], part: Part, licences: dict[str, str], index: Writer) -> None:
    try:
        image = msgspec.convert(item, Image)
        key = as_key(image.id, "id")
    except (msgspec.ValidationError, DeoccError):
        return  # what is in it will be "photo not listed"
    licence = licences.get(soft_key(image.license), "")
    index.photo(f"{part.name}/{key}", file=image.file_name, size=[image.height, image.width],
                split=part.split, part=part.name, licence=licence,
                annotations=str(part.annotations))  # fmt: skip


def _index_annotation(item: dict[str, Any], part: Part, named: dict[str, str],
                      keep: Callable[[Annotation], dict[str, Any]], objects: bool, index: Writer,
                      ) -> str:  # fmt: skip
    """Adds one annotation. Returns: its role; "" if its category has no name. Raises: DeoccError."""
    category = named.get(soft_key(item.get("category_id")), "")
    if not (is_person := category.lower() in PEOPLE) and not objects:
        return "object" if category else ""
    try:
        annotation = msgspec.convert(item, Annotation)
    except msgspec.ValidationError as error:
        raise DeoccError(str(error)) from None
    crowd = as_flag(annotation.iscrowd, "iscrowd")
    if crowd and not is_person:  # many things in one mask
        return "object" if category else ""
    role = "object" if not is_person else "crowd" if crowd else "person"
    names = as_key(annotation.image_id, "image_id"), as_key(annotation.id, "id")
    index.subject(*(f"{part.name}/{name}" for name in names), role=role, category=category,
                  **keep(annotation))  # fmt: skip
    return role if category else ""


def _problem(item: dict[str, Any], part: Part, number: int, error: DeoccError) -> tuple[str, Problem]:
    """Adds an unreadable annotation as a problem of its photo, if known."""
    photo, own = soft_key(item.get("image_id")), soft_key(item.get("id"))
    name = f"{part.name}/{own or f'annotation_{number}'}"
    key = f"{part.name}/{photo}" if photo else name
    return key, Problem(name, "annotation damaged", str(error))


def _objects(path: Path, key: str) -> Any:
    """The objects in a JSON array; skips other elements."""
    return (item for item in read_json_items(path, f"{key}.item") if isinstance(item, dict))


def size_of(facts: dict[str, Any]) -> tuple[int, int] | None:
    """Height and width in an annotation, if it has both. Raises: Unusable: not numbers."""
    size = list(facts.get("size") or ())
    if len(size) != 2 or None in size:
        return None
    try:
        return as_length(size[0], "height"), as_length(size[1], "width")
    except DeoccError as error:
        raise Unusable("annotation damaged", str(error)) from None


def listed(entry: Entry) -> dict[str, Any]:
    """The facts of a photo. Raises: Unusable: annotations refer to it, but no list has it."""
    if entry.facts is None or not isinstance(entry.facts.get("file"), str):
        raise Unusable("photo not listed", f"annotations name photo {entry.key}, which has no file name")
    return entry.facts


def read_subjects(
    entry: Entry, make: Callable[[str, dict[str, Any]], Subject]
) -> tuple[tuple[Subject, ...], tuple[Problem, ...]]:
    """Makes the subjects of an entry; unreadable ones become problems, except objects."""
    subjects, problems = [], list(entry.problems)
    for name, facts in entry.subjects.items():
        try:
            subjects.append(make(name, facts))
        except Unusable as error:
            if facts.get("role") != "object":
                problems.append(Problem(name, error.reason, error.words))
    return tuple(subjects), tuple(problems)


def _subject(name: str, facts: dict[str, Any]) -> Subject:
    return Subject(name, coco_region(facts["segmentation"]), facts["role"], facts["category"])


@dataclass(frozen=True)
class Coco:
    """COCO instances: polygons, compressed and uncompressed run lengths. Crowds are only used for overlaps.

    Attributes:
        root: folder with ``annotations/instances_*.json`` and the photos' folders (``train2017/``, ...).
        annotations: one annotation file instead of all.
        images: folder of its photos, if elsewhere.
    """

    root: Path
    annotations: Path | None = None
    images: Path | None = None
    name: str = "coco"
    has_masks: bool = True
    curated: bool = False

    def fill(self, index: Writer) -> None:
        patterns = ("annotations/instances_*.json", "instances_*.json")
        parts = find_parts(self.root, self.annotations, "COCO's annotations", *patterns)
        refuse_releases(parts)
        for part in parts:
            index_coco(part, index, lambda a: {"segmentation": a.segmentation}, objects=True)

    def photo(self, entry: Entry) -> Photo:
        facts = listed(entry)
        path = photo_file(self.root, self.images, facts)
        subjects, problems = read_subjects(entry, _subject)
        licence = facts["licence"] or ABOUT["coco"].licence
        return Photo(path, facts["split"], coco_identity(facts["file"]), licence, size_of(facts), subjects,
                     problems=problems)  # fmt: skip


def coco_identity(file_name: str) -> str:
    """ "coco:391895" for COCO's photo 391895, whatever prefix the year puts before its number."""
    stem = Path(file_name.replace("\\", "/")).stem
    digits = stem.rsplit("_", 1)[-1]
    plain = digits.isascii() and digits.isdigit() and len(digits) <= 20  # a circled 1 is a digit, too
    return f"coco:{int(digits)}" if plain else f"coco:{stem}"
