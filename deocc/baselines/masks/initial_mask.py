"""M_i itself: a control without any completion."""

from deocc.occlusion.batch import Batch
from deocc.training.system import Prediction


class InitialMask:
    """Returns M_i for the visible and for the whole person; nothing is invisible.

    Its invisible IoU is 0 wherever something is hidden.
    """

    on_photo = True

    def __init__(self, name: str = "given mask M_i") -> None:
        self.name = name

    def predict(self, batch: Batch) -> Prediction:
        """Args: batch: with initial_mask, N x 1 x H x W."""
        return {"modal_mask": batch["initial_mask"], "amodal_mask": batch["initial_mask"]}
