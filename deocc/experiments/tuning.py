"""Figures on held-out people during training."""

from __future__ import annotations

import hashlib

import torch
from torch import Tensor

from deocc import metrics
from deocc.experiments.people import Picked, TrainingPeople
from deocc.occlusion import OcclusionDataset, collate
from deocc.occlusion.batch import Batch
from deocc.occlusion.mix import TrainingMix
from deocc.training.mask import invisible_mask
from deocc.training.system import System

FIXED = TrainingMix(
    density="val", unoccluded=0.0, second_occluder=0.0, true_mask=0.0, box_mask=0.0, severity=(1.0, 1.0),
    frame_scale=(2.0, 2.0), frame_shift=0.0, rotation=0.0, stretch=0.0, colour=0.0, mirror=False,
)  # fmt: skip

"""How tuning cases are made: no jitter, M_i of severity 1."""


def fixed_batches(people: TrainingPeople, size: int, count: int, batch: int = 16) -> list[Batch]:
    """The same `count` tuning cases in every evaluation of every run with this data; seed 12345."""
    order = sorted(range(len(people.tuning_persons)), key=lambda i: hashlib.sha256(str(i).encode()).digest())
    chosen = Picked(people.tuning_persons, order[:count])
    data = OcclusionDataset(chosen, people.tuning_occluders, size, seed=12345, mix=FIXED)
    items = [data.item(0, index) for index in range(len(chosen))]
    return [collate(items[i : i + batch]) for i in range(0, len(items), batch)]


def evaluate_masks(system: System, batches: list[Batch], device: torch.device) -> dict[str, float]:
    """Per-instance mean IoUs, given the true visible mask and given M_i, over photo pixels.

    Returns:
        amodal, invisible and modal IoU under names such as "invisible_given_modal".
    """
    values: dict[str, list[Tensor]] = {}
    for batch in batches:
        batch = {name: value.to(device) for name, value in batch.items()}
        for prompt in ("modal", "initial"):
            found = system.predict({**batch, "initial_mask": batch[f"{prompt}_mask"]})
            for name, value in mask_ious(found, batch).items():
                values.setdefault(f"{name}_given_{prompt}", []).append(value)
    return {name: float(torch.cat(parts).mean()) for name, parts in values.items()}


def mask_ious(found: dict[str, Tensor], batch: Batch) -> dict[str, Tensor]:
    """IoU of each instance under "amodal", "invisible" and "modal" (N float64), over photo pixels.

    Args:
        found: probabilities of `modal_mask` and `amodal_mask`, N x 1 x H x W, as systems predict them.
        batch: the truth.
    """
    modal, amodal = found["modal_mask"] > 0.5, found["amodal_mask"] > 0.5
    amodal = amodal | modal
    true_modal, true_amodal = batch["modal_mask"] > 0, batch["amodal_mask"] > 0
    pairs = {
        "amodal": (amodal, true_amodal),
        "invisible": (amodal & ~modal, true_amodal & ~true_modal),
        "modal": (modal, true_modal),
    }
    region = (batch["photo_mask"] > 0).cpu()
    scores = {name: metrics.mask_iou(a.cpu(), b.cpu(), region) for name, (a, b) in pairs.items()}
    return {name: torch.as_tensor(score, dtype=torch.float64).reshape(-1) for name, score in scores.items()}


def evaluate_content(system: System, batches: list[Batch], device: torch.device) -> dict[str, float]:
    """PSNR (dB) and L1 inside the true invisible mask, from true masks and end to end from M_i.

    Returns:
        Means over cases under names such as "psnr_true" and "l1_predicted".
    """
    values: dict[str, list[Tensor]] = {}
    for batch in batches:
        batch = {name: value.to(device) for name, value in batch.items()}
        region = invisible_mask(batch) * batch["photo_mask"]
        present = region.sum((1, 2, 3)) > 0
        for masks in ("true", "predicted"):
            found = system.predict(batch, masks)  # type: ignore[call-arg]
            error = (found["recovered"] - batch["target"]) * region
            count = 3 * region.sum((1, 2, 3)).clamp_min(1)
            mse = (error.square().sum((1, 2, 3)) / count)[present]
            psnr = torch.as_tensor(metrics.psnr_of_mse(mse.cpu().numpy().reshape(-1)))
            values.setdefault(f"psnr_{masks}", []).append(psnr.reshape(-1).double())
            l1 = (error.abs().sum((1, 2, 3)) / count)[present]
            values.setdefault(f"l1_{masks}", []).append(l1.cpu().double())
    return {name: float(torch.cat(parts).mean()) for name, parts in values.items()}
