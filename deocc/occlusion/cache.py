"""A cache with a limit in bytes, for the people and occluders of a training set."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np
from torch.utils.data import get_worker_info


def array_bytes(value: Any) -> int:
    """Bytes of the arrays that a dataclass holds."""
    if not is_dataclass(value) or isinstance(value, type):
        return 0
    parts = (getattr(value, field.name) for field in fields(value))
    return sum(part.nbytes for part in parts if isinstance(part, np.ndarray))


class BoundedCache:
    """Keeps the first values until its bytes are used up; later values are made anew each time.

    Nothing is evicted. Each epoch visits every item once, so the least recently used item is needed next, and
    evicting it would lose every hit. Worker processes share the limit in equal parts.

    Args:
        limit: bytes of arrays in all, at least 0.
    """

    def __init__(self, limit: int) -> None:
        self.limit, self.held = limit, 0
        self.values: dict[Hashable, Any] = {}

    def __len__(self) -> int:
        return len(self.values)

    def __getstate__(self) -> dict[str, Any]:
        """The state without the values: a worker that is not forked starts with an empty cache."""
        return {"limit": self.limit, "held": 0, "values": {}}

    @property
    def room(self) -> int:
        """Bytes that this process may keep."""
        worker = get_worker_info()
        return self.limit if worker is None else self.limit // worker.num_workers

    def get(self, key: Hashable, make: Callable[[], Any]) -> Any:
        """The value of a key; it is made if it is not in the cache."""
        if key in self.values:
            return self.values[key]
        value = make()
        size = array_bytes(value)
        if self.held + size <= self.room:
            self.values[key] = value
            self.held += size
        return value
