"""The density editor: a curve of occlusion ratios, bent by hand."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

import ipywidgets
import numpy as np

from deocc import figures
from deocc.errors import DeoccError
from deocc.occlusion import DENSITIES, RatioDensity
from deocc.widgets.common import LABELS, Display, rows
from deocc.widgets.picture import Picture


class DensityEditor(Display):
    """A density of occlusion ratios that a hand bends: one upright slider a knot.

    Attributes:
        start: menu of named densities to start from.
        knots: upright sliders, the density's height at each knot.
        density: the present curve, for `make_cases` or `TrainingMix`.
        image: curve and draws, a `Picture` that is replaced in place.
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
                continuous_update=False, layout={"width": "58px", "height": "220px", "flex": "0 0 auto"},
            )
            for ratio in self._ratios
        ]  # fmt: skip
        self.image = Picture("the density and ratios drawn from it", max_width="700px")
        self.caption = ipywidgets.HTML()
        row = ipywidgets.HBox(self.knots, layout={"flex_flow": "row wrap"})  # a narrow page: two lines
        self.box = rows(self.start, row, self.image, self.caption)
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
        self.image.value = figures.encode_jpeg(figures.figure_array(figures.density_curves(curves)))
        mean = float(np.mean(self.density.sample(np.random.default_rng(0), 4000)))
        self.caption.value = f"mean occlusion ratio {mean:.2f}"
