"""Pictures and figures of stage 1: templates, signed maps, training curves, ratio shift, calibration.

As all of `deocc.figures`: pure functions, uint8 H x W x 3 arrays or matplotlib figures without global state.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

import cv2
import numpy as np
import torch
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from deocc.errors import DeoccError
from deocc.figures.colours import INK, LESS, LINES, MARKERS, MORE, OUTSIDE, VISIBLE, WHOLE, unit_colour
from deocc.figures.output import DPI
from deocc.figures.panels import (
    grey_outside,
    mask_errors,
    overlay,
    overlay_masks,
    parsing_picture,
    strip,
    zoom,
)
from deocc.figures.words import term_words
from deocc.models.mask_completion import TemplateGuide
from deocc.occlusion import Batch, OcclusionCase, occlude
from deocc.people import Occluder, Person
from deocc.studies.uncertainty import Reliability

if TYPE_CHECKING:
    from deocc.inference.deoccluder import Deoccluder

SHADES = colormaps["cividis"]  # readable with any colour vision and in grey


def enlarge(picture: np.ndarray, size: int) -> np.ndarray:
    """Shows each pixel of a small map as a block: S x S [x 3] -> size x size [x 3], same dtype."""
    return cv2.resize(picture, (size, size), interpolation=cv2.INTER_NEAREST)


def probability_picture(probability: np.ndarray, outline: np.ndarray | None = None) -> np.ndarray:
    """A map of values in [0, 1] in shades from dark blue to yellow.

    Args:
        probability: H x W float.
        outline: H x W bool whose border is drawn in green, such as the true whole person; None: none.

    Returns:
        H x W x 3 uint8.
    """
    picture = np.rint(255 * SHADES(np.clip(probability, 0, 1))[..., :3]).astype(np.uint8)
    return picture if outline is None else overlay(picture, outline, WHOLE, alpha=0)


def signed_picture(values: np.ndarray, limit: float | None = None) -> np.ndarray:
    """Positive values blue, negative brown, 0 white.

    Args:
        values: H x W float.
        limit: what is drawn in full colour; None: the 99th percentile of the magnitudes.

    Returns:
        H x W x 3 uint8.
    """
    if limit is None:
        size = np.abs(values[values != 0])
        limit = float(np.percentile(size, 99)) if size.size else 1.0
    share = np.clip(values / max(limit, 1e-12), -1, 1)[..., None]
    full = np.where(share > 0, np.array(MORE, float), np.array(LESS, float))
    return np.rint(255 + np.abs(share) * (full - 255)).astype(np.uint8)


def item_mask(masks: torch.Tensor, index: int, size: int | None = None) -> np.ndarray:
    """One item's mask (or probability, cut at 0.5) of an N x 1 x S x S batch; bool, enlarged to `size`."""
    mask = masks[index, 0].detach().cpu().numpy() > 0.5
    return mask if size is None else enlarge(mask.astype(np.uint8), size) > 0


def item_image(batch: Batch, index: int, size: int | None = None) -> np.ndarray:
    """One item's image of a Batch, grey outside the photo; S x S x 3 uint8, enlarged to `size`."""
    picture = np.rint(255 * batch["image"][index].permute(1, 2, 0).cpu().numpy()).astype(np.uint8)
    picture[~item_mask(batch["photo_mask"], index)] = OUTSIDE
    return picture if size is None else cv2.resize(picture, (size, size), interpolation=cv2.INTER_LINEAR)


def stage1_panels(
    batch: Batch, found: Mapping[str, torch.Tensor], index: int, size: int = 128, near: bool = False
) -> dict[str, np.ndarray]:
    """Stage 1's answer to one item, beside the truth.

    Args:
        batch: the question and the truth.
        found: probabilities of `modal_mask` and `amodal_mask`, N x 1 x S x S.
        index: of the item.
        size: side of a panel in pixels.
        near: crop to the whole true person, which no network knows.

    Returns:
        title -> size x size x 3 uint8 (less if near): image, given and refined visible mask against the true
        one, whole mask against the true one, answer and truth over the image.
    """
    names = ("initial_mask", "modal_mask", "amodal_mask")
    initial, modal, amodal = (item_mask(batch[name], index, size) for name in names)
    seen, whole = (item_mask(found[name], index, size) for name in names[1:])
    image, photo = item_image(batch, index, size), item_mask(batch["photo_mask"], index, size)
    panels = {
        "image": image,
        "given $M_i$": mask_errors(initial, modal),
        "refined $M_m$": mask_errors(seen, modal),
        "whole $M_a$": mask_errors(seen | whole, amodal),
        "answer": overlay_masks(image, seen, seen | whole),
        "truth": overlay_masks(image, modal, amodal),
    }
    panels = {title: grey_outside(panel, photo) for title, panel in panels.items()}
    return {title: zoom(panel, amodal) for title, panel in panels.items()} if near else panels


