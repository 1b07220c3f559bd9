"""Pictures and figures, on a person drawn by hand: a disc with a hidden half."""

import io

import numpy as np
import pytest
from PIL import Image

from deocc import figures
from deocc.errors import DeoccError
from deocc.inference.answers import Deocclusion
from deocc.masks import Frame, mask_box
from deocc.occlusion import OcclusionCase

SIZE = 64


@pytest.fixture
def case() -> OcclusionCase:
    rows, columns = np.mgrid[:SIZE, :SIZE]
    whole = (rows - 32) ** 2 + (columns - 32) ** 2 < 20**2
    occluder = columns >= 32
    target = np.full((SIZE, SIZE, 3), 100, np.uint8)
    image = np.where(occluder[..., None], np.uint8(30), target)
    return OcclusionCase(
        "disc", image, whole & ~occluder, whole, target, occluder, np.where(whole, 5, 0).astype(np.uint8),
        whole & ~occluder,
    )  # fmt: skip


@pytest.fixture
def answer(case: OcclusionCase) -> Deocclusion:
    """A perfect one."""
    assert case.modal_mask is not None and case.amodal_mask is not None
    return Deocclusion(
        case.modal_mask, case.amodal_mask, case.amodal_mask & ~case.modal_mask, case.parsing_amodal,
        case.target, case.initial_mask, figures.case_frame(case),
    )  # fmt: skip


def test_overlay_blends_inside_and_leaves_the_rest(case):
    image = case.image.copy()
    tinted = figures.overlay(image, case.modal_mask, (200, 0, 50), alpha=0.5, outline=0)
    assert (tinted[case.modal_mask] == (150, 50, 75)).all()
    assert (tinted[~case.modal_mask] == case.image[~case.modal_mask]).all()
    assert (image == case.image).all(), "the input was changed"


def test_overlay_of_an_empty_mask_is_the_picture(case):
    assert (figures.overlay(case.image, np.zeros((SIZE, SIZE), bool), figures.VISIBLE) == case.image).all()


def test_overlay_refuses_another_size(case):
    with pytest.raises(DeoccError, match="differ"):
        figures.overlay(case.image, case.modal_mask[:10], figures.VISIBLE)


def test_overlay_masks_colours_each_region(case):
    out = figures.overlay_masks(case.image, case.modal_mask, case.amodal_mask, case.occluder_mask, alpha=1.0)
    assert tuple(out[32, 20]) == figures.VISIBLE  # left half of the disc
    assert tuple(out[32, 45]) == figures.INVISIBLE  # right half, behind the occluder
    assert tuple(out[5, 60]) == figures.OCCLUDER
    assert (out[5, 5] == case.image[5, 5]).all()


def test_a_mask_layer_laid_over_the_picture_is_the_overlay(case):
    layer = figures.mask_layer([(case.modal_mask, figures.VISIBLE), (case.invisible_mask, figures.INVISIBLE)])
    photo = Image.fromarray(case.image).convert("RGBA")
    laid = np.asarray(Image.alpha_composite(photo, Image.fromarray(layer)))[..., :3].astype(int)
    drawn = figures.overlay_masks(case.image, case.modal_mask, case.amodal_mask).astype(int)
    border = np.abs(laid - drawn).max(2) > 2  # where an outline meets the other tint
    assert border[:, :31].sum() == 0 and border.mean() < 0.02
    assert not layer[~case.amodal_mask].any()


def test_mask_errors_tell_missed_from_added():
    truth, mask = np.array([[1, 1, 0, 0]], bool), np.array([[1, 0, 1, 0]], bool)
    out = figures.mask_errors(mask, truth)
    assert [tuple(p) for p in out[0]] == [figures.AGREES, figures.MISSED, figures.ADDED, figures.PAPER]
    photo = np.array([[1, 0, 1, 0]], bool)
    assert [tuple(p) for p in figures.mask_errors(mask, truth, photo)[0, 1::2]] == [
        (figures.OUTSIDE,) * 3
    ] * 2


def test_a_colour_has_one_meaning():
    named = ("VISIBLE", "INVISIBLE", "OCCLUDER", "AGREES", "MISSED", "ADDED", "WHOLE", "MORE", "LESS", "INK")
    colours = [getattr(figures, name) for name in named]
    assert len({*colours, figures.PAPER, (int(figures.OUTSIDE),) * 3}) == len(named) + 2
    assert len(set(figures.LINES)) == len(figures.LINES) == len(set(figures.MARKERS))


