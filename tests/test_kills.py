"""SIGKILL at random moments, the same command again: as if nothing had happened (`tools/kill_test.py`)."""

import json
import random
import subprocess
import sys

import pytest

from deocc.io import read_json
from deocc.paths import RESULTS
from kill_test import ROOT


@pytest.mark.slow
@pytest.mark.parametrize("command", ["train", "predict", "occlude", "render"])
def test_a_killed_run_ends_as_a_straight_one(command, tmp_path):
    out, seed = tmp_path / "figures.json", random.Random(command).randrange(100)
    words = ["--kills", "1", "--seed", str(seed), "--only", command, "--out", str(out)]
    # a process of its own: what it forks must not have used autograd before
    done = subprocess.run(
        [sys.executable, str(ROOT / "tools/kill_test.py"), *words], capture_output=True, text=True
    )
    assert out.is_file(), done.stderr
    figures = json.loads(out.read_text())
    assert figures["kills"] >= 1 and not figures["bad"] and done.returncode == 0, figures["bad"]


def test_the_stored_rounds_ended_as_straight_ones():
    figures = read_json(RESULTS / "kill-test.json")
    assert not figures["bad"] and figures["kills"] == sum(row["kills"] for row in figures["rows"])
    assert set(figures["commands"]) == {"train", "predict", "occlude", "render", "people"}
    assert all(row["outcome"] == "equal" and not row["workers_alive"] for row in figures["rows"])
