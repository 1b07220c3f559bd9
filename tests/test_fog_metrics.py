"""Closed forms of what sees fog: detail, blurred colour, kernel distances."""

import numpy as np
import pytest
from skimage.color import rgb2lab
from skimage.filters import gaussian

from deocc import metrics as M
from deocc.errors import DeoccError

RNG = np.random.default_rng(0)
CLOTH = RNG.random((48, 40, 3)).astype(np.float32)
INNER = np.zeros((48, 40), bool)
INNER[8:40, 6:30] = True


# --- detail


def test_the_gradient_of_a_ramp_is_its_slope_everywhere() -> None:
    ramp = np.broadcast_to(0.01 * np.arange(40, dtype=np.float32)[None, :, None], (48, 40, 3))
    assert M.mean_gradient(ramp, INNER) == pytest.approx(0.01, rel=1e-5)
    assert M.mean_gradient(ramp) == pytest.approx(0.01, rel=1e-5)
    assert M.mean_gradient(np.full((9, 9, 3), 0.3, np.float32)) == pytest.approx(0, abs=1e-7)


def test_equal_pictures_have_a_ratio_of_exactly_one_and_half_contrast_of_a_half() -> None:
    assert M.detail_ratio(CLOTH, CLOTH, INNER) == 1
    assert M.detail_ratio(0.5 * CLOTH + 0.2, CLOTH, INNER) == pytest.approx(0.5, abs=1e-5)
    assert M.detail_ratio(1 - CLOTH, CLOTH, INNER) == pytest.approx(1, abs=1e-5)


def test_fog_is_below_one_and_noise_above() -> None:
    cloth = gaussian(CLOTH, 1, channel_axis=-1)
    noisy = cloth + 0.1 * RNG.normal(size=cloth.shape).astype(np.float32)
    assert M.detail_ratio(gaussian(cloth, 2, channel_axis=-1), cloth, INNER) < 0.5
    assert M.detail_ratio(noisy, cloth, INNER) > 1.2


def test_neither_the_seam_nor_what_lies_beside_the_region_is_detail() -> None:
    fog = np.where(INNER[..., None], np.float32(0.5), CLOTH)  # flat, with a hard border all around
    assert M.detail_ratio(fog, CLOTH, INNER) == pytest.approx(0, abs=1e-6)
    beside = np.where(INNER[..., None], CLOTH, 0)
    assert M.detail_ratio(beside, CLOTH, INNER) == 1


def test_flat_targets_and_narrow_regions_have_no_ratio() -> None:
    flat = np.full((48, 40, 3), 100, np.uint8)
    narrow = np.zeros_like(INNER)
    narrow[:, 5:7] = True
    assert np.isnan(M.detail_ratio(CLOTH, flat / 255, INNER))
    assert np.isnan(M.detail_ratio(CLOTH, CLOTH, narrow))
    assert np.isnan(M.detail_ratio(CLOTH, CLOTH, np.zeros_like(INNER)))


# --- blurred colour


@pytest.mark.parametrize("sigma", [0, 0.5, 7, 100])
def test_a_uniform_shift_is_the_distance_in_lab_at_any_blur(sigma: float) -> None:
    first, second = np.array([200, 40, 90], np.uint8), np.array([180, 60, 30], np.uint8)
    expected = np.linalg.norm(rgb2lab(first[None, None]) - rgb2lab(second[None, None]))
    pictures = [np.broadcast_to(colour, (48, 40, 3)) for colour in (first, second)]
    assert M.blurred_colour_error(*pictures, INNER, sigma) == pytest.approx(expected, abs=0.02)
    assert M.blurred_colour_error(*pictures, None, sigma) == pytest.approx(expected, abs=0.02)


def test_texture_in_the_wrong_place_costs_nothing_once_it_is_blurred() -> None:
    board = ((np.indices((48, 40)).sum(0) % 2)[..., None] * np.uint8(120) + np.uint8(60)).repeat(3, 2)
    sharp, blurred = (M.blurred_colour_error(240 - board, board, INNER, sigma) for sigma in (0, 4))
    assert sharp > 40
    assert blurred < 0.1 * sharp  # what is left of it lies at the border


def test_fog_of_the_right_colour_beats_a_sharp_picture_of_the_wrong_one() -> None:
    fog = np.broadcast_to(CLOTH[INNER].mean(0), CLOTH.shape).astype(np.float32)
    wrong = CLOTH * np.array([1, 0.4, 0.4], np.float32)
    first, second = (M.blurred_colour_error(p, CLOTH, INNER, 4) for p in (fog, wrong))
    assert first < second / 2


