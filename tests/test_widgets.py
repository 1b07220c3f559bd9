"""The widgets, driven without a browser, on untrained networks."""

import csv
import io
import time

import numpy as np
import pytest
import torch
from PIL import Image

from deocc import Deoccluder, figures
from deocc.errors import DeoccError
from deocc.models import ContentRecoveryNet, MaskCompletionNet
from deocc.occlusion import OcclusionCase, occlude
from deocc.people import Occluder, Person
from deocc.people.routing import Candidate, RoutingLog
from deocc.widgets import (
    MASK_STYLES,
    ROUTE_COLOURS,
    SPRITE,
    AttentionMicroscope,
    DensityEditor,
    HolePlayer,
    OcclusionStudio,
    RoutingWidget,
    TemplateBrowser,
    routing,
)


@pytest.fixture(scope="module")
def deoccluder() -> Deoccluder:
    torch.manual_seed(0)
    return Deoccluder(MaskCompletionNet(8), ContentRecoveryNet(8, levels=5), size=64, device="cpu")


def block(name: str, step: int) -> Occluder:
    """A square of which one pixel in step x step is there."""
    mask = np.zeros((60, 60), bool)
    mask[::step, ::step] = True
    return Occluder(name, np.full((60, 60, 3), 90, np.uint8), mask, "block")


def make_people() -> list[Person]:
    rng = np.random.default_rng(0)
    mask = np.zeros((96, 96), bool)
    mask[16:80, 32:60] = True
    return [Person(name, rng.integers(0, 255, (96, 96, 3), np.uint8), mask) for name in ("anna", "ben")]


THINGS = [block("wall", 1), block("dots", 6)]


def picture(data: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(data)))


@pytest.fixture
def studio(deoccluder: Deoccluder) -> OcclusionStudio:
    return OcclusionStudio(deoccluder, make_people(), THINGS, 0.3, size=48)


