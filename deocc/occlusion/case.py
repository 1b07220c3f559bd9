"""`OcclusionCase`: a person behind a pasted occluder."""

from dataclasses import dataclass, replace
from functools import cached_property

import cv2
import numpy as np

from deocc.errors import DeoccError, PlacementError
from deocc.masks import Box, as_bytes, mask_box, occlusion_ratio
from deocc.occlusion.placement import fitting_offsets
from deocc.occlusion.priors import Plan, border_plan, draw_plan
from deocc.occlusion.realism import contact_shadow, match_colours, match_sharpness, solid_rim
from deocc.people import Occluder, Person


@dataclass(frozen=True)
class OcclusionCase:
    """An occluded person, with as much ground truth as is known.

    All arrays share one size H x W.

    Attributes:
        id: name, unique in its folder.
        image: H x W x 3 uint8, the occluded photo (I).
        modal_mask: H x W bool, visible person (M_m), or None.
        amodal_mask: H x W bool, whole person (M_a), or None.
        target: H x W x 3 uint8, the photo without the occluder, or None.
        occluder_mask: H x W bool, everything pasted, or None.
        parsing_amodal: H x W uint8 LIP ids of the whole person, 255 = ignore, or None.
        initial_mask: H x W bool, a segmenter's visible mask (M_i), or None.
        person_id: the person's name in the people folder.
        true_sides: whether left and right labels are the person's own.
        known_box: the box that came with the case, as of a detector.
        placement: how the occluder stands to the person, one of `priors.KINDS`; "" for plain pasting.
        neighbour_mask: H x W bool, other people beside and behind the person, or None. Later occluders may
            hide some of them.
    """

    id: str
    image: np.ndarray
    modal_mask: np.ndarray | None = None
    amodal_mask: np.ndarray | None = None
    target: np.ndarray | None = None
    occluder_mask: np.ndarray | None = None
    parsing_amodal: np.ndarray | None = None
    initial_mask: np.ndarray | None = None
    person_id: str = ""
    true_sides: bool = False
    known_box: Box | None = None
    placement: str = ""
    neighbour_mask: np.ndarray | None = None

    @cached_property
    def invisible_mask(self) -> np.ndarray | None:
        """M_inv = M_a and not M_m, H x W bool, or None."""
        if self.amodal_mask is None or self.modal_mask is None:
            return None
        return self.amodal_mask & ~self.modal_mask

    @cached_property
    def parsing_modal(self) -> np.ndarray | None:
        """Parsing of the visible person: the whole parsing where M_m, 0 elsewhere; or None."""
        if self.parsing_amodal is None or self.modal_mask is None:
            return None
        return np.where(self.modal_mask, self.parsing_amodal, 0).astype(np.uint8)

    @property
    def occlusion_ratio(self) -> float:
        """|M_inv| / |M_a| in [0, 1]; nan where unknown."""
        if self.amodal_mask is None or self.modal_mask is None:
            return float("nan")
        return occlusion_ratio(self.modal_mask, self.amodal_mask)

    @property
    def box_xyxy(self) -> Box:
        """Half-open box of the visible mask (where it is unknown: the known box, else the initial mask's)."""
        if self.modal_mask is None and self.known_box is not None:
            return self.known_box
        mask = self.modal_mask if self.modal_mask is not None else self.initial_mask
        if mask is None:
            raise DeoccError(f"case {self.id} has no visible mask, box or initial mask; give one of them")
        return mask_box(mask)

    @property
    def given_box(self) -> Box:
        """The box that came with the case, as of a detector; where none came, `box_xyxy`."""
        return self.known_box or self.box_xyxy


def unoccluded_case(person: Person, case_id: str = "") -> OcclusionCase:
    """A case of a person without an occluder: occlusion ratio 0."""
    return OcclusionCase(
        case_id or person.id, person.image, person.amodal_mask, person.amodal_mask, person.image,
        np.zeros_like(person.amodal_mask), person.parsing, None, person.id, person.true_sides,
    )  # fmt: skip


