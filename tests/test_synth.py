"""The renderer: determinism, exact labels, sizes, left and right, coverage, folders, occluders."""

from collections.abc import Sequence

import numpy as np
import pytest

from deocc.errors import DeoccError
from deocc.labels import LIP_CLASSES, NUM_CLASSES
from deocc.masks import mask_box
from deocc.paths import PEOPLE_MINI
from deocc.people import Occluder, PeopleFolder, Person
from deocc.people.bundle import TRAIN_OCCLUDERS, TRAIN_PEOPLE, VAL_OCCLUDERS, VAL_PEOPLE
from deocc.people.synth import render_occluder, render_people, render_person
from deocc.people.synth.asset import load_asset, loop_subdivision
from deocc.people.synth.batch import split_of
from deocc.people.synth.character import build_character
from deocc.people.synth.materials import COLUMNS, Material
from deocc.people.synth.mesh import MeshBuilder
from deocc.people.synth.objects import KINDS
from deocc.people.synth.pose import LIBRARY, mirrored, rotation, solve_pose
from deocc.people.synth.raster import ambient_occlusion, majority_labels, rasterize, vertex_normals
from deocc.people.synth.shading import Camera, Light, cast_shadows, lit_share, resolve
from deocc.people.synth.shapes import ball, box, rod

SIZE = 128
NAMES = {name: number for number, name in enumerate(LIP_CLASSES)}


@pytest.fixture(scope="module")
def people() -> Sequence[Person]:
    return [render_person(seed, SIZE) for seed in range(920_000, 920_030)]


# --- closed forms of the rasteriser -------------------------------------------------------------------------


def _raster(screen: list[list[float]], cut: list[float], size: int = 8) -> tuple[np.ndarray, np.ndarray]:
    nearest, triangle = np.zeros((size, size)), np.full((size, size), -1, np.int32)
    faces = np.arange(len(screen), dtype=np.int32).reshape(-1, 3)
    args = (np.array(screen, float), faces, np.array(cut, float), size, size, nearest, triangle)
    rasterize(*args, np.zeros((size, size, 2)))
    return nearest, triangle


def test_triangle_covers_the_pixels_whose_centres_it_holds() -> None:
    _, triangle = _raster([[0, 0, 1], [8, 0, 1], [0, 8, 1]], [1, 1, 1])
    row, column = np.mgrid[:8, :8] + 0.5
    np.testing.assert_array_equal(triangle == 0, row + column <= 8)


def test_nearer_triangle_wins_in_either_order() -> None:
    near, far = [[0, 0, 2], [8, 0, 2], [0, 8, 2]], [[0, 0, 1], [8, 0, 1], [0, 8, 1]]
    for screen, winner in ((near + far, 0), (far + near, 1)):
        nearest, triangle = _raster(screen, [1] * 6)
        assert set(triangle[triangle >= 0]) == {winner} and nearest.max() == 2


def test_cut_removes_the_negative_side() -> None:
    _, triangle = _raster([[0, 0, 1], [16, 0, 1], [0, 16, 1]], [-4, 12, -4])  # cut = x - 4
    assert (triangle[:, 4:] == 0).all() and (triangle[:, :4] == -1).all()


def test_labels_take_the_majority_and_half_cover_counts_as_inside() -> None:
    triangle = np.array([[0, 0, -1, -1], [1, -1, -1, -1], [1, 1, 0, -1], [0, 1, -1, 1]], np.int32)
    labels = majority_labels(triangle, np.array([5, 9], np.uint8), 2)
    np.testing.assert_array_equal(labels, [[5, 0], [9, 5]])


def test_resolve_is_the_mean_of_samples() -> None:
    index = np.array([[0, -1], [1, -1]], np.int32)
    out = resolve(np.full((1, 1, 3), 8.0), index, np.array([[4.0, 0, 0], [0, 4.0, 0]]))
    np.testing.assert_allclose(out[0, 0], [5, 5, 4])


def test_normals_of_a_sphere_point_outwards() -> None:
    sphere = ball((1, 1, 1), rows=24, columns=48)
    inner = np.abs(sphere.vertices[:, 2]) < 0.9
    normals = vertex_normals(sphere.vertices, sphere.faces)
    assert np.abs((normals * sphere.vertices).sum(1))[inner].min() > 0.98


