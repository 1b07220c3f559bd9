"""The second look at people with poor rough masks: when, with what, and how both answers are joined."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from deocc.inference.answers import Completion
from deocc.inference.deoccluder import Deoccluder
from deocc.inference.second_look import AGREE, CLOSER, SHARE, closer, mean_of_looks, share_of_second
from deocc.inference.views import make_view
from deocc.masks import Frame
from deocc.models import MaskLogits

SIZE = 48


def two_classes(inside: Tensor) -> Tensor:
    return torch.cat([1 - 2 * inside, 2 * inside - 1], 1) * 4


class Redness(nn.Module):
    """Stage 1 whose visible person is what is red, whatever M_i says; keeps what it was asked."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[Tensor] = []

    def forward(self, image: Tensor, initial_mask: Tensor, photo: Tensor) -> MaskLogits:
        self.asked.append(initial_mask)
        red = (image[:, :1] > 0.5).float()
        parsing = torch.zeros(len(image), 20, *image.shape[2:])
        return MaskLogits(two_classes(red), two_classes(red), parsing, parsing)


def scene() -> tuple[np.ndarray, np.ndarray]:
    """A photo with a red person, and their true mask."""
    image, mask = np.zeros((200, 200, 3), np.uint8), np.zeros((200, 200), bool)
    mask[60:140, 80:120] = True
    image[mask] = 255, 0, 0
    return image, mask


def half(mask: np.ndarray) -> np.ndarray:
    cut = mask.copy()
    cut[100:] = False
    return cut


@pytest.fixture
def deoccluder() -> Deoccluder:
    return Deoccluder(Redness(), nn.Identity(), SIZE, "cpu")


def test_share_falls_with_agreement():
    given = np.zeros((10, 10), bool)
    given[:, :5] = True
    shares = []
    for columns in range(1, 6):  # IoU 0.2 to 1
        refined = np.zeros_like(given)
        refined[:, :columns] = True
        shares.append(share_of_second(given, refined))
    assert shares[0] == SHARE and shares[-1] == 0 and shares == sorted(shares, reverse=True)
    middle = np.zeros((1, 100), bool)
    middle[:, : round(100 * sum(AGREE) / 2)] = True
    assert share_of_second(np.ones((1, 100), bool), middle) == pytest.approx(SHARE / 2)
    assert share_of_second(given, np.zeros_like(given)) == 0
    assert share_of_second(np.zeros_like(given), np.zeros_like(given)) == 0


def test_the_closer_frame_is_the_middle():
    assert closer(Frame(10, 20, 100)) == Frame(20, 30, 80)


def ramp(frame: Frame) -> Completion:
    """Maps that are linear in the photo's coordinates."""
    places = (torch.arange(SIZE) + 0.5) * frame.side / SIZE
    maps = (frame.x0 + places)[None, None, :] + 2 * (frame.y0 + places)[None, :, None]
    return Completion(maps, maps, maps.expand(20, -1, -1), maps.expand(20, -1, -1))


def test_both_answers_are_joined_where_they_lie_on_the_photo():
    frame = Frame(-7, 12, 96)
    one, other = ramp(frame), ramp(closer(frame))
    for before, joined in zip(one, mean_of_looks(one, other, 0.5), strict=True):
        assert joined.shape == before.shape
        assert torch.allclose(joined, before, atol=1e-2)


def test_the_second_answer_counts_inside_its_frame_only():
    frame = Frame(0, 0, 100)
    one = ramp(frame)
    other = Completion(*(torch.full_like(maps, 1000.0) for maps in one))
    joined = mean_of_looks(one, other, 0.25)
    rim = math.ceil(SIZE * (1 - CLOSER) / 2)
    inside = torch.zeros(SIZE, SIZE, dtype=torch.bool)
    inside[rim:-rim, rim:-rim] = True
    for before, after in zip(one, joined, strict=True):
        assert torch.equal(after[:, ~inside], before[:, ~inside])
        middle = np.s_[:, SIZE // 2, SIZE // 2]
        assert torch.allclose(after[middle], 0.75 * before[middle] + 250)
        assert (after[:, inside] > before[:, inside]).all()


def test_a_contradicted_mask_is_looked_at_again_with_the_answer(deoccluder):
    image, mask = scene()
    view = make_view(image, half(mask))
    answer = deoccluder.deocclude_views([view], paint=False)[0]
    first, second = deoccluder.mask_net.asked
    found = closer(view.frame).crop_mask(mask, SIZE)
    assert torch.equal(first[0, 0] > 0, torch.from_numpy(view.frame.crop_mask(half(mask), SIZE)))
    assert ((second[0, 0].numpy() > 0) != found).mean() < 0.02
    seen = mask.copy()
    seen[round(view.frame.y0 + view.frame.side) :] = False
    assert (answer.modal_mask & seen).sum() / (answer.modal_mask | seen).sum() > 0.9


def test_one_look_is_enough_for_good_exact_and_clicked_masks(deoccluder):
    image, mask = scene()
    deoccluder.deocclude(image, mask, paint=False)
    assert len(deoccluder.mask_net.asked) == 1
    deoccluder.deocclude(image, half(mask), exact=True, paint=False)
    assert len(deoccluder.mask_net.asked) == 2
    deoccluder.deocclude(image, half(mask), points=[(100, 80, 0)], paint=False)
    assert len(deoccluder.mask_net.asked) == 5  # the answer that the click corrects takes two; it changes M_i


def test_a_click_that_confirms_the_answer_leaves_the_second_look(deoccluder):
    image, mask = scene()
    deoccluder.deocclude(image, half(mask), points=[(100, 80, 1)], paint=False)
    assert len(deoccluder.mask_net.asked) == 4  # two for the answer that it confirms, two for its own


def test_a_batch_gives_what_each_gives_alone(deoccluder):
    image, mask = scene()
    wrong = np.roll(mask, 30, axis=1)
    views = [make_view(image, given) for given in (mask, half(mask), wrong)]
    together = deoccluder.deocclude_views(views, paint=False)
    for view, answer in zip(views, together, strict=True):
        alone = deoccluder.deocclude_views([view], paint=False)[0]
        assert np.array_equal(answer.modal_mask, alone.modal_mask)
        assert np.array_equal(answer.amodal_mask, alone.amodal_mask)
