"""Output of figures, in the notebooks' style."""

from __future__ import annotations

import io

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

from deocc.io import PathLike, write_image

JPEG_QUALITY = 82

DPI = 110  # a figure of 8 inches is as wide as a page of GitHub


def figure_array(figure: Figure) -> np.ndarray:
    """A figure's pixels; H x W x 3 uint8."""
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()


def encode_jpeg(picture: np.ndarray, quality: int = JPEG_QUALITY) -> bytes:
    """JPEG bytes of an H x W x 3 uint8 picture, for a widget or a page."""
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()


def save_figure(figure: Figure, path: PathLike) -> None:
    """Writes a figure as JPEG or PNG, by the file's ending.

    Raises:
        DeoccError: the folder cannot be written.
    """
    write_image(path, figure_array(figure), JPEG_QUALITY)


def use_notebook_style(quality: int = JPEG_QUALITY) -> None:
    """Inline figures as JPEG: photos stay small enough for a notebook that is read on a web page."""
    from matplotlib_inline.backend_inline import set_matplotlib_formats

    set_matplotlib_formats("jpeg", pil_kwargs={"quality": quality}, bbox_inches=None)
