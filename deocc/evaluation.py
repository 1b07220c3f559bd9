"""Scores predictions against occlusion cases: the paper's metrics and more, with N and confidence intervals.

`evaluate_folders` reads a case folder and a prediction folder; `Evaluation` takes the same things from memory
(see `deocc.comparison`). All metrics are at the photo's own size and count photo pixels only.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tqdm.auto import tqdm

from deocc import metrics as M
from deocc.errors import DeoccError
from deocc.io import PathLike, read_image, read_mask, read_parsing
from deocc.judge import PixelJudge
from deocc.labels import LIP_CLASSES
from deocc.masks import mask_box
from deocc.occlusion import CaseFolder, OcclusionCase
from deocc.tables import MASKS, METRICS, REGIONS, format_evaluation, format_table

__all__ = [
    "CasePrediction", "Evaluation", "evaluate_chunks", "evaluate_folders", "format_evaluation",
    "format_table", "prediction_files", "read_prediction",
]  # fmt: skip
SCHEMA = "deocc.evaluation/1"
FILES = {  # what a prediction folder may hold of a case
    "modal_mask": "modal.png", "amodal_mask": "amodal.png",
    "parsing": "parsing.png", "recovered": "recovered.png",
}  # fmt: skip
CHUNK = 16  # cases that the feature networks see at once


@dataclass(frozen=True)
class CasePrediction:
    """What a system says about one case, at the photo's size; None where it says nothing.

    Attributes:
        modal_mask, amodal_mask: H x W bool.
        parsing: H x W uint8, LIP classes of the whole person.
        recovered: H x W x 3 uint8, the photo without the occluder.
    """

    modal_mask: np.ndarray | None = None
    amodal_mask: np.ndarray | None = None
    parsing: np.ndarray | None = None
    recovered: np.ndarray | None = None

    @property
    def invisible_mask(self) -> np.ndarray | None:
        """M_a and not M_m, as predicted; None where one of them is."""
        if self.modal_mask is None or self.amodal_mask is None:
            return None
        return self.amodal_mask & ~self.modal_mask


# --- one case ------------------------------------------------------------------------------------


def _union_box(first: np.ndarray, second: np.ndarray) -> tuple[slice, slice] | None:
    """The window outside which both masks are empty; None where they are empty everywhere."""
    both = first | second
    if not both.any():
        return None
    x0, y0, x1, y1 = mask_box(both)
    return np.s_[y0:y1, x0:x1]


def mask_scores(case: OcclusionCase, prediction: CasePrediction) -> dict[str, np.ndarray]:
    """Counts of intersection, union and photo pixels (3 int64) of every mask that is known and predicted."""
    scores = {}
    for mask in MASKS:
        truth, guess = getattr(case, f"{mask}_mask"), getattr(prediction, f"{mask}_mask")
        if truth is not None and guess is not None:
            both, either = int((truth & guess).sum()), int((truth | guess).sum())
            scores[mask] = np.array([both, either, truth.size])
    return scores


def parsing_scores(case: OcclusionCase, prediction: CasePrediction) -> dict[str, np.ndarray]:
    """Confusion counts of body parts over the photo and inside the true invisible mask, 20 x 21 each."""
    truth, guess = case.parsing_amodal, prediction.parsing
    if truth is None or guess is None:
        return {}
    scores = {"parsing_miou": M.parsing_confusion(guess, truth)}
    if case.invisible_mask is not None and case.invisible_mask.any():
        window = _union_box(case.invisible_mask, case.invisible_mask)
        crops = guess[window], truth[window], case.invisible_mask[window]
        scores["parsing_miou_invisible"] = M.parsing_confusion(*crops)
    return scores


def pixel_scores(case: OcclusionCase, prediction: CasePrediction) -> dict[str, float]:
    """L1, mean squared error and SSIM inside the true invisible mask and inside the true amodal mask.

    Also the number of counted pixels, under "<region>_pixels".
    """
    if case.target is None or prediction.recovered is None or case.amodal_mask is None:
        return {}
    scores: dict[str, float] = {}
    for prefix, region in (("recovered", case.invisible_mask), ("person", case.amodal_mask)):
        if region is None or not region.any():
            continue
        window = _union_box(region, region)
        arrays = prediction.recovered[window], case.target[window], region[window]
        scores[f"{prefix}_l1"], scores[f"{prefix}_mse"] = M.image_l1(*arrays), M.image_mse(*arrays)
        scores[f"{prefix}_ssim"], scores[f"{prefix}_pixels"] = M.ssim(*arrays), float(region.sum())
    return scores


# --- many cases ----------------------------------------------------------------------------------


class Evaluation:
    """Collects scores of one system case by case and sums them up.

    Args:
        seed, resamples: of the bootstrap.
    """

    def __init__(self, seed: int = 0, resamples: int = 1000) -> None:
        self.options = {"seed": seed, "resamples": resamples}
        self.rows: list[dict[str, Any]] = []
        self.features: list[np.ndarray] = []
        self.target_features: list[np.ndarray] = []
        self.frechet_name = ""
        self.notes: list[str] = []

    def add(self, case: OcclusionCase, prediction: CasePrediction) -> None:
        """Scores one case. Raises: DeoccError where sizes differ or nothing can be compared."""
        _check_sizes(case, prediction)
        person = case.person_id or case.id
        row: dict[str, Any] = {"id": case.id, "person": person, "ratio": case.occlusion_ratio}
        row |= {"masks": mask_scores(case, prediction), "pixels": pixel_scores(case, prediction)}
        row |= {"parsing": parsing_scores(case, prediction), "true_sides": case.true_sides}
        self.rows.append(row)

    def add_features(
        self,
        name: str,
        target: np.ndarray,
        distances: dict[str, np.ndarray],
        pooled: np.ndarray,
        rows: Sequence[int],
    ) -> None:
        """Adds what `PixelJudge.compare` said of some rows."""
        self.frechet_name = name
        self.target_features.append(target)
        self.features.append(pooled)
        for offset, row in enumerate(rows):
            values = {key: float(column[offset]) for key, column in distances.items()}
            self.rows[row]["pixels"] |= values

    def _column(self, group: str, key: str) -> np.ndarray:
        """One number a case; nan where it was not scored."""
        return np.array([row[group].get(key, np.nan) for row in self.rows], np.float64)

    def _mask_intervals(self, keep: np.ndarray) -> dict[str, M.Interval]:
        rows = [row for row, kept in zip(self.rows, keep, strict=True) if kept]
        intervals = {}
        for mask in MASKS:
            known = [row for row in rows if mask in row["masks"]]
            if not known:
                continue
            people = [row["person"] for row in known]
            both, either, size = np.stack([row["masks"][mask] for row in known]).astype(np.float64).T
            ious = M.iou_of_counts(np.stack([both, either], -1))
            intervals[f"{mask}_iou"] = M.bootstrap_mean(ious, people, **self.options)
            intervals[f"{mask}_iou_global"] = M.bootstrap_ratio(both, either, people, **self.options)
            intervals[f"{mask}_l1"] = M.bootstrap_mean((either - both) / size, people, **self.options)
        return intervals

    def _pixel_intervals(self, keep: np.ndarray) -> dict[str, M.Interval]:
        people = [row["person"] for row, kept in zip(self.rows, keep, strict=True) if kept]
        intervals = {}
        for prefix in REGIONS:
            mse = self._column("pixels", f"{prefix}_mse")[keep]
            if not np.isfinite(mse).any():
                continue
            keys = ("l1", "ssim", "perceptual")
            columns = {key: self._column("pixels", f"{prefix}_{key}")[keep] for key in keys}
            columns["psnr"] = np.asarray(M.psnr_of_mse(mse))
            for key, values in columns.items():
                intervals[f"{prefix}_{key}"] = M.bootstrap_mean(values, people, **self.options)
            pixels = self._column("pixels", f"{prefix}_pixels")[keep]
            pooled = M.bootstrap_ratio(mse * pixels, pixels, people, **self.options)
            value, low, high = (M.psnr_of_mse(v) for v in (pooled.value, pooled.high, pooled.low))
            intervals[f"{prefix}_psnr_pooled"] = M.Interval(value, low, high, pooled.n, pooled.people)
        return {name: interval for name, interval in intervals.items() if interval.n}

    @property
    def merged_sides(self) -> bool:
        """Whether left and right body parts count as one: some case with body parts has no true sides."""
        return any(row["parsing"] and not row["true_sides"] for row in self.rows)

    def _confusions(self, key: str) -> np.ndarray:
        """N x 20 x 21 counts of the cases that have them."""
        counts = np.stack([row["parsing"][key] for row in self.rows if key in row["parsing"]])
        return M.merge_confusion(counts) if self.merged_sides else counts

    def _parsing_intervals(self) -> dict[str, M.Interval]:
        intervals = {}
        for key in ("parsing_miou", "parsing_miou_invisible"):
            people = [row["person"] for row in self.rows if key in row["parsing"]]
            if people:
                intervals[key] = M.bootstrap_parsing_miou(self._confusions(key), people, **self.options)
        return intervals

    def _by_ratio(self) -> list[dict[str, Any]]:
        """Mask and pixel metrics of each occlusion-ratio bin that has cases."""
        ratios = np.array([row["ratio"] for row in self.rows], np.float64)
        known = np.isfinite(ratios)
        bins = np.where(known, M.ratio_bins(np.where(known, ratios, 0)), -1)
        table = []
        for index in range(len(M.RATIO_EDGES) - 1):
            keep = bins == index
            if keep.any():
                intervals = self._mask_intervals(keep) | self._pixel_intervals(keep)
                entry = {"low": M.RATIO_EDGES[index], "high": M.RATIO_EDGES[index + 1], "n": int(keep.sum())}
                table.append(entry | {"metrics": {k: v.to_json() for k, v in intervals.items()}})
        return table

    def _frechet(self) -> dict[str, Any] | None:
        if not self.features or sum(map(len, self.features)) < 2:
            return None
        found, target = np.concatenate(self.features), np.concatenate(self.target_features)
        return M.frechet_of_features(found, target, self.frechet_name).to_json()

    def _class_ious(self) -> dict[str, float | None]:
        if not any(row["parsing"] for row in self.rows):
            return {}
        ious = M.class_ious(self._confusions("parsing_miou").sum(0))
        return {name: float(v) for name, v in zip(LIP_CLASSES, ious, strict=True) if np.isfinite(v)}

    def _per_case(self) -> list[dict[str, Any]]:
        table = []
        for row in self.rows:
            ious = {f"{k}_iou": float(M.iou_of_counts(v[:2])) for k, v in row["masks"].items()}
            pixels = dict(row["pixels"])
            for prefix in REGIONS:
                if f"{prefix}_mse" in pixels:
                    pixels[f"{prefix}_psnr"] = M.psnr_of_mse(pixels.pop(f"{prefix}_mse"))
            numbers = {k: round(v, 6) for k, v in (ious | pixels).items() if np.isfinite(v)}
            ratio = None if np.isnan(row["ratio"]) else round(row["ratio"], 6)
            table.append({"id": row["id"], "person_id": row["person"], "occlusion_ratio": ratio} | numbers)
        return table

    def result(self) -> dict[str, Any]:
        """Everything as JSON values.

        Raises:
            DeoccError: nothing that was predicted has ground truth.
        """
        everyone = np.ones(len(self.rows), bool)
        intervals = self._mask_intervals(everyone) | self._parsing_intervals()
        intervals |= self._pixel_intervals(everyone)
        if not intervals:
            raise DeoccError(
                "nothing to score: no case has ground truth for what was predicted; the case folder needs "
                "amodal.png and modal.png (masks), parsing.png (body parts) or target.png (pixels)"
            )
        ordered = {name: intervals[name].to_json() for name in METRICS if name in intervals}
        draws = "{resamples} draws, seed {seed}".format(**self.options)
        return {
            "schema": SCHEMA,
            "cases": len(self.rows),
            "people": len({row["person"] for row in self.rows}),
            "confidence": f"95 % percentile bootstrap over people, {draws}",
            "metrics": ordered,
            "frechet": self._frechet(),
            "by_ratio": self._by_ratio(),
            "parsing": {"sides": "merged" if self.merged_sides else "true", "class_iou": self._class_ious()},
            "definitions": {name: METRICS[name].definition for name in ordered},
            "notes": list(self.notes),
            "per_case": self._per_case(),
        }


def _check_sizes(case: OcclusionCase, prediction: CasePrediction) -> None:
    height, width = case.image.shape[:2]
    for name, file in FILES.items():
        array = getattr(prediction, name)
        if array is not None and array.shape[:2] != (height, width):
            raise DeoccError(
                f"{case.id}/{file}: {array.shape[1]} x {array.shape[0]} pixels, but the case has "
                f"{width} x {height}; predict at the case's own size"
            )


# --- folders -------------------------------------------------------------------------------------


def prediction_files(path: PathLike, ids: Sequence[str]) -> list[str]:
    """Which files (modal.png, ...) a prediction folder has of every case.

    Raises:
        DeoccError: no such folder, no prediction of these cases, or some cases lack a file that others have.
    """
    path = Path(path)
    if not path.is_dir():
        raise DeoccError(f"{path}: no such folder; make predictions with `deocc predict CASES --out {path}`")
    present = {file: [name for name in ids if (path / name / file).is_file()] for file in FILES.values()}
    kinds = [file for file, names in present.items() if names]
    if not kinds:
        raise DeoccError(
            f"{path}: holds no prediction of these cases, such as {ids[0]}/amodal.png; name the folder that "
            "`deocc predict` wrote for them"
        )
    for file in kinds:
        missing = sorted(set(ids) - set(present[file]))
        if missing:
            raise DeoccError(
                f"{path / missing[0] / file}: no such file; {len(missing)} of {len(ids)} cases lack it; "
                "predict them too (a run that was cut off goes on where it stopped)"
            )
    return kinds


def read_prediction(folder: PathLike, files: Iterable[str] = tuple(FILES.values())) -> CasePrediction:
    """Reads one case's prediction. Raises: DeoccError where a file is missing or damaged."""
    folder = Path(folder)
    readers = {"modal.png": read_mask, "amodal.png": read_mask, "parsing.png": read_parsing}
    names = {file: name for name, file in FILES.items()}
    return CasePrediction(**{names[file]: readers.get(file, read_image)(folder / file) for file in files})


