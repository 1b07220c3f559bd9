"""Partial convolution without the factor of the window's size."""

from __future__ import annotations

import torch
from torch import Tensor

from deocc.models import PartialConv2d


class ShrinkingPartialConv2d(PartialConv2d):
    """y = W (x * valid) / n + b: a mean over the n known entries, in place of C k^2 times that mean.

    The weights are initialised as ever, so the output is smaller than that of `PartialConv2d` by
    C k^2, the size of the window; the same arguments, shapes and validity.

    Source: departure 5, inherited from PCNets (Zhan et al. 2020).
    Differs from the paper: Liu et al. 2018, eq. 1, multiply by the window's size.
    """

    @torch.no_grad()
    def _renormalise(self, valid: Tensor) -> tuple[Tensor, Tensor]:
        """1 / n (0 where n = 0) and n > 0, both N x 1 x H' x W' float32."""
        ratio, hit = super()._renormalise(valid)
        return ratio / self.counts.sum(), hit
