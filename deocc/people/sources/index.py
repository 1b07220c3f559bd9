"""An index on disk: photos with their annotations side by side, whatever the order of the dataset's files.

COCO's annotations come in any order and do not fit into memory together with those of Objects365. They are
streamed into an SQLite file once; then photos come out one by one with all their subjects.
"""

import json
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

from deocc.people.sources.candidates import Entry, Problem, Source

TABLES = """
CREATE TABLE photos (key TEXT PRIMARY KEY, facts TEXT) WITHOUT ROWID;
CREATE TABLE subjects (name TEXT PRIMARY KEY, photo TEXT, facts TEXT) WITHOUT ROWID;
CREATE TABLE problems (photo TEXT, name TEXT, reason TEXT, words TEXT);
"""


class IndexWriter:
    """Writes an index; see `Writer`."""

    def __init__(self, path: Path) -> None:
        self._base = sqlite3.connect(path)
        self._base.execute("PRAGMA journal_mode = OFF")  # a broken index is made again, never mended
        self._base.execute("PRAGMA synchronous = OFF")
        self._base.executescript(TABLES)

    def photo(self, key: str, **facts: Any) -> None:
        added = self._base.execute("INSERT OR IGNORE INTO photos VALUES (?, ?)", (key, json.dumps(facts)))
        if not added.rowcount:
            self.problem(key, Problem(key, "duplicate id", "the dataset lists this photo twice"))

    def subject(self, photo: str, name: str, **facts: Any) -> None:
        row = (name, photo, json.dumps(facts))
        if not self._base.execute("INSERT OR IGNORE INTO subjects VALUES (?, ?, ?)", row).rowcount:
            self.problem(photo, Problem(name, "duplicate id", "the dataset uses this id twice"))

    def problem(self, photo: str, problem: Problem) -> None:
        self._base.execute("INSERT INTO problems VALUES (?, ?, ?, ?)", (photo, *problem))

    def close(self) -> None:
        """Sorts, and writes everything out, without objects and photos that no person is in."""
        self._base.execute(
            "DELETE FROM subjects WHERE json_extract(facts, '$.role') = 'object' AND photo NOT IN "
            "(SELECT photo FROM subjects WHERE coalesce(json_extract(facts, '$.role'), 'person') = 'person')"
        )
        self._base.execute("CREATE INDEX by_photo ON subjects (photo)")
        self._base.execute("CREATE INDEX problems_by_photo ON problems (photo)")
        if self._base.execute("SELECT 1 FROM subjects LIMIT 1").fetchone():
            self._base.execute(
                "DELETE FROM photos WHERE key NOT IN "
                "(SELECT photo FROM subjects UNION SELECT photo FROM problems)"
            )
        self._base.commit()
        self._base.close()


class Index:
    """Reads an index: a number of photos, and their entries in the order of their keys."""

    def __init__(self, path: Path) -> None:
        self._base = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)

    def keys(self) -> Iterator[str]:
        """Keys of every photo that a list names or an annotation refers to, in order."""
        union = "SELECT key FROM photos UNION SELECT photo FROM subjects UNION SELECT photo FROM problems"
        for (key,) in self._base.execute(f"SELECT key FROM ({union}) ORDER BY key"):
            yield key

    def entry(self, key: str) -> Entry:
        """All that is known of one photo."""
        facts = self._base.execute("SELECT facts FROM photos WHERE key = ?", (key,)).fetchone()
        query = "SELECT name, facts FROM subjects WHERE photo = ? ORDER BY length(name), name"
        subjects = {name: json.loads(text) for name, text in self._base.execute(query, (key,))}
        query = "SELECT name, reason, words FROM problems WHERE photo = ? ORDER BY name, reason"
        problems = tuple(Problem(*row) for row in self._base.execute(query, (key,)))
        return Entry(key, json.loads(facts[0]) if facts else None, subjects, problems)

    def close(self) -> None:
        self._base.close()


def open_index(source: Source, path: Path) -> Index:
    """Opens the index of a source, after filling it where it is not there yet."""
    while True:
        if not path.is_file():
            _build(source, path)
        try:
            return Index(path)
        except sqlite3.OperationalError:  # another shard was done with it and took it away
            continue


def _build(source: Source, path: Path) -> None:
    """Fills an index; it gets its name when it is whole."""
    temporary = path.with_name(f"{path.name}.{os.getpid()}.part")
    temporary.unlink(missing_ok=True)
    try:
        with closing(IndexWriter(temporary)) as writer:
            source.fill(writer)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
