"""Pixels of the occluder that were taken for the visible person."""

import numpy as np
import pytest

from deocc.inference.bleed import without_bleed, without_soft_edge

DRESS, BEAR, STREET = (40, 40, 60), (200, 150, 60), (120, 130, 120)


class Scene:
    """A dress whose right part is behind a bear from column 70 on; the mask says from `said` on."""

    def __init__(self, said: int = 72, scale: int = 1, noise: int = 6) -> None:
        rng = np.random.default_rng(0)
        self.whole = np.zeros((120, 120), bool)
        self.whole[10:110, 30:95] = True
        columns = np.arange(120)[None]
        self.seen = self.whole & (columns < said)
        self.truth = self.whole & (columns < 70)
        self.photo = np.empty((120, 120, 3), np.uint8)
        self.photo[:] = STREET
        self.photo[self.whole] = DRESS
        self.photo[:, 70:100] = BEAR
        self.photo = (self.photo + rng.integers(0, noise, self.photo.shape)).astype(np.uint8)
        for name in ("whole", "seen", "truth", "photo"):
            setattr(self, name, np.repeat(np.repeat(getattr(self, name), scale, 0), scale, 1))
        self.side = 108.0 * scale

    def kept(self) -> np.ndarray:
        return without_bleed(self.photo, self.seen, self.whole, self.side)


@pytest.mark.parametrize("scale", [1, 8])
def test_the_bears_rim_is_moved_to_the_hidden_part(scale: int) -> None:
    """On a small grid of mean colours, too."""
    scene = Scene(71 if scale > 1 else 72, scale)
    before = scene.seen.copy()
    assert np.array_equal(scene.kept(), scene.truth)
    assert np.array_equal(scene.seen, before)


def test_a_true_border_stays() -> None:
    scene = Scene(70)
    assert np.array_equal(scene.kept(), scene.seen)


def test_a_pixel_that_mixes_both_colours_is_moved() -> None:
    scene = Scene(70)
    scene.photo[:, 69] = (np.array(DRESS) + BEAR) // 2
    assert np.array_equal(scene.kept(), scene.seen & (np.arange(120) < 69))
    scene.photo[:, 69] = 0.9 * np.array(DRESS) + 0.1 * np.array(BEAR)
    assert np.array_equal(scene.kept(), scene.seen), "hardly any bear in it"


def test_bear_coloured_pixels_farther_in_and_apart_are_a_pattern_of_the_dress() -> None:
    scene = Scene(70)
    scene.photo[40:60, 50:60] = BEAR  # far
    scene.photo[80:90, 68] = BEAR  # near, but not connected with the hidden part
    assert np.array_equal(scene.kept(), scene.seen)


def test_two_of_one_colour_are_not_told_apart() -> None:
    scene = Scene(72, noise=1)
    scene.photo[:] = DRESS
    assert np.array_equal(scene.kept(), scene.seen)


def test_a_stripe_of_the_bears_colour_is_given_up_no_farther_than_the_reach() -> None:
    scene = Scene(70)
    scene.photo[:, 60:70] = BEAR
    lost = scene.seen & ~scene.kept()
    assert set(np.nonzero(lost)[1]) <= {68, 69}


def test_little_is_given_up_in_a_tiny_picture() -> None:
    scene = Scene(72)
    small = np.s_[44:64, 58:80]
    whole, seen = scene.whole[small], scene.seen[small]
    assert np.array_equal(without_bleed(scene.photo[small], seen, whole, 20.0), seen)


def test_nothing_hidden_and_nobody_seen_are_no_trouble() -> None:
    scene = Scene()
    assert without_bleed(scene.photo, scene.whole, scene.whole, scene.side) is scene.whole
    nobody = np.zeros_like(scene.whole)
    assert not without_bleed(scene.photo, nobody, scene.whole, scene.side).any()


class SoftEdge:
    """The scene with the bear's edge blurred: columns 67 to 72 go from the dress's colour to the bear's."""

    def __init__(self, said: int) -> None:
        scene = Scene(said, noise=1)
        for k, share in enumerate((0.0, 0.15, 0.5, 0.7, 0.9, 1.0)):
            mixed = (1 - share) * np.array(DRESS) + share * np.array(BEAR)
            scene.photo[10:110, 67 + k] = mixed
        self.photo, self.seen, self.whole, self.side = scene.photo, scene.seen, scene.whole, scene.side

    def lost_columns(self) -> set[int]:
        kept = without_soft_edge(self.photo, self.seen, self.whole, self.side)
        assert not (kept & ~self.seen).any()
        return set(np.nonzero((self.seen & ~kept)[40:-40])[1].tolist())


def test_mixtures_at_the_edge_are_hidden_and_the_dress_is_not() -> None:
    """Shares above `SHARE` alone: columns 69 (0.5) and 70 (0.7); columns 67 and 68 are nearly dress."""
    assert SoftEdge(71).lost_columns() == {69, 70}
    assert SoftEdge(70).lost_columns() == {69}
    assert SoftEdge(68).lost_columns() == set()


def test_a_narrow_strip_of_the_person_is_compared_with_what_there_is() -> None:
    """Three columns are left of the person, fewer than a rim and the step from it; then comes the street."""
    edge = SoftEdge(70)
    edge.seen[:, :67] = False
    edge.whole[:, :67] = False
    edge.photo[:, :67] = STREET
    assert edge.lost_columns() == {69}


def test_a_trim_of_a_third_colour_is_no_mixture() -> None:
    for colour in ((255, 255, 255), (0, 200, 0)):
        scene = Scene(70, noise=1)
        scene.photo[scene.whole] = (200, 0, 0)
        scene.photo[:, 70:100] = (0, 0, 200)
        scene.photo[10:110, 68:70] = colour
        kept = without_soft_edge(scene.photo, scene.seen, scene.whole, scene.side)
        assert np.array_equal(kept, scene.seen)


def test_in_a_large_photo_the_edge_is_as_much_wider() -> None:
    """Eight times the size: columns 552 to 567 have half of the occluder's colour; the rim has 8 pixels."""
    edge, scale = SoftEdge(70), 8
    photo, seen, whole = (
        np.repeat(np.repeat(maps, scale, 0), scale, 1) for maps in (edge.photo, edge.seen, edge.whole)
    )
    lost = seen & ~without_soft_edge(photo, seen, whole, 2000.0)
    assert set(np.nonzero(lost[320:-320])[1]) == set(range(552, 560))


def test_mixtures_apart_from_the_edge_stay() -> None:
    edge = SoftEdge(70)
    edge.photo[:, 69] = DRESS
    edge.photo[:, 68] = (np.array(DRESS) + BEAR) // 2
    assert edge.lost_columns() == set()


def test_an_even_photo_has_no_soft_edge() -> None:
    scene = Scene(70, noise=1)
    scene.photo[:] = DRESS
    kept = without_soft_edge(scene.photo, scene.seen, scene.whole, scene.side)
    assert np.array_equal(kept, scene.seen)
    assert np.array_equal(without_soft_edge(scene.photo, scene.whole, scene.whole, scene.side), scene.whole)
