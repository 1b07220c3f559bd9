"""Variants that do what the released code does: each switch changes what it says, and nothing else."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

import deocc.released as released
from deocc.errors import DeoccError
from deocc.experiments.presets import TINY
from deocc.models import ContentRecoveryNet, MaskCompletionNet, PartialConv2d, PatchDiscriminator
from deocc.models.blocks import count_parameters
from deocc.models.mask_completion import TemplateGuide
from deocc.occlusion import OcclusionDataset, collate
from deocc.paths import PEOPLE_MINI
from deocc.people import PeopleFolder
from deocc.released import (
    DEPARTURES,
    RELEASED,
    WRITTEN,
    Departures,
    FullResolutionNet,
    HeadlessDiscriminator,
    ReleasedContentNet,
    ReleasedContentSystem,
    ReleasedMaskNet,
    ReleasedMaskSystem,
    ShrinkingPartialConv2d,
    TwoWayAttention,
)
from deocc.released.content import released_discriminator_loss
from deocc.released.masks import DotTemplateGuide, decided
from deocc.training import losses as L
from deocc.training.content import ContentSystem
from deocc.training.mask import MaskSystem

ROOT = Path(released.__file__).parent.parent.parent
SIZE = TINY.size


@pytest.fixture(scope="module")
def data() -> OcclusionDataset:
    people = PeopleFolder(PEOPLE_MINI, "train")
    return OcclusionDataset(people, people.occluders("train"), SIZE, 0)


@pytest.fixture(scope="module")
def batch(data) -> dict[str, torch.Tensor]:
    return collate([data.item(0, index) for index in range(4)])


@pytest.fixture(scope="module")
def templates() -> torch.Tensor:
    return torch.rand(16, 16, 16, generator=torch.Generator().manual_seed(0))


def mask_system(departures: Departures, templates: torch.Tensor) -> ReleasedMaskSystem:
    torch.manual_seed(0)
    return ReleasedMaskSystem(TINY.mask.settings, departures, templates)


@pytest.fixture(scope="module")
def stage1(templates) -> MaskCompletionNet:
    torch.manual_seed(1)
    return MaskCompletionNet(8, templates=templates, levels=4)


def content_system(departures: Departures, stage1: MaskCompletionNet) -> ReleasedContentSystem:
    torch.manual_seed(0)
    return ReleasedContentSystem(TINY.content.settings, SIZE, stage1, departures)


def gradient(system, terms: dict[str, torch.Tensor]) -> float:
    """Norm of the network's gradient of some terms together."""
    system.network.zero_grad(set_to_none=True)
    total = sum(terms.values())
    if not total.requires_grad:
        return 0.0
    total.backward(retain_graph=True)
    return sum(float(p.grad.norm()) for p in system.network.parameters() if p.grad is not None)


# ------------------------------------------------------------------------------------------- the switches


def test_none_is_on_by_default_and_all_in_the_released_code():
    assert not any(vars(WRITTEN).values()) and all(vars(RELEASED).values())
    assert Departures.only("dot_templates") == Departures(dot_templates=True)
    with pytest.raises(DeoccError, match="argmax"):
        Departures.only("argmax")


def test_the_list_has_twelve_and_names_every_switch_and_variant():
    assert [d.number for d in DEPARTURES] == list(range(1, 13))
    named = [name for departure in DEPARTURES for name in departure.names]
    assert len(set(named)) == len(named) and set(Departures.names()) <= set(named)
    assert all(name in Departures.names() or hasattr(released, name) for name in named)


def test_the_page_of_departures_lists_the_same():
    lines = (ROOT / "docs" / "departures.md").read_text(encoding="utf-8").splitlines()
    for departure in DEPARTURES:
        (line,) = [line for line in lines if line.startswith(f"| {departure.number} |")]
        assert all(f"`{name}`" in line for name in departure.names), line


