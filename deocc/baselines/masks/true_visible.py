"""The true visible mask: a control that equals the best possible segmenter."""

from deocc.occlusion.batch import Batch
from deocc.training.system import Prediction


class TrueVisibleMask:
    """Returns the true visible mask for both masks: perfect on M_m, empty on M_inv."""

    on_photo = True

    def __init__(self, name: str = "true visible mask") -> None:
        self.name = name

    def predict(self, batch: Batch) -> Prediction:
        """Args: batch: with modal_mask, N x 1 x H x W."""
        return {"modal_mask": batch["modal_mask"], "amodal_mask": batch["modal_mask"]}
