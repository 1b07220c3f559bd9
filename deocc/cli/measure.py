"""Commands that measure: ``evaluate``, ``compare``, ``bench``."""

import sys
from pathlib import Path
from typing import Annotated, Literal

import typer

from deocc.cli.app import MEASURE, Device, JsonFile, Seed, Shard, app
from deocc.errors import DeoccError


@app.command(rich_help_panel=MEASURE)
def evaluate(
    cases: Annotated[Path, typer.Argument(help="Case folder with ground truth.", metavar="CASES")],
    predictions: Annotated[Path, typer.Argument(help="Prediction folder of the same cases.", metavar="PRED")],
    json: JsonFile = None,
    perceptual: Annotated[
        bool,
        typer.Option(
            "--perceptual/--no-perceptual", help="Also compare pixels by feature networks (0.25 s per case)."
        ),
    ] = True,
    shard: Shard = "1/1",
    seed: Seed = 0,
    device: Device = "auto",
) -> None:
    """Score predictions: the paper's metrics and more, with N and 95 % confidence intervals.

    With --shard, each part writes its scores beside the --json file; the last part combines and prints them.
    """
    from deocc.device import pick_device
    from deocc.evaluation.folders import evaluate_folders, evaluate_shard
    from deocc.evaluation.parts import remove_parts
    from deocc.evaluation.report import format_evaluation
    from deocc.io import require_writable_file, write_json
    from deocc.people.sources.options import parse_shard

    part, count = parse_shard(shard)
    if json is not None:
        json = require_writable_file(json)
    elif count > 1:
        raise DeoccError("--shard needs --json FILE, the same for all parts; their scores are kept beside it")
    where, options = pick_device(device), {"perceptual": perceptual, "progress": True}
    if count == 1 or json is None:
        result = evaluate_folders(cases, predictions, seed, where, **options)
    else:
        found = evaluate_shard(cases, predictions, json, (part, count), seed, where, **options)
        if isinstance(found, list):
            typer.echo(f"part {part} of {count} is scored; missing: {', '.join(map(str, found))}")
            return
        result = found
    if json is not None:
        write_json(json, result)
        remove_parts(json, count)
    typer.echo(format_evaluation(result))


@app.command(rich_help_panel=MEASURE)
def compare(
    first: Annotated[Path, typer.Argument(help="Prediction folder A.", metavar="PRED_A")],
    second: Annotated[Path, typer.Argument(help="Prediction folder B.", metavar="PRED_B")],
    cases: Annotated[Path, typer.Argument(help="Case folder of both.", metavar="CASES")],
    out: Annotated[
        Path, typer.Option("--out", help="Folder of sheets and judgements.", metavar="DIR")
    ] = Path("comparison"),
    count: Annotated[
        int | None,
        typer.Option("--count", min=1, help="Most pairs to judge.", show_default="all that differ"),
    ] = None,
    answers: Annotated[
        Path | None,
        typer.Option("--answers", help="Filled-in answers.csv to add to the judgements.", metavar="CSV"),
    ] = None,
    json: JsonFile = None,
    seed: Seed = 0,
) -> None:
    """Judge blindly which of two pictures is better; the same command resumes where it stopped.

    Writes pairs/001.png, ... and index.html, a page to view the pairs and answer in a browser. In a terminal,
    the command asks about the pairs one by one. Otherwise fill in answers.csv (left, right or same), or save
    it from the page, and pass it with --answers. Order and sides follow from the seed. judgements.jsonl
    records the preferred folder of each answer: do not read it before you are done.
    """
    from tqdm.auto import tqdm

    from deocc.inference.predictions import OTHER_CASES, made_for_others
    from deocc.io import require_writable, require_writable_file, write_json
    from deocc.studies import blind, sheets

    require_writable(out)
    if json is not None:
        json = require_writable_file(json)
    contest = blind.open_contest(first, second, cases, count, seed)
    for path in (first, second):
        if made_for_others(path, contest.cases):
            typer.echo(f"note: {path}: {OTHER_CASES}", err=True)
    judgements = blind.Judgements(out / "judgements.jsonl", contest)
    stored = {} if answers is None else blind.read_answers(answers, len(contest.pairs))
    page = sheets.write_sheets(contest, out, lambda pairs: tqdm(pairs, "sheets", unit="pair"))
    for number, answer in stored.items():
        if judgements.answers.get(number) != answer:
            judgements.add(number, answer)
    if answers is None and sys.stdin.isatty():
        typer.echo(f"or answer in a browser: {page}")
        blind.ask(judgements, out / "pairs")
    result = judgements.result()
    if json is not None:
        write_json(json, result)
    typer.echo(f"page: {page}; to fill in: {out / 'answers.csv'}")
    typer.echo(blind.format_score(result))


@app.command(rich_help_panel=MEASURE)
def bench(
    json: JsonFile = None,
    preset: Annotated[
        Literal["tiny", "small", "paper"],
        typer.Option("--preset", help="Sizes of the networks and their input."),
    ] = "small",
    count: Annotated[int, typer.Option("--count", min=1, help="Measurements per part.")] = 30,
    busy: Annotated[
        bool,
        typer.Option(
            "--busy",
            help="Instead: time a photo and the demo, alone and beside a busy process, by thread policy.",
        ),
    ] = False,
    seed: Seed = 0,
    device: Device = "auto",
) -> None:
    """Time each part (rendering, occlusion, both stages, end to end), beside the paper's V100 times."""
    from deocc.io import require_writable_file, write_json
    from deocc.studies.bench import format_bench, run_bench
    from deocc.studies.busy import format_busy, run_busy

    if json is not None:
        json = require_writable_file(json)
    result = run_busy(count) if busy else run_bench(preset, count, seed, device)
    if json is not None:
        write_json(json, result)
    typer.echo(format_busy(result) if busy else format_bench(result))
