"""Measures how the masks follow clicks that correct an answer to a box: data/results/clicks.json.

People: the tenth of the train split that is held out for tuning. A simulated user clicks in the middle of the
largest wrong region of the visible mask, looks at the new answer, and clicks again. With --invented the start
is a rough mask, and every click says "no" in the middle of the largest hidden region where nobody is; people
without such a region do not count.

    python tools/click_study.py PEOPLE --half 2
    python tools/click_study.py PEOPLE --half 2 --invented --json data/results/clicks-invented.json
"""

import sys
import tempfile
from pathlib import Path
from typing import Annotated, Any

import deocc  # noqa: F401  # before torch

# isort: split
import cv2
import numpy as np
import torch
import typer
from tqdm import tqdm

from deocc.errors import DeoccError
from deocc.inference.deoccluder import Deoccluder
from deocc.io import write_json
from deocc.metrics import mask_iou
from deocc.occlusion import OcclusionCase
from deocc.paths import RESULTS
from deocc.tables.cases import fixed_cases

CLICKS = 3
DRAWS = 2000  # of the bootstrap over people
LEAST = 0.01  # invented region that is worth a click, in areas of the person


def next_click(found: np.ndarray, true: np.ndarray) -> tuple[int, int, bool]:
    """The pixel farthest from the border of the wrong regions, and whether it is the person."""
    inside = [depth(wrong) for wrong in (true & ~found, found & ~true)]
    is_person = bool(inside[0].max() >= inside[1].max())
    return (*deepest(inside[0 if is_person else 1]), is_person)


def depth(region: np.ndarray) -> np.ndarray:
    """Distance of each pixel of a region (H x W bool) from its border, pixels."""
    return cv2.distanceTransform(np.pad(region, 1).astype(np.uint8), cv2.DIST_L2, 5)[1:-1, 1:-1]


def deepest(distance: np.ndarray) -> tuple[int, int]:
    """Column and row of the largest value."""
    y, x = np.unravel_index(int(distance.argmax()), distance.shape)
    return int(x), int(y)


def follow(deoccluder: Deoccluder, case: OcclusionCase, invented: bool) -> list[dict[str, float]]:
    """IoU of the masks after 0, 1, ... clicks; empty where nothing worth a click was invented."""
    visible, whole = case.modal_mask, case.amodal_mask
    assert visible is not None and whole is not None
    points: list[tuple[int, int, bool]] = []
    rows: list[dict[str, float]] = []
    start = {"mask": case.initial_mask} if invented else {"box": case.box_xyxy, "segmenter": "stage1"}
    for _ in range(CLICKS + 1):
        answer = deoccluder.deocclude(case.image, **start, points=points, paint=False)
        wrong = answer.invisible_mask & ~whole
        if invented and not rows and wrong.sum() < LEAST * whole.sum():
            return []
        rows.append(
            {
                "amodal_iou": float(mask_iou(answer.amodal_mask, whole)),
                "modal_iou": float(mask_iou(answer.modal_mask, visible)),
                "invisible_iou": float(mask_iou(answer.invisible_mask, whole & ~visible)),
            }
        )
        if not invented:
            points.append(next_click(answer.modal_mask, visible))
        elif wrong.any():
            points.append((*deepest(depth(wrong)), False))
    return rows


def summary(rows: list[list[dict[str, float]]]) -> dict[str, Any]:
    """Means by number of clicks; 95 % intervals of the change since the box alone, people resampled."""
    draws = np.random.default_rng(0).integers(0, len(rows), (DRAWS, len(rows)))
    found: dict[str, Any] = {"people": len(rows)}
    for name in rows[0][0]:
        values = np.array([[row[name] for row in person] for person in rows])
        gains = (values - values[:, :1])[draws].mean(1)
        found[name] = {
            "means": values.mean(0).round(4).tolist(),
            "changes": [np.quantile(g, (0.025, 0.975)).round(4).tolist() for g in gains.T[1:]],
            "lower_after_one": int((values[:, 1] < values[:, 0] - 0.01).sum()),
        }
    return found


def main(
    people: Annotated[Path, typer.Argument(help="People folder.")],
    half: Annotated[int, typer.Option(min=1, max=2)] = 2,
    weights: str = "small",
    limit: Annotated[int | None, typer.Option(help="At most this many cases.")] = None,
    invented: Annotated[bool, typer.Option(help="Clicks take invented hidden parts away.")] = False,
    out: Annotated[Path, typer.Option("--json")] = RESULTS / "clicks.json",
) -> None:
    """Scores answers after clicks."""
    torch.set_num_threads(1)
    deoccluder = Deoccluder.from_pretrained(weights)
    command = " ".join(["python tools/click_study.py", people.name, *sys.argv[2:]])
    with tempfile.TemporaryDirectory() as folder:
        cases = fixed_cases(people, Path(folder, "cases"), True, 1)
        chosen = [cases[i] for i in range(half - 1, len(cases), 2)][:limit]
        found = summary([rows for case in tqdm(chosen) if (rows := follow(deoccluder, case, invented))])
    print(found)
    write_json(out, {"command": command, "weights": deoccluder.identity, "clicks": CLICKS, **found})


if __name__ == "__main__":
    try:
        typer.run(main)
    except DeoccError as error:
        sys.exit(f"error: {error}")
