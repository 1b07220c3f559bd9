"""Stage 2 as released."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from deocc.models import (
    ContentRecoveryNet,
    ParsingGuidedAttention,
    PartialConv2d,
    encoder_levels,
    mix_background,
)
from deocc.models.blocks import upsample_to
from deocc.models.content_recovery import PartialLayer
from deocc.occlusion.batch import Batch
from deocc.released.attention import TwoWayAttention
from deocc.released.discriminators import HeadlessDiscriminator
from deocc.released.partial_conv import ShrinkingPartialConv2d
from deocc.released.switches import WRITTEN, Departures
from deocc.training import losses as L
from deocc.training.content import ContentSettings, ContentSystem
from deocc.training.system import frozen

REAL_SHARE = 0.01  # what the released discriminator's real term counts


class Nothing(nn.Module):
    """Replaces the masks' own convolution; adds nothing."""

    def forward(self, masks: Tensor) -> Tensor:
        return masks.new_zeros(())


class ReleasedContentNet(ContentRecoveryNet):
    """Stage 2's network with departures 5 to 8 as switches.

    Args:
        width, parts, attention, levels, alpha: as of `ContentRecoveryNet`.
        departures: `shrinking_convolutions`, `masked_amodal`, `stale_validity` and `two_way_attention` have
            an effect here.

    Differs from the released code: its last layer gives the picture, clamped to [-1, 1]; ours keeps a
    hidden layer and a sigmoid, whatever the switches.
    """

    def __init__(
        self,
        width: int = 64,
        parts: int = 19,
        attention: str | None = "fusion",
        levels: int = 7,
        alpha: float = 0.3,
        departures: Departures = WRITTEN,
    ) -> None:
        super().__init__(width, parts, attention, levels, alpha)
        self.departures = departures
        kind = ShrinkingPartialConv2d if departures.shrinking_convolutions else PartialConv2d
        more = 2 if departures.masked_amodal else 0  # M_v and M_a, beside the image
        for layers in (self.encoder, self.decoder):
            for k, layer in layers.items():
                assert isinstance(layer, PartialLayer)
                layer.partial = _again(layer.partial, kind, more if k == "1" else 0)
                if departures.masked_amodal:
                    layer.masks = Nothing()  # type: ignore[assignment]
        if departures.two_way_attention:
            for modules in (self.encoder_attention, self.decoder_attention):
                for k, module in list(modules.items()):
                    assert isinstance(module, ParsingGuidedAttention)
                    modules[k] = TwoWayAttention(module.fuse.out_channels, parts)

    def forward(  # type: ignore[override]
        self,
        image: Tensor,
        valid_mask: Tensor,
        amodal_mask: Tensor,
        parsing_modal_onehot: Tensor,
        parsing_amodal_onehot: Tensor,
    ) -> Tensor:
        """As `ContentRecoveryNet.forward`: N x 3 x H x W in [0, 1]."""
        self._check_inputs(image, valid_mask, amodal_mask, parsing_modal_onehot, parsing_amodal_onehot)
        guide = (parsing_modal_onehot, parsing_amodal_onehot, valid_mask)
        masks = torch.cat([valid_mask, amodal_mask], 1)
        x, valid = mix_background(image, amodal_mask, self.alpha), valid_mask
        if self.departures.masked_amodal:
            x = torch.cat([x, masks], 1)  # N x 5 x H x W
        skips = []
        for k, layer in self.encoder.items():
            skips.append((x, valid))
            x, valid = layer(x, valid, masks)
            x, valid = self._attended(self.encoder_attention, k, x, valid, guide)
        for k in reversed(list(self.decoder)):
            skip, skip_valid = skips.pop()
            x, valid = upsample_to(x, skip, "nearest"), upsample_to(valid, skip, "nearest")
            x, valid = self.decoder[k](torch.cat([x, skip], 1), torch.cat([valid, skip_valid], 1), masks)
            x, valid = self._attended(self.decoder_attention, k, x, valid, guide)
        return self.head(x).sigmoid()

    def _attended(
        self, modules: nn.ModuleDict, level: str, x: Tensor, valid: Tensor, guide: tuple[Tensor, ...]
    ) -> tuple[Tensor, Tensor]:
        """PGA, if this level has one; its result is known everywhere unless the validity is stale."""
        if level not in modules:
            return x, valid
        known = valid if self.departures.stale_validity else torch.ones_like(valid)
        return modules[level](x, *guide), known


