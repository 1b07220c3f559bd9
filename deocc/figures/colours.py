"""The fixed, colour-blind-safe palette of every figure."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:  # figures take answers, they do not make them
    pass


Colour = tuple[int, int, int]

# Okabe and Ito's palette: distinct with any colour vision, and in this order also by brightness.
VISIBLE: Colour = (86, 180, 233)  # sky blue

INVISIBLE: Colour = (213, 94, 0)  # vermilion

OCCLUDER: Colour = (240, 228, 66)  # yellow

AGREES: Colour = (150, 150, 150)  # grey: two masks say the same

MISSED: Colour = (230, 159, 0)  # orange: lacks in a mask

ADDED: Colour = (204, 121, 167)  # reddish purple: in a mask, but wrong

WHOLE: Colour = (0, 158, 115)  # bluish green: the whole person, visible and invisible alike

OUTSIDE = np.uint8(225)  # grey where a frame sticks out of its photo

MORE: Colour = (0, 114, 178)  # blue: a signed value above zero

LESS: Colour = (140, 81, 10)  # brown: a signed value below zero

INK: Colour = (0, 0, 0)

PAPER: Colour = (255, 255, 255)

LINES: tuple[Colour, ...] = (
    *(MORE, INVISIBLE, WHOLE, ADDED, INK, VISIBLE, MISSED, LESS, AGREES),
    (120, 94, 240),  # violet
)

MARKERS = "osD^vP*X<>"  # beside colour, so that lines differ in grey too


def unit_colour(colour: Colour | np.ndarray) -> tuple[float, float, float]:
    """A colour of 0..255 as matplotlib wants it, 0..1."""
    red, green, blue = (float(value) / 255 for value in colour)
    return red, green, blue
