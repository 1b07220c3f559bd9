"""Runs the notebooks in place or on a GPU, and measures them.

`execute [NAME ...]` runs notebooks in preset small, strips widget state and machine-specific metadata, writes
the measured time and memory into each header, and stores them in data/results/notebooks-<device>.json.
A code cell tagged `figure:NAME` regenerates figures/NAME.jpg.
`gpu [NAME ...]` runs them on a GPU without changing them and stores the same measurements; without a GPU it
prints a message. `rehearse [NAME ...]` runs them in preset tiny with the CPU in the role of a GPU
(tools/stand_in.py) and stores nothing. It finds tensors on the wrong device, but not speed or rounding.
`student [NAME ...]` writes copies without outputs, answers, and cells that give these away into student/.
"""

from __future__ import annotations

import argparse
import base64
import os
import re
import sys
import time
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient
from nbclient.util import run_sync

from deocc.io import read_json, write_atomic, write_json
from deocc.paths import RESULTS

ROOT = Path(__file__).resolve().parent.parent
NOTEBOOKS = ROOT / "notebooks"
FIGURES = ROOT / "figures"
STUDENT = ROOT / "student"
WIDGET = "application/vnd.jupyter.widget-view+json"
MEASURED = re.compile(r"^\*\*Measured\*\*.*$", re.MULTILINE)
# VmHWM, not ru_maxrss: the latter survives exec, so it counts the process that started the kernel.
MEMORY = "next(int(line.split()[1]) for line in open('/proc/self/status') if line.startswith('VmHWM'))"
CELL_LIMIT = 1800  # seconds
TEACHERS = ("answer:", "after:")  # tags of cells that students do not get
FOLDED = re.compile(r"[;.]\s+the folded answer\s+is\s+for\s+afterwards\.", re.IGNORECASE)
STAND_IN = f"""
import sys
sys.path.insert(0, {str(ROOT / "tools")!r})
import deocc  # before torch
from stand_in import stand_in
standing_in = stand_in("cuda")
standing_in.__enter__()
"""


def find_notebooks(names: list[str]) -> list[Path]:
    """Paths of the named notebooks (stems or file names), or of all."""
    paths = sorted(NOTEBOOKS.glob("[0-9]*.ipynb"))
    if not names:
        return paths
    known = {path.stem: path for path in paths}
    missing = [name for name in names if Path(name).stem not in known]
    if missing:
        sys.exit(f"no notebook {', '.join(missing)}; there are {', '.join(known)}")
    return [known[Path(name).stem] for name in names]


async def _peak_memory(client: NotebookClient) -> int | None:
    """Peak memory of the client's kernel, in MiB; None if the system has no /proc."""
    assert client.kc is not None
    reply = await client.kc.execute("", user_expressions={"kib": MEMORY}, reply=True, timeout=60)
    answer = reply["content"]["user_expressions"]["kib"]
    return round(int(answer["data"]["text/plain"]) / 1024) if answer["status"] == "ok" else None


def run(path: Path, preset: str, before: str = "") -> tuple[nbformat.NotebookNode, dict[str, Any]]:
    """Executes a notebook; returns it with its outputs, and seconds, peak memory and number of code cells.

    Args:
        path: of the notebook.
        preset: its name.
        before: code to run first, in a separate cell.
    """
    os.environ["DEOCC_PRESET"] = preset
    notebook = nbformat.read(path, as_version=4)
    if before:
        notebook.cells.insert(0, nbformat.v4.new_code_cell(before))
    client = NotebookClient(notebook, timeout=CELL_LIMIT, kernel_name="python3", resources={})
    client.resources = {"metadata": {"path": str(path.parent)}}
    start = time.perf_counter()
    with client.setup_kernel():
        for index, cell in enumerate(notebook.cells):
            client.execute_cell(cell, index)
        seconds = time.perf_counter() - start
        memory = run_sync(_peak_memory)(client)
    cells = sum(cell.cell_type == "code" for cell in notebook.cells)
    return notebook, {"seconds": round(seconds, 1), "peak_memory_mib": memory, "code_cells": cells}


