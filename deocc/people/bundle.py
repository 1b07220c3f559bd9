"""Makes the bundled people folder: ``python -m deocc.people.bundle --out data/people-mini``."""

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from deocc.io import PathLike
from deocc.parallel import in_parallel
from deocc.paths import PEOPLE_MINI
from deocc.people.folder import (
    PeopleFolder,
    write_occluder,
    write_occluder_table,
    write_people_table,
    write_person,
)
from deocc.people.synth.occluder import CATEGORIES, render_occluder
from deocc.people.synth.person import render_person

TRAIN_PEOPLE, VAL_PEOPLE = range(200), range(200, 240)  # seeds; training sets start at 100000
# (seed, category): two of a kind to train with, and one kind in two again with a fresh seed to validate with
TRAIN_OCCLUDERS = [(2 * i + k, kind) for i, kind in enumerate(CATEGORIES) for k in range(2 if i % 4 else 1)]
TRAIN_OCCLUDERS += [(seed, "person") for seed in range(400, 404)]
VAL_OCCLUDERS = [(500 + i, kind) for i, kind in enumerate(CATEGORIES) if i % 3 == 0 or kind == "person"]
QUALITY = 90  # of the JPEG files


def _person(seed: int, out: Path, size: int) -> dict[str, str]:
    row = write_person(out, render_person(seed, size), QUALITY)
    return {**row, "split": "val" if seed in VAL_PEOPLE else "train", "seed": str(seed)}


def _occluder(item: tuple[int, str], out: Path) -> dict[str, str]:
    seed, kind = item
    return {
        **write_occluder(out, render_occluder(seed, kind)),
        "split": "val" if item in VAL_OCCLUDERS else "train",
    }


def bundle(out: PathLike, workers: int = 2, size: int = 256) -> PeopleFolder:
    """Renders the bundled people and occluders into a people folder (a few minutes on 2 cores)."""
    out = Path(out)
    people = in_parallel(
        partial(_person, out=out, size=size), [*TRAIN_PEOPLE, *VAL_PEOPLE], workers, "people"
    )
    write_people_table(out, people)
    occluders = in_parallel(
        partial(_occluder, out=out), TRAIN_OCCLUDERS + VAL_OCCLUDERS, workers, "occluders"
    )
    write_occluder_table(out, occluders)
    return PeopleFolder(out)


def main(
    out: Annotated[Path, typer.Option(help="The people folder to write.")] = PEOPLE_MINI,
    workers: Annotated[int, typer.Option(help="Number of processes; one per core is a good choice.")] = 2,
) -> None:
    """Renders the bundled people folder again."""
    folder = bundle(out, workers)
    print(f"{len(folder)} people and {len(folder.occluders())} occluders in {out}")


if __name__ == "__main__":
    typer.run(main)
