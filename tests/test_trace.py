"""The paper trace: what is cited is found, and everything that it links to is there."""

import os
import pkgutil
import re
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

import paper_trace
from deocc import paper

ROOT = Path(__file__).resolve().parent.parent
LINK = re.compile(r"\]\(([^)]+)\)")
NAME = re.compile(r"\{py:\w+\}`[^`<]*?<?([\w.]+)>?`")


@pytest.fixture(scope="module")
def found() -> dict[paper_trace.Item, paper_trace.Trace]:
    return paper_trace.trace(ROOT)


@pytest.fixture(scope="module")
def pages(found: dict[paper_trace.Item, paper_trace.Trace]) -> dict[str, str]:
    return paper_trace.pages(found)


@pytest.mark.parametrize(
    ("text", "items"),
    [
        ("eq. 3", {("eq", "3")}),
        ("(eq. 1 to 4, figure 2 left)", {("eq", "1"), ("eq", "2"), ("eq", "3"), ("eq", "4"), ("fig", "2")}),
        ("equations 5 to 7", {("eq", "5"), ("eq", "6"), ("eq", "7")}),
        ("tables 5 and 6", {("table", "5"), ("table", "6")}),
        ("Table 2's ours; Figs. 4, 5", {("table", "2"), ("fig", "4"), ("fig", "5")}),
        (r"$$ t = F R^\top. \tag{6} $$", {("eq", "6")}),
        ("supplement, fig. 1", {("fig", "S1")}),
        ("fig. 1 of the supplement", {("fig", "S1")}),
        ("the supplement's fig. 1", {("fig", "S1")}),
        ("Liu et al. 2018, eq. 1 and 2", set()),  # another paper's
        ('paper.TABLES["time"], EQUATIONS[7], CLAIMS["stacking"]',
         {("table", "time"), ("eq", "7"), ("claim", "stacking")}),
        ("the claim `ratio_control`", {("claim", "ratio_control")}),
        ("eq. 8, table 12, figure 30, a stable 2", set()),  # the registry has none of these
    ],
)  # fmt: skip
def test_citations_are_read(text: str, items: set[paper_trace.Item]) -> None:
    assert paper_trace.cited(text) == items


def test_private_code_belongs_to_what_is_around_it(tmp_path: Path) -> None:
    path = tmp_path / "module.py"
    method = '    def m(self):\n        "three"\n        def inner():\n            "four"\n'
    path.write_text(f'"""M."""\n\ndef _hidden():\n    "eq. 1"\n\nclass C:\n    "two"\n\n{method}')
    texts = paper_trace.definitions(path, "m")
    assert set(texts) == {"m", "m.C", "m.C.m"}
    assert "eq. 1" in texts["m"] and "three" not in texts["m"] + texts["m.C"] and "four" in texts["m.C.m"]


def test_a_test_uses_code_by_all_its_names() -> None:
    code = "deocc.training.mask.MaskSystem.losses"
    assert paper_trace.uses(code, frozenset({"MaskSystem", "losses", "x"}))
    assert not paper_trace.uses(code, frozenset({"RecoverySystem", "losses"}))
    assert paper_trace.uses("deocc.models.MaskCompletionNet.forward", frozenset({"MaskCompletionNet"}))
    assert not paper_trace.uses("deocc.training.mask", frozenset({"mask"})), "a module is not used by name"


def test_every_equation_table_and_figure_is_reached(found) -> None:
    """By code or by a notebook; a figure may wait for the notebook that the registry names."""
    for (kind, key), entry in found.items():
        waits = kind == "fig" and not (ROOT / "notebooks" / f"{paper.FIGURES[key].notebook}.ipynb").is_file()
        assert entry.code or entry.sections or waits or kind == "claim", (kind, key)
        if kind == "eq":
            assert entry.code and entry.sections and entry.tests, key


def test_code_and_headings_that_are_named_exist(pages) -> None:
    names = NAME.findall(pages["paper-trace.md"])
    assert len(names) > 30
    for name in names:
        pkgutil.resolve_name(name)


def headings(path: Path) -> set[str]:
    """Anchors of a notebook or page, as GitHub makes them."""
    if path.suffix == ".ipynb":
        cells = nbformat.read(path, as_version=4).cells
        text = "\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
    else:
        text = path.read_text(encoding="utf-8")
    return {paper_trace.slug(title) for title in re.findall(r"^#+ (.+)$", text, re.MULTILINE)}


def test_links_of_the_trace_lead_somewhere(pages) -> None:
    index = pages["paper-trace.md"]
    made = {name: set(re.findall(r"^#+ (.+)$", text, re.MULTILINE)) for name, text in pages.items()}
    own = {paper_trace.slug(title) for title in made["paper-trace.md"]}
    links = LINK.findall(index)
    assert len(links) > 60
    for link in links:
        target, _, anchor = link.partition("#")
        if not target:
            assert anchor in own, link
        elif target in made:
            assert anchor in made[target], link
        else:
            assert (ROOT / target).is_file() and (not anchor or anchor in headings(ROOT / target)), link


def test_the_page_is_the_same_each_time(pages) -> None:
    """Also where sets have another order."""
    run = subprocess.run(
        [sys.executable, ROOT / "tools" / "paper_trace.py"], capture_output=True, text=True, check=True,
        env={**os.environ, "PYTHONHASHSEED": "7", "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert pages["paper-trace.md"].startswith(run.stdout.rstrip())
