"""Look Into Person, single-person parsing, whose label maps need no conversion."""

from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from deocc.errors import DeoccError
from deocc.labels import IGNORE, NUM_CLASSES
from deocc.people.sources.about import ABOUT
from deocc.people.sources.candidates import Entry, Photo, Subject, Writer
from deocc.people.sources.coco import coco_identity
from deocc.people.sources.files import find, named, picture, read_list, require, stem_of
from deocc.people.sources.problems import Unusable
from deocc.people.sources.regions import LabelPicture, labels_of


def lip_parsing(mask: np.ndarray, path: Path) -> np.ndarray:
    """LIP labels inside a mask: 0 outside; 255 = ignore for background inside.

    Args:
        mask: H x W bool.
        path: label picture, H x W, 0..19 or 255.

    Returns:
        H x W uint8.
    """
    labels = labels_of(path)
    if labels.shape != mask.shape:
        raise Unusable("sizes differ", f"{path.name} is {labels.shape[::-1]}, the photo {mask.shape[::-1]}")
    if ((labels >= NUM_CLASSES) & (labels != IGNORE)).any():
        raise Unusable("annotation damaged", f"{path.name} has label {labels[labels != IGNORE].max()}")
    return np.where(mask, np.where(labels == 0, np.uint8(IGNORE), labels), np.uint8(0))


@dataclass(frozen=True)
class Lip:
    """LIP's training and validation people; each is a crop out of a COCO photo.

    Attributes:
        root: folder with ``train_id.txt``, ``val_id.txt``, ``train_images/``, ``train_segmentations/`` and
            so on; the archives' own folders around them are also searched.
    """

    root: Path
    name: str = "lip"
    has_masks: bool = True
    curated: bool = False

    def fill(self, index: Writer) -> None:
        require(self.root, "LIP's list of ids", "train_id.txt", "val_id.txt")
        for split in ("train", "val"):
            if (ids := find(self.root, f"{split}_id.txt")) is None:
                continue
            index.reads(ids)
            images = require(self.root, f"LIP's photos ({split})", f"{split}_images")
            places = (f"{split}_segmentations/{split}_segmentations", f"{split}_segmentations")
            labels = require(self.root, f"LIP's label maps ({split})", *places)
            names = list(read_list(ids, images))
            if not names:
                raise DeoccError(f"{ids}: not a text file of names, it is empty; fetch it again")
            for stem in (stem_of(name, images.name) for name in names):
                index.photo(stem, images=str(images), labels=str(labels), split=split)

    def photo(self, entry: Entry) -> Photo:
        assert entry.facts is not None  # the lists are all there is
        path = picture([Path(entry.facts["images"])], entry.key)
        labels = named(Path(entry.facts["labels"]), f"{entry.key}.png")
        person = Subject(entry.key, LabelPicture(labels), parsing=partial(lip_parsing, path=labels))
        identity = coco_identity(entry.key.split("_")[0])  # ids are COCO's photo_annotation
        return Photo(path, entry.facts["split"], identity, ABOUT["lip"].licence, None, (person,), True,
                     problems=entry.problems)  # fmt: skip
