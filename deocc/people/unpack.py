"""Unpacks untrusted archives safely: no file outside the folder, no links, no bombs."""

import bz2
import gzip
import lzma
import shutil
import stat
import struct
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO, Any, NamedTuple

from tqdm.auto import tqdm

from deocc.errors import DeoccError
from deocc.io import inside

ARCHIVES = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz")
CHUNK = 1 << 20  # bytes read at once
GROWTH = 100  # times that what comes out may be larger than the archive; photos and label files stay below 20
FREE = 100_000_000  # bytes that any archive may grow to
ENTRIES = 5_000_000  # files in an archive
HEADER = 16 << 20  # bytes that a tar archive may want at once for a name or the like
LINK = 4096  # bytes of a link's target
DAMAGE = (
    zipfile.BadZipFile, tarfile.TarError, EOFError, NotImplementedError, RuntimeError, ValueError,
    struct.error, zlib.error, lzma.LZMAError, OverflowError, IndexError, KeyError, gzip.BadGzipFile,
)  # fmt: skip


class _Member(NamedTuple):
    """One entry of an archive."""

    name: str
    size: int
    kind: str  # "file", "folder", "link" or "special"
    entry: zipfile.ZipInfo | tarfile.TarInfo
    target: str = ""  # of a link


def is_archive(path: Path) -> bool:
    """Whether `unpack` can open a file of this name."""
    return path.name.lower().endswith(ARCHIVES)


def require_space(folder: Path, needed: int, purpose: str) -> None:
    """Checks free disk space. Raises: DeoccError: less than `needed` bytes are free."""
    there = next(path for path in (folder.absolute(), *folder.absolute().parents) if path.exists())
    free = shutil.disk_usage(there).free
    if free < needed:
        raise DeoccError(
            f"{folder}: {purpose} needs {gigabytes(needed)}, the disk has {gigabytes(free)} free; "
            "make room or choose another folder"
        )


def gigabytes(size: int) -> str:
    """A number of bytes as text, such as "815.6 MB"."""
    for unit, one in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if size >= one:
            return f"{size / one:.1f} {unit}"
    return f"{size} bytes"


# --- members --------------------------------------------------------------------------------------


