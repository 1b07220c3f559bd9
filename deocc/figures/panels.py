"""Overlays, strips and grids: pictures made of arrays, uint8 H x W x 3."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from deocc.errors import DeoccError
from deocc.figures.colours import (
    ADDED,
    AGREES,
    INK,
    INVISIBLE,
    MISSED,
    OCCLUDER,
    OUTSIDE,
    PAPER,
    VISIBLE,
    Colour,
)
from deocc.labels import colorize
from deocc.masks import mask_box


def overlay(
    image: np.ndarray, mask: np.ndarray, colour: Colour, alpha: float = 0.55, outline: int = 1
) -> np.ndarray:
    """Tints a region of a picture and draws its border.

    Args:
        image: H x W x 3 uint8.
        mask: H x W bool.
        colour: RGB, 0..255.
        alpha: opacity of the tint inside, in [0, 1].
        outline: width of the border in pixels; 0 = none.

    Returns:
        H x W x 3 uint8, a new array; pixels outside mask and border are untouched.

    Raises:
        DeoccError: the sizes differ.
    """
    if mask.shape != image.shape[:2]:
        raise DeoccError(f"mask {mask.shape} and image {image.shape[:2]} differ; crop both by one frame")
    out = image.copy()
    inside = image[mask].astype(np.float32)
    out[mask] = np.rint(inside * (1 - alpha) + np.array(colour, np.float32) * alpha).astype(np.uint8)
    if outline > 0:
        contours, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
        cv2.drawContours(out, contours, -1, colour, outline)
    return out


def overlay_masks(
    image: np.ndarray,
    modal_mask: np.ndarray | None = None,
    amodal_mask: np.ndarray | None = None,
    occluder_mask: np.ndarray | None = None,
    alpha: float = 0.55,
) -> np.ndarray:
    """Tints visible (blue), invisible (vermilion) and, off the person, occluder (yellow) pixels.

    Args:
        image: H x W x 3 uint8.
        modal_mask, amodal_mask, occluder_mask: H x W bool, or None where unknown.
        alpha: opacity of the tints.

    Returns:
        H x W x 3 uint8.
    """
    visible = np.zeros(image.shape[:2], bool) if modal_mask is None else modal_mask
    out = image
    if occluder_mask is not None:
        person = visible if amodal_mask is None else visible | amodal_mask
        out = overlay(out, occluder_mask & ~person, OCCLUDER, alpha)
    out = overlay(out, visible, VISIBLE, alpha)
    return out if amodal_mask is None else overlay(out, amodal_mask & ~visible, INVISIBLE, alpha)


def mask_layer(masks: Sequence[tuple[np.ndarray, Colour]], alpha: float = 0.55) -> np.ndarray:
    """Tinted masks as a layer to lay over a picture; with `alpha` it looks as `overlay` does.

    Args:
        masks: (H x W bool, RGB) pairs of one size, at least one; later ones cover earlier ones.
        alpha: opacity inside; borders are opaque.

    Returns:
        H x W x 4 uint8 RGBA; fully transparent elsewhere.
    """
    out = np.zeros((*masks[0][0].shape, 4), np.uint8)
    for mask, colour in masks:
        out[mask] = (*colour, round(255 * alpha))
        contours, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
        cv2.drawContours(out, contours, -1, (*colour, 255), 1)
    return out


def mask_errors(mask: np.ndarray, truth: np.ndarray, photo_mask: np.ndarray | None = None) -> np.ndarray:
    """Compares two masks: agreement grey, missed pixels orange, added pixels purple, on white.

    Args:
        mask, truth: H x W bool.
        photo_mask: H x W bool, where there is a photo; None: everywhere.

    Returns:
        H x W x 3 uint8.
    """
    out = np.full((*mask.shape, 3), PAPER, np.uint8)
    out[mask & truth], out[truth & ~mask], out[mask & ~truth] = AGREES, MISSED, ADDED
    return out if photo_mask is None else grey_outside(out, photo_mask)


def zoom(picture: np.ndarray, mask: np.ndarray, margin: float = 0.25) -> np.ndarray:
    """The square around a mask, cut out of a square picture; a student sees more of a person, a network less.

    Args:
        picture: S x S [x 3].
        mask: S x S bool; an empty one gives the whole picture.
        margin: added to the mask's longer side, as a share of it.

    Returns:
        T x T [x 3], T <= S; never beyond the picture.
    """
    if not mask.any():
        return picture
    x0, y0, x1, y1 = mask_box(mask)
    size = len(picture)
    side = min(size, round(max(x1 - x0, y1 - y0) * (1 + margin)))
    left, top = (min(max(0, (a + b - side) // 2), size - side) for a, b in ((x0, x1), (y0, y1)))
    return picture[top : top + side, left : left + side]


def grey_outside(picture: np.ndarray, photo_mask: np.ndarray) -> np.ndarray:
    """A picture in the one colour of padding where there is no photo.

    Args:
        picture: H x W x 3 uint8, or H x W bool.
        photo_mask: H x W bool, where there is a photo.

    Returns:
        H x W x 3 uint8, a new array.
    """
    shown = picture if picture.ndim == 3 else np.repeat(255 * picture[..., None].astype(np.uint8), 3, 2)
    return np.where(photo_mask[..., None], shown, OUTSIDE)


def parsing_picture(parsing: np.ndarray, image: np.ndarray | None = None) -> np.ndarray:
    """Body parts in LIP's colours on white, or over a photo.

    Args:
        parsing: H x W uint8, 0..19 or 255 (light grey).
        image: H x W x 3 uint8 to paint on, or None.

    Returns:
        H x W x 3 uint8.
    """
    base = np.full((*parsing.shape, 3), PAPER, np.uint8) if image is None else image
    colours = colorize(parsing)
    if image is not None:
        colours = (0.35 * image + 0.65 * colours).astype(np.uint8)
    return np.where((parsing > 0)[..., None], colours, base)


def _title_bar(text: str, width: int, height: int) -> np.ndarray:
    """A white bar with centred text that shrinks until it fits; height x width x 3 uint8."""
    bar = Image.new("RGB", (width, height), PAPER)
    draw = ImageDraw.Draw(bar)
    size = round(height * 0.72)
    while size > 7 and draw.textlength(text, font=ImageFont.load_default(size)) > width - 4:
        size -= 1
    font = ImageFont.load_default(size)
    draw.text((width / 2, height / 2), text, fill=INK, font=font, anchor="mm")
    return np.asarray(bar)


def strip(panels: Mapping[str, np.ndarray], gap: int = 4, title_height: int = 20) -> np.ndarray:
    """Sets pictures of one height side by side, each under its title.

    Args:
        panels: title -> H x W x 3 uint8, in order.
        gap: white pixels between panels.
        title_height: of the bar above each panel; 0 = no titles.

    Returns:
        (H + title_height) x (sum of widths and gaps) x 3 uint8.

    Raises:
        DeoccError: no panel, or panels of different heights.
    """
    heights = {panel.shape[0] for panel in panels.values()}
    if len(heights) != 1:
        raise DeoccError(f"panels of heights {sorted(heights)} came; give at least one, all of one height")
    columns: list[np.ndarray] = []
    for title, panel in panels.items():
        if columns:
            columns.append(np.full((panel.shape[0] + title_height, gap, 3), PAPER, np.uint8))
        bar = [_title_bar(title, panel.shape[1], title_height)] if title_height else []
        columns.append(np.concatenate([*bar, panel]))
    return np.concatenate(columns, axis=1)


def picture_grid(panels: Mapping[str, np.ndarray], columns: int, gap: int = 4) -> np.ndarray:
    """Pictures of one size in rows, each under its title, as one picture; white where the last row is short.

    Args:
        panels: title -> H x W x 3 uint8, in order.
        columns: panels per row.
        gap: white pixels between panels.

    Returns:
        H' x W' x 3 uint8.
    """
    from deocc.figures.charts import wrap  # Matplotlib: a strip does without it

    rows = [strip(row, gap) for row in wrap(panels, columns)]
    short = rows[0].shape[1] - rows[-1].shape[1]
    rows[-1] = np.pad(rows[-1], ((0, 0), (0, short), (0, 0)), constant_values=PAPER[0])
    return np.concatenate(rows)


def heat(values: np.ndarray, top: float | None = None, marked: np.ndarray | None = None) -> np.ndarray:
    """A map of numbers >= 0 as a picture, dark to bright; marked entries in vermilion.

    Args:
        values: H x W.
        top: the brightest value; default: the largest.
        marked: H x W bool, or None.

    Returns:
        H x W x 3 uint8.
    """
    scaled = np.clip(values / max(top or float(np.max(values)), 1e-9), 0, 1)
    grey = (30 + 225 * scaled).astype(np.uint8)
    picture = np.repeat(grey[..., None], 3, 2)
    if marked is not None:
        picture[marked] = INVISIBLE
    return picture
