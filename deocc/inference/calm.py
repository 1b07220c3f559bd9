"""Blurs of some pixels alone, and calmer paintings of body parts of which next to nothing shows."""

from typing import Any

import cv2
import numpy as np

from deocc.labels import IGNORE, LIP_CLASSES, merge_sides
from deocc.masks import around, mask_box

WIDE = 10.0  # standard deviation of wide blurs on their coarser grid, pixels; up to twice this none is wide
KEPT = 0.5  # share of the painted detail that stays in a part that shows nowhere
BLUR = 0.05  # standard deviation of the blur that tells detail from colour, in heights of the person
SHOWN = 0.1  # visible pixels of a part, as a share of its hidden ones, from which its painting stays
DRAWN = frozenset(LIP_CLASSES.index(name) for name in ("hair", "face", "sunglasses"))  # not calmed


def blurred(picture: np.ndarray, known: np.ndarray, sigma: float) -> np.ndarray:
    """A Gaussian blur of known pixels alone. Wide ones are made on a coarser grid.

    Args:
        picture: H x W x C float32.
        known: H x W bool.
        sigma: standard deviation, pixels.

    Returns:
        H x W x C float32; 0 outside the box of the known pixels.
    """
    out = np.zeros(picture.shape, np.float32)
    if not known.any():
        return out
    window = around(known)
    mask = known[window]
    sums: Any = picture[window] * mask[..., None]
    counts: Any = mask.astype(np.float32)
    height, width = mask.shape
    coarser = sigma / WIDE if sigma > 2 * WIDE else 1.0
    if coarser > 1:
        size = max(1, round(width / coarser)), max(1, round(height / coarser))
        sums, counts = (cv2.resize(maps, size, interpolation=cv2.INTER_AREA) for maps in (sums, counts))
    sums, counts = (
        cv2.GaussianBlur(maps, (0, 0), max(sigma / coarser, 0.5), borderType=cv2.BORDER_CONSTANT)
        for maps in (sums, counts)
    )
    mean = sums.reshape(*counts.shape, -1) / np.maximum(counts, 1e-8)[..., None]
    if coarser > 1:
        mean = cv2.resize(mean, (width, height), interpolation=cv2.INTER_LINEAR).reshape(height, width, -1)
    out[window] = mean
    return out


def local_mean(values: np.ndarray, known: np.ndarray, sigma: float) -> tuple[np.ndarray, np.ndarray]:
    """Means of known pixels in Gaussian windows, also where nothing is known; `blurred` is for known ones.

    Args:
        values: H x W x C float32.
        known: H x W bool.
        sigma: standard deviation of the windows, pixels.

    Returns:
        H x W x C float32, near 0 where the window holds next to nothing, and the share of the window that is
        known, H x W float32.
    """
    weight = known.astype(np.float32)
    share = cv2.GaussianBlur(weight, (0, 0), sigma)
    sums = cv2.GaussianBlur(values * weight[..., None], (0, 0), sigma)
    return sums / np.maximum(share, 1e-4)[..., None], share


def calm_unseen(
    recovered: np.ndarray,
    modal_mask: np.ndarray,
    amodal_mask: np.ndarray,
    parsing: np.ndarray,
    kept: float = KEPT,
) -> np.ndarray:
    """Weakens the painted detail of hidden clothes and limbs of which next to nothing is visible (`SHOWN`).

    A network knows their colour badly and their pattern not at all; what it paints then is mottling. Parts
    of which something shows keep what is painted: texture can be copied there. So do hair and face.

    Args:
        recovered: H x W x 3 uint8, with the hidden pixels painted.
        modal_mask, amodal_mask: H x W bool.
        parsing: H x W uint8, the part of every pixel of the whole person.
        kept: share of the detail that stays; 1 returns `recovered`.

    Returns:
        H x W x 3 uint8, `recovered` outside those parts. `recovered` itself is never written to.

    Differs from the paper: this step is ours.
    """
    hidden = amodal_mask & ~modal_mask
    if kept == 1 or not hidden.any():
        return recovered
    x0, y0, x1, y1 = mask_box(amodal_mask)
    window = np.s_[y0:y1, x0:x1]
    groups, hole = merge_sides(parsing[window]), hidden[window]
    shown, wanted = (np.bincount(groups[mask], minlength=256) for mask in (modal_mask[window], hole))
    out = recovered.copy()
    for group in np.flatnonzero((wanted > 0) & (shown < SHOWN * wanted)):
        if group in DRAWN or group in (0, IGNORE):
            continue
        part = hole & (groups == group)
        inner = around(part)
        mask = part[inner]
        pixels = out[window][inner]
        found = calm(pixels.astype(np.float32), mask, y1 - y0, kept)
        pixels[mask] = np.clip(np.rint(found), 0, 255).astype(np.uint8)
    return out


def calm(picture: np.ndarray, part: np.ndarray, height: float, kept: float = KEPT) -> np.ndarray:
    """The pixels of a part with less of their detail; P x 3 float32.

    Args:
        picture: H x W x 3 float32.
        part: H x W bool, P pixels.
        height: of the person, pixels.
        kept: share of the detail that stays.
    """
    painted = picture[part]
    colour = blurred(picture, part, BLUR * height)[part]
    return colour + kept * (painted - colour)
