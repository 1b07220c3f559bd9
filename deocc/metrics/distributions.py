"""Distances between network features of pictures, of single pairs and of sets."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from deocc.errors import DeoccError
from deocc.metrics.arrays import same_shape


def perceptual_distance(predicted: Sequence[Tensor], target: Sequence[Tensor], region: Tensor) -> Tensor:
    """Distance of feature maps inside a region, in the manner of LPIPS without its learned weights.

    Each position's features are scaled to unit length; their squared distance is averaged over the positions
    weighted by how much of them the region covers, then over the levels.

    Args:
        predicted, target: feature levels of a network that no painter was trained with, N x C x h x w.
        region: N x 1 x H x W float {0, 1}.

    Returns:
        N distances in [0, 4]; nan where the region is empty.
    """
    distances = []
    for first, second in zip(predicted, target, strict=True):
        weight = F.adaptive_avg_pool2d(region.float(), (first.shape[-2], first.shape[-1]))[:, 0]
        unit_a, unit_b = F.normalize(first.float(), dim=1), F.normalize(second.float(), dim=1)
        squared = (unit_a - unit_b).square().sum(1)  # N x h x w
        distances.append((squared * weight).sum((1, 2)) / weight.sum((1, 2)))  # 0 / 0 = nan: nothing to judge
    return torch.stack(distances).mean(0)


def frechet_distance(
    mean_a: np.ndarray, covariance_a: np.ndarray, mean_b: np.ndarray, covariance_b: np.ndarray
) -> float:
    """Squared Frechet distance of two Gaussians, |m_a - m_b|^2 + tr(A + B - 2 (A^1/2 B A^1/2)^1/2).

    The trace of the root comes from two symmetric eigen-decompositions, so it is real by construction and
    needs no matrix square root from SciPy. For equal covariances it is the squared mean difference.

    Args:
        mean_a, mean_b: D float.
        covariance_a, covariance_b: D x D, symmetric, positive semi-definite.

    Raises:
        DeoccError: the shapes do not fit.
    """
    mean_a, mean_b = (np.atleast_1d(mean).astype(np.float64) for mean in (mean_a, mean_b))
    first, second = (np.atleast_2d(matrix).astype(np.float64) for matrix in (covariance_a, covariance_b))
    same_shape(mean_a, mean_b, "means")
    if first.shape != second.shape or first.shape != (len(mean_a), len(mean_a)):
        raise DeoccError(f"covariances are {first.shape} and {second.shape}; give D x D, D = {len(mean_a)}")
    values, vectors = np.linalg.eigh((first + first.T) / 2)
    root = (vectors * np.sqrt(np.clip(values, 0, None))) @ vectors.T
    product = root @ second @ root
    cross = np.sqrt(np.clip(np.linalg.eigvalsh((product + product.T) / 2), 0, None)).sum()
    difference = mean_a - mean_b
    return float(max(difference @ difference + np.trace(first) + np.trace(second) - 2 * cross, 0.0))


@dataclass(frozen=True)
class FrechetResult:
    """A Frechet distance and the facts needed to judge it. It has no confidence interval.

    Attributes:
        name: "FID" or "FD-Lite0"; values under different names cannot be compared.
        value: the squared distance, >= 0.
        n: pictures on either side. It is biased upwards at small n: compare at equal n.
        features: width of the features.
        rank_deficient: n <= features: the covariances cannot have full rank.
    """

    name: str
    value: float
    n: int
    features: int
    rank_deficient: bool

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def frechet_of_features(first: np.ndarray, second: np.ndarray, name: str = "FD-Lite0") -> FrechetResult:
    """Frechet distance of two sets of features.

    With fewer pictures than features the root's trace is the nuclear norm of the n x n matrix of centred
    products, which is exact and much smaller than D x D.

    Args:
        first, second: n x D each, n >= 2.

    Raises:
        DeoccError: fewer than two pictures on a side, other numbers of them, or different widths.
    """
    first, second = np.asarray(first, np.float64), np.asarray(second, np.float64)
    if first.ndim != 2 or second.ndim != 2 or first.shape[1] != second.shape[1]:
        raise DeoccError(f"features are {first.shape} and {second.shape}; give n x D of one width D")
    if len(first) != len(second):
        raise DeoccError(
            f"{len(first)} and {len(second)} pictures came; a Frechet distance is biased by their number: "
            "give as many on both sides"
        )
    n, width = len(first), first.shape[1]
    if n < 2:
        raise DeoccError(f"{n} pictures came; a Frechet distance needs at least 2 on each side; add cases")
    if n > width:
        value = frechet_distance(first.mean(0), np.cov(first.T), second.mean(0), np.cov(second.T))
    else:
        centred_a = (first - first.mean(0)) / np.sqrt(len(first) - 1)
        centred_b = (second - second.mean(0)) / np.sqrt(len(second) - 1)
        cross = np.linalg.svd(centred_a @ centred_b.T, compute_uv=False).sum()
        difference = first.mean(0) - second.mean(0)
        value = max(difference @ difference + (centred_a**2).sum() + (centred_b**2).sum() - 2 * cross, 0.0)
    return FrechetResult(name, float(value), n, width, bool(n <= width))


def kernel_terms(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """The contribution of each pair of cases to the squared kernel distance of two paired sets of features.

    h_ij = k(a_i, a_j) + k(b_i, b_j) - k(a_i, b_j) - k(a_j, b_i) with k(x, y) = (x y / D + 1)^3, the kernel of
    Binkowski et al. 2018.

    Args:
        first, second: n x D, row i of both from the same case.

    Returns:
        n x n, symmetric. Leave the diagonal (a case against itself) out of any mean: then the estimate is
        unbiased (Gretton et al. 2012, lemma 6), even though row i of both sets shows the same scene.

    Raises:
        DeoccError: the shapes differ or are not n x D.
    """
    first, second = np.asarray(first, np.float64), np.asarray(second, np.float64)
    same_shape(first, second, "features")
    if first.ndim != 2:
        raise DeoccError(f"features are {first.shape}; give n x D")

    def kernel(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return (a @ b.T / a.shape[1] + 1) ** 3

    cross = kernel(first, second)
    return kernel(first, first) + kernel(second, second) - cross - cross.T


def kernel_distance(first: np.ndarray, second: np.ndarray) -> float:
    """Unbiased squared kernel distance (MMD) of two paired sets of features: 0 for equal sets.

    Unlike a Frechet distance, it is unbiased at every n and needs no covariance of full rank. It may be below
    0 if the sets hardly differ. On Inception features of independent sets, it is the KID.
    See `kernel_terms`; `bootstrap_pairs` adds an interval.

    Raises:
        DeoccError: the shapes differ, or fewer than two rows.
    """
    terms = kernel_terms(first, second)
    n = len(terms)
    if n < 2:
        raise DeoccError(f"{n} pictures came; a kernel distance needs at least 2 on each side; add cases")
    return float((terms.sum() - np.trace(terms)) / (n * (n - 1)))
