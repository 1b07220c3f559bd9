"""OpenImages v4: boxes only, in CSV files, with the annotators' own marks."""

from dataclasses import dataclass, replace
from hashlib import sha256
from math import isnan
from pathlib import Path
from typing import Any

from deocc.errors import DeoccError
from deocc.people.sources.about import ABOUT
from deocc.people.sources.candidates import Entry, Photo, Problem, Subject, Writer
from deocc.people.sources.coco import read_subjects
from deocc.people.sources.files import matches, picture, require, split_of_name
from deocc.people.sources.problems import Unusable
from deocc.people.sources.regions import BoxOnly
from deocc.people.texts import RESTORE, read_csv
from deocc.people.values import as_flag, as_number

PEOPLE = {"/m/01g317": "person", "/m/04yx4": "man", "/m/03bt1vf": "woman", "/m/01bl7v": "boy",
          "/m/05r655": "girl"}  # fmt: skip
MARKS = {"IsOccluded": "occluded", "IsTruncated": "out of view", "IsDepiction": "a depiction"}
COLUMNS = ("ImageID", "LabelName", "XMin", "XMax", "YMin", "YMax", "IsOccluded", "IsTruncated", "IsGroupOf",
           "IsDepiction")  # fmt: skip


@dataclass(frozen=True)
class ShareBox:
    """A box in shares of the photo's width and height; pixels follow once the photo is open."""

    box: tuple[float, float, float, float]

    def extent(self) -> None:
        return None

    def in_pixels(self, shape: tuple[int, int]) -> BoxOnly:
        """The box in a photo of (height, width)."""
        x0, y0, x1, y1 = self.box
        return BoxOnly((x0 * shape[1], y0 * shape[0], x1 * shape[1], y1 * shape[0]))

    def mask(self, shape: tuple[int, int]) -> Any:
        return self.in_pixels(shape).mask(shape)


def _subject(name: str, facts: dict[str, Any]) -> Subject:
    x0, y0, x1, y1 = numbers = _numbers(facts)
    if any(map(isnan, numbers)):
        raise Unusable("annotation damaged", f"the box is {str(facts['box'])[:60]}, not four numbers")
    if not (-0.01 <= x0 < x1 <= 1.01 and -0.01 <= y0 < y1 <= 1.01):
        raise Unusable("annotation damaged", f"the box is {x0} {y0} {x1} {y1}; shares 0 to 1 were expected")
    region = ShareBox((x0, y0, x1, y1))
    return Subject(name, region, facts["role"], facts["category"], tuple(facts["marks"]))


@dataclass(frozen=True)
class OpenImages:
    """OpenImages v4 (and later) boxes of people.

    Attributes:
        root: folder with ``*-annotations-bbox.csv`` and the photos in ``train/``, ``validation/``, ``test/``.
        annotations, images: one annotation file and its photos' folder, if elsewhere.
    """

    root: Path
    annotations: Path | None = None
    images: Path | None = None
    name: str = "openimages"
    has_masks: bool = False
    curated: bool = False

    def _files(self) -> list[Path]:
        if self.annotations is not None:
            return [self.annotations]
        names = ("*annotations-bbox.csv", "*/*annotations-bbox.csv")
        found = sorted({path for name in names for path in matches(self.root, name)})
        return found or [require(self.root, "OpenImages' boxes", names[0])]

    def fill(self, index: Writer) -> None:
        parts: dict[str, Path] = {}
        for path in self._files():
            part = path.name.split("annotations-bbox")[0].strip("-_") or path.stem
            if part in parts:
                both = f"{parts[part]} and {path} are both of part {part!r}"
                raise DeoccError(f"{both}; give one of them by --annotations")
            parts[part] = path
            _index_boxes(path, part, index)

    def photo(self, entry: Entry) -> Photo:
        assert entry.facts is not None  # a photo is added with each of its boxes
        facts, root = entry.facts, self.root
        split, stem = split_of_name(facts["part"]), facts["file"]
        names = [facts["part"], facts["part"].rsplit("-", 1)[-1], {"val": "validation"}.get(split, split)]
        folders = [*(root / name for name in names), *(root / "images" / name for name in names), root]
        path = picture([self.images] if self.images else folders, stem)
        subjects, problems = read_subjects(_told_apart(entry), _subject)
        return Photo(path, split, f"openimages:{stem}", ABOUT["openimages"].licence, None, subjects,
                     problems=problems)  # fmt: skip


def _numbers(facts: dict[str, Any]) -> list[float]:
    return [as_number(value) for value in facts["box"]]


def _told_apart(entry: Entry) -> Entry:
    """The boxes of a photo, numbered from left to right; equal boxes with other labels are one person.

    A person's name and marks do not depend on the order of the rows; marks of all labels are united.
    """
    boxes: dict[tuple[float, ...], dict[str, Any]] = {}
    problems = list(entry.problems)
    rows = [facts for _, facts in sorted(entry.subjects.items(), key=lambda pair: pair[1]["category"])]
    for number, facts in enumerate(rows):
        box = tuple(_numbers(facts))
        key = (*box, number) if any(map(isnan, box)) else box
        if (same := boxes.get(key)) is None:
            boxes[key] = facts
            continue
        name = f"{entry.key}_{facts['category']}"
        problems.append(Problem(name, "duplicate id", "the same box stands twice"))
        same["marks"] = list(dict.fromkeys([*same["marks"], *facts["marks"]]))
        same["role"] = "crowd" if "crowd" in (same["role"], facts["role"]) else same["role"]
    order = sorted(boxes, key=lambda box: [(isnan(value), value) for value in box])
    subjects = {f"{entry.key}_{number}": boxes[box] for number, box in enumerate(order)}
    return replace(entry, subjects=subjects, problems=tuple(problems))


def _index_boxes(path: Path, part: str, index: Writer) -> None:
    """Streams one CSV file with rows in any order. Raises: DeoccError: not CSV, or nobody in it."""
    last, people, rows = "", 0, 0
    index.reads(path)
    for row in read_csv(path, COLUMNS, RESTORE, strict=False):
        rows += 1
        category = PEOPLE.get(row["LabelName"])
        if category is None:
            continue
        people += 1
        key = f"{part}/{row['ImageID']}"
        if key != last:
            index.photo_again(key, file=row["ImageID"], part=part)
            last = key
        digest = sha256("\0".join(row[column] for column in COLUMNS).encode("utf-8", "replace"))
        name = f"{key}_{digest.hexdigest()[:16]}"
        try:
            role = "crowd" if as_flag(row["IsGroupOf"], "IsGroupOf") else "person"
            marks = [words for column, words in MARKS.items() if as_flag(row[column], column)]
        except DeoccError as error:
            index.problem(key, Problem(name, "annotation damaged", str(error)))
            continue
        box = [row[column] for column in ("XMin", "YMin", "XMax", "YMax")]
        index.subject(key, name, role=role, category=category, box=box, marks=marks)
    if not people:
        raise DeoccError(f"{path}: none of {rows} boxes has a person's LabelName, such as /m/01g317")
