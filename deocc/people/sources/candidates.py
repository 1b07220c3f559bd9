"""What a reader gives: photos, and in each the people (and things) that a dataset knows of."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, NamedTuple, Protocol

import numpy as np

from deocc.people.sources.regions import BoxF, Region

Role = Literal["person", "crowd", "object"]


class Problem(NamedTuple):
    """Something that cannot be used: what it is called, the kind of problem, and what exactly is wrong."""

    name: str
    reason: str
    words: str


@dataclass(frozen=True)
class Subject:
    """Somebody or something in a photo.

    Attributes:
        name: unique in its dataset.
        region: the whole person, as far as the dataset knows; a person nobody occludes is wholly visible.
        role: "person"; "crowd" (people that are not told apart); "object" (anything else).
        category: the dataset's word.
        marks: what the dataset says against a person, such as "occluded".
        parsing: makes the H x W uint8 LIP labels for a mask, or None.
        modal: the visible part, where the dataset says that the person is occluded.
        in_front: regions of what occludes them, where that is known.
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
        split: the dataset's own, "train" or "val"; "" where it has none.
        identity: names the original photo across datasets ("coco:391895"), so that a split by hash keeps
            everybody in one photo on one side.
        licence: of this photo.
        size: height and width that the annotation names, or None.
        subjects: people, crowds, objects.
        true_sides: whether left and right labels of the parsing are the person's own.
        void: width in pixels of the band without label between neighbours; contact reaches across it.
        problems: what could not be read.
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


@dataclass(frozen=True)
class Entry:
    """A photo as the index holds it: plain facts, and those of its subjects.

    Attributes:
        key: unique in its dataset.
        facts: of the photo; None where the annotations name a photo that the dataset does not list.
        subjects: name -> facts.
        problems: found while indexing, such as duplicate ids.
    """

    key: str
    facts: dict[str, Any] | None
    subjects: dict[str, dict[str, Any]] = field(default_factory=dict)
    problems: tuple[Problem, ...] = ()


class Writer(Protocol):
    """Where a reader puts what it finds; lives on disk (see `deocc.people.sources.index`)."""

    def photo(self, key: str, **facts: Any) -> None:
        """Adds a photo; a second one of the same key becomes a problem."""

    def subject(self, photo: str, name: str, **facts: Any) -> None:
        """Adds a subject of a photo, before or after it; a second one of that name becomes a problem."""

    def problem(self, photo: str, problem: Problem) -> None:
        """Adds a problem."""


class Source(Protocol):
    """A reader of one dataset: a frozen dataclass that names the places where the dataset lies.

    Attributes:
        name: of the dataset, and of the column `source`.
        has_masks: False where a segmenter has to make them.
        curated: the makers have filtered it themselves, so that only damaged candidates are dropped.
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
        """Reads an entry back; runs in a worker, may open small annotation files. Raises: Unusable."""


__all__ = ["BoxF", "Entry", "Photo", "Problem", "Role", "Source", "Subject", "Writer"]
