"""Trains a decoder of body parts (`deocc.models.parts`) for a stage 1, whose masks stay as they are. Example:

python tools/train_parts.py real-humans real-humans-2 people-rendered --init mask-small.safetensors --out RUN
"""

import logging
import sys
from pathlib import Path
from typing import Annotated

import deocc  # noqa: F401  # before torch

# isort: split
import torch
import typer

from deocc.errors import DeoccError
from deocc.experiments.card import card_of_run, export, tool_command
from deocc.experiments.people import Picked, load_people
from deocc.experiments.presets import SMALL, with_changes
from deocc.models import MaskCompletionNet, load_weights
from deocc.models.weights import fill_shared
from deocc.occlusion import OcclusionDataset
from deocc.training.config import TrainConfig
from deocc.training.loop import train
from deocc.training.parts import PartsSettings, PartsSystem


def main(
    people: Annotated[list[Path], typer.Argument(help="People folders; one named twice counts twice.")],
    init: Annotated[Path, typer.Option(help="Weights of stage 1, with a decoder of parts or without.")],
    out: Annotated[Path, typer.Option(help="Folder of the run.")],
    size: int = 192,
    minutes: float = 60.0,
    batch: int = 16,
    lr: float = 2e-3,
    seed: int = 0,
    workers: int = 1,
    threads: int = 1,
    resume: bool = False,
    set_: Annotated[
        list[str] | None, typer.Option("--set", help="KEY=JSON of PartsSettings or mix.KEY.")
    ] = None,
    every: int = 100,
) -> None:
    """Trains on people with labels of body parts and exports the whole stage 1."""
    logging.basicConfig(level=logging.INFO)
    settings, mix = with_changes(PartsSettings(), SMALL.mask.mix, set_ or [])
    config = TrainConfig(
        batch_size=batch, max_minutes=minutes, lr=lr, warmup_steps=50, final_lr=0.02, ema_decay=0.998,
        mixed_precision="bf16", workers=workers, threads=threads, seed=seed, log_every=20, eval_every=0,
        checkpoint_every=every,
    )  # fmt: skip
    found = load_people(people)
    labelled = [i for i, person in enumerate(found.persons) if person.parsing is not None]
    data = OcclusionDataset(Picked(found.persons, labelled), found.occluders, size, seed, mix)
    torch.manual_seed(seed)
    system = PartsSystem(settings, with_decoder(load_weights(init), settings.width))
    result = train(system, data, config, out, resume, None, "cpu")
    about = f"{len(labelled)} people with body parts, some counted repeatedly, of {found.description}"
    command = tool_command("train_parts.py", sys.argv[1:])
    card = card_of_run("mask/ours", "small", size, about, settings, config, mix, result, command)
    export(result, card, out)


def with_decoder(old: torch.nn.Module, width: int) -> MaskCompletionNet:
    """A stage 1 with a decoder of this width, all else as in `old`.

    Raises:
        DeoccError: `old` is no stage 1, or has a decoder of another width.
    """
    if not isinstance(old, MaskCompletionNet):
        raise DeoccError(f"the weights are of {type(old).__name__}; give those of stage 1")
    if old.config.get("parts", width) != width:
        raise DeoccError(f"the decoder has width {old.config['parts']}, not {width}; set width to that")
    new = MaskCompletionNet(**{**old.config, "parts": width})
    fill_shared(new, old)
    return new


if __name__ == "__main__":
    try:
        typer.run(main)
    except DeoccError as error:
        sys.exit(f"error: {error}")
