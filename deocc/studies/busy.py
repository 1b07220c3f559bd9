"""``deocc bench --busy``: times a photo and the demo for different thread wait policies.

OpenMP reads the policy when it is loaded, so each policy is measured in separate processes, in turn.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from tqdm.auto import tqdm

from deocc.errors import DeoccError
from deocc.threads import OWN_CHOICE

# Environment of each way. 300,000 turns is libgomp's own default, said so that `deocc.threads` leaves it.
WAYS = {
    "threads spin (libgomp's default)": {"GOMP_SPINCOUNT": "300000"},
    "threads sleep (deocc's default)": {},
    "one thread": {"OMP_NUM_THREADS": "1"},
}
LOADS = {"alone": 0, "beside one busy process": 1}  # processes that burn a core
LIMIT = 300.0  # seconds that one measurement may take; beyond it stands as so much
DEMO = (sys.executable, "-m", "deocc", "demo")
WARM_UP = 3  # photos before the clock runs

PHOTO = """
import json, sys, time
from deocc import Deoccluder
from deocc.occlusion import CaseFolder
from deocc.paths import DATA

count, limit = int(sys.argv[1]), float(sys.argv[2])
case = next(iter(CaseFolder(DATA / "demo-cases")))
deoccluder, seconds, begun = Deoccluder.from_pretrained("small", "cpu"), [], time.perf_counter()
while len(seconds) < count and (len(seconds) < 4 or time.perf_counter() - begun < limit):
    start = time.perf_counter()
    deoccluder.deocclude(case.image, case.modal_mask)
    seconds.append(time.perf_counter() - start)
print(json.dumps(seconds))
"""


def run_busy(count: int = 10, rounds: int = 1, progress: bool = True) -> dict[str, Any]:
    """Times a ``deocclude`` and a whole ``deocc demo`` for each wait policy, alone and beside a busy process.

    Args:
        count: photos per process, after a warm-up.
        rounds: processes per policy; the policies take turns.
        progress: show a progress bar.

    Returns:
        cores; the machine's load average before (it should be near 0); limit_s, at which a demo is stopped
        and recorded; and parts: load -> policy -> photo_s and demo_s, each with median, low, high (the
        extremes) and n.
    """
    before = os.getloadavg()[0] if hasattr(os, "getloadavg") else None
    photo: dict[tuple[str, str], list[float]] = {(load, way): [] for load in LOADS for way in WAYS}
    demo: dict[tuple[str, str], list[float]] = {key: [] for key in photo}
    turns = [(load, way) for load in LOADS for _ in range(rounds) for way in WAYS]
    for load, way in tqdm(turns, "timing", unit="way", disable=not progress):
        with busy_processes(LOADS[load]):
            photo[load, way] += _photo_seconds(WAYS[way], count)
            demo[load, way].append(_demo_seconds(WAYS[way]))
    parts: dict[str, dict[str, Any]] = {load: {} for load in LOADS}
    for load, way in photo:
        parts[load][way] = {"photo_s": _figures(photo[load, way]), "demo_s": _figures(demo[load, way])}
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return {"cpu_cores": cores, "load_before": before, "limit_s": LIMIT, "parts": parts}


@contextmanager
def busy_processes(count: int) -> Iterator[list[subprocess.Popen[bytes]]]:
    """Processes that each keep a core busy while the block runs."""
    burners = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(count)]
    try:
        yield burners
    finally:
        for burner in burners:
            burner.kill()
            burner.wait()


def _environment(way: dict[str, str]) -> dict[str, str]:
    own = (*OWN_CHOICE, "OMP_NUM_THREADS")
    return {name: value for name, value in os.environ.items() if name not in own} | way


def _photo_seconds(way: dict[str, str], count: int) -> list[float]:
    words = [sys.executable, "-c", PHOTO, str(count + WARM_UP), str(LIMIT)]
    ran = subprocess.run(words, env=_environment(way), capture_output=True, text=True)
    if ran.returncode:
        raise DeoccError(f"bench: the timed process failed: {ran.stderr.strip().splitlines()[-1:]}")
    return json.loads(ran.stdout)[WARM_UP:]


def _demo_seconds(way: dict[str, str]) -> float:
    """Seconds of one `deocc demo` from start to end; at most LIMIT."""
    with tempfile.TemporaryDirectory() as folder:
        begun = time.perf_counter()
        try:
            words = [*DEMO, "--device", "cpu", "--out", folder]
            ran = subprocess.run(words, env=_environment(way), capture_output=True, text=True, timeout=LIMIT)
        except subprocess.TimeoutExpired:
            return LIMIT
        if ran.returncode:
            raise DeoccError(f"bench: the demo failed: {ran.stderr.strip()}")
        return time.perf_counter() - begun


def _figures(seconds: list[float]) -> dict[str, float]:
    low, median, high = (round(float(v), 3) for v in np.percentile(seconds, (0, 50, 100)))
    return {"median": median, "low": low, "high": high, "n": len(seconds)}


def format_busy(result: dict[str, Any]) -> str:
    """The figures as a table in text."""
    load = result["load_before"]
    lines = [
        f"{result['cpu_cores']} cores, load average before: {'unknown' if load is None else f'{load:.2f}'}",
        f"{'':<58}{'a photo, s':>12}{'low-high':>16}{'N':>4}{'demo, s':>9}{'N':>4}",
    ]
    for load, ways in result["parts"].items():
        for way, part in ways.items():
            photo, demo = part["photo_s"], part["demo_s"]
            spread = f"{photo['low']:.2f}-{photo['high']:.2f}"
            figures = f"{photo['median']:>12.2f}{spread:>16}{photo['n']:>4}"
            lines.append(f"{load + ', ' + way:<58}{figures}{demo['median']:>9.1f}{demo['n']:>4}")
    return "\n".join(lines)
