"""The networks against closed forms and naive loops."""

from __future__ import annotations

import json
import os
import resource

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from deocc.errors import DeoccError
from deocc.inference.weights import find_weights
from deocc.models import (
    ContentRecoveryNet,
    Hourglass,
    MaskCompletionNet,
    ParsingGuidedAttention,
    PartialConv2d,
    PatchDiscriminator,
    TemplateGuide,
    count_parameters,
    encoder_levels,
    load_weights,
    mix_background,
    read_metadata,
    save_weights,
)
from deocc.models.attention import hidden_index, nearest_to
from deocc.models.trunk import Lite0Trunk, pretrained_parameters
from deocc.training.mask import MaskSettings, new_network


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


# ---------------------------------------------------------------- partial convolution


def naive_partial(layer: PartialConv2d, x: Tensor, valid: Tensor) -> tuple[Tensor, Tensor]:
    """The definition, window by window, for one image (C x H x W, S x H x W)."""
    k, stride, pad = layer.conv.kernel_size[0], layer.conv.stride[0], layer.conv.padding[0]
    full = torch.cat([v.expand(c, -1, -1) for c, v in zip(layer.sources, valid.split(1), strict=True)])
    x, full = F.pad(x, (pad,) * 4), F.pad(full, (pad,) * 4)
    rows, cols = ((n - k) // stride + 1 for n in x.shape[-2:])
    y, hit = torch.zeros(layer.conv.out_channels, rows, cols), torch.zeros(1, rows, cols)
    for i in range(rows):
        for j in range(cols):
            window = (slice(None), slice(i * stride, i * stride + k), slice(j * stride, j * stride + k))
            known = float(full[window].sum())
            if known > 0:
                product = (layer.conv.weight * x[window] * full[window]).sum((1, 2, 3))
                bias = 0 if layer.bias is None else layer.bias
                y[:, i, j] = product * full[window].numel() / known + bias
                hit[:, i, j] = 1
    return y, hit


def test_partial_convolution_is_a_convolution_where_everything_is_known() -> None:
    layer = PartialConv2d(6, 5, 5, padding=2, sources=(4, 2))
    nn.init.normal_(layer.bias)
    x = torch.randn(2, 6, 12, 11)
    y, valid = layer(x, torch.ones(2, 2, 12, 11))
    ordinary = F.conv2d(x, layer.conv.weight, layer.bias, padding=2)
    inner = (..., slice(2, -2), slice(2, -2))
    torch.testing.assert_close(y[inner], ordinary[inner], rtol=1e-5, atol=1e-5)
    assert (y[..., 0, 0] - ordinary[..., 0, 0]).abs().max() > 1e-3  # padding counts as unknown
    assert valid.shape == (2, 1, 12, 11) and valid.all()


@pytest.mark.parametrize("sources", [None, (2, 1), (1, 1, 1)])
@pytest.mark.parametrize(("kernel", "stride", "padding"), [(3, 1, 1), (5, 2, 2), (3, 2, 0)])
def test_partial_convolution_equals_the_naive_loop(
    sources: tuple[int, ...] | None, kernel: int, stride: int, padding: int
) -> None:
    layer = PartialConv2d(3, 4, kernel, stride, padding, sources=sources)
    nn.init.normal_(layer.bias)
    x = torch.randn(2, 3, 9, 10)
    valid = (torch.rand(2, len(layer.sources), 9, 10) < 0.3).float()
    valid[..., 3:, 3:] = 0  # leaves windows that hold nothing
    y, hit = layer(x, valid)
    for n in range(2):
        expected, expected_hit = naive_partial(layer, x[n], valid[n])
        torch.testing.assert_close(y[n], expected, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(hit[n], expected_hit)
    assert 0 < hit.mean() < 1  # the case holds windows of both kinds


def test_partial_convolution_ignores_what_is_unknown() -> None:
    layer = PartialConv2d(2, 3, 3, padding=1)
    x = torch.randn(1, 2, 8, 8)
    valid = (torch.rand(1, 1, 8, 8) < 0.5).float()
    other = torch.where(valid.bool(), x, torch.full_like(x, 1e6))
    torch.testing.assert_close(layer(x, valid)[0], layer(other, valid)[0])


def test_each_source_has_its_own_validity() -> None:
    """A hole in the skip leaves the decoder's part readable: renormalised over its channels alone."""
    layer = PartialConv2d(3, 4, 3, padding=1, bias=False, sources=(2, 1))
    x = torch.randn(1, 3, 7, 7)
    valid = torch.stack([torch.ones(7, 7), torch.zeros(7, 7)])[None]
    y, hit = layer(x, valid)
    alone = F.conv2d(x[:, :2], layer.conv.weight[:, :2], padding=1) * 3 / 2  # 3 channels, 2 known
    torch.testing.assert_close(y[..., 1:-1, 1:-1], alone[..., 1:-1, 1:-1])
    assert hit.all()
    nothing, hit = layer(x, torch.zeros(1, 2, 7, 7))
    assert not nothing.any() and not hit.any()


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 6), st.integers(0, 10**6))
def test_constant_image_stays_constant(channels: int, seed: int) -> None:
    """Renormalisation keeps the mean: an averaging kernel returns it wherever something is known."""
    generator = torch.Generator().manual_seed(seed)
    layer = PartialConv2d(channels, 1, 3, padding=1, bias=False)
    nn.init.constant_(layer.conv.weight, 1 / (9 * channels))
    valid = (torch.rand(1, 1, 8, 8, generator=generator) < 0.3).float()
    y, hit = layer(torch.full((1, channels, 8, 8), 0.7), valid)
    torch.testing.assert_close(y, 0.7 * hit)


