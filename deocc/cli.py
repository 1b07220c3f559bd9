"""The command line. Commands import what they need when they run, so ``deocc --help`` answers at once."""

import logging
import os
import sys
from json import loads
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from typer.core import TyperCommand

from deocc import __version__, cli_people
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
Seed = Annotated[int, typer.Option("--seed", min=0, help="Every random draw follows from it.")]
Device = Annotated[
    str,
    typer.Option("--device", help="auto (a GPU where there is one), cpu, cuda, cuda:1, ...", metavar="NAME"),
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
    bool, typer.Option(help="Average stage 1 over the mirror image: better, and stage 1 half as fast.")
]
Texture = Annotated[
    float,
    typer.Option(min=0, max=1, help="Share of fine detail that hidden body parts get of visible ones."),
]
Batch = Annotated[int, typer.Option("--batch", min=1, help="Cases at once.")]
Segmenter = Annotated[
    str,
    typer.Option(
        "--segmenter",
        help="Finds the rough mask in a box: auto, maskrcnn, pose, mediapipe, deeplab, grabcut, box.",
    ),
]
JsonFile = Annotated[
    Path | None, typer.Option("--json", help="Also write the figures to this file.", metavar="FILE")
]


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"deocc {__version__}")
        raise typer.Exit()


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Say more on the way.")] = False,
) -> None:
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("deocc: %(message)s"))
    logger = logging.getLogger("deocc")
    logger.handlers = [handler]
    logger.setLevel(logging.INFO if verbose else logging.WARNING)


def _seed_everything(seed: int) -> None:
    """Seeds NumPy's, OpenCV's (GrabCut) and torch's global generators."""
    import cv2
    import numpy as np
    import torch

    np.random.seed(seed % 2**32)
    cv2.setRNGSeed(seed % 2**31)
    torch.manual_seed(seed)


def _load(weights: str, device: str, flip: bool, texture: float) -> Any:
    from deocc.pipeline import Deoccluder

    return Deoccluder.from_pretrained(weights, device, flip, texture)


# ------------------------------------------------------------------ use


@app.command(rich_help_panel=USE)
def demo(
    out: Out = Path("deocc-demo"),
    weights: Weights = "small",
    flip: Flip = True,
    texture: Texture = 0.5,
    seed: Seed = 0,
    device: Device = "auto",
) -> None:
    """De-occlude the bundled cases with the bundled weights; write pictures and metrics.json."""
    from deocc.commands import run_demo
    from deocc.io import require_writable

    require_writable(out)
    _seed_everything(seed)
    metrics = run_demo(_load(weights, device, flip, texture), out, seed=seed)
    for given, means in metrics["mean"].items():
        words = ", ".join(f"{name} {value:.3f}" for name, value in means.items())
        typer.echo(f"given {given}: {words} (mean of {metrics['cases']} cases)")
    typer.echo(f"pictures: {out / 'overview.png'}; figures: {out / 'metrics.json'}")


@app.command(rich_help_panel=USE)
def deocclude(
    photo: Annotated[Path, typer.Argument(help="PNG or JPEG of any size.", metavar="PHOTO")],
    out: Out,
    mask: Annotated[
        Path | None,
        typer.Option("--mask", help="Rough mask of the visible person, of the photo's size.", metavar="PNG"),
    ] = None,
    box: Annotated[
        tuple[float, float, float, float] | None,
        typer.Option("--box", help="Box around the visible person, in pixels.", metavar="X0 Y0 X1 Y1"),
    ] = None,
    segmenter: Segmenter = "auto",
    weights: Weights = "small",
    flip: Flip = True,
    texture: Texture = 0.5,
    seed: Seed = 0,
    device: Device = "auto",
) -> None:
    """Complete one person of a photo: masks, body parts, and the recovered photo at full resolution.

    Writes modal.png, amodal.png, invisible.png, parsing.png (LIP class numbers), recovered.png, overview.png
    and result.json. Outside invisible.png, recovered.png equals the photo bit for bit.
    """
    from deocc.commands import deocclude_photo

    _seed_everything(seed)
    result = deocclude_photo(photo, out, lambda: _load(weights, device, flip, texture), mask, box, segmenter)
    for note in result["notes"]:
        typer.echo(f"note: {note}")
    typer.echo(f"hidden share of the person: {result['occlusion_ratio']:.0%}; written to {out}")


