"""Training: order of items, schedule, averages, exact resume, and runs of both stages end to end."""

import json
import math
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from deocc.clusters import kmeans
from deocc.errors import DeoccError
from deocc.experiments.card import command_line
from deocc.experiments.people import Joined, is_held_out, load_people
from deocc.experiments.presets import PRESETS, get_preset
from deocc.experiments.registry import SYSTEMS
from deocc.experiments.run import train_system
from deocc.experiments.tuning import FIXED, fixed_batches
from deocc.io.locks import alone
from deocc.models import load_weights, read_metadata
from deocc.occlusion import OcclusionDataset
from deocc.people import Occluder, Person, write_people
from deocc.training.checkpoints import checkpoints
from deocc.training.config import TrainConfig, from_dict
from deocc.training.loader import EndlessBatches
from deocc.training.loop import LOCK, train
from deocc.training.mask import MaskSystem
from deocc.training.optimisers import lr_factor, make_optimizer, update_ema
from deocc.training.processes import make_accelerator
from deocc.training.templates import make_templates

SIZE = 32
CHANGES = {
    "size": SIZE,
    "mask.settings.width": 4,
    "mask.settings.levels": 3,
    "mask.settings.templates": 4,
    "mask.settings.template_size": 8,
    "mask.settings.template_samples": 16,
    "mask.train.batch_size": 4,
    "mask.train.log_every": 1,
    "content.settings.width": 4,
    "content.train.batch_size": 4,
    "content.train.log_every": 1,
    "held_out": 4,
}


def make_person(number: int, split: str) -> Person:
    rng = np.random.default_rng(number)
    image = rng.integers(0, 255, (48, 40, 3), dtype=np.uint8)
    mask = np.zeros((48, 40), bool)
    mask[6:42, 12 : 26 + number % 5] = True
    parsing = np.where(mask, 5, 0).astype(np.uint8)
    parsing[6:14][mask[6:14]] = 13
    labels = parsing if number % 3 else None
    return Person(f"person_{number:03d}", image, mask, labels, split, "drawn", bool(number % 2))


