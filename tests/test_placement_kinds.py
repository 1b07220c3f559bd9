"""Kinds of placement: exact ratios, things where their kind says, and plain pasting as it was."""

import hashlib
from dataclasses import replace

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deocc import figures
from deocc.cli import main as cli
from deocc.errors import DeoccError, PlacementError
from deocc.experiments.presets import get_preset
from deocc.io import read_rgba
from deocc.masks import mask_box
from deocc.occlusion import (
    KINDS,
    MIXES,
    CaseFolder,
    OcclusionCase,
    OcclusionDataset,
    PasteOptions,
    Placement,
    fit_occluder,
    fitting_offsets,
    make_cases,
    mask_faults,
    occlude,
    occlude_as,
    person_as_occluder,
    put_behind,
    unoccluded_case,
    write_case,
)
from deocc.occlusion.folder import make_case
from deocc.occlusion.mix import NATURAL_PASTE
from deocc.occlusion.neighbours import add_neighbour
from deocc.occlusion.priors import Zone
from deocc.occlusion.realism import contact_shadow, degrade, match_colours, match_sharpness, solid_rim
from deocc.occlusion.rejection import place_by_rejection
from deocc.occlusion.surfaces import SURFACES, Surface, draw_surface
from deocc.paths import PEOPLE_MINI
from deocc.people import Occluder, PeopleFolder, Person, folder
from deocc.people.folder import write_people
from deocc.widgets import DensityEditor

PEOPLE = PeopleFolder(PEOPLE_MINI, "train")[:8]
OCCLUDERS = list(PeopleFolder(PEOPLE_MINI).occluders("train"))


def draw_kind(kind: str, index: int, ratio: float):
    rng = np.random.default_rng([3, index])
    return occlude_as(
        kind, unoccluded_case(PEOPLE[index % 8]), ratio, rng,
        lambda r: OCCLUDERS[int(r.integers(len(OCCLUDERS)))], lambda r: PEOPLE[int(r.integers(8))],
        NATURAL_PASTE, tries=12,
    )  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_reaches_its_ratio(kind: str) -> None:
    for index, ratio in enumerate((0.08, 0.15, 0.2, 0.3, 0.4)):
        case = draw_kind(kind, index, ratio)
        assert abs(case.occlusion_ratio - ratio) <= 0.01
        assert case.placement == ("" if kind == "anywhere" else kind)
        np.testing.assert_array_equal(case.modal_mask, case.amodal_mask & ~case.occluder_mask)


@pytest.mark.parametrize(("kind", "category"), [("grounded", "car"), ("ridden", "bicycle")])
def test_what_stands_on_the_ground_is_not_above_the_feet(kind: str, category: str) -> None:
    thing = next(thing for thing in OCCLUDERS if thing.category == category)
    for person in PEOPLE[:4]:
        cutout = fit_occluder(unoccluded_case(person), thing, 0.15, np.random.default_rng(0), kind=kind)
        x0, y0, x1, y1 = mask_box(person.amodal_mask)
        foot = cutout.top_left[0] + mask_box(cutout.mask)[3]
        assert foot >= y1 - 0.11 * max(x1 - x0, y1 - y0)


def test_border_occluders_leave_the_photo() -> None:
    for index in range(6):
        covered = draw_kind("border", index, 0.3).occluder_mask
        assert covered[-1].any() or covered[:, 0].any() or covered[:, -1].any()


def test_zone_admits_what_it_says() -> None:
    zone = Zone(bottom=(10, 12), middle_x=(4, 6))
    y, x = np.array([6, 6, 9, 7]), np.array([3, 8, 3, 4])
    assert zone.admits(y, x, (0, 0, 3, 5), (50, 50)).tolist() == [True, False, False, True]
    leaves = Zone(leaves=True).admits(np.array([30, 48]), np.array([5, 5]), (0, 0, 10, 10), (50, 50))
    assert leaves.tolist() == [False, True]


surfaces = st.tuples(st.sampled_from(SURFACES), st.integers(0, 2**31), st.integers(0, 2**31))


