"""The output of a reader: photos, each with its annotated subjects (people, crowds, objects)."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, NamedTuple, Protocol

import numpy as np

from deocc.people.sources.regions import BoxF, Region

Role = Literal["person", "crowd", "object"]


class Problem(NamedTuple):
    """A photo or subject that cannot be used: its name, the kind of problem, the details."""

    name: str
    reason: str
    words: str


@dataclass(frozen=True)
class Subject:
    """A person, a crowd or an object in a photo.

    Attributes:
        name: unique in its dataset.
        region: the whole person, as annotated (of an unoccluded person, the visible region).
        role: "person"; "crowd" (several people under one annotation); "object" (anything else).
        category: the dataset's name for it.
        marks: the dataset's objections to a person, such as "occluded".
        parsing: makes the H x W uint8 LIP labels for a mask, or None.
        modal: the visible part, if the dataset marks the person as occluded.
        in_front: regions of the occluders, if known.
    """

    name: str
    region: Region
    role: Role = "person"
    category: str = "person"
    marks: tuple[str, ...] = ()
    parsing: Callable[[np.ndarray], np.ndarray] | None = None
    modal: Region | None = None
    in_front: tuple[Region, ...] = ()


@dataclass(frozen=True)
class Photo:
    """A photo and its subjects.

    Attributes:
        path: the file.
        split: the dataset's own, "train", "val" or "test"; "" if it has none.
        identity: name of the original photo across datasets ("coco:391895"). A split by hash thus keeps
            everybody in one photo together.
        licence: of this photo.
        size: height and width according to the annotation, or None.
        subjects: people, crowds, objects.
        true_sides: whether left and right labels of the parsing are correct.
        void: width in pixels of the unlabelled band between neighbours; people across it still touch.
        files: other files read for it, such as label files.
        problems: subjects that could not be read.
    """

    path: Path
    split: str
    identity: str
    licence: str = ""
    size: tuple[int, int] | None = None
    subjects: tuple[Subject, ...] = ()
    true_sides: bool = False
    void: int = 0
    problems: tuple[Problem, ...] = ()
    files: tuple[Path, ...] = ()


@dataclass(frozen=True)
class Entry:
    """A photo as stored in the index: JSON facts of the photo and of its subjects.

    Attributes:
        key: unique in its dataset.
        facts: of the photo; None if annotations refer to a photo that the dataset does not list.
        subjects: name -> facts.
        problems: found while indexing, such as duplicate ids.
    """

    key: str
    facts: dict[str, Any] | None
    subjects: dict[str, dict[str, Any]] = field(default_factory=dict)
    problems: tuple[Problem, ...] = ()


class Writer(Protocol):
    """An index on disk that a reader fills (see `deocc.people.sources.index`)."""

    def reads(self, path: Path) -> None:
        """Notes a file or folder before it is read; if it changes later, the index is made again."""

    def photo(self, key: str, **facts: Any) -> None:
        """Adds a photo; a second one with the same key becomes a problem."""

    def photo_again(self, key: str, **facts: Any) -> None:
        """Adds a photo unless it exists: for lists that repeat a photo for each person in it."""

    def subject(self, photo: str, name: str, **facts: Any) -> None:
        """Adds a subject, before or after its photo; a second one with the same name becomes a problem."""

    def problem(self, photo: str, problem: Problem) -> None:
        """Adds a problem."""


class Source(Protocol):
    """A reader of one dataset: a frozen dataclass with the paths of the dataset.

    Attributes:
        name: of the dataset; also the value of the column `source`.
        has_masks: False if a segmenter has to make them.
        curated: the dataset is already filtered by hand, so only damaged candidates are dropped.
    """

    @property
    def name(self) -> str: ...

    @property
    def has_masks(self) -> bool: ...

    @property
    def curated(self) -> bool: ...

    def fill(self, index: Writer) -> None:
        """Streams the dataset's lists and annotation files into the index.

        Raises:
            DeoccError: a list or an annotation file is missing or broken.
        """

    def photo(self, entry: Entry) -> Photo:
        """The photo of an entry; runs in a worker, may open small annotation files. Raises: Unusable."""


__all__ = ["BoxF", "Entry", "Photo", "Problem", "Role", "Source", "Subject", "Writer"]
