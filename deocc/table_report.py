"""From stored results to a table: which results belong together, means over seeds, Markdown and JSON."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from deocc import metrics as M
from deocc import paper
from deocc.errors import DeoccError
from deocc.io import PathLike, read_json, write_atomic, write_json
from deocc.table_rows import TablePlan, TableRow, run_config, setting_differences
from deocc.table_runs import RESULT_SCHEMA
from deocc.tables import METRICS, markdown

TABLE_SCHEMA = "deocc.table/1"
GIVEN = {
    "masks": {"initial": "a rough mask M_i, severity 1", "modal": "the true visible mask"},
    "pixels": {
        "initial": "a rough mask M_i, severity 1: stage 1's masks and body parts (end to end)",
        "modal": "the true masks",
    },
}
PRECISIONS = {"no": "32-bit floats", "bf16": "bfloat16", "fp16": "16-bit floats"}
Result = dict[str, Any]


@dataclass(frozen=True)
class Setup:
    """What trained rows of one table must have in common to be compared.

    Attributes:
        data: digest of the people folders; "" = any.
        images: training images a run; 0 = any.
        cases: digest of the case folder; "" = any.
        stage1: digest of stage 1's weights, for tables of stage 2; "" = any.
    """

    data: str = ""
    images: int = 0
    cases: str = ""
    stage1: str = ""

    def holds(self, result: Result) -> bool:
        """Whether a result belongs; controls have no images, shipped weights no data of their own."""
        config = result["config"]
        if self.cases not in ("", result["cases"]["digest"]):
            return False
        if result["kind"] != "shipped":
            if self.data not in ("", config["data"]) or self.stage1 not in ("", config.get("stage1", "")):
                return False
        return result["kind"] != "trained" or self.images in (0, config["images"])


ANY = Setup()


@dataclass
class TableResult:
    """A table that can be printed.

    Attributes:
        rows: key -> results, a seed each.
        notes: what a reader has to know beside the numbers.
    """

    plan: TablePlan
    preset: str
    setup: Setup
    rows: dict[str, list[Result]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


# ------------------------------------------------------------------------------------------------ finding


def read_results(folders: Iterable[PathLike]) -> list[Result]:
    """All results of some folders, oldest first; each file counts once."""
    paths = {path.resolve(): None for folder in folders for path in sorted(Path(folder).glob("*.json"))}
    found = []
    for path in sorted(paths, key=lambda p: (p.stat().st_mtime, p.name)):
        value = read_json(path)
        if isinstance(value, dict) and value.get("schema") == RESULT_SCHEMA:
            found.append(value)
    return found


def collect(plan: TablePlan, preset: str, results: Sequence[Result], wanted: Setup = ANY) -> TableResult:
    """Picks the results of a table's rows that belong together.

    Where several setups are stored, the one with most rows, then with most images, then the newest is taken,
    and a note names the others.

    Args:
        results: of `read_results`.
        wanted: narrows the choice.
    """
    mine = [r for r in results if r["preset"] == preset and any(_is_of(r, row) for row in plan.rows)]
    mine = [r for r in mine if wanted.holds(r) and set(plan.givens) <= set(r["results"])]
    setup, others = _choose(plan, mine, wanted)
    table = TableResult(plan, preset, setup)
    stale: dict[str, list[str]] = {}
    for row in plan.rows:
        held = [r for r in mine if setup.holds(r) and _is_of(r, row)]
        table.rows[row.key], differences = _by_seed(row, held)
        if differences:
            stale[row.name] = differences
    table.notes += [f"{name}: of an earlier configuration ({'; '.join(d)})" for name, d in stale.items()]
    if others:
        table.notes.append(f"{others} other setups (data, images, cases, stage 1) have results too; --images "
                           "and --people choose")  # fmt: skip
    return table


def _is_of(result: Result, row: TableRow) -> bool:
    if row.kind != result["kind"]:
        return False
    if row.kind != "trained":
        return result["row"] == row.key
    return result["system"] == row.system and result["changes"] == [list(c) for c in row.changes]


def _choose(plan: TablePlan, results: list[Result], wanted: Setup) -> tuple[Setup, int]:
    """The setup with most rows, and how many others there are."""
    trained = [r for r in results if r["kind"] == "trained"]
    setups: dict[Setup, set[str]] = {}
    for r in trained:
        config = r["config"]
        setup = Setup(config["data"], config["images"], r["cases"]["digest"], config.get("stage1", ""))
        setups.setdefault(setup, set()).update(row.key for row in plan.rows if _is_of(r, row))
    if not setups:
        return wanted if not results else _of_control(results[-1], wanted), 0
    newest = {s: i for i, s in enumerate(setups)}
    best = max(setups, key=lambda s: (len(setups[s]), s.images, newest[s]))
    return best, len(setups) - 1


def _of_control(result: Result, wanted: Setup) -> Setup:
    config = result["config"]
    return Setup(
        config.get("data", wanted.data), wanted.images, result["cases"]["digest"],
        config.get("stage1", wanted.stage1),
    )  # fmt: skip


def _by_seed(row: TableRow, held: list[Result]) -> tuple[list[Result], list[str]]:
    """One result a seed: the nearest to the present configuration, then the newest; and their differences."""
    chosen: dict[int, tuple[list[str], Result]] = {}
    for result in held:
        differences = _differences(row, result)
        old = chosen.get(result["seed"])
        if old is None or len(differences) <= len(old[0]):
            chosen[result["seed"]] = (differences, result)
    kept = [chosen[seed] for seed in sorted(chosen)]
    words = list(dict.fromkeys(word for differences, _ in kept for word in differences))
    return [result for _, result in kept], words


def _differences(row: TableRow, result: Result) -> list[str]:
    """How a stored configuration differs from what the row would be today."""
    if row.kind != "trained":
        return []
    old = result["config"]
    given = (old["preset"], old["images"], old["seed"], old["data"], old["stage1"])
    return setting_differences(old, run_config(row, *given, precision=_precision(result)))


def _precision(result: Result) -> str:
    return str(result["config"]["training"]["mixed_precision"])


# ------------------------------------------------------------------------------------------------- numbers


def summary(results: Sequence[Result], given: str, name: str) -> dict[str, Any] | None:
    """Mean and standard deviation over seeds of a metric, and the mean of the seeds' confidence intervals.

    Returns:
        "value", "std" (None with one seed), "low", "high", "n", "seeds"; None where no result has the metric.
    """
    found = [_metric(r["results"][given], name) for r in results]
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


def _metric(result: Result, name: str) -> dict[str, Any] | None:
    if name != "frechet":
        return result["metrics"].get(name)
    found = result["frechet"]
    return None if found is None else {"value": found["value"], "low": None, "high": None, "n": found["n"]}


def paired(results: Sequence[Result], reference: Sequence[Result], given: str, name: str) -> Any:
    """Mean difference to the reference case by case (means over seeds), with an interval over people.

    Returns:
        "value", "low", "high"; None where one of the two lacks the numbers.
    """
    sides = [_case_means(part, given, name) for part in (results, reference)]
    if sides[0] is None or sides[1] is None or len(sides[0]) != len(sides[1]):
        return None
    people = results[0]["results"][given]["per_case"]["person"]
    found = M.bootstrap_mean(sides[0] - sides[1], people)
    return {"value": found.value, "low": found.low, "high": found.high}


def _case_means(results: Sequence[Result], given: str, name: str) -> np.ndarray | None:
    columns = [r["results"][given]["per_case"].get(name) for r in results]
    if not columns or any(column is None for column in columns):
        return None
    return np.array(columns, np.float64).mean(0)


def table_json(table: TableResult) -> dict[str, Any]:
    """The table as JSON values: setup, and a list of rows a given mask."""
    plan, everything = table.plan, [r for results in table.rows.values() for r in results]
    trained = [r for r in everything if r["kind"] == "trained"]
    first = next(iter(trained or everything), None)
    head: dict[str, Any] = {
        "schema": TABLE_SCHEMA, "table": plan.number, "title": plan.title, "preset": table.preset,
        "images": table.setup.images or None, "data_digest": table.setup.data,
        "people": first["people"] if first else [], "data": trained[0].get("data", "") if trained else "",
        "cases": first["cases"] if first else None, "notes": table.notes,
        "devices": sorted({r["device"] for r in trained}),
        "precisions": sorted({_precision(r) for r in trained}), "frechet": _frechet_facts(everything, plan),
    }  # fmt: skip
    return head | {"given": {given: _given_rows(table, given) for given in plan.givens}}


def _frechet_facts(results: Sequence[Result], plan: TablePlan) -> dict[str, Any] | None:
    """What the table's Frechet distances are: names, smallest N, width; None where it has none."""
    found = [r["results"][given]["frechet"] for r in results for given in plan.givens]
    found = [f for f in found if f is not None]
    if not found or "frechet" not in dict(plan.columns):
        return None
    names = " / ".join(sorted({f["name"] for f in found}))
    return {"name": names, "n": min(f["n"] for f in found), "features": found[0]["features"]}


