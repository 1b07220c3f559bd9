"""Checkpoints and logs: damage is seen, nothing good is deleted, runs tell what whole ones do."""

import json
import random
import re
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from deocc.errors import DeoccError
from deocc.occlusion.batch import Batch
from deocc.training.checkpoints import JsonLines, checkpoints, load_checkpoint, save_checkpoint
from deocc.training.config import TrainConfig
from deocc.training.loop import train

CONFIG = TrainConfig(
    batch_size=2, steps=8, schedule="constant", warmup_steps=0, workers=0, eval_every=0, checkpoint_every=3,
    log_every=4, keep_checkpoints=2,
)  # fmt: skip


class Pictures:
    """Items that are numbers by (epoch, index)."""

    def __len__(self) -> int:
        return 10

    def item(self, epoch: int, index: int) -> dict[str, Tensor]:
        return {"image": torch.rand(3, 4, 4, generator=torch.Generator().manual_seed(100 * epoch + index))}


class Blur:
    """One convolution, trained towards noise that it draws."""

    discriminator = None
    step = 0

    def __init__(self, channels: int = 3) -> None:
        torch.manual_seed(0)
        self.network: nn.Module = nn.Conv2d(3, channels, 3, padding=1)

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        image = self.network(batch["image"])
        return {"squares": (image - torch.rand_like(image)).square().mean()}

    def to(self, device: torch.device) -> "Blur":
        self.network.to(device)
        return self


def run(out: Path, resume: bool = False, **changes) -> None:
    train(Blur(), Pictures(), replace(CONFIG, **changes), out, resume, device="cpu")


def rows(out: Path) -> list[dict]:
    return [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]


def flat(state) -> list:
    """All numbers and tensors of a checkpoint, in order."""
    if isinstance(state, dict):
        return [leaf for key in sorted(state, key=str) for leaf in flat(state[key])]
    return [leaf for item in state for leaf in flat(item)] if isinstance(state, list | tuple) else [state]


def same(first, second) -> bool:
    pairs = list(zip(flat(first), flat(second), strict=True))
    return all(torch.equal(a, b) if isinstance(a, Tensor) else a == b for a, b in pairs)


@pytest.fixture
def whole(tmp_path: Path) -> Path:
    run(tmp_path / "whole")
    return tmp_path / "whole"


def test_a_flipped_bit_is_seen_or_changes_nothing(whole, tmp_path):
    good, path = checkpoints(whole)[-1], tmp_path / "flipped.pt"
    state, content, draws = load_checkpoint(good), good.read_bytes(), random.Random(0)
    refused = 0
    for _ in range(100):
        place, bit = draws.randrange(len(content)), draws.randrange(8)
        path.write_bytes(content[:place] + bytes([content[place] ^ 1 << bit]) + content[place + 1 :])
        try:
            assert same(load_checkpoint(path), state), (place, bit)
        except DeoccError as error:
            assert "not a readable checkpoint" in str(error)
            refused += 1
    assert refused > 30  # the others hit padding


def test_an_entry_that_became_a_folder_is_seen(whole, tmp_path):
    content, path = checkpoints(whole)[-1].read_bytes(), tmp_path / "flipped.pt"
    entries = [found.start() + 38 for found in re.finditer(b"PK\x01\x02", content)]  # external attributes
    assert len(entries) > 10
    for place in entries:
        path.write_bytes(content[:place] + bytes([content[place] ^ 0x10]) + content[place + 1 :])
        with pytest.raises(DeoccError, match="not a readable checkpoint"):
            load_checkpoint(path)


def test_unreadable_checkpoints_above_a_fresh_start_are_put_aside(whole, caplog):
    for name in ("step_00000500.pt", "step_00001000.pt"):
        (whole / "checkpoints" / name).write_bytes(b"cut off")
    for path in checkpoints(whole)[:2]:
        path.write_bytes(b"cut off")
    run(whole, resume=True)
    assert [path.name for path in checkpoints(whole)] == ["step_00000006.pt", "step_00000008.pt"]
    assert load_checkpoint(checkpoints(whole)[-1])["step"] == 8
    aside = {path.name for path in (whole / "checkpoints").glob("*.unreadable")}
    assert "step_00001000.pt.unreadable" in aside and len(aside) == 4
    assert "starting from step 0" in caplog.text


def test_checkpoints_of_later_steps_are_not_pruned(tmp_path):
    for step in (10, 20, 3, 6, 9):
        save_checkpoint(tmp_path, {"step": step}, keep=2)
    assert [int(path.stem[5:]) for path in checkpoints(tmp_path)] == [6, 9, 10, 20]
    assert not list((tmp_path / "checkpoints").glob("*.tmp"))


