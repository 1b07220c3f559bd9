"""The non-learned systems: what each must and must not do, on toys with known answers."""

import cv2
import numpy as np
import pytest
import torch

from deocc.baselines import (
    Baseline,
    Biharmonic,
    ConvexHull,
    InitialMask,
    MeanColour,
    MeanMask,
    NavierStokes,
    NearestTemplate,
    PatchMatch,
    Telea,
)
from deocc.baselines.masks.convex_hull import convex_hull
from deocc.errors import DeoccError
from deocc.metrics import invisible_iou, mask_iou, psnr
from deocc.occlusion import Batch

INPAINTERS = (Telea, NavierStokes, Biharmonic, PatchMatch, MeanColour)


def mask_batch(*masks: np.ndarray) -> Batch:
    return {"initial_mask": torch.from_numpy(np.stack(masks)).float()[:, None]}


def disc(size: int, x: float, y: float, radius: float) -> np.ndarray:
    rows, columns = np.ogrid[:size, :size]
    return (columns - x) ** 2 + (rows - y) ** 2 <= radius**2


def recovery_batch(image: np.ndarray, modal: np.ndarray, amodal: np.ndarray, photo: np.ndarray) -> Batch:
    masks = {"modal_mask": modal, "amodal_mask": amodal, "photo_mask": photo}
    batch = {name: torch.from_numpy(mask)[None, None].float() for name, mask in masks.items()}
    return batch | {"image": torch.from_numpy(image).permute(2, 0, 1)[None].float() / 255}


def striped(size: int = 64) -> np.ndarray:
    """Vertical colour bands, constant along each column."""
    columns = np.linspace(40, 220, size).astype(np.uint8)
    return np.repeat(np.stack([columns, columns[::-1], np.full(size, 90, np.uint8)], -1)[None], size, 0)


# --- masks


def test_initial_mask_answers_with_what_it_was_given() -> None:
    given = disc(32, 16, 16, 8)
    found = InitialMask().predict(mask_batch(given))
    assert torch.equal(found["amodal_mask"], found["modal_mask"])
    assert mask_iou(found["amodal_mask"], given[None]) == 1
    whole = disc(32, 16, 16, 12)
    assert invisible_iou(found["modal_mask"], found["amodal_mask"], given[None], whole[None]) == 0


def test_convex_hull_of_a_cross_is_its_diamond_and_of_a_convex_mask_itself() -> None:
    cross = np.zeros((21, 21), bool)
    cross[10], cross[:, 10] = True, True
    rows, columns = np.ogrid[:21, :21]
    assert (convex_hull(cross) == (np.abs(rows - 10) + np.abs(columns - 10) <= 10)).all()
    box = np.zeros((21, 21), bool)
    box[3:9, 4:15] = True
    assert (convex_hull(box) == box).all()
    assert not convex_hull(np.zeros((5, 5), bool)).any()
    one = np.zeros((5, 5), bool)
    one[2, 3] = True
    assert (convex_hull(one) == one).all()


def test_convex_hull_contains_the_given_mask() -> None:
    rng = np.random.default_rng(0)
    given = np.stack([rng.random((24, 24)) < 0.05 for _ in range(6)])
    hulls = ConvexHull().predict(mask_batch(*given))["amodal_mask"][:, 0].numpy() > 0.5
    assert (hulls | ~given).all() and hulls.sum() > given.sum()


def test_mean_mask_sees_nothing_but_the_frame() -> None:
    training = np.stack([disc(32, 16, 16, radius) for radius in (6, 8, 10)])
    system = MeanMask.fit(training)
    answers = system.predict(mask_batch(disc(48, 5, 5, 3), disc(48, 40, 9, 8)))["amodal_mask"]
    assert answers.shape == (2, 1, 48, 48) and torch.equal(answers[0], answers[1])
    assert mask_iou(answers[0, 0], disc(48, 24.3, 24.3, 12)) > 0.9  # the middle disc, resampled