def _given_rows(table: TableResult, given: str) -> list[dict[str, Any]]:
    shown = [row for row in table.plan.rows if row.kind == "trained" or table.rows[row.key]]
    return [_row_json(table, row, table.rows[row.key], given) for row in shown]


def _row_json(table: TableResult, row: TableRow, results: list[Result], given: str) -> dict[str, Any]:
    plan = table.plan
    metrics = {name: summary(results, given, name) for name, _ in plan.columns} if results else {}
    value: dict[str, Any] = {
        "key": row.key, "name": row.name, "kind": row.kind, "system": row.system,
        "changes": dict(row.changes), "seeds": len(results), "metrics": metrics,
        "published": _published(plan, row),
    }  # fmt: skip
    if results and row.kind == "trained":
        value |= {
            "images": results[0]["trained_images"], "parameters": results[0]["parameters"],
            "minutes": round(float(np.mean([r["minutes"] for r in results])), 1),
            "hashes": [r["hash"] for r in results],
        }  # fmt: skip
    reference = table.rows.get(plan.reference, [])
    if results and reference and row.key != plan.reference:
        value["difference"] = paired(results, reference, given, plan.compared)
    return value


def _published(plan: TablePlan, row: TableRow) -> dict[str, float | None]:
    """The paper's values of a row, by metric; None where unknown. None of table 2's or 4's is known."""
    printed = paper.TABLES[plan.number]
    group = next((c.group for c in printed.columns if c.group), "")
    known = {column.name for column in printed.columns}
    return {
        metric: printed.published(row.published, column, group)
        for metric, column in plan.columns
        if row.published and column in known
    }


