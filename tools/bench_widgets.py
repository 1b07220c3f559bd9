"""Times the occlusion studio from release to new picture; writes JSON for data/results.

In the kernel: from the slider's new value to the encoded picture, N times, as wall clock and as CPU time. In
the page (if there is a Chromium): from the mouse button's release to the browser's new picture, for the
slider and for dragging, with the kernel's CPU time for the whole gesture. Wall clock depends on other work of
the machine, so the load is stored too.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from ast import literal_eval
from collections.abc import Callable
from pathlib import Path
from typing import Any

import deocc  # noqa: F401  # before torch

# isort: split
import numpy as np
import torch

import browser
from deocc import Deoccluder
from deocc.io import write_json
from deocc.paths import PEOPLE_MINI, RESULTS
from deocc.people import PeopleFolder
from deocc.widgets import OcclusionStudio

STUDIO = """
from deocc import Deoccluder
from deocc.paths import PEOPLE_MINI
from deocc.people import PeopleFolder
from deocc.widgets import OcclusionStudio
people = PeopleFolder(PEOPLE_MINI, split="val")
studio = OcclusionStudio(Deoccluder.from_pretrained("small"), people[:8], people.occluders("val")[:12])
studio
"""
CPU = "__import__('time').process_time()"
GRIP = (
    "[*studio.canvas.positions['occluder'], "
    "*(studio.canvas.sprites['occluder'][side] for side in ('width', 'height'))]"
)
WATCH = """image => {
  window.waits = [];
  window.addEventListener("pointerup", () => { window.released = performance.now(); }, true);
  const seen = () => window.waits.push(performance.now() - window.released);
  new MutationObserver(seen).observe(image, { attributes: true, attributeFilter: ["src"] });
}"""


def summary(seconds: list[float]) -> dict[str, float]:
    """Median, 95th percentile and largest, in seconds."""
    values = np.array(seconds)
    return {
        "median": round(float(np.median(values)), 3),
        "p95": round(float(np.quantile(values, 0.95)), 3),
        "max": round(float(values.max()), 3),
    }


def timed(action: Callable[[], None]) -> tuple[float, float]:
    """Wall clock and CPU seconds (of all threads) that an action takes."""
    clock, used = time.perf_counter(), time.process_time()
    action()
    return time.perf_counter() - clock, time.process_time() - used


def in_kernel(count: int) -> dict[str, Any]:
    """Slider to encoded picture, and a step of a drag, without a page."""
    people = PeopleFolder(PEOPLE_MINI, split="val")
    studio = OcclusionStudio(Deoccluder.from_pretrained("small"), people[:8], people.occluders("val")[:12])
    rng, slider, steps = np.random.default_rng(0), [], []
    for trial in range(count):
        studio.person.value = studio.person.options[trial % 8]
        before, reached = studio.image.value, studio.ratio.value
        ratio = round((reached + float(rng.uniform(0.05, 0.4))) % 0.7 + 0.05, 2)
        slider.append(timed(lambda ratio=ratio: setattr(studio.ratio, "value", ratio)))
        assert studio.image.value != before
        x, y = studio.canvas.positions["occluder"]
        steps.append(timed(lambda x=x, y=y: studio.canvas.move_sprite("occluder", x + 1, y)))
    kinds = {"slider_release": slider, "drag_step": steps}
    return {
        kind: {"n": count, "wall_s": summary([w for w, _ in times]), "cpu_s": summary([c for _, c in times])}
        for kind, times in kinds.items()
    }


def in_page(count: int, chromium: str) -> dict[str, Any]:
    """Release of the mouse button to the new picture, in JupyterLab."""
    with tempfile.TemporaryDirectory() as folder, browser.Lab(Path(folder), chromium) as lab:
        browser.write_notebook(lab.folder / "studio.ipynb", [STUDIO])
        notebook = lab.open("studio.ipynb")
        notebook.page.locator("canvas[data-ready=true]").wait_for()
        notebook.page.locator(".jp-OutputArea img").evaluate(WATCH)
        return {"slider": _gestures(notebook, count, _slide), "drag": _gestures(notebook, count, _drag)}


def _gestures(notebook: browser.Notebook, count: int, gesture: Callable[..., None]) -> dict[str, Any]:
    page = notebook.page
    page.evaluate("() => { window.waits = []; }")
    used = float(notebook.value(CPU))
    for trial in range(count):
        gesture(notebook, 1 if trial % 2 == 0 else -1)
        page.wait_for_function("count => window.waits.length >= count", arg=trial + 1)
    waits = page.evaluate("() => window.waits")
    assert len(waits) == count, "one picture a gesture"
    cpu = (float(notebook.value(CPU)) - used) / count
    return {
        "n": count, "wall_s": summary([wait / 1000 for wait in waits]), "kernel_cpu_s_mean": round(cpu, 3)
    }  # fmt: skip


def _pull(page: Any, start: tuple[float, float], end: tuple[float, float]) -> None:
    page.mouse.move(*start)
    page.mouse.down()
    page.mouse.move(*end, steps=4)
    page.mouse.up()


def _slide(notebook: browser.Notebook, sign: int) -> None:
    box = notebook.page.locator(".noUi-handle").first.bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    _pull(notebook.page, (x, y), (x + 40 * sign, y))


def _drag(notebook: browser.Notebook, sign: int) -> None:
    box = notebook.page.locator("canvas.deocc-canvas").bounding_box()
    x, y, width, height = literal_eval(notebook.value(GRIP))
    scale = box["width"] / 256
    grip = box["x"] + scale * (x + width / 2), box["y"] + scale * max(y + height / 2, 4)
    _pull(notebook.page, grip, (grip[0] + 10 * scale * sign, grip[1]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=30, help="gestures of each kind")
    parser.add_argument("--json", type=Path, default=RESULTS / "widgets-latency.json", help="file to write")
    arguments = parser.parse_args()
    chromium, why = browser.find_chromium()
    facts = {
        "command": "python " + " ".join(["tools/bench_widgets.py", *sys.argv[1:]]),
        "preset": "small", "cores": os.cpu_count(), "torch": torch.__version__,
        "torch_threads": torch.get_num_threads(),
        "load_average_before": [round(v, 1) for v in os.getloadavg()],
        "kernel": in_kernel(arguments.count),
        "page": in_page(arguments.count, chromium) if chromium else f"not measured: {why}",
        "load_average_after": [round(v, 1) for v in os.getloadavg()],
    }  # fmt: skip
    write_json(arguments.json, facts)
    print(arguments.json.read_text(), end="")


if __name__ == "__main__":
    main()
