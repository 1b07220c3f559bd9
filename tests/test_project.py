"""The project's own files: one list of dependencies, notebooks that read well, a README that is true."""

import ast
import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import nbformat
import pytest
import yaml
from packaging.requirements import Requirement

import dependencies
import notebooks
import paper_trace

ROOT = Path(__file__).resolve().parent.parent
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
MACHINE_PATH = re.compile(r"(?<![\w.:/])/(?:home|root|tmp|work|Users|usr|opt|var|mnt|content)/[\w.-]+")
LONG_CELL = 25  # lines; longer code belongs into the package
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = [
    ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "RESULTS.md", "data/README.md")
]
PAGES += sorted((ROOT / "docs").glob("*.md"))


@pytest.fixture(scope="module")
def project() -> dict:
    return tomllib.loads((ROOT / "pyproject.toml").read_text())


def tracked_files() -> list[Path]:
    """Files that git tracks; skips where the tree is no checkout."""
    run = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True)
    if run.returncode:
        pytest.skip("not a git checkout")
    return [ROOT / name for name in run.stdout.split("\0") if name]


# ------------------------------------------------------------------------------------------ dependencies


def test_environment_and_pyproject_agree(project):
    listed = yaml.safe_load((ROOT / "environment.yml").read_text())["dependencies"]
    (pip,) = (item["pip"] for item in listed if isinstance(item, dict))
    wanted = project["project"]["dependencies"] + project["project"]["optional-dependencies"]["dev"]
    assert sorted(pip) == sorted(wanted), "run `make environment`"
    python = f"python{project['project']['requires-python']}"
    assert f"{python},<3.15" in listed, "conda takes the newest Python otherwise, which lacks wheels"


def test_environment_is_as_written_by_its_tool(project):
    written = (ROOT / "environment.yml").read_text()
    assert written == dependencies.conda_environment(project), "run `make environment`"


def test_every_dependency_has_one_lower_bound(project):
    """One that stands twice, in an extra and among the tools for tests, has the same bound in both places."""
    extras = project["project"]["optional-dependencies"].values()
    requirements = [Requirement(r) for group in (project["project"]["dependencies"], *extras) for r in group]
    assert len({requirement.name.lower() for requirement in requirements}) == len(set(map(str, requirements)))
    for requirement in requirements:
        assert {spec.operator for spec in requirement.specifier} & {">=", "=="}, requirement


def test_opencv_is_the_headless_one(project):
    names = {Requirement(r).name for r in project["project"]["dependencies"]}
    assert {name for name in names if name.startswith("opencv")} == {"opencv-python-headless"}


def imports(path: Path) -> set[str]:
    """Top-level names of the modules that a file imports anywhere, other than relatively."""
    nodes = list(ast.walk(ast.parse(path.read_text())))
    plain = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    froms = {node.module for node in nodes if isinstance(node, ast.ImportFrom) and not node.level}
    return {name.split(".")[0] for name in plain | froms if name}


def test_every_import_of_the_package_is_a_dependency(project):
    """Third-party modules imported anywhere in deocc/ are listed (lazily imported extras included)."""
    module_of = {"pillow": "PIL", "opencv-python-headless": "cv2", "scikit-image": "skimage"}
    extras = project["project"]["optional-dependencies"]
    listed = project["project"]["dependencies"] + extras["heic"] + extras["build"]
    listed += project["tool"]["deocc"]["no-deps"]
    names = {Requirement(r).name.lower() for r in listed}
    allowed = {module_of.get(name, name).replace("-", "_") for name in names} | sys.stdlib_module_names
    allowed |= {"deocc", "IPython", "matplotlib_inline"}  # the latter two come with ipywidgets
    foreign = {(m, p.name) for p in (ROOT / "deocc").rglob("*.py") for m in imports(p) if m not in allowed}
    assert not foreign


def test_readers_and_renderer_do_without_torch():
    """Worker processes would spend most of their start on its import; a photo is prepared during it."""
    modules = "deocc.people.synth, deocc.people.recipe, deocc.people.fetch, deocc.people.sources.build"
    modules += ", deocc.inference.prepared"
    code = f"import sys, {modules}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == 0


def test_a_photo_is_completed_without_numba():
    """Its import takes a quarter of a second, and only patch copying and the renderer need it."""
    code = "import sys, deocc.inference.deoccluder; sys.exit('numba' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == 0


# ------------------------------------------------------------------------------------------ notebooks