class TestStudio:
    def test_the_slider_changes_picture_and_ratio_in_place(self, studio):
        image, before, place = studio.image, studio.image.value, studio.canvas.positions[SPRITE]
        studio.ratio.value = 0.6
        assert studio.image is image and studio.image.value != before
        assert studio.canvas.positions[SPRITE] != place
        assert studio.shown.case.occlusion_ratio == pytest.approx(0.6, abs=0.01)
        assert studio.ratio.value == round(studio.case.occlusion_ratio, 2)
        assert f"occlusion ratio {studio.case.occlusion_ratio:.2f}" in studio.caption.value
        assert picture(studio.image.value).shape == studio.shown.picture.shape

    def test_the_slider_moves_the_thing_no_farther_than_needed(self, studio):
        """Of a wall that is wider than the person, only the nearest border has to move."""
        studio.ratio.value = 0.5
        x, y = studio.canvas.positions[SPRITE]
        studio.ratio.value = 0.48
        near = np.hypot(*(np.array(studio.canvas.positions[SPRITE]) - (x, y)))
        assert 0 < near <= 3

    def test_each_step_of_the_slider_moves_the_thing(self, studio):
        for ratio in (0.3, 0.31, 0.32, 0.33, 0.32):
            studio.ratio.value = ratio
            assert studio.case.occlusion_ratio == pytest.approx(ratio, abs=0.005)

    def test_dragging_shows_ratio_and_masks_before_any_network_runs(self, studio):
        answered, layer = studio.shown, studio.canvas.overlay
        studio.canvas.positions = {SPRITE: [0, 0]}
        case = studio.case
        truth = case.occluder_mask & case.amodal_mask
        assert case.occlusion_ratio == truth.sum() / case.amodal_mask.sum()
        assert f"hidden <b>{case.occlusion_ratio:.2f}</b>" in studio.live.value
        assert studio.canvas.overlay != layer
        assert studio.shown is answered, "the networks wait for the hand to let go"
        assert "let go" in studio.caption.value

    def test_letting_go_asks_the_networks_and_moves_the_slider(self, studio):
        before = studio.image.value
        x, y = studio.canvas.positions[SPRITE]
        studio.canvas.act("drop", name=SPRITE, x=x + 6, y=y + 4)
        assert studio.image.value != before
        assert studio.ratio.value == round(studio.case.occlusion_ratio, 2) != 0.3
        assert studio.canvas.positions[SPRITE] == [x + 6, y + 4], "the slider does not push the thing back"

    def test_nothing_hidden_and_all_hidden(self, studio):
        studio.canvas.act("drop", name=SPRITE, x=-1000, y=0)
        assert studio.case.occlusion_ratio == studio.ratio.value == 0 and studio.shown is not None
        studio.ratio.value = 0.95
        sprite = studio.canvas.sprites[SPRITE]
        centre = 46 - sprite["width"] / 2, 48 - sprite["height"] / 2
        studio.canvas.act("drop", name=SPRITE, x=round(centre[0]), y=round(centre[1]))
        assert studio.ratio.value == 1
        assert studio.shown is None and "nothing of the person is visible" in studio.caption.value
        with pytest.raises(DeoccError, match="no answer"):
            studio.figure()
        studio.ratio.value = 0.4
        assert studio.shown.case.occlusion_ratio == pytest.approx(0.4, abs=0.01)

    @pytest.mark.parametrize(
        ("which", "mask"),
        [("visible", "modal_mask"), ("whole", "amodal_mask"), ("invisible", "invisible_mask")],
    )
    def test_the_overlay_is_that_mask(self, studio, which, mask):
        studio.overlay.value = which
        np.testing.assert_array_equal(picture(studio.canvas.overlay)[..., 3] > 0, getattr(studio.case, mask))

    def test_no_overlay_and_both(self, studio):
        studio.overlay.value = "none"
        assert studio.canvas.overlay == b""
        studio.overlay.value = "all"
        np.testing.assert_array_equal(picture(studio.canvas.overlay)[..., 3] > 0, studio.case.amodal_mask)

    def test_each_menu_and_slider_is_connected(self, studio):
        studio.severity.value = 1.0
        assert (studio.shown.case.initial_mask != studio.shown.case.modal_mask).any()
        background = studio.canvas.background
        studio.person.value = "ben"
        assert studio.shown.case.person_id == "ben" and studio.canvas.background != background

    def test_a_thing_that_cannot_hide_so_much_hides_what_it_can_and_says_so(self, studio):
        studio.occluder.value = "block (dots)"
        reached = studio.case.occlusion_ratio
        assert 0 < reached < 0.3 and studio.ratio.value == round(reached, 2)
        assert studio.caption.value.startswith("block cannot hide 0.30 of this person.")
        assert studio.shown is not None
        studio.occluder.value = "block (wall)"
        assert "cannot" not in studio.caption.value

    def test_the_least_that_the_slider_hides_is_said(self, studio):
        studio.ratio.value = 0.0
        assert studio.ratio.value == round(studio.case.occlusion_ratio, 2) > 0
        assert studio.caption.value.startswith("The slider hides at least 0.02; drag the thing aside")
        studio.ratio.value = 0.4
        assert "at least" not in studio.caption.value

    def test_sliders_act_on_release(self, studio):
        assert not studio.ratio.continuous_update and not studio.severity.continuous_update

    def test_the_static_twin_shows_the_same_numbers(self, studio):
        (text,) = [text.get_text() for text in studio.figure().texts]
        assert text == f"N = 1, {studio.caption.value}"

    def test_an_empty_list_is_refused(self, deoccluder):
        with pytest.raises(DeoccError, match="at least one of each"):
            OcclusionStudio(deoccluder, [], THINGS)


