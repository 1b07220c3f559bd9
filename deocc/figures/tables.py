"""Figures of tables: bars with intervals, differences, budget curves, costs, verdicts, the workbench.

All draw what `deocc.tables` reports as JSON values; none knows a number of its own.
"""

from __future__ import annotations

import itertools
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from deocc.errors import DeoccError
from deocc.evaluation.report import METRICS
from deocc.figures.colours import (
    ADDED,
    INVISIBLE,
    LINES,
    MARKERS,
    OCCLUDER,
    VISIBLE,
    WHOLE,
    Colour,
    unit_colour,
)
from deocc.figures.output import DPI
from deocc.tables.rows import GROUPS

GREY = (150, 150, 150)
GROUP_COLOURS = {"nothing": GREY, "scratch": LINES[0], "imagenet": INVISIBLE, "shipped": WHOLE}
VERDICT_COLOURS = {
    "matched": LINES[0], "trend only": VISIBLE, "contradicted": INVISIBLE, "not decided": OCCLUDER,
    "not testable here": (215, 215, 215),
}  # fmt: skip
Rows = Sequence[Mapping[str, Any]]


def metric_title(name: str) -> str:
    """A metric as an axis is labelled, with its unit and which way is better."""
    if name not in METRICS:
        return "Frechet distance, FD-Lite0 (down is better)"
    metric = METRICS[name]
    unit = f", {metric.unit}" if metric.unit else ""
    return f"{metric.title}{unit} ({metric.aim}{' is better' if metric.higher is not None else ''})"


def _seed_counts(rows: Rows) -> list[int]:
    """The numbers of seeds of trained rows, each once, in order."""
    return sorted({row["seeds"] for row in rows if row["kind"] == "trained" and row["seeds"]})


def seeds_of(rows: Rows) -> str:
    """How many seeds are behind the bars, from the rows themselves."""
    counts = _seed_counts(rows)
    if not counts:
        return "no trained row is stored"
    number = " to ".join(map(str, dict.fromkeys((counts[0], counts[-1]))))
    return f"{number} seed{'' if counts == [1] else 's'} per row"


def seeds_caption(rows: Rows) -> str:
    """`seeds_of`, and what the bars say of the spread over seeds."""
    counts = _seed_counts(rows)
    if not counts:
        return seeds_of(rows)
    rest = ": nothing is known of the spread over seeds" if counts == [1] else "; thick: their spread"
    return seeds_of(rows) + rest


def _shown(rows: Rows, metric: str) -> list[Mapping[str, Any]]:
    shown = [row for row in rows if row["metrics"].get(metric)]
    if not shown:
        raise DeoccError(
            f"no row of this table has a result in {metric}; train rows with `deocc table --train`"
        )
    return shown


def row_bars(rows: Rows, metric: str, caption: str = "", width: float = 8.0) -> Figure:
    """A bar per row: the mean over seeds, its 95 % interval (thin), and the spread over seeds (thick).

    Rows whose values all lie far from 0 are points on an axis that shows where they differ: a bar without its
    foot misleads.

    Args:
        rows: of one given mask, from `table_json(...)["given"]`.
        metric: which of their metrics.
        caption: says what was given and on how many cases.
        width: in inches.

    Raises:
        DeoccError: no row has that metric.
    """
    shown = _shown(rows, metric)
    figure = Figure(figsize=(width, 0.9 + 0.28 * _places(shown)[1]), dpi=DPI, layout="constrained")
    axes = figure.subplots()
    _draw_bars(axes, shown, metric)
    _group_legend(figure, shown)
    words = f"{caption}; {seeds_caption(shown)}" if caption else seeds_caption(shown)
    figure.suptitle(words, fontsize=9)
    return figure


def _group_legend(figure: Figure, rows: Rows) -> None:
    groups = [g for g in GROUPS if any(row["group"] == g for row in rows)]
    patches = [Patch(color=unit_colour(GROUP_COLOURS[g]), label=GROUPS[g]) for g in groups]
    figure.legend(handles=patches, loc="outside lower center", ncols=2, fontsize=8, frameon=False)