@app.command(rich_help_panel=USE)
def predict(
    cases: Annotated[Path, typer.Argument(help="Case folder, as `deocc occlude` makes it.", metavar="CASES")],
    out: Out,
    given: Annotated[
        Literal["initial", "modal", "box"],
        typer.Option(
            "--given", help="What stage 1 is told: initial.png, modal.png, or only the box of case.json."
        ),
    ] = "initial",
    batch: Batch = 16,
    segmenter: Segmenter = "auto",
    weights: Weights = "small",
    flip: Flip = True,
    texture: Texture = 0.5,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace the predictions of another run.")
    ] = False,
    seed: Seed = 0,
    device: Device = "auto",
) -> None:
    """Predict a case folder in batches; a run that was cut off goes on where it stopped."""
    from deocc.io import require_writable
    from deocc.occlusion import CaseFolder

    require_writable(out)
    folder = CaseFolder(cases)
    _seed_everything(seed)
    deoccluder = _load(weights, device, flip, texture)
    done = deoccluder.predict_cases(folder, out, given, batch, segmenter, overwrite)
    typer.echo(f"{len(done)} of {len(folder)} cases predicted now, all {len(folder)} are in {out}")


# ------------------------------------------------------------------ measure


@app.command(rich_help_panel=MEASURE)
def evaluate(
    cases: Annotated[Path, typer.Argument(help="Case folder with ground truth.", metavar="CASES")],
    predictions: Annotated[Path, typer.Argument(help="Prediction folder of the same cases.", metavar="PRED")],
    json: JsonFile = None,
    perceptual: Annotated[
        bool,
        typer.Option(
            "--perceptual/--no-perceptual", help="Compare pixels by feature networks, too (0.25 s a case)."
        ),
    ] = True,
    seed: Seed = 0,
    device: Device = "auto",
) -> None:
    """Score predictions: the paper's metrics and more, with N and 95 % confidence intervals."""
    from deocc.evaluation import evaluate_folders, format_evaluation
    from deocc.io import require_writable, write_json
    from deocc.pipeline import pick_device

    if json is not None:
        require_writable(json.parent)
    result = evaluate_folders(
        cases, predictions, seed, pick_device(device), perceptual=perceptual, progress=True
    )
    if json is not None:
        write_json(json, result)
    typer.echo(format_evaluation(result))


@app.command(rich_help_panel=MEASURE)
def bench(
    json: JsonFile = None,
    preset: Annotated[
        Literal["tiny", "small", "paper"],
        typer.Option("--preset", help="Sizes of the networks and their input."),
    ] = "small",
    count: Annotated[int, typer.Option("--count", min=1, help="Measurements a part.")] = 30,
    seed: Seed = 0,
    device: Device = "auto",
) -> None:
    """Time each part: rendering, occlusion, both stages, end to end; beside the paper's V100 times."""
    from deocc.bench import format_bench, run_bench
    from deocc.io import require_writable, write_json

    if json is not None:
        require_writable(json.parent)
    result = run_bench(preset, count, seed, device)
    if json is not None:
        write_json(json, result)
    typer.echo(format_bench(result))


# ------------------------------------------------------------------ make


@app.command(rich_help_panel=MAKE)
def render(
    out: Out,
    count: Annotated[int, typer.Option("--count", min=1, help="People.")] = 10,
    size: Annotated[int, typer.Option("--size", min=32, help="Side of a picture in pixels.")] = 256,
    workers: Annotated[int, typer.Option("--workers", min=1, help="Processes.")] = 1,
    split: Annotated[
        Literal["train", "val"] | None,
        typer.Option("--split", help="Put everybody into one split.  [default: one in six is val]"),
    ] = None,
    seed: Seed = 0,
    device: Device = "auto",
) -> None:
    """Render people with exact masks and body parts into a people folder; person i has seed SEED + i."""
    from deocc.commands import new_folder
    from deocc.people.synth import render_people
    from deocc.pipeline import pick_device

    pick_device(device)  # rendering needs no GPU; a wrong name is still said
    people = render_people(count, seed, workers, new_folder(out), size, split)
    typer.echo(f"{len(people)} people in {out}")


