"""Automatic filtering of candidates (Sec. 4.1).

The paper routes each candidate by hand: *Discard* (occluded, or partly out of view), *Preserve* (unoccluded,
fine mask), *Refine* (unoccluded, but the mask is not satisfying). `assess` proposes one of the three from
measured signs, with reasons and a confidence. A person can then check the most doubtful candidates first.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import cv2
import numpy as np

from deocc.errors import DeoccError
from deocc.masks import around, mask_box

Route = Literal["discard", "preserve", "refine"]
ROUTES: tuple[Route, ...] = ("discard", "preserve", "refine")
BAND = 10  # pixels beside the outline that edges are compared with
EDGE_SAMPLES = 4000  # pixels of a band that the comparison looks at, at most


@dataclass(frozen=True)
class Thresholds:
    """The limits at which a candidate fails. The paper's own numbers are not in our copy; these are ours.

    Distances are in pixels of the photo, shares in [0, 1]. The limits of mask quality were set so that one in
    twenty of 120 real, manually checked masks fails.
    """

    min_side: int = 130  # longer side of the mask's box; smaller people show no detail
    gutter: int = 3  # no pixel of the person so near to the photo's border: part may be out of view
    max_overlap: float = 0.02  # share of the person under other people's masks
    contact_distance: int = 3  # "touches" means nearer than this
    max_contact: float = 0.08  # share of the outline that touches other people: one occludes the other
    max_box_overlap: float = 0.15  # share of the person's box under other people's boxes, where boxes are all
    min_main_part: float = 0.97  # area of the largest connected part; fragments mean something in front
    max_holes: float = 0.06  # share of the filled figure that is hole
    min_fill: float = 0.12  # share of its box that the mask fills; thinner is no body
    max_fill: float = 0.92  # a mask that fills its box is the box
    min_edge: float = 0.70  # edges lie on the outline rather than beside it: 1 always, 0.5 chance
    max_roughness: float = 1.6  # length of the outline over that of the smoothed mask


# The proposal for each failed check: a person with a bad mask can be refined; the others are discarded.
REFINE = ("holes", "fill_high", "edge", "roughness")


class Check(NamedTuple):
    """One measured sign.

    Attributes:
        name: of the sign.
        value: the measured value.
        limit: the threshold.
        margin: signed distance from it in [-1, 1], positive if the check is passed.
        words: the result as a phrase.
    """

    name: str
    value: float
    limit: float
    margin: float
    words: str


@dataclass(frozen=True)
class Assessment:
    """The automatic filter's result for a candidate.

    Attributes:
        proposal: "discard", "preserve" or "refine".
        checks: all measured signs.
        marks: the dataset's own objections, such as "occluded" or "crowd".
    """

    proposal: Route
    checks: tuple[Check, ...]
    marks: tuple[str, ...] = ()

    @property
    def failed(self) -> tuple[Check, ...]:
        """The failed checks, worst first."""
        return tuple(sorted((c for c in self.checks if c.margin < 0), key=lambda check: check.margin))

    @property
    def reasons(self) -> tuple[str, ...]:
        """Reasons why it is not preserved, worst first; empty if it is."""
        return (*(f"the dataset marks it: {mark}" for mark in self.marks), *(c.words for c in self.failed))

    @property
    def scores(self) -> dict[str, float]:
        """Name of each sign -> measured value."""
        return {check.name: check.value for check in self.checks}

    @property
    def confidence(self) -> float:
        """Distance of the deciding check from its threshold, in [0, 1]; 0 is a coin toss, a mark gives 1."""
        if self.marks:
            return 1.0
        deciding = [c for c in self.checks if self.proposal != "discard" or c.name not in REFINE]
        return abs(min((check.margin for check in deciding), default=0.0))


def _at_least(name: str, value: float, limit: float, words: str) -> Check:
    scale = limit if limit > 1 or limit <= 0 else max(limit, 1 - limit)
    margin = (value - limit) / scale if scale else float(value >= limit)
    return Check(name, float(value), float(limit), float(np.clip(margin, -1, 1)), words)


def _at_most(name: str, value: float, limit: float, words: str) -> Check:
    scale = limit or 1.0
    return Check(name, float(value), float(limit), float(np.clip((limit - value) / scale, -1, 1)), words)


def _decide(checks: Sequence[Check], marks: Sequence[str] = ()) -> Assessment:
    failed = [check.name for check in checks if check.margin < 0]
    proposal: Route = "preserve"
    if failed:
        proposal = "refine" if all(name in REFINE for name in failed) else "discard"
    return Assessment("discard" if marks else proposal, tuple(checks), tuple(marks))


# ------------------------------------------------------------------ boxes, before any pixel is read


def _box_checks(box: Sequence[float], shape: tuple[int, int], limits: Thresholds) -> list[Check]:
    x0, y0, x1, y1 = box
    height, width = shape
    side, gap = max(x1 - x0, y1 - y0), min(x0, y0, width - x1, height - y1)
    return [
        _at_least("side", side, limits.min_side, f"small: {side:.0f} pixels, wanted {limits.min_side}"),
        _at_least("border", gap, limits.gutter, f"{gap:.0f} pixels from the border: may be out of view"),
    ]


def assess_box(
    box: Sequence[float],
    shape: tuple[int, int],
    others: Iterable[Sequence[float]] = (),
    marks: Sequence[str] = (),
    thresholds: Thresholds = Thresholds(),
) -> Assessment:
    """Judges a candidate by boxes alone, so that failures need no segmentation.

    Args:
        box: x0, y0, x1, y1 in pixels, half-open.
        shape: height and width of the photo.
        others: boxes of the other people in the photo.
        marks: the dataset's own objections.
        thresholds: the limits.

    Returns:
        "discard", or "preserve" if the mask must decide (`assess`).
    """
    x0, y0, x1, y1 = box
    checks = _box_checks(box, shape, thresholds)
    area, hidden = max((x1 - x0) * (y1 - y0), 1e-9), 0.0
    for a0, b0, a1, b1 in others:
        hidden = max(hidden, max(0.0, min(x1, a1) - max(x0, a0)) * max(0.0, min(y1, b1) - max(y0, b0)) / area)
    words = f"{hidden:.0%} of the box lies in another person's box"
    return _decide([*checks, _at_most("box_overlap", hidden, thresholds.max_box_overlap, words)], marks)


# ------------------------------------------------------------------ signs in a mask


def outline_of(mask: np.ndarray) -> np.ndarray:
    """Pixels of a mask that have a neighbour outside; H x W bool. The photo's border counts as outside."""
    padded = cv2.copyMakeBorder(mask.astype(np.uint8), 1, 1, 1, 1, cv2.BORDER_CONSTANT)
    return mask & ~cv2.erode(padded, np.ones((3, 3), np.uint8))[1:-1, 1:-1].astype(bool)


