"""The true visible mask: what the best segmenter could hand over, before anything is completed."""

from deocc.baselines.protocol import Batch, Prediction


class TrueVisibleMask:
    """Takes the true visible mask for both masks, whatever is given: perfect on M_m, empty on M_inv."""

    on_photo = True

    def __init__(self, name: str = "true visible mask") -> None:
        self.name = name

    def predict(self, batch: Batch) -> Prediction:
        """Args: batch: with modal_mask, N x 1 x H x W."""
        return {"modal_mask": batch["modal_mask"], "amodal_mask": batch["modal_mask"]}
