"""Pictures of stage 2: how holes close, and where invisible pixels look.

As in `deocc.plots`: pure functions, uint8 H x W x 3 arrays or matplotlib figures without global state.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from matplotlib import colormaps
from matplotlib.figure import Figure
from torch import Tensor, nn

from .comparison import recovery_system
from .errors import DeoccError
from .labels import LIP_CLASSES
from .mask_plots import enlarge, probability_picture
from .masks import Frame, person_frame
from .models import ContentRecoveryNet
from .models.attention import ParsingGuidedAttention, nearest_to
from .occlusion import OcclusionCase, case_item, collate
from .plots import DPI, INVISIBLE, LINES, MARKERS, OUTSIDE, PAPER, VISIBLE, overlay, parsing_picture, strip
from .systems import Guidance

if TYPE_CHECKING:
    from .pipeline import Deoccluder

GLOW = colormaps["inferno"]  # from black over red to yellow: brightness alone tells the order
OWN_PART, OTHER_PARTS, BACKGROUND = "own part", "other parts", "background"


# -------------------------------------------------------------------------------------------- questions


class Question(NamedTuple):
    """One case as stage 2 is asked about it.

    Attributes:
        case: of which the network sees `frame`.
        guidance: masks and body parts that it is told.
        inputs: image 1 x 3 x S x S in [0, 1], M_v and M_a 1 x 1 x S x S, P_m and P_a 1 x 19 x S x S.
        hole, photo: S x S bool: what is to be painted, what is photo.
    """

    case: OcclusionCase
    frame: Frame
    guidance: Guidance
    inputs: tuple[Tensor, ...]
    hole: np.ndarray
    photo: np.ndarray

    def picture(self, size: int) -> np.ndarray:
        """The photo in the network's frame, grey outside; size x size x 3 uint8."""
        inside = self.frame.photo_mask(self.case.image.shape[:2], size)
        return np.where(inside[..., None], self.frame.crop_image(self.case.image, size), OUTSIDE)

    def hole_at(self, size: int) -> np.ndarray:
        """The hole as the network is told it, each of its pixels a block; size x size bool."""
        return enlarge(self.hole.astype(np.uint8), size) > 0


def ask(deoccluder: Deoccluder, case: OcclusionCase, masks: str = "true") -> Question:
    """What stage 2 is told about a case.

    Args:
        deoccluder: both stages.
        case: with ground truth.
        masks: "true", or "predicted": stage 1's answer, given the case's initial mask.

    Raises:
        DeoccError: `masks` is unknown, or the case lacks what it names.
    """
    if masks not in ("true", "predicted"):
        raise DeoccError(f"masks={masks!r} is unknown; use 'true' or 'predicted'")
    given = "modal" if masks == "true" else "initial"
    start = case.modal_mask if masks == "true" else case.initial_mask
    if start is None or case.amodal_mask is None:
        raise DeoccError(f"case {case.id}: {given}.png or amodal.png is missing; give a case that has both")
    frame = person_frame(start, photo=start.shape)
    item = case_item(case, deoccluder.size, given, frame)
    batch = {name: value.to(deoccluder.device) for name, value in collate([item]).items()}
    system = recovery_system(deoccluder)
    told = system.true_guidance(batch) if masks == "true" else system.predicted_guidance(batch)
    hole, photo = (m[0, 0].cpu().numpy() > 0 for m in (told.hole(batch["photo"]), batch["photo"]))
    return Question(case, frame, told, system.inputs(batch, told), hole, photo)


def content_net(deoccluder: Deoccluder) -> ContentRecoveryNet:
    """Stage 2's network. Raises: DeoccError: it is none of ours."""
    if not isinstance(deoccluder.content_net, ContentRecoveryNet):
        name = type(deoccluder.content_net).__name__
        raise DeoccError(f"stage 2 is a {name}, which has no partial convolutions; use weights of deocc")
    return deoccluder.content_net


def attentions(network: ContentRecoveryNet) -> dict[str, ParsingGuidedAttention]:
    """The PGA modules of a network by place: "encoder 3", "encoder 5", "decoder 5", "decoder 3"."""
    places: dict[str, Any] = {f"encoder {k}": module for k, module in network.encoder_attention.items()}
    down = list(network.decoder_attention.items())[::-1]
    return places | {f"decoder {k}": module for k, module in down}


@contextmanager
def hooked(pairs: Sequence[tuple[nn.Module, Callable[..., None]]]) -> Iterator[None]:
    """Calls functions after their module's forward pass, (module, arguments, result), for a while."""
    handles = [module.register_forward_hook(hook) for module, hook in pairs]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


