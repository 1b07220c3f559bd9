"""Presets, the registry of trainable systems, and `train_system`: people folders in, weights out."""

from __future__ import annotations

import hashlib
import json
import logging
import shlex
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, fields, is_dataclass, replace
from pathlib import Path
from typing import Any

import torch
from accelerate import PartialState
from torch import Tensor

from . import metrics
from .baselines import painters, trained
from .errors import DeoccError
from .io import write_json
from .models import MaskCompletionNet, count_parameters, load_weights, read_metadata, save_weights
from .models.weights import CLASSES
from .occlusion import OcclusionDataset, collate
from .occlusion.case import PasteOptions
from .occlusion.dataset import TrainingMix, named_mix
from .occlusion.priors import Placement
from .people import Occluder, PeopleFolder, Person
from .systems import (
    AdversarySettings,
    ContentSettings,
    ContentSystem,
    FeatureSettings,
    MaskSettings,
    MaskSystem,
    invisible_mask,
)
from .templates import make_templates
from .training import Batch, System, TrainConfig, TrainResult, train

_log = logging.getLogger("deocc")


# ----------------------------------------------------------------------------------------------- presets


@dataclass(frozen=True)
class Stage:
    """One stage of a preset: what is trained, and how."""

    settings: Any  # MaskSettings or ContentSettings
    train: TrainConfig  # optimiser, length, logging
    mix: TrainingMix = TrainingMix()  # what the online training set draws


@dataclass(frozen=True)
class Preset:
    """Sizes and schedules of both stages; fields are changed with `override`."""

    name: str  # "tiny", "small" or "paper"
    size: int  # side of the networks' input, pixels
    mask: Stage  # stage 1
    content: Stage  # stage 2
    held_out: int = 128  # cases of the evaluation during training


TINY = Preset(
    name="tiny",
    size=64,
    mask=Stage(
        MaskSettings(
            width=8,
            levels=4,
            templates=16,
            template_size=16,
            template_samples=512,
            half_parsing=True,
            features=FeatureSettings(every=4, size=32),
            adversary=AdversarySettings(width=8, every=2),
        ),
        TrainConfig(
            batch_size=8, steps=60, lr=2e-3, warmup_steps=10, ema_decay=0.95, workers=0,
            eval_every=30, checkpoint_every=30, log_every=5,
        ),
    ),
    content=Stage(
        ContentSettings(
            width=8,
            features=FeatureSettings(every=4, size=32),
            adversary=AdversarySettings(width=8, every=2),
        ),
        TrainConfig(
            batch_size=8, steps=60, optimizer="adam", lr=2e-3, weight_decay=0.0, warmup_steps=10,
            ema_decay=0.95, workers=0, eval_every=30, checkpoint_every=30, log_every=5,
        ),
    ),
    held_out=16,
)  # fmt: skip

SMALL_MIX = TrainingMix(
    true_mask=0.2,
    severity=(0.4, 1.5),
    placement=Placement(
        anywhere=0.4, grounded=0.15, ridden=0.1, held=0.08, person_in_front=0.14, border=0.06, surface=0.07
    ),
    behind=0.2,
    degrade=0.15,
    paste=PasteOptions(edge_spread=0.8, colour_match=0.5, match_sharpness=True, shadow=0.3),
)
"""Plain pasting, and about as often occluders that stand, are ridden or held as in photos (`Placement`)."""

