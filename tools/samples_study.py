"""Measures what several completions are worth: data/results/samples.json.

Each case is completed K times, end to end from its rough mask. The best of the first k pictures is chosen by
the score itself, with the truth known: it says whether a good one is among them, not that anybody finds it.

    python tools/samples_study.py PEOPLE
    python tools/samples_study.py PEOPLE --tuning
"""

import sys
import tempfile
from pathlib import Path
from typing import Annotated, Any

import deocc  # noqa: F401  # before torch

# isort: split
import numpy as np
import torch
import typer
from tqdm import tqdm

from deocc.errors import DeoccError
from deocc.evaluation.cases import pixel_scores
from deocc.inference.deoccluder import Deoccluder
from deocc.inference.predictions import CasePrediction
from deocc.io import write_json
from deocc.metrics import psnr_of_mse
from deocc.occlusion import OcclusionCase
from deocc.paths import RESULTS
from deocc.tables.cases import fixed_cases

DRAWS = 2000  # of the bootstrap over people
METRICS = {"recovered_colour": False, "recovered_psnr": True, "recovered_detail": None}  # is more better?


def scores(deoccluder: Deoccluder, case: OcclusionCase, count: int) -> list[dict[str, float]]:
    """Scores of each completion; empty where nothing is hidden."""
    answer = deoccluder.deocclude(case.image, case.initial_mask, samples=count)
    found = []
    for picture in answer.samples:
        row = pixel_scores(case, CasePrediction(answer.modal_mask, answer.amodal_mask, None, picture))
        if "recovered_mse" in row:
            row["recovered_psnr"] = float(psnr_of_mse(row["recovered_mse"]))
            found.append({name: row[name] for name in METRICS})
    return found


def summary(rows: list[list[dict[str, float]]]) -> dict[str, Any]:
    """The first completion, the best of k, and the 95 % interval of best of all against the first."""
    draws = np.random.default_rng(0).integers(0, len(rows), (DRAWS, len(rows)))
    result: dict[str, Any] = {"people": len(rows)}
    for name, more in METRICS.items():
        values = np.array([[sample[name] for sample in person] for person in rows])
        result[name] = {"each": np.nanmean(values, 0).round(4).tolist()}
        if more is None:
            continue
        best = np.maximum.accumulate(values, 1) if more else np.minimum.accumulate(values, 1)
        means = best[draws].mean(1)
        low, high = np.quantile(means[:, -1] / means[:, 0] - 1, (0.025, 0.975))
        result[name] |= {
            "best_of_first": best.mean(0).round(4).tolist(),
            "change": [round(float(v), 4) for v in (best[:, -1].mean() / best[:, 0].mean() - 1, low, high)],
        }
    return result


def main(
    people: Annotated[Path, typer.Argument(help="People folder.")],
    weights: str = "small",
    tuning: Annotated[bool, typer.Option("--tuning", help="The tenth of train held out, not val.")] = False,
    samples: int = 4,
    limit: Annotated[int | None, typer.Option(help="At most this many people.")] = None,
    out: Annotated[Path, typer.Option("--json")] = RESULTS / "samples.json",
) -> None:
    """Scores completions."""
    torch.set_num_threads(1)
    deoccluder = Deoccluder.from_pretrained(weights)
    with tempfile.TemporaryDirectory() as folder:
        cases = fixed_cases(people, Path(folder, "cases"), tuning, 1, limit=limit)
        rows = [found for case in tqdm(cases) if (found := scores(deoccluder, case, samples))]
    value = {
        "command": " ".join(["python tools/samples_study.py", people.name, *sys.argv[2:]]),
        "weights": deoccluder.identity, "split": "tuning" if tuning else "val", "samples": samples,
    } | summary(rows)  # fmt: skip
    print(value)
    write_json(out, value)


if __name__ == "__main__":
    try:
        typer.run(main)
    except DeoccError as error:
        sys.exit(f"error: {error}")
