"""Parsing guided attention (PGA): body parts guide which visible pixels an invisible pixel attends to."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from deocc.errors import DeoccError
from deocc.models.blocks import conv3x3, upsample_to

FUSIONS = ("concat", "cascade")
HIDDEN_BIAS = -3e4  # added to the product of a query with an invisible key; within half precision's range


class BodyStream(nn.Module):
    """Stream B: b = conv([conv1(F) * p_m, conv2(F) * p_a]); it compares the feature within body parts."""

    def __init__(self, channels: int, parts: int) -> None:
        super().__init__()
        self.reduce_modal = nn.Conv2d(channels, parts, 1)
        self.reduce_amodal = nn.Conv2d(channels, parts, 1)
        self.compare = conv3x3(2 * parts, channels)

    def forward(self, feature: Tensor, parsing_modal: Tensor, parsing_amodal: Tensor) -> Tensor:
        """Feature N x C x H x W, one-hots N x parts x H x W; returns N x C x H x W."""
        visible = self.reduce_modal(feature) * parsing_modal  # N x parts x H x W
        whole = self.reduce_amodal(feature) * parsing_amodal
        return self.compare(torch.cat([visible, whole], 1))


class SpatialStream(nn.Module):
    """Stream T: every invisible position gathers visible ones; t = F R^T, R = softmax over visible (eq. 6).

    K = conv_v([F, p_m]), Q = conv_a([F, p_a]) as wide as F. Visible positions keep their own feature.

    Memory grows linearly with the number of positions: only invisible queries are computed, and
    `scaled_dot_product_attention` never holds the whole of R. The visibility bias is one more channel of Q
    and K, because a mask argument would itself have queries x keys entries. V is padded to the same width;
    otherwise, the fused kernels are not used.

    Args:
        channels: of the feature.
        parts: of the parsing.
        both: both one-hots enter each of the two convolutions (the paper's prose also admits this).
        same_part: added to the logarithm of R where query and key are of the same body part; ours.

    Differs from the paper: dot products are divided by sqrt(channels), as usual since Vaswani et al. 2017.
    """

    def __init__(self, channels: int, parts: int, both: bool = False, same_part: float = 0.0) -> None:
        super().__init__()
        self.both, self.same_part = both, same_part
        self.key = nn.Conv2d(channels + parts * (2 if both else 1), channels, 1)
        self.query = nn.Conv2d(channels + parts * (2 if both else 1), channels, 1)
        self.scale = 1 / math.sqrt(channels)

    def forward(
        self, feature: Tensor, parsing_modal: Tensor, parsing_amodal: Tensor, valid_mask: Tensor
    ) -> Tensor:
        """Feature N x C x H x W, one-hots N x parts x H x W, valid N x 1 x H x W; returns N x C x H x W."""
        query, key = self._query_key(feature, parsing_modal, parsing_amodal)  # N x L x C each, L = H W
        value = feature.flatten(2).transpose(1, 2)  # N x L x C
        visible = valid_mask.flatten(1) > 0.5  # N x L
        index = hidden_index(visible)  # N x Q
        columns = index[:, :, None].expand(-1, -1, feature.shape[1])  # N x Q x C
        asked = query.gather(1, index[:, :, None].expand(-1, -1, query.shape[2]))
        gathered = self._attend(asked, key, value, visible)  # N x Q x C
        keep = visible.gather(1, index)[:, :, None]  # padding of rows with fewer hidden positions
        gathered = torch.where(keep, value.gather(1, columns), gathered.to(value.dtype))
        return value.scatter(1, columns, gathered).transpose(1, 2).reshape(feature.shape)

    def attention_map(
        self, feature: Tensor, parsing_modal: Tensor, parsing_amodal: Tensor, valid_mask: Tensor
    ) -> Tensor:
        """R itself, N x HW x HW, for study. Rows sum to 1; a visible position's row is one-hot at itself."""
        query, key = self._query_key(feature, parsing_modal, parsing_amodal)
        visible = valid_mask.flatten(1) > 0.5
        bias = torch.where(visible, 0.0, HIDDEN_BIAS)[:, None, :]
        relevance = ((query @ key.transpose(1, 2) + bias) * self.scale).softmax(-1)
        itself = torch.eye(visible.shape[1], device=feature.device, dtype=relevance.dtype)
        return torch.where(visible[:, :, None], itself, relevance)

    def _query_key(self, feature: Tensor, modal: Tensor, amodal: Tensor) -> tuple[Tensor, Tensor]:
        for_key = [feature, modal, amodal] if self.both else [feature, modal]
        for_query = [feature, modal, amodal] if self.both else [feature, amodal]
        key = self.key(torch.cat(for_key, 1)).flatten(2).transpose(1, 2)  # N x HW x C
        query = self.query(torch.cat(for_query, 1)).flatten(2).transpose(1, 2)
        if self.same_part:  # the one-hots' own product, as more channels of both
            gain = math.sqrt(self.same_part / self.scale)
            parts = [gain * maps.flatten(2).transpose(1, 2).to(query.dtype) for maps in (amodal, modal)]
            query, key = torch.cat([query, parts[0]], -1), torch.cat([key, parts[1]], -1)
        return query, key

    def _attend(self, query: Tensor, key: Tensor, value: Tensor, visible: Tensor) -> Tensor:
        """Fused attention over visible keys; where an image has none, over all. Returns N x Q x C."""
        channels, width = value.shape[-1], query.shape[-1]
        pad = 8 - width % 8  # at least one channel for the bias; fused GPU kernels want multiples of 8
        one = F.pad(torch.ones_like(query[..., :1]), (0, pad - 1))
        bias = torch.where(visible, 0.0, HIDDEN_BIAS).to(key.dtype)[:, :, None]  # N x L x 1
        query = torch.cat([query, one], -1)[:, None]  # N x 1 x Q x (C + pad)
        key = torch.cat([key, F.pad(bias, (0, pad - 1))], -1)[:, None]  # N x 1 x L x (C + pad)
        padded = F.pad(value, (0, width + pad - channels)).to(key.dtype)[:, None]
        return F.scaled_dot_product_attention(query, key, padded, scale=self.scale)[:, 0, :, :channels]


class ParsingGuidedAttention(nn.Module):
    """Both attention streams and their fusion at one scale (Sec. 3.3, fig. 3 right).

    Args:
        channels: C of the feature.
        parts: channels of the parsing one-hots (19: LIP without background).
        body: stream B, body parts.
        spatial: stream T, visible to invisible.
        fusion: "concat": conv([F, b, t]); "cascade": t is computed from b, conv([F, t]).
        both_parsings: both one-hots enter query and key each (the prose admits it; off).
        same_part: makes stream T look at the same body part from the first step; ours, 0 is off.

    Raises:
        DeoccError: for an unknown fusion, or with both streams off.

    Differs from the paper: the fused feature is added to F, so that the module refines from the first step.
    Differs from the released code: it has both softmax directions, a value convolution, no restriction to
    visible positions, squeeze-and-excitation in stream B, and F reaches the fusion through stream B alone.
    """

    def __init__(
        self,
        channels: int,
        parts: int = 19,
        body: bool = True,
        spatial: bool = True,
        fusion: str = "concat",
        both_parsings: bool = False,
        same_part: float = 0.0,
    ) -> None:
        super().__init__()
        if fusion not in FUSIONS or not (body or spatial) or (fusion == "cascade" and not (body and spatial)):
            raise DeoccError(
                f"fusion={fusion!r} with body={body}, spatial={spatial}; expected fusion in {FUSIONS} and at "
                "least one stream, both for a cascade; leave the module out for none"
            )
        self.fusion = fusion
        self.body = BodyStream(channels, parts) if body else None
        self.spatial = SpatialStream(channels, parts, both_parsings, same_part) if spatial else None
        streams = 1 if fusion == "cascade" else int(body) + int(spatial)
        self.fuse = conv3x3(channels * (1 + streams), channels)

    def forward(
        self,
        feature: Tensor,
        parsing_modal_onehot: Tensor,
        parsing_amodal_onehot: Tensor,
        valid_mask: Tensor,
    ) -> Tensor:
        """Enhances a feature; the caller sets its validity to 1 afterwards.

        Args:
            feature: F, N x C x H x W.
            parsing_modal_onehot, parsing_amodal_onehot: N x parts x h x w {0, 1}, resized here by nearest.
            valid_mask: the network's M_v (never a running validity), N x 1 x h x w {0, 1}, resized likewise.

        Returns:
            N x C x H x W.
        """
        modal, amodal, valid = nearest_to(feature, parsing_modal_onehot, parsing_amodal_onehot, valid_mask)
        stack = [feature]
        if self.body is not None:
            stack.append(self.body(feature, modal, amodal))
        if self.spatial is not None:
            source = stack.pop() if self.fusion == "cascade" else feature  # the cascade hands b on to T
            stack.append(self.spatial(source, modal, amodal, valid))
        return feature + self.fuse(torch.cat(stack, 1))

    def attention_map(
        self,
        feature: Tensor,
        parsing_modal_onehot: Tensor,
        parsing_amodal_onehot: Tensor,
        valid_mask: Tensor,
    ) -> Tensor:
        """R of stream T (eq. 6): N x HW x HW, row = where position row looks; same arguments as `forward`.

        Raises:
            DeoccError: when stream T is off.
        """
        if self.spatial is None:
            raise DeoccError("attention_map of a module without stream T; expected spatial=True; build it so")
        modal, amodal, valid = nearest_to(feature, parsing_modal_onehot, parsing_amodal_onehot, valid_mask)
        if self.fusion == "cascade" and self.body is not None:
            feature = self.body(feature, modal, amodal)
        return self.spatial.attention_map(feature, modal, amodal, valid)


def hidden_index(visible: Tensor) -> Tensor:
    """Positions of the invisible entries of each row, N x Q, Q the largest number in the batch (at least 1).

    Rows with fewer hidden entries are padded with visible positions.
    """
    most = max(1, int((~visible).sum(1).max()))
    return visible.to(torch.uint8).argsort(dim=1, stable=True)[:, :most]


def nearest_to(feature: Tensor, *maps: Tensor) -> list[Tensor]:
    """Label maps at the feature's size and dtype, by the nearest pixel centre."""
    return [_nearest(x, feature).to(feature.dtype) for x in maps]


def _nearest(x: Tensor, like: Tensor) -> Tensor:
    """`upsample_to` in mode "nearest-exact"; a strided view, many times as fast, where the sizes divide."""
    (height, width), (rows, columns) = x.shape[-2:], like.shape[-2:]
    if height % rows or width % columns:
        return upsample_to(x, like, mode="nearest-exact")
    down, right = height // rows, width // columns
    return x[..., down // 2 :: down, right // 2 :: right]
