"""The part of an evaluation that a stored result keeps."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

EVALUATION = {"masks": 1, "pixels": 2}
"""Counts columns that were added. A result of an earlier count stays valid for the columns it has; the others
show as not measured, until it is made again (`complete`). A metric whose name stays and whose meaning changes
is a new protocol."""

PER_CASE = (
    "amodal_iou", "modal_iou", "invisible_iou", "recovered_psnr", "recovered_l1", "recovered_perceptual",
    "recovered_detail", "recovered_colour",
)  # fmt: skip


def compact(result: dict[str, Any]) -> dict[str, Any]:
    """The scores that tables need: figures, ratio bins, and a few numbers per case, without names."""
    cases = result["per_case"]
    people = {name: number for number, name in enumerate(dict.fromkeys(c["person_id"] for c in cases))}
    columns = {
        key: [round(case[key], 4) if key in case else None for case in cases]
        for key in PER_CASE
        if any(key in case for case in cases)
    }
    names = ("cases", "people", "confidence", "metrics", "frechet", "by_ratio")
    kept = {name: result[name] for name in names}
    return kept | {"per_case": {"person": [people[c["person_id"]] for c in cases], **columns}}


def machine(device: str, threads: int | None = None) -> dict[str, Any]:
    """Facts about the machine that made a result."""
    name = torch.cuda.get_device_name() if device.startswith("cuda") else "CPU"
    facts = {"device": name, "torch": torch.__version__, "python": sys.version.split()[0]}
    return facts | ({"threads": threads} if threads and name == "CPU" else {})


@contextlib.contextmanager
def claimed(folder: Path) -> Iterator[bool]:
    """Locks a run's folder while the block runs; yields False if another process holds the lock."""
    try:
        import fcntl
    except ImportError:  # not on Windows: there, processes must be given different rows
        yield True
        return
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            yield False
            return
        yield True
