"""Mask R-CNN (He et al. 2017) for one person: first the whole body's box, then masks in that box."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.models.detection._utils import BoxCoder
from torchvision.models.detection.faster_rcnn import TwoMLPHead
from torchvision.models.detection.mask_rcnn import MaskRCNNHeads, MaskRCNNPredictor
from torchvision.ops import MultiScaleRoIAlign

from deocc.baselines.masks.backbone import Backbone, Pyramid
from deocc.baselines.masks.completion import BaselineSettings, MaskBaseline, MaskNetwork, as_logits
from deocc.models.blocks import ones_like_mask, require_maps
from deocc.models.mask_completion import GIVEN_LOGIT
from deocc.occlusion.batch import Batch
from deocc.training.losses import mask_probability

LEVELS = ("0", "1", "2", "3")  # of the pyramid, strides 4 to 32


class BoxedLogits(NamedTuple):
    """`MaskLogits` with the box head's answer."""

    modal: Tensor
    amodal: Tensor
    parsing_modal: Tensor | None
    parsing_amodal: Tensor | None
    deltas: Tensor  # N x 4, encoded


class MaskRCNN(MaskNetwork):
    """A two-stage detector whose only proposal is the box of M_i.

    The original's: a trunk trained on ImageNet with a feature pyramid, RoIAlign, the box head that refines a
    proposal (smooth L1 on encoded boxes) and the mask head of four convolutions and a 28 x 28 grid
    (torchvision's), trained on boxes near the truth and applied to the refined box. Adapted:
    EfficientNet-lite0 for the trunk; the person is given, so there is neither a proposal network nor a
    classifier, and of M_i only the box is used; box and masks are those of the whole body, with a second map
    for the visible part.

    Args:
        width: channels of pyramid and mask head.
        hidden: units of the box head.
        trunk: "lite0" or "plain".
        pretrained: the trunk starts from ImageNet; False where weights are loaded afterwards.
    """

    def __init__(
        self, width: int = 64, hidden: int = 256, trunk: str = "lite0", pretrained: bool = False
    ) -> None:
        super().__init__()
        self.config = {"width": width, "hidden": hidden, "trunk": trunk}
        self.backbone = Backbone(trunk, 1, pretrained)
        self.pyramid = Pyramid(self.backbone.channels, width, len(LEVELS))
        self.box_pool = MultiScaleRoIAlign(list(LEVELS), 7, 2)
        self.box_head = nn.Sequential(TwoMLPHead(width * 49, hidden), nn.Linear(hidden, 4))
        self.mask_pool = MultiScaleRoIAlign(list(LEVELS), 14, 2)
        self.mask_head = nn.Sequential(
            MaskRCNNHeads(width, (width,) * 4, 1), MaskRCNNPredictor(width, width, 2)
        )
        self.coder = BoxCoder((10.0, 10.0, 5.0, 5.0))

    def forward(  # type: ignore[override]
        self,
        image: Tensor,
        initial_mask: Tensor,
        photo_mask: Tensor | None = None,
        half_parsing: bool = False,
        whole: Tensor | None = None,
    ) -> BoxedLogits:
        """Completes a batch; arguments as `MaskNetwork.forward`.

        Args:
            whole: true whole masks in training, N x 1 x H x W: masks are then drawn in boxes near theirs.
        """
        photo_mask = ones_like_mask(image) if photo_mask is None else photo_mask
        require_maps("image", image, 3)
        require_maps("initial_mask", initial_mask, 1, image)
        levels = dict(zip(LEVELS, self.pyramid(self.backbone(image, photo_mask)), strict=True))
        size, proposals = tuple(image.shape[-2:]), mask_boxes(initial_mask)
        deltas = self.box_head(self._pooled(self.box_pool, levels, proposals, size))
        if whole is None:
            boxes = self._decode(deltas.detach(), proposals, size)
        else:
            boxes = jittered(mask_boxes(whole))
        found = self.mask_head(self._pooled(self.mask_pool, levels, boxes, size))  # N x 2 x 28 x 28
        modal, amodal = paste_logits(found, boxes, image).split(1, 1)
        return BoxedLogits(as_logits(modal), as_logits(amodal), None, None, deltas)

    def _pooled(self, pool: nn.Module, levels: dict[str, Tensor], boxes: Tensor, size: tuple) -> Tensor:
        """One box an item: N x width x p x p."""
        return pool(levels, list(boxes[:, None]), [size] * len(boxes))

    def _decode(self, deltas: Tensor, proposals: Tensor, size: tuple) -> Tensor:
        """Refined boxes inside the frame, N x 4, at least two pixels a side."""
        boxes = self.coder.decode_single(deltas, proposals)
        height, width = size
        low = torch.stack([boxes[:, 0].clamp(0, width - 2), boxes[:, 1].clamp(0, height - 2)], 1)
        high = torch.stack([boxes[:, 2].clamp(max=width), boxes[:, 3].clamp(max=height)], 1)
        return torch.cat([low, torch.maximum(high, low + 2)], 1)

    def box_loss(self, deltas: Tensor, initial_mask: Tensor, whole: Tensor) -> Tensor:
        """Smooth L1 between the box head's answer and the encoded true box."""
        goal = self.coder.encode_single(mask_boxes(whole), mask_boxes(initial_mask))
        return F.smooth_l1_loss(deltas, goal, beta=1 / 9)