def _again(old: PartialConv2d, kind: type[PartialConv2d], more: int) -> PartialConv2d:
    """A copy of a layer with another kind of convolution; its last source gets `more` channels."""
    conv, sources = old.conv, (*old.sources[:-1], old.sources[-1] + more)
    kernel, stride, padding = conv.kernel_size[0], conv.stride[0], int(conv.padding[0])
    return kind(sum(sources), conv.out_channels, kernel, stride, padding, old.bias is not None, sources)


class ReleasedContentSystem(ContentSystem):
    """Stage 2's training with departures as switches; with none it is `ContentSystem`.

    Args:
        settings: architecture and loss weights.
        size: input's side in pixels.
        stage1: a trained stage 1; it stays frozen.
        departures: the switches.
    """

    def __init__(
        self, settings: ContentSettings, size: int, stage1: nn.Module, departures: Departures = WRITTEN
    ) -> None:
        network = ReleasedContentNet(
            settings.width, attention=settings.attention, levels=encoder_levels(size),
            alpha=settings.alpha, departures=departures,
        )  # fmt: skip
        super().__init__(settings, size, stage1, network)
        self.departures = departures
        if self.discriminator is not None and departures.headless_discriminators:
            self.discriminator = HeadlessDiscriminator(4, settings.adversary.width, stage=2)  # type: ignore[assignment]

    def _adversarial(self, real: Tensor, fake: Tensor) -> dict[str, Tensor]:
        if not self.departures.erased_adversary:
            return super()._adversarial(real, fake)
        self._real = self._fake = None
        if not self._adversary_due():
            return {}
        assert self.discriminator is not None
        self._real, self._fake = real.detach(), fake.detach()
        with frozen(self.discriminator) as judge, torch.no_grad():  # zero_grad() comes before the step
            term = L.generator_adversarial(judge(fake), self.adversary.kind)
        return {"adversarial": self.adversary.weight * self.adversary.every * term}

    def discriminator_losses(self, batch: Batch) -> dict[str, Tensor]:
        """With `erased_adversary`: 0.01 real + fake, plus the network's own term, which calls fakes real."""
        if not self.departures.erased_adversary:
            return super().discriminator_losses(batch)
        if self._real is None or self._fake is None:
            return {}
        assert self.discriminator is not None
        real, fake = self.discriminator(torch.cat([self._real, self._fake])).chunk(2)
        return {"discriminator": released_discriminator_loss(real, fake, self.adversary.kind)}


def released_discriminator_loss(real_logits: Tensor, fake_logits: Tensor, kind: str = "bce") -> Tensor:
    """The loss that the released discriminator of stage 2 minimises: 0.01 real(1) + fake(0) + fake(1).

    The last term is the network's adversarial one, whose gradient also reaches the discriminator. With binary
    cross-entropy, the sum of both fake terms is least at a logit of 0: undecided.

    Args:
        real_logits, fake_logits: N x C x h x w.
        kind: "bce" as released, or "lsgan".

    Source: departure 3.
    """
    ask_real = L.generator_adversarial(real_logits, kind)
    ask_fake = L.generator_adversarial(fake_logits, kind)
    tell_fake = 2 * L.discriminator_adversarial(real_logits, fake_logits, kind) - ask_real
    return REAL_SHARE * ask_real + tell_fake + ask_fake
