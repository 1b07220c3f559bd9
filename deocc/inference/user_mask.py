"""How far the user's mask is followed.

A rough mask says where the person is. Stage 1 may move its borders and drop parts of it: at most half where
it is merely doubtful, more only where it is surely wrong. This limit holds on the network's grid, before the
fine borders on the photo (`deocc.inference.borders`). An exact mask is the visible person, bit for bit.
"""

import cv2
import numpy as np

from deocc.masks import as_bytes, distance_from, mask_box

FAR = 0.5  # gap between the boxes of a piece and of the largest piece, in longer sides of the latter
STRAY = 0.02  # share of the largest piece's area below which a far piece is stray
TRUST = 0.25, 2.0  # log-odds that a pixel inside M_i gains for being there: in a poor, and in a good M_i
GOOD = 0.6, 0.75  # IoU of M_i and the refined visible mask: a poor M_i, and from where on it is a good one
MOST_GIVEN_UP = 0.5  # share of M_i that may be given up where stage 1 is not sure, on the network's grid
SURE = 2.2  # log-odds of 9 to 1
MUCH = 0.25  # share of M_i that is worth a note when it was given up
CAREFUL = 0.045  # share of M_i; where stage 1 takes less of it for hidden, finer borders take no more in all
FRINGE = 0.02  # width of the rim of an exact mask that is left out of hidden parts, in sides of the frame


def without_strays(mask: np.ndarray) -> tuple[np.ndarray, int]:
    """Removes far, tiny pieces from a mask, so that a stray pixel cannot change the frame.

    Args:
        mask: H x W bool, not empty.

    Returns:
        The mask without them (the same array where there are none) and how many pixels were left out.
    """
    x0, y0, x1, y1 = mask_box(mask)
    count, labels, stats, _ = cv2.connectedComponentsWithStats(as_bytes(mask[y0:y1, x0:x1]), connectivity=8)
    if count <= 2:
        return mask, 0
    boxes, areas = stats[1:, :4], stats[1:, cv2.CC_STAT_AREA]
    main = int(areas.argmax())
    left, top, wide, high = (boxes[:, k] for k in range(4))
    gap_x = np.maximum(left - (left + wide)[main], left[main] - (left + wide))
    gap_y = np.maximum(top - (top + high)[main], top[main] - (top + high))
    far = np.maximum(gap_x, gap_y) > FAR * max(wide[main], high[main])
    stray = far & (areas < STRAY * areas[main])
    if not stray.any():
        return mask, 0
    kept = mask.copy()
    kept[y0:y1, x0:x1] &= ~np.concatenate([[False], stray])[labels]
    return kept, int(areas[stray].sum())


def hold_on(modal: np.ndarray, initial_mask: np.ndarray) -> np.ndarray:
    """Visible log-odds that drop no more of a rough mask, on the network's grid, than the limit allows.

    Every pixel inside the mask gains `TRUST`, which is larger if the mask agrees better with the refined one.
    If more than `MOST_GIVEN_UP` of the mask would still be dropped, its pixels gain more, up to `SURE` in
    all; pixels that stage 1 rejects more clearly are dropped.

    Args:
        modal: S x S float32 log-odds of the visible person.
        initial_mask: S x S bool, M_i as the network saw it.

    Returns:
        S x S float32.
    """
    inside = modal[initial_mask]
    if not len(inside):
        return modal
    needed = 1e-3 - float(np.quantile(inside, MOST_GIVEN_UP))  # then this share lies below 0
    return modal + np.float32(np.clip(needed, trust_in(initial_mask, modal > 0), SURE)) * initial_mask


def trust_in(initial_mask: np.ndarray, refined: np.ndarray) -> float:
    """`TRUST` of a rough mask, by its IoU with the refined one; both S x S bool."""
    agreement = (initial_mask & refined).sum() / max(int((initial_mask | refined).sum()), 1)
    return float(np.interp(agreement, GOOD, TRUST))


def hold_borders(
    initial_mask: np.ndarray, modal_mask: np.ndarray, finer: np.ndarray, amodal_mask: np.ndarray
) -> np.ndarray:
    """A finer visible mask that drops no more than `CAREFUL` of a carefully drawn M_i.

    M_i was drawn with care if stage 1 takes less of it for hidden. Of the pixels that the finer mask drops,
    those at the hidden part go first.

    Args:
        initial_mask: M_i.
        modal_mask: the visible mask, as stage 1 answered.
        finer: the same without pixels that look like what hides the person.
        amodal_mask: the whole mask. All are H x W bool.

    Returns:
        H x W bool, between `finer` and `modal_mask`.
    """
    hidden = amodal_mask & ~modal_mask
    room = int(CAREFUL * initial_mask.sum()) - int((initial_mask & hidden).sum())
    dropped = initial_mask & modal_mask & ~finer
    if room < 0 or int(dropped.sum()) <= room:
        return finer
    away = distance_from(hidden)[dropped]
    kept = finer.copy()
    kept[dropped] = np.argsort(np.argsort(away, kind="stable"), kind="stable") >= room
    return kept


def follow_exactly(
    mask: np.ndarray, modal_mask: np.ndarray, amodal_mask: np.ndarray, side: float
) -> tuple[np.ndarray, np.ndarray]:
    """Both masks where the visible one is known exactly.

    Pixels that stage 1 takes for visible just outside the exact mask are border errors, not hidden parts, so
    a rim of `FRINGE` is left out. Farther out, they belong to the occluder, and the whole person may
    continue. Where the rim would part such a piece from the person on all sides, it stays beside it.

    Args:
        mask: H x W bool, the exact visible mask.
        modal_mask, amodal_mask: H x W bool, stage 1's answers.
        side: of the frame, photo pixels.

    Returns:
        Visible mask (an equal copy of `mask`) and whole mask, H x W bool.
    """
    width = 2 * max(1, round(FRINGE * side)) + 1
    beyond = amodal_mask & ~mask
    rim = np.zeros_like(mask)
    if beyond.any():
        x0, y0, x1, y1 = mask_box(beyond | mask)
        window = np.s_[y0:y1, x0:x1]
        reach = np.ones((width, width), np.uint8)
        rim[window] = (cv2.dilate(as_bytes(mask[window]), reach) > 0) & modal_mask[window]
        parted = _parted(mask[window], beyond[window] & ~rim[window], width // 2)
        rim[window] &= cv2.dilate(as_bytes(parted), reach) == 0
    return mask.copy(), mask | (beyond & ~rim)


def _parted(mask: np.ndarray, hidden: np.ndarray, thickness: int) -> np.ndarray:
    """The thick parts of hidden pieces that touch the mask nowhere; slivers are errors of the border."""
    _, pieces = cv2.connectedComponents(as_bytes(hidden), connectivity=8)
    touching = pieces[hidden & (cv2.dilate(as_bytes(mask), np.ones((3, 3), np.uint8)) > 0)]
    apart = as_bytes(hidden & ~np.isin(pieces, np.unique(touching)))
    return cv2.morphologyEx(apart, cv2.MORPH_OPEN, np.ones((thickness | 1,) * 2, np.uint8)) > 0


def share_given_up(initial_mask: np.ndarray, modal_mask: np.ndarray) -> float:
    """Share of a rough mask that is not in the visible mask, both H x W bool; in [0, 1]."""
    return float((initial_mask & ~modal_mask).sum() / max(int(initial_mask.sum()), 1))
