"""What has been done, on disk: one SQLite file a shard, from which the people folder's tables are written.

The journals of all shards, and of all datasets, of a people folder lie in its ``.build`` folder. The tables
(``people.csv``, ``occluders/occluders.csv``, ``report.json``) are written from all of them, sorted, so they
do not depend on how the work was cut up, in which order it was done, or how often it was interrupted.
"""

import csv
import fcntl
import heapq
import io
import json
import shutil
import sqlite3
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from deocc.errors import DeoccError
from deocc.io import write_atomic, write_json
from deocc.paths import PEOPLE_MINI

BUILD = ".build"
COLUMNS = ("id", "split", "source", "has_parsing", "true_sides", "licence", "photo", "region_xyxy", "scale",
           "proposal", "confidence", "reasons", "mask_from")  # fmt: skip
OCCLUDER_FIELDS = ("id", "split", "category", "licence")
EXAMPLES = 3  # of each reason, in the report
STALE = 3600  # seconds after which a temporary file belongs to a run that was killed
TABLES = """
CREATE TABLE IF NOT EXISTS about (about TEXT);
CREATE TABLE IF NOT EXISTS photos (key TEXT PRIMARY KEY, people INTEGER) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS people (id TEXT PRIMARY KEY, row TEXT) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS occluders (id TEXT PRIMARY KEY, row TEXT) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS drops (photo TEXT, id TEXT, reason TEXT, words TEXT);
CREATE TABLE IF NOT EXISTS cases (id TEXT PRIMARY KEY) WITHOUT ROWID;
"""


@dataclass
class Record:
    """What became of one photo.

    Attributes:
        key: the photo's, unique in its dataset.
        people: candidates in it, kept or not.
        rows: of ``people.csv``, one a person that was kept.
        occluders: rows of ``occluders.csv``.
        drops: (id, reason, words) of every person that was not kept.
        cases: ids of natural occlusion cases.
    """

    key: str
    people: int = 0
    rows: list[dict[str, str]] = field(default_factory=list)
    occluders: list[dict[str, str]] = field(default_factory=list)
    drops: list[tuple[str, str, str]] = field(default_factory=list)
    cases: list[str] = field(default_factory=list)


class Journal:
    """The journal of one shard; commits are whole photos."""

    def __init__(self, out: Path, source: str, shard: tuple[int, int], about: dict[str, Any]) -> None:
        """Opens or makes it.

        Args:
            out: the people folder.
            source: name of the dataset.
            shard: (i, n), counted from 1.
            about: the options of the run; a journal goes on under the same ones only.

        Raises:
            DeoccError: the folder has people of another making, or of other options.
        """
        self.out, self.source = out, source
        if (out / "people.csv").is_file() and not (out / BUILD).is_dir():
            raise DeoccError(f"{out}: its people were not made by this command; choose another folder")
        (out / BUILD).mkdir(parents=True, exist_ok=True)
        for path in _journals(out, source):
            with _reading(path) as base:
                if (before := _about(base)) not in (None, about):
                    changed = sorted(key for key in about if (before or {}).get(key) != about[key])
                    words = f"was made with other options ({', '.join(changed)})"
                    raise DeoccError(f"{out}: {source} {words}; choose another folder or the same options")
        self._base = sqlite3.connect(out / BUILD / f"{source}-{shard[0]}of{shard[1]}.sqlite")
        self._base.executescript("PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;" + TABLES)
        if _about(self._base) is None:
            self._base.execute("INSERT INTO about VALUES (?)", (json.dumps(about),))
            self._base.commit()
        self._forget_missing()
        self._others = [_open(path) for path in _journals(out, source)]
        self._waiting, self._last = 0, time.monotonic()

    def _forget_missing(self) -> None:
        """Photos whose files were not there are looked for again: they may have been fetched since."""
        missing = "SELECT photo FROM drops WHERE reason IN ('photo missing', 'annotation missing')"
        self._base.execute(f"DELETE FROM photos WHERE key IN ({missing})")
        self._base.execute("DELETE FROM drops WHERE photo NOT IN (SELECT key FROM photos)")
        self._base.commit()

    def done(self, key: str) -> bool:
        """Whether this shard, or another one, has finished a photo."""
        query = "SELECT 1 FROM photos WHERE key = ?"
        return any(base.execute(query, (key,)).fetchone() for base in (self._base, *self._others))

    def add(self, record: Record) -> None:
        """Enters a photo whose files are all written."""
        base = self._base
        for table, rows in (("people", record.rows), ("occluders", record.occluders)):
            pairs = [(row["id"], json.dumps(row)) for row in rows]
            base.executemany(f"INSERT OR REPLACE INTO {table} VALUES (?, ?)", pairs)
        drops = [(record.key, *drop) for drop in record.drops]
        base.executemany("INSERT INTO drops VALUES (?, ?, ?, ?)", drops)
        base.executemany("INSERT OR REPLACE INTO cases VALUES (?)", [(name,) for name in record.cases])
        base.execute("INSERT INTO photos VALUES (?, ?)", (record.key, record.people))
        self._waiting += 1
        if self._waiting >= 50 or time.monotonic() - self._last > 2:
            self.commit()

    def commit(self) -> None:
        """Makes everything up to here last."""
        self._base.commit()
        self._waiting, self._last = 0, time.monotonic()

    def close(self) -> None:
        self.commit()
        for base in (self._base, *self._others):
            base.close()


