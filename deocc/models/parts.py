"""A decoder of body parts that reads what stage 1 has seen, and changes none of its masks."""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from deocc.labels import NUM_PARTS
from deocc.models.blocks import ConvNorm, ResidualBlock, conv3x3, upsample_to

WIDTHS = {2: 1, 4: 1.5, 8: 2, 16: 3, 32: 4}  # channels at each stride, in units of the width
ROUNDS = {8: 1, 16: 2, 32: 2}  # of attention among all cells, at each stride
HEADS = 4  # of that attention
HINTS = 6  # channels of `_hints`


class PartsDecoder(nn.Module):
    """Body parts from a trunk's features, both hourglasses' features and both masks.

    From the coarsest stride up, each level adds its own features to those from below. At the three coarsest
    strides every cell attends to all others: what is hidden follows from what shows elsewhere. No gradient
    leaves the decoder, so it can be trained on people with labels alone, after the masks.

    Args:
        trunk: channels of the trunk's feature at each stride.
        width: channels at half resolution.
        features: channels of the hourglasses' features at stride 4, both together.

    Differs from the paper: its parts come from two convolutions on each hourglass's feature.
    """

    def __init__(self, trunk: Mapping[int, int], width: int, features: int) -> None:
        super().__init__()
        self.strides = sorted(trunk)
        widths = {stride: -int(-WIDTHS[stride] * width // 8) * 8 for stride in self.strides}
        extra = {4: features}
        self.enter = nn.ModuleDict(
            {
                str(stride): nn.Sequential(
                    nn.Conv2d(channels + extra.get(stride, 0) + HINTS, widths[stride], 1, bias=False),
                    nn.BatchNorm2d(widths[stride]),
                )
                for stride, channels in trunk.items()
            }
        )
        self.rise = nn.ModuleDict(
            {
                str(fine): nn.Conv2d(widths[coarse], widths[fine], 1, bias=False)
                for fine, coarse in zip(self.strides, self.strides[1:], strict=False)
            }
        )
        self.refine = nn.ModuleDict()
        for stride in self.strides:
            width_here = widths[stride]
            block = ConvNorm if stride == self.strides[0] else ResidualBlock
            layers: list[nn.Module] = [block(width_here, width_here)]
            for _ in range(ROUNDS.get(stride, 0)):
                layers += [GlobalAttention(width_here), FeedForward(width_here)]
            self.refine[str(stride)] = nn.Sequential(*layers)
        self.out = conv3x3(widths[self.strides[0]], NUM_PARTS)

    def forward(
        self, seen: Mapping[int, Tensor], features: Tensor, initial: Tensor, photo: Tensor, modal: Tensor,
        amodal: Tensor,
    ) -> Tensor:  # fmt: skip
        """Logits of the 19 parts, N x 19 x H/2 x W/2.

        Args:
            seen: the trunk's features by stride.
            features: those of the hourglasses, N x C x H/4 x W/4.
            initial, photo: M_i and the photo's pixels, N x 1 x H x W {0, 1}.
            modal, amodal: log-odds of both masks, N x 1 x H x W.
        """
        hints = _hints(initial, photo, modal.sigmoid(), amodal.sigmoid())
        x: Tensor | None = None
        for stride in reversed(self.strides):
            own = seen[stride].detach()
            stack = [own, _shrunk(hints, own)]
            if stride == 4:
                stack.append(upsample_to(features.detach(), own))
            key = str(stride)
            y = self.enter[key](torch.cat([part.to(own.dtype) for part in stack], 1))
            if x is not None:
                y = y + upsample_to(self.rise[key](x), y)
            x = self.refine[key](F.relu(y))
        assert x is not None
        return self.out(x)


def _shrunk(maps: Tensor, like: Tensor) -> Tensor:
    """Means over areas, with the height and width of `like`."""
    return F.adaptive_avg_pool2d(maps, (like.shape[-2], like.shape[-1]))


class GlobalAttention(nn.Module):
    """Each cell attends to all cells, added to the input: N x C x H x W to the same shape."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(channels)
        self.attention = nn.MultiheadAttention(channels, HEADS, batch_first=True)
        nn.init.zeros_(self.attention.out_proj.weight)  # starts as the identity

    def forward(self, x: Tensor) -> Tensor:
        """Maps N x C x H x W to the same shape."""
        cells = self.norm(x.flatten(2).transpose(1, 2))  # N x HW x C
        found = self.attention(cells, cells, cells, need_weights=False)[0]
        return x + found.transpose(1, 2).reshape(x.shape)


class FeedForward(nn.Module):
    """Two layers at each cell by itself, added to the input: N x C x H x W to the same shape."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        last = nn.Linear(2 * channels, channels)
        nn.init.zeros_(last.weight)  # starts as the identity
        nn.init.zeros_(last.bias)
        self.layers = nn.Sequential(
            nn.LayerNorm(channels), nn.Linear(channels, 2 * channels), nn.GELU(), last
        )

    def forward(self, x: Tensor) -> Tensor:
        """Maps N x C x H x W to the same shape."""
        return x + self.layers(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


def _hints(initial: Tensor, photo: Tensor, modal: Tensor, amodal: Tensor) -> Tensor:
    """The masks, and each pixel's place in the whole person: N x 6 x H x W.

    A place counts from the person's mean, in standard deviations of their pixels, both in the photo; 0 where
    nobody is.
    """
    modal, amodal = modal.detach().float(), amodal.detach().float()
    places = []
    inside = amodal * photo
    total = inside.sum((2, 3), keepdim=True).clamp_min(1)
    for axis in (2, 3):
        line = torch.arange(amodal.shape[axis], device=amodal.device, dtype=torch.float32)
        line = line.view((1, 1, -1, 1) if axis == 2 else (1, 1, 1, -1))
        mean = (inside * line).sum((2, 3), keepdim=True) / total
        spread = ((inside * (line - mean).square()).sum((2, 3), keepdim=True) / total).sqrt()
        place = ((line - mean) / spread.clamp_min(1)).clamp(-4, 4).expand_as(amodal)
        places.append(place * (total > 1))
    return torch.cat([initial.float(), photo.float(), modal, amodal, *places], 1)


def parts_of_person(parts: Tensor, odds: Tensor) -> Tensor:
    """Log-probabilities of background and parts, N x 20 x h x w, from a mask and the parts inside it.

    Args:
        parts: logits, N x 19 x h x w.
        odds: log-odds of the mask, N x 1 x H x W.
    """
    odds = _shrunk(odds.detach().float(), parts)
    return torch.cat([F.logsigmoid(-odds), F.logsigmoid(odds) + parts.float().log_softmax(1)], 1)
