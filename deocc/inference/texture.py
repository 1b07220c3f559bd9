"""Gives painted body parts the fine texture of their visible pixels.

A small network paints smooth colours. The fine detail of a shirt, which a blur of 2 % of the person's size
removes, is similar all over the shirt. So hidden pixels get the detail of visible pixels of the same body
part: whole pieces, shifted by the few vectors that cover most of the hidden part.
"""

import cv2
import numpy as np

from deocc.labels import LIP_CLASSES, NUM_CLASSES, swap_sides
from deocc.masks import mask_box

GAIN = 0.5  # share of the detail that is added; see data/results/content-quality-study.md
BLUR = 0.02  # standard deviation of the blur that tells detail from colour, in sides of the person's box
SEARCH = 128  # side of the masks on which shifts are searched, pixels
SHIFTS = 4  # a part
FARTHER = 0.3  # cost of a shift by four widths of the hidden part, in shares of it left uncovered
PIECE = 0.1  # least share of a hidden part that a shift must cover: snippets would repeat like stripes
RIM = 0.01  # width of a part's border that is not copied, in sides of the person's box: seams, not texture
ENOUGH = 30  # visible pixels without which a part has no texture
PLAIN = frozenset({LIP_CLASSES.index("face")})  # parts of structure, not of texture: shifted eyes are no face


def transfer_texture(
    image: np.ndarray,
    recovered: np.ndarray,
    modal_mask: np.ndarray,
    amodal_mask: np.ndarray,
    parsing: np.ndarray,
    gain: float = GAIN,
) -> np.ndarray:
    """Adds the detail of visible pixels of the same body part to the hidden ones.

    Args:
        image: H x W x 3 uint8, the photo.
        recovered: H x W x 3 uint8, with the hidden pixels painted.
        modal_mask, amodal_mask: H x W bool.
        parsing: H x W uint8, the part of every pixel of the whole person; 0 and 255 get no texture.
        gain: share of the detail that is added; 0 returns `recovered`.

    Returns:
        H x W x 3 uint8, `recovered` outside the invisible mask. `recovered` itself is never written to.

    Source: ours; patches found by few dominant shifts as in He and Sun 2012, high-frequency residuals copied
    from what an inpainter attends to as in Yi et al. 2020.
    Differs from the paper: this step is ours.
    """
    hidden = amodal_mask & ~modal_mask
    if not gain or not hidden.any() or not modal_mask.any():
        return recovered
    x0, y0, x1, y1 = mask_box(amodal_mask)
    window = np.s_[y0:y1, x0:x1]
    seen, hole, labels = modal_mask[window], hidden[window], parsing[window]
    photo = image[window].astype(np.float32)
    texture = np.zeros_like(photo)
    for part in np.unique(labels[hole]):
        if part == 0 or part >= NUM_CLASSES or part in PLAIN:
            continue
        where = _source(labels, seen, part)
        target = hole & (labels == part)
        if where.sum() < ENOUGH:
            continue
        detail = _detail(photo, where)
        detail *= min(1.0, where.sum() / target.sum())  # little material spreads thin
        for rows, columns, up, left in _pieces(target, _inside(where)):
            texture[rows, columns] = detail[rows + up, columns + left]
    out = recovered.copy()
    pixels = out[window]
    mended = pixels[hole] + np.float32(gain) * texture[hole]
    pixels[hole] = np.clip(np.rint(mended), 0, 255).astype(np.uint8)
    return out


def _source(labels: np.ndarray, seen: np.ndarray, part: np.uint8) -> np.ndarray:
    """Where a part is visible, or else its twin; h x w bool."""
    where = seen & (labels == part)
    return where if where.sum() >= ENOUGH else seen & (labels == swap_sides(np.asarray(part)))


def _inside(where: np.ndarray) -> np.ndarray:
    """A region without its rim."""
    side = 1 + 2 * max(1, round(RIM * max(where.shape)))
    return cv2.erode(where.astype(np.uint8), np.ones((side, side), np.uint8), borderValue=0) > 0


