"""Measures answers to a box with and without a step: data/results/box-colours.json, box-networks.json.

The steps are the decision by colour (`deocc.inference.doubt`) and the first guesses of the bundled networks
(`deocc.segmenters.person_guesses`). People: the tenth of the train split that is held out for tuning;
choices were made on `--half 1` of them. Occluders are placed anywhere, and as in photos.

    python tools/box_study.py PEOPLE --half 2
    python tools/box_study.py PEOPLE --half 2 --step networks
"""

import sys
import tempfile
from pathlib import Path
from typing import Annotated, Any, Literal
from unittest import mock

import deocc  # noqa: F401  # before torch

# isort: split
import numpy as np
import torch
import typer
from tqdm import tqdm

from deocc.errors import DeoccError
from deocc.inference import borders
from deocc.inference.deoccluder import Deoccluder
from deocc.io import write_json
from deocc.metrics import mask_iou
from deocc.occlusion import OcclusionCase
from deocc.paths import RESULTS
from deocc.tables.cases import fixed_cases

DRAWS = 2000  # of the bootstrap over people
MUCH = 0.15  # share of the visible person from which painting over it spoils the picture


def score(deoccluder: Deoccluder, case: OcclusionCase) -> dict[str, float]:
    """IoU of the three masks, and the share of the visible person that would be painted over."""
    answer = deoccluder.deocclude(case.image, box=case.box_xyxy, segmenter="stage1", paint=False)
    visible, whole = case.modal_mask, case.amodal_mask
    assert visible is not None and whole is not None
    return {
        "amodal_iou": float(mask_iou(answer.amodal_mask, whole)),
        "modal_iou": float(mask_iou(answer.modal_mask, visible)),
        "invisible_iou": float(mask_iou(answer.invisible_mask, whole & ~visible)),
        "painted_over": float((answer.invisible_mask & visible).sum() / max(int(visible.sum()), 1)),
    }


def without_colours(deoccluder: Deoccluder, case: OcclusionCase) -> dict[str, float]:
    """The same without the decision by colour, and with borders as of masks from elsewhere."""
    finish = borders.finish_masks
    with mock.patch("deocc.inference.photo.finish_masks", lambda *args, **named: finish(*args[:5], **named)):
        return score(deoccluder, case)


def without_networks(deoccluder: Deoccluder, case: OcclusionCase) -> dict[str, float]:
    """The same from the box, its ellipse, and GrabCut's mask alone."""
    with mock.patch("deocc.inference.prompts.person_guesses", lambda image, box: []):
        return score(deoccluder, case)


STEPS = {"colours": without_colours, "networks": without_networks}


def compared(rows: list[tuple[dict[str, float], dict[str, float]]]) -> dict[str, Any]:
    """Means without and with, and the 95 % interval of the paired difference, people resampled."""
    draws = np.random.default_rng(0).integers(0, len(rows), (DRAWS, len(rows)))
    found: dict[str, Any] = {"people": len(rows)}
    for name in rows[0][0]:
        before, after = (np.array([pair[k][name] for pair in rows]) for k in (0, 1))
        low, high = np.quantile((after - before)[draws].mean(1), (0.025, 0.975))
        found[name] = {
            "without": round(float(before.mean()), 4), "with": round(float(after.mean()), 4),
            "difference": [round(float(low), 4), round(float(high), 4)],
        }  # fmt: skip
    found["much_painted_over"] = [sum(pair[k]["painted_over"] > MUCH for pair in rows) for k in (0, 1)]
    return found


def main(
    people: Annotated[Path, typer.Argument(help="People folder.")],
    half: Annotated[int, typer.Option(min=1, max=2)] = 2,
    step: Literal["colours", "networks"] = "colours",
    out: Annotated[Path | None, typer.Option("--json")] = None,
) -> None:
    """Scores both ways."""
    torch.set_num_threads(1)
    deoccluder = Deoccluder.from_pretrained("small")
    command = f"python tools/box_study.py {people.name} --half {half} --step {step}"
    value: dict[str, Any] = {"command": command, "weights": deoccluder.identity, "placements": {}}
    with tempfile.TemporaryDirectory() as folder:
        for placement in ("anywhere", "natural"):
            cases = fixed_cases(people, Path(folder, placement), True, 1, placement=placement)
            chosen = [cases[i] for i in range(half - 1, len(cases), 2)]
            rows = [(STEPS[step](deoccluder, c), score(deoccluder, c)) for c in tqdm(chosen, placement)]
            value["placements"][placement] = compared(rows)
            print(placement, value["placements"][placement])
    write_json(out or RESULTS / f"box-{step}.json", value)


if __name__ == "__main__":
    try:
        typer.run(main)
    except DeoccError as error:
        sys.exit(f"error: {error}")
