"""PCNet-C (Zhan et al. 2020), the parent of the paper's stage 2: a U-Net of partial convolutions."""

from __future__ import annotations

import itertools

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from deocc.baselines.pixels.painting import Painter, PaintingSystem
from deocc.models import PartialConv2d
from deocc.models.blocks import upsample_to
from deocc.models.content_recovery import GROWTH, KERNELS
from deocc.occlusion.batch import Batch
from deocc.training import losses as L
from deocc.training.guidance import Guidance

TV = 0.1  # weight of the total variation beside L1 over the hole at 6, as in the original


class _Layer(nn.Module):
    """Partial convolution, normalisation, activation.

    Args:
        inputs: channels of each source with a validity of its own.
        outputs: channels.
        kernel: odd kernel size.
        stride: 2 halves the resolution.
        slope: of the leaky ReLU, None: neither normalisation nor activation.
        norm: batch normalisation.
    """

    def __init__(
        self,
        inputs: tuple[int, ...],
        outputs: int,
        kernel: int,
        stride: int,
        slope: float | None,
        norm: bool = True,
    ) -> None:
        super().__init__()
        self.partial = PartialConv2d(sum(inputs), outputs, kernel, stride, kernel // 2, not norm, inputs)
        self.norm = nn.BatchNorm2d(outputs) if norm else nn.Identity()
        self.slope = slope

    def forward(self, x: Tensor, valid: Tensor) -> tuple[Tensor, Tensor]:
        """x N x C x H x W, valid N x S x H x W; returns the feature and its validity."""
        y, valid = self.partial(x, valid)
        y = self.norm(y)
        return (y if self.slope is None else F.leaky_relu(y, self.slope)), valid


class PCNetC(Painter):
    """U-Net of partial convolutions over (photo, M_a) with validity M_v; no attention, no parsing.

    The original's: kernels 7, 5, 5, 3, 3, ..., nearest upsampling, skips, the mask as a fourth channel under
    the same validity as the photo (so it is unknown in the hole), L1 over the hole (6) and over what is known
    (1), perceptual, style and total-variation terms, a PatchGAN. Adapted: Liu et al.'s renormalisation (the
    original omits it); feature terms and their weights are the preset's.

    Args:
        width: channels of the first level (64 in the original).
        levels: of the encoder, 1 to 7 (7 at 256 pixels in the original).
    """

    def __init__(self, width: int = 64, levels: int = 7) -> None:
        super().__init__()
        self.config = {"width": width, "levels": levels}
        widths = [4, *(factor * width for factor in GROWTH[:levels])]
        pairs = list(itertools.pairwise(widths))
        self.encoder = nn.ModuleList(
            _Layer((fine,), coarse, KERNELS[k], 2, 0.0, k > 0) for k, (fine, coarse) in enumerate(pairs)
        )
        self.decoder = nn.ModuleList(
            _Layer((coarse, fine), fine, 3, 1, 0.2) if k else _Layer((coarse, fine), 3, 3, 1, None, False)
            for k, (fine, coarse) in enumerate(pairs)
        )

    def draw(self, image: Tensor, hole: Tensor, amodal_mask: Tensor) -> list[Tensor]:
        """See `Painter.draw`."""
        x, valid, skips = torch.cat([image, amodal_mask], 1), 1 - hole, []
        for layer in self.encoder:
            skips.append((x, valid))
            x, valid = layer(x, valid)
        for layer in reversed(self.decoder):
            skip, known = skips.pop()
            x, valid = upsample_to(x, skip, "nearest"), upsample_to(valid, skip, "nearest")
            x, valid = layer(torch.cat([x, skip], 1), torch.cat([valid, known], 1))
        return [x.sigmoid()]


class PCNetCSystem(PaintingSystem):
    """PCNet-C with its total-variation term."""

    def own_terms(self, painted: Tensor, guidance: Guidance, batch: Batch) -> dict[str, Tensor]:
        """Total variation of the composite in and around the hole."""
        return {"total_variation": TV * L.total_variation(painted, guidance.hole(batch["photo_mask"]))}
