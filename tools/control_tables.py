"""Scores shipped weights and controls that learn nothing: data/results/controls-*.json and .md.

Cases are fixed. Masks are predicted from the true visible mask and from M_i, pixels from true masks and end
to end. The mean mask and the templates are fitted on training people, who are in no case. Examples:

    python tools/control_tables.py PEOPLE --weights small
    python tools/control_tables.py PEOPLE --tuning --no-weights
"""

import sys
from copy import copy
from pathlib import Path
from typing import Annotated, Any

import typer

from deocc.baselines import (
    Biharmonic,
    ConvexHull,
    InitialMask,
    MeanColour,
    NavierStokes,
    PatchMatch,
    Telea,
)
from deocc.errors import DeoccError
from deocc.evaluation.systems import evaluate_systems, recovery_system, save_comparison
from deocc.inference.deoccluder import Deoccluder
from deocc.io import read_json
from deocc.paths import RESULTS
from deocc.tables.cases import fit_controls, fixed_cases

KINDS = ("masks-modal", "masks-initial", "pixels-true", "pixels-end-to-end")
SIDE = 128  # of the frames that mean mask and templates live in
PROBE = MeanColour().name  # the control that --again runs to see that the masks are the stored ones
FIRST = "mean colour when the controls were read, dB"
NEARLY = 0.02  # dB by which the probe may differ; from 1e-6 on, the result says so


def main(
    people: Annotated[Path, typer.Argument(help="People folder with splits train and val.")],
    cases: Annotated[Path, typer.Option(help="Folder of the fixed cases; made if missing.")] = Path(
        "control-cases"
    ),
    name: Annotated[str, typer.Option(help="Results go to data/results/controls-NAME-*.")] = "",
    weights: Annotated[str, typer.Option(help="Bundled weights by name, or a folder.")] = "small",
    no_weights: Annotated[bool, typer.Option("--no-weights", help="Only the controls.")] = False,
    flip: Annotated[bool, typer.Option(help="Average stage 1 over the mirror image.")] = True,
    tuning: Annotated[bool, typer.Option("--tuning", help="Cases of the tenth of train held out.")] = False,
    only: Annotated[
        list[str] | None,
        typer.Option(help="Only these: masks-modal, masks-initial, pixels-true, pixels-end-to-end."),
    ] = None,
    again: Annotated[
        bool,
        typer.Option(
            "--again", help="Pixels: only the weights anew; controls are those stored, of the same masks."
        ),
    ] = False,
    row: Annotated[str, typer.Option(help="With --again: only rows whose name ends so.")] = "",
    perceptual: Annotated[bool, typer.Option(help="Also use feature networks.")] = True,
    per_person: int = 3,
    limit: Annotated[int | None, typer.Option(help="At most this many people.")] = None,
    samples: Annotated[int, typer.Option(help="Training people of mean mask and templates.")] = 600,
    seed: int = 0,
    device: str = "cpu",
) -> None:
    """Scores the shipped weights and the controls on fixed cases."""
    kinds = [kind for kind in KINDS if not only or kind in only]
    if unknown := set(only or ()) - set(KINDS):
        raise DeoccError(f"--only {min(unknown)}: unknown; choose from {', '.join(KINDS)}")
    if no_weights and again:
        raise DeoccError("--again measures the weights anew; leave --no-weights out")
    if no_weights and "pixels-end-to-end" in (only or ()):
        raise DeoccError("--only pixels-end-to-end needs weights; leave --no-weights out")
    folder = fixed_cases(people, cases, tuning, per_person, seed, limit)
    mean, template = fit_controls([people], SIDE, seed, samples)
    ours = None if no_weights else Deoccluder.from_pretrained(weights, device, flip)
    facts = {
        "command": "python tools/control_tables.py " + " ".join(map(_argument, sys.argv[1:])),
        "weights": "none" if ours is None else _described(weights, ours),
        "masks of": "tuning tenth of train" if tuning else "val",
    }
    stem = RESULTS / f"controls-{name or ('tuning' if tuning else 'val')}"
    common: dict[str, Any] = {"seed": seed, "device": device, "perceptual": perceptual, "facts": facts}
    common |= {"progress": True, "size": SIDE if ours is None else ours.size}
    masks = [InitialMask(), mean, ConvexHull(), template]
    last = {} if ours is None else {"ours": ours}
    for given in ("modal", "initial"):
        if f"masks-{given}" in kinds:
            rows = {system.name: system for system in masks} | last
            options = common | {"size": SIDE}
            _save(evaluate_systems(rows, folder, "masks", given, **options), stem, f"masks-{given}")
    if {"pixels-true", "pixels-end-to-end"} & set(kinds):
        painters = [MeanColour(), Telea(), Telea("person"), NavierStokes(), Biharmonic(), PatchMatch()]
        from_true: dict[str, Any] = {system.name: system for system in painters}
        end_to_end = dict(from_true)
        if ours is not None:
            smooth = copy(ours)
            smooth.texture, smooth.exemplar = 0.0, False
            from_true["ours"] = recovery_system(ours)
            if ours.texture or ours.exemplar:
                from_true["ours, the network alone"] = recovery_system(smooth)
            from_true["ours, parts as stage 1 sees them"] = recovery_system(ours, "seen")
            end_to_end["ours"] = ours
            if ours.texture or ours.exemplar:
                end_to_end["ours, the network alone"] = smooth
        for kind, rows, given, finder in (
            ("pixels-true", from_true, "modal", None), ("pixels-end-to-end", end_to_end, "initial", ours),
        ):  # fmt: skip
            if kind in kinds and not (ours is None and kind == "pixels-end-to-end"):
                mine = [k for k in rows if k == PROBE or (k.startswith("ours") and k.endswith(row))]
                anew = {k: v for k, v in rows.items() if not again or k in mine}
                result = evaluate_systems(anew, folder, "pixels", given, masks=finder, **common)
                _save(_with_stored(result, stem, kind) if again else result, stem, kind)


