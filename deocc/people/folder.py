"""The people folder: unoccluded people, their whole masks, cut-out occluders.

Layout: ``people.csv`` (id, split, source, has_parsing, licence, ...), ``images/<id>.jpg|png``,
``masks/<id>.png`` (0/255, the whole person), ``parsing/<id>.png`` (LIP ids, 255 = ignore; optional),
``occluders/<id>.png`` (RGBA) with ``occluders/occluders.csv`` (id, split, category, licence; optional).
"""

import csv
import io
import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from deocc.errors import DeoccError
from deocc.io import (
    PathLike,
    inside,
    read_image,
    read_mask,
    read_parsing,
    read_rgba,
    refuse_unclear_turn,
    write_atomic,
    write_image,
    write_mask,
    write_parsing,
)
from deocc.io.begun import require_whole
from deocc.io.pictures import has_alpha
from deocc.masks import mask_box
from deocc.paths import PEOPLE_MINI
from deocc.people.texts import read_csv
from deocc.people.values import as_flag, as_key

PEOPLE_COLUMNS = ("id", "split", "source", "has_parsing")
OCCLUDER_COLUMNS = ("id", "split", "category")
CLEAR = 16  # opacity up to which a pixel of a cut-out shows nothing of the thing
MOST_MARGIN = 0.1  # of a side of a cut-out: wider margins are cropped; narrower ones stay, as in protocol 1
SOURCES_WITH_TRUE_SIDES = frozenset({"rendered", "lip"})
_log = logging.getLogger("deocc")


@dataclass(frozen=True)
class Person:
    """One unoccluded person in a photo.

    Attributes:
        id: name, unique in its folder.
        image: H x W x 3 uint8 RGB.
        amodal_mask: H x W bool, the whole person.
        parsing: H x W uint8 LIP ids with 255 = ignore, or None if the source has no parsing.
        split: "train", "val" or "".
        source: such as "coco" or "rendered".
        true_sides: whether left and right labels are correct (else the metrics merge them).
        licence: as the source states it.
    """

    id: str
    image: np.ndarray
    amodal_mask: np.ndarray
    parsing: np.ndarray | None = None
    split: str = ""
    source: str = ""
    true_sides: bool = False
    licence: str = ""


@dataclass(frozen=True)
class Occluder:
    """A cut-out object to paste in front of a person.

    Attributes:
        id: name, unique in its folder.
        image: H x W x 3 uint8 RGB.
        mask: H x W bool, True on the object.
        category, split, licence: as the source states them.
        alpha: H x W uint8 opacity with soft borders, or None for a hard mask.
    """

    id: str
    image: np.ndarray
    mask: np.ndarray
    category: str = ""
    split: str = ""
    licence: str = ""
    alpha: np.ndarray | None = None


def read_rows(path: Path, columns: Sequence[str]) -> list[dict[str, str]]:
    """Rows of a CSV file; its columns must include `columns`, its ids must be unique and name files.

    Files saved by a spreadsheet are fine: any separator, a byte-order mark, blank rows.

    Raises:
        DeoccError: the file or a column is missing, a row is too short, or an id occurs twice or leads out
            of the folder.
    """
    if not path.is_file():
        raise DeoccError(f"{path}: no such file; see docs/data-formats.md for what a people folder holds")
    rows = list(read_csv(path, columns))
    seen: set[str] = set()
    for row in rows:
        row["id"] = inside(path.parent, row["id"], f"{path}: id").relative_to(path.parent).as_posix()
        if row["id"] in seen:
            raise DeoccError(f"{path}: id {row['id']!r} stands twice; ids must be unique")
        seen.add(row["id"])
    return rows


def named_file(folder: Path, name: str, endings: Sequence[str]) -> Path | None:
    """A picture of a folder by its id; "7.0", which a spreadsheet may make of 7, also finds 7."""
    for stem in dict.fromkeys((name, as_key(name, "id"))):
        for ending in (*endings, *(ending.upper() for ending in endings)):
            path = inside(folder, f"{stem}{ending}", "id")
            if path.is_file():
                return path
    return None


def _has_alpha(path: Path) -> bool:
    with Image.open(path) as image:
        return has_alpha(image)


