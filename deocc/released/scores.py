"""Conventions of the released code's scores."""

from __future__ import annotations

import numpy as np
from torch import Tensor

from deocc import metrics


def pasted(recovered: Tensor, target: Tensor, amodal_mask: Tensor) -> Tensor:
    """The picture that the released code scores: recovered, with the truth pasted outside the person.

    Args:
        recovered, target: N x 3 x H x W.
        amodal_mask: the true M_a, N x 1 x H x W {0, 1}.

    Returns:
        N x 3 x H x W. A mean over the whole picture then counts pixels that nobody painted.

    Source: departure 12.
    Differs from the paper: it does not say where its L1 and FID are measured; ours, inside M_inv.
    """
    return recovered * amodal_mask + target * (1 - amodal_mask)


def iou_empty_is_zero(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """IoU of each pair of masks; two empty ones score 0.

    Args:
        a, b: ... x H x W bool.

    Returns:
        ... float64 in [0, 1].

    Source: departure 12. Ours: `deocc.metrics.mask_iou`, where two empty masks agree and score 1.
    """
    empty = ~(a.any((-2, -1)) | b.any((-2, -1)))
    return np.where(empty, 0.0, np.asarray(metrics.mask_iou(a, b)))
