"""Measures the steps around the painter one by one: data/results/finish-tuning.json.

Each row switches on one step more: patches of visible clothes; none of shoes, socks and gloves; weaker
detail of parts of which next to nothing shows; the occluder's rim hidden; weaker detail where no patch fits;
commoner colours; colours of other clothes of the upper body, of a few pixels, and of pixels nearer to the
hole; the outline painted from its inside; labels as on the visible other side; the occluder's soft edge
hidden; visible pixels as evidence for every part that they may belong to. The last row is the default. One
case per tuning person, end to end from rough masks.

    python tools/finish_study.py PEOPLE
"""

from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, Any
from unittest.mock import patch

import deocc  # noqa: F401  # before torch

# isort: split
import numpy as np
import torch
import typer

from deocc.errors import DeoccError
from deocc.evaluation.systems import evaluate_systems
from deocc.inference.deoccluder import Deoccluder
from deocc.io import write_json
from deocc.markdown import markdown
from deocc.paths import RESULTS
from deocc.tables.cases import fixed_cases
from deocc.tables.statistics import compare

COLUMNS = ("recovered_psnr", "recovered_detail", "recovered_colour", "recovered_perceptual")
MASKS = ("modal_iou", "amodal_iou", "invisible_iou")
OFF: dict[str, tuple[str, Any]] = {  # a step, what it replaces, and what stands there without it
    "patches": ("", None),
    "none of shoes, socks, gloves": ("deocc.inference.exemplar._NOT_COPIED", None),
    "calmer parts that do not show": ("deocc.inference.detail.calm_unseen", lambda recovered, *_: recovered),
    "the occluder's rim hidden": ("deocc.inference.borders.without_bleed", lambda image, modal, *_: modal),
    "calmer where no patch fits": (
        "deocc.inference.exemplar.calm", lambda picture, part, height: picture[part],
    ),
    "commoner colours": ("deocc.models.content_recovery.COMMONER", 1.0),
    "all upper clothes": ("deocc.models.prior.UPPER_SHARE", 0.0),
    "little evidence counts": ("deocc.models.prior.DOUBT", 2e-4),
    "evidence nearer to the hole": ("deocc.models.content_recovery.NEAREST", 99),
    "the outline from its inside": (
        "deocc.inference.painting.without_outline", lambda picture, *_: picture,
    ),
    "labels as on the other side": (
        "deocc.inference.photo.as_the_other_side", lambda modal, amodal, parsing: parsing,
    ),
    "the soft edge hidden": ("deocc.inference.borders.without_soft_edge", lambda image, modal, *_: modal),
    "labels in doubt are evidence": (
        "deocc.inference.painting.SoftParts.in_place_of", lambda soft, parts, frame: parts,
    ),
}  # fmt: skip


def without(steps: list[str]) -> ExitStack:
    """Switches steps off until the stack is closed."""
    from deocc.inference import exemplar
    from deocc.labels import LIP_CLASSES

    copied = [k for k in exemplar._NOT_COPIED if LIP_CLASSES[k] not in exemplar.SHAPED]
    stack = ExitStack()
    for step in steps:
        place, instead = OFF[step]
        if place:
            stack.enter_context(patch(place, copied if instead is None else instead))
    return stack


def main(
    people: Annotated[Path, typer.Argument(help="People folder with a split train.")],
    cases: Annotated[Path, typer.Option(help="Folder of the fixed cases; made if missing.")] = Path(
        "tuning-cases"
    ),
    out: Annotated[Path, typer.Option("--json")] = RESULTS / "finish-tuning.json",
    limit: Annotated[int | None, typer.Option(help="At most this many people.")] = None,
    last: Annotated[int | None, typer.Option(min=1, help="Only the first row and so many last ones.")] = None,
) -> None:
    """Scores the default weights with ever more steps."""
    torch.set_num_threads(1)
    folder = fixed_cases(people, cases, tuning=True, per_person=1, limit=limit)
    names, rows, first = list(OFF), [], None
    command = f"python tools/finish_study.py {people.name}" + (f" --last {last}" if last else "")
    facts: dict[str, Any] = {"command": command, "rows": {}}
    for count in [k for k in range(len(names) + 1) if k == 0 or last is None or k > len(names) - last]:
        deoccluder = Deoccluder.from_pretrained("small", "cpu", exemplar=count > 0)
        label = f"+ {names[count - 1]}" if count else "the network alone"
        with without(names[count:]):
            found = evaluate_systems(
                {label: deoccluder}, folder, "pixels", "initial", masks=deoccluder, progress=True
            )["systems"][label]
        per_case = found["per_case"]
        first = first or per_case
        persons = [sorted({r["person_id"] for r in first}).index(r["person_id"]) for r in first]
        row: dict[str, Any] = {c: found["metrics"][c]["value"] for c in (*COLUMNS, *MASKS)}
        row["perceptual against the first"] = compare(_column(per_case), _column(first), persons).to_json()
        facts["rows"][label] = row
        facts |= {"cases": len(per_case), "weights": deoccluder.identity}
        rows.append((label, *(f"{row[c]:.3f}" for c in (*COLUMNS, *MASKS))))
        write_json(out, facts)
    print(markdown(("", *COLUMNS, *MASKS), rows))


def _column(per_case: list[dict[str, Any]]) -> np.ndarray:
    """1 x N perceptual distances."""
    values = [row.get("recovered_perceptual") for row in per_case]
    return np.array([[np.nan if value is None else value for value in values]], float)


if __name__ == "__main__":
    try:
        typer.run(main)
    except DeoccError as error:
        raise SystemExit(f"error: {error}") from None