# ------------------------------------------------------------------------------------------------ Markdown


def cell(metric: str, found: dict[str, Any] | None) -> str:
    """ "0.812 ± 0.004 [0.801, 0.823]", or "" where there is no number."""
    if found is None:
        return ""
    digits = METRICS[metric].digits if metric in METRICS else 2
    text = f"{found['value']:.{digits}f}"
    if found.get("std") is not None:
        text += f" ± {found['std']:.{digits}f}"
    if found["low"] is not None:
        text += f" [{found['low']:.{digits}f}, {found['high']:.{digits}f}]"
    return text


def _difference(metric: str, found: dict[str, Any] | None) -> str:
    if not found:
        return ""
    digits = METRICS[metric].digits
    return f"{found['value']:+.{digits}f} [{found['low']:+.{digits}f}, {found['high']:+.{digits}f}]"


def format_report(value: dict[str, Any], plan: TablePlan) -> str:
    """A table (`table_json`) as Markdown."""
    lines = [f"# Table {value['table']}: {value['title']}, preset {value['preset']}", *_facts(value)]
    for given, rows in value["given"].items():
        lines += [f"## Given {GIVEN[plan.task][given]}", _given_table(rows, plan)]
    lines += [f"Note: {note}." for note in [*value["notes"], *_frechet_note(value["frechet"])]]
    return "\n\n".join(lines) + "\n"


def _frechet_note(found: dict[str, Any] | None) -> list[str]:
    if found is None:
        return []
    words = f"the Frechet distance is {found['name']} of N = {found['n']} pictures and has no interval"
    if found["n"] <= found["features"]:
        words += f"; N is below the {found['features']} features: compare within this table only"
    return [words]


def _facts(value: dict[str, Any]) -> list[str]:
    if value["cases"] is None:
        return ["No stored result yet: `--train` makes what is missing."]
    cases = value["cases"]
    trained = [row for rows in value["given"].values() for row in rows if row["kind"] == "trained"]
    seeds = max((row["seeds"] for row in trained), default=0)
    images = f"{value['images']:,} training images a system" if value["images"] else "no trained row yet"
    machine = f", on {' and '.join(value['devices'])}" if value["devices"] else ""
    if known := [PRECISIONS.get(name, name) for name in value["precisions"]]:
        machine += f", in {' and '.join(known)}"
    told = f" ({value['data']})" if value["data"] else ""
    return [
        f"{images}{machine}; {seeds} seed{'s' if seeds != 1 else ''}; trained on {', '.join(value['people'])}"
        f"{told}. {cases['count']} cases of {cases['people']} people.",
        "Cells: mean over seeds ± standard deviation over seeds [mean of the seeds' "
        f"{cases['confidence']}]. Minutes: training, a seed. Published: the paper's, empty where unknown.",
    ]


def _given_table(rows: list[dict[str, Any]], plan: TablePlan) -> str:
    shown = [name for name, _ in plan.columns if any(row["metrics"].get(name) for row in rows)]
    shown = shown or [name for name, _ in plan.columns]
    compared = f"{_title(plan.compared)} against {_row_name(plan)}"
    header = ["system", *(_title(name, True) for name in shown), compared, "seeds", "images", "minutes"]
    return markdown([*header, "published"], [_cells(row, shown, plan.compared) for row in rows])


def _cells(row: dict[str, Any], shown: Sequence[str], compared: str) -> list[str]:
    """A row's cells, in the order of the header."""
    return [
        row["name"],
        *(cell(name, row["metrics"].get(name)) for name in shown),
        _difference(compared, row.get("difference")),
        str(row["seeds"] or "") if row["kind"] == "trained" else "",
        f"{row['images']:,}" if "images" in row else "",
        f"{row['minutes']:.1f}" if "minutes" in row else "",
        _published_text(row),
    ]


def _row_name(plan: TablePlan) -> str:
    return next(row.name for row in plan.rows if row.key == plan.reference)


def _title(name: str, arrow: bool = False) -> str:
    if name not in METRICS:
        return "Frechet distance (down)" if arrow else "Frechet distance"
    return METRICS[name].title + (f" ({'up' if METRICS[name].higher else 'down'})" if arrow else "")


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


def require_results(table: TableResult) -> None:
    """Raises: DeoccError: not one row has a result."""
    if not any(table.rows.values()):
        raise DeoccError(
            f"table {table.plan.number}: no stored result at preset {table.preset}; make them with --train "
            "--people DIR"
        )
