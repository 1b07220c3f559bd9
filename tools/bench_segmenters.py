"""Scores the available segmenters on people in boxes: data/results/segmenters.json.

python tools/bench_segmenters.py [--people PEOPLE ...] [--json FILE]

There are whole people, as in box-only datasets, and people behind occluders, as in `deocclude --box`. The box
is that of the visible mask. CPU time is of one thread.
"""

import argparse
import time
from pathlib import Path
from typing import Any

import deocc  # noqa: F401  # before torch

# isort: split
import cv2
import numpy as np
import torch

from deocc.io import write_json
from deocc.metrics import mask_iou
from deocc.occlusion import OcclusionCase, make_cases, unoccluded_case
from deocc.paths import PEOPLE_MINI, RESULTS
from deocc.people import PeopleFolder
from deocc.segmenters import available, segment


def score(method: str, cases: list[OcclusionCase]) -> dict[str, float]:
    """IoU with the visible mask (mean and 10th percentile), number of people not found, CPU time."""
    ious, nobody, start = [], 0, time.process_time()
    for case in cases:
        mask, name = segment(case.image, case.box_xyxy, method)
        assert case.modal_mask is not None
        ious.append(float(mask_iou(mask, case.modal_mask)))
        nobody += name == "box" != method
    spent = 1000 * (time.process_time() - start) / len(cases)
    return {"iou_mean": round(float(np.mean(ious)), 3), "iou_p10": round(float(np.quantile(ious, 0.1)), 3),
            "nobody_found": nobody, "cpu_ms": round(spent)}  # fmt: skip


def score_folder(path: Path) -> dict[str, Any]:
    """Scores every available segmenter, and the box itself, on the validation people of a folder."""
    folder = PeopleFolder(path, "val")
    people = list(folder)
    whole = [unoccluded_case(person) for person in people]
    hidden = list(make_cases(people, list(folder.occluders("val")), per_person=1, density="val", seed=0))
    methods = [name for name, lack in available().items() if not lack] + ["box"]
    return {
        "people": len(people),
        "whole": {method: score(method, whole) for method in methods},
        "occluded": {method: score(method, hidden) for method in methods},
    }


def main() -> None:
    """Scores every folder and writes the JSON file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--people", type=Path, nargs="+", default=[PEOPLE_MINI])
    parser.add_argument("--json", type=Path, default=RESULTS / "segmenters.json")
    args = parser.parse_args()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    result = {
        "command": f"python tools/bench_segmenters.py --people {' '.join(path.name for path in args.people)}",
        "occluded": "one val occluder a person, ratios 0.08-0.65, uniform, seed 0",
        "folders": {path.name: score_folder(path) for path in args.people},
        "not_here": [name for name, lack in available().items() if lack],
    }
    write_json(args.json, result)
    print(result)


if __name__ == "__main__":
    main()
