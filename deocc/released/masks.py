"""Stage 1 as released."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from deocc.models import MaskCompletionNet, MaskLogits, TemplateGuide
from deocc.models.blocks import conv3x3
from deocc.models.mask_completion import PredictionBranch
from deocc.occlusion.batch import Batch
from deocc.released.attention import ChannelWeights
from deocc.released.discriminators import HeadlessDiscriminator
from deocc.released.switches import WRITTEN, Departures
from deocc.training.mask import MaskSettings, MaskSystem
from deocc.training.system import Prediction

SURE = 1e4  # logit whose probability is 1 in single precision


class DotTemplateGuide(TemplateGuide):
    """Template weights from dot products: w = softmax over k of the sum over pixels of mask * T_k.

    The sums run over all pixels of the input's frame, so they reach thousands. The mask is detached, and the
    temperature is not used.

    Source: departure 4.
    Differs from the paper: it compares by a distance (`deocc.models.TemplateGuide`).
    """

    def products(self, mask: Tensor, photo_mask: Tensor | None = None) -> Tensor:
        """Sums over the input's pixels of a soft mask (N x 1 x H x W) times each template: N x K, >= 0."""
        mask = mask.detach() if photo_mask is None else mask.detach() * photo_mask.to(mask.dtype)
        size = self.templates.shape[-2], self.templates.shape[-1]
        cells = F.adaptive_avg_pool2d(mask, size).flatten(1)  # N x SS, mean of each cell
        pixels = mask.shape[-2] * mask.shape[-1] / (size[0] * size[1])  # a cell
        return pixels * cells @ self.templates.flatten(1).to(mask.dtype).T

    def weights(self, mask: Tensor, photo_mask: Tensor | None = None) -> Tensor:
        """softmax of `products`: N x K, rows sum to 1."""
        return self.products(mask, photo_mask).softmax(dim=1)


class DetachedBranch(PredictionBranch):
    """The head of one hourglass whose mask does not train the parsing feature that it sees.

    The mask's convolutions see the parsing feature detached, times channel weights; parsing logits come
    from one convolution. Arguments and results are those of `PredictionBranch`.

    Source: departure 9.
    Differs from the paper: the supplement's fig. 1 joins both features, and draws two convolutions.
    """

    def __init__(
        self, width: int, classes: int, extra: int, inputs: int, zoom: int = 1, detail: int = 0
    ) -> None:
        super().__init__(width, classes, extra, inputs, zoom, detail)
        self.weigh = ChannelWeights(width, 4)
        if self.parsing is not None:
            finer = [] if zoom == 1 else [nn.PixelShuffle(zoom)]
            self.parsing = nn.Sequential(conv3x3(width, classes * zoom**2), *finer)

    def seen_by_mask(self, part: Tensor) -> Tensor:
        """The parsing feature, detached, with weighted channels."""
        return self.weigh(part.detach())


class ReleasedMaskNet(MaskCompletionNet):
    """Stage 1's network with departures 4 and 9 as switches; other arguments as of `MaskCompletionNet`.

    Args:
        departures: `dot_templates` and `detached_parsing` have an effect here.
    """

    def __init__(self, width: int = 64, departures: Departures = WRITTEN, **others: Any) -> None:
        super().__init__(width, **others)
        if departures.dot_templates and self.guide is not None:
            self.guide = DotTemplateGuide(self.guide.templates, width, self.guide.temperature)
        if departures.detached_parsing:
            if self.modal_branch is not None:
                self.modal_branch = self._detached(0)
            self.amodal_branch = self._detached(0 if self.guide is None else width)

    def _detached(self, extra: int) -> DetachedBranch:
        c = self.config
        detail = 0 if self.trunk is None else self.trunk.channels[2]
        return DetachedBranch(
            c["width"], c["classes"] if c["parsing"] else 0, extra, 5, c["stride"] // 2, detail
        )


def new_network(
    settings: MaskSettings, departures: Departures, templates: Tensor | None = None
) -> ReleasedMaskNet:
    """An untrained network with switches. Args: templates: K x S x S in [0, 1], or None."""
    return ReleasedMaskNet(
        settings.width, departures, templates=templates if settings.templates else None,
        modal=settings.modal, parsing=settings.parsing, temperature=settings.temperature,
        levels=settings.levels, stride=settings.stride, trunk=settings.trunk,
        pretrained=bool(settings.trunk),
    )  # fmt: skip


class ReleasedMaskSystem(MaskSystem):
    """Stage 1's training with departures as switches; with none it is `deocc.training.mask.MaskSystem`.

    Args:
        settings: architecture and loss weights.
        departures: the switches.
        templates: K x S x S in [0, 1], or None.
        network: None: a `ReleasedMaskNet` by settings and departures.
    """

    def __init__(
        self,
        settings: MaskSettings,
        departures: Departures = WRITTEN,
        templates: Tensor | None = None,
        network: nn.Module | None = None,
    ) -> None:
        judge = None
        if settings.adversary.weight and departures.headless_discriminators:
            judge = HeadlessDiscriminator(4, settings.adversary.width, stage=1)
        network = network or new_network(settings, departures, templates)
        super().__init__(settings, templates, network, judge)
        self.departures = departures

    def _reconstruction(self, logits: MaskLogits, amodal: Tensor, batch: Batch) -> dict[str, Tensor]:
        if self.departures.argmax_masks:
            logits = logits._replace(modal=decided(logits.modal), amodal=decided(logits.amodal))
            amodal = (logits.amodal[:, 1:] > 0).to(amodal.dtype)
        return super()._reconstruction(logits, amodal, batch)

    def _adversarial(self, real: Tensor, fake: Tensor) -> dict[str, Tensor]:
        if not self.departures.lonely_discriminator:
            return super()._adversarial(real, fake)
        self._real = self._fake = None
        if self._adversary_due():
            hard = torch.cat([fake[:, :3], (fake[:, 3:] > 0.5).to(fake.dtype)], 1)
            self._real, self._fake = real.detach(), hard.detach()
        return {}

    @torch.no_grad()
    def predict(self, batch: Batch) -> Prediction:
        """As `MaskSystem.predict`; with `joined_masks` M_a holds M_m, and parsing lies within both."""
        found = super().predict(batch)
        if not self.departures.joined_masks:
            return found
        modal, amodal = found["modal_mask"], torch.maximum(found["amodal_mask"], found["modal_mask"])
        within = {"parsing_modal": modal, "parsing_amodal": amodal}
        parts = {name: found[name] * (mask[:, 0] > 0.5) for name, mask in within.items() if name in found}
        return {**found, "amodal_mask": amodal, **parts}


def decided(logits: Tensor) -> Tensor:
    """Logits (N x 2 x H x W) of the argmax: +-SURE, without a gradient."""
    chosen = logits.detach().argmax(1, keepdim=True)
    person = (2.0 * chosen - 1.0) * SURE
    return torch.cat([-person, person], 1).to(logits.dtype)
