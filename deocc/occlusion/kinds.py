"""Cases by kind of placement, with occluders that suit the kind."""

from collections.abc import Callable
from dataclasses import replace

import cv2
import numpy as np

from deocc.errors import PlacementError
from deocc.masks import Box, mask_box
from deocc.occlusion.case import (
    OcclusionCase,
    PasteOptions,
    cover,
    draw_edge,
    draw_shadow,
    occlude,
    paste,
    person_as_occluder,
)
from deocc.occlusion.priors import suits
from deocc.occlusion.realism import match_colours, solid_rim
from deocc.occlusion.surfaces import Surface, background_texture, draw_surface, place_surface
from deocc.people import Occluder, Person

Draw = Callable[[np.random.Generator], Occluder | None]
DrawPerson = Callable[[np.random.Generator], Person]
DrawSurface = Callable[[Box, tuple[int, int], np.random.Generator], Surface]


def occlude_as(
    kind: str, case: OcclusionCase, ratio: float, rng: np.random.Generator, draw_occluder: Draw,
    draw_person: DrawPerson, options: PasteOptions = PasteOptions(), tries: int = 4,  # noqa: B008 (frozen)
) -> OcclusionCase:  # fmt: skip
    """Hides `ratio` of a case's person, in addition to what is hidden, by a placement of one kind.

    Args:
        kind: one of `priors.KINDS`.
        case: whom to hide.
        ratio: wanted share of the amodal mask, in (0, 1].
        rng: source of every draw.
        draw_occluder: returns a random object; None if the object drawn does not suit, or cannot be read.
        draw_person: returns a random other person in their photo.
        options: how things are fitted.
        tries: things that are tried.

    Raises:
        PlacementError: none of the tried things reaches the ratio in that way.
    """
    for attempt in range(tries):
        try:
            if kind == "surface":
                return occlude_with_surface(case, draw_person(rng), ratio, rng, options)
            occluder = _suitable(kind, case, ratio, rng, draw_occluder, draw_person)
            return occlude(case, occluder, ratio, rng, options, kind=kind)
        except PlacementError:
            if attempt == tries - 1:
                raise
    raise AssertionError("unreachable")


def _suitable(
    kind: str, case: OcclusionCase, ratio: float, rng: np.random.Generator, draw_occluder: Draw,
    draw_person: DrawPerson,
) -> Occluder:  # fmt: skip
    """A random thing that suits the kind and the ratio."""
    if kind == "person_in_front" or (kind == "border" and rng.random() < 0.3):
        return person_as_occluder(draw_person(rng))
    assert case.amodal_mask is not None
    person, hidden = mask_box(case.amodal_mask), ratio * case.amodal_mask.sum()
    for _ in range(40):
        thing = draw_occluder(rng)
        if thing is not None and suits(kind, thing, person, hidden):
            return thing
    raise PlacementError(f"no occluder of kind {kind!r} can hide {ratio:.3f}; add some")


def occlude_with_surface(
    case: OcclusionCase, scenery: Person, ratio: float, rng: np.random.Generator,
    options: PasteOptions = PasteOptions(), draw: DrawSurface = draw_surface,  # noqa: B008 (frozen)
) -> OcclusionCase:  # fmt: skip
    """Hides a share of a person behind a wall, hedge, post or fence textured with another photo's background.

    Args:
        case: whom to hide.
        scenery: the other photo.
        ratio: wanted share of the amodal mask, in (0, 1].
        rng: source of every draw.
        options: how surfaces are fitted.
        draw: gives the surface, such as `surfaces.draw_counter`.

    Raises:
        PlacementError: the drawn surface cannot hide that much.
    """
    assert case.amodal_mask is not None and case.modal_mask is not None
    shape = (case.image.shape[0], case.image.shape[1])
    surface = draw(mask_box(case.amodal_mask), shape, rng)
    mask = place_surface(surface, case.amodal_mask, case.modal_mask, ratio, rng, options.tolerance)
    alpha: np.ndarray = mask.astype(np.float32)
    if (soft_edge := draw_edge(options, rng)) > 0:
        alpha = cv2.GaussianBlur(alpha, (0, 0), soft_edge)
    colours = background_texture(scenery, shape, rng)
    if options.colour_match > 0:
        colours = match_colours(colours, alpha, case.image, options.colour_match * rng.random())
    image, _ = paste(case.image, colours, alpha, (0, 0))
    return replace(cover(case, image, mask, draw_shadow(options, rng)), placement="surface")


def put_behind(
    case: OcclusionCase, occluder: Occluder, rng: np.random.Generator,
    options: PasteOptions = PasteOptions(),  # noqa: B008 (frozen)
) -> OcclusionCase:  # fmt: skip
    """Puts an object or a person behind a case's person, so that a pasted border does not imply an occluder.

    Ground truth stays; photo and target both show the thing.

    Args:
        case: unoccluded.
        occluder: the thing; it takes 0.5 to 1.2 times the person's size, at about their feet.
    """
    assert case.amodal_mask is not None and case.target is not None
    occluder = solid_rim(occluder) if options.solid_rim else occluder
    x0, y0, x1, y1 = mask_box(case.amodal_mask)
    unit = max(x1 - x0, y1 - y0)
    scale = rng.uniform(0.5, 1.2) * unit / max(occluder.mask.shape)
    size = tuple(max(2, round(scale * n)) for n in occluder.mask.shape[::-1])
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    opacity = occluder.mask.astype(np.uint8) * 255 if occluder.alpha is None else occluder.alpha
    colours = cv2.resize(occluder.image, size, interpolation=how)
    alpha = cv2.resize(opacity, size, interpolation=how).astype(np.float32) / 255
    if options.colour_match > 0:
        colours = match_colours(colours, alpha, case.image, options.colour_match * rng.random())
    middle, foot = rng.uniform(x0 - 0.2 * unit, x1 + 0.2 * unit), y1 - unit * rng.uniform(-0.02, 0.2)
    photo, _ = paste(case.image, colours, alpha, (int(foot - size[1]), int(middle - size[0] / 2)))
    front = cv2.GaussianBlur(case.amodal_mask.astype(np.float32), (0, 0), max(options.soft_edge, 0.4))
    photo = (photo + (case.image.astype(np.float32) - photo) * front[..., None] + 0.5).astype(np.uint8)
    return replace(case, image=photo, target=photo)
