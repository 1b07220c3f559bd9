"""The trainable systems of the paper: a network, its adversary, and what they are trained to do.

`MaskSystem` is stage 1 (eq. 1 to 4). A system knows losses and predictions; loops, optimisers and devices are
`deocc.training`'s business.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from . import losses as L
from .models import MaskCompletionNet, PatchDiscriminator
from .models.features import VGGFeatures
from .training import Batch, Prediction, frozen


@dataclass(frozen=True)
class FeatureSettings:
    """Which VGG features the perceptual and style losses compare, and how often."""

    levels: tuple[int, ...] = (1, 2)  # VGG blocks
    source: str = "auto"  # "auto", "packaged" or "torchvision", see deocc.models.features
    every: int = 1  # steps from one use to the next; the weight is multiplied by it
    size: int = 64  # side of the pictures that VGG sees, pixels


@dataclass(frozen=True)
class AdversarySettings:
    """The PatchGAN and its use."""

    weight: float = 0.01  # lambda_adv; 0 trains without a discriminator
    width: int = 64  # channels of its first layer
    kind: str = "lsgan"  # "lsgan" or "bce"
    every: int = 1  # steps from one use to the next; the weight is multiplied by it
    start: int = 0  # first step that uses it


@dataclass(frozen=True)
class MaskSettings:
    """Stage 1: architecture and losses."""

    width: int = 64  # channels of the first level
    levels: int = 5  # resolutions of each hourglass
    templates: int = 64  # K; 0 leaves the templates out (table 4)
    template_size: int = 32  # side of a template, in its own pixels
    temperature: float = 0.01  # tau of the template weights
    modal: bool = True  # False: M_i stands in for M_m (table 4)
    parsing: bool = True  # False: no parsing branches (table 4)
    ce: float = 0.5  # cross-entropy of M_m and of M_a
    ce_parsing: float = 0.1  # cross-entropy of P_m and of P_a
    half_parsing: bool = False  # compares parsing at half resolution, a fifth cheaper
    invisible_extra: float = 0.0  # invisible pixels count 1 + this in the cross-entropy of M_a
    l1: float = 0.1  # L1 of L_rec, on M_m and M_a
    perceptual: float = 0.1  # perceptual part of L_rec, on M_a
    soft_iou: float = 0.0  # 1 - soft IoU of M_a and of M_inv; ours, not the paper's
    features: FeatureSettings = FeatureSettings()
    adversary: AdversarySettings = AdversarySettings()


class _Trainable:
    """What all systems share: the current step, lazy features, the adversary's rhythm."""

    network: nn.Module
    discriminator: nn.Module | None
    features: VGGFeatures | None
    adversary: AdversarySettings

    def __init__(self) -> None:
        self.step = 0
        self._real: Tensor | None = None
        self._fake: Tensor | None = None

    def to(self, device: torch.device) -> _Trainable:
        """Moves everything to a device."""
        for module in (self.network, self.discriminator, self.features):
            if module is not None:
                module.to(device)
        return self

    def _adversary_due(self) -> bool:
        settings = self.adversary
        return (
            self.discriminator is not None
            and self.step >= settings.start
            and self.step % settings.every == 0
        )

    def _adversarial(self, real: Tensor, fake: Tensor) -> dict[str, Tensor]:
        """The network's adversarial term where it is due; keeps the pair for the discriminator's turn."""
        self._real = self._fake = None
        if not self._adversary_due():
            return {}
        assert self.discriminator is not None
        self._real, self._fake = real.detach(), fake.detach()
        with frozen(self.discriminator) as judge:
            term = L.generator_adversarial(judge(fake), self.adversary.kind)
        return {"adversarial": self.adversary.weight * self.adversary.every * term}

    def discriminator_losses(self, batch: Batch) -> dict[str, Tensor]:
        """Real against the fakes of the last `losses` call; empty where the adversary rests."""
        if self._real is None or self._fake is None:
            return {}
        assert self.discriminator is not None
        # one forward for both: instance norm keeps them apart, and DDP wants one forward a backward
        real, fake = self.discriminator(torch.cat([self._real, self._fake])).chunk(2)
        return {"discriminator": L.discriminator_adversarial(real, fake, self.adversary.kind)}


def _adversary(settings: AdversarySettings) -> PatchDiscriminator | None:
    """The discriminator of (image, amodal mask), or None at weight 0."""
    return PatchDiscriminator(4, settings.width) if settings.weight else None


