"""What training draws for ordinary photos: cut people, neighbours, counters, masks drawn by hand."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from deocc.masks import mask_box
from deocc.metrics import mask_iou
from deocc.occlusion import OcclusionDataset, TrainingMix, unoccluded_case
from deocc.occlusion.case import person_as_occluder
from deocc.occlusion.cropping import LEAST_LEFT, cut_by_photo
from deocc.occlusion.hand_masks import hand_drawn
from deocc.occlusion.neighbours import MOST_SWALLOWED, add_neighbour, swallow_neighbour
from deocc.occlusion.surfaces import draw_counter, place_surface
from deocc.paths import DATA
from deocc.people import PeopleFolder


@pytest.fixture(scope="module")
def people() -> PeopleFolder:
    return PeopleFolder(DATA / "people-mini", "train")


def test_cut_people_touch_the_border(people: PeopleFolder) -> None:
    for seed in range(30):
        person = people[seed % len(people)]
        cut = cut_by_photo(person, np.random.default_rng(seed))
        mask = cut.amodal_mask
        assert mask.shape == cut.image.shape[:2]
        assert mask.sum() >= LEAST_LEFT * person.amodal_mask.sum()
        if cut is not person:
            assert mask[-1].any() or mask[:, 0].any() or mask[:, -1].any() or mask[0].any()
            assert mask.sum() < person.amodal_mask.sum()


def test_hand_drawn_masks_are_near_but_not_equal(people: PeopleFolder) -> None:
    ious = []
    for seed in range(20):
        mask = people[seed % len(people)].amodal_mask
        drawn = hand_drawn(mask, np.random.default_rng(seed))
        ious.append(float(mask_iou(drawn, mask)))
        assert drawn.dtype == bool and drawn.shape == mask.shape
    assert 0.75 < np.mean(ious) < 0.97 and min(ious) > 0.5 and max(ious) < 1


def test_a_single_pixel_can_be_drawn() -> None:
    mask = np.zeros((9, 9), bool)
    mask[4, 4] = True
    assert hand_drawn(mask, np.random.default_rng(0)).any()


def test_neighbours_stand_behind(people: PeopleFolder) -> None:
    for seed in range(10):
        case = unoccluded_case(people[0])
        other = person_as_occluder(people[1 + seed % 3])
        found = add_neighbour(case, other, np.random.default_rng(seed))
        assert found.neighbour_mask is not None and found.amodal_mask is not None
        assert not (found.neighbour_mask & found.amodal_mask).any()
        assert (found.image == found.target).all()
        assert (found.modal_mask == case.modal_mask).all()
        wrong = swallow_neighbour(case.amodal_mask, found, np.random.default_rng(seed))
        extra = wrong & ~case.amodal_mask
        assert not (extra & ~found.neighbour_mask).any()
        assert extra.sum() <= MOST_SWALLOWED * case.amodal_mask.sum()


def test_without_neighbours_nothing_is_swallowed(people: PeopleFolder) -> None:
    case = unoccluded_case(people[0])
    mask = case.amodal_mask
    assert swallow_neighbour(mask, case, np.random.default_rng(0)) is mask


def test_counters_end_in_a_straight_top(people: PeopleFolder) -> None:
    person, hits = people[0], 0
    for seed in range(20):
        rng = np.random.default_rng(seed)
        surface = draw_counter(mask_box(person.amodal_mask), person.amodal_mask.shape, rng)
        try:
            covered = place_surface(surface, person.amodal_mask, person.amodal_mask, 0.3, rng)
        except ValueError:
            continue
        hits += 1
        assert abs((covered & person.amodal_mask).sum() / person.amodal_mask.sum() - 0.3) < 0.011
        for column in covered.T[covered.any(0)]:
            rows = np.flatnonzero(column)
            assert len(rows) == rows[-1] - rows[0] + 1, "no gaps"
    assert hits >= 5


def test_new_fields_are_off_and_change_items(people: PeopleFolder) -> None:
    def items(mix: TrainingMix) -> list[torch.Tensor]:
        data = OcclusionDataset(people, people.occluders("train"), 64, 0, mix)
        return [data.item(0, i)["initial_mask"] for i in range(6)]

    plain = items(TrainingMix())
    for name, value in {"cut": 1.0, "neighbour": 1.0, "hand_mask": 1.0, "counter": 1.0}.items():
        changed = items(replace(TrainingMix(true_mask=0.0, box_mask=0.0), **{name: value}))
        assert any(not torch.equal(a, b) for a, b in zip(plain, changed, strict=True)), name
    boxes = items(TrainingMix(true_mask=0.0, box_mask=1.0, box_slack=0.1))
    tight = items(TrainingMix(true_mask=0.0, box_mask=1.0))
    assert any(not torch.equal(a, b) for a, b in zip(boxes, tight, strict=True))
