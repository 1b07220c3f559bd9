"""Recipes: facts from which anyone who has the public originals rebuilds a people folder, without its pixels.

A recipe names, for each person, the original photo and annotation and the region that was cut out; and, for
checks, the photo's size, the person's box and the mask's share of the region. tools/make_recipe.py writes it.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np

from deocc.errors import DeoccError
from deocc.io import PathLike, read_image, read_json, require_writable, write_json
from deocc.masks import mask_box
from deocc.parallel import in_parallel
from deocc.paths import RECIPES
from deocc.people.folder import (
    Occluder,
    PeopleFolder,
    Person,
    write_occluder,
    write_occluder_table,
    write_people_table,
    write_person,
)
from deocc.people.sources.ccp import FIELD, ccp_parsing, class_names
from deocc.people.sources.files import read_json_items, require
from deocc.people.sources.regions import LabelPicture, Unusable, coco_region

FORMAT = "deocc recipe 1"
PERSON_FIELDS = (
    "id", "split", "photo", "annotation", "region_xywh", "box_xywh", "photo_size", "mask_share", "licence",
    "bag_share",
)  # fmt: skip
OCCLUDER_FIELDS = ("id", "split", "photo", "annotation", "category", "size", "licence")
SOURCES = ("coco", "pennfudan", "ccp")
SIGNS = {"coco": "annotations/instances_*.json", "pennfudan": "PedMasks", "ccp": "annotations/pixel-level"}
BOX_SLACK = (
    3  # pixels by which a mask's box may differ from the recipe's: polygons are filled in several ways
)
SHARE_SLACK = 0.06  # relative difference of the mask's area
SIZE_SLACK = 2  # pixels by which a cut-out may differ


class PersonLine(NamedTuple):
    """A person of a recipe; boxes and regions are x, y, width, height in pixels of the original photo."""

    id: str
    split: str
    photo: str
    annotation: str  # file, and behind # an id or label; "box": the COCO person with this box
    region_xywh: tuple[int, int, int, int]
    box_xywh: tuple[int, int, int, int]
    photo_size: tuple[int, int]  # width, height
    mask_share: float  # of the region
    licence: int  # index of the recipe's list
    bag_share: float | None  # of the mask, where the source says


class OccluderLine(NamedTuple):
    """A cut-out of a recipe."""

    id: str
    split: str
    photo: str
    annotation: str  # as PersonLine's; "box": the only thing of this category and size
    category: str
    size: tuple[int, int]  # width, height of the cut-out
    licence: int


@dataclass(frozen=True)
class Recipe:
    """A people folder as facts.

    Attributes:
        longer_side: of a person after scaling, at most, pixels; occluder_side: of a cut-out.
        quality: of the JPEG files.
        licences: words of the column `licence`.
        people, occluders: lines by source.
        lost: sources that cannot be rebuilt: why, and how many people of each split.
    """

    longer_side: int
    quality: int
    occluder_side: int
    licences: tuple[str, ...]
    people: dict[str, list[PersonLine]]
    occluders: dict[str, list[OccluderLine]]
    lost: dict[str, dict[str, Any]]


def find_recipe(name: PathLike) -> Path:
    """A recipe file, or the bundled one of that name. `read_recipe` says so where there is neither."""
    path, bundled = Path(name), RECIPES / f"{name}.json"
    if path.is_file() or not bundled.is_file():
        return path
    return bundled


def read_recipe(path: PathLike) -> Recipe:
    """Reads a recipe file. Raises: DeoccError where it is missing, of another format, or damaged."""
    raw = read_json(path)
    if not isinstance(raw, dict) or raw.get("format") != FORMAT:
        raise DeoccError(f"{path}: no recipe of format {FORMAT!r}; write it with tools/make_recipe.py")
    try:
        if tuple(raw["person_fields"]) != PERSON_FIELDS or tuple(raw["occluder_fields"]) != OCCLUDER_FIELDS:
            raise ValueError("other fields than expected")
        people = {name: [PersonLine(*row) for row in rows] for name, rows in raw["people"].items()}
        things = {name: [OccluderLine(*row) for row in rows] for name, rows in raw["occluders"].items()}
        if unknown := set(people) - set(SOURCES) | set(things) - {"coco"}:
            raise ValueError(f"unknown source {', '.join(sorted(unknown))}")
        numbers = raw["longer_side"], raw["quality"], raw["occluder_side"]
        return Recipe(*numbers, tuple(raw["licences"]), people, things, raw["lost"])
    except (KeyError, TypeError, ValueError) as error:
        raise DeoccError(f"{path}: damaged recipe ({error}); get it again") from None


# --- originals ------------------------------------------------------------------------------------


class _Task(NamedTuple):
    """A line with what its worker needs: the original's folder, and COCO's segmentation."""

    line: PersonLine | OccluderLine
    source: str
    root: Path
    segmentation: Any = None


def _root_of(source: str, root: Path) -> Path:
    """The folder that a source's own paths start in: `root`/`source`, or `root` itself, or deeper."""
    sign = SIGNS[source]
    place = root / source if (root / source).is_dir() else root
    try:
        found = require(place, f"{source}'s annotations", sign)
    except DeoccError as error:
        raise DeoccError(
            f"{error}; `deocc people fetch {source} --out {root}` gets it, --only leaves it out"
        ) from None
    return found.parents[sign.count("/")]