def _without_margins(rgba: np.ndarray) -> np.ndarray:
    """A cut-out (h x w x 4 uint8, not fully transparent) without wide transparent margins.

    Sizes in metres belong to the thing (`deocc.occlusion.priors`), not to the picture that it is stored in.
    """
    x0, y0, x1, y1 = mask_box(rgba[..., 3] > CLEAR)
    least = (1 - MOST_MARGIN) * np.array(rgba.shape[:2])
    return rgba[y0:y1, x0:x1].copy() if y1 - y0 < least[0] or x1 - x0 < least[1] else rgba


class Occluders(Sequence[Occluder]):
    """The occluders of a people folder, read on demand; without wide transparent margins."""

    def __init__(self, path: PathLike, split: str | None = None):
        """Args: path: the ``occluders/`` folder. split: "train", "val", or None for all."""
        self.path = Path(path)
        rows = read_rows(self.path / "occluders.csv", OCCLUDER_COLUMNS)
        self.rows = [row for row in rows if split in (None, row["split"])]

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index):  # type: ignore[no-untyped-def, override]
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        row = self.rows[index]
        path = named_file(self.path, row["id"], (".png",)) or self.path / f"{row['id']}.png"
        rgba = read_rgba(path)
        alpha = rgba[..., 3]
        if (alpha == 255).all() and not _has_alpha(path):
            raise DeoccError(f"{path}: no alpha channel, all of it would cover; save it with transparency")
        if not (alpha >= 128).any():
            raise DeoccError(f"{self.path / row['id']}.png: the cut-out is fully transparent; remove its row")
        rgba = _without_margins(rgba)
        return Occluder(
            row["id"],
            rgba[..., :3],
            rgba[..., 3] >= 128,
            row["category"],
            row["split"],
            row.get("licence", ""),
            rgba[..., 3],
        )


class PeopleFolder(Sequence[Person]):
    """People of a folder, read on demand.

    Raises:
        DeoccError: ``people.csv`` is missing, lacks a column or repeats an id, or a person's files are
            missing, damaged, or of different sizes.
    """

    def __init__(self, path: PathLike, split: str | None = None):
        """Args: path: the folder. split: "train", "val", or None for everybody."""
        self.path = Path(path)
        if not self.path.is_dir():
            raise DeoccError(
                f"{self.path}: no such people folder; make one with `deocc render --out {self.path}`"
            )
        self.split = split
        if not (self.path / "people.csv").is_file():
            require_whole(self.path, "render")
        rows = read_rows(self.path / "people.csv", PEOPLE_COLUMNS)
        self.rows = [row for row in rows if split in (None, row["split"])]

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def ids(self) -> list[str]:
        """Names of the people, in the order of ``people.csv``."""
        return [row["id"] for row in self.rows]

    def subset(self, ids: Iterable[str]) -> "PeopleFolder":
        """The same folder with only these ids, in this folder's order."""
        wanted, other = set(ids), PeopleFolder.__new__(PeopleFolder)
        other.path, other.split = self.path, self.split
        other.rows = [row for row in self.rows if row["id"] in wanted]
        return other

    def _path(self, kind: str, name: str, *endings: str) -> Path:
        if (path := named_file(self.path / kind, name, endings)) is not None:
            return path
        other = f" (nor {', '.join(endings[1:])})" if endings[1:] else ""
        raise DeoccError(
            f"{self.path / kind / name}{endings[0]}: no such file{other}, though people.csv names it"
        )

    def __getitem__(self, index):  # type: ignore[no-untyped-def, override]
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        row = self.rows[index]
        image_path = self._path("images", row["id"], ".jpg", ".png", ".jpeg")
        mask_path = self._path("masks", row["id"], ".png")
        image, mask, parsing = read_image(image_path), read_mask(mask_path), None
        sizes = [(mask_path, mask)]
        where = f"{self.path / 'people.csv'}: {row['id']}"
        if as_flag(row["has_parsing"], f"{where}: has_parsing"):
            parsing_path = self._path("parsing", row["id"], ".png")
            parsing = read_parsing(parsing_path)
            sizes.append((parsing_path, parsing))
        for path, array in sizes:
            if array.shape != image.shape[:2]:
                raise DeoccError(
                    f"{path}: size {array.shape[::-1]} differs from the image's {image.shape[1::-1]}"
                )
        refuse_unclear_turn(image_path, [path for path, _ in sizes])
        if not mask.any():
            raise DeoccError(f"{mask_path}: the mask is empty; remove this person from people.csv")
        true_sides = row.get("true_sides") or str(row["source"] in SOURCES_WITH_TRUE_SIDES)
        return Person(
            row["id"], image, mask, parsing, row["split"], row["source"],
            as_flag(true_sides, f"{where}: true_sides"), row.get("licence", ""),
        )  # fmt: skip

    def __iter__(self) -> Iterator[Person]:
        return (self[i] for i in range(len(self)))

    def occluders(self, split: str | None = None) -> Occluders:
        """The folder's occluders. Raises: DeoccError: it has none."""
        return Occluders(self.path / "occluders", split)


