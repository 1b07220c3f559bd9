"""Closed forms of masks, parsing, pixels, Frechet distances and the bootstrap."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from skimage.metrics import structural_similarity

from deocc import metrics as M
from deocc.errors import DeoccError
from deocc.labels import IGNORE

MASKS = arrays(bool, (6, 7))
RNG = np.random.default_rng(0)


def rectangle(x0: int, y0: int, x1: int, y1: int, shape: tuple[int, int] = (10, 10)) -> np.ndarray:
    mask = np.zeros(shape, bool)
    mask[y0:y1, x0:x1] = True
    return mask


# --- masks


def test_iou_of_overlapping_rectangles() -> None:
    first, second = rectangle(0, 0, 4, 4), rectangle(2, 0, 6, 4)  # 8 in common, 24 in all
    assert M.mask_iou(first, second) == pytest.approx(8 / 24)
    assert M.mask_l1(first, second) == pytest.approx(16 / 100)


def test_two_empty_masks_agree_and_one_empty_mask_does_not() -> None:
    empty, full = np.zeros((3, 3), bool), np.ones((3, 3), bool)
    assert M.mask_iou(empty, empty) == 1
    assert M.mask_iou(empty, full) == 0
    assert M.invisible_iou(full, full, full, full) == 1


def test_iou_takes_tensors_probabilities_and_batches() -> None:
    first = torch.zeros(2, 1, 4, 4)
    first[0, :, :2], first[1] = 0.9, 0.2
    second = torch.zeros(2, 1, 4, 4)
    second[0, :, :1] = 1
    assert M.mask_iou(first, second).tolist() == [0.5, 1.0]
    assert M.mask_iou(first[0, 0].numpy(), second[0, 0].numpy()) == 0.5
    assert M.mask_l1(first, second).shape == (2,)
    assert M.mask_l1(first, second)[1] == pytest.approx(0.2)
    grey = (second[0, 0].numpy() * 255).astype(np.uint8)
    assert M.mask_iou(grey, second[0, 0].numpy()) == 1


def test_region_keeps_only_photo_pixels() -> None:
    predicted, target = rectangle(0, 0, 10, 10), rectangle(0, 0, 5, 10)
    photo = rectangle(0, 0, 5, 10)
    assert M.mask_iou(predicted, target) == 0.5
    assert M.mask_iou(predicted, target, photo) == 1
    assert M.mask_l1(predicted, target, photo) == 0
    assert np.isnan(M.mask_l1(predicted, target, np.zeros_like(photo)))


def test_global_iou_weighs_by_area() -> None:
    predicted = np.stack([rectangle(0, 0, 10, 10), rectangle(0, 0, 1, 1)])
    target = np.stack([rectangle(0, 0, 10, 10), rectangle(1, 1, 2, 2)])
    assert M.mask_iou(predicted, target).mean() == 0.5
    assert M.global_iou(predicted, target) == pytest.approx(100 / 102)


def test_invisible_iou_uses_the_predicted_visible_mask() -> None:
    amodal, modal = rectangle(0, 0, 4, 10), rectangle(0, 0, 4, 6)
    assert M.invisible_iou(modal, amodal, modal, amodal) == 1
    leaking = rectangle(0, 0, 4, 8)  # half of what is hidden is taken for visible
    assert M.invisible_iou(leaking, amodal, modal, amodal) == 0.5


def test_shapes_must_agree() -> None:
    with pytest.raises(DeoccError, match="equal shapes"):
        M.mask_iou(np.zeros((2, 2), bool), np.zeros((2, 3), bool))


@settings(deadline=None)  # a loaded machine may pause anywhere
@given(MASKS, MASKS)
def test_iou_is_symmetric_bounded_and_one_only_for_equal_masks(first: np.ndarray, second: np.ndarray) -> None:
    value = M.mask_iou(first, second)
    assert value == M.mask_iou(second, first)
    assert 0 <= value <= 1
    assert (value == 1) == bool((first == second).all())


@settings(deadline=None)  # a loaded machine may pause anywhere
@given(MASKS, MASKS)
def test_iou_ignores_mirroring_and_counts_add_up(first: np.ndarray, second: np.ndarray) -> None:
    assert M.mask_iou(first, second) == M.mask_iou(first[:, ::-1], second[:, ::-1])
    both, either = M.mask_counts(first, second)
    assert both + either == first.sum() + second.sum()
    assert M.mask_l1(first, second) == pytest.approx((either - both) / first.size)


# --- body parts


def test_parsing_miou_of_a_toy_by_hand() -> None:
    target = np.array([[0, 0, 5, 5], [0, 0, 9, IGNORE]], np.uint8)
    guess = np.array([[0, 0, 5, 9], [0, 5, 9, 9]], np.uint8)
    ious = M.class_ious(M.parsing_confusion(guess, target))
    assert ious[0] == pytest.approx(3 / 4)
    assert ious[5] == pytest.approx(1 / 3)
    assert ious[9] == pytest.approx(1 / 2)
    assert np.isnan(ious[13])
    assert M.parsing_miou(M.parsing_confusion(guess, target)) == pytest.approx((3 / 4 + 1 / 3 + 1 / 2) / 3)


def test_ignored_pixels_never_count() -> None:
    target = np.full((4, 4), IGNORE, np.uint8)
    assert M.parsing_confusion(np.zeros_like(target), target).sum() == 0
    assert np.isnan(M.parsing_miou(M.parsing_confusion(np.zeros_like(target), target)))


def test_a_predicted_ignore_label_is_a_wrong_answer() -> None:
    target = np.full((2, 2), 5, np.uint8)
    guess = np.array([[5, IGNORE], [5, IGNORE]], np.uint8)
    assert M.parsing_miou(M.parsing_confusion(guess, target)) == 0.5


def test_merged_sides_forgive_swapped_arms_only() -> None:
    target = np.array([[14, 15, 16, 5]], np.uint8)
    guess = np.array([[15, 14, 16, 6]], np.uint8)
    confusion = M.parsing_confusion(guess, target)
    assert M.class_ious(confusion)[14] == 0
    merged = M.merge_confusion(confusion)
    assert M.class_ious(merged)[14] == 1
    assert M.class_ious(merged)[5] == 0
    assert np.isnan(M.class_ious(merged)[15])
    assert merged.sum() == confusion.sum() == 4


# --- pixels


def test_l1_and_psnr_closed_forms_inside_a_region() -> None:
    target = np.full((8, 8, 3), 100, np.uint8)
    predicted = target.copy()
    predicted[:4] += 51  # 0.2 of the range
    region = rectangle(0, 0, 8, 4, (8, 8))
    assert M.image_l1(predicted, target, region) == pytest.approx(0.2, abs=1e-6)
    assert M.image_l1(predicted, target) == pytest.approx(0.1, abs=1e-6)
    assert M.psnr(predicted, target, region) == pytest.approx(-20 * np.log10(0.2), abs=1e-4)
    assert M.psnr(predicted, target, ~region) == pytest.approx(58.92, abs=0.01)  # an exact copy


def test_pixels_outside_the_region_do_not_matter() -> None:
    target = RNG.integers(0, 255, (24, 24, 3), np.uint8)
    region = rectangle(6, 6, 18, 18, (24, 24))
    good, bad = target.copy(), target.copy()
    bad[~region] = 0
    for metric in (M.image_l1, M.psnr, M.ssim):
        assert metric(good, target, region) == metric(bad, target, region)
    assert M.ssim(bad, target, region) == pytest.approx(1)


def test_empty_regions_give_nan() -> None:
    image = np.zeros((4, 4, 3), np.uint8)
    empty = np.zeros((4, 4), bool)
    assert all(np.isnan(metric(image, image, empty)) for metric in (M.image_l1, M.image_mse, M.psnr, M.ssim))


def test_images_come_as_uint8_arrays_or_tensors() -> None:
    image = RNG.integers(0, 255, (9, 7, 3), np.uint8)
    tensor = torch.from_numpy(image).permute(2, 0, 1).float() / 255
    assert M.image_l1(tensor, image) == pytest.approx(0, abs=1e-7)


def test_ssim_equals_scikit_image_away_from_borders() -> None:
    first = RNG.random((40, 44, 3)).astype(np.float32)
    second = np.clip(first + RNG.normal(0, 0.2, first.shape), 0, 1).astype(np.float32)
    reference = structural_similarity(
        first, second, channel_axis=-1, data_range=1, gaussian_weights=True, sigma=1.5,
        use_sample_covariance=False, full=True,
    )[1]  # fmt: skip
    region = rectangle(0, 0, 30, 40, (40, 44))
    found = M.ssim_map(first, second, region)
    assert np.abs(found - reference)[5:-5, 5:25].max() < 1e-4  # windows of 11 px that lie inside
    assert np.abs(found - reference)[5:-5, 26:30].max() > 1e-3  # cut windows differ
    assert M.ssim(first, second, region) == pytest.approx(float(found[region].mean()), abs=1e-5)


def test_ssim_falls_with_noise() -> None:
    clean = np.tile(np.linspace(0, 1, 48, dtype=np.float32), (48, 1))[..., None].repeat(3, 2)
    noise = RNG.normal(0, 1, clean.shape)
    noisy = (np.clip(clean + strength * noise, 0, 1).astype(np.float32) for strength in (0.05, 0.2, 0.5))
    values = [M.ssim(image, clean) for image in (clean, *noisy)]
    assert values[0] == pytest.approx(1) and all(np.diff(values) < -0.05)


# --- Frechet


def test_frechet_of_equal_covariances_is_the_squared_mean_difference() -> None:
    factor = RNG.normal(size=(12, 5))
    covariance = np.cov(factor.T)
    shift = np.array([1.0, -2.0, 0.5, 0.0, 3.0])
    assert M.frechet_distance(np.zeros(5), covariance, shift, covariance) == pytest.approx(shift @ shift)
    assert M.frechet_distance(shift, covariance, shift, covariance) == pytest.approx(0, abs=1e-9)


def test_frechet_of_commuting_covariances() -> None:
    first, second = np.diag([4.0, 9.0, 0.0]), np.diag([1.0, 16.0, 1.0])
    expected = (2 - 1) ** 2 + (3 - 4) ** 2 + (0 - 1) ** 2
    assert M.frechet_distance(np.zeros(3), first, np.zeros(3), second) == pytest.approx(expected)
    turn = np.linalg.qr(RNG.normal(size=(3, 3)))[0]
    turned = [turn @ matrix @ turn.T for matrix in (first, second)]
    assert M.frechet_distance(np.zeros(3), turned[0], np.zeros(3), turned[1]) == pytest.approx(expected)


def test_frechet_equals_the_matrix_square_root() -> None:
    from scipy.linalg import sqrtm

    first, second = np.cov(RNG.normal(size=(6, 50))), np.cov(RNG.normal(size=(6, 50)) * 2)
    root = np.asarray(sqrtm(first @ second)).real
    expected = 1 + np.trace(first + second - 2 * root)
    mean = np.eye(6)[0]
    assert M.frechet_distance(np.zeros(6), first, mean, second) == pytest.approx(expected)


@pytest.mark.parametrize("n", [5, 40])
def test_frechet_of_features_agrees_with_the_covariances(n: int) -> None:
    first, second = RNG.normal(size=(n, 16)), RNG.normal(1, 2, size=(n, 16))
    found = M.frechet_of_features(first, second)
    direct = M.frechet_distance(first.mean(0), np.cov(first.T), second.mean(0), np.cov(second.T))
    assert found.value == pytest.approx(direct, rel=1e-6)
    assert (found.n, found.features, found.rank_deficient) == (n, 16, n <= 16)
    assert found.name == "FD-Lite0"


def test_frechet_needs_two_pictures_and_equal_widths() -> None:
    with pytest.raises(DeoccError, match="at least 2"):
        M.frechet_of_features(np.zeros((1, 3)), np.zeros((1, 3)))
    with pytest.raises(DeoccError, match="as many on both sides"):
        M.frechet_of_features(np.zeros((4, 3)), np.zeros((5, 3)))
    with pytest.raises(DeoccError, match="one width"):
        M.frechet_of_features(np.zeros((4, 3)), np.zeros((4, 2)))
    with pytest.raises(DeoccError, match="D x D"):
        M.frechet_distance(np.zeros(2), np.eye(2), np.zeros(2), np.eye(3))


# --- bootstrap


def test_ratio_and_mean_of_plain_values() -> None:
    values, people = np.array([1.0, 2.0, np.nan, 3.0]), ["a", "a", "b", "c"]
    mean = M.bootstrap_mean(values, people)
    assert (mean.value, mean.n, mean.people) == (2.0, 3, 2)
    assert mean.low <= mean.value <= mean.high
    ratio = M.bootstrap_ratio(np.array([1.0, 3.0]), np.array([2.0, 8.0]), ["a", "b"])
    assert ratio.value == pytest.approx(0.4)
    assert M.bootstrap_mean(values, people) == mean  # the seed decides


def test_one_person_or_nobody_has_no_interval() -> None:
    alone = M.bootstrap_mean(np.array([0.2, 0.4]), ["a", "a"])
    assert alone.value == pytest.approx(0.3) and np.isnan(alone.low) and np.isnan(alone.high)
    assert alone.to_json()["low"] is None
    nobody = M.bootstrap_mean(np.array([np.nan]), ["a"])
    assert np.isnan(nobody.value) and nobody.n == 0 and nobody.to_json()["value"] is None


def test_cluster_intervals_cover_the_truth_where_naive_ones_do_not() -> None:
    """30 people with 4 alike cases each: the interval over people covers about 95 %, over cases far less."""
    rng = np.random.default_rng(1)
    people = np.repeat(np.arange(30), 4)
    covered = {"people": 0, "cases": 0}
    trials = 120
    for trial in range(trials):
        values = rng.normal(0, 1, 30)[people] + rng.normal(0, 0.1, 120)
        for kind, clusters in (("people", people), ("cases", np.arange(120))):
            interval = M.bootstrap_mean(values, clusters.tolist(), resamples=200, seed=trial)
            covered[kind] += interval.low <= 0 <= interval.high
    assert 0.87 <= covered["people"] / trials <= 0.99
    assert covered["cases"] / trials < 0.75


def test_parsing_bootstrap_of_perfect_and_mixed_predictions() -> None:
    target = np.array([[0, 5], [5, 9]], np.uint8)
    right = M.parsing_confusion(target, target)
    wrong = M.parsing_confusion(np.zeros_like(target), target)
    assert M.bootstrap_parsing_miou(np.stack([right, right]), ["a", "b"]).low == 1
    mixed = M.bootstrap_parsing_miou(np.stack([right, wrong]), ["a", "b"])
    assert mixed.low < mixed.value < mixed.high == 1


def test_draws_without_a_rare_class_do_not_lift_the_parsing_interval() -> None:
    confusions = np.zeros((60, 20, 21), np.int64)
    confusions[:, 0, 0], confusions[:, 5, 5], confusions[:, 5, 0] = 500, 80, 20
    confusions[:30, 5, 5] = 70
    for person, rare in enumerate((10, 11, 12, 13)):
        confusions[person, rare, 0] = 30  # never found
    found = M.bootstrap_parsing_miou(confusions, list(range(60)))
    assert found.low < found.value < found.high < found.value + 0.02


def test_integer_masks_count_as_inside_and_outside() -> None:
    mask = np.zeros((4, 4), np.uint8)
    mask[:2] = 255
    assert M.mask_l1(mask, np.zeros((4, 4), bool)) == 0.5 == M.mask_l1(mask > 0, mask * 0)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=20))
def test_every_ratio_falls_into_its_bin(ratios: list[float]) -> None:
    for ratio, index in zip(ratios, M.ratio_bins(np.array(ratios)), strict=True):
        low, high = M.RATIO_EDGES[index : index + 2]
        assert low <= ratio < high or ratio == high == 1


# --- feature networks


@pytest.fixture(scope="module")
def lite0():  # type: ignore[no-untyped-def]
    from deocc.evaluation.features import lite0_features

    return lite0_features()


def _photo() -> torch.Tensor:
    """A structured picture, 1 x 3 x 96 x 96 in [0, 1]."""
    from skimage import data

    return torch.from_numpy(data.astronaut()[40:232:2, 120:312:2].copy()).permute(2, 0, 1)[None].float() / 255


def test_perceptual_distance_is_zero_for_copies_and_rises_with_blur(lite0) -> None:  # type: ignore[no-untyped-def]
    image = _photo()
    region = torch.ones(1, 1, 96, 96)
    pictures = torch.cat([image, *(_blur(image, sigma) for sigma in (0.7, 1.5, 4.0))])
    with torch.inference_mode():
        levels = lite0(pictures).levels
    reference = [level[:1].expand_as(level) for level in levels]
    distances = M.perceptual_distance(levels, reference, region.expand(4, -1, -1, -1))
    assert distances[0] == 0 and (distances.diff() > 0.01).all() and distances[-1] <= 4
    assert torch.isnan(M.perceptual_distance(levels, reference, torch.zeros(4, 1, 96, 96))).all()


def _blur(image: torch.Tensor, sigma: float) -> torch.Tensor:
    from scipy.ndimage import gaussian_filter

    return torch.from_numpy(gaussian_filter(image.numpy(), (0, 0, sigma, sigma)))


def test_perceptual_distance_looks_inside_the_region_only() -> None:
    first, second = torch.rand(1, 4, 8, 8), torch.rand(1, 4, 8, 8)
    second[..., :4] = first[..., :4]
    left = torch.zeros(1, 1, 16, 16)
    left[..., :8] = 1
    assert float(M.perceptual_distance([first], [second], left)) == 0
    assert float(M.perceptual_distance([first], [second], 1 - left)) > 0.01


def test_lite0_is_frozen_and_gives_1280_features(lite0) -> None:  # type: ignore[no-untyped-def]
    assert not any(parameter.requires_grad for parameter in lite0.parameters()) and not lite0.training
    with torch.inference_mode():
        seen = lite0(_photo())
        large = torch.nn.functional.interpolate(_photo(), (224, 224), mode="bilinear", antialias=True)
        reference = lite0.net.extract_features((large * 255 - 127) / 128).mean((2, 3))
    assert seen.pooled.shape == (1, 1280) and torch.allclose(seen.pooled, reference, atol=1e-4)


def test_without_inception_weights_the_distance_goes_by_its_own_name(monkeypatch, tmp_path) -> None:  # type: ignore[no-untyped-def]
    from deocc.evaluation import features as E

    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    assert E.frechet_judge().frechet_name == "FD-Lite0"
    with pytest.raises(DeoccError, match="no such file"):
        E.InceptionFeatures()
    path = E.inception_path()
    path.parent.mkdir(parents=True)
    path.write_bytes(b"cut off")
    with pytest.raises(DeoccError, match="damaged"):
        E.InceptionFeatures()


def test_inception_features_run_through_pytorch_fid(tmp_path) -> None:  # type: ignore[no-untyped-def]
    from unittest import mock

    from pytorch_fid import inception

    from deocc.evaluation.features import InceptionFeatures

    states = []

    def remember(*args: object, **kwargs: object) -> dict[str, torch.Tensor]:
        raise _Built

    class _Built(Exception):
        pass

    built = mock.patch.object(inception, "load_state_dict_from_url", remember)
    original = inception._inception_v3

    def spy(*args: object, **kwargs: object) -> torch.nn.Module:
        states.append(original(*args, **kwargs))
        return states[-1]

    with built, mock.patch.object(inception, "_inception_v3", spy), pytest.raises(_Built):
        inception.fid_inception_v3()
    path = tmp_path / "weights.pth"
    torch.save(states[0].state_dict(), path)
    net = InceptionFeatures(path)
    with torch.inference_mode():
        pooled = net(torch.rand(2, 3, 64, 64)).pooled
    assert pooled.shape == (2, 2048) and net.frechet_name == "FID"
    assert torch.equal(net.net.state_dict()["blocks.0.0.conv.weight"], states[0].Conv2d_1a_3x3.conv.weight)
