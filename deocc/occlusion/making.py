"""Makes case folders from people folders, resumably and in parts."""

import logging
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

from tqdm.auto import tqdm

from deocc.errors import DeoccError
from deocc.io import PathLike, read_json
from deocc.io.begun import begun
from deocc.occlusion.case import PasteOptions
from deocc.occlusion.folder import case_name, first_draws, make_case, write_case
from deocc.occlusion.mix import NATURAL_PASTE
from deocc.occlusion.priors import KINDS, Placement
from deocc.people import Occluder, PeopleFolder
from deocc.people.folder import named_file, occluders_of

LOG = logging.getLogger("deocc")


MOST_SEVERE = 10  # severity of the errors of a first guess; 1 is a segmenter's
MOST_CASES = 10_000  # of one person


@dataclass(frozen=True)
class CaseOptions:
    """The options of a case folder.

    Attributes:
        split: "train", "val" or "all".
        per_person: cases per person.
        ratio: lowest and highest hidden share, 0 < low <= high <= 1.
        severity: of the errors of initial.png.
        seed: of every draw.
        placement: one of `priors.KINDS`, or a mix by name ("natural"); other kinds than "anywhere" are also
            matched to the photo's colours and sharpness.
    """

    split: str = "val"
    per_person: int = 3
    ratio: tuple[float, float] = (0.08, 0.65)
    severity: float = 1.0
    seed: int = 0
    placement: str = "anywhere"

    def __post_init__(self) -> None:
        low, high = self.ratio
        if not 0 < low <= high <= 1:
            raise DeoccError(f"ratio {low:g} {high:g}: the hidden share lies in (0, 1]; give LO <= HI in it")
        if not 0 <= self.severity <= MOST_SEVERE:
            words = f"severity {self.severity:g} of the first guess"
            raise DeoccError(f"{words}: expected a number from 0 to {MOST_SEVERE}")
        if not 1 <= self.per_person <= MOST_CASES or not 0 <= self.seed < 2**63:
            words = f"{self.per_person} cases per person, seed {self.seed}"
            raise DeoccError(f"{words}: expected 1 to {MOST_CASES} cases, and a seed of 0 to 2**63 - 1")
        Placement.named(self.placement)

    @property
    def part(self) -> str | None:
        """The split, or None for everybody."""
        return None if self.split == "all" else self.split


def _digest(folder: Path, split: str | None) -> str:
    """A digest of a table, so that a resumed run uses the same people."""
    name = folder / ("people.csv" if (folder / "people.csv").is_file() else "occluders.csv")
    return sha256(name.read_bytes() + repr(split).encode()).hexdigest()[:16]


def _dates(people: PeopleFolder, name: str) -> float:
    """When the files of a person were last changed."""
    paths = (named_file(people.path / kind, name, endings) for kind, endings in _FILES)
    return max((path.stat().st_mtime for path in paths if path is not None), default=0.0)


_FILES = (("images", (".jpg", ".png", ".jpeg")), ("masks", (".png",)), ("parsing", (".png",)))


