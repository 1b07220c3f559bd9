"""Lets several processes work on one prediction folder."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from deocc.errors import DeoccError
from deocc.io import read_json, remove_temporaries, require_writable, write_json
from deocc.io.locks import alone, is_held

WORK = ".predict"  # locks of the processes at work
PNG_BEGIN, PNG_END = b"\x89PNG\r\n\x1a\n", b"IEND\xaeB`\x82"


def is_whole_png(path: Path) -> bool:
    """Whether a file begins and ends like a PNG file; a truncated or empty file does not."""
    try:
        with path.open("rb") as file:
            begin = file.read(len(PNG_BEGIN))
            file.seek(-len(PNG_END), 2)
            return begin == PNG_BEGIN and file.read() == PNG_END
    except OSError:  # missing, or shorter than that
        return False


@contextmanager
def at_work(
    out: Path, shard: tuple[int, int], agree: Callable[[], None], settings: dict[str, Any] | None = None
) -> Iterator[None]:
    """Holds a part of a prediction folder while the block runs.

    Args:
        out: the prediction folder.
        shard: (i, n), counted from 1.
        agree: checks the folder's content and stores the settings; one process at a time runs it.
        settings: of this process, for `others_at_work` of others.

    Raises:
        DeoccError: another process works on this part, or on another division into parts.
    """
    work, (part, count) = require_writable(out) / WORK, shard
    busy = f"{out}: another process predicts into it"
    own = work / f"{part}of{count}.lock"
    try:
        with alone(own, busy):
            write_json(own.with_suffix(".json"), settings)
            for other in sorted(work.glob("*of*.lock")):
                if not other.name.endswith(f"of{count}.lock"):
                    with alone(other, f"{busy}, with other parts than n = {count}"):
                        other.unlink()
            with alone(work / "settings", busy, wait=True):
                agree()
            yield
            for path in (own.with_suffix(".json"), own):
                path.unlink(missing_ok=True)
    finally:
        _tidy(work)


def others_at_work(out: Path, shard: tuple[int, int], settings: dict[str, Any]) -> bool:
    """Whether another process, at another part, predicts into a folder with other settings."""
    for lock in (out / WORK).glob("*of*.lock"):
        if lock.name == f"{shard[0]}of{shard[1]}.lock" or not is_held(lock):
            continue
        with suppress(DeoccError):  # not yet written: it looks at this process's in its turn
            if read_json(lock.with_suffix(".json")) != settings:
                return True
    return False


def _tidy(work: Path) -> None:
    """Removes the folder of locks, unless a process still uses it."""
    if work.is_dir() and not list(work.glob("*of*.lock")):
        with suppress(OSError, DeoccError):
            for path in (work / "settings", *work.glob("*of*.json")):
                path.unlink(missing_ok=True)
            work.rmdir()


def sweep(out: Path, names: Sequence[str]) -> None:
    """Removes temporary folders of these cases, left behind by a process that was killed."""
    remove_temporaries(out, set(names).__contains__)
