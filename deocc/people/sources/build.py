"""From a dataset on disk to a people folder: streaming, parallel, resumable, sharded (Sec. 4.1)."""

import multiprocessing
import os
import re
import threading
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np
from tqdm.auto import tqdm

from deocc.errors import DeoccError
from deocc.io import PathLike, read_image, require_writable
from deocc.masks import Box, mask_box
from deocc.people.filtering import REFINE, Assessment, Thresholds, assess, assess_box
from deocc.people.folder import Occluder, Person, write_occluder, write_person
from deocc.people.sources.candidates import Entry, Photo, Source, Subject
from deocc.people.sources.index import Index, open_index
from deocc.people.sources.journal import BUILD, Journal, Record, write_tables
from deocc.people.sources.openimages import ShareBox
from deocc.people.sources.regions import BoxOnly, Unusable
from deocc.people.synth.batch import split_of

KINDS = {
    "side": "too small", "border": "near the border", "overlap": "under other people",
    "contact": "touches other people", "box_overlap": "under other people", "main_part": "in fragments",
    "fill": "mask too thin", "fill_high": "mask is a box", "holes": "mask has holes",
    "edge": "outline off the edges", "roughness": "outline ragged",
}  # fmt: skip
ANYTHING = Thresholds(1, 0, 1.0, 0, 1.0, 1.0, 0.0, 1.0, 0.0, 1.0, 0.0, 1e9)  # where the makers filtered


@dataclass(frozen=True)
class BuildOptions:
    """How candidates become people: with the dataset, it decides the bytes; workers and shards do not."""

    thresholds: Thresholds = Thresholds()
    keep: Literal["preserve", "refine", "all"] = "preserve"  # refine: and those; all: whatever can be read
    split: Literal["source", "hash", "train", "val"] = (
        "source"  # hash: by photo, alike for all of COCO's children
    )
    person_side: int = 384  # pixels of a person's longer side; larger ones are scaled down
    context: tuple[float, float] = (2.2, 3.0)  # side of the region over the person's longer side
    shift: float = 0.2  # of its centre, as a share of the person's longer side: the frame tells nothing
    segmenter: str = "auto"  # for datasets of boxes
    occluder_share: float = 0.25  # of the photos with things: one thing of each becomes an occluder
    occluder_side: int = 256  # pixels of its longer side, at most
    cases: str | None = None  # case folder for people whom the dataset knows to be occluded
    seed: int = 0


def _draws(*words: object) -> np.random.Generator:
    """A generator that depends on names alone, so that order, shards and workers do not matter."""
    return np.random.default_rng(int(sha256(repr(words).encode()).hexdigest()[:16], 16))


def in_shard(key: str, shard: tuple[int, int]) -> bool:
    """Whether a photo belongs to shard i of n (counted from 1), by a hash of its key."""
    return int(sha256(key.encode()).hexdigest()[:12], 16) % shard[1] == shard[0] - 1


def parse_shard(text: str) -> tuple[int, int]:
    """ "2/8" -> (2, 8). Raises: DeoccError."""
    match = re.fullmatch(r"(\d+)/(\d+)", text.strip())
    shard = (int(match[1]), int(match[2])) if match else (0, 0)
    if not 1 <= shard[0] <= shard[1]:
        raise DeoccError(f"shard {text!r}: i/n with 1 <= i <= n was expected, such as 1/4")
    return shard


# ------------------------------------------------------------------ one photo


@dataclass
class _Work:
    """A photo in the making."""

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
        return person_id(self.source.name, subject.name)

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
    """A name for files: the dataset's, then the subject's, with nothing that a path could misread."""
    return f"{source}_" + re.sub(r"[^\w.-]+", "_", name)


def build_photo(source: Source, options: BuildOptions, out: Path, entry: Entry) -> Record:
    """Reads one photo, judges its people, writes those that are kept. Runs in a worker.

    Whatever is wrong with the photo or a candidate is entered in the record; nothing is raised for it.
    """
    record = Record(entry.key)
    try:
        photo = source.photo(entry)
    except Unusable as error:
        return _lost(record, source, entry, error)
    people = [subject for subject in photo.subjects if subject.role == "person"]
    crowds = [subject for subject in photo.subjects if subject.role == "crowd"]
    record.people = len(people) + len(crowds) + len(photo.problems)
    for problem in photo.problems:
        record.drops.append((person_id(source.name, problem.name), problem.reason, problem.words))
    for crowd in crowds:
        record.drops.append((person_id(source.name, crowd.name), "a crowd", "people not told apart"))
    work = _Work(source, options, out, photo, np.zeros((0, 0, 3), np.uint8), record)
    people = _large_enough(work, people)
    if not people:
        return record
    try:
        work.image = _read(photo)
    except Unusable as error:
        for subject in people:
            work.drop(subject, error.reason, error.words)
        return record
    _build_people(work, people)
    _build_occluder(work)
    return record


