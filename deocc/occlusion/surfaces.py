"""Surfaces that hide people, such as walls and fences, textured with another photo's background.

A surface has one degree of freedom, its place t along an axis. A pixel of the photo has a coordinate v (x or
y, plus the edge's tilt and roughness), and the surface covers it where its profile g(v - t) is 1. So the
hidden area for every t at once is a one-dimensional cross-correlation, of g with the histogram of v over the
person.
"""

from dataclasses import dataclass

import cv2
import numpy as np

from deocc.errors import PlacementError
from deocc.masks import Box, mask_box
from deocc.people import Person

SURFACES = ("wall", "hedge", "side", "post", "fence")
STEPS = 4  # bins of v a pixel


@dataclass(frozen=True)
class Surface:
    """A surface before it is placed.

    Attributes:
        kind: one of `SURFACES`, or "counter".
        coordinate: H x W float32, v of every photo pixel, in pixels.
        profile: n bool, g at u = 0, 1, ... (in 1 / STEPS pixels); 0 before, its last value after.
        limit: H x W bool, where the surface may be at all: a post ends at the ground.
    """

    kind: str
    coordinate: np.ndarray
    profile: np.ndarray
    limit: np.ndarray

    def _steps(self) -> np.ndarray:
        """H x W int32, v in whole steps."""
        return np.floor(self.coordinate * STEPS).astype(np.int32)

    def mask(self, place: int) -> np.ndarray:
        """H x W bool: what the surface covers at t = `place` (in steps)."""
        index = self._steps() - place
        covered = self.profile[np.clip(index, 0, len(self.profile) - 1)]
        return covered & (index >= 0) & self.limit

    def hidden(self, visible: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Hidden pixels of a mask (H x W bool) for every place that matters.

        Returns:
            places t in steps and hidden pixels at each, n int64 both.
        """
        values = self._steps()[visible & self.limit]
        if not len(values):
            return np.zeros(1, np.int64), np.zeros(1, np.int64)
        low, high = int(values.min()), int(values.max())
        histogram = np.bincount(values - low).astype(np.float32)
        span, last = high - low + 1, self.profile[-1]
        extended = np.concatenate([np.zeros(span - 1), self.profile, np.full(span, last)]).astype(np.float32)
        table = np.correlate(extended, histogram, "valid")  # entry s: t = high - s
        return high - np.arange(len(table)), np.rint(table).astype(np.int64)


def _rough(length: int, cells: int, rng: np.random.Generator) -> np.ndarray:
    """`length` float32 of smooth noise, about +-1, with waves length / cells long."""
    knots = rng.standard_normal((1, max(4, cells)), dtype=np.float32)
    return cv2.resize(knots, (length, 1), interpolation=cv2.INTER_CUBIC)[0]


def draw_surface(
    person: Box, shape: tuple[int, int], rng: np.random.Generator, kind: str | None = None
) -> Surface:
    """A random surface for a photo.

    Args:
        person: the person's box; sizes follow from its longer side.
        shape: (height, width) of the photo.
        rng: source of the draws.
        kind: one of `SURFACES`, or None for a random one.
    """
    kind = kind or SURFACES[int(rng.integers(len(SURFACES)))]
    (height, width), unit = shape, float(max(person[2] - person[0], person[3] - person[1]))
    upright = kind in ("side", "post", "fence")
    along = np.arange(height if upright else width, dtype=np.float32)
    edge = along * np.float32(rng.uniform(-0.04, 0.04) if upright else rng.uniform(-0.1, 0.1))
    if kind == "hedge":
        units = len(along) / unit  # waves a ninth and a fortieth of a person long
        edge = edge + np.float32(unit * rng.uniform(0.02, 0.06)) * _rough(len(along), int(9 * units), rng)
        edge = edge + np.float32(unit * 0.012) * _rough(len(along), int(40 * units), rng)
    across = np.arange(width if upright else height, dtype=np.float32)
    if upright and rng.random() < 0.5:
        across = -across
    coordinate = across[None] + edge[:, None] if upright else across[:, None] + edge[None]
    limit = np.ones(shape, bool)
    if upright and rng.random() < 0.7:  # its foot stands on the ground, at the feet or nearer
        limit[int(person[3] + unit * rng.uniform(0.0, 0.4)) :] = False
    return Surface(kind, coordinate, _profile(kind, unit, rng), limit)


def draw_counter(person: Box, shape: tuple[int, int], rng: np.random.Generator) -> Surface:
    """A table or counter before the person: level top, one or both ends in the photo, down to the ground or
    past the photo's border.

    Args: as of `draw_surface`.
    """
    (height, width), unit = shape, float(max(person[2] - person[0], person[3] - person[1]))
    columns = np.arange(width, dtype=np.float32)
    tilt = columns * np.float32(rng.uniform(-0.12, 0.12))
    coordinate = np.arange(height, dtype=np.float32)[:, None] + tilt[None]
    limit = np.zeros(shape, bool)
    middle = rng.uniform(person[0], person[2])
    reach = unit * rng.uniform(0.15, 1.2, 2)
    ends = [max(0, int(middle - reach[0])), min(width, int(middle + reach[1]))]
    for side, border in enumerate((0, width)):
        if rng.random() < 0.4:
            ends[side] = border
    foot = height if rng.random() < 0.6 else int(person[3] + unit * rng.uniform(-0.05, 0.3))
    limit[: max(foot, 1), ends[0] : max(ends[1], ends[0] + 1)] = True
    return Surface("counter", coordinate, np.ones(1, bool), limit)


def _profile(kind: str, unit: float, rng: np.random.Generator) -> np.ndarray:
    if kind == "post":
        return np.append(np.ones(max(2, int(STEPS * unit * rng.uniform(0.04, 0.3))), bool), False)
    if kind == "fence":
        period, share = max(4, int(STEPS * unit * rng.uniform(0.06, 0.3))), rng.uniform(0.2, 0.7)
        count = int(rng.integers(2, 9))
        return np.append(np.tile(np.arange(period) < share * period, count), False)
    return np.ones(1, bool)


def place_surface(
    surface: Surface, amodal_mask: np.ndarray, visible_mask: np.ndarray, ratio: float,
    rng: np.random.Generator, tolerance: float = 0.01,
) -> np.ndarray:  # fmt: skip
    """What a surface covers where it hides `ratio` of the person: H x W bool.

    Args:
        surface: of the photo's size.
        amodal_mask, visible_mask: H x W bool, the whole person and what is visible of them so far.
        ratio: wanted share of the amodal mask, hidden beyond what is hidden already.
        rng: picks among the places that fit.
        tolerance: largest difference between wanted and reached ratio.

    Raises:
        PlacementError: no place reaches the ratio.
    """
    places, hidden = surface.hidden(visible_mask)
    area = int(amodal_mask.sum())
    fits = places[np.abs(hidden - ratio * area) <= tolerance * area]
    if not len(fits):
        raise PlacementError(
            f"no place of a {surface.kind} hides {ratio:.3f} +- {tolerance:.3f} of the person (at most "
            f"{hidden.max() / area:.3f}); draw another one"
        )
    return surface.mask(int(fits[int(rng.integers(len(fits)))]))


def background_texture(photo: Person, shape: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """Scenery of a photo without its person, mirrored to any size.

    Args:
        photo: gives the largest strip beside, above or below the person.
        shape: (height, width) wanted.
        rng: draws zoom and place.

    Returns:
        height x width x 3 uint8.
    """
    x0, y0, x1, y1 = mask_box(photo.amodal_mask)
    image = photo.image
    strips = (image[:, :x0], image[:, x1:], image[:y0], image[y1:])
    window = max(strips, key=np.size)
    if min(window.shape[:2]) < 8:  # the person fills the photo: its rim, blurred, is all there is
        window = cv2.GaussianBlur(photo.image, (0, 0), 6)
    zoom, start = rng.uniform(0.8, 2.5), rng.uniform(0, 1, 2) * window.shape[1::-1]
    matrix = np.array([[1 / zoom, 0, start[0]], [0, 1 / zoom, start[1]]])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return cv2.warpAffine(
        window, matrix, (shape[1], shape[0]), flags=flags, borderMode=cv2.BORDER_REFLECT_101
    )
