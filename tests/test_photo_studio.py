"""The photo studio without a browser, on untrained networks: question, answer, cut-out, several people."""

import io
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from deocc import Deoccluder, figures
from deocc.errors import DeoccError
from deocc.io import read_rgba
from deocc.models import ContentRecoveryNet, MaskCompletionNet
from deocc.widgets import PhotoStudio
from deocc.widgets.canvas import Stroke
from deocc.widgets.files import FileBox, photo_of_bytes
from deocc.widgets.first_photo import first_photo
from deocc.widgets.messages import of_question
from deocc.widgets.photo import OWN, SIDE, TOOLS
from deocc.widgets.session import KEPT, PhotoSession, Question

HEIGHT, WIDTH = 60, 80
BOX = {"x0": 20, "y0": 10, "x1": 50, "y1": 55}


@pytest.fixture(scope="module")
def deoccluder() -> Deoccluder:
    torch.manual_seed(0)
    return Deoccluder(MaskCompletionNet(8), ContentRecoveryNet(8, levels=5), size=64, device="cpu")


def make_photo(height: int = HEIGHT, width: int = WIDTH) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 255, (height, width, 3), np.uint8)


@pytest.fixture
def studio(deoccluder: Deoccluder) -> PhotoStudio:
    return PhotoStudio(deoccluder, make_photo(), "a photo.")


def line(*points: tuple[float, float], width: float = 12, erase: bool = False) -> dict:
    return {"points": list(points), "width": width, "erase": erase}


def jpeg(photo: np.ndarray, **options: object) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(photo).save(buffer, "JPEG", **options)
    return buffer.getvalue()


def shape_of(image: object) -> tuple[int, ...]:
    return np.asarray(Image.open(io.BytesIO(image.value))).shape


