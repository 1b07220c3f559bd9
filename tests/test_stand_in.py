"""Device mistakes show without a GPU: the CPU stands in for CUDA's and Apple's (`tools/stand_in.py`)."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from deocc.cli import main as cli
from deocc.device import pick_device
from deocc.evaluation.judge import PixelJudge
from deocc.experiments.presets import get_preset
from deocc.experiments.run import train_system
from deocc.inference.deoccluder import Deoccluder
from deocc.occlusion import CaseFolder
from deocc.paths import DATA, PEOPLE_MINI
from deocc.studies.pitfalls import pooled_features
from deocc.training.checkpoints import checkpoints, load_checkpoint
from stand_in import StandIn, stand_in

KINDS = ("cuda", "mps")
SMALL = {
    "size": 32, "held_out": 2,
    **{f"{stage}.settings.width": 4 for stage in ("mask", "content")},
    **{f"{stage}.train.{name}": value for stage in ("mask", "content") for name, value in (
        ("batch_size", 2), ("log_every", 1), ("eval_every", 2), ("checkpoint_every", 1))},
    **{f"{stage}.settings.features.every": 1 for stage in ("mask", "content")},
    **{f"{stage}.settings.adversary.every": 1 for stage in ("mask", "content")},
}  # fmt: skip
MASK = {**SMALL, "mask.settings.levels": 3, "mask.settings.templates": 4, "mask.settings.template_size": 8,
        "mask.settings.template_samples": 16}  # fmt: skip
ALL_TERMS = {"mask.settings.soft_iou": 0.5, "mask.settings.error_extra": 1.0, "mask.settings.feedback": 0.5}
ALL_PIXEL_TERMS = {
    "content.settings.l1_composite": 1.0, "content.settings.style_whole": 0.1,
    "content.settings.log_mse": 0.1, "content.settings.prior": True, "content.settings.soft_parts": True,
}  # fmt: skip


@pytest.fixture(scope="module")
def case():
    return CaseFolder(DATA / "demo-cases")[0]


@pytest.mark.parametrize("kind", KINDS)
def test_the_stand_in_computes_as_the_cpu_and_refuses_what_a_gpu_refuses(kind):
    x, layer = torch.randn(2, 3, 8, 8), torch.nn.Conv2d(3, 4, 3)
    plain = layer(x)
    plain.square().sum().backward()
    gradient = layer.weight.grad.clone()
    layer.zero_grad()
    with stand_in(kind):
        layer.to(kind)
        answer = layer(x.to(kind))
        answer.square().sum().backward()
        assert isinstance(answer, StandIn) and answer.device.type == kind
        assert torch.equal(answer.cpu(), plain) and torch.equal(layer.weight.grad.cpu(), gradient)
        marked = torch.arange(6.0, device=kind)
        marked[marked > 2] = 0
        assert marked.tolist() == [0, 1, 2, 0, 0, 0]
        for mistake in (lambda: layer(x), lambda: answer + plain, lambda: torch.cat([answer, plain])):
            with pytest.raises(RuntimeError, match="at least two devices"):
                mistake()
        for mistake in (lambda: answer.detach().numpy(), lambda: np.asarray(answer.detach())):
            with pytest.raises(TypeError, match="Use Tensor.cpu"):
                mistake()
        if kind == "mps":
            with pytest.raises(TypeError, match="float64"):
                answer.double()


def test_auto_takes_cuda_and_apple_s_gpu_only_by_name():
    with stand_in("cuda"):
        assert pick_device(None).type == "cuda"
    with stand_in("mps"):
        assert pick_device(None).type == "cpu" and pick_device("mps").type == "mps"


@pytest.mark.parametrize("kind", KINDS)
def test_the_pipeline_answers_as_on_the_cpu(case, tiny_weights, kind):
    want = Deoccluder.from_pretrained(tiny_weights, "cpu").deocclude(case.image, case.modal_mask)
    with stand_in(kind):
        deoccluder = Deoccluder.from_pretrained(tiny_weights, kind)
        found = deoccluder.deocclude(case.image, case.modal_mask)
        assert deoccluder.device.type == kind
    for name in ("modal_mask", "amodal_mask", "parsing", "recovered"):
        assert np.array_equal(getattr(found, name), getattr(want, name)), name


@pytest.mark.parametrize("kind", KINDS)
def test_the_judge_s_networks_stay_where_they_are(case, kind):
    distances, seen = PixelJudge("cpu").compare([case], [[case.image]])[1][0]
    with stand_in(kind):
        found, there = PixelJudge(kind).compare([case], [[case.image]])[1][0]
        crops = np.zeros((2, 224, 224, 3), np.uint8)
        assert pooled_features(crops)[1].shape[0] == 2  # on the CPU, beside the judge's
    assert np.allclose(seen.person, there.person)
    assert all(np.allclose(distances[name], found[name]) for name in distances)


def trained(kind: str, out: Path, name: str, changes: dict, steps: int = 2, **more) -> dict:
    """Trains on the stand-in; gives back the last checkpoint."""
    options = {"changes": changes, "steps": steps, "device": kind, "threads": 1, **more}
    with stand_in(kind):
        train_system(name, [PEOPLE_MINI], "tiny", out, **options)
        return load_checkpoint(checkpoints(out)[-1])


@pytest.mark.parametrize("kind", KINDS)
def test_both_stages_train_with_every_loss_and_resume(kind, tmp_path):
    state = trained(kind, tmp_path / "mask", "mask/ours", MASK | ALL_TERMS)
    assert state["step"] == 2 and kind in state["rng"][0]
    assert {type(value) for value in state["network"].values()} == {torch.Tensor}
    weights = tmp_path / "mask" / "weights.safetensors"
    changes = SMALL | ALL_PIXEL_TERMS
    trained(kind, tmp_path / "content", "content/ours", changes, stage1=weights)
    state = trained(kind, tmp_path / "content", "content/ours", changes, 3, stage1=weights, resume=True)
    assert state["step"] == 3


def test_a_run_on_the_cpu_after_one_on_a_gpu(tmp_path):
    """Accelerate keeps the first device of a process unless it is given to forget it."""
    trained("cuda", tmp_path / "first", "mask/ours", MASK)
    found = train_system(
        "mask/ours", [PEOPLE_MINI], "tiny", tmp_path / "second", changes=MASK, steps=1, device="cpu"
    )
    assert next(found.result.ema.parameters()).device.type == "cpu"
    assert not isinstance(next(found.result.ema.parameters()), StandIn)


def test_a_system_trained_on_a_gpu_comes_back_on_the_cpu_as_a_whole(tmp_path):
    with stand_in("cuda"):
        found = train_system(
            "mask/ours", [PEOPLE_MINI], "tiny", tmp_path, changes=MASK | ALL_TERMS, steps=1, device="cuda"
        ).system
    for module in (found.network, found.discriminator, found.features):
        assert {type(p.data) for p in module.parameters()} == {torch.Tensor}


def test_a_run_of_a_gpu_resumes_on_the_cpu(tmp_path):
    trained("cuda", tmp_path, "mask/ours", MASK)
    train_system(
        "mask/ours",
        [PEOPLE_MINI],
        "tiny",
        tmp_path,
        resume=True,
        changes=MASK,
        steps=3,
        device="cpu",
        threads=1,
    )
    assert load_checkpoint(checkpoints(tmp_path)[-1])["step"] == 3


@pytest.mark.slow
def test_the_command_line_predicts_and_evaluates_on_it(tiny_weights, tmp_path):
    cases, out = DATA / "demo-cases", tmp_path / "out"
    for words in (["predict", cases, "--out", out, "--weights", tiny_weights], ["evaluate", cases, out]):
        with stand_in("cuda"), pytest.raises(SystemExit) as stop:
            cli.main([*map(str, words), "--device", "cuda"])
        assert not stop.value.code


def test_presets_are_the_ones_that_are_changed():
    for changes in (MASK | ALL_TERMS, SMALL | ALL_PIXEL_TERMS):
        assert replace(get_preset("tiny", changes)).size == 32
