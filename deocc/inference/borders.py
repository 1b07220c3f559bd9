"""Fine borders of masks at the photo's own resolution.

Stage 1 answers on a coarse grid. A finer border comes from M_i where stage 1 agrees with it, and from the
photo's colours elsewhere. In the paper, masks stay on the network's grid.
"""

from __future__ import annotations

import cv2
import numpy as np

from deocc.inference.bleed import without_bleed, without_soft_edge
from deocc.inference.doubt import settle
from deocc.inference.user_mask import hold_borders
from deocc.masks import Frame, around, as_bytes
from deocc.metrics import mask_iou

TRUSTED = 0.9  # IoU of M_i and the refined visible mask, on the network's grid; from here M_i's border counts
EXACT = 0.96  # the same; from here M_i is as exact as true masks are, and keeps every pixel
REACH = 0.016  # half the guided filter's window, as a share of the frame's side: 2 of 128 pixels
EPSILON = 1e-3  # its regulariser, in squared units of image values in [0, 1]
GRID = 384  # finest grid of its coefficients along the frame's side
INSIDE = 6.0  # log-odds of the mask from which a pixel stays in it, whatever its colour
CONTACT = 0.002  # width of the rim of the visible person at what hides it that is hidden too, same unit


def finish_masks(
    image: np.ndarray,
    initial_mask: np.ndarray,
    modal: np.ndarray,
    amodal: np.ndarray,
    frame: Frame,
    own: bool = False,
    contact: bool = True,
) -> tuple[np.ndarray, np.ndarray]:
    """Stage 1's answers on the photo, with the finest border available.

    Args:
        image: H x W x 3 uint8.
        initial_mask: H x W bool, M_i.
        modal, amodal: S x S float32 log-odds of the visible and of the whole person.
        frame: the window they lie in.
        own: M_i is stage 1's own answer to a box, so that agreement with it says nothing; colours then
            decide doubtful pixels (`deocc.inference.doubt`).
        contact: the visible mask ends before what hides the person (`without_contact`, `without_bleed`,
            `without_soft_edge`). Where stage 1 agrees with M_i, only the soft edge is given up, and from
            `EXACT` on nothing. Of a carefully drawn M_i, little is given up in all (`hold_borders`).

    Returns:
        Visible and whole mask, H x W bool; the whole one contains the visible one.
    """
    size, shape = len(modal), initial_mask.shape
    seen = frame.crop_rough_mask(initial_mask, size)
    agreement = 0.0 if own or not seen.any() else mask_iou(seen, modal > 0)
    if own:
        photo = frame.photo_mask(shape, size)
        modal, amodal = settle(frame.crop_image(image, size), modal, amodal, photo)
    visible, whole = (frame.paste(maps, shape) for maps in (modal, amodal))
    masks = visible > 0, (whole > 0) | (visible > 0)
    if agreement >= TRUSTED:
        visible_mask, whole_mask = restore_detail(*masks, initial_mask, frame, size)
        contact = contact and agreement < EXACT
    else:
        better = snap_to_image(image, visible, frame)
        visible_mask, whole_mask = _with_visible(*masks, better, REACH * frame.side)
    if not contact:
        return visible_mask, whole_mask
    finer = visible_mask
    if agreement < TRUSTED:
        finer = without_contact(finer, whole_mask, CONTACT * frame.side)
        finer = without_bleed(image, finer, whole_mask, frame.side)
    finer = without_soft_edge(image, finer, whole_mask, frame.side)
    if not own:
        finer = hold_borders(initial_mask, visible_mask, finer, whole_mask)
    return finer, whole_mask


def without_contact(modal_mask: np.ndarray, amodal_mask: np.ndarray, width: float) -> np.ndarray:
    """The visible mask without its rim along what hides the person: pixels there mix the colours of both.

    Args:
        modal_mask, amodal_mask: H x W bool; amodal contains modal.
        width: of the rim, photo pixels.

    Returns:
        H x W bool.
    """
    hidden = amodal_mask & ~modal_mask
    pixels = round(width)
    if pixels < 1 or not hidden.any():
        return modal_mask
    window = around(hidden, pixels)
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * pixels + 1, 2 * pixels + 1))
    kept = modal_mask.copy()
    kept[window] &= cv2.dilate(as_bytes(hidden[window]), disc) == 0
    return kept