def test_colours_beside_the_region_do_not_leak_into_it() -> None:
    beside = np.where(INNER[..., None], CLOTH, 0)
    assert M.blurred_colour_error(beside, CLOTH, INNER, 5) == pytest.approx(0, abs=1e-6)
    assert np.isnan(M.blurred_colour_error(CLOTH, CLOTH, np.zeros_like(INNER), 5))


def test_the_blur_is_the_normalised_one_of_the_difference() -> None:
    other = np.clip(CLOTH + 0.2 * RNG.normal(size=CLOTH.shape), 0, 1).astype(np.float32)
    difference = (rgb2lab(other) - rgb2lab(CLOTH)) * INNER[..., None]
    blurred, weight = (gaussian(a, 3, mode="constant", truncate=4, channel_axis=c)
                       for a, c in ((difference, -1), (INNER.astype(float), None)))  # fmt: skip
    expected = np.linalg.norm(blurred[INNER] / weight[INNER][:, None], axis=1).mean()
    assert M.blurred_colour_error(other, CLOTH, INNER, 3) == pytest.approx(expected, rel=0.01)


# --- kernel distance


def test_equal_sets_have_no_kernel_distance() -> None:
    features = RNG.normal(size=(20, 7))
    assert M.kernel_distance(features, features) == pytest.approx(0, abs=1e-12)


def test_kernel_distance_is_unbiased_and_equals_its_moments() -> None:
    """With one feature, (xy + 1)^3 compares the first three moments: 3 d1^2 + 3 d2^2 + d3^2."""
    rng = np.random.default_rng(1)
    values = np.array([0.0, 1.0, 2.0])
    first, second = np.array([0.5, 0.25, 0.25]), np.array([0.25, 0.5, 0.25])
    moments = [(values**p) @ (first - second) for p in (1, 2, 3)]
    expected = 3 * moments[0] ** 2 + 3 * moments[1] ** 2 + moments[2] ** 2
    draws = [
        M.kernel_distance(rng.choice(values, (8, 1), p=first), rng.choice(values, (8, 1), p=second))
        for _ in range(6000)
    ]
    error = np.std(draws) / np.sqrt(len(draws))
    assert abs(np.mean(draws) - expected) < 4 * error
    assert min(draws) < 0  # an unbiased estimate of a small distance has to be, now and then


def test_kernel_distance_is_unbiased_for_pictures_of_the_same_cases() -> None:
    """Rows that belong together: copies with a little noise are no nearer than independent draws would be."""
    rng = np.random.default_rng(2)
    draws = []
    for _ in range(2000):
        target = rng.normal(size=(6, 3))
        draws.append(M.kernel_distance(0.8 * target + 0.6 * rng.normal(size=(6, 3)), target))  # N(0, 1) too
    assert abs(np.mean(draws)) < 4 * np.std(draws) / np.sqrt(len(draws))


def test_kernel_distance_rises_with_the_shift() -> None:
    features = RNG.normal(size=(50, 16))
    values = [M.kernel_distance(features + shift, features) for shift in (0, 0.2, 0.5, 1)]
    assert all(np.diff(values) > 0)


def test_kernel_distance_needs_pairs_of_equal_width() -> None:
    with pytest.raises(DeoccError, match="at least 2"):
        M.kernel_distance(np.zeros((1, 3)), np.zeros((1, 3)))
    with pytest.raises(DeoccError, match="equal shapes"):
        M.kernel_distance(np.zeros((4, 3)), np.zeros((5, 3)))


def test_pairs_within_a_person_do_not_count() -> None:
    terms = np.full((4, 4), 2.0)
    terms[:2, :2] = 100  # the two cases of person a
    np.fill_diagonal(terms, 1000)
    found = M.bootstrap_pairs(terms, ["a", "a", "b", "c"])
    assert (found.value, found.low, found.high) == (2, 2, 2)
    assert (found.n, found.people) == (4, 3)
    assert np.isnan(M.bootstrap_pairs(terms, ["a"] * 4).value)


def test_pair_intervals_cover_the_truth() -> None:
    rng = np.random.default_rng(3)
    inside, truth = 0, _moments_apart(0.7, 2)
    for seed in range(200):
        first, second = rng.normal(0.7, 1, (40, 2)), rng.normal(0, 1, (40, 2))
        interval = M.bootstrap_pairs(M.kernel_terms(first, second), range(40), 200, seed=seed)
        inside += interval.low <= truth <= interval.high
    assert 170 <= inside <= 200


def _moments_apart(shift: float, width: int) -> float:
    """The population's distance of N(shift, I) and N(0, I) under (x y / D + 1)^3, by a large sample."""
    rng = np.random.default_rng(4)
    first, second = rng.normal(shift, 1, (4000, width)), rng.normal(0, 1, (4000, width))
    return M.kernel_distance(first, second)