class TestQuestion:
    def test_a_box_asks_stage_1_and_shows_its_mask(self, studio):
        assert studio.canvas.painted == b"" and "a photo. 80 x 60" in studio.caption.value
        studio.act("box", **BOX)
        now = studio.session.question
        asked = studio._deoccluder.deocclude(studio.session.source, box=tuple(BOX.values()), paint=False)
        np.testing.assert_array_equal(now.mask, asked.modal_mask)
        np.testing.assert_array_equal(studio.canvas.mask, now.mask)
        assert not now.exact and studio.session.answer is None and asked.notes == now.notes

    def test_the_box_on_the_page_is_the_one_that_is_asked_about(self, studio):
        studio.act("box", **BOX)
        studio.act("box", x0=50, y0=10, x1=80, y1=50)
        studio.undo.click()
        assert studio.canvas.box == tuple(BOX.values()) == studio.session.question.box
        studio.undo.click()
        assert studio.canvas.box is None and studio.session.question.box is None

    def test_notes_are_said_while_they_hold(self, studio, monkeypatch):
        nobody = replace(Question(*np.zeros((2, HEIGHT, WIDTH), bool)), notes=("stage 1 found nobody",))
        assert of_question(nobody).startswith("Stage 1 found nobody. Draw a box")
        rough = replace(nobody, mask=np.ones((HEIGHT, WIDTH), bool), notes=("much was given up",))
        assert "Much was given up." in of_question(rough)
        assert "Much was given up." not in of_question(replace(rough, exact=True))
        studio.session.question = rough
        studio.act("stroke", **line((25, 20), (60, 20)))
        assert not studio.session.question.notes

    def test_an_unexpected_error_is_said_and_raised(self, studio, monkeypatch):
        def out_of_memory(*_: object, **__: object) -> None:
            raise MemoryError("<all> gone")

        monkeypatch.setattr(studio.session, "deocclude", out_of_memory)
        with pytest.raises(MemoryError):
            studio._do(studio.deocclude)
        assert "MemoryError: &lt;all&gt; gone" in studio.caption.value

    def test_an_interrupt_is_said_and_goes_on(self, studio, monkeypatch):
        def interrupted(*_: object, **__: object) -> None:
            raise KeyboardInterrupt

        monkeypatch.setattr(studio.session, "deocclude", interrupted)
        with pytest.raises(KeyboardInterrupt):
            studio._do(studio.deocclude)
        assert "KeyboardInterrupt: stopped" in studio.caption.value

    def test_a_script_is_told_what_goes_wrong(self, studio):
        with pytest.raises(DeoccError, match="draw a box around the person first"):
            studio.act("point", x=3, y=3, is_person=True)
        assert "draw a box" in studio.caption.value
        with pytest.raises(DeoccError, match="box: it marks nothing; give a larger one, or one inside"):
            studio.act("box", x0=500, y0=10, x1=600, y1=55)
        with pytest.raises(DeoccError, match="outside the 80 x 60 photo"):
            studio.act("point", x=500, y=3, is_person=True)
        studio.act("box", **BOX)
        assert studio.session.question.box == tuple(BOX.values())

    def test_clicks_are_followed_and_shown(self, studio):
        studio.act("box", **BOX)
        studio.act("point", x=30, y=30, is_person=True)
        studio.act("point", x=70, y=5, is_person=False)
        now = studio.session.question
        assert now.mask[30, 30] and not now.mask[5, 70]
        assert [(int(x), int(y), yes) for x, y, yes in now.points] == [(30, 30, True), (70, 5, False)]
        assert studio.canvas.overlay and studio.canvas.point is None

    def test_a_click_alone_says_what_to_do_first(self, studio):
        studio.tool.value = "click: yes"
        studio.canvas._handle_custom_msg({"kind": "point", "x": 3, "y": 3, "erase": False}, [])
        assert "draw a box" in studio.caption.value and not studio.session.question.points

    def test_the_brush_makes_an_exact_mask(self, studio):
        studio.act("box", **BOX)
        studio.act("stroke", **line((25, 20), (60, 20)))
        studio.act("stroke", **line((30, 50), (40, 50), erase=True))
        mask = studio.session.question.mask
        assert studio.exact.value and mask[20, 30:58].all() and not mask[50, 30:40].any()
        studio.deocclude()
        answer = studio.session.answer
        np.testing.assert_array_equal(answer.modal_mask, mask)
        assert (answer.recovered == studio.session.photo)[mask].all()

    def test_a_click_after_the_brush_starts_from_the_brushed_mask(self, studio):
        studio.act("stroke", **line((30, 10), (30, 50), width=16))
        brushed = studio.session.question.mask
        studio.act("point", x=36, y=30, is_person=True)
        now = studio.session.question
        assert now.start is brushed and len(now.points) == 1 and not now.exact and not studio.exact.value

    def test_a_no_beside_the_brushed_mask_leaves_it_exact(self, studio):
        studio.act("stroke", **line((30, 10), (30, 50), width=16))
        brushed = studio.session.question.mask
        studio.act("point", x=60, y=30, is_person=False)
        now = studio.session.question
        assert now.exact and studio.exact.value and len(now.clicks) == 1
        np.testing.assert_array_equal(now.mask, brushed)
        assert not now.hidden[30, 60]
        answer = studio.session.deocclude()
        np.testing.assert_array_equal(answer.modal_mask, brushed)
        assert not answer.amodal_mask[30, 60]
        studio.act("stroke", **line((20, 10), (20, 20), width=4))
        assert studio.session.question.clicks == now.clicks, "a stroke elsewhere keeps it"
        studio.act("point", x=60, y=30, is_person=True)
        assert not studio.session.question.exact, "a yes there mends the mask"

    def test_a_no_goes_where_the_exact_mask_no_longer_reaches_it(self, studio):
        studio.act("stroke", **line((20, 5), (20, 55), width=20))
        studio.act("point", x=70, y=50, is_person=False)
        assert len(studio.session.question.clicks) == 1
        studio.act("stroke", **line((20, 22), (20, 59), width=40, erase=True))  # the frame shrinks
        assert studio.session.question.mask.any() and not studio.session.question.clicks
        studio.run.click()
        assert studio.session.is_current and "of the whole person" in studio.caption.value
        studio.undo.click()
        assert len(studio.session.question.clicks) == 1

    def test_noes_stay_when_exact_is_switched_off_and_go_where_a_yes_takes_them_in(self, studio):
        studio.act("stroke", **line((30, 10), (30, 50), width=16))
        studio.act("point", x=60, y=30, is_person=False)
        studio.act("point", x=44, y=30, is_person=False)
        noes = studio.session.question.clicks
        studio.exact.value = False
        now = studio.session.question
        assert now.clicks == noes and len(noes) == 2 and now.start is now.mask
        studio.exact.value = True
        assert studio.session.question.clicks == noes
        studio.exact.value = False
        studio.act("point", x=44, y=30, is_person=True)
        assert studio.session.question.mask[30, 44]
        studio.exact.value = True
        assert studio.session.question.clicks == noes[:1]
        studio.session.deocclude()

    def test_noes_to_a_rough_mask_say_nothing_of_an_exact_one(self, studio):
        studio.act("box", **BOX)
        studio.act("point", x=40, y=30, is_person=False)  # not visible; who knows what is behind
        studio.exact.value = True
        now = studio.session.question
        assert now.exact and not now.clicks and len(now.points) == 1
        studio.session.deocclude()

    def test_a_click_outside_the_photo_is_refused(self, studio):
        studio.act("stroke", **line((30, 10), (30, 50), width=16))
        with pytest.raises(DeoccError, match="outside the 80 x 60 photo"):
            studio.session.click(30, 500, False)

    def test_clicks_on_a_rough_mask_add_up(self, studio):
        mask = np.zeros((HEIGHT, WIDTH), bool)
        mask[10:50, 20:50] = True
        studio.give_mask(mask, exact=False)
        studio.act("point", x=25, y=20, is_person=False)
        studio.act("point", x=40, y=40, is_person=True)
        now = studio.session.question
        assert [yes for *_, yes in now.points] == [False, True]
        assert now.start is mask and not now.mask[20, 25] and now.mask[40, 40]

    def test_exact_switched_on_and_off_keeps_the_question(self, studio):
        studio.act("box", **BOX)
        studio.act("point", x=30, y=30, is_person=True)
        before = studio.session.question
        studio.exact.value = True
        studio.exact.value = False
        assert studio.session.question == before

    def test_an_answer_to_an_earlier_question_is_not_accepted(self, studio):
        studio.act("box", **BOX)
        studio.deocclude()
        studio.act("box", x0=5, y0=5, x1=30, y1=50)
        with pytest.raises(DeoccError, match="changed since the answer"):
            studio.session.accept()
        studio.undo.click()
        assert studio.session.accept().answer is not None

    def test_a_tall_photo_is_hit_where_it_is_clicked(self, deoccluder):
        photo = make_photo(3000, 2052)
        studio = PhotoStudio(deoccluder, photo, "a photo.")
        rows, columns = studio.canvas.mask.shape
        studio.session._look = studio.session._take  # without the networks
        studio.give_mask(np.ones(photo.shape[:2], bool), exact=False)
        studio._ask_click(columns - 1, rows - 1)
        x, y, _ = studio.session.question.points[-1]
        assert 2049 < x < 2052 and 2997 < y < 3000

    def test_undo_goes_back_step_by_step(self, studio):
        studio.act("stroke", **line((30, 10), (30, 50)))
        first = studio.session.question
        studio.act("stroke", **line((10, 10), (10, 50)))
        studio.canvas.act("key", key="u")
        assert studio.session.question is first
        np.testing.assert_array_equal(studio.canvas.mask, first.mask)
        studio.undo.click()
        assert not studio.canvas.mask.any() and studio.canvas.painted == b""
        studio.undo.click()
        for _ in range(KEPT + 5):
            studio.act("stroke", **line((10, 10)))
        assert sum(studio.session.undo() for _ in range(50)) == KEPT

    def test_exact_can_be_switched_off(self, studio):
        studio.act("stroke", **line((30, 10), (30, 50), width=16))
        studio.exact.value = False
        assert "rough" in studio.caption.value
        studio.deocclude()
        assert studio.session.answer.initial_mask.any()

    def test_nothing_marked(self, studio):
        studio.run.click()
        assert "nobody is marked yet" in studio.caption.value
        with pytest.raises(DeoccError, match="no answer yet"):
            studio.cut_out()
        with pytest.raises(DeoccError, match="no answer to accept"):
            studio.session.accept()

    def test_each_tool_reaches_the_canvas(self, studio):
        for name, wanted in TOOLS.items():
            studio.tool.value = name
            assert (studio.canvas.tool, studio.canvas.erase) == wanted
            assert studio.canvas.choices[studio.tool.index] == list(wanted), (
                "what the page takes into the hand"
            )
        studio.brush.value = 40
        assert studio.canvas.brush == 40 and not studio.brush.continuous_update


