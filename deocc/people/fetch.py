"""Fetches public datasets.

The licence is shown first. Downloads resume, are checked, and are unpacked safely. Without a connection, the
message says how to fetch the files by hand.
"""

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from deocc.errors import DeoccError
from deocc.io import PathLike, remove_temporaries, require_writable, write_json
from deocc.io.locks import alone
from deocc.people.download import digest, download, read_facts, refuse_content, verify
from deocc.people.registry import HUB, ORIGINALS, Original, RemoteFile
from deocc.people.unpack import gigabytes, is_archive, require_space, unpack

UNPACKED = 1.05  # size of unpacked photos over their archive: JPEG does not compress again


def original(name: str) -> Original:
    """An entry of the registry. Raises: DeoccError for an unknown name."""
    if name not in ORIGINALS:
        raise DeoccError(f"dataset {name!r} is unknown; choose from {', '.join(ORIGINALS)}")
    return ORIGINALS[name]


def folder_of(wanted: Original, out: PathLike) -> Path:
    """Where a dataset goes: a folder below `out`, or torchvision's own for weights."""
    if wanted.folder != HUB:
        return Path(out) / wanted.folder
    import torch

    return Path(torch.hub.get_dir()) / "checkpoints"


def describe(wanted: Original, out: PathLike) -> str:
    """The text shown before a download, licence first: several lines."""
    lines = [wanted.title, f"  licence: {wanted.licence}", f"  page: {wanted.page}"]
    for file in wanted.files:
        size = gigabytes(file.size) if file.size else "size unknown"
        lines.append(f"  file: {file.url} ({size}; {file.checksum or 'no published checksum'})")
    lines.append(f"  goes to: {folder_of(wanted, out)}")
    return "\n".join(lines + ([f"  by hand: {wanted.by_hand}"] if wanted.by_hand else []))


def _marker(folder: Path, file: RemoteFile) -> Path:
    return folder / ".fetched" / f"{file.name}.json"


def _is_done(folder: Path, file: RemoteFile) -> bool:
    """Whether a file was fetched; one that is no archive must still be there."""
    path = folder / file.into / file.name
    there = is_archive(path) or (path.is_file() and path.stat().st_size > 0)
    return there and read_facts(_marker(folder, file)).url == file.url


def _space_for(folder: Path, files: list[RemoteFile], keep: bool) -> None:
    """Bytes of disk space still needed: archives one after the other, and all their content."""
    sizes = [file.size for file in files if file.size and is_archive(Path(file.name))]
    archives = sum(sizes) if keep else max(sizes, default=0)
    parts = [folder / file.into / f"{file.name}.part" for file in files]
    there = sum(path.stat().st_size for path in parts if path.is_file())
    require_space(folder, max(0, round(archives + UNPACKED * sum(sizes)) - there), "this dataset")


def _sha256(path: Path, checksum: str | None) -> str:
    """The full SHA-256 of a verified file; it is not read again if the checksum is a full SHA-256."""
    kind, _, digits = (checksum or "").partition(":")
    return digits if kind == "sha256" and len(digits) == 64 else digest(path)


def _fetch_file(file: RemoteFile, folder: Path, keep: bool, again: bool, pause: float, progress: bool) -> int:
    """Downloads one file of a dataset unless it exists, checks and unpacks it. Returns: number of files."""
    into = folder / file.into
    path = into / file.name
    if path.is_file() and not again:  # put there by hand, or left by a run that ended while unpacking
        if file.size is not None and path.stat().st_size != file.size:
            raise DeoccError(f"{path}: {path.stat().st_size} bytes, {file.size} were expected; remove it")
        refuse_content(path, file)
        verify(path, file.checksum)
    else:
        download(file, path, pause=pause, progress=progress)
    facts = {"url": file.url, "bytes": path.stat().st_size, "sha256": _sha256(path, file.checksum)}
    count = unpack(path, into, file.strip, progress) if is_archive(path) else 1
    write_json(_marker(folder, file), {**facts, "files": count})
    if is_archive(path) and not keep:
        path.unlink()
    return count


def fetch(
    name: str,
    out: PathLike = "originals",
    accept: Callable[[str], bool] = lambda words: False,
    keep: bool = False,
    again: bool = False,
    pause: float = 1.0,
    progress: bool = True,
) -> tuple[Path, int]:
    """Fetches a public dataset and unpacks it.

    Args:
        name: a key of `registry.ORIGINALS`.
        out: folder of all originals; the dataset gets a subfolder.
        accept: is called with licence, addresses and sizes before anything else; False stops.
        keep: keep the archives after they are unpacked.
        again: also fetch files that exist already.
        pause: first pause in seconds after a failed connection.
        progress: show progress bars.

    Returns:
        The dataset's folder, and the number of new files in it.

    Raises:
        DeoccError: unknown name, licence not accepted, a host that allows no download (the message says how
            to download by hand), or as `download` and `unpack`.
    """
    wanted = original(name)
    folder = folder_of(wanted, out)
    if not accept(describe(wanted, out)):
        raise DeoccError(f"the licence of {name} was not accepted; nothing was fetched")
    if not wanted.files:
        raise DeoccError(
            f"{name} cannot be fetched by a program: see {wanted.page}; {wanted.by_hand} ({folder})"
        )
    require_writable(folder)
    lock = folder / ".fetched" / "lock"
    with alone(lock, f"{folder}: another process fetches into it"):
        try:
            return folder, _fetch_all(wanted, folder, keep, again, pause, progress)
        finally:
            with suppress(OSError):  # Windows keeps what is open
                lock.unlink()


def _fetch_all(wanted: Original, folder: Path, keep: bool, again: bool, pause: float, progress: bool) -> int:
    """Fetches all files. Returns: number of new files."""
    todo = [file for file in wanted.files if again or not _is_done(folder, file)]
    _space_for(folder, todo, keep)
    for into in {folder / file.into for file in todo}:
        remove_temporaries(into, "unpacking".__eq__)  # of a process that was killed
    return sum(_fetch_file(file, folder, keep, again, pause, progress) for file in todo)
