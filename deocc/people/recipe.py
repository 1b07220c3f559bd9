"""Rebuilds a people folder from public originals, by a recipe.

A recipe holds no pixels. For each person it names the original photo, the annotation and the region that was
cut out. For checks, it has the photo's size, the person's box and the mask's share of the region.
tools/make_recipe.py writes recipes.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import msgspec
import numpy as np

from deocc.errors import DeoccError
from deocc.io import PathLike, read_json, require_writable, write_json
from deocc.io.begun import begun
from deocc.io.locks import alone
from deocc.masks import mask_box
from deocc.parallel import in_parallel
from deocc.people.folder import (
    Occluder,
    PeopleFolder,
    Person,
    write_occluder,
    write_occluder_table,
    write_people_table,
    write_person,
)
from deocc.people.recipe_file import (
    FORMAT,
    OCCLUDER_FIELDS,
    PERSON_FIELDS,
    SOURCES,
    OccluderLine,
    PersonLine,
    Recipe,
    find_recipe,
    read_recipe,
)
from deocc.people.recipe_originals import Task, root_of, segmentations
from deocc.people.sources.ccp import FIELD, ccp_parsing, class_names
from deocc.people.sources.pixels import read_as_annotated
from deocc.people.sources.problems import Unusable
from deocc.people.sources.regions import LabelPicture, coco_region

BOX_SLACK = (
    3  # pixels by which a mask's box may differ from the recipe's: polygons are filled in several ways
)
SHARE_SLACK = 0.06  # relative difference of the mask's area
SIZE_SLACK = 2  # pixels by which a cut-out may differ


def _annotation(task: Task, shape: tuple[int, int]) -> tuple[np.ndarray, np.ndarray | None]:
    """Mask (H x W bool) and LIP labels, or None, of the whole photo. Raises: Unusable."""
    path, _, label = task.line.annotation.partition("#")
    if task.source == "coco":
        if task.segmentation is None:
            raise Unusable("annotation missing", f"COCO has none for {task.line.id}")
        return coco_region(task.segmentation).mask(shape), None
    if task.source == "pennfudan":
        return LabelPicture(task.root / path, (int(label),)).mask(shape), None
    mask = LabelPicture(task.root / path, field=FIELD).mask(shape)
    return mask, ccp_parsing(mask, task.root / path, class_names(task.root / "label_list.mat"))


def _scaled(length: float, scale: float) -> int:
    return max(1, round(length * scale))


def _check_person(line: PersonLine, mask: np.ndarray) -> None:
    """Compares a mask with the recipe's facts. Raises: Unusable: they differ."""
    x0, y0, x1, y1 = mask_box(mask)
    box = x0, y0, x1 - x0, y1 - y0
    if max(abs(a - b) for a, b in zip(box, line.box_xywh, strict=True)) > BOX_SLACK:
        raise Unusable("another mask", f"its box is {box}, the recipe has {tuple(line.box_xywh)}")
    x, y, w, h = line.region_xywh
    share = mask[y : y + h, x : x + w].mean()
    if abs(share - line.mask_share) > SHARE_SLACK * line.mask_share:
        raise Unusable(
            "another mask", f"it fills {share:.4f} of the region, the recipe has {line.mask_share}"
        )


def _photo(task: Task) -> np.ndarray:
    path = task.root / task.line.photo
    if not path.is_file():
        raise Unusable("photo missing", f"{task.line.photo} is not there")
    try:
        return read_as_annotated(path, _size(task))
    except Unusable as error:
        raise Unusable("another photo", error.words) if error.reason == "sizes differ" else error from None


def _size(task: Task) -> tuple[int, int] | None:
    """Height and width of the photo, if the recipe has them."""
    return task.line.photo_size[::-1] if isinstance(task.line, PersonLine) else None


def _person(task: Task, longer_side: int) -> Person:
    """Cuts a person out of their photo. Raises: Unusable."""
    line, image = task.line, _photo(task)
    assert isinstance(line, PersonLine)
    mask, labels = _annotation(task, image.shape[:2])
    _check_person(line, mask)
    x, y, w, h = line.region_xywh
    scale = min(1.0, longer_side / max(line.box_xywh[2:]))
    size, window = (_scaled(w, scale), _scaled(h, scale)), np.s_[y : y + h, x : x + w]
    image = cv2.resize(image[window], size, interpolation=cv2.INTER_AREA)
    if labels is not None:
        labels = cv2.resize(labels[window], size, interpolation=cv2.INTER_NEAREST)
        return Person(line.id, image, labels > 0, labels, line.split, task.source)
    soft = cv2.resize(mask[window].astype(np.float32), size, interpolation=cv2.INTER_AREA)
    return Person(line.id, image, soft >= 0.5, None, line.split, task.source)


