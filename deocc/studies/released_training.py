"""Training as released against training as written, at equal images and at equal time."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from deocc import __version__, metrics
from deocc.checks import ANY, MAX_SEED, check_config
from deocc.errors import DeoccError
from deocc.experiments.people import load_people, run_digest, validation_people
from deocc.experiments.presets import Preset, Stage, get_preset
from deocc.experiments.tuning import mask_ious
from deocc.io import read_json, write_json
from deocc.metrics import Interval, bootstrap_mean
from deocc.models import count_parameters, load_weights
from deocc.occlusion import OcclusionDataset, case_item, collate, make_cases
from deocc.occlusion.batch import Batch, Prompt
from deocc.paths import WEIGHTS
from deocc.released import (
    RELEASED,
    WRITTEN,
    Departures,
    FullResolutionNet,
    ReleasedContentSystem,
    ReleasedMaskSystem,
    pasted,
    tight_templates,
)
from deocc.training.checkpoints import checkpoints
from deocc.training.loop import train
from deocc.training.mask import invisible_mask
from deocc.training.system import System, network_swapped
from deocc.training.templates import make_templates

_log = logging.getLogger("deocc")
SCHEMA = "deocc.released-study/1"
CYCLE = 4  # steps after which the costly terms have come round (`study_preset`)
PAIRS = (
    ("masks-written", "masks-released"),
    ("masks-released", "masks-full"),
    ("masks-written-long", "masks-full"),
    ("content-written", "content-released"),
)  # what is compared: the same images, or the same time
PROMPTS: tuple[Prompt, ...] = ("modal", "initial")  # true visible mask, or M_i of severity 1


@dataclass(frozen=True)
class StudyRun:
    """One training of the study.

    Attributes:
        stage: "mask" or "content".
        departures: the switches.
        full: stage 1 at full resolution (`FullResolutionNet`).
        as_long_as: name of a run with the same training time; None: trains on the study's number of images.
        about: description.
    """

    stage: str
    departures: Departures
    full: bool = False
    as_long_as: str | None = None
    about: str = ""


RUNS: dict[str, StudyRun] = {
    "masks-written": StudyRun("mask", WRITTEN, about="stage 1 as written, half resolution"),
    "masks-released": StudyRun("mask", RELEASED, about="stage 1 as released, but half resolution"),
    "masks-full": StudyRun("mask", RELEASED, full=True, about="stage 1 as released, full resolution"),
    "masks-written-long": StudyRun(
        "mask", WRITTEN, as_long_as="masks-full",
        about="stage 1 as written, half resolution, as much time as full resolution took",
    ),
    "content-written": StudyRun("content", WRITTEN, about="stage 2 as written"),
    "content-released": StudyRun("content", RELEASED, about="stage 2 as released"),
}  # fmt: skip

"""The trainings, in the order to run them."""


@dataclass(frozen=True)
class StudyConfig:
    """Options of the study; trainings of a stage differ only in what is tested."""

    preset: str = "small"  # sizes of networks and input
    images: int = 5000  # of a training
    per_person: int = 1  # test cases a validation person
    limit: int | None = None  # at most this many validation people
    seed: int = 0  # of weights, draws and test cases

    def __post_init__(self) -> None:
        counts = dict.fromkeys(("images", "per_person", "limit"), (1.0, ANY))
        check_config(self, "configuration of the study", {**counts, "seed": (0, MAX_SEED)})


def study_preset(config: StudyConfig) -> Preset:
    """A preset with only the paper's loss terms, no pretrained trunk, and stage 1 at half resolution.

    Widths, input size, optimiser and schedule are the preset's; loss weights are those of preset paper.
    """
    preset, paper = get_preset(config.preset), get_preset("paper")
    mask, content = paper.mask.settings, paper.content.settings
    own = {"trunk": "", "stride": 2, "levels": 5 if preset.size > 64 else preset.mask.settings.levels}
    terms = ("ce", "ce_parsing", "l1", "perceptual", "soft_iou", "invisible_extra", "error_extra", "feedback")
    changes = {f"mask.settings.{k}": v for k, v in own.items()}
    changes |= {f"mask.settings.{k}": getattr(mask, k) for k in terms}
    terms = ("l1_hole", "l1_valid", "l1_composite", "perceptual", "style", "style_whole", "log_mse", "prior")
    changes |= {f"content.settings.{k}": getattr(content, k) for k in terms}
    for stage, settings in (("mask", mask), ("content", content)):
        changes[f"{stage}.settings.adversary.weight"] = settings.adversary.weight
        changes[f"{stage}.settings.adversary.kind"] = "bce"  # as released; the paper does not say
        changes[f"{stage}.settings.adversary.start"] = 0
        changes[f"{stage}.settings.adversary.every"] = 4
        changes[f"{stage}.settings.features.every"] = 4
    return get_preset(preset, changes)


def run_released_study(
    people_dirs: Sequence[Path | str],
    name: str,
    config: StudyConfig,
    out: Path,
    device: str | None = None,
    threads: int | None = None,
) -> dict[str, Any]:
    """Trains one run of `RUNS` and tests it on validation people.

    Args:
        people_dirs: people folders with splits "train" and "val".
        name: of the run.
        config: sizes and lengths.
        out: folder of the trainings; an interrupted training resumes.
        device: "cpu", "cuda"; None: a GPU if there is one.
        threads: CPU threads of torch.

    Returns:
        JSON values: images, minutes, parameters, scores with intervals, and every case's score, for
        `paired_difference`.

    Raises:
        DeoccError: unknown run; no validation people.
    """
    if name not in RUNS:
        raise DeoccError(f"run {name!r} is unknown; choose from {', '.join(RUNS)}")
    run, preset = RUNS[name], study_preset(config)
    people = load_people(people_dirs, holdout=False)
    stage: Stage = getattr(preset, run.stage)
    data = OcclusionDataset(people.persons, people.occluders, preset.size, config.seed, stage.mix)
    build = _mask_system if run.stage == "mask" else _content_system
    folder = out / f"{config.preset}-{name}-{run_digest(people_dirs, config)}"
    ratio = 1.0
    if run.as_long_as is not None:
        measured = folder / "images-ratio.json"  # a run that goes on keeps its length
        if not measured.is_file():
            if threads:
                torch.set_num_threads(threads)
            batch = collate([data.item(0, index) for index in range(stage.train.batch_size)])
            slow: Any = build(RUNS[run.as_long_as], preset, data, config)
            fast: Any = build(run, preset, data, config)
            write_json(measured, round(cost_ratio(slow, fast, batch), 3))
        ratio = float(read_json(measured))
    images = round(config.images * ratio)
    torch.manual_seed(config.seed)
    system: Any = build(run, preset, data, config)
    settings = _length(stage, images, config.seed, threads)
    _log.info("%s: %d images, %s", run.about, images, people.description)
    result = train(system, data, settings, folder, bool(checkpoints(folder)), None, device)
    with network_swapped(system, result.ema):
        measure = _mask_scores if run.stage == "mask" else _content_scores
        tests, tested = _tests(people_dirs, preset.size, config)
        values = measure(system, tests)
    return {
        "about": run.about, "stage": run.stage, "images": result.steps * settings.batch_size,
        "images_ratio": round(ratio, 2),
        "minutes": round(result.minutes, 2), "parameters": count_parameters(system.network),
        "departures": [key for key, on in asdict(run.departures).items() if on], "n": len(tested),
        "data": people.description, "scores": _intervals(values, tested, config.seed), "people": tested,
        "cases": {name: _rounded(array) for name, array in values.items()},
        "deocc": __version__, "torch": torch.__version__,
    }  # fmt: skip


def cost_ratio(slow: System, fast: System, batch: Batch, rounds: int = 3) -> float:
    """How many images `fast` trains on in the time that `slow` takes for one.

    Both take the same steps in turn, so that other work of the machine slows both; the least time counts.

    Args:
        slow, fast: training systems; their networks gather gradients, but no weight changes.
        batch: of training.
        rounds: of `CYCLE` steps each.
    """
    least = [float("inf"), float("inf")]
    for _ in range(rounds):
        for index, system in enumerate((slow, fast)):
            begun = time.perf_counter()
            for system.step in range(CYCLE):
                for terms in (system.losses(batch), system.discriminator_losses(batch)):
                    if terms:
                        total = torch.stack([value.float() for value in terms.values()]).sum()
                        total.backward()
                        total.detach().item()  # waits for a GPU
            least[index] = min(least[index], time.perf_counter() - begun)
    return least[0] / least[1]


def _length(stage: Stage, images: int, seed: int, threads: int | None) -> Any:
    steps = -(-images // stage.train.batch_size)
    return replace(
        stage.train, steps=steps, max_minutes=None, warmup_steps=min(stage.train.warmup_steps, steps // 10),
        eval_every=0, checkpoint_every=max(5, min(50, steps // 10)), log_every=max(1, steps // 20),
        ema_decay=min(stage.train.ema_decay, 0.99), seed=seed, threads=threads,
    )  # fmt: skip


def _mask_system(
    run: StudyRun, preset: Preset, data: OcclusionDataset, config: StudyConfig
) -> ReleasedMaskSystem:
    settings = preset.mask.settings
    make = tight_templates if run.departures.tight_templates else make_templates
    size = settings.templates, settings.template_size, settings.template_samples
    templates = make(data, *size, config.seed)
    network = None
    if run.full:
        network = FullResolutionNet(settings.width, templates=templates, departures=run.departures)
    return ReleasedMaskSystem(settings, run.departures, templates, network)


def _content_system(
    run: StudyRun, preset: Preset, data: OcclusionDataset, config: StudyConfig
) -> ReleasedContentSystem:
    stage1 = load_weights(WEIGHTS / "mask-small.safetensors")  # the same for both, whatever the preset
    return ReleasedContentSystem(preset.content.settings, preset.size, stage1, run.departures)


# ------------------------------------------------------------------------------------------------- tests


def _tests(
    people_dirs: Sequence[Path | str], size: int, config: StudyConfig
) -> tuple[dict[str, list[Batch]], list[str]]:
    """Fixed cases of validation people with either prompt, and the person of each."""
    persons, occluders = validation_people(people_dirs)
    chosen = persons[: config.limit or len(persons)]
    cases = list(make_cases(chosen, occluders, config.per_person, "val", 1.0, config.seed))
    batches: dict[str, list[Batch]] = {}
    for prompt in PROMPTS:
        items = [case_item(case, size, prompt) for case in cases]
        batches[prompt] = [collate(items[i : i + 16]) for i in range(0, len(items), 16)]
    return batches, [str(case.person_id) for case in cases]


Scores = dict[str, np.ndarray]
"""A metric's values, one a case: names such as "invisible_given_modal" or "psnr_hole"."""


