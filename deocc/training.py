"""One training loop for every trainable system, on Accelerate.

A `System` owns a network, maybe a discriminator, and says what its losses are; `train` owns everything else:
devices and mixed precision, optimisers and schedule, the moving average of the weights, checkpoints, logs.
A run that is stopped and resumed continues bit for bit on a CPU (same threads, a limit in steps).
"""

from __future__ import annotations

import copy
import json
import logging
import math
import os
import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from accelerate.utils import broadcast, send_to_device, set_seed
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset, Sampler
from tqdm.auto import tqdm

from .errors import DeoccError
from .memory import keep_freed_memory
from .models.trunk import pretrained_parameters
from .occlusion import collate

Batch = dict[str, Tensor]
Prediction = dict[str, Tensor]
_log = logging.getLogger("deocc")


class System(Protocol):
    """What `train` wants of a trainable system.

    Attributes:
        network: the network that is trained, averaged and exported.
        discriminator: its adversary, or None.
        step: `train` writes the number of the current step here before each call, so that costly terms
            can run on some steps only.
        helpers: where there are any, names of attributes that hold frozen networks; training calls copies of
            them in its own precision.
    """

    network: nn.Module
    discriminator: nn.Module | None
    step: int

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        """Weighted terms whose sum trains the network; no gradient reaches the discriminator."""

    def discriminator_losses(self, batch: Batch) -> dict[str, Tensor]:
        """Weighted terms whose sum trains the discriminator, on the fakes of the last `losses` call.

        Empty where the discriminator rests in this step.
        """

    def predict(self, batch: Batch) -> Prediction:
        """The answer for a batch, in evaluation mode and without gradients."""

    def to(self, device: torch.device) -> Any:
        """Moves frozen helpers (feature extractors, earlier stages) to a device."""


class EpochDataset(Protocol):
    """A dataset whose items depend on (epoch, index) alone."""

    def __len__(self) -> int: ...
    def item(self, epoch: int, index: int) -> dict[str, Any]: ...


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
    log_every: int = 20  # steps a log line
    eval_every: int = 500  # steps an evaluation, 0: never
    checkpoint_every: int = 500  # steps a checkpoint
    keep_checkpoints: int = 2  # older ones are deleted

    def __post_init__(self) -> None:
        _require(self.steps is not None or self.max_minutes is not None, "set steps or max_minutes")
        _require(self.batch_size > 0, f"batch_size is {self.batch_size}; expected at least 1")
        for name, allowed in _CHOICES.items():
            value = getattr(self, name)
            _require(value in allowed, f"{name} is {value!r}; use one of {', '.join(allowed)}")


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


@dataclass
class TrainResult:
    """What a run leaves behind.

    Attributes:
        steps: steps done in all.
        minutes: training time in all.
        images_per_second: of this call, data and all losses included, evaluation and checkpoints not.
        evaluation: the last evaluation, of the averaged weights.
        ema: the averaged network, on the training device, in evaluation mode.
    """

    steps: int
    minutes: float
    images_per_second: float
    evaluation: dict[str, float]
    ema: nn.Module = field(repr=False)


# ------------------------------------------------------------------------------------------------- data


class _EpochView(Dataset):
    """A dataset addressed by (epoch, index), so that workers need no message when an epoch begins."""

    def __init__(self, data: EpochDataset) -> None:
        self.data = data

    def __len__(self) -> int:
        return len(self.data)

    def __getitem__(self, key: tuple[int, int]) -> dict[str, Any]:
        return self.data.item(*key)


class EndlessBatches(Sampler[list[tuple[int, int]]]):
    """Endless batches of (epoch, index), shuffled anew each epoch; can begin at any step.

    Args:
        length: items of the dataset.
        batch_size: items a process and step.
        seed: of the order.
        start: first step, from 0.
        rank, world: this process and how many there are; each takes its share of a global batch.
    """

    def __init__(
        self, length: int, batch_size: int, seed: int, start: int = 0, rank: int = 0, world: int = 1
    ) -> None:
        _require(length > 0, "no training item; give people folders with people in split 'train'")
        self.length, self.batch_size, self.seed = length, batch_size, seed
        self.start, self.rank, self.world = start, rank, world

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        position = self.start * self.batch_size * self.world
        while True:
            globally = [self._item(position + k) for k in range(self.batch_size * self.world)]
            position += len(globally)
            yield globally[self.rank :: self.world]

    def _item(self, position: int) -> tuple[int, int]:
        epoch, place = divmod(position, self.length)
        if getattr(self, "_epoch", None) != epoch:
            self._epoch = epoch
            self._order = np.random.default_rng([self.seed, epoch]).permutation(self.length)
        return epoch, int(self._order[place])


