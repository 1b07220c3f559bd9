"""Clothing Co-Parsing: 59 clothing classes of each pixel, mapped to LIP's 20."""

from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path

import cv2
import numpy as np

from deocc.errors import DeoccError
from deocc.labels import IGNORE, LIP_CLASSES
from deocc.people.sources.about import ABOUT
from deocc.people.sources.candidates import Entry, Photo, Subject, Writer
from deocc.people.sources.files import picture, require
from deocc.people.sources.regions import LabelPicture, Unusable, labels_of, mat_variable

FIELD = "groundtruth"
GARMENTS = {
    "hat": ("hat",), "hair": ("hair",), "glove": ("gloves",), "sunglasses": ("glasses", "sunglasses"),
    "upper-clothes": ("blouse", "shirt", "t-shirt", "top", "sweater", "sweatshirt", "jumper", "hoodie",
                      "vest", "bra", "swimwear", "intimate", "tie", "belt"),
    "dress": ("dress",), "coat": ("blazer", "jacket", "coat", "cape", "cardigan", "suit"),
    "socks": ("socks", "stockings", "tights"), "pants": ("pants", "jeans", "leggings", "shorts", "panties"),
    "jumpsuit": ("romper", "bodysuit"), "scarf": ("scarf",), "skirt": ("skirt",),
    "face": ("necklace", "earrings"),
}  # fmt: skip
SKIN = ("skin", "bracelet", "watch", "ring")
SHOES = ("boots", "clogs", "flats", "heels", "loafers", "pumps", "sandals", "shoes", "sneakers", "wedges")
CARRIED = ("bag", "purse", "wallet", "accessories")
MAX_CARRIED = 0.25  # share of the figure that a carried thing may take: more hides the body's shape
LEFT = {"arm": 14, "leg": 16, "shoe": 18}  # of LIP's classes; the right one follows
FACE = LIP_CLASSES.index("face")


@lru_cache(maxsize=4)
def class_names(path: Path) -> tuple[str, ...]:
    """The names of CCP's classes, in order, out of ``label_list.mat``. Raises: Unusable."""
    return tuple(str(name).strip() for name in np.ravel(mat_variable(path, "label_list")))


def _those(labels: np.ndarray, names: tuple[str, ...], wanted: tuple[str, ...]) -> np.ndarray:
    return np.isin(labels, [number for number, name in enumerate(names) if name in wanted])


def carried_share(labels: np.ndarray, names: tuple[str, ...]) -> float:
    """Share of the figure that bags and the like take. Args: labels: H x W uint8, CCP's classes."""
    return float(_those(labels, names, CARRIED).sum() / max((labels > 0).sum(), 1))


def ccp_to_lip(labels: np.ndarray, names: tuple[str, ...]) -> np.ndarray:
    """CCP's labels as LIP's. Bare skin becomes face, arm or leg by where it is; carried things are ignored.

    Left and right assume somebody who faces the camera, so they are not true sides.

    Args:
        labels: H x W uint8, CCP's classes.
        names: of the classes.

    Returns:
        H x W uint8, LIP ids and 255; non-zero exactly where `labels` is.
    """
    table = np.zeros(256, np.uint8)
    table[1:] = IGNORE
    for part, garments in GARMENTS.items():
        for garment in garments:
            if garment in names:
                table[names.index(garment)] = LIP_CLASSES.index(part)
    out = table[labels]
    if not (labels > 0).any():
        return out
    shoes, skin = _those(labels, names, SHOES), _those(labels, names, SKIN)
    _set_side(out, shoes, "shoe", labels > 0)
    for component in _components(skin):
        part = _skin_part(component, labels, names, shoes)
        if part == "face":
            out[component] = FACE
        else:
            _set_side(out, component, part, labels > 0)
    return out


def _components(mask: np.ndarray) -> list[np.ndarray]:
    count, numbers = cv2.connectedComponents(mask.astype(np.uint8), connectivity=8)
    return [numbers == number for number in range(1, count)]


def _skin_part(component: np.ndarray, labels: np.ndarray, names: tuple[str, ...], shoes: np.ndarray) -> str:
    """ "face", "arm" or "leg", by height in the figure and by what the skin touches."""
    rows = np.flatnonzero((labels > 0).any(1))
    height = (np.nonzero(component)[0].mean() - rows[0]) / max(len(rows), 1)
    near = cv2.dilate(component.astype(np.uint8), np.ones((5, 5), np.uint8)).astype(bool)
    if height > 0.62 or (height > 0.55 and (near & shoes).any()):
        return "leg"
    head = _those(labels, names, ("hair", "hat", "glasses", "sunglasses"))
    return "face" if height < 0.22 or (height < 0.35 and (near & head).any()) else "arm"


def _set_side(out: np.ndarray, where: np.ndarray, part: str, figure: np.ndarray) -> None:
    """Writes the left or right class, by the side of the figure's middle in the rows concerned."""
    rows = where.any(1)
    if not rows.any():
        return
    middle = np.median(np.nonzero(figure[rows])[1])
    left = np.arange(out.shape[1])[None] > middle  # the person's left is the picture's right
    out[where & left], out[where & ~left] = LEFT[part], LEFT[part] + 1


def ccp_parsing(mask: np.ndarray, path: Path, names: tuple[str, ...]) -> np.ndarray:
    """LIP labels of a label file, inside a mask. Args: mask: H x W bool. Returns: H x W uint8."""
    labels = labels_of(path, FIELD)
    if labels.shape != mask.shape:
        raise Unusable("sizes differ", f"{path.name} is {labels.shape[::-1]}, the photo {mask.shape[::-1]}")
    return np.where(mask, ccp_to_lip(labels, names), np.uint8(0))


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
            raise DeoccError(f"{base / 'label_list.mat'}: {error}; fetch the dataset again") from None
        for path in folder.iterdir():
            if path.suffix == ".mat":
                index.photo(path.stem, base=str(base))

    def photo(self, entry: Entry) -> Photo:
        assert entry.facts is not None  # the label files are the list
        base = Path(entry.facts["base"])
        path, labels = (
            picture([base / "photos"], entry.key),
            base / f"annotations/pixel-level/{entry.key}.mat",
        )
        names = class_names(base / "label_list.mat")
        share = carried_share(labels_of(labels, FIELD), names)
        marks = ("hidden by what they carry",) if share > MAX_CARRIED else ()
        parsing = partial(ccp_parsing, path=labels, names=names)
        person = Subject(entry.key, LabelPicture(labels, field=FIELD), marks=marks, parsing=parsing)
        return Photo(path, "", f"ccp:{entry.key}", ABOUT["ccp"].licence, None, (person,),
                     problems=entry.problems)  # fmt: skip
