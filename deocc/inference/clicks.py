"""Clicks that correct an answer: "this is the person" and "this is not"."""

from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np

from deocc.errors import DeoccError
from deocc.masks import Frame, as_bytes

SPOT = 0.02  # radius of the spot that a click decides, in sides of the frame
REACH = 0.12  # radius within which a click is followed beyond its spot, in sides of the frame
ALIKE = 10  # largest step between neighbouring pixels of one surface, 8-bit Lab
GRID = 192  # side on which surfaces are followed, pixels


class Click(NamedTuple):
    """A point of the photo, and whether it is the person."""

    x: float  # photo pixels, to the right
    y: float  # photo pixels, down
    is_person: bool


class Verdict(NamedTuple):
    """The decision of a click for its spot, given the answer that it corrects."""

    click: Click
    nothing_there: bool  # a "no" to a hidden part: the person is not there at all


def as_numbers(values: object) -> np.ndarray:
    """Values as float64; an empty array for what are no numbers."""
    try:
        return np.asarray(values, np.float64)
    except (TypeError, ValueError):
        return np.zeros(0)


def check_points(points: Sequence[Sequence[float]], image: np.ndarray) -> tuple[Click, ...]:
    """Clicks from (x, y, is_person) triples.

    Raises:
        DeoccError: a point is no such triple, or lies outside the photo.
    """
    height, width = image.shape[:2]
    clicks = []
    for point in points:
        values = as_numbers(point)
        if values.shape != (3,) or not np.isfinite(values).all() or values[2] not in (0, 1):
            raise DeoccError(f"point {point}: give x, y and whether it is the person (True or False)")
        x, y = float(values[0]), float(values[1])
        if not (0 <= x < width and 0 <= y < height):
            raise DeoccError(f"point {x:g} {y:g} is outside the {width} x {height} photo; click inside it")
        clicks.append(Click(x, y, bool(values[2])))
    return tuple(clicks)


def amended(initial_mask: np.ndarray, image: np.ndarray, frame: Frame, click: Click) -> np.ndarray:
    """M_i with the surface around a click added or removed.

    Args:
        initial_mask: H x W bool.
        image: H x W x 3 uint8.
        frame: the window that the networks see.
        click: inside the photo.

    Returns:
        H x W bool.
    """
    surface = frame.paste(_surface(image, frame, click), initial_mask.shape) > 0.5
    surface |= spot(click, frame, initial_mask.shape)
    return initial_mask | surface if click.is_person else initial_mask & ~surface


def _surface(image: np.ndarray, frame: Frame, click: Click) -> np.ndarray:
    """Pixels connected to the clicked one and of similar colour, GRID x GRID float32 {0, 1}."""
    crop = cv2.cvtColor(frame.crop_image(image, GRID), cv2.COLOR_RGB2LAB)
    step = frame.side / GRID
    place = (click.x - frame.x0) / step, (click.y - frame.y0) / step
    x, y = (int(np.clip(v, 0, GRID - 1)) for v in place)
    barrier = np.ones((GRID + 2, GRID + 2), np.uint8)  # the fill stays within REACH
    cv2.circle(barrier, (x + 1, y + 1), round(REACH * GRID), 0, -1)
    barrier[[0, -1]] = barrier[:, [0, -1]] = 1
    before = barrier.copy()
    flags = 4 | cv2.FLOODFILL_MASK_ONLY | (2 << 8)
    cv2.floodFill(crop, barrier, (x, y), 0, (ALIKE,) * 3, (ALIKE,) * 3, flags)
    return ((barrier == 2) & (before == 0))[1:-1, 1:-1].astype(np.float32)


def spot(click: Click, frame: Frame, shape: tuple[int, ...]) -> np.ndarray:
    """The disc that a click decides: H x W bool, at least the clicked pixel."""
    out = np.zeros(shape[:2], np.uint8)
    cv2.circle(out, (int(click.x), int(click.y)), max(0, round(SPOT * frame.side)), 1, -1)
    return out.astype(bool)


def honoured(
    modal_mask: np.ndarray, amodal_mask: np.ndarray, verdicts: Sequence[Verdict], frame: Frame
) -> tuple[np.ndarray, np.ndarray]:
    """Both masks (H x W bool) after the decisions of all clicks, in their order."""
    modal, amodal = modal_mask.copy(), amodal_mask.copy()
    for click, nothing_there in verdicts:
        here = spot(click, frame, modal.shape)
        if click.is_person:
            modal |= here
            amodal |= here
            continue
        modal &= ~here
        if nothing_there:
            amodal = without_invented(modal, amodal, click, frame)
    return modal, amodal | modal


def without_invented(
    modal_mask: np.ndarray, amodal_mask: np.ndarray, click: Click, frame: Frame
) -> np.ndarray:
    """The whole mask without the hidden part around a click that says that nobody is there.

    A disc goes that reaches to the nearest border of the hidden part, with the visible person or with the
    rest of the photo: at least the click's spot, at most `REACH`. A click in the middle of a thick part takes
    most of it, one at its rim little. What the disc parts from the person goes, too.

    Args:
        modal_mask, amodal_mask: H x W bool; amodal contains modal.
        click: in the hidden part, or where it was.
        frame: the window that the networks see.

    Returns:
        H x W bool.
    """
    rows, columns = np.ogrid[: modal_mask.shape[0], : modal_mask.shape[1]]
    away = np.square(columns - int(click.x)) + np.square(rows - int(click.y))
    here = spot(click, frame, modal_mask.shape)
    border = (modal_mask | ~amodal_mask) & ~here
    nearest = float(np.sqrt(away[border].min())) if border.any() else np.inf
    disc = here | (away <= min(nearest, REACH * frame.side) ** 2)
    kept = amodal_mask & ~(disc & ~modal_mask)
    if not modal_mask.any():
        return kept
    _, pieces = cv2.connectedComponents(as_bytes(kept), connectivity=8)
    beside = cv2.dilate(as_bytes(amodal_mask & ~kept), np.ones((3, 3), np.uint8)) > 0
    parted = np.setdiff1d(pieces[beside & kept], pieces[modal_mask])
    return kept & ~np.isin(pieces, parted) if len(parted) else kept
