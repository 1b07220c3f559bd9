"""Resumes a people folder of an earlier run."""

import logging
from collections.abc import Callable, Iterator
from pathlib import Path

from deocc.errors import DeoccError
from deocc.people.sources.candidates import Entry, Photo, Source
from deocc.people.sources.index import Index
from deocc.people.sources.journal import Journal
from deocc.people.sources.options import in_shard
from deocc.people.sources.problems import Unusable
from deocc.people.sources.seen import Seen, holds

LOG = logging.getLogger("deocc")
MEND = "give --export WORD, which becomes part of the ids, or another --out"


def _photo(source: Source, entry: Entry) -> Photo | None:
    try:
        return source.photo(entry)
    except Unusable:
        return None


def _is_another(seen: Seen, photo: Photo) -> bool:
    """Whether a photo is not the file that was seen, which is still there."""
    return str(photo.path.absolute()) != seen.place and Path(seen.place).exists()


def still_holds(source: Source, journal: Journal, entry: Entry) -> bool:
    """Whether a photo is done, in any shard, its files are there, and all files read for it are unchanged."""
    seen = journal.seen(entry.key)
    photo = _photo(source, entry) if seen else None
    done = seen is not None and photo is not None and holds(seen, photo, entry)
    return done and all(path.is_file() for path in journal.files_of(entry.key))


def refuse_strangers(
    source: Source, journal: Journal, index: Index, keys: Iterator[str], name_of: Callable[[str], str]
) -> None:
    """Refuses, before anything is written, a second export with the same names in one folder.

    Args:
        source, journal, index: of the run.
        keys: of its photos.
        name_of: a subject's name -> id.

    Raises:
        DeoccError: a different photo with the same key is done already, or an id belongs to a person in
            another photo.
    """
    if journal.empty():
        return
    for key in keys:
        entry = index.entry(key)
        if (seen := journal.seen(key)) is not None:
            photo = _photo(source, entry)
            if photo is not None and _is_another(seen, photo) and not holds(seen, photo, entry):
                other = f"{journal.out} has another photo of this name, {seen.place}"
                raise DeoccError(f"{photo.path}: {other}; {MEND}")
            continue
        for name in map(name_of, entry.subjects):
            if (taken := journal.photo_of(name)) not in (None, key):
                raise DeoccError(f"{journal.out}: id {name} is taken, by photo {taken}, not {key}; {MEND}")


def forget_empty(source: Source, journal: Journal, index: Index, shard: tuple[int, int]) -> None:
    """Removes the old results of photos that are still listed, but have no person any more."""
    mine = (key for key in journal.keys() if in_shard(key, shard))
    entries = [entry for entry in map(index.empty, mine) if entry is not None]
    for entry in entries:
        seen, photo = journal.seen(entry.key), _photo(source, entry)
        if photo is not None and (seen is None or not _is_another(seen, photo)):
            LOG.info("%s: nobody is annotated in it any more; its people are removed", entry.key)
            journal.forget(entry.key)


def to_do(source: Source, journal: Journal, index: Index, keys: Iterator[str],
          skipped: Callable[[], object]) -> Iterator[Entry]:  # fmt: skip
    """The photos that are new or have changed; removes the old results of the changed ones."""
    for key in keys:
        entry = index.entry(key)
        if still_holds(source, journal, entry):
            skipped()
            continue
        journal.forget(key)
        yield entry
