"""Pastes the networks' answers from their square frame back onto the photo's pixels."""

import logging

import cv2
import numpy as np
from torch import Tensor

from deocc.inference.answers import Completion, Deocclusion, as_array
from deocc.inference.borders import finish_masks
from deocc.inference.clicks import honoured
from deocc.inference.detail import add_detail
from deocc.inference.symmetry import as_the_other_side
from deocc.inference.user_mask import MUCH, follow_exactly, share_given_up
from deocc.inference.views import View
from deocc.labels import NUM_CLASSES
from deocc.masks import Frame, as_bytes, mask_box, nearest_labels

log = logging.getLogger("deocc")


NEAR = 0.02  # least share of filled frame pixels from which a photo pixel is interpolated


def masks_on_photo(view: View, masks: Completion) -> tuple[np.ndarray, np.ndarray]:
    """Visible and whole mask of one view at the photo's size, following the view's prompts.

    Args:
        view: after `follow_prompts`.
        masks: stage 1's answer, C x S x S each.

    Returns:
        H x W bool both; the whole mask contains the visible one.
    """
    odds = as_array(masks.modal), as_array(masks.amodal)
    modal, amodal = finish_masks(
        view.image, view.initial_mask, *odds, view.frame, view.own, contact=not view.exact
    )
    if view.exact:
        modal, amodal = follow_exactly(view.initial_mask, modal, amodal, view.frame.side)
    if view.verdicts:
        modal, amodal = honoured(modal, amodal, view.verdicts, view.frame)
    return (view.initial_mask.copy(), amodal | view.initial_mask) if view.exact else (modal, amodal)


def to_photo(
    view: View,
    masks: Completion,
    modal: np.ndarray,
    amodal: np.ndarray,
    painted: tuple[Tensor, Tensor] | None,
    texture: float,
    exemplar: bool,
) -> Deocclusion:
    """One view's answer on the photo.

    Args:
        view, masks: as of `masks_on_photo`.
        modal, amodal: the masks that it returned.
        painted: stage 2's picture and hole, C x S x S; None: nothing is painted.
        texture, exemplar: how hidden parts get detail, as of `add_detail`.
    """
    hidden = amodal & ~modal
    parsing = paste_parsing(as_array(masks.parsing_amodal), view.frame, amodal)
    if painted is None:  # otherwise stage 2 has painted these labels already
        parsing = as_the_other_side(modal, amodal, parsing)
    picture = view.image
    if painted is not None:
        recovered, filled = (as_array(maps) for maps in painted)
        picture = paste_pixels(view.image, recovered, filled, view.frame, hidden)
        picture = add_detail(view.image, picture, modal, amodal, parsing, texture, exemplar)
    notes = (*view.notes, *_remarks(view, modal, hidden, masks.modal.shape[-1]))
    for note in notes:
        log.info(note)
    return Deocclusion(modal, amodal, hidden, parsing, picture, view.initial_mask, view.frame, notes)


def _remarks(view: View, modal: np.ndarray, hidden: np.ndarray, size: int) -> list[str]:
    """Notes about an answer for the user; `size` is the side of stage 1's grid."""
    notes = []
    if view.given and view.frame.misses(view.initial_mask, size):
        notes.append(
            "parts of the mask are thinner than the networks can see; mark more of the visible person"
        )
    lost = share_given_up(view.initial_mask, modal)
    if not modal.any():
        notes.append("stage 1 found no visible person under the mask; check that the mask covers the person")
    elif view.given and lost > MUCH:
        notes.append(
            f"{lost:.0%} of the rough mask was given up: stage 1 does not take it for the visible person; "
            "where the mask is right, give it as an exact one"
        )
    if not hidden.any():
        notes.append("stage 1 found nothing hidden; the recovered photo is the photo itself")
    return notes