def clean(notebook: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """Drops facts of one machine or session: widget state and views, times, kernel details."""
    notebook.metadata = nbformat.from_dict(
        {
            "kernelspec": {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"},
            "language_info": {"name": "python"},
        }
    )
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
        if cell.cell_type == "code":
            cell.outputs = [out for out in cell.outputs if WIDGET not in out.get("data", {})]
    return notebook


def _line(where: str, facts: dict[str, Any] | None) -> str:
    if not facts:
        return f"{where}: not measured"
    memory = facts["peak_memory_mib"]
    return f"{where}: {facts['seconds']:.0f} s" + (f", {memory / 1024:.1f} GiB of memory" if memory else "")


def write_measurement(notebook: nbformat.NotebookNode, stem: str) -> None:
    """Writes the stored measurements of a notebook into its header's line **Measured**."""
    facts = {}
    for device in ("cpu", "gpu"):
        stored = RESULTS / f"notebooks-{device}.json"
        facts[device] = read_json(stored)["notebooks"].get(stem) if stored.is_file() else None
    lines = _line("on 2 CPU cores", facts["cpu"]), _line("on a GPU", facts["gpu"])
    text = f"**Measured** (preset small): {'; '.join(lines)}."
    header = notebook.cells[0]
    if not MEASURED.search(header.source):
        sys.exit(f"{stem}: the header cell has no line that starts with **Measured**; add one")
    header.source = MEASURED.sub(text, header.source)


def store(device: str, measured: dict[str, dict[str, Any]]) -> Path:
    """Adds measurements to data/results/notebooks-<device>.json."""
    import torch

    path = RESULTS / f"notebooks-{device}.json"
    stored = read_json(path) if path.is_file() else {"notebooks": {}}
    name = torch.cuda.get_device_name() if device == "gpu" else f"{os.cpu_count()} CPU cores"
    facts = {"device": name, "torch": torch.__version__, "preset": "small"}
    write_json(path, {**facts, "notebooks": {**stored["notebooks"], **measured}})
    return path


def write_figures(notebook: nbformat.NotebookNode) -> None:
    """Writes the picture of each cell tagged `figure:NAME` to figures/NAME.jpg."""
    for cell in notebook.cells:
        for tag in cell.metadata.get("tags", []):
            if tag.startswith("figure:"):
                (picture,) = (out.data["image/jpeg"] for out in cell.outputs if "data" in out)
                content = base64.b64decode(picture)
                write_atomic(FIGURES / f"{tag[7:]}.jpg", lambda file, content=content: file.write(content))


def execute(names: list[str]) -> None:
    """Runs notebooks in place."""
    import torch

    device = "gpu" if torch.cuda.is_available() else "cpu"
    for path in find_notebooks(names):
        notebook, facts = run(path, "small")
        store(device, {path.stem: facts})
        write_measurement(clean(notebook), path.stem)
        write_figures(notebook)
        text = nbformat.writes(notebook) + "\n"
        write_atomic(path, lambda file, text=text: file.write(text.encode()))
        size = len(text) / 1e6
        print(f"{path.stem}: {facts['seconds']} s, {facts['peak_memory_mib']} MiB, {size:.2f} MB on disk")


def gpu(names: list[str]) -> None:
    """Runs notebooks on a GPU and stores times and device."""
    import torch

    if not torch.cuda.is_available():
        print("test-gpu skipped: no CUDA device here; the notebooks run on the CPU under `make test`")
        return
    for path in find_notebooks(names):
        facts = run(path, "small")[1]
        print(f"{path.stem}: {facts['seconds']} s on {torch.cuda.get_device_name()}, stored in",
              store("gpu", {path.stem: facts}).relative_to(ROOT))  # fmt: skip


def rehearse(names: list[str]) -> None:
    """Runs notebooks with the CPU in the role of a GPU."""
    for path in find_notebooks(names):
        facts = run(path, "tiny", STAND_IN)[1]
        print(f"{path.stem}: {facts['seconds']} s with the CPU standing in for CUDA")


def student(names: list[str]) -> None:
    """Writes copies without outputs and cells tagged `answer:NAME` or `after:NAME`; never over a copy."""
    STUDENT.mkdir(exist_ok=True)
    for path in find_notebooks(names):
        copy = STUDENT / path.name
        if copy.exists():
            print(f"{copy.relative_to(ROOT)} is there already, perhaps with somebody's work: kept")
            continue
        notebook = without_answers(nbformat.read(path, as_version=4))
        text = nbformat.writes(notebook) + "\n"
        write_atomic(copy, lambda file, text=text: file.write(text.encode()))
        print(copy.relative_to(ROOT))


def without_answers(notebook: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """The notebook for students: no answers, nothing that gives them away, no outputs."""
    kept = []
    for cell in clean(notebook).cells:
        if any(tag.startswith(TEACHERS) for tag in cell.metadata.get("tags", [])):
            continue
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
        else:
            cell.source = FOLDED.sub(".", cell.source)
        kept.append(cell)
    notebook.cells = kept
    return notebook


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("action", choices=["execute", "gpu", "rehearse", "student"])
    parser.add_argument("names", nargs="*", metavar="NAME", help="notebooks; default: all")
    arguments = parser.parse_args()
    actions = {"execute": execute, "gpu": gpu, "rehearse": rehearse, "student": student}
    actions[arguments.action](arguments.names)


if __name__ == "__main__":
    main()
