"""Masks at the photo's own resolution: the guided filter against its definition, and what is trusted when."""

import numpy as np
import pytest
from scipy.special import expit

from deocc.inference import borders
from deocc.inference.borders import finish_masks, restore_detail, snap_to_image
from deocc.masks import Frame, person_frame
from deocc.metrics import mask_iou


def disc(height: int, width: int, y: float, x: float, radius: float) -> np.ndarray:
    rows, columns = np.mgrid[:height, :width]
    return np.hypot(rows - y, columns - x) < radius


def coloured(mask: np.ndarray, seed: int = 0) -> np.ndarray:
    """A photo in which the mask has another colour than the rest, with noise."""
    noise = np.random.default_rng(seed).normal(0, 6, (*mask.shape, 3))
    return (np.where(mask[..., None], [190, 90, 60], [60, 110, 170]) + noise).clip(0, 255).astype(np.uint8)


def naive_guided(guide: np.ndarray, soft: np.ndarray, radius: int) -> np.ndarray:
    """He et al. 2010, eq. 19-21, window by window; inside the picture's border alone."""
    height, width = soft.shape
    slopes, offsets = np.zeros((height, width, 3)), np.zeros((height, width))
    for y in range(radius, height - radius):
        for x in range(radius, width - radius):
            window = np.s_[y - radius : y + radius + 1, x - radius : x + radius + 1]
            colours, values = guide[window].reshape(-1, 3), soft[window].ravel()
            centred = colours - colours.mean(0)
            spread = centred.T @ centred / len(values) + borders.EPSILON * np.eye(3)
            slopes[y, x] = np.linalg.solve(spread, centred.T @ (values - values.mean()) / len(values))
            offsets[y, x] = values.mean() - slopes[y, x] @ colours.mean(0)
    out = np.full((height, width), np.nan)
    for y in range(2 * radius, height - 2 * radius):
        for x in range(2 * radius, width - 2 * radius):
            window = np.s_[y - radius : y + radius + 1, x - radius : x + radius + 1]
            out[y, x] = slopes[window].reshape(-1, 3).mean(0) @ guide[y, x] + offsets[window].mean()
    return out


def test_the_guided_filter_is_its_definition() -> None:
    rng = np.random.default_rng(0)
    guide, soft = rng.random((20, 24, 3)).astype(np.float32), rng.random((20, 24)).astype(np.float32)
    slopes, offset = borders._guided_coefficients(guide, soft, 2)
    found, wanted = (slopes * guide).sum(2) + offset, naive_guided(guide, soft, 2)
    known = ~np.isnan(wanted)
    assert known.sum() == 12 * 16
    np.testing.assert_allclose(found[known], wanted[known], atol=1e-3)


@pytest.mark.parametrize("scale", [1, 3])  # 3: the frame is larger than the coefficients' grid
def test_a_soft_border_moves_to_the_edge_of_the_colours(scale: int) -> None:
    height, width = 260 * scale, 220 * scale
    truth = disc(height, width, 130 * scale, 110 * scale, 60 * scale)
    wrong = disc(height, width, 130 * scale, 112 * scale, 58.5 * scale)
    frame = person_frame(truth)
    distance = np.hypot(*(np.mgrid[:height, :width] - np.array([130, 112])[:, None, None] * scale)) / scale
    odds = ((58.5 - distance) / 1.5).astype(np.float32)
    snapped = snap_to_image(coloured(truth), odds, frame)
    assert mask_iou(wrong, truth) < 0.97 < mask_iou(snapped, truth)


def test_without_edges_the_border_stays() -> None:
    mask = disc(200, 200, 100, 100, 50)
    distance = np.hypot(*(np.mgrid[:200, :200] - 100))
    odds = ((50 - distance) / 2).astype(np.float32)
    flat = np.full((200, 200, 3), 128, np.uint8)
    assert mask_iou(snap_to_image(flat, odds, person_frame(mask)), expit(odds) > 0.5) > 0.96


