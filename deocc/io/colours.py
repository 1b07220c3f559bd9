"""Converts the stored values of a picture file to 8-bit sRGB."""

import io
from functools import lru_cache

import numpy as np
from PIL import Image, ImageCms

from deocc.errors import DeoccError

TOPS = (255, 1023, 4095, 16383, 65535)  # largest values of 8, 10, 12, 14 and 16 bits
SIGNED_TOPS = (*TOPS[:-1], 32767)  # of signed 16-bit files
NEGATIVE = (
    0.02  # values of a float picture may fall below 0 by this share of the range: resampling overshoots
)
SAME = 1  # grey values by which a profile may move a colour and still count as sRGB
NEARLY = 1.05  # a float picture of 0..1 may reach this
DARKEST = 32  # a deep picture whose largest value is below this has no known range


def range_top(values: np.ndarray, name: object, signed: bool = False) -> float:
    """The value of white in a 16-bit, 32-bit or float picture.

    The largest value decides: floats up to 1 have 1; else 255, 1023, 4095, 16383 or 65535 (8, 10, 12, 14, 16
    bits; 32767 instead of 65535 in signed 16-bit files), the first that is not smaller.

    Args:
        values: H x W [x C], uint16, int32 or float32.
        name: the file, for the message.
        signed: the file has signed 16-bit values.

    Raises:
        DeoccError: NaN or infinite values, values clearly below 0, above 16 bits, or so small that the range
            is unknown.
    """
    low, top = float(values.min()), float(values.max())
    if not np.isfinite(low + top):
        raise DeoccError(f"{name}: holds NaN or infinite values; fill them and save the picture again")
    real, tops = values.dtype.kind == "f", SIGNED_TOPS if signed else TOPS
    full = 1.0 if real and top <= NEARLY else float(next((t for t in tops if top <= t), np.inf))
    if low < -(NEGATIVE * full if real else 0) or full == np.inf or (full > 1 and 0 < top < DARKEST):
        raise DeoccError(f"{name}: values from {low:g} to {top:g} have no known range; save it with 8 bits")
    return full


def eight_bits(values: np.ndarray, name: object, notes: list[str], signed: bool = False) -> np.ndarray:
    """A 16-bit, 32-bit or float picture as uint8, scaled by `range_top`; a guessed range goes to `notes`.

    Raises:
        DeoccError: the range is unknown.
    """
    top = range_top(values, name, signed)
    if top not in (1.0, 65535.0):
        notes.append(f"its largest value is {values.max():g}: {top:g} is taken as white")
    out = np.empty(values.shape, np.uint8)
    for row in range(len(values)):  # row by row: a large picture would need eight times its memory
        out[row] = np.rint((values[row].astype(np.float32) / np.float32(top)).clip(0, 1) * 255)
    return out


def to_srgb(image: Image.Image, notes: list[str]) -> Image.Image:
    """Any 8-bit picture without alpha as sRGB, converted by its profile if that is usable.

    Args:
        image: mode L, RGB, CMYK, YCbCr, LAB or HSV.
        notes: gets a sentence if colours were converted or the profile is unusable.
    """
    profile = image.info.get("icc_profile")
    if image.mode == "LAB":
        return _applied(image, _from_lab())
    if image.mode not in ("RGB", "L", "CMYK"):
        image = image.convert("RGB")
    if not profile:
        if image.mode == "CMYK":
            notes.append("CMYK without a colour profile: its colours are approximate")
        return image if image.mode == "RGB" else image.convert("RGB")
    transform, words = _transform(bytes(profile), image.mode)
    if words:
        notes.append(words)
    if transform is not None:
        return _applied(image, transform)
    return image if image.mode == "RGB" else image.convert("RGB")


def _applied(image: Image.Image, transform: ImageCms.ImageCmsTransform) -> Image.Image:
    converted = ImageCms.applyTransform(image, transform)
    assert converted is not None  # only in-place conversion gives nothing back
    return converted


@lru_cache(maxsize=1)
def _from_lab() -> ImageCms.ImageCmsTransform:
    return ImageCms.buildTransform(ImageCms.createProfile("LAB"), _srgb(), "LAB", "RGB")


@lru_cache(maxsize=1)
def _srgb() -> ImageCms.ImageCmsProfile:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))


@lru_cache(maxsize=16)
def _transform(profile: bytes, mode: str) -> tuple[ImageCms.ImageCmsTransform | None, str]:
    """The transform from a profile to sRGB (None: not needed), with a sentence for the notes."""
    try:
        embedded = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        transform = ImageCms.buildTransform(
            embedded, _srgb(), mode, "RGB", ImageCms.Intent.RELATIVE_COLORIMETRIC,
            ImageCms.Flags.BLACKPOINTCOMPENSATION,
        )  # fmt: skip
        name = " ".join(str(embedded.profile.profile_description or "").split())[:60] or "without a name"
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        return None, "its colour profile is damaged or does not fit it: colours are taken as sRGB"
    if mode != "CMYK" and _keeps_colours(transform, mode):
        return None, ""
    return transform, f"colours converted to sRGB from its profile ({name})"


def _keeps_colours(transform: ImageCms.ImageCmsTransform, mode: str) -> bool:
    """Whether a profile is sRGB, whatever its name; tested on colours of the whole cube."""
    steps = np.linspace(0, 255, 9).round().astype(np.uint8)
    if mode == "L":
        before = np.arange(256, dtype=np.uint8)[None]
        expected = np.repeat(before[..., None], 3, axis=2)
    else:
        expected = before = np.stack(np.meshgrid(steps, steps, steps), -1).reshape(1, -1, 3)
    after = np.asarray(_applied(Image.fromarray(before), transform))
    return bool(np.abs(after.astype(int) - expected).max() <= SAME)
