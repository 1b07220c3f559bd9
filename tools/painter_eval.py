"""Scores painters on a pack of tuning cases, with true guidance and with stage 1's. Example:

python tools/painter_eval.py runs/packed/tuning runs/p1/weights.safetensors --out pictures
"""

import json
import sys
from pathlib import Path
from typing import Annotated, cast

import deocc  # noqa: F401  # before torch

# isort: split
import cv2
import numpy as np
import torch
import typer

from deocc import metrics as M
from deocc.errors import DeoccError
from deocc.evaluation.judge import PixelJudge
from deocc.inference.painting import PaintingTask, paint
from deocc.inference.texture import transfer_texture
from deocc.masks import mask_box
from deocc.models import ContentRecoveryNet, load_weights
from deocc.occlusion import OcclusionCase
from deocc.training.packed import Pack, PackedCase
from deocc.training.painter import PainterSettings, PainterSystem

BLUR = 0.04  # of the person's height, for the colour error


def main(
    pack: Path,
    weights: Annotated[list[Path], typer.Argument(help="Weights, or .npz of pictures that --save wrote.")],
    size: int = 192,
    limit: int = 64,
    texture: float = 0.0,
    save: Annotated[Path | None, typer.Option(help="Write the pictures into this .npz.")] = None,
    out: Annotated[Path | None, typer.Option(help="Folder of side-by-side PNGs.")] = None,
    given: str = "true,guess",
    perceptual: bool = True,
) -> None:
    """Scores."""
    torch.set_num_threads(1)
    cases = list(Pack(pack))[:limit]
    for kind in given.split(","):
        pictures = [painted(path, cases, kind, size, texture) for path in weights]
        judge = PixelJudge() if perceptual else None
        for path, found in zip(weights, pictures, strict=True):
            print(
                kind, path.parent.name + "/" + path.name, json.dumps(scores(cases, found, judge)), flush=True
            )
        if save:
            np.savez(f"{save}-{kind}.npz", **{f"{i:03}": p for i, p in enumerate(pictures[0])})
        if out:
            sheets(cases, pictures, out, kind)


def task_of(case: PackedCase, kind: str) -> PaintingTask:
    """The input of a painter: "true" masks and labels, or stage 1's ("guess")."""
    if kind == "guess":
        if case.guess is None:
            raise DeoccError("the pack has no answers of stage 1; give --given true, or pack with --guess")
        return PaintingTask(case.image, case.guess[0], case.guess[1] | case.guess[0], case.guess[2])
    return PaintingTask(case.image, case.modal, case.amodal, case.parsing)


def painted(path: Path, cases: list[PackedCase], kind: str, size: int, texture: float) -> list[np.ndarray]:
    if path.suffix == ".npz" or not path.exists():
        stored = np.load(f"{path.with_suffix('')}-{kind}.npz")
        return [stored[f"{i:03}"] for i in range(len(cases))]
    if path.name.startswith("step"):
        network = _of_checkpoint(path, size)
    else:
        network = load_weights(path)
    pictures = []
    for case in cases:
        task = task_of(case, kind)
        picture = paint(network, task, size)
        pictures.append(
            transfer_texture(task.image, picture, task.modal_mask, task.amodal_mask, task.parsing, texture)
        )
    return pictures


def _of_checkpoint(path: Path, size: int) -> ContentRecoveryNet:
    """The averaged network of a checkpoint with the painter's own settings."""
    state = torch.load(path, map_location="cpu", weights_only=True)
    network = PainterSystem(PainterSettings(), size).network
    network.load_state_dict(state["ema"], strict=False)
    return cast(ContentRecoveryNet, network.eval())


def scores(cases: list[PackedCase], pictures: list[np.ndarray], judge: PixelJudge | None) -> dict[str, float]:
    """Means over cases: PSNR, detail ratio, blurred colour error, perceptual distance."""
    rows = [case_scores(case, picture) for case, picture in zip(cases, pictures, strict=True)]
    means = {name: float(np.nanmean([row[name] for row in rows])) for name in rows[0]}
    if judge is not None:
        means["perceptual"] = float(np.nanmean(_distances(cases, pictures, judge)))
    return {name: round(value, 3) for name, value in means.items()}


def _distances(cases: list[PackedCase], pictures: list[np.ndarray], judge: PixelJudge) -> np.ndarray:
    whole = [
        OcclusionCase(str(i), c.image, c.modal, c.amodal, c.target, c.occluder, c.parsing)
        for i, c in enumerate(cases)
    ]
    found = []
    for at in range(0, len(cases), 8):
        _, results = judge.compare(whole[at : at + 8], [pictures[at : at + 8]])
        found.append(results[0][0]["recovered_perceptual"])
    return np.concatenate(found)


def case_scores(case: PackedCase, picture: np.ndarray) -> dict[str, float]:
    """One picture's figures inside the true invisible mask."""
    hole = case.amodal & ~case.modal
    _, y0, _, y1 = mask_box(case.amodal)
    return {
        "psnr": M.psnr(picture, case.target, hole),
        "detail": M.detail_ratio(picture, case.target, hole),
        "colour": M.blurred_colour_error(picture, case.target, hole, BLUR * (y1 - y0)),
    }


def sheets(
    cases: list[PackedCase], pictures: list[list[np.ndarray]], out: Path, kind: str, tile: int = 300
) -> None:
    out.mkdir(parents=True, exist_ok=True)
    rows = []
    for i, case in enumerate(cases):
        task = task_of(case, kind)
        edge = cv2.morphologyEx(task.hole.astype(np.uint8), cv2.MORPH_GRADIENT, np.ones((2, 2), np.uint8)) > 0
        marked = case.image.copy()
        marked[edge] = (255, 0, 255)
        strip = [marked, *(p[i] for p in pictures), case.target]
        rows.append(np.hstack([_tile(p, tile) for p in strip]))
    for at in range(0, len(rows), 8):
        block = rows[at : at + 8]
        block += [np.zeros_like(block[0])] * (len(block) % 2)
        half = len(block) // 2
        sheet = np.hstack([np.vstack(block[:half]), np.vstack(block[half:])])
        cv2.imwrite(str(out / f"{kind}-{at // 8:02}.png"), sheet[..., ::-1])


def _tile(picture: np.ndarray, side: int) -> np.ndarray:
    height, width = picture.shape[:2]
    scale = side / max(height, width)
    small = cv2.resize(
        picture, (max(1, round(width * scale)), max(1, round(height * scale))), interpolation=cv2.INTER_CUBIC
    )
    canvas = np.zeros((side, side, 3), np.uint8)
    canvas[: small.shape[0], : small.shape[1]] = small
    return canvas


if __name__ == "__main__":
    try:
        typer.run(main)
    except DeoccError as error:
        sys.exit(f"error: {error}")
