"""The base classes of the trained baselines of table 3.

All painters have the same input: the photo with its hole emptied, the hole, and the whole person's mask M_a
(true or stage 1's, as for ours). Losses and their schedule are the preset's if the original has the term, so
that a row differs only in its network and in its own terms.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from deocc.models.blocks import require_maps
from deocc.occlusion.batch import Batch
from deocc.training.content import RecoverySettings, RecoverySystem
from deocc.training.guidance import Guidance


class Painter(nn.Module):
    """A painting baseline's network. It checks its input; subclasses implement `draw`.

    Attributes:
        config: the constructor's arguments, for `deocc.models.save_weights`.
    """

    config: dict[str, Any]

    def draw(self, image: Tensor, hole: Tensor, amodal_mask: Tensor) -> list[Tensor]:
        """Pictures N x 3 x H x W in [0, 1], drafts first. Args: image: N x 3 x H x W, 0 in the hole."""
        raise NotImplementedError

    def forward(self, image: Tensor, valid_mask: Tensor, amodal_mask: Tensor) -> list[Tensor]:
        """Paints a batch.

        Args:
            image: N x 3 x H x W in [0, 1], occluded.
            valid_mask: M_v, N x 1 x H x W {0, 1}; 0 in the invisible part and outside the photo.
            amodal_mask: M_a, N x 1 x H x W {0, 1}.

        Returns:
            Pictures N x 3 x H x W in [0, 1]; the last one is the answer, those before it are drafts.
        """
        require_maps("image", image, 3)
        require_maps("valid_mask", valid_mask, 1, image)
        require_maps("amodal_mask", amodal_mask, 1, image)
        return self.draw(image * valid_mask, 1 - valid_mask, amodal_mask)


class PaintingSystem(RecoverySystem):
    """A trained painting baseline behind the protocol of `deocc.training.system.System`.

    Args:
        settings: sizes and loss weights.
        network: a `Painter`.
        stage1: a trained `MaskCompletionNet`; it stays frozen.
        discriminator: None: the PatchGAN of (picture, amodal mask) where the settings give it a weight.
        conditional: the discriminator sees the network's input too, as in Pix2Pix; it has 8 input channels.
    """

    def __init__(
        self,
        settings: RecoverySettings,
        network: nn.Module,
        stage1: nn.Module,
        discriminator: nn.Module | None = None,
        conditional: bool = False,
    ) -> None:
        super().__init__(settings, network, stage1, discriminator)
        self.conditional = conditional

    def paint(self, batch: Batch, guidance: Guidance) -> list[Tensor]:
        """See `RecoverySystem.paint`."""
        return self.network(
            batch["image"], batch["photo_mask"] - guidance.hole(batch["photo_mask"]), guidance.amodal
        )

    def judged(self, picture: Tensor, batch: Batch, guidance: Guidance) -> Tensor:
        """The picture and M_a; for conditional systems, also the emptied photo and its hole."""
        seen = [picture, guidance.amodal]
        if self.conditional:
            hole = guidance.hole(batch["photo_mask"])
            seen += [batch["image"] * (1 - hole), hole]
        return torch.cat(seen, 1)
