"""Trains at one occlusion density and tests at another: the paper's third reason for its dataset.

Sec. 1, reason c: cases "with expected occlusion distribution can be readily obtained", while other datasets
have a fixed distribution and "some scenarios may have gaps" (claim `ratio_control`). This experiment measures
what such a gap costs.
"""

from __future__ import annotations

import copy
import logging
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from deocc import __version__
from deocc.experiments.people import load_people, run_digest, validation_people
from deocc.experiments.presets import Preset, get_preset
from deocc.experiments.registry import build_mask_system
from deocc.experiments.tuning import mask_ious
from deocc.metrics import bootstrap_mean
from deocc.occlusion import OcclusionDataset, RatioDensity, case_item, collate, make_cases
from deocc.occlusion.batch import Batch, Prompt
from deocc.training.checkpoints import checkpoints
from deocc.training.loop import train
from deocc.training.mask import MaskSystem
from deocc.training.system import network_swapped

_log = logging.getLogger("deocc")
Band = tuple[float, float]
SCHEMA = "deocc.ratio-shift/1"
BANDS: dict[str, Band] = {"low": (0.05, 0.2), "middle": (0.3, 0.45), "high": (0.55, 0.7)}
ALL = "all"  # the training that draws from the whole range
PROMPTS: tuple[Prompt, ...] = ("modal", "initial")  # true visible mask, or M_i of severity 1


@dataclass(frozen=True)
class ShiftConfig:
    """Options of the experiment; trainings differ only in their density."""

    preset: str = "tiny"  # sizes of network and input
    width: int = 12  # channels of the first level
    steps: int = 240  # a training
    batch_size: int = 16  # images per step
    per_person: int = 2  # test cases a validation person and band
    limit: int | None = None  # at most this many validation people
    seed: int = 0  # of weights, draws and test cases


