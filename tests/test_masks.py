"""Mask geometry: boxes, frames, ratios; a frame goes to the network and back without moving anything."""

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deocc.errors import DeoccError
from deocc.masks import Frame, around, mask_box, occlusion_ratio, person_frame


def disc(shape: tuple[int, int], centre: tuple[float, float], radius: float) -> np.ndarray:
    rows, columns = np.mgrid[: shape[0], : shape[1]] + 0.5
    return (rows - centre[1]) ** 2 + (columns - centre[0]) ** 2 < radius**2


def test_box_is_half_open() -> None:
    mask = np.zeros((10, 12), bool)
    mask[2:5, 7:9] = True
    assert mask_box(mask) == (7, 2, 9, 5)


def test_empty_mask_is_one_clear_error() -> None:
    with pytest.raises(DeoccError, match="empty"):
        mask_box(np.zeros((4, 4), bool))


def test_occlusion_ratio_counts_hidden_share() -> None:
    amodal = np.zeros((8, 8), bool)
    amodal[:, :4] = True
    modal = amodal.copy()
    modal[:2] = False
    assert occlusion_ratio(modal, amodal) == 0.25
    assert occlusion_ratio(modal, np.zeros_like(modal)) == 0


def test_person_frame_is_centred_and_twice_the_longer_side() -> None:
    frame = person_frame((10, 20, 30, 80))
    assert (frame.x0, frame.y0, frame.side) == (20 - 60, 50 - 60, 120)


@settings(max_examples=60, deadline=None)
@given(
    x=st.floats(-60, 60), y=st.floats(-60, 60), side=st.floats(10, 200), height=st.integers(5, 90),
    width=st.integers(5, 90),
)  # fmt: skip
def test_fitted_frame_shows_the_same_photo_pixels_and_is_no_larger(
    x: float, y: float, side: float, height: int, width: int
) -> None:
    frame = Frame(x, y, side)
    fitted = frame.fitted((height, width))
    assert fitted.side <= frame.side + 1e-9
    for before, after, limit in ((x, fitted.x0, width), (y, fitted.y0, height)):
        seen = max(0.0, before), min(float(limit), before + side)
        if seen[1] > seen[0] and fitted != frame:
            assert after <= seen[0] + 1e-6 and after + fitted.side >= seen[1] - 1e-6


def test_frame_of_a_person_who_fills_a_portrait_is_the_portrait() -> None:
    frame = person_frame((10, 5, 50, 95), photo_shape=(100, 60))
    assert frame == Frame(-20, 0, 100)
    assert person_frame((10, 20, 30, 80), photo_shape=(1000, 1000)).side == 110  # cut at the left and top


@pytest.mark.parametrize("box", [(5, 5, 5, 9), (9, 2, 3, 8), (0, 0, 1)])
def test_box_without_area_is_an_error(box: tuple[int, ...]) -> None:
    with pytest.raises(DeoccError, match="no area"):
        person_frame(box)


@settings(max_examples=60, deadline=None)
@given(
    x=st.floats(-30, 60), y=st.floats(-30, 60), side=st.floats(20, 150), size=st.sampled_from([32, 64, 128])
)
def test_crop_and_photo_mask_agree_with_sampling(x: float, y: float, side: float, size: int) -> None:
    """Nearest sampling at pixel centres, written out."""
    frame = Frame(x, y, side)
    mask = disc((70, 90), (45, 30), 22)
    step = side / size
    rows = np.floor(y + (np.arange(size) + 0.5) * step).astype(int)
    columns = np.floor(x + (np.arange(size) + 0.5) * step).astype(int)
    inside = ((rows >= 0) & (rows < 70))[:, None] & ((columns >= 0) & (columns < 90))[None]
    wanted = mask[rows.clip(0, 69)][:, columns.clip(0, 89)] & inside
    assert (frame.crop_mask(mask, size) != wanted).mean() < 0.03  # OpenCV rounds positions to 1/32 pixel
    assert (frame.photo_mask(mask.shape, size) != inside).mean() < 0.03


@pytest.mark.parametrize("shape", [(8, 8), (30, 40)])
@pytest.mark.parametrize("channels", [1, 3, 5])
def test_pasting_keeps_the_channels(channels: int, shape: tuple[int, int]) -> None:
    maps = np.random.default_rng(0).random((16, 16, channels), np.float32)
    pasted = Frame(-2, -2, 12).paste(maps, shape)
    assert pasted.shape == (*shape, channels)
    for c in range(channels):
        np.testing.assert_array_equal(pasted[..., c], Frame(-2, -2, 12).paste(maps[..., c], shape))


@settings(max_examples=40, deadline=None)
@given(x=st.floats(-40, 20), y=st.floats(-40, 20), side=st.floats(100, 260))
def test_crop_then_paste_keeps_smooth_maps_in_place(x: float, y: float, side: float) -> None:
    rows, columns = np.mgrid[:90, :110].astype(np.float32)
    field = np.dstack([columns, rows, rows + columns]).astype(np.uint8)
    frame = Frame(x, y, side)
    back = frame.paste(frame.crop_image(field, 256).astype(np.float32), (90, 110))
    inner = np.zeros((90, 110), bool)
    inner[3:-3, 3:-3] = True
    seen = (columns > x + 4) & (columns < x + side - 5) & (rows > y + 4) & (rows < y + side - 5)
    assert np.abs(back - field)[inner & seen].max(initial=0) < 2.5


