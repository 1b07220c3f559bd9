"""Metrics of pictures inside a region: L1, PSNR, SSIM, detail and blurred colour."""

from typing import Any

import cv2
import numpy as np
from skimage.color import rgb2lab
from torch import Tensor

from deocc.masks import mask_box
from deocc.metrics.arrays import ArrayLike, as_array, as_bool, plain, same_shape

ROUNDING_NOISE = 1 / (12 * 255**2)  # mean squared error of rounding to 8 bits; an exact copy scores 58.9 dB
SSIM_C1, SSIM_C2 = 0.01**2, 0.03**2  # Wang et al. 2004, data range 1
LUMA = (0.299, 0.587, 0.114)  # Rec. 601
FLAT = 0.25 / 255  # mean gradient below which a target has no detail to be missed


def _unit(image: ArrayLike) -> np.ndarray:
    """H x W x 3 float32 in [0, 1] from uint8, or from a float image in [0, 1], HWC (NumPy) or CHW (torch)."""
    array = as_array(image)
    if isinstance(image, Tensor) and array.ndim == 3:
        array = array.transpose(1, 2, 0)
    return array.astype(np.float32) / 255 if array.dtype == np.uint8 else array.astype(np.float32)


def _pixels(
    predicted: ArrayLike, target: ArrayLike, region: ArrayLike | None
) -> tuple[np.ndarray, np.ndarray]:
    """The counted pixels of two images, K x 3 each."""
    first, second = _unit(predicted), _unit(target)
    same_shape(first, second, "images")
    if region is None:
        return first.reshape(-1, first.shape[-1]), second.reshape(-1, second.shape[-1])
    inside = as_bool(region)
    same_shape(first[..., 0], inside, "region")
    return first[inside], second[inside]


def image_l1(predicted: ArrayLike, target: ArrayLike, region: ArrayLike | None = None) -> float:
    """Mean absolute difference inside a region, in [0, 1] (images of range 1); nan for an empty region.

    Args:
        predicted, target: H x W x 3 uint8, or float in [0, 1] (torch: 3 x H x W).
        region: H x W bool, or None for the whole image.
    """
    first, second = _pixels(predicted, target, region)
    return float(np.abs(first - second).mean()) if first.size else float("nan")


def image_mse(predicted: ArrayLike, target: ArrayLike, region: ArrayLike | None = None) -> float:
    """Mean squared difference inside a region (images of range 1); arguments as `image_l1`."""
    first, second = _pixels(predicted, target, region)
    return float(np.square(first - second).mean()) if first.size else float("nan")


def psnr_of_mse(mse: Any) -> Any:
    """Peak signal-to-noise ratio in dB for images of range 1.

    The error is floored at the noise of 8-bit rounding, 1 / (12 x 255^2), so that an exact copy scores
    58.9 dB and a mean over cases stays finite.
    """
    return plain(-10 * np.log10(np.maximum(mse, ROUNDING_NOISE)))


def psnr(predicted: ArrayLike, target: ArrayLike, region: ArrayLike | None = None) -> float:
    """PSNR inside a region in dB, at most 58.9; nan for an empty region. Arguments as `image_l1`."""
    return psnr_of_mse(image_mse(predicted, target, region))


def _window_mean(values: np.ndarray) -> np.ndarray:
    """The 11 x 11 Gaussian window (sigma 1.5) of Wang et al. 2004; zero outside the picture."""
    return cv2.GaussianBlur(values, (11, 11), 1.5, borderType=cv2.BORDER_CONSTANT)


