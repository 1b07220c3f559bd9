"""Takes pictures of the widgets in JupyterLab for readers without a kernel.

Names: studio, routing, photo-studio (.jpg).

python tools/screenshots.py [NAME ...]
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from playwright.sync_api import Locator

import browser

FIGURES = Path(__file__).resolve().parent.parent / "figures"
QUALITY = 85
STUDIO = """
from deocc import Deoccluder
from deocc.paths import PEOPLE_MINI
from deocc.people import PeopleFolder
from deocc.widgets import OcclusionStudio
people = PeopleFolder(PEOPLE_MINI, split="val")
things = [thing for thing in people.occluders("val") if thing.category == "bush"]
studio = OcclusionStudio(Deoccluder.from_pretrained("small"), people[26:28], things, ratio=0.42)
studio
"""
ROUTING = """
import numpy as np
from deocc.occlusion import occlude
from deocc.people.routing import Candidate
from deocc.widgets import RoutingWidget
routed = people[:6]
hidden = occlude(routed[1], people.occluders("val")[5], 0.3, np.random.default_rng(0))
candidates = [Candidate.judged(p.id, p.image, p.amodal_mask) for p in routed]
candidates[1] = Candidate.judged(hidden.id, hidden.image, hidden.modal_mask)
routing = RoutingWidget(candidates, "routes.csv", side=320)
routing.decide("preserve")
routing
"""
PHOTO = """
from deocc.widgets import PhotoStudio
bush = next(thing for thing in people.occluders("val") if thing.id == "rendered_bush_000527")
case = occlude(people[38], bush, 0.3, np.random.default_rng(1))
photo = PhotoStudio(Deoccluder.from_pretrained("small"), case.image)
photo.give_mask(case.modal_mask)
photo.deocclude()
photo.shown.value = "background"
photo
"""


def shoot(output: Locator, name: str) -> None:
    """Writes one cell's output as figures/NAME.jpg."""
    output.locator("canvas[data-ready=true]").wait_for()
    output.page.wait_for_timeout(1500)  # fonts and the answer's picture
    path = FIGURES / f"{name}.jpg"
    output.screenshot(path=path, type="jpeg", quality=QUALITY)
    print(f"{path.relative_to(FIGURES.parent)}: {path.stat().st_size / 1e3:.0f} kB")


def main() -> None:
    chromium, why = browser.find_chromium()
    if not chromium:
        sys.exit(why)
    with tempfile.TemporaryDirectory() as folder, browser.Lab(Path(folder), chromium, 1300, 1400) as lab:
        browser.write_notebook(lab.folder / "widgets.ipynb", [STUDIO, ROUTING, PHOTO])
        page = lab.open("widgets.ipynb").page
        for number, name in enumerate(("studio", "routing", "photo-studio")):
            if sys.argv[1:] and name not in sys.argv[1:]:
                continue
            cell = page.locator(".jp-CodeCell").nth(number)
            shoot(cell.locator(".jupyter-widgets.widget-vbox").first, name)


if __name__ == "__main__":
    main()
