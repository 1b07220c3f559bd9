"""Picture files: photos, cut-outs and label maps.

Formats: PNG, JPEG (with MPO), WebP, TIFF, BMP, GIF, PPM, and HEIF if the package pillow-heif is installed.
No other decoder of Pillow is ever called. Pictures of more than `PIXEL_LIMIT` pixels are refused unread.
"""

import logging
import sys
import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, UnidentifiedImageError

from deocc.errors import DeoccError
from deocc.io.colours import eight_bits, to_srgb
from deocc.io.files import write_atomic
from deocc.io.names import PathLike
from deocc.io.tiff import BITS, refuse_odd, refuse_raw, signed_bits
from deocc.io.turns import TURNS, TURNS_BACK, exif_orientation
from deocc.labels import IGNORE, NUM_CLASSES

log = logging.getLogger("deocc")

FORMATS = ("PNG", "JPEG", "WEBP", "TIFF", "BMP", "GIF", "PPM")
READABLE = "PNG, JPEG, WebP, TIFF, BMP, GIF, PPM or HEIF"
PIXEL_LIMIT = 64_000_000
LARGE = 6_000_000  # values of a picture from which packing its PNG file tightly takes longer than it is worth
HEIF_BRANDS = (b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"mif1", b"msf1")
DIM = 64  # 16-bit colours of 14 bits or fewer stay below this in their upper byte


@dataclass(frozen=True)
class Photo:
    """A photo as it was read.

    Attributes:
        pixels: H x W x 3 uint8, sRGB.
        orientation: the file's EXIF orientation, 1..8; 1 if there is none or it is unreadable.
        turned: whether `pixels` follow it; else they are as stored.
        notes: peculiarities of the file, one sentence each.
    """

    pixels: np.ndarray
    orientation: int = 1
    turned: bool = True
    notes: tuple[str, ...] = ()


@dataclass
class Decoded:
    """A decoded picture, its EXIF orientation, and peculiarities of the file."""

    image: Image.Image
    orientation: int
    notes: list[str]
    lossy: bool = False  # packed so that single pixels change
    signed: int = 0  # bits of its values if they are signed: 8, 16 or 32; Pillow reads 8 as if they were not


# ------------------------------------------------------------------ opening


def decode(path: PathLike, exif: bool = True) -> Decoded:
    """Opens and decodes the first frame of a picture.

    Args:
        path: the file.
        exif: turn it by its EXIF orientation; else pixels stay as stored.

    Raises:
        DeoccError: the file is missing, is no picture of a documented format, has too many pixels, or is
            damaged.
    """
    path = Path(path)
    if not path.is_file():
        why = " (it is a folder or a device)" if path.exists() else ""
        raise DeoccError(f"{path}: no such file{why}; give the path of an existing picture")
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        try:
            with Image.open(path, formats=_formats(path)) as image:
                return _decoded(path, image, exif, warned)
        except DeoccError:
            raise
        except UnidentifiedImageError:
            raise DeoccError(f"{path}: {_unreadable(path)}") from None
        except Image.DecompressionBombError:
            raise _too_large(path, "") from None
        except MemoryError:
            raise DeoccError(f"{path}: too large for the memory; make it smaller") from None
        except PermissionError:
            raise DeoccError(f"{path}: no permission to read it; change its permissions") from None
        except Exception as error:  # Pillow raises whatever a damaged file makes it stumble over
            words = " ".join(str(error).split()) or type(error).__name__
            raise DeoccError(f"{path}: damaged or cut off ({words}); save the picture again") from None


