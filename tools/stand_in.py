"""Lets the CPU play the role of a GPU, to find device errors on machines without one.

    with stand_in("cuda"):
        Deoccluder.from_pretrained("small", "cuda").deocclude(image, mask)

A tensor on the stand-in computes on the CPU. But it does not mix with CPU tensors, cannot become a NumPy
array before it is moved to the CPU, and on "mps" cannot be float64. So a forgotten `.to(device)` is found.
Speed, memory and rounding are not those of a real GPU.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest import mock

import deocc  # noqa: F401  # before torch

# isort: split
import torch
import torch._dynamo  # before anything is patched: PyTorch loads it when a mode is first at work
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode, return_and_correct_aliasing
from torch.utils._pytree import tree_leaves, tree_map

aten = torch.ops.aten
ACROSS = {aten.copy_.default, aten._to_copy.default}  # from one device to another
INDEXED = {aten.index.Tensor, aten.index_put.default, aten.index_put_.default, aten._index_put_impl_.default}
SAME_PLACE = {aten.cat.default, aten.stack.default, aten.mm.default, aten.bmm.default}


_kinds: list[str] = []  # of the stand-ins at work, the innermost last


class StandIn(Tensor):
    """A tensor on the stand-in; `inner` holds its numbers on the CPU."""

    inner: Tensor
    place: torch.device

    @staticmethod
    def __new__(cls, inner: Tensor, place: torch.device) -> StandIn:
        made = Tensor._make_wrapper_subclass(
            cls, inner.size(), strides=inner.stride(), storage_offset=inner.storage_offset(),
            dtype=inner.dtype, layout=inner.layout, device="meta", requires_grad=inner.requires_grad,
        )  # fmt: skip
        made.inner, made.place = inner.detach(), place
        return made

    __torch_function__ = torch._C._disabled_torch_function_impl  # type: ignore[assignment]

    @property
    def device(self) -> torch.device:  # type: ignore[override]
        return self.place

    @property
    def is_cuda(self) -> bool:  # type: ignore[override]
        return self.place.type == "cuda"

    @property
    def is_meta(self) -> bool:  # type: ignore[override]
        return False  # else modules would copy no weights into it

    def numpy(self, *_: Any, **__: Any) -> Any:
        raise TypeError(f"can't convert {self.place} device type tensor to numpy. Use Tensor.cpu() first")

    __array__ = numpy

    def tolist(self) -> Any:
        return self.detach().cpu().tolist()

    def __repr__(self, **_: Any) -> str:
        return f"{self.inner!r} on {self.place}"

    def __reduce_ex__(self, protocol: Any) -> Any:  # a checkpoint holds a CPU's numbers
        return self.inner.__reduce_ex__(protocol)

    def __deepcopy__(self, memo: dict) -> StandIn:
        copied = StandIn(self.inner.clone(), self.place).requires_grad_(self.requires_grad)
        if getattr(self, "_is_param", False):
            copied._is_param = True
        return copied

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _dispatch(func, args, kwargs or {})


def _refuse(func: Any, args: Any, kwargs: Any, place: torch.device) -> None:
    """Raises like a GPU: for two devices in one operation, or an unsupported type."""
    tensors = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)]
    if func in INDEXED:
        target, indices = args[0], [index for index in args[1] if index is not None]
        if isinstance(target, StandIn):  # a GPU takes indices of the CPU
            indices = []
        tensors = [target, *indices, *args[2:3]]
    here = [t for t in tensors if not isinstance(t, StandIn) and (t.ndim or func in SAME_PLACE)]
    if here and func not in ACROSS and any(isinstance(t, StandIn) for t in tensors):
        raise RuntimeError(
            f"Expected all tensors to be on the same device, but found at least two devices, {place} and "
            f"cpu! ({func})"
        )


def _dispatch(func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
    if func is aten._pin_memory.default:  # page-locked memory is the driver's
        return args[0]
    wrapped = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, StandIn)]
    target = kwargs.get("device")
    target = None if target is None else torch.device(target)
    if target is not None and target.type != "cpu":
        kind = _kinds[-1] if target.type == "meta" else target.type  # PyTorch's own code sees "meta"
        place = torch.device(kind, target.index or 0)
        kwargs = {**kwargs, "device": torch.device("cpu")}
    else:
        place = wrapped[0].place if wrapped and target is None else None
    if wrapped:
        _refuse(func, args, kwargs, wrapped[0].place)
    kwargs = {name: value for name, value in kwargs.items() if name != "pin_memory"}
    plain = tree_map(lambda x: x.inner if isinstance(x, StandIn) else x, (args, kwargs))
    found = func(*plain[0], **plain[1])
    if place is None:
        return found

    def wrap(value: Any) -> Any:
        if not isinstance(value, Tensor) or isinstance(value, StandIn):
            return value
        if place.type == "mps" and value.dtype == torch.float64:
            raise TypeError(
                "Cannot convert a MPS Tensor to float64 dtype as the MPS framework doesn't have it"
            )
        return StandIn(value, place)

    out = tree_map(wrap, found)
    return return_and_correct_aliasing(func, args, kwargs, out) if wrapped else out


class _Mode(TorchDispatchMode):
    """Intercepts functions that create tensors on the stand-in."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _dispatch(func, args, kwargs or {})


