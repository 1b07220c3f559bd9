"""Scores a prediction folder against a case folder."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import torch
from tqdm.auto import tqdm

from deocc.evaluation import parts
from deocc.evaluation.cases import Evaluation
from deocc.evaluation.judge import PixelJudge
from deocc.inference.predictions import (
    OTHER_CASES,
    CasePrediction,
    made_for_others,
    prediction_files,
    read_prediction,
)
from deocc.io import PathLike
from deocc.occlusion import CaseFolder, OcclusionCase

CHUNK = 16  # cases that the feature networks see at once


def _notes(folder: Path, cases: CaseFolder, kinds: Sequence[str]) -> list[str]:
    notes = []
    if made_for_others(folder, cases):
        notes.append(OTHER_CASES)
    ids = cases.ids
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
        cases: the case folder; metrics whose ground truth is missing are left out.
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
    judge = PixelJudge(device) if perceptual and "recovered.png" in kinds else None
    evaluation = _scored(folder, path, kinds, range(len(folder)), judge, (seed, resamples), progress)
    return _finished(evaluation, folder, path, kinds, perceptual)


def evaluate_shard(
    cases: PathLike | CaseFolder,
    predictions: PathLike,
    result: PathLike,
    shard: tuple[int, int],
    seed: int = 0,
    device: str | torch.device = "cpu",
    resamples: int = 1000,
    perceptual: bool = True,
    progress: bool = False,
) -> dict[str, Any] | list[int]:
    """Scores part i of n of a folder into a file beside `result`; the last part combines all.

    Cases go to shards in chunks of 16, so that the feature networks see the same batches as in one run and
    the figures are the same to the last digit.

    Args:
        result: the JSON file of the whole evaluation, the same for all shards. The caller writes it and then
            calls `deocc.evaluation.parts.remove_parts`.
        shard: (i, n), counted from 1.
        cases, predictions, seed, device, resamples, perceptual, progress: see `evaluate_folders`.

    Returns:
        The result of `evaluate_folders` if this was the last part; else the numbers of missing parts.

    Raises:
        DeoccError: as `evaluate_folders`; a damaged part.
    """
    folder = cases if isinstance(cases, CaseFolder) else CaseFolder(cases)
    path, result = Path(predictions), Path(result)
    kinds = prediction_files(path, folder.ids)
    about = parts.fingerprint(folder, path, kinds, seed=seed, resamples=resamples, perceptual=perceptual)
    places = [i for i in range(len(folder)) if i // CHUNK % shard[1] == shard[0] - 1]
    judge = PixelJudge(device) if places and perceptual and "recovered.png" in kinds else None
    evaluation = _scored(folder, path, kinds, places, judge, (seed, resamples), progress)
    with parts.alone_at(result):
        parts.write_part(parts.part_path(result, shard), evaluation, places, about)
        whole = parts.joined(result, shard[1], about, len(folder), seed, resamples)
    return whole if isinstance(whole, list) else _finished(whole, folder, path, kinds, perceptual)


def _scored(
    folder: CaseFolder,
    path: Path,
    kinds: Sequence[str],
    places: Sequence[int],
    judge: PixelJudge | None,
    draws: tuple[int, int],
    progress: bool,
) -> Evaluation:
    """Scores some cases of a folder. Args: draws: seed and number of the bootstrap's."""
    loaded = ((folder[i], read_prediction(path / folder.ids[i], kinds)) for i in places)
    pairs = tqdm(loaded, "evaluating", len(places), unit="case", disable=not progress)
    chunks = chunked(((case, [prediction]) for case, prediction in pairs), CHUNK)
    return evaluate_chunks(chunks, ["predictions"], judge, *draws)[0]


def _finished(
    evaluation: Evaluation, folder: CaseFolder, path: Path, kinds: Sequence[str], perceptual: bool
) -> dict[str, Any]:
    evaluation.notes += _notes(path, folder, kinds)
    if "recovered.png" in kinds and not perceptual:
        evaluation.notes.append("perceptual and Frechet distances were not requested")
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
    for evaluation, (distances, seen) in zip(evaluations, results, strict=True):
        rows = [first + offset for offset in usable]
        evaluation.add_features(judge.frechet.frechet_name, target, distances, seen, rows)
