"""Removes pixels from the visible mask whose colours are those of what hides the person.

Stage 1's border is up to a grid cell off, and pixels along it mix two colours. Such pixels, kept as visible,
show in the recovered picture as a thin line where the occluder stood, and lead the painter astray.
"""

import cv2
import numpy as np

from deocc.inference.blurs import local_mean
from deocc.masks import around, as_bytes, distance_from

REACH = 0.011  # farthest from the hidden part that a pixel is moved to it, as a share of the frame's side
LEAST = 2.0  # and at least so far, photo pixels; less in a frame below `SMALL` pixels
SMALL = 64.0
WINDOW = 0.009  # standard deviation of the windows of mean colours, same unit
NEARER = 1.5  # squared distance to the person's colour, in squared distances to the occluder's, to be moved
OUTLIER = 2.0  # deviations from the person's colour from which a mixture is moved too
SLACK = 12.0  # grey levels added to them; a pixel that is nearer to the person is not moved at all
MIXED = 0.25  # least share of the occluder's colour in a mixture
GRID = 384  # finest grid of mean colours along the frame's side
SOFT = 0.004  # width of the rim in which a soft edge is looked for, same unit; at least as `LEAST`
STEP = 2.0  # least distance from that rim, and from the edge, of the colours of both sides, photo pixels
APART = 20.0  # least difference of these two, and of a soft edge's pixel from the person's, grey levels
SHARE = 0.35  # least share of the occluder's colour in a soft edge's pixel
OFF = 0.35  # how far it may be from every mixture, in differences of the two; `APART` is always allowed


def without_bleed(
    image: np.ndarray, modal_mask: np.ndarray, amodal_mask: np.ndarray, side: float
) -> np.ndarray:
    """The visible mask without pixels at the hidden part that look like what hides the person.

    Colours are compared with local means: of the visible person farther in, and of the photo where the
    person is hidden. Only pixels connected with the hidden part are moved to it.

    Args:
        image: H x W x 3 uint8.
        modal_mask, amodal_mask: H x W bool; amodal contains modal.
        side: of the frame, photo pixels.

    Returns:
        H x W bool, a part of `modal_mask`.

    Differs from the paper: this step is ours.
    """
    hidden = amodal_mask & ~modal_mask
    if not hidden.any():
        return modal_mask
    reach, sigma = _width(REACH, side), max(1.5, WINDOW * side)
    window = around(hidden, int(np.ceil(reach + 4 * sigma)))
    photo, seen, hole = image[window], modal_mask[window], hidden[window]
    band = seen & (distance_from(hole) <= reach)
    bad = np.zeros_like(band)
    bad[band] = _foreign(photo, seen, hole, band, reach, sigma, min(1.0, GRID / side))
    kept = modal_mask.copy()
    kept[window] &= ~_connected(bad, hole)
    return kept


def without_soft_edge(
    image: np.ndarray, modal_mask: np.ndarray, amodal_mask: np.ndarray, side: float
) -> np.ndarray:
    """The visible mask without the soft edge of what hides the person.

    Each pixel of a narrow rim is compared with the photo a few pixels farther on, straight across the edge,
    on both sides: a soft edge is a mixture of these colours. Arguments and result as of `without_bleed`.

    Differs from the paper: this step is ours.
    """
    hidden = amodal_mask & ~modal_mask
    if not hidden.any():
        return modal_mask
    width = _width(SOFT, side)
    window = around(hidden, int(np.ceil(width + max(STEP, width))) + 2)
    photo, seen, hole = image[window], modal_mask[window], hidden[window]
    kept = modal_mask.copy()
    kept[window] &= ~_connected(_soft_edge(photo, seen, hole, width), hole)
    return kept


def _width(share: float, side: float) -> float:
    """A rim's width, photo pixels."""
    return max(LEAST * min(1.0, side / SMALL), share * side)


def _connected(bad: np.ndarray, hole: np.ndarray) -> np.ndarray:
    """The bad pixels that are connected with the hole, h x w bool."""
    _, labels = cv2.connectedComponents(as_bytes(bad | hole), connectivity=4)
    touching = np.zeros(int(labels.max()) + 1, bool)
    touching[np.unique(labels[hole])] = True
    return bad & touching[labels]


