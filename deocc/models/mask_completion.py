"""Stage 1, refined mask completion: image and rough mask -> visible mask, whole mask, body parts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from deocc.errors import DeoccError
from deocc.labels import NUM_CLASSES
from deocc.models.blocks import ConvNorm, ResidualBlock, conv3x3, ones_like_mask, require_maps, upsample_to
from deocc.models.hourglass import Hourglass, level_widths
from deocc.models.parts import PartsDecoder, parts_of_person
from deocc.models.trunk import STAGES, Lite0Trunk

Templates = Tensor | np.ndarray | Sequence[int]
TRUNKS = ("", "lite0")
BORDER = 2  # channels of border features that a mask head hands to its full-resolution layer
GIVEN_LOGIT = 10.0  # log-odds of +-10: probability within 5e-5 of 0 or 1, finite in half precision


class MaskLogits(NamedTuple):
    """Stage 1's answer: logits at the input's size."""

    modal: Tensor  # N x 2 x H x W: not visible / visible person
    amodal: Tensor  # N x 2 x H x W: not / whole person
    parsing_modal: Tensor | None  # N x 20 x H x W: part of the visible person
    parsing_amodal: Tensor | None  # N x 20 x H x W: part of the whole person


class TemplateGuide(nn.Module):
    """Compares a mask with K templates and returns the re-weighted templates as a feature.

    d_k = mean squared difference of mask and T_k over photo pixels, w = softmax(-d / temperature); the
    K re-weighted templates w_k T_k go through one 3x3 convolution without activation.

    Args:
        templates: K x S x S in [0, 1], or their shape (K, S, S) when weights are loaded afterwards.
        channels: of the feature.
        temperature: tau, in units of the mean squared difference; see `MaskCompletionNet`.

    Source: Sec. 3.2, "some typical poses can be implanted".
    Differs from the paper: it does not say which distance; ours is the mean squared difference.
    Differs from the released code: softmax of raw dot products summed over pixels, which saturates to one-hot
    and favours large templates.
    """

    templates: Tensor

    def __init__(self, templates: Templates, channels: int, temperature: float) -> None:
        super().__init__()
        if temperature <= 0:
            raise DeoccError(f"temperature is {temperature}; expected above 0; 0.01 is the default")
        self.register_buffer("templates", _as_templates(templates))
        self.temperature = temperature
        self.conv = conv3x3(len(self.templates), channels)

    def distances(self, mask: Tensor, photo_mask: Tensor | None = None) -> Tensor:
        """d_k (N x K, from 0 to 1) of a soft mask (N x 1 x H x W) to each template, over photo pixels."""
        photo_mask = torch.ones_like(mask) if photo_mask is None else photo_mask.to(mask.dtype)
        size = (self.templates.shape[-2], self.templates.shape[-1])
        share = F.adaptive_avg_pool2d(photo_mask, size).flatten(1)  # N x SS: photo share of each cell
        inside = F.adaptive_avg_pool2d(mask * photo_mask, size).flatten(1)  # N x SS: mask's area in each cell
        cell = inside / share.clamp_min(1e-6)
        weight = share / share.sum(1, keepdim=True).clamp_min(1e-6)
        t = self.templates.flatten(1).to(mask.dtype)  # K x SS
        # sum_s weight (cell - t)^2, expanded so that no N x K x SS tensor arises
        square = (weight * cell.square()).sum(1, keepdim=True) + weight @ t.square().T
        return (square - 2 * (weight * cell) @ t.T).clamp_min(0)

    def weights(self, mask: Tensor, photo_mask: Tensor | None = None) -> Tensor:
        """softmax(-d / temperature): N x K, rows sum to 1."""
        return (-self.distances(mask, photo_mask) / self.temperature).softmax(dim=1)

    def forward(self, mask: Tensor, photo_mask: Tensor | None = None) -> Tensor:
        """Maps a soft mask N x 1 x H x W to a feature N x channels x S x S, S the templates' own size."""
        w = self.weights(mask, photo_mask)  # N x K
        weighted = w[:, :, None, None] * self.templates  # N x K x S x S
        return self.conv(weighted.to(self.conv.weight.dtype))


