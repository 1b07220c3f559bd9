"""A table as Markdown."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from deocc.evaluation.report import METRICS
from deocc.io import PathLike, write_atomic, write_json
from deocc.markdown import markdown
from deocc.tables.collection import TableResult
from deocc.tables.configuration import PRECISIONS
from deocc.tables.report import GIVEN, table_json
from deocc.tables.rows import GROUPS, TablePlan


def cell(metric: str, found: dict[str, Any] | None) -> str:
    """ "0.812 ± 0.004 [0.801, 0.823]", or "" without a number."""
    if found is None:
        return ""
    digits = METRICS[metric].digits if metric in METRICS else 2
    text = f"{found['value']:.{digits}f}"
    if found.get("std") is not None:
        text += f" ± {found['std']:.{digits}f}"
    if found["low"] is not None:
        text += f" [{found['low']:.{digits}f}, {found['high']:.{digits}f}]"
    return text


DECIDED, FOR_THESE = "\u25cf", "\u25c9"


def mark(found: dict[str, Any]) -> str:
    """The mark of a decided difference: a full circle; a dot in a ring if it comes from one seed."""
    if not found.get("decided"):
        return ""
    return FOR_THESE if found["seeds"] == 1 else DECIDED


def signed(metric: str, found: dict[str, Any]) -> str:
    """A difference with its interval, as "+0.026 [+0.014, +0.039]"."""
    digits = METRICS[metric].digits
    text = f"{found['value']:+.{digits}f}"
    if found["low"] is not None:
        text += f" [{found['low']:+.{digits}f}, {found['high']:+.{digits}f}]"
    return text


def _difference(metric: str, found: dict[str, Any] | None) -> str:
    return f"{signed(metric, found)} {mark(found)}".rstrip() if found else ""


def format_report(value: dict[str, Any], plan: TablePlan) -> str:
    """A table (`table_json`) as Markdown, all of its columns."""
    columns = [name for name, _ in plan.columns]
    parts = report_parts(value, plan, columns, "#")
    return "\n\n".join([parts[0], legend(value), *parts[1:]]) + "\n"


def report_parts(value: dict[str, Any], plan: TablePlan, columns: Sequence[str], head: str) -> list[str]:
    """A table's heading, facts, one Markdown table per prompt, and notes.

    Args:
        value: of `table_json`.
        plan: the table.
        columns: metrics to show; those that no row has are left out.
        head: marks of its heading, such as "##".
    """
    lines = [f"{head} Table {value['table']}: {value['title']}, preset {value['preset']}", facts(value)]
    for given, rows in value["given"].items():
        lines += [f"{head}# Given {GIVEN[plan.task][given]}", _given_table(value, rows, plan, columns)]
    notes = [*value["notes"], *_frechet_note(value["frechet"]), *_unmeasured(value["given"], columns)]
    return lines + [f"Note: {note}." for note in [*notes, *_empty_columns(value)]]


def _empty_columns(value: dict[str, Any]) -> list[str]:
    notes = []
    if value["real"]:
        notes.append(
            'the paper\'s "Real" columns are of 56 cases that photo editors composed; neither those pictures '
            "nor the values are available, so the columns stay empty"
        )
    if not any(row["natural"] for rows in value["given"].values() for row in rows):
        notes.append(
            '"natural" is for the same people behind occluders placed and lit as in photos; no row has been '
            "measured on them yet (`--natural`)"
        )
    return notes


def _frechet_note(found: dict[str, Any] | None) -> list[str]:
    if found is None:
        return []
    words = f"the Frechet distance is {found['name']} of N = {found['n']} pictures and has no interval"
    if found["n"] <= found["features"]:
        words += f"; N is below the {found['features']} features: compare within this table only"
    return [words]


def _unmeasured(given: dict[str, list[dict[str, Any]]], columns: Sequence[str]) -> list[str]:
    """Metrics that only some rows have, because the others are older."""
    rows = [row for rows in given.values() for row in rows if row["metrics"]]
    lacking = {
        name: list(dict.fromkeys(row["name"] for row in rows if not row["metrics"].get(name)))
        for name in columns
        if name != "parsing_miou" and any(row["metrics"].get(name) for row in rows)
    }
    words = [f"{_title(name)} of {', '.join(names)}" for name, names in lacking.items() if names]
    return [f"not measured: {'; '.join(words)}"] if words else []


def facts(value: dict[str, Any]) -> str:
    """The shared setup of a table's trained rows."""
    if value["cases"] is None:
        return "No stored result yet: `--train` makes what is missing."
    cases = value["cases"]
    trained = [row for rows in value["given"].values() for row in rows if row["kind"] == "trained"]
    counts = sorted({row["seeds"] for row in trained if row["seeds"]}) or [0]
    seeds = " to ".join(map(str, dict.fromkeys((counts[0], counts[-1])))) + " seed" + "s" * (counts != [1])
    images = f"{value['images']:,} training images per system" if value["images"] else "no trained row yet"
    machine = f", on {' and '.join(value['devices'])}" if value["devices"] else ""
    if known := [PRECISIONS.get(name, name) for name in value["precisions"]]:
        machine += f", in {' and '.join(known)}"
    data = f" ({value['data']})" if value["data"] else ""
    return (
        f"{images}{machine}; {seeds}; trained on {', '.join(value['people'])}"
        f"{data}. {cases['count']} cases of {cases['people']} people. {value['comparisons']} comparisons."
    )


