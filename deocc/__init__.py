"""deocc: a reference implementation of "Human De-occlusion: Invisible Perception and Recovery for Humans"
(Zhou et al., CVPR 2021).

Heavy parts load on first use, so that ``import deocc`` and ``deocc --help`` stay fast. The import also sets
how PyTorch's threads wait (`deocc.threads`), unless PyTorch is already loaded.
"""

from importlib import import_module
from typing import Any

from deocc.threads import settle_threads

settle_threads()
__version__ = "0.1.0"
__all__ = ["Deoccluder", "Deocclusion", "__version__"]


def __getattr__(name: str) -> Any:
    if name in ("Deoccluder", "Deocclusion"):
        return getattr(import_module("deocc.inference"), name)
    raise AttributeError(f"module 'deocc' has no attribute {name!r}")
