"""Scores stage 1 by the placement kind of the occluder; writes data/results/.

    python tools/placement_kinds.py PEOPLE [--count 60] [--weights small] [--json FILE]

Each validation person of a people folder is put behind one occluder of each kind, at the same ratio for all
kinds (density "val"). The prompt is the true visible mask. If a kind cannot reach a ratio, the case is left
out.
"""

import argparse
import shlex
import sys
from pathlib import Path

import numpy as np
from tqdm.auto import tqdm

from deocc import Deoccluder
from deocc.errors import PlacementError
from deocc.figures.cases import score_masks
from deocc.io import write_json
from deocc.occlusion import DENSITIES, KINDS, OcclusionCase, PasteOptions, occlude_as, unoccluded_case
from deocc.occlusion.mix import NATURAL_PASTE
from deocc.paths import RESULTS
from deocc.people import PeopleFolder

RIVAL = "anywhere"  # its cases are plain pastes, as earlier validation sets have them


def draw_case(kind: str, folder: PeopleFolder, things: list, index: int, seed: int) -> OcclusionCase | None:
    """One person behind an occluder of a kind; None if this kind cannot reach the ratio."""
    ratio = float(DENSITIES["val"].sample(np.random.default_rng([seed, index])))
    rng = np.random.default_rng([seed, index, KINDS.index(kind)])
    others = [i for i in range(len(folder)) if i != index]
    try:
        return occlude_as(
            kind, unoccluded_case(folder[index]), ratio, rng,
            lambda r: things[int(r.integers(len(things)))], lambda r: folder[int(r.choice(others))],
            PasteOptions() if kind == RIVAL else NATURAL_PASTE, tries=12,
        )  # fmt: skip
    except PlacementError:
        return None


def measure(deoccluder: Deoccluder, cases: list[OcclusionCase]) -> dict[str, float]:
    """Mean scores of the cases."""
    scores = [score_masks(c, deoccluder.deocclude(c.image, mask=c.modal_mask)) for c in cases]
    ratio, modal, amodal, invisible = np.mean(scores, axis=0)
    error = float(np.std([s.invisible for s in scores], ddof=1) / np.sqrt(len(scores)))
    return {
        "cases": len(cases),
        "occlusion_ratio": round(float(ratio), 3),
        "modal_iou": round(float(modal), 3),
        "amodal_iou": round(float(amodal), 3),
        "invisible_iou": round(float(invisible), 3),
        "invisible_iou_standard_error": round(error, 3),
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("people", type=Path)
    parser.add_argument("--count", type=int, default=60)
    parser.add_argument("--weights", default="small")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path, default=RESULTS / "placement-kinds.json")
    args = parser.parse_args()
    folder, deoccluder = PeopleFolder(args.people, "val"), Deoccluder.from_pretrained(args.weights)
    things, count = list(folder.occluders("val")), min(args.count, len(folder))
    found = {}
    for kind in tqdm(KINDS, "kinds"):
        drawn = (draw_case(kind, folder, things, index, args.seed) for index in range(count))
        found[kind] = measure(deoccluder, [case for case in drawn if case is not None])
        print(kind, found[kind], flush=True)
    command = shlex.join(["python", *sys.argv[:1], args.people.name, *sys.argv[2:]])
    facts = {"command": command, "weights": deoccluder.identity, "seed": args.seed}
    write_json(args.json, facts | {"given": "true visible mask", "kinds": found})


if __name__ == "__main__":
    main()