class TestLargePhoto:
    def test_work_is_done_on_the_photos_own_pixels(self, deoccluder):
        photo = make_photo(1500, 2048)
        studio = PhotoStudio(deoccluder, photo)
        assert (studio.canvas.width, studio.canvas.height) == (SIDE, 750)
        studio.act("stroke", points=[(600.0, 400.0), (600.0, 900.0)], width=201, erase=False)
        mask = studio.session.question.mask
        assert mask.shape == (1500, 2048) and mask[650, 505:695].all() and not mask[650, :490].any()
        studio.act("box", x0=400, y0=200, x1=1000, y1=1200)
        assert studio.session.question.box == (400, 200, 1000, 1200)
        studio.act("stroke", points=[(600.0, 400.0), (600.0, 900.0)], width=201, erase=False)
        studio.deocclude()
        assert studio.session.answer.recovered.shape == photo.shape
        assert max(shape_of(studio.image)) == SIDE

    def test_a_turned_photo_stands_upright(self, deoccluder):
        exif = Image.Exif()
        exif[0x0112] = 6
        studio = PhotoStudio(deoccluder, make_photo())
        studio.files.take("phone.jpg", jpeg(make_photo(40, 90), exif=exif))
        assert studio.session.photo.shape == (90, 40, 3) and (studio.canvas.width, studio.canvas.height) == (
            40,
            90,
        )
        assert "phone.jpg" in studio.caption.value

    def test_what_is_odd_about_a_file_is_said_in_sentences(self, deoccluder, tmp_path):
        path = tmp_path / "anim.gif"
        frames = [Image.fromarray(make_photo(60, 50) // part) for part in (1, 2)]
        frames[0].save(path, save_all=True, append_images=frames[1:])
        studio = PhotoStudio(deoccluder, path, "a file.")
        assert "a file. It has several frames: the first is taken. 50 x 60 pixels" in studio.caption.value
        studio.files.take("anim.gif", path.read_bytes())
        assert "anim.gif: It has several frames: the first is taken. 50 x 60" in studio.caption.value

    def test_heic(self, deoccluder):
        pillow_heif = pytest.importorskip("pillow_heif")
        buffer = io.BytesIO()
        pillow_heif.from_pillow(Image.fromarray(make_photo(64, 64))).save(buffer)
        assert photo_of_bytes("phone.heic", buffer.getvalue()).pixels.shape == (64, 64, 3)


class TestFiles:
    def test_what_is_no_photo_is_said_by_its_own_name_and_changes_nothing(self, studio):
        before = studio.session
        studio.files.take("notes.txt", b"not a photo")
        assert "notes.txt: not a picture" in studio.caption.value and studio.session is before
        studio.files.take("<b>.jpg", jpeg(make_photo())[:200])
        assert "&lt;b&gt;.jpg" in studio.caption.value and studio.session is before

    def test_pieces_become_a_file(self):
        got: list[tuple[str, bytes]] = []
        files = FileBox(lambda name, content: got.append((name, content)))
        piece = {"kind": "piece", "name": "a", "pieces": 2}
        files._handle_custom_msg({**piece, "number": 0}, [memoryview(b"lost")])
        for number, content in enumerate((b"on", b"e")):
            files._handle_custom_msg({**piece, "number": number}, [memoryview(content)])
        files._handle_custom_msg({**piece, "number": 1}, [memoryview(b"stray")])
        assert got == [("a", b"one")]

    def test_a_second_file_replaces_one_on_its_way(self):
        got: list[tuple[str, bytes]] = []
        files = FileBox(
            lambda name, content: got.append((name, content)), lambda name: got.append((name, b"lost"))
        )
        for name, number in ("a0", "a1", "b0", "a2", "b1", "a3", "b2"):
            piece = {"kind": "piece", "name": name, "number": int(number), "pieces": 4 if name == "a" else 3}
            files._handle_custom_msg(piece, [memoryview(number.encode())])
        assert got == [("b", b"012")]

    def test_a_lost_piece_is_said(self, studio):
        piece = {"kind": "piece", "name": "<a>.jpg", "pieces": 3}
        studio.files._handle_custom_msg({**piece, "number": 0}, [memoryview(b"x")])
        studio.files._handle_custom_msg({**piece, "number": 2}, [memoryview(b"z")])
        assert "&lt;a&gt;.jpg: a piece was lost" in studio.caption.value

    def test_what_the_browser_cannot_read_is_said(self):
        got: list[tuple[str, bytes]] = []
        files = FileBox(
            lambda name, content: got.append((name, content)), lambda name: got.append((name, b"lost"))
        )
        files._handle_custom_msg({"kind": "piece", "name": "b", "number": 0, "pieces": 2}, [memoryview(b"0")])
        files._handle_custom_msg({"kind": "lost", "name": "a"}, [])
        files._handle_custom_msg({"kind": "piece", "name": "b", "number": 1, "pieces": 2}, [memoryview(b"1")])
        assert got == [("a", b"lost"), ("b", b"01")], "another file on its way arrives"
        files._handle_custom_msg({"kind": "piece", "name": "c", "number": 0, "pieces": 3}, [memoryview(b"0")])
        files._handle_custom_msg({"kind": "lost", "name": "c"}, [])
        assert got[2:] == [("c", b"lost")] and not files._pieces

    def test_saving_sends_a_png(self, studio, monkeypatch):
        sent: list[tuple[str, bytes]] = []
        monkeypatch.setattr(studio.files, "save", lambda *what: sent.append(what))
        assert studio.save_person.disabled
        studio.act("stroke", **line((30, 10), (30, 50), width=16))
        studio.run.click()
        studio.save_person.click()
        studio.save_photo.click()
        studio.shown.value = "background"
        studio.own.take("wide.png", figures.encode_png(np.full((30, 400, 3), 9, np.uint8)))
        studio.save_view.click()
        (person, content), (photo, whole), (view, seen) = sent
        assert view == "view.png" and np.asarray(Image.open(io.BytesIO(seen))).shape == (30, 400, 3)
        assert (person, photo) == ("person.png", "recovered.png")
        np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(content))), studio.cut_out())
        np.testing.assert_array_equal(
            np.asarray(Image.open(io.BytesIO(whole))), studio.session.answer.recovered
        )


