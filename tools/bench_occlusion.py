"""Measures the speed of making training cases: data/results/occlusion_bench.json.

python tools/bench_occlusion.py

CPU time is of one process and is also valid on a busy machine; the wall time of the workers is not.
"""

import argparse
import os
import platform
import resource
import time
from pathlib import Path

import deocc  # noqa: F401  # before torch

# isort: split
import cv2
import torch
from torch.utils.data import DataLoader, Subset

from deocc.io import write_json
from deocc.occlusion import OcclusionDataset, collate
from deocc.occlusion.mix import MIXES, named_mix
from deocc.paths import PEOPLE_MINI, RESULTS
from deocc.people import PeopleFolder


def bundled(size: int, mix: str) -> OcclusionDataset:
    """The online training set of the bundled people."""
    folder = PeopleFolder(PEOPLE_MINI, "train")
    return OcclusionDataset(folder, folder.occluders("train"), size, seed=3, mix=named_mix(mix))


def cpu_ms(data: OcclusionDataset, count: int) -> float:
    """CPU milliseconds per case in this process, with people and occluders in memory."""
    start = time.process_time()
    for i in range(count):
        data.item(1 + i // len(data), i % len(data))
    return 1000 * (time.process_time() - start) / count


def loader_run(data: OcclusionDataset, count: int, workers: int) -> tuple[float, float]:
    """Wall and CPU seconds of a loader with workers, their start and end included."""
    subset = Subset(data, [i % len(data) for i in range(count)])
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    for _ in DataLoader(subset, 16, num_workers=workers, collate_fn=collate):
        pass
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return time.perf_counter() - start, cpu


def figures(mix: str, size: int, count: int, workers: int) -> dict[str, float]:
    """Times of one mix."""
    data = bundled(size, mix)
    cpu_ms(data, len(data))  # reads people and occluders
    each = min(cpu_ms(data, count) for _ in range(3))
    short, long = (loader_run(data, n, workers) for n in (count // 4, count))
    wall, cpu = (b - a for a, b in zip(short, long, strict=True))  # without start and end
    more = count - count // 4
    return {
        "cpu_ms_a_case": round(each, 2),
        "cases_per_cpu_second": round(1000 / each),
        "cpu_ms_a_case_in_the_loader": round(1000 * cpu / more, 2),
        "cases_per_second_of_free_cores": round(workers * more / cpu),
        "cases_per_second_by_the_clock": round(more / wall),
    }


def main() -> None:
    """Times everything and writes the JSON file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path, default=RESULTS / "occlusion_bench.json")
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--count", type=int, default=2000)
    parser.add_argument("--workers", type=int, default=2)
    args = parser.parse_args()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    result = {
        "command": f"python tools/bench_occlusion.py --count {args.count}",
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}",
        "size": args.size,
        "cases": args.count,
        "workers": args.workers,
        "other_load_at_the_start": round(os.getloadavg()[0], 1),
        "mixes": {mix: figures(mix, args.size, args.count, args.workers) for mix in MIXES},
    }
    write_json(args.json, result)
    print(result)


if __name__ == "__main__":
    main()
