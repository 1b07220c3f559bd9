"""The trained painting baselines of table 3 by name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from torch import nn

from deocc.baselines.pixels.deepfill import DeepFill, SNPatchDiscriminator
from deocc.baselines.pixels.ovsr import OVSRPainter
from deocc.baselines.pixels.painting import PaintingSystem
from deocc.baselines.pixels.pcnets import PCNetC, PCNetCSystem
from deocc.baselines.pixels.pix2pix import Pix2PixPainter
from deocc.baselines.pixels.segan import SeGANPainter
from deocc.models import PatchDiscriminator, encoder_levels
from deocc.training.content import RecoverySettings

NETWORKS: dict[str, type[nn.Module]] = {
    cls.__name__: cls for cls in (DeepFill, OVSRPainter, PCNetC, Pix2PixPainter, SeGANPainter)
}
"""For `deocc.models.load_weights(path, classes=...)`."""

Build = Callable[[RecoverySettings, int, nn.Module], PaintingSystem]


@dataclass(frozen=True)
class PainterRecipe:
    """One row of table 3.

    Attributes:
        widths: of the network at preset tiny, small and paper: small costs a training step about as long as
            ours, paper is the original's width. Pix2Pix and SeGAN have at most six levels there, two fewer
            than their originals' U-Net.
        build: (settings, input's side, stage 1) -> system.
        terms: names of the preset's losses beside both L1 that its original has: "perceptual", "style".
        adversary: fields of `AdversarySettings` that are its own; weight and rhythm are the preset's.
        version: counts changes of the code that change results.
    """

    widths: tuple[int, int, int]
    build: Build
    terms: tuple[str, ...] = ()
    adversary: tuple[tuple[str, Any], ...] = ()
    version: int = 1

    def settings(self, preset: str, ours: RecoverySettings) -> RecoverySettings:
        """Settings at a preset: L1 weights, feature terms, rhythm and share of predicted masks are ours'."""
        return RecoverySettings(
            width=self.widths[("tiny", "small", "paper").index(preset)],
            predicted=ours.predicted, l1_hole=ours.l1_hole, l1_valid=ours.l1_valid,
            l1_composite=ours.l1_composite,
            perceptual=ours.perceptual if "perceptual" in self.terms else 0.0,
            style=ours.style if "style" in self.terms else 0.0,
            style_whole=ours.style_whole if "style" in self.terms else 0.0,
            features=ours.features, adversary=replace(ours.adversary, **dict(self.adversary)),
        )  # fmt: skip


def _deepfill(s: RecoverySettings, size: int, stage1: nn.Module) -> PaintingSystem:
    judge = SNPatchDiscriminator(8, s.adversary.width) if s.adversary.weight else None
    return PaintingSystem(s, DeepFill(s.width, 4 if size > 128 else 8), stage1, judge, conditional=True)


def _conditional(s: RecoverySettings, network: nn.Module, stage1: nn.Module) -> PaintingSystem:
    """A painter whose PatchGAN sees the network's input too."""
    judge = PatchDiscriminator(8, s.adversary.width) if s.adversary.weight else None
    return PaintingSystem(s, network, stage1, judge, conditional=True)


def _levels(size: int) -> int:
    return min(6, encoder_levels(size))


PAINTERS: dict[str, PainterRecipe] = {
    "content/deepfill": PainterRecipe((16, 32, 96), _deepfill, (), (("kind", "hinge"),)),
    "content/pix2pix": PainterRecipe(
        (8, 32, 64), lambda s, size, one: _conditional(s, Pix2PixPainter(s.width, _levels(size)), one)
    ),
    "content/segan": PainterRecipe(
        (8, 32, 64),
        lambda s, size, one: _conditional(s, SeGANPainter(s.width, _levels(size)), one),
        (),
        (("kind", "bce"),),
    ),
    "content/ovsr": PainterRecipe(
        (8, 16, 64), lambda s, size, one: PaintingSystem(s, OVSRPainter(s.width), one), ("perceptual",)
    ),
    "content/pcnets": PainterRecipe(
        (8, 16, 64),
        lambda s, size, one: PCNetCSystem(s, PCNetC(s.width, encoder_levels(size)), one),
        ("perceptual", "style"),
    ),
}
