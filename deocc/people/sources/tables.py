"""The tables of a people folder: how they are written, and what leaves the table of occluders."""

import csv
import filecmp
import io
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

from deocc.errors import DeoccError
from deocc.io import write_atomic
from deocc.paths import PEOPLE_MINI
from deocc.people.texts import read_csv


def write_csv(path: Path, columns: Iterable[str], rows: Iterable[dict[str, str]]) -> None:
    def write(file: Any) -> None:
        text = io.TextIOWrapper(file, encoding="utf-8", newline="")
        writer = csv.DictWriter(text, list(columns), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        text.detach()

    write_atomic(path, write)


def remove_gone(folder: Path, labels: Iterable[str]) -> None:
    """Removes the rows of these datasets' cut-outs that are gone; an empty table goes, too."""
    table, ours = folder / "occluders.csv", tuple(f"{label}_" for label in labels)
    try:
        rows = list(read_csv(table, ("id",)))
    except DeoccError:  # none, or not ours
        return
    left = [r for r in rows if not r["id"].startswith(ours) or (folder / f"{r['id']}.png").is_file()]
    if left and len(left) < len(rows):
        write_csv(table, left[0], left)
    elif rows and not left:
        table.unlink()
        with suppress(OSError):  # other files stay
            folder.rmdir()


def remove_bundled(folder: Path) -> None:
    """Removes the bundled occluders that an earlier run copied, now that the datasets have some."""
    for path in (PEOPLE_MINI / "occluders").glob("*.png"):
        copy = folder / path.name
        if copy.is_file() and filecmp.cmp(path, copy, shallow=False):
            copy.unlink()
