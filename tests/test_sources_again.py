"""Runs into a folder that earlier runs have worked at: corrected files, other exports, mistypings, locks."""

import json
import os
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from test_sources import (
    HEIGHT,
    OPTIONS,
    CocoWriter,
    build,
    drawn,
    make_ahp,
    make_ccp,
    make_coco,
    make_cocoa,
    make_pennfudan,
    ring,
    table,
)

from deocc.cli import main as cli
from deocc.errors import DeoccError
from deocc.io import read_image, write_image
from deocc.occlusion import CaseFolder
from deocc.occlusion.folder import write_natural_case
from deocc.people import PeopleFolder
from deocc.people.filtering import Thresholds
from deocc.people.sources.coco import Coco
from deocc.people.sources.cocoa import Cocoa
from deocc.people.sources.journal import CASE_FILES, Journal, Record, write_tables
from deocc.people.sources.pennfudan import PennFudan


def coco(root: Path, count: int = 3, start: int = 1) -> Coco:
    writer = CocoWriter(root)
    writer.people(count, start)
    writer.save()
    return Coco(root)


def touch_later(path: Path) -> None:
    """A later date, as an editor would leave it."""
    later = time.time_ns() + 2_000_000_000
    os.utime(path, ns=(later, later))


def test_a_corrected_photo_is_looked_at_again(tmp_path: Path) -> None:
    source = coco(tmp_path / "data")
    build(source, tmp_path / "people")
    before = read_image(tmp_path / "people/images/coco_train2017_901.jpg")
    path = tmp_path / "data/train2017/000000000002.jpg"
    write_image(path, 255 - read_image(path))
    touch_later(path)
    assert build(source, tmp_path / "people")["kept"] == 3
    assert abs(read_image(tmp_path / "people/images/coco_train2017_901.jpg").astype(int) - before).mean() > 60


def test_a_photo_of_the_same_size_and_another_content_is_looked_at_again(tmp_path: Path) -> None:
    source = make_ahp(tmp_path / "data")
    build(source, tmp_path / "people")
    mask = tmp_path / "data/train/Annotations/a1.png"
    raw = mask.read_bytes()
    write_image(mask, np.zeros((HEIGHT, 150), np.uint8))
    mask.write_bytes(mask.read_bytes().ljust(len(raw), b"\0"))
    touch_later(mask)
    report = build(source, tmp_path / "people")
    assert report["dropped"] == {"mask empty": 1} and "ahp_a1" not in table(tmp_path / "people")
    assert not (tmp_path / "people/images/ahp_a1.jpg").exists(), "its files went, too"


def test_a_corrected_annotation_is_looked_at_again(tmp_path: Path) -> None:
    source = coco(tmp_path / "data")
    build(source, tmp_path / "people")
    path = tmp_path / "data/annotations/instances_train2017.json"
    raw = json.loads(path.read_text())
    raw["annotations"][0]["iscrowd"] = 1
    path.write_text(json.dumps(raw))
    report = build(source, tmp_path / "people")
    assert report["dropped"] == {"a crowd": 1} and list(table(tmp_path / "people")) == [
        "coco_train2017_901", "coco_train2017_902"
    ]  # fmt: skip


def test_a_copied_dataset_is_the_same_dataset(tmp_path: Path) -> None:
    build(coco(tmp_path / "data"), tmp_path / "people")
    before = {p: p.stat().st_mtime_ns for p in (tmp_path / "people/masks").iterdir()}
    shutil.copytree(tmp_path / "data", tmp_path / "copy", copy_function=shutil.copyfile)  # with new dates
    build(Coco(tmp_path / "copy"), tmp_path / "people")
    assert {p: p.stat().st_mtime_ns for p in (tmp_path / "people/masks").iterdir()} == before


