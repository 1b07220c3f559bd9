"""Annotated regions of all datasets: polygons, run lengths, label pictures, MATLAB labels, boxes.

A region is small, picklable and lazy: it holds the annotation and makes a mask on demand. pycocotools, Pillow
and SciPy decode the formats. Errors that they accept silently are refused here, such as run lengths that do
not fill the photo, or polygons far outside it. Degenerate rings (points and lines that annotation tools leave
behind) are ignored if a good ring exists.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from pycocotools import mask as coco_mask

from deocc.errors import DeoccError
from deocc.io import read_labels
from deocc.people.sources.mat import read_variable
from deocc.people.sources.problems import Unusable
from deocc.people.values import as_length, shown

BoxF = tuple[float, float, float, float]
SLACK = 3.0  # pixels by which a polygon may leave the photo: annotators overshoot its border


class Region(Protocol):
    """Part of a photo."""

    def extent(self) -> BoxF | None:
        """Its box x0, y0, x1, y1 in pixels, if known without decoding."""

    def mask(self, shape: tuple[int, int]) -> np.ndarray:
        """Its mask, H x W bool. Raises: Unusable."""


@dataclass(frozen=True)
class Polygons:
    """Rings x0 y0 x1 y1 ... in pixels, filled and united, as in COCO."""

    rings: tuple[tuple[float, ...], ...]

    def _good(self) -> list[tuple[float, ...]]:
        """The rings of three points or more."""
        good = [ring for ring in self.rings if len(ring) >= 6]
        for ring in good:
            if len(ring) % 2 or not np.isfinite(ring).all():
                raise Unusable("annotation damaged", f"a polygon of {len(ring)} numbers; six or more, even")
        if good and max(map(max, good)) <= 1:
            raise Unusable("annotation damaged", "its polygon lies within 0 and 1: shares, no pixels")
        if not good:
            longest = max(map(len, self.rings), default=0)
            words = f"no ring of three points, the longest has {longest} numbers"
            raise Unusable("annotation damaged", words if longest else "no polygon at all")
        return good

    def _points(self) -> np.ndarray:
        return np.concatenate([np.reshape(ring, (-1, 2)) for ring in self._good()])

    def extent(self) -> BoxF | None:
        points = self._points()
        (x0, y0), (x1, y1) = points.min(0).tolist(), points.max(0).tolist()
        return x0, y0, x1, y1

    def mask(self, shape: tuple[int, int]) -> np.ndarray:
        x0, y0, x1, y1 = self.extent() or (0, 0, 0, 0)
        height, width = shape
        if min(x0, y0) < -SLACK or x1 > width + SLACK or y1 > height + SLACK:
            words = f"it spans {x0:.0f} {y0:.0f} {x1:.0f} {y1:.0f}, the photo is {width} x {height}"
            raise Unusable("polygon outside the photo", words)
        runs = coco_mask.frPyObjects([list(ring) for ring in self._good()], height, width)
        return _not_empty(coco_mask.decode(coco_mask.merge(runs)))


@dataclass(frozen=True)
class RunLengths:
    """COCO's run lengths, column by column, starting outside.

    Attributes:
        size: height and width according to the annotation.
        counts: lengths, or COCO's compressed string of them.
    """

    size: tuple[int, int]
    counts: tuple[int, ...] | str

    def extent(self) -> BoxF | None:
        return None

    def mask(self, shape: tuple[int, int]) -> np.ndarray:
        if tuple(self.size) != tuple(shape):
            words = f"they are for {self.size[1]} x {self.size[0]}, the photo is {shape[1]} x {shape[0]}"
            raise Unusable("run lengths of another size", words)
        runs = _decompress(self.counts) if isinstance(self.counts, str) else list(self.counts)
        if any(run < 0 for run in runs) or sum(runs) != shape[0] * shape[1]:
            words = f"they cover {sum(runs)} of {shape[0] * shape[1]} pixels"
            raise Unusable("run lengths of another size", words)
        packed = coco_mask.frPyObjects({"size": list(shape), "counts": runs}, *shape)
        return _not_empty(coco_mask.decode(packed))


def _decompress(text: str) -> list[int]:
    """Lengths in COCO's compressed string: five bits per character, differences from the third length on.

    pycocotools also decodes such strings. But it accepts lengths that do not add up to the photo, and leaves
    the rest of the mask uninitialised.
    """
    runs: list[int] = []
    value, shift = 0, 0
    for character in text:
        digit = ord(character) - 48
        if not 0 <= digit < 64 or shift > 30:
            raise Unusable("annotation damaged", f"character {character!r} in the run lengths")
        value |= (digit & 31) << shift
        shift += 5
        if digit & 32:
            continue
        if digit & 16:
            value -= 1 << shift
        runs.append(value + (runs[-2] if len(runs) > 2 else 0))
        value, shift = 0, 0
    if shift:
        raise Unusable("annotation damaged", "the run lengths end in the middle of a number")
    return runs


@dataclass(frozen=True)
class LabelPicture:
    """Pixels of a label picture (PNG, or MATLAB file).

    Attributes:
        path: the file; `field` names the variable of a .mat file.
        labels: labels that are inside; empty: every label but 0.
    """

    path: Path
    labels: tuple[int, ...] = ()
    field: str = ""

    def extent(self) -> BoxF | None:
        return None

    def mask(self, shape: tuple[int, int]) -> np.ndarray:
        labels = labels_of(self.path, self.field)
        if labels.shape != tuple(shape):
            words = f"{self.path.name} is {labels.shape[1]} x {labels.shape[0]}, "
            raise Unusable("sizes differ", words + f"the photo {shape[1]} x {shape[0]}")
        return _not_empty(np.isin(labels, self.labels) if self.labels else labels > 0)


@dataclass(frozen=True)
class BoxOnly:
    """A box x0, y0, x1, y1 in pixels; the mask is the filled box."""

    box: BoxF

    def extent(self) -> BoxF | None:
        return self.box

    def mask(self, shape: tuple[int, int]) -> np.ndarray:
        mask = np.zeros(shape, bool)
        x0, y0, x1, y1 = (max(0, round(v)) for v in self.box)
        mask[y0:y1, x0:x1] = True
        return _not_empty(mask)


def _not_empty(mask: np.ndarray) -> np.ndarray:
    if not mask.any():
        raise Unusable("mask empty", "no pixel of it lies in the photo")
    return mask.astype(bool)


def labels_of(path: Path, field: str = "") -> np.ndarray:
    """Labels of a picture or of a MATLAB file's variable. Returns: H x W uint8. Raises: Unusable."""
    try:
        changed = path.stat().st_mtime_ns
    except (OSError, ValueError):
        raise Unusable("annotation missing", f"{path.name} is not there") from None
    return _labels(path, field, changed)


