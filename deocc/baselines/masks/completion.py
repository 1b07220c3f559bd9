"""The base classes of the trained mask baselines.

A baseline's network maps (image, M_i, photo) to `MaskLogits`, as ours does; `MaskBaseline` trains it by ours'
loop. Every system of table 2 has the preset's pixel weights and soft IoU (not the paper's; all tuned on our
network), so that a row differs only in its architecture and in its own terms.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from deocc.checks import ANY, check_config
from deocc.models import MaskLogits
from deocc.models.blocks import ones_like_mask, require_maps
from deocc.models.mask_completion import GIVEN_LOGIT
from deocc.training.mask import MaskSettings, MaskSystem
from deocc.training.settings import AdversarySettings

NO_ADVERSARY = AdversarySettings(weight=0.0)


@dataclass(frozen=True)
class BaselineSettings:
    """Size and losses of one trained mask baseline."""

    width: int = 32  # channels of its first level or of its head
    trunk: str = "plain"  # "lite0": EfficientNet-lite0 from ImageNet; "plain": small, from scratch
    modal: bool = False  # it answers M_m too; False: M_i stands in for it
    ce: float = 0.5  # cross-entropy of each mask; ours'
    invisible_extra: float = 0.0  # invisible pixels count 1 + this; the preset's
    error_extra: float = 0.0  # pixels where M_i is wrong count 1 + this; the preset's
    l1: float = 0.0  # L1 of each mask
    soft_iou: float = 0.0  # 1 - soft IoU; the preset's
    own: float = 1.0  # weight of the terms that only this system has, if any
    adversary: AdversarySettings = NO_ADVERSARY

    def __post_init__(self) -> None:
        weights = ("ce", "invisible_extra", "error_extra", "l1", "soft_iou", "own")
        ranges: dict[str, tuple[float, float]] = dict.fromkeys(weights, (0, ANY))
        check_config(self, "settings of a baseline", ranges | {"width": (1, 4096)})

    def as_mask_settings(self) -> MaskSettings:
        """The same losses as settings of stage 1: no templates, no parsing, no perceptual term."""
        return MaskSettings(
            width=self.width, templates=0, modal=self.modal, parsing=False, ce=self.ce, ce_parsing=0.0,
            invisible_extra=self.invisible_extra, error_extra=self.error_extra, l1=self.l1,
            perceptual=0.0, soft_iou=self.soft_iou, adversary=self.adversary,
        )  # fmt: skip


def settings_from(ours: MaskSettings, **own: Any) -> BaselineSettings:
    """A baseline's settings: what all systems share comes from a preset's stage 1, the rest from `own`."""
    shared = ("ce", "invisible_extra", "error_extra", "soft_iou")
    names = [f.name for f in fields(BaselineSettings) if f.name in shared and f.name not in own]
    return BaselineSettings(**own, **{name: getattr(ours, name) for name in names})


def as_logits(logit: Tensor) -> Tensor:
    """Log-odds N x 1 x H x W -> two-class logits N x 2 x H x W."""
    return torch.cat([torch.zeros_like(logit), logit], 1)


def passed_through(initial_mask: Tensor) -> Tensor:
    """M_i (N x 1 x H x W {0, 1}) as logits of the visible mask with log-odds of +-10, N x 2 x H x W."""
    return as_logits((2 * initial_mask - 1) * GIVEN_LOGIT)


class MaskNetwork(nn.Module):
    """A mask baseline's network. It checks its input; subclasses implement `complete`.

    Attributes:
        config: the constructor's arguments, for `deocc.models.save_weights`.
    """

    config: dict[str, Any]

    def complete(
        self, image: Tensor, initial_mask: Tensor, photo_mask: Tensor
    ) -> tuple[Tensor, Tensor | None]:
        """Log-odds of the whole and of the visible person, N x 1 x H x W each (None: M_i passes through)."""
        raise NotImplementedError

    def forward(
        self,
        image: Tensor,
        initial_mask: Tensor,
        photo_mask: Tensor | None = None,
        half_parsing: bool = False,
    ) -> MaskLogits:
        """Completes a batch; arguments and result as `deocc.models.MaskCompletionNet`, without parsing."""
        photo_mask = ones_like_mask(image) if photo_mask is None else photo_mask
        require_maps("image", image, 3)
        require_maps("initial_mask", initial_mask, 1, image)
        require_maps("photo_mask", photo_mask, 1, image)
        amodal, modal = self.complete(image, initial_mask, photo_mask)
        seen = passed_through(initial_mask) if modal is None else as_logits(modal)
        return MaskLogits(seen, as_logits(amodal), None, None)


def full_size(logit: Tensor, like: Tensor) -> Tensor:
    """Resamples log-odds to the height and width of `like`."""
    return F.interpolate(logit, size=like.shape[-2:], mode="bilinear", align_corners=False)


class MaskBaseline(MaskSystem):
    """A trained mask baseline behind the protocol of `deocc.training.system.System`.

    Args:
        settings: sizes and loss weights.
        network: maps (image, M_i, photo_mask) to `MaskLogits`.
        discriminator: None: the PatchGAN of (image, mask) where the settings give an adversary a weight.
    """

    def __init__(
        self, settings: BaselineSettings, network: nn.Module, discriminator: nn.Module | None = None
    ) -> None:
        super().__init__(settings.as_mask_settings(), None, network, discriminator)
        self.baseline = settings
