"""Compares four shards with one run of occlude, predict and evaluate: same bytes, processor time.

python tools/shard_example.py --out data/results/shards.json
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
from hashlib import sha256
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def seconds(*words: object) -> float:
    """Runs a command. Returns: its processor time."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "deocc", *map(str, words), "--device", "cpu"]
    subprocess.run(command, check=True, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return round(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, 1)


def digest(path: Path) -> str:
    """Of a file, or of all files of a folder with their names."""
    files = sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]
    sha = sha256()
    for file in files:
        sha.update(str(file.relative_to(path.parent)).replace(path.name, "", 1).encode() + file.read_bytes())
    return sha.hexdigest()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--parts", type=int, default=4)
    parser.add_argument("--per-person", type=int, default=2)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    people, found = ROOT / "data" / "people-mini", {}
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        cases, pred = work / "one-occlude", work / "one-predict"
        commands = {
            "occlude": (["occlude", people, "--per-person", options.per_person], "--out"),
            "predict": (["predict", cases, "--batch", 1], "--out"),
            "evaluate": (["evaluate", cases, pred], "--json"),
        }
        for command, (words, option) in commands.items():
            one, parted = work / f"one-{command}", work / f"parts-{command}"
            whole = seconds(*words, option, one)
            shards = [f"{i}/{options.parts}" for i in range(1, options.parts + 1)]
            times = [seconds(*words, option, parted, "--shard", shard) for shard in shards]
            found[command] = {"one_run": whole, "parts": times, "same_bytes": digest(one) == digest(parted)}
            print(command, found[command], flush=True)
        count = len(list(cases.glob("*/case.json")))
    value = {"cases": count, "unit": "processor seconds, imports and networks' loading included", **found}
    options.out.write_text(json.dumps(value, indent=1) + "\n")


if __name__ == "__main__":
    main()