def outputs_text(notebook: nbformat.NotebookNode) -> str:
    """Everything in the outputs that is text."""
    outs = [out for cell in notebook.cells if cell.cell_type == "code" for out in cell.outputs]
    kept = [{key: value for key, value in out.items() if key != "data"} for out in outs]
    data = [item for out in outs for item in out.get("data", {}).items()]
    return json.dumps(kept + [item for item in data if not item[0].startswith("image/")])


def test_there_is_a_quickstart():
    assert (ROOT / "notebooks" / "00_quickstart.ipynb").is_file()


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
class TestNotebook:
    def test_is_small_and_valid(self, path):
        assert path.stat().st_size <= 1_000_000
        nbformat.validate(nbformat.read(path, as_version=4))

    def test_kernel_and_metadata(self, path):
        notebook = nbformat.read(path, as_version=4)
        assert notebook.metadata.kernelspec.name == "python3"
        assert "widgets" not in notebook.metadata
        assert notebooks.WIDGET not in path.read_text()

    def test_every_code_cell_was_run_in_order(self, path):
        cells = [c for c in nbformat.read(path, as_version=4).cells if c.cell_type == "code"]
        assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
        assert not any(out.output_type == "error" for cell in cells for out in cell.outputs)
        kinds = [kind for cell in cells for out in cell.outputs for kind in out.get("data", {})]
        assert sum(kind.startswith("image/") for kind in kinds) >= 3, "a notebook shows figures"

    def test_no_machine_path(self, path):
        notebook = nbformat.read(path, as_version=4)
        sources = "\n".join(cell.source for cell in notebook.cells)
        assert not MACHINE_PATH.findall(outputs_text(notebook) + sources)
        assert "real-humans" not in sources
        if path.stem != "05_paper_tables":  # it prints stored results, which name the people they are of
            assert "real-humans" not in path.read_text()

    def test_prose_and_code_are_in_balance(self, path):
        kinds = [cell.cell_type for cell in nbformat.read(path, as_version=4).cells]
        assert kinds.count("markdown") >= kinds.count("code")
        assert kinds[0] == "markdown" and kinds[-1] == "markdown", "a header first, a footer last"

    def test_cells_are_short_and_unskipped(self, path):
        for cell in nbformat.read(path, as_version=4).cells:
            if cell.cell_type == "code":
                assert len(cell.source.splitlines()) <= LONG_CELL, cell.source[:80]
                assert "nbval-skip" not in cell.metadata.get("tags", []) and "NBVAL_SKIP" not in cell.source

    def test_header_and_footer(self, path):
        cells = nbformat.read(path, as_version=4).cells
        assert notebooks.MEASURED.search(cells[0].source), "the header says what a run takes"
        text = "\n".join(cell.source for cell in cells if cell.cell_type == "markdown").lower()
        assert all(word in text for word in ("summary", "exercise", "deviations"))


def test_cleaning_drops_widget_views_only():
    v4 = nbformat.v4
    view = v4.new_output("display_data", {notebooks.WIDGET: {"model_id": "1"}, "text/plain": "VBox()"})
    text = v4.new_output("stream", text="kept")
    times = {"execution": {"shell.execute_reply": "2026-01-01"}, "tags": ["a"]}
    cell = v4.new_code_cell("1", outputs=[view, text], metadata=times)
    metadata = {"widgets": {"state": {}}, "kernelspec": {"name": "mine", "display_name": "Mine"}}
    book = v4.new_notebook(cells=[cell], metadata=metadata)
    cleaned = notebooks.clean(book)
    assert [out.output_type for out in cleaned.cells[0].outputs] == ["stream"]
    assert cleaned.cells[0].metadata == {"tags": ["a"]}
    assert "widgets" not in cleaned.metadata and cleaned.metadata.kernelspec.name == "python3"


# ------------------------------------------------------------------------------------------ README and files


def test_readme_make_targets_exist():
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    pages = "\n".join(page.read_text() for page in PAGES)
    used = set(re.findall(r"(?:`|^)make ([a-z-]+)", pages, re.MULTILINE))
    assert {"demo", "test", "lab"} <= used <= targets


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_links_of_pages_lead_somewhere(page: Path):
    text = page.read_text(encoding="utf-8")
    links = re.findall(r"\]\(([^)#:\s]+)(?:#[^)]*)?\)", text) + re.findall(r'src="([^":]+)"', text)
    assert not [link for link in links if not (page.parent / link).exists()]


