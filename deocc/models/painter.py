"""The painter's last layers."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from deocc.models.blocks import conv3x3

GUESS_RANGE = 0.02  # the guess is kept this far from black and white, where its log-odds end
BLOCKS = 3  # residual blocks


class ResidualBlock(nn.Module):
    """Two 3 x 3 convolutions beside the identity; begins as the identity.

    Args:
        channels: of the feature.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = conv3x3(channels, channels)
        self.second = conv3x3(channels, channels)
        nn.init.zeros_(self.second.weight)

    def forward(self, x: Tensor) -> Tensor:
        """N x C x H x W -> the same."""
        return x + self.second(F.leaky_relu(self.first(F.leaky_relu(x, 0.2)), 0.2))


class PaintingHead(nn.Module):
    """Paints the whole hole: the guess in log-odds plus the output of residual blocks at half resolution.

    Nothing is blended: the network starts from the guess and may change all of it.

    Args:
        channels: of the decoder's last feature.
        maps: channels of the maps (masks, guess, evidence, parts).
        width: of the residual blocks.
        noise: channels of noise, from which texture can be made.

    Differs from the paper: it has one convolution there.
    """

    def __init__(self, channels: int, maps: int, width: int = 40, noise: int = 2) -> None:
        super().__init__()
        self.noise = noise
        fine = max(8, width // 4)
        self.stem = nn.Conv2d(channels + maps + 3 + noise, width, 4, 2, 1)
        self.blocks = nn.Sequential(*(ResidualBlock(width) for _ in range(BLOCKS)))
        self.up = conv3x3(width, 4 * fine)
        change = conv3x3(2 * fine, 3)
        nn.init.normal_(change.weight, std=1e-3)
        self.last = nn.Sequential(conv3x3(fine + channels + 4 + noise, 2 * fine), nn.LeakyReLU(0.2), change)

    def forward(self, x: Tensor, guess: Tensor, maps: Tensor, known: Tensor, noise: Tensor) -> Tensor:
        """Paints.

        Args:
            x: N x C x H x W, the decoder's last feature; H and W even.
            guess: N x 3 x H x W in [0, 1].
            maps: N x M x H x W.
            known: N x 3 x H x W, the picture with its hole at 0.
            noise: N x noise x H x W, standard normal.

        Returns:
            N x 3 x H x W in [0, 1].
        """
        height, width = x.shape[-2:]
        coarse = self.blocks(self.stem(torch.cat([x, maps, known, noise], 1)))  # N x width x H/2 x W/2
        fine = F.pixel_shuffle(self.up(F.leaky_relu(coarse, 0.2)), 2)[..., :height, :width]
        guess = guess.clamp(GUESS_RANGE, 1 - GUESS_RANGE)
        joined = [fine, x, guess, maps[:, :1], noise]
        change = self.last(torch.cat(joined, 1))
        return (torch.logit(guess.float()) + change.float()).sigmoid()
