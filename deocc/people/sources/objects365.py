"""Objects365: boxes only, in COCO's format."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deocc.people.sources.about import ABOUT
from deocc.people.sources.candidates import Entry, Photo, Subject, Writer
from deocc.people.sources.coco import (
    Annotation,
    find_parts,
    index_coco,
    listed,
    photo_file,
    read_subjects,
    size_of,
)
from deocc.people.sources.problems import Unusable
from deocc.people.sources.regions import BoxOnly
from deocc.people.values import as_flag, as_number

FLAGS = {"isfake": "a depiction", "isreflected": "a reflection"}


def _keep(annotation: Annotation) -> dict[str, Any]:
    marks = [words for flag, words in FLAGS.items() if as_flag(getattr(annotation, flag), flag)]
    return {"bbox": annotation.bbox, "marks": marks}


def box_region(bbox: Any) -> BoxOnly:
    """A box from x, y, width, height. Raises: Unusable."""
    numbers = [as_number(value) for value in bbox] if isinstance(bbox, list) and len(bbox) == 4 else []
    if not numbers or not all(abs(v) < 1e6 for v in numbers) or min(numbers[2:]) <= 0:
        words = f"the box is {str(bbox)[:60]}; x, y, width, height were expected"
        raise Unusable("annotation damaged", words)
    x, y, width, height = numbers
    return BoxOnly((x, y, x + width, y + height))


def _subject(name: str, facts: dict[str, Any]) -> Subject:
    return Subject(name, box_region(facts["bbox"]), facts["role"], facts["category"], tuple(facts["marks"]))


@dataclass(frozen=True)
class Objects365:
    """Objects365 (versions 1 and 2).

    Attributes:
        root: folder with ``*objv2_train.json`` or ``annotations/`` of it, and the photos in ``train/``,
            ``val/``, ``patch*/`` or ``images/``.
        annotations, images: one annotation file and its photos' folder, if elsewhere.
    """

    root: Path
    annotations: Path | None = None
    images: Path | None = None
    name: str = "objects365"
    has_masks: bool = False
    curated: bool = False

    def fill(self, index: Writer) -> None:
        patterns = ("annotations/*obj*.json", "*obj*.json", "train/*obj*.json", "val/*obj*.json")
        for part in find_parts(self.root, self.annotations, "Objects365's annotations", *patterns):
            index_coco(part, index, _keep, objects=False)

    def photo(self, entry: Entry) -> Photo:
        facts = listed(entry)
        path = photo_file(self.root, self.images, facts)
        subjects, problems = read_subjects(entry, _subject)
        identity = f"objects365:{Path(facts['file']).stem}"
        return Photo(path, facts["split"], identity, ABOUT["objects365"].licence, size_of(facts), subjects,
                     problems=problems)  # fmt: skip
