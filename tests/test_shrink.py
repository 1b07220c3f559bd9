"""Large photos are worked on smaller, and answered at their own size."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from deocc.inference import Deoccluder, shrink
from deocc.inference.answers import Deocclusion
from deocc.inference.shrink import enlarged, shrunk
from deocc.inference.views import make_view

ROWS, COLUMNS = 211, 157


@pytest.fixture
def image() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (ROWS, COLUMNS, 3), np.uint8)


@pytest.fixture
def person() -> np.ndarray:
    mask = np.zeros((ROWS, COLUMNS), bool)
    mask[40:180, 41:110] = True
    return mask


@pytest.fixture(autouse=True)
def few_are_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shrink, "ENOUGH", 6000)
    monkeypatch.setattr(shrink, "BAND", 50)


@pytest.mark.parametrize("exact", [False, True])
def test_answers_have_the_photo_s_size_and_pixels(
    exact: bool, image: np.ndarray, person: np.ndarray, tiny_weights: Path
) -> None:
    answer = Deoccluder.from_pretrained(tiny_weights).deocclude(image, person, exact=exact)
    shape = (ROWS, COLUMNS)
    assert answer.modal_mask.shape == answer.amodal_mask.shape == answer.parsing.shape == shape
    assert not (answer.modal_mask & ~answer.amodal_mask).any()
    outside = ~answer.invisible_mask
    assert np.array_equal(answer.recovered[outside], image[outside])
    assert ((answer.parsing > 0) == answer.amodal_mask).all()
    assert any(note.startswith("worked on at 66 x 89 pixels") for note in answer.notes)
    if exact:
        assert np.array_equal(answer.modal_mask, person) and answer.invisible_mask.any()
        assert not np.array_equal(answer.recovered, image)


def test_the_frame_and_clicks_move_with_the_pixels(image: np.ndarray, person: np.ndarray) -> None:
    view = make_view(image, person, points=[(78.5, 105.5, True)])
    small = shrunk(view)
    assert small.image.shape[0] * small.image.shape[1] <= 6000
    assert abs(small.initial_mask.mean() - person.mean()) < 0.01
    assert abs(small.points[0].x / small.image.shape[1] - 0.5) < 1e-6
    ends = [(v.frame.x0 + share * v.frame.side) / v.image.shape[1] for v in (view, small) for share in (0, 1)]
    assert np.allclose(ends[:2], ends[2:], atol=0.02)
    assert shrunk(small) is small


def test_an_exact_mask_gets_no_false_rim(image: np.ndarray, person: np.ndarray) -> None:
    rows, columns = np.mgrid[:ROWS, :COLUMNS]
    exact = person & ((rows + 2 * columns) % 7 > 0)  # ragged: lost at the reduced size
    view = make_view(image, exact, exact=True)
    small = shrunk(view)
    seen = small.initial_mask
    nothing = np.zeros_like(seen)
    answer = Deocclusion(
        seen, seen, nothing, seen.astype(np.uint8), small.image, small.initial_mask, small.frame
    )
    found = enlarged(answer, view)
    assert not found.invisible_mask.any() and np.array_equal(found.amodal_mask, exact)
    assert np.array_equal(found.recovered, image)


def test_unpainted_answers_have_the_photo_itself(
    image: np.ndarray, person: np.ndarray, tiny_weights: Path
) -> None:
    answer = Deoccluder.from_pretrained(tiny_weights).deocclude(image, person, exact=True, paint=False)
    assert answer.invisible_mask.any() and np.array_equal(answer.recovered, image)


@pytest.mark.parametrize("factor", [1.5, 3, 4.3])
def test_hidden_parts_get_no_rim_of_what_is_in_front(factor: float) -> None:
    small, hidden = np.full((60, 50, 3), (255, 0, 0), np.uint8), np.zeros((60, 50), bool)
    hidden[20:40, 10:30] = hidden[0, 45] = hidden[44:46, 7] = True
    small[hidden] = 0, 0, 255
    shape = round(60 * factor), round(50 * factor)
    photo, seen = np.full((*shape, 3), (255, 0, 0), np.uint8), np.zeros((60, 50), bool)
    view = make_view(photo, np.ones(shape, bool))
    answer = Deocclusion(seen, hidden, hidden, hidden.astype(np.uint8), small, seen, view.frame)
    found = enlarged(answer, view)
    assert (found.recovered[found.invisible_mask] == (0, 0, 255)).all() and found.invisible_mask.any()
    assert np.array_equal(found.recovered[~found.invisible_mask], photo[~found.invisible_mask])


def test_a_thin_mask_does_not_vanish(image: np.ndarray) -> None:
    mask = np.zeros((ROWS, COLUMNS), bool)
    mask[100, 80] = True
    assert shrunk(make_view(image, mask)).initial_mask.any()


def test_a_smooth_picture_is_enlarged_in_place() -> None:
    rows, columns = np.mgrid[:ROWS, :COLUMNS]
    smooth = np.dstack([rows, columns, (rows + columns) // 2]).astype(np.uint8)
    small = np.dstack([np.round((np.arange(50) + 0.5) * ROWS / 50 - 0.5)[:, None].repeat(40, 1)] * 3).astype(
        np.uint8
    )
    hidden = np.zeros((ROWS, COLUMNS), bool)
    hidden[20:190] = True
    out = shrink._painted(smooth, small, hidden)
    assert np.abs(out[hidden][:, 0].astype(int) - smooth[hidden][:, 0]).max() <= 2
    assert np.array_equal(out[~hidden], smooth[~hidden])


def test_parts_reach_all_of_the_mask_as_if_the_whole_picture_had_been_searched() -> None:
    parsing = np.zeros((50, 40), np.uint8)
    parsing[8:30, 10:20], parsing[30:44, 12:17] = 5, 9
    amodal = np.zeros((ROWS, COLUMNS), bool)
    amodal[30:190, 35:90] = amodal[5:9, 120:150] = True  # a stray piece of an exact mask, far from all parts
    _, nearest = cv2.distanceTransformWithLabels(
        (parsing == 0).astype(np.uint8), cv2.DIST_L2, 3, labelType=cv2.DIST_LABEL_PIXEL
    )
    part = dict(zip(nearest[parsing > 0], parsing[parsing > 0], strict=True))
    expected = np.vectorize(part.get)(nearest).astype(np.uint8)
    found = shrink._everywhere(parsing, amodal)
    wanted = [cv2.resize(p, (COLUMNS, ROWS), interpolation=cv2.INTER_NEAREST) for p in (expected, found)]
    assert np.array_equal(wanted[0][amodal], wanted[1][amodal]) and wanted[1][amodal].all()


def test_what_is_small_enough_stays(monkeypatch: pytest.MonkeyPatch, image: np.ndarray, person: np.ndarray,
                                    tiny_weights: Path) -> None:  # fmt: skip
    monkeypatch.setattr(shrink, "ENOUGH", ROWS * COLUMNS)
    view = make_view(image, person)
    assert shrunk(view) is view
    answer = Deoccluder.from_pretrained(tiny_weights).deocclude(image, person)
    assert enlarged(answer, view) is answer
