"""One colour: a control for the pixel metrics."""

import numpy as np

from deocc.baselines.pixels.inpainting import Inpainter


class MeanColour(Inpainter):
    """Paints the hole in the mean colour of known pixels. Arguments as `Inpainter`.

    No pixel is right, but its PSNR beats systems that draw structure in the wrong place.
    """

    title = "mean colour"

    def __init__(self, known: str = "person", name: str | None = None) -> None:
        super().__init__(known, name)

    def fill(self, image: np.ndarray, hole: np.ndarray) -> np.ndarray:
        """See `Inpainter.fill`."""
        colour = np.rint(image[~hole].mean(0)).astype(np.uint8)
        return np.broadcast_to(colour, image.shape)
