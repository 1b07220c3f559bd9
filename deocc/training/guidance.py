"""The guidance of stage 2: visible and whole mask, body parts."""

from __future__ import annotations

from typing import Literal, NamedTuple

import torch
from torch import Tensor

from deocc.labels import parsing_onehot

GuidanceKind = Literal["predicted", "true", "seen"]
"""Where stage 2's masks and body parts come from: "predicted" (stage 1 from M_i, end to end), "true" (body
parts of people without labels: stage 1's on the unoccluded photo), or "seen" (true masks, body parts as stage
1 sees them in the occluded photo)."""


class Guidance(NamedTuple):
    """Masks and body parts that guide stage 2."""

    modal: Tensor  # N x 1 x H x W {0, 1}
    amodal: Tensor  # N x 1 x H x W {0, 1}, contains modal
    parsing_modal: Tensor  # N x H x W int64
    parsing_amodal: Tensor  # N x H x W int64
    odds: Tensor | None = None  # N x 38 x H x W in [0, 1]: probabilities of the 19 parts of P_m, then of P_a

    def parts(self) -> tuple[Tensor, Tensor]:
        """P_m and P_a, N x 19 x H x W: probabilities if known, else one-hots."""
        if self.odds is None:
            return parsing_onehot(self.parsing_modal), parsing_onehot(self.parsing_amodal)
        modal, amodal = self.odds.chunk(2, 1)
        return modal, amodal

    def hole(self, photo_mask: Tensor) -> Tensor:
        """The invisible mask inside the photo: what is painted."""
        return self.amodal * (1 - self.modal) * photo_mask


def joined_guidance(first: Guidance, second: Guidance, order: Tensor) -> Guidance:
    """The items of both in a new order."""
    a, b, c, d = (torch.cat(pair)[order] for pair in zip(first[:4], second[:4], strict=True))
    odds = None
    if first.odds is not None or second.odds is not None:
        odds = torch.cat([torch.cat(guidance.parts(), 1) for guidance in (first, second)])[order]
    return Guidance(a, b, c, d, odds)
