"""PCNet-M (Zhan et al. 2020), the paper's parent: a plain U-Net completes the mask."""

from __future__ import annotations

import itertools

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from deocc.baselines.masks.completion import MaskNetwork
from deocc.models.blocks import ConvNorm, upsample_to


class PCNetM(MaskNetwork):
    """U-Net from (M_i, image) to the whole person's mask; M_i passes through for M_m.

    The original's: a U-Net of double 3x3 convolutions with max pooling and bilinear upsampling,
    cross-entropy that counts the erased region five times, training on objects of which another one covers a
    part, and on some where it must add nothing (our training cases have both). Adapted: the original is given
    the neighbours' mask (the "eraser", an annotation) and not to look at the picture by default; here no
    neighbour is annotated, so the picture comes in its place, as the original's option has it.

    Args:
        width: channels at full resolution (64 in the original).
        levels: halvings of the resolution (4 in the original).
    """

    def __init__(self, width: int = 12, levels: int = 4) -> None:
        super().__init__()
        self.config = {"width": width, "levels": levels}
        widths = [width * min(2**k, 16) for k in range(levels + 1)]
        self.start = _double(5, width)
        self.down = nn.ModuleList(_double(a, b) for a, b in itertools.pairwise(widths))
        self.up = nn.ModuleList(_double(a + b, a) for a, b in itertools.pairwise(widths))
        self.head = nn.Conv2d(width, 1, 1)

    def complete(self, image: Tensor, initial_mask: Tensor, photo_mask: Tensor) -> tuple[Tensor, None]:
        """See `MaskNetwork.complete`."""
        x = self.start(torch.cat([image - 0.5, initial_mask, photo_mask], 1))  # N x w x H x W
        skips = []
        for layer in self.down:
            skips.append(x)
            x = layer(F.max_pool2d(x, 2))
        for layer in reversed(self.up):
            skip = skips.pop()
            x = layer(torch.cat([skip, upsample_to(x, skip)], 1))
        return self.head(x), None


def _double(inputs: int, outputs: int) -> nn.Sequential:
    """Two 3x3 convolutions with normalisation and ReLU."""
    return nn.Sequential(ConvNorm(inputs, outputs), ConvNorm(outputs, outputs))
