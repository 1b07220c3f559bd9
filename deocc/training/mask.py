"""Training of stage 1: refined mask completion (eq. 1 to 4, Sec. 3.2)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from deocc.checks import ANY, check_config
from deocc.models import MaskCompletionNet, MaskLogits
from deocc.models.features import VGGFeatures
from deocc.occlusion.batch import Batch
from deocc.training import losses as L
from deocc.training.settings import AdversarySettings, FeatureSettings
from deocc.training.system import Prediction
from deocc.training.trainable import Trainable, make_adversary


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
    balance_parts: float = 0.0  # power of rarity by which rare body parts count more; ours
    half_parsing: bool = False  # compares parsing at half resolution, a fifth cheaper
    invisible_extra: float = 0.0  # invisible pixels count 1 + this in the cross-entropy of M_a
    error_extra: float = 0.0  # pixels where M_i is wrong count 1 + this in both masks' cross-entropy
    l1: float = 0.1  # L1 of L_rec, on M_m and M_a
    perceptual: float = 0.1  # perceptual part of L_rec, on M_a
    soft_iou: float = 0.0  # 1 - soft IoU of M_a, M_inv and M_m; ours, not the paper's
    given_logit: float = 0.0  # M_i is added to M_m's logits with a learned weight that starts here; ours
    trunk_start: float = 0.0  # weight with which a trunk's features enter at first; ours
    feedback: float = 0.0  # share of items whose M_i is the network's own earlier visible mask; ours
    features: FeatureSettings = FeatureSettings()
    adversary: AdversarySettings = AdversarySettings()

    def __post_init__(self) -> None:
        weights = ("ce", "ce_parsing", "invisible_extra", "error_extra", "l1", "perceptual", "soft_iou",
                   "given_logit", "trunk_start")  # fmt: skip
        ranges: dict[str, tuple[float, float]] = dict.fromkeys(weights, (0, ANY))
        sizes = {"width": (1, 4096), "levels": (1, 8), "stride": (2, 4), "templates": (0, 65536)}
        more = {"template_size": (1, 4096), "template_samples": (1, ANY), "temperature": (1e-6, ANY)}
        check_config(self, "settings of stage 1", ranges | sizes | more | {"feedback": (0, 1)})


def new_network(settings: MaskSettings, templates: Tensor | None = None) -> MaskCompletionNet:
    """An untrained network of stage 1. Args: templates: K x S x S in [0, 1], or None."""
    network = MaskCompletionNet(
        settings.width,
        templates=templates if settings.templates else None,
        modal=settings.modal,
        parsing=settings.parsing,
        temperature=settings.temperature,
        levels=settings.levels,
        stride=settings.stride,
        trunk=settings.trunk,
        pretrained=bool(settings.trunk),
        given_logit=settings.given_logit,
    )
    if settings.trunk and settings.trunk_start:
        for norm in network.lateral_norms():
            nn.init.constant_(norm.weight, settings.trunk_start)
    return network


class MaskSystem(Trainable):
    """Stage 1, refined mask completion, trained as eq. 3 and 4 say.

    Args:
        settings: architecture and loss weights.
        templates: K x S x S in [0, 1] from `deocc.training.templates`, or None.
        network: maps (image, M_i, photo_mask) to `MaskLogits`; None: a new one, as the settings say.
        discriminator: None: the PatchGAN of (image, mask), if the settings give the adversary a weight.

    Differs from the released code: soft masks in L1, perceptual and adversarial terms (there: argmax
    masks without gradient, and a discriminator whose loss never reaches the network).
    """

    def __init__(
        self,
        settings: MaskSettings,
        templates: Tensor | None = None,
        network: nn.Module | None = None,
        discriminator: nn.Module | None = None,
    ) -> None:
        super().__init__()
        self.settings, self.adversary = settings, settings.adversary
        self.network = network or new_network(settings, templates)
        self.discriminator = discriminator or make_adversary(settings.adversary)
        wanted = settings.features
        self.features = VGGFeatures(wanted.levels, wanted.source) if settings.perceptual else None

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        """Weighted terms of eq. 4: cross-entropies, L_rec, adversarial, and our soft IoU."""
        batch = self._with_feedback(batch)
        given = batch["image"], batch["initial_mask"], batch["photo_mask"]
        logits = self.network(*given, half_parsing=self.settings.half_parsing)
        amodal = L.mask_probability(logits.amodal)
        terms = self._cross_entropies(logits, batch) | self._reconstruction(logits, amodal, batch)
        seen = [batch["image"], batch["amodal_mask"] * batch["photo_mask"]]
        pair = torch.cat(seen, 1), torch.cat([seen[0], amodal * batch["photo_mask"]], 1)
        return terms | self._adversarial(*pair)

    def _with_feedback(self, batch: Batch) -> Batch:
        """The batch; a random share of the items has the network's own visible mask as M_i."""
        picked = torch.rand(len(batch["image"])) < self.settings.feedback if self.settings.feedback else None
        if picked is None or not picked.any():
            return batch
        asked = {name: batch[name][picked] for name in ("image", "initial_mask", "photo_mask")}
        bare = getattr(self.network, "module", self.network)  # processes pick different items, or none
        bare.eval()
        with torch.no_grad():
            logits = bare(*asked.values(), half_parsing=True)
        bare.train()
        found = (L.mask_probability(logits.modal) > 0.5).to(asked["photo_mask"].dtype) * asked["photo_mask"]
        initial = batch["initial_mask"].clone()
        empty = found.sum((1, 2, 3), keepdim=True) == 0  # nobody found: keep M_i
        initial[picked] = torch.where(empty, asked["initial_mask"], found)
        return {**batch, "initial_mask": initial}

    def _cross_entropies(self, logits: MaskLogits, batch: Batch) -> dict[str, Tensor]:
        s, photo_mask = self.settings, batch["photo_mask"]
        wrong = L.region_weight(
            photo_mask, (batch["initial_mask"] != batch["modal_mask"]).float(), s.error_extra
        )
        weight = L.region_weight(wrong, invisible_mask(batch), s.invisible_extra)
        terms = {"ce_amodal": s.ce * L.mask_cross_entropy(logits.amodal, batch["amodal_mask"], weight)}
        if s.modal:
            terms["ce_modal"] = s.ce * L.mask_cross_entropy(logits.modal, batch["modal_mask"], wrong)
        for name in ("parsing_modal", "parsing_amodal"):
            predicted = getattr(logits, name)
            if predicted is not None and s.ce_parsing:
                sides, balance = batch["true_sides"], s.balance_parts
                ce = L.parsing_cross_entropy(predicted, batch[name], photo_mask, sides, balance)
                terms[f"ce_{name}"] = s.ce_parsing * ce
        return terms

    def _reconstruction(self, logits: MaskLogits, amodal: Tensor, batch: Batch) -> dict[str, Tensor]:
        s, photo_mask, truth = self.settings, batch["photo_mask"], batch["amodal_mask"]
        modal = L.mask_probability(logits.modal)
        terms = {}
        if s.l1:
            l1 = L.mask_l1(amodal, truth, photo_mask)
            l1 = l1 + L.mask_l1(modal, batch["modal_mask"], photo_mask) if s.modal else l1
            terms["l1"] = s.l1 * l1
        if s.soft_iou:
            hidden = L.soft_iou_loss(amodal * (1 - modal), invisible_mask(batch), photo_mask)
            whole = L.soft_iou_loss(amodal, truth, photo_mask)
            seen = L.soft_iou_loss(modal, batch["modal_mask"], photo_mask) if s.modal else 0.0
            terms["soft_iou"] = s.soft_iou * (whole + hidden + seen)
        if self.features is not None and self.step % s.features.every == 0:
            distance = L.mask_perceptual(self.features, amodal, truth, photo_mask, s.features.size)
            terms["perceptual"] = s.perceptual * s.features.every * distance
        return terms

    @torch.no_grad()
    def predict(self, batch: Batch) -> Prediction:
        """Probabilities of both masks (N x 1 x H x W, 0 outside the photo), parsing (N x H x W int64)."""
        self.network.eval()
        logits = self.network(batch["image"], batch["initial_mask"], batch["photo_mask"])
        odds = {"modal_mask": logits.modal, "amodal_mask": logits.amodal}
        masks = {name: L.mask_probability(value) * batch["photo_mask"] for name, value in odds.items()}
        if not self.settings.modal:
            masks["modal_mask"] = batch["initial_mask"]  # M_i itself stands in
        parts = {"parsing_modal": logits.parsing_modal, "parsing_amodal": logits.parsing_amodal}
        return masks | {name: part.argmax(1) for name, part in parts.items() if part is not None}


def invisible_mask(batch: Batch) -> Tensor:
    """M_inv = M_a and not M_m, N x 1 x H x W {0, 1}."""
    return batch["amodal_mask"] * (1 - batch["modal_mask"])
