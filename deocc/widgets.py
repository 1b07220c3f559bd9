"""Notebook widgets: thin interfaces over pure `render...` functions of `deocc.plots`.

Each widget updates one `ipywidgets.Image` or one `Canvas` in place. Controls act on release
(`continuous_update=False`): a network runs behind them. A notebook shows a static figure beside each, for
readers without a kernel.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from html import escape
from typing import TYPE_CHECKING, Any

import ipywidgets
import numpy as np
from matplotlib.figure import Figure

from deocc import plots
from deocc.canvas import Canvas
from deocc.content_plots import (
    Question,
    Relevance,
    Step,
    ask,
    attention_maps,
    attentions,
    close_hole,
    content_net,
    frame_cell,
    glow_layer,
    outlined,
    render_hole,
    render_microscope,
)
from deocc.errors import DeoccError, PlacementError
from deocc.io import PathLike
from deocc.labels import LIP_CLASSES
from deocc.mask_plots import Browsed, effective_number, find_guide, render_templates
from deocc.occlusion import (
    DENSITIES,
    Cutout,
    OcclusionCase,
    RatioDensity,
    fit_occluder,
    fitting_offsets,
    paste_cutout,
    unoccluded_case,
)
from deocc.people import Occluder, Person
from deocc.people.filtering import ROUTES, Route
from deocc.people.routing import Candidate, RoutingLog

if TYPE_CHECKING:
    from deocc.pipeline import Deoccluder

LABELS: dict[str, Any] = {"style": {"description_width": "120px"}, "layout": {"width": "auto"}}
SPRITE = "occluder"
OVERLAYS = ("all", "visible", "whole", "invisible", "none")
TOLERANCES = (0.004, 0.01)  # of a ratio; the first lets each step of the slider move the thing
LEAST_RATIO = 0.02  # below this no smaller ratio is tried for a thing that cannot hide the wanted one


class _Display:
    """Shows the widget's `box` when it ends a cell."""

    box: ipywidgets.Widget

    def _ipython_display_(self) -> None:
        from IPython.display import display

        display(self.box)


# ---------------------------------------------------------------------------------------------- studio


class OcclusionStudio(_Display):
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
        if not len(people) or not len(occluders):
            raise DeoccError("studio: no person or no occluder came; give at least one of each")
        self._deoccluder, self._seed, self._size = deoccluder, seed, size
        self._people = {person.id: person for person in people}
        self._occluders = {f"{thing.category} ({thing.id})": thing for thing in occluders}
        self._silent = False
        self._cutout: Cutout | None = None
        self.shown: plots.Occluded | None = None
        self._make_controls(ratio, severity)
        self._choose()
        self._connect()

    # ------------------------------------------------------------------ controls

    def _make_controls(self, ratio: float, severity: float) -> None:
        self.person = ipywidgets.Dropdown(options=list(self._people), description="person", **LABELS)
        self.occluder = ipywidgets.Dropdown(options=list(self._occluders), description="occluder", **LABELS)
        self.ratio = _slider("occlusion ratio", ratio, 0.0, 1.0, 0.01)
        self.severity = _slider("errors of the mask", severity, 0.0, 2.0, 0.05)
        self.overlay = _toggles(OVERLAYS, "masks over the photo")
        self.canvas = Canvas(self._people[self.person.value].image, "drag", label=_STUDIO_LABEL)
        self.live, self.caption = ipywidgets.HTML(), ipywidgets.HTML()
        self.image = ipywidgets.Image(format="jpeg", layout={"width": "100%"})
        controls = _columns(_rows(self.person, self.occluder), _rows(self.ratio, self.severity))
        left = _rows(self.overlay, self.canvas, self.live)
        left.layout.flex, left.layout.max_width = "2 1 260px", "640px"
        right = _rows(self.image)
        right.layout.flex, right.layout.max_width = "3 1 380px", "960px"
        self.box = _rows(controls, _columns(left, right), self.caption)
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
        self.live.value, self.caption.value = "", escape(why)

    def _draw(self) -> None:
        """Ratio and masks of the thing where it lies; no network."""
        if self._cutout is None:
            return
        self.case = paste_cutout(self._whole, self._cutout)
        self.live.value = _ratio_bar(self.case.occlusion_ratio)
        layers = _layers(self.case, self.overlay.value)
        self.canvas.set_overlay(plots.mask_layer(layers) if layers else None)

    def _answer(self, note: str = "") -> None:
        """Both stages answer; the ratio's slider says what was reached."""
        if self._cutout is None:
            return
        with self._silently():
            self.ratio.value = round(self.case.occlusion_ratio, 2)
        try:
            rng = np.random.default_rng(self._seed)
            self.shown = plots.answer_case(self._deoccluder, self.case, self.severity.value, rng, self._size)
        except DeoccError as error:
            self.shown, self.caption.value = None, escape(str(error))
            return
        self.image.value = plots.encode_jpeg(self.shown.picture)
        self.caption.value = " ".join(escape(part) for part in (note, _describe(self.shown)) if part)

    def figure(self) -> Figure:
        """What the studio shows, as a static figure for readers without a kernel.

        Raises:
            DeoccError: there is no answer to show.
        """
        if self.shown is None:
            raise DeoccError("studio: there is no answer to draw; uncover a part of the person")
        panels = plots.case_panels(self.shown.case, self.shown.answer, self._size)
        caption = f"N = 1, {_describe(self.shown)}"
        return plots.panel_grid(plots.wrap(panels, 4), caption, legend=plots.mask_legend()[:2])

    @contextmanager
    def _silently(self) -> Iterator[None]:
        """Moves a control without acting on it."""
        self._silent = True
        try:
            yield
        finally:
            self._silent = False


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
        The cut-out, and one sentence where the share is smaller, else "".

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
        missed = tried < ratio
        return cutout, f"{occluder.category} cannot hide {ratio:.2f} of this person." if missed else ""


