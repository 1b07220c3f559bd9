"""The terms of the training losses (eq. 3, 4 and 7).

Gradients flow through soft predictions, never through hard targets. `photo_mask` (N x 1 x H
x W, 1 = photo pixel) keeps the empty part of a person's frame out of every mean. A mean runs over all counted
pixels of a batch, so that large and small people weigh by their pixels.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from deocc.errors import DeoccError
from deocc.labels import IGNORE, NUM_CLASSES, swap_sides

ADVERSARIAL = ("lsgan", "bce", "hinge")
Features = Callable[[Tensor], list[Tensor]]


def weighted_mean(value: Tensor, weight: Tensor) -> Tensor:
    """Mean of `value` (N x C x H x W) under `weight` (N x 1 x H x W, >= 0); 0 where no pixel counts."""
    total = (value * weight).sum()
    return total / (weight.sum() * value.shape[1]).clamp_min(1e-6)


def mask_probability(logits: Tensor) -> Tensor:
    """Probability of the person, N x 1 x H x W in [0, 1], from N x 2 x H x W logits."""
    return torch.sigmoid(logits[:, 1:] - logits[:, :1])


# ------------------------------------------------------------------------------------------- masks, eq. 3


def mask_cross_entropy(logits: Tensor, mask: Tensor, weight: Tensor) -> Tensor:
    """Cross-entropy of a two-class mask.

    Args:
        logits: N x 2 x H x W.
        mask: N x 1 x H x W {0, 1}.
        weight: N x 1 x H x W, >= 0; the photo mask, or that times what counts more.

    Source: L_ce in eq. 3.
    """
    difference = logits[:, 1:] - logits[:, :1]
    return weighted_mean(F.binary_cross_entropy_with_logits(difference, mask, reduction="none"), weight)


def region_weight(photo_mask: Tensor, region: Tensor, extra: float) -> Tensor:
    """photo x (1 + extra x region): counts `region` (N x 1 x H x W {0, 1}) 1 + extra times."""
    return photo_mask * (1 + extra * region)


def parsing_cross_entropy(
    logits: Tensor,
    parsing: Tensor,
    photo_mask: Tensor,
    true_sides: Tensor | None = None,
    balance: float = 0.0,
) -> Tensor:
    """Cross-entropy of body parts; pixels labelled 255 or outside the photo do not count.

    If a source's labels have no true sides, the probabilities of a left part and of its right twin are added
    before the logarithm, so that either answer is right.

    Args:
        logits: N x 20 x h x w; h = H or H / n for a whole n, then every n-th label counts (20 classes at
            full resolution are a fifth of a small network's time).
        parsing: N x H x W int64, 0..19 or 255.
        photo_mask: N x 1 x H x W {0, 1}.
        true_sides: N bool; None stands for all true.
        balance: power by which rare classes of the batch count more (`class_weights`); 0: every pixel counts
            the same.

    Source: L_ce in eq. 3.
    """
    stride = parsing.shape[-1] // logits.shape[-1]
    every = slice(stride // 2, None, stride)
    parsing, photo_mask = parsing[:, every, every], photo_mask[:, 0, every, every]
    counted = (parsing != IGNORE).float() * photo_mask  # N x h x w
    target = parsing.masked_fill(parsing == IGNORE, 0)[:, None]  # N x 1 x h x w
    log_p = logits.log_softmax(dim=1)
    hit = log_p.gather(1, target)
    if true_sides is not None and not bool(true_sides.all()):
        twin = swap_sides(target)
        either = torch.logaddexp(hit, log_p.gather(1, twin))
        sided = true_sides[:, None, None, None] | (twin == target)
        hit = torch.where(sided, hit, either)
    weight = counted[:, None]
    if balance:
        weight = weight * class_weights(target, weight, balance)[target]
    return weighted_mean(-hit, weight)


def class_weights(target: Tensor, counted: Tensor, balance: float, most: float = 4.0) -> Tensor:
    """(mean count / count) ** balance of each class in a batch, between 1 / `most` and `most`: 20 floats.

    Args:
        target: N x 1 x h x w int64, 0..19.
        counted: N x 1 x h x w, >= 0; what each pixel counts.
        balance: 0 gives 1 for each class, 1 the same total to each.
        most: limit of the weights.
    """
    counts = torch.bincount(target.flatten(), counted.flatten().float(), minlength=NUM_CLASSES)
    return (counts.sum() / NUM_CLASSES / counts.clamp_min(1)).pow(balance).clamp(1 / most, most)


def mask_l1(probability: Tensor, mask: Tensor, photo_mask: Tensor) -> Tensor:
    """Mean |p - m| over photo pixels; both N x 1 x H x W. Source: the L1 part of L_rec in eq. 3.

    Differs from the released code: soft masks, not their argmax, which has no gradient.
    """
    return weighted_mean((probability - mask).abs(), photo_mask)


def soft_iou_loss(probability: Tensor, mask: Tensor, photo_mask: Tensor) -> Tensor:
    """1 - soft IoU, averaged over the instances whose mask is not empty.

    Args:
        probability: N x 1 x H x W in [0, 1].
        mask: N x 1 x H x W {0, 1}.

    Differs from the paper: a term of ours, close to the metric; its weight is 0 in the paper preset.
    """
    dims = (1, 2, 3)
    both = (probability * mask * photo_mask).sum(dims)
    either = ((probability + mask - probability * mask) * photo_mask).sum(dims)
    present = ((mask * photo_mask).sum(dims) > 0).float()
    iou = both / either.clamp_min(1e-6)
    return ((1 - iou) * present).sum() / present.sum().clamp_min(1)


# --------------------------------------------------------------------------------- features, eq. 3 and 7


def feature_distance(predicted: list[Tensor], target: list[Tensor]) -> Tensor:
    """Mean absolute difference of features, averaged over levels. Inputs: N x C x h x w a level."""
    return torch.stack([F.l1_loss(p, t) for p, t in zip(predicted, target, strict=True)]).mean()


def gram_matrix(feature: Tensor) -> Tensor:
    """F F^T / (h w): N x C x C correlations of the channels of an N x C x h x w feature."""
    flat = feature.flatten(2).float()  # N x C x hw
    return flat @ flat.transpose(1, 2) / flat.shape[2]


def style_distance(predicted: list[Tensor], target: list[Tensor]) -> Tensor:
    """Mean absolute difference of Gram matrices, averaged over levels.

    Source: the style loss of Liu et al. 2018 in eq. 7.
    Differs from the paper: Gram matrices of features with mean activation 1 need no 1 / C^2 of their own.
    """
    pairs = zip(predicted, target, strict=True)
    return torch.stack([F.l1_loss(gram_matrix(p), gram_matrix(t)) for p, t in pairs]).mean()


def as_picture(mask: Tensor, size: int) -> Tensor:
    """A mask (N x 1 x H x W) as a grey picture N x 3 x size x size, averaged over areas: VGG's input."""
    if mask.shape[-1] > size:
        mask = F.adaptive_avg_pool2d(mask, size)
    return mask.expand(-1, 3, -1, -1)


def mask_perceptual(
    features: Features, probability: Tensor, mask: Tensor, photo_mask: Tensor, size: int
) -> Tensor:
    """Distance of the features of a soft mask and of the true one.

    Args:
        features: the frozen trunk.
        probability: N x 1 x H x W in [0, 1].
        mask, photo_mask: N x 1 x H x W {0, 1}.
        size: side of the pictures that the trunk sees.

    Source: the perceptual part of L_rec in eq. 3 (Gatys et al. 2016).
    Differs from the paper: absolute in place of squared differences; soft masks, shrunk to `size`.
    """
    with torch.no_grad():
        target = features(as_picture(mask * photo_mask, size))
    return feature_distance(features(as_picture(probability * photo_mask, size)), target)


# ------------------------------------------------------------------------------- adversarial, eq. 3 and 7


def _adversarial(logits: Tensor, real: bool, kind: str) -> Tensor:
    goal = torch.full_like(logits, float(real))
    if kind == "lsgan":
        return F.mse_loss(logits, goal)
    if kind == "bce":
        return F.binary_cross_entropy_with_logits(logits, goal)
    if kind == "hinge":
        return F.relu(1 - logits if real else 1 + logits).mean()
    raise DeoccError(f"adversarial loss {kind!r} is unknown; use one of {', '.join(ADVERSARIAL)}")


def generator_adversarial(fake_logits: Tensor, kind: str = "lsgan") -> Tensor:
    """Loss of the generator: fakes should look real. Args: fake_logits: N x 1 x h x w. Source: eq. 3 and 7.

    "hinge" (SN-PatchGAN of DeepFill v2) is minus the mean logit, without a bound.

    Differs from the released code: the term reaches the generator (there it is absent in stage 1 and
    erased in stage 2).
    """
    return -fake_logits.mean() if kind == "hinge" else _adversarial(fake_logits, True, kind)


def discriminator_adversarial(real_logits: Tensor, fake_logits: Tensor, kind: str = "lsgan") -> Tensor:
    """Loss of the discriminator: separate real (first) from fake; both N x 1 x h x w. Source: eq. 3 and 7."""
    return 0.5 * (_adversarial(real_logits, True, kind) + _adversarial(fake_logits, False, kind))


def total_variation(image: Tensor, region: Tensor) -> Tensor:
    """Mean absolute difference of neighbouring pixels, at least one of which lies in a region.

    Args:
        image: N x C x H x W.
        region: N x 1 x H x W {0, 1}.

    Source: Liu et al. 2018, of PCNet-C's loss.
    """
    down = torch.maximum(region[:, :, 1:], region[:, :, :-1])
    right = torch.maximum(region[:, :, :, 1:], region[:, :, :, :-1])
    vertical = weighted_mean((image[:, :, 1:] - image[:, :, :-1]).abs(), down)
    return vertical + weighted_mean((image[:, :, :, 1:] - image[:, :, :, :-1]).abs(), right)


# ------------------------------------------------------------------------------------------ content, eq. 7


def region_l1(image: Tensor, target: Tensor, region: Tensor) -> Tensor:
    """Mean absolute difference of two pictures (N x 3 x H x W) over a region (N x 1 x H x W {0, 1})."""
    return weighted_mean((image - target).abs(), region)


def region_log_mse(image: Tensor, target: Tensor, region: Tensor, floor: float = 1e-3) -> Tensor:
    """Mean over items of the logarithm of an item's squared error over a region: PSNR as a loss.

    PSNR averages over cases, so an easy case counts as much as a hard one. If several answers are possible,
    the best guess under PSNR is their mean; under L1, it is the median.

    Args:
        image, target: N x 3 x H x W in [0, 1].
        region: N x 1 x H x W {0, 1}; an item without any does not count.
        floor: added to the squared error, to bound the gradient of good items (30 dB at 1e-3).

    Returns:
        A scalar, natural logarithm; a change by -0.23 is one dB.

    Source: Chen et al. 2022 (NAFNet). Differs from the paper: the term is ours.
    """
    count = 3 * region.sum((1, 2, 3))
    error = ((image - target).float().square() * region).sum((1, 2, 3)) / count.clamp_min(1)
    present = count > 0
    return torch.where(present, error + floor, 1.0).log().sum() / present.sum().clamp_min(1)


def composite(image: Tensor, recovered: Tensor, hole: Tensor) -> Tensor:
    """The picture with its hole (N x 1 x H x W {0, 1}) painted: known pixels kept, hole from `recovered`."""
    return image * (1 - hole) + recovered * hole


def hole_crops(pictures: list[Tensor], hole: Tensor, size: int) -> list[Tensor]:
    """Cuts the same size x size window out of each picture, centred on the hole as far as it fits.

    Args:
        pictures: each N x C x H x W.
        hole: N x 1 x H x W {0, 1}; an empty one centres the window on the picture.
        size: side of the window; pictures no larger come back whole.
    """
    height, width = hole.shape[-2:]
    if size >= height and size >= width:
        return pictures
    tops = _window_starts(hole.amax(3)[:, 0], size)
    lefts = _window_starts(hole.amax(2)[:, 0], size)
    windows = [(slice(t, t + size), slice(x, x + size)) for t, x in zip(tops, lefts, strict=True)]
    return [torch.stack([p[i, :, rows, cols] for i, (rows, cols) in enumerate(windows)]) for p in pictures]


def _window_starts(occupied: Tensor, size: int) -> list[int]:
    """Start of a window of `size` centred on the occupied span of each row of N x L {0, 1}."""
    length = occupied.shape[1]
    places = torch.arange(length, device=occupied.device)
    first = torch.where(occupied > 0, places, length).amin(1)
    last = torch.where(occupied > 0, places, -1).amax(1)
    middle = torch.where(last < 0, length, first + last + 1) // 2
    return (middle - size // 2).clamp(0, max(0, length - size)).tolist()
