"""Figures of the audit: gradients by loss and part, scales by layer, the training study."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from textwrap import fill
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from deocc.figures.colours import INK, LINES, MARKERS, PAPER, unit_colour
from deocc.figures.masks import SHADES
from deocc.figures.output import DPI
from deocc.figures.words import term_words

DECADES = 6  # of the gradient's colours


def gradient_heat_map(norms: Mapping[str, Mapping[str, Mapping[str, float]]], caption: str = "") -> Figure:
    """Norm of each loss term's gradient by part of the network; white and 0 where none arrives.

    Args:
        norms: title -> term -> part -> norm, of `deocc.studies.released.gradient_norms`; all with the same
            parts. A term that one of them lacks is drawn as a row of dashes.
        caption: says preset and N.
    """
    terms = list(dict.fromkeys(term for table in norms.values() for term in table))
    parts = list(next(iter(next(iter(norms.values())).values())))
    top = max(value for table in norms.values() for row in table.values() for value in row.values())
    height = 0.3 * len(terms) * len(norms) + 0.3 * len(norms) + 1.6
    figure = Figure(figsize=(8.0, height), dpi=DPI, layout="constrained")
    panels = figure.subplots(len(norms), 1, squeeze=False, sharex=True)[:, 0]
    for axes, (title, table) in zip(panels, norms.items(), strict=True):
        values = np.array([[table.get(term, {}).get(part, np.nan) for part in parts] for term in terms])
        axes.imshow(_gradient_colours(values, top), aspect="auto")
        for (r, c), value in np.ndenumerate(values):
            text = "-" if np.isnan(value) else f"{value:.0f}" if value > 9.5 else f"{value:.1g}"
            dark = not np.isnan(value) and 0 < value < top * 10 ** (-DECADES / 2)
            colour = unit_colour(PAPER if dark else INK)
            axes.text(c, r, text, ha="center", va="center", fontsize=7.5, color=colour)
        axes.set_yticks(range(len(terms)), [term_words(term) for term in terms], fontsize=8)
        axes.set_title(title, fontsize=10, loc="left")
    panels[-1].set_xticks(range(len(parts)), parts, rotation=35, ha="right", fontsize=8)
    if caption:
        figure.supxlabel(caption, fontsize=9)
    return figure


def _gradient_colours(values: np.ndarray, top: float) -> np.ndarray:
    """Logarithmic shades, dark to bright; white where a value is 0 or unknown."""
    known = np.nan_to_num(values) > 0
    scaled = np.log10(np.where(known, values, top) / top) / DECADES + 1
    colours = SHADES(np.clip(scaled, 0, 1))[..., :3]
    return np.where(known[..., None], colours, 1.0)


def scale_curves(scales: Mapping[str, Mapping[str, float]], caption: str = "", ylabel: str = "") -> Figure:
    """A number per layer on a logarithmic axis, one line each.

    Args:
        scales: name -> layer -> positive number; all with the same layers.
        caption: says what was fed in.
        ylabel: what the numbers are.
    """
    figure = Figure(figsize=(8.0, 3.6), dpi=DPI, layout="constrained")
    axes = figure.subplots()
    names = list(next(iter(scales.values())))
    for (label, values), colour, marker in zip(scales.items(), LINES, MARKERS, strict=False):
        numbers = [values[name] for name in names]
        axes.plot(range(len(names)), numbers, marker=marker, ms=5, color=unit_colour(colour), label=label)
    axes.set_xticks(range(len(names)), names, rotation=35, ha="right", fontsize=8)
    axes.set(yscale="log", ylabel=ylabel)
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8, frameon=False, ncols=2, loc="lower center", bbox_to_anchor=(0.5, 1.0))
    if caption:
        figure.supxlabel(caption, fontsize=9)
    return figure


def course_curves(courses: Mapping[str, Sequence[tuple[float, float]]], caption: str = "") -> Figure:
    """Mean logits of real and fake pictures while a discriminator learns, one panel each.

    Args:
        courses: title -> (real, fake) after each step.
        caption: says what was shown.
    """
    figure = Figure(figsize=(8.0, 2.9), dpi=DPI, layout="constrained")
    panels = figure.subplots(1, len(courses), squeeze=False, sharey=True)[0]
    for axes, (title, course) in zip(panels, courses.items(), strict=True):
        for place, (name, style) in enumerate((("real", "-"), ("fake", "--"))):
            logits = [step[place] for step in course]
            axes.plot(logits, color=unit_colour(LINES[place]), ls=style, label=name)
        axes.axhline(0, color=unit_colour(INK), lw=0.6)
        axes.set(xlabel="step")
        axes.set_title(title, fontsize=10)
        axes.grid(alpha=0.3)
    panels[0].set(ylabel="mean logit")
    panels[0].legend(fontsize=9, frameon=False, loc="upper left")
    if caption:
        figure.supxlabel(caption, fontsize=9)
    return figure


def study_intervals(
    runs: Mapping[str, Mapping[str, Any]], metrics: Mapping[str, str], caption: str = ""
) -> Figure:
    """Scores of trainings with their intervals, one panel a metric.

    Args:
        runs: name -> a run of `deocc.studies.released_training`, with "scores".
        metrics: key of a score -> its name in words.
        caption: says preset, images and N.
    """
    figure = Figure(figsize=(9.0, 1.1 + 0.4 * len(runs)), dpi=DPI, layout="constrained")
    panels = figure.subplots(1, len(metrics), squeeze=False, sharey=True)[0]
    for axes, (key, title) in zip(panels, metrics.items(), strict=True):
        for place, run in enumerate(runs.values()):
            found, colour = run["scores"][key], unit_colour(LINES[place % len(LINES)])
            apart = [[found["value"] - found["low"]], [found["high"] - found["value"]]]
            style = {"fmt": MARKERS[place % len(MARKERS)], "color": colour, "capsize": 3}
            axes.errorbar([found["value"]], [place], xerr=apart, **style)
        axes.set_title(fill(title, 18), fontsize=9)
        axes.grid(axis="x", alpha=0.3)
        axes.tick_params(labelsize=8)
    panels[0].set_yticks(range(len(runs)), [fill(name, 40) for name in runs], fontsize=8)
    panels[0].set_ylim(len(runs) - 0.5, -0.5)
    if caption:
        figure.supxlabel(caption, fontsize=9)
    return figure
