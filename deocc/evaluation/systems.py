"""Several systems on the same cases, scored by the same code: the rows of a table.

See `deocc.evaluation.predictors` for what a system may be. Each predicts at its own size; scores are computed
on the photo's pixels.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from tqdm.auto import tqdm

from deocc.errors import DeoccError
from deocc.evaluation.folders import CHUNK, chunked, evaluate_chunks
from deocc.evaluation.judge import PixelJudge
from deocc.evaluation.predictors import StoredPredictions, Task, WholePipeline, as_predictor
from deocc.evaluation.report import METRICS, format_table, interval_text
from deocc.inference.deoccluder import Deoccluder
from deocc.inference.predictions import CasePrediction
from deocc.io import PathLike, write_atomic, write_json
from deocc.markdown import markdown
from deocc.masks import person_frame
from deocc.occlusion import CaseFolder, OcclusionCase
from deocc.occlusion.batch import Prompt, prompt_mask
from deocc.training.content import ContentSettings, ContentSystem
from deocc.training.guidance import GuidanceKind
from deocc.training.settings import AdversarySettings

SCHEMA = "deocc.comparison/1"
COLUMNS: dict[str, tuple[str, ...]] = {
    "masks": (
        "amodal_iou", "invisible_iou", "modal_iou", "amodal_l1", "invisible_iou_global", "parsing_miou",
    ),
    "pixels": (
        "recovered_psnr", "recovered_l1", "recovered_ssim", "recovered_perceptual", "recovered_detail",
        "recovered_colour", "recovered_kernel", "recovered_psnr_pooled", "frechet",
    ),
}  # fmt: skip


def training_masks(cases: Iterable[OcclusionCase], size: int, prompt: Prompt = "modal") -> np.ndarray:
    """Whole masks of training cases in person frames, N x size x size bool.

    `MeanMask.fit` and `NearestTemplate` learn from them.
    """
    masks = []
    for case in cases:
        assert case.amodal_mask is not None
        frame = person_frame(prompt_mask(case, prompt), photo_shape=case.amodal_mask.shape)
        masks.append(frame.crop_mask(case.amodal_mask, size))
    return np.stack(masks)


def recovery_system(deoccluder: Deoccluder, parts: GuidanceKind = "true") -> ContentSystem:
    """Stage 2 of trained weights as a system that recovers pixels from known masks, for task "pixels".

    The `Deoccluder` itself is another system: it works end to end, from its own masks.

    Args:
        deoccluder: both stages.
        parts: body parts come from true labels (stage 1's on the unoccluded photo where a person has none),
            or are "seen" by stage 1 in the occluded photo.
    """
    silent = AdversarySettings(weight=0)
    soft = deoccluder.soft_parts
    settings = ContentSettings(perceptual=0, style=0, style_whole=0, adversary=silent, soft_parts=soft)
    system = ContentSystem(settings, deoccluder.size, deoccluder.mask_net, deoccluder.content_net)
    system.evaluated = parts
    system.texture, system.exemplar = deoccluder.texture, deoccluder.exemplar
    return system


# --- one chunk of cases --------------------------------------------------------------------------


def known_masks(
    cases: Sequence[OcclusionCase], prompt: Prompt, size: int, masks: Any = None
) -> list[OcclusionCase]:
    """The cases with the masks that a recovery system uses: true ones, or those of a mask system.

    With a mask system without body parts, there are none: true parts would reveal the hidden person.

    Raises:
        DeoccError: a case lacks the true masks that were requested.
    """
    if masks is None:
        for case in cases:
            if case.invisible_mask is None:
                raise DeoccError(f"case {case.id}: recovery from true masks needs modal.png and amodal.png")
        return list(cases)
    known = []
    for case, found in zip(cases, predict_chunk(masks, cases, "masks", prompt, size), strict=True):
        assert found.modal_mask is not None and found.amodal_mask is not None
        parsing = np.zeros(case.image.shape[:2], np.uint8) if found.parsing is None else found.parsing
        known.append(
            replace(
                case,
                modal_mask=found.modal_mask,
                amodal_mask=found.amodal_mask | found.modal_mask,
                parsing_amodal=parsing,
            )
        )
    return known


def predict_chunk(
    system: Any,
    cases: Sequence[OcclusionCase],
    task: Task,
    prompt: Prompt = "initial",
    size: int = 128,
    masks: Any = None,
) -> list[CasePrediction]:
    """One system's predictions for some cases, on photo pixels.

    Args:
        system: a baseline, a trainable system, a `Deoccluder` or the path of a prediction folder.
        cases: N cases.
        task: "masks", or "pixels" (recovery from known masks).
        prompt: the mask that everything starts from: "initial", "modal" or "box".
        size: side of a trainable system's person frame.
        masks: for "pixels", the mask system (of any kind) whose answer replaces the true masks, or None.
    """
    predictor = as_predictor(system, size)
    if task == "masks":
        return predictor.predict_masks(cases, prompt)
    whole = isinstance(predictor, StoredPredictions | WholePipeline)  # it works from masks of its own
    known = cases if whole else known_masks(cases, prompt, size, masks)
    return predictor.recover_pixels(cases, known, prompt)


# --- the table -----------------------------------------------------------------------------------


def _fresh(cases: PathLike | CaseFolder | Sequence[OcclusionCase]) -> Sequence[OcclusionCase]:
    return CaseFolder(cases) if isinstance(cases, str | Path) else cast(Sequence[OcclusionCase], cases)


def _predicted(
    systems: Mapping[str, Any], cases: Sequence[OcclusionCase], progress: bool, **options: Any
) -> Iterator[list[tuple[OcclusionCase, list[CasePrediction]]]]:
    read = (cases[i] for i in range(len(cases)))
    for chunk in chunked(tqdm(read, "comparing", len(cases), unit="case", disable=not progress), CHUNK):
        columns = [predict_chunk(system, chunk, **options) for system in systems.values()]
        yield [(case, [column[i] for column in columns]) for i, case in enumerate(chunk)]


def evaluate_systems(
    systems: Mapping[str, Any],
    cases: PathLike | CaseFolder | Sequence[OcclusionCase],
    task: Task = "masks",
    prompt: Prompt = "initial",
    size: int = 128,
    masks: Any = None,
    seed: int = 0,
    device: str | torch.device = "cpu",
    perceptual: bool = True,
    facts: Mapping[str, Any] | None = None,
    progress: bool = False,
) -> dict[str, Any]:
    """Scores several systems on the same cases.

    Args:
        systems: row name -> system; see `predict_chunk`.
        cases: a case folder, or cases in memory.
        task: "masks", or "pixels": recovery inside the invisible mask, from known masks.
        prompt: the mask that everything starts from.
        size: side of trainable systems' frames.
        masks: for "pixels", the mask system of an end-to-end run; None: true masks.
        seed: of the bootstrap.
        device: of the feature networks.
        perceptual: for "pixels", perceptual and Frechet distances too.
        facts: further facts for the table: command, preset, seeds.
        progress: show a bar.

    Returns:
        JSON values: "task", "given", "masks", "cases", "people", the facts, and "systems": row name -> result
        as of `evaluate_folders`.
    """
    cases = _fresh(cases)
    judge = PixelJudge(device) if perceptual and task == "pixels" else None
    chunks = _predicted(systems, cases, progress, task=task, prompt=prompt, size=size, masks=masks)
    evaluations = evaluate_chunks(chunks, list(systems), judge, seed)
    results = {name: e.result() for name, e in zip(systems, evaluations, strict=True)}
    first = next(iter(results.values()))
    described = "true masks" if masks is None else getattr(masks, "name", type(masks).__name__)
    head = {"schema": SCHEMA, "task": task, "given": prompt, "masks": described if task == "pixels" else None}
    head |= {"cases": first["cases"], "people": first["people"], "confidence": first["confidence"]}
    return head | dict(facts or {}) | {"systems": results}


def evaluate_system(
    system: Any, cases: PathLike | CaseFolder | Sequence[OcclusionCase], name: str = "", **options: Any
) -> dict[str, Any]:
    """One system's result; options as `evaluate_systems`, result as `evaluate_folders`."""
    label = name or getattr(system, "name", type(system).__name__)
    return evaluate_systems({label: system}, cases, **options)["systems"][label]


def format_comparison(result: Mapping[str, Any], title: str = "") -> str:
    """A comparison as Markdown: what was measured on what, the table, invisible IoU or PSNR by ratio."""
    prompt = {"initial": "M_i", "modal": "the true visible mask", "box": "a box"}[result["given"]]
    words = [f"{result['cases']} cases of {result['people']} people", f"given {prompt}"]
    if result["task"] == "pixels":
        words.append(f"recovery from {result['masks']}")
    known = {k: v for k, v in result.items() if isinstance(v, str) and k not in _HEAD}
    lines = [f"# {title}" if title else "", "; ".join(words) + f". Intervals: {result['confidence']}."]
    lines += [f"{key}: `{value}`" for key, value in known.items()]
    lines.append(format_table(result["systems"], COLUMNS[result["task"]]))
    lines.append(
        _by_ratio(result["systems"], "invisible_iou" if result["task"] == "masks" else "recovered_psnr")
    )
    return "\n\n".join(line for line in lines if line) + "\n"


_HEAD = ("schema", "task", "given", "masks", "cases", "people", "confidence", "systems")


def _by_ratio(systems: Mapping[str, dict[str, Any]], name: str) -> str:
    bins = next(iter(systems.values()))["by_ratio"]
    if not bins:
        return ""
    header = ("by occlusion ratio", *(f"{b['low']:.1f}-{b['high']:.1f} (N={b['n']})" for b in bins))
    rows = [
        (
            label,
            *(
                interval_text(METRICS[name], b["metrics"].get(name), with_interval=False)
                for b in r["by_ratio"]
            ),
        )
        for label, r in systems.items()
    ]
    return f"{METRICS[name].title} by occlusion ratio:\n\n" + markdown(header, rows)


def save_comparison(result: Mapping[str, Any], stem: PathLike, title: str = "") -> tuple[Path, Path]:
    """Writes ``<stem>.json`` (everything but single cases) and ``<stem>.md``; returns both paths."""
    stem = Path(stem)
    systems = {n: {k: v for k, v in r.items() if k != "per_case"} for n, r in result["systems"].items()}
    data = write_json(stem.with_name(stem.name + ".json"), {**result, "systems": systems})
    text = format_comparison(result, title)
    page = write_atomic(stem.with_name(stem.name + ".md"), lambda file: file.write(text.encode()))
    return data, page
