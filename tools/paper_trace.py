"""Where each equation, figure, table and claim of the paper is to be found: notebook section, code, test.

Nothing here is typed by hand. The items come from `deocc.paper`; the places from a search:

- notebook sections whose text, code or output cites an item ("eq. 3", "tables 5 and 6", ``TABLES["4"]``,
  "claim `stacking`"), or whose code uses what implements an equation; the notebook that the registry names
  for a figure;
- functions, classes and modules whose docstring or body cites it, the one that the registry names for an
  equation, and the modules of the systems in a table's rows;
- tests that cite it, or that use one of those functions and classes by name.

Where there is none, the page says so. `pages` makes pages of the site; a run as a script prints the index.
"""

from __future__ import annotations

import ast
import pkgutil
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import nbformat

from deocc import paper

OWN_TESTS = "test_trace.py"  # cites everything and covers nothing
Item = tuple[str, str]
"""Kind ("eq", "fig", "table" or "claim") and the registry's key, e.g. ("eq", "3")."""

_NUMBER = r"(?:S?\d+)"
_LIST = rf"{_NUMBER}(?:(?:\s*(?:,|-|to|and)\s*|,\s*and\s+){_NUMBER}\b)*"
_WORDS = {
    "eq": r"(?:eqs?\.|equations?)",
    "fig": r"(?:figs?\.|figures?)",
    "table": r"(?<!-)tables?",
}
_OTHERS = re.compile(r"(?:19|20)\d\d\)?,\s*$")  # "Liu et al. 2018, eq. 1": another paper's
_SUPPLEMENT = re.compile(r"supplement(?:'s|,)\s*$", re.IGNORECASE)
_OF_SUPPLEMENT = re.compile(r"\s+(?:of|in) the supplement")
_TAG = re.compile(r"\\tag\{(\d+)\}")
_KEY = re.compile(r"\b(EQUATIONS|FIGURES|TABLES|CLAIMS)\[[\"']?(\w+)[\"']?\]")
_CLAIM = re.compile(r"\bclaims? `(\w+)`")
_KINDS = {"EQUATIONS": "eq", "FIGURES": "fig", "TABLES": "table", "CLAIMS": "claim"}


@cache
def items() -> tuple[Item, ...]:
    """Everything that the registry has, in its order."""
    return (
        *(("eq", str(number)) for number in paper.EQUATIONS),
        *(("fig", number) for number in paper.FIGURES),
        *(("table", number) for number in paper.TABLES),
        *(("claim", key) for key in paper.CLAIMS),
    )


def _numbers(text: str) -> Iterator[str]:
    """ "1 to 3 and 5" -> 1, 2, 3, 5."""
    for first, last in re.findall(rf"({_NUMBER})(?:\s*(?:-|to)\s*({_NUMBER}))?", text):
        if last and first.isdigit() and last.isdigit():
            yield from map(str, range(int(first), int(last) + 1))
        else:
            yield from filter(None, (first, last))


def cited(text: str) -> set[Item]:
    """The paper's items that a text names."""
    found = {("eq", number) for number in _TAG.findall(text)}
    found |= {(_KINDS[name], key) for name, key in _KEY.findall(text)}
    found |= {("claim", key) for key in _CLAIM.findall(text)}
    for kind, word in _WORDS.items():
        for match in re.finditer(rf"\b{word}[ ~]+({_LIST})", text, re.IGNORECASE):
            if _OTHERS.search(text[: match.start()]):
                continue
            before, after = text[: match.start()], text[match.end() :]
            supplement = kind == "fig" and (_SUPPLEMENT.search(before) or _OF_SUPPLEMENT.match(after))
            found |= {(kind, f"S{n}" if supplement else n) for n in _numbers(match[1])}
    return found & set(items())


def claims_named(strings: Iterable[str]) -> set[Item]:
    """Claims among literal strings."""
    return {("claim", key) for key in set(strings) & set(paper.CLAIMS)}


# ------------------------------------------------------------------------------------------ notebooks


@dataclass(frozen=True)
class Section:
    """A section of a notebook: link target from the root, and its heading."""

    target: str
    title: str


