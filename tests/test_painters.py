"""The trained painters of table 3: closed forms first, then what each learns and which networks it trains."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from deocc.baselines.pixels.deepfill import (
    DILATIONS,
    RATE,
    ContextualAttention,
    DeepFill,
    GatedConv2d,
    SNPatchDiscriminator,
    contextual_attention,
    fuse,
    similarities,
)
from deocc.baselines.pixels.ovsr import OVSRPainter
from deocc.baselines.pixels.painting import Painter
from deocc.baselines.pixels.pcnets import TV, PCNetC
from deocc.baselines.pixels.registry import NETWORKS, PAINTERS
from deocc.baselines.pixels.segan import coloured
from deocc.errors import DeoccError
from deocc.experiments.registry import SYSTEMS, preset_of
from deocc.models import MaskCompletionNet, load_weights, save_weights
from deocc.occlusion.batch import Batch
from deocc.training import losses as L
from deocc.training.content import RecoverySystem
from deocc.training.optimisers import make_optimizer

SIZE, COUNT = 64, 4


# -------------------------------------------------------------------------------------- gated convolution


def test_a_gated_convolution_is_a_feature_times_a_gate():
    torch.manual_seed(0)
    layer, x = GatedConv2d(3, 2, 3, 2), torch.randn(1, 3, 8, 8)
    both = F.conv2d(x, layer.conv.weight, layer.conv.bias, 2, 1)
    expected = F.elu(both[:, :2]) * torch.sigmoid(both[:, 2:])
    assert torch.allclose(layer(x), expected) and layer(x).shape == (1, 2, 4, 4)


def test_a_closed_gate_lets_nothing_through_and_an_open_one_everything():
    layer, x = GatedConv2d(1, 1, 1), torch.full((1, 1, 2, 2), 3.0)
    with torch.no_grad():
        layer.conv.weight[:] = torch.tensor([1.0, 0.0]).view(2, 1, 1, 1)
        for bias, expected in ((-50.0, 0.0), (50.0, 3.0), (0.0, 1.5)):
            layer.conv.bias[:] = torch.tensor([0.0, bias])
            assert torch.allclose(layer(x), torch.full_like(x, expected))


def test_gated_convolutions_keep_the_variance_of_what_goes_through():
    torch.manual_seed(0)
    x = torch.randn(1, 16, 32, 32)
    for _ in range(8):
        x = GatedConv2d(16, 16)(x)
    assert 0.2 < x.square().mean().item() < 5


@pytest.mark.parametrize("dilation", DILATIONS)
def test_dilation_keeps_the_size(dilation):
    assert GatedConv2d(2, 2, 3, 1, dilation)(torch.zeros(1, 2, 16, 16)).shape == (1, 2, 16, 16)


# ---------------------------------------------------------------------------------- contextual attention


def patch(feature: Tensor, row: int, column: int, before: int, size: int) -> Tensor:
    """C x size x size around or from a position of a C x h x w feature, zeros over the rim."""
    padded = F.pad(feature, (size, size, size, size))
    top, left = row - before + size, column - before + size
    return padded[:, top : top + size, left : left + size]


def naive_attention(feature: Tensor, hole: Tensor, scale: float) -> Tensor:
    """Position by position, without fusion: C x h x w from C x h x w and 1 x H x W."""
    channels, height, width = feature.shape
    small = feature[:, ::RATE, ::RATE]
    rows, columns = small.shape[1:]
    cell = hole.shape[1] // rows
    out = torch.zeros(channels, height + 2, width + 2)
    places = [(r, c) for r in range(rows) for c in range(columns)]

    def usable(r: int, c: int) -> bool:
        near = [(a, b) for a in (r - 1, r, r + 1) for b in (c - 1, c, c + 1)]
        inside = [(a, b) for a, b in near if 0 <= a < rows and 0 <= b < columns]
        return not any(hole[0, a * cell : (a + 1) * cell, b * cell : (b + 1) * cell].any() for a, b in inside)

    known = [usable(*place) for place in places]
    for r, c in places:
        query = patch(small, r, c, 1, 3)
        scores = []
        for place, good in zip(places, known, strict=True):
            key = patch(small, *place, 1, 3)
            scores.append((query * key).sum() / key.norm().clamp_min(1e-4) * good * scale)
        weights = torch.stack(scores).softmax(0) * torch.tensor(known)
        copied = sum(
            w * patch(feature, RATE * a, RATE * b, 1, 2 * RATE)
            for w, (a, b) in zip(weights, places, strict=True)
        )
        out[:, RATE * r : RATE * r + 2 * RATE, RATE * c : RATE * c + 2 * RATE] += copied
    return out[:, 1:-1, 1:-1] / 4


def test_contextual_attention_equals_a_naive_loop():
    torch.manual_seed(0)
    feature, hole = torch.randn(2, 3, 12, 8), torch.zeros(2, 1, 24, 16)
    hole[0, :, 2:7, 3:6] = 1
    hole[1, :, 20:, :4] = 1
    found = contextual_attention(feature, hole, 2.0, fused=False)
    for i in range(2):
        assert torch.allclose(found[i], naive_attention(feature[i], hole[i], 2.0), atol=1e-5)


def test_similarities_of_a_patch_with_itself_is_its_length():
    feature = torch.randn(1, 2, 4, 5)
    lengths = F.unfold(feature, 3, padding=1).norm(dim=1)
    assert torch.allclose(similarities(feature)[0].diagonal(), lengths[0], atol=1e-5)


def test_fusion_equals_its_definition():
    torch.manual_seed(0)
    rows, columns = 3, 4
    length = rows * columns
    scores = torch.randn(1, length, length)

    def along(values: Tensor) -> Tensor:
        padded = F.pad(values, (1, 1, 1, 1))
        return sum(padded[:, 1 + d : length + 1 + d, 1 + d : length + 1 + d] for d in (-1, 0, 1))

    order = torch.arange(length).view(rows, columns).t().reshape(-1)  # column by column
    back = order.argsort()
    by_rows = along(scores)
    by_columns = along(by_rows[:, order][:, :, order])[:, back][:, :, back]
    assert torch.allclose(fuse(scores, rows, columns), by_columns, atol=1e-6)


def test_a_periodic_texture_is_rebuilt_inside_its_hole():
    torch.manual_seed(0)
    feature = torch.randn(1, 4, 8, 8).tile(1, 1, 4, 4)  # 32 x 32
    hole = torch.zeros(1, 1, 32, 32)
    hole[..., 12:14, 12:14] = 1
    rebuilt = contextual_attention(feature, hole, 100.0, fused=False)
    middle = (slice(None), slice(None), slice(12, 14), slice(12, 14))
    assert torch.allclose(rebuilt[middle], feature[middle], atol=1e-3)


def test_nothing_known_gives_zeros_and_no_nan():
    rebuilt = ContextualAttention()(torch.randn(1, 3, 8, 8), torch.ones(1, 1, 16, 16))
    assert torch.equal(rebuilt, torch.zeros_like(rebuilt))


def test_the_judge_of_deepfill_is_normalised_and_gives_a_grid_of_verdicts():
    judge = SNPatchDiscriminator(8, 8)
    for _ in range(20):  # the power iteration of the spectral norm settles
        verdicts = judge(torch.randn(2, 8, 128, 128))
    assert verdicts.shape == (2, 32, 2, 2)
    largest = [torch.linalg.matrix_norm(m.weight.detach().flatten(1), 2) for m in judge.layers[::2]]
    assert all(abs(value.item() - 1) < 0.1 for value in largest)


# --------------------------------------------------------------------------------------------- the others


def test_segan_tells_masks_by_colour():
    image = torch.full((1, 3, 1, 3), 0.25)
    amodal, hole = torch.tensor([1.0, 1, 0]).view(1, 1, 1, 3), torch.tensor([0.0, 1, 0]).view(1, 1, 1, 3)
    found = coloured(image, hole, amodal)[0, :, 0].T.tolist()
    assert found == [[0.25, 0.25, 0.25], [1, 0, 0], [0, 0, 1]]


def test_paths_of_ovsr_share_a_network_and_the_answer_ignores_the_background():
    torch.manual_seed(0)
    net = OVSRPainter(8).eval()
    image, hole, amodal = torch.rand(1, 3, 64, 64), torch.zeros(1, 1, 64, 64), torch.zeros(1, 1, 64, 64)
    amodal[..., 8:56, 16:48] = 1
    hole[..., 40:50, 20:40] = 1
    other = torch.where(amodal > 0, image, torch.rand(1, 3, 64, 64))
    (draft, answer), (draft2, answer2) = (net.draw(x * (1 - hole), hole, amodal) for x in (image, other))
    assert torch.allclose(answer, answer2, atol=1e-6) and not torch.allclose(draft, draft2, atol=1e-3)


def test_pcnet_c_never_sees_the_hole():
    torch.manual_seed(0)
    net = PCNetC(8, 5).eval()
    image, amodal, valid = torch.rand(1, 3, 64, 64), torch.ones(1, 1, 64, 64), torch.ones(1, 1, 64, 64)
    valid[..., 20:40, 20:40] = 0
    other = torch.where(valid > 0, image, torch.rand(1, 3, 64, 64))
    changed = torch.where(valid > 0, amodal, torch.zeros_like(amodal))  # M_a is under the same validity
    assert torch.equal(net(image, valid, amodal)[0], net(other, valid, changed)[0])


def test_painters_name_wrong_inputs():
    net, image, mask = PCNetC(8, 3), torch.rand(1, 3, 16, 16), torch.ones(1, 1, 16, 16)
    with pytest.raises(DeoccError, match="valid_mask"):
        net(image, mask[..., :8], mask)
    with pytest.raises(NotImplementedError):
        Painter().draw(image, mask, mask)


# ------------------------------------------------------------------------------------- as trained systems


def make_batch(seed: int = 0) -> Batch:
    """Upright ellipses of two colours before grey; a bright bar covers a part of each."""
    generator = torch.Generator().manual_seed(seed)
    rows, columns = torch.meshgrid(torch.arange(SIZE) + 0.5, torch.arange(SIZE) + 0.5, indexing="ij")
    amodal = (((columns - 32) / 14) ** 2 + ((rows - 32) / 26) ** 2 <= 1).float().expand(COUNT, 1, SIZE, SIZE)
    bar = ((rows > 28) & (rows < 40)).float().expand(COUNT, 1, SIZE, SIZE)
    above = (rows < 34).float()
    top, bottom = torch.rand(2, COUNT, 3, 1, 1, generator=generator)
    target = amodal * (top * above + bottom * (1 - above)) + (1 - amodal) * 0.5
    modal = amodal * (1 - bar)
    batch = {
        "image": target * (1 - bar) + bar, "target": target, "modal_mask": modal, "initial_mask": modal,
        "amodal_mask": amodal, "photo_mask": torch.ones(COUNT, 1, SIZE, SIZE),
    }  # fmt: skip
    parsing = (amodal[:, 0] * torch.where(above > 0, 5, 9)).long()
    return batch | {
        "parsing_amodal": parsing,
        "parsing_modal": parsing * (modal[:, 0] > 0),
        "has_parsing": torch.ones(COUNT, dtype=torch.bool),
        "true_sides": torch.ones(COUNT, dtype=torch.bool),
    }


@pytest.fixture(scope="module")
def stage1(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("stage1") / "mask.safetensors"
    save_weights(path, MaskCompletionNet(8, templates=(4, 8, 8), levels=3), {"input_size": str(SIZE)})
    return path


def make_system(name: str, stage1: Path, **changes: object) -> RecoverySystem:
    torch.manual_seed(0)
    preset = preset_of(name, "tiny", {f"content.settings.{key}": value for key, value in changes.items()})
    return SYSTEMS[name].build(preset.content.settings, None, preset, 0, stage1)


def hidden_error(system: RecoverySystem, batch: Batch) -> float:
    with torch.no_grad():
        picture = system.paint(batch, system.true_guidance(batch))[-1]
    hole = batch["amodal_mask"] * (1 - batch["modal_mask"])
    return float(L.region_l1(picture, batch["target"], hole))


@pytest.mark.parametrize("name", sorted(PAINTERS))
class TestEachPainter:
    def test_it_overfits_one_batch(self, name, stage1):
        system, batch = make_system(name, stage1, predicted=0.0), make_batch()
        optimizer = make_optimizer(system.network, replace(preset_of(name, "tiny").content.train, lr=3e-3))
        system.network.train()
        before = hidden_error(system, batch)
        for step in range(1, 120, 2):  # odd steps: neither features nor adversary
            system.step = step
            optimizer.zero_grad()
            torch.stack(list(system.losses(batch).values())).sum().backward()
            torch.nn.utils.clip_grad_norm_(system.network.parameters(), 1.0)
            optimizer.step()
        assert hidden_error(system, batch) < 0.5 * before

    def test_every_loss_reaches_the_network_and_nothing_else(self, name, stage1):
        system, batch = make_system(name, stage1), make_batch()
        terms = system.losses(batch)
        expected = {"l1_hole", "l1_valid", "adversarial", *PAINTERS[name].terms}
        expected |= {"l1_draft"} if name in ("content/deepfill", "content/ovsr") else set()
        expected |= {"total_variation"} if name == "content/pcnets" else set()
        assert set(terms) == expected
        for term, value in terms.items():
            system.network.zero_grad(set_to_none=True)
            value.backward(retain_graph=True)
            touched = [p for p in system.network.parameters() if p.grad is not None and p.grad.any()]
            assert touched, term
            assert all(p.grad is None for p in system.discriminator.parameters()), term
            assert all(p.grad is None for p in system.stage1.parameters()), term

    def test_the_discriminator_learns_alone(self, name, stage1):
        system, batch = make_system(name, stage1), make_batch()
        system.losses(batch)
        system.network.zero_grad(set_to_none=True)
        system.discriminator_losses(batch)["discriminator"].backward()
        assert all(p.grad is None for p in system.network.parameters())
        assert all(p.grad is not None for p in system.discriminator.parameters())

    def test_it_predicts_as_every_system_and_keeps_known_pixels(self, name, stage1):
        system, batch = make_system(name, stage1), make_batch()
        for masks in ("true", "predicted"):
            found = system.predict(batch, masks)
            hole = found["amodal_mask"] * (1 - found["modal_mask"])
            known = (hole == 0).expand_as(batch["image"])
            assert torch.equal(found["recovered"][known], batch["image"][known])
            assert found["recovered"].min() >= 0 and found["recovered"].max() <= 1

    def test_its_weights_make_a_round_trip(self, name, stage1, tmp_path):
        network = make_system(name, stage1).network.eval()
        save_weights(tmp_path / "w.safetensors", network, half=False)
        again = load_weights(tmp_path / "w.safetensors", classes=NETWORKS)
        batch = make_batch()
        given = batch["image"], batch["photo_mask"], batch["amodal_mask"]
        with torch.no_grad():
            assert torch.allclose(network(*given)[-1], again(*given)[-1])


def test_settings_of_painters_are_ours_but_for_what_the_original_lacks():
    ours = preset_of("content/ours", "small").content.settings
    for name, recipe in PAINTERS.items():
        settings = preset_of(name, "small").content.settings
        assert (settings.l1_hole, settings.l1_valid, settings.predicted) == (
            ours.l1_hole, ours.l1_valid, ours.predicted,
        )  # fmt: skip
        assert settings.perceptual == (ours.perceptual if "perceptual" in recipe.terms else 0)
        assert settings.adversary.weight == ours.adversary.weight
        assert settings.adversary.kind == dict(recipe.adversary).get("kind", ours.adversary.kind)


def test_total_variation_enters_pcnets_at_its_weight(stage1):
    system, batch = make_system("content/pcnets", stage1, predicted=0.0), make_batch()
    told = system.true_guidance(batch)
    stripes = torch.zeros(COUNT, 3, SIZE, SIZE)
    stripes[..., ::2] = 1
    found = system.own_terms(stripes, told, batch)
    assert found["total_variation"].item() == pytest.approx(TV)  # every step to the right is 1, down 0


def test_deepfill_refines_a_draft():
    torch.manual_seed(0)
    net = DeepFill(16, 4).eval()
    pictures = net(torch.rand(1, 3, 64, 64), torch.ones(1, 1, 64, 64), torch.ones(1, 1, 64, 64))
    assert [p.shape for p in pictures] == [(1, 3, 64, 64)] * 2