def test_sky_is_open_above_and_shut_below_a_roof() -> None:
    grid = np.stack(np.meshgrid(np.linspace(-1, 1, 80), np.linspace(-1, 1, 80), [0.0, 0.5]), -1).reshape(
        -1, 3
    )
    up = np.tile([0.0, 0, 1], (len(grid), 1))
    seen = ambient_occlusion(grid, up, np.ones(len(grid), bool), 14, 40, 0.2)
    middle = np.abs(grid[:, :2]).max(1) < 0.3
    assert seen[middle & (grid[:, 2] > 0)].min() > 0.8
    assert seen[middle & (grid[:, 2] == 0)].mean() < 0.3


def test_a_box_shadows_the_ground_behind_it_only() -> None:
    builder = MeshBuilder()
    solid = box((1, 1, 1), (0, 0, 0.5))
    builder.add(solid.vertices, solid.faces, Material())
    direction = np.array([1.0, 0, 1]) / np.sqrt(2)  # the light stands at +x, 45 degrees high
    shadows = cast_shadows([builder.build()], Light(direction, *np.ones((4, 3))))
    args = (shadows.maps, shadows.axes, shadows.low, shadows.scale)
    assert lit_share(*args, -1.0, 0.0, 0.0, 1) == 0
    assert lit_share(*args, 1.0, 0.0, 0.0, 1) == 1 and lit_share(*args, -2.0, 0.0, 0.0, 1) == 1


def test_camera_projects_by_similar_triangles() -> None:
    camera = Camera(np.zeros(3), np.array([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]]), 100, (50, 40))
    np.testing.assert_allclose(camera.project(np.array([[1.0, 2, 1]])), [[100, -10, 0.5]])
    np.testing.assert_allclose(camera.scaled(2).project(np.array([[1.0, 2, 1]])), [[200, -20, 0.5]])
    assert camera.project(np.array([[0.0, -1, 0]]))[0, 2] < 0


def test_subdivision_of_a_tetrahedron() -> None:
    corners = np.array([[1.0, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]])
    operator, faces = loop_subdivision(np.array([[0, 1, 2], [0, 3, 1], [0, 2, 3], [1, 3, 2]]), 4)
    assert operator.shape == (10, 4) and len(faces) == 16
    np.testing.assert_allclose(np.asarray(operator.sum(1)).ravel(), 1)  # every point is a weighted mean
    np.testing.assert_allclose((operator @ corners).mean(0), 0, atol=1e-12)
    edges = {tuple(sorted(pair)) for a, b, c in faces for pair in ((a, b), (b, c), (c, a))}
    assert 10 - len(edges) + 16 == 2  # Euler: still a closed sphere


def test_rod_is_closed_and_straight() -> None:
    solid = rod((0, 0, 0), (0, 0, 2), 0.1)
    assert np.ptp(solid.vertices[:, 2]) == pytest.approx(2)
    assert np.hypot(*solid.vertices[:, :2].T).max() == pytest.approx(0.1)


def test_material_row_has_its_length() -> None:
    assert Material().row().shape == (COLUMNS,)


# --- poses --------------------------------------------------------------------------------------------------


def test_mirrored_pose_mirrors_the_joints() -> None:
    asset = load_asset()
    rest = asset.heads.copy()
    left = [i for i, name in enumerate(asset.bone_names) if name.endswith(".L")]
    for i in left:  # a perfectly symmetric skeleton
        rest[asset.bone[asset.bone_names[i][:-1] + "R"]] = rest[i] * [-1, 1, 1]
    rest[[i for i, name in enumerate(asset.bone_names) if name[-2:] not in (".L", ".R")], 0] = 0
    for pose in LIBRARY:
        here, there = solve_pose(pose, rest, asset), solve_pose(mirrored(pose), rest, asset)
        for i in left:
            other = asset.bone[asset.bone_names[i][:-1] + "R"]
            np.testing.assert_allclose(here.position[i] * [-1, 1, 1], there.position[other], atol=1e-6)


def test_poses_keep_bone_lengths() -> None:
    asset = load_asset()
    length = np.linalg.norm(asset.heads[1:] - asset.heads[asset.bone_parents[1:]], axis=1)
    for pose in LIBRARY:
        joints = solve_pose(pose, asset.heads, asset).position
        posed = np.linalg.norm(joints[1:] - joints[asset.bone_parents[1:]], axis=1)
        np.testing.assert_allclose(posed, length, atol=1e-9)


def test_rotation_is_orthogonal_and_right_handed() -> None:
    np.testing.assert_allclose(rotation(np.array([0, 0, 1]), 90) @ [1, 0, 0], [0, 1, 0], atol=1e-12)


# --- people -------------------------------------------------------------------------------------------------


def test_same_seed_same_bytes(people: Sequence[Person]) -> None:
    again = render_person(920_000, SIZE)
    assert again.image.tobytes() == people[0].image.tobytes()
    assert again.parsing is not None and people[0].parsing is not None
    assert again.parsing.tobytes() == people[0].parsing.tobytes()
    assert again.image.tobytes() != people[1].image.tobytes()


