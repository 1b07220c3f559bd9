"""Pix2Pix (Isola et al. 2017): a U-Net that translates pictures, with a PatchGAN beside an L1 term."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from deocc.baselines.masks.completion import MaskNetwork

GROWTH = (1, 2, 4, 8, 8, 8)  # channels of each level in units of the width


class TranslationUNet(nn.Module):
    """Pix2Pix's generator: 4x4 convolutions of stride 2, skips, deconvolutions up.

    Args:
        inputs, outputs: channels.
        width: channels of the first level (64 in the original).
        levels: halvings of the resolution, 1 to 6 (eight at 256 pixels in the original, down to 1 x 1).
    """

    def __init__(self, inputs: int, outputs: int, width: int, levels: int) -> None:
        super().__init__()
        widths = [inputs, *(factor * width for factor in GROWTH[:levels])]
        self.down = nn.ModuleList(
            nn.Sequential(
                nn.LeakyReLU(0.2) if k else nn.Identity(),
                nn.Conv2d(widths[k], widths[k + 1], 4, 2, 1),
                nn.BatchNorm2d(widths[k + 1]) if k else nn.Identity(),
            )
            for k in range(levels)
        )
        self.up = nn.ModuleList(
            nn.Sequential(
                nn.ReLU(),
                nn.ConvTranspose2d(
                    widths[k + 1] * (1 if k == levels - 1 else 2), widths[k] if k else outputs, 4, 2, 1
                ),
                *([nn.BatchNorm2d(widths[k])] if k else []),
                *([nn.Dropout(0.5)] if k >= levels - 2 else []),
            )
            for k in range(levels)
        )

    def forward(self, x: Tensor) -> Tensor:
        """N x inputs x H x W -> N x outputs x H x W, without a last activation."""
        skips = []
        for layer in self.down:
            x = layer(x)  # N x widths[k + 1] x H/2^(k+1) x W/2^(k+1)
            skips.append(x)
        x = skips.pop()
        for k in range(len(self.up) - 1, 0, -1):
            x = torch.cat([self.up[k](x), skips.pop()], 1)
        return self.up[0](x)


class Pix2Pix(MaskNetwork):
    """U-Net of 4x4 convolutions from (image, M_i) to the whole person's mask; M_i passes through for M_m.

    The original's: levels of 4x4 convolutions of stride 2, batch normalisation, leaky ReLU on the way down,
    skips, transposed convolutions and dropout in the innermost levels on the way up, a conditional PatchGAN
    and L1 at a hundred times its weight. Adapted: at most six levels, so 256 pixels end at a grid of 4 x 4
    (the original has eight and ends at 1 x 1); two mask channels beside the picture, one map of log-odds in
    place of a picture, and the cross-entropy that every system of the table has. Dropout acts in training
    only (the original keeps it, as its noise).

    Args:
        width: channels of the first level (64 in the original).
        levels: halvings of the resolution, 1 to 6.
    """

    def __init__(self, width: int = 32, levels: int = 6) -> None:
        super().__init__()
        self.config = {"width": width, "levels": levels}
        self.net = TranslationUNet(5, 1, width, levels)

    def complete(self, image: Tensor, initial_mask: Tensor, photo_mask: Tensor) -> tuple[Tensor, None]:
        """See `MaskNetwork.complete`."""
        return self.net(torch.cat([image - 0.5, initial_mask, photo_mask], 1)), None