def test_the_studio_adds_little_to_what_the_networks_take():
    """From the slider's release to the picture, against both stages alone on the same machine.

    A limit in seconds would measure the machine; tools/bench_widgets.py measures those.
    """
    both = Deoccluder.from_pretrained("small", device="cpu")
    studio = OcclusionStudio(both, make_people(), THINGS, 0.3)
    studio_takes, stages_take = [], []
    for ratio in (0.5, 0.4, 0.6):
        before, start = studio.image.value, time.process_time()
        studio.ratio.value = ratio
        studio_takes.append(time.process_time() - start)
        assert studio.image.value != before
        case, start = studio.shown.case, time.process_time()
        both.deocclude(case.image, mask=case.initial_mask)
        stages_take.append(time.process_time() - start)
    assert min(studio_takes) < 1.5 * min(stages_take) + 0.1


def test_rendering_is_pure(deoccluder):
    person, thing = make_people()[0], THINGS[0]
    seeds = (3, 3, 4)
    same, again, other = (figures.render_occlusion(deoccluder, person, thing, 0.4, 1.0, s, 48) for s in seeds)
    assert (same.picture == again.picture).all() and (same.picture != other.picture).any()


# ------------------------------------------------------------------------------------------ template browser


@pytest.fixture
def browser() -> TemplateBrowser:
    torch.manual_seed(0)
    net = MaskCompletionNet(8, templates=torch.rand(5, 16, 16), levels=3)
    deoccluder = Deoccluder(net, ContentRecoveryNet(8, levels=5), size=64, device="cpu")
    return TemplateBrowser(deoccluder, make_people(), THINGS, 0.3, size=48)


def test_a_higher_temperature_spreads_the_weights(browser):
    before = browser.image.value
    browser.temperature.value = 1e-4
    sharp = browser.shown
    browser.temperature.value = 1.0
    assert browser.image.value != before
    assert sharp.weights.sum() == pytest.approx(1, abs=1e-5) and sharp.weights.max() > 0.9
    assert len(sharp.rows[0]) == 6 and len(sharp.rows[1]) == 5
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


def weights_of(network: torch.nn.Module) -> list[int]:
    return [id(tensor) for tensor in (*network.parameters(), *network.buffers())]


def test_browsing_beside_a_cell_leaves_its_network_alone():
    """A widget runs in a thread of its own while a cell asks the same network."""
    torch.manual_seed(0)
    net = MaskCompletionNet(8, templates=torch.rand(5, 16, 16), levels=3)
    given = Deoccluder(net, ContentRecoveryNet(8, levels=5), size=64, device="cpu")
    widget = TemplateBrowser(given, make_people(), THINGS, 0.3, size=48)
    seen, own = [], widget._deoccluder.mask_net
    own.register_forward_hook(
        lambda *_: seen.append((given.mask_net.guide.temperature, own.guide.temperature))
    )
    widget.temperature.value = 0.5
    assert seen and set(seen) == {(0.01, 0.5)}
    assert weights_of(own) == weights_of(given.mask_net), "no memory is taken"


def test_nobody_to_browse_is_refused(browser):
    for people, things in (([], THINGS), (make_people(), [])):
        with pytest.raises(DeoccError, match="at least one of each"):
            TemplateBrowser(browser._deoccluder, people, things)


def test_people_and_things_of_the_same_name_are_numbered(browser):
    twice = TemplateBrowser(browser._deoccluder, make_people()[:1] * 2, THINGS[:1] * 3, 0.3, size=48)
    assert twice.person.options == ("anna", "anna (2)")
    assert twice.occluder.options == ("block (wall)", "block (wall) (2)", "block (wall) (3)")


def test_browser_says_when_an_occluder_is_too_thin(browser):
    browser.ratio.value = 0.8
    browser.occluder.value = "block (dots)"
    assert browser.shown is None and "no offset hides" in browser.caption.value


def test_networks_without_templates_are_refused(deoccluder):
    with pytest.raises(DeoccError, match="no templates"):
        TemplateBrowser(deoccluder, make_people(), THINGS)