SMALL = Preset(
    name="small",
    size=128,
    mask=Stage(
        MaskSettings(
            width=24,
            stride=4,
            levels=4,
            trunk="lite0",
            half_parsing=True,
            invisible_extra=2.0,
            error_extra=4.0,
            soft_iou=0.25,
            features=FeatureSettings(every=8, size=32),
            adversary=AdversarySettings(width=16, every=8, weight=0.01, start=3000),
        ),
        TrainConfig(
            batch_size=16, max_minutes=90.0, lr=2e-3, warmup_steps=100, ema_decay=0.999, eval_every=1500,
            checkpoint_every=500, log_every=50,
        ),
        SMALL_MIX,
    ),
    content=Stage(
        ContentSettings(
            width=16,
            features=FeatureSettings(every=8, size=64),
            adversary=AdversarySettings(width=16, every=8, weight=0.02, start=500),
        ),
        TrainConfig(
            batch_size=16, max_minutes=90.0, optimizer="adam", lr=1e-3, weight_decay=0.0, warmup_steps=300,
            ema_decay=0.999, eval_every=1000, checkpoint_every=500, log_every=50,
        ),
        SMALL_MIX,
    ),
)  # fmt: skip
"""For a laptop without GPU. Differs from the paper: stage 1's pretrained trunk; AdamW with a cosine schedule
in place of SGD; soft-IoU term and heavier invisible pixels in stage 1; feature and adversarial terms on every
eighth step (weight x 8); occluders placed as in photos.
"""

PAPER = Preset(
    name="paper",
    size=256,
    mask=Stage(
        MaskSettings(width=64, features=FeatureSettings(size=256), adversary=AdversarySettings(width=64)),
        TrainConfig(
            batch_size=32, steps=56_000, optimizer="sgd", lr=1e-3, momentum=0.9, weight_decay=1e-4,
            schedule="constant", warmup_steps=0, grad_clip=0.0, discriminator_lr=1e-4, ema_decay=0.999,
            mixed_precision="bf16", workers=8, eval_every=2000, checkpoint_every=2000, log_every=100,
        ),
    ),
    content=Stage(
        ContentSettings(
            width=64,
            l1_hole=0.0,
            l1_valid=2.0,
            l1_composite=10.0,
            perceptual=0.05,
            style=0.25,
            style_whole=0.05,
            features=FeatureSettings(levels=(1, 2, 3), size=256),
            adversary=AdversarySettings(width=64, weight=0.1),
        ),
        TrainConfig(
            batch_size=16, steps=450_000, optimizer="adam", lr=1e-4, weight_decay=0.0, schedule="constant",
            warmup_steps=0, grad_clip=0.0, discriminator_lr=1e-4, ema_decay=0.999, mixed_precision="bf16",
            workers=8, eval_every=5000, checkpoint_every=5000, log_every=100,
        ),
    ),
    held_out=512,
)  # fmt: skip
"""The paper's sizes; steps, batch and learning rate of its parent (PCNets), as its own are unpublished."""

PRESETS: dict[str, Preset] = {preset.name: preset for preset in (TINY, SMALL, PAPER)}


def get_preset(preset: str | Preset, changes: dict[str, Any] | None = None) -> Preset:
    """A preset by name, with changes by dotted key, such as {"mask.train.lr": 1e-3}.

    Raises:
        DeoccError: unknown preset or key.
    """
    if isinstance(preset, str) and preset not in PRESETS:
        raise DeoccError(f"preset {preset!r} is unknown; choose from {', '.join(PRESETS)}")
    chosen = PRESETS[preset] if isinstance(preset, str) else preset
    for key, value in (changes or {}).items():
        chosen = override(chosen, key.split("."), value)
    return chosen


def override(config: Any, path: Sequence[str], value: Any) -> Any:
    """A copy of nested dataclasses with one field changed. Raises: DeoccError: there is no such field."""
    names = [field.name for field in fields(config)]
    if path[0] not in names:
        raise DeoccError(
            f"unknown key {path[0]!r} in {type(config).__name__}; known: {', '.join(names)}"
        )
    old = getattr(config, path[0])
    if isinstance(old, TrainingMix) and isinstance(value, str) and len(path) == 1:
        value = named_mix(value)
    if len(path) > 1 and not is_dataclass(old):
        raise DeoccError(f"key {path[0]!r} of {type(config).__name__} has no field {'.'.join(path[1:])!r}")
    if len(path) == 1 and is_dataclass(old) and not isinstance(value, type(old)):
        raise DeoccError(f"key {path[0]!r} holds a {type(old).__name__}; change its fields one by one")
    if len(path) == 1:
        _check_type(path[0], old, value)
        value = tuple(value) if isinstance(old, tuple) else value
    return replace(config, **{path[0]: override(old, path[1:], value) if len(path) > 1 else value})


