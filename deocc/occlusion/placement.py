"""Exact-ratio placement: the hidden share for every offset at once (Sec. 4.1, where occluders are pasted).

For an occluder's mask O at offset (y, x), the hidden area of a person M is sum_p M(p) O(p - (y, x)): the
cross-correlation of M with O. One FFT gives it for every offset, so a ratio is looked up, not searched for.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np
from scipy import fft

from deocc.errors import DeoccError, PlacementError
from deocc.masks import mask_box


def hidden_area(person_mask: np.ndarray, occluder_mask: np.ndarray) -> np.ndarray:
    """Hidden pixels for every offset of the occluder that could touch the person mask's array.

    Args:
        person_mask: H x W bool.
        occluder_mask: h x w bool.

    Returns:
        (H + h - 1) x (W + w - 1) int64; entry [i, j] belongs to the top-left corner
        (y, x) = (i - h + 1, j - w + 1).
    """
    return np.rint(_correlation(person_mask, occluder_mask)).astype(np.int64)


def _correlation(person_mask: np.ndarray, occluder_mask: np.ndarray) -> np.ndarray:
    """`hidden_area` before it is rounded, float32; the FFT is off by about 0.001 of a pixel.

    Rows are transformed first, so that the zero rows of the padding cost nothing.
    """
    (height, width), (h, w) = person_mask.shape, occluder_mask.shape
    rows, columns = fft.next_fast_len(height + h - 1), fft.next_fast_len(width + w - 1, real=True)
    flipped = occluder_mask[::-1, ::-1].astype(np.float32)
    spectrum = fft.fft(fft.rfft(person_mask.astype(np.float32), columns), rows, axis=0)
    spectrum *= fft.fft(fft.rfft(flipped, columns), rows, axis=0)
    product = fft.ifft(spectrum, axis=0, overwrite_x=True)[: height + h - 1]
    return fft.irfft(product, columns)[:, : width + w - 1]


def fitting_offsets(
    amodal_mask: np.ndarray,
    occluder_mask: np.ndarray,
    ratio: float,
    tolerance: float = 0.01,
    visible_mask: np.ndarray | None = None,
) -> np.ndarray:
    """All offsets of an occluder that hide the wanted share of a person.

    Args, Raises: as `place_occluder`.

    Returns:
        N x 2 int64, (y, x) of the occluder's top-left corner in the person's array, row by row; N >= 1.
    """
    if not 0 < ratio <= 1:
        raise DeoccError(f"occlusion ratio {ratio} is outside (0, 1]; choose one inside")
    if not amodal_mask.any() or not occluder_mask.any():
        raise DeoccError("the person's or the occluder's mask is empty; both need at least one pixel")
    x0, y0, x1, y1 = mask_box(amodal_mask)
    visible = amodal_mask if visible_mask is None else visible_mask
    left, top, right, bottom = 0, 0, occluder_mask.shape[1], occluder_mask.shape[0]
    if ratio > tolerance:  # offsets at which nothing is hidden do not fit: margins without a pixel can go
        left, top, right, bottom = mask_box(occluder_mask)
    part = occluder_mask[top:bottom, left:right]
    hidden = _correlation(visible[y0:y1, x0:x1], part)
    area = int(np.count_nonzero(amodal_mask))
    low, high = np.ceil((ratio - tolerance) * area) - 0.5, np.floor((ratio + tolerance) * area) + 0.5
    fits = cv2.findNonZero(cv2.inRange(hidden, low, high))  # whole numbers of pixels between the limits
    if fits is None:
        raise PlacementError(
            f"no offset hides {ratio:.3f} +- {tolerance:.3f} of the person (at most "
            f"{np.rint(hidden.max()) / area:.3f}); use a larger occluder or another ratio"
        )
    corner = np.array([y0 - part.shape[0] + 1 - top, x0 - part.shape[1] + 1 - left])
    return fits.reshape(-1, 2)[:, ::-1] + corner


def place_occluder(
    amodal_mask: np.ndarray,
    occluder_mask: np.ndarray,
    ratio: float,
    rng: np.random.Generator,
    tolerance: float = 0.01,
    visible_mask: np.ndarray | None = None,
) -> tuple[int, int]:
    """Draws one of all offsets that hide the wanted share of the person.

    Args:
        amodal_mask: H x W bool, the whole person.
        occluder_mask: h x w bool, of any size.
        ratio: wanted hidden share |M_a and O| / |M_a|, in (0, 1].
        rng: source of the draw.
        tolerance: largest difference between wanted and reached ratio.
        visible_mask: H x W bool, what is still visible when other occluders lie there already; `ratio` is
            then what this occluder hides beyond them. Default: `amodal_mask`.

    Returns:
        (y, x) of the occluder's top-left corner in the person's array; may be negative.

    Raises:
        PlacementError: no offset reaches the ratio.
        DeoccError: empty masks or a ratio outside (0, 1].

    Source: Sec. 1, reason (c) for the dataset; claim `ratio_control`.
    """
    offsets = fitting_offsets(amodal_mask, occluder_mask, ratio, tolerance, visible_mask)
    y, x = offsets[rng.integers(len(offsets))]
    return int(y), int(x)


@dataclass(frozen=True)
class RatioDensity:
    """A density of occlusion ratios: straight lines through knots, zero outside them.

    Attributes:
        ratios: increasing knots in [0, 1].
        heights: relative density at each knot, >= 0, not all 0.
    """

    ratios: tuple[float, ...]
    heights: tuple[float, ...]

    def __post_init__(self) -> None:
        x, h = np.asarray(self.ratios), np.asarray(self.heights)
        good = len(x) == len(h) >= 2 and (np.diff(x) > 0).all() and x[0] >= 0 and x[-1] <= 1
        if not (good and (h >= 0).all() and h.any()):
            raise DeoccError(
                f"ratio density {self}: knots must increase in [0, 1], heights be >= 0, not all 0"
            )

    @classmethod
    def uniform(cls, low: float, high: float) -> "RatioDensity":
        """The uniform density on [low, high]."""
        return cls((low, high), (1.0, 1.0))

    @cached_property
    def _cumulative(self) -> tuple[np.ndarray, np.ndarray]:
        """A grid of ratios, and the cumulative density there."""
        grid = np.union1d(np.linspace(self.ratios[0], self.ratios[-1], 512), self.ratios)
        heights = np.interp(grid, self.ratios, self.heights)
        steps = np.diff(grid) * (heights[1:] + heights[:-1]) / 2
        total = np.concatenate([[0.0], np.cumsum(steps)])
        return grid, total / total[-1]

    def sample(self, rng: np.random.Generator, count: int | None = None) -> np.ndarray | float:
        """Draws ratios by the inverse of the cumulative density. Returns: float, or `count` float64."""
        grid, cumulative = self._cumulative
        return np.interp(rng.random(count), cumulative, grid)


DENSITIES: dict[str, RatioDensity] = {
    # More of the middle ratios: very low ones teach little, very high ones are guesses.
    "train": RatioDensity((0.02, 0.15, 0.5, 0.75), (0.6, 1.0, 1.0, 0.25)),
    "val": RatioDensity.uniform(0.08, 0.65),
}
"""Named densities. The paper's own are unpublished; these are ours."""


def as_density(value: "RatioDensity | str | Sequence[float]") -> RatioDensity:
    """A density from itself, a name in `DENSITIES`, or a (low, high) pair."""
    if isinstance(value, RatioDensity):
        return value
    if isinstance(value, str):
        if value not in DENSITIES:
            raise DeoccError(f"ratio density {value!r} is unknown; choose from {', '.join(DENSITIES)}")
        return DENSITIES[value]
    low, high = value
    if low >= 1:
        raise DeoccError(
            "a hidden share of 1 leaves nothing of the person to see; give a lowest share below 1"
        )
    return RatioDensity((low, low + 1e-9), (1.0, 1.0)) if low == high else RatioDensity.uniform(low, high)
