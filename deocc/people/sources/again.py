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
from deocc.people.sources.seen import Seen, annotations_of, files_of, holds

LOG = logging.getLogger("deocc")
MEND = "give --export WORD, which becomes part of the ids, or another --out"
MISSING = ("photo missing", "annotation missing")


def _photo(source: Source, entry: Entry) -> Photo | None:
    try:
        return source.photo(entry)
    except Unusable:
        return None


def _is_another(seen: Seen, photo: Photo) -> bool:
    """Whether a photo is not the file that was seen, which is still there."""
    return str(photo.path.absolute()) != seen.place and Path(seen.place).exists()


def _is_missing(source: Source, entry: Entry) -> bool:
    """Whether a file of a photo is not there, such as on a drive that is not mounted."""
    try:
        photo = source.photo(entry)
    except Unusable as error:
        return error.reason in MISSING
    return not all(path.is_file() for path in files_of(photo, opened=True))


def _is_emptied(source: Source, journal: Journal, entry: Entry) -> bool:
    """Whether the annotation file that gave a photo its people still lists it, now without anybody.

    Another file, which annotates less, does not empty it.
    """
    seen, photo = journal.seen(entry.key), _photo(source, entry)
    if seen is None or photo is None or _is_another(seen, photo):
        return False
    return bool(seen.annotations) and seen.annotations == annotations_of(entry)


def _lets_go(source: Source, journal: Journal, index: Index, key: str) -> bool:
    """Whether this run takes a photo's ids away that its annotations do not name any more."""
    if (entry := index.empty(key)) is not None:
        return _is_emptied(source, journal, entry)
    entry = index.entry(key)
    return entry.facts is not None and not _is_missing(source, entry)


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
            another photo and stays there.
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
            taken = journal.photo_of(name)
            if taken not in (None, key) and not _lets_go(source, journal, index, taken):
                raise DeoccError(f"{journal.out}: id {name} is taken, by photo {taken}, not {key}; {MEND}")


def forget_empty(source: Source, journal: Journal, index: Index, shard: tuple[int, int]) -> None:
    """Removes the old results of photos that are still listed, but have no person any more; says how many."""
    mine = (key for key in journal.keys() if in_shard(key, shard))
    entries = [entry for entry in map(index.empty, mine) if entry is not None]
    emptied = [entry.key for entry in entries if _is_emptied(source, journal, entry)]
    if removed := [people for key in emptied if (people := journal.forget(key))]:
        LOG.warning("removed %d people of %d photos whose annotations are gone", sum(removed), len(removed))


def to_do(source: Source, journal: Journal, index: Index, keys: Callable[[], Iterator[str]],
          skipped: Callable[[], object]) -> Iterator[Entry]:  # fmt: skip
    """The photos that are new or have changed; removes the old results of the changed ones.

    All old results go before the first new one comes, so that nothing new is removed where an id has moved
    from one photo to another. Results of photos that are not there now stay.
    """
    missing = 0
    for entry in map(index.entry, filter(journal.knows, keys())):
        if still_holds(source, journal, entry):
            continue
        if journal.seen(entry.key) is not None and _is_missing(source, entry):
            missing += 1
        else:
            journal.forget(entry.key)
    if missing:
        words = "%d photos of an earlier run, or their labels, are missing now; what was made of them stays"
        LOG.warning(words, missing)
    for key in keys():
        if journal.knows(key):
            skipped()
        else:
            yield index.entry(key)
