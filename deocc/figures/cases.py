"""Panels of an occlusion case with its answer."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

import cv2
import numpy as np

from deocc.errors import DeoccError
from deocc.masks import Frame, person_frame
from deocc.metrics import mask_iou
from deocc.occlusion import OcclusionCase, occlude, segmenter_error
from deocc.people import Occluder, Person

if TYPE_CHECKING:  # figures take answers, they do not make them
    from deocc.inference.answers import Deocclusion
    from deocc.inference.deoccluder import Deoccluder
from deocc.figures.colours import OUTSIDE, VISIBLE
from deocc.figures.panels import grey_outside, overlay, overlay_masks, parsing_picture, picture_grid, strip


def case_frame(case: OcclusionCase, scale: float = 2.0) -> Frame:
    """The frame that the networks see: around the visible mask (or box), never around the whole person."""
    return person_frame(case.box_xyxy, scale, photo_shape=case.image.shape[:2])


def close_up(case: OcclusionCase, scale: float = 1.25) -> Frame:
    """A frame for the eye: around the *whole* true person, which no network may see (`case_frame`)."""
    assert case.amodal_mask is not None
    return person_frame(case.amodal_mask, scale)


def framed(frame: Frame, image: np.ndarray, size: int) -> np.ndarray:
    """A photo's pixels in a frame, grey where it sticks out of the photo; size x size x 3 uint8."""
    return grey_outside(frame.crop_image(image, size), _inside(frame, image.shape[:2], size))


def _inside(frame: Frame, shape: tuple[int, ...], size: int) -> np.ndarray:
    """Pixels of the frame that lie in the photo, without the rim that blends into the outside."""
    outside = ~frame.photo_mask((shape[0], shape[1]), size)
    return cv2.dilate(outside.astype(np.uint8), np.ones((3, 3), np.uint8)) == 0


def case_panels(
    case: OcclusionCase,
    answer: Deocclusion | None = None,
    size: int = 160,
    scale: float = 2.0,
    frame: Frame | None = None,
) -> dict[str, np.ndarray]:
    """A case as a row of pictures, cropped as the networks see it, or by a frame.

    Args:
        case: everything known about it is shown.
        answer: from `Deoccluder.deocclude`, or None.
        size: side of a panel in pixels.
        scale: side of the crop over the visible box's longer side.
        frame: another crop, such as `close_up(case)`; None: as the networks see it, by `scale`.

    Returns:
        title -> size x size x 3 uint8: image, M_i, masks, body parts, recovered, target; unknown ones absent.
        Outside the photo everything is grey.
    """
    frame = case_frame(case, scale) if frame is None else frame
    inside = _inside(frame, case.image.shape[:2], size)
    image = frame.crop_image(case.image, size)

    def masks_over(modal_mask: np.ndarray, amodal_mask: np.ndarray) -> np.ndarray:
        return overlay_masks(image, frame.crop_mask(modal_mask, size), frame.crop_mask(amodal_mask, size))

    panels = {"image": image}
    initial = case.initial_mask if answer is None else answer.initial_mask
    if initial is not None:
        panels["initial mask"] = overlay(image, frame.crop_mask(initial, size), VISIBLE)
    if answer is not None:
        panels["masks"] = masks_over(answer.modal_mask, answer.amodal_mask)
        panels["body parts"] = parsing_picture(frame.crop_labels(answer.parsing, size))
        panels["recovered"] = frame.crop_image(answer.recovered, size)
    if case.amodal_mask is not None and case.modal_mask is not None:
        panels["true masks"] = masks_over(case.modal_mask, case.amodal_mask)
    if case.target is not None:
        panels["target"] = frame.crop_image(case.target, size)
    return {title: grey_outside(panel, inside) for title, panel in panels.items()}


def render_case(case: OcclusionCase, answer: Deocclusion | None = None, size: int = 160) -> np.ndarray:
    """`case_panels` as one picture; uint8 (size + 20) x W x 3."""
    return strip(case_panels(case, answer, size))


def render_answer(case: OcclusionCase, answer: Deocclusion, size: int = 160) -> np.ndarray:
    """Input, answer and truth, three panels per row; uint8 H x W x 3."""
    panels = case_panels(case, answer, size)
    order = ("initial mask", "masks", "true masks", "body parts", "recovered", "target")
    return picture_grid({title: panels[title] for title in order if title in panels}, 3)