def _layers(case: OcclusionCase, which: str) -> list[tuple[np.ndarray, plots.Colour]]:
    """The masks of an overlay with their colours."""
    assert case.modal_mask is not None and case.amodal_mask is not None and case.invisible_mask is not None
    visible, invisible = (case.modal_mask, plots.VISIBLE), (case.invisible_mask, plots.INVISIBLE)
    return {
        "all": [visible, invisible],
        "visible": [visible],
        "invisible": [invisible],
        "whole": [(case.amodal_mask, plots.WHOLE)],
    }.get(which, [])


def _ratio_bar(ratio: float) -> str:
    """Hidden and visible share as a bar and a number; HTML."""
    hidden, visible = (f"rgb{colour}" for colour in (plots.INVISIBLE, plots.VISIBLE))
    bar = f"linear-gradient(to right, {hidden} {ratio:.1%}, {visible} {ratio:.1%})"
    style = f"background: {bar}; height: 10px; border-radius: 3px; margin-top: 4px"
    return f'<div style="{style}"></div>hidden <b>{ratio:.2f}</b>, visible {1 - ratio:.2f}'


def _describe(shown: plots.Occluded) -> str:
    scores = plots.score_masks(shown.case, shown.answer)
    return (
        f"occlusion ratio {scores.occlusion_ratio:.2f}; predicted {shown.answer.occlusion_ratio:.2f}; "
        f"IoU of the visible mask {scores.modal:.2f}, "
        f"whole {scores.amodal:.2f}, invisible {scores.invisible:.2f}"
    )


# ---------------------------------------------------------------------------------------------- densities


