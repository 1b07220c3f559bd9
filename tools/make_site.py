"""Make the site: notebooks as they are committed, docs, results, model cards, paper trace, API reference.

Lays the pages out in build/site/source as they lie in the repository, so that their links hold, adds the
generated ones, and has Sphinx (MyST-NB, furo) write build/site/html. Nothing is executed, nothing is fetched.
A warning of Sphinx, a dead link among them, is an error.
"""

from __future__ import annotations

import argparse
import ast
import importlib
import inspect
import pkgutil
import re
import shutil
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import nbformat

import deocc
import paper_trace
from deocc import widgets
from deocc.io import read_json
from deocc.paths import RESULTS

ROOT = Path(__file__).resolve().parent.parent
PAGES = ("RESULTS.md", "CONTRIBUTING.md", "CHANGELOG.md", "data/README.md", "docs/*.md", "data/weights/*.md")
LINK = re.compile(r"(?P<open>!?\[[^\]]*\]\()(?P<target>[^)\s#:]+)(?P<rest>[^)]*\))")
TESTS_ONLY = "# NBVAL_CHECK_OUTPUT\n"  # a line of some cells that tells readers nothing
UNDRAWN = re.compile(r"^\s*(```+|~~~+|:::+) ?\{?mermaid", re.MULTILINE)
PICTURE = re.compile(r"!\[([^\]]*)\]\(([^)]+)\)")

CONTENTS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("Notebooks", ("notebooks/index", "notebooks/[0-9]*")),
    ("Guide", ("docs/*",)),
    ("The paper, and results", ("paper-trace", "RESULTS", "data/README", "cards")),
    ("Reference", ("api/index",)),
    ("Project", ("CONTRIBUTING", "CHANGELOG")),
)
"""Captions and pages of the sidebar; * takes what is there."""


class Layout:
    """The folder that Sphinx reads. What is as it was is not touched: Sphinx reads anew what is newer."""

    def __init__(self, source: Path) -> None:
        self.source = source
        self._kept: set[Path] = set()

    def _place(self, name: str | Path) -> Path:
        path = self.source / name
        path.parent.mkdir(parents=True, exist_ok=True)
        self._kept.add(path)
        return path

    def write(self, name: str | Path, text: str) -> None:
        """A page."""
        path = self._place(name)
        if not path.is_file() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")

    def copy(self, path: Path, name: str | Path) -> None:
        """A picture, or a file to download."""
        shutil.copy2(path, self._place(name))

    def sweep(self) -> None:
        """Removes what an earlier run left."""
        for path in self.source.rglob("*"):
            if path.is_file() and path not in self._kept:
                path.unlink()


# ------------------------------------------------------------------------------------------ pages


def sources() -> list[Path]:
    """The Markdown pages that lie in the repository, README.md apart."""
    return [path for pattern in PAGES for path in sorted(ROOT.glob(pattern))]


def notebook_paths() -> list[Path]:
    """The notebooks, in order."""
    return sorted((ROOT / "notebooks").glob("[0-9]*.ipynb"))


def refuse_undrawn(path: Path, text: str) -> None:
    """Exits if a page has a Mermaid diagram: no script draws it on the site, so it would stay plain text."""
    if UNDRAWN.search(text):
        sys.exit(f"{path.name}: draw its Mermaid diagram in tools/diagrams.py and show the SVG")


def lay_out_page(path: Path, site: Layout, text: str, name: str | Path = "") -> None:
    """Writes a page and copies the files that it links to (pictures, licence, code)."""
    for found in LINK.finditer(text):
        target = (path.parent / found["target"]).resolve()
        if target.is_file() and target.suffix not in (".md", ".ipynb"):
            site.copy(target, target.relative_to(ROOT))
    refuse_undrawn(path, text)
    site.write(name or path.relative_to(ROOT), text)


def contents(source: Path) -> str:
    """The hidden tables of contents that make the sidebar."""
    parts = []
    for caption, patterns in CONTENTS:
        names: list[str] = []
        for pattern in patterns:
            found = sorted(source.glob(f"{pattern}.*")) if "*" in pattern else [source / f"{pattern}.md"]
            names += [path.relative_to(source).with_suffix("").as_posix() for path in found]
        parts.append("```{toctree}\n:hidden:\n:caption: " + caption + "\n\n" + "\n".join(names) + "\n```\n")
    return "\n".join(parts)


def cards_page() -> str:
    """The list of model cards."""
    cards = [path.stem for path in sorted((ROOT / "data" / "weights").glob("*.md"))]
    lines = "\n".join(f"data/weights/{card}" for card in cards)
    return (
        "# Model cards\n\nOne card a file of weights: data, command, licence, figures."
        f" [How they compare](RESULTS.md).\n\n```{{toctree}}\n:maxdepth: 1\n\n{lines}\n```\n"
    )


