"""The campaign that decides the tables: rates, seeds, budget curves.

A stopped campaign resumes, and several processes can share one through locks.

1. **Rates**: every system is trained with three learning rates for a third of the budget. It is scored on the
   tenth of the training people that is held out for tuning. Tables use the best rate, in ``lr-search.json``.
2. **Seeds**: every row of tables 2 to 6, three seeds, the whole budget, on synthetic and natural cases.
3. **Curves**: one seed at a constant rate with averaged weights, measured on the way.

Each part is useful by itself. Trained weights stay in the runs folder, so a later metric needs no training.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from deocc.errors import DeoccError
from deocc.evaluation.report import METRICS
from deocc.io import read_json, write_json
from deocc.tables.cases import fixed_cases
from deocc.tables.configuration import IMAGES, configure, in_any_precision, people_digest
from deocc.tables.rates import FILE, SCHEMA, scaled
from deocc.tables.rows import CURVES, TABLE_2, TABLE_3, TABLE_4, TABLE_5, TABLE_6, TablePlan, TableRow
from deocc.tables.runs import TableMaker, TableOptions
from deocc.tables.stored import Result, read_result

_log = logging.getLogger("deocc")

FACTORS = (1 / 3, 1.0, 3.0)  # of the protocol's rate
SEEDS = (0, 1, 2)
POINTS = (2_500, 5_000, 10_000, 20_000, 40_000)  # images


@dataclass(frozen=True)
class Campaign:
    """The content of a campaign, in order.

    Attributes:
        options: preset, people, budget of a row, threads, folders. Seeds, rate and schedule are set here.
        seeds, factors, points: of the three parts.
        plans: tables, in the order of work.
        curves: rows of the budget curves, by table.
        patience: seconds before rows locked by other processes are checked again.
    """

    options: TableOptions
    seeds: tuple[int, ...] = SEEDS
    factors: tuple[float, ...] = FACTORS
    points: tuple[int, ...] = POINTS
    plans: tuple[TablePlan, ...] = (TABLE_2, TABLE_4, TABLE_3, TABLE_5, TABLE_6)
    curves: Sequence[tuple[str, tuple[str, ...]]] = tuple(CURVES.items())
    patience: float = 60.0

    def __post_init__(self) -> None:
        """Checks the points: a run passes them in order."""
        if min(self.points, default=1) < 1 or list(self.points) != sorted(set(self.points)):
            shown = " ".join(map(str, self.points))
            raise DeoccError(f"points of the curves: expected ascending numbers of images, got {shown}")

    @property
    def images(self) -> int:
        """Budget of a row."""
        return self.options.images or IMAGES[self.options.preset]

    def run(self) -> None:
        """Runs all parts in order."""
        self.search()
        self.repeat()
        self.follow()

    # ---- 1: rates

    def search(self) -> Path:
        """Searches the rates that are missing; returns the file of the rates."""
        for factor in self.factors:
            for maker, rows in self._searching(factor):
                self._all(maker, rows)
        return self._save_rates()

    def _searching(self, factor: float) -> Iterator[tuple[TableMaker, list[TableRow]]]:
        """Tables with the rows whose rate is searched, at one factor, measured on tuning people."""
        o = self.options
        people = o.people[0]
        cases = o.runs / f"cases-tuning-{people_digest([people])}"
        fixed_cases(people, cases, tuning=True, per_person=1)
        options = replace(
            o, images=-(-self.images // 3), seeds=(self.seeds[0],), rate=factor, cases=cases,
            results=o.runs / "lr-search",
        )  # fmt: skip
        seen: set[str] = set()
        for plan in self.plans:
            rows = [r for r in plan.rows if r.kind == "trained" and (r.searched or not r.changes)]
            rows = [r for r in rows if r.search_key not in seen]
            seen |= {r.search_key for r in rows}
            maker = TableMaker(plan, options)
            if left := [row for row in rows if not self._is_searched(maker, row)]:
                yield maker, left

    def _is_searched(self, maker: TableMaker, row: TableRow) -> bool:
        """Whether the file of the rates has all trials of a row, in whatever precision."""
        path = self.options.results / FILE
        entry = read_json(path)["presets"].get(self.options.preset, {}) if path.is_file() else {}
        tried = entry.get("rows", {}).get(row.search_key, {}).get("tried", ())
        known, o = {trial["digest"] for trial in tried}, maker.options
        for factor in self.factors:
            lr = scaled(maker.rates.of(row), factor)
            wanted = configure(row, o.preset, maker.images, self.seeds[0], maker.data, maker.stage1, lr=lr)
            if not known & {c.digest for c in in_any_precision(wanted)}:
                return False
        return True

    def _save_rates(self) -> Path:
        tried: dict[str, list[dict[str, Any]]] = {}
        protocol: dict[str, float] = {}
        for factor in self.factors:
            for maker, rows in self._searching(factor):
                for row in rows:
                    run = maker.run(row, self.seeds[0])
                    result = read_result(run.path) if run is not None else None
                    assert result is not None and run is not None  # made above
                    protocol[row.search_key] = maker.rates.of(row)
                    tried.setdefault(row.search_key, []).append(_trial(result, maker, row, factor))
        rows_json = {
            key: {"chosen": _best(trials), "protocol": protocol[key], "tried": trials}
            for key, trials in tried.items()
        }
        path = self.options.results / FILE
        old = read_json(path) if path.is_file() else {"presets": {}}
        entry: dict[str, Any] = {"images": -(-self.images // 3), "seed": self.seeds[0]}
        before = old["presets"].get(self.options.preset, {})
        if all(before.get(key) == value for key, value in entry.items()):
            rows_json = {**before["rows"], **rows_json}  # those of other tables
        entry["rows"] = rows_json
        presets = {**old["presets"], self.options.preset: entry}
        about = "mean over both prompts of invisible IoU or PSNR (dB), on people held out for tuning"
        return write_json(path, {"schema": SCHEMA, "score": about, "presets": presets})

    # ---- 2: seeds

    def repeat(self) -> None:
        """Every row of every table, seed by seed."""
        for seed in self.seeds:
            options = replace(self.options, seeds=(seed,), natural=True, complete=True)
            for plan in self.plans:
                first = seed == self.seeds[0]
                rows = [row for row in plan.rows if first or row.kind == "trained"]
                self._all(TableMaker(plan, options), rows)

    # ---- 3: curves

    def follow(self) -> None:
        """Budget curves, row by row."""
        plans = {plan.number: plan for plan in self.plans}
        for number, keys in self.curves:
            for key in keys if number in plans else ():
                for images in self.points:
                    options = replace(self.options, images=images, seeds=(self.seeds[0],), constant=True)
                    maker = TableMaker(plans[number], options)
                    self._all(maker, plans[number].picked([key]))

    # ---- all of them

    def _all(self, maker: TableMaker, rows: Sequence[TableRow]) -> None:
        """Makes rows; waits for rows locked by another process."""
        while maker.make(rows):
            time.sleep(self.patience)

    def left(self) -> dict[str, int]:
        """Runs that have no result yet, by part."""
        found = {"rates": sum(len(m.missing(rows)) for f in self.factors for m, rows in self._searching(f))}
        options = replace(self.options, seeds=self.seeds, natural=True, complete=True)
        found["seeds"] = sum(len(TableMaker(plan, options).missing(plan.rows)) for plan in self.plans)
        plans, count = {plan.number: plan for plan in self.plans}, 0
        for number, keys in self.curves:
            for images in self.points if number in plans else ():
                options = replace(self.options, images=images, seeds=(self.seeds[0],), constant=True)
                count += len(TableMaker(plans[number], options).missing(plans[number].picked(keys)))
        return {**found, "curves": count}


def _trial(result: Result, maker: TableMaker, row: TableRow, factor: float) -> dict[str, Any]:
    """A rate and its score: the mean over both prompts of the table's compared metric."""
    name = maker.plan.compared
    values = [result["results"][given]["metrics"][name]["value"] for given in maker.plan.givens]
    score = float(np.mean(values)) * (1 if METRICS[name].higher else -1)
    lr = result["configuration"].lr or maker.rates.of(row)
    return {"factor": round(factor, 4), "lr": lr, "score": round(score, 5), "digest": result["digest"]}


def _best(trials: Sequence[dict[str, Any]]) -> float:
    """The rate with the highest score; of equal ones the nearest to the protocol's."""
    best = max(trials, key=lambda t: (t["score"], -abs(np.log(t["factor"]))))
    return float(best["lr"])
