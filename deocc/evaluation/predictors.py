"""Adapters: every kind of system as a `Predictor`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, Protocol, runtime_checkable

import numpy as np
import torch
from torch import Tensor

from deocc.baselines import Baseline
from deocc.errors import DeoccError
from deocc.inference.deoccluder import Deoccluder
from deocc.inference.detail import add_detail
from deocc.inference.painting import PaintingTask, SoftParts, paint
from deocc.inference.photo import paste_pixels
from deocc.inference.predictions import CasePrediction, case_view, prediction_files, read_prediction
from deocc.masks import Frame, person_frame
from deocc.models.content_recovery import paints_whole
from deocc.occlusion import OcclusionCase, case_item, collate
from deocc.occlusion.batch import Batch, Prompt, prompt_mask
from deocc.training.content import RecoverySystem
from deocc.training.system import Prediction
from deocc.training.trainable import Trainable

Task = Literal["masks", "pixels"]


@runtime_checkable
class Predictor(Protocol):
    """A system that can be evaluated."""

    @property
    def sees(self) -> Literal["frame", "photo"]:
        """ "frame": the square person frame of a network; "photo": the photo at its own size."""

    def predict_masks(self, cases: Sequence[OcclusionCase], prompt: Prompt) -> list[CasePrediction]:
        """Completes masks. Args: prompt: the mask that it starts from, "initial", "modal" or "box"."""

    def recover_pixels(
        self, cases: Sequence[OcclusionCase], known: Sequence[OcclusionCase], prompt: Prompt
    ) -> list[CasePrediction]:
        """Recovers pixels.

        Args:
            cases: N cases as they are.
            known: the same cases with the masks and body parts that the system may use.
            prompt: the mask that determines the frame.
        """


def as_predictor(system: Any, size: int) -> Predictor:
    """A system of any kind as a `Predictor`.

    Args:
        system: a `Predictor`, a baseline (`deocc.baselines`), a trainable system (`deocc.training`), a
            `Deoccluder`, or the path of a prediction folder.
        size: side of the frame of systems that see one, pixels.

    Raises:
        DeoccError: it is none of these.
    """
    if isinstance(system, Predictor):
        return system
    if isinstance(system, str | Path):
        return StoredPredictions(Path(system))
    if isinstance(system, Deoccluder):
        return WholePipeline(system)
    if isinstance(system, RecoverySystem) and paints_whole(system.network):
        return PainterOfHoles(system, size)
    if isinstance(system, Trainable):
        return FrameSystem(system, size)
    if isinstance(system, Baseline):
        return PhotoBaseline(system) if system.on_photo else FrameBaseline(system, size)
    raise DeoccError(
        f"{type(system).__name__} is no system that can be evaluated; give a baseline, a trainable system, a "
        "Deoccluder or a prediction folder"
    )


# ------------------------------------------------------------------ that see the photo


@dataclass(frozen=True)
class StoredPredictions:
    """A prediction folder; its answers do not depend on the prompt. Attributes: path: the folder."""

    path: Path
    sees: Literal["frame", "photo"] = "photo"

    def predict_masks(self, cases: Sequence[OcclusionCase], prompt: Prompt) -> list[CasePrediction]:
        """The stored predictions. Raises: DeoccError: a prediction is missing or damaged."""
        return [read_prediction(self.path / c.id, prediction_files(self.path, [c.id])) for c in cases]

    def recover_pixels(
        self, cases: Sequence[OcclusionCase], known: Sequence[OcclusionCase], prompt: Prompt
    ) -> list[CasePrediction]:
        """The stored predictions; `known` is not used."""
        return self.predict_masks(cases, prompt)


@dataclass(frozen=True)
class WholePipeline:
    """Both stages end to end: pixels are recovered from its own masks. Attributes: deoccluder."""

    deoccluder: Deoccluder
    sees: Literal["frame", "photo"] = "photo"

    def predict_masks(self, cases: Sequence[OcclusionCase], prompt: Prompt) -> list[CasePrediction]:
        """Masks and body parts of stage 1."""
        answers = self.deoccluder.deocclude_views([case_view(case, prompt) for case in cases], False)
        return [CasePrediction(a.modal_mask, a.amodal_mask, a.parsing, None) for a in answers]

    def recover_pixels(
        self, cases: Sequence[OcclusionCase], known: Sequence[OcclusionCase], prompt: Prompt
    ) -> list[CasePrediction]:
        """Masks, body parts and pixels of both stages; `known` is not used."""
        answers = self.deoccluder.deocclude_views([case_view(case, prompt) for case in cases])
        return [CasePrediction(a.modal_mask, a.amodal_mask, a.parsing, a.recovered) for a in answers]


@dataclass(frozen=True)
class PhotoBaseline:
    """A baseline that works on the photo itself, one case at a time. Attributes: baseline."""

    baseline: Baseline
    sees: Literal["frame", "photo"] = "photo"

    def predict_masks(self, cases: Sequence[OcclusionCase], prompt: Prompt) -> list[CasePrediction]:
        """Completed masks, without body parts."""
        found = (self.baseline.predict(collate([photo_item(case, prompt)])) for case in cases)
        return [
            CasePrediction(_maps(f["modal_mask"])[0] > 0.5, _maps(f["amodal_mask"])[0] > 0.5) for f in found
        ]

    def recover_pixels(
        self, cases: Sequence[OcclusionCase], known: Sequence[OcclusionCase], prompt: Prompt
    ) -> list[CasePrediction]:
        """Recovered photos; a mask system may have left the known masks empty."""
        return [self._recover(*both, prompt) for both in zip(cases, known, strict=True)]

    def _recover(self, case: OcclusionCase, known: OcclusionCase, prompt: Prompt) -> CasePrediction:
        item = photo_item(case, prompt)
        for name in ("modal_mask", "amodal_mask"):
            item[name] = torch.from_numpy(getattr(known, name))[None].float()
        found = self.baseline.predict(collate([item]))["recovered"][0]
        picture = (found.permute(1, 2, 0) * 255).round().to(torch.uint8).cpu().numpy()
        return CasePrediction(known.modal_mask, known.amodal_mask, None, picture)


def photo_item(case: OcclusionCase, prompt: Prompt) -> dict[str, Tensor]:
    """An item of a Batch at the photo's own size, for baselines that work on the photo."""
    shape = case.image.shape[:2]

    def mask(array: np.ndarray | None) -> Tensor:
        return torch.from_numpy(np.zeros(shape, bool) if array is None else array)[None].float()

    return {
        "image": torch.from_numpy(case.image).permute(2, 0, 1).float() / 255,
        "initial_mask": mask(prompt_mask(case, prompt)),
        "modal_mask": mask(case.modal_mask),
        "amodal_mask": mask(case.amodal_mask),
        "photo_mask": torch.ones(1, *shape),
    }


