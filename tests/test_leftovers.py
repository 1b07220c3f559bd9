"""What a killed process leaves half written is swept by the next run, however young, and nothing else is."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from test_cli import make_people
from test_sources import CocoWriter, build

from deocc.errors import DeoccError
from deocc.evaluation.parts import remove_parts
from deocc.io import make_once, remove_temporaries, temporary_of, whole_folder, write_atomic, write_json
from deocc.io.begun import WORK, _finish, begun
from deocc.io.locks import alone
from deocc.occlusion.folder import write_natural_case
from deocc.occlusion.making import CaseOptions, write_cases
from deocc.people.sources.coco import Coco
from deocc.people.synth import render_people
from deocc.tables.rows import TABLE_2
from deocc.tables.runs import TableMaker, TableOptions
from deocc.training.loop import LOCK

FOREIGN = (".DS_Store", ".keep", ".notes.txt", ".a.b.c", ".rendered_0.jpg.i_ksgzo", ".x.jpg.I_KSGZO_")


def leave(folder: Path, *names: str) -> list[Path]:
    """Files as old as this moment."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / name for name in names]
    for path in paths:
        path.write_bytes(b"half")
    return paths


def hidden(folder: Path) -> list[str]:
    """Hidden files and folders of a folder and below, those of .build left out."""
    paths = (path for path in folder.rglob(".*") if ".build" not in path.parts and path.name != WORK)
    return sorted(str(path.relative_to(folder)) for path in paths)


def coco(root: Path, count: int = 3) -> Coco:
    writer = CocoWriter(root)
    writer.people(count)
    writer.save()
    return Coco(root)


def test_the_names_are_those_that_are_written(tmp_path: Path) -> None:
    seen = []
    write_atomic(tmp_path / "a.jpg", lambda file: seen.append(Path(file.name)))
    assert temporary_of(seen[0]) == "a.jpg" and [path.name for path in tmp_path.iterdir()] == ["a.jpg"]
    assert [temporary_of(Path(name)) for name in FOREIGN] == [""] * len(FOREIGN)
    leave(tmp_path, ".b.jpg.abcdefgh", *FOREIGN)
    remove_temporaries(tmp_path, "b.jpg".__eq__)
    assert hidden(tmp_path) == sorted(FOREIGN)


