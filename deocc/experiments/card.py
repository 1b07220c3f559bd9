"""Exports the weights of a run with a model card."""

from __future__ import annotations

import hashlib
import json
import shlex
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from deocc.experiments.people import TrainingPeople
from deocc.experiments.presets import Preset, Stage
from deocc.inference.weights import file_digest
from deocc.io import write_atomic, write_json
from deocc.models import count_parameters, save_weights
from deocc.training.config import TrainConfig
from deocc.training.history import told
from deocc.training.loop import TrainResult


def command_line(
    name: str,
    people_dirs: Sequence[Path | str],
    repeats: Sequence[int] | None,
    preset: str,
    changes: dict[str, Any] | None,
    holdout: bool,
    options: dict[str, Any],
) -> str:
    """The command that repeats a run; folders and files only by their last name, without machine paths."""
    times = repeats or [1] * len(people_dirs)
    folders = [Path(d).name for d, n in zip(people_dirs, times, strict=True) for _ in range(n)]
    words = ["deocc", "train", name, "--people", *folders, "--preset", preset, "--out", "RUN"]
    for key, option in (("max_minutes", "--minutes"), ("steps", "--steps"), ("seed", "--seed")):
        value = options[key]
        words += [] if value is None else [option, str(value) if isinstance(value, int) else f"{value:g}"]
    for key in ("stage1", "init"):
        words += [] if options[key] is None else [f"--{key}", Path(options[key]).name]
    words += [] if holdout else ["--all-people"]
    for key, value in (changes or {}).items():
        words += ["--set", f"{key}={json.dumps(value)}"]
    return shlex.join(words)


LICENCE = (
    "Apache-2.0, as the code, if all training people were rendered; research use only if photos of real "
    "people were among them, since those are licensed for research or state no licence: Apache-2.0 then "
    "holds for the code alone"
)


def model_card(
    name: str,
    preset: Preset,
    stage: Stage,
    config: TrainConfig,
    people: TrainingPeople,
    result: TrainResult,
    command: str,
) -> dict[str, Any]:
    """The facts about a weights file as JSON values: system, preset, data, length, figures, command."""
    return card_of_run(
        name, preset.name, preset.size, people.description, stage.settings, config, stage.mix, result, command
    )


def run_facts(
    stage: Stage, people_dirs: Sequence[Path | str], people: TrainingPeople, stage1: Path | None, command: str
) -> dict[str, Any]:
    """What a run is trained on, for its checkpoints: JSON values by name.

    Args:
        stage: its settings and mix.
        people_dirs, people: the folders, and who of them trains.
        stage1: the weights of stage 1, for stage 2.
        command: that trains it.
    """
    tables = hashlib.sha256(b"".join(Path(d, "people.csv").read_bytes() for d in people_dirs))
    values = {"settings": asdict(stage.settings), "mix": asdict(stage.mix)}
    return {
        "data": people.description,
        "people": tables.hexdigest()[:16],
        "stage1": "" if stage1 is None else file_digest(stage1),
        **{f"{kind}.{key}": v for kind, fields in values.items() for key, v in _jsonable(fields).items()},
        "command": command,
    }


def card_of_run(
    name: str,
    preset: str,
    size: int,
    data: str,
    settings: Any,
    config: TrainConfig,
    mix: Any,
    result: TrainResult,
    command: str,
) -> dict[str, Any]:
    """The card of a run that need not follow a preset in all.

    Args:
        name: of the system.
        preset: its name.
        size: side of the network's input, pixels.
        data: what it was trained on, in words.
        settings, mix: dataclasses of what was trained and drawn.
        config, result: of the training. Of a run with stretches, their data and commands count.
        command: that made it.
    """
    stretches = result.stretches
    if stretches:
        data, command = told(stretches, "data"), told(stretches, "command")
    return {
        "system": name,
        "preset": preset,
        "input_size": size,
        "parameters": count_parameters(result.ema),
        "data": data,
        "length": f"{result.steps} steps, {result.minutes:.1f} minutes of training time",
        "images_per_second": round(result.images_per_second, 1),
        "tuning_figures": {key: round(value, 4) for key, value in result.evaluation.items()},
        "command": command,
        "settings": _jsonable(asdict(settings)),
        "training": _jsonable(asdict(config)),
        "mix": _jsonable(asdict(mix)),
        **({"stretches": stretches} if len(stretches) > 1 else {}),
        "python": sys.version.split()[0],
        "torch": torch.__version__,
        "licence": LICENCE,
    }


def tool_command(name: str, words: Sequence[str]) -> str:
    """The command of a script of `tools/` with these words; of paths, the last name alone."""
    plain = [Path(word).name if "/" in word and "=" not in word else word for word in words]
    return shlex.join(["python", f"tools/{name}", *plain])


def _jsonable(value: Any) -> Any:
    return json.loads(json.dumps(value, default=str))


def export(result: TrainResult, card: dict[str, Any], out: Path) -> Path:
    """Writes the averaged weights (fp16 safetensors) and the model card; returns the weights' path."""
    path = out / "weights.safetensors"
    names = ("system", "preset", "input_size", "data", "length", "command")
    metadata = {key: str(card[key]) for key in names}
    save_weights(path, result.ema.cpu(), metadata)
    write_json(out / "model_card.json", card)
    write_atomic(out / "model_card.md", lambda file: file.write(card_text(card).encode()))
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
