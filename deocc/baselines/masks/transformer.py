"""A modern mask completer: a promptable transformer decoder on a pretrained trunk."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from deocc.baselines.masks.backbone import Backbone, Pyramid
from deocc.baselines.masks.completion import MaskNetwork, full_size
from deocc.models.blocks import ConvNorm, upsample_to

WAVES = (1, 2, 4)  # half periods of the position's sines across the frame


class PromptTransformer(MaskNetwork):
    """Tokens for the visible and the whole person attend to the picture and to M_i, in the way of SAM's
    decoder.

    The original's (Kirillov et al. 2023): a picture encoder, M_i as a dense prompt added to its feature,
    learned mask tokens, layers in which tokens and picture attend to each other, and a small network a token
    that turns it into a filter over the upscaled feature. Adapted: EfficientNet-lite0 with a pyramid in
    place of the ViT, trained with the rest; self-attention over the picture's cells, so that a limb can look
    at its twin; two tokens, for M_m and M_a, in place of three granularities and an IoU head.

    Args:
        width: channels of pyramid and tokens.
        layers: of the transformer.
        heads: of its attention.
        trunk: "lite0" or "plain".
        pretrained: the trunk starts from ImageNet; False where weights are loaded afterwards.
    """

    def __init__(
        self,
        width: int = 64,
        layers: int = 3,
        heads: int = 4,
        trunk: str = "lite0",
        pretrained: bool = False,
    ) -> None:
        super().__init__()
        self.config = {"width": width, "layers": layers, "heads": heads, "trunk": trunk}
        self.backbone = Backbone(trunk, 2, pretrained)
        self.pyramid = Pyramid(self.backbone.channels, width, 2)
        self.prompt = nn.Sequential(ConvNorm(2, width // 4, 2), ConvNorm(width // 4, width // 2, 2),
                                    nn.Conv2d(width // 2, width, 2, 2))  # fmt: skip
        self.tokens = nn.Parameter(0.02 * torch.randn(2, width))
        self.place = nn.Sequential(nn.Linear(4 * len(WAVES), width), nn.GELU(), nn.Linear(width, width))
        layer = nn.TransformerEncoderLayer(
            width, heads, 2 * width, dropout=0.0, activation="gelu", batch_first=True, norm_first=True
        )
        self.layers = nn.TransformerEncoder(layer, layers, enable_nested_tensor=False)
        self.filters = nn.ModuleList(
            nn.Sequential(nn.Linear(width, width), nn.GELU(), nn.Linear(width, width // 2 + 1))
            for _ in range(2)
        )
        self.refine = nn.Sequential(ConvNorm(2 * width, width), nn.Conv2d(width, width // 2, 1), nn.GELU())

    def complete(self, image: Tensor, initial_mask: Tensor, photo_mask: Tensor) -> tuple[Tensor, Tensor]:
        """See `MaskNetwork.complete`."""
        masks = torch.cat([initial_mask, photo_mask], 1)
        fine, cells = self.pyramid(self.backbone(image, masks))  # N x w x H/4 x W/4 and H/8 x W/8
        cells = cells + upsample_to(self.prompt(masks - 0.5), cells)
        n, width, rows, columns = cells.shape
        sequence = cells.flatten(2).transpose(1, 2) + self.place(_places(cells))  # N x hw x w
        sequence = torch.cat([self.tokens.expand(n, -1, -1), sequence], 1)  # N x (2 + hw) x w
        sequence = self.layers(sequence)
        cells = sequence[:, 2:].transpose(1, 2).reshape(n, width, rows, columns)
        pixels = self.refine(torch.cat([fine, upsample_to(cells, fine)], 1))  # N x w/2 x H/4 x W/4
        answers = [self._filtered(k, sequence[:, k], pixels) for k in range(2)]
        modal, amodal = (full_size(answer, image) for answer in answers)
        return amodal, modal

    def _filtered(self, index: int, token: Tensor, pixels: Tensor) -> Tensor:
        """A token's own 1x1 filter over the pixels' feature: N x 1 x h x w."""
        found = self.filters[index](token)  # N x (w/2 + 1): weights and bias
        weights, bias = found[:, :-1], found[:, -1]
        score = torch.einsum("nc,nchw->nhw", weights, pixels) / weights.shape[1] ** 0.5
        return (score + bias[:, None, None])[:, None]


def _places(cells: Tensor) -> Tensor:
    """Sines and cosines of the cells' centres, hw x 12, on a grid of any size."""
    rows, columns = (torch.pi * (torch.arange(n, device=cells.device) + 0.5) / n for n in cells.shape[-2:])
    y, x = torch.meshgrid(rows, columns, indexing="ij")
    waves = [f(k * z) for k in WAVES for z in (y, x) for f in (torch.sin, torch.cos)]
    return torch.stack(waves, -1).flatten(0, 1).to(cells.dtype)
