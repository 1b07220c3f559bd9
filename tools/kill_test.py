"""Kills runs at random moments, resumes them, and compares the results with an uninterrupted run.

    python tools/kill_test.py --kills 200 --out data/results/kill-test.json

Each round picks a command (train, predict, occlude, render, people), starts it on tiny data, sends SIGKILL to
it and its workers' parent after a drawn time or at a drawn write, starts it again (with --resume where it
asks for it) and, once it ends, compares every file with those of a straight run. A run is a fork of this
process, which has loaded PyTorch, so that a kill costs a second or two instead of ten; its workers are new
interpreters, as always. Pieces add up: `--kills 50 --seed 3 --add` adds 50 kills to those of the file.
"""

import argparse
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import psutil
from safetensors.numpy import load_file

ROOT = Path(__file__).resolve().parent.parent
TINY = [
    word for change in (
        "size=32", "mask.settings.levels=3", "mask.settings.width=4", "mask.settings.templates=4",
        "mask.settings.template_size=8", "mask.settings.template_samples=16", "mask.settings.perceptual=0.0",
        "mask.train.batch_size=2", "mask.train.log_every=3", "mask.train.checkpoint_every=2",
        "mask.train.eval_every=0", "mask.train.schedule=constant",
    ) for word in ("--set", change)
]  # fmt: skip
VOLATILE = ("minutes", "images_per_second")  # what a log says of the clock
STEPS = 24


@dataclass
class Job:
    """A command to kill: its words, and the compared content of its folder."""

    words: list[str]
    resume: tuple[str, ...] = ()
    content: Callable[[Path], dict[str, str]] = lambda out: files(out)


def files(out: Path) -> dict[str, str]:
    """Name -> digest of every file of a folder, also hidden ones."""
    paths = sorted(path for path in out.rglob("*") if path.is_file())
    return {str(path.relative_to(out)): sha256(path.read_bytes()).hexdigest() for path in paths}


def trained(out: Path) -> dict[str, str]:
    """Weights and log of a run without times; the names of all files, so that none is left over."""
    found = dict.fromkeys(files(out), "")
    arrays = load_file(out / "weights.safetensors")  # the card beside them tells the minutes
    found["weights.safetensors"] = sha256(b"".join(arrays[n].tobytes() for n in sorted(arrays))).hexdigest()
    rows = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
    plain = [{key: value for key, value in row.items() if key not in VOLATILE} for row in rows]
    return found | {"log.jsonl": json.dumps(plain)}


def built(out: Path) -> dict[str, str]:
    """A people folder; of the journal beside it only the names, for SQLite's pages tell of the order."""
    return {name: "" if name.startswith(".build/") else digest for name, digest in files(out).items()}


def jobs(work: Path) -> dict[str, Job]:
    """The commands; their common input is in `work`."""
    mini = ROOT / "data" / "people-mini"
    return {
        "train": Job(
            ["train", "mask/ours", "--people", str(mini), "--preset", "tiny", "--steps", str(STEPS),
             "--device", "cpu", "--threads", "1", *TINY], ("--resume",), trained,
        ),
        "predict": Job(["predict", str(work / "cases"), "--weights", str(work / "weights"), "--batch", "1",
                        "--device", "cpu"]),
        "occlude": Job(["occlude", str(mini), "--split", "val", "--per-person", "1"]),
        "render": Job(["render", "--count", "6", "--size", "64", "--workers", "2"]),
        "people": Job(["people", "coco", str(tiny_coco(work / "coco")), "--keep", "all", "--workers", "2"],
                      content=built),
    }  # fmt: skip


def tiny_coco(path: Path) -> Path:
    """A COCO dataset of a few bundled people, as polygons of their boxes."""
    from deocc.io import write_image
    from deocc.masks import mask_box
    from deocc.people.folder import PeopleFolder

    people = PeopleFolder(ROOT / "data" / "people-mini")
    (path / "val2017").mkdir(parents=True)
    (path / "annotations").mkdir()
    images, annotations = [], []
    for number in range(24):
        person = people[number]
        name = f"{number:012d}.png"
        write_image(path / "val2017" / name, person.image)
        height, width = person.amodal_mask.shape
        x0, y0, x1, y1 = map(int, mask_box(person.amodal_mask))
        images.append({"id": number + 1, "file_name": name, "height": height, "width": width, "license": 1})
        annotations.append({
            "id": number + 1, "image_id": number + 1, "category_id": 1, "iscrowd": 0,
            "segmentation": [[x0, y0, x1, y0, x1, y1, x0, y1]], "bbox": [x0, y0, x1 - x0, y1 - y0],
            "area": (x1 - x0) * (y1 - y0),
        })  # fmt: skip
    value = {
        "images": images, "annotations": annotations, "categories": [{"id": 1, "name": "person"}],
        "licenses": [{"id": 1, "name": "of this project", "url": ""}],
    }  # fmt: skip
    (path / "annotations" / "instances_val2017.json").write_text(json.dumps(value))
    return path