def write_cases(
    people: PathLike,
    out: PathLike,
    options: CaseOptions = CaseOptions(),
    occluders: PathLike | None = None,
    shard: tuple[int, int] = (1, 1),
    progress: bool = True,
) -> tuple[int, dict[str, str]]:
    """Makes a fixed case folder from a people folder, or a part of it; the same call resumes a run.

    A person or case that cannot be made is left out, and the run continues. A case is made again if its
    person's files have changed. If no occluder reaches the ratio as `options.placement` says, one is pasted
    anywhere; see `pasted_anywhere`. Cut-outs have no dark outline (`PasteOptions.solid_rim`).

    Args:
        people: people folder.
        out: the case folder; empty, or begun by the same command.
        options: what decides the cases.
        occluders: people folder whose occluders of that split are pasted; None: `people` itself, or the
            bundled ones if it has no `occluders/` (with a warning).
        shard: (i, n), counted from 1: every n-th person; all parts together equal one run.
        progress: show a bar.

    Returns:
        The number of cases, and case -> reason for those that could not be made.

    Raises:
        DeoccError: bad people folder, nobody in the split, bad options, `out` in use or not to be written, or
            no case at all could be made (in a part of several, the last one says so).
    """
    part = options.part
    persons = PeopleFolder(people, part)
    _require_some(persons, "people", options.split)  # before a word about bundled occluders
    things = PeopleFolder(occluders).occluders(part) if occluders else occluders_of(persons, part)
    _require_some(things, "occluders", options.split)
    facts = {
        **options.__dict__, "people": _digest(persons.path, part), "occluders": _digest(things.path, part),
        "solid_rim": True,  # a folder begun without is not continued
    }  # fmt: skip
    with begun(out, "occlude", facts, shard) as made:
        mine = range(shard[0] - 1, len(persons), shard[1])
        jobs = [(index, number) for index in mine for number in range(options.per_person)]
        bar = tqdm(jobs, "occluding", unit="case", disable=not progress)
        left_out = dict(_left_out(made.folder, persons, things, options, bar))
        made.left_out.update(left_out)
        if shard[1] == 1 and jobs and len(left_out) == len(jobs):
            name, why = next(iter(left_out.items()))
            raise DeoccError(f"{people}: none of {len(jobs)} cases could be made; {name}: {why}")
    _require_a_case(Path(out), people)
    return len(jobs) - len(left_out), left_out


def _require_a_case(out: Path, people: PathLike) -> None:
    """Raises DeoccError if all parts of a case folder are complete, and none has made a case."""
    reasons = out / "left-out.json"
    if reasons.is_file() and not next(out.glob("*/case.json"), None):
        name, why = next(iter(read_json(reasons).items()))
        raise DeoccError(
            f"{people}: no part could make any case; {name}: {why} ({reasons} has all reasons; "
            "mend them and choose a new folder)"
        )


def pasted_anywhere(
    people: PathLike, out: PathLike, options: CaseOptions, shard: tuple[int, int] = (1, 1)
) -> int:
    """How many cases of a folder could not be placed as `options.placement` says, and were pasted anywhere.

    Args: as of `write_cases`, which has made the folder.
    """
    if options.placement == "anywhere":
        return 0
    ids, where, found = PeopleFolder(people, options.part).ids, Placement.named(options.placement), 0
    single = options.placement in KINDS
    for index in range(shard[0] - 1, len(ids), shard[1]):
        for number in range(options.per_person):
            facts = Path(out) / case_name(ids[index], number) / "case.json"
            if not facts.is_file() or read_json(facts).get("placement"):
                continue
            found += single or first_draws(index, number, options.ratio, options.seed, where)[2] != "anywhere"
    return found


def _require_some(found: Any, what: str, split: str) -> None:
    """Raises DeoccError if a split is empty."""
    if not len(found):
        named = {row["split"] for row in type(found)(found.path).rows} - {""}
        there = ", ".join(sorted(named | {"all"}))
        raise DeoccError(f"{found.path}: no {what} in split {split!r}; choose --split from: {there}")


def _left_out(
    folder: Path, people: PeopleFolder, occluders: Sequence[Occluder], options: CaseOptions, jobs: Any
) -> Iterator[tuple[str, str]]:
    """Writes missing cases; returns those that cannot be made, with reasons."""
    look = replace(PasteOptions() if options.placement == "anywhere" else NATURAL_PASTE, solid_rim=True)
    where = Placement.named(options.placement)
    for index, number in jobs:
        person = people.ids[index]
        name = case_name(person, number)
        done = folder / name / "case.json"
        if done.is_file() and done.stat().st_mtime >= _dates(people, person):
            continue
        shutil.rmtree(folder / name, ignore_errors=True)
        try:
            case = make_case(people, index, number, occluders, options.ratio, options.severity, options.seed,
                             look, where)  # fmt: skip
        except DeoccError as error:
            yield name, str(error)
        except Exception as error:  # one person never ends a run of thousands; the log and the result name it
            LOG.warning("%s: %s: %s", name, type(error).__name__, error)
            yield name, f"unexpected {type(error).__name__}: {' '.join(str(error).split())[:200]}"
        else:
            write_case(folder, case)
