"""The SQLite record of finished work, one per shard.

The journals of all shards and datasets of a people folder are in its ``.build`` folder. The tables
(``people.csv``, ``occluders/occluders.csv``, ``report.json``) are written from all of them, sorted. So they
do not depend on the sharding, on the order of the work, or on interruptions.
"""

import heapq
import json
import shutil
import sqlite3
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from deocc.errors import DeoccError
from deocc.io import make_once, remove_temporaries, safe_name, write_json
from deocc.io.locks import alone, is_held, wait_for_workers
from deocc.paths import PEOPLE_MINI
from deocc.people.sources.database import BUILD, TABLES, about_of, connect, damage, journals, reading, row_of
from deocc.people.sources.seen import Seen
from deocc.people.sources.tables import remove_bundled, remove_gone, write_csv

COLUMNS = ("id", "split", "source", "has_parsing", "true_sides", "licence", "photo", "region_xyxy", "scale",
           "proposal", "confidence", "reasons", "mask_from")  # fmt: skip
OCCLUDER_FIELDS = ("id", "split", "category", "licence")
EXAMPLES = 3  # of each reason, in the report
KEPT = ("people", "occluders", "cases")
CASE_FILES = ("case.json", "image.png", "modal.png", "amodal.png", "occluder.png")  # of a natural case
FILES = {"people": ("images/{}.jpg", "masks/{}.png", "parsing/{}.png"), "occluders": ("occluders/{}.png",)}


@dataclass
class Record:
    """The result of one photo.

    Attributes:
        key: of the photo, unique in its dataset.
        people: number of candidates in it.
        rows: of ``people.csv``, one per kept person.
        occluders: rows of ``occluders.csv``.
        drops: (id, reason, words) of every dropped person.
        cases: ids of natural occlusion cases.
        seen: fingerprint of its inputs; None: the next run tries again.
    """

    key: str
    people: int = 0
    rows: list[dict[str, str]] = field(default_factory=list)
    occluders: list[dict[str, str]] = field(default_factory=list)
    drops: list[tuple[str, str, str]] = field(default_factory=list)
    cases: list[str] = field(default_factory=list)
    seen: Seen | None = None


