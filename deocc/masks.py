"""Geometry of masks.

A mask is H x W bool, True inside. A box is (x0, y0, x1, y1) in pixels, half-open. A point (x, y) in photo
coordinates has pixel (row y, column x) covering [x, x+1) x [y, y+1).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from deocc.errors import DeoccError

Box = tuple[int, int, int, int]
SEEN = 0.8  # share of a mask's area; where less of it is near its crop, it is too thin for the grid


def as_bytes(mask: np.ndarray) -> np.ndarray:
    """A mask (H x W bool) as H x W uint8 of 0 and 1 for OpenCV, without a copy where it is contiguous."""
    return np.ascontiguousarray(mask, bool).view(np.uint8)


def distance_from(mask: np.ndarray) -> np.ndarray:
    """Distance of each pixel from a mask (H x W bool), pixels; H x W float32, inf where the mask is empty."""
    if not mask.any():
        return np.full(mask.shape, np.inf, np.float32)
    return cv2.distanceTransform(as_bytes(~mask), cv2.DIST_L2, 5)


def mask_box(mask: np.ndarray) -> Box:
    """The tight box of a mask, (x0, y0, x1, y1), half-open.

    Raises:
        DeoccError: the mask is empty.
    """
    x, y, width, height = cv2.boundingRect(as_bytes(mask)) if mask.size else (0, 0, 0, 0)
    if not width:
        raise DeoccError("the mask is empty; mark at least the visible part of the person")
    return x, y, x + width, y + height


def around(mask: np.ndarray, margin: int = 0) -> tuple[slice, slice]:
    """Rows and columns of a mask's box with a margin, cut at the picture's border.

    Args:
        mask: H x W bool, not empty.
        margin: pixels.
    """
    x0, y0, x1, y1 = mask_box(mask)
    return slice(max(0, y0 - margin), y1 + margin), slice(max(0, x0 - margin), x1 + margin)


def pack_bits(masks: Sequence[np.ndarray]) -> np.ndarray:
    """Up to eight masks (H x W bool) as the bits of one H x W uint8 picture, so that one warp moves all."""
    packed = as_bytes(masks[0]).copy()
    for bit, mask in enumerate(masks[1:], 1):
        packed |= as_bytes(mask) << bit
    return packed


def unpack_bits(packed: np.ndarray, count: int) -> list[np.ndarray]:
    """The first `count` masks of `pack_bits`, each H x W bool."""
    return [(packed & (1 << bit)) > 0 for bit in range(count)]


def occlusion_ratio(modal_mask: np.ndarray, amodal_mask: np.ndarray) -> float:
    """The hidden share of a person, |M_a and not M_m| / |M_a|, in [0, 1]; 0 for an empty amodal mask."""
    area = np.count_nonzero(amodal_mask)
    return np.count_nonzero(amodal_mask & ~modal_mask) / area if area else 0.0


@dataclass(frozen=True)
class Frame:
    """A square window on a photo, in photo pixels; it may stick out of the photo.

    Attributes:
        x0, y0: left and upper border.
        side: length of a side, > 0.
    """

    x0: float
    y0: float
    side: float

    def _to_photo(self, size: int) -> np.ndarray:
        """2 x 3 affine map from frame pixel centres (size x size) to photo pixel centres."""
        step = self.side / size
        return np.array(
            [[step, 0, self.x0 + (step - 1) / 2], [0, step, self.y0 + (step - 1) / 2]], np.float64
        )

    def _crop(self, array: np.ndarray, size: int, interpolation: int, fill: float = 0) -> np.ndarray:
        flags = interpolation | cv2.WARP_INVERSE_MAP
        return cv2.warpAffine(array, self._to_photo(size), (size, size), flags=flags, borderValue=(fill,) * 4)

    def crop_image(self, image: np.ndarray, size: int) -> np.ndarray:
        """Resamples a photo (H x W x 3 uint8) to size x size; black outside the photo.

        Shrinking by more than 1.5 averages over areas first, so that fine texture does not alias.
        """
        step = self.side / size
        if step <= 1.5:
            return self._crop(image, size, cv2.INTER_LINEAR)
        window, offset = self._window(image)
        if not window.size:
            return np.zeros((size, size, *image.shape[2:]), image.dtype)
        scaled_size = [max(1, round(length / step)) for length in window.shape[1::-1]]
        scaled = cv2.resize(window, scaled_size, interpolation=cv2.INTER_AREA)
        fx, fy = scaled_size[0] / window.shape[1], scaled_size[1] / window.shape[0]
        forward = np.array(  # scaled-window pixel centres -> frame pixel centres
            [[1 / (fx * step), 0, (offset[0] + 0.5 / fx - self.x0) / step - 0.5],
             [0, 1 / (fy * step), (offset[1] + 0.5 / fy - self.y0) / step - 0.5]]
        )  # fmt: skip
        return cv2.warpAffine(scaled, forward, (size, size), flags=cv2.INTER_LINEAR)

    def _window(self, image: np.ndarray) -> tuple[np.ndarray, tuple[int, int]]:
        """The part of a photo under the frame and its (x, y) offset."""
        height, width = image.shape[:2]
        left, top = max(0, int(np.floor(self.x0))), max(0, int(np.floor(self.y0)))
        right = min(width, int(np.ceil(self.x0 + self.side)))
        bottom = min(height, int(np.ceil(self.y0 + self.side)))
        return image[top : max(top, bottom), left : max(left, right)], (left, top)

    def crop_mask(self, mask: np.ndarray, size: int) -> np.ndarray:
        """Resamples a mask (H x W bool) by nearest neighbour; size x size bool, False outside the photo."""
        return self._crop(as_bytes(mask), size, cv2.INTER_NEAREST).view(bool)

    def crop_masks(self, masks: Sequence[np.ndarray], size: int) -> list[np.ndarray]:
        """`crop_mask` of up to eight masks of one photo at once, as the bits of one picture."""
        return unpack_bits(self._crop(pack_bits(masks), size, cv2.INTER_NEAREST), len(masks))

    def crop_labels(self, parsing: np.ndarray, size: int) -> np.ndarray:
        """Resamples labels (H x W uint8) by nearest neighbour; size x size uint8, 0 outside the photo."""
        return self._crop(parsing, size, cv2.INTER_NEAREST)

    def misses(self, mask: np.ndarray, size: int) -> bool:
        """Whether `crop_mask` loses parts of a mask (H x W bool) that are thinner than a step of the grid."""
        return self._thin(mask, self.crop_mask(mask, size)) is not None

    def crop_rough_mask(self, mask: np.ndarray, size: int) -> np.ndarray:
        """`crop_mask`; a mask that it `misses` is resampled by areas instead: none falls through the grid.

        Such a mask gets thicker: pixels that hold half as much of it as the fullest neighbour are inside.
        """
        crop = self.crop_mask(mask, size)
        share = self._thin(mask, crop)
        if share is None:
            return crop
        return (share > 0) & (share >= cv2.dilate(share, np.ones((3, 3), np.uint8)) / 2)

    def _thin(self, mask: np.ndarray, crop: np.ndarray) -> np.ndarray | None:
        """The share of each pixel that a mask covers, if its crop lacks too much of it; else None."""
        if self.side <= len(crop):
            return None
        share = self.crop_image(mask.astype(np.float32), len(crop))
        near = cv2.dilate(as_bytes(crop), np.ones((3, 3), np.uint8)) > 0
        return share if share[~near].sum() > (1 - SEEN) * share.sum() else None

    def holds(self, x: float, y: float) -> bool:
        """Whether a point of the photo, in pixels, lies in the frame."""
        return 0 <= x - self.x0 < self.side and 0 <= y - self.y0 < self.side

    def photo_mask(self, shape: tuple[int, int], size: int) -> np.ndarray:
        """Which of the size x size frame pixels lie inside a photo of (height, width); bool."""
        return self.crop_mask(np.ones(shape, bool), size)

    def inside(self, shape: tuple[int, int]) -> tuple[slice, slice]:
        """Rows and columns of a picture (height, width) whose pixels have their centre in the frame."""
        spans = zip((self.y0, self.x0), shape, strict=True)
        rows, columns = (
            slice(*(int(np.clip(np.ceil(v - 0.5), 0, length)) for v in (low, low + self.side)))
            for low, length in spans
        )
        return rows, columns

    def fitted(self, shape: tuple[int, int]) -> "Frame":
        """The smallest square frame that shows the same photo pixels, at most as large as this one.

        Args:
            shape: (height, width) of the photo.

        Returns:
            A frame centred on the overlap of frame and photo; this frame where they do not overlap.
        """
        height, width = shape
        x0, y0 = max(0.0, self.x0), max(0.0, self.y0)
        x1, y1 = min(width, self.x0 + self.side), min(height, self.y0 + self.side)
        if x1 <= x0 or y1 <= y0:
            return self
        side = max(x1 - x0, y1 - y0)
        return Frame((x0 + x1 - side) / 2, (y0 + y1 - side) / 2, side)

    def resampled(self, array: np.ndarray, other: "Frame", size: int) -> np.ndarray:
        """Resamples a map of this frame for another frame of the same photo.

        Args:
            array: S x S x C float32, any S.
            other: where the result lies.
            size: side of the result, pixels.

        Returns:
            size x size x C float32; 0 outside this frame.
        """
        own, wanted = self.side / len(array), other.side / size  # photo pixels a pixel
        shifts = [
            (there + (wanted - 1) / 2 - here - (own - 1) / 2) / own
            for there, here in ((other.x0, self.x0), (other.y0, self.y0))
        ]
        matrix = np.array([[wanted / own, 0, shifts[0]], [0, wanted / own, shifts[1]]])
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        maps = (np.ascontiguousarray(array[..., c]) for c in range(array.shape[2]))
        return np.dstack([cv2.warpAffine(one, matrix, (size, size), flags=flags) for one in maps])

    def paste(self, array: np.ndarray, shape: tuple[int, int], mode: str = "linear") -> np.ndarray:
        """Resamples a frame-sized map back onto photo pixels.

        Args:
            array: S x S or S x S x C, float32 or uint8, any S.
            shape: (height, width) of the photo.
            mode: "linear" or "nearest".

        Returns:
            height x width [x C], dtype of `array`; 0 outside the frame.
        """
        if mode not in ("linear", "nearest"):
            raise DeoccError(f"paste mode {mode!r} is unknown; use 'linear' or 'nearest'")
        flag = cv2.INTER_LINEAR if mode == "linear" else cv2.INTER_NEAREST
        height, width = shape
        size = array.shape[0]
        x0, y0 = max(0, int(np.floor(self.x0))), max(0, int(np.floor(self.y0)))
        x1 = min(width, int(np.ceil(self.x0 + self.side)))
        y1 = min(height, int(np.ceil(self.y0 + self.side)))
        if x1 <= x0 or y1 <= y0:
            return np.zeros((height, width, *array.shape[2:]), array.dtype)
        step = size / self.side  # frame pixels a photo pixel
        matrix = np.array(
            [[step, 0, (x0 + 0.5 - self.x0) * step - 0.5], [0, step, (y0 + 0.5 - self.y0) * step - 0.5]]
        )
        columns, rows = np.arange(x1 - x0), np.arange(y1 - y0)
        if array.ndim == 3 and array.shape[2] > 4:  # OpenCV warps at most four channels at once
            layers = [self.paste(array[..., c], shape, mode) for c in range(array.shape[2])]
            return np.stack(layers, axis=2)
        patch = cv2.warpAffine(
            array,
            matrix,
            (x1 - x0, y1 - y0),
            flags=flag | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_REPLICATE,
        )
        patch = patch.reshape(*patch.shape[:2], *array.shape[2:])  # OpenCV drops an axis of length 1
        inside_x = np.abs((columns + x0 + 0.5 - self.x0) / self.side - 0.5) <= 0.5
        inside_y = np.abs((rows + y0 + 0.5 - self.y0) / self.side - 0.5) <= 0.5
        patch[~inside_y] = 0
        patch[:, ~inside_x] = 0
        if patch.shape[:2] == shape:
            return patch
        out = np.zeros((height, width, *array.shape[2:]), array.dtype)
        out[y0:y1, x0:x1] = patch
        return out


def person_frame(
    visible: np.ndarray | Sequence[float],
    scale: float = 2.0,
    shift: tuple[float, float] = (0.0, 0.0),
    photo_shape: tuple[int, int] | None = None,
) -> Frame:
    """The square frame that a network sees. It never depends on the amodal mask.

    If a person nearly fills the photo, most of a frame of twice their size lies outside the photo. Fitting
    the frame to the photo then shows the same pixels at a larger scale.

    Args:
        visible: visible (or initial) mask, H x W bool, or its box (x0, y0, x1, y1).
        scale: side of the frame over the longer side of the box (training draws 1.4-2.6).
        shift: displacement (x, y) of the centre, as a share of the frame's side (training: up to 0.2 of
            the box's longer side).
        photo_shape: (height, width) of the photo to fit the frame to (`Frame.fitted`); None: no fitting.

    Raises:
        DeoccError: empty mask, a box without area, or a scale of 0 or less.
    """
    if isinstance(visible, np.ndarray) and visible.ndim == 2:
        visible = mask_box(visible)
    box = tuple(float(v) for v in visible)
    if not (math.isfinite(scale) and scale > 0):
        raise DeoccError(f"scale is {scale}; expected a number above 0")
    if len(box) != 4 or not (box[0] < box[2] and box[1] < box[3] and all(map(math.isfinite, box))):
        raise DeoccError(f"box {tuple(box)} has no area; give x0 y0 x1 y1 with x0 < x1 and y0 < y1")
    side = scale * max(box[2] - box[0], box[3] - box[1], 2)
    centre_x, centre_y = (box[0] + box[2]) / 2 + shift[0] * side, (box[1] + box[3]) / 2 + shift[1] * side
    frame = Frame(centre_x - side / 2, centre_y - side / 2, side)
    return frame if photo_shape is None else frame.fitted(photo_shape)


def nearest_labels(labels: np.ndarray) -> np.ndarray:
    """A label map (H x W uint8) whose zeros get the label of the nearest pixel that has one, if any has."""
    known = labels > 0
    if known.all() or not known.any():
        return labels
    _, nearest = cv2.distanceTransformWithLabels(
        (~known).view(np.uint8), cv2.DIST_L2, 3, labelType=cv2.DIST_LABEL_PIXEL
    )
    table = np.zeros(nearest.max() + 1, np.uint8)
    table[nearest[known]] = labels[known]
    return table[nearest]


AROUND_HOLE = 1.8  # side of the frame in longer sides of the hole's box, within the two limits below
LEAST, MOST = 0.7, 1.15  # in longer sides of the whole person's box


def painting_frame(modal_mask: np.ndarray, amodal_mask: np.ndarray) -> Frame:
    """The square frame that the painter sees: the hole and the part of the person around it.

    It depends only on masks that stage 2 gets anyway, so it reveals nothing new.

    Args:
        modal_mask, amodal_mask: H x W bool; without a hole, the frame holds the whole person.

    Raises:
        DeoccError: both masks are empty.
    """
    whole = amodal_mask | modal_mask
    hidden = whole & ~modal_mask
    x0, y0, x1, y1 = mask_box(whole)
    hole = mask_box(hidden) if hidden.any() else (x0, y0, x1, y1)
    longest = max(x1 - x0, y1 - y0, 2)
    side = AROUND_HOLE * max(hole[2] - hole[0], hole[3] - hole[1])
    side = min(max(side, LEAST * longest), MOST * longest)
    left = _corner(x0, x1, hole[0], hole[2], side)
    return Frame(left, _corner(y0, y1, hole[1], hole[3], side), side)


def _corner(low: float, high: float, hole_low: float, hole_high: float, side: float) -> float:
    """Start of a span of `side`: centred on the hole, moved as little as needed to stay on the person."""
    if side >= high - low:
        return (low + high - side) / 2
    return min(max((hole_low + hole_high - side) / 2, low), high - side)
