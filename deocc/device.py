"""The device that networks run on."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from deocc.errors import DeoccError

if TYPE_CHECKING:  # a wrong name is refused before PyTorch is loaded
    import torch

NAMES = re.compile(r"auto|(cpu|cuda|mps)(:\d+)?")


def check_device_name(name: str) -> None:
    """Checks the form of a device's name, without PyTorch. Raises: DeoccError: no device is called so."""
    if not NAMES.fullmatch(name):
        raise DeoccError(f"device {name!r} is not available here; give auto, cpu, cuda, cuda:1, ... or mps")


def pick_device(device: str | torch.device | None = None) -> torch.device:
    """The device to run on; by default the CUDA GPU if there is one, else the CPU.

    Apple's GPU ("mps") is used only when named. It is untested.

    Raises:
        DeoccError: the name is no device of this machine.
    """
    import torch

    if device in (None, "auto"):
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        chosen = torch.device(device)
        torch.empty(1, device=chosen)
        if chosen.type == "meta":
            raise RuntimeError("it holds no values")
    except (RuntimeError, AssertionError, NotImplementedError):
        raise DeoccError(f"device {device!r} is not available here; use cpu, or leave it out") from None
    return chosen
