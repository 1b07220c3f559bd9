"""Measures table 1 and the aspect ratios of fig. 5 on people folders: data/results/people.json.

python tools/people_facts.py data/people-mini PEOPLE
"""

import sys
from pathlib import Path
from typing import Any

import numpy as np

from deocc.errors import DeoccError
from deocc.io import read_mask, write_json
from deocc.paths import RESULTS
from deocc.people import PeopleFolder
from deocc.people.statistics import aspect_ratio, preserved

EDGES = [0.0, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 3.5, 4.0, 10.0]  # height over width


def facts(folder: Path) -> dict[str, Any]:
    """Counts by source, and shares of aspect ratios, of a people folder."""
    people = PeopleFolder(folder)
    ratios = np.array([aspect_ratio(read_mask(folder / "masks" / f"{name}.png")) for name in people.ids])
    counts, _ = np.histogram(np.clip(ratios, EDGES[0], EDGES[-1]), EDGES)
    return {
        "people": len(ratios), "sources": preserved(folder),
        "aspect_median": round(float(np.median(ratios)), 3),
        "aspect_shares": [round(float(share), 4) for share in counts / len(ratios)],
    }  # fmt: skip


def main(folders: list[Path]) -> None:
    """Measures the folders and writes the file."""
    names = " ".join(folder.name for folder in folders)
    value = {
        "command": f"python tools/people_facts.py {names}", "aspect_edges": EDGES,
        "folders": {folder.name: facts(folder) for folder in folders},
    }  # fmt: skip
    print(write_json(RESULTS / "people.json", value))


if __name__ == "__main__":
    if len(sys.argv) < 2:
        raise SystemExit(__doc__)
    try:
        main([Path(word) for word in sys.argv[1:]])
    except DeoccError as error:
        raise SystemExit(f"error: {error}") from None
