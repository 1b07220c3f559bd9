"""Routing of candidates by hand (Sec. 4.1).

`deocc.widgets.RoutingWidget` shows candidates, most doubtful first. The decisions go to a CSV file.
``PeopleFolder(path).subset(RoutingLog("routes.csv").ids("preserve"))`` gives the people to train with.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from deocc.errors import DeoccError
from deocc.io import PathLike, require_writable
from deocc.people.filtering import ROUTES, Route, assess
from deocc.people.folder import PeopleFolder, read_rows, write_rows

COLUMNS = ("id", "route", "proposal", "seconds")


@dataclass(frozen=True)
class Candidate:
    """A person to be routed.

    Attributes:
        id: unique among the candidates.
        image: H x W x 3 uint8.
        mask: H x W bool.
        proposal: the automatic filter's, or "".
        confidence: of the proposal, in [0, 1]; 0 is a coin toss.
        reasons: reasons why the proposal is not "preserve".
    """

    id: str
    image: np.ndarray
    mask: np.ndarray
    proposal: Route | str = ""
    confidence: float = 0.0
    reasons: tuple[str, ...] = ()

    @classmethod
    def judged(cls, name: str, image: np.ndarray, mask: np.ndarray, **about: Any) -> "Candidate":
        """A candidate with the automatic filter's proposal. Args: about: passed to `filtering.assess`."""
        found = assess(image, mask, **about)
        return cls(name, image, mask, found.proposal, found.confidence, found.reasons)


class FolderCandidates(Sequence[Candidate]):
    """The people of a folder as candidates, read on demand, most doubtful first.

    Proposals come from ``people.csv`` (`deocc people NAME ROOT --keep all` writes them). People without a
    proposal come first and are assessed when they are read.
    """

    def __init__(self, people: PeopleFolder) -> None:
        """Args: people: the folder, opened."""
        self._people = people
        order = sorted(range(len(people)), key=lambda i: (_confidence(people.rows[i]), people.rows[i]["id"]))
        self._order = order

    @property
    def ids(self) -> list[str]:
        """Ids in the order of the candidates; reads no pictures."""
        return [self._people.rows[i]["id"] for i in self._order]

    def __len__(self) -> int:
        return len(self._order)

    def __getitem__(self, index):  # type: ignore[no-untyped-def, override]
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        place = self._order[index]
        row, person = self._people.rows[place], self._people[place]
        if row.get("proposal", "") not in ROUTES:
            return Candidate.judged(person.id, person.image, person.amodal_mask)
        reasons = tuple(part for part in row.get("reasons", "").split("; ") if part)
        return Candidate(
            person.id, person.image, person.amodal_mask, row["proposal"], _confidence(row), reasons
        )


def _confidence(row: dict[str, str]) -> float:
    try:
        return float(row.get("confidence", ""))
    except ValueError:
        return -1.0


class RoutingLog:
    """Decisions on candidates, in a CSV file that is saved after each decision.

    The file is read again before each change, so that two windows with the same file lose no decision.

    Attributes:
        path: the file; the first decision creates it.
        rows: id, route, proposal and seconds of each decision, in the order of the decisions.
    """

    def __init__(self, path: PathLike) -> None:
        """Raises: DeoccError: the file is not a list of decisions, or its folder cannot be written."""
        self.path = Path(path)
        require_writable(self.path.parent)
        self.rows = self._read()

    def _read(self) -> list[dict[str, str]]:
        rows = read_rows(self.path, COLUMNS) if self.path.is_file() else []
        for row in rows:
            if row["route"] not in ROUTES:
                words = f"{self.path}: route {row['route']!r} of {row['id']!r} is unknown"
                raise DeoccError(f"{words}; it is one of {', '.join(ROUTES)}")
            if not row["seconds"].replace(".", "", 1).isdecimal():
                words = f"{self.path}: seconds {row['seconds']!r} of {row['id']!r}"
                raise DeoccError(f"{words} are no number; write one, or remove the row")
        return rows

    def _write(self, rows: list[dict[str, str]]) -> None:
        write_rows(self.path, [{name: row[name] for name in COLUMNS} for row in rows], COLUMNS)
        self.rows = rows

    def reload(self) -> None:
        """Reads the file again; another window may have written it."""
        self.rows = self._read()

    @property
    def routes(self) -> dict[str, str]:
        """id -> route."""
        return {row["id"]: row["route"] for row in self.rows}

    def ids(self, route: Route) -> list[str]:
        """The ids with this route, in the order of the decisions."""
        return [row["id"] for row in self.rows if row["route"] == route]

    @property
    def counts(self) -> dict[str, int]:
        """route -> number of decisions."""
        found = Counter(row["route"] for row in self.rows)
        return {route: found[route] for route in ROUTES}

    @property
    def median_seconds(self) -> float:
        """Median time of a decision; nan without decisions."""
        return median([float(row["seconds"]) for row in self.rows]) if self.rows else float("nan")

    def add(self, name: str, route: Route, proposal: str = "", seconds: float = 0.0) -> None:
        """Saves a decision; it replaces an earlier one on the same candidate.

        Raises:
            DeoccError: no such route, or the file cannot be written (then nothing has changed).
        """
        if route not in ROUTES:
            raise DeoccError(f"route {route!r} is unknown; choose from {', '.join(ROUTES)}")
        row = dict(zip(COLUMNS, (name, route, proposal, f"{seconds:.1f}"), strict=True))
        self._write([*(old for old in self._read() if old["id"] != name), row])

    def undo(self) -> str | None:
        """Takes the last decision back. Returns: the candidate's id; None if there is no decision."""
        rows = self._read()
        if not rows:
            return None
        self._write(rows[:-1])
        return rows[-1]["id"]
