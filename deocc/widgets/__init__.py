"""Notebook widgets: thin interfaces over pure `render...` functions of `deocc.figures`, one module a widget.

Each widget updates one `Picture` or one `Canvas` in place. Controls act on release
(`continuous_update=False`): a network runs behind them. A notebook shows a static figure beside each, for
readers without a kernel.
"""

from deocc.widgets.common import LABELS
from deocc.widgets.density import DensityEditor
from deocc.widgets.photo import PhotoStudio
from deocc.widgets.recovery import ARROWS, GUIDANCE, AttentionMicroscope, HolePlayer
from deocc.widgets.routing import MASK_STYLES, ROUTE_COLOURS, RoutingWidget
from deocc.widgets.studio import (
    LEAST_RATIO,
    OVERLAYS,
    SPRITE,
    TOLERANCES,
    OcclusionStudio,
    fit_as_far_as_possible,
    nearest_place,
)
from deocc.widgets.templates import TemplateBrowser
from deocc.widgets.workbench import AblationWorkbench

__all__ = [
    "ARROWS", "GUIDANCE", "LABELS", "LEAST_RATIO", "MASK_STYLES", "OVERLAYS", "ROUTE_COLOURS", "SPRITE",
    "TOLERANCES", "AblationWorkbench", "AttentionMicroscope", "DensityEditor", "HolePlayer",
    "OcclusionStudio", "PhotoStudio", "RoutingWidget", "TemplateBrowser",
    "fit_as_far_as_possible", "nearest_place",
]  # fmt: skip