def test_mean_mask_picks_the_level_of_the_best_mean_iou() -> None:
    training = np.stack([disc(32, 16, 16, 10)] * 3 + [disc(32, 16, 16, 4)])  # mean is 0.75 around, 1 inside
    system = MeanMask.fit(training)
    best = mask_iou(np.broadcast_to(system.mean > system.threshold, training.shape), training).mean()
    for level in (0.2, 0.5, 0.9):
        assert best >= mask_iou(np.broadcast_to(system.mean > level, training.shape), training).mean()
    with pytest.raises(DeoccError, match="training masks"):
        MeanMask.fit(np.zeros((0, 8, 8)))


def test_nearest_template_finds_its_own_and_joins_the_given_mask() -> None:
    templates = np.stack([disc(64, x, 32, 14) for x in (16, 32, 48)]).astype(np.float32)
    system = NearestTemplate(templates)
    halves = templates.astype(bool) & (np.arange(64) < 32)[None, :, None]  # upper halves only
    assert system.nearest(halves).tolist() == [0, 1, 2]
    extra = halves.copy()
    extra[:, 0, 0] = True
    found = system.predict(mask_batch(*extra))["amodal_mask"][:, 0].numpy() > 0.5
    assert found[:, 0, 0].all()
    assert (mask_iou(found, templates) > 0.98).all()
    with pytest.raises(DeoccError, match="K x S x S"):
        NearestTemplate(np.zeros((0, 4, 4)))


def test_nearest_template_compares_at_any_size() -> None:
    templates = np.stack([disc(32, 8, 16, 7), disc(32, 24, 16, 7)]).astype(np.float32)
    found = NearestTemplate(templates).predict(mask_batch(disc(100, 74, 48, 12)))["amodal_mask"]
    assert mask_iou(found[0, 0], disc(100, 76, 51, 22)) > 0.85


# --- pixels


@pytest.mark.parametrize("kind", INPAINTERS)
def test_inpainters_change_nothing_but_the_invisible_mask(kind) -> None:  # type: ignore[no-untyped-def]
    image = striped()
    amodal, photo = disc(64, 32, 32, 20), np.ones((64, 64), bool)
    hole = disc(64, 36, 30, 8) & amodal
    image[hole] = (255, 0, 255)
    found = kind().predict(recovery_batch(image, amodal & ~hole, amodal, photo))["recovered"]
    picture = (found[0].permute(1, 2, 0) * 255).round().byte().numpy()
    assert (picture[~hole] == image[~hole]).all()
    assert (picture[hole] != image[hole]).any(-1).mean() > 0.9  # nothing of the occluder is left
    again = kind().predict(recovery_batch(image, amodal & ~hole, amodal, photo))["recovered"]
    assert torch.equal(found, again)


@pytest.mark.parametrize("known", ["photo", "person"])
@pytest.mark.parametrize("kind", [Telea, NavierStokes, Biharmonic, PatchMatch])
def test_inpainters_continue_a_smooth_picture(kind, known: str) -> None:  # type: ignore[no-untyped-def]
    target = striped()
    amodal, photo = disc(64, 32, 32, 24), np.ones((64, 64), bool)
    hole = disc(64, 32, 32, 6)
    image = target.copy()
    image[hole] = (255, 0, 255)
    found = kind(known).predict(recovery_batch(image, amodal & ~hole, amodal, photo))["recovered"][0]
    assert psnr(found.permute(1, 2, 0).numpy(), target, hole) > 20
    constant = MeanColour().predict(recovery_batch(image, amodal & ~hole, amodal, photo))["recovered"][0]
    score = psnr(found.permute(1, 2, 0).numpy(), target, hole)
    if kind is not PatchMatch:
        assert score > psnr(constant.permute(1, 2, 0).numpy(), target, hole)


