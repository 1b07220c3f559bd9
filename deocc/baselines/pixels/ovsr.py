"""OVSR's appearance recovery (Yan et al. 2019): one network, two paths."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from deocc.baselines.pixels.painting import Painter
from deocc.baselines.residual_unet import ResidualUNet
from deocc.models.blocks import ConvNorm, upsample_to


class OVSRPainter(ResidualUNet, Painter):
    """One encoder-decoder paints twice: the person in the photo (draft), and the person alone (answer).

    The original's: "a two-path structure with a shared network", L1, perceptual and adversarial losses on
    cars. Adapted: we work from that description and the figure's roles of the two paths are our reading: the
    context path sees the emptied photo, the foreground path the same without background; both are trained,
    the second one answers. Layers are residual blocks as in our OVSR for masks; there is one pass, while the
    original's two stages take turns.

    Args:
        width: channels at half resolution.
    """

    def __init__(self, width: int = 24) -> None:
        super().__init__(5, width)  # photo, hole, M_a
        self.config = {"width": width}
        self.last = ConvNorm(width + 5, max(8, width // 2))
        self.head = nn.Conv2d(max(8, width // 2), 3, 3, padding=1)

    def draw(self, image: Tensor, hole: Tensor, amodal_mask: Tensor) -> list[Tensor]:
        """See `Painter.draw`; both paths run as one batch."""
        guide = torch.cat([hole, amodal_mask], 1)
        paths = [torch.cat([(image - 0.5) * seen, guide], 1) for seen in (1 - hole, (1 - hole) * amodal_mask)]
        return list(self._run(torch.cat(paths)).chunk(2))

    def _run(self, inputs: Tensor) -> Tensor:
        x = self.decoded(inputs)
        return self.head(self.last(torch.cat([upsample_to(x, inputs), inputs], 1))).sigmoid()
