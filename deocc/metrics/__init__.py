"""Metrics of masks, body parts and pixels, with confidence intervals.

Every metric counts photo pixels only: pass `region` where a frame sticks out of the photo. Masks are bool,
float probabilities (inside: > 0.5) or 0/1 (0/255) integers, NumPy or torch. The paper does not define all of
its metrics; each docstring states the definition used here.

`masks`, `parsing` and `pixels` compare single cases. `distributions` compares features of a network, of
single cases or of sets. `statistics` gives confidence intervals.
"""

from deocc.metrics.arrays import ArrayLike
from deocc.metrics.distributions import (
    FrechetResult,
    frechet_distance,
    frechet_of_features,
    kernel_distance,
    kernel_terms,
    perceptual_distance,
)
from deocc.metrics.masks import global_iou, invisible_iou, iou_of_counts, mask_counts, mask_iou, mask_l1
from deocc.metrics.parsing import class_ious, merge_confusion, parsing_confusion, parsing_miou
from deocc.metrics.pixels import (
    ROUNDING_NOISE,
    blurred_colour_error,
    detail_ratio,
    image_l1,
    image_mse,
    mean_gradient,
    psnr,
    psnr_of_mse,
    ssim,
    ssim_map,
)
from deocc.metrics.statistics import (
    RATIO_EDGES,
    Interval,
    bootstrap_mean,
    bootstrap_pairs,
    bootstrap_parsing_miou,
    bootstrap_ratio,
    ratio_bins,
    wilson_interval,
)

__all__ = [
    "RATIO_EDGES", "ROUNDING_NOISE", "ArrayLike", "FrechetResult", "Interval", "blurred_colour_error",
    "bootstrap_mean", "bootstrap_pairs", "bootstrap_parsing_miou", "bootstrap_ratio", "class_ious",
    "detail_ratio", "frechet_distance", "frechet_of_features", "global_iou", "image_l1", "image_mse",
    "invisible_iou", "iou_of_counts", "kernel_distance", "kernel_terms", "mask_counts", "mask_iou",
    "mask_l1", "mean_gradient", "merge_confusion", "parsing_confusion", "parsing_miou", "perceptual_distance",
    "psnr", "psnr_of_mse", "ratio_bins", "ssim", "ssim_map", "wilson_interval",
]  # fmt: skip
