"""Measures what stage 1 loses by predicting the visible mask again: data/results/given-mask.json.

Scores a run's weights on fixed cases with the true visible mask as prompt: once unchanged, and once with the
prompt in place of the refined mask, like systems that pass it through. Example:

    python tools/given_mask.py runs/tables/mask-ours-HASH/weights.safetensors runs/tables/cases-HASH
"""

import sys
from pathlib import Path
from typing import Annotated, Any

import deocc  # noqa: F401  # before torch

# isort: split
import torch
import typer

from deocc.errors import DeoccError
from deocc.evaluation.systems import evaluate_systems
from deocc.io import write_json
from deocc.models import load_weights, read_metadata
from deocc.paths import RESULTS
from deocc.training.mask import MaskSettings, MaskSystem
from deocc.training.settings import AdversarySettings

METRICS = ("amodal_iou", "modal_iou", "invisible_iou")


class GivenVisible(MaskSystem):
    """Stage 1 that returns its prompt as the visible mask."""

    def predict(self, batch: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        return {**super().predict(batch), "modal_mask": batch["initial_mask"].float()}


def main(
    weights: Annotated[Path, typer.Argument(help="Weights of mask/ours.")],
    cases: Annotated[Path, typer.Argument(help="Case folder.")],
    out: Annotated[Path, typer.Option("--json")] = RESULTS / "given-mask.json",
) -> None:
    """Scores both readings."""
    silent = AdversarySettings(weight=0)
    settings, network = MaskSettings(perceptual=0, adversary=silent), load_weights(weights).eval()
    system = MaskSystem(settings, network=network)
    size = int(read_metadata(weights)["input_size"])
    rows: dict[str, Any] = {
        "refined visible mask": system,
        "visible mask as given": GivenVisible(settings, network=network),
    }
    result = evaluate_systems(rows, cases, "masks", "modal", size=size, progress=True)
    value = {
        "command": f"python tools/given_mask.py {weights.parent.name}/{weights.name} {cases.name}",
        "cases": result["cases"], "people": result["people"], "confidence": result["confidence"],
        "systems": {name: {m: r["metrics"][m] for m in METRICS} for name, r in result["systems"].items()},
    }  # fmt: skip
    write_json(out, value)
    for name, metrics in value["systems"].items():
        print(f"{name:24s}", "  ".join(f"{m} {metrics[m]['value']:.3f}" for m in METRICS))


if __name__ == "__main__":
    try:
        typer.run(main)
    except DeoccError as error:
        sys.exit(f"error: {error}")
