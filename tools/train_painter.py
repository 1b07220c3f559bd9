"""Trains the painter on packs of `tools/prepare_painter.py`. Example:

python tools/train_painter.py runs/packed/a runs/packed/b --out runs/painter --init content-small.safetensors
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
from deocc.experiments.presets import with_changes
from deocc.models import load_weights
from deocc.training.config import TrainConfig
from deocc.training.loop import train
from deocc.training.packed import Pack, PackedItems, PackedMix, fit_palette
from deocc.training.painter import PainterSettings, PainterSystem


def main(
    packs: Annotated[list[Path], typer.Argument(help="Packs; one named twice counts twice.")],
    out: Annotated[Path, typer.Option(help="Folder of the run.")],
    init: Annotated[Path | None, typer.Option(help="Weights of stage 2 to start from.")] = None,
    size: int = 192,
    minutes: float = 60.0,
    batch: int = 8,
    lr: float = 6e-4,
    seed: int = 0,
    workers: int = 1,
    resume: bool = False,
    discriminator: Annotated[Path | None, typer.Option(help="Checkpoint whose adversary is kept.")] = None,
    set_: Annotated[
        list[str] | None, typer.Option("--set", help="KEY=JSON of PainterSettings or mix.KEY.")
    ] = None,
    precision: str = "bf16",
    warmup: int = 50,
    final_lr: float = 0.1,
    every: int = 100,
) -> None:
    """Trains and exports."""
    logging.basicConfig(level=logging.INFO)
    settings, mix = with_changes(PainterSettings(), PackedMix(), set_ or [])
    config = TrainConfig(
        batch_size=batch, max_minutes=minutes, optimizer="adam", lr=lr, weight_decay=0.0, momentum=0.5,
        warmup_steps=warmup, final_lr=final_lr, discriminator_lr=1e-3, ema_decay=0.995,
        mixed_precision=precision, workers=workers, threads=1, seed=seed, log_every=20, eval_every=0,
        checkpoint_every=every,
    )  # fmt: skip
    opened = [Pack(folder) for folder in packs]
    data = PackedItems(opened, size, seed, mix)
    torch.manual_seed(seed)
    system = PainterSystem(settings, size)
    system.network.palette.copy_(fit_palette(opened, system.network.palette.shape[1]))
    if init is not None:
        start_from(system.network, _tensors(init))
    if discriminator is not None:
        state = torch.load(discriminator, map_location="cpu", weights_only=True)
        system.discriminator.load_state_dict(state["discriminator"])
    result = train(system, data, config, out, resume, None, "cpu")
    about = ", ".join(
        f"{folder.name} ({len(pack)} cases)" for folder, pack in zip(packs, opened, strict=True)
    )
    command = tool_command("train_painter.py", sys.argv[1:])
    card = card_of_run("content/painter", "small", size, about, settings, config, mix, result, command)
    export(result, card, out)


def _tensors(path: Path) -> dict[str, torch.Tensor]:
    """The tensors of a weights file, or the averaged ones of a checkpoint."""
    if path.suffix == ".pt":
        return torch.load(path, map_location="cpu", weights_only=True)["ema"]
    return load_weights(path).state_dict()


def start_from(network: torch.nn.Module, old: dict[str, torch.Tensor]) -> None:
    """Copies another network's tensors; kernels with more channels are filled from the first channel on."""
    state = network.state_dict()
    for name, value in old.items():
        if name not in state or name == "palette":
            continue
        if state[name].shape == value.shape:
            state[name] = value
        elif name.endswith("masks.weight"):
            grown = torch.zeros_like(state[name])
            grown[:, : value.shape[1]] = value
            state[name] = grown
    network.load_state_dict(state)


if __name__ == "__main__":
    try:
        typer.run(main)
    except DeoccError as error:
        sys.exit(f"error: {error}")