def prepare(work: Path) -> None:
    """Makes the weights and cases that the commands read."""
    import torch

    from deocc.models import ContentRecoveryNet, MaskCompletionNet, save_weights
    from deocc.occlusion import make_cases, write_case
    from deocc.people.folder import PeopleFolder

    torch.manual_seed(0)
    about = {"input_size": "64"}
    mask = MaskCompletionNet(8, templates=(8, 16, 16), levels=4)
    save_weights(work / "weights" / "mask-tiny.safetensors", mask, about)
    save_weights(work / "weights" / "content-tiny.safetensors", ContentRecoveryNet(8, levels=5), about)
    people = PeopleFolder(ROOT / "data" / "people-mini", "val")
    for case in make_cases([people[i] for i in range(16)], people.occluders("val"), per_person=1):
        write_case(work / "cases", case)


class Forked:
    """A command in a fork of this process, with its own session; its stderr goes to a file.

    Attributes:
        pid: its process id.
        returncode: its exit status after the end; minus the signal's number if a signal ended it.
    """

    def __init__(self, words: list[str], said: Path) -> None:
        self._said, self.returncode = said, None
        sys.stdout.flush()
        self.pid = os.fork()
        if not self.pid:
            status = 70
            try:
                status = _run(words, said)
            finally:
                os._exit(status)

    def poll(self, flag: int = os.WNOHANG) -> int | None:
        if self.returncode is None:
            pid, status = os.waitpid(self.pid, flag)
            self.returncode = os.waitstatus_to_exitcode(status) if pid else None
        return self.returncode

    def wait(self) -> None:
        self.poll(0)

    def error(self) -> str:
        """Waits for the end. Returns: its stderr."""
        self.wait()
        return self._said.read_text()


def _run(words: list[str], said: Path) -> int:
    """Runs the command line in the fork. Returns: its exit status."""
    from deocc.cli.main import main

    os.setsid()
    with said.open("w") as file, open(os.devnull, "w") as nothing:
        os.dup2(nothing.fileno(), 1)
        os.dup2(file.fileno(), 2)
        sys.stdout, sys.stderr = nothing, file
        try:
            main(words)
        except SystemExit as stop:
            return int(stop.code or 0)
        finally:
            sys.stderr.flush()
    return 0


def start(job: Job, out: Path, resumed: bool) -> Forked:
    words = [*job.words, "--out", str(out), *(job.resume if resumed else ())]
    return Forked(words, out.with_suffix(".said"))


def begun(out: Path, process: Forked) -> float:
    """Waits until a run writes its first file."""
    while process.poll() is None and not (out.is_dir() and any(p.is_file() for p in out.rglob("*"))):
        time.sleep(0.01)
    return time.monotonic()


def wait_for_write(out: Path, process: Forked, seconds: float) -> bool:
    """Waits until a temporary file is being written. Returns: whether one was seen."""
    end = time.monotonic() + seconds
    while time.monotonic() < end and process.poll() is None:
        for _, names, leaves in os.walk(out):
            if any(n.endswith(".tmp") or (n.startswith(".") and n.count(".") > 1) for n in (*names, *leaves)):
                return True
    return False


def kill(process: Forked) -> list[psutil.Process]:
    """Sends SIGKILL to the process only, like the kernel. Returns: its children."""
    try:
        children = psutil.Process(process.pid).children(recursive=True)
    except psutil.NoSuchProcess:
        children = []
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    return children


def survivors(children: list[psutil.Process], seconds: float = 30) -> int:
    """Ends children that still run a while after their parent was killed. Returns: them."""
    _, alive = psutil.wait_procs(children, timeout=seconds)
    for child in alive:
        child.kill()
    return len(alive)


