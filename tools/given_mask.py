"""What a trained stage 1 loses by predicting the visible mask again: data/results/given-mask.json.

Scores a run's weights on fixed cases given the true visible mask, once as they are and once with the given
mask in place of the refined one, as systems answer that pass it through. Example:

    python tools/given_mask.py runs/tables/mask-ours-HASH/weights.safetensors runs/tables/cases-HASH
"""

import sys
from pathlib import Path
from typing import Annotated, Any

import torch
import typer

from deocc.comparison import evaluate_systems
from deocc.errors import DeoccError
from deocc.io import write_json
from deocc.models import load_weights, read_metadata
from deocc.paths import RESULTS
from deocc.systems import AdversarySettings, MaskSettings, MaskSystem

METRICS = ("amodal_iou", "modal_iou", "invisible_iou")


class GivenVisible:
    """A system whose visible mask is the one that it was given."""

    def __init__(self, system: MaskSystem) -> None:
        self.system, self.network = system, system.network

    def predict(self, batch: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        return {**self.system.predict(batch), "modal_mask": batch["initial_mask"].float()}


def main(
    weights: Annotated[Path, typer.Argument(help="Weights of mask/ours.")],
    cases: Annotated[Path, typer.Argument(help="Case folder.")],
    out: Annotated[Path, typer.Option("--json")] = RESULTS / "given-mask.json",
) -> None:
    """Scores both readings."""
    silent = AdversarySettings(weight=0)
    system = MaskSystem(MaskSettings(width=8, levels=2, templates=0, perceptual=0, adversary=silent))
    system.network = load_weights(weights).eval()  # the one above was only there to be replaced
    size = int(read_metadata(weights)["input_size"])
    rows: dict[str, Any] = {"refined visible mask": system, "visible mask as given": GivenVisible(system)}
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
