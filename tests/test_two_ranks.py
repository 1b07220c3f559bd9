"""Training in two processes on a CPU (torchrun, gloo): one step, the doubled batch; kill and resume."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import psutil
import pytest
import torch
from torch import Tensor, nn

from deocc.occlusion.batch import Batch
from deocc.training.checkpoints import checkpoints, load_checkpoint
from deocc.training.config import TrainConfig
from deocc.training.loop import train

MINI = Path(__file__).resolve().parent.parent / "data" / "people-mini"
CONFIG = TrainConfig(
    batch_size=4, steps=6, schedule="constant", warmup_steps=0, workers=0, eval_every=0, checkpoint_every=3,
    log_every=2,
)  # fmt: skip
TRAIN = [
    "train", "mask/ours", "--people", str(MINI), "--preset", "tiny", "--device", "cpu", "--threads", "1",
    *(word for change in (
        "size=32", "mask.settings.levels=3", "mask.settings.width=4", "mask.settings.template_samples=16",
        "mask.settings.templates=4", "mask.train.log_every=1", "mask.train.checkpoint_every=2",
        "mask.train.eval_every=0", "mask.train.keep_checkpoints=50", "mask.train.warmup_steps=1",
    ) for word in ("--set", change)),
]  # fmt: skip


class Pictures:
    """Items that are numbers by (epoch, index)."""

    def __len__(self) -> int:
        return 24

    def item(self, epoch: int, index: int) -> dict[str, Tensor]:
        draws = torch.Generator().manual_seed(1000 * epoch + index)
        return {"image": torch.rand(3, 8, 8, generator=draws)}


class Shrinker:
    """A convolution without norms; where it is `noisy` its loss depends on draws of this process."""

    discriminator = None
    step = 0

    def __init__(self, noisy: bool) -> None:
        torch.manual_seed(0)
        self.network: nn.Module = nn.Conv2d(3, 3, 3, padding=1)
        self.noisy = noisy

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        image = batch["image"]
        goal = torch.rand_like(image) if self.noisy else image.flip(-1)
        return {"squares": (self.network(image) - goal).square().mean()}

    def to(self, device: torch.device) -> "Shrinker":
        self.network.to(device)
        return self


def run_here(folder: Path) -> None:
    """What each of the two processes does: whole runs, and one that is stopped and resumed."""
    for name, noisy in (("plain", False), ("noisy", True)):
        train(Shrinker(noisy), Pictures(), CONFIG, folder / name, device="cpu")
    half = replace(CONFIG, steps=3)
    train(Shrinker(True), Pictures(), half, folder / "stopped", device="cpu")
    torch.manual_seed(12345)
    train(Shrinker(True), Pictures(), CONFIG, folder / "stopped", resume=True, device="cpu")


def torchrun(*words: object) -> subprocess.Popen:
    """Two processes on this machine; in a session of their own, so that none of them outlives a test."""
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", *words]
    plain = {k: v for k, v in os.environ.items() if k not in ("RANK", "WORLD_SIZE", "LOCAL_RANK")}
    environment = {**plain, "OMP_NUM_THREADS": "1", "DEOCC_QUIET": "1"}
    return subprocess.Popen(
        list(map(str, command)), env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def deocc(*words: object, **variables: str) -> subprocess.CompletedProcess:
    """Runs a command in one process, with these environment variables."""
    command = [sys.executable, "-m", "deocc", *map(str, words)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "DEOCC_QUIET": "1", **variables}
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=280)


def finish(process: subprocess.Popen) -> tuple[int, str]:
    """Waits; leaves none of its processes behind."""
    children = psutil.Process(process.pid).children(recursive=True) if process.poll() is None else []
    try:
        text, _ = process.communicate(timeout=280)
    finally:
        for child in [process, *children]:
            if child.is_running() if isinstance(child, psutil.Process) else child.poll() is None:
                child.kill()
    return process.returncode, text


def weights(folder: Path) -> dict[str, Tensor]:
    return load_checkpoint(checkpoints(folder)[-1])["network"]


def losses(folder: Path) -> list[dict[str, float]]:
    rows = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    return [row["losses"] for row in rows if "losses" in row]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that `run_here` filled in two processes."""
    folder = tmp_path_factory.mktemp("ranks")
    status, text = finish(torchrun(__file__, folder))
    assert status == 0, text
    return folder


def test_two_processes_make_the_step_of_one_with_the_doubled_batch(runs, tmp_path):
    train(Shrinker(False), Pictures(), replace(CONFIG, batch_size=8), tmp_path, device="cpu")
    for name, value in weights(tmp_path).items():
        assert torch.allclose(value, weights(runs / "plain")[name], rtol=1e-5, atol=1e-6)
    for one, two in zip(losses(tmp_path), losses(runs / "plain"), strict=True):
        assert one["squares"] == pytest.approx(two["squares"], rel=1e-4)  # logs hold the mean of both


def test_each_process_resumes_with_its_own_draws(runs):
    straight = load_checkpoint(checkpoints(runs / "noisy")[-1])
    resumed = load_checkpoint(checkpoints(runs / "stopped")[-1])
    assert len(straight["rng"]) == 2 and not torch.equal(*(state["torch"] for state in straight["rng"]))
    for name, value in straight["network"].items():
        assert torch.equal(value, resumed["network"][name]), name
    for one, two in zip(straight["rng"], resumed["rng"], strict=True):
        assert torch.equal(one["torch"], two["torch"])
    assert losses(runs / "noisy") == losses(runs / "stopped")


def test_a_killed_process_ends_the_run_and_it_resumes(tmp_path):
    out = tmp_path / "run"
    words = ["-m", "deocc", *TRAIN, "--out", out, "--set", "mask.train.batch_size=4"]
    process = torchrun(*words, "--steps", 2000)
    found = _wait_for(lambda: checkpoints(out), process)
    assert found, finish(process)[1]
    victims = psutil.Process(process.pid).children(recursive=True)
    ranks = {child.environ().get("RANK"): child for child in victims}
    os.kill(ranks["1"].pid, signal.SIGKILL)
    status, _ = finish(process)
    assert status != 0
    assert not [child for child in victims if child.is_running()], "the other process lives on"

    steps = load_checkpoint(checkpoints(out)[-1])["step"] + 2
    status, text = finish(torchrun(*words, "--steps", steps, "--resume"))
    assert status == 0 and (out / "weights.safetensors").is_file(), text
    assert text.count("weights: ") == 1
    assert load_checkpoint(checkpoints(out)[-1])["step"] == steps

    single = tmp_path / "single"
    ran = deocc(*TRAIN, "--out", single, "--set", "mask.train.batch_size=8", "--steps", 2)
    assert ran.returncode == 0, ran.stderr
    for one, two in zip(losses(single), losses(out), strict=False):
        for name in one:  # batch norms count each process's items on a CPU
            assert one[name] == pytest.approx(two[name], rel=0.25), name


def _wait_for(ready, process: subprocess.Popen, seconds: float = 240):
    end = time.monotonic() + seconds
    while time.monotonic() < end and process.poll() is None:
        if found := ready():
            return found
        time.sleep(0.05)
    return None


def test_a_table_is_not_trained_by_torchrun(tmp_path):
    ran = deocc("table", 2, "--train", "--preset", "tiny", "--out", tmp_path / "out", WORLD_SIZE="2")
    assert ran.returncode == 2 and ran.stderr.count("\n") == 1, ran.stderr
    assert "start one process per GPU" in ran.stderr
    assert not (tmp_path / "out").exists()


if __name__ == "__main__":
    run_here(Path(sys.argv[1]))