def _lost(record: Record, source: Source, entry: Entry, error: Unusable) -> Record:
    """A photo that cannot be read at all, with everybody in it."""
    names = list(entry.subjects) or [entry.key]
    record.people = len(names) + len(entry.problems)
    lost = [(person_id(source.name, name), error.reason, error.words) for name in names]
    record.drops = [*lost, *((person_id(source.name, p.name), p.reason, p.words) for p in entry.problems)]
    return record


def _large_enough(work: _Work, people: list[Subject]) -> list[Subject]:
    """Those whose annotated box is large enough, as far as that is known before the photo is opened."""
    left = []
    for subject in people:
        try:
            box = subject.region.extent()
        except Unusable as error:
            work.drop(subject, error.reason, error.words)
            continue
        side = max(box[2] - box[0], box[3] - box[1]) + 1 if box else np.inf  # a pixel of rounding
        if side < work.thresholds.min_side and work.options.keep != "all":
            work.drop(subject, KINDS["side"], f"small: {side:.0f} pixels, wanted {work.thresholds.min_side}")
        else:
            left.append(subject)
    return left


def _read(photo: Photo) -> np.ndarray:
    try:
        image = read_image(photo.path)
    except DeoccError as error:
        words = str(error).replace(str(photo.path), photo.path.name)
        raise Unusable("photo damaged", words) from None
    if photo.size and photo.size != image.shape[:2]:
        words = f"{photo.path.name} is {image.shape[1]} x {image.shape[0]}, "
        raise Unusable("sizes differ", words + f"the annotation says {photo.size[1]} x {photo.size[0]}")
    return image


def _build_people(work: _Work, people: list[Subject]) -> None:
    cover = _cover(work)
    for subject in people:
        try:
            mask, maker = _mask(work, subject)
        except Unusable as error:
            work.drop(subject, error.reason, error.words)
            continue
        if mask is None:  # dropped by its box
            continue
        region = _pixels(subject, work.shape)
        own = region.mask(work.shape) if isinstance(region, BoxOnly) else mask
        others = cover > own  # somebody else covers it, too
        judged = assess(work.image, mask, others, subject.marks, work.thresholds)
        if subject.modal is not None and work.options.cases:
            _write_case(work, subject, mask)
        if _kept(judged, work.options.keep):
            _write(work, subject, mask, judged, maker)
        else:
            work.drop(subject, _reason(judged), "; ".join(judged.reasons))


def _pixels(subject: Subject, shape: tuple[int, int]) -> Any:
    return subject.region.in_pixels(shape) if isinstance(subject.region, ShareBox) else subject.region


def _cover(work: _Work) -> np.ndarray:
    """How many people or crowds cover each pixel; H x W uint8. Those that cannot be read cover nothing."""
    cover = np.zeros(work.shape, np.uint8)
    for subject in work.photo.subjects:
        if subject.role != "object":
            try:
                cover += subject.region.mask(work.shape)
            except Unusable:
                continue
    return cover


def _mask(work: _Work, subject: Subject) -> tuple[np.ndarray | None, str]:
    """The person's mask and who made it; no mask where the box alone speaks against the candidate."""
    region = _pixels(subject, work.shape)
    if work.source.has_masks:
        return region.mask(work.shape), "dataset"
    boxes = [
        _pixels(s, work.shape).box for s in work.photo.subjects if s.role != "object" and s is not subject
    ]
    judged = assess_box(region.box, work.shape, boxes, subject.marks, work.thresholds)
    if judged.proposal == "discard" and work.options.keep != "all":
        work.drop(subject, _reason(judged), "; ".join(judged.reasons))
        return None, ""
    from deocc.segmenters import segment  # imports torch; datasets with masks do without

    mask, method = segment(work.image, region.box, work.options.segmenter)
    if method == "box":
        raise Unusable("segmenter found nobody", "no person was found in the box")
    return mask, method


def _kept(judged: Assessment, keep: str) -> bool:
    return keep == "all" or judged.proposal == "preserve" or judged.proposal == keep


def _reason(judged: Assessment) -> str:
    """The kind of problem that the report counts: the dataset's mark, or the worst failed check."""
    if judged.marks:
        return f"marked: {judged.marks[0]}"
    if judged.proposal == "refine":
        return f"to refine: {KINDS[judged.failed[0].name]}"
    return KINDS[next(check.name for check in judged.failed if check.name not in REFINE)]


# ------------------------------------------------------------------ writing


def _region(work: _Work, name: str, box: Box) -> Box:
    """The part of the photo to keep: larger than the person by a drawn factor, and off centre."""
    rng, (x0, y0, x1, y1) = _draws(work.options.seed, name), box
    longer = max(x1 - x0, y1 - y0)
    side = longer * rng.uniform(*work.options.context)
    centre = np.array([x0 + x1, y0 + y1]) / 2 + rng.uniform(-1, 1, 2) * work.options.shift * longer
    left, top = (int(np.floor(min(v, edge))) for v, edge in zip(centre - side / 2, (x0, y0), strict=True))
    right, bottom = (int(np.ceil(max(v, edge))) for v, edge in zip(centre + side / 2, (x1, y1), strict=True))
    return max(0, left), max(0, top), min(work.shape[1], right), min(work.shape[0], bottom)


