"""The ablation workbench: trains ours with some parts switched off, in about a minute.

The code is that of tables 4 and 6, in a separate process that can be stopped. Its rows are not part of these
tables. `deocc.widgets.AblationWorkbench` is the interface.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Literal

from deocc.errors import DeoccError
from deocc.paths import PEOPLE_MINI
from deocc.tables.cases import fixed_cases
from deocc.tables.collection import TableResult, collect
from deocc.tables.configuration import configure, people_digest, resolve, weights_digest
from deocc.tables.protocol import pinned
from deocc.tables.rows import ALPHAS, MASK_PARTS, TABLE_4, TABLE_6, TablePlan, TableRow, content_row, mask_row
from deocc.tables.runs import TableMaker, TableOptions
from deocc.tables.stored import Result, read_results

Task = Literal["masks", "pixels"]
PRESET = "tiny"
IMAGES = 1_024
PLANS: dict[Task, TablePlan] = {"masks": TABLE_4, "pixels": TABLE_6}
PART_WORDS = {
    "modal": "visible-mask branch", "parsing": "body-part branches", "templates": "templates",
    "discriminator": "discriminator",
}  # fmt: skip
STREAM_WORDS = {"body": "attention over body parts", "spatial": "attention to visible positions"}


def masks_choice(parts: Sequence[str]) -> TableRow:
    """Ours, stage 1, with some of its parts. Raises: DeoccError: there is no such part."""
    _known(parts, MASK_PARTS)
    kept = [part for part in MASK_PARTS if part in parts]
    names = [PART_WORDS[part] for part in PART_WORDS if part in kept]
    key = "all" if len(kept) == len(MASK_PARTS) else "-".join(kept) or "none"
    return mask_row(key, _words(names, "all four parts", len(MASK_PARTS)), kept)


def pixels_choice(streams: Sequence[str], alpha: float = 0.3, cascade: bool = False) -> TableRow:
    """Ours, stage 2, with some attention and a share of background.

    Args:
        streams: some of "body" and "spatial".
        alpha: one of table 5's shares.
        cascade: both streams one after the other instead of side by side.

    Raises:
        DeoccError: no such stream, or share.
    """
    _known(streams, STREAM_WORDS)
    if alpha not in ALPHAS:
        raise DeoccError(f"alpha is {alpha}; expected one of {', '.join(map(str, ALPHAS))}")
    both = len(set(streams)) == 2
    attention = ("cascade" if cascade else "fusion") if both else next(iter(streams), "none")
    names = [STREAM_WORDS[s] for s in STREAM_WORDS if s in streams]
    pair = f"both attentions, {'one after the other' if cascade else 'side by side'}"
    name = f"{pair if both else ', '.join(names) or 'no attention'}; alpha = {alpha:g}"
    key = "ours" if (attention, alpha) == ("fusion", 0.3) else f"{attention}-{alpha:g}"
    return content_row(key, name, alpha=alpha, attention=attention)


def _known(parts: Sequence[str], allowed: Any) -> None:
    if strange := sorted(set(parts) - set(allowed)):
        raise DeoccError(f"part {strange[0]!r} is unknown; choose from {', '.join(allowed)}")


def _words(names: Sequence[str], all_words: str, count: int) -> str:
    return all_words if len(names) == count else ", ".join(names) or "none of the parts"


@dataclass(frozen=True)
class Bench:
    """Settings of the workbench.

    Attributes:
        folder: of runs, cases and results; a later session finds the rows again.
        images: training images per row.
        persons: number of validation people to measure on, one case each.
        people: people folder.
        threads: CPU threads of training; None: torch's choice.
    """

    folder: Path = Path("runs/workbench")
    images: int = IMAGES
    persons: int = 24
    people: Path = PEOPLE_MINI
    threads: int | None = None

    @property
    def results(self) -> Path:
        """Folder of stored results."""
        return self.folder / "results"

    def options(self, task: Task, seed: int = 0) -> TableOptions:
        """The tables' maker of runs; makes the cases if they are missing."""
        cases = self.folder / f"cases-{self.persons}-{people_digest([self.people])}"
        fixed_cases(self.people, cases, per_person=1, limit=self.persons)
        stage1 = self._stage1() if task == "pixels" else None
        return TableOptions(
            PRESET, (self.people,), self.images, self.folder / "runs", self.results, cases, (seed,),
            self.threads, "cpu", stage1,
        )  # fmt: skip

    def _stage1(self) -> Path:
        """Stage 1's weights for training painters: the row with all parts, seed 0."""
        row, data = masks_choice(tuple(MASK_PARTS)), people_digest([self.people])
        run = configure(row, PRESET, self.images, 0, data)
        return self.folder / "runs" / run.name / "weights.safetensors"

    def log(self, task: Task, row: TableRow, seed: int = 0) -> tuple[Path, bool]:
        """The log that a row's training writes now, and whether it is that of its stage 1, which comes first.

        Raises:
            DeoccError: there is no people folder.
        """
        stage1 = ""
        if task == "pixels":
            if not self._stage1().is_file():
                return self._stage1().with_name("log.jsonl"), True
            stage1 = weights_digest([self._stage1()])
        run = configure(row, PRESET, self.images, seed, people_digest([self.people]), stage1)
        return self.folder / "runs" / run.name / "log.jsonl", False

    def make(self, task: Task, row: TableRow, seed: int = 0) -> None:
        """Trains and measures a row in this process, unless it is stored already."""
        if task == "pixels" and not self._stage1().is_file():
            self.make("masks", masks_choice(tuple(MASK_PARTS)))
        plan = replace(PLANS[task], rows=(row,))
        if TableMaker(plan, self.options(task, seed)).make([row]):
            raise DeoccError(f"{row.name}: another process is training it")

    def rows(self, task: Task) -> TableResult:
        """All stored rows as a table; its reference is the row with all parts."""
        found = [r for r in read_results([self.results]) if _task_of(r) == task]
        rows = {r["row"]: row_of(r) for r in found}
        return collect(replace(PLANS[task], rows=tuple(rows.values())), PRESET, found)

    def steps(self, task: Task) -> int:
        """Steps of a row's training."""
        row = PLANS[task].rows[-1]
        stage = getattr(resolve(configure(row, PRESET, self.images, 0, "")), row.stage)
        return int(stage.train.steps)


