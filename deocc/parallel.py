"""One process a core behind a progress bar."""

import multiprocessing
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from typing import TypeVar

from tqdm import tqdm

Item = TypeVar("Item")
Result = TypeVar("Result")


def in_parallel(
    task: Callable[[Item], Result], items: Sequence[Item], workers: int, label: str
) -> Iterator[Result]:
    """Yields task(item) in order, computed by `workers` processes, behind a progress bar."""
    if workers <= 1:
        yield from tqdm(map(task, items), total=len(items), desc=label, unit=" pictures")
        return
    # spawn, not fork: the caller may hold threads (PyTorch, notebooks)
    with ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn")) as pool:
        yield from tqdm(pool.map(task, items, chunksize=4), total=len(items), desc=label, unit=" pictures")
