"""Pictures and figures, on a person drawn by hand: a disc with a hidden half."""

import io

import numpy as np
import pytest
from PIL import Image

from deocc import plots
from deocc.errors import DeoccError
from deocc.occlusion import OcclusionCase
from deocc.pipeline import Deocclusion

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
        case.target, case.initial_mask, plots.case_frame(case),
    )  # fmt: skip


def test_overlay_blends_inside_and_leaves_the_rest(case):
    image = case.image.copy()
    tinted = plots.overlay(image, case.modal_mask, (200, 0, 50), alpha=0.5, outline=0)
    assert (tinted[case.modal_mask] == (150, 50, 75)).all()
    assert (tinted[~case.modal_mask] == case.image[~case.modal_mask]).all()
    assert (image == case.image).all(), "the input was changed"


def test_overlay_of_an_empty_mask_is_the_picture(case):
    assert (plots.overlay(case.image, np.zeros((SIZE, SIZE), bool), plots.VISIBLE) == case.image).all()


def test_overlay_refuses_another_size(case):
    with pytest.raises(DeoccError, match="differ"):
        plots.overlay(case.image, case.modal_mask[:10], plots.VISIBLE)


def test_overlay_masks_colours_each_region(case):
    out = plots.overlay_masks(case.image, case.modal_mask, case.amodal_mask, case.occluder_mask, alpha=1.0)
    assert tuple(out[32, 20]) == plots.VISIBLE  # left half of the disc
    assert tuple(out[32, 45]) == plots.INVISIBLE  # right half, behind the occluder
    assert tuple(out[5, 60]) == plots.OCCLUDER
    assert (out[5, 5] == case.image[5, 5]).all()


def test_a_mask_layer_laid_over_the_picture_is_the_overlay(case):
    layer = plots.mask_layer([(case.modal_mask, plots.VISIBLE), (case.invisible_mask, plots.INVISIBLE)])
    photo = Image.fromarray(case.image).convert("RGBA")
    laid = np.asarray(Image.alpha_composite(photo, Image.fromarray(layer)))[..., :3].astype(int)
    drawn = plots.overlay_masks(case.image, case.modal_mask, case.amodal_mask).astype(int)
    border = np.abs(laid - drawn).max(2) > 2  # where an outline meets the other tint
    assert border[:, :31].sum() == 0 and border.mean() < 0.02
    assert not layer[~case.amodal_mask].any()


def test_mask_errors_tell_missed_from_added():
    truth, mask = np.array([[1, 1, 0, 0]], bool), np.array([[1, 0, 1, 0]], bool)
    out = plots.mask_errors(mask, truth)
    assert [tuple(p) for p in out[0]] == [plots.VISIBLE, plots.INVISIBLE, plots.ADDED, plots.PAPER]


def test_parsing_picture_keeps_the_background(case):
    assert (plots.parsing_picture(case.parsing_amodal)[0, 0] == plots.PAPER).all()
    over = plots.parsing_picture(case.parsing_amodal, case.target)
    assert (over[0, 0] == case.target[0, 0]).all() and (over[32, 32] != case.target[32, 32]).any()


def test_strip_places_panels_unscaled():
    left, right = np.full((10, 20, 3), 7, np.uint8), np.full((10, 5, 3), 9, np.uint8)
    out = plots.strip({"a": left, "b": right}, gap=4, title_height=12)
    assert out.shape == (22, 29, 3)
    assert (out[12:, :20] == left).all() and (out[12:, 24:] == right).all() and (out[:, 20:24] == 255).all()
    assert (out[:12, :20] < 128).any(), "the title is not drawn"


def test_strip_refuses_mixed_heights():
    with pytest.raises(DeoccError, match="heights"):
        plots.strip({"a": np.zeros((10, 5, 3), np.uint8), "b": np.zeros((9, 5, 3), np.uint8)})


def test_case_panels_leave_out_what_is_unknown(case, answer):
    full = plots.case_panels(case, answer, size=48)
    assert list(full) == [
        "image", "initial mask", "masks", "body parts", "recovered", "true masks", "target"
    ]  # fmt: skip
    assert all(panel.shape == (48, 48, 3) and panel.dtype == np.uint8 for panel in full.values())
    assert all((panel[0, 0] == plots.OUTSIDE).all() for panel in full.values()), "this frame sticks out"
    photo = OcclusionCase("photo", case.image, initial_mask=case.initial_mask)
    assert list(plots.case_panels(photo, size=48)) == ["image", "initial mask"]


