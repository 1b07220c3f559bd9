"""Compares exact placement with rejection on the same problems: data/results/placement.json.

    OMP_NUM_THREADS=1 python tools/bench_placement.py [--cases 1000] [--tolerance 0.01 0.002]

A problem: a bundled person, a cut-out, a wanted ratio from density "val". Both methods walk the same sizes
(the first covers 1.15-4 times the area to hide, each further one is 1.35 times as large, five at most) until
an offset hides the wanted share to within the tolerance. Only placement is timed (CPU time, one thread).
The rejection sampler measures 64 offsets at once, all near the person, and gives up a size after 1024 draws;
it cannot know that no offset fits. `..._for_the_size_that_fits` counts only the size at which it succeeded.
"""

import argparse
import contextlib
import json
import platform
import shlex
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from tqdm.auto import tqdm

from deocc.errors import PlacementError
from deocc.io import write_json
from deocc.occlusion import DENSITIES, PasteOptions, make_cases, place_occluder
from deocc.occlusion.case import transform_occluder
from deocc.occlusion.dataset import resize_person
from deocc.occlusion.rejection import place_by_rejection
from deocc.paths import DATA, PEOPLE_MINI
from deocc.people import Occluder, PeopleFolder

OPTIONS = PasteOptions()
Place = Callable[[np.ndarray], tuple[int, int]]


METHODS = ("exact", "rejection")


@dataclass(frozen=True)
class Answer:
    """A placement: corner (y, x) and mask, both None if it failed; sizes tried; CPU time, in all and for the
    size that fitted."""

    corner: tuple[int, int] | None
    mask: np.ndarray | None
    tried: int
    seconds: float
    last_seconds: float


@dataclass
class Tally:
    """Results of one method over all problems."""

    seconds: float = 0.0
    last_seconds: float = 0.0
    found: int = 0
    within: int = 0
    sizes: int = 0

    def add(self, amodal: np.ndarray, ratio: float, tolerance: float, answer: Answer) -> None:
        self.seconds += answer.seconds
        self.last_seconds += answer.last_seconds if answer.corner is not None else 0.0
        self.sizes += answer.tried
        if answer.corner is not None:
            self.found += 1
            self.within += abs(reached(amodal, answer) - ratio) <= tolerance


def summary(tally: Tally, cases: int) -> dict[str, float]:
    """Figures of one method, for the record."""
    return {
        "cpu_ms_a_case": round(tally.seconds / cases * 1e3, 4),
        "cpu_ms_for_the_size_that_fits": round(tally.last_seconds / max(tally.found, 1) * 1e3, 4),
        "placed": round(tally.found / cases, 4),
        "within_tolerance": round(tally.within / cases, 4),
        "sizes_a_case": round(tally.sizes / cases, 3),
    }


def problems(count: int, seed: int, side: int | None) -> Iterator[tuple[np.ndarray, float, list[np.ndarray]]]:
    """Amodal mask, wanted ratio and the cut-out's masks by size, `count` times."""
    folder = PeopleFolder(PEOPLE_MINI)
    people, occluders = list(folder), list(folder.occluders())
    for index in range(count):
        rng = np.random.default_rng([seed, index])
        person = people[index % len(people)]
        if side:
            person = resize_person(person, side)
        ratio = float(DENSITIES["val"].sample(rng))
        thing = occluders[int(rng.integers(len(occluders)))]
        yield person.amodal_mask, ratio, masks_by_size(person.amodal_mask, thing, ratio, rng)


def masks_by_size(
    amodal: np.ndarray, occluder: Occluder, ratio: float, rng: np.random.Generator
) -> list[np.ndarray]:
    """The cut-out's mask at the sizes that `occlude` would try."""
    scale = np.sqrt(ratio * amodal.sum() * rng.uniform(*OPTIONS.cover) / occluder.mask.sum())
    angle = rng.uniform(-OPTIONS.rotation, OPTIONS.rotation)
    scales = [float(scale * 1.35**i) for i in range(OPTIONS.tries)]
    return [transform_occluder(occluder, s, angle)[1] >= 0.5 for s in scales]


