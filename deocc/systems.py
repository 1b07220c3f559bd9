"""The trainable systems of the paper: a network, its adversary, and what they are trained to do.

`MaskSystem` is stage 1 (eq. 1 to 4), `ContentSystem` stage 2 (eq. 5 to 7); `RecoverySystem` is what all
systems of table 3 share: what they are told and how they are judged. A system knows losses and predictions;
loops, optimisers and devices are `deocc.training`'s business.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn

from . import losses as L
from .errors import DeoccError
from .labels import parsing_onehot, parts_of_logits
from .models import ContentRecoveryNet, MaskCompletionNet, MaskLogits, PatchDiscriminator, encoder_levels
from .models.content_recovery import wants_soft_parts
from .models.features import VGGFeatures
from .training import Batch, Prediction, frozen


@dataclass(frozen=True)
class FeatureSettings:
    """Which VGG features the perceptual and style losses compare, and how often."""

    levels: tuple[int, ...] = (1, 2)  # VGG blocks
    source: str = "auto"  # "auto", "packaged" or "torchvision", see deocc.models.features
    every: int = 1  # steps from one use to the next; the weight is multiplied by it
    size: int = 64  # side of the pictures that VGG sees, pixels

    def __post_init__(self) -> None:
        _require(self.every >= 1, f"features.every is {self.every}; expected at least 1")
        _require(self.size >= 16, f"features.size is {self.size}; expected at least 16 pixels")


@dataclass(frozen=True)
class AdversarySettings:
    """The PatchGAN and its use."""

    weight: float = 0.01  # lambda_adv; 0 trains without a discriminator
    width: int = 64  # channels of its first layer
    kind: str = "lsgan"  # "lsgan", "bce" or "hinge"
    every: int = 1  # steps from one use to the next; the weight is multiplied by it
    start: int = 0  # first step that uses it

    def __post_init__(self) -> None:
        _require(self.every >= 1, f"adversary.every is {self.every}; expected at least 1")
        kinds = ", ".join(L.ADVERSARIAL)
        _require(self.kind in L.ADVERSARIAL, f"adversary.kind is {self.kind!r}; use one of {kinds}")


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise DeoccError(f"settings: {message}")


@dataclass(frozen=True)
class MaskSettings:
    """Stage 1: architecture and losses."""

    width: int = 64  # channels of the first level
    levels: int = 5  # resolutions of each hourglass
    stride: int = 2  # of the stem, 2 or 4
    trunk: str = ""  # "lite0": features of EfficientNet-lite0, from ImageNet; "": none, as in the paper
    templates: int = 64  # K; 0 leaves the templates out (table 4)
    template_size: int = 32  # side of a template, in its own pixels
    template_samples: int = 2048  # training masks that are clustered
    temperature: float = 0.01  # tau of the template weights
    modal: bool = True  # False: M_i stands in for M_m (table 4)
    parsing: bool = True  # False: no parsing branches (table 4)
    ce: float = 0.5  # cross-entropy of M_m and of M_a
    ce_parsing: float = 0.1  # cross-entropy of P_m and of P_a
    half_parsing: bool = False  # compares parsing at half resolution, a fifth cheaper
    invisible_extra: float = 0.0  # invisible pixels count 1 + this in the cross-entropy of M_a
    error_extra: float = 0.0  # pixels where M_i is wrong count 1 + this in both masks' cross-entropy
    l1: float = 0.1  # L1 of L_rec, on M_m and M_a
    perceptual: float = 0.1  # perceptual part of L_rec, on M_a
    soft_iou: float = 0.0  # 1 - soft IoU of M_a, M_inv and M_m; ours, not the paper's
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
        bare = getattr(self.discriminator, "module", self.discriminator)  # DDP wants no forward here
        with frozen(bare) as judge:
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
            stride=settings.stride,
            trunk=settings.trunk,
            pretrained=bool(settings.trunk),
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

    def _cross_entropies(self, logits: MaskLogits, batch: Batch) -> dict[str, Tensor]:
        s, photo = self.settings, batch["photo"]
        wrong = L.region_weight(photo, (batch["initial_mask"] != batch["modal_mask"]).float(), s.error_extra)
        weight = L.region_weight(wrong, invisible_mask(batch), s.invisible_extra)
        terms = {"ce_amodal": s.ce * L.mask_cross_entropy(logits.amodal, batch["amodal_mask"], weight)}
        if s.modal:
            terms["ce_modal"] = s.ce * L.mask_cross_entropy(logits.modal, batch["modal_mask"], wrong)
        for name in ("parsing_modal", "parsing_amodal"):
            predicted = getattr(logits, name)
            if predicted is not None and s.ce_parsing:
                ce = L.parsing_cross_entropy(predicted, batch[name], photo, batch["true_sides"])
                terms[f"ce_{name}"] = s.ce_parsing * ce
        return terms

    def _reconstruction(self, logits: MaskLogits, amodal: Tensor, batch: Batch) -> dict[str, Tensor]:
        s, photo, truth = self.settings, batch["photo"], batch["amodal_mask"]
        modal = L.mask_probability(logits.modal)
        terms = {}
        if s.l1:
            l1 = L.mask_l1(amodal, truth, photo)
            l1 = l1 + L.mask_l1(modal, batch["modal_mask"], photo) if s.modal else l1
            terms["l1"] = s.l1 * l1
        if s.soft_iou:
            hidden = L.soft_iou_loss(amodal * (1 - modal), invisible_mask(batch), photo)
            whole = L.soft_iou_loss(amodal, truth, photo)
            seen = L.soft_iou_loss(modal, batch["modal_mask"], photo) if s.modal else 0.0
            terms["soft_iou"] = s.soft_iou * (whole + hidden + seen)
        if self.features is not None and self.step % s.features.every == 0:
            distance = L.mask_perceptual(self.features, amodal, truth, photo, s.features.size)
            terms["perceptual"] = s.perceptual * s.features.every * distance
        return terms

    @torch.no_grad()
    def predict(self, batch: Batch) -> Prediction:
        """Probabilities of both masks (N x 1 x H x W, 0 outside the photo), parsing (N x H x W int64)."""
        self.network.eval()
        logits = self.network(batch["image"], batch["initial_mask"], batch["photo"])
        odds = {"modal_mask": logits.modal, "amodal_mask": logits.amodal}
        masks = {name: L.mask_probability(value) * batch["photo"] for name, value in odds.items()}
        if not self.settings.modal:
            masks["modal_mask"] = batch["initial_mask"]  # M_i itself stands in
        parts = {"parsing_modal": logits.parsing_modal, "parsing_amodal": logits.parsing_amodal}
        return masks | {name: part.argmax(1) for name, part in parts.items() if part is not None}


def invisible_mask(batch: Batch) -> Tensor:
    """M_inv = M_a and not M_m, N x 1 x H x W {0, 1}."""
    return batch["amodal_mask"] * (1 - batch["modal_mask"])


@dataclass(frozen=True)
class RecoverySettings:
    """Size and losses of one system that recovers pixels."""

    width: int = 64  # channels of the first level
    predicted: float = 0.5  # share of training items with stage 1's masks and parsing; the others' are true
    l1_hole: float = 6.0  # L1 over the given invisible mask
    l1_valid: float = 1.0  # L1 over the visible person
    l1_composite: float = 0.0  # L1 of the composite over the given amodal mask
    perceptual: float = 0.05  # feature distance of the composite; Liu et al.'s
    style: float = 0.05  # Gram matrices of the composite
    style_whole: float = 0.0  # the same of the network's own picture inside M_a
    features: FeatureSettings = FeatureSettings()
    adversary: AdversarySettings = AdversarySettings()


@dataclass(frozen=True)
class ContentSettings(RecoverySettings):
    """Stage 2: architecture and losses."""

    attention: str = "fusion"  # row of table 6: "none", "body", "spatial", "cascade", "fusion"
    alpha: float = 0.3  # share of the background kept in I' (eq. 4 of stage 2, table 5)
    prior: bool = False  # a first guess from visible body parts (`part_prior`); ours, not the paper's
    soft_parts: bool = False  # parts seen in occluded photos come as probabilities, not labels; ours
    log_mse: float = 0.0  # logarithm of each case's squared error over the given invisible mask; ours


class Guidance(NamedTuple):
    """What stage 2 is told about the person."""

    modal: Tensor  # N x 1 x H x W {0, 1}
    amodal: Tensor  # N x 1 x H x W {0, 1}, contains modal
    parsing_modal: Tensor  # N x H x W int64
    parsing_amodal: Tensor  # N x H x W int64
    odds: Tensor | None = None  # N x 38 x H x W in [0, 1]: probabilities of the 19 parts of P_m, then of P_a

    def parts(self) -> tuple[Tensor, Tensor]:
        """P_m and P_a, N x 19 x H x W: probabilities where there are some, else one-hots."""
        if self.odds is None:
            return parsing_onehot(self.parsing_modal), parsing_onehot(self.parsing_amodal)
        modal, amodal = self.odds.chunk(2, 1)
        return modal, amodal

    def hole(self, photo: Tensor) -> Tensor:
        """The invisible mask inside the photo: what is painted."""
        return self.amodal * (1 - self.modal) * photo


def _joined(first: Guidance, second: Guidance, order: Tensor) -> Guidance:
    """The items of both in a new order."""
    a, b, c, d = (torch.cat(pair)[order] for pair in zip(first[:4], second[:4], strict=True))
    odds = None
    if first.odds is not None or second.odds is not None:
        odds = torch.cat([torch.cat(told.parts(), 1) for told in (first, second)])[order]
    return Guidance(a, b, c, d, odds)


class RecoverySystem(_Trainable):
    """A network that recovers pixels: what it is told, its losses (eq. 7) and its predictions.

    Half of the training items see stage 1's predicted masks and parsing, the other half true ones, where
    people without labels get pseudo-labels from stage 1's parsing of the unoccluded photo. Subclasses differ
    in `paint` and in what they add to the losses.

    Args:
        settings: loss weights.
        network: what `paint` calls; it is trained, averaged and exported.
        stage1: a trained `MaskCompletionNet`; it stays frozen.
        discriminator: None: the PatchGAN of (picture, amodal mask) where the settings give it a weight.
    """

    helpers = ("stage1",)  # frozen networks, see `deocc.training.System`
    told = "true"  # what an evaluation tells it unless asked otherwise; see `predict`
    texture = 0.0  # share of visible detail that an evaluation adds, see `deocc.texture`

    def __init__(
        self,
        settings: RecoverySettings,
        network: nn.Module,
        stage1: nn.Module,
        discriminator: nn.Module | None = None,
    ) -> None:
        super().__init__()
        self.settings, self.adversary = settings, settings.adversary
        self.stage1 = stage1.eval().requires_grad_(False)
        self.network = network
        self.discriminator = discriminator or _adversary(settings.adversary)
        wanted = settings.features
        used = settings.perceptual or settings.style or settings.style_whole
        self.features = VGGFeatures(wanted.levels, wanted.source) if used else None

    def paint(self, batch: Batch, told: Guidance) -> list[Tensor]:
        """The network's pictures of a batch, N x 3 x H x W in [0, 1]: drafts, then the answer."""
        raise NotImplementedError

    def own_terms(self, painted: Tensor, told: Guidance, batch: Batch) -> dict[str, Tensor]:
        """Weighted terms that only this system has. Args: painted: the composite, N x 3 x H x W."""
        return {}

    def judged(self, picture: Tensor, batch: Batch, told: Guidance) -> Tensor:
        """What the discriminator sees of a picture: that, and beside it the amodal mask."""
        return torch.cat([picture, told.amodal], 1)

    def to(self, device: torch.device) -> RecoverySystem:
        """Moves everything, stage 1 too, to a device."""
        self.stage1.to(device)
        super().to(device)
        return self

    # ---- what the network is told

    def _stage1(self, image: Tensor, initial: Tensor, photo: Tensor, coarse: bool = False) -> Guidance:
        """Stage 1's answer as the pipeline hands it on: masks at 1/2, parsing by argmax.

        coarse: labels at half resolution, as stage 1 computes them, each repeated; faster.
        """
        logits = self.stage1(image, initial, photo, half_parsing=coarse)
        modal, amodal = L.mask_probability(logits.modal) > 0.5, L.mask_probability(logits.amodal) > 0.5
        parsing = logits.parsing_modal, logits.parsing_amodal
        maps = [kind.argmax(1) for kind in parsing]
        if wants_soft_parts(self.network):
            maps.append(torch.cat([parts_of_logits(kind, soft=True) for kind in parsing], 1))
        if maps[0].shape[-1] != image.shape[-1]:
            rows, columns = (torch.arange(n, device=image.device) // 2 for n in image.shape[-2:])
            maps = [kind[..., rows[:, None], columns] for kind in maps]
        maps = [kind * (photo[:, 0] > 0 if kind.ndim == 3 else photo) for kind in maps]
        return Guidance((modal * photo), ((amodal | modal) * photo), *maps)

    @torch.no_grad()
    def true_guidance(self, batch: Batch, coarse: bool = False) -> Guidance:
        """True masks and labels; pseudo-labels where a person has none, at half resolution where `coarse`."""
        modal, amodal = batch["modal_mask"], batch["amodal_mask"]
        labels = batch["parsing_amodal"].clone()
        bare = ~batch["has_parsing"]
        if bare.any():
            whole = amodal[bare]  # on the unoccluded photo the whole person is the visible one
            found = self._stage1(batch["target"][bare], whole, batch["photo"][bare], coarse)
            labels[bare] = found.parsing_amodal * (whole[:, 0] > 0)
        return Guidance(modal, amodal, labels * (modal[:, 0] > 0), labels)

    @torch.no_grad()
    def predicted_guidance(self, batch: Batch, coarse: bool = False) -> Guidance:
        """Stage 1's masks and parsing (at half resolution where `coarse`) from the occluded photo and M_i."""
        return self._stage1(batch["image"], batch["initial_mask"], batch["photo"], coarse)

    @torch.no_grad()
    def seen_guidance(self, batch: Batch) -> Guidance:
        """True masks; body parts as stage 1 sees them in the occluded photo, given the visible mask."""
        modal, amodal = batch["modal_mask"], batch["amodal_mask"]
        found = self._stage1(batch["image"], modal, batch["photo"])
        labels = found.parsing_modal * (modal[:, 0] > 0), found.parsing_amodal * (amodal[:, 0] > 0)
        if found.odds is None:
            return Guidance(modal, amodal, *labels)
        parts_modal, parts_amodal = found.parts()
        return Guidance(modal, amodal, *labels, torch.cat([parts_modal * modal, parts_amodal * amodal], 1))

    @torch.no_grad()
    def training_guidance(self, batch: Batch) -> Guidance:
        """A mixture of both: `settings.predicted` of the items, drawn anew, see predictions."""
        predicted = torch.rand(len(batch["image"])).to(batch["image"].device) < self.settings.predicted
        if predicted.all():
            return self.predicted_guidance(batch, True)
        if not predicted.any():
            return self.true_guidance(batch, True)
        first = self.predicted_guidance({name: value[predicted] for name, value in batch.items()}, True)
        second = self.true_guidance({name: value[~predicted] for name, value in batch.items()}, True)
        back = torch.cat([predicted.nonzero()[:, 0], (~predicted).nonzero()[:, 0]]).argsort()
        return _joined(first, second, back)

    # ---- losses

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        """Weighted terms of eq. 7: L1, style (and perceptual), adversarial; drafts have L1 alone."""
        told = self.training_guidance(batch)
        hole = told.hole(batch["photo"])
        *drafts, recovered = self.paint(batch, told)
        painted = L.composite(batch["image"], recovered, hole)
        # known pixels are the same in both, so that neither features nor adversary see the occluder's edge
        truth = L.composite(batch["image"], batch["target"], hole)
        terms = self._l1(recovered, painted, truth, told, batch)
        if drafts:
            sums = (self._l1(d, L.composite(batch["image"], d, hole), truth, told, batch) for d in drafts)
            terms["l1_draft"] = torch.stack([value for term in sums for value in term.values()]).sum()
        terms |= self._feature_terms(recovered, painted, truth, told, batch)
        terms |= self.own_terms(painted, told, batch)
        seen = (self.judged(picture, batch, told) for picture in (truth, painted))
        return terms | self._adversarial(*seen)

    def _l1(
        self, recovered: Tensor, painted: Tensor, truth: Tensor, told: Guidance, batch: Batch
    ) -> dict[str, Tensor]:
        s, photo = self.settings, batch["photo"]
        visible = told.modal * batch["modal_mask"] * photo
        terms = {
            "l1_hole": s.l1_hole * L.region_l1(recovered, batch["target"], told.hole(photo)),
            "l1_valid": s.l1_valid * L.region_l1(recovered, batch["target"], visible),
        }
        if s.l1_composite:
            terms["l1_composite"] = s.l1_composite * L.region_l1(painted, truth, told.amodal * photo)
        return terms

    def _feature_terms(
        self, recovered: Tensor, painted: Tensor, truth: Tensor, told: Guidance, batch: Batch
    ) -> dict[str, Tensor]:
        s = self.settings
        if self.features is None or self.step % s.features.every:
            return {}
        hole = told.hole(batch["photo"])
        inside = torch.maximum(told.modal * batch["modal_mask"] * batch["photo"], hole)
        pictures = [painted, truth, recovered * inside, batch["target"] * inside]
        painted, truth, whole, whole_truth = L.hole_crops(pictures, hole, s.features.size)
        with torch.no_grad():
            goal = self.features(truth)
        found = self.features(painted)
        terms = {
            "perceptual": s.perceptual * s.features.every * L.feature_distance(found, goal),
            "style": s.style * s.features.every * L.style_distance(found, goal),
        }
        if s.style_whole:
            with torch.no_grad():
                goal = self.features(whole_truth)
            distance = L.style_distance(self.features(whole), goal)
            terms["style_whole"] = s.style_whole * s.features.every * distance
        return {name: value for name, value in terms.items() if getattr(s, name)}

    # ---- prediction

    @torch.no_grad()
    def predict(self, batch: Batch, masks: str = "predicted") -> Prediction:
        """Recovers a batch, end to end as in the paper, or from true masks.

        Args:
            batch: a Batch.
            masks: "predicted" (stage 1 from M_i), "true", or "seen": true masks, body parts by stage 1.

        Returns:
            Masks (N x 1 x H x W {0, 1}), parsing (N x H x W int64), and `recovered` N x 3 x H x W: the image
            outside the invisible mask, painted inside it.
        """
        self.network.eval()
        guidance = {"predicted": self.predicted_guidance, "seen": self.seen_guidance}
        told = guidance.get(masks, self.true_guidance)(batch)
        recovered = self.paint(batch, told)[-1]
        painted = L.composite(batch["image"], recovered, told.hole(batch["photo"]))
        return {
            "modal_mask": told.modal,
            "amodal_mask": told.amodal,
            "parsing_modal": told.parsing_modal,
            "parsing_amodal": told.parsing_amodal,
            "recovered": painted,
        }


class ContentSystem(RecoverySystem):
    """Stage 2, parsing guided content recovery, trained as eq. 7 says.

    Args:
        settings: architecture and loss weights.
        size: input's side in pixels; chooses the levels.
        stage1: a trained `MaskCompletionNet`; it stays frozen.

    Differs from the paper: it takes its pseudo-labels from HRNet.
    Differs from the released code: the adversarial gradient reaches the network; there it is erased.
    """

    settings: ContentSettings

    def __init__(self, settings: ContentSettings, size: int, stage1: nn.Module) -> None:
        network = ContentRecoveryNet(
            settings.width,
            attention=settings.attention,
            levels=encoder_levels(size),
            alpha=settings.alpha,
            prior=settings.prior,
            soft_parts=settings.soft_parts,
        )
        super().__init__(settings, network, stage1)

    def inputs(self, batch: Batch, told: Guidance) -> tuple[Tensor, ...]:
        """Image, M_v, M_a, P_m and P_a as `ContentRecoveryNet` takes them, in that order."""
        valid = batch["photo"] - told.hole(batch["photo"])
        return batch["image"], valid, told.amodal, *told.parts()

    def paint(self, batch: Batch, told: Guidance) -> list[Tensor]:
        """I_o of eq. 5, alone."""
        return [self.network(*self.inputs(batch, told))]

    def own_terms(self, painted: Tensor, told: Guidance, batch: Batch) -> dict[str, Tensor]:
        """PSNR as a loss, where the settings give it a weight."""
        if not self.settings.log_mse:
            return {}
        distance = L.region_log_mse(painted, batch["target"], told.hole(batch["photo"]))
        return {"log_mse": self.settings.log_mse * distance}
