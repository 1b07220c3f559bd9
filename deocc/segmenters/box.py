"""The box that a segmenter sees, with a margin around the person."""

from collections.abc import Callable
from functools import wraps

import cv2
import numpy as np

from deocc.masks import Box

MARGIN = 0.25  # by which a box is enlarged on each side, as a share of its sides


class Unavailable(Exception):
    """This machine cannot run a segmenter; the message says what is missing."""


class NobodyFound(Exception):
    """A segmenter ran and found no person in the box."""


Finder = Callable[[np.ndarray, Box], np.ndarray]

"""(H x W x 3 uint8 RGB, box) -> H x W, the person in the box: bool, or probabilities."""


def _margin_crop(shape: tuple[int, int], box: Box, margin: float) -> Box:
    """The box grown on every side by `margin` of its lengths and cut to the photo."""
    x0, y0, x1, y1 = box
    wide, high = round((x1 - x0) * margin), round((y1 - y0) * margin)
    return max(0, x0 - wide), max(0, y0 - high), min(shape[1], x1 + wide), min(shape[0], y1 + high)


def enlarged(margin: float) -> Callable[[Finder], Finder]:
    """Turns a segmenter of crops into one of photos: it sees only the enlarged box (Sec. 4.1, step 2)."""

    def decorate(find: Finder) -> Finder:
        @wraps(find)
        def on_photo(image: np.ndarray, box: Box) -> np.ndarray:
            x0, y0, x1, y1 = _margin_crop(image.shape[:2], box, margin)
            inner = box[0] - x0, box[1] - y0, box[2] - x0, box[3] - y0
            found = find(image[y0:y1, x0:x1], inner)
            whole = np.zeros(image.shape[:2], found.dtype)
            whole[y0:y1, x0:x1] = found
            return whole

        return on_photo

    return decorate


def reduced(longest: int) -> Callable[[Finder], Finder]:
    """Turns a segmenter of small pictures into one of any: it sees at most so many pixels a side."""

    def decorate(find: Finder) -> Finder:
        @wraps(find)
        def on_large(image: np.ndarray, box: Box) -> np.ndarray:
            height, width = image.shape[:2]
            scale = longest / max(height, width)
            if scale >= 1:
                return find(image, box)
            size = max(1, round(width * scale)), max(1, round(height * scale))
            small = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
            inner: Box = tuple(round(v) for v in np.asarray(box) * scale)  # type: ignore[assignment]
            found = find(small, inner).astype(np.float32)
            return cv2.resize(found, (width, height), interpolation=cv2.INTER_LINEAR) > 0.5

        return on_large

    return decorate
