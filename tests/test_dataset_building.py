"""What notebook 01 is made of: stand-ins with known truth, statistics in closed form, figures."""

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from deocc import figures
from deocc.errors import DeoccError
from deocc.figures.colours import OUTSIDE
from deocc.io import read_json
from deocc.occlusion.placement import DENSITIES
from deocc.paths import PEOPLE_MINI
from deocc.people import PeopleFolder, Person, write_people
from deocc.people.filtering import ROUTES, holes
from deocc.people.sources.coco import Coco
from deocc.people.sources.index import open_index
from deocc.people.statistics import (
    Clusters,
    aspect_ratio,
    cluster,
    describe,
    part_shares,
    preserved,
    surroundings,
    table_one,
)
from deocc.studies.standin import IN_FRONT, KINDS, draw_scenes, right_route, write_standins


@pytest.fixture(scope="module")
def bundled() -> PeopleFolder:
    return PeopleFolder(PEOPLE_MINI)


# ------------------------------------------------------------------ stand-ins


def test_standins_hold_what_they_say(bundled: PeopleFolder, tmp_path: Path) -> None:
    people = bundled[:40]
    scenes = list(draw_scenes(people, list(bundled.occluders())[:20], seed=1))
    truth = write_standins(scenes, tmp_path)
    counts = Counter(kind for scene in scenes for kind, _ in scene.people)
    assert sum(counts.values()) * 2 == len(truth) and set(counts) <= {*KINDS, IN_FRONT}
    listed = read_json(tmp_path / "coco" / "annotations" / "instances_train2017.json")
    assert {type(a["segmentation"]) for a in listed["annotations"]} == {list, dict}, (
        "both ways to write masks"
    )
    index = open_index(Coco(tmp_path / "coco"), tmp_path / "index")
    source, masks = Coco(tmp_path / "coco"), 0
    for key in index.keys():
        photo = source.photo(index.entry(key))
        number = int(photo.path.stem) - 1  # photos are numbered in order, keys are sorted as text
        wanted = [mask for _, mask in scenes[number].people]
        found = [s.region.mask(scenes[number].image.shape[:2]) for s in photo.subjects if s.role == "person"]
        for first, second in zip(wanted, found, strict=True):
            assert (first ^ second).sum() <= 0.02 * first.sum() + holes(first) * first.sum(), (
                "polygons fill holes"
            )
            masks += 1
    index.close()
    assert masks == sum(counts.values())


def test_standins_are_reproducible_and_touch_the_border_where_cut(bundled: PeopleFolder) -> None:
    things = list(bundled.occluders())[:10]
    first, second = (list(draw_scenes(bundled[:15], things, seed=3)) for _ in range(2))
    assert all((a.image == b.image).all() for a, b in zip(first, second, strict=True))
    cut = [s for s in draw_scenes(bundled[:40], things, seed=0) if s.people[0][0] == "out of view"]
    assert cut
    for scene in cut:
        mask = scene.people[0][1]
        assert mask[0].any() or mask[-1].any() or mask[:, 0].any() or mask[:, -1].any()
    assert {right_route(kind) for kind in (*KINDS, IN_FRONT)} == set(ROUTES)


# ------------------------------------------------------------------ statistics


