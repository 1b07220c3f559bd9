"""OVSR's mask completion (Yan et al. 2019): completes twice; judged as a silhouette, and in its picture."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from deocc.baselines.completion import MaskNetwork
from deocc.models import PatchDiscriminator
from deocc.models.blocks import ConvNorm, ResidualBlock, upsample_to

PASSES = 2  # of the shared network


class OVSR(MaskNetwork):
    """Completes M_i by a shared encoder-decoder that runs again on its own answer; M_i passes through for
    M_m.

    The original's: an encoder-decoder of residual blocks that refines a recovered mask over iterations with
    shared weights, and two discriminators: one tells real silhouettes (there of 3D models of cars) from
    completed ones, one looks at the object in the picture. Adapted: the silhouettes are those of training
    people; the iterations run inside stage 1 alone, while the original's also see the recovered picture of
    its second stage; its classifier of car types and poses has no counterpart and is left out.

    Args:
        width: channels at half resolution.
    """

    def __init__(self, width: int = 16) -> None:
        super().__init__()
        self.config = {"width": width}
        widths = (width, 2 * width, 4 * width, 8 * width)
        pairs = list(zip(widths[:-1], widths[1:], strict=True))
        self.stem = ConvNorm(6, width, 2)  # image, M_i, the last answer, photo
        self.down = nn.ModuleList(ResidualBlock(fine, coarse, 2) for fine, coarse in pairs)
        self.middle = nn.Sequential(*(ResidualBlock(widths[-1], widths[-1]) for _ in range(2)))
        self.up = nn.ModuleList(ConvNorm(fine + coarse, fine) for fine, coarse in pairs)
        self.head = nn.Sequential(ConvNorm(width, width), nn.Conv2d(width, 1, 1))

    def complete(self, image: Tensor, initial_mask: Tensor, photo: Tensor) -> tuple[Tensor, None]:
        """See `MaskNetwork.complete`."""
        answer = initial_mask
        for _ in range(PASSES):
            logit = self._pass(torch.cat([image - 0.5, initial_mask, answer, photo], 1))
            answer = logit.sigmoid()
        return logit, None

    def _pass(self, x: Tensor) -> Tensor:
        full, skips = x, []
        x = self.stem(x)  # N x w x H/2 x W/2
        for layer in self.down:
            skips.append(x)
            x = layer(x)
        x = self.middle(x)  # N x 8w x H/16 x W/16
        for layer in reversed(self.up):
            skip = skips.pop()
            x = layer(torch.cat([skip, upsample_to(x, skip)], 1))
        return upsample_to(self.head(x), full)


class SilhouetteJudges(nn.Module):
    """OVSR's two discriminators: the mask alone, and the mask in its picture.

    Args:
        width: channels of either one's first layer.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.config = {"width": width}
        self.silhouette, self.object = PatchDiscriminator(1, width), PatchDiscriminator(4, width)

    def forward(self, x: Tensor) -> Tensor:
        """(image, mask) N x 4 x H x W -> logits of both judges, N x 2 x h x w."""
        return torch.cat([self.silhouette(x[:, 3:]), self.object(x)], 1)
