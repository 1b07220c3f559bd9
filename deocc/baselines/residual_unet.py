"""The encoder-decoder of both OVSR baselines."""

from __future__ import annotations

import itertools

import torch
from torch import Tensor, nn

from deocc.models.blocks import ConvNorm, ResidualBlock, upsample_to


class ResidualUNet(nn.Module):
    """Residual blocks from 1/2 down to 1/16 of the resolution and up again, with skips.

    Args:
        inputs: channels.
        width: channels at half resolution.
    """

    def __init__(self, inputs: int, width: int) -> None:
        super().__init__()
        widths = (width, 2 * width, 4 * width, 8 * width)
        pairs = list(itertools.pairwise(widths))
        self.stem = ConvNorm(inputs, width, 2)
        self.down = nn.ModuleList(ResidualBlock(fine, coarse, 2) for fine, coarse in pairs)
        self.middle = nn.Sequential(*(ResidualBlock(widths[-1], widths[-1]) for _ in range(2)))
        self.up = nn.ModuleList(ConvNorm(fine + coarse, fine) for fine, coarse in pairs)

    def decoded(self, x: Tensor) -> Tensor:
        """N x inputs x H x W -> N x width x H/2 x W/2."""
        x, skips = self.stem(x), []  # N x w x H/2 x W/2
        for layer in self.down:
            skips.append(x)
            x = layer(x)
        x = self.middle(x)  # N x 8w x H/16 x W/16
        for layer in reversed(self.up):
            skip = skips.pop()
            x = layer(torch.cat([skip, upsample_to(x, skip)], 1))
        return x
