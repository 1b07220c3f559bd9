"""The discriminators of both stages."""

from __future__ import annotations

import itertools
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class PatchDiscriminator(nn.Module):
    """Four-layer PatchGAN (Isola et al. 2017): one real/fake logit a patch of 46 x 46 pixels.

    Four 4x4 convolutions, three of stride 2 and one to a single channel; instance normalisation on the
    two in the middle, so that real and fake batches do not share statistics.

    Args:
        in_channels: 4 for (image, amodal mask) in stage 1; 3 or more in stage 2.
        width: channels of the first layer; then 2x and 4x.

    Source: Sec. 3.2 and 3.3, "four-layer PatchGAN" in the supplement; claim `discriminator_layers`.
    Differs from the released code: that has five layers in one discriminator and four in the other, and ends
    in 256 channels without a 1-channel head.
    """

    def __init__(self, in_channels: int, width: int = 64) -> None:
        super().__init__()
        self.config: dict[str, Any] = {"in_channels": in_channels, "width": width}
        widths = [width, 2 * width, 4 * width]
        layers: list[nn.Module] = [nn.Conv2d(in_channels, width, 4, 2, 1), nn.LeakyReLU(0.2)]
        for narrow, wide in itertools.pairwise(widths):
            layers += [
                nn.Conv2d(narrow, wide, 4, 2, 1),
                nn.InstanceNorm2d(wide, affine=True),
                nn.LeakyReLU(0.2),
            ]
        self.layers = nn.Sequential(*layers, nn.Conv2d(widths[-1], 1, 4, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        """Judges N x in_channels x H x W; returns logits N x 1 x (H/8 - 1) x (W/8 - 1), high = real."""
        return self.layers(x)


class ScaledPatchDiscriminators(nn.Module):
    """PatchGANs at several scales that also give their features, for the painter.

    Three 4x4 convolutions of stride 2 and one 3x3 to a single channel. Each sees the picture, the detail that
    a small blur removes from it, and further maps. Blurry pictures lack that detail; without this input, the
    discriminator learns almost nothing in hundreds of steps.

    Args:
        in_channels: of what is judged; the first three are the picture.
        width: channels of the first layer; then 2x and 4x.
        scales: PatchGANs; each sees half the resolution of the one before.

    Source: Wang et al. 2018 (pix2pixHD), scales and features.
    Differs from the paper: it has one scale, and no blur.
    """

    def __init__(self, in_channels: int, width: int = 32, scales: int = 2) -> None:
        super().__init__()
        self.config: dict[str, Any] = {"in_channels": in_channels, "width": width, "scales": scales}
        self.scales = nn.ModuleList(_patch_layers(in_channels + 3, width) for _ in range(scales))

    def forward(self, x: Tensor) -> list[tuple[list[Tensor], Tensor]]:
        """Judges N x in_channels x H x W; a scale's features, fine to coarse, and logits N x 1 x h x w."""
        answers = []
        for place, layers in enumerate(self.scales):
            x = F.avg_pool2d(x, 2) if place else x
            features: list[Tensor] = []
            y = _with_detail(x)
            for layer in layers:  # type: ignore[attr-defined]
                y = layer(y)
                features.append(y)
            answers.append((features[:-1], y))
        return answers


def _with_detail(x: Tensor) -> Tensor:
    """The picture around 0, its detail, enlarged to about its range, and the rest; 3 channels more."""
    picture = x[:, :3]
    detail = picture - F.avg_pool2d(picture, 5, 1, 2, count_include_pad=False)
    return torch.cat([2 * picture - 1, 6 * detail, x[:, 3:]], 1)


def _patch_layers(channels: int, width: int) -> nn.ModuleList:
    widths = [channels, width, 2 * width, 4 * width]
    layers: list[nn.Module] = []
    for place, (narrow, wide) in enumerate(itertools.pairwise(widths)):
        norm = nn.GroupNorm(4, wide) if place else nn.Identity()
        layers.append(nn.Sequential(nn.Conv2d(narrow, wide, 4, 2, 1), norm, nn.LeakyReLU(0.2)))
    layers.append(nn.Conv2d(widths[-1], 1, 3, 1, 1))
    return nn.ModuleList(layers)