def bundled_occluders(split: str | None, without: Iterable[PathLike]) -> Occluders:
    """The bundled occluders (`data/people-mini`), for people folders that have none; logs a warning.

    Args:
        split: "train", "val", or None for all.
        without: the people folders.
    """
    found = PeopleFolder(PEOPLE_MINI).occluders(split)
    names = ", ".join(map(str, without))
    _log.warning("%s: no occluders/ there, so the %d bundled ones are used (people-mini)", names, len(found))
    return found


def occluders_of(people: PeopleFolder, split: str | None) -> Occluders:
    """A folder's own occluders, or the bundled ones if it has no `occluders/` (with a warning)."""
    own = (people.path / "occluders").is_dir()
    return people.occluders(split) if own else bundled_occluders(split, [people.path])


def write_rows(path: Path, rows: Sequence[Mapping[str, str]], columns: Sequence[str] = ()) -> None:
    """Writes a CSV file, completely or not at all. Args: columns: default: the keys of the first row."""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(columns or rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_atomic(path, lambda file: file.write(text.getvalue().encode()))


def write_person(path: PathLike, person: Person, quality: int = 92) -> dict[str, str]:
    """Writes one person's pictures into a people folder and returns its row of ``people.csv``."""
    path = Path(path)
    write_image(inside(path / "images", f"{person.id}.jpg", "id"), person.image, quality)
    write_mask(inside(path / "masks", f"{person.id}.png", "id"), person.amodal_mask)
    if person.parsing is not None:
        write_parsing(inside(path / "parsing", f"{person.id}.png", "id"), person.parsing)
    return {
        "id": person.id, "split": person.split, "source": person.source,
        "has_parsing": str(int(person.parsing is not None)), "true_sides": str(int(person.true_sides)),
        "licence": person.licence,
    }  # fmt: skip


def write_occluder(path: PathLike, occluder: Occluder) -> dict[str, str]:
    """Writes one occluder into a people folder and returns its row of ``occluders.csv``."""
    alpha = occluder.mask.astype(np.uint8) * 255 if occluder.alpha is None else occluder.alpha
    place = inside(Path(path) / "occluders", f"{occluder.id}.png", "id")
    write_image(place, np.dstack([occluder.image, alpha]))
    return {
        "id": occluder.id, "split": occluder.split, "category": occluder.category, "licence": occluder.licence
    }  # fmt: skip


def write_people_table(path: PathLike, rows: Iterable[dict[str, str]]) -> None:
    """Writes ``people.csv``, sorted by id."""
    write_rows(Path(path) / "people.csv", sorted(rows, key=lambda row: row["id"]))


def write_occluder_table(path: PathLike, rows: Iterable[dict[str, str]]) -> None:
    """Writes ``occluders/occluders.csv``, sorted by id."""
    write_rows(Path(path) / "occluders" / "occluders.csv", sorted(rows, key=lambda row: row["id"]))


def write_people(
    path: PathLike, people: Iterable[Person], occluders: Iterable[Occluder] = ()
) -> PeopleFolder:
    """Writes a people folder; tables come last, so that a failed run leaves no incomplete folder.

    Returns:
        The folder, opened.
    """
    write_people_table(path, [write_person(path, person) for person in people])
    rows = [write_occluder(path, occluder) for occluder in occluders]
    if rows:
        write_occluder_table(path, rows)
    return PeopleFolder(path)
