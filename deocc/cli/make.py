"""Commands that make data, weights and tables: ``render``, ``occlude``, ``train``, ``table``."""

import logging
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from typer.core import TyperCommand

from deocc.checks import key_value
from deocc.cli.app import (
    MAKE,
    MEASURE,
    Device,
    Out,
    PresetName,
    Seed,
    Shard,
    Threads,
    app,
    seed_everything,
)
from deocc.errors import DeoccError

LEFT_OUT = 3  # exit status of --strict where something was left out
SHOWN = 5  # of what was left out, by name


@app.command(rich_help_panel=MAKE)
def render(
    out: Out,
    count: Annotated[int, typer.Option("--count", min=1, help="People.")] = 10,
    size: Annotated[int, typer.Option("--size", min=32, help="Side of a picture in pixels.")] = 256,
    workers: Annotated[int, typer.Option("--workers", min=1, help="Processes.")] = 1,
    split: Annotated[
        Literal["train", "val"] | None,
        typer.Option("--split", help="Put everybody into one split.", show_default="one in six is val"),
    ] = None,
    seed: Seed = 100_000,
    device: Device = "auto",
) -> None:
    """Render people with exact masks and body parts into a people folder; person i has seed SEED + i.

    Seeds 0 to 239 are the bundled people (data/people-mini), 200 to 239 its validation people.

    The same command continues an interrupted run.
    """
    from deocc.device import pick_device
    from deocc.people.synth import render_people

    pick_device(device)  # rendering needs no GPU; a wrong name is still an error
    people = render_people(count, seed, workers, out, size, split)
    typer.echo(f"{len(people)} people in {out}")


@app.command(rich_help_panel=MAKE)
def occlude(
    people: Annotated[Path, typer.Argument(help="People folder.", metavar="PEOPLE")],
    out: Out,
    split: Annotated[str, typer.Option("--split", help="train, val, or all.")] = "val",
    per_person: Annotated[int, typer.Option("--per-person", min=1, help="Cases per person.")] = 3,
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
            "--occluders",
            help="People folder to take occluders from.",
            show_default="PEOPLE, else the bundled ones",
            metavar="DIR",
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
    shard: Shard = "1/1",
    strict: Annotated[
        bool,
        typer.Option(
            "--strict",
            help="Exit with status 3 if a case was left out, or could not be placed as a single KIND.",
        ),
    ] = False,
    seed: Seed = 0,
    device: Device = "auto",
) -> None:
    """Make a fixed case folder: each person behind several occluders, at exact occlusion ratios.

    The same command continues an interrupted run. People who cannot be occluded are named and left out; see
    --strict.
    """
    from deocc.device import pick_device
    from deocc.occlusion.making import CaseOptions, pasted_anywhere, write_cases
    from deocc.occlusion.priors import KINDS
    from deocc.people.sources.options import parse_shard

    pick_device(device)  # occlusion needs no GPU; a wrong name is still an error
    options = CaseOptions(split, per_person, ratio, initial, seed, placement)
    part = parse_shard(shard)
    count, left_out = write_cases(people, out, options, occluders, part)
    for name, why in list(left_out.items())[:SHOWN]:
        typer.echo(f"left out {name}: {why.removeprefix(f'{name}: ')}", err=True)
    if left_out:
        typer.echo(f"{len(left_out)} cases could not be made and were left out", err=True)
    if plain := pasted_anywhere(people, out, options, part):
        words = f"{plain} of {count} cases could not be placed as {placement!r} and were pasted anywhere"
        typer.echo(words, err=True)
    typer.echo(f"{count} cases in {out}")
    if strict and (left_out or (plain and placement in KINDS)):
        raise typer.Exit(LEFT_OUT)


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
    preset: PresetName = "small",
    resume: Annotated[
        bool, typer.Option("--resume", help="Continue from the last checkpoint in --out.")
    ] = False,
    minutes: Annotated[
        float | None, typer.Option("--minutes", min=0, help="Training time, instead of the preset's.")
    ] = None,
    steps: Annotated[
        int | None, typer.Option("--steps", min=1, help="Training steps, instead of the preset's.")
    ] = None,
    stage1: Annotated[
        Path | None,
        typer.Option(
            "--stage1",
            help="Stage 1's weights, for stage 2.",
            show_default="the bundled ones; only preset small has them",
            metavar="FILE",
        ),
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
    threads: Threads = None,
    seed: Seed = 0,
    device: Device = "auto",
) -> None:
    """Train a system; checkpoints, the log, weights and the model card go to --out."""
    from deocc.io import require_writable

    require_writable(out)
    fields = dict(key_value(text) for text in changes or [])
    from deocc.device import pick_device
    from deocc.experiments.run import train_system
    from deocc.training.processes import is_first, world_size

    if world_size() == 1:  # else each process takes its own GPU
        pick_device(device)
    logging.getLogger("deocc").setLevel(logging.INFO if is_first() else logging.ERROR)
    trained = train_system(
        system, people or [], preset, out, resume=resume, changes=fields, max_minutes=minutes, steps=steps,
        seed=seed, device=None if device == "auto" else device, threads=threads, holdout=not all_people,
        stage1=stage1, init=init,
    )  # fmt: skip
    if is_first():
        typer.echo(f"weights: {trained.weights}")


