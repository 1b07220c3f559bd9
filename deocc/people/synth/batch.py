"""Many renders at once: one process a core, a progress bar, a people folder on disk."""

from functools import partial
from hashlib import sha256
from pathlib import Path

from deocc.errors import DeoccError
from deocc.io import PathLike
from deocc.parallel import in_parallel
from deocc.people.folder import PeopleFolder, write_people_table, write_person
from deocc.people.synth.person import render_person

VAL_SHARE = 1 / 6


def split_of(name: str) -> str:
    """ "train" or "val" (one in six), by a hash of the name: a person never changes sides."""
    return "val" if int(sha256(name.encode()).hexdigest()[:8], 16) / 2**32 < VAL_SHARE else "train"


def _render_to(seed: int, out: Path, size: int, split: str | None) -> dict[str, str]:
    person = render_person(seed, size)
    row = write_person(out, person)
    return {**row, "split": split or split_of(person.id), "seed": str(seed)}


def render_people(
    count: int, seed: int, workers: int, out: PathLike, size: int = 256, split: str | None = None
) -> PeopleFolder:
    """Renders the people of seeds seed ... seed + count - 1 into a people folder.

    Args:
        count: how many; workers: processes; size: side of the pictures in pixels.
        out: the folder; made where it is missing.
        split: "train" or "val" for all, or None: one in six is "val", by a hash of the id.

    Raises:
        DeoccError: count, seed, size or split make no sense, or the folder cannot be written.
    """
    if count < 1 or seed < 0 or not 32 <= size <= 2048:
        raise DeoccError(
            f"count {count}, seed {seed}, size {size}: expected count >= 1, seed >= 0, size 32 to 2048"
        )
    if split not in (None, "train", "val"):
        raise DeoccError(f"split {split!r} is unknown; use 'train', 'val' or None")
    task = partial(_render_to, out=Path(out), size=size, split=split)
    write_people_table(out, in_parallel(task, range(seed, seed + count), workers, "rendering"))
    return PeopleFolder(out)
