"""Exercises of notebook 00, quickstart."""

from __future__ import annotations

from typing import Any

import numpy as np

from deocc.exercises.verdict import ask, exercise, near, require
from deocc.masks import person_frame


@exercise
def my_ratio(answer: Any) -> str:
    """(whole person, pasted thing: H x W bool) -> share of the person that the thing hides."""
    rng = np.random.default_rng(0)
    for number in range(10):
        amodal, occluder = (rng.random((20, 30)) < share for share in (0.4, 0.1 + 0.08 * number))
        near(ask(answer, amodal, occluder), np.mean(occluder[amodal]), f"the ratio of case {number}")
    return "hidden pixels over all of the person's, in ten cases; what is hidden beside them is not theirs."


@exercise
def side_quotient(answer: Any) -> str:
    """(whole, visible: H x W bool) -> side of the frame around the whole person over the visible one's."""
    rng = np.random.default_rng(0)
    for number in range(8):
        whole = np.zeros((80, 60), bool)
        top, left = rng.integers(0, 20, 2)
        whole[top : top + rng.integers(30, 55), left : left + rng.integers(8, 25)] = True
        visible = whole & (np.arange(80)[:, None] < top + rng.integers(10, 60))
        wanted = person_frame(whole).side / person_frame(visible).side
        near(ask(answer, whole, visible), wanted, f"the quotient of case {number}")
    return "never below 1, and the larger, the more is missing at an end: the crop alone tells."


def flat_colours(
    image: np.ndarray, parsing: np.ndarray, modal_mask: np.ndarray, invisible_mask: np.ndarray
) -> np.ndarray:
    """Each hidden pixel in the mean visible colour of its part, or of the person where the part is not seen.

    Args:
        image: H x W x 3 uint8.
        parsing: H x W, body parts of the whole person.
        modal_mask, invisible_mask: H x W bool.

    Returns:
        H x W x 3 uint8.
    """
    out = image.copy()
    for part in np.unique(parsing[invisible_mask]):
        seen = modal_mask & (parsing == part)
        colour = image[seen if seen.any() else modal_mask].mean(0)
        out[invisible_mask & (parsing == part)] = np.rint(colour)
    return out


@exercise
def flat_fill(answer: Any) -> str:
    """(image, body parts, visible mask, invisible mask) -> the image with hidden pixels in flat colours."""
    rng = np.random.default_rng(0)
    for _ in range(3):
        image = rng.integers(0, 256, (24, 18, 3), np.uint8)
        parsing = rng.integers(1, 5, (24, 18)).astype(np.uint8)
        person, hidden = rng.random((24, 18)) < 0.7, rng.random((24, 18)) < 0.3
        modal, invisible = person & ~hidden, person & hidden
        parsing[modal & (parsing == 4)] = 1  # part 4 is nowhere to be seen
        before = image.copy()
        found = np.asarray(ask(answer, image, parsing, modal, invisible), float)
        require((image == before).all(), "the image that was given has changed; work on a copy")
        require(found.shape == image.shape, f"the picture has shape {found.shape}; expected {image.shape}")
        require((found == image)[~invisible].all(), "pixels that are not hidden have changed")
        apart = np.abs(found - flat_colours(image, parsing, modal, invisible))[invisible]
        require(
            apart.max() <= 1, f"a hidden pixel is {apart.max():.0f} of 255 away from its part's mean colour"
        )
    return "right for parts that are seen and for one that is not; nothing else has changed."
