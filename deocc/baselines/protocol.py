"""The protocol of systems that need no training loop."""

from typing import Protocol, runtime_checkable

import numpy as np
import torch
from torch import Tensor

from deocc.occlusion.batch import Batch
from deocc.training.system import Prediction


@runtime_checkable
class Baseline(Protocol):
    """A system that predicts without being trained by the training loop.

    Attributes:
        name: its row in a table.
        on_photo: True: it wants the photo at its own size; False: the square person frame of a network.
            A batch of photos has one item, whose sides may differ.
    """

    name: str
    on_photo: bool

    def predict(self, batch: Batch) -> Prediction:
        """Completes masks from `image` and `initial_mask`, or pixels from `image`, `modal_mask`,
        `amodal_mask` and `photo_mask`; see `deocc.occlusion.Batch`."""


def to_masks(batch_mask: Tensor) -> np.ndarray:
    """N x 1 x H x W float -> N x H x W bool."""
    return batch_mask[:, 0].detach().cpu().numpy() > 0.5


def from_masks(masks: np.ndarray, like: Tensor) -> Tensor:
    """N x H x W bool -> N x 1 x H x W float {0, 1} on the device of `like`."""
    return torch.from_numpy(np.ascontiguousarray(masks, dtype=np.float32))[:, None].to(like.device)