def test_partial_convolution_rejects_wrong_sources() -> None:
    with pytest.raises(DeoccError, match="sum to in_channels"):
        PartialConv2d(4, 4, 3, sources=(2, 1))
    with pytest.raises(DeoccError, match="one validity map a source"):
        PartialConv2d(4, 4, 3, sources=(2, 2))(torch.rand(1, 4, 8, 8), torch.ones(1, 1, 8, 8))


# ---------------------------------------------------------------- parsing guided attention


def attention_case(size: int, channels: int = 6, parts: int = 3) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Feature, one-hots and validity with a hole; two images with holes of different size."""
    labels = torch.randint(0, parts, (2, size, size))
    amodal = F.one_hot(labels, parts).permute(0, 3, 1, 2).float()
    valid = torch.ones(2, 1, size, size)
    valid[0, :, 1 : size // 2, 1 : size // 2] = 0
    valid[1, :, 2:4, 2:3] = 0
    return torch.randn(2, channels, size, size), amodal * valid, amodal, valid


def naive_attention(
    module: ParsingGuidedAttention, feature: Tensor, modal: Tensor, amodal: Tensor, valid: Tensor
) -> tuple[Tensor, Tensor]:
    """R and t of stream T, by loops over positions."""
    stream = module.spatial
    n, channels, height, width = feature.shape
    relevance = torch.zeros(n, height * width, height * width)
    for i in range(n):
        at = [(y, x) for y in range(height) for x in range(width)]
        for row, (y, x) in enumerate(at):
            if valid[i, 0, y, x]:
                relevance[i, row, row] = 1  # a visible position keeps its own feature
                continue
            q = stream.query.weight[:, :, 0, 0] @ torch.cat([feature[i, :, y, x], amodal[i, :, y, x]])
            q = q + stream.query.bias
            for column, (v, u) in enumerate(at):
                if valid[i, 0, v, u]:
                    k = stream.key.weight[:, :, 0, 0] @ torch.cat([feature[i, :, v, u], modal[i, :, v, u]])
                    relevance[i, row, column] = torch.exp(q @ (k + stream.key.bias) / channels**0.5)
            relevance[i, row] /= relevance[i, row].sum()
    t = torch.einsum("nqk,nck->ncq", relevance, feature.flatten(2))
    return relevance, t.reshape(feature.shape)


@torch.no_grad()
def test_attention_equals_the_naive_loop() -> None:
    module = ParsingGuidedAttention(6, parts=3)
    case = attention_case(6)
    relevance, t = naive_attention(module, *case)
    found = module.attention_map(*case)
    torch.testing.assert_close(found, relevance, rtol=1e-3, atol=1e-5)
    torch.testing.assert_close(found.sum(-1), torch.ones(2, 36))
    torch.testing.assert_close(module.spatial(*case), t, rtol=1e-3, atol=1e-5)


@torch.no_grad()
def test_invisible_positions_are_never_attended() -> None:
    module = ParsingGuidedAttention(6, parts=3)
    feature, modal, amodal, valid = attention_case(6)
    hidden = valid.flatten(1) == 0
    rows = module.attention_map(feature, modal, amodal, valid)
    assert rows[hidden][:, :].mul(hidden.repeat_interleave(hidden.sum(1), 0)).max() == 0
    changed = torch.where(valid.bool(), feature, feature + 100 * torch.randn_like(feature))
    value = module.spatial(feature, modal, amodal, valid)
    assert (module.spatial(changed, modal, amodal, valid) - value).abs().max() > 1e-3  # the queries changed
    keys = module.spatial._query_key(feature, modal, amodal)[1]
    assert not hidden.all() and keys.shape == (2, 36, 6)


def test_attention_without_hole_or_without_visible_pixel_is_finite() -> None:
    module = ParsingGuidedAttention(6, parts=3)
    feature, modal, amodal, valid = attention_case(6)
    assert torch.equal(module.spatial(feature, modal, amodal, torch.ones_like(valid)), feature)
    blind = module.spatial(feature, modal, amodal, torch.zeros_like(valid))
    assert blind.isfinite().all()
    rows = module.attention_map(feature, modal, amodal, torch.zeros_like(valid))
    torch.testing.assert_close(rows.sum(-1), torch.ones(2, 36))


def test_hidden_index_lists_every_hidden_position() -> None:
    visible = torch.tensor([[1, 0, 1, 0], [1, 1, 1, 0], [1, 1, 1, 1]]).bool()
    index = hidden_index(visible)
    assert index.shape == (3, 2)
    assert index[0].tolist() == [1, 3] and index[1, 0] == 3


@torch.no_grad()
def test_body_stream_equals_its_definition() -> None:
    module = ParsingGuidedAttention(6, parts=3, spatial=False)
    feature, modal, amodal, valid = attention_case(6)
    b = module.body
    sorted_feature = torch.cat([b.reduce_modal(feature) * modal, b.reduce_amodal(feature) * amodal], 1)
    expected = feature + module.fuse(torch.cat([feature, b.compare(sorted_feature)], 1))
    torch.testing.assert_close(module(feature, modal, amodal, valid), expected)
    with pytest.raises(DeoccError, match="stream T"):
        module.attention_map(feature, modal, amodal, valid)


@torch.no_grad()
def test_cascade_feeds_the_body_stream_to_the_spatial_one() -> None:
    module = ParsingGuidedAttention(6, parts=3, fusion="cascade")
    feature, modal, amodal, valid = attention_case(6)
    b = module.body(feature, modal, amodal)
    t = module.attention_map(feature, modal, amodal, valid) @ b.flatten(2).transpose(1, 2)
    t = t.transpose(1, 2).reshape(feature.shape)
    expected = feature + module.fuse(torch.cat([feature, t], 1))
    torch.testing.assert_close(module(feature, modal, amodal, valid), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("fusion", ["concat", "cascade"])
def test_every_attention_parameter_learns(fusion: str) -> None:
    module = ParsingGuidedAttention(6, parts=3, fusion=fusion)
    module(*attention_case(6)).square().mean().backward()
    for name, p in module.named_parameters():
        if name != "spatial.key.bias":  # adds one constant to a row's logits: softmax ignores it
            assert p.grad is not None and p.grad.abs().max() > 1e-9, name


@pytest.mark.parametrize(
    "options", [{"body": False, "spatial": False}, {"fusion": "sum"}, {"fusion": "cascade", "body": False}]
)
def test_attention_rejects_impossible_switches(options: dict) -> None:
    with pytest.raises(DeoccError, match="expected fusion in"):
        ParsingGuidedAttention(8, **options)


def peak_bytes(module: nn.Module, size: int) -> int:
    """Highest sum of live tensor bytes allocated in one forward pass, from the profiler's memory events."""
    feature = torch.randn(1, 16, size, size)
    parsing = torch.zeros(1, 19, size, size)
    valid = torch.ones(1, 1, size, size)
    valid[..., size // 4 : 3 * size // 4, size // 4 : 3 * size // 4] = 0  # a quarter is hidden
    with torch.no_grad(), torch.profiler.profile(profile_memory=True) as profile:
        module(feature, parsing, parsing, valid)
    live = peak = 0
    for event in profile.profiler.kineto_results.events():
        if event.name() == "[memory]":
            live += event.nbytes()
            peak = max(peak, live)
    return peak


def test_memory_grows_linearly_with_positions() -> None:
    """Four times the positions cost about four times the memory; HW x HW would cost sixteen times."""
    module = ParsingGuidedAttention(16)
    module(*(torch.rand(1, c, 8, 8) for c in (16, 19, 19, 1)))  # lazy initialisation happens here
    small, large = peak_bytes(module, 32), peak_bytes(module, 64)
    assert 3.0 < large / small < 5.0, (small, large)
    hidden, positions = 64 * 64 // 4, 64 * 64
    assert large < 4 * hidden * positions, large  # not even invisible queries x keys in float32


# ---------------------------------------------------------------- templates


def test_template_distance_is_the_mean_squared_difference_over_the_photo() -> None:
    guide = TemplateGuide(torch.rand(5, 8, 8), 4, 0.01)
    mask = F.interpolate(torch.rand(2, 1, 8, 8), scale_factor=4)  # constant on each template cell
    photo = torch.ones(2, 1, 32, 32)
    photo[1, :, :, :16] = 0
    difference = (mask[:, :, ::4, ::4] - guide.templates[None]).square()  # N x K x 8 x 8
    torch.testing.assert_close(guide.distances(mask, photo)[0], difference[0].mean((1, 2)))
    torch.testing.assert_close(guide.distances(mask, photo)[1], difference[1, :, :, 4:].mean((1, 2)))
    torch.testing.assert_close(guide.distances(mask)[0], difference[0].mean((1, 2)))


def test_template_weights_at_the_limits_of_the_temperature() -> None:
    templates = torch.rand(7, 8, 8).round()
    mask = F.interpolate(templates[3][None, None], scale_factor=4)
    cold, hot = (TemplateGuide(templates, 4, t).weights(mask) for t in (1e-4, 1e4))
    torch.testing.assert_close(cold, F.one_hot(torch.tensor([3]), 7).float())
    torch.testing.assert_close(hot, torch.full((1, 7), 1 / 7), rtol=1e-3, atol=1e-5)
    torch.testing.assert_close(TemplateGuide(templates, 4, 0.05).weights(mask).sum(1), torch.ones(1))


def test_template_feature_is_a_convolution_of_reweighted_templates() -> None:
    guide = TemplateGuide(torch.rand(5, 8, 8), 4, 0.02)
    mask = torch.rand(2, 1, 32, 32)
    weighted = guide.weights(mask)[:, :, None, None] * guide.templates[None]
    expected = F.conv2d(weighted, guide.conv.weight, guide.conv.bias, padding=1)
    torch.testing.assert_close(guide(mask), expected)


@pytest.mark.parametrize("templates", [torch.rand(8, 8), torch.rand(2, 8, 8) + 1, torch.rand(0, 8, 8)])
def test_templates_are_validated(templates: Tensor) -> None:
    with pytest.raises(DeoccError, match="templates have shape"):
        MaskCompletionNet(8, templates=templates)
    with pytest.raises(DeoccError, match="temperature"):
        MaskCompletionNet(8, templates=torch.rand(2, 8, 8), temperature=0)


# ---------------------------------------------------------------- mask completion


@pytest.mark.parametrize(("size", "n"), [(64, 2), (128, 1), (256, 1), (100, 1)])
def test_mask_completion_shapes(size: int, n: int) -> None:
    net = MaskCompletionNet(8, templates=torch.rand(4, 16, 16)).eval()
    with torch.no_grad():
        out = net(torch.rand(n, 3, size, size), torch.ones(n, 1, size, size))
    assert out.modal.shape == out.amodal.shape == (n, 2, size, size)
    assert out.parsing_modal.shape == out.parsing_amodal.shape == (n, 20, size, size)


@pytest.mark.parametrize("modal", [False, True])
@pytest.mark.parametrize("parsing", [False, True])
@pytest.mark.parametrize("templates", [None, torch.rand(4, 16, 16)])
def test_switches_of_table_4(modal: bool, parsing: bool, templates: Tensor | None) -> None:
    """Outputs vanish with their branch, everything left learns, and both hourglasses stay."""
    net = MaskCompletionNet(8, templates=templates, modal=modal, parsing=parsing)
    initial = (torch.rand(2, 1, 64, 64) > 0.5).float()
    out = net(torch.rand(2, 3, 64, 64), initial)
    assert (out.parsing_modal is None) == (not parsing or not modal)
    assert (out.parsing_amodal is None) == (not parsing)
    given = [x for x in out if x is not None and x.requires_grad]
    torch.stack([x.square().mean() for x in given]).sum().backward()
    _all_learn(net)
    if not modal:
        assert torch.equal(out.modal.argmax(1, keepdim=True).float(), initial)
        assert not out.modal.requires_grad


def test_refined_mask_reaches_the_second_hourglass_through_templates_only() -> None:
    image, initial = torch.rand(1, 3, 64, 64), torch.ones(1, 1, 64, 64)
    for templates, reached in ((None, False), (torch.rand(4, 16, 16), True)):
        net = MaskCompletionNet(8, templates=templates, temperature=0.1).eval()
        net(image, initial).amodal[:, 1].mean().backward()
        mask_head = [p.grad for p in net.modal_branch.parameters()]
        assert any(g is not None and g.abs().max() > 0 for g in mask_head) == reached
        assert net.modal_stem[0].weight.grad.abs().max() > 0  # F_m carries the rest


def test_a_given_mask_can_be_handed_on_by_a_weight_that_learns(tmp_path) -> None:
    plain, net = MaskCompletionNet(8, levels=4).eval(), MaskCompletionNet(8, levels=4, given_logit=3.0).eval()
    assert "given_logit" not in plain.config and net.config["given_logit"] == 3.0
    net.load_state_dict({**net.state_dict(), **plain.state_dict()})
    image, mask = torch.rand(2, 3, 64, 64), (torch.rand(2, 1, 64, 64) > 0.5).float()
    with torch.no_grad():
        apart = net(image, mask).modal - plain(image, mask).modal
    torch.testing.assert_close(apart[:, 1:] - apart[:, :1], 3 * (2 * mask - 1), rtol=1e-4, atol=1e-4)
    net(image, mask).modal[:, 1].mean().backward()
    assert net.given_weight is not None and net.given_weight.grad is not None and net.given_weight.grad != 0
    save_weights(tmp_path / "net.safetensors", net)
    again = load_weights(tmp_path / "net.safetensors")
    torch.testing.assert_close(again.given_weight, net.given_weight)


def test_a_trunk_enters_as_strongly_as_the_settings_say() -> None:
    for start in (0.0, 1.0):
        settings = MaskSettings(width=8, levels=4, stride=4, trunk="lite0", templates=0, trunk_start=start)
        norms = new_network(settings).lateral_norms()
        assert norms and all((norm.weight == start).all() for norm in norms)
    assert not MaskCompletionNet(8, levels=4).lateral_norms()


def test_photo_channel_matters_and_defaults_to_ones() -> None:
    net = MaskCompletionNet(8, templates=torch.rand(4, 16, 16)).eval()
    image, initial = torch.rand(1, 3, 64, 64), torch.ones(1, 1, 64, 64)
    with torch.no_grad():
        default = net(image, initial).amodal
        ones = net(image, initial, torch.ones(1, 1, 64, 64)).amodal
        zeros = net(image, initial, torch.zeros(1, 1, 64, 64)).amodal
    assert torch.equal(default, ones) and not torch.allclose(ones, zeros)
    assert zeros.isfinite().all()


def test_half_parsing_is_the_full_parsing_before_resizing() -> None:
    net = MaskCompletionNet(8).eval()
    image, initial = torch.rand(1, 3, 64, 64), torch.ones(1, 1, 64, 64)
    with torch.no_grad():
        full, half = net(image, initial), net(image, initial, half_parsing=True)
    resized = F.interpolate(half.parsing_amodal, scale_factor=2, mode="bilinear")
    torch.testing.assert_close(resized, full.parsing_amodal)
    torch.testing.assert_close(half.amodal, full.amodal)


def test_one_batch_can_be_overfitted() -> None:
    """A shifted square out of a rough mask: the smallest task that needs image, hourglass and heads."""
    net = MaskCompletionNet(8, classes=3, templates=torch.rand(4, 16, 16))
    image, initial, target = (
        torch.rand(2, 3, 64, 64),
        torch.zeros(2, 1, 64, 64),
        torch.zeros(2, 64, 64).long(),
    )
    initial[:, :, 16:32, 16:32] = 1
    target[:, 16:48, 16:40] = 1
    optimiser = torch.optim.Adam(net.parameters(), 2e-2)
    for _ in range(30):
        optimiser.zero_grad()
        out = net(image, initial)
        loss = sum(F.cross_entropy(x, target) for x in out if x is not None)
        loss.backward()
        optimiser.step()
    found = out.amodal.argmax(1)
    assert (found & target).sum() / (found | target).sum() > 0.95


def test_hourglass_sees_the_whole_input() -> None:
    """Every input pixel influences the centre: a body is completed from all of its visible parts."""
    net = Hourglass(8, levels=5).eval()
    for module in net.modules():  # residual branches start at zero; open them
        if isinstance(module, nn.BatchNorm2d):
            nn.init.ones_(module.weight)
    x = torch.rand(1, 8, 64, 64, requires_grad=True)
    net(x)[..., 32, 32].sum().backward()
    reach = x.grad.abs().sum(1)[0] > 0
    assert reach[0].any() and reach[-1].any() and reach[:, 0].any() and reach[:, -1].any()


def test_mask_completion_names_wrong_inputs() -> None:
    net = MaskCompletionNet(8)
    with pytest.raises(DeoccError, match="initial_mask has shape"):
        net(torch.rand(1, 3, 64, 64), torch.ones(1, 2, 64, 64))
    with pytest.raises(DeoccError, match="same N, H and W"):
        net(torch.rand(1, 3, 64, 64), torch.ones(1, 1, 32, 32))


# ---------------------------------------------------------------- content recovery


def content_inputs(n: int, size: int) -> tuple[Tensor, ...]:
    image = torch.rand(n, 3, size, size)
    amodal = torch.zeros(n, 1, size, size)
    amodal[..., size // 4 : 3 * size // 4, size // 3 : 2 * size // 3] = 1
    valid = torch.ones(n, 1, size, size)
    valid[..., size // 2 : 3 * size // 4, size // 3 : 2 * size // 3] = 0
    whole = torch.zeros(n, 19, size, size)
    whole[:, 4] = amodal[:, 0]
    return image, valid, amodal, whole * valid, whole


@pytest.mark.parametrize(("size", "n"), [(64, 2), (128, 1), (256, 1), (100, 1)])
def test_content_recovery_shapes_and_range(size: int, n: int) -> None:
    net = ContentRecoveryNet(8, levels=encoder_levels(size)).eval()
    with torch.no_grad():
        out = net(*content_inputs(n, size))
    assert out.shape == (n, 3, size, size)
    assert out.min() >= 0 and out.max() <= 1


def test_encoder_levels_follow_the_design() -> None:
    assert [encoder_levels(size) for size in (32, 64, 128, 256, 512)] == [4, 5, 6, 7, 7]


def test_attention_stands_after_levels_three_and_five() -> None:
    paper = ContentRecoveryNet(8, levels=7)
    assert list(paper.encoder_attention) == list(paper.decoder_attention) == ["3", "5"]
    assert list(ContentRecoveryNet(8, levels=4).encoder_attention) == ["3"]
    assert not ContentRecoveryNet(8, attention=None).encoder_attention


@pytest.mark.parametrize("attention", ["none", "body", "spatial", "cascade", "fusion"])
def test_rows_of_table_6_learn(attention: str) -> None:
    net = ContentRecoveryNet(8, attention=attention, levels=5)
    image, *rest = content_inputs(2, 64)
    F.l1_loss(net(image, *rest), torch.rand(2, 3, 64, 64)).backward()
    _all_learn(net, but=("spatial.key.bias",))


def test_hidden_pixels_never_reach_the_result() -> None:
    """What stands in front of the person must not leak: the result ignores the image where M_v = 0."""
    net = ContentRecoveryNet(8, levels=5).eval()
    image, valid, *rest = content_inputs(1, 64)
    other = torch.where(valid.bool(), image, 1 - image)
    with torch.no_grad():
        torch.testing.assert_close(net(image, valid, *rest), net(other, valid, *rest))
        shifted = torch.where(valid.bool(), 1 - image, image)
        assert not torch.allclose(net(image, valid, *rest), net(shifted, valid, *rest))


def test_masks_and_parsing_reach_the_result_inside_holes() -> None:
    net = ContentRecoveryNet(8, levels=5).eval()
    image, valid, amodal, modal_parts, whole_parts = content_inputs(1, 64)
    with torch.no_grad():
        base = net(image, valid, amodal, modal_parts, whole_parts)
        smaller = net(image, valid, amodal * valid, modal_parts, whole_parts)
        other_parts = net(image, valid, amodal, modal_parts, whole_parts.roll(1, 1))
    hole = (valid == 0).expand_as(base)
    assert (base - smaller)[hole].abs().max() > 1e-4
    assert (base - other_parts)[hole].abs().max() > 1e-4


def test_mix_background_is_equation_of_table_5() -> None:
    image, mask = torch.rand(1, 3, 8, 8), torch.rand(1, 1, 8, 8).round()
    expected = image * mask + 0.3 * image * (1 - mask)
    torch.testing.assert_close(mix_background(image, mask, 0.3), expected)
    assert torch.equal(mix_background(image, mask, 1.0), image)


@pytest.mark.parametrize("options", [{"attention": "both"}, {"levels": 8}, {"levels": 0}, {"alpha": 1.5}])
def test_content_recovery_rejects_bad_settings(options: dict) -> None:
    with pytest.raises(DeoccError, match=next(iter(options))):
        ContentRecoveryNet(8, **options)


def test_content_recovery_overfits_a_flat_picture() -> None:
    net = ContentRecoveryNet(8, levels=5)
    image, *rest = content_inputs(2, 64)
    target = torch.tensor([[0.8, 0.2, 0.4], [0.1, 0.6, 0.9]])[:, :, None, None].expand(2, 3, 64, 64)
    image = torch.where(rest[0].bool(), target, image)
    optimiser = torch.optim.Adam(net.parameters(), 2e-2)
    for _ in range(30):
        optimiser.zero_grad()
        loss = F.l1_loss(net(image, *rest), target)
        loss.backward()
        optimiser.step()
    assert loss < 0.06


# ---------------------------------------------------------------- discriminator, sizes, weights


def test_discriminator_judges_patches_of_46_pixels() -> None:
    net = PatchDiscriminator(4, width=8)
    x = torch.rand(2, 4, 128, 128, requires_grad=True)
    out = net(x)
    assert out.shape == (2, 1, 15, 15)
    convolutions = [m for m in net.modules() if isinstance(m, nn.Conv2d)]
    assert len(convolutions) == 4
    for (
        norm
    ) in net.modules():  # instance statistics see the whole map: measure the kernels' reach without them
        if isinstance(norm, nn.InstanceNorm2d):
            norm.forward = lambda y: y  # type: ignore[method-assign]
    net(x)[0, 0, 7, 7].backward()
    touched = x.grad[0].abs().sum(0) > 0
    assert touched.any(0).sum() == touched.any(1).sum() == 46


def test_small_preset_stays_within_its_budget() -> None:
    """Operations a 128-pixel image costs and parameters: what CPU training and 15 MB files allow."""
    mask = MaskCompletionNet(24, templates=torch.rand(64, 32, 32)).eval()
    content = ContentRecoveryNet(20, levels=encoder_levels(128)).eval()
    with FlopCounterMode(display=False) as first, torch.no_grad():
        mask(torch.rand(1, 3, 128, 128), torch.ones(1, 1, 128, 128))
    with FlopCounterMode(display=False) as second, torch.no_grad():
        content(*content_inputs(1, 128))
    assert first.get_total_flops() / 2 < 0.6e9 and second.get_total_flops() / 2 < 0.5e9
    assert count_parameters(mask) < 7e6 and count_parameters(content) < 7e6


def test_both_networks_run_in_mixed_precision() -> None:
    """Autocast mixes dtypes inside; outputs stay finite and near full precision, gradients flow."""
    image, valid, amodal, modal_parts, whole_parts = content_inputs(2, 64)
    mask_net, content_net = (
        MaskCompletionNet(8, templates=torch.rand(4, 16, 16)),
        ContentRecoveryNet(8, levels=5),
    )
    runs = {
        mask_net: (image, valid),
        content_net: (image, valid, amodal, modal_parts, whole_parts),
    }
    for net, inputs in runs.items():
        net.eval()
        with torch.no_grad():
            full = net(*inputs)
        with torch.autocast("cpu", torch.bfloat16):
            half = net(*inputs)
        for a, b in (
            zip([full], [half], strict=True) if isinstance(full, Tensor) else zip(full, half, strict=True)
        ):
            assert (a - b).abs().max() < 0.1 * (1 + a.abs().max())
        (half if isinstance(half, Tensor) else half.amodal).float().mean().backward()
        assert all(p.grad is None or p.grad.isfinite().all() for p in net.parameters())


def small_nets() -> list[nn.Module]:
    return [
        MaskCompletionNet(8, templates=torch.rand(4, 16, 16), temperature=0.02),
        MaskCompletionNet(8, modal=False, parsing=False),
        ContentRecoveryNet(8, attention="cascade", levels=5, alpha=0.5),
        PatchDiscriminator(4, 8),
    ]


@pytest.mark.parametrize("which", range(4))
def test_weights_round_trip(which: int, tmp_path) -> None:
    net = small_nets()[which]
    path = tmp_path / "folder" / "net.safetensors"
    save_weights(path, net, {"licence": "CC0"})
    again = load_weights(path)
    assert type(again) is type(net) and again.config == net.config and not again.training
    for name, x in net.state_dict().items():
        torch.testing.assert_close(again.state_dict()[name], x, rtol=1e-3, atol=1e-4)
    assert read_metadata(path)["licence"] == "CC0"
    assert json.loads(read_metadata(path)["config"]) == net.config
    assert os.listdir(path.parent) == ["net.safetensors"]  # nothing half-written beside it
    save_weights(path, net, half=False)
    for name, x in load_weights(path).state_dict().items():
        assert torch.equal(x, net.state_dict()[name])


def test_weights_of_older_versions_load_by_the_present_names(tmp_path) -> None:
    net = ContentRecoveryNet(8, levels=4, prior=True, own_share=0.25)
    config = {("trust" if name == "own_share" else name): value for name, value in net.config.items()}
    about = {"class": "ContentRecoveryNet", "config": json.dumps(config)}
    save_file(net.state_dict(), tmp_path / "old.safetensors", metadata=about)
    assert load_weights(tmp_path / "old.safetensors").config == net.config
    shipped = load_weights(find_weights("smooth")[1])
    assert shipped.refine.own_share == 0.5 and shipped.soft_parts


def test_half_precision_weights_predict_the_same(tmp_path) -> None:
    net = MaskCompletionNet(8, templates=torch.rand(4, 16, 16)).eval()
    save_weights(tmp_path / "net.safetensors", net)
    image, initial = torch.rand(1, 3, 64, 64), torch.ones(1, 1, 64, 64)
    with torch.no_grad():
        before = net(image, initial).amodal.softmax(1)
        after = load_weights(tmp_path / "net.safetensors")(image, initial).amodal.softmax(1)
    assert (before - after).abs().max() < 0.01


def test_bad_weight_files_are_named(tmp_path) -> None:
    path = tmp_path / "net.safetensors"
    with pytest.raises(DeoccError, match="missing"):
        load_weights(path)
    save_weights(path, PatchDiscriminator(4, 8))
    whole = path.read_bytes()
    for cut in (len(whole) // 2, 5, 0):
        path.write_bytes(whole[:cut])
        with pytest.raises(DeoccError, match="cannot be read as safetensors"):
            load_weights(path)
    path.write_text("not weights at all, just some text")
    with pytest.raises(DeoccError, match="cannot be read as safetensors"):
        load_weights(path)


def test_foreign_and_unfitting_weights_are_named(tmp_path) -> None:
    from safetensors.torch import save_file

    path = tmp_path / "net.safetensors"
    save_file({"x": torch.zeros(2)}, path)
    with pytest.raises(DeoccError, match="expected one of MaskCompletionNet"):
        load_weights(path)
    for config in ('{"width": 8}', '{"depth": 8}', '"8"', "{"):
        save_file({"x": torch.zeros(2)}, path, {"class": "PatchDiscriminator", "config": config})
        with pytest.raises(DeoccError, match="does not fit PatchDiscriminator"):
            load_weights(path)


@pytest.mark.parametrize(
    "config",
    ['{"in_channels": 4, "width": 20000}', '{"in_channels": 4, "width": 8000}',
     '{"in_channels": -1, "width": 8}',
     '{"in_channels": 4, "width": [8]}', '{"in_channels": null, "width": 1e400}', "[1, 2]", "null"],
)  # fmt: skip
def test_a_small_file_makes_no_large_network(config: str, tmp_path) -> None:
    from safetensors.torch import save_file

    path = tmp_path / "net.safetensors"
    save_file({"x": torch.zeros(2)}, path, {"class": "PatchDiscriminator", "config": config})
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(DeoccError, match="does not fit PatchDiscriminator"):
        load_weights(path)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 1_500_000  # kB


def test_unwritable_place_is_named(tmp_path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(DeoccError, match="cannot write weights"):
        save_weights(tmp_path / "file" / "net.safetensors", PatchDiscriminator(4, 8))


def _all_learn(net: nn.Module, but: tuple[str, ...] = ()) -> None:
    """Every parameter gets a gradient; those behind a zero-initialised normalisation start at zero."""
    for name, p in net.named_parameters():
        if not name.endswith(but or ("\0",)):
            assert p.grad is not None, name
    reached = [p.grad.abs().max() > 0 for p in net.parameters() if p.grad is not None]
    assert sum(reached) > 0.5 * len(reached)


class TestTrunk:
    """The pretrained trunk of stage 1."""

    def test_features_have_the_promised_channels_and_strides(self):
        trunk = Lite0Trunk(pretrained=False)
        features = trunk(torch.rand(2, 3, 64, 96))
        for stride, channels in trunk.channels.items():
            assert features[stride].shape == (2, channels, 64 // stride, 96 // stride)

    def test_a_new_trunk_changes_nothing_until_it_is_trained(self):
        torch.manual_seed(0)
        plain = MaskCompletionNet(8, levels=3, stride=4).eval()
        joined = MaskCompletionNet(8, levels=3, stride=4, trunk="lite0", pretrained=True).eval()
        joined.load_state_dict({**joined.state_dict(), **plain.state_dict()})
        image, mask = torch.rand(1, 3, 64, 64), torch.ones(1, 1, 64, 64)
        torch.testing.assert_close(joined(image, mask).amodal, plain(image, mask).amodal)

    def test_pretrained_parameters_are_the_trunks_and_the_weights_differ_from_a_fresh_one(self):
        net = MaskCompletionNet(8, levels=3, trunk="lite0", pretrained=True)
        assert net.trunk is not None
        assert {id(p) for p in pretrained_parameters(net)} == {id(p) for p in net.trunk.parameters()}
        fresh = Lite0Trunk(pretrained=False)
        assert not torch.equal(fresh.blocks[3]._expand_conv.weight, net.trunk.blocks[3]._expand_conv.weight)

    def test_unknown_trunk(self):
        with pytest.raises(DeoccError, match="trunk 'vgg'"):
            MaskCompletionNet(8, trunk="vgg")


def test_label_maps_shrink_as_nearest_exact_does() -> None:
    maps = torch.rand(2, 3, 24, 36)
    for rows, columns in ((8, 12), (12, 18), (24, 36), (6, 9), (5, 7), (48, 72)):
        feature = torch.zeros(2, 4, rows, columns)
        wanted = F.interpolate(maps, (rows, columns), mode="nearest-exact")
        assert torch.equal(nearest_to(feature, maps)[0], wanted)


def test_weights_that_are_no_numbers_are_refused(tmp_path):
    net = ContentRecoveryNet(8, levels=5)
    with torch.no_grad():
        next(net.parameters()).fill_(float("nan"))
    save_weights(tmp_path / "content.safetensors", net)
    with pytest.raises(DeoccError, match="no finite numbers"):
        load_weights(tmp_path / "content.safetensors")
