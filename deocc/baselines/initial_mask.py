"""The given mask itself: what a table's numbers are before anything is completed."""

from deocc.baselines.protocol import Batch, Prediction


class InitialMask:
    """Takes the given mask M_i for the visible and for the whole person; nothing is invisible.

    Its invisible IoU is 0 wherever something is hidden.
    """

    on_photo = True

    def __init__(self, name: str = "given mask M_i") -> None:
        self.name = name

    def predict(self, batch: Batch) -> Prediction:
        """Args: batch: with initial_mask, N x 1 x H x W."""
        return {"modal_mask": batch["initial_mask"], "amodal_mask": batch["initial_mask"]}
