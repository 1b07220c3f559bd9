"""Several completions of one person, and calibration: closed forms, and an untrained network for the rest."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from deocc import Deoccluder
from deocc.errors import DeoccError
from deocc.masks import Frame
from deocc.metrics import mask_iou
from deocc.models import ContentRecoveryNet, MaskCompletionNet
from deocc.studies.uncertainty import (
    Calibration,
    Variation,
    complete_variations,
    fit_calibration,
    move_map,
    pick_different,
    reliability,
)


@pytest.fixture(scope="module")
def deoccluder() -> Deoccluder:
    torch.manual_seed(0)
    net = MaskCompletionNet(8, templates=(4, 16, 16), levels=3)
    return Deoccluder(net, ContentRecoveryNet(8, levels=5), size=64, device="cpu")


@pytest.fixture(scope="module")
def question() -> tuple[np.ndarray, np.ndarray]:
    mask = np.zeros((96, 96), bool)
    mask[20:70, 40:60] = True
    return np.random.default_rng(0).integers(0, 255, (96, 96, 3), np.uint8), mask


def test_the_first_answer_is_the_plain_one(deoccluder, question):
    found = complete_variations(deoccluder, *question, count=4)
    alone = complete_variations(deoccluder, *question, count=1)
    assert found.amodal.shape == found.modal.shape == (4, 64, 64)
    np.testing.assert_allclose(found.amodal[0], alone.amodal[0], atol=1e-5)
    assert (alone.spread == 0).all() and found.spread.max() > 0
    np.testing.assert_allclose(found.mean, found.amodal.mean(0))


def test_the_same_seed_gives_the_same_answers(deoccluder, question):
    first, again = (complete_variations(deoccluder, *question, count=3, seed=5) for _ in range(2))
    other = complete_variations(deoccluder, *question, count=3, seed=6)
    assert (first.amodal == again.amodal).all() and (first.amodal != other.amodal).any()


def test_without_variation_all_answers_agree(deoccluder, question):
    still = Variation(shift=0, scale=0, severity=0, mirror=False)
    found = complete_variations(deoccluder, *question, count=3, variation=still)
    assert found.spread.max() < 1e-5


class Echo(MaskCompletionNet):
    """Answers with the mask that it is given."""

    def forward(self, image, initial_mask, photo=None, half_parsing=False):  # type: ignore[override]
        odds = 10 * initial_mask - 5
        answer = super().forward(image, initial_mask, photo)
        return answer._replace(modal=torch.cat([-odds, odds], 1), amodal=torch.cat([-odds, odds], 1))


def test_a_mirrored_or_moved_question_is_answered_where_the_person_is(question):
    net = Deoccluder(Echo(8, levels=2), ContentRecoveryNet(8, levels=5), size=64, device="cpu")
    image, mask = question
    lopsided = mask.copy()
    lopsided[20:30, 60:80] = True  # an arm to one side
    found = complete_variations(net, image, lopsided, 6, variation=Variation(0, 0, 0, True))
    assert found.spread.max() < 1e-5
    moved = complete_variations(net, image, lopsided, 6, variation=Variation(severity=0)).amodal > 0.5
    # a border cell is a tenth of a limb: resampling alone costs up to that; a shift by one cell costs 0.25
    assert all(mask_iou(answer, moved[0]) > 0.85 for answer in moved)
    centres = np.array([np.argwhere(answer).mean(0) for answer in moved])
    assert np.abs(centres - centres[0]).max() < 1


def test_at_least_one_question(deoccluder, question):
    with pytest.raises(DeoccError, match="at least once"):
        complete_variations(deoccluder, *question, count=0)


@settings(max_examples=25, deadline=None)
@given(st.floats(-8, 8), st.floats(-8, 8), st.floats(0.8, 1.25))
def test_a_moved_map_of_a_plane_is_the_plane(dx, dy, scale):
    """A map that is linear in photo coordinates reads the same from any frame."""
    size, source = 32, Frame(0, 0, 64)
    goal = Frame(dx + 10, dy + 10, 32 * scale)

    def plane(frame: Frame) -> np.ndarray:
        along = (np.arange(size) + 0.5) * frame.side / size
        return (0.3 * (frame.x0 + along)[None] + 0.2 * (frame.y0 + along)[:, None]).astype(np.float32)

    np.testing.assert_allclose(move_map(plane(source), source, goal), plane(goal), atol=0.05)


def test_reliability_of_known_frequencies():
    probability = np.repeat([0.05, 0.55, 0.95], 100)
    truth = np.concatenate([np.arange(100) < n for n in (5, 25, 95)])
    found = reliability(probability, truth)
    assert found.counts.tolist() == [100, 0, 0, 0, 0, 100, 0, 0, 0, 100]
    np.testing.assert_allclose(found.observed[[0, 5, 9]], [0.05, 0.25, 0.95])
    assert np.isnan(found.predicted[1]) and found.ece == pytest.approx(0.1)
    assert np.isnan(reliability(np.empty(0), np.empty(0, bool)).ece)
    with pytest.raises(DeoccError, match="equal shapes"):
        reliability(probability, truth[:10])


def test_calibration_recovers_what_was_done_to_the_odds():
    """Truths drawn at sigmoid(z / 2 - 1) are given as sigmoid(z)."""
    rng = np.random.default_rng(0)
    z = rng.normal(0, 3, 200_000)
    truth = rng.random(len(z)) < 1 / (1 + np.exp(-(z / 2 - 1)))
    said = 1 / (1 + np.exp(-z))
    found = fit_calibration(said, truth)
    assert found.temperature == pytest.approx(2, rel=0.03) and found.shift == pytest.approx(1, abs=0.03)
    assert reliability(found.apply(said), truth).ece < 0.01 < reliability(said, truth).ece


def test_weighting_one_class_shifts_the_odds_by_the_log_of_its_weight():
    """The best constant answer when true pixels count w times is off by log w, exactly."""
    share, weight = 0.3, 3.0
    best = weight * share / (weight * share + 1 - share)
    assert Calibration(shift=float(np.log(weight))).apply(np.array(best)) == pytest.approx(share)


def test_calibration_needs_both_kinds():
    with pytest.raises(DeoccError, match="both kinds"):
        fit_calibration(np.full(4, 0.5), np.ones(4, bool))


def test_picking_takes_the_first_and_then_the_farthest():
    masks = np.zeros((4, 8, 8), bool)
    masks[0, :4] = masks[1, :4] = True
    masks[2, 2:6] = True
    masks[3, 4:] = True
    assert pick_different(masks, 3) == [0, 3, 2]
    assert len(pick_different(masks, 9)) == 4


def test_nothing_is_claimed_outside_the_photo(deoccluder, question):
    image, mask = question[0], np.roll(question[1], 30, axis=1)  # near the right border
    found = complete_variations(deoccluder, image, mask, count=2)
    inside = found.frame.photo_mask(image.shape[:2], 64)
    assert not inside.all() and not found.amodal[:, ~inside].any() and found.amodal[:, inside].any()
