"""Checkpoints of a run."""

from __future__ import annotations

import json
import logging
import os
import random
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from deocc.errors import DeoccError
from deocc.io import remove_temporaries

_log = logging.getLogger("deocc")

FIELDS: dict[str, type | tuple[type, ...]] = {  # what every checkpoint holds
    "step": int, "minutes": (float, int), "config": dict, "evaluation": dict, "network": dict, "ema": dict,
    "optimizer": dict, "rng": (dict, list),
}  # fmt: skip
MISFIT = (
    RuntimeError,
    LookupError,
    ValueError,
    TypeError,
    AttributeError,
    ArithmeticError,
)  # of other content
OPTIONAL: dict[str, type] = {
    "discriminator": dict, "optimizer_d": dict, "scaler": dict, "since_log": dict, "images_per_second": float,
    "stretches": list,
}  # fmt: skip


def rng_state() -> dict[str, Any]:
    """State of this process's global generators, in types that a weights-only load admits.

    Of several GPUs, only the current one: each process of a run has its own.
    """
    name, keys, *rest = np.random.get_state()
    state = {"torch": torch.get_rng_state(), "python": random.getstate()}
    state["numpy"] = [str(name), torch.from_numpy(np.asarray(keys).astype(np.int64)), *rest]  # type: ignore[attr-defined]
    if torch.cuda.is_available():
        state["cuda"] = torch.cuda.get_rng_state()
    if torch.backends.mps.is_available():
        state["mps"] = torch.mps.get_rng_state()
    return state


def set_rng_state(state: dict[str, Any]) -> None:
    """Sets the generators of this machine to a state of `rng_state`.

    Earlier checkpoints hold the states of all GPUs of their machine; this one may have fewer.
    """
    torch.set_rng_state(state["torch"])
    version, internal, gauss = state["python"]
    random.setstate((version, tuple(internal), gauss))
    name, keys, *rest = state["numpy"]
    np.random.set_state((name, keys.numpy().astype(np.uint32), *rest))
    if torch.cuda.is_available() and "cuda" in state:
        found = state["cuda"]
        states = found if isinstance(found, list) else [found]
        torch.cuda.set_rng_state(states[min(torch.cuda.current_device(), len(states) - 1)])
    if torch.backends.mps.is_available() and "mps" in state:
        torch.mps.set_rng_state(state["mps"])


def checkpoints(out: Path) -> list[Path]:
    """Checkpoints of a run, oldest first."""
    return sorted((out / "checkpoints").glob("step_*.pt"))


def save_checkpoint(out: Path, state: dict[str, Any], keep: int) -> Path:
    """Writes a checkpoint under a temporary name, to the disk, renames it, then deletes earlier ones.

    The last `keep` up to this step stay. Those of later steps are not deleted.
    """
    path = out / "checkpoints" / f"step_{state['step']:08d}.pt"
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".tmp")
    with temporary.open("wb") as file:
        torch.save(state, file)
        file.flush()
        os.fsync(file.fileno())  # else a power cut could leave the new name without its bytes
    os.replace(temporary, path)
    _sync_folder(path.parent)
    for old in [other for other in checkpoints(out) if other.name <= path.name][: -max(1, keep)]:
        old.unlink()
    return path


def _sync_folder(folder: Path) -> None:
    """Flushes a folder's entries to the disk, if the system supports it."""
    try:
        handle = os.open(folder, os.O_RDONLY)
    except OSError:  # Windows opens no folders
        return
    try:
        os.fsync(handle)
    except OSError:
        pass  # nor do some network file systems sync them
    finally:
        os.close(handle)


FOLDER = 0x10  # attribute of an archive's entry, no part of a checksum


def load_checkpoint(path: Path) -> dict[str, Any]:
    """Reads a checkpoint without unpickling code, after its checksums.

    Raises:
        DeoccError: the file is cut off, damaged (a checksum is wrong) or foreign.
    """
    try:
        with zipfile.ZipFile(path) as archive:  # PyTorch writes a CRC-32 of each tensor and reads none
            damaged = archive.testzip()
            folders = [info.filename for info in archive.infolist() if info.external_attr & FOLDER]
        damaged = damaged or next(iter(folders), None)  # PyTorch reads nothing of what is called a folder
        if damaged is not None:
            raise zipfile.BadZipFile(f"wrong checksum of {damaged}")
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # zip, pickle and runtime errors all mean the same to the user
        raise _unreadable(path, type(error).__name__) from error
    wrong = _wrong_field(state)
    if wrong:
        raise _unreadable(path, wrong)
    return state


def _unreadable(path: Path, why: str) -> DeoccError:
    return DeoccError(f"{path}: not a readable checkpoint ({why}); delete it, an older one is used")


