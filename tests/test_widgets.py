"""The occlusion explorer, driven without a browser, on untrained networks."""

import io

import numpy as np
import pytest
import torch
from PIL import Image

from deocc import Deoccluder, plots
from deocc.errors import DeoccError
from deocc.models import ContentRecoveryNet, MaskCompletionNet
from deocc.people import Occluder, Person
from deocc.widgets import OcclusionExplorer, TemplateBrowser


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


# ------------------------------------------------------------------------------------------ template browser


@pytest.fixture
def browser(explorer: OcclusionExplorer) -> TemplateBrowser:
    torch.manual_seed(0)
    net = MaskCompletionNet(8, templates=torch.rand(5, 16, 16), levels=3)
    deoccluder = Deoccluder(net, ContentRecoveryNet(8, levels=5), size=64, device="cpu")
    people, things = list(explorer._people.values()), list(explorer._occluders.values())
    return TemplateBrowser(deoccluder, people, things, 0.3, size=48)


def test_a_higher_temperature_spreads_the_weights(browser):
    before = browser.image.value
    browser.temperature.value = 1e-4
    sharp = browser.shown
    browser.temperature.value = 1.0
    assert browser.image.value != before
    assert sharp.weights.sum() == pytest.approx(1, abs=1e-5) and sharp.weights.max() > 0.9
    assert browser.shown.weights.max() < 0.25 and "5.0 of 5 templates" in browser.caption.value
    assert sharp.distances.argmin() == sharp.weights.argmax()


def test_browsing_leaves_the_network_as_it_was(browser):
    before = browser._deoccluder.mask_net.guide.temperature
    browser.temperature.value = 0.5
    browser.ratio.value = 0.5
    assert browser._deoccluder.mask_net.guide.temperature == before == 0.01
    assert abs(browser.shown.case.occlusion_ratio - 0.5) <= 0.01
    browser.person.value = "ben"
    assert browser.shown.case.person_id == "ben"


def test_browser_says_when_an_occluder_is_too_thin(browser):
    browser.ratio.value = 0.8
    browser.occluder.value = "block (dots)"
    assert browser.shown is None and "no offset hides" in browser.caption.value


def test_networks_without_templates_are_refused(deoccluder, explorer):
    with pytest.raises(DeoccError, match="no templates"):
        TemplateBrowser(deoccluder, list(explorer._people.values()), list(explorer._occluders.values()))
