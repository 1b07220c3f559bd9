"""Where the bundled data lives: ``data/`` beside the package, or ``$DEOCC_DATA``."""

import os
from pathlib import Path

DATA = Path(os.environ.get("DEOCC_DATA") or Path(__file__).resolve().parent.parent / "data")
PEOPLE_MINI = DATA / "people-mini"
WEIGHTS = DATA / "weights"
RESULTS = DATA / "results"
RECIPES = DATA / "recipes"
