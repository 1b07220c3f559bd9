"""Judges recovered pictures by feature networks that no painter was trained with."""

from collections.abc import Sequence

import numpy as np
import torch

from deocc import metrics as M
from deocc.masks import Frame, mask_box
from deocc.models.evaluation_features import frechet_judge, lite0_features
from deocc.occlusion import OcclusionCase


class PixelJudge:
    """Perceptual distances and Frechet features of recovered people.

    A picture is the square around the true person, resampled to 224 x 224, with target pixels pasted outside
    the true amodal mask: what a system leaves of the occluder beside the person does not count.

    Args:
        device: where the networks run.
    """

    margin = 1.1  # side of the square over the longer side of the person's box

    def __init__(self, device: str | torch.device = "cpu") -> None:
        self.device = torch.device(device)
        self.lite0 = lite0_features().to(self.device)
        self.frechet = frechet_judge()
        if isinstance(self.frechet, torch.nn.Module):
            self.frechet.to(self.device)

    def _crops(self, case: OcclusionCase, picture: np.ndarray) -> np.ndarray:
        """224 x 224 x 3 uint8."""
        assert case.target is not None and case.amodal_mask is not None
        pasted = np.where(case.amodal_mask[..., None], picture, case.target)
        return self._frame(case).crop_image(pasted, self.lite0.input_size)

    def _frame(self, case: OcclusionCase) -> Frame:
        assert case.amodal_mask is not None
        x0, y0, x1, y1 = mask_box(case.amodal_mask)
        side = self.margin * max(x1 - x0, y1 - y0)
        return Frame((x0 + x1 - side) / 2, (y0 + y1 - side) / 2, side)

    def _regions(self, cases: Sequence[OcclusionCase], name: str) -> torch.Tensor:
        """N x 1 x 224 x 224 float {0, 1}."""
        size = self.lite0.input_size
        masks = [self._frame(case).crop_mask(getattr(case, name), size) for case in cases]
        return torch.from_numpy(np.stack(masks))[:, None].float().to(self.device)

    def _look(self, crops: Sequence[np.ndarray]) -> tuple[tuple[torch.Tensor, ...], np.ndarray]:
        """Levels of lite0, and pooled features of the Frechet network."""
        images = torch.from_numpy(np.stack(crops)).permute(0, 3, 1, 2).to(self.device).float() / 255
        with torch.inference_mode():
            seen = self.lite0(images)
            pooled = seen.pooled if self.frechet is self.lite0 else self.frechet(images).pooled
        return seen.levels, pooled.double().cpu().numpy()

    def compare(
        self, cases: Sequence[OcclusionCase], pictures: Sequence[Sequence[np.ndarray]]
    ) -> tuple[np.ndarray, list[tuple[dict[str, np.ndarray], np.ndarray]]]:
        """Looks at the targets once and at each system's pictures of them.

        Args:
            cases: N cases with target, amodal and modal mask.
            pictures: a system's N recovered photos, for each system.

        Returns:
            The targets' Frechet features (N x D), and of each system the distances (N a region) and features.
        """
        regions = {
            "recovered_perceptual": self._regions(cases, "invisible_mask"),
            "person_perceptual": self._regions(cases, "amodal_mask"),
        }
        target_levels, target_pooled = self._look([self._crops(c, c.target) for c in cases])  # type: ignore[arg-type]
        results = []
        for system in pictures:
            levels, pooled = self._look([self._crops(c, p) for c, p in zip(cases, system, strict=True)])
            distances = {
                name: M.perceptual_distance(levels, target_levels, region).double().cpu().numpy()
                for name, region in regions.items()
            }
            results.append((distances, pooled))
        return target_pooled, results