def _intervals(values: Scores, people: Sequence[str], seed: int) -> dict[str, Any]:
    return {name: bootstrap_mean(array, people, seed=seed).to_json() for name, array in values.items()}


def _mask_scores(system: ReleasedMaskSystem, tests: Mapping[str, list[Batch]]) -> Scores:
    device = next(system.network.parameters()).device
    values: dict[str, list[Tensor]] = {}
    for prompt, batches in tests.items():
        for batch in batches:
            there = {name: value.to(device) for name, value in batch.items()}
            for name, iou in mask_ious(system.predict(there), there).items():
                values.setdefault(f"{name}_given_{prompt}", []).append(iou)
    return _joined(values)


def _content_scores(system: ReleasedContentSystem, tests: Mapping[str, list[Batch]]) -> Scores:
    """From true masks: PSNR and L1 inside the hole, and L1 of the whole picture with the truth pasted."""
    device = next(system.network.parameters()).device
    values: dict[str, list[Tensor]] = {}
    for batch in tests["modal"]:
        there = {name: value.to(device) for name, value in batch.items()}
        for name, value in content_scores(system.predict(there, "true")["recovered"], there).items():
            values.setdefault(name, []).append(value)
    return _joined(values)


def _joined(values: Mapping[str, list[Tensor]]) -> Scores:
    return {name: torch.cat(parts).double().cpu().numpy() for name, parts in values.items()}