def _edges(line: PersonLine) -> dict[str, str]:
    """Which sides of a region are also the photo's border: 1 or 0."""
    (x, y, w, h), (width, height) = line.region_xywh, line.photo_size
    sides = {"left": x == 0, "top": y == 0, "right": x + w == width, "bottom": y + h == height}
    return {f"photo_{side}": str(int(there)) for side, there in sides.items()}


def _occluder(task: Task, longer_side: int) -> Occluder:
    """Cuts an object out of its photo. Raises: Unusable."""
    line, image = task.line, _photo(task)
    assert isinstance(line, OccluderLine)
    mask, _ = _annotation(task, image.shape[:2])
    x0, y0, x1, y1 = mask_box(mask)
    scale = min(1.0, longer_side / max(x1 - x0, y1 - y0))
    size = _scaled(x1 - x0, scale), _scaled(y1 - y0, scale)
    if max(abs(a - b) for a, b in zip(size, line.size, strict=True)) > SIZE_SLACK:
        raise Unusable("another mask", f"the cut-out is {size}, the recipe has {tuple(line.size)}")
    window = np.s_[y0:y1, x0:x1]
    share = cv2.resize(mask[window].astype(np.float32), size, interpolation=cv2.INTER_AREA)
    alpha = np.rint(share * 255).astype(np.uint8)
    colours = cv2.resize(image[window], size, interpolation=cv2.INTER_AREA) * (alpha > 0)[..., None]
    return Occluder(line.id, colours, alpha >= 128, line.category, line.split, "", alpha)


class Outcome(NamedTuple):
    """The result of a line: empty, or the reason why it could not be rebuilt."""

    id: str
    why: str = ""  # "reason: words"


def _files(task: Task, out: Path) -> list[Path]:
    """The files of a line."""
    if isinstance(task.line, OccluderLine):
        return [out / "occluders" / f"{task.line.id}.png"]
    parsing = [out / "parsing" / f"{task.line.id}.png"] if task.source == "ccp" else []
    return [out / "images" / f"{task.line.id}.jpg", out / "masks" / f"{task.line.id}.png", *parsing]


def _is_done(task: Task, out: Path) -> bool:
    """Whether an earlier run has made it from the present originals."""
    listed = f"annotations/instances_{task.line.photo.partition('/')[0]}.json"
    annotation = listed if task.source == "coco" else task.line.annotation.partition("#")[0]
    originals = [task.root / task.line.photo, task.root / annotation]
    try:
        newest = max(path.stat().st_mtime for path in originals)
        return min(path.stat().st_mtime for path in _files(task, out)) >= newest
    except OSError:  # something is missing
        return False


def _row(task: Task, recipe: Recipe) -> dict[str, str]:
    """A line's row of ``people.csv`` or ``occluders.csv``."""
    line, licence = task.line, recipe.licences[task.line.licence]
    if isinstance(line, OccluderLine):
        return {"id": line.id, "split": line.split, "category": line.category, "licence": licence}
    carried = "" if line.bag_share is None else str(line.bag_share)
    return {
        "id": line.id, "split": line.split, "source": task.source,
        "has_parsing": str(int(task.source == "ccp")), "true_sides": "0", "licence": licence,
        "bag_share": carried, **_edges(line),
    }  # fmt: skip


def _rebuild(task: Task, recipe: Recipe, out: Path) -> Outcome:
    """Writes the files of one line into `out`, or removes old ones and returns the reason."""
    try:
        if isinstance(task.line, OccluderLine):
            write_occluder(out, _occluder(task, recipe.occluder_side))
        else:
            write_person(out, _person(task, recipe.longer_side), recipe.quality)
        return Outcome(task.line.id)
    except Unusable as problem:
        for path in _files(task, out):
            path.unlink(missing_ok=True)
        return Outcome(task.line.id, f"{problem.reason}: {problem.words}")


def _tasks(lines: dict[str, list[Any]], roots: dict[str, Path]) -> list[Task]:
    return [
        Task(line, source, roots[source]) for source in lines if source in roots for line in lines[source]
    ]