@pytest.mark.parametrize("word", [".", "../here"])
def test_the_present_folder_as_output_removes_nothing(
    word: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = tmp_path / "here"
    leave(here / ".my.projects", ".lock", "precious")
    monkeypatch.chdir(here)
    with whole_folder(word, sweep=True) as folder:
        (folder / "a.txt").write_text("a")
    assert (here / ".my.projects" / "precious").exists() and (here / "a.txt").read_text() == "a"
    assert sorted(path.name for path in here.iterdir()) == [".my.projects", "a.txt"]


def test_render(tmp_path: Path) -> None:
    out, stop = tmp_path / "people", {"count": 2, "seed": 0, "size": 32, "split": None}
    with pytest.raises(KeyboardInterrupt), begun(out, "render", stop):
        leave(out / "images", ".rendered_000000.jpg.i_ksgzo_", ".holiday.jpg.original", *FOREIGN)
        leave(out, ".people.csv.abcdefgh")
        raise KeyboardInterrupt
    render_people(2, 0, 1, out, 32)
    assert hidden(out) == sorted(f"images/{name}" for name in (".holiday.jpg.original", *FOREIGN))


LATE = """
import sys, time
from pathlib import Path
from deocc.io.locks import mark_worker
mark_worker(Path(sys.argv[1]))
print("held", flush=True)
time.sleep(1)
Path(sys.argv[2]).write_bytes(b"half")
"""


def test_workers_that_outlive_their_parent_are_waited_for(tmp_path: Path) -> None:
    out, stop = tmp_path / "people", {"count": 1, "seed": 0, "size": 32, "split": None}
    with pytest.raises(KeyboardInterrupt), begun(out, "render", stop) as made:
        (out / "images").mkdir()
        lock = made.lock
        raise KeyboardInterrupt
    words = [sys.executable, "-c", LATE, str(lock), str(out / "images/.rendered_000000.jpg.abcdefgh")]
    worker = subprocess.Popen(words, stdout=subprocess.PIPE)
    assert worker.stdout is not None and worker.stdout.readline() == b"held\n"
    render_people(1, 0, 1, out, 32)
    assert worker.wait() == 0 and hidden(out) == [] and not (out / WORK).exists()


def test_occlude_and_its_shards(tmp_path: Path) -> None:
    people, out = make_people(tmp_path / "data"), tmp_path / "cases"
    write_cases(people, out, CaseOptions(per_person=2), shard=(1, 2), progress=False)
    (case, *_) = sorted(path for path in out.iterdir() if path.name != WORK)
    (left,) = leave(case, ".image.png.abcdefgh")
    leave(out, ".gitkeep")
    write_cases(people, out, CaseOptions(per_person=2), shard=(1, 2), progress=False)
    assert left.is_file(), "the other shard may be writing it"
    write_cases(people, out, CaseOptions(per_person=2), shard=(2, 2), progress=False)
    assert hidden(out) == [".gitkeep"]


def test_a_second_start_leaves_the_first_alone(tmp_path: Path) -> None:
    out = tmp_path / "cases"
    with begun(out, "occlude", {"seed": 1}, (1, 2)) as first:
        for shard, options in (((1, 2), {"seed": 1}), ((2, 2), {"seed": 2})):
            with pytest.raises(DeoccError), begun(out, "occlude", options, shard):
                raise AssertionError("two at work")
            assert first.lock.is_file() and first.lock.with_suffix(".json").is_file()
        (out / "case_1").mkdir()
    with begun(out, "occlude", {"seed": 1}, (2, 2)):
        pass
    assert [path.name for path in out.iterdir()] == ["case_1"]


def test_parts_that_begin_anew_together_do_not_refuse_each_other(tmp_path: Path) -> None:
    out = tmp_path / "cases"
    for part in (1, 2):  # killed before the first case, with other options
        write_json(out / WORK / f"occlude-{part}of2.json", {"options": {"seed": 1}})
    with begun(out, "occlude", {"seed": 2}, (1, 2)), begun(out, "occlude", {"seed": 2}, (2, 2)):
        (out / "case_1").mkdir()
    assert [path.name for path in out.iterdir()] == ["case_1"]


def test_a_part_that_ends_after_the_last_one_takes_no_list_away(tmp_path: Path) -> None:
    """The window between a part's end and its look at the other parts."""
    (tmp_path / "left-out.json").write_text('{"a": "why"}')
    _finish(tmp_path, {})
    assert (tmp_path / "left-out.json").is_file()


def test_people(tmp_path: Path) -> None:
    source, out = coco(tmp_path / "data"), tmp_path / "people"
    build(source, out)
    leave(out / "images", ".coco_train2017_900.jpg.abcdefgh", ".voc_1.jpg.abcdefgh", ".keep")
    leave(out / "masks", ".coco_train2017_900.png.abcdefgh")
    leave(out / ".build", "index-coco-0.12.part")
    leave(out, ".people.csv.abcdefgh", ".mine.csv.abcdefgh")
    with alone(out / ".build" / "coco-2of2.lock", ""):  # no journal of this name: nobody
        build(source, out)
    assert hidden(out) == [".mine.csv.abcdefgh", "images/.keep", "images/.voc_1.jpg.abcdefgh"]
    assert not list((out / ".build").glob("index-*")) and not list((out / ".build").glob("*.worker"))


def test_people_that_another_shard_is_at_are_left_alone(tmp_path: Path) -> None:
    source, out = coco(tmp_path / "data", 6), tmp_path / "people"
    for part in (1, 2):
        build(source, out, shard=(part, 2))
    (left,) = leave(out / "images", ".coco_train2017_900.jpg.abcdefgh")
    with alone(out / ".build" / "coco-2of2.lock", ""):
        build(source, out, shard=(1, 2))
        assert left.is_file()
    build(source, out, shard=(1, 2), workers=2)
    assert not left.exists() and not list((out / ".build").glob("*.worker"))


def test_natural_cases(tmp_path: Path) -> None:
    import numpy as np

    image, mask = np.zeros((8, 8, 3), np.uint8), np.eye(8, dtype=bool)
    leave(tmp_path / "a", ".image.png.abcdefgh", ".keep", "mine.txt")
    write_natural_case(tmp_path, "a", image, mask, mask, mask)
    assert hidden(tmp_path) == ["a/.keep"] and (tmp_path / "a/mine.txt").is_file()


def test_train(tmp_path: Path) -> None:
    from test_checkpoints import run

    run(tmp_path, steps=4)
    leave(tmp_path / "checkpoints", "step_00000005.tmp")
    leave(tmp_path, "log.tmp", ".config.json.abcdefgh", ".weights.safetensors.12.part", ".keep")
    run(tmp_path, resume=True)
    assert hidden(tmp_path) == [".keep", LOCK] and not list(tmp_path.rglob("*.tmp"))


def test_folders_of_the_tables(tmp_path: Path) -> None:
    out, calls = tmp_path / "cases-1", []

    def fail(part: Path) -> None:
        (part / "a").mkdir()
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        make_once(out, fail)
    assert not out.exists()
    leave(tmp_path / ".cases-1.abcdefgh", "half.png")
    leave(tmp_path, ".cases-2.abcdefgh")
    for _ in range(2):
        make_once(out, lambda part: calls.append((part / "whole.png").write_bytes(b"")))
    assert len(calls) == 1 and os.listdir(out) == ["whole.png"] and out.stat().st_mode & 0o777 == 0o755
    assert hidden(tmp_path) == [".cases-2.abcdefgh"]


def test_results_of_the_tables(tmp_path: Path) -> None:
    people = make_people(tmp_path / "data")
    write_cases(people, tmp_path / "cases", CaseOptions(per_person=1), progress=False)
    options = TableOptions("tiny", (people,), 8, tmp_path / "runs", tmp_path / "out", tmp_path / "cases")
    maker, rows = TableMaker(TABLE_2, options), TABLE_2.picked(["visible"])
    (run,) = maker.runs(rows)
    leave(run.path.parent, f".{run.path.name}.abcdefgh", ".other.json.abcdefgh")
    maker.make(rows)
    assert run.path.is_file() and hidden(run.path.parent) == [".other.json.abcdefgh"]


def test_evaluate(tmp_path: Path) -> None:
    result = tmp_path / "scores.json"
    leave(tmp_path, ".scores.json.part-2of2.abcdefgh", ".scores.json.abcdefgh", ".mine.json.abcdefgh")
    leave(tmp_path, "scores.json.part-1of2", "scores.json.part-2of2")
    remove_parts(result, 2)
    assert os.listdir(tmp_path) == [".mine.json.abcdefgh"]


KILLED = """
import os, sys
from pathlib import Path
from deocc.io import whole_folder
with whole_folder(sys.argv[1]) as folder:
    (folder / "half.png").write_bytes(b"half")
    print("held", flush=True)
    sys.stdin.read()
    os._exit(1)
"""


def test_a_folder_that_is_written_at_once(tmp_path: Path) -> None:
    out = tmp_path / "answer"
    other = subprocess.Popen(
        [sys.executable, "-c", KILLED, str(out)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert other.stdout is not None and other.stdout.readline() == b"held\n"
    leave(tmp_path / ".answer.original", "mine.png")
    for number in (1, 2):  # while the other is at work, and after it was cut off
        with whole_folder(out, sweep=True) as folder:
            (folder / f"{number}.png").write_bytes(b"whole")
        assert len(hidden(tmp_path)) == {1: 3, 2: 1}[number], "its folder, its lock, and .answer.original"
        other.communicate()
    assert sorted(os.listdir(out)) == ["1.png", "2.png"]


def test_predict(tmp_path: Path) -> None:
    from deocc.inference.sharing import sweep

    for name in ("a", "b"):
        leave(tmp_path / f".{name}.abcdefgh", "modal.png")
    leave(tmp_path / ".a.backup", "mine.png")
    sweep(tmp_path, ["a"])
    assert hidden(tmp_path) == [".a.backup", ".b.abcdefgh"]


def test_unpacked_archives(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import zipfile

    from deocc.people import fetch as module
    from deocc.people.registry import Original, RemoteFile

    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("photo.txt", "x")
    (tmp_path / "out/d").mkdir(parents=True)
    (tmp_path / "a.zip").rename(tmp_path / "out/d/a.zip")
    leave(tmp_path / "out/d/.unpacking.abcdefgh", "half.jpg")
    monkeypatch.setitem(
        module.ORIGINALS, "d", Original("D", "free", "page", "d", (RemoteFile("https://x.org/a.zip"),))
    )
    with alone(tmp_path / "out/d/.fetched/lock", ""), pytest.raises(DeoccError, match="another process fet"):
        module.fetch("d", tmp_path / "out", lambda words: True)
    assert module.fetch("d", tmp_path / "out", lambda words: True)[1] == 1
    assert not (tmp_path / "out/d/.unpacking.abcdefgh").exists()
