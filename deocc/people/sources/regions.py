"""Where a person is, in the words of a dataset: polygons, run lengths, label pictures, MATLAB labels, a box.

A region is small, picklable and lazy: it holds what the annotation says and makes a mask when asked. Formats
are decoded by pycocotools, Pillow and SciPy; what they would take without a word (run lengths that do not
fill the photo, polygons far outside it) is refused here.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from pycocotools import mask as coco_mask
from scipy.io import loadmat

from deocc.errors import DeoccError
from deocc.io import read_labels

BoxF = tuple[float, float, float, float]
SLACK = 3.0  # pixels by which a polygon may leave the photo: annotators overshoot its border


class Unusable(DeoccError):
    """A candidate or photo that cannot be used.

    Attributes:
        reason: a few words, the same for all of its kind; the report counts by them.
        words: what exactly is wrong.
    """

    def __init__(self, reason: str, words: str) -> None:
        super().__init__(f"{reason}: {words}")
        self.reason, self.words = reason, words


class Region(Protocol):
    """Part of a photo."""

    def extent(self) -> BoxF | None:
        """Its box x0, y0, x1, y1 in pixels, where that is known without decoding."""

    def mask(self, shape: tuple[int, int]) -> np.ndarray:
        """Its mask, H x W bool. Raises: Unusable."""


@dataclass(frozen=True)
class Polygons:
    """Rings x0 y0 x1 y1 ... in pixels, filled and united, as COCO means them."""

    rings: tuple[tuple[float, ...], ...]

    def _points(self) -> np.ndarray:
        for ring in self.rings:
            if len(ring) < 6 or len(ring) % 2 or not np.isfinite(ring).all():
                raise Unusable("annotation damaged", f"a polygon of {len(ring)} numbers; six or more, even")
        if not self.rings:
            raise Unusable("annotation damaged", "no polygon at all")
        return np.concatenate([np.reshape(ring, (-1, 2)) for ring in self.rings])

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
        runs = coco_mask.frPyObjects([list(ring) for ring in self.rings], height, width)
        return _not_empty(coco_mask.decode(coco_mask.merge(runs)))


@dataclass(frozen=True)
class RunLengths:
    """COCO's run lengths, column by column, starting outside.

    Attributes:
        size: height and width that the annotation names.
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
    """Lengths in COCO's compressed string: five bits a character, and differences from the third length on.

    pycocotools decodes such strings too, but takes lengths that do not add up to the photo and leaves the
    rest of the mask uninitialised.
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
        labels: which labels are inside; empty: every label but 0.
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
    """A box x0, y0, x1, y1 in pixels: all that the dataset says; the mask is the filled box."""

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


@lru_cache(maxsize=4)  # the people of one photo share its label picture
def labels_of(path: Path, field: str = "") -> np.ndarray:
    """Labels of a picture or of a MATLAB file's variable. Returns: H x W uint8. Raises: Unusable."""
    if not path.is_file():
        raise Unusable("annotation missing", f"{path.name} is not there")
    if field:
        return np.asarray(mat_variable(path, field), np.uint8)
    try:
        return read_labels(path)
    except DeoccError as error:
        raise Unusable("annotation damaged", str(error).replace(str(path), path.name)) from None


def mat_variable(path: Path, field: str) -> Any:
    """A variable of a MATLAB file; "a.b" is field b of the structure a. Raises: Unusable."""
    try:
        value = loadmat(path, squeeze_me=True, struct_as_record=False)
        for i, part in enumerate(field.split(".")):
            value = value[part] if i == 0 else getattr(value, part)
        return value
    except FileNotFoundError:
        raise Unusable("annotation missing", f"{path.name} is not there") from None
    except Exception as error:  # SciPy raises whatever a damaged file makes it stumble over
        words = f"{path.name} has no readable {field} ({type(error).__name__})"
        raise Unusable("annotation damaged", words) from None


def coco_region(segmentation: Any) -> Region:
    """The region of a COCO `segmentation`: polygons, or run lengths, compressed or not. Raises: Unusable."""
    if isinstance(segmentation, dict):
        size, counts = segmentation.get("size"), segmentation.get("counts")
        good = isinstance(size, list) and len(size) == 2 and all(isinstance(v, int) for v in size)
        if good and isinstance(counts, str):
            return RunLengths((size[0], size[1]), counts)  # type: ignore[index]
        if good and isinstance(counts, list) and all(isinstance(run, int) for run in counts):
            return RunLengths((size[0], size[1]), tuple(counts))  # type: ignore[index]
        raise Unusable("annotation damaged", "run lengths without size [height, width] or counts")
    if isinstance(segmentation, list) and segmentation and _is_ring(segmentation):
        return Polygons((tuple(segmentation),))  # COCOA writes one flat ring
    if isinstance(segmentation, list) and all(isinstance(r, list) and _is_ring(r) for r in segmentation):
        return Polygons(tuple(tuple(ring) for ring in segmentation))
    raise Unusable("annotation damaged", "the segmentation is neither polygons nor run lengths")


def _is_ring(values: Sequence[Any]) -> bool:
    return all(isinstance(v, int | float) and not isinstance(v, bool) for v in values)
