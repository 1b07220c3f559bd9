"""Atomic writing of files: a complete file appears, or none."""

import json
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from deocc.errors import DeoccError
from deocc.io.locks import alone
from deocc.io.names import PathLike

TEMPORARY = re.compile(r"\.(.+)\.[a-z0-9_]{8}")  # `tempfile` adds the last eight to the prefix below
OWNED = ".lock"  # in a temporary folder, held by the process that fills it


def write_atomic(path: PathLike, write: Callable[[IO[bytes]], Any]) -> Path:
    """Calls `write(file)` on a temporary file beside `path`, then renames it: a complete file or none.

    Raises:
        DeoccError: the folder cannot be made or written.
    """
    path = Path(path)
    temporary = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False) as file:
            temporary = Path(file.name)
            write(file)
        temporary.chmod(0o644)
        temporary.replace(path)
    except OSError as error:
        raise DeoccError(
            f"{path}: cannot be written ({error.strerror or error}); choose another folder"
        ) from None
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)
    return path


def temporary_of(path: Path) -> str:
    """The final name of a temporary file or folder of this module; "" for any other file."""
    match = TEMPORARY.fullmatch(path.name)
    return match[1] if match else ""


def remove_temporaries(folder: PathLike, wanted: Callable[[str], bool]) -> None:
    """Removes temporary files that killed processes left directly in a folder.

    Call it only while no other process writes those files.

    Args:
        folder: may be missing.
        wanted: whether a file or folder of that final name belongs to the caller.
    """
    for path in Path(folder).glob(".*.*"):
        if (name := temporary_of(path)) and wanted(name):
            shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink(missing_ok=True)


def require_writable(folder: PathLike) -> Path:
    """Checks, without creating anything, that files can be written into a folder that exists or can be made.

    Raises:
        DeoccError: a file stands in the way, or the folder is read-only.
    """
    folder = Path(folder)
    try:
        there = next(p for p in (folder.absolute(), *folder.absolute().parents) if os.path.lexists(p))
    except OSError as error:
        raise DeoccError(f"{folder}: {error.strerror}; choose another folder") from None
    if there.is_symlink() and not there.exists():
        raise DeoccError(f"{folder}: {there} is a link to a place that is missing; choose another folder")
    if not there.is_dir():
        raise DeoccError(f"{folder}: cannot be made, {there} is a file; choose another folder")
    if not os.access(there, os.W_OK | os.X_OK):
        raise DeoccError(f"{folder}: no permission to write in {there}; choose another folder")
    return folder


def require_writable_file(path: PathLike) -> Path:
    """Checks, without creating anything, that a file that the user named can be written.

    Returns:
        Where to write it; behind a link, the file that the link leads to.

    Raises:
        DeoccError: it is a folder, a device or a broken link, or its folder cannot be written or made.
    """
    path = Path(path)
    if path.is_symlink() and not path.exists():
        raise DeoccError(f"{path}: a link to a file that is missing; remove it, or give another name")
    path = path.resolve() if path.is_symlink() else path
    if path.is_dir():
        raise DeoccError(f"{path}: a folder, a file was expected; give a file's name")
    if path.exists() and not path.is_file():
        raise DeoccError(f"{path}: a device or a pipe, a file was expected; give a file's name")
    require_writable(path.parent)
    return path


@contextmanager
def whole_folder(folder: PathLike, sweep: bool = False) -> Iterator[Path]:
    """Yields a temporary folder. Its files move into `folder` when the block ends without an error.

    Existing files in `folder` stay, except those of the same name.

    Args:
        folder: the final folder.
        sweep: first remove temporary folders that killed calls for the same folder left behind.

    Raises:
        DeoccError: the folder cannot be made or written.
    """
    folder = Path(folder)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        if sweep:
            _remove_abandoned(folder)
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{_name(folder)}.") as name:
            with alone(Path(name) / OWNED, ""):
                yield Path(name)
                folder.mkdir(exist_ok=True)
                for path in sorted(Path(name).iterdir()):
                    if path.name != OWNED:
                        path.replace(folder / path.name)
    except OSError as error:
        raise DeoccError(
            f"{folder}: cannot be written ({error.strerror or error}); choose another folder"
        ) from None


def _name(folder: Path) -> str:
    """A folder's own name, also of "." and "..": never empty."""
    return Path(os.path.abspath(folder)).name or "root"


def _remove_abandoned(folder: Path) -> None:
    """Removes temporary folders of `whole_folder` whose process has ended, so that their lock is free."""
    for path in folder.parent.glob(".*.*"):
        if temporary_of(path) == _name(folder) and (path / OWNED).is_file():
            with suppress(DeoccError), alone(path / OWNED, ""):
                shutil.rmtree(path, ignore_errors=True)


def make_once(folder: PathLike, write: Callable[[Path], Any]) -> None:
    """Makes a folder unless it exists: one process calls `write(temporary folder)`, others wait.

    The folder appears complete or not at all. Leftovers of killed processes are removed.

    Raises:
        DeoccError: as `write`, or the folder cannot be made.
    """
    folder = Path(folder)
    lock = folder.with_name(f".{folder.name}.lock")
    with alone(lock, "", wait=True):
        if not folder.exists():
            remove_temporaries(folder.parent, lambda name: name == folder.name)
            part = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}."))
            try:
                write(part)
                part.chmod(0o755)
                part.rename(folder)
            finally:
                shutil.rmtree(part, ignore_errors=True)
        with suppress(OSError):  # Windows keeps what is open
            lock.unlink()  # who waits for it finds the folder


def write_json(path: PathLike, value: Any) -> Path:
    """Writes JSON with two-space indent and a final newline."""
    text = json.dumps(value, indent=2, ensure_ascii=False) + "\n"
    return write_atomic(path, lambda file: file.write(text.encode()))


def read_json(path: PathLike) -> Any:
    """Reads a JSON file. Raises: DeoccError: it is missing or not JSON."""
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise DeoccError(f"{path}: no such file") from None
    except (ValueError, RecursionError, OSError) as error:  # also thousands of digits, or of levels
        raise DeoccError(f"{path}: not readable as JSON ({error}); write it again") from None


def refuse_overwriting(out: PathLike, names: Iterable[str], inputs: Iterable[PathLike]) -> None:
    """Refuses an output folder if writing into it would overwrite an input file.

    Links are resolved, and different spellings of one path count as the same file.

    Args:
        out: the output folder.
        names: the files that will be written in it.
        inputs: the input files.

    Raises:
        DeoccError: an output file is also an input file.
    """
    present = [Path(path) for path in inputs if Path(path).exists()]
    for target in (Path(out) / name for name in names):
        clash = next((path for path in present if target.exists() and target.samefile(path)), None)
        if clash is not None:
            raise DeoccError(f"{clash}: writing {target} would overwrite it; choose another --out")