class DensityEditor(_Display):
    """A density of occlusion ratios that a hand bends: one upright slider a knot.

    Attributes:
        start: menu of named densities to start from.
        knots: upright sliders, the density's height at each knot.
        density: what the curve says now; it goes wherever a density does (`make_cases`, `TrainingMix`).
        image: curve and draws, a JPEG that is replaced in place.
        caption: one line of text: mean of the ratios, or why the curve is none.
        box: everything, for `display`.
    """

    def __init__(self, ratios: Sequence[float] = tuple(np.linspace(0, 1, 11)), start: str = "train") -> None:
        """Args: ratios: increasing knots in [0, 1]. start: a name in `DENSITIES`."""
        self._ratios, self._silent = tuple(float(ratio) for ratio in ratios), False
        names = list(DENSITIES)
        self.start = ipywidgets.Dropdown(options=names, value=start, description="start from", **LABELS)
        self.knots = [
            ipywidgets.FloatSlider(
                value=0.0, min=0.0, max=1.0, step=0.05, description=f"{ratio:.2g}", orientation="vertical",
                continuous_update=False, layout={"width": "48px", "height": "130px"},
            )
            for ratio in self._ratios
        ]  # fmt: skip
        self.image = ipywidgets.Image(format="jpeg", layout={"width": "100%", "max_width": "700px"})
        self.caption = ipywidgets.HTML()
        self.box = _rows(self.start, ipywidgets.HBox(self.knots), self.image, self.caption)
        for knot in self.knots:
            knot.observe(lambda _: self._draw(), "value")
        self.start.observe(lambda _: self._begin(), "value")
        self._begin()

    def _begin(self) -> None:
        """Sets the sliders to a named density."""
        named = DENSITIES[self.start.value]
        self._silent = True
        for knot, ratio in zip(self.knots, self._ratios, strict=True):
            knot.value = round(float(np.interp(ratio, named.ratios, named.heights, left=0, right=0)), 2)
        self._silent = False
        self._draw()

    def _draw(self) -> None:
        if self._silent:
            return
        try:
            self.density = RatioDensity(self._ratios, tuple(knot.value for knot in self.knots))
        except DeoccError as error:
            self.caption.value = escape(str(error))
            return
        curves = {"your curve": self.density, self.start.value: DENSITIES[self.start.value]}
        self.image.value = plots.encode_jpeg(plots.figure_array(plots.density_curves(curves)))
        mean = float(np.mean(self.density.sample(np.random.default_rng(0), 4000)))
        self.caption.value = f"mean occlusion ratio {mean:.2f}"


# ---------------------------------------------------------------------------------------------- templates


class TemplateBrowser(_Display):
    """The templates that stage 1 is told for one person, and their weights, as tau and occlusion change.

    Attributes:
        person, occluder: drop-down menus of ids.
        ratio: slider, wanted hidden share of the person.
        temperature: logarithmic slider, tau of the weights; it starts at the network's own.
        image: the picture, a JPEG that is replaced in place.
        caption: one line of text under it.
        shown: what is on the picture; None while the occluder cannot hide that much.
        box: everything, for `display`.
    """

    def __init__(
        self,
        deoccluder: Deoccluder,
        people: Sequence[Person],
        occluders: Sequence[Occluder],
        ratio: float = 0.4,
        seed: int = 0,
        size: int = 128,
    ) -> None:
        """Args: ratio: where its slider starts. seed, size: as in `deocc.mask_plots.render_templates`."""
        self._deoccluder, self._seed, self._size = deoccluder, seed, size
        self._people = {person.id: person for person in people}
        self._occluders = {f"{thing.category} ({thing.id})": thing for thing in occluders}
        self.shown: Browsed | None = None
        self.person = ipywidgets.Dropdown(options=list(self._people), description="person", **LABELS)
        self.occluder = ipywidgets.Dropdown(options=list(self._occluders), description="occluder", **LABELS)
        self.ratio = _slider("occlusion ratio", ratio, 0.05, 0.8)
        self.temperature = ipywidgets.FloatLogSlider(
            value=find_guide(deoccluder).temperature, base=10, min=-4, max=0, step=0.05,
            description="temperature", continuous_update=False, readout_format=".4f", **LABELS,
        )  # fmt: skip
        self.image = ipywidgets.Image(format="jpeg", layout={"width": "100%", "max_width": "1000px"})
        self.caption = ipywidgets.HTML()
        controls = (self.person, self.occluder, self.ratio, self.temperature)
        for control in controls:
            control.observe(self._update, names="value")
        self.box = ipywidgets.VBox([*controls, self.image, self.caption], layout={"max_width": "1000px"})
        self._update()

    def _update(self, change: object = None) -> None:
        person, thing = self._people[self.person.value], self._occluders[self.occluder.value]
        settings = (self.ratio.value, self.temperature.value, self._seed, self._size)
        try:
            self.shown = render_templates(self._deoccluder, person, thing, *settings)
        except PlacementError as error:
            self.shown = None
            self.caption.value = escape(str(error))
            return
        self.image.value = plots.encode_jpeg(self.shown.picture)
        count, total = effective_number(self.shown.weights), len(self.shown.weights)
        self.caption.value = (
            f"{count:.1f} of {total} templates share the weight; nearest T{self.shown.distances.argmin()}, "
            f"d = {self.shown.distances.min():.4f}; occlusion ratio {self.shown.case.occlusion_ratio:.2f}"
        )