@pytest.mark.parametrize("same_photos", [True, False])
def test_two_exports_with_the_same_names_are_told_apart(same_photos: bool, tmp_path: Path) -> None:
    build(coco(tmp_path / "one"), tmp_path / "people")
    before = {p.name: p.read_bytes() for p in (tmp_path / "people/images").iterdir()}
    other = coco(tmp_path / "two", 3, 1 if same_photos else 7)
    if same_photos:
        for path in (tmp_path / "two/train2017").iterdir():
            write_image(path, 255 - read_image(path))
    with pytest.raises(DeoccError, match="another photo of this name|is taken, by photo.*give --export WORD"):
        build(other, tmp_path / "people")
    assert {p.name: p.read_bytes() for p in (tmp_path / "people/images").iterdir()} == before
    options = replace(OPTIONS, export="second", keep="all")
    build_again = build(coco(tmp_path / "three"), tmp_path / "other")
    assert build_again["kept"] == 3
    from deocc.people.sources.build import build_people

    report = build_people(other, tmp_path / "people", options, progress=False)
    assert {facts["kept"] for facts in report["sources"].values()} == {3}
    assert len(PeopleFolder(tmp_path / "people")) == 6
    with pytest.raises(DeoccError, match="letters and digits"):
        build_people(other, tmp_path / "people", replace(OPTIONS, export="../x"), progress=False)


def test_a_mistyped_command_leaves_nothing_that_binds(tmp_path: Path) -> None:
    with pytest.raises(DeoccError, match="no such folder"):
        build(Coco(tmp_path / "dtaa"), tmp_path / "people")
    assert not (tmp_path / "people").exists()
    source = coco(tmp_path / "data")
    aside = (tmp_path / "data/train2017").rename(tmp_path / "aside")  # photos are elsewhere
    assert build(source, tmp_path / "people")["dropped"] == {"photo missing": 3}
    options = replace(OPTIONS, thresholds=Thresholds(min_side=40), segmenter="grabcut")
    images = replace(source, images=aside)
    assert build(images, tmp_path / "people", options=options)["kept"] == 3
    with pytest.raises(DeoccError, match="made with other options .thresholds."):
        build(images, tmp_path / "people", options=replace(options, thresholds=Thresholds(min_side=41)))


def test_an_index_that_a_killed_run_left_is_not_taken_for_the_new_annotations(tmp_path: Path) -> None:
    source = coco(tmp_path / "data")
    from deocc.people.sources.build import _index_path
    from deocc.people.sources.index import open_index

    path = _index_path(source, tmp_path / "people")
    path.parent.mkdir(parents=True)
    open_index(source, path).close()
    writer = CocoWriter(tmp_path / "data")
    writer.people(1)
    touch_later(writer.save())
    assert build(source, tmp_path / "people")["people"] == 1


def test_two_processes_of_one_shard_do_not_meet(tmp_path: Path) -> None:
    source = coco(tmp_path / "data")
    code = (
        "import sys, time; from pathlib import Path\n"
        "from deocc.people.sources.journal import Journal\n"
        "journal = Journal(Path(sys.argv[1]), 'coco', (1, 1), {})\n"
        "print('held', flush=True)\ntime.sleep(60)\n"
    )
    (tmp_path / "people").mkdir()
    other = subprocess.Popen([sys.executable, "-c", code, tmp_path / "people"], stdout=subprocess.PIPE)
    try:
        assert other.stdout is not None and other.stdout.readline() == b"held\n"
        with pytest.raises(DeoccError, match="another process makes coco, shard 1/1, here; wait until"):
            build(source, tmp_path / "people")
    finally:
        other.kill()
        other.communicate()
    assert build(source, tmp_path / "people")["kept"] == 3  # the killed one holds nothing


HOLDER = (
    "import sys, time; from pathlib import Path\n"
    "from deocc.people.sources.journal import Journal\n"
    "journal = Journal(Path(sys.argv[1]), 'coco', (2, 2), {'seed': 1})\n"
    "print('held', flush=True)\ntime.sleep(60)\n"
)


