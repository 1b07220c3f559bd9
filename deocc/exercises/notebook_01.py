"""Exercises of notebook 01, dataset building."""

from __future__ import annotations

from typing import Any

import numpy as np

from deocc.exercises.verdict import ask, exercise, near, require
from deocc.people.filtering import Thresholds, assess_box


@exercise
def preserved_share(answer: Any) -> str:
    """(boxes N x 4, shape (H, W), gutter) -> share whose box stays at least `gutter` from every border."""
    rng = np.random.default_rng(0)
    shape = 90, 120
    start = rng.integers(0, (81, 51), (60, 2))
    boxes = np.concatenate([start, start + rng.integers(5, 41, (60, 2))], 1)  # x0, y0, x1, y1, half-open
    for gutter in (0, 1, 5, 20):
        limits = Thresholds(min_side=1, gutter=gutter)
        kept = [assess_box(box, shape, thresholds=limits).proposal == "preserve" for box in boxes.tolist()]
        near(ask(answer, boxes, shape, gutter), np.mean(kept), f"the share at gutter {gutter}")
    return "the same people as `assess_box` keeps, at four widths of the gutter."


@exercise
def caught_at(answer: Any) -> str:
    """(agreement of bad masks, of good ones, allowed loss) -> largest share of bad ones that can be caught.

    Masks below one limit are thrown away; of the good ones at most the allowed share may be.
    """
    rng = np.random.default_rng(0)
    for _ in range(5):
        bad, good = rng.normal(0.6, 0.15, 60), rng.normal(0.7, 0.1, 12)
        for allowed in (0.0, 0.3, 0.5):
            limits = np.concatenate([bad, good, [np.inf]])
            fair = [limit for limit in limits if np.mean(good < limit) <= allowed]
            best = max(np.mean(bad < limit) for limit in fair)
            near(ask(answer, bad, good, allowed), best, f"the share caught at a loss of {allowed}")
    require(ask(answer, np.array([0.9]), np.array([0.5, 0.6]), 0.0) == 0, "no limit catches it there")
    return "the best that any single limit can do, found without trying them all by hand."


@exercise
def contact_share(answer: Any) -> str:
    """(mask, others: H x W bool, distance) -> share of the mask's outline within `distance` of the others.

    The outline: pixels of the mask of whose eight neighbours one at least is not in it.
    """
    rng = np.random.default_rng(0)
    for distance in (1, 3):
        mask, others = np.zeros((30, 40), bool), np.zeros((30, 40), bool)
        mask[5:22, 6:20] = True
        mask[10:14, 17:20] = rng.random((4, 3)) < 0.5
        others[8:28, 19 + distance : 30] = True
        wanted = _by_loops(mask, others, distance)
        require(0 < wanted < 1, "this case says nothing")
        near(ask(answer, mask, others, distance), wanted, f"the share within {distance} pixels")
    near(ask(answer, mask, np.zeros_like(mask), 3), 0, "the share where nobody else is")
    return "outline and distance by their definitions."


def _by_loops(mask: np.ndarray, others: np.ndarray, distance: int) -> float:
    padded = np.pad(mask, 1)
    near_by, count = 0, 0
    places = np.argwhere(others)
    for y, x in np.argwhere(mask):
        if padded[y : y + 3, x : x + 3].all():
            continue
        count += 1
        near_by += bool((((places - (y, x)) ** 2).sum(1) <= distance**2).any())
    return near_by / count