# ---------------------------------------------------------------------------------------------- routing

ROUTE_COLOURS: dict[str, plots.Colour] = {
    "discard": plots.INVISIBLE, "preserve": plots.WHOLE, "refine": plots.LINES[0]
}  # fmt: skip
MASK_STYLES = ("outline", "tint", "none")


class RoutingWidget(_Display):
    """Look at candidates one by one and say Discard, Preserve or Refine, by mouse or by keyboard (Sec. 4.1).

    Keys, once the widget was clicked: d, p, r; u or Backspace takes the last decision back; m shows the mask
    otherwise. Each decision is on disk before the next candidate appears; a new widget on the same file goes
    on where the last one stopped.

    Attributes:
        log: the decisions, `RoutingLog`.
        candidate: who is shown; None when everybody is routed, or could not be read.
        buttons: route -> button.
        undo: button.
        mask: how the mask is drawn: "outline", "tint" or "none".
        canvas: the whole photo and the person near.
        proposal: what the automatic filter proposes and why; HTML.
        progress: bar.
        status: counts, or what went wrong; HTML.
        box: everything, for `display`.
    """

    def __init__(self, candidates: Sequence[Candidate], path: PathLike, side: int = 400) -> None:
        """Shows the first candidate without a decision.

        Args:
            candidates: in the order to be shown, such as `FolderCandidates`; with an attribute `ids` they are
                read one by one.
            path: CSV file of the decisions; a file that exists is continued.
            side: of the photo on the page, in pixels.

        Raises:
            DeoccError: no candidates, ids that stand twice, or a file that is no list of decisions.
        """
        self._candidates, self._side = candidates, side
        self._ids = list(getattr(candidates, "ids", None) or [candidate.id for candidate in candidates])
        if not self._ids or len(set(self._ids)) < len(self._ids):
            raise DeoccError(f"routing: {len(self._ids)} candidates came; give at least one, each id once")
        self.log = RoutingLog(path)
        self.candidate: Candidate | None = None
        self._make_controls()
        self._connect()
        self._show(self._next())

    def _make_controls(self) -> None:
        self._blank = np.full((self._side, 2 * self._side + 4, 3), plots.OUTSIDE, np.uint8)
        keys = [*_ROUTE_OF_KEY, *_UNDO_KEYS, "m"]
        self.canvas = Canvas(self._blank, hotkeys=keys, label="photo with a person to be routed")
        self.buttons = {route: _route_button(route) for route in ROUTES}
        self.undo = ipywidgets.Button(description="Undo (u)", icon="undo", layout={"width": "auto"})
        self.mask = _toggles(MASK_STYLES, "the mask (m)")
        self.proposal, self.status = ipywidgets.HTML(), ipywidgets.HTML()
        self.progress = ipywidgets.IntProgress(max=len(self._ids), layout={"width": "100%"})
        row = ipywidgets.HBox([*self.buttons.values(), self.undo, self.mask])
        row.layout.flex_flow, row.layout.align_items = "row wrap", "center"
        self.box = _rows(self.canvas, self.proposal, row, self.progress, self.status)
        self.box.layout.max_width = f"{2 * self._side + 4}px"
        self.box.add_class("deocc-keys")

    def _connect(self) -> None:
        for route, button in self.buttons.items():
            button.on_click(lambda _, route=route: self.decide(route))
        self.undo.on_click(lambda _: self.take_back())
        self.mask.observe(lambda _: self._draw(), "value")
        self.canvas.on("key", self._key)

    def _key(self, key: str) -> None:
        if key in _ROUTE_OF_KEY:
            self.decide(_ROUTE_OF_KEY[key])
        elif key in _UNDO_KEYS:
            self.take_back()
        else:
            self.mask.value = MASK_STYLES[(MASK_STYLES.index(self.mask.value) + 1) % len(MASK_STYLES)]

    # ------------------------------------------------------------------ decisions

    def decide(self, route: Route) -> None:
        """Routes the candidate that is shown, writes it, and shows the next one."""
        if self._index is None:
            return
        proposal = self.candidate.proposal if self.candidate else ""
        try:
            self.log.add(self._ids[self._index], route, proposal, time.monotonic() - self._since)
        except DeoccError as error:
            self._say(f"not saved: {error}")
        else:
            self._show(self._next())

    def take_back(self) -> None:
        """Takes the last decision back and shows its candidate again."""
        try:
            self.log.reload()
            last = self.log.rows[-1]["id"] if self.log.rows else None
            if last is None or last not in self._ids:
                self._say("nothing to take back" if last is None else f"the last decision is on {last}")
                return
            self.log.undo()
        except DeoccError as error:
            self._say(f"not saved: {error}")
        else:
            self._show(self._ids.index(last))

    def _next(self) -> int | None:
        routes = self.log.routes
        return next((i for i, name in enumerate(self._ids) if name not in routes), None)

    # ------------------------------------------------------------------ what is shown

    def _show(self, index: int | None) -> None:
        self._index, self._since, self.candidate = index, time.monotonic(), None
        try:
            self.candidate = None if index is None else self._candidates[index]
            self._draw()
        except DeoccError as error:
            self.canvas.show(self._blank)
            self.proposal.value = f"<b>{escape(self._ids[index or 0])}</b><br>&nbsp;"
            self._say(f"cannot be read: {error}")
        else:
            self._say()

    def _draw(self) -> None:
        if self._index is None:
            self.canvas.show(self._blank)
            self.proposal.value = "<b>everybody is routed</b><br>&nbsp;"
        elif self.candidate is not None:
            found = self.candidate
            self.canvas.show(plots.render_candidate(found.image, found.mask, self.mask.value, self._side))
            self.canvas.label = f"photo with {found.id}"
            self.proposal.value = _describe_candidate(found)

    def _say(self, problem: str = "") -> None:
        """Counts, and a problem where there is one."""
        routed = sum(name in self.log.routes for name in self._ids)
        self.progress.value = routed
        counts = ", ".join(f"{route} {count}" for route, count in self.log.counts.items())
        pace = f"; median {self.log.median_seconds:.1f} s each" if self.log.rows else ""
        text = f"{routed} of {len(self._ids)} routed: {counts}{pace}"
        red = f'<b style="color: rgb{plots.INVISIBLE}">{escape(problem)}</b><br>' if problem else ""
        self.status.value = red + text


