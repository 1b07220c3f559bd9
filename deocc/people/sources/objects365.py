"""Objects365: boxes only, written as COCO writes them."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deocc.people.sources.about import ABOUT
from deocc.people.sources.candidates import Entry, Photo, Subject, Writer
from deocc.people.sources.coco import find_parts, index_coco, listed, photo_folders, read_subjects, size_of
from deocc.people.sources.files import picture
from deocc.people.sources.regions import BoxOnly, Unusable

FLAGS = {"isfake": "a depiction", "isreflected": "a reflection"}


def _keep(annotation: dict[str, Any]) -> dict[str, Any]:
    marks = [words for flag, words in FLAGS.items() if annotation.get(flag)]
    return {"bbox": annotation.get("bbox"), "marks": marks}


def box_region(bbox: Any) -> BoxOnly:
    """A box written as x, y, width, height. Raises: Unusable."""
    numbers = isinstance(bbox, list) and len(bbox) == 4 and all(isinstance(v, int | float) for v in bbox)
    if not numbers or not (bbox[2] > 0 and bbox[3] > 0):
        raise Unusable("annotation damaged", f"the box is {bbox}; x, y, width, height were expected")
    x, y, width, height = (float(v) for v in bbox)
    return BoxOnly((x, y, x + width, y + height))


def _subject(name: str, facts: dict[str, Any]) -> Subject:
    return Subject(name, box_region(facts["bbox"]), facts["role"], facts["category"], tuple(facts["marks"]))


@dataclass(frozen=True)
class Objects365:
    """Objects365 (versions 1 and 2).

    Attributes:
        root: folder with ``*objv2_train.json`` or ``annotations/`` of it, and the photos in ``train/``,
            ``val/``, ``patch*/`` or ``images/``.
        annotations, images: one annotation file and its photos' folder, where they are elsewhere.
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
        path = picture(photo_folders(self.root, self.images, facts["part"]), facts["file"])
        subjects, problems = read_subjects(entry, _subject)
        identity = f"objects365:{Path(facts['file']).stem}"
        return Photo(path, facts["split"], identity, ABOUT["objects365"].licence, size_of(facts), subjects,
                     problems=problems)  # fmt: skip
