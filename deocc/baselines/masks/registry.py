"""The trained mask baselines of table 2 by name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from torch import nn

from deocc.baselines.masks.completion import BaselineSettings, MaskBaseline, settings_from
from deocc.baselines.masks.deeplab import DeepLab
from deocc.baselines.masks.maskrcnn import MaskRCNN, MaskRCNNSystem
from deocc.baselines.masks.ovsr import OVSR, SilhouetteJudges
from deocc.baselines.masks.pcnets import PCNetM
from deocc.baselines.masks.pix2pix import Pix2Pix
from deocc.baselines.masks.segan import SeGAN
from deocc.baselines.masks.transformer import PromptTransformer
from deocc.models import encoder_levels
from deocc.training.mask import MaskSettings

NETWORKS: dict[str, type[nn.Module]] = {
    cls.__name__: cls for cls in (DeepLab, MaskRCNN, OVSR, PCNetM, Pix2Pix, SeGAN, PromptTransformer)
}
"""For `deocc.models.load_weights(path, classes=...)`."""


@dataclass(frozen=True)
class MaskBaselineRecipe:
    """One row of table 2.

    Attributes:
        widths: of the network at preset tiny, small and paper: at small a training step takes 20 to 49 ms
            of one CPU thread an image (ours 32 without its pretrained trunk, 70 with it); paper is the
            original's width. Pix2Pix has at most six levels there, two fewer than its original.
        build: (settings, input's side) -> system.
        own: fields of `BaselineSettings` that are not those of all systems.
        pretrained: its original starts from ImageNet; so does it, but at preset tiny.
        adversary: weight of its adversarial term; rhythm and kind are the preset's.
        version: counts changes of the code that change results.
    """

    widths: tuple[int, int, int]
    build: Callable[[BaselineSettings, int], MaskBaseline]
    own: dict[str, Any]
    pretrained: bool = False
    adversary: float = 0.0
    version: int = 1

    def settings(self, preset: str, ours: MaskSettings) -> BaselineSettings:
        """Settings at a preset, with the pixel weights that the preset gives our own network."""
        place = ("tiny", "small", "paper").index(preset)
        own = dict(self.own) | {"width": self.widths[place]}
        own["trunk"] = "lite0" if self.pretrained and place else "plain"
        if self.adversary:
            own["adversary"] = replace(ours.adversary, weight=self.adversary)
        return settings_from(ours, **own)


def _deeplab(s: BaselineSettings, size: int) -> MaskBaseline:
    return MaskBaseline(s, DeepLab(s.width, s.trunk, pretrained=True))


def _pix2pix(s: BaselineSettings, size: int) -> MaskBaseline:
    return MaskBaseline(s, Pix2Pix(s.width, min(6, encoder_levels(size))))


def _ovsr(s: BaselineSettings, size: int) -> MaskBaseline:
    return MaskBaseline(s, OVSR(s.width), SilhouetteJudges(s.adversary.width))


def _transformer(s: BaselineSettings, size: int) -> MaskBaseline:
    return MaskBaseline(s, PromptTransformer(s.width, trunk=s.trunk, pretrained=True))


MASK_BASELINES: dict[str, MaskBaselineRecipe] = {
    "mask/maskrcnn": MaskBaselineRecipe(
        (16, 64, 256), lambda s, size: MaskRCNNSystem(s), {"modal": True}, pretrained=True
    ),
    "mask/deeplab": MaskBaselineRecipe((16, 96, 256), _deeplab, {"modal": True}, pretrained=True),
    # the original: L1 a hundred times the adversary's weight
    "mask/pix2pix": MaskBaselineRecipe((8, 32, 64), _pix2pix, {"l1": 1.0}, adversary=0.01),
    "mask/segan": MaskBaselineRecipe((8, 40, 64), lambda s, size: MaskBaseline(s, SeGAN(s.width)), {}),
    "mask/ovsr": MaskBaselineRecipe((8, 16, 64), _ovsr, {}, adversary=0.01),
    # the original counts the erased region five times
    "mask/pcnets": MaskBaselineRecipe(
        (4, 12, 64), lambda s, size: MaskBaseline(s, PCNetM(s.width)), {"invisible_extra": 4.0}
    ),
    "mask/transformer": MaskBaselineRecipe((16, 64, 128), _transformer, {"modal": True}, pretrained=True),
}
