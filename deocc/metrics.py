"""Metrics of masks, body parts and pixels, and what their means are worth (cluster bootstrap).

Every metric counts photo pixels only: pass `region` where a frame sticks out of the photo. Masks are bool,
float probabilities (inside: > 0.5) or 0/1 (0/255) integers, NumPy or torch. Nothing here is weighted by the
paper's published values, which could not be had; each docstring states the definition used.
"""

from collections.abc import Hashable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from deocc.errors import DeoccError
from deocc.labels import FLIP_PAIRS, IGNORE, NUM_CLASSES
from deocc.masks import mask_box

ArrayLike = np.ndarray | Tensor
RATIO_EDGES: tuple[float, ...] = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 1.0)  # bins of every table
ROUNDING_NOISE = 1 / (12 * 255**2)  # mean squared error of rounding to 8 bits; an exact copy scores 58.9 dB
SSIM_C1, SSIM_C2 = 0.01**2, 0.03**2  # Wang et al. 2004, data range 1


def _array(values: ArrayLike) -> np.ndarray:
    return values.detach().cpu().numpy() if isinstance(values, Tensor) else np.asarray(values)


def _bool(mask: ArrayLike) -> np.ndarray:
    """... x H x W bool; a channel axis of one (N x 1 x H x W) is dropped."""
    array = _array(mask)
    if array.ndim == 4 and array.shape[1] == 1:
        array = array[:, 0]
    return array if array.dtype == bool else array > 0.5


def _same_shape(first: np.ndarray, second: np.ndarray, what: str) -> None:
    if first.shape != second.shape:
        raise DeoccError(f"{what}: {first.shape} and {second.shape} came; give equal shapes")


def _plain(values: np.ndarray) -> Any:
    """A float for one instance, an array for a batch of them."""
    return float(values) if np.ndim(values) == 0 else values


# --- masks ----------------------------------------------------------------------------------------


def mask_counts(predicted: ArrayLike, target: ArrayLike, region: ArrayLike | None = None) -> np.ndarray:
    """Pixels of the intersection and of the union, an instance a row.

    Args:
        predicted, target: ... x H x W or N x 1 x H x W masks of equal shape.
        region: the pixels to count (photo pixels), same shape, or None for all.

    Returns:
        ... x 2 int64.

    Raises:
        DeoccError: the shapes differ.
    """
    first, second = _bool(predicted), _bool(target)
    _same_shape(first, second, "masks")
    both, either = first & second, first | second
    if region is not None:
        inside = _bool(region)
        _same_shape(first, inside, "region")
        both, either = both & inside, either & inside
    return np.stack([both.sum((-2, -1)), either.sum((-2, -1))], axis=-1).astype(np.int64)


def iou_of_counts(counts: np.ndarray) -> np.ndarray:
    """Intersection over union of `mask_counts` (... x 2); 1 where the union is empty."""
    both, either = counts[..., 0], counts[..., 1]
    return np.where(either == 0, 1.0, both / np.maximum(either, 1))


def mask_iou(predicted: ArrayLike, target: ArrayLike, region: ArrayLike | None = None) -> Any:
    """Intersection over union of each instance; two empty masks: 1.

    Args:
        predicted, target: ... x H x W or N x 1 x H x W masks of equal shape.
        region: the pixels to count (photo pixels), or None for all.

    Returns:
        A float for one mask, else an array of the leading shape, in [0, 1].

    Raises:
        DeoccError: the shapes differ.

    Source: tables 2 and 4. Differs from the released code: two empty masks count 1 there 0.
    """
    return _plain(iou_of_counts(mask_counts(predicted, target, region)))


def global_iou(predicted: ArrayLike, target: ArrayLike, region: ArrayLike | None = None) -> float:
    """IoU of all instances at once: summed intersections over summed unions; large people weigh more."""
    counts = mask_counts(predicted, target, region)
    return float(iou_of_counts(counts.reshape(-1, 2).sum(0)))


def invisible_iou(
    modal_predicted: ArrayLike,
    amodal_predicted: ArrayLike,
    modal_mask: ArrayLike,
    amodal_mask: ArrayLike,
    region: ArrayLike | None = None,
) -> Any:
    """IoU of the invisible masks, M_inv = M_a and not M_m, predicted against true (tables 2 and 4).

    The predicted invisible mask comes from the predicted modal mask: a system whose visible mask leaks onto
    the occluder pays for it here. Shapes and result as `mask_iou`.
    """
    predicted = _bool(amodal_predicted) & ~_bool(modal_predicted)
    return mask_iou(predicted, _bool(amodal_mask) & ~_bool(modal_mask), region)


