"""An example photo for the studio, free to use, from an installed package."""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np

from deocc.masks import Box

CREDIT = "Eileen Collins, photographed by NASA (public domain)."
BOX: Box = (18, 12, 364, 512)
OUTLINE = (  # of what is visible of her, by hand; x, y in photo pixels
    (186, 25), (210, 17), (240, 16), (270, 25), (290, 46), (301, 75), (301, 98), (292, 118), (280, 131),
    (270, 138), (264, 152), (256, 172), (265, 181), (287, 202), (301, 225), (305, 235), (325, 245),
    (342, 267), (352, 295), (359, 322), (361, 345), (340, 356), (320, 370), (302, 390), (287, 415),
    (278, 445), (276, 475), (280, 512), (42, 512), (25, 460), (19, 425), (20, 395), (27, 350), (40, 305),
    (50, 275), (75, 240), (112, 207), (116, 190), (125, 170), (145, 154), (170, 149), (185, 150),
    (181, 132), (170, 121), (159, 103), (153, 80), (157, 57), (172, 40),
)  # fmt: skip


class FirstPhoto(NamedTuple):
    """A photo of an occluded person, with a box and a mask drawn by hand."""

    image: np.ndarray  # H x W x 3 uint8
    box: Box  # around what is visible of the person
    mask: np.ndarray  # H x W bool, the visible person, drawn by hand
    words: str  # who took it, and its licence


def first_photo() -> FirstPhoto:
    """An astronaut behind her helmet: `skimage.data.astronaut`, 512 x 512, with an outline of 48 points."""
    from skimage.data import astronaut  # only where it is wanted: scikit-image takes a while to load

    image = np.ascontiguousarray(astronaut())
    mask = np.zeros(image.shape[:2], np.uint8)
    cv2.fillPoly(mask, [np.array(OUTLINE, np.int32)], 1)
    return FirstPhoto(image, BOX, mask.astype(bool), CREDIT)
