"""From cases to the tensors that networks see: `Batch`, the online training set, and items of fixed cases."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from deocc.errors import DeoccError, PlacementError
from deocc.labels import IGNORE, swap_sides
from deocc.masks import Frame, as_bytes, mask_box, pack_bits, person_frame, unpack_bits
from deocc.occlusion.case import OcclusionCase, PasteOptions, occlude, person_as_occluder, unoccluded_case
from deocc.occlusion.kinds import occlude_as, put_behind
from deocc.occlusion.placement import RatioDensity, as_density
from deocc.occlusion.priors import PLACEMENTS, Placement
from deocc.occlusion.realism import degrade
from deocc.occlusion.segmenter_error import segmenter_error
from deocc.people import Occluder, Person
from deocc.segmenters import segmented_mask

Batch = dict[str, Tensor]
"""Tensors by name; N items of S x S pixels.

image, target: N x 3 x S x S float in [0, 1], 0 outside the photo. photo, initial_mask, modal_mask,
amodal_mask, occluder_mask: N x 1 x S x S float {0, 1}; photo is 1 inside the photo. parsing_modal,
parsing_amodal: N x S x S int64, 0..19, 255 = ignore (everywhere on a person without parsing). has_parsing,
true_sides: N bool. occlusion_ratio: N float.
"""

MASKS = ("initial_mask", "modal_mask", "amodal_mask", "occluder_mask")


@dataclass(frozen=True)
class TrainingMix:
    """What the online training set draws, case by case."""

    density: RatioDensity | str = "train"  # of occlusion ratios
    unoccluded: float = 0.04  # share of people with nothing in front
    second_occluder: float = 0.2  # share of cases with two occluders
    person_occluder: float = 0.25  # share of occluders that are other people
    true_mask: float = 0.25  # share of M_i that is the true visible mask
    box_mask: float = 0.05  # share of M_i that is only the visible mask's filled box
    segmented: float = 0.0  # share of M_i that a real segmenter makes from the occluded picture
    segmenter: str = "pose"  # which, see deocc.segmenters
    severity: tuple[float, float] = (0.2, 1.5)  # of the segmenter-error model, for the others
    frame_scale: tuple[float, float] = (1.4, 2.6)  # side of the frame over the box's longer side
    frame_shift: float = 0.2  # largest shift, in longer sides of the box
    rotation: float = 8.0  # largest turn of the frame, degrees
    stretch: float = 0.10  # largest log aspect change
    colour: float = 0.2  # strength of brightness, contrast and saturation jitter
    mirror: bool = True  # half of the items are mirrored, left and right labels swapped
    paste: PasteOptions = PasteOptions()
    placement: Placement = Placement()  # shares of where and how large occluders are
    behind: float = 0.0  # share of people with another thing or person pasted behind them
    degrade: float = 0.0  # share of items that are blurred, noised and JPEG-compressed as a whole


def _tensor_mask(mask: np.ndarray) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(mask, dtype=np.float32))[None]


def _tensor_image(image: np.ndarray) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1))).float() / 255


def _labels(parsing: np.ndarray | None, mask: np.ndarray) -> Tensor:
    """H x W int64; where there is no parsing, 255 on the person and 0 elsewhere."""
    labels = np.where(mask, IGNORE, 0) if parsing is None else parsing
    return torch.from_numpy(labels.astype(np.int64))


def _item(
    arrays: dict[str, np.ndarray], parsing: np.ndarray | None, case: OcclusionCase
) -> dict[str, Tensor]:
    """One item of a Batch (without its first axis) from frame-sized arrays."""
    modal, amodal = arrays["modal_mask"], arrays["amodal_mask"]
    visible = None if parsing is None else np.where(modal, parsing, 0)
    item = {name: _tensor_image(arrays[name]) for name in ("image", "target")}
    item |= {name: _tensor_mask(arrays[name]) for name in (*MASKS, "photo")}
    return item | {
        "parsing_modal": _labels(visible, modal),
        "parsing_amodal": _labels(parsing, amodal),
        "has_parsing": torch.tensor(parsing is not None),
        "true_sides": torch.tensor(case.true_sides),
        "occlusion_ratio": torch.tensor(case.occlusion_ratio, dtype=torch.float32),
    }


def initial_mask(case: OcclusionCase, given: str) -> np.ndarray:
    """The mask that a network is given: H x W bool.

    Args:
        case: with the mask in question.
        given: "initial" (M_i), "modal" (the true visible mask) or "box" (its filled box).

    Raises:
        DeoccError: the case lacks that mask, or it is empty.
    """
    if given not in ("initial", "modal", "box"):
        raise DeoccError(f"given={given!r} is unknown; use 'initial', 'modal' or 'box'")
    if given == "box":
        x0, y0, x1, y1 = case.box_xyxy
        mask = np.zeros(case.image.shape[:2], bool)
        mask[y0:y1, x0:x1] = True
        return mask
    found = case.initial_mask if given == "initial" else case.modal_mask
    if found is None:
        raise DeoccError(f"case {case.id}: {given}.png is missing; write it or choose another --given")
    if not found.any():
        raise DeoccError(f"case {case.id}: {given}.png is empty; mark at least part of the person")
    return found


def case_item(
    case: OcclusionCase, size: int, given: str = "initial", frame: Frame | None = None
) -> dict[str, Tensor]:
    """A fixed case as a network sees it; unknown ground truth becomes zeros (parsing: 255).

    Args:
        case: any size.
        size: side S of the network's input.
        given: "initial", "modal" or "box"; see `initial_mask`.
        frame: default: `person_frame` of the given mask, fitted to the photo.
    """
    given_mask = initial_mask(case, given)
    frame = frame or person_frame(given_mask, photo=given_mask.shape)
    empty = np.zeros(case.image.shape[:2], bool)
    full = {name: getattr(case, name) for name in MASKS[1:]} | {"initial_mask": given_mask}
    arrays = {name: frame.crop_mask(empty if mask is None else mask, size) for name, mask in full.items()}
    arrays["photo"] = frame.photo_mask(case.image.shape[:2], size)
    arrays["image"] = frame.crop_image(case.image, size)
    arrays["target"] = arrays["image"] if case.target is None else frame.crop_image(case.target, size)
    parsing = None if case.parsing_amodal is None else frame.crop_labels(case.parsing_amodal, size)
    return _item(arrays, parsing, case)


def collate(items: Sequence[dict[str, Tensor]]) -> Batch:
    """Stacks items into a Batch."""
    return {name: torch.stack([item[name] for item in items]) for name in items[0]}


def resize_person(person: Person, longer_side: float) -> Person:
    """Resamples a photo so that the person's box has this longer side, in pixels; the photo keeps 1.6 boxes
    of context each way at most (more never enters a frame)."""
    x0, y0, x1, y1 = mask_box(person.amodal_mask)
    reach = int(1.6 * max(x1 - x0, y1 - y0))
    top, left = max(0, y0 - reach), max(0, x0 - reach)
    window = np.s_[top : y1 + reach, left : x1 + reach]
    image, mask = person.image[window], person.amodal_mask[window]
    scale = longer_side / max(x1 - x0, y1 - y0)
    size = (max(2, round(mask.shape[1] * scale)), max(2, round(mask.shape[0] * scale)))
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    parsing = person.parsing
    if parsing is not None:
        parsing = cv2.resize(parsing[window], size, interpolation=cv2.INTER_NEAREST)
    small = cv2.resize(mask.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST).astype(bool)
    if not small.any():
        raise DeoccError(f"person {person.id} vanishes at {longer_side} px; remove them from people.csv")
    return replace(
        person, image=cv2.resize(image, size, interpolation=how), amodal_mask=small, parsing=parsing
    )


NATURAL_PASTE = PasteOptions(edge_spread=0.5, colour_match=0.9, match_sharpness=True, shadow=0.45)
"""Cut-outs that look less pasted."""

MIXES: dict[str, TrainingMix] = {
    "anywhere": TrainingMix(),
    "natural": TrainingMix(placement=PLACEMENTS["natural"], paste=NATURAL_PASTE, behind=0.25, degrade=0.4),
}
"""Named mixes: plain pasting, and occluders that stand, look and are as large as in real photos."""


def named_mix(name: str) -> TrainingMix:
    """One of `MIXES`. Raises: DeoccError: unknown name."""
    if name not in MIXES:
        raise DeoccError(f"training mix {name!r} is unknown; choose from {', '.join(MIXES)}")
    return MIXES[name]


class OcclusionDataset(Dataset[dict[str, Tensor]]):
    """Training cases made on the fly: item i of epoch e depends on (seed, e, i) alone.

    One item a person and epoch. Nothing in an item's frame derives from the amodal mask: the frame comes
    from the initial mask that the network is given.
    """

    def __init__(
        self,
        people: Sequence[Person],
        occluders: Sequence[Occluder],
        size: int,
        seed: int = 0,
        mix: TrainingMix = TrainingMix(),  # noqa: B008 (frozen)
        cache: bool = True,
    ):
        """
        Args:
            people: unoccluded people (a `PeopleFolder`, or several joined).
            occluders: cut-outs.
            size: side S of the items, pixels.
            seed: first part of every item's seed.
            mix: what is drawn.
            cache: keep the resampled people and occluders in memory (about 200 kB a person at S = 128).

        Raises:
            DeoccError: nobody to occlude, or nothing to occlude with.
        """
        if not len(people) or not len(occluders):
            raise DeoccError(f"{len(people)} people and {len(occluders)} occluders; training needs both")
        self.people, self.occluders, self.size, self.seed, self.mix = people, occluders, size, seed, mix
        self.density = as_density(mix.density)
        self.cache: dict[tuple[str, int], Any] | None = {} if cache else None
        self._epoch = torch.zeros(1, dtype=torch.int64).share_memory_()  # workers see set_epoch too

    def __len__(self) -> int:
        return len(self.people)

    @property
    def epoch(self) -> int:
        return int(self._epoch)

    def set_epoch(self, epoch: int) -> None:
        """Chooses the draws of an epoch. Args: epoch: >= 0."""
        self._epoch.fill_(epoch)

    def _cached(self, kind: str, index: int) -> Any:
        key = (kind, index)
        if self.cache is not None and key in self.cache:
            return self.cache[key]
        value: Any = self.occluders[index] if kind == "occluder" else self.people[index]
        if kind == "person":
            value = resize_person(value, 0.9 * self.size)
        if self.cache is not None:
            self.cache[key] = value
        return value

    def _occluder(self, index: int, rng: np.random.Generator) -> Occluder:
        if rng.random() < self.mix.person_occluder and len(self.people) > 1:
            return person_as_occluder(self._other(index, rng))
        return self._thing(rng)

    def _thing(self, rng: np.random.Generator) -> Occluder:
        return self._cached("occluder", int(rng.integers(len(self.occluders))))

    def _other(self, index: int, rng: np.random.Generator) -> Person:
        """Another person, at the items' size."""
        step = int(rng.integers(1, len(self.people))) if len(self.people) > 1 else 0
        return self._cached("person", (index + step) % len(self.people))

    def _occlude(
        self, case: OcclusionCase, index: int, ratio: float, rng: np.random.Generator
    ) -> OcclusionCase:
        kind = self.mix.placement.draw(rng)
        if kind != "anywhere":
            try:
                return occlude_as(
                    kind, case, ratio, rng, self._thing, lambda r: self._other(index, r), self.mix.paste
                )
            except PlacementError:
                pass  # this ratio is not to be had in that way: plain pasting below
        for _ in range(8):
            try:
                return occlude(case, self._occluder(index, rng), ratio, rng, self.mix.paste)
            except PlacementError:
                continue
        return case  # eight occluders too thin for this ratio: the person stays as they are

    def case(self, index: int, rng: np.random.Generator) -> OcclusionCase:
        """Draws one occlusion case of a person, without initial mask, at 0.9 S pixels a person."""
        case = unoccluded_case(self._cached("person", index))
        if self.mix.behind > 0 and rng.random() < self.mix.behind:
            case = put_behind(case, self._occluder(index, rng), rng, self.mix.paste)
        if rng.random() < self.mix.unoccluded:
            return case
        ratio = float(self.density.sample(rng))
        if rng.random() < self.mix.second_occluder and ratio > 0.1:
            first = ratio * rng.uniform(0.3, 0.7)
            case = self._occlude(case, index, first, rng)
            return self._occlude(case, index, ratio - first, rng)
        return self._occlude(case, index, ratio, rng)

    def initial(self, case: OcclusionCase, rng: np.random.Generator) -> np.ndarray:
        """Draws the mask the network is given: true, box, or wrong as segmenters are. H x W bool."""
        mix, draw = self.mix, rng.random()
        if draw < mix.true_mask + mix.box_mask:
            return initial_mask(case, "modal" if draw < mix.true_mask else "box")
        if draw < mix.true_mask + mix.box_mask + mix.segmented:
            return segmented_mask(case.image, case.box_xyxy, mix.segmenter)
        assert case.modal_mask is not None and case.amodal_mask is not None and case.occluder_mask is not None
        severity = rng.uniform(*self.mix.severity)
        return segmenter_error(case.modal_mask, case.amodal_mask, case.occluder_mask, severity, rng)

    def _matrix(self, given: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """2 x 3 affine map from item pixels to photo pixels: a jittered frame, turned and stretched."""
        mix, half = self.mix, self.size / 2
        scale = rng.uniform(*mix.frame_scale)
        shift = rng.uniform(-mix.frame_shift, mix.frame_shift, 2) / scale
        frame = person_frame(given, scale, (float(shift[0]), float(shift[1])), given.shape)
        step = frame.side / self.size
        angle = np.radians(rng.uniform(-mix.rotation, mix.rotation))
        aspect = np.exp(rng.uniform(-mix.stretch, mix.stretch) / 2)
        turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        linear = turn @ np.diag([step * aspect, step / aspect])
        if mix.mirror and rng.random() < 0.5:
            linear[:, 0] *= -1
        centre = np.array([frame.x0, frame.y0]) + frame.side / 2
        offset = centre + linear @ np.full(2, 0.5 - half) - 0.5
        return np.hstack([linear, offset[:, None]])

    def _warp(self, array: np.ndarray, matrix: np.ndarray, flag: int) -> np.ndarray:
        size = (self.size, self.size)
        return cv2.warpAffine(array, matrix, size, flags=flag | cv2.WARP_INVERSE_MAP)

    def _jitter(self, rng: np.random.Generator) -> np.ndarray:
        """A 3 x 4 colour map: brightness, contrast and saturation."""
        strength = self.mix.colour
        gain, saturation = np.exp(rng.uniform(-strength, strength, 2) * (1.0, 1.5))
        grey = np.full((3, 3), 1 / 3)
        colour = gain * (saturation * np.eye(3) + (1 - saturation) * grey)
        return np.hstack([colour, np.full((3, 1), rng.uniform(-strength, strength) * 60)])

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        return self.item(self.epoch, index)

    def item(self, epoch: int, index: int) -> dict[str, Tensor]:
        """Item of any epoch; workers that are in different epochs at once need no shared state."""
        rng = np.random.default_rng([self.seed, epoch, index])
        case = self.case(index, rng)
        given = self.initial(case, rng)
        matrix = self._matrix(given, rng)
        assert case.target is not None and case.modal_mask is not None and case.amodal_mask is not None
        assert case.occluder_mask is not None
        photo = np.ones(given.shape, bool)
        masks = (given, case.modal_mask, case.amodal_mask, case.occluder_mask, photo)
        packed = self._warp(pack_bits(masks), matrix, cv2.INTER_NEAREST)
        arrays = dict(zip((*MASKS, "photo"), unpack_bits(packed, len(masks)), strict=True))
        colour = self._jitter(rng)
        pictures = [
            cv2.transform(self._warp(picture, matrix, cv2.INTER_LINEAR), colour)
            for picture in (case.image, case.target)
        ]
        if self.mix.degrade > 0 and rng.random() < self.mix.degrade:
            pictures = degrade(pictures, rng)
        for name, picture in zip(("image", "target"), pictures, strict=True):
            arrays[name] = cv2.bitwise_and(picture, picture, mask=as_bytes(arrays["photo"]))
        parsing = case.parsing_amodal
        if parsing is not None:
            parsing = self._warp(parsing, matrix, cv2.INTER_NEAREST)
            if np.linalg.det(matrix[:, :2]) < 0:
                parsing = swap_sides(parsing)
        return _item(arrays, parsing, case)
