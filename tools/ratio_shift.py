"""Trains at one occlusion density, tests at another: data/results/ratio-shift-PRESET.json.

Four trainings of stage 1 (low, middle and high ratios, and all of them) from the same random weights, each
tested on the three bands; notebook 03 draws the result. An interrupted run resumes when it is started again.
The defaults take about five minutes of one CPU core; --steps 2000 is better:

    python tools/ratio_shift.py data/people-mini
"""

import logging
from pathlib import Path
from typing import Annotated

import typer

from deocc.errors import DeoccError
from deocc.io import require_writable, write_json
from deocc.paths import RESULTS
from deocc.studies.ratio_shift import PROMPTS, ShiftConfig, run_ratio_shift, shift_matrix


def main(
    people: Annotated[list[Path], typer.Argument(help="People folders with splits train and val.")],
    runs: Annotated[Path, typer.Option(help="Folder that keeps the trainings.")] = Path("runs/ratio-shift"),
    results: Annotated[Path, typer.Option(help="Folder of the JSON file.")] = RESULTS,
    preset: Annotated[str, typer.Option(help="tiny, small or paper: size of the input.")] = "tiny",
    width: Annotated[int, typer.Option(min=1, help="Channels of the first level.")] = ShiftConfig.width,
    steps: Annotated[int, typer.Option(min=1, help="Steps per training.")] = ShiftConfig.steps,
    batch: Annotated[int, typer.Option(min=1, help="Images per step.")] = ShiftConfig.batch_size,
    per_person: Annotated[
        int, typer.Option(min=1, help="Cases per person and band.")
    ] = ShiftConfig.per_person,
    limit: Annotated[int | None, typer.Option(help="At most this many validation people.")] = None,
    threads: Annotated[int, typer.Option(min=1, help="CPU threads.")] = 1,
    seed: int = 0,
    device: str = "cpu",
) -> None:
    """Runs the experiment and stores its figures."""
    logging.getLogger("deocc").setLevel(logging.INFO)
    require_writable(results)
    config = ShiftConfig(preset, width, steps, batch, per_person, limit, seed)
    result = run_ratio_shift(people, config, out=runs, device=device, threads=threads)
    path = write_json(results / f"ratio-shift-{preset}.json", result)
    for prompt in PROMPTS:
        print(f"invisible IoU, given {prompt}; rows: trained on {', '.join(result['bands'])}")
        print(shift_matrix(result, "invisible", prompt).round(3))
    print(f"{result['train_minutes']} minutes of training, stored in {path.name}")


if __name__ == "__main__":
    try:
        typer.run(main)
    except DeoccError as error:
        raise SystemExit(f"error: {error}") from None