def parts_panels(
    batch: Batch, found: Mapping[str, torch.Tensor], index: int, size: int = 128
) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """The body parts that stage 1 gives to one item, zoomed in on the whole true person.

    Args: as `stage1_panels`; found: labels `parsing_modal` and `parsing_amodal`, N x S x S.

    Returns:
        title -> T x T x 3 uint8, grey outside the photo; and all labels shown, 2T x T, for `parts_legend`.
    """
    amodal, photo = (item_mask(batch[name], index, size) for name in ("amodal_mask", "photo_mask"))
    panels, shown = {}, []
    for name, title in (("parsing_modal", "parts $P_m$"), ("parsing_amodal", "parts $P_a$")):
        labels = enlarge(found[name][index].cpu().numpy().astype(np.uint8), size) * photo
        panels[title] = zoom(grey_outside(parsing_picture(labels), photo), amodal)
        shown.append(zoom(labels, amodal))
    return panels, np.concatenate(shown)


# -------------------------------------------------------------------------------------------- templates


def template_panels(
    templates: np.ndarray, weights: np.ndarray, count: int = 6, size: int = 96
) -> dict[str, np.ndarray]:
    """The templates that weigh most, as pictures titled by number and weight.

    Args:
        templates: K x S x S in [0, 1].
        weights: K, sum 1.
        count: how many.
        size: side of a panel in pixels.
    """
    order = np.argsort(-weights, kind="stable")[:count]
    return {
        f"T{k}: {weights[k]:.2f}": enlarge(probability_picture(templates[k]), size) for k in map(int, order)
    }


def effective_number(weights: np.ndarray) -> float:
    """How many templates share the weight: e to the entropy, from 1 (one-hot) to K (all alike)."""
    w = np.clip(np.asarray(weights, np.float64), 1e-300, None)
    return float(np.exp(-(w * np.log(w)).sum()))


@contextmanager
def tempered(guide: TemplateGuide, temperature: float | None) -> Iterator[None]:
    """The guide with another temperature for a while; None leaves it as it is."""
    before = guide.temperature
    guide.temperature = before if temperature is None else temperature
    try:
        yield
    finally:
        guide.temperature = before


def find_guide(deoccluder: Deoccluder) -> TemplateGuide:
    """Stage 1's templates. Raises: DeoccError: the weights were trained without."""
    guide = getattr(deoccluder.mask_net, "guide", None)
    if guide is None:
        raise DeoccError("these weights of stage 1 have no templates; use weights trained with them")
    return guide


class Browsed(NamedTuple):
    """How a network's templates fit one person."""

    picture: np.ndarray  # H x W x 3 uint8: above the person, below the templates of most weight
    rows: list[dict[str, np.ndarray]]  # the same as panels, title -> size x size x 3 uint8
    case: OcclusionCase
    distances: np.ndarray  # K, d_k
    weights: np.ndarray  # K, sum 1


