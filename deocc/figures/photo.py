"""Pictures of the photo studio: mask and clicks, before and after, cut-out, another background."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import cv2
import numpy as np
from PIL import Image

from deocc.errors import DeoccError
from deocc.figures.colours import INVISIBLE, PAPER, WHOLE, Colour
from deocc.figures.panels import mask_layer, overlay_masks, parsing_picture
from deocc.masks import around

if TYPE_CHECKING:
    from deocc.inference.answers import Deocclusion

SHOWN = ("before | after", "masks", "body parts", "cut-out", "background")
BACKGROUNDS: dict[str, tuple[Colour, Colour]] = {  # colours at the top and at the bottom
    "paper": ((250, 250, 247), (250, 250, 247)),
    "grey studio": ((205, 208, 212), (120, 124, 130)),
    "evening": ((52, 73, 120), (245, 176, 122)),
    "meadow": ((164, 205, 240), (96, 150, 76)),
}
SQUARE = 12  # side of the squares that show transparency, pixels
NO: Colour = INVISIBLE  # colour of a click that says "this is not"


def fit_within(picture: np.ndarray, side: int) -> np.ndarray:
    """A picture or mask made smaller so that neither side exceeds `side`; the same array where it fits.

    Args:
        picture: H x W [x C] uint8 or bool.
        side: in pixels.
    """
    height, width = picture.shape[:2]
    if max(height, width) <= side:
        return picture
    size = max(1, round(width * side / max(height, width))), max(1, round(height * side / max(height, width)))
    if picture.dtype == bool:
        return cv2.resize(picture.view(np.uint8), size, interpolation=cv2.INTER_NEAREST) > 0
    return cv2.resize(picture, size, interpolation=cv2.INTER_AREA)


def question_layer(hidden: np.ndarray, clicks: Sequence[tuple[float, float, bool]]) -> np.ndarray:
    """The overlay of the photo being edited: the expected hidden part, and the clicks.

    Args:
        hidden: h x w bool, may be empty.
        clicks: (x, y, is_person) in its pixels.

    Returns:
        h x w x 4 uint8; hidden in vermilion, clicks as green (person) or vermilion (not) dots.
    """
    layer = mask_layer([(hidden, INVISIBLE)], alpha=0.45)
    radius = max(4, max(hidden.shape) // 110)
    for x, y, is_person in clicks:
        place = int(x), int(y)
        cv2.circle(layer, place, radius + 2, (*PAPER, 255), -1, cv2.LINE_AA)
        cv2.circle(layer, place, radius, (*(WHOLE if is_person else NO), 255), -1, cv2.LINE_AA)
    return layer


def before_after(before: np.ndarray, after: np.ndarray, share: float) -> np.ndarray:
    """Two pictures of one size as one: the first up to a white line, the second beyond it.

    Args:
        before, after: H x W x 3 uint8.
        share: of the width that shows `before`, in [0, 1].
    """
    if before.shape != after.shape:
        raise DeoccError(f"before {before.shape} and after {after.shape} differ; give one size")
    width = before.shape[1]
    split = round(min(max(share, 0.0), 1.0) * width)
    out = np.concatenate([before[:, :split], after[:, split:]], axis=1)
    if 0 < split < width:
        half = max(1, width // 400)
        out[:, max(0, split - half) : split + half] = PAPER
    return out


def cut_out(picture: np.ndarray, amodal_mask: np.ndarray, margin: int = 2) -> np.ndarray:
    """The whole person alone, cropped, with a border that is soft for one pixel.

    Args:
        picture: H x W x 3 uint8, the recovered photo.
        amodal_mask: H x W bool, not empty.
        margin: transparent pixels around the person, where the photo has them.

    Returns:
        h x w x 4 uint8 RGBA; opaque inside the mask but for its outermost pixels; transparent and black
        outside, so that nothing of the photo stays in the file.
    """
    window = around(amodal_mask, margin)
    inside = amodal_mask[window].astype(np.float32)
    alpha = np.minimum(cv2.blur(inside, (3, 3), borderType=cv2.BORDER_REPLICATE), inside)
    opacity = np.rint(255 * alpha).astype(np.uint8)
    return np.dstack([picture[window] * (opacity > 0)[..., None], opacity])


def on_checkerboard(rgba: np.ndarray) -> np.ndarray:
    """A cut-out on the squares that picture programs show for transparent; h x w x 3 uint8."""
    rows, columns = (np.arange(side) // SQUARE for side in rgba.shape[:2])
    light = np.where((rows[:, None] + columns) % 2, 255, 222).astype(np.uint8)
    return _blend(np.repeat(light[..., None], 3, 2), rgba)


def _blend(below: np.ndarray, rgba: np.ndarray) -> np.ndarray:
    alpha = rgba[..., 3:].astype(np.float32) / 255
    return np.rint(below * (1 - alpha) + rgba[..., :3] * alpha).astype(np.uint8)


def plain_background(name: str, shape: Sequence[int], side: int | None = None) -> np.ndarray:
    """A background of `BACKGROUNDS`, one colour flowing into another.

    Args:
        name: of the background.
        shape: H and W; what follows does not count.
        side: longest side of the result; None: as `shape`.

    Returns:
        h x w x 3 uint8.
    """
    scale = min(1.0, (side or max(shape[:2])) / max(shape[:2]))
    height, width = round(shape[0] * scale), round(shape[1] * scale)
    if name not in BACKGROUNDS:
        raise DeoccError(f"background {name!r} is unknown; choose from {', '.join(BACKGROUNDS)}")
    top, bottom = (np.array(colour, np.float32) for colour in BACKGROUNDS[name])
    share = np.linspace(0, 1, height, dtype=np.float32)[:, None, None]
    return np.repeat(np.rint(top * (1 - share) + bottom * share).astype(np.uint8), width, axis=1)


def on_background(rgba: np.ndarray, background: np.ndarray, size: float, across: float) -> np.ndarray:
    """Sets a cut-out on a background; its feet (or where the photo cut it) stand on the lower border.

    Args:
        rgba: h x w x 4 uint8.
        background: H x W x 3 uint8.
        size: height of the cut-out as a share of H, above 0.
        across: place of its middle, 0 (left border) to 1 (right border).

    Returns:
        H x W x 3 uint8, a new array; what reaches beyond the background is cut off.
    """
    height, width = background.shape[:2]
    scale = size * height / rgba.shape[0]
    wanted = max(1, round(rgba.shape[1] * scale)), max(1, round(rgba.shape[0] * scale))
    layer = _resized_cut_out(rgba, wanted)
    left, top = round(across * width - wanted[0] / 2), height - wanted[1]
    x0, y0, x1 = max(0, left), max(0, top), min(width, left + wanted[0])
    out = background.copy()
    if x1 > x0:
        part = layer[y0 - top :, x0 - left : x1 - left]
        out[y0:, x0:x1] = _blend(out[y0:, x0:x1], part)
    return out


def _resized_cut_out(rgba: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Colours weigh by their opacity, so that what is transparent does not bleed in."""
    how = cv2.INTER_AREA if size[0] < rgba.shape[1] else cv2.INTER_LINEAR
    alpha = rgba[..., 3].astype(np.float32) / 255
    weighted = cv2.resize(rgba[..., :3] * alpha[..., None], size, interpolation=how)
    share = cv2.resize(alpha, size, interpolation=how)
    colours = weighted / np.maximum(share, 1e-3)[..., None]
    return np.dstack([np.rint(np.clip(colours, 0, 255)), np.rint(255 * share)]).astype(np.uint8)