@pytest.fixture
def indexing(tmp_path: Path) -> Iterator[Path]:
    """A people folder whose shard 2/2 is at work in another process, which has done no photo yet."""
    (tmp_path / "people").mkdir()
    other = subprocess.Popen([sys.executable, "-c", HOLDER, tmp_path / "people"], stdout=subprocess.PIPE)
    assert other.stdout is not None and other.stdout.readline() == b"held\n"
    yield tmp_path / "people" / ".build" / "coco-2of2.sqlite"
    other.kill()
    other.communicate()


def journal_about(path: Path) -> str | None:
    with closing(sqlite3.connect(path)) as base:
        row = base.execute("SELECT about FROM about").fetchone()
    return row and row[0]


def test_a_failing_start_leaves_a_shard_at_work_alone(indexing: Path, tmp_path: Path) -> None:
    with pytest.raises(DeoccError):
        build(Coco(tmp_path / "nowhere"), tmp_path / "people", shard=(1, 2))
    assert journal_about(indexing) == '{"seed": 1}' and indexing.with_suffix(".lock").is_file()


def test_other_options_do_not_empty_the_journal_of_a_shard_at_work(indexing: Path, tmp_path: Path) -> None:
    with pytest.raises(DeoccError, match=r"was made with other options \(.*seed"):
        build(coco(tmp_path / "data"), tmp_path / "people", shard=(1, 2))
    assert journal_about(indexing) == '{"seed": 1}'


def test_shards_that_begin_anew_together_do_not_refuse_each_other(tmp_path: Path) -> None:
    out = tmp_path / "people"
    out.mkdir()
    for part in (1, 2):  # mistyped, and stopped before anybody was kept
        Journal(out, "coco", (part, 2), {"seed": 1}).close()
    with (
        closing(Journal(out, "coco", (1, 2), {"seed": 2})),
        closing(Journal(out, "coco", (2, 2), {"seed": 2})),
    ):
        assert journal_about(out / ".build" / "coco-1of2.sqlite") == '{"seed": 2}'


def test_a_journal_of_cases_without_their_folder_resumes(tmp_path: Path) -> None:
    """As earlier versions wrote it."""
    out = tmp_path / "people"
    out.mkdir()
    with closing(Journal(out, "cocoa", (1, 1), {"seed": 1})) as journal:
        journal.add(Record("photo", 1, cases=["case"]))
    Journal(out, "cocoa", (1, 1), {"seed": 1, "cases": "/x/c"}).close()


def test_a_relative_path_to_the_dataset_is_the_same_dataset(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_pennfudan(tmp_path / "data")
    monkeypatch.chdir(tmp_path)
    build(PennFudan(Path("data")), tmp_path / "people")
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "people" / "images").iterdir()}
    build(PennFudan(tmp_path / "data"), tmp_path / "people")
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "people" / "images").iterdir()} == before


def test_natural_cases_are_not_forgotten_by_a_second_run(tmp_path: Path) -> None:
    source, people = make_cocoa(tmp_path / "data"), tmp_path / "people"
    build(source, people)
    for cases in ("a", "b"):
        more = {"write_case": partial(write_natural_case, tmp_path / cases), "cases": str(tmp_path / cases)}
        with pytest.raises(DeoccError, match=r"was made with other options \(cases, "):
            build(source, people, options=replace(OPTIONS, **more))
    with pytest.raises(SystemExit):
        words = ["people", "cocoa", tmp_path / "data", "--min-side", 50, "--out", tmp_path / "new"]
        cli.main([str(word) for word in (*words, "--cases", tmp_path / "c")])
    assert len(CaseFolder(tmp_path / "c")) == 1
    with pytest.raises(DeoccError, match=r"was made with other options \(cases"):
        build(source, tmp_path / "new", options=replace(OPTIONS, segmenter="auto"))