@pytest.mark.parametrize("side", [40.0, 100.0, 400.0, 900.0])
def test_shrinking_keeps_the_centre_of_mass(side: float) -> None:
    """The averaging path (step > 1.5) and the plain one put the same thing in the same place."""
    image = np.zeros((500, 600, 3), np.uint8)
    image[disc((500, 600), (301, 248), side / 6)] = 255
    crop = Frame(301 - side / 2, 248 - side / 2, side).crop_image(image, 64)[..., 0].astype(float)
    rows, columns = np.mgrid[:64, :64] + 0.5
    assert abs((crop * columns).sum() / crop.sum() - 32) < 0.2
    assert abs((crop * rows).sum() / crop.sum() - 32) < 0.2


def test_paste_is_zero_outside_the_frame_and_takes_many_channels() -> None:
    out = Frame(10, 12, 20).paste(np.ones((32, 32, 7), np.float32), (50, 60))
    assert out.shape == (50, 60, 7)
    assert out[12:32, 10:30].min() == 1
    assert out.sum() == 20 * 20 * 7


def test_frame_beside_the_photo_is_empty() -> None:
    frame = Frame(500, 500, 40)
    image = np.full((50, 60, 3), 255, np.uint8)
    assert not frame.crop_image(image, 16).any()
    assert not frame.paste(np.ones((16, 16), np.float32), (50, 60)).any()


shapes = st.tuples(st.integers(1, 12), st.integers(1, 12), st.integers(0, 2**32 - 1))


@given(shapes, st.booleans())
def test_box_is_the_smallest_around_every_pixel(shape: tuple[int, int, int], turned: bool) -> None:
    mask = np.random.default_rng(shape[2]).random(shape[:2]) < 0.1
    mask = mask.T[::-1] if turned else mask  # a view that is not contiguous
    rows, columns = np.nonzero(mask)
    if len(rows):
        assert mask_box(mask) == (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
    else:
        with pytest.raises(DeoccError, match="empty"):
            mask_box(mask)


@given(shapes, st.integers(1, 8))
def test_masks_warp_together_as_each_alone(shape: tuple[int, int, int], count: int) -> None:
    rng = np.random.default_rng(shape[2])
    masks = list(rng.random((count, *shape[:2])) < 0.5)
    frame = Frame(*rng.uniform(-4, 4, 2), rng.uniform(2, 20))
    for mask, together in zip(masks, frame.crop_masks(masks, 16), strict=True):
        assert together.dtype == bool and (together == frame.crop_mask(mask, 16)).all()


@pytest.mark.parametrize("turned", [False, True])
def test_no_thin_stroke_falls_through_the_grid(turned: bool) -> None:
    for left in range(495, 505):
        mask = np.zeros((1000, 1000), bool)
        mask[200:800, left : left + 3] = True
        mask = mask.T.copy() if turned else mask
        frame = person_frame(mask)
        seen = frame.crop_rough_mask(mask, 192)
        assert frame.misses(mask, 192) != frame.crop_mask(mask, 192).any()
        assert (
            80 <= np.count_nonzero(seen) <= 200
            and frame.paste(seen.astype(np.float32), mask.shape)[mask].all()
        )
    slanted = np.eye(1000, dtype=bool)
    seen = person_frame(slanted).crop_rough_mask(slanted, 64)
    assert seen[16:48, 16:48].diagonal().mean() > 0.9


@given(shapes, st.floats(4, 40))
def test_masks_that_are_no_thinner_than_the_grid_are_cropped_as_ever(
    shape: tuple[int, int, int], radius: float
) -> None:
    centre = np.random.default_rng(shape[2]).uniform(0, 100, 2)
    mask = disc((100, 100), tuple(centre), radius)
    frame = person_frame(mask)
    assert not frame.misses(mask, 32)
    assert np.array_equal(frame.crop_rough_mask(mask, 32), frame.crop_mask(mask, 32))
    assert not frame.misses(np.zeros_like(mask), 32), "of nothing, nothing is lost"


def test_the_window_around_a_mask_ends_at_the_pictures_border() -> None:
    mask = np.zeros((20, 30), bool)
    mask[2:5, 10:12] = True
    inside = np.zeros_like(mask)
    inside[around(mask, 3)] = True
    assert np.array_equal(np.argwhere(inside)[[0, -1]], [[0, 7], [7, 14]])
    assert mask[around(mask)].all() and mask[around(mask)].shape == (3, 2)
    with pytest.raises(DeoccError, match="empty"):
        around(np.zeros_like(mask))


def test_a_frame_is_as_wide_as_a_wide_person_needs_and_moves_both_ways() -> None:
    frame = person_frame((20, 10, 80, 30), shift=(0.25, -0.5))
    assert (frame.x0, frame.y0, frame.side) == (50 - 60 + 30, 20 - 60 - 60, 120)


@pytest.mark.parametrize("width", [4, 8, 12])
def test_no_arm_of_a_thin_drawing_is_lost(width: int) -> None:
    for left in range(1990, 2012, 3):
        mask = np.zeros((4000, 3000), bool)
        mask[900 : 900 + width, 1200:2400] = True
        mask[900:3100, left - 200 : left - 200 + width] = True
        frame = person_frame(mask)
        seen = frame.paste(frame.crop_rough_mask(mask, 192).astype(np.float32), mask.shape) > 0
        near = cv2.dilate(seen.astype(np.uint8), np.ones((43, 43), np.uint8)) > 0
        assert near[mask].mean() > 0.75


@pytest.mark.parametrize(
    ("box", "scale"), [((0, 0, np.nan, 5), 2.0), ((0, 0, 5, 5), 0.0), ((0, 0, 5, 5), np.nan)]
)
def test_a_frame_of_nothing_is_refused(box: tuple[float, ...], scale: float) -> None:
    with pytest.raises(DeoccError, match="box|scale"):
        person_frame(box, scale)
