"""Writes the kept people, occluders, occluded people of a photo."""

import re
import unicodedata
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path

import cv2
import numpy as np

from deocc.masks import Box, mask_box
from deocc.people.filtering import Assessment, Thresholds, assess, assess_box
from deocc.people.folder import Occluder, Person, write_occluder, write_person
from deocc.people.sources.candidates import Photo, Source, Subject
from deocc.people.sources.journal import Record
from deocc.people.sources.options import BuildOptions, label_of
from deocc.people.sources.problems import Unusable
from deocc.people.synth.batch import split_of

LONGEST_ID = 120  # bytes of a name in an id: endings and numbers come behind it


ANYTHING = Thresholds(1, 0, 1.0, 0, 1.0, 1.0, 0.0, 1.0, 0.0, 1.0, 0.0, 1e9)  # where the makers filtered


def _draws(*words: object) -> np.random.Generator:
    """A random generator seeded by names alone, so that order, shards and workers do not matter."""
    return np.random.default_rng(int(sha256(repr(words).encode()).hexdigest()[:16], 16))


@dataclass
class Work:
    """A photo that is being processed."""

    source: Source
    options: BuildOptions
    out: Path
    photo: Photo
    image: np.ndarray
    record: Record

    @property
    def shape(self) -> tuple[int, int]:
        return self.image.shape[0], self.image.shape[1]

    def name(self, subject: Subject) -> str:
        return person_id(label_of(self.source, self.options), subject.name)

    def drop(self, subject: Subject, reason: str, words: str) -> None:
        self.record.drops.append((self.name(subject), reason, words))

    @property
    def thresholds(self) -> Thresholds:
        limits = ANYTHING if self.source.curated else self.options.thresholds
        return replace(limits, contact_distance=limits.contact_distance + self.photo.void)

    @property
    def split(self) -> str:
        wanted = self.options.split
        if wanted in ("train", "val"):
            return wanted
        return self.photo.split if wanted == "source" and self.photo.split else split_of(self.photo.identity)


def person_id(source: str, name: str) -> str:
    """A file name made of the dataset's and the subject's name, safe on every system.

    A slash becomes an underscore. Names that need other changes get a hash. Of two names that differ in this
    alone, the second photo's is refused ("id ... is taken").
    """
    plain = re.sub(r"[^\w.-]+", "_", unicodedata.normalize("NFC", name)).encode()[:LONGEST_ID]
    words = plain.decode(errors="ignore")
    if words != re.sub("[/]", "_", name):
        words += "-" + sha256(name.encode("utf-8", "backslashreplace")).hexdigest()[:8]
    return f"{source}_{words}"


def _region(work: Work, name: str, box: Box) -> Box:
    """The region of the photo to keep: larger than the person by a random factor, and off centre."""
    rng, (x0, y0, x1, y1) = _draws(work.options.seed, name), box
    longer = max(x1 - x0, y1 - y0)
    side = longer * rng.uniform(*work.options.context)
    centre = np.array([x0 + x1, y0 + y1]) / 2 + rng.uniform(-1, 1, 2) * work.options.shift * longer
    left, top = (int(np.floor(min(v, edge))) for v, edge in zip(centre - side / 2, (x0, y0), strict=True))
    right, bottom = (int(np.ceil(max(v, edge))) for v, edge in zip(centre + side / 2, (x1, y1), strict=True))
    return max(0, left), max(0, top), min(work.shape[1], right), min(work.shape[0], bottom)


class _Cut:
    """A region of the photo, scaled down if the person is larger than wanted."""

    def __init__(self, work: Work, name: str, mask: np.ndarray) -> None:
        box = mask_box(mask)
        self.box = _region(work, name, box)
        self.scale = min(1.0, work.options.person_side / max(box[2] - box[0], box[3] - box[1]))
        x0, y0, x1, y1 = self.box
        self._size = max(1, round((x1 - x0) * self.scale)), max(1, round((y1 - y0) * self.scale))

    def _window(self, array: np.ndarray) -> np.ndarray:
        x0, y0, x1, y1 = self.box
        return np.ascontiguousarray(array[y0:y1, x0:x1])

    def image(self, image: np.ndarray) -> np.ndarray:
        return cv2.resize(self._window(image), self._size, interpolation=cv2.INTER_AREA)

    def mask(self, mask: np.ndarray) -> np.ndarray:
        soft = self._window(mask.astype(np.float32))
        return cv2.resize(soft, self._size, interpolation=cv2.INTER_AREA) >= 0.5

    def labels(self, labels: np.ndarray) -> np.ndarray:
        return cv2.resize(self._window(labels), self._size, interpolation=cv2.INTER_NEAREST_EXACT)


