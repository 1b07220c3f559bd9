"""The automatic filter: each sign in closed form, and what it proposes."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deocc.errors import DeoccError
from deocc.occlusion import segmenter_error
from deocc.people.filtering import (
    Assessment,
    Thresholds,
    assess,
    assess_box,
    contact,
    edge_agreement,
    holes,
    main_part,
    roughness,
)
from deocc.people.synth import render_person

LIMITS = Thresholds(min_side=40)


def disc(size: int = 120, radius: float = 30.5, centre: tuple[float, float] | None = None) -> np.ndarray:
    y, x = centre or (size / 2, size / 2)
    rows, columns = np.mgrid[:size, :size]
    return np.hypot(rows + 0.5 - y, columns + 0.5 - x) < radius


def photo_of(mask: np.ndarray) -> np.ndarray:
    """A bright figure on faint noise: every true edge is on the mask's outline."""
    noise = np.random.default_rng(0).integers(0, 20, (*mask.shape, 3))
    return np.where(mask[..., None], 200 + noise, 40 + noise).astype(np.uint8)


def verdict(assessment: Assessment) -> tuple[str, list[str]]:
    return assessment.proposal, [check.name for check in assessment.failed]


# ------------------------------------------------------------------ signs


def test_signs_of_a_disc() -> None:
    mask = disc()
    assert main_part(mask) == 1 and holes(mask) == 0
    assert roughness(mask) == pytest.approx(1, abs=0.05)
    assert edge_agreement(photo_of(mask), mask) > 0.98


def test_main_part_and_holes_are_shares_of_area() -> None:
    mask = np.zeros((40, 60), bool)
    mask[5:25, 5:25], mask[30:35, 40:60] = True, True
    assert main_part(mask) == 400 / 500
    assert main_part(np.zeros((5, 5), bool)) == 0
    mask[:] = False
    mask[5:25, 5:25] = True
    mask[10:20, 10:20] = False
    assert holes(mask) == pytest.approx(100 / 400)


def test_contact_is_the_share_of_the_outline() -> None:
    mask, other = np.zeros((60, 60), bool), np.zeros((60, 60), bool)
    mask[20:40, 20:40] = True
    outline = 4 * 20 - 4
    other[20:40, 42:50] = True  # two pixels of air
    assert contact(mask, other, 1) == 0
    assert contact(mask, other, 3) == pytest.approx(20 / outline, abs=3 / outline)
    assert contact(mask, np.ones_like(mask), 1) == 1
    assert contact(mask, np.zeros_like(mask), 9) == 0


def test_edge_agreement_falls_with_a_shift_and_is_chance_on_noise() -> None:
    mask = disc()
    image = photo_of(mask)
    shifted = [edge_agreement(image, np.roll(mask, shift, axis=1)) for shift in (0, 4, 8)]
    assert shifted[0] > shifted[1] > shifted[2]
    noise = np.random.default_rng(1).integers(0, 256, (*mask.shape, 3), dtype=np.uint8)
    assert edge_agreement(noise, mask) == pytest.approx(0.5, abs=0.06)
    assert edge_agreement(np.zeros_like(noise), mask) == 0.5  # no edge anywhere
    assert edge_agreement(noise, np.zeros_like(mask)) == 0.5  # no outline


def test_roughness_of_a_ragged_border() -> None:
    rng, mask = np.random.default_rng(0), disc()
    ragged = mask & ~(disc(radius=30.5) & ~disc(radius=27.5) & (rng.random(mask.shape) < 0.5))
    assert roughness(ragged) > 1.6 > roughness(mask)


# ------------------------------------------------------------------ proposals


def test_a_clean_person_is_preserved() -> None:
    mask = disc()
    assert verdict(assess(photo_of(mask), mask, thresholds=LIMITS)) == ("preserve", [])


