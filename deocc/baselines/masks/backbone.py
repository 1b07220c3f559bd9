"""The convolutional trunk of the baselines whose originals start from a network trained on ImageNet."""

from __future__ import annotations

import itertools

import torch.nn.functional as F
from torch import Tensor, nn

from deocc.errors import DeoccError
from deocc.models.blocks import ConvNorm, ResidualBlock
from deocc.models.trunk import Lite0Trunk

TRUNKS = ("lite0", "plain")
STRIDES = (4, 8, 16, 32)


class PlainTrunk(nn.Module):
    """Residual blocks from scratch behind `Lite0Trunk`'s protocol: small, for tests and preset tiny.

    Args:
        width: channels at stride 4; they double with the stride.
        last: coarsest stride.
    """

    def __init__(self, width: int, last: int = 32) -> None:
        super().__init__()
        self.stem = nn.Sequential(*ConvNorm(3, width, 2))
        self.channels = {stride: width * stride // 4 for stride in STRIDES if stride <= last}
        widths = (width, *self.channels.values())
        self.stages = nn.ModuleList(ResidualBlock(a, b, 2) for a, b in itertools.pairwise(widths))

    def forward(self, image: Tensor, beside: Tensor) -> dict[int, Tensor]:
        """image: N x 3 x H x W; beside: N x width x H/2 x W/2 -> features by stride."""
        x, features = self.stem[1:](self.stem[0](image - 0.5) + beside), {}
        for stride, stage in zip(self.channels, self.stages, strict=True):
            features[stride] = x = stage(x)
        return features


class Backbone(nn.Module):
    """Features at strides 4, 8, 16, 32 of a picture and of mask channels beside it.

    Args:
        kind: "lite0" (EfficientNet-lite0, from ImageNet) or "plain" (`PlainTrunk`).
        masks: channels beside the picture; their part of the first convolution starts at zero, so that a
            pretrained trunk begins as it was.
        pretrained: False where weights are loaded afterwards.
        width: channels of a plain trunk at stride 4.
        last: coarsest stride that is needed.

    Attributes:
        channels: of the features.
    """

    def __init__(
        self, kind: str, masks: int, pretrained: bool = True, width: int = 16, last: int = 32
    ) -> None:
        super().__init__()
        if kind not in TRUNKS:
            raise DeoccError(f"trunk {kind!r} is unknown; use one of {', '.join(TRUNKS)}")
        lite0 = kind == "lite0"
        self.trunk: Lite0Trunk | PlainTrunk
        self.trunk = Lite0Trunk(pretrained, last) if lite0 else PlainTrunk(width, last)
        self.strides = [stride for stride in STRIDES if stride <= last]
        self.channels: tuple[int, ...] = tuple(self.trunk.channels[stride] for stride in self.strides)
        self.masks = nn.Conv2d(masks, 32 if lite0 else width, 3, 2, bias=False)
        nn.init.zeros_(self.masks.weight)

    def forward(self, image: Tensor, masks: Tensor) -> list[Tensor]:
        """image: N x 3 x H x W in [0, 1]; masks: N x M x H x W {0, 1} -> features, fine to coarse."""
        beside = self.masks(F.pad(masks - 0.5, (0, 1, 0, 1)))  # padded as the trunk's own stem
        features = self.trunk(image, beside)
        return [features[stride] for stride in self.strides]


class Pyramid(nn.Module):
    """A feature pyramid (Lin et al. 2017): every level with the same channels, coarse added to fine.

    Args:
        channels: of the trunk's features, fine to coarse.
        width: of every level.
        out: how many of the finest levels come out.
    """

    def __init__(self, channels: tuple[int, ...], width: int, out: int) -> None:
        super().__init__()
        self.lateral = nn.ModuleList(nn.Conv2d(c, width, 1) for c in channels)
        self.smooth = nn.ModuleList(ConvNorm(width, width) for _ in range(out))

    def forward(self, features: list[Tensor]) -> list[Tensor]:
        """Features, fine to coarse -> the finest `out`, of `width` channels each."""
        sides = [conv(f) for conv, f in zip(self.lateral, features, strict=True)]
        for fine, coarse in zip(range(len(sides) - 2, -1, -1), range(len(sides) - 1, 0, -1), strict=True):
            up = F.interpolate(sides[coarse], size=sides[fine].shape[-2:], mode="nearest")
            sides[fine] = sides[fine] + up
        return [conv(x) for conv, x in zip(self.smooth, sides, strict=False)]
