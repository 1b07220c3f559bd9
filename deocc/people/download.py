"""Resumable, checked download of one file.

`requests` does the HTTP. The downloaders of pooch and torchvision check hashes but cannot resume a partial
file, which COCO's archive of 19 GB needs. Most of these files have no published checksum. So each HTTP
response is checked: the byte range, the version (ETag or date), the size, and that it is not a web page.
"""

import hashlib
import logging
import time
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import msgspec
import requests
import urllib3
from tqdm.auto import tqdm

from deocc.errors import DeoccError
from deocc.io import PathLike, require_writable, write_json
from deocc.people.registry import RemoteFile
from deocc.people.unpack import gigabytes, is_archive, require_space

LOG = logging.getLogger("deocc")
TIMEOUT = (15, 60)  # seconds to connect, and between two pieces
PIECE = 1 << 16  # bytes; a connection that ends loses less than one piece
TRIES = 4  # in a row without a new byte, before giving up for this time
LARGEST = 200 * 10**9  # bytes of a file whose size nobody says; the largest known one has 19 GB


BEGINNINGS = {".zip": (b"PK",), ".gz": (b"\x1f\x8b",), ".tgz": (b"\x1f\x8b",), ".bz2": (b"BZh",),
              ".xz": (b"\xfd7zXZ",)}  # fmt: skip
PAGES = (b"<!doctype html", b"<html", b"<head", b"<?xml")


class _CutOff(Exception):
    """The connection ended early; the message says how far it got."""


class _Refused(DeoccError):
    """The bytes do not belong to the file; the partial download is removed."""


class _Facts(msgspec.Struct):
    """The facts stored beside a partial or a finished file."""

    url: str = ""
    validator: str = ""
    total: int | None = None


def read_facts(path: Path) -> _Facts:
    """Reads such a file; a missing or damaged one gives empty facts."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=_Facts)
    except (OSError, msgspec.DecodeError, RecursionError):
        return _Facts()


@dataclass
class _Partial:
    """A partial download: `path` holds the first bytes, a JSON file beside it names their version."""

    path: Path
    url: str

    @property
    def _facts(self) -> Path:
        return self.path.with_name(self.path.name + ".json")

    def _read(self) -> _Facts:
        facts = read_facts(self._facts) if self.path.is_file() else _Facts()
        return facts if facts.url == self.url else _Facts()

    def validator(self) -> str:
        """The ETag or date of the version that the bytes belong to; "" where they cannot be gone on with."""
        return self._read().validator

    def size(self) -> int:
        """Number of bytes from which the download can resume."""
        return self.path.stat().st_size if self.validator() else 0

    def is_whole(self) -> bool:
        """Whether all bytes are there (an earlier run ended before it checked them)."""
        return 0 < self.size() == self._read().total

    def begin(self, response: requests.Response) -> None:
        """Starts again at byte 0, with the version that the server sends."""
        self.path.write_bytes(b"")
        facts = {"url": self.url, "validator": _validator(response), "total": _total(response)}
        write_json(self._facts, facts)

    def remove(self) -> None:
        """Removes the partial download."""
        self.path.unlink(missing_ok=True)
        self._facts.unlink(missing_ok=True)

    def finish(self, path: Path) -> None:
        """Moves the complete file to its final name."""
        self.path.replace(path)
        self._facts.unlink(missing_ok=True)


def _validator(response: requests.Response) -> str:
    """The ETag or date of the version in a response, if it guarantees identical bytes."""
    etag = response.headers.get("ETag", "")
    return (etag if not etag.startswith("W/") else "") or response.headers.get("Last-Modified", "")


def _count(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else None


def _total(response: requests.Response) -> int | None:
    """Size of the complete file according to a response (200 or 206), or None."""
    if response.status_code == 206:
        return _count(response.headers.get("Content-Range", "").rpartition("/")[2])
    return _count(response.headers.get("Content-Length", ""))


def _goes_on(response: requests.Response, partial: _Partial) -> bool:
    """Whether a 206 response is the requested rest: it starts at the next byte, in the same version."""
    unit, _, rest = response.headers.get("Content-Range", "").partition(" ")
    start = _count(rest.partition("-")[0].strip())
    same = _validator(response) in ("", partial.validator())
    return unit == "bytes" and start == partial.size() and same


def _is_encoded(response: requests.Response, file: RemoteFile) -> bool:
    """Whether the transfer is compressed; servers also declare this for files that are .gz themselves."""
    encoding = response.headers.get("Content-Encoding", "identity").lower()
    return encoding != "identity" and not file.name.endswith((".gz", ".tgz"))


def _by_hand(file: RemoteFile, path: Path) -> str:
    return f"by hand: download {file.url} as {path} and run the same command again"


def _ask(session: requests.Session, file: RemoteFile, path: Path, partial: _Partial) -> requests.Response:
    """Requests the file, or the rest of it."""
    start, headers = partial.size(), {"Accept-Encoding": "identity"}
    if start:
        headers |= {"Range": f"bytes={start}-", "If-Range": partial.validator()}
    try:
        response = session.get(file.url, headers=headers, stream=True, timeout=TIMEOUT)
    except (requests.RequestException, urllib3.exceptions.HTTPError, ValueError):
        raise _CutOff(f"{urlsplit(file.url).netloc} cannot be reached (offline?)") from None
    if response.status_code == 416:  # the file has become shorter
        partial.remove()
        raise _CutOff("the server has no more bytes to send; starting again")
    if response.status_code in (429, 500, 502, 503, 504):
        raise _CutOff(f"{file.url} answers {response.status_code} ({response.reason})")
    if response.status_code not in (200, 206):
        raise DeoccError(
            f"{file.url} answers {response.status_code} ({response.reason}); it may have moved: look for "
            f"{file.name} on its owner's page, put it at {path} and run the same command again"
        )
    return response


def _refuse_answer(response: requests.Response, file: RemoteFile, partial: _Partial) -> None:
    """Checks a response's headers. Raises: DeoccError: it is not the file; _CutOff: to be requested again."""
    total = _total(response)
    if _is_encoded(response, file):
        raise DeoccError(f"{file.url} comes encoded, which was not requested; is a proxy in between?")
    if response.status_code == 206 and not _goes_on(response, partial):
        partial.remove()
        raise _CutOff("the server sent another part or version than requested; starting again")
    if file.size is not None and total is not None and total != file.size:
        raise _Refused(
            f"{file.url} has {total} bytes, {file.size} were expected: another version; nothing was kept"
        )
    chunked = response.headers.get("Transfer-Encoding", "").lower() == "chunked"
    known = total is not None or chunked or file.size is not None or file.checksum is not None
    if not known and not is_archive(Path(file.name)):
        raise DeoccError(f"{file.url} does not say how long it is: an end that is missing would not be seen")