def test_person_has_the_contract(people: Sequence[Person]) -> None:
    for person in people:
        assert person.image.shape == (SIZE, SIZE, 3) and person.image.dtype == np.uint8
        assert person.parsing is not None and person.parsing.dtype == np.uint8
        assert person.amodal_mask.dtype == bool and person.parsing.max() < NUM_CLASSES
        np.testing.assert_array_equal(person.amodal_mask, person.parsing > 0)
        assert person.true_sides and person.source == "rendered"
    assert people[3].id == "rendered_920003"


def test_size_and_place(people: Sequence[Person]) -> None:
    boxes = np.array([mask_box(person.amodal_mask) for person in people])
    longer = (boxes[:, 2:] - boxes[:, :2]).max(1) / SIZE
    assert longer.min() >= 0.44 and longer.max() <= 0.605  # 0.45-0.60, half a pixel at each end
    assert boxes[:, :2].min() >= 1 and boxes[:, 2:].max() <= SIZE - 1  # whole, clear of the border
    centres = (boxes[:, :2] + boxes[:, 2:]) / 2 / SIZE
    assert (centres.std(0) > [0.1, 0.06]).all()  # at random places


def test_same_person_at_another_size(people: Sequence[Person]) -> None:
    small, large = people[0].amodal_mask, render_person(920_000, 2 * SIZE).amodal_mask
    shrunk = large.reshape(SIZE, 2, SIZE, 2).sum((1, 3)) >= 2
    assert (small & shrunk).sum() / (small | shrunk).sum() > 0.85


def test_the_picture_follows_the_labels(people: Sequence[Person]) -> None:
    """The silhouette is an edge of the picture: gradients on it beat those elsewhere."""
    ratios = []
    for person in people:
        grey = person.image.mean(2)
        gradient = np.abs(np.diff(grey, axis=1))
        outline = person.amodal_mask[:, 1:] != person.amodal_mask[:, :-1]
        ratios.append(gradient[outline].mean() / gradient[~outline].mean())
    assert np.median(ratios) > 3


def test_photo_like_statistics(people: Sequence[Person]) -> None:
    values = np.stack([person.image for person in people]) / 255
    means = values.mean((1, 2, 3))
    assert 0.3 < means.mean() < 0.6 and means.std() > 0.04
    assert values.std((1, 2, 3)).mean() > 0.12


def test_sides_are_the_persons_own_on_the_mesh() -> None:
    for seed in range(3):
        mesh, _, _ = build_character(np.random.default_rng(seed))
        x = mesh.coords[mesh.faces, 0].mean(1)  # of the rest pose; +x is the person's left
        for name, sign in (("left", 1), ("right", -1)):
            for part in ("leg", "shoe", "arm"):
                of_part = mesh.labels == NAMES[f"{name}-{part}"]
                assert (x[of_part] * sign > -0.02).all()


def test_a_person_who_faces_us_has_the_left_shoe_on_the_right() -> None:
    frontal = Camera(np.array([0.0, -4, 1]), np.array([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]]), 100, (64, 64))
    found = 0
    for seed in range(40):
        mesh, figure, _ = build_character(np.random.default_rng(seed))
        if figure.pose.name != "stand":
            continue
        columns = frontal.project(mesh.vertices)[:, 0][mesh.faces].mean(1)
        left, right = mesh.labels == NAMES["left-shoe"], mesh.labels == NAMES["right-shoe"]
        face = mesh.labels == NAMES["face"]
        assert not left.any() or columns[left].mean() > columns[right].mean() + 5
        assert mesh.vertices[mesh.faces[face], 1].mean() < figure.skeleton.position[0, 1]  # faces look to -y
        found += 1
    assert found >= 3


# --- the bundled folder -------------------------------------------------------------------------------------


def test_bundle_is_what_the_code_renders() -> None:
    folder = PeopleFolder(PEOPLE_MINI)
    for name, seed in ((folder.ids[0], 0), (folder.ids[-1], VAL_PEOPLE[-1])):
        stored, fresh = folder[folder.ids.index(name)], render_person(seed)
        assert stored.id == fresh.id
        union = (stored.amodal_mask | fresh.amodal_mask).sum()
        assert (
            stored.amodal_mask & fresh.amodal_mask
        ).sum() / union > 0.995  # machines differ in a few pixels
        assert np.abs(stored.image.astype(float) - fresh.image).mean() < 6  # JPEG
    occluders = folder.occluders()
    seed, kind = TRAIN_OCCLUDERS[0]
    fresh_occluder = render_occluder(seed, kind)
    stored_occluder = next(o for o in occluders if o.id == fresh_occluder.id)
    assert (stored_occluder.mask == fresh_occluder.mask).mean() > 0.99


