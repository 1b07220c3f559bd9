"""What other machines lack: Unix locks, a folder to write to, the data beside the package; odd names."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from numba.core import caching

from deocc.compiled import compiled
from deocc.inference.deoccluder import Deoccluder
from deocc.inference.predictions import predict_cases
from deocc.occlusion import CaseFolder
from deocc.paths import DATA, PEOPLE_MINI

ROOT = Path(__file__).resolve().parent.parent
HARD = "Fotos (alt) größer 人 ①"  # spaces, brackets, letters beyond ASCII
HIDE = """
import sys
for name in {names!r}:
    sys.modules[name] = None
from deocc.cli.main import main
main({words!r})
"""


def deocc(*words: object, hidden: tuple[str, ...] = (), **environment: str) -> subprocess.CompletedProcess:
    """Runs a command in a process where modules are hidden and variables set."""
    code = HIDE.format(names=hidden, words=[str(word) for word in words])
    return subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
    )  # fmt: skip


def test_functions_compile_without_a_folder_to_cache_in(monkeypatch):
    monkeypatch.setattr(caching.FunctionCache._impl_class, "_locator_classes", [])

    def double(x: int) -> int:
        return 2 * x

    assert compiled(fastmath=True)(double)(21) == 42


@pytest.mark.slow
def test_predictions_without_locks_of_unix(tiny_weights, tmp_path):
    """As on Windows, where there is no fcntl."""
    name = CaseFolder(DATA / "demo-cases").ids[0]
    shutil.copytree(DATA / "demo-cases" / name, tmp_path / "cases" / name)
    words = ("predict", tmp_path / "cases", "--out", tmp_path / "out", "--weights", tiny_weights)
    ran = deocc(*words, "--device", "cpu", hidden=("fcntl",))
    assert ran.returncode == 0, ran.stderr
    assert (tmp_path / "out" / name / "recovered.png").is_file()


@pytest.mark.slow
@pytest.mark.parametrize("words", [("demo", "--out", "x"), ("occlude", "people", "--out", "x"),
                                   ("predict", "cases", "--out", "x")])  # fmt: skip
def test_a_package_without_its_data_says_where_they_are(words, tmp_path):
    (tmp_path / "people" / "images").mkdir(parents=True)
    shutil.copytree(DATA / "demo-cases", tmp_path / "cases")
    for kind in ("images", "masks", "parsing"):
        shutil.copytree(PEOPLE_MINI / kind, tmp_path / "people" / kind, dirs_exist_ok=True)
    shutil.copy(PEOPLE_MINI / "people.csv", tmp_path / "people")
    here = [tmp_path / word if word in ("x", "people", "cases") else word for word in words]
    ran = deocc(*here, DEOCC_DATA=str(tmp_path / "nowhere"))
    assert ran.returncode == 2 and "Traceback" not in ran.stderr, ran.stderr
    (line,) = [line for line in ran.stderr.splitlines() if line.startswith("deocc: error")]
    assert "set DEOCC_DATA to the folder data/ of a clone" in line
    assert not (tmp_path / "x").exists()


def test_names_with_spaces_and_beyond_ascii(tiny_weights, tmp_path):
    place = tmp_path / HARD
    shutil.copytree(tiny_weights, place / "Gewichte")
    name = CaseFolder(DATA / "demo-cases").ids[0]
    shutil.copytree(DATA / "demo-cases" / name, place / "Fälle" / HARD)
    deoccluder = Deoccluder.from_pretrained(place / "Gewichte", "cpu")
    assert predict_cases(deoccluder, place / "Fälle", place / "aus", progress=False) == [HARD]
    recovered = place / "aus" / HARD / "recovered.png"
    assert recovered.is_file() and np.fromfile(recovered, np.uint8).size > 100
