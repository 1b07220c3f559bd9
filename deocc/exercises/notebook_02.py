"""Exercises of notebook 02, occlusion synthesis."""

from __future__ import annotations

from typing import Any

import numpy as np

from deocc.exercises.verdict import ask, exercise, near, require
from deocc.occlusion import DENSITIES, hidden_area


@exercise
def hidden_by_box(answer: Any) -> str:
    """(person mask H x W bool, a, b) -> (H + a - 1) x (W + b - 1): pixels that an a x b box hides."""
    rng = np.random.default_rng(0)
    for shape, a, b in (((9, 7), 1, 1), ((12, 15), 3, 6), ((8, 20), 11, 4)):
        mask = rng.random(shape) < 0.5
        near(ask(answer, mask, a, b), hidden_area(mask, np.ones((a, b), bool)), f"the result for {a} x {b}")
    return "equal to the correlation for three boxes, without an FFT."


@exercise
def mean_drops(answer: Any) -> str:
    """(shares hidden at every offset, ratio, tolerance) -> drops that rejection needs on average."""
    shares = ((np.arange(1001) + 0.37) / 1001).reshape(7, 143)  # none on a limit, where rounding would decide
    for ratio, tolerance in ((0.3, 0.01), (0.5, 0.001), (0.25, 0.1)):
        fits = np.abs(shares - ratio) <= tolerance
        about = f"the number of drops at {ratio} +- {tolerance}"
        near(ask(answer, shares, ratio, tolerance), fits.size / fits.sum(), about)
    never = ask(answer, shares * 0.2, 0.9, 0.01)
    require(np.isinf(never), f"where no offset fits, it is {never}; how long does rejection take there?")
    return "one over the share of offsets that fit; endless where none does."


@exercise
def bin_share(answer: Any) -> str:
    """(low, high, a, b) -> share of ratios uniform on [a, b] that fall into [low, high)."""
    a, b = DENSITIES["val"].ratios[0], DENSITIES["val"].ratios[-1]
    draws = DENSITIES["val"].sample(np.random.default_rng(1), 200_000)
    for low, high in ((0.2, 0.4), (0.0, 0.2), (0.6, 1.0), (0.7, 0.9)):
        drawn = np.mean((draws >= low) & (draws < high))
        near(ask(answer, low, high, a, b), drawn, f"the share of bin {low}-{high}", 0.005)
    return "it agrees with 200,000 draws, in the bins that the range cuts as well."
