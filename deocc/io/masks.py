"""Reads masks that other programs wrote.

These rules decide which pixels are inside:

1. A varying alpha channel is the mask, whatever the colours are. A constant one is ignored, and the colours
   decide.
2. Grey values (in any format, also a grey palette). If there are two values and one is 0, the other is
   inside, however small. Of two other values that clearly differ, the brighter is inside. A picture with more
   values is a soft mask if most pixels are near either end. It is cut half-way between the darkest and the
   brightest value.
3. Colours: two, or a soft mask between two. If one is black, the other is inside. Otherwise the colour that
   fills the picture's border is the background. VOC's void colour is outside.
4. Everything else is refused, and the message names the fix: label maps of several people or parts, photos,
   values without contrast. `check_polarity` also refuses masks that look inverted.
"""

import logging
from dataclasses import dataclass
from typing import Any, NoReturn

import cv2
import numpy as np
from PIL import Image, ImageChops

from deocc.errors import DeoccError
from deocc.io.names import PathLike
from deocc.io.pictures import decode, has_alpha

log = logging.getLogger("deocc")

MEND = "save the person white on black in one 8-bit channel"
CONTRAST = 1 / 8  # of the full range: two greys or a soft mask that differ by less are labels, not brightness
SOME = 1_000_000  # pixels of a large picture that are enough to know its colours
ENDS = 0.5  # least share of a soft mask's pixels within 5 % of either end; photos have 0.0 to 0.1
SOLID = 400  # pixels amid areas clearly between the ends from which their texture is looked at
GRAIN = (
    0.015  # most of those that are brighter or darker than all neighbours: masks 0.001, photos 0.02 to 0.1
)
LEVELS = 64  # a soft mask of fewer values may be a label map
FEW = 8  # among more values than this, those within 5 % of an end count as the end: lossy files ring
PLATEAU = 16  # pixels amid areas of one middle value from which it may be,
INNER = 0.3  # and their share of the pixels of middle values
JUMPS = 0.1  # share of the borders between values that skip one: soft masks climb step by step, labels do not
GREYISH = 24  # largest difference between channels of a grey pixel, as JPEG leaves it
MOST = 0.97  # share of pixels that must be grey, or lie between two colours: JPEG smears the rest
ASIDE = 48  # largest distance from the line between two colours
AREA = 7  # side of a square of pixels off that line that is a third colour: JPEG's smear is narrower
BLACK, WHITE = 40, 215  # brightest channel of black, darkest channel of white
VOID = (224, 224, 192)  # of VOC's palette, index 255
BORDER = 0.6  # share of the picture's outermost pixels from which something counts as the background


@dataclass(frozen=True)
class MaskFile:
    """A mask as it was read.

    Attributes:
        mask: H x W bool.
        orientation: the file's EXIF orientation, 1..8; already applied to the mask.
        notes: decisions that were not obvious, one sentence each.
    """

    mask: np.ndarray
    orientation: int = 1
    notes: tuple[str, ...] = ()


class _Unclear(Exception):
    """The picture is not a mask; the message says what it holds instead."""


def read_mask_file(path: PathLike) -> MaskFile:
    """Reads a mask by the rules of `deocc.io.masks`.

    Raises:
        DeoccError: as `read_image`, or no rule decides what is inside; the message names the fix.
    """
    decoded = decode(path)
    try:
        mask = _decide(decoded.image, decoded.notes)
    except _Unclear as unclear:
        raise DeoccError(f"{path}: no plain mask, {unclear}; {MEND}") from None
    return MaskFile(mask, decoded.orientation, tuple(decoded.notes))


def read_mask(path: PathLike) -> np.ndarray:
    """The mask of `read_mask_file`; decisions that were not obvious go to the log.

    Returns:
        H x W bool.

    Raises:
        DeoccError: as `read_mask_file`.
    """
    file = read_mask_file(path)
    for note in file.notes:
        log.info("%s: %s", path, note)
    return file.mask


def border_share(mask: np.ndarray) -> float:
    """The share of a picture's outermost pixels that a mask (H x W bool) covers, in [0, 1]."""
    ring = [mask[0], mask[-1], mask[1:-1, 0], mask[1:-1, -1]]
    return float(np.concatenate(ring).mean()) if mask.size else 0.0


