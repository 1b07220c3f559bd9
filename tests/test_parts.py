"""The decoder of body parts changes no mask, trains alone, and learns; its doubt reaches the first guess."""

import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch

import train_parts
from deocc.errors import DeoccError
from deocc.evaluation.systems import predict_chunk, recovery_system
from deocc.experiments.run import _start_from
from deocc.inference import Deoccluder
from deocc.inference.painting import PaintingTask, SoftParts, paint
from deocc.inference.prepared import prepare
from deocc.inference.prompts import follow_prompts
from deocc.inference.views import View, make_view
from deocc.labels import NUM_CLASSES, NUM_PARTS
from deocc.masks import Frame
from deocc.models import ContentRecoveryNet, MaskCompletionNet, load_weights, save_weights
from deocc.models.parts import (
    FeedForward,
    GlobalAttention,
    PartsDecoder,
    _hints,
    parts_of_person,
)
from deocc.models.weights import fill_shared
from deocc.occlusion import CaseFolder
from deocc.paths import DATA, PEOPLE_MINI
from deocc.people import PeopleFolder
from deocc.people.folder import write_people
from deocc.training.parts import PartsSettings, PartsSystem
from label_people import labelled

SIZE = 64


def net(parts: int = 8) -> MaskCompletionNet:
    torch.manual_seed(0)
    return MaskCompletionNet(8, templates=torch.rand(4, 8, 8), levels=4, stride=4, trunk="lite0", parts=parts)


def with_decoder_of(plain: MaskCompletionNet) -> MaskCompletionNet:
    grown = net()
    fill_shared(grown, plain)
    return grown.eval()


def batch(count: int = 2) -> dict[str, torch.Tensor]:
    """People of four bands of colour: hair, upper-clothes, pants, shoes; a block hides some of each."""
    generator = torch.Generator().manual_seed(1)
    amodal = torch.zeros(count, 1, SIZE, SIZE)
    amodal[:, :, 8:56, 20:44] = 1
    labels = torch.zeros(count, SIZE, SIZE, dtype=torch.int64)
    image = torch.rand(count, 3, SIZE, SIZE, generator=generator) * 0.1
    for k, part in enumerate((2, 5, 9, 18)):
        rows = slice(8 + 12 * k, 20 + 12 * k)
        labels[:, rows, 20:44] = part
        image[:, k % 3, rows, 20:44] += 0.5 + 0.1 * k
    modal = amodal.clone()
    modal[:, :, 16:48, 36:60] = 0
    image[:, :, 16:48, 36:60] = 0.2
    return {
        "image": image, "initial_mask": modal, "modal_mask": modal, "amodal_mask": amodal,
        "photo_mask": torch.ones_like(amodal), "parsing_amodal": labels,
        "true_sides": torch.ones(count, dtype=torch.bool),
    }  # fmt: skip


def test_the_decoder_changes_no_mask():
    torch.manual_seed(0)
    plain = MaskCompletionNet(8, templates=torch.rand(4, 8, 8), levels=4, stride=4, trunk="lite0").eval()
    grown, items = with_decoder_of(plain), batch()
    with torch.no_grad():
        before, after = (n(items["image"], items["initial_mask"]) for n in (plain, grown))
    assert torch.equal(before.modal, after.modal) and torch.equal(before.amodal, after.amodal)
    assert not torch.allclose(before.parsing_amodal, after.parsing_amodal)