# ------------------------------------------------------------------------------------------ notebooks


def widget_stills() -> dict[str, str]:
    """Widget -> its picture in docs/widgets.md, whose caption begins with the widget's name."""
    stills = {}
    for caption, target in PICTURE.findall((ROOT / "docs" / "widgets.md").read_text(encoding="utf-8")):
        stills[caption.partition(":")[0].replace(" ", "").lower()] = target
    names = [name for name in widgets.__all__ if name[0].isupper()]
    return {name: stills[name.lower()] for name in names if name.lower() in stills}


def widget_note(source: str, stills: dict[str, str]) -> str:
    """What stands in a widget's place below the cell that makes it; "" for other cells."""
    made = [name for name in widgets.__all__ if re.search(rf"\b{name}\(", source) and name[0].isupper()]
    if not made or not source.rstrip().splitlines()[-1].strip().isidentifier():
        return ""
    name = made[-1]
    picture = f"\n\n![Still picture of {name}]({stills[name]})" if name in stills else ""
    seen = "It looks like this:" if picture else "The figures beside this cell are a static copy of it."
    about = (
        f"`{name}` is a widget: it needs a running notebook (`make lab`; [all widgets](../docs/widgets.md))."
    )
    return f"```{{note}}\n{about} {seen}{picture}\n```"


def lay_out_notebook(path: Path, site: Layout, stills: dict[str, str]) -> None:
    """Writes a notebook with its outputs, a link to the file, and a note where a widget would be."""
    book = nbformat.read(path, as_version=4)
    cells = []
    for cell in book.cells:
        refuse_undrawn(path, cell.source)
        cell.source = cell.source.removeprefix(TESTS_ONLY)
        cells.append(cell)
        note = widget_note(cell.source, stills) if cell.cell_type == "code" else ""
        if note:
            cells.append(nbformat.v4.new_markdown_cell(note, id=f"{cell.id}-note"))
    cells[0].source += f"\n\nThe file: {{download}}`{path.name} <files/{path.name}>`; to run it, `make lab`."
    book.cells = cells
    site.copy(path, f"notebooks/files/{path.name}")
    site.write(f"notebooks/{path.name}", nbformat.writes(book))


def notebooks_page() -> str:
    """The notebooks with what a run of each takes, as `tools/notebooks.py` measured it."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    about = dict(re.findall(r"^\| \[(\w+)\]\(notebooks/\w+\.ipynb\) \| (.+) \|$", readme, re.MULTILINE))
    measured = {
        device: read_json(RESULTS / f"notebooks-{device}.json")["notebooks"]
        for device in ("cpu", "gpu")
        if (RESULTS / f"notebooks-{device}.json").is_file()
    }
    devices = {"cpu": "on 2 CPU cores", "gpu": "on a GPU"}
    heads = [
        "notebook",
        *(f"time {devices[device]}" for device in measured),
        "memory",
        "file",
        "what you do there",
    ]
    rows = [heads, ["---"] * len(heads)]
    for path in notebook_paths():
        facts = {device: books.get(path.stem, {}) for device, books in measured.items()}
        times = [f"{known['seconds']:.0f} s" if known else "not measured" for known in facts.values()]
        memory = facts.get("cpu", {}).get("peak_memory_mib")
        rows.append(
            [
                f"[{path.stem}]({path.name})",
                *times,
                f"{memory / 1024:.1f} GiB" if memory else "not measured",
                f"{path.stat().st_size / 1e6:.1f} MB",
                about.get(path.stem, ""),
            ]
        )
    table = "\n".join(f"| {' | '.join(row)} |" for row in rows)
    return (
        "# Notebooks\n\nAs they are committed, outputs included. `make lab` opens them to run.\n\n"
        f"{table}\n\nMeasured by `make notebooks` in preset small; `DEOCC_PRESET=tiny` runs them smaller, as"
        " the tests do. A run writes into a temporary folder.\n"
    )


# ------------------------------------------------------------------------------------------ API reference


def chapters() -> dict[str, list[str]]:
    """Package -> its modules, in order; the modules that lie directly in deocc are the package's own."""
    found: dict[str, list[str]] = {"deocc": ["deocc"]}
    for name in (module.name for module in pkgutil.walk_packages(deocc.__path__, "deocc.")):
        if name.endswith("__main__"):
            continue
        top = ".".join(name.split(".")[:2])
        chapter = top if hasattr(importlib.import_module(top), "__path__") else "deocc"
        found.setdefault(chapter, []).append(name)
    return found


