"""The `System` protocol: what the training loop needs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from deocc.occlusion.batch import Batch

Prediction = dict[str, Tensor]
"""A system's answer to a batch. modal_mask, amodal_mask: N x 1 x H x W probabilities; parsing_modal,
parsing_amodal: N x H x W int64; recovered: N x 3 x H x W in [0, 1]. A system leaves out what it does not
predict."""


class System(Protocol):
    """A system that `train` can train.

    Attributes:
        network: the network that is trained, averaged and exported.
        discriminator: its adversary, or None.
        step: `train` writes the number of the current step here before each call, so that costly terms
            can run on some steps only.
        helpers: optional names of attributes that hold frozen networks; training uses copies of them in its
            own precision.
    """

    network: nn.Module
    discriminator: nn.Module | None
    step: int

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        """Weighted terms whose sum trains the network; no gradient reaches the discriminator."""

    def discriminator_losses(self, batch: Batch) -> dict[str, Tensor]:
        """Weighted terms whose sum trains the discriminator, on the fakes of the last `losses` call.

        Empty if the discriminator is not trained in this step.
        """

    def predict(self, batch: Batch) -> Prediction:
        """The answer for a batch, in evaluation mode and without gradients."""

    def to(self, device: torch.device) -> Any:
        """Moves frozen helpers (feature extractors, earlier stages) to a device."""


@contextmanager
def network_swapped(system: System, network: nn.Module) -> Iterator[System]:
    """The system with another network (the moving average) for a while."""
    trained, system.network = system.network, network
    try:
        yield system
    finally:
        system.network = trained


@contextmanager
def frozen(module: nn.Module) -> Iterator[nn.Module]:
    """A module whose parameters take no gradients for a while; gradients still flow through it."""
    before = [p.requires_grad for p in module.parameters()]
    module.requires_grad_(False)
    try:
        yield module
    finally:
        for parameter, flag in zip(module.parameters(), before, strict=True):
            parameter.requires_grad_(flag)
