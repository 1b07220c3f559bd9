"""Makes the missing results of a table.

Rows are trained, evaluated on fixed cases, and stored in one JSON file per run. A run's folder is
``<runs>/<system>-<digest>``; an interrupted run resumes there. Its result is
``<results>/<system>-<digest>-<cases>.json``. The digests cover everything that a result depends on, so
nothing is done twice.
"""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cached_property
from itertools import groupby
from pathlib import Path
from typing import Any

from tqdm.auto import tqdm

from deocc.baselines import (
    INPAINTERS,
    ConvexHull,
    InitialMask,
    MeanMask,
    NearestTemplate,
    TrueVisibleMask,
)
from deocc.device import pick_device
from deocc.errors import DeoccError
from deocc.evaluation.systems import evaluate_system, recovery_system
from deocc.experiments.registry import SYSTEMS
from deocc.experiments.run import TrainedSystem, train_system
from deocc.inference.deoccluder import Deoccluder
from deocc.inference.predictions import case_view, cases_digest
from deocc.io import make_once, remove_temporaries, write_json
from deocc.occlusion import CaseFolder
from deocc.paths import RESULTS, WEIGHTS
from deocc.tables.cases import fit_controls, fixed_cases
from deocc.tables.configuration import (
    IMAGES,
    CaseSet,
    Configuration,
    Run,
    configure,
    in_any_precision,
    people_digest,
    resolve,
    result_name,
    shipped_configuration,
    training_changes,
    weights_digest,
)
from deocc.tables.measuring import EVALUATION, claimed, compact, machine
from deocc.tables.protocol import pinned, stage_values
from deocc.tables.rates import read_rates, scaled
from deocc.tables.rows import TABLE_2, TablePlan, TableRow
from deocc.tables.stored import RESULT_SCHEMA, read_result
from deocc.training.checkpoints import checkpoints

_log = logging.getLogger("deocc")


@dataclass(frozen=True)
class TableOptions:
    """Options shared by the rows of a table.

    Attributes:
        preset: its name.
        people: people folders to train on; the cases come from the first one's split "val".
        images: training images per run; None: the preset's.
        runs: folder of runs and generated cases.
        results: folder of stored results.
        cases: a case folder, or None.
        seeds: of each row's runs.
        threads, device: of training; None: torch's choice.
        stage1: weights of stage 1, for tables of stage 2; None: the tables' own of the preset
            (`table-stage1-<preset>`), else stage 1 is trained first, with the same budget.
        precision: of training, "no", "fp16" or "bf16"; None: the preset's.
        complete: also repeat results that lack columns of the present evaluation.
        natural: also measure on natural cases, see `deocc.tables.cases.fixed_cases`.
        rate: factor on every row's learning rate.
        constant: the rate stays after the warm-up, and longer runs resume shorter ones (budget curves).
    """

    preset: str
    people: tuple[Path, ...] = ()
    images: int | None = None
    runs: Path = Path("runs/tables")
    results: Path = RESULTS / "tables"
    cases: Path | None = None
    seeds: tuple[int, ...] = (0,)
    threads: int | None = None
    device: str | None = None
    stage1: Path | None = None
    precision: str | None = None
    complete: bool = False
    natural: bool = False
    rate: float = 1.0
    constant: bool = False


