"""Measuring the departures, and the study that trains both ways."""

import json
import time

import pytest
import torch

import released_study
from deocc.errors import DeoccError
from deocc.experiments.presets import TINY
from deocc.models import PatchDiscriminator
from deocc.occlusion import OcclusionDataset, collate
from deocc.paths import PEOPLE_MINI
from deocc.people import PeopleFolder
from deocc.released import RELEASED, WRITTEN, Departures, ReleasedContentNet, ReleasedMaskSystem
from deocc.released.content import released_discriminator_loss
from deocc.studies import released, released_training
from deocc.studies.released_training import RUNS, StudyConfig, content_scores, study_preset
from deocc.training import losses as L


@pytest.fixture(scope="module")
def batch() -> dict[str, torch.Tensor]:
    people = PeopleFolder(PEOPLE_MINI, "train")
    data = OcclusionDataset(people, people.occluders("train"), TINY.size, 0)
    return collate([data.item(0, index) for index in range(4)])


def test_gradient_norms_are_those_of_each_term_alone(batch):
    torch.manual_seed(0)
    system = ReleasedMaskSystem(TINY.mask.settings, WRITTEN, torch.rand(16, 16, 16))
    parts = released.stage1_parts(system)
    norms = released.gradient_norms(system, batch, parts)
    assert {"ce_amodal", "l1", "perceptual", "adversarial", "discriminator"} <= norms.keys()
    assert norms["ce_parsing_modal"]["head of P_m"] > 0 == norms["ce_parsing_modal"]["head of M_m"]
    assert [part for part, norm in norms["discriminator"].items() if norm] == ["discriminator"]
    torch.manual_seed(0)
    system.network.zero_grad()
    system.network.train()
    (3 * system.losses(batch)["l1"]).backward()
    squares = (p.grad.square().sum() for p in parts["head of M_a"].parameters() if p.grad is not None)
    assert sum(squares).sqrt().item() == pytest.approx(3 * norms["l1"]["head of M_a"], rel=1e-3)


def test_scales_shrink_by_the_window_and_normalisation_does_not_mend_it():
    torch.manual_seed(0)
    image, mask, parts = torch.rand(2, 3, 64, 64), torch.ones(2, 1, 64, 64), torch.zeros(2, 19, 64, 64)
    found = {}
    for departures in (WRITTEN, Departures.only("shrinking_convolutions")):
        torch.manual_seed(1)
        net = ReleasedContentNet(8, attention="none", levels=5, departures=departures)
        found[departures] = released.layer_scales(net, (image, mask, mask, parts, parts))
        sizes = released.window_sizes(net)
    ours, theirs = found.values()
    assert list(ours) == list(sizes) and sizes["encoder 1"] == 3 * 49
    assert ours["encoder 1"][0] == pytest.approx(147 * theirs["encoder 1"][0], rel=1e-3)
    assert all(ours[name][0] > theirs[name][0] for name in ours)


def test_a_discriminator_learns_as_written_and_not_as_released():
    torch.manual_seed(0)
    real, fake = torch.rand(4, 4, 32, 32), torch.zeros(4, 4, 32, 32)
    gaps = []
    for loss in (lambda a, b: L.discriminator_adversarial(a, b, "bce"), released_discriminator_loss):
        torch.manual_seed(1)
        course = released.train_discriminator(PatchDiscriminator(4, 8), real, fake, loss, steps=40)
        gaps.append(course[-1][0] - course[-1][1])
    assert gaps[0] > 2 and abs(gaps[1]) < 0.5 * gaps[0]


def test_the_study_has_the_papers_terms_alone():
    for name in ("tiny", "small"):
        preset = study_preset(StudyConfig(name))
        mask = preset.mask.settings
        assert (mask.trunk, mask.stride, mask.soft_iou, mask.error_extra, mask.invisible_extra) == (
            "",
            2,
            0,
            0,
            0,
        )
        assert not preset.content.settings.prior and preset.content.settings.l1_composite == 10
    with pytest.raises(DeoccError, match="images"):
        StudyConfig(images=0)


def test_every_run_can_be_built_and_the_pairs_differ_in_departures_alone():
    assert RUNS["masks-written"].departures == RUNS["content-written"].departures == WRITTEN
    assert RUNS["masks-released"].departures == RUNS["content-released"].departures == RELEASED
    assert {run.as_long_as for run in RUNS.values() if run.as_long_as} == {"masks-full"}


