"""EXIF orientations: how a photo's stored pixels are turned."""

import warnings

import numpy as np
from PIL import Image

ORIENTATION = 0x0112  # the EXIF tag; 1 = as stored, 2..8 = mirrored or turned
WORDS = (b"eXIf", b"iTXt", b"tEXt", b"zTXt")  # chunks of a PNG file
TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180, 4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE, 6: Image.Transpose.ROTATE_270, 7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}  # fmt: skip
TURNS_BACK = {**TURNS, 6: TURNS[8], 8: TURNS[6]}


def exif_orientation(image: Image.Image, warned: list[warnings.WarningMessage], notes: list[str]) -> int:
    """The EXIF orientation, 1..8; damaged EXIF data go to the notes.

    Only this tag is read, so other damaged tags do not matter.

    Args:
        image: opened; it need not be decoded.
        warned: while it was opened.
        notes: gets one sentence for each peculiarity.
    """
    try:
        tags = getattr(image, "tag_v2", None)
        value = (_exif(image) if tags is None else tags).get(ORIENTATION, 1)
        damaged = any("EXIF" in str(warning.message) for warning in warned)
    except Exception:  # whatever damaged tags make Pillow stumble over
        value, damaged = 1, True
    if damaged:
        notes.append("its EXIF data are damaged: what they say of the photo's orientation may be lost")
    if isinstance(value, int) and 1 <= value <= 8:
        return value
    if value not in (0, None):  # 0: undefined, as some programs write it
        notes.append(f"its EXIF orientation {str(value)[:20]!r} is none of 1 to 8: not turned")
    return 1


def _exif(image: Image.Image) -> Image.Exif:
    """The EXIF data. Pillow decodes any PNG file for them; only what stands behind its pixels needs that."""
    if image.format == "PNG" and not _ends_in_words(image.filename):  # type: ignore[attr-defined]
        return Image.Image.getexif(image)
    return image.getexif()


def _ends_in_words(path: str) -> bool:
    """Whether a PNG file has EXIF data or texts behind its pixels."""
    behind = False
    with open(path, "rb") as file:
        file.seek(8)
        while len(head := file.read(8)) == 8:
            behind = behind or head[4:] == b"IDAT"
            if behind and head[4:] in WORDS:
                return True
            file.seek(int.from_bytes(head[:4], "big") + 4, 1)  # its content and checksum
    return False


def turn(array: np.ndarray, orientation: int) -> np.ndarray:
    """Turns an array of stored pixels (H x W [x C]) by an EXIF orientation, 1..8, as viewers do."""
    if orientation in (5, 6, 7, 8):
        array = array.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        array = array[::-1]
    if orientation in (2, 3, 6, 7):
        array = array[:, ::-1]
    return np.ascontiguousarray(array)
