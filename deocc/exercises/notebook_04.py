"""Exercises of notebook 04, content recovery."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from deocc.exercises.verdict import ask, exercise, near, require
from deocc.metrics import frechet_of_features
from deocc.models import PartialConv2d


@exercise
def grow(answer: Any) -> str:
    """(validity 1 x 1 x H x W, kernel, stride) -> validity after a partial convolution (padding k // 2)."""
    made = torch.Generator().manual_seed(0)
    for kernel, stride in ((3, 1), (5, 2), (7, 2)):
        valid = (torch.rand(1, 1, 40, 40, generator=made) > 0.97).float()
        layer = PartialConv2d(1, 1, kernel, stride, kernel // 2)
        with torch.no_grad():
            wanted = layer(valid, valid)[1]
        found = ask(answer, valid, kernel, stride)
        require(isinstance(found, torch.Tensor), "return a tensor")
        near(found.detach(), wanted, f"the validity after {kernel} x {kernel}, stride {stride}")
    return "known where anything under the window is known: a max pool."


@exercise
def best_grey(answer: Any) -> str:
    """(truths N x 3 x H x W) -> 1 x 3 x H x W, the picture of least mean L1 to all of them."""
    made = torch.Generator().manual_seed(0)
    for count in (3, 9):
        truths = torch.rand(count, 3, 8, 10, generator=made) ** 3
        found = ask(answer, truths)
        require(isinstance(found, torch.Tensor), "return a tensor")
        require(tuple(found.shape) == (1, 3, 8, 10), f"the picture has shape {tuple(found.shape)}")
        least = (truths.median(0, keepdim=True).values - truths).abs().mean()
        here = (found - truths).abs().mean()
        require(here <= least + 1e-6, f"its mean L1 to {count} truths is {here:.4f}; {least:.4f} is possible")
    return "nothing is nearer to all of them, and it is none of them."


@exercise
def paint_by_relevance(answer: Any) -> str:
    """(colours L x 3, R: L x L) -> L x 3, for each position the colours of all, weighted by its row of R."""
    rng = np.random.default_rng(0)
    for count in (5, 12):
        colours, relation = rng.random((count, 3)), rng.random((count, count)) ** 3
        relation /= relation.sum(1, keepdims=True)
        wanted = [sum(relation[i, j] * colours[j] for j in range(count)) for i in range(count)]
        near(ask(answer, colours, relation), wanted, f"the colours of {count} positions")
    return "one matrix product: row i says where position i looks."


@exercise
def moved_distance(answer: Any) -> str:
    """(vector v) -> Frechet distance between features and the same features moved by v."""
    rng = np.random.default_rng(0)
    features = rng.normal(size=(60, 8))
    for scale in (0.1, 1.0, 3.0):
        move = scale * rng.normal(size=8)
        measured = frechet_of_features(features + move, features).value
        near(
            ask(answer, move), measured, f"the distance of a move of length {np.linalg.norm(move):.2f}", 1e-3
        )
    return "the covariances are equal, so only the means count: the squared length of the move."