class Sleeper:
    """A system whose losses take a known time."""

    def __init__(self, seconds: float) -> None:
        self.seconds, self.step = seconds, 0

    def losses(self, batch: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        time.sleep(self.seconds)
        return {"loss": torch.zeros((), requires_grad=True)}

    def discriminator_losses(self, batch: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        return {}


def test_equal_time_is_measured_with_both_in_turn():
    ratio = released_training.cost_ratio(Sleeper(0.06), Sleeper(0.02), {})  # type: ignore[arg-type]
    assert 2 < ratio < 3.6


def test_a_run_of_equal_time_trains_on_more_images_of_the_cheaper_network(tmp_path, monkeypatch):
    monkeypatch.setenv("DEOCC_QUIET", "1")
    monkeypatch.setattr(released_training, "cost_ratio", lambda slow, fast, batch: 3.0)
    config = StudyConfig("tiny", images=8, limit=2)
    found = released_training.run_released_study(
        [PEOPLE_MINI], "masks-written-long", config, tmp_path, "cpu", 1
    )
    assert (found["images"], found["images_ratio"]) == (24, 3.0)
    monkeypatch.setattr(released_training, "cost_ratio", lambda slow, fast, batch: 5.0)
    again = released_training.run_released_study(
        [PEOPLE_MINI], "masks-written-long", config, tmp_path, "cpu", 1
    )
    assert again["images"] == 24  # a run that goes on keeps its length


def test_content_scores_in_closed_form(batch):
    off = (batch["target"] + 0.1).clamp(0, 2)
    scores = content_scores(off, batch)
    hidden = (batch["amodal_mask"] * (1 - batch["modal_mask"]) * batch["photo_mask"]).sum((1, 2, 3)) > 0
    assert torch.allclose(scores["l1_hole"][hidden], torch.tensor(0.1), atol=1e-5)
    assert torch.allclose(scores["psnr_hole"][hidden].double(), torch.tensor(20.0).double(), atol=1e-3)
    share = batch["amodal_mask"].mean((1, 2, 3))
    assert torch.allclose(scores["l1_pasted"], 0.1 * share, atol=1e-5)


def test_differences_are_paired_by_case():
    people = ["a", "a", "b", "c"]
    first, second = ({"about": name, "people": people, "cases": {"iou": values}} for name, values in (
        ("first", [0.5, 0.9, 0.1, 0.4]), ("second", [0.4, 0.8, 0.0, 0.3])
    ))  # fmt: skip
    found = released_training.paired_difference(first, second, "iou")
    assert found.value == pytest.approx(0.1) and found.low == pytest.approx(found.high)
    with pytest.raises(DeoccError, match="different people"):
        released_training.paired_difference(first, {**second, "people": ["a", "b", "c", "d"]}, "iou")
    with pytest.raises(DeoccError, match="second has no 'psnr'"):
        released_training.paired_difference({**first, "cases": {"psnr": []}}, second, "psnr")


def test_cost_counts_without_running():
    cost = released.stage1_cost("tiny", repeats=0)
    assert all(c["flop"] > 0 and "seconds" not in c for c in cost.values()) and len(cost) == 3


def test_the_script_stores_goes_on_and_refuses_another_configuration(tmp_path, monkeypatch):
    monkeypatch.setenv("DEOCC_QUIET", "1")
    given = {
        "runs": "masks-released,content-released", "preset": "tiny", "images": 8, "per_person": 1, "limit": 2,
        "seed": 0, "out": tmp_path / "runs", "results": tmp_path, "threads": 1, "device": "cpu",
    }  # fmt: skip
    released_study.main([PEOPLE_MINI], **given)
    stored = json.loads((tmp_path / "released-study-tiny.json").read_text())
    assert stored["config"]["images"] == 8 and list(stored["runs"]) == given["runs"].split(",")
    for run in stored["runs"].values():
        assert run["images"] == 8 and run["n"] == 2 and "argmax_masks" in run["departures"]
        assert all(score["n"] <= 2 for score in run["scores"].values())
    monkeypatch.setattr(released_study, "run_released_study", lambda *a: pytest.fail("it is stored"))
    released_study.main([PEOPLE_MINI], **given)
    with pytest.raises(DeoccError, match="move it away"):
        released_study.main([PEOPLE_MINI], **{**given, "images": 16})
    with pytest.raises(DeoccError, match="unknown"):
        released_study.main([PEOPLE_MINI], **{**given, "runs": "masks"})
