"""The package's layout: each folder a chapter, imports go one way, no circle, no long module."""

import ast
import pkgutil
import re
from pathlib import Path

import pytest

import deocc

PACKAGE = Path(deocc.__file__).parent
MODULES = sorted(PACKAGE.rglob("*.py"))
LEVELS: tuple[tuple[str, ...], ...] = (
    ("errors", "threads"),
    (
        "checks",
        "labels",
        "paths",
        "parallel",
        "memory",
        "markdown",
        "paper",
        "device",
        "clusters",
        "compiled",
    ),
    ("io", "masks"),
    ("metrics", "segmenters"),
    ("people",),
    ("occlusion",),
    ("models",),
    ("training",),
    ("inference", "baselines", "released"),
    ("experiments", "evaluation"),
    ("tables", "studies"),
    ("figures", "exercises"),
    ("widgets",),
    ("cli",),
)
"""Chapters from the ground up: a module imports from levels below its own, and within its own folder."""
RANK = {name: rank for rank, names in enumerate(LEVELS) for name in names}


def dotted(path: Path) -> str:
    return ".".join(("deocc", *path.relative_to(PACKAGE).with_suffix("").parts)).removesuffix(".__init__")


def chapter(module: str) -> str:
    """ "deocc.people.folder" -> "people"; "" for the package itself."""
    return module.split(".")[1] if "." in module else ""


def imported(path: Path, everywhere: bool = True) -> set[str]:
    """The package's modules that a file imports; everywhere: inside functions too."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    names = {dotted(p) for p in MODULES}
    found = set()
    for node in ast.walk(tree) if everywhere else tree.body:
        assert not getattr(node, "level", 0), f"{path}: relative import; write it out"
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "deocc":
            submodules = {f"{node.module}.{a.name}" for a in node.names} & names
            found |= submodules or {node.module}
        elif isinstance(node, ast.Import):
            found |= {a.name for a in node.names if a.name.split(".")[0] == "deocc"}
    return found


def test_every_module_has_a_place() -> None:
    chapters = {chapter(dotted(path)) for path in MODULES} - {"", "__main__"}
    assert chapters <= set(RANK), f"new chapters {chapters - set(RANK)}: give them a level in LEVELS"


@pytest.mark.parametrize("path", MODULES, ids=lambda p: dotted(p).removeprefix("deocc."))
def test_imports_go_down(path: Path) -> None:
    own = chapter(dotted(path))
    if own in ("", "__main__"):
        return
    for target in imported(path):
        other = chapter(target)
        if other not in ("", own):
            assert RANK[other] < RANK[own], f"{dotted(path)} imports {target}: it stands above, or beside"


def test_no_circles() -> None:
    graph = {dotted(path): imported(path) for path in MODULES}
    seen: dict[str, int] = {}

    def visit(module: str, trail: tuple[str, ...]) -> None:
        assert seen.get(module) != 1, "circle: " + " -> ".join((*trail[trail.index(module) :], module))
        if module in seen:
            return
        seen[module] = 1
        for target in graph.get(module, ()):
            if target not in ("deocc", module):
                visit(target, (*trail, module))
        seen[module] = 2

    for module in graph:
        if module != "deocc":
            visit(module, ())


@pytest.mark.parametrize("path", MODULES, ids=lambda p: dotted(p).removeprefix("deocc."))
def test_modules_are_short(path: Path) -> None:
    if "synth" in path.parts:
        return
    text = path.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 400, f"{dotted(path)} is long; split it by job"
    first = (ast.get_docstring(ast.parse(text)) or "").split(". ")[0].split("\n\n")[0]
    assert first, f"{dotted(path)} lacks a docstring"


ROOT = PACKAGE.parent
PROSE = [*MODULES, *sorted((ROOT / "docs").glob("*.md")), ROOT / "README.md", ROOT / "CONTRIBUTING.md",
         *sorted((ROOT / "notebooks").glob("*.ipynb")), *sorted((ROOT / "tools").glob("*.py"))]  # fmt: skip
NAME = re.compile(r"(?<![\w./-])deocc(?:\.[A-Za-z_]\w*)+(?![\w/-])")


def resolves(name: str) -> bool:
    try:
        pkgutil.resolve_name(name)
    except (ImportError, AttributeError):
        return False
    return True


def test_names_in_prose_lead_somewhere() -> None:
    """`deocc.x.y` in docstrings, docs and notebooks is a module, or a name in one."""
    found = {name for path in PROSE for name in NAME.findall(path.read_text(encoding="utf-8"))}
    assert len(found) > 100
    schemas = {"deocc.table"}  # "deocc.table/1" and the like
    assert not sorted(name for name in found - schemas if not resolves(name))