def _photo_id(photo: str) -> int:
    return int(Path(photo).stem)


def _segmentations(root: Path, lines: Sequence[PersonLine | OccluderLine]) -> dict[str, Any]:
    """COCO's segmentation for each line's id, where its annotation is found; streams the big files once."""
    found: dict[str, Any] = {}
    for part in ("val2017", "train2017"):
        here = [line for line in lines if line.photo.startswith(f"{part}/")]
        if not here:
            continue
        path, photos = (
            root / "annotations" / f"instances_{part}.json",
            {_photo_id(line.photo) for line in here},
        )
        names = {item["id"]: item["name"] for item in read_json_items(path, "categories.item")}
        there: dict[int, list[dict[str, Any]]] = {photo: [] for photo in photos}
        for item in read_json_items(path, "annotations.item"):
            if item["image_id"] in photos and not item.get("iscrowd"):
                there[item["image_id"]].append(item)
        found |= {line.id: _choose(line, there[_photo_id(line.photo)], names) for line in here}
    return found


def _choose(
    line: PersonLine | OccluderLine, there: list[dict[str, Any]], names: dict[int, str]
) -> Any | None:
    """The segmentation of the annotation with a line's id, or else of the only one that fits; or None."""
    number = line.annotation.rpartition("#")[2]
    category = "person" if isinstance(line, PersonLine) else line.category
    fits = [item for item in there if str(item["id"]) == number]
    if not fits:
        alike = [item for item in there if names.get(item["category_id"]) == category]
        fits = [item for item in alike if _fits(line, item["bbox"])]
    return fits[0]["segmentation"] if len(fits) == 1 else None


def _fits(line: PersonLine | OccluderLine, bbox: Sequence[float]) -> bool:
    """Whether a COCO box is a line's: nearly the same box, or, for a cut-out, nearly the same shape."""
    if isinstance(line, PersonLine):
        (x, y, w, h), (a, b, c, d) = line.box_xywh, bbox
        wide, high = min(x + w, a + c) - max(x, a), min(y + h, b + d) - max(y, b)
        shared = max(wide, 0) * max(high, 0)
        return shared > 0.7 * (w * h + c * d - shared)
    scale = max(line.size) / max(bbox[2:])
    return scale < 1.1 and all(abs(scale * v - s) < 4 for v, s in zip(bbox[2:], line.size, strict=True))


# --- rebuilding -----------------------------------------------------------------------------------


def _annotation(task: _Task, shape: tuple[int, int]) -> tuple[np.ndarray, np.ndarray | None]:
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
    """Compares a mask with what the recipe says of it. Raises: Unusable."""
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


def _photo(task: _Task) -> np.ndarray:
    path = task.root / task.line.photo
    if not path.is_file():
        raise Unusable("photo missing", f"{task.line.photo} is not there")
    try:
        return read_image(path)
    except DeoccError as error:
        raise Unusable("photo damaged", str(error)) from None


def _person(task: _Task, longer_side: int) -> Person:
    """Cuts a person out of their photo, as the recipe says. Raises: Unusable."""
    line, image = task.line, _photo(task)
    assert isinstance(line, PersonLine)
    if image.shape[1::-1] != tuple(line.photo_size):
        raise Unusable("another photo", f"{image.shape[1]} x {image.shape[0]}, not {tuple(line.photo_size)}")
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
    """Which sides of a region are the photo's own: 1 or 0."""
    (x, y, w, h), (width, height) = line.region_xywh, line.photo_size
    sides = {"left": x == 0, "top": y == 0, "right": x + w == width, "bottom": y + h == height}
    return {f"photo_{side}": str(int(there)) for side, there in sides.items()}