def _grown(mask: np.ndarray, distance: int) -> np.ndarray:
    size = 2 * distance + 1
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size))
    return cv2.dilate(mask.astype(np.uint8), kernel).astype(bool)


def contact(mask: np.ndarray, others: np.ndarray, distance: int) -> float:
    """Share of a mask's outline within `distance` pixels of other masks. Args: both H x W bool."""
    outline = outline_of(mask)
    return float((outline & _grown(others, distance)).sum() / max(outline.sum(), 1))


def main_part(mask: np.ndarray) -> float:
    """Area of the largest connected part (8-neighbours) over the mask's area; 0 for an empty mask."""
    areas = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)[2][1:, cv2.CC_STAT_AREA]
    return float(areas.max() / areas.sum()) if len(areas) else 0.0


def holes(mask: np.ndarray) -> float:
    """Share of the filled figure that is hole."""
    contours, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    filled = cv2.drawContours(np.zeros(mask.shape, np.uint8), contours, -1, 1, cv2.FILLED)
    return float(1 - mask.sum() / max(filled.sum(), 1))


def roughness(mask: np.ndarray) -> float:
    """Length of the outline over that of the smoothed mask: 1 is smooth, a ragged border is longer."""
    sigma = max(1.0, 0.012 * max(mask.shape))
    padded = cv2.copyMakeBorder(mask.astype(np.float32), 8, 8, 8, 8, cv2.BORDER_CONSTANT)
    smooth = cv2.GaussianBlur(padded, (0, 0), sigma) > 0.5
    return _length(padded > 0.5) / max(_length(smooth), 1.0)


def _length(mask: np.ndarray) -> float:
    contours, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
    return float(sum(cv2.arcLength(contour, True) for contour in contours))


