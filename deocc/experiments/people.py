"""The training people of a run; a tenth is held out for tuning."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from deocc.errors import DeoccError
from deocc.people import Occluder, PeopleFolder, Person
from deocc.people.folder import bundled_occluders


def is_held_out(name: str) -> bool:
    """Whether a training person or occluder belongs to the tenth reserved for tuning, by hash of its id."""
    return int(hashlib.sha256(name.encode()).hexdigest()[:8], 16) % 10 == 0


class Joined(Sequence[Any]):
    """Several sequences one after the other, each repeated a whole number of times."""

    def __init__(self, parts: Sequence[Sequence[Any]], repeats: Sequence[int] | None = None) -> None:
        repeats = repeats or [1] * len(parts)
        self.parts = parts
        self.places = [
            (p, i)
            for p, (part, times) in enumerate(zip(parts, repeats, strict=True))
            for _ in range(times)
            for i in range(len(part))
        ]

    def __len__(self) -> int:
        return len(self.places)

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        part, place = self.places[index]
        return self.parts[part][place]

    def __iter__(self) -> Iterator[Any]:
        return (self[i] for i in range(len(self)))


class Picked(Sequence[Any]):
    """Some items of a sequence."""

    def __init__(self, items: Sequence[Any], places: list[int]) -> None:
        self.items, self.places = items, places

    def __len__(self) -> int:
        return len(self.places)

    def __getitem__(self, index: Any) -> Any:
        return self.items[self.places[index]]


def validation_people(people_dirs: Sequence[Path | str]) -> tuple[Sequence[Person], Sequence[Occluder]]:
    """Persons and occluders of split "val"; the bundled occluders where no folder has its own.

    Raises:
        DeoccError: a folder is bad, or nobody or nothing is in the split.
    """
    folders = [PeopleFolder(folder, "val") for folder in people_dirs]
    own = [folder.occluders("val") for folder in folders if (folder.path / "occluders").is_dir()]
    persons, occluders = Joined(folders), Joined(own or [bundled_occluders("val", people_dirs)])
    if not len(persons) or not len(occluders):
        raise DeoccError(
            f"{', '.join(map(str, people_dirs))}: {len(persons)} validation people and {len(occluders)} "
            "validation occluders; give folders that have split val"
        )
    return persons, occluders


@dataclass(frozen=True)
class TrainingPeople:
    """The people of a training: split "train" of people folders, divided into training and tuning.

    Attributes:
        persons, occluders: to train on.
        tuning_persons, tuning_occluders: the tenth held out by id; may be empty.
        description: counts in words.
    """

    persons: Sequence[Person]
    occluders: Sequence[Occluder]
    tuning_persons: Sequence[Person]
    tuning_occluders: Sequence[Occluder]
    description: str


def load_people(
    folders: Sequence[Path | str], holdout: bool = True, repeats: Sequence[int] | None = None
) -> TrainingPeople:
    """Opens people folders for training; validation people are never touched.

    Args:
        folders: people folders; one named twice counts twice. Folders without `occluders/` give people
            only. If none has occluders, the bundled ones are used (with a warning).
        holdout: keep a tenth of people and of occluders (by id) out of training, for tuning.
        repeats: how often each folder's people count in an epoch (more for the rarer kind).

    Raises:
        DeoccError: no folder, no person or no occluder in split "train".
    """
    if not folders:
        raise DeoccError("no people folder given; name at least one (see `deocc render --help`)")
    folders, repeats = _counted(folders, repeats)
    kept: list[Sequence[Any]] = []
    tuned: list[Sequence[Any]] = []
    kept_occluders: list[Sequence[Any]] = []
    tuned_occluders: list[Sequence[Any]] = []
    for folder in folders:
        people = PeopleFolder(folder, "train")
        _part(people, people.ids, holdout, kept, tuned)
        if (Path(folder) / "occluders").is_dir():
            occluders = people.occluders("train")
            _part(occluders, [row["id"] for row in occluders.rows], holdout, kept_occluders, tuned_occluders)
    if not kept_occluders:
        bundled = bundled_occluders("train", folders)
        _part(bundled, [row["id"] for row in bundled.rows], holdout, kept_occluders, tuned_occluders)
    times = zip(kept, repeats, strict=True)
    words = ", ".join(f"{len(part)} people" + (f" (x {n})" if n > 1 else "") for part, n in times)
    found = TrainingPeople(
        Joined(kept, repeats),
        Joined(kept_occluders),
        Joined(tuned),
        Joined(tuned_occluders),
        f"{words}; {sum(map(len, kept_occluders))} occluders; held out for tuning: "
        f"{sum(map(len, tuned))} people, {sum(map(len, tuned_occluders))} occluders",
    )
    if not len(found.persons) or not len(found.occluders):
        counts = f"{len(found.persons)} people and {len(found.occluders)} occluders"
        names = ", ".join(map(str, folders))
        raise DeoccError(f"{names}: {counts} in split 'train'; training needs both")
    return found


def _counted(
    folders: Sequence[Path | str], repeats: Sequence[int] | None
) -> tuple[list[Path | str], list[int]]:
    """Distinct folders, and how often each counts."""
    times: dict[Path | str, int] = {}
    for folder, count in zip(folders, repeats or [1] * len(folders), strict=True):
        times[folder] = times.get(folder, 0) + count
    return list(times), list(times.values())


def _part(items: Sequence[Any], ids: list[str], holdout: bool, kept: list, tuned: list) -> None:
    kept.append(Picked(items, [i for i, name in enumerate(ids) if not (holdout and is_held_out(name))]))
    tuned.append(Picked(items, [i for i, name in enumerate(ids) if holdout and is_held_out(name)]))


OF_TESTS = ("per_person", "limit")  # settings that no training depends on


def run_digest(people_dirs: Sequence[Path | str], config: Any, *more: Any) -> str:
    """A short name of people folders and settings, for folders of runs that must not mix.

    Args:
        people_dirs: people folders.
        config: a dataclass of JSON values; `OF_TESTS` do not count.
        more: further JSON values.
    """
    facts = {key: value for key, value in asdict(config).items() if key not in OF_TESTS}
    sha = hashlib.sha256(json.dumps([facts, *more], sort_keys=True).encode())
    for folder in people_dirs:
        sha.update(Path(folder, "people.csv").read_bytes())
    return sha.hexdigest()[:12]
