"""`train_system`: trains a system on people folders and exports its weights."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from accelerate import PartialState

from deocc.baselines.masks.registry import NETWORKS as MASK_NETWORKS
from deocc.baselines.pixels.registry import NETWORKS as PIXEL_NETWORKS
from deocc.errors import DeoccError
from deocc.experiments.card import command_line, export, model_card, run_facts
from deocc.experiments.people import TrainingPeople, load_people
from deocc.experiments.presets import Preset, Stage
from deocc.experiments.registry import SYSTEMS, bundled_stage1, preset_of
from deocc.experiments.tuning import fixed_batches
from deocc.models import load_weights, read_metadata
from deocc.models.weights import CLASSES, fill_shared
from deocc.occlusion import OcclusionDataset
from deocc.occlusion.batch import Batch
from deocc.training.checkpoints import checkpoints
from deocc.training.config import TrainConfig
from deocc.training.loop import TrainResult, train
from deocc.training.system import System

_log = logging.getLogger("deocc")


@dataclass
class TrainedSystem:
    """The result of `train_system`."""

    weights: Path
    result: TrainResult
    card: dict[str, Any]
    system: System  # with the averaged network, on the CPU


def train_system(
    name: str,
    people_dirs: Sequence[Path | str],
    preset: str | Preset = "small",
    out: Path | str = "runs/run",
    *,
    resume: bool = False,
    changes: dict[str, Any] | None = None,
    max_minutes: float | None = None,
    steps: int | None = None,
    seed: int | None = None,
    device: str | None = None,
    threads: int | None = None,
    holdout: bool = True,
    repeats: Sequence[int] | None = None,
    stage1: Path | str | None = None,
    init: Path | str | None = None,
) -> TrainedSystem:
    """Trains a system of `SYSTEMS` on people folders and exports the averaged weights.

    Args:
        name: one of `SYSTEMS`, such as "mask/ours" (stage 1) or "content/ours" (stage 2).
        people_dirs: people folders; only their split "train" is read.
        preset: name or `Preset`.
        out: folder of the run: `weights.safetensors`, `model_card.json`, `model_card.md`, `log.jsonl`,
            `checkpoints/`.
        resume: continue the run in `out`.
        changes: preset fields by dotted key, such as {"mask.train.lr": 1e-3}.
        max_minutes, steps: length of the run instead of the preset's (giving one drops the other).
        seed, threads: instead of the preset's.
        device: "cpu", "cuda"; None takes a GPU where there is one.
        holdout: keep a tenth of the people (by id) for the evaluation during training; False trains on
            them too and evaluates nothing.
        repeats: how often each folder's people count in an epoch.
        stage1: weights of stage 1, for stage 2; None: the bundled ones of the preset.
        init: weights of the same network to start from.

    Raises:
        DeoccError: unknown system, preset or key; people folders without training people; `out` in use.
    """
    preset = preset_of(name, preset, changes)
    recipe = SYSTEMS[name]
    if seed is not None and f"{recipe.stage}.train.seed" in (changes or {}):
        raise DeoccError(f"{recipe.stage}.train.seed: the seed has an option of its own; give --seed")
    stage: Stage = getattr(preset, recipe.stage)
    config = _with_length(stage.train, max_minutes, steps)
    config = replace(config, seed=config.seed if seed is None else seed, threads=threads or config.threads)
    if stage1 is not None and recipe.stage != "content":
        raise DeoccError(f"stage1 is given, but {name} is a system of stage 1; leave it out")
    begun = bool(checkpoints(Path(out)))
    if begun and not resume:
        raise DeoccError(f"{out} already holds a run; resume it, or give another folder")
    if not begun and Path(out, "weights.safetensors").is_file():
        raise DeoccError(f"{out} holds weights.safetensors and no checkpoint of theirs; give another folder")
    if init is not None:
        read_metadata(Path(init))  # a wrong file is refused before the people are read
    people = load_people(people_dirs, holdout, repeats)
    if stage1 is None and recipe.stage == "content":
        stage1 = bundled_stage1(preset)
    _log.info("%s, preset %s: %s", name, preset.name, people.description)
    data = OcclusionDataset(people.persons, people.occluders, preset.size, config.seed, stage.mix)
    torch.manual_seed(config.seed)
    system = recipe.build(stage.settings, data, preset, config.seed, None if stage1 is None else Path(stage1))
    if init is not None:
        _start_from(system, Path(init))
    batches = _tuning_batches(people, preset, config) if holdout else []
    out = Path(out)
    where = torch.device("cpu") if device == "cpu" else None

    def evaluate(trained: System) -> dict[str, float]:
        place = where or next(trained.network.parameters()).device
        return recipe.evaluate(trained, batches, place)

    options = {"max_minutes": max_minutes, "steps": steps, "seed": seed, "stage1": stage1, "init": init}
    command = command_line(name, people_dirs, repeats, preset.name, changes, holdout, options)
    facts = run_facts(stage, people_dirs, people, None if stage1 is None else Path(stage1), command)
    result = train(system, data, config, out, resume, evaluate if batches else None, device, facts)
    card = model_card(name, preset, stage, config, people, result, command)
    if PartialState().is_main_process:
        export(result, card, out)
    system.network = result.ema
    system.to(torch.device("cpu"))
    return TrainedSystem(out / "weights.safetensors", result, card, system)


def _tuning_batches(people: TrainingPeople, preset: Preset, config: TrainConfig) -> list[Batch]:
    if not config.eval_every:
        return []
    if not len(people.tuning_persons) or not len(people.tuning_occluders):
        _log.warning("too few people or occluders to hold any out; nothing is evaluated during training")
        return []
    return fixed_batches(people, preset.size, preset.held_out)


def _with_length(config: TrainConfig, max_minutes: float | None, steps: int | None) -> TrainConfig:
    if max_minutes is None and steps is None:
        return config
    return replace(config, max_minutes=max_minutes, steps=steps)


def _start_from(system: System, path: Path) -> None:
    """Fills the network from a file. A trunk or a prior, and what joins it, may be missing there.

    A decoder of body parts that the file has and the network has not is left out, with a warning: the
    network's own heads of body parts start anew. A network with a decoder has no such heads.
    `soft_parts` and `own_share` are this run's, not the file's.
    """
    classes = CLASSES | MASK_NETWORKS | PIXEL_NETWORKS
    loaded, network = load_weights(path, classes=classes), system.network
    optional = {"trunk": "", "prior": "", "soft_parts": "", "own_share": "", "given_logit": "", "parts": ""}
    plain = [{**getattr(net, "config", {}), **optional} for net in (loaded, network)]
    if type(loaded) is not type(network) or plain[0] != plain[1]:
        raise DeoccError(
            f"{path}: holds {type(loaded).__name__} with {getattr(loaded, 'config', None)}; this run trains "
            f"{type(network).__name__} with {network.config}; use the same preset"
        )
    if getattr(loaded, "parts", None) is not None and getattr(network, "parts", None) is None:
        _log.warning("%s: its decoder of body parts is left out, and heads of body parts start anew; "
                     "tools/train_parts.py trains a new decoder", path)  # fmt: skip
    surplus = [name for name in fill_shared(network, loaded) if not _of_parts(name)]
    if surplus:
        raise DeoccError(
            f"{path}: has {surplus[0]} and more that this run's network lacks; use the same preset"
        )


def _of_parts(name: str) -> bool:
    """Whether a tensor of stage 1 belongs to its decoder, or its heads, of body parts."""
    return name.startswith("parts.") or ".parsing." in name
