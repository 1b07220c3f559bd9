"""A stranger's photo: exact masks, stray pixels, boxes asked of stage 1, clicks, the frame's window."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from deocc.cli.main import app
from deocc.cli.photo import PHOTO_FILES
from deocc.errors import DeoccError
from deocc.inference.answers import Completion
from deocc.inference.clicks import Click, spot
from deocc.inference.deoccluder import Deoccluder
from deocc.inference.prepared import prepare
from deocc.inference.prompts import SLACK, box_fit, follow_prompts
from deocc.inference.views import STAGE1, make_view
from deocc.inference.window import on_whole_photo, seen_through, window_of
from deocc.io import write_image, write_mask
from deocc.masks import mask_box
from deocc.occlusion import CaseFolder
from deocc.paths import DATA


@pytest.fixture(scope="module")
def small() -> Deoccluder:
    return Deoccluder.from_pretrained("small", "cpu", flip=False)


@pytest.fixture(scope="module")
def case():
    return CaseFolder(DATA / "demo-cases")[0]


def same(one, other) -> bool:
    names = ("modal_mask", "amodal_mask", "invisible_mask", "parsing", "recovered")
    return all((getattr(one, name) == getattr(other, name)).all() for name in names)


@given(st.integers(0, 10_000))
@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_exact_masks_are_never_painted(small, case, seed) -> None:
    rng = np.random.default_rng(seed)
    mask = case.modal_mask.copy()
    for _ in range(rng.integers(0, 4)):  # pieces cut off, added, and strays
        y, x = rng.integers(0, mask.shape[0]), rng.integers(0, mask.shape[1])
        high, wide = rng.integers(1, 40, 2)
        mask[y : y + high, x : x + wide] = rng.random() < 0.5
    if not mask.any():
        mask[0, 0] = True
    answer = small.deocclude(case.image, mask, exact=True)
    assert (answer.modal_mask == mask).all()
    assert not (answer.invisible_mask & mask).any()
    assert (answer.amodal_mask == (mask | answer.invisible_mask)).all()
    assert (answer.recovered[~answer.invisible_mask] == case.image[~answer.invisible_mask]).all()


def test_exact_needs_a_mask_and_no_points(case) -> None:
    with pytest.raises(DeoccError, match="exact: no mask came"):
        make_view(case.image, box=case.box_xyxy, exact=True)
    with pytest.raises(DeoccError, match="an exact mask stays as it is, and takes only points outside"):
        make_view(case.image, case.modal_mask, exact=True, points=[(3, 3, True)])


def test_one_far_pixel_changes_nothing(small, case) -> None:
    height, width = case.modal_mask.shape
    image = np.pad(case.image, ((0, 0), (0, 1000), (0, 0)), mode="edge")
    mask = np.pad(case.modal_mask, ((0, 0), (0, 1000)))
    plain = small.deocclude(image, mask)
    mask[height // 2, width + 990] = True
    stray = small.deocclude(image, mask)
    assert same(plain, stray)
    assert any("1 stray pixels" in note for note in stray.notes)
    exact = small.deocclude(image, mask, exact=True)
    assert exact.frame == plain.frame and exact.modal_mask[height // 2, width + 990]


def test_a_box_is_asked_of_stage_1(small, case) -> None:
    view = make_view(case.image, box=case.box_xyxy, segmenter=STAGE1)
    asked = []

    def ask(views):
        asked.extend(one.initial_mask.sum() for one in views)
        return small._ask(views)

    found = follow_prompts(view, ask, None)
    assert 4 <= len(asked) <= 6 and asked[0] > asked[2] and not found.boxed  # box, GrabCut, ellipse, networks
    box_area = view.initial_mask.sum()
    assert 0 < found.initial_mask.sum() < box_area
    both = (found.initial_mask & case.modal_mask).sum() / (found.initial_mask | case.modal_mask).sum()
    alone = (view.initial_mask & case.modal_mask).sum() / (view.initial_mask | case.modal_mask).sum()
    assert both > alone
    answer = small.deocclude(case.image, box=case.box_xyxy, segmenter=STAGE1)
    assert (answer.initial_mask == found.initial_mask).all()
    assert any("rough mask by stage 1" in note for note in answer.notes)


def test_answers_that_fill_the_box_count_more(case) -> None:
    """One answer shows a person who fills the box, all others half a person."""
    view = make_view(case.image, box=case.box_xyxy, segmenter=STAGE1)
    x0, y0, x1, y1 = mask_box(view.initial_mask)
    half = view.initial_mask.copy()
    half[(y0 + y1) // 2 :] = False

    def ask(views):
        whole = [one.initial_mask[y0:y1, x0:x1].all() for one in views]
        assert whole.count(True) == 1 < len(whole)
        seen = [view.frame.crop_mask(view.initial_mask if one else half, 64) for one in whole]
        return [np.where(mask, np.float32(3), np.float32(-3)) for mask in seen]

    found = follow_prompts(view, ask, None).initial_mask
    assert (found & view.initial_mask).sum() > 0.9 * view.initial_mask.sum()


def everywhere(deoccluder: Deoccluder, monkeypatch) -> None:
    """Stage 1 sees the person, visible, on the whole photo."""

    def stage1(image, initial_mask, photo_mask):
        odds = 4 * photo_mask
        return Completion(odds, odds, *(torch.zeros(len(image), 20, *image.shape[2:]) for _ in range(2)))

    monkeypatch.setattr(deoccluder, "stage1", stage1)


def test_nobody_shows_far_outside_the_box(small, monkeypatch) -> None:
    everywhere(small, monkeypatch)
    image, box = np.full((200, 160, 3), 90, np.uint8), (60, 50, 100, 130)
    answer = small.deocclude(image, box=box, paint=False)
    x0, y0, x1, y1 = mask_box(answer.amodal_mask)
    slack = SLACK * 80 + answer.frame.side / small.mask_size  # and a pixel of the network
    assert (
        abs(x0 - 60) <= slack and abs(y0 - 50) <= slack and abs(x1 - 100) <= slack and abs(y1 - 130) <= slack
    )
    assert answer.modal_mask[70:110, 70:90].all()


def test_a_yes_outside_the_box_lifts_its_limit(small, monkeypatch) -> None:
    everywhere(small, monkeypatch)
    image, box = np.full((200, 160, 3), 90, np.uint8), (60, 50, 100, 130)
    y = round(130 + SLACK * 80) + 10
    inside = small.deocclude(image, box=box, points=[(80, 90, True)], paint=False)
    assert not inside.modal_mask[y, 80]
    beyond = small.deocclude(image, box=box, points=[(80, y, True)], paint=False)
    assert beyond.modal_mask[y, 80] and beyond.modal_mask.sum() > 1.5 * inside.modal_mask.sum()


def test_a_mask_has_no_limit(small, case, monkeypatch) -> None:
    everywhere(small, monkeypatch)
    answer = small.deocclude(case.image, case.initial_mask, paint=False)
    x0, y0, x1, y1 = mask_box(case.initial_mask)
    slack = round(SLACK * max(x1 - x0, y1 - y0))
    near = np.zeros_like(answer.modal_mask)
    near[max(0, y0 - slack) : y1 + slack, max(0, x0 - slack) : x1 + slack] = True
    assert (answer.modal_mask & ~near).sum() > near.sum() / 4


def test_a_box_is_answered_without_the_networks_files(small, case, monkeypatch, tmp_path, caplog) -> None:
    monkeypatch.setattr("deocc.segmenters.mediapipe.WEIGHTS", tmp_path)
    answer = small.deocclude(case.image, box=case.box_xyxy, paint=False)
    assert answer.modal_mask.any() and "first guesses without mediapipe" in caplog.text


def test_the_fit_to_a_box() -> None:
    box, mask = np.zeros((40, 40), bool), np.zeros((40, 40), bool)
    box[10:30, 10:20] = True
    assert box_fit(mask, box) == 0 == box_fit(box, mask)
    mask[10, 10] = mask[29, 19] = True  # touches all sides
    assert box_fit(mask, box) == 1
    mask[29, 19], mask[19, 19] = False, True
    assert box_fit(mask, box) == 0.5
    mask[:] = False
    mask[35:, 35:] = True
    assert box_fit(mask, box) == 0


def test_clicks_are_honoured_and_change_the_answer(small, case) -> None:
    before = small.deocclude(case.image, case.initial_mask, paint=False)
    rows, columns = np.nonzero(before.modal_mask)
    middle = len(rows) // 2
    x, y = int(columns[middle]), int(rows[middle])
    no = small.deocclude(case.image, case.initial_mask, points=[(x, y, False)], paint=False)
    assert not no.modal_mask[y, x] and (no.modal_mask != before.modal_mask).any()
    yes = small.deocclude(case.image, case.initial_mask, points=[(x, y, False), (x, y, True)], paint=False)
    assert yes.modal_mask[y, x] and yes.amodal_mask[y, x]
    rows, columns = np.nonzero(before.invisible_mask)
    x, y = int(columns[len(rows) // 2]), int(rows[len(rows) // 2])
    gone = small.deocclude(case.image, case.initial_mask, points=[(x, y, False)])
    assert not gone.amodal_mask[y, x], "a no to a hidden part: nobody is there at all"
    assert (gone.recovered[~gone.invisible_mask] == case.image[~gone.invisible_mask]).all()


def test_a_no_to_any_pixel_shown_as_hidden_takes_it_away(small, case) -> None:
    before = small.deocclude(case.image, case.initial_mask, paint=False)
    hidden, seen = before.invisible_mask, small._ask([make_view(case.image, case.initial_mask)])[0]
    raw = before.frame.paste(seen, hidden.shape)
    for doubtful in (hidden & (raw > 0), hidden & (raw < -1)):  # the first look took some for visible
        rows, columns = np.nonzero(doubtful)
        x, y = int(columns[len(rows) // 2]), int(rows[len(rows) // 2])
        after = small.deocclude(case.image, case.initial_mask, points=[(x, y, False)], paint=False)
        assert not after.amodal_mask[y, x] and after.invisible_mask.sum() < hidden.sum()


def test_a_no_beside_an_exact_mask_takes_invented_body_and_no_given_pixel(small, case) -> None:
    mask = case.modal_mask
    before = small.deocclude(case.image, mask, exact=True, paint=False)
    rows, columns = np.nonzero(before.invisible_mask)
    x, y = int(columns[len(rows) // 2]), int(rows[len(rows) // 2])
    answer = small.deocclude(case.image, mask, exact=True, points=[(x, y, False)])
    assert (answer.modal_mask == mask).all() and not answer.amodal_mask[y, x]
    assert (answer.recovered[mask] == case.image[mask]).all()
    assert answer.invisible_mask.sum() < before.invisible_mask.sum()


def test_a_click_that_confirms_changes_nothing(small, case) -> None:
    before = small.deocclude(case.image, case.initial_mask, paint=False)
    rows, columns = np.nonzero(before.modal_mask & case.initial_mask)
    x, y = int(columns[len(rows) // 2]), int(rows[len(rows) // 2])
    after = small.deocclude(case.image, case.initial_mask, points=[(x, y, True)], paint=False)
    spot_size = spot(Click(x, y, True), before.frame, before.modal_mask.shape).sum()
    assert (after.modal_mask != before.modal_mask).sum() <= spot_size


def test_a_window_gives_the_whole_photos_answer(small, case) -> None:
    pad = 400
    image = np.pad(case.image, ((pad, pad), (pad, pad), (0, 0)), mode="reflect")
    mask = np.pad(case.modal_mask, pad)
    view = make_view(image, mask)
    window = window_of(view)
    assert mask[window].sum() == mask.sum() and mask[window].size < 0.7 * mask.size
    local = small._answers([seen_through(view, window)], True)[0][0]
    found, plain = on_whole_photo(local, view, window), small._answers([view], True)[0][0]
    for name in ("modal_mask", "amodal_mask"):
        one, other = getattr(found, name), getattr(plain, name)
        assert one.shape == other.shape
        assert (one & other).sum() / (one | other).sum() > 0.995
    assert np.abs(found.recovered.astype(int) - plain.recovered).mean() < 0.05
    assert found.frame == view.frame and (found.initial_mask == mask).all()


def test_a_stray_piece_of_an_exact_mask_outside_the_window_has_a_part(small, case) -> None:
    image = np.pad(case.image, ((400, 400), (400, 400), (0, 0)), mode="reflect")
    mask = np.pad(case.modal_mask, 400)
    mask[3:6, 3:6] = True
    answer = small.deocclude(image, mask, exact=True, paint=False)
    assert answer.modal_mask[3:6, 3:6].all() and (answer.parsing[answer.amodal_mask] > 0).all()
    assert not answer.parsing[~answer.amodal_mask].any()


def test_a_prepared_view_has_the_same_answer(small, case) -> None:
    view = make_view(case.image, box=case.box_xyxy, segmenter=STAGE1)
    ready = prepare(view)
    assert view.boxed and 4 <= len(ready.guesses) <= 6, "box, ellipse, GrabCut's mask, networks'"
    assert same(*(small.deocclude_views([given])[0] for given in (view, ready)))
    assert prepare(make_view(case.image, case.modal_mask)).guesses == (), "a mask needs no guesses"


def test_command_line(tmp_path: Path, case) -> None:
    write_image(tmp_path / "photo.png", case.image)
    write_mask(tmp_path / "mask.png", case.modal_mask)
    mask = ["deocclude", str(tmp_path / "photo.png"), "--mask", str(tmp_path / "mask.png"), "--out"]
    done = CliRunner().invoke(app, [*mask, str(tmp_path / "exact"), "--exact"])
    assert done.exit_code == 0, done.output
    assert (tmp_path / "exact" / "recovered.png").is_file()
    bad = CliRunner().invoke(app, [*mask, str(tmp_path / "bad"), "--point", "1,2,perhaps"])
    assert isinstance(bad.exception, DeoccError) and "give X,Y,yes" in str(bad.exception)
    assert not (tmp_path / "bad").exists()


def test_a_process_that_ends_at_once_has_written_everything(tmp_path: Path, case) -> None:
    write_image(tmp_path / "photo.png", case.image)
    write_mask(tmp_path / "mask.png", case.modal_mask)
    words = [sys.executable, "-m", "deocc", "deocclude", str(tmp_path / "photo.png"), "--mask"]
    words += [str(tmp_path / "mask.png"), "--out", str(tmp_path / "out")]
    done = subprocess.run(words, capture_output=True, text=True)
    assert done.returncode == 0 and done.stdout.endswith(f"written to {tmp_path / 'out'}\n"), done.stderr
    assert {path.name for path in (tmp_path / "out").iterdir()} == set(PHOTO_FILES)
    assert all(path.stat().st_size for path in (tmp_path / "out").iterdir())


LEAVE = "import sys; from deocc.cli.main import _leave; sys.stdout.write('the end'); _leave(3); sys.exit(4)"


def test_leaving_at_once_loses_no_output(tmp_path: Path) -> None:
    leave = [sys.executable, "-c", LEAVE]
    with open(tmp_path / "log", "w") as log:
        assert subprocess.run(leave, stdout=log).returncode == 3
    assert (tmp_path / "log").read_text() == "the end"
    watched = LEAVE.replace("_leave(3)", "sys.setprofile(lambda *_: None); _leave(3)")
    assert subprocess.run([sys.executable, "-c", watched], capture_output=True).returncode == 4
    if Path("/dev/full").exists():
        with open("/dev/full", "w") as full:  # Python itself says it, with a status of its own
            done = subprocess.run(leave, stdout=full, stderr=subprocess.PIPE, text=True)
        assert done.returncode not in (0, 3) and "No space left" in done.stderr
        closed = LEAVE.replace("sys.stdout.write('the end')", "sys.stdout = None")
        assert subprocess.run([sys.executable, "-c", closed]).returncode == 3


def test_arguments_are_checked_without_pytorch(tmp_path: Path, case) -> None:
    write_image(tmp_path / "photo.png", case.image)
    code = (
        "import sys\nfrom deocc.cli.main import main\n"
        "try:\n    main(sys.argv[1:])\nexcept SystemExit as end:\n"
        "    heavy = [name for name in ('torch', 'matplotlib', 'scipy') if name in sys.modules]\n"
        "    print(end.code, heavy)\n"
    )
    photo, out = str(tmp_path / "photo.png"), str(tmp_path / "out")
    for wrong in (
        [photo, "--box", "9", "9", "1", "1", "--out", out],
        [photo, "--out", out],
        ["absent.jpg", "--box", "1", "2", "3", "4", "--out", out],
        [photo, "--box", "0", "0", "50", "50", "--weights", "absent", "--out", out],
        [photo, "--box", "0", "0", "50", "50", "--device", "gpu", "--out", out],
        [photo, "--box", "0", "0", "50", "50", "--texture", "0.3", "--exemplar", "--out", out],
    ):
        done = subprocess.run(
            [sys.executable, "-c", code, "deocclude", *wrong], capture_output=True, text=True, check=True
        )
        assert done.stdout.strip() == "2 []", (wrong, done.stdout, done.stderr)
