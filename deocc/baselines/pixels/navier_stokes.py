"""OpenCV's `inpaint`, NS."""

import cv2
import numpy as np

from deocc.baselines.pixels.inpainting import Inpainter


class NavierStokes(Inpainter):
    """Bertalmio et al., 2001: carries isophotes into the hole as a fluid would. Arguments as `Inpainter`."""

    title = "Navier-Stokes"
    radius = 3  # of the neighbourhood, pixels

    def fill(self, image: np.ndarray, hole: np.ndarray) -> np.ndarray:
        """See `Inpainter.fill`."""
        return cv2.inpaint(image, hole.astype(np.uint8), self.radius, cv2.INPAINT_NS)
