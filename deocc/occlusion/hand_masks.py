"""Imitates hand-drawn masks: polygons a few pixels off, holes filled, small pieces forgotten."""

import cv2
import numpy as np

from deocc.masks import as_bytes, mask_box

SHIFT = 4  # fractional bits of OpenCV's polygon corners


def hand_drawn(
    mask: np.ndarray, rng: np.random.Generator, coarse: tuple[float, float] = (0.004, 0.03)
) -> np.ndarray:
    """A mask redrawn by hand: straight edges between jittered corners, one outline a piece.

    Args:
        mask: H x W bool, not empty.
        rng: source of the draws.
        coarse: range of the outlines' tolerance, in longer sides of the mask's box.

    Returns:
        H x W bool, not empty.
    """
    x0, y0, x1, y1 = mask_box(mask)
    unit = float(max(x1 - x0, y1 - y0))
    tolerance = unit * rng.uniform(*coarse)
    mode = cv2.RETR_EXTERNAL if rng.random() < 0.6 else cv2.RETR_CCOMP  # holes are rarely drawn
    outlines, tree = cv2.findContours(as_bytes(mask), mode, cv2.CHAIN_APPROX_NONE)
    areas = [cv2.contourArea(outline) for outline in outlines]
    least = max(areas) * rng.uniform(0.0, 0.06)
    out: np.ndarray = np.zeros(mask.shape, np.uint8)
    for piece in (False, True):  # pieces first, then their holes
        for outline, area, link in zip(outlines, areas, tree[0], strict=True):
            if area >= least and (link[3] >= 0) == piece:
                cv2.fillPoly(out, [_corners(outline, tolerance, rng)], 0 if piece else 1, shift=SHIFT)
    grown = rng.normal(0, 0.006) * unit  # the whole outline a little outside or inside
    if abs(grown) >= 0.5:
        side = 2 * round(abs(grown)) + 1
        change = cv2.dilate if grown > 0 else cv2.erode
        out = change(out, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side)))
    return out.astype(bool) if out.any() else mask.copy()


def _corners(outline: np.ndarray, tolerance: float, rng: np.random.Generator) -> np.ndarray:
    """Corners of a simplified outline, each moved a little: n x 1 x 2 int32 with SHIFT fractional bits."""
    corners = cv2.approxPolyDP(outline, tolerance, True).astype(np.float64)
    corners += rng.normal(0, 0.4 * tolerance, corners.shape)
    return np.round(corners * (1 << SHIFT)).astype(np.int32)
