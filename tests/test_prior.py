"""The first guess of stage 2 without learning: mean colours of body parts, smooth continuation elsewhere."""

import torch

from deocc.models import ContentRecoveryNet
from deocc.models.prior import part_prior, push_pull

SIZE = 32


def inputs() -> tuple[torch.Tensor, ...]:
    """A person of an upper part (class 5, blue) above a left leg (16, red) and a hidden right leg (17)."""
    amodal = torch.zeros(1, 1, SIZE, SIZE)
    amodal[..., 4:28, 8:24] = 1
    parts = torch.zeros(1, 19, SIZE, SIZE)
    parts[:, 4, 4:16, 8:24] = 1
    parts[:, 15, 16:28, 8:16] = 1
    parts[:, 16, 16:28, 16:24] = 1
    hole = torch.zeros(1, 1, SIZE, SIZE)
    hole[..., 10:28, 16:24] = 1
    target = torch.zeros(1, 3, SIZE, SIZE)
    target[:, 2:, 4:16, 8:24] = 1
    target[:, :1, 16:28, 8:24] = 1
    occluder = torch.ones(1, 3, SIZE, SIZE) * hole
    return target * (1 - hole) + occluder, 1 - hole, amodal, parts * (1 - hole), parts, target


def test_hidden_parts_get_the_mean_colour_of_their_visible_pixels_or_of_their_twin():
    *given, target = inputs()
    guess = part_prior(*given)
    inside = given[2].expand_as(guess) > 0
    assert torch.allclose(guess[inside], target[inside], atol=1e-6)


def test_a_part_of_which_nothing_shows_is_continued_smoothly_and_the_occluder_never_seen():
    image, valid, amodal, modal, parts, _ = inputs()
    parts = parts.clone()
    parts[:, 8], parts[:, 16] = parts[:, 16], 0  # the hidden leg is a part without a visible pixel
    guess = part_prior(image, valid, amodal, modal, parts)
    other = part_prior(torch.where(valid > 0, image, torch.rand_like(image)), valid, amodal, modal, parts)
    assert torch.equal(guess, other) and guess[:, 1].max() < 1e-6  # green is the occluder's alone
    hidden = guess[0, :, 22, 20]
    assert 0 < hidden[0] <= 1 and torch.isfinite(guess).all()


def test_push_pull_keeps_what_is_known_and_continues_a_constant():
    known = (torch.rand(2, 1, 21, 32) > 0.9).float()
    filled = push_pull(torch.full((2, 3, 21, 32), 0.3) * known, known)
    assert torch.allclose(filled, torch.full_like(filled, 0.3), atol=1e-5)
    assert torch.equal(push_pull(filled, torch.zeros_like(known)), torch.zeros_like(filled))


def test_the_network_begins_near_its_prior_and_learns_the_share():
    torch.manual_seed(0)
    *given, target = inputs()
    net = ContentRecoveryNet(8, levels=4, prior=True)
    plain = ContentRecoveryNet(8, levels=4)
    assert set(net.state_dict()) - set(plain.state_dict()) == {"blend.weight", "blend.bias"}
    picture = net(*given)
    hole = (given[1] == 0).expand_as(picture)
    assert (picture - target)[hole].abs().mean() < 0.5 * (plain(*given) - target)[hole].abs().mean()
    (picture - target).square().mean().backward()
    assert net.blend.bias.grad.abs() > 0 and net.head.weight.grad.abs().sum() > 0