def test_the_crop_does_not_depend_on_the_hidden_part(case):
    from dataclasses import replace

    bigger = replace(case, amodal_mask=np.ones((SIZE, SIZE), bool))
    assert plots.case_frame(bigger) == plots.case_frame(case)


def test_render_case_is_one_picture(case, answer):
    picture = plots.render_case(case, answer, size=48)
    assert picture.dtype == np.uint8 and picture.shape == (68, 7 * 48 + 6 * 4, 3)


def test_a_grid_of_pictures_fills_its_last_row_with_paper():
    panels = {name: np.full((10, 12, 3), shade, np.uint8) for name, shade in (("a", 1), ("b", 2), ("c", 3))}
    grid = plots.picture_grid(panels, 2, gap=4)
    assert grid.shape == (60, 28, 3) and (grid[20:30, 16:] == 2).all()
    assert (grid[50:, :12] == 3).all() and (grid[30:, 16:] == 255).all()


def test_an_answer_is_shown_in_two_rows_of_three(case, answer):
    picture = plots.render_answer(case, answer, size=48)
    assert picture.shape == (2 * 68, 3 * 48 + 2 * 4, 3) and picture.dtype == np.uint8


def test_ratio_caption():
    assert plots.ratio_caption([0.2, 0.5], "rendered") == "N = 2, occlusion ratio 0.20-0.50, rendered"
    assert plots.ratio_caption([float("nan")]) == "N = 1"


def test_palette_is_told_apart_by_brightness():
    """Also in grey: every pair of the three mask colours differs by at least 12 % of the range."""
    weights = np.array([0.2126, 0.7152, 0.0722])
    grey = [weights @ np.array(colour) / 255 for colour in (plots.VISIBLE, plots.INVISIBLE, plots.OCCLUDER)]
    assert min(abs(a - b) for i, a in enumerate(grey) for b in grey[:i]) > 0.12


def test_panel_grid_draws_every_panel(case, answer):
    rows = [plots.case_panels(case, answer, size=32)] * 2
    figure = plots.panel_grid(rows, plots.ratio_caption([0.5, 0.5]), ["a", "b"], plots.mask_legend())
    assert sum(bool(axes.images) for axes in figure.axes) == 14
    assert [text.get_text() for text in figure.texts] == ["N = 2, occlusion ratio 0.50-0.50"]
    picture = plots.figure_array(figure)
    assert picture.ndim == 3 and abs(picture.shape[1] - 8.0 * plots.DPI) <= 1


def test_wrapped_rows_get_their_own_titles(case, answer):
    rows = plots.wrap(plots.case_panels(case, answer, size=32), 4)
    assert [len(row) for row in rows] == [4, 3]
    figure = plots.panel_grid(rows)
    assert [axes.get_title() for axes in figure.axes] == [title for row in rows for title in row] + [""]
    common = plots.panel_grid([rows[0], rows[0]], row_labels=["a"])
    assert [bool(axes.get_title()) for axes in common.axes] == [True] * 4 + [False] * 4


def test_scores_by_ratio_draws_bin_means():
    ratios, scores = [0.12, 0.18, 0.45], {"amodal": [0.8, 0.6, 0.4], "hull": [0.5, float("nan"), 0.1]}
    axes = plots.scores_by_ratio(ratios, scores, "toy").axes[0]
    assert np.allclose(axes.lines[0].get_xydata(), [(0.15, 0.7), (0.45, 0.4)])
    assert np.allclose(axes.lines[1].get_ydata(), [0.5, 0.1])
    assert "N = 3" in axes.get_title()


def test_encode_and_save(case, answer, tmp_path):
    picture = plots.render_case(case, answer, size=32)
    assert Image.open(io.BytesIO(plots.encode_jpeg(picture))).size == picture.shape[1::-1]
    figure = plots.scores_by_ratio([0.1, 0.2], {"a": [0.1, 0.2]})
    for name in ("figure.jpg", "figure.png"):
        plots.save_figure(figure, tmp_path / name)
        assert Image.open(tmp_path / name).size == plots.figure_array(figure).shape[1::-1]
