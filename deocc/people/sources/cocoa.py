"""COCO amodal (COCOA): hand-drawn whole masks with visible parts, in depth order."""

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
    photo_file,
    read_subjects,
    size_of,
)
from deocc.people.sources.files import read_json_items
from deocc.people.sources.problems import Unusable
from deocc.people.sources.regions import Region, coco_region
from deocc.people.values import soft_key

PERSON_WORDS = frozenset(
    "person man woman boy girl child kid baby lady guy player batter catcher pitcher umpire skier surfer "
    "snowboarder skateboarder rider pedestrian worker chef waiter human".split()
)
LIMBS = frozenset("hand hands arm arms leg legs head face foot feet finger fingers".split())
PARTS = LIMBS | frozenset("shirt hair clothes".split())
DEPICTIONS = frozenset(
    "shadow shadows reflection reflections reflected statue statues picture pictures photo photos photograph "
    "painting paintings poster posters portrait drawing mirror mirrors doll dolls mannequin sculpture".split()
)
AFTER = frozenset(  # what follows a noun and says more about it
    "of in on at with without by near behind under over and next from to that who is has holds wears rides "
    "carries far left right front back middle center centre background foreground top bottom "
    "carrying holding wearing riding pulling pushing facing watching feeding eating".split()
)


def is_person(name: str) -> bool:
    """Whether an annotator's free text names a whole person: "man in red" does, "man's hat" does not.

    The noun that counts is the last word before a preposition or a verb that follows it. A depiction is no
    person, wherever its word stands: "man in picture".
    """
    words = re.findall(r"[a-z]+(?:['\u2019]s)?", name.lower())
    if DEPICTIONS & set(words) or _ends_in_limb(words):
        return False
    noun, seen = "", False
    for word in words:
        if word in AFTER or (seen and word.endswith("ing")):  # "sitting woman", but "woman sitting"
            break
        if word in PARTS:  # "man in a shirt" is a man, "shirt of a man" is not
            return False
        noun, seen = (noun if len(word) == 1 else word), seen or word in PERSON_WORDS
    return noun in PERSON_WORDS


def _ends_in_limb(words: list[str]) -> bool:
    """Whether words end in somebody's limb: "man on right arm", "man in red's hand"."""
    if len(words) < 2 or words[-1] not in LIMBS:
        return False
    return words[-2] in ("left", "right") or not words[-2].isalpha()


def in_front(depth_constraint: Any, number: int) -> list[int]:
    """Numbers, from 1, of the regions in front of region `number`; "1-2,1-3": 1 is in front of 2 and 3."""
    words = depth_constraint if isinstance(depth_constraint, str) else ""
    pairs = re.findall(r"([0-9]{1,9})-([0-9]{1,9})", words)
    return [int(front) for front, behind in pairs if int(behind) == number]


@dataclass(frozen=True)
class Cocoa:
    """People in COCOA: the unoccluded ones for a people folder, the occluded ones as natural cases.

    Attributes:
        root: folder with ``annotations/COCO_amodal_(train|val)2014.json`` and COCO's photos of 2014.
        annotations, images: one annotation file and its photos' folder, if elsewhere.
    """

    root: Path
    annotations: Path | None = None
    images: Path | None = None
    name: str = "cocoa"
    has_masks: bool = True
    curated: bool = False

    def fill(self, index: Writer) -> None:
        files = ("COCO_amodal_train2014.json", "COCO_amodal_val2014.json")  # others repeat their people
        patterns = (*(f"annotations/{file}" for file in files), *files)
        for part in find_parts(self.root, self.annotations, "COCOA's annotations", *patterns):
            index.reads(part.annotations)
            places = _index_photos(part.annotations, part.name, part.split, index)
            annotated = _index_regions(part.annotations, part.name, index, places)
            if annotated != len(places):
                raise DeoccError(
                    f"{part.annotations}: {len(places)} images but {annotated} annotations, where COCOA has "
                    "one each; name COCOA's own file with --annotations, such as COCO_amodal_val2014.json"
                )

    def photo(self, entry: Entry) -> Photo:
        facts = listed(entry)
        path = photo_file(self.root, self.images, facts)
        subjects, problems = read_subjects(entry, _subject)
        licence = ABOUT["cocoa"].licence
        return Photo(path, facts["split"], coco_identity(facts["file"]), licence, size_of(facts), subjects,
                     problems=problems)  # fmt: skip


def _index_photos(path: Path, part: str, split: str, index: Writer) -> list[str]:
    """Adds the photos, with their positions as keys. Returns: the id at each position ("" for none)."""
    places = []
    for count, item in enumerate(read_json_items(path, "images.item"), start=1):
        image = item if isinstance(item, dict) else {}
        size = [image.get("height"), image.get("width")]
        index.photo(f"{part}/{count:06d}", file=image.get("file_name"), size=size, split=split, part=part,
                    annotations=str(path))  # fmt: skip
        places.append(soft_key(image.get("id")))
    return places


def _index_regions(path: Path, part: str, index: Writer, places: list[str]) -> int:
    """Adds the regions. An annotation belongs to the photo of its image_id, or else of its position."""
    count, place_of, taken = 0, {name: n for n, name in enumerate(places, start=1) if name}, set[int]()
    for count, annotation in enumerate(read_json_items(path, "annotations.item"), start=1):
        regions = annotation.get("regions") if isinstance(annotation, dict) else None
        wanted = soft_key(annotation.get("image_id")) if isinstance(annotation, dict) else ""
        place = place_of.get(wanted, count)
        key = f"{part}/{place:06d}"
        if place in taken:
            index.problem(key, Problem(key, "duplicate id", "the dataset annotates this photo twice"))
            continue
        taken.add(place)
        if not isinstance(regions, list):
            index.problem(key, Problem(key, "annotation damaged", "it has no list of regions"))
            continue
        for number, region in enumerate(regions, start=1):
            front = [regions[i - 1] for i in in_front(annotation.get("depth_constraint"), number)
                     if 0 < i <= len(regions)]  # fmt: skip
            if (facts := _facts(region, front)) is not None:
                index.subject(key, f"{key}_{number}", **facts)
    return count


def _facts(region: Any, front: list[Any]) -> dict[str, Any] | None:
    """The facts of a region; None for a thing of which no cut-out can be made."""
    if not isinstance(region, dict):
        return {"role": "person", "category": "", "segmentation": None}
    person = is_person(str(region.get("name", "")))
    facts = {"role": "person" if person else "object", "category": str(region.get("name", ""))[:200],
             "segmentation": region.get("segmentation")}  # fmt: skip
    visible = region.get("visible_mask")
    if person and visible:
        fronts = [thing.get("segmentation") for thing in front if isinstance(thing, dict)]
        return facts | {"visible_mask": visible, "front": fronts}
    if person:
        return facts
    if region.get("isStuff") in (1, "1") or (not visible and (front or region.get("occlude_rate"))):
        return None  # a wall, a lawn; or what stands in front of the thing would be cut out with it
    return facts | ({"segmentation": visible} if visible else {})


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