def legend(value: dict[str, Any]) -> str:
    """The legend of a table's cells."""
    intervals = value["cases"]["confidence"] if value["cases"] else "confidence intervals"
    return (
        "Cells: mean over seeds ± standard deviation over seeds [mean of the seeds' "
        f"{intervals}]. Differences: case by case to the reference of the row's kind; 95 % intervals, people "
        f"and seeds resampled; Holm's correction over a table's comparisons. {DECIDED} decided; {FOR_THESE} "
        "decided for these weights (one seed says nothing of others); unmarked: not decided. Minutes: "
        "training, a seed. Commands: in the JSON of `--out`. Published: the paper's, empty where unknown. "
        "Only some networks have body parts."
    )


def _given_table(
    value: dict[str, Any], rows: list[dict[str, Any]], plan: TablePlan, columns: Sequence[str]
) -> str:
    shown = [name for name in columns if any(row["metrics"].get(name) for row in rows)] or list(columns)
    header = [
        "system", *(_title(name, True) for name in shown), f"difference in {_title(plan.compared)}",
        f"natural: {_title(plan.compared, True)}", *(f"Real: {name}" for name in value["real"]),
        "seeds", "images", "minutes", "images/s", "published",
    ]  # fmt: skip
    lines: list[list[str]] = []
    for group, title in GROUPS.items():
        members = [row for row in rows if row["group"] == group]
        if members:
            lines.append([f"*{title}*", *[""] * (len(header) - 1)])
            lines += [_cells(row, shown, plan, value["real"]) for row in members]
    return markdown(header, lines)


def brief_table(value: dict[str, Any], plan: TablePlan, given: str, columns: Sequence[str] = ()) -> str:
    """A table of one prompt without costs: mean and spread over seeds, and the compared difference.

    Args:
        value: of `table_json`.
        plan: the table.
        given: key in the table's `givens`.
        columns: metrics to show; none: the table's headlines. Those that no row has are left out.
    """
    rows = value["given"][given]
    shown = [name for name in columns or plan.headlines if any(row["metrics"].get(name) for row in rows)]
    header = [
        "system",
        *(_title(name, True) for name in shown),
        f"difference in {_title(plan.compared)}",
        "seeds",
    ]
    lines: list[list[str]] = []
    for group, title in GROUPS.items():
        members = [row for row in rows if row["group"] == group]
        if members:
            lines.append([f"*{title}*", *[""] * (len(header) - 1)])
            lines += [_brief_cells(row, shown, plan) for row in members]
    return markdown(header, lines)


def _brief_cells(row: dict[str, Any], shown: Sequence[str], plan: TablePlan) -> list[str]:
    reference = row["key"] == plan.reference_of(row["group"])
    found = [row["metrics"].get(name) for name in shown]
    plain = [None if f is None else {**f, "low": None, "high": None} for f in found]
    return [
        row["name"], *(cell(name, f) for name, f in zip(shown, plain, strict=True)),
        "reference" if reference else _difference(plan.compared, row.get("difference")),
        str(row["seeds"]) if row["kind"] == "trained" and row["seeds"] else "",
    ]  # fmt: skip


def _cells(row: dict[str, Any], shown: Sequence[str], plan: TablePlan, real: Sequence[str]) -> list[str]:
    """A row's cells, in the order of the header."""
    reference = row["key"] == plan.reference_of(row["group"])
    return [
        row["name"],
        *(cell(name, row["metrics"].get(name)) for name in shown),
        "reference" if reference else _difference(plan.compared, row.get("difference")),
        cell(plan.compared, row["natural"]),
        *("" if row["real"].get(name) is None else f"{row['real'][name]:g}" for name in real),
        str(row["seeds"] or "") if row["kind"] == "trained" else "",
        f"{row['images']:,}" if "images" in row else "",
        f"{row['minutes']:.1f}" if "minutes" in row else "",
        f"{row['images_per_second']:.0f}" if "minutes" in row else "",
        _published_text(row),
    ]


def _title(name: str, arrow: bool = False) -> str:
    if name not in METRICS:
        return "Frechet distance (down)" if arrow else "Frechet distance"
    return METRICS[name].title + (f" ({METRICS[name].aim})" if arrow else "")


def _published_text(row: dict[str, Any]) -> str:
    known = {k: v for k, v in row["published"].items() if v is not None}
    return ", ".join(f"{_title(k)} {v:g}" for k, v in known.items())


def save_report(table: TableResult, folder: PathLike) -> tuple[str, Path, Path]:
    """Writes ``table-<number>-<preset>.json`` and ``.md``; returns the Markdown and both paths."""
    value = json.loads(json.dumps(table_json(table)))
    text = format_report(value, table.plan)
    stem = Path(folder) / f"table-{table.plan.number}-{table.preset}"
    data = write_json(stem.with_suffix(".json"), value)
    page = write_atomic(stem.with_suffix(".md"), lambda file: file.write(text.encode()))
    return text, data, page
