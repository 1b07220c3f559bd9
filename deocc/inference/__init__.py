"""Both stages on a photo.

The networks load on first use. Input is checked (`deocc.inference.views`) without PyTorch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from deocc.inference.answers import Deocclusion
    from deocc.inference.deoccluder import Deoccluder

__all__ = ["Deoccluder", "Deocclusion"]
_HOMES = {"Deoccluder": "deocc.inference.deoccluder", "Deocclusion": "deocc.inference.answers"}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'deocc.inference' has no attribute {name!r}")
