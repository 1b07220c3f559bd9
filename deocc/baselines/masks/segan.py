"""SeGAN's segmentor (Ehsani et al. 2018): residual blocks, then a fully connected layer draws the mask."""

from __future__ import annotations

import itertools

import torch
from torch import Tensor, nn

from deocc.baselines.masks.completion import MaskNetwork, full_size
from deocc.models.blocks import ConvNorm, ResidualBlock

GRID = 4  # cells a side that the fully connected layer reads


class SeGAN(MaskNetwork):
    """From (image, visible mask) to the whole person's mask; M_i passes through for M_m.

    The original's: four input channels, ResNet-18 down to stride 32, one fully connected layer to a coarse
    square mask (58 x 58), a cross-entropy that weighs the hidden region more; its adversary belongs to the
    painter, not to the segmentor. Adapted: narrower and without ImageNet weights (those of a ResNet-18 are
    not available offline), a channel for the photo's extent, the preset's region weights; M_i, wrong in
    places, for the true visible mask.

    Args:
        width: channels of the first stage (64 in the original).
        side: of the mask that the fully connected layer draws.
    """

    def __init__(self, width: int = 24, side: int = 48) -> None:
        super().__init__()
        self.config = {"width": width, "side": side}
        widths = (width, width, 2 * width, 4 * width, 8 * width)
        stages = [
            nn.Sequential(ResidualBlock(narrow, wide, 1 if k == 0 else 2), ResidualBlock(wide, wide))
            for k, (narrow, wide) in enumerate(itertools.pairwise(widths))
        ]
        self.features = nn.Sequential(
            ConvNorm(5, width, 2), nn.MaxPool2d(3, 2, 1), *stages, nn.AdaptiveAvgPool2d(GRID)
        )
        self.draw = nn.Linear(widths[-1] * GRID**2, side**2)
        self.side = side

    def complete(self, image: Tensor, initial_mask: Tensor, photo_mask: Tensor) -> tuple[Tensor, None]:
        """See `MaskNetwork.complete`."""
        found = self.features(torch.cat([image - 0.5, initial_mask, photo_mask], 1))  # N x 8w x 4 x 4
        drawn = self.draw(found.flatten(1)).reshape(-1, 1, self.side, self.side)
        return full_size(drawn, image), None