# -------------------------------------------------------------------------------------------- closing holes


class Step(NamedTuple):
    """What one layer of stage 2 leaves behind.

    Attributes:
        name: "input", "encoder 1", ..., "PGA, encoder 3", ..., "decoder 1".
        valid: h x w bool, where its feature is known.
        energy: h x w float32, mean magnitude of its channels.
        hole: h x w bool, cells that touch the hole.
    """

    name: str
    valid: np.ndarray
    energy: np.ndarray
    hole: np.ndarray

    @property
    def open_share(self) -> float:
        """Share of the hole's cells that are still unknown, in [0, 1]; 0 without a hole."""
        return float((self.hole & ~self.valid).sum() / max(int(self.hole.sum()), 1))


@contextmanager
def without_attention(network: ContentRecoveryNet) -> Iterator[ContentRecoveryNet]:
    """The network without its PGA modules for a while: holes close by partial convolution alone."""
    kept = network.encoder_attention, network.decoder_attention
    network.encoder_attention, network.decoder_attention = nn.ModuleDict(), nn.ModuleDict()
    try:
        yield network
    finally:
        network.encoder_attention, network.decoder_attention = kept


def close_hole(deoccluder: Deoccluder, question: Question, attention: bool = True) -> list[Step]:
    """Runs stage 2 and keeps validity and feature of every layer, in the order of the computation.

    Args:
        deoccluder: both stages.
        question: what stage 2 is told.
        attention: False leaves the PGA modules out.
    """
    network = content_net(deoccluder)
    if not attention:
        with without_attention(network):
            return _close_hole(network, question)
    return _close_hole(network, question)


@torch.inference_mode()
def _close_hole(network: ContentRecoveryNet, question: Question) -> list[Step]:
    image, valid = question.inputs[:2]
    hole = torch.from_numpy(question.hole)[None, None].float()
    steps = [_step("input", image, valid, hole)]

    def keep(name: str, module: nn.Module, arguments: Any, result: Any) -> None:
        # a PGA module returns its feature alone: the caller sets its validity to 1
        x, known = result if isinstance(result, tuple) else (result, torch.ones_like(result[:, :1]))
        steps.append(_step(name, x, known, hole))

    layers = {f"encoder {k}": layer for k, layer in network.encoder.items()}
    layers |= {f"decoder {k}": layer for k, layer in network.decoder.items()}
    layers |= {f"PGA, {place}": module for place, module in attentions(network).items()}
    with hooked([(layer, partial(keep, name)) for name, layer in layers.items()]):
        network(*question.inputs)
    return steps


def _step(name: str, x: Tensor, valid: Tensor, hole: Tensor) -> Step:
    touched = F.adaptive_max_pool2d(hole, (x.shape[-2], x.shape[-1]))[0, 0].numpy() > 0
    known, energy = (m[0, 0].float().cpu().numpy() for m in (valid, x.abs().mean(1, keepdim=True)))
    return Step(name, known > 0.5, energy, touched)


def validity_picture(step: Step, question: Question, size: int) -> np.ndarray:
    """Blue known, vermilion unknown in the hole, grey unknown elsewhere; size x size x 3 uint8."""
    out = np.full((*step.valid.shape, 3), VISIBLE, np.uint8)
    out[~step.valid & ~step.hole], out[~step.valid & step.hole] = OUTSIDE, INVISIBLE
    return outlined(enlarge(out, size), question.hole_at(size))