def _notes(folder: Path, ids: Sequence[str], kinds: Sequence[str]) -> list[str]:
    notes = []
    extra = sorted(p.name for p in folder.iterdir() if p.is_dir() and not p.name.startswith("."))
    extra = [name for name in extra if name not in set(ids)]
    if extra:
        notes.append(f"{len(extra)} predictions of no case were left out, such as {extra[0]}")
    if "amodal.png" in kinds and "modal.png" not in kinds:
        notes.append("no modal.png: invisible masks were not scored")
    return notes


def evaluate_folders(
    cases: PathLike | CaseFolder,
    predictions: PathLike,
    seed: int = 0,
    device: str | torch.device = "cpu",
    resamples: int = 1000,
    perceptual: bool = True,
    progress: bool = False,
) -> dict[str, Any]:
    """Scores a prediction folder against a case folder.

    Args:
        cases: the case folder; what it lacks (targets, parsing) is not scored.
        predictions: <id>/modal.png, amodal.png, parsing.png, recovered.png, any of them, but of every case.
        seed, resamples: of the bootstrap over people.
        device: of the feature networks.
        perceptual: compare pixels by feature networks too (about 0.25 s a case on one CPU core).
        progress: show a bar.

    Returns:
        JSON values: "cases", "people", "metrics" (name -> value, low, high, n, people), "frechet" (FID or
        FD-Lite0), "by_ratio" (the same metrics by occlusion-ratio bin), "parsing", "definitions", "notes",
        "per_case".

    Raises:
        DeoccError: a prediction is missing, damaged or of another size, or nothing can be scored.
    """
    folder = cases if isinstance(cases, CaseFolder) else CaseFolder(cases)
    path = Path(predictions)
    kinds = prediction_files(path, folder.ids)
    loaded = ((folder[i], read_prediction(path / folder.ids[i], kinds)) for i in range(len(folder)))
    pairs = tqdm(loaded, "evaluating", len(folder), unit="case", disable=not progress)
    chunks = chunked(((case, [prediction]) for case, prediction in pairs), CHUNK)
    judge = PixelJudge(device) if perceptual and "recovered.png" in kinds else None
    evaluation = evaluate_chunks(chunks, ["predictions"], judge, seed, resamples)[0]
    evaluation.notes += _notes(path, folder.ids, kinds)
    if "recovered.png" in kinds and not perceptual:
        evaluation.notes.append("perceptual and Frechet distances were not asked for")
    return evaluation.result()