def _small_cut_out(rgba: np.ndarray, side: int) -> np.ndarray:
    """`fit_within` for a cut-out."""
    height, width = fit_within(rgba[..., 3], side).shape
    return rgba if (height, width) == rgba.shape[:2] else _resized_cut_out(rgba, (width, height))


def encode_png(picture: np.ndarray) -> bytes:
    """PNG bytes of an H x W x 3 or x 4 uint8 picture, for a download."""
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "PNG", compress_level=4)
    return buffer.getvalue()


def render_photo(
    photo: np.ndarray,
    answer: Deocclusion,
    shown: str,
    share: float = 0.5,
    background: np.ndarray | None = None,
    size: float = 0.9,
    across: float = 0.5,
    side: int = 960,
) -> np.ndarray:
    """One view of a de-occluded person of a photo.

    Args:
        photo: H x W x 3 uint8, as it was asked about.
        answer: of the photo's size.
        shown: one of `SHOWN`.
        share: of the width that shows the photo before, for "before | after".
        background: H' x W' x 3 uint8 for "background"; None: the photo itself, blurred.
        size, across: of the cut-out there, see `on_background`.
        side: longest side of the result in pixels.

    Returns:
        h x w x 3 uint8.

    Raises:
        DeoccError: no such view.
    """
    if shown not in SHOWN:
        raise DeoccError(f"view {shown!r} is unknown; choose from {', '.join(SHOWN)}")
    if shown == "cut-out":
        return on_checkerboard(_small_cut_out(cut_out(answer.recovered, answer.amodal_mask), side))
    small = fit_within(photo, side)
    if shown == "before | after":
        return before_after(small, fit_within(answer.recovered, side), share)
    if shown == "masks":
        modal, amodal = (fit_within(mask, side) for mask in (answer.modal_mask, answer.amodal_mask))
        return overlay_masks(small, modal, amodal)
    if shown == "body parts":
        return parsing_picture(_small_labels(answer.parsing, small.shape[:2]), small)
    below = blurred(small) if background is None else fit_within(background, side)
    return on_background(cut_out(answer.recovered, answer.amodal_mask), below, size, across)


