"""Several systems on the same cases, scored by the same code: the rows of a table.

A system is a baseline (`deocc.baselines`), a trainable system (`deocc.training.System`), a `Deoccluder`, or a
prediction folder. Each predicts at the size it works at; everything is scored on the photo's own pixels.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from inspect import signature
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np
import torch
from torch import Tensor
from tqdm.auto import tqdm

from deocc.baselines import Baseline, Batch, Prediction
from deocc.errors import DeoccError
from deocc.evaluation import (
    CHUNK,
    CasePrediction,
    chunked,
    evaluate_chunks,
    prediction_files,
    read_prediction,
)
from deocc.io import PathLike, write_atomic, write_json
from deocc.judge import PixelJudge
from deocc.masks import Frame, person_frame
from deocc.occlusion import CaseFolder, OcclusionCase, case_item, collate
from deocc.occlusion.dataset import initial_mask
from deocc.pipeline import Deoccluder, Given, paste_pixels
from deocc.predictions import case_view
from deocc.systems import AdversarySettings, ContentSettings, ContentSystem
from deocc.tables import METRICS, format_table, interval_text, markdown
from deocc.texture import transfer_texture

SCHEMA = "deocc.comparison/1"
Task = Literal["masks", "pixels"]
COLUMNS: dict[str, tuple[str, ...]] = {
    "masks": (
        "amodal_iou", "invisible_iou", "modal_iou", "amodal_l1", "invisible_iou_global", "parsing_miou",
    ),
    "pixels": (
        "recovered_psnr", "recovered_l1", "recovered_ssim", "recovered_perceptual", "recovered_psnr_pooled",
        "frechet",
    ),
}  # fmt: skip


def training_masks(cases: Iterable[OcclusionCase], size: int, given: str = "modal") -> np.ndarray:
    """Whole masks of training cases in the frames that a system is asked about, N x size x size bool.

    What `MeanMask.fit` and `NearestTemplate` learn from.
    """
    masks = []
    for case in cases:
        assert case.amodal_mask is not None
        frame = person_frame(initial_mask(case, given), photo=case.amodal_mask.shape)
        masks.append(frame.crop_mask(case.amodal_mask, size))
    return np.stack(masks)


def recovery_system(deoccluder: Deoccluder, parts: Literal["true", "seen"] = "true") -> ContentSystem:
    """Stage 2 of trained weights as a system that recovers from masks it is given, for task "pixels".

    The `Deoccluder` itself is a row of its own: end to end, from its own masks.

    Args:
        deoccluder: both stages.
        parts: body parts come from true labels (stage 1's on the unoccluded photo where a person has none),
            or are "seen" by stage 1 in the occluded photo.
    """
    silent = AdversarySettings(weight=0)
    settings = ContentSettings(width=8, perceptual=0, style=0, style_whole=0, adversary=silent)
    system = ContentSystem(settings, deoccluder.size, deoccluder.mask_net)
    system.network = deoccluder.content_net  # the one above was only there to be replaced
    system.told = parts
    system.texture = deoccluder.texture
    return system


# --- one chunk of cases --------------------------------------------------------------------------


def photo_item(case: OcclusionCase, given: Given) -> dict[str, Tensor]:
    """An item of a Batch at the photo's own size, for baselines that work on the photo."""
    shape = case.image.shape[:2]

    def mask(array: np.ndarray | None) -> Tensor:
        return torch.from_numpy(np.zeros(shape, bool) if array is None else array)[None].float()

    return {
        "image": torch.from_numpy(case.image).permute(2, 0, 1).float() / 255,
        "initial_mask": mask(initial_mask(case, given)),
        "modal_mask": mask(case.modal_mask),
        "amodal_mask": mask(case.amodal_mask),
        "photo": torch.ones(1, *shape),
    }


def _device(system: Any) -> torch.device:
    network = getattr(system, "network", None)
    parameter = None if network is None else next(iter(network.parameters()), None)
    return torch.device("cpu") if parameter is None else parameter.device


def _on(batch: Batch, device: torch.device) -> Batch:
    return {name: value.to(device) for name, value in batch.items()}


def _maps(tensor: Tensor) -> np.ndarray:
    """N x 1 x S x S or N x S x S -> N x S x S array."""
    return (tensor[:, 0] if tensor.ndim == 4 else tensor).detach().float().cpu().numpy()


def paste_masks(
    prediction: Prediction, index: int, frame: Frame, shape: tuple[int, int], join: bool = True
) -> CasePrediction:
    """One item's masks and body parts on the photo: probabilities linearly, cut at 0.5; labels by nearest.

    Body parts lie on the whole person. join: add the visible person to the whole one.
    """
    if "amodal_mask" not in prediction:
        return CasePrediction()
    modal, amodal = (
        frame.paste(_maps(prediction[name])[index], shape) > 0.5 for name in ("modal_mask", "amodal_mask")
    )
    amodal |= modal & join
    parsing = None
    if "parsing_amodal" in prediction:
        labels = prediction["parsing_amodal"][index].to(torch.uint8).cpu().numpy()
        parsing = frame.paste(labels, shape, mode="nearest") * amodal.astype(np.uint8)
    return CasePrediction(modal, amodal, parsing)


def known_masks(
    cases: Sequence[OcclusionCase], given: Given, size: int, masks: Any = None
) -> list[OcclusionCase]:
    """The cases as a recovery system meets them: with their true masks, or with a mask system's.

    A mask system without body parts leaves none: the true ones would tell what it does not know.

    Raises:
        DeoccError: a case lacks the true masks that were asked for.
    """
    if masks is None:
        for case in cases:
            if case.invisible_mask is None:
                raise DeoccError(f"case {case.id}: recovery from true masks needs modal.png and amodal.png")
        return list(cases)
    told = []
    for case, found in zip(cases, predict_chunk(masks, cases, "masks", given, size), strict=True):
        assert found.modal_mask is not None and found.amodal_mask is not None
        parsing = np.zeros(case.image.shape[:2], np.uint8) if found.parsing is None else found.parsing
        told.append(
            replace(
                case,
                modal_mask=found.modal_mask,
                amodal_mask=found.amodal_mask | found.modal_mask,
                parsing_amodal=parsing,
            )
        )
    return told


def _frame_masks(
    system: Any, cases: Sequence[OcclusionCase], given: Given, size: int
) -> list[CasePrediction]:
    """A mask system that sees person frames."""
    frames = [person_frame(initial_mask(case, given), photo=case.image.shape[:2]) for case in cases]
    items = [case_item(case, size, given, frame) for case, frame in zip(cases, frames, strict=True)]
    batch = _on(collate(items), _device(system))
    found = system.predict(batch)
    join = not hasattr(system, "on_photo")  # as the pipeline does; baselines answer for themselves
    answers = [paste_masks(found, i, frames[i], case.image.shape[:2], join) for i, case in enumerate(cases)]
    if found["modal_mask"] is not batch["initial_mask"]:
        return answers
    # who passes M_i through is not charged for resampling it
    return [replace(a, modal_mask=initial_mask(c, given)) for a, c in zip(answers, cases, strict=True)]


def _frame_pixels(
    system: Any, cases: Sequence[OcclusionCase], told: Sequence[OcclusionCase], given: Given, size: int
) -> list[CasePrediction]:
    """A recovery system that sees person frames. told: the cases with the masks that it is given."""
    starts = [initial_mask(case, given) for case in cases]
    frames = [person_frame(start, photo=start.shape) for start in starts]
    items = [
        case_item(replace(case, initial_mask=start), size, "initial", frame)
        for case, start, frame in zip(told, starts, frames, strict=True)
    ]
    batch = _on(collate(items), _device(system))
    # trainable recovery systems can also run their own stage 1; here the batch says which masks hold
    choice = "masks" in signature(system.predict).parameters
    options = {"masks": getattr(system, "told", "true")} if choice else {}
    found = system.predict(batch, **options)
    pictures = found["recovered"].detach().float().permute(0, 2, 3, 1).cpu().numpy()
    holes = _maps(batch["amodal_mask"] * (1 - batch["modal_mask"]) * batch["photo"])
    answers = [_painted(*parts) for parts in zip(told, pictures, holes, frames, strict=True)]
    if not getattr(system, "texture", 0.0):
        return answers
    parts = [kind.to(torch.uint8).cpu().numpy() for kind in found["parsing_amodal"]]
    return [_textured(*four, system.texture) for four in zip(answers, cases, parts, frames, strict=True)]


def _painted(told: OcclusionCase, picture: np.ndarray, hole: np.ndarray, frame: Frame) -> CasePrediction:
    assert told.invisible_mask is not None
    recovered = paste_pixels(told.image, picture, hole, frame, told.invisible_mask)
    return CasePrediction(told.modal_mask, told.amodal_mask, None, recovered)


def _textured(
    answer: CasePrediction, case: OcclusionCase, parts: np.ndarray, frame: Frame, gain: float
) -> CasePrediction:
    """The answer with texture where its hole has a part; parts: S x S uint8, pasted by nearest."""
    assert answer.recovered is not None and answer.modal_mask is not None and answer.amodal_mask is not None
    parsing = frame.paste(parts, case.image.shape[:2], mode="nearest")
    return replace(
        answer,
        recovered=transfer_texture(
            case.image, answer.recovered, answer.modal_mask, answer.amodal_mask, parsing, gain
        ),
    )


def _photo_masks(system: Baseline, case: OcclusionCase, given: Given) -> CasePrediction:
    """A mask baseline on the photo itself."""
    found = system.predict(collate([photo_item(case, given)]))
    return CasePrediction(*(_maps(found[name])[0] > 0.5 for name in ("modal_mask", "amodal_mask")))


def _photo_pixels(system: Baseline, case: OcclusionCase, told: OcclusionCase, given: Given) -> CasePrediction:
    """A recovery baseline on the photo itself.

    told: the case with the masks that it is given, which a mask system may have left empty.
    """
    item = photo_item(case, given)
    for name in ("modal_mask", "amodal_mask"):
        item[name] = torch.from_numpy(getattr(told, name))[None].float()
    found = system.predict(collate([item]))["recovered"][0]
    picture = (found.permute(1, 2, 0) * 255).round().to(torch.uint8).cpu().numpy()
    return CasePrediction(told.modal_mask, told.amodal_mask, None, picture)


def predict_chunk(
    system: Any,
    cases: Sequence[OcclusionCase],
    task: Task,
    given: Given = "initial",
    size: int = 128,
    masks: Any = None,
) -> list[CasePrediction]:
    """What one system says about some cases, on photo pixels.

    Args:
        system: a baseline, a trainable system, a `Deoccluder` or the path of a prediction folder.
        cases: N cases.
        task: "masks", or "pixels" (recovery given masks).
        given: the mask that everything starts from: "initial", "modal" or "box".
        size: side of a trainable system's person frame.
        masks: for "pixels", the mask system (of any kind) whose answer replaces the true masks, or None.
    """
    if isinstance(system, str | Path):
        return [
            read_prediction(Path(system) / case.id, prediction_files(system, [case.id])) for case in cases
        ]
    if isinstance(system, Deoccluder):
        answers = system.deocclude_views([case_view(case, given) for case in cases], task == "pixels")
        painted = [a.recovered if task == "pixels" else None for a in answers]
        return [
            CasePrediction(a.modal_mask, a.amodal_mask, a.parsing, picture)
            for a, picture in zip(answers, painted, strict=True)
        ]
    on_photo = getattr(system, "on_photo", False)
    if task == "masks":
        if on_photo:
            return [_photo_masks(system, case, given) for case in cases]
        return _frame_masks(system, cases, given, size)
    told = known_masks(cases, given, size, masks)
    if on_photo:
        return [_photo_pixels(system, case, t, given) for case, t in zip(cases, told, strict=True)]
    return _frame_pixels(system, cases, told, given, size)


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
    given: Given = "initial",
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
        task: "masks", or "pixels": recovery inside the invisible mask, given masks.
        given: the mask that everything starts from.
        size: side of trainable systems' frames.
        masks: for "pixels", the mask system of an end-to-end run; None: true masks.
        seed: of the bootstrap.
        device: of the feature networks.
        perceptual: for "pixels", perceptual and Frechet distances too.
        facts: what else the table must say: command, preset, seeds.
        progress: show a bar.

    Returns:
        JSON values: "task", "given", "masks", "cases", "people", the facts, and "systems": row name -> result
        as of `evaluate_folders`.
    """
    cases = _fresh(cases)
    judge = PixelJudge(device) if perceptual and task == "pixels" else None
    chunks = _predicted(systems, cases, progress, task=task, given=given, size=size, masks=masks)
    evaluations = evaluate_chunks(chunks, list(systems), judge, seed)
    results = {name: e.result() for name, e in zip(systems, evaluations, strict=True)}
    first = next(iter(results.values()))
    described = "true masks" if masks is None else getattr(masks, "name", type(masks).__name__)
    head = {"schema": SCHEMA, "task": task, "given": given, "masks": described if task == "pixels" else None}
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
    told = {"initial": "M_i", "modal": "the true visible mask", "box": "a box"}[result["given"]]
    words = [f"{result['cases']} cases of {result['people']} people", f"given {told}"]
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
