"""Reads text and CSV files of any Unicode encoding and separator."""

import csv
import io
import itertools
import json
from collections.abc import Iterator, Sequence
from pathlib import Path

from deocc.errors import DeoccError

RESTORE = "restore it (`deocc people fetch NAME --again`, or your own copy)"
SEPARATORS = (",", ";", "\t")


def encoding_of(head: bytes) -> str:
    """The encoding of a file with these first bytes, by its byte-order mark or the position of zeros."""
    return json.detect_encoding(head) if head else "utf-8"


def open_text(path: Path) -> io.TextIOWrapper:
    """Opens a text file in UTF-8, -16 or -32; a byte-order mark is no part of the text. Raises: OSError."""
    with path.open("rb") as file:
        encoding = encoding_of(file.read(4))
    return path.open(encoding=encoding, newline="")


def read_lines(path: Path) -> Iterator[str]:
    """The non-empty lines, stripped. Raises: DeoccError: the file is missing or not text."""
    try:
        with open_text(path) as file:
            for line in file:
                if words := line.strip():
                    yield words
    except FileNotFoundError:
        raise DeoccError(f"{path}: no such file; it lists the dataset's pictures") from None
    except UnicodeError as error:
        raise DeoccError(f"{path}: not a text file ({error}); save it as UTF-8 text") from None
    except OSError as error:
        raise DeoccError(f"{path}: not readable ({error}); {RESTORE}") from None


def _header(lines: Iterator[str], columns: Sequence[str]) -> tuple[list[str], str]:
    """Column names and separator; the separator is chosen so that the wanted columns are found."""
    first = next((line for line in lines if line.strip(" \t\r\n,;")), "")
    if (word := first.strip().strip('"')).lower().startswith("sep="):  # Excel's declaration of the separator
        separators: Sequence[str] = [word[4:] or "\t"]
        first = next((line for line in lines if line.strip()), "")
    else:
        separators = SEPARATORS
    headers = []
    for separator in separators:
        fields = next(csv.reader([first], delimiter=separator[0]), [])
        headers.append(([field.strip() for field in fields], separator[0]))
    return max(headers, key=lambda header: (len(set(columns) & set(header[0])), len(header[0])))


def read_csv(
    path: Path, columns: Sequence[str], mend: str = "write it again", strict: bool = True
) -> Iterator[dict[str, str]]:
    """Streams the rows of a CSV file with a header; skips blank rows.

    Args:
        path: comma, semicolon or tab between the fields, UTF-8 or UTF-16, with a byte-order mark or without.
        columns: columns that it must have.
        mend: how to fix a file that cannot be read, for the message.
        strict: a row with fewer fields than the header is an error; else missing fields are "".

    Raises:
        DeoccError: the file is missing or not CSV, a column is missing, or (strict) a row is too short.
    """
    try:
        with open_text(path) as file:
            yield from _rows(path, file, columns, mend, strict)
    except FileNotFoundError:
        raise DeoccError(f"{path}: no such file; {mend}") from None
    except (UnicodeError, csv.Error, OSError) as error:
        raise DeoccError(f"{path}: not a CSV file in UTF-8 ({error}); {mend}") from None


def _rows(
    path: Path, file: io.TextIOWrapper, columns: Sequence[str], mend: str, strict: bool
) -> Iterator[dict[str, str]]:
    names, separator = _header(file, columns)
    if missing := [name for name in columns if name not in names]:
        raise DeoccError(
            f"{path}: column {', '.join(missing)} is missing; expected {', '.join(columns)}; {mend}"
        )
    reader = csv.reader(file, delimiter=separator)
    for number, fields in enumerate(reader, start=2):
        if not any(field.strip() for field in fields):
            continue
        if strict and (len(fields) < len(names) or any(field.strip() for field in fields[len(names) :])):
            counts = f"{len(fields)} fields, the header has {len(names)}"
            raise DeoccError(f"{path}: row {number} has {counts}; {mend}")
        yield {n: f.strip() for n, f in itertools.zip_longest(names, fields[: len(names)], fillvalue="")}
