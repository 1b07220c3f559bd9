"""One training loop for every trainable system, on Accelerate.

A `System` owns a network, its losses and possibly a discriminator. `train` owns everything else: devices,
mixed precision, optimisers, schedule, the moving average of the weights, checkpoints and logs. On a CPU, a
resumed run continues bit for bit (with the same number of threads, and a limit in steps).
"""

from __future__ import annotations

import copy
import json
import logging
import math
import os
import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from accelerate.utils import send_to_device, set_seed
from torch import Tensor, nn
from tqdm.auto import tqdm

from deocc.errors import DeoccError
from deocc.io import write_atomic
from deocc.io.locks import alone
from deocc.memory import keep_freed_memory
from deocc.occlusion.batch import Batch
from deocc.training.checkpoints import (
    MISFIT,
    JsonLines,
    checkpoints,
    load_optimizer,
    newest_checkpoint,
    remove_half_written,
    rng_state,
    save_checkpoint,
    set_rng_state,
)
from deocc.training.config import TrainConfig
from deocc.training.history import Stretch, changed, continued, trained
from deocc.training.loader import EpochDataset, make_loader
from deocc.training.optimisers import lr_factor, make_optimizer, set_lr, update_ema
from deocc.training.processes import (
    agreed,
    averaged,
    is_first,
    make_accelerator,
    of_every_process,
    synchronised_norms,
)
from deocc.training.system import System, network_swapped

_log = logging.getLogger("deocc")

LOCK = ".train.lock"  # in the folder of a run


@dataclass
class TrainResult:
    """The result of a run.

    Attributes:
        steps: steps done in all.
        minutes: training time in all.
        images_per_second: of the last call that made a step, data and all losses included, evaluation and
            checkpoints not.
        evaluation: the last evaluation, of the averaged weights.
        ema: the averaged network, on the training device, in evaluation mode.
        stretches: what the run was trained on, see `deocc.training.history`.
    """

    steps: int
    minutes: float
    images_per_second: float
    evaluation: dict[str, float]
    ema: nn.Module = field(repr=False)
    stretches: list[Stretch] = field(default_factory=list)


Evaluate = Callable[[System], dict[str, float]]


