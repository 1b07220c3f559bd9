"""An index on disk that groups a dataset's annotations by photo.

COCO's annotations come in any order, and they do not fit into memory together with those of Objects365. They
are streamed into an SQLite file once. Then photos are read one by one with all their subjects.
"""

import json
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any

from deocc.errors import DeoccError
from deocc.people.sources.candidates import Entry, Problem, Source
from deocc.people.sources.files import base_name, tails

VERSION = 3  # of the tables
TABLES = """
CREATE TABLE photos (key TEXT PRIMARY KEY, facts TEXT) WITHOUT ROWID;
CREATE TABLE subjects (name TEXT PRIMARY KEY, photo TEXT, facts TEXT) WITHOUT ROWID;
CREATE TABLE problems (photo TEXT, name TEXT, reason TEXT, words TEXT);
CREATE TABLE files (path TEXT, size INTEGER, changed INTEGER);
CREATE TABLE empty (key TEXT PRIMARY KEY, facts TEXT) WITHOUT ROWID;
CREATE TEMP TABLE names (part TEXT, base TEXT, file TEXT, key TEXT);
"""


def _text(words: str) -> str:
    """The text in a form that SQLite can store; lone surrogates are escaped."""
    return words.encode("utf-8", "backslashreplace").decode()


class IndexWriter:
    """Writes an index; see `Writer`."""

    def __init__(self, path: Path) -> None:
        self._base = sqlite3.connect(path)
        self._base.execute("PRAGMA journal_mode = OFF")  # a broken index is made again, never mended
        self._base.execute("PRAGMA synchronous = OFF")
        self._base.executescript(TABLES)

    def reads(self, path: Path) -> None:
        try:
            facts = path.stat()
        except OSError:
            return  # the reader reports it
        row = (str(path.absolute()), facts.st_size, facts.st_mtime_ns)
        self._base.execute("INSERT INTO files VALUES (?, ?, ?)", row)

    def photo(self, key: str, **facts: Any) -> None:
        if not self._added(key, facts):
            self.problem(key, Problem(key, "duplicate id", "the dataset lists this photo twice"))

    def photo_again(self, key: str, **facts: Any) -> None:
        self._added(key, facts)

    def _added(self, key: str, facts: dict[str, Any]) -> bool:
        row = (_text(key), json.dumps(facts))
        if isinstance(file := facts.get("file"), str):
            names = (_text(words) for words in (str(facts.get("part")), base_name(file), file, key))
            self._base.execute("INSERT INTO names VALUES (?, ?, ?, ?)", tuple(names))
        return bool(self._base.execute("INSERT OR IGNORE INTO photos VALUES (?, ?)", row).rowcount)

    def subject(self, photo: str, name: str, **facts: Any) -> None:
        row = (_text(name), _text(photo), json.dumps(facts))
        if not self._base.execute("INSERT OR IGNORE INTO subjects VALUES (?, ?, ?)", row).rowcount:
            self.problem(photo, Problem(name, "duplicate id", "the dataset uses this id twice"))

    def problem(self, photo: str, problem: Problem) -> None:
        row = tuple(_text(words) for words in (photo, *problem))
        self._base.execute("INSERT INTO problems VALUES (?, ?, ?, ?)", row)

    def finish(self) -> None:
        """Tells apart what has similar names. Raises: DeoccError: two people would get the same id."""
        table, column = ("subjects", "name") if self._any("subjects") else ("photos", "key")
        query = f"SELECT min({column}), max({column}) FROM {table} GROUP BY replace({column}, '/', '_')"
        if alike := self._base.execute(f"{query} HAVING count(*) > 1 LIMIT 1").fetchone():
            raise DeoccError(f"names {alike[0]} and {alike[1]} would give the same id; rename one of them")
        rows = self._base.execute("SELECT part, base, file, key FROM names ORDER BY part, base")
        for _, group in groupby(rows, itemgetter(0, 1)):
            photos = list(group)
            files = sorted({file for _, _, file, _ in photos})
            if len(files) > 1:
                tail = dict(zip(files, tails(files), strict=True))
                for _, _, file, key in photos:
                    self._keep_tail(key, tail[file])

    def _keep_tail(self, key: str, tail: int) -> None:
        """Notes how many last parts of a photo's file name tell it from others."""
        if tail > 1:
            (text,) = self._base.execute("SELECT facts FROM photos WHERE key = ?", (key,)).fetchone()
            row = (json.dumps({**json.loads(text), "tail": tail}), key)
            self._base.execute("UPDATE photos SET facts = ? WHERE key = ?", row)

    def _any(self, table: str) -> bool:
        return self._base.execute(f"SELECT 1 FROM {table} LIMIT 1").fetchone() is not None

    def close(self) -> None:
        """Sorts and saves the index, without objects and photos that have no person."""
        self._base.execute(
            "DELETE FROM subjects WHERE json_extract(facts, '$.role') = 'object' AND photo NOT IN "
            "(SELECT photo FROM subjects WHERE coalesce(json_extract(facts, '$.role'), 'person') = 'person')"
        )
        self._base.execute("CREATE INDEX by_photo ON subjects (photo)")
        self._base.execute("CREATE INDEX problems_by_photo ON problems (photo)")
        if self._any("subjects"):
            self._base.execute(
                "INSERT INTO empty SELECT * FROM photos WHERE key NOT IN "
                "(SELECT photo FROM subjects UNION SELECT photo FROM problems)"
            )
            self._base.execute("DELETE FROM photos WHERE key IN (SELECT key FROM empty)")
        self._base.commit()
        self._base.close()


