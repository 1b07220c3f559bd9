"""The memory allocator, where its habits cost time."""

import ctypes

MALLOPT = {-4: 0, -1: 2**31 - 1, -2: 2**26}  # M_MMAP_MAX, M_TRIM_THRESHOLD, M_TOP_PAD of glibc's malloc.h


def keep_freed_memory() -> None:
    """Has glibc keep the memory that tensors free: else each step returns it to the kernel and asks again.

    For long work on a CPU: 13 % of the processor time of training stage 1 (preset small, two rows of table 4)
    was the kernel's, under 1 % with these settings. The process does not shrink until it ends. Does nothing
    where the C library is another.
    """
    try:
        libc = ctypes.CDLL("libc.so.6")
        for option, value in MALLOPT.items():
            libc.mallopt(option, value)
    except (OSError, AttributeError):
        return