def test_container_files_name_what_there_is():
    dockerfile = (ROOT / "Dockerfile").read_text()
    container = json.loads((ROOT / ".devcontainer" / "devcontainer.json").read_text())
    stages = re.findall(r"^FROM \S+ AS (\w+)$", dockerfile, re.MULTILINE)
    assert container["build"]["target"] in stages
    assert (ROOT / ".devcontainer" / container["build"]["dockerfile"]).resolve() == ROOT / "Dockerfile"
    assert f"useradd --create-home --uid 1000 --shell /bin/bash {container['remoteUser']}" in dockerfile
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    words = json.loads(re.findall(r"^CMD (.+)$", dockerfile, re.MULTILINE)[0])
    assert words[:2] == ["make", "lab"] and "$(LAB)" in (ROOT / "Makefile").read_text()
    assert container["onCreateCommand"].split()[:2] == ["make", "setup"] and "setup" in targets


def test_numbers_of_the_limitations_are_measured():
    """Shares with decimals stand in RESULTS.md or in what tools/failures.py stored."""
    text = (ROOT / "docs" / "limitations.md").read_text()
    facts = json.loads((ROOT / "data" / "results" / "failures.json").read_text())
    worst = sorted(case["invisible"] for case in facts["cases"].values())[: facts["shown"]]
    results = (ROOT / "RESULTS.md").read_text()
    shares = re.findall(r"(?<![\d.])0\.\d+", text)
    assert [f"{share:.2f}" for share in worst] == sorted(shares[: len(worst)])
    assert not [s for s in shares if s not in results and s not in {f"{share:.2f}" for share in worst}]


def prose(path: Path) -> str:
    """The text of a page, or of a notebook's markdown cells."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".ipynb":
        cells = nbformat.reads(text, as_version=4).cells
        text = "\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
    return text


def anchors(path: Path) -> set[str]:
    """Anchors of a page's or notebook's headings, as GitHub makes them."""
    return {paper_trace.slug(title) for title in re.findall(r"^#+ (.+)$", prose(path), re.MULTILINE)}


@pytest.mark.parametrize("page", [*PAGES, *NOTEBOOKS], ids=lambda page: page.stem)
def test_anchors_of_links_exist(page: Path):
    """Links within a page and to a heading of another one; those of notebooks, files as well."""
    text = prose(page)
    for target, anchor in re.findall(r"\]\(([^)#:\s]*)(#[^)\s]*)?\)", text):
        there = page.parent / target if target else page
        assert there.exists(), target
        assert not anchor or anchor[1:] in anchors(there), f"{target}{anchor}"


@pytest.mark.parametrize("page", [*PAGES, *NOTEBOOKS], ids=lambda page: page.stem)
def test_files_that_pages_name_exist(page: Path):
    """`deocc/...py`, `tests/...py` and the like, also below deocc/, and modules by their name alone."""
    text = prose(page)
    names = re.findall(
        r"`((?:deocc|tests|tools|notebooks|data/results|\w+)/[\w/.-]+\.(?:py|json|md|ipynb))`", text
    )
    places = (ROOT, ROOT / "deocc", page.parent, ROOT / "data", ROOT / "data" / "results")
    assert not [name for name in names if not any((place / name).exists() for place in places)]
    modules = {path.name for folder in ("deocc", "tests", "tools") for path in (ROOT / folder).rglob("*.py")}
    assert not set(re.findall(r"`(\w+\.py)`", text)) - modules


def test_readme_names_every_notebook():
    for stem in [path.stem for path in NOTEBOOKS]:
        assert f"notebooks/{stem}.ipynb" in README


def test_versions_agree():
    import deocc

    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert str(citation["version"]) == deocc.__version__
    authors = [author["family-names"] for author in citation["preferred-citation"]["authors"]]
    assert authors == ["Zhou", "Wang", "Wang", "Huang", "Wang"]


def test_no_tracked_file_is_large():
    large = [path.name for path in tracked_files() if path.is_file() and path.stat().st_size > 15 * 2**20]
    assert not large


def test_no_machine_path_in_what_readers_see():
    readable = (".md", ".yml", ".toml", ".cff", ".json", ".csv")
    paths = [path for path in tracked_files() if path.suffix in readable and path.is_file()]
    assert not [path.name for path in paths if MACHINE_PATH.search(path.read_text(encoding="utf-8"))]


def test_ci_is_bash_and_runs_make_test():
    script = (ROOT / ".ci" / "run").read_text()
    assert script.startswith("#!/usr/bin/env bash") and "make" in script and "test" in script
    assert subprocess.run(["bash", "-n", ROOT / ".ci" / "run"]).returncode == 0