def _draw_bars(axes: Axes, rows: Rows, metric: str, colour: Colour | None = None) -> None:
    """Bars from 0, or points if all values are far from it; colour: of all rows, else each group's."""
    told = [row["metrics"][metric] for row in rows]
    spread = [t["std"] or 0.0 for t in told]
    low = min(t["value"] - s if t["low"] is None else t["low"] for t, s in zip(told, spread, strict=True))
    high = max(t["value"] + s if t["high"] is None else t["high"] for t, s in zip(told, spread, strict=True))
    far = low > 0.5 * high
    places, end = _places(rows)
    for y, row, found in zip(places, rows, told, strict=True):
        paint = unit_colour(colour or GROUP_COLOURS[row["group"]])
        if far:
            axes.plot(found["value"], y, "o", color=paint, markersize=8, zorder=3)
        else:
            axes.barh(y, found["value"], 0.7, color=paint, alpha=0.75)
        if found["low"] is not None:
            axes.plot([found["low"], found["high"]], [y, y], color="black", lw=1)
        if found["std"] is not None:
            ends = found["value"] - found["std"], found["value"] + found["std"]
            axes.plot(ends, [y, y], color="black", lw=4, solid_capstyle="butt", zorder=4)  # above the dot
    axes.set_yticks(places, [_wrapped(row["name"]) for row in rows], fontsize=8)
    axes.set(xlabel=metric_title(metric), ylim=(end - 0.4, -0.6))
    if far:
        axes.set_xlim(low - 0.5 * (high - low) - 1e-6, high + 0.1 * (high - low) + 1e-6)
    axes.grid(axis="x", alpha=0.3)


def _wrapped(name: str, width: int = 40) -> str:
    return "\n".join(textwrap.wrap(name, width))


def _places(rows: Rows) -> tuple[list[float], float]:
    """Where rows stand: one apart, more where a label has several lines; and where the next one would."""
    places, end = [], 0.0
    for row in rows:
        extra = 0.5 * _wrapped(row["name"]).count("\n")
        places.append(end + extra / 2)
        end += 1 + extra
    return places, end


def difference_bars(rows: Rows, metric: str, caption: str = "", width: float = 8.0) -> Figure:
    """Each row minus the reference of its kind, with its interval; filled where it is decided.

    Args:
        rows: of one given mask, from `table_json(...)["given"]`.
        metric: the table's compared one.
        caption: says what was given and who is the reference.
        width: in inches.

    Raises:
        DeoccError: no row was compared.
    """
    shown = [row for row in rows if row.get("difference")]
    if not shown:
        raise DeoccError("no row of this table is compared with a reference; train more than one row")
    places, end = _places(shown)
    figure = Figure(figsize=(width, 1.1 + 0.25 * end), dpi=DPI, layout="constrained")
    axes = figure.subplots()
    for y, row in zip(places, shown, strict=True):
        found, colour = row["difference"], unit_colour(GROUP_COLOURS[row["group"]])
        if found["low"] is not None:
            axes.plot([found["low"], found["high"]], [y, y], color=colour, lw=1.5)
        full = found.get("decided") and found["seeds"] != 1
        half = found.get("decided") and found["seeds"] == 1
        axes.plot(found["value"], y, "o", ms=7, color=colour, mfc=colour if full else "white")
        if half:
            axes.plot(found["value"], y, "o", ms=3, color=colour)
    axes.axvline(0, color="black", lw=0.8)
    axes.set_yticks(places, [_wrapped(row["name"]) for row in shown], fontsize=8)
    axes.set(xlabel=f"difference in {metric_title(metric)}", ylim=(end - 0.4, -0.6))
    axes.grid(axis="x", alpha=0.3)
    marks = (("decided over seeds", "o", "black", 7), ("decided for these weights", "$\\odot$", "black", 9),
             ("not decided", "o", "white", 7))  # fmt: skip
    handles = [
        Line2D([], [], marker=m, ls="", color="black", mfc=fill, ms=size, label=name)
        for name, m, fill, size in marks
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=3, fontsize=8, frameon=False)
    axes.set_title(caption, fontsize=9)
    return figure