def test_bundle_sizes_splits_and_seeds() -> None:
    folder = PeopleFolder(PEOPLE_MINI)
    assert len(PeopleFolder(PEOPLE_MINI, "train")) == len(TRAIN_PEOPLE) == 200
    assert len(PeopleFolder(PEOPLE_MINI, "val")) == len(VAL_PEOPLE) == 40
    assert len(folder.occluders("train")) == len(TRAIN_OCCLUDERS)
    assert len(folder.occluders("val")) == len(VAL_OCCLUDERS)
    assert not set(TRAIN_OCCLUDERS) & set(VAL_OCCLUDERS)
    assert sum(file.stat().st_size for file in PEOPLE_MINI.rglob("*") if file.is_file()) <= 14e6


def test_bundle_covers_the_classes() -> None:
    """How many of the 240 people wear each class: none missing, the common ones common."""
    worn = np.zeros(NUM_CLASSES, int)
    for person in PeopleFolder(PEOPLE_MINI):
        assert person.parsing is not None
        worn += np.bincount(person.parsing.ravel(), minlength=NUM_CLASSES) > 3
    share = dict(zip(LIP_CLASSES, worn / 240, strict=True))
    assert min(share.values()) > 0.02, share
    assert all(share[name] > 0.8 for name in ("left-shoe", "right-shoe")), share
    assert all(
        share[name] > 0.5 for name in ("hair", "upper-clothes", "pants", "face", "left-arm", "right-arm")
    ), share


# --- many at once -------------------------------------------------------------------------------------------


def test_render_people_writes_the_same_folder_with_any_number_of_workers(tmp_path) -> None:  # type: ignore[no-untyped-def]
    one = render_people(3, 920_000, 1, tmp_path / "one", 64)
    two = render_people(3, 920_000, 2, tmp_path / "two", 64)
    assert one.ids == two.ids == [f"rendered_{920_000 + i:06d}" for i in range(3)]
    for path in sorted((tmp_path / "one").rglob("*.*")):
        assert path.read_bytes() == (tmp_path / "two" / path.relative_to(tmp_path / "one")).read_bytes()
    assert one[0].true_sides and [row["split"] for row in one.rows] == [split_of(name) for name in one.ids]


def test_render_people_with_a_given_split(tmp_path) -> None:  # type: ignore[no-untyped-def]
    assert len(render_people(2, 5, 1, tmp_path, 64, split="val").subset(["rendered_000006"])) == 1
    assert {row["split"] for row in PeopleFolder(tmp_path).rows} == {"val"}


def test_split_by_hash_gives_one_in_six_to_val() -> None:
    names = [split_of(f"rendered_{i:06d}") for i in range(3000)]
    assert 0.14 < names.count("val") / 3000 < 0.19


@pytest.mark.parametrize("bad", [{"count": 0}, {"seed": -1}, {"size": 8}, {"split": "test"}])
def test_render_people_refuses_nonsense(bad: dict[str, int | str], tmp_path) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(DeoccError, match=str(next(iter(bad)))):
        render_people(**({"count": 1, "seed": 0, "workers": 1, "out": tmp_path / "new"} | bad))  # type: ignore[arg-type]
    assert not (tmp_path / "new").exists()


# --- occluders ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [*KINDS, "person"])
def test_every_kind_of_occluder(kind: str) -> None:
    occluder = render_occluder(7, kind)
    assert isinstance(occluder, Occluder) and occluder.category == kind and occluder.alpha is not None
    height, width = occluder.mask.shape
    assert occluder.image.shape == (height, width, 3) and 60 <= max(height, width) <= 240
    assert mask_box(occluder.mask) == (0, 0, width, height)  # a tight crop
    np.testing.assert_array_equal(occluder.mask, occluder.alpha >= 128)
    assert occluder.mask.sum() > 300
    assert occluder.image[occluder.mask].std() > 8  # shaded, not flat


def test_fences_have_holes() -> None:
    for kind in ("railing", "bars", "picket fence", "wheel", "bicycle"):
        share = [render_occluder(seed, kind).mask.mean() for seed in range(3)]
        assert min(share) < 0.75, kind


def test_occluders_are_deterministic_and_vary() -> None:
    assert render_occluder(3).image.tobytes() == render_occluder(3).image.tobytes()
    assert len({render_occluder(seed).category for seed in range(12)}) > 5