class Unreadable(list):
    """Candidates of which one is damaged; only the one that is asked for is read."""

    ids = ["a", "b", "c"]

    def __getitem__(self, index):
        if self.ids[index] == "b":
            raise DeoccError("b.jpg: damaged")
        return candidates()[index]


def candidates() -> list[Candidate]:
    person = make_people()[0]
    facts = {"a": ("preserve", 0.1, ()), "b": ("discard", 0.4, ("cut < off", "small")), "c": ("", 0.0, ())}
    return [Candidate(name, person.image, person.amodal_mask, *fact) for name, fact in facts.items()]


class TestRouting:
    @pytest.fixture(autouse=True)
    def quick_hand(self, monkeypatch):
        monkeypatch.setattr(routing, "GLANCE", 0.0)

    @pytest.fixture
    def path(self, tmp_path):
        return tmp_path / "new" / "routes.csv"

    @pytest.fixture
    def widget(self, path) -> RoutingWidget:
        return RoutingWidget(candidates(), path, side=48)

    def routed(self, path) -> list[tuple[str, str, str]]:
        with open(path, newline="") as file:
            return [(row["id"], row["route"], row["proposal"]) for row in csv.DictReader(file)]

    def test_each_button_decides_saves_and_goes_on(self, widget, path):
        assert widget.candidate.id == "a" and not path.exists(), "nothing is written before a decision"
        pictures = {widget.canvas.background}
        widget.buttons["preserve"].click()
        assert self.routed(path) == [("a", "preserve", "preserve")] and widget.candidate.id == "b"
        assert "discard</b> (confidence 0.40)" in widget.proposal.value
        assert "cut &lt; off; small" in widget.proposal.value
        widget.buttons["discard"].click()
        widget.buttons["refine"].click()
        assert self.routed(path)[1:] == [("b", "discard", "discard"), ("c", "refine", "")]
        assert widget.candidate is None and "everybody is routed" in widget.proposal.value
        assert "3 of 3 routed: discard 1, preserve 1, refine 1" in widget.status.value
        assert widget.progress.value == widget.progress.max == 3
        pictures.add(widget.canvas.background)
        assert len(pictures) == 2
        widget.buttons["discard"].click()
        assert len(self.routed(path)) == 3, "after the last one the buttons do nothing"

    def test_keys_do_the_same(self, widget, path):
        for key in "dpr":
            widget.canvas.act("key", key=key)
        assert [row[1] for row in self.routed(path)] == ["discard", "preserve", "refine"]
        widget.canvas.act("key", key="Backspace")
        widget.canvas.act("key", key="u")
        assert self.routed(path) == [("a", "discard", "preserve")] and widget.candidate.id == "b"

    def test_a_decision_made_again_counts_the_time_of_both_looks(self, path, monkeypatch):
        clock = [100.0]
        monkeypatch.setattr(time, "monotonic", lambda: clock[0])
        widget = RoutingWidget(candidates(), path, side=48)
        clock[0] += 4
        widget.decide("discard")
        assert "median 4.0 s a decision" in widget.status.value
        widget.take_back()
        assert "median" not in widget.status.value, "nobody is routed, so no time is known"
        clock[0] += 2.5
        widget.decide("refine")
        assert "median 6.5 s a decision" in widget.status.value
        assert RoutingLog(path).median_seconds == 6.5

    def test_a_second_key_routes_nobody_unseen(self, path, monkeypatch):
        clock = [100.0]
        monkeypatch.setattr(routing, "GLANCE", 0.15)
        monkeypatch.setattr(time, "monotonic", lambda: clock[0])
        widget = RoutingWidget(candidates(), path, side=48)
        clock[0] += 2
        widget.canvas.act("key", key="d")
        clock[0] += 0.05
        widget.canvas.act("key", key="d")
        widget.buttons["discard"].click()
        assert [row[0] for row in self.routed(path)] == ["a"] and widget.candidate.id == "b"
        clock[0] += 0.2
        widget.canvas.act("key", key="d")
        assert [row[0] for row in self.routed(path)] == ["a", "b"]
        widget.canvas.act("key", key="u")
        assert widget.candidate.id == "b", "a decision is taken back as soon as one likes"

    def test_the_time_begins_when_the_candidate_is_drawn(self, path, monkeypatch):
        clock = [100.0]
        monkeypatch.setattr(time, "monotonic", lambda: clock[0])

        class Slow(list):
            ids = ["a", "b", "c"]

            def __getitem__(self, index):
                clock[0] += 30
                return candidates()[index]

        widget = RoutingWidget(Slow("abc"), path, side=48)
        clock[0] += 2
        widget.decide("discard")
        assert RoutingLog(path).median_seconds == 2

    def test_white_is_read_on_each_button(self, widget):
        def luminance(colour) -> float:
            share = np.array(colour) / 255
            linear = np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)
            return float(linear @ (0.2126, 0.7152, 0.0722))

        for route, colour in ROUTE_COLOURS.items():
            assert 1.05 / (luminance(colour) + 0.05) >= 4.5, route
            assert widget.buttons[route].style.button_color == f"rgb{colour}"

    def test_undo_shows_the_candidate_again_and_stops_at_the_first(self, widget, path):
        widget.decide("discard")
        widget.undo.click()
        assert widget.candidate.id == "a" and self.routed(path) == []
        widget.undo.click()
        assert widget.candidate.id == "a" and "nothing to take back" in widget.status.value
        widget.decide("preserve")
        assert self.routed(path) == [("a", "preserve", "preserve")] and "nothing" not in widget.status.value

    def test_a_new_widget_goes_on_where_the_last_one_stopped(self, widget, path):
        widget.decide("refine")
        again = RoutingWidget(candidates(), path, side=48)
        assert again.candidate.id == "b" and "1 of 3 routed" in again.status.value
        again.take_back()
        assert again.candidate.id == "a"

    def test_two_windows_on_one_file_keep_both_decisions(self, path):
        one, two = (RoutingWidget(candidates(), path, side=48) for _ in range(2))
        one.decide("discard")
        two.decide("preserve")  # the same candidate: the later decision stands
        assert self.routed(path) == [("a", "preserve", "preserve")] and two.candidate.id == "b"
        two.decide("refine")
        one.take_back()
        assert one.candidate.id == "b" and self.routed(path) == [("a", "preserve", "preserve")]

    def test_another_list_on_the_same_file_leaves_foreign_decisions(self, widget, path):
        widget.decide("discard")
        other = RoutingWidget(candidates()[1:], path, side=48)
        other.take_back()
        assert "last decision is on a" in other.status.value and len(self.routed(path)) == 1

    def test_a_decision_that_cannot_be_saved_is_said_and_not_skipped(self, widget, path):
        path.mkdir(parents=True)  # a folder stands where the file should be
        widget.decide("discard")
        assert "not saved" in widget.status.value and widget.candidate.id == "a"
        path.rmdir()
        widget.decide("discard")
        assert "not saved" not in widget.status.value and widget.candidate.id == "b"

    def test_a_damaged_candidate_is_said_and_can_be_discarded(self, path):
        widget = RoutingWidget(Unreadable("abc"), path, side=48)
        widget.decide("preserve")
        assert widget.candidate is None and "cannot be read: b.jpg: damaged" in widget.status.value
        widget.decide("discard")
        assert self.routed(path)[1] == ("b", "discard", "") and widget.candidate.id == "c"

    def test_the_mask_is_drawn_in_three_ways(self, widget):
        seen = []
        for _ in MASK_STYLES:
            seen.append(widget.canvas.background)
            widget.canvas.act("key", key="m")
        assert len(set(seen)) == 3 and widget.mask.value == MASK_STYLES[0]

    def test_bad_input_is_refused(self, path):
        for bad in ([], candidates() * 2):
            with pytest.raises(DeoccError, match="at least one, each id once"):
                RoutingWidget(bad, path)
        path.parent.mkdir()
        path.write_text("id,route,proposal,seconds\na,keep,,1\n")
        with pytest.raises(DeoccError, match="routes.csv: route 'keep' of 'a' is unknown"):
            RoutingWidget(candidates(), path)