def _occluder(task: _Task, longer_side: int) -> Occluder:
    """Cuts a thing out of its photo. Raises: Unusable."""
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
    """A line's row of the table, or why it could not be rebuilt."""

    id: str
    row: dict[str, str] | None
    reason: str = ""
    words: str = ""


def _rebuild(task: _Task, recipe: Recipe, out: Path) -> Outcome:
    """One line: files into `out` and a row, or the reason why not."""
    licence = {"licence": recipe.licences[task.line.licence]}
    try:
        if isinstance(task.line, OccluderLine):
            return Outcome(task.line.id, write_occluder(out, _occluder(task, recipe.occluder_side)) | licence)
        row = write_person(out, _person(task, recipe.longer_side), recipe.quality)
        carried = "" if task.line.bag_share is None else str(task.line.bag_share)
        return Outcome(task.line.id, row | {"bag_share": carried} | _edges(task.line) | licence)
    except Unusable as problem:
        return Outcome(task.line.id, None, problem.reason, problem.words)


def _tasks(lines: dict[str, list[Any]], roots: dict[str, Path], found: dict[str, Any]) -> list[_Task]:
    return [
        _Task(line, source, roots[source], found.get(line.id))
        for source in lines if source in roots for line in lines[source]
    ]  # fmt: skip


def rebuild(
    recipe: Recipe, root: PathLike, out: PathLike, only: Iterable[str] = SOURCES, workers: int = 1
) -> dict[str, Any]:
    """Rebuilds a people folder from public originals.

    Photos and masks agree with the folder that the recipe was written from up to resampling and JPEG; what
    does not fit the recipe's facts is left out and counted.

    Args:
        recipe: as `read_recipe` gives it.
        root: holds the originals as `deocc people fetch` leaves them: coco/, pennfudan/, ccp/.
        out: the people folder to write.
        only: sources to rebuild.
        workers: processes.

    Returns:
        Counts of people and occluders in the recipe and rebuilt, what was left out by reason and by id, and
        the recipe's lost sources; the folder's recipe-report.json holds the same.

    Raises:
        DeoccError: originals that are not there, a folder that cannot be written, or nobody rebuilt.
    """
    root, out, wanted = Path(root), require_writable(out), tuple(only)
    if unknown := [name for name in wanted if name not in SOURCES]:
        raise DeoccError(f"source {unknown[0]!r} is unknown; a recipe has {', '.join(SOURCES)}")
    roots = {name: _root_of(name, root) for name in wanted if recipe.people.get(name)}
    coco = recipe.people.get("coco", []) + recipe.occluders.get("coco", [])  # type: ignore[operator]
    found = _segmentations(roots["coco"], coco) if "coco" in roots else {}
    work = partial(_rebuild, recipe=recipe, out=Path(out))
    people = list(in_parallel(work, _tasks(recipe.people, roots, found), workers, "people"))
    things = list(in_parallel(work, _tasks(recipe.occluders, roots, found), workers, "occluders"))
    rows = [outcome.row for outcome in people if outcome.row]
    if not rows:
        raise DeoccError(f"{root}: nobody could be rebuilt: {people[0].words if people else 'nothing to do'}")
    write_people_table(out, rows)
    if occluders := [outcome.row for outcome in things if outcome.row]:
        write_occluder_table(out, occluders)
    PeopleFolder(out)
    report = _report(recipe, people, things)
    write_json(Path(out) / "recipe-report.json", report)
    return report


def _counts(recipe_lines: dict[str, list[Any]], outcomes: list[Outcome]) -> dict[str, int]:
    rebuilt = sum(outcome.row is not None for outcome in outcomes)
    return {"in_recipe": sum(map(len, recipe_lines.values())), "rebuilt": rebuilt}


def _report(recipe: Recipe, people: list[Outcome], things: list[Outcome]) -> dict[str, Any]:
    missing = [outcome for outcome in people + things if outcome.row is None]
    return {
        "people": _counts(recipe.people, people),
        "occluders": _counts(recipe.occluders, things),
        "left_out": dict(Counter(outcome.reason for outcome in missing)),
        "left_out_ids": {outcome.id: outcome.words for outcome in missing},
        "lost": recipe.lost,
    }
