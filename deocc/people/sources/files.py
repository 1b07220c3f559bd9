"""Finds a dataset's files by names in lists or annotations."""

import os
import re
import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase
from functools import lru_cache
from itertools import product
from pathlib import Path

from deocc.errors import DeoccError
from deocc.io import inside
from deocc.people.sources.problems import Unusable
from deocc.people.sources.stream import read_json_items
from deocc.people.texts import read_lines

PICTURES = (".jpg", ".png", ".jpeg")
DEPTHS = (0, 1, 2)  # archives are often unpacked into a folder of their own name
SPLITS = {
    "train": "train|training|trainval",
    "val": "val|valid|validation|minival|valminusminival",
    "test": "test|testing|testdev",
}
BEHIND = "set|data|images|split|full"  # may follow such a word without a gap: "trainset"
LITTER = ("__macosx", "thumbs.db", "desktop.ini")


def is_litter(name: str) -> bool:
    """Whether a path is litter of file managers: ``._x``, ``.DS_Store``, ``__MACOSX``."""
    return name.startswith(".") or name.casefold() in LITTER


def matches(folder: Path, pattern: str) -> list[Path]:
    """Paths below a folder that match a pattern such as "annotations/*.json", sorted, without litter.

    If the exact name does not exist, case is ignored.
    """
    first, _, rest = pattern.partition("/")
    if "*" not in first and (folder / first).exists():
        found = [folder / first]
    else:
        try:
            names = sorted(os.listdir(folder))
        except OSError:
            return []
        wanted = first.casefold()
        found = [folder / n for n in names if fnmatchcase(n.casefold(), wanted) and not is_litter(n)]
    return [path for one in found for path in matches(one, rest)] if rest else found


def find(root: Path, *names: str, mend: str = "give the right one as ROOT") -> Path | None:
    """The first of these relative paths that exists in a folder, or at most two folders deeper.

    Args:
        root: the folder.
        names: paths; the last part may have a wildcard.
        mend: how to resolve two matches, for the message.

    Raises:
        DeoccError: two folders at the same depth have it.
    """
    for depth in DEPTHS:
        for name in names:
            hits = matches(root, "*/" * depth + name)
            homes = {hit.parents[name.count("/")]: hit for hit in reversed(hits)}
            if len(homes) > 1:
                places = ", ".join(sorted(home.relative_to(root).as_posix() for home in homes)[:4])
                raise DeoccError(f"{root}: {name} is there more than once, in {places}; {mend}")
            if hits:
                return hits[0]
    return None


def require(root: Path, what: str, *names: str, mend: str = "give the right one as ROOT") -> Path:
    """As `find`. Raises: DeoccError: none of them exists."""
    if not root.is_dir():
        raise DeoccError(f"{root}: no such folder; give the folder of the unpacked dataset")
    found = find(root, *names, mend=mend)
    if found is None:
        raise DeoccError(
            f"{root}: {what} not found, looked for {', '.join(names)}; give the dataset's folder"
        )
    return found


def read_list(path: Path, folder: Path | None = None) -> Iterator[str]:
    """The names in a text file, one per line: the first word, or the whole line if a photo has that name.

    Args:
        path: the file.
        folder: of the photos.

    Raises:
        DeoccError: the file is missing or not text.
    """
    for line in read_lines(path):
        first = line.split()[0]
        yield line if line != first and folder is not None and _there(folder, line) else first


def stem_of(name: str, folder: str = "") -> str:
    """A listed name without a picture suffix and without the photo folder's name in front."""
    name = name.removeprefix(f"{folder}/")
    ending = next((ending for ending in PICTURES if name.lower().endswith(ending)), "")
    return name.removesuffix(name[len(name) - len(ending) :]) if ending else name


def _there(folder: Path, name: str) -> bool:
    try:
        picture([folder], name)
    except Unusable:
        return False
    return True


# ------------------------------------------------------------------ one file


def _alike(name: str) -> str:
    """A key that is the same for names that differ only in case or in Unicode form (NFC, NFD)."""
    return unicodedata.normalize("NFC", name).casefold()


@lru_cache(maxsize=8)
def _listing(folder: Path, changed: int) -> dict[str, list[str]]:
    """Key -> names in a folder. Args: changed: modification time, so that new files are seen."""
    found: dict[str, list[str]] = {}
    for name in os.listdir(folder):
        if not is_litter(name):
            found.setdefault(_alike(name), []).append(name)
    return found


def named(folder: Path, name: str, exact: bool = False) -> Path:
    """A file of a folder: the exact name, or the only one that differs in case or Unicode form.

    Args:
        folder, name: of the file.
        exact: take the exact name only; the folder is not listed, which takes time and memory.

    Returns:
        Its path, even if there is no such file.

    Raises:
        Unusable: the name leads out of the folder or is not a valid file name.
    """
    try:
        path = inside(folder, name, "file name")
    except DeoccError as error:
        raise Unusable("bad file name", str(error).replace(str(folder), folder.name)) from None
    try:
        if not exact and not path.is_file() and path.parent.is_dir():
            changed = path.parent.stat().st_mtime_ns
            if len(alike := _listing(path.parent, changed).get(_alike(path.name), [])) == 1:
                return path.with_name(alike[0])
    except OSError as error:
        raise Unusable("bad file name", f"{name[:60]}: {error.strerror}") from None
    return path


def picture(folders: Sequence[Path], name: str, tail: int = 1) -> Path:
    """The file of a photo: `name` with or without suffix, unchanged or with fewer leading folders.

    Only these folders are searched. Of an absolute path, which belongs to another machine, the last parts are
    tried.

    Args:
        folders: to search.
        name: of the photo.
        tail: last parts of the name to keep at least, as `tails` gives them.

    Raises:
        Unusable: it is not found, or its name leads elsewhere; such photos are reported and left out.
    """
    parts = _parts(name)
    for folder in folders:
        if "\\" in name and (path := folder / name).parent == folder and path.is_file():
            return path  # it is really called so
        for start in range(max(1, len(parts) - tail + 1)):
            given = "/".join(parts[start:])
            candidates = given, *(given + ending for ending in PICTURES)
            for exact, candidate in product((True, False), candidates):
                path = named(folder, candidate, exact)
                if path.suffix and path.is_file():
                    return path
    raise Unusable("photo missing", f"{name} is not in {', '.join(folder.name for folder in folders)}")


def _parts(name: str) -> list[str]:
    return [part for part in re.sub(r"\A[A-Za-z]:", "", name.replace("\\", "/")).split("/") if part]


def base_name(name: str) -> str:
    """The last part of a photo's name, the same for names that differ only in case or Unicode form."""
    return "".join(_parts(_alike(name))[-1:])


def tails(names: Sequence[str]) -> list[int]:
    """How many last parts each of several names needs so that no other name ends like this."""
    parts = [tuple(_parts(_alike(name))) for name in names]
    ends = Counter(one[start:] for one in parts for start in range(len(one)))

    def tail(one: tuple[str, ...]) -> int:
        return next((n for n in range(1, len(one)) if ends[one[-n:]] == 1), max(1, len(one)))

    return [tail(one) for one in parts]


def split_of_name(name: str) -> str:
    """The split in a file or folder name, by whole words: "train", "val", "test" or ""."""
    for split, word in SPLITS.items():
        if re.search(rf"(?<![a-z])(?:{word})(?:{BEHIND})?(?![a-z])", name.lower()):
            return split
    return ""


__all__ = [
    "base_name", "find", "is_litter", "matches", "named", "picture", "read_json_items", "read_list",
    "require", "split_of_name", "stem_of", "tails",
]  # fmt: skip
