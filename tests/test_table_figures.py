"""Figures of tables draw what the reports say: as many bars as rows, seeds only where there are some."""

import itertools

import pytest
from matplotlib.figure import Figure

from deocc import figures
from deocc.errors import DeoccError
from deocc.figures.output import figure_array
from deocc.figures.tables import seeds_caption
from deocc.tables.page import brief_table
from deocc.tables.rows import TABLE_2
from deocc.tables.scorecard import VERDICTS


def found(value: float, std: float | None = None) -> dict:
    return {"value": value, "std": std, "low": value - 0.02, "high": value + 0.02, "n": 9, "seeds": 1}


def row(key: str, value: float, group: str = "scratch", std: float | None = None, **more: object) -> dict:
    kind = {"nothing": "control", "shipped": "shipped"}.get(group, "trained")
    return {
        "key": key, "name": f"system {key}", "kind": kind, "group": group, "seeds": 1 if std is None else 3,
        "metrics": {"invisible_iou": found(value, std), "frechet": None}, "minutes": 3.0,
        "parameters": 2_000_000, **more,
    }  # fmt: skip


def difference(value: float, decided: bool, seeds: int) -> dict:
    return {"value": value, "low": value - 0.01, "high": value + 0.01, "decided": decided, "seeds": seeds,
            "against": "ours_plain"}  # fmt: skip


ROWS = [
    row("hull", 0.1, "nothing"),
    row("pix2pix", 0.2, difference=difference(-0.1, True, 1)),
    row("ours_plain", 0.3),
    row("ours", 0.4, "imagenet"),
]


def bars(figure: Figure) -> list[float]:
    return [patch.get_width() for patch in figure.axes[0].patches]


def test_a_bar_a_row_as_long_as_its_value():
    assert bars(figures.row_bars(ROWS, "invisible_iou")) == [0.1, 0.2, 0.3, 0.4]
    empty = row("ovsr", 0.2) | {"metrics": {}}  # not trained yet
    assert len(bars(figures.row_bars([*ROWS, empty], "invisible_iou"))) == 4
    with pytest.raises(DeoccError, match="no row of this table has a result in recovered_psnr"):
        figures.row_bars(ROWS, "recovered_psnr")


def test_values_far_from_zero_are_points_not_cut_bars():
    near, far = ([row("a", base + 0.1), row("b", base + 0.2)] for base in (0.0, 3.0))
    assert bars(figures.row_bars(near, "invisible_iou")) == [0.1, 0.2]
    axes = figures.row_bars(far, "invisible_iou").axes[0]
    points = [line.get_xdata()[0] for line in axes.lines if line.get_marker() == "o"]
    assert points == [3.1, 3.2] and not axes.patches and axes.get_xlim()[0] > 0
    assert figures.row_bars(near, "invisible_iou").axes[0].get_xlim()[0] <= 0


def test_seeds_are_said_and_drawn_from_the_rows():
    assert "nothing is known of the spread" in seeds_caption(ROWS)
    assert seeds_caption(ROWS[:1]) == "no trained row is stored"
    several = [row("a", 0.2, std=0.03), row("b", 0.3, std=0.01)]
    assert "3 seeds per row" in seeds_caption(several)

    def thick(rows: list[dict]) -> int:
        return sum(
            line.get_linewidth() == 4 for line in figures.row_bars(rows, "invisible_iou").axes[0].lines
        )

    assert thick(ROWS) == 0 and thick(several) == 2


def test_the_spread_over_seeds_shows_on_a_point():
    """It is narrower than the point of a row, which hid it."""
    axes = figures.row_bars([row("a", 3.1, std=0.001), row("b", 3.2, std=0.001)], "invisible_iou").axes[0]
    point = min(line.get_zorder() for line in axes.lines if line.get_marker() == "o")
    assert all(line.get_zorder() > point for line in axes.lines if line.get_linewidth() == 4)


