"""The numbers of a table: means over seeds, paired differences to a reference, decisions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from deocc import paper
from deocc.errors import DeoccError
from deocc.tables.collection import TableResult, precision_of
from deocc.tables.configuration import group_of, row_name
from deocc.tables.rows import GROUPS, TablePlan, TableRow
from deocc.tables.statistics import Difference, compare, holm
from deocc.tables.stored import Result

TABLE_SCHEMA = "deocc.table/1"
GIVEN = {
    "masks": {"initial": "a rough mask M_i, severity 1", "modal": "the true visible mask"},
    "pixels": {
        "initial": "a rough mask M_i, severity 1: stage 1's masks and body parts (end to end)",
        "modal": "the true masks",
    },
}


def summary(results: Sequence[Result], given: str, name: str) -> dict[str, Any] | None:
    """Mean and standard deviation over seeds of a metric, and the mean of the seeds' confidence intervals.

    Returns:
        "value", "std" (None with one seed), "low", "high", "n", "seeds"; None where no result has the metric.
    """
    found = [metric_of(r["results"][given], name) for r in results]
    known = [m for m in found if m is not None and m["value"] is not None]
    if not known:
        return None
    values = np.array([m["value"] for m in known])
    std = float(values.std(ddof=1)) if len(values) > 1 else None
    bounds = [
        None if any(m[end] is None for m in known) else float(np.mean([m[end] for m in known]))
        for end in ("low", "high")
    ]
    return {
        "value": float(values.mean()), "std": std, "low": bounds[0], "high": bounds[1],
        "n": known[0]["n"], "seeds": len(known),
    }  # fmt: skip


def metric_of(result: Result, name: str) -> dict[str, Any] | None:
    """A stored metric of one run with one prompt; None if it has none. Args: name: or "frechet"."""
    if name != "frechet":
        return result["metrics"].get(name)
    found = result["frechet"]
    return None if found is None else {"value": found["value"], "low": None, "high": None, "n": found["n"]}


def difference(
    results: Sequence[Result], reference: Sequence[Result], given: str, name: str
) -> Difference | None:
    """Mean difference to the reference case by case, people and seeds resampled; see `compare`.

    Returns:
        None if one of the two lacks the numbers, or they are not `comparable`.
    """
    if not comparable([*results, *reference], given):
        return None
    sides = [_columns(part, given, name) for part in (results, reference)]
    if sides[0] is None or sides[1] is None:
        return None
    return compare(sides[0], sides[1], results[0]["results"][given]["per_case"]["person"])


def comparable(results: Sequence[Result], given: str) -> bool:
    """Whether results of one prompt are of the same cases in the same order.

    Painters (but not shipped weights, which bring their own) must also have had the same masks: stage 1's
    answers change with the code that asks it, and then pictures differ for a reason that is not the painter.
    """
    cases = {r["cases"]["digest"] for r in results}
    people = {tuple(r["results"][given]["per_case"]["person"]) for r in results}
    return len(cases) <= 1 and len(people) <= 1 and len(masks_used(results, given)) <= 1


def masks_used(results: Sequence[Result], given: str) -> dict[tuple[Any, ...], list[Result]]:
    """Painters' results by the masks that they were given, told apart by the masks' IoU case by case."""
    found: dict[tuple[Any, ...], list[Result]] = {}
    for result in results:
        columns = result["results"][given]["per_case"]
        if result["kind"] != "shipped" and "recovered_psnr" in columns:
            key = tuple(tuple(columns.get(name, ())) for name in ("amodal_iou", "modal_iou", "invisible_iou"))
            found.setdefault(key, []).append(result)
    return found


def _columns(results: Sequence[Result], given: str, name: str) -> np.ndarray | None:
    """Values per case, seeds x N."""
    columns = [r["results"][given]["per_case"].get(name) for r in results]
    if not columns or any(column is None for column in columns):
        return None
    return np.array(columns, np.float64)


def table_json(table: TableResult) -> dict[str, Any]:
    """The table as JSON values: setup, and a list of rows per prompt."""
    plan, everything = table.plan, [r for results in table.rows.values() for r in results]
    trained = [r for r in everything if r["kind"] == "trained"]
    first = next(iter(trained or everything), None)
    head: dict[str, Any] = {
        "schema": TABLE_SCHEMA, "table": plan.number, "title": plan.title, "preset": table.preset,
        "images": table.setup.images or None, "data_digest": table.setup.data,
        "people": first["people"] if first else [], "data": trained[0].get("data", "") if trained else "",
        "cases": first["cases"] if first else None, "notes": [*table.notes, *_mask_notes(table)],
        "devices": sorted({r["device"] for r in trained}),
        "precisions": sorted({precision_of(r) for r in trained}), "frechet": _frechet_facts(everything, plan),
        "real": [c.name for c in paper.TABLES[plan.number].columns if c.group == "Real"],
    }  # fmt: skip
    rows = {given: _given_rows(table, given) for given in plan.givens}
    comparisons = _decide([row for given in rows.values() for row in given])
    return head | {"comparisons": comparisons, "given": rows}


def _mask_notes(table: TableResult) -> list[str]:
    """Names rows whose masks are not those of the reference; their differences are left out."""
    notes = []
    everything = [r for results in table.rows.values() for r in results]
    for given in table.plan.givens:
        kinds = masks_used([r for r in everything if given in r["results"]], given)
        if len(kinds) > 1:
            newest = max(kinds, key=lambda k: max(r["made"] for r in kinds[k]))
            left = {r["digest"] for k, held in kinds.items() if k != newest for r in held}
            names = [
                row_name(row, table.preset)
                for row in table.plan.rows
                if any(r["digest"] in left for r in table.rows[row.key])
            ]
            prompt = GIVEN[table.plan.task][given].split(":")[0]
            notes.append(
                f"given {prompt}, these rows had masks of another version of the code, and are compared "
                f"only among themselves: {', '.join(names)}"
            )
    return notes


def _decide(rows: Sequence[dict[str, Any]]) -> int:
    """Marks the differences that are decided after Holm's correction over a table. Returns: their number."""
    found = [row["difference"] for row in rows if row.get("difference")]
    found = [d for d in found if d["p"] is not None]
    for value, adjusted in zip(found, holm([d["p"] for d in found]), strict=True):
        value |= {"p_holm": adjusted, "decided": adjusted < 0.05}
    return len(found)


