"""Reads untrusted MATLAB files in a separate process with limits of memory and time."""

import atexit
import json
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np

from deocc.people.sources.problems import Unusable

MEMORY = 512 << 20  # bytes that reading one file may take
SECONDS = 20.0  # that it may take, once the reader is up
START_SECONDS = 120.0  # that a busy machine may take to start the reader


class _Reader:
    """The reader process; a new one is started if it died."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._lock = threading.Lock()

    def _start(self) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "deocc.people.sources.mat_reader", str(MEMORY)]
        place = Path(__file__).resolve().parents[3]  # where this very package lies
        paths = os.pathsep.join(filter(None, (str(place), os.environ.get("PYTHONPATH"))))
        threads = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "PYTHONPATH": paths}
        pipe = subprocess.PIPE
        return subprocess.Popen(
            command, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL, env={**os.environ, **threads}
        )

    def stop(self) -> None:
        """Ends the reader process."""
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None

    def ask(self, path: Path, field: str) -> tuple[dict[str, Any], bytes]:
        """Its answer, and the array's bytes. Raises: EOFError: it died or was too slow."""
        with self._lock:
            limit = SECONDS
            if self._process is None or self._process.poll() is not None:
                self._process, limit = self._start(), SECONDS + START_SECONDS
            process = self._process
            assert process.stdin is not None and process.stdout is not None
            watch = threading.Timer(limit, process.kill)
            watch.start()
            try:
                process.stdin.write(json.dumps([str(path), field]).encode() + b"\n")
                process.stdin.flush()
                facts = json.loads(process.stdout.readline() or "null")
                data = process.stdout.read(facts.get("bytes", 0)) if facts else b""
            except (OSError, ValueError):
                facts, data = None, b""
            finally:
                watch.cancel()
            if not facts or len(data) != facts.get("bytes", 0):
                self.stop()
                raise EOFError
            return facts, data


_READER = _Reader()
atexit.register(_READER.stop)


def read_variable(path: Path, field: str) -> Any:
    """A variable of a MATLAB file; "a.b" is field b of the structure a.

    Returns:
        An array of numbers, or a list of strings.

    Raises:
        Unusable: no such file or variable, a damaged file, or one that needs too much memory or time for a
            label map.
    """
    if not path.is_file():
        raise Unusable("annotation missing", f"{path.name} is not there")
    try:
        facts, data = _READER.ask(path, field)
    except EOFError:
        words = f"{path.name} makes the reader crash, or wants too much memory or time"
        raise Unusable("annotation damaged", words) from None
    if "error" in facts:
        raise Unusable("annotation damaged", f"{path.name} has no readable {field} ({facts['error']})")
    if "words" in facts:
        return facts["words"]
    return np.frombuffer(data, np.dtype(facts["dtype"])).reshape(facts["shape"])
