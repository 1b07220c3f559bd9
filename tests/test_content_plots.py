"""Pictures of stage 2, on untrained networks and hand-made maps."""

from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from deocc import Deoccluder
from deocc import figures as C
from deocc.errors import DeoccError
from deocc.figures.colours import INK, INVISIBLE, OUTSIDE, PAPER
from deocc.figures.output import figure_array
from deocc.models import ContentRecoveryNet, MaskCompletionNet
from deocc.occlusion import OcclusionCase

SIZE = 64


def make_case(name: str = "a", width: int = 40) -> OcclusionCase:
    """A person of two parts, a coat above pants, with a bar in front of the middle."""
    rng = np.random.default_rng(3)
    amodal = np.zeros((120, 120), bool)
    amodal[20:100, 50 : 50 + width] = True
    occluder = np.zeros_like(amodal)
    occluder[45:75] = True
    parsing = np.where(amodal, 7, 0).astype(np.uint8)
    parsing[60:][amodal[60:]] = 9
    target = rng.integers(0, 255, (120, 120, 3), np.uint8)
    image = np.where(occluder[..., None], np.uint8(9), target)
    return OcclusionCase(name, image, amodal & ~occluder, amodal, target, occluder, parsing, amodal)


def deoccluder_with(attention: str) -> Deoccluder:
    torch.manual_seed(0)
    content = ContentRecoveryNet(8, attention=attention, levels=5)
    return Deoccluder(MaskCompletionNet(8), content, size=SIZE, device="cpu")


@pytest.fixture(scope="module")
def deoccluder() -> Deoccluder:
    return deoccluder_with("fusion")


@pytest.fixture(scope="module")
def question(deoccluder: Deoccluder) -> C.Question:
    return C.ask(deoccluder, make_case())


class TestAsk:
    def test_the_network_is_told_what_training_tells_it(self, question):
        image, valid, amodal, modal_parts, amodal_parts = question.inputs
        assert image.shape == (1, 3, SIZE, SIZE) and modal_parts.shape == amodal_parts.shape == (
            1,
            19,
            64,
            64,
        )
        hole = torch.from_numpy(question.hole)
        assert hole.any() and (valid[0, 0][hole] == 0).all() and (amodal[0, 0][hole] == 1).all()
        assert (valid[0, 0][~hole] == torch.from_numpy(question.photo_mask)[~hole].float()).all()
        assert not modal_parts[..., hole].any() and (amodal_parts[..., hole].sum(1) == 1).all()

    def test_predicted_masks_come_from_stage_1(self, deoccluder):
        with torch.inference_mode():
            found = C.ask(deoccluder, make_case(), "predicted")
        assert not np.array_equal(found.hole, C.ask(deoccluder, make_case()).hole)

    def test_bad_requests_are_named(self, deoccluder):
        with pytest.raises(DeoccError, match="use 'true' or 'predicted'"):
            C.ask(deoccluder, make_case(), "guessed")
        bare = OcclusionCase("bare", make_case().image, make_case().modal_mask)
        with pytest.raises(DeoccError, match=r"case bare: .*amodal.png is missing"):
            C.ask(deoccluder, bare)

    def test_a_picture_is_grey_outside_the_photo(self, deoccluder):
        case = make_case()
        columns = slice(*np.flatnonzero(case.amodal_mask.any(0))[[0, -1]])  # narrower than the frame is wide
        arrays = {k: v[:, columns] for k, v in vars(case).items() if isinstance(v, np.ndarray) and v.ndim > 1}
        question = C.ask(deoccluder, replace(case, **arrays))
        picture = question.picture(SIZE)
        assert (picture[~question.photo_mask] == OUTSIDE).all() and not question.photo_mask.all()