def mask_l1(predicted: ArrayLike, target: ArrayLike, region: ArrayLike | None = None) -> Any:
    """Mean absolute difference of two masks over the counted pixels, in [0, 1] (tables 2 and 4).

    Probabilities count as they are; of two binary masks it is the share of wrong pixels.

    Args:
        predicted, target: ... x H x W or N x 1 x H x W, values in [0, 1] or bool.
        region: the pixels to count (photo pixels), or None for all.

    Returns:
        A float for one mask, else an array of the leading shape; nan where `region` is empty.
    """
    first, second = _array(predicted).astype(np.float32), _array(target).astype(np.float32)
    _same_shape(first, second, "masks")
    weight = np.ones(first.shape, np.float32) if region is None else _array(region).astype(np.float32)
    _same_shape(first, weight, "region")
    total, count = (np.abs(first - second) * weight).sum((-2, -1)), weight.sum((-2, -1))
    values = np.where(count > 0, total / np.maximum(count, 1), np.nan)
    return _plain(values[:, 0] if values.ndim == 2 and first.ndim == 4 and first.shape[1] == 1 else values)


# --- body parts -----------------------------------------------------------------------------------


def parsing_confusion(predicted: ArrayLike, target: ArrayLike, region: ArrayLike | None = None) -> np.ndarray:
    """Counts pixels by true class (row) and predicted class (column).

    Args:
        predicted, target: H x W labels, 0..19; pixels whose target is 255 do not count. A predicted 255 is a
            wrong answer (last column).
        region: the pixels to count, H x W bool, or None for all.

    Returns:
        20 x 21 int64.
    """
    guess, truth = _array(predicted).astype(np.uint8), _array(target).astype(np.uint8)
    _same_shape(guess, truth, "label maps")
    counted = truth != IGNORE if region is None else (truth != IGNORE) & _bool(region)
    columns = np.minimum(guess[counted], NUM_CLASSES).astype(np.int64)
    codes = truth[counted].astype(np.int64) * (NUM_CLASSES + 1) + columns
    counts = np.bincount(codes, minlength=NUM_CLASSES * (NUM_CLASSES + 1))
    return counts.reshape(NUM_CLASSES, NUM_CLASSES + 1)


def merge_confusion(confusion: np.ndarray) -> np.ndarray:
    """Counts right arm, leg and shoe as left ones, for sources whose labels have no true sides.

    Args:
        confusion: ... x 20 x 21, of `parsing_confusion`.
    """
    counts = confusion.copy()
    for left, right in FLIP_PAIRS:
        for axis in (-2, -1):
            lanes = np.moveaxis(counts, axis, 0)  # a view
            lanes[left] += lanes[right]
            lanes[right] = 0
    return counts


def class_ious(confusion: np.ndarray) -> np.ndarray:
    """IoU of each class from `parsing_confusion` (... x 20 x 21); nan where no target has the class."""
    square = confusion[..., :, :NUM_CLASSES]
    both = np.diagonal(square, axis1=-2, axis2=-1).astype(np.float64)
    truth = confusion.sum(-1)
    either = truth + square.sum(-2) - both
    return np.where(truth > 0, both / np.maximum(either, 1), np.nan)


def parsing_miou(confusion: np.ndarray) -> Any:
    """Mean IoU over the classes that the targets contain, background included; nan where there is none."""
    ious = class_ious(confusion)
    count = (~np.isnan(ious)).sum(-1)
    return _plain(np.where(count > 0, np.nansum(ious, -1) / np.maximum(count, 1), np.nan))


# --- pixels ---------------------------------------------------------------------------------------


def _unit(image: ArrayLike) -> np.ndarray:
    """H x W x 3 float32 in [0, 1] from uint8, or from a float image in [0, 1], HWC (NumPy) or CHW (torch)."""
    array = _array(image)
    if isinstance(image, Tensor) and array.ndim == 3:
        array = array.transpose(1, 2, 0)
    return array.astype(np.float32) / 255 if array.dtype == np.uint8 else array.astype(np.float32)


def _pixels(
    predicted: ArrayLike, target: ArrayLike, region: ArrayLike | None
) -> tuple[np.ndarray, np.ndarray]:
    """The counted pixels of two images, K x 3 each."""
    first, second = _unit(predicted), _unit(target)
    _same_shape(first, second, "images")
    if region is None:
        return first.reshape(-1, first.shape[-1]), second.reshape(-1, second.shape[-1])
    inside = _bool(region)
    _same_shape(first[..., 0], inside, "region")
    return first[inside], second[inside]