def render_candidate(
    image: np.ndarray, mask: np.ndarray, style: str = "outline", side: int = 400
) -> np.ndarray:
    """A candidate for routing: the whole photo and a close-up, both with the mask.

    Args:
        image: H x W x 3 uint8.
        mask: H x W bool, not empty.
        style: of the mask: "outline", "tint" or "none".
        side: of each of the two panels in pixels.

    Returns:
        side x (2 side + 4) x 3 uint8; grey outside the photo.
    """
    height, width = image.shape[:2]
    longer = max(height, width)
    whole = Frame((width - longer) / 2, (height - longer) / 2, longer)
    panels = {}
    for name, frame in (("whole", whole), ("near", person_frame(mask, 1.3))):
        panel = frame.crop_image(image, side)
        if style != "none":
            panel = overlay(panel, frame.crop_mask(mask, side), VISIBLE, 0.55 if style == "tint" else 0.0, 2)
        panels[name] = np.where(frame.photo_mask((height, width), side)[..., None], panel, OUTSIDE)
    return strip(panels, title_height=0)


class Occluded(NamedTuple):
    """A freshly occluded person, the answer to it, and both as one picture."""

    picture: np.ndarray  # H x W x 3 uint8, of `render_answer`
    case: OcclusionCase
    answer: Deocclusion


def answer_case(
    deoccluder: Deoccluder,
    case: OcclusionCase,
    severity: float = 0.0,
    rng: np.random.Generator | None = None,
    size: int = 160,
) -> Occluded:
    """Spoils a case's visible mask, de-occludes, and draws case and answer.

    Args:
        deoccluder: both stages.
        case: with ground truth.
        severity: of the segmenter's errors in the initial mask; 0 = the true visible mask, 1 = typical.
        rng: source of the errors; default: seed 0.
        size: side of a panel in pixels.

    Raises:
        DeoccError: nothing of the person is visible.
    """
    if case.modal_mask is None or not case.modal_mask.any():
        raise DeoccError(f"case {case.id}: nothing of the person is visible; uncover a part")
    rng = np.random.default_rng(0) if rng is None else rng
    masks = (case.modal_mask, case.amodal_mask, case.occluder_mask)
    initial = segmenter_error(*masks, severity=severity, rng=rng)  # type: ignore[arg-type]
    case = replace(case, initial_mask=initial)
    answer = deoccluder.deocclude(case.image, mask=initial)
    return Occluded(render_answer(case, answer, size), case, answer)


def render_occlusion(
    deoccluder: Deoccluder,
    person: Person,
    occluder: Occluder,
    ratio: float,
    severity: float = 0.0,
    seed: int = 0,
    size: int = 160,
) -> Occluded:
    """Occludes a person, spoils the visible mask, de-occludes; the same arguments give the same picture.

    Args:
        deoccluder: both stages.
        person, occluder: who, behind what.
        ratio: wanted hidden share of the person, in (0, 1].
        severity: of the segmenter's errors in the initial mask; 0 = the true visible mask, 1 = typical.
        seed: of the occluder's place and of the errors.
        size: side of a panel in pixels.

    Raises:
        PlacementError: this occluder cannot hide that share of this person.
    """
    rng = np.random.default_rng(seed)
    return answer_case(deoccluder, occlude(person, occluder, ratio, rng), severity, rng, size)


class Scores(NamedTuple):
    """How well one person's masks were completed; IoUs in [0, 1], per instance."""

    occlusion_ratio: float  # true hidden share
    modal: float
    amodal: float
    invisible: float


def score_masks(case: OcclusionCase, answer: Deocclusion) -> Scores:
    """IoU of the visible, whole and invisible masks at the photo's size.

    Raises:
        DeoccError: the case has no ground truth.
    """
    if case.modal_mask is None or case.amodal_mask is None:
        raise DeoccError(f"case {case.id} has no true masks; scores need modal.png and amodal.png")
    pairs = (
        (answer.modal_mask, case.modal_mask),
        (answer.amodal_mask, case.amodal_mask),
        (answer.invisible_mask, case.amodal_mask & ~case.modal_mask),
    )
    return Scores(case.occlusion_ratio, *(float(mask_iou(mask, truth)) for mask, truth in pairs))