def make_loader(
    data: EpochDataset, config: TrainConfig, start: int, rank: int = 0, world: int = 1
) -> DataLoader:
    """An endless loader of collated batches that begins at step `start`."""
    batches = EndlessBatches(len(data), config.batch_size, config.seed, start, rank, world)
    return DataLoader(
        _EpochView(data),
        batch_sampler=batches,
        num_workers=config.workers,
        collate_fn=collate,
        generator=torch.Generator().manual_seed(config.seed),  # keeps the global generator untouched
        prefetch_factor=4 if config.workers else None,
        pin_memory=torch.cuda.is_available(),
    )


# -------------------------------------------------------------------------------------------- optimisers


def _parameter_groups(network: nn.Module, config: TrainConfig) -> list[dict[str, Any]]:
    """Weights decay, biases and norms do not; pretrained trunks move at a share of the learning rate."""
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
    """Share of the peak learning rate at a step (from 0); steps or minutes count, whichever leads."""
    warmup = min(1.0, (step + 1) / config.warmup_steps) if config.warmup_steps else 1.0
    if config.schedule == "constant":
        return warmup
    by_steps = step / config.steps if config.steps else 0.0
    by_time = minutes / config.max_minutes if config.max_minutes else 0.0
    progress = min(1.0, max(by_steps, by_time))
    return warmup * (config.final_lr + (1 - config.final_lr) * 0.5 * (1 + math.cos(math.pi * progress)))


def _set_lr(optimizer: Any, lr: float) -> None:
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


@contextmanager
def network_swapped(system: System, network: nn.Module) -> Iterator[System]:
    """The system with another network (the moving average) for a while."""
    trained, system.network = system.network, network
    try:
        yield system
    finally:
        system.network = trained


@contextmanager
def frozen(module: nn.Module) -> Iterator[nn.Module]:
    """A module whose parameters take no gradients for a while; gradients still flow through it."""
    before = [p.requires_grad for p in module.parameters()]
    module.requires_grad_(False)
    try:
        yield module
    finally:
        for parameter, flag in zip(module.parameters(), before, strict=True):
            parameter.requires_grad_(flag)


# ------------------------------------------------------------------------------------------- checkpoints


def _rng_state() -> dict[str, Any]:
    """State of every global generator, in types that a weights-only load admits."""
    name, keys, *rest = np.random.get_state()
    state = {"torch": torch.get_rng_state(), "python": random.getstate()}
    state["numpy"] = [str(name), torch.from_numpy(np.asarray(keys).astype(np.int64)), *rest]  # type: ignore
    if torch.cuda.is_available():
        state["cuda"] = torch.cuda.get_rng_state_all()
    return state


def _set_rng_state(state: dict[str, Any]) -> None:
    torch.set_rng_state(state["torch"])
    version, internal, gauss = state["python"]
    random.setstate((version, tuple(internal), gauss))
    name, keys, *rest = state["numpy"]
    np.random.set_state((name, keys.numpy().astype(np.uint32), *rest))
    if torch.cuda.is_available() and "cuda" in state:
        torch.cuda.set_rng_state_all(state["cuda"])


def checkpoints(out: Path) -> list[Path]:
    """Checkpoints of a run, oldest first."""
    return sorted((out / "checkpoints").glob("step_*.pt"))


def save_checkpoint(out: Path, state: dict[str, Any], keep: int) -> Path:
    """Writes a checkpoint under a temporary name, renames it, then deletes all but the last `keep`."""
    path = out / "checkpoints" / f"step_{state['step']:08d}.pt"
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".tmp")
    torch.save(state, temporary)
    os.replace(temporary, path)
    for old in checkpoints(out)[: -max(1, keep)]:
        old.unlink()
    return path


def load_checkpoint(path: Path) -> dict[str, Any]:
    """Reads a checkpoint without unpickling code.

    Raises:
        DeoccError: the file is cut off or foreign.
    """
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # zip, pickle and runtime errors all mean the same to the user
        raise DeoccError(
            f"{path}: not a readable checkpoint ({type(error).__name__}); delete it, an older one is used"
        ) from error


