"""`Deoccluder`: photo in, photo out. Networks with known answers make every pixel predictable."""

import dataclasses
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from deocc.device import pick_device
from deocc.errors import DeoccError
from deocc.inference import views, weights
from deocc.inference.borders import restore_detail
from deocc.inference.deoccluder import Deoccluder
from deocc.inference.photo import paste_parsing, paste_pixels
from deocc.inference.predictions import case_view, predict_cases
from deocc.inference.views import STAGE1, make_view
from deocc.io import read_image, read_json, read_mask, read_parsing, write_json
from deocc.labels import parsing_onehot
from deocc.masks import Frame, person_frame
from deocc.models import MaskCompletionNet, MaskLogits, save_weights
from deocc.occlusion import CaseFolder, OcclusionCase, write_case
from deocc.occlusion.folder import read_case
from deocc.segmenters.pretrained import MASKRCNN_FILE

SIZE = 32
PAINT = 0.6  # the colour that `Painter` paints everywhere


class Halves(nn.Module):
    """Stage 1 that answers: visible = the mask it was given, whole = also all below the frame's middle.

    Upper half of the whole person: part 5; lower half: 14 on the left (the viewer's), 15 on the right.
    """

    def forward(self, image: Tensor, initial_mask: Tensor, photo: Tensor) -> MaskLogits:
        size = image.shape[-1]
        rows = torch.arange(size)[:, None].expand(size, size)
        whole = ((rows >= size // 2) | (initial_mask[:, 0] > 0)).float()
        labels = torch.where(rows < size // 2, 5, torch.where(size // 2 > rows.T, 14, 15))
        parsing = (
            torch.nn.functional.one_hot(labels, 20).permute(2, 0, 1).float().expand(len(image), -1, -1, -1)
        )
        return MaskLogits(_logits(initial_mask), _logits(whole[:, None]), parsing, parsing)


class Painter(nn.Module):
    """Stage 2 that paints one colour, and keeps what it was asked."""

    def forward(self, image: Tensor, valid: Tensor, amodal: Tensor, visible: Tensor, whole: Tensor) -> Tensor:
        self.asked = (image, valid, amodal, visible, whole)
        return torch.full_like(image, PAINT)


def _logits(mask: Tensor) -> Tensor:
    return torch.cat([1 - 2 * mask, 2 * mask - 1], 1) * 4


@pytest.fixture
def known() -> Deoccluder:
    return Deoccluder(Halves(), Painter(), SIZE, "cpu")


def photo_and_mask(height: int, width: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """A noisy photo and a block of a mask somewhere in it."""
    rng = np.random.default_rng(seed)
    mask = np.zeros((height, width), bool)
    y, x = int(rng.integers(height)), int(rng.integers(width))
    mask[y : y + max(1, height // 3), x : x + max(1, width // 4)] = True
    return rng.integers(0, 256, (height, width, 3), dtype=np.uint8), mask


# ------------------------------------------------------------------ one photo


@settings(max_examples=40, deadline=None)
@given(height=st.integers(1, 90), width=st.integers(1, 90), seed=st.integers(0, 99), flip=st.booleans())
def test_outside_the_invisible_mask_every_pixel_stays(height: int, width: int, seed: int, flip: bool) -> None:
    image, mask = photo_and_mask(height, width, seed)
    before, texture = image.copy(), seed % 3 / 2
    answer = Deoccluder(Halves(), Painter(), SIZE, "cpu", flip, texture=texture).deocclude(image, mask)
    assert np.array_equal(image, before)
    assert answer.recovered.shape == image.shape and answer.recovered.dtype == np.uint8
    hidden = answer.invisible_mask
    assert np.array_equal(hidden, answer.amodal_mask & ~answer.modal_mask)
    assert np.array_equal(answer.recovered[~hidden], image[~hidden])
    assert texture or (answer.recovered[hidden] == round(PAINT * 255)).all()
    assert np.array_equal(answer.parsing > 0, answer.amodal_mask)


def test_full_resolution_borders_lie_where_the_frame_says(known: Deoccluder) -> None:
    image, mask = np.zeros((400, 300, 3), np.uint8), np.zeros((400, 300), bool)
    mask[100:260, 120:200] = True
    answer = known.deocclude(image, mask)
    assert answer.frame == person_frame(mask, photo_shape=mask.shape) == Frame(-10, 20, 320)
    expected = mask.copy()
    expected[180:340] = True  # lower half of the frame, inside the photo
    assert (answer.amodal_mask != expected).sum() <= 2 * 300  # a pixel of blur along the border
    assert (answer.modal_mask != mask).sum() <= 2 * 2 * (160 + 80)
    assert set(np.unique(answer.parsing[:175][answer.amodal_mask[:175]])) == {5}
    assert (answer.parsing[190:330, :145] == 14).all() and (answer.parsing[190:330, 155:] == 15).all()


def test_stage_two_is_asked_about_what_stage_one_answered(known: Deoccluder) -> None:
    image, mask = photo_and_mask(40, 25, 3)
    image = np.maximum(image, 1)
    view = make_view(image, mask)
    known.deocclude_views([view])
    seen, valid, amodal, visible, whole = known.content_net.asked
    photo = torch.from_numpy(view.frame.photo_mask(mask.shape, SIZE))[None, None].float()
    initial = torch.from_numpy(view.frame.crop_mask(mask, SIZE))[None, None].float()
    logits = Halves()(seen, initial, photo)
    expected = (logits.amodal.argmax(1, keepdim=True) * photo).float()
    assert photo.mean() < 1  # the frame sticks out of the photo
    assert torch.equal(seen.amax(1, keepdim=True) > 0, photo > 0)  # black outside the photo
    assert torch.equal(amodal, expected)
    assert torch.equal(valid, photo * (1 - expected * (1 - initial)))
    assert torch.equal(visible, parsing_onehot(logits.parsing_modal.argmax(1)) * photo)
    assert torch.equal(whole, visible)


def test_stage_two_sees_probabilities_of_parts_with_soft_parts(known: Deoccluder) -> None:
    image, mask = photo_and_mask(40, 25, 3)
    view = make_view(image, mask)
    known.soft_parts = True
    known.deocclude_views([view])
    *_, whole = known.content_net.asked
    photo = torch.from_numpy(view.frame.photo_mask(mask.shape, SIZE))[None, None].float()
    initial = torch.from_numpy(view.frame.crop_mask(mask, SIZE))[None, None].float()
    logits = Halves()(whole[:, :3], initial, photo).parsing_amodal
    assert torch.allclose(whole, logits.softmax(1)[:, 1:] * photo, atol=1e-6)
    assert 0 < whole.amax() < 1


def test_patches_of_visible_clothes_are_copied_where_that_is_asked_for() -> None:
    class Shirt(Halves):
        """Halves whose every pixel is upper-clothes."""

        def forward(self, *arrays: Tensor) -> MaskLogits:
            answer = super().forward(*arrays)
            parsing = torch.zeros_like(answer.parsing_modal)
            parsing[:, 5] = 1
            return answer._replace(parsing_modal=parsing, parsing_amodal=parsing)

    image, mask = photo_and_mask(80, 60, 5)
    smooth, copied = (
        Deoccluder(Shirt(), Painter(), SIZE, "cpu", exemplar=exemplar).deocclude(image, mask)
        for exemplar in (False, True)
    )
    hidden = smooth.invisible_mask
    assert smooth.recovered[hidden].std() == 0 and copied.recovered[hidden].std() > 5
    assert np.array_equal(copied.recovered[~hidden], image[~hidden])


class Above(nn.Module):
    """Stage 1: visible above the middle of the frame, the whole person everywhere, whatever is asked."""

    def forward(self, image: Tensor, initial_mask: Tensor, photo: Tensor) -> MaskLogits:
        rows = torch.arange(image.shape[-1])[:, None].expand(image.shape[-2:])
        seen = (rows < image.shape[-1] // 2).float().expand(len(image), 1, -1, -1)
        parsing = torch.zeros(len(image), 20, *image.shape[-2:])
        parsing[:, 5] = 1
        return MaskLogits(_logits(seen), _logits(torch.ones_like(seen)), parsing, parsing)


class PainterOfItsHole(nn.Module):
    """Stage 2 that paints one colour where the person is whole and nothing is known, and copies the rest."""

    def forward(self, image: Tensor, valid: Tensor, amodal: Tensor, visible: Tensor, whole: Tensor) -> Tensor:
        return torch.where(amodal * (1 - valid) > 0.5, PAINT, image)


def behind_a_thing(rows: int) -> np.ndarray:
    """A grey photo, below the middle and in so many rows above it a green thing."""
    image = np.full((240, 240, 3), 60, np.uint8)
    image[120 - rows :] = (20, 200, 60)
    return image


def test_what_is_hidden_at_last_is_painted_by_a_network_that_was_given_coarse_masks() -> None:
    image, rough = behind_a_thing(2), np.zeros((240, 240), bool)
    rough[60:180, 60:180] = True
    answer = Deoccluder(Above(), PainterOfItsHole(), 256, "cpu").deocclude(image, rough)
    assert abs(answer.frame.y0 + answer.frame.side / 2 - 120) < 1
    hidden = answer.invisible_mask
    assert answer.modal_mask[:117].any() and hidden[118:120].any(), "the thing's rim is hidden"
    assert not (answer.modal_mask & (image[..., 1] == 200)).any()
    assert (answer.recovered[hidden] == round(PAINT * 255)).all()


def test_an_exact_mask_keeps_the_things_rim_and_none_of_it_is_painted() -> None:
    image, exact = behind_a_thing(3), np.zeros((240, 240), bool)
    exact[60:120, 60:180] = True
    answer = Deoccluder(Above(), Painter(), 256, "cpu").deocclude(image, exact, exact=True)
    assert np.array_equal(answer.modal_mask, exact) and answer.invisible_mask.any()
    assert np.array_equal(answer.recovered[exact], image[exact])


def test_texture_and_patches_are_not_both_given(tiny_weights: Path) -> None:
    with pytest.raises(DeoccError, match="texture is 0.5 and exemplar is on.*choose"):
        Deoccluder.from_pretrained(tiny_weights, "cpu", texture=0.5, exemplar=True)
    both = Deoccluder.from_pretrained(tiny_weights, "cpu", exemplar=True)
    assert (both.texture, both.exemplar) == (0.0, True)


def test_texture_is_added_where_it_is_asked_for_and_must_be_a_share(known: Deoccluder) -> None:
    image, mask = photo_and_mask(80, 60, 5)
    smooth = known.deocclude(image, mask)
    known.texture = 0.5
    textured = known.deocclude(image, mask)
    hidden = smooth.invisible_mask
    assert np.array_equal(textured.invisible_mask, hidden) and smooth.recovered[hidden].std() == 0
    assert textured.recovered[hidden].std() > 5
    with pytest.raises(DeoccError, match="texture is 1.5; expected a share from 0 to 1"):
        Deoccluder(Halves(), Painter(), SIZE, "cpu", texture=1.5)


def test_flip_averaging_makes_stage_one_blind_to_mirroring() -> None:
    torch.manual_seed(1)
    net = MaskCompletionNet(8, templates=torch.rand(4, 16, 16), levels=4)
    deoccluder = Deoccluder(net, Painter(), 64, "cpu", flip=True)
    image, mask = torch.rand(2, 3, 64, 64), (torch.rand(2, 1, 64, 64) > 0.7).float()
    ones = torch.ones(2, 1, 64, 64)
    straight, mirrored = (
        deoccluder.stage1(image, mask, ones),
        deoccluder.stage1(image.flip(3), mask.flip(3), ones),
    )
    assert torch.allclose(straight.amodal, mirrored.amodal.flip(3), atol=1e-4)
    swapped = mirrored.parsing_amodal.flip(3)
    assert torch.allclose(straight.parsing_amodal[:, 14], swapped[:, 15], atol=1e-4)
    assert torch.allclose(straight.parsing_amodal[:, 5], swapped[:, 5], atol=1e-4)
    deoccluder.flip = False
    assert not torch.allclose(deoccluder.stage1(image, mask, ones).amodal, straight.amodal, atol=1e-4)


def test_paint_does_not_mix_with_what_lies_beside_the_hole() -> None:
    filled = np.zeros((8, 8), np.float32)
    filled[2:6, 2:6] = 1
    recovered = np.where(filled[..., None] > 0, np.float32([1, 0, 0]), np.float32([0, 1, 0])).astype(
        np.float32
    )
    hidden = np.zeros((80, 80), bool)
    hidden[18:62, 18:62] = True  # the hole and a little more, as after interpolation
    out = paste_pixels(np.zeros((80, 80, 3), np.uint8), recovered, filled, Frame(0, 0, 80), hidden)
    assert (out[hidden] == (255, 0, 0)).all() and not out[~hidden].any()


def test_hidden_pixels_outside_the_frame_get_the_nearest_painted_colour() -> None:
    image = np.full((80, 120, 3), 9, np.uint8)
    recovered = np.full((8, 8, 3), [1, 0, 0], np.float32)
    recovered[4:] = 0, 0, 1  # the lower half is painted blue
    filled = np.ones((8, 8), np.float32)
    hidden = np.zeros((80, 120), bool)
    hidden[10:70, 30:110] = True  # the frame ends at column 80
    out = paste_pixels(image, recovered, filled, Frame(0, 0, 80), hidden)
    assert (out[10:30, 80:110] == (255, 0, 0)).all() and (out[50:70, 80:110] == (0, 0, 255)).all()
    assert (out[~hidden] == 9).all()


def test_a_hole_wholly_outside_the_frame_gets_the_mean_colour_of_the_visible_person() -> None:
    image = np.full((80, 120, 3), 9, np.uint8)
    hidden, modal = np.zeros((80, 120), bool), np.zeros((80, 120), bool)
    hidden[10:70, 90:110], modal[10:70, 10:20] = True, True
    image[modal] = 40, 80, 120
    blank = np.full((8, 8, 3), 0.5, np.float32)
    for seen, colour in ((modal, (40, 80, 120)), (None, (128, 128, 128)), (modal & False, (128, 128, 128))):
        out = paste_pixels(image, blank, np.zeros((8, 8), np.float32), Frame(0, 0, 60), hidden, seen)
        assert (out[hidden] == colour).all() and (out[~hidden] == image[~hidden]).all()


def test_parsing_takes_the_likeliest_part_and_fills_the_mask() -> None:
    logits = np.zeros((4, 4, 20), np.float32)
    logits[..., 0] = 9  # background never wins inside the mask
    logits[:, :2, 3], logits[:, 2:, 19] = 1, 1
    amodal = np.zeros((16, 16), bool)
    amodal[4:12, 2:14] = True
    labels = paste_parsing(logits, Frame(0, 0, 16), amodal)
    assert (labels[~amodal] == 0).all()
    assert (labels[4:12, 2:7] == 3).all() and (labels[4:12, 9:14] == 19).all()


@pytest.mark.parametrize("shape", [(1, 1), (1, 50), (50, 1), (7, 500)])
def test_tiny_and_thin_photos(tiny_weights: Path, shape: tuple[int, int]) -> None:
    image, mask = photo_and_mask(*shape)
    deoccluder = Deoccluder.from_pretrained(tiny_weights, "cpu")
    for answer in (
        deoccluder.deocclude(image, mask),
        deoccluder.deocclude(image, box=(0, 0, *shape[::-1]), segmenter="grabcut"),
    ):
        assert answer.amodal_mask.shape == shape and answer.recovered.shape == (*shape, 3)


def test_box_alone_calls_a_segmenter_and_says_so(known: Deoccluder, monkeypatch: pytest.MonkeyPatch) -> None:
    image, mask = photo_and_mask(60, 50)
    monkeypatch.setattr(views, "segment", lambda image, box, method: (mask, f"{method}-{box}"))
    answer = known.deocclude(image, box=(-5.5, 3.2, 30.1, 59.9), segmenter="grabcut")
    assert np.array_equal(answer.initial_mask, mask)
    assert answer.frame == person_frame((0, 3, 31, 60), photo_shape=image.shape[:2])
    assert answer.notes[0] == "the box was cut to the photo: 0 3 31 60"
    assert answer.notes[1] == "rough mask by grabcut-(0, 3, 31, 60)"


def test_mask_and_box_together_pick_one_of_two_people(known: Deoccluder) -> None:
    image, mask = np.zeros((40, 80, 3), np.uint8), np.zeros((40, 80), bool)
    mask[10:30, 10:20] = mask[10:30, 60:70] = True
    answer = known.deocclude(image, mask, box=(0, 0, 40, 40))
    assert answer.initial_mask[:, :40].sum() == 200 and not answer.initial_mask[:, 40:].any()
    with pytest.raises(DeoccError, match="empty inside the box"):
        known.deocclude(image, mask, box=(25, 0, 50, 40))


def test_a_bad_answer_is_noted(known: Deoccluder) -> None:
    image, mask = photo_and_mask(30, 30)
    known.mask_net.forward = lambda image, initial, photo: MaskLogits(  # type: ignore[method-assign]
        *(_logits(torch.zeros_like(initial)) for _ in range(2)),
        *(torch.zeros(1, 20, SIZE, SIZE) for _ in range(2)),
    )
    answer = known.deocclude(image, mask)
    assert len(answer.notes) == 2 and "no visible person" in answer.notes[0]
    assert np.array_equal(answer.recovered, image) and answer.occlusion_ratio == 0


class Lower(nn.Module):
    """Stage 1 that takes a bottom strip of the frame for the visible person, whatever it is given."""

    def forward(self, image: Tensor, initial_mask: Tensor, photo: Tensor) -> MaskLogits:
        visible = torch.zeros_like(initial_mask)
        visible[:, :, 20:] = 1
        parsing = torch.zeros(len(image), 20, SIZE, SIZE)
        return MaskLogits(_logits(visible), _logits(visible), parsing, parsing)


def test_the_note_on_what_was_given_up_is_for_masks_that_the_user_gave() -> None:
    image, mask = np.zeros((64, 64, 3), np.uint8), np.zeros((64, 64), bool)
    mask[16:48, 20:44] = True
    deoccluder = Deoccluder(Lower(), Painter(), SIZE, "cpu")
    notes = deoccluder.deocclude(image, mask).notes
    assert any("given up: stage 1 does not take it for the visible person" in note for note in notes)
    notes = deoccluder.deocclude(image, box=(20, 16, 44, 48), segmenter="box").notes
    assert notes[0].startswith("the whole box") and not any("given up" in note for note in notes)


@pytest.mark.parametrize("exact", [False, True])
def test_a_mask_thinner_than_the_grid_is_noted_and_seen(known: Deoccluder, exact: bool) -> None:
    image, thin = np.zeros((400, 400, 3), np.uint8), "thinner than the networks can see"
    for left in range(190, 206):
        mask = np.zeros((400, 400), bool)
        mask[100:300, left : left + 4] = True
        view = make_view(image, mask, exact=exact)
        answer = known.deocclude_views([view], paint=False)[0]
        assert known.tensors([view])[1].any() and answer.modal_mask.any()
        assert any(thin in note for note in answer.notes) == view.frame.misses(mask, SIZE)
    mask[100:300, 150:250] = True
    assert not any(thin in note for note in known.deocclude(image, mask, exact=exact, paint=False).notes)


def test_a_default_segmenter_that_does_not_run_leaves_the_box_to_stage_1(
    known: Deoccluder, cases: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "hub" / "checkpoints" / MASKRCNN_FILE
    path.parent.mkdir(parents=True)
    path.write_bytes(b"PK half a file")
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    image, box = photo_and_mask(60, 50)[0], (5, 3, 30, 59)
    answer = known.deocclude(image, box=box)
    assert "maskrcnn does not run" in answer.notes[0] and "stage 1" in answer.notes[1]
    plain = known.deocclude(image, box=box, segmenter=STAGE1)
    assert np.array_equal(answer.modal_mask, plain.modal_mask)
    with pytest.raises(DeoccError, match="damaged weights.*or choose another"):
        known.deocclude(image, box=box, segmenter="maskrcnn")
    with pytest.raises(DeoccError, match="damaged weights"):  # predictions say which segmenter they are of
        predict_cases(known, cases, tmp_path / "out", "box", progress=False)


def test_no_views_have_no_answers_and_seeds_are_not_negative(known: Deoccluder) -> None:
    assert known.deocclude_views([]) == []
    image, mask = photo_and_mask(30, 30)
    with pytest.raises(DeoccError, match="seed is -1; expected 0 or more"):
        known.deocclude(image, mask, seed=-1)


BLANK = np.zeros((20, 30, 3), np.uint8)
FULL = np.ones((20, 30), bool)


@pytest.mark.parametrize(
    ("image", "mask", "box", "words"),
    [
        (BLANK, None, None, "neither mask nor box"),
        (BLANK, ~FULL, None, "mask: it is empty"),
        (BLANK, np.ones((20, 31), bool), None, "mask: 31 x 20 pixels, but the photo has 30 x 20; give"),
        (BLANK, FULL.T, None, "EXIF"),
        (BLANK, FULL.astype(np.uint8), None, "mask: uint8"),
        (BLANK, None, (30, 0, 40, 10), "outside"),
        (BLANK, None, (-9, -9, 0, 0), "outside"),
        (BLANK, None, (5, 5, 5, 9), "no area"),
        (BLANK, None, (9, 5, 5, 9), "no area"),
        (BLANK, None, (0, 0, float("nan"), 9), "four finite numbers"),
        (BLANK, None, (0, 0, 9), "four finite numbers"),
        (BLANK[..., 0], FULL, None, "image: uint8"),
        (BLANK / 255, FULL, None, "image: float64"),
        (BLANK[:0], FULL[:0], None, "image: 30 x 0"),
    ],
)
def test_bad_input_is_named(known: Deoccluder, image, mask, box, words: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(DeoccError, match=words) as caught:
        known.deocclude(image, mask, box)
    assert "\n" not in str(caught.value)


# ------------------------------------------------------------------ weights


def test_weights_are_found_by_folder(tiny_weights: Path) -> None:
    deoccluder = Deoccluder.from_pretrained(str(tiny_weights), "cpu")
    assert deoccluder.size == 64 and set(deoccluder.identity) == {
        "mask-tiny.safetensors",
        "content-tiny.safetensors",
    }


def test_weights_are_found_by_name(tiny_weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weights, "WEIGHTS", tiny_weights)
    assert weights.find_weights("tiny")[0] == tiny_weights / "mask-tiny.safetensors"
    with pytest.raises(DeoccError, match="'huge': mask-huge.safetensors is not in"):
        weights.find_weights("huge")
    (tiny_weights / "mask-alone.safetensors").write_bytes(b"")
    try:
        with pytest.raises(DeoccError, match="content-alone.safetensors is not in"):
            weights.find_weights("alone")
        with pytest.raises(DeoccError, match="one file mask.*found mask-alone.safetensors, mask-tiny"):
            weights.find_weights(tiny_weights)
    finally:
        (tiny_weights / "mask-alone.safetensors").unlink()


def _spoil(folder: Path, how: str) -> None:
    mask, content = folder / "mask-tiny.safetensors", folder / "content-tiny.safetensors"
    if how == "truncated":
        content.write_bytes(content.read_bytes()[:-1000])
    elif how == "foreign":
        mask.write_bytes(b"a pickle, perhaps" * 99)
    elif how == "swapped":
        shutil.copy(content, mask)
    elif how == "no size":
        save_weights(mask, MaskCompletionNet(8, templates=(8, 16, 16), levels=4))


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ("truncated", "content-tiny.safetensors cannot be read"),
        ("foreign", "mask-tiny.safetensors cannot be read"),
        ("swapped", "holds ContentRecoveryNet, MaskCompletionNet was expected"),
        ("no size", "lack input_size"),
    ],
)
def test_bad_weights_are_named(tiny_weights: Path, tmp_path: Path, how: str, words: str) -> None:
    folder = shutil.copytree(tiny_weights, tmp_path / "weights")
    _spoil(folder, how)
    with pytest.raises(DeoccError, match=words):
        Deoccluder.from_pretrained(folder, "cpu")


def test_unknown_device_is_named() -> None:
    for name in ("abacus", "meta"):  # PyTorch's meta device holds no values
        with pytest.raises(DeoccError, match=f"device '{name}' is not available"):
            pick_device(name)
    assert pick_device("cpu").type == "cpu"


# ------------------------------------------------------------------ prediction folders


def make_case(index: int) -> OcclusionCase:
    """A noise photo of its own size with a block of a person, the lower part hidden."""
    height, width = 60 + 7 * index, 50 + 3 * index
    rng = np.random.default_rng(index)
    amodal = np.zeros((height, width), bool)
    amodal[10:50, 15:35] = True
    modal = amodal.copy()
    modal[40:] = False
    image = rng.integers(0, 256, (height, width, 3), dtype=np.uint8)
    parsing = np.where(amodal, 5, 0).astype(np.uint8)
    return OcclusionCase(
        f"case{index}", image, modal, amodal, image, amodal & ~modal, parsing, modal, f"p{index}"
    )


@pytest.fixture
def cases(tmp_path: Path) -> Path:
    for index in range(5):
        write_case(tmp_path / "cases", make_case(index))
    return tmp_path / "cases"


def predictions(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.glob("*/*.png"))}


def test_predictions_equal_single_photos(known: Deoccluder, cases: Path, tmp_path: Path) -> None:
    assert (
        predict_cases(known, cases, tmp_path / "out", "modal", batch=2, progress=False)
        == CaseFolder(cases).ids
    )
    for case in CaseFolder(cases):
        alone, folder = known.deocclude(case.image, case.modal_mask), tmp_path / "out" / case.id
        assert np.array_equal(read_mask(folder / "modal.png"), alone.modal_mask)
        assert np.array_equal(read_mask(folder / "amodal.png"), alone.amodal_mask)
        assert np.array_equal(read_parsing(folder / "parsing.png"), alone.parsing)
        assert np.array_equal(read_image(folder / "recovered.png"), alone.recovered)
    assert not list((tmp_path / "out").glob(".*"))


def test_a_cut_off_run_goes_on(
    known: Deoccluder, cases: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, whole = tmp_path / "out", known.deocclude_views
    calls = iter([whole, None])

    def cut_off(views):  # type: ignore[no-untyped-def]
        work = next(calls)
        if work is None:
            raise KeyboardInterrupt
        return work(views)

    monkeypatch.setattr(known, "deocclude_views", cut_off)
    with pytest.raises(KeyboardInterrupt):
        predict_cases(known, cases, out, batch=2, progress=False)
    kept = sorted(p.name for p in out.iterdir() if p.is_dir() and not p.name.startswith("."))
    assert kept == ["case0", "case1"]
    monkeypatch.undo()
    (out / "case1" / "parsing.png").unlink()  # an incomplete case is done again
    assert predict_cases(known, cases, out, batch=2, progress=False) == ["case1", "case2", "case3", "case4"]
    assert predict_cases(known, cases, out, batch=2, progress=False) == []
    predict_cases(known, cases, tmp_path / "fresh", progress=False)
    assert predictions(out) == predictions(tmp_path / "fresh") and len(predictions(out)) == 20


def test_predictions_of_another_run_are_kept(known: Deoccluder, cases: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    predict_cases(known, cases, out, "initial", progress=False)
    before = predictions(out)
    with pytest.raises(DeoccError, match=r"another run \(other given\)"):
        predict_cases(known, cases, out, "modal", progress=False)
    known.texture = 0.5
    with pytest.raises(DeoccError, match=r"another run \(other texture\)"):
        predict_cases(known, cases, out, "initial", progress=False)
    known.texture, known.exemplar = 0.0, True
    with pytest.raises(DeoccError, match=r"another run \(other exemplar\)"):
        predict_cases(known, cases, out, "initial", progress=False)
    known.exemplar = False
    write_case(cases, dataclasses.replace(make_case(9), id="case9"))
    with pytest.raises(DeoccError, match=r"other cases"):
        predict_cases(known, cases, out, "initial", progress=False)
    assert predictions(out) == before
    assert len(predict_cases(known, cases, out, "modal", overwrite=True, progress=False)) == 6


def test_predictions_of_nobody_known_are_not_adopted(known: Deoccluder, cases: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    predict_cases(known, cases, out, "initial", progress=False)
    (out / "predict.json").unlink()
    before = predictions(out)
    with pytest.raises(DeoccError, match=r"no predict.json that says whose they are"):
        predict_cases(known, cases, out, "initial", progress=False)
    assert predictions(out) == before and not (out / "predict.json").exists()
    assert predict_cases(known, cases, out, "initial", overwrite=True, progress=False)


def test_cases_are_never_overwritten(known: Deoccluder, cases: Path) -> None:
    before = predictions(cases)
    with pytest.raises(DeoccError, match="which is no prediction"):
        predict_cases(known, cases, cases, overwrite=True, progress=False)
    assert predictions(cases) == before


@pytest.mark.parametrize(
    ("spoil", "given_mask", "words"),
    [
        (
            lambda case: (case / "image.png").write_bytes((case / "image.png").read_bytes()[:300]),
            "initial",
            "image.png",
        ),
        (lambda case: (case / "initial.png").unlink(), "initial", "initial.png is missing"),
        (lambda case: (case / "image.png").write_text("no picture"), "box", "not a picture"),
        (lambda case: (case / "case.json").write_text("{"), "modal", "case.json"),
    ],
)
def test_a_damaged_case_stops_the_run_before_it_writes(
    known, cases, tmp_path, spoil, given_mask, words
) -> None:  # type: ignore[no-untyped-def]
    spoil(cases / "case4")
    with pytest.raises(DeoccError, match=words):
        predict_cases(known, cases, tmp_path / "out", given_mask, batch=1, progress=False)
    assert not (tmp_path / "out").exists()


def test_detail_of_the_given_mask_survives_the_networks_coarse_grid() -> None:
    """A network that repeats what it saw gives the mask back exactly; what it changed stays changed."""
    rows, columns = np.mgrid[:300, :260]
    mask = (np.hypot(rows - 150, columns - 120) < 70 + 8 * np.sin(columns / 2)) | (abs(columns - 120) < 2)
    frame = person_frame(mask)
    seen = frame.paste(frame.crop_mask(mask, 32).astype(np.float32), mask.shape) > 0.5
    assert (seen != mask).mean() > 0.01
    modal, amodal = restore_detail(seen, seen, mask, frame, 32)
    np.testing.assert_array_equal(modal, mask)
    np.testing.assert_array_equal(amodal, mask)
    changed = seen & (rows < 150)
    modal, amodal = restore_detail(changed, seen, mask, frame, 32)
    assert not modal[170:200, 125:150].any() and amodal[170:200, 125:150].all()
    assert (modal <= amodal).all()


class Fixed(nn.Module):
    """Stage 1: the same log-odds whatever is asked; visible part 5."""

    def __init__(self, modal: Tensor, amodal: Tensor) -> None:
        super().__init__()
        self.odds = modal, amodal

    def forward(self, image: Tensor, initial_mask: Tensor, photo: Tensor) -> MaskLogits:
        masks = (torch.cat([-odds / 2, odds / 2], 1).expand(len(image), -1, -1, -1) for odds in self.odds)
        parsing = torch.zeros(len(image), 20, *image.shape[-2:])
        parsing[:, 5] = 1
        return MaskLogits(*masks, parsing, parsing)


def test_the_whole_person_of_stage_two_holds_the_visible_one() -> None:
    rows = torch.arange(SIZE)[:, None].expand(1, 1, SIZE, SIZE)
    upper, middle = (torch.where(where, 4.0, -4.0) for where in (rows < 16, (rows >= 12) & (rows < 24)))
    painter = Painter()
    model = Deoccluder(Fixed(upper, middle), painter, SIZE, "cpu")
    masks = model.stage1(torch.rand(1, 3, SIZE, SIZE), *torch.ones(2, 1, 1, SIZE, SIZE))
    model.stage2(torch.rand(1, 3, SIZE, SIZE), torch.ones(1, 1, SIZE, SIZE), masks)
    assert torch.equal(painter.asked[2] > 0, rows < 24)


def test_nothing_is_answered_outside_the_photo() -> None:
    sure, photo = torch.full((1, 1, SIZE, SIZE), 5.0), torch.ones(1, 1, SIZE, SIZE)
    photo[..., 20:] = 0
    found = Deoccluder(Fixed(sure, sure), Painter(), SIZE, "cpu").stage1(
        torch.rand(1, 3, SIZE, SIZE), photo, photo
    )
    for odds in (found.modal, found.amodal):
        assert (odds[..., :20] == 5).all() and not odds[..., 20:].any()


def test_a_doubtful_stage_1_keeps_half_of_a_rough_mask() -> None:
    doubt = torch.full((1, 1, SIZE, SIZE), -1.0)  # 27 %: less than one half, and far from sure
    image, mask = np.zeros((64, 64, 3), np.uint8), np.zeros((64, 64), bool)
    mask[16:48, 16:48] = True
    answer = Deoccluder(Fixed(doubt, doubt), Painter(), SIZE, "cpu").deocclude(image, mask, paint=False)
    assert (answer.modal_mask & mask).sum() > 0.45 * mask.sum()


def test_predictions_of_other_weights_and_of_no_mirror_are_not_taken_up(
    known: Deoccluder, cases: Path, tmp_path: Path
) -> None:
    predict_cases(known, cases, tmp_path / "out", progress=False)
    for change, word in (({"identity": {"mask": "other"}}, "weights"), ({"flip": True}, "flip")):
        other = Deoccluder(Halves(), Painter(), SIZE, "cpu", **change)
        with pytest.raises(DeoccError, match=rf"another run \(other {word}\)"):
            predict_cases(other, cases, tmp_path / "out", progress=False)


def test_soft_parts_come_with_the_weights(tmp_path: Path) -> None:
    from deocc.models import ContentRecoveryNet

    about = {"input_size": "64"}
    save_weights(tmp_path / "mask-a.safetensors", MaskCompletionNet(8, templates=(4, 8, 8), levels=4), about)
    save_weights(
        tmp_path / "content-a.safetensors",
        ContentRecoveryNet(8, levels=5, prior=True, soft_parts=True),
        about,
    )
    assert Deoccluder.from_pretrained(tmp_path, "cpu").soft_parts


def test_the_box_of_a_case_is_the_prompt_also_where_a_visible_mask_lies_beside_it(cases: Path) -> None:
    name = CaseFolder(cases).ids[0]
    path = cases / name / "case.json"
    write_json(path, read_json(path) | {"box_xyxy": [1, 2, 9, 8]})
    case = read_case(cases / name)
    assert case.given_box == (1, 2, 9, 8) != case.box_xyxy
    assert case_view(case, "box", "box").initial_mask.nonzero()[0].min() == 2
    write_json(path, read_json(path) | {"box_xyxy": [9, 2, 1, 8]})
    with pytest.raises(DeoccError, match="box_xyxy"):
        read_case(cases / name)


def test_what_a_file_manager_hides_is_no_content(known: Deoccluder, cases: Path, tmp_path: Path) -> None:
    predict_cases(known, cases, tmp_path / "out", progress=False)
    name = CaseFolder(cases).ids[0]
    for folder in (cases / name, tmp_path / "out" / name):
        (folder / ".DS_Store").write_bytes(b"x")
    assert predict_cases(known, cases, tmp_path / "out", progress=False) is not None