def _soft_edge(photo: np.ndarray, seen: np.ndarray, hole: np.ndarray, width: float) -> np.ndarray:
    """Visible pixels at the hole that mix the colours of both sides of its edge; h x w bool.

    Args:
        photo: h x w x 3 uint8.
        seen, hole: h x w bool.
        width: of the rim, photo pixels.
    """
    bad = np.zeros_like(hole)
    away, nearest = cv2.distanceTransformWithLabels(
        as_bytes(~hole), cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL
    )
    rim = np.argwhere(seen & (away <= width))
    if not len(rim):
        return bad
    y, x = rim.T
    places = np.zeros((int(nearest.max()) + 1, 2), np.int64)
    places[nearest[hole]] = np.argwhere(hole)
    edge = places[nearest[y, x]]
    far = np.linalg.norm(rim - edge, axis=1)
    inward = (rim - edge) / far[:, None]
    calm = cv2.GaussianBlur(photo, (0, 0), 0.6)

    def at(distance: np.ndarray | float, inside: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Colours (P x 3) at a distance from the edge, and which of these places lie inside a mask."""
        found = np.rint(edge + inward * np.reshape(distance, (-1, 1))).astype(np.int64)
        within = np.clip(found, 0, np.array(hole.shape) - 1)
        row, column = within.T
        return calm[row, column].astype(np.float32), inside[row, column] & (found == within).all(1)

    step = max(STEP, width)
    person, known = at(np.maximum(width, far) + step, seen)
    for shorter in (np.maximum(width + step / 2, far + step), np.maximum(width, far + 1.5), far + 1.5):
        colours, inside = at(shorter, seen)  # a strip may be narrower than the rim
        person = np.where((~known & inside)[:, None], colours, person)
        known |= inside
    thing, covered = at(-step, hole)
    change, way = photo[y, x].astype(np.float32) - person, thing - person
    length = np.square(way).sum(1)
    share = (change * way).sum(1) / np.maximum(length, 1)
    off = np.square(change - share[:, None] * way).sum(1)
    mixed = (share > SHARE) & (off <= np.maximum(APART**2, OFF**2 * length))
    different = (length > APART**2) & (np.square(change).sum(1) > APART**2)
    bad[y, x] = known & covered & mixed & different
    return bad


def _foreign(
    photo: np.ndarray, seen: np.ndarray, hole: np.ndarray, band: np.ndarray, reach: float, sigma: float,
    scale: float,
) -> np.ndarray:  # fmt: skip
    """Which pixels of the band look like the occluder, or like a mixture with it; B bool."""
    size = tuple(max(1, round(n * scale)) for n in hole.shape[::-1])

    def shrunk(array: np.ndarray) -> np.ndarray:
        return cv2.resize(array, size, interpolation=cv2.INTER_AREA).astype(np.float32)

    small = shrunk(photo)
    dark, light = (shrunk(255 * as_bytes(mask)) > 127 for mask in (hole, seen))
    reach, sigma = reach * scale, sigma * scale
    away, deep = distance_from(dark), distance_from(~dark)
    sure = light & (away > reach) & (away <= reach + 4 * sigma)
    person, known = local_mean(small, sure, sigma)
    thing, covered = local_mean(small, dark & (deep > 1) & (deep < 4 * sigma), sigma)
    variance = np.maximum((local_mean(np.square(small), sure, sigma)[0] - np.square(person)).sum(-1), 0)

    def at_band(maps: np.ndarray) -> np.ndarray:
        return cv2.resize(maps, hole.shape[::-1], interpolation=cv2.INTER_LINEAR)[band]

    person, thing = at_band(person), at_band(thing)
    enough = (at_band(known) > 0.01) & (at_band(covered) > 0.01)
    colours = photo[band].astype(np.float32)
    to_person, to_thing = (np.square(colours - mean).sum(-1) for mean in (person, thing))
    way = thing - person
    share = ((colours - person) * way).sum(-1) / np.maximum(np.square(way).sum(-1), 1)
    unusual = to_person > np.square(OUTLIER * np.sqrt(at_band(variance)) + SLACK)
    nearer = (NEARER * to_thing < to_person) & (to_person > SLACK**2)
    return enough & (nearer | (unusual & (share > MIXED)))
