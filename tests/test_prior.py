"""The first guess of stage 2 without learning: visible pixels of each part, near ones counting more."""

import pytest
import torch

from deocc.errors import DeoccError
from deocc.models import ContentRecoveryNet
from deocc.models.prior import DECAY, part_prior, part_prior_evidence, spread

SIZE = 32
UPPER, COAT, PANTS, LEFT, RIGHT = 4, 6, 8, 15, 16  # channels of the parts below


def inputs() -> tuple[torch.Tensor, ...]:
    """A person of an upper part (class 5, blue) above a left leg (16, red) and a hidden right leg (17)."""
    amodal = torch.zeros(1, 1, SIZE, SIZE)
    amodal[..., 4:28, 8:24] = 1
    parts = torch.zeros(1, 19, SIZE, SIZE)
    parts[:, UPPER, 4:16, 8:24] = 1
    parts[:, LEFT, 16:28, 8:16] = 1
    parts[:, RIGHT, 16:28, 16:24] = 1
    hole = torch.zeros(1, 1, SIZE, SIZE)
    hole[..., 10:28, 16:24] = 1
    target = torch.zeros(1, 3, SIZE, SIZE)
    target[:, 2:, 4:16, 8:24] = 1
    target[:, :1, 16:28, 8:24] = 1
    occluder = torch.ones(1, 3, SIZE, SIZE) * hole
    return target * (1 - hole) + occluder, 1 - hole, amodal, parts * (1 - hole), parts, target


def test_hidden_parts_get_the_colour_of_their_visible_pixels_or_of_their_twin():
    *given, target = inputs()
    guess = part_prior(*given)
    seen = (given[1] * given[2]).expand_as(guess) > 0
    assert torch.equal(guess[seen], target[seen])
    assert torch.allclose(guess[..., 11:14, 17:23], target[..., 11:14, 17:23], atol=0.01)  # the upper part
    assert torch.allclose(guess[..., 18:27, 17:23], target[..., 18:27, 17:23], atol=0.01)  # the hidden leg


def test_where_the_part_is_in_doubt_the_guess_is_the_mean_by_probability():
    image, valid, amodal, modal, parts, _ = inputs()
    unsure = parts.clone()
    unsure[:, UPPER, 18:28, 16:24], unsure[:, RIGHT, 18:28, 16:24] = 0.75, 0.25
    guess = part_prior(image, valid, amodal, modal, unsure)[0, :, 20:26, 18:22]
    assert torch.allclose(guess.mean((1, 2)), torch.tensor([0.25, 0.0, 0.75]), atol=0.01)


def test_near_pixels_count_more_than_far_ones_of_the_same_part():
    image = torch.zeros(1, 3, SIZE, SIZE)
    image[:, 0, :10] = 1  # the upper part is red above, green below, hidden between
    image[:, 1, 22:] = 1
    amodal = torch.ones(1, 1, SIZE, SIZE)
    valid = amodal.clone()
    valid[..., 10:22, :] = 0
    parts = torch.zeros(1, 19, SIZE, SIZE)
    parts[:, UPPER] = 1
    guess = part_prior(image, valid, amodal, parts * valid, parts)[0, :, :, 16]
    red = guess[0, 10:22]
    assert (red.diff() < 0).all() and red[0] > 0.75 and red[-1] < 0.25
    assert torch.allclose(guess[:2, 10:22].sum(0), torch.ones(12), atol=1e-3)  # nothing of the hole's black


def test_a_part_of_which_nothing_shows_is_the_person_continued_and_the_occluder_never_seen():
    image, valid, amodal, modal, parts, _ = inputs()
    parts = parts.clone()
    parts[:, 8], parts[:, RIGHT] = parts[:, RIGHT], 0  # the hidden leg is a part without a visible pixel
    guess = part_prior(image, valid, amodal, modal, parts)
    other = part_prior(torch.where(valid > 0, image, torch.rand_like(image)), valid, amodal, modal, parts)
    assert torch.equal(guess, other)
    hidden = guess[0, :, 18:27, 17:23]
    assert hidden[1].max() < 1e-6 and hidden[0].min() > 0.1 and hidden[2].min() > 0.01  # green: occluder only
    nothing = torch.zeros_like(amodal)
    assert torch.isfinite(part_prior(image, nothing, amodal, modal, parts)).all()


@pytest.mark.parametrize("size", [(32, 32), (21, 13), (1, 7)])
def test_spread_weighs_by_distance_and_interpolates_a_constant(size: tuple[int, int]):
    torch.manual_seed(0)
    known = (torch.rand(2, 1, *size) > 0.7).float()
    known[..., 0, 0] = 1
    sums = spread(torch.cat([0.3 * known, known], 1))
    assert torch.allclose(sums[:, :1] / sums[:, 1:], torch.full_like(known, 0.3), atol=1e-5)


def test_spread_falls_as_its_docstring_says():
    point = torch.zeros(1, 1, 512, 512)
    point[..., 255, 255] = 1
    row = spread(point)[0, 0, 255]
    near, far = row[255 + 8 : 255 + 17].mean(), row[255 + 64 : 255 + 129].mean()  # eight times as far
    assert far / near == pytest.approx(8 ** (torch.log2(torch.tensor(DECAY)) - 2).item(), rel=0.3)


