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
