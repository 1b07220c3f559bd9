"""OVSR's mask completion (Yan et al. 2019)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from deocc.baselines.masks.completion import MaskNetwork
from deocc.baselines.residual_unet import ResidualUNet
from deocc.models import PatchDiscriminator
from deocc.models.blocks import ConvNorm, upsample_to

PASSES = 2  # of the shared network


class OVSR(ResidualUNet, MaskNetwork):
    """Completes M_i by a shared encoder-decoder that runs again on its own answer. M_m is M_i.

    The original's: an encoder-decoder of residual blocks that refines a recovered mask over iterations with
    shared weights, and two discriminators: one separates real silhouettes (there of 3D models of cars) from
    completed ones, one looks at the object in the picture. Adapted: the silhouettes are those of training
    people; the iterations run inside stage 1 alone, while the original's also see the recovered picture of
    its second stage; its classifier of car types and poses has no counterpart and is left out.

    Args:
        width: channels at half resolution.
    """

    def __init__(self, width: int = 16) -> None:
        super().__init__(6, width)  # image, M_i, the last answer, photo_mask
        self.config = {"width": width}
        self.head = nn.Sequential(ConvNorm(width, width), nn.Conv2d(width, 1, 1))

    def complete(self, image: Tensor, initial_mask: Tensor, photo_mask: Tensor) -> tuple[Tensor, None]:
        """See `MaskNetwork.complete`."""
        answer = initial_mask
        for _ in range(PASSES):
            x = torch.cat([image - 0.5, initial_mask, answer, photo_mask], 1)
            logit = upsample_to(self.head(self.decoded(x)), x)
            answer = logit.sigmoid()
        return logit, None


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
