"""Copied texture: what it continues, what it leaves alone, where it comes from."""

from dataclasses import replace

import numpy as np
import pytest

from deocc import metrics as M
from deocc.inference import patches
from deocc.inference.exemplar import ExemplarSettings, copy_texture
from deocc.labels import LIP_CLASSES

SHIRT, FACE, PANTS = (LIP_CLASSES.index(name) for name in ("upper-clothes", "face", "pants"))
SHOE, LEG = LIP_CLASSES.index("left-shoe"), LIP_CLASSES.index("left-leg")
WHOLE = replace(ExemplarSettings(), gain=1.0)


def block(shape: tuple[int, int], y0: int, y1: int, x0: int, x1: int) -> np.ndarray:
    mask = np.zeros(shape, bool)
    mask[y0:y1, x0:x1] = True
    return mask


def stripes(height: int = 160, width: int = 96, period: int = 8) -> np.ndarray:
    wave = 128 + 60 * np.sign(np.sin(2 * np.pi * (np.arange(width) + 0.5) / period))
    return np.broadcast_to(wave[None, :, None], (height, width, 3)).astype(np.uint8)


class Scene:
    """A person with a hole: the true picture, the photo with a green occluder, a painting without detail."""

    def __init__(self, target: np.ndarray, parsing: np.ndarray, hole: np.ndarray) -> None:
        self.target, self.parsing, self.hole = target, parsing, hole
        self.amodal = parsing > 0
        self.modal = self.amodal & ~hole
        self.image, self.painted = target.copy(), target.copy()
        self.image[hole] = (0, 255, 0)
        self.painted[hole] = target.mean((0, 1)).astype(np.uint8)

    def copied(self, seed: int = 0, settings: ExemplarSettings = WHOLE) -> np.ndarray:
        return copy_texture(self.image, self.painted, self.modal, self.amodal, self.parsing, seed, settings)


def shirt(target: np.ndarray, hole: tuple[int, int, int, int]) -> Scene:
    shape = target.shape[:2]
    person = block(shape, 8, shape[0] - 8, 8, shape[1] - 8)
    return Scene(target, person * np.uint8(SHIRT), block(shape, *hole))


# --- what is continued


def test_stripes_continue_in_phase() -> None:
    scene = shirt(stripes(), (60, 100, 24, 72))
    deep = block(scene.hole.shape, 64, 96, 28, 68)
    found = scene.copied()[deep].astype(float).ravel()
    assert np.corrcoef(found, scene.target[deep].ravel())[0, 1] > 0.9
    assert M.detail_ratio(scene.painted, scene.target, scene.hole) < 0.05
    assert 0.7 < M.detail_ratio(scene.copied(), scene.target, scene.hole) < 1.2


def test_an_unordered_knit_keeps_its_statistics() -> None:
    rng = np.random.default_rng(0)
    scene = shirt(rng.integers(90, 170, (160, 96, 3), np.uint8), (50, 110, 24, 72))
    found = scene.copied()
    assert 0.6 < M.detail_ratio(found, scene.target, scene.hole) < 1.2
    assert found[scene.hole].std() == pytest.approx(scene.target[scene.hole].std(), rel=0.35)


def test_a_person_larger_than_the_search_is_copied_at_full_resolution() -> None:
    scene = shirt(stripes(640, 320), (250, 400, 100, 220))
    small = replace(WHOLE, side=200)
    found = scene.copied(settings=small)
    assert 0.6 < M.detail_ratio(found, scene.target, scene.hole) < 1.3
    assert np.array_equal(found[~scene.hole], scene.painted[~scene.hole])


def test_the_gain_is_the_share_of_the_copy() -> None:
    scene = shirt(stripes(), (60, 100, 24, 72))
    ratios = [
        M.detail_ratio(scene.copied(settings=replace(WHOLE, gain=gain)), scene.target, scene.hole)
        for gain in (0.0, 0.5, 1.0)
    ]
    assert ratios[0] < 0.05 and ratios[1] == pytest.approx(ratios[2] / 2, rel=0.1)


# --- what is left alone


def test_nothing_changes_outside_the_hole_and_the_seed_decides() -> None:
    rng = np.random.default_rng(1)
    scene = shirt(rng.integers(60, 200, (160, 96, 3), np.uint8), (50, 110, 24, 72))
    before = scene.painted.copy()
    loose = replace(WHOLE, tear=0.0)  # what is drawn is taken as soon as it serves a little better
    first, again, other = (scene.copied(seed, loose) for seed in (0, 0, 7))
    assert np.array_equal(first, again) and not np.array_equal(first, other)
    assert np.array_equal(first[~scene.hole], before[~scene.hole])
    assert np.array_equal(scene.painted, before)
    assert (first[scene.hole] != before[scene.hole]).any()


def test_the_painting_keeps_its_colour_where_the_source_has_another() -> None:
    scene = shirt(stripes(), (60, 100, 24, 72))
    scene.painted[scene.hole] = (150, 110, 90)
    found = scene.copied()[scene.hole].astype(float).mean(0)
    assert found == pytest.approx((150, 110, 90), abs=4)


def test_where_no_patch_fits_half_of_the_painted_detail_goes() -> None:
    scene = shirt(stripes(), (60, 100, 24, 72))
    rng = np.random.default_rng(8)
    scene.painted[scene.hole] = (10, 200, 40)  # nothing like the grey stripes
    noise = rng.integers(-30, 30, (int(scene.hole.sum()), 3))
    scene.painted[scene.hole] = np.clip(scene.painted[scene.hole] + noise + 30, 0, 255)
    found = scene.copied(settings=replace(WHOLE, strange=0.1))
    before, after = (picture[scene.hole].astype(float).std(0) for picture in (scene.painted, found))
    assert after == pytest.approx(before / 2, rel=0.15)


