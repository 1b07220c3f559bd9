"""What Pillow misreads in TIFF files."""

from pathlib import Path

import numpy as np
from PIL import Image

from deocc.errors import DeoccError

SUBFILE, BITS, PHOTOMETRIC, PLANES, SAMPLE_FORMAT, DNG_VERSION = 254, 258, 262, 284, 339, 50706  # tags


def refuse_raw(path: Path, image: Image.Image) -> None:
    """Refuses a camera's raw file: a TIFF file whose first picture is a thumbnail. Raises: DeoccError."""
    tags = getattr(image, "tag_v2", {})
    if DNG_VERSION in tags or int(tags.get(SUBFILE, 0)) & 1:
        raise DeoccError(
            f"{path}: a raw or thumbnail file of a camera; develop it and save it as PNG or JPEG"
        )


def refuse_odd(path: Path, image: Image.Image) -> None:
    """Refuses what Pillow misreads: inverted deep greys, deep colours in planes. Raises: DeoccError."""
    tags = getattr(image, "tag_v2", {})
    if tags.get(PHOTOMETRIC) == 0 and image.mode[0] in "IF":
        raise DeoccError(f"{path}: its zero is white, in more than 8 bits; save it with 8 bits")
    if tags.get(PLANES) == 2 and 16 in np.atleast_1d(tags.get(BITS, 8)):
        raise DeoccError(f"{path}: 16-bit colours in separate planes; save it with 8 bits")


def signed_bits(image: Image.Image) -> int:
    """The bits of a TIFF file's values if they are signed, else 0."""
    tags = getattr(image, "tag_v2", {})
    signed = 2 in np.atleast_1d(tags.get(SAMPLE_FORMAT, 1))
    return int(np.atleast_1d(tags.get(BITS, 8)).max()) if signed else 0
