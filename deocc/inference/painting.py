"""Runs a painter of whole holes, in a frame of its own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from torch import Tensor

from deocc.inference.blurs import local_mean
from deocc.inference.photo import paste_pixels
from deocc.inference.user_mask import without_strays
from deocc.labels import parsing_onehot
from deocc.masks import Frame, as_bytes, painting_frame
from deocc.models import ContentRecoveryNet

OUTLINE = 2  # width of the painted outline that is drawn anew from its inside, pixels of the network
INWARD = 2.0  # standard deviation of the blur that does it, same unit


@dataclass(frozen=True)
class SoftParts:
    """Stage 1's probabilities of each pixel's body part, in its own frame.

    Attributes:
        probabilities: S x S x 19 float32, classes 1 to 19 inside the person; they add up to 1.
        frame: where they lie in the photo.
    """

    probabilities: np.ndarray
    frame: Frame

    @classmethod
    def of_logits(cls, logits: Tensor, frame: Frame) -> SoftParts:
        """From stage 1's logits of background and parts, 20 x S x S."""
        return cls(logits[1:].float().softmax(0).permute(1, 2, 0).cpu().numpy(), frame)

    def in_place_of(self, parts: Tensor, frame: Frame) -> Tensor:
        """One-hot maps with the probabilities in their place.

        Args:
            parts: 1 x 19 x S x S, one-hot.
            frame: where they lie.

        Returns:
            1 x 19 x S x S. Outside `self.frame`, and where a pixel has no part, the maps stay as they are.
        """
        found = self.frame.resampled(self.probabilities, frame, parts.shape[-1])
        soft = torch.from_numpy(found).permute(2, 0, 1)[None].to(parts)
        total = soft.sum(1, keepdim=True)
        known = parts.sum(1, keepdim=True) * (total > 0.5)  # 0 where a pixel has no part
        return soft / total.clamp_min(1e-6) * known + parts * (1 - known)


@dataclass(frozen=True)
class PaintingTask:
    """One hole to be painted, at the photo's own size.

    Attributes:
        image: H x W x 3 uint8.
        modal_mask, amodal_mask: H x W bool; the hole is amodal and not modal.
        parsing: H x W uint8, the part of every pixel of the whole person.
        soft: the parts' probabilities. If they are known, a visible pixel is evidence for the colour of every
            part that it may belong to.
    """

    image: np.ndarray
    modal_mask: np.ndarray
    amodal_mask: np.ndarray
    parsing: np.ndarray
    soft: SoftParts | None = None

    @property
    def hole(self) -> np.ndarray:
        """The pixels to paint, H x W bool."""
        return self.amodal_mask & ~self.modal_mask

    def frame(self) -> Frame:
        """The square frame that the painter sees; stray pixels of an exact mask do not widen it."""
        seen = self.modal_mask
        if seen.any():
            seen = without_strays(seen)[0]
        return painting_frame(seen, self.hole | seen)


def task_inputs(task: PaintingTask, frame: Frame, size: int) -> tuple[Tensor, ...]:
    """The inputs of `ContentRecoveryNet`: image, M_v, M_a, P_m, P_a, each 1 x C x S x S."""
    modal, amodal = frame.crop_masks([task.modal_mask, task.amodal_mask | task.modal_mask], size)
    photo_mask = frame.photo_mask(task.hole.shape, size)
    labels = frame.crop_labels(task.parsing, size)
    image = torch.from_numpy(frame.crop_image(task.image, size)).permute(2, 0, 1)[None].float() / 255
    whole, seen = (
        torch.from_numpy(np.where(mask, labels, 0).astype(np.int64))[None] for mask in (amodal, modal)
    )
    masks = [torch.from_numpy(m)[None, None].float() for m in (modal, amodal, photo_mask)]
    valid = masks[2] * (1 - masks[1] * (1 - masks[0]))
    return image * masks[2], valid, masks[1] * masks[2], parsing_onehot(seen), parsing_onehot(whole)


@torch.inference_mode()
def paint(
    network: ContentRecoveryNet,
    task: PaintingTask,
    size: int,
    seed: int = 0,
    recolour: Callable[[Tensor, Tensor, Tensor], tuple[Tensor, Tensor]] | None = None,
) -> np.ndarray:
    """Paints a hole.

    Args:
        network: a painter (`paints_whole`).
        task: the photo, with masks and parts of the person.
        size: side of the square that the network sees, pixels.
        seed: of the network's noise.
        recolour: maps the first guess (1 x 3 x S x S), its evidence (1 x 1 x S x S) and P_a to another guess
            and its evidence.

    Returns:
        H x W x 3 uint8, the photo itself outside the hole.
    """
    if not task.hole.any():
        return task.image
    frame = task.frame()
    device = next(network.parameters()).device
    inputs = [maps.to(device) for maps in task_inputs(task, frame, size)]
    image, valid, whole, modal_p, amodal_p = inputs
    if task.soft is not None:
        modal_p = task.soft.in_place_of(modal_p, frame)
    guess = network.first_guess(image, valid, whole, modal_p, amodal_p)
    if recolour is not None:
        guess = recolour(*guess, amodal_p)
    picture = network(*inputs, guess=guess, seed=seed)[0].float().permute(1, 2, 0).cpu().numpy()
    amodal, known = ((maps[0, 0] > 0).cpu().numpy() for maps in (whole, valid))
    beyond = frame.photo_mask(task.hole.shape, size) == 0  # the person goes on there
    picture = without_outline(np.ascontiguousarray(picture), amodal & ~known, amodal | beyond)
    return paste_pixels(task.image, picture, (amodal & ~known).astype(np.float32), frame, task.hole)


def without_outline(picture: np.ndarray, hole: np.ndarray, person: np.ndarray) -> np.ndarray:
    """A painting whose outline has the colours of its inside.

    At the outline of people in photos, pixels mix the person with what is behind. A painter learns to paint
    them so. Where the occluder stays in the picture beside the person, this is a thin line of a strange
    colour.

    Args:
        picture: S x S x 3 float32.
        hole: S x S bool, what was painted.
        person: S x S bool, the whole person, and what is beyond the photo's border.

    Returns:
        S x S x 3 float32; changed only in `hole`, within `OUTLINE` pixels of what is not `person`.

    Differs from the paper: this step is ours.
    """
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * OUTLINE + 1, 2 * OUTLINE + 1))
    outline = hole & (cv2.dilate(as_bytes(~person), disc) > 0)
    inner = hole & ~outline
    if not outline.any() or not inner.any():
        return picture
    colours, share = local_mean(picture, inner, INWARD)
    mended = outline & (share > 1e-3)
    out = picture.copy()
    out[mended] = colours[mended]
    return out
