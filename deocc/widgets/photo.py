"""The photo studio: from a photo to the whole person on another background."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

import ipywidgets
import numpy as np
from matplotlib.figure import Figure

from deocc import figures
from deocc.errors import DeoccError
from deocc.inference.clicks import check_points
from deocc.io import read_photo, write_image
from deocc.widgets import messages
from deocc.widgets.canvas import Canvas, Scale
from deocc.widgets.common import LABELS, Display, columns, rows, slider, toggles
from deocc.widgets.files import FileBox, photo_of_bytes, picture_of_bytes
from deocc.widgets.picture import Picture
from deocc.widgets.session import BASES, Accepted, PhotoSession

if TYPE_CHECKING:
    from deocc.inference.deoccluder import Deoccluder

SIDE = 1024  # longest side of what the page shows; the work is done on the photo's own pixels
FULL = 2**15  # longer than any photo
TOOLS = {  # label -> (tool of the canvas, erases or says no)
    "box": ("box", False),
    "paint": ("brush", False),
    "erase": ("brush", True),
    "click: yes": ("point", False),
    "click: no": ("point", True),
}
BLURRED, OWN = "the photo, blurred", "a picture of yours"
NEW = "the next person"


class PhotoStudio(Display):
    """Open or drop a photo, mark a person, mend the mask, de-occlude, and take the whole person away.

    After a box, stage 1 makes the rough mask; after each click ("this is the person", "this is not"), it runs
    again. The brush makes the mask exact: it is then the visible person, bit for bit. Then both stages
    answer.

    Attributes:
        files: the button that opens a photo; a photo can be dropped anywhere on the studio.
        canvas: the photo, with the visible mask (blue), what stage 1 expects to be hidden (vermilion) and the
            clicks.
        tool: what the hand does on it, see `TOOLS`.
        brush: slider, diameter of the brush in pixels of the canvas.
        exact: whether the mask is kept bit for bit; the brush switches it on.
        undo, run: buttons: take a step back; de-occlude.
        shown: which view of the answer `image` shows.
        share: slider of "before | after".
        background, size, across: what the cut-out stands on, how large, where.
        image: the answer, a JPEG that is replaced in place.
        people: menu of accepted people and the next one.
        base: whether the next person is looked for in the original or in the recovered photo.
        next: button, accepts the answer and begins the next person.
        caption: what happened, in words.
        session: the photo, the question and the answers.
        box: everything, for `display`.

    Example:
        >>> studio = PhotoStudio(Deoccluder.from_pretrained("small"), read_image("photo.jpg"))
        >>> studio.act("box", x0=40, y0=20, x1=210, y1=400)  # as if drawn
        >>> studio.deocclude()
        >>> write_image("person.png", studio.cut_out())
    """

    def __init__(self, deoccluder: Deoccluder, photo: np.ndarray | str | Path, words: str = "") -> None:
        """Shows a first photo.

        Args:
            deoccluder: both stages.
            photo: H x W x 3 uint8, or the path of one.
            words: what is said under it at first, such as its licence.

        Raises:
            DeoccError: it is no photo that can be read.
        """
        self._deoccluder = deoccluder
        self._own: np.ndarray | None = None
        self._refusal = ""  # why nothing came of what the hand did last
        if not isinstance(photo, np.ndarray):
            found = read_photo(photo)
            photo, words = found.pixels, " ".join([words, *messages.sentences(found.notes)])
        self._make_controls()
        self._lay_out()
        self.open(photo, words)
        self._connect()

    # ------------------------------------------------------------------ controls

    def _make_controls(self) -> None:
        words = "open a photo, or drop one anywhere here"
        self.files = FileBox(self._opened, self._lost, description=words, drop=True)
        self.canvas = Canvas(np.zeros((1, 1, 3), np.uint8), "box", hotkeys=["u"], label=messages.LABEL)
        self.canvas.choices = [list(pair) for pair in TOOLS.values()]
        self.tool = toggles(list(TOOLS), "what the hand does on the photo")
        self.brush = ipywidgets.IntSlider(24, 2, 120, description="brush", continuous_update=False, **LABELS)
        self.exact = ipywidgets.Checkbox(description="keep the mask exactly as it is", indent=False)
        self.undo = ipywidgets.Button(description="undo", tooltip="takes the last step back (u)")
        self.run = ipywidgets.Button(description="De-occlude", button_style="primary")
        self.caption = ipywidgets.HTML()
        self.shown = toggles(figures.SHOWN, "what the picture shows")
        self.share = slider("before | after", 0.5, 0.0, 1.0, 0.01)
        self.share.continuous_update = True  # no network runs behind it
        choices = [*figures.BACKGROUNDS, BLURRED, OWN]
        self.background = ipywidgets.Dropdown(options=choices, value="evening", description="background")
        self.own = FileBox(self._own_background, self._lost, description="open a background")
        self.size, self.across = slider("size", 0.9, 0.1, 1.5), slider("place", 0.5, 0.0, 1.0)
        self.image = Picture("what both stages answer")
        self.people = ipywidgets.Dropdown(options=[NEW], description="person")
        self.base = ipywidgets.Dropdown(options=BASES, description="look in", tooltip=messages.BASE_TIP)
        self.next = ipywidgets.Button(description="Next person", disabled=True)
        self.save_person = ipywidgets.Button(description="Save the person", disabled=True)
        self.save_photo = ipywidgets.Button(description="Save the photo", disabled=True)
        self.save_view = ipywidgets.Button(description="Save this view", disabled=True)
        self.saves = self.save_person, self.save_photo, self.save_view

    def _lay_out(self) -> None:
        for control in (self.undo, self.run, self.exact, self.next, *self.saves):
            control.layout.width = "auto"
        for menu in (self.background, self.people, self.base):
            menu.layout.width, menu.style.description_width = "auto", "84px"
        working = columns(self.run, self.undo, self.exact)
        left = rows(self.files, self.tool, self.canvas, working, self.caption, self.brush)
        self._of_background = rows(columns(self.background, self.own), self.size, self.across)
        self._of_background.layout.flex = "0 0 auto"
        self._answer_side = rows(
            self.shown, self.image, self.share, self._of_background,
            columns(*self.saves), columns(self.people, self.base, self.next),
        )  # fmt: skip
        for side in (left, self._answer_side):
            side.layout.flex, side.layout.max_width = "1 1 340px", "720px"
        self.box = rows(columns(left, self._answer_side))
        self.box.layout.max_width = "1440px"
        for name in ("deocc-keys", "deocc-drop"):
            self.box.add_class(name)

    def _connect(self) -> None:
        for control, name, linked in ((self.tool, "index", "choice"), (self.brush, "value", "brush")):
            ipywidgets.jsdlink((control, name), (self.canvas, linked))  # in the page, while the kernel works
        self.canvas.on("box", lambda **box: self._do(self._ask_box, tuple(box.values())))
        self.canvas.on("point", lambda x, y: self._do(self._ask_click, x, y))
        self.canvas.on("stroke", lambda: self._do(self._brushed))
        self.canvas.on("key", lambda key: self._undo())
        self.tool.observe(lambda _: self._use_tool(), "value")
        self.brush.observe(lambda _: self._use_tool(), "value")
        self.exact.observe(lambda _: self._set_exact(), "value")
        self.undo.on_click(lambda _: self._undo())
        self.run.on_click(lambda _: self._do(self.deocclude, False))
        for control in (self.shown, self.share, self.size, self.across, self.people):
            control.observe(lambda _: self._do(self._show), "value")
        self.background.observe(lambda change: self._do(self._set_background, change["old"]), "value")
        self.next.on_click(lambda _: None if self.next.disabled else self._do(self.accept))
        for button, name in zip(self.saves, ("person.png", "recovered.png", "view.png"), strict=True):
            button.on_click(lambda _, name=name: self._do(self._download, name))
        self._use_tool()

    def _use_tool(self) -> None:
        self.canvas.tool, self.canvas.erase = TOOLS[self.tool.value]
        self.canvas.brush = self.brush.value

    def _do(self, action: Callable[..., Any], *what: Any) -> None:
        """Does something for the hand; what goes wrong is said in words."""
        if self._silent:
            return
        try:
            action(*what)
        except DeoccError as error:
            self._refusal = str(error)
            self._say(f"<b>{escape(self._refusal)}</b>")
        except BaseException as error:  # an interrupt, too: "working ..." would stay for ever
            self._say(f"<b>{escape(messages.of_failure(error))}</b>")
            raise

    def _say(self, html: str) -> None:
        self.caption.value = html

    # ------------------------------------------------------------------ the photo

    def open(self, photo: np.ndarray, words: str = "") -> None:
        """Another photo; people and question of the old one go.

        Args:
            photo: H x W x 3 uint8, any size.
            words: what is said under it.

        Raises:
            DeoccError: it is no such picture.
        """
        self.session = PhotoSession(self._deoccluder, photo)
        self._begin()
        self._say(" ".join([escape(words), f"{photo.shape[1]} x {photo.shape[0]} pixels. {messages.FIRST}"]))

    def _opened(self, name: str, content: bytes) -> None:
        def read() -> None:
            self._say(f"reading {escape(name)} ...")
            photo = photo_of_bytes(name, content)
            self.open(photo.pixels, " ".join([f"{name}:", *messages.sentences(photo.notes)]))

        self._do(read)

    def _lost(self, name: str) -> None:
        self._say(f"<b>{escape(name)}: {messages.LOST}</b>")

    def _own_background(self, name: str, content: bytes) -> None:
        def read() -> None:
            self._own = picture_of_bytes(name, content)
            with self._silently():
                self.background.value, self.shown.value = OWN, "background"
            self._show()

        self._do(read)

    def _begin(self) -> None:
        """The canvas shows the session's picture, nothing is marked, the answer's side waits."""
        source = self.session.source
        view = figures.fit_within(source, SIDE)
        self._scale = Scale.between(source, view)
        self.canvas.show(view)
        with self._silently():
            names = [person.name for person in self.session.people]
            self.people.options = [*names, NEW]
            self.people.value, self.exact.value = NEW, False
        self.image.value = figures.encode_jpeg(view)
        self._hide_controls()
        self._enable()

    # ------------------------------------------------------------------ the question

    def act(self, kind: str, **what: Any) -> None:
        """Does what the hand does, in the photo's own pixels, without a browser.

        Args:
            kind, what: "box" (x0, y0, x1, y1), "stroke" (points, width, erase), "point" (x, y, is_person).

        Raises:
            DeoccError: no such kind, nothing in the photo is marked by it, or what the page would say.
        """
        if kind == "point":
            check_points([(what["x"], what["y"], what["is_person"])], self.session.source)
            self.tool.value = "click: yes" if what.pop("is_person") else "click: no"
        before, self._refusal = self.session.question, ""
        self.canvas.act(kind, **{name: self._scale.on_canvas(name, value) for name, value in what.items()})
        if self._refusal:
            raise DeoccError(self._refusal)
        if self.session.question is before:
            raise DeoccError(f"{kind}: it marks nothing; give a larger one, or one inside the photo")

    def _ask_box(self, box: Sequence[int]) -> None:
        self._say(messages.WORKING)
        self.session.draw_box(tuple(np.multiply(box, self._scale * 2).tolist()))
        self._show_question()

    def _ask_click(self, x: int, y: int) -> None:
        self._say(messages.WORKING)
        place = (x + 0.5) * self._scale.across, (y + 0.5) * self._scale.down
        self.canvas.set_trait("point", None)
        self.session.click(*place, not self.canvas.erase)
        self._show_question()

    def _brushed(self) -> None:
        self.session.brush(self.canvas.strokes[-1].scaled(*self._scale))
        self._show_question(painted=True)

    def _set_exact(self) -> None:
        if not self._silent:
            self.session.set_exact(self.exact.value)
            self._show_question()

    def _undo(self) -> None:
        if self.session.undo():
            self._show_question()

    def _show_question(self, painted: bool = False) -> None:
        """Mask, hidden part and clicks over the photo. Args: painted: the canvas shows the mask already."""
        now = self.session.question
        if not painted:
            self.canvas.mask = figures.fit_within(now.mask, SIDE)
            box = None if now.box is None else np.divide(now.box, self._scale * 2)
            self.canvas.set_trait("box", None if box is None else tuple(np.rint(box).astype(int).tolist()))
        clicks = [(*np.divide((x, y), self._scale), yes) for x, y, yes in now.clicks]
        self.canvas.set_overlay(figures.question_layer(figures.fit_within(now.hidden, SIDE), clicks))
        with self._silently():
            self.exact.value = now.exact
        self._enable()
        stale = self.session.answer is not None and not self.session.is_current
        self._say(f"{messages.of_question(now)}{' The picture answers the marks before.' if stale else ''}")

    def give_mask(self, mask: np.ndarray, exact: bool = True) -> None:
        """A visible mask from elsewhere, H x W bool. Raises: DeoccError: it has another size."""
        self.session.give_mask(mask, exact)
        self._show_question()

    # ------------------------------------------------------------------ the answer

    def deocclude(self, again: bool = True) -> None:
        """Both stages answer; not `again`: unless they have. Raises: DeoccError: nobody is marked."""
        if again or not self.session.is_current:
            self._say(messages.WORKING)
            self.session.deocclude()
        with self._silently():
            self.people.value = NEW
        self._show()
        self._say(messages.of_answer(self._answered().answer))

    def accept(self) -> None:
        """Lists the person and begins the next one. Raises: DeoccError: there is no answer."""
        done = self.session.accept(self.base.value)
        self._begin()
        self._say(f"{done.name} is kept. Draw a box around the next one ({self.base.value} photo).")

    def chosen(self) -> Accepted | None:
        """The person whose answer is shown: an accepted one, the present one, or nobody yet."""
        for person in self.session.people:
            if person.name == self.people.value:
                return person
        answer = self.session.answer
        return None if answer is None else Accepted(NEW, self.session.source, answer)

    def _enable(self) -> None:
        """What can be saved, and whether the next person can begin."""
        person = self.chosen()
        ready = person is not None and (person.name != NEW or self.session.is_current)
        for button in self.saves:
            button.disabled = not ready
        self.next.disabled = self.session.answer is None

    def _hide_controls(self) -> None:
        self.share.layout.display = "" if self.shown.value == "before | after" else "none"
        self._of_background.layout.display = "" if self.shown.value == "background" else "none"

    def _show(self) -> None:
        """The view of the answer that the controls select; no network runs."""
        self._hide_controls()
        self._enable()
        person, source = self.chosen(), self.session.source
        view = figures.fit_within(source, SIDE) if person is None else self._view(person, SIDE)
        self.image.value = figures.encode_jpeg(view)

    def _set_background(self, before: str) -> None:
        if self.background.value == OWN and self._own is None:
            with self._silently():
                self.background.value = before
            raise DeoccError(messages.NO_BACKGROUND)
        self._show()

    def _view(self, person: Accepted, side: int) -> np.ndarray:
        """What the controls select, no side longer than `side` pixels."""
        return figures.render_photo(
            person.photo, person.answer, self.shown.value, self.share.value,
            self._below(person.photo.shape, side), self.size.value, self.across.value, side,
        )  # fmt: skip

    def _below(self, shape: tuple[int, ...], side: int = SIDE) -> np.ndarray | None:
        """The background that the menu names; None: the photo, blurred."""
        if (name := self.background.value) in figures.BACKGROUNDS:
            return figures.plain_background(name, shape, side)
        return self._own if name == OWN else None

    def cut_out(self) -> np.ndarray:
        """The whole person alone, at the photo's own resolution; h x w x 4 uint8 RGBA.

        Raises:
            DeoccError: there is no answer.
        """
        person = self._answered()
        return figures.cut_out(person.answer.recovered, person.answer.amodal_mask)

    def _answered(self) -> Accepted:
        person = self.chosen()
        if person is None:
            raise DeoccError("there is no answer yet: mark a person and de-occlude them")
        return person

    def save(self, path: str | Path) -> Path:
        """Writes the cut-out as a PNG file. Raises: DeoccError: no answer, or it cannot be written."""
        return write_image(path, self.cut_out())

    def _download(self, name: str) -> None:
        pictures: dict[str, Callable[[], np.ndarray]] = {
            "person.png": self.cut_out, "view.png": lambda: self._view(self._answered(), FULL),
            "recovered.png": lambda: self.session.together(self.session.is_current),
        }  # fmt: skip
        self.files.save(name, figures.encode_png(pictures[name]()))

    def figure(self) -> Figure:
        """The steps as a static figure for readers without a kernel. Raises: DeoccError: no answer."""
        answer, photo = (person := self._answered()).answer, person.photo
        panels = figures.photo_panels(photo, answer, "initial mask", background=self._below(photo.shape))
        caption = f"N = 1, predicted occlusion ratio {answer.occlusion_ratio:.2f}"
        return figures.panel_grid(figures.wrap(panels, 4), caption, legend=figures.mask_legend()[:2])