@app.command(rich_help_panel=MAKE)
def occlude(
    people: Annotated[Path, typer.Argument(help="People folder.", metavar="PEOPLE")],
    out: Out,
    split: Annotated[str, typer.Option("--split", help="train, val, or all.")] = "val",
    per_person: Annotated[int, typer.Option("--per-person", min=1, help="Cases a person.")] = 3,
    ratio: Annotated[
        tuple[float, float],
        typer.Option("--ratio", help="Range of the hidden share, each in (0, 1].", metavar="LO HI"),
    ] = (0.08, 0.65),
    initial: Annotated[
        float,
        typer.Option(
            "--initial", min=0, help="Severity of the errors of initial.png; 0: the true visible mask."
        ),
    ] = 1.0,
    occluders: Annotated[
        Path | None,
        typer.Option(
            "--occluders", help="People folder to take occluders from.  [default: PEOPLE]", metavar="DIR"
        ),
    ] = None,
    placement: Annotated[
        str,
        typer.Option(
            "--placement",
            help="Where occluders stand: anywhere, grounded, ridden, held, person_in_front, border, surface, "
            "or natural, a mix of them.",
            metavar="KIND",
        ),
    ] = "anywhere",
    seed: Seed = 0,
    device: Device = "auto",
) -> None:
    """Make a fixed case folder: each person behind several occluders, at exact occlusion ratios."""
    from deocc.commands import write_cases
    from deocc.pipeline import pick_device

    pick_device(device)  # occlusion needs no GPU; a wrong name is still said
    count = write_cases(people, out, occluders, split, per_person, ratio, initial, seed, placement=placement)
    typer.echo(f"{count} cases in {out}")