def test_flat_cloth_stays_flat() -> None:
    scene = shirt(np.full((160, 96, 3), (90, 120, 60), np.uint8), (50, 110, 24, 72))
    assert np.abs(scene.copied().astype(int) - scene.target).max() <= 1


@pytest.mark.parametrize("part", [FACE, SHOE, LEG, 0, 255])
def test_faces_shoes_skin_and_what_is_no_part_stay_as_they_are_painted(part: int) -> None:
    scene = shirt(stripes(), (60, 100, 24, 72))
    scene.parsing[scene.hole] = part
    scene.parsing[110:130] = part
    assert np.array_equal(scene.copied(), scene.painted)


def test_a_part_of_which_nothing_shows_stays_as_it_is_painted() -> None:
    scene = shirt(stripes(), (60, 100, 24, 72))
    scene.parsing[80:100, 24:72] = PANTS
    found = scene.copied()
    pants = scene.parsing == PANTS
    assert np.array_equal(found[pants], scene.painted[pants])
    assert M.detail_ratio(found, scene.target, scene.hole & ~pants) > 0.5


def test_nobody_and_nothing_hidden_are_no_trouble() -> None:
    scene = shirt(stripes(), (60, 100, 24, 72))
    nobody = np.zeros_like(scene.modal)
    for modal, amodal in ((scene.amodal, scene.amodal), (nobody, scene.amodal), (nobody, nobody)):
        found = copy_texture(scene.image, scene.painted, modal, amodal, scene.parsing)
        assert np.array_equal(found, scene.painted)


# --- where it comes from


def test_nothing_is_copied_from_the_occluder_or_from_where_it_bleeds_in() -> None:
    rng = np.random.default_rng(2)
    scene = shirt(np.repeat(rng.integers(60, 200, (160, 96, 1), np.uint8), 3, 2), (60, 100, 24, 72))  # grey
    bleeding = block(scene.hole.shape, 58, 102, 22, 74) & ~scene.hole
    scene.image[bleeding] = (0, 255, 0)
    found = scene.copied()[scene.hole].astype(int)
    assert np.abs(found[:, 1] - found[:, 0]).max() <= 3  # no pixel is green


def test_background_beside_the_person_is_not_copied() -> None:
    rng = np.random.default_rng(3)
    scene = shirt(np.repeat(rng.integers(100, 140, (160, 96, 1), np.uint8), 3, 2), (60, 100, 24, 72))
    scene.image[~scene.amodal] = (255, 0, 0)
    found = scene.copied()[scene.hole].astype(int)
    assert np.abs(found[:, 1] - found[:, 0]).max() <= 3


def test_a_button_is_not_repeated_all_over_the_hole() -> None:
    rng = np.random.default_rng(5)
    target = np.repeat(rng.integers(110, 130, (160, 96, 1), np.uint8), 3, 2)
    target[20:26, 40:46] = 255
    scene = shirt(target, (60, 120, 24, 72))
    assert scene.copied()[scene.hole].max() < 160


def test_a_tall_person_is_measured_at_the_height_of_the_search() -> None:
    """A button is left out there too, and nothing is copied that full size would not copy."""
    rng = np.random.default_rng(5)
    target = np.repeat(rng.integers(110, 130, (160, 96, 1), np.uint8), 3, 2)
    target[20:26, 40:46] = 255
    large = np.repeat(np.repeat(target, 4, 0), 4, 1)
    scene = shirt(large, (240, 480, 96, 288))
    found = scene.copied(settings=replace(WHOLE, side=160))
    assert found[scene.hole].max() < 160
    assert M.detail_ratio(found, scene.target, scene.hole) > 0.5


# --- the compiled parts


def test_costs_of_periodic_patches_are_zero_at_the_period_alone() -> None:
    picture = stripes(40, 40).astype(np.float32)
    weight, clean = np.ones((40, 40), np.float32), np.ones((40, 40), bool)
    guides = np.zeros((40, 40, 1), np.float32)
    costs = [
        patches.patch_cost(picture, weight, clean, guides, 20, 12, 20, 12 + shift, 1e9) for shift in (8, 4)
    ]
    assert costs[0] < 1e-3 and costs[1] > 1000
    guides[20, 20] = 3
    assert patches.patch_cost(picture, weight, clean, guides, 20, 12, 20, 20, 1e9) == pytest.approx(9)
    assert patches.patch_cost(picture, 0 * weight, clean, guides, 20, 12, 20, 12, 1e9) == patches.WORST


def test_a_field_of_one_shift_votes_for_the_shifted_photo() -> None:
    photo = np.random.default_rng(6).random((30, 40, 3)).astype(np.float32)
    rows, columns = np.indices((30, 40))
    field = np.stack([rows, columns - 15], -1).astype(np.int32)
    field[:, :15] = -1
    targets = np.argwhere(block((30, 40), 5, 25, 22, 34)).astype(np.int32)
    for spread in (0.01, 1.0):
        found = patches.vote(photo, np.ones((30, 40), bool), field, targets, spread)
        assert np.allclose(found, photo[targets[:, 0], targets[:, 1] - 15], atol=1e-5)
