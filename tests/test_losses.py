"""Losses: closed forms, what they count, and which network each of them reaches."""

import math
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F

from deocc.errors import DeoccError
from deocc.experiments.presets import TINY
from deocc.models.features import VGGFeatures
from deocc.models.mask_completion import MaskLogits
from deocc.training import losses as L
from deocc.training.content import ContentSystem
from deocc.training.mask import MaskSystem

SIZE = 32


@pytest.fixture(scope="module")
def features() -> VGGFeatures:
    return VGGFeatures((1, 2)).load()


def make_batch(count: int = 4, size: int = SIZE, seed: int = 0) -> dict[str, torch.Tensor]:
    """A Batch of boxes behind boxes; one person without parsing, one without true sides."""
    generator = torch.Generator().manual_seed(seed)
    amodal, occluder = torch.zeros(count, 1, size, size), torch.zeros(count, 1, size, size)
    amodal[:, :, size // 4 : -size // 4, size // 4 : -size // 4] = 1
    occluder[:, :, size // 2 :, size // 2 :] = 1
    target = torch.rand(count, 3, size, size, generator=generator)
    image = torch.where(occluder > 0, torch.rand(count, 3, size, size, generator=generator), target)
    photo = torch.ones(count, 1, size, size)
    photo[0, :, :, :3] = 0
    modal = amodal * (1 - occluder)
    parsing = (amodal[:, 0] * torch.randint(1, 20, (count, size, size), generator=generator)).long()
    parsing[1][amodal[1, 0] > 0] = 255
    has_parsing = torch.arange(count) != 1
    return {
        "image": image * photo, "target": target * photo, "photo_mask": photo, "initial_mask": modal.clone(),
        "modal_mask": modal, "amodal_mask": amodal, "occluder_mask": occluder,
        "parsing_modal": parsing * (modal[:, 0] > 0), "parsing_amodal": parsing,
        "has_parsing": has_parsing, "true_sides": torch.arange(count) != 2,
        "occlusion_ratio": torch.full((count,), 0.25),
    }  # fmt: skip


# --------------------------------------------------------------------------------------------- closed forms


def test_mask_cross_entropy_of_undecided_logits_is_log_two():
    value = L.mask_cross_entropy(torch.zeros(2, 2, 4, 4), torch.ones(2, 1, 4, 4), torch.ones(2, 1, 4, 4))
    assert value.item() == pytest.approx(math.log(2))


def test_mask_cross_entropy_is_that_of_two_classes():
    logits, mask = torch.randn(2, 2, 5, 5), (torch.rand(2, 1, 5, 5) > 0.5).float()
    expected = F.cross_entropy(logits, mask[:, 0].long()).item()
    assert L.mask_cross_entropy(logits, mask, torch.ones_like(mask)).item() == pytest.approx(expected, 1e-5)
    assert torch.allclose(L.mask_probability(logits), logits.softmax(1)[:, 1:])


def test_pixels_outside_the_photo_change_no_loss():
    photo = torch.ones(1, 1, 8, 8)
    photo[..., :4] = 0
    logits, mask = torch.randn(1, 2, 8, 8), (torch.rand(1, 1, 8, 8) > 0.5).float()
    other, other_mask = torch.where(photo > 0, logits, 9.0), torch.where(photo > 0, mask, 1 - mask)
    parsing = torch.randint(0, 20, (1, 8, 8))
    wide, wide_other = torch.randn(1, 20, 8, 8), torch.randn(1, 20, 8, 8)
    wide_other = torch.where(photo > 0, wide, wide_other)
    p, q = L.mask_probability(logits), L.mask_probability(other)
    for one, two in (
        (L.mask_cross_entropy(logits, mask, photo), L.mask_cross_entropy(other, other_mask, photo)),
        (L.mask_l1(p, mask, photo), L.mask_l1(q, other_mask, photo)),
        (L.soft_iou_loss(p, mask, photo), L.soft_iou_loss(q, other_mask, photo)),
        (L.parsing_cross_entropy(wide, parsing, photo), L.parsing_cross_entropy(wide_other, parsing, photo)),
    ):
        assert one.item() == pytest.approx(two.item(), rel=1e-5)
        assert one.item() > 0.05


def test_mask_perceptual_ignores_the_empty_part_of_the_frame(features):
    photo = torch.ones(1, 1, 32, 32)
    photo[..., :16] = 0
    p, mask = torch.rand(1, 1, 32, 32), torch.ones(1, 1, 32, 32)
    changed = torch.where(photo > 0, p, 1 - p)
    one, two = (L.mask_perceptual(features, x, mask, photo, 32) for x in (p, changed))
    assert one.item() == pytest.approx(two.item()) and one.item() > 0


def test_region_weight_counts_a_region_more():
    photo, region = torch.ones(1, 1, 1, 2), torch.tensor([[[[0.0, 1.0]]]])
    value = torch.tensor([[[[0.0, 1.0]]]])
    assert L.weighted_mean(value, L.region_weight(photo, region, 2.0)).item() == pytest.approx(3 / 4)


def test_parsing_ignores_255():
    logits = torch.randn(1, 20, 4, 4, requires_grad=True)
    parsing = torch.full((1, 4, 4), 255)
    parsing[0, 0, 0] = 7
    loss = L.parsing_cross_entropy(logits, parsing, torch.ones(1, 1, 4, 4))
    loss.backward()
    assert loss.item() == pytest.approx(-logits.log_softmax(1)[0, 7, 0, 0].item(), rel=1e-5)
    assert (logits.grad.abs().sum(1) > 0).sum() == 1


def test_parsing_of_a_source_without_true_sides_accepts_either_side():
    logits = torch.full((1, 20, 1, 1), -30.0)
    logits[0, 15] = 30.0  # right arm, where the label says left arm
    parsing, photo = torch.full((1, 1, 1), 14), torch.ones(1, 1, 1, 1)
    assert L.parsing_cross_entropy(logits, parsing, photo, torch.tensor([True])).item() > 50
    assert L.parsing_cross_entropy(logits, parsing, photo, torch.tensor([False])).item() < 1e-3
    hat = torch.full((1, 1, 1), 1)  # a class without sides gains nothing
    sided, unsided = (L.parsing_cross_entropy(logits, hat, photo, torch.tensor([t])) for t in (True, False))
    assert sided.item() == pytest.approx(unsided.item())


def test_parsing_at_half_resolution_reads_every_second_label():
    parsing = torch.zeros(1, 4, 4, dtype=torch.int64)
    parsing[:, 1::2, 1::2] = 3
    logits = torch.full((1, 20, 2, 2), -30.0)
    logits[:, 3] = 30.0
    assert L.parsing_cross_entropy(logits, parsing, torch.ones(1, 1, 4, 4)).item() < 1e-6


@pytest.mark.parametrize(("width", "expected"), [(4, 0.0), (2, 0.5), (0, 1.0)])
def test_soft_iou_of_hard_masks_is_their_iou(width, expected):
    mask, found = torch.zeros(1, 1, 4, 4), torch.zeros(1, 1, 4, 4)
    mask[...] = 1
    found[..., :width] = 1
    assert L.soft_iou_loss(found, mask, torch.ones_like(mask)).item() == pytest.approx(expected)


def test_soft_iou_skips_empty_masks():
    mask = torch.zeros(2, 1, 4, 4)
    mask[0] = 1
    assert L.soft_iou_loss(torch.ones(2, 1, 4, 4), mask, torch.ones_like(mask)).item() == pytest.approx(0)
    assert L.soft_iou_loss(torch.ones(1, 1, 4, 4), mask[1:], torch.ones(1, 1, 4, 4)).item() == 0


def test_gram_matrix_equals_a_loop():
    feature = torch.randn(1, 3, 4, 5)
    gram = L.gram_matrix(feature)[0]
    for i in range(3):
        for j in range(3):
            assert gram[i, j].item() == pytest.approx((feature[0, i] * feature[0, j]).mean().item(), abs=1e-6)


def test_style_forgets_places_and_the_feature_distance_does_not():
    feature = torch.randn(1, 3, 4, 4)
    moved = feature.flip(3)
    assert L.style_distance([feature], [moved]).item() == pytest.approx(0, abs=1e-6)
    assert L.feature_distance([feature], [moved]).item() > 0.1


@pytest.mark.parametrize(("kind", "undecided"), [("lsgan", 0.25), ("bce", math.log(2))])
def test_adversarial_losses_of_an_undecided_judge(kind, undecided):
    logits = torch.full((2, 1, 3, 3), 0.5 if kind == "lsgan" else 0.0)
    assert L.generator_adversarial(logits, kind).item() == pytest.approx(undecided)
    assert L.discriminator_adversarial(logits, logits, kind).item() == pytest.approx(undecided)
    good = 20.0 if kind == "bce" else 1.0
    bad = -20.0 if kind == "bce" else 0.0
    real, fake = torch.full((1, 1, 1, 1), good), torch.full((1, 1, 1, 1), bad)
    assert L.discriminator_adversarial(real, fake, kind).item() < 1e-6
    assert L.generator_adversarial(fake, kind).item() > 0.9


def test_the_hinge_loss_in_closed_form():
    real, fake = torch.tensor([[2.0, 0.5]]), torch.tensor([[-3.0, 0.25]])
    expected = 0.5 * ((0 + 0.5) / 2 + (0 + 1.25) / 2)  # beyond the margin nothing is to be learnt
    assert L.discriminator_adversarial(real, fake, "hinge").item() == pytest.approx(expected)
    assert L.generator_adversarial(fake, "hinge").item() == pytest.approx((3.0 - 0.25) / 2)


def test_total_variation_counts_steps_that_touch_the_region():
    image = torch.zeros(1, 1, 4, 4)
    image[..., 2:] = 1  # one step between columns 1 and 2 of every row
    region = torch.zeros(1, 1, 4, 4)
    region[..., 1:3, 1] = 1
    assert L.total_variation(image, region).item() == pytest.approx(2 / 4)  # 2 of 4 pairs to left and right
    assert L.total_variation(image, torch.zeros(1, 1, 4, 4)).item() == 0


def test_an_unknown_adversarial_kind_is_an_error():
    with pytest.raises(DeoccError, match="lsgan"):
        L.generator_adversarial(torch.zeros(1, 1, 1, 1), "wgan")


def test_composite_keeps_known_pixels_bit_by_bit():
    image, painted = torch.rand(1, 3, 4, 4), torch.rand(1, 3, 4, 4)
    hole = torch.zeros(1, 1, 4, 4)
    hole[..., 2:] = 1
    out = L.composite(image, painted, hole)
    assert torch.equal(out[..., :2], image[..., :2]) and torch.equal(out[..., 2:], painted[..., 2:])


@pytest.mark.parametrize("corner", [(0, 0), (20, 24), (9, 3)])
def test_hole_crops_hold_the_hole(corner):
    hole = torch.zeros(1, 1, 32, 32)
    y, x = corner
    hole[..., y : y + 8, x : x + 6] = 1
    (crop,) = L.hole_crops([hole], hole, 16)
    assert crop.shape[-2:] == (16, 16) and crop.sum() == hole.sum()
    (whole,) = L.hole_crops([hole], hole, 64)
    assert torch.equal(whole, hole)


# ------------------------------------------------------------------------------------------------- features


def test_features_work_offline_and_stay_frozen(features):
    assert features.source == "packaged" and "HED" in features.description
    image = torch.rand(2, 3, 32, 32, requires_grad=True)
    one, two = features(image)
    assert one.shape == (2, 64, 32, 32) and two.shape == (2, 128, 16, 16)
    (one.mean() + two.mean()).backward()
    assert image.grad.abs().sum() > 0
    assert not any(p.requires_grad or p.grad is not None for p in features.parameters())
    features.train()
    assert not features.training


def test_features_have_comparable_magnitude(features):
    grey = F.interpolate(torch.rand(4, 3, 8, 8), size=64, mode="bilinear")
    assert all(0.1 < level.mean().item() < 10 for level in features(grey))


def test_feature_distance_prefers_a_shift_over_blur(features):
    generator = torch.Generator().manual_seed(0)
    picture = F.interpolate(torch.rand(4, 3, 24, 24, generator=generator), size=96, mode="nearest")
    sharp, shifted = picture[..., 16:80, 16:80], picture[..., 16:80, 17:81]
    blurred = F.avg_pool2d(picture, 13, 1, 6)[..., 16:80, 16:80]
    deep = VGGFeatures((3,))
    truth = deep(sharp)
    assert L.feature_distance(deep(shifted), truth) < L.feature_distance(deep(blurred), truth)


def test_unknown_features_are_an_error():
    with pytest.raises(DeoccError, match="packaged"):
        VGGFeatures((1,), "resnet")
    with pytest.raises(DeoccError, match="1, 2, 3, 4, 5"):
        VGGFeatures((0, 9))


# ----------------------------------------------------------------------------------------- gradient flow


@pytest.fixture(scope="module")
def mask_system() -> MaskSystem:
    torch.manual_seed(0)
    settings = replace(TINY.mask.settings, soft_iou=0.25, templates=4, levels=3)
    return MaskSystem(settings, torch.rand(4, 8, 8))


@pytest.fixture(scope="module")
def content_system(mask_system) -> ContentSystem:
    torch.manual_seed(0)
    settings = replace(TINY.content.settings, l1_composite=1.0, style_whole=0.1)
    return ContentSystem(settings, SIZE, mask_system.network)


def touched(module: torch.nn.Module) -> set[str]:
    """Names of the direct children that hold a non-zero gradient."""
    return {
        name
        for name, child in module.named_children()
        if any(p.grad is not None and p.grad.abs().sum() > 0 for p in child.parameters())
    }


def clear(*modules: torch.nn.Module) -> None:
    for module in modules:
        module.zero_grad(set_to_none=True)


MODAL = {"modal_stem", "modal_hourglass", "modal_branch"}
AMODAL = {"modal_stem", "modal_hourglass", "amodal_stem", "amodal_join", "amodal_hourglass", "amodal_branch"}
GUIDED = AMODAL | {"modal_branch", "guide"}  # the refined M_m reaches N_a through the templates
MASK_TERMS = {
    "ce_modal": MODAL,
    "ce_parsing_modal": MODAL,
    "ce_amodal": GUIDED,
    "ce_parsing_amodal": AMODAL,
    "l1": GUIDED,
    "soft_iou": GUIDED,
    "perceptual": GUIDED,
    "adversarial": GUIDED,
}


@pytest.mark.parametrize("term", sorted(MASK_TERMS))
def test_each_mask_loss_reaches_exactly_its_networks(mask_system, term):
    clear(mask_system.network, mask_system.discriminator)
    mask_system.step = 0
    mask_system.network.train()
    terms = mask_system.losses(make_batch())
    assert set(terms) == set(MASK_TERMS)
    terms[term].backward()
    assert touched(mask_system.network) == MASK_TERMS[term]
    assert not touched(mask_system.discriminator)
    assert all(p.grad is None for p in mask_system.features.parameters())


def test_the_parsing_losses_reach_only_parsing_heads_of_a_branch(mask_system):
    clear(mask_system.network)
    mask_system.losses(make_batch())["ce_parsing_amodal"].backward()
    branch = touched(mask_system.network.amodal_branch)
    assert "parsing" in branch and "mask" not in branch


def test_the_discriminator_of_masks_learns_alone(mask_system):
    clear(mask_system.network, mask_system.discriminator)
    batch = make_batch()
    mask_system.step = 0
    mask_system.losses(batch)
    mask_system.discriminator_losses(batch)["discriminator"].backward()
    assert not touched(mask_system.network)
    assert all(p.grad is not None for p in mask_system.discriminator.parameters())
    assert all(p.requires_grad for p in mask_system.discriminator.parameters())


def test_costly_terms_rest_between_their_steps(mask_system):
    batch = make_batch()
    seen = []
    for step in range(4):
        mask_system.step = step
        terms = mask_system.losses(batch)
        judged = bool(mask_system.discriminator_losses(batch))
        seen.append(("perceptual" in terms, "adversarial" in terms, judged))
    assert seen == [(True, True, True), (False, False, False), (False, True, True), (False, False, False)]


CONTENT_TERMS = {"l1_hole", "l1_valid", "l1_composite", "perceptual", "style", "style_whole", "adversarial"}


@pytest.mark.parametrize("term", sorted(CONTENT_TERMS))
def test_each_content_loss_reaches_the_content_network_alone(content_system, term):
    system = content_system
    clear(system.network, system.discriminator, system.stage1)
    system.step = 0
    system.network.train()
    torch.manual_seed(1)
    terms = system.losses(make_batch())
    assert set(terms) == CONTENT_TERMS
    terms[term].backward()
    assert {"encoder", "decoder", "head"} <= touched(system.network)
    assert not touched(system.discriminator) and not touched(system.stage1)
    assert all(p.grad is None for p in system.features.parameters())


def test_the_hole_loss_reaches_the_attention(content_system):
    clear(content_system.network)
    content_system.losses(make_batch())["l1_hole"].backward()
    assert {"encoder_attention", "decoder_attention"} <= touched(content_system.network)


def test_the_discriminator_of_content_learns_alone(content_system):
    system, batch = content_system, make_batch()
    clear(system.network, system.discriminator)
    system.step = 0
    system.losses(batch)
    system.discriminator_losses(batch)["discriminator"].backward()
    assert not touched(system.network)
    assert all(p.grad is not None for p in system.discriminator.parameters())


# ----------------------------------------------------------------------------------- what stage 2 is given


def test_true_guidance_has_the_labels_and_pseudo_labels_where_there_are_none(content_system):
    batch = make_batch()
    told = content_system.true_guidance(batch)
    labelled = batch["has_parsing"]
    assert torch.equal(told.parsing_amodal[labelled], batch["parsing_amodal"][labelled])
    assert (told.parsing_amodal[~labelled] < 20).all()
    assert (told.parsing_amodal[~labelled][batch["amodal_mask"][~labelled][:, 0] == 0] == 0).all()
    assert (told.parsing_modal[batch["modal_mask"][:, 0] == 0] == 0).all()


def test_training_mixes_true_and_predicted_guidance_in_order(content_system):
    batch = make_batch(8)
    true = content_system.true_guidance(batch, True)
    predicted = content_system.predicted_guidance(batch, True)
    torch.manual_seed(3)
    told = content_system.training_guidance(batch)
    torch.manual_seed(3)
    drawn = torch.rand(8) < content_system.settings.predicted
    assert 0 < drawn.sum() < 8
    for i, from_stage1 in enumerate(drawn.tolist()):
        source = predicted if from_stage1 else true
        assert torch.equal(told.amodal[i], source.amodal[i])
        assert torch.equal(told.parsing_amodal[i], source.parsing_amodal[i])


def test_coarse_guidance_repeats_labels_of_half_the_resolution(content_system):
    batch = make_batch()
    fine, coarse = (content_system.predicted_guidance(batch, c) for c in (False, True))
    assert torch.equal(fine.modal, coarse.modal) and torch.equal(fine.amodal, coarse.amodal)
    labels = coarse.parsing_amodal
    assert labels.shape == fine.parsing_amodal.shape
    both = (batch["photo_mask"][:, 0, ::2, ::2] * batch["photo_mask"][:, 0, 1::2, 1::2]) > 0
    assert both.any() and torch.equal(labels[:, ::2, ::2][both], labels[:, 1::2, 1::2][both])
    assert (labels == fine.parsing_amodal).float().mean() > 0.7  # they differ along the borders of parts


def test_log_mse_is_psnr_averaged_over_cases_and_skips_cases_without_a_region():
    torch.manual_seed(0)
    target = torch.rand(3, 3, 16, 16)
    region = torch.zeros(3, 1, 16, 16)
    region[0, :, :4], region[1, :, 4:] = 1, 1
    image = (target + torch.tensor([0.1, 0.2, 0.3])[:, None, None, None]).requires_grad_()
    found = L.region_log_mse(image, target, region, 0.0)
    assert -10 * found.item() / math.log(10) == pytest.approx((20 - 20 * math.log10(0.2)) / 2, abs=1e-4)
    found.backward()
    sums = image.grad.abs().sum((1, 2, 3))
    assert sums[2] == 0 and sums[0] == pytest.approx(2 * sums[1].item(), rel=1e-4)  # easy counts more
    assert torch.equal(L.region_log_mse(target, target, torch.zeros_like(region)), torch.tensor(0.0))


def test_content_trains_on_log_mse_where_the_settings_say_so(mask_system):
    torch.manual_seed(0)
    settings = replace(TINY.content.settings, log_mse=0.5)
    system, batch = ContentSystem(settings, SIZE, mask_system.network), make_batch()
    terms = system.losses(batch)
    assert terms["log_mse"] < 0
    clear(system.network)
    terms["log_mse"].backward()
    assert "head" in touched(system.network)
    assert "log_mse" not in ContentSystem(TINY.content.settings, SIZE, mask_system.network).losses(batch)


def test_soft_parts_are_probabilities_where_predicted_and_one_hot_where_true(mask_system):
    torch.manual_seed(0)
    settings = replace(TINY.content.settings, prior=True, soft_parts=True)
    system, batch = ContentSystem(settings, SIZE, mask_system.network), make_batch(8)
    assert system.network.config["soft_parts"]
    true, seen = system.true_guidance(batch), system.seen_guidance(batch)
    predicted = system.predicted_guidance(batch, True)
    assert true.odds is None and all(torch.equal(p, p.round()) for p in true.parts())
    for told, whole in ((predicted, batch["photo_mask"]), (seen, batch["amodal_mask"])):
        modal, amodal = told.parts()
        assert modal.shape == amodal.shape == (8, 19, SIZE, SIZE)
        assert amodal.min() >= 0 and amodal.sum(1).max() <= 1 + 1e-5
        assert not torch.equal(amodal, amodal.round()) and (amodal * (1 - whole) == 0).all()
    likeliest = predicted.parts()[1].argmax(1) + 1
    named = predicted.parsing_amodal > 0
    assert torch.equal(likeliest[named], predicted.parsing_amodal[named])
    torch.manual_seed(3)
    told = system.training_guidance(batch)
    torch.manual_seed(3)
    drawn = torch.rand(8) < settings.predicted
    coarse = system.true_guidance(batch, True)
    assert 0 < drawn.sum() < 8
    for i, from_stage1 in enumerate(drawn.tolist()):
        source = predicted if from_stage1 else coarse
        assert torch.equal(told.parts()[1][i], source.parts()[1][i])
    system.network.train()
    terms = system.losses(batch)
    assert all(torch.isfinite(value) for value in terms.values())


@pytest.mark.parametrize("masks", ["true", "predicted"])
def test_recovered_pictures_keep_known_pixels(content_system, masks):
    batch = make_batch()
    found = content_system.predict(batch, masks)
    hole = found["amodal_mask"] * (1 - found["modal_mask"]) * batch["photo_mask"]
    known = (hole == 0).expand_as(batch["image"])
    assert torch.equal(found["recovered"][known], batch["image"][known])


def test_guidance_that_is_misspelled_is_an_error(content_system):
    with pytest.raises(DeoccError, match="choose from predicted, true, seen"):
        content_system.predict(make_batch(), "ture")


def test_rare_parts_count_more_where_asked():
    parsing = torch.full((1, 8, 8), 9)
    parsing[0, 0, 0] = 1  # one hat among trousers
    logits = torch.full((1, 20, 8, 8), -30.0)
    logits[:, 9] = 30.0  # all trousers
    photo = torch.ones(1, 1, 8, 8)
    plain, balanced = (L.parsing_cross_entropy(logits, parsing, photo, balance=b).item() for b in (0, 0.5))
    assert plain == pytest.approx(60 / 64, rel=1e-4)
    weights = L.class_weights(parsing[:, None], photo, 0.5)
    hat, trousers = weights[1].item(), weights[9].item()
    assert hat == pytest.approx((64 / 20) ** 0.5)
    assert trousers == pytest.approx(max((64 / 20 / 63) ** 0.5, 1 / 4))
    assert balanced == pytest.approx(60 * hat / (hat + 63 * trousers), rel=1e-4)
    assert L.class_weights(parsing[:, None], photo, 0.0).tolist() == [1.0] * 20


def test_feedback_asks_again_with_the_networks_own_visible_mask():
    torch.manual_seed(0)
    settings = replace(TINY.mask.settings, levels=3, templates=0, perceptual=0.0, feedback=1.0)
    system, batch = MaskSystem(settings), make_batch()
    system.network.train()
    again = system._with_feedback(batch)
    assert system.network.training
    with torch.no_grad():
        logits = system.network.eval()(batch["image"], batch["initial_mask"], batch["photo_mask"])
    own = (L.mask_probability(logits.modal) > 0.5).float() * batch["photo_mask"]
    expected = torch.where(own.sum((1, 2, 3), keepdim=True) > 0, own, batch["initial_mask"])
    assert torch.equal(again["initial_mask"], expected)
    assert not torch.equal(expected, batch["initial_mask"])
    assert all(again[name] is batch[name] for name in batch if name != "initial_mask")
    off = MaskSystem(replace(settings, feedback=0.0))
    assert off._with_feedback(batch) is batch


def apart(batch):
    """M_i differs from M_m, which differs from M_a."""
    return {**batch, "initial_mask": batch["modal_mask"].roll(4, 2) * batch["photo_mask"]}


class Answers(torch.nn.Module):
    """A stage 1 that gives these masks and parts, whatever it is asked."""

    def __init__(self, modal, amodal, parsing_modal, parsing_amodal):
        super().__init__()
        masks = (torch.cat([1 - 2 * m, 2 * m - 1], 1) * 20 for m in (modal, amodal))
        parts = (
            F.one_hot(p.clamp(max=19), 20).permute(0, 3, 1, 2) * 40.0 for p in (parsing_modal, parsing_amodal)
        )
        self.told, self.asked = MaskLogits(*masks, *parts), []

    def forward(self, *given, half_parsing=False):
        self.asked.append(given)
        return self.told


NAMES = ("modal_mask", "amodal_mask", "parsing_modal", "parsing_amodal")


def test_each_term_of_stage_1_wants_the_truth_of_its_own_mask():
    batch = apart(make_batch())
    quiet = replace(TINY.mask.settings.adversary, weight=0.0)
    settings = replace(TINY.mask.settings, soft_iou=0.25, templates=0, adversary=quiet, half_parsing=False)
    truth = [batch[name] for name in NAMES]
    right = MaskSystem(settings, network=Answers(*truth))
    assert all(value.abs() < 1e-4 for value in right.losses(batch).values())
    assert torch.equal(right.network.asked[0][1], batch["initial_mask"]), "M_i, and not M_m, is given"
    wrong = {
        "modal_mask": {"ce_modal", "l1", "soft_iou"},
        "amodal_mask": {"ce_amodal", "l1", "soft_iou", "perceptual"},
        "parsing_modal": {"ce_parsing_modal"},
        "parsing_amodal": {"ce_parsing_amodal"},
    }
    for name, terms in wrong.items():
        spoiled = [
            value.roll(5, -1) if key == name else value for key, value in zip(NAMES, truth, strict=True)
        ]
        found = MaskSystem(settings, network=Answers(*spoiled)).losses(batch)
        assert {term for term, value in found.items() if value > 1e-3} == terms, name


@pytest.mark.parametrize(
    ("extra", "counted"), [("error_extra", "initial_mask"), ("invisible_extra", "amodal_mask")]
)
def test_pixels_that_should_count_more_do(extra, counted):
    batch = apart(make_batch())
    quiet = replace(TINY.mask.settings.adversary, weight=0.0)
    plain = replace(
        TINY.mask.settings, templates=0, perceptual=0.0, adversary=quiet, error_extra=0, invisible_extra=0
    )
    region = (batch[counted] != batch["modal_mask"]).float()
    nearly = batch["amodal_mask"] * (1 - region) + (1 - batch["amodal_mask"]) * region  # wrong there alone
    parts = batch["parsing_modal"], batch["parsing_amodal"]
    values = [
        MaskSystem(s, network=Answers(batch["modal_mask"], nearly, *parts)).losses(batch)["ce_amodal"].item()
        for s in (plain, replace(plain, **{extra: 9.0}))
    ]
    assert values[1] > 1.5 * values[0] > 0


def test_the_discriminator_is_shown_whole_people_and_what_is_answered(mask_system):
    batch = make_batch()
    mask_system.step = 0
    mask_system.losses(batch)
    assert torch.equal(
        mask_system._real, torch.cat([batch["image"], batch["amodal_mask"] * batch["photo_mask"]], 1)
    )


@pytest.mark.parametrize(
    "term", ["l1_hole", "l1_valid", "l1_composite", "perceptual", "style", "style_whole"]
)
def test_a_picture_like_the_target_costs_nothing_and_the_occluded_one_does(content_system, monkeypatch, term):
    batch, values = make_batch(), []
    monkeypatch.setattr(content_system, "training_guidance", content_system.true_guidance)
    content_system.step = 0
    for name in ("target", "image"):
        monkeypatch.setattr(content_system, "paint", lambda batch, guidance, name=name: [batch[name]])
        values.append(content_system.losses(batch)[term].item())
    assert values[0] == pytest.approx(0, abs=1e-6)
    assert (values[1] > 1e-4) == (term != "l1_valid")


def test_no_prediction_looks_at_the_truth(mask_system, content_system):
    batch = apart(make_batch())
    noise = {name: torch.rand_like(batch[name]).round() for name in ("modal_mask", "amodal_mask", "target")}
    noise |= {
        name: torch.zeros_like(batch[name]) for name in ("parsing_modal", "parsing_amodal", "occluder_mask")
    }
    for system, kind in ((mask_system, ()), (content_system, ("predicted",))):
        one, two = (system.predict(given, *kind) for given in (batch, {**batch, **noise}))
        assert all(torch.equal(one[name], two[name]) for name in one)
    one, two = (
        content_system.predict({**batch, "target": t}, "seen") for t in (batch["target"], noise["target"])
    )
    assert all(torch.equal(one[name], two[name]) for name in one)
    bare = replace(mask_system.settings, modal=False, templates=0)
    found = MaskSystem(bare).predict(batch)["modal_mask"]
    assert torch.equal(found, batch["initial_mask"])


def test_pseudo_labels_come_from_the_photo_without_the_occluder(content_system, monkeypatch):
    batch, asked, own = make_batch(), [], content_system._stage1
    monkeypatch.setattr(content_system, "_stage1", lambda *given: asked.append(given) or own(*given))
    content_system.true_guidance(batch)
    bare = ~batch["has_parsing"]
    assert torch.equal(asked[0][0], batch["target"][bare]) and torch.equal(
        asked[0][1], batch["amodal_mask"][bare]
    )