class _ManyFolders(TyperCommand):
    """Lets ``--people A B C`` stand for ``--people A --people B --people C``; the same for ``--only``."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        return super().parse_args(ctx, _repeat_option(_repeat_option(args, "--people"), "--only"))


def _repeat_option(args: list[str], option: str) -> list[str]:
    """Repeats an option before each of the values that follow it up to the next option."""
    out: list[str] = []
    values = -1  # seen since the option; -1: elsewhere
    for word in args:
        if word.startswith("-"):
            values = 0 if word == option else -1
        elif values >= 0:
            values += 1
            if values > 1:
                out.append(option)
        out.append(word)
    return out


@app.command(rich_help_panel=MAKE, cls=_ManyFolders)
def train(
    system: Annotated[str, typer.Argument(help="mask/ours, content/ours, ...", metavar="SYSTEM")],
    out: Out,
    people: Annotated[
        list[Path] | None, typer.Option("--people", help="People folders, one or more.", metavar="DIR...")
    ] = None,
    preset: Annotated[
        Literal["tiny", "small", "paper"],
        typer.Option("--preset", help="Sizes of networks, input and schedule."),
    ] = "small",
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on from the last checkpoint in --out.")
    ] = False,
    minutes: Annotated[
        float | None, typer.Option("--minutes", min=0, help="Length instead of the preset's.")
    ] = None,
    steps: Annotated[
        int | None, typer.Option("--steps", min=1, help="Length instead of the preset's.")
    ] = None,
    stage1: Annotated[
        Path | None, typer.Option("--stage1", help="Stage 1's weights, for stage 2.", metavar="FILE")
    ] = None,
    init: Annotated[
        Path | None, typer.Option("--init", help="Weights to start from.", metavar="FILE")
    ] = None,
    all_people: Annotated[
        bool, typer.Option("--all-people", help="Train on the tenth that is held out for tuning, too.")
    ] = False,
    changes: Annotated[
        list[str] | None,
        typer.Option(
            "--set", help="Change a field of the preset, e.g. mask.train.lr=0.001.", metavar="KEY=VALUE"
        ),
    ] = None,
    threads: Annotated[int | None, typer.Option("--threads", min=1, help="CPU threads.")] = None,
    seed: Seed = 0,
    device: Device = "auto",
) -> None:
    """Train a system; checkpoints, the log, weights and the model card go to --out."""
    from deocc.io import require_writable

    require_writable(out)
    fields = dict(_key_value(text) for text in changes or [])
    from deocc.experiments import train_system
    from deocc.pipeline import pick_device

    pick_device(device)
    if device != "auto":
        os.environ["ACCELERATE_TORCH_DEVICE"] = device
    logging.getLogger("deocc").setLevel(logging.INFO)
    trained = train_system(
        system, people or [], preset, out, resume, fields, minutes, steps, seed,
        None if device == "auto" else device, threads, not all_people, None, stage1, init,
    )  # fmt: skip
    typer.echo(f"weights: {trained.weights}")


@app.command(rich_help_panel=MEASURE, cls=_ManyFolders)
def table(
    number: Annotated[str, typer.Argument(help="2, 3, 4, 5 or 6.", metavar="N")],
    preset: Annotated[
        Literal["tiny", "small", "paper"],
        typer.Option("--preset", help="Sizes of networks, input and schedule."),
    ] = "small",
    training: Annotated[
        bool, typer.Option("--train", help="Train and evaluate what has no result yet.")
    ] = False,
    people: Annotated[
        list[Path] | None,
        typer.Option(
            "--people",
            help="People folders to train on; cases come from the first one's split val.  "
            "[default: the bundled people at preset tiny]",
            metavar="DIR...",
        ),
    ] = None,
    cases: Annotated[
        Path | None, typer.Option("--cases", help="Case folder to evaluate on instead.", metavar="DIR")
    ] = None,
    images: Annotated[
        int | None,
        typer.Option("--images", min=1, help="Training images a run, the same for every row."),
    ] = None,
    seeds: Annotated[
        int, typer.Option("--seeds", min=1, help="Runs a row, with seeds SEED, SEED + 1, ...")
    ] = 1,
    only: Annotated[
        list[str] | None,
        typer.Option("--only", help="Rows to train, by key; others are left.", metavar="ROW..."),
    ] = None,
    stage1: Annotated[
        Path | None,
        typer.Option(
            "--stage1",
            help="Stage 1's weights, for tables 3, 5 and 6.  [default: the bundled ones of the preset; else "
            "stage 1 is trained first]",
            metavar="FILE",
        ),
    ] = None,
    precision: Annotated[
        Literal["no", "fp16", "bf16"] | None,
        typer.Option(
            "--precision",
            help="Of training: bf16 is faster where the processor knows it.  [default: the preset's]",
        ),
    ] = None,
    threads: Annotated[int | None, typer.Option("--threads", min=1, help="CPU threads.")] = None,
    runs: Annotated[
        Path, typer.Option("--runs", help="Where runs and made cases lie.", metavar="DIR")
    ] = Path("runs/tables"),
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", help="Folder of results and tables.  [default: data/results/tables]", metavar="DIR"
        ),
    ] = None,
    seed: Seed = 0,
    device: Device = "auto",
) -> None:
    """Print and save a table of the paper from stored results; with --train, make what it lacks first.

    Interrupt it at any time: the same command goes on where it stopped. Several processes may work at one
    table; a row is only ever trained by one of them.
    """
    from deocc.commands import make_table
    from deocc.paths import PEOPLE_MINI, RESULTS

    out = out or RESULTS / "tables"
    if training and not people and preset == "tiny":
        people = [PEOPLE_MINI]
    _seed_everything(seed)
    logging.getLogger("deocc").setLevel(logging.INFO)
    if device != "auto":
        os.environ["ACCELERATE_TORCH_DEVICE"] = device
    text, page = make_table(
        number, preset, training, tuple(people or ()), cases, images, seeds, tuple(only or ()), threads, runs,
        out, seed, None if device == "auto" else device, stage1, precision,
    )  # fmt: skip
    typer.echo(text)
    typer.echo(f"written to {page} and {page.with_suffix('.json').name}")


def _key_value(text: str) -> tuple[str, Any]:
    """``a.b=1e-3`` -> ("a.b", 0.001); values are JSON, and words stand for themselves."""
    key, equals, value = text.partition("=")
    if not equals or not key:
        raise DeoccError(f"--set {text!r}: KEY=VALUE was expected, such as mask.train.lr=0.001")
    try:
        return key, loads(value)
    except ValueError:
        return key, value


app.add_typer(cli_people.app, rich_help_panel=MAKE)


# ------------------------------------------------------------------ start


def _fail(message: str) -> None:
    """One line on stderr, exit status 2."""
    print(f"deocc: error: {' '.join(message.split())}", file=sys.stderr)
    sys.exit(2)


def _fail_usage(error: typer.TyperException) -> None:
    """A wrong option or argument; where only help was asked for, the help page says it all."""
    message, context = error.format_message().rstrip("."), getattr(error, "ctx", None)
    if not message:
        sys.exit(2)
    _fail(f"{message}; see {context.command_path if context else 'deocc'} --help")


def main(args: list[str] | None = None) -> None:
    """Runs the command line. Bad input ends in one line on stderr and exit status 2, Ctrl-C in status 130."""
    try:
        status = app(args, prog_name="deocc", standalone_mode=False)
    except DeoccError as error:
        _fail(str(error))
    except typer.TyperException as error:
        _fail_usage(error)
    except OSError as error:
        if os.environ.get("DEOCC_DEBUG"):
            raise
        _fail(f"{error.filename or 'input or output'}: {error.strerror or error}")
    sys.exit(status if isinstance(status, int) else 0)


if __name__ == "__main__":
    main()