class TestAnswer:
    @pytest.fixture
    def answered(self, studio):
        studio.act("stroke", **line((30, 10), (30, 50), width=16))
        studio.run.click()
        return studio

    def test_each_view_is_another_picture_in_place(self, answered):
        image, seen = answered.image, set()
        for name in figures.SHOWN:
            answered.shown.value = name
            assert answered.image is image
            seen.add(answered.image.value)
        assert len(seen) == len(figures.SHOWN)
        assert answered._of_background.layout.display == "" and answered.share.layout.display == "none"

    def test_the_slider_of_before_and_after(self, answered):
        answered.share.value = 1.0
        before = answered.image.value
        answered.share.value = 0.0
        assert answered.image.value != before and answered._of_background.layout.display == "none"

    def test_background_size_and_place(self, answered):
        answered.shown.value, last = "background", None
        answered.own.take("wall.jpg", jpeg(np.full((50, 90, 3), 200, np.uint8)))
        assert answered.background.value == OWN and shape_of(answered.image) == (50, 90, 3)
        for control, value in ((answered.size, 0.4), (answered.across, 0.2), (answered.background, "meadow")):
            last = answered.image.value
            control.value = value
            assert answered.image.value != last

    def test_without_a_picture_of_yours_the_background_stays(self, answered, monkeypatch):
        answered.shown.value = "background"
        seen = answered.image.value
        answered.background.value = OWN
        assert answered.background.value == "evening" and answered.image.value == seen
        assert "open a background first" in answered.caption.value
        answered.own.take("wall.jpg", jpeg(np.full((50, 90, 3), 200, np.uint8)))
        answered.background.value = "meadow"
        answered.background.value = OWN
        assert answered.background.value == OWN and shape_of(answered.image) == (50, 90, 3)

    def test_a_second_click_computes_nothing(self, answered, monkeypatch):
        asked, deoccluder = [], answered._deoccluder
        ask = deoccluder.deocclude
        monkeypatch.setattr(deoccluder, "deocclude", lambda *a, **k: asked.append(1) or ask(*a, **k))
        answer = answered.session.answer
        answered.run.click()
        assert not asked and answered.session.answer is answer
        assert "of the whole person" in answered.caption.value
        answered.act("stroke", **line((20, 10), (20, 20), width=4))
        answered.run.click()
        assert len(asked) == 1 and answered.session.answer is not answer

    def test_a_double_click_on_next_is_one(self, answered):
        answered.next.click()
        answered.next.click()
        assert answered.caption.value.startswith("person 1 is kept")
        assert len(answered.session.people) == 1

    def test_the_cut_out_is_the_whole_person(self, answered, tmp_path):
        rgba, answer = answered.cut_out(), answered.session.answer
        assert (rgba[..., 3] > 0).sum() == answer.amodal_mask.sum()
        read = read_rgba(answered.save(tmp_path / "person.png"))
        np.testing.assert_array_equal(read[..., 3], rgba[..., 3])

    def test_several_people(self, answered):
        first = answered.session.answer
        answered.next.click()
        assert answered.people.options == ("person 1", "the next person") and answered.next.disabled
        assert not answered.canvas.mask.any() and answered.session.source is answered.session.photo
        answered.act("stroke", **line((65, 10), (65, 50), width=16))
        answered.base.value = "recovered"
        answered.deocclude()
        answered.next.click()
        assert [person.name for person in answered.session.people] == ["person 1", "person 2"]
        second = answered.session.people[1].answer
        both = answered.session.source
        np.testing.assert_array_equal(both, answered.session.together())
        only_first = first.invisible_mask & ~second.invisible_mask
        assert (both == first.recovered)[only_first].all()
        neither = ~first.invisible_mask & ~second.invisible_mask
        assert (both == answered.session.photo)[neither].all()
        answered.people.value = "person 1"
        assert answered.chosen().answer is first and not answered.save_person.disabled
        assert (answered.cut_out()[..., 3] > 0).sum() == first.amodal_mask.sum()

    def test_the_page_shows_whose_answer_it_is(self, answered):
        whole = answered.image.value
        answered.act("stroke", **line((65, 10), (65, 50), width=8))
        assert answered.save_person.disabled and "answers the marks before" in answered.caption.value
        answered.undo.click()
        assert not answered.save_person.disabled and answered.image.value == whole
        answered.next.click()
        assert answered.save_person.disabled and answered.image.value != whole
        answered.people.value = "person 1"
        assert not answered.save_person.disabled and answered.image.value == whole
        answered.people.value = "the next person"
        assert answered.save_person.disabled and answered.image.value != whole

    def test_the_photo_is_saved_with_all_people(self, answered, monkeypatch):
        sent: list[bytes] = []
        monkeypatch.setattr(answered.files, "save", lambda name, content: sent.append(content))
        first = answered.session.answer
        answered.next.click()
        answered.act("stroke", **line((65, 10), (65, 50), width=16))
        answered.run.click()
        answered.save_photo.click()
        saved, second = np.asarray(Image.open(io.BytesIO(sent[0]))), answered.session.answer
        later = second.invisible_mask
        assert (saved == second.recovered)[later].all()
        assert (saved == first.recovered)[first.invisible_mask & ~later].all()
        neither = ~first.invisible_mask & ~later
        assert (saved == answered.session.photo)[neither].all()

    def test_another_photo_begins_anew(self, answered):
        answered.next.click()
        answered.files.take("b.png", figures.encode_png(make_photo(30, 40)))
        assert answered.people.options == ("the next person",) and answered.session.photo.shape == (30, 40, 3)
        assert answered.save_person.disabled

    def test_a_shown_cut_out_has_no_dark_rim(self, answered):
        photo = np.full((400, 500, 3), 250, np.uint8)
        mask = np.zeros((400, 500), bool)
        mask[40:360, 101:399] = True
        answer = replace(answered.session.answer, recovered=photo, amodal_mask=mask)
        assert figures.render_photo(photo, answer, "cut-out", side=90).min() > 200

    def test_the_static_twin_says_the_ratio(self, answered):
        (text,) = [text.get_text() for text in answered.figure().texts]
        assert text == f"N = 1, predicted occlusion ratio {answered.session.answer.occlusion_ratio:.2f}"


