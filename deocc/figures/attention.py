"""The pictures of the attention microscope: what an invisible pixel attends to."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import cv2
import numpy as np
import torch
from matplotlib import colormaps
from torch import Tensor, nn

from deocc.errors import DeoccError
from deocc.figures.colours import INVISIBLE, PAPER
from deocc.figures.masks import enlarge
from deocc.figures.panels import grey_outside, parsing_picture, strip
from deocc.labels import LIP_CLASSES
from deocc.models.attention import nearest_to

if TYPE_CHECKING:
    from deocc.inference.deoccluder import Deoccluder
from deocc.figures.holes import hole_outlined
from deocc.figures.questions import Question, attentions, content_net, hooked

GLOW = colormaps["inferno"]  # from black over red to yellow: brightness alone tells the order

OWN_PART, OTHER_PARTS, BACKGROUND = "own part", "other parts", "background"


class Relevance(NamedTuple):
    """R of one PGA module for one case (eq. 6).

    Attributes:
        place: where the module stands, such as "decoder 3".
        guided: whether keys and queries saw the body parts.
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
        question: of `ask`.
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
        raise DeoccError(f"attention at {place!r} is not available; there are {names}")
    module, kept = known[place], []

    def keep(module: nn.Module, arguments: tuple[Tensor, ...], result: Tensor) -> None:
        kept.append(arguments)

    with torch.inference_mode(), hooked([(module, keep)]):
        network(*question.inputs)
        feature, modal, amodal, valid = kept[0]
        onehots = (modal, amodal) if guided else (torch.zeros_like(modal), torch.zeros_like(amodal))
        matrix = module.attention_map(feature, *onehots, valid)[0].float().cpu().numpy()
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
    return frame_cell(hole_outlined(out, question.hole_at(size)), cell, relevance.grid)


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
    """Where one cell looks, with and without body parts, beside photo and body parts.

    Args:
        question: of `ask`.
        pair: R with and without guidance.
        cell: (row, column) in their grid.
        size: side of a panel.
    """
    grid = pair[0].grid
    parts = enlarge(parsing_picture(np.where(pair[0].person | ~pair[0].visible, pair[0].parts, 0)), size)
    panels = {
        "photo": frame_cell(hole_outlined(question.picture(size), question.hole_at(size)), cell, grid),
        "body parts": frame_cell(hole_outlined(parts, question.hole_at(size)), cell, grid),
    }
    for relevance in pair:
        title = "looks at, parts given" if relevance.guided else "looks at, parts not given"
        panels[title] = attention_picture(question, relevance, cell, size)
    photo_mask = question.frame.photo_mask(question.case.image.shape[:2], size)
    return {title: grey_outside(panel, photo_mask) for title, panel in panels.items()}


def render_microscope(
    question: Question, pair: Sequence[Relevance], cell: tuple[int, int], size: int = 224
) -> np.ndarray:
    """`microscope_panels` as one picture; uint8 (size + 20) x W x 3."""
    return strip(microscope_panels(question, pair, cell, size))