def render_templates(
    deoccluder: Deoccluder,
    person: Person,
    occluder: Occluder,
    ratio: float,
    temperature: float | None = None,
    seed: int = 0,
    size: int = 128,
    count: int = 6,
) -> Browsed:
    """Occludes a person and shows the templates that N_a is given, given the true visible mask.

    Args:
        deoccluder: its stage 1 has templates.
        person, occluder: who, behind what.
        ratio: wanted hidden share of the person, in (0, 1].
        temperature: tau; None: what the network was trained with.
        seed: of the occluder's place.
        size: side of a panel in pixels.
        count: templates in the lower row.

    Raises:
        PlacementError: this occluder cannot hide that share of this person.
        DeoccError: the weights have no templates.
    """
    from deocc.inference.views import make_view

    guide = find_guide(deoccluder)
    case = occlude(person, occluder, ratio, np.random.default_rng(seed))
    assert case.modal_mask is not None and case.amodal_mask is not None
    view = make_view(case.image, mask=case.modal_mask)
    image, initial, photo_mask = deoccluder.tensors([view], deoccluder.mask_size)
    with torch.inference_mode(), tempered(guide, temperature):
        answer = deoccluder.stage1(image, initial, photo_mask)
        modal = answer.modal.sigmoid()
        distances, weights = (f(modal, photo_mask)[0].cpu().numpy() for f in (guide.distances, guide.weights))
    templates = guide.templates.cpu().numpy()
    mixture = np.tensordot(weights, templates, 1)
    outside = ~view.frame.photo_mask(case.image.shape[:2], size)
    shown = np.where(outside[..., None], OUTSIDE, view.frame.crop_image(case.image, size))
    masks = [enlarge(m[0, 0].cpu().numpy().astype(np.uint8), size) > 0
             for m in (answer.modal > 0, answer.amodal > 0)]  # fmt: skip
    above = {
        "image": shown,
        "refined mask": overlay(shown, masks[0], VISIBLE),
        "nearest": enlarge(probability_picture(templates[distances.argmin()]), size),
        "mixture": enlarge(probability_picture(mixture), size),
        "whole, answer": overlay(shown, masks[1], WHOLE),
        "whole, true": overlay(shown, view.frame.crop_mask(case.amodal_mask, size), WHOLE),
    }
    below = template_panels(templates, weights, count, size)
    strips = [strip(above), strip(below)]
    width = max(row.shape[1] for row in strips)
    padded = [np.pad(row, ((0, 4), (0, width - row.shape[1]), (0, 0)), constant_values=255) for row in strips]
    return Browsed(np.concatenate(padded), [above, below], case, distances, weights)


# -------------------------------------------------------------------------------------------- figures


def running_mean(values: Sequence[float], window: int) -> np.ndarray:
    """The mean of each value and its neighbours, `window` in all, fewer at both ends; nan is left out."""
    given, half = np.asarray(values, float), window // 2
    near = [given[max(0, i - half) : i + half + 1] for i in range(len(given))]
    return np.array([np.nanmean(some) if np.isfinite(some).any() else np.nan for some in near])


