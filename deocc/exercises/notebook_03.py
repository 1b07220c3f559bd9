"""Exercises of notebook 03, mask completion."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from deocc.exercises.verdict import ask, exercise, near, require
from deocc.metrics import mask_iou
from deocc.training.losses import soft_iou_loss


def mean_number(distances: np.ndarray, temperature: float) -> float:
    """How many templates share the weight on average. Args: distances: N x K. Returns: mean of e^entropy."""
    odds = -np.asarray(distances, float) / temperature
    odds -= odds.max(1, keepdims=True)
    weights = np.exp(odds) / np.exp(odds).sum(1, keepdims=True)
    entropy = -(weights * np.log(np.clip(weights, 1e-300, None))).sum(1)
    return float(np.exp(entropy).mean())


@exercise
def temperature_for(answer: Any) -> str:
    """(distances N x K, wanted number) -> tau at which that many templates share the weight on average."""
    rng = np.random.default_rng(0)
    for wanted in (2, 4, 10):
        distances = rng.uniform(0.02, 0.3, (20, 32))
        tau = float(ask(answer, distances, wanted))
        require(tau > 0, f"tau is {tau}; a temperature is above 0")
        reached = mean_number(distances, tau)
        require(
            abs(reached - wanted) < 0.02 * wanted,
            f"at tau = {tau:.4g}, {reached:.2f} templates share the weight; {wanted} were wanted",
        )
    return (
        "two, four and ten templates: the number rises with the temperature, so halving an interval finds it."
    )


@exercise
def my_soft_iou(answer: Any) -> str:
    """(probability, mask: 1 x 1 x H x W tensors) -> 1 - sum pm / sum (p + m - pm)."""
    made = torch.Generator().manual_seed(0)
    for _ in range(3):
        p, m = torch.rand(1, 1, 9, 11, generator=made), torch.rand(1, 1, 9, 11, generator=made) > 0.5
        wanted = soft_iou_loss(p, m.float(), torch.ones_like(p))
        near(ask(answer, p, m.float()), wanted, "the loss of a soft mask", 1e-4)
        hard = (p > 0.4).float()
        near(
            ask(answer, hard, m.float()),
            1 - mask_iou(hard, m.float()).mean().item(),
            "the loss of a binary mask",
            1e-4,
        )
    return "1 - IoU for binary masks, the package's loss for soft ones."


@exercise
def best_probability(answer: Any) -> str:
    """(weight w, true share pi) -> the p that minimises -w pi log p - (1 - pi) log(1 - p)."""
    for weight in (1.0, 3.0, 5.0):
        for share in (0.1, 0.5, 0.8):
            grid = np.linspace(1e-4, 1 - 1e-4, 200_001)
            cost = -weight * share * np.log(grid) - (1 - share) * np.log(1 - grid)
            about = f"the best p for weight {weight:g} and share {share:g}"
            near(ask(answer, weight, share), grid[cost.argmin()], about, 1e-3)
    return "its log-odds exceed those of the share by the log of the weight: that is the bias of section 11."


@exercise
def mirror_average(answer: Any) -> str:
    """(probabilities of image and mirror image: N x 1 x H x W) -> mean of the log-odds, as probability."""
    made = torch.Generator().manual_seed(0)
    p, q = (0.01 + 0.98 * torch.rand(2, 1, 6, 7, generator=made) for _ in range(2))
    wanted = ((torch.logit(p) + torch.logit(q.flip(3))) / 2).sigmoid()
    found = ask(answer, p, q)
    require(isinstance(found, torch.Tensor), "return a tensor")
    near(found, wanted, "the average", 1e-4)
    return "turned back first, then averaged as log-odds."