def test_padding_is_one_grey_everywhere(case, answer):
    """A frame that sticks out of its photo: photo, masks, parts and errors alike."""
    frame = Frame(-20, -20, SIZE + 40)
    corner = (int(figures.OUTSIDE),) * 3
    panels = figures.case_panels(case, answer, size=96, frame=frame)
    panels["photo alone"] = figures.framed(frame, case.image, 96)
    panels["a mask"] = figures.grey_outside(
        frame.crop_mask(case.modal_mask, 96), frame.photo_mask((SIZE, SIZE), 96)
    )
    assert {tuple(panel[0, 0]) for panel in panels.values()} == {corner}
    assert all(
        panel.shape == (96, 96, 3) and (panel[48, 48] != figures.OUTSIDE).any() for panel in panels.values()
    )


def test_a_close_up_holds_the_whole_person(case):
    frame = figures.close_up(case)
    assert frame.crop_mask(case.amodal_mask, SIZE).any() and frame.side < figures.case_frame(case, 4).side
    x0, y0, x1, y1 = mask_box(case.amodal_mask)
    assert frame.x0 <= x0 and frame.y0 <= y0 and frame.x0 + frame.side >= x1 and frame.y0 + frame.side >= y1


def test_parsing_picture_keeps_the_background(case):
    assert (figures.parsing_picture(case.parsing_amodal)[0, 0] == figures.PAPER).all()
    over = figures.parsing_picture(case.parsing_amodal, case.target)
    assert (over[0, 0] == case.target[0, 0]).all() and (over[32, 32] != case.target[32, 32]).any()


def test_strip_places_panels_unscaled():
    left, right = np.full((10, 20, 3), 7, np.uint8), np.full((10, 5, 3), 9, np.uint8)
    out = figures.strip({"a": left, "b": right}, gap=4, title_height=12)
    assert out.shape == (22, 29, 3)
    assert (out[12:, :20] == left).all() and (out[12:, 24:] == right).all() and (out[:, 20:24] == 255).all()
    assert (out[:12, :20] < 128).any(), "the title is not drawn"


def test_strip_refuses_mixed_heights():
    with pytest.raises(DeoccError, match="heights"):
        figures.strip({"a": np.zeros((10, 5, 3), np.uint8), "b": np.zeros((9, 5, 3), np.uint8)})


def test_case_panels_leave_out_what_is_unknown(case, answer):
    full = figures.case_panels(case, answer, size=48)
    assert list(full) == [
        "image", "initial mask", "masks", "body parts", "recovered", "true masks", "target"
    ]  # fmt: skip
    assert all(panel.shape == (48, 48, 3) and panel.dtype == np.uint8 for panel in full.values())
    assert all((panel[0, 0] == figures.OUTSIDE).all() for panel in full.values()), "this frame sticks out"
    photo = OcclusionCase("photo", case.image, initial_mask=case.initial_mask)
    assert list(figures.case_panels(photo, size=48)) == ["image", "initial mask"]


def test_the_crop_does_not_depend_on_the_hidden_part(case):
    from dataclasses import replace

    bigger = replace(case, amodal_mask=np.ones((SIZE, SIZE), bool))
    assert figures.case_frame(bigger) == figures.case_frame(case)


def test_render_case_is_one_picture(case, answer):
    picture = figures.render_case(case, answer, size=48)
    assert picture.dtype == np.uint8 and picture.shape == (68, 7 * 48 + 6 * 4, 3)


def test_a_grid_of_pictures_fills_its_last_row_with_paper():
    panels = {name: np.full((10, 12, 3), shade, np.uint8) for name, shade in (("a", 1), ("b", 2), ("c", 3))}
    grid = figures.picture_grid(panels, 2, gap=4)
    assert grid.shape == (60, 28, 3) and (grid[20:30, 16:] == 2).all()
    assert (grid[50:, :12] == 3).all() and (grid[30:, 16:] == 255).all()


def test_an_answer_is_shown_in_two_rows_of_three(case, answer):
    picture = figures.render_answer(case, answer, size=48)
    assert picture.shape == (2 * 68, 3 * 48 + 2 * 4, 3) and picture.dtype == np.uint8


def test_ratio_caption():
    assert figures.ratio_caption([0.2, 0.5], "rendered") == "N = 2, occlusion ratio 0.20-0.50, rendered"
    assert figures.ratio_caption([float("nan")]) == "N = 1"
    one = figures.ratio_caption([0.2, 0.5], "a bush", people=1)
    assert one == "N = 1 person, 2 cases, occlusion ratio 0.20-0.50, a bush", "two pictures of one person"
    assert figures.ratio_caption([0.2, 0.5], people=2) == figures.ratio_caption([0.2, 0.5])


def test_palette_is_told_apart_by_brightness():
    """Also in grey: every pair of the three mask colours differs by at least 12 % of the range."""
    weights = np.array([0.2126, 0.7152, 0.0722])
    grey = [
        weights @ np.array(colour) / 255 for colour in (figures.VISIBLE, figures.INVISIBLE, figures.OCCLUDER)
    ]
    assert min(abs(a - b) for i, a in enumerate(grey) for b in grey[:i]) > 0.12


