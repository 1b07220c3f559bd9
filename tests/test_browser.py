"""The widgets in JupyterLab, worked by a real mouse, finger and keyboard in headless Chromium.

One kernel and one page serve all tests of this file, in the order in which they stand.
"""

import base64
import csv
import importlib.util
import io
import re
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import app
import browser

CHROMIUM, WHY_NOT = browser.find_chromium()
if not CHROMIUM:
    pytest.skip(f"widgets are not tested in a browser: {WHY_NOT}", allow_module_level=True)

SET_UP = """
import torch
torch.set_num_threads(1)
from deocc import Deoccluder
from deocc.widgets.canvas import Canvas
from deocc.paths import PEOPLE_MINI
from deocc.people import PeopleFolder
from deocc.people.routing import FolderCandidates
from deocc.widgets import AttentionMicroscope, HolePlayer, OcclusionStudio, RoutingWidget
people = PeopleFolder(PEOPLE_MINI, split="val")
"""
STUDIO = """
things = [thing for thing in people.occluders("val") if thing.category == "bush"]
studio = OcclusionStudio(Deoccluder.from_pretrained("small"), people[20:22], things[:1])
studio
"""
ROUTING = """
routing = RoutingWidget(FolderCandidates(people.subset(people.ids[:6])), "routes.csv", side=200)
routing
"""
DRAWING = """
drawing = Canvas(people[20].image, "point", layout={"width": "256px"}, brush=20)
drawing
"""
MICROSCOPE = """
import numpy as np
from deocc.occlusion import occlude
case = occlude(people[20], things[0], 0.4, np.random.default_rng(0))
deoccluder = Deoccluder.from_pretrained("small")
microscope = AttentionMicroscope(deoccluder, [case], size=128)
microscope
"""
PLAYER = """
player = HolePlayer(deoccluder, [case], size=96)
player.play.interval = 100
player
"""
WORKBENCH = """
from pathlib import Path
from deocc.tables.workbench import Bench
from deocc.widgets import AblationWorkbench
workbench = AblationWorkbench(Bench(Path("bench"), images=32, persons=2, threads=1))
workbench
"""
PHOTO = """
import torch
torch.set_num_threads(1)
import numpy as np
from deocc import Deoccluder
from deocc.paths import DATA
from deocc.occlusion import CaseFolder
from deocc.widgets import PhotoStudio
case = CaseFolder(DATA / "demo-cases")[5]
studio = PhotoStudio(Deoccluder.from_pretrained("small"), case.image)
studio
"""
PIXELS = "surface => surface.toDataURL()"


def until(page, holds: Callable[[], object], what: str = "") -> None:
    """Waits until a function says something truthy; a machine may be slow."""
    end = time.monotonic() + browser.SECONDS
    while not holds():
        assert time.monotonic() < end, what or "waited in vain"
        page.wait_for_timeout(30)


class Shown:
    """A canvas on the page, by the number of its cell's output."""

    def __init__(self, notebook: browser.Notebook, cell: int) -> None:
        self.page = notebook.page
        self.cell = notebook.page.locator(".jp-CodeCell").nth(cell)
        self.surface = self.cell.locator("canvas.deocc-canvas")
        self.surface.scroll_into_view_if_needed()
        self.cell.locator("canvas[data-ready=true]").wait_for()

    def pixels(self) -> str:
        return self.surface.evaluate(PIXELS)

    def at(self, x: float, y: float, width: int = 256) -> tuple[float, float]:
        """A picture pixel's place on the page."""
        box = self.surface.bounding_box()
        return box["x"] + x * box["width"] / width, box["y"] + y * box["width"] / width

    def drag(self, start: tuple[float, float], end: tuple[float, float]) -> None:
        """Between two points in picture pixels; the button stays pressed."""
        mouse = self.page.mouse
        mouse.move(*self.at(*start))
        mouse.down()
        mouse.move(*self.at(*end), steps=5)


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[browser.Lab]:
    with browser.Lab(tmp_path_factory.mktemp("lab"), CHROMIUM) as running:
        yield running


@pytest.fixture(scope="module")
def notebook(lab: browser.Lab) -> browser.Notebook:
    cells = [SET_UP, STUDIO, ROUTING, DRAWING, MICROSCOPE, PLAYER, WORKBENCH]
    browser.write_notebook(lab.folder / "widgets.ipynb", cells)
    return lab.open("widgets.ipynb")


