"""`Canvas`: an interactive picture; the base of every drawing widget.

It drags sprites, reports clicked points, boxes, brush strokes and keys. The page draws immediately
(`static/canvas.js`). The kernel is notified and may answer with a new layer. Positions are picture pixels
(x, y); a pixel (row y, column x) covers [x, x+1) x [y, y+1), as in `deocc.masks`.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import anywidget
import cv2
import numpy as np
import traitlets
from PIL import Image

from deocc.errors import DeoccError
from deocc.masks import Box
from deocc.widgets.picture import STATIC, script

TOOLS = ("none", "drag", "point", "box", "brush")
KINDS = ("drop", "point", "box", "stroke", "key")
BRUSHED = (86, 180, 233, 140)  # RGBA of the painted mask
JPEG_QUALITY = 90
Handler = Callable[..., None]


class Stroke(NamedTuple):
    """One pull of the brush."""

    points: Sequence[tuple[float, float]]  # (x, y), picture pixels
    width: float  # of the brush, picture pixels
    erase: bool

    def scaled(self, across: float, down: float) -> Stroke:
        """The same pull on a picture `across` times as wide and `down` times as high."""
        points = [(x * across, y * down) for x, y in self.points]
        return Stroke(points, self.width * (across * down) ** 0.5, self.erase)


class Scale(NamedTuple):
    """How many pixels of a photo one pixel of a canvas covers."""

    across: float  # to the right
    down: float

    @classmethod
    def between(cls, photo: np.ndarray, view: np.ndarray) -> Scale:
        """Of a photo that is shown as a smaller picture."""
        return cls(photo.shape[1] / view.shape[1], photo.shape[0] / view.shape[0])

    def on_canvas(self, name: str, value: Any) -> Any:
        """An argument of `Canvas.act`, given in pixels of the photo, in those of the canvas."""
        if name == "points":
            return [(x / self.across, y / self.down) for x, y in value]
        factors = {"x": self.across, "y": self.down, "width": (self.across * self.down) ** 0.5}
        return value / factors[name.rstrip("01")] if name.rstrip("01") in factors else value


def encode_layer(rgba: np.ndarray) -> bytes:
    """PNG bytes of an H x W x 4 uint8 picture, made for speed rather than for size."""
    buffer = io.BytesIO()
    Image.fromarray(rgba).save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()


def paint_stroke(mask: np.ndarray, stroke: Stroke) -> np.ndarray:
    """Draws or erases a round brush's path. Args: mask: H x W bool. Returns: H x W bool, a new array."""
    shift = 4  # OpenCV takes sixteenths of a pixel
    points = (np.array(stroke.points, np.float64).reshape(-1, 1, 2) - 0.5) * 2**shift
    path, canvas = np.rint(points).astype(np.int32), mask.astype(np.uint8)
    value, thickness = int(not stroke.erase), max(1, round(stroke.width))
    if len(path) == 1:
        radius = round(stroke.width * 2 ** (shift - 1))
        cv2.circle(canvas, path[0, 0].tolist(), radius, value, -1, shift=shift)
    else:
        cv2.polylines(canvas, [path], False, value, thickness, shift=shift)
    return canvas.astype(bool)


