"""The SQLite files of the journals (see `deocc.people.sources.journal`)."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec

from deocc.errors import DeoccError
from deocc.io import safe_name

BUILD = ".build"
TABLES = """
CREATE TABLE IF NOT EXISTS about (about TEXT);
CREATE TABLE IF NOT EXISTS photos (key TEXT PRIMARY KEY, people INTEGER, seen TEXT) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS people (id TEXT PRIMARY KEY, row TEXT, photo TEXT) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS occluders (id TEXT PRIMARY KEY, row TEXT, photo TEXT) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS drops (photo TEXT, id TEXT, reason TEXT, words TEXT);
CREATE TABLE IF NOT EXISTS cases (id TEXT PRIMARY KEY, photo TEXT) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS people_of ON people (photo);
CREATE INDEX IF NOT EXISTS occluders_of ON occluders (photo);
CREATE INDEX IF NOT EXISTS drops_of ON drops (photo);
CREATE INDEX IF NOT EXISTS cases_of ON cases (photo);
"""


def journals(out: Path, source: str = "*") -> list[Path]:
    return sorted((out / BUILD).glob(f"{source}-*of*.sqlite"))


def connect(path: Path) -> sqlite3.Connection:
    with damage(path):
        return sqlite3.connect(path, timeout=60)


@contextmanager
def damage(path: Path) -> Iterator[None]:
    """One error line for SQLite errors and damaged content."""
    try:
        yield
    except (sqlite3.Error, msgspec.DecodeError, ValueError, RecursionError) as error:
        if isinstance(error, DeoccError):
            raise
        words = " ".join(str(error).split())[:120]
        raise DeoccError(f"{path}: damaged ({words}); remove it, and the run does its part again") from None


@contextmanager
def reading(path: Path) -> Iterator[sqlite3.Connection]:
    """Opens a journal. Raises: DeoccError: it is damaged, or of an earlier version."""
    base = connect(path)
    try:
        with damage(path):
            base.executescript(TABLES)
            yield base
    finally:
        base.close()


def about_of(base: sqlite3.Connection) -> dict[str, Any] | None:
    row = base.execute("SELECT about FROM about").fetchone()
    return msgspec.json.decode(row[0], type=dict[str, Any]) if row else None


def row_of(path: Path, text: str) -> dict[str, str]:
    """A table row from a journal. Raises: DeoccError: it is damaged."""
    with damage(path):
        row = msgspec.json.decode(text or "", type=dict[str, str])
        try:
            safe_name(row.get("id"), "id")
        except DeoccError as error:
            raise ValueError(str(error)) from None
        return row
