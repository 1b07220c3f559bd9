"""From a box or clicks to a rough mask, by stage 1 itself.

For a box, stage 1 runs on first guesses of M_i: the filled box, its ellipse, GrabCut's mask, and what the two
bundled networks of `deocc.segmenters` take for the person. The mean of its visible masks becomes M_i; an
answer counts more, the better it fills the box. Each click is judged by the answer that it corrects. Where
both disagree, M_i changes around it, and stage 1 runs again. Stage 1 is trained on boxes, wrong masks, and
its own earlier answers (`MaskSettings.feedback`).
"""

from collections.abc import Callable, Sequence
from dataclasses import replace

import cv2
import numpy as np

from deocc.inference.clicks import Click, Verdict, amended
from deocc.inference.user_mask import TRUST
from deocc.inference.views import View
from deocc.masks import Box, mask_box
from deocc.segmenters import person_guesses, segment

FIT, FLOOR = 8, 0.1  # an answer's weight in the mean: FLOOR + box_fit ** FIT
SLACK = 0.2  # of the longer side: how far the visible person may reach out of the user's box
NOBODY = "stage 1 found nobody in the box; the whole box stands in for the rough mask"
Ask = Callable[[Sequence[View]], Sequence[np.ndarray]]
"""Views of one frame -> stage 1's log-odds of the visible person, S x S float32 in the frame, for each."""
Show = Callable[[View], tuple[np.ndarray, np.ndarray]]
"""View without points -> visible and whole mask of its answer, as the user sees them, H x W bool."""


def follow_prompts(view: View, ask: Ask, show: Show, guesses: Sequence[np.ndarray] = ()) -> View:
    """The view with the rough mask that follows from its box and clicks.

    Args:
        view: from `make_view`.
        ask: stage 1, for a box.
        show: the answer, for clicks.
        guesses: `guesses_of_box`, if they are known already.

    Returns:
        The view, no longer boxed, its points turned into verdicts.
    """
    if view.boxed:
        view = _mask_of_box(view, ask, guesses or guesses_of_box(view.image, view.initial_mask))
    for click in view.points:
        view = _follow(view, click, show)
    return replace(view, points=())


def _mask_of_box(view: View, ask: Ask, guesses: Sequence[np.ndarray]) -> View:
    """Replaces a filled box by stage 1's mean visible mask over the first guesses."""
    answers = []
    found = ask([replace(view, initial_mask=mask) for mask in guesses])
    for mask, modal in zip(guesses, found, strict=True):
        answers.append(modal + np.float32(TRUST[0]) * view.frame.crop_rough_mask(mask, len(modal)))
    box = view.frame.crop_mask(view.initial_mask, len(answers[0]))
    mean = np.average(answers, axis=0, weights=[FLOOR + box_fit(odds > 0, box) ** FIT for odds in answers])
    mask = view.frame.paste(mean.astype(np.float32), view.initial_mask.shape) > 0
    if not mask.any():
        return replace(view, boxed=False).noting(NOBODY)
    limit = _with_slack(mask_box(view.initial_mask), mask.shape)
    view = replace(view, initial_mask=mask, boxed=False, own=True, limit=limit)
    return view.noting("rough mask by stage 1, from the box")


def _with_slack(box: Box, shape: tuple[int, ...]) -> Box:
    """A box around the visible person, as if drawn too small; `shape` is the photo's."""
    slack = round(SLACK * max(box[2] - box[0], box[3] - box[1]))
    x0, y0, x1, y1 = box
    return max(0, x0 - slack), max(0, y0 - slack), min(shape[1], x1 + slack), min(shape[0], y1 + slack)


def box_fit(mask: np.ndarray, box_mask: np.ndarray) -> float:
    """IoU of a mask's bounding box and the given box: a box drawn around a person is touched on all sides.

    Args:
        mask: S x S bool.
        box_mask: S x S bool, the filled box.

    Returns:
        In [0, 1]; 0 for an empty mask or box.
    """
    if not (mask.any() and box_mask.any()):
        return 0.0
    one, other = mask_box(mask), mask_box(box_mask)
    width, height = (max(0, min(one[k + 2], other[k + 2]) - max(one[k], other[k])) for k in (0, 1))
    areas = sum((x1 - x0) * (y1 - y0) for x0, y0, x1, y1 in (one, other))
    return width * height / (areas - width * height)


def guesses_of_box(image: np.ndarray, box_mask: np.ndarray) -> list[np.ndarray]:
    """First guesses of the visible person in a filled box; see the module.

    Args:
        image: H x W x 3 uint8.
        box_mask: H x W bool, the filled box.

    Returns:
        Masks, H x W bool, none of them empty.
    """
    x0, y0, x1, y1 = box = mask_box(box_mask)
    guesses = [box_mask, segment(image, box, "grabcut")[0]]
    ellipse = np.zeros(box_mask.shape, np.uint8)
    middle, radii = ((x0 + x1) // 2, (y0 + y1) // 2), ((x1 - x0) // 2, (y1 - y0) // 2)
    cv2.ellipse(ellipse, middle, radii, 0, 0, 360, 1, -1)
    if ellipse.any():
        guesses.append(ellipse.astype(bool))
    return guesses + person_guesses(image, box)


def _follow(view: View, click: Click, show: Show) -> View:
    """Changes M_i where the answer contradicts a click; stores a "no" to hidden parts."""
    if view.exact:  # outside the visible person
        return replace(view, verdicts=(*view.verdicts, Verdict(click, nothing_there=True)))
    visible, whole = (bool(mask[int(click.y), int(click.x)]) for mask in show(replace(view, points=())))
    verdict = Verdict(click, not click.is_person and whole and not visible)
    view = replace(view, verdicts=(*view.verdicts, verdict))
    if visible == click.is_person:
        return view
    if view.limit and click.is_person and not _holds(view.limit, click):
        view = replace(view, limit=None)  # the user knows better
    mask = amended(view.initial_mask, view.image, view.frame, click)
    return replace(view, initial_mask=mask, amended=True) if mask.any() else view


def _holds(box: Box, click: Click) -> bool:
    """Whether a click lies in a box."""
    return box[0] <= click.x < box[2] and box[1] <= click.y < box[3]
