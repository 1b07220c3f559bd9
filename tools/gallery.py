"""Figure of 24 rendered people: photo, recovered, target, near what was hidden: figures/gallery-pixels.jpg.

    python tools/gallery.py

Bundled validation people, each behind a bundled occluder at an occlusion ratio of 0.35. The default weights
answer end to end from the true visible mask. Nobody is left out: these are the first 24 whose
occluder can hide that much.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from deocc import Deoccluder
from deocc.errors import PlacementError
from deocc.figures import close_up, framed
from deocc.io import write_image
from deocc.occlusion import OcclusionCase, occlude
from deocc.paths import PEOPLE_MINI
from deocc.people import PeopleFolder

FIGURE = Path(__file__).resolve().parent.parent / "figures" / "gallery-pixels.jpg"
COUNT, COLUMNS, SIDE, RATIO = 24, 4, 170, 0.35


def gallery_cases() -> list[OcclusionCase]:
    """The first people whose occluder, drawn at random, can hide them at the ratio."""
    people = PeopleFolder(PEOPLE_MINI, "val")
    occluders = people.occluders("val")
    cases: list[OcclusionCase] = []
    for number, person in enumerate(people):
        rng = np.random.default_rng(number)
        thing = occluders[int(rng.integers(len(occluders)))]
        try:
            cases.append(occlude(person, thing, RATIO, rng))
        except PlacementError:  # too thin to hide that much
            continue
        if len(cases) == COUNT:
            break
    return cases


def main() -> None:
    """Writes the figure."""
    deoccluder = Deoccluder.from_pretrained("small")
    triples = []
    for case in gallery_cases():
        answer = deoccluder.deocclude(case.image, case.modal_mask)
        view = close_up(case)
        panels = [framed(view, picture, SIDE) for picture in (case.image, answer.recovered, case.target)]
        gap = np.full((SIDE, 8, 3), 255, np.uint8)
        triples.append(np.hstack([*panels, gap]))
    while len(triples) % COLUMNS:
        triples.append(np.full_like(triples[0], 255))
    rows = [np.hstack(triples[at : at + COLUMNS]) for at in range(0, len(triples), COLUMNS)]
    line = np.full((8, rows[0].shape[1], 3), 255, np.uint8)
    write_image(FIGURE, np.vstack([part for row in rows for part in (row, line)]), 85)
    print(f"{FIGURE.name}: {COUNT} people")


if __name__ == "__main__":
    main()
