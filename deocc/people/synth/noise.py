"""Periodic value noise, the source of every irregularity in the renders."""

from functools import lru_cache

import numpy as np
from scipy.ndimage import gaussian_filter

from deocc.compiled import compiled

CELLS = 64  # a power of two: the kernels wrap with a bit mask


@lru_cache(maxsize=1)
def noise_volume() -> np.ndarray:
    """The fixed 64^3 float32 volume of unit variance that `noise` interpolates; it tiles."""
    volume = np.random.default_rng(7).standard_normal((CELLS, CELLS, CELLS))
    volume = gaussian_filter(volume, 1.1, mode="wrap")
    return np.ascontiguousarray(volume / volume.std(), np.float32)


@compiled(fastmath=True)
def noise(volume: np.ndarray, x: float, y: float, z: float) -> float:
    """Smoothly interpolated noise of about unit variance at one point, in cells."""
    fx, fy, fz = np.floor(x), np.floor(y), np.floor(z)
    u, v, w = x - fx, y - fy, z - fz
    a, b, c = int(fx) & 63, int(fy) & 63, int(fz) & 63
    a1, b1, c1 = (a + 1) & 63, (b + 1) & 63, (c + 1) & 63
    u, v, w = u * u * (3 - 2 * u), v * v * (3 - 2 * v), w * w * (3 - 2 * w)
    near = (1 - v) * ((1 - u) * volume[a, b, c] + u * volume[a1, b, c])
    near += v * ((1 - u) * volume[a, b1, c] + u * volume[a1, b1, c])
    far = (1 - v) * ((1 - u) * volume[a, b, c1] + u * volume[a1, b, c1])
    far += v * ((1 - u) * volume[a, b1, c1] + u * volume[a1, b1, c1])
    return (1 - w) * near + w * far


@compiled(fastmath=True)
def fractal(volume: np.ndarray, x: float, y: float, z: float, octaves: float) -> float:
    """Sum of noise at doubling frequencies and halving amplitudes.

    `octaves` is a float: Numba would compile and unroll one version a literal integer, for most of a minute.
    """
    total, amplitude = 0.0, 1.0
    for _ in range(int(octaves)):
        total += amplitude * noise(volume, x, y, z)
        x, y, z = 2 * x + 17.3, 2 * y + 17.3, 2 * z + 17.3
        amplitude *= 0.5
    return total


@compiled(fastmath=True)
def _noise_at(volume: np.ndarray, points: np.ndarray) -> np.ndarray:
    out = np.empty(points.shape[0])
    for i in range(points.shape[0]):
        out[i] = noise(volume, points[i, 0], points[i, 1], points[i, 2])
    return out


def noise_at(
    points: np.ndarray, frequency: float | tuple[float, float, float] = 1.0, offset: float = 0.0
) -> np.ndarray:
    """Noise at N x 3 points; N float64."""
    return _noise_at(noise_volume(), np.ascontiguousarray(points * np.asarray(frequency, float) + offset))


@compiled(fastmath=True)
def smoothstep(low: float, high: float, x: float) -> float:
    """0 below `low`, 1 above `high`, a smooth ramp between."""
    t = min(max((x - low) / (high - low), 0.0), 1.0)
    return t * t * (3 - 2 * t)


def smoothsteps(low: float, high: float, x: np.ndarray) -> np.ndarray:
    """`smoothstep` of an array; `low` above `high` gives a falling ramp."""
    t = np.clip((x - low) / (high - low), 0, 1)
    return t * t * (3 - 2 * t)
