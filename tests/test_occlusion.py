"""Occlusion synthesis: the ratio is exact, cases are consistent, nothing tells the answer."""

import dataclasses

import cv2
import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from PIL import Image

from deocc.errors import DeoccError, PlacementError
from deocc.io import read_json, write_json
from deocc.labels import merge_sides, parsing_onehot, swap_sides
from deocc.masks import mask_box, person_frame
from deocc.occlusion import (
    CaseFolder,
    OcclusionCase,
    OcclusionDataset,
    PasteOptions,
    RatioDensity,
    as_density,
    case_item,
    collate,
    fit_occluder,
    fitting_offsets,
    hidden_area,
    make_cases,
    occlude,
    paste_cutout,
    place_occluder,
    restyle,
    segmenter_error,
    unoccluded_case,
    write_case,
)
from deocc.occlusion.folder import make_case
from deocc.occlusion.mix import TrainingMix
from deocc.people import Occluder, Person


def make_person(seed: int, parsing: bool = True) -> Person:
    """A body of ellipses on noise, in a 120 x 100 photo."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[:120, :100]
    centre = 40 + 20 * rng.random()
    body = ((rows - 65) / 35) ** 2 + ((columns - centre) / 14) ** 2 < 1
    head = (rows - 24) ** 2 + (columns - centre) ** 2 < 81
    labels = np.where(head, 13, np.where(body & (columns < centre), 15, np.where(body, 14, 0))).astype(
        np.uint8
    )
    image = rng.integers(0, 255, (120, 100, 3), np.uint8)
    return Person(f"p{seed}", image, body | head, labels if parsing else None, "train", "rendered", True)


def make_occluder(seed: int, thin: bool = False) -> Occluder:
    rng = np.random.default_rng(seed)
    mask = np.ones((50, 40), bool)
    if thin:
        mask[:, np.arange(40) % 10 > 2] = False
    return Occluder(f"o{seed}", rng.integers(0, 255, (50, 40, 3), np.uint8), mask, "box", "train")


PEOPLE = [make_person(i, parsing=i % 2 == 0) for i in range(6)]
OCCLUDERS = [make_occluder(0), make_occluder(1, thin=True)]


def brute_force(person: np.ndarray, occluder: np.ndarray) -> np.ndarray:
    (height, width), (h, w) = person.shape, occluder.shape
    padded = np.pad(person, ((h - 1, h - 1), (w - 1, w - 1)))
    return np.array(
        [
            [(padded[i : i + h, j : j + w] & occluder).sum() for j in range(width + w - 1)]
            for i in range(height + h - 1)
        ]
    )


masks = st.tuples(st.integers(1, 9), st.integers(1, 9), st.integers(0, 2**32 - 1)).map(
    lambda t: np.random.default_rng(t[2]).random((t[0], t[1])) < 0.5
)


@settings(max_examples=80, deadline=None)
@given(masks, masks)
def test_hidden_area_equals_brute_force(person: np.ndarray, occluder: np.ndarray) -> None:
    np.testing.assert_array_equal(hidden_area(person, occluder), brute_force(person, occluder))


@settings(max_examples=80, deadline=None)
@given(masks, masks, st.floats(0.01, 1), st.floats(0, 0.2))
def test_fitting_offsets_are_those_of_brute_force(
    person: np.ndarray, occluder: np.ndarray, ratio: float, tolerance: float
) -> None:
    assume(person.any() and occluder.any())
    x0, y0, x1, y1 = mask_box(person)
    hidden, area = brute_force(person[y0:y1, x0:x1], occluder), person.sum()
    off = np.abs(hidden - ratio * area) - tolerance * area
    assume((np.abs(off) > 1e-6).all())  # on the border, rounding decides
    wanted = np.argwhere(off <= 0) + np.array([y0, x0]) - np.array(occluder.shape) + 1
    if len(wanted):
        np.testing.assert_array_equal(fitting_offsets(person, occluder, ratio, tolerance), wanted)
    else:
        with pytest.raises(PlacementError, match=f"at most {hidden.max() / area:.3f}"):
            fitting_offsets(person, occluder, ratio, tolerance)


def test_placement_hits_the_wanted_ratio() -> None:
    rng = np.random.default_rng(0)
    person, occluder = PEOPLE[0].amodal_mask, OCCLUDERS[0].mask
    for ratio in np.linspace(0.05, 0.6, 40):
        y, x = place_occluder(person, occluder, ratio, rng)
        canvas = np.zeros((400, 400), bool)
        canvas[150 + y : 150 + y + 50, 150 + x : 150 + x + 40] = occluder
        hidden = (canvas[150:270, 150:250] & person).sum() / person.sum()
        assert abs(hidden - ratio) <= 0.01


def test_placement_that_fits_nowhere_says_so() -> None:
    with pytest.raises(PlacementError, match="at most"):
        place_occluder(PEOPLE[0].amodal_mask, np.ones((3, 3), bool), 0.5, np.random.default_rng(0))


@pytest.mark.parametrize("ratio", [0.0, -0.1, 1.2])
def test_ratio_outside_its_range_is_an_error(ratio: float) -> None:
    with pytest.raises(DeoccError, match="outside"):
        place_occluder(PEOPLE[0].amodal_mask, OCCLUDERS[0].mask, ratio, np.random.default_rng(0))


def test_density_samples_follow_the_curve() -> None:
    draws = RatioDensity((0.0, 0.5, 1.0), (0.0, 1.0, 0.0)).sample(np.random.default_rng(0), 20000)
    assert abs(np.mean(draws) - 0.5) < 0.01
    assert abs(np.std(draws) - np.sqrt(1 / 24)) < 0.01  # a triangle's deviation
    with pytest.raises(DeoccError, match="a hidden share of 1 leaves nothing of the person to see"):
        as_density((1.0, 1.0))
    assert as_density((0.2, 0.3)).sample(np.random.default_rng(1), 100).max() <= 0.3


@pytest.mark.parametrize("knots", [((0.5, 0.2), (1, 1)), ((0, 1), (0, 0)), ((0, 1.2), (1, 1)), ((0,), (1,))])
def test_bad_density_is_an_error(knots: tuple) -> None:
    with pytest.raises(DeoccError, match="density"):
        RatioDensity(*knots)


@pytest.mark.parametrize("occluder", OCCLUDERS, ids=["solid", "fence"])
def test_cutout_moves_as_computed(occluder: Occluder) -> None:
    """Every offset that `fitting_offsets` names hides the wanted share once the cut-out is pasted there."""
    whole = unoccluded_case(PEOPLE[0])
    cutout = fit_occluder(whole, occluder, 0.4, np.random.default_rng(3))
    assert paste_cutout(whole, cutout).occlusion_ratio == pytest.approx(0.4, abs=0.01)
    offsets = fitting_offsets(whole.amodal_mask, cutout.mask, 0.25)
    for y, x in offsets[:: max(1, len(offsets) // 20)].tolist():
        moved = paste_cutout(whole, dataclasses.replace(cutout, top_left=(y, x)))
        assert moved.occlusion_ratio == pytest.approx(0.25, abs=0.01)


@pytest.mark.parametrize("occluder", OCCLUDERS, ids=["solid", "fence"])
def test_case_is_consistent(occluder: Occluder) -> None:
    person = PEOPLE[0]
    case = occlude(person, occluder, 0.4, np.random.default_rng(3))
    assert abs(case.occlusion_ratio - 0.4) <= 0.01
    assert not (case.modal_mask & case.occluder_mask).any()
    np.testing.assert_array_equal(case.modal_mask, case.amodal_mask & ~case.occluder_mask)
    near = cv2.dilate(case.occluder_mask.astype(np.uint8), np.ones((15, 15), np.uint8)) > 0
    changed = (case.image != case.target).any(2)
    assert changed[case.occluder_mask].mean() > 0.9
    assert not changed[~near].any()
    assert not case.parsing_modal[~case.modal_mask].any()


def test_second_occluder_adds_its_own_share() -> None:
    rng = np.random.default_rng(5)
    case = occlude(occlude(PEOPLE[2], OCCLUDERS[0], 0.2, rng), OCCLUDERS[0], 0.25, rng)
    assert abs(case.occlusion_ratio - 0.45) <= 0.02


def test_severity_zero_is_the_true_mask_and_more_is_worse() -> None:
    ious = {0.0: [], 0.5: [], 1.5: []}
    for index in range(40):
        case = occlude(PEOPLE[index % 6], OCCLUDERS[0], 0.3, np.random.default_rng(index))
        for severity, values in ious.items():
            rng = np.random.default_rng([7, index])
            found = segmenter_error(case.modal_mask, case.amodal_mask, case.occluder_mask, severity, rng)
            assert found.any()
            values.append((found & case.modal_mask).sum() / (found | case.modal_mask).sum())
    means = [np.mean(values) for values in ious.values()]
    assert means[0] == 1 and means[0] > means[1] + 0.05 > means[2] + 0.1


def test_items_depend_on_seed_epoch_and_index_alone() -> None:
    a, b = (OcclusionDataset(PEOPLE, OCCLUDERS, 64, seed=1) for _ in range(2))
    b[3], b[0]
    for name, value in a[2].items():
        assert torch.equal(value, b[2][name]), name
    a.set_epoch(1)
    assert not torch.equal(a[2]["image"], b[2]["image"])


def test_batch_is_consistent() -> None:
    data = OcclusionDataset(PEOPLE, OCCLUDERS, 64, seed=2)
    batch = collate([data[i] for i in range(6)])
    modal, amodal = batch["modal_mask"], batch["amodal_mask"]
    assert batch["image"].shape == (6, 3, 64, 64) and batch["image"].min() >= 0 and batch["image"].max() <= 1
    assert (modal <= amodal).all() and (amodal <= batch["photo_mask"]).all()
    assert (batch["image"] * (1 - batch["photo_mask"]) == 0).all()
    assert batch["has_parsing"].tolist() == [True, False] * 3
    without = batch["parsing_amodal"][1]
    assert ((without == 255) == (amodal[1, 0] > 0)).all()
    assert ((batch["parsing_modal"] > 0) <= (modal[:, 0] > 0)).all()


def test_mirrored_items_swap_sides() -> None:
    """The person's right side (label 15) lies left of the left side (14) before and after mirroring: each
    label keeps its own place relative to the other only if the labels swap with the pixels."""
    mix = TrainingMix(unoccluded=1.0, true_mask=1.0, box_mask=0.0, rotation=0.0, stretch=0.0)
    data = OcclusionDataset([PEOPLE[0]], OCCLUDERS, 64, seed=3, mix=mix)
    columns = torch.arange(64.0)[None].expand(64, 64)
    for epoch in range(8):
        data.set_epoch(epoch)
        labels = data[0]["parsing_amodal"]
        assert columns[labels == 15].mean() < columns[labels == 14].mean()


def test_frame_does_not_follow_the_amodal_mask() -> None:
    """Two people alike in their visible part get the same frame, whatever is hidden."""
    case = occlude(PEOPLE[0], OCCLUDERS[0], 0.4, np.random.default_rng(9))
    other = dataclasses.replace(case, amodal_mask=case.modal_mask)
    a, b = case_item(case, 64, prompt="modal"), case_item(other, 64, prompt="modal")
    assert torch.equal(a["image"], b["image"]) and torch.equal(a["initial_mask"], b["initial_mask"])


def test_case_folder_round_trip(tmp_path) -> None:
    cases = list(make_cases(PEOPLE[:2], OCCLUDERS[:1], per_person=2, density=(0.2, 0.4), seed=4))
    for case in cases:
        write_case(tmp_path, case)
    folder = CaseFolder(tmp_path)
    assert folder.ids == ["p0_0", "p0_1", "p1_0", "p1_1"]
    for before, after in zip(cases, folder, strict=True):
        for field in ("image", "target", "modal_mask", "amodal_mask", "occluder_mask", "initial_mask"):
            np.testing.assert_array_equal(getattr(before, field), getattr(after, field))
        assert after.box_xyxy == before.box_xyxy and after.person_id == before.person_id
    assert folder[2].parsing_amodal is None


@pytest.mark.parametrize(("orientation", "size"), [(3, (30, 40)), (2, (30, 40)), (6, (40, 40))])
def test_masks_that_fit_the_photo_turned_and_unturned_are_refused(
    orientation: int, size: tuple[int, int], tmp_path
) -> None:
    mask = np.zeros(size, bool)
    mask[5:20, 5:12] = True
    write_case(tmp_path, OcclusionCase("c", np.zeros((*size, 3), np.uint8), mask))
    assert (CaseFolder(tmp_path)[0].modal_mask == mask).all()
    tags = Image.Exif()
    tags[0x0112] = orientation
    Image.open(tmp_path / "c" / "image.png").save(tmp_path / "c" / "image.png", exif=tags)
    with pytest.raises(DeoccError, match=r"image.png: its EXIF orientation . turns it, and modal.png fits"):
        CaseFolder(tmp_path)[0]


@pytest.mark.parametrize(("written", "flag"), [(True, True), ("false", False), ("0", False), (None, False)])
def test_flags_and_numbers_of_other_programs_are_read(written: object, flag: bool, tmp_path) -> None:
    mask = np.ones((8, 8), bool)
    write_case(tmp_path, OcclusionCase("c", np.zeros((8, 8, 3), np.uint8), mask))
    facts = read_json(tmp_path / "c" / "case.json")
    for person, name in ((0, "0"), (7.0, "7"), ("ann", "ann"), (None, ""), ("", "")):
        write_json(tmp_path / "c" / "case.json", {**facts, "person_id": person, "true_sides": written})
        case = CaseFolder(tmp_path)[0]
        assert case.true_sides is flag and case.person_id == name
    write_json(tmp_path / "c" / "case.json", {**facts, "true_sides": "perhaps"})
    with pytest.raises(DeoccError, match=r"case.json: true_sides is 'perhaps'"):
        CaseFolder(tmp_path)[0]


def test_a_case_without_a_visible_pixel_is_not_made() -> None:
    everything = Occluder("wall", np.zeros((40, 40, 3), np.uint8), np.ones((40, 40), bool))
    with pytest.raises(PlacementError, match="hides the person completely"):
        for number in range(200):
            make_case(PEOPLE[:1], 0, number, [everything], (0.999, 1.0), 0.0)


def test_however_little_is_to_be_hidden_something_is() -> None:
    cases = [make_case(PEOPLE, i % 6, i // 6, OCCLUDERS, (0.005, 0.009), 0.0) for i in range(18)]
    assert all(0 < case.occlusion_ratio <= 0.018 for case in cases)


def test_ratios_up_to_1_leave_training_items_a_visible_person() -> None:
    mix = TrainingMix(density=RatioDensity((0.97, 1.0), (1.0, 1.0)), unoccluded=0.0, person_occluder=0.0)
    everything = Occluder("wall", np.zeros((40, 40, 3), np.uint8), np.ones((40, 40), bool))
    data = OcclusionDataset(PEOPLE, [everything], 64, seed=0, mix=mix)
    drawn = [data.case(i % 6, np.random.default_rng(i)) for i in range(60)]
    assert all(case.modal_mask.any() for case in drawn)


def test_shares_of_first_guesses_beyond_1_are_refused() -> None:
    mix = TrainingMix(true_mask=0.6, box_mask=0.1, segmented=0.2, hand_mask=0.1)
    OcclusionDataset(PEOPLE, OCCLUDERS, 64, mix=mix)
    with pytest.raises(DeoccError, match=r"hand_mask 0.4 is 1.3; .* may reach 1 together"):
        OcclusionDataset(PEOPLE, OCCLUDERS, 64, mix=dataclasses.replace(mix, hand_mask=0.4))


def test_fixed_cases_are_the_same_twice() -> None:
    first, second = (list(make_cases(PEOPLE[:3], OCCLUDERS, per_person=1, seed=8)) for _ in range(2))
    for a, b in zip(first, second, strict=True):
        np.testing.assert_array_equal(a.image, b.image)
        np.testing.assert_array_equal(a.initial_mask, b.initial_mask)


def test_swapping_sides_is_an_involution_and_onehot_ignores() -> None:
    labels = np.array([[0, 14, 15], [18, 255, 5]], np.uint8)
    np.testing.assert_array_equal(swap_sides(swap_sides(labels)), labels)
    np.testing.assert_array_equal(swap_sides(labels), [[0, 15, 14], [19, 255, 5]])
    np.testing.assert_array_equal(merge_sides(labels), [[0, 14, 14], [18, 255, 5]])
    onehot = parsing_onehot(torch.from_numpy(labels.astype(np.int64))[None])
    assert onehot.shape == (1, 19, 2, 3) and onehot[0, :, 1, 1].sum() == 0 and onehot[0, 13, 0, 1] == 1


def test_restyled_cutouts_keep_their_place_and_change_their_look_alone() -> None:
    hard = PasteOptions(harmonise=0.0, soft_edge=0.0, rotation=0.0, mirror=False)
    person = dataclasses.replace(PEOPLE[0], image=PEOPLE[0].image // 2)  # darker than the occluder
    case, rng = unoccluded_case(person), np.random.default_rng(0)
    cutout = fit_occluder(case, OCCLUDERS[0], 0.3, rng, hard)
    plain = paste_cutout(case, restyle(case, cutout, hard))
    assert (plain.image == paste_cutout(case, cutout).image).all(), "no option, no change"
    on, off = plain.occluder_mask, ~plain.occluder_mask
    for change in ({"harmonise": 1.0}, {"colour_match": 1.0}):
        other = paste_cutout(case, restyle(case, cutout, dataclasses.replace(hard, **change)))
        assert (other.modal_mask == plain.modal_mask).all()
        goal, before, after = (x.mean() for x in (person.image, plain.image[on], other.image[on]))
        assert abs(after - goal) < 0.5 * abs(before - goal), "colours move to the photo's"
    shaded = paste_cutout(case, restyle(case, cutout, dataclasses.replace(hard, shadow=0.6)))
    assert (shaded.image[on] == plain.image[on]).all(), "a shadow falls beside the thing"
    assert (shaded.image[off] <= plain.image[off]).all() and (shaded.image[off] < plain.image[off]).any()
    soft = restyle(case, cutout, dataclasses.replace(hard, soft_edge=0.5, edge_spread=0.3))
    assert soft.top_left == cutout.top_left and soft.alpha.shape == cutout.alpha.shape
    between = [((c.alpha > 0.02) & (c.alpha < 0.98)).sum() for c in (cutout, soft)]
    assert between[1] > between[0], "its border is wider"
    again = restyle(case, cutout, dataclasses.replace(hard, soft_edge=0.5, edge_spread=0.3))
    assert (again.alpha == soft.alpha).all(), "nothing is drawn"


NOTHING = TrainingMix(
    unoccluded=0.0,
    second_occluder=0.0,
    person_occluder=0.0,
    true_mask=0.0,
    box_mask=0.0,
    severity=(1.0, 1.0),
    frame_scale=(2.0, 2.0),
    frame_shift=0.0,
    rotation=0.0,
    stretch=0.0,
    colour=0.0,
    mirror=False,
)


@pytest.mark.parametrize(
    "change",
    [
        {"unoccluded": 1.0}, {"second_occluder": 1.0}, {"person_occluder": 1.0}, {"true_mask": 1.0},
        {"box_mask": 1.0}, {"severity": (0.1, 0.1)},
        {"frame_scale": (1.4, 1.4)}, {"rotation": 30.0}, {"stretch": 0.3},
        {"colour": 0.5}, {"mirror": True}, {"behind": 1.0}, {"degrade": 1.0}, {"cut": 1.0},
        {"neighbour": 1.0}, {"counter": 1.0}, {"hand_mask": 1.0}, {"neighbour": 1.0, "swallow": 1.0},
    ],
    ids=str,
)  # fmt: skip
def test_every_option_of_a_mix_changes_items(change: dict) -> None:
    base = dataclasses.replace(
        NOTHING, neighbour=change.get("neighbour", 0.0) if "swallow" in change else 0.0
    )
    plain, other = (
        OcclusionDataset(PEOPLE, OCCLUDERS, 64, 0, mix) for mix in (base, dataclasses.replace(base, **change))
    )
    pairs = [(plain.item(0, i), other.item(0, i)) for i in range(6)]
    assert any(not torch.equal(a[name], b[name]) for a, b in pairs for name in a)


def test_two_occluders_hide_the_drawn_share_together() -> None:
    mix = dataclasses.replace(NOTHING, density=RatioDensity.uniform(0.4, 0.41), second_occluder=1.0)
    data = OcclusionDataset(PEOPLE, OCCLUDERS[:1], 64, 0, mix)
    assert all(abs(data.case(i, np.random.default_rng(i)).occlusion_ratio - 0.4) < 0.035 for i in range(6))


def test_the_frame_of_an_item_follows_the_given_mask_alone() -> None:
    mask = np.zeros((400, 400), bool)
    mask[150:250, 180:220] = True
    person = Person("p", np.full((400, 400, 3), 99, np.uint8), mask, None, "train", "drawn", True)
    mix = dataclasses.replace(NOTHING, density=RatioDensity.uniform(0.4, 0.6), true_mask=1.0)
    data = OcclusionDataset([person], OCCLUDERS[:1], 64, 0, mix)
    for epoch in range(8):
        rng = np.random.default_rng([0, epoch, 0])
        case = data.case(0, rng)
        given = data.initial(case, rng)
        seen = person_frame(given, photo_shape=given.shape).crop_mask(case.amodal_mask, 64)
        assert ((data.item(epoch, 0)["amodal_mask"][0].numpy() > 0) != seen).mean() < 0.02


def test_frames_are_moved_by_shares_of_the_box() -> None:
    given = np.zeros((900, 900), bool)
    given[430:470, 435:465] = True
    mix = dataclasses.replace(NOTHING, frame_shift=0.2, frame_scale=(1.4, 2.6))
    data, rng = OcclusionDataset(PEOPLE, OCCLUDERS, 64, 0, mix), np.random.default_rng(0)
    moved = [np.abs(data._matrix(given, rng) @ [31.5, 31.5, 1] + 0.5 - 450).max() / 40 for _ in range(300)]
    assert 0.17 < max(moved) <= 0.201


def test_given_masks_come_from_the_segmenter_where_asked(monkeypatch) -> None:
    asked = []
    monkeypatch.setattr(
        "deocc.occlusion.dataset.segmented_mask",
        lambda image, box, how: asked.append(how) or np.ones(image.shape[:2], bool),
    )
    mix = dataclasses.replace(NOTHING, segmented=1.0, segmenter="grabcut")
    item = OcclusionDataset(PEOPLE, OCCLUDERS, 64, 0, mix).item(0, 0)
    assert asked == ["grabcut"] and torch.equal(item["initial_mask"], item["photo_mask"])