def block(height: int, width: int, parsing: bool = True) -> Person:
    mask = np.zeros((100, 100), bool)
    mask[10 : 10 + height, 20 : 20 + width] = True
    labels = np.where(mask, 5, 0).astype(np.uint8)
    labels[10 : 10 + height // 4][mask[10 : 10 + height // 4]] = 2
    image = np.full((100, 100, 3), 90, np.uint8)
    return Person("x", image, mask, labels if parsing else None, "train", "test")


def test_closed_forms() -> None:
    person = block(80, 20)
    assert aspect_ratio(person.amodal_mask) == 4
    shares = part_shares(person)
    assert shares[2] == pytest.approx(0.25) and shares[5] == pytest.approx(0.75) and shares.sum() == 1
    assert np.isnan(part_shares(block(80, 20, parsing=False))).all()
    ignored = replace(person, parsing=np.where(person.parsing == 2, 255, person.parsing).astype(np.uint8))
    assert part_shares(ignored)[5] == 1, "ignored pixels count nowhere"
    stats = describe([person, block(40, 40, parsing=False)])
    assert len(stats) == 2 and list(stats.aspect) == [4, 1] and stats.share == pytest.approx([0.16, 0.16])
    assert stats.masks.shape == (2, 32, 32) and stats.thumbnails.shape == (2, 64, 64, 3)


def test_surroundings_see_what_is_beside_the_person_only() -> None:
    person = block(80, 20)
    painted = person.image.copy()
    painted[person.amodal_mask] = (255, 0, 0)
    first, second = (surroundings(image, person.amodal_mask) for image in (person.image, painted))
    assert first == pytest.approx(second, abs=1e-3)
    sky = person.image.copy()
    sky[:50] = (120, 170, 255)
    changed = np.abs(surroundings(sky, person.amodal_mask) - first)
    assert changed[:3].max() > 0.1 > changed[4:7].max(), "only the upper half has changed"
    assert (surroundings(painted, np.ones((100, 100), bool)) == 0).all()


def test_clusters_find_groups_of_known_sizes() -> None:
    rng = np.random.default_rng(0)
    centres = np.array([[0, 0], [10, 0], [0, 10]], float)
    sizes = (5, 20, 10)
    points = np.concatenate([c + rng.normal(0, 0.1, (n, 2)) for c, n in zip(centres, sizes, strict=True)])
    found = cluster(points, 3)
    assert found.shares == pytest.approx([20 / 35, 10 / 35, 5 / 35])
    assert np.allclose(found.centres, centres[[1, 2, 0]], atol=0.2)
    assert all(found.labels[found.nearest[k]] == k for k in range(3))
    with pytest.raises(DeoccError, match="2 masks for 3"):
        cluster(points[:2], 3)


def test_table_one_with_and_without_a_report(tmp_path: Path) -> None:
    write_people(tmp_path, [block(80, 20)])
    rows = preserved(tmp_path)
    assert rows == {"test": {"people": None, "kept": 1, "preserved_ratio": None}}
    rows["other"] = {"people": 8, "kept": 2, "preserved_ratio": 0.25}
    lines = [[cell.strip() for cell in line.split("|")[1:-1]] for line in table_one(rows).splitlines()]
    assert lines[2:] == [["test", "", "1", ""], ["other", "8", "2", "25.0%"]], "what is unknown stays empty"


# ------------------------------------------------------------------ figures


def test_figures_are_drawn() -> None:
    stats = describe([block(80, 20), block(40, 40)])
    figure = figures.distributions({"a": stats}, {"train": np.array([0.2, 0.3])}, DENSITIES, "caption")
    titles = [axes.get_title() for axes in figure.axes]
    assert titles == ["aspect ratio", "size in the picture", "body parts and clothes", "occlusion ratio"]
    heights = [patch.get_width() for patch in figure.axes[2].patches]
    assert sum(heights) == pytest.approx(100), "bars are percentages"
    review = figures.found_by_looking({"a": np.array([True, False, True, False])})
    x, y = review.axes[0].lines[0].get_data()
    assert list(x) == [0, 0.25, 0.5, 0.75, 1] and list(y) == [0, 0.5, 0.5, 1, 1]
    panels = figures.cluster_panels(cluster(stats.aspect[:, None], 2), np.zeros((2, 4, 4), np.uint8))
    assert list(panels) == ["1: 50%", "2: 50%"]
    rare = Clusters(np.repeat([0, 1], [300, 1]), np.zeros((2, 1)), np.array([0, 300]))
    assert list(figures.cluster_panels(rare, np.zeros((2, 4, 4), np.uint8))) == ["1: 100%", "2: 0.3%"]


def test_pictures_for_figures() -> None:
    person = block(80, 20)
    image, mask = figures.near(person.image, person.amodal_mask)
    assert mask.sum() == person.amodal_mask.sum() and image.shape[:2] == mask.shape
    panels = figures.edge_panels(person.image, person.amodal_mask)
    assert all(panel.shape == (100, 100, 3) and panel.dtype == np.uint8 for panel in panels.values())
    canvas = figures.on_canvas(np.zeros((10, 20, 3), np.uint8), 40)
    assert (canvas == 0).all(2).sum() == 200 and (canvas[0, 0] == OUTSIDE).all()
