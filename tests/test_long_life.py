"""A process that answers again and again does not grow (`tools/long_life.py` has the long form)."""

import pytest

from long_life import moves, photos, watch


@pytest.mark.parametrize("make", [photos, moves])
def test_calls_leave_nothing_behind(make, tiny_weights):
    points = watch(make(str(tiny_weights)), count=30, warm=30, every=10)
    first, last = points[0], points[-1]
    assert last["MB"] - first["MB"] < 25  # a photo's arrays take 5 MB or so
    assert last["files"] <= first["files"] and last["threads"] <= first["threads"]
