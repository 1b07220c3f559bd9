"""Controls and layout that the widgets share."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from copy import copy, deepcopy
from typing import TYPE_CHECKING, Any, TypeVar

import ipywidgets
from torch import nn

from deocc.errors import DeoccError
from deocc.people import Occluder, Person

if TYPE_CHECKING:
    from deocc.inference.deoccluder import Deoccluder

Thing = TypeVar("Thing")
LABELS: dict[str, Any] = {"style": {"description_width": "120px"}, "layout": {"width": "auto"}}


class Display:
    """Shows the widget's `box` when it ends a cell."""

    box: ipywidgets.Widget
    _silent = False

    def _ipython_display_(self) -> None:
        from IPython.display import display

        display(self.box)

    @contextmanager
    def _silently(self) -> Iterator[None]:
        """Moves a control without acting on it; what acts has to ask `_silent`."""
        before, self._silent = self._silent, True
        try:
            yield
        finally:
            self._silent = before


class SceneMenus(Display):
    """Menus of people and occluders, for widgets that occlude a person.

    Args:
        deoccluder: both stages.
        people, occluders: at least one of each.
        seed: of every draw.
        size: side of a panel in pixels.

    Raises:
        DeoccError: no people or no occluders.
    """

    def __init__(
        self,
        deoccluder: Deoccluder,
        people: Sequence[Person],
        occluders: Sequence[Occluder],
        seed: int,
        size: int,
    ) -> None:
        if not len(people) or not len(occluders):
            raise DeoccError("no person or no occluder came; give at least one of each")
        self._deoccluder, self._seed, self._size = deoccluder, seed, size
        self._people = by_name((person.id, person) for person in people)
        self._occluders = by_name((f"{thing.category} ({thing.id})", thing) for thing in occluders)
        self.person = ipywidgets.Dropdown(options=list(self._people), description="person", **LABELS)
        self.occluder = ipywidgets.Dropdown(options=list(self._occluders), description="occluder", **LABELS)


def by_name(named: Iterable[tuple[str, Thing]]) -> dict[str, Thing]:
    """Things by name, for a menu. A name that came before is numbered: "anna", "anna (2)"."""
    found: dict[str, Thing] = {}
    for name, thing in named:
        label, count = name, 1
        while label in found:
            count += 1
            label = f"{name} ({count})"
        found[label] = thing
    return found


def with_own_networks(deoccluder: Deoccluder) -> Deoccluder:
    """The same deoccluder with modules of its own, for a widget that changes them for a while.

    Notebooks run widgets beside a cell, which may ask the same networks. The weights are shared: the copy
    takes no memory.
    """
    own = copy(deoccluder)
    own.mask_net, own.content_net = _own_modules(own.mask_net), _own_modules(own.content_net)
    return own


def _own_modules(network: nn.Module) -> nn.Module:
    """A copy of the modules; parameters and buffers are the very same tensors."""
    return deepcopy(network, {id(tensor): tensor for tensor in (*network.parameters(), *network.buffers())})


def slider(
    description: str, value: float, low: float, high: float, step: float = 0.05
) -> ipywidgets.FloatSlider:
    return ipywidgets.FloatSlider(
        value=value, min=low, max=high, step=step, description=description, continuous_update=False, **LABELS
    )


def toggles(options: Sequence[str], tooltip: str) -> ipywidgets.ToggleButtons:
    return ipywidgets.ToggleButtons(
        options=list(options), tooltips=[tooltip] * len(options), style={"button_width": "auto"}
    )


def rows(*widgets: ipywidgets.Widget) -> ipywidgets.VBox:
    return ipywidgets.VBox(list(widgets), layout={"flex": "1 1 300px", "min_width": "0"})


def columns(*widgets: ipywidgets.Widget) -> ipywidgets.HBox:
    """Side by side where the page is wide enough, else below each other."""
    layout = {"flex_flow": "row wrap", "align_items": "flex-start", "grid_gap": "6px"}
    return ipywidgets.HBox(list(widgets), layout=layout)
