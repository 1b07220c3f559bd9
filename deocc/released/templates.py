"""Templates of tight boxes."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from deocc.clusters import kmeans
from deocc.masks import mask_box
from deocc.training.loader import EpochDataset
from deocc.training.templates import collect_masks


def tight_templates(
    data: EpochDataset, count: int = 64, size: int = 32, samples: int = 2048, seed: int = 0, frame: int = 128
) -> Tensor:
    """K templates by k-means on amodal masks, each cut out by its tight box and stretched to a square.

    Args:
        data: the training dataset.
        count: K; the released script makes 128, its network loads 64.
        size: side of a template.
        samples: masks that are clustered.
        seed: of the draw and of k-means.
        frame: side at which masks are collected before they are cut.

    Returns:
        count x size x size float32 in [0, 1], largest area first.

    Source: departure 10.
    Differs from the paper: it runs k-means "on the annotations of the training set"; ours stand in the
    frame that the network sees (`deocc.training.templates.make_templates`).
    """
    masks = collect_masks(data, samples, frame, seed)
    cut = [_cut(mask, size) for mask in masks if bool((mask > 0.5).any())]
    centres = torch.from_numpy(kmeans(torch.stack(cut).flatten(1).numpy(), count, seed=seed)).clamp(0, 1)
    return centres[centres.sum(1).argsort(descending=True)].reshape(count, size, size)


def _cut(mask: Tensor, size: int) -> Tensor:
    """The tight box of a mask (H x W), averaged over areas to size x size."""
    x0, y0, x1, y1 = mask_box((mask > 0.5).numpy())
    return F.interpolate(mask[None, None, y0:y1, x0:x1], (size, size), mode="area")[0, 0]