def write_candidate(work: Work, subject: Subject, mask: np.ndarray, judged: Assessment, maker: str) -> None:
    name = work.name(subject)
    cut = _Cut(work, name, mask)
    body, parsing = cut.mask(mask), None
    if subject.parsing is not None:
        try:
            labels = cut.labels(subject.parsing(mask))
        except Unusable as error:
            work.drop(subject, error.reason, error.words)
            return
        parsing = np.where(body, np.where(labels == 0, np.uint8(255), labels), np.uint8(0))
    person = Person(name, cut.image(work.image), body, parsing, work.split, work.source.name,
                    work.photo.true_sides and parsing is not None, work.photo.licence)  # fmt: skip
    about = {
        "photo": work.photo.path.name,
        "region_xyxy": " ".join(map(str, cut.box)), "scale": f"{cut.scale:.6g}",
        "proposal": judged.proposal, "confidence": f"{judged.confidence:.4f}",
        "reasons": "; ".join(judged.reasons), "mask_from": maker,
    }  # fmt: skip
    work.record.rows.append({**write_person(work.out, person), **about})


def build_occluder(work: Work) -> None:
    """Cuts one object out of some photos (Sec. 4.2: occluders are instances of COCO)."""
    things = [subject for subject in work.photo.subjects if subject.role == "object"]
    rng = _draws(work.options.seed, "occluder", work.record.key)
    if not things or rng.random() >= work.options.occluder_share:
        return
    limits = Thresholds(min_side=64, gutter=2, max_fill=1.0)
    for index in rng.permutation(len(things)):
        thing = things[index]
        try:
            mask = thing.region.mask(work.shape)
        except Unusable:
            continue
        if assess(work.image, mask, thresholds=limits).proposal == "preserve":
            _write_occluder(work, thing, mask)
            return


def _write_occluder(work: Work, thing: Subject, mask: np.ndarray) -> None:
    x0, y0, x1, y1 = mask_box(mask)
    image, body = work.image[y0:y1, x0:x1], mask[y0:y1, x0:x1]
    scale = min(1.0, work.options.occluder_side / max(body.shape))
    size = max(1, round(body.shape[1] * scale)), max(1, round(body.shape[0] * scale))
    image = cv2.resize(np.ascontiguousarray(image), size, interpolation=cv2.INTER_AREA)
    alpha = cv2.resize(body.astype(np.uint8) * 255, size, interpolation=cv2.INTER_AREA)
    if (alpha >= 128).any():
        occluder = Occluder(work.name(thing), image, alpha >= 128, thing.category, work.split,
                            work.photo.licence, alpha)  # fmt: skip
        work.record.occluders.append(write_occluder(work.out, occluder))


def write_occluded(work: Work, subject: Subject, amodal: np.ndarray) -> None:
    """Writes a natural case: really occluded, hand-drawn whole mask, no true pixels behind the occluder."""
    assert subject.modal is not None and work.options.write_case is not None  # the caller looked
    name = work.name(subject)
    try:
        modal = subject.modal.mask(work.shape) & amodal
    except Unusable:
        return
    if not modal.any() or _edge_of_view(work, amodal):
        return
    front = np.zeros_like(amodal)
    for region in subject.in_front:
        try:
            front |= region.mask(work.shape)
        except Unusable:
            continue
    occluder = (front & ~modal) | (amodal & ~modal)
    cut = _Cut(work, name, amodal)
    body = cut.mask(amodal)
    modal = cut.mask(modal) & body
    if modal.any():
        work.options.write_case(name, cut.image(work.image), modal, body, cut.mask(occluder))
        work.record.cases.append(name)


def _edge_of_view(work: Work, amodal: np.ndarray) -> bool:
    return assess_box(mask_box(amodal), work.shape, thresholds=work.thresholds).proposal == "discard"