class _Indexed(TorchFunctionMode):
    """Adds the index to devices before PyTorch asks a driver for it."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        def numbered(value: Any) -> Any:
            if isinstance(value, str) and value in ("cuda", "mps") and func is not torch.device:
                return torch.device(value, 0)
            if isinstance(value, torch.device) and value.type != "cpu" and value.index is None:
                return torch.device(value.type, 0)
            return value

        kwargs = {name: numbered(value) for name, value in (kwargs or {}).items()}
        if func is Tensor.new_tensor and isinstance(args[0], StandIn):  # PyTorch would ask for "meta"
            kwargs = {"dtype": args[0].dtype, "device": args[0].device} | kwargs
            return torch.tensor(*args[1:], **kwargs)
        return func(*map(numbered, args), **kwargs)


def _patches(kind: str) -> dict[str, Any]:
    """Patches that make PyTorch report such a device."""
    cuda = kind == "cuda"
    return {
        "torch.cuda._lazy_init": lambda: None,
        "torch.cuda.is_available": lambda: cuda,
        "torch.cuda.device_count": lambda: int(cuda),
        "torch.cuda.current_device": lambda: 0,
        "torch.cuda.set_device": lambda device: None,
        "torch.cuda.get_device_name": lambda device=None: "the CPU, standing in",
        "torch.cuda.get_device_capability": lambda device=None: (9, 0),
        "torch.cuda.synchronize": lambda device=None: None,
        "torch.cuda.empty_cache": lambda: None,
        "torch.cuda.get_rng_state": lambda device=None: torch.zeros(16, dtype=torch.uint8),
        "torch.cuda.set_rng_state": lambda state, device=None: None,
        "torch.cuda.max_memory_allocated": lambda device=None: 0,
        "torch.cuda.reset_peak_memory_stats": lambda device=None: None,
        "torch.backends.mps.is_available": lambda: not cuda,
        "torch.mps.get_rng_state": lambda: torch.zeros(16, dtype=torch.uint8),
        "torch.mps.set_rng_state": lambda state: None,
        "torch.mps.manual_seed": lambda seed: None,
    }


@contextmanager
def stand_in(kind: str = "cuda") -> Iterator[None]:
    """Lets the CPU stand in for a device. Args: kind: "cuda" or "mps"."""
    lift = torch._C._only_lift_cpu_tensors()
    with ExitStack() as stack:
        for name, value in _patches(kind).items():
            stack.enter_context(mock.patch(name, value))
        stack.enter_context(warnings.catch_warnings())
        torch._C._set_only_lift_cpu_tensors(True)
        stack.callback(torch._C._set_only_lift_cpu_tensors, lift)
        _kinds.append(kind)
        stack.callback(_kinds.pop)
        if kind == "cuda":
            torch._C._ensureCUDADeviceGuardSet()
        stack.enter_context(_Indexed())
        stack.enter_context(_Mode())
        yield
