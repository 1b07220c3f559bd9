"""The optimisation of a training: updates of weights by a schedule, with their moving average."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import nn

from deocc.models.trunk import pretrained_parameters
from deocc.training.config import TrainConfig


def _parameter_groups(network: nn.Module, config: TrainConfig) -> list[dict[str, Any]]:
    """Parameter groups: only weights decay; pretrained trunks have a share of the learning rate."""
    gentle = {id(p) for p in pretrained_parameters(network)}
    groups: dict[tuple[bool, bool], list[nn.Parameter]] = {}
    for parameter in network.parameters():
        if parameter.requires_grad:
            groups.setdefault((id(parameter) in gentle, parameter.ndim > 1), []).append(parameter)
    return [
        {
            "params": members,
            "weight_decay": config.weight_decay if decays else 0.0,
            "lr_share": config.pretrained_lr if pretrained else 1.0,
        }
        for (pretrained, decays), members in groups.items()
    ]


def make_optimizer(network: nn.Module, config: TrainConfig) -> torch.optim.Optimizer:
    """The network's optimiser."""
    groups = _parameter_groups(network, config)
    if config.optimizer == "sgd":
        return torch.optim.SGD(groups, lr=config.lr, momentum=config.momentum)
    kind = torch.optim.AdamW if config.optimizer == "adamw" else torch.optim.Adam
    return kind(groups, lr=config.lr, betas=(config.momentum, 0.999), fused=True)


def lr_factor(config: TrainConfig, step: int, minutes: float) -> float:
    """Share of the peak learning rate at a step (from 0), by steps or minutes, whichever is further."""
    warmup = min(1.0, (step + 1) / config.warmup_steps) if config.warmup_steps else 1.0
    if config.schedule == "constant":
        return warmup
    by_steps = step / config.steps if config.steps else 0.0
    by_time = minutes / config.max_minutes if config.max_minutes else 0.0
    progress = min(1.0, max(by_steps, by_time))
    return warmup * (config.final_lr + (1 - config.final_lr) * 0.5 * (1 + math.cos(math.pi * progress)))


def set_lr(optimizer: Any, lr: float) -> None:
    for group in optimizer.param_groups:
        group["lr"] = lr * group.get("lr_share", 1.0)


@torch.no_grad()
def update_ema(ema: nn.Module, network: nn.Module, decay: float, step: int) -> None:
    """Moves the average towards the network by 1 - decay: weights and norm statistics; counters are copied.

    The decay starts at 1/10 and rises as (1 + step) / (10 + step), so that the average forgets the
    initial weights.
    """
    decay = min(decay, (1 + step) / (10 + step))
    pairs = list(zip(ema.state_dict().values(), network.state_dict().values(), strict=True))
    moving = [(average, current) for average, current in pairs if average.is_floating_point()]
    torch._foreach_lerp_([a for a, _ in moving], [c for _, c in moving], 1 - decay)
    for average, current in pairs:
        if not average.is_floating_point():
            average.copy_(current)