def shift_preset(config: ShiftConfig) -> Preset:
    """The preset of all trainings of the experiment, without adversary and perceptual loss: they double the
    time of a step and do not matter for the question."""
    changes = {
        "mask.settings.width": config.width,
        "mask.train.steps": config.steps,
        "mask.train.batch_size": config.batch_size,
        "mask.train.seed": config.seed,
        "mask.train.eval_every": 0,
        "mask.train.ema_decay": 0.99,
        "mask.train.checkpoint_every": max(100, config.steps // 4),
        "mask.train.log_every": max(1, config.steps // 20),
        "mask.settings.perceptual": 0.0,
        "mask.settings.adversary.weight": 0.0,
        "mask.mix.unoccluded": 0.0,
        "mask.mix.severity": (0.2, 1.5),
    }
    return get_preset(config.preset, changes)


def band_batches(
    people: Sequence[Any], occluders: Sequence[Any], band: Band, size: int, config: ShiftConfig
) -> tuple[dict[str, list[Batch]], list[str]]:
    """Fixed cases of one band, once with the true visible mask and once with M_i as prompt.

    Returns:
        prompt -> batches of 16, and the person's id of each case.
    """
    chosen = people[: config.limit or len(people)]
    cases = list(make_cases(chosen, occluders, config.per_person, band, 1.0, config.seed))
    batches: dict[str, list[Batch]] = {}
    for prompt in PROMPTS:
        items = [case_item(case, size, prompt) for case in cases]
        batches[prompt] = [collate(items[i : i + 16]) for i in range(0, len(items), 16)]
    return batches, [case.person_id for case in cases]


def score(system: MaskSystem, batches: Sequence[Batch], people: Sequence[str], seed: int) -> dict[str, Any]:
    """Mean IoUs with bootstrap intervals over people, under "amodal", "invisible" and "modal"."""
    device = next(system.network.parameters()).device
    found: dict[str, list[torch.Tensor]] = {}
    for batch in batches:
        batch = {name: value.to(device) for name, value in batch.items()}
        for name, values in mask_ious(system.predict(batch), batch).items():
            found.setdefault(name, []).append(values)
    scores = {name: torch.cat(values).numpy() for name, values in found.items()}
    return {name: bootstrap_mean(values, people, seed=seed).to_json() for name, values in scores.items()}


def run_ratio_shift(
    people_dirs: Sequence[Path | str],
    config: ShiftConfig = ShiftConfig(),
    bands: Mapping[str, Band] = BANDS,
    out: Path | str | None = None,
    device: str | None = None,
    threads: int | None = None,
) -> dict[str, Any]:
    """Trains stage 1 once per band and once on the whole range, and tests each on every band.

    All trainings start from the same random weights with the same templates (made at the whole range), see
    the same people, occluders and kinds of M_i, and take the same number of steps: only the density differs.

    Args:
        people_dirs: people folders with splits "train" and "val".
        config: sizes and lengths.
        bands: name -> (low, high) occlusion ratio, each density uniform.
        out: folder that keeps the trainings, so that an interrupted run can continue; None: a temporary one.
        device: "cpu", "cuda"; None: a GPU if there is one.
        threads: CPU threads of torch.

    Returns:
        JSON values: "cells", one per training and test band, with IoUs and intervals; "config", "bands",
        "data".

    Raises:
        DeoccError: a folder has no validation people or occluders.

    Source: ours; it measures what reason c of Sec. 1 claims.
    """
    if out is None:
        with tempfile.TemporaryDirectory() as folder:
            return run_ratio_shift(people_dirs, config, bands, folder, device, threads)
    begun, preset = time.process_time(), shift_preset(config)
    bands = dict(bands)
    tests = _tests(people_dirs, bands, preset.size, config)
    whole = min(low for low, _ in bands.values()), max(high for _, high in bands.values())
    people = load_people(people_dirs, holdout=False)
    cells: list[dict[str, Any]] = []
    minutes, resumed = 0.0, False
    torch.manual_seed(config.seed)
    everything = _data(people, preset, whole, config)
    start = build_mask_system(preset.mask.settings, everything, preset, config.seed, None)
    for name, band in {**bands, ALL: whole}.items():
        system = copy.deepcopy(start)
        data = _data(people, preset, band, config)
        run = Path(out) / f"{name}-{run_digest(people_dirs, config, band)}"
        settings = replace(preset.mask.train, threads=threads)
        begun_before = bool(checkpoints(run))
        resumed |= begun_before
        result = train(system, data, settings, run, begun_before, None, device)
        minutes += result.minutes
        with network_swapped(system, result.ema):
            cells += _cells(system, name, tests, config)
        _log.info("ratio shift: trained on %s", name)
    return {
        "schema": SCHEMA, "deocc": __version__, "torch": torch.__version__, "config": asdict(config),
        "bands": {name: list(band) for name, band in {**bands, ALL: whole}.items()},
        "data": people.description, "start": "the same random weights and templates for every training",
        "train": {"lr": preset.mask.train.lr, "optimizer": preset.mask.train.optimizer},
        "input_size": preset.size, "train_minutes": round(minutes, 1),
        "cpu_seconds": None if resumed else round(time.process_time() - begun), "cells": cells,
    }  # fmt: skip


def _data(people: Any, preset: Preset, band: Band, config: ShiftConfig) -> OcclusionDataset:
    mix = replace(preset.mask.mix, density=RatioDensity.uniform(*band))
    return OcclusionDataset(people.persons, people.occluders, preset.size, config.seed, mix)


def _tests(
    people_dirs: Sequence[Path | str], bands: Mapping[str, Band], size: int, config: ShiftConfig
) -> dict[str, tuple[dict[str, list[Batch]], list[str]]]:
    persons, occluders = validation_people(people_dirs)
    return {name: band_batches(persons, occluders, band, size, config) for name, band in bands.items()}


def _cells(
    system: MaskSystem, trained: str, tests: Mapping[str, tuple[dict[str, list[Batch]], list[str]]],
    config: ShiftConfig,
) -> list[dict[str, Any]]:  # fmt: skip
    cells = []
    for tested, (batches, people) in tests.items():
        for prompt in PROMPTS:
            scores = score(system, batches[prompt], people, config.seed)
            cells.append({"trained": trained, "tested": tested, "given": prompt, "iou": scores})
    return cells


def shift_matrix(result: Mapping[str, Any], metric: str = "invisible", prompt: str = "modal") -> np.ndarray:
    """Mean IoUs of a stored run: one row a training (bands, then "all"), one column a test band; float.

    Args:
        result: of `run_ratio_shift`.
        metric: "amodal", "invisible" or "modal".
        prompt: "modal" (true visible mask) or "initial" (M_i of severity 1).
    """
    rows, columns = list(result["bands"]), [name for name in result["bands"] if name != ALL]
    matrix = np.full((len(rows), len(columns)), np.nan)
    for cell in result["cells"]:
        if cell["given"] == prompt:
            place = rows.index(cell["trained"]), columns.index(cell["tested"])
            matrix[place] = cell["iou"][metric]["value"]
    return matrix
