"""Measures stage 1's body parts, and what right ones are worth to stage 2: data/results/parts-tuning.json.

People with labels of the tenth of the train split that is held out for tuning, one case each. Parts of pixels
that show, and of hidden ones, are compared with the true labels inside the true person (left and right are
the same; the nearest label counts where stage 1's person ends too early). Then stage 2 paints true masks with
predicted labels, with true ones, and with true ones of visible or of hidden pixels alone. Every pixel has one
label here; `Deoccluder` also uses stage 1's doubt about them (`SoftParts`).

    python tools/parts_study.py PEOPLE small runs/parts
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
from deocc.evaluation.judge import PixelJudge
from deocc.inference.deoccluder import Deoccluder
from deocc.inference.detail import add_detail
from deocc.inference.painting import PaintingTask, paint
from deocc.inference.predictions import CasePrediction
from deocc.io import write_json
from deocc.labels import NUM_CLASSES, merge_sides
from deocc.markdown import markdown
from deocc.masks import nearest_labels
from deocc.metrics import psnr_of_mse
from deocc.metrics.parsing import merge_confusion, parsing_confusion, parsing_miou
from deocc.occlusion import OcclusionCase
from deocc.paths import RESULTS
from deocc.tables.cases import fixed_cases
from deocc.tables.statistics import compare

FIGURES = ("psnr", "colour", "perceptual", "detail")


def predicted_parts(deoccluder: Deoccluder, case: OcclusionCase, given: str) -> np.ndarray:
    """Stage 1's labels inside the true person, H x W uint8."""
    mask = case.modal_mask if given == "modal" else case.initial_mask
    assert mask is not None and case.amodal_mask is not None
    found = deoccluder.deocclude(case.image, mask=mask, paint=False).parsing
    return np.where(case.amodal_mask, nearest_labels(found), 0).astype(np.uint8)


def agreement(cases: list[OcclusionCase], parts: list[np.ndarray]) -> dict[str, float]:
    """Share of right labels among visible and hidden pixels (mean over cases), and mean IoU."""
    shares: dict[str, list[float]] = {"visible": [], "hidden": []}
    counts = 0
    for case, found in zip(cases, parts, strict=True):
        true = case.parsing_amodal
        assert true is not None
        same = merge_sides(true) == merge_sides(found)
        for name, region in (("visible", case.modal_mask), ("hidden", case.invisible_mask)):
            counted = region & (true > 0) & (true < NUM_CLASSES)  # type: ignore[operator]
            if counted.any():
                shares[name].append(float(same[counted].mean()))
        counts = counts + parsing_confusion(found, true)
    miou = parsing_miou(merge_confusion(np.asarray(counts)))
    return {name: float(np.mean(values)) for name, values in shares.items()} | {"miou": float(miou)}


def painted(deoccluder: Deoccluder, case: OcclusionCase, labels: np.ndarray) -> np.ndarray:
    """Stage 2's picture of the true hole with these labels."""
    masks = case.modal_mask, case.amodal_mask
    task = PaintingTask(case.image, *masks, labels)  # type: ignore[arg-type]
    picture = paint(deoccluder.content_net, task, deoccluder.size)  # type: ignore[arg-type]
    return add_detail(case.image, picture, *masks, labels, deoccluder.texture, deoccluder.exemplar)  # type: ignore[arg-type]


def scores_by_labels(
    deoccluder: Deoccluder, cases: list[OcclusionCase], parts: list[np.ndarray]
) -> dict[str, np.ndarray]:
    """Pixels by where the labels come from, N x 4 each (`FIGURES`)."""
    judge, rows = PixelJudge(), {}  # type: ignore[var-annotated]
    for case, found in zip(tqdm(cases), parts, strict=True):
        true, seen = case.parsing_amodal, case.modal_mask
        assert true is not None and seen is not None
        kinds = {
            "predicted": found, "true where visible": np.where(seen, true, found),
            "true where hidden": np.where(seen, found, true), "true": true,
        }  # fmt: skip
        pictures = [painted(deoccluder, case, labels.astype(np.uint8)) for labels in kinds.values()]
        judged = judge.compare([case], [[picture] for picture in pictures])[1]
        for name, picture, (distances, _) in zip(kinds, pictures, judged, strict=True):
            answer = CasePrediction(case.modal_mask, case.amodal_mask, None, picture)
            score = pixel_scores(case, answer)
            rows.setdefault(name, []).append(
                [
                    float(psnr_of_mse(np.array([score["recovered_mse"]]))[0]), score["recovered_colour"],
                    float(distances["recovered_perceptual"][0]), score["recovered_detail"],
                ]
            )  # fmt: skip
    return {name: np.array(values) for name, values in rows.items()}


def main(
    people: Annotated[Path, typer.Argument(help="People folder with body parts.")],
    weights: Annotated[list[str], typer.Argument(help="Bundled weights by name, or folders.")],
    pixels: Annotated[bool, typer.Option(help="Paint, too, with the last weights.")] = True,
    limit: Annotated[int | None, typer.Option(help="At most this many cases.")] = None,
    out: Annotated[Path, typer.Option("--json")] = RESULTS / "parts-tuning.json",
) -> None:
    """Scores body parts."""
    torch.set_num_threads(1)
    words = [Path(word).name if Path(word).is_absolute() else word for word in sys.argv[1:]]
    facts: dict[str, Any] = {"command": " ".join(["python tools/parts_study.py", *words]), "parts": {}}
    with tempfile.TemporaryDirectory() as folder:
        read = fixed_cases(people, Path(folder, "cases"), True, 1)
        cases = [case for case in read if case.parsing_amodal is not None and case.invisible_mask.any()]
    cases = cases[:limit]
    facts["cases"] = len(cases)
    for word in weights:
        deoccluder = Deoccluder.from_pretrained(word)
        for given in ("modal", "initial"):
            parts = [predicted_parts(deoccluder, case, given) for case in tqdm(cases)]
            if given == "modal":
                from_true = parts
            facts["parts"][f"{Path(word).name}, given {given}"] = agreement(cases, parts)
    rows = [(name, *(f"{v:.3f}" for v in row.values())) for name, row in facts["parts"].items()]
    print(markdown(("weights", "visible", "hidden", "mean IoU"), rows))
    if pixels:
        found = scores_by_labels(deoccluder, cases, from_true)
        first, everybody = found["predicted"], range(len(cases))
        facts["pixels"] = {
            name: {
                figure: {
                    "mean": float(values[:, k].mean()),
                    "difference": compare(values[None, :, k], first[None, :, k], everybody).to_json(),
                }
                for k, figure in enumerate(FIGURES)
            }
            for name, values in found.items()
        }
        table = [
            (name, *(f"{row[figure]['mean']:.3f}" for figure in FIGURES))
            for name, row in facts["pixels"].items()
        ]
        print(markdown(("labels", *FIGURES), table))
    write_json(out, facts)


if __name__ == "__main__":
    try:
        typer.run(main)
    except DeoccError as error:
        sys.exit(f"error: {error}")
