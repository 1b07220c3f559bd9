"""The memory allocator, where its habits cost time."""

import ctypes

MALLOPT = {-4: 0, -1: 2**31 - 1, -2: 2**26}  # M_MMAP_MAX, M_TRIM_THRESHOLD, M_TOP_PAD of glibc's malloc.h


def keep_freed_memory() -> None:
    """Has glibc keep the memory that tensors free: else each step returns it to the kernel and asks again.

    For long work on a CPU: 15 % of the time of a training step of stage 1 (preset small) went into page
    faults, 1 % with this. The process does not shrink until it ends. Does nothing where the C library is
    another.
    """
    try:
        libc = ctypes.CDLL("libc.so.6")
        for option, value in MALLOPT.items():
            libc.mallopt(option, value)
    except (OSError, AttributeError):
        return
