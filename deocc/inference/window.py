"""Crops a large photo to what the frame shows."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from deocc.inference.clicks import Click
from deocc.inference.views import View
from deocc.masks import Frame, nearest_labels

if TYPE_CHECKING:  # it loads PyTorch
    from deocc.inference.answers import Deocclusion

MARGIN = 0.05  # around the frame, in its sides: filters look a little beyond it
WORTH = 0.7  # share of the photo above which a window saves nothing

Window = tuple[slice, slice]


def window_of(view: View) -> Window:
    """Rows and columns of the photo that a view needs; all of them if a crop would save little."""
    (height, width), frame = view.image.shape[:2], view.frame
    reach = MARGIN * frame.side + 2
    left, top = max(0, int(frame.x0 - reach)), max(0, int(frame.y0 - reach))
    right = min(width, int(np.ceil(frame.x0 + frame.side + reach)))
    bottom = min(height, int(np.ceil(frame.y0 + frame.side + reach)))
    if right <= left or bottom <= top or (right - left) * (bottom - top) > WORTH * height * width:
        return slice(0, height), slice(0, width)
    return slice(top, bottom), slice(left, right)


def seen_through(view: View, window: Window) -> View:
    """The view of the window alone; frame and clicks are shifted."""
    rows, columns = window
    frame = Frame(view.frame.x0 - columns.start, view.frame.y0 - rows.start, view.frame.side)
    points = tuple(Click(x - columns.start, y - rows.start, yes) for x, y, yes in view.points)
    image, mask = view.image[window], np.ascontiguousarray(view.initial_mask[window])
    return replace(view, image=image, initial_mask=mask, frame=frame, points=points)


def on_whole_photo(answer: Deocclusion, view: View, window: Window) -> Deocclusion:
    """Converts the answer for a window to the whole photo.

    Args:
        answer: at the window's size.
        view: of the whole photo, as passed to `seen_through`.
        window: as passed to `seen_through`.
    """
    if answer.modal_mask.shape == view.initial_mask.shape:
        return answer

    def whole(part: np.ndarray, around: np.ndarray | None = None) -> np.ndarray:
        full = np.zeros(view.image.shape[:2], part.dtype) if around is None else around.copy()
        full[window] = part
        return full

    masks: dict[str, Any] = {
        "amodal_mask": whole(answer.amodal_mask), "modal_mask": whole(answer.modal_mask),
        "initial_mask": whole(answer.initial_mask), "parsing": whole(answer.parsing),
    }  # fmt: skip
    if view.exact:  # stray pieces outside the window are visible all the same
        masks = {**masks, "initial_mask": view.initial_mask, "modal_mask": view.initial_mask.copy()}
        masks["amodal_mask"] |= view.initial_mask
        masks["parsing"] = nearest_labels(masks["parsing"]) * masks["amodal_mask"]
    picture = whole(answer.recovered, view.image)
    others = tuple(whole(sample, view.image) for sample in answer.samples[1:])
    samples = (picture, *others) if others else ()
    hidden = masks["amodal_mask"] & ~masks["modal_mask"]
    return replace(
        answer, **masks, invisible_mask=hidden, recovered=picture, frame=view.frame, samples=samples
    )
