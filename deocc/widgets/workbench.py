"""The ablation workbench: tick parts, train the row in the background, see it beside the stored ones."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from html import escape
from pathlib import Path
from typing import Any

import ipywidgets

from deocc import figures
from deocc.errors import DeoccError
from deocc.evaluation.report import METRICS
from deocc.paths import RESULTS
from deocc.tables.collection import collect
from deocc.tables.rates import read_rates
from deocc.tables.report import GIVEN, table_json
from deocc.tables.rows import ALPHAS, TablePlan, TableRow
from deocc.tables.stored import read_results
from deocc.tables.workbench import (
    PART_WORDS,
    PLANS,
    STREAM_WORDS,
    Bench,
    Job,
    Task,
    masks_choice,
    not_comparable,
    pixels_choice,
)
from deocc.widgets.common import LABELS, Display, columns, rows
from deocc.widgets.picture import Picture

STAGES: dict[str, Task] = {"stage 1: masks": "masks", "stage 2: pixels": "pixels"}
SEEDS = (0, 1, 2)
LOOK = 0.3  # seconds between two looks at a training


class AblationWorkbench(Display):
    """Switch parts of ours on and off, and train that row in about a minute.

    Attributes:
        stage: which stage; its row of switches is shown.
        parts, streams: check boxes by name: of stage 1, and of stage 2's attention.
        alpha, order: stage 2's share of background, and how both streams are joined.
        seed: of the run.
        given: which mask the shown numbers start from.
        train, stop: buttons.
        bar, status: how far the training is, as a bar and in words.
        image: stored rows and those trained here, a `Picture` that is replaced in place.
        caption: rows trained here as a table, and why they do not compare with stored ones; HTML.
        job: the training that runs or ran last, or None.
        box: everything, for `display`.
    """

    def __init__(
        self, bench: Bench | None = None, preset: str = "small", stored: Path = RESULTS / "tables"
    ) -> None:
        """Shows what is stored.

        Args:
            bench: where rows are made, how long they train, and on whom.
            preset: of the stored rows.
            stored: folder of their results.
        """
        self.bench = bench or Bench()
        self.job: Job | None = None
        results, rates = read_results([stored]), read_rates(stored, preset)
        self._stored = {
            task: table_json(collect(plan, preset, results, rates=rates)) for task, plan in PLANS.items()
        }
        self._thread: threading.Thread | None = None
        self._make_controls()
        self._lay_out()
        self._switch_stage()

    def _make_controls(self) -> None:
        self.stage = ipywidgets.ToggleButtons(options=list(STAGES), style={"button_width": "auto"})
        self.parts = {name: _box(words) for name, words in PART_WORDS.items()}
        self.streams = {name: _box(words) for name, words in STREAM_WORDS.items()}
        self.alpha = ipywidgets.Dropdown(
            options=[(f"{a:g}", a) for a in ALPHAS], value=0.3, description="background alpha", **LABELS
        )
        self.order = ipywidgets.Dropdown(
            options=["side by side", "one after the other"], description="both streams", **LABELS
        )
        self.seed = ipywidgets.Dropdown(options=SEEDS, description="seed", **LABELS)
        givens = [(words, given) for given, words in GIVEN["masks"].items()]
        self.given = ipywidgets.Dropdown(options=givens, description="given", **LABELS)
        self.train = ipywidgets.Button(description="Train this row", button_style="primary")
        self.stop = ipywidgets.Button(description="Stop", disabled=True)
        self.bar = ipywidgets.FloatProgress(min=0.0, max=1.0, layout={"width": "100%"})
        self.status, self.caption = ipywidgets.HTML(), ipywidgets.HTML()
        self.image = Picture("stored rows, and rows trained here", max_width="950px")
        self.stage.observe(lambda _: self._switch_stage(), "value")
        self.given.observe(lambda _: self.draw(), "value")
        self.train.on_click(lambda _: self.begin())
        self.stop.on_click(lambda _: self.end())
        for switch in (*self.parts.values(), *self.streams.values(), self.alpha, self.order):
            switch.observe(lambda _: self._describe(), "value")

    def _lay_out(self) -> None:
        self._of_masks = rows(*self.parts.values())
        self._of_pixels = rows(*self.streams.values(), self.order, self.alpha)
        buttons = ipywidgets.HBox([self.train, self.stop])
        switches = columns(
            rows(self._of_masks, self._of_pixels), rows(self.seed, self.given, buttons, self.bar, self.status)
        )
        self.box = rows(self.stage, switches, self.image, self.caption)
        self.box.layout.max_width = "1000px"

    # ---- what is chosen

    @property
    def task(self) -> Task:
        """Of the chosen stage."""
        return STAGES[self.stage.value]

    @property
    def row(self) -> TableRow:
        """The row that the switches say."""
        if self.task == "masks":
            return masks_choice([name for name, box in self.parts.items() if box.value])
        chosen = [name for name, box in self.streams.items() if box.value]
        return pixels_choice(chosen, self.alpha.value, self.order.value == self.order.options[1])

    def _switch_stage(self) -> None:
        masks = self.task == "masks"
        self._of_masks.layout.display = None if masks else "none"
        self._of_pixels.layout.display = "none" if masks else None
        self._describe()
        self.draw()

    def _describe(self) -> None:
        if self.job is None or not self.job.running:
            self.status.value = f"Chosen: {escape(self.row.name)}."

    # ---- training

    def begin(self) -> None:
        """Trains the chosen row in a process of its own; the page stays free."""
        if self.job is not None and self.job.running:
            return
        self.train.disabled, self.stop.disabled, self.bar.value = True, False, 0.0
        self.bar.bar_style = ""
        self.status.value = "Starting a process of its own."
        self.job = Job(self.bench, self.task, self.row, self.seed.value)
        self._thread = threading.Thread(target=self._follow, args=(self.job,), daemon=True)
        self._thread.start()

    def end(self) -> None:
        """Stops the training; the same row resumes at its last checkpoint when it is trained again."""
        if self.job is not None:
            self.job.stop()

    def wait(self, seconds: float | None = None) -> bool:
        """Waits for the training and its last words on the page; returns whether they came."""
        if self._thread is not None:
            self._thread.join(seconds)
        return self._thread is None or not self._thread.is_alive()

    def _follow(self, job: Job) -> None:
        while not job.wait(LOOK):
            progress = job.progress()
            self.bar.value = progress.share
            self.status.value = f"{escape(job.row.name)}, seed {job.seed}: {escape(progress.words)}."
        done = not job.error and not job.stopped
        self.bar.value = 1.0 if done else self.bar.value
        self.bar.bar_style = "success" if done else "danger"
        words = "stored" if done else "stopped" if job.stopped else f"failed: {job.error}"
        self.status.value = f"{escape(job.row.name)}, seed {job.seed}: {escape(words)}."
        self.train.disabled, self.stop.disabled = False, True
        self.draw()

    # ---- what is shown

    def own(self) -> dict[str, Any]:
        """The rows trained here, as `table_json`."""
        return table_json(self.bench.rows(self.task))

    def figure(self) -> Any:
        """The static twin: stored rows and rows trained here."""
        plan, given = PLANS[self.task], self.given.value
        caption = f"given {GIVEN[self.task][given]}"
        own = self.own()["given"][given]
        return figures.workbench_bars(self._stored[self.task]["given"][given], own, plan.compared, caption)

    def draw(self) -> None:
        """Puts the present results on the page."""
        try:
            self.image.value = figures.encode_jpeg(figures.figure_array(self.figure()))
            own, plan = self.own()["given"][self.given.value], PLANS[self.task]
            why = not_comparable(self.bench, self._stored[self.task])
            self.caption.value = _table(own, plan) + _words(why)
        except DeoccError as error:  # a damaged result of an earlier session
            self.caption.value = _words(str(error))


def _box(words: str) -> ipywidgets.Checkbox:
    return ipywidgets.Checkbox(True, description=words, indent=False)


def _words(text: str) -> str:
    return f"<p>{escape(text)}</p>"


def _table(shown: list[Mapping[str, Any]], plan: TablePlan) -> str:
    """Rows trained here as HTML: metric, difference to the row with all parts, seeds, minutes."""
    if not shown:
        return ""
    title = METRICS[plan.compared].title
    head = ("yours (preset tiny)", title, "difference to all parts", "seeds", "minutes")
    lines = [_cells(head, "th"), *(_cells(_row(row, plan.compared), "td") for row in shown)]
    return f"<table>{''.join(lines)}</table>"


def _cells(values: tuple[str, ...], tag: str) -> str:
    return "<tr>" + "".join(f'<{tag} style="padding: 0 8px">{escape(v)}</{tag}>' for v in values) + "</tr>"


def _row(row: Mapping[str, Any], metric: str) -> tuple[str, ...]:
    found, apart, digits = row["metrics"][metric], row.get("difference"), METRICS[metric].digits
    spread = "" if found["std"] is None else f" \u00b1 {found['std']:.{digits}f}"
    told = ""
    if apart:
        told = f"{apart['value']:+.{digits}f}"
        told += "" if apart["low"] is None else f" [{apart['low']:+.{digits}f}, {apart['high']:+.{digits}f}]"
    return (
        row["name"], f"{found['value']:.{digits}f}{spread}", told, str(row["seeds"]),
        f"{row['minutes']:.1f}" if "minutes" in row else "",
    )  # fmt: skip
