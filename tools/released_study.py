"""Trains as released and as written, for comparison: data/results/released-study.json.

Runs: stage 1 as written and as released (half resolution), as released at full resolution, and as written for
the time that full resolution took; stage 2 as written and as released; the cost of stage 1 at the paper's
size. Notebook 07 draws the result. Every run is stored when it ends. An interrupted run resumes when the
script is started again, and processes may share the runs (--runs). By its number of operations, preset small
should take two to three hours of one CPU core, most of them for the two long runs of stage 1:

    python tools/released_study.py data/people-mini
"""

import logging
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from deocc.errors import DeoccError
from deocc.io import read_json, require_writable, write_json
from deocc.io.locks import alone
from deocc.paths import RESULTS
from deocc.studies.released import stage1_cost
from deocc.studies.released_training import RUNS, SCHEMA, StudyConfig, run_released_study

COST = "cost"
_log = logging.getLogger("deocc")


def result_path(results: Path, preset: str) -> Path:
    """The file of a preset's study."""
    return results / ("released-study.json" if preset == "small" else f"released-study-{preset}.json")


def load(path: Path, config: StudyConfig) -> dict[str, Any]:
    """The stored study. Raises: DeoccError: it has another configuration."""
    empty = {"schema": SCHEMA, "config": asdict(config), "runs": {}}
    stored = read_json(path) if path.is_file() else empty
    if stored["config"] != asdict(config):
        raise DeoccError(f"{path.name} holds a study with {stored['config']}; move it away to begin another")
    return stored


def store(path: Path, config: StudyConfig, key: str, value: dict[str, Any], runs: Path) -> None:
    """Adds one result to the file; other processes may also add results."""
    with alone(runs / "store.lock", "another process stores its result", wait=True):
        stored = load(path, config)
        value = {**value, "command": f"python tools/released_study.py {' '.join(_public(sys.argv[1:]))}"}
        if key == COST:
            stored[COST] = value
        else:
            stored["runs"][key] = value
        write_json(path, stored)


def _public(words: list[str]) -> list[str]:
    """The command's words, with absolute paths shortened to their names."""
    return [Path(word).name if Path(word).is_absolute() or ".." in word else word for word in words]


def main(
    people: Annotated[list[Path], typer.Argument(help="People folders with splits train and val.")],
    runs: Annotated[str, typer.Option(help=f"Comma between: {', '.join(RUNS)}, {COST}. Default: all.")] = "",
    preset: Annotated[str, typer.Option(help="tiny, small or paper: sizes.")] = "small",
    images: Annotated[int, typer.Option(min=1, help="Training images per run.")] = StudyConfig.images,
    per_person: Annotated[int, typer.Option(min=1, help="Test cases per person.")] = StudyConfig.per_person,
    limit: Annotated[int | None, typer.Option(help="At most this many validation people.")] = None,
    seed: int = 0,
    out: Annotated[Path, typer.Option(help="Folder that keeps the trainings.")] = Path("runs/released-study"),
    results: Annotated[Path, typer.Option(help="Folder of the JSON file.")] = RESULTS,
    threads: Annotated[int, typer.Option(min=1, help="CPU threads.")] = 1,
    device: str = "cpu",
) -> None:
    """Runs and stores the missing parts."""
    logging.getLogger("deocc").setLevel(logging.INFO)
    require_writable(results)
    config = StudyConfig(preset, images, per_person, limit, seed)
    path = result_path(results, preset)
    names = [name for name in runs.split(",") if name] or [*RUNS, COST]
    if unknown := sorted(set(names) - {*RUNS, COST}):
        raise DeoccError(f"run {unknown[0]!r} is unknown; choose from {', '.join([*RUNS, COST])}")
    for name in names:
        done = load(path, config)
        if name == COST:
            store(path, config, COST, {"networks": stage1_cost("paper")}, out)
        elif name in done["runs"]:
            _log.info("%s: stored already", name)
        else:
            found = run_released_study(people, name, config, out, device, threads)
            store(path, config, name, found, out)
            scores = ", ".join(f"{key} {value['value']:.3f}" for key, value in found["scores"].items())
            print(f"{name}: {found['images']} images, {found['minutes']:.1f} minutes; {scores}", flush=True)


if __name__ == "__main__":
    try:
        typer.run(main)
    except DeoccError as error:
        raise SystemExit(f"error: {error}") from None
