"""The options of building a people folder."""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from hashlib import sha256
from typing import Literal

import numpy as np

from deocc.errors import DeoccError
from deocc.people.filtering import Thresholds
from deocc.people.sources.candidates import Source

CaseWriter = Callable[[str, np.ndarray, np.ndarray, np.ndarray, np.ndarray], None]


"""Takes an occluded person: id, image (H x W x 3 uint8), modal, amodal, occluder mask (H x W bool)."""


@dataclass(frozen=True)
class BuildOptions:
    """The options that, with the dataset, determine the output; workers and shards do not."""

    thresholds: Thresholds = Thresholds()
    keep: Literal["preserve", "refine", "all"] = "preserve"  # refine: and those; all: whatever can be read
    split: Literal["source", "hash", "train", "val"] = (
        "source"  # hash: by photo, alike for all of COCO's children
    )
    person_side: int = 384  # pixels of a person's longer side; larger ones are scaled down
    context: tuple[float, float] = (2.2, 3.0)  # side of the region over the person's longer side
    shift: float = 0.2  # of its centre, as a share of the person's longer side: the frame tells nothing
    segmenter: str = "auto"  # for datasets of boxes
    occluder_share: float = 0.25  # of the photos with things: one thing of each becomes an occluder
    occluder_side: int = 256  # pixels of its longer side, at most
    write_case: CaseWriter | None = None  # takes people whom the dataset knows to be occluded
    cases: str = ""  # where write_case puts them: a photo is done only if its cases are there, too
    seed: int = 0
    export: str = ""  # goes into the ids: two exports with the same names fit into one folder


def label_of(source: Source, options: BuildOptions) -> str:
    """The prefix of a dataset's ids, also the name of its journals."""
    return f"{source.name}.{options.export}" if options.export else source.name


def refuse_filter(name: str, limits: Iterable[str], keep: str) -> None:
    """Refuses options of the filter for a dataset that its makers filtered. Raises: DeoccError."""
    given = [f"--{limit.replace('_', '-')}" for limit in limits] + (["--keep"] if keep != "preserve" else [])
    if given:
        words = "its makers filtered it, so nobody is filtered again; leave the option out"
        raise DeoccError(f"{', '.join(given)}: {name} has no use for it: {words}")


def in_shard(key: str, shard: tuple[int, int]) -> bool:
    """Whether a photo belongs to shard i of n (counted from 1), by a hash of its key."""
    return int(sha256(key.encode()).hexdigest()[:12], 16) % shard[1] == shard[0] - 1


def parse_shard(text: str) -> tuple[int, int]:
    """ "2/8" -> (2, 8). Raises: DeoccError."""
    match = re.fullmatch(r"(\d+)/(\d+)", text.strip())
    shard = (int(match[1]), int(match[2])) if match else (0, 0)
    if not 1 <= shard[0] <= shard[1]:
        raise DeoccError(f"shard {text!r}: i/n with 1 <= i <= n was expected, such as 1/4")
    return shard
