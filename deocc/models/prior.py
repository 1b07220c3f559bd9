"""A first guess without learning: hidden body parts take the colours of their visible pixels."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from deocc.labels import swap_sides

DECAY = 0.5  # weight of a pyramid level over that of the next finer one
TWIN = 0.25  # weight of a pixel of the twin part, a left leg's for a right one
SOME = 1e-2  # evidence at which half of the sureness is reached
SKIN = (12, 13, 14, 15, 16)  # channels of face, arms and legs, which are of one colour where they are bare
SKIN_SHARE = 0.2  # weight of a pixel of another bare part, where common colours are known
UPPER = (4, 5, 6, 9)  # channels of upper-clothes, dress, coat and jumpsuit, which are taken for each other
UPPER_SHARE = 0.3  # weight of a pixel of another of these clothes, where common colours are known
DOUBT = 5e-5  # evidence at or below which a part has a common colour, where these are known
LITTLE = 1e-5  # evidence as of `spread` at or below which a part is continued as the whole person


def part_prior(
    image: Tensor,
    valid_mask: Tensor,
    amodal_mask: Tensor,
    parsing_modal: Tensor,
    parsing_amodal: Tensor,
) -> Tensor:
    """Paints the person from its visible pixels: `part_prior_evidence` with all of them as evidence.

    Args:
        image: N x 3 x H x W in [0, 1].
        valid_mask, amodal_mask: N x 1 x H x W {0, 1}.
        parsing_modal, parsing_amodal: N x 19 x H x W.

    Returns:
        N x 3 x H x W float32 in [0, 1]; known pixels of the person are the image's.
    """
    seen = valid_mask * (amodal_mask > 0.5)  # N x 1 x H x W: the visible person
    guess, _ = part_prior_evidence(image, seen, parsing_modal, parsing_amodal)
    return torch.where(seen > 0, image.float(), guess)


def part_prior_evidence(
    image: Tensor,
    seen: Tensor,
    parsing_modal: Tensor,
    parsing_amodal: Tensor,
    common: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """The first guess at every pixel, and the evidence behind it.

    The colour of part k at a pixel is a weighted mean of the part's visible pixels and, at less weight, of
    its twin's on the other side; near pixels count more (`spread`). A part of which almost nothing is
    visible, or only far away, has the colour of the visible person, found in the same way. A hidden pixel is
    the mean of its parts' colours by their probability: if the part is in doubt, this has the least squared
    error. Colours are found at half resolution.

    Args:
        image: N x 3 x H x W in [0, 1].
        seen: N x 1 x H x W {0, 1}, pixels of the visible person that count as evidence.
        parsing_modal, parsing_amodal: N x 19 x H x W, classes 1 to 19: one-hot or probabilities; what they
            lack of a sum of 1 counts as the person as a whole.
        common: 19 x 3 in [0, 1], the colour that a part of which nothing shows has in the mean over people,
            instead of the visible person's; bare parts, and clothes of the upper body, then also show each
            other's colour. Black: unknown.

    Returns:
        The guess, N x 3 x H x W float32 in [0, 1], and N x 1 x H x W float32 in [0, 1]: near 1 where much of
        a pixel's part (or its kin) shows nearby, 0 where nothing of it does.

    Differs from the paper: this step is ours.
    """
    image, parsing_modal, parsing_amodal = image.float(), parsing_modal.float(), parsing_amodal.float()
    seen_share = F.avg_pool2d(seen, 2, ceil_mode=True)  # N x 1 x h x w
    weighted = F.avg_pool2d(image * seen, 2, ceil_mode=True)  # colours times what is seen of them
    whole = spread(torch.cat([weighted, seen_share], 1))
    person = whole[:, :3] / whole[:, 3:].clamp_min(1e-9)  # N x 3 x h x w
    shown = F.avg_pool2d(parsing_modal * seen, 2, ceil_mode=True)
    evidence = _with_twins(shown)  # N x P x h x w
    default, doubt = person[:, None], LITTLE  # N x 1 x 3 x h x w
    if common is not None:
        for kin, factor in ((SKIN, SKIN_SHARE), (UPPER, UPPER_SHARE)):
            evidence[:, kin] += factor * (shown[:, kin].sum(1, keepdim=True) - shown[:, kin])
        colour = common.to(person)[None, :, :, None, None]
        default, doubt = torch.where(colour.sum(2, keepdim=True) > 0, colour, default), DOUBT
    parts = evidence.shape[1]
    coloured = evidence[:, :, None] * (weighted / seen_share.clamp_min(1e-6))[:, None]  # N x P x 3 x h x w
    sums = spread(torch.cat([coloured.flatten(1, 2), evidence], 1))
    weight = sums[:, 3 * parts :, None]  # N x P x 1 x h x w
    colours = sums[:, : 3 * parts].unflatten(1, (parts, 3)) + doubt * default
    share = F.avg_pool2d(parsing_amodal, 2, ceil_mode=True)
    rest = (1 - share.sum(1, keepdim=True)).clamp_min(0)
    guess = (share[:, :, None] * colours / (weight + doubt)).sum(1) + rest * person
    sure = (share * (weight / (weight + SOME))[:, :, 0]).sum(1, keepdim=True)
    both = torch.cat([guess, sure], 1)
    both = F.interpolate(both, size=image.shape[-2:], mode="bilinear", align_corners=False)
    return both[:, :3], both[:, 3:]


def _with_twins(evidence: Tensor) -> Tensor:
    """Adds each part's twin with the weight TWIN; N x P x h x w."""
    part = torch.arange(1, evidence.shape[1] + 1, device=evidence.device)  # classes; channel 0 is class 1
    twin = swap_sides(part)
    return evidence + TWIN * (twin != part)[:, None, None] * evidence[:, twin - 1]


def spread(maps: Tensor, decay: float = DECAY) -> Tensor:
    """Sums over all pixels with weights that fall with the distance, by a pyramid of means.

    The quotient of spread values times weights and spread weights is inverse distance interpolation
    (Shepard 1968) in a time that grows with the number of pixels, not with its square.

    Args:
        maps: N x C x H x W.
        decay: weight of a level over that of the next finer one; a pixel counts at distance r about
            r^(log2(decay) - 2) as much as at distance 1.

    Returns:
        N x C x H x W.
    """
    levels = [maps]
    while max(levels[-1].shape[-2:]) > 1:
        levels.append(F.avg_pool2d(levels[-1], 2, ceil_mode=True))
    total = levels.pop()
    for level in reversed(levels):
        total = level + decay * F.interpolate(
            total, size=level.shape[-2:], mode="bilinear", align_corners=False
        )
    return total
