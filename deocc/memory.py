"""Settings of glibc's allocator for long work on a CPU."""

import ctypes

MALLOPT = {-4: 0, -1: 2**31 - 1, -2: 2**26}  # M_MMAP_MAX, M_TRIM_THRESHOLD, M_TOP_PAD of glibc's malloc.h


def keep_freed_memory() -> None:
    """Makes glibc keep freed memory, instead of returning it to the kernel and requesting it again each step.

    For long work on a CPU. When stage 1 was trained (preset small, two rows of table 4), the kernel took 13 %
    of the processor time, and under 1 % with these settings. The process does not shrink until it ends. With
    another C library, this does nothing.
    """
    try:
        libc = ctypes.CDLL("libc.so.6")
        for option, value in MALLOPT.items():
            libc.mallopt(option, value)
    except (OSError, AttributeError):
        return
