"""The device that networks run on."""

import torch

from deocc.errors import DeoccError


def pick_device(device: str | torch.device | None = None) -> torch.device:
    """The device to run on; by default the CUDA GPU if there is one, else the CPU.

    Apple's GPU ("mps") is used only when named. It is untested.

    Raises:
        DeoccError: the name is no device of this machine.
    """
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
