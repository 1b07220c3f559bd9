"""Stage 2, parsing guided content recovery: paints the invisible part of a person."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from deocc.errors import DeoccError
from deocc.models.attention import ParsingGuidedAttention
from deocc.models.blocks import conv3x3, require_maps, upsample_to
from deocc.models.painter import PaintingHead
from deocc.models.partial_conv import PartialConv2d
from deocc.models.prior import part_prior, part_prior_evidence

GROWTH = (1, 2, 4, 8, 8, 8, 8)  # channels of each encoder level in units of the width
KERNELS = (7, 5, 5, 3, 3, 3, 3)  # kernel size of each encoder level
PALETTE_SIZE = 16  # colours a part
COMMONER = 3.0  # power of a colour's share in their mean: the plain mean is a grey-brown that few wear
NEAREST = 1  # `rim` in evaluation mode, at most: inference gives up the occluder's rim, training does not
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

    The masks M_v and M_a, and further maps, enter by an ordinary convolution, so that they reach holes too.

    Args:
        inputs: channels of each source, e.g. (decoder, skip).
        outputs: channels.
        kernel: odd kernel size.
        stride: 2 halves the resolution.
        slope: of the leaky ReLU.
        norm: batch normalisation.
        maps: channels of the masks and further maps.
    """

    def __init__(
        self,
        inputs: tuple[int, ...],
        outputs: int,
        kernel: int,
        stride: int,
        slope: float,
        norm: bool = True,
        maps: int = 2,
    ) -> None:
        super().__init__()
        self.partial = PartialConv2d(sum(inputs), outputs, kernel, stride, kernel // 2, False, inputs)
        self.masks = conv3x3(maps, outputs)
        self.norm = nn.BatchNorm2d(outputs) if norm else nn.Identity()
        self.slope = slope

    def forward(self, x: Tensor, valid: Tensor, masks: Tensor) -> tuple[Tensor, Tensor]:
        """x N x C x H x W, valid N x S x H x W, masks N x maps x h x w; returns feature and its validity."""
        y, valid = self.partial(x, valid)
        y = y + self.masks(F.adaptive_avg_pool2d(masks, y.shape[-2:]))
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
        prior: refine the picture at full resolution, given the first guess of `part_prior`, and blend the
            two. The network chooses the blend for each pixel; ours, not the paper's.
        soft_parts: P_m and P_a are probabilities where stage 1 predicts them, else one-hots. Weights carry
            this setting; `Deoccluder` and `ContentSystem` act on it.
        own_share: with `prior`, factor of the network's own picture in the blend, 0 to 1; the first guess
            has the rest. It acts in evaluation mode only; training always blends with factor 1. Stage 2
            learns from stage 1's answers about stage 1's own training people, and those answers are better
            than for strangers. A factor below 1 makes up for that.
        whole: paint the whole hole, starting from the guess (`PaintingHead`); nothing is blended. All levels
            see the guess, the evidence behind it, and P_a. Takes the place of `prior`; ours.
        rim: with `whole`, visible pixels of the person within this distance of the hole, in pixels, do not
            count as evidence of colours, because the occluder bleeds into them; at most `NEAREST` in
            evaluation mode.
        same_part: added to the log of attention where query and key are of the same body part; 0: as in the
            paper.

    Attributes:
        palette: of `whole`: for each part, colours that people wear there (RGB in [0, 1]) and how often, for
            parts of which nothing shows; parts x PALETTE_SIZE x 4, all 0 where nothing was fitted.
        soft_parts, whole: as the constructor's arguments.

    Raises:
        DeoccError: for an unknown attention; levels, alpha or own_share out of range.

    Differs from the paper: M_v and M_a enter each level by ordinary convolutions beside the partial ones; the
    decoder's first level keeps a small hidden layer at full resolution.
    Differs from the released code: that multiplies M_a by the validity, and drops what PGA wrote into holes.
    """

    palette: Tensor

    def __init__(
        self,
        width: int = 64,
        parts: int = 19,
        attention: str | None = "fusion",
        levels: int = 7,
        alpha: float = 0.3,
        prior: bool = False,
        soft_parts: bool = False,
        own_share: float = 1.0,
        whole: bool = False,
        rim: int = 0,
        same_part: float = 0.0,
    ) -> None:
        super().__init__()
        attention = "none" if attention is None else attention
        _check(attention, levels, alpha, own_share)
        self.config: dict[str, Any] = {
            "width": width, "parts": parts, "attention": attention, "levels": levels, "alpha": alpha,
            "prior": prior, "soft_parts": soft_parts, "own_share": own_share,
        }  # fmt: skip
        if whole:  # absent from the files of networks without it
            self.config |= {"whole": whole, "rim": rim, "same_part": same_part}
        self.parts, self.alpha, self.rim = parts, alpha, rim
        self.soft_parts, self.whole = soft_parts, whole
        maps = 2 + 4 + parts if whole else 2  # M_v, M_a; guess, its evidence, P_a
        widths = [3, *(factor * width for factor in GROWTH[:levels])]  # widths[k]: after encoder level k
        out = max(8, width // 2)  # the hidden layer at full resolution
        self.encoder = nn.ModuleDict()
        self.decoder = nn.ModuleDict()
        for k in range(1, levels + 1):
            down = (widths[k - 1],), widths[k], KERNELS[k - 1], 2, 0.0
            self.encoder[str(k)] = PartialLayer(*down, norm=k > 1, maps=maps)
            joined, narrow = (widths[k], widths[k - 1]), out if k == 1 else widths[k - 1]
            self.decoder[str(k)] = PartialLayer(joined, narrow, 3, 1, 0.2, maps=maps)
        self.head = PaintingHead(out, maps) if whole else conv3x3(out, 3)
        if whole:
            self.register_buffer("palette", torch.zeros(parts, PALETTE_SIZE, 4))
        self.refine = Refinement(out, own_share=own_share) if prior and not whole else None
        options = {"same_part": same_part} if whole else {}
        after = {k: widths[k] for k in range(1, levels + 1)}
        self.encoder_attention = _attentions(attention, parts, after, options)
        before = {k: widths[k - 1] for k in range(2, levels + 1)}
        self.decoder_attention = _attentions(attention, parts, before, options)

    def forward(
        self,
        image: Tensor,
        valid_mask: Tensor,
        amodal_mask: Tensor,
        parsing_modal_onehot: Tensor,
        parsing_amodal_onehot: Tensor,
        guess: tuple[Tensor, Tensor] | None = None,
        seed: int | None = None,
    ) -> Tensor:
        """Paints the whole frame. Callers keep known pixels and use the result for the others.

        Args:
            image: N x 3 x H x W in [0, 1], occluded.
            valid_mask: M_v, N x 1 x H x W {0, 1}; 0 in the invisible part and outside the photo.
            amodal_mask: M_a, N x 1 x H x W, {0, 1} or soft.
            parsing_modal_onehot, parsing_amodal_onehot: N x parts x H x W {0, 1}, or probabilities.
            guess: with `whole`, replaces `first_guess` and its evidence.
            seed: of the noise of `whole`; None: torch's generator in training, otherwise 0.

        Returns:
            N x 3 x H x W in [0, 1].
        """
        self._check_inputs(image, valid_mask, amodal_mask, parsing_modal_onehot, parsing_amodal_onehot)
        guide = (parsing_modal_onehot, parsing_amodal_onehot, valid_mask)
        masks = torch.cat([valid_mask, amodal_mask], 1)  # N x 2 x H x W
        if isinstance(self.head, PaintingHead):
            first, sure = guess or self.first_guess(image, valid_mask, amodal_mask, *guide[:2])
            masks = torch.cat([masks, first, sure, parsing_amodal_onehot], 1)  # N x (25 for 19 parts) x H x W
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
        if isinstance(self.head, PaintingHead):
            noise = self._noise(image, self.head.noise, seed)
            return self.head(x, first, masks, image * valid_mask, noise)
        if self.refine is None:
            return self.head(x).sigmoid()
        first = part_prior(image, valid_mask, amodal_mask, parsing_modal_onehot, parsing_amodal_onehot)
        x, share = self.refine(x, first, masks, parsing_amodal_onehot)
        painted = self.head(x).sigmoid()
        return torch.lerp(first.to(painted.dtype), painted, share.to(painted.dtype))

    def first_guess(
        self, image: Tensor, valid_mask: Tensor, amodal_mask: Tensor, modal_p: Tensor, amodal_p: Tensor
    ) -> tuple[Tensor, Tensor]:
        """The guess of `whole`, N x 3 x H x W, and the evidence behind it, N x 1 x H x W; all in [0, 1]."""
        rim = self.rim if self.training else min(self.rim, NEAREST)
        seen = _away_from_hole(valid_mask * (amodal_mask > 0.5), amodal_mask * (1 - valid_mask), rim)
        share = self.palette[..., 3:] ** COMMONER
        common = (self.palette[..., :3] * share).sum(1) / share.sum(1).clamp_min(1e-6)
        return part_prior_evidence(image, seen, modal_p, amodal_p, common if bool(common.any()) else None)

    def _noise(self, image: Tensor, channels: int, seed: int | None) -> Tensor:
        """Standard normal, N x channels x H x W; the same for every item of a seed."""
        shape = (image.shape[0], channels, *image.shape[-2:])
        if self.training and seed is None:
            return torch.randn(shape, device=image.device)
        generator = torch.Generator().manual_seed(seed or 0)
        return torch.randn((1, *shape[1:]), generator=generator).to(image.device).expand(shape)

    def _check_inputs(
        self, image: Tensor, valid: Tensor, amodal: Tensor, modal_p: Tensor, amodal_p: Tensor
    ) -> None:
        require_maps("image", image, 3)
        require_maps("valid_mask", valid, 1, image)
        require_maps("amodal_mask", amodal, 1, image)
        require_maps("parsing_modal_onehot", modal_p, self.parts, image)
        require_maps("parsing_amodal_onehot", amodal_p, self.parts, image)


class Refinement(nn.Module):
    """Feeds the first guess to the decoder's last feature, and chooses how much of the guess stays.

    It starts as the identity with a share of 1/3 everywhere, the best constant that we measured.

    Args:
        channels: of the decoder's last feature.
        width: of the hidden layers.
        own_share: factor of the share in evaluation mode, 0 to 1.
    """

    def __init__(self, channels: int, width: int = 16, own_share: float = 1.0) -> None:
        super().__init__()
        self.own_share = own_share
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
            parts: N x parts x H x W in [0, 1]; only their certainty is used.

        Returns:
            N x C x H x W, and the share of the network's picture, N x 1 x H x W in [0, 1].
        """
        sure = parts.amax(1, keepdim=True)
        hidden = self.hidden(torch.cat([map_.to(x.dtype) for map_ in (x, guess, masks, sure)], 1))
        factor = 1.0 if self.training else self.own_share
        return x + self.change(hidden), factor * self.share(hidden).sigmoid()


def _away_from_hole(seen: Tensor, hole: Tensor, rim: int) -> Tensor:
    """`seen` (N x 1 x H x W {0, 1}) without pixels within `rim` of the hole, unless none would be left."""
    if not rim:
        return seen
    near = F.max_pool2d((hole > 0.5).float(), 2 * rim + 1, 1, rim)
    clean = seen * (1 - near)
    return torch.where(clean.sum((1, 2, 3), keepdim=True) > 0, clean, seen)


def paints_whole(network: nn.Module | None) -> bool:
    """Whether a network of stage 2 paints whole holes, in a frame of its own (`ContentRecoveryNet.whole`)."""
    return isinstance(network, ContentRecoveryNet) and network.whole


def mix_background(image: Tensor, amodal_mask: Tensor, alpha: float) -> Tensor:
    """I' = I M_a + alpha I (1 - M_a): the image, its background dimmed to the share alpha (Sec. 5.3)."""
    return image * (alpha + (1 - alpha) * amodal_mask)


def _attend(
    modules: nn.ModuleDict, level: str, x: Tensor, valid: Tensor, guide: tuple[Tensor, Tensor, Tensor]
) -> tuple[Tensor, Tensor]:
    """PGA where this level has one; its output is known everywhere."""
    if level not in modules:
        return x, valid
    return modules[level](x, *guide), torch.ones_like(valid)


def _attentions(
    attention: str, parts: int, widths: dict[int, int], more: dict[str, Any] | None = None
) -> nn.ModuleDict:
    options = ATTENTIONS[attention]
    if options is None:
        return nn.ModuleDict()
    options = {**options, **(more or {})}
    return nn.ModuleDict(
        {str(k): ParsingGuidedAttention(widths[k], parts, **options) for k in ATTENTION_LEVELS if k in widths}
    )


def _check(attention: str, levels: int, alpha: float, own_share: float) -> None:
    if attention not in ATTENTIONS:
        raise DeoccError(f"attention is {attention!r}; expected one of {', '.join(ATTENTIONS)}")
    if not 1 <= levels <= len(GROWTH):
        raise DeoccError(f"levels is {levels}; expected 1 to {len(GROWTH)}; use encoder_levels(size)")
    if not 0 <= alpha <= 1:
        raise DeoccError(f"alpha is {alpha}; expected a share from 0 to 1; 0.3 is the default")
    if not 0 <= own_share <= 1:
        raise DeoccError(f"own_share is {own_share}; expected a factor from 0 to 1; 1 is the default")