class MaskSystem(_Trainable):
    """Stage 1, refined mask completion, trained as eq. 3 and 4 say.

    Args:
        settings: architecture and loss weights.
        templates: K x S x S in [0, 1] from `deocc.templates`, or None.

    Differs from the released code: soft masks in L1, perceptual and adversarial terms (there: argmax
    masks without gradient, and a discriminator that the network never meets).
    """

    def __init__(self, settings: MaskSettings, templates: Tensor | None = None) -> None:
        super().__init__()
        self.settings, self.adversary = settings, settings.adversary
        self.network = MaskCompletionNet(
            settings.width,
            templates=templates if settings.templates else None,
            modal=settings.modal,
            parsing=settings.parsing,
            temperature=settings.temperature,
            levels=settings.levels,
        )
        self.discriminator = _adversary(settings.adversary)
        wanted = settings.features
        self.features = VGGFeatures(wanted.levels, wanted.source) if settings.perceptual else None

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        """Weighted terms of eq. 4: cross-entropies, L_rec, adversarial, and our soft IoU."""
        given = batch["image"], batch["initial_mask"], batch["photo"]
        logits = self.network(*given, half_parsing=self.settings.half_parsing)
        amodal = L.mask_probability(logits.amodal)
        terms = self._cross_entropies(logits, batch) | self._reconstruction(logits, amodal, batch)
        seen = [batch["image"], batch["amodal_mask"] * batch["photo"]]
        pair = torch.cat(seen, 1), torch.cat([seen[0], amodal * batch["photo"]], 1)
        return terms | self._adversarial(*pair)

    def _cross_entropies(self, logits, batch: Batch) -> dict[str, Tensor]:  # type: ignore[no-untyped-def]
        s, photo = self.settings, batch["photo"]
        weight = L.region_weight(photo, invisible_mask(batch), s.invisible_extra)
        terms = {"ce_amodal": s.ce * L.mask_cross_entropy(logits.amodal, batch["amodal_mask"], weight)}
        if s.modal:
            terms["ce_modal"] = s.ce * L.mask_cross_entropy(logits.modal, batch["modal_mask"], photo)
        for name in ("parsing_modal", "parsing_amodal"):
            predicted = getattr(logits, name)
            if predicted is not None and s.ce_parsing:
                ce = L.parsing_cross_entropy(predicted, batch[name], photo, batch["true_sides"])
                terms[f"ce_{name}"] = s.ce_parsing * ce
        return terms

    def _reconstruction(self, logits, amodal: Tensor, batch: Batch) -> dict[str, Tensor]:  # type: ignore[no-untyped-def]
        s, photo, truth = self.settings, batch["photo"], batch["amodal_mask"]
        modal = L.mask_probability(logits.modal)
        terms = {}
        if s.l1:
            l1 = L.mask_l1(amodal, truth, photo)
            l1 = l1 + L.mask_l1(modal, batch["modal_mask"], photo) if s.modal else l1
            terms["l1"] = s.l1 * l1
        if s.soft_iou:
            hidden = L.soft_iou_loss(amodal * (1 - modal), invisible_mask(batch), photo)
            terms["soft_iou"] = s.soft_iou * (L.soft_iou_loss(amodal, truth, photo) + hidden)
        if self.features is not None and self.step % s.features.every == 0:
            distance = L.mask_perceptual(self.features, amodal, truth, photo, s.features.size)
            terms["perceptual"] = s.perceptual * s.features.every * distance
        return terms

    @torch.no_grad()
    def predict(self, batch: Batch) -> Prediction:
        """Probabilities of both masks (N x 1 x H x W) and parsing (N x H x W int64, where there is any)."""
        self.network.eval()
        logits = self.network(batch["image"], batch["initial_mask"], batch["photo"])
        masks = {f"{name}_mask": L.mask_probability(getattr(logits, name)) for name in ("modal", "amodal")}
        parts = {"parsing_modal": logits.parsing_modal, "parsing_amodal": logits.parsing_amodal}
        return masks | {name: part.argmax(1) for name, part in parts.items() if part is not None}


def invisible_mask(batch: Batch) -> Tensor:
    """M_inv = M_a and not M_m, N x 1 x H x W {0, 1}."""
    return batch["amodal_mask"] * (1 - batch["modal_mask"])
