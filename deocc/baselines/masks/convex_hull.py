"""The convex hull of M_i."""

import cv2
import numpy as np

from deocc.baselines.protocol import from_masks, to_masks
from deocc.occlusion.batch import Batch
from deocc.training.system import Prediction


def convex_hull(mask: np.ndarray) -> np.ndarray:
    """The convex hull of a mask's pixels, H x W bool; empty for an empty mask."""
    points = cv2.findNonZero(mask.astype(np.uint8))
    hull = np.zeros(mask.shape, np.uint8)
    if points is not None:
        cv2.fillConvexPoly(hull, cv2.convexHull(points), 1)
    return hull.astype(bool)


class ConvexHull:
    """Takes the convex hull of M_i for the whole person, M_i itself for the visible one."""

    on_photo = True

    def __init__(self, name: str = "convex hull of M_i") -> None:
        self.name = name

    def predict(self, batch: Batch) -> Prediction:
        """Args: batch: with initial_mask, N x 1 x H x W."""
        initial = batch["initial_mask"]
        hulls = np.stack([convex_hull(mask) for mask in to_masks(initial)])
        return {"modal_mask": initial, "amodal_mask": from_masks(hulls, initial)}
