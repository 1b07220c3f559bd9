"""The people folder: unoccluded people with their whole masks, and occluders cut out of other pictures.

Layout: ``people.csv`` (id, split, source, has_parsing, licence, ...), ``images/<id>.jpg|png``,
``masks/<id>.png`` (0/255, the whole person), ``parsing/<id>.png`` (LIP ids, 255 = ignore; optional),
``occluders/<id>.png`` (RGBA) with ``occluders/occluders.csv`` (id, split, category, licence; optional).
"""

import csv
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from deocc.errors import DeoccError
from deocc.io import (
    PathLike,
    read_image,
    read_mask,
    read_parsing,
    read_rgba,
    write_atomic,
    write_image,
    write_mask,
    write_parsing,
)

PEOPLE_COLUMNS = ("id", "split", "source", "has_parsing")
OCCLUDER_COLUMNS = ("id", "split", "category")
SOURCES_WITH_TRUE_SIDES = frozenset({"rendered", "lip"})


@dataclass(frozen=True)
class Person:
    """One unoccluded person in a photo.

    Attributes:
        id: name, unique in its folder.
        image: H x W x 3 uint8 RGB.
        amodal_mask: H x W bool, the whole person.
        parsing: H x W uint8 LIP ids with 255 = ignore, or None where the source has no parsing.
        split: "train", "val" or "".
        source: where the person comes from, such as "coco" or "rendered".
        true_sides: whether left and right labels are the person's own (else the metrics merge them).
        licence: words of the source.
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
    """A cut-out thing to paste in front of a person.

    Attributes:
        id: name, unique in its folder.
        image: H x W x 3 uint8 RGB.
        mask: H x W bool, True on the thing.
        category, split, licence: words of the source.
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
    """Rows of a CSV file; its columns must include `columns`, its ids must be unique."""
    if not path.is_file():
        raise DeoccError(f"{path}: no such file; a people folder needs it (see `deocc render --help`)")
    try:
        reader = csv.DictReader(io.StringIO(path.read_text(encoding="utf-8")))
        rows = list(reader)
    except (UnicodeDecodeError, csv.Error) as error:
        raise DeoccError(f"{path}: not a CSV file in UTF-8 ({error}); write it again") from None
    missing = [name for name in columns if name not in (reader.fieldnames or ())]
    if missing:
        raise DeoccError(f"{path}: column {', '.join(missing)} is missing; expected {', '.join(columns)}")
    seen: set[str] = set()
    for row in rows:
        if row["id"] in seen:
            raise DeoccError(f"{path}: id {row['id']!r} stands twice; ids must be unique")
        seen.add(row["id"])
    return rows


class Occluders(Sequence[Occluder]):
    """The occluders of a people folder, read on demand."""

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
        rgba = read_rgba(self.path / f"{row['id']}.png")
        alpha = rgba[..., 3]
        if not (alpha >= 128).any():
            raise DeoccError(f"{self.path / row['id']}.png: the cut-out is fully transparent; remove its row")
        return Occluder(
            row["id"],
            rgba[..., :3],
            alpha >= 128,
            row["category"],
            row["split"],
            row.get("licence", ""),
            alpha,
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

    def _image_path(self, name: str) -> Path:
        for suffix in (".jpg", ".png", ".jpeg"):
            path = self.path / "images" / f"{name}{suffix}"
            if path.is_file():
                return path
        raise DeoccError(
            f"{self.path / 'images' / name}.jpg: no such file (nor .png), though people.csv names it"
        )

    def __getitem__(self, index):  # type: ignore[no-untyped-def, override]
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        row = self.rows[index]
        image_path, mask_path = self._image_path(row["id"]), self.path / "masks" / f"{row['id']}.png"
        image, mask = read_image(image_path), read_mask(mask_path)
        parsing_path = self.path / "parsing" / f"{row['id']}.png"
        parsing = read_parsing(parsing_path) if row["has_parsing"] in ("1", "True", "true") else None
        for path, array in ((mask_path, mask), (parsing_path, parsing)):
            if array is not None and array.shape != image.shape[:2]:
                raise DeoccError(
                    f"{path}: size {array.shape[::-1]} differs from the image's {image.shape[1::-1]}"
                )
        if not mask.any():
            raise DeoccError(f"{mask_path}: the mask is empty; remove this person from people.csv")
        true_sides = row.get("true_sides") or str(row["source"] in SOURCES_WITH_TRUE_SIDES)
        return Person(
            row["id"], image, mask, parsing, row["split"], row["source"],
            true_sides in ("1", "True", "true"), row.get("licence", ""),
        )  # fmt: skip

    def __iter__(self) -> Iterator[Person]:
        return (self[i] for i in range(len(self)))

    def occluders(self, split: str | None = None) -> Occluders:
        """The folder's occluders. Raises: DeoccError where it has none."""
        return Occluders(self.path / "occluders", split)


def write_rows(path: Path, rows: Sequence[Mapping[str, str]], columns: Sequence[str] = ()) -> None:
    """Writes a CSV file, whole or not at all. Args: columns: default: the keys of the first row."""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(columns or rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_atomic(path, lambda file: file.write(text.getvalue().encode()))


def write_person(path: PathLike, person: Person, quality: int = 92) -> dict[str, str]:
    """Writes one person's pictures into a people folder and returns its row of ``people.csv``."""
    path = Path(path)
    write_image(path / "images" / f"{person.id}.jpg", person.image, quality)
    write_mask(path / "masks" / f"{person.id}.png", person.amodal_mask)
    if person.parsing is not None:
        write_parsing(path / "parsing" / f"{person.id}.png", person.parsing)
    return {
        "id": person.id, "split": person.split, "source": person.source,
        "has_parsing": str(int(person.parsing is not None)), "true_sides": str(int(person.true_sides)),
        "licence": person.licence,
    }  # fmt: skip


def write_occluder(path: PathLike, occluder: Occluder) -> dict[str, str]:
    """Writes one occluder into a people folder and returns its row of ``occluders.csv``."""
    alpha = occluder.mask.astype(np.uint8) * 255 if occluder.alpha is None else occluder.alpha
    write_image(Path(path) / "occluders" / f"{occluder.id}.png", np.dstack([occluder.image, alpha]))
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
    """Writes a people folder; the tables come last, so that a broken run leaves no half folder.

    Returns:
        The folder, opened.
    """
    write_people_table(path, [write_person(path, person) for person in people])
    rows = [write_occluder(path, occluder) for occluder in occluders]
    if rows:
        write_occluder_table(path, rows)
    return PeopleFolder(path)