def image_l1(predicted: ArrayLike, target: ArrayLike, region: ArrayLike | None = None) -> float:
    """Mean absolute difference inside a region, in [0, 1] (images of range 1); nan for an empty region.

    Args:
        predicted, target: H x W x 3 uint8, or float in [0, 1] (torch: 3 x H x W).
        region: H x W bool, or None for the whole image.
    """
    first, second = _pixels(predicted, target, region)
    return float(np.abs(first - second).mean()) if first.size else float("nan")


def image_mse(predicted: ArrayLike, target: ArrayLike, region: ArrayLike | None = None) -> float:
    """Mean squared difference inside a region (images of range 1); arguments as `image_l1`."""
    first, second = _pixels(predicted, target, region)
    return float(np.square(first - second).mean()) if first.size else float("nan")


def psnr_of_mse(mse: Any) -> Any:
    """Peak signal-to-noise ratio in dB for images of range 1.

    The error is floored at the noise of 8-bit rounding, 1 / (12 x 255^2), so that an exact copy scores
    58.9 dB and a mean over cases stays finite.
    """
    return _plain(-10 * np.log10(np.maximum(mse, ROUNDING_NOISE)))


def psnr(predicted: ArrayLike, target: ArrayLike, region: ArrayLike | None = None) -> float:
    """PSNR inside a region in dB, at most 58.9; nan for an empty region. Arguments as `image_l1`."""
    return psnr_of_mse(image_mse(predicted, target, region))


def _window_mean(values: np.ndarray) -> np.ndarray:
    """The 11 x 11 Gaussian window (sigma 1.5) of Wang et al. 2004; nothing outside the picture."""
    return cv2.GaussianBlur(values, (11, 11), 1.5, borderType=cv2.BORDER_CONSTANT)


