"""How partial convolutions close a hole, level by level, as pictures."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from matplotlib.figure import Figure
from torch import Tensor, nn

from deocc.figures.colours import INK, INVISIBLE, LINES, MARKERS, OUTSIDE, PAPER
from deocc.figures.masks import enlarge, probability_picture
from deocc.figures.output import DPI
from deocc.figures.panels import overlay, strip
from deocc.models import ContentRecoveryNet

if TYPE_CHECKING:
    from deocc.inference.deoccluder import Deoccluder
from deocc.figures.questions import Question, attentions, content_net, hooked


class Step(NamedTuple):
    """Validity and feature after one layer of stage 2.

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
        question: of `ask`.
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
    """White known, black unknown in the hole, grey unknown elsewhere; size x size x 3 uint8."""
    out = np.full((*step.valid.shape, 3), PAPER, np.uint8)
    out[~step.valid & ~step.hole], out[~step.valid & step.hole] = OUTSIDE, INK
    return hole_outlined(enlarge(out, size), question.hole_at(size))


def hole_outlined(picture: np.ndarray, mask: np.ndarray) -> np.ndarray:
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