def slug(heading: str) -> str:
    """GitHub's anchor of a heading."""
    text = re.sub(r"[^\w\- ]", "", heading.strip().lower())
    return text.replace(" ", "-")


def _tree(code: str) -> ast.Module:
    """A code cell, parsed; empty where it is not plain Python ("%time ...")."""
    try:
        return ast.parse(code)
    except SyntaxError:
        return ast.Module([], [])


def _strings(code: str) -> list[str]:
    """Literal strings of some code."""
    nodes = ast.walk(_tree(code))
    return [node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)]


def _lines(cell: nbformat.NotebookNode) -> Iterator[tuple[str, str]]:
    """Of a Markdown cell, line by line: its heading ("" where it is none) and the line."""
    fenced = False
    for line in cell.source.splitlines():
        fenced ^= line.lstrip().startswith("```")
        heading = re.match(r"#{1,4} +(.+)", line)
        yield (heading[1].strip() if heading and not fenced else ""), line


@dataclass(frozen=True)
class Cites:
    """What a section cites, and the names that its code uses."""

    items: frozenset[Item]
    names: frozenset[str]


def notebook_sections(path: Path, root: Path) -> dict[Section, Cites]:
    """Section -> its citations, in order; before the second heading it is the notebook as a whole."""
    book = nbformat.read(path, as_version=4)
    name = path.relative_to(root).as_posix()
    here, used, first = Section(name, ""), dict[str, int](), True
    prose: dict[Section, list[str]] = {here: []}
    code: dict[Section, list[str]] = {here: []}
    for cell in book.cells:
        if cell.cell_type != "markdown":
            code[here].append(cell.source)
            prose[here] += [out.data.get("text/markdown", "") for out in cell.outputs if "data" in out]
            continue
        for heading, line in _lines(cell):
            if heading:
                anchor = slug(heading)
                used[anchor] = used.get(anchor, -1) + 1
                anchor += f"-{used[anchor]}" if used[anchor] else ""
                here = here if first else Section(f"{name}#{anchor}", heading)
                first = False
                prose.setdefault(here, []), code.setdefault(here, [])
            prose[here].append(line)
    claims = any("CLAIMS" in cell for cells in code.values() for cell in cells)
    return {
        section: Cites(
            frozenset(
                cited("\n".join(text + code[section]))
                | (claims_named(s for cell in code[section] for s in _strings(cell)) if claims else set())
            ),
            frozenset().union(*(_identifiers(tree) for tree in map(_tree, code[section]))),
        )
        for section, text in prose.items()
    }


# ------------------------------------------------------------------------------------------ code


Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)


def _source(lines: list[str], node: Definition) -> list[str]:
    """Lines of a definition with its decorators."""
    first = min([node.lineno, *(d.lineno for d in node.decorator_list)])
    return lines[first - 1 : node.end_lineno]


def definitions(path: Path, name: str) -> dict[str, str]:
    """Dotted name -> text, of a module, its public classes, methods and functions.

    What is private belongs to the public thing around it. A text is without those of the things in it.
    """
    lines = path.read_text(encoding="utf-8").splitlines()
    texts: dict[str, list[str]] = {name: []}

    def visit(owner: str, node: ast.Module | Definition, first: int, last: int) -> None:
        inner = [child for child in node.body if isinstance(child, DEFINITIONS)]
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            for child in inner:
                public = not child.name.startswith("_")
                place = f"{owner}.{child.name}" if public else owner
                texts.setdefault(place, [])
                start = child.lineno - 1
                visit(place, child, start, child.end_lineno or start)
                taken.update(range(start, child.end_lineno or start))
        texts[owner] += [lines[i] for i in range(first, last) if i not in taken]

    taken: set[int] = set()
    visit(name, ast.parse("\n".join(lines)), 0, len(lines))
    return {key: "\n".join(text) for key, text in texts.items()}


def code_citations(root: Path) -> dict[str, set[Item]]:
    """Dotted name of the package -> what it cites; the registry itself apart."""
    found = {}
    for path in sorted((root / "deocc").rglob("*.py")):
        parts = path.relative_to(root).with_suffix("").parts
        name = ".".join(parts).removesuffix(".__init__")
        if name == paper.__name__:
            continue
        text = path.read_text(encoding="utf-8")
        for key, body in definitions(path, name).items():
            cites = cited(body)
            if key == name and "CLAIMS" in text:
                cites |= claims_named(_strings(text))
            if cites:
                found[key] = cites
    return found


