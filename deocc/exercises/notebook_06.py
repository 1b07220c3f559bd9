"""Exercises of notebook 06, your photo."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np

from deocc.exercises.verdict import ask, exercise, near, require


@exercise
def iou_lost(answer: Any) -> str:
    """(mask H x W bool, pixels) -> 1 - IoU of the mask with itself grown by so many pixels everywhere."""
    rows, columns = np.mgrid[:120, :120]
    for radius, pixels in ((20, 4), (40, 4), (40, 8)):
        disc = (rows - 60) ** 2 + (columns - 60) ** 2 < radius**2
        wanted = 1 - (radius / (radius + pixels)) ** 2  # areas of two discs
        found = float(ask(answer, disc, pixels))
        about = f"of a disc of radius {radius}, grown by {pixels} pixels, {found:.3f} is lost"
        require(abs(found - wanted) < 0.02, f"{about}; two circles give {wanted:.3f}")
    return "as much as geometry says: the rim's area over the grown mask's."


@exercise
def shrink(answer: Any) -> str:
    """(RGBA H x W x 4 uint8, side) -> side x side x 4 uint8 without the hidden colours of its background."""
    rows, columns = np.mgrid[:64, :64]
    disc = (rows - 31.5) ** 2 + (columns - 31.5) ** 2 < 18**2
    for inside, outside in (((0, 0, 0), 255), ((200, 30, 60), 0)):
        rgba = np.full((64, 64, 4), outside, np.uint8)
        rgba[..., 3] = 0
        rgba[disc] = (*inside, 255)
        found = np.asarray(ask(answer, rgba.copy(), 23))
        require(found.shape == (23, 23, 4), f"the cut-out has shape {found.shape}; expected (23, 23, 4)")
        share = found[..., 3:].astype(float) / 255
        require(share.max() > 0.99 and share.min() < 0.01, "its middle is opaque and its corners are not")
        near(share.mean(), (rgba[..., 3] > 0).mean(), "the mean opacity", 0.02)
        require(
            ((share > 0.05) & (share < 0.95)).any(),
            "64 pixels become 23: the border runs through pixels, yet each is opaque or clear; keep it soft",
        )
        apart = found[..., :3] * share - share * np.array(inside)  # on black
        halo = (apart if outside else -apart).max()  # towards the old background
        require(
            halo <= 3,
            f"on black, a pixel of the rim is {halo:.0f} of 255 too near to the old background's colour",
        )
        require(
            np.abs(apart).max() <= 40,  # a filter that overshoots at a border is off by about 25
            f"on black, a pixel is {np.abs(apart).max():.0f} of 255 off, away from the old background",
        )
    return "colours weighted by their opacity: no halo, on black or on white."


def deepest(missed: np.ndarray) -> tuple[int, int]:
    """(x, y) of the pixel that lies deepest in any piece of a mask. Args: missed: H x W bool, not empty."""
    depth = cv2.distanceTransform(np.pad(missed.astype(np.uint8), 1), cv2.DIST_L2, 5)[1:-1, 1:-1]
    y, x = np.unravel_index(int(depth.argmax()), depth.shape)
    return int(x), int(y)


@exercise
def first_missed(answer: Any) -> str:
    """(found, true visible mask: H x W bool) -> (x, y) in the middle of the largest piece that is missed."""
    rng = np.random.default_rng(0)
    for number in range(5):
        truth, found = np.zeros((60, 120), bool), np.zeros((60, 120), bool)
        truth[5:55, 10:110] = True
        left = int(rng.integers(14, 40))
        found[5:55, 10:110] = True
        found[15:41, left : left + 22] = False  # the large piece
        found[8:26, 90:108] = False  # a smaller one, far off: the centre of all that is missed lies between
        found[45:48, 12:66] = False  # a thin one
        x, y = (int(value) for value in ask(answer, found, truth))
        require(0 <= x < 120 and 0 <= y < 60, f"the click ({x}, {y}) lies outside the photo")
        require((truth & ~found)[y, x], f"case {number}: at (x, y) = ({x}, {y}) nothing is missed")
        inside = min(y - 14, 41 - y, x - left + 1, left + 22 - x)
        require(
            inside >= 9,
            f"case {number}: the click is {inside} pixels from the border of the large piece; go deeper",
        )
    return "deep inside the largest piece, where a click is sure to be right."
