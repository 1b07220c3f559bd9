"""Partial convolution: a convolution of known pixels only (Liu et al. 2018)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from deocc.errors import DeoccError


class PartialConv2d(nn.Module):
    """Convolution over valid positions, renormalised by their number; it also grows the validity.

    y = W (x * valid) * (C k^2 / n) + b where the window holds n > 0 valid entries, else y = 0; a position
    of the result is valid where n > 0. Padding counts as not valid. With everything valid this is an
    ordinary convolution away from padded borders.

    Args:
        in_channels, out_channels, kernel_size, stride, padding, bias: as in `torch.nn.Conv2d`.
        sources: how many input channels each of the S validity maps governs, e.g. (decoder, skip); they
            sum to `in_channels`. None: one map governs all channels.

    Source: Sec. 3.3 (U-Net with partial convolution); Liu et al. 2018, eq. 1 and 2.
    Differs from the released code: that never multiplies the window's size back, so outputs shrink by C k^2.
    """

    counts: Tensor

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        stride: int = 1,
        padding: int = 0,
        bias: bool = True,
        sources: Sequence[int] | None = None,
    ) -> None:
        super().__init__()
        self.sources = (in_channels,) if sources is None else tuple(sources)
        if sum(self.sources) != in_channels or min(self.sources) < 1:
            raise DeoccError(
                f"sources are {self.sources}; expected positive numbers that sum to in_channels = "
                f"{in_channels}; list the channels of each concatenated part"
            )
        self.conv = nn.Conv2d(in_channels, out_channels, kernel_size, stride, padding, bias=False)
        self.bias = nn.Parameter(torch.zeros(out_channels)) if bias else None
        weight = torch.tensor(self.sources, dtype=torch.float32).view(1, -1, 1, 1)
        counts = weight.repeat(1, 1, kernel_size, kernel_size)  # 1 x S x k x k: channels behind each validity
        self.register_buffer("counts", counts, persistent=False)

    def forward(self, x: Tensor, valid: Tensor) -> tuple[Tensor, Tensor]:
        """Convolves known pixels.

        Args:
            x: N x in_channels x H x W.
            valid: N x S x H x W {0, 1}, 1 = known.

        Returns:
            y: N x out_channels x H' x W', zero where nothing was known; its validity N x 1 x H' x W' {0, 1}.
        """
        if valid.ndim != 4 or valid.shape[1] != len(self.sources) or valid.shape[-2:] != x.shape[-2:]:
            raise DeoccError(
                f"valid has shape {tuple(valid.shape)} beside x of {tuple(x.shape)}; expected "
                f"N x {len(self.sources)} x H x W; give one validity map a source"
            )
        ratio, hit = self._renormalise(valid)
        y = self.conv(self._mask(x, valid)) * ratio.to(x.dtype)
        if self.bias is not None:
            y = y + self.bias.view(1, -1, 1, 1) * hit.to(y.dtype)
        return y, hit

    def _mask(self, x: Tensor, valid: Tensor) -> Tensor:
        """Sets each source to zero where its own map is zero."""
        valid = valid.to(x.dtype)
        if len(self.sources) == 1:
            return x * valid
        parts = zip(x.split(self.sources, 1), valid.split(1, 1), strict=True)
        return torch.cat([part * known for part, known in parts], 1)

    @torch.no_grad()
    def _renormalise(self, valid: Tensor) -> tuple[Tensor, Tensor]:
        """C k^2 / n (0 where n = 0) and n > 0, both N x 1 x H' x W' float32."""
        with torch.autocast(valid.device.type, enabled=False):  # counts exceed half precision's integers
            n = F.conv2d(valid.float(), self.counts, stride=self.conv.stride, padding=self.conv.padding)
        hit = (n > 0.5).float()
        return hit * self.counts.sum() / n.clamp_min(1), hit