@lru_cache(maxsize=4)  # the people of one photo share its label picture
def _labels(path: Path, field: str, changed: int) -> np.ndarray:
    if field:
        return _as_labels(mat_variable(path, field), path)
    try:
        return read_labels(path)
    except DeoccError as error:
        raise Unusable("annotation damaged", str(error).replace(str(path), path.name)) from None


def _as_labels(value: Any, path: Path) -> np.ndarray:
    """Checks that a variable is a label map; H x W uint8. Raises: Unusable."""
    labels = np.asarray(value)
    if labels.ndim != 2 or labels.dtype.kind not in "uifb" or not labels.size:
        raise Unusable("annotation damaged", f"{path.name} holds {labels.dtype} {labels.shape}; no label map")
    if not ((labels >= 0) & (labels <= 255) & (labels == np.floor(labels))).all():
        raise Unusable("annotation damaged", f"{path.name} has labels beyond 0 to 255")
    return labels.astype(np.uint8)


def mat_variable(path: Path, field: str) -> Any:
    """A variable of a MATLAB file; "a.b" is field b of the structure a. Raises: Unusable."""
    return read_variable(path, field)


def coco_region(segmentation: Any) -> Region:
    """The region of a COCO `segmentation`: polygons, or run lengths, compressed or not. Raises: Unusable."""
    if isinstance(segmentation, dict):
        return _run_lengths(segmentation.get("size"), segmentation.get("counts"))
    if isinstance(segmentation, list) and segmentation and _is_ring(segmentation):
        return Polygons((tuple(segmentation),))  # COCOA writes one flat ring
    if isinstance(segmentation, list) and all(isinstance(ring, list) for ring in segmentation):
        rings = [ring for ring in segmentation if len(ring) >= 6]  # others are points and lines
        if all(map(_is_ring, rings)) and (rings or all(map(_is_ring, segmentation))):
            return Polygons(tuple(tuple(ring) for ring in rings or segmentation))
    raise Unusable("annotation damaged", "the segmentation is neither polygons nor run lengths")


def _is_ring(values: Sequence[Any]) -> bool:
    return all(isinstance(v, int | float) and not isinstance(v, bool) for v in values)


def _run_lengths(size: Any, counts: Any) -> RunLengths:
    """Checks run lengths as JSON gives them. Raises: Unusable."""
    if isinstance(size, list) and len(size) == 2:
        try:
            height, width = (as_length(value, "size") for value in size)
        except DeoccError as error:
            raise Unusable("annotation damaged", f"run lengths: {error}") from None
        if isinstance(counts, str):
            return RunLengths((height, width), counts)
        if isinstance(counts, list) and _is_ring(counts) and all(c == c // 1 for c in counts):
            return RunLengths((height, width), tuple(int(count) for count in counts))
    words = f"run lengths without size [height, width] or counts ({shown(size)}, {shown(counts)})"
    raise Unusable("annotation damaged", words)
