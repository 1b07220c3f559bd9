"""Maps Clothing Co-Parsing's 59 tags to the 20 LIP classes.

Most tags have one class. Skin becomes a face, an arm or a leg by its position. Shoes and the like become left
or right by their position, as if the person faced the camera. This is wrong for backs and crossed legs, so
use these labels merged (`labels.merge_sides`).
"""

import cv2
import numpy as np

from deocc.errors import DeoccError
from deocc.labels import IGNORE
from deocc.masks import mask_box

SKIN, SHOES = 200, 201  # stand-ins until the second step
HAT, HAIR, GLASSES, DRESS, COAT, SOCKS = 1, 2, 4, 6, 7, 8
UPPER, JUMPSUIT = 5, 10
FACE, LEFT_ARM, RIGHT_ARM, LEFT_LEG, RIGHT_LEG, LEFT_SHOE, RIGHT_SHOE = range(13, 20)

CLASSES: dict[int, str] = {
    0: "null background",
    1: "hat",
    2: "hair",
    3: "gloves",
    4: "glasses sunglasses",
    5: "blouse shirt t-shirt top sweater sweatshirt jumper hoodie vest bra swimwear intimate tie belt",
    6: "dress",
    7: "blazer jacket coat cape cardigan suit",
    8: "socks stockings tights",
    9: "pants jeans leggings shorts panties",
    10: "romper bodysuit",
    11: "scarf",
    12: "skirt",
    13: "necklace earrings",
    IGNORE: "bag purse wallet accessories",  # carried: part of the mask, of no class
    SKIN: "skin bracelet watch ring",
    SHOES: "boots clogs flats heels loafers pumps sandals shoes sneakers wedges",
}
LABEL_OF = {tag: label for label, tags in CLASSES.items() for tag in tags.split()}
TAGS = ("null", *sorted(set(LABEL_OF) - {"null", "background"}))
"""The tags in the dataset's order (label_list.mat): "null", then alphabetically."""


def _table(names: tuple[str, ...]) -> np.ndarray:
    unknown = [name for name in names if name not in LABEL_OF]
    if unknown:
        raise DeoccError(f"CCP tag {unknown[0]!r} is unknown; known are {', '.join(sorted(LABEL_OF))}")
    return np.array([LABEL_OF[name] for name in names], np.uint8)


def _components(mask: np.ndarray) -> list[np.ndarray]:
    """Connected pieces, largest first; each H x W bool."""
    count, labels = cv2.connectedComponents(mask.astype(np.uint8), connectivity=8)
    sizes = np.bincount(labels.ravel(), minlength=count)[1:]
    return [labels == 1 + i for i in np.argsort(-sizes, kind="stable")]


def _touches(piece: np.ndarray, other: np.ndarray) -> bool:
    return bool((cv2.dilate(piece.astype(np.uint8), np.ones((3, 3), np.uint8)).astype(bool) & other).any())


def _skin_part(piece: np.ndarray, labels: np.ndarray, top: int, height: int) -> int:
    """FACE, LEFT_ARM or LEFT_LEG for one piece of skin."""
    rows = np.nonzero(piece)[0]
    centre, low = (rows.mean() - top) / height, (rows.max() - top) / height
    big = len(rows) > 0.05 * (labels > 0).sum()
    shod = _touches(piece, (labels == SHOES) | (labels == SOCKS))
    if (shod and centre > 0.55) or centre > 0.62 or (big and low > 0.65):
        return LEFT_LEG
    head = np.isin(labels, (HAT, HAIR, GLASSES))
    if centre < 0.22 or (centre < 0.3 and _touches(piece, head)):
        return FACE
    return LEFT_ARM


def _split_at(mask: np.ndarray, middle: float, left: int, right: int, labels: np.ndarray) -> None:
    """Labels a mask left or right of a line; the person's left is the picture's right."""
    columns = np.arange(mask.shape[1])[None] > middle
    labels[mask & columns] = left
    labels[mask & ~columns] = right


def _middle(mask: np.ndarray) -> float:
    columns = np.flatnonzero(mask.any(0))
    return float(columns[0] + columns[-1]) / 2


def _split_shoes(labels: np.ndarray) -> None:
    """Labels shoes: the two largest pieces are left and right; a single piece is cut in the middle."""
    pieces = _components(labels == SHOES)
    if len(pieces) == 1:
        _split_at(pieces[0], _middle(pieces[0]), LEFT_SHOE, RIGHT_SHOE, labels)
    elif pieces:
        centres = [np.nonzero(piece)[1].mean() for piece in pieces]
        middle = (centres[0] + centres[1]) / 2
        for piece, centre in zip(pieces, centres, strict=True):
            labels[piece] = LEFT_SHOE if centre > middle else RIGHT_SHOE


def _split_skin(labels: np.ndarray) -> None:
    _, top, _, bottom = mask_box(labels > 0)
    height = bottom - top
    parts = [(piece, _skin_part(piece, labels, top, height)) for piece in _components(labels == SKIN)]
    lower = np.isin(labels, (SHOES, SOCKS))
    for piece, part in parts:
        labels[piece] = part
        if part == FACE:  # with neck and upper chest, down to 0.24 of the height
            piece[: top + round(0.24 * height)] = False
            labels[piece] = LEFT_ARM
    arms, legs = labels == LEFT_ARM, labels == LEFT_LEG
    torso = np.isin(labels, (UPPER, DRESS, COAT, JUMPSUIT))
    centre = float(np.median(np.nonzero(torso if torso.any() else labels > 0)[1]))
    _split_at(arms, centre, LEFT_ARM, RIGHT_ARM, labels)
    if legs.any():
        _split_at(legs, _middle(legs | lower), LEFT_LEG, RIGHT_LEG, labels)


def lip_parsing(tags: np.ndarray, names: tuple[str, ...] = TAGS) -> np.ndarray:
    """Turns a map of CCP tags into LIP classes.

    Args:
        tags: H x W integers, indices of `names`.
        names: names of the tags in the dataset's order.

    Returns:
        H x W uint8, 0..19 and 255 (bags and other carried things); non-zero exactly on the person.

    Raises:
        DeoccError: an index beyond the names, an unknown name, or nobody in the picture.
    """
    indices = tags.ndim == 2 and np.issubdtype(tags.dtype, np.integer)
    if not indices or not 0 <= tags.min() <= tags.max() < len(names):
        raise DeoccError(
            f"CCP annotation is {tags.shape} {tags.dtype} with values up to {tags.max()}; expected H x W "
            f"indices below {len(names)}"
        )
    labels = _table(names)[tags]
    _split_skin(labels)
    _split_shoes(labels)
    return labels