def _receive(response: requests.Response, file: RemoteFile, partial: _Partial, bar: tqdm) -> None:
    """Appends the body of a response to the partial file."""
    _refuse_answer(response, file, partial)
    total = _total(response)
    if response.status_code == 200:
        partial.begin(response)
    start = partial.path.stat().st_size
    if total is not None:
        require_space(partial.path.parent, total - start, f"{file.name}")
        bar.total = total
    bar.n = start
    bar.refresh()
    most = next(size for size in (file.size, total, LARGEST) if size is not None)
    try:
        with partial.path.open("ab") as sink:
            for piece in response.raw.stream(PIECE, decode_content=False):
                if sink.tell() + len(piece) > most:
                    raise _Refused(f"{file.url} sends more than {most} bytes; nothing was kept")
                sink.write(piece)
                bar.update(len(piece))
    except (requests.RequestException, urllib3.exceptions.HTTPError, ConnectionError, TimeoutError) as error:
        raise _CutOff(f"the connection ended early ({type(error).__name__})") from None
    except OSError as error:
        raise DeoccError(f"{partial.path}: {error.strerror or error}; see to the disk") from None
    got, wanted = partial.path.stat().st_size, file.size if total is None else total
    if wanted is not None and got != wanted:
        raise _CutOff(f"the connection ended after {got} of {wanted} bytes")


def refuse_content(path: Path, file: RemoteFile) -> None:
    """Checks the first bytes of a finished file. Raises: DeoccError: empty, a web page, or a wrong format."""
    with path.open("rb") as content:
        head = content.read(512)
    if not head:
        raise DeoccError(f"{file.url} is empty; {_elsewhere(file)}")
    page = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower().startswith(PAGES)
    if page and not file.name.endswith((".html", ".xml")):
        raise DeoccError(f"{file.url} is a web page (to log in?), not the file; {_elsewhere(file)}")
    wanted = BEGINNINGS.get(Path(file.name).suffix, ())
    if wanted and not head.startswith(wanted):
        raise DeoccError(f"{file.url} is no {Path(file.name).suffix} file; {_elsewhere(file)}")


def _elsewhere(file: RemoteFile) -> str:
    return f"nothing was kept; look for {file.name} on its owner's page"


def digest(path: PathLike, kind: str = "sha256") -> str:
    """Hexadecimal hash of a file. Args: kind: "sha256", "md5", ..."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, kind).hexdigest()


def verify(path: Path, checksum: str | None, mend: str = "remove it and run the same command again") -> None:
    """Compares a file with its published checksum, if there is one. Raises: DeoccError: they differ."""
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
    """Downloads a file, resuming an earlier attempt, and checks its size and checksum.

    Args:
        file: address, and size and checksum if known.
        path: the finished file; until then `<path>.part` holds the bytes received.
        tries: attempts in a row without a new byte before giving up; the pause doubles each time.
        pause: first pause in seconds.
        progress: show a progress bar.

    Returns:
        `path`.

    Raises:
        DeoccError: no connection (the message says how to download by hand), a server error, a full disk, or
            an unexpected size or checksum.
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
            except _Refused:
                partial.remove()
                raise
            except _CutOff as reason:
                failed, seen = (1 if partial.size() > seen else failed + 1), max(seen, partial.size())
                LOG.info("%s: %s", file.name, reason)
                if failed >= tries:
                    raise DeoccError(_gave_up(file, path, str(reason), partial.size())) from None
                time.sleep(pause * 2 ** (failed - 1))
    try:
        refuse_content(partial.path, file)
        verify(partial.path, file.checksum, "it was removed, run the same command again")
    except DeoccError:
        partial.remove()
        raise
    partial.finish(path)
    return path


def _gave_up(file: RemoteFile, path: Path, reason: str, kept: int) -> str:
    rest = f" ({gigabytes(kept)} are kept; the same command resumes)" if kept else ""
    return f"{file.name}: {reason}{rest}; {_by_hand(file, path)}"
