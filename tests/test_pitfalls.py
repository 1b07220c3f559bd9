"""What moves a metric without a better picture, in closed form where there is one."""

import numpy as np
import pytest

from deocc.errors import DeoccError
from deocc.studies import pitfalls


def test_the_distance_of_one_distribution_to_itself_falls_with_n():
    rng = np.random.default_rng(0)
    first, second = rng.normal(size=(2, 400, 16))
    rows = pitfalls.frechet_by_count(first, second, (20, 80, 400))
    assert [row.n for row in rows] == [20, 80, 400]
    assert rows[0].mean > 2 * rows[1].mean > 4 * rows[2].mean > 0
    assert rows[2].spread < 1e-6, "all pictures: every draw is the same set"
    again = pitfalls.frechet_by_count(first, second, (20, 80, 400))
    assert rows == again


@pytest.mark.parametrize("counts", [(), (1,), (5,)])
def test_counts_must_be_at_hand(counts):
    with pytest.raises(DeoccError, match="give sizes from 2 to 4"):
        pitfalls.frechet_by_count(np.ones((4, 2)), np.ones((5, 2)), counts)


def test_pasting_ground_truth_divides_the_error_by_the_area():
    target = np.full((40, 40, 3), 100, np.uint8)
    amodal, invisible = np.zeros((2, 40, 40), bool)
    amodal[:20, :20] = invisible[:10, :20] = True
    recovered = np.where(invisible[..., None], np.uint8(151), target)
    scores = pitfalls.scores_by_region(recovered, target, invisible, amodal)
    assert scores["invisible region"][0] == pytest.approx(0.2)
    assert scores["whole person"][0] == pytest.approx(0.1)
    assert scores["whole photo"][0] == pytest.approx(0.2 * 200 / 1600)
    gain = scores["whole photo"][1] - scores["invisible region"][1]
    assert gain == pytest.approx(10 * np.log10(1600 / 200), abs=1e-4)


def test_treatments_keep_size_and_change_pixels():
    picture = np.random.default_rng(0).integers(0, 255, (60, 60, 3), np.uint8)
    for name, treat in pitfalls.TREATMENTS.items():
        treated = treat(picture)
        assert treated.shape == picture.shape and treated.dtype == np.uint8
        assert (treated == picture).all() == (name == "untouched")


def test_averaging_keeps_the_mean_and_sampling_aliases():
    stripes = np.tile(np.array([0, 200], np.uint8)[None, :, None], (64, 32, 3))
    averaged, aliased = (pitfalls.through_size(stripes, 32, area) for area in (True, False))
    assert np.abs(averaged.astype(int) - 100).max() <= 1
    thirds = np.tile(np.array([0, 0, 240], np.uint8)[None, :, None], (66, 22, 3))
    averaged, aliased = (pitfalls.through_size(thirds, 22, area) for area in (True, False))
    assert averaged.mean() == pytest.approx(80, abs=1) and aliased.mean() < 5


def test_crops_hold_the_person_and_features_are_named():
    picture = np.zeros((50, 80, 3), np.uint8)
    mask = np.zeros((50, 80), bool)
    mask[10:40, 30:50] = True
    picture[mask] = 200
    crops = pitfalls.person_crops([picture, picture], [mask, mask], 32)
    assert crops.shape == (2, 32, 32, 3)
    assert (crops[0] > 100).all(2).mean() == pytest.approx(20 / 30 / 1.21, abs=0.05)
    name, features = pitfalls.pooled_features(crops, batch=1)
    assert name in ("FID", "FD-Lite0") and features.shape[0] == 2
    np.testing.assert_allclose(features[0], features[1])
