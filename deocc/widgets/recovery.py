"""Widgets that show stage 2 at work: `HolePlayer`, `AttentionMicroscope`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import ipywidgets
import numpy as np

from deocc import figures
from deocc.errors import DeoccError
from deocc.figures.attention import Relevance, attention_maps, frame_cell, glow_layer, render_microscope
from deocc.figures.holes import Step, close_hole, hole_outlined, render_hole
from deocc.figures.questions import Question, ask, attentions, content_net
from deocc.labels import LIP_CLASSES
from deocc.occlusion import OcclusionCase
from deocc.widgets.canvas import Canvas
from deocc.widgets.common import LABELS, Display, by_name, columns, rows, toggles, with_own_networks
from deocc.widgets.picture import Picture

if TYPE_CHECKING:
    from deocc.inference.deoccluder import Deoccluder

ARROWS = {"ArrowUp": (-1, 0), "ArrowDown": (1, 0), "ArrowLeft": (0, -1), "ArrowRight": (0, 1)}
GUIDANCE = ("parts given", "parts not given")


class _CaseMenu(Display):
    """The base class: a menu of cases, stage 2's inputs for the chosen one, picture and caption.

    Cases of the same id are numbered. Stage 2 is changed (modules left out, hooks) in a copy.
    """

    def __init__(self, deoccluder: Deoccluder, cases: Sequence[OcclusionCase], size: int) -> None:
        self._deoccluder, self._size = with_own_networks(deoccluder), size
        self._cases = by_name((case.id, case) for case in cases)
        self.case = ipywidgets.Dropdown(options=list(self._cases), description="case", **LABELS)
        self.image = Picture("one layer of stage 2")
        self.caption = ipywidgets.HTML()
        self.case.observe(lambda _: self._ask(), "value")

    def _ask(self) -> None:
        self.question: Question = ask(self._deoccluder, self._cases[self.case.value])


class HolePlayer(_CaseMenu):
    """Watch a hole close, layer by layer: where stage 2 knows something, and how strong its feature is.

    Attributes:
        case: drop-down menu of case ids.
        attention: check box; off leaves the PGA modules out.
        layer: slider, number of the layer; `play` moves it.
        play: play, pause, stop.
        image: hole, validity and feature, a JPEG that is replaced in place.
        caption: one line of text under it.
        steps: all layers of this case, `deocc.figures.Step`.
        box: everything, for `display`.
    """

    def __init__(self, deoccluder: Deoccluder, cases: Sequence[OcclusionCase], size: int = 256) -> None:
        """Shows the input of the first case.

        Args:
            deoccluder: both stages.
            cases: with ground truth, at least one; stage 2 is given their true masks.
            size: side of a panel in pixels.

        Raises:
            DeoccError: no cases, or weights of another network.
        """
        if not len(cases):
            raise DeoccError("hole player: no case came; give at least one")
        super().__init__(deoccluder, cases, size)
        self.image.layout.max_width = "1000px"
        self.attention = ipywidgets.Checkbox(True, description="with parsing guided attention", indent=False)
        self.layer = ipywidgets.IntSlider(description="layer", **LABELS)
        self.play = ipywidgets.Play(interval=700, show_repeat=False)
        ipywidgets.jslink((self.play, "value"), (self.layer, "value"))
        controls = columns(rows(self.case, self.attention), rows(self.layer, self.play))
        self.box = rows(controls, self.image, self.caption)
        self.box.layout.max_width = "1000px"
        self.steps: list[Step] = []
        self._ask()
        self.attention.observe(lambda _: self._ask(), "value")
        self.layer.observe(lambda _: self._draw(), "value")

    def _ask(self) -> None:
        """Another case, or with and without attention: the layer stays where it is, as far as it can."""
        super()._ask()
        self.steps = close_hole(self._deoccluder, self.question, self.attention.value)
        self.layer.max = self.play.max = len(self.steps) - 1
        self._draw()

    def _draw(self) -> None:
        step = self.steps[self.layer.value]
        self.image.value = figures.encode_jpeg(render_hole(self.question, step, self._size))
        unknown, cells = int((step.hole & ~step.valid).sum()), int(step.hole.sum())
        self.caption.value = (
            f"<b>{step.name}</b>: {unknown} of the hole's {cells} cells unknown; "
            f"occlusion ratio {self.question.case.occlusion_ratio:.2f}"
        )


class AttentionMicroscope(_CaseMenu):
    """Click an invisible pixel and see which visible pixels it attends to, with and without body parts.

    The arrow keys move the pixel cell by cell.

    Attributes:
        case: drop-down menu of case ids.
        place: which PGA module is looked into, such as "decoder 3".
        guidance: which of the two maps lies over the photo: "parts given" or "parts not given".
        canvas: the photo as the network sees it, under the weights; click it.
        image: photo, body parts and both maps, a JPEG that is replaced in place.
        caption: where the weight lies, or why there is none.
        cell: (row, column) looked from, in the cells of the module's feature.
        pair: R with and without guidance, `deocc.figures.Relevance`.
        box: everything, for `display`.
    """

    def __init__(self, deoccluder: Deoccluder, cases: Sequence[OcclusionCase], size: int = 256) -> None:
        """Looks from the middle of the first case's hole, through the module that looks there most sharply.

        Args:
            deoccluder: both stages.
            cases: with ground truth, at least one; stage 2 is given their true masks.
            size: side of a panel in pixels.

        Raises:
            DeoccError: no cases, or weights without attention.
        """
        places = list(attentions(content_net(deoccluder)))
        if not len(cases) or not places:
            raise DeoccError("microscope: give at least one case, and weights of stage 2 with attention")
        super().__init__(deoccluder, cases, size)
        self.place = toggles(places, "after which layer")
        self.place.value = _clearest(self._deoccluder, ask(self._deoccluder, cases[0]), places)
        self.guidance = toggles(GUIDANCE, "what lies over the photo")
        blank = np.zeros((2 * size, 2 * size, 3), np.uint8)
        self.canvas = Canvas(blank, "point", hotkeys=list(ARROWS), label=_MICROSCOPE_LABEL)
        left = rows(self.canvas)
        left.layout.max_width = f"{2 * size}px"
        controls = rows(self.case, self.place, self.guidance, self.caption)
        self.box = rows(columns(left, controls), self.image)
        self.box.layout.max_width = "1100px"
        self._ask()
        self._connect()

    def _connect(self) -> None:
        self.place.observe(lambda _: self._look(), "value")
        self.guidance.observe(lambda _: self._draw(), "value")
        self.canvas.on("point", self._point)
        self.canvas.on("key", self._key)

    def _ask(self) -> None:
        super()._ask()
        side = 2 * self._size
        self.canvas.show(hole_outlined(self.question.picture(side), self.question.hole_at(side)))
        self._look()

    def _look(self) -> None:
        """Another case or module: R anew, from the middle of the hole."""
        guided, unguided = (
            attention_maps(self._deoccluder, self.question, self.place.value, guided)
            for guided in (True, False)
        )
        self.pair: tuple[Relevance, Relevance] = (guided, unguided)
        self.cell = guided.central_cell()
        self._draw()

    def _point(self, x: int, y: int) -> None:
        row, column = (int(v * self.pair[0].grid / (2 * self._size)) for v in (y, x))
        self.cell = row, column
        self._draw()

    def _key(self, key: str) -> None:
        last = self.pair[0].grid - 1
        row, column = (min(max(v + step, 0), last) for v, step in zip(self.cell, ARROWS[key], strict=True))
        self.cell = row, column
        self._draw()

    def _draw(self) -> None:
        chosen = self.pair[GUIDANCE.index(self.guidance.value)]
        self.canvas.set_trait("point", None)  # the frame marks the cell
        layer = glow_layer(chosen.look(self.cell), chosen.visible, 2 * self._size)
        if chosen.visible[self.cell]:  # it looks at itself alone: nothing to lay over the photo
            layer[..., 3] = 0
        layer[..., :3], layer[..., 3] = _framed(layer, self.cell, chosen.grid)
        self.canvas.set_overlay(layer)
        self.image.value = figures.encode_jpeg(
            render_microscope(self.question, self.pair, self.cell, self._size)
        )
        self.caption.value = _describe_look(self.pair, self.cell)


def _clearest(deoccluder: Deoccluder, question: Question, places: Sequence[str]) -> str:
    """Of the modules with the finest map, the one that looks most sharply from the middle of the hole."""
    found = {place: attention_maps(deoccluder, question, place) for place in places}
    finest = max(relevance.grid for relevance in found.values())
    fine = [place for place in places if found[place].grid == finest]
    return max(fine, key=lambda place: found[place].lift(found[place].central_cell()))


_MICROSCOPE_LABEL = "photo with an occluded person; click an invisible pixel, or move it with the arrow keys"


def _framed(layer: np.ndarray, cell: tuple[int, int], grid: int) -> tuple[np.ndarray, np.ndarray]:
    """Colours and opacity of a layer with one cell framed."""
    marks = frame_cell(np.zeros_like(layer[..., :3]), cell, grid)
    framed = marks.max(2) > 0
    return np.where(framed[..., None], marks, layer[..., :3]), np.where(framed, 255, layer[..., 3])


def _describe_look(pair: Sequence[Relevance], cell: tuple[int, int]) -> str:
    """Where the weight of a cell lies; HTML."""
    guided = pair[0]
    where = f"cell {cell[0]}, {cell[1]} of {guided.grid} x {guided.grid}"
    if guided.visible[cell]:
        return f"{where} is visible and keeps its own feature; choose one inside the outline"
    name = LIP_CLASSES[guided.parts[cell]]
    lines = [f"<b>{where}</b>, {name}; 1 x: even weight over all visible cells"]
    for relevance, label in zip(pair, GUIDANCE, strict=True):
        shares = ", ".join(f"{what} {share:.0%}" for what, share in relevance.shares(cell).items())
        lines.append(f"<b>{label}</b>: {shares}; largest weight {relevance.lift(cell):.1f} x")
    return "<br>".join(lines)
