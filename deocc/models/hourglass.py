"""The hourglass: down to a grid where one cell covers the whole person, and back up."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from torch import Tensor, nn

from deocc.models.blocks import ConvNorm, ResidualBlock, upsample_to

GROWTH = (1, 1.5, 3, 6, 8)  # channels of each level in units of the width; deeper levels stay at 8


def level_widths(width: int, levels: int) -> list[int]:
    """Channels of each level, rounded up to multiples of 8 (vector units like them) below the first."""
    factors = [GROWTH[min(level, len(GROWTH) - 1)] for level in range(1, levels)]
    return [width, *(-int(-factor * width // 8) * 8 for factor in factors)]


class Hourglass(nn.Module):
    """One hourglass (Newell et al. 2016) whose channels grow with depth.

    Each level down halves the resolution by a residual block and has more channels (`GROWTH`); on the
    way up a 1x1 convolution reduces the coarser feature, which is added to the level's skip and
    refined by a 3x3 convolution. Completing a body is a global question, so depth is spent at the
    coarsest grid, where it costs little.

    Args:
        width: channels of input, output and first level.
        levels: resolutions; 5 takes a 64x64 feature down to 4x4.
        bottom: residual blocks at the coarsest level, beside the one that goes down to it.

    Differs from the paper: it stacks hourglasses of constant width (Newell et al.); ours grow, as in the
    U-Net-like hourglass of its parent (Zhan et al. 2020), which spends fewer operations at full resolution.
    """

    def __init__(self, width: int, levels: int = 5, bottom: int = 2) -> None:
        super().__init__()
        widths = level_widths(width, levels)
        pairs = list(itertools.pairwise(widths))
        self.down = nn.ModuleList(ResidualBlock(fine, coarse, stride=2) for fine, coarse in pairs)
        self.bottom = nn.Sequential(*(ResidualBlock(widths[-1], widths[-1]) for _ in range(bottom)))
        self.reduce = nn.ModuleList(
            nn.Sequential(nn.Conv2d(coarse, fine, 1, bias=False), nn.BatchNorm2d(fine))
            for fine, coarse in pairs
        )
        self.up = nn.ModuleList(ConvNorm(fine, fine) for fine, _ in pairs)

    def forward(self, x: Tensor, laterals: Sequence[Tensor | None] = ()) -> Tensor:
        """Maps N x width x H x W to the same shape; H and W of any size from 2 on.

        Args:
            x: the input.
            laterals: for each level from the finest on, a feature with that level's channels that is added
                where the level begins (resized where a size is odd), or None.
        """
        x, skips = _joined(x, laterals, 0), []
        for level, down in enumerate(self.down, start=1):
            skips.append(x)
            x = _joined(down(x), laterals, level)  # N x widths[level] x H/2^level x W/2^level
        x = self.bottom(x)
        for reduce, up, skip in zip(reversed(self.reduce), reversed(self.up), reversed(skips), strict=True):
            x = up(skip + upsample_to(reduce(x), skip, mode="nearest"))
        return x


def _joined(x: Tensor, laterals: Sequence[Tensor | None], level: int) -> Tensor:
    """A level's feature plus the lateral feature of that level."""
    lateral = laterals[level] if level < len(laterals) else None
    return x if lateral is None else x + upsample_to(lateral, x)
