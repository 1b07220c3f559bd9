"""Reading and writing pictures: every reader gives one form, every writer leaves a whole file or none."""

import json
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from deocc.errors import DeoccError
from deocc.labels import IGNORE, NUM_CLASSES

PathLike = str | os.PathLike[str]


def _open(path: PathLike) -> Image.Image:
    """Opens and fully decodes a picture; EXIF orientation is applied."""
    path = Path(path)
    if not path.is_file():
        raise DeoccError(f"{path}: no such file; give the path of an existing picture")
    try:
        with Image.open(path) as image:
            image.load()
            return ImageOps.exif_transpose(image)
    except UnidentifiedImageError:
        raise DeoccError(f"{path}: not a picture that can be read; give a PNG or JPEG file") from None
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise DeoccError(f"{path}: damaged or cut off ({error}); save the picture again") from None


def _to_eight_bits(image: Image.Image) -> np.ndarray:
    """A 16- or 32-bit grey picture (PIL modes I, I;16, F) as uint8 H x W, scaled by its format's range."""
    values = np.asarray(image).astype(np.float64)
    top = 65535.0 if image.mode.startswith("I") and values.max(initial=0) > 255 else 255.0
    return np.clip(np.round(values * (255.0 / top)), 0, 255).astype(np.uint8)


def read_image(path: PathLike) -> np.ndarray:
    """Reads a photo of any common mode (grey, 16-bit, palette, RGBA, EXIF-rotated).

    Transparent pixels are laid on white.

    Returns:
        H x W x 3 uint8 RGB in [0, 255].

    Raises:
        DeoccError: the file is missing, is no picture, or is cut off.
    """
    image = _open(path)
    if image.mode.startswith("I") or image.mode == "F":
        return np.repeat(_to_eight_bits(image)[..., None], 3, axis=2)
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        rgba = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", rgba.size, (255, 255, 255, 255)), rgba)
    return np.array(image.convert("RGB"))


def read_rgba(path: PathLike) -> np.ndarray:
    """Reads a cut-out. Returns: H x W x 4 uint8. Raises: DeoccError as `read_image`."""
    return np.array(_open(path).convert("RGBA"))


def read_mask(path: PathLike) -> np.ndarray:
    """Reads a mask: bright pixels (at least half of the range, or any value of a 0/1 file) are inside.

    An RGBA file whose colours are all alike is read by its alpha.

    Returns:
        H x W bool.

    Raises:
        DeoccError: the file is missing, is no picture, or is cut off.
    """
    image = _open(path)
    if image.mode == "P":  # a palette mask (VOC, DAVIS) counts indices, not colours
        return np.asarray(image) > 0
    if image.mode in ("RGBA", "LA") and np.asarray(image.convert("L")).std() == 0:
        image = image.getchannel("A")
    values = _to_eight_bits(image) if image.mode[0] in "IF" else np.asarray(image.convert("L"))
    return values > 0 if values.max(initial=0) <= 1 else values >= 128


def read_labels(path: PathLike) -> np.ndarray:
    """Reads a label map: grey values, or indices of a palette. Returns: H x W uint8. Raises: DeoccError."""
    image = _open(path)
    if image.mode not in ("L", "P"):
        raise DeoccError(
            f"{path}: label maps have one 8-bit channel, this one is {image.mode}; save it as grey"
        )
    return np.array(image)


def read_parsing(path: PathLike) -> np.ndarray:
    """Reads a LIP label map. Returns: H x W uint8, 0..19 or 255. Raises: DeoccError for other values."""
    labels = read_labels(path)
    if ((labels >= NUM_CLASSES) & (labels != IGNORE)).any():
        raise DeoccError(
            f"{path}: label {labels[labels != IGNORE].max()} is not a LIP class; use 0..19 or 255"
        )
    return labels


def write_atomic(path: PathLike, write: Callable[[IO[bytes]], Any]) -> Path:
    """Calls `write(file)` on a temporary file beside `path`, then renames it: a whole file or none.

    Raises:
        DeoccError: the folder cannot be made or written.
    """
    path = Path(path)
    temporary = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False) as file:
            temporary = Path(file.name)
            write(file)
        temporary.chmod(0o644)
        temporary.replace(path)
    except OSError as error:
        raise DeoccError(
            f"{path}: cannot be written ({error.strerror or error}); choose another folder"
        ) from None
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)
    return path


def require_writable(folder: PathLike) -> Path:
    """Checks, without making anything, that files can be written into a folder that exists or can be made.

    Raises:
        DeoccError: a file stands in the way, or the folder is read-only.
    """
    folder = Path(folder)
    try:
        there = next(path for path in (folder.absolute(), *folder.absolute().parents) if path.exists())
    except OSError as error:
        raise DeoccError(f"{folder}: {error.strerror}; choose another folder") from None
    if not there.is_dir():
        raise DeoccError(f"{folder}: cannot be made, {there} is a file; choose another folder")
    if not os.access(there, os.W_OK | os.X_OK):
        raise DeoccError(f"{folder}: no permission to write in {there}; choose another folder")
    return folder


@contextmanager
def whole_folder(folder: PathLike) -> Iterator[Path]:
    """Gives a temporary folder whose files move into `folder` once the block is done; on an error none does.

    Files that `folder` holds already stay, but for those of the same name.

    Raises:
        DeoccError: the folder cannot be made or written.
    """
    folder = Path(folder)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}.") as name:
            yield Path(name)
            folder.mkdir(exist_ok=True)
            for path in sorted(Path(name).iterdir()):
                path.replace(folder / path.name)
    except OSError as error:
        raise DeoccError(
            f"{folder}: cannot be written ({error.strerror or error}); choose another folder"
        ) from None


def write_image(path: PathLike, array: np.ndarray, quality: int = 92) -> Path:
    """Writes uint8 H x W, H x W x 3 (RGB) or H x W x 4; the suffix (.png, .jpg) names the format."""
    suffix = Path(path).suffix.lower()
    if suffix not in (".png", ".jpg", ".jpeg"):
        raise DeoccError(f"{path}: pictures are written as .png or .jpg; change the ending")
    options = {"format": "PNG"} if suffix == ".png" else {"format": "JPEG", "quality": quality}
    image = Image.fromarray(np.ascontiguousarray(array))
    return write_atomic(path, lambda file: image.save(file, **options))


def write_mask(path: PathLike, mask: np.ndarray) -> Path:
    """Writes an H x W bool mask as an 8-bit PNG of 0 and 255."""
    return write_image(path, mask.astype(bool).astype(np.uint8) * 255)


def write_parsing(path: PathLike, parsing: np.ndarray) -> Path:
    """Writes an H x W uint8 label map as an 8-bit grey PNG."""
    return write_image(path, parsing.astype(np.uint8))


def write_json(path: PathLike, value: Any) -> Path:
    """Writes JSON with two-space indent and a final newline."""
    text = json.dumps(value, indent=2, ensure_ascii=False) + "\n"
    return write_atomic(path, lambda file: file.write(text.encode()))


def read_json(path: PathLike) -> Any:
    """Reads a JSON file. Raises: DeoccError when it is missing or not JSON."""
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise DeoccError(f"{path}: no such file") from None
    except (json.JSONDecodeError, UnicodeDecodeError, OSError) as error:
        raise DeoccError(f"{path}: not readable as JSON ({error}); write it again") from None
