"""Tracks memory, open files and threads of one process over hundreds of photos or studio moves.

python tools/long_life.py --count 500 --out data/results/long-life.json
"""

import argparse
import json
from collections.abc import Callable
from pathlib import Path

import deocc  # noqa: F401  # before torch

# isort: split
import numpy as np
import psutil

from deocc.inference.deoccluder import Deoccluder
from deocc.occlusion import CaseFolder
from deocc.paths import DATA, PEOPLE_MINI
from deocc.people import PeopleFolder
from deocc.widgets.studio import OcclusionStudio


def state() -> dict[str, int]:
    """The resources of this process."""
    process = psutil.Process()
    files = len(process.open_files()) + len(process.net_connections())
    return {
        "MB": round(process.memory_full_info().uss / 2**20),
        "files": files,
        "threads": process.num_threads(),
    }


def photos(weights: str) -> Callable[[int], None]:
    """Makes one `deocclude` per call, with other cases, sizes and places each time."""
    deoccluder, cases = Deoccluder.from_pretrained(weights, "cpu"), CaseFolder(DATA / "demo-cases")

    def call(number: int) -> None:
        case, draws = cases[number % len(cases)], np.random.default_rng(number)
        assert case.modal_mask is not None
        around = [(int(a), int(b)) for a, b in draws.integers(0, 120, (2, 2))]
        image = np.pad(case.image, (*around, (0, 0)), constant_values=120)
        deoccluder.deocclude(image, np.pad(case.modal_mask, around))

    return call


def moves(weights: str) -> Callable[[int], None]:
    """Makes one move in the studio per call: the slider, the person or the occluder."""
    folder = PeopleFolder(PEOPLE_MINI, "val")
    people, occluders = [folder[i] for i in range(6)], folder.occluders("val")
    studio = OcclusionStudio(
        Deoccluder.from_pretrained(weights, "cpu"), people, [occluders[i] for i in range(4)]
    )

    def call(number: int) -> None:
        if number % 10 == 0:
            studio.person.value = people[number // 10 % len(people)].id
        studio.ratio.value = 0.1 + 0.4 * (number * 0.618 % 1)

    return call


def watch(call: Callable[[int], None], count: int, warm: int, every: int) -> list[dict[str, int]]:
    """State after the warm-up calls, and after each `every` further ones."""
    points = []
    for number in range(warm + count + 1):
        if number >= warm and (number - warm) % every == 0:
            points.append({"calls": number - warm} | state())
            print(points[-1], flush=True)
        if number < warm + count:
            call(number)
    return points


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=500)
    parser.add_argument("--warm", type=int, default=40)
    parser.add_argument("--weights", default="small")
    parser.add_argument(
        "--only", choices=["deocclude", "studio"], help="one of the two; --out keeps the other"
    )
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    every = max(1, options.count // 10)
    kept = options.only and options.out and options.out.is_file()
    value = json.loads(options.out.read_text()) if kept else {}
    for name, make in (("deocclude", photos), ("studio", moves)):
        if options.only in (None, name):
            value[name] = watch(make(options.weights), options.count, options.warm, every)
    if options.out:
        options.out.write_text(json.dumps({"warm_up": options.warm, **value}, indent=1) + "\n")


if __name__ == "__main__":
    main()