class Canvas(anywidget.AnyWidget):
    """A picture to drag on, click in, draw a box in or paint a mask over, by mouse or finger.

    Arrow keys move sprites, too; other keys are reported. It fills the available width. Each action arrives
    twice: as a trait to `observe`, and as an event for `on`. `act` does the same without a browser, so that
    tests and notebook cells can drive a widget.

    Attributes:
        tool: "none", "drag", "point", "box" or "brush".
        choices, choice: pairs (tool, erase), and the number of the one in the hand. They stand in for `tool`
            and `erase` in the page: a control that is linked to `choice` there changes the tool at once, even
            while the kernel works.
        positions: sprite name -> [x, y] of its upper left corner; follows the hand while it drags.
        point: (x, y) of the pixel clicked last, or None.
        box: (x0, y0, x1, y1) drawn last, half-open pixels inside the picture, or None.
        mask: H x W bool, what the brush has painted.
        brush, erase: diameter of the brush in pixels; whether it rubs out, or the last click meant "no".
        hotkeys: names of the keys that are reported ("d", "Backspace", "ArrowLeft"); pressed on the canvas,
            or anywhere in a box of widgets of class `deocc-keys`. Arrows move a sprite before that.
        label: what the picture shows, for those who cannot see it.

    Example:
        >>> canvas = Canvas(image, tool="point")
        >>> canvas.on("point", lambda x, y: print(x, y))
        >>> canvas.act("point", x=10, y=20)  # as if the pixel had been clicked
    """

    _esm = script("canvas.js")
    _css = STATIC / "canvas.css"

    width = traitlets.Int(1).tag(sync=True)
    height = traitlets.Int(1).tag(sync=True)
    background = traitlets.Bytes(b"").tag(sync=True)
    overlay = traitlets.Bytes(b"").tag(sync=True)
    painted = traitlets.Bytes(b"").tag(sync=True)
    painted_serial = traitlets.Int(0).tag(sync=True)  # the page's number of the last stroke in `painted`
    sprites = traitlets.Dict().tag(sync=True)
    positions = traitlets.Dict().tag(sync=True)
    tool = traitlets.Enum(TOOLS, "none").tag(sync=True)
    brush = traitlets.Int(12, min=1).tag(sync=True)
    erase = traitlets.Bool(False).tag(sync=True)
    choices: traitlets.List[list[Any]] = traitlets.List().tag(sync=True)
    choice = traitlets.Int(0).tag(sync=True)
    hotkeys = traitlets.List(traitlets.Unicode()).tag(sync=True)
    label = traitlets.Unicode("picture").tag(sync=True)
    point = traitlets.Tuple(default_value=None, allow_none=True).tag(sync=True)
    box = traitlets.Tuple(default_value=None, allow_none=True).tag(sync=True)

    def __init__(self, image: np.ndarray, tool: str = "none", **traits: Any) -> None:
        """Args: image: H x W x 3 uint8. tool, traits: see the attributes."""
        super().__init__(tool=tool, **traits)
        self._handlers: dict[str, list[Handler]] = {kind: [] for kind in KINDS}
        self._strokes: list[Stroke] = []
        self.show(image)
        self.on_msg(self._receive)

    # ------------------------------------------------------------------ what the page shows

    def show(self, image: np.ndarray) -> None:
        """Sets a new picture (H x W x 3 uint8); point, box, mask and overlay of the old one go."""
        if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
            raise DeoccError(f"canvas: {image.dtype} {image.shape} came; give an H x W x 3 uint8 picture")
        buffer = io.BytesIO()
        Image.fromarray(image).save(buffer, "JPEG", quality=JPEG_QUALITY)
        self._mask = np.zeros(image.shape[:2], bool)
        self._strokes = []
        with self.hold_sync():
            self.height, self.width = image.shape[:2]
            self.background = buffer.getvalue()
            self.overlay = self.painted = b""
            self.set_trait("point", None)
            self.set_trait("box", None)

    def set_overlay(self, rgba: np.ndarray | None) -> None:
        """Lays an RGBA picture (any size, uint8; it is stretched over all) above picture and sprites."""
        self.overlay = b"" if rgba is None else encode_layer(rgba)

    def set_sprite(
        self, name: str, rgba: np.ndarray, position: tuple[float, float], draggable: bool = True
    ) -> None:
        """Adds or replaces a cut-out.

        Args:
            name: of the sprite.
            rgba: h x w x 4 uint8.
            position: (x, y) of its upper left corner; may be negative.
            draggable: whether the hand can move it.
        """
        height, width = rgba.shape[:2]
        sprite = {"image": encode_layer(rgba), "width": width, "height": height, "draggable": draggable}
        with self.hold_sync():
            self.sprites = {**self.sprites, name: sprite}
            self.move_sprite(name, *position)

    def move_sprite(self, name: str, x: float, y: float) -> None:
        """Puts a sprite elsewhere. Raises: DeoccError: there is no such sprite."""
        if name not in self.sprites:
            raise DeoccError(f"canvas: no sprite {name!r}; there are {', '.join(self.sprites) or 'none'}")
        self.positions = {**self.positions, name: [x, y]}

    def remove_sprite(self, name: str) -> None:
        """Takes a sprite away."""
        with self.hold_sync():
            self.sprites = {key: value for key, value in self.sprites.items() if key != name}
            self.positions = {key: value for key, value in self.positions.items() if key != name}

    # ------------------------------------------------------------------ the painted mask

    @property
    def mask(self) -> np.ndarray:
        """H x W bool."""
        return self._mask

    @mask.setter
    def mask(self, mask: np.ndarray) -> None:
        if mask.shape != (self.height, self.width):
            raise DeoccError(f"canvas: mask {mask.shape} on a picture {(self.height, self.width)}; crop both")
        self._mask, self._strokes = mask.astype(bool), []
        self._show_mask()

    @property
    def strokes(self) -> tuple[Stroke, ...]:
        """What the brush did since the mask was set, the last one last."""
        return tuple(self._strokes)

    def _show_mask(self) -> None:
        rgba = np.zeros((*self._mask.shape, 4), np.uint8)
        rgba[self._mask] = BRUSHED
        self.painted = encode_layer(rgba) if self._mask.any() else b""

    # ------------------------------------------------------------------ what the hand does

    def on(self, kind: str, handler: Handler) -> None:
        """Calls a function at every event of a kind.

        Args:
            kind: "drop" (name, x, y: a sprite was let go of), "point" (x, y), "box" (x0, y0, x1, y1),
                "stroke" (nothing; read `mask`), "key" (key).
            handler: takes what stands in brackets as keyword arguments.
        """
        self._handlers[self._known(kind)].append(handler)

    def act(self, kind: str, **what: Any) -> None:
        """Does what the page does when the hand did something; see `on` for the kinds and their arguments.

        A stroke takes points, and optionally width and erase; a point takes x, y, and optionally erase.

        Raises:
            DeoccError: no such kind, or a sprite or key that the canvas does not have.
        """
        getattr(self, f"_on_{self._known(kind)}")(**what)

    def _known(self, kind: str) -> str:
        if kind not in KINDS:
            raise DeoccError(f"canvas: event {kind!r} is unknown; choose from {', '.join(KINDS)}")
        return kind

    def _receive(self, _: object, content: dict[str, Any], buffers: object) -> None:
        self.act(**content)

    def _tell(self, kind: str, **what: Any) -> None:
        for handler in self._handlers[kind]:
            handler(**what)

    def _pixel(self, x: float, y: float) -> tuple[int, int]:
        """The pixel under a point, inside the picture."""
        column, row = (int(np.floor(value)) for value in (x, y))
        return min(max(column, 0), self.width - 1), min(max(row, 0), self.height - 1)

    def _on_drop(self, name: str, x: float, y: float) -> None:
        self.move_sprite(name, x, y)
        self._tell("drop", name=name, x=x, y=y)

    def _on_point(self, x: float, y: float, erase: bool | None = None) -> None:
        self.erase = self.erase if erase is None else erase  # as the page meant it, whatever came late
        self.point = self._pixel(x, y)
        self._tell("point", x=self.point[0], y=self.point[1])

    def _on_box(self, x0: float, y0: float, x1: float, y1: float) -> None:
        """Corners in any order; a box without area (a click) leaves the last one."""
        left, top = self._pixel(min(x0, x1), min(y0, y1))
        right, bottom = self._pixel(np.ceil(max(x0, x1)) - 1, np.ceil(max(y0, y1)) - 1)
        if right - left < 1 or bottom - top < 1:
            return
        box: Box = (left, top, right + 1, bottom + 1)
        self.box = box
        self._tell("box", **dict(zip(("x0", "y0", "x1", "y1"), box, strict=True)))

    def _on_stroke(
        self,
        points: Sequence[tuple[float, float]],
        width: float | None = None,
        erase: bool | None = None,
        serial: int = 0,
    ) -> None:
        width, erase = self.brush if width is None else width, self.erase if erase is None else erase
        self._strokes = [*self._strokes, Stroke(points, width, erase)]
        self._mask = paint_stroke(self._mask, self._strokes[-1])
        with self.hold_sync():
            self._show_mask()
            self.painted_serial = max(serial, self.painted_serial)
        self._tell("stroke")

    def _on_key(self, key: str) -> None:
        if key not in self.hotkeys:
            raise DeoccError(f"canvas: key {key!r} is not reported; add it to hotkeys")
        self._tell("key", key=key)