def test_a_full_disk_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    monkeypatch.setattr(Journal, "add", full)
    with pytest.raises(DeoccError, match=r"\.build: database or disk is full; is the disk full\?"):
        build(coco(tmp_path / "data"), tmp_path / "people")


BAD_ROWS = [None, "", "null", "[]", "{", '{"id": 5}', '{"id": "../../x"}', '{"no": "id"}', "[" * 100_000,
            "9" * 5000]  # fmt: skip


@pytest.mark.parametrize("row", BAD_ROWS)
def test_merge_refuses_a_journal_with_damaged_rows(row: str | None, tmp_path: Path) -> None:
    build(coco(tmp_path / "data"), tmp_path / "people")
    path = tmp_path / "people/.build/coco-1of1.sqlite"
    with sqlite3.connect(path) as base:
        base.execute("UPDATE people SET row = ? WHERE id = 'coco_train2017_901'", (row,))
    with pytest.raises(DeoccError, match="coco-1of1.sqlite: damaged") as error:
        write_tables(tmp_path / "people")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("place", [0, 16, 30, 100, 2000, 4096, 5000, 9000])
def test_merge_says_which_journal_is_damaged(place: int, tmp_path: Path, capsys) -> None:  # type: ignore[no-untyped-def]
    build(coco(tmp_path / "data"), tmp_path / "people")
    path = tmp_path / "people/.build/coco-1of1.sqlite"
    raw = bytearray(path.read_bytes())
    raw[place : place + 300] = b"\xff" * 300
    path.write_bytes(bytes(raw))
    with pytest.raises(SystemExit) as stop:
        cli.main(["people", "merge", str(tmp_path / "people")])
    shown = capsys.readouterr().err
    one_line = shown.count("\n") == 1 and str(path) in shown
    assert stop.value.code in (0, None) or (stop.value.code == 2 and one_line)


def test_one_photo_that_nobody_expected_does_not_end_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from deocc.people.sources import build as B

    source, real = coco(tmp_path / "data"), B.read_as_annotated

    def stumble(path: Path, *more: object) -> np.ndarray:
        if path.stem.endswith("2"):
            raise ZeroDivisionError("a denominator\nof EXIF")
        return real(path, *more)  # type: ignore[arg-type]

    monkeypatch.setattr(B, "read_as_annotated", stumble)
    report = build(source, tmp_path / "people")
    assert report["kept"] == 2 and report["dropped"] == {"unexpected error": 1}
    assert "ZeroDivisionError: a denominator of EXIF" in report["examples"]["unexpected error"][0]
    monkeypatch.undo()
    assert build(source, tmp_path / "people")["kept"] == 3  # and is tried again


def cases_of(source: Cocoa, out: Path, cases: Path, **more: Any) -> dict[str, Any]:
    """Builds with natural cases."""
    found = {"write_case": partial(write_natural_case, cases), "cases": str(cases)}
    return build(source, out, options=replace(OPTIONS, **found), **more)


@pytest.mark.parametrize("name", ["images/{}.jpg", "masks/{}.png"])
def test_a_file_that_was_deleted_is_made_again(name: str, tmp_path: Path) -> None:
    source = coco(tmp_path / "data")
    build(source, tmp_path / "people")
    path = tmp_path / "people" / name.format("coco_train2017_901")
    before = path.read_bytes()
    path.unlink()
    assert build(source, tmp_path / "people", shard=(1, 1))["kept"] == 3
    assert path.read_bytes() == before and len(PeopleFolder(tmp_path / "people")) == 3


def test_deleted_parsing_and_occluders_are_made_again(tmp_path: Path) -> None:
    for name, source, path in (
        ("ahp", make_ahp(tmp_path / "ahp"), "parsing/ahp_a1.png"),
        ("coco", make_coco(tmp_path / "coco"), "occluders/coco_train2017_907.png"),
    ):
        out = tmp_path / f"{name}-people"
        build(source, out)
        before = {p: p.stat().st_mtime_ns for p in (out / "images").iterdir()}
        (out / path).unlink()
        build(source, out)
        assert (out / path).is_file()
        again = [p for p in before if p.stat().st_mtime_ns != before[p]]
        assert len(again) == 1, "the other photos are done"


