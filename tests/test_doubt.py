"""Doubtful pixels are decided by colour."""

import numpy as np

from deocc.inference.doubt import SURE, WHOLE, settle

S = 96
SHIRT, WALL, BOX = (200, 60, 50), (60, 90, 160), (90, 200, 80)


def scene():
    """A red person before a blue wall, their right side behind a green box, with noise."""
    image = np.full((S, S, 3), WALL, np.uint8)
    image[20:90, 30:70] = SHIRT
    image[20:90, 52:80] = BOX
    noise = np.random.default_rng(0).integers(-6, 7, image.shape)
    modal = np.full((S, S), -8, np.float32)
    amodal = modal.copy()
    modal[20:90, 30:52] = 8
    amodal[20:90, 30:70] = 8
    return (image + noise).clip(0, 255).astype(np.uint8), modal, amodal


def test_what_is_sure_stays() -> None:
    image, modal, amodal = scene()
    new = settle(image, modal, amodal)
    assert all((one == other).all() for one, other in zip(new, (modal, amodal), strict=True))


def test_a_hole_in_the_shirt_is_visible() -> None:
    image, modal, amodal = scene()
    modal[60:80, 34:46] = -3
    new, whole = settle(image, modal, amodal)
    assert (new[60:80, 34:46] > 0).all()
    assert (whole == amodal).all(), "the hidden side is as before"


def test_a_speck_of_the_person_on_the_box_is_hidden() -> None:
    image, modal, amodal = scene()
    modal[40:50, 56:64] = 3
    new, whole = settle(image, modal, amodal)
    assert (new[40:50, 56:64] < 0).all() and (whole[40:50, 56:64] > 0).all()


def test_a_speck_on_the_wall_is_background() -> None:
    image, modal, amodal = scene()
    modal[40:50, 20:28], amodal[40:50, 20:28] = 3, WHOLE - 1
    new, whole = settle(image, modal, amodal)
    assert (new[40:50, 20:28] < 0).all() and (whole[40:50, 20:28] < 0).all()


def test_nothing_outside_the_whole_person_becomes_visible() -> None:
    image, modal, amodal = scene()
    image[20:90, 10:30] = SHIRT  # a neighbour in the same shirt
    modal[20:90, 10:30] = -2
    new, whole = settle(image, modal, amodal)
    assert (new[20:90, 10:30] < 0).all() and (whole[20:90, 10:30] < 0).all()


def test_little_to_learn_from_changes_nothing() -> None:
    image, _, amodal = scene()
    unsure = np.where(amodal > 0, np.float32(1), np.float32(-1))
    for modal in (unsure, np.full((S, S), -1, np.float32), np.full((S, S), SURE + 1, np.float32)):
        assert settle(image, modal, amodal)[0] is modal


def test_the_same_every_time() -> None:
    image, modal, amodal = scene()
    modal[60:80, 34:60] = np.random.default_rng(1).normal(0, 3, (20, 26))
    assert (settle(image, modal, amodal)[0] == settle(image, modal, amodal)[0]).all()


def test_padding_outside_the_photo_has_no_colour() -> None:
    image, modal, amodal = scene()
    modal[60:80, 34:46] = -3
    inside = np.zeros((S, S), bool)
    inside[:, 8:] = True
    image[:, :8] = SHIRT  # whatever stands there
    modal[:, :8] = amodal[:, :8] = 0
    one = settle(image, modal, amodal, inside)
    image[:, :8] = WALL
    other = settle(image, modal, amodal, inside)
    assert all((a == b).all() for a, b in zip(one, other, strict=True)) and (one[0][60:80, 34:46] > 0).all()
