"""Occlusion synthesis: exact-ratio placement, cases, the segmenter-error model, datasets (Sec. 4.1)."""

from deocc.occlusion.batch import Batch, Prompt, case_item, collate, prompt_mask
from deocc.occlusion.case import (
    Cutout,
    OcclusionCase,
    PasteOptions,
    fit_occluder,
    occlude,
    paste,
    paste_cutout,
    person_as_occluder,
    restyle,
    unoccluded_case,
)
from deocc.occlusion.dataset import OcclusionDataset
from deocc.occlusion.folder import CaseFolder, make_cases, write_case
from deocc.occlusion.kinds import occlude_as, occlude_with_surface, put_behind
from deocc.occlusion.mix import MIXES, TrainingMix
from deocc.occlusion.placement import (
    DENSITIES,
    RatioDensity,
    as_density,
    fitting_offsets,
    hidden_area,
    place_occluder,
)
from deocc.occlusion.priors import KINDS, PLACEMENTS, Placement
from deocc.occlusion.segmenter_error import MaskFaults, mask_faults, segmenter_error

__all__ = [
    "DENSITIES",
    "KINDS",
    "MIXES",
    "PLACEMENTS",
    "Batch",
    "CaseFolder",
    "Cutout",
    "MaskFaults",
    "OcclusionCase",
    "OcclusionDataset",
    "PasteOptions",
    "Placement",
    "Prompt",
    "RatioDensity",
    "TrainingMix",
    "as_density",
    "case_item",
    "collate",
    "fit_occluder",
    "fitting_offsets",
    "hidden_area",
    "make_cases",
    "mask_faults",
    "occlude",
    "occlude_as",
    "occlude_with_surface",
    "paste",
    "paste_cutout",
    "person_as_occluder",
    "place_occluder",
    "prompt_mask",
    "put_behind",
    "restyle",
    "segmenter_error",
    "unoccluded_case",
    "write_case",
]  # fmt: skip
