"""The routing widget: Discard, Preserve or Refine (Sec. 4.1)."""

from __future__ import annotations

import time
from collections.abc import Sequence
from html import escape

import ipywidgets
import numpy as np

from deocc import figures
from deocc.errors import DeoccError
from deocc.io import PathLike
from deocc.people.filtering import ROUTES, Route
from deocc.people.routing import Candidate, RoutingLog
from deocc.widgets.canvas import Canvas
from deocc.widgets.common import Display, rows, toggles

ROUTE_COLOURS: dict[str, figures.Colour] = {  # those of the figures; two are darker: white is read on them
    "discard": (180, 79, 0), "preserve": (0, 124, 90), "refine": figures.LINES[0]
}  # fmt: skip
MASK_STYLES = ("outline", "tint", "none")
GLANCE = 0.15  # seconds; nobody decides on a candidate sooner: such a key was meant for the one before


class RoutingWidget(Display):
    """Routes candidates one by one to Discard, Preserve or Refine, by mouse or keyboard (Sec. 4.1).

    The time of a decision counts every look at its candidate, from when it is drawn: one that is taken back
    and made again takes the sum of both.

    Keys, once the widget was clicked: d, p, r; u or Backspace takes the last decision back; m shows the mask
    otherwise. A second d, p or r that comes before the next candidate can have been seen does nothing. Each
    decision is on disk before the next candidate appears; a new widget on the same file goes on where the
    last one stopped.

    Attributes:
        log: the decisions, `RoutingLog`.
        candidate: the one that is shown; None when all are routed or unreadable.
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
        self._spent: dict[str, float] = {}  # seconds of decisions that were taken back
        self._ids = list(getattr(candidates, "ids", None) or [candidate.id for candidate in candidates])
        if not self._ids or len(set(self._ids)) < len(self._ids):
            raise DeoccError(f"routing: {len(self._ids)} candidates came; give at least one, each id once")
        self.log = RoutingLog(path)
        self.candidate: Candidate | None = None
        self._make_controls()
        self._connect()
        self._show(self._next())

    def _make_controls(self) -> None:
        self._blank = np.full((self._side, 2 * self._side + 4, 3), figures.OUTSIDE, np.uint8)
        keys = [*_ROUTE_OF_KEY, *_UNDO_KEYS, "m"]
        self.canvas = Canvas(self._blank, hotkeys=keys, label="photo with a person to be routed")
        self.buttons = {route: _route_button(route) for route in ROUTES}
        self.undo = ipywidgets.Button(description="Undo (u)", icon="undo", layout={"width": "auto"})
        self.mask = toggles(MASK_STYLES, "the mask (m)")
        self.proposal, self.status = ipywidgets.HTML(), ipywidgets.HTML()
        self.progress = ipywidgets.IntProgress(max=len(self._ids), layout={"width": "100%"})
        row = ipywidgets.HBox([*self.buttons.values(), self.undo, self.mask])
        row.layout.flex_flow, row.layout.align_items = "row wrap", "center"
        self.box = rows(self.canvas, self.proposal, row, self.progress, self.status)
        self.box.layout.max_width = f"{2 * self._side + 4}px"
        self.box.add_class("deocc-keys")

    def _connect(self) -> None:
        for route, button in self.buttons.items():
            button.on_click(lambda _, route=route: self._chosen(route))
        self.undo.on_click(lambda _: self.take_back())
        self.mask.observe(lambda _: self._draw(), "value")
        self.canvas.on("key", self._key)

    def _key(self, key: str) -> None:
        if key in _ROUTE_OF_KEY:
            self._chosen(_ROUTE_OF_KEY[key])
        elif key in _UNDO_KEYS:
            self.take_back()
        else:
            self.mask.value = MASK_STYLES[(MASK_STYLES.index(self.mask.value) + 1) % len(MASK_STYLES)]

    # ------------------------------------------------------------------ decisions

    def _chosen(self, route: Route) -> None:
        """The hand decides: on a candidate that it can have seen."""
        if time.monotonic() - self._since >= GLANCE:
            self.decide(route)

    def decide(self, route: Route) -> None:
        """Routes the candidate that is shown, writes it, and shows the next one."""
        if self._index is None:
            return
        proposal, name = self.candidate.proposal if self.candidate else "", self._ids[self._index]
        seconds = time.monotonic() - self._since + self._spent.get(name, 0.0)
        try:
            self.log.add(name, route, proposal, seconds)
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
            self._spent[last] = float(self.log.rows[-1]["seconds"])
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
        self._index, self.candidate = index, None
        try:
            self.candidate = None if index is None else self._candidates[index]
            self._draw()
        except DeoccError as error:
            self.canvas.show(self._blank)
            self.proposal.value = f"<b>{escape(self._ids[index or 0])}</b><br>&nbsp;"
            self._say(f"cannot be read: {error}")
        else:
            self._say()
        finally:
            self._since = time.monotonic()

    def _draw(self) -> None:
        if self._index is None:
            self.canvas.show(self._blank)
            self.proposal.value = "<b>everybody is routed</b><br>&nbsp;"
        elif self.candidate is not None:
            found = self.candidate
            self.canvas.show(figures.render_candidate(found.image, found.mask, self.mask.value, self._side))
            self.canvas.label = f"photo with {found.id}"
            self.proposal.value = _describe_candidate(found)

    def _say(self, problem: str = "") -> None:
        """Counts, and a problem where there is one."""
        routed = sum(name in self.log.routes for name in self._ids)
        self.progress.value = routed
        counts = ", ".join(f"{route} {count}" for route, count in self.log.counts.items())
        pace = f"; median {self.log.median_seconds:.1f} s a decision" if self.log.rows else ""
        text = f"{routed} of {len(self._ids)} routed: {counts}{pace}"
        red = f'<b style="color: rgb{figures.INVISIBLE}">{escape(problem)}</b><br>' if problem else ""
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
    colour = f"background: rgb{ROUTE_COLOURS[candidate.proposal]}; color: white; padding: 0 4px"
    words = f'proposed: <b style="{colour}">{candidate.proposal}</b> (confidence {candidate.confidence:.2f})'
    return f"{name} &nbsp; {words}<br>{escape('; '.join(candidate.reasons)) or '&nbsp;'}"
