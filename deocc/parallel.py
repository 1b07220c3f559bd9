"""Worker processes with a progress bar."""

import multiprocessing
import os
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from typing import TypeVar

import cv2
from tqdm.auto import tqdm

from deocc.errors import DeoccError

Item = TypeVar("Item")
Result = TypeVar("Result")
Begin = Callable[[], object]


def start_worker(begin: Begin | None = None) -> None:
    """Sets up a worker: one thread, and it ends when its parent dies."""
    if begin is not None:
        begin()
    cv2.setNumThreads(1)
    parent = multiprocessing.parent_process()

    def follow() -> None:
        if parent is not None:
            parent.join()
            os._exit(1)

    threading.Thread(target=follow, daemon=True).start()


@contextmanager
def _pool(workers: int, begin: Begin | None) -> Iterator[ProcessPoolExecutor]:
    """Processes that end with the block. Raises: DeoccError: one of them died."""
    # spawn, not fork: the caller may hold threads (PyTorch, notebooks)
    pool = ProcessPoolExecutor(workers, multiprocessing.get_context("spawn"), start_worker, (begin,))
    try:
        yield pool
    except BrokenProcessPool:
        raise DeoccError(
            "a worker died, perhaps because memory ran out; run again with fewer --workers"
        ) from None
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def in_parallel(
    task: Callable[[Item], Result],
    items: Sequence[Item],
    workers: int,
    label: str,
    begin: Begin | None = None,
) -> Iterator[Result]:
    """Yields task(item) in order, computed by `workers` processes, with a progress bar.

    Args:
        task, items, workers: as it says.
        label: of the bar.
        begin: called in each process before its first task.

    Raises:
        DeoccError: a worker died.
    """
    if workers <= 1:
        yield from tqdm(map(task, items), total=len(items), desc=label, unit=" pictures")
        return
    with _pool(workers, begin) as pool:
        yield from tqdm(pool.map(task, items, chunksize=4), total=len(items), desc=label, unit=" pictures")


def as_completed(
    task: Callable[[Item], Result], items: Iterable[Item], workers: int, begin: Begin | None = None
) -> Iterator[Result]:
    """Yields task(item) as each finishes, in any order; only a few run at once, so memory stays flat.

    Args: as `in_parallel`.

    Raises:
        DeoccError: a worker died.
    """
    if workers <= 1:
        yield from map(task, items)
        return
    with _pool(workers, begin) as pool:
        flying: set[Future[Result]] = set()
        for item in items:
            flying.add(pool.submit(task, item))
            if len(flying) >= 4 * workers:
                done, flying = wait(flying, return_when=FIRST_COMPLETED)
                yield from (future.result() for future in done)
        while flying:
            done, flying = wait(flying, return_when=FIRST_COMPLETED)
            yield from (future.result() for future in done)
