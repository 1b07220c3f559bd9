"""Conversion of the arrays and tensors that metrics take."""

from typing import Any

import numpy as np
from torch import Tensor

from deocc.errors import DeoccError

ArrayLike = np.ndarray | Tensor


def as_array(values: ArrayLike) -> np.ndarray:
    """The values as a NumPy array, from any device."""
    return values.detach().cpu().numpy() if isinstance(values, Tensor) else np.asarray(values)


def as_bool(mask: ArrayLike) -> np.ndarray:
    """... x H x W bool; a channel axis of one (N x 1 x H x W) is dropped."""
    array = as_array(mask)
    if array.ndim == 4 and array.shape[1] == 1:
        array = array[:, 0]
    return array if array.dtype == bool else array > 0.5


def same_shape(first: np.ndarray, second: np.ndarray, what: str) -> None:
    """Raises DeoccError unless two arrays have the same shape. Args: what: names them in the message."""
    if first.shape != second.shape:
        raise DeoccError(f"{what}: {first.shape} and {second.shape} came; give equal shapes")


def plain(values: np.ndarray) -> Any:
    """A float for one instance, an array for a batch of them."""
    return float(values) if np.ndim(values) == 0 else values