def _window(frame: Frame, mask: np.ndarray) -> tuple[tuple[slice, slice], Frame]:
    """The box of a mask as slices, and the frame as seen from the box's corner."""
    x0, y0, x1, y1 = mask_box(mask)
    return np.s_[y0:y1, x0:x1], Frame(frame.x0 - x0, frame.y0 - y0, frame.side)


def paste_parsing(logits: np.ndarray, frame: Frame, amodal_mask: np.ndarray) -> np.ndarray:
    """Body parts at the photo's size: the likeliest part at every pixel of the whole person.

    Args:
        logits: S x S x 20 float32.
        frame: where they lie.
        amodal_mask: H x W bool.

    Returns:
        H x W uint8; 1..19 inside the mask, 0 outside.
    """
    out = np.zeros(amodal_mask.shape, np.uint8)
    if not amodal_mask.any():
        return out
    window, local = _window(frame, amodal_mask)
    labels = out[window]
    best = np.full(labels.shape, -np.inf, np.float32)
    for part in range(1, NUM_CLASSES):  # one at a time: twenty maps of a large photo would fill the memory
        score = local.paste(np.ascontiguousarray(logits[..., part]), labels.shape)
        np.copyto(labels, part, where=score > best)
        np.maximum(best, score, out=best)
    inside = local.inside(labels.shape)
    if labels[inside].size < labels.size:  # stray pixels of an exact mask lie outside the frame
        seen = np.zeros_like(labels)
        seen[inside] = labels[inside]
        labels[:] = nearest_labels(seen)
    labels[~amodal_mask[window]] = 0
    return out


def paste_pixels(
    image: np.ndarray,
    recovered: np.ndarray,
    filled: np.ndarray,
    frame: Frame,
    invisible_mask: np.ndarray,
    modal_mask: np.ndarray | None = None,
) -> np.ndarray:
    """Pastes the network's picture into the invisible pixels of a photo; all other pixels stay.

    Only pixels that the network filled are interpolated, so that the occluder beside the hole does not bleed
    in. Invisible pixels outside the frame get the colour of the nearest painted one.

    Args:
        image: H x W x 3 uint8.
        recovered: S x S x 3 float32 in [0, 1].
        filled: S x S float32 {0, 1}, the hole that the network filled.
        frame: where both lie.
        invisible_mask: H x W bool.
        modal_mask: H x W bool; its mean colour is taken if no invisible pixel lies in the frame. None: the
            mean colour of `recovered`.
    """
    out = image.copy()
    if not invisible_mask.any():
        return out
    window, local = _window(frame, invisible_mask)
    hidden = invisible_mask[window]
    weighted = local.paste(np.dstack([recovered * filled[..., None], filled]), hidden.shape)[hidden]  # P x 4
    share = weighted[:, 3:]
    colours = weighted[:, :3] / np.maximum(share, NEAR)
    far = share[:, 0] < NEAR  # beyond what the network filled: rounding at the hole's border
    if far.any():
        colours[far] = local.paste(recovered, hidden.shape)[hidden][far]
    out[window][hidden] = np.rint(colours.clip(0, 1) * 255).astype(np.uint8)
    painted = np.zeros_like(hidden)
    painted[local.inside(hidden.shape)] = hidden[local.inside(hidden.shape)]
    if not painted.any():
        seen = modal_mask is not None and modal_mask.any()
        out[window][hidden] = np.rint(image[modal_mask].mean(0) if seen else recovered.mean((0, 1)) * 255)
    elif (hidden & ~painted).any():
        _continue(out[window], painted, hidden & ~painted)
    return out


def _continue(picture: np.ndarray, painted: np.ndarray, others: np.ndarray) -> None:
    """Gives pixels the colour of the nearest painted one; writes to `picture` (H x W x 3 uint8)."""
    _, nearest = cv2.distanceTransformWithLabels(
        as_bytes(~painted), cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL
    )
    table = np.zeros((int(nearest.max()) + 1, 3), np.uint8)
    table[nearest[painted]] = picture[painted]
    picture[others] = table[nearest[others]]