def _check_type(key: str, old: Any, value: Any) -> None:
    """A new value has its predecessor's type; numbers stand for numbers, None may come and go."""
    if old is None or value is None or is_dataclass(old):
        return
    kinds: dict[type, tuple[type, ...]] = {float: (float, int), tuple: (tuple, list)}
    allowed = kinds.get(type(old), (type(old),))
    if not isinstance(value, allowed) or (isinstance(value, bool) and not isinstance(old, bool)):
        raise DeoccError(f"key {key!r} is {value!r}; expected a {type(old).__name__} such as {old!r}")


# ------------------------------------------------------------------------------------------------ people


def is_held_out(name: str) -> bool:
    """Whether a training person or occluder belongs to the tenth reserved for tuning, by hash of its id."""
    return int(hashlib.sha256(name.encode()).hexdigest()[:8], 16) % 10 == 0


class Joined(Sequence[Any]):
    """Several sequences one after the other, each repeated a whole number of times."""

    def __init__(self, parts: Sequence[Sequence[Any]], repeats: Sequence[int] | None = None) -> None:
        repeats = repeats or [1] * len(parts)
        self.parts = parts
        self.places = [
            (p, i)
            for p, (part, times) in enumerate(zip(parts, repeats, strict=True))
            for _ in range(times)
            for i in range(len(part))
        ]

    def __len__(self) -> int:
        return len(self.places)

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        part, place = self.places[index]
        return self.parts[part][place]

    def __iter__(self) -> Iterator[Any]:
        return (self[i] for i in range(len(self)))


class _Picked(Sequence[Any]):
    """Some items of a sequence."""

    def __init__(self, items: Sequence[Any], places: list[int]) -> None:
        self.items, self.places = items, places

    def __len__(self) -> int:
        return len(self.places)

    def __getitem__(self, index: Any) -> Any:
        return self.items[self.places[index]]


@dataclass(frozen=True)
class TrainingPeople:
    """What a training may read: split "train" of people folders, parted into training and tuning.

    Attributes:
        people, occluders: to train on.
        tuning_people, tuning_occluders: the tenth held out by id; empty where nothing is held out.
        description: counts in words.
    """

    people: Sequence[Person]
    occluders: Sequence[Occluder]
    tuning_people: Sequence[Person]
    tuning_occluders: Sequence[Occluder]
    description: str


def load_people(
    folders: Sequence[Path | str], holdout: bool = True, repeats: Sequence[int] | None = None
) -> TrainingPeople:
    """Opens people folders for training; validation people are never touched.

    Args:
        folders: people folders; those without `occluders/` give people only; one named twice counts twice.
        holdout: keep a tenth of people and of occluders (by id) out of training, for tuning.
        repeats: how often each folder's people count in an epoch (more for the rarer kind).

    Raises:
        DeoccError: no folder, no person or no occluder in split "train".
    """
    if not folders:
        raise DeoccError("no people folder given; name at least one (see `deocc render --help`)")
    folders, repeats = _counted(folders, repeats)
    kept: list[Sequence[Any]] = []
    tuned: list[Sequence[Any]] = []
    kept_occluders: list[Sequence[Any]] = []
    tuned_occluders: list[Sequence[Any]] = []
    for folder in folders:
        people = PeopleFolder(folder, "train")
        _part(people, people.ids, holdout, kept, tuned)
        if (Path(folder) / "occluders").is_dir():
            occluders = people.occluders("train")
            _part(occluders, [row["id"] for row in occluders.rows], holdout, kept_occluders, tuned_occluders)
    times = zip(kept, repeats, strict=True)
    words = ", ".join(f"{len(part)} people" + (f" (x {n})" if n > 1 else "") for part, n in times)
    found = TrainingPeople(
        Joined(kept, repeats),
        Joined(kept_occluders),
        Joined(tuned),
        Joined(tuned_occluders),
        f"{words}; {sum(map(len, kept_occluders))} occluders; held out for tuning: "
        f"{sum(map(len, tuned))} people, {sum(map(len, tuned_occluders))} occluders",
    )
    if not len(found.people) or not len(found.occluders):
        counts = f"{len(found.people)} people and {len(found.occluders)} occluders"
        names = ", ".join(map(str, folders))
        raise DeoccError(f"{names}: {counts} in split 'train'; training needs both")
    return found


