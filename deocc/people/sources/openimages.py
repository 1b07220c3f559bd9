"""OpenImages v4: boxes only, in CSV files, with the annotators' own marks."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deocc.people.sources.about import ABOUT
from deocc.people.sources.candidates import Entry, Photo, Problem, Subject, Writer
from deocc.people.sources.coco import read_subjects
from deocc.people.sources.files import picture, read_csv_rows, require, split_of_name
from deocc.people.sources.regions import BoxOnly, Unusable

PEOPLE = {"/m/01g317": "person", "/m/04yx4": "man", "/m/03bt1vf": "woman", "/m/01bl7v": "boy",
          "/m/05r655": "girl"}  # fmt: skip
MARKS = {"IsOccluded": "occluded", "IsTruncated": "out of view", "IsDepiction": "a depiction"}
COLUMNS = ("ImageID", "LabelName", "XMin", "XMax", "YMin", "YMax", "IsOccluded", "IsTruncated", "IsGroupOf",
           "IsDepiction")  # fmt: skip


@dataclass(frozen=True)
class ShareBox:
    """A box in shares of the photo's width and height: pixels are known once the photo is open."""

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
    try:
        x0, y0, x1, y1 = (float(value) for value in facts["box"])
    except (TypeError, ValueError):
        raise Unusable("annotation damaged", f"the box is {facts['box']}, not four numbers") from None
    if not (-0.01 <= x0 < x1 <= 1.01 and -0.01 <= y0 < y1 <= 1.01):
        raise Unusable("annotation damaged", f"the box is {x0} {y0} {x1} {y1}; shares 0 to 1 were expected")
    region = ShareBox((x0, y0, x1, y1))
    return Subject(name, region, facts["role"], facts["category"], tuple(facts["marks"]))


@dataclass(frozen=True)
class OpenImages:
    """OpenImages v4 (and later) boxes of people.

    Attributes:
        root: folder with ``*-annotations-bbox.csv`` and the photos in ``train/``, ``validation/``, ``test/``.
        annotations, images: one annotation file and its photos' folder, where they are elsewhere.
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
        require(self.root, "OpenImages' boxes", *names)
        return sorted({path for name in names for path in self.root.glob(name)})

    def fill(self, index: Writer) -> None:
        for path in self._files():
            part = path.name.split("annotations-bbox")[0].strip("-_") or path.stem
            _index_boxes(path, part, index)

    def photo(self, entry: Entry) -> Photo:
        assert entry.facts is not None  # a photo is added with each of its boxes
        facts, root = entry.facts, self.root
        split, stem = split_of_name(facts["part"]), facts["file"]
        names = [facts["part"], facts["part"].rsplit("-", 1)[-1], {"val": "validation"}.get(split, split)]
        folders = [*(root / name for name in names), *(root / "images" / name for name in names), root]
        path = picture([self.images] if self.images else folders, stem)
        subjects, problems = read_subjects(entry, _subject)
        return Photo(path, split, f"openimages:{stem}", ABOUT["openimages"].licence, None, subjects,
                     problems=problems)  # fmt: skip


def _index_boxes(path: Path, part: str, index: Writer) -> None:
    """Streams one CSV file; rows of one photo stand together, as in the published files."""
    photo, count, seen = "", 0, set[tuple[str, ...]]()
    for row in read_csv_rows(path, COLUMNS):
        category = PEOPLE.get(row["LabelName"])
        if category is None:
            continue
        key = f"{part}/{row['ImageID']}"
        if key != photo:
            photo, count = key, 0
            seen.clear()
            index.photo(key, file=row["ImageID"], part=part)
        box = tuple(row[column] for column in ("XMin", "YMin", "XMax", "YMax"))
        name, count = f"{key}_{count}", count + 1
        if box in seen:  # the same box under another label, such as person and man
            index.problem(key, Problem(name, "duplicate id", "the same box stands twice"))
            continue
        seen.add(box)
        role = "crowd" if row["IsGroupOf"] == "1" else "person"
        marks = [words for column, words in MARKS.items() if row[column] == "1"]
        index.subject(key, name, role=role, category=category, box=box, marks=marks)