class Index:
    """Reads an index: entries in the order of their keys."""

    def __init__(self, path: Path) -> None:
        self._base = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)

    def holds(self) -> bool:
        """Whether the dataset's files are unchanged since they were read."""
        for path, *facts in self._base.execute("SELECT path, size, changed FROM files"):
            try:
                now = os.stat(path)
            except OSError:
                return False
            if [now.st_size, now.st_mtime_ns] != facts:
                return False
        return True

    def keys(self) -> Iterator[str]:
        """Keys of all photos in lists or annotations, in order."""
        union = "SELECT key FROM photos UNION SELECT photo FROM subjects UNION SELECT photo FROM problems"
        for (key,) in self._base.execute(f"SELECT key FROM ({union}) ORDER BY key"):
            yield key

    def empty(self, key: str) -> Entry | None:
        """The entry of a photo that is listed, but has no person; else None."""
        row = self._base.execute("SELECT facts FROM empty WHERE key = ?", (key,)).fetchone()
        return Entry(key, json.loads(row[0])) if row else None

    def entry(self, key: str) -> Entry:
        """The entry of one photo."""
        facts = self._base.execute("SELECT facts FROM photos WHERE key = ?", (key,)).fetchone()
        query = "SELECT name, facts FROM subjects WHERE photo = ? ORDER BY length(name), name"
        subjects = {name: json.loads(text) for name, text in self._base.execute(query, (key,))}
        query = "SELECT name, reason, words FROM problems WHERE photo = ? ORDER BY name, reason"
        problems = tuple(Problem(*row) for row in self._base.execute(query, (key,)))
        return Entry(key, json.loads(facts[0]) if facts else None, subjects, problems)

    def close(self) -> None:
        self._base.close()


def open_index(source: Source, path: Path) -> Index:
    """Opens the index of a source; fills it first if it is missing or the dataset has changed.

    Raises:
        DeoccError: the dataset's lists or annotations cannot be read, or contain no photo.
    """
    while True:
        if not path.is_file():
            _build(source, path)
        try:
            index = Index(path)
            if index.holds():
                break
            index.close()
        except sqlite3.DatabaseError:  # damaged, or another shard was done with it and took it away
            pass
        path.unlink(missing_ok=True)
    if next(index.keys(), None) is None:
        index.close()
        raise DeoccError(f"{getattr(source, 'root', source.name)}: its lists and annotations name no photo")
    return index


def _build(source: Source, path: Path) -> None:
    """Fills an index; it gets its final name when it is complete."""
    temporary = path.with_name(f"{path.name}.{os.getpid()}.part")
    temporary.unlink(missing_ok=True)
    try:
        with closing(IndexWriter(temporary)) as writer:
            source.fill(writer)
            writer.finish()
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