def check_polarity(mask: np.ndarray, name: object) -> None:
    """Refuses a mask that covers most of the picture's border, as inverted masks do.

    Args:
        mask: H x W bool.
        name: its file, for the message.

    Raises:
        DeoccError: it covers more than `BORDER` of it.
    """
    share = border_share(mask)
    if share > BORDER:
        raise DeoccError(
            f"{name}: it covers {share:.0%} of the picture's border as the background does, is it inverted? "
            "Invert it; where the person does fill the border, give a box instead"
        )


# ------------------------------------------------------------------ which rule


def _decide(image: Image.Image, notes: list[str]) -> np.ndarray:
    if has_alpha(image):
        image = image if image.mode == "RGBA" else image.convert("RGBA")
        alpha = image.getchannel("A")
        low, high = alpha.getextrema()
        if low < 250 and high > low:  # type: ignore[operator]
            return _by_alpha(_thinned(image), np.asarray(alpha), notes)
        image = image.convert("RGB")
        if high == 0:
            notes.append("it is transparent everywhere: read by its colours")
    if image.mode == "1":
        return np.array(image)
    if image.mode.startswith("I") or image.mode == "F":
        return _by_brightness(np.asarray(image), notes)
    if image.mode == "P":
        indices = np.asarray(image)
        image = image.convert("RGB")
        if not _varies(image) and indices.min() != indices.max():
            notes.append("its palette has one colour for all indices: read by indices")
            return _by_brightness(indices, notes)
    if image.mode not in ("L", "RGB"):
        image = image.convert("RGB")
    if image.mode == "RGB" and _is_black_and(image.getcolors(2)):
        return np.asarray(np.asarray(image).any(2))
    if image.mode == "L" or _is_grey(image):
        return _by_brightness(np.asarray(image.convert("L")), notes)
    return _by_colours(image, notes)


def _is_black_and(few: list[tuple[int, Any]] | None) -> bool:
    """Whether a picture has two colours and one is black: the other may be as dark as a label value."""
    return few is not None and len(few) == 2 and (0, 0, 0) in [colour for _, colour in few]


def _thinned(image: Image.Image) -> np.ndarray:
    """Every k-th pixel of every k-th row, h x w x C; at most about a million pixels."""
    factor = max(1.0, (image.width * image.height / SOME) ** 0.5)
    size = max(1, int(image.width / factor)), max(1, int(image.height / factor))
    return np.asarray(image.resize(size, Image.Resampling.NEAREST))


def _varies(image: Image.Image) -> bool:
    return any(low != high for low, high in image.getextrema())  # type: ignore[misc]


def _is_grey(image: Image.Image) -> bool:
    red, green, blue = image.split()
    apart = [ImageChops.difference(*pair) for pair in ((red, green), (green, blue), (red, blue))]
    counts = ImageChops.lighter(ImageChops.lighter(apart[0], apart[1]), apart[2]).histogram()
    exact = image.getcolors(LEVELS) is not None  # not smeared by JPEG
    return sum(counts[: (8 if exact else GREYISH) + 1]) >= (1 if exact else MOST) * sum(counts)


# ------------------------------------------------------------------ alpha


def _by_alpha(some: np.ndarray, alpha: np.ndarray, notes: list[str]) -> np.ndarray:
    """Rule 1: opaque pixels are inside. Refuses a frame around a hole, and an opaque drawn mask.

    Args:
        some: h x w x 4, RGBA of a sample of the pixels.
        alpha: H x W.
        notes: gets the decision.
    """
    mask = _by_brightness(alpha, notes)
    notes.append("read by its alpha channel: opaque is inside")
    if border_share(mask) > BORDER:
        raise _Unclear("its opaque part covers the picture's border: a hole in an opaque picture?")
    opaque = some[some[..., 3] >= (int(alpha.min()) + int(alpha.max())) / 2][:, :3]
    if len(opaque) and len(np.unique(opaque, axis=0)) <= 16:
        dark, bright = (opaque.max(1) <= BLACK).mean(), (opaque.min(1) >= WHITE).mean()
        if min(dark, bright) > 0.02:
            raise _Unclear("its alpha channel and its black and white colours say different things")
    return mask


# ------------------------------------------------------------------ brightness


def _full_range(values: np.ndarray) -> float:
    if values.dtype == np.uint8:
        return 255.0
    top = float(values.max())
    if values.dtype.kind == "f" and top <= 1.05:
        return 1.0
    return next((full for full in (255.0, 65535.0) if top <= full), top)


