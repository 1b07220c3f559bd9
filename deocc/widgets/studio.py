"""The occlusion studio: both stages answer while you occlude a person."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from html import escape
from typing import TYPE_CHECKING

import ipywidgets
import numpy as np
from matplotlib.figure import Figure

from deocc import figures
from deocc.errors import DeoccError, PlacementError
from deocc.occlusion import (
    Cutout,
    OcclusionCase,
    fit_occluder,
    fitting_offsets,
    paste_cutout,
    unoccluded_case,
)
from deocc.people import Occluder, Person
from deocc.widgets.canvas import Canvas
from deocc.widgets.common import SceneMenus, columns, rows, slider, toggles
from deocc.widgets.picture import Picture

if TYPE_CHECKING:
    from deocc.inference.deoccluder import Deoccluder

SPRITE = "occluder"
OVERLAYS = ("all", "visible", "whole", "invisible", "none")
TOLERANCES = (0.004, 0.01)  # of a ratio; the first lets each step of the slider move the thing
LEAST_RATIO = 0.02  # below this no smaller ratio is tried for a thing that cannot hide the wanted one


class OcclusionStudio(SceneMenus):
    """Hide a person behind a thing, by hand or by as much as a slider says, and watch both stages answer.

    While the hand drags the thing, the hidden share and the masks follow; when it lets go, the networks
    answer. The arrow keys move the thing by a pixel, with shift by ten.

    Attributes:
        person, occluder: drop-down menus of ids.
        ratio: slider, wanted hidden share of the person; it follows the hand.
        severity: slider, how wrong the initial mask is (0 = true visible mask, 1 = typical segmenter).
        overlay: which masks lie over the photo: "all", "visible" (modal), "whole" (amodal), "invisible",
            "none".
        canvas: the photo; its sprite "occluder" can be dragged.
        live: the hidden share as a line of text, while dragging too.
        image: initial mask, answers and truth as one picture, a JPEG that is replaced in place.
        caption: one line of text under it: ratio, scores, or what went wrong.
        case: person and thing as they lie now.
        shown: what `image` shows; None where there is no answer.
        box: everything, for `display`.
    """

    def __init__(
        self,
        deoccluder: Deoccluder,
        people: Sequence[Person],
        occluders: Sequence[Occluder],
        ratio: float = 0.4,
        severity: float = 0.0,
        seed: int = 0,
        size: int = 160,
    ) -> None:
        """Shows the first person behind the first thing.

        Args:
            deoccluder: both stages.
            people, occluders: at least one of each.
            ratio, severity: where the sliders start.
            seed: of the thing's first place and of the initial mask's errors.
            size: side of an answer's panel in pixels.

        Raises:
            DeoccError: no people or no occluders.
        """
        super().__init__(deoccluder, people, occluders, seed, size)
        self._cutout: Cutout | None = None
        self.shown: figures.Occluded | None = None
        self._make_controls(ratio, severity)
        self._choose()
        self._connect()

    # ------------------------------------------------------------------ controls

    def _make_controls(self, ratio: float, severity: float) -> None:
        self.ratio = slider("occlusion ratio", ratio, 0.0, 1.0, 0.01)
        self.severity = slider("errors of the mask", severity, 0.0, 2.0, 0.05)
        self.overlay = toggles(OVERLAYS, "masks over the photo")
        self.canvas = Canvas(self._people[self.person.value].image, "drag", label=_STUDIO_LABEL)
        self.live, self.caption = ipywidgets.HTML(), ipywidgets.HTML()
        self.image = Picture("what both stages answer, beside the truth")
        controls = columns(rows(self.person, self.occluder), rows(self.ratio, self.severity))
        left = rows(self.overlay, self.canvas, self.live)
        left.layout.flex, left.layout.max_width = "2 1 260px", "640px"
        right = rows(self.image)
        right.layout.flex, right.layout.max_width = "3 1 380px", "960px"
        self.box = rows(controls, columns(left, right), self.caption)
        self.box.layout.max_width = "1200px"

    def _connect(self) -> None:
        for menu in (self.person, self.occluder):
            menu.observe(lambda _: self._choose(), "value")
        self.ratio.observe(lambda _: self._slide(), "value")
        self.severity.observe(lambda _: self._answer(), "value")
        self.overlay.observe(lambda _: self._draw(), "value")
        self.canvas.observe(lambda _: self._drag(), "positions")
        self.canvas.on("drop", lambda name, x, y: self._answer())

    # ------------------------------------------------------------------ what the controls do

    def _choose(self) -> None:
        """Another person or thing: fits the thing to the wanted ratio anew."""
        self._whole = unoccluded_case(self._people[self.person.value])
        self.canvas.show(self._whole.image)
        self._refit()

    def _slide(self) -> None:
        """Another ratio: the thing moves to the nearest place that gives it; else it is fitted anew."""
        if self._silent:
            return
        near = nearest_place(self._whole, self._cutout, self.ratio.value) if self._cutout else None
        if near is None:
            self._refit()
        else:
            self._put(near)
            self._answer()

    def _refit(self) -> None:
        thing, note = self._occluders[self.occluder.value], ""
        try:
            cutout, note = fit_as_far_as_possible(self._whole, thing, self.ratio.value, self._seed)
        except DeoccError as error:
            self._clear(str(error))
            return
        self._put(cutout, new=True)
        self._answer(note)

    def _drag(self) -> None:
        """The hand moves the thing."""
        x, y = self.canvas.positions.get(SPRITE, (0, 0))
        if self._cutout is not None and self._cutout.top_left != (y, x):
            self._cutout = replace(self._cutout, top_left=(int(y), int(x)))
            self.caption.value = _MOVING
            self._draw()

    # ------------------------------------------------------------------ what is shown

    def _put(self, cutout: Cutout, new: bool = False) -> None:
        self._cutout = cutout
        y, x = cutout.top_left
        if new:
            alpha = np.rint(cutout.alpha * 255).astype(np.uint8)
            self.canvas.set_sprite(SPRITE, np.dstack([cutout.colours, alpha]), (x, y))
        else:
            self.canvas.move_sprite(SPRITE, x, y)
        self._draw()

    def _clear(self, why: str) -> None:
        self._cutout, self.shown, self.case = None, None, self._whole
        self.canvas.remove_sprite(SPRITE)
        self.canvas.set_overlay(None)
        self.live.value, self.caption.value, self.image.value = "", escape(why), b""

    def _draw(self) -> None:
        """Ratio and masks of the thing where it lies; no network."""
        if self._cutout is None:
            return
        self.case = paste_cutout(self._whole, self._cutout)
        self.live.value = _ratio_bar(self.case.occlusion_ratio)
        layers = _layers(self.case, self.overlay.value)
        self.canvas.set_overlay(figures.mask_layer(layers) if layers else None)

    def _answer(self, note: str = "") -> None:
        """Both stages answer; the ratio's slider says what was reached."""
        if self._cutout is None:
            return
        with self._silently():
            self.ratio.value = round(self.case.occlusion_ratio, 2)
        try:
            rng = np.random.default_rng(self._seed)
            self.shown = figures.answer_case(
                self._deoccluder, self.case, self.severity.value, rng, self._size
            )
        except DeoccError as error:
            self.shown, self.caption.value, self.image.value = None, escape(str(error)), b""
            return
        self.image.value = figures.encode_jpeg(self.shown.picture)
        self.caption.value = " ".join(escape(part) for part in (note, _describe(self.shown)) if part)

    def figure(self) -> Figure:
        """What the studio shows, as a static figure for readers without a kernel.

        Raises:
            DeoccError: there is no answer to show.
        """
        if self.shown is None:
            raise DeoccError("studio: there is no answer to draw; uncover a part of the person")
        panels = figures.case_panels(self.shown.case, self.shown.answer, self._size)
        caption = f"N = 1, {_describe(self.shown)}"
        return figures.panel_grid(figures.wrap(panels, 4), caption, legend=figures.mask_legend()[:2])