def _counted(
    folders: Sequence[Path | str], repeats: Sequence[int] | None
) -> tuple[list[Path | str], list[int]]:
    """Distinct folders, and how often each counts."""
    times: dict[Path | str, int] = {}
    for folder, count in zip(folders, repeats or [1] * len(folders), strict=True):
        times[folder] = times.get(folder, 0) + count
    return list(times), list(times.values())


def _part(items: Sequence[Any], ids: list[str], holdout: bool, kept: list, tuned: list) -> None:
    kept.append(_Picked(items, [i for i, name in enumerate(ids) if not (holdout and is_held_out(name))]))
    tuned.append(_Picked(items, [i for i, name in enumerate(ids) if holdout and is_held_out(name)]))


# -------------------------------------------------------------------------------------------- evaluation

FIXED = TrainingMix(
    density="val", unoccluded=0.0, second_occluder=0.0, true_mask=0.0, box_mask=0.0, severity=(1.0, 1.0),
    frame_scale=(2.0, 2.0), frame_shift=0.0, rotation=0.0, stretch=0.0, colour=0.0, mirror=False,
)  # fmt: skip
"""How tuning cases are made: no jitter, M_i of severity 1."""


def fixed_batches(people: TrainingPeople, size: int, count: int, batch: int = 16) -> list[Batch]:
    """The same `count` tuning cases in every evaluation of every run with this data; seed 12345."""
    order = sorted(range(len(people.tuning_people)), key=lambda i: hashlib.sha256(str(i).encode()).digest())
    chosen = _Picked(people.tuning_people, order[:count])
    data = OcclusionDataset(chosen, people.tuning_occluders, size, seed=12345, mix=FIXED)
    items = [data.item(0, index) for index in range(len(chosen))]
    return [collate(items[i : i + batch]) for i in range(0, len(items), batch)]


def evaluate_masks(system: System, batches: list[Batch], device: torch.device) -> dict[str, float]:
    """Per-instance mean IoUs, given the true visible mask and given M_i, over photo pixels.

    Returns:
        amodal, invisible and modal IoU under names such as "invisible_given_modal".
    """
    values: dict[str, list[Tensor]] = {}
    for batch in batches:
        batch = {name: value.to(device) for name, value in batch.items()}
        for given in ("modal", "initial"):
            found = system.predict({**batch, "initial_mask": batch[f"{given}_mask"]})
            for name, value in mask_ious(found, batch).items():
                values.setdefault(f"{name}_given_{given}", []).append(value)
    return {name: float(torch.cat(parts).mean()) for name, parts in values.items()}


def mask_ious(found: dict[str, Tensor], batch: Batch) -> dict[str, Tensor]:
    """IoU of each instance under "amodal", "invisible" and "modal" (N float64), over photo pixels.

    Args:
        found: probabilities of `modal_mask` and `amodal_mask`, N x 1 x H x W, as systems predict them.
        batch: the truth.
    """
    modal, amodal = found["modal_mask"] > 0.5, found["amodal_mask"] > 0.5
    amodal = amodal | modal
    true_modal, true_amodal = batch["modal_mask"] > 0, batch["amodal_mask"] > 0
    pairs = {
        "amodal": (amodal, true_amodal),
        "invisible": (amodal & ~modal, true_amodal & ~true_modal),
        "modal": (modal, true_modal),
    }
    region = (batch["photo"] > 0).cpu()
    scores = {name: metrics.mask_iou(a.cpu(), b.cpu(), region) for name, (a, b) in pairs.items()}
    return {name: torch.as_tensor(score, dtype=torch.float64).reshape(-1) for name, score in scores.items()}