def make_occluder(number: int, split: str) -> Occluder:
    rng = np.random.default_rng(1000 + number)
    mask = np.ones((20 + number, 24), bool)
    mask[:4, :4] = False
    image = rng.integers(0, 255, (*mask.shape, 3), dtype=np.uint8)
    return Occluder(f"thing_{number:03d}", image, mask, "box", split)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A people folder of 40 training people, of whom some are held out, and 4 validation people."""
    path = tmp_path_factory.mktemp("people")
    people = [make_person(i, "train" if i < 40 else "val") for i in range(44)]
    occluders = [make_occluder(i, "train" if i < 20 else "val") for i in range(22)]
    write_people(path, people, occluders)
    return path


def config(**changes) -> TrainConfig:
    base = TrainConfig(
        batch_size=2, steps=6, warmup_steps=2, workers=0, eval_every=0, checkpoint_every=2, log_every=1
    )
    return replace(base, **changes)


def make_system(data: OcclusionDataset, full: bool = False) -> MaskSystem:
    """A small stage 1; `full` with the costly losses too."""
    torch.manual_seed(0)
    settings = get_preset("tiny", CHANGES).mask.settings
    if not full:
        settings = replace(settings, perceptual=0.0, adversary=replace(settings.adversary, weight=0.0))
    return MaskSystem(settings, make_templates(data, 4, 8, samples=16))


@pytest.fixture(scope="module")
def data(folder) -> OcclusionDataset:
    people = load_people([folder])
    return OcclusionDataset(people.persons, people.occluders, SIZE)


def log_rows(out: Path) -> list[dict]:
    return [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]


# -------------------------------------------------------------------------------------- order and schedule


def take(batches: EndlessBatches, count: int) -> list[list[tuple[int, int]]]:
    iterator = iter(batches)
    return [next(iterator) for _ in range(count)]


def test_each_epoch_visits_everything_once_in_a_new_order():
    items = [item for batch in take(EndlessBatches(10, 4, seed=0), 5) for item in batch]
    first, second = items[:10], items[10:]
    assert sorted(first) == [(0, i) for i in range(10)] and sorted(second) == [(1, i) for i in range(10)]
    assert [i for _, i in first] != [i for _, i in second]


def test_a_later_start_continues_the_same_order():
    assert take(EndlessBatches(7, 3, seed=1), 6)[4:] == take(EndlessBatches(7, 3, seed=1, start=4), 2)


def test_processes_share_a_global_batch():
    whole = take(EndlessBatches(12, 4, seed=2), 3)
    parts = [take(EndlessBatches(12, 2, seed=2, rank=rank, world=2), 3) for rank in range(2)]
    for step in range(3):
        assert sorted(parts[0][step] + parts[1][step]) == sorted(whole[step])


def test_the_learning_rate_rises_then_falls():
    c = config(steps=100, warmup_steps=10, final_lr=0.1)
    factors = [lr_factor(c, step, 0.0) for step in range(100)]
    assert factors[0] == pytest.approx(0.1, rel=0.01) and max(factors) == factors[9]
    assert factors[-1] == pytest.approx(0.1, abs=0.01) and factors[55] == pytest.approx(0.49, abs=0.03)
    timed = config(steps=None, max_minutes=10.0, warmup_steps=0, final_lr=0.0)
    assert lr_factor(timed, 5, 5.0) == pytest.approx(0.5) and lr_factor(timed, 5, 10.0) == pytest.approx(0)
    assert lr_factor(replace(c, schedule="constant"), 90, 0.0) == 1


def test_the_average_follows_weights_and_statistics():
    average, current = torch.nn.BatchNorm1d(2), torch.nn.BatchNorm1d(2)
    torch.nn.init.constant_(current.weight, 3.0)
    current.running_mean += 10
    current.num_batches_tracked += 5
    update_ema(average, current, 0.9, step=1000)
    assert average.weight[0].item() == pytest.approx(1.2)
    assert average.running_mean[0].item() == pytest.approx(1)
    assert average.num_batches_tracked == 5


def test_biases_and_norms_do_not_decay():
    network = torch.nn.Sequential(torch.nn.Conv2d(1, 2, 3), torch.nn.BatchNorm2d(2))
    groups = make_optimizer(network, config(weight_decay=0.1)).param_groups
    assert sorted((len(g["params"]), g["weight_decay"]) for g in groups) == [(1, 0.1), (3, 0.0)]


# ------------------------------------------------------------------------------------------ configuration


def test_unknown_keys_are_errors():
    with pytest.raises(DeoccError, match="unknown key learning_rate.*known.*lr"):
        from_dict(TrainConfig, {"steps": 1, "learning_rate": 1})
    with pytest.raises(DeoccError, match="unknown key 'lrr'"):
        get_preset("tiny", {"mask.train.lrr": 1})
    with pytest.raises(DeoccError, match="unknown key 'masks'"):
        get_preset("tiny", {"masks.train.lr": 1})
    with pytest.raises(DeoccError, match="one by one"):
        get_preset("tiny", {"mask.train": 1})
    with pytest.raises(DeoccError, match="tiny, small, paper"):
        get_preset("huge")
    for key, value in (("mask.train.lr", "high"), ("size", 64.5), ("mask.settings.modal", 1)):
        with pytest.raises(DeoccError, match="expected a"):
            get_preset("tiny", {key: value})
    with pytest.raises(DeoccError, match="lsgan, bce, hinge"):
        get_preset("tiny", {"mask.settings.adversary.kind": "wgan"})
    levels = get_preset("tiny", {"mask.settings.features.levels": [1, 3]}).mask.settings.features.levels
    assert levels == (1, 3)
    assert get_preset("tiny", {"mask.train.lr": 5.0}).mask.train.lr == 5.0
    assert PRESETS["tiny"].mask.train.lr != 5.0


@pytest.mark.parametrize(
    "wrong",
    [
        {"steps": None}, {"optimizer": "lion"}, {"schedule": "step"}, {"batch_size": 0},
        {"checkpoint_every": 0}, {"log_every": 0}, {"workers": -1}, {"threads": 0}, {"seed": 2**63},
        {"seed": -1}, {"lr": math.nan}, {"lr": None}, {"lr": "fast"},
        {"ema_decay": 1.5}, {"batch_size": 2.5}, {"batch_size": True},
        {"keep_checkpoints": 0}, {"channels_last": 1},
    ],
)  # fmt: skip
def test_bad_configurations_are_errors(wrong):
    with pytest.raises(DeoccError, match="training configuration"):
        config(**wrong)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("size", 65), ("size", 0), ("held_out", -1), ("mask.settings.width", 0), ("mask.settings.levels", 0),
        ("mask.settings.temperature", 0.0), ("mask.settings.features.every", 0), ("mask.settings.l1", -1.0),
        ("mask.settings.adversary.weight", math.inf), ("content.settings.alpha", 2), ("mask.mix.cut", 1.5),
        ("content.settings.width", 0), ("content.train.workers", -1), ("mask.mix.severity", [0.1, -1]),
    ],
)  # fmt: skip
def test_a_bad_value_is_named_before_anything_is_made(key, value):
    with pytest.raises(DeoccError, match=rf"{key.split('.')[-1]} is .*; expected "):
        get_preset("tiny", {key: value})


@pytest.mark.parametrize("preset", PRESETS)
def test_good_values_pass(preset):
    get_preset(preset, {"mask.train.seed": 2**63 - 1, "size": 96, "mask.train.lr": 1})


def test_unknown_systems_and_a_missing_stage_1_are_errors(folder, tmp_path):
    with pytest.raises(DeoccError, match="mask/ours"):
        train_system("mask/unet", [folder], "tiny", tmp_path / "a")
    with pytest.raises(DeoccError, match="preset tiny has no bundled stage 1.*stage1="):
        train_system("content/ours", [folder], "tiny", tmp_path / "b", changes=CHANGES)
    with pytest.raises(DeoccError, match="no people folder"):
        train_system("mask/ours", [], "tiny", tmp_path / "c")


# -------------------------------------------------------------------------------------------------- people


def test_a_tenth_is_held_out_by_id():
    names = [f"person_{i}" for i in range(4000)]
    assert 0.08 < np.mean([is_held_out(name) for name in names]) < 0.12
    # another choice would move tuning people into training
    assert [i for i in range(60) if is_held_out(f"person_{i}")] == [2, 5, 19, 22, 23, 49]


def test_training_and_tuning_persons_are_disjoint_and_validation_is_absent(folder):
    people = load_people([folder])
    kept = {person.id for person in people.persons}
    tuned = {person.id for person in people.tuning_persons}
    assert kept and tuned and not kept & tuned
    assert kept | tuned == {f"person_{i:03d}" for i in range(40)}
    everybody = load_people([folder], holdout=False)
    assert len(everybody.persons) == 40 and not len(everybody.tuning_persons)
    assert {o.split for o in everybody.occluders} == {"train"}


def test_folders_join_with_repeats(folder):
    people = load_people([folder, folder], holdout=False, repeats=[1, 3])
    assert len(people.persons) == 160 and len(people.occluders) == 20
    assert Joined([[1, 2], [3]], [1, 2])[:] == [1, 2, 3, 3]


def test_tuning_cases_are_always_the_same(folder):
    first, second = (fixed_batches(load_people([folder]), SIZE, 3) for _ in range(2))
    assert all(torch.equal(first[0][name], second[0][name]) for name in first[0])
    assert FIXED.frame_scale == (2.0, 2.0) and not FIXED.mirror


def test_training_needs_people_and_occluders(tmp_path):
    write_people(tmp_path / "p", [make_person(1, "val")])
    with pytest.raises(DeoccError, match="0 people"):
        load_people([tmp_path / "p"])


# ----------------------------------------------------------------------------------------------- templates


def test_kmeans_finds_separate_clusters():
    generator = torch.Generator().manual_seed(0)
    truth = torch.tensor([[0.0, 0.0], [10.0, 0.0], [0.0, 10.0]])
    points = truth.repeat(30, 1) + 0.1 * torch.randn(90, 2, generator=generator)
    centres = torch.from_numpy(kmeans(points, 3))
    assert torch.cdist(truth, centres).min(1).values.max() < 0.2


def test_kmeans_fills_every_cluster():
    points = torch.cat([torch.zeros(20, 2), torch.tensor([[5.0, 5.0], [9.0, 0.0]])])
    centres = kmeans(points, 3)
    assert len(np.unique(centres, axis=0)) == 3
    with pytest.raises(DeoccError, match="templates"):
        kmeans(torch.zeros(2, 2), 3)


def test_templates_are_soft_masks_of_the_frame(data):
    templates = make_templates(data, 4, 8, samples=24)
    assert templates.shape == (4, 8, 8) and templates.min() >= 0 and templates.max() <= 1
    areas = templates.sum((1, 2))
    assert (areas.diff() <= 0).all() and areas[-1] > 0
    assert torch.equal(templates, make_templates(data, 4, 8, samples=24))


# ---------------------------------------------------------------------------------------------------- loop


class OneBatch:
    """The same few items for ever."""

    def __init__(self, data: OcclusionDataset) -> None:
        self.items = [data.item(0, index) for index in range(4)]

    def __len__(self) -> int:
        return 4

    def item(self, epoch: int, index: int) -> dict[str, torch.Tensor]:
        return self.items[index]


def test_one_batch_can_be_overfitted(data, tmp_path):
    few = OneBatch(data)
    run = config(batch_size=4, steps=60, lr=1e-2, ema_decay=0.9, checkpoint_every=1000)
    system = make_system(data)
    result = train(system, few, run, tmp_path, device="cpu")
    rows = log_rows(tmp_path)
    first, last = (rows[i]["losses"]["ce_amodal"] for i in (0, -1))
    assert last < 0.25 * first
    system.network = result.ema
    batch = {name: torch.stack([item[name] for item in few.items]) for name in few.items[0]}
    found = system.predict(batch)["amodal_mask"] > 0.5
    truth = batch["amodal_mask"] > 0
    assert (found & truth).sum() / (found | truth).sum() > 0.85
    assert not (found & (batch["photo_mask"] == 0)).any()


class Stopped(Exception):
    """A run that is cut off."""


def stop_at(step: int):
    def evaluate(system):
        if system.step + 1 == step:
            raise Stopped
        return {"score": float(torch.rand(1))}  # a greedy evaluation must not disturb the run's draws

    return evaluate


def test_a_resumed_run_is_bit_for_bit_the_same(data, tmp_path):
    run = config(eval_every=1)
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    result = train(make_system(data, full=True), data, run, whole, evaluate=stop_at(-1), device="cpu")
    with pytest.raises(Stopped):
        train(make_system(data, full=True), data, run, cut, evaluate=stop_at(5), device="cpu")
    assert checkpoints(cut)[-1].name == "step_00000004.pt"
    system = make_system(data, full=True)
    torch.manual_seed(99)  # another process draws other numbers; the checkpoint must know better
    resumed = train(system, data, run, cut, resume=True, evaluate=stop_at(-1), device="cpu")
    assert resumed.steps == result.steps == 6
    for one, two in zip(result.ema.state_dict().values(), resumed.ema.state_dict().values(), strict=True):
        assert torch.equal(one, two)
    states = [torch.load(out / "checkpoints/step_00000006.pt") for out in (whole, cut)]
    for part in ("network", "discriminator"):
        assert all(torch.equal(states[0][part][k], states[1][part][k]) for k in states[0][part])
    moments = [state["optimizer"]["state"][3]["exp_avg"] for state in states]
    assert torch.equal(*moments)
    losses = [[r["losses"] for r in log_rows(out) if "losses" in r] for out in (whole, cut)]
    assert losses[0] == losses[1] and len(losses[0]) == 6


def test_a_second_process_does_not_train_in_the_same_folder(data, tmp_path):
    train(make_system(data), data, config(steps=2), tmp_path, device="cpu")
    half_written = tmp_path / "checkpoints/step_00000004.tmp"
    half_written.write_text("of the other process")
    code = (
        "import sys, time; from pathlib import Path; from deocc.io.locks import alone\n"
        "with alone(Path(sys.argv[1]), ''):\n    print('held', flush=True); time.sleep(60)\n"
    )
    words = [sys.executable, "-c", code, str(tmp_path / LOCK)]
    with subprocess.Popen(words, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None and other.stdout.readline()
        log = (tmp_path / "log.jsonl").read_bytes()
        with pytest.raises(DeoccError, match="another process trains here; wait until it is done, or choose"):
            train(make_system(data), data, config(steps=4), tmp_path, resume=True, device="cpu")
        other.kill()
    assert half_written.is_file() and (tmp_path / "log.jsonl").read_bytes() == log
    assert train(make_system(data), data, config(steps=4), tmp_path, resume=True, device="cpu").steps == 4


def test_the_processes_of_one_run_share_its_lock(data, tmp_path, monkeypatch):
    monkeypatch.setenv("RANK", "1")
    with alone(tmp_path / LOCK, "process 0"):
        assert train(make_system(data), data, config(steps=1), tmp_path, device="cpu").steps == 1


def test_a_run_that_goes_on_with_other_people_says_so(data, tmp_path, caplog):
    def go_on(steps: int, resume: bool = True, **facts) -> list[dict]:
        run = config(steps=steps, checkpoint_every=1)
        facts = facts and {"data": "ann", "mix.cut": 0.5, "command": str(steps), **facts}
        caplog.clear()
        return train(
            make_system(data), data, run, tmp_path, resume, device="cpu", facts=facts or None
        ).stretches

    first = {"step": 0, "data": "ann", "mix.cut": 0.5, "command": "1"}
    assert go_on(1, resume=False, data="ann") == [first]
    assert go_on(2, data="ann") == [{**first, "command": "2"}] and "other people" not in caplog.text
    second = {**first, "step": 2, "data": "bea", "command": "3"}
    assert go_on(2, data="bea") == [{**first, "command": "2"}], "nothing was trained on bea"
    assert go_on(3, data="bea") == [{**first, "command": "2"}, second]
    assert "resuming on other people, or with other settings: data ann -> bea" in caplog.text
    assert go_on(3) == [{**first, "command": "2"}, second]
    assert len(go_on(4, data="bea", **{"mix.cut": 0.7})) == 3 and "mix.cut 0.5 -> 0.7" in caplog.text


def test_a_checkpoint_that_does_not_say_what_it_was_trained_on_resumes(data, tmp_path, caplog):
    train(make_system(data), data, config(steps=2), tmp_path, device="cpu")
    newest = checkpoints(tmp_path)[-1]
    state = torch.load(newest)
    for name in ("stretches", "images_per_second"):
        del state[name]
    torch.save(state, newest)
    facts = {"data": "ann"}
    result = train(make_system(data), data, config(steps=3), tmp_path, True, device="cpu", facts=facts)
    assert result.steps == 3 and result.stretches == [{"step": 0, **facts}]
    assert "other people" not in caplog.text


def test_a_finished_run_keeps_its_checkpoint_and_its_speed(data, tmp_path):
    speed = train(make_system(data), data, config(steps=2), tmp_path, device="cpu").images_per_second
    written = checkpoints(tmp_path)[-1].stat().st_mtime_ns
    again = train(make_system(data), data, config(steps=2), tmp_path, resume=True, device="cpu")
    assert again.images_per_second == speed > 0
    assert checkpoints(tmp_path)[-1].stat().st_mtime_ns == written


@pytest.mark.parametrize(
    ("every", "steps"), [({"eval_every": 4}, [4, 6]), ({"eval_every": 0}, [6]), ({"eval_every": 3}, [3, 6])]
)
def test_every_run_ends_with_an_evaluation(data, tmp_path, every, steps):
    run, system = config(**every), make_system(data)  # steps=6, checkpoint_every=2

    def evaluate(system):
        return {"step": system.step + 1}

    out = tmp_path / "run"
    result = train(system, data, run, out, evaluate=evaluate, device="cpu")
    assert result.evaluation == {"step": 6}
    assert [r["step"] for r in log_rows(out) if "evaluation" in r] == steps
    assert torch.load(checkpoints(out)[-1])["evaluation"] == {"step": 6}
    again = train(make_system(data), data, run, out, resume=True, evaluate=evaluate, device="cpu")
    assert again.evaluation == {"step": 6}
    assert [r["step"] for r in log_rows(out) if "evaluation" in r] == steps, "a finished run has its figures"


def test_checkpoints_are_atomic_pruned_and_a_damaged_one_is_passed_over(data, tmp_path, caplog):
    train(make_system(data), data, config(), tmp_path, device="cpu")
    kept = checkpoints(tmp_path)
    assert [path.name for path in kept] == ["step_00000004.pt", "step_00000006.pt"]
    assert not list(tmp_path.rglob("*.tmp"))
    kept[1].write_bytes(kept[1].read_bytes()[:1000])
    result = train(make_system(data), data, config(), tmp_path, resume=True, device="cpu")
    assert result.steps == 6 and "not a readable checkpoint" in caplog.text
    assert [row["step"] for row in log_rows(tmp_path)] == [1, 2, 3, 4, 5, 6]


def test_two_seeds_are_refused_and_the_command_repeats_large_ones(tmp_path):
    changes = {"mask.train.seed": 5}
    with pytest.raises(DeoccError, match=r"mask.train.seed: the seed has an option of its own"):
        train_system("mask/ours", [tmp_path], "tiny", tmp_path / "a", changes=changes, seed=0)
    options = {"max_minutes": 1.5, "steps": 1_500_000, "seed": 20240101, "stage1": None, "init": None}
    words = command_line("mask/ours", ["p"], None, "tiny", None, True, options)
    assert "--minutes 1.5 --steps 1500000 --seed 20240101" in words


def test_a_run_is_not_overwritten_nor_resumed_with_another_network(data, tmp_path):
    train(make_system(data), data, config(steps=2), tmp_path, device="cpu")
    wider = MaskSystem(replace(make_system(data).settings, width=5), torch.rand(4, 8, 8))
    with pytest.raises(DeoccError, match="another network"):
        train(wider, data, config(steps=3), tmp_path, resume=True, device="cpu")
    with pytest.raises(DeoccError, match="already holds a run"):
        train(make_system(data), data, config(steps=2), tmp_path, device="cpu")


def test_a_loss_that_is_not_finite_stops_the_run(data, tmp_path):
    system = make_system(data)
    with torch.no_grad():
        next(system.network.parameters()).fill_(float("nan"))
    with pytest.raises(DeoccError, match="not finite at step 1"):
        train(system, data, config(), tmp_path, device="cpu")


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_missing_gpu_is_an_error(data, tmp_path):
    with pytest.raises(DeoccError, match="'cuda' is not available"):
        train(make_system(data), data, config(), tmp_path, device="cuda")


def test_half_precision_trains(data, tmp_path):
    run = config(mixed_precision="bf16", steps=2)
    result = train(make_system(data), data, run, tmp_path, device="cpu")
    assert result.steps == 2 and all(p.dtype == torch.float32 for p in result.ema.parameters())


@pytest.mark.parametrize(("capability", "warned"), [("AVX2", True), ("AVX512", False)])
def test_slow_half_precision_is_said(data, tmp_path, monkeypatch, caplog, capability, warned):
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: capability)
    make_accelerator("cpu", "bf16")
    assert ("many times slower" in caplog.text) == warned
    caplog.clear()
    make_accelerator("cpu", "no")
    assert not caplog.text


def test_frozen_helpers_are_copied_and_run_in_the_precision_of_training(data, tmp_path):
    system = make_system(data)
    helper = nn.Sequential(nn.Conv2d(3, 1, 3)).requires_grad_(False)
    system.guide, system.helpers = helper, ("guide",)
    seen = []
    helper[0].register_forward_hook(lambda module, given, out: seen.append(out.dtype))
    losses = system.losses

    def guided(batch):
        assert system.guide is not helper and system.guide(batch["image"]).dtype == torch.float32
        return losses(batch)

    system.losses = guided
    train(system, data, config(mixed_precision="bf16", steps=1), tmp_path / "run")
    helper(torch.zeros(1, 3, 8, 8))
    assert seen == [torch.bfloat16, torch.float32]


def test_minutes_limit_a_run(data, tmp_path):
    timed = config(steps=None, max_minutes=1e-6, checkpoint_every=100)
    result = train(make_system(data), data, timed, tmp_path, device="cpu")
    assert result.steps == 1 and checkpoints(tmp_path)


def test_a_worker_makes_the_same_batches(data, tmp_path):
    runs = [config(steps=2, workers=workers) for workers in (0, 1)]
    results = [train(make_system(data), data, run, tmp_path / str(run.workers), device="cpu") for run in runs]
    for one, two in zip(*(r.ema.state_dict().values() for r in results), strict=True):
        assert torch.equal(one, two)


# -------------------------------------------------------------------------------------------- both stages


@pytest.fixture(scope="module")
def stage1(folder, tmp_path_factory) -> Path:
    for path in folder.glob("images/person_04*.jpg"):
        path.unlink()  # validation people: whoever reads one fails
    out = tmp_path_factory.mktemp("mask")
    trained = train_system("mask/ours", [folder], "tiny", out, changes=CHANGES, steps=4, device="cpu")
    return trained.weights


def test_stage_1_trains_and_exports(stage1):
    network = load_weights(stage1)
    about = read_metadata(stage1)
    assert about["class"] == "MaskCompletionNet" and about["input_size"] == str(SIZE)
    assert network.guide.templates.max() > 0
    card = json.loads((stage1.parent / "model_card.json").read_text())
    assert card["system"] == "mask/ours" and card["training"]["steps"] == 4
    assert 0 <= card["tuning_figures"]["invisible_given_modal"] <= 1
    assert "held out" in card["data"]
    assert "--steps 4" in card["command"] and "--set mask.settings.width=4" in card["command"]
    text = (stage1.parent / "model_card.md").read_text()
    assert "deocc train mask/ours" in text and str(stage1.parent) not in text
    assert any("evaluation" in row for row in log_rows(stage1.parent))


def test_stage_2_trains_on_stage_1(folder, stage1, tmp_path):
    changes = {**CHANGES, "content.train.eval_every": 2}
    trained = train_system(
        "content/ours", [folder], "tiny", tmp_path, changes=changes, steps=4, stage1=stage1, device="cpu"
    )
    assert read_metadata(trained.weights)["class"] == "ContentRecoveryNet"
    figures = trained.card["tuning_figures"]
    assert 3 < figures["psnr_true"] < 40 and 3 < figures["psnr_predicted"] < 40
    losses = {name for row in log_rows(tmp_path) for name in row.get("losses", {})}
    assert {"l1_hole", "l1_valid", "style", "perceptual", "adversarial", "discriminator"} <= losses


def test_stage_2_refuses_a_stage_1_of_quite_another_size(folder, stage1, tmp_path):
    with pytest.raises(DeoccError, match="trained at 32 pixels, preset tiny has 96"):
        larger = {**CHANGES, "size": 96}
        train_system("content/ours", [folder], "tiny", tmp_path, changes=larger, steps=1, stage1=stage1)


def test_training_can_start_from_weights(folder, stage1, tmp_path):
    trained = train_system(
        "mask/ours", [folder], "tiny", tmp_path / "a", changes={**CHANGES, "mask.train.lr": 0.0}, steps=1,
        init=stage1, device="cpu",
    )  # fmt: skip
    old, new = load_weights(stage1), load_weights(trained.weights)
    assert all(torch.equal(p, q) for p, q in zip(old.parameters(), new.parameters(), strict=True))
    with pytest.raises(DeoccError, match="same preset"):
        wider = {**CHANGES, "mask.settings.width": 5}
        train_system("mask/ours", [folder], "tiny", tmp_path / "b", changes=wider, init=stage1, device="cpu")


def test_the_card_lists_all_people_that_a_run_was_trained_on(folder, tmp_path, caplog):
    words = ("mask/ours", [folder], "tiny", tmp_path)
    options = {"changes": CHANGES, "device": "cpu"}
    train_system(*words, steps=1, **options)
    found = train_system(*words, steps=2, resume=True, holdout=False, **options)
    assert "resuming on other people" in caplog.text
    card = json.loads((tmp_path / "model_card.json").read_text())
    assert card["data"].startswith("from step 0: ") and "; from step 1: 40 people" in card["data"]
    assert "--steps 1" in card["command"] and "--all-people" in card["command"]
    assert [one["step"] for one in card["stretches"]] == [0, 1]
    assert read_metadata(found.weights)["data"] == card["data"] in (tmp_path / "model_card.md").read_text()


def test_every_preset_has_every_stage():
    for preset in PRESETS.values():
        assert all(hasattr(preset, recipe.stage) for recipe in SYSTEMS.values())


@pytest.mark.skipif(sys.platform != "linux", reason="glibc's allocator")
def test_freed_memory_is_kept_where_asked():
    """Fresh pages a step of a convolution; in a process of its own, for the allocator's settings stay."""
    code = """
import resource, sys, torch
torch.set_num_threads(1)
from deocc.memory import keep_freed_memory
if sys.argv[1] == "keep":
    keep_freed_memory()
net, x = torch.nn.Conv2d(1, 32, 3), torch.zeros(8, 1, 200, 200)
for step in range(6):
    if step == 3:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    net(x).sum().backward()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""
    run = [sys.executable, "-c", code]
    clean = {k: v for k, v in os.environ.items() if not k.startswith("MALLOC_")}
    ran = [subprocess.run([*run, how], capture_output=True, check=True, env=clean) for how in ("no", "keep")]
    asked, kept = (int(process.stdout) for process in ran)
    assert kept < asked / 4


def test_an_evaluation_sees_the_average_and_steps_are_clipped(data, tmp_path):
    seen, firsts = [], []

    def evaluate(system):
        seen.append(next(system.network.parameters()).detach().clone())
        return {}

    for name, clip in (("plain", 1.0), ("clipped", 1e-9)):
        run = config(
            steps=2, eval_every=2, ema_decay=0.99, optimizer="sgd", lr=0.1, grad_clip=clip, weight_decay=0.0
        )
        result = train(make_system(data), data, run, tmp_path / name, evaluate=evaluate, device="cpu")
        raw = torch.load(checkpoints(tmp_path / name)[-1])["network"]
        assert torch.equal(seen[-1], next(result.ema.parameters()))
        firsts.append(next(iter(raw.values())))
    assert not torch.equal(seen[0], firsts[0])
    start = next(make_system(data).network.parameters())
    assert (firsts[1] - start).abs().max() < 1e-6 < (firsts[0] - start).abs().max()


def test_seeds_make_other_weights_and_other_items(folder, tmp_path, monkeypatch):
    from deocc.experiments import run as runs

    seeds, real = [], runs.OcclusionDataset
    monkeypatch.setattr(runs, "OcclusionDataset", lambda *a: seeds.append(a[3]) or real(*a))
    changes = {**CHANGES, "mask.train.lr": 0.0, "mask.train.eval_every": 0, "mask.settings.perceptual": 0.0}
    one, two = (
        load_weights(
            train_system(
                "mask/ours",
                [folder],
                "tiny",
                tmp_path / str(seed),
                changes=changes,
                steps=1,
                seed=seed,
                device="cpu",
            ).weights
        )
        for seed in (1, 2)
    )
    assert seeds == [1, 2]
    assert not torch.equal(next(one.parameters()), next(two.parameters()))


def test_tuning_figures_are_of_each_prompt_and_of_each_mask():
    from deocc.experiments.tuning import evaluate_content, evaluate_masks

    masks = torch.zeros(3, 1, 1, 8, 8)
    masks[0, ..., :4], masks[1, ..., :2], masks[2, ..., 1:3] = 1, 1, 1
    batch = dict(zip(("amodal_mask", "modal_mask", "initial_mask"), masks, strict=True))
    batch |= {"photo_mask": torch.ones(1, 1, 8, 8), "target": torch.rand(1, 3, 8, 8)}

    class Given:
        def predict(self, batch, kind=""):
            off = {"true": 0.1, "predicted": 0.2, "": 0.0}[kind]
            return {
                "modal_mask": batch["initial_mask"],
                "amodal_mask": batch["amodal_mask"],
                "recovered": batch["target"] + off,
            }

    found = evaluate_masks(Given(), [batch], torch.device("cpu"))
    assert found["modal_given_modal"] == 1 and found["modal_given_initial"] == pytest.approx(1 / 3)
    assert found["invisible_given_modal"] == 1 and found["invisible_given_initial"] == pytest.approx(1 / 3)
    told = evaluate_content(Given(), [batch], torch.device("cpu"))
    assert told["l1_true"] == pytest.approx(0.1) and told["l1_predicted"] == pytest.approx(0.2)
    assert told["psnr_true"] == pytest.approx(20, abs=1e-3)