@pytest.mark.parametrize(
    ("spoil", "proposal", "sign"),
    [
        (lambda m: disc(radius=12), "discard", "side"),
        (lambda m: disc(centre=(60, 31)), "discard", "border"),
        (lambda m: m & (abs(np.arange(120) - 60) > 5)[:, None], "discard", "main_part"),
        (lambda m: m & ~disc(radius=12), "refine", "holes"),
        (lambda m: np.pad(np.ones((60, 60), bool), 30), "refine", "fill_high"),
        (lambda m: np.roll(disc(), 9, axis=1), "refine", "edge"),
    ],
)  # fmt: skip
def test_each_sign_proposes(spoil, proposal, sign) -> None:  # type: ignore[no-untyped-def]
    mask = spoil(disc())
    image = photo_of(disc() if sign == "edge" else mask)
    assert verdict(assess(image, mask, thresholds=LIMITS)) == (proposal, [sign])


def test_other_people_discard() -> None:
    mask = disc()
    beside, over = disc(radius=12, centre=(60, 110)), disc(radius=10, centre=(60, 70))
    assert verdict(assess(photo_of(mask), mask, beside, thresholds=LIMITS))[0] == "preserve"
    touching = disc(radius=25, centre=(60, 117))  # two pixels of air at the nearest point
    limits = replace(LIMITS, contact_distance=6)
    assert verdict(assess(photo_of(mask), mask, touching, thresholds=limits)) == ("discard", ["contact"])
    assert verdict(assess(photo_of(mask), mask, over, thresholds=LIMITS)) == ("discard", ["overlap"])


def test_marks_discard_and_are_said() -> None:
    mask = disc()
    judged = assess(photo_of(mask), mask, marks=("occluded",), thresholds=LIMITS)
    assert judged.proposal == "discard" and judged.confidence == 1
    assert judged.reasons == ("the dataset marks it: occluded",)


def test_a_bad_mask_of_an_occluded_person_is_not_refined() -> None:
    mask = disc() & ~disc(radius=12) & (abs(np.arange(120) - 60) > 14)[:, None]
    assert assess(photo_of(mask), mask, thresholds=replace(LIMITS, max_holes=0.0)).proposal == "discard"


def test_boxes_alone() -> None:
    shape, box = (200, 300), (50, 20, 150, 180)
    assert assess_box(box, shape).proposal == "preserve"
    assert [c.name for c in assess_box((50, 2, 150, 180), shape).failed] == ["border"]
    assert [c.name for c in assess_box((50, 20, 90, 60), shape).failed] == ["side"]
    apart, near = (150, 20, 200, 180), (130, 20, 200, 180)
    assert assess_box(box, shape, [apart]).proposal == "preserve"
    judged = assess_box(box, shape, [apart, near])
    assert judged.scores["box_overlap"] == pytest.approx(0.2) and judged.proposal == "discard"
    assert assess_box(box, shape, marks=["crowd"]).proposal == "discard"


def test_bad_input_is_said() -> None:
    mask = disc()
    with pytest.raises(DeoccError, match="mask"):
        assess(photo_of(mask), mask[1:])
    with pytest.raises(DeoccError, match="empty"):
        assess(photo_of(mask), np.zeros_like(mask))


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_any_mask_gets_one_consistent_answer(seed: int) -> None:
    rng = np.random.default_rng(seed)
    image = rng.integers(0, 256, (50, 40, 3), dtype=np.uint8)
    mask = rng.random((50, 40)) < rng.random()
    mask[rng.integers(50), rng.integers(40)] = True
    judged = assess(image, mask, rng.random((50, 40)) < 0.1, thresholds=LIMITS)
    assert 0 <= judged.confidence <= 1 and all(-1 <= check.margin <= 1 for check in judged.checks)
    assert (judged.proposal == "preserve") == (not judged.failed) == (not judged.reasons)


def test_it_tells_true_masks_from_spoiled_ones() -> None:
    """On rendered people, edges agree with the true mask more than with an erring segmenter's."""
    rng, scores = np.random.default_rng(0), []
    for seed in range(900_000, 900_006):
        person = render_person(seed)
        nothing = np.zeros_like(person.amodal_mask)
        wrong = segmenter_error(person.amodal_mask, person.amodal_mask, nothing, severity=1.0, rng=rng)
        scores.append([edge_agreement(person.image, mask) for mask in (person.amodal_mask, wrong)])
    true, spoiled = np.array(scores).T
    assert (true > spoiled).mean() >= 5 / 6
