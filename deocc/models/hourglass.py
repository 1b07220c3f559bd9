"""The hourglass: down to a coarse grid where one cell sees the whole person, and back up."""

from __future__ import annotations

from torch import Tensor, nn

from .blocks import ResidualBlock, upsample_to


class Hourglass(nn.Module):
    """One hourglass (Newell et al. 2016) whose channels grow with depth.

    Each level down halves the resolution and doubles the channels, up to `growth` x width; on the
    way up a 1x1 convolution reduces the coarser feature, which is added to the level's skip and
    refined by a residual block. Completing a body is a global question, so depth is spent at the
    coarsest grid, where it costs little.

    Args:
        width: channels of input, output and first level.
        levels: resolutions; 5 takes a 64x64 feature down to 4x4.
        growth: the widest level has growth x width channels.
        bottom: residual blocks at the coarsest level, beside the one that goes down to it.

    Differs from the paper: it stacks hourglasses of constant width (Newell et al.); ours grow, as in the
    U-Net-like hourglass of its parent (Zhan et al. 2020), which spends fewer operations at full resolution.
    """

    def __init__(self, width: int, levels: int = 5, growth: int = 8, bottom: int = 2) -> None:
        super().__init__()
        widths = [width * min(2**level, growth) for level in range(levels)]
        pairs = list(zip(widths[:-1], widths[1:], strict=True))
        self.down = nn.ModuleList(ResidualBlock(fine, coarse, stride=2) for fine, coarse in pairs)
        self.bottom = nn.Sequential(*(ResidualBlock(widths[-1], widths[-1]) for _ in range(bottom)))
        self.reduce = nn.ModuleList(
            nn.Sequential(nn.Conv2d(coarse, fine, 1, bias=False), nn.BatchNorm2d(fine)) for fine, coarse in pairs
        )
        self.up = nn.ModuleList(ResidualBlock(fine, fine) for fine, _ in pairs)

    def forward(self, x: Tensor) -> Tensor:
        """Maps N x width x H x W to the same shape; H and W of any size from 2 on."""
        skips = []
        for down in self.down:
            skips.append(x)
            x = down(x)  # N x widths[level+1] x H/2^(level+1) x W/2^(level+1)
        x = self.bottom(x)
        for reduce, up, skip in zip(reversed(self.reduce), reversed(self.up), reversed(skips), strict=True):
            x = up(skip + upsample_to(reduce(x), skip, mode="nearest"))
        return x