_ROUTE_OF_KEY: dict[str, Route] = {"d": "discard", "p": "preserve", "r": "refine"}
_UNDO_KEYS = ("u", "Backspace")


def _route_button(route: Route) -> ipywidgets.Button:
    style = {"button_color": f"rgb{ROUTE_COLOURS[route]}", "text_color": "white"}
    text = f"{route.capitalize()} ({route[0]})"
    return ipywidgets.Button(description=text, style=style, layout={"width": "auto"})


def _describe_candidate(candidate: Candidate) -> str:
    """Name, proposal with its colour, reasons; HTML."""
    name = f"<b>{escape(candidate.id)}</b>"
    if candidate.proposal not in ROUTES:
        return name
    colour = f"color: rgb{ROUTE_COLOURS[candidate.proposal]}"
    words = f'proposed: <b style="{colour}">{candidate.proposal}</b> (confidence {candidate.confidence:.2f})'
    return f"{name} &nbsp; {words}<br>{escape('; '.join(candidate.reasons)) or '&nbsp;'}"


# ---------------------------------------------------------------------------------------------- stage 2


class HolePlayer(_Display):
    """Watch a hole close, layer by layer: where stage 2 knows something, and how strong its feature is.

    Attributes:
        case: drop-down menu of case ids.
        attention: check box; off leaves the PGA modules out.
        layer: slider, number of the layer; `play` moves it.
        play: play, pause, stop.
        image: hole, validity and feature, a JPEG that is replaced in place.
        caption: one line of text under it.
        steps: all layers of this case, `deocc.content_plots.Step`.
        box: everything, for `display`.
    """

    def __init__(self, deoccluder: Deoccluder, cases: Sequence[OcclusionCase], size: int = 256) -> None:
        """Shows the input of the first case.

        Args:
            deoccluder: both stages.
            cases: with ground truth, at least one; stage 2 is told their true masks.
            size: side of a panel in pixels.

        Raises:
            DeoccError: no cases, or weights of another network.
        """
        if not len(cases):
            raise DeoccError("hole player: no case came; give at least one")
        self._deoccluder, self._size = deoccluder, size
        self._cases = {case.id: case for case in cases}
        self.case = ipywidgets.Dropdown(options=list(self._cases), description="case", **LABELS)
        self.attention = ipywidgets.Checkbox(True, description="with parsing guided attention", indent=False)
        self.layer = ipywidgets.IntSlider(description="layer", **LABELS)
        self.play = ipywidgets.Play(interval=700, show_repeat=False)
        ipywidgets.jslink((self.play, "value"), (self.layer, "value"))
        self.image = ipywidgets.Image(format="jpeg", layout={"width": "100%", "max_width": "1000px"})
        self.caption = ipywidgets.HTML()
        controls = _columns(_rows(self.case, self.attention), _rows(self.layer, self.play))
        self.box = _rows(controls, self.image, self.caption)
        self.box.layout.max_width = "1000px"
        self.steps: list[Step] = []
        self._run()
        self.case.observe(lambda _: self._run(), "value")
        self.attention.observe(lambda _: self._run(), "value")
        self.layer.observe(lambda _: self._draw(), "value")

    def _run(self) -> None:
        """Another case, or with and without attention: the layer stays where it is, as far as it can."""
        self.question = ask(self._deoccluder, self._cases[self.case.value])
        self.steps = close_hole(self._deoccluder, self.question, self.attention.value)
        self.layer.max = self.play.max = len(self.steps) - 1
        self._draw()

    def _draw(self) -> None:
        step = self.steps[self.layer.value]
        self.image.value = plots.encode_jpeg(render_hole(self.question, step, self._size))
        unknown, cells = int((step.hole & ~step.valid).sum()), int(step.hole.sum())
        self.caption.value = (
            f"<b>{step.name}</b>: {unknown} of the hole's {cells} cells unknown; "
            f"occlusion ratio {self.question.case.occlusion_ratio:.2f}"
        )


