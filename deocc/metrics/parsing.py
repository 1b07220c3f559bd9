"""Confusion counts and mean IoU of body parts."""

from typing import Any

import numpy as np

from deocc.labels import FLIP_PAIRS, IGNORE, NUM_CLASSES
from deocc.metrics.arrays import ArrayLike, as_array, as_bool, plain, same_shape


def parsing_confusion(predicted: ArrayLike, target: ArrayLike, region: ArrayLike | None = None) -> np.ndarray:
    """Counts pixels by true class (row) and predicted class (column).

    Args:
        predicted, target: H x W labels, 0..19; pixels whose target is 255 do not count. A predicted 255 is a
            wrong answer (last column).
        region: the pixels to count, H x W bool, or None for all.

    Returns:
        20 x 21 int64.
    """
    guess, truth = as_array(predicted).astype(np.uint8), as_array(target).astype(np.uint8)
    same_shape(guess, truth, "label maps")
    counted = truth != IGNORE if region is None else (truth != IGNORE) & as_bool(region)
    columns = np.minimum(guess[counted], NUM_CLASSES).astype(np.int64)
    codes = truth[counted].astype(np.int64) * (NUM_CLASSES + 1) + columns
    counts = np.bincount(codes, minlength=NUM_CLASSES * (NUM_CLASSES + 1))
    return counts.reshape(NUM_CLASSES, NUM_CLASSES + 1)


def merge_confusion(confusion: np.ndarray) -> np.ndarray:
    """Counts right arm, leg and shoe as left ones, for sources whose labels have no true sides.

    Args:
        confusion: ... x 20 x 21, of `parsing_confusion`.
    """
    counts = confusion.copy()
    for left, right in FLIP_PAIRS:
        for axis in (-2, -1):
            lanes = np.moveaxis(counts, axis, 0)  # a view
            lanes[left] += lanes[right]
            lanes[right] = 0
    return counts


def class_ious(confusion: np.ndarray) -> np.ndarray:
    """IoU of each class from `parsing_confusion` (... x 20 x 21); nan where no target has the class."""
    square = confusion[..., :, :NUM_CLASSES]
    both = np.diagonal(square, axis1=-2, axis2=-1).astype(np.float64)
    truth = confusion.sum(-1)
    either = truth + square.sum(-2) - both
    return np.where(truth > 0, both / np.maximum(either, 1), np.nan)


def parsing_miou(confusion: np.ndarray) -> Any:
    """Mean IoU over the classes that the targets contain, background included; nan where there is none."""
    ious = class_ious(confusion)
    count = (~np.isnan(ious)).sum(-1)
    return plain(np.where(count > 0, np.nansum(ious, -1) / np.maximum(count, 1), np.nan))