@pytest.fixture
def studio(notebook: browser.Notebook) -> "Studio":
    return Studio(notebook)


class Studio(Shown):
    def __init__(self, notebook: browser.Notebook) -> None:
        super().__init__(notebook, 1)
        self.notebook = notebook

    def ratio(self) -> float:
        """The number under the photo."""
        return float(re.search(r"hidden (\d\.\d+)", self.cell.inner_text())[1])

    def picture(self) -> str:
        """Address of the answer's picture; a new picture has a new one."""
        return self.cell.locator("img").get_attribute("src")

    def numbers(self) -> str:
        found = re.search(r"occlusion ratio (\d.*; IoU .*)", self.cell.inner_text())
        return found[1] if found else ""

    def place(self) -> list[int]:
        return eval(self.notebook.value("studio.canvas.positions['occluder']"))

    def grip(self) -> tuple[float, float]:
        """The middle of the thing, in picture pixels."""
        width, height = eval(
            self.notebook.value("[studio.canvas.sprites['occluder'][k] for k in ('width', 'height')]")
        )
        x, y = self.place()
        return x + width / 2, max(y + height / 2, 5)

    def wait(self, what: Callable[[], object], before: object) -> None:
        """Until a method says something else than before."""
        until(self.page, lambda: what() not in (before, ""), f"{what.__name__} still says {before}")


def test_dragging_shows_the_ratio_and_letting_go_the_answer(studio):
    ratio, picture, numbers = studio.ratio(), studio.picture(), studio.numbers()
    pixels, (x, y), grip = studio.pixels(), studio.place(), studio.grip()
    assert abs(ratio - 0.4) <= 0.011
    studio.drag(grip, (grip[0] + 25, grip[1] + 10))
    studio.wait(studio.ratio, ratio)
    assert studio.pixels() != pixels
    assert studio.picture() == picture and studio.numbers() == "", "the networks wait"
    studio.page.mouse.up()
    studio.wait(studio.picture, picture)
    studio.wait(studio.numbers, numbers)
    assert studio.numbers().startswith(f"{studio.ratio():.2f};")
    moved = studio.place()
    assert abs(moved[0] - x - 25) <= 1 and abs(moved[1] - y - 10) <= 1, "as far as the mouse"


def test_the_slider_moves_the_thing(studio):
    before = studio.picture(), studio.numbers(), studio.place()
    handle = studio.cell.locator(".noUi-handle").first.bounding_box()
    x, y = handle["x"] + handle["width"] / 2, handle["y"] + handle["height"] / 2
    mouse = studio.page.mouse
    mouse.move(x, y)
    mouse.down()
    mouse.move(x + 60, y, steps=4)
    mouse.up()
    studio.wait(studio.picture, before[0])
    studio.wait(studio.numbers, before[1])
    assert studio.place() != before[2]
    wanted = float(studio.cell.locator(".widget-readout").first.inner_text())
    assert abs(studio.ratio() - wanted) <= 0.011


def test_arrow_keys_nudge_it_and_leave_the_notebook_alone(studio):
    cells, picture, (x, y) = studio.page.locator(".jp-Cell").count(), studio.picture(), studio.place()
    studio.surface.focus()
    for key in ("ArrowLeft", "Shift+ArrowDown"):
        studio.page.keyboard.press(key)
    studio.wait(studio.picture, picture)
    until(studio.page, lambda: studio.place() == [x - 1, y + 10])
    assert studio.page.locator(".jp-Cell").count() == cells
    assert studio.page.evaluate("document.activeElement.className").startswith("deocc-canvas")


def test_a_finger_drags_it_too(studio):
    picture, (x, y), grip = studio.picture(), studio.place(), studio.grip()
    session = studio.page.context.new_cdp_session(studio.page)

    def touch(kind: str, *points: tuple[float, float]) -> None:
        spots = [dict(zip("xy", studio.at(*point), strict=True)) for point in points]
        session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": spots})

    touch("touchStart", grip)
    for step in range(1, 5):
        touch("touchMove", (grip[0] - 4 * step, grip[1]))
        studio.page.wait_for_timeout(50)  # faster moves than frames are merged
    touch("touchEnd")
    # The place, not the picture, says that this drag has arrived: a late picture may be
    # the answer to what was done before it.
    until(studio.page, lambda: abs(studio.place()[0] - x + 16) <= 1, "16 pixels to the left")
    assert studio.place()[1] == y
    studio.wait(studio.picture, picture)