def _lines(axes: Axes, x: Sequence[float], series: Mapping[str, Sequence[float]], window: int = 1) -> None:
    """A line a series, no colour twice; with a window its running mean, the values as faint points."""
    assert len(series) <= len(LINES), f"{len(series)} series, {len(LINES)} colours"
    for (name, values), colour, marker in zip(series.items(), LINES, MARKERS, strict=False):
        if window > 1:
            axes.scatter(x, values, s=5, color=unit_colour(colour), alpha=0.25, lw=0)
        every = max(1, len(values) // 12)
        style: dict[str, Any] = {
            "marker": marker, "ms": 4, "markevery": every, "color": unit_colour(colour), "label": name
        }  # fmt: skip
        axes.plot(x, running_mean(values, window), **style)
    axes.grid(alpha=0.3)


def training_curves(log: Sequence[Mapping[str, Any]], caption: str = "", score: str = "IoU") -> Figure:
    """A training log: weighted loss terms (logarithmic) on the left, scores of the average on the right.

    A loss term is drawn as its running mean over a twelfth of the log; faint points are its values.

    Args:
        log: rows of `log.jsonl` as `deocc.training` writes them, with "losses" or "evaluation".
        caption: says preset, data and N.
        score: what the evaluations are; "IoU" runs from 0 to 1, others as far as they reach.
    """
    figure = Figure(figsize=(8.0, 3.6), dpi=DPI, layout="constrained")
    left, right = figure.subplots(1, 2)
    losses = [row for row in log if "losses" in row]
    names = list(dict.fromkeys(name for row in losses for name in row["losses"]))
    nan = float("nan")
    series = {term_words(name): [row["losses"].get(name, nan) for row in losses] for name in names}
    window = max(1, len(losses) // 12)
    _lines(left, [row["step"] for row in losses], series, window)
    words = f", running mean of {2 * (window // 2) + 1}" if window > 1 else ""
    left.set(yscale="log", xlabel="step", title=f"terms of the loss, weighted{words}")
    scored = [row for row in log if "evaluation" in row]
    names = list(dict.fromkeys(name for row in scored for name in row["evaluation"]))
    series = {term_words(name): [row["evaluation"].get(name, nan) for row in scored] for name in names}
    _lines(right, [row["step"] for row in scored], series)
    right.set(xlabel="step", ylabel=score, title="held-out people, averaged weights")
    if score == "IoU":
        right.set_ylim(0, 1)
    for axes in (left, right):
        axes.title.set_fontsize(10)
        axes.legend(fontsize=7, frameon=False, ncols=2, loc="upper center", bbox_to_anchor=(0.5, -0.2))
    if caption:
        figure.suptitle(caption, fontsize=9)
    return figure


def shift_heat_map(matrices: Mapping[str, np.ndarray], rows: Sequence[str], columns: Sequence[str],
                   caption: str = "") -> Figure:  # fmt: skip
    """Scores of trainings (rows) on test bands (columns); colour compares with the column's matched training.

    Args:
        matrices: title -> R x C scores; row c of the first C rows was trained on the band of column c.
        rows, columns: names of trainings and of test bands.
        caption: says metric, preset and N.
    """
    figure = Figure(figsize=(4.0 * len(matrices), 3.5), dpi=DPI, layout="constrained")
    cells = figure.subplots(1, len(matrices), squeeze=False)[0]
    for axes, (title, matrix) in zip(cells, matrices.items(), strict=True):
        gain = matrix - np.diagonal(matrix[: matrix.shape[1]])[None]
        limit = max(0.02, float(np.nanmax(np.abs(gain))))
        axes.imshow(signed_picture(gain, limit), aspect="auto")
        for (r, c), value in np.ndenumerate(matrix):
            text = f"{value:.3f}" if r == c else f"{value:.3f}\n({gain[r, c]:+.3f})"
            axes.text(c, r, text, ha="center", va="center", fontsize=9, color=unit_colour(INK))
        axes.set_xticks(range(len(columns)), columns, fontsize=8)
        axes.set_yticks(range(len(rows)), rows, fontsize=8)
        axes.set(xlabel="tested on", ylabel="trained on")
        axes.set_title(title, fontsize=10)
    if caption:
        figure.supxlabel(caption, fontsize=9)
    return figure


def reliability_diagram(found: Mapping[str, Reliability], caption: str = "") -> Figure:
    """Predicted probability against the share that was true, and how many pixels each bin holds.

    Args:
        found: name -> reliability, all with equally many bins.
        caption: says which pixels, N and ratio.
    """
    figure = Figure(figsize=(7.6, 3.6), dpi=DPI, layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=(1.2, 1))
    left.plot([0, 1], [0, 1], color="grey", lw=1, ls=":")
    for (name, value), colour, marker in zip(found.items(), LINES, MARKERS, strict=False):
        used = value.counts > 0
        style = {"color": unit_colour(colour), "marker": marker, "ms": 4}
        left.plot(value.predicted[used], value.observed[used], label=f"{name}, ECE {value.ece:.3f}", **style)
        middle = (np.arange(len(value.counts)) + 0.5) / len(value.counts)
        right.plot(middle, value.counts / value.counts.sum(), **style)
    left.set(xlabel="predicted probability", ylabel="share that is person", xlim=(0, 1), ylim=(0, 1))
    right.set(xlabel="predicted probability", ylabel="share of the pixels", yscale="log", xlim=(0, 1))
    left.legend(fontsize=8, frameon=False, loc="lower right")
    for axes in (left, right):
        axes.grid(alpha=0.3)
    if caption:
        figure.suptitle(caption, fontsize=9)
    return figure


def paired_changes(
    changes: Mapping[str, np.ndarray],
    names: Sequence[str],
    caption: str = "",
    xlabel: str = "change of the IoU",
) -> Figure:
    """What each option changes on the same cases: a faint point a case, the mean with two standard errors.

    Args:
        changes: title -> N x K differences to the same case without the option, N >= 2; a panel each.
        names: of the K options, the first one on top.
        caption: says what the cases are; N is added.
        xlabel: name of the difference.
    """
    figure = Figure(figsize=(8.0, 0.9 + 0.34 * len(names)), dpi=DPI, layout="constrained")
    panels, rows = figure.subplots(1, len(changes), sharey=True, squeeze=False)[0], np.arange(len(names))
    for axes, (title, values), colour in zip(panels, changes.items(), LINES, strict=False):
        apart = 2 * values.std(0, ddof=1) / np.sqrt(len(values))
        axes.axvline(0, color="grey", lw=1)
        axes.scatter(
            values, np.broadcast_to(rows, values.shape), s=9, color=unit_colour(colour), alpha=0.3, lw=0
        )
        axes.errorbar(values.mean(0), rows, xerr=apart, fmt="D", ms=5, capsize=3, color=unit_colour(INK))
        axes.set(xlabel=xlabel, title=f"{title}, N = {len(values)}")
        axes.title.set_fontsize(9)
        axes.grid(alpha=0.3)
    panels[0].set_yticks(rows, names, fontsize=9)
    panels[0].invert_yaxis()
    if caption:
        figure.suptitle(caption, fontsize=9)
    return figure
