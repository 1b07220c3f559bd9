"""`Picture`: a widget's result, updated in place, with a note when its kernel has stopped."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import anywidget
import traitlets

STATIC = Path(__file__).parent / "static"


def script(name: str) -> str:
    """A widget's JavaScript, with what all of them share before it. Args: name: of a file in `static`."""
    return "\n".join((STATIC / file).read_text(encoding="utf-8") for file in ("kernel.js", name))


class Picture(anywidget.AnyWidget):
    """A picture without tools. Unlike `ipywidgets.Image` it stays on the page when its kernel stops, greyed.

    Attributes:
        value: bytes of a JPEG or PNG; b"" shows nothing.
        label: what the picture shows, for those who cannot see it.
    """

    _esm = script("picture.js")
    _css = STATIC / "picture.css"

    value = traitlets.Bytes(b"").tag(sync=True)
    label = traitlets.Unicode("picture").tag(sync=True)

    def __init__(self, label: str = "picture", max_width: str = "none", **traits: Any) -> None:
        """Args: label, traits: see the attributes. max_width: CSS length; up to it the page is filled."""
        layout = {"width": "100%", "max_width": max_width, "min_width": "0"}
        super().__init__(label=label, layout=layout, **traits)