class _Cut:
    """A region of the photo, scaled so that the person is not larger than wanted."""

    def __init__(self, work: _Work, name: str, mask: np.ndarray) -> None:
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


def _write(work: _Work, subject: Subject, mask: np.ndarray, judged: Assessment, maker: str) -> None:
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


def _build_occluder(work: _Work) -> None:
    """Cuts out one thing of some photos (Sec. 4.2: occluders are instances of COCO)."""
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


def _write_occluder(work: _Work, thing: Subject, mask: np.ndarray) -> None:
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


def _write_case(work: _Work, subject: Subject, amodal: np.ndarray) -> None:
    """A natural case: really occluded, whole mask drawn by hand, no true pixels behind the occluder."""
    from deocc.occlusion import OcclusionCase, write_case

    assert subject.modal is not None and work.options.cases is not None  # the caller looked
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
    case = OcclusionCase(name, cut.image(work.image), cut.mask(modal) & body, body, None, cut.mask(occluder),
                         person_id=name)  # fmt: skip
    if case.modal_mask is not None and case.modal_mask.any():
        write_case(work.options.cases, case)
        work.record.cases.append(name)


def _edge_of_view(work: _Work, amodal: np.ndarray) -> bool:
    return assess_box(mask_box(amodal), work.shape, thresholds=work.thresholds).proposal == "discard"


# ------------------------------------------------------------------ a dataset


def _start_worker() -> None:
    """One thread each; a worker whose parent was killed goes, too."""
    cv2.setNumThreads(1)
    parent = multiprocessing.parent_process()

    def follow() -> None:
        if parent is not None:
            parent.join()
            os._exit(1)

    threading.Thread(target=follow, daemon=True).start()


def _records(task: Any, entries: Iterator[Entry], workers: int) -> Iterator[Record]:
    """task(entry) of each entry as it is done; few are in flight, so memory stays flat."""
    if workers <= 1:
        yield from map(task, entries)
        return
    context = multiprocessing.get_context("spawn")  # the caller may hold threads (PyTorch, notebooks)
    pool = ProcessPoolExecutor(workers, context, _start_worker)
    try:
        flying: set[Future[Record]] = set()
        for entry in entries:
            flying.add(pool.submit(task, entry))
            if len(flying) >= 4 * workers:
                done, flying = wait(flying, return_when=FIRST_COMPLETED)
                yield from (future.result() for future in done)
        while flying:
            done, flying = wait(flying, return_when=FIRST_COMPLETED)
            yield from (future.result() for future in done)
    except BrokenProcessPool:
        raise DeoccError(
            "a worker died, perhaps for want of memory; run again with fewer --workers"
        ) from None
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _about(options: BuildOptions) -> dict[str, Any]:
    """The options as JSON knows them; without the case folder, which is no part of the people."""
    facts = asdict(replace(options, cases=None))
    del facts["cases"]
    return {key: list(value) if isinstance(value, tuple) else value for key, value in facts.items()}


def _index_path(source: Source, out: Path) -> Path:
    """Named after the places that the source reads from, so that another root gets another index."""
    digest = sha256(repr(source).encode()).hexdigest()[:12]
    return out / BUILD / f"index-{source.name}-{digest}"


def build_people(
    source: Source,
    out: PathLike,
    options: BuildOptions = BuildOptions(),  # noqa: B008 (frozen)
    shard: tuple[int, int] = (1, 1),
    workers: int = 1,
    progress: bool = True,
    occluders: bool = True,
) -> dict[str, Any]:
    """Turns a dataset into a people folder, or a shard of it; a run that was killed goes on where it stopped.

    Args:
        source: the reader.
        out: the people folder. Several shards, and several datasets, may be built into one, at the same time.
        options: how; must be the same in all runs for one dataset and folder.
        shard: (i, n): the photos whose hash says i of n, counted from 1. All shards together are one run.
        workers: processes.
        progress: show a bar.
        occluders: copy the bundled occluders where the datasets give none.

    Returns:
        What ``report.json`` holds: how many people there were and were kept, and why the others were dropped.

    Raises:
        DeoccError: files of the dataset are missing or broken as a whole, or the folder cannot be used.

    Source: Sec. 4.1.
    """
    out = require_writable(out)
    path = _index_path(source, out)
    with closing(Journal(out, source.name, shard, _about(options))) as journal:
        with closing(open_index(source, path)) as index:
            keys = partial(_shard_keys, index, shard)
            todo = (index.entry(key) for key in keys() if not journal.done(key))
            left = sum(not journal.done(key) for key in keys())
            task = partial(build_photo, source, options, out)
            bar = tqdm(_records(task, todo, workers), source.name, left, unit="photo", disable=not progress)
            for record in bar:
                journal.add(record)
    path.unlink(missing_ok=True)
    return write_tables(out, occluders)


def _shard_keys(index: Index, shard: tuple[int, int]) -> Iterator[str]:
    return (key for key in index.keys() if in_shard(key, shard))
