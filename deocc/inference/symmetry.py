"""Corrects labels of hidden clothes by the visible other side of the person.

Stage 1 knows people in general. Of a hidden leg it says trousers, because most people wear them, even where
the other leg is bare. Clothes are alike on both sides, so that the visible side knows better.
"""

import cv2
import numpy as np

from deocc.inference.user_mask import without_strays
from deocc.labels import LIP_CLASSES, merge_sides, swap_sides
from deocc.masks import as_bytes, mask_box

SMOOTH = 0.1  # height of the window in which the axis is averaged, in heights of the person
LEAST = 0.012  # width of what is corrected, same unit: slivers come from a poor axis
PATCH = 0.008  # least area of a connected piece, as a share of the person's: small ones look like stains
SLIM = 0.13  # width of a row, same unit as `SMOOTH`, below which it is one limb without sides
BARE = 0.5  # visible bare arm, as a share of the hidden one, from which nothing speaks for a sleeve
_CLASS = {name: LIP_CLASSES.index(name) for name in LIP_CLASSES}
MENDED = frozenset(
    (_CLASS[said], _CLASS[seen])
    for said, seen in (
        ("left-arm", "coat"), ("left-arm", "upper-clothes"), ("left-arm", "dress"),
        ("pants", "dress"), ("pants", "left-leg"), ("skirt", "left-leg"), ("left-leg", "pants"),
    )
)  # fmt: skip
"""What stage 1 says of a hidden pixel and what the other side shows, where the other side is right: a bare
arm where the other one is in a sleeve, trousers against a dress or a bare leg, a bare leg against trousers.
Left stands for both sides."""
ARM = _CLASS["left-arm"]


def as_the_other_side(modal_mask: np.ndarray, amodal_mask: np.ndarray, parsing: np.ndarray) -> np.ndarray:
    """Body parts in which hidden clothes agree with the visible other side of the person.

    A hidden pixel looks at its mirror image across the person's axis, the middle of each row. Where that is
    visible, and its label one that stage 1 is known to miss (`MENDED`), the pixel takes this label, with left
    and right exchanged. Arms stay bare if one is seen to be.

    Args:
        modal_mask, amodal_mask: H x W bool.
        parsing: H x W uint8, the part of every pixel of the whole person.

    Returns:
        H x W uint8; `parsing` itself if nothing changes.

    Differs from the paper: this step is ours.
    """
    hidden = amodal_mask & ~modal_mask
    if not hidden.any() or not modal_mask.any():
        return parsing
    modal_mask = without_strays(modal_mask)[0]
    x0, y0, x1, y1 = mask_box(modal_mask | hidden)
    window = np.s_[y0:y1, x0:x1]
    seen, hole, labels = modal_mask[window], hidden[window], parsing[window]
    y, x = np.nonzero(hole)
    middle, extent = _rows(seen | hole)
    other = np.rint(2 * middle[y] - x).astype(np.int64)
    inside = (other >= 0) & (other < x1 - x0)
    inside[inside] = seen[y[inside], other[inside]]
    y, x, other = y[inside], x[inside], other[inside]
    shown = labels[y, other]
    shown = np.where(extent[y] < SLIM * (y1 - y0), shown, swap_sides(shown))
    said, there = merge_sides(labels[y, x]), merge_sides(shown)
    arms = merge_sides(labels) == ARM
    bare = (arms & seen).sum() >= BARE * max(1, (arms & hole).sum())
    wrong = np.zeros(len(y), bool)
    for one, right in MENDED:
        if not (one == ARM and bare):
            wrong |= (said == one) & (there == right)
    new = np.zeros_like(labels)
    new[y[wrong], x[wrong]] = shown[wrong]
    side = 2 * round(LEAST * (y1 - y0) / 2) + 1  # odd: an even one moves what it opens
    wide = cv2.morphologyEx(as_bytes(new > 0), cv2.MORPH_OPEN, np.ones((side, side), np.uint8))
    _, pieces, facts, _ = cv2.connectedComponentsWithStats(wide)
    large = facts[:, cv2.CC_STAT_AREA] >= PATCH * (seen | hole).sum()
    large[0] = False  # what is not corrected
    if not large.any():
        return parsing
    out, kept = parsing.copy(), large[pieces]
    out[window][kept] = new[kept]
    return out


def _rows(person: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The column of the person's middle, smooth over rows, and the person's extent; each H float32."""
    height, width = person.shape
    rows, known = np.arange(height), person.any(1)
    first, last = person.argmax(1), width - 1 - person[:, ::-1].argmax(1)
    middle = np.interp(rows, rows[known], ((first + last) / 2)[known]).astype(np.float32)
    window = (1, 2 * int(SMOOTH * height / 2) + 1)
    middle = cv2.blur(middle[:, None], window, borderType=cv2.BORDER_REPLICATE)[:, 0]
    return middle, np.where(known, last - first + 1, 0).astype(np.float32)
