"""Variants that follow the authors' released code where it departs from the paper, written from scratch.

The package implements the paper as written. Notebook 07 measures what each departure changes;
`deocc.released.switches` lists them by number, `Departures` turns them on one by one.
"""

from deocc.released.attention import TwoWayAttention
from deocc.released.content import ReleasedContentNet, ReleasedContentSystem
from deocc.released.discriminators import HeadlessDiscriminator
from deocc.released.full_resolution import FullResolutionNet
from deocc.released.masks import DetachedBranch, DotTemplateGuide, ReleasedMaskNet, ReleasedMaskSystem
from deocc.released.partial_conv import ShrinkingPartialConv2d
from deocc.released.scores import iou_empty_is_zero, pasted
from deocc.released.switches import DEPARTURES, RELEASED, WRITTEN, Departure, Departures
from deocc.released.templates import tight_templates

__all__ = [
    "DEPARTURES",
    "RELEASED",
    "WRITTEN",
    "Departure",
    "Departures",
    "DetachedBranch",
    "DotTemplateGuide",
    "FullResolutionNet",
    "HeadlessDiscriminator",
    "ReleasedContentNet",
    "ReleasedContentSystem",
    "ReleasedMaskNet",
    "ReleasedMaskSystem",
    "ShrinkingPartialConv2d",
    "TwoWayAttention",
    "iou_empty_is_zero",
    "pasted",
    "tight_templates",
]