def test_the_overlay_is_chosen_with_a_click(studio):
    pixels = studio.pixels()
    studio.cell.get_by_role("button", name="none", exact=True).click()
    studio.wait(studio.pixels, pixels)


def test_it_fits_a_narrow_page(studio):
    size = studio.page.viewport_size
    studio.page.set_viewport_size({"width": 760, "height": 900})
    try:
        canvas, picture = studio.surface, studio.cell.locator("img")
        until(studio.page, lambda: picture.bounding_box()["y"] > canvas.bounding_box()["y"] + 150)
        box = canvas.bounding_box()
        assert picture.bounding_box()["y"] > box["y"] + box["height"], "one below the other"
        assert box["width"] > 150 and abs(box["width"] - box["height"]) < 2
        sharp = "s => Math.abs(s.width - s.clientWidth * devicePixelRatio) <= 1"
        until(studio.page, lambda: canvas.evaluate(sharp), "the canvas has as many pixels as the screen")
    finally:
        studio.page.set_viewport_size(size)


@pytest.fixture
def drawing(notebook):
    return Shown(notebook, 3)


def wait_for_value(notebook, expression: str, wanted: str) -> None:
    """Waits until the kernel's repr is as wanted."""
    until(notebook.page, lambda: notebook.value(expression) == wanted, f"{expression} is not {wanted}")


def test_a_click_a_box_and_a_stroke_arrive_in_picture_pixels(notebook, drawing):
    pixels = drawing.pixels()
    drawing.page.mouse.click(*drawing.at(100.5, 50.5))
    wait_for_value(notebook, "drawing.point", "(100, 50)")
    until(drawing.page, lambda: drawing.pixels() != pixels, "the point is marked")
    notebook.value("setattr(drawing, 'tool', 'box')")
    drawing.cell.locator("canvas[data-tool=box]").wait_for()
    drawing.drag((150.5, 200.5), (30.5, 20.5))
    drawing.page.mouse.up()
    wait_for_value(notebook, "drawing.box", "(30, 20, 151, 201)")
    drawing.drag((100.5, 50.5), (103.5, 53.5))
    drawing.page.mouse.up()
    notebook.value("setattr(drawing, 'tool', 'brush')")
    drawing.cell.locator("canvas[data-tool=brush]").wait_for()
    drawing.drag((60, 128), (200, 128))
    drawing.page.mouse.up()
    line = "drawing.mask[120:136, 60:200].all()"
    wait_for_value(notebook, f"bool({line}) and not drawing.mask[:115].any()", "True")
    assert notebook.value("drawing.box") == "(30, 20, 151, 201)", "a shaken click draws no box"


def test_a_click_moves_the_microscope_and_an_arrow_steps_on(notebook):
    shown = Shown(notebook, 4)
    hidden = "np.argwhere(~microscope.pair[0].visible)[0].tolist() + [microscope.pair[0].grid]"
    row, column, grid = eval(notebook.value(hidden))
    pixels = shown.pixels()
    shown.page.mouse.click(*shown.at((column + 0.5) * 256 / grid, (row + 0.5) * 256 / grid))
    wait_for_value(notebook, "tuple(map(int, microscope.cell))", f"({row}, {column})")
    until(shown.page, lambda: shown.pixels() != pixels, "the new map lies over the photo")
    shown.cell.get_by_text(f"cell {row}, {column} of {grid} x {grid}").wait_for()
    shown.surface.focus()
    shown.page.keyboard.press("ArrowDown")
    wait_for_value(notebook, "tuple(map(int, microscope.cell))", f"({row + 1}, {column})")


def test_the_player_plays_to_the_last_layer(notebook):
    cell = notebook.page.locator(".jp-CodeCell").nth(5)
    cell.scroll_into_view_if_needed()
    cell.locator(".widget-play button").first.click()
    cell.get_by_text("decoder 1", exact=True).wait_for()
    wait_for_value(notebook, "player.layer.value == player.layer.max", "True")


