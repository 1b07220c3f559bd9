"""The networks of both stages."""

from .attention import ParsingGuidedAttention
from .blocks import count_parameters
from .content_recovery import ContentRecoveryNet, encoder_levels, mix_background
from .discriminator import PatchDiscriminator
from .hourglass import Hourglass
from .mask_completion import MaskCompletionNet, MaskLogits, TemplateGuide
from .partial_conv import PartialConv2d
from .weights import load_weights, read_metadata, save_weights

__all__ = [
    "ContentRecoveryNet",
    "Hourglass",
    "MaskCompletionNet",
    "MaskLogits",
    "ParsingGuidedAttention",
    "PartialConv2d",
    "PatchDiscriminator",
    "TemplateGuide",
    "count_parameters",
    "encoder_levels",
    "load_weights",
    "mix_background",
    "read_metadata",
    "save_weights",
]