def _to_do(tasks: list[Task], out: Path, shard: tuple[int, int]) -> list[Task]:
    """The lines of a shard that are still to be made, with COCO's segmentations."""
    todo = [task for task in tasks[shard[0] - 1 :: shard[1]] if not _is_done(task, out)]
    coco = [task for task in todo if task.source == "coco"]
    found = segmentations(coco[0].root, [task.line for task in coco]) if coco else {}
    return [task._replace(segmentation=found.get(task.line.id)) for task in todo]


def rebuild(
    recipe: Recipe,
    root: PathLike,
    out: PathLike,
    only: Iterable[str] = SOURCES,
    workers: int = 1,
    shard: tuple[int, int] = (1, 1),
) -> dict[str, Any]:
    """Rebuilds a people folder from public originals; an interrupted run resumes.

    Photos and masks equal those of the original folder up to resampling and JPEG. Lines that do not fit the
    recipe's facts are left out and counted. A second run retries these lines, and lines whose originals have
    changed.

    Args:
        recipe: of `read_recipe`.
        root: holds the originals as `deocc people fetch` stores them: coco/, pennfudan/, ccp/.
        out: the people folder to write; empty, or made by the same recipe.
        only: sources to rebuild.
        workers: number of processes.
        shard: (i, n), counted from 1: every n-th line; all parts together equal one run.

    Returns:
        Counts of people and occluders in the recipe and rebuilt, those left out by reason and by id, and the
        recipe's lost sources; the folder's recipe-report.json holds the same.
    """
    root, out, wanted = Path(root), require_writable(out), tuple(only)
    if unknown := [name for name in wanted if name not in SOURCES]:
        raise DeoccError(f"source {unknown[0]!r} is unknown; a recipe has {', '.join(SOURCES)}")
    roots = {name: root_of(name, root) for name in wanted if recipe.people.get(name)}
    people, things = (_tasks(lines, roots) for lines in (recipe.people, recipe.occluders))
    options = {"recipe": _digest(recipe), "only": sorted(wanted)}
    with begun(out, "recipe", options, shard, again=_agrees(out, options)) as made:
        work = partial(_rebuild, recipe=recipe, out=out)
        for label, tasks in (("people", people), ("occluders", things)):
            todo = _to_do(tasks, out, shard)
            for outcome in in_parallel(work, todo, workers, label, made.mark_worker):
                made.left_out |= {outcome.id: outcome.why} if outcome.why else {}
        if shard[1] == 1 and set(made.left_out) >= {task.line.id for task in people}:
            why = made.left_out[people[0].line.id].partition(": ")[2] if people else "nothing to do"
            raise DeoccError(f"{root}: nobody could be rebuilt: {why}")
        with alone(made.lock.with_name("tables.lock"), "", wait=True):  # shards that finish together
            report = _write_tables(recipe, out, people, things, made.left_out_by_all()) | options
            write_json(out / "recipe-report.json", report)
    return report


def _digest(recipe: Recipe) -> str:
    return sha256(msgspec.json.encode(asdict(recipe))).hexdigest()[:16]


def _agrees(out: Path, options: dict[str, Any]) -> bool:
    """Whether a folder is complete and made by the same recipe, perhaps from fewer sources."""
    try:
        before = read_json(out / "recipe-report.json")
        return before["recipe"] == options["recipe"] and set(before["only"]) <= set(options["only"])
    except (DeoccError, KeyError, TypeError):
        return False


def _write_tables(
    recipe: Recipe, out: Path, people: list[Task], things: list[Task], left_out: dict[str, str]
) -> dict[str, Any]:
    """Writes the tables of everything rebuilt so far; returns the report."""
    rows, cut_outs = (
        [_row(task, recipe) for task in tasks if all(path.is_file() for path in _files(task, out))]
        for tasks in (people, things)
    )
    if rows:
        write_people_table(out, rows)
        PeopleFolder(out)
    if cut_outs:
        write_occluder_table(out, cut_outs)
    return {
        "people": {"in_recipe": sum(map(len, recipe.people.values())), "rebuilt": len(rows)},
        "occluders": {"in_recipe": sum(map(len, recipe.occluders.values())), "rebuilt": len(cut_outs)},
        "left_out": dict(Counter(why.partition(": ")[0] for why in left_out.values())),
        "left_out_ids": {name: why.partition(": ")[2] for name, why in left_out.items()},
        "lost": recipe.lost,
    }


__all__ = [
    "FORMAT", "OCCLUDER_FIELDS", "PERSON_FIELDS", "SOURCES", "OccluderLine", "PersonLine", "Recipe",
    "find_recipe", "read_recipe", "rebuild",
]  # fmt: skip
