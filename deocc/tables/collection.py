"""Collects the stored results of a table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from deocc.tables.configuration import (
    Configuration,
    configure,
    differences,
    row_name,
    shipped_configuration,
)
from deocc.tables.protocol import protocol_preset
from deocc.tables.rates import Rates
from deocc.tables.rows import TablePlan, TableRow
from deocc.tables.stored import Result


@dataclass(frozen=True)
class Setup:
    """The setup that trained rows of one table must share to be comparable.

    Attributes:
        data: digest of the people folders; "" = any.
        images: training images per run; 0 = any.
        cases: digest of the case folder; "" = any.
        stage1: digest of stage 1's weights, for tables of stage 2; "" = any.
    """

    data: str = ""
    images: int = 0
    cases: str = ""
    stage1: str = ""

    def holds(self, result: Result) -> bool:
        """Whether a result fits; controls have no images, shipped weights have no data digest."""
        c: Configuration = result["configuration"]
        if self.cases not in ("", result["cases"]["digest"]):
            return False
        if result["kind"] != "shipped":
            if self.data not in ("", c.data) or self.stage1 not in ("", c.stage1):
                return False
        return result["kind"] != "trained" or self.images in (0, c.images)


ANY = Setup()


@dataclass
class TableResult:
    """A table that can be printed.

    Attributes:
        rows: key -> results, one per seed.
        natural: the results of `rows` on one set of cases with naturally placed occluders.
        notes: remarks for the reader.
    """

    plan: TablePlan
    preset: str
    setup: Setup
    rows: dict[str, list[Result]] = field(default_factory=dict)
    natural: dict[str, list[Result]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def collect(
    plan: TablePlan, preset: str, results: Sequence[Result], wanted: Setup = ANY, rates: Rates | None = None
) -> TableResult:
    """Picks comparable results for a table's rows.

    If several setups are stored, the one with most rows is used, then the one with most images, then the
    newest. A note names the others.

    Args:
        results: of `read_results`.
        wanted: narrows the choice.
        rates: the rows' learning rates; None: the protocol's.
    """
    here = [r for r in results if r["configuration"].preset == preset]
    rows = {row.key: [r for r in here if is_of(r, row)] for row in plan.rows}
    natural = [r for held in rows.values() for r in held if case_set(r) == "natural"]
    rows = {key: [r for r in held if _belongs(r, plan, wanted)] for key, held in rows.items()}
    setup, others = _choose(rows, wanted)
    natural = of_one_setup([r for r in natural if replace(setup, cases="").holds(r)])
    table = TableResult(plan, preset, setup)
    stale: dict[str, list[str]] = {}
    for row in plan.rows:
        held = [r for r in rows[row.key] if setup.holds(r)]
        table.rows[row.key], differences = _by_seed(row, held, plan.task, rates or Rates(preset))
        digests = {r["digest"] for r in table.rows[row.key]}
        table.natural[row.key] = list({r["digest"]: r for r in natural if r["digest"] in digests}.values())
        if differences:
            stale[row_name(row, preset)] = differences
    table.notes += [f"{name}: of an earlier configuration ({'; '.join(d)})" for name, d in stale.items()]
    if others:
        table.notes.append(f"{others} other setups (data, images, cases, stage 1) have results too; --images "
                           "and --people choose")  # fmt: skip
    return table


def _belongs(result: Result, plan: TablePlan, wanted: Setup) -> bool:
    complete = set(plan.givens) <= set(result["results"])
    return complete and case_set(result) == "synthetic" and wanted.holds(result)


def of_one_setup(results: Sequence[Result]) -> list[Result]:
    """The results of the data, cases and stage 1 that most of them share; of equally many, of the newest.

    Controls and shipped weights count with any data and stage 1.
    """
    setups: dict[tuple[str, str, str], int] = {}
    for result in results:
        setups[_setup_of(result)] = setups.pop(_setup_of(result), 0) + 1  # the newest is last
    trained = {setup: count for setup, count in setups.items() if setup[1]} or setups
    if not trained:
        return []
    best = max(reversed(list(trained)), key=trained.__getitem__)
    return [
        r for r in results if all(own in ("", want) for own, want in zip(_setup_of(r), best, strict=True))
    ]


def _setup_of(result: Result) -> tuple[str, str, str]:
    """Digests of cases, data and stage 1; "" for what does not count."""
    c: Configuration = result["configuration"]
    own = (c.data, c.stage1) if result["kind"] == "trained" else ("", "")
    return (result["cases"]["digest"], *own)


def case_set(result: Result) -> str:
    """The kind of cases a result was measured on: "synthetic" or "natural"."""
    return str(result["cases"].get("set", "synthetic"))


def is_of(result: Result, row: TableRow, schedule: str = "") -> bool:
    """Whether a result belongs to a row: the same system, changes and schedule."""
    if row.kind != result["kind"]:
        return False
    if row.kind != "trained":
        return bool(result["row"] == row.key)
    c: Configuration = result["configuration"]
    if c.system != row.system or c.schedule != schedule:
        return False
    same = result["changes"] == [list(change) for change in row.changes]
    return same or c.changes == configure(row, c.preset, c.images, c.seed, c.data).changes


def _choose(rows: dict[str, list[Result]], wanted: Setup) -> tuple[Setup, int]:
    """The setup with most rows, and the number of others."""
    setups: dict[Setup, set[str]] = {}
    for key, result in ((key, r) for key, held in rows.items() for r in held if r["kind"] == "trained"):
        c: Configuration = result["configuration"]
        setup = Setup(c.data, c.images, result["cases"]["digest"], c.stage1)
        setups.setdefault(setup, set()).add(key)
    results = [r for held in rows.values() for r in held]
    if not setups:
        return wanted if not results else _of_control(results[-1], wanted), 0
    newest = {s: i for i, s in enumerate(setups)}
    best = max(setups, key=lambda s: (len(setups[s]), s.images, newest[s]))
    return best, len(setups) - 1


def _of_control(result: Result, wanted: Setup) -> Setup:
    c: Configuration = result["configuration"]
    return Setup(c.data or wanted.data, wanted.images, result["cases"]["digest"], c.stage1 or wanted.stage1)


def _by_seed(row: TableRow, held: list[Result], task: str, rates: Rates) -> tuple[list[Result], list[str]]:
    """One result per seed, nearest to the present configuration, then newest; with the differences."""
    chosen: dict[int, tuple[list[str], Result]] = {}
    for result in held:
        differences = _differences(row, result, task, rates)
        old = chosen.get(result["seed"])
        if old is None or len(differences) <= len(old[0]):
            chosen[result["seed"]] = (differences, result)
    kept = [chosen[seed] for seed in sorted(chosen)]
    words = list(dict.fromkeys(word for differences, _ in kept for word in differences))
    return [result for _, result in kept], words


def _differences(row: TableRow, result: Result, task: str, rates: Rates) -> list[str]:
    """Differences of a stored configuration from the row's present one."""
    old: Configuration = result["configuration"]
    if row.kind == "shipped":
        shipped = shipped_configuration(row, old.preset, task)
        return [] if shipped is None else differences(old, shipped)
    if row.kind != "trained":
        return []
    now = configure(
        row, old.preset, old.images, old.seed, old.data, old.stage1, precision_of(result), rates.of(row)
    )
    return differences(old, now)


def precision_of(result: Result) -> str:
    """Precision of a trained result's training."""
    c: Configuration = result["configuration"]
    pinned = getattr(protocol_preset(c.system, c.preset), c.system.partition("/")[0])
    return c.precision or str(pinned.train.mixed_precision)
