"""The adversary of both stages: judges patches, not whole pictures."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn


class PatchDiscriminator(nn.Module):
    """Four-layer PatchGAN (Isola et al. 2017): one real/fake logit a patch of 46 x 46 pixels.

    Four 4x4 convolutions, three of stride 2 and one to a single channel; instance normalisation on the
    two in the middle, so that real and fake batches do not share statistics.

    Args:
        in_channels: 4 for (image, amodal mask) in stage 1; 3 or more in stage 2.
        width: channels of the first layer; then 2x and 4x.

    Source: Sec. 3.2 and 3.3, "four-layer PatchGAN" in the supplement.
    Differs from the released code: that has five layers in one discriminator and four in the other, and ends
    in 256 channels without a 1-channel head.
    """

    def __init__(self, in_channels: int, width: int = 64) -> None:
        super().__init__()
        self.config: dict[str, Any] = {"in_channels": in_channels, "width": width}
        widths = [width, 2 * width, 4 * width]
        layers: list[nn.Module] = [nn.Conv2d(in_channels, width, 4, 2, 1), nn.LeakyReLU(0.2)]
        for narrow, wide in zip(widths[:-1], widths[1:], strict=True):
            layers += [
                nn.Conv2d(narrow, wide, 4, 2, 1),
                nn.InstanceNorm2d(wide, affine=True),
                nn.LeakyReLU(0.2),
            ]
        self.layers = nn.Sequential(*layers, nn.Conv2d(widths[-1], 1, 4, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        """Judges N x in_channels x H x W; returns logits N x 1 x (H/8 - 1) x (W/8 - 1), high = real."""
        return self.layers(x)