def test_without_departures_training_is_the_packages_own(batch, templates, stage1):
    torch.manual_seed(0)
    ours = MaskSystem(TINY.mask.settings, templates)
    theirs = mask_system(WRITTEN, templates)
    torch.manual_seed(0)
    plain = ContentSystem(TINY.content.settings, SIZE, stage1)
    variant = content_system(WRITTEN, stage1)
    for one, other in ((ours, theirs), (plain, variant)):
        assert one.network.state_dict().keys() == other.network.state_dict().keys()
        other.network.load_state_dict(one.network.state_dict())
        other.discriminator.load_state_dict(one.discriminator.state_dict())
        found = []
        for system in (one, other):
            torch.manual_seed(3)
            terms = system.losses(batch)
            found.append({**terms, **system.discriminator_losses(batch)})
        assert found[0].keys() == found[1].keys()
        for name in found[0]:
            torch.testing.assert_close(found[0][name], found[1][name])


# ------------------------------------------------------------------------------------------------ stage 1


def test_argmax_masks_give_the_reconstruction_no_gradient(batch, templates):
    for departures, reaches in ((WRITTEN, True), (Departures.only("argmax_masks"), False)):
        system = mask_system(departures, templates)
        terms = system.losses(batch)
        assert {"l1", "perceptual"} <= terms.keys() and terms["l1"] > 0
        for name in ("l1", "perceptual"):
            assert (gradient(system, {name: terms[name]}) > 0) == reaches, name
        assert gradient(system, {"ce": terms["ce_amodal"]}) > 0


def test_decided_logits_are_those_of_the_argmax():
    logits = torch.randn(2, 2, 8, 8)
    hard = L.mask_probability(decided(logits))
    assert torch.equal(hard, logits.argmax(1, keepdim=True).float())


def test_a_lonely_discriminator_learns_and_teaches_nobody(batch, templates):
    system = mask_system(Departures.only("lonely_discriminator"), templates)
    assert "adversarial" not in system.losses(batch)
    fake = system._fake
    assert set(fake[:, 3:].unique().tolist()) <= {0.0, 1.0}
    assert system.discriminator_losses(batch)["discriminator"].requires_grad


def test_dot_products_are_sums_over_the_frames_pixels(templates):
    guide = DotTemplateGuide(templates, 4, 0.01)
    mask = torch.rand(2, 1, SIZE, SIZE, requires_grad=True)
    cell = SIZE // templates.shape[-1]
    full = templates.repeat_interleave(cell, 1).repeat_interleave(cell, 2)
    by_hand = torch.einsum("nhw,khw->nk", mask[:, 0], full)
    found = guide.products(mask)
    torch.testing.assert_close(found, by_hand.detach(), rtol=1e-4, atol=1e-2)
    assert not guide(mask).mean().backward() and mask.grad is None, "the mask is detached"


def test_dot_products_choose_one_and_distances_several(templates):
    mask = templates[[3]].repeat_interleave(8, 1).repeat_interleave(8, 2)[None]  # template 3 itself
    dots, distances = (
        kind(templates, 4, 0.01).weights(mask)[0] for kind in (DotTemplateGuide, TemplateGuide)
    )
    assert dots.max() > 0.999 and distances.argmax() == 3


def test_detached_parsing_is_trained_by_its_own_loss_alone(batch, templates):
    for departures, reaches in ((WRITTEN, True), (Departures.only("detached_parsing"), False)):
        net = ReleasedMaskNet(8, departures, templates=templates, levels=4)
        logits = net(batch["image"], batch["initial_mask"], batch["photo_mask"])
        logits.amodal.square().mean().backward()
        assert (net.amodal_branch.block.conv1.weight.grad is not None) == reaches


def test_joined_masks_hold_the_visible_one(batch, templates):
    system = mask_system(Departures.only("joined_masks"), templates)
    torch.nn.init.normal_(system.network.amodal_branch.border[-1].weight, std=3)
    found = system.predict(batch)
    assert (found["amodal_mask"] >= found["modal_mask"]).all()
    assert not found["parsing_amodal"][found["amodal_mask"][:, 0] <= 0.5].any()


