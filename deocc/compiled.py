"""Compiles functions with Numba, cached on disk if possible."""

import logging
from collections.abc import Callable
from typing import Any

from numba import njit

_log = logging.getLogger("deocc")


def compiled(**options: Any) -> Callable[[Callable[..., Any]], Any]:
    """Compiles a function on its first call; the next process loads the compiled version.

    If no folder is writable (a read-only installation and no home), each process compiles again, which takes
    some seconds per function; ``-v`` shows a message. ``NUMBA_CACHE_DIR`` can name a writable folder.

    Args:
        options: of `numba.njit`.
    """

    def decorate(function: Callable[..., Any]) -> Any:
        try:
            return njit(cache=True, **options)(function)
        except RuntimeError as error:  # "cannot cache function ...: no locator available for file ..."
            _log.info("%s is compiled anew in each process (%s)", function.__name__, error)
            return njit(**options)(function)

    return decorate
