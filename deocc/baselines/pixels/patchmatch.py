"""PatchMatch, from the package patchmatch-cython."""

import numpy as np

from deocc.baselines.pixels.inpainting import LOG, Inpainter
from deocc.baselines.pixels.telea import Telea
from deocc.errors import DeoccError


class PatchMatch(Inpainter):
    """Copies the best-matching known patches (Barnes et al., 2009), coarse to fine. Arguments as `Inpainter`.

    If no whole patch is left to copy, Telea's method fills the hole, and the log says so.

    Raises:
        DeoccError: the package is not installed.
    """

    title = "PatchMatch"
    patch = 5  # side of a patch, pixels
    margin = 48  # it lives on what it can copy

    def __init__(self, known: str = "photo", name: str | None = None) -> None:
        super().__init__(known, name)
        try:
            from patchmatch_cython import inpaint_pyramid
        except ImportError as error:
            message = f"PatchMatch is not installed ({error}); pip install patchmatch-cython"
            raise DeoccError(message) from None
        self._inpaint = inpaint_pyramid

    def fill(self, image: np.ndarray, hole: np.ndarray) -> np.ndarray:
        """See `Inpainter.fill`. The seed is fixed: equal input gives equal output."""
        try:
            return np.asarray(self._inpaint(image, hole, patch_size=self.patch, seed=0))
        except ValueError as error:  # no whole patch is known, or the crop is smaller than a patch
            LOG.warning("%s: %s; Telea's method fills this hole", self.name, error)
            return Telea().fill(image, hole)
