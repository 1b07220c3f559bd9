"""Builds a people folder from a dataset on disk, resumably (Sec. 4.1)."""

import logging
import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import asdict, fields, replace
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
from tqdm.auto import tqdm

from deocc.errors import DeoccError
from deocc.io import PathLike, require_writable
from deocc.io.locks import mark_worker
from deocc.io.masks import BORDER, border_share
from deocc.parallel import as_completed
from deocc.people.filtering import REFINE, Assessment, assess, assess_box
from deocc.people.sources.again import forget_empty, refuse_strangers, to_do
from deocc.people.sources.candidates import Entry, Source, Subject
from deocc.people.sources.database import BUILD
from deocc.people.sources.index import VERSION, Index, open_index
from deocc.people.sources.journal import Journal, Record, remove_traces, write_tables
from deocc.people.sources.openimages import ShareBox
from deocc.people.sources.options import BuildOptions, in_shard, label_of
from deocc.people.sources.pixels import annotated_size, read_as_annotated, shown_people
from deocc.people.sources.problems import Unusable
from deocc.people.sources.seen import sign
from deocc.people.sources.writing import Work, build_occluder, person_id, write_candidate, write_occluded

LOG = logging.getLogger("deocc")


KINDS = {
    "side": "too small", "border": "near the border", "overlap": "under other people",
    "contact": "touches other people", "box_overlap": "under other people", "main_part": "in fragments",
    "fill": "mask too thin", "fill_high": "mask is a box", "holes": "mask has holes",
    "edge": "outline off the edges", "roughness": "outline ragged",
}  # fmt: skip


def build_photo(source: Source, options: BuildOptions, out: Path, entry: Entry) -> Record:
    """Reads one photo, assesses its people, writes those that are kept. Runs in a worker.

    Problems with the photo or a candidate go into the record; they raise no error.
    """
    try:
        return _build_photo(source, options, out, entry)
    except Exception as error:  # one photo never ends a run of thousands; the report and the log name it
        LOG.warning("%s: %s: %s", entry.key, type(error).__name__, error)
        words = f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
        return _lost(Record(entry.key), label_of(source, options), entry, Unusable("unexpected error", words))


def _build_photo(source: Source, options: BuildOptions, out: Path, entry: Entry) -> Record:
    record, label = Record(entry.key), label_of(source, options)
    try:
        photo = source.photo(entry)
    except Unusable as error:
        return _lost(record, label, entry, error)
    people = [subject for subject in photo.subjects if subject.role == "person"]
    crowds = [subject for subject in photo.subjects if subject.role == "crowd"]
    record.people = len(people) + len(crowds) + len(photo.problems)
    for problem in photo.problems:
        record.drops.append((person_id(label, problem.name), problem.reason, problem.words))
    for crowd in crowds:
        record.drops.append((person_id(label, crowd.name), "a crowd", "people not told apart"))
    work = Work(source, options, out, photo, np.zeros((0, 0, 3), np.uint8), record)
    people = _large_enough(work, people)
    record.seen = sign(photo, entry, opened=bool(people))
    if not people:
        return record
    try:
        work.image = read_as_annotated(photo.path, annotated_size(photo), partial(shown_people, photo))
    except Unusable as error:
        for subject in people:
            work.drop(subject, error.reason, error.words)
        return record
    _build_people(work, people)
    build_occluder(work)
    return record


def _lost(record: Record, label: str, entry: Entry, error: Unusable) -> Record:
    """The record of an unreadable photo, with everybody in it."""
    people = [name for name, facts in entry.subjects.items() if facts.get("role") != "object"]
    names = people or ([] if entry.problems or entry.subjects else [entry.key])
    record.people = len(names) + len(entry.problems)
    lost = [(person_id(label, name), error.reason, error.words) for name in names]
    record.drops = [*lost, *((person_id(label, p.name), p.reason, p.words) for p in entry.problems)]
    return record


def _large_enough(work: Work, people: list[Subject]) -> list[Subject]:
    """The people whose annotated box is large enough or unknown before the photo is opened."""
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


def _build_people(work: Work, people: list[Subject]) -> None:
    cover = _cover(work)
    for subject in people:
        try:
            mask, maker = _mask(work, subject)
            if mask is None:  # dropped by its box
                continue
            own_mask = work.source.has_masks and subject.modal is None
            own = mask if own_mask else _covered_by(subject, work.shape)
        except Unusable as error:
            work.drop(subject, error.reason, error.words)
            continue
        if work.source.curated and border_share(mask) > BORDER:  # which no filter would see
            work.drop(subject, "mask looks inverted", "it covers most of the photo's border")
            continue
        others = cover > own  # somebody else covers it, too
        judged = assess(work.image, mask, others, subject.marks, work.thresholds)
        if subject.modal is not None and work.options.write_case:
            write_occluded(work, subject, mask)
        if _kept(judged, work.options.keep):
            write_candidate(work, subject, mask, judged, maker)
        else:
            work.drop(subject, _reason(judged), "; ".join(judged.reasons))


def _pixels(subject: Subject, shape: tuple[int, int]) -> Any:
    return subject.region.in_pixels(shape) if isinstance(subject.region, ShareBox) else subject.region