def system_modules(table: paper.Table) -> list[str]:
    """Modules of the trainable systems in a table's rows."""
    from deocc.baselines.masks.registry import MASK_BASELINES
    from deocc.baselines.pixels.registry import PAINTERS
    from deocc.training.content import ContentSystem
    from deocc.training.mask import MaskSystem

    homes = {"mask/ours": MaskSystem.__module__, "content/ours": ContentSystem.__module__}
    homes |= {name: recipe.build.__module__ for name, recipe in {**MASK_BASELINES, **PAINTERS}.items()}
    return list(dict.fromkeys(homes[row.system] for row in table.rows if row.system in homes))


# ------------------------------------------------------------------------------------------ tests


@dataclass(frozen=True)
class Test:
    """A test function: file, name, text; the names it uses itself, and those that its helpers use."""

    file: str
    name: str
    text: str = field(repr=False)
    own: frozenset[str] = field(repr=False)
    all: frozenset[str] = field(repr=False)
    cites: frozenset[Item] = field(repr=False)


def _identifiers(node: ast.AST) -> frozenset[str]:
    """Names, attributes and arguments (fixtures) in a definition."""
    found = set()
    for child in ast.walk(node):
        if isinstance(child, ast.Name):
            found.add(child.id)
        elif isinstance(child, ast.Attribute):
            found.add(child.attr)
        elif isinstance(child, ast.arg):
            found.add(child.arg)
    return frozenset(found)


def file_tests(path: Path) -> list[Test]:
    """The test functions of a file."""
    text = path.read_text(encoding="utf-8")
    lines, tree = text.splitlines(), ast.parse(text)
    top = {node.name: node for node in tree.body if isinstance(node, DEFINITIONS)}
    uses = {name: _identifiers(node) for name, node in top.items()}
    tests = []
    for node in top.values():
        inner = node.body if isinstance(node, ast.ClassDef) and node.name.startswith("Test") else [node]
        for test in inner:
            if not isinstance(test, ast.FunctionDef) or not test.name.startswith("test_"):
                continue
            own = _identifiers(test)
            reached, waiting = set(own), set(own) & set(uses)
            while waiting:
                new = uses[waiting.pop()] - reached
                reached |= new
                waiting |= new & set(uses)
            body = "\n".join(_source(lines, test))
            cites = cited(f"{test.name.replace('_', ' ')}\n{body}")
            cites |= claims_named(_strings(_dedented(body))) if "CLAIMS" in text else set()
            tests.append(Test(path.name, test.name, body, own, frozenset(reached), frozenset(cites)))
    return tests


def _dedented(body: str) -> str:
    return "\n".join(line.removeprefix("    ") for line in body.splitlines()) if body[:1] == " " else body


def uses(code: str, names: frozenset[str]) -> bool:
    """Whether names include those of a dotted class, method or function; a module has none to use."""
    parts = code.removesuffix(".forward").split(".")[len(_module_parts(code)) :]  # a network is called
    return bool(parts) and set(parts) <= names


@cache
def _module_parts(code: str) -> tuple[str, ...]:
    """Of a dotted name, what is package and module."""
    parts = code.split(".")
    root = Path(paper.__file__).parent.parent
    for length in range(len(parts), 0, -1):
        place = root.joinpath(*parts[:length])
        if place.is_dir() or place.with_suffix(".py").is_file():
            return tuple(parts[:length])
    return ()


# ------------------------------------------------------------------------------------------ the index


@dataclass
class Trace:
    """Where one item is: sections, code and tests, the nearest first."""

    sections: list[Section] = field(default_factory=list)
    code: list[str] = field(default_factory=list)
    tests: list[Test] = field(default_factory=list)


