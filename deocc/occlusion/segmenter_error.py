"""The segmenter-error model: initial masks M_i with the typical errors of real segmenters.

Five faults, each with a strength drawn per case: leaks onto the occluder, swallowed neighbours, eaten limbs,
lost fragments, ragged borders. `severity` scales all of them; 0 returns the true visible mask; 1 is
calibrated to a mean IoU of 0.61 with it, as a third-party segmenter reaches on occluded people. The model
works on a coarse grid (as segmenters do) around the *visible* mask's box.
"""

from typing import NamedTuple

import cv2
import numpy as np

from deocc.masks import person_frame

GRID = 96  # cells a side; a third-party segmenter's masks are about as coarse
SPAN = 2.2  # side of the grid's frame over the visible box's longer side
CALIBRATION = 0.61  # strength of severity 1; set so that the mean IoU with the visible mask is 0.61


def _smooth_noise(rng: np.random.Generator, cells: int) -> np.ndarray:
    """GRID x GRID float32 noise of mean 0 and deviation about 1, with blobs GRID / cells wide."""
    coarse = rng.standard_normal((cells, cells), dtype=np.float32)
    return cv2.resize(coarse, (GRID, GRID), interpolation=cv2.INTER_CUBIC) * 1.4


def _distance(mask: np.ndarray) -> np.ndarray:
    """Distance in cells to the nearest True cell, float32."""
    return cv2.distanceTransform(1 - mask.astype(np.uint8), cv2.DIST_L2, 3)


def _hull(mask: np.ndarray) -> np.ndarray:
    points = cv2.findNonZero(mask.astype(np.uint8))
    out = np.zeros(mask.shape, np.uint8)
    return (
        out.astype(bool)
        if points is None
        else cv2.fillConvexPoly(out, cv2.convexHull(points), 1).astype(bool)
    )


def _leak(modal: np.ndarray, amodal: np.ndarray, occluder: np.ndarray, strength: float,
          rng: np.random.Generator) -> np.ndarray:  # fmt: skip
    """Adds a part of the occluder near or between visible parts, like networks that expect whole bodies."""
    if not occluder.any():
        return np.zeros_like(modal)
    radius = np.sqrt(np.count_nonzero(modal))
    if rng.random() < 0.6:  # a guess of the body, rough enough not to be its outline
        guess = cv2.GaussianBlur(amodal.astype(np.float32), (0, 0), 2.0) + 0.25 * _smooth_noise(rng, 9) > 0.5
    else:
        guess = _hull(modal) | (_distance(modal) < radius * rng.uniform(0.05, 0.35))
    near = _distance(modal) < radius * rng.gamma(2.0, 0.35) * strength
    holes = _smooth_noise(rng, 6) > rng.uniform(0.6, 2.5)
    return occluder & guess & near & ~holes


def _swallow(
    modal: np.ndarray, occluder: np.ndarray, strength: float, rng: np.random.Generator
) -> np.ndarray:
    """Adds a neighbour: a blob at the border of the person, or a piece of the occluder."""
    out = np.zeros_like(modal)
    radius = np.sqrt(np.count_nonzero(modal))
    if rng.random() < 0.35:
        piece = (_distance(modal) < radius * 0.5 * strength) & (_smooth_noise(rng, 5) > 0)
        out |= occluder & piece
    if rng.random() < 0.45:
        rows, columns = np.nonzero(modal)
        pick = rng.integers(len(rows))
        axes = np.maximum(radius * strength * rng.uniform(0.1, 0.45, 2), 1)
        centre = np.array([columns[pick], rows[pick]]) + rng.normal(0, 0.35, 2) * radius
        blob = np.zeros(modal.shape, np.uint8)
        middle, radii = (tuple(v.round().astype(int).tolist()) for v in (centre, axes))
        cv2.ellipse(blob, middle, radii, float(rng.uniform(0, 180)), 0, 360, 1, -1)
        out |= blob.astype(bool)
    return out


