"""Confidence intervals of differences between rows, corrected for many comparisons."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from scipy.stats import t as student

DRAWS = 2000
LEVEL = 0.95


@dataclass(frozen=True)
class Difference:
    """A mean difference between two systems on the same cases.

    Attributes:
        value: mean over cases of the difference of the means over seeds.
        low, high: 95 % interval; None with fewer than two people.
        p: two-sided p-value of the difference; None likewise.
        seeds: the smaller number of seeds of the two; with 1 the interval ignores the spread over seeds.
        people: number of resampled people.
    """

    value: float
    low: float | None
    high: float | None
    p: float | None
    seeds: int
    people: int

    def mirrored(self) -> Difference:
        """The same difference seen from the other side."""
        low = None if self.high is None else -self.high
        high = None if self.low is None else -self.low
        return replace(self, value=-self.value, low=low, high=high)

    def to_json(self) -> dict[str, Any]:
        """The fields."""
        return asdict(self)


def compare(
    first: np.ndarray, second: np.ndarray, people: Sequence[int], draws: int = DRAWS, seed: int = 0
) -> Difference:
    """Mean difference of two systems, with an interval over people and seeds.

    People are drawn with replacement, and so are the seeds of each system (one fewer than there are, so that
    the spread over few seeds is not underestimated). The interval is the estimate plus or minus the standard
    deviation of the draws times Student's quantile. Its degrees of freedom (Welch and Satterthwaite) are
    those of the level that varies most: three seeds say less than a hundred people. Exchanged systems have
    the mirrored interval.

    Args:
        first, second: seeds x N values, one per case; cases that are nan anywhere are ignored.
        people: N numbers that identify persons.
        draws: of the resampling.
        seed: of the draws.
    """
    kept = np.isfinite(first).all(0) & np.isfinite(second).all(0)
    names, rows = np.unique(np.asarray(people)[kept], return_inverse=True)
    seeds = min(len(first), len(second))
    if not len(names):
        return Difference(float("nan"), None, None, None, seeds, 0)
    sums = [_by_person(values[:, kept], rows, len(names)) for values in (first, second)]
    counts = np.bincount(rows, minlength=len(names)).astype(float)
    value = float((sums[0].mean(0) - sums[1].mean(0)).sum() / counts.sum())
    if value < 0:  # the larger first: the draws do not depend on the order
        return compare(second, first, people, draws, seed).mirrored()
    if len(names) < 2:
        return Difference(value, None, None, None, seeds, len(names))
    rng = np.random.default_rng(seed)
    crowd = rng.multinomial(len(names), np.full(len(names), 1 / len(names)), size=draws)
    choice = [_drawn_seeds(len(part), draws, rng) for part in sums]
    ones, means = np.ones((draws, len(names))), [np.full_like(c, 1 / c.shape[1]) for c in choice]
    spread = _spread(sums, counts, crowd, choice)
    levels = [(_spread(sums, counts, crowd, means), len(names) - 1)]
    for side, part in enumerate(sums):
        only = [choice[i] if i == side else means[i] for i in (0, 1)]
        levels.append((_spread(sums, counts, ones, only), len(part) - 1))
    low, high, p = _interval(value, spread, _freedom(levels))
    return Difference(value, low, high, p, seeds, len(names))


def compare_seeds(first: Sequence[float], second: Sequence[float]) -> Difference:
    """Mean difference of two systems in a figure of whole runs, such as a Frechet distance.

    The interval is Welch's over seeds; it ignores the choice of people. With one seed there is none.

    Args:
        first, second: one value per seed.
    """
    sides = [np.asarray(side, np.float64) for side in (first, second)]
    value, seeds = float(sides[0].mean() - sides[1].mean()), min(map(len, sides))
    if seeds < 2:
        return Difference(value, None, None, None, seeds, 0)
    levels = [(float(side.std(ddof=1)) / len(side) ** 0.5, len(side) - 1) for side in sides]
    spread = float(np.hypot(levels[0][0], levels[1][0]))
    low, high, p = _interval(value, spread, _freedom(levels))
    return Difference(value, low, high, p, seeds, 0)


def _by_person(values: np.ndarray, rows: np.ndarray, people: int) -> np.ndarray:
    """Sums over the cases of each person: S x N -> S x P."""
    return np.stack([np.bincount(rows, weights=line, minlength=people) for line in values])


def _drawn_seeds(count: int, draws: int, rng: np.random.Generator) -> np.ndarray:
    """Weights of the seeds in each draw, draws x S: count - 1 drawn with replacement; a single one stays."""
    if count == 1:
        return np.ones((draws, 1))
    return rng.multinomial(count - 1, np.full(count, 1 / count), size=draws) / (count - 1)


def _spread(
    sums: Sequence[np.ndarray], counts: np.ndarray, crowd: np.ndarray, seeds: Sequence[np.ndarray]
) -> float:
    """Standard deviation over draws of the mean difference; crowd: draws x P, seeds: draws x S per side."""
    total = [((share @ part) * crowd).sum(1) for share, part in zip(seeds, sums, strict=True)]
    return float(((total[0] - total[1]) / (crowd @ counts)).std(ddof=1))


def _freedom(levels: Sequence[tuple[float, int]]) -> float:
    """Degrees of freedom of a sum of variances, each given as (standard deviation, its own degrees)."""
    known = [(spread**2, degrees) for spread, degrees in levels if degrees > 0 and spread > 0]
    below = sum(variance**2 / degrees for variance, degrees in known)
    return sum(variance for variance, _ in known) ** 2 / below if below > 0 else 1.0


def _interval(value: float, spread: float, freedom: float) -> tuple[float, float, float]:
    if spread <= 1e-12:
        return value, value, 1.0 if abs(value) <= 1e-12 else 0.0
    reach = float(student.ppf((1 + LEVEL) / 2, freedom)) * spread
    return value - reach, value + reach, float(2 * student.sf(abs(value) / spread, freedom))


def holm(probabilities: Sequence[float]) -> list[float]:
    """Holm's correction (1979): p-values adjusted for the number of comparisons, in the given order.

    A comparison is decided if its adjusted p-value is below 0.05. The chance that any of them is decided
    wrongly stays below 5 %, as far as the p-values are right: with two seeds a system, the smallest come out
    too small, and it is about 5 %.
    """
    order = sorted(range(len(probabilities)), key=lambda i: probabilities[i])
    adjusted, largest = [0.0] * len(order), 0.0
    for rank, index in enumerate(order):
        largest = max(largest, min(1.0, (len(order) - rank) * probabilities[index]))
        adjusted[index] = largest
    return adjusted
