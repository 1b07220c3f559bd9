"""Sheets for judging occluded people in photos blind: which of two versions answered is not shown.

PHOTOS holds photos.csv (id, photo, x0, y0, x1, y1, visible_mask); a row without a box is asked by its mask.
The first command is run once per version, in a checkout of each; the second one mixes two answers.

    PYTHONPATH=. python tools/photo_sheets.py answer PHOTOS OUT
    python tools/photo_sheets.py mix OUT_A OUT_B SHEETS --seed 0

A judge sees SHEETS/<id>.png and SHEETS/<id>-<1 or 2>-masks.png and -pixels.png, and not SHEETS/key.json.
"""

import csv
import shutil
import sys
from pathlib import Path
from typing import Annotated

import deocc  # noqa: F401  # before torch

# isort: split
import cv2
import numpy as np
import typer

from deocc import Deoccluder
from deocc.errors import DeoccError
from deocc.io import read_image, read_mask, write_image, write_json

SIDE = 640  # of a picture, pixels
MARGIN = 0.35  # shown around the person, in the longer side of the box
BLUE, ORANGE, RED = (0, 114, 178), (213, 94, 0), (255, 0, 0)
KINDS = ("masks", "pixels")

app = typer.Typer(add_completion=False, help=__doc__, pretty_exceptions_enable=False)


def tinted(image: np.ndarray, visible: np.ndarray, invisible: np.ndarray) -> np.ndarray:
    """The photo (H x W x 3 uint8) with the visible mask in blue and the invisible one in orange."""
    picture = image.astype(float)
    for mask, colour in ((visible, BLUE), (invisible, ORANGE)):
        picture[mask] = 0.5 * picture[mask] + 0.5 * np.array(colour)
    return picture.astype(np.uint8)


def cut(image: np.ndarray, box: tuple[int, int, int, int]) -> np.ndarray:
    """The box with a margin, its longer side `SIDE` pixels."""
    x0, y0, x1, y1 = box
    margin = round(MARGIN * max(x1 - x0, y1 - y0))
    part = image[max(0, y0 - margin) : y1 + margin, max(0, x0 - margin) : x1 + margin]
    scale = SIDE / max(part.shape[:2])
    size = (round(part.shape[1] * scale), round(part.shape[0] * scale))
    return cv2.resize(part, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC)


@app.command()
def answer(photos: Path, out: Path, weights: str = "small") -> None:
    """Pictures of this version's answers."""
    deoccluder = Deoccluder.from_pretrained(weights)
    with (photos / "photos.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        image = read_image(photos / row["photo"])
        if row["x0"]:
            box = tuple(int(row[key]) for key in ("x0", "y0", "x1", "y1"))
            found = deoccluder.deocclude(image, box=box)
        else:
            mask = read_mask(photos / row["visible_mask"])
            x0, y0, width, height = cv2.boundingRect(mask.astype(np.uint8))
            box = (x0, y0, x0 + width, y0 + height)
            found = deoccluder.deocclude(image, mask=mask)
        line = max(1, max(image.shape) // 300)
        asked = cv2.rectangle(image.copy(), box[:2], box[2:], RED, line)
        masks = tinted(image, found.modal_mask, found.invisible_mask)
        for ending, picture in (("", asked), ("-masks", masks), ("-pixels", found.recovered)):
            write_image(out / f"{row['id']}{ending}.png", cut(picture, box))


@app.command()
def mix(first: Path, second: Path, sheets: Path, seed: Annotated[int, typer.Option(min=0)] = 0) -> None:
    """Both versions' pictures as 1 and 2, in an order of chance per person."""
    rng, key = np.random.default_rng(seed), {}
    names, others = ({path.name for path in folder.glob("*-pixels.png")} for folder in (first, second))
    if names != others or not names:
        raise DeoccError(f"{first}, {second}: not the same people; run `answer` to its end on both")
    sheets.mkdir(parents=True, exist_ok=True)
    for name in sorted(name.removesuffix("-pixels.png") for name in names):
        order = [first, second] if rng.random() < 0.5 else [second, first]
        shutil.copy(first / f"{name}.png", sheets / f"{name}.png")
        for number, folder in enumerate(order, 1):
            for kind in KINDS:
                shutil.copy(folder / f"{name}-{kind}.png", sheets / f"{name}-{number}-{kind}.png")
        key[name] = [str(folder) for folder in order]
    write_json(sheets / "key.json", key)


if __name__ == "__main__":
    try:
        app()
    except DeoccError as error:
        sys.exit(f"error: {error}")
