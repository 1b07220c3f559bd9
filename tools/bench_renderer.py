"""Measures the renderer's throughput: data/results/render_bench.json.

python tools/bench_renderer.py

CPU times are also valid on a busy machine; people per second of wall time are not.
"""

import argparse
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from deocc.io import write_json
from deocc.paths import RESULTS
from deocc.people.synth import render_occluder, render_people, render_person

COLD_START = "import time; t = time.time(); from deocc.people.synth import render_person; render_person(0); "
COLD_START += "print(time.time() - t)"
FIRST_SEED = 950_000  # of the people that are timed


def cold_start(cache: str | None) -> float:
    """Seconds from a fresh interpreter to the first person; `cache`: an empty folder for compiled code."""
    environment = os.environ | ({"NUMBA_CACHE_DIR": cache} if cache else {})
    command = [sys.executable, "-c", COLD_START]
    return float(subprocess.run(command, env=environment, capture_output=True, check=True, text=True).stdout)


def one_process(count: int) -> dict[str, float]:
    """Wall and CPU seconds per picture in this process, after a warm-up."""
    for i in range(60):  # fills the cache of background meshes
        render_person(FIRST_SEED - 1 - i)
    figures = {}
    for name, render in (("person", render_person), ("occluder", render_occluder)):
        wall, cpu = time.perf_counter(), time.process_time()
        for i in range(count):
            render(FIRST_SEED + i)
        figures[f"{name}_wall_s"] = round((time.perf_counter() - wall) / count, 4)
        figures[f"{name}_cpu_s"] = round((time.process_time() - cpu) / count, 4)
    return figures


def to_folder(count: int, workers: int) -> dict[str, float]:
    """Times rendering into a folder, including files and the start of the workers."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        render_people(count, FIRST_SEED, workers, Path(folder))
        wall = time.perf_counter() - start
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {
        "people": count,
        "cpu_s": round(cpu, 1),
        "cpu_s_a_person": round(cpu / count, 4),
        "people_per_second_of_free_cores": round(workers * count / cpu, 1),
        "people_per_second_by_the_clock": round(count / wall, 2),
    }


def main() -> None:
    """Times everything and writes the JSON file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path, default=RESULTS / "render_bench.json")
    parser.add_argument("--count", type=int, default=600)
    parser.add_argument("--workers", type=int, default=2)
    args = parser.parse_args()
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as cache:
        compile_seconds = cold_start(cache)
    result = {
        "command": f"python tools/bench_renderer.py --count {args.count}",
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}",
        "size": 256,
        "first_person_with_compilation_s": round(compile_seconds, 1),
        "first_person_compiled_s": round(cold_start(None), 1),
        "one_process": one_process(min(args.count, 150)),
        "workers": args.workers,
        "other_load_at_the_start": round(load, 1),
        "to_disk_with_the_start_of_the_workers": to_folder(args.count, args.workers),
    }
    write_json(args.json, result)
    print(result)


if __name__ == "__main__":
    main()
