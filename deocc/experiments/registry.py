"""The registry of trainable systems by name."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from deocc.baselines.masks.registry import MASK_BASELINES, MaskBaselineRecipe
from deocc.baselines.pixels.registry import PAINTERS, PainterRecipe
from deocc.errors import DeoccError
from deocc.experiments.presets import Preset, get_preset
from deocc.experiments.tuning import evaluate_content, evaluate_masks
from deocc.models import MaskCompletionNet, load_weights, read_metadata
from deocc.occlusion import OcclusionDataset
from deocc.occlusion.batch import Batch
from deocc.paths import WEIGHTS
from deocc.training.content import ContentSettings, ContentSystem
from deocc.training.mask import MaskSettings, MaskSystem
from deocc.training.system import System
from deocc.training.templates import make_templates

_log = logging.getLogger("deocc")


@dataclass(frozen=True)
class Recipe:
    """How to build and evaluate one trainable system.

    Attributes:
        stage: field of `Preset` that holds its settings: "mask" or "content".
        build: (settings, training set, preset, seed, stage1) -> system.
        evaluate: (system, batches, device) -> figures.
        settings: preset -> settings of that stage, if they are not the preset's.
        version: counts code changes that change results; part of every result's digest.
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


def bundled_stage1(preset: Preset) -> Path:
    """The bundled weights of stage 1 of a preset; the log names them. Raises: DeoccError: there are none."""
    path = WEIGHTS / f"mask-{preset.name}.safetensors"
    if not path.is_file():
        raise DeoccError(
            f"stage 2 trains on stage 1's masks, and preset {preset.name} has no bundled stage 1; train "
            "mask/ours first and give its weights with stage1= (--stage1 RUN/weights.safetensors)"
        )
    _log.warning("stage 1: the bundled weights %s (others: --stage1 FILE)", path.name)
    return path


def _trained_stage1(path: Path | None, preset: Preset) -> MaskCompletionNet:
    """Weights of stage 1 that stage 2 of a preset can be trained on; None: the bundled ones."""
    path = path or bundled_stage1(preset)
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


def painting_baseline(recipe: PainterRecipe) -> Recipe:
    """A baseline of table 3: the preset's schedule, cases and guidance, its own network and settings."""

    def build(
        settings: Any, data: OcclusionDataset, preset: Preset, seed: int, stage1: Path | None
    ) -> System:
        return recipe.build(settings, preset.size, _trained_stage1(stage1, preset))

    def settings(preset: Preset) -> Any:
        return recipe.settings(preset.name, preset.content.settings)

    return Recipe("content", build, evaluate_content, settings, recipe.version)


def mask_baseline(recipe: MaskBaselineRecipe) -> Recipe:
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
    **{name: mask_baseline(recipe) for name, recipe in MASK_BASELINES.items()},
    **{name: painting_baseline(recipe) for name, recipe in PAINTERS.items()},
}


def preset_of(name: str, preset: str | Preset, changes: dict[str, Any] | None = None) -> Preset:
    """A preset with a system's settings, then with further changes.

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