def test_deleted_cases_are_made_again(tmp_path: Path) -> None:
    source, cases = make_cocoa(tmp_path / "data"), tmp_path / "cases"
    cases_of(source, tmp_path / "people", cases)
    shutil.rmtree(cases)
    assert cases_of(source, tmp_path / "people", cases)["cases"] == len(CaseFolder(cases)) == 1


def test_a_case_goes_when_its_annotation_is_corrected(tmp_path: Path) -> None:
    source, cases = make_cocoa(tmp_path / "data"), tmp_path / "cases"
    cases_of(source, tmp_path / "people", cases)
    (cases / "own").mkdir()
    (cases / "own" / "image.png").write_bytes(b"another's")
    path = tmp_path / "data/annotations/COCO_amodal_train2014.json"
    raw = json.loads(path.read_text())
    del raw["annotations"][0]["regions"][1]["visible_mask"]
    path.write_text(json.dumps(raw))
    assert cases_of(source, tmp_path / "people", cases)["cases"] == 0
    assert [p.name for p in cases.iterdir()] == ["own"] and (cases / "own" / "image.png").is_file()


@pytest.mark.parametrize("shards", [1, 2])
def test_a_person_whose_annotation_was_deleted_goes(shards: int, tmp_path: Path) -> None:
    source, out = coco(tmp_path / "data"), tmp_path / "people"
    for part in range(1, shards + 1):
        build(source, out, shard=(part, shards))
    path = tmp_path / "data/annotations/instances_train2017.json"
    raw = json.loads(path.read_text())
    del raw["annotations"][1]
    path.write_text(json.dumps(raw))
    reports = [build(source, out, shard=(part, shards)) for part in range(1, shards + 1)]
    assert list(table(out)) == ["coco_train2017_900", "coco_train2017_902"]
    assert reports[-1]["photos"] == 2 and len(list((out / "masks").iterdir())) == 2


def rewrite(source: Coco, change: Callable[[dict[str, Any]], Any]) -> None:
    """Changes a dataset's annotation file in place."""
    path = source.root / "annotations/instances_train2017.json"
    raw = json.loads(path.read_text())
    change(raw)
    path.write_text(json.dumps(raw))


def forget_annotation_files(out: Path) -> None:
    """Makes a journal as earlier versions wrote it: without the annotation file of each photo."""
    with closing(sqlite3.connect(out / ".build/coco-1of1.sqlite")) as base:
        base.execute("UPDATE photos SET seen = json_remove(seen, '$.annotations')")
        base.commit()


