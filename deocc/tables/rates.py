"""Learning rates of the tables: the protocol's, or those of an equal search (``lr-search.json``)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from deocc.errors import DeoccError
from deocc.io import read_json
from deocc.tables.protocol import protocol_preset
from deocc.tables.rows import TableRow

FILE = "lr-search.json"
SCHEMA = "deocc.lr-search/1"


@dataclass(frozen=True)
class Rates:
    """The learning rate of each row at a preset.

    Attributes:
        preset: its name.
        chosen: search key of a row (`TableRow.search_key`) -> rate; other rows have the protocol's.
    """

    preset: str
    chosen: Mapping[str, float] = field(default_factory=dict)

    def of(self, row: TableRow) -> float:
        """Peak learning rate of a trained row."""
        stage = getattr(protocol_preset(row.system, self.preset), row.stage)
        return self.chosen.get(row.search_key, float(stage.train.lr))


def read_rates(folder: Path, preset: str) -> Rates:
    """The rates of a search in a folder of results; without a file, the protocol's.

    Raises:
        DeoccError: the file is damaged.
    """
    path = Path(folder) / FILE
    if not path.is_file():
        return Rates(preset)
    value = read_json(path)
    try:
        if value["schema"] != SCHEMA:
            raise DeoccError(f"{path}: schema {value['schema']!r}, expected {SCHEMA}; search again")
        found = value["presets"].get(preset, {"rows": {}})["rows"]
        return Rates(preset, {key: float(row["chosen"]) for key, row in found.items()})
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise DeoccError(f"{path}: no result of a search ({error!r}); remove it and search again") from None


def scaled(rate: float, factor: float) -> float:
    """A rate times a factor, to three digits; a factor of 1 leaves it as it is."""
    return rate if factor == 1 else float(f"{rate * factor:.3g}")
