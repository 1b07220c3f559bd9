"""Networks to and from disk: fp16 safetensors that carry the constructor's arguments."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from ..errors import DeoccError
from .content_recovery import ContentRecoveryNet
from .discriminator import PatchDiscriminator
from .mask_completion import MaskCompletionNet

CLASSES: dict[str, type[nn.Module]] = {
    cls.__name__: cls for cls in (MaskCompletionNet, ContentRecoveryNet, PatchDiscriminator)
}


def save_weights(
    path: str | Path, net: nn.Module, metadata: Mapping[str, str] | None = None, half: bool = True
) -> None:
    """Writes a network as safetensors, atomically.

    Args:
        path: file to write; its folder is made.
        net: a network with `.config` (its constructor's arguments).
        metadata: more text to carry (data, command, metrics); "class" and "config" are added.
        half: kernels and templates as fp16; vectors (biases, normalisation) stay fp32, they are small.

    Raises:
        DeoccError: when the place cannot be written.
    """
    path = Path(path)
    about = {**(metadata or {}), "class": type(net).__name__, "config": json.dumps(net.config)}
    tensors = {name: _stored(x, half) for name, x in net.state_dict().items()}
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        save_file(tensors, part, metadata=about)
        os.replace(part, path)
    except (OSError, SafetensorError) as error:
        if part.is_file():
            part.unlink()
        raise DeoccError(f"cannot write weights to {path} ({error}); expected a writable folder") from error


def load_weights(
    path: str | Path, device: str | torch.device = "cpu", classes: Mapping[str, type[nn.Module]] = CLASSES
) -> nn.Module:
    """Builds the network that a file describes and fills it, fp32, in evaluation mode.

    Args:
        path: file written by `save_weights`.
        device: where the network goes.
        classes: network classes by name.

    Raises:
        DeoccError: for a missing, truncated or foreign file.
    """
    about, tensors = _read(Path(path))
    if about.get("class") not in classes or "config" not in about:
        raise DeoccError(
            f"{path} holds class {about.get('class')!r}; expected one of "
            f"{', '.join(classes)} and its config; give a file written by deocc"
        )
    try:
        net = classes[about["class"]](**json.loads(about["config"]))
        net.load_state_dict({name: x.float() if x.is_floating_point() else x for name, x in tensors.items()})
    except (TypeError, RuntimeError, json.JSONDecodeError) as error:
        reason = str(error).splitlines()[0]
        raise DeoccError(
            f"{path} does not fit {about['class']} ({reason}); expected weights of this version of deocc; "
            "train again or fetch the matching file"
        ) from error
    return net.to(device).eval()


def read_metadata(path: str | Path) -> dict[str, str]:
    """The text a weights file carries: "class", "config" (JSON) and what its author added."""
    return _read(Path(path))[0]


def _stored(x: Tensor, half: bool) -> Tensor:
    x = x.detach().cpu().contiguous()
    return x.half() if half and x.is_floating_point() and x.ndim > 1 else x


def _read(path: Path) -> tuple[dict[str, str], dict[str, Tensor]]:
    if not path.is_file():
        raise DeoccError(f"weights file {path} is missing; expected a .safetensors file; check the path")
    try:
        with safe_open(path, framework="pt") as file:
            return dict(file.metadata() or {}), {name: file.get_tensor(name) for name in file.keys()}
    except (SafetensorError, OSError) as error:
        raise DeoccError(
            f"{path} cannot be read as safetensors ({error}); expected a whole file written by deocc; "
            "copy or download it again"
        ) from error