def outlined(picture: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """A picture with a mask's border in white on black, readable on any colour."""
    out = picture.copy()
    contours, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
    for colour, width in (((0, 0, 0), 3), (PAPER, 1)):
        cv2.drawContours(out, contours, -1, colour, width)
    return out


def energy_picture(step: Step, size: int) -> np.ndarray:
    """Mean magnitude of the channels, dark blue to yellow; size x size x 3 uint8."""
    low, high = (float(np.percentile(step.energy, q)) for q in (1, 99))
    return enlarge(probability_picture((step.energy - low) / max(high - low, 1e-9)), size)


def hole_panels(question: Question, step: Step, size: int = 224) -> dict[str, np.ndarray]:
    """One layer: photo with the hole, validity, feature; title -> size x size x 3 uint8."""
    cells = "{} x {}".format(*step.valid.shape)
    return {
        "hole in the photo": overlay(question.picture(size), question.hole_at(size), INVISIBLE, 0.8),
        f"validity, {cells}": validity_picture(step, question, size),
        "magnitude of the feature": energy_picture(step, size),
    }


def render_hole(question: Question, step: Step, size: int = 224) -> np.ndarray:
    """`hole_panels` as one picture; uint8 (size + 20) x W x 3."""
    return strip(hole_panels(question, step, size))


def hole_curves(runs: dict[str, Sequence[Step]], caption: str = "") -> Figure:
    """Share of the hole's cells that are still unknown after each layer of the encoder.

    Args:
        runs: name -> steps of `close_hole`.
        caption: says N and ratio.
    """
    figure = Figure(figsize=(7.0, 3.2), dpi=DPI, layout="constrained")
    axes = figure.subplots()
    names = max(([s.name for s in steps if "decoder" not in s.name] for steps in runs.values()), key=len)
    for (label, steps), colour, marker in zip(runs.items(), LINES, MARKERS, strict=False):
        kept = [(names.index(s.name), s.open_share) for s in steps if s.name in names]
        rgb = [value / 255 for value in colour]
        axes.plot(*np.array(kept).T, marker=marker, color=rgb, label=label)
    axes.set_xticks(range(len(names)), names, rotation=30, ha="right", fontsize=8)
    axes.set(ylabel="unknown share of the hole", ylim=(-0.02, 1.02))
    axes.grid(alpha=0.3)
    axes.legend(fontsize=9, frameon=False)
    axes.set_title(caption, fontsize=9)
    return figure


# -------------------------------------------------------------------------------------------- microscope


class Relevance(NamedTuple):
    """R of one PGA module for one case (eq. 6).

    Attributes:
        place: where the module stands, such as "decoder 3".
        guided: whether keys and queries were told the body parts.
        matrix: L x L float32, row = where position row looks; rows sum to 1; L = g x g.
        visible: g x g bool, positions that can be looked at.
        parts: g x g uint8, P_a (0 off the person) at the feature's size.
        person: g x g bool, the visible person.
    """

    place: str
    guided: bool
    matrix: np.ndarray
    visible: np.ndarray
    parts: np.ndarray
    person: np.ndarray

    @property
    def grid(self) -> int:
        """g, cells a side."""
        return self.visible.shape[0]

    def look(self, cell: tuple[int, int]) -> np.ndarray:
        """Where the cell (row, column) looks: g x g float32, sums to 1."""
        row, column = cell
        return self.matrix[row * self.grid + column].reshape(self.grid, self.grid)

    def central_cell(self) -> tuple[int, int]:
        """The invisible cell of the person that is deepest inside the hole; (0, 0) where there is none."""
        hidden = np.pad((~self.visible & (self.parts > 0)).astype(np.uint8), 1)
        depth = cv2.distanceTransform(hidden, cv2.DIST_L1, 3)[1:-1, 1:-1]
        row, column = np.unravel_index(int(depth.argmax()), depth.shape)
        return int(row), int(column)

    def lift(self, cell: tuple[int, int]) -> float:
        """Largest weight of a cell's row over the even share of all visible cells; 1: it looks everywhere."""
        return float(self.look(cell).max() * self.visible.sum())

    def shares(self, cell: tuple[int, int]) -> dict[str, float]:
        """How a cell's weight is spread over its own body part, other parts and what is no person."""
        weight, own = self.look(cell), self.person & (self.parts == self.parts[cell])
        found = {OWN_PART: weight[own].sum(), OTHER_PARTS: weight[self.person & ~own].sum()}
        return {name: float(v) for name, v in found.items()} | {BACKGROUND: float(weight[~self.person].sum())}


def attention_maps(deoccluder: Deoccluder, question: Question, place: str, guided: bool = True) -> Relevance:
    """R of one PGA module, as it is or without parsing guidance.

    Args:
        deoccluder: both stages.
        question: what stage 2 is told.
        place: a key of `attentions`.
        guided: False: keys and queries of this module see no body parts (all-zero one-hots); the feature that
            comes in stays the same.

    Raises:
        DeoccError: there is no such module, or it has no stream T.
    """
    network = content_net(deoccluder)
    known = attentions(network)
    if place not in known:
        names = ", ".join(known) or "none: these weights were trained without attention"
        raise DeoccError(f"attention at {place!r} is not to be had; there are {names}")
    module, kept = known[place], []

    def keep(module: nn.Module, arguments: tuple[Tensor, ...], result: Tensor) -> None:
        kept.append(arguments)

    with torch.inference_mode(), hooked([(module, keep)]):
        network(*question.inputs)
        feature, modal, amodal, valid = kept[0]
        told = (modal, amodal) if guided else (torch.zeros_like(modal), torch.zeros_like(amodal))
        matrix = module.attention_map(feature, *told, valid)[0].float().cpu().numpy()
        maps = nearest_to(feature, valid, modal, amodal)
    seen, visible_parts, all_parts = (m[0].cpu().numpy() > 0.5 for m in maps)
    parts = np.where(all_parts.any(0), all_parts.argmax(0) + 1, 0).astype(np.uint8)
    return Relevance(place, guided, matrix, seen[0], parts, visible_parts.any(0) & seen[0])


def mean_shares(relevance: Relevance) -> dict[str, float]:
    """`Relevance.shares` averaged over the invisible cells of the person, and what chance would give.

    Returns:
        The three shares, and "chance": the share of visible cells that have the querying cell's part, which
        is what uniform attention would put on its own part. nan where nothing is hidden.
    """
    cells = np.argwhere(~relevance.visible & (relevance.parts > 0))
    if not len(cells):
        return dict.fromkeys((OWN_PART, OTHER_PARTS, BACKGROUND, "chance"), float("nan"))
    rows = [relevance.shares((int(r), int(c))) for r, c in cells]
    means = {name: float(np.mean([row[name] for row in rows])) for name in rows[0]}
    counts = np.bincount(relevance.parts[relevance.person], minlength=len(LIP_CLASSES))
    chance = counts[relevance.parts[tuple(cells.T)]].mean() / max(int(relevance.visible.sum()), 1)
    return means | {"chance": float(chance)}


def glow_layer(weight: np.ndarray, visible: np.ndarray, size: int) -> np.ndarray:
    """Attention as a layer to lay over a photo: the brighter, the more weight; the largest is yellow.

    Args:
        weight: g x g, >= 0.
        visible: g x g bool; the layer is transparent elsewhere.
        size: side of the layer.

    Returns:
        size x size x 4 uint8 RGBA.
    """
    share = weight / max(float(weight.max()), 1e-12)
    rgba = np.dstack([GLOW(0.05 + 0.85 * share)[..., :3], (0.45 + 0.4 * share) * visible])
    return enlarge(np.rint(255 * rgba).astype(np.uint8), size)


def dimmed(picture: np.ndarray) -> np.ndarray:
    """A picture in darker greys, H x W x 3 uint8: colour is left to what lies over it."""
    grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
    return np.repeat((40 + 0.55 * grey).astype(np.uint8)[..., None], 3, axis=2)


def attention_picture(
    question: Question, relevance: Relevance, cell: tuple[int, int], size: int
) -> np.ndarray:
    """Where a cell looks, over the dimmed photo; the cell is framed. size x size x 3 uint8."""
    layer = glow_layer(relevance.look(cell), relevance.visible, size).astype(np.float32)
    share = layer[..., 3:] / 255
    out = (dimmed(question.picture(size)) * (1 - share) + layer[..., :3] * share).astype(np.uint8)
    return frame_cell(outlined(out, question.hole_at(size)), cell, relevance.grid)


def frame_cell(picture: np.ndarray, cell: tuple[int, int], grid: int) -> np.ndarray:
    """A picture with one cell of a grid framed in vermilion on white; a new array."""
    out, size = picture.copy(), picture.shape[0]
    (y0, x0), (y1, x1) = [[round((v + end) * size / grid) for v in cell] for end in (0, 1)]
    for colour, width in ((PAPER, 5), (INVISIBLE, 2)):
        cv2.rectangle(out, (x0, y0), (x1 - 1, y1 - 1), colour, width)
    return out


def microscope_panels(
    question: Question, pair: Sequence[Relevance], cell: tuple[int, int], size: int = 224
) -> dict[str, np.ndarray]:
    """Where one cell looks, told the body parts and not, beside photo and body parts.

    Args:
        question: what stage 2 is told.
        pair: R with and without guidance.
        cell: (row, column) in their grid.
        size: side of a panel.
    """
    grid = pair[0].grid
    parts = enlarge(parsing_picture(np.where(pair[0].person | ~pair[0].visible, pair[0].parts, 0)), size)
    panels = {
        "photo": frame_cell(outlined(question.picture(size), question.hole_at(size)), cell, grid),
        "body parts": frame_cell(outlined(parts, question.hole_at(size)), cell, grid),
    }
    for relevance in pair:
        title = "looks at, parts told" if relevance.guided else "looks at, parts not told"
        panels[title] = attention_picture(question, relevance, cell, size)
    return panels


def render_microscope(
    question: Question, pair: Sequence[Relevance], cell: tuple[int, int], size: int = 224
) -> np.ndarray:
    """`microscope_panels` as one picture; uint8 (size + 20) x W x 3."""
    return strip(microscope_panels(question, pair, cell, size))
