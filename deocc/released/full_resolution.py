"""Stage 1's network at full resolution, as released."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from deocc.models import MaskLogits, TemplateGuide
from deocc.models.blocks import ConvNorm, ResidualBlock, conv3x3, ones_like_mask, require_maps, upsample_to
from deocc.models.mask_completion import Templates
from deocc.released.attention import ChannelWeights
from deocc.released.masks import DotTemplateGuide
from deocc.released.switches import RELEASED, Departures

DOWN = (1, 2, 4, 8, 8)  # channels of each resolution in units of the width
UP = (4, 2, 1, 1)  # the same on the way up
PART = 32  # channels of the parsing feature and of the templates'


class FullHourglass(nn.Module):
    """Two convolutions per resolution, from the input's down to a sixteenth, skips concatenated.

    Args:
        inputs: channels.
        width: channels at full resolution; 16 w for the released width w.
    """

    def __init__(self, inputs: int, width: int) -> None:
        super().__init__()
        widths = [factor * width for factor in DOWN]
        before = [inputs, *widths[:-1]]
        self.down = nn.ModuleList(_twice(a, b) for a, b in zip(before, widths, strict=True))
        below = [widths[-1], *(factor * width for factor in UP[:-1])]
        sizes = zip(below, widths[-2::-1], UP, strict=True)
        self.up = nn.ModuleList(_twice(coarse + skip, factor * width) for coarse, skip, factor in sizes)

    def forward(self, x: Tensor) -> Tensor:
        """N x inputs x H x W to N x width x H x W; H and W from 16 on."""
        skips = []
        for level, layer in enumerate(self.down):
            x = layer(x if level == 0 else F.max_pool2d(x, 2))
            skips.append(x)
        skips.pop()
        for layer in self.up:
            skip = skips.pop()
            x = layer(torch.cat([skip, upsample_to(x, skip)], 1))
        return x


def _twice(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(ConvNorm(inputs, outputs), ConvNorm(outputs, outputs))


class FullHead(nn.Module):
    """Parsing and mask logits from one hourglass's last feature.

    Args:
        width: channels of the feature.
        classes: of the parsing.
        extra: channels of the template feature, 0 without.
        detached: the mask sees the parsing feature detached, by channel weights (departure 9).
    """

    def __init__(self, width: int, classes: int, extra: int, detached: bool) -> None:
        super().__init__()
        self.block = ResidualBlock(width, PART)
        self.parsing = conv3x3(PART, classes) if detached else nn.Sequential(
            ConvNorm(PART, PART), conv3x3(PART, classes)
        )  # fmt: skip
        self.weigh = ChannelWeights(PART, 4) if detached else None
        hidden = 32 if extra else 16
        layers = conv3x3(width + PART + extra, hidden), nn.ReLU(inplace=True), conv3x3(hidden, 2)
        self.mask = nn.Sequential(*layers)

    def forward(self, feature: Tensor, extra: Tensor | None) -> tuple[Tensor, Tensor]:
        """Mask logits N x 2 x H x W and parsing logits N x classes x H x W."""
        part = self.block(feature)
        beside = part if self.weigh is None else self.weigh(part.detach())
        stack = [feature, beside] if extra is None else [feature, beside, upsample_to(extra, feature)]
        return self.mask(torch.cat(stack, 1)), self.parsing(part)


class FullResolutionNet(nn.Module):
    """Stage 1 as released: two hourglasses that begin at the input's resolution.

    It can replace `deocc.models.MaskCompletionNet` in training and inference.

    Args:
        width: channels at full resolution: 16 w; 64 for the released default w = 4, 32 for its parent's.
        classes: of the parsing.
        templates: K x S x S in [0, 1], their shape, or None.
        temperature: of the template weights, if they come from distances.
        departures: `dot_templates` and `detached_parsing` have an effect here; all are on by default.

    Source: departure 10 (width and resolution).
    Differs from the released code: an input channel marks photo pixels, because our frames may exceed the
    photo; residual blocks are normalised.
    """

    def __init__(
        self,
        width: int = 64,
        classes: int = 20,
        templates: Templates | None = None,
        temperature: float = 0.01,
        departures: Departures = RELEASED,
    ) -> None:
        super().__init__()
        kind = DotTemplateGuide if departures.dot_templates else TemplateGuide
        self.guide = None if templates is None else kind(templates, PART, temperature)
        shape = None if self.guide is None else list(self.guide.templates.shape)
        self.config: dict[str, Any] = {
            "width": width, "classes": classes, "templates": shape, "temperature": temperature,
            "parsing": True,
        }  # fmt: skip
        detached, extra = departures.detached_parsing, 0 if self.guide is None else PART
        self.modal_hourglass = FullHourglass(5, width)  # [I, M_i, photo]
        self.modal_branch = FullHead(width, classes, 0, detached)
        self.amodal_hourglass = FullHourglass(width + 4, width)  # [F_m, I, photo]
        self.amodal_branch = FullHead(width, classes, extra, detached)

    def forward(
        self,
        image: Tensor,
        initial_mask: Tensor,
        photo_mask: Tensor | None = None,
        half_parsing: bool = False,
    ) -> MaskLogits:
        """As `MaskCompletionNet.forward`; all logits have the input's size (`half_parsing` is unused)."""
        photo_mask = ones_like_mask(image) if photo_mask is None else photo_mask
        require_maps("image", image, 3)
        require_maps("initial_mask", initial_mask, 1, image)
        picture = torch.cat([image - 0.5, photo_mask], 1)  # N x 4 x H x W
        feature_m = self.modal_hourglass(torch.cat([picture, initial_mask], 1))  # F_m, N x width x H x W
        modal, parsing_modal = self.modal_branch(feature_m, None)
        feature_a = self.amodal_hourglass(torch.cat([feature_m, picture], 1))
        guide = None if self.guide is None else self._templates(modal.softmax(1)[:, 1:], photo_mask)
        amodal, parsing_amodal = self.amodal_branch(feature_a, guide)
        return MaskLogits(modal, amodal, parsing_modal, parsing_amodal)

    def _templates(self, mask: Tensor, photo_mask: Tensor) -> Tensor:
        """The template feature at the mask's size, N x PART x H x W."""
        assert self.guide is not None
        weights = self.guide.weights(mask, photo_mask)  # N x K
        weighted = weights[:, :, None, None] * self.guide.templates  # N x K x S x S
        return self.guide.conv(upsample_to(weighted, mask, "nearest"))
