"""Measures what hidden pixels outside the networks' frame cost the stored rows of stage 2.

Until December 2026, `paste_pixels` painted them black for systems that paint in the visible mask's frame.
The mean PSNR of every stored row over all cases is compared with that over cases without such pixels.

    python tools/outside_frame.py runs/tables/cases-DIGEST --json data/results/outside-frame.json
"""

import sys
from collections import defaultdict
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from tqdm import tqdm

from deocc.errors import DeoccError
from deocc.io import write_json
from deocc.masks import person_frame
from deocc.occlusion import CaseFolder
from deocc.occlusion.case import OcclusionCase
from deocc.paths import RESULTS
from deocc.tables.stored import read_results


def share_outside(case: OcclusionCase) -> float:
    """Share of the hidden pixels outside the frame of the true visible mask, in [0, 1]."""
    assert case.amodal_mask is not None and case.modal_mask is not None
    rows, columns = np.nonzero(case.amodal_mask & ~case.modal_mask)
    frame = person_frame(case.modal_mask, photo_shape=case.modal_mask.shape)
    x, y = columns + 0.5 - frame.x0, rows + 0.5 - frame.y0
    outside = (x < 0) | (x > frame.side) | (y < 0) | (y > frame.side)
    return float(outside.mean()) if len(rows) else 0.0


def main(
    cases: Annotated[Path, typer.Argument(help="Case folder of the tables.")],
    results: Path = RESULTS / "tables",
    out: Annotated[Path, typer.Option("--json")] = RESULTS / "outside-frame.json",
) -> None:
    """Prints both means of each row that has pixels from true masks."""
    folder = CaseFolder(cases)
    shares = np.array([share_outside(folder[i]) for i in tqdm(range(len(folder)))])
    values = defaultdict(list)
    for result in read_results([results]):
        given = result["results"].get("modal", {}).get("per_case", {})
        if result["cases"]["name"] == cases.name and "recovered_psnr" in given:
            values[result["row"]].append(given["recovered_psnr"])
    means = {row: np.array(found, float).mean(0) for row, found in sorted(values.items())}
    psnr = {
        row: {"all": round(float(np.nanmean(v)), 3), "without": round(float(np.nanmean(v[shares == 0])), 3)}
        for row, v in means.items()
    }
    for row, both in psnr.items():
        print(f"{row:16} {both['all']:.3f} {both['without']:.3f}")
    facts = {
        "cases": len(folder),
        "affected": int((shares > 0).sum()),
        "largest_share": round(float(shares.max()), 3),
    }
    write_json(out, {"command": f"python tools/outside_frame.py {cases}", **facts, "psnr_true_masks": psnr})


if __name__ == "__main__":
    try:
        typer.run(main)
    except DeoccError as error:
        sys.exit(f"error: {error}")