def trace(root: Path) -> dict[Item, Trace]:
    """Every item of the registry -> where it is in the notebooks, the package and the tests of a checkout."""
    found = {item: Trace() for item in items()}
    for number, equation in paper.EQUATIONS.items():
        thing = pkgutil.resolve_name(equation.code)
        found["eq", str(number)].code.append(f"{thing.__module__}.{thing.__qualname__}")
    for code, cites in code_citations(root).items():
        for item in cites:
            found[item].code.append(code)
    for number, table in paper.TABLES.items():
        found["table", number].code += system_modules(table)
    sections: dict[Section, Cites] = {}
    for path in sorted((root / "notebooks").glob("[0-9]*.ipynb")):
        sections |= notebook_sections(path, root)
    files = [path for path in sorted((root / "tests").glob("test_*.py")) if path.name != OWN_TESTS]
    tests = [test for path in files for test in file_tests(path)]
    for item, entry in found.items():
        first = dict.fromkeys(entry.code)
        own = list(first)[:1] if item[0] == "eq" else []
        entry.code = own + sorted(filter(lambda code: code not in own, first), key=_is_module)
        entry.sections = _sections_of(item, entry.code, sections, root)
        entry.tests = _tests_of(item, entry.code, tests)
    return found


def _is_module(code: str) -> bool:
    return _module_parts(code) == tuple(code.split("."))


def _sections_of(item: Item, codes: list[str], sections: dict[Section, Cites], root: Path) -> list[Section]:
    """Sections that cite an item; of an equation, then those whose code uses its code; whole notebooks last.

    A whole notebook is left out where one of its sections stands there. The registry names one for a figure.
    """
    citing = [section for section, cites in sections.items() if item in cites.items]
    if item[0] == "eq":
        using = [s for s, cites in sections.items() if any(uses(code, cites.names) for code in codes)]
        citing = list(dict.fromkeys([*citing, *using]))
    named = f"notebooks/{paper.FIGURES[item[1]].notebook}.ipynb" if item[0] == "fig" else ""
    if named and (root / named).is_file() and not any(s.target.startswith(named) for s in citing):
        citing.insert(0, Section(named, ""))
    inside = {s.target.partition("#")[0] for s in citing if s.title}
    return [s for s in citing if s.title or s.target not in inside]


def _tests_of(item: Item, codes: list[str], tests: list[Test]) -> list[Test]:
    """Tests that cite an item, then those that use its code; of each kind those of the file with most first.

    A helper's use counts where no test itself cites or uses anything. Of a table, tests that cite it suffice:
    its code is used everywhere. Tests of the registry, which run none of the code, stand last.
    """
    near = {test: _nearness(test, item, codes) for test in tests}
    closest = min(near.values(), default=3)
    limit = closest if item[0] in ("table", "claim") else max(closest, 1)
    kept = [test for test in tests if near[test] <= limit and near[test] < 3]
    many = Counter(test.file for test in kept)
    registry = f"test_{paper.__name__.rpartition('.')[2]}.py"
    return sorted(kept, key=lambda test: (test.file == registry, near[test], -many[test.file], test.file))


def _nearness(test: Test, item: Item, codes: list[str]) -> int:
    """0: cites the item, 1: uses its code, 2: by way of a helper, 3: not at all."""
    if item in test.cites:
        return 0
    if any(uses(code, test.own) for code in codes):
        return 1
    return 2 if any(uses(code, test.all) for code in codes) else 3


# ------------------------------------------------------------------------------------------ pages


SHOWN = 6  # places a line; the rest is counted
TITLES = {"eq": "Eq.", "fig": "Figure", "table": "Table"}
INTRO = """\
# Paper trace

Where each equation, figure, table and claim of the paper is explained (notebook), implemented (code), tested.

`tools/paper_trace.py` makes this page when the site is built. Items come from {paper}. A notebook section or
a piece of code stands here because it cites the item; sections and tests also because they use what
implements it. Notebooks are tests, too: `make test` runs every cell. The copy of the paper that this project
works from lost its formulas and table values; the formulas are restored ({departures}).
"""


def title(item: Item) -> str:
    """Heading of an equation, figure or table."""
    kind, key = item
    book = {"eq": paper.EQUATIONS, "fig": paper.FIGURES, "table": paper.TABLES}[kind]
    thing = book[int(key)] if kind == "eq" else book[key]  # type: ignore[index]
    number = "of times" if key == "time" else key
    return f"{TITLES[kind]} {number}: {thing.title}"


