"""The root of the command line, with the options that commands share."""

import gc
import logging
import sys
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from deocc import __version__
from deocc.checks import MAX_SEED
from deocc.errors import DeoccError

app = typer.Typer(
    name="deocc",
    help="Complete occluded people: whole masks, body parts and hidden pixels (Zhou et al., CVPR 2021).",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

USE, MAKE, MEASURE = "Use", "Make data and weights", "Measure"  # panels of the help page

Out = Annotated[Path, typer.Option("--out", help="Folder to write.", metavar="DIR")]
Seed = Annotated[int, typer.Option("--seed", min=0, max=MAX_SEED, help="Seed of every random draw.")]
Device = Annotated[
    str,
    typer.Option("--device", help="auto (a GPU if there is one), cpu, cuda, cuda:1, ...", metavar="NAME"),
]
Weights = Annotated[
    str,
    typer.Option(
        "--weights",
        help="Bundled weights by name, or a folder with one mask*.safetensors and one content*.safetensors.",
        metavar="NAME|DIR",
    ),
]
Flip = Annotated[
    bool, typer.Option(help="Average stage 1 over the image and its mirror image: better, but half as fast.")
]
Texture = Annotated[
    float | None,
    typer.Option(
        min=0,
        max=1,
        help="Share of the visible parts' fine detail added to hidden body parts.",
        show_default="depends on the weights",
    ),
]
Exemplar = Annotated[
    bool | None,
    typer.Option(
        "--exemplar/--no-exemplar",
        help="Continue hidden clothes with patches of visible ones, and calm those that show nowhere.",
        show_default="depends on the weights; off with --texture",
    ),
]
BatchSize = Annotated[int, typer.Option("--batch", min=1, help="Cases per batch.")]
Segmenter = Annotated[
    str,
    typer.Option(
        "--segmenter",
        help="Finds the rough mask in a box: auto, stage1, maskrcnn, pose, mediapipe, deeplab, grabcut, box.",
    ),
]
Shard = Annotated[
    str,
    typer.Option("--shard", help="Do part i of n (from 1); all parts together equal one run.", metavar="I/N"),
]
PresetName = Annotated[
    Literal["tiny", "small", "paper"],
    typer.Option("--preset", help="Sizes of networks, input and schedule."),
]
Threads = Annotated[int | None, typer.Option("--threads", min=1, help="CPU threads.")]
JsonFile = Annotated[
    Path | None, typer.Option("--json", help="Also write the figures to this file.", metavar="FILE")
]


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"deocc {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Print more messages.")] = False,
) -> None:
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("deocc: %(message)s"))
    logger = logging.getLogger("deocc")
    logger.handlers = [handler]
    logger.setLevel(logging.INFO if verbose else logging.WARNING)


def seed_everything(seed: int) -> None:
    """Seeds NumPy's, OpenCV's (GrabCut) and torch's global generators."""
    import cv2
    import numpy as np

    torch = load_torch()
    np.random.seed(seed % 2**32)
    cv2.setRNGSeed(seed % 2**31)
    torch.manual_seed(seed)


def load_torch() -> Any:
    """Imports PyTorch without garbage collection, which would find little and take a tenth of the time.

    Returns:
        The module.
    """
    if gc.isenabled() and "torch" not in sys.modules:
        gc.disable()
        try:
            import torch
        finally:
            gc.freeze()  # no later collection goes through what the modules hold
            gc.enable()
    import torch

    return torch


def load_deoccluder(
    weights: str, device: str, flip: bool, texture: float | None, exemplar: bool | None
) -> Any:
    from deocc.inference.deoccluder import Deoccluder

    return Deoccluder.from_pretrained(weights, device, flip, texture, exemplar)


def click(words: str) -> tuple[float, float, bool]:
    """Parses a click such as 120,80,yes. Raises: DeoccError: it is not a click."""
    parts = words.replace(",", " ").split()
    try:
        x, y, answer = float(parts[0]), float(parts[1]), parts[2].lower()
    except (ValueError, IndexError):
        answer = ""
    if answer not in ("yes", "no") or len(parts) != 3:
        raise DeoccError(f"--point {words!r}: give X,Y,yes where the person is, X,Y,no where not")
    return x, y, answer == "yes"
