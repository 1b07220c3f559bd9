"""Training of stage 2: parsing guided content recovery (eq. 5 to 7, Sec. 3.3)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from deocc.checks import ANY, check_config
from deocc.errors import DeoccError
from deocc.labels import parts_of_logits
from deocc.models import ContentRecoveryNet, encoder_levels
from deocc.models.features import VGGFeatures
from deocc.occlusion.batch import Batch
from deocc.training import losses as L
from deocc.training.guidance import Guidance, GuidanceKind, joined_guidance
from deocc.training.settings import AdversarySettings, FeatureSettings
from deocc.training.system import Prediction
from deocc.training.trainable import Trainable, make_adversary


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

    def __post_init__(self) -> None:
        weights = ("l1_hole", "l1_valid", "l1_composite", "perceptual", "style", "style_whole", "log_mse")
        ranges: dict[str, tuple[float, float]] = dict.fromkeys(weights, (0, ANY))
        ranges |= {"width": (1, 4096), "predicted": (0, 1), "alpha": (0, 1), "own_share": (0, 1)}
        check_config(self, "settings of stage 2", ranges)


@dataclass(frozen=True)
class ContentSettings(RecoverySettings):
    """Stage 2: architecture and losses."""

    attention: str = "fusion"  # row of table 6: "none", "body", "spatial", "cascade", "fusion"
    alpha: float = 0.3  # share of the background kept in I' (Sec. 5.3, table 5)
    prior: bool = False  # a first guess from visible body parts (`part_prior`); ours, not the paper's
    soft_parts: bool = False  # body parts that stage 1 predicts come as probabilities, not labels; ours
    own_share: float = 1.0  # with prior: factor of the network's own picture outside training; ours
    log_mse: float = 0.0  # logarithm of each case's squared error over the given invisible mask; ours


class RecoverySystem(Trainable):
    """A network that recovers pixels, with its guidance, losses (eq. 7) and predictions.

    Half of the training items get stage 1's predicted masks and parsing, the other half true ones. People
    without labels get pseudo-labels: stage 1's parsing of the unoccluded photo. Subclasses differ in `paint`
    and in the losses that they add.

    Args:
        settings: loss weights.
        network: what `paint` calls; it is trained, averaged and exported.
        stage1: a trained `MaskCompletionNet`; it stays frozen.
        discriminator: None: the PatchGAN of (picture, amodal mask) where the settings give it a weight.
    """

    helpers = ("stage1",)  # frozen networks, see `deocc.training.system.System`
    evaluated: GuidanceKind = "true"  # the guidance of an evaluation; see `predict`
    texture = 0.0  # share of visible detail that an evaluation adds, see `deocc.inference.texture`
    exemplar = False  # whether it copies patches instead, see `deocc.inference.exemplar`
    soft_parts = False  # whether predicted body parts come as probabilities, see `ContentSettings`

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
        self.discriminator = discriminator or make_adversary(settings.adversary)
        wanted = settings.features
        used = settings.perceptual or settings.style or settings.style_whole
        self.features = VGGFeatures(wanted.levels, wanted.source) if used else None

    def paint(self, batch: Batch, guidance: Guidance) -> list[Tensor]:
        """The network's pictures of a batch, N x 3 x H x W in [0, 1]: drafts, then the answer."""
        raise NotImplementedError

    def own_terms(self, painted: Tensor, guidance: Guidance, batch: Batch) -> dict[str, Tensor]:
        """Weighted terms that only this system has. Args: painted: the composite, N x 3 x H x W."""
        return {}

    def judged(self, picture: Tensor, batch: Batch, guidance: Guidance) -> Tensor:
        """The discriminator's input: the picture and the amodal mask."""
        return torch.cat([picture, guidance.amodal], 1)

    def to(self, device: torch.device) -> RecoverySystem:
        """Moves everything, stage 1 too, to a device."""
        self.stage1.to(device)
        super().to(device)
        return self

    # ---- guidance

    def _stage1(self, image: Tensor, initial: Tensor, photo_mask: Tensor, coarse: bool = False) -> Guidance:
        """Stage 1's answer in the form of the pipeline: masks cut at 1/2, parsing by argmax.

        coarse: labels at half resolution, as stage 1 computes them, repeated; faster.
        """
        logits = self.stage1(image, initial, photo_mask, half_parsing=coarse)
        modal, amodal = L.mask_probability(logits.modal) > 0.5, L.mask_probability(logits.amodal) > 0.5
        parsing = logits.parsing_modal, logits.parsing_amodal
        maps = [kind.argmax(1) for kind in parsing]
        if self.soft_parts:
            maps.append(torch.cat([parts_of_logits(kind, soft=True) for kind in parsing], 1))
        if maps[0].shape[-1] != image.shape[-1]:
            rows, columns = (torch.arange(n, device=image.device) // 2 for n in image.shape[-2:])
            maps = [kind[..., rows[:, None], columns] for kind in maps]
        maps = [kind * (photo_mask[:, 0] > 0 if kind.ndim == 3 else photo_mask) for kind in maps]
        return Guidance((modal * photo_mask), ((amodal | modal) * photo_mask), *maps)

    @torch.no_grad()
    def true_guidance(self, batch: Batch, coarse: bool = False) -> Guidance:
        """True masks and labels; pseudo-labels for people without (at half resolution if `coarse`)."""
        modal, amodal = batch["modal_mask"], batch["amodal_mask"]
        labels = batch["parsing_amodal"].clone()
        bare = ~batch["has_parsing"]
        if bare.any():
            whole = amodal[bare]  # on the unoccluded photo the whole person is the visible one
            found = self._stage1(batch["target"][bare], whole, batch["photo_mask"][bare], coarse)
            labels[bare] = found.parsing_amodal * (whole[:, 0] > 0)
        return Guidance(modal, amodal, labels * (modal[:, 0] > 0), labels)

    @torch.no_grad()
    def predicted_guidance(self, batch: Batch, coarse: bool = False) -> Guidance:
        """Stage 1's masks and parsing (at half resolution if `coarse`) from the occluded photo and M_i."""
        return self._stage1(batch["image"], batch["initial_mask"], batch["photo_mask"], coarse)

    @torch.no_grad()
    def seen_guidance(self, batch: Batch) -> Guidance:
        """True masks; body parts that stage 1 predicts from the occluded photo and the visible mask."""
        modal, amodal = batch["modal_mask"], batch["amodal_mask"]
        found = self._stage1(batch["image"], modal, batch["photo_mask"])
        labels = found.parsing_modal * (modal[:, 0] > 0), found.parsing_amodal * (amodal[:, 0] > 0)
        if found.odds is None:
            return Guidance(modal, amodal, *labels)
        parts_modal, parts_amodal = found.parts()
        return Guidance(modal, amodal, *labels, torch.cat([parts_modal * modal, parts_amodal * amodal], 1))

    def guidance(self, batch: Batch, kind: GuidanceKind) -> Guidance:
        """Masks and body parts of one kind. Raises: DeoccError: unknown kind."""
        kinds = {
            "predicted": self.predicted_guidance, "true": self.true_guidance, "seen": self.seen_guidance,
        }  # fmt: skip
        if kind not in kinds:
            raise DeoccError(f"guidance {kind!r} is unknown; choose from {', '.join(kinds)}")
        return kinds[kind](batch)

    @torch.no_grad()
    def training_guidance(self, batch: Batch) -> Guidance:
        """A mixture: predictions for a random share `settings.predicted` of the items, else the truth."""
        predicted = torch.rand(len(batch["image"])).to(batch["image"].device) < self.settings.predicted
        if predicted.all():
            return self.predicted_guidance(batch, True)
        if not predicted.any():
            return self.true_guidance(batch, True)
        first = self.predicted_guidance({name: value[predicted] for name, value in batch.items()}, True)
        second = self.true_guidance({name: value[~predicted] for name, value in batch.items()}, True)
        back = torch.cat([predicted.nonzero()[:, 0], (~predicted).nonzero()[:, 0]]).argsort()
        return joined_guidance(first, second, back)

    # ---- losses

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        """Weighted terms of eq. 7: L1, style (and perceptual), adversarial; drafts have L1 alone."""
        guidance = self.training_guidance(batch)
        hole = guidance.hole(batch["photo_mask"])
        *drafts, recovered = self.paint(batch, guidance)
        painted = L.composite(batch["image"], recovered, hole)
        # known pixels are the same in both, so that neither features nor adversary see the occluder's edge
        truth = L.composite(batch["image"], batch["target"], hole)
        terms = self._l1(recovered, painted, truth, guidance, batch)
        if drafts:
            sums = (self._l1(d, L.composite(batch["image"], d, hole), truth, guidance, batch) for d in drafts)
            terms["l1_draft"] = torch.stack([value for term in sums for value in term.values()]).sum()
        terms |= self._feature_terms(recovered, painted, truth, guidance, batch)
        terms |= self.own_terms(painted, guidance, batch)
        seen = (self.judged(picture, batch, guidance) for picture in (truth, painted))
        return terms | self._adversarial(*seen)

    def _l1(
        self, recovered: Tensor, painted: Tensor, truth: Tensor, guidance: Guidance, batch: Batch
    ) -> dict[str, Tensor]:
        s, photo_mask = self.settings, batch["photo_mask"]
        visible = guidance.modal * batch["modal_mask"] * photo_mask
        terms = {
            "l1_hole": s.l1_hole * L.region_l1(recovered, batch["target"], guidance.hole(photo_mask)),
            "l1_valid": s.l1_valid * L.region_l1(recovered, batch["target"], visible),
        }
        if s.l1_composite:
            terms["l1_composite"] = s.l1_composite * L.region_l1(painted, truth, guidance.amodal * photo_mask)
        return terms

    def _feature_terms(
        self, recovered: Tensor, painted: Tensor, truth: Tensor, guidance: Guidance, batch: Batch
    ) -> dict[str, Tensor]:
        s = self.settings
        if self.features is None or self.step % s.features.every:
            return {}
        hole = guidance.hole(batch["photo_mask"])
        inside = torch.maximum(guidance.modal * batch["modal_mask"] * batch["photo_mask"], hole)
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
    def predict(self, batch: Batch, kind: GuidanceKind = "predicted") -> Prediction:
        """Recovers a batch, end to end as in the paper, or from true masks.

        Args:
            batch: a Batch.
            kind: of the guidance, see `GuidanceKind`.

        Returns:
            Masks (N x 1 x H x W {0, 1}), parsing (N x H x W int64), and `recovered` N x 3 x H x W: the image
            outside the invisible mask, painted inside it.
        """
        self.network.eval()
        guidance = self.guidance(batch, kind)
        recovered = self.paint(batch, guidance)[-1]
        painted = L.composite(batch["image"], recovered, guidance.hole(batch["photo_mask"]))
        return {
            "modal_mask": guidance.modal,
            "amodal_mask": guidance.amodal,
            "parsing_modal": guidance.parsing_modal,
            "parsing_amodal": guidance.parsing_amodal,
            "recovered": painted,
        }


def new_network(settings: ContentSettings, size: int) -> ContentRecoveryNet:
    """An untrained network of stage 2. Args: size: input's side in pixels; it chooses the levels."""
    return ContentRecoveryNet(
        settings.width,
        attention=settings.attention,
        levels=encoder_levels(size),
        alpha=settings.alpha,
        prior=settings.prior,
        soft_parts=settings.soft_parts,
        own_share=settings.own_share,
    )


class ContentSystem(RecoverySystem):
    """Stage 2, parsing guided content recovery, trained as eq. 7 says.

    Args:
        settings: architecture and loss weights.
        size: input's side in pixels; chooses the levels.
        stage1: a trained `MaskCompletionNet`; it stays frozen.
        network: a trained network to evaluate; None: a new one, as the settings say.

    Differs from the paper: it takes its pseudo-labels from HRNet.
    Differs from the released code: the adversarial gradient reaches the network; there it is erased.
    """

    settings: ContentSettings

    def __init__(
        self, settings: ContentSettings, size: int, stage1: nn.Module, network: nn.Module | None = None
    ) -> None:
        super().__init__(settings, network or new_network(settings, size), stage1)
        self.soft_parts = settings.soft_parts

    def inputs(self, batch: Batch, guidance: Guidance) -> tuple[Tensor, ...]:
        """Image, M_v, M_a, P_m and P_a as `ContentRecoveryNet` takes them, in that order."""
        valid = batch["photo_mask"] - guidance.hole(batch["photo_mask"])
        return batch["image"], valid, guidance.amodal, *guidance.parts()

    def paint(self, batch: Batch, guidance: Guidance) -> list[Tensor]:
        """I_o of eq. 5, alone."""
        return [self.network(*self.inputs(batch, guidance))]

    def own_terms(self, painted: Tensor, guidance: Guidance, batch: Batch) -> dict[str, Tensor]:
        """PSNR as a loss, if the settings give it a weight."""
        if not self.settings.log_mse:
            return {}
        distance = L.region_log_mse(painted, batch["target"], guidance.hole(batch["photo_mask"]))
        return {"log_mse": self.settings.log_mse * distance}
