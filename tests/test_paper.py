"""The registry of the paper's facts: complete, consistent, and free of invented numbers."""

import dataclasses
import pkgutil
from pathlib import Path

import nbformat
import pytest

from deocc import paper
from deocc.errors import DeoccError

ROOT = Path(__file__).parent.parent


def test_equations_and_tables_are_complete():
    assert sorted(paper.EQUATIONS) == [1, 2, 3, 4, 5, 6, 7]
    assert set(paper.TABLES) == {"1", "2", "3", "4", "5", "6", "time"}
    assert {"1", "2", "3", "4", "5", "6"} <= set(paper.FIGURES)
    assert all(key == item.number for key, item in paper.EQUATIONS.items())


@pytest.mark.parametrize("equation", paper.EQUATIONS.values(), ids=lambda e: f"eq{e.number}")
def test_equation_code_exists_and_latex_balances(equation):
    assert callable(pkgutil.resolve_name(equation.code))
    assert f"Eq. {equation.number}" in equation._repr_markdown_()
    assert equation.latex.count("{") == equation.latex.count("}")


@pytest.mark.parametrize("table", paper.TABLES.values(), ids=lambda t: f"table{t.number}")
def test_rows_fit_their_columns(table):
    assert len({row.name for row in table.rows}) == len(table.rows)
    for row in table.rows:
        assert len(row.published) in (0, len(table.columns)), row.name


def test_only_known_values_are_published():
    known = {
        (table.number, row.name, column.name): value
        for table in paper.TABLES.values()
        for row in table.rows
        for column, value in zip(table.columns, row.published, strict=False)
        if value is not None
    }
    assert known == {
        ("time", "mask completion", "baseline"): 13.37,
        ("time", "mask completion", "ours"): 15.83,
        ("time", "content recovery", "baseline"): 8.02,
        ("time", "content recovery", "ours"): 13.84,
        ("time", "both", "ours"): 21.65,
    }


def test_published_looks_up_a_cell():
    assert paper.TABLES["time"].published("mask completion", "ours") == 15.83
    assert paper.TABLES["2"].published("Ours", "IoU M_a", group="Real") is None
    with pytest.raises(DeoccError, match="no cell"):
        paper.TABLES["2"].published("Ours", "IoU M_a")  # the group is missing


def test_total_time_is_not_the_sum_of_its_parts():
    table = paper.TABLES["time"]
    parts = [table.published(stage, "ours") for stage in ("mask completion", "content recovery")]
    assert sum(parts) == pytest.approx(29.67)
    assert table.published("both", "ours") != pytest.approx(sum(parts))


def test_claims_agree_with_each_other():
    claims = paper.CLAIMS
    assert claims["val_people"].value * claims["val_occluders"].value == claims["val_cases"].value
    assert claims["time_total"].value == paper.TABLES["time"].published("both", "ours")


def test_table_4_adds_one_part_at_a_time():
    ticks = [sum(bool(v) for v in row.settings.values()) for row in paper.TABLES["4"].rows]
    assert ticks == [0, 1, 2, 3, 3, 4]


def test_facts_cannot_be_changed():
    with pytest.raises(dataclasses.FrozenInstanceError):
        paper.EQUATIONS[1].latex = ""


def test_notebooks_show_every_equation_as_the_registry_has_it():
    books = [nbformat.read(path, as_version=4) for path in (ROOT / "notebooks").glob("*.ipynb")]
    outs = [out for book in books for cell in book.cells if cell.cell_type == "code" for out in cell.outputs]
    shown = {out["data"].get("text/markdown") for out in outs if "data" in out}
    for equation in paper.EQUATIONS.values():
        assert equation._repr_markdown_() in shown, f"eq. {equation.number}"
