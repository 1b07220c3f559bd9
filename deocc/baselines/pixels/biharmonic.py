"""scikit-image's biharmonic inpainting."""

import cv2
import numpy as np
from skimage.restoration import inpaint_biharmonic

from deocc.baselines.pixels.inpainting import Inpainter


class Biharmonic(Inpainter):
    """The smoothest surface through the hole's border (Damelin and Hoang, 2018). Arguments as `Inpainter`.

    Adapted: its linear system grows with the hole, so crops are shrunk to `longest` pixels a side first;
    the answer is smooth and loses little by it.
    """

    title = "biharmonic"
    longest = 96  # pixels

    def fill(self, image: np.ndarray, hole: np.ndarray) -> np.ndarray:
        """See `Inpainter.fill`."""
        height, width = hole.shape
        scale = min(1.0, self.longest / max(height, width))
        size = max(1, round(width * scale)), max(1, round(height * scale))
        # known colours are averaged over known pixels alone, so that the hole's content does not leak out
        weight = cv2.resize((~hole).astype(np.float32), size, interpolation=cv2.INTER_AREA)
        known = image.astype(np.float32) * ~hole[..., None] / 255
        colours = cv2.resize(known, size, interpolation=cv2.INTER_AREA) / np.maximum(weight, 1e-6)[..., None]
        small_hole = weight < 0.5
        if small_hole.all() or not small_hole.any():
            small_hole = weight <= 0
        smooth = inpaint_biharmonic(colours, small_hole, split_into_regions=True, channel_axis=-1)
        full = cv2.resize(np.asarray(smooth, np.float32), (width, height), interpolation=cv2.INTER_LINEAR)
        return np.clip(np.rint(full * 255), 0, 255).astype(np.uint8)
