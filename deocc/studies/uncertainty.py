"""Uncertainty of mask completion under high occlusion.

Stage 1 gives one answer. With a mirrored photo, a moved frame or another rough mask, the answer changes where
the photo leaves the person's shape open. The mean over such answers is a probability map. `reliability`
measures whether its probabilities are calibrated.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

import cv2
import numpy as np
from scipy.optimize import minimize
from scipy.special import expit

from deocc.errors import DeoccError
from deocc.inference.deoccluder import Deoccluder
from deocc.inference.views import View
from deocc.masks import Frame, person_frame
from deocc.metrics import mask_iou
from deocc.occlusion import segmenter_error

LOGIT_LIMIT = 10.0  # log-odds beyond +-10 say no more than that


@dataclass(frozen=True)
class Variation:
    """The range of variations; everything here is known at test time."""

    shift: float = 0.06  # largest move of the frame, as a share of its side
    scale: float = 0.12  # largest change of the frame's log side
    severity: float = 0.5  # of new errors in the given mask, by the segmenter-error model without an occluder
    mirror: bool = True  # half of the questions are mirrored


class Completions(NamedTuple):
    """Answers to K variations of one input, in the frame of the first, which is unchanged."""

    frame: Frame
    modal: np.ndarray  # K x S x S float32, probabilities of the visible person, 0 outside the photo
    amodal: np.ndarray  # K x S x S float32, probabilities of the whole person, 0 outside the photo

    @property
    def mean(self) -> np.ndarray:
        """Mean probability of the whole person, S x S float32 in [0, 1]."""
        return self.amodal.mean(0)

    @property
    def spread(self) -> np.ndarray:
        """Standard deviation over the answers, S x S float32 in [0, 0.5]."""
        return self.amodal.std(0)

    @property
    def invisible(self) -> np.ndarray:
        """Each answer's invisible mask, K x S x S bool."""
        return (self.amodal > 0.5) & ~(self.modal > 0.5)


def complete_variations(
    deoccluder: Deoccluder,
    image: np.ndarray,
    initial_mask: np.ndarray,
    count: int = 8,
    seed: int = 0,
    variation: Variation = Variation(),
) -> Completions:
    """Runs stage 1 on one person `count` times: first unchanged, then with varied frame, mirror and mask.

    Args:
        deoccluder: its stage 1 is used; set `flip=False` there, because mirrors are drawn here.
        image: H x W x 3 uint8.
        initial_mask: H x W bool, M_i.
        count: K, at least 1.
        seed: of the variations.
        variation: their range.

    Raises:
        DeoccError: count below 1.

    Source: ours; the paper completes once. This measures how much irrelevant changes affect the answer. It
    is a lower bound of the uncertainty, because all answers come from one network.
    """
    if count < 1:
        raise DeoccError(f"count is {count}; ask at least once")
    rng = np.random.default_rng(seed)
    views = [View(image, initial_mask, person_frame(initial_mask, photo_shape=initial_mask.shape))]
    views += [_vary(views[0], variation, rng) for _ in range(count - 1)]
    mirrored = np.array([False, *(rng.random(count - 1) < 0.5)]) & variation.mirror
    tensors = deoccluder.tensors(views, deoccluder.mask_size)
    for tensor in tensors:
        tensor[mirrored] = tensor[mirrored].flip(3)
    found = deoccluder.stage1(*tensors)
    inside = views[0].frame.photo_mask(image.shape[:2], deoccluder.mask_size)
    maps = []
    for logits in (found.modal, found.amodal):
        layers = logits[:, 0].clamp(-LOGIT_LIMIT, LOGIT_LIMIT).cpu().numpy()
        layers[mirrored] = layers[mirrored][:, :, ::-1]
        moved = [move_map(m, view.frame, views[0].frame) for m, view in zip(layers, views, strict=True)]
        maps.append(expit(np.stack(moved)) * inside)
    return Completions(views[0].frame, *maps)


def _vary(view: View, variation: Variation, rng: np.random.Generator) -> View:
    """The same person in another frame, with other errors in the mask."""
    shift = rng.uniform(-variation.shift, variation.shift, 2)
    scale = 2.0 * np.exp(rng.uniform(-variation.scale, variation.scale))
    initial = view.initial_mask
    frame = person_frame(initial, float(scale), (float(shift[0]), float(shift[1])), initial.shape)
    nothing = np.zeros_like(initial)
    mask = segmenter_error(initial, initial, nothing, variation.severity, rng)
    return replace(view, frame=frame, initial_mask=mask)


