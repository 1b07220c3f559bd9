"""File locks, which keep two processes from writing to one folder."""

import glob
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from uuid import uuid4

from filelock import FileLock, Timeout

from deocc.errors import DeoccError

_MARKS: list[FileLock] = []  # of this process, until it ends


@contextmanager
def alone(path: Path, who: str, wait: bool = False) -> Iterator[None]:
    """Holds a lock while the block runs.

    Args:
        path: the lock file; it stays, empty, after the block.
        who: beginning of the error message: what the other process does.
        wait: wait until the other process ends.

    Raises:
        DeoccError: another process holds the lock and `wait` is False, or the file cannot be made.
    """
    lock = FileLock(path, timeout=-1 if wait else 0)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except Timeout:
        raise DeoccError(f"{who}; wait until it is done, or choose another folder") from None
    except OSError as error:
        words = error.strerror or str(error)
        raise DeoccError(f"{path}: cannot be locked ({words}); choose another folder") from None
    try:
        yield
    finally:
        lock.release()


def is_held(lock: Path) -> bool:
    """Whether another process holds a lock; the file stays."""
    try:
        with alone(lock, ""):
            return False
    except DeoccError:
        return True


def mark_worker(lock: Path) -> None:
    """Marks this process, until it ends, as a worker of the process that holds `lock`."""
    mark = FileLock(lock.with_name(f"{lock.stem}.{uuid4().hex}.worker"), timeout=0)
    with suppress(OSError, Timeout):  # a file system without locks
        mark.acquire()
        _MARKS.append(mark)


def wait_for_workers(folder: Path, stem: str = "*", seconds: float = 60) -> bool:
    """Waits for workers whose parent was killed, then removes their mark files.

    Args:
        folder: the folder of the locks.
        stem: name of the parent's lock without its suffix; "*" for all in the folder.
        seconds: longest wait.

    Returns:
        Whether all workers have ended.
    """
    name = stem if stem == "*" else glob.escape(stem)
    end = time.monotonic() + seconds
    for path in folder.glob(f"{name}.*.worker"):
        mark = FileLock(path, timeout=max(0.0, end - time.monotonic()))
        try:
            mark.acquire()
        except (Timeout, OSError):
            return False
        mark.release()
        path.unlink(missing_ok=True)
    return True