def _eat(mask: np.ndarray, strength: float, rng: np.random.Generator) -> np.ndarray:
    """Removes a limb: cuts at a random line, or removes blobs; at least 30 % of the mask stays."""
    out = mask.copy()
    if rng.random() < 0.4:
        angle = rng.uniform(0, 2 * np.pi)
        rows, columns = np.mgrid[:GRID, :GRID].astype(np.float32)
        along = rows * np.sin(angle) + columns * np.cos(angle)
        share = min(rng.gamma(1.5, 0.10) * strength, 0.7)
        out &= along <= np.quantile(along[mask], 1 - share)
    if rng.random() < 0.5:
        out &= _smooth_noise(rng, 8) < 2.4 - 1.1 * strength * rng.random()
    return out if np.count_nonzero(out) >= 0.3 * np.count_nonzero(mask) else mask


def _drop_fragments(mask: np.ndarray) -> np.ndarray:
    """Keeps only the largest connected piece, as box-to-mask networks tend to."""
    count, labels, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
    return mask if count <= 2 else labels == 1 + int(stats[1:, cv2.CC_STAT_AREA].argmax())


def _ragged(mask: np.ndarray, strength: float, rng: np.random.Generator) -> np.ndarray:
    """Blurs, shifts the level by smooth noise, and thresholds: borders move, thin limbs shrink or swell."""
    width = 0.6 + 1.4 * strength * rng.random()
    soft = cv2.GaussianBlur(mask.astype(np.float32), (0, 0), width)
    level = 0.5 + 0.12 * strength * rng.standard_normal() + 0.12 * strength * _smooth_noise(rng, 16)
    return soft > np.clip(level, 0.08, 0.92)


def segmenter_error(
    modal_mask: np.ndarray,
    amodal_mask: np.ndarray,
    occluder_mask: np.ndarray,
    severity: float,
    rng: np.random.Generator,
) -> np.ndarray:
    """An initial mask M_i with the errors of an imperfect segmenter.

    Args:
        modal_mask: H x W bool, visible person, not empty.
        amodal_mask: H x W bool, whole person; used only to let leaks look like bodies.
        occluder_mask: H x W bool, what stands in front.
        severity: >= 0; 0 returns `modal_mask`, 1 is a typical segmenter on occluded people (mean IoU 0.61).
        rng: source of every draw.

    Returns:
        H x W bool, never empty.

    Source: ours. The paper takes M_i from CenterMask (Sec. 5.1); its errors are not described.
    """
    if severity <= 0:
        return modal_mask.copy()
    frame = person_frame(modal_mask, scale=SPAN)
    modal, amodal, occluder = frame.crop_masks((modal_mask, amodal_mask, occluder_mask), GRID)
    if not modal.any():  # a few scattered pixels fell between the grid's cells
        return modal_mask.copy()
    strength = CALIBRATION * severity * rng.gamma(4.0, 0.25)  # some cases come out well, some badly
    out = _eat(modal, strength, rng)
    if rng.random() < 0.5 * min(strength, 1.0):
        out = _drop_fragments(out)
    if rng.random() < 0.9:
        out |= _leak(modal, amodal, occluder, strength, rng)
    out |= _swallow(modal, occluder, strength, rng)
    out = _ragged(out, strength, rng)
    full = frame.paste(out.astype(np.float32), modal_mask.shape[:2]) > 0.5
    return full if full.any() else modal_mask.copy()


class MaskFaults(NamedTuple):
    """What is wrong with an initial mask; areas as shares of the visible mask's."""

    iou: float  # with the visible mask
    missed: float  # visible, but not in the mask
    leaked: float  # in the mask, but on the occluder
    swallowed: float  # in the mask, but neither person nor occluder


def mask_faults(initial_mask: np.ndarray, modal_mask: np.ndarray, occluder_mask: np.ndarray) -> MaskFaults:
    """Sorts the errors of an initial mask by kind.

    Args:
        initial_mask, modal_mask, occluder_mask: H x W bool; the visible mask is not empty.
    """
    area = float(modal_mask.sum())
    extra, shared = initial_mask & ~modal_mask, float((initial_mask & modal_mask).sum())
    leaked, beside = float((extra & occluder_mask).sum()), float((extra & ~occluder_mask).sum())
    return MaskFaults(shared / (area + leaked + beside), 1 - shared / area, leaked / area, beside / area)