def _rounded(values: np.ndarray) -> list[float | None]:
    return [None if np.isnan(value) else round(float(value), 5) for value in values]


def paired_difference(first: Mapping[str, Any], second: Mapping[str, Any], metric: str) -> Interval:
    """Mean difference of two runs on the same cases, first minus second, with an interval over people.

    Args:
        first, second: stored runs (`run_released_study`).
        metric: a key of their "cases".

    Raises:
        DeoccError: the runs were tested on different people, or without this metric.
    """
    if first["people"] != second["people"]:
        raise DeoccError(f"{first['about']} and {second['about']} were tested on different people")
    if missing := [run["about"] for run in (first, second) if metric not in run["cases"]]:
        raise DeoccError(f"{missing[0]} has no {metric!r}")
    apart = np.asarray(first["cases"][metric], float) - np.asarray(second["cases"][metric], float)
    return bootstrap_mean(apart, first["people"])


def content_scores(recovered: Tensor, batch: Batch) -> dict[str, Tensor]:
    """PSNR (dB) and L1 inside the true M_inv, and L1 of the whole picture as released; N float each.

    Args:
        recovered: N x 3 x H x W in [0, 1].
        batch: the truth. A case with nothing hidden scores nan inside.
    """
    region = invisible_mask(batch) * batch["photo_mask"]
    count = 3 * region.sum((1, 2, 3))
    apart = (recovered - batch["target"]) * region
    mse, l1 = apart.square().sum((1, 2, 3)) / count, apart.abs().sum((1, 2, 3)) / count
    psnr = torch.as_tensor(metrics.psnr_of_mse(np.asarray(mse.cpu(), np.float64)))
    whole = pasted(recovered, batch["target"], batch["amodal_mask"]) - batch["target"]
    return {"psnr_hole": psnr, "l1_hole": l1, "l1_pasted": whole.abs().mean((1, 2, 3))}
