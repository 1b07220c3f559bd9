"""`View`: one person of one photo, checked, with a rough mask and a frame."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from deocc.errors import DeoccError
from deocc.inference.clicks import Click, Verdict, as_numbers, check_points
from deocc.inference.user_mask import without_strays
from deocc.masks import Box, Frame, person_frame
from deocc.segmenters import available, check_segmenter, segment

STAGE1 = "stage1"  # the segmenter that asks stage 1 for the box itself
BETTER = ("maskrcnn",)  # segmenters that are preferred to it where their weights are here
MOST_SAMPLES = 16  # completions of one person
PHOTO_LIMIT = 32_000  # OpenCV resamples pictures of fewer than 2^15 pixels a side


@dataclass(frozen=True)
class View:
    """One person in one photo, as input of the networks.

    Attributes:
        image: H x W x 3 uint8 RGB.
        initial_mask: H x W bool, M_i.
        frame: the square window that the networks see.
        notes: repairs and fallbacks taken so far.
        exact: M_i is the visible person, bit for bit.
        boxed: M_i is a filled box; stage 1 first makes a mask of it (`deocc.inference.prompts`).
        own: M_i is that mask.
        points: clicks that have not been applied yet.
        verdicts: decisions of applied clicks.
        amended: a click changed M_i.
        given: M_i is the user's mask.
        limit: the user's box with slack, in pixels of `image`: what stage 1's answer shows outside it is not
            taken for the person; hidden parts may lie there. None: no limit.
    """

    image: np.ndarray
    initial_mask: np.ndarray
    frame: Frame
    notes: tuple[str, ...] = ()
    exact: bool = False
    boxed: bool = False
    own: bool = False
    points: tuple[Click, ...] = ()
    verdicts: tuple[Verdict, ...] = ()
    amended: bool = False
    given: bool = False
    limit: Box | None = None

    def noting(self, *notes: str) -> "View":
        """The view with more notes."""
        return replace(self, notes=(*self.notes, *notes))


def check_image(image: np.ndarray) -> None:
    """Raises DeoccError unless `image` is H x W x 3 uint8 of a size that can be resampled."""
    if not isinstance(image, np.ndarray) or image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
        came = f"{image.dtype} {image.shape}" if isinstance(image, np.ndarray) else type(image).__name__
        raise DeoccError(f"image: {came} came, uint8 H x W x 3 expected; read it with deocc.io.read_image")
    if not 0 < min(image.shape[:2]) <= max(image.shape[:2]) < PHOTO_LIMIT:
        height, width = image.shape[:2]
        raise DeoccError(f"image: {width} x {height} pixels, 1 to {PHOTO_LIMIT - 1} a side fit; resize it")


def check_count(samples: int, seed: int = 0) -> None:
    """Raises DeoccError unless so many completions of one person, with this seed, can be asked for."""
    if not 1 <= samples <= MOST_SAMPLES:
        raise DeoccError(f"samples is {samples}; expected 1 to {MOST_SAMPLES}")
    if seed < 0:
        raise DeoccError(f"seed is {seed}; expected 0 or more")


def check_detail(texture: float | None, exemplar: bool | None) -> None:
    """Raises DeoccError if the texture is no share, or patches are wanted beside it."""
    if texture is not None and not 0 <= texture <= 1:
        raise DeoccError(f"texture is {texture:g}; expected a share from 0 to 1; 0 leaves it out")
    if texture and exemplar:
        raise DeoccError(f"texture is {texture:g} and exemplar is on: hidden clothes get one of them; choose")


def check_choice(segmenter: str) -> None:
    """Raises DeoccError if a segmenter is unknown, or a named one is not available here."""
    check_segmenter(segmenter, others=(STAGE1,))


def check_mask(mask: np.ndarray, image: np.ndarray) -> None:
    """Raises DeoccError unless `mask` is a non-empty H x W bool array of the image's size."""
    if not isinstance(mask, np.ndarray) or mask.dtype != bool or mask.ndim != 2:
        came = f"{mask.dtype} {mask.shape}" if isinstance(mask, np.ndarray) else type(mask).__name__
        raise DeoccError(f"mask: {came} came, bool H x W was expected; read it with deocc.io.read_mask")
    if mask.shape != image.shape[:2]:
        (height, width), (rows, columns) = mask.shape, image.shape[:2]
        turned = (width, height) == (rows, columns)
        hint = " (is the photo turned by its EXIF tag and the mask not?)" if turned else ""
        raise DeoccError(
            f"mask: {width} x {height} pixels, but the photo has {columns} x {rows}{hint}; "
            "give a mask of the photo's size"
        )
    if not mask.any():
        raise DeoccError("mask: it is empty; mark at least a part of the visible person")


