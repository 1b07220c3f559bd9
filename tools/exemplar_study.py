"""Measures the gain from copied texture on tuning people: network alone, pieces of detail, patches.

Usage: python tools/exemplar_study.py PEOPLE --cases DIR --out exemplar-tuning.json

There is one case per tuning person, in three settings: true masks and body parts; true masks with stage 1's
body parts; end to end from the true visible mask. Cases are made once and stored. CPU seconds are of the
copying alone on one thread, on the original pictures and on enlarged ones with people 500 pixels high.
"""

import argparse
import os

os.environ.setdefault("NUMBA_NUM_THREADS", "1")

import time
from collections.abc import Callable
from copy import copy
from functools import wraps
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch

from deocc.evaluation.report import format_table
from deocc.evaluation.systems import COLUMNS, evaluate_systems, recovery_system
from deocc.inference.deoccluder import Deoccluder
from deocc.inference.exemplar import copy_texture
from deocc.io import write_json
from deocc.masks import mask_box
from deocc.occlusion import CaseFolder
from deocc.tables.cases import fixed_cases

WAYS: dict[str, dict[str, Any]] = {
    "network alone": {"texture": 0.0, "exemplar": False},
    "texture, pieces at gain 0.5": {"texture": 0.5, "exemplar": False},
    "exemplar, patches": {"texture": 0.0, "exemplar": True},
}
TALL = 500  # pixels, height of the enlarged people


def once(function: Callable[..., Any]) -> Callable[..., Any]:
    """Caches the last answer, so that networks run once for several ways of adding detail."""
    kept: dict[str, Any] = {}

    @wraps(function)
    def call(first: Any, *rest: Any, **options: Any) -> Any:
        pixels = first["image"] if isinstance(first, dict) else first
        if not kept or not torch.equal(kept["pixels"], pixels):
            kept.update(pixels=pixels, answer=function(first, *rest, **options))
        return kept["answer"]

    return call


def variants(system: Any, *methods: str) -> dict[str, Any]:
    """The same networks with each way of adding detail; their methods are shared."""
    shared = {name: once(getattr(system, name)) for name in methods}
    out = {}
    for name, settings in WAYS.items():
        out[name] = copy(system)
        for key, value in {**settings, **shared}.items():
            object.__setattr__(out[name], key, value)
    return out


def seconds(cases: CaseFolder, deoccluder: Deoccluder, count: int) -> dict[str, Any]:
    """Times the copying on original and on enlarged photos."""
    times: dict[str, list[float]] = {"as they are": [], f"enlarged to {TALL} pixels": []}
    for index in range(min(count + 1, len(cases))):
        case = cases[index]
        answer = deoccluder.deocclude(case.image, mask=case.modal_mask)
        arrays = case.image, answer.recovered, answer.modal_mask, answer.amodal_mask, answer.parsing
        _, top, _, bottom = mask_box(answer.amodal_mask)
        for name, scale in zip(times, (1.0, TALL / (bottom - top)), strict=True):
            big = [_enlarged(array, scale) for array in arrays]
            start = time.thread_time()
            copy_texture(*big)
            times[name].append(time.thread_time() - start)
    return {
        name: {"median": round(float(np.median(v[1:])), 3), "longest": round(max(v[1:]), 3), "n": len(v) - 1}
        for name, v in times.items()
    }


def _enlarged(array: np.ndarray, scale: float) -> np.ndarray:
    how = cv2.INTER_CUBIC if array.ndim == 3 else cv2.INTER_NEAREST
    found = cv2.resize(array.astype(np.uint8), None, fx=scale, fy=scale, interpolation=how)
    return found.astype(array.dtype)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("people", type=Path)
    parser.add_argument("--cases", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--limit", type=int, default=None, help="people at most")
    args = parser.parse_args()
    torch.set_num_threads(1)
    cases = fixed_cases(args.people, args.cases, tuning=True, per_person=1, limit=args.limit)
    deoccluder = Deoccluder.from_pretrained("small", "cpu", texture=0.0, exemplar=False)
    ways: dict[str, dict[str, Any]] = {
        "true masks, true parts": variants(recovery_system(deoccluder), "predict"),
        "true masks, parts as stage 1 sees them": variants(recovery_system(deoccluder, "seen"), "predict"),
        "end to end from the true visible mask": variants(deoccluder, "stage1", "stage2"),
    }
    value: dict[str, Any] = {
        "command": f"python tools/exemplar_study.py {args.people.name} --cases DIR --out {args.out.name}"
        + (f" --limit {args.limit}" if args.limit else ""),
        "weights": deoccluder.identity, "seconds": seconds(cases, deoccluder, 12), "results": {},
    }  # fmt: skip
    for way, systems in ways.items():
        found = evaluate_systems(systems, cases, "pixels", "modal", deoccluder.size, progress=True)
        for result in found["systems"].values():
            for key in ("per_case", "definitions", "by_ratio", "parsing"):
                del result[key]
        value["results"][way] = found
        write_json(args.out, value)
        table = format_table(found["systems"], COLUMNS["pixels"])
        print(f"{way}: {found['cases']} cases\n{table}\n", flush=True)


if __name__ == "__main__":
    main()
