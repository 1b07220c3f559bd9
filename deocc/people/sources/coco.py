"""COCO instances, and other datasets that write their annotations as COCO does."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deocc.errors import DeoccError
from deocc.people.sources.about import ABOUT
from deocc.people.sources.candidates import Entry, Photo, Problem, Subject, Writer
from deocc.people.sources.files import picture, read_json_items, require, split_of_name
from deocc.people.sources.regions import Unusable, coco_region

PEOPLE = frozenset({"person"})


def photo_folders(root: Path, images: Path | None, part: str) -> list[Path]:
    """Where the photos of a part may lie."""
    return [images] if images else [root / part, root / "images" / part, root / "images", root]


@dataclass(frozen=True)
class Part:
    """One annotation file and what belongs to it."""

    annotations: Path
    name: str  # such as "train2017"

    @property
    def split(self) -> str:
        return split_of_name(self.name)


def find_parts(root: Path, annotations: Path | None, what: str, *patterns: str) -> list[Part]:
    """The annotation files below a folder, or the one given. Raises: DeoccError: there is none."""
    if annotations is not None:
        paths = [annotations]
    else:
        first = require(root, what, *patterns)
        paths = sorted({path for pattern in patterns for path in first.parent.glob(Path(pattern).name)})
    return [Part(path, path.stem.rsplit("_", 1)[-1]) for path in paths]


def index_coco(part: Part, index: Writer, keep: Callable[[dict[str, Any]], dict[str, Any]], objects: bool,
               people: frozenset[str] = PEOPLE) -> None:  # fmt: skip
    """Streams one annotation file into the index.

    Args:
        part: the file.
        index: where to.
        keep: what an annotation's subject needs.
        objects: keep things other than people, too.
        people: names of the categories of people, in lower case.

    Raises:
        DeoccError: broken JSON, or no category of people.
    """
    path = part.annotations
    named = {c.get("id"): str(c.get("name")) for c in _objects(path, "categories")}
    if not people & {name.lower() for name in named.values()}:
        raise DeoccError(f"{path}: no category {' or '.join(sorted(people))}; is it a file of instances?")
    licences = {entry.get("id"): str(entry.get("name")) for entry in _objects(path, "licenses")}
    for image in _objects(path, "images"):
        size = [image.get("height"), image.get("width")]
        facts = {"file": image.get("file_name"), "size": size, "split": part.split, "part": part.name}
        licence = licences.get(image.get("license"), "")
        index.photo(f"{part.name}/{image.get('id')}", **facts, licence=licence)
    for annotation in _objects(path, "annotations"):
        category = named.get(annotation.get("category_id"), "")
        if not (is_person := category.lower() in people) and not objects:
            continue
        role = "object" if not is_person else "crowd" if annotation.get("iscrowd") else "person"
        names = f"{part.name}/{annotation.get('image_id')}", f"{part.name}/{annotation.get('id')}"
        index.subject(*names, role=role, category=category, **keep(annotation))


def _objects(path: Path, key: str) -> Any:
    """Elements of an array of objects; anything else in it is passed over."""
    return (item for item in read_json_items(path, f"{key}.item") if isinstance(item, dict))


def size_of(facts: dict[str, Any]) -> tuple[int, int] | None:
    """Height and width that an annotation names, where it names both."""
    size = list(facts.get("size") or ())
    return (size[0], size[1]) if len(size) == 2 and all(isinstance(v, int) for v in size) else None


def listed(entry: Entry) -> dict[str, Any]:
    """The facts of a photo. Raises: Unusable: annotations name it, but no list does."""
    if entry.facts is None or not isinstance(entry.facts.get("file"), str):
        raise Unusable("photo not listed", f"annotations name photo {entry.key}, which has no file name")
    return entry.facts


def read_subjects(
    entry: Entry, make: Callable[[str, dict[str, Any]], Subject]
) -> tuple[tuple[Subject, ...], tuple[Problem, ...]]:
    """Makes the subjects of an entry; those that cannot be read become problems, things excepted."""
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
    """COCO instances: polygons, compressed and uncompressed run lengths; crowds only keep others at bay.

    Attributes:
        root: folder with ``annotations/instances_*.json`` and the photos' folders (``train2017/``, ...).
        annotations: one annotation file instead of all of them.
        images: folder of its photos, where it is elsewhere.
    """

    root: Path
    annotations: Path | None = None
    images: Path | None = None
    name: str = "coco"
    has_masks: bool = True
    curated: bool = False

    def fill(self, index: Writer) -> None:
        patterns = ("annotations/instances_*.json", "instances_*.json")
        for part in find_parts(self.root, self.annotations, "COCO's annotations", *patterns):
            index_coco(part, index, lambda a: {"segmentation": a.get("segmentation")}, objects=True)

    def photo(self, entry: Entry) -> Photo:
        facts = listed(entry)
        path = picture(photo_folders(self.root, self.images, facts["part"]), facts["file"])
        subjects, problems = read_subjects(entry, _subject)
        licence = facts["licence"] or ABOUT["coco"].licence
        return Photo(path, facts["split"], coco_identity(facts["file"]), licence, size_of(facts), subjects,
                     problems=problems)  # fmt: skip


def coco_identity(file_name: str) -> str:
    """ "coco:391895" for COCO's photo 391895, whatever the year writes before its number."""
    digits = Path(file_name).stem.rsplit("_", 1)[-1]
    return f"coco:{int(digits)}" if digits.isdigit() else f"coco:{Path(file_name).stem}"
