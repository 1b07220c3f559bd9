"""The systems that ours is measured against, one file per system, all behind one protocol.

This package exports those that learn nothing, or only an average; they are controls. Those that the training
loop trains are in `deocc.baselines.masks.registry` and
`deocc.baselines.pixels.registry`.
"""

from collections.abc import Callable
from functools import partial

from deocc.baselines.masks.convex_hull import ConvexHull
from deocc.baselines.masks.initial_mask import InitialMask
from deocc.baselines.masks.mean_mask import MeanMask
from deocc.baselines.masks.nearest_template import NearestTemplate
from deocc.baselines.masks.true_visible import TrueVisibleMask
from deocc.baselines.pixels.biharmonic import Biharmonic
from deocc.baselines.pixels.inpainting import Inpainter
from deocc.baselines.pixels.mean_colour import MeanColour
from deocc.baselines.pixels.navier_stokes import NavierStokes
from deocc.baselines.pixels.patchmatch import PatchMatch
from deocc.baselines.pixels.telea import Telea
from deocc.baselines.protocol import Baseline

INPAINTERS: dict[str, Callable[[], Inpainter]] = {
    "colour": MeanColour,
    "telea": Telea,
    "telea-person": partial(Telea, "person"),
    "navier-stokes": NavierStokes,
    "biharmonic": Biharmonic,
    "patchmatch": PatchMatch,
}
"""The painters of table 3 that learn nothing, by short name."""

__all__ = [
    "INPAINTERS",
    "Baseline", "Biharmonic", "ConvexHull", "InitialMask", "MeanColour", "MeanMask",
    "NavierStokes", "NearestTemplate", "PatchMatch", "Telea", "TrueVisibleMask",
]  # fmt: skip