def test_no_speck_opens_where_the_person_is_sure_to_be_visible() -> None:
    mask = disc(200, 200, 100, 100, 60)
    distance = np.hypot(*(np.mgrid[:200, :200] - 100))
    odds = ((60 - distance) / 2).clip(-9, 9).astype(np.float32)
    image = coloured(mask)
    image[100:103, 141:144] = image[5, 5]  # the background's colour, near the border and inside it
    assert odds[100:103, 141:144].min() > borders.INSIDE
    snapped = snap_to_image(image, odds, person_frame(mask))
    assert snapped[100:103, 141:144].all()


def test_outside_the_frame_nothing_is_visible_and_nothing_stays_nothing() -> None:
    image = coloured(disc(120, 120, 60, 60, 30))
    odds = np.zeros((120, 120), np.float32)
    odds[40:80, 40:80] = 6
    snapped = snap_to_image(image, odds, Frame(40, 40, 40))
    assert snapped[50:70, 50:70].all() and not snapped[:30].any() and not snapped[:, 95:].any()
    nothing = np.full((120, 120), -9, np.float32)
    assert not snap_to_image(image, nothing, Frame(0, 0, 120)).any()


def answers(mask: np.ndarray, frame: Frame, size: int, sharpness: float = 8.0) -> np.ndarray:
    return ((frame.crop_mask(mask, size).astype(np.float32) - 0.5) * sharpness).astype(np.float32)


def test_a_mask_that_stage_1_confirms_keeps_its_own_border() -> None:
    """Two-pixel hairs that neither the grid nor, in a flat photo, the colours know."""
    mask = disc(300, 260, 150, 120, 70)
    mask[148:150, 60:240] = True
    frame, flat = person_frame(mask), np.full((300, 260, 3), 90, np.uint8)
    answer = answers(mask, frame, 32)
    modal, amodal = finish_masks(flat, mask, answer, answer, frame)
    again = restore_detail(frame.paste(answer, mask.shape) > 0, frame.paste(answer, mask.shape) > 0, mask,
                           frame, 32)  # fmt: skip
    np.testing.assert_array_equal(modal, again[0])
    assert mask_iou(modal, mask) > 0.99 and (modal <= amodal).all()


@pytest.mark.parametrize("left", range(498, 506))
def test_a_stroke_thinner_than_the_grid_is_not_the_visible_person_where_stage_1_sees_nobody(
    left: int,
) -> None:
    image, mask = np.zeros((1000, 1000, 3), np.uint8), np.zeros((1000, 1000), bool)
    mask[200:800, left : left + 3] = True
    nobody = np.full((192, 192), -8, np.float32)
    for frame in (person_frame(mask), Frame(0, 0, 100)):  # the second one does not show the stroke
        visible, whole = finish_masks(image, mask, nobody, nobody, frame)
        assert not visible.any() and not whole.any()


def test_a_mask_that_stage_1_corrects_takes_the_photos_border() -> None:
    truth = disc(300, 260, 150, 120, 70)
    rough = disc(300, 260, 165, 135, 55)
    frame = person_frame(rough)
    answer = answers(truth, frame, 32, 4.0)
    modal, amodal = finish_masks(coloured(truth), rough, answer, answer, frame)
    coarse = frame.paste(answer, truth.shape) > 0
    assert mask_iou(modal, truth) > mask_iou(coarse, truth) and mask_iou(modal, truth) > 0.97
    assert (modal <= amodal).all()


def test_what_is_given_up_beside_the_hidden_part_belongs_to_it() -> None:
    """The occluder's edge lies elsewhere than stage 1 says: visible pixels become hidden, not background."""
    person = disc(300, 260, 150, 130, 80)
    occluder = np.zeros_like(person)
    occluder[160:] = True
    frame = person_frame(person)
    image = coloured(person & ~occluder)
    said = person & (np.arange(300)[:, None] < 162)
    modal, amodal = finish_masks(
        image,
        disc(300, 260, 140, 130, 60),
        answers(said, frame, 160, 3.0),
        answers(person, frame, 160),
        frame,
    )
    assert said[160:162].any() and modal[160:162].sum() < said[160:162].sum() / 2
    assert amodal[160:164, 80:180].all()