def test_parts_are_log_probabilities_whose_background_is_what_the_mask_leaves():
    items, network = batch(), net().eval()
    with torch.no_grad():
        found = network(items["image"], items["initial_mask"], half_parsing=True)
    for parts, mask in ((found.parsing_modal, found.modal), (found.parsing_amodal, found.amodal)):
        assert parts.shape == (2, NUM_CLASSES, SIZE // 2, SIZE // 2)
        assert torch.allclose(parts.exp().sum(1), torch.ones(2, SIZE // 2, SIZE // 2), atol=1e-5)
        odds = torch.nn.functional.avg_pool2d(mask[:, 1:] - mask[:, :1], 2)
        assert torch.allclose(parts[:, :1].exp(), 1 - odds.sigmoid(), atol=1e-5)
    full = network(items["image"], items["initial_mask"]).parsing_amodal
    assert full.shape == (2, NUM_CLASSES, SIZE, SIZE)


def test_parts_of_a_person_in_closed_form():
    logits = torch.zeros(1, NUM_PARTS, 2, 2)
    logits[:, 4] = 50.0  # surely upper-clothes
    found = parts_of_person(logits, torch.full((1, 1, 4, 4), 2.0)).exp()
    inside = torch.tensor(2.0).sigmoid()
    assert torch.allclose(found[0, 5], inside.expand(2, 2)) and torch.allclose(found[0, 0], 1 - inside)


def test_places_count_from_the_middle_of_the_person_in_standard_deviations():
    amodal = torch.zeros(1, 1, 40, 40)
    amodal[:, :, 10:30, 4:8] = 1
    rows, columns = _hints(amodal, torch.ones_like(amodal), amodal, amodal)[0, 4:]
    inside = amodal[0, 0] > 0
    for values in (rows, columns):
        assert abs(float(values[inside].mean())) < 1e-5
        assert float(values[inside].std(unbiased=False)) == pytest.approx(1, abs=1e-4)
    assert (
        torch.equal(rows[:, 0], rows[:, -1]) and float(rows.abs().max()) <= 4 and rows[0, 0] < 0 < rows[-1, 0]
    )


def test_places_count_from_the_person_inside_the_photo():
    amodal, photo = torch.zeros(2, 1, 1, 40, 40)
    photo[:, :, :24] = 1
    amodal[:, :, 10:30, 4:8] = 1
    cut = _hints(amodal, photo, amodal * photo, amodal)[0, 4:]
    assert torch.equal(cut, _hints(amodal, photo, amodal * photo, amodal * photo)[0, 4:])


def test_a_mask_of_nobody_gives_finite_hints():
    nobody = torch.zeros(1, 1, 8, 8)
    assert not _hints(nobody, nobody, nobody, nobody).any()


def test_attention_starts_as_the_identity_and_reaches_every_cell():
    torch.manual_seed(0)
    layer, x = GlobalAttention(16), torch.randn(1, 16, 3, 5, requires_grad=True)
    each = FeedForward(16)
    assert torch.equal(each(x), x)
    torch.nn.init.normal_(each.layers[-1].weight)
    apart = (each(x) - each(torch.cat([x[..., :1], x[..., 1:] + 1], 3)))[..., :1]
    assert torch.equal(apart, torch.zeros_like(apart)) and not torch.allclose(each(x), x)  # cell by cell
    assert torch.allclose(layer(x), x)
    with torch.no_grad():
        layer.attention.out_proj.weight.normal_()
    layer(x)[0, :, 0, 0].sum().backward()
    assert (x.grad.abs().sum(1) > 0).all()


def test_no_gradient_leaves_the_decoder():
    network, items = net(), batch()
    network(items["image"], items["initial_mask"]).parsing_amodal.sum().backward()
    for name, parameter in network.named_parameters():
        assert name.startswith("parts.") or parameter.grad is None or not parameter.grad.any(), name


@pytest.mark.parametrize("change", [{"trunk": ""}, {"parsing": False}, {"stride": 2}, {"classes": 7}])
def test_a_decoder_needs_a_trunk_parsing_and_stride_4(change):
    with pytest.raises(DeoccError, match=r"parts is 8.*trunk"):
        MaskCompletionNet(8, parts=8, **{"trunk": "lite0", "stride": 4, **change})


def test_without_a_visible_mask_branch_there_are_no_visible_parts():
    network = MaskCompletionNet(8, modal=False, stride=4, levels=4, trunk="lite0", parts=8).eval()
    with torch.no_grad():
        found = network(batch()["image"], batch()["initial_mask"])
    assert found.parsing_modal is None and found.parsing_amodal.shape == (2, NUM_CLASSES, SIZE, SIZE)


def test_the_decoder_reads_all_that_it_is_given():
    torch.manual_seed(0)
    channels = {2: 4, 4: 5, 8: 6, 16: 7, 32: 8}
    decoder = PartsDecoder(channels, 8, 3).eval()
    for module in decoder.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(module.weight, 0.5, 1.5)  # some start at zero
        if isinstance(module, torch.nn.MultiheadAttention):
            torch.nn.init.normal_(module.out_proj.weight)
        if isinstance(module, FeedForward):
            torch.nn.init.normal_(module.layers[-1].weight)
    seen = {stride: torch.rand(1, n, SIZE // stride, SIZE // stride) for stride, n in channels.items()}
    maps = {
        "features": torch.rand(1, 3, SIZE // 4, SIZE // 4), "initial": torch.zeros(1, 1, SIZE, SIZE),
        "photo": torch.ones(1, 1, SIZE, SIZE), "modal": torch.randn(1, 1, SIZE, SIZE),
        "amodal": torch.randn(1, 1, SIZE, SIZE),
    }  # fmt: skip
    with torch.no_grad():
        first = decoder(seen, **maps)
        assert first.shape == (1, NUM_PARTS, SIZE // 2, SIZE // 2)
        for stride in channels:
            assert not torch.allclose(decoder({**seen, stride: seen[stride] + 1}, **maps), first), stride
        for name, value in maps.items():
            assert not torch.allclose(decoder(seen, **{**maps, name: value + 0.5}), first), name
        added = [m for m in decoder.modules() if isinstance(m, (GlobalAttention, FeedForward))]
        assert len(added) == 2 * (1 + 2 + 2)  # strides 8, 16, 32
        for module in added:
            last = module.attention.out_proj if isinstance(module, GlobalAttention) else module.layers[-1]
            moved = last.weight.clone()
            last.weight.zero_()
            assert not torch.allclose(decoder(seen, **maps), first), module
            last.weight.copy_(moved)


def test_hints_hold_the_masks_as_probabilities():
    modal, amodal = torch.rand(2, 1, 1, 8, 8)
    initial, photo = (torch.rand(2, 1, 1, 8, 8) > 0.5).float()
    assert torch.equal(
        _hints(initial, photo, modal, amodal)[:, :4], torch.cat([initial, photo, modal, amodal], 1)
    )


def test_a_decoder_takes_the_place_of_both_heads():
    with_heads, without = net(0), net()
    assert any(".parsing." in name for name in with_heads.state_dict())
    assert not any(".parsing." in name for name in without.state_dict())


def test_weights_with_a_decoder_load_again(tmp_path):
    network, items = net().eval(), batch()
    save_weights(tmp_path / "a.safetensors", network, half=False)
    again = load_weights(tmp_path / "a.safetensors")
    assert again.config == network.config and isinstance(again.parts, PartsDecoder)
    answers = [n(items["image"], items["initial_mask"]).parsing_amodal for n in (network, again)]
    assert torch.equal(*answers)


def test_training_moves_the_decoder_alone_and_its_loss_falls():
    network, items = net(), batch()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    system = PartsSystem(PartsSettings(width=8), network)
    optimizer = torch.optim.Adam([p for p in network.parameters() if p.requires_grad], 0.01)
    losses = []
    for _ in range(30):
        network.train()  # as the loop does
        loss = sum(system.losses(items).values())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    changed = {name for name, value in network.state_dict().items() if not torch.equal(value, before[name])}
    assert changed and all(name.startswith("parts.") for name in changed)
    assert losses[-1] < 0.5 * losses[0]
    hidden = (items["amodal_mask"] - items["modal_mask"])[:, 0] > 0
    inside = parts_of_prediction(network, items)
    assert float((inside == items["parsing_amodal"])[hidden].float().mean()) > 0.8


def parts_of_prediction(network: MaskCompletionNet, items: dict[str, torch.Tensor]) -> torch.Tensor:
    """The likeliest part of every pixel, background left out."""
    with torch.no_grad():
        logits = network.eval()(items["image"], items["initial_mask"]).parsing_amodal
    return logits[:, 1:].argmax(1) + 1


def test_invisible_pixels_count_more_and_unlabelled_ones_nothing():
    network, items = net(), batch()
    plain = PartsSystem(PartsSettings(width=8, invisible_extra=0, balance=0), network)
    hidden = (items["amodal_mask"] - items["modal_mask"])[:, 0] > 0
    only_seen = {**items, "parsing_amodal": items["parsing_amodal"].masked_fill(hidden, 255)}
    network.eval()
    heavy = PartsSystem(PartsSettings(width=8, invisible_extra=50, balance=0), network)
    with torch.no_grad():
        values = [float(system.losses(x)["ce_parts"]) for system, x in (
            (plain, items), (plain, only_seen), (heavy, items), (heavy, only_seen))]  # fmt: skip
    assert values[1] == pytest.approx(values[3], rel=1e-3)  # nothing hidden has a label
    assert abs(values[0] - values[1]) > 1e-4 and abs(values[2] - values[1]) > abs(values[0] - values[1])


# ------------------------------------------------------------------ labels in doubt as evidence


def test_a_map_moves_between_frames_of_a_photo():
    """A ramp over photo pixels is the same ramp in any frame."""
    first, other = Frame(2.0, -3.0, 40.0), Frame(8.5, 4.25, 21.0)

    def ramp(frame: Frame, size: int) -> np.ndarray:
        at = (np.arange(size) + 0.5) * frame.side / size
        return np.dstack(np.meshgrid(frame.x0 + at, frame.y0 + at)).astype(np.float32)

    moved = first.resampled(ramp(first, 80), other, 30)
    assert moved.shape == (30, 30, 2) and np.abs(moved - ramp(other, 30)).max() < 0.05
    apart = first.resampled(ramp(first, 8), Frame(100.0, 0.0, 10.0), 4)
    assert not apart.any()


def test_soft_parts_stand_for_labels_inside_their_frame_alone():
    logits = torch.full((20, 8, 8), -20.0)
    logits[9], logits[12], logits[0] = 2.0, 2.0, 50.0  # pants or skirt; background does not count
    soft = SoftParts.of_logits(logits, Frame(0.0, 0.0, 16.0))
    assert np.allclose(soft.probabilities.sum(2), 1)
    parts = torch.zeros(1, NUM_PARTS, 16, 16)
    parts[0, 8, :, 4:] = 1  # pants; nobody on the left
    found = soft.in_place_of(parts, Frame(0.0, 0.0, 32.0))
    assert torch.allclose(found[0, (8, 11), 1:7, 4:7], torch.tensor(0.5), atol=1e-4)
    assert not found[0, :, :, :4].any() and torch.equal(found[0, :, 9:], parts[0, :, 9:])


def test_soft_parts_add_up_to_one_where_they_stand():
    logits = torch.randn(20, 8, 8)
    soft = SoftParts.of_logits(logits, Frame(0.0, 0.0, 16.0))
    parts = torch.zeros(1, NUM_PARTS, 32, 32)
    parts[:, 3] = 1
    assert torch.allclose(soft.in_place_of(parts, Frame(-8.0, -8.0, 32.0)).sum(1), torch.ones(1, 32, 32))


def painter() -> Deoccluder:
    torch.manual_seed(0)
    content = ContentRecoveryNet(8, levels=5, whole=True)
    return Deoccluder(net(), content, SIZE, "cpu", exemplar=True)


def two_people() -> list[View]:
    """Different people, off the middle of photos of different sizes."""
    rng = np.random.default_rng(0)
    views = []
    for height, width, x, y in ((90, 120, 70, 20), (130, 80, 10, 50)):
        image = rng.integers(0, 256, (height, width, 3)).astype(np.uint8)
        mask = np.zeros((height, width), bool)
        mask[y : y + 40, x : x + 20] = True
        views.append(make_view(image, mask))
    return views


def test_each_person_is_painted_with_the_doubt_about_their_own_parts(monkeypatch):
    deoccluder, views = painter(), two_people()
    together = deoccluder.deocclude_views(views)
    alone = [deoccluder.deocclude_views([view])[0] for view in views]
    for one, other in zip(together, alone, strict=True):
        assert one.invisible_mask.sum() > 50
        assert np.abs(one.recovered.astype(int) - other.recovered).max() <= 2
    monkeypatch.setattr(SoftParts, "in_place_of", lambda self, parts, frame: parts)
    for one, other in zip(together, deoccluder.deocclude_views(views), strict=True):
        assert (np.abs(one.recovered.astype(int) - other.recovered)[one.invisible_mask] > 2).any()


def test_soft_parts_come_from_the_persons_frame(monkeypatch):
    deoccluder, views = painter(), two_people()
    seen = []
    original = SoftParts.of_logits.__func__
    monkeypatch.setattr(
        SoftParts,
        "of_logits",
        classmethod(lambda c, maps, frame: seen.append((maps, frame)) or original(c, maps, frame)),
    )
    answers = deoccluder.deocclude_views(views)
    for (maps, frame), view, answer in zip(seen, views, answers, strict=True):
        one = prepare(view)
        assert frame == follow_prompts(one.worked, deoccluder._ask, deoccluder._show, one.guesses).frame
        assert maps.shape == (NUM_CLASSES, SIZE, SIZE) and answer.frame.side > 0


def test_the_network_itself_sees_labels():
    class Stub(ContentRecoveryNet):
        def forward(self, *maps, guess=None, seed=None):
            given.extend(maps[3:5])
            return super().forward(*maps, guess=guess, seed=seed)

    given: list[torch.Tensor] = []
    modal, amodal = np.zeros((2, 64, 64), bool)
    amodal[4:60, 20:44], modal[4:44, 20:44] = True, True
    soft = SoftParts.of_logits(torch.randn(20, 64, 64), Frame(0.0, 0.0, 64.0))
    task = PaintingTask(np.full((64, 64, 3), 90, np.uint8), modal, amodal, amodal.astype(np.uint8) * 5, soft)
    paint(Stub(8, levels=5, whole=True).eval(), task, 64)
    assert given and all(set(maps.unique().tolist()) <= {0.0, 1.0} for maps in given)


def test_recovery_with_parts_as_stage_1_sees_them_uses_its_doubt(monkeypatch):
    deoccluder = painter()
    system = recovery_system(deoccluder, "seen")
    folder = CaseFolder(DATA / "demo-cases")
    cases = [folder[0], folder[1]]
    together = predict_chunk(system, cases, "pixels", "modal", SIZE)
    for case, one in zip(cases, together, strict=True):
        alone = predict_chunk(system, [case], "pixels", "modal", SIZE)[0]
        assert np.abs(one.recovered.astype(int) - alone.recovered).max() <= 2
    monkeypatch.setattr(SoftParts, "in_place_of", lambda self, parts, frame: parts)
    others = predict_chunk(system, cases, "pixels", "modal", SIZE)
    assert all((one.recovered != other.recovered).any() for one, other in zip(together, others, strict=True))


def test_a_pixel_in_doubt_is_evidence_for_each_of_its_parts():
    """A red skirt that may be pants: hidden pants below it are red, where labels alone know nothing."""
    image = np.full((64, 64, 3), 90, np.uint8)
    image[:32] = 0, 0, 200  # a blue shirt
    image[32:44] = 200, 0, 0
    amodal, modal = np.zeros((2, 64, 64), bool)
    amodal[4:60, 20:44], modal[4:44, 20:44] = True, True
    labels = np.zeros((64, 64), np.uint8)
    labels[4:32, 20:44], labels[32:44, 20:44], labels[44:60, 20:44] = 5, 12, 9
    logits = torch.full((20, 64, 64), -20.0)
    logits[5, :32], logits[12, 32:], logits[9, 32:] = 9.0, 1.0, 0.8
    network = ContentRecoveryNet(8, levels=5, whole=True).eval()
    seen = []
    task = PaintingTask(image, modal, amodal, labels)
    for soft in (None, SoftParts.of_logits(logits, Frame(0.0, 0.0, 64.0))):
        paint(network, replace(task, soft=soft), 64, recolour=lambda g, e, p: (seen.append(g), (g, e))[1])
    frame = task.frame()
    hidden = frame.crop_mask(task.hole, 64)
    red, blue = (torch.stack([g[0, c][hidden].mean() for g in seen]) for c in (0, 2))
    assert red[1] > 0.75 and blue[1] < 0.05 and red[1] > red[0] + 0.1


def test_pixels_outside_the_photo_and_unknown_sides_do_not_count():
    network, items = net(), batch()
    network.eval()
    system = PartsSystem(PartsSettings(width=8, balance=0), network)

    def loss(**changes: torch.Tensor) -> float:
        with torch.no_grad():
            return float(system.losses({**items, **changes})["ce_parts"])

    cut = torch.ones_like(items["photo_mask"])
    cut[:, :, 40:] = 0
    wrong = items["parsing_amodal"].clone()
    wrong[:, 40:] = torch.where(wrong[:, 40:] > 0, 3, 0)
    assert loss(photo_mask=cut) == pytest.approx(loss(photo_mask=cut, parsing_amodal=wrong))
    assert loss() != pytest.approx(loss(parsing_amodal=wrong), rel=1e-3)
    other = torch.where(items["parsing_amodal"] == 18, 19, items["parsing_amodal"])  # right shoes
    nobody = torch.zeros(2, dtype=torch.bool)
    assert loss(true_sides=nobody) == pytest.approx(loss(true_sides=nobody, parsing_amodal=other))
    assert loss() != pytest.approx(loss(parsing_amodal=other), rel=1e-3)


def test_rare_parts_count_more_and_statistics_follow_in_training():
    network, items = net(), batch()
    with torch.no_grad():
        plain, fair = (
            float(PartsSystem(PartsSettings(width=8, balance=b), network).losses(items)["ce_parts"])
            for b in (0, 1)
        )
    assert plain != pytest.approx(fair, rel=1e-3)
    norms = [m for m in network.parts.modules() if isinstance(m, torch.nn.BatchNorm2d)]
    assert all(int(norm.num_batches_tracked) == 2 for norm in norms)


def moved(network: MaskCompletionNet) -> MaskCompletionNet:
    """The network with other values in every parameter."""
    with torch.no_grad():
        for parameter in network.parameters():
            parameter += 0.01
    return network


def test_a_training_can_start_from_weights_with_a_decoder(tmp_path, caplog):
    """All but the decoder comes along; heads of body parts, which such weights have not, start anew."""
    source, plain = moved(net()), net(parts=0)
    heads = {name: value.clone() for name, value in plain.state_dict().items() if ".parsing." in name}
    save_weights(tmp_path / "a.safetensors", source, half=False)
    _start_from(SimpleNamespace(network=plain), tmp_path / "a.safetensors")
    found = plain.state_dict()
    shared = {name: value for name, value in source.state_dict().items() if not name.startswith("parts.")}
    assert all(torch.equal(found[name], value) for name, value in shared.items())
    assert heads and found.keys() == shared.keys() | heads.keys()
    assert all(torch.equal(found[name], value) for name, value in heads.items())
    assert "decoder of body parts is left out, and heads of body parts start anew" in caplog.text


def test_a_training_with_a_decoder_can_start_from_weights_without_one(tmp_path):
    source, grown = moved(net(parts=0)), net()
    save_weights(tmp_path / "b.safetensors", source, half=False)
    _start_from(SimpleNamespace(network=grown), tmp_path / "b.safetensors")
    known, found = source.state_dict(), grown.state_dict()
    assert all(torch.equal(found[n], v) for n, v in known.items() if ".parsing." not in n)


def test_tensors_without_a_place_are_never_dropped_unseen(tmp_path):
    """A file with a trunk, for a network without: only body parts may be left out."""
    save_weights(tmp_path / "a.safetensors", net(parts=0), half=False)
    bare = MaskCompletionNet(8, templates=torch.rand(4, 8, 8), levels=4, stride=4)
    with pytest.raises(DeoccError, match=r"a\.safetensors: has .* that this run's network lacks"):
        _start_from(SimpleNamespace(network=bare), tmp_path / "a.safetensors")


def test_a_file_of_another_decoder_says_what_it_lacks(tmp_path, monkeypatch):
    monkeypatch.setattr("deocc.models.parts.ROUNDS", {16: 1, 32: 1})
    save_weights(tmp_path / "old.safetensors", net())
    monkeypatch.undo()
    with pytest.raises(DeoccError, match=r"old\.safetensors does not fit.*Missing key.*parts\.refine\.8"):
        load_weights(tmp_path / "old.safetensors")


# ------------------------------------------------------------------ the tools


def test_people_get_labels_where_stage_1_is_sure(tmp_path):
    person = replace(PeopleFolder(PEOPLE_MINI, "train")[0], parsing=None)
    write_people(tmp_path / "plain", [person])
    deoccluder = Deoccluder(net().eval(), torch.nn.Identity(), SIZE, "cpu")
    mask = person.amodal_mask
    with_parts = replace(PeopleFolder(PEOPLE_MINI, "train")[1], id="labelled")
    write_people(tmp_path / "mixed", [person, with_parts])
    assert [p.id for p in labelled(deoccluder, [tmp_path / "mixed"], 0.0, None)] == [person.id]
    with pytest.raises(DeoccError, match="is in two of the folders"):
        list(labelled(deoccluder, [tmp_path / "plain", tmp_path / "mixed"], 0.0, None))
    with pytest.raises(DeoccError, match="has body parts already"):
        list(labelled(deoccluder, [PEOPLE_MINI], 0.0, None))
    (sure,), (unsure,) = (list(labelled(deoccluder, [tmp_path / "plain"], p, None)) for p in (0.0, 1.1))
    assert ((sure.parsing > 0) == mask).all() and sure.parsing.max() < NUM_CLASSES
    assert (unsure.parsing[mask] == 255).all() and not unsure.parsing[~mask].any()


def test_the_tool_trains_a_decoder_and_leaves_the_masks(tmp_path):
    torch.manual_seed(0)
    plain = MaskCompletionNet(8, templates=torch.rand(4, 8, 8), levels=4, stride=4, trunk="lite0").eval()
    save_weights(tmp_path / "init.safetensors", plain, {"input_size": str(SIZE)})
    options = {"size": SIZE, "minutes": 0.03, "batch": 2, "workers": 0, "set_": ["width=8", "mix.cut=0.2"]}
    train_parts.main([PEOPLE_MINI], tmp_path / "init.safetensors", tmp_path / "run", **options)
    start, trained = (
        load_weights(tmp_path / name) for name in ("init.safetensors", "run/weights.safetensors")
    )
    items = batch()
    with torch.no_grad():
        before, after = (n(items["image"], items["initial_mask"]) for n in (start, trained))
    assert torch.equal(before.amodal, after.amodal) and trained.config["parts"] == 8
    card = json.loads((tmp_path / "run" / "model_card.json").read_text())
    assert card["settings"]["width"] == 8 and card["mix"]["cut"] == 0.2 and "181 people" in card["data"]
    with pytest.raises(DeoccError, match="width 8, not 16"):
        train_parts.with_decoder(trained, 16)
