"""The processes and devices of a run."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from accelerate.utils import broadcast_object_list, gather_object
from torch import Tensor, nn

from deocc.device import pick_device
from deocc.errors import DeoccError

EMULATED = ("AVX2", "NO AVX")  # x86 processors without AVX-512: PyTorch computes bfloat16 piece by piece
_log = logging.getLogger("deocc")


def world_size() -> int:
    """Number of processes that ``torchrun`` (or Slurm's wrapper of it) started; 1 without it."""
    try:
        return max(1, int(os.environ.get("WORLD_SIZE", "1")))
    except ValueError:
        return 1


def is_first() -> bool:
    """Whether this process is the first one, which prints and saves."""
    return os.environ.get("RANK", "0") == "0"


def emulates_bfloat16() -> bool:
    """Whether this processor is an x86 one that computes bfloat16 slowly."""
    return torch.backends.cpu.get_cpu_capability() in EMULATED


def make_accelerator(device: str | None, precision: str) -> Accelerator:
    """An Accelerator on a device, independent of earlier runs in this process.

    Args:
        device: "cpu", "cuda", "cuda:1", "mps", ...; None: a GPU where there is one. Of several processes
            each takes its own GPU.
        precision: "no", "bf16" or "fp16".

    Raises:
        DeoccError: the device is not available.
    """
    wanted = torch.device("cpu" if device is None else device) if world_size() > 1 else pick_device(device)
    cpu = wanted.type == "cpu" and (device is not None or not torch.cuda.is_available())
    AcceleratorState._reset_state(reset_partial_state=True)  # a notebook may train twice, on two devices
    with _named_device(None if cpu or world_size() > 1 else str(wanted)):
        accelerator = Accelerator(mixed_precision=precision, cpu=cpu)
    if precision == "bf16" and accelerator.device.type == "cpu" and emulates_bfloat16():
        _log.warning(
            "this processor has no AVX-512: it computes bfloat16 many times slower than 32-bit floats; "
            "train with precision no"
        )
    if device is not None and torch.device(device).type != accelerator.device.type:
        raise DeoccError(
            f"device {device!r} is not available here ({accelerator.device} is); leave it out, or use 'cpu'"
        )
    return accelerator


@contextmanager
def _named_device(name: str | None) -> Iterator[None]:
    """Sets Accelerate's environment variable for the device while its state is made."""
    key = "ACCELERATE_TORCH_DEVICE"
    before = os.environ.pop(key, None)
    if name is not None:
        os.environ[key] = name
    try:
        yield
    finally:
        os.environ.pop(key, None)
        if before is not None:
            os.environ[key] = before


def agreed(accelerator: Accelerator, value: Any) -> Any:
    """Process 0's value in every process; of a type that can be pickled."""
    if accelerator.num_processes == 1:
        return value
    values = [value]
    broadcast_object_list(values)
    return values[0]


def of_every_process(accelerator: Accelerator, value: Any) -> list[Any]:
    """Every process's value, in their order."""
    return [value] if accelerator.num_processes == 1 else gather_object([value])


def averaged(accelerator: Accelerator, terms: dict[str, Tensor]) -> dict[str, Tensor]:
    """Terms (scalars, the same names everywhere) averaged over the processes."""
    if accelerator.num_processes == 1 or not terms:
        return terms
    names = sorted(terms)
    means = accelerator.reduce(torch.stack([terms[name].float() for name in names]), "mean")
    return dict(zip(names, means, strict=True))


def synchronised_norms(module: nn.Module, accelerator: Accelerator) -> nn.Module:
    """Makes batch norms use the items of all processes on GPUs; on a CPU, each process uses its own.

    PyTorch's `SyncBatchNorm` needs GPUs. Without it a step of n processes normalises by 1/n of its items.
    """
    if accelerator.num_processes > 1 and accelerator.device.type == "cuda":
        return nn.SyncBatchNorm.convert_sync_batchnorm(module)
    return module