def one(name: str, job: Job, want: dict[str, str], length: float, folder: Path, draws: random.Random) -> dict:
    """Kills a run once or more, resumes it, compares. Args: length: seconds of an uninterrupted run."""
    out, kills, inside, lived, wanted = folder / "out", 0, 0, 0, draws.choice((1, 2, 3))
    while True:
        process = start(job, out, kills > 0 and out.exists())
        begun(out, process)
        if kills < wanted:
            in_write = draws.random() < 0.5
            time.sleep(draws.uniform(0, length * (0.3 if in_write else 0.8)))
            in_write = in_write and wait_for_write(out, process, length)
            if process.poll() is None:
                lived += survivors(kill(process))
                kills, inside = kills + 1, inside + in_write
                continue
            wanted = 0  # it was done before
        error = process.error()
        break
    row = {"command": name, "kills": kills, "inside_writes": inside, "workers_alive": lived}
    if process.returncode and out.is_dir() and job.content(out) == want:
        return {**row, "outcome": "equal", "note": "killed once all was done; the command is refused then"}
    if process.returncode:
        return {**row, "outcome": "does not resume", "why": error.strip().splitlines()[-1:]}
    found = job.content(out)
    differing = sorted(key for key in {*found, *want} if found.get(key) != want.get(key))
    return {**row, "outcome": "differs" if differing else "equal", "differing": differing[:5]}


def straight(job: Job, out: Path) -> tuple[dict[str, str], float]:
    """An uninterrupted run: its content, and the seconds from its first file to its end."""
    process = start(job, out, False)
    first = begun(out, process)
    error = process.error()
    if process.returncode:
        raise SystemExit(f"{job.words[0]}: {error}")
    return job.content(out), time.monotonic() - first


def run(
    kills: int, seed: int, only: list[str], report: Callable[[dict], None], seconds: float = 1e9
) -> list[dict]:
    """Kills until there were `kills`, or the time is over. Returns: one row per round."""
    end = time.monotonic() + seconds
    draws, rows = random.Random(seed), []
    os.environ |= {"OMP_NUM_THREADS": "1", "NUMBA_NUM_THREADS": "1", "DEOCC_QUIET": "1"}
    os.environ["PYTHONPATH"] = str(ROOT)  # of the workers
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        prepare(work)
        plans = {key: job for key, job in jobs(work).items() if not only or key in only}
        known = {key: straight(job, work / f"straight-{key}") for key, job in plans.items()}
        number = 0
        while sum(row["kills"] for row in rows) < kills and time.monotonic() < end:
            key = list(plans)[(number + seed) % len(plans)]
            folder = work / f"round-{number}"
            folder.mkdir()
            row = one(key, plans[key], *known[key], folder, draws)
            left = sorted(path.name for path in folder.iterdir() if path.name not in ("out", "out.said"))
            rows.append(row | {"left_behind": left})
            report(rows[-1])
            shutil.rmtree(folder)
            number += 1
    return rows


def summary(rows: list[dict]) -> dict:
    """Counts by command."""
    table = {}
    for name in sorted({row["command"] for row in rows}):
        mine = [row for row in rows if row["command"] == name]
        table[name] = {
            "rounds": len(mine), "kills": sum(row["kills"] for row in mine),
            "inside_writes": sum(row["inside_writes"] for row in mine),
            "workers_alive": sum(row["workers_alive"] for row in mine),
            "outcomes": Counter(row["outcome"] for row in mine),
            "left_behind": sum(bool(row["left_behind"]) for row in mine),
        }  # fmt: skip
    return table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", nargs="*", default=[], help="commands")
    parser.add_argument("--out", type=Path, help="JSON of the figures; written after every round")
    parser.add_argument("--add", action="store_true", help="to those that --out has")
    parser.add_argument("--seconds", type=float, default=1e9, help="begin no round after so long")
    given = parser.parse_args()
    before = json.loads(given.out.read_text()) if given.add and given.out.is_file() else {}
    rows: list[dict] = before.get("rows", [])
    seeds = [*before.get("seeds", []), given.seed]

    def report(row: dict) -> None:
        rows.append(row)
        print(row, flush=True)
        if given.out:
            bad = [r for r in rows if r["outcome"] != "equal" or r["workers_alive"] or r["left_behind"]]
            value = {"seeds": seeds, "kills": sum(r["kills"] for r in rows), "commands": summary(rows)}
            given.out.write_text(json.dumps({**value, "bad": bad, "rows": rows}, indent=1) + "\n")

    run(given.kills, given.seed, given.only, report, given.seconds)
    sys.exit(any(row["outcome"] != "equal" for row in rows))


if __name__ == "__main__":
    main()