def _detail(photo: np.ndarray, where: np.ndarray) -> np.ndarray:
    """The photo minus its blur inside a region; h x w x 3 float32, 0 outside."""
    height, width = where.shape
    scale = min(1.0, 2 * SEARCH / max(height, width))
    sigma = max(1.0, BLUR * max(height, width) * scale)
    small = max(1, round(width * scale)), max(1, round(height * scale))
    known = np.dstack([photo * where[..., None], where]).astype(np.float32)
    blurred = cv2.GaussianBlur(cv2.resize(known, small, interpolation=cv2.INTER_AREA), (0, 0), sigma)
    blurred = cv2.resize(blurred, (width, height), interpolation=cv2.INTER_LINEAR)
    return (photo - blurred[..., :3] / np.maximum(blurred[..., 3:], 1e-3)) * where[..., None]


def _pieces(target: np.ndarray, where: np.ndarray) -> list[tuple[np.ndarray, np.ndarray, int, int]]:
    """Covers a hidden region with shifted pieces of a visible one.

    Returns:
        Rows and columns of the pixels that a shift serves, and the shift that leads to their source.
    """
    height, width = target.shape
    scale = min(1.0, SEARCH / max(height, width))
    small = max(1, round(width * scale)), max(1, round(height * scale))
    shrunk = [cv2.resize(m.astype(np.float32), small, interpolation=cv2.INTER_AREA) for m in (target, where)]
    rows, columns = np.nonzero(target)
    pieces = []
    for down, right in dominant_shifts(shrunk[0] > 0.5, shrunk[1] > 0.5):
        up, left = round(down / scale), round(right / scale)
        y, x = rows + up, columns + left
        fits = (y >= 0) & (y < height) & (x >= 0) & (x < width)
        fits[fits] = where[y[fits], x[fits]]
        pieces.append((rows[fits], columns[fits], up, left))
        rows, columns = rows[~fits], columns[~fits]
    return pieces


def dominant_shifts(target: np.ndarray, source: np.ndarray, count: int = SHIFTS) -> list[tuple[int, int]]:
    """The shifts that move most of one region into another; each covers what the earlier ones left.

    Args:
        target, source: h x w bool.
        count: at most so many.

    Returns:
        (down, right) in pixels: target pixel (y, x) finds its source at (y + down, x + right).
    """
    size = tuple(cv2.getOptimalDFTSize(2 * n) for n in target.shape)
    seen = np.fft.rfft2(source.astype(np.float32), size)
    down, right = np.fft.fftfreq(size[0], 1 / size[0])[:, None], np.fft.fftfreq(size[1], 1 / size[1])[None]
    whole = target.sum()
    cost = FARTHER * np.hypot(down, right) / (4 * np.sqrt(max(whole, 1)) + 1)
    left = target.copy()
    shifts: list[tuple[int, int]] = []
    while len(shifts) < count and left.sum() >= max(4, PIECE * whole):
        covered = np.fft.irfft2(np.conj(np.fft.rfft2(left.astype(np.float32), size)) * seen, size)
        best = np.unravel_index((covered / left.sum() - cost).argmax(), size)
        if covered[best] < max(1, PIECE * whole):
            break
        shift = int(down[best[0], 0]), int(right[0, best[1]])
        shifts.append(shift)
        left &= ~_shifted(source, shift)
    return shifts


def _shifted(source: np.ndarray, shift: tuple[int, int]) -> np.ndarray:
    """Pixels (y, x) for which (y + down, x + right) lies in the region."""
    out = np.zeros_like(source)
    (height, width), (down, right) = source.shape, shift
    y0, y1, x0, x1 = max(0, -down), min(height, height - down), max(0, -right), min(width, width - right)
    if y0 < y1 and x0 < x1:
        out[y0:y1, x0:x1] = source[y0 + down : y1 + down, x0 + right : x1 + right]
    return out