def _journals(out: Path, source: str = "*") -> list[Path]:
    return sorted((out / BUILD).glob(f"{source}-*of*.sqlite"))


def _open(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(path, timeout=60)


@contextmanager
def _reading(path: Path) -> Iterator[sqlite3.Connection]:
    base = _open(path)
    try:
        base.executescript(TABLES)
        yield base
    except sqlite3.DatabaseError as error:
        raise DeoccError(f"{path}: damaged ({error}); remove it, and the run does its part again") from None
    finally:
        base.close()


def _about(base: sqlite3.Connection) -> dict[str, Any] | None:
    row = base.execute("SELECT about FROM about").fetchone()
    return json.loads(row[0]) if row else None


# ------------------------------------------------------------------ tables


@contextmanager
def _alone(out: Path) -> Iterator[None]:
    """Shards that finish together write the tables one after the other."""
    with (out / BUILD / "lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def write_tables(out: Path, occluders: bool = True) -> dict[str, Any]:
    """Writes ``people.csv``, ``occluders/occluders.csv`` and ``report.json`` from all journals of a folder.

    Args:
        out: the people folder.
        occluders: where no dataset gave an occluder, copy the bundled rendered ones, so that the folder can
            be occluded and trained on as it is.

    Returns:
        What the report says.

    Raises:
        DeoccError: there is no journal, or one is damaged.
    """
    paths = _journals(out)
    if not paths:
        raise DeoccError(f"{out}: nothing was built here; run `deocc people SOURCE ROOT --out {out}` first")
    with _alone(out):
        _remove_stale(out)
        _write_csv(out / "people.csv", COLUMNS, _rows(paths, "people"))
        report: dict[str, Any] = {
            "sources": {name: _report(out, name) for name in sorted({_source(path) for path in paths})}
        }
        found = sum(facts["occluders"] for facts in report["sources"].values())
        if found:
            _write_csv(out / "occluders" / "occluders.csv", OCCLUDER_FIELDS, _rows(paths, "occluders"))
        elif occluders and not (out / "occluders").exists():
            shutil.copytree(PEOPLE_MINI / "occluders", out / "occluders")
        there = (out / "occluders" / "occluders.csv").is_file()
        report["occluders"] = "of the datasets" if found else "bundled" if there else "none"
        write_json(out / "report.json", report)
    return report


def _source(path: Path) -> str:
    return path.name.rsplit("-", 1)[0]


def _rows(paths: list[Path], table: str) -> Iterator[dict[str, str]]:
    """Rows of all journals in the order of their ids, each id once; one row a journal is in memory."""
    bases = [_open(path) for path in paths]
    try:
        sorted_rows = [base.execute(f"SELECT id, row FROM {table} ORDER BY id") for base in bases]
        last = None
        for name, text in heapq.merge(*sorted_rows):
            if name != last:
                yield json.loads(text)
            last = name
    finally:
        for base in bases:
            base.close()


def _write_csv(path: Path, columns: Iterable[str], rows: Iterable[dict[str, str]]) -> None:
    def write(file: Any) -> None:
        text = io.TextIOWrapper(file, encoding="utf-8", newline="")
        writer = csv.DictWriter(text, list(columns), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        text.detach()

    write_atomic(path, write)


def _report(out: Path, source: str) -> dict[str, Any]:
    """Counts of one dataset over all of its shards; see `write_tables`."""
    total, dropped, examples = Counter[str](), Counter[str](), dict[str, list[tuple[str, str]]]()
    about: dict[str, Any] = {}
    for path in _journals(out, source):
        with _reading(path) as base:
            about = _about(base) or about
            photos, people = base.execute("SELECT count(*), coalesce(sum(people), 0) FROM photos").fetchone()
            total.update(photos=photos, people=people)
            for table in ("people", "occluders", "cases"):
                key = "kept" if table == "people" else table
                total[key] += base.execute(f"SELECT count(*) FROM {table}").fetchone()[0]
            for reason, count in base.execute("SELECT reason, count(*) FROM drops GROUP BY reason"):
                dropped[reason] += count
                query = "SELECT id, words FROM drops WHERE reason = ? ORDER BY id, words LIMIT ?"
                examples.setdefault(reason, []).extend(base.execute(query, (reason, EXAMPLES)))
    return {
        "options": about,
        **{key: total[key] for key in ("photos", "people", "kept")},
        "preserved_ratio": round(total["kept"] / total["people"], 4) if total["people"] else None,
        "dropped": dict(sorted(dropped.items(), key=lambda pair: (-pair[1], pair[0]))),
        "examples": {r: [f"{n}: {w}" for n, w in sorted(examples[r])[:EXAMPLES]] for r in sorted(examples)},
        "occluders": total["occluders"],
        "cases": total["cases"],
    }


def _remove_stale(out: Path) -> None:
    """Removes temporary files that a killed run left behind."""
    for folder in ("images", "masks", "parsing", "occluders", BUILD):
        for path in (out / folder).glob(".*" if folder != BUILD else "*.part"):
            if time.time() - path.stat().st_mtime > STALE:
                path.unlink(missing_ok=True)