def evaluate_content(system: System, batches: list[Batch], device: torch.device) -> dict[str, float]:
    """PSNR (dB) and L1 inside the true invisible mask, from true masks and end to end from M_i.

    Returns:
        Means over cases under names such as "psnr_true" and "l1_predicted".
    """
    values: dict[str, list[Tensor]] = {}
    for batch in batches:
        batch = {name: value.to(device) for name, value in batch.items()}
        region = invisible_mask(batch) * batch["photo"]
        present = region.sum((1, 2, 3)) > 0
        for masks in ("true", "predicted"):
            found = system.predict(batch, masks)  # type: ignore[call-arg]
            error = (found["recovered"] - batch["target"]) * region
            count = 3 * region.sum((1, 2, 3)).clamp_min(1)
            mse = (error.square().sum((1, 2, 3)) / count)[present]
            psnr = torch.as_tensor(metrics.psnr_of_mse(mse.cpu().numpy().reshape(-1)))
            values.setdefault(f"psnr_{masks}", []).append(psnr.reshape(-1).double())
            l1 = (error.abs().sum((1, 2, 3)) / count)[present]
            values.setdefault(f"l1_{masks}", []).append(l1.cpu().double())
    return {name: float(torch.cat(parts).mean()) for name, parts in values.items()}


# ---------------------------------------------------------------------------------------------- registry


@dataclass(frozen=True)
class Recipe:
    """How to make and judge one trainable system.

    Attributes:
        stage: field of `Preset` that holds its settings: "mask" or "content".
        build: (settings, training set, preset, seed, stage1) -> system.
        evaluate: (system, batches, device) -> figures.
        settings: preset -> the settings of that stage, where they are not the preset's own.
        version: counts changes of the code that change results; a part of every result's hash.
    """

    stage: str
    build: Callable[..., System]
    evaluate: Callable[[System, list[Batch], torch.device], dict[str, float]]
    settings: Callable[[Preset], Any] | None = None
    version: int = 1


def build_mask_system(
    settings: MaskSettings, data: OcclusionDataset, preset: Preset, seed: int, stage1: Path | None
) -> MaskSystem:
    """Stage 1 with templates from its own training set."""
    templates = None
    if settings.templates:
        templates = make_templates(
            data, settings.templates, settings.template_size, settings.template_samples, seed
        )
    return MaskSystem(settings, templates)


def _trained_stage1(path: Path | None, preset: Preset) -> MaskCompletionNet:
    """Weights of stage 1 that stage 2 of a preset can be trained on."""
    if path is None:
        raise DeoccError("stage 2 trains on stage 1's masks; give its weights with stage1= (--stage1 FILE)")
    network = load_weights(path)
    if not isinstance(network, MaskCompletionNet) or not network.config["parsing"]:
        raise DeoccError(
            f"{path}: holds {type(network).__name__}; expected a MaskCompletionNet with parsing (mask/ours)"
        )
    size = read_metadata(path).get("input_size")
    if size is not None and not 0.5 <= int(size) / preset.size <= 2:
        raise DeoccError(
            f"{path}: stage 1 was trained at {size} pixels, preset {preset.name} has {preset.size}: more "
            "than twice apart; train both stages with the same preset"
        )
    return network


def build_content_system(
    settings: ContentSettings, data: OcclusionDataset, preset: Preset, seed: int, stage1: Path | None
) -> ContentSystem:
    """Stage 2 on top of trained weights of stage 1."""
    return ContentSystem(settings, preset.size, _trained_stage1(stage1, preset))


def painting_baseline(recipe: painters.PainterRecipe) -> Recipe:
    """A baseline of table 3: the preset's schedule, cases and guidance, its own network and settings."""

    def build(
        settings: Any, data: OcclusionDataset, preset: Preset, seed: int, stage1: Path | None
    ) -> System:
        return recipe.build(settings, preset.size, _trained_stage1(stage1, preset))

    def settings(preset: Preset) -> Any:
        return recipe.settings(preset.name, preset.content.settings)

    return Recipe("content", build, evaluate_content, settings, recipe.version)


