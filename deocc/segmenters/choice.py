"""Chooses the segmenter for a box: the best available one, or a named one.

The paper takes M_i from CenterMask (Sec. 5.1). For people with boxes alone, it takes whole masks from its
authors' own DeepLab (Sec. 4.1): the box is enlarged, the segmenter sees that part of the photo, and what it
finds inside the box is kept. Here, one of five segmenters does the same; three of them run everywhere.
`deocc people fetch maskrcnn` fetches weights; this module never does. The paper's enlargement is not known.
"""

import logging
from collections.abc import Callable, Sequence
from functools import cache

import numpy as np

from deocc.errors import DeoccError
from deocc.masks import Box
from deocc.segmenters.box import Finder, NobodyFound, Unavailable
from deocc.segmenters.grabcut import grabcut
from deocc.segmenters.mediapipe import (
    PERSON_FILE,
    POSE_FILE,
    mediapipe_person,
    mediapipe_pose,
    network,
    person_probability,
    pose_probability,
)
from deocc.segmenters.pretrained import DEEPLAB_FILE, MASKRCNN_FILE, checkpoint_file, deeplab, maskrcnn

LOG = logging.getLogger("deocc")


MIN_SHARE = 0.05  # a mask that fills less of its box is no person

METHODS: dict[str, Finder] = {
    "maskrcnn": maskrcnn,  # it and the next separate people, so they come first
    "pose": mediapipe_pose,
    "mediapipe": mediapipe_person,
    "deeplab": deeplab,
    "grabcut": grabcut,  # needs no network
}

_NEEDS: dict[str, Callable[[], object]] = {
    "maskrcnn": lambda: checkpoint_file(MASKRCNN_FILE),
    "pose": lambda: network(POSE_FILE),
    "mediapipe": lambda: network(PERSON_FILE),
    "deeplab": lambda: checkpoint_file(DEEPLAB_FILE),
}


def available() -> dict[str, str]:
    """Each segmenter in the order in which "auto" tries them, with what is missing; "" if it can run."""
    lacks = {}
    for name in METHODS:
        try:
            _NEEDS.get(name, lambda: None)()
            lacks[name] = ""
        except Unavailable as reason:
            lacks[name] = str(reason)
    return lacks


def _clean_box(image: np.ndarray, box: Sequence[float]) -> Box:
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
        raise DeoccError(f"image is {image.shape} {image.dtype}; give H x W x 3 uint8 RGB")
    if len(box) != 4 or not np.isfinite(np.asarray(box, float)).all():
        raise DeoccError(f"box {tuple(box)} is not four finite numbers; give x0 y0 x1 y1 in pixels")
    height, width = image.shape[:2]
    x0, y0 = (max(0, int(np.floor(v))) for v in box[:2])
    x1, y1 = (min(limit, int(np.ceil(v))) for v, limit in zip(box[2:], (width, height), strict=True))
    if x1 <= x0 or y1 <= y0:
        raise DeoccError(f"box {tuple(box)} has no pixel inside the {width} x {height} photo; move it inside")
    return x0, y0, x1, y1


def _run(name: str, image: np.ndarray, box: Box) -> np.ndarray:
    """One method's mask, cut to the box; raises `NobodyFound` where it finds next to nothing."""
    mask = np.zeros(image.shape[:2], bool)
    window = np.s_[box[1] : box[3], box[0] : box[2]]
    mask[window] = METHODS[name](image, box)[window]
    if mask.sum() < MIN_SHARE * mask[window].size:
        raise NobodyFound(f"{name}: found next to nothing in the box")
    return mask


