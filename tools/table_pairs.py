"""Prints paired differences of a trained row of a table to others, from the stored results. Example:

python tools/table_pairs.py 2 ours_mend deeplab maskrcnn

Case by case, people and seeds resampled, as in the tables; without their correction for many comparisons.
"""

import sys
from itertools import product
from typing import Any

import numpy as np
import typer

from deocc.errors import DeoccError
from deocc.paths import RESULTS
from deocc.tables.collection import collect
from deocc.tables.rates import read_rates
from deocc.tables.rows import get_plan
from deocc.tables.statistics import compare
from deocc.tables.stored import read_results


def main(table: str, row: str, others: list[str], preset: str = "small") -> None:
    """Compares a row with others."""
    plan, folder = get_plan(table), RESULTS / "tables"
    plan.picked([row, *others])  # refuses unknown ones
    found = collect(plan, preset, read_results([folder]), rates=read_rates(folder, preset))
    for other, given, (metric, _) in product(others, plan.givens, plan.columns):
        sides = [_per_case(found.rows[key], given, metric) for key in (row, other)]
        if any(side is None for side in sides):
            continue
        people = found.rows[row][0]["results"][given]["per_case"]["person"]
        change = compare(*sides, people)  # type: ignore[arg-type]
        span = f"[{change.low:+.4f}, {change.high:+.4f}], {change.seeds} seeds, {change.people} people"
        print(f"{row} - {other:12} {given:8} {metric:22} {change.value:+.4f} {span}")


def _per_case(results: list[Any], given: str, metric: str) -> np.ndarray | None:
    """Seeds x cases; None where nothing is stored."""
    rows = [result["results"][given]["per_case"].get(metric) for result in results]
    return None if not rows or any(line is None for line in rows) else np.array(rows, float)


if __name__ == "__main__":
    try:
        typer.run(main)
    except DeoccError as error:
        sys.exit(f"error: {error}")
