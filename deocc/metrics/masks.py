"""Intersection over union and L1 of masks."""

from typing import Any

import numpy as np

from deocc.metrics.arrays import ArrayLike, as_array, as_bool, plain, same_shape


def mask_counts(predicted: ArrayLike, target: ArrayLike, region: ArrayLike | None = None) -> np.ndarray:
    """Pixels of the intersection and of the union, an instance a row.

    Args:
        predicted, target: ... x H x W or N x 1 x H x W masks of equal shape.
        region: the pixels to count (photo pixels), same shape, or None for all.

    Returns:
        ... x 2 int64.

    Raises:
        DeoccError: the shapes differ.
    """
    first, second = as_bool(predicted), as_bool(target)
    same_shape(first, second, "masks")
    both, either = first & second, first | second
    if region is not None:
        inside = as_bool(region)
        same_shape(first, inside, "region")
        both, either = both & inside, either & inside
    return np.stack([both.sum((-2, -1)), either.sum((-2, -1))], axis=-1).astype(np.int64)


def iou_of_counts(counts: np.ndarray) -> np.ndarray:
    """Intersection over union of `mask_counts` (... x 2); 1 where the union is empty."""
    both, either = counts[..., 0], counts[..., 1]
    return np.where(either == 0, 1.0, both / np.maximum(either, 1))


def mask_iou(predicted: ArrayLike, target: ArrayLike, region: ArrayLike | None = None) -> Any:
    """Intersection over union of each instance; two empty masks: 1.

    Args:
        predicted, target: ... x H x W or N x 1 x H x W masks of equal shape.
        region: the pixels to count (photo pixels), or None for all.

    Returns:
        A float for one mask, else an array of the leading shape, in [0, 1].

    Raises:
        DeoccError: the shapes differ.

    Source: tables 2 and 4. Differs from the released code: two empty masks count as 1, there as 0.
    """
    return plain(iou_of_counts(mask_counts(predicted, target, region)))


def global_iou(predicted: ArrayLike, target: ArrayLike, region: ArrayLike | None = None) -> float:
    """IoU of all instances at once: summed intersections over summed unions; large people weigh more."""
    counts = mask_counts(predicted, target, region)
    return float(iou_of_counts(counts.reshape(-1, 2).sum(0)))


def invisible_iou(
    modal_predicted: ArrayLike,
    amodal_predicted: ArrayLike,
    modal_mask: ArrayLike,
    amodal_mask: ArrayLike,
    region: ArrayLike | None = None,
) -> Any:
    """IoU of the invisible masks, M_inv = M_a and not M_m, predicted against true (tables 2 and 4).

    The predicted invisible mask uses the predicted modal mask, so a system whose visible mask leaks onto
    the occluder pays for it here. Shapes and result as `mask_iou`.
    """
    predicted = as_bool(amodal_predicted) & ~as_bool(modal_predicted)
    return mask_iou(predicted, as_bool(amodal_mask) & ~as_bool(modal_mask), region)


def mask_l1(predicted: ArrayLike, target: ArrayLike, region: ArrayLike | None = None) -> Any:
    """Mean absolute difference of two masks over the counted pixels, in [0, 1] (tables 2 and 4).

    Probabilities count as they are; of two binary masks it is the share of wrong pixels.

    Args:
        predicted, target: ... x H x W or N x 1 x H x W, probabilities, bool, or integers (0 is outside).
        region: the pixels to count (photo pixels), or None for all.

    Returns:
        A float for one mask, else an array of the leading shape; nan where `region` is empty.
    """
    first, second = (_shares(as_array(mask)) for mask in (predicted, target))
    same_shape(first, second, "masks")
    weight = np.ones(first.shape, np.float32) if region is None else as_array(region).astype(np.float32)
    same_shape(first, weight, "region")
    total, count = (np.abs(first - second) * weight).sum((-2, -1)), weight.sum((-2, -1))
    values = np.where(count > 0, total / np.maximum(count, 1), np.nan)
    return plain(values[:, 0] if values.ndim == 2 and first.ndim == 4 and first.shape[1] == 1 else values)


def _shares(mask: np.ndarray) -> np.ndarray:
    """Probabilities as they are; bool and integers as 0 and 1; float32."""
    return (mask if np.issubdtype(mask.dtype, np.floating) else mask > 0).astype(np.float32)