def _cover(work: Work) -> np.ndarray:
    """Number of people or crowds that cover each pixel, H x W uint8; ignores unreadable ones."""
    cover = np.zeros(work.shape, np.uint8)
    for subject in work.photo.subjects:
        if subject.role != "object":
            try:
                cover += _covered_by(subject, work.shape)
            except Unusable:
                continue
    return cover


def _covered_by(subject: Subject, shape: tuple[int, int]) -> np.ndarray:
    """The subject's visible part if known: who stands behind covers nobody. H x W bool. Raises: Unusable."""
    if subject.modal is not None:
        with suppress(Unusable):
            return subject.modal.mask(shape)
    return subject.region.mask(shape)


def _mask(work: Work, subject: Subject) -> tuple[np.ndarray | None, str]:
    """The person's mask and its maker; no mask if the box alone discards the candidate."""
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
    from deocc.segmenters import segment

    (x0, y0, x1, y1), (height, width) = region.box, work.shape
    if min(x1, width) <= max(x0, 0) or min(y1, height) <= max(y0, 0):
        raise Unusable("annotation damaged", f"box {x0:g} {y0:g} {x1:g} {y1:g} lies outside the photo")
    mask, method = segment(work.image, region.box, work.options.segmenter)
    if method == "box":
        raise Unusable("segmenter found nobody", "no person was found in the box")
    return mask, method


def _kept(judged: Assessment, keep: str) -> bool:
    return keep == "all" or judged.proposal == "preserve" or judged.proposal == keep


def _reason(judged: Assessment) -> str:
    """The problem as counted in the report: the dataset's mark, or the worst failed check."""
    if judged.marks:
        return f"marked: {judged.marks[0]}"
    if judged.proposal == "refine":
        return f"to refine: {KINDS[judged.failed[0].name]}"
    return KINDS[next(check.name for check in judged.failed if check.name not in REFINE)]


def _about(options: BuildOptions) -> dict[str, Any]:
    """The options as JSON values."""
    facts = asdict(replace(options, write_case=None))
    del facts["write_case"]
    if not options.cases:
        del facts["cases"]
    return {key: list(value) if isinstance(value, tuple) else value for key, value in facts.items()}


def _index_path(source: Source, out: Path) -> Path:
    """The index file; its name has a digest of its version and the source: another root, another index."""
    digest = sha256(f"{VERSION} {source!r}".encode()).hexdigest()[:12]
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
    """Makes a people folder, or a shard of it, from a dataset; a killed run resumes.

    Args:
        source: the reader.
        out: the people folder. Several shards and several datasets may write to it at the same time.
        options: must be the same in all runs for one dataset and folder.
        shard: (i, n), counted from 1: photos are assigned by hash. All shards together equal one run.
        workers: number of processes.
        progress: show a progress bar.
        occluders: copy the bundled occluders if the datasets give none.

    Returns:
        The content of ``report.json``: numbers of people found and kept, and reasons for the dropped ones.

    Raises:
        DeoccError: files of the dataset are missing or unreadable, the folder cannot be used, or a segmenter
            is needed and not available.

    Source: Sec. 4.1.
    """
    out, label = require_writable(out), label_of(source, options)
    if options.export and not re.fullmatch(r"[A-Za-z0-9]+", options.export):
        raise DeoccError(f"--export {options.export!r}: letters and digits were expected")
    if not source.has_masks:
        from deocc.segmenters import check_segmenter

        if options.segmenter == "box":
            raise DeoccError(
                "--segmenter box: a box is no mask; choose auto, or one of `deocc people segmenters`"
            )
        check_segmenter(options.segmenter, box=False)
    source = _absolute(source)
    path = _index_path(source, out)
    try:
        with closing(Journal(out, label, shard, _about(options))) as journal:
            with closing(open_index(source, path)) as index:
                keys = partial(_shard_keys, index, shard)
                refuse_strangers(source, journal, index, keys(), partial(person_id, label))
                forget_empty(source, journal, index, shard)
                count = sum(1 for _ in keys())
                with tqdm(desc=label, total=count, unit="photo", disable=not progress) as bar:
                    todo = to_do(source, journal, index, keys, bar.update)
                    task = partial(build_photo, source, options, out)
                    for record in as_completed(task, todo, workers, partial(mark_worker, journal.lock)):
                        journal.add(record)
                        bar.update()
    except (DeoccError, sqlite3.Error) as error:
        path.unlink(missing_ok=True)
        remove_traces(out)
        if isinstance(error, sqlite3.Error):
            raise DeoccError(f"{out / BUILD}: {error}; is the disk full? The same command resumes") from None
        raise
    path.unlink(missing_ok=True)
    return write_tables(out, occluders)


def _absolute(source: Source) -> Source:
    """The source with absolute paths, so that a photo's fingerprint does not depend on the present folder."""
    facts = {f.name: getattr(source, f.name) for f in fields(source)}  # type: ignore[arg-type]
    paths = {name: value.resolve() for name, value in facts.items() if isinstance(value, Path)}
    return replace(source, **paths)  # type: ignore[type-var]


def _shard_keys(index: Index, shard: tuple[int, int]) -> Iterator[str]:
    return (key for key in index.keys() if in_shard(key, shard))
