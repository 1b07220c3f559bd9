"""Other people beside and behind the person of a case."""

from dataclasses import replace

import cv2
import numpy as np

from deocc.masks import mask_box
from deocc.occlusion.case import OcclusionCase, PasteOptions, paste
from deocc.occlusion.realism import match_colours, solid_rim
from deocc.people import Occluder

MOST_SWALLOWED = 0.7  # of the visible person's area: with more, nobody could say who is meant


def add_neighbour(
    case: OcclusionCase, neighbour: Occluder, rng: np.random.Generator,
    options: PasteOptions = PasteOptions(),  # noqa: B008 (frozen)
) -> OcclusionCase:  # fmt: skip
    """Puts another person beside or behind the person of a case, at about the same size.

    Args:
        case: nothing in front of its person yet.
        neighbour: a cut-out person.
        rng: source of the draws.
        options: how cut-outs are fitted.

    Returns:
        The case with the neighbour in photo and target, and in `neighbour_mask`.
    """
    assert case.amodal_mask is not None and case.target is not None
    neighbour = solid_rim(neighbour) if options.solid_rim else neighbour
    x0, y0, x1, y1 = mask_box(case.amodal_mask)
    unit = max(x1 - x0, y1 - y0)
    scale = np.exp(rng.normal(-0.05, 0.15)) * unit / max(neighbour.mask.shape)
    size = tuple(max(2, round(scale * n)) for n in neighbour.mask.shape[::-1])
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    colours = cv2.resize(neighbour.image, size, interpolation=how)
    alpha = cv2.resize(neighbour.mask.astype(np.float32), size, interpolation=how)
    if rng.random() < 0.5:
        colours, alpha = np.ascontiguousarray(colours[:, ::-1]), np.ascontiguousarray(alpha[:, ::-1])
    if options.colour_match > 0:
        colours = match_colours(colours, alpha, case.image, options.colour_match * rng.random())
    middle = (x0 + x1) / 2 + rng.choice([-1, 1]) * rng.uniform(0.1, 1.0) * (x1 - x0 + size[0]) / 2
    top = y0 if rng.random() < 0.5 else y1 - size[1]  # heads level, or feet
    corner = int(top + rng.normal(0, 0.06) * unit), int(middle - size[0] / 2)
    photo, covered = paste(case.image, colours, alpha, corner)
    front = cv2.GaussianBlur(case.amodal_mask.astype(np.float32), (0, 0), max(options.soft_edge, 0.4))
    photo = (photo + (case.image.astype(np.float32) - photo) * front[..., None] + 0.5).astype(np.uint8)
    seen = covered & ~case.amodal_mask
    if case.neighbour_mask is not None:
        seen |= case.neighbour_mask
    return replace(case, image=photo, target=photo, neighbour_mask=seen)


def swallow_neighbour(initial_mask: np.ndarray, case: OcclusionCase, rng: np.random.Generator) -> np.ndarray:
    """Adds a part of the neighbours to an initial mask, like segmenters that do not separate people.

    Args:
        initial_mask: H x W bool.
        case: with its neighbours; without any, the mask stays.
        rng: source of the draws.

    Returns:
        H x W bool.
    """
    if case.neighbour_mask is None or case.modal_mask is None:
        return initial_mask
    others = case.neighbour_mask if case.occluder_mask is None else case.neighbour_mask & ~case.occluder_mask
    if not others.any() or not case.modal_mask.any():
        return initial_mask
    distance = cv2.distanceTransform(1 - case.modal_mask.astype(np.uint8), cv2.DIST_L2, 3)
    reach = rng.uniform(0.1, 1.2) * np.sqrt(np.count_nonzero(case.modal_mask))
    part = others & (distance < reach)
    if rng.random() < 0.5:  # above or below a line alone
        rows = np.nonzero(part.any(1))[0]
        if len(rows):
            line = rng.uniform(rows[0], rows[-1] + 1)
            below = np.arange(len(part))[:, None] >= line
            part &= below if rng.random() < 0.5 else ~below
    if np.count_nonzero(part) > MOST_SWALLOWED * np.count_nonzero(case.modal_mask):
        return initial_mask
    return initial_mask | part