ARROWS = {"ArrowUp": (-1, 0), "ArrowDown": (1, 0), "ArrowLeft": (0, -1), "ArrowRight": (0, 1)}
GUIDANCE = ("parts told", "parts not told")


class AttentionMicroscope(_Display):
    """Click an invisible pixel and see which visible pixels it attends to, with and without body parts.

    The arrow keys move the pixel cell by cell.

    Attributes:
        case: drop-down menu of case ids.
        place: which PGA module is looked into, such as "decoder 3".
        guidance: which of the two maps lies over the photo: "parts told" or "parts not told".
        canvas: the photo as the network sees it, under the weights; click it.
        image: photo, body parts and both maps, a JPEG that is replaced in place.
        caption: where the weight lies, or why there is none.
        cell: (row, column) looked from, in the cells of the module's feature.
        pair: R with and without guidance, `deocc.content_plots.Relevance`.
        box: everything, for `display`.
    """

    def __init__(self, deoccluder: Deoccluder, cases: Sequence[OcclusionCase], size: int = 256) -> None:
        """Looks from the middle of the first case's hole.

        Args:
            deoccluder: both stages.
            cases: with ground truth, at least one; stage 2 is told their true masks.
            size: side of a panel in pixels.

        Raises:
            DeoccError: no cases, or weights without attention.
        """
        places = list(attentions(content_net(deoccluder)))
        if not len(cases) or not places:
            raise DeoccError("microscope: give at least one case, and weights of stage 2 with attention")
        self._deoccluder, self._size = deoccluder, size
        self._cases = {case.id: case for case in cases}
        self.case = ipywidgets.Dropdown(options=list(self._cases), description="case", **LABELS)
        self.place = _toggles(places, "after which layer")
        self.place.value = places[-1]
        self.guidance = _toggles(GUIDANCE, "what lies over the photo")
        blank = np.zeros((2 * size, 2 * size, 3), np.uint8)
        self.canvas = Canvas(blank, "point", hotkeys=list(ARROWS), label=_MICROSCOPE_LABEL)
        self.image = ipywidgets.Image(format="jpeg", layout={"width": "100%"})
        self.caption = ipywidgets.HTML()
        left = _rows(self.canvas)
        left.layout.max_width = f"{2 * size}px"
        controls = _rows(self.case, self.place, self.guidance, self.caption)
        self.box = _rows(_columns(left, controls), self.image)
        self.box.layout.max_width = "1100px"
        self._ask()
        self._connect()

    def _connect(self) -> None:
        self.case.observe(lambda _: self._ask(), "value")
        self.place.observe(lambda _: self._look(), "value")
        self.guidance.observe(lambda _: self._draw(), "value")
        self.canvas.on("point", self._point)
        self.canvas.on("key", self._key)

    def _ask(self) -> None:
        self.question: Question = ask(self._deoccluder, self._cases[self.case.value])
        side = 2 * self._size
        self.canvas.show(outlined(self.question.picture(side), self.question.hole_at(side)))
        self._look()

    def _look(self) -> None:
        """Another case or module: R anew, from the middle of the hole."""
        told, untold = (
            attention_maps(self._deoccluder, self.question, self.place.value, guided)
            for guided in (True, False)
        )
        self.pair: tuple[Relevance, Relevance] = (told, untold)
        self.cell = told.central_cell()
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
        layer = glow_layer(chosen.look(self.cell), chosen.visible, 2 * self._size)
        if chosen.visible[self.cell]:  # it looks at itself alone: nothing to lay over the photo
            layer[..., 3] = 0
        layer[..., :3], layer[..., 3] = _framed(layer, self.cell, chosen.grid)
        self.canvas.set_overlay(layer)
        self.image.value = plots.encode_jpeg(
            render_microscope(self.question, self.pair, self.cell, self._size)
        )
        self.caption.value = _describe_look(self.pair, self.cell)


