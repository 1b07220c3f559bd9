"""Effects that change a metric without a better picture: small N, resizing, JPEG, pasted ground truth."""

import io
from collections.abc import Callable, Sequence
from typing import NamedTuple

import cv2
import numpy as np
import torch
from PIL import Image

from deocc import metrics as M
from deocc.errors import DeoccError
from deocc.evaluation.features import frechet_judge
from deocc.masks import person_frame


class FrechetAtN(NamedTuple):
    """Frechet distance of random subsets of one size.

    Attributes:
        n: pictures on each side.
        mean, spread: mean and standard deviation over the draws.
    """

    n: int
    mean: float
    spread: float


def frechet_by_count(
    first: np.ndarray, second: np.ndarray, counts: Sequence[int], draws: int = 5, seed: int = 0
) -> list[FrechetAtN]:
    """Frechet distance of subsets of two feature sets, by their size.

    Args:
        first, second: n_a x D and n_b x D features.
        counts: sizes of the subsets, 2 to the smaller n.
        draws: subsets per size.
        seed: of the draws.

    Raises:
        DeoccError: a count that the features do not have.
    """
    most = min(len(first), len(second))
    if not counts or min(counts) < 2 or max(counts) > most:
        raise DeoccError(f"counts {tuple(counts)} came; give sizes from 2 to {most}, the number of features")
    rng = np.random.default_rng(seed)
    rows = []
    for n in counts:
        pairs = [[rng.permutation(len(f))[:n] for f in (first, second)] for _ in range(draws)]
        values = [M.frechet_of_features(first[a], second[b]).value for a, b in pairs]
        rows.append(FrechetAtN(n, float(np.mean(values)), float(np.std(values))))
    return rows


def person_crops(pictures: Sequence[np.ndarray], masks: Sequence[np.ndarray], size: int = 224) -> np.ndarray:
    """People cut out of their photos by a square of 1.1 x the longer side; N x size x size x 3 uint8."""
    pairs = zip(pictures, masks, strict=True)
    return np.stack([person_frame(mask, 1.1).crop_image(picture, size) for picture, mask in pairs])


def pooled_features(crops: np.ndarray, batch: int = 16) -> tuple[str, np.ndarray]:
    """The features that a Frechet distance compares.

    Args:
        crops: N x S x S x 3 uint8.
        batch: pictures at once.

    Returns:
        "FID" or "FD-Lite0", by the available network, and N x D float64.
    """
    judge = frechet_judge()
    images = torch.from_numpy(crops).permute(0, 3, 1, 2).float() / 255
    with torch.inference_mode():
        parts = [judge(images[i : i + batch]).pooled for i in range(0, len(images), batch)]
    return judge.frechet_name, torch.cat(parts).double().numpy()


def through_size(picture: np.ndarray, side: int, area: bool) -> np.ndarray:
    """A square picture (S x S x 3 uint8) shrunk to `side` and enlarged again.

    Args:
        side: in between.
        area: shrink by averaging over areas; else by plain bilinear sampling, which aliases.
    """
    how = cv2.INTER_AREA if area else cv2.INTER_LINEAR
    small = cv2.resize(picture, (side, side), interpolation=how)
    return cv2.resize(small, picture.shape[1::-1], interpolation=cv2.INTER_LINEAR)


def through_jpeg(picture: np.ndarray, quality: int) -> np.ndarray:
    """A picture (H x W x 3 uint8) after a round trip through JPEG."""
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "JPEG", quality=quality)
    return np.asarray(Image.open(buffer))


TREATMENTS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "untouched": lambda picture: picture,
    "half size and back, averaged": lambda picture: through_size(picture, picture.shape[0] // 2, True),
    "third and back, aliased": lambda picture: through_size(picture, picture.shape[0] // 3, False),
    "JPEG, quality 90": lambda picture: through_jpeg(picture, 90),
    "JPEG, quality 50": lambda picture: through_jpeg(picture, 50),
}
"""Nothing here changes a person."""


def scores_by_region(
    recovered: np.ndarray, target: np.ndarray, invisible: np.ndarray, amodal: np.ndarray
) -> dict[str, tuple[float, float]]:
    """L1 and PSNR of one answer over ever larger regions.

    If ground truth is pasted outside the whole person (or outside the hole), larger regions only add pixels
    without error.

    Args:
        recovered, target: H x W x 3 uint8; equal outside `invisible` where ground truth was pasted.
        invisible, amodal: H x W bool.

    Returns:
        region -> (L1, PSNR in dB).
    """
    regions = {"invisible region": invisible, "whole person": amodal, "whole photo": np.ones_like(amodal)}
    return {
        name: (M.image_l1(recovered, target, region), M.psnr(recovered, target, region))
        for name, region in regions.items()
    }