def edge_strength(image: np.ndarray) -> np.ndarray:
    """The strongest colour gradient within one pixel. H x W x 3 uint8 -> H x W float32."""
    smooth = cv2.GaussianBlur(image, (0, 0), 1.0).astype(np.float32)
    gradients = [cv2.Sobel(smooth, cv2.CV_32F, *axis, ksize=3) for axis in ((1, 0), (0, 1))]
    strength = np.hypot(*gradients).max(axis=2)
    return cv2.dilate(strength, np.ones((3, 3), np.uint8))  # the outline may be one pixel off


def edge_agreement(image: np.ndarray, mask: np.ndarray, band: int = BAND) -> float:
    """How well the mask's outline follows edges of the picture, in [0, 1].

    The probability that a pixel of the outline has a stronger colour gradient than a pixel 3 to `band` pixels
    from it (the area under the ROC curve). It is 1 if the mask follows every edge and 0.5 if it follows none.

    Args:
        image: H x W x 3 uint8.
        mask: H x W bool.
    """
    strength, outline = edge_strength(image), outline_of(mask)
    beside = _grown(outline, band) & ~_grown(outline, 3)
    on, off = (np.sort(strength[place]) for place in (outline, beside))
    if not len(on) or not len(off):
        return 0.5
    on, off = on[:: len(on) // EDGE_SAMPLES + 1], off[:: len(off) // EDGE_SAMPLES + 1]
    below, up_to = (np.searchsorted(off, on, side=side) for side in ("left", "right"))  # type: ignore[call-overload]
    return float((below + up_to).mean() / (2 * len(off)))


# ------------------------------------------------------------------ the whole judgement


def _mask_checks(image: np.ndarray, mask: np.ndarray, others: np.ndarray, limits: Thresholds) -> list[Check]:
    """Checks of a mask in its window; all H x W."""
    x0, y0, x1, y1 = mask_box(mask)
    body = mask[y0:y1, x0:x1]
    overlap, part, fill = (mask & others).sum() / mask.sum(), main_part(body), body.mean()
    touch, empty = contact(mask, others, limits.contact_distance), holes(body)
    edge, rough = edge_agreement(image, mask), roughness(body)
    return [
        _at_most("overlap", overlap, limits.max_overlap, f"{overlap:.0%} lies under other people"),
        _at_most("contact", touch, limits.max_contact, f"{touch:.0%} of the outline touches other people"),
        _at_least("main_part", part, limits.min_main_part, f"in fragments: the largest is {part:.0%}"),
        _at_least("fill", fill, limits.min_fill, f"the mask fills {fill:.0%} of its box: too thin"),
        _at_most("fill_high", fill, limits.max_fill, f"the mask fills {fill:.0%} of its box: it is the box"),
        _at_most("holes", empty, limits.max_holes, f"holes take {empty:.0%} of the figure"),
        _at_least("edge", edge, limits.min_edge, f"the outline follows few edges of the photo ({edge:.2f})"),
        _at_most("roughness", rough, limits.max_roughness, f"the outline is ragged ({rough:.2f})"),
    ]


def assess(
    image: np.ndarray,
    mask: np.ndarray,
    others: np.ndarray | None = None,
    marks: Sequence[str] = (),
    thresholds: Thresholds = Thresholds(),
) -> Assessment:
    """Judges a candidate by its mask.

    Args:
        image: H x W x 3 uint8, the whole photo (its border is the border of view).
        mask: H x W bool, the person.
        others: H x W bool, the other annotated people of the photo, or None.
        marks: the dataset's own objections, such as "occluded".
        thresholds: the limits.

    Raises:
        DeoccError: the mask is empty, or the sizes differ.

    Source: Sec. 4.1.
    Differs from the paper: its annotators look at every candidate; here signs are measured. Some occluders
    leave no sign, such as a table that cuts the legs cleanly; only a person can find those.
    """
    others = np.zeros_like(mask) if others is None else others
    for name, array in (("mask", mask), ("others", others)):
        if array.shape != image.shape[:2]:
            raise DeoccError(f"{name} {array.shape} and image {image.shape[:2]} differ; give one size")
    window = around(mask, BAND + thresholds.contact_distance + 2)
    checks = _box_checks(mask_box(mask), mask.shape, thresholds)  # type: ignore[arg-type]
    checks += _mask_checks(image[window], mask[window], others[window], thresholds)
    return _decide(checks, marks)