class Journal:
    """The journal of one shard. A commit is a complete photo. Only one process at a time may open a shard."""

    def __init__(self, out: Path, label: str, shard: tuple[int, int], about: dict[str, Any]) -> None:
        """Opens or makes it.

        Args:
            out: the people folder.
            label: name of the dataset and of its export.
            shard: (i, n), counted from 1.
            about: the options of the run; a journal with kept people must have the same ones.

        Raises:
            DeoccError: the folder's people were made otherwise or with other options, or another process
                works on this shard.
        """
        self.out, self._cases, self._held = out, str(about.get("cases", "")), ExitStack()
        if (out / "people.csv").is_file() and not (out / BUILD).is_dir():
            raise DeoccError(f"{out}: its people were not made by this command; choose another folder")
        path = out / BUILD / f"{label}-{shard[0]}of{shard[1]}.sqlite"
        busy = f"{out}: another process makes {label}, shard {shard[0]}/{shard[1]}, here"
        self.lock = path.with_suffix(".lock")
        with alone(out / BUILD / "lock", "", wait=True):  # who holds a shard has stored its options
            self._held.enter_context(alone(self.lock, busy))
            try:
                self._agree(label, about)
                self._base = connect(path)
                with damage(path):
                    self._base.executescript(
                        "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;" + TABLES
                    )
                    if about_of(self._base) is None:
                        self._base.execute("INSERT INTO about VALUES (?)", (json.dumps(about),))
                    self._base.commit()
                self._all = [self._base, *(connect(p) for p in journals(out, label) if p != path)]
            except BaseException:
                self._held.close()
                raise
        self._waiting, self._last = 0, time.monotonic()

    def _agree(self, label: str, about: dict[str, Any]) -> None:
        """Refuses options that differ, unless nobody was kept with the old ones (a mistyped command)."""
        for path in journals(self.out, label):
            with reading(path) as base:
                before = about_of(base)
                if before is not None and "cases" in about and "cases" not in before:
                    written = base.execute("SELECT 1 FROM cases LIMIT 1").fetchone()
                    if written:  # by an earlier version, which kept no path
                        before["cases"] = about["cases"]
                if before in (None, about):
                    continue
                used = any(base.execute(f"SELECT 1 FROM {table} LIMIT 1").fetchone() for table in KEPT)
                lock = path.with_suffix(".lock")
                if not used and (lock == self.lock or not is_held(lock)):
                    for table in ("about", "photos", "drops"):
                        base.execute(f"DELETE FROM {table}")
                    base.commit()
                    continue
                before = before or {}
                changed = sorted(k for k in {**before, **about} if before.get(k) != about.get(k))
            words = f"was made with other options ({', '.join(changed)})"
            raise DeoccError(f"{self.out}: {label} {words}; choose another folder or the same options")

    def empty(self) -> bool:
        """Whether no photo is done."""
        return not any(base.execute("SELECT 1 FROM photos LIMIT 1").fetchone() for base in self._all)

    def seen(self, key: str) -> Seen | None:
        """The fingerprint of a photo's inputs, from any shard; None: not done, or to be redone."""
        for base in self._all:
            row = base.execute("SELECT seen FROM photos WHERE key = ?", (key,)).fetchone()
            if row and row[0]:
                with suppress(ValueError, TypeError, KeyError):  # damaged: done again
                    return Seen.from_json(row[0])
        return None

    def keys(self) -> Iterator[str]:
        """The keys of all photos that are done, in any shard."""
        for base in self._all:
            for (key,) in base.execute("SELECT key FROM photos"):
                yield key

    def files_of(self, key: str) -> Iterator[Path]:
        """The files that a photo's rows stand for; of a case, the one that marks it whole."""
        for base in self._all:
            for table, patterns in FILES.items():
                query = f"""SELECT id, row LIKE '%"has_parsing": "1"%' FROM {table} WHERE photo = ?"""
                for name, has_parsing in base.execute(query, (key,)):
                    yield from (self.out / p.format(name) for p in patterns[: None if has_parsing else 2])
            if self._cases:
                for (name,) in base.execute("SELECT id FROM cases WHERE photo = ?", (key,)):
                    yield Path(self._cases, safe_name(name, "case id"), "case.json")

    def photo_of(self, name: str) -> str | None:
        """The photo of an id."""
        for base in self._all:
            for table in ("people", "occluders"):
                if row := base.execute(f"SELECT photo FROM {table} WHERE id = ?", (name,)).fetchone():
                    return row[0]
        return None

    def knows(self, key: str) -> bool:
        """Whether a photo is done, in any shard."""
        query = "SELECT 1 FROM photos WHERE key = ?"
        return any(base.execute(query, (key,)).fetchone() for base in self._all)

    def forget(self, key: str) -> int:
        """Removes the old results of a photo. Table rows go first, so that no table lists a missing file.

        Files of an id stay if another photo has it by now, in any shard.

        Returns:
            The number of its people.
        """
        names: dict[str, set[str]] = {table: set() for table in KEPT}
        for base in self._all:
            if not base.execute("SELECT 1 FROM photos WHERE key = ?", (key,)).fetchone():
                continue
            for table in KEPT:
                rows = base.execute(f"SELECT id FROM {table} WHERE photo = ?", (key,))
                names[table].update(name for (name,) in rows)
            base.execute("DELETE FROM photos WHERE key = ?", (key,))
            for table in (*KEPT, "drops"):
                base.execute(f"DELETE FROM {table} WHERE photo = ?", (key,))
            base.commit()
        left = {table: [name for name in names[table] if not self._has(table, name)] for table in KEPT}
        for table, patterns in FILES.items():
            for path in (self.out / p.format(name) for name in left[table] for p in patterns):
                path.unlink(missing_ok=True)
        for name in left["cases"] if self._cases else ():
            _remove_case(Path(self._cases, safe_name(name, "case id")))
        return len(names["people"])

    def _has(self, table: str, name: str) -> bool:
        query = f"SELECT 1 FROM {table} WHERE id = ?"
        return any(base.execute(query, (name,)).fetchone() for base in self._all)

    def add(self, record: Record) -> None:
        """Adds a photo after all its files are written."""
        base, key = self._base, record.key
        for table, rows in (("people", record.rows), ("occluders", record.occluders)):
            values = [(row["id"], json.dumps(row), key) for row in rows]
            base.executemany(f"INSERT OR REPLACE INTO {table} VALUES (?, ?, ?)", values)
        base.executemany("INSERT INTO drops VALUES (?, ?, ?, ?)", [(key, *drop) for drop in record.drops])
        base.executemany("INSERT OR REPLACE INTO cases VALUES (?, ?)", [(name, key) for name in record.cases])
        seen = record.seen.to_json() if record.seen else None
        base.execute("INSERT OR REPLACE INTO photos VALUES (?, ?, ?)", (key, record.people, seen))
        self._waiting += 1
        if self._waiting >= 50 or time.monotonic() - self._last > 2:
            self.commit()

    def commit(self) -> None:
        """Commits everything so far."""
        self._base.commit()
        self._waiting, self._last = 0, time.monotonic()

    def close(self) -> None:
        try:
            self.commit()
        finally:
            for base in self._all:
                base.close()
            self._held.close()


