"""The painter: stage 2 trained to paint one likely picture, not the mean of many.

Unlike `ContentSystem`, the network paints the whole hole (`PaintingHead`). Its guidance comes from packs
(`deocc.training.packed`), from a stage 1 that was not trained on the person, as labels with sharp borders. An
L1 loss after a blur trains colours; features, style and an adversary that knows the parts train the rest.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from deocc.errors import DeoccError
from deocc.labels import NUM_PARTS, parsing_onehot
from deocc.models import ContentRecoveryNet, encoder_levels
from deocc.models.discriminator import ScaledPatchDiscriminators
from deocc.occlusion.batch import Batch
from deocc.training import losses as L
from deocc.training.content import ContentSettings, ContentSystem
from deocc.training.guidance import Guidance
from deocc.training.settings import AdversarySettings, FeatureSettings
from deocc.training.system import frozen


@dataclass(frozen=True)
class PainterSettings(ContentSettings):
    """Architecture and losses of the painter."""

    width: int = 16
    soft_parts: bool = False
    rim: int = 3  # visible pixels within this distance of the hole do not count as evidence
    same_part: float = 4.0  # of stream T, see ParsingGuidedAttention
    l1_hole: float = 0.4
    l1_valid: float = 0.2
    colour: float = 2.0  # L1 after a blur, see `blurred_l1`
    perceptual: float = 1.0
    style: float = 2.5
    matching: float = 2.0  # L1 of the adversary's features
    recolour: float = 0.25  # share of items whose hidden parts' mean colours are given
    window: int = 96  # side of the window of an item that is trained on, pixels
    crop: int = 96  # side of the window that the adversary sees, pixels
    scales: int = 2  # PatchGANs
    half_features: bool = True  # VGG computes in bf16
    features: FeatureSettings = FeatureSettings(levels=(1, 2, 3), every=2, size=96)
    adversary: AdversarySettings = AdversarySettings(weight=0.5, width=32, kind="hinge")

    def __post_init__(self) -> None:
        super().__post_init__()
        fixed = {"kind": "hinge", "every": 1}
        for name, value in fixed.items():
            if getattr(self.adversary, name) != value:
                raise DeoccError(
                    f"adversary.{name} is {getattr(self.adversary, name)!r}; the painter has {value!r}"
                )
        if not self.adversary.weight:
            raise DeoccError("adversary.weight is 0; the painter is trained with its adversary: give more")


def blurred_l1(image: Tensor, target: Tensor, region: Tensor, cell: int = 8) -> Tensor:
    """Mean absolute difference of the mean colours of cells, within a region.

    Args:
        image, target: N x 3 x H x W.
        region: N x 1 x H x W {0, 1}.
        cell: side of a cell, pixels; cells overlap by half.
    """
    share = F.avg_pool2d(region, cell, cell // 2)
    difference = F.avg_pool2d((image - target).float() * region, cell, cell // 2)
    return L.weighted_mean((difference / share.clamp_min(1e-3)).abs(), share)


def hidden_part_shift(guess: Tensor, target: Tensor, parts: Tensor, region: Tensor) -> Tensor:
    """The shift that turns a guess's mean colour of every body part in a region into the target's.

    Args:
        guess, target: N x 3 x H x W.
        parts: N x 19 x H x W {0, 1}.
        region: N x 1 x H x W {0, 1}.

    Returns:
        N x 3 x H x W, constant on a part, 0 where a part has no pixel in the region.
    """
    inside = parts * region  # N x P x H x W
    sums = torch.einsum("nphw,nchw->npc", inside, target - guess)
    means = sums / inside.sum((2, 3))[..., None].clamp_min(1)
    return torch.einsum("nphw,npc->nchw", parts, means)


class PainterSystem(ContentSystem):
    """The painter and its adversary; see the module's docstring.

    Batches hold `guidance_modal`, `guidance_amodal` and `guidance_parsing`, see
    `deocc.training.packed.PackedItems`.

    Args:
        settings: architecture and loss weights.
        size: input's side in pixels.

    Differs from the paper: as the module's docstring says. The kinds of losses are those of eq. 7.
    """

    helpers = ()  # type: ignore[assignment]
    settings: PainterSettings

    def __init__(self, settings: PainterSettings, size: int) -> None:
        network = ContentRecoveryNet(
            settings.width,
            attention=settings.attention,
            levels=encoder_levels(size),
            alpha=settings.alpha,
            whole=True,
            rim=settings.rim,
            same_part=settings.same_part,
        )
        super().__init__(settings, size, nn.Identity(), network)
        judged = 3 + 1 + NUM_PARTS
        self.discriminator = ScaledPatchDiscriminators(judged, settings.adversary.width, settings.scales)

    def training_guidance(self, batch: Batch) -> Guidance:
        """The guidance of the pack."""
        photo_mask = batch["photo_mask"]
        modal, amodal = batch["guidance_modal"] * photo_mask, batch["guidance_amodal"] * photo_mask
        labels = batch["guidance_parsing"]
        visible, whole = labels * (modal[:, 0] > 0), labels * (amodal[:, 0] > 0)
        return Guidance(modal, amodal, visible, whole)

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        """Weighted terms of eq. 7, and the painter's own, in a window around part of each hole."""
        s, guidance = self.settings, self.training_guidance(batch)
        guess = self._first_guess(batch, guidance)
        batch, guidance, guess = self._window(batch, guidance, guess)
        hole = guidance.hole(batch["photo_mask"])
        inside = hole * batch["amodal_mask"]  # where the truth shows the person
        recovered = self.network(*self.inputs(batch, guidance), guess=guess)
        painted = L.composite(batch["image"], recovered, hole)
        truth = L.composite(batch["image"], batch["target"], hole)
        visible = guidance.modal * batch["modal_mask"] * batch["photo_mask"]
        terms = {
            "l1_hole": s.l1_hole * L.region_l1(recovered, batch["target"], inside),
            "l1_valid": s.l1_valid * L.region_l1(recovered, batch["target"], visible),
            "colour": s.colour * blurred_l1(recovered, batch["target"], inside),
        }
        with torch.autocast(hole.device.type, torch.bfloat16, enabled=s.half_features):
            terms |= self._feature_terms(recovered, painted, truth, guidance, batch)
        return terms | self._adversarial_terms(truth, painted, guidance, hole)

    @torch.no_grad()
    def _first_guess(self, batch: Batch, guidance: Guidance) -> tuple[Tensor, Tensor]:
        """The guess and its evidence; for some items, with the true mean colours of hidden parts."""
        image, valid, amodal, *parts = self.inputs(batch, guidance)
        bare: Any = getattr(self.network, "module", self.network)
        guess, sure = bare.first_guess(image, valid, amodal, *parts)
        chosen = torch.rand(len(image), device=image.device) < self.settings.recolour
        if not chosen.any():
            return guess, sure
        hole = guidance.hole(batch["photo_mask"])
        chosen = chosen.float()[:, None, None, None] * hole
        shift = hidden_part_shift(guess, batch["target"], parts[1], hole * batch["amodal_mask"])
        return (guess + shift * chosen).clamp(0, 1), torch.maximum(sure, chosen)

    def _window(
        self, batch: Batch, guidance: Guidance, guess: tuple[Tensor, Tensor]
    ) -> tuple[Batch, Guidance, tuple[Tensor, Tensor]]:
        """Everything cut to a window of `settings.window` pixels around a random pixel of the hole."""
        size, side = self.settings.window, batch["photo_mask"].shape[-1]
        if size >= side:
            return batch, guidance, guess
        chance = torch.rand_like(batch["photo_mask"]) * (0.01 + guidance.hole(batch["photo_mask"]))
        places = chance.flatten(1).argmax(1)
        corners = [
            (
                min(max(at // side - size // 2, 0), side - size),
                min(max(at % side - size // 2, 0), side - size),
            )
            for at in places.tolist()
        ]

        def cut(maps: Tensor) -> Tensor:
            return torch.stack(
                [m[..., y : y + size, x : x + size] for m, (y, x) in zip(maps, corners, strict=True)]
            )

        cropped = {name: cut(maps) if maps.ndim > 1 else maps for name, maps in batch.items()}
        return cropped, Guidance(*(cut(maps) for maps in guidance[:4])), (cut(guess[0]), cut(guess[1]))

    def _adversarial_terms(
        self, truth: Tensor, painted: Tensor, guidance: Guidance, hole: Tensor
    ) -> dict[str, Tensor]:
        """Hinge loss over patches that the hole reaches, and the distance of the adversary's features."""
        s = self.settings
        self._real = self._fake = None
        if not self._adversary_due():
            return {}
        about = torch.cat([guidance.amodal, parsing_onehot(guidance.parsing_amodal), hole], 1)
        real, fake, about = L.hole_crops([truth, painted, about], hole, s.crop)
        about, self._hole = about[:, :-1], about[:, -1:]
        self._real, self._fake = torch.cat([real, about], 1).detach(), torch.cat([fake, about], 1).detach()
        bare: Any = getattr(self.discriminator, "module", self.discriminator)
        with frozen(bare) as judge:
            answers = judge(torch.cat([fake, about], 1))
            with torch.no_grad():
                goals = judge(self._real)
        asked = [L.weighted_mean(-logits, self._share(logits)) for _, logits in answers]
        terms = {"adversarial": s.adversary.weight * torch.stack(asked).mean()}
        if s.matching:
            pairs = zip(answers, goals, strict=True)
            distances = [
                L.weighted_mean((a - b).abs(), self._share(a))
                for found, goal in pairs
                for a, b in zip(found[0], goal[0], strict=True)
            ]
            terms["matching"] = s.matching * torch.stack(distances).mean()
        return terms

    def _share(self, maps: Tensor) -> Tensor:
        """1 where the hole reaches a patch, else 0; N x 1 x h x w."""
        return F.adaptive_max_pool2d(self._hole, maps.shape[-2:])

    def discriminator_losses(self, batch: Batch) -> dict[str, Tensor]:
        """Hinge loss on the pictures of the last `losses` call, over patches that the hole reaches."""
        if self._real is None or self._fake is None:
            return {}
        assert self.discriminator is not None
        terms = []
        for _, logits in self.discriminator(torch.cat([self._real, self._fake])):
            real, fake = logits.chunk(2)
            share = self._share(real)
            terms.append(L.weighted_mean(F.relu(1 - real), share) + L.weighted_mean(F.relu(1 + fake), share))
        return {"discriminator": 0.5 * torch.stack(terms).mean()}
