"""Scores predictions of occlusion cases."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from deocc import metrics as M
from deocc.errors import DeoccError
from deocc.evaluation.judge import Seen
from deocc.evaluation.report import MASKS, METRICS, REGIONS
from deocc.inference.predictions import FILES, CasePrediction
from deocc.labels import LIP_CLASSES
from deocc.masks import mask_box
from deocc.occlusion import OcclusionCase

SCHEMA = "deocc.evaluation/1"
BLUR = 0.04  # standard deviation of the blur behind the colour error, in heights of the person


def _union_box(first: np.ndarray, second: np.ndarray) -> tuple[slice, slice] | None:
    """The smallest window that contains both masks; None if both are empty."""
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

    Also the number of counted pixels, under "<region>_pixels", and detail and colour of invisible ones.
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
        if prefix == "recovered":
            _, top, _, bottom = mask_box(case.amodal_mask)
            scores["recovered_detail"] = M.detail_ratio(*arrays)
            scores["recovered_colour"] = M.blurred_colour_error(*arrays, BLUR * (bottom - top))
    return scores


class Evaluation:
    """Collects and summarises the scores of one system.

    Args:
        seed, resamples: of the bootstrap.
    """

    def __init__(self, seed: int = 0, resamples: int = 1000) -> None:
        self.options = {"seed": seed, "resamples": resamples}
        self.rows: list[dict[str, Any]] = []
        self.features: list[Seen] = []
        self.target_features: list[Seen] = []
        self.judged: list[int] = []
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
        target: Seen,
        distances: dict[str, np.ndarray],
        seen: Seen,
        rows: Sequence[int],
    ) -> None:
        """Adds results of `PixelJudge.compare` to some rows."""
        self.frechet_name = name
        self.target_features.append(target)
        self.features.append(seen)
        self.judged += rows
        for offset, row in enumerate(rows):
            values = {key: float(column[offset]) for key, column in distances.items()}
            self.rows[row]["pixels"] |= values

    def _column(self, group: str, key: str) -> np.ndarray:
        """One number per case; nan if it was not scored."""
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
            keys = ("l1", "ssim", "perceptual", "detail", "colour")
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
        """Whether left and right body parts are merged: true if some case has no true sides."""
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
        if sum(len(chunk.person) for chunk in self.features) < 2:
            return None
        found, target = (_joined(kind, "person") for kind in (self.features, self.target_features))
        return M.frechet_of_features(found, target, self.frechet_name).to_json()

    def _kernel_intervals(self) -> dict[str, M.Interval]:
        """The kernel distance x 1000 of the cases that have something hidden."""
        kept = [i for i, row in enumerate(self.judged) if "recovered_mse" in self.rows[row]["pixels"]]
        people = [self.rows[self.judged[i]]["person"] for i in kept]
        if len(set(people)) < 2:
            return {}
        found, target = (_joined(kind, "hidden")[kept] for kind in (self.features, self.target_features))
        terms = 1000 * M.kernel_terms(found, target)
        return {"recovered_kernel": M.bootstrap_pairs(terms, people, **self.options)}

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
        intervals |= self._pixel_intervals(everyone) | self._kernel_intervals()
        if not intervals:
            raise DeoccError(
                "nothing to score: no case has ground truth for what was predicted; the case folder needs "
                "amodal.png and modal.png (masks), parsing.png (body parts) or target.png (pixels)"
            )
        notes = list(self.notes)
        if self.features and "recovered_kernel" not in intervals:
            notes.append("left out: a kernel distance needs two people, a Frechet distance two cases")
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
            "notes": notes,
            "per_case": self._per_case(),
        }


def _joined(seen: Sequence[Seen], name: str) -> np.ndarray:
    """One kind of features of all chunks, N x D."""
    return np.concatenate([getattr(chunk, name) for chunk in seen])


def _check_sizes(case: OcclusionCase, prediction: CasePrediction) -> None:
    height, width = case.image.shape[:2]
    for name, file in FILES.items():
        array = getattr(prediction, name)
        if array is not None and array.shape[:2] != (height, width):
            raise DeoccError(
                f"{case.id}/{file}: {array.shape[1]} x {array.shape[0]} pixels, but the case has "
                f"{width} x {height}; predict at the case's own size"
            )