def test_the_network_begins_near_its_guess_and_learns_the_share():
    torch.manual_seed(0)
    *given, target = inputs()
    net = ContentRecoveryNet(8, levels=4, prior=True)
    plain = ContentRecoveryNet(8, levels=4)
    extra = set(net.state_dict()) - set(plain.state_dict())
    assert extra and all(name.startswith("refine.") for name in extra)
    picture = net(*given)
    hole = (given[1] == 0).expand_as(picture)
    assert (picture - target)[hole].abs().mean() < 0.5 * (plain(*given) - target)[hole].abs().mean()
    (picture - target).square().mean().backward()
    assert net.refine.share.bias.grad.abs() > 0 and net.head.weight.grad.abs().sum() > 0
    assert net.refine.change.weight.grad.abs().sum() > 0


def test_gradients_pass_through_the_guess_to_visible_pixels_and_never_into_the_hole():
    torch.manual_seed(0)
    image, valid, amodal, *parts, _ = inputs()
    net = ContentRecoveryNet(8, levels=4, prior=True, own_share=0.0).eval()
    probe = image.clone().requires_grad_()
    hole = (valid == 0).expand_as(image)
    net(probe, valid, amodal, *parts)[hole].sum().backward()
    assert (probe.grad[hole] == 0).all()
    seen = (valid * amodal > 0).expand_as(image)
    assert probe.grad[seen].abs().sum() > 1 and (probe.grad[(amodal == 0).expand_as(image)] == 0).all()


@pytest.mark.parametrize("size", [32, 40, 50])
def test_prior_and_refinement_in_bfloat16_at_any_size(size: int):
    torch.manual_seed(0)
    image, amodal = torch.rand(2, 3, size, size), torch.ones(2, 1, size, size)
    valid = (torch.rand(2, 1, size, size) > 0.3).float()
    parts = torch.rand(2, 19, size, size).softmax(1)
    net = ContentRecoveryNet(8, levels=3, prior=True, soft_parts=True)
    with torch.autocast("cpu", torch.bfloat16):
        picture = net(image, valid, amodal, parts * valid, parts)
    assert picture.shape == image.shape and picture.min() >= 0 and picture.max() <= 1
    picture.float().mean().backward()
    assert all(torch.isfinite(p.grad).all() for p in net.parameters() if p.grad is not None)


def test_own_share_leans_on_the_guess_in_evaluation_alone():
    torch.manual_seed(0)
    *given, _ = inputs()
    full = ContentRecoveryNet(8, levels=4, prior=True).eval()
    half = ContentRecoveryNet(8, levels=4, prior=True, own_share=0.5).eval()
    none = ContentRecoveryNet(8, levels=4, prior=True, own_share=0.0).eval()
    for net in (half, none):
        net.load_state_dict(full.state_dict())
    guess = part_prior(*given)
    with torch.no_grad():
        assert torch.allclose(half(*given), (full(*given) + guess) / 2, atol=1e-6)
        assert torch.allclose(none(*given), guess, atol=1e-6)
        refinements = [net.refine.train() for net in (full, half)]
        x, first, masks, parts = torch.rand(2, 8, 8, 8), torch.rand(2, 3, 8, 8), *torch.rand(2, 2, 2, 8, 8)
        assert torch.equal(*(refine(x, first, masks, parts)[1] for refine in refinements))
    with pytest.raises(DeoccError, match="own_share is 2"):
        ContentRecoveryNet(8, levels=4, prior=True, own_share=2)


def test_a_hidden_coat_shows_the_colour_of_visible_upper_clothes_where_common_colours_are_known() -> None:
    image, valid, amodal, modal, parts, target = inputs()
    coat = parts.clone()
    coat[:, COAT, 10:16, 16:24] = 1  # what is hidden of the upper part is called a coat
    coat[:, UPPER, 10:16, 16:24] = 0
    seen = valid * amodal
    common = torch.zeros(19, 3)
    common[COAT] = torch.tensor([0.0, 0.5, 0.0])
    guess, _ = part_prior_evidence(image, seen, modal, coat, common)
    assert torch.allclose(guess[..., 12:14, 18:22], target[..., 12:14, 18:22], atol=0.1)  # blue
    trousers = parts.clone()
    trousers[:, PANTS, 10:16, 16:24] = 1
    trousers[:, UPPER, 10:16, 16:24] = 0
    common[PANTS] = torch.tensor([0.0, 0.5, 0.0])
    guess, _ = part_prior_evidence(image, seen, modal, trousers, common)
    assert guess[0, 1, 13, 20] > 0.4 and guess[0, 2, 13, 20] < 0.1  # nothing upper says so of trousers


def test_in_evaluation_mode_evidence_lies_nearer_to_the_hole() -> None:
    """The pixels next to the hole but one, green in a blue part, count only where the rim is narrow."""
    image, valid, amodal, modal, parts, _ = inputs()
    image[..., 4:16, 14] = torch.tensor([0.0, 1.0, 0.0])[:, None]
    net = ContentRecoveryNet(8, levels=4, whole=True, rim=3)
    green = {}
    for training in (True, False):
        net.train(training)
        guess, _ = net.first_guess(image, valid, amodal, modal, parts)
        green[training] = float(guess[0, 1, 12, 17])
    assert green[False] > green[True] + 0.1
