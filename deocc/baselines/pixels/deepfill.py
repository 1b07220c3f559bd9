"""DeepFill v2 (Yu et al. 2019): gated convolutions, contextual attention, SN-PatchGAN with a hinge loss."""

from __future__ import annotations

import itertools

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from deocc.baselines.pixels.painting import Painter

SCALE = 10.0  # of the cosine similarities before the softmax
RATE = 2  # attention compares every second position and copies 2 RATE x 2 RATE patches
DILATIONS = (2, 4, 8, 16)
GAIN = 2.3  # of the features' first weights: elu and a half-open gate shrink a unit normal to 1 / 2.3


class GatedConv2d(nn.Module):
    """y = elu(W_f x) * sigmoid(W_g x): a convolution with learned gates.

    Args:
        inputs, outputs: channels (of the result; one convolution computes features and gates).
        kernel: odd kernel size.
        stride: 2 halves the resolution.
        dilation: spacing of the kernel's taps.
    """

    def __init__(
        self, inputs: int, outputs: int, kernel: int = 3, stride: int = 1, dilation: int = 1
    ) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, 2 * outputs, kernel, stride, dilation * (kernel // 2), dilation)
        nn.init.kaiming_normal_(self.conv.weight, nonlinearity="linear")
        nn.init.zeros_(self.conv.bias)  # type: ignore[arg-type]
        with torch.no_grad():
            self.conv.weight[:outputs] *= GAIN

    def forward(self, x: Tensor) -> Tensor:
        """N x inputs x H x W -> N x outputs x H/stride x W/stride."""
        feature, gate = self.conv(x).chunk(2, 1)
        return F.elu(feature) * gate.sigmoid()


class _Up(nn.Module):
    """Twice the size by nearest neighbour, then a gated convolution: the original's deconvolution."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv = GatedConv2d(inputs, outputs)

    def forward(self, x: Tensor) -> Tensor:
        """N x inputs x H x W -> N x outputs x 2H x 2W."""
        return self.conv(F.interpolate(x, scale_factor=2.0, mode="nearest"))


# ---------------------------------------------------------------------------------- contextual attention


def similarities(feature: Tensor) -> Tensor:
    """How much the 3x3 patch around position i looks like the one around j, N x L x L, L = h w.

    The patch of j (the key) is scaled to unit length, that of i is not, as in the original.

    Args:
        feature: N x C x h x w.
    """
    patches = F.unfold(feature, 3, padding=1)  # N x 9C x L
    keys = patches / patches.norm(dim=1, keepdim=True).clamp_min(1e-4)
    return patches.transpose(1, 2) @ keys


def fuse(scores: Tensor, height: int, width: int) -> Tensor:
    """Adds up scores along diagonals: if i copies from j, i's neighbour should copy from j's.

    S'[i, j] = S[i-1, j-1] + S[i, j] + S[i+1, j+1], once with positions counted row by row and once column by
    column (a position over the rim counts 0; the end of a row touches the start of the next).

    Args:
        scores: N x L x L, row by row, L = height x width.
    """
    n, length = scores.shape[:2]
    diagonal = torch.eye(3, device=scores.device, dtype=scores.dtype)[None, None]

    def turned(values: Tensor, rows: int, columns: int) -> Tensor:
        """The same scores with positions counted the other way round."""
        grid = values.view(n, rows, columns, rows, columns)
        return grid.permute(0, 2, 1, 4, 3).reshape(n, 1, length, length)

    scores = F.conv2d(scores[:, None], diagonal, padding=1)
    scores = F.conv2d(turned(scores, height, width), diagonal, padding=1)
    return turned(scores, width, height)[:, 0]


def contextual_attention(feature: Tensor, hole: Tensor, scale: float = SCALE, fused: bool = True) -> Tensor:
    """Rebuilds a feature from patches of what is known, each place from the patches most like it.

    Args:
        feature: N x C x h x w; h and w divisible by RATE.
        hole: N x 1 x H x W {0, 1}; patches that touch it are not copied.
        scale: of the scores before the softmax.
        fused: adds scores up along diagonals first, see `fuse`.

    Returns:
        N x C x h x w.
    """
    _n, _, h, w = feature.shape
    rows, columns = h // RATE, w // RATE
    scores = similarities(feature[:, :, ::RATE, ::RATE])  # N x L x L, L = rows x columns
    scores = fuse(scores, rows, columns) if fused else scores
    small = F.adaptive_max_pool2d(hole, (rows, columns))
    usable = (F.max_pool2d(small, 3, 1, 1) == 0).flatten(2).to(scores.dtype)  # N x 1 x L
    weights = (scores * usable * scale).softmax(2) * usable
    patches = F.unfold(feature, 2 * RATE, padding=RATE // 2, stride=RATE)  # N x 16C x L
    copied = patches @ weights.transpose(1, 2)  # column i: what place i is rebuilt from
    return F.fold(copied, (h, w), 2 * RATE, padding=RATE // 2, stride=RATE) / 4  # four patches overlap


class ContextualAttention(nn.Module):
    """The layer around `contextual_attention`; it has no parameters."""

    def forward(self, feature: Tensor, hole: Tensor) -> Tensor:
        """See `contextual_attention`; computed in single precision."""
        with torch.autocast(feature.device.type, enabled=False):
            return contextual_attention(feature.float(), hole.float()).to(feature.dtype)


# ----------------------------------------------------------------------------------------------- networks


def _down(inputs: int, widths: tuple[int, int, int]) -> list[nn.Module]:
    """Input -> a quarter of the resolution; widths: channels at full, half and quarter resolution."""
    full, half, quarter = widths
    return [
        GatedConv2d(inputs, full, 5),
        GatedConv2d(full, half, 3, 2),
        GatedConv2d(half, half),
        GatedConv2d(half, quarter, 3, 2),
        GatedConv2d(quarter, quarter),
    ]


def _around(width: int) -> list[nn.Module]:
    """Dilated convolutions at a quarter of the resolution."""
    return [GatedConv2d(width, width, 3, 1, dilation) for dilation in DILATIONS]


def _out(inputs: int, widths: tuple[int, int, int]) -> nn.Sequential:
    """A quarter of the resolution -> a picture, before its sigmoid."""
    full, half, quarter = widths
    last = max(4, full // 2)
    return nn.Sequential(
        GatedConv2d(inputs, quarter),
        _Up(quarter, half),
        GatedConv2d(half, half),
        _Up(half, full),
        GatedConv2d(full, last),
        nn.Conv2d(last, 3, 3, padding=1),
    )


class DeepFill(Painter):
    """A coarse network paints a draft, a refining one with two branches repaints it.

    The original's: gated convolutions with ELU everywhere and no normalisation; coarse and refining network
    with dilations 2, 4, 8, 16 at a quarter of the resolution; contextual attention in the second branch of
    the refining network, with the diagonal fusion; L1 of draft and answer beside the hinge loss of
    SN-PatchGAN. Adapted: pictures in [0, 1] by a sigmoid (there in [-1, 1], clipped); M_a comes in the
    channel that the original keeps for a user's sketch; zero padding; first weights that keep the variance;
    L1 by region with the preset's weights, and an adversarial weight that fits them (there 1 to 1 with the
    mean over all pixels).

    Args:
        width: channels at a quarter of the resolution (96 after gating in the original).
        thin: how many times fewer there are at full resolution (4 in the original; half resolution has
            twice as many as full). Few channels on many pixels are what costs a CPU most.
    """

    def __init__(self, width: int = 96, thin: int = 4) -> None:
        super().__init__()
        self.config = {"width": width, "thin": thin}
        full = width // thin
        widths = (full, 2 * full, width)
        self.coarse = nn.Sequential(*_down(5, widths), GatedConv2d(width, width), *_around(width))
        self.coarse_out = _out(width, widths)
        self.branch = nn.Sequential(*_down(5, widths), *_around(width))
        self.attended = nn.Sequential(*_down(5, widths))
        self.attention = ContextualAttention()
        self.after = nn.Sequential(GatedConv2d(width, width), GatedConv2d(width, width))
        self.out = _out(2 * width, widths)

    def draw(self, image: Tensor, hole: Tensor, amodal_mask: Tensor) -> list[Tensor]:
        """See `Painter.draw`."""
        guide = torch.cat([hole, amodal_mask], 1)
        draft = self.coarse_out(self.coarse(torch.cat([image - 0.5, guide], 1))).sigmoid()
        filled = torch.cat([image + draft * hole - 0.5, guide], 1)  # N x 5 x H x W
        looked_up = self.after(self.attention(self.attended(filled), hole))  # N x w x H/4 x W/4
        both = torch.cat([self.branch(filled), looked_up], 1)
        return [draft, self.out(both).sigmoid()]


class SNPatchDiscriminator(nn.Module):
    """SN-PatchGAN: six 5x5 convolutions of stride 2 with spectral normalisation; every output is a verdict.

    The original's: 256 channels of verdicts on a grid of 1/64 of the resolution, hinge loss on each.

    Args:
        in_channels: picture, hole and guide.
        width: channels of the first layer; then 2x, and 4x four times (64 in the original).
    """

    def __init__(self, in_channels: int, width: int = 64) -> None:
        super().__init__()
        self.config = {"in_channels": in_channels, "width": width}
        widths = [in_channels, *(width * k for k in (1, 2, 4, 4, 4, 4))]
        layers: list[nn.Module] = []
        for narrow, wide in itertools.pairwise(widths):
            layers += [spectral_norm(nn.Conv2d(narrow, wide, 5, 2, 2)), nn.LeakyReLU(0.2)]
        self.layers = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        """Judges N x in_channels x H x W; returns logits N x 4w x H/64 x W/64, high = real."""
        return self.layers(x)