_MOVING = "the answer is still that of the place before; let go for a new one"
_STUDIO_LABEL = "photo with a thing in front of the person; drag it, or move it with the arrow keys"


def nearest_place(case: OcclusionCase, cutout: Cutout, ratio: float) -> Cutout | None:
    """The cut-out at the nearest place where it hides a wanted share of a case's person; None: nowhere."""
    assert case.amodal_mask is not None
    for tolerance in TOLERANCES:
        try:
            offsets = fitting_offsets(case.amodal_mask, cutout.mask, ratio, tolerance, case.modal_mask)
        except DeoccError:  # too small at its size, or a ratio of 0
            continue
        y, x = offsets[((offsets - np.array(cutout.top_left)) ** 2).sum(1).argmin()]
        return replace(cutout, top_left=(int(y), int(x)))
    return None


def fit_as_far_as_possible(
    case: OcclusionCase, occluder: Occluder, ratio: float, seed: int
) -> tuple[Cutout, str]:
    """Fits an occluder; where it cannot hide the wanted share, to the next smaller share that it can.

    Returns:
        The cut-out, and one sentence where the share is another one, else "".

    Raises:
        PlacementError: it can hide nothing worth showing.
    """
    tried = max(ratio, LEAST_RATIO)
    while True:
        try:
            cutout = fit_occluder(case, occluder, tried, np.random.default_rng(seed))
        except PlacementError:
            if tried * 0.8 < LEAST_RATIO:
                raise
            tried *= 0.8
            continue
        note = f"{occluder.category} cannot hide {ratio:.2f} of this person." if tried < ratio else ""
        if ratio < LEAST_RATIO:
            note = f"The slider hides at least {LEAST_RATIO:.2f}; drag the thing aside to hide less."
        return cutout, note


def _layers(case: OcclusionCase, which: str) -> list[tuple[np.ndarray, figures.Colour]]:
    """The masks of an overlay with their colours."""
    assert case.modal_mask is not None and case.amodal_mask is not None and case.invisible_mask is not None
    visible, invisible = (case.modal_mask, figures.VISIBLE), (case.invisible_mask, figures.INVISIBLE)
    return {
        "all": [visible, invisible],
        "visible": [visible],
        "invisible": [invisible],
        "whole": [(case.amodal_mask, figures.WHOLE)],
    }.get(which, [])


def _ratio_bar(ratio: float) -> str:
    """Hidden and visible share as a bar and a number; HTML."""
    hidden, visible = (f"rgb{colour}" for colour in (figures.INVISIBLE, figures.VISIBLE))
    bar = f"linear-gradient(to right, {hidden} {ratio:.1%}, {visible} {ratio:.1%})"
    style = f"background: {bar}; height: 10px; border-radius: 3px; margin-top: 4px"
    return f'<div style="{style}"></div>hidden <b>{ratio:.2f}</b>, visible {1 - ratio:.2f}'


def _describe(shown: figures.Occluded) -> str:
    scores = figures.score_masks(shown.case, shown.answer)
    return (
        f"occlusion ratio {scores.occlusion_ratio:.2f}; predicted {shown.answer.occlusion_ratio:.2f}; "
        f"IoU of the visible mask {scores.modal:.2f}, "
        f"whole {scores.amodal:.2f}, invisible {scores.invisible:.2f}"
    )
