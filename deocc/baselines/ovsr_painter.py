"""OVSR's appearance recovery (Yan et al. 2019): one network, two paths."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from deocc.baselines.painting import Painter
from deocc.models.blocks import ConvNorm, ResidualBlock, upsample_to


class OVSRPainter(Painter):
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
        super().__init__()
        self.config = {"width": width}
        widths = (width, 2 * width, 4 * width, 8 * width)
        pairs = list(zip(widths[:-1], widths[1:], strict=True))
        self.stem = ConvNorm(5, width, 2)
        self.down = nn.ModuleList(ResidualBlock(fine, coarse, 2) for fine, coarse in pairs)
        self.middle = nn.Sequential(*(ResidualBlock(widths[-1], widths[-1]) for _ in range(2)))
        self.up = nn.ModuleList(ConvNorm(fine + coarse, fine) for fine, coarse in pairs)
        self.last = ConvNorm(width + 5, max(8, width // 2))
        self.head = nn.Conv2d(max(8, width // 2), 3, 3, padding=1)

    def draw(self, image: Tensor, hole: Tensor, amodal_mask: Tensor) -> list[Tensor]:
        """See `Painter.draw`; both paths run as one batch."""
        guide = torch.cat([hole, amodal_mask], 1)
        paths = [torch.cat([(image - 0.5) * seen, guide], 1) for seen in (1 - hole, (1 - hole) * amodal_mask)]
        return list(self._run(torch.cat(paths)).chunk(2))

    def _run(self, given: Tensor) -> Tensor:
        x, skips = self.stem(given), []  # N x w x H/2 x W/2
        for layer in self.down:
            skips.append(x)
            x = layer(x)
        x = self.middle(x)  # N x 8w x H/16 x W/16
        for layer in reversed(self.up):
            skip = skips.pop()
            x = layer(torch.cat([skip, upsample_to(x, skip)], 1))
        return self.head(self.last(torch.cat([upsample_to(x, given), given], 1))).sigmoid()
