"""Labels of hidden clothes from the visible other side of the person."""

import numpy as np
import pytest

from deocc.inference.symmetry import as_the_other_side
from deocc.labels import LIP_CLASSES

SHIRT, PANTS, LEFT_ARM, RIGHT_ARM, LEFT_LEG, RIGHT_LEG = (
    LIP_CLASSES.index(name)
    for name in ("upper-clothes", "pants", "left-arm", "right-arm", "left-leg", "right-leg")
)


class Person:
    """A shirt with two sleeves above two legs; everything right of column 60 is hidden."""

    def __init__(self) -> None:
        self.parsing = np.zeros((200, 120), np.uint8)
        self.parsing[10:100, 30:90] = SHIRT
        self.parsing[100:190, 35:55] = LEFT_LEG
        self.parsing[100:190, 65:85] = RIGHT_LEG
        self.amodal = self.parsing > 0
        self.modal = self.amodal & (np.arange(120) < 60)

    def mended(self) -> np.ndarray:
        return as_the_other_side(self.modal, self.amodal, self.parsing)


def test_a_hidden_leg_is_bare_where_the_other_one_is() -> None:
    person, truth = Person(), Person()
    person.parsing[100:190, 65:85] = PANTS
    before = person.parsing.copy()
    assert np.array_equal(person.mended()[102:], truth.parsing[102:])  # the right leg, not the left
    assert np.array_equal(person.parsing, before)


def test_a_hidden_arm_has_the_sleeve_of_the_other_one() -> None:
    person, truth = Person(), Person()
    person.parsing[20:90, 80:90] = RIGHT_ARM
    assert np.array_equal(person.mended(), truth.parsing)


def test_an_arm_is_bare_where_the_other_one_is_seen_to_be() -> None:
    """A hidden bare arm bent across the body, and a visible one that hangs."""
    person = Person()
    person.parsing[20:90, 30:40] = LEFT_ARM
    person.parsing[20:60, 80:90] = RIGHT_ARM
    person.parsing[50:62, 62:90] = RIGHT_ARM
    assert person.mended() is person.parsing


def test_a_single_leg_from_the_side_has_one_side() -> None:
    person = Person()
    person.parsing[100:] = 0
    person.parsing[100:190, 50:70] = LEFT_LEG
    person.parsing[100:190, 60:70] = PANTS
    person.amodal = person.parsing > 0
    person.modal = person.amodal & (np.arange(120) < 60)
    assert (person.mended()[112:185, 50:69] == LEFT_LEG).all()


def test_stray_pixels_of_an_exact_mask_do_not_move_the_axis() -> None:
    person = Person()
    person.parsing[100:190, 65:85] = PANTS
    plain = person.mended()
    for name in ("parsing", "amodal", "modal"):
        setattr(person, name, np.pad(getattr(person, name), ((0, 60), (0, 140))))
    for y in (120, 150):
        person.modal[y : y + 6, 220:226] = person.amodal[y : y + 6, 220:226] = True
        person.parsing[y : y + 6, 220:226] = SHIRT
    assert np.array_equal(person.mended()[:200, :120], plain)


def test_the_axis_leans_with_the_person() -> None:
    person, truth = Person(), Person()
    person.parsing[100:190, 65:85] = PANTS
    for one in (person, truth):
        for name in ("parsing", "amodal", "modal"):
            rows = np.pad(getattr(one, name), ((0, 0), (0, 60)))
            setattr(one, name, np.stack([np.roll(row, y // 4) for y, row in enumerate(rows)]))
    wrong = (person.mended() != truth.parsing)[110:185]
    assert wrong.sum() < 0.1 * (truth.parsing == RIGHT_LEG).sum()


@pytest.mark.parametrize(
    ("said", "seen"),
    [("right-arm", "coat"), ("right-arm", "dress"), ("pants", "dress"), ("skirt", "left-leg")],
)
def test_each_pair_of_labels(said: str, seen: str) -> None:
    person = Person()
    person.parsing[10:100, 30:60] = LIP_CLASSES.index(seen)
    person.parsing[10:100, 60:90] = LIP_CLASSES.index(said)
    mended = person.mended()[15:95, 62:88]
    assert (mended == LIP_CLASSES.index(seen.replace("left", "right"))).all()


def test_trousers_on_the_visible_side_are_trousers_on_the_other() -> None:
    person = Person()
    person.parsing[100:190, 35:55] = PANTS
    assert (person.mended()[105:185, 66:84] == PANTS).all()


def test_other_differences_stay() -> None:
    """A hidden shirt beside a bare arm: stage 1 is right as often as the other side."""
    person = Person()
    person.parsing[20:90, 30:40] = LEFT_ARM
    assert person.mended() is person.parsing


def test_slivers_stay_as_they_are() -> None:
    person = Person()
    person.parsing[20:90, 89] = RIGHT_ARM
    assert person.mended() is person.parsing


def test_small_patches_stay_and_larger_ones_do_not() -> None:
    """The person has 9,000 pixels: 64 are too few, 144 are enough."""
    for size, kept in ((8, True), (12, False)):
        person = Person()
        person.parsing[40 : 40 + size, 70 : 70 + size] = RIGHT_ARM
        assert (person.mended() is person.parsing) == kept


@pytest.mark.parametrize("column", [0, 60, 120])
def test_visible_labels_never_change_and_shifted_people_are_alike(column: int) -> None:
    person = Person()
    person.parsing[100:190, 65:85] = PANTS
    plain = person.mended()
    for name in ("parsing", "amodal", "modal"):
        setattr(person, name, np.pad(getattr(person, name), ((0, 0), (column, 7))))
    moved = person.mended()
    assert np.array_equal(moved[:, column : column + 120], plain)
    assert np.array_equal(moved[person.modal], person.parsing[person.modal])


def test_nothing_hidden_or_nothing_visible() -> None:
    person = Person()
    assert as_the_other_side(person.amodal, person.amodal, person.parsing) is person.parsing
    nobody = np.zeros_like(person.amodal)
    assert as_the_other_side(nobody, person.amodal, person.parsing) is person.parsing


def test_a_gap_between_rows_of_the_person_is_bridged() -> None:
    person = Person()
    person.parsing[100:190, 65:85] = PANTS
    for maps in (person.parsing, person.amodal, person.modal):
        maps[98:102] = 0
    assert (person.mended()[106:185, 66:84] == RIGHT_LEG).all()