class JsonLines:
    """A log of one JSON object a line; a resumed run drops the lines beyond its checkpoint."""

    def __init__(self, path: Path, resume_step: int | None) -> None:
        kept = []
        if resume_step is not None and path.is_file():
            rows = (json.loads(line) for line in path.read_text().splitlines() if line.endswith("}"))
            kept = [row for row in rows if row.get("step", 0) <= resume_step]
        self.path = path
        path.write_text("".join(json.dumps(row) + "\n" for row in kept))

    def write(self, row: dict[str, Any]) -> None:
        with self.path.open("a") as file:
            file.write(json.dumps(row) + "\n")


# -------------------------------------------------------------------------------------------------- loop


Evaluate = Callable[[System], dict[str, float]]


def train(
    system: System,
    data: EpochDataset,
    config: TrainConfig,
    out: Path | str,
    resume: bool = False,
    evaluate: Evaluate | None = None,
    device: str | None = None,
) -> TrainResult:
    """Trains a system until `config.steps` or `config.max_minutes`, whichever comes first.

    Each step: the network's losses, its update, the discriminator's losses on the same fakes, its
    update, the moving average. `evaluate` sees the system with the averaged weights.

    Args:
        system: what to train; its modules are moved to the device.
        data: items by (epoch, index), see `deocc.occlusion.OcclusionDataset`.
        config: how to train.
        out: folder of `log.jsonl`, `config.json` and `checkpoints/`.
        resume: continue from the last checkpoint in `out`; starts afresh (and says so) where there is none.
        evaluate: called every `config.eval_every` steps and at the end.
        device: "cpu", "cuda", ...; None takes a GPU where there is one.

    Returns:
        `TrainResult` with the averaged network.

    Raises:
        DeoccError: `out` holds another run and `resume` is off; a loss is not finite.
    """
    keep_freed_memory()
    return _Run(system, data, config, Path(out), resume, evaluate, device).run()


