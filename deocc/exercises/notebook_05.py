"""Exercises of notebook 05, the paper's tables."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.stats import ttest_ind_from_stats

from deocc.exercises.verdict import ask, exercise, near, require
from deocc.tables.scorecard import VERDICTS, verdict_of

CLAIMS = (  # (value in the claimed direction, decided, seeds) of each comparison of a claim
    [(0.02, True, 3), (0.01, True, 3)],
    [(0.02, True, 3), (0.01, False, 3)],
    [(0.02, True, 1), (0.01, True, 1)],
    [(0.02, True, 3), (0.01, True, 1)],
    [(0.02, False, 3), (-0.01, True, 3)],
    [(0.02, True, 3), (-0.01, False, 3)],
    [(0.02, True, 3), (-0.01, True, 1)],
    [(0.02, True, 3), (-0.01, True, 3)],
    [(-0.02, True, 2)],
    [(-0.02, False, 2)],
    [(0.02, True, 2)],
)


@exercise
def least_gap(answer: Any) -> str:
    """(seeds a side) -> least difference, in standard deviations over seeds, that is decided at 5 %."""
    for seeds in (2, 3, 10):
        gap = float(ask(answer, seeds))
        require(np.isfinite(gap) and gap > 0, f"the gap is {gap}; it is a number above 0")
        p = ttest_ind_from_stats(gap, 1, seeds, 0, 1, seeds).pvalue
        require(
            abs(p - 0.05) < 0.0005,
            f"at a gap of {gap:.3f} s, {seeds} seeds a side give p = {p:.4f}; 0.05 was wanted",
        )
    return "few seeds cost twice: a wider quantile, and fewer to average over."


@exercise
def times_the_people(answer: Any) -> str:
    """(a, b: the same N people's scores of two systems) -> people needed unpaired, over people paired."""
    rng = np.random.default_rng(0)
    for share in (0.0, 0.6, 0.95):  # of the spread that both systems have in common
        common = rng.normal(size=400)
        a, b = (np.sqrt(share) * common + np.sqrt(1 - share) * rng.normal(size=400) for _ in range(2))
        b = 2 * b
        wanted = (a.var() + b.var()) / (a - b).var()
        correlation = np.corrcoef(a, b)[0, 1]
        near(ask(answer, a, b), wanted, f"the factor at a correlation of {correlation:.2f}")
    return "what the two have in common cancels in the difference; unpaired, it is noise in both."


@exercise
def any_found(answer: Any) -> str:
    """(number of comparisons, level) -> chance that at least one difference that is none is "found"."""
    rng = np.random.default_rng(0)
    for count, level in ((1, 0.05), (20, 0.05), (20, 0.0025), (40, 0.1)):
        chance = float(ask(answer, count, level))
        drawn = (rng.random((20000, count)).min(1) < level).mean()
        require(
            abs(chance - drawn) < 0.015,
            f"{count} comparisons at a level of {level:g}: the chance is {chance:.3f}; "
            f"20,000 tables of differences that are none had {drawn:.3f}",
        )
    return "one minus the chance that all are spared; at the level divided by their number it is 5 % again."


@exercise
def my_verdict(answer: Any) -> str:
    """(list of (value, decided, seeds), value > 0 as claimed) -> the scorecard's verdict, a name."""
    for claim in CLAIMS:
        parts = [
            {"counts": True, "agrees": value > 0, "found": {"decided": decided, "seeds": seeds}}
            for value, decided, seeds in claim
        ]
        found, wanted = ask(answer, claim), verdict_of(parts)
        require(found in VERDICTS, f"{found!r} is no verdict; they are {', '.join(VERDICTS)}")
        require(found == wanted, f"{claim} was called {found!r}; the scorecard says {wanted!r}")
    return "the scorecard's rule: one seed can neither match nor contradict."
