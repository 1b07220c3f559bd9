"""Confidence intervals by cluster bootstrap over people."""

from collections.abc import Hashable, Sequence
from dataclasses import asdict, dataclass
from statistics import NormalDist
from typing import Any

import numpy as np

from deocc.errors import DeoccError
from deocc.metrics.parsing import class_ious, parsing_miou

RATIO_EDGES: tuple[float, ...] = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 1.0)  # bins of every table


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


def _crowds(people: int, resamples: int, seed: int) -> np.ndarray:
    """Draws people with replacement: how often each person is drawn, resamples x P."""
    return np.random.default_rng(seed).multinomial(people, np.full(people, 1 / people), size=resamples)


def _resample(sums: np.ndarray, resamples: int, seed: int) -> np.ndarray:
    """Sums of the drawn people. sums: P x K, one row per person; returns resamples x K."""
    return _crowds(len(sums), resamples, seed) @ sums


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

    Several cases of one person are not independent, so whole people are drawn, with replacement.

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


def bootstrap_pairs(
    terms: np.ndarray,
    clusters: Sequence[Hashable],
    resamples: int = 1000,
    confidence: float = 0.95,
    seed: int = 0,
) -> Interval:
    """Mean of a symmetric matrix over pairs of cases of different people, with a cluster bootstrap.

    Pairs of cases of the same person do not count, even if the person is drawn twice.

    Args:
        terms: N x N float, of `kernel_terms`.
        clusters: N person ids.

    Returns:
        `Interval`; its value is nan with fewer than two people.
    """
    sums = _sum_by_cluster(_sum_by_cluster(np.asarray(terms, np.float64), clusters).T, clusters)
    sizes = _sum_by_cluster(np.ones((len(terms), 1)), clusters)
    counts = sizes @ sizes.T
    for matrix in (sums, counts):
        np.fill_diagonal(matrix, 0)
    crowds = _crowds(len(sums), resamples, seed).astype(np.float64)
    with np.errstate(invalid="ignore", divide="ignore"):
        drawn = ((crowds @ sums) * crowds).sum(1) / ((crowds @ counts) * crowds).sum(1)
        low, high = _percentiles(drawn, len(sums), confidence)
        return Interval(float(sums.sum() / counts.sum()), low, high, len(terms), len(sums))


def bootstrap_parsing_miou(
    confusions: np.ndarray,
    clusters: Sequence[Hashable],
    resamples: int = 1000,
    confidence: float = 0.95,
    seed: int = 0,
) -> Interval:
    """Mean IoU of body parts over all cases' pixels, with a cluster bootstrap over people.

    A class that no drawn person has counts in that draw with its IoU over everybody. If it were left out, the
    draws without rare, badly recognised classes would push the interval upwards.

    Args:
        confusions: N x 20 x 21 counts of `parsing_confusion`, one per case.
        clusters: N person ids.
    """
    if not len(confusions):
        return Interval(float("nan"), float("nan"), float("nan"), 0, 0)
    shape = confusions.shape[1:]
    sums = _sum_by_cluster(confusions.reshape(len(confusions), -1).astype(np.float64), clusters)
    total = sums.sum(0).reshape(shape)
    value, whole = parsing_miou(total), class_ious(total)
    drawn = class_ious(_resample(sums, resamples, seed).reshape(-1, *shape))
    known = ~np.isnan(whole)
    filled = np.where(np.isnan(drawn), whole, drawn)[:, known]
    drawn = filled.mean(-1) if known.any() else np.full(resamples, np.nan)
    low, high = _percentiles(np.atleast_1d(drawn), len(sums), confidence)
    return Interval(float(value), low, high, len(confusions), len(sums))


def wilson_interval(successes: int, n: int, confidence: float = 0.95) -> tuple[float, float]:
    """Wilson's score interval of a binomial share (Wilson 1927); nan where n is 0.

    Args:
        successes, n: 0 <= successes <= n independent trials.
        confidence: of the interval.
    """
    if n == 0:
        return float("nan"), float("nan")
    z, share = NormalDist().inv_cdf((1 + confidence) / 2), successes / n
    centre = (share + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * np.sqrt(share * (1 - share) / n + z**2 / (4 * n**2))
    return float(centre - half), float(centre + half)


def ratio_bins(ratios: np.ndarray, edges: Sequence[float] = RATIO_EDGES) -> np.ndarray:
    """Bin of each occlusion ratio, edges[i] <= ratio < edges[i + 1]; the last holds its upper edge."""
    return np.clip(np.digitize(ratios, edges) - 1, 0, len(edges) - 2)