# ------------------------------------------------------------------ that see the person's frame


class _InFrame:
    """The base class of systems that see the square person frame, S x S."""

    sees: Literal["frame", "photo"] = "frame"
    joins = False  # adds the visible person to the whole one, as the pipeline does

    def __init__(self, system: Any, size: int) -> None:
        self.system, self.size = system, size

    def _device(self) -> torch.device:
        return torch.device("cpu")

    def _predict(self, batch: Batch) -> Prediction:
        return self.system.predict(batch)

    def _finish(
        self, answers: list[CasePrediction], cases: Sequence[OcclusionCase], found: Prediction,
        frames: Sequence[Frame],
    ) -> list[CasePrediction]:  # fmt: skip
        """Adds detail to recovered photos at the photo's own size."""
        return answers

    def _batch(
        self, cases: Sequence[OcclusionCase], prompt: Prompt, frames: Sequence[Frame]
    ) -> dict[str, Tensor]:
        items = [case_item(case, self.size, prompt, f) for case, f in zip(cases, frames, strict=True)]
        return {name: value.to(self._device()) for name, value in collate(items).items()}

    def _known_batch(
        self, cases: Sequence[OcclusionCase], known: Sequence[OcclusionCase], prompt: Prompt
    ) -> tuple[list[Frame], dict[str, Tensor]]:
        """The known masks in the frames of the prompts."""
        starts = [prompt_mask(case, prompt) for case in cases]
        frames = [person_frame(start, photo_shape=start.shape) for start in starts]
        asked = [replace(case, initial_mask=start) for case, start in zip(known, starts, strict=True)]
        return frames, self._batch(asked, "initial", frames)

    def predict_masks(self, cases: Sequence[OcclusionCase], prompt: Prompt) -> list[CasePrediction]:
        """Completed masks and, where the system knows them, body parts."""
        frames = [person_frame(prompt_mask(case, prompt), photo_shape=case.image.shape[:2]) for case in cases]
        batch = self._batch(cases, prompt, frames)
        found = self._predict(batch)
        shapes = [case.image.shape[:2] for case in cases]
        answers = [
            paste_masks(found, i, frame, shape, self.joins)
            for i, (frame, shape) in enumerate(zip(frames, shapes, strict=True))
        ]
        if found["modal_mask"] is not batch["initial_mask"]:
            return answers
        # systems that return M_i get it back without resampling
        return [replace(a, modal_mask=prompt_mask(c, prompt)) for a, c in zip(answers, cases, strict=True)]

    def recover_pixels(
        self, cases: Sequence[OcclusionCase], known: Sequence[OcclusionCase], prompt: Prompt
    ) -> list[CasePrediction]:
        """Recovered photos, pasted back into the hole that the system was given."""
        frames, batch = self._known_batch(cases, known, prompt)
        found = self._predict(batch)
        pictures = found["recovered"].detach().float().permute(0, 2, 3, 1).cpu().numpy()
        holes = _maps(batch["amodal_mask"] * (1 - batch["modal_mask"]) * batch["photo_mask"])
        answers = [_painted(*parts) for parts in zip(known, pictures, holes, frames, strict=True)]
        return self._finish(answers, cases, found, frames)