def _frechet_facts(results: Sequence[Result], plan: TablePlan) -> dict[str, Any] | None:
    """Facts on the table's Frechet distances: names, smallest N, width; None if it has none."""
    found = [r["results"][given]["frechet"] for r in results for given in plan.givens]
    found = [f for f in found if f is not None]
    if not found or "frechet" not in dict(plan.columns):
        return None
    names = " / ".join(sorted({f["name"] for f in found}))
    return {"name": names, "n": min(f["n"] for f in found), "features": found[0]["features"]}


def _given_rows(table: TableResult, given: str) -> list[dict[str, Any]]:
    """Rows by group, in printing order; trained rows are included even without a result."""
    shown = [row for row in table.plan.rows if row.kind == "trained" or table.rows[row.key]]
    groups = [group_of(row, table.preset) for row in shown]
    ordered = [row for wanted in GROUPS for row, group in zip(shown, groups, strict=True) if group == wanted]
    return [_row_json(table, row, given) for row in ordered]


def _row_json(table: TableResult, row: TableRow, given: str) -> dict[str, Any]:
    plan, results = table.plan, table.rows[row.key]
    group = group_of(row, table.preset)
    metrics = {name: summary(results, given, name) for name, _ in plan.columns} if results else {}
    natural = table.natural.get(row.key, [])
    value: dict[str, Any] = {
        "key": row.key, "name": row_name(row, table.preset), "kind": row.kind, "group": group,
        "system": row.system, "changes": dict(row.changes), "seeds": len(results), "metrics": metrics,
        "published": _published(plan, row), "real": _published(plan, row, "Real"),
        "natural": summary(natural, given, plan.compared) if natural else None,
    }  # fmt: skip
    if results and row.kind == "trained":
        value |= {
            "images": results[0]["trained_images"], "parameters": results[0]["parameters"],
            "minutes": round(float(np.mean([r["minutes"] for r in results])), 1),
            "images_per_second": round(float(np.mean([_speed(r) for r in results])), 1),
            "command": results[0].get("command", ""),
            "digests": [r["digest"] for r in results],
        }  # fmt: skip
    key = plan.reference_of(group)
    reference = table.rows.get(key, [])
    if results and reference and row.key != key:
        found = difference(results, reference, given, plan.compared)
        if found is not None:
            seeds = _seeds_behind(results, reference)
            value["difference"] = found.to_json() | {"against": key, "seeds": seeds}
    return value


def _seeds_behind(*sides: list[Result]) -> int:
    """Over how many seeds a difference is known: one, if a side is a single network; a control has none."""
    if any(side[0]["kind"] == "shipped" for side in sides):
        return 1
    return min((len(side) for side in sides if side[0]["kind"] == "trained"), default=0)


def _speed(result: Result) -> float:
    """Training images per second."""
    return float(result["trained_images"] / 60 / max(result["minutes"], 1e-3))


def _published(plan: TablePlan, row: TableRow, group: str = "") -> dict[str, float | None]:
    """The paper's values of a row: of synthesised cases by our metric, or of group "Real" by its column."""
    printed = paper.TABLES[plan.number]
    if group:
        names = {c.name: c.name for c in printed.columns if c.group == group}
    else:
        group = next((c.group for c in printed.columns if c.group), "")
        known = {column.name for column in printed.columns}
        names = {metric: column for metric, column in plan.columns if column in known}
    if not row.published:
        return {}
    return {key: printed.published(row.published, column, group) for key, column in names.items()}


def require_results(table: TableResult) -> None:
    """Raises: DeoccError: no row has a result."""
    if not any(table.rows.values()):
        raise DeoccError(
            f"table {table.plan.number}: no stored result at preset {table.preset}; make them with --train "
            "--people DIR"
        )
