"""Given masks: stray pieces, the limit on what is given up, exact masks, clicks."""

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deocc.errors import DeoccError
from deocc.inference.clicks import Click, Verdict, amended, check_points, honoured, spot
from deocc.inference.painting import PaintingTask
from deocc.inference.photo import paste_parsing
from deocc.inference.prompts import follow_prompts
from deocc.inference.samples import SCALE, SHIFT, _varied
from deocc.inference.user_mask import (
    CAREFUL,
    MOST_GIVEN_UP,
    SURE,
    TRUST,
    follow_exactly,
    hold_borders,
    hold_on,
    share_given_up,
    trust_in,
    without_strays,
)
from deocc.inference.views import make_view
from deocc.masks import Frame, person_frame


def body(shape: tuple[int, int] = (300, 1200)) -> np.ndarray:
    mask = np.zeros(shape, bool)
    mask[50:250, 60:140] = True
    return mask


def test_a_far_pixel_is_stray() -> None:
    mask = body()
    mask[10, 1150] = True
    kept, left_out = without_strays(mask)
    assert left_out == 1 and (kept == body()).all()
    assert mask[10, 1150], "the given mask stays as it was"


def test_visible_pieces_of_one_person_stay() -> None:
    mask = body()
    mask[120:160, :] &= False  # a bar hides the middle
    mask[255:262, 100:106] = True  # a shoe, small but near
    mask[60:100, 500:540] = True  # a hand far away, but no speck
    kept, left_out = without_strays(mask)
    assert left_out == 0 and kept is mask


@given(st.integers(0, 10_000))
@settings(max_examples=30, deadline=None)
def test_strays_never_empty_a_mask(seed: int) -> None:
    rng = np.random.default_rng(seed)
    mask = rng.random((60, 80)) > rng.uniform(0.5, 0.999)
    mask[rng.integers(60), rng.integers(80)] = True
    kept, left_out = without_strays(mask)
    assert kept.any() and not (kept & ~mask).any()
    assert left_out == np.count_nonzero(mask) - np.count_nonzero(kept)


def test_doubtful_pixels_are_held_on_to() -> None:
    given_mask = np.zeros((20, 20), bool)
    given_mask[:10] = True
    doubt = np.where(given_mask, -1.5, -4.0).astype(np.float32)
    held = hold_on(doubt, given_mask)
    assert share_given_up(given_mask, held > 0) <= MOST_GIVEN_UP + 0.01
    assert (held[~given_mask] == doubt[~given_mask]).all()


def test_what_is_surely_wrong_is_given_up() -> None:
    given_mask = np.ones((20, 20), bool)
    sure = np.full((20, 20), -SURE - 0.5, np.float32)
    assert share_given_up(given_mask, hold_on(sure, given_mask) > 0) == 1.0


def test_a_mask_gains_trust_by_how_right_it_is() -> None:
    given_mask = np.ones((20, 20), bool)
    odds = np.full((20, 20), 3.0, np.float32)
    assert np.allclose(hold_on(odds, given_mask), 3.0 + TRUST[1])
    odds[:, 12:] = -9.0  # stage 1 is sure that two fifths of it are wrong
    assert np.allclose(hold_on(odds, given_mask), odds + TRUST[0])
    odds[:, 12:14] = 1.0  # IoU 0.7
    assert TRUST[0] < trust_in(given_mask, odds > 0) < TRUST[1]


@given(st.integers(0, 10_000), st.floats(20, 400))
@settings(max_examples=40, deadline=None)
def test_exact_masks_stay_bit_for_bit(seed: int, side: float) -> None:
    rng = np.random.default_rng(seed)
    mask, modal, amodal = (rng.random((40, 50)) > level for level in rng.uniform(0, 1, 3))
    found, whole = follow_exactly(mask, modal, amodal | modal, side)
    assert (found == mask).all() and found is not mask
    assert not (mask & ~whole).any()
    assert not (whole & ~mask & ~(amodal | modal)).any(), "nothing is whole that stage 1 did not call so"


