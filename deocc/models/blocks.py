"""Building blocks that the networks share."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def conv3x3(inputs: int, outputs: int, stride: int = 1, bias: bool = True) -> nn.Conv2d:
    """A 3x3 convolution with padding 1: NxCxHxW -> NxOx(H/stride)x(W/stride)."""
    return nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=bias)


class ConvNorm(nn.Sequential):
    """3x3 convolution, batch normalisation, ReLU: the plain layer of stems and heads."""

    def __init__(self, inputs: int, outputs: int, stride: int = 1) -> None:
        super().__init__(
            conv3x3(inputs, outputs, stride, bias=False),  # the normalisation brings its own bias
            nn.BatchNorm2d(outputs),
            nn.ReLU(inplace=True),
        )


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions beside a shortcut (He et al. 2016, the block of the hourglass).

    Args:
        inputs, outputs: channels.
        stride: 2 halves the resolution.
        middle: channels between the two convolutions; `outputs` when not given.
    """

    def __init__(self, inputs: int, outputs: int, stride: int = 1, middle: int | None = None) -> None:
        super().__init__()
        middle = outputs if middle is None else middle
        self.conv1 = conv3x3(inputs, middle, stride, bias=False)
        self.norm1 = nn.BatchNorm2d(middle)
        self.conv2 = conv3x3(middle, outputs, bias=False)
        self.norm2 = nn.BatchNorm2d(outputs)
        nn.init.zeros_(self.norm2.weight)  # starts as the identity: deep stacks train from the first step
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or inputs != outputs:
            pool: nn.Module = nn.AvgPool2d(stride, ceil_mode=True) if stride != 1 else nn.Identity()
            self.shortcut = nn.Sequential(
                pool, nn.Conv2d(inputs, outputs, 1, bias=False), nn.BatchNorm2d(outputs)
            )

    def forward(self, x: Tensor) -> Tensor:
        """Maps N x inputs x H x W to N x outputs x ceil(H/stride) x ceil(W/stride)."""
        y = F.relu(self.norm1(self.conv1(x)), inplace=True)
        y = self.norm2(self.conv2(y))
        return F.relu(y + self.shortcut(x), inplace=True)


def upsample_to(x: Tensor, like: Tensor, mode: str = "bilinear") -> Tensor:
    """Resizes NxCxhxw to the height and width of `like`; half-pixel centres, as everywhere here."""
    if x.shape[-2:] == like.shape[-2:]:
        return x
    corners = False if mode == "bilinear" else None
    return F.interpolate(x, size=like.shape[-2:], mode=mode, align_corners=corners)


def count_parameters(net: nn.Module) -> int:
    """Number of trainable scalars (frozen copies count too)."""
    return sum(p.numel() for p in net.parameters())


def require_maps(name: str, x: Tensor, channels: int, like: Tensor | None = None) -> None:
    """Checks that `x` is N x channels x H x W, and as large as `like` when given.

    Raises:
        DeoccError: naming the argument, what came and what was expected.
    """
    from deocc.errors import DeoccError

    if x.ndim != 4 or x.shape[1] != channels:
        raise DeoccError(
            f"{name} has shape {tuple(x.shape)}; expected N x {channels} x H x W; "
            f"check the order of axes and the number of channels of {name}"
        )
    if like is not None and (x.shape[0] != like.shape[0] or x.shape[-2:] != like.shape[-2:]):
        raise DeoccError(
            f"{name} has shape {tuple(x.shape)} beside an image of shape {tuple(like.shape)}; expected "
            f"the same N, H and W; resize {name} with the image"
        )


def ones_like_mask(image: Tensor) -> Tensor:
    """An N x 1 x H x W map of ones beside `image` (N x C x H x W)."""
    return torch.ones_like(image[:, :1])