def ssim_map(first: np.ndarray, second: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """Structural similarity around each pixel, from statistics of the pixels inside alone.

    Args:
        first, second: H x W x 3 float32 in [0, 1].
        inside: H x W bool.

    Returns:
        H x W x 3 float32; meaningless outside.
    """
    weight = inside.astype(np.float32)[..., None]
    norm = np.maximum(_window_mean(weight[..., 0]), 1e-6)[..., None]

    def mean(values: np.ndarray) -> np.ndarray:
        return _window_mean(values * weight) / norm

    mean_a, mean_b = mean(first), mean(second)
    variance_a, variance_b = mean(first * first) - mean_a**2, mean(second * second) - mean_b**2
    covariance = mean(first * second) - mean_a * mean_b
    luminance = (2 * mean_a * mean_b + SSIM_C1) / (mean_a**2 + mean_b**2 + SSIM_C1)
    structure = (2 * covariance + SSIM_C2) / (variance_a + variance_b + SSIM_C2)
    return luminance * structure


def ssim(predicted: ArrayLike, target: ArrayLike, region: ArrayLike | None = None) -> float:
    """Structural similarity inside a region, averaged over its pixels and channels, in [-1, 1].

    Window statistics use pixels of the region alone (normalised convolution): an occluder left beside the
    region costs nothing. Without a region this is Wang et al. 2004, except within 5 px of the border, where
    the window is cut instead of mirrored.

    Returns:
        nan for an empty region. Arguments as `image_l1`.
    """
    first, second = _unit(predicted), _unit(target)
    _same_shape(first, second, "images")
    inside = np.ones(first.shape[:2], bool) if region is None else _bool(region)
    _same_shape(first[..., 0], inside, "region")
    if not inside.any():
        return float("nan")
    x0, y0, x1, y1 = mask_box(inside)
    crop = np.s_[y0:y1, x0:x1]
    return float(ssim_map(first[crop], second[crop], inside[crop])[inside[crop]].mean())


# --- distances of features ------------------------------------------------------------------------


def perceptual_distance(predicted: Sequence[Tensor], target: Sequence[Tensor], region: Tensor) -> Tensor:
    """Distance of feature maps inside a region, in the manner of LPIPS without its learned weights.

    Each position's features are scaled to unit length; their squared distance is averaged over the positions
    weighted by how much of them the region covers, then over the levels.

    Args:
        predicted, target: levels of a network that no painter was trained with, N x C x h x w each.
        region: N x 1 x H x W float {0, 1}.

    Returns:
        N distances in [0, 4]; nan where the region is empty.
    """
    distances = []
    for first, second in zip(predicted, target, strict=True):
        weight = F.adaptive_avg_pool2d(region.float(), (first.shape[-2], first.shape[-1]))[:, 0]
        unit_a, unit_b = F.normalize(first.float(), dim=1), F.normalize(second.float(), dim=1)
        squared = (unit_a - unit_b).square().sum(1)  # N x h x w
        distances.append((squared * weight).sum((1, 2)) / weight.sum((1, 2)))  # 0 / 0 = nan: nothing to judge
    return torch.stack(distances).mean(0)


def frechet_distance(
    mean_a: np.ndarray, covariance_a: np.ndarray, mean_b: np.ndarray, covariance_b: np.ndarray
) -> float:
    """Squared Frechet distance of two Gaussians, |m_a - m_b|^2 + tr(A + B - 2 (A^1/2 B A^1/2)^1/2).

    The trace of the root comes from two symmetric eigen-decompositions, so it is real by construction and
    needs no matrix square root from SciPy. For equal covariances it is the squared mean difference.

    Args:
        mean_a, mean_b: D float.
        covariance_a, covariance_b: D x D, symmetric, positive semi-definite.

    Raises:
        DeoccError: the shapes do not fit.
    """
    mean_a, mean_b = (np.atleast_1d(mean).astype(np.float64) for mean in (mean_a, mean_b))
    first, second = (np.atleast_2d(matrix).astype(np.float64) for matrix in (covariance_a, covariance_b))
    _same_shape(mean_a, mean_b, "means")
    if first.shape != second.shape or first.shape != (len(mean_a), len(mean_a)):
        raise DeoccError(f"covariances are {first.shape} and {second.shape}; give D x D, D = {len(mean_a)}")
    values, vectors = np.linalg.eigh((first + first.T) / 2)
    root = (vectors * np.sqrt(np.clip(values, 0, None))) @ vectors.T
    product = root @ second @ root
    cross = np.sqrt(np.clip(np.linalg.eigvalsh((product + product.T) / 2), 0, None)).sum()
    difference = mean_a - mean_b
    return float(max(difference @ difference + np.trace(first) + np.trace(second) - 2 * cross, 0.0))


@dataclass(frozen=True)
class FrechetResult:
    """A Frechet distance with what is needed to judge it; it has no confidence interval.

    Attributes:
        name: "FID" or "FD-Lite0"; values under different names never compare.
        value: the squared distance, >= 0.
        n: pictures on either side (the smaller count). It is biased upwards at small n: compare at equal n.
        features: width of the features.
        rank_deficient: n <= features: the covariances cannot have full rank.
    """

    name: str
    value: float
    n: int
    features: int
    rank_deficient: bool

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def frechet_of_features(first: np.ndarray, second: np.ndarray, name: str = "FD-Lite0") -> FrechetResult:
    """Frechet distance of two sets of features.

    With fewer pictures than features the root's trace is the nuclear norm of the n_a x n_b matrix of centred
    products, which is exact and much smaller than D x D.

    Args:
        first, second: n_a x D and n_b x D, at least two rows each.

    Raises:
        DeoccError: fewer than two pictures on a side, or different widths.
    """
    first, second = np.asarray(first, np.float64), np.asarray(second, np.float64)
    if first.ndim != 2 or second.ndim != 2 or first.shape[1] != second.shape[1]:
        raise DeoccError(f"features are {first.shape} and {second.shape}; give n x D of one width D")
    n, width = min(len(first), len(second)), first.shape[1]
    if n < 2:
        raise DeoccError(f"{n} pictures came; a Frechet distance needs at least 2 on each side; add cases")
    if max(len(first), len(second)) > width:
        value = frechet_distance(first.mean(0), np.cov(first.T), second.mean(0), np.cov(second.T))
    else:
        centred_a = (first - first.mean(0)) / np.sqrt(len(first) - 1)
        centred_b = (second - second.mean(0)) / np.sqrt(len(second) - 1)
        cross = np.linalg.svd(centred_a @ centred_b.T, compute_uv=False).sum()
        difference = first.mean(0) - second.mean(0)
        value = max(difference @ difference + (centred_a**2).sum() + (centred_b**2).sum() - 2 * cross, 0.0)
    return FrechetResult(name, float(value), n, width, bool(n <= width))


# --- what a mean is worth -------------------------------------------------------------------------


@dataclass(frozen=True)
class Interval:
    """A value over cases with its bootstrap confidence interval.

    Attributes:
        value: the statistic of all cases; nan where no case counts.
        low, high: 95 % percentile interval over people; nan with fewer than two people.
        n: cases that count.
        people: people among them.
    """

    value: float
    low: float
    high: float
    n: int
    people: int

    def to_json(self) -> dict[str, Any]:
        """The fields as JSON values; nan becomes None."""
        fields = asdict(self).items()
        return {k: None if isinstance(v, float) and not np.isfinite(v) else v for k, v in fields}


def _resample(sums: np.ndarray, resamples: int, seed: int) -> np.ndarray:
    """Draws people with replacement. sums: P x K a person -> resamples x K of the drawn crowds."""
    people = len(sums)
    draws = np.random.default_rng(seed).multinomial(people, np.full(people, 1 / people), size=resamples)
    return draws @ sums


def _sum_by_cluster(values: np.ndarray, clusters: Sequence[Hashable]) -> np.ndarray:
    """Adds up the rows of each cluster. values: N x K -> P x K."""
    if len(values) != len(clusters):
        raise DeoccError(f"{len(values)} values and {len(clusters)} person ids; give one id a value")
    index: dict[Hashable, int] = {}
    rows = np.array([index.setdefault(cluster, len(index)) for cluster in clusters], int)
    sums = np.zeros((len(index), values.shape[1]))
    np.add.at(sums, rows, values)
    return sums


def _percentiles(values: np.ndarray, people: int, confidence: float) -> tuple[float, float]:
    if people < 2 or not np.isfinite(values).any():
        return float("nan"), float("nan")
    tail = 50 * (1 - confidence)
    low, high = np.nanpercentile(values, [tail, 100 - tail])
    return float(low), float(high)


def bootstrap_ratio(
    numerators: np.ndarray,
    denominators: np.ndarray,
    clusters: Sequence[Hashable],
    resamples: int = 1000,
    confidence: float = 0.95,
    seed: int = 0,
) -> Interval:
    """Sum of numerators over sum of denominators, with a cluster bootstrap over people.

    Several cases of one person are no independent witnesses, so whole people are drawn, with replacement.

    Args:
        numerators, denominators: N float; a case with a nan numerator does not count.
        clusters: N person ids.
        resamples: bootstrap draws.
        confidence: of the percentile interval.
        seed: of the draws; the same seed gives the same interval.
    """
    top, bottom = np.asarray(numerators, np.float64), np.asarray(denominators, np.float64)
    kept = np.isfinite(top)
    if not kept.any():
        return Interval(float("nan"), float("nan"), float("nan"), 0, 0)
    people = [cluster for cluster, keep in zip(clusters, kept, strict=True) if keep]
    sums = _sum_by_cluster(np.stack([top, bottom], 1)[kept], people)
    total = sums.sum(0)
    drawn = _resample(sums, resamples, seed)
    with np.errstate(invalid="ignore", divide="ignore"):
        low, high = _percentiles(drawn[:, 0] / drawn[:, 1], len(sums), confidence)
        return Interval(float(total[0] / total[1]), low, high, int(kept.sum()), len(sums))


def bootstrap_mean(values: np.ndarray, clusters: Sequence[Hashable], **options: Any) -> Interval:
    """Mean over cases, nan skipped, with a cluster bootstrap over people; see `bootstrap_ratio`."""
    return bootstrap_ratio(values, np.ones(len(values)), clusters, **options)


def bootstrap_parsing_miou(
    confusions: np.ndarray,
    clusters: Sequence[Hashable],
    resamples: int = 1000,
    confidence: float = 0.95,
    seed: int = 0,
) -> Interval:
    """Mean IoU of body parts over all cases' pixels, with a cluster bootstrap over people.

    Args:
        confusions: N x 20 x 21 counts of `parsing_confusion`, one a case.
        clusters: N person ids.
    """
    if not len(confusions):
        return Interval(float("nan"), float("nan"), float("nan"), 0, 0)
    shape = confusions.shape[1:]
    sums = _sum_by_cluster(confusions.reshape(len(confusions), -1).astype(np.float64), clusters)
    value = parsing_miou(sums.sum(0).reshape(shape))
    drawn = parsing_miou(_resample(sums, resamples, seed).reshape(-1, *shape))
    low, high = _percentiles(np.atleast_1d(drawn), len(sums), confidence)
    return Interval(float(value), low, high, len(confusions), len(sums))


def ratio_bins(ratios: np.ndarray, edges: Sequence[float] = RATIO_EDGES) -> np.ndarray:
    """Bin of each occlusion ratio, edges[i] <= ratio < edges[i + 1]; the last holds its upper edge."""
    return np.clip(np.digitize(ratios, edges) - 1, 0, len(edges) - 2)
