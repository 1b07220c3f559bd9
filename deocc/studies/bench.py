"""``deocc bench``: times each part on this machine, beside the paper's times on a V100.

Source: supplement, ``TABLES["time"]``.
"""

import os
import platform
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from tqdm.auto import tqdm

from deocc.errors import DeoccError
from deocc.experiments.presets import PRESETS
from deocc.inference.deoccluder import Deoccluder
from deocc.inference.views import make_view
from deocc.inference.weights import find_weights
from deocc.models import ContentRecoveryNet, MaskCompletionNet, count_parameters, encoder_levels
from deocc.occlusion import OcclusionCase, OcclusionDataset, occlude
from deocc.paper import CLAIMS
from deocc.paths import PEOPLE_MINI
from deocc.people import Occluder, PeopleFolder, Person
from deocc.people.synth import render_person

Job = Callable[[int], Any]  # the argument counts the calls

WARM_UP = 3  # calls before the clock runs
CASES_A_CALL = 8  # occlusion cases timed together: one takes a few milliseconds


def run_bench(
    preset: str = "small", count: int = 30, seed: int = 0, device: str | None = None, progress: bool = True
) -> dict[str, Any]:
    """Times rendering, occlusion, stage 1, stage 2 and a whole photo.

    Stages run one picture at a time, as the paper's do. Bundled weights are used if the preset has them,
    else random ones (the cost does not depend on the values).

    Args:
        preset: "tiny", "small" or "paper".
        count: measurements per part, at least 1.
        seed: of the people, the case and fresh weights.
        device: of the networks; rendering and occlusion run on one CPU process.
        progress: show a bar.

    Returns:
        device, threads, torch, preset, input (of stage 2), input_stage1, weights, and parts: name -> median,
        low and high (the middle half) in ms, items per second, n, and the paper's time on a V100 if given.
    """
    torch.manual_seed(seed)
    deoccluder, weights = _networks(preset, device)
    people = [render_person(seed + i) for i in range(4)]
    occluders = list(PeopleFolder(PEOPLE_MINI).occluders("val"))
    case = _case(people[0], occluders[0], seed)
    stage1, stage2 = _stage_jobs(deoccluder, case)
    jobs: list[tuple[str, Job, int, str]] = [  # name, job, items a call, the paper's claim
        ("render a person", lambda call: render_person(seed + call), 1, ""),
        ("occlusion case", _occlusion_job(people, occluders, deoccluder.size, seed), CASES_A_CALL, ""),
        ("stage 1", stage1, 1, "time_masks"),
        ("stage 2", stage2, 1, "time_content"),
        (
            "photo, end to end",
            lambda call: deoccluder.deocclude(case.image, case.modal_mask),
            1,
            "time_total",
        ),
    ]
    parts = {}
    for name, job, items, claim in tqdm(jobs, "timing", unit="part", disable=not progress):
        figures = _figures(_time(job, count, deoccluder.device) / items)
        parts[name] = figures | ({"paper_v100_ms": CLAIMS[claim].value} if claim else {})
    return {
        "device": _device_name(deoccluder.device),
        "cpu_cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "preset": preset,
        "input": deoccluder.size,
        "input_stage1": deoccluder.mask_size,
        "weights": weights,
        "parameters": {
            "stage 1": count_parameters(deoccluder.mask_net),
            "stage 2": count_parameters(deoccluder.content_net),
        },
        "parts": parts,
    }  # fmt: skip


# ------------------------------------------------------------------ what is timed


def _networks(preset: str, device: str | None) -> tuple[Deoccluder, str]:
    """Both stages of a preset, and the origin of their weights."""
    if preset not in PRESETS:
        raise DeoccError(f"preset {preset!r} is unknown; choose from {', '.join(PRESETS)}")
    try:
        find_weights(preset)
    except DeoccError:
        return _fresh_networks(preset, device), "freshly drawn"
    return Deoccluder.from_pretrained(preset, device), f"bundled {preset}"


def _fresh_networks(preset: str, device: str | None) -> Deoccluder:
    sizes = PRESETS[preset]
    mask, content = sizes.mask.settings, sizes.content.settings
    shape = (mask.templates, mask.template_size, mask.template_size) if mask.templates else None
    mask_net = MaskCompletionNet(
        mask.width, templates=shape, temperature=mask.temperature, levels=mask.levels
    )
    content_net = ContentRecoveryNet(
        content.width, attention=content.attention, levels=encoder_levels(sizes.size), alpha=content.alpha
    )
    return Deoccluder(mask_net, content_net, sizes.size, device)


def _case(person: Person, occluder: Occluder, seed: int) -> OcclusionCase:
    return occlude(person, occluder, 0.3, np.random.default_rng(seed), case_id="bench")


def _occlusion_job(people: list[Person], occluders: list[Occluder], size: int, seed: int) -> Job:
    """Draws the next training cases, people and occluders in memory."""
    data = OcclusionDataset(people, occluders, size, seed)
    for i in range(len(data)):
        data[i]  # fill the cache

    def job(call: int) -> None:
        data.set_epoch(call)
        for i in range(CASES_A_CALL):
            data[i % len(data)]

    return job


def _stage_jobs(deoccluder: Deoccluder, case: OcclusionCase) -> tuple[Job, Job]:
    """Stage 1 and stage 2 on one picture that is already on the device."""
    view = make_view(case.image, case.modal_mask)
    inputs = deoccluder.tensors([view], deoccluder.mask_size)
    masks = deoccluder.stage1(*inputs).resized(deoccluder.size)
    image, _, photo_mask = deoccluder.tensors([view])
    return lambda call: deoccluder.stage1(*inputs), lambda call: deoccluder.stage2(image, photo_mask, masks)


# ------------------------------------------------------------------ the clock


def _time(job: Job, count: int, device: torch.device) -> np.ndarray:
    """Milliseconds of each of `count` calls, after a warm-up; float64."""

    def wait() -> None:
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        elif device.type == "mps":
            torch.mps.synchronize()

    spent = np.zeros(count)
    for call in range(-WARM_UP, count):
        wait()
        begun = time.perf_counter()
        job(call + WARM_UP)
        wait()
        spent[max(call, 0)] = 1000 * (time.perf_counter() - begun)
    return spent


def _figures(milliseconds: np.ndarray) -> dict[str, Any]:
    low, median, high = (round(float(v), 3) for v in np.percentile(milliseconds, (25, 50, 75)))
    per_second = round(1000 / median, 1)
    return {
        "median_ms": median,
        "low_ms": low,
        "high_ms": high,
        "per_second": per_second,
        "n": len(milliseconds),
    }


def _device_name(device: torch.device) -> str:
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"cpu {platform.machine()}"


def format_bench(result: dict[str, Any]) -> str:
    """The figures as a table in text."""
    about = f"preset {result['preset']}, input {result['input']} px, {result['weights']} weights"
    head = f"{result['device']}, {result['threads']} threads, {about}"
    lines = [
        head,
        f"{'part':<20}{'median ms':>11}{'middle half':>18}{'per second':>12}{'N':>5}   paper, V100",
    ]
    for name, part in result["parts"].items():
        spread = f"{part['low_ms']:.2f}-{part['high_ms']:.2f}"
        paper = f"{part['paper_v100_ms']} ms at 256 px" if "paper_v100_ms" in part else "-"
        speed = f"{part['median_ms']:>11.2f}{spread:>18}{part['per_second']:>12.1f}"
        lines.append(f"{name:<20}{speed}{part['n']:>5}   {paper}")
    return "\n".join(lines)