def _zip_member(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> _Member:
    if info.flag_bits & 1:
        raise DeoccError(f"{archive.filename}: {info.filename} is encrypted; unpack it by hand")
    if stat.S_ISLNK(info.external_attr >> 16):
        with archive.open(info) as file:
            target = file.read(LINK).decode(errors="replace")
        return _Member(info.filename, 0, "link", info, target)
    return _Member(info.filename, info.file_size, "folder" if info.is_dir() else "file", info)


def _tar_member(info: tarfile.TarInfo) -> _Member:
    if info.issym() or info.islnk():
        target = info.linkname if info.issym() else f"/{info.linkname}"  # a hard link counts from the root
        return _Member(info.name, 0, "link", info, target)
    kind = "file" if info.isfile() else "folder" if info.isdir() else "special"
    return _Member(info.name, info.size, kind, info)


def _inside(name: str) -> bool:
    """Whether a path, split at / and at \\, stays in the folder that it starts in."""
    depth = 0
    for part in PurePosixPath(name.replace("\\", "/")).parts:
        depth += -1 if part == ".." else 0 if part == "." else 1
        if depth < 0 or part.startswith("/") or part.endswith(":"):
            return False
    return True


def _link_inside(member: _Member) -> bool:
    """Whether a link's target stays in the folder."""
    if isinstance(member.entry, tarfile.TarInfo) and member.entry.islnk():
        return _inside(member.target.removeprefix("/"))
    return not member.target.startswith(("/", "\\")) and _inside(
        str(PurePosixPath(member.name).parent / member.target)
    )


def _check(archive: Path, member: _Member) -> None:
    if not _inside(member.name) or (member.kind == "link" and not _link_inside(member)):
        way = f" (a link to {member.target})" if member.kind == "link" else ""
        raise DeoccError(
            f"{archive}: entry {member.name!r}{way} leads out of the folder; nothing was unpacked, "
            "do not trust this file"
        )
    if member.kind == "special":
        raise DeoccError(f"{archive}: entry {member.name!r} is no plain file; nothing was unpacked")


class _Sips:
    """A decompressed stream for tarfile that limits the size of a header: one of gigabytes is a bomb."""

    def __init__(self, file: Any) -> None:
        self._file = file
        self.seek, self.tell, self.close = file.seek, file.tell, file.close

    def read(self, size: int = -1) -> bytes:
        if not 0 <= size <= HEADER:
            raise tarfile.ReadError(f"a header of {size} bytes")
        return self._file.read(size)


@contextmanager
def _open(path: Path) -> Iterator[zipfile.ZipFile | tarfile.TarFile]:
    name = path.name.lower()
    if name.endswith(".zip"):
        with zipfile.ZipFile(path) as archive:
            yield archive
        return
    endings = {".gz": gzip.open, ".tgz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open}
    opener = next((opener for ending, opener in endings.items() if name.endswith(ending)), open)
    with opener(path, "rb") as file, tarfile.open(fileobj=_Sips(file), mode="r:") as tar:  # type: ignore[operator, call-overload]
        yield tar


def _members(archive: zipfile.ZipFile | tarfile.TarFile) -> Iterator[_Member]:
    if isinstance(archive, zipfile.ZipFile):
        return (_zip_member(archive, info) for info in archive.infolist())
    return (_tar_member(info) for info in archive)


def _checked(path: Path, archive: zipfile.ZipFile | tarfile.TarFile) -> list[_Member]:
    """All members. Sizes are added up during listing, so that a bomb stops the listing early.

    Raises:
        DeoccError: an entry leads out of the folder or is not a plain file, or the archive is too large.
    """
    members, size, most = list[_Member](), 0, max(FREE, GROWTH * path.stat().st_size)
    for member in _members(archive):
        _check(path, member)
        size += member.size
        members.append(member)
        if size > most or len(members) > ENTRIES:
            raise DeoccError(
                f"{path}: would grow from {gigabytes(path.stat().st_size)} to {gigabytes(size)} or more in "
                f"{len(members)} files; nothing was unpacked, do not trust this file"
            )
    return members


# --- unpacking ------------------------------------------------------------------------------------


def _read(archive: zipfile.ZipFile | tarfile.TarFile, member: _Member) -> IO[bytes]:
    if isinstance(archive, zipfile.ZipFile):
        assert isinstance(member.entry, zipfile.ZipInfo)
        return archive.open(member.entry)
    assert isinstance(member.entry, tarfile.TarInfo)
    stream = archive.extractfile(member.entry)
    assert stream is not None  # only links and folders have none
    return stream


def _write(archive: zipfile.ZipFile | tarfile.TarFile, member: _Member, into: Path) -> None:
    """Writes one folder or file, without the archive's permissions and owners."""
    path = inside(into, member.name, "entry") if member.name.strip("./\\") else into
    if member.kind == "folder":
        path.mkdir(parents=True, exist_ok=True)
    elif member.kind == "file":
        path.parent.mkdir(parents=True, exist_ok=True)
        with _read(archive, member) as source, path.open("wb") as sink:
            shutil.copyfileobj(source, sink, CHUNK)


def _merge(source: Path, into: Path) -> int:
    """Moves files into a folder that may exist; returns their number."""
    count = 0
    for path in sorted(source.rglob("*")):
        place = into / path.relative_to(source)
        if path.is_dir():
            place.mkdir(parents=True, exist_ok=True)
        else:
            place.parent.mkdir(parents=True, exist_ok=True)
            path.replace(place)
            count += 1
    return count


def _contents(folder: Path, strip: bool) -> Path:
    """The folder with the archive's content; with `strip`, its single top folder."""
    inside = list(folder.iterdir())
    return inside[0] if strip and len(inside) == 1 and inside[0].is_dir() else folder


def unpack(archive: Path, into: Path, strip: bool = False, progress: bool = True) -> int:
    """Unpacks a zip or tar archive into a folder, completely or not at all.

    Every entry is checked before the first byte is written. Links are never made. A link that stays inside
    the folder is skipped; a link that leads out is an error.

    Args:
        archive: .zip, .tar, .tar.gz, .tgz, .tar.bz2 or .tar.xz.
        into: the folder; its existing files stay, except those of the same name.
        strip: drop the single top folder, as in archives of repositories.
        progress: show a progress bar.

    Returns:
        Number of files.

    Raises:
        DeoccError: the archive is damaged, encrypted or far too large; an entry leads out of the folder or is
            not a plain file; the disk is full; or the folder cannot be written.
    """
    into.mkdir(parents=True, exist_ok=True)
    try:
        with _open(archive) as opened:
            members = _checked(archive, opened)
            size = sum(member.size for member in members)
            require_space(into, size, f"unpacking {archive.name}")
            with tempfile.TemporaryDirectory(dir=into, prefix=".unpacking.") as name:
                bar = tqdm(total=size, desc=f"unpacking {archive.name}", unit="B", unit_scale=True,
                           disable=not progress)  # fmt: skip
                with bar:
                    for member in members:
                        _write(opened, member, Path(name))
                        bar.update(member.size)
                return _merge(_contents(Path(name), strip), into)
    except DeoccError:
        raise
    except DAMAGE as error:
        raise DeoccError(f"{archive}: damaged or cut off ({error}); remove it and fetch it again") from None
    except OSError as error:
        raise DeoccError(f"{archive}: cannot be unpacked into {into} ({error.strerror or error})") from None
