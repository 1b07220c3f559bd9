"""Finding and streaming a dataset's files."""

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import ijson

from deocc.errors import DeoccError
from deocc.people.sources.regions import Unusable

PICTURES = (".jpg", ".png", ".jpeg", ".JPG")
DEPTHS = ("", "*/", "*/*/")  # archives are often unpacked into a folder of their own name


def find(root: Path, *names: str) -> Path | None:
    """The first of these relative paths that is in a folder, or at most two folders deeper."""
    for depth in DEPTHS:
        for name in names:
            if hits := sorted(root.glob(depth + name)):
                return hits[0]
    return None


def require(root: Path, what: str, *names: str) -> Path:
    """As `find`. Raises: DeoccError: none of them is there."""
    if not root.is_dir():
        raise DeoccError(f"{root}: no such folder; give the folder of the unpacked dataset")
    found = find(root, *names)
    if found is None:
        raise DeoccError(
            f"{root}: {what} not found, looked for {', '.join(names)}; give the dataset's folder"
        )
    return found


def read_list(path: Path) -> Iterator[str]:
    """The first word of each line that is not empty. Raises: DeoccError: the file is missing or no text."""
    try:
        with path.open(encoding="utf-8") as file:
            for line in file:
                if words := line.split():
                    yield words[0]
    except FileNotFoundError:
        raise DeoccError(f"{path}: no such file; it lists the dataset's pictures") from None
    except UnicodeDecodeError as error:
        raise DeoccError(f"{path}: not a text file ({error}); fetch it again") from None


def read_json_items(path: Path, prefix: str) -> Iterator[Any]:
    """Streams the elements of an array in a JSON file, such as "annotations.item".

    Raises:
        DeoccError: the file is missing, or broken anywhere.
    """
    try:
        with path.open("rb") as file:
            yield from ijson.items(file, prefix, use_float=True)
    except FileNotFoundError:
        raise DeoccError(f"{path}: no such file; give the dataset's folder") from None
    except (ijson.JSONError, UnicodeDecodeError) as error:
        words = " ".join(str(error).split())[:120]
        raise DeoccError(f"{path}: broken JSON ({words}); fetch it again") from None


def read_csv_rows(path: Path, columns: Sequence[str]) -> Iterator[dict[str, str]]:
    """Streams the rows of a CSV file with a header. Raises: DeoccError: columns are missing, or no CSV."""
    try:
        with path.open(encoding="utf-8", newline="") as file:
            reader = csv.DictReader(file)
            missing = [name for name in columns if name not in (reader.fieldnames or ())]
            if missing:
                raise DeoccError(f"{path}: column {', '.join(missing)} is missing; fetch the file again")
            yield from reader
    except FileNotFoundError:
        raise DeoccError(f"{path}: no such file; give the dataset's folder") from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise DeoccError(f"{path}: not a CSV file in UTF-8 ({error}); fetch it again") from None


def picture(folders: Sequence[Path], name: str) -> Path:
    """The file of a photo: `name` with or without ending, as given or with fewer leading folders.

    Raises:
        Unusable: it is nowhere; such photos are reported and left out.
    """
    parts = Path(name).parts
    for folder in folders:
        for start in range(len(parts)):
            path = folder.joinpath(*parts[start:])
            for candidate in (path, *(path.with_name(path.name + ending) for ending in PICTURES)):
                if candidate.suffix and candidate.is_file():
                    return candidate
    raise Unusable("photo missing", f"{name} is not in {', '.join(folder.name for folder in folders)}")


def split_of_name(name: str) -> str:
    """The split that a file or folder name tells: "train", "val", "test" or ""."""
    for word in ("train", "val", "test"):
        if word in name.lower():
            return word
    return ""