def _decoded(path: Path, image: Image.Image, exif: bool, warned: list[warnings.WarningMessage]) -> Decoded:
    """Checks an opened picture by its header, decodes it and turns it."""
    width, height = image.size
    if width * height > PIXEL_LIMIT:
        raise _too_large(path, f"{width} x {height} pixels, ")
    refuse_raw(path, image)
    refuse_odd(path, image)
    notes: list[str] = []
    signed = signed_bits(image)
    orientation = exif_orientation(image, warned, notes)
    if image.format != "MPO" and getattr(image, "is_animated", False):  # MPO: a preview, no second picture
        notes.append("it has several frames: the first is taken")
    upright = image.format == "TIFF"  # Pillow turns TIFF files itself
    image.load()
    if orientation > 1 and exif != upright:
        turned = image.transpose((TURNS if exif else TURNS_BACK)[orientation])
        turned.info = dict(image.info)
        turned.format = image.format
        image = turned
    lossy = image.format in ("JPEG", "MPO", "WEBP")
    return Decoded(_with_all_bits(path, image, orientation, notes), orientation, notes, lossy, signed)


def _unreadable(path: Path) -> str:
    """Why a file cannot be read; Pillow does not know every kind of TIFF."""
    with path.open("rb") as file:
        head = file.read(4)
    if head[:2] + head[2:].strip(b"\0") in (b"II*", b"MM*", b"II+", b"MM+"):
        return "a TIFF file that is cut off or of a kind that is not read (odd floats); save it with 8 bits"
    return f"not a picture that can be read; give {READABLE}"


def _too_large(path: Path, size: str) -> DeoccError:
    return DeoccError(f"{path}: {size}more than the limit of {PIXEL_LIMIT // 10**6} million; shrink it")


def _formats(path: Path) -> tuple[str, ...]:
    """The decoders that may be called for a file."""
    return (*FORMATS, "HEIF") if _is_heif(path) else FORMATS


def _is_heif(path: Path) -> bool:
    """Whether it is an HEIF file; registers its decoder. Raises: DeoccError: pillow-heif is missing."""
    with path.open("rb") as file:
        head = file.read(12)
    if head[4:8] != b"ftyp" or head[8:12] not in HEIF_BRANDS:
        return False
    try:
        from pillow_heif import register_heif_opener
    except ImportError:
        raise DeoccError(
            f"{path}: a HEIC photo; run `{sys.executable} -m pip install pillow-heif`, or save it as JPEG"
        ) from None
    register_heif_opener()
    return True


