"""Finds the weight files of both stages."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from deocc.errors import DeoccError
from deocc.inference.texture import GAIN
from deocc.io import PathLike
from deocc.paths import WEIGHTS

if TYPE_CHECKING:  # a missing file is reported before PyTorch is loaded
    from torch import nn

Net = TypeVar("Net", bound="nn.Module")

PAIRS = {  # bundled weights that share a stage with others: name -> (stage 1, stage 2)
    "smooth": ("small", "smooth"),
}


def find_weights(name_or_path: PathLike = "small") -> tuple[Path, Path]:
    """The weight files of both stages: bundled ones by name, or the two in a folder.

    Raises:
        DeoccError: there is no such pair.
    """
    name = str(name_or_path)
    stages = zip(("mask", "content"), PAIRS.get(name, (name, name)), strict=True)
    bundled = tuple(WEIGHTS / f"{stage}-{own}.safetensors" for stage, own in stages)
    if all(path.is_file() for path in bundled):
        return bundled[0], bundled[1]
    folder = Path(name_or_path)
    if not folder.is_dir():
        if "/" in name or "\\" in name:
            raise DeoccError(
                f"weights {name!r}: no folder has that name; give one with mask*.safetensors and "
                "content*.safetensors, or the name of bundled weights"
            )
        missing = next(path for path in bundled if not path.is_file())
        raise DeoccError(
            f"weights {name!r}: {missing.name} is not in {WEIGHTS} and no folder has that name; "
            "name bundled weights, or a folder with mask*.safetensors and content*.safetensors"
        )
    return _only_file(folder, "mask*.safetensors"), _only_file(folder, "content*.safetensors")


def _only_file(folder: Path, pattern: str) -> Path:
    files = sorted(folder.glob(pattern))
    if len(files) != 1:
        came = "none" if not files else ", ".join(path.name for path in files)
        raise DeoccError(f"{folder}: one file {pattern} was expected, found {came}; keep one pair a folder")
    return files[0]


def require_class(net: nn.Module, wanted: type[Net], path: Path) -> Net:
    """The network itself. Raises: DeoccError: it is of another class."""
    if not isinstance(net, wanted):
        raise DeoccError(
            f"{path}: holds {type(net).__name__}, {wanted.__name__} was expected; rename the files"
        )
    return net


def input_size(path: Path) -> int:
    """Side of the square that weights were trained for, in pixels."""
    from deocc.models import read_metadata

    size = read_metadata(path).get("input_size", "")
    if not size.isdecimal() or not 16 <= int(size) <= 4096:
        raise DeoccError(f"{path}: its metadata lack input_size (16 to 4096); export it with `deocc train`")
    return int(size)


def file_digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()[:16]


def default_detail(content_net: nn.Module) -> tuple[float, bool]:
    """How hidden parts get detail: the share of visible detail, and whether patches are copied instead.

    Patches suit painters of whole holes, pieces of detail the smooth pictures of others.
    """
    from deocc.models.content_recovery import paints_whole

    return (0.0, True) if paints_whole(content_net) else (GAIN, False)