def mask_baseline(recipe: trained.MaskBaselineRecipe) -> Recipe:
    """A baseline of table 2: the preset's schedule and cases, its own network and settings."""

    def build(
        settings: Any, data: OcclusionDataset, preset: Preset, seed: int, stage1: Path | None
    ) -> System:
        return recipe.build(settings, preset.size)

    def settings(preset: Preset) -> Any:
        return recipe.settings(preset.name, preset.mask.settings)

    return Recipe("mask", build, evaluate_masks, settings, recipe.version)


SYSTEMS: dict[str, Recipe] = {
    "mask/ours": Recipe("mask", build_mask_system, evaluate_masks),
    "content/ours": Recipe("content", build_content_system, evaluate_content),
    **{name: mask_baseline(recipe) for name, recipe in trained.TRAINED.items()},
    **{name: painting_baseline(recipe) for name, recipe in painters.PAINTERS.items()},
}


def preset_of(name: str, preset: str | Preset, changes: dict[str, Any] | None = None) -> Preset:
    """A preset as a system is trained with it: with that system's settings, then the changes.

    Raises:
        DeoccError: unknown system, preset or key.
    """
    if name not in SYSTEMS:
        raise DeoccError(f"system {name!r} is unknown; choose from {', '.join(SYSTEMS)}")
    recipe, chosen = SYSTEMS[name], get_preset(preset)
    if recipe.settings is not None:
        stage = replace(getattr(chosen, recipe.stage), settings=recipe.settings(chosen))
        chosen = replace(chosen, **{recipe.stage: stage})
    return get_preset(chosen, changes)


# -------------------------------------------------------------------------------------------------- run


@dataclass
class TrainedSystem:
    """What `train_system` returns: the run's figures and where the weights lie."""

    weights: Path
    result: TrainResult
    card: dict[str, Any]
    system: System  # with the averaged network, on the CPU


