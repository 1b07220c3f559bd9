"""Compares weights of both stages on the same cases: means, and paired differences to the first.

python tools/compare_weights.py PEOPLE small runs/new --tuning --limit 60
python tools/compare_weights.py PEOPLE small runs/new --task pixels --name trial
"""

import sys
from pathlib import Path
from typing import Annotated, Any, cast

import deocc  # noqa: F401  # before torch

# isort: split
import numpy as np
import torch
import typer

from deocc import Deoccluder
from deocc.errors import DeoccError
from deocc.evaluation.predictors import Task
from deocc.evaluation.systems import COLUMNS, evaluate_systems, recovery_system
from deocc.io import write_json
from deocc.markdown import markdown
from deocc.occlusion.batch import Prompt
from deocc.paths import RESULTS
from deocc.tables.cases import fixed_cases
from deocc.tables.statistics import compare


def main(
    people: Annotated[Path, typer.Argument(help="People folder with splits train and val.")],
    weights: Annotated[
        list[str], typer.Argument(help="Bundled weights by name, or folders; the first is the reference.")
    ],
    cases: Annotated[Path, typer.Option(help="Folder of the fixed cases; made if missing.")] = Path(
        "weights-cases"
    ),
    tuning: Annotated[bool, typer.Option("--tuning", help="Cases of the tenth of train held out.")] = False,
    task: Annotated[str, typer.Option(help="masks, or pixels: end to end.")] = "masks",
    given: Annotated[str, typer.Option(help="initial, modal or box.")] = "initial",
    true_masks: Annotated[
        bool, typer.Option("--true-masks", help="For pixels: true masks and parts.")
    ] = False,
    flip: Annotated[bool, typer.Option(help="Average stage 1 over the mirror image.")] = True,
    placement: Annotated[str, typer.Option(help="Of occluders: anywhere or natural.")] = "anywhere",
    per_person: int = 1,
    limit: Annotated[int | None, typer.Option(help="At most this many people.")] = None,
    name: Annotated[str, typer.Option(help="Keep it as data/results/weights-NAME.json.")] = "",
    seed: int = 0,
    device: str = "cpu",
) -> None:
    """Scores weights."""
    torch.set_num_threads(1)
    folder = fixed_cases(people, cases, tuning, per_person, seed, limit, placement)
    systems: dict[str, Any] = {}
    for word in weights:
        whole = Deoccluder.from_pretrained(word, device, flip)
        if Path(word).name in systems:
            raise DeoccError(f"{word}: two weights have this name; rename a folder")
        systems[Path(word).name] = recovery_system(whole) if true_masks else whole
    result = evaluate_systems(
        systems, folder, cast(Task, task), cast(Prompt, given), 192, seed=seed, device=device, progress=True
    )["systems"]
    rows, differences = [], {}
    first = next(iter(result))
    number = {
        p: i for i, p in enumerate(dict.fromkeys(row["person_id"] for row in result[first]["per_case"]))
    }
    persons = [number[row["person_id"]] for row in result[first]["per_case"]]
    columns = [c for c in COLUMNS[cast(Task, task)] if c in result[first]["per_case"][0]]
    for label, values in result.items():
        cells = []
        for column in columns:
            cell = f"{values['metrics'][column]['value']:.4f}"
            if label != first:
                found = compare(_seeded(values, column), _seeded(result[first], column), persons)
                differences[f"{label} - {first}: {column}"] = found.to_json()
                cell += f" ({found.value:+.4f} [{found.low:+.4f}, {found.high:+.4f}])"
            cells.append(cell)
        rows.append((label, *cells))
    split = "tuning" if tuning else "val"
    about = f"{len(persons)} cases of {len(number)} people ({split}), occluders {placement}"
    about += f", {task}, given {given}"
    print(about + (", true masks" if true_masks else ""))
    print(markdown(("weights", *columns), rows))
    if name:
        means = {
            label: {c: values["metrics"][c]["value"] for c in columns} for label, values in result.items()
        }
        command = "python tools/compare_weights.py " + " ".join(
            Path(word).name if Path(word).is_absolute() else word for word in sys.argv[1:]
        )
        facts = {"command": command, "about": about, "means": means, "differences": differences}
        write_json(RESULTS / f"weights-{name}.json", facts)


def _seeded(values: dict[str, Any], column: str) -> Any:
    """1 x N values, one per case."""
    return np.array(
        [[row.get(column) if row.get(column) is not None else np.nan for row in values["per_case"]]], float
    )


if __name__ == "__main__":
    try:
        typer.run(main)
    except DeoccError as error:
        raise SystemExit(f"error: {error}") from None
