"""How PyTorch's threads wait is settled before PyTorch is loaded, and never against the user."""

import json
import os
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

from deocc.studies.busy import DEMO, WAYS, busy_processes, format_busy
from deocc.threads import OWN_CHOICE, WAIT, cpu_quota, settle_threads

ROOT = Path(__file__).resolve().parent.parent
SHOW = "import json, os; print(json.dumps({k: v for k, v in os.environ.items() if k[1:4] == 'MP_'}))"


def environment_after(code: str, **given: str) -> dict[str, str]:
    """OpenMP's variables in a fresh process after some code."""
    plain = {name: value for name, value in os.environ.items() if name[:4] not in ("OMP_", "KMP_", "GOMP")}
    ran = subprocess.run(
        [sys.executable, "-c", f"{code}\n{SHOW}"], env=plain | given, cwd=ROOT, capture_output=True, text=True
    )
    assert ran.returncode == 0, ran.stderr
    return json.loads(ran.stdout)


def test_importing_the_package_lets_threads_sleep():
    assert environment_after("import deocc").items() >= WAIT.items()
    assert environment_after("import deocc.cli").items() >= WAIT.items()


def test_what_the_user_set_stays():
    for name in ("OMP_WAIT_POLICY", "KMP_BLOCKTIME"):
        found = environment_after("import deocc", **{name: "1"})
        assert {key: value for key, value in found.items() if key != "OMP_NUM_THREADS"} == {name: "1"}
    for name in OWN_CHOICE:
        chosen = {name: "1", "OMP_NUM_THREADS": "7"}
        assert settle_threads(chosen, loaded=False)
        assert chosen == {name: "1", "OMP_NUM_THREADS": "7"}


def test_too_late_is_said_and_nothing_changed():
    environ: dict[str, str] = {}
    assert not settle_threads(environ, loaded=True) and environ == {}


@pytest.mark.parametrize(
    ("text", "cores"),
    [("max 1000", None), ("1500 1000", 2), ("1000 1000", 1), ("5 1000", 1), ("", None), ("-1 9", None)],
)  # fmt: skip
def test_quota_of_a_container(text, cores, tmp_path):
    (tmp_path / "cpu.max").write_text(text)
    assert cpu_quota((str(tmp_path / "missing"), str(tmp_path / "cpu.max"))) == cores


def test_quota_of_an_older_container(tmp_path):
    (tmp_path / "cpu.cfs_quota_us").write_text("300000\n")
    (tmp_path / "cpu.cfs_period_us").write_text("100000\n")
    assert cpu_quota((str(tmp_path / "cpu.cfs_quota_us"),)) == 3


def test_threads_follow_a_quota(monkeypatch):
    monkeypatch.setattr("deocc.threads.cpu_quota", lambda: 3)
    monkeypatch.setattr(os, "cpu_count", lambda: 64)
    environ: dict[str, str] = {}
    settle_threads(environ, loaded=False)
    assert environ == {**WAIT, "OMP_NUM_THREADS": "3"}


def test_bench_measures_each_way_as_it_is():
    """Processes inherit only what a way says; the package's own default is among the ways."""
    seen = [environment_after("import deocc", **way) for way in WAYS.values()]
    assert [found.get("OMP_WAIT_POLICY") for found in seen] == [None, "PASSIVE", "PASSIVE"]
    assert seen[2]["OMP_NUM_THREADS"] == "1"


def test_busy_processes_end_with_their_block():
    with pytest.raises(ZeroDivisionError), busy_processes(2) as burners:
        assert [burner.poll() for burner in burners] == [None, None]
        raise ZeroDivisionError
    assert [burner.poll() for burner in burners] == [-9, -9]


def test_bench_runs_a_demo_that_exists():
    assert subprocess.run([*DEMO, "--help"], cwd=ROOT, capture_output=True).returncode == 0


def test_bench_prints_every_way():
    figures = {"median": 1.25, "low": 1.0, "high": 2.0, "n": 3}
    part = {way: {"photo_s": figures, "demo_s": figures} for way in WAYS}
    text = format_busy({"cpu_cores": 2, "load_before": None, "parts": {"alone": part}})
    assert all(f"alone, {way}" in text for way in WAYS) and text.count("1.00-2.00") == len(WAYS)


def imported(source: str) -> list[str]:
    """The packages that the unindented imports of a source name, in their order."""
    lines = [line for line in source.splitlines() if line.startswith(("import ", "from "))]
    return [line.split()[1].split(".")[0] for line in lines]


@pytest.mark.parametrize("path", sorted((ROOT / "notebooks").glob("*.ipynb")), ids=lambda p: p.stem)
def test_notebooks_import_the_package_before_torch(path):
    """Otherwise `import torch` has loaded OpenMP before its variables are set."""
    source = "\n".join(c.source for c in nbformat.read(path, as_version=4).cells if c.cell_type == "code")
    modules = imported(source)
    assert not {"torch", "torchvision", "cv2", "accelerate"} & set(modules[: modules.index("deocc")])


@pytest.mark.parametrize("path", sorted((ROOT / "tools").glob("*.py")), ids=lambda p: p.stem)
def test_tools_import_the_package_before_torch(path):
    modules = [*imported(path.read_text()), "deocc"]
    assert not {"torch", "torchvision", "accelerate"} & set(modules[: modules.index("deocc")])
