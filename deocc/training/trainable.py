"""The base class of trainable systems."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from deocc.models import PatchDiscriminator
from deocc.models.features import VGGFeatures
from deocc.occlusion.batch import Batch
from deocc.training import losses as L
from deocc.training.settings import AdversarySettings
from deocc.training.system import frozen


class Trainable:
    """The state and the adversary that all systems share."""

    network: nn.Module
    discriminator: nn.Module | None
    features: VGGFeatures | None
    adversary: AdversarySettings

    def __init__(self) -> None:
        self.step = 0
        self._real: Tensor | None = None
        self._fake: Tensor | None = None

    def to(self, device: torch.device) -> Trainable:
        """Moves everything to a device."""
        for module in (self.network, self.discriminator, self.features):
            if module is not None:
                module.to(device)
        return self

    def _adversary_due(self) -> bool:
        settings = self.adversary
        return (
            self.discriminator is not None and self.step >= settings.start and self.step % settings.every == 0
        )

    def _adversarial(self, real: Tensor, fake: Tensor) -> dict[str, Tensor]:
        """The network's adversarial term if it is due; keeps the pair for the discriminator's update."""
        self._real = self._fake = None
        if not self._adversary_due():
            return {}
        assert self.discriminator is not None
        self._real, self._fake = real.detach(), fake.detach()
        bare = getattr(self.discriminator, "module", self.discriminator)  # DDP wants no forward here
        with frozen(bare) as judge:
            term = L.generator_adversarial(judge(fake), self.adversary.kind)
        return {"adversarial": self.adversary.weight * self.adversary.every * term}

    def discriminator_losses(self, batch: Batch) -> dict[str, Tensor]:
        """Real against the fakes of the last `losses` call; empty if the adversary is not due."""
        if self._real is None or self._fake is None:
            return {}
        assert self.discriminator is not None
        # one forward for both: instance norm keeps them apart, and DDP wants one forward a backward
        real, fake = self.discriminator(torch.cat([self._real, self._fake])).chunk(2)
        return {"discriminator": L.discriminator_adversarial(real, fake, self.adversary.kind)}


def make_adversary(settings: AdversarySettings) -> PatchDiscriminator | None:
    """The discriminator of (image, amodal mask), or None at weight 0."""
    return PatchDiscriminator(4, settings.width) if settings.weight else None
