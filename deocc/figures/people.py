"""Figures of dataset building: distributions as in fig. 5, clusters, filter errors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from deocc.figures.colours import INK, INVISIBLE, LINES, OUTSIDE, VISIBLE, unit_colour
from deocc.figures.output import DPI
from deocc.figures.panels import overlay
from deocc.labels import LIP_CLASSES
from deocc.masks import mask_box
from deocc.occlusion.placement import RatioDensity
from deocc.people.filtering import edge_strength, outline_of
from deocc.people.statistics import Clusters, Statistics

ASPECT_EDGES = np.arange(0, 5.01, 0.5)
RATIO_EDGES = np.linspace(0, 0.8, 17)


def outlined(
    image: np.ndarray, mask: np.ndarray, colour: Sequence[int] = VISIBLE, width: int = 2
) -> np.ndarray:
    """A photo with the outline of a mask; H x W x 3 uint8."""
    return overlay(image, mask, (int(colour[0]), int(colour[1]), int(colour[2])), 0.0, width)


def on_canvas(image: np.ndarray, side: int) -> np.ndarray:
    """A photo in the middle of a grey square, so that small ones look small; side x side x 3 uint8."""
    out = np.full((side, side, 3), OUTSIDE, np.uint8)
    height, width = (min(side, length) for length in image.shape[:2])
    top, left = (side - height) // 2, (side - width) // 2
    out[top : top + height, left : left + width] = image[:height, :width]
    return out


def near(image: np.ndarray, mask: np.ndarray, margin: float = 0.25) -> tuple[np.ndarray, np.ndarray]:
    """The square around a person's mask, cut to the photo: image and mask, for a figure."""
    x0, y0, x1, y1 = mask_box(mask)
    side = round(max(x1 - x0, y1 - y0) * (1 + margin))
    left, top = (max(0, (a + b - side) // 2) for a, b in ((x0, x1), (y0, y1)))
    return image[top : top + side, left : left + side], mask[top : top + side, left : left + side]


def edge_panels(image: np.ndarray, mask: np.ndarray) -> dict[str, np.ndarray]:
    """What `edge_agreement` compares: the outline on the photo, and on the strength of its edges."""
    strength = edge_strength(image)
    grey = np.rint(255 * np.clip(strength / max(np.percentile(strength, 99), 1e-6), 0, 1)).astype(np.uint8)
    edges = np.repeat(grey[..., None], 3, axis=2)
    edges[outline_of(mask)] = INVISIBLE
    return {"outline": outlined(image, mask, INVISIBLE, 1), "edges": edges}


def _histogram(axes: Axes, values: Mapping[str, np.ndarray], edges: np.ndarray) -> None:
    """Shares of each bin, a step line a name."""
    for (name, numbers), colour in zip(values.items(), LINES, strict=False):
        counts = np.histogram(np.clip(numbers, edges[0], edges[-1] - 1e-9), edges)[0]
        shares = counts / max(len(numbers), 1)
        axes.stairs(shares, edges, color=unit_colour(colour), lw=1.8, label=f"{name}, N = {len(numbers)}")
        axes.stairs(shares, edges, color=unit_colour(colour), fill=True, alpha=0.15)
    axes.set_ylabel("share of people")


def _bars(axes: Axes, names: Sequence[str], values: Mapping[str, np.ndarray]) -> None:
    """Horizontal bars, a group a name, the first one on top."""
    height = 0.8 / len(values)
    for i, ((name, numbers), colour) in enumerate(zip(values.items(), LINES, strict=False)):
        places = np.arange(len(names)) + (i - (len(values) - 1) / 2) * height
        axes.barh(places, numbers, height, color=unit_colour(colour), label=name)
    axes.set_yticks(range(len(names)), names, fontsize=8)
    axes.invert_yaxis()


def distributions(
    described: Mapping[str, Statistics],
    ratios: Mapping[str, np.ndarray],
    densities: Mapping[str, RatioDensity],
    caption: str = "",
) -> Figure:
    """Fig. 5 and more: aspect ratio, the person's size, body parts, occlusion ratio.

    Args:
        described: name -> statistics of a people folder.
        ratios: name -> true occlusion ratios of cases.
        densities: name -> what was wanted of them, dashed; in the order of `ratios`.
        caption: goes above.
    """
    figure = Figure(figsize=(8.4, 6.4), dpi=DPI, layout="constrained")
    (aspect, size), (parts, ratio) = figure.subplots(2, 2)
    _histogram(aspect, {name: stats.aspect for name, stats in described.items()}, ASPECT_EDGES)
    aspect.set(xlabel="height / width of the person's box", title="aspect ratio")
    _histogram(size, {name: stats.share for name, stats in described.items()}, np.linspace(0, 0.3, 16))
    size.set(xlabel="area of the person / area of the picture", title="size in the picture")
    shares = {name: _mean_parts(stats) for name, stats in described.items()}
    _bars(
        parts, LIP_CLASSES[1:], {name: 100 * values for name, values in shares.items() if values is not None}
    )
    parts.set(xlabel="share of the person's pixels (%)", title="body parts and clothes")
    _histogram(ratio, ratios, RATIO_EDGES)
    _densities(ratio, densities)
    ratio.set(xlabel="true occlusion ratio", ylabel="share of cases", title="occlusion ratio")
    for axes in (aspect, size, ratio):
        axes.set_ylim(0, 1.35 * axes.get_ylim()[1])  # room for the legend
        axes.grid(alpha=0.3)
    for axes in (aspect, size, parts, ratio):
        axes.legend(fontsize=8, frameon=False, loc="best" if axes is parts else "upper left")
    if caption:
        figure.suptitle(caption, fontsize=9)
    return figure


def _densities(axes: Axes, densities: Mapping[str, RatioDensity]) -> None:
    """Wanted densities as dashed lines, in shares of the histogram's bins."""
    grid, step = np.linspace(0, 1, 1001), RATIO_EDGES[1] - RATIO_EDGES[0]
    for density, colour in zip(densities.values(), LINES, strict=False):
        heights = np.interp(grid, density.ratios, density.heights, 0, 0)
        shares = heights / np.trapezoid(heights, grid) * step
        axes.plot(grid, shares, ls="--", lw=1.2, color=unit_colour(colour))
    axes.set_xlim(RATIO_EDGES[0], RATIO_EDGES[-1])


def _mean_parts(stats: Statistics) -> np.ndarray | None:
    known = stats.parts[np.isfinite(stats.parts[:, 1])]
    return known.mean(0)[1:] if len(known) else None


def cluster_panels(clusters: Clusters, pictures: np.ndarray) -> dict[str, np.ndarray]:
    """A picture for each cluster, under its share. Args: pictures: K x H x W [x 3], of centres or members."""
    shares = [f"{share:.1%}" if 0 < share < 0.01 else f"{share:.0%}" for share in clusters.shares]
    return {f"{k + 1}: {shares[k]}": picture for k, picture in enumerate(pictures)}


def found_by_looking(wrong: Mapping[str, np.ndarray], caption: str = "") -> Figure:
    """How many of a filter's mistakes a person has met after looking at a share of the candidates.

    Args:
        wrong: name of an order -> N bool in that order, True where the proposal is a mistake.
        caption: goes above.
    """
    figure = Figure(figsize=(5.6, 3.4), dpi=DPI, layout="constrained")
    axes = figure.subplots()
    for (name, mistakes), colour in zip(wrong.items(), LINES, strict=False):
        looked = np.arange(len(mistakes) + 1) / len(mistakes)
        met = np.concatenate([[0], np.cumsum(mistakes)]) / max(mistakes.sum(), 1)
        axes.plot(looked, met, color=unit_colour(colour), label=name)
    axes.plot([0, 1], [0, 1], ls=":", color=unit_colour(INK), lw=1, label="in any order, on average")
    axes.set(xlabel="share of the candidates looked at", ylabel="share of the mistakes met", xlim=(0, 1))
    axes.grid(alpha=0.3)
    axes.legend(fontsize=9, frameon=False, loc="lower right")
    axes.set_title(caption, fontsize=9)
    return figure