@pytest.mark.parametrize("stop", [3, 5, 6])
def test_means_after_a_resume_are_those_of_a_straight_run(whole, tmp_path, stop):
    out = tmp_path / "stopped"
    run(out, steps=stop)
    run(out, resume=True)
    assert [row["losses"] for row in rows(out)] == [row["losses"] for row in rows(whole)]
    assert same(load_checkpoint(checkpoints(out)[-1])["network"],
                load_checkpoint(checkpoints(whole)[-1])["network"])  # fmt: skip


@pytest.mark.parametrize(
    "damage", ['{"step": 4, "los', '{"step": 4, "los{"step": 5}', "[]", '{"step": "4"}', "\xff"]
)
def test_a_damaged_line_of_the_log_does_not_stop_a_resume(whole, tmp_path, damage):
    log = whole / "log.jsonl"
    first, *others = log.read_text().splitlines()
    log.write_bytes("\n".join([first, damage, *others]).encode("latin-1"))
    kept = JsonLines(log, 8)
    assert [row["step"] for row in rows(whole)] == [4, 8]
    kept.write({"step": 9})
    assert rows(whole)[-1] == {"step": 9}


@pytest.mark.parametrize(
    "field, value",
    [
        ("step", "six"), ("step", -1), ("step", True), ("minutes", None),
        ("config", {"lr": torch.ones(2)}), ("evaluation", {"iou": []}), ("config", 3), ("network", []),
        ("optimizer", 1.0), ("rng", 7), ("since_log", []), ("ema", None),
    ],
)  # fmt: skip
def test_a_checkpoint_of_wrong_types_is_not_readable(whole, tmp_path, field, value):
    state = load_checkpoint(checkpoints(whole)[-1]) | {field: value}
    torch.save(state, tmp_path / "wrong.pt")
    with pytest.raises(DeoccError, match=rf"wrong.pt: not a readable checkpoint \({field} ?"):
        load_checkpoint(tmp_path / "wrong.pt")


@pytest.mark.parametrize(
    "changes",
    [
        {"network": {"weight": 1, "bias": "b"}}, {"network": {}}, {"optimizer": {"state": 3}},
        {"optimizer": {"state": {}, "param_groups": [7]}}, {"optimizer": "lr"},
        {"optimizer": "exp_avg"}, {"optimizer": "exp_avg_sq"}, {"ema": {"weight": torch.zeros(1)}},
        {"rng": {"torch": 1}}, {"rng": [{"torch": torch.zeros(3)}]}, {"rng": [None]}, {"rng": []},
        {"rng": "numpy"},
        {"since_log": {"steps": "x", "sums": {}}}, {"since_log": {"steps": 1, "sums": {"a": 1}}},
        {"since_log": {}},
    ],
)  # fmt: skip
def test_wrong_content_ends_in_one_clear_error(whole, changes):
    newest = checkpoints(whole)[-1]
    state = load_checkpoint(newest)
    if changes.get("optimizer") == "lr":
        changes = {"optimizer": state["optimizer"]}
        changes["optimizer"]["param_groups"][0]["weight_decay"] = "1"
    elif changes.get("optimizer") == "exp_avg":
        changes = {"optimizer": state["optimizer"]}
        changes["optimizer"]["state"][0]["exp_avg"] = torch.zeros(2)
    elif changes.get("optimizer") == "exp_avg_sq":
        changes = {"optimizer": state["optimizer"]}
        del changes["optimizer"]["state"][0]["exp_avg_sq"]
    elif changes.get("rng") == "numpy":
        changes = {"rng": state["rng"]}
        changes["rng"][0]["numpy"][2] = 10**40
    torch.save(state | changes, newest)
    if changes == {"rng": []}:  # nobody's states: new draws, and a warning says so
        run(whole, resume=True, steps=9)
        return
    with pytest.raises(DeoccError, match="whole"):
        run(whole, resume=True, steps=9)


def test_a_resumed_run_has_its_own_settings(tmp_path: Path) -> None:
    run(tmp_path, steps=4, weight_decay=0.0)
    run(tmp_path, resume=True, weight_decay=0.5)
    state = load_checkpoint(checkpoints(tmp_path)[-1])
    assert {group["weight_decay"] for group in state["optimizer"]["param_groups"]} >= {0.5}


def test_an_earlier_format_resumes(whole):
    """Checkpoints before these held one process's random states, of all its GPUs, and no sums."""
    newest = checkpoints(whole)[-1]
    state = load_checkpoint(newest)
    state["rng"] = state["rng"][0] | {"cuda": [torch.zeros(16, dtype=torch.uint8)] * 8}
    del state["since_log"]
    torch.save(state, newest)
    run(whole, resume=True, steps=9)
    assert load_checkpoint(checkpoints(whole)[-1])["step"] == 9


def test_a_run_goes_on_elsewhere(whole, tmp_path):
    shutil.copytree(whole, tmp_path / "ein Lauf, größer 中")
    run(tmp_path / "ein Lauf, größer 中", resume=True, steps=9)
    assert load_checkpoint(checkpoints(tmp_path / "ein Lauf, größer 中")[-1])["step"] == 9