_MICROSCOPE_LABEL = "photo with an occluded person; click an invisible pixel, or move it with the arrow keys"


def _framed(layer: np.ndarray, cell: tuple[int, int], grid: int) -> tuple[np.ndarray, np.ndarray]:
    """Colours and opacity of a layer with one cell framed."""
    marks = frame_cell(np.zeros_like(layer[..., :3]), cell, grid)
    framed = marks.max(2) > 0
    return np.where(framed[..., None], marks, layer[..., :3]), np.where(framed, 255, layer[..., 3])


def _describe_look(pair: Sequence[Relevance], cell: tuple[int, int]) -> str:
    """Where the weight of a cell lies; HTML."""
    told = pair[0]
    where = f"cell {cell[0]}, {cell[1]} of {told.grid} x {told.grid}"
    if told.visible[cell]:
        return f"{where} is visible and keeps its own feature; choose one inside the outline"
    name = LIP_CLASSES[told.parts[cell]]
    lines = [f"<b>{where}</b>, {name}; 1 x: even weight over all visible cells"]
    for relevance, label in zip(pair, GUIDANCE, strict=True):
        shares = ", ".join(f"{what} {share:.0%}" for what, share in relevance.shares(cell).items())
        lines.append(f"<b>{label}</b>: {shares}; largest weight {relevance.lift(cell):.1f} x")
    return "<br>".join(lines)


# ---------------------------------------------------------------------------------------------- parts


def _slider(
    description: str, value: float, low: float, high: float, step: float = 0.05
) -> ipywidgets.FloatSlider:
    return ipywidgets.FloatSlider(
        value=value, min=low, max=high, step=step, description=description, continuous_update=False, **LABELS
    )


def _toggles(options: Sequence[str], tooltip: str) -> ipywidgets.ToggleButtons:
    return ipywidgets.ToggleButtons(
        options=list(options), tooltips=[tooltip] * len(options), style={"button_width": "auto"}
    )


def _rows(*widgets: ipywidgets.Widget) -> ipywidgets.VBox:
    return ipywidgets.VBox(list(widgets), layout={"flex": "1 1 300px", "min_width": "0"})


def _columns(*widgets: ipywidgets.Widget) -> ipywidgets.HBox:
    """Side by side where the page is wide enough, else below each other."""
    layout = {"flex_flow": "row wrap", "align_items": "flex-start", "grid_gap": "6px"}
    return ipywidgets.HBox(list(widgets), layout=layout)
