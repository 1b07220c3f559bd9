"""Checks of untrusted file names, such as those in annotations, people.csv or a recipe.

Use `inside` to join such a name with a folder, and `safe_name` before a file is named after it. A checked
name never leads out of its folder and never makes the file system raise an error.
"""

import os
import re
from pathlib import Path, PurePath
from typing import Any

from deocc.errors import DeoccError

PathLike = str | os.PathLike[str]

LONGEST = 255  # bytes of one part of a path, on all common file systems
LONGEST_NAME = 200  # bytes of a name that still gets an ending, or a number behind it
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_DRIVE = re.compile(r"[A-Za-z]:(/|$)")


def _text(name: Any, what: str) -> str:
    if not isinstance(name, str) or not name.strip():
        raise DeoccError(f"{what} {_shown(name)}: a name in text was expected; write one")
    return name


def _shown(name: Any) -> str:
    """The name as one short line of plain text for a message."""
    text = repr(name)
    return ascii(text if len(text) <= 80 else f"{text[:77]}...")[1:-1]


def _encodes(name: str, what: str, longest: int) -> None:
    """Raises DeoccError if the file system cannot hold the name."""
    try:
        too_long = any(len(os.fsencode(part)) > longest for part in name.split("/"))
    except UnicodeEncodeError:
        raise DeoccError(f"{what} {_shown(name)}: holds half a character; correct the name") from None
    if too_long:
        raise DeoccError(f"{what} {_shown(name)}: longer than {longest} bytes; shorten the name")
    if _CONTROL.search(name):
        raise DeoccError(f"{what} {_shown(name)}: holds a control character; correct the name")


def inside(folder: PathLike, name: Any, what: str = "file name") -> Path:
    r"""Joins a folder and a name that comes from a file; the result lies in the folder.

    The name may have folders in it ("session1/x.jpg"). A backslash also separates them, as on Windows, unless
    a file of that exact name exists. Only the name is checked. Links inside the folder are followed, because
    the folder's owner put them there.

    Args:
        folder: the folder.
        name: the name, of any type that JSON or CSV gives.
        what: what the name is, for the message, such as "images: file_name".

    Raises:
        DeoccError: not text, empty, absolute, with ``..`` or a drive in it, or not a valid file name.
    """
    text = _text(name, what)
    _encodes(text, what, LONGEST)
    if "\\" in text and "/" not in text and (Path(folder) / text).exists():
        return Path(folder) / text
    text = text.replace("\\", "/")
    parts = [part for part in text.split("/") if part not in ("", ".")]
    if text.startswith("/") or _DRIVE.match(text) or PurePath(text).drive or ".." in parts or not parts:
        raise DeoccError(
            f"{what} {_shown(name)}: leads out of its folder; only names inside {folder} are read"
        )
    return Path(folder).joinpath(*parts)


def safe_name(name: Any, what: str = "id") -> str:
    """Checks that a name can be the name of one file or folder, with room for a suffix; returns it.

    Raises:
        DeoccError: not text, empty, with a slash or backslash, beginning with a dot, longer than 200 bytes,
            or not a valid file name.
    """
    text = _text(name, what)
    if "/" in text or "\\" in text or text.startswith(".") or _DRIVE.match(text) or PurePath(text).drive:
        raise DeoccError(
            f"{what} {_shown(name)}: becomes a file name: no slash, no backslash, no dot in front; rename it"
        )
    _encodes(text, what, LONGEST_NAME)
    return text
