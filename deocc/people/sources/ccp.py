"""Clothing Co-Parsing: 59 clothing classes of each pixel, mapped to LIP's 20."""

from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path

import numpy as np

from deocc.errors import DeoccError
from deocc.labels import IGNORE
from deocc.people.sources.about import ABOUT
from deocc.people.sources.candidates import Entry, Photo, Subject, Writer
from deocc.people.sources.ccp_labels import LABEL_OF, lip_parsing
from deocc.people.sources.files import matches, named, picture, require
from deocc.people.sources.problems import Unusable
from deocc.people.sources.regions import LabelPicture, labels_of, mat_variable
from deocc.people.texts import RESTORE

FIELD = "groundtruth"
MAX_CARRIED = 0.25  # share of the figure that a carried thing may take: more hides the body's shape


@lru_cache(maxsize=4)
def class_names(path: Path) -> tuple[str, ...]:
    """The names of CCP's tags, in order, from ``label_list.mat``. Raises: Unusable."""
    return tuple(str(name).strip() for name in np.ravel(mat_variable(path, "label_list")))


def carried_share(labels: np.ndarray, names: tuple[str, ...]) -> float:
    """Share of the figure that bags and the like take. Args: labels: H x W uint8, CCP's tags."""
    carried = [number for number, name in enumerate(names) if LABEL_OF.get(name) == IGNORE]
    return float(np.isin(labels, carried).sum() / max((labels > 0).sum(), 1))


def ccp_parsing(mask: np.ndarray, path: Path, names: tuple[str, ...]) -> np.ndarray:
    """LIP labels of a label file, inside a mask. Args: mask: H x W bool. Returns: H x W uint8."""
    labels = labels_of(path, FIELD)
    if labels.shape != mask.shape:
        raise Unusable("sizes differ", f"{path.name} is {labels.shape[::-1]}, the photo {mask.shape[::-1]}")
    try:
        return np.where(mask, lip_parsing(labels, names), np.uint8(0))
    except DeoccError as error:
        raise Unusable("annotation damaged", f"{path.name}: {error}") from None


@dataclass(frozen=True)
class ClothingCoParsing:
    """The 1,004 photos with pixel labels.

    Attributes:
        root: folder with ``photos/``, ``annotations/pixel-level/`` and ``label_list.mat``, or one around it.
    """

    root: Path
    name: str = "ccp"
    has_masks: bool = True
    curated: bool = False

    def fill(self, index: Writer) -> None:
        folder = require(self.root, "CCP's pixel labels", "annotations/pixel-level")
        base = folder.parent.parent
        try:
            class_names(base / "label_list.mat")
        except Unusable as error:
            raise DeoccError(f"{base / 'label_list.mat'}: {error}; {RESTORE}") from None
        index.reads(folder)
        for path in matches(folder, "*.mat"):
            index.photo(path.stem, base=str(base))

    def photo(self, entry: Entry) -> Photo:
        assert entry.facts is not None  # the label files are the list
        base = Path(entry.facts["base"])
        path = picture([base / "photos"], entry.key)
        labels = named(base / "annotations/pixel-level", f"{entry.key}.mat")
        names = class_names(base / "label_list.mat")
        share = carried_share(labels_of(labels, FIELD), names)
        marks = ("hidden by what they carry",) if share > MAX_CARRIED else ()
        parsing = partial(ccp_parsing, path=labels, names=names)
        person = Subject(entry.key, LabelPicture(labels, field=FIELD), marks=marks, parsing=parsing)
        return Photo(path, "", f"ccp:{entry.key}", ABOUT["ccp"].licence, None, (person,),
                     problems=entry.problems, files=(base / "label_list.mat",))  # fmt: skip