def test_full_resolution_has_the_released_size_and_costs_several_times_as_much():
    flops = {}
    nets = {"full": FullResolutionNet(64, templates=(64, 32, 32))}
    nets["ours"] = MaskCompletionNet(64, templates=(64, 32, 32))
    image, mask = (torch.zeros(1, channels, 256, 256, device="meta") for channels in (3, 1))
    for name, net in nets.items():
        with FlopCounterMode(display=False) as counter:
            logits = net.to("meta")(image, mask)
        flops[name] = counter.get_total_flops()
        assert logits.amodal.shape == (1, 2, 256, 256)
    assert 26e6 < count_parameters(nets["full"]) < 28e6
    assert 140e9 < flops["full"] < 160e9 and flops["full"] > 5 * flops["ours"]


def test_full_resolution_trains_like_any_stage_1(batch, templates):
    for departures in (WRITTEN, RELEASED):
        net = FullResolutionNet(8, templates=templates, departures=departures)
        system = ReleasedMaskSystem(TINY.mask.settings, departures, templates, net)
        assert gradient(system, system.losses(batch)) > 0
        assert system.predict(batch)["amodal_mask"].shape == batch["amodal_mask"].shape


def test_tight_templates_fill_their_square(data):
    found = released.tight_templates(data, count=4, size=16, samples=24, frame=64)
    assert found.shape == (4, 16, 16) and found.min() >= 0 and found.max() <= 1
    mask = torch.zeros(64, 64)
    mask[10:50, 20:30] = 1
    assert released.templates._cut(mask, 16).all(), "a box is as wide as the person"


# ------------------------------------------------------------------------------------------------ stage 2


def test_a_shrinking_convolution_is_smaller_by_the_windows_size():
    torch.manual_seed(0)
    ours, theirs = PartialConv2d(6, 4, 5, 2, 2, False), ShrinkingPartialConv2d(6, 4, 5, 2, 2, False)
    theirs.load_state_dict(ours.state_dict())
    x, valid = torch.randn(2, 6, 16, 16), (torch.rand(2, 1, 16, 16) > 0.3).float()
    (a, known), (b, same) = ours(x, valid), theirs(x, valid)
    torch.testing.assert_close(a, b * 6 * 25)
    assert torch.equal(known, same)


def content_inputs(size: int = 64, seed: int = 0) -> list[torch.Tensor]:
    g = torch.Generator().manual_seed(seed)
    image, amodal = torch.rand(1, 3, size, size, generator=g), torch.zeros(1, 1, size, size)
    amodal[..., 8:56, 16:48] = 1
    valid = torch.ones_like(amodal)
    valid[..., 12:52, 18:46] = 0
    parts = torch.zeros(1, 19, size, size)
    parts[:, 4, 8:30], parts[:, 8, 30:56] = amodal[:, 0, 8:30], amodal[:, 0, 30:56]
    return [image, valid, amodal, parts * valid, parts]


@pytest.mark.parametrize(
    ("departures", "reaches"), [(WRITTEN, True), (Departures(masked_amodal=True), False)]
)
def test_m_a_inside_the_hole_reaches_the_answer_only_as_written(departures, reaches):
    torch.manual_seed(0)
    net = ReleasedContentNet(8, attention="none", levels=5, alpha=1.0, departures=departures)
    image, valid, amodal, *parts = content_inputs()
    amodal.requires_grad_()
    net(image, valid, amodal, *parts)[..., 20:40, 20:40].sum().backward()
    assert bool((amodal.grad[valid == 0] != 0).any()) == reaches
    assert (amodal.grad[valid == 1] != 0).any()


def test_stale_validity_drops_what_attention_wrote():
    image, valid, *rest = content_inputs(128)
    valid[:] = 1
    valid[..., 8:120, 8:120] = 0  # so large that it is open at encoder level 3
    seen = {}
    for departures in (WRITTEN, Departures(stale_validity=True)):
        torch.manual_seed(0)
        net = ReleasedContentNet(8, levels=6, departures=departures)
        net.encoder["4"].register_forward_hook(lambda m, given, out, d=departures: seen.update({d: given[1]}))
        net(image, valid, *rest)
    assert seen[WRITTEN].all() and not seen[Departures(stale_validity=True)].all()