def _by_brightness(values: np.ndarray, notes: list[str]) -> np.ndarray:
    """Rule 2. values: H x W of any number type."""
    low, top = float(values.min()), float(values.max())
    if not np.isfinite(low + top) or low < 0:
        raise _Unclear("it holds negative, infinite or NaN values")
    levels = _levels(values)
    full = _full_range(values)
    if len(levels) == 1:
        return _constant(values, top)
    if len(levels) == 2 and low == 0:
        return np.asarray(values == top)
    if top - low < CONTRAST * full:
        raise _Unclear(f"its values are {_listed(levels)}: labels, or too little contrast")
    if len(levels) == 2:
        notes.append(f"read by brightness: the value {top:g} is inside, {low:g} is not")
        return np.asarray(values == top)
    return _soft(values, levels, notes)


def _levels(values: np.ndarray) -> np.ndarray:
    """The values that occur, ascending; a large sample of them if there are very many."""
    step = max(1, int((values.size / SOME) ** 0.5))
    some = np.unique(values[::step, ::step])
    if step > 1 and len(some) > 4 * LEVELS:
        return np.unique(np.r_[values.min(), some, values.max()])
    return np.unique(values) if step > 1 else some


def _constant(values: np.ndarray, value: float) -> np.ndarray:
    if value not in (0, 1, 255, 65535):
        raise _Unclear(f"all its pixels have the value {value:g}")
    return np.full(values.shape, value > 0)


def _soft(values: np.ndarray, levels: np.ndarray, notes: list[str]) -> np.ndarray:
    """A mask of many values, cut half-way. Refuses label maps and photos."""
    low, top = float(levels[0]), float(levels[-1])
    if len(levels) <= LEVELS and _is_label_map(values, levels):
        raise _Unclear(
            f"its values {_listed(levels)} lie side by side like labels of several people or parts"
        )
    scaled = _stretched(values, low, top)
    ends = float(((scaled <= 12) | (scaled >= 243)).mean())
    if ends < ENDS:
        raise _Unclear(f"{1 - ends:.0%} of its pixels are neither dark nor bright: a photo, or labels?")
    half = (scaled > 25) & (scaled < 230)
    if _grain(scaled, half) > GRAIN:
        raise _Unclear("it is textured like a photo")
    if half.mean() > 0.02 or low > 0.1 * top:
        notes.append(f"a soft mask from {low:g} to {top:g}: values from {(low + top) / 2:g} are inside")
    return np.asarray(scaled >= 128)


def _stretched(values: np.ndarray, low: float, top: float) -> np.ndarray:
    """Values from `low` to `top` as uint8 from 0 to 255; 128 is half-way."""
    out = np.empty(values.shape, np.uint8)
    for row in range(len(values)):  # row by row: a large picture would need eight times its memory
        out[row] = np.rint((values[row].astype(np.float64) - low) * (255 / (top - low)))
    return out


def _is_label_map(values: np.ndarray, levels: np.ndarray) -> bool:
    """Whether a middle value fills areas and non-consecutive values touch, as in label maps."""
    levels, three = levels.astype(np.float64), len(levels) == 3
    if len(levels) > FEW:
        ends = levels[0] + 0.05 * np.ptp(levels), levels[-1] - 0.05 * np.ptp(levels)
        levels = np.r_[levels[0], levels[(levels > ends[0]) & (levels < ends[1])], levels[-1]]
    ranks, between = np.empty(values.shape, np.int8), (levels[1:] + levels[:-1]) / 2
    for row in range(len(values)):  # row by row, for the memory
        ranks[row] = np.searchsorted(between, values[row])
    square = np.ones((3, 3), np.uint8)
    lowest, highest = (filtered(ranks.view(np.uint8), square) for filtered in (cv2.erode, cv2.dilate))
    middle = (ranks > 0) & (ranks < len(levels) - 1)
    inner = int(((lowest == highest) & middle).sum())
    if inner < max(PLATEAU, INNER * middle.sum()):
        return False
    if three:  # such as a trimap, whose middle value is "unknown"
        return True
    steps = [np.abs(np.diff(ranks, axis=axis)) for axis in (0, 1)]
    borders = sum(int((step > 0).sum()) for step in steps)
    return sum(int((step > 1).sum()) for step in steps) > JUMPS * borders


