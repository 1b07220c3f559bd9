"""k-means clustering."""

import numpy as np
from scipy.cluster.vq import kmeans2

from deocc.errors import DeoccError


def kmeans(points: np.ndarray, count: int, iterations: int = 30, seed: int = 0) -> np.ndarray:
    """Centres of `count` clusters, from a k-means++ start (`scipy.cluster.vq.kmeans2`).

    Args:
        points: N x D, an array or a tensor on the CPU.
        count: K, at most N.
        iterations: of Lloyd's algorithm.
        seed: of the start.

    Returns:
        K x D float32.

    Raises:
        DeoccError: fewer points than clusters.
    """
    values = np.asarray(points, np.float32)
    if len(values) < count:
        raise DeoccError(
            f"{len(values)} masks for {count} templates or groups; give more people, or ask for fewer"
        )
    rng = np.random.default_rng(seed)
    return kmeans2(values, count, iter=iterations, minit="++", missing="raise", rng=rng)[0]
