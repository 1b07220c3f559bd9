"""The template browser: the templates that stage 1 uses for one person."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING

import ipywidgets

from deocc import figures
from deocc.errors import PlacementError
from deocc.figures.masks import Browsed, effective_number, find_guide, render_templates
from deocc.people import Occluder, Person
from deocc.widgets.common import LABELS, SceneMenus, slider, with_own_networks
from deocc.widgets.picture import Picture

if TYPE_CHECKING:
    from deocc.inference.deoccluder import Deoccluder


class TemplateBrowser(SceneMenus):
    """The templates that stage 1 uses for one person, and their weights, as tau and occlusion change.

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
        """Shows the first person behind the first thing.

        Args:
            deoccluder: its stage 1 has templates; the widget changes their temperature in a copy.
            people, occluders: at least one of each.
            ratio: where its slider starts.
            seed, size: as in `deocc.figures.render_templates`.

        Raises:
            DeoccError: no people, no occluders, or weights without templates.
        """
        super().__init__(with_own_networks(deoccluder), people, occluders, seed, size)
        self.shown: Browsed | None = None
        self.ratio = slider("occlusion ratio", ratio, 0.05, 0.8)
        self.temperature = ipywidgets.FloatLogSlider(
            value=find_guide(deoccluder).temperature, base=10, min=-4, max=0, step=0.05,
            description="temperature", continuous_update=False, readout_format=".4f", **LABELS,
        )  # fmt: skip
        self.image = Picture("a person and the templates that weigh most", max_width="1000px")
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
            self.shown, self.image.value = None, b""
            self.caption.value = escape(str(error))
            return
        self.image.value = figures.encode_jpeg(self.shown.picture)
        count, total = effective_number(self.shown.weights), len(self.shown.weights)
        self.caption.value = (
            f"{count:.1f} of {total} templates share the weight; nearest T{self.shown.distances.argmin()}, "
            f"d = {self.shown.distances.min():.4f}; occlusion ratio {self.shown.case.occlusion_ratio:.2f}"
        )
