"""Renders many people in parallel into a people folder."""

from functools import partial
from hashlib import sha256
from pathlib import Path

from deocc.errors import DeoccError
from deocc.io import PathLike
from deocc.io.begun import begun
from deocc.parallel import in_parallel
from deocc.people.folder import PeopleFolder, write_people_table, write_person
from deocc.people.synth.person import LICENCE, render_person

VAL_SHARE = 1 / 6
MOST = 10_000_000  # people at once


def split_of(name: str) -> str:
    """ "train" or "val" (one in six), by a hash of the name, so that a person's split never changes."""
    return "val" if int(sha256(name.encode()).hexdigest()[:8], 16) / 2**32 < VAL_SHARE else "train"


def _render_to(seed: int, out: Path, size: int, split: str | None) -> dict[str, str]:
    name = f"rendered_{seed:06d}"
    row = rendered_row(seed, split or split_of(name))
    paths = (out / place.format(name) for place in ("images/{}.jpg", "masks/{}.png", "parsing/{}.png"))
    if not all(path.is_file() for path in paths):  # files are whole: an earlier run may have got so far
        write_person(out, render_person(seed, size))
    return row


def rendered_row(seed: int, split: str) -> dict[str, str]:
    """The row of ``people.csv`` of a rendered person, made without rendering."""
    return {
        "id": f"rendered_{seed:06d}", "split": split, "source": "rendered", "has_parsing": "1",
        "true_sides": "1", "licence": LICENCE, "seed": str(seed),
    }  # fmt: skip


def render_people(
    count: int, seed: int, workers: int, out: PathLike, size: int = 256, split: str | None = None
) -> PeopleFolder:
    """Renders the people of seeds seed ... seed + count - 1 into a people folder; an interrupted run resumes.

    Args:
        count: how many; workers: processes; size: side of the pictures in pixels.
        out: the folder; missing, empty, or from an unfinished run of the same call.
        split: "train" or "val" for all, or None: one in six is "val", by a hash of the id.

    Raises:
        DeoccError: count, seed, size or split is out of range, or the folder cannot be written.
    """
    if not (1 <= count <= MOST and 0 <= seed < 2**63 - count and 32 <= size <= 2048):
        raise DeoccError(
            f"count {count}, seed {seed}, size {size}: expected count >= 1 (to {MOST}), seed >= 0 (to "
            "2**63 - 1 - count), size 32 to 2048"
        )
    if split not in (None, "train", "val"):
        raise DeoccError(f"split {split!r} is unknown; use 'train', 'val' or None")
    task = partial(_render_to, out=Path(out), size=size, split=split)
    options = {"count": count, "seed": seed, "size": size, "split": split}
    with begun(out, "render", options) as made:
        rows = in_parallel(task, range(seed, seed + count), workers, "rendering", made.mark_worker)
        write_people_table(out, rows)
    return PeopleFolder(out)