def test_the_rim_of_an_exact_mask_is_no_hidden_body() -> None:
    true = body((300, 300))
    drawn = np.zeros_like(true)
    drawn[53:247, 63:137] = True  # three pixels inside the border
    found, whole = follow_exactly(drawn, true, true, 300)
    assert (whole == drawn).all() and (found == drawn).all()


def test_hidden_parts_beyond_an_exact_mask_stay() -> None:
    modal, amodal = body((300, 300)), body((300, 300))
    amodal[50:250, 140:200] = True
    _, whole = follow_exactly(modal, modal, amodal, 300)
    assert (whole == amodal).all()


def test_no_gap_parts_a_tightly_drawn_exact_mask_from_what_is_hidden() -> None:
    drawn, visible, whole = (np.zeros((300, 300), bool) for _ in range(3))
    drawn[50:150, 100:160] = True
    visible[48:154, 98:162] = True  # stage 1 sees a little more on all sides
    whole[48:250, 98:162] = True
    found, answer = follow_exactly(drawn, visible, whole, 300)
    assert (found == drawn).all() and answer[150:250, 100:160].all()
    assert not answer[60:130, 90:100].any() and not answer[:50].any(), "elsewhere the rim is left out"


@pytest.mark.parametrize("ring", [0, 1, 2, 3])
def test_what_the_whole_mask_sticks_out_makes_no_hidden_rim(ring: int) -> None:
    true = body((300, 300))
    drawn = np.zeros_like(true)
    drawn[53:247, 63:137] = True
    whole = cv2.dilate(true.astype(np.uint8), np.ones((2 * ring + 1,) * 2, np.uint8)) > 0
    _, answer = follow_exactly(drawn, true, whole, 300)
    assert not (answer & true & ~drawn).any(), "visible body beside a tight mask is not painted"


def test_borders_take_little_of_a_carefully_drawn_mask() -> None:
    given_mask, whole = np.zeros((100, 100), bool), np.zeros((100, 100), bool)
    given_mask[:50] = whole[:90] = True
    finer = given_mask.copy()
    finer[40:50] = False  # a fifth of the mask, along the hidden part
    held = hold_borders(given_mask, given_mask, finer, whole)
    lost = given_mask & ~held
    assert 0 < share_given_up(given_mask, held) <= CAREFUL and lost.any(1)[48:50].all()
    assert not lost[:47].any(), "those at the hidden part go first"
    rough = given_mask.copy()
    rough[45:50] = False  # stage 1 itself gave up a tenth: no careful drawing
    assert hold_borders(given_mask, rough, finer, whole) is finer
    finer[40:49] = True  # a fiftieth
    assert hold_borders(given_mask, given_mask, finer, whole) is finer


def test_a_no_takes_the_invented_part_away_and_what_it_parts() -> None:
    frame, visible = Frame(0, 0, 200), np.zeros((200, 200), bool)
    visible[20:80, 60:120] = True
    whole = visible.copy()
    whole[80:110, 60:120] = True  # a slab of invented body
    whole[110:130, 88:92] = True  # which ends in a strip

    def after(*places: tuple[int, int]) -> np.ndarray:
        verdicts = [Verdict(Click(x, y, False), True) for x, y in places]
        modal, amodal = honoured(visible, whole, verdicts, frame)
        assert not (modal & ~amodal).any() and not (amodal & ~whole).any()
        return amodal & ~modal

    slab, left = 30 * 60, after((90, 95))
    assert not left[110:130].any(), "the strip hung on the slab"
    assert np.count_nonzero(left) < 0.7 * slab and not left[84:106, 84:96].any()
    assert np.count_nonzero(after((90, 95), (67, 95), (112, 95))) < 0.5 * slab
    few = np.count_nonzero(whole & ~visible & ~after((62, 86)))
    assert 0 < few <= spot(Click(62, 86, False), frame, visible.shape).sum(), "at the rim: a spot, no more"


