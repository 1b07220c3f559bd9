"""Packs: occluded people with stage 1's answers in one flat file, for training the painter.

A pack is a folder of `cases.bin` (uint8, nine bytes a pixel) and `index.json`. Loading maps the file into
memory, so that several processes share it.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple

import cv2
import numpy as np
import torch
from torch import Tensor

from deocc.errors import DeoccError
from deocc.labels import NUM_CLASSES, swap_sides
from deocc.masks import mask_box, pack_bits, painting_frame, unpack_bits
from deocc.occlusion.realism import colour_jitter

LAYERS = 9  # image 3, target 3, masks as bits 1, labels 1, stage 1's labels 1
MARGIN = 0.35  # context kept around the whole person, in longer sides of its box


class PackedCase(NamedTuple):
    """One occluded person with stage 1's answer, cropped to the person.

    Attributes:
        image, target: h x w x 3 uint8.
        modal, amodal, occluder: h x w bool.
        parsing: h x w uint8, true labels or stage 1's of the unoccluded photo.
        guess: stage 1's modal mask, amodal mask (h x w bool) and labels (h x w uint8); None: no answer.
    """

    image: np.ndarray
    target: np.ndarray
    modal: np.ndarray
    amodal: np.ndarray
    occluder: np.ndarray
    parsing: np.ndarray
    guess: tuple[np.ndarray, np.ndarray, np.ndarray] | None


class PackedWriter:
    """Writes a pack case by case, and its index at every hundredth case and at the end."""

    def __init__(self, folder: Path | str) -> None:
        self.folder = Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        if (self.folder / "index.json").exists():
            raise DeoccError(f"{self.folder} already holds a pack; give another folder")
        self.file = (self.folder / "cases.bin").open("wb")
        self.rows: list[dict[str, Any]] = []

    def __enter__(self) -> PackedWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None
    ) -> None:
        self._write_index()
        self.file.close()

    def add(self, case: Any, labels: np.ndarray, answer: Any = None) -> None:
        """Appends a case. Args: labels: H x W uint8 of the whole person; answer: a `Deocclusion` or None."""
        nothing = np.zeros_like(case.modal_mask)
        guess = (nothing, nothing) if answer is None else (answer.modal_mask, answer.amodal_mask)
        bits = pack_bits((case.modal_mask, case.amodal_mask, case.occluder_mask, *guess))
        found = np.zeros_like(bits) if answer is None else answer.parsing
        whole = case.amodal_mask if answer is None else case.amodal_mask | answer.amodal_mask
        layers = np.dstack([case.image, case.target, bits, labels, found])
        x0, y0, x1, y1 = mask_box(whole)
        reach = int(MARGIN * max(x1 - x0, y1 - y0))
        window = layers[max(0, y0 - reach) : y1 + reach, max(0, x0 - reach) : x1 + reach]
        self.file.write(np.ascontiguousarray(window).tobytes())
        self.rows.append({"shape": window.shape[:2], "guess": answer is not None, "person": case.person_id})
        if len(self.rows) % 100 == 0:
            self._write_index()

    def _write_index(self) -> None:
        self.file.flush()
        part = self.folder / "index.json.part"
        part.write_text(json.dumps(self.rows))
        part.replace(self.folder / "index.json")


class Pack(Sequence[PackedCase]):
    """Reads a pack. Raises: DeoccError: there is none, or it is cut off."""

    def __init__(self, folder: Path | str) -> None:
        folder = Path(folder)
        if not (folder / "index.json").is_file():
            raise DeoccError(f"{folder}: no index.json; make a pack with tools/prepare_painter.py")
        self.rows = json.loads((folder / "index.json").read_text())
        sizes = [LAYERS * row["shape"][0] * row["shape"][1] for row in self.rows]
        self.starts = np.concatenate([[0], np.cumsum(sizes)])
        self.bytes = np.memmap(folder / "cases.bin", np.uint8, "r")
        if len(self.bytes) < self.starts[-1]:
            raise DeoccError(f"{folder}/cases.bin is cut off; make the pack again")

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: Any) -> Any:
        index = range(len(self.rows))[index]
        row = self.rows[index]
        height, width = row["shape"]
        start = self.starts[index]
        layers = np.asarray(self.bytes[start : start + LAYERS * height * width]).reshape(
            height, width, LAYERS
        )
        modal, amodal, occluder, guess_modal, guess_amodal = unpack_bits(
            np.ascontiguousarray(layers[..., 6]), 5
        )
        guess = (guess_modal, guess_amodal, layers[..., 8]) if row["guess"] else None
        pictures = np.ascontiguousarray(layers[..., :3]), np.ascontiguousarray(layers[..., 3:6])
        return PackedCase(*pictures, modal, amodal, occluder, np.ascontiguousarray(layers[..., 7]), guess)


# ------------------------------------------------------------------------------------------------- items


@dataclass(frozen=True)
class PackedMix:
    """The random choices for packed cases."""

    predicted: float = 0.6  # share of items with stage 1's masks and labels, of those that have them
    scale: tuple[float, float] = (0.8, 1.2)  # factor of the painting frame's side
    shift: float = 0.08  # largest shift, in sides
    rotation: float = 6.0  # largest turn, degrees
    stretch: float = 0.08  # largest log aspect change
    colour: float = 0.15  # strength of brightness, contrast and saturation jitter
    thin: float = 0.5  # share of items with true masks whose visible mask loses or gains a pixel at the hole


class PackedItems:
    """Training items of the painter: item i of epoch e depends on (seed, e, i) alone.

    Args:
        packs: packs, one after the other.
        size: side of the items, pixels.
        seed: first part of every item's seed.
        mix: what is drawn.
    """

    def __init__(
        self,
        packs: Sequence[Pack],
        size: int,
        seed: int = 0,
        mix: PackedMix = PackedMix(),
    ) -> None:
        self.packs, self.size, self.seed, self.mix = packs, size, seed, mix
        self.places = [(p, i) for p, pack in enumerate(packs) for i in range(len(pack))]

    def __len__(self) -> int:
        return len(self.places)

    def item(self, epoch: int, index: int) -> dict[str, Tensor]:
        """An item of a Batch; `guidance_modal`, `guidance_amodal`: 1 x S x S; `guidance_parsing`: S x S."""
        rng = np.random.default_rng([self.seed, epoch, index])
        pack, place = self.places[index]
        case = self.packs[pack][place]
        guidance = case.guess if case.guess is not None and rng.random() < self.mix.predicted else None
        if guidance is not None and not guidance[0].any():  # stage 1 found nobody
            guidance = None
        guidance = guidance or (_frayed(case, self.mix, rng), case.amodal, case.parsing)
        matrix = self._matrix(guidance, rng)
        return _item(case, guidance, matrix, self.size, colour_jitter(self.mix.colour, rng))

    def _matrix(
        self, guidance: tuple[np.ndarray, np.ndarray, np.ndarray], rng: np.random.Generator
    ) -> np.ndarray:
        """2 x 3 map from item pixels to case pixels: the painting frame, jittered, turned, mirrored."""
        mix, half = self.mix, self.size / 2
        frame = painting_frame(guidance[0], guidance[1])
        side = frame.side * rng.uniform(*mix.scale)
        step = side / self.size
        angle = np.radians(rng.uniform(-mix.rotation, mix.rotation))
        aspect = np.exp(rng.uniform(-mix.stretch, mix.stretch) / 2)
        turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        linear = turn @ np.diag([step * aspect, step / aspect])
        if rng.random() < 0.5:
            linear[:, 0] *= -1
        centre = (
            np.array([frame.x0, frame.y0]) + frame.side / 2 + side * rng.uniform(-mix.shift, mix.shift, 2)
        )
        offset = centre + linear @ np.full(2, 0.5 - half) - 0.5
        return np.hstack([linear, offset[:, None]])


def _frayed(case: PackedCase, mix: PackedMix, rng: np.random.Generator) -> np.ndarray:
    """The true visible mask; at the hole, it loses a pixel or gains one of the occluder."""
    if rng.random() >= mix.thin:
        return case.modal
    ring = np.ones((3, 3), np.uint8)
    hidden = (case.amodal & ~case.modal).astype(np.uint8)
    if rng.random() < 0.5:
        return case.modal & ~(cv2.dilate(hidden, ring) > 0)
    return case.modal | ((cv2.dilate(case.modal.astype(np.uint8), ring) > 0) & (hidden > 0))


def _item(
    case: PackedCase,
    guidance: tuple[np.ndarray, np.ndarray, np.ndarray],
    matrix: np.ndarray,
    size: int,
    colour: np.ndarray | None,
) -> dict[str, Tensor]:
    def warp(array: np.ndarray, flag: int) -> np.ndarray:
        return cv2.warpAffine(array, matrix, (size, size), flags=flag | cv2.WARP_INVERSE_MAP)

    masks = (case.modal, case.amodal, guidance[0], guidance[0] | guidance[1], np.ones_like(case.modal))
    names = ("modal_mask", "amodal_mask", "guidance_modal", "guidance_amodal", "photo_mask")
    item: dict[str, Tensor] = {}
    packed = warp(pack_bits(masks), cv2.INTER_NEAREST)
    layers = dict(zip(names, unpack_bits(packed, len(masks)), strict=True))
    for name, mask in layers.items():
        item[name] = torch.from_numpy(mask.astype(np.float32))[None]
    for name, picture in (("image", case.image), ("target", case.target)):
        moved = warp(picture, cv2.INTER_LINEAR)
        moved = moved if colour is None else cv2.transform(moved, colour)
        moved[~layers["photo_mask"]] = 0
        item[name] = torch.from_numpy(np.ascontiguousarray(moved.transpose(2, 0, 1))).float() / 255
    for name, labels in (("guidance_parsing", guidance[2]), ("parsing_amodal", case.parsing)):
        moved = warp(labels, cv2.INTER_NEAREST)
        moved = swap_sides(moved) if np.linalg.det(matrix[:, :2]) < 0 else moved
        item[name] = torch.from_numpy(moved.astype(np.int64))
    return item


def fit_palette(packs: Sequence[Pack], size: int, count: int = 2000, seed: int = 0) -> Tensor:
    """Colours that people wear, part by part: k-means centres of parts' mean colours in CIE Lab.

    Args:
        packs: packs with targets and labels.
        size: colours a part.
        count: most people to use, spread evenly.
        seed: of the clustering.

    Returns:
        19 x size x 4 float32: RGB in [0, 1] and the share of people; 0 for parts that are rarely visible.
    """
    places = [(pack, i) for pack in packs for i in range(len(pack))]
    means: dict[int, list[np.ndarray]] = {}
    for pack, index in places[:: max(1, -(-len(places) // count))]:
        case = pack[index]
        lab = cv2.cvtColor(case.target.astype(np.float32) / 255, cv2.COLOR_RGB2LAB)
        for part in np.unique(case.parsing[case.amodal]):
            where = case.amodal & (case.parsing == part)
            if 0 < part < NUM_CLASSES and where.sum() >= 50:
                means.setdefault(int(part), []).append(lab[where].mean(0))
    palette = torch.zeros(NUM_CLASSES - 1, size, 4)
    cv2.setRNGSeed(seed)
    for part, colours in means.items():
        if len(colours) < 4 * size:
            continue
        stop = (cv2.TERM_CRITERIA_MAX_ITER, 30, 0)
        samples = np.stack(colours).astype(np.float32)
        empty = np.zeros((len(samples), 1), np.int32)
        _, label, centres = cv2.kmeans(samples, size, empty, stop, 3, cv2.KMEANS_PP_CENTERS)
        label, centres = np.asarray(label), np.asarray(centres)
        rgb = cv2.cvtColor(centres[None], cv2.COLOR_LAB2RGB)[0].clip(0, 1)
        share = np.bincount(label[:, 0], minlength=size)[:, None] / len(label)
        palette[part - 1] = torch.from_numpy(np.hstack([rgb, share]).astype(np.float32))
    return palette