class Mixed:
    """A disc behind a thing from column 130 on; stage 1 sees two columns of the thing as visible."""

    def __init__(self) -> None:
        self.whole = disc(300, 260, 150, 130, 80)
        columns = np.arange(260)[None]
        self.truth, self.said = self.whole & (columns < 130), self.whole & (columns < 133)
        self.image = coloured(self.whole)
        self.image[:, 130:] = (40, 190, 60)
        self.frame = person_frame(self.whole)
        self.odds = answers(self.said, self.frame, 160, 30.0), answers(self.whole, self.frame, 160, 30.0)

    def finished(self, initial: np.ndarray, contact: bool = True) -> tuple[np.ndarray, np.ndarray]:
        return finish_masks(self.image, initial, *self.odds, self.frame, contact=contact)


def test_what_looks_like_the_thing_in_front_is_hidden_where_stage_1_corrects_the_mask() -> None:
    scene = Mixed()
    rough = disc(300, 260, 140, 100, 50)
    modal, amodal = scene.finished(rough)
    loose, same = scene.finished(rough, contact=False)
    assert not (modal & (np.arange(260) >= 130)).any() and (loose & (np.arange(260) >= 130)).sum() > 50
    assert np.array_equal(amodal, same) and (modal <= amodal).all()


def test_a_mask_that_stage_1_confirms_gives_up_no_rim() -> None:
    scene = Mixed()
    modal, _ = scene.finished(scene.said)
    assert mask_iou(modal, scene.said) > 0.99 and (modal & (np.arange(260) >= 130)).sum() > 50


def test_the_rim_at_what_hides_the_person_is_hidden_too_and_no_other_rim() -> None:
    whole = disc(120, 120, 60, 60, 40)
    hidden = whole & (np.arange(120) >= 70)
    seen = whole & ~hidden
    kept = borders.without_contact(seen, whole, 2.2)
    rim = seen & ~kept
    assert set(np.nonzero(rim)[1]) == {68, 69} and rim[:, 68].any()
    assert np.array_equal(kept[:, :68], seen[:, :68])
    assert borders.without_contact(seen, whole, 0.4) is seen
    assert borders.without_contact(whole, whole, 3) is whole


@pytest.mark.parametrize(("agreement", "exact"), [(0.94, False), (0.97, True)])
def test_a_confirmed_mask_gives_up_soft_edges_unless_it_is_as_exact_as_a_true_one(
    monkeypatch: pytest.MonkeyPatch, agreement: float, exact: bool
) -> None:
    scene = Mixed()
    scene.image[:, 131:133] = (np.array((40, 190, 60)) + scene.image[150, 100]) // 2  # mixed columns
    monkeypatch.setattr(borders, "mask_iou", lambda *_: agreement)
    modal, amodal = scene.finished(scene.said)
    mixed = scene.said & np.isin(np.arange(260), (131, 132))
    kept = (modal & mixed).sum() / mixed.sum()
    assert mixed.sum() > 50 and (kept == 1 if exact else kept < 0.02)
    assert np.array_equal(scene.finished(scene.said, contact=False)[0] & mixed, mixed)
    assert (amodal & mixed).sum() == mixed.sum()


def test_where_stage_1_corrects_the_mask_soft_edges_are_hidden_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """And from a box, whatever stage 1's own mask says of itself."""
    scene = Mixed()
    for own in (False, True):
        modal, _ = finish_masks(scene.image, scene.said, *scene.odds, scene.frame, own=own)
        with monkeypatch.context() as patched:
            patched.setattr(borders, "without_soft_edge", lambda image, modal, *_: np.zeros_like(modal))
            found, _ = finish_masks(scene.image, scene.said, *scene.odds, scene.frame, own=own)
        assert modal.any() and found.any() == (not own)