def _remove_case(folder: Path) -> None:
    """Removes a case that `write_natural_case` wrote; ``case.json``, which marks it whole, goes first."""
    for file in CASE_FILES:
        (folder / file).unlink(missing_ok=True)
    with suppress(OSError):  # it holds other files, which stay, or is gone already
        folder.rmdir()


def remove_traces(out: Path) -> None:
    """Removes the empty journals and folders of a command that failed before any result.

    Journals of other processes at work stay, empty or not.
    """
    if not (out / BUILD).is_dir():
        return
    with suppress(OSError, DeoccError):
        with alone(out / BUILD / "lock", "", wait=True):
            for path in journals(out):
                if is_held(path.with_suffix(".lock")):  # nobody takes it meanwhile: this needs the lock above
                    continue
                with reading(path) as base:
                    done = base.execute("SELECT 1 FROM photos LIMIT 1").fetchone()
                if not done:
                    for old in (out / BUILD).glob(f"{path.stem}.*"):
                        old.unlink()
        if not journals(out):
            (out / BUILD / "lock").unlink(missing_ok=True)
            (out / BUILD).rmdir()
            out.rmdir()


# ------------------------------------------------------------------ tables


def write_tables(out: Path, occluders: bool = True) -> dict[str, Any]:
    """Writes ``people.csv``, ``occluders/occluders.csv`` and ``report.json`` from all journals of a folder.

    Args:
        out: the people folder.
        occluders: if no dataset gave an occluder, copy the bundled rendered ones, so that the folder is ready
            for occlusion and training.

    Returns:
        The report.

    Raises:
        DeoccError: there is no journal, or one is damaged.
    """
    paths = journals(out)
    if not paths:
        raise DeoccError(f"{out}: nothing was built here; run `deocc people SOURCE ROOT --out {out}` first")
    with alone(out / BUILD / "lock", "", wait=True):  # shards that finish together take turns
        _sweep(out)
        write_csv(out / "people.csv", COLUMNS, _rows(paths, "people", COLUMNS))
        report: dict[str, Any] = {
            "sources": {name: _report(out, name) for name in sorted({_source(path) for path in paths})}
        }
        found = sum(facts["occluders"] for facts in report["sources"].values())
        if found:
            rows = _rows(paths, "occluders", OCCLUDER_FIELDS)
            write_csv(out / "occluders" / "occluders.csv", OCCLUDER_FIELDS, rows)
            remove_bundled(out / "occluders")
        else:
            remove_gone(out / "occluders", {_source(path) for path in paths})
            if occluders and not (out / "occluders").exists():
                bundled = PEOPLE_MINI / "occluders"
                make_once(out / "occluders", lambda part: shutil.copytree(bundled, part, dirs_exist_ok=True))
        there = (out / "occluders" / "occluders.csv").is_file()
        report["occluders"] = "of the datasets" if found else "bundled" if there else "none"
        write_json(out / "report.json", report)
    return report