def budget_curves(lines: Sequence[Mapping[str, Any]], metric: str, caption: str = "") -> Figure:
    """Quality over training images, a line per row, with 95 % intervals over people.

    Args:
        lines: of one given mask, from `deocc.tables.curves.curves_json`.
        metric: which metric the points are.
        caption: says what was given.

    Raises:
        DeoccError: no line.
    """
    if not lines:
        raise DeoccError("no budget curve is stored; make some with tools/campaign.py --part curves")
    figure = Figure(figsize=(7.5, 4.0), dpi=DPI, layout="constrained")
    axes = figure.subplots()
    styles = itertools.product(("-", "--"), zip(LINES, MARKERS, strict=True))
    for line, (dash, (colour, marker)) in zip(lines, styles, strict=False):
        images = [point["images"] for point in line["points"]]
        values = [point["value"] for point in line["points"]]
        rgb = unit_colour(colour)
        axes.plot(
            images, [v["value"] for v in values], dash, marker=marker, ms=5, color=rgb, label=line["name"]
        )
        if all(v["low"] is not None for v in values):
            axes.fill_between(
                images, [v["low"] for v in values], [v["high"] for v in values], color=rgb, alpha=0.1, lw=0
            )
    axes.set(xscale="log", xlabel="training images", ylabel=metric_title(metric))
    budgets = sorted({point["images"] for line in lines for point in line["points"]})
    axes.set_xticks(budgets, [f"{images:,}" for images in budgets])
    axes.minorticks_off()
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8, frameon=False, loc="center left", bbox_to_anchor=(1.0, 0.5))
    axes.set_title(caption, fontsize=9)
    return figure


COSTS = {"minutes": "training, minutes", "parameters": "parameters, millions"}


