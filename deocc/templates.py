"""Template masks T_k: typical whole-person masks in the frame that a network sees (Sec. 3.2)."""

from __future__ import annotations

import logging
from typing import Any, Protocol

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from .errors import DeoccError

_log = logging.getLogger("deocc")


class Items(Protocol):
    """A dataset whose items hold `amodal_mask`, 1 x H x W {0, 1}, in a jittered person frame."""

    def __len__(self) -> int: ...
    def item(self, epoch: int, index: int) -> dict[str, Any]: ...


def collect_masks(data: Items, count: int, size: int, seed: int = 0) -> Tensor:
    """Amodal masks of training items (of further epochs once people run out), averaged over areas.

    Frames, jitter and occlusion are those of training, so the masks lie where the network will meet them: a
    person cut at the waist is larger in its frame than one seen whole.

    Returns:
        count x size x size float32 in [0, 1].
    """
    order = np.random.default_rng(seed).permutation(max(count, len(data)))[:count]
    masks = (data.item(*divmod(int(index), len(data)))["amodal_mask"] for index in order)
    return torch.stack([F.adaptive_avg_pool2d(mask.float(), size)[0] for mask in masks])


def kmeans(points: Tensor, clusters: int, iterations: int = 30, seed: int = 0) -> Tensor:
    """Lloyd's algorithm from a k-means++ start. Args: points: N x D. Returns: clusters x D centres.

    An empty cluster is moved to the point farthest from its centre.

    Raises:
        DeoccError: fewer points than clusters.
    """
    if len(points) < clusters:
        raise DeoccError(f"{len(points)} masks for {clusters} templates; give more people or fewer templates")
    generator = torch.Generator().manual_seed(seed)
    centres = _spread_start(points, clusters, generator)
    labels = torch.full((len(points),), -1)
    for _ in range(iterations):
        distance = torch.cdist(points, centres)  # N x clusters
        nearest, found = distance.min(dim=1)
        if torch.equal(found, labels):
            break
        labels = found
        sums = torch.zeros_like(centres).index_add_(0, labels, points)
        counts = torch.bincount(labels, minlength=clusters)[:, None]
        centres = torch.where(counts > 0, sums / counts.clamp_min(1), centres)
        empty = (counts[:, 0] == 0).nonzero()[:, 0]
        centres[empty] = points[nearest.topk(max(1, len(empty))).indices[: len(empty)]]
    return centres


def _spread_start(points: Tensor, clusters: int, generator: torch.Generator) -> Tensor:
    """k-means++: each further centre is drawn with probability proportional to its squared distance."""
    chosen = [int(torch.randint(len(points), (1,), generator=generator))]
    distance = (points - points[chosen[0]]).square().sum(1)
    while len(chosen) < clusters:
        weight = distance.double() + 1e-12
        chosen.append(int(torch.multinomial(weight, 1, generator=generator)))
        distance = torch.minimum(distance, (points - points[chosen[-1]]).square().sum(1))
    return points[chosen].clone()


def make_templates(
    data: Items, count: int = 64, size: int = 32, samples: int = 4096, seed: int = 0
) -> Tensor:
    """K template masks by k-means on amodal masks of training items.

    Args:
        data: the training dataset.
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
    centres = kmeans(masks.flatten(1), count, seed=seed).clamp(0, 1)
    centres = centres[centres.sum(1).argsort(descending=True)]
    _log.info("%d templates of %d x %d from %d masks", count, size, size, len(masks))
    return centres.reshape(count, size, size)
