"""Weights files: fp16 safetensors with the constructor's arguments."""

from __future__ import annotations

import json
import os
import textwrap
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn.modules.module import (
    register_module_buffer_registration_hook,
    register_module_parameter_registration_hook,
)

from deocc.errors import DeoccError
from deocc.models.content_recovery import ContentRecoveryNet
from deocc.models.discriminator import PatchDiscriminator
from deocc.models.mask_completion import MaskCompletionNet

RENAMED = {"trust": "own_share"}  # names of arguments in older files -> their present names
CLASSES: dict[str, type[nn.Module]] = {
    cls.__name__: cls for cls in (MaskCompletionNet, ContentRecoveryNet, PatchDiscriminator)
}
BESIDE = 100_000_000  # numbers of a frozen trunk, which its network brings along
MISFIT = (TypeError, RuntimeError, ValueError, LookupError, AttributeError, ArithmeticError, MemoryError,
          AssertionError)  # what networks raise for a config that is none  # fmt: skip


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
        DeoccError: the file cannot be written.
    """
    path = Path(path)
    about = {**(metadata or {}), "class": type(net).__name__, "config": json.dumps(net.config)}
    tensors = {name: _stored(x, half) for name, x in net.state_dict().items()}
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        save_file(tensors, part, metadata=about)
        part.chmod(0o644)
        os.replace(part, path)
    except (OSError, SafetensorError) as error:
        raise DeoccError(f"cannot write weights to {path} ({error}); expected a writable folder") from error
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)


def load_weights(
    path: str | Path, device: str | torch.device = "cpu", classes: Mapping[str, type[nn.Module]] = CLASSES
) -> nn.Module:
    """Builds the network that a file describes and fills it, fp32, in evaluation mode.

    Args:
        path: file written by `save_weights`.
        device: where the network goes.
        classes: network classes by name.

    Raises:
        DeoccError: for a missing, truncated or foreign file, or values that are not finite.
    """
    about, tensors = _read(Path(path))
    if about.get("class") not in classes or "config" not in about:
        raise DeoccError(
            f"{path} holds class {about.get('class')!r}; expected one of "
            f"{', '.join(classes)} and its config; give a file written by deocc"
        )
    try:
        arguments = {RENAMED.get(name, name): x for name, x in json.loads(about["config"]).items()}
        with _bounded(sum(x.numel() for x in tensors.values()) + BESIDE):
            net = classes[about["class"]](**arguments)
        own = {name: _full(x) for name, x in tensors.items()}
        net.load_state_dict(own, assign=True)  # spares a copy
    except MISFIT as error:
        reason = textwrap.shorten(str(error) or type(error).__name__, 300)
        raise DeoccError(
            f"{path} does not fit {about['class']} ({reason}); expected weights of this version of deocc; "
            "train again or fetch the matching file"
        ) from error
    if not all(x.isfinite().all() for x in own.values() if x.is_floating_point()):
        raise DeoccError(f"{path}: some weights are no finite numbers; train again or fetch the file again")
    return net.to(device).eval()


def fill_shared(network: nn.Module, source: nn.Module) -> list[str]:
    """Copies every tensor of `source` that `network` has, too, by name; shapes must agree.

    Returns:
        Names of those that it has not. Tensors of `network` that `source` lacks stay.
    """
    known, own = source.state_dict(), network.state_dict()
    network.load_state_dict({name: known.get(name, value) for name, value in own.items()})
    return [name for name in known if name not in own]


@contextmanager
def _bounded(most: int) -> Iterator[None]:
    """Refuses, before memory is filled, a network of more numbers than its file could give.

    Raises:
        RuntimeError: it has more parameters and buffers than `most`.
    """
    left = most

    def count(module: nn.Module, name: str, tensor: Tensor | None) -> None:
        nonlocal left
        left -= 0 if tensor is None else tensor.numel()
        if left < 0:
            raise RuntimeError("its config asks for a far larger network than the file holds")

    hooks = [
        register_module_parameter_registration_hook(count), register_module_buffer_registration_hook(count)
    ]  # fmt: skip
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def read_metadata(path: str | Path) -> dict[str, str]:
    """The text a weights file carries: "class", "config" (JSON) and what its author added."""
    return _read(Path(path))[0]


def _stored(x: Tensor, half: bool) -> Tensor:
    x = x.detach().cpu().contiguous()
    return x.half() if half and x.is_floating_point() and x.ndim > 1 else x


def _full(x: Tensor) -> Tensor:
    """A copy in memory of its own, fp32 if it is of real numbers."""
    return x.to(torch.float32 if x.is_floating_point() else x.dtype, copy=True)


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