def _with_stored(result: dict[str, Any], stem: Path, kind: str) -> dict[str, Any]:
    """The result with the stored controls, which depend on the masks, but not on what paints.

    Raises:
        DeoccError: the stored ones are of other cases or masks.
    """
    path = stem.with_name(f"{stem.name}-{kind}.json")
    old = read_json(path)
    same = ("cases", "people", "confidence", "given", "masks", "masks of")
    if any(old[key] != result[key] for key in same):
        raise DeoccError(f"{path}: of other cases; leave --again out")
    kept = {name: row for name, row in old["systems"].items() if not name.startswith("ours")}
    if PROBE not in old["systems"]:
        raise DeoccError(f"{path}: lacks {PROBE}, by which masks are compared; leave --again out")
    stored, now = (found["systems"][PROBE]["metrics"]["recovered_psnr"] for found in (old, result))
    first = old.get(FIRST, stored["value"])  # when the controls were measured
    apart = abs(first - now["value"])
    if apart > NEARLY:
        raise DeoccError(f"{path}: of other masks ({PROBE} differs); leave --again out")
    slow = [name for name in kept if name not in result["systems"]]
    notes = []
    if apart > 1e-6:
        result[FIRST] = first
        notes.append(f"{', '.join(slow)}: of slightly other masks ({PROBE}: {apart:.4f} dB)")
    left = [name for name in old["systems"] if name.startswith("ours") and name not in result["systems"]]
    if left:
        notes.append(f"{', '.join(left)}: of the reading with {old.get('weights', 'other weights')}")
    if notes:
        result["rows of an earlier reading"] = "; ".join(notes)
    ratios = [
        [part["n"] for part in row["by_ratio"]] for row in (*kept.values(), *result["systems"].values())
    ]
    if any(counts != ratios[0] for counts in ratios):
        raise DeoccError(f"{path}: of cases with other occlusion ratios; leave --again out")
    ours = {name: row for name, row in old["systems"].items() if name.startswith("ours")}
    ours |= {name: row for name, row in result["systems"].items() if name.startswith("ours")}
    fresh = {name: row for name, row in result["systems"].items() if name in kept}
    return result | {"systems": kept | fresh | ours}


def _described(weights: str, ours: Deoccluder) -> str:
    """Name, files and input sizes of weights."""
    files = ", ".join(f"{name} {digest}" for name, digest in ours.identity.items())
    return f"{weights} ({files}), input {ours.mask_size} and {ours.size}"


def _argument(word: str) -> str:
    """An argument in a form for results: an absolute path becomes its last name."""
    return Path(word).name if Path(word).is_absolute() else word


def _save(result: dict[str, Any], stem: Path, kind: str) -> None:
    titles = {"masks": "Masks", "pixels": "Recovery inside the invisible mask"}
    _, page = save_comparison(result, stem.with_name(f"{stem.name}-{kind}"), titles[result["task"]])
    print(page.read_text())


if __name__ == "__main__":
    try:
        typer.run(main)
    except DeoccError as error:
        raise SystemExit(f"error: {error}") from None
