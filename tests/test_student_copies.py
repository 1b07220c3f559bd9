"""`make student`: exercises and checks stay, answers and what gives them away go, and the rest still runs."""

import ast
import builtins
import re
from pathlib import Path

import nbformat
import pytest

import notebooks

NOTEBOOKS = sorted((Path(__file__).resolve().parent.parent / "notebooks").glob("[0-9]*.ipynb"))
CODE = re.compile(r"```python\n(.*?)```", re.DOTALL)
ONE_NAME = re.compile(r"Name\(id='(?!(?:np|F|torch)')\w+', ctx=\w+\(\)\)|Constant\(value=[^()]*\)")
FINE = {"cv2.resize(rgba, (23, 23), interpolation=cv2.INTER_AREA)"}  # how not to do it
GIVEN_AWAY = {  # what a cell behind a check once said, in words that no expression of an answer has
    "00": [
        "person_frame(trial.amodal_mask).side / person_frame(trial.modal_mask)",
        "a person sees a sticker",
    ],
    "01": ["near 0.8"],
    "02": ["should be about ten", "fits = {t:"],
    "03": ["mean_number(d.cpu()", "(torch.logit(found[name], 1e-6), torch.logit(back[name], 1e-6))"],
    "04": [
        "None does.",
        ".flatten(1) @ torch.from_numpy(relevance.matrix)",
        "move @ move",
        "rows here are flat",
    ],
    "05": ["least = student.ppf"],
    "06": ["mask_iou(grown(small, 8), small)", "About twice as much"],
    "07": ["2 / (1 + np.exp(-x)) - 1"],
}


def tags(notebook: nbformat.NotebookNode) -> list[str]:
    return [tag for cell in notebook.cells for tag in cell.metadata.get("tags", [])]


def copy_of(path: Path) -> nbformat.NotebookNode:
    return notebooks.without_answers(nbformat.read(path, as_version=4))


def expressions(source: str) -> dict[str, str]:
    """Calls and calculations of some length: with all names and numbers alike -> as they were written."""
    found = {}
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call | ast.BinOp | ast.Compare | ast.IfExp):
            plain = ONE_NAME.sub("_", ast.dump(node))
            if len(list(ast.walk(node))) >= 9:
                found[plain] = ast.unparse(node)
    return found


def undefined(cells: list[str]) -> set[str]:
    """Names that cells of code use and that neither they nor those before them define."""
    known, missing = {*dir(builtins), "display"}, set()
    for source in cells:
        nodes = list(ast.walk(ast.parse(source)))
        for node in nodes:
            if isinstance(node, ast.FunctionDef | ast.ClassDef):
                known.add(node.name)
            elif isinstance(node, ast.arg):
                known.add(node.arg)
            elif isinstance(node, ast.alias):
                known.add((node.asname or node.name).split(".")[0])
            elif isinstance(node, ast.ExceptHandler):
                known.add(node.name)
            elif isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
                known.add(node.id)
        missing |= {node.id for node in nodes if isinstance(node, ast.Name)} - known
    return missing


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
class TestCopies:
    def test_exercises_and_checks_stay_and_answers_go(self, path):
        before, copy = tags(nbformat.read(path, as_version=4)), copy_of(path)
        assert [tag for tag in before if not tag.startswith(("answer:", "after:"))] == tags(copy)
        count = {kind: sum(tag.startswith(f"{kind}:") for tag in before) for kind in ("answer", "check")}
        assert count["answer"] == count["check"]
        assert not any(cell.get("outputs") for cell in copy.cells)
        nbformat.validate(copy)

    def test_what_follows_an_answer_names_its_exercise(self, path):
        every = tags(nbformat.read(path, as_version=4))
        names = {tag[len("after:") :] for tag in every if tag.startswith("after:")}
        assert names <= {tag[len("check:") :] for tag in every if tag.startswith("check:")}

    def test_no_cell_of_the_exercises_holds_an_answer(self, path):
        answers = [
            cell.source
            for cell in nbformat.read(path, as_version=4).cells
            if any(tag.startswith("answer:") for tag in cell.metadata.get("tags", []))
        ]
        copy = copy_of(path).cells
        (start,) = (
            i for i, cell in enumerate(copy) if re.search(r"^## \d+\. Exercises", cell.source, re.MULTILINE)
        )
        known = expressions("\n".join(CODE.search(answer)[1] for answer in answers))
        for cell in copy[start:]:
            if cell.cell_type == "code":
                found = {words for plain, words in expressions(cell.source).items() if plain in known}
                assert not found - FINE

    def test_no_words_of_an_answer_are_left(self, path):
        text = "\n".join(cell.source for cell in copy_of(path).cells)
        for words in ("**An answer**", "<summary>", "olded answer", *GIVEN_AWAY[path.stem[:2]]):
            assert words not in text
        whole = path.read_text(encoding="utf-8")
        assert all(words in whole for words in GIVEN_AWAY[path.stem[:2]]), "the list above is out of date"

    def test_the_copy_defines_every_name_that_it_uses(self, path):
        assert undefined([cell.source for cell in copy_of(path).cells if cell.cell_type == "code"]) == set()


def test_the_rule_on_answers_can_fail():
    answer, cell = "np.mean(np.abs(shares - ratio) <= tolerance)", "n = int((np.abs(s - 0.3) <= t).sum())"
    assert expressions(answer).keys() & expressions(cell).keys()
    assert not expressions(answer).keys() & expressions("n = int((s <= t).sum())").keys()


def test_the_rule_on_names_can_fail():
    assert undefined(["import numpy as np\na = [b for b in np.ones(3)]", "print(a, c)"]) == {"c"}
