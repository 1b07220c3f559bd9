"""Removes pixels from the visible mask whose colours are those of what hides the person.

Stage 1's border is up to a grid cell off, and pixels along it mix two colours. Such pixels, kept as visible,
show in the recovered picture as a thin line where the occluder stood, and lead the painter astray.
"""

import cv2
import numpy as np

from deocc.masks import as_bytes, distance_from, mask_box

REACH = 0.011  # farthest from the hidden part that a pixel is moved to it, as a share of the frame's side
LEAST = 2.0  # and at least so far, photo pixels; less in a frame below `SMALL` pixels
SMALL = 64.0
WINDOW = 0.009  # standard deviation of the windows of mean colours, same unit
NEARER = 1.5  # squared distance to the person's colour, in squared distances to the occluder's, to be moved
OUTLIER = 2.0  # deviations from the person's colour from which a mixture is moved too
SLACK = 12.0  # grey levels added to them; a pixel that is nearer to the person is not moved at all
MIXED = 0.25  # least share of the occluder's colour in a mixture
GRID = 384  # finest grid of mean colours along the frame's side


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
    reach, sigma = max(LEAST * min(1.0, side / SMALL), REACH * side), max(1.5, WINDOW * side)
    x0, y0, x1, y1 = mask_box(hidden)
    margin = int(np.ceil(reach + 4 * sigma))
    window = np.s_[max(0, y0 - margin) : y1 + margin, max(0, x0 - margin) : x1 + margin]
    photo, seen, hole = image[window], modal_mask[window], hidden[window]
    band = seen & (distance_from(hole) <= reach)
    bad = np.zeros_like(band)
    bad[band] = _foreign(photo, seen, hole, band, reach, sigma, min(1.0, GRID / side))
    _, labels = cv2.connectedComponents(as_bytes(bad | hole), connectivity=4)
    touching = np.zeros(int(labels.max()) + 1, bool)
    touching[np.unique(labels[hole])] = True
    kept = modal_mask.copy()
    kept[window] &= ~(bad & touching[labels])
    return kept


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
    person, known = _mean(small, sure, sigma)
    thing, covered = _mean(small, dark & (deep > 1) & (deep < 4 * sigma), sigma)
    variance = np.maximum((_mean(np.square(small), sure, sigma)[0] - np.square(person)).sum(-1), 0)

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


def _mean(values: np.ndarray, known: np.ndarray, sigma: float) -> tuple[np.ndarray, np.ndarray]:
    """Local means of known pixels, and the share that they are of the window."""
    weight = known.astype(np.float32)
    share = cv2.GaussianBlur(weight, (0, 0), sigma)
    sums = cv2.GaussianBlur(values * weight[..., None], (0, 0), sigma)
    return sums / np.maximum(share, 1e-4)[..., None], share
