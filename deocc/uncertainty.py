"""What high occlusion leaves open: several completions of one person, and how much to trust probabilities.

Stage 1 answers once. Asked again about the same person, mirrored, in a moved frame, or with another rough
mask, it answers differently where the photo does not settle the question. The mean over such answers is a
probability map; `reliability` says whether it means what it says.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

import cv2
import numpy as np
from scipy.optimize import minimize
from scipy.special import expit

from .errors import DeoccError
from .masks import Frame, person_frame
from .metrics import mask_iou
from .occlusion import segmenter_error
from .pipeline import Deoccluder, View

LOGIT_LIMIT = 10.0  # log-odds beyond +-10 say no more than that


@dataclass(frozen=True)
class Variation:
    """How far a question is varied; everything here is known at test time."""

    shift: float = 0.06  # largest move of the frame, as a share of its side
    scale: float = 0.12  # largest change of the frame's log side
    severity: float = 0.5  # of new errors in the given mask, by the segmenter-error model without an occluder
    mirror: bool = True  # half of the questions are mirrored


class Completions(NamedTuple):
    """Answers to K variations of one question, in the frame of the first, which is unvaried."""

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
    variation: Variation = Variation(),  # noqa: B008 (frozen)
) -> Completions:
    """Asks stage 1 about one person `count` times: once as usual, then with varied frame, mirror and mask.

    Args:
        deoccluder: its stage 1 is asked; set `flip=False` there, mirrors are drawn here.
        image: H x W x 3 uint8.
        initial_mask: H x W bool, M_i.
        count: K, at least 1.
        seed: of the variations.
        variation: how far they go.

    Raises:
        DeoccError: count below 1.

    Source: ours; the paper completes once. It measures how the answer depends on what should not matter,
    which is a lower bound on what is open: all members share one network.
    """
    if count < 1:
        raise DeoccError(f"count is {count}; ask at least once")
    rng = np.random.default_rng(seed)
    views = [View(image, initial_mask, person_frame(initial_mask, photo=initial_mask.shape))]
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
    """The same person in another frame, with a mask that is wrong in another way."""
    shift = rng.uniform(-variation.shift, variation.shift, 2)
    scale = 2.0 * np.exp(rng.uniform(-variation.scale, variation.scale))
    given = view.initial_mask
    frame = person_frame(given, float(scale), (float(shift[0]), float(shift[1])), given.shape)
    nothing = np.zeros_like(given)
    mask = segmenter_error(given, given, nothing, variation.severity, rng)
    return replace(view, frame=frame, initial_mask=mask)


def move_map(array: np.ndarray, source: Frame, goal: Frame) -> np.ndarray:
    """Resamples a map of one frame onto another: S x S float32 each; the source's border goes on outside."""
    size = array.shape[0]
    step = goal.side / source.side
    offset = [(to - at) * size / source.side + 0.5 * (step - 1)
              for to, at in ((goal.x0, source.x0), (goal.y0, source.y0))]  # fmt: skip
    matrix = np.array([[step, 0, offset[0]], [0, step, offset[1]]])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return cv2.warpAffine(array, matrix, (size, size), flags=flags, borderMode=cv2.BORDER_REPLICATE)


def pick_different(masks: np.ndarray, count: int) -> list[int]:
    """Indices of the first mask and of those that differ most from all chosen before, by IoU.

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
    """How often what was given a probability was true, bin by bin.

    Attributes:
        predicted: mean probability of each bin; nan where it is empty.
        observed: share of true pixels in it; nan where it is empty.
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
    """Bins probabilities and compares each bin's mean with the share that is true.

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
    """Temperature and shift of least cross-entropy; fit them on other people than they serve.

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
