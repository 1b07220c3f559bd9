"""Makes what a table lacks: trains rows by the one loop, evaluates them on fixed cases, stores one JSON a
run.

A run lives in ``<runs>/<system>-<hash>``, where an interrupted one goes on; its result is
``<results>/<system>-<hash>.json``. Nothing is done twice: the hashes name everything that a result depends
on.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from tqdm.auto import tqdm

from deocc.baselines import (
    INPAINTERS,
    ConvexHull,
    InitialMask,
    MeanMask,
    NearestTemplate,
    TrueVisibleMask,
)
from deocc.comparison import evaluate_system, recovery_system, training_masks
from deocc.errors import DeoccError
from deocc.experiments import get_preset, load_people, train_system
from deocc.io import write_json
from deocc.occlusion import CaseFolder, make_cases, write_case
from deocc.people import PeopleFolder
from deocc.pipeline import Deoccluder, find_weights, pick_device
from deocc.predictions import case_view, cases_digest
from deocc.table_rows import (
    TABLE_2,
    TablePlan,
    TableRow,
    config_hash,
    fixed_config,
    people_digest,
    row_changes,
    run_config,
)
from deocc.templates import kmeans
from deocc.texture import GAIN
from deocc.training import checkpoints

RESULT_SCHEMA = "deocc.table-run/1"
EVALUATION = 1  # counts changes of the evaluation that change results
RATIOS = (0.08, 0.65)  # hidden share in the fixed cases
CLUSTERS, SAMPLES = 64, 600  # templates of the nearest-template control, and training people behind controls
PER_CASE = ("amodal_iou", "modal_iou", "invisible_iou", "recovered_psnr", "recovered_l1")
_log = logging.getLogger("deocc")


@dataclass(frozen=True)
class TableOptions:
    """What the rows of a table have in common.

    Attributes:
        preset: its name.
        people: people folders to train on; the cases come from the first one's split "val".
        images: training images a run.
        runs, results: folders of runs and made cases, and of results.
        cases: a case folder, or None.
        seeds: of each row's runs.
        threads, device: of training; None: torch's choice.
        stage1: weights of stage 1, for tables of stage 2; None: the shipped ones of the preset, else stage 1
            is trained first, with the same budget.
        precision: of training, "no", "fp16" or "bf16"; None: the preset's.
    """

    preset: str
    people: tuple[Path, ...]
    images: int
    runs: Path
    results: Path
    cases: Path | None = None
    seeds: tuple[int, ...] = (0,)
    threads: int | None = None
    device: str | None = None
    stage1: Path | None = None
    precision: str | None = None


# ------------------------------------------------------------------------------------------- fixed cases


def fixed_cases(
    people: Path,
    out: Path,
    tuning: bool = False,
    per_person: int = 3,
    seed: int = 0,
    limit: int | None = None,
) -> CaseFolder:
    """The cases of a comparison, made once and kept in `out`; ratios 0.08 to 0.65, M_i of severity 1.

    Args:
        people: people folder; its split "val", or the tenth of "train" held out for `tuning`.
        out: the case folder; an existing one is opened as it is.
        per_person, seed: as `make_cases`.
        limit: at most this many people.
    """
    if out.exists():
        return CaseFolder(out)
    persons: Sequence[Any]
    if tuning:
        held = load_people([people])
        persons, occluders = held.tuning_people, held.tuning_occluders
    else:
        folder = PeopleFolder(people, "val")
        persons, occluders = folder, folder.occluders("val")
    if not len(persons) or not len(occluders):
        raise DeoccError(
            f"{people}: {len(persons)} people and {len(occluders)} occluders to evaluate on; name --cases"
        )
    chosen = [persons[i] for i in range(min(len(persons), limit or len(persons)))]
    made = make_cases(chosen, occluders, per_person, RATIOS, 1.0, seed)
    part = out.with_name(f".{out.name}.{os.getpid()}")
    for case in tqdm(made, "occluding", len(chosen) * per_person, unit="case"):
        write_case(part, case)
    if not out.exists():  # another process may have been as quick
        part.rename(out)
    return CaseFolder(out)


def fit_controls(
    people: Sequence[Path], size: int = 128, seed: int = 0, samples: int = SAMPLES, clusters: int = CLUSTERS
) -> tuple[MeanMask, NearestTemplate]:
    """Mean mask and k-means templates from training people, occluded as the fixed cases are."""
    training = load_people(people)
    step = max(1, len(training.people) // samples)
    persons = [training.people[i] for i in range(0, len(training.people), step)][:samples]
    cases = make_cases(persons, training.occluders, 1, RATIOS, 1.0, seed + 1)
    masks = training_masks(tqdm(cases, "fitting", len(persons), unit="case"), size)
    small = torch.nn.functional.adaptive_avg_pool2d(torch.from_numpy(masks).float(), 64)
    templates = kmeans(small.flatten(1), min(clusters, max(1, len(masks) // 2)), seed=seed)
    return MeanMask.fit(masks), NearestTemplate(templates.reshape(-1, 64, 64).numpy())


# --------------------------------------------------------------------------------------------------- runs


class TableMaker:
    """Makes the missing results of a table's rows.

    Args:
        plan: the table.
        options: what its rows have in common.

    Raises:
        DeoccError: bad people folders or cases.
    """

    def __init__(self, plan: TablePlan, options: TableOptions) -> None:
        if not options.people:
            raise DeoccError("no people folder to train on; name at least one with --people")
        self.plan, self.options = plan, options
        self.data = people_digest(options.people)
        self.cases = self._open_cases()
        self.cases_digest = cases_digest(self.cases)

    @cached_property
    def stage1_weights(self) -> Path | None:
        """Stage 1's weights, for tables of stage 2; trains them where there are none."""
        if self.plan.task == "masks":
            return None
        if self.options.stage1 is not None:
            return self.options.stage1
        shipped = _shipped(self.options.preset)
        return shipped[0] if shipped else self._train_stage1()

    @cached_property
    def stage1(self) -> str:
        """Their digest; "" for tables of stage 1."""
        return "" if self.stage1_weights is None else _weights_digest([self.stage1_weights])

    def _train_stage1(self) -> Path:
        """The run that is table 2's and table 4's "ours", with this table's first seed."""
        o, row = self.options, next(row for row in TABLE_2.rows if row.key == "ours")
        config = run_config(row, o.preset, o.images, o.seeds[0], self.data, precision=o.precision)
        folder = _run_folder(o.runs, config)
        weights = folder / "weights.safetensors"
        with _claimed(folder) as ours:
            if not ours:
                raise DeoccError(f"{folder.name}: another process trains this stage 1; wait for it")
            if not weights.is_file():
                _log.info("table %s: no weights of stage 1 at preset %s; training them", self.plan.number,
                          o.preset)  # fmt: skip
                train_system(
                    row.system, o.people, o.preset, folder, bool(checkpoints(folder)),
                    row_changes(row, o.preset, o.images, o.precision), seed=o.seeds[0], device=o.device,
                    threads=o.threads,
                )  # fmt: skip
        return weights

    def _open_cases(self) -> CaseFolder:
        if self.options.cases is not None:
            return CaseFolder(self.options.cases)
        people = self.options.people[0]
        return fixed_cases(people, self.options.runs / f"cases-{people_digest([people])}")

    # ---- what there is

    def config(self, row: TableRow, seed: int) -> dict[str, Any] | None:
        """The configuration of a row; None where there are no weights to be shipped."""
        o = self.options
        if row.kind == "trained":
            return run_config(row, o.preset, o.images, seed, self.data, self.stage1, o.precision)
        if row.kind == "shipped":
            found = _shipped(o.preset)
            if found is None:
                return None
            if self.plan.task == "masks":  # they do not depend on stage 2
                return fixed_config(row, o.preset, "", _weights_digest(found[:1]))
            return fixed_config(row, o.preset, "", _weights_digest(found)) | {"texture": GAIN}
        return fixed_config(row, o.preset, self.data, stage1=self.stage1)

    def result_path(self, config: dict[str, Any]) -> Path:
        """Where the result of a configuration on these cases lies, or will lie."""
        name = config_hash(config | {"cases": self.cases_digest, "evaluation": EVALUATION})
        return self.options.results / f"{config['system'].replace('/', '-')}-{name}.json"

    def missing(self, rows: Sequence[TableRow]) -> list[tuple[TableRow, int, dict[str, Any]]]:
        """Row, seed and configuration of what has no result yet; the first seed of every row comes first."""
        out = []
        for seed in self.options.seeds:
            for row in rows:
                wanted = row.kind == "trained" or seed == self.options.seeds[0]
                config = self.config(row, seed) if wanted else None
                if config is not None and not self.result_path(config).is_file():
                    out.append((row, seed, config))
        return out

    # ---- what is made

    def make(self, rows: Sequence[TableRow], report: Callable[[str], None] = _log.info) -> list[str]:
        """Makes all that is missing; a row that another process is at is left to it.

        Returns:
            One line a row that was left.
        """
        left = []
        for row, seed, config in self.missing(rows):
            folder = _run_folder(self.options.runs, config)
            with _claimed(folder) as ours:
                if not ours:
                    left.append(f"{row.name}, seed {seed}: another process is at it")
                elif not self.result_path(config).is_file():
                    report(f"table {self.plan.number}: {row.name}, seed {seed}")
                    self._make(row, seed, config, folder)
        return left

    def _make(self, row: TableRow, seed: int, config: dict[str, Any], folder: Path) -> None:
        system, facts = self._system(row, seed, folder)
        results = {given: self._evaluate(system, given) for given in self.plan.givens}
        first = next(iter(results.values()))
        o = self.options
        value = {
            "schema": RESULT_SCHEMA, "kind": row.kind, "row": row.key, "system": config["system"],
            "changes": [list(change) for change in row.changes], "preset": o.preset, "seed": seed,
            "cases": {"digest": self.cases_digest, "name": self.cases.path.name, "count": first["cases"],
                      "people": first["people"], "confidence": first["confidence"]},
            "config": config, "hash": config_hash(config), "evaluation": EVALUATION,
            "people": [Path(folder).name for folder in o.people], **facts, "results": results,
        }  # fmt: skip
        write_json(self.result_path(config), value)

    def _system(self, row: TableRow, seed: int, folder: Path) -> tuple[Any, dict[str, Any]]:
        """A row's system, ready to predict, and what its result has to tell."""
        if row.kind == "trained":
            return self._train(row, seed, folder)
        if row.kind == "shipped":
            return Deoccluder.from_pretrained(self.options.preset, self.options.device), _machine("cpu")
        if row.key in INPAINTERS:
            return INPAINTERS[row.key](), _machine("cpu")
        simple = {"initial": InitialMask, "visible": TrueVisibleMask, "hull": ConvexHull}
        if row.key in simple:
            return simple[row.key](), _machine("cpu")
        mean, template = self._controls
        return {"mean": mean, "template": template}[row.key], _machine("cpu")

    @cached_property
    def _controls(self) -> tuple[MeanMask, NearestTemplate]:
        return fit_controls(self.options.people)

    def _train(self, row: TableRow, seed: int, folder: Path) -> tuple[Any, dict[str, Any]]:
        o = self.options
        changes = row_changes(row, o.preset, o.images, o.precision)
        trained = train_system(
            row.system, o.people, o.preset, folder, bool(checkpoints(folder)), changes, seed=seed,
            device=o.device, threads=o.threads, stage1=self.stage1_weights,
        )  # fmt: skip
        device = pick_device(o.device)
        trained.system.to(device)
        facts = {
            "minutes": round(trained.result.minutes, 2), "parameters": trained.card["parameters"],
            "trained_images": trained.result.steps * trained.card["training"]["batch_size"],
            "data": trained.card["data"], "command": trained.card["command"],
        }  # fmt: skip
        return trained.system, facts | _machine(str(device), o.threads)

    def _evaluate(self, system: Any, given: str) -> dict[str, Any]:
        shipped = isinstance(system, Deoccluder)  # such weights may have been trained at another size
        size = system.size if shipped else get_preset(self.options.preset).size
        options: dict[str, Any] = {"task": self.plan.task, "given": given, "size": size, "progress": True}
        if self.plan.task == "pixels":
            if shipped:  # end to end by its own masks
                system = recovery_system(system) if given == "modal" else system
            elif given == "initial":
                options["masks"] = self._stage1_system
        return _compact(evaluate_system(system, self.cases, "row", **options))

    @cached_property
    def _stage1_system(self) -> Path:
        """What stage 1 says about the cases, as a prediction folder: every row starts from the same masks."""
        assert self.stage1_weights is not None  # as the task is "pixels"
        out = self.options.runs / f"masks-{self.stage1}-{self.cases_digest}"
        if not out.exists():
            deoccluder = Deoccluder.masks_only(self.stage1_weights, self.options.device)
            part = out.with_name(f".{out.name}.{os.getpid()}")
            for case in tqdm(self.cases, "masks of stage 1", unit="case"):
                deoccluder.deocclude_views([case_view(case, "initial")], False)[0].save(part / case.id, False)
            if not out.exists():  # another process may have been as quick
                part.rename(out)
        return out


