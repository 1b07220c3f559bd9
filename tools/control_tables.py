"""Shipped weights beside controls that learn nothing, on fixed cases: data/results/controls-*.json and .md.

Masks given the true visible mask, masks given M_i, and recovery from true masks and end to end. The mean mask
and the templates are fitted on training people that no case shows. Examples:

    python tools/control_tables.py ../shared/real-humans --weights small
    python tools/control_tables.py ../shared/real-humans --tuning --no-weights
"""

import sys
from pathlib import Path
from typing import Annotated, Any

import torch
import typer
from tqdm.auto import tqdm

from deocc.baselines import (
    Biharmonic,
    ConvexHull,
    InitialMask,
    MeanColour,
    MeanMask,
    NavierStokes,
    NearestTemplate,
    PatchMatch,
    Telea,
)
from deocc.comparison import evaluate_systems, recovery_system, save_comparison, training_masks
from deocc.errors import DeoccError
from deocc.experiments import load_people
from deocc.occlusion import CaseFolder, make_cases, write_case
from deocc.paths import RESULTS
from deocc.people import PeopleFolder
from deocc.pipeline import Deoccluder
from deocc.templates import kmeans

RATIOS = (0.08, 0.65)
SIDE = 128  # of the frames that mean mask and templates live in


def make_folder(
    people: Path, tuning: bool, per_person: int, seed: int, limit: int | None, out: Path
) -> CaseFolder:
    """The fixed cases: split "val", or the tenth of "train" held out for tuning; kept in `out` once made."""
    if not out.exists():
        if tuning:
            held = load_people([people])
            persons, occluders = held.tuning_people, held.tuning_occluders
        else:
            folder = PeopleFolder(people, "val")
            persons, occluders = folder, folder.occluders("val")
        chosen = [persons[i] for i in range(min(len(persons), limit or len(persons)))]
        made = make_cases(chosen, occluders, per_person, RATIOS, 1.0, seed)
        for case in tqdm(made, "occluding", len(chosen) * per_person, unit="case"):
            write_case(out, case)
    return CaseFolder(out)


def fit_controls(people: Path, samples: int, clusters: int, seed: int) -> tuple[MeanMask, NearestTemplate]:
    """Mean mask and k-means templates from training people, occluded as the cases are."""
    training = load_people([people])
    step = max(1, len(training.people) // samples)
    persons = [training.people[i] for i in range(0, len(training.people), step)][:samples]
    cases = make_cases(persons, training.occluders, 1, RATIOS, 1.0, seed + 1)
    masks = training_masks(tqdm(cases, "fitting", len(persons), unit="case"), SIDE)
    small = torch.nn.functional.adaptive_avg_pool2d(torch.from_numpy(masks).float(), 64)
    templates = kmeans(small.flatten(1), min(clusters, len(masks) // 2), seed=seed).reshape(-1, 64, 64)
    return MeanMask.fit(masks), NearestTemplate(templates.numpy())


def main(
    people: Annotated[Path, typer.Argument(help="People folder with splits train and val.")],
    cases: Annotated[Path, typer.Option(help="Where the fixed cases lie, or will lie.")] = Path(
        "control-cases"
    ),
    name: Annotated[str, typer.Option(help="Results go to data/results/controls-NAME-*.")] = "",
    weights: Annotated[str, typer.Option(help="Bundled weights by name, or a folder.")] = "small",
    no_weights: Annotated[bool, typer.Option("--no-weights", help="The controls alone.")] = False,
    flip: Annotated[bool, typer.Option(help="Average stage 1 over the mirror image.")] = True,
    tuning: Annotated[bool, typer.Option("--tuning", help="Cases of the tenth of train held out.")] = False,
    pixels: Annotated[bool, typer.Option(help="Recovery too.")] = True,
    perceptual: Annotated[bool, typer.Option(help="Feature networks too.")] = True,
    per_person: int = 3,
    limit: Annotated[int | None, typer.Option(help="At most this many people.")] = None,
    samples: Annotated[int, typer.Option(help="Training people of mean mask and templates.")] = 600,
    seed: int = 0,
    device: str = "cpu",
) -> None:
    """Scores the shipped weights and the controls on fixed cases."""
    folder = make_folder(people, tuning, per_person, seed, limit, cases)
    mean, template = fit_controls(people, samples, 64, seed)
    ours = None if no_weights else Deoccluder.from_pretrained(weights, device, flip)
    facts = {
        "command": "python tools/control_tables.py " + " ".join(map(_argument, sys.argv[1:])),
        "weights": "none" if ours is None else f"{weights}, input {ours.size}",
        "masks of": "tuning tenth of train" if tuning else "val",
    }
    stem = RESULTS / f"controls-{name or ('tuning' if tuning else 'val')}"
    common: dict[str, Any] = {"seed": seed, "device": device, "perceptual": perceptual, "facts": facts}
    common |= {"progress": True, "size": SIDE if ours is None else ours.size}
    masks = [InitialMask(), mean, ConvexHull(), template]
    last = {} if ours is None else {"ours": ours}
    for given in ("modal", "initial"):
        rows = {system.name: system for system in masks} | last
        _save(evaluate_systems(rows, folder, "masks", given, **common), stem, f"masks-{given}")
    if pixels:
        painters = [MeanColour(), Telea(), Telea("person"), NavierStokes(), Biharmonic(), PatchMatch()]
        rows = {system.name: system for system in painters}
        told = rows if ours is None else rows | {"ours": recovery_system(ours)}
        _save(evaluate_systems(told, folder, "pixels", "modal", **common), stem, "pixels-true")
        if ours is not None:
            result = evaluate_systems(rows | last, folder, "pixels", "initial", masks=ours, **common)
            _save(result, stem, "pixels-end-to-end")


def _argument(word: str) -> str:
    """An argument as results may tell it: of an absolute path, the name alone."""
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
