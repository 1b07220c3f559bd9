"""Blurs and means of known pixels alone."""

from typing import Any

import cv2
import numpy as np

from deocc.masks import around

WIDE = 10.0  # standard deviation of wide blurs on their coarser grid, pixels; up to twice this none is wide


def blurred(picture: np.ndarray, known: np.ndarray, sigma: float) -> np.ndarray:
    """A Gaussian blur of known pixels alone. Wide ones are made on a coarser grid.

    Args:
        picture: H x W x C float32.
        known: H x W bool.
        sigma: standard deviation, pixels.

    Returns:
        H x W x C float32; 0 outside the box of the known pixels.
    """
    out = np.zeros(picture.shape, np.float32)
    if not known.any():
        return out
    window = around(known)
    mask = known[window]
    sums: Any = picture[window] * mask[..., None]
    counts: Any = mask.astype(np.float32)
    height, width = mask.shape
    coarser = sigma / WIDE if sigma > 2 * WIDE else 1.0
    if coarser > 1:
        size = max(1, round(width / coarser)), max(1, round(height / coarser))
        sums, counts = (cv2.resize(maps, size, interpolation=cv2.INTER_AREA) for maps in (sums, counts))
    sums, counts = (
        cv2.GaussianBlur(maps, (0, 0), max(sigma / coarser, 0.5), borderType=cv2.BORDER_CONSTANT)
        for maps in (sums, counts)
    )
    mean = sums.reshape(*counts.shape, -1) / np.maximum(counts, 1e-8)[..., None]
    if coarser > 1:
        mean = cv2.resize(mean, (width, height), interpolation=cv2.INTER_LINEAR).reshape(height, width, -1)
    out[window] = mean
    return out


def local_mean(values: np.ndarray, known: np.ndarray, sigma: float) -> tuple[np.ndarray, np.ndarray]:
    """Means of known pixels in Gaussian windows, also where nothing is known; `blurred` is for known ones.

    Args:
        values: H x W x C float32.
        known: H x W bool.
        sigma: standard deviation of the windows, pixels.

    Returns:
        H x W x C float32, near 0 where the window holds next to nothing, and the share of the window that is
        known, H x W float32.
    """
    weight = known.astype(np.float32)
    share = cv2.GaussianBlur(weight, (0, 0), sigma)
    sums = cv2.GaussianBlur(values * weight[..., None], (0, 0), sigma)
    return sums / np.maximum(share, 1e-4)[..., None], share
