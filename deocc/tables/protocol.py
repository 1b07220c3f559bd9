"""The frozen protocol of the tables, which holds every value of every run.

`protocol-<version>.json` pins the presets at the time the tables were frozen: input size, schedule, mix and
each system's settings. Presets may change later for the shipped weights; table rows do not follow. A field
that is newer than the protocol keeps its default, and enters the digest only if it differs from it.

A new protocol is a new file (`tools/freeze_protocol.py`) and a new `PROTOCOL`; all rows must then be trained
again.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import MISSING, asdict, fields, is_dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

from deocc.errors import DeoccError
from deocc.experiments.presets import PRESETS, Preset, Stage, get_preset
from deocc.experiments.registry import SYSTEMS, preset_of
from deocc.io import read_json

PROTOCOL = 1
"""The one version: of cases, frames, presets, metrics and training code. Raise it when old results no longer
compare with new ones."""

FREE = (
    "threads", "workers", "log_every", "eval_every", "checkpoint_every", "keep_checkpoints", "seed",
    "max_minutes",
)  # fmt: skip
"""Fields of `TrainConfig` that change speed or logs, not results (the seed is a run's own)."""

PARTS = ("settings", "train", "mix")


def protocol_path(version: int) -> Path:
    """The file of a protocol."""
    return Path(__file__).with_name(f"protocol-{version}.json")


@cache
def pinned() -> dict[str, Any]:
    """The present protocol: preset -> "size", "held_out", and by stage "train", "mix", "settings"."""
    return dict(read_json(protocol_path(PROTOCOL))["presets"])


def protocol_values() -> dict[str, Any]:
    """The content of a new protocol file: the present presets."""
    return {name: _preset_values(preset) for name, preset in PRESETS.items()}


def _preset_values(preset: Preset) -> dict[str, Any]:
    stages: dict[str, Any] = {}
    for name in ("mask", "content"):
        stage: Stage = getattr(preset, name)
        systems = [system for system, recipe in SYSTEMS.items() if recipe.stage == name]
        settings = {s: asdict(getattr(preset_of(s, preset), name).settings) for s in systems}
        training = {k: v for k, v in asdict(stage.train).items() if k not in FREE}
        stages[name] = {"train": training, "mix": asdict(stage.mix), "settings": settings}
    return {"size": preset.size, "held_out": preset.held_out, **stages}


def protocol_preset(system: str, preset: str) -> Preset:
    """A preset of the tables with a system's settings.

    Raises:
        DeoccError: unknown preset or system; a pinned field is gone (make a new protocol).
    """
    chosen = preset_of(system, get_preset(preset))
    values, name = pinned()[preset], SYSTEMS[system].stage
    stage: Stage = getattr(chosen, name)
    if system not in values[name]["settings"]:
        return chosen  # a system younger than the protocol
    stage = replace(
        stage,
        settings=_with_values(stage.settings, values[name]["settings"][system]),
        train=_with_values(stage.train, values[name]["train"]),
        mix=_with_values(stage.mix, values[name]["mix"]),
    )
    both = {"mask": chosen.mask, "content": chosen.content} | {name: stage}
    return Preset(chosen.name, values["size"], both["mask"], both["content"], values["held_out"])


def _with_values(config: Any, values: dict[str, Any]) -> Any:
    """A dataclass with pinned values; fields without a pinned value stay."""
    known = {field.name for field in fields(config)}
    if gone := sorted(set(values) - known):
        raise DeoccError(
            f"table protocol {PROTOCOL} pins {type(config).__name__}.{gone[0]}, which is gone; old results "
            "no longer compare with new ones: freeze a new protocol (tools/freeze_protocol.py)"
        )
    changed = {}
    for key, value in values.items():
        old = getattr(config, key)
        if is_dataclass(old) and isinstance(value, dict):
            changed[key] = _with_values(old, value)
        else:
            changed[key] = tuple(value) if isinstance(value, list) else value
    return replace(config, **changed)


def flat(config: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Fields of nested dataclasses by dotted key."""
    for field in fields(config):
        value, key = getattr(config, field.name), f"{prefix}{field.name}"
        if is_dataclass(value) and not isinstance(value, type):
            yield from flat(value, f"{key}.")
        else:
            yield key, value


def stage_values(stage: Stage) -> dict[str, Any]:
    """All that results depend on in a stage, by dotted key such as "train.lr"; without `FREE` fields."""
    values = {f"{part}.{key}": v for part in PARTS for key, v in flat(getattr(stage, part))}
    return {key: value for key, value in values.items() if key.removeprefix("train.") not in FREE}


def younger_fields(system: str, preset: str) -> dict[str, Any]:
    """Dotted keys of a stage that the protocol does not pin -> their default, at which they count as off."""
    name = SYSTEMS[system].stage
    values = pinned()[preset][name]
    known = {part: values[part] for part in ("train", "mix")}
    known["settings"] = values["settings"].get(system, {})
    stage = getattr(protocol_preset(system, preset), name)
    younger = [key for key in stage_values(stage) if not _holds(known, key.split("."))]
    return {key: _default_of(stage, key.split(".")) for key in younger}


def _default_of(config: Any, path: list[str]) -> Any:
    """The default of a field of nested dataclasses."""
    if len(path) > 1:
        return _default_of(getattr(config, path[0]), path[1:])
    (field,) = (field for field in fields(config) if field.name == path[0])
    return field.default_factory() if field.default_factory is not MISSING else field.default


def _holds(values: Any, path: list[str]) -> bool:
    for key in path:
        if not isinstance(values, dict) or key not in values:
            return False
        values = values[key]
    return True
