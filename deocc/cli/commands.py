"""``deocc demo``: completes the bundled cases, with pictures and metrics."""

from pathlib import Path
from typing import Any

import numpy as np

from deocc.evaluation.folders import evaluate_folders
from deocc.figures.cases import render_case
from deocc.inference.deoccluder import Deoccluder
from deocc.inference.predictions import case_view, predict_cases
from deocc.io import (
    PathLike,
    require_writable,
    whole_folder,
    write_image,
    write_json,
)
from deocc.occlusion import CaseFolder
from deocc.occlusion.batch import Prompt, prompt_mask
from deocc.paths import DATA

DEMO_CASES = DATA / "demo-cases"

DEMO_PROMPTS: dict[Prompt, str] = {"modal": "the true visible mask", "initial": "a rough mask"}

HEADLINE = ("invisible_iou", "amodal_iou", "modal_iou", "recovered_psnr")


def run_demo(
    deoccluder: Deoccluder, out: PathLike, cases: PathLike | None = None, seed: int = 0, progress: bool = True
) -> dict[str, Any]:
    """De-occludes a case folder twice: from the true visible masks and from rough ones.

    Writes ``predictions-modal/``, ``predictions-initial/``, ``cases-modal/<id>.png`` and
    ``cases-initial/<id>.png`` (one strip per case: input, answer, truth), ``overview.png`` (all strips of the
    rough masks) and ``metrics.json``.

    Args:
        deoccluder: both stages.
        out: the folder; an earlier demo there is replaced.
        cases: the case folder; its cases need ground truth and an initial mask; None: the bundled one.
        seed: of the confidence intervals.
        progress: show progress bars.

    Returns:
        The content of metrics.json.

    Raises:
        DeoccError: the case folder is missing or damaged, or `out` cannot be written.
    """
    out, folder = require_writable(out), CaseFolder(cases or DEMO_CASES)
    for case in folder:  # check all input before writing anything
        for prompt in DEMO_PROMPTS:
            prompt_mask(case, prompt)
    full = {}
    for prompt, words in DEMO_PROMPTS.items():
        predictions = out / f"predictions-{prompt}"
        predict_cases(deoccluder, folder, predictions, prompt, overwrite=True, progress=progress)
        full[words] = evaluate_folders(folder, predictions, seed, deoccluder.device, progress=progress)
        overview = _draw_cases(deoccluder, folder, prompt, out / f"cases-{prompt}")
    write_image(out / "overview.png", overview)
    metrics = {
        "cases": len(folder),
        "weights": deoccluder.identity,
        "mean": {words: _headline(result) for words, result in full.items()},
        "full": full,
    }
    write_json(out / "metrics.json", metrics)
    return metrics


def _headline(result: dict[str, Any]) -> dict[str, float]:
    return {
        name: round(result["metrics"][name]["value"], 4) for name in HEADLINE if name in result["metrics"]
    }


def _draw_cases(deoccluder: Deoccluder, folder: CaseFolder, prompt: Prompt, out: Path) -> np.ndarray:
    """Writes one strip per case; returns all of them stacked; uint8 RGB."""
    answers = deoccluder.deocclude_views([case_view(case, prompt) for case in folder])
    strips = [render_case(case, answer) for case, answer in zip(folder, answers, strict=True)]
    with whole_folder(out, sweep=True) as temporary:
        for name, picture in zip(folder.ids, strips, strict=True):
            write_image(temporary / f"{name}.png", picture)
    width = max(picture.shape[1] for picture in strips)
    padded = [np.pad(p, ((0, 6), (0, width - p.shape[1]), (0, 0)), constant_values=255) for p in strips]
    return np.concatenate(padded)