class FrameBaseline(_InFrame):
    """A baseline that sees the person's frame."""


class FrameSystem(_InFrame):
    """A trainable system; one that recovers pixels uses the guidance of its `evaluated`."""

    joins = True

    def _device(self) -> torch.device:
        parameter = next(iter(self.system.network.parameters()), None)
        return torch.device("cpu") if parameter is None else parameter.device

    def _predict(self, batch: Batch) -> Prediction:
        if isinstance(self.system, RecoverySystem):
            return self.system.predict(batch, self.system.evaluated)
        return self.system.predict(batch)

    def _finish(
        self, answers: list[CasePrediction], cases: Sequence[OcclusionCase], found: Prediction,
        frames: Sequence[Frame],
    ) -> list[CasePrediction]:  # fmt: skip
        if not isinstance(self.system, RecoverySystem):
            return answers
        detail = self.system.texture, self.system.exemplar
        if not any(detail):
            return answers
        parts = [kind.to(torch.uint8).cpu().numpy() for kind in found["parsing_amodal"]]
        return [_detailed(*four, *detail) for four in zip(answers, cases, parts, frames, strict=True)]


class PainterOfHoles(FrameSystem):
    """A painter of whole holes. It paints in its own frame; stage 1 sees the person frame."""

    def recover_pixels(
        self, cases: Sequence[OcclusionCase], known: Sequence[OcclusionCase], prompt: Prompt
    ) -> list[CasePrediction]:
        """Recovered photos; missing labels come from stage 1, and all labels for "seen"."""
        frames, batch = self._known_batch(cases, known, prompt)
        soft: list[SoftParts | None] = [None] * len(known)
        if self.system.evaluated == "seen":
            given = (batch[name] for name in ("image", "modal_mask", "photo_mask"))
            with torch.inference_mode():
                logits = self.system.stage1(*given).parsing_amodal
            labels = logits[:, 1:].argmax(1) + 1  # a part for every pixel, as in `paste_parsing`
            soft = [SoftParts.of_logits(*pair) for pair in zip(logits, frames, strict=True)]
        else:
            labels = self.system.true_guidance(batch).parsing_amodal
        coarse = labels.to(torch.uint8).cpu().numpy()
        return [self._paint(*four) for four in zip(known, coarse, frames, soft, strict=True)]

    def _paint(
        self, case: OcclusionCase, coarse: np.ndarray, frame: Frame, soft: SoftParts | None
    ) -> CasePrediction:
        assert case.modal_mask is not None and case.amodal_mask is not None
        labels = case.parsing_amodal
        if labels is None or soft is not None:
            labels = frame.paste(coarse, case.image.shape[:2], mode="nearest")
        masks = case.modal_mask, case.amodal_mask
        picture = paint(self.system.network, PaintingTask(case.image, *masks, labels, soft), self.size)
        picture = add_detail(case.image, picture, *masks, labels, self.system.texture, self.system.exemplar)
        return CasePrediction(*masks, None, picture)


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


def _painted(known: OcclusionCase, picture: np.ndarray, hole: np.ndarray, frame: Frame) -> CasePrediction:
    assert known.invisible_mask is not None
    recovered = paste_pixels(known.image, picture, hole, frame, known.invisible_mask, known.modal_mask)
    return CasePrediction(known.modal_mask, known.amodal_mask, None, recovered)


def _detailed(
    answer: CasePrediction,
    case: OcclusionCase,
    parts: np.ndarray,
    frame: Frame,
    texture: float,
    exemplar: bool,
) -> CasePrediction:
    """The answer with detail where its hole has a part; parts: S x S uint8, pasted by nearest."""
    assert answer.recovered is not None and answer.modal_mask is not None and answer.amodal_mask is not None
    parsing = frame.paste(parts, case.image.shape[:2], mode="nearest")
    masks = answer.modal_mask, answer.amodal_mask
    detailed = add_detail(case.image, answer.recovered, *masks, parsing, texture, exemplar)
    return replace(answer, recovered=detailed)
