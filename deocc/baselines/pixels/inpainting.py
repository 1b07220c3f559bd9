"""The base class of the inpainting baselines."""

import logging

import numpy as np
import torch

from deocc.baselines.protocol import to_masks
from deocc.errors import DeoccError
from deocc.masks import mask_box
from deocc.occlusion.batch import Batch
from deocc.training.system import Prediction

LOG = logging.getLogger("deocc")


class Inpainter:
    """Fills the invisible part of a person from pixels around it; subclasses implement `fill`.

    Args:
        known: what may be copied from: "photo" = every photo pixel outside the hole, occluder included, as
            such a method is used on a photo; "person" = visible person alone (the rest of the crop is filled
            too and thrown away), which spares it the occluder's colours.
        name: its row in a table.

    Raises:
        DeoccError: an unknown `known`.
    """

    on_photo = True
    title = "inpainting"
    margin = 32  # context around the person's box in pixels

    def __init__(self, known: str = "photo", name: str | None = None) -> None:
        if known not in ("photo", "person"):
            raise DeoccError(f"known={known!r} is unknown; use 'photo' or 'person'")
        self.known = known
        self.name = name or self.title + (", from the person alone" if known == "person" else "")

    def fill(self, image: np.ndarray, hole: np.ndarray) -> np.ndarray:
        """Fills a hole.

        Args:
            image: H x W x 3 uint8.
            hole: H x W bool; at least one pixel inside, one outside.

        Returns:
            H x W x 3 uint8; pixels outside the hole do not matter.
        """
        raise NotImplementedError

    def recover(
        self, image: np.ndarray, modal: np.ndarray, amodal: np.ndarray, photo_mask: np.ndarray
    ) -> np.ndarray:
        """One picture, H x W x 3 uint8, with its invisible mask filled; the rest stays bit for bit.

        Args:
            image: H x W x 3 uint8.
            modal, amodal, photo_mask: H x W bool.
        """
        invisible = amodal & ~modal & photo_mask
        known = (modal if self.known == "person" else ~invisible) & photo_mask
        if not invisible.any():
            return image
        window = self._window(amodal | modal, photo_mask)
        if not known[window].any():
            LOG.warning("%s: no known pixel near the hole; it stays as it is", self.name)
            return image
        out = image.copy()
        filled = self.fill(np.ascontiguousarray(image[window]), ~known[window])
        out[window][invisible[window]] = filled[invisible[window]]
        return out

    def _window(self, mask: np.ndarray, photo_mask: np.ndarray) -> tuple[slice, slice]:
        """The mask's box and a margin, cut to the box of the photo (a rectangle in its frame)."""
        margin = self.margin if self.known == "photo" else 2
        (x0, y0, x1, y1), (left, top, right, bottom) = mask_box(mask), mask_box(photo_mask)
        return (
            slice(max(top, y0 - margin), min(bottom, y1 + margin)),
            slice(max(left, x0 - margin), min(right, x1 + margin)),
        )

    def predict(self, batch: Batch) -> Prediction:
        """Args: batch: with image, modal_mask, amodal_mask, photo_mask. Returns: recovered, N x 3 x H x W."""
        images = (batch["image"].detach().cpu().permute(0, 2, 3, 1) * 255).round().to(torch.uint8).numpy()
        masks = (to_masks(batch[name]) for name in ("modal_mask", "amodal_mask", "photo_mask"))
        filled = [self.recover(*arrays) for arrays in zip(images, *masks, strict=True)]
        recovered = torch.from_numpy(np.stack(filled)).permute(0, 3, 1, 2).float() / 255
        return {"recovered": recovered.to(batch["image"].device)}