@app.command(rich_help_panel=MEASURE, cls=_ManyFolders)
def table(
    number: Annotated[str, typer.Argument(help="1 to 6, scorecard, or all.", metavar="N")],
    preset: PresetName = "small",
    training: Annotated[
        bool, typer.Option("--train", help="Train and evaluate the rows that have no result.")
    ] = False,
    people: Annotated[
        list[Path] | None,
        typer.Option(
            "--people",
            help="People folders to train on; cases come from the first one's split val.",
            show_default="the bundled people at preset tiny",
            metavar="DIR...",
        ),
    ] = None,
    cases: Annotated[
        Path | None, typer.Option("--cases", help="Case folder to evaluate on instead.", metavar="DIR")
    ] = None,
    images: Annotated[
        int | None,
        typer.Option("--images", min=1, help="Training images per run, the same for every row."),
    ] = None,
    seeds: Annotated[
        int, typer.Option("--seeds", min=1, help="Runs per row, with seeds SEED, SEED + 1, ...")
    ] = 1,
    only: Annotated[
        list[str] | None,
        typer.Option("--only", help="Rows to train, by key; others are skipped.", metavar="ROW..."),
    ] = None,
    stage1: Annotated[
        Path | None,
        typer.Option(
            "--stage1",
            help="Stage 1's weights, for tables 3, 5 and 6.",
            show_default="the tables' own of the preset; else stage 1 is trained first",
            metavar="FILE",
        ),
    ] = None,
    precision: Annotated[
        Literal["no", "fp16", "bf16"] | None,
        typer.Option(
            "--precision",
            help="Of training; bf16 is faster if the processor supports it.",
            show_default="the preset's",
        ),
    ] = None,
    threads: Threads = None,
    complete: Annotated[
        bool, typer.Option("--complete", help="Redo results that lack newer columns.")
    ] = False,
    natural: Annotated[
        bool, typer.Option("--natural", help="With --train: also measure on natural cases.")
    ] = False,
    runs: Annotated[
        Path, typer.Option("--runs", help="Folder of runs and generated cases.", metavar="DIR")
    ] = Path("runs/tables"),
    results: Annotated[
        Path | None,
        typer.Option(
            "--results",
            help="Folder of stored results.",
            metavar="DIR",
            show_default="data/results/tables",
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", help="Save the table: a page (.md), or a folder for Markdown and JSON."),
    ] = None,
    seed: Seed = 0,
    device: Device = "auto",
) -> None:
    """Print a table of the paper from stored results; with --train, train missing rows first.

    Without --train or --out, nothing is written. A training may be interrupted at any time: the same command
    continues it. Several processes may work on one table; each row is trained by one of them.
    """
    from deocc.paths import PEOPLE_MINI, RESULTS
    from deocc.tables.make import make_table
    from deocc.tables.runs import TableOptions
    from deocc.training.processes import world_size

    if training and world_size() > 1:
        raise DeoccError(
            "table --train trains a row in one process, but torchrun started several; start one process per "
            "GPU without it (--device cuda:0, cuda:1, ...): they share the rows among them"
        )
    if training and not people and preset == "tiny":
        people = [PEOPLE_MINI]
    seed_everything(seed)
    logging.getLogger("deocc").setLevel(logging.INFO)
    options = TableOptions(
        preset=preset, people=tuple(people or ()), images=images, runs=runs,
        results=results or RESULTS / "tables", cases=cases, seeds=tuple(range(seed, seed + seeds)),
        threads=threads, device=None if device == "auto" else device, stage1=stage1, precision=precision,
        complete=complete, natural=natural,
    )  # fmt: skip
    text = make_table(number, options, train=training, only=tuple(only or ()), out=out)
    typer.echo(text)
    if out is not None:
        typer.echo(f"written to {out}")