def test_panel_grid_draws_every_panel(case, answer):
    rows = [figures.case_panels(case, answer, size=32)] * 2
    figure = figures.panel_grid(rows, figures.ratio_caption([0.5, 0.5]), ["a", "b"], figures.mask_legend())
    assert sum(bool(axes.images) for axes in figure.axes) == 14
    assert [text.get_text() for text in figure.texts] == ["N = 2, occlusion ratio 0.50"]
    picture = figures.figure_array(figure)
    assert picture.ndim == 3 and abs(picture.shape[1] - 8.0 * figures.DPI) <= 1


def test_wrapped_rows_get_their_own_titles(case, answer):
    rows = figures.wrap(figures.case_panels(case, answer, size=32), 4)
    assert [len(row) for row in rows] == [4, 3]
    figure = figures.panel_grid(rows)
    assert [axes.get_title() for axes in figure.axes] == [title for row in rows for title in row] + [""]
    common = figures.panel_grid([rows[0], rows[0]], row_labels=["a"])
    assert [bool(axes.get_title()) for axes in common.axes] == [True] * 4 + [False] * 4


def test_scores_by_ratio_draws_bin_means():
    ratios = [0.12, 0.18] * 5 + [0.45] * 5
    scores = {"amodal": [0.8, 0.6] * 5 + [0.4] * 5, "hull": [0.5, float("nan")] * 5 + [0.1] * 5}
    axes = figures.scores_by_ratio(ratios, scores, "toy").axes[0]
    lines = [line for line in axes.lines if len(line.get_xdata())]
    assert np.allclose(lines[0].get_xydata(), [(0.15, 0.7), (0.45, 0.4)])
    assert np.allclose(lines[1].get_ydata(), [0.5, 0.1]) and len(lines) == 2
    assert "N = 15" in axes.get_title() and "hollow" not in axes.get_legend().get_title().get_text()
    assert [text.get_text() for text in axes.texts] == ["10", "5", "cases per bin"]


def test_a_bin_of_few_cases_is_hollow_and_off_the_line():
    """One case at the left end is no mean: it was drawn as one, and made the only dip of the line."""
    axes = figures.scores_by_ratio([0.09] + [0.3] * 5 + [0.6] * 6, {"ours": [0.3] + [0.7] * 11}).axes[0]
    line, alone = axes.lines
    assert line.get_xdata().tolist() == pytest.approx([0.3, 0.6]) and line.get_linestyle() == "-"
    assert alone.get_xydata().tolist() == [[pytest.approx(0.09), pytest.approx(0.3)]]
    assert alone.get_markerfacecolor() == "white" and alone.get_linestyle() == "None"
    assert [text.get_text() for text in axes.texts][:3] == ["1", "5", "6"]
    assert "hollow: fewer than 5 scores" in axes.get_legend().get_title().get_text()


def test_a_system_can_keep_its_colour_and_say_its_mask_by_the_line():
    looks = {"ours, true": (figures.MORE, "-"), "ours, rough": (figures.MORE, "--")}
    values = {name: [0.5] * 10 for name in (*looks, "hull")}
    axes = figures.scores_by_ratio([0.3] * 5 + [0.6] * 5, values, looks=looks).axes[0]
    true, rough, hull = (line for line in axes.lines if len(line.get_xdata()))
    assert true.get_color() == rough.get_color() != hull.get_color()
    assert (true.get_linestyle(), rough.get_linestyle()) == ("-", "--")
    assert true.get_marker() != rough.get_marker()


def test_encode_and_save(case, answer, tmp_path):
    picture = figures.render_case(case, answer, size=32)
    assert Image.open(io.BytesIO(figures.encode_jpeg(picture))).size == picture.shape[1::-1]
    figure = figures.scores_by_ratio([0.1, 0.2], {"a": [0.1, 0.2]})
    for name in ("figure.jpg", "figure.png"):
        figures.save_figure(figure, tmp_path / name)
        assert Image.open(tmp_path / name).size == figures.figure_array(figure).shape[1::-1]


def test_zoom_is_a_square_around_the_mask_inside_the_picture():
    picture = np.arange(40 * 40).reshape(40, 40)
    mask = np.zeros((40, 40), bool)
    mask[30:39, 2:6] = True
    near = figures.zoom(picture, mask, 0.25)
    assert near.shape == (11, 11) and set(picture[mask]) <= set(near.ravel())
    assert (figures.zoom(picture, ~mask) == picture).all() and (
        figures.zoom(picture, mask & ~mask) == picture
    ).all()