def chunked(items: Iterable[Any], size: int) -> Iterable[list[Any]]:
    """Lists of up to `size` items."""
    chunk: list[Any] = []
    for item in items:
        chunk.append(item)
        if len(chunk) == size:
            yield chunk
            chunk = []
    if chunk:
        yield chunk


def evaluate_chunks(
    chunks: Iterable[list[tuple[OcclusionCase, list[CasePrediction]]]],
    systems: Sequence[str],
    judge: PixelJudge | None,
    seed: int = 0,
    resamples: int = 1000,
) -> list[Evaluation]:
    """Scores several systems on the same cases, a chunk of cases at a time.

    Args:
        chunks: lists of (case, one prediction a system).
        systems: their names.
        judge: for perceptual and Frechet distances, or None.
        seed, resamples: of the bootstrap.
    """
    evaluations = [Evaluation(seed, resamples) for _ in systems]
    for chunk in chunks:
        first = len(evaluations[0].rows)
        for case, predictions in chunk:
            for evaluation, prediction in zip(evaluations, predictions, strict=True):
                evaluation.add(case, prediction)
        if judge is not None:
            _judge_chunk(judge, chunk, evaluations, first)
    return evaluations


def _judge_chunk(
    judge: PixelJudge,
    chunk: list[tuple[OcclusionCase, list[CasePrediction]]],
    evaluations: list[Evaluation],
    first: int,
) -> None:
    """Feature networks on the cases of a chunk that have a target and a picture of every system."""
    usable = [
        offset
        for offset, (case, predictions) in enumerate(chunk)
        if case.target is not None and case.invisible_mask is not None and case.amodal_mask is not None
        and case.amodal_mask.any() and all(p.recovered is not None for p in predictions)
    ]  # fmt: skip
    if not usable:
        return
    cases = [chunk[offset][0] for offset in usable]
    pictures = [[chunk[offset][1][s].recovered for offset in usable] for s in range(len(evaluations))]
    target, results = judge.compare(cases, pictures)  # type: ignore[arg-type]
    for evaluation, (distances, pooled) in zip(evaluations, results, strict=True):
        rows = [first + offset for offset in usable]
        evaluation.add_features(judge.frechet.frechet_name, target, distances, pooled, rows)
