"""Pix2Pix (Isola et al. 2017) as a painter: a U-Net translates the emptied photo into a whole one."""

from __future__ import annotations

import torch
from torch import Tensor

from deocc.baselines.masks.pix2pix import TranslationUNet
from deocc.baselines.pixels.painting import Painter


class Pix2PixPainter(Painter):
    """U-Net of 4x4 convolutions from (emptied photo, hole, M_a) to the picture.

    The original's: the U-Net with dropout in its innermost levels, a PatchGAN that sees input and output, L1
    at a hundred times its weight. Adapted: hole and M_a as two more input channels; the adversary sees the
    composite (outside the person's hole there is no truth to translate to: the occluder stays); L1 by region
    with the preset's weights. Dropout acts in training only (the original keeps it, as its noise).

    Args:
        width: channels of the first level (64 in the original).
        levels: halvings of the resolution.
    """

    def __init__(self, width: int = 32, levels: int = 6) -> None:
        super().__init__()
        self.config = {"width": width, "levels": levels}
        self.net = TranslationUNet(5, 3, width, levels)

    def draw(self, image: Tensor, hole: Tensor, amodal_mask: Tensor) -> list[Tensor]:
        """See `Painter.draw`."""
        return [self.net(torch.cat([image - 0.5, hole, amodal_mask], 1)).sigmoid()]
