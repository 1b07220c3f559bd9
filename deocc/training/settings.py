"""Settings that several systems share."""

from __future__ import annotations

from dataclasses import dataclass

from deocc.checks import ANY, check_config
from deocc.errors import DeoccError
from deocc.training import losses as L


@dataclass(frozen=True)
class FeatureSettings:
    """Which VGG features the perceptual and style losses compare, and how often."""

    levels: tuple[int, ...] = (1, 2)  # VGG blocks
    source: str = "auto"  # "auto", "packaged" or "torchvision", see deocc.models.features
    every: int = 1  # steps from one use to the next; the weight is multiplied by it
    size: int = 64  # side of the pictures that VGG sees, pixels

    def __post_init__(self) -> None:
        ranges = {"levels": (1, 5), "every": (1, ANY), "size": (16, 4096)}
        check_config(self, "settings of features", ranges)


@dataclass(frozen=True)
class AdversarySettings:
    """The PatchGAN and its use."""

    weight: float = 0.01  # lambda_adv; 0 trains without a discriminator
    width: int = 64  # channels of its first layer
    kind: str = "lsgan"  # "lsgan", "bce" or "hinge"
    every: int = 1  # steps from one use to the next; the weight is multiplied by it
    start: int = 0  # first step that uses it

    def __post_init__(self) -> None:
        ranges = {"weight": (0, ANY), "width": (1, 4096), "every": (1, ANY), "start": (0, ANY)}
        check_config(self, "settings of the adversary", ranges)
        kinds = ", ".join(L.ADVERSARIAL)
        _require(self.kind in L.ADVERSARIAL, f"adversary.kind is {self.kind!r}; use one of {kinds}")


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise DeoccError(f"settings: {message}")
