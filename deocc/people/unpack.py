"""Unpacking archives from strangers: nothing leaves the folder, no link is made, space is checked first."""

import shutil
import stat
import tarfile
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import IO, NamedTuple

from tqdm.auto import tqdm

from deocc.errors import DeoccError

ARCHIVES = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz")
CHUNK = 1 << 20  # bytes read at once


class _Member(NamedTuple):
    """One entry of an archive."""

    name: str
    size: int
    kind: str  # "file", "folder", "link" or "special"
    entry: zipfile.ZipInfo | tarfile.TarInfo
    target: str = ""  # of a link


def is_archive(path: Path) -> bool:
    """Whether a file's name is that of an archive which `unpack` opens."""
    return path.name.lower().endswith(ARCHIVES)


def require_space(folder: Path, needed: int, purpose: str) -> None:
    """Checks that a disk has room. Raises: DeoccError where it has less than `needed` bytes free."""
    there = next(path for path in (folder.absolute(), *folder.absolute().parents) if path.exists())
    free = shutil.disk_usage(there).free
    if free < needed:
        raise DeoccError(
            f"{folder}: {purpose} needs {gigabytes(needed)}, the disk has {gigabytes(free)} free; "
            "make room or choose another folder"
        )


def gigabytes(size: int) -> str:
    """A number of bytes as words, such as "815.6 MB"."""
    for unit, one in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if size >= one:
            return f"{size / one:.1f} {unit}"
    return f"{size} bytes"


# --- members --------------------------------------------------------------------------------------


def _zip_member(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> _Member:
    if info.flag_bits & 1:
        raise DeoccError(f"{archive.filename}: {info.filename} is encrypted; unpack it by hand")
    if stat.S_ISLNK(info.external_attr >> 16):
        return _Member(info.filename, 0, "link", info, archive.read(info).decode(errors="replace"))
    return _Member(info.filename, info.file_size, "folder" if info.is_dir() else "file", info)


def _tar_member(info: tarfile.TarInfo) -> _Member:
    if info.issym() or info.islnk():
        target = info.linkname if info.issym() else f"/{info.linkname}"  # a hard link counts from the root
        return _Member(info.name, 0, "link", info, target)
    kind = "file" if info.isfile() else "folder" if info.isdir() else "special"
    return _Member(info.name, info.size, kind, info)


def _inside(name: str) -> bool:
    """Whether a path, taken apart at / and at \\, stays in the folder that it starts in."""
    depth = 0
    for part in PurePosixPath(name.replace("\\", "/")).parts:
        depth += -1 if part == ".." else 0 if part == "." else 1
        if depth < 0 or part.startswith("/") or part.endswith(":"):
            return False
    return True


def _link_inside(member: _Member) -> bool:
    """Whether a link's target, seen from the link, stays in the folder."""
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


def _open(path: Path) -> zipfile.ZipFile | tarfile.TarFile:
    return zipfile.ZipFile(path) if path.name.lower().endswith(".zip") else tarfile.open(path)


def _members(archive: zipfile.ZipFile | tarfile.TarFile) -> Iterator[_Member]:
    if isinstance(archive, zipfile.ZipFile):
        return (_zip_member(archive, info) for info in archive.infolist())
    return (_tar_member(info) for info in archive)


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
    """One folder or file; permissions and owners of the archive do not come along."""
    path = into / member.name.replace("\\", "/")
    if member.kind == "folder":
        path.mkdir(parents=True, exist_ok=True)
    elif member.kind == "file":
        path.parent.mkdir(parents=True, exist_ok=True)
        with _read(archive, member) as source, path.open("wb") as sink:
            shutil.copyfileobj(source, sink, CHUNK)


def _merge(source: Path, into: Path) -> int:
    """Moves files into a folder that may have some already; returns how many."""
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
    """What an archive holds: the folder, or with `strip` the only folder in it."""
    inside = list(folder.iterdir())
    return inside[0] if strip and len(inside) == 1 and inside[0].is_dir() else folder


def unpack(archive: Path, into: Path, strip: bool = False, progress: bool = True) -> int:
    """Unpacks a zip or tar archive into a folder: all of it, or nothing.

    Every entry is checked before the first byte is written. Links are never made: one that stays inside the
    folder is left out, one that leads out stops everything.

    Args:
        archive: .zip, .tar, .tar.gz, .tgz, .tar.bz2 or .tar.xz.
        into: the folder; files that it holds already stay, but for those of the same name.
        strip: leave out the one folder that holds everything, as in archives of repositories.
        progress: show a progress bar.

    Returns:
        Number of files.

    Raises:
        DeoccError: damaged or encrypted, an entry that leads out of the folder or is no plain file, too
            little room on the disk, or the folder cannot be written.
    """
    into.mkdir(parents=True, exist_ok=True)
    try:
        with _open(archive) as opened:
            members = list(_members(opened))
            for member in members:
                _check(archive, member)
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
    except (zipfile.BadZipFile, tarfile.TarError, EOFError, NotImplementedError) as error:
        raise DeoccError(f"{archive}: damaged or cut off ({error}); remove it and fetch it again") from None
    except OSError as error:
        raise DeoccError(f"{archive}: cannot be unpacked into {into} ({error.strerror or error})") from None
