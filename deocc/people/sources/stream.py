"""Streams big untrusted JSON files with bounded memory."""

import codecs
import re
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import ijson
import numpy as np

from deocc.errors import DeoccError
from deocc.people.texts import RESTORE, encoding_of

DEPTH = 40  # levels of nesting; COCO's masks lie 6 deep
TOKEN = 1 << 24  # bytes of one word, number or text
ELEMENT = 1 << 25  # bytes of one element, such as an annotation
READ = 1 << 18  # bytes at once

_STEP = np.zeros(256, np.int8)
_STEP[[ord("["), ord("{")]], _STEP[[ord("]"), ord("}")]] = 1, -1
_MARK = np.zeros(256, bool)
_MARK[[ord(c) for c in "[]{},:"]] = True
_ENDING = re.compile(rb"[\\A-Za-z+-]{1,16}\Z")  # may be the beginning of something
_ESCAPE = re.compile(rb"\\.", re.DOTALL)
_NO_NUMBER = re.compile(rb"-?(?:NaN|Infinity)")


class _Bomb(ValueError):
    """The file is nested more deeply, or has longer elements, than any dataset."""


class GuardedJson:
    """A JSON file that ijson can read: in UTF-8, with null for NaN, of bounded depth and lengths.

    ijson keeps a string for every level of nesting, each longer than the one before. A file of 400 kB with
    200,000 levels would take all memory. Python and NumPy write NaN, which is not JSON.
    """

    def __init__(self, file: IO[bytes]) -> None:
        """Args: file: opened for reading bytes."""
        head = file.read(4)
        file.seek(3 if head.startswith(codecs.BOM_UTF8) else 0)
        encoding = encoding_of(head)
        self._file: Any = file
        if not encoding.startswith("utf-8"):
            self._file = codecs.EncodedFile(file, "utf-8", encoding)
        self._held, self._within, self._depth = b"", np.uint8(0), 0
        self._token = self._element = 0  # bytes since the last mark, and since the last element

    def read(self, size: int = -1) -> bytes:
        """The next bytes; b"" at the end. Raises: _Bomb."""
        while size:
            fresh = self._file.read(READ)
            data, self._held = self._held + fresh, b""
            if fresh and (ending := _ENDING.search(data[-16:])):
                cut = len(data) - len(ending[0])
                data, self._held = data[:cut], data[cut:]
            plain = _ESCAPE.sub(b"__", data) if b"\\" in data else data
            if fresh and plain.endswith(b"\\"):  # the last of a long row of them
                data, plain, self._held = data[:-1], plain[:-1], data[-1:] + self._held
            if data:
                return self._checked(data, plain)
            if not fresh:
                break
        return b""

    def _checked(self, data: bytes, plain: bytes) -> bytes:
        """Args: plain: data without escapes, so that every quote begins or ends a text."""
        codes = np.frombuffer(plain, np.uint8)
        within = np.bitwise_xor.accumulate((codes == ord('"')).view(np.uint8)) ^ self._within
        outside = within == 0
        depth = self._depth + np.cumsum(_STEP[codes] * outside, dtype=np.int64)
        if depth.max() > DEPTH:
            raise _Bomb(f"nested deeper than {DEPTH} levels")
        self._token = _longest(np.flatnonzero(_MARK[codes] & outside), len(codes), self._token, TOKEN)
        self._element = _longest(np.flatnonzero(depth <= 2), len(codes), self._element, ELEMENT)
        self._within, self._depth = within[-1], int(depth[-1])
        if b"NaN" in data or b"Infinity" in data:
            data = _NO_NUMBER.sub(lambda m: b"null" if outside[m.start()] else m[0], data)
        return data


def _longest(places: np.ndarray, length: int, before: int, limit: int) -> int:
    """Bytes since the last end of an element. Raises: _Bomb: more than `limit`."""
    gaps = np.diff(places, prepend=-before - 1)
    if max(gaps.max(initial=0), (before + length) if not len(places) else 0) > limit:
        raise _Bomb(f"one element or text of more than {limit >> 20} MiB")
    return int(length - 1 - places[-1]) if len(places) else before + length


def read_json_items(path: Path, prefix: str) -> Iterator[Any]:
    """Streams the elements of an array in a JSON file, such as "annotations.item"; NaN comes as None.

    Raises:
        DeoccError: the file is missing or broken, or nested or long as no dataset is.
    """
    try:
        with path.open("rb") as file:
            yield from ijson.items(GuardedJson(file), prefix, use_float=True)
    except FileNotFoundError:
        raise DeoccError(f"{path}: no such file; give the dataset's folder") from None
    except (ijson.JSONError, ValueError, OverflowError, OSError) as error:
        if isinstance(error, DeoccError):  # the caller's own
            raise
        words = " ".join(str(error).split())[:120]
        raise DeoccError(f"{path}: broken JSON ({words}); {RESTORE}") from None