def _run_folder(runs: Path, config: dict[str, Any]) -> Path:
    """Where the run of a configuration lives."""
    return runs / f"{config['system'].replace('/', '-')}-{config_hash(config)}"


def _compact(result: dict[str, Any]) -> dict[str, Any]:
    """What a table and its comparisons need: figures, ratio bins, and a few numbers a case, without names."""
    cases = result["per_case"]
    people = {name: number for number, name in enumerate(dict.fromkeys(c["person_id"] for c in cases))}
    columns = {
        key: [round(case[key], 4) if key in case else None for case in cases]
        for key in PER_CASE
        if any(key in case for case in cases)
    }
    names = ("cases", "people", "confidence", "metrics", "frechet", "by_ratio")
    kept = {name: result[name] for name in names}
    return kept | {"per_case": {"person": [people[c["person_id"]] for c in cases], **columns}}


def _machine(device: str, threads: int | None = None) -> dict[str, Any]:
    name = torch.cuda.get_device_name() if device.startswith("cuda") else "CPU"
    facts = {"device": name, "torch": torch.__version__, "python": sys.version.split()[0]}
    return facts | ({"threads": threads} if threads and name == "CPU" else {})


def _shipped(preset: str) -> list[Path] | None:
    try:
        return list(find_weights(preset))
    except DeoccError:
        return None


def _weights_digest(paths: Sequence[Path]) -> str:
    sha = hashlib.sha256()
    for path in paths:
        if not Path(path).is_file():
            raise DeoccError(f"{path}: no such weights file")
        sha.update(Path(path).read_bytes())
    return sha.hexdigest()[:16]


@contextlib.contextmanager
def _claimed(folder: Path) -> Iterator[bool]:
    """Whether this process may work in a run's folder; a lock that dies with its process tells others off."""
    try:
        import fcntl
    except ImportError:  # not on Windows: there, processes must be given different rows
        yield True
        return
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            yield False
            return
        yield True