def test_a_row_is_ticked_trained_stopped_and_shown_beside_the_stored_ones(notebook):
    page = notebook.page
    cell = page.locator(".jp-CodeCell").nth(6)
    cell.scroll_into_view_if_needed()
    picture = cell.locator("img").get_attribute("src")
    train, stop = (cell.get_by_role("button", name=name, exact=True) for name in ("Train this row", "Stop"))
    for name in ("templates", "discriminator"):
        cell.get_by_label(name, exact=True).click()
    cell.get_by_text("Chosen: visible-mask branch, body-part branches.").wait_for()
    train.click()
    until(page, lambda: stop.is_enabled() and train.is_disabled(), "the training never starts")
    cell.get_by_text("seed 0: stored.").wait_for()
    until(page, lambda: cell.locator("img").get_attribute("src") != picture, "the new row is drawn")
    cell.get_by_text("Not comparable with the stored rows").wait_for()
    own = "[row['key'] for row in workbench.own()['given']['initial']]"
    wait_for_value(notebook, own, "['modal-parsing']")

    notebook.value("setattr(workbench, 'bench', Bench(Path('bench'), images=40_000, persons=2, threads=1))")
    until(page, lambda: train.is_enabled())
    train.click()
    cell.get_by_text("training, step").wait_for()
    stop.click()
    cell.get_by_text("seed 0: stopped.").wait_for()
    until(page, lambda: train.is_enabled() and stop.is_disabled())
    assert notebook.value(own) == "['modal-parsing']", "what was stopped is no row"
    cell.get_by_role("button", name="stage 2: pixels", exact=True).click()
    cell.get_by_label("attention over body parts", exact=True).wait_for()


def wait_for_routes(lab, notebook, count: int) -> list[tuple[str, str]]:
    """The file, once it has that many decisions."""
    path = lab.folder / "routes.csv"

    def rows() -> list[dict[str, str]]:
        return list(csv.DictReader(path.read_text().splitlines())) if path.exists() else []

    until(notebook.page, lambda: len(rows()) == count, f"{count} decisions never come")
    return [(row["id"], row["route"]) for row in rows()]


def wait_for_name(shown: Shown, name: str) -> None:
    shown.cell.get_by_text(name, exact=True).wait_for()


def test_buttons_keys_undo_and_a_restarted_kernel(lab, notebook):
    ids = eval(notebook.value("routing._ids"))
    shown, keyboard = Shown(notebook, 2), notebook.page.keyboard
    cells = notebook.page.locator(".jp-Cell").count()
    pixels = shown.pixels()
    shown.cell.get_by_role("button", name="Discard (d)").click()
    assert wait_for_routes(lab, notebook, 1) == [(ids[0], "discard")]
    wait_for_name(shown, ids[1])
    until(notebook.page, lambda: shown.pixels() != pixels, "the next picture appears")
    notebook.page.wait_for_timeout(250)  # as long as a hand takes
    keyboard.press("d")  # the button has the focus; d, d would delete a cell of the notebook
    wait_for_routes(lab, notebook, 2)
    shown.surface.click()
    for count, key in enumerate(("p", "r"), 3):
        wait_for_name(shown, ids[count - 1])
        notebook.page.wait_for_timeout(250)  # sooner nobody can have seen who is shown
        keyboard.press(key)
        wait_for_routes(lab, notebook, count)
    keyboard.press("Backspace")
    wanted = list(zip(ids, ("discard", "discard", "preserve"), strict=False))
    assert wait_for_routes(lab, notebook, 3) == wanted
    wait_for_name(shown, ids[3])
    shown.cell.get_by_text("3 of 6 routed: discard 2, preserve 1, refine 0").wait_for()
    assert notebook.page.locator(".jp-Cell").count() == cells, "the keys did nothing to the notebook"

    notebook.restart()
    notebook.run()
    again = Shown(notebook, 2)
    wait_for_name(again, ids[3])
    notebook.page.wait_for_timeout(250)
    again.cell.get_by_role("button", name="Refine (r)").click()
    assert wait_for_routes(lab, notebook, 4) == [*wanted, (ids[3], "refine")]


# ------------------------------------------------------------------------------------------ photo studio