class TableMaker:
    """Makes the missing results of a table's rows.

    Args:
        plan: the table.
        options: shared by its rows.

    Raises:
        DeoccError: bad people folders or cases.
    """

    def __init__(self, plan: TablePlan, options: TableOptions) -> None:
        if not options.people:
            raise DeoccError("no people folder to train on; name at least one with --people")
        if options.stage1 is not None and not options.stage1.is_file():
            raise DeoccError(
                f"{options.stage1}: no such file; give weights of stage 1, or leave --stage1 out"
            )
        self.plan, self.options = plan, options
        self.images = options.images or IMAGES[options.preset]
        self.data = people_digest(options.people)
        self.rates = read_rates(options.results, options.preset)
        self.folders = self._open_cases()
        self.digests: dict[CaseSet, str] = {name: cases_digest(f) for name, f in self.folders.items()}

    @cached_property
    def stage1_weights(self) -> Path | None:
        """Stage 1's weights, for tables of stage 2; trains them if there are none."""
        if self.plan.task == "masks":
            return None
        if self.options.stage1 is not None:
            return self.options.stage1
        frozen = WEIGHTS / f"table-stage1-{self.options.preset}.safetensors"
        return frozen if frozen.is_file() else self._train_stage1()

    @cached_property
    def stage1(self) -> str:
        """Their digest; "" for tables of stage 1."""
        return "" if self.stage1_weights is None else weights_digest([self.stage1_weights])

    def _train_stage1(self) -> Path:
        """The run that is table 2's and table 4's "ours", with this table's first seed."""
        o, row = self.options, next(row for row in TABLE_2.rows if row.key == "ours")
        configuration = configure(
            row, o.preset, self.images, o.seeds[0], self.data, precision=o.precision, lr=self.rates.of(row)
        )
        folder = o.runs / configuration.name
        weights = folder / "weights.safetensors"
        with claimed(folder) as ours:
            if not ours:
                raise DeoccError(f"{folder.name}: another process trains this stage 1; wait for it")
            if not weights.is_file():
                _log.info("table %s: no weights of stage 1 at preset %s; training them", self.plan.number,
                          o.preset)  # fmt: skip
                self._train(configuration, folder)
        return weights

    def _open_cases(self) -> dict[CaseSet, CaseFolder]:
        people, runs = self.options.people[0], self.options.runs
        digest = people_digest([people])
        given = self.options.cases
        found: dict[CaseSet, CaseFolder] = {
            "synthetic": fixed_cases(people, runs / f"cases-{digest}") if given is None else CaseFolder(given)
        }
        if self.options.natural:
            found["natural"] = fixed_cases(people, runs / f"cases-natural-{digest}", placement="natural")
        return found

    # ---- what there is

    def run(self, row: TableRow, seed: int, cases: CaseSet = "synthetic") -> Run | None:
        """A row with a seed on a set of cases; None if it needs shipped weights that do not exist."""
        configuration = self._configuration(row, seed)
        if configuration is None:
            return None
        path = self.options.results / result_name(configuration, self.digests[cases])
        return Run(row, seed, configuration, path, cases)

    def _configuration(self, row: TableRow, seed: int) -> Configuration | None:
        o = self.options
        if row.kind == "control":
            return Configuration(f"control/{row.key}", o.preset, data=self.data, stage1=self.stage1)
        if row.kind == "shipped":
            return shipped_configuration(row, o.preset, self.plan.task)
        return configure(
            row, o.preset, self.images, seed, self.data, stage1=self.stage1, precision=o.precision,
            lr=scaled(self.rates.of(row), o.rate), constant=o.constant,
        )  # fmt: skip

    def runs(self, rows: Sequence[TableRow]) -> list[Run]:
        """All runs of some rows; the first seed of every row comes first, only trained rows have others."""
        seeds = self.options.seeds
        wanted = [(row, s) for s in seeds for row in rows if row.kind == "trained" or s == seeds[0]]
        found = [self.run(row, seed, cases) for row, seed in wanted for cases in self.folders]
        return [run for run in found if run is not None]

    def missing(self, rows: Sequence[TableRow]) -> list[Run]:
        """Runs without a result; with `complete`, also those whose result lacks columns."""
        return [run for run in self.runs(rows) if not self._is_made(run)]

    def _is_made(self, run: Run) -> bool:
        """Whether a run has its result, in whatever precision it was trained: a table shows one of them."""
        found = [read_result(path) for path in self._paths(run) if path.is_file()]
        needed = EVALUATION[self.plan.task] if self.options.complete else 0
        return any(result is not None and result["evaluation"] >= needed for result in found)

    def _paths(self, run: Run) -> list[Path]:
        """Files in which a run's result may be stored, one per precision of training."""
        if run.row.kind != "trained":
            return [run.path]
        names = [result_name(c, self.digests[run.cases]) for c in in_any_precision(run.configuration)]
        return [self.options.results / name for name in names]

    def folder(self, configuration: Configuration) -> Path:
        """The folder of a run; the points of a budget curve share one."""
        shared = replace(configuration, images=0) if configuration.schedule else configuration
        return self.options.runs / shared.name

    # ---- what is made

    def make(self, rows: Sequence[TableRow], report: Callable[[str], None] = _log.info) -> list[str]:
        """Makes all missing results; rows locked by another process are skipped.

        Returns:
            One line per skipped row.
        """
        left = []
        for configuration, group in groupby(self.missing(rows), key=lambda run: run.configuration):
            runs = list(group)
            folder, name = self.folder(configuration), f"{runs[0].row.name}, seed {runs[0].seed}"
            with claimed(folder) as ours:
                todo = [run for run in runs if ours and not self._is_made(run)]
                if not ours:
                    left.append(f"{name}: another process is training it")
                elif todo:
                    report(f"table {self.plan.number}: {name}, {self.images:,} images")
                    self._make(todo, folder)
        return left

    def system(self, row: TableRow, seed: int = 0) -> Any:
        """A row's system, ready to predict; trains it first if its folder has no weights.

        Raises:
            DeoccError: the preset has no shipped weights, or another process trains the row.
        """
        run = self.run(row, seed)
        if run is None:
            raise DeoccError(f"{row.name}: no weights are shipped with preset {self.options.preset}")
        folder = self.folder(run.configuration)
        with claimed(folder) as ours:
            if not ours:
                raise DeoccError(f"{folder.name}: another process trains this row; wait for it")
            return self._system(run, folder)[0]

    def _make(self, runs: Sequence[Run], folder: Path) -> None:
        """Trains once, measures on the cases of each run."""
        system, facts = self._system(runs[0], folder)
        for run in runs:
            results = {given: self._evaluate(system, given, run.cases) for given in self.plan.givens}
            remove_temporaries(run.path.parent, run.path.name.__eq__)  # of a killed process
            write_json(run.path, self._result(run, facts, results))

    def _result(self, run: Run, facts: dict[str, Any], results: dict[str, Any]) -> dict[str, Any]:
        first, configuration = next(iter(results.values())), run.configuration
        cases = {
            "set": run.cases, "digest": self.digests[run.cases], "name": self.folders[run.cases].path.name,
            "count": first["cases"], "people": first["people"], "confidence": first["confidence"],
        }  # fmt: skip
        return {
            "schema": RESULT_SCHEMA, "kind": run.row.kind, "row": run.row.key, "seed": run.seed,
            "changes": [list(change) for change in run.row.changes],
            "configuration": configuration.to_json(), "digest": configuration.digest, "cases": cases,
            "evaluation": EVALUATION[self.plan.task],
            "made": datetime.now(UTC).isoformat(timespec="seconds"),
            "people": [Path(folder).name for folder in self.options.people], **facts, "results": results,
        }  # fmt: skip

    def _system(self, run: Run, folder: Path) -> tuple[Any, dict[str, Any]]:
        """A run's system, ready to predict, with facts for its result."""
        row = run.row
        if row.kind == "trained":
            return self._trained(run, folder)
        if row.kind == "shipped":
            return Deoccluder.from_pretrained(self.options.preset, self.options.device), machine("cpu")
        if row.key in INPAINTERS:
            return INPAINTERS[row.key](), machine("cpu")
        simple = {"initial": InitialMask, "visible": TrueVisibleMask, "hull": ConvexHull}
        if row.key in simple:
            return simple[row.key](), machine("cpu")
        mean, template = self._controls
        return {"mean": mean, "template": template}[row.key], machine("cpu")

    @cached_property
    def _controls(self) -> tuple[MeanMask, NearestTemplate]:
        return fit_controls(self.options.people)

    def _train(self, configuration: Configuration, folder: Path) -> TrainedSystem:
        """Trains a configuration, or resumes its run; weights and last checkpoint stay.

        Raises:
            DeoccError: an earlier run has exceeded that budget.
        """
        o, c = self.options, configuration
        changes = training_changes(c)
        trained = train_system(
            c.system, o.people, c.preset, folder, resume=bool(checkpoints(folder)), changes=changes,
            seed=c.seed, device=o.device, threads=o.threads, stage1=self.stage1_weights,
        )  # fmt: skip
        wanted = getattr(resolve(c), SYSTEMS[c.system].stage).train.steps
        if trained.result.steps != wanted:
            raise DeoccError(
                f"{folder}: has trained {trained.result.steps} steps, {wanted} were wanted; remove the "
                "folder to make that point again"
            )
        for old in checkpoints(folder)[:-1]:
            old.unlink()
        if c.schedule:
            shutil.copyfile(trained.weights, folder / f"weights-{c.images}.safetensors")
        return trained

    def _trained(self, run: Run, folder: Path) -> tuple[Any, dict[str, Any]]:
        o, trained = self.options, self._train(run.configuration, folder)
        device = pick_device(o.device)
        trained.system.to(device)
        card, values = trained.card, resolve(run.configuration)
        images = trained.result.steps * card["training"]["batch_size"]
        facts = {
            "minutes": round(trained.result.minutes, 2), "parameters": card["parameters"],
            "trained_images": images, "images_per_second": round(images / 60 / trained.result.minutes, 1),
            "data": card["data"], "command": card["command"],
            "values": {"size": values.size} | _json(stage_values(getattr(values, run.row.stage))),
        }  # fmt: skip
        return trained.system, facts | machine(str(device), o.threads)

    def _evaluate(self, system: Any, given: str, cases: CaseSet) -> dict[str, Any]:
        shipped = isinstance(system, Deoccluder)  # such weights may have been trained at another size
        size = system.size if shipped else pinned()[self.options.preset]["size"]
        options: dict[str, Any] = {"task": self.plan.task, "prompt": given, "size": size, "progress": True}
        if self.plan.task == "pixels":
            if shipped:  # end to end by its own masks
                system = recovery_system(system) if given == "modal" else system
            elif given == "initial":
                options["masks"] = self._stage1_masks(cases)
        return compact(evaluate_system(system, self.folders[cases], "row", **options))

    def _stage1_masks(self, cases: CaseSet) -> Path:
        """Stage 1's predictions for the cases, as a prediction folder; shared by all rows."""
        weights = self.stage1_weights
        assert weights is not None  # as the task is "pixels"
        out = self.options.runs / f"masks-{self.stage1}-{self.digests[cases]}"

        def write(part: Path) -> None:
            deoccluder = Deoccluder.masks_only(weights, self.options.device)
            for case in tqdm(self.folders[cases], "masks of stage 1", unit="case"):
                deoccluder.deocclude_views([case_view(case, "initial")], False)[0].save(part / case.id, False)

        make_once(out, write)
        return out


def _json(values: dict[str, Any]) -> dict[str, Any]:
    return dict(json.loads(json.dumps(values, default=str)))
