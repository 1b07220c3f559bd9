"""DeepLab v3+ (Chen et al. 2018) with M_i as a fourth channel."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torchvision.models.segmentation.deeplabv3 import ASPP

from deocc.baselines.masks.backbone import Backbone
from deocc.baselines.masks.completion import MaskNetwork, full_size
from deocc.models.blocks import ConvNorm, upsample_to

RATES = (1, 2, 3)  # of the atrous convolutions, in cells of stride 16: the person fills half of an 8 x 8 grid


class DeepLab(MaskNetwork):
    """Semantic segmentation with two foreground maps: the visible and the whole person.

    The original's: a trunk trained on ImageNet down to stride 16, atrous spatial pyramid pooling
    (torchvision's), a decoder that joins the stride-4 feature. Adapted: EfficientNet-lite0 for the trunk and
    smaller atrous rates (the input has 128 pixels, not 513); M_i and the photo's extent enter beside the
    picture, since a semantic segmenter cannot know which of several people is meant; amodal beside modal
    targets.

    Args:
        width: channels of the pooling and of the decoder.
        trunk: "lite0" or "plain".
        pretrained: the trunk starts from ImageNet; False where weights are loaded afterwards.
    """

    def __init__(self, width: int = 96, trunk: str = "lite0", pretrained: bool = False) -> None:
        super().__init__()
        self.config = {"width": width, "trunk": trunk}
        self.backbone = Backbone(trunk, 2, pretrained, last=16)
        fine, _, coarse = self.backbone.channels
        self.pooling = ASPP(coarse, RATES, width)
        self.skip = nn.Sequential(
            nn.Conv2d(fine, width // 4, 1, bias=False), nn.BatchNorm2d(width // 4), nn.ReLU()
        )
        self.decoder = nn.Sequential(ConvNorm(width + width // 4, width), nn.Conv2d(width, 2, 1))

    def complete(self, image: Tensor, initial_mask: Tensor, photo_mask: Tensor) -> tuple[Tensor, Tensor]:
        """See `MaskNetwork.complete`."""
        fine, _, coarse = self.backbone(image, torch.cat([initial_mask, photo_mask], 1))  # strides 4, 8, 16
        pooled = upsample_to(self.pooling(coarse), fine)  # N x width x H/4 x W/4
        found = self.decoder(torch.cat([pooled, self.skip(fine)], 1))  # N x 2 x H/4 x W/4
        amodal, modal = full_size(found, image).split(1, 1)
        return amodal, modal
