"""The networks of both stages."""

from deocc.models.attention import ParsingGuidedAttention
from deocc.models.blocks import count_parameters
from deocc.models.content_recovery import ContentRecoveryNet, encoder_levels, mix_background
from deocc.models.discriminator import PatchDiscriminator
from deocc.models.hourglass import Hourglass
from deocc.models.mask_completion import MaskCompletionNet, MaskLogits, TemplateGuide
from deocc.models.partial_conv import PartialConv2d
from deocc.models.weights import load_weights, read_metadata, save_weights

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