@pytest.mark.parametrize("old", [False, True])
def test_how_many_people_went_with_their_annotations_is_said(
    old: bool, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    source, out = coco(tmp_path / "data"), tmp_path / "people"
    build(source, out)
    if old:
        forget_annotation_files(out)
    rewrite(source, lambda raw: raw["annotations"].pop())
    build(source, out)
    said = [r.message for r in caplog.records if r.levelname == "WARNING" and "removed" in r.message]
    assert said == ([] if old else ["removed 1 people of 1 photos whose annotations are gone"])
    assert len(table(out)) == (3 if old else 2)


def test_a_second_annotation_file_of_the_same_photos_removes_nobody(tmp_path: Path) -> None:
    raw = json.loads((coco(tmp_path / "data", 4).root / "annotations/instances_train2017.json").read_text())
    out = tmp_path / "people"
    for name, part in (("a", slice(0, 2)), ("b", slice(2, 4))):
        path = tmp_path / name / "instances_train2017.json"
        path.parent.mkdir()
        path.write_text(json.dumps({**raw, "annotations": raw["annotations"][part]}))
        build(Coco(tmp_path / "data", path), out)
    assert len(table(out)) == len(list((out / "images").iterdir())) == 4


def test_results_of_photos_that_are_missing_now_stay(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    source, cases, out = make_cocoa(tmp_path / "data"), tmp_path / "cases", tmp_path / "people"
    cases_of(source, out, cases)
    before = {path: path.stat().st_mtime_ns for path in (*out.rglob("*.*g"), *cases.rglob("*.*"))}
    (tmp_path / "data/train2014").rename(tmp_path / "unmounted")
    report = cases_of(source, out, cases)
    assert (report["kept"], report["cases"]) == (1, 1) and "photo missing" not in report["dropped"]
    assert {path: path.stat().st_mtime_ns for path in before} == before
    said = [r.message for r in caplog.records if r.levelname == "WARNING" and "missing now" in r.message]
    assert said == [
        "1 photos of an earlier run, or their labels, are missing now; what was made of them stays"
    ]


@pytest.mark.parametrize(("shards", "workers"), [(1, 1), (1, 2), (2, 1), (3, 1)])
def test_ids_that_move_to_other_photos_keep_their_files(shards: int, workers: int, tmp_path: Path) -> None:
    source, out = coco(tmp_path / "data", 6), tmp_path / "people"
    for part in range(1, shards + 1):
        build(source, out, shard=(part, shards))

    def renumber(raw: dict[str, Any]) -> None:
        raw["annotations"] = [{**a, "id": 900 + n} for n, a in enumerate(raw["annotations"][1:])]

    rewrite(source, renumber)
    for part in range(1, shards + 1):
        build(source, out, shard=(part, shards), workers=workers)
    ids = [f"coco_train2017_{900 + n}" for n in range(5)]
    assert list(table(out)) == sorted(path.stem for path in (out / "images").iterdir()) == ids
    assert sorted(path.stem for path in (out / "masks").iterdir()) == ids
    assert [row["photo"] for row in table(out).values()] == [f"{n:012d}.jpg" for n in range(2, 7)]


def test_all_old_results_go_before_the_first_new_one_comes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from deocc.people.sources import build as B

    source, out = coco(tmp_path / "data"), tmp_path / "people"
    build(source, out)
    rewrite(source, lambda raw: [a.update(segmentation=[ring(60, 30)]) for a in raw["annotations"]])
    done: list[str] = []
    forget, build_photo = Journal.forget, B.build_photo
    monkeypatch.setattr(Journal, "forget", lambda self, key: done.append("forget") or forget(self, key))
    monkeypatch.setattr(B, "build_photo", lambda *more: done.append("build") or build_photo(*more))
    build(source, out)
    assert done == ["forget"] * 3 + ["build"] * 3


@pytest.mark.parametrize("left", [0, 1])
def test_an_annotation_that_moves_to_another_photo_takes_its_id_along(left: int, tmp_path: Path) -> None:
    """Args: left: people that stay in the photo."""
    writer, out = CocoWriter(tmp_path / "data"), tmp_path / "people"
    writer.people(3)
    for _ in range(left):
        writer.add(1, [ring(85, 40)])
    writer.image(9, drawn(ring(30, 20)))
    writer.save()
    source = Coco(tmp_path / "data")
    build(source, out)
    move = {"image_id": 9, "segmentation": [ring(30, 20)]}
    rewrite(source, lambda raw: raw["annotations"][0].update(move))
    build(source, out)
    assert table(out)["coco_train2017_900"]["photo"] == "000000000009.jpg"
    assert sorted(table(out)) == sorted(path.stem for path in (out / "images").iterdir())


def test_the_table_of_occluders_loses_those_that_are_gone(tmp_path: Path) -> None:
    source, out = make_coco(tmp_path / "data"), tmp_path / "people"
    build(source, out)
    assert [row["id"] for row in PeopleFolder(out).occluders().rows] == ["coco_train2017_907"]
    rewrite(Coco(tmp_path / "data"), lambda raw: raw["annotations"].pop())  # the cat
    assert build(source, out)["occluders"] == 0
    found = PeopleFolder(out).occluders()
    assert len(found) == len([thing.id for thing in found]) > 1, "the bundled ones"


def test_a_user_s_own_occluders_stay_in_the_table(tmp_path: Path) -> None:
    source, out = make_coco(tmp_path / "data"), tmp_path / "people"
    build(source, out)
    with (out / "occluders/occluders.csv").open("a") as file:
        file.write("mine,train,cat,\n")
    rewrite(Coco(tmp_path / "data"), lambda raw: raw["annotations"].pop())
    build(source, out)
    assert [row["id"] for row in PeopleFolder(out).occluders().rows] == ["mine"]


def test_a_user_s_own_picture_in_a_case_stays(tmp_path: Path) -> None:
    source, cases = make_cocoa(tmp_path / "data"), tmp_path / "cases"
    cases_of(source, tmp_path / "people", cases)
    (case,) = cases.iterdir()
    assert sorted(path.name for path in case.iterdir()) == sorted(CASE_FILES)
    (case / "mine.png").write_bytes(b"a sketch")
    path = tmp_path / "data/annotations/COCO_amodal_train2014.json"
    raw = json.loads(path.read_text())
    del raw["annotations"][0]["regions"][1]["visible_mask"]
    path.write_text(json.dumps(raw))
    cases_of(source, tmp_path / "people", cases)
    assert [path.name for path in case.iterdir()] == ["mine.png"]


def test_another_part_of_the_dataset_removes_nobody(tmp_path: Path) -> None:
    source, out = coco(tmp_path / "data"), tmp_path / "people"
    build(source, out)
    writer = CocoWriter(tmp_path / "data", "val2017")
    writer.image(8)
    writer.add(writer.image(9, drawn(ring(30, 20))), [ring(30, 20)])
    writer.annotations[0]["id"] = 5
    build(Coco(tmp_path / "data", writer.save()), out)
    assert len(table(out)) == 4


def test_a_second_export_of_the_same_names_removes_nobody_of_the_first(tmp_path: Path) -> None:
    out = tmp_path / "people"
    build(coco(tmp_path / "one"), out)
    path = coco(tmp_path / "two").root / "annotations/instances_train2017.json"
    raw = json.loads(path.read_text())
    raw["annotations"] = [{**raw["annotations"][2], "id": 5}]  # of photo 3; nobody in the others
    path.write_text(json.dumps(raw))
    (tmp_path / "two/train2017/000000000003.jpg").rename(tmp_path / "two/train2017/new.jpg")
    raw["images"][2].update(id=33, file_name="new.jpg")
    raw["annotations"][0]["image_id"] = 33
    path.write_text(json.dumps(raw))
    build(Coco(tmp_path / "two"), out)
    assert len(table(out)) == 4


def test_bundled_occluders_go_when_a_dataset_gives_its_own(tmp_path: Path) -> None:
    out = tmp_path / "people"
    build(make_ccp(tmp_path / "ccp"), out)
    assert len(PeopleFolder(out).occluders()) == len(list((out / "occluders").glob("*.png"))) > 1
    build(make_coco(tmp_path / "coco"), out)
    assert [path.stem for path in (out / "occluders").glob("*.png")] == ["coco_train2017_907"]
    assert PeopleFolder(out).occluders().rows[0]["id"] == "coco_train2017_907"


@pytest.mark.parametrize("occluders", [True, False])
def test_merge_keeps_occluders_or_their_absence(occluders: bool, tmp_path: Path) -> None:
    out = tmp_path / "people"
    build(make_ccp(tmp_path / "ccp"), out, occluders=occluders)
    with pytest.raises(SystemExit) as stop:
        cli.main(["people", "merge", str(out)])
    assert not stop.value.code and (out / "occluders").exists() == occluders
