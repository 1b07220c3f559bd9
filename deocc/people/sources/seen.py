"""Fingerprints of a photo's inputs, to notice changes."""

import json
from dataclasses import asdict, dataclass
from hashlib import file_digest, sha256
from pathlib import Path
from typing import NamedTuple

from deocc.people.sources.candidates import Entry, Photo
from deocc.people.sources.regions import LabelPicture


class FileSign(NamedTuple):
    """Fingerprint of a file; if size and date are unchanged, it need not be read again."""

    size: int
    changed: int  # nanoseconds
    digest: str

    def holds(self, path: Path) -> bool:
        """Whether the file is unchanged."""
        try:
            facts = path.stat()
            if (facts.st_size, facts.st_mtime_ns) == (self.size, self.changed):
                return True
            return facts.st_size == self.size and _digest(path) == self.digest
        except OSError:
            return False


@dataclass(frozen=True)
class Seen:
    """Fingerprint of everything that a photo's result depends on.

    Attributes:
        place: the photo's file.
        entry: digest of its entry in lists and annotations.
        files: label files and, if it was opened, the photo.
        annotations: path of the annotation file that lists it; "" if unknown.
    """

    place: str
    entry: str
    files: tuple[FileSign, ...]
    annotations: str = ""

    def to_json(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> "Seen":
        """Raises: ValueError, TypeError, KeyError: damaged."""
        raw = json.loads(text)
        files = tuple(FileSign(*file) for file in raw["files"])
        return cls(raw["place"], raw["entry"], files, raw.get("annotations", ""))


def annotations_of(entry: Entry) -> str:
    """The path of the annotation file that lists a photo; "" if its reader does not say it."""
    return str((entry.facts or {}).get("annotations", ""))


def entry_digest(entry: Entry) -> str:
    """A digest of a photo's entry in lists and annotations; independent of the dataset's path."""
    facts = {key: value for key, value in (entry.facts or {}).items() if not _is_folder(value)}
    words = json.dumps([facts, entry.subjects, entry.problems], sort_keys=True)
    return sha256(words.encode()).hexdigest()


def _is_folder(value: object) -> bool:
    return isinstance(value, str) and Path(value).is_absolute()


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return file_digest(file, "sha256").hexdigest()


def _sign(path: Path) -> FileSign:
    facts = path.stat()
    return FileSign(facts.st_size, facts.st_mtime_ns, _digest(path))


def files_of(photo: Photo, opened: bool) -> list[Path]:
    """The files that a result depends on. Args: opened: whether the photo itself is one of them."""
    labels = {s.region.path for s in photo.subjects if isinstance(s.region, LabelPicture)}
    return [*sorted(labels | set(photo.files)), *([photo.path] if opened else [])]


def sign(photo: Photo, entry: Entry, opened: bool) -> Seen | None:
    """The fingerprint of a photo's present inputs; None (the next run tries again) if one is unreadable."""
    try:
        files = tuple(_sign(path) for path in files_of(photo, opened))
    except OSError:
        return None
    return Seen(str(photo.path.absolute()), entry_digest(entry), files, annotations_of(entry))


def holds(seen: Seen, photo: Photo, entry: Entry) -> bool:
    """Whether a photo's inputs are unchanged, wherever the dataset lies."""
    if seen.entry != entry_digest(entry):
        return False
    for opened in (True, False):
        paths = files_of(photo, opened)
        if len(paths) == len(seen.files):
            return all(file.holds(path) for file, path in zip(seen.files, paths, strict=True))
    return False
