"""OpenCV's `inpaint`, TELEA."""

import cv2
import numpy as np

from deocc.baselines.pixels.inpainting import Inpainter


class Telea(Inpainter):
    """Telea, 2004: a weighted mean of known neighbours, from the border inwards. Arguments as `Inpainter`."""

    title = "Telea's fast marching"
    radius = 3  # of the neighbourhood, pixels

    def fill(self, image: np.ndarray, hole: np.ndarray) -> np.ndarray:
        """See `Inpainter.fill`."""
        return cv2.inpaint(image, hole.astype(np.uint8), self.radius, cv2.INPAINT_TELEA)
