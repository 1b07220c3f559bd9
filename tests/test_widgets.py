"""The occlusion explorer, driven without a browser, on untrained networks."""

import io

import numpy as np
import pytest
import torch
from PIL import Image

from deocc import Deoccluder, plots
from deocc.models import ContentRecoveryNet, MaskCompletionNet
from deocc.people import Occluder, Person
from deocc.widgets import OcclusionExplorer


@pytest.fixture(scope="module")
def deoccluder() -> Deoccluder:
    torch.manual_seed(0)
    return Deoccluder(MaskCompletionNet(8), ContentRecoveryNet(8, levels=5), size=64, device="cpu")


def block(name: str, step: int) -> Occluder:
    """A square of which one pixel in step x step is there."""
    mask = np.zeros((60, 60), bool)
    mask[::step, ::step] = True
    return Occluder(name, np.full((60, 60, 3), 90, np.uint8), mask, "block")


@pytest.fixture
def explorer(deoccluder: Deoccluder) -> OcclusionExplorer:
    rng = np.random.default_rng(0)
    mask = np.zeros((96, 96), bool)
    mask[16:80, 32:60] = True
    people = [Person(name, rng.integers(0, 255, (96, 96, 3), np.uint8), mask) for name in ("anna", "ben")]
    return OcclusionExplorer(deoccluder, people, [block("wall", 1), block("dots", 6)], 0.3, size=48)


def test_moving_the_slider_changes_picture_and_ratio_in_place(explorer):
    image, before = explorer.image, explorer.image.value
    explorer.ratio.value = 0.6
    assert explorer.image is image and explorer.image.value != before
    assert abs(explorer.shown.case.occlusion_ratio - 0.6) <= 0.01
    assert "occlusion ratio 0.6" in explorer.caption.value or "occlusion ratio 0.59" in explorer.caption.value
    assert Image.open(io.BytesIO(explorer.image.value)).size == explorer.shown.picture.shape[1::-1]


def test_each_control_is_connected(explorer):
    explorer.severity.value = 1.0
    assert (explorer.shown.case.initial_mask != explorer.shown.case.modal_mask).any()
    explorer.person.value = "ben"
    assert explorer.shown.case.person_id == "ben"


def test_an_impossible_ratio_is_said_and_keeps_the_picture(explorer):
    explorer.ratio.value = 0.8
    before = explorer.image.value
    explorer.occluder.value = "block (dots)"
    assert explorer.shown is None and "no offset hides" in explorer.caption.value
    assert explorer.image.value == before
    explorer.occluder.value = "block (wall)"
    assert explorer.shown is not None


def test_sliders_act_on_release(explorer):
    assert not explorer.ratio.continuous_update and not explorer.severity.continuous_update


def test_rendering_is_pure(deoccluder, explorer):
    person, thing = explorer._people["anna"], explorer._occluders["block (wall)"]
    seeds = (3, 3, 4)
    same, again, other = (plots.render_occlusion(deoccluder, person, thing, 0.4, 1.0, s, 48) for s in seeds)
    assert (same.picture == again.picture).all() and (same.picture != other.picture).any()