def train_system(
    name: str,
    people_dirs: Sequence[Path | str],
    preset: str | Preset = "small",
    out: Path | str = "runs/run",
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
        stage1: weights of stage 1, for stage 2.
        init: weights of the same network to start from.

    Raises:
        DeoccError: unknown system, preset or key; people folders without training people; `out` in use.
    """
    preset = preset_of(name, preset, changes)
    recipe = SYSTEMS[name]
    stage: Stage = getattr(preset, recipe.stage)
    config = _with_length(stage.train, max_minutes, steps)
    config = replace(config, seed=config.seed if seed is None else seed, threads=threads or config.threads)
    people = load_people(people_dirs, holdout, repeats)
    _log.info("%s, preset %s: %s", name, preset.name, people.description)
    data = OcclusionDataset(people.people, people.occluders, preset.size, config.seed, stage.mix)
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

    result = train(system, data, config, out, resume, evaluate if batches else None, device)
    given = {"max_minutes": max_minutes, "steps": steps, "seed": seed, "stage1": stage1, "init": init}
    command = command_line(name, people_dirs, repeats, preset.name, changes, holdout, given)
    card = model_card(name, preset, stage, config, people, result, command)
    if PartialState().is_main_process:
        export(result, card, out)
    system.network = result.ema
    return TrainedSystem(out / "weights.safetensors", result, card, system)


def _tuning_batches(people: TrainingPeople, preset: Preset, config: TrainConfig) -> list[Batch]:
    if not config.eval_every:
        return []
    if not len(people.tuning_people) or not len(people.tuning_occluders):
        _log.warning("too few people or occluders to hold any out; nothing is evaluated during training")
        return []
    return fixed_batches(people, preset.size, preset.held_out)


def _with_length(config: TrainConfig, max_minutes: float | None, steps: int | None) -> TrainConfig:
    if max_minutes is None and steps is None:
        return config
    return replace(config, max_minutes=max_minutes, steps=steps)


def _start_from(system: System, path: Path) -> None:
    """Fills the network from a file; a trunk or a prior, and what joins it, may be missing there.

    How parts are told and how far the network is trusted is this run's own (`trust` starts at 1 again).
    """
    classes = CLASSES | trained.NETWORKS | painters.NETWORKS
    loaded, network = load_weights(path, classes=classes), system.network
    optional = {"trunk": "", "prior": "", "soft_parts": "", "trust": ""}
    plain = [{**getattr(net, "config", {}), **optional} for net in (loaded, network)]
    if type(loaded) is not type(network) or plain[0] != plain[1]:
        raise DeoccError(
            f"{path}: holds {type(loaded).__name__} with {getattr(loaded, 'config', None)}; this run trains "
            f"{type(network).__name__} with {network.config}; use the same preset"
        )
    network.load_state_dict({**network.state_dict(), **loaded.state_dict()})


# ------------------------------------------------------------------------------------------------ export


def command_line(
    name: str,
    people_dirs: Sequence[Path | str],
    repeats: Sequence[int] | None,
    preset: str,
    changes: dict[str, Any] | None,
    holdout: bool,
    given: dict[str, Any],
) -> str:
    """The command that repeats a run; folders and files by their last name: no machine's path shows."""
    times = repeats or [1] * len(people_dirs)
    folders = [Path(d).name for d, n in zip(people_dirs, times, strict=True) for _ in range(n)]
    words = ["deocc", "train", name, "--people", *folders, "--preset", preset, "--out", "RUN"]
    for key, option in (("max_minutes", "--minutes"), ("steps", "--steps"), ("seed", "--seed")):
        words += [] if given[key] is None else [option, f"{given[key]:g}"]
    for key in ("stage1", "init"):
        words += [] if given[key] is None else [f"--{key}", Path(given[key]).name]
    words += [] if holdout else ["--all-people"]
    for key, value in (changes or {}).items():
        words += ["--set", f"{key}={json.dumps(value)}"]
    return shlex.join(words)


def model_card(
    name: str,
    preset: Preset,
    stage: Stage,
    config: TrainConfig,
    people: TrainingPeople,
    result: TrainResult,
    command: str,
) -> dict[str, Any]:
    """What a weights file is: system, preset, data, length, figures, command; JSON-able."""
    return {
        "system": name,
        "preset": preset.name,
        "input_size": preset.size,
        "parameters": count_parameters(result.ema),
        "data": people.description,
        "length": f"{result.steps} steps, {result.minutes:.1f} minutes of training time",
        "images_per_second": round(result.images_per_second, 1),
        "tuning_figures": {key: round(value, 4) for key, value in result.evaluation.items()},
        "command": command,
        "settings": _jsonable(asdict(stage.settings)),
        "training": _jsonable(asdict(config)),
        "mix": _jsonable(asdict(stage.mix)),
        "python": sys.version.split()[0],
        "torch": torch.__version__,
        "licence": "Apache-2.0 (weights); the training data keep their own licences",
    }


def _jsonable(value: Any) -> Any:
    return json.loads(json.dumps(value, default=str))


def export(result: TrainResult, card: dict[str, Any], out: Path) -> Path:
    """Writes the averaged weights (fp16 safetensors) and the model card; returns the weights' path."""
    path = out / "weights.safetensors"
    names = ("system", "preset", "input_size", "data", "length", "command")
    metadata = {key: str(card[key]) for key in names}
    save_weights(path, result.ema.cpu(), metadata)
    write_json(out / "model_card.json", card)
    (out / "model_card.md").write_text(card_text(card))
    return path


def card_text(card: dict[str, Any]) -> str:
    """A model card as Markdown."""
    rows = "\n".join(f"| {key} | {value:.3f} |" for key, value in card["tuning_figures"].items())
    head = "| figure on held-out training people | value |\n| --- | --- |\n"
    figures = f"{head}{rows}\n" if rows else "None.\n"
    return (
        f"# {card['system']}, preset {card['preset']}\n\n"
        f"- input: {card['input_size']} x {card['input_size']} pixels; {card['parameters']:,} parameters\n"
        f"- data: {card['data']}\n"
        f"- length: {card['length']}, {card['images_per_second']} images/s\n"
        f"- licence: {card['licence']}\n\n"
        f"## Command\n\n    {card['command']}\n\n## Figures\n\n{figures}"
    )
