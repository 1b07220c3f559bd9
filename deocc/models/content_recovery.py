"""Stage 2, parsing guided content recovery: paints the invisible part of a person."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..errors import DeoccError
from .attention import ParsingGuidedAttention
from .blocks import conv3x3, require_maps, upsample_to
from .partial_conv import PartialConv2d
from .prior import part_prior

GROWTH = (1, 2, 4, 8, 8, 8, 8)  # channels of each encoder level in units of the width
KERNELS = (7, 5, 5, 3, 3, 3, 3)  # kernel size of each encoder level
ATTENTION_LEVELS = (3, 5)  # PGA follows these encoder and decoder levels
ATTENTIONS: dict[str, dict[str, Any] | None] = {  # the rows of table 6
    "none": None,
    "body": {"spatial": False},
    "spatial": {"body": False},
    "cascade": {"fusion": "cascade"},
    "fusion": {"fusion": "concat"},
}


def encoder_levels(size: int) -> int:
    """Levels that fit an input of `size` pixels a side: min(7, log2(size) - 1), down to a 2x2 grid."""
    return max(1, min(len(GROWTH), size.bit_length() - 2))


class PartialLayer(nn.Module):
    """Partial convolution of a feature, ordinary convolution of the masks, normalisation, activation.

    The masks M_v and M_a enter beside the partial convolution, so that holes know what they are.

    Args:
        inputs: channels of each source, e.g. (decoder, skip).
        outputs: channels.
        kernel: odd kernel size.
        stride: 2 halves the resolution.
        slope: of the leaky ReLU.
        norm: batch normalisation.
    """

    def __init__(
        self, inputs: tuple[int, ...], outputs: int, kernel: int, stride: int, slope: float, norm: bool = True
    ) -> None:
        super().__init__()
        self.partial = PartialConv2d(sum(inputs), outputs, kernel, stride, kernel // 2, False, inputs)
        self.masks = conv3x3(2, outputs)
        self.norm = nn.BatchNorm2d(outputs) if norm else nn.Identity()
        self.slope = slope

    def forward(self, x: Tensor, valid: Tensor, masks: Tensor) -> tuple[Tensor, Tensor]:
        """x N x C x H x W, valid N x S x H x W, masks N x 2 x h x w; returns feature and its validity."""
        y, valid = self.partial(x, valid)
        y = y + self.masks(F.adaptive_avg_pool2d(masks, y.shape[-2:]))  # shares of M_v and M_a a cell
        return F.leaky_relu(self.norm(y), self.slope), valid


class ContentRecoveryNet(nn.Module):
    """U-Net of partial convolutions with parsing guided attention (eq. 5, Sec. 3.3).

    I_o = N_c(I', M_v, M_a; P_m, P_a) with I' = I M_a + alpha I (1 - M_a). Encoder level k halves the
    resolution; decoder level k undoes it and joins the skip of level k - 1 (for k = 1: the input).

    Args:
        width: channels of the first level (64: the paper's; 16-20 suits a CPU); then 2, 4, 8, 8, 8, 8 times.
        parts: channels of the parsing one-hots.
        attention: row of table 6: "none", "body", "spatial", "cascade" or "fusion"; None means "none".
        levels: of the encoder, 1 to 7; `encoder_levels(size)` fits them to the input.
        alpha: share of the background kept in I', 0 to 1 (table 5; the released code's 0.3).
        prior: refine the picture at full resolution, knowing `part_prior`, and blend the two by a share that
            the network chooses for each pixel; ours, not the paper's.
        trust: of `prior`, factor of that share, 0 to 1. Stage 2 learns from stage 1's answers about people
            whom stage 1 has trained on, and expects too much of them: below 1 it leans on the first guess.
        soft_parts: the network was trained on probabilities of body parts where stage 1 gives them; nothing
            here depends on it, callers do.

    Raises:
        DeoccError: for an unknown attention; levels, alpha or trust out of range.

    Differs from the paper: M_v and M_a enter each level by ordinary convolutions beside the partial ones; the
    decoder's first level keeps a small hidden layer at full resolution.
    Differs from the released code: that multiplies M_a by the validity, and drops what PGA wrote into holes.
    """

    def __init__(
        self,
        width: int = 64,
        parts: int = 19,
        attention: str | None = "fusion",
        levels: int = 7,
        alpha: float = 0.3,
        prior: bool = False,
        soft_parts: bool = False,
        trust: float = 1.0,
    ) -> None:
        super().__init__()
        attention = "none" if attention is None else attention
        _check(attention, levels, alpha, trust)
        self.config: dict[str, Any] = {
            "width": width, "parts": parts, "attention": attention, "levels": levels, "alpha": alpha,
            "prior": prior, "soft_parts": soft_parts, "trust": trust,
        }  # fmt: skip
        self.parts, self.alpha = parts, alpha
        widths = [3, *(factor * width for factor in GROWTH[:levels])]  # widths[k]: after encoder level k
        out = max(8, width // 2)  # the hidden layer at full resolution
        self.encoder = nn.ModuleDict()
        self.decoder = nn.ModuleDict()
        for k in range(1, levels + 1):
            self.encoder[str(k)] = PartialLayer((widths[k - 1],), widths[k], KERNELS[k - 1], 2, 0.0, k > 1)
            joined = (widths[k], widths[k - 1])
            self.decoder[str(k)] = PartialLayer(joined, out if k == 1 else widths[k - 1], 3, 1, 0.2)
        self.head = conv3x3(out, 3)
        self.refine = Refinement(out, trust=trust) if prior else None
        self.encoder_attention = _attentions(attention, parts, {k: widths[k] for k in range(1, levels + 1)})
        self.decoder_attention = _attentions(
            attention, parts, {k: widths[k - 1] for k in range(2, levels + 1)}
        )

    def forward(
        self,
        image: Tensor,
        valid_mask: Tensor,
        amodal_mask: Tensor,
        parsing_modal_onehot: Tensor,
        parsing_amodal_onehot: Tensor,
    ) -> Tensor:
        """Paints the whole frame; callers keep known pixels and take the painted ones from the result.

        Args:
            image: N x 3 x H x W in [0, 1], occluded.
            valid_mask: M_v, N x 1 x H x W {0, 1}; 0 in the invisible part and outside the photo.
            amodal_mask: M_a, N x 1 x H x W, {0, 1} or soft.
            parsing_modal_onehot, parsing_amodal_onehot: N x parts x H x W {0, 1}, or probabilities.

        Returns:
            N x 3 x H x W in [0, 1].
        """
        self._check_inputs(image, valid_mask, amodal_mask, parsing_modal_onehot, parsing_amodal_onehot)
        guide = (parsing_modal_onehot, parsing_amodal_onehot, valid_mask)
        masks = torch.cat([valid_mask, amodal_mask], 1)  # N x 2 x H x W
        x, valid = mix_background(image, amodal_mask, self.alpha), valid_mask  # I', N x 3 x H x W
        skips = []
        for k, layer in self.encoder.items():
            skips.append((x, valid))
            x, valid = layer(x, valid, masks)  # N x widths[k] x H/2^k x W/2^k
            x, valid = _attend(self.encoder_attention, k, x, valid, guide)
        for k in reversed(list(self.decoder)):
            skip, skip_valid = skips.pop()
            x, valid = upsample_to(x, skip, "nearest"), upsample_to(valid, skip, "nearest")
            x, valid = self.decoder[k](torch.cat([x, skip], 1), torch.cat([valid, skip_valid], 1), masks)
            x, valid = _attend(self.decoder_attention, k, x, valid, guide)
        if self.refine is None:
            return self.head(x).sigmoid()
        guess = part_prior(image, valid_mask, amodal_mask, parsing_modal_onehot, parsing_amodal_onehot)
        x, share = self.refine(x, guess, masks, parsing_amodal_onehot)
        painted = self.head(x).sigmoid()
        return torch.lerp(guess.to(painted.dtype), painted, share.to(painted.dtype))

    def _check_inputs(
        self, image: Tensor, valid: Tensor, amodal: Tensor, modal_p: Tensor, amodal_p: Tensor
    ) -> None:
        require_maps("image", image, 3)
        require_maps("valid_mask", valid, 1, image)
        require_maps("amodal_mask", amodal, 1, image)
        require_maps("parsing_modal_onehot", modal_p, self.parts, image)
        require_maps("parsing_amodal_onehot", amodal_p, self.parts, image)


class Refinement(nn.Module):
    """Lets the decoder's last feature know the first guess, and chooses how much of the guess stays.

    It begins as the identity, with a share of 1/3 everywhere, the best constant one we measured.

    Args:
        channels: of the decoder's last feature.
        width: of the hidden layers.
        trust: factor of the share.
    """

    def __init__(self, channels: int, width: int = 16, trust: float = 1.0) -> None:
        super().__init__()
        self.trust = trust
        self.hidden = nn.Sequential(
            conv3x3(channels + 6, width), nn.LeakyReLU(0.2), conv3x3(width, width), nn.LeakyReLU(0.2)
        )
        self.change = conv3x3(width, channels)
        self.share = conv3x3(width, 1)
        for conv, bias in ((self.change, 0.0), (self.share, -0.7)):
            nn.init.zeros_(conv.weight)
            assert conv.bias is not None
            nn.init.constant_(conv.bias, bias)

    def forward(self, x: Tensor, guess: Tensor, masks: Tensor, parts: Tensor) -> tuple[Tensor, Tensor]:
        """Changes the feature and weighs the network's picture.

        Args:
            x: N x C x H x W.
            guess: N x 3 x H x W in [0, 1].
            masks: M_v and M_a, N x 2 x H x W.
            parts: N x parts x H x W in [0, 1]; how sure they are is what counts here.

        Returns:
            N x C x H x W, and the share of the network's picture, N x 1 x H x W in [0, 1].
        """
        sure = parts.amax(1, keepdim=True)
        hidden = self.hidden(torch.cat([map_.to(x.dtype) for map_ in (x, guess, masks, sure)], 1))
        return x + self.change(hidden), self.trust * self.share(hidden).sigmoid()


def wants_soft_parts(network: nn.Module) -> bool:
    """Whether a network of stage 2 is told probabilities of body parts where they are predicted."""
    return bool(getattr(getattr(network, "module", network), "config", {}).get("soft_parts"))


def mix_background(image: Tensor, amodal_mask: Tensor, alpha: float) -> Tensor:
    """I' = I M_a + alpha I (1 - M_a): the image with its background dimmed to the share alpha (Sec. 5.4)."""
    return image * (alpha + (1 - alpha) * amodal_mask)


def _attend(
    modules: nn.ModuleDict, level: str, x: Tensor, valid: Tensor, guide: tuple[Tensor, Tensor, Tensor]
) -> tuple[Tensor, Tensor]:
    """PGA where this level has one; its output is known everywhere."""
    if level not in modules:
        return x, valid
    return modules[level](x, *guide), torch.ones_like(valid)


def _attentions(attention: str, parts: int, widths: dict[int, int]) -> nn.ModuleDict:
    options = ATTENTIONS[attention]
    if options is None:
        return nn.ModuleDict()
    return nn.ModuleDict(
        {str(k): ParsingGuidedAttention(widths[k], parts, **options) for k in ATTENTION_LEVELS if k in widths}
    )


def _check(attention: str, levels: int, alpha: float, trust: float) -> None:
    if attention not in ATTENTIONS:
        raise DeoccError(f"attention is {attention!r}; expected one of {', '.join(ATTENTIONS)}")
    if not 1 <= levels <= len(GROWTH):
        raise DeoccError(f"levels is {levels}; expected 1 to {len(GROWTH)}; use encoder_levels(size)")
    if not 0 <= alpha <= 1:
        raise DeoccError(f"alpha is {alpha}; expected a share from 0 to 1; 0.3 is the default")
    if not 0 <= trust <= 1:
        raise DeoccError(f"trust is {trust}; expected a share from 0 to 1; 1 is the default")
