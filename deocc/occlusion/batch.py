"""A case as the tensors that networks see: `Batch`."""

from collections.abc import Sequence
from typing import Literal, get_args

import numpy as np
import torch
from torch import Tensor

from deocc.errors import DeoccError
from deocc.labels import IGNORE
from deocc.masks import Frame, person_frame
from deocc.occlusion.case import OcclusionCase

Batch = dict[str, Tensor]
"""Tensors by name; N items of S x S pixels.

image, target: N x 3 x S x S float in [0, 1], 0 outside the photo. photo_mask, initial_mask, modal_mask,
amodal_mask, occluder_mask: N x 1 x S x S float {0, 1}; photo_mask is 1 inside the photo. parsing_modal,
parsing_amodal: N x S x S int64, 0..19, 255 = ignore (everywhere on a person without parsing). has_parsing,
true_sides: N bool. occlusion_ratio: N float.
"""

Prompt = Literal["initial", "modal", "box"]
"""Which mask says who is meant: "initial" (M_i), "modal" (the true visible mask) or "box" (the filled box of
the visible mask). The command line and stored results call it "given"."""

MASKS = ("initial_mask", "modal_mask", "amodal_mask", "occluder_mask")


def _tensor_mask(mask: np.ndarray) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(mask, dtype=np.float32))[None]


def _tensor_image(image: np.ndarray) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1))).float() / 255


def _labels(parsing: np.ndarray | None, mask: np.ndarray) -> Tensor:
    """H x W int64; without parsing, 255 on the person and 0 elsewhere."""
    labels = np.where(mask, IGNORE, 0) if parsing is None else parsing
    return torch.from_numpy(labels.astype(np.int64))


def batch_item(
    arrays: dict[str, np.ndarray], parsing: np.ndarray | None, case: OcclusionCase
) -> dict[str, Tensor]:
    """One item of a Batch (without its first axis) from frame-sized arrays."""
    modal, amodal = arrays["modal_mask"], arrays["amodal_mask"]
    visible = None if parsing is None else np.where(modal, parsing, 0)
    item = {name: _tensor_image(arrays[name]) for name in ("image", "target")}
    item |= {name: _tensor_mask(arrays[name]) for name in (*MASKS, "photo_mask")}
    return item | {
        "parsing_modal": _labels(visible, modal),
        "parsing_amodal": _labels(parsing, amodal),
        "has_parsing": torch.tensor(parsing is not None),
        "true_sides": torch.tensor(case.true_sides),
        "occlusion_ratio": torch.tensor(case.occlusion_ratio, dtype=torch.float32),
    }


def prompt_mask(case: OcclusionCase, prompt: Prompt) -> np.ndarray:
    """The mask that says which person is meant: H x W bool.

    Args:
        case: with the mask in question.
        prompt: which mask.

    Raises:
        DeoccError: the case lacks that mask, or it is empty; a box outside the photo.
    """
    if prompt not in get_args(Prompt):
        raise DeoccError(f"prompt {prompt!r} is unknown; use 'initial', 'modal' or 'box'")
    if prompt == "box":
        x0, y0, x1, y1 = case.box_xyxy
        mask = np.zeros(case.image.shape[:2], bool)
        mask[max(y0, 0) : max(y1, 0), max(x0, 0) : max(x1, 0)] = True
        if not mask.any():
            raise DeoccError(f"case {case.id}: box_xyxy of case.json lies outside the photo; move it inside")
        return mask
    found = case.initial_mask if prompt == "initial" else case.modal_mask
    if found is None:
        raise DeoccError(f"case {case.id}: {prompt}.png is missing; write it or choose another --given")
    if not found.any():
        raise DeoccError(f"case {case.id}: {prompt}.png is empty; mark at least part of the person")
    return found


def case_item(
    case: OcclusionCase, size: int, prompt: Prompt = "initial", frame: Frame | None = None
) -> dict[str, Tensor]:
    """A fixed case as a network sees it; unknown ground truth becomes zeros (parsing: 255).

    Args:
        case: any size.
        size: side S of the network's input.
        prompt: the mask that the network sees as M_i.
        frame: default: `person_frame` of that mask, fitted to the photo.
    """
    initial = prompt_mask(case, prompt)
    frame = frame or person_frame(initial, photo_shape=initial.shape)
    empty = np.zeros(case.image.shape[:2], bool)
    full = {name: getattr(case, name) for name in MASKS[1:]} | {"initial_mask": initial}
    arrays = {name: frame.crop_mask(empty if mask is None else mask, size) for name, mask in full.items()}
    arrays["photo_mask"] = frame.photo_mask(case.image.shape[:2], size)
    arrays["image"] = frame.crop_image(case.image, size)
    arrays["target"] = arrays["image"] if case.target is None else frame.crop_image(case.target, size)
    parsing = None if case.parsing_amodal is None else frame.crop_labels(case.parsing_amodal, size)
    return batch_item(arrays, parsing, case)


def collate(items: Sequence[dict[str, Tensor]]) -> Batch:
    """Stacks items into a Batch."""
    return {name: torch.stack([item[name] for item in items]) for name in items[0]}