@settings(max_examples=40, deadline=None)
@given(surfaces)
def test_hidden_by_a_surface_equals_brute_force(drawn: tuple[str, int, int]) -> None:
    kind, seed, spots = drawn
    mask = np.random.default_rng(spots).random((23, 17)) < 0.3
    mask[11, 8] = True
    surface = draw_surface(mask_box(mask), mask.shape, np.random.default_rng(seed), kind)
    places, hidden = surface.hidden(mask)
    assert len(places) == len(hidden)
    some = slice(None, None, max(1, len(places) // 30))
    for place, area in zip(places[some], hidden[some], strict=True):
        assert (surface.mask(int(place)) & mask).sum() == area


def test_a_wall_covers_from_its_edge_on() -> None:
    rows = np.repeat(np.arange(8, dtype=np.float32)[:, None], 3, 1)
    wall = Surface("wall", rows, np.ones(1, bool), np.ones((8, 3), bool))
    np.testing.assert_array_equal(wall.mask(5 * 4), rows >= 5)


def test_placement_shares_are_drawn() -> None:
    rng = np.random.default_rng(0)
    mix = Placement(anywhere=1, grounded=3, held=0)
    drawn = [mix.draw(rng) for _ in range(4000)]
    assert set(drawn) == {"anywhere", "grounded"}
    assert abs(drawn.count("grounded") / 4000 - 0.75) < 0.03
    before = rng.bit_generator.state["state"]
    assert Placement().draw(rng) == "anywhere" and rng.bit_generator.state["state"] == before


@pytest.mark.parametrize("shares", [{"anywhere": 0.0}, {"held": -0.1}])
def test_bad_shares_are_an_error(shares: dict) -> None:
    with pytest.raises(DeoccError, match="shares"):
        Placement(**shares)


def test_unknown_placement_names_the_known_ones() -> None:
    with pytest.raises(DeoccError, match="natural, anywhere, grounded"):
        Placement.named("floating")


def stripes(height: int, width: int, colour: tuple[int, int, int]) -> np.ndarray:
    image = np.zeros((height, width, 3), np.uint8)
    image[:, ::2] = colour
    return image


def test_colours_follow_the_photo() -> None:
    cut, alpha = stripes(20, 20, (200, 40, 40)), np.ones((20, 20), np.float32)
    noise = np.random.default_rng(0).integers(90, 160, (40, 40, 1), np.uint8)
    grey = np.repeat(noise, 3, 2)
    found = match_colours(cut, alpha, grey, 0.3).astype(int)
    assert np.ptp(found, axis=2).max() <= 6  # grey photo, grey cut-out
    colourful = np.dstack([noise[..., 0] + 60, noise[..., 0] - 60, noise[..., 0] - 60]).astype(np.uint8)
    full = match_colours(cut, alpha, colourful, 1.0)
    assert np.abs(full.mean((0, 1)) - colourful.mean((0, 1))).max() < 15


def test_sharpness_moves_towards_the_person() -> None:
    rng, alpha = np.random.default_rng(1), np.ones((40, 40), np.float32)
    crisp = rng.integers(0, 255, (40, 40, 3), np.uint8)
    smooth = np.repeat(np.arange(0, 240, 6, dtype=np.uint8)[None, :, None], 40, 0).repeat(3, 2)
    all_of_it = np.ones((40, 40), bool)
    assert match_sharpness(crisp, alpha, smooth, all_of_it).std() < 0.7 * crisp.std()
    np.testing.assert_array_equal(match_sharpness(crisp, alpha, crisp, all_of_it), crisp)


def test_shadow_darkens_beside_and_never_on_the_thing() -> None:
    image, covered = np.full((40, 40, 3), 200, np.uint8), np.zeros((40, 40), bool)
    covered[10:30, 10:20] = True
    found = contact_shadow(image, covered, 0.5, 6.0)
    assert (found[covered] == 200).all() and found[20, 22].max() < 195 and found[0, 39].min() > 195


def test_degrading_treats_all_pictures_alike() -> None:
    image = np.random.default_rng(2).integers(0, 255, (32, 32, 3), np.uint8)
    changed = 0
    for seed in range(8):
        a, b = degrade([image, image.copy()], np.random.default_rng(seed))
        np.testing.assert_array_equal(a, b)
        changed += not np.array_equal(a, image)
    assert changed >= 5


def test_things_behind_leave_the_person_alone() -> None:
    case = unoccluded_case(PEOPLE[0])
    found = put_behind(case, OCCLUDERS[0], np.random.default_rng(0), NATURAL_PASTE)
    assert found.occlusion_ratio == 0 and (found.image != case.image).any()
    inner = cv2.erode(case.amodal_mask.astype(np.uint8), np.ones((9, 9), np.uint8)) > 0
    np.testing.assert_array_equal(found.image[inner], case.image[inner])


def test_natural_mix_makes_whole_batches() -> None:
    data = OcclusionDataset(PEOPLE, OCCLUDERS, 64, seed=1, mix=MIXES["natural"])
    kinds = {data.case(i % 8, np.random.default_rng(i)).placement for i in range(60)}
    assert kinds == set(KINDS) - {"anywhere"} | {""}
    item = data[0]
    assert item["image"].shape == (3, 64, 64) and (item["modal_mask"] <= item["amodal_mask"]).all()


def test_command_line_makes_cases_by_kind(tmp_path, capsys: pytest.CaptureFixture[str]) -> None:
    write_people(tmp_path / "people", [replace(person, split="val") for person in PEOPLE[:3]],
                 [replace(thing, split="val") for thing in OCCLUDERS[:12]])  # fmt: skip
    words = ["occlude", str(tmp_path / "people"), "--per-person", "1", "--out", str(tmp_path / "cases")]
    with pytest.raises(SystemExit) as stop:
        cli.main([*words, "--placement", "surface", "--ratio", "0.2", "0.3"])
    assert not stop.value.code
    assert [case.placement for case in CaseFolder(tmp_path / "cases")] == ["surface"] * 3
    with pytest.raises(SystemExit) as stop:
        cli.main([*words[:-1], str(tmp_path / "more"), "--placement", "floating"])
    assert stop.value.code == 2
    assert "placement 'floating' is unknown; choose from natural, anywhere" in capsys.readouterr().err


def test_cases_that_are_not_placed_as_asked_are_counted(
    tmp_path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    write_people(tmp_path / "people", [replace(person, split="val") for person in PEOPLE[:3]],
                 [replace(thing, split="val", category="thing") for thing in OCCLUDERS[:8]])  # fmt: skip
    read: list[object] = []
    monkeypatch.setattr(folder, "read_rgba", lambda path: (read.append(path), read_rgba(path))[1])
    words = ["occlude", str(tmp_path / "people"), "--per-person", "1", "--ratio", "0.2", "0.3"]
    for kind, out, strict, code in (
        ("held", "a", [], 0), ("held", "b", ["--strict"], 3), ("held", "b1", ["--strict", "--shard=1/3"], 3),
        ("natural", "c", ["--strict"], 0), ("anywhere", "d", ["--strict"], 0),
    ):  # fmt: skip
        with pytest.raises(SystemExit) as stop:
            cli.main([*words, "--placement", kind, "--out", str(tmp_path / out), *strict])
        said = capsys.readouterr().err
        assert (stop.value.code or 0) == code
        count = 1 if "--shard=1/3" in strict else 3
        words_of = f"{count} of {count} cases could not be placed as 'held' and were pasted anywhere"
        assert (words_of in said) == (kind == "held")
    assert len(CaseFolder(tmp_path / "a")) == 3
    assert len(read) < 100, "categories are known without pictures"


def test_a_damaged_thing_costs_no_case(tmp_path) -> None:
    whole = write_people(tmp_path, PEOPLE[:6], OCCLUDERS[:10])
    before = [make_case(whole, 0, i, whole.occluders(), (0.1, 0.3), 0.0, 0, NATURAL_PASTE,
                        Placement.named("natural")) for i in range(12)]  # fmt: skip
    broken = [tmp_path / "occluders" / f"{thing.id}.png" for thing in OCCLUDERS[:4]]
    for path in (*broken, tmp_path / "images" / f"{PEOPLE[1].id}.jpg"):
        path.write_bytes(path.read_bytes()[:300])
    after = [make_case(whole, 0, i, whole.occluders(), (0.1, 0.3), 0.0, 0, NATURAL_PASTE,
                       Placement.named("natural")) for i in range(12)]  # fmt: skip
    same = [np.array_equal(a.image, b.image) for a, b in zip(before, after, strict=True)]
    assert 0 < sum(same) < 12, "cases without the damaged files stay"


def test_margins_of_a_cutout_do_not_make_it_smaller(tmp_path) -> None:
    def padded(thing: Occluder, part: float) -> Occluder:
        rows, columns = (round(part * n) for n in thing.mask.shape)
        sides = ((rows, rows), (columns, columns))
        return replace(thing, image=np.pad(thing.image, (*sides, (0, 0))), mask=np.pad(thing.mask, sides),
                       alpha=np.pad(thing.alpha, sides))  # fmt: skip

    for name, part in (("tight", 0.0), ("wide", 1.0), ("narrow", 0.02)):
        write_people(tmp_path / name, PEOPLE[:1], [padded(thing, part) for thing in OCCLUDERS[:5]])
    tight, wide, narrow = (PeopleFolder(tmp_path / n).occluders() for n in ("tight", "wide", "narrow"))
    for a, b, c in zip(tight, wide, narrow, strict=True):
        np.testing.assert_array_equal(a.mask, b.mask)
        np.testing.assert_array_equal(a.image, b.image)
        assert c.mask.shape[0] > a.mask.shape[0], "stored cases depend on narrow margins"


def test_what_shines_through_is_no_margin(tmp_path) -> None:
    bottle = replace(OCCLUDERS[0], image=np.full((100, 40, 3), 90, np.uint8), mask=np.ones((100, 40), bool),
                     alpha=np.full((100, 40), 110, np.uint8))  # fmt: skip
    bottle.alpha[:15, 10:30] = 255  # the cap
    write_people(tmp_path, PEOPLE[:1], [bottle])
    assert PeopleFolder(tmp_path).occluders()[0].mask.shape == (100, 40)


def test_a_solid_rim_leaves_no_outline() -> None:
    """A thing of the photo's only colour, stored black where it is transparent, is invisible."""
    photo = replace(PEOPLE[0], image=np.full_like(PEOPLE[0].image, 200))
    case, plain = unoccluded_case(photo), PasteOptions(harmonise=0.0)
    solid, darker = replace(plain, solid_rim=True), 0
    hidden = replace(PEOPLE[1], image=np.where(PEOPLE[1].amodal_mask[..., None], 200, 0).astype(np.uint8))
    for thing in (*OCCLUDERS[:6], person_as_occluder(hidden)):
        seen = thing.mask if thing.alpha is None else thing.alpha > 0
        flat = replace(thing, image=np.where(seen[..., None], 200, 0).astype(np.uint8).repeat(3, 2))

        def paste(options: PasteOptions, flat: Occluder = flat) -> list[OcclusionCase]:
            draws = (np.random.default_rng(1) for _ in range(3))
            return [
                occlude(case, flat, 0.3, next(draws), options),
                put_behind(case, flat, next(draws), options),
                add_neighbour(case, flat, next(draws), options),
            ]

        for before, after in zip(paste(plain), paste(solid), strict=True):
            assert abs(after.image.astype(int) - 200).max() <= 1
            np.testing.assert_array_equal(before.modal_mask, after.modal_mask)
            darker += before.image.min() < 180
    assert darker >= 14
    for opacity in (100, 150):
        alpha = np.pad(np.full((9, 9), opacity, np.uint8), 2, constant_values=255)
        glass = replace(OCCLUDERS[0], mask=alpha >= 128, alpha=alpha,
                        image=(np.arange(507) % 251).astype(np.uint8).reshape(13, 13, 3))  # fmt: skip
        np.testing.assert_array_equal(solid_rim(glass).image, glass.image)


def test_training_takes_a_mix_by_name() -> None:
    assert get_preset("tiny", {"mask.mix": "natural"}).mask.mix == MIXES["natural"]
    changed = get_preset("tiny", {"mask.mix.placement.held": 0.5, "mask.mix.behind": 0.1}).mask.mix
    assert changed.placement.held == 0.5 and changed.behind == 0.1
    with pytest.raises(DeoccError, match="choose from anywhere, natural"):
        get_preset("tiny", {"mask.mix": "wild"})


def test_rejection_finds_what_exact_placement_finds() -> None:
    person, thing = PEOPLE[0].amodal_mask, np.ones((90, 60), bool)
    (y, x), draws = place_by_rejection(person, thing, 0.3, np.random.default_rng(0))
    hidden = np.pad(person, 100)[100 + y : 190 + y, 100 + x : 160 + x].sum() / person.sum()
    assert abs(hidden - 0.3) <= 0.01 and draws >= 64
    with pytest.raises(PlacementError, match="none of 128 draws"):
        place_by_rejection(person, np.ones((2, 2), bool), 0.3, np.random.default_rng(0), most=128)


def test_offsets_that_hide_next_to_nothing_keep_their_margins() -> None:
    """At ratios within the tolerance of 0, offsets beside the person fit, too: all of them are listed."""
    person, thing = np.ones((4, 4), bool), np.zeros((3, 3), bool)
    thing[1, 1] = True
    assert len(fitting_offsets(person, thing, 0.005)) == 6 * 6 - 16
    assert len(fitting_offsets(person, thing, 1 / 16)) == 16


def test_fixed_cases_by_kind_keep_their_kind_on_disk(tmp_path) -> None:
    made = make_cases(PEOPLE[:3], OCCLUDERS, 1, (0.1, 0.2), 0.0, 0, NATURAL_PASTE, Placement.named("natural"))
    kinds = {write_case(tmp_path, case).name: case.placement for case in made}
    assert {case.id: case.placement for case in CaseFolder(tmp_path)} == kinds and any(kinds.values())


def test_plain_pasting_is_as_it_was() -> None:
    """The bytes of a plain case for a seed: fixed validation sets depend on them."""
    rows, columns = np.mgrid[:60, :50]
    body = ((rows - 30) / 22) ** 2 + ((columns - 25) / 9) ** 2 < 1
    image = ((rows * 5 + columns * 3)[..., None] * np.array([1, 2, 3]) % 251).astype(np.uint8)
    thing = Occluder("o", image[:30, :20, ::-1].copy(), np.ones((30, 20), bool))
    case = occlude(Person("p", image, body), thing, 0.35, np.random.default_rng(5))
    assert hashlib.sha256(case.occluder_mask.tobytes()).hexdigest()[:16] == "a81074d92abf9754"
    assert case.placement == ""


def test_faults_of_a_mask_are_sorted() -> None:
    modal, occluder, found = (np.zeros((4, 4), bool) for _ in range(3))
    modal[:2], occluder[2] = True, True
    found[1:3, :] = True
    found[3, 0] = True
    assert mask_faults(found, modal, occluder) == (4 / 13, 0.5, 0.5, 0.125)
    assert mask_faults(modal, modal, occluder) == (1, 0, 0, 0)


def test_density_editor_bends_a_curve() -> None:
    editor = DensityEditor(start="val")
    before = editor.image.value
    editor.knots[9].value = 1.0
    assert editor.image.value != before and editor.density.heights[9] == 1.0
    kept = editor.density
    for knot in editor.knots:
        knot.value = 0.0
    assert "density" in editor.caption.value and max(editor.density.heights) > 0  # the last curve stays
    editor.start.value = "train"
    assert editor.density != kept and "mean occlusion ratio" in editor.caption.value


def test_heat_marks_and_scales() -> None:
    picture = figures.heat(np.array([[0.0, 2.0], [1.0, 4.0]]), 2.0, np.array([[False, False], [True, False]]))
    assert picture[0, 0].tolist() == [30, 30, 30] and picture[0, 1].tolist() == [255, 255, 255]
    assert tuple(picture[1, 0]) == figures.INVISIBLE and (picture[1, 1] == 255).all()


def test_scenery_shows_nothing_of_its_person() -> None:
    from deocc.occlusion.surfaces import background_texture

    mask = np.zeros((60, 60), bool)
    mask[20:50, 25:40] = True
    image = np.where(mask[..., None], np.uint8(255), np.uint8(40)).repeat(3, 2)
    photo = replace(PEOPLE[0], image=image, amodal_mask=mask)
    for seed in range(8):
        assert (background_texture(photo, (90, 120), np.random.default_rng(seed)) == 40).all()


def test_the_look_of_plain_pasting_is_as_it_was() -> None:
    """Brightness moves up to half way to the photo's; nothing beside the thing changes."""
    body = np.zeros((60, 50), bool)
    body[8:52, 16:34] = True
    person = Person("p", np.full((60, 50, 3), 40, np.uint8), body)
    thing, levels = Occluder("o", np.full((30, 20, 3), 200, np.uint8), np.ones((30, 20), bool)), []
    for seed in range(12):
        case = occlude(person, thing, 0.35, np.random.default_rng(seed))
        covered, square = case.occluder_mask.astype(np.uint8), np.ones((7, 7), np.uint8)
        assert (case.image[cv2.dilate(covered, square) == 0] == 40).all()
        levels.append(case.image[cv2.erode(covered, square) > 0].mean())
    assert 120 <= min(levels) < 145 and max(levels) > 180


def test_severity_1_is_as_wrong_as_a_segmenter() -> None:
    found = [
        mask_faults(case.initial_mask, case.modal_mask, case.occluder_mask).iou
        for case in make_cases(PeopleFolder(PEOPLE_MINI, "val"), OCCLUDERS, 2)
    ]
    assert 0.5 < np.mean(found) < 0.64