class TestPictures:
    def test_before_and_after_share_the_width(self):
        dark, light = np.zeros((10, 100, 3), np.uint8), np.full((10, 100, 3), 200, np.uint8)
        both = figures.before_after(dark, light, 0.3)
        assert (both[:, :28] == 0).all() and (both[:, 32:] == 200).all() and (both[:, 30] == 255).all()
        assert (figures.before_after(dark, light, 0) == light).all()
        assert (figures.before_after(dark, light, 1) == dark).all()

    def test_a_cut_out_is_opaque_inside_and_clear_outside(self):
        mask = np.zeros((40, 50), bool)
        mask[10:30, 15:35] = True
        rgba = figures.cut_out(np.full((40, 50, 3), 7, np.uint8), mask, margin=2)
        assert rgba.shape == (24, 24, 4) and (rgba[4:-4, 4:-4, 3] == 255).all()
        assert not rgba[:2, :, 3].any() and 0 < rgba[2, 12, 3] < 255
        assert not rgba[rgba[..., 3] == 0].any(), "nothing of the photo stays where it is clear"

    def test_on_a_background_nothing_bleeds_in(self):
        rgba = np.zeros((20, 10, 4), np.uint8)
        rgba[..., :3] = 255  # what is transparent is white, what is seen black
        rgba[5:, 3:7] = (0, 0, 0, 255)
        below = np.zeros((60, 60, 3), np.uint8)
        out = figures.on_background(rgba, below, 0.5, 0.5)
        assert out.max() <= 2 and below.shape == out.shape
        assert (figures.on_background(rgba, below, 0.5, -9) == below).all(), "beyond the border"

    def test_a_person_stands_on_the_lower_border(self):
        rgba = np.full((20, 10, 4), 255, np.uint8)
        out = figures.on_background(rgba, np.zeros((60, 60, 3), np.uint8), 0.5, 0.25)
        rows, columns = np.nonzero(out[..., 0] > 128)
        assert (rows.min(), rows.max()) == (30, 59) and abs(columns.mean() - 14.5) <= 1

    def test_bad_names_are_refused(self):
        with pytest.raises(DeoccError, match="background 'x'"):
            figures.plain_background("x", (2, 2))
        with pytest.raises(DeoccError, match="differ"):
            figures.before_after(make_photo(2, 2), make_photo(3, 2), 0.5)

    def test_fitting_keeps_the_kind(self):
        photo = make_photo(30, 90)
        assert figures.fit_within(photo, 90) is photo
        assert figures.fit_within(photo, 45).shape == (15, 45, 3)
        small = figures.fit_within(np.ones((30, 90), bool), 45)
        assert small.dtype == bool and small.all()


def test_the_first_photo_is_in_an_installed_package():
    found = first_photo()
    inside = np.zeros_like(found.mask)
    x0, y0, x1, y1 = found.box
    inside[y0:y1, x0:x1] = True
    assert found.image.shape == (512, 512, 3) and "public domain" in found.words
    assert found.mask[60:130, 200:250].all(), "her face"
    assert not found.mask[400:500, 300:480].any(), "the helmet stands in front"
    assert not (found.mask & ~inside).any()


def test_a_session_refuses_what_is_no_photo_or_mask(deoccluder):
    with pytest.raises(DeoccError, match="uint8"):
        PhotoSession(deoccluder, np.zeros((4, 4)))
    session = PhotoSession(deoccluder, make_photo())
    with pytest.raises(DeoccError, match="mask"):
        session.give_mask(np.zeros((4, 4), bool))
    session.brush(Stroke([(30.0, 30.0)], 20, False))
    session.deocclude()
    with pytest.raises(DeoccError, match="base 'x' is unknown"):
        session.accept("x")
