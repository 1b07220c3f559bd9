"""`OcclusionDataset`: training cases made on the fly."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from deocc.errors import DeoccError, PlacementError
from deocc.labels import swap_sides
from deocc.masks import as_bytes, mask_box, pack_bits, person_frame, unpack_bits
from deocc.occlusion.batch import MASKS, batch_item, prompt_mask
from deocc.occlusion.cache import BoundedCache
from deocc.occlusion.case import OcclusionCase, occlude, person_as_occluder, unoccluded_case
from deocc.occlusion.cropping import cut_by_photo
from deocc.occlusion.hand_masks import hand_drawn
from deocc.occlusion.kinds import occlude_as, occlude_with_surface, put_behind
from deocc.occlusion.mix import PLAIN, TrainingMix
from deocc.occlusion.neighbours import add_neighbour, swallow_neighbour
from deocc.occlusion.placement import as_density
from deocc.occlusion.realism import colour_jitter, degrade
from deocc.occlusion.segmenter_error import segmenter_error
from deocc.occlusion.surfaces import draw_counter
from deocc.people import Occluder, Person
from deocc.segmenters import segmented_mask

CACHE_BYTES = 2**30  # that a training set keeps of people and occluders; AHP's people would take 43 GB


def resize_person(person: Person, longer_side: float) -> Person:
    """Resamples a photo so that the person's box has this longer side, in pixels.

    At most 1.6 boxes of context are kept on each side; more never enters a frame. Mask and parsing are
    sampled at the corners of the new pixels, not at their centres: half a pixel off the photo, see
    `docs/departures.md`.
    """
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


def _seen(case: OcclusionCase) -> OcclusionCase:
    """The case. Raises: PlacementError: nothing of its person is visible."""
    if case.modal_mask is None or not case.modal_mask.any():
        raise PlacementError(f"{case.id}: the occluder hides the person completely")
    return case


class OcclusionDataset(Dataset[dict[str, Tensor]]):
    """Training cases made on the fly: item i of epoch e depends on (seed, e, i) alone.

    Each epoch has one item a person. An item's frame comes from the initial mask, never from the amodal mask.
    But the photo is first resampled so that the whole person measures 0.9 S: its sharpness in the frame tells
    the whole person's size, see `docs/limitations.md`.
    """

    def __init__(
        self,
        people: Sequence[Person],
        occluders: Sequence[Occluder],
        size: int,
        seed: int = 0,
        mix: TrainingMix = PLAIN,
        cache: int = CACHE_BYTES,
    ):
        """
        Args:
            people: unoccluded people (a `PeopleFolder`, or several joined).
            occluders: cut-outs.
            size: side S of the items, pixels.
            seed: first part of every item's seed.
            mix: what is drawn.
            cache: bytes of resampled people and occluders to keep in memory, over all workers (about 200 kB a
                person at S = 128, 800 kB at 256); 0: none, a third slower (`BoundedCache`).

        Raises:
            DeoccError: nobody to occlude, or nothing to occlude with, or shares of M_i that exceed 1.
        """
        if not len(people) or not len(occluders):
            raise DeoccError(f"{len(people)} people and {len(occluders)} occluders; training needs both")
        given = mix.true_mask + mix.box_mask + mix.segmented + mix.hand_mask
        if given > 1 + 1e-9:
            raise DeoccError(
                f"training mix: true_mask {mix.true_mask:g} + box_mask {mix.box_mask:g} + segmented "
                f"{mix.segmented:g} + hand_mask {mix.hand_mask:g} is {given:g}; these shares of "
                "M_i may reach 1 together: lower one"
            )
        self.people, self.occluders, self.size, self.seed, self.mix = people, occluders, size, seed, mix
        self.density = as_density(mix.density)
        self.cache = BoundedCache(cache)
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
        return self.cache.get((kind, index), lambda: self._made(kind, index))

    def _made(self, kind: str, index: int) -> Any:
        value: Any = self.occluders[index] if kind == "occluder" else self.people[index]
        if kind == "cut":
            value = cut_by_photo(value, np.random.default_rng([self.seed, 1 + index]))
        return value if kind == "occluder" else resize_person(value, 0.9 * self.size)

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
        if self.mix.counter > 0 and rng.random() < self.mix.counter:
            try:
                scenery = self._other(index, rng)
                return _seen(occlude_with_surface(case, scenery, ratio, rng, self.mix.paste, draw_counter))
            except PlacementError:
                pass  # a counter that cannot hide that much
        kind = self.mix.placement.draw(rng)
        if kind != "anywhere":
            try:
                other = partial(self._other, index)
                return _seen(occlude_as(kind, case, ratio, rng, self._thing, other, self.mix.paste))
            except PlacementError:
                pass  # this ratio cannot be reached in that way: plain pasting below
        for _ in range(8):
            try:
                return _seen(occlude(case, self._occluder(index, rng), ratio, rng, self.mix.paste))
            except PlacementError:
                continue
        return case  # eight occluders unfit for this ratio: the person stays as they are

    def case(self, index: int, rng: np.random.Generator) -> OcclusionCase:
        """Draws one occlusion case of a person, without initial mask, at 0.9 S pixels a person."""
        cut = self.mix.cut > 0 and rng.random() < self.mix.cut
        case = unoccluded_case(self._cached("cut" if cut else "person", index))
        if self.mix.neighbour > 0 and rng.random() < self.mix.neighbour:
            for _ in range(1 + int(rng.random() < 0.3)):
                other = person_as_occluder(self._other(index, rng))
                case = add_neighbour(case, other, rng, self.mix.paste)
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
        """Draws M_i: the true mask, a box, or one with a segmenter's errors. H x W bool."""
        mix, draw = self.mix, rng.random()
        if draw < mix.true_mask + mix.box_mask:
            return prompt_mask(case, "modal") if draw < mix.true_mask else self._box_mask(case, rng)
        if draw < mix.true_mask + mix.box_mask + mix.segmented:
            return segmented_mask(case.image, case.box_xyxy, mix.segmenter)
        assert case.modal_mask is not None and case.amodal_mask is not None and case.occluder_mask is not None
        if draw < mix.true_mask + mix.box_mask + mix.segmented + mix.hand_mask:
            return hand_drawn(case.modal_mask, rng)
        severity = rng.uniform(*self.mix.severity)
        wrong = segmenter_error(case.modal_mask, case.amodal_mask, case.occluder_mask, severity, rng)
        if mix.swallow > 0 and rng.random() < mix.swallow:
            return swallow_neighbour(wrong, case, rng)
        return wrong

    def _box_mask(self, case: OcclusionCase, rng: np.random.Generator) -> np.ndarray:
        """The visible mask's filled box; the sides vary as the mix says."""
        mask = prompt_mask(case, "box")
        if self.mix.box_slack <= 0:
            return mask
        x0, y0, x1, y1 = case.box_xyxy
        off = rng.normal(0, self.mix.box_slack, 4) * np.tile([x1 - x0, y1 - y0], 2)
        left, top, right, bottom = (max(0, round(v)) for v in np.array([x0, y0, x1, y1]) + off)
        moved = np.zeros_like(mask)
        moved[top:bottom, left:right] = True
        return moved if moved.any() else mask

    def _matrix(self, initial: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """2 x 3 affine map from item pixels to photo pixels: a jittered frame, turned and stretched."""
        mix, half = self.mix, self.size / 2
        scale = rng.uniform(*mix.frame_scale)
        shift = rng.uniform(-mix.frame_shift, mix.frame_shift, 2) / scale
        frame = person_frame(initial, scale, (float(shift[0]), float(shift[1])), initial.shape)
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

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        return self.item(self.epoch, index)

    def item(self, epoch: int, index: int) -> dict[str, Tensor]:
        """Item of any epoch. It needs no shared state, so workers may be in different epochs at once."""
        rng = np.random.default_rng([self.seed, epoch, index])
        case = self.case(index, rng)
        initial = self.initial(case, rng)
        matrix = self._matrix(initial, rng)
        assert case.target is not None and case.modal_mask is not None and case.amodal_mask is not None
        assert case.occluder_mask is not None
        photo_mask = np.ones(initial.shape, bool)
        masks = (initial, case.modal_mask, case.amodal_mask, case.occluder_mask, photo_mask)
        packed = self._warp(pack_bits(masks), matrix, cv2.INTER_NEAREST)
        arrays = dict(zip((*MASKS, "photo_mask"), unpack_bits(packed, len(masks)), strict=True))
        colour = colour_jitter(self.mix.colour, rng)
        pictures = [
            cv2.transform(self._warp(picture, matrix, cv2.INTER_LINEAR), colour)
            for picture in (case.image, case.target)
        ]
        if self.mix.degrade > 0 and rng.random() < self.mix.degrade:
            pictures = degrade(pictures, rng)
        for name, picture in zip(("image", "target"), pictures, strict=True):
            arrays[name] = cv2.bitwise_and(picture, picture, mask=as_bytes(arrays["photo_mask"]))
        parsing = case.parsing_amodal
        if parsing is not None:
            parsing = self._warp(parsing, matrix, cv2.INTER_NEAREST)
            if np.linalg.det(matrix[:, :2]) < 0:
                parsing = swap_sides(parsing)
        return batch_item(arrays, parsing, case)
