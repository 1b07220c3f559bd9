"""Calms the paintings of body parts of which next to nothing shows."""

import numpy as np

from deocc.inference.blurs import blurred
from deocc.labels import IGNORE, LIP_CLASSES, merge_sides
from deocc.masks import around, mask_box

KEPT = 0.5  # share of the painted detail that stays in a part that shows nowhere
BLUR = 0.05  # standard deviation of the blur that tells detail from colour, in heights of the person
SHOWN = 0.1  # visible pixels of a part, as a share of its hidden ones, from which its painting stays
DRAWN = frozenset(LIP_CLASSES.index(name) for name in ("hair", "face", "sunglasses"))  # not calmed


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
