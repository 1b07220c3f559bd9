"""The template nearest to M_i."""

import cv2
import numpy as np

from deocc.baselines.protocol import from_masks, to_masks
from deocc.errors import DeoccError
from deocc.occlusion.batch import Batch
from deocc.training.system import Prediction


class NearestTemplate:
    """Returns the nearest template, joined with M_i, for the whole person.

    The distance is the mean squared difference of M_i and T_k in the person frame, as in stage 1 (Sec. 3.2);
    nothing is re-weighted or refined.

    Args:
        templates: K x S x S float in [0, 1], such as k-means centres of training masks, or the masks.
        name: its row in a table.

    Raises:
        DeoccError: there is no template.
    """

    on_photo = False
    size = 64  # side at which masks are compared

    def __init__(self, templates: np.ndarray, name: str = "nearest template") -> None:
        self.templates, self.name = np.asarray(templates, np.float32), name
        if self.templates.ndim != 3 or not len(self.templates):
            raise DeoccError(f"templates are {self.templates.shape}; give K x S x S, K > 0")
        self._flat = self._flatten(self.templates)

    def _flatten(self, masks: np.ndarray) -> np.ndarray:
        """N x H x W -> N x size^2 float32."""
        size = (self.size, self.size)
        small = [cv2.resize(m.astype(np.float32), size, interpolation=cv2.INTER_AREA) for m in masks]
        return np.stack(small).reshape(len(small), -1)

    def nearest(self, masks: np.ndarray) -> np.ndarray:
        """Index of the nearest template of each mask. masks: N x H x W bool -> N int."""
        flat = self._flatten(masks)
        distances = (self._flat**2).sum(1)[None] - 2 * flat @ self._flat.T  # + |mask|^2, the same for all
        return distances.argmin(1)

    def predict(self, batch: Batch) -> Prediction:
        """Args: batch: person frames, with initial_mask, N x 1 x H x W."""
        initial = batch["initial_mask"]
        masks = to_masks(initial)
        size = (initial.shape[-1], initial.shape[-2])
        chosen = self.templates[self.nearest(masks)]
        chosen = np.stack([cv2.resize(t, size, interpolation=cv2.INTER_LINEAR) for t in chosen])
        return {"modal_mask": initial, "amodal_mask": from_masks((chosen > 0.5) | masks, initial)}