def _grain(scaled: np.ndarray, half: np.ndarray) -> float:
    """The share of half-bright pixels that are brighter or darker than all their neighbours.

    Args:
        scaled: H x W uint8.
        half: H x W bool; only pixels amid larger areas of it count: outlines, which JPEG smears, do not.
    """
    around = np.ones((3, 3), np.uint8)
    around[1, 1] = 0
    solid = cv2.erode(half.view(np.uint8), np.ones((5, 5), np.uint8), borderValue=0) > 0
    if solid.sum() < SOLID:
        return 0.0
    extreme = (scaled > cv2.dilate(scaled, around)) | (scaled < cv2.erode(scaled, around))
    return float((extreme & solid).sum() / solid.sum())


def _listed(levels: np.ndarray) -> str:
    shown = ", ".join(f"{value:g}" for value in levels[:4])
    return shown if len(levels) <= 4 else f"{shown} ... {levels[-1]:g}"


# ------------------------------------------------------------------ colours


def _by_colours(image: Image.Image, notes: list[str]) -> np.ndarray:
    """Rule 3. image: mode RGB."""
    pixels = np.array(image)
    few = image.getcolors(LEVELS)
    colours = [] if few is None else [colour for _, colour in few if isinstance(colour, tuple)]
    if len(colours) > 2 and VOID in colours and any(max(colour) <= BLACK for colour in colours):
        notes.append("VOC's void colour is outside")
        pixels[(pixels == np.array(VOID, np.uint8)).all(2)] = 0
    ends = _ends(pixels)
    scaled, off = _along(pixels, ends)
    if _has_a_third_colour(off, exact=few is not None):
        _refuse_colours(colours)
    if not _second_is_inside(ends, scaled, notes):
        scaled = 255 - scaled
    levels = np.unique(scaled)
    return np.asarray(scaled >= 128) if len(levels) == 2 else _soft(scaled, levels, notes)


def _refuse_colours(few: list[tuple[int, ...]]) -> NoReturn:
    if not few:
        raise _Unclear("it has as many colours as a photo")
    raise _Unclear(f"it has {len(few)} colours: labels of several people or parts?")


def _ends(pixels: np.ndarray) -> np.ndarray:
    """The most frequent colour and the one farthest from it (a median of the farthest tenth); 2 x 3."""
    some = pixels.reshape(-1, 3)
    some = some[:: max(1, len(some) // 200_000)]
    colours, counts = np.unique(some // 8, axis=0, return_counts=True)
    first = np.median(some[(some // 8 == colours[counts.argmax()]).all(1)], axis=0)
    distance = np.linalg.norm(some - first, axis=1)
    apart = distance > ASIDE
    if not apart.any():
        raise _Unclear("its colours hardly differ")
    far = some[apart & (distance >= np.quantile(distance[apart], 0.9))]
    return np.stack([first, np.median(far, axis=0)])


def _has_a_third_colour(off: np.ndarray, exact: bool) -> bool:
    """Whether pixels off the line between two colours are more than what JPEG smears along outlines.

    Args:
        off: H x W bool.
        exact: the picture was not smeared: each such pixel is a third colour.
    """
    if exact or off.mean() > 1 - MOST:
        return bool(off.any())
    return bool(cv2.erode(off.view(np.uint8), np.ones((AREA, AREA), np.uint8), borderValue=0).any())


def _along(pixels: np.ndarray, ends: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The position of each pixel between two colours, and the pixels that do not lie between them.

    Returns:
        H x W uint8, 0 at the first colour and 255 at the second; H x W bool.
    """
    way = (ends[1] - ends[0]).astype(np.float32)
    out, off = np.empty(pixels.shape[:2], np.uint8), np.empty(pixels.shape[:2], bool)
    for row in range(len(pixels)):  # row by row, for the memory
        offset = pixels[row].astype(np.float32) - ends[0].astype(np.float32)
        share = (offset @ way / (way @ way)).clip(0, 1)
        off[row] = np.linalg.norm(offset - share[:, None] * way, axis=1) > ASIDE
        out[row] = np.rint(share * 255)
    return out, off


def _second_is_inside(ends: np.ndarray, scaled: np.ndarray, notes: list[str]) -> bool:
    first_black, second_black = (end.max() <= BLACK for end in ends)
    if first_black != second_black:
        return bool(first_black)
    border = border_share(scaled >= 128)
    if not 1 - BORDER <= border <= BORDER:
        background = int(border > BORDER)
        words = ", ".join(f"{value:.0f}" for value in ends[background])
        notes.append(f"the colour ({words}) fills the picture's border and is taken as the background")
        return background == 0
    raise _Unclear("it has two colours, neither is black, and neither fills the picture's border")
