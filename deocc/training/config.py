"""`TrainConfig`: the options of the training loop."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

from deocc.checks import ANY, MAX_SEED, check_config
from deocc.errors import DeoccError


@dataclass(frozen=True)
class TrainConfig:
    """How to train; every field has one meaning for all systems."""

    batch_size: int = 16  # items a step and process
    steps: int | None = None  # stop after this many steps; None: by `max_minutes` alone
    max_minutes: float | None = None  # stop after this much training time, summed over resumed runs
    optimizer: str = "adamw"  # "adamw", "adam" or "sgd"
    lr: float = 1e-3  # peak learning rate
    pretrained_lr: float = 0.2  # of pretrained trunks, in shares of lr
    momentum: float = 0.9  # of SGD; beta_1 of Adam and AdamW
    weight_decay: float = 1e-4  # not applied to biases and norms
    schedule: str = "cosine"  # "cosine" falls to final_lr x lr; "constant" stays
    final_lr: float = 0.01  # share of lr left at the end of the cosine
    warmup_steps: int = 200  # linear rise of lr
    grad_clip: float = 1.0  # largest norm of a gradient, 0 leaves it alone
    discriminator_lr: float = 2e-4  # Adam, betas (0.5, 0.999), same schedule
    ema_decay: float = 0.999  # of the moving average of the weights; starts lower and rises with the steps
    mixed_precision: str = "no"  # "no", "bf16" or "fp16"
    channels_last: bool = True  # memory layout of network and pictures; a fifth faster on a CPU
    workers: int = 1  # processes that make batches
    threads: int | None = None  # CPU threads of torch; None: torch's choice
    seed: int = 0  # of weights, order and every draw
    log_every: int = 20  # steps per log line
    eval_every: int = 500  # steps an evaluation, 0: never
    checkpoint_every: int = 500  # steps a checkpoint
    keep_checkpoints: int = 2  # older ones are deleted

    def __post_init__(self) -> None:
        check_config(self, "training configuration", _RANGES)
        _require(self.steps is not None or self.max_minutes is not None, "set steps or max_minutes")
        for name, allowed in _CHOICES.items():
            value = getattr(self, name)
            _require(value in allowed, f"{name} is {value!r}; use one of {', '.join(allowed)}")


_RANGES: dict[str, tuple[float, float]] = {
    **dict.fromkeys(("batch_size", "steps", "threads", "log_every", "checkpoint_every"), (1, ANY)),
    **dict.fromkeys(("max_minutes", "lr", "pretrained_lr", "discriminator_lr", "weight_decay"), (0, ANY)),
    **dict.fromkeys(("warmup_steps", "grad_clip", "eval_every"), (0, ANY)),
    **dict.fromkeys(("momentum", "final_lr", "ema_decay"), (0, 1)),
    "workers": (0, 1024),
    "seed": (0, MAX_SEED),
    "keep_checkpoints": (1, ANY),
}
_CHOICES = {
    "optimizer": ("adamw", "adam", "sgd"),
    "schedule": ("cosine", "constant"),
    "mixed_precision": ("no", "bf16", "fp16"),
}


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise DeoccError(f"training configuration: {message}")


def from_dict(kind: type, values: dict[str, Any]) -> Any:
    """Builds a configuration dataclass; an unknown key is an error that lists the known ones."""
    known = [f.name for f in fields(kind)]
    unknown = sorted(set(values) - set(known))
    _require(not unknown, f"unknown key {', '.join(unknown)} for {kind.__name__}; known: {', '.join(known)}")
    return kind(**values)
