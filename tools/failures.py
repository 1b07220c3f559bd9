"""Figure of failures: the demo cases with the worst invisible masks, figures/failures.jpg.

    python tools/failures.py

All twelve demo cases (rendered people that no training has seen) are answered by the default weights from
their rough masks; the worst by invisible IoU are drawn, and the IoUs of all are stored in
data/results/failures.json.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from deocc import Deoccluder
from deocc.figures import Scores, case_panels, score_masks, strip
from deocc.io import write_image, write_json
from deocc.occlusion import CaseFolder
from deocc.paths import DATA, RESULTS

FIGURE = Path(__file__).resolve().parent.parent / "figures" / "failures.jpg"
SHOWN, SIDE = 4, 190  # rows; side of a panel in pixels
ORDER = ("image", "initial mask", "masks", "true masks", "body parts", "recovered", "target")


def main() -> None:
    """Writes the figure and the scores."""
    deoccluder = Deoccluder.from_pretrained("small")
    rows: list[tuple[Scores, str, dict[str, np.ndarray]]] = []
    for case in CaseFolder(DATA / "demo-cases"):
        answer = deoccluder.deocclude(case.image, case.initial_mask)
        panels = case_panels(case, answer, SIDE)
        rows.append((score_masks(case, answer), case.id, {title: panels[title] for title in ORDER}))
    rows.sort(key=lambda row: row[0].invisible)
    strips = []
    for scores, _, panels in rows[:SHOWN]:
        title = f"masks, invisible IoU {scores.invisible:.2f}"
        strips.append(strip({title if name == "masks" else name: p for name, p in panels.items()}))
    write_image(FIGURE, np.concatenate(strips), 85)
    facts = {
        case: {key: round(value, 3) for key, value in scores._asdict().items()} for scores, case, _ in rows
    }
    write_json(
        RESULTS / "failures.json", {"weights": "small", "severity": 1.0, "shown": SHOWN, "cases": facts}
    )
    print(f"{FIGURE.name}: {', '.join(case for _, case, _ in rows[:SHOWN])}")


if __name__ == "__main__":
    main()