def mask_boxes(masks: Tensor) -> Tensor:
    """Half-open boxes (x0, y0, x1, y1), N x 4 float, of masks N x 1 x H x W; the frame for an empty mask."""
    spans = []
    for axis in (2, 3):  # over rows: columns remain; over columns: rows remain
        held = masks[:, 0].amax(axis - 1) > 0  # N x L
        length = held.shape[1]
        places = torch.arange(length, device=masks.device)
        low = torch.where(held, places, length).amin(1)
        high = torch.where(held, places + 1, 0).amax(1)
        empty = high == 0
        spans.append((low.masked_fill(empty, 0), high.masked_fill(empty, length)))
    (x0, x1), (y0, y1) = spans
    return torch.stack([x0, y0, x1, y1], 1).float()


def jittered(boxes: Tensor, strength: float = 0.1) -> Tensor:
    """Boxes with each side moved by up to a tenth of their size: the positive proposals of the original."""
    sides = (boxes[:, 2:] - boxes[:, :2]).repeat(1, 2)
    noise = (2 * torch.rand(boxes.shape) - 1).to(boxes.device)
    return boxes + strength * sides * noise


def paste_logits(found: Tensor, boxes: Tensor, like: Tensor) -> Tensor:
    """Pastes maps in boxes onto the frame, N x C x m x m -> N x C x H x W; outside a box: -10."""
    height, width = like.shape[-2:]
    x = torch.arange(width, device=boxes.device) + 0.5
    y = torch.arange(height, device=boxes.device) + 0.5
    x0, y0, x1, y1 = (boxes[:, k, None] for k in range(4))
    u, v = 2 * (x - x0) / (x1 - x0) - 1, 2 * (y - y0) / (y1 - y0) - 1  # N x W, N x H
    grid = torch.stack(
        [u[:, None, :].expand(-1, height, -1), v[:, :, None].expand(-1, -1, width)], -1
    )  # N x H x W x 2
    inside = (grid.abs() <= 1).all(-1)[:, None]
    values = F.grid_sample(found, grid.to(found.dtype), padding_mode="border", align_corners=False)
    return torch.where(inside, values, torch.full_like(values, -GIVEN_LOGIT))


class MaskRCNNSystem(MaskBaseline):
    """Mask R-CNN with its box loss beside the masks' terms."""

    def __init__(self, settings: BaselineSettings) -> None:
        super().__init__(settings, MaskRCNN(settings.width, trunk=settings.trunk, pretrained=True))

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        """The masks' terms in a box near the true one, and the box's own."""
        whole = batch["amodal_mask"] * batch["photo_mask"]
        logits = self.network(batch["image"], batch["initial_mask"], batch["photo_mask"], whole=whole)
        amodal = mask_probability(logits.amodal)
        terms = self._cross_entropies(logits, batch) | self._reconstruction(logits, amodal, batch)
        bare: Any = getattr(self.network, "module", self.network)
        box = bare.box_loss(logits.deltas, batch["initial_mask"], whole)
        return terms | {"box": self.baseline.own * box}
