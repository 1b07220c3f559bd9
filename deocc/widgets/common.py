"""Controls and layout that the widgets share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import ipywidgets

from deocc.people import Occluder, Person

if TYPE_CHECKING:
    from deocc.inference.deoccluder import Deoccluder

LABELS: dict[str, Any] = {"style": {"description_width": "120px"}, "layout": {"width": "auto"}}


class Display:
    """Shows the widget's `box` when it ends a cell."""

    box: ipywidgets.Widget

    def _ipython_display_(self) -> None:
        from IPython.display import display

        display(self.box)


class SceneMenus(Display):
    """Menus of people and occluders, for widgets that occlude a person.

    Args:
        deoccluder: both stages.
        people, occluders: at least one of each.
        seed: of every draw.
        size: side of a panel in pixels.
    """

    def __init__(
        self,
        deoccluder: Deoccluder,
        people: Sequence[Person],
        occluders: Sequence[Occluder],
        seed: int,
        size: int,
    ) -> None:
        self._deoccluder, self._seed, self._size = deoccluder, seed, size
        self._people = {person.id: person for person in people}
        self._occluders = {f"{thing.category} ({thing.id})": thing for thing in occluders}
        self.person = ipywidgets.Dropdown(options=list(self._people), description="person", **LABELS)
        self.occluder = ipywidgets.Dropdown(options=list(self._occluders), description="occluder", **LABELS)


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