class PredictionBranch(nn.Module):
    """The head of one hourglass: parsing logits and mask logits (supplement, fig. 1).

    F -> residual block -> two 3x3 convolutions -> parsing; [F, the block's feature, (templates)] -> two 3x3
    convolutions with a ReLU -> mask. The feature has half the input's resolution; a light layer at full
    resolution that also sees the input sharpens the mask's border.

    Args:
        width: channels of F.
        classes: of the parsing; 0 leaves its convolutions out (the residual block stays, so that rows
            of table 4 differ in supervision alone).
        extra: channels of the template feature, 0 without.
        inputs: channels of the full-resolution input.
        zoom: half resolution over the feature's; 2 where the stem goes down by 4 (sub-pixel convolutions).
        detail: channels of a trunk's feature at half resolution that corrects the mask there; 0 without.

    Differs from the paper: the full-resolution layer, and the correction at half resolution.
    """

    def __init__(
        self, width: int, classes: int, extra: int, inputs: int, zoom: int = 1, detail: int = 0
    ) -> None:
        super().__init__()
        self.detail: nn.Module | None = None
        if detail:
            last = conv3x3(detail, 2 + BORDER)
            nn.init.zeros_(last.weight)  # starts as if it were not there
            nn.init.zeros_(last.bias)  # type: ignore[arg-type]
            self.detail = nn.Sequential(ConvNorm(2 + BORDER + detail, detail), last)
        hidden = width // 2 if zoom == 1 else width  # a coarser grid affords, and needs, more channels
        self.block = ResidualBlock(width, width, middle=width // 2)
        self.parsing: nn.Module | None = None
        if classes:
            # Sub-pixel convolutions to 20 classes cost too much.
            middle = classes if zoom == 1 else width // 2
            self.parsing = nn.Sequential(ConvNorm(width, width), *_zoomed(width, middle, zoom))
            if zoom != 1:
                self.parsing.append(nn.Conv2d(middle, classes, 1))
        self.mask = nn.Sequential(ConvNorm(2 * width + extra, hidden), *_zoomed(hidden, 2 + BORDER, zoom))
        self.border = nn.Sequential(ConvNorm(2 + BORDER + inputs, 8), conv3x3(8, 2))

    def forward(
        self, feature: Tensor, extra: Tensor | None, inputs: Tensor, fine: Tensor | None = None
    ) -> tuple[Tensor, Tensor | None]:
        """Returns mask logits N x 2 x H x W and parsing logits N x classes x H/2 x W/2 (or None)."""
        part = self.block(feature)  # N x w x H/2 x W/2
        parsing = None if self.parsing is None else self.parsing(part)
        stack = [feature, self.seen_by_mask(part)]
        if extra is not None:
            stack.append(upsample_to(extra, feature))
        half = self.mask(torch.cat(stack, 1))  # N x (2+BORDER) x H/2 x W/2
        if self.detail is not None and fine is not None:
            half = half + self.detail(torch.cat([half, upsample_to(fine, half)], 1))
        coarse = upsample_to(half, inputs)  # N x (2+BORDER) x H x W
        mask = coarse[:, :2] + self.border(torch.cat([coarse, inputs], 1))
        return mask, parsing

    def seen_by_mask(self, part: Tensor) -> Tensor:
        """What the mask's convolutions see of the parsing feature: all of it, and they train it."""
        return part


def _zoomed(inputs: int, outputs: int, zoom: int) -> list[nn.Module]:
    """A 3x3 convolution whose result is `zoom` times as fine as its input."""
    if zoom == 1:
        return [conv3x3(inputs, outputs)]
    return [conv3x3(inputs, outputs * zoom**2), nn.PixelShuffle(zoom)]


def _stem(inputs: int, width: int, stride: int) -> nn.Sequential:
    """Goes down by 2 or 4: N x inputs x H x W -> N x width x H/stride x W/stride."""
    if stride == 2:
        return ConvNorm(inputs, width, stride=2)
    return nn.Sequential(ConvNorm(inputs, width, stride=2), ConvNorm(width, width, stride=2))


class Laterals(nn.Module):
    """1x1 convolutions that bring a trunk's features to an hourglass's levels of the same stride.

    They start at zero, so that a network starts as it was without the trunk.

    Args:
        channels: of the trunk's feature at each stride.
        widths: channels of the hourglass's levels, finest first.
        stride: of the finest level.
    """

    def __init__(self, channels: dict[int, int], widths: list[int], stride: int) -> None:
        super().__init__()
        self.strides = [stride * 2**level for level in range(len(widths))]
        layers = {}
        for reach, width in zip(self.strides, widths, strict=True):
            if reach in channels:
                norm = nn.BatchNorm2d(width)
                nn.init.zeros_(norm.weight)
                layers[str(reach)] = nn.Sequential(nn.Conv2d(channels[reach], width, 1, bias=False), norm)
        self.layers = nn.ModuleDict(layers)

    def forward(self, features: dict[int, Tensor]) -> list[Tensor | None]:
        """One feature a level, None where the trunk has none. Args: features: by stride."""
        known = self.layers
        return [known[str(s)](features[s]) if str(s) in known else None for s in self.strides]


class MaskCompletionNet(nn.Module):
    """Two stacked hourglasses: N_m refines the visible mask, N_a completes it (eq. 1 and 2, Sec. 3.2).

    (M_m, P_m) = N_m([I, M_i]);  (M_a, P_a) = N_a([I, F_m], T), F_m the last feature of N_m. The refined
    M_m reaches N_a through the templates only. Any size from 32 pixels on will do.

    Args:
        width: channels at half resolution; 64 with 256-pixel input is the paper's size, 16-24 suits a CPU.
        classes: of the parsing (20, LIP).
        templates: K x S x S typical amodal masks in [0, 1] in the input's frame, or their shape when weights
            are loaded afterwards; None leaves the templates out (table 4, rows 1-4).
        modal: False drops the modal branch; M_i stands in for M_m (table 4, rows 1-2). Both hourglasses stay.
        parsing: False drops both parsing branches (table 4, rows 1-3 and 5).
        temperature: tau of the template weights; at 0.01 about four of 64 templates share the weight
            (median e^entropy 3.7 on occluded real people; 2.0 at 0.005, 8.4 at 0.02, 29 at 0.05).
        levels: resolutions of each hourglass.
        stride: of the stem, 2 or 4; 4 costs a third of 2 (Newell et al. also go down by 4 first).
        trunk: "lite0" adds features of EfficientNet-lite0 (`Lite0Trunk`) at each level of both hourglasses;
            "" leaves them out, as in the paper.
        pretrained: the trunk starts from ImageNet; False where weights are loaded afterwards.
        given_logit: M_i is added to the visible mask's logits with a learned weight that starts here, so that
            the network begins by handing the given mask on and learns where to correct it; 0, as in the
            paper: the mask enters as an input alone.
        parts: width of a `PartsDecoder` that gives the body parts in place of both branches' convolutions for
            them; it needs a trunk and stride 4; 0 leaves it out, as in the paper. Its attention costs memory
            and time by the square of the cells: 46 MB for eight inputs of 192 pixels, 800 MB for four of 512.

    Differs from the paper: channels grow with depth (`Hourglass`); a full-resolution border layer; the trunk,
    where one is chosen; a channel that marks photo pixels. The released code's
    width is unpublished.
    """

    def __init__(
        self,
        width: int = 64,
        classes: int = 20,
        templates: Templates | None = None,
        modal: bool = True,
        parsing: bool = True,
        temperature: float = 0.01,
        levels: int = 5,
        stride: int = 2,
        trunk: str = "",
        pretrained: bool = False,
        given_logit: float = 0.0,
        parts: int = 0,
    ) -> None:
        super().__init__()
        if stride not in (2, 4):
            raise DeoccError(f"stride is {stride}; expected 2 or 4, how far the stem goes down")
        if trunk not in TRUNKS:
            raise DeoccError(f"trunk {trunk!r} is unknown; use one of {', '.join(map(repr, TRUNKS))}")
        if parts and not (trunk and parsing and stride == 4 and classes == NUM_CLASSES):
            raise DeoccError(
                f"parts is {parts}: its decoder needs a trunk, parsing, stride 4 and {NUM_CLASSES} classes; "
                "set them, or parts to 0"
            )
        guide = None if templates is None else TemplateGuide(templates, width, temperature)
        shape = None if guide is None else list(guide.templates.shape)
        self.config: dict[str, Any] = {
            "width": width, "classes": classes, "templates": shape, "modal": modal, "parsing": parsing,
            "temperature": temperature, "levels": levels, "stride": stride, "trunk": trunk,
        }  # fmt: skip
        if parts:
            self.config["parts"] = parts
        self.given_weight: nn.Parameter | None = None
        if modal and given_logit:
            self.config["given_logit"] = given_logit
            self.given_weight = nn.Parameter(torch.tensor(float(given_logit)))
        heads, zoom = classes if parsing and not parts else 0, stride // 2
        self.modal_stem = _stem(5, width, stride)  # [I, M_i, photo]
        self.modal_hourglass = Hourglass(width, levels)
        fine = STAGES[2][1] if trunk else 0
        self.modal_branch = PredictionBranch(width, heads, 0, 5, zoom, fine) if modal else None
        self.amodal_stem = _stem(4, width, stride)  # [I, photo]
        self.amodal_join = nn.Sequential(
            nn.Conv2d(2 * width, width, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU(inplace=True)
        )
        self.amodal_hourglass = Hourglass(width, levels)
        self.trunk = Lite0Trunk(pretrained) if trunk else None
        if self.trunk is not None:
            self.modal_laterals = Laterals(self.trunk.channels, level_widths(width, levels), stride)
            self.amodal_laterals = Laterals(self.trunk.channels, level_widths(width, levels), stride)
        self.parts = PartsDecoder(self.trunk.channels, parts, 2 * width) if parts and self.trunk else None
        self.guide = guide
        self.amodal_branch = PredictionBranch(width, heads, width if guide is not None else 0, 5, zoom, fine)

    def lateral_norms(self) -> list[nn.BatchNorm2d]:
        """The layers whose weights say how strongly a trunk's features enter; none without a trunk."""
        if self.trunk is None:
            return []
        layers = [*self.modal_laterals.layers.values(), *self.amodal_laterals.layers.values()]
        return [
            module for layer in layers for module in layer.modules() if isinstance(module, nn.BatchNorm2d)
        ]

    def forward(
        self,
        image: Tensor,
        initial_mask: Tensor,
        photo_mask: Tensor | None = None,
        half_parsing: bool = False,
    ) -> MaskLogits:
        """Completes a batch of people.

        Args:
            image: N x 3 x H x W in [0, 1].
            initial_mask: M_i, N x 1 x H x W {0, 1}.
            photo_mask: N x 1 x H x W {0, 1}, 1 = inside the photo; all ones when not given.
            half_parsing: return parsing logits at half resolution, as computed. Training that compares them
                with every second label saves a fifth of its time.

        Returns:
            Logits at the input's size. Without the modal branch `modal` is M_i with log-odds of +-10.
        """
        photo_mask = ones_like_mask(image) if photo_mask is None else photo_mask
        require_maps("image", image, 3)
        require_maps("initial_mask", initial_mask, 1, image)
        require_maps("photo_mask", photo_mask, 1, image)
        inputs = torch.cat([image - 0.5, initial_mask, photo_mask], 1)  # N x 5 x H x W, about zero mean
        seen = None if self.trunk is None else self.trunk(image)
        for_modal = () if seen is None else self.modal_laterals(seen)
        feature_m = self.modal_hourglass(self.modal_stem(inputs), for_modal)  # F_m: N x w x H/s x W/s
        fine = None if seen is None else seen[2]
        modal, parsing_modal = self._modal(feature_m, inputs, initial_mask, fine)
        picture = self.amodal_stem(torch.cat([image - 0.5, photo_mask], 1))
        joined = self.amodal_join(torch.cat([picture, feature_m], 1))
        feature_a = self.amodal_hourglass(joined, () if seen is None else self.amodal_laterals(seen))
        guide = (
            None if self.guide is None else self.guide(modal.softmax(1)[:, 1:], photo_mask)
        )  # N x w x S x S
        amodal, parsing_amodal = self.amodal_branch(feature_a, guide, inputs, fine)
        if self.parts is not None and seen is not None:
            odds = [(maps[:, 1:] - maps[:, :1]).detach() for maps in (modal, amodal)]
            features = torch.cat([feature_m, feature_a], 1)
            parts = self.parts(seen, features, initial_mask, photo_mask, *odds)
            parsing_modal = None if self.modal_branch is None else parts_of_person(parts, odds[0])
            parsing_amodal = parts_of_person(parts, odds[1])
        parsing = [
            logits if logits is None or half_parsing else upsample_to(logits, image)
            for logits in (parsing_modal, parsing_amodal)
        ]
        return MaskLogits(modal, amodal, *parsing)

    def _modal(
        self, feature: Tensor, inputs: Tensor, initial_mask: Tensor, fine: Tensor | None
    ) -> tuple[Tensor, Tensor | None]:
        if self.modal_branch is None:
            return _as_logits(initial_mask, GIVEN_LOGIT), None
        mask, parsing = self.modal_branch(feature, None, inputs, fine)
        if self.given_weight is not None:
            mask = mask + _as_logits(initial_mask, self.given_weight)
        return mask, parsing


def _as_logits(mask: Tensor, weight: Tensor | float) -> Tensor:
    """A mask N x 1 x H x W {0, 1} as two-class logits whose difference is +-weight; N x 2 x H x W."""
    half = (2 * mask - 1) * (weight / 2)
    return torch.cat([-half, half], 1)


def _as_templates(templates: Templates) -> Tensor:
    """Templates as a float tensor K x S x S; zeros of the given shape when only the shape is known."""
    if isinstance(templates, (Tensor, np.ndarray)):
        given = torch.as_tensor(templates).detach().clone().float()
    else:
        given = torch.zeros(tuple(int(n) for n in templates))
    if given.ndim != 3 or given.numel() == 0 or given.min() < 0 or given.max() > 1:
        raise DeoccError(
            f"templates have shape {tuple(given.shape)}; expected K x S x S with values in [0, 1]; "
            "make them with deocc.training.templates.make_templates or pass their shape (K, S, S)"
        )
    return given