def ssim_map(first: np.ndarray, second: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """Structural similarity around each pixel, from statistics of the pixels inside alone.

    Args:
        first, second: H x W x 3 float32 in [0, 1].
        inside: H x W bool.

    Returns:
        H x W x 3 float32; meaningless outside.
    """
    weight = inside.astype(np.float32)[..., None]
    norm = np.maximum(_window_mean(weight[..., 0]), 1e-6)[..., None]

    def mean(values: np.ndarray) -> np.ndarray:
        return _window_mean(values * weight) / norm

    mean_a, mean_b = mean(first), mean(second)
    variance_a, variance_b = mean(first * first) - mean_a**2, mean(second * second) - mean_b**2
    covariance = mean(first * second) - mean_a * mean_b
    luminance = (2 * mean_a * mean_b + SSIM_C1) / (mean_a**2 + mean_b**2 + SSIM_C1)
    structure = (2 * covariance + SSIM_C2) / (variance_a + variance_b + SSIM_C2)
    return luminance * structure


def _whole(
    predicted: ArrayLike, target: ArrayLike, region: ArrayLike | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Both images as H x W x 3 float32 in [0, 1], and the region as H x W bool."""
    first, second = _unit(predicted), _unit(target)
    same_shape(first, second, "images")
    inside = np.ones(first.shape[:2], bool) if region is None else as_bool(region)
    same_shape(first[..., 0], inside, "region")
    return first, second, inside


def ssim(predicted: ArrayLike, target: ArrayLike, region: ArrayLike | None = None) -> float:
    """Structural similarity inside a region, averaged over its pixels and channels, in [-1, 1].

    Window statistics use only pixels of the region (normalised convolution), so an occluder beside the region
    costs nothing. Without a region this is Wang et al. 2004, except within 5 px of the border, where
    the window is cut instead of mirrored.

    Returns:
        nan for an empty region. Arguments as `image_l1`.
    """
    first, second, inside = _whole(predicted, target, region)
    if not inside.any():
        return float("nan")
    x0, y0, x1, y1 = mask_box(inside)
    crop = np.s_[y0:y1, x0:x1]
    return float(ssim_map(first[crop], second[crop], inside[crop])[inside[crop]].mean())


# --- what squared errors do not see ---------------------------------------------------------------


def _luma(image: np.ndarray) -> np.ndarray:
    """H x W float32 in [0, 1]: Rec. 601 luma of gamma-encoded RGB."""
    return image @ np.array(LUMA, np.float32)


def mean_gradient(image: ArrayLike, region: ArrayLike | None = None) -> float:
    """Mean strength of the luma gradient (Sobel) inside a region, per pixel of an image of range 1.

    Only pixels whose 3 x 3 neighbours all lie in the region count, so a seam at its border is no detail.

    Args:
        image: H x W x 3 uint8, or float in [0, 1] (torch: 3 x H x W).
        region: H x W bool, or None for the whole image.

    Returns:
        0 and up; nan where no pixel counts.
    """
    luma = _luma(_unit(image))
    inside = np.ones(luma.shape, bool) if region is None else as_bool(region)
    same_shape(luma, inside, "region")
    deep = cv2.erode(inside.astype(np.uint8), np.ones((3, 3), np.uint8), borderValue=0) > 0
    across, down = (cv2.Sobel(luma, cv2.CV_32F, *axis, scale=1 / 8) for axis in ((1, 0), (0, 1)))
    strength = np.hypot(across, down)[deep]
    return float(strength.mean(dtype=np.float64)) if strength.size else float("nan")


def detail_ratio(predicted: ArrayLike, target: ArrayLike, region: ArrayLike | None = None) -> float:
    """Detail of a picture inside a region relative to the target: far below 1 for fog, above 1 for noise.

    The ratio of mean gradient strengths (`mean_gradient`); 1 is best. Half the contrast gives half the ratio.
    Detail that is sharp but wrong counts in full, so read it beside a perceptual distance.

    Args:
        predicted, target, region: as `image_l1`.

    Returns:
        nan where the target is flat (a mean gradient below a quarter of a grey level a pixel), or where the
        region is nowhere 3 pixels wide.
    """
    found, true = mean_gradient(predicted, region), mean_gradient(target, region)
    return found / true if true > FLAT else float("nan")


def blurred_colour_error(
    predicted: ArrayLike, target: ArrayLike, region: ArrayLike | None = None, sigma: float = 0.0
) -> float:
    """Mean distance of two pictures' blurred colours inside a region, in CIE Lab (CIE76, D65).

    The blur removes detail, so that the metric compares colours alone. It averages only pixels of the region
    (normalised convolution), so that nothing beside the hole leaks in. Blurring is linear, so the difference
    is blurred once.

    Args:
        predicted, target, region: as `image_l1`.
        sigma: of the Gaussian, in pixels; 0: no blur. Tables take 4 % of the person's height.

    Returns:
        0 and up; a just noticeable difference is about 2.3. nan for an empty region.
    """
    first, second, inside = _whole(predicted, target, region)
    if not inside.any():
        return float("nan")
    x0, y0, x1, y1 = mask_box(inside)
    inside = inside[y0:y1, x0:x1]
    kept = np.zeros((*inside.shape, 4), np.float32)  # the difference where it counts, and where it counts
    first, second = (rgb2lab(picture[y0:y1, x0:x1][inside][None])[0] for picture in (first, second))
    kept[inside] = np.c_[first - second, np.ones(len(first))]
    if sigma > 0:
        kept = cv2.GaussianBlur(kept, (0, 0), sigma, borderType=cv2.BORDER_CONSTANT)
    return float(np.linalg.norm(kept[inside][:, :3] / kept[inside][:, 3:], axis=1).mean())