class Photo(Shown):
    """The photo studio, in a notebook or on a page of its own."""

    def __init__(self, page, within) -> None:
        self.page, self.cell = page, within
        self.surface = within.locator("canvas.deocc-canvas")
        within.locator("canvas[data-ready=true]").wait_for()
        self.surface.scroll_into_view_if_needed()

    def picture(self) -> str:
        return self.cell.locator("img").get_attribute("src")

    def choose(self, tool: str, kind: str) -> None:
        self.cell.get_by_role("button", name=tool, exact=True).click()
        self.cell.locator(f"canvas[data-tool={kind}]").wait_for()

    def press(self, name: str) -> None:
        self.cell.get_by_role("button", name=name, exact=True).click()

    def pull(self, start: tuple[float, float], end: tuple[float, float]) -> None:
        """Drags and lets go, in picture pixels."""
        self.drag(start, end)
        self.page.mouse.up()

    def box_brush_and_answer(self) -> None:
        """Draws a box, paints and rubs out, de-occludes; the page changes each time."""
        pixels, picture = self.pixels(), self.picture()
        self.pull((60, 20), (200, 240))
        self.cell.get_by_text("The blue mask is rough").wait_for()
        until(self.page, lambda: self.pixels() != pixels, "the rough mask lies over the photo")
        for tool, ends in (
            ("paint", ((100, 60), (100, 190))),
            ("erase", ((150, 200), (190, 200))),
        ):
            self.choose(tool, "brush")
            self.pull(*ends)
        self.cell.get_by_text("The blue mask is exact").wait_for()
        self.press("De-occlude")
        self.cell.get_by_text("of the whole person is hidden").wait_for()
        until(self.page, lambda: self.picture() != picture, "the answer appears")


@pytest.fixture(scope="module")
def photo_notebook(lab: browser.Lab) -> browser.Notebook:
    browser.write_notebook(lab.folder / "photo.ipynb", [PHOTO])
    return lab.open("photo.ipynb")


def large_photo(path: Path) -> Path:
    """12 million pixels, stored lying and marked as upright, in more bytes than a server takes at once."""
    noise = np.random.default_rng(0).integers(0, 256, (3000, 4000, 3), np.uint8)
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(noise).save(path, quality=90, exif=exif)
    assert path.stat().st_size > 10_500_000
    return path


def dropped(page, name: str, content: bytes = b"text") -> object:
    """A file as a drop event brings it."""
    make = """([name, content]) => { const data = new DataTransfer();
      const bytes = Uint8Array.from(atob(content), c => c.charCodeAt(0));
      data.items.add(new File([bytes], name)); return data; }"""
    return page.evaluate_handle(make, [name, base64.b64encode(content).decode()])


def small_picture() -> bytes:
    """A PNG file of 50 x 30 pixels."""
    small = io.BytesIO()
    Image.fromarray(np.zeros((30, 50, 3), np.uint8)).save(small, "PNG")
    return small.getvalue()


def test_a_photo_of_ones_own_in_a_notebook(lab, photo_notebook, tmp_path):
    page, value = photo_notebook.page, photo_notebook.value
    studio = Photo(page, page.locator(".jp-CodeCell").first)
    studio.box_brush_and_answer()
    assert value("studio.session.question.exact and studio.session.question.box[0] in (59, 60, 61)") == "True"
    assert value("bool((studio.session.answer.modal_mask == studio.session.question.mask).all())") == "True"
    assert value("bool(studio.session.answer.modal_mask[70:180, 97:103].all())") == "True", "what was painted"

    picture = studio.picture()
    studio.press("cut-out")
    until(page, lambda: studio.picture() != picture, "the cut-out is shown")
    with page.expect_download() as download:
        studio.press("Save the person")
    saved = np.asarray(Image.open(io.BytesIO(Path(download.value.path()).read_bytes())))
    assert str(list(saved.shape)) == value("list(studio.cut_out().shape)") and saved.shape[2] == 4

    studio.cell.locator("input[type=file]").first.set_input_files(large_photo(tmp_path / "phone.jpg"))
    wait_for_value(photo_notebook, "studio.session.photo.shape", "(4000, 3000, 3)")
    studio.cell.get_by_text("phone.jpg").last.wait_for()
    data = dropped(page, "drop.png", small_picture())
    studio.surface.dispatch_event("drop", {"dataTransfer": data})
    wait_for_value(photo_notebook, "studio.session.photo.shape", "(30, 50, 3)")
    session = value("id(studio.session)")
    studio.press("background")
    data = dropped(page, "drop.png", small_picture())
    button = studio.cell.locator(".deocc-files", has_text="open a background")
    button.dispatch_event("drop", {"dataTransfer": data})
    wait_for_value(photo_notebook, "None if studio._own is None else studio._own.shape", "(30, 50, 3)")
    assert value("id(studio.session)") == session, "the photo stays"


