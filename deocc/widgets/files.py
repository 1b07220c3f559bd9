"""`FileBox`: opens and saves files of any size in a page."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import anywidget
import numpy as np
import traitlets

from deocc.errors import DeoccError
from deocc.io import Photo, read_photo

STATIC = Path(__file__).parent / "static"
PHOTOS = "image/*,.heic,.heif"
LARGEST = 200_000_000  # bytes of a file that is taken


class FileBox(anywidget.AnyWidget):
    """A button that opens a file; with `drop`, a file may be dropped on the box of widgets around it as well.

    The file arrives in pieces, so that a server's limit on messages does not matter. `take` does the same
    without a browser.

    Attributes:
        description: words on the button.
        accept: kinds of files that the browser offers.
        drop: whether files dropped in an ancestor of class `deocc-drop` are taken.
    """

    _esm = STATIC / "files.js"
    _css = STATIC / "files.css"

    description = traitlets.Unicode("open a file").tag(sync=True)
    accept = traitlets.Unicode(PHOTOS).tag(sync=True)
    drop = traitlets.Bool(False).tag(sync=True)

    def __init__(
        self,
        handler: Callable[[str, bytes], None],
        lost: Callable[[str], None] = lambda name: None,
        **traits: Any,
    ) -> None:
        """Makes the button.

        Args:
            handler: is called with name and content of each file.
            lost: is called with the name of a file of which a piece got lost on its way, or that the browser
                cannot read.
            traits: see the attributes.
        """
        super().__init__(**traits)
        self._handler, self._lost = handler, lost
        self._pieces: list[bytes] = []
        self._name: str | None = None  # of the file that arrives
        self.on_msg(self._receive)

    def take(self, name: str, content: bytes) -> None:
        """A file, as if it had been opened or dropped."""
        self._handler(name, content)

    def save(self, name: str, content: bytes) -> None:
        """The browser saves a file where it saves downloads."""
        self.send({"kind": "save", "name": name}, [content])

    def _receive(self, _: object, content: dict[str, Any], buffers: Sequence[Any]) -> None:
        """One piece; the first one (number 0) begins a file, whatever came before it."""
        if content.get("kind") == "lost":  # a folder, or a file that went away
            self._drop(content["name"])
        if content.get("kind") != "piece":
            return
        if content["number"] == 0:
            self._pieces, self._name = [], content["name"]
        if content["name"] != self._name:  # of a file that another one has replaced, or without a beginning
            if content["number"] == 1 and not self._pieces:
                self._lost(content["name"])
            return
        if content["number"] != len(self._pieces):  # a piece was lost
            self._drop(content["name"])
            return
        self._pieces.append(bytes(buffers[0]))
        if len(self._pieces) == content["pieces"] or sum(map(len, self._pieces)) > LARGEST:
            whole, self._pieces, self._name = b"".join(self._pieces), [], None
            self.take(content["name"], whole)

    def _drop(self, name: str) -> None:
        """Gives up a file; another one may be on its way."""
        if name == self._name:
            self._pieces, self._name = [], None
        self._lost(name)


def photo_of_bytes(name: str, content: bytes) -> Photo:
    """A photo of a file's content, upright, read as `deocc.io.read_photo` reads files.

    Args:
        name: of the file; it stands in messages.
        content: its bytes.

    Raises:
        DeoccError: as `read_photo`, by the file's own name; or the file is too large to be taken.
    """
    if len(content) > LARGEST:
        raise DeoccError(f"{name}: more than {LARGEST // 10**6} MB; make the photo smaller")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "photo"
        path.write_bytes(content)
        try:
            return read_photo(path)
        except DeoccError as error:
            raise DeoccError(str(error).replace(str(path), name)) from None


def picture_of_bytes(name: str, content: bytes) -> np.ndarray:
    """The pixels of `photo_of_bytes`; H x W x 3 uint8."""
    return photo_of_bytes(name, content).pixels
