"""Training of stage 1's decoder of body parts, after its masks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torch import Tensor

from deocc.checks import ANY, check_config
from deocc.models import MaskCompletionNet
from deocc.models.parts import PartsDecoder
from deocc.occlusion.batch import Batch
from deocc.training import losses as L
from deocc.training.mask import MaskSettings, MaskSystem, invisible_mask
from deocc.training.settings import AdversarySettings


@dataclass(frozen=True)
class PartsSettings:
    """Losses of the decoder."""

    width: int = 32  # channels of the decoder at half resolution
    balance: float = 0.5  # power of rarity by which rare body parts count more
    invisible_extra: float = 2.0  # invisible pixels count 1 + this

    def __post_init__(self) -> None:
        ranges = {"width": (8, 512), "balance": (0, 1), "invisible_extra": (0, ANY)}
        check_config(self, "settings of the decoder of parts", ranges)


class PartsSystem(MaskSystem):
    """Trains the decoder of a network of stage 1; everything else of it stays as it is.

    Args:
        settings: losses.
        network: with a `PartsDecoder`.
    """

    def __init__(self, settings: PartsSettings, network: MaskCompletionNet) -> None:
        silent = MaskSettings(perceptual=0, adversary=AdversarySettings(weight=0))
        super().__init__(silent, None, network)
        self.parts_settings = settings
        network.requires_grad_(False)
        self._decoder.requires_grad_(True)

    @property
    def _decoder(self) -> PartsDecoder:
        bare: Any = getattr(self.network, "module", self.network)
        assert bare.parts is not None
        return bare.parts

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        """Cross-entropy of the whole person's parts."""
        self.network.eval()  # the statistics of all other layers stay
        self._decoder.train()
        given = batch["image"], batch["initial_mask"], batch["photo_mask"]
        logits = self.network(*given, half_parsing=True).parsing_amodal
        weight = batch["photo_mask"] * (1 + self.parts_settings.invisible_extra * invisible_mask(batch))
        ce = L.parsing_cross_entropy(
            logits, batch["parsing_amodal"], weight, batch["true_sides"], self.parts_settings.balance
        )
        return {"ce_parts": ce}