def person_guesses(image: np.ndarray, box: Box) -> list[np.ndarray]:
    """What the bundled networks take for the visible person in a box: each alone, and the mean of both.

    Args:
        image: H x W x 3 uint8 RGB.
        box: x0, y0, x1, y1 in pixels, inside the photo.

    Returns:
        At most three masks, H x W bool, False outside the box; those that are next to nothing are left out. A
        network whose file is missing or damaged is done without (with a warning).
    """
    probabilities = []
    for ask in (pose_probability, person_probability):
        try:
            probabilities.append(ask(image, box))
        except Unavailable as reason:
            _warn_once(f"first guesses without {reason}")
    if len(probabilities) == 2:
        probabilities.append((probabilities[0] + probabilities[1]) / 2)
    inside = _filled_box(image, box)
    found = [inside & (probability > 0.5) for probability in probabilities]
    return [mask for mask in found if mask.sum() >= MIN_SHARE * inside.sum()]


@cache
def _warn_once(message: str) -> None:
    LOG.warning(message)


def _filled_box(image: np.ndarray, box: Box) -> np.ndarray:
    mask = np.zeros(image.shape[:2], bool)
    mask[box[1] : box[3], box[0] : box[2]] = True
    return mask


def segmented_mask(image: np.ndarray, box: Sequence[float], method: str) -> np.ndarray:
    """What one segmenter finds in a box, for training on its mistakes.

    Args: as of `segment`; method: one of `METHODS`.

    Returns:
        H x W bool, not empty; the box itself where the segmenter finds nobody.

    Raises:
        DeoccError: unknown method, or one that is not available here.
    """
    inside = _clean_box(image, box)
    if method not in METHODS:
        raise DeoccError(f"segmenter {method!r} is unknown; use one of {', '.join(METHODS)}")
    try:
        return _run(method, image, inside)
    except Unavailable as reason:
        raise DeoccError(f"segmenter {reason}, or choose another") from None
    except NobodyFound:
        return _filled_box(image, inside)


def _check_name(method: str, others: Sequence[str] = (), box: bool = True) -> None:
    known = ("auto", *others, *METHODS, *(("box",) if box else ()))
    if method not in known:
        raise DeoccError(f"segmenter {method!r} is unknown; use {', '.join(known[:-1])} or {known[-1]}")


def check_segmenter(method: str, others: Sequence[str] = (), box: bool = True) -> None:
    """Raises DeoccError if a method is unknown, or if a named one is not available here.

    Args:
        method: as of `segment`.
        others: methods that the caller knows beside those of `segment`.
        box: whether the caller takes the box itself for a mask.
    """
    _check_name(method, others, box)
    try:
        _NEEDS.get(method, lambda: None)()
    except Unavailable as reason:
        choice = "auto, grabcut or box" if box else "auto or grabcut"
        raise DeoccError(f"segmenter {reason}, or choose {choice}") from None


def segment(image: np.ndarray, box: Sequence[float], method: str = "auto") -> tuple[np.ndarray, str]:
    """Finds the visible person inside a box.

    Args:
        image: H x W x 3 uint8 RGB, any size.
        box: x0, y0, x1, y1 in photo pixels, half-open; cut to the photo.
        method: "maskrcnn", "deeplab" (torchvision weights in $TORCH_HOME/hub/checkpoints), "pose",
            "mediapipe" (both bundled), "grabcut" (needs no network), "box" (the box itself), or "auto": the
            first of maskrcnn, pose, mediapipe, deeplab and grabcut that can run here and finds somebody.

    Returns:
        The mask (H x W bool, not empty, False outside the box) and the name of the method that made it; "box"
        where nobody was found.

    Raises:
        DeoccError: bad image or box, an unknown method, or a named method that is not available here.
    """
    inside = _clean_box(image, box)
    _check_name(method)
    if method == "box":
        return _filled_box(image, inside), "box"
    for name in METHODS if method == "auto" else (method,):
        try:
            return _run(name, image, inside), name
        except Unavailable as reason:
            if method != "auto":
                raise DeoccError(f"segmenter {reason}, or choose another") from None
            LOG.info("segmenter %s", reason)
        except NobodyFound as reason:
            LOG.info("segmenter %s", reason)
    return _filled_box(image, inside), "box"