def train(
    system: System,
    data: EpochDataset,
    config: TrainConfig,
    out: Path | str,
    resume: bool = False,
    evaluate: Evaluate | None = None,
    device: str | None = None,
    facts: dict[str, Any] | None = None,
) -> TrainResult:
    """Trains a system until `config.steps` or `config.max_minutes`, whichever comes first.

    Each step: the network's losses, its update, the discriminator's losses on the same fakes, its
    update, the moving average. `evaluate` sees the system with the averaged weights.

    Args:
        system: what to train; its modules are moved to the device.
        data: items by (epoch, index), see `deocc.occlusion.OcclusionDataset`.
        config: how to train.
        out: folder of `log.jsonl`, `config.json` and `checkpoints/`.
        resume: continue from the last checkpoint in `out`; without one, a warning says so and step 0 starts.
        evaluate: called every `config.eval_every` steps and at the end.
        device: "cpu", "cuda", ...; None takes a GPU where there is one.
        facts: what the run is trained on, as JSON values by name. Checkpoints keep them, and a run that is
            resumed with other ones says so.

    Returns:
        `TrainResult` with the averaged network.

    Raises:
        DeoccError: `out` holds another run and `resume` is off; another process trains in it; a loss is not
            finite.
    """
    keep_freed_memory()
    out = Path(out)
    own = alone(out / LOCK, f"{out}: another process trains here") if is_first() else nullcontext()
    with own:
        return _Run(system, data, config, out, resume, evaluate, device, facts).run()


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
        facts: dict[str, Any] | None,
    ) -> None:
        self.system, self.data, self.config, self.out, self.evaluate = system, data, config, out, evaluate
        if config.threads:
            torch.set_num_threads(config.threads)
        self.accelerator = make_accelerator(device, config.mixed_precision)
        rank, world = self.accelerator.process_index, self.accelerator.num_processes
        set_seed((config.seed + rank) % 2**32)
        self.step, self.minutes, self.evaluation = 0, 0.0, {}  # type: ignore[var-annotated]
        self.evaluated_step = -1
        self.sums, self.summed = {}, 0  # type: ignore[var-annotated]  # of losses since the last log line
        self.facts, self.stretches, self.speed = facts, continued([], facts, 0)[0], 0.0
        self._prepare()
        state = self._find_checkpoint(resume)
        self.saved_step = -1 if state is None else self.step
        self._start_log(state)
        self.loader = iter(make_loader(data, config, self.step, rank, world))
        if state is not None:
            self._set_generators(state["rng"], rank)

    def _prepare(self) -> None:
        system, prepare = self.system, self.accelerator.prepare
        self.network, self.discriminator = system.network, system.discriminator
        system.to(self.accelerator.device)
        self.network = synchronised_norms(self.network, self.accelerator)
        if self.discriminator is not None:
            self.discriminator = synchronised_norms(self.discriminator, self.accelerator)
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
        found = bool(checkpoints(self.out)) and self.accelerator.is_main_process
        if agreed(self.accelerator, found) and not resume:
            raise DeoccError(f"{self.out} already holds a run; resume it, or give another folder")
        newest = newest_checkpoint(self.out) if resume and self.accelerator.is_main_process else None
        state = agreed(self.accelerator, None if newest is None else newest[1])
        if state is not None:
            self._load_state(state)
            _log.info("resuming %s at step %d", self.out, self.step)
        elif resume and self.accelerator.is_main_process:
            _log.warning("%s holds no readable checkpoint; starting from step 0", self.out)
        return state

    def _state(self) -> dict[str, Any]:
        state: dict[str, Any] = {
            "step": self.step,
            "minutes": self.minutes,
            "config": asdict(self.config),
            "evaluation": self.evaluation,
            "evaluated_step": self.evaluated_step,
            "images_per_second": self.speed,
            "stretches": self.stretches,
            "network": self.network.state_dict(),
            "ema": self.ema.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "since_log": {"steps": self.summed, "sums": self.sums},
        }
        if self.discriminator is not None and self.optimizer_d is not None:
            state["discriminator"] = self.discriminator.state_dict()
            state["optimizer_d"] = self.optimizer_d.state_dict()
        if self.accelerator.scaler is not None:
            state["scaler"] = self.accelerator.scaler.state_dict()
        return state

    def _load_state(self, state: dict[str, Any]) -> None:
        if words := changed(state["config"], asdict(self.config)):
            _log.warning("resuming with other settings: %s", words)
        self.speed = state.get("images_per_second", 0.0)
        self.step, self.minutes, self.evaluation = state["step"], state["minutes"], state["evaluation"]
        self.evaluated_step = state.get("evaluated_step", -1)
        self._go_on(state.get("stretches", []))
        try:
            self._load_tensors(state)
        except MISFIT as error:
            raise DeoccError(
                f"{self.out} holds a run of another network; resume with its own system and preset"
            ) from error
        if self.accelerator.scaler is not None and "scaler" in state:
            self.accelerator.scaler.load_state_dict(state["scaler"])

    def _go_on(self, stretches: list[Stretch]) -> None:
        if self._finished():  # this call adds nothing
            self.stretches = stretches or self.stretches
            return
        self.stretches, words = continued(stretches, self.facts, self.step)
        if words:
            _log.warning("resuming on other people, or with other settings: %s", words)

    def _load_tensors(self, state: dict[str, Any]) -> None:
        self.network.load_state_dict(state["network"])
        self.ema.load_state_dict(state["ema"])
        load_optimizer(self.optimizer, state["optimizer"])
        if self.discriminator is not None and self.optimizer_d is not None:
            self.discriminator.load_state_dict(state["discriminator"])
            load_optimizer(self.optimizer_d, state["optimizer_d"])
        since = state.get("since_log", {"steps": 0, "sums": {}})
        self.summed = int(since["steps"])
        self.sums = {name: value.to(self.accelerator.device) for name, value in since["sums"].items()}

    def _set_generators(self, states: dict[str, Any] | list[dict[str, Any]], rank: int) -> None:
        """Restores this process's generators; earlier checkpoints hold only those of process 0."""
        states = states if isinstance(states, list) else [states]
        if rank >= len(states):
            set_seed((self.config.seed + rank + 1000 * self.step) % 2**32)
            _log.warning("process %d was not in this run before; its random draws are new ones", rank)
            return
        try:
            set_rng_state(states[rank])
        except MISFIT as error:
            raise DeoccError(f"{self.out}: the checkpoint's random states are damaged ({error})") from error

    def _start_log(self, state: dict[str, Any] | None) -> None:
        if not self.accelerator.is_main_process:
            return
        self.out.mkdir(parents=True, exist_ok=True)
        remove_half_written(self.out)
        text = json.dumps(asdict(self.config), indent=1) + "\n"
        write_atomic(self.out / "config.json", lambda file: file.write(text.encode()))
        self.log = JsonLines(self.out / "log.jsonl", None if state is None else self.step)

    # ---- running

    def run(self) -> TrainResult:
        self.seconds, self.images = 0.0, 0  # of this call, without evaluation and checkpoints
        logged_step, logged_seconds = self.step, 0.0
        with self._progress() as bar:
            while not self._finished():
                begun = time.perf_counter()
                terms = self._one_step()
                self._count(time.perf_counter() - begun)
                bar.update()
                for name, value in terms.items():
                    self.sums[name] = self.sums.get(name, torch.zeros_like(value)) + value
                self.summed += 1
                if self.step % self.config.log_every == 0:
                    speed = (self.step - logged_step) * self._global_batch / (self.seconds - logged_seconds)
                    self._log_losses(speed, bar)
                    logged_step, logged_seconds = self.step, self.seconds
                if self.config.eval_every and self.step % self.config.eval_every == 0:
                    self._evaluate()
                if self.step % self.config.checkpoint_every == 0:
                    self._save()
        if self.evaluate is not None and self.evaluated_step != self.step:
            self._evaluate()
            self.saved_step = -1  # the checkpoint lacks the evaluation
        if self.saved_step != self.step:
            self._save()
        stretches = trained(self.stretches, self.step)
        return TrainResult(self.step, self.minutes, self.speed, self.evaluation, self.ema, stretches)

    @property
    def _global_batch(self) -> int:
        return self.config.batch_size * self.accelerator.num_processes

    def _count(self, seconds: float) -> None:
        self.seconds += seconds
        self.minutes = self._agreed(self.minutes + seconds / 60)
        self.images += self._global_batch
        self.speed = self.images / self.seconds

    def _agreed(self, minutes: float) -> float:
        """The time of process 0, so that all processes stop at the same step."""
        return minutes if self.config.max_minutes is None else agreed(self.accelerator, minutes)

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
        set_lr(self.optimizer, config.lr * factor)
        self._update(self.optimizer, system.network, terms)
        if self.optimizer_d is not None and system.discriminator is not None:
            terms_d = system.discriminator_losses(batch)
            if terms_d:
                set_lr(self.optimizer_d, config.discriminator_lr * factor)
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

    def _log_losses(self, speed: float, bar: tqdm) -> None:
        sums = averaged(self.accelerator, self.sums)
        means = {name: float(value) / self.summed for name, value in sums.items()}
        self.sums, self.summed = {}, 0
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
        self.evaluated_step = self.step
        with network_swapped(self.system, self.ema), torch.no_grad():
            self.evaluation = {name: float(value) for name, value in self.evaluate(self.system).items()}
        if self.accelerator.is_main_process:
            row = {"step": self.step, "minutes": round(self.minutes, 3), "evaluation": self.evaluation}
            self.log.write(row)
            text = ", ".join(f"{name} {value:.3f}" for name, value in self.evaluation.items())
            _log.info("step %d, %.1f min: %s", self.step, self.minutes, text)

    def _save(self) -> None:
        generators = of_every_process(self.accelerator, rng_state())
        self.sums = averaged(self.accelerator, self.sums)
        if self.accelerator.is_main_process:
            save_checkpoint(self.out, self._state() | {"rng": generators}, self.config.keep_checkpoints)
        self.saved_step = self.step
        self.accelerator.wait_for_everyone()
