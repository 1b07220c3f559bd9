"""Measures how much of hand-drawn visible masks is taken for hidden, and so painted over.

PHOTOS has pictures, masks of visible people, and photos.csv with the columns `photo` and `visible_mask`.

    python tools/hand_masks.py PHOTOS --json data/results/hand-masks.json
"""

import csv
import sys
from pathlib import Path
from typing import Annotated

import typer

import deocc  # noqa: F401  # before torch: its threads
from deocc.errors import DeoccError
from deocc.inference.deoccluder import Deoccluder
from deocc.io import read_image, read_mask, write_json
from deocc.paths import RESULTS


def main(
    photos: Annotated[Path, typer.Argument(help="Folder with photos.csv.")],
    weights: str = "small",
    out: Annotated[Path, typer.Option("--json")] = RESULTS / "hand-masks.json",
) -> None:
    """Gives each mask as a rough one; nothing is painted."""
    deoccluder = Deoccluder.from_pretrained(weights)
    shares = []
    with (photos / "photos.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            if row["visible_mask"]:
                mask = read_mask(photos / row["visible_mask"])
                answer = deoccluder.deocclude(read_image(photos / row["photo"]), mask, paint=False)
                shares.append(round(float((mask & answer.invisible_mask).sum() / mask.sum()), 4))
    print(" ".join(f"{share:.1%}" for share in shares))
    command = f"python tools/hand_masks.py {photos.name}"
    write_json(out, {"command": command, "weights": deoccluder.identity, "painted_over": shares})


if __name__ == "__main__":
    try:
        typer.run(main)
    except DeoccError as error:
        sys.exit(f"error: {error}")