def test_a_candidate_is_shown_whole_and_near():
    image = np.full((50, 100, 3), 90, np.uint8)
    mask = np.zeros((50, 100), bool)
    mask[20:40, 70:80] = True
    plain, tinted = (figures.render_candidate(image, mask, style, 60) for style in ("none", "tint"))
    assert plain.shape == (60, 124, 3)
    assert (plain[:14, :60] == figures.OUTSIDE).all() and (plain[16:44, :60] == 90).all(), (
        "a wide photo, whole"
    )
    changed = (plain != tinted).any(2)
    assert changed[:, :60].mean() == pytest.approx(0.02, abs=0.02)
    assert changed[:, 64:].mean() == pytest.approx(0.5 / 1.3**2, abs=0.08), "near, the person is large"


# ------------------------------------------------------------------------------------------ stage 2


@pytest.fixture(scope="module")
def cases() -> list[OcclusionCase]:
    rng = np.random.default_rng(1)
    return [occlude(person, THINGS[0], 0.5, rng, case_id=person.id) for person in make_people()]


class TestHolePlayer:
    @pytest.fixture
    def player(self, deoccluder, cases) -> HolePlayer:
        return HolePlayer(deoccluder, cases, size=48)

    def test_it_plays_to_the_last_layer(self, player):
        assert player.layer.value == 0 and "<b>input</b>" in player.caption.value
        seen = set()
        for layer in range(player.layer.max + 1):
            player.layer.value = layer
            seen.add(player.image.value)
        assert len(seen) == len(player.steps) and "<b>decoder 1</b>: 0 of" in player.caption.value
        assert player.play.max == player.layer.max == len(player.steps) - 1

    def test_without_attention_there_are_fewer_layers(self, player):
        player.layer.value = player.layer.max
        player.attention.value = False
        assert player.layer.value == player.layer.max == len(player.steps) - 1
        assert "<b>decoder 1</b>" in player.caption.value
        assert not [step for step in player.steps if "PGA" in step.name]

    def test_another_case(self, player):
        before = player.image.value
        player.case.value = "ben"
        assert player.image.value != before and player.question.case.id == "ben"

    def test_one_person_behind_less_and_more(self, deoccluder):
        rng, person = np.random.default_rng(1), make_people()[0]
        both = [occlude(person, THINGS[0], ratio, rng) for ratio in (0.3, 0.5)]
        player = HolePlayer(deoccluder, both, size=48)
        assert player.case.options == ("anna", "anna (2)") and player.question.case is both[0]
        player.case.value = "anna (2)"
        assert player.question.case is both[1]

    def test_playing_beside_a_cell_leaves_its_network_alone(self, deoccluder, player):
        given, own, seen = deoccluder.content_net, player._deoccluder.content_net, []

        def look(*_: object) -> None:
            hooks = sum(len(module._forward_hooks) for module in given.modules())
            seen.append((len(given.encoder_attention), len(own.encoder_attention), hooks))

        first = next(module for module in own.modules() if isinstance(module, torch.nn.Conv2d))
        handle = first.register_forward_hook(look)
        player.attention.value = False
        handle.remove()
        assert seen and set(seen) == {(len(given.encoder_attention), 0, 0)} and len(given.encoder_attention)
        assert weights_of(own) == weights_of(given), "no memory is taken"

    def test_no_case_is_refused(self, deoccluder):
        with pytest.raises(DeoccError, match="at least one"):
            HolePlayer(deoccluder, [])