def _with_all_bits(path: Path, image: Image.Image, orientation: int, notes: list[str]) -> Image.Image:
    """Rereads 16-bit colours with all bits if their upper byte, which Pillow keeps, is almost black."""
    if image.mode not in ("RGB", "RGBA", "LA") or not _has_16_bits(path, image):
        return image
    if max(band[1] for band in _extrema(image)[: 3 if image.mode != "LA" else 1]) >= DIM:
        return image
    values = cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_UNCHANGED)
    if orientation > 1 or values is None or values.dtype != np.uint16 or values.ndim != 3:
        raise DeoccError(f"{path}: its 16-bit colours fill a part of the range only; save it with 8 bits")
    colours = eight_bits(values[..., 2::-1], path, notes)
    if values.shape[2] == 4:
        colours = np.dstack([colours, (values[..., 3] // 256).astype(np.uint8)])
    deep = Image.fromarray(colours)
    deep.info = dict(image.info)
    return deep


def _extrema(image: Image.Image) -> list[tuple[int, int]]:
    return [band.getextrema() for band in image.split()]  # type: ignore[misc]


def _has_16_bits(path: Path, image: Image.Image) -> bool:
    if image.format == "TIFF":
        return 16 in np.atleast_1d(getattr(image, "tag_v2", {}).get(BITS, 8))
    if image.format != "PNG":
        return False
    with path.open("rb") as file:
        return file.read(25)[24:] == b"\x10"  # IHDR's bit depth


def refuse_unclear_turn(photo: PathLike, others: Iterable[PathLike]) -> None:
    """Refuses a photo that its EXIF orientation turns while its masks may lie on its stored pixels.

    Args:
        photo: its file; it can be read.
        others: files of its masks and label maps.

    Raises:
        DeoccError: the photo has the same size turned and unturned, and one of the others has no EXIF
            orientation of its own.
    """
    orientation, (width, height) = _header(photo)
    if orientation == 1 or (orientation > 4 and width != height):
        return
    for path in others:
        if _header(path)[0] == 1:
            raise DeoccError(
                f"{photo}: its EXIF orientation {orientation} turns it, and {Path(path).name} fits it turned "
                "and unturned; save the photo upright, without an EXIF orientation"
            )


def _header(path: PathLike) -> tuple[int, tuple[int, int]]:
    """The EXIF orientation and the size of a picture, which is not decoded."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with Image.open(path, formats=_formats(Path(path))) as image:
            return exif_orientation(image, [], []), image.size


# ------------------------------------------------------------------ photos


def read_photo(path: PathLike, exif: bool = True) -> Photo:
    """Reads a photo of any common kind, with notes on its peculiarities.

    Grey, palette, 16-bit and float pictures, CMYK and Lab become 8-bit RGB. The file's colour profile
    converts colours to sRGB. Transparent pixels become white. Only the first of several frames is read.
    `deocc.io.colours.range_top` scales deep pictures.

    Args:
        path: the file.
        exif: turn it by its EXIF orientation, as viewers do; False: pixels as stored, which the annotations
            of many datasets refer to.

    Raises:
        DeoccError: the file is missing, is no picture of a documented format, has too many pixels, is
            damaged, or its range of values is unknown.
    """
    decoded = decode(path, exif)
    pixels = np.array(_opaque(_in_srgb(path, decoded), decoded.notes))
    return Photo(pixels, decoded.orientation, exif, tuple(decoded.notes))


def read_image(path: PathLike, exif: bool = True) -> np.ndarray:
    """The pixels of `read_photo`; the notes go to the log.

    Returns:
        H x W x 3 uint8 sRGB in [0, 255].

    Raises:
        DeoccError: as `read_photo`.
    """
    photo = read_photo(path, exif)
    for note in photo.notes:
        log.info("%s: %s", path, note)
    return photo.pixels


def read_rgba(path: PathLike) -> np.ndarray:
    """Reads a cut-out, its colours as in `read_photo`. Returns: H x W x 4 uint8. Raises: DeoccError."""
    return np.array(_in_srgb(path, decode(path)).convert("RGBA"))


def has_alpha(image: Image.Image) -> bool:
    """Whether a picture may have transparent pixels."""
    return image.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in image.info


def _in_srgb(path: PathLike, decoded: Decoded) -> Image.Image:
    """Mode RGB or RGBA."""
    image, info = decoded.image, decoded.image.info
    if decoded.signed == 8:
        raise DeoccError(f"{path}: its values are signed; save it with unsigned values of 8 bits")
    if image.mode.startswith("I") or image.mode == "F":
        values = np.asarray(image)
        if image.mode.startswith("I;16"):
            values = values.astype(np.uint16, copy=False)
        image = Image.fromarray(eight_bits(values, path, decoded.notes, decoded.signed == 16))
        image.info = {key: value for key, value in info.items() if key == "icc_profile"}
    alpha = None
    if has_alpha(image):
        image = image.convert("RGBA")
        alpha = image.getchannel("A")
        image = image.convert("RGB")
    elif image.mode == "1":
        image = image.convert("L")
    elif image.mode in ("P", "RGBX"):
        image = image.convert("RGB")
    if "icc_profile" in info:
        image.info["icc_profile"] = info["icc_profile"]
    image = to_srgb(image, decoded.notes)
    if alpha is not None:
        image.putalpha(alpha)
    return image


def _opaque(image: Image.Image, notes: list[str]) -> Image.Image:
    """Puts a transparent picture on white; of one that is transparent everywhere the colours are taken."""
    if image.mode != "RGBA":
        return image
    if image.getchannel("A").getextrema()[1] == 0:
        notes.append("it is transparent everywhere: read by its colours")
        return image.convert("RGB")
    white = Image.new("RGB", image.size, (255, 255, 255))
    white.paste(image.convert("RGB"), mask=image.getchannel("A"))
    return white


# ------------------------------------------------------------------ label maps


def read_labels(path: PathLike) -> np.ndarray:
    """Reads a label map: grey values, or indices of a palette.

    Labels may be stored in more channels or bits than needed, if those hold nothing else.

    Returns:
        H x W uint8.

    Raises:
        DeoccError: as `read_photo`; or the picture is not a label map: coloured, with labels above 255, or
            compressed with loss.
    """
    decoded = decode(path)
    image = decoded.image
    if decoded.lossy:
        raise DeoccError(f"{path}: {image.format} smears labels; save the label map as PNG")
    if image.mode in ("RGB", "RGBA", "LA"):
        bands = [np.asarray(band) for band in image.split()]
        opaque = len(bands) % 2 or bands.pop().min() == 255
        if opaque and all(np.array_equal(bands[0], band) for band in bands):
            return bands[0].copy()
    values = np.asarray(image)
    if values.ndim == 2 and image.mode != "F" and values.min() >= 0 and values.max() <= 255:
        return values.astype(np.uint8)
    raise DeoccError(
        f"{path}: label maps have one 8-bit channel, this one is {image.mode}; save it as grey, labels 0..255"
    )


def read_parsing(path: PathLike) -> np.ndarray:
    """Reads a LIP label map. Returns: H x W uint8, 0..19 or 255. Raises: DeoccError for other values."""
    labels = read_labels(path)
    if ((labels >= NUM_CLASSES) & (labels != IGNORE)).any():
        raise DeoccError(
            f"{path}: label {labels[labels != IGNORE].max()} is not a LIP class; use 0..19 or 255"
        )
    return labels


# ------------------------------------------------------------------ writing


def write_image(path: PathLike, array: np.ndarray, quality: int = 92) -> Path:
    """Writes uint8 H x W, H x W x 3 (RGB) or H x W x 4; the suffix (.png, .jpg) names the format.

    Large PNG files (from `LARGE` values) are packed by OpenCV with one filter and little compression: twice
    as fast as Pillow at its lowest level, for files of the same size.
    """
    suffix = Path(path).suffix.lower()
    if suffix not in (".png", ".jpg", ".jpeg"):
        raise DeoccError(f"{path}: pictures are written as .png or .jpg; change the ending")
    if suffix == ".png" and array.size >= LARGE:
        return write_atomic(path, lambda file: file.write(_fast_png(array)))
    options = {"format": "PNG"} if suffix == ".png" else {"format": "JPEG", "quality": quality}
    image = Image.fromarray(np.ascontiguousarray(array))
    return write_atomic(path, lambda file: image.save(file, **options))


def _fast_png(array: np.ndarray) -> memoryview:
    """A PNG file of a grey, RGB or RGBA uint8 array."""
    swap = {3: cv2.COLOR_RGB2BGR, 4: cv2.COLOR_RGBA2BGRA}.get(array.shape[2] if array.ndim == 3 else 1)
    pixels = np.ascontiguousarray(array) if swap is None else cv2.cvtColor(array, swap)
    options = [cv2.IMWRITE_PNG_FILTER, cv2.IMWRITE_PNG_FILTER_UP, cv2.IMWRITE_PNG_COMPRESSION, 1]
    options += [cv2.IMWRITE_PNG_STRATEGY, cv2.IMWRITE_PNG_STRATEGY_RLE]
    return cv2.imencode(".png", pixels, options)[1].data


def write_mask(path: PathLike, mask: np.ndarray) -> Path:
    """Writes an H x W bool mask as an 8-bit PNG of 0 and 255."""
    return write_image(path, mask.astype(bool).astype(np.uint8) * 255)


def write_parsing(path: PathLike, parsing: np.ndarray) -> Path:
    """Writes an H x W uint8 label map as an 8-bit grey PNG."""
    return write_image(path, parsing.astype(np.uint8))
