"""How PyTorch's threads wait. ``import deocc`` sets it before PyTorch is loaded.

By default, OpenMP's threads spin while they wait for each other. On a busy machine, each spinning thread
occupies a core that another process needs, and the same work takes several times as long. Sleeping costs
little on an idle machine. ``deocc bench --busy`` measures both (`data/results/threads.json`).

The runtimes read these variables once, when they are loaded: libgomp in PyTorch's wheels for Linux
(``OMP_WAIT_POLICY``), LLVM's or Intel's OpenMP elsewhere (``KMP_BLOCKTIME``, in milliseconds; untested here).
So ``import deocc`` stands before ``import torch``.
"""

import os
import sys
from collections.abc import MutableMapping
from math import ceil
from pathlib import Path

WAIT = {"OMP_WAIT_POLICY": "PASSIVE", "KMP_BLOCKTIME": "0"}
OWN_CHOICE = (*WAIT, "GOMP_SPINCOUNT", "KMP_LIBRARY")  # if one is set, the user has decided
QUOTAS = ("/sys/fs/cgroup/cpu.max", "/sys/fs/cgroup/cpu/cpu.cfs_quota_us")  # control groups, version 2 and 1


def settle_threads(environ: MutableMapping[str, str] | None = None, loaded: bool | None = None) -> bool:
    """Makes OpenMP's threads sleep while they wait, and limits their number to the cores available.

    Variables that are already set stay as they are.

    Args:
        environ: the environment to write to; None: this process's, which its children inherit.
        loaded: whether the runtime has already read its variables; None: true if torch is imported.

    Returns:
        Whether the variables were set in time.
    """
    environ = os.environ if environ is None else environ
    if "torch" in sys.modules if loaded is None else loaded:
        return False
    if not any(name in environ for name in OWN_CHOICE):
        environ.update(WAIT)
    allowed = cpu_quota()
    if allowed is not None and allowed < (os.cpu_count() or 1):
        environ.setdefault("OMP_NUM_THREADS", str(allowed))
    return True


def cpu_quota(paths: tuple[str, ...] = QUOTAS) -> int | None:
    """The CPU limit of a container in cores, rounded up; None without a limit.

    OpenMP ignores this limit: in a container that may use 2 of a server's 64 cores, it would start 64
    threads.
    """
    for path in map(Path, paths):
        try:
            words = path.read_text().split()
            period = words[1] if len(words) > 1 else path.with_name("cpu.cfs_period_us").read_text()
            quota = int(words[0]) / int(period)
        except (OSError, ValueError, IndexError, ZeroDivisionError):
            continue  # no such file, or "max": no limit
        if quota > 0:
            return ceil(quota)
    return None
