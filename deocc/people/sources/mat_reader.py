"""Reads MATLAB files for a parent process: ``python -m deocc.people.sources.mat_reader BYTES``.

A request is one line of JSON on the standard input, [path, field]. The answer is one line of JSON, followed
by the array's bytes if there is an array. A damaged file can make SciPy crash or use gigabytes of memory.
Here that ends only this process.
"""

import json
import sys
from typing import Any

import numpy as np
from scipy.io import loadmat


def limit_memory(more: int) -> None:
    """Limits how many more bytes this process may use, if the system supports limits."""
    try:
        import resource

        with open("/proc/self/statm") as file:
            now = int(file.read().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (now + more, now + more))
    except (ImportError, OSError, ValueError):
        return


def variable(path: str, field: str) -> Any:
    """A variable of a file; "a.b" is field b of the structure a."""
    first, *rest = field.split(".")
    value = loadmat(path, squeeze_me=True, struct_as_record=False, variable_names=[first])[first]
    for part in rest:
        value = getattr(value, part)
    return value


def answer(path: str, field: str) -> tuple[dict[str, Any], bytes]:
    """The answer to the parent, and the array's bytes."""
    try:
        value = np.asarray(variable(path, field))
        if value.dtype.kind in "uifb":
            data = np.ascontiguousarray(value)
            return {"dtype": data.dtype.str, "shape": data.shape, "bytes": data.nbytes}, data.tobytes()
        return {"words": [str(word)[:100] for word in np.ravel(value)[:10_000]]}, b""
    except Exception as error:  # SciPy raises whatever a damaged file makes it stumble over
        return {"error": type(error).__name__}, b""


def main() -> None:
    """Answers requests until the pipe closes, which also happens when the parent ends."""
    limit_memory(int(sys.argv[1]))
    for line in sys.stdin:
        facts, data = answer(*json.loads(line))
        sys.stdout.buffer.write(json.dumps(facts).encode() + b"\n" + data)
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
