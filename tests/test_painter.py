"""The painter: packs, its frame, its network, its losses, several completions."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from deocc.cli.main import app
from deocc.errors import DeoccError
from deocc.evaluation.systems import predict_chunk, recovery_system
from deocc.inference import Deoccluder
from deocc.inference.painting import PaintingTask, paint, without_outline
from deocc.io import read_image, write_image, write_mask
from deocc.labels import FLIP_PAIRS
from deocc.masks import painting_frame
from deocc.models import ContentRecoveryNet, MaskCompletionNet, load_weights, save_weights
from deocc.models.attention import ParsingGuidedAttention
from deocc.models.discriminator import ScaledPatchDiscriminators
from deocc.models.prior import part_prior_evidence
from deocc.occlusion import CaseFolder, OcclusionCase, collate
from deocc.paths import DATA
from deocc.training.packed import Pack, PackedItems, PackedMix, PackedWriter, fit_palette
from deocc.training.painter import PainterSettings, PainterSystem, blurred_l1, hidden_part_shift
from deocc.training.settings import AdversarySettings, FeatureSettings

SIZE = 64


def person_case(seed: int = 0, height: int = 90, width: int = 70) -> OcclusionCase:
    """A striped person of two parts, a block over its middle."""
    rng = np.random.default_rng(seed)
    target = rng.integers(0, 255, (height, width, 3), dtype=np.uint8)
    amodal = np.zeros((height, width), bool)
    amodal[8:80, 20:50] = True
    parsing = np.where(amodal, 5, 0).astype(np.uint8)
    parsing[45:, :35][amodal[45:, :35]] = 16
    parsing[45:, 35:][amodal[45:, 35:]] = 17
    target[parsing == 5] = (200, 30, 30)
    target[parsing == 16] = (30, 30, 200)
    target[parsing == 17] = (30, 200, 30)
    occluder = np.zeros_like(amodal)
    occluder[35:60, 10:45] = True
    image = target.copy()
    image[occluder] = 255
    return OcclusionCase(
        "a", image, amodal & ~occluder, amodal, target, occluder, parsing, None, "a", true_sides=True
    )


@pytest.fixture(scope="module")
def pack(tmp_path_factory: pytest.TempPathFactory) -> Pack:
    folder = tmp_path_factory.mktemp("pack")
    with PackedWriter(folder) as writer:
        for seed in range(3):
            case = person_case(seed)
            assert case.parsing_amodal is not None
            writer.add(case, case.parsing_amodal)
    return Pack(folder)


def painter_net(**more: object) -> ContentRecoveryNet:
    torch.manual_seed(0)
    return ContentRecoveryNet(8, levels=5, whole=True, **more).eval()  # type: ignore[arg-type]


def test_pack_gives_back_what_was_written(pack: Pack) -> None:
    case, found = person_case(1), pack[1]
    y, x = 0, 0  # the margin holds the whole picture
    for name in ("image", "target"):
        assert np.array_equal(getattr(found, name), getattr(case, name)[y:, x:])
    assert np.array_equal(found.modal, case.modal_mask) and np.array_equal(found.amodal, case.amodal_mask)
    assert np.array_equal(found.parsing, case.parsing_amodal) and found.guess is None


def test_a_pack_that_is_cut_off_says_so(tmp_path: Path) -> None:
    with PackedWriter(tmp_path / "p") as writer:
        case = person_case()
        assert case.parsing_amodal is not None
        writer.add(case, case.parsing_amodal)
    file = tmp_path / "p" / "cases.bin"
    file.write_bytes(file.read_bytes()[:-1])
    with pytest.raises(DeoccError, match="cut off"):
        Pack(tmp_path / "p")
    with pytest.raises(DeoccError, match="another folder"):
        PackedWriter(tmp_path / "p")


def test_an_empty_answer_of_stage_1_stops_no_training(tmp_path: Path) -> None:
    with PackedWriter(tmp_path / "p") as writer:
        case = person_case()
        assert case.parsing_amodal is not None
        nobody = np.zeros_like(case.amodal_mask)
        answer = SimpleNamespace(
            modal_mask=nobody, amodal_mask=nobody, parsing=np.zeros_like(case.parsing_amodal)
        )
        writer.add(case, case.parsing_amodal, answer)
    pack = Pack(tmp_path / "p")
    assert pack[-1].guess is not None and not pack[-1].guess[0].any()
    with pytest.raises(IndexError):
        pack[1]
    item = PackedItems([pack], SIZE, 3, PackedMix(predicted=1.0)).item(0, 0)
    assert item["guidance_modal"].any(), "the true masks take their place"


def test_items_depend_on_epoch_and_index_alone_and_mirrors_swap_sides(pack: Pack) -> None:
    items = PackedItems([pack], SIZE, 3, PackedMix(rotation=0, stretch=0, shift=0, colour=0, thin=0))
    first, again = items.item(2, 1), items.item(2, 1)
    assert all(torch.equal(first[name], again[name]) for name in first)
    left, right = FLIP_PAIRS[1]
    colours = set()
    for epoch in range(12):
        item = items.item(epoch, 0)
        labels = item["guidance_parsing"]
        columns = torch.arange(SIZE).float()[None].expand(SIZE, SIZE)
        assert columns[labels == left].mean() < columns[labels == right].mean()  # mirrored or not
        colours.add(bool(item["target"][2][labels == left].mean() > 0.6))  # blue, or the other leg's green
    assert colours == {True, False}


def test_the_painting_frame_holds_hole_and_person() -> None:
    case = person_case()
    assert case.modal_mask is not None and case.amodal_mask is not None
    frame = painting_frame(case.modal_mask, case.amodal_mask)
    hole = case.amodal_mask & ~case.modal_mask
    rows, columns = np.nonzero(hole)
    assert frame.x0 <= columns.min() and columns.max() <= frame.x0 + frame.side
    assert frame.y0 <= rows.min() and rows.max() <= frame.y0 + frame.side
    assert 0.69 * 72 <= frame.side <= 1.16 * 72


def test_paint_leaves_everything_outside_the_hole_and_starts_from_the_guess() -> None:
    case = person_case()
    assert case.modal_mask is not None and case.amodal_mask is not None and case.parsing_amodal is not None
    task = PaintingTask(case.image, case.modal_mask, case.amodal_mask, case.parsing_amodal)
    picture = paint(painter_net(), task, SIZE)
    assert np.array_equal(picture[~task.hole], case.image[~task.hole])
    shirt = task.hole & (case.parsing_amodal == 5)
    assert np.abs(picture[shirt].astype(int).mean(0) - (200, 30, 30)).max() < 25  # the head begins near 0


def test_seeds_change_noise_alone_and_the_default_is_seed_0() -> None:
    net = painter_net()
    torch.nn.init.normal_(net.head.last[-1].weight, std=0.5)
    case = person_case()
    task = PaintingTask(case.image, case.modal_mask, case.amodal_mask, case.parsing_amodal)  # type: ignore[arg-type]
    assert np.array_equal(paint(net, task, SIZE), paint(net, task, SIZE, 0))
    assert not np.array_equal(paint(net, task, SIZE), paint(net, task, SIZE, 1))


def test_attention_told_so_looks_at_the_same_part() -> None:
    torch.manual_seed(0)
    modal = torch.zeros(1, 19, 8, 8)
    modal[:, 0, :4], modal[:, 1, 4:] = 1, 1
    valid = torch.ones(1, 1, 8, 8)
    valid[..., 4:] = 0
    feature = torch.randn(1, 16, 8, 8)
    looks = []
    for gain in (0.0, 8.0):
        torch.manual_seed(1)
        attention = ParsingGuidedAttention(16, 19, same_part=gain)
        weights = attention.attention_map(feature, modal * valid, modal, valid)[0]
        row = weights[7]  # upper right, hidden, part 0
        looks.append(float(row.reshape(8, 8)[:4].sum().detach()))
        found = attention(feature, modal * valid, modal, valid)
        naive = attention.spatial(feature, modal * valid, modal, valid).flatten(2)[0].T  # type: ignore[misc]
        assert torch.allclose(naive, weights @ feature.flatten(2)[0].T, atol=1e-5)
        assert found.shape == feature.shape
    assert looks[0] < 0.8 < 0.99 < looks[1]


def test_painter_weights_come_back_and_older_ones_are_untouched(tmp_path: Path) -> None:
    net = painter_net(rim=2, same_part=4.0)
    save_weights(tmp_path / "w.safetensors", net, half=False)
    back = load_weights(tmp_path / "w.safetensors")
    assert back.config == net.config
    plain = ContentRecoveryNet(8, levels=5)
    assert "whole" not in plain.config and not any("palette" in name for name in plain.state_dict())


def tiny_system() -> PainterSystem:
    settings = PainterSettings(
        width=8, window=48, crop=32, recolour=1.0, half_features=False,
        features=FeatureSettings(size=32), adversary=AdversarySettings(weight=0.1, width=8, kind="hinge"),
    )  # fmt: skip
    torch.manual_seed(0)
    return PainterSystem(settings, SIZE)


@pytest.mark.parametrize("wrong", [{"kind": "lsgan"}, {"every": 4}, {"weight": 0.0}])
def test_the_adversary_has_no_settings_that_do_nothing(wrong: dict) -> None:
    own = {"kind": "hinge", "weight": 0.1} | wrong
    with pytest.raises(DeoccError, match=f"adversary.{next(iter(wrong))}"):
        PainterSettings(adversary=AdversarySettings(**own))


def test_every_term_reaches_the_network_and_never_the_adversary(pack: Pack) -> None:
    system = tiny_system()
    batch = collate([PackedItems([pack], SIZE).item(0, i) for i in range(3)])
    terms = system.losses(batch)
    assert set(terms) == {"l1_hole", "l1_valid", "colour", "perceptual", "style", "adversarial", "matching"}
    for name, term in terms.items():
        system.network.zero_grad()
        term.backward(retain_graph=True)
        assert any(p.grad is not None and p.grad.abs().sum() > 0 for p in system.network.parameters()), name
    assert system.discriminator is not None
    assert all(p.grad is None for p in system.discriminator.parameters())
    system.network.zero_grad()
    system.discriminator_losses(batch)["discriminator"].backward()
    assert all(p.grad is not None for p in system.discriminator.parameters())
    assert all(p.grad is None or not p.grad.abs().sum() for p in system.network.parameters())


def test_the_discriminator_judges_at_each_scale() -> None:
    answers = ScaledPatchDiscriminators(5, 8, 2)(torch.rand(2, 5, 64, 64))
    assert [logits.shape for _, logits in answers] == [(2, 1, 8, 8), (2, 1, 4, 4)]
    assert all(len(features) == 3 for features, _ in answers)


def test_blurred_l1_sees_colour_and_not_texture() -> None:
    target = torch.full((1, 3, 32, 32), 0.5)
    checks = target + 0.2 * (2 * ((torch.arange(32)[:, None] + torch.arange(32)) % 2) - 1)
    region = torch.ones(1, 1, 32, 32)
    assert blurred_l1(checks, target, region) < 1e-6
    assert blurred_l1(target + 0.2, target, region) == pytest.approx(0.2)


def test_hidden_part_shift_gives_the_true_mean_of_each_part() -> None:
    parts = torch.zeros(1, 2, 4, 4)
    parts[:, 0, :2], parts[:, 1, 2:] = 1, 1
    target = torch.rand(1, 3, 4, 4)
    region = torch.ones(1, 1, 4, 4)
    region[..., 3] = 0
    guess = torch.zeros(1, 3, 4, 4)
    moved = guess + hidden_part_shift(guess, target, parts, region)
    assert torch.allclose(moved[0, :, 0, 0], target[0, :, :2, :3].mean((1, 2)), atol=1e-6)
    assert torch.allclose(moved[0, :, 3, 0], target[0, :, 2:, :3].mean((1, 2)), atol=1e-6)


def test_palette_holds_the_colours_that_are_worn(pack: Pack) -> None:
    palette = fit_palette([pack] * 30, 2)
    shirt = palette[4]
    assert shirt[:, 3].sum() == pytest.approx(1)
    assert torch.allclose(shirt[shirt[:, 3].argmax(), :3], torch.tensor([200, 30, 30]) / 255, atol=0.02)
    assert not palette[0].any()


def test_the_guess_knows_skin_and_what_people_wear() -> None:
    parts = torch.zeros(1, 19, 32, 32)
    parts[:, 12, :8], parts[:, 13, 8:16], parts[:, 8, 16:24], parts[:, 11, 24:] = 1, 1, 1, 1
    seen = torch.zeros(1, 1, 32, 32)
    seen[..., :8, :] = 1  # the face shows; an arm, trousers and a skirt are hidden
    image = torch.tensor([0.9, 0.6, 0.5])[None, :, None, None].expand(1, 3, 32, 32)
    common = torch.zeros(19, 3)
    common[13], common[8] = torch.tensor([0.1, 0.9, 0.1]), torch.tensor([0.1, 0.1, 0.4])
    guess, sure = part_prior_evidence(image, seen, parts * seen, parts, common)
    assert torch.allclose(guess[0, :, 12, 16], image[0, :, 0, 0], atol=0.02)  # as the face
    assert torch.allclose(guess[0, :, 20, 16], common[8], atol=0.02)  # as people's trousers
    assert torch.allclose(guess[0, :, 29, 16], image[0, :, 0, 0], atol=0.02)  # unknown: as the person
    assert sure[0, 0, 4, 16] > 0.9 > 0.1 > sure[0, 0, 20, 16]
    plain, _ = part_prior_evidence(image, seen, parts * seen, parts)
    assert torch.allclose(plain[0, :, 20, 16], image[0, :, 0, 0], atol=0.02)


def test_what_most_people_wear_counts_more_than_its_share() -> None:
    net = painter_net()
    net.palette.zero_()
    net.palette[8, 0] = torch.tensor([0.1, 0.1, 0.2, 0.6])  # trousers: dark on six people in ten
    net.palette[8, 1] = torch.tensor([0.9, 0.9, 0.8, 0.4])
    whole, visible = torch.zeros(1, 19, 32, 32), torch.zeros(1, 1, 32, 32)
    whole[:, 4, :16], whole[:, 8, 16:], visible[..., :16, :] = 1, 1, 1
    image, everywhere = torch.full((1, 3, 32, 32), 0.5), torch.ones(1, 1, 32, 32)
    guess, _ = net.first_guess(image, visible, everywhere, whole * visible, whole)
    wanted = torch.tensor([0.1, 0.1, 0.2]) * 0.216 + torch.tensor([0.9, 0.9, 0.8]) * 0.064
    assert torch.allclose(guess[0, :, 28, 16], wanted / 0.28, atol=0.02)
    assert torch.allclose(guess[0, :, 8, 16], image[0, :, 0, 0], atol=0.02)  # the shirt shows


@pytest.fixture(scope="module")
def deoccluder() -> Deoccluder:
    torch.manual_seed(0)
    net = painter_net()
    torch.nn.init.normal_(net.head.last[-1].weight, std=0.3)
    net.palette[:] = torch.rand(net.palette.shape)
    return Deoccluder(MaskCompletionNet(8, templates=(8, 16, 16), levels=4).eval(), net, SIZE, "cpu")


def test_samples_differ_in_the_hole_alone(deoccluder: Deoccluder) -> None:
    case = person_case()
    answer = deoccluder.deocclude(case.image, case.modal_mask, samples=3)
    assert len(answer.samples) == 3 and answer.samples[0] is answer.recovered
    assert answer.invisible_mask.any()
    for sample in answer.samples:
        assert np.array_equal(sample[~answer.invisible_mask], case.image[~answer.invisible_mask])
    assert not np.array_equal(answer.samples[0], answer.samples[1])
    assert not np.array_equal(answer.samples[1], answer.samples[2])
    alone = deoccluder.deocclude(case.image, case.modal_mask)
    assert alone.samples == () and np.array_equal(alone.recovered, answer.recovered)


def test_samples_take_any_seed(deoccluder: Deoccluder) -> None:
    case = person_case()
    answer = deoccluder.deocclude(case.image, case.modal_mask, samples=2, seed=2**63 - 1)
    assert not np.array_equal(*answer.samples)


def test_samples_are_saved_and_refused_where_weights_paint_one_picture(
    deoccluder: Deoccluder, tiny_weights: Path, tmp_path: Path
) -> None:
    case = person_case()
    deoccluder.deocclude(case.image, case.modal_mask, samples=2).save(tmp_path)
    assert (tmp_path / "recovered_2.png").is_file() and not (tmp_path / "recovered_3.png").exists()
    with pytest.raises(DeoccError, match="samples is 0"):
        deoccluder.deocclude(case.image, case.modal_mask, samples=0)
    plain = Deoccluder.from_pretrained(tiny_weights, "cpu")
    with pytest.raises(DeoccError, match="paint one picture"):
        plain.deocclude(case.image, case.modal_mask, samples=2)


def test_an_evaluation_asks_a_painter_in_its_own_frame(deoccluder: Deoccluder) -> None:
    case = person_case()
    assert case.modal_mask is not None and case.amodal_mask is not None and case.parsing_amodal is not None
    told = replace(case, initial_mask=case.modal_mask)
    found = predict_chunk(recovery_system(deoccluder), [told], "pixels", "modal", SIZE)[0]
    task = PaintingTask(case.image, case.modal_mask, case.amodal_mask, case.parsing_amodal)
    assert found.recovered is not None
    assert np.array_equal(found.recovered, paint(deoccluder.content_net, task, SIZE))  # type: ignore[arg-type]
    seen = predict_chunk(recovery_system(deoccluder, "seen"), [told], "pixels", "modal", SIZE)[0]
    assert seen.recovered is not None and not np.array_equal(seen.recovered, found.recovered)


def test_the_command_line_writes_samples(deoccluder: Deoccluder, tmp_path: Path) -> None:
    case = person_case()
    write_image(tmp_path / "a.png", case.image)
    assert case.modal_mask is not None
    write_mask(tmp_path / "m.png", case.modal_mask)
    weights = tmp_path / "weights"
    about = {"input_size": str(SIZE)}
    save_weights(weights / "mask-x.safetensors", deoccluder.mask_net, about)
    save_weights(weights / "content-x.safetensors", deoccluder.content_net, about)
    words = ["deocclude", str(tmp_path / "a.png"), "--mask", str(tmp_path / "m.png"), "--samples", "3"]
    found = CliRunner().invoke(app, [*words, "--weights", str(weights), "--out", str(tmp_path / "out")])
    assert found.exit_code == 0, found.output
    pictures = [read_image(tmp_path / "out" / f"recovered_{k}.png") for k in (1, 2, 3)]
    assert np.array_equal(pictures[0], read_image(tmp_path / "out" / "recovered.png"))
    assert not np.array_equal(pictures[0], pictures[2])
    for kept in ("recovered_4.png", "recovered_16.png"):  # the user's own
        write_image(tmp_path / "out" / kept, case.image)
    fewer = [*words[:-1], "2", "--seed", "1", "--weights", str(weights), "--out", str(tmp_path / "out")]
    assert CliRunner().invoke(app, fewer).exit_code == 0
    assert not (tmp_path / "out" / "recovered_3.png").exists(), "of the earlier call"
    for kept in ("recovered_4.png", "recovered_16.png"):
        assert (tmp_path / "out" / kept).is_file()
    again = [read_image(tmp_path / "out" / f"recovered_{k}.png") for k in (1, 2)]
    assert np.array_equal(pictures[0], again[0]) and not np.array_equal(pictures[1], again[1])


def test_the_bundled_painter_answers_in_several_ways() -> None:
    case = CaseFolder(DATA / "demo-cases")[0]
    assert case.modal_mask is not None
    painter = Deoccluder.from_pretrained("small", "cpu", flip=False)
    assert (painter.texture, painter.exemplar) == (0, True)
    smooth, chosen = (Deoccluder.from_pretrained(*kind) for kind in (("smooth",), ("small", None, True, 0.3)))
    assert (smooth.texture, smooth.exemplar) == (0.5, False)
    assert (chosen.texture, chosen.exemplar) == (0.3, False), "texture is what was asked for"
    answer = painter.deocclude(case.image, case.modal_mask, samples=3)
    hole = answer.invisible_mask
    assert hole.any()
    pairs = [(answer.samples[i], answer.samples[j]) for i, j in ((0, 1), (0, 2), (1, 2))]
    for first, second in pairs:
        assert np.abs(first[hole].astype(int) - second[hole]).mean() > 1


def test_the_painted_outline_takes_the_colours_of_its_inside() -> None:
    """And only where the person ends: not at the visible part."""
    person, hole = np.zeros((2, 40, 40), bool)
    person[5:35, 5:35] = True
    hole[5:35, 20:35] = True
    painted = np.full((40, 40, 3), 0.2, np.float32)
    painted[5:35, 33:35] = 0.9  # a light outline
    painted[5:35, 20:22] = 0.6  # at the visible part
    before = painted.copy()
    out = without_outline(painted, hole, person)
    assert np.array_equal(painted, before)
    assert np.allclose(out[10:30, 33:35], 0.2, atol=0.02)
    inside = np.s_[7:33, :33]
    assert np.array_equal(out[inside], painted[inside])
    assert np.array_equal(out[~hole], painted[~hole])
    thin = np.zeros_like(hole)
    thin[5:35, 34] = True
    assert without_outline(painted, thin, person) is painted  # it has no inside


def test_the_outline_is_drawn_anew_but_not_at_the_photos_border(monkeypatch: pytest.MonkeyPatch) -> None:
    amodal = np.zeros((120, 120), bool)
    amodal[5:115, :30] = True
    modal = amodal.copy()
    modal[60:] = False
    task = PaintingTask(np.full((120, 120, 3), 90, np.uint8), modal, amodal, amodal.astype(np.uint8) * 5)
    changed = []

    def watched(picture: np.ndarray, hole: np.ndarray, person: np.ndarray) -> np.ndarray:
        noise = np.random.default_rng(0).random(picture.shape, np.float32)
        changed.append((without_outline(noise, hole, person) != noise).any(2))
        return without_outline(picture, hole, person)

    monkeypatch.setattr("deocc.inference.painting.without_outline", watched)
    paint(painter_net(), task, 64)
    columns = np.nonzero(changed[0])[1]
    hole = task.frame().crop_mask(task.hole, 64)
    first, last = np.nonzero(hole.any(0))[0][[0, -1]]
    middle = changed[0][np.nonzero(hole.any(1))[0][3:-6]]
    assert last in columns and first < last and not middle[:, first].any() and middle[:, last].all()


def test_answers_and_samples_have_the_labels_of_the_other_side(
    deoccluder: Deoccluder, monkeypatch: pytest.MonkeyPatch
) -> None:
    def all_hair(modal_mask: np.ndarray, amodal_mask: np.ndarray, parsing: np.ndarray) -> np.ndarray:
        return np.where(amodal_mask, 2, 0).astype(np.uint8)

    case, layouts = person_case(), []
    monkeypatch.setattr("deocc.inference.photo.as_the_other_side", all_hair)
    monkeypatch.setattr("deocc.inference.samples.as_the_other_side", all_hair)
    monkeypatch.setattr(
        "deocc.inference.samples.paint", lambda network, task, *_: layouts.append(task.parsing) or task.image
    )
    answer = deoccluder.deocclude(case.image, case.modal_mask, samples=2)
    assert set(np.unique(answer.parsing)) == {0, 2}
    assert len(layouts) == 2 and all(set(np.unique(parts)) <= {0, 2} for parts in layouts)


def test_parts_as_seen_do_not_depend_on_what_is_hidden(deoccluder: Deoccluder) -> None:
    case = person_case()
    noise = np.random.default_rng(0).integers(0, 255, case.image.shape, np.uint8)
    one, two = (
        predict_chunk(
            recovery_system(deoccluder, "seen"),
            [replace(case, initial_mask=case.modal_mask, target=target)],
            "pixels",
            "modal",
            SIZE,
        )[0]
        for target in (case.target, noise)
    )
    assert np.array_equal(one.recovered, two.recovered)
