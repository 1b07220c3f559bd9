"""The fixed cases of the tables, with controls that are fitted to training people."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from tqdm.auto import tqdm

from deocc.baselines import (
    MeanMask,
    NearestTemplate,
)
from deocc.clusters import kmeans
from deocc.errors import DeoccError
from deocc.evaluation.systems import training_masks
from deocc.experiments.people import load_people
from deocc.io import make_once, read_json, write_json
from deocc.occlusion import CaseFolder, PasteOptions, Placement, make_cases, write_case
from deocc.occlusion.mix import NATURAL_PASTE
from deocc.people import PeopleFolder
from deocc.people.folder import occluders_of
from deocc.tables.configuration import people_digest

MADE = "made.json"  # the arguments, in the case folder
RATIOS = (0.08, 0.65)  # hidden share in the fixed cases

CLUSTERS, SAMPLES = 64, 600  # templates of the nearest-template control, and training people behind controls


def fixed_cases(
    people: Path,
    out: Path,
    tuning: bool = False,
    per_person: int = 3,
    seed: int = 0,
    limit: int | None = None,
    placement: str = "anywhere",
) -> CaseFolder:
    """The cases of a comparison, made once and stored in `out`; ratios 0.08 to 0.65, M_i of severity 1.

    Args:
        people: people folder; its split "val", or the tenth of "train" held out for `tuning`.
        out: the case folder; an existing one is opened, if it was made with the same arguments.
        per_person, seed: as `make_cases`.
        limit: at most this many people.
        placement: "anywhere", or "natural": occluders stand, are held or ridden and are lit as in photos.

    Raises:
        DeoccError: `out` holds cases that were made with other arguments, or there is nobody to hide.
    """
    facts = {"people": people_digest([people]), "tuning": tuning, "per_person": per_person, "seed": seed,
             "limit": limit, "placement": placement}  # fmt: skip
    if out.exists():
        _refuse_others(out, facts)
        return CaseFolder(out)
    persons: Sequence[Any]
    if tuning:
        held = load_people([people])
        persons, occluders = held.tuning_persons, held.tuning_occluders
    else:
        folder = PeopleFolder(people, "val")
        persons, occluders = folder, occluders_of(folder, "val")
    if not len(persons) or not len(occluders):
        raise DeoccError(
            f"{people}: {len(persons)} people and {len(occluders)} occluders to evaluate on; name --cases"
        )
    chosen = [persons[i] for i in range(min(len(persons), limit or len(persons)))]
    look = PasteOptions() if placement == "anywhere" else NATURAL_PASTE
    made = make_cases(chosen, occluders, per_person, RATIOS, 1.0, seed, look, Placement.named(placement))

    def write(part: Path) -> None:
        for case in tqdm(made, "occluding", len(chosen) * per_person, unit="case"):
            write_case(part, case)
        write_json(part / MADE, facts)

    make_once(out, write)
    _refuse_others(out, facts)
    return CaseFolder(out)


def _refuse_others(out: Path, facts: dict[str, Any]) -> None:
    """Refuses cases made with other arguments; folders of earlier versions do not say theirs."""
    made = read_json(out / MADE) if (out / MADE).is_file() else facts
    changed = [
        f"{key} {made.get(key)!r} -> {value!r}" for key, value in facts.items() if made.get(key) != value
    ]
    if changed:
        raise DeoccError(f"{out}: its cases were made otherwise ({', '.join(changed)}); name another folder")


def fit_controls(
    people: Sequence[Path], size: int = 128, seed: int = 0, samples: int = SAMPLES, clusters: int = CLUSTERS
) -> tuple[MeanMask, NearestTemplate]:
    """Mean mask and k-means templates from training people, occluded as the fixed cases are."""
    training = load_people(people)
    step = max(1, len(training.persons) // samples)
    persons = [training.persons[i] for i in range(0, len(training.persons), step)][:samples]
    cases = make_cases(persons, training.occluders, 1, RATIOS, 1.0, seed + 1)
    masks = training_masks(tqdm(cases, "fitting", len(persons), unit="case"), size)
    small = torch.nn.functional.adaptive_avg_pool2d(torch.from_numpy(masks).float(), 64)
    templates = kmeans(small.flatten(1).numpy(), min(clusters, max(1, len(masks) // 2)), seed=seed)
    return MeanMask.fit(masks), NearestTemplate(templates.reshape(-1, 64, 64))
