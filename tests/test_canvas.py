"""The canvas: what the page sends becomes traits, masks and calls; what is shown becomes bytes."""

import io

import numpy as np
import pytest
import traitlets
from PIL import Image

from deocc.errors import DeoccError
from deocc.widgets import canvas as module
from deocc.widgets.canvas import Canvas, Stroke, paint_stroke

HEIGHT, WIDTH = 40, 60


@pytest.fixture
def canvas() -> Canvas:
    return Canvas(np.full((HEIGHT, WIDTH, 3), 200, np.uint8), hotkeys=["d"])


def heard(canvas: Canvas, kind: str) -> list[dict]:
    events: list[dict] = []
    canvas.on(kind, lambda **what: events.append(what))
    return events


def page(canvas: Canvas, **content: object) -> None:
    """A message as it comes from the browser."""
    canvas._handle_custom_msg(content, [])


def rgba(height: int, width: int) -> np.ndarray:
    return np.full((height, width, 4), 255, np.uint8)


def test_the_picture_arrives_at_its_size(canvas):
    assert Image.open(io.BytesIO(canvas.background)).size == (canvas.width, canvas.height) == (WIDTH, HEIGHT)


def test_what_is_no_picture_is_refused():
    for bad in (np.zeros((4, 4), np.uint8), np.zeros((4, 4, 3))):
        with pytest.raises(DeoccError, match="uint8 picture"):
            Canvas(bad)


def test_a_sprite_is_dropped_where_the_hand_lets_go(canvas):
    canvas.set_sprite("thing", rgba(5, 7), (3, 4))
    canvas.set_sprite("other", rgba(2, 2), (0, 0), draggable=False)
    assert canvas.positions == {"thing": [3, 4], "other": [0, 0]}
    assert canvas.sprites["thing"]["width"] == 7 and not canvas.sprites["other"]["draggable"]
    events = heard(canvas, "drop")
    page(canvas, kind="drop", name="thing", x=-2, y=11)
    assert events == [{"name": "thing", "x": -2, "y": 11}] and canvas.positions["thing"] == [-2, 11]
    canvas.remove_sprite("thing")
    assert list(canvas.sprites) == list(canvas.positions) == ["other"]
    with pytest.raises(DeoccError, match="no sprite 'thing'; there are other"):
        canvas.move_sprite("thing", 0, 0)


@pytest.mark.parametrize(
    ("clicked", "pixel"), [((3.9, 0.2), (3, 0)), ((-1, 99), (0, HEIGHT - 1)), ((60, 40), (59, 39))]
)
def test_a_click_is_a_pixel_of_the_picture(canvas, clicked, pixel):
    events = heard(canvas, "point")
    page(canvas, kind="point", x=clicked[0], y=clicked[1])
    page(canvas, kind="point", x=clicked[0], y=clicked[1])
    assert canvas.point == pixel and events == [dict(zip("xy", pixel, strict=True))] * 2


def test_a_box_is_ordered_rounded_outwards_and_cut(canvas):
    events = heard(canvas, "box")
    page(canvas, kind="box", x0=30.2, y0=20.7, x1=10.9, y1=5.1)
    assert canvas.box == (10, 5, 31, 21) and len(events) == 1
    page(canvas, kind="box", x0=-5, y0=-5, x1=500, y1=500)
    assert canvas.box == (0, 0, WIDTH, HEIGHT)
    page(canvas, kind="box", x0=7, y0=7, x1=7.2, y1=7.2)
    assert canvas.box == (0, 0, WIDTH, HEIGHT) and len(events) == 2, "a click draws no box"


def test_a_dot_of_the_brush_is_a_disc(canvas):
    mask = paint_stroke(np.zeros((HEIGHT, WIDTH), bool), Stroke([(30.0, 20.0)], 16, False))
    rows, columns = np.mgrid[:HEIGHT, :WIDTH] + 0.5
    distance = np.hypot(rows - 20, columns - 30)
    assert mask[distance <= 7].all() and not mask[distance >= 9].any()


def test_strokes_paint_and_erase(canvas):
    events = heard(canvas, "stroke")
    page(canvas, kind="stroke", points=[[10, 20], [50, 20]], width=8, erase=False, serial=5)
    line = canvas.mask
    assert line[17:23, 10:50].all() and not line[:14].any() and not line[26:].any()
    assert canvas.painted_serial == 5
    shown = np.asarray(Image.open(io.BytesIO(canvas.painted)))
    np.testing.assert_array_equal(shown[..., 3] > 0, line)
    page(canvas, kind="stroke", points=[[30, 0], [30, 39]], width=6, erase=True, serial=6)
    assert not canvas.mask[:, 29:31].any() and canvas.mask[20, 20] and len(events) == 2


def test_each_stroke_is_painted_once(canvas, monkeypatch):
    painted: list[Stroke] = []

    def counted(mask: np.ndarray, stroke: Stroke) -> np.ndarray:
        painted.append(stroke)
        return paint_stroke(mask, stroke)

    monkeypatch.setattr(module, "paint_stroke", counted)
    for x in (5, 25, 45):
        page(canvas, kind="stroke", points=[[x, 20]], width=6, erase=False)
    assert canvas.mask[20, [5, 25, 45]].all() and painted == list(canvas.strokes) and len(painted) == 3


def test_a_click_brings_its_own_yes_or_no(canvas):
    """The tool may be changed in the page while the kernel works: the change can arrive after the click."""
    events = heard(canvas, "point")
    page(canvas, kind="point", x=3, y=2, erase=True)
    assert canvas.erase and events == [{"x": 3, "y": 2}]
    canvas.act("point", x=3, y=2)
    assert canvas.erase, "a script's click is as the tool says"
    page(canvas, kind="point", x=3, y=2, erase=False)
    assert not canvas.erase


def test_a_given_mask_is_painted_on(canvas):
    start = np.zeros((HEIGHT, WIDTH), bool)
    start[:10] = True
    canvas.mask = start
    canvas.brush, canvas.erase = 10, True
    canvas.act("stroke", points=[(0.0, 5.0), (60.0, 5.0)])
    assert not canvas.mask[2:8].any() and start.sum() == 10 * WIDTH, "the given array is not changed"
    with pytest.raises(DeoccError, match="mask"):
        canvas.mask = start[:, 1:]


def test_a_new_picture_forgets_what_was_drawn_on_the_old_one(canvas):
    canvas.act("point", x=1, y=1)
    canvas.act("box", x0=1, y0=1, x1=9, y1=9)
    canvas.act("stroke", points=[(5, 5)])
    canvas.show(np.zeros((8, 9, 3), np.uint8))
    assert canvas.point is None and canvas.box is None and canvas.mask.shape == (8, 9)
    assert not canvas.mask.any() and canvas.painted == canvas.overlay == b""


def test_keys_and_unknown_events(canvas):
    events = heard(canvas, "key")
    page(canvas, kind="key", key="d")
    assert events == [{"key": "d"}]
    with pytest.raises(DeoccError, match="not reported"):
        canvas.act("key", key="x")
    for call in (lambda: canvas.act("wave"), lambda: canvas.on("wave", print)):
        with pytest.raises(DeoccError, match="unknown"):
            call()
    with pytest.raises(traitlets.TraitError):
        canvas.tool = "lasso"