def walk(place: Place, masks: list[np.ndarray]) -> Answer:
    """Tries the sizes in turn, until a placement succeeds."""
    spent = 0.0
    for tried, mask in enumerate(masks, 1):
        start, corner = time.process_time(), None
        with contextlib.suppress(PlacementError):
            corner = place(mask)
        last = time.process_time() - start
        spent += last
        if corner is not None:
            return Answer(corner, mask, tried, spent, last)
    return Answer(None, None, len(masks), spent, 0.0)


def reached(amodal: np.ndarray, answer: Answer) -> float:
    """The hidden share of a placement, counted on the pixels."""
    assert answer.corner is not None and answer.mask is not None
    (y, x), (h, w) = answer.corner, answer.mask.shape
    padded = np.pad(amodal, ((h, h), (w, w)))
    return float((padded[h + y : 2 * h + y, w + x : 2 * w + x] & answer.mask).sum() / amodal.sum())


def methods(
    amodal: np.ndarray, ratio: float, tolerance: float, rngs: list[np.random.Generator]
) -> tuple[Place, Place]:
    """The placements of `METHODS`."""
    return (
        lambda mask: place_occluder(amodal, mask, ratio, rngs[0], tolerance),
        lambda mask: place_by_rejection(amodal, mask, ratio, rngs[1], tolerance)[0],
    )


def compare(count: int, tolerance: float, seed: int, side: int | None) -> dict[str, Any]:
    """Runs all methods over the same problems."""
    tallies = {name: Tally() for name in METHODS}
    for index, (amodal, ratio, masks) in enumerate(tqdm(problems(count, seed, side), total=count)):
        rngs = [np.random.default_rng([seed, index, k]) for k in range(len(METHODS))]
        for tally, place in zip(tallies.values(), methods(amodal, ratio, tolerance, rngs), strict=True):
            tally.add(amodal, ratio, tolerance, walk(place, masks))
    found: dict[str, Any] = {name: summary(tally, count) for name, tally in tallies.items()}
    exact, rejection = found["exact"], found["rejection"]
    for figure in ("cpu_ms_a_case", "cpu_ms_for_the_size_that_fits"):
        found[f"faster_by_{figure[4:]}"] = round(rejection[figure] / exact[figure], 1)
    return {"tolerance": tolerance, "person_side_px": side or "as bundled", "cases": count, **found}


def whole_cases(count: int, seed: int) -> dict[str, Any]:
    """`make_cases` over the bundled people: how near each case's ratio comes to the wanted one."""
    folder = PeopleFolder(PEOPLE_MINI)
    people, per_person = list(folder), -(-count // len(folder))
    apart = []
    for number, case in enumerate(make_cases(people, list(folder.occluders()), per_person, "val", 0.0, seed)):
        rng = np.random.default_rng([seed, *divmod(number, per_person)])
        apart.append(abs(case.occlusion_ratio - float(DENSITIES["val"].sample(rng))))
        if len(apart) == count:
            break
    return {
        "cases": count,
        "within_0.01": float(np.mean(np.array(apart) <= 0.01)),
        "mean_difference": round(float(np.mean(apart)), 5),
        "largest_difference": round(float(np.max(apart)), 5),
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cases", type=int, default=1000)
    parser.add_argument("--tolerance", type=float, nargs="+", default=[0.01, 0.002])
    parser.add_argument("--side", type=int, nargs="*", default=[0])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path, default=DATA / "results" / "placement.json")
    args = parser.parse_args()
    cv2.setNumThreads(1)
    runs = [compare(args.cases, t, args.seed, side or None) for t in args.tolerance for side in args.side]
    for run in runs:
        print(json.dumps(run, indent=2))
    command = "OMP_NUM_THREADS=1 " + shlex.join(["python", *sys.argv])
    facts = {"command": command, "seed": args.seed, "machine": f"{platform.machine()}, one thread, CPU time"}
    whole = whole_cases(args.cases, args.seed)
    print(json.dumps(whole, indent=2))
    write_json(args.json, facts | {"make_cases": whole, "placement": runs})


if __name__ == "__main__":
    main()
