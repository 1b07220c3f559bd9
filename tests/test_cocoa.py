"""COCOA: who is a person, what becomes an occluder, which files are read."""

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from test_sources import HEIGHT, OPTIONS, WIDTH, build, drawn, make_cocoa, packed, photo, ring, table

from deocc.errors import DeoccError
from deocc.io import write_image
from deocc.people import PeopleFolder
from deocc.people.sources.coco import find_parts
from deocc.people.sources.cocoa import Cocoa, is_person

SOFA = [10.0, 20.0, 84.0, 20.0, 84.0, 105.0, 10.0, 105.0]


def cocoa(root: Path, *regions: dict[str, Any], depth: str = "") -> Cocoa:
    """A photo of these regions, as far as they are people; the sofa is grey."""
    name = "COCO_train2014_000000000139.jpg"
    shown = photo()
    for region in regions:
        shown[drawn(region["segmentation"])] = 190 if is_person(region["name"]) else 110
    write_image(root / "train2014" / name, shown, quality=98)
    content = {
        "images": [{"id": 139, "file_name": name, "height": HEIGHT, "width": WIDTH}],
        "annotations": [{"image_id": 139, "id": 1, "regions": list(regions), "depth_constraint": depth}],
    }
    (root / "annotations").mkdir()
    (root / "annotations" / "COCO_amodal_train2014.json").write_text(json.dumps(content))
    return Cocoa(root)


def region(name: str, points: list[float], **more: Any) -> dict[str, Any]:
    return {"name": name, "segmentation": points, **more}


@pytest.mark.parametrize(
    "words",
    [
        "man in blue shirt",
        "woman wearing a shirt",
        "man with long hair",
        "boy in clothes",
        "man with bare legs",
    ],
)
def test_clothes_and_hair_of_a_person_are_no_objection(words: str) -> None:
    assert is_person(words)


@pytest.mark.parametrize("words", [
        "man's shirt", "hand of man", "picture of man", "reflection of a woman", "man in picture",
        "woman in the picture", "person in reflection", "person in statue", "baby in picture frame",
        "man on poster", "girl in the mirror", "man on right arm", "man in red's hand",
        "woman in blue\u2019s legs",
    ],
)  # fmt: skip
def test_parts_and_pictures_of_a_person_are_no_person(words: str) -> None:
    assert not is_person(words)


def test_a_thing_behind_somebody_is_cut_out_without_him(tmp_path: Path) -> None:
    man = ring(60, 30)
    hidden = drawn(man) & drawn(SOFA)
    seen = packed(drawn(SOFA) & ~drawn(man))
    regions = region("sofa", SOFA, visible_mask=seen), region("man", man)
    source = cocoa(tmp_path / "data", *regions, depth="2-1")
    assert build(source, tmp_path / "people")["occluders"] == 1
    (sofa,) = PeopleFolder(tmp_path / "people").occluders()
    shares = sofa.mask.sum() / drawn(SOFA).sum(), (drawn(SOFA) & ~hidden).sum() / drawn(SOFA).sum()
    assert shares[0] == pytest.approx(shares[1], abs=0.01)


@pytest.mark.parametrize("more", [{"isStuff": 1}, {"occlude_rate": 0.3}, {}])
def test_stuff_and_hidden_things_of_unknown_visible_part_are_no_occluders(
    more: dict[str, Any], tmp_path: Path
) -> None:
    depth = "" if more else "2-1"
    source = cocoa(tmp_path / "data", region("sofa", SOFA, **more), region("man", ring(88, 30)), depth=depth)
    report = build(source, tmp_path / "people")
    assert report["occluders"] == 0 and report["people"] == 1
    source = cocoa(tmp_path / "other", region("sofa", SOFA), region("man", ring(88, 30)))
    assert build(source, tmp_path / "others")["occluders"] == 1


def test_whoever_stands_in_front_is_not_covered_by_the_one_behind(tmp_path: Path) -> None:
    front, behind = ring(30, 25), ring(52, 25)
    seen = packed(drawn(behind) & ~drawn(front))
    assert (drawn(front) & drawn(behind)).sum() > 0.1 * drawn(front).sum()
    regions = region("man", front), region("woman", behind, visible_mask=seen)
    source = cocoa(tmp_path / "data", *regions, depth="1-2")
    dropped = build(source, tmp_path / "people")["dropped"]
    assert "under other people" not in dropped and dropped["marked: occluded"] == 1
    report = build(source, tmp_path / "all", options=replace(OPTIONS, keep="all"))
    assert report["kept"] == 2
    rows = table(tmp_path / "all")
    assert "under other people" not in rows["cocoa_train2014_000001_1"]["reasons"]
    assert "under other people" in rows["cocoa_train2014_000001_2"]["reasons"]


def test_other_files_of_cocoa_are_not_read_beside_its_own(tmp_path: Path) -> None:
    source = make_cocoa(tmp_path)
    path = tmp_path / "annotations" / "COCO_amodal_train2014.json"
    other = path.with_name("COCO_amodal_train2014_with_classes.json")
    shutil.copy(path, other)
    assert build(source, tmp_path / "people")["photos"] == 1
    path.unlink()
    with pytest.raises(DeoccError, match="COCO_amodal_train2014.json.*--annotations"):
        build(source, tmp_path / "new")
    assert build(Cocoa(tmp_path, other), tmp_path / "named")["kept"] == 1
    assert list(table(tmp_path / "named")) == ["cocoa_train2014_000001_3"]


@pytest.mark.parametrize(
    ("file", "part"),
    [
        ("instances_train2017", "train2017"), ("person_keypoints_val2017", "val2017"),
        ("COCO_amodal_train2014", "train2014"), ("COCO_amodal_train2014_with_classes", "train2014"),
        ("test_set_train2017", "train2017"), ("_annotations.coco", "annotations.coco"), ("mine", "mine"),
    ],
)  # fmt: skip
def test_parts_of_named_annotation_files(file: str, part: str) -> None:
    (found,) = find_parts(Path(), Path(f"{file}.json"), "")
    assert found.name == part


def test_a_file_with_an_annotation_for_each_region_names_the_option(tmp_path: Path) -> None:
    source = make_cocoa(tmp_path)
    path = tmp_path / "annotations" / "COCO_amodal_train2014.json"
    raw = json.loads(path.read_text())
    raw["annotations"] *= 2
    path.write_text(json.dumps(raw))
    with pytest.raises(DeoccError, match="1 images but 2 annotations.*--annotations"):
        build(source, tmp_path / "people")