def test_a_tool_is_in_the_hand_before_the_kernel_has_heard_of_it(photo_notebook):
    page, value = photo_notebook.page, photo_notebook.value
    studio = Photo(page, page.locator(".jp-CodeCell").first)
    value("studio.open(case.image)")
    wait_for_value(photo_notebook, "studio.canvas.width", "256")
    value("setattr(studio, '_use_tool', lambda: None)")  # the kernel is busy, and answers late
    value("setattr(studio.brush, 'value', 30)")
    wait_for_value(photo_notebook, "studio.canvas.brush", "30")
    for tool, row in (("paint", 60), ("erase", 100), ("paint", 140)):
        studio.choose(tool, "brush")
        studio.pull((60, row), (150, row))
    strokes = "[(stroke.erase, stroke.width, round(stroke.points[0][1])) for stroke in studio.canvas.strokes]"
    wait_for_value(photo_notebook, strokes, "[(False, 30, 60), (True, 30, 100), (False, 30, 140)]")
    studio.choose("click: no", "point")
    page.mouse.click(*studio.at(100, 170))
    wait_for_value(photo_notebook, "[yes for *_, yes in studio.session.question.clicks]", "[False]")
    value("delattr(studio, '_use_tool')")
    studio.cell.get_by_label("keep the mask exactly").focus()
    page.keyboard.press("u")  # a check box takes no text
    wait_for_value(photo_notebook, "len(studio.session.question.clicks)", "0")


def test_only_files_are_dropped_and_what_is_none_is_said(photo_notebook):
    page, value = photo_notebook.page, photo_notebook.value
    studio = Photo(page, page.locator(".jp-CodeCell").first)
    session, picture = value("id(studio.session)"), studio.cell.locator("img.deocc-picture")
    picture.drag_to(studio.surface)
    assert not picture.evaluate("image => image.draggable")
    picture.dispatch_event("dragstart")
    data = dropped(page, "image.png", small_picture())
    studio.surface.dispatch_event("drop", {"dataTransfer": data})
    picture.dispatch_event("dragend")
    page.evaluate("() => { window.readFile = Blob.prototype.arrayBuffer; "
                  "Blob.prototype.arrayBuffer = () => Promise.reject(new Error('a folder')); }")  # fmt: skip
    studio.surface.dispatch_event("drop", {"dataTransfer": dropped(page, "folder")})
    studio.cell.get_by_text("folder: a piece was lost on its way, or it is no file").wait_for()
    page.evaluate("() => { Blob.prototype.arrayBuffer = window.readFile; }")
    studio.cell.locator(".deocc-files", has_text="open a photo, or drop one").wait_for()
    assert value("id(studio.session)") == session
    studio.surface.dispatch_event("drop", {"dataTransfer": dropped(page, "notes.txt")})
    studio.cell.get_by_text("notes.txt: not a picture").wait_for()

    studio.press("background")
    menu = studio.cell.locator("select").filter(has_text="a picture of yours")
    value("(setattr(studio, '_own', None), setattr(studio.background, 'value', 'meadow'))")
    chosen = "menu => menu.selectedOptions[0].text"
    until(page, lambda: menu.evaluate(chosen) == "meadow")
    menu.select_option("a picture of yours")
    studio.cell.get_by_text("open a background first").wait_for()
    until(page, lambda: menu.evaluate(chosen) == "meadow", "the menu goes back")


def test_dead_widgets_say_so_and_keep_their_pictures(photo_notebook):
    page = photo_notebook.page
    page.evaluate("() => { void window.jupyterapp.shell.currentWidget.sessionContext.restartKernel() }")
    for kind in ("canvas.deocc-dead", "img.deocc-dead"):
        page.locator(kind).wait_for()
    until(page, lambda: page.get_by_text("This picture no longer answers").count() == 2, "each says so once")
    kept = "image => image.hidden || (image.complete && image.naturalWidth > 0)"
    assert page.locator("img.deocc-dead").evaluate(kept), "no broken picture"


