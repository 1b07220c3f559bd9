"""Template masks T_k: typical whole-person masks in the frame that a network sees (Sec. 3.2)."""

from __future__ import annotations

import logging

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from deocc.clusters import kmeans
from deocc.training.loader import EpochDataset

_log = logging.getLogger("deocc")


def collect_masks(data: EpochDataset, count: int, size: int, seed: int = 0) -> Tensor:
    """Amodal masks of training items (of further epochs once people run out), averaged over areas.

    Frames, jitter and occlusion are those of training, so the masks lie where the network will see them: a
    person cut at the waist is larger in its frame than one seen whole.

    Args:
        data: its items hold `amodal_mask`, 1 x H x W {0, 1}, in a jittered person frame.
        count: of the masks.
        size: their side, pixels.
        seed: of the draw.

    Returns:
        count x size x size float32 in [0, 1].
    """
    order = np.random.default_rng(seed).permutation(max(count, len(data)))[:count]
    masks = (data.item(*divmod(int(index), len(data)))["amodal_mask"] for index in order)
    return torch.stack([F.adaptive_avg_pool2d(mask.float(), size)[0] for mask in masks])


def make_templates(
    data: EpochDataset, count: int = 64, size: int = 32, samples: int = 4096, seed: int = 0
) -> Tensor:
    """K template masks by k-means on amodal masks of training items.

    Args:
        data: the training dataset, as of `collect_masks`.
        count: K.
        size: side of a template in its own pixels; the frame is what it covers.
        samples: masks that are clustered.
        seed: of the draw and of k-means.

    Returns:
        count x size x size float32 in [0, 1], largest cluster area first.

    Source: Sec. 3.2, "running k-means on the annotations of the training set".
    Differs from the released code: centres in the network's own frame, not tight boxes.
    """
    masks = collect_masks(data, samples, size, seed)
    centres = torch.from_numpy(kmeans(masks.flatten(1).numpy(), count, seed=seed)).clamp(0, 1)
    centres = centres[centres.sum(1).argsort(descending=True)]
    _log.info("%d templates of %d x %d from %d masks", count, size, size, len(masks))
    return centres.reshape(count, size, size)