def _with_visible(
    modal_mask: np.ndarray, amodal_mask: np.ndarray, better: np.ndarray, reach: float
) -> tuple[np.ndarray, np.ndarray]:
    """Both masks with a better visible one; all are H x W bool.

    Visible pixels given up within `reach` photo pixels of the hidden part belong to it, elsewhere to the
    background.
    """
    side = 2 * max(1, round(reach)) + 1
    hidden = (amodal_mask & ~modal_mask).astype(np.uint8)
    beside = cv2.dilate(hidden, np.ones((side, side), np.uint8)) > 0
    return better, (amodal_mask & ~(modal_mask & ~better & ~beside)) | better


def restore_detail(
    modal_mask: np.ndarray, amodal_mask: np.ndarray, initial_mask: np.ndarray, frame: Frame, size: int
) -> tuple[np.ndarray, np.ndarray]:
    """Restores the fine border of M_i, which is lost at the network's size.

    Where the refined mask agrees with M_i at the network's size, M_i at full size is the better answer. Where
    the network changed M_i, its answer stays.

    Args:
        modal_mask, amodal_mask: H x W bool, stage 1's answers on the photo; amodal contains modal.
        initial_mask: H x W bool, M_i at the photo's resolution.
        frame, size: the window that the network saw, and its side in the network's pixels.

    Returns:
        Both masks, H x W bool; amodal contains modal.
    """
    coarse = frame.crop_rough_mask(initial_mask, size).astype(np.float32)
    seen = frame.paste(coarse, initial_mask.shape) > 0.5
    gained = initial_mask & ~seen & ~modal_mask
    lost = ~initial_mask & seen & modal_mask
    better = (modal_mask | gained) & ~lost
    return _with_visible(modal_mask, amodal_mask, better, 1.5 * frame.side / size)


def snap_to_image(image: np.ndarray, log_odds: np.ndarray, frame: Frame) -> np.ndarray:
    """Moves a soft mask's border to nearby edges of the photo, by the guided filter.

    In each window the mask's probability becomes a linear function of the colours, fitted by least squares,
    so that it changes where they change; clear insides stay. The coefficients are found on a grid of at most
    `GRID` pixels a frame and applied at full resolution (the fast guided filter).

    Args:
        image: H x W x 3 uint8.
        log_odds: H x W float32 on the photo; 0 outside the frame.
        frame: sets the window: `REACH` of its side.

    Returns:
        H x W bool.

    Source: He, Sun and Tang 2010, "Guided image filtering"; He and Sun 2015 for the coarse coefficients.
    """
    out = np.zeros(log_odds.shape, bool)
    inside = (log_odds > -4) & (log_odds != 0)  # beyond, no window reaches one half
    if not inside.any():
        return out
    margin = round(2 * REACH * frame.side) + 2
    window = around(inside, margin)
    photo, odds = image[window], log_odds[window]
    soft = np.where(odds == 0, 0, 1 / (1 + np.exp(-odds))).astype(np.float32)
    scale = min(1.0, GRID / frame.side)
    height, width = soft.shape
    small = max(1, round(width * scale)), max(1, round(height * scale))
    guide, coarse = (cv2.resize(maps, small, interpolation=cv2.INTER_AREA) for maps in (photo, soft))
    radius = max(1, round(REACH * frame.side * scale))
    slopes, offset = _guided_coefficients(guide.astype(np.float32) / 255, coarse, radius)
    answer = cv2.resize(offset, (width, height))
    for channel in range(3):  # one at a time: large photos
        slope = cv2.resize(np.ascontiguousarray(slopes[..., channel]), (width, height))
        answer = answer + slope * (photo[..., channel] / np.float32(255))
    out[window] = (answer > 0.5) | (odds > INSIDE)
    return out


def _guided_coefficients(guide: np.ndarray, soft: np.ndarray, radius: int) -> tuple[np.ndarray, np.ndarray]:
    """Slopes (h x w x 3) and offset (h x w) of the linear model of each pixel, averaged over its windows."""
    side = (2 * radius + 1, 2 * radius + 1)

    def mean(maps: np.ndarray) -> np.ndarray:
        return cv2.blur(maps, side)

    def outer(colours: np.ndarray) -> np.ndarray:
        return colours[..., :, None] * colours[..., None, :]

    colour, level = mean(guide), mean(soft)
    with_mask = mean(guide * soft[..., None]) - colour * level[..., None]  # covariance, h x w x 3
    products = outer(guide)
    among = mean(products.reshape(*soft.shape, 9)).reshape(products.shape) - outer(colour)
    slopes = np.linalg.solve(among + EPSILON * np.eye(3, dtype=np.float32), with_mask[..., None])[..., 0]
    return mean(slopes), mean(level - (slopes * colour).sum(2))