class TestMicroscope:
    @pytest.fixture
    def microscope(self, deoccluder, cases) -> AttentionMicroscope:
        return AttentionMicroscope(deoccluder, cases, size=48)

    def test_it_opens_where_something_is_seen(self, microscope):
        """Inside the hole, in the finest map, after the module that looks there most sharply."""
        assert not microscope.pair[0].visible[microscope.cell]
        sharpness, grids = {}, {}
        opened = microscope.place.value
        for place in microscope.place.options:
            microscope.place.value = place
            told = microscope.pair[0]
            sharpness[place], grids[place] = told.lift(told.central_cell()), told.grid
        assert grids[opened] == max(grids.values())
        assert sharpness[opened] == max(s for place, s in sharpness.items() if grids[place] == grids[opened])
        microscope.place.value = opened
        assert "largest weight" in microscope.caption.value and microscope.canvas.overlay

    def test_looking_beside_a_cell_leaves_its_network_alone(self, deoccluder, microscope):
        given, own, seen = deoccluder.content_net, microscope._deoccluder.content_net, []

        def look(*_: object) -> None:
            seen.append(sum(len(module._forward_hooks) for module in given.modules()))

        with_hook = own.register_forward_pre_hook(look)
        microscope.place.value = "encoder 3"
        with_hook.remove()
        assert seen and not any(seen)

    def test_a_click_looks_from_there(self, microscope):
        before, layer = microscope.image.value, microscope.canvas.overlay
        grid, side = microscope.pair[0].grid, microscope.canvas.width
        row, column = np.argwhere(~microscope.pair[0].visible)[0]
        x, y = ((v + 0.5) * side / grid for v in (column, row))
        microscope.canvas.act("point", x=x, y=y)
        assert microscope.cell == (row, column)
        assert microscope.image.value != before and microscope.canvas.overlay != layer
        assert f"cell {row}, {column} of {grid} x {grid}" in microscope.caption.value

    def test_a_visible_pixel_is_explained(self, microscope):
        microscope.canvas.act("point", x=0, y=0)
        assert "keeps its own feature" in microscope.caption.value
        opaque = picture(microscope.canvas.overlay)[..., 3] > 0
        assert 0 < opaque.sum() < opaque.size / 8, "its frame alone"

    def test_guidance_changes_what_lies_over_the_photo(self, microscope):
        layer, below = microscope.canvas.overlay, microscope.image.value
        microscope.guidance.value = "parts not given"
        assert microscope.canvas.overlay != layer and microscope.image.value == below

    def test_arrow_keys_move_the_cell_and_stop_at_the_border(self, microscope):
        row, column = microscope.cell
        microscope.canvas.act("key", key="ArrowDown")
        assert microscope.cell == (row + 1, column)
        for _ in range(40):
            microscope.canvas.act("key", key="ArrowLeft")
        assert microscope.cell == (row + 1, 0)

    def test_another_place_and_another_case(self, microscope):
        microscope.place.value = "encoder 3"
        assert microscope.pair[0].grid == 8
        background = microscope.canvas.background
        microscope.case.value = "ben"
        assert microscope.canvas.background != background and microscope.pair[0].grid == 8

    def test_weights_without_attention_are_refused(self, cases):
        bare = ContentRecoveryNet(8, attention="none", levels=5)
        with pytest.raises(DeoccError, match="weights of stage 2 with attention"):
            AttentionMicroscope(Deoccluder(MaskCompletionNet(8), bare, 64, "cpu"), cases)


def test_each_knot_of_the_density_editor_is_heard():
    editor = DensityEditor(start="val")
    assert len(editor.knots) == 11
    for number, knot in enumerate(editor.knots):
        before = editor.image.value, editor.density.heights
        knot.value = 0.35 if knot.value != 0.35 else 0.4
        assert editor.image.value != before[0] and editor.density.heights[number] == knot.value
    assert picture(editor.image.value).ndim == 3 and "mean occlusion ratio" in editor.caption.value
