"""The networks of both stages."""

from .blocks import count_parameters
from .discriminator import PatchDiscriminator
from .hourglass import Hourglass
from .mask_completion import MaskCompletionNet, MaskLogits

__all__ = ["Hourglass", "MaskCompletionNet", "MaskLogits", "PatchDiscriminator", "count_parameters"]