@pytest.mark.parametrize("side", [200, 230, 300, 400, 512])
@pytest.mark.parametrize("wide", [1, 3, 8])
def test_a_no_on_a_strip_takes_its_far_end(side: float, wide: int) -> None:
    visible, whole = np.zeros((200, 200), bool), np.zeros((200, 200), bool)
    visible[20:80, 60:120] = True
    whole[20:80, 60:120] = whole[80:160, 90 : 90 + wide] = True
    click = Click(90 + wide // 2, 120, False)
    _, amodal = honoured(visible, whole, [Verdict(click, True)], Frame(0, 0, side))
    assert not amodal[120:].any() and amodal[80:90, 90].all()


def test_a_no_without_a_visible_person_leaves_the_rest() -> None:
    frame, nobody, whole = Frame(0, 0, 200), np.zeros((200, 200), bool), np.zeros((200, 200), bool)
    whole[50:150, 50:150] = True
    _, amodal = honoured(nobody, whole, [Verdict(Click(100, 100, False), True)], frame)
    assert not amodal[100, 100] and np.count_nonzero(amodal) > 0.7 * np.count_nonzero(whole), "at most REACH"


def test_an_earlier_click_decides_what_a_later_one_means() -> None:
    image, mask = np.zeros((80, 80, 3), np.uint8), np.zeros((80, 80), bool)
    mask[10:60, 20:60] = True
    view = make_view(image, mask, points=[(40, 30, False), (40, 30, False), (40, 30, True)])

    def show(shown):  # stage 1 insists that all of it is visible
        assert not shown.points
        everything = np.ones_like(mask)
        return honoured(everything, everything, shown.verdicts, shown.frame)

    verdicts = follow_prompts(view, None, show).verdicts
    assert [v.nothing_there for v in verdicts] == [False, True, False]


def test_a_click_is_judged_by_the_answer_that_is_shown() -> None:
    image, mask = np.zeros((80, 80, 3), np.uint8), np.zeros((80, 80), bool)
    mask[10:60, 20:60] = True
    visible = mask.copy()
    visible[40:] = False  # the rest of M_i is shown as hidden

    def after(x: int, y: int, is_person: bool):
        return follow_prompts(
            make_view(image, mask, points=[(x, y, is_person)]), None, lambda _: (visible, mask)
        )

    for x, y in [(40, 41), (40, 59), (20, 50)]:
        view = after(x, y, False)
        assert view.verdicts[0].nothing_there and not view.amended and view.initial_mask is mask
    for x, y, is_person in [(40, 39, False), (40, 41, True), (5, 5, True)]:
        assert after(x, y, is_person).amended, "the answer says the contrary"
    for x, y, is_person in [(40, 39, True), (5, 5, False)]:
        view = after(x, y, is_person)
        assert not view.verdicts[0].nothing_there and not view.amended, "it says so already"


def test_an_exact_mask_takes_only_noes_beside_it() -> None:
    image, mask = np.zeros((80, 80, 3), np.uint8), np.zeros((80, 80), bool)
    mask[10:40, 20:60] = True
    for point in [(30, 20, False), (30, 60, True)]:
        with pytest.raises(DeoccError, match="takes only points outside it that are not the person"):
            make_view(image, mask, exact=True, points=[point])
    view = follow_prompts(make_view(image, mask, exact=True, points=[(30, 60, False)]), None, None)
    assert view.verdicts == (Verdict(Click(30, 60, False), True),) and view.initial_mask is mask


def test_points_are_checked() -> None:
    image = np.zeros((10, 20, 3), np.uint8)
    assert check_points([(3, 4, True), (19.5, 9.9, 0)], image) == (Click(3, 4, True), Click(19.5, 9.9, False))
    for bad in [(20, 4, True), (3, -1, True)]:
        with pytest.raises(DeoccError, match="outside the 20 x 10 photo"):
            check_points([bad], image)
    for bad in [(3, 4), (3, 4, 7), (np.nan, 4, True), 5, ("a", 4, True), None]:
        with pytest.raises(DeoccError, match="give x, y and whether"):
            check_points([bad], image)


def test_a_click_where_nobody_looks_is_refused() -> None:
    image = np.zeros((400, 800, 3), np.uint8)
    with pytest.raises(DeoccError, match="too far from the person.*draw a box"):
        make_view(image, box=(50, 150, 110, 260), points=[(600, 200, True)])
    assert make_view(image, box=(50, 150, 110, 260), points=[(120, 200, True)]).points


@pytest.mark.parametrize("box", [("a", 1, 2, 3), 7, (1, 2, 3), None])
def test_a_box_that_is_none_is_refused(box: object) -> None:
    with pytest.raises(DeoccError, match="four finite numbers|neither mask nor box"):
        make_view(np.zeros((40, 80, 3), np.uint8), box=box)


def test_stray_pixels_of_an_exact_mask_change_no_frame_and_get_a_near_part() -> None:
    mask = body((300, 300))
    stray = mask.copy()
    stray[290, 290] = True
    image, whole = np.zeros((300, 300, 3), np.uint8), mask.copy()
    whole[100:200, 140:170] = True
    frames = [PaintingTask(image, seen, whole | seen, image[..., 0]).frame() for seen in (mask, stray)]
    assert frames[0] == frames[1]
    views = [make_view(image, seen, exact=True) for seen in (mask, stray)]
    one, other = (_varied(view, np.random.default_rng(0)).frame for view in views)
    assert one == other
    logits = np.zeros((64, 64, 20), np.float32)
    logits[..., 9] = 1
    parts = paste_parsing(logits, Frame(0, 0, 280), stray)
    assert (parts[stray] == 9).all() and not parts[~stray].any()


@pytest.mark.parametrize("box", [(150, 100, 650, 1000), (0, 0, 800, 1000)])
def test_samples_of_a_person_who_fills_the_photo_differ_in_their_frame(box: tuple[int, ...]) -> None:
    image, mask = np.zeros((1000, 800, 3), np.uint8), np.zeros((1000, 800), bool)
    mask[box[1] : box[3], box[0] : box[2]] = True
    view, rng = make_view(image, mask), np.random.default_rng(0)
    frames = [_varied(view, rng).frame for _ in range(8)]
    assert len(set(frames)) == 8 and view.frame not in frames
    for frame in frames:
        middles = [(f.x0 + f.side / 2, f.y0 + f.side / 2) for f in (frame, view.frame)]
        away = np.abs(np.subtract(*middles)) / frame.side
        assert away.max() <= SHIFT + 1e-9 and abs(np.log(frame.side / view.frame.side)) <= SCALE + 1e-9


def test_samples_of_other_people_have_the_frame_of_a_person() -> None:
    image, mask = np.zeros((900, 900, 3), np.uint8), np.zeros((900, 900), bool)
    mask[350:550, 400:480] = True
    shift, scale = (rng := np.random.default_rng(0)).uniform(-SHIFT, SHIFT, 2), rng.uniform(-SCALE, SCALE)
    frame = person_frame(mask, float(2 * np.exp(scale)), tuple(map(float, shift)), mask.shape)
    assert _varied(make_view(image, mask), np.random.default_rng(0)).frame == frame


def test_a_click_follows_its_surface() -> None:
    image = np.full((200, 200, 3), 40, np.uint8)
    image[80:120, 90:110] = 200  # a bright patch around the click
    frame = Frame(0, 0, 200)
    empty = np.zeros((200, 200), bool)
    more = amended(empty, image, frame, Click(100, 100, True))
    assert more[82:118, 92:108].all() and not more[:, :85].any() and not more[:, 115:].any()
    less = amended(~empty, image, frame, Click(100, 100, False))
    assert (less == ~more).all()


def test_spots_are_honoured_in_order() -> None:
    frame = person_frame(body((300, 300)))
    modal, amodal = body((300, 300)), body((300, 300))
    amodal[50:250, 140:200] = True
    no_hidden = Verdict(Click(170, 150, False), True)
    no_visible = Verdict(Click(100, 100, False), False)
    yes = Verdict(Click(20, 20, True), False)
    seen, whole = honoured(modal, amodal, (no_hidden, no_visible, yes), frame)
    assert not seen[150, 170] and not whole[150, 170]
    assert not seen[100, 100] and whole[100, 100], "not visible there, but perhaps behind it"
    assert seen[20, 20] and whole[20, 20]
    again, _ = honoured(modal, amodal, (no_visible, Verdict(Click(100, 100, True), False)), frame)
    assert again[spot(Click(100, 100, True), frame, modal.shape)].all()