def _task_of(result: Result) -> Task:
    return "masks" if result["configuration"].system.startswith("mask/") else "pixels"


def row_of(result: Result) -> TableRow:
    """The row of a stored result of the workbench."""
    changes = dict(result["changes"])
    if _task_of(result) == "masks":
        return masks_choice([part for part, (key, _) in MASK_PARTS.items() if key not in changes])
    attention = changes.get("content.settings.attention", "fusion")
    streams = {"none": (), "fusion": tuple(STREAM_WORDS), "cascade": tuple(STREAM_WORDS)}
    chosen = streams.get(attention, (attention,))
    return pixels_choice(chosen, changes.get("content.settings.alpha", 0.3), attention == "cascade")


def not_comparable(bench: Bench, stored: dict[str, Any]) -> str:
    """A sentence on why workbench rows are not comparable with stored ones. Args: stored: `table_json`."""
    images = f"{stored['images']:,}" if stored["images"] else "no"
    sizes = [pinned()[preset]["size"] for preset in (PRESET, stored["preset"])]
    return (
        f"Not comparable with the stored rows: preset {PRESET} sees {sizes[0]} x {sizes[0]} pixels, not "
        f"{sizes[1]} x {sizes[1]}, in a narrower network; it has {bench.images:,} training images, not "
        f"{images}, and they are of rendered people; and it is measured on {bench.persons} other cases. "
        "Compare these rows among themselves, and only over several seeds."
    )


# ------------------------------------------------------------------------------------------ in the background


@dataclass(frozen=True)
class Progress:
    """Progress of a row. Attributes: share: 0 to 1; words: the present step."""

    share: float
    words: str


class Job:
    """A row that is trained in a separate process.

    Attributes:
        row, task, seed: of the run.
        error: the error message, or "".
    """

    def __init__(self, bench: Bench, task: Task, row: TableRow, seed: int = 0) -> None:
        """Starts it."""
        self.bench, self.task, self.row, self.seed, self.error = bench, task, row, seed, ""
        self._begun, self._stopped = time.time(), False
        self._log: Path | None = None  # of the row itself, once its name is known
        spawn = multiprocessing.get_context("spawn")
        self._pipe, theirs = spawn.Pipe(duplex=False)
        self._process = spawn.Process(target=_work, args=(bench, task, row, seed, theirs), daemon=True)
        self._process.start()
        theirs.close()

    @property
    def running(self) -> bool:
        """Whether it is still running."""
        return self._process.is_alive()

    @property
    def stopped(self) -> bool:
        """Whether it was stopped; the same row resumes at its last checkpoint."""
        return self._stopped

    def stop(self) -> None:
        """Ends the process; its last checkpoint stays."""
        self._stopped = self._stopped or self.running
        self._process.terminate()
        self._process.join(10)

    def wait(self, seconds: float | None = None) -> bool:
        """Waits for the process to end; returns whether it has ended. Sets `error`."""
        self._process.join(seconds)
        if self.running:
            return False
        if not self.error and not self._stopped:
            self.error = self._last_words()
        return True

    def _last_words(self) -> str:
        try:
            if self._pipe.poll():
                return str(self._pipe.recv())
        except (EOFError, OSError):
            pass
        return "" if self._process.exitcode == 0 else f"the process ended with code {self._process.exitcode}"

    def progress(self) -> Progress:
        """Read from the run's own log; other processes may train other rows in the same folder."""
        try:
            log, first = (self._log, False) if self._log else self.bench.log(self.task, self.row, self.seed)
            self._log = None if first else log
            fresh = log.stat().st_mtime >= self._begun - 1
        except (DeoccError, OSError):  # no people folder, which the process says; no log yet
            fresh = False
        if not fresh:
            return Progress(0.0, "starting a process of its own")
        step, steps = last_step(log), self.bench.steps("masks" if first else self.task)
        words = "its stage 1 first" if first else "training"
        if step >= steps and not first:
            return Progress(1.0, "measuring")
        return Progress(min(1.0, step / steps), f"{words}, step {step} of {steps}")


def last_step(log: Path) -> int:
    """Step of the last line of a training log, or 0."""
    try:
        lines = [line for line in log.read_text(encoding="utf-8").splitlines() if line.strip()]
        return int(json.loads(lines[-1])["step"]) if lines else 0
    except (OSError, ValueError, KeyError):  # a line that is being written
        return 0


def _work(bench: Bench, task: Task, row: TableRow, seed: int, pipe: Connection) -> None:
    """The main function of the process. An error message goes through the pipe."""
    os.environ["DEOCC_QUIET"] = "1"
    sys.stdout = sys.stderr = open(os.devnull, "w")  # progress bars would land in the notebook
    threading.Thread(target=_end_with_parent, daemon=True).start()
    try:
        bench.make(task, row, seed)
    except Exception as error:  # whatever it was, the page has to say it
        pipe.send(str(error) or type(error).__name__)
        sys.exit(1)


def _end_with_parent() -> None:
    """Ends the process when the notebook's kernel is killed."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
