"""The systems that ours is measured against, one file a system, all behind one protocol.

Exported here are those that learn nothing, or only an average: they say what the numbers of a table are
worth. Those that the training loop trains are in `deocc.baselines.trained`.
"""

from collections.abc import Callable
from functools import partial

from deocc.baselines.biharmonic import Biharmonic
from deocc.baselines.convex_hull import ConvexHull
from deocc.baselines.initial_mask import InitialMask
from deocc.baselines.inpainting import Inpainter
from deocc.baselines.mean_colour import MeanColour
from deocc.baselines.mean_mask import MeanMask
from deocc.baselines.navier_stokes import NavierStokes
from deocc.baselines.nearest_template import NearestTemplate
from deocc.baselines.patchmatch import PatchMatch
from deocc.baselines.protocol import Baseline, Batch, Prediction
from deocc.baselines.telea import Telea
from deocc.baselines.true_visible import TrueVisibleMask

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
    "Baseline", "Batch", "Biharmonic", "ConvexHull", "InitialMask", "MeanColour", "MeanMask",
    "NavierStokes", "NearestTemplate", "PatchMatch", "Prediction", "Telea", "TrueVisibleMask",
]  # fmt: skip
