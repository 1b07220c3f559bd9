"""A second look at a person whose rough mask is poor. Ours, not the paper's.

Where stage 1 contradicts M_i, its own visible mask is the better M_i. Stage 1 then runs once more, on that
mask and in a closer frame, and the mean of both answers counts.
"""

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from deocc.inference.answers import Completion
from deocc.masks import Frame

CLOSER = 0.8  # side of the second frame, in sides of the first
AGREE = 0.8, 0.9  # IoU of M_i and the refined visible mask: up to the first, the second look counts in full;
#                   from the second on, it is left out
SHARE = 0.5  # of the second answer in the mean, where it counts in full
FEATHER = 0.05  # rim of the second frame, in its sides, in which its share falls to 0


def share_of_second(initial_mask: np.ndarray, refined: np.ndarray) -> float:
    """The second answer's share in the mean, for two S x S bool masks; in [0, `SHARE`]."""
    either = int((initial_mask | refined).sum())
    if not either or not refined.any():
        return 0.0
    return float(np.interp((initial_mask & refined).sum() / either, AGREE, (SHARE, 0.0)))


def closer(frame: Frame) -> Frame:
    """The frame of the second look: the middle of the first."""
    rim = (1 - CLOSER) / 2 * frame.side
    return Frame(frame.x0 + rim, frame.y0 + rim, CLOSER * frame.side)


def mean_of_looks(first: Completion, second: Completion, share: float) -> Completion:
    """The mean of stage 1's answers in a frame and in its `closer` frame.

    Args:
        first, second: C x S x S each, on the grids of the two frames.
        share: of the second one, in its middle; it falls to 0 at the border of its frame.

    Returns:
        On the first grid; `first` outside the closer frame.
    """
    size, device = first.modal.shape[-1], first.modal.device
    centres = (torch.arange(size, device=device) + 0.5) * (2 / size) - 1  # in [-1, 1] of the first frame
    across = centres / CLOSER
    fade = ((1 - across.abs()) / (2 * FEATHER)).clamp(0, 1)
    weight = share * fade[:, None] * fade[None, :]
    grid = torch.stack(torch.meshgrid(across, across, indexing="xy"), dim=-1)[None]

    def mean(one: Tensor, other: Tensor) -> Tensor:
        moved = F.grid_sample(other[None], grid, padding_mode="border", align_corners=False)[0]
        return torch.lerp(one, moved, weight)

    return Completion(*(mean(*pair) for pair in zip(first, second, strict=True)))
