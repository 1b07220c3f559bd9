"""Fetching public datasets: explicit, resumable, checked, safely unpacked; offline, the way by hand.

`requests` speaks HTTP. The downloaders of pooch and torchvision check hashes but cannot go on with a partial
file, and COCO's archive of 19 GB needs that.
"""

import hashlib
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import requests
from tqdm.auto import tqdm

from deocc.errors import DeoccError
from deocc.io import PathLike, read_json, require_writable, write_json
from deocc.people.registry import HUB, ORIGINALS, Original, RemoteFile
from deocc.people.unpack import gigabytes, is_archive, require_space, unpack

LOG = logging.getLogger("deocc")
TIMEOUT = (15, 60)  # seconds to connect, and between two pieces
PIECE = 1 << 16  # bytes; a connection that ends loses less than one piece
TRIES = 4  # in a row without a new byte, before giving up for this time
UNPACKED = 1.05  # size of unpacked photos over their archive: JPEG does not compress again


class _CutOff(Exception):
    """The connection ended early; the words say how far it got."""


# --- one file -------------------------------------------------------------------------------------


@dataclass
class _Partial:
    """A partial download: `path` holds its first bytes, a JSON file beside it says of which version."""

    path: Path
    url: str

    @property
    def _facts(self) -> Path:
        return self.path.with_name(self.path.name + ".json")

    def _read(self) -> dict[str, Any]:
        if not (self.path.is_file() and self._facts.is_file()):
            return {}
        facts = read_json(self._facts)
        return facts if facts.get("url") == self.url else {}

    def validator(self) -> str:
        """The ETag or date of the version that the bytes belong to; "" where they cannot be gone on with."""
        return self._read().get("validator", "")

    def size(self) -> int:
        """Bytes that can be gone on with."""
        return self.path.stat().st_size if self.validator() else 0

    def is_whole(self) -> bool:
        """Whether all bytes are there (a run ended between the last of them and the checksum)."""
        return 0 < self.size() == self._read().get("total")

    def begin(self, response: requests.Response) -> None:
        """Starts from nothing, for the version that a server answers with."""
        etag = response.headers.get("ETag", "")
        strong = etag if not etag.startswith("W/") else ""  # a weak tag does not promise the same bytes
        validator = strong or response.headers.get("Last-Modified", "")
        self.path.write_bytes(b"")
        write_json(self._facts, {"url": self.url, "validator": validator, "total": _total(response)})

    def remove(self) -> None:
        """Forgets what has come."""
        self.path.unlink(missing_ok=True)
        self._facts.unlink(missing_ok=True)

    def finish(self, path: Path) -> None:
        """Gives the whole file its name."""
        self.path.replace(path)
        self._facts.unlink(missing_ok=True)


def _total(response: requests.Response) -> int | None:
    """Size of the whole file according to an answer (200 or 206), or None."""
    if response.status_code == 206:
        total = response.headers.get("Content-Range", "").rpartition("/")[2]
        return int(total) if total.isdigit() else None
    length = response.headers.get("Content-Length", "")
    return int(length) if length.isdigit() else None


def _by_hand(file: RemoteFile, path: Path) -> str:
    return f"by hand: download {file.url} as {path} and run the same command again"


def _ask(session: requests.Session, file: RemoteFile, path: Path, partial: _Partial) -> requests.Response:
    """Asks for the file, or for the rest of it."""
    start, headers = partial.size(), {"Accept-Encoding": "identity"}
    if start:
        headers |= {"Range": f"bytes={start}-", "If-Range": partial.validator()}
    try:
        response = session.get(file.url, headers=headers, stream=True, timeout=TIMEOUT)
    except requests.RequestException:
        raise _CutOff(f"{urlsplit(file.url).netloc} cannot be reached (offline?)") from None
    if response.status_code == 416:  # the file has become shorter
        partial.remove()
        raise _CutOff("the server had nothing more to send; starting anew")
    if response.status_code in (429, 500, 502, 503, 504):
        raise _CutOff(f"{file.url} answers {response.status_code} ({response.reason})")
    if response.status_code not in (200, 206):
        raise DeoccError(
            f"{file.url} answers {response.status_code} ({response.reason}); it may have moved: look for "
            f"{file.name} on its owner's page, put it at {path} and run the same command again"
        )
    return response


def _receive(response: requests.Response, file: RemoteFile, partial: _Partial, bar: tqdm) -> None:
    """Appends what a server sends to the partial file."""
    total = _total(response)
    if file.size is not None and total is not None and total != file.size:
        raise DeoccError(
            f"{file.url} has {total} bytes, {file.size} were expected: another version; nothing was kept"
        )
    if response.status_code == 200:
        partial.begin(response)
    start = partial.path.stat().st_size
    if total is not None:
        require_space(partial.path.parent, total - start, f"{file.name}")
        bar.total = total
    bar.n = start
    bar.refresh()
    try:
        with partial.path.open("ab") as sink:
            for piece in response.iter_content(PIECE):
                sink.write(piece)
                bar.update(len(piece))
    except requests.RequestException as error:
        raise _CutOff(f"the connection ended early ({type(error).__name__})") from None
    got = partial.path.stat().st_size
    if total is not None and got != total:
        raise _CutOff(f"the connection ended after {got} of {total} bytes")


