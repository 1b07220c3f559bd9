"""Fine detail of visible clothes on hidden ones."""

import inspect

import numpy as np
import pytest

from deocc.cli import use as cli
from deocc.inference.deoccluder import Deoccluder
from deocc.inference.texture import dominant_shifts, transfer_texture

COAT, FACE, LEFT_LEG, RIGHT_LEG = 7, 13, 16, 17


def striped(size: int = 96) -> tuple[np.ndarray, ...]:
    """A striped person of one part, its middle hidden and painted smoothly; truth last."""
    stripes = np.where(np.arange(size) % 4 < 2, 90, 150).astype(np.uint8)
    truth = np.repeat(np.repeat(stripes[:, None], size, 1)[..., None], 3, 2)
    amodal = np.zeros((size, size), bool)
    amodal[8:88, 16:80] = True
    modal = amodal.copy()
    modal[40:64, 30:60] = False
    hidden = amodal & ~modal
    image, recovered = truth.copy(), truth.copy()
    image[hidden], recovered[hidden] = (0, 255, 0), 120
    return image, recovered, modal, amodal, np.where(amodal, COAT, 0).astype(np.uint8), truth


def test_hidden_stripes_get_the_contrast_of_visible_ones_and_nothing_else_changes():
    image, recovered, modal, amodal, parsing, truth = striped()
    before = recovered.copy()
    found = transfer_texture(image, recovered, modal, amodal, parsing, 1.0)
    hidden = amodal & ~modal
    assert np.array_equal(recovered, before) and np.array_equal(found[~hidden], recovered[~hidden])
    assert found[hidden].std() == pytest.approx(truth[hidden].std(), rel=0.15)
    assert (found[hidden][:, 1] < 200).all()  # nothing of the occluder's green
    half = transfer_texture(image, recovered, modal, amodal, parsing, 0.5)
    assert half[hidden].std() == pytest.approx(found[hidden].std() / 2, rel=0.1)
    assert transfer_texture(image, recovered, modal, amodal, parsing, 0.0) is recovered


def test_faces_and_parts_of_which_nothing_shows_stay_smooth_and_a_twin_lends_its_detail():
    image, recovered, modal, amodal, parsing, _ = striped()
    hidden = amodal & ~modal
    face = np.where(amodal, FACE, 0).astype(np.uint8)
    assert np.array_equal(transfer_texture(image, recovered, modal, amodal, face), recovered)
    alone = parsing.copy()
    alone[hidden] = LEFT_LEG
    assert np.array_equal(transfer_texture(image, recovered, modal, amodal, alone), recovered)
    alone[modal] = RIGHT_LEG
    assert transfer_texture(image, recovered, modal, amodal, alone)[hidden].std() > 5


def test_pixels_without_a_part_and_thin_photos_pass():
    image, recovered, modal, amodal, parsing, _ = striped()
    void = np.where(amodal & ~modal, 255, parsing).astype(np.uint8)
    assert np.array_equal(transfer_texture(image, recovered, modal, amodal, void), recovered)
    column = np.s_[:, 40:41]
    thin = [a[column] for a in (image, recovered, modal, amodal, parsing)]
    assert transfer_texture(*thin).shape == thin[0].shape


@pytest.mark.parametrize("seen", [0, 1])
def test_a_person_wholly_hidden_or_wholly_seen_is_left_alone(seen: int):
    image, recovered, _, amodal, parsing, _ = striped()
    modal = amodal & bool(seen)
    assert transfer_texture(image, recovered, modal, amodal, parsing) is recovered


def test_detail_follows_the_photo_at_any_size():
    small, large = striped(96), striped(96)
    large = tuple(np.repeat(np.repeat(a, 9, 0), 9, 1) for a in large)
    for case in (small, large):
        image, recovered, modal, amodal, parsing, truth = case
        found = transfer_texture(image, recovered, modal, amodal, parsing, 1.0)
        hidden = amodal & ~modal
        assert found[hidden].std() == pytest.approx(truth[hidden].std(), rel=0.25)


def test_dominant_shifts_lead_into_the_source_and_the_first_covers_most():
    target, source = np.zeros((40, 60), bool), np.zeros((40, 60), bool)
    target[10:20, 30:40] = True
    source[10:20, 5:25] = True
    (down, right), *_ = dominant_shifts(target, source)
    assert down == 0 and -25 <= right <= -15
    rows, columns = np.nonzero(target)
    assert source[rows + down, columns + right].all()
    assert abs(right) < 20  # the nearest of those that cover all
    assert dominant_shifts(target, np.zeros_like(source)) == []


def test_one_default_for_command_line_and_library():
    """None: what the weights ask for."""
    for command in (cli.demo, cli.deocclude, cli.predict):
        parameters = inspect.signature(command).parameters
        assert parameters["texture"].default is None and parameters["exemplar"].default is None
    parameters = inspect.signature(Deoccluder.from_pretrained).parameters
    assert parameters["texture"].default is None and parameters["exemplar"].default is None
