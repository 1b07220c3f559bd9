"""Budget curves: one run per row at a constant rate, evaluated at several budgets."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from deocc.markdown import markdown
from deocc.tables.collection import case_set, is_of, of_one_setup
from deocc.tables.configuration import group_of, row_name
from deocc.tables.page import cell, mark, signed
from deocc.tables.report import GIVEN, difference, summary
from deocc.tables.rows import GROUPS, TablePlan, TableRow
from deocc.tables.statistics import holm
from deocc.tables.stored import Result

Points = dict[int, Result]  # training images -> result


def curve_points(plan: TablePlan, preset: str, results: Sequence[Result]) -> dict[str, Points]:
    """Key of a row -> its results of one setup by training images; rows without any are left out."""
    mine = [r for r in results if r["kind"] == "trained" and r["configuration"].schedule == "constant"]
    mine = [r for r in mine if r["configuration"].preset == preset and case_set(r) == "synthetic"]
    rows = {
        row.key: [r for r in mine if row.kind == "trained" and is_of(r, row, "constant")] for row in plan.rows
    }
    kept = {id(r) for r in of_one_setup([r for held in rows.values() for r in held])}
    found: dict[str, Points] = {}
    for key, result in ((key, r) for key, held in rows.items() for r in held if id(r) in kept):
        found.setdefault(key, {})[result["configuration"].images] = result
    return found


def curves_json(plan: TablePlan, preset: str, results: Sequence[Result]) -> dict[str, list[dict[str, Any]]]:
    """Prompt -> rows with "name", "group" and "points": images, value, difference to the reference."""
    points = curve_points(plan, preset, results)
    rows = [row for row in plan.rows if row.key in points]
    found = {given: [_curve(plan, preset, row, points, given) for row in rows] for given in plan.givens}
    differences = [p["difference"] for lines in found.values() for line in lines for p in line["points"]]
    tested = [d for d in differences if d is not None and d["p"] is not None]
    for value, adjusted in zip(tested, holm([d["p"] for d in tested]), strict=True):
        value |= {"p_holm": adjusted, "decided": adjusted < 0.05}
    return found


def _curve(
    plan: TablePlan, preset: str, row: TableRow, points: dict[str, Points], given: str
) -> dict[str, Any]:
    group = group_of(row, preset)
    reference = plan.reference_of(group)
    line: list[dict[str, Any]] = []
    for images, result in sorted(points[row.key].items()):
        other = points.get(reference, {}).get(images)
        found = None
        if other is not None and row.key != reference:
            found = difference([result], [other], given, plan.compared)
        line.append(
            {
                "images": images, "minutes": result["minutes"],
                "value": summary([result], given, plan.compared),
                "difference": None if found is None else found.to_json(),
            }
        )  # fmt: skip
    return {
        "key": row.key,
        "name": row_name(row, preset),
        "group": group,
        "against": reference,
        "points": line,
    }


def curves_page(plan: TablePlan, preset: str, results: Sequence[Result]) -> str:
    """The curves of a table as Markdown; "" if nothing is measured."""
    value = curves_json(plan, preset, results)
    budgets = sorted({p["images"] for lines in value.values() for line in lines for p in line["points"]})
    if not budgets:
        return ""
    parts = [
        f"## Budget curves of table {plan.number}",
        "One run per row with one seed, at a constant rate with averaged weights, evaluated during training: "
        "a point is not the result of an annealed run of its budget. After the semicolon: the difference to "
        "the reference of the row's kind at the same budget, with its interval and mark.",
    ]
    for given, lines in value.items():
        header = ["system", *(f"{images:,} images" for images in budgets)]
        rows: list[list[str]] = []
        for group, title in GROUPS.items():
            members = [line for line in lines if line["group"] == group]
            if members:
                rows += [[f"*{title}*", *[""] * len(budgets)], *(_line(m, budgets, plan) for m in members)]
        parts += [f"### Given {GIVEN[plan.task][given]}", markdown(header, rows)]
    return "\n\n".join(parts)


def _line(line: dict[str, Any], budgets: Sequence[int], plan: TablePlan) -> list[str]:
    points = {p["images"]: p for p in line["points"]}
    return [line["name"], *(_point(points.get(images), plan) for images in budgets)]


def _point(point: dict[str, Any] | None, plan: TablePlan) -> str:
    if point is None:
        return ""
    text, found = cell(plan.compared, point["value"]), point["difference"]
    return text if found is None else f"{text}; {signed(plan.compared, found)} {mark(found)}".rstrip()