FILES = """
import numpy as np
from IPython.display import display
from deocc import figures
from deocc.widgets.files import FileBox
from deocc.widgets.picture import Picture
files, picture = FileBox(lambda name, content: None), Picture("grey")
display(files, files, picture)
"""
DENSITY = """
from deocc.widgets import DensityEditor
editor = DensityEditor(start="train")
editor
"""


def test_a_box_shown_twice_saves_once_and_pictures_give_their_memory_back(lab):
    browser.write_notebook(lab.folder / "files.ipynb", [FILES])
    notebook = lab.open("files.ipynb")
    page, saved = notebook.page, []
    page.locator(".deocc-files").nth(1).wait_for()
    page.on("download", lambda download: saved.append(download.suggested_filename))
    notebook.value("files.save('a.txt', b'text')")
    until(page, lambda: saved, "the file is saved")
    page.wait_for_timeout(1000)
    assert saved == ["a.txt"]

    page.evaluate("""() => {
      window.held = new Set();
      const [make, free] = [URL.createObjectURL, URL.revokeObjectURL];
      URL.createObjectURL = (blob) => { const url = make.call(URL, blob); held.add(url); return url; };
      URL.revokeObjectURL = (url) => { held.delete(url); free.call(URL, url); };
    }""")
    grey = "figures.encode_jpeg(np.full((600, 800, 3), {}, np.uint8))"
    notebook.value(f"[setattr(picture, 'value', {grey.format('i')}) for i in range(20)]")
    notebook.value(f"setattr(picture, 'value', {grey.format(200)})")
    until(page, lambda: page.evaluate("held.size") == 1, "one address is in use")
    assert page.locator("img.deocc-picture").evaluate("image => image.complete && image.naturalWidth") == 800


def test_the_density_editor_on_a_narrow_page(lab):
    """All knots lie on the page, each number is read in full, and the mouse pulls an upright slider."""
    browser.write_notebook(lab.folder / "density.ipynb", [DENSITY])
    notebook = lab.open("density.ipynb")
    page = notebook.page
    page.set_viewport_size({"width": 800, "height": 900})
    cell = page.locator(".jp-CodeCell").first
    knots, numbers = cell.locator(".widget-vslider"), cell.locator(".widget-vslider .widget-readout")
    until(page, lambda: knots.count() == numbers.count() == 11)
    numbers.first.scroll_into_view_if_needed()
    area = cell.locator(".jp-OutputArea-output").last.bounding_box()
    for knot in knots.all():
        box = knot.bounding_box()
        assert area["x"] <= box["x"] and box["x"] + box["width"] <= area["x"] + area["width"] + 1
    for number in numbers.all():
        assert re.fullmatch(r"\d\.\d\d", number.inner_text())
        assert number.evaluate("e => e.scrollWidth <= e.clientWidth && e.scrollHeight <= e.clientHeight")
    heights = notebook.value("editor.density.heights")
    handle = knots.first.locator(".noUi-handle").bounding_box()
    x, y = handle["x"] + handle["width"] / 2, handle["y"] + handle["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x, y - 30, steps=4)
    page.mouse.up()
    until(page, lambda: notebook.value("editor.density.heights") != heights, "the curve follows the hand")

    page.evaluate("() => { void window.jupyterapp.shell.currentWidget.sessionContext.restartKernel() }")
    cell.get_by_text("This picture no longer answers").wait_for()
    assert cell.locator("img.deocc-dead").evaluate("image => image.complete && image.naturalWidth > 200")


def test_the_app_is_a_page_of_its_own(lab, tmp_path):
    if importlib.util.find_spec("voila") is None:
        pytest.skip("no Voila here; pip install voila")
    port = browser.free_port()
    with open(tmp_path / "voila.log", "wb") as log:
        server = subprocess.Popen(
            app.app_command(port, browser=False), stdout=log, stderr=log,
            env=app.app_environment(lab.environment),
        )  # fmt: skip
        try:
            page = lab.visit(f"http://{app.ADDRESS}:{port}/")
            sheets = page.locator("link[rel=stylesheet][href^='http']")
            assert not [s.get_attribute("href") for s in sheets.all()], "the page asks no other server"
            assert not app.is_free(port)
            studio = Photo(page, page.locator("body"))
            assert "NASA" in studio.cell.inner_text() and not page.locator(".jp-InputArea-editor").count()
            studio.box_brush_and_answer()
        finally:
            server.terminate()
            server.wait(20)