class TestClosingHoles:
    def test_validity_is_a_maximum_over_the_window(self, deoccluder, question):
        """Without attention a cell is known where anything in its window was: a max pool."""
        steps = {s.name: s for s in C.close_hole(deoccluder, question, attention=False)}
        valid = question.inputs[1]
        for k, kernel in ((1, 7), (2, 5), (3, 5), (4, 3), (5, 3)):
            valid = F.max_pool2d(valid, kernel, 2, kernel // 2)
            np.testing.assert_array_equal(steps[f"encoder {k}"].valid, valid[0, 0].numpy() > 0)
        assert not [name for name in steps if name.startswith("PGA")]

    def test_layers_come_in_the_order_of_the_computation(self, deoccluder, question):
        names = [step.name for step in C.close_hole(deoccluder, question)]
        assert names[:5] == ["input", "encoder 1", "encoder 2", "encoder 3", "PGA, encoder 3"]
        assert names[-3:] == ["PGA, decoder 3", "decoder 2", "decoder 1"]
        assert names.index("decoder 5") == names.index("PGA, encoder 5") + 1

    def test_attention_closes_all_and_the_next_layer_is_told_so(self, deoccluder, question):
        after = {s.name: s for s in C.close_hole(deoccluder, question)}
        assert after["PGA, encoder 3"].valid.all() and after["input"].open_share == 1
        handed: list[torch.Tensor] = []
        layer = deoccluder.content_net.encoder["4"]
        handle = layer.register_forward_pre_hook(lambda module, arguments: handed.append(arguments[1]))
        deoccluder.content_net(*question.inputs)
        handle.remove()
        assert handed[0].all()

    def test_leaving_attention_out_is_undone(self, deoccluder, question):
        before = C.close_hole(deoccluder, question)
        C.close_hole(deoccluder, question, attention=False)
        again = C.close_hole(deoccluder, question)
        assert all(np.array_equal(a.energy, b.energy) for a, b in zip(before, again, strict=True))
        assert len(C.attentions(deoccluder.content_net)) == 4
        assert not [hook for m in deoccluder.content_net.modules() for hook in m._forward_hooks]

    def test_colours_say_what_is_known(self, question):
        valid = np.array([[True, False], [False, True]])
        hole = np.array([[True, True], [False, False]])
        step = C.Step("toy", valid, np.zeros((2, 2), np.float32), hole)
        assert step.open_share == 0.5
        empty = question._replace(hole=np.zeros((SIZE, SIZE), bool))
        picture = C.validity_picture(step, empty, 4)
        assert tuple(picture[0, 0]) == PAPER and tuple(picture[0, 3]) == INK
        assert (picture[3, 0] == OUTSIDE).all()

    def test_the_picture_and_the_curves(self, deoccluder, question):
        runs = {name: C.close_hole(deoccluder, question, name == "on") for name in ("on", "off")}
        picture = C.render_hole(question, runs["on"][1], 48)
        assert picture.shape == (68, 3 * 48 + 8, 3) and picture.dtype == np.uint8
        lines = C.hole_curves(runs, "N = 1").axes[0].lines
        assert lines[0].get_ydata()[0] == 1 and lines[0].get_ydata()[-1] == 0
        assert figure_array(C.hole_curves(runs)).min() < 250

    def test_another_network_is_refused(self, question):
        net = torch.nn.Conv2d(3, 3, 1)
        with pytest.raises(DeoccError, match="is a Conv2d"):
            C.close_hole(Deoccluder(MaskCompletionNet(8), net, SIZE, "cpu"), question)


class TestAttentionMaps:
    @pytest.mark.parametrize("place", ["encoder 3", "decoder 3"])
    def test_rows_sum_to_one_and_look_at_visible_cells_alone(self, deoccluder, question, place):
        found = C.attention_maps(deoccluder, question, place)
        np.testing.assert_allclose(found.matrix.sum(1), 1, atol=1e-5)
        hidden = ~found.visible.ravel()
        assert found.matrix[:, hidden][hidden].max() < 1e-6
        assert found.matrix.shape == (found.grid**2,) * 2

    def test_it_is_the_map_that_the_network_uses(self, deoccluder, question):
        """R times the values is what stream T adds: recomputed from the feature that came in."""
        kept: list[tuple] = []
        module = deoccluder.content_net.decoder_attention["3"]
        handle = module.spatial.register_forward_hook(lambda m, a, result: kept.append((a[0], result)))
        with torch.inference_mode():
            found = C.attention_maps(deoccluder, question, "decoder 3")
        handle.remove()
        feature, result = kept[0]
        gathered = torch.from_numpy(found.matrix) @ feature[0].flatten(1).T
        torch.testing.assert_close(gathered.T.reshape(result[0].shape), result[0], atol=1e-4, rtol=1e-4)

    def test_guidance_changes_where_it_looks(self, deoccluder, question):
        told, untold = (C.attention_maps(deoccluder, question, "decoder 3", g) for g in (True, False))
        cell = told.central_cell()
        assert not told.visible[cell] and told.parts[cell] in (7, 9)
        assert np.abs(told.look(cell) - untold.look(cell)).max() > 1e-5
        assert (told.parts == untold.parts).all()

    def test_places_are_named(self, deoccluder, question):
        with pytest.raises(DeoccError, match="'encoder 2' is not available; there are encoder 3"):
            C.attention_maps(deoccluder, question, "encoder 2")
        with pytest.raises(DeoccError, match="trained without attention"):
            C.attention_maps(deoccluder_with("none"), question, "encoder 3")
        with pytest.raises(DeoccError, match="without stream T"):
            C.attention_maps(deoccluder_with("body"), question, "encoder 3")


def toy_relevance() -> C.Relevance:
    """Four cells: part 7 visible, background, part 7 hidden, part 9 visible."""
    matrix = np.eye(4, dtype=np.float32)
    matrix[2] = 0.5, 0.125, 0.0, 0.375
    visible = np.array([[True, True], [False, True]])
    person = np.array([[True, False], [False, True]])
    return C.Relevance("toy", True, matrix, visible, np.array([[7, 0], [7, 9]], np.uint8), person)


def test_shares_of_weight_by_part():
    toy = toy_relevance()
    assert toy.central_cell() == (1, 0)
    assert toy.shares((1, 0)) == {C.OWN_PART: 0.5, C.OTHER_PARTS: 0.375, C.BACKGROUND: 0.125}
    assert toy.lift((1, 0)) == 1.5
    means = C.mean_shares(toy)
    assert means[C.OWN_PART] == 0.5 and means["chance"] == pytest.approx(1 / 3)
    nothing = C.mean_shares(toy._replace(visible=np.ones((2, 2), bool)))
    assert all(np.isnan(v) for v in nothing.values())


def test_the_glow_grows_with_the_weight_and_spares_the_hidden():
    toy = toy_relevance()
    layer = C.glow_layer(toy.look((1, 0)), toy.visible, 2)
    brightness = layer[..., :3].astype(int).sum(2)
    assert layer[1, 0, 3] == 0 and brightness[0, 0] > brightness[1, 1] > brightness[0, 1]


def test_a_cell_is_framed_and_the_rest_is_left():
    blank = np.zeros((64, 64, 3), np.uint8)
    framed = C.frame_cell(blank, (1, 2), 4)
    assert tuple(framed[16, 40]) == INVISIBLE and not blank.any()
    assert not framed[24, 40].any() and not framed[:12].any() and not framed[:, :28].any()


def test_the_microscope_shows_photo_parts_and_both_maps(deoccluder, question):
    pair = [C.attention_maps(deoccluder, question, "decoder 3", g) for g in (True, False)]
    panels = C.microscope_panels(question, pair, pair[0].central_cell(), 64)
    assert list(panels) == ["photo", "body parts", "looks at, parts given", "looks at, parts not given"]
    assert all(panel.shape == (64, 64, 3) and panel.dtype == np.uint8 for panel in panels.values())
    other = C.microscope_panels(question, pair, (0, 0), 64)
    assert (panels["looks at, parts given"] != other["looks at, parts given"]).any()