class _Run:
    """The state of one call of `train`."""

    def __init__(
        self,
        system: System,
        data: EpochDataset,
        config: TrainConfig,
        out: Path,
        resume: bool,
        evaluate: Evaluate | None,
        device: str | None,
    ) -> None:
        self.system, self.data, self.config, self.out, self.evaluate = system, data, config, out, evaluate
        if config.threads:
            torch.set_num_threads(config.threads)
        AcceleratorState._reset_state()  # a notebook may train twice, with other devices or precisions
        self.accelerator = Accelerator(mixed_precision=config.mixed_precision, cpu=device == "cpu")
        _check_device(device, self.accelerator.device)
        set_seed(config.seed + self.accelerator.process_index)
        self.step, self.minutes, self.evaluation = 0, 0.0, {}  # type: ignore[var-annotated]
        self._prepare()
        state = self._find_checkpoint(resume)
        self._start_log(state)
        rank, world = self.accelerator.process_index, self.accelerator.num_processes
        self.loader = iter(make_loader(data, config, self.step, rank, world))
        if state is not None:
            _set_rng_state(state["rng"])

    def _prepare(self) -> None:
        system, prepare = self.system, self.accelerator.prepare
        self.network, self.discriminator = system.network, system.discriminator
        system.to(self.accelerator.device)
        if self.config.channels_last:
            self.network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.ema = copy.deepcopy(self.network).to(self.accelerator.device).eval().requires_grad_(False)
        for name in getattr(system, "helpers", ()):  # copies, for the precision stays with them
            helper = copy.deepcopy(getattr(system, name))
            if self.config.channels_last:
                helper.to(memory_format=torch.channels_last)
            setattr(system, name, self.accelerator.prepare_model(helper, evaluation_mode=True))
        system.network, self.optimizer = prepare(self.network, make_optimizer(self.network, self.config))
        self.optimizer_d = None
        if self.discriminator is not None:
            optimizer = torch.optim.Adam(
                self.discriminator.parameters(), lr=self.config.discriminator_lr, betas=(0.5, 0.999)
            )
            system.discriminator, self.optimizer_d = prepare(self.discriminator, optimizer)

    # ---- beginning and resuming

    def _find_checkpoint(self, resume: bool) -> dict[str, Any] | None:
        found = checkpoints(self.out)
        if found and not resume:
            raise DeoccError(f"{self.out} already holds a run; resume it, or give another folder")
        for path in reversed(found):
            try:
                state = load_checkpoint(path)
            except DeoccError as error:
                _log.warning("%s", error)
                continue
            self._load_state(state)
            _log.info("resuming %s at step %d", self.out, self.step)
            return state
        if resume:
            _log.warning("%s holds no readable checkpoint; starting from step 0", self.out)
        return None

    def _state(self) -> dict[str, Any]:
        state: dict[str, Any] = {
            "step": self.step,
            "minutes": self.minutes,
            "config": asdict(self.config),
            "evaluation": self.evaluation,
            "network": self.network.state_dict(),
            "ema": self.ema.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "rng": _rng_state(),
        }
        if self.discriminator is not None and self.optimizer_d is not None:
            state["discriminator"] = self.discriminator.state_dict()
            state["optimizer_d"] = self.optimizer_d.state_dict()
        if self.accelerator.scaler is not None:
            state["scaler"] = self.accelerator.scaler.state_dict()
        return state

    def _load_state(self, state: dict[str, Any]) -> None:
        changed = _changed(state["config"], asdict(self.config))
        if changed:
            _log.warning("resuming with other settings: %s", changed)
        self.step, self.minutes, self.evaluation = state["step"], state["minutes"], state["evaluation"]
        try:
            self._load_tensors(state)
        except (RuntimeError, KeyError, ValueError) as error:
            reason = str(error).splitlines()[0]
            raise DeoccError(
                f"{self.out} holds a run of another network ({reason}); resume with its own settings"
            ) from error
        if self.accelerator.scaler is not None and "scaler" in state:
            self.accelerator.scaler.load_state_dict(state["scaler"])

    def _load_tensors(self, state: dict[str, Any]) -> None:
        self.network.load_state_dict(state["network"])
        self.ema.load_state_dict(state["ema"])
        self.optimizer.load_state_dict(state["optimizer"])
        if self.discriminator is not None and self.optimizer_d is not None:
            self.discriminator.load_state_dict(state["discriminator"])
            self.optimizer_d.load_state_dict(state["optimizer_d"])

    def _start_log(self, state: dict[str, Any] | None) -> None:
        if not self.accelerator.is_main_process:
            return
        self.out.mkdir(parents=True, exist_ok=True)
        (self.out / "config.json").write_text(json.dumps(asdict(self.config), indent=1) + "\n")
        self.log = JsonLines(self.out / "log.jsonl", None if state is None else self.step)

    # ---- running

    def run(self) -> TrainResult:
        self.seconds, self.images = 0.0, 0  # of this call, without evaluation and checkpoints
        logged_step, logged_seconds = self.step, 0.0
        sums: dict[str, Tensor] = {}
        saved_step = -1
        with self._progress() as bar:
            while not self._finished():
                begun = time.perf_counter()
                terms = self._one_step()
                self._count(time.perf_counter() - begun)
                bar.update()
                for name, value in terms.items():
                    sums[name] = sums.get(name, torch.zeros_like(value)) + value
                if self.step % self.config.log_every == 0:
                    speed = (self.step - logged_step) * self._global_batch / (self.seconds - logged_seconds)
                    self._log_losses(sums, self.step - logged_step, speed, bar)
                    logged_step, logged_seconds, sums = self.step, self.seconds, {}
                if self.config.eval_every and self.step % self.config.eval_every == 0:
                    self._evaluate()
                if self.step % self.config.checkpoint_every == 0:
                    self._save()
                    saved_step = self.step
        if saved_step != self.step:
            if not (self.config.eval_every and self.step % self.config.eval_every == 0 and self.evaluation):
                self._evaluate()
            self._save()
        speed = self.images / self.seconds if self.seconds else 0.0
        return TrainResult(self.step, self.minutes, speed, self.evaluation, self.ema)

    @property
    def _global_batch(self) -> int:
        return self.config.batch_size * self.accelerator.num_processes

    def _count(self, seconds: float) -> None:
        self.seconds += seconds
        self.minutes = self._agreed(self.minutes + seconds / 60)
        self.images += self._global_batch

    def _agreed(self, minutes: float) -> float:
        """The time of process 0, so that all processes stop at the same step."""
        if self.accelerator.num_processes == 1 or self.config.max_minutes is None:
            return minutes
        value = torch.tensor([minutes], device=self.accelerator.device, dtype=torch.float64)
        return float(broadcast(value)[0])

    def _progress(self) -> tqdm:
        hidden = not self.accelerator.is_main_process or bool(os.environ.get("DEOCC_QUIET"))
        return tqdm(total=self.config.steps, initial=self.step, unit="step", disable=hidden, mininterval=2)

    def _finished(self) -> bool:
        steps, minutes = self.config.steps, self.config.max_minutes
        return (steps is not None and self.step >= steps) or (minutes is not None and self.minutes >= minutes)

    def _one_step(self) -> dict[str, Tensor]:
        """One alternation; returns the value of every term, without gradient."""
        system, config = self.system, self.config
        batch = self._next_batch()
        factor = lr_factor(config, self.step, self.minutes)
        system.step = self.step
        system.network.train()
        terms = system.losses(batch)
        _set_lr(self.optimizer, config.lr * factor)
        self._update(self.optimizer, system.network, terms)
        if self.optimizer_d is not None and system.discriminator is not None:
            terms_d = system.discriminator_losses(batch)
            if terms_d:
                _set_lr(self.optimizer_d, config.discriminator_lr * factor)
                self._update(self.optimizer_d, system.discriminator, terms_d)
                terms = {**terms, **terms_d}
        update_ema(self.ema, self.network, config.ema_decay, self.step)
        self.step += 1
        return {name: value.detach() for name, value in terms.items()}

    def _next_batch(self) -> Batch:
        batch = send_to_device(next(self.loader), self.accelerator.device)
        if not self.config.channels_last:
            return batch
        layout = torch.channels_last
        return {k: v.contiguous(memory_format=layout) if v.ndim == 4 else v for k, v in batch.items()}

    def _update(self, optimizer: Any, module: nn.Module, terms: dict[str, Tensor]) -> None:
        optimizer.zero_grad(set_to_none=True)
        self.accelerator.backward(torch.stack([value.float() for value in terms.values()]).sum())
        if self.config.grad_clip:
            self.accelerator.clip_grad_norm_(module.parameters(), self.config.grad_clip)
        optimizer.step()

    def _log_losses(self, sums: dict[str, Tensor], steps: int, speed: float, bar: tqdm) -> None:
        means = {name: float(value) / steps for name, value in sums.items()}
        broken = [name for name, value in means.items() if not math.isfinite(value)]
        if broken and self.accelerator.scaler is None:
            raise DeoccError(
                f"loss {', '.join(broken)} is not finite at step {self.step}; "
                "lower lr, or resume from the last checkpoint"
            )
        if self.accelerator.is_main_process:
            lr = self.config.lr * lr_factor(self.config, self.step - 1, self.minutes)
            row = {"step": self.step, "minutes": round(self.minutes, 3), "lr": lr}
            rounded = {name: float(f"{value:.5g}") for name, value in means.items()}
            self.log.write({**row, "images_per_second": round(speed, 2), "losses": rounded})
            bar.set_postfix_str(f"loss {sum(means.values()):.3f}, {speed:.1f} img/s", refresh=False)

    def _evaluate(self) -> None:
        if self.evaluate is None:
            return
        with network_swapped(self.system, self.ema), torch.no_grad():
            self.evaluation = {name: float(value) for name, value in self.evaluate(self.system).items()}
        if self.accelerator.is_main_process:
            row = {"step": self.step, "minutes": round(self.minutes, 3), "evaluation": self.evaluation}
            self.log.write(row)
            text = ", ".join(f"{name} {value:.3f}" for name, value in self.evaluation.items())
            _log.info("step %d, %.1f min: %s", self.step, self.minutes, text)

    def _save(self) -> None:
        if self.accelerator.is_main_process:
            save_checkpoint(self.out, self._state(), self.config.keep_checkpoints)
        self.accelerator.wait_for_everyone()


def _check_device(wanted: str | None, found: torch.device) -> None:
    """Accelerate takes the CPU where it finds no GPU; a user who asked for one should hear of it."""
    if wanted is not None and torch.device(wanted).type != found.type:
        raise DeoccError(f"device {wanted!r} is not to be had here ({found} is); leave it out, or use 'cpu'")


def _changed(old: dict[str, Any], new: dict[str, Any]) -> str:
    return ", ".join(f"{key} {old.get(key)} -> {new[key]}" for key in new if old.get(key) != new[key])
