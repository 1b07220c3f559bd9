"""Placement by rejection sampling, for comparison with exact placement."""

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from deocc.errors import PlacementError
from deocc.masks import mask_box


def place_by_rejection(
    amodal_mask: np.ndarray,
    occluder_mask: np.ndarray,
    ratio: float,
    rng: np.random.Generator,
    tolerance: float = 0.01,
    batch: int = 64,
    most: int = 1024,
) -> tuple[tuple[int, int], int]:
    """Draws offsets near the person until one hides the wanted share. A batch is one matrix product.

    Rejection cannot detect an impossible ratio, so it gives up after `most` draws.

    Args:
        amodal_mask, occluder_mask, ratio, rng, tolerance: as `place_occluder`.
        batch: offsets measured at once.
        most: draws after which it gives up.

    Returns:
        (y, x) of the occluder's top-left corner, and the number of draws that were measured.

    Raises:
        PlacementError: none of `most` draws fits.
    """
    x0, y0, x1, y1 = mask_box(amodal_mask)
    body, (h, w) = amodal_mask[y0:y1, x0:x1], occluder_mask.shape
    windows = sliding_window_view(np.pad(body, ((h - 1, h - 1), (w - 1, w - 1))), (h, w))
    weights, area = occluder_mask.ravel().astype(np.float32), int(body.sum())
    for start in range(0, most, batch):
        rows, columns = rng.integers(windows.shape[0], size=batch), rng.integers(windows.shape[1], size=batch)
        hidden = windows[rows, columns].reshape(batch, -1).astype(np.float32) @ weights
        fits = np.flatnonzero(np.abs(hidden - ratio * area) <= tolerance * area)
        if len(fits):
            row, column = int(rows[fits[0]]), int(columns[fits[0]])
            return (row - h + 1 + y0, column - w + 1 + x0), start + batch
    raise PlacementError(f"none of {most} draws hides {ratio:.3f} of the person; allow more draws")
