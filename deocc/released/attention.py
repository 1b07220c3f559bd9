"""Parsing guided attention as in the authors' listing."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from deocc.models.attention import nearest_to
from deocc.models.blocks import conv3x3


class ChannelWeights(nn.Module):
    """Squeeze and excitation (Hu et al. 2018): each channel times a weight in (0, 1) from all means.

    Args:
        channels: C.
        reduction: C over the hidden layer's width.
    """

    def __init__(self, channels: int, reduction: int) -> None:
        super().__init__()
        hidden = max(1, channels // reduction)
        self.weigh = nn.Sequential(
            nn.Linear(channels, hidden, bias=False), nn.ReLU(inplace=True),
            nn.Linear(hidden, channels, bias=False), nn.Sigmoid(),
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        """N x C x H x W to the same shape."""
        return x * self.weigh(x.mean((2, 3)))[:, :, None, None]


class TwoWayAttention(nn.Module):
    """PGA as released: a drop-in for `deocc.models.ParsingGuidedAttention`.

    Stream B: conv([F, conv1(F) * p_m, conv2(F) * p_a]) with channel weights. Stream T: E = Q^T K from
    [F, p_m] and [F, p_a] at an eighth of the channels; values conv(F) gathered by softmax(E) and by
    softmax(E^T), each over *all* positions, visible or not. conv([b, t, t']) replaces F; F is not added.
    Holds two HW x HW tensors.

    Args:
        channels: C of the feature.
        parts: channels of the parsing one-hots.

    Source: departure 8.
    Differs from the paper: eq. 6 gathers visible points for invisible ones; fusion is conv([F, b, t]).
    """

    def __init__(self, channels: int, parts: int = 19) -> None:
        super().__init__()
        narrow = max(1, channels // 8)
        self.reduce_modal, self.reduce_amodal = conv3x3(channels, parts), conv3x3(channels, parts)
        self.compare = conv3x3(channels + 2 * parts, channels)
        self.weights = ChannelWeights(channels, 8)
        self.query, self.key = conv3x3(channels + parts, narrow), conv3x3(channels + parts, narrow)
        self.value = conv3x3(channels, channels)
        self.fuse = conv3x3(3 * channels, channels)

    def forward(
        self,
        feature: Tensor,
        parsing_modal_onehot: Tensor,
        parsing_amodal_onehot: Tensor,
        valid_mask: Tensor,
    ) -> Tensor:
        """N x C x H x W to the same shape; arguments as of `ParsingGuidedAttention`, `valid_mask` unused."""
        modal, amodal = nearest_to(feature, parsing_modal_onehot, parsing_amodal_onehot)
        sorted_parts = [self.reduce_modal(feature) * modal, self.reduce_amodal(feature) * amodal]
        body = self.weights(self.compare(torch.cat([feature, *sorted_parts], 1)))
        energy = self._energy(feature, modal, amodal)
        value = self.value(feature).flatten(2)  # N x C x L, L = H W
        rows = value @ energy.softmax(-1).transpose(1, 2)
        columns = value @ energy.transpose(1, 2).softmax(-1).transpose(1, 2)
        return self.fuse(torch.cat([body, rows.view_as(feature), columns.view_as(feature)], 1))

    def attention_map(
        self,
        feature: Tensor,
        parsing_modal_onehot: Tensor,
        parsing_amodal_onehot: Tensor,
        valid_mask: Tensor,
    ) -> Tensor:
        """softmax(E): N x HW x HW, row = where position row looks; rows sum to 1 over all positions."""
        modal, amodal = nearest_to(feature, parsing_modal_onehot, parsing_amodal_onehot)
        return self._energy(feature, modal, amodal).softmax(-1)

    def _energy(self, feature: Tensor, modal: Tensor, amodal: Tensor) -> Tensor:
        """E, N x L x L, as released: the query sees p_m, the key p_a."""
        query = self.query(torch.cat([feature, modal], 1)).flatten(2)  # N x C/8 x L
        key = self.key(torch.cat([feature, amodal], 1)).flatten(2)
        return query.transpose(1, 2) @ key
