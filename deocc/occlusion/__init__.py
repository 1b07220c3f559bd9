"""Occlusion synthesis: exact-ratio placement, cases, the segmenter-error model, datasets (Sec. 4.1)."""

from deocc.occlusion.case import (
    Cutout,
    OcclusionCase,
    PasteOptions,
    fit_occluder,
    occlude,
    paste,
    paste_cutout,
    person_as_occluder,
    unoccluded_case,
)
from deocc.occlusion.dataset import Batch, OcclusionDataset, case_item, collate
from deocc.occlusion.folder import CaseFolder, make_cases, write_case
from deocc.occlusion.placement import (
    DENSITIES,
    RatioDensity,
    as_density,
    fitting_offsets,
    hidden_area,
    place_occluder,
)
from deocc.occlusion.segmenter_error import segmenter_error

__all__ = [
    "Batch", "CaseFolder", "Cutout", "DENSITIES", "OcclusionCase", "OcclusionDataset", "PasteOptions",
    "RatioDensity", "as_density", "case_item", "collate", "fit_occluder", "fitting_offsets", "hidden_area",
    "make_cases", "occlude", "paste", "paste_cutout", "person_as_occluder", "place_occluder",
    "segmenter_error", "unoccluded_case", "write_case",
]  # fmt: skip
