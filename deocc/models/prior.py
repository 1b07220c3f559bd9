"""A first guess without learning: each hidden body part in the mean colour of its visible pixels."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from ..labels import FLIP_PAIRS

ENOUGH = 12 / 128**2  # share of the frame that a part must show for its mean to count
LEVELS = 6  # of the pyramid


def part_prior(
    image: Tensor,
    valid_mask: Tensor,
    amodal_mask: Tensor,
    parsing_modal_onehot: Tensor,
    parsing_amodal_onehot: Tensor,
) -> Tensor:
    """Paints the person from what is visible of it.

    A pixel of a part of which enough is visible gets that part's mean colour; else that of its twin on the
    other side; else a smooth continuation of the visible person (`push_pull`).

    Args:
        image: N x 3 x H x W in [0, 1].
        valid_mask, amodal_mask: N x 1 x H x W {0, 1}.
        parsing_modal_onehot, parsing_amodal_onehot: N x 19 x H x W {0, 1}, classes 1 to 19.

    Returns:
        N x 3 x H x W in [0, 1]; known pixels of the person are the image's.

    Differs from the paper: it has no such thing.
    """
    seen = valid_mask * (amodal_mask > 0.5)  # N x 1 x H x W: the visible person
    smooth = push_pull(image, seen)
    colours, known = _part_means(image, parsing_modal_onehot * seen)  # N x 19 x 3, N x 19
    share = parsing_amodal_onehot * known[:, :, None, None]  # N x 19 x H x W
    flat = torch.einsum("nphw,npc->nchw", share, colours)
    covered = share.sum(1, keepdim=True)
    guess = flat + smooth * (1 - covered)
    return torch.where(seen > 0, image, guess)


def _part_means(image: Tensor, parts: Tensor) -> tuple[Tensor, Tensor]:
    """Mean colour of each part, N x P x 3, and whether it or its twin shows enough, N x P {0, 1}."""
    count = parts.sum((2, 3))  # N x P
    colours = torch.einsum("nphw,nchw->npc", parts, image) / count.clamp_min(1)[..., None]
    known = (count > ENOUGH * image.shape[-1] * image.shape[-2]).to(image.dtype)
    twin = torch.arange(parts.shape[1], device=image.device)
    for left, right in FLIP_PAIRS:
        if max(left, right) <= len(twin):
            twin[left - 1], twin[right - 1] = right - 1, left - 1
    borrowed = (1 - known) * known[:, twin]
    colours = torch.where(borrowed[..., None] > 0, colours[:, twin], colours)
    return colours, known + borrowed


def push_pull(image: Tensor, known: Tensor, levels: int = LEVELS) -> Tensor:
    """Continues known pixels smoothly: means at ever coarser scales fill what finer ones leave open.

    Args:
        image: N x C x H x W.
        known: N x 1 x H x W {0, 1}; where an image knows nothing, the result is 0.
        levels: halvings of the resolution.

    Source: Gortler et al. 1996.
    """
    if levels == 0 or min(image.shape[-2:]) <= 2:
        total = known.sum((2, 3), keepdim=True)
        mean = (image * known).sum((2, 3), keepdim=True) / total.clamp_min(1e-6)
        return torch.where(known > 0, image, mean)
    share = F.avg_pool2d(known, 2, ceil_mode=True)
    coarse = F.avg_pool2d(image * known, 2, ceil_mode=True) / share.clamp_min(1e-6)
    filled = push_pull(coarse, (share > 0).to(image.dtype), levels - 1)
    up = F.interpolate(filled, size=image.shape[-2:], mode="bilinear", align_corners=False)
    return torch.where(known > 0, image, up)