def digest(path: PathLike, kind: str = "sha256") -> str:
    """Hexadecimal hash of a file. Args: kind: "sha256", "md5", ..."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, kind).hexdigest()


def verify(path: Path, checksum: str | None, mend: str = "remove it and run the same command again") -> None:
    """Compares a file with its published checksum, where there is one. Raises: DeoccError on another."""
    if checksum is None:
        return
    kind, _, wanted = checksum.partition(":")
    found = digest(path, kind)
    if not found.startswith(wanted.lower()):
        raise DeoccError(
            f"{path.name}: {kind} is {found}, {wanted} was expected (damaged on the way, or changed by its "
            f"host); {mend}"
        )


def download(
    file: RemoteFile, path: PathLike, tries: int = TRIES, pause: float = 1.0, progress: bool = True
) -> Path:
    """Downloads a file, going on where an earlier attempt stopped, and checks its size and checksum.

    Args:
        file: address, and size and checksum where known.
        path: the finished file; until then `<path>.part` holds what has come.
        tries: attempts in a row without a new byte before giving up; each waits twice as long.
        pause: first wait in seconds.
        progress: show a progress bar.

    Returns:
        `path`.

    Raises:
        DeoccError: no connection (with the way by hand), an error of the server, too little room on the
            disk, another size or checksum than expected.
    """
    path = Path(path)
    require_writable(path.parent)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial, failed, seen = _Partial(path.with_name(path.name + ".part"), file.url), 0, -1
    with requests.Session() as session, tqdm(
        desc=file.name, unit="B", unit_scale=True, disable=not progress
    ) as bar:  # fmt: skip
        while not partial.is_whole():
            try:
                with _ask(session, file, path, partial) as response:
                    _receive(response, file, partial, bar)
                break
            except _CutOff as reason:
                failed, seen = (1 if partial.size() > seen else failed + 1), max(seen, partial.size())
                LOG.info("%s: %s", file.name, reason)
                if failed >= tries:
                    raise DeoccError(_gave_up(file, path, str(reason), partial.size())) from None
                time.sleep(pause * 2 ** (failed - 1))
    try:
        verify(partial.path, file.checksum, "it was removed, run the same command again")
    except DeoccError:
        partial.remove()
        raise
    partial.finish(path)
    return path


def _gave_up(file: RemoteFile, path: Path, reason: str, kept: int) -> str:
    rest = f" ({gigabytes(kept)} are kept, the same command goes on)" if kept else ""
    return f"{file.name}: {reason}{rest}; {_by_hand(file, path)}"


# --- datasets -------------------------------------------------------------------------------------


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
    """What is about to happen, the licence first: several lines."""
    lines = [wanted.title, f"  licence: {wanted.licence}", f"  page: {wanted.page}"]
    for file in wanted.files:
        size = gigabytes(file.size) if file.size else "size unknown"
        lines.append(f"  file: {file.url} ({size}; {file.checksum or 'no published checksum'})")
    lines.append(f"  goes to: {folder_of(wanted, out)}")
    return "\n".join(lines + ([f"  by hand: {wanted.by_hand}"] if wanted.by_hand else []))


def _marker(folder: Path, file: RemoteFile) -> Path:
    return folder / ".fetched" / f"{file.name}.json"


def _is_done(folder: Path, file: RemoteFile) -> bool:
    path = _marker(folder, file)
    return path.is_file() and read_json(path).get("url") == file.url


def _space_for(folder: Path, files: list[RemoteFile], keep: bool) -> None:
    """Room for what is still to come: archives one after the other, and all that comes out of them."""
    sizes = [file.size for file in files if file.size and is_archive(Path(file.name))]
    archives = sum(sizes) if keep else max(sizes, default=0)
    parts = [folder / file.into / f"{file.name}.part" for file in files]
    there = sum(path.stat().st_size for path in parts if path.is_file())
    require_space(folder, max(0, round(archives + UNPACKED * sum(sizes)) - there), "this dataset")


def _sha256(path: Path, checksum: str | None) -> str:
    """The whole SHA-256 of a verified file, which need not be read again where the checksum is just that."""
    kind, _, digits = (checksum or "").partition(":")
    return digits if kind == "sha256" and len(digits) == 64 else digest(path)


def _fetch_file(file: RemoteFile, folder: Path, keep: bool, again: bool, pause: float, progress: bool) -> int:
    """One file of a dataset: downloaded unless it lies there already, checked, unpacked. Number of files."""
    into = folder / file.into
    path = into / file.name
    if path.is_file() and not again:  # put there by hand, or left by a run that ended while unpacking
        if file.size is not None and path.stat().st_size != file.size:
            raise DeoccError(f"{path}: {path.stat().st_size} bytes, {file.size} were expected; remove it")
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
        out: folder of all originals; the dataset gets its own folder in it.
        accept: is shown licence, addresses and sizes before anything else happens; False stops.
        keep: keep the archives beside what came out of them.
        again: fetch files that are there already.
        pause: first wait in seconds after a connection that failed.
        progress: show progress bars.

    Returns:
        The dataset's folder, and how many files came into it now.

    Raises:
        DeoccError: unknown name, licence not accepted, a host that allows no download (with the way by
            hand), or as `download` and `unpack`.
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
    todo = [file for file in wanted.files if again or not _is_done(folder, file)]
    _space_for(folder, todo, keep)
    count = sum(_fetch_file(file, folder, keep, again, pause, progress) for file in todo)
    return folder, count