def check_box(box: Sequence[float], image: np.ndarray) -> tuple[Box, tuple[str, ...]]:
    """Rounds a box outwards and cuts it to the photo.

    Returns:
        The box (x0, y0, x1, y1), half-open, and a note where it was cut.

    Raises:
        DeoccError: it is not four finite numbers, has no area, or lies outside the photo.
    """
    height, width = image.shape[:2]
    values = as_numbers(box)
    if values.shape != (4,) or not np.isfinite(values).all():
        raise DeoccError(f"box {box}: four finite numbers were expected; give X0 Y0 X1 Y1 in pixels")
    x0, y0, x1, y1 = (int(v) for v in (*np.floor(values[:2]), *np.ceil(values[2:])))
    if x1 <= x0 or y1 <= y0:
        raise DeoccError(f"box {x0} {y0} {x1} {y1} has no area; give X0 Y0 X1 Y1 with X0 < X1 and Y0 < Y1")
    cut = max(x0, 0), max(y0, 0), min(x1, width), min(y1, height)
    if cut[2] <= cut[0] or cut[3] <= cut[1]:
        raise DeoccError(f"box {x0} {y0} {x1} {y1} is outside the {width} x {height} photo; move it inside")
    notes = () if cut == (x0, y0, x1, y1) else (f"the box was cut to the photo: {_words(cut)}",)
    return cut, notes


def _words(box: Box) -> str:
    return " ".join(str(v) for v in box)


def make_view(
    image: np.ndarray,
    mask: np.ndarray | None = None,
    box: Sequence[float] | None = None,
    segmenter: str = "auto",
    exact: bool = False,
    points: Sequence[Sequence[float]] = (),
) -> View:
    """Checks the arguments of `Deoccluder.deocclude`, and chooses the rough mask and the frame.

    Args, Raises: see there.
    """
    check_image(image)
    check_choice(segmenter)
    if mask is None and box is None:
        raise DeoccError("neither mask nor box came; give one of them to say which person is meant")
    if exact and mask is None:
        raise DeoccError("exact: no mask came; give the visible person's mask, or leave exact out")
    if mask is not None:
        check_mask(mask, image)
    clicks = check_points(points, image)
    if mask is None:
        assert box is not None
        cut, notes = check_box(box, image)
        view = _boxed_view(image, cut, segmenter)
    else:
        inside, notes = (mask, ()) if box is None else _inside_box(mask, *check_box(box, image))
        if exact:
            _check_beside(clicks, inside)
        view = _masked_view(image, inside, exact)
    for click in clicks:
        _check_in_frame(click, view.frame)
    return replace(view, points=clicks, notes=(*notes, *view.notes))


def _check_beside(clicks: Sequence[Click], mask: np.ndarray) -> None:
    """Raises DeoccError unless all clicks say of places outside an exact mask that nobody is there."""
    for click in clicks:
        if click.is_person or mask[int(click.y), int(click.x)]:
            raise DeoccError(
                f"point {click.x:g} {click.y:g}: an exact mask stays as it is, and takes only points outside "
                "it that are not the person; change the mask, or leave exact out"
            )


def _check_in_frame(click: Click, frame: Frame) -> None:
    """Raises DeoccError if a click is where the networks do not look."""
    if not frame.holds(click.x, click.y):
        raise DeoccError(
            f"point {click.x:g} {click.y:g} is too far from the person to be looked at; draw a box (or a "
            "mask) that reaches it, or leave the point out"
        )


def _inside_box(mask: np.ndarray, cut: Box, notes: tuple[str, ...]) -> tuple[np.ndarray, tuple[str, ...]]:
    """The part of a mask in a box, and the box's notes."""
    inside, (x0, y0, x1, y1) = np.zeros_like(mask), cut
    inside[y0:y1, x0:x1] = mask[y0:y1, x0:x1]
    if not inside.any():
        raise DeoccError(f"mask: it is empty inside the box {_words(cut)}; leave one of the two out")
    return inside, notes


def _masked_view(image: np.ndarray, mask: np.ndarray, exact: bool) -> View:
    """A view of a mask; the frame is that of the mask without stray pieces."""
    kept, strays = without_strays(mask)
    frame = person_frame(kept, photo_shape=mask.shape)
    view = View(image, mask if exact else kept, frame, exact=exact, given=True)
    if not strays:
        return view
    of_what = "its frame" if exact else "it"
    return view.noting(f"{strays} stray pixels of the mask, far from the rest, were left out of {of_what}")


def _boxed_view(image: np.ndarray, box: Box, segmenter: str) -> View:
    """A view of a box, with a segmenter's mask, or with the box for stage 1."""
    name = preferred_segmenter() if segmenter == "auto" else segmenter
    frame = person_frame(box, photo_shape=image.shape[:2])
    try:
        initial, found = segment(image, box, "box" if name == STAGE1 else name)
    except DeoccError:
        if segmenter != "auto":
            raise
        view = _boxed_view(image, box, STAGE1)
        return view.noting(f"{name} does not run (choose it as the segmenter to see why), so stage 1 does")
    if found != "box":
        return View(image, initial, frame, (f"rough mask by {found}",))
    if name == "box":
        return View(image, initial, frame, ("the whole box stands in for the rough mask",))
    notes = () if name == STAGE1 else (f"{name} found nobody in the box",)
    return View(image, initial, frame, notes, boxed=True)


def preferred_segmenter() -> str:
    """The default source of a box's rough mask: the first available one of `BETTER`, else stage 1."""
    lacks = available()
    return next((name for name in BETTER if not lacks[name]), STAGE1)