def move_map(array: np.ndarray, source: Frame, goal: Frame) -> np.ndarray:
    """Resamples a map of one frame onto another: S x S float32 each; the border is replicated outside."""
    size = array.shape[0]
    step = goal.side / source.side
    offset = [(to - at) * size / source.side + 0.5 * (step - 1)
              for to, at in ((goal.x0, source.x0), (goal.y0, source.y0))]  # fmt: skip
    matrix = np.array([[step, 0, offset[0]], [0, step, offset[1]]])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return cv2.warpAffine(array, matrix, (size, size), flags=flags, borderMode=cv2.BORDER_REPLICATE)


def pick_different(masks: np.ndarray, count: int) -> list[int]:
    """Indices of the first mask and of those that differ most, by IoU, from all chosen before.

    Args:
        masks: K x S x S bool.
        count: how many, at most K.
    """
    chosen = [0]
    while len(chosen) < min(count, len(masks)):
        nearest = [max(mask_iou(mask, masks[i]) for i in chosen) for mask in masks]
        chosen.append(int(np.argmin([2.0 if i in chosen else v for i, v in enumerate(nearest)])))
    return chosen


class Reliability(NamedTuple):
    """Predicted probability against observed frequency, bin by bin.

    Attributes:
        predicted: mean probability of each bin; nan if it is empty.
        observed: share of true pixels in it; nan if it is empty.
        counts: pixels in it.
    """

    predicted: np.ndarray
    observed: np.ndarray
    counts: np.ndarray

    @property
    def ece(self) -> float:
        """Expected calibration error: mean |predicted - observed| over pixels, in [0, 1]; nan without any."""
        used = self.counts > 0
        if not used.any():
            return float("nan")
        gaps = np.abs(self.predicted - self.observed)[used]
        return float((gaps * self.counts[used]).sum() / self.counts[used].sum())


def reliability(probability: np.ndarray, truth: np.ndarray, bins: int = 10) -> Reliability:
    """Bins probabilities and compares each bin's mean with the share of true pixels.

    Args:
        probability: any shape, in [0, 1].
        truth: same shape, bool.
        bins: of equal width.

    Raises:
        DeoccError: the shapes differ.

    Source: reliability diagram and ECE as in Guo et al. 2017.
    """
    p, t = np.asarray(probability, np.float64).ravel(), np.asarray(truth, bool).ravel()
    if p.shape != t.shape:
        raise DeoccError(f"{p.shape} probabilities and {t.shape} truths came; give equal shapes")
    index = np.clip((p * bins).astype(int), 0, bins - 1)
    counts = np.bincount(index, minlength=bins)
    with np.errstate(invalid="ignore"):
        predicted, observed = (np.bincount(index, weights=w, minlength=bins) / counts for w in (p, t))
    return Reliability(predicted, observed, counts)


class Calibration(NamedTuple):
    """Maps log-odds z to z / temperature - shift."""

    temperature: float = 1.0  # > 1: less sure
    shift: float = 0.0  # > 0: less often true than it says

    def apply(self, probability: np.ndarray) -> np.ndarray:
        """Corrected probabilities, of any shape."""
        return expit(_log_odds(probability) / self.temperature - self.shift)


def _log_odds(probability: np.ndarray) -> np.ndarray:
    p = np.clip(np.asarray(probability, np.float64), 1e-6, 1 - 1e-6)
    return np.log(p / (1 - p))


def fit_calibration(probability: np.ndarray, truth: np.ndarray) -> Calibration:
    """Temperature and shift of least cross-entropy. Fit and use them on different people.

    Args:
        probability: any shape, in [0, 1].
        truth: same shape, bool; both values occur.

    Raises:
        DeoccError: all is true or all is false.

    Source: Platt 1999; with shift 0 it is the temperature scaling of Guo et al. 2017.
    """
    z, t = _log_odds(probability).ravel(), np.asarray(truth, bool).ravel()
    if t.all() or not t.any():
        raise DeoccError(f"all {len(t)} pixels are {bool(t.all())}; calibration needs both kinds")
    columns = np.stack([z, np.ones_like(z)])  # slope and offset of the log-odds

    def loss(x: np.ndarray) -> tuple[float, np.ndarray]:
        odds = x @ columns
        gradient = columns @ (expit(odds) - t) / len(t)
        return float((np.logaddexp(0, odds) - odds * t).mean()), gradient

    slope, offset = minimize(loss, np.array([1.0, 0.0]), jac=True, method="BFGS").x
    return Calibration(float(1 / max(slope, 1e-3)), float(-offset))
