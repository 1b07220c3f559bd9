"""COCO amodal (COCOA): whole masks drawn by hand, what is visible of the occluded, and the depth order."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deocc.errors import DeoccError
from deocc.people.sources.about import ABOUT
from deocc.people.sources.candidates import Entry, Photo, Problem, Subject, Writer
from deocc.people.sources.coco import (
    coco_identity,
    find_parts,
    listed,
    photo_folders,
    read_subjects,
    size_of,
)
from deocc.people.sources.files import picture, read_json_items
from deocc.people.sources.regions import Region, Unusable, coco_region

PERSON_WORDS = frozenset(
    "person man woman boy girl child kid baby lady guy player batter catcher pitcher umpire skier surfer "
    "snowboarder skateboarder rider pedestrian worker chef waiter human".split()
)
PARTS = frozenset("shirt hand hands arm leg head face hair shadow reflection statue picture clothes".split())


def is_person(name: str) -> bool:
    """Whether an annotator's free words ("man in red") name a whole person: the first noun does, mostly."""
    words = re.findall(r"[a-z]+", name.lower())
    return any(word in PERSON_WORDS for word in words) and not any(word in PARTS for word in words)


def in_front(depth_constraint: Any, number: int) -> list[int]:
    """Numbers, from 1, of the regions in front of region `number`; "1-2,1-3": 1 is in front of 2 and 3."""
    pairs = re.findall(r"(\d+)-(\d+)", depth_constraint) if isinstance(depth_constraint, str) else ()
    return [int(front) for front, behind in pairs if int(behind) == number]


@dataclass(frozen=True)
class Cocoa:
    """People in COCOA: the unoccluded ones for a people folder, the occluded ones as natural cases.

    Attributes:
        root: folder with ``annotations/COCO_amodal_*.json`` and COCO's photos of 2014.
        annotations, images: one annotation file and its photos' folder, where they are elsewhere.
    """

    root: Path
    annotations: Path | None = None
    images: Path | None = None
    name: str = "cocoa"
    has_masks: bool = True
    curated: bool = False

    def fill(self, index: Writer) -> None:
        patterns = ("annotations/COCO_amodal_*.json", "COCO_amodal_*.json")
        for part in find_parts(self.root, self.annotations, "COCOA's annotations", *patterns):
            count = _index_photos(part.annotations, part.name, part.split, index)
            annotated = _index_regions(part.annotations, part.name, index)
            if annotated != count:
                raise DeoccError(f"{part.annotations}: {count} images but {annotated} annotations; one each")

    def photo(self, entry: Entry) -> Photo:
        facts = listed(entry)
        path = picture(photo_folders(self.root, self.images, facts["part"]), facts["file"])
        subjects, problems = read_subjects(entry, _subject)
        licence = ABOUT["cocoa"].licence
        return Photo(path, facts["split"], coco_identity(facts["file"]), licence, size_of(facts), subjects,
                     problems=problems)  # fmt: skip


def _index_photos(path: Path, part: str, split: str, index: Writer) -> int:
    """Photo i belongs to annotation i, so its key is its place."""
    count = 0
    for count, image in enumerate(read_json_items(path, "images.item"), start=1):
        size = [image.get("height"), image.get("width")]
        index.photo(f"{part}/{count:06d}", file=image.get("file_name"), size=size, split=split, part=part)
    return count


def _index_regions(path: Path, part: str, index: Writer) -> int:
    count = 0
    for count, annotation in enumerate(read_json_items(path, "annotations.item"), start=1):
        regions = annotation.get("regions") if isinstance(annotation, dict) else None
        key = f"{part}/{count:06d}"
        if not isinstance(regions, list):
            index.problem(key, Problem(key, "annotation damaged", "it has no list of regions"))
            continue
        for number, region in enumerate(regions, start=1):
            front = [regions[i - 1] for i in in_front(annotation.get("depth_constraint"), number)
                     if 0 < i <= len(regions)]  # fmt: skip
            index.subject(key, f"{key}_{number}", **_facts(region, front))
    return count


def _facts(region: Any, front: list[Any]) -> dict[str, Any]:
    if not isinstance(region, dict):
        return {"role": "person", "category": "", "segmentation": None}
    person = is_person(str(region.get("name", "")))
    facts = {"role": "person" if person else "object", "category": region.get("name", ""),
             "segmentation": region.get("segmentation")}  # fmt: skip
    if person and region.get("visible_mask"):
        fronts = [thing.get("segmentation") for thing in front if isinstance(thing, dict)]
        facts |= {"visible_mask": region["visible_mask"], "front": fronts}
    return facts


def _subject(name: str, facts: dict[str, Any]) -> Subject:
    region = coco_region(facts["segmentation"])
    if not facts.get("visible_mask"):
        return Subject(name, region, facts["role"], facts["category"])
    front: list[Region] = []
    for segmentation in facts["front"]:
        try:
            front.append(coco_region(segmentation))
        except Unusable:  # its own entry reports it
            continue
    visible = coco_region(facts["visible_mask"])
    return Subject(name, region, "person", facts["category"], ("occluded",), None, visible, tuple(front))
