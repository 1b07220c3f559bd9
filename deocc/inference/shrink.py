"""Completes very large people on a reduced photo.

The networks see 128 to 256 pixels a side, so more photo pixels cost memory and time, but do not improve masks
and painted pixels. Visible pixels stay the photo's own.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import cv2
import numpy as np

from deocc.inference.blurs import local_mean
from deocc.inference.clicks import Click
from deocc.inference.views import View
from deocc.masks import Frame, around, as_bytes, mask_box, nearest_labels

if TYPE_CHECKING:  # it loads PyTorch
    from deocc.inference.answers import Deocclusion

ENOUGH = 6_000_000  # pixels that are worked on; each costs 90 bytes at most
BESIDE = 0.5  # standard deviation of the windows of mean colours beside a hidden part, reduced pixels
BAND = 512  # rows that are painted at a time


def shrunk(view: View) -> View:
    """The view on a photo reduced to at most `ENOUGH` pixels; unchanged if it has no more."""
    height, width = view.image.shape[:2]
    factor = (ENOUGH / (height * width)) ** 0.5
    if factor >= 1:
        return view
    size = max(1, int(width * factor)), max(1, int(height * factor))
    image = cv2.resize(view.image, size, interpolation=cv2.INTER_AREA)
    share = cv2.resize(as_bytes(view.initial_mask) * np.uint8(255), size, interpolation=cv2.INTER_AREA)
    mask = share >= min(128, max(1, share.max()))  # thin as it may be, something is left of it
    x, y = size[0] / width, size[1] / height
    frame = Frame(view.frame.x0 * x, view.frame.y0 * y, view.frame.side * (x * y) ** 0.5)
    points = tuple(Click(point.x * x, point.y * y, point.is_person) for point in view.points)
    note = f"worked on at {size[0]} x {size[1]} pixels: the networks gain nothing from more"
    return replace(view, image=image, initial_mask=mask, frame=frame, points=points).noting(note)


def enlarged(answer: Deocclusion, view: View) -> Deocclusion:
    """Converts the answer for a shrunk view to the original view.

    Args:
        answer: of any size.
        view: before it was shrunk.

    Returns:
        At the view's size. An exact mask is the visible mask; pictures equal the photo outside the invisible
        mask.
    """
    height, width = view.image.shape[:2]
    if answer.modal_mask.shape == (height, width):
        return answer

    def whole(part: np.ndarray) -> np.ndarray:
        return cv2.resize(part.view(np.uint8), (width, height), interpolation=cv2.INTER_NEAREST)

    modal = view.initial_mask.copy() if view.exact else whole(answer.modal_mask).view(bool)
    hidden = whole(answer.invisible_mask).view(bool) & ~modal
    amodal = modal | hidden
    parsing = whole(_everywhere(answer.parsing, amodal))
    parsing[~amodal] = 0
    small = [_without_rim(one, answer.invisible_mask) for one in (answer.recovered, *answer.samples[1:])]
    pictures = [_painted(view.image, one, hidden) for one in small]
    return replace(
        answer, frame=view.frame,
        modal_mask=modal, amodal_mask=amodal, invisible_mask=hidden, parsing=parsing,
        initial_mask=whole(answer.initial_mask).view(bool) if not view.exact else view.initial_mask,
        recovered=pictures[0], samples=tuple(pictures) if len(pictures) > 1 else (),
    )  # fmt: skip


def _everywhere(parsing: np.ndarray, amodal_mask: np.ndarray) -> np.ndarray:
    """A label map (h x w uint8) whose pixels of no part get the nearest: enlarged masks reach beyond it.

    Args:
        parsing: the label map.
        amodal_mask: H x W bool, larger; labels outside its box are not needed, and none has a part there.
    """
    if not parsing.any():
        return parsing
    (x0, y0, x1, y1), shape = mask_box(amodal_mask), amodal_mask.shape
    down, across = (few / many for few, many in zip(parsing.shape, shape, strict=True))
    top, left = max(0, int(y0 * down) - 1), max(0, int(x0 * across) - 1)
    window = np.s_[top : int(y1 * down) + 2, left : int(x1 * across) + 2]
    out = parsing.copy()
    out[window] = nearest_labels(parsing[window])
    return out


def _without_rim(picture: np.ndarray, hidden: np.ndarray) -> np.ndarray:
    """A picture (h x w x 3 uint8) where what is beside hidden pixels (h x w bool) has their mean colour.

    Enlarged, the hidden part then gets no rim of the colour of what is in front of it.
    """
    if not hidden.any():
        return picture
    window, out = around(hidden, 1), picture.copy()
    inside = hidden[window]
    beside = (cv2.dilate(as_bytes(inside), np.ones((3, 3), np.uint8)) > 0) & ~inside
    colours = local_mean(picture[window].astype(np.float32), inside, BESIDE)[0]
    out[window][beside] = np.rint(colours[beside]).astype(np.uint8)
    return out


def _painted(image: np.ndarray, small: np.ndarray, hidden: np.ndarray) -> np.ndarray:
    """The photo with the enlarged picture in its hidden pixels; band by band, for the memory."""
    out, (height, width) = image.copy(), image.shape[:2]
    if not hidden.any():
        return out
    x0, y0, x1, y1 = mask_box(hidden)
    columns, rows = (
        ((np.arange(large) + 0.5) * (few / large) - 0.5).astype(np.float32)
        for large, few in ((width, small.shape[1]), (height, small.shape[0]))
    )
    for top in range(y0, y1, BAND):
        window = np.s_[top : min(top + BAND, y1), x0:x1]
        inside = hidden[window]
        across, down = np.meshgrid(columns[x0:x1], rows[window[0]])
        large = cv2.remap(small, across, down, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        out[window][inside] = large[inside]
    return out