def test_two_way_attention_looks_at_hidden_points_and_adds_nothing_to_f():
    torch.manual_seed(0)
    module, (_, valid, _, p_m, p_a) = TwoWayAttention(16), content_inputs()
    feature = torch.randn(1, 16, 16, 16)
    relevance = module.attention_map(feature, p_m, p_a, valid)
    hidden = valid[0, 0, ::4, ::4].flatten() == 0
    torch.testing.assert_close(relevance.sum(-1), torch.ones(1, 256))
    assert (relevance[0][:, hidden].sum(-1) > 0.05).all()
    torch.nn.init.zeros_(module.fuse.weight)
    torch.nn.init.zeros_(module.fuse.bias)
    assert not module(feature, p_m, p_a, valid).any(), "without the fusion nothing of F is left"


def test_every_switch_of_stage_2_alone_trains(batch, stage1):
    for name in ("shrinking_convolutions", "masked_amodal", "stale_validity", "two_way_attention"):
        system = content_system(Departures.only(name), stage1)
        assert isinstance(system.network, ContentRecoveryNet)
        assert gradient(system, system.losses(batch)) > 0, name
    assert gradient(content_system(RELEASED, stage1), content_system(WRITTEN, stage1).losses(batch)) == 0


def test_the_erased_adversary_is_logged_and_reaches_nobody(batch, stage1):
    for departures, reaches in ((WRITTEN, True), (Departures.only("erased_adversary"), False)):
        system = content_system(departures, stage1)
        terms = system.losses(batch)
        assert terms["adversarial"] > 0
        assert (gradient(system, {"adversarial": terms["adversarial"]}) > 0) == reaches
        assert system.discriminator_losses(batch)["discriminator"].requires_grad


def test_the_released_discriminator_wants_fakes_undecided():
    logit = torch.tensor([[[[2.0]]]], requires_grad=True)
    for value, sign in ((2.0, 1), (-2.0, -1), (0.0, 0)):
        logit = torch.full((1, 1, 1, 1), value, requires_grad=True)
        released_discriminator_loss(torch.zeros(1, 1, 1, 1), logit).backward()
        assert np.sign(logit.grad.item()) == sign
    real = torch.zeros(1, 1, 1, 1, requires_grad=True)
    released_discriminator_loss(real, logit.detach()).backward()
    assert real.grad.item() == pytest.approx(-0.01 * 0.5), "real counts a hundredth"


def test_headless_discriminators_end_in_many_channels():
    x = torch.rand(1, 4, 64, 64)
    assert HeadlessDiscriminator(4, 16, 1)(x).shape == (1, 64, 8, 8)
    assert HeadlessDiscriminator(4, 16, 2)(x).shape == (1, 64, 14, 14)
    assert PatchDiscriminator(4, 16)(x).shape == (1, 1, 7, 7)
    layers = [
        sum(isinstance(m, torch.nn.Conv2d) for m in HeadlessDiscriminator(4, 8, s).modules()) for s in (1, 2)
    ]
    assert layers == [5, 4]


# ------------------------------------------------------------------------------------------------- scores


def test_pasting_truth_hides_what_was_not_painted():
    truth, answer = torch.zeros(1, 3, 10, 10), torch.ones(1, 3, 10, 10)
    amodal = torch.zeros(1, 1, 10, 10)
    amodal[..., :2] = 1
    assert (released.pasted(answer, truth, amodal) - truth).abs().mean() == pytest.approx(0.2)


def test_two_empty_masks_score_nothing():
    a = np.zeros((3, 4, 4), bool)
    b = a.copy()
    a[1, 0], b[1, 0], a[2, 0], b[2, 1] = True, True, True, True
    assert released.iou_empty_is_zero(a, b).tolist() == [0, 1, 0]