@dataclass(frozen=True)
class PasteOptions:
    """How an occluder is fitted to the photo before it is pasted."""

    cover: tuple[float, float] = (1.15, 4.0)  # occluder area over hidden area: its size follows the ratio
    rotation: float = 12.0  # largest turn in degrees, either way
    harmonise: float = 0.5  # share by which brightness and contrast move towards the photo's
    mirror: bool = True  # half of the occluders are mirrored
    soft_edge: float = 0.6  # blur of the alpha in pixels (0: hard); real borders are not one pixel sharp
    tolerance: float = 0.01  # of the ratio
    tries: int = 5  # each try enlarges the occluder by 1.35
    edge_spread: float = 0.0  # soft_edge is drawn from [soft_edge, soft_edge + this], case by case
    colour_match: float = 0.0  # largest share by which Lab colours move to the photo's (0: `harmonise`)
    match_sharpness: bool = False  # blur occluders that are sharper than the photo
    shadow: float = 0.0  # largest darkening of the photo beside the occluder
    solid_rim: bool = False  # no dark outline, see `realism.solid_rim`; off in protocol 1 of the tables


def transform_occluder(
    occluder: Occluder, scale: float, angle: float = 0.0, mirror: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """Scaled, turned, mirrored occluder: h x w x 3 uint8 colours and h x w float32 alpha in [0, 1]."""
    opacity = as_bytes(occluder.mask) * 255 if occluder.alpha is None else occluder.alpha
    colours = occluder.image
    height, width = opacity.shape
    cosine, sine = abs(np.cos(np.radians(angle))) * scale, abs(np.sin(np.radians(angle))) * scale
    new_width = max(2, int(np.ceil(width * cosine + height * sine)) + 2)
    new_height = max(2, int(np.ceil(width * sine + height * cosine)) + 2)
    if scale < 0.67:  # average before shrinking
        width, height = max(1, round(width * scale)), max(1, round(height * scale))
        colours = cv2.resize(colours, (width, height), interpolation=cv2.INTER_AREA)
        opacity = cv2.resize(opacity, (width, height), interpolation=cv2.INTER_AREA)
        scale = 1.0
    matrix = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), angle, scale)
    matrix[:, 2] += (new_width - width) / 2, (new_height - height) / 2
    size = new_width, new_height
    colours = cv2.warpAffine(colours, matrix, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    opacity = cv2.warpAffine(opacity, matrix, size, flags=cv2.INTER_LINEAR)
    if mirror:
        colours, opacity = cv2.flip(colours, 1), cv2.flip(opacity, 1)
    return colours, opacity / np.float32(255)


def _harmonise(colours: np.ndarray, alpha: np.ndarray, image: np.ndarray, share: float) -> np.ndarray:
    """Moves the occluder's brightness and contrast towards the photo's, by `share`. h x w x 3 uint8."""
    inside = as_bytes(alpha > 0.5)
    if not inside.any() or share <= 0:
        return colours
    mean, spread = _mean_and_spread(colours, inside)
    wanted, wanted_spread = _mean_and_spread(np.ascontiguousarray(image[::4, ::4]))
    gain = np.clip(((wanted_spread + 1e-3) / (spread + 1e-3)) ** share, 0.6, 1.6)
    levels = np.arange(256.0)
    return cv2.LUT(
        colours, np.clip((levels - mean) * gain + mean + share * (wanted - mean), 0, 255).astype(np.uint8)
    )


def _mean_and_spread(image: np.ndarray, mask: np.ndarray | None = None) -> tuple[float, float]:
    """Mean and standard deviation of all values of H x W x 3 uint8, where a mask (H x W uint8) is not 0."""
    means, spreads = cv2.meanStdDev(image, mask=mask)
    mean = float(means.mean())
    return mean, float(np.sqrt((spreads**2 + means**2).mean() - mean**2))


def paste(
    image: np.ndarray, colours: np.ndarray, alpha: np.ndarray, top_left: tuple[int, int]
) -> tuple[np.ndarray, np.ndarray]:
    """Blends a cut-out over a photo.

    Args:
        image: H x W x 3 uint8.
        colours, alpha: h x w x 3 uint8 and h x w float32 in [0, 1].
        top_left: (y, x), may be negative.

    Returns:
        The new photo (H x W x 3 uint8) and the mask of covered pixels (alpha >= 0.5; H x W bool).
    """
    out, covered = image.copy(), np.zeros(image.shape[:2], bool)
    y, x = top_left
    y0, x0 = max(0, y), max(0, x)
    y1, x1 = min(image.shape[0], y + alpha.shape[0]), min(image.shape[1], x + alpha.shape[1])
    if y1 <= y0 or x1 <= x0:
        return out, covered
    window = np.s_[y0:y1, x0:x1]
    source = np.s_[y0 - y : y1 - y, x0 - x : x1 - x]
    share = alpha[source][..., None]
    blend = colours[source] * share
    blend += image[window] * (1 - share)
    out[window] = np.rint(blend, out=blend)
    covered[window] = alpha[source] >= 0.5
    return out, covered


@dataclass(frozen=True)
class Cutout:
    """An occluder fitted to a photo: scaled, turned, harmonised, with a place.

    Attributes:
        colours: h x w x 3 uint8 RGB.
        alpha: h x w float32 opacity in [0, 1]; it hides where alpha >= 0.5.
        top_left: (y, x) of its corner in the photo's pixels, may be negative.
        shadow: largest darkening of the photo beside it, in [0, 1].
    """

    colours: np.ndarray
    alpha: np.ndarray
    top_left: tuple[int, int]
    shadow: float = 0.0

    @property
    def mask(self) -> np.ndarray:
        """h x w bool, where it hides what is behind."""
        return self.alpha >= 0.5


def fit_occluder(
    case: OcclusionCase,
    occluder: Occluder,
    ratio: float,
    rng: np.random.Generator,
    options: PasteOptions = PasteOptions(),
    kind: str = "anywhere",
) -> Cutout:
    """Scales, turns and places an occluder so that it hides `ratio` of a case's person; see `occlude`.

    Raises:
        PlacementError: no size and offset reach the ratio.
    """
    assert case.amodal_mask is not None and case.modal_mask is not None  # a case to occlude knows its person
    first = _plain_plan(case, occluder, ratio, rng, options)
    mirror = options.mirror and rng.random() < 0.5
    soft_edge = draw_edge(options, rng)
    occluder = solid_rim(occluder) if options.solid_rim else occluder
    for attempt in range(options.tries):
        plan = _next_plan(first, attempt, case, occluder, kind, rng)
        colours, alpha = transform_occluder(occluder, plan.scale, plan.angle, mirror)
        if soft_edge > 0:
            alpha = cv2.GaussianBlur(alpha, (0, 0), soft_edge)
        try:
            corner = _place(case, occluder, alpha >= 0.5, ratio, rng, options.tolerance, plan)
            break
        except PlacementError:
            if attempt == options.tries - 1:
                raise
    colours = _blend_in(colours, alpha, case, rng.random(), options)
    return Cutout(colours, alpha, corner, draw_shadow(options, rng))


def _plain_plan(
    case: OcclusionCase, occluder: Occluder, ratio: float, rng: np.random.Generator, options: PasteOptions
) -> Plan:
    """Size by the area to hide, any turn, any offset."""
    assert case.amodal_mask is not None
    wanted = ratio * np.count_nonzero(case.amodal_mask) * rng.uniform(*options.cover)
    scale = float(np.sqrt(wanted / np.count_nonzero(occluder.mask)))
    return Plan(scale, rng.uniform(-options.rotation, options.rotation))


def _next_plan(
    first: Plan, attempt: int, case: OcclusionCase, occluder: Occluder, kind: str, rng: np.random.Generator
) -> Plan:
    """The plan of the next try. Plain pasting enlarges by 1.35; others follow `deocc.occlusion.priors`."""
    plain = replace(first, scale=first.scale * 1.35**attempt)
    if kind == "anywhere":
        return plain
    assert case.amodal_mask is not None
    person, photo_shape = mask_box(case.amodal_mask), (case.image.shape[0], case.image.shape[1])
    if kind == "border":
        return border_plan(plain, attempt, occluder.mask.shape, person, photo_shape)
    return draw_plan(kind, attempt, occluder, person, rng)


def _place(
    case: OcclusionCase, occluder: Occluder, mask: np.ndarray, ratio: float, rng: np.random.Generator,
    tolerance: float, plan: Plan,
) -> tuple[int, int]:  # fmt: skip
    """One of the offsets that reach the ratio and lie in the plan's zone."""
    assert case.amodal_mask is not None
    if not mask.any():
        raise PlacementError(f"occluder {occluder.id} vanishes at scale {plan.scale:.3f}; use a larger one")
    offsets = fitting_offsets(case.amodal_mask, mask, ratio, tolerance, case.modal_mask)
    if plan.zone is not None:
        photo_shape = (case.image.shape[0], case.image.shape[1])
        offsets = offsets[plan.zone.admits(offsets[:, 0], offsets[:, 1], mask_box(mask), photo_shape)]
        if not len(offsets):
            raise PlacementError(
                f"no offset of occluder {occluder.id} that hides {ratio:.3f} lies where its kind stands; "
                "use another occluder or ratio"
            )
    y, x = offsets[rng.integers(len(offsets))]
    return int(y), int(x)


def _blend_in(
    colours: np.ndarray, alpha: np.ndarray, case: OcclusionCase, strength: float, options: PasteOptions
) -> np.ndarray:
    """Colours (by `strength` of their largest share) and sharpness like the photo's; h x w x 3 uint8."""
    image, person = case.image, case.amodal_mask
    assert person is not None
    if options.colour_match > 0:
        colours = match_colours(colours, alpha, image, options.colour_match * strength)
    else:
        colours = _harmonise(colours, alpha, image, options.harmonise * strength)
    return match_sharpness(colours, alpha, image, person) if options.match_sharpness else colours


def draw_edge(options: PasteOptions, rng: np.random.Generator) -> float:
    """Blur of a case's alpha, pixels."""
    return options.soft_edge + (options.edge_spread * rng.random() if options.edge_spread > 0 else 0.0)


def draw_shadow(options: PasteOptions, rng: np.random.Generator) -> float:
    """Darkening of a case's photo beside the occluder, in [0, 1]."""
    return options.shadow * rng.random() if options.shadow > 0 else 0.0


def restyle(case: OcclusionCase, cutout: Cutout, options: PasteOptions) -> Cutout:
    """The same cut-out in the same place, with each option of its look at full strength.

    For comparing looks: nothing is random. Edge, colours, sharpness and shadow apply; size, turn and place do
    not.

    Args:
        case: what it is pasted onto.
        cutout: from `fit_occluder` with `harmonise` and `soft_edge` 0, so that its look is unchanged.
        options: the looks; the edge is blurred by `soft_edge` + `edge_spread` pixels.
    """
    alpha, blur = cutout.alpha, options.soft_edge + options.edge_spread
    if blur > 0:
        alpha = cv2.GaussianBlur(alpha, (0, 0), blur)
    return Cutout(
        _blend_in(cutout.colours, alpha, case, 1.0, options), alpha, cutout.top_left, options.shadow
    )


def paste_cutout(case: OcclusionCase, cutout: Cutout, case_id: str = "") -> OcclusionCase:
    """The case with a fitted occluder in front: its image, visible mask and occluder mask change."""
    image, covered = paste(case.image, cutout.colours, cutout.alpha, cutout.top_left)
    return cover(case, image, covered, cutout.shadow, case_id)


def cover(
    case: OcclusionCase, image: np.ndarray, covered: np.ndarray, shadow: float = 0.0, case_id: str = ""
) -> OcclusionCase:
    """The case after something was painted in front of it.

    Args:
        case: before.
        image: H x W x 3 uint8, the photo with the thing.
        covered: H x W bool, the thing.
        shadow: largest darkening of the photo beside it; 0: none.
        case_id: name of the new case; "": the old one.
    """
    assert case.modal_mask is not None and case.amodal_mask is not None
    if shadow > 0:
        image = contact_shadow(image, covered, shadow, 0.05 * np.sqrt(case.amodal_mask.sum()))
    before = case.occluder_mask if case.occluder_mask is not None else np.zeros_like(covered)
    return replace(
        case,
        id=case_id or case.id,
        image=image,
        modal_mask=case.modal_mask & ~covered,
        occluder_mask=before | covered,
    )


def occlude(
    person: Person | OcclusionCase,
    occluder: Occluder,
    ratio: float,
    rng: np.random.Generator,
    options: PasteOptions = PasteOptions(),
    case_id: str = "",
    kind: str = "anywhere",
) -> OcclusionCase:
    """Pastes an occluder that hides `ratio` of the person, in addition to what is already hidden.

    The occluder's area starts at `options.cover` times the area to hide, and grows until an offset fits.
    Kinds other than "anywhere" have sizes and places of their own; the ratio stays exact.

    Args:
        person: an unoccluded person, or a case to occlude further.
        occluder: the cut-out.
        ratio: wanted hidden share of the amodal mask, in (0, 1].
        rng: every draw (size, turn, mirror, place) comes from here.
        options: how the cut-out is fitted.
        case_id: name of the new case.
        kind: one of `priors.KINDS` without "surface" (see `deocc.occlusion.kinds.occlude_as`).

    Raises:
        PlacementError: no size and offset reach the ratio.
    """
    case = unoccluded_case(person) if isinstance(person, Person) else person
    found = paste_cutout(case, fit_occluder(case, occluder, ratio, rng, options, kind), case_id)
    return found if kind == "anywhere" else replace(found, placement=kind)


def person_as_occluder(person: Person) -> Occluder:
    """Cuts a person out of their photo, to serve as an occluder."""
    x0, y0, x1, y1 = mask_box(person.amodal_mask)
    window = np.s_[y0:y1, x0:x1]
    return Occluder(person.id, person.image[window], person.amodal_mask[window], "person", person.split)
