"""Matplotlib figures: grids of panels, scores by ratio, densities."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.patches import Patch

from deocc.errors import DeoccError
from deocc.labels import IGNORE, LIP_CLASSES, PALETTE
from deocc.metrics import RATIO_EDGES, ratio_bins
from deocc.occlusion import RatioDensity

if TYPE_CHECKING:  # figures take answers, they do not make them
    pass
from deocc.figures.colours import (
    ADDED,
    AGREES,
    INVISIBLE,
    LINES,
    MARKERS,
    MISSED,
    OCCLUDER,
    VISIBLE,
    Colour,
    unit_colour,
)
from deocc.figures.output import DPI

FEW = 5  # a bin of fewer cases is no mean to draw a line through


def ratio_caption(ratios: Sequence[float], about: str = "", people: int | None = None) -> str:
    """The caption under every figure of cases: N and the range of true occlusion ratios.

    Args:
        ratios: one per case.
        about: goes behind.
        people: how many different people the cases show; None: as many as cases. Four pictures of one
            person are N = 1.
    """
    known = [ratio for ratio in ratios if np.isfinite(ratio)]
    text = f"N = {len(ratios) if people is None else people}"
    if people is not None and people != len(ratios):
        text += f" {'person' if people == 1 else 'people'}, {len(ratios)} cases"
    if known:
        low, high = min(known), max(known)
        ends = [f"{low:.2f}", f"{high:.2f}"]
        text += f", occlusion ratio {'-'.join(dict.fromkeys(ends))}"
    return f"{text}, {about}" if about else text


def mask_legend(errors: bool = False) -> list[Patch]:
    """Legend patches of `overlay_masks`, or of `mask_errors`."""
    entries = {"visible": VISIBLE, "invisible": INVISIBLE, "occluder": OCCLUDER}
    if errors:
        entries = {"agrees": AGREES, "missed": MISSED, "added": ADDED}
    return [Patch(color=unit_colour(colour), label=name) for name, colour in entries.items()]


def parts_legend(parsing: np.ndarray) -> list[Patch]:
    """Legend patches of the body parts that a label map (H x W uint8) holds."""
    parts = [int(part) for part in np.unique(parsing) if part not in (0, IGNORE)]
    return [Patch(color=unit_colour(PALETTE[part]), label=LIP_CLASSES[part]) for part in parts]


def wrap(panels: Mapping[str, np.ndarray], columns: int) -> list[dict[str, np.ndarray]]:
    """Breaks a long row of panels into rows of at most `columns`, for `panel_grid`."""
    items = list(panels.items())
    return [dict(items[i : i + columns]) for i in range(0, len(items), columns)]


def panel_grid(
    rows: Sequence[Mapping[str, np.ndarray]],
    caption: str = "",
    row_labels: Sequence[str] = (),
    legend: Sequence[Patch] = (),
    width: float = 8.0,
) -> Figure:
    """Rows of pictures, each column under its title, with a caption below.

    Args:
        rows: each title -> H x W x 3 uint8 (or H x W bool); a title is not repeated below itself.
        caption: says N and ratio (see `ratio_caption`).
        row_labels: a short text left of each row.
        legend: patches, set beside the caption.
        width: in inches.

    Raises:
        DeoccError: no rows.
    """
    if not rows:
        raise DeoccError("no rows to draw; give at least one")
    columns = max(len(row) for row in rows)
    lines = -(-len(legend) // 7)  # of the legend
    foot = 0.32 * bool(caption) + (0.32 + 0.18 * max(0, lines - 2)) * bool(legend)
    height = width / columns * len(rows) + 0.3 * len({tuple(row) for row in rows}) + foot
    rect = 0.0, foot / height, 1.0, 1.0 - foot / height  # leaves `foot` inches free at the bottom
    engine = ConstrainedLayoutEngine(w_pad=0.02, h_pad=0.04, wspace=0.02, hspace=0.02, rect=rect)
    figure = Figure(figsize=(width, height), dpi=DPI, layout=engine)
    grid = figure.subplots(len(rows), columns, squeeze=False)
    titles: list[str] = [""] * columns
    for i, row in enumerate(rows):
        _draw_row(grid[i], row, titles, row_labels[i] if i < len(row_labels) else "")
        titles = [*row, *titles[len(row) :]]
    _footer(figure, caption, legend, height)
    return figure


def _draw_row(cells: Sequence[Axes], row: Mapping[str, np.ndarray], above: Sequence[str], label: str) -> None:
    for axes in cells[len(row) :]:
        axes.set_axis_off()
    for axes, (title, picture), known in zip(cells, row.items(), above, strict=False):
        axes.imshow(picture, cmap="gray", interpolation="nearest")
        axes.set(xticks=[], yticks=[])
        axes.spines[:].set_visible(False)
        if title != known:
            axes.set_title(title, fontsize=10, pad=3)
    cells[0].set_ylabel(label, fontsize=9)


def _footer(figure: Figure, caption: str, legend: Sequence[Patch], height: float) -> None:
    if legend:
        figure.legend(
            handles=list(legend), loc="lower center", ncols=min(len(legend), 7), fontsize=9, frameon=False,
            handlelength=1.0, bbox_to_anchor=(0.5, 0.26 / height if caption else 0.0), borderaxespad=0.1,
        )  # fmt: skip
    if caption:
        figure.text(0.5, 0.06 / height, caption, ha="center", va="bottom", fontsize=9)


def scores_by_ratio(
    ratios: Sequence[float],
    scores: Mapping[str, Sequence[float]],
    caption: str = "",
    edges: Sequence[float] = RATIO_EDGES,
    ylabel: str = "IoU",
    limits: tuple[float, float] | None = (-0.02, 1.02),
    looks: Mapping[str, tuple[Colour, str]] | None = None,
) -> Figure:
    """Each case as a faint point, and the mean of each occlusion-ratio bin as a line with markers.

    Above each bin stands its number of cases. A mean of fewer than `FEW` is a hollow marker, off the line.

    Args:
        ratios: true occlusion ratio a case.
        scores: name -> one score a case.
        caption: says what the cases are; N is added.
        edges: of the bins; the last one closes at 1.
        ylabel: name of the score.
        limits: of the vertical axis; None: what the scores need.
        looks: name -> colour and line style ("-", "--"); names without one have a colour of their own.
    """
    x, bins = np.asarray(ratios, float), ratio_bins(np.asarray(ratios, float), edges)
    looks, hollow = looks or {}, False
    if len(scores) > len(LINES):
        raise DeoccError(f"{len(scores)} series do not fit one chart; give at most {len(LINES)}")
    figure = Figure(figsize=(7.0, 3.6), dpi=DPI, layout="constrained")
    axes = figure.subplots()
    for (name, values), colour, marker in zip(scores.items(), LINES, MARKERS, strict=False):
        chosen, dash = looks.get(name, (colour, "-"))
        y, rgb = np.asarray(values, float), unit_colour(chosen)
        used = [b for b in np.unique(bins) if np.isfinite(y[bins == b]).any()]
        axes.scatter(x, y, s=9, color=rgb, alpha=0.25, linewidths=0)
        means = np.array([(np.nanmean(x[bins == b]), np.nanmean(y[bins == b])) for b in used]).reshape(-1, 2)
        few = np.array([np.isfinite(y[bins == b]).sum() < FEW for b in used], bool)
        hollow = hollow or bool(few.any())
        style: dict[str, Any] = {"marker": marker, "ms": 5, "color": rgb}
        axes.plot(*means[~few].T, dash, label=f"{name}, {np.nanmean(y):.2f}", **style)
        axes.plot(*means[few].T, ls="", mfc="white", **style)
    axes.set(xlabel="true occlusion ratio", ylabel=ylabel, xlim=(0, None), ylim=limits)
    axes.grid(alpha=0.3)
    title = "mean of all cases" + hollow * f"\n(hollow: fewer than {FEW} scores)"
    axes.legend(title=title, fontsize=9, title_fontsize=9, frameon=False, loc="center left",
                bbox_to_anchor=(1.0, 0.5))  # fmt: skip
    for b in np.unique(bins):
        axes.text(x[bins == b].mean(), 1.01, f"{(bins == b).sum()}", transform=axes.get_xaxis_transform(),
                  ha="center", va="bottom", fontsize=8)  # fmt: skip
    axes.text(1.01, 1.01, "cases per bin", transform=axes.transAxes, va="bottom", fontsize=8)
    axes.set_title(ratio_caption(ratios, caption), fontsize=9, pad=16)
    return figure


def density_curves(
    densities: Mapping[str, RatioDensity], draws: int = 4000, seed: int = 0, width: float = 7.0
) -> Figure:
    """Densities of occlusion ratios, normalised, and histograms of what they draw.

    Args:
        densities: name -> density.
        draws: ratios drawn from each.
        seed: of the draws.
        width: in inches.
    """
    figure = Figure(figsize=(width, 0.42 * width), dpi=DPI, layout="constrained")
    axes, grid = figure.subplots(), np.linspace(0, 1, 501)
    for (name, density), colour in zip(densities.items(), LINES, strict=False):
        heights = np.interp(grid, density.ratios, density.heights, left=0, right=0)
        rgb = unit_colour(colour)
        axes.plot(grid, heights / np.trapezoid(heights, grid), color=rgb, label=name)
        drawn = density.sample(np.random.default_rng(seed), draws)
        axes.hist(drawn, bins=np.linspace(0, 1, 41).tolist(), density=True, color=rgb, alpha=0.25)
    axes.set(xlabel="occlusion ratio", ylabel="density", xlim=(0, 1))
    axes.legend(fontsize=9, frameon=False)
    axes.set_title(f"N = {draws} ratios drawn from each curve", fontsize=9)
    return figure


def wanted_and_reached(wanted: Sequence[float], reached: Sequence[float], tolerance: float) -> Figure:
    """Each case's reached ratio over its wanted one, and a histogram of the difference."""
    apart = np.asarray(reached, float) - np.asarray(wanted, float)
    figure = Figure(figsize=(7.0, 2.9), dpi=DPI, layout="constrained")
    left, right = figure.subplots(1, 2)
    left.scatter(wanted, reached, s=6, color=unit_colour(LINES[0]), linewidths=0)
    left.plot([0, 1], [0, 1], color="black", lw=0.6)
    left.set(xlabel="wanted ratio", ylabel="reached ratio", xlim=(0, 0.75), ylim=(0, 0.75))
    bins = np.linspace(-1.5 * tolerance, 1.5 * tolerance, 31).tolist()
    right.hist(apart, bins=bins, color=unit_colour(LINES[0]))
    for edge in (-tolerance, tolerance):
        right.axvline(edge, color=unit_colour(INVISIBLE))
    right.set(xlabel="reached - wanted", ylabel="cases")
    within = float(np.mean(np.abs(apart) <= tolerance))
    figure.suptitle(f"N = {len(apart)}, {within:.1%} within {tolerance:g}", fontsize=9)
    return figure
