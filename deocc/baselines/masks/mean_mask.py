"""The mean training mask: a control that sees nothing but the frame."""

from collections.abc import Sequence

import cv2
import numpy as np

from deocc.baselines.protocol import from_masks
from deocc.errors import DeoccError
from deocc.metrics import mask_iou
from deocc.occlusion.batch import Batch
from deocc.training.system import Prediction

THRESHOLDS = np.arange(0.1, 0.75, 0.05)


class MeanMask:
    """Returns the mean of the training people's whole masks in the person frame, cut at one level.

    The person frame follows the box of M_i, so this measures how much of a score the frame alone gives away.
    Its invisible mask is the mean mask without M_i.

    Args:
        mean: S x S float in [0, 1].
        threshold: the level, see `fit`.
        name: its row in a table.
    """

    on_photo = False

    def __init__(self, mean: np.ndarray, threshold: float = 0.5, name: str = "mean training mask") -> None:
        self.mean, self.threshold, self.name = np.asarray(mean, np.float32), threshold, name

    @classmethod
    def fit(cls, amodal_masks: np.ndarray | Sequence[np.ndarray]) -> "MeanMask":
        """Averages training masks and picks the level of the best mean IoU with them.

        Args:
            amodal_masks: N x S x S bool, whole people in the frames of an evaluation.

        Raises:
            DeoccError: there is no mask.
        """
        masks = np.asarray(amodal_masks).astype(bool)
        if masks.ndim != 3 or not len(masks):
            raise DeoccError(f"the mean mask needs N x S x S training masks, N > 0; {masks.shape} came")
        mean = masks.mean(0).astype(np.float32)
        answers = (np.broadcast_to(mean > level, masks.shape) for level in THRESHOLDS)
        scores = np.array([mask_iou(answer, masks).mean() for answer in answers])
        return cls(mean, float(THRESHOLDS[scores >= scores.max() - 1e-9].mean()))  # the middle of equals

    def predict(self, batch: Batch) -> Prediction:
        """Args: batch: person frames, with initial_mask, N x 1 x H x W."""
        initial = batch["initial_mask"]
        mean = cv2.resize(self.mean, (initial.shape[-1], initial.shape[-2]), interpolation=cv2.INTER_LINEAR)
        answer = np.broadcast_to(mean > self.threshold, (len(initial), *mean.shape))
        return {"modal_mask": initial, "amodal_mask": from_masks(answer, initial)}
