"""The released code's discriminators."""

from __future__ import annotations

import itertools
from typing import Any

from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm


class HeadlessDiscriminator(nn.Module):
    """A discriminator that ends in many channels; each one, after its leaky ReLU, is used as a logit.

    Spectral normalisation everywhere. Stage 1's has five layers (5x5 of stride 2 three times, then 3x3
    twice), stage 2's four (4x4; two of stride 2, two of stride 1).

    Args:
        in_channels: of (image, mask).
        width: channels of the first layer; 64 as released.
        stage: 1 or 2.

    Source: departure 9.
    Differs from the paper: four-layer PatchGAN, one logit per patch (`deocc.models.PatchDiscriminator`).
    """

    def __init__(self, in_channels: int, width: int = 64, stage: int = 1) -> None:
        super().__init__()
        self.config: dict[str, Any] = {"in_channels": in_channels, "width": width, "stage": stage}
        shapes = [(5, 2), (5, 2), (5, 2), (3, 1), (3, 1)] if stage == 1 else [(4, 2), (4, 2), (4, 1), (4, 1)]
        widths = [in_channels, width, 2 * width, *[4 * width] * (len(shapes) - 2)]
        layers: list[nn.Module] = []
        for (inputs, outputs), (kernel, stride) in zip(itertools.pairwise(widths), shapes, strict=True):
            padding = kernel // 2 if kernel % 2 else 1
            layers += [spectral_norm(nn.Conv2d(inputs, outputs, kernel, stride, padding)), nn.LeakyReLU(0.2)]
        self.layers = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        """Judges N x in_channels x H x W; returns N x 4 width x h x w, h = H/8 (stage 1) or H/4 - 2."""
        return self.layers(x)