def quality_against_cost(rows: Rows, metric: str, caption: str = "") -> Figure:
    """Quality of trained rows over minutes of training, and over parameters.

    Args:
        rows: of one given mask, from `table_json(...)["given"]`.
        metric: which of their metrics.
        caption: says what was given, and on what machine the minutes are.

    Raises:
        DeoccError: no trained row has that metric.
    """
    shown = _shown([row for row in rows if row["kind"] == "trained"], metric)
    figure = Figure(figsize=(8.0, 3.9), dpi=DPI, layout="constrained")
    cells = figure.subplots(1, 2, sharey=True)
    for axes, (cost, label) in zip(cells, COSTS.items(), strict=True):
        handles: list[Line2D] = []
        for number, row in enumerate(shown):
            x = row[cost] / (1e6 if cost == "parameters" else 1)
            marker = MARKERS[number % len(MARKERS)]
            colour = LINES[number // len(MARKERS) % len(LINES)] if row["group"] != "imagenet" else INVISIBLE
            found = row["metrics"][metric]
            handles += axes.plot(
                x, found["value"], marker, ms=8, ls="", color=unit_colour(colour), mfc="none", mew=1.6,
                label=_wrapped(row["name"], 60),
            )  # fmt: skip
        axes.set(xlabel=label, xlim=(0, None))
        axes.grid(alpha=0.3)
    cells[0].set_ylabel(metric_title(metric), fontsize=9)
    figure.legend(handles=handles, loc="outside lower center", ncols=3, fontsize=7.5, frameon=False)
    figure.suptitle(caption, fontsize=9)
    return figure


def aspect_bars(people: Mapping[str, Any]) -> Figure:
    """Fig. 5: height over width of the person's box, a bar a bin and people folder.

    Args:
        people: of ``data/results/people.json``.
    """
    edges, folders = people["aspect_edges"], people["folders"]
    figure = Figure(figsize=(7.5, 2.9), dpi=DPI, layout="constrained")
    axes, width = figure.subplots(), 0.8 / len(folders)
    for number, (name, facts) in enumerate(folders.items()):
        x = np.arange(len(facts["aspect_shares"])) + (number - (len(folders) - 1) / 2) * width
        label = f"{name}, N = {facts['people']:,}, median {facts['aspect_median']:.2f}"
        axes.bar(x, facts["aspect_shares"], width, color=unit_colour(LINES[number]), label=label)
    names = [f"{low:g}-{high:g}" for low, high in itertools.pairwise(edges)]
    axes.set_xticks(range(len(names)), names, fontsize=8)
    axes.set(xlabel="height over width", ylabel="share of people")
    axes.legend(fontsize=8, frameon=False)
    return figure


SETTING_WORDS = {"main": "verdict", "other": "other\nmasks", "natural": "natural\ncases"}


def verdict_strips(scorecard: Mapping[str, Any], width: float = 8.0) -> Figure:
    """The scorecard as coloured cells: a row per claim, a column per setting.

    Args:
        scorecard: of `deocc.tables.scorecard.scorecard_json`.
        width: in inches.
    """
    claims = scorecard["claims"]
    settings = [s for s in SETTING_WORDS if any(claim["verdicts"].get(s) for claim in claims)]
    figure = Figure(figsize=(width, 0.9 + 0.27 * len(claims)), dpi=DPI, layout="constrained")
    axes = figure.subplots()
    for y, claim in enumerate(claims):
        for x, setting in enumerate(settings):
            verdict = claim["verdicts"].get(setting)
            if verdict:
                axes.barh(y, 0.94, 0.86, left=x, color=unit_colour(VERDICT_COLOURS[verdict]))
    names = [_wrapped(f"{claim['text']}, {claim['where']}", 72) for claim in claims]
    axes.set_yticks(range(len(claims)), names, fontsize=7.5)
    axes.set_xticks(np.arange(len(settings)) + 0.47, [SETTING_WORDS[s] for s in settings], fontsize=8)
    axes.set(xlim=(0, len(settings)), ylim=(len(claims) - 0.4, -0.6))
    axes.tick_params(length=0)
    axes.xaxis.tick_top()
    axes.spines[:].set_visible(False)
    patches = [Patch(color=unit_colour(c), label=name) for name, c in VERDICT_COLOURS.items()]
    figure.legend(handles=patches, loc="outside lower center", ncols=5, fontsize=8, frameon=False)
    return figure


def workbench_bars(stored: Rows, own: Rows, metric: str, caption: str = "") -> Figure:
    """Stored rows on the left, rows of the workbench on the right: two worlds, side by side, not compared.

    Args:
        stored: rows of one given mask, from `table_json(...)["given"]`.
        own: the same of the workbench; may be empty.
        metric: which of their metrics.
        caption: what was given.
    """
    sides = [[row for row in rows if row["metrics"].get(metric)] for rows in (stored, own)]
    longest = max(1.0, *(_places(rows)[1] for rows in sides))
    figure = Figure(figsize=(8.6, 1.3 + 0.34 * longest), dpi=DPI, layout="constrained")
    cells = figure.subplots(1, 2)
    titles = "stored rows", "yours, preset tiny: not comparable"
    for axes, rows, title, colour in zip(cells, sides, titles, (None, ADDED), strict=True):
        if rows:
            _draw_bars(axes, rows, metric, colour)
            axes.set_ylim(longest - 0.4, -0.6)
        else:
            axes.text(0.5, 0.5, "nothing trained yet", ha="center", va="center", transform=axes.transAxes)
            axes.set_axis_off()
        axes.set_title(f"{title}\n{seeds_of(rows)}" if rows else title, fontsize=8.5)
        axes.xaxis.label.set_size(8)
    _group_legend(figure, sides[0])
    if caption:
        figure.suptitle(caption, fontsize=9)
    return figure