def _source(path: Path) -> str:
    return path.name.rsplit("-", 1)[0]


def _rows(paths: list[Path], table: str, columns: Iterable[str]) -> Iterator[dict[str, str]]:
    """Rows of all journals in the order of their ids, each id once; holds one row per journal in memory."""
    with ExitStack() as stack:
        sorted_rows = [_sorted(path, stack.enter_context(reading(path)), table) for path in paths]
        last = None
        for name, _, row in heapq.merge(*sorted_rows, key=lambda found: found[:2]):
            if name != last:
                yield {column: row.get(column, "") for column in columns}
            last = name


def _sorted(path: Path, base: sqlite3.Connection, table: str) -> Iterator[tuple[str, str, dict[str, str]]]:
    with damage(path):
        for name, text in base.execute(f"SELECT id, row FROM {table} ORDER BY id"):
            yield str(name), str(path), row_of(path, text)


def _report(out: Path, source: str) -> dict[str, Any]:
    """Counts of one dataset over all of its shards; see `write_tables`."""
    total, dropped, examples = Counter[str](), Counter[str](), dict[str, list[tuple[str, str]]]()
    about: dict[str, Any] = {}
    for path in journals(out, source):
        with reading(path) as base:
            about = about_of(base) or about
            photos, people = base.execute("SELECT count(*), coalesce(sum(people), 0) FROM photos").fetchone()
            total.update(photos=photos, people=people)
            for table in ("people", "occluders", "cases"):
                key = "kept" if table == "people" else table
                total[key] += base.execute(f"SELECT count(*) FROM {table}").fetchone()[0]
            query = "SELECT count(*) FROM people WHERE json_extract(row, '$.proposal') = 'preserve'"
            total["preserved"] += base.execute(query).fetchone()[0]
            for reason, count in base.execute("SELECT reason, count(*) FROM drops GROUP BY reason"):
                dropped[reason] += count
                query = "SELECT id, words FROM drops WHERE reason = ? ORDER BY id, words LIMIT ?"
                examples.setdefault(reason, []).extend(base.execute(query, (reason, EXAMPLES)))
    return {
        "options": about,
        **{key: total[key] for key in ("photos", "people", "kept")},
        "preserved_ratio": round(total["preserved"] / total["people"], 4) if total["people"] else None,
        "dropped": dict(sorted(dropped.items(), key=lambda pair: (-pair[1], pair[0]))),
        "examples": {r: [f"{n}: {w}" for n, w in sorted(examples[r])[:EXAMPLES]] for r in sorted(examples)},
        "occluders": total["occluders"],
        "cases": total["cases"],
    }


def _sweep(out: Path) -> None:
    """Removes incomplete files of killed runs: of tables, and of datasets that no process works on."""
    remove_temporaries(out, {"people.csv", "report.json"}.__contains__)
    remove_temporaries(out / "occluders", "occluders.csv".__eq__)
    with ExitStack() as held:
        paths = journals(out)
        busy = {_source(path) for path in paths if not _is_idle(path, held)}
        idle = tuple(f"{label}_" for label in {_source(path) for path in paths} - busy)
        for folder in ("images", "masks", "parsing", "occluders"):
            remove_temporaries(out / folder, lambda name: name.startswith(idle))
        for path in () if busy else (out / BUILD).glob("index-*"):
            path.unlink(missing_ok=True)


def _is_idle(path: Path, held: ExitStack) -> bool:
    """Whether no process uses a journal; if so, it stays locked until `held` is closed."""
    try:
        held.enter_context(alone(path.with_suffix(".lock"), ""))
    except DeoccError:
        return False
    return wait_for_workers(path.parent, path.stem)
