"""Measures the memory of a training's data over a people folder of the paper's size, made of links.

Writes data/results/memory-curve.json:

    python tools/memory_curve.py --people 56302 --items 4000 --epochs 3
"""

import argparse
import json
import os
import tempfile
import time
from itertools import islice
from pathlib import Path

import deocc  # noqa: F401  # before torch

# isort: split
import numpy as np
import psutil
from torch.utils.data import DataLoader

from deocc.experiments.people import load_people
from deocc.experiments.presets import get_preset
from deocc.memory import keep_freed_memory
from deocc.occlusion import OcclusionDataset, collate
from deocc.occlusion.dataset import CACHE_BYTES
from deocc.paths import PEOPLE_MINI, RESULTS
from deocc.people.folder import PeopleFolder, write_people_table

BATCH = 16


def linked_folder(path: Path, count: int) -> Path:
    """A people folder of `count` training people, each a link to a bundled one's files."""
    people = PeopleFolder(PEOPLE_MINI, "train")
    rows = []
    for kind in ("images", "masks", "parsing"):
        (path / kind).mkdir(parents=True)
    (path / "occluders").symlink_to((PEOPLE_MINI / "occluders").resolve())
    for number in range(count):
        row = people.rows[number % len(people.rows)]
        name = f"linked_{number:06d}"
        for kind in ("images", "masks", "parsing"):
            for file in (PEOPLE_MINI / kind).glob(f"{row['id']}.*"):
                (path / kind / f"{name}{file.suffix}").symlink_to(file.resolve())
        rows.append({**row, "id": name})
    write_people_table(path, rows)
    return path


class Sampled:
    """Batches of (epoch, index): the same number of people per epoch, others each time."""

    def __init__(self, length: int, items: int, epochs: int) -> None:
        self.length, self.items, self.epochs = length, items, epochs

    def __len__(self) -> int:
        return self.epochs * (self.items // BATCH)

    def __iter__(self):  # type: ignore[no-untyped-def]
        for epoch in range(self.epochs):
            order = iter(np.random.default_rng(epoch).permutation(self.length)[: self.items].tolist())
            while batch := [(epoch, index) for index in islice(order, BATCH)]:
                yield batch


class ByEpoch:
    """A dataset addressed by (epoch, index)."""

    def __init__(self, data: OcclusionDataset) -> None:
        self.data = data

    def __len__(self) -> int:
        return len(self.data)

    def __getitem__(self, key: tuple[int, int]) -> dict:
        return self.data.item(*key)


def megabytes() -> float:
    """Unshared memory (USS) of this process and its workers, in MB."""
    processes = [psutil.Process(), *psutil.Process().children(recursive=True)]
    return sum(process.memory_full_info().uss for process in processes) / 2**20


def curve(data: OcclusionDataset, items: int, epochs: int, workers: int, every: int) -> list[dict]:
    """Items so far, epoch and memory."""
    sampler = Sampled(len(data), items, epochs)
    loader = DataLoader(ByEpoch(data), batch_sampler=sampler, num_workers=workers, collate_fn=collate)  # type: ignore[arg-type]
    points, seen, begun = [{"items": 0, "epoch": 0, "MB": round(megabytes())}], 0, time.time()
    for batch in loader:
        seen += len(batch["image"])
        if seen % every < BATCH:
            point = {"items": seen, "epoch": (seen - 1) // items, "MB": round(megabytes())}
            points.append(point)
            print(point, f"{seen / (time.time() - begun):.0f} items/s", flush=True)
    return points


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--people", type=int, default=56302)
    parser.add_argument("--items", type=int, default=4000, help="of each epoch")
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--cache", type=int, default=CACHE_BYTES, help="bytes")
    parser.add_argument("--every", type=int, default=500)
    parser.add_argument("--unbounded", type=int, default=1000, help="items of the run without a limit")
    parser.add_argument("--out", type=Path, default=RESULTS / "memory-curve.json")
    options = parser.parse_args()
    keep_freed_memory()
    mix = get_preset("paper").mask.mix
    with tempfile.TemporaryDirectory() as name:
        folder = linked_folder(Path(name) / "people", options.people)
        begun = time.process_time()
        people = load_people([folder])
        opened = time.process_time() - begun
        runs = {}
        plans = {
            "bounded": (options.cache, options.items, options.epochs),
            "unbounded": (2**50, options.unbounded, 1),
        }
        for label, (cache, items, epochs) in plans.items():
            data = OcclusionDataset(people.persons, people.occluders, options.size, 0, mix, cache)
            before = time.process_time()
            every = min(options.every, max(BATCH, items // 4))
            runs[label] = curve(data, items, epochs, options.workers, every)
            print(label, f"{time.process_time() - before:.0f} CPU s in this process", flush=True)
    value = {
        "people": options.people, "seconds_to_open": round(opened, 2), "size": options.size,
        "workers": options.workers, "cores": os.cpu_count(), "cache_MB": options.cache / 2**20,
        "items_an_epoch": options.items, "epochs": options.epochs,
        "memory": "USS of the process and its workers", "runs": runs,
    }  # fmt: skip
    options.out.write_text(json.dumps(value, indent=1) + "\n")


if __name__ == "__main__":
    main()