def test_person_alone_never_copies_the_occluder() -> None:
    """A red occluder lies across a grey person: only `known="photo"` lets it bleed into the hole."""
    image = np.full((64, 64, 3), 128, np.uint8)
    amodal = disc(64, 32, 32, 18)
    occluder = np.zeros((64, 64), bool)
    occluder[:, 30:52] = True
    image[occluder] = (255, 0, 0)
    batch = recovery_batch(image, amodal & ~occluder, amodal, np.ones((64, 64), bool))
    hole = amodal & occluder
    pictures = {known: Telea(known).predict(batch)["recovered"][0].numpy() for known in ("photo", "person")}
    redness = {known: float((p[0] - p[1])[hole].mean()) for known, p in pictures.items()}
    assert abs(redness["person"]) < 0.02 < 0.2 < redness["photo"]


def test_outside_the_photo_nothing_is_known() -> None:
    """The frame sticks out of the photo; its black border must not bleed into a hole at the photo's edge."""
    image = np.full((64, 64, 3), 200, np.uint8)
    photo = np.zeros((64, 64), bool)
    photo[:, 16:] = True
    image[~photo] = 0
    amodal = disc(64, 24, 32, 18) & photo
    hole = amodal & (np.arange(64) < 26)[None, :]
    image[hole] = (0, 0, 255)
    for kind in (Telea, Biharmonic, MeanColour):
        found = kind().predict(recovery_batch(image, amodal & ~hole, amodal, photo))["recovered"][0]
        assert found[:, torch.from_numpy(hole)].min() > 0.7, kind.title
        assert found[:, torch.from_numpy(~photo)].max() == 0


def test_a_hole_without_known_pixels_stays_and_an_empty_hole_returns_the_image(caplog) -> None:  # type: ignore[no-untyped-def]
    image = striped(16)
    everything, nothing = np.ones((16, 16), bool), np.zeros((16, 16), bool)
    for kind in INPAINTERS:
        system: Baseline = kind("person")
        found = system.predict(recovery_batch(image, nothing, everything, everything))["recovered"]
        assert np.array_equal((found[0].permute(1, 2, 0) * 255).round().byte().numpy(), image)
        assert "no known pixel" in caplog.text
        caplog.clear()
        same = system.predict(recovery_batch(image, everything, everything, everything))["recovered"]
        assert torch.equal(same, found) and not caplog.text


def test_patchmatch_says_when_it_has_no_patch_to_copy(caplog) -> None:  # type: ignore[no-untyped-def]
    image = striped(32)
    amodal = np.zeros((32, 32), bool)
    amodal[8:24, 8:24] = True
    modal = np.zeros((32, 32), bool)
    modal[8:24, 8:10] = True  # two columns: no 5 x 5 patch is whole
    batch = recovery_batch(image, modal, amodal, np.ones((32, 32), bool))
    found = PatchMatch("person").predict(batch)["recovered"]
    assert torch.isfinite(found).all()
    assert ("Telea" in caplog.text) == torch.equal(found, Telea("person").predict(batch)["recovered"])


def test_names_tell_systems_apart_and_bad_choices_are_refused() -> None:
    systems = [kind(known) for kind in INPAINTERS for known in ("photo", "person")]
    systems += [InitialMask(), ConvexHull()]  # type: ignore[list-item]
    assert len({system.name for system in systems}) == len(systems)
    with pytest.raises(DeoccError, match="'photo' or 'person'"):
        Telea("occluder")


def test_telea_is_opencv() -> None:
    image = striped()
    hole = disc(64, 32, 32, 6)
    reference = cv2.inpaint(image, hole.astype(np.uint8), 3, cv2.INPAINT_TELEA)
    amodal = disc(64, 32, 32, 30)
    batch = recovery_batch(image, amodal & ~hole, amodal, np.ones((64, 64), bool))
    found = (Telea().predict(batch)["recovered"][0].permute(1, 2, 0) * 255).round().byte().numpy()
    assert (found == reference).all()
