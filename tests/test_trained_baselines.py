"""The trained baselines of table 2: each learns, each loss reaches its networks, and M_i passes through."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from deocc.baselines.masks.backbone import Backbone
from deocc.baselines.masks.completion import MaskBaseline, MaskNetwork, as_logits, full_size
from deocc.baselines.masks.maskrcnn import MaskRCNN, jittered, mask_boxes, paste_logits
from deocc.baselines.masks.ovsr import SilhouetteJudges
from deocc.baselines.masks.registry import MASK_BASELINES, NETWORKS
from deocc.errors import DeoccError
from deocc.experiments.registry import SYSTEMS, preset_of
from deocc.experiments.run import train_system
from deocc.models import load_weights, save_weights
from deocc.occlusion.batch import Batch
from deocc.paths import PEOPLE_MINI
from deocc.training.losses import mask_probability
from deocc.training.optimisers import make_optimizer

SIZE, COUNT = 64, 6
SEES_PIXELS_OF_M_I = sorted(set(MASK_BASELINES) - {"mask/maskrcnn"})


def make_batch(seed: int = 0) -> Batch:
    """People as upright ellipses; M_m is their upper part, M_i is that with a bite taken out."""
    generator = torch.Generator().manual_seed(seed)
    rows, columns = torch.meshgrid(torch.arange(SIZE) + 0.5, torch.arange(SIZE) + 0.5, indexing="ij")
    amodal, modal, initial = [], [], []
    for _ in range(COUNT):
        x, y, a, b = (torch.rand(4, generator=generator) * 8 + torch.tensor([28, 28, 8, 18])).tolist()
        whole = ((columns - x) / a) ** 2 + ((rows - y) / b) ** 2 <= 1
        amodal.append(whole)
        modal.append(whole & (rows < y + 4))
        initial.append(modal[-1] & ~((rows < y - 6) & (columns < x)))
    masks = {"amodal_mask": amodal, "modal_mask": modal, "initial_mask": initial}
    batch = {name: torch.stack(parts).float()[:, None] for name, parts in masks.items()}
    image = 0.3 + 0.4 * batch["modal_mask"] + 0.1 * torch.rand(COUNT, 3, SIZE, SIZE, generator=generator)
    photo = torch.ones(COUNT, 1, SIZE, SIZE)
    photo[:, :, :, :5] = 0
    return {name: mask * photo for name, mask in batch.items()} | {
        "image": image * photo,
        "photo_mask": photo,
    }


def make_system(name: str, **changes: object) -> MaskBaseline:
    torch.manual_seed(0)
    preset = preset_of(name, "tiny", {f"mask.settings.{key}": value for key, value in changes.items()})
    return SYSTEMS[name].build(preset.mask.settings, None, preset, 0, None)


def iou(found: torch.Tensor, truth: torch.Tensor) -> float:
    found, truth = found > 0.5, truth > 0.5
    return float((found & truth).sum() / (found | truth).sum())


@pytest.mark.parametrize("name", sorted(MASK_BASELINES))
class TestEachSystem:
    def test_it_overfits_one_batch(self, name):
        system, batch = make_system(name), make_batch()
        config = replace(preset_of(name, "tiny").mask.train, lr=1e-2)
        optimizer = make_optimizer(system.network, config)
        system.network.train()
        for step in range(60):
            system.step = step
            optimizer.zero_grad()
            torch.stack(list(system.losses(batch).values())).sum().backward()
            optimizer.step()
        with torch.no_grad():  # batch statistics: the running ones need longer
            system.network.train()
            logits = system.network(batch["image"], batch["initial_mask"], batch["photo_mask"])
        wholes = mask_probability(logits.amodal) * batch["photo_mask"]
        assert iou(wholes, batch["amodal_mask"]) > 0.8
        assert iou(wholes, batch["amodal_mask"]) > iou(batch["initial_mask"], batch["amodal_mask"]) + 0.1
        if system.settings.modal:
            assert iou(mask_probability(logits.modal) * batch["photo_mask"], batch["modal_mask"]) > 0.7

    def test_every_loss_reaches_the_network_and_not_the_discriminator(self, name):
        system, batch = make_system(name), make_batch()
        terms = system.losses(batch)
        assert (
            ("adversarial" in terms)
            == (system.discriminator is not None)
            == bool(MASK_BASELINES[name].adversary)
        )
        for term, value in terms.items():
            system.network.zero_grad()
            value.backward(retain_graph=True)
            gradients = [p.grad.abs().sum() for p in system.network.parameters() if p.grad is not None]
            assert sum(gradients) > 0, term
        if system.discriminator is not None:
            assert all(p.grad is None for p in system.discriminator.parameters())

    def test_the_discriminator_learns_from_its_own_loss_alone(self, name):
        system, batch = make_system(name), make_batch()
        system.losses(batch)
        system.network.zero_grad()
        terms = system.discriminator_losses(batch)
        assert bool(terms) == bool(MASK_BASELINES[name].adversary)
        if system.discriminator is not None:
            terms["discriminator"].backward()
            assert all(
                p.grad is not None and p.grad.abs().sum() > 0 for p in system.discriminator.parameters()
            )
            assert all(p.grad is None for p in system.network.parameters())

    def test_every_parameter_is_trained(self, name):
        system = make_system(name)
        torch.stack(list(system.losses(make_batch()).values())).sum().backward()
        unused = [n for n, p in system.network.named_parameters() if p.grad is None]
        assert not unused

    def test_predictions_are_probabilities_inside_the_photo_and_m_i_passes_through(self, name):
        system, batch = make_system(name), make_batch()
        found = system.predict(batch)
        for mask in ("modal_mask", "amodal_mask"):
            assert found[mask].shape == batch["photo_mask"].shape
            assert found[mask].min() >= 0 and found[mask].max() <= 1
            assert not (found[mask] * (1 - batch["photo_mask"])).any()
        assert (found["modal_mask"] is batch["initial_mask"]) == (not system.settings.modal)
        assert "parsing_amodal" not in found
        assert all(torch.equal(found[k], system.predict(batch)[k]) for k in found)

    def test_weights_come_back(self, name, tmp_path):
        system, batch = make_system(name), make_batch()
        save_weights(tmp_path / "w.safetensors", system.network, half=False)
        network = load_weights(tmp_path / "w.safetensors", classes=NETWORKS)
        expected = system.predict(batch)["amodal_mask"]
        logits = network(batch["image"], batch["initial_mask"], batch["photo_mask"])
        assert torch.allclose(mask_probability(logits.amodal) * batch["photo_mask"], expected, atol=1e-5)

    def test_wrong_shapes_are_told(self, name):
        batch = make_batch()
        with pytest.raises(DeoccError, match="initial_mask has shape"):
            make_system(name).network(batch["image"], batch["initial_mask"][..., :32, :])

    def test_settings_exist_at_every_preset(self, name):
        for preset in ("tiny", "small", "paper"):
            ours, chosen = preset_of("mask/ours", preset).mask, preset_of(name, preset).mask
            assert chosen.train == ours.train and chosen.mix == ours.mix
            assert chosen.settings.soft_iou == ours.settings.soft_iou
            assert chosen.settings.ce == ours.settings.ce


@pytest.mark.parametrize("name", SEES_PIXELS_OF_M_I)
def test_the_given_mask_says_which_person(name):
    system, batch = make_system(name), make_batch()
    for parameter in system.network.parameters():  # zero-initialised parts must not hide it
        nn.init.normal_(parameter, std=0.2)
    first = system.predict(batch)["amodal_mask"]
    moved = {**batch, "initial_mask": batch["initial_mask"].roll(9, 3) * batch["photo_mask"]}
    assert not torch.allclose(first, system.predict(moved)["amodal_mask"])


# ------------------------------------------------------------------------------------------- Mask R-CNN


def test_boxes_of_masks_are_half_open_and_an_empty_mask_has_the_frames():
    masks = torch.zeros(2, 1, 8, 10)
    masks[0, 0, 2:5, 3:7] = 1
    assert mask_boxes(masks).tolist() == [[3, 2, 7, 5], [0, 0, 10, 8]]


def test_a_pasted_map_fills_its_box_and_nothing_else():
    found = torch.full((1, 1, 28, 28), 4.0)
    pasted = paste_logits(found, torch.tensor([[3.0, 2.0, 7.0, 5.0]]), torch.zeros(1, 1, 8, 10))
    inside = torch.zeros(8, 10, dtype=torch.bool)
    inside[2:5, 3:7] = True
    assert torch.equal(pasted[0, 0] > 0, inside)
    assert torch.allclose(pasted[0, 0][inside], torch.tensor(4.0))


def test_a_pasted_ramp_keeps_its_direction():
    ramp = torch.linspace(-1, 1, 28).expand(1, 1, 28, 28).contiguous()  # grows with x
    pasted = paste_logits(ramp, torch.tensor([[0.0, 0.0, 16.0, 16.0]]), torch.zeros(1, 1, 16, 16))[0, 0]
    assert (pasted[:, -1] > 0.8).all() and (pasted[:, 0] < -0.8).all()


def test_jittered_boxes_stay_near():
    torch.manual_seed(0)
    boxes = torch.tensor([[10.0, 10.0, 30.0, 50.0]]).repeat(200, 1)
    moved = (jittered(boxes) - boxes).abs()
    assert moved.max(0).values.tolist() == pytest.approx([2, 4, 2, 4], rel=0.1)


def test_mask_rcnn_takes_the_box_of_m_i_alone():
    system, batch = make_system("mask/maskrcnn"), make_batch()
    filled = torch.zeros_like(batch["initial_mask"])
    for i, (x0, y0, x1, y1) in enumerate(mask_boxes(batch["initial_mask"]).int().tolist()):
        filled[i, :, y0:y1, x0:x1] = 1
    one, two = (system.predict({**batch, "initial_mask": m}) for m in (batch["initial_mask"], filled))
    assert torch.equal(one["amodal_mask"], two["amodal_mask"])


def test_a_perfect_box_costs_nothing():
    network, whole = MaskRCNN(16, trunk="plain"), make_batch()["amodal_mask"]
    assert network.box_loss(torch.zeros(COUNT, 4), whole, whole) == pytest.approx(0, abs=1e-6)
    assert network.box_loss(torch.zeros(COUNT, 4), whole.roll(5, 2), whole) > 0.1


# ------------------------------------------------------------------------------------------------- parts


def test_silhouette_judge_sees_the_mask_alone():
    judges = SilhouetteJudges(4).eval()
    picture = torch.rand(2, 4, SIZE, SIZE)
    other = torch.cat([torch.rand(2, 3, SIZE, SIZE), picture[:, 3:]], 1)
    one, two = judges(picture), judges(other)
    assert torch.equal(one[:, :1], two[:, :1]) and not torch.equal(one[:, 1:], two[:, 1:])


@pytest.mark.parametrize("kind", ["plain", "lite0"])
def test_the_trunk_starts_without_the_masks_and_can_use_them(kind):
    trunk = Backbone(kind, 2, pretrained=True, width=8).eval()
    image, masks = torch.rand(2, 3, SIZE, SIZE), torch.rand(2, 2, SIZE, SIZE).round()
    features = trunk(image, masks)
    assert [f.shape[-1] for f in features] == [SIZE // s for s in (4, 8, 16, 32)]
    assert [f.shape[1] for f in features] == list(trunk.channels)
    assert torch.equal(features[-1], trunk(image, 1 - masks)[-1])
    features[0].square().sum().backward()
    assert trunk.masks.weight.grad.abs().sum() > 0


def test_an_unknown_trunk_is_told():
    with pytest.raises(DeoccError, match="trunk 'vgg' is unknown"):
        Backbone("vgg", 1)


def test_log_odds_become_their_own_probability():
    odds = torch.tensor([[[[-2.0, 0.0, 3.0]]]])
    assert torch.allclose(mask_probability(as_logits(odds)), odds.sigmoid())
    assert full_size(odds, torch.zeros(1, 1, 2, 6)).shape == (1, 1, 2, 6)


def test_a_network_without_an_answer_of_its_own_is_abstract():
    with pytest.raises(NotImplementedError):
        MaskNetwork()(torch.zeros(1, 3, 32, 32), torch.zeros(1, 1, 32, 32))


def test_a_baseline_trains_by_the_one_loop_and_resumes_from_weights(tmp_path):
    trained = train_system("mask/pix2pix", [PEOPLE_MINI], "tiny", tmp_path / "a", steps=2, device="cpu",
                           changes={"mask.train.eval_every": 0})  # fmt: skip
    assert trained.card["system"] == "mask/pix2pix" and trained.result.steps == 2
    again = train_system("mask/pix2pix", [PEOPLE_MINI], "tiny", tmp_path / "b", steps=1, device="cpu",
                         changes={"mask.train.eval_every": 0}, init=trained.weights)  # fmt: skip
    assert isinstance(again.system, MaskBaseline)