def test_what_is_decided_is_filled_and_one_seed_is_a_dot_in_a_ring():
    rows = [
        row("a", 0.2, difference=difference(0.1, True, 3)),
        row("b", 0.2, difference=difference(0.1, True, 1)),
        row("c", 0.2, difference=difference(0.1, False, 3)),
    ]
    lines = figures.difference_bars(rows, "invisible_iou").axes[0].lines
    marks = [(line.get_ydata()[0], line.get_markersize(), line.get_markerfacecolor()) for line in lines
             if line.get_marker() == "o"]  # fmt: skip
    assert [(y, size, fill == "white") for y, size, fill in marks] == [
        (0, 7, False), (1, 7, True), (1, 3, False), (2, 7, True)
    ]  # fmt: skip
    with pytest.raises(DeoccError, match="compared with a reference"):
        figures.difference_bars([row("a", 0.2)], "invisible_iou")


@pytest.mark.parametrize("draw", [figures.row_bars, figures.difference_bars])
def test_labels_of_two_lines_do_not_run_into_each_other(draw):
    long = "ours with a first guess from visible parts (not in the paper)"
    rows = [row(key, 0.2, difference=difference(0.1, True, 3)) for key in "abcdefgh"]
    rows[3:6] = [found | {"name": long} for found in rows[3:6]]
    figure = draw(rows, "invisible_iou")
    figure_array(figure)
    boxes = [label.get_window_extent() for label in figure.axes[0].get_yticklabels()]  # from above
    assert len(boxes) == 8
    assert all(upper.y0 > lower.y1 for upper, lower in itertools.pairwise(boxes))


def test_a_budget_curve_a_row_and_none_without_results():
    points = [{"images": 100 * n, "value": found(0.1 * n)} for n in (1, 2, 4)]
    lines = [{"key": key, "name": key, "points": points} for key in ("ours", "segan")]
    axes = figures.budget_curves(lines, "invisible_iou").axes[0]
    assert [list(line.get_xdata()) for line in axes.lines] == [[100, 200, 400]] * 2
    assert axes.get_xscale() == "log"
    with pytest.raises(DeoccError, match=r"no budget curve is stored.*campaign"):
        figures.budget_curves([], "invisible_iou")


def test_costs_are_of_trained_rows_alone():
    figure = figures.quality_against_cost(ROWS, "invisible_iou")
    assert [len(axes.lines) for axes in figure.axes] == [3, 3]
    assert figure.axes[1].lines[0].get_xdata()[0] == 2.0  # millions


def test_a_cell_a_claim_and_setting():
    claims = [
        {"text": "a helps", "where": "table 4", "verdicts": {"main": verdict, "other": "not decided"}}
        for verdict in VERDICTS
    ]
    figure = figures.verdict_strips({"claims": claims})
    assert len(figure.axes[0].patches) == 2 * len(VERDICTS)
    assert len({patch.get_facecolor() for patch in figure.axes[0].patches[::2]}) == len(VERDICTS)


def test_the_workbench_stands_beside_the_stored_rows():
    figure = figures.workbench_bars(ROWS, ROWS[:1], "invisible_iou", "given")
    points = [line for line in figure.axes[1].lines if line.get_marker() == "o"]
    assert [len(axes.patches) for axes in figure.axes] == [4, 0] and len(points) == 1  # far from 0: no bar
    assert "not comparable" in figure.axes[1].get_title()
    stored = [patch.get_facecolor()[:3] for patch in figure.axes[0].patches]
    assert stored[-1] == figures.unit_colour(figures.INVISIBLE) != stored[1], "the colours of their groups"
    empty = figures.workbench_bars(ROWS, [], "invisible_iou")
    assert empty.axes[1].texts[0].get_text() == "nothing trained yet"


def test_people_stand_in_bins():
    folder = {"people": 3, "aspect_shares": [0.4, 0.6], "aspect_median": 1}
    people = {"aspect_edges": [0, 1, 2], "folders": {"x": folder}}
    assert [patch.get_height() for patch in figures.aspect_bars(people).axes[0].patches] == [0.4, 0.6]


def test_a_brief_table_has_no_empty_column_and_marks_what_is_decided():
    rows = [*ROWS, row("ovsr", 0.2) | {"metrics": {}, "seeds": 0}]
    text = brief_table({"given": {"initial": rows}}, TABLE_2, "initial")
    head = text.splitlines()[0]
    assert "invisible IoU (up)" in head and "parsing" not in head and "difference in invisible IoU" in head
    line = next(line for line in text.splitlines() if "system pix2pix" in line)
    assert "0.200" in line and "-0.100 [-0.110, -0.090] \u25c9" in line
    assert "reference" in next(line for line in text.splitlines() if "ours_plain" in line)