def first_sentence(thing: object) -> str:
    """Of a docstring."""
    text = " ".join((inspect.getdoc(thing) or "").split("\n\n")[0].split())
    return re.split(r"(?<=[.!?])\s", text)[0]


def described(path: Path) -> list[tuple[str, str]]:
    """Directive and name of what a module defines: public, with a docstring.

    Left to find them, autodoc would look at all that a module imports, which takes longer than the rest.
    """
    body = ast.parse(path.read_text(encoding="utf-8")).body
    found = []
    for node, after in zip(body, [*body[1:], ast.Pass()], strict=True):
        if isinstance(node, ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node):
            found.append(("autoclass" if isinstance(node, ast.ClassDef) else "autofunction", node.name))
        elif isinstance(node, ast.Assign | ast.AnnAssign) and isinstance(after, ast.Expr):
            target = node.target if isinstance(node, ast.AnnAssign) else node.targets[0]
            if isinstance(after.value, ast.Constant) and isinstance(target, ast.Name):
                found.append(("autodata", target.id))
    return [(directive, name) for directive, name in found if not name.startswith("_")]


def chapter_page(chapter: str, modules: Iterable[str]) -> str:
    """One page of the reference: each module with its public names."""
    lines = [chapter, "=" * len(chapter), ""]
    for name in modules:
        if name != chapter:
            lines += [name, "-" * len(name), ""]
        lines += [f".. automodule:: {name}", "   :no-members:", ""]
        for directive, thing in described(Path(str(importlib.import_module(name).__file__))):
            lines += [f".. {directive}:: {name}.{thing}", ""]
    return "\n".join(lines)


def public_names(chapter: str) -> list[str]:
    """Lines about the names that a package exports, each a link to where it is described."""
    module: Any = importlib.import_module(chapter)
    lines = []
    for name in sorted(getattr(module, "__all__", ()), key=str.lower):
        thing = getattr(module, name)
        home = getattr(thing, "__module__", "")
        if home.startswith("deocc") and (inspect.isclass(thing) or inspect.isfunction(thing)):
            lines.append(f"- {{py:obj}}`{name} <{home}.{name}>`: {first_sentence(thing)}")
    return lines


def api_pages(site: Layout) -> None:
    """api/index.md, and a page a package."""
    parts = [
        "# API reference\n\nWhat each package exports. All public names of all modules stand on the pages of"
        " the packages; a name that begins with an underscore may change without notice.\n"
    ]
    found = chapters()
    for chapter, modules in found.items():
        site.write(f"api/{chapter}.rst", chapter_page(chapter, modules))
        title = f"## [{chapter}]({chapter}.rst)\n\n{first_sentence(importlib.import_module(chapter))}\n"
        parts.append("\n".join([title, *public_names(chapter), ""]))
    parts.append("```{toctree}\n:hidden:\n\n" + "\n".join(found) + "\n```\n")
    site.write("api/index.md", "\n".join(parts))


# ------------------------------------------------------------------------------------------ all of it


def lay_out(source: Path) -> None:
    """Writes every page of the site into a folder; what lies there from an earlier run goes."""
    site = Layout(source)
    for path in sources():
        lay_out_page(path, site, path.read_text(encoding="utf-8"))
    stills = widget_stills()
    for path in notebook_paths():
        lay_out_notebook(path, site, stills)
    site.write("notebooks/index.md", notebooks_page())
    site.write("cards.md", cards_page())
    api_pages(site)
    for name, text in paper_trace.pages(paper_trace.trace(ROOT)).items():
        site.write(name, text)
    site.sweep()  # before the contents are listed
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    lay_out_page(ROOT / "README.md", site, f"{readme}\n{contents(source)}", "index.md")


def build(folder: Path, words: Sequence[str] = ()) -> Path:
    """Lays the site out in a folder and builds it there; returns the folder of the pages.

    Args:
        folder: gets source/, html/ and doctrees/.
        words: more words for Sphinx.
    """
    from sphinx.cmd.build import build_main

    source, html = folder / "source", folder / "html"
    lay_out(source)
    arguments = ["-b", "html", "-c", str(ROOT / "docs" / "site"), "-d", str(folder / "doctrees")]
    failed = build_main([*arguments, "-W", "--keep-going", "-q", *words, str(source), str(html)])
    if failed:
        sys.exit("the site is not whole: see the warnings above")
    return html


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--out", type=Path, default=ROOT / "build" / "site", help="where to build it")
    html = build(parser.parse_args().out)
    print(f"site: {html / 'index.html'} (python -m http.server --directory {html} serves it)")


if __name__ == "__main__":
    main()