def _wrong_field(state: Any) -> str:
    """What a checkpoint lacks or holds in another type; "" if it is complete."""
    if not isinstance(state, dict):
        return f"holds a {type(state).__name__}"
    for name, kind in (FIELDS | OPTIONAL).items():
        if name not in state:
            if name in FIELDS:
                return f"without {name}"
            continue
        if not isinstance(state[name], kind) or isinstance(state[name], bool):
            return f"{name} is a {type(state[name]).__name__}"
    for name in ("config", "evaluation"):
        for key, value in state[name].items():
            if not isinstance(value, str | int | float | None):
                return f"{name}.{key} is a {type(value).__name__}"
    for one in state.get("stretches", []):
        if not isinstance(one, dict) or not isinstance(one.get("step"), int):
            return "stretches are no objects with a step"
    if state["step"] < 0 or not state["minutes"] >= 0:
        return f"step {state['step']}, minutes {state['minutes']}"
    return ""


def load_optimizer(optimizer: Any, state: dict[str, Any]) -> None:
    """Fills an optimiser from its state in a checkpoint.

    Args:
        optimizer: of the same network; one of PyTorch's, or Accelerate's around it.
        state: its `state_dict`.

    Raises:
        ValueError: settings of other types, or moments of other shapes, which PyTorch would take until it
            stumbles over them.
    """
    for old, new in zip(optimizer.state_dict()["param_groups"], state["param_groups"], strict=True):
        for key, value in old.items():
            if not _alike(value, new.get(key, value)):
                raise ValueError(f"{key} of the optimiser is a {type(new[key]).__name__}")
    parameters = [one for group in optimizer.param_groups for one in group["params"]]
    needed = {"step", "exp_avg", "exp_avg_sq"} if "betas" in optimizer.param_groups[0] else set()
    for number, moments in state["state"].items():
        if missing := needed - set(moments):
            raise ValueError(f"{min(missing)} of the optimiser is missing")
        for name, value in moments.items():
            if not isinstance(value, Tensor) or value.shape not in ((), parameters[number].shape):
                raise ValueError(f"{name} of the optimiser fits no parameter")
    settings = [{k: v for k, v in g.items() if k not in ("params", "lr")} for g in optimizer.param_groups]
    optimizer.load_state_dict(state)
    for group, own in zip(optimizer.param_groups, settings, strict=True):
        group.update(own)  # a resumed run has its own settings, not those of the checkpoint


def _alike(old: Any, new: Any) -> bool:
    """Whether a setting has the type that it had; a number stands for a number."""
    if isinstance(old, list | tuple):
        return isinstance(new, list | tuple) and len(old) == len(new) and all(map(_alike, old, new))
    if old is None or isinstance(old, bool):  # "fused" and its like: yes, no, or PyTorch's choice
        return new is None or isinstance(new, bool)
    if isinstance(old, int | float):
        return isinstance(new, int | float) and not isinstance(new, bool)
    return type(old) is type(new)


def newest_checkpoint(out: Path) -> tuple[Path, dict[str, Any]] | None:
    """The newest checkpoint that can be read; newer ones are renamed to ``*.unreadable`` (a warning each).

    The renamed files are kept, but no longer hide checkpoints that the run writes later.
    """
    for path in reversed(checkpoints(out)):
        try:
            return path, load_checkpoint(path)
        except DeoccError as error:
            aside = path.with_suffix(".pt.unreadable")
            _log.warning("%s; it is called %s now", error, aside.name)
            os.replace(path, aside)
    return None


def remove_half_written(out: Path) -> None:
    """Removes what a killed run left half written; its checkpoints and log are whole without it."""
    for path in [*(out / "checkpoints").glob("step_*.tmp"), out / "log.tmp"]:
        path.unlink(missing_ok=True)
    remove_temporaries(out, {"config.json", "model_card.json", "model_card.md"}.__contains__)
    for path in out.glob(".weights.safetensors.*.part"):
        path.unlink(missing_ok=True)


class JsonLines:
    """A log of one JSON object a line. A resumed run drops the lines after its checkpoint, and damaged lines.

    A line is damaged if a kill or a full disk cut it off.
    """

    def __init__(self, path: Path, resume_step: int | None) -> None:
        kept = []
        if resume_step is not None and path.is_file():
            rows = map(_row, path.read_bytes().splitlines())
            kept = [row for row in rows if row is not None and row["step"] <= resume_step]
        self.path = path
        temporary = path.with_suffix(".tmp")
        temporary.write_text("".join(json.dumps(row) + "\n" for row in kept), encoding="utf-8")
        os.replace(temporary, path)

    def write(self, row: dict[str, Any]) -> None:
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")


def _row(line: bytes) -> dict[str, Any] | None:
    """A line of the log; None if it is damaged."""
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):
        return None
    whole = isinstance(row, dict) and isinstance(row.get("step", 0), int | float)
    return {"step": 0, **row} if whole else None