def _section_link(section: Section) -> str:
    stem = section.target.partition("#")[0].removeprefix("notebooks/").removesuffix(".ipynb")
    return f"[{stem}{': ' + section.title if section.title else ''}]({section.target})"


def _code_link(code: str) -> str:
    return f"{{py:obj}}`{code.removeprefix('deocc.')} <{code}>`"


def _test_link(test: Test) -> str:
    return f"[{test.file.removesuffix('.py')}: {test.name}](tests/{test.file[:-3]}.md#{test.name})"


def _list(links: list[str], none: str) -> str:
    more = f"; and {len(links) - SHOWN} more" if len(links) > SHOWN else ""
    return "; ".join(links[:SHOWN]) + more if links else none


def _lines_of(entry: Trace) -> list[str]:
    return [
        "- Notebook: " + _list(list(map(_section_link, entry.sections)), "none"),
        "- Code: " + _list(list(map(_code_link, entry.code)), "none"),
        "- Tests: " + _list(list(map(_test_link, entry.tests)), "none"),
    ]


def _claims_table(found: dict[Item, Trace]) -> str:
    rows = ["| claim | where it is traced |", "| --- | --- |"]
    for key, claim in paper.CLAIMS.items():
        entry = found["claim", key]
        value = "" if claim.value is None else f" ({claim.value:,g} {claim.unit}".rstrip() + ")"
        names = [title(item) for item in items() if item in cited(claim.where)]
        by_way = [f"[{name.partition(':')[0]}](#{slug(name)})" for name in names]
        places = [*by_way, *map(_section_link, entry.sections), *map(_code_link, entry.code)]
        places += list(map(_test_link, entry.tests))
        rows.append(f"| {claim.text}{value}; {claim.where} | {_list(places, 'none')} |")
    return "\n".join(rows)


def _in_lines(latex: str) -> str:
    """A formula of several parts (", \\quad") with one part a line: all of it fits a narrow page."""
    parts = latex.split(r", \quad")
    body = r",\\ ".join(part.strip() for part in parts)
    return rf"\begin{{array}}{{l}} {body} \end{{array}}" if len(parts) > 1 else latex


def index_page(found: dict[Item, Trace]) -> str:
    """The index in Markdown (MyST)."""
    departures = "[where the code departs from the paper](docs/departures.md)"
    parts = [INTRO.format(paper="{py:mod}`deocc.paper`", departures=departures)]
    for kind, heading in (("eq", "Equations"), ("fig", "Figures"), ("table", "Tables")):
        parts.append(f"## {heading}\n")
        for item in items():
            if item[0] == kind:
                body = [f"### {title(item)}\n"]
                if kind == "eq":
                    body.append(f"$$\n{_in_lines(paper.EQUATIONS[int(item[1])].latex)}\n$$\n")
                parts.append("\n".join([*body, *_lines_of(found[item]), ""]))
    parts += ["## Claims\n", "```{rst-class} trace\n```\n", _claims_table(found), ""]
    return "\n".join(parts)


def shown_tests(found: dict[Item, Trace]) -> dict[str, list[Test]]:
    """File -> tests that the index links to, in the file's order."""
    tests = {test for entry in found.values() for test in entry.tests[:SHOWN]}
    files: dict[str, list[Test]] = {}
    for test in sorted(tests, key=lambda test: (test.file, test.name)):
        files.setdefault(test.file, []).append(test)
    return files


def pages(found: dict[Item, Trace]) -> dict[str, str]:
    """Pages of the site by path: the index, and the tests that it links to."""
    made = {}
    for file, tests in shown_tests(found).items():
        blocks = [f"## {test.name}\n\n```python\n{_dedented(test.text)}\n```\n" for test in tests]
        head = f"# {file}\n\nThe tests that the [paper trace](../paper-trace.md) names.\n"
        made[f"tests/{file[:-3]}.md"] = "\n".join([head, *blocks])
    names = "\n".join(name.removesuffix(".md") for name in made)
    made["paper-trace.md"] = f"{index_page(found)}\n```{{toctree}}\n:hidden:\n\n{names}\n```\n"
    return made


def main() -> None:
    print(index_page(trace(Path(__file__).resolve().parent.parent)))


if __name__ == "__main__":
    main()
