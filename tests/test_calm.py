"""Blurs of some pixels alone, and calmer paintings of parts that show nowhere."""

import cv2
import numpy as np
import pytest

from deocc.inference.blurs import blurred
from deocc.inference.calm import calm_unseen
from deocc.inference.detail import add_detail
from deocc.labels import LIP_CLASSES

SHIRT, PANTS, FACE, HAIR = (LIP_CLASSES.index(name) for name in ("upper-clothes", "pants", "face", "hair"))
LEFT_LEG, RIGHT_LEG = LIP_CLASSES.index("left-leg"), LIP_CLASSES.index("right-leg")


def test_wide_blurs_on_a_coarser_grid_are_blurs_all_the_same() -> None:
    rng = np.random.default_rng(0)
    picture = cv2.GaussianBlur(rng.uniform(0, 255, (600, 500, 3)).astype(np.float32), (0, 0), 3)
    known = np.zeros((600, 500), bool)
    known[100:500, 60:430] = True
    known[100:320, 250:430] = False  # an L: its box has unknown pixels
    found = blurred(picture, known, 25.0)
    stack = cv2.GaussianBlur(np.dstack([picture * known[..., None], known]).astype(np.float32), (0, 0), 25.0)
    wanted = stack[..., :-1] / np.maximum(stack[..., -1:], 1e-4)
    assert np.abs(found - wanted)[known].max() < 2 and np.abs(found - wanted)[known].mean() < 0.3


def test_a_blur_knows_nothing_of_other_pixels() -> None:
    picture = np.full((60, 60, 3), 50, np.float32)
    known = np.zeros((60, 60), bool)
    known[:, :30] = known[:20] = True  # its box is the whole picture
    picture[~known] = 250
    assert blurred(picture, known, 4.0)[known] == pytest.approx(50, abs=1e-3)


class Person:
    """A shirt above trousers; the lower half is hidden, and painted with noise around one colour."""

    def __init__(self, lower: int = PANTS, upper: int = SHIRT) -> None:
        rng = np.random.default_rng(0)
        self.amodal = np.zeros((160, 100), bool)
        self.amodal[10:150, 20:80] = True
        self.modal = self.amodal.copy()
        self.modal[80:] = False
        self.hole = self.amodal & ~self.modal
        self.parsing = np.where(np.arange(160)[:, None] < 80, upper, lower) * self.amodal.astype(np.uint8)
        self.parsing = self.parsing.astype(np.uint8)
        self.photo = rng.integers(0, 256, (160, 100, 3), np.uint8)
        self.painted = self.photo.copy()
        self.painted[self.hole] = rng.integers(60, 140, (int(self.hole.sum()), 3), np.uint8)

    def calmed(self, kept: float = 0.5) -> np.ndarray:
        return calm_unseen(self.painted, self.modal, self.amodal, self.parsing, kept)


def test_trousers_that_show_nowhere_lose_half_of_their_detail_and_no_colour() -> None:
    person = Person()
    before = person.painted.copy()
    found = person.calmed()
    old, new = (picture[person.hole].astype(float) for picture in (before, found))
    assert new.std() == pytest.approx(old.std() / 2, rel=0.1)
    assert new.mean(0) == pytest.approx(old.mean(0), abs=0.5)
    assert np.array_equal(found[~person.hole], before[~person.hole])
    assert np.array_equal(person.painted, before)
    assert person.calmed(0.2)[person.hole].std() < new.std()
    assert person.calmed(1.0) is person.painted


@pytest.mark.parametrize(
    ("lower", "upper"),
    [(SHIRT, SHIRT), (RIGHT_LEG, LEFT_LEG), (FACE, SHIRT), (HAIR, SHIRT), (0, SHIRT), (255, SHIRT)],
)
def test_what_shows_elsewhere_and_heads_keep_what_is_painted(lower: int, upper: int) -> None:
    person = Person(lower, upper)
    assert np.array_equal(person.calmed(), person.painted)


@pytest.mark.parametrize("sigma", [4.0, 60.0])
def test_a_fragment_far_from_the_rest_keeps_its_colour(sigma: float) -> None:
    known = np.zeros((900, 200), bool)
    known[:200, :50] = known[890:891, 150:151] = True
    found = blurred(np.full((900, 200, 3), 200, np.float32), known, sigma)
    assert found[known] == pytest.approx(200, abs=1)


def test_a_part_of_which_next_to_nothing_shows_is_calmed() -> None:
    person = Person()
    person.parsing[78:80, 20:25] = PANTS
    assert person.calmed()[person.hole].std() < person.painted[person.hole].std()
    person.parsing[70:80, 20:80] = PANTS
    assert np.array_equal(person.calmed(), person.painted)


def test_nobody_and_nothing_hidden_are_no_trouble() -> None:
    person = Person()
    nobody = np.zeros_like(person.modal)
    for modal, amodal in ((person.amodal, person.amodal), (nobody, nobody)):
        assert calm_unseen(person.painted, modal, amodal, person.parsing) is person.painted


def test_calming_is_a_part_of_exemplar_synthesis_alone() -> None:
    person = Person()
    arrays = person.photo, person.painted, person.modal, person.amodal, person.parsing
    assert np.array_equal(add_detail(*arrays, 0.0, False), person.painted)
    assert np.array_equal(add_detail(*arrays, 0.0, True)[person.hole], person.calmed()[person.hole])
