"""Compares recovered pictures by feature networks that no painter was trained with."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch

from deocc import metrics as M
from deocc.evaluation.features import frechet_judge, lite0_features
from deocc.masks import Frame, mask_box
from deocc.occlusion import OcclusionCase


class Seen(NamedTuple):
    """Pooled features of N pictures.

    Attributes:
        person: of the squares around the people, by the Frechet network, N x D.
        hidden: of the squares around the invisible masks, by EfficientNet-lite0, N x 1280.
    """

    person: np.ndarray
    hidden: np.ndarray


class PixelJudge:
    """Perceptual distances, Frechet and kernel features of recovered people.

    A picture is the square around the true person, resampled to 224 x 224, with target pixels pasted outside
    the true amodal mask: what a system leaves of the occluder beside the person does not count. Kernel
    distances see the same closer up, in the square around the true invisible mask.

    Args:
        device: where the networks run.
    """

    margin = 1.1  # side of the square over the longer side of the person's box
    hidden_margin = 1.5  # the same of the invisible mask's box: some of what surrounds it has to fit
    least = 0.25  # of the person's square that the hidden one's side has

    def __init__(self, device: str | torch.device = "cpu") -> None:
        self.device = torch.device(device)
        self.lite0 = lite0_features(str(self.device))
        self.frechet = frechet_judge(str(self.device))

    def _crops(self, case: OcclusionCase, picture: np.ndarray, hidden: bool = False) -> np.ndarray:
        """224 x 224 x 3 uint8, of the person or of the hidden part."""
        assert case.target is not None and case.amodal_mask is not None
        pasted = np.where(case.amodal_mask[..., None], picture, case.target)
        frame = self._hidden_frame(case) if hidden else self._frame(case)
        return frame.crop_image(pasted, self.lite0.input_size)

    def _frame(self, case: OcclusionCase) -> Frame:
        assert case.amodal_mask is not None
        return _square(case.amodal_mask, self.margin)

    def _hidden_frame(self, case: OcclusionCase) -> Frame:
        """Around the invisible mask; around the person where nothing is hidden."""
        assert case.invisible_mask is not None
        whole = self._frame(case)
        if not case.invisible_mask.any():
            return whole
        return _square(case.invisible_mask, self.hidden_margin, self.least * whole.side)

    def _regions(self, cases: Sequence[OcclusionCase], name: str) -> torch.Tensor:
        """N x 1 x 224 x 224 float {0, 1}."""
        size = self.lite0.input_size
        masks = [self._frame(case).crop_mask(getattr(case, name), size) for case in cases]
        return torch.from_numpy(np.stack(masks))[:, None].float().to(self.device)

    def _images(self, crops: Sequence[np.ndarray]) -> torch.Tensor:
        """N x 3 x 224 x 224 in [0, 1]."""
        return torch.from_numpy(np.stack(crops)).permute(0, 3, 1, 2).to(self.device).float() / 255

    @torch.inference_mode()
    def _look(
        self, cases: Sequence[OcclusionCase], pictures: Sequence[np.ndarray]
    ) -> tuple[tuple[torch.Tensor, ...], Seen]:
        """Levels of lite0 for the people, and pooled features."""
        images = self._images([self._crops(*pair) for pair in zip(cases, pictures, strict=True)])
        closer = self._images([self._crops(*pair, hidden=True) for pair in zip(cases, pictures, strict=True)])
        seen = self.lite0(images)
        pooled = seen.pooled if self.frechet is self.lite0 else self.frechet(images).pooled
        hidden = self.lite0(closer).pooled
        return seen.levels, Seen(*(kind.cpu().double().numpy() for kind in (pooled, hidden)))

    def compare(
        self, cases: Sequence[OcclusionCase], pictures: Sequence[Sequence[np.ndarray]]
    ) -> tuple[Seen, list[tuple[dict[str, np.ndarray], Seen]]]:
        """Compares each system's pictures with the targets.

        Args:
            cases: N cases with target, amodal and modal mask.
            pictures: a system's N recovered photos, for each system.

        Returns:
            The targets' features, and of each system the distances (N a region) and features.
        """
        regions = {
            "recovered_perceptual": self._regions(cases, "invisible_mask"),
            "person_perceptual": self._regions(cases, "amodal_mask"),
        }
        target_levels, target_seen = self._look(cases, [case.target for case in cases])  # type: ignore[misc]
        results = []
        for system in pictures:
            levels, seen = self._look(cases, system)
            distances = {
                name: M.perceptual_distance(levels, target_levels, region).cpu().double().numpy()
                for name, region in regions.items()
            }
            results.append((distances, seen))
        return target_seen, results


def _square(mask: np.ndarray, margin: float, least: float = 0.0) -> Frame:
    """The square around a mask's box; its side is `margin` times the longer one, and at least `least`."""
    x0, y0, x1, y1 = mask_box(mask)
    side = max(margin * max(x1 - x0, y1 - y0), least)
    return Frame((x0 + x1 - side) / 2, (y0 + y1 - side) / 2, side)