def blurred(picture: np.ndarray) -> np.ndarray:
    """The photo out of focus, as a background; H x W x 3 uint8."""
    small = fit_within(picture, 1024)  # a blur has no detail to lose, and takes long on a large photo
    soft = cv2.GaussianBlur(small, (0, 0), max(small.shape[:2]) / 40)
    return cv2.resize(soft, picture.shape[1::-1]) if soft.shape != picture.shape else soft


def _small_labels(parsing: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    return cv2.resize(parsing, shape[::-1], interpolation=cv2.INTER_NEAREST)


def photo_panels(
    photo: np.ndarray,
    answer: Deocclusion,
    mask_title: str = "rough mask",
    height: int = 260,
    background: np.ndarray | None = None,
) -> Mapping[str, np.ndarray]:
    """The steps from a mask to the person on another background, as panels of one height.

    Args:
        photo, answer, background: see `render_photo`.
        mask_title: title of the panel with the rough or exact mask.
        height: of a panel in pixels.

    Returns:
        title -> height x w x 3 uint8.
    """
    steps = {
        "photo": photo,
        mask_title: overlay_masks(photo, answer.initial_mask),
        "masks": overlay_masks(photo, answer.modal_mask, answer.amodal_mask),
        "body parts": parsing_picture(answer.parsing, photo),
        "recovered": answer.recovered,
        "cut-out": on_checkerboard(cut_out(answer.recovered, answer.amodal_mask)),
        "background": render_photo(photo, answer, "background", background=background, side=height * 2),
    }
    return {title: _of_height(picture, height) for title, picture in steps.items()}


def _of_height(picture: np.ndarray, height: int) -> np.ndarray:
    width = max(1, round(picture.shape[1] * height / picture.shape[0]))
    how = cv2.INTER_AREA if picture.shape[0] > height else cv2.INTER_LINEAR
    return cv2.resize(picture, (width, height), interpolation=how)
