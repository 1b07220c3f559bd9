"""render and occlude: cut off, they go on; one bad person is left out; two processes do not meet; numbers."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import psutil
import pytest
from test_cli import make_people
from test_sources import drawn, photo, ring

from deocc.cli import main as cli
from deocc.errors import DeoccError
from deocc.io import read_json, write_image
from deocc.io.begun import WORK, begun, require_whole
from deocc.occlusion import CaseFolder
from deocc.occlusion.folder import case_name
from deocc.occlusion.making import CaseOptions, write_cases
from deocc.people import Occluder, PeopleFolder, Person, write_people
from deocc.people.synth import render_people

FAST = {"OMP_NUM_THREADS": "1", "NUMBA_NUM_THREADS": "1"}


def run(capsys: pytest.CaptureFixture[str], *words: object) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as stop:
        cli.main([str(word) for word in words])
    return int(stop.value.code or 0), *capsys.readouterr()


def content(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


@pytest.fixture(scope="module")
def people(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_people(tmp_path_factory.mktemp("data") / "people")


# ------------------------------------------------------------------ going on


def test_render_goes_on_and_a_killed_one_leaves_no_worker(tmp_path: Path) -> None:
    out, words = tmp_path / "people", ["--count", "6", "--size", "64", "--seed", "920000", "--workers", "2"]
    command = [sys.executable, "-m", "deocc", "render", *words, "--out", str(out)]
    cut_off = subprocess.Popen(command, env={**os.environ, **FAST}, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 120
    while len(list((out / "masks").glob("[!.]*"))) < 1 and time.monotonic() < deadline:
        time.sleep(0.05)
    children = psutil.Process(cut_off.pid).children(recursive=True)
    cut_off.send_signal(signal.SIGKILL)
    cut_off.wait()
    _, alive = psutil.wait_procs(children, timeout=30)
    assert not alive and not (out / "people.csv").exists()
    assert not [path for path in tmp_path.iterdir() if path.name != "people"], "no temporary folders"
    with pytest.raises(DeoccError, match="begun with other options .seed 920000."):
        render_people(6, 1, 1, out, 64)
    first = {path: path.stat().st_mtime_ns for path in (out / "parsing").glob("[!.]*")}
    whole = render_people(6, 920_000, 1, out, 64)
    assert len(whole) == 6 and not (out / WORK).exists()
    assert {path: path.stat().st_mtime_ns for path in first} == first, "what was there was not made again"
    assert not [path for path in out.rglob(".*") if path.is_file()]


def test_occlude_goes_on_where_it_was_cut_off(
    people: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from deocc.occlusion import making

    options = CaseOptions(per_person=2)
    write_cases(people, tmp_path / "one", options, progress=False)
    real, made = making.write_case, []

    def stop(folder: Path, case: object) -> Path:
        if len(made) == 2:
            raise KeyboardInterrupt
        made.append(case)
        return real(folder, case)  # type: ignore[arg-type]

    monkeypatch.setattr(making, "write_case", stop)
    with pytest.raises(KeyboardInterrupt):
        write_cases(people, tmp_path / "cut", options, progress=False)
    monkeypatch.undo()
    with pytest.raises(DeoccError, match="incomplete; `deocc occlude` is still running or was stopped"):
        CaseFolder(tmp_path / "cut")
    with pytest.raises(DeoccError, match="begun with other options .seed 0."):
        write_cases(people, tmp_path / "cut", CaseOptions(per_person=2, seed=1), progress=False)
    monkeypatch.setattr(making, "write_case", lambda *given: (made.append(given[1]), real(*given)))
    write_cases(people, tmp_path / "cut", options, progress=False)
    assert len(made) == 4 and content(tmp_path / "cut") == content(tmp_path / "one")


@pytest.mark.parametrize("loud", [False, True])
def test_a_case_of_a_corrected_photo_is_made_again(loud: bool, people: Path, tmp_path: Path) -> None:
    import shutil

    mine = Path(shutil.copytree(people, tmp_path / "people"))
    if loud:
        (mine / "images/a.jpg").rename(mine / "images/a.JPG")
    write_cases(mine, tmp_path / "cases", CaseOptions(per_person=1), shard=(1, 2), progress=False)
    image = mine / ("images/a.JPG" if loud else "images/a.jpg")
    write_image(image, np.full((64, 64, 3), 255, np.uint8))
    os.utime(image, (time.time() + 5, time.time() + 5))
    write_cases(mine, tmp_path / "cases", CaseOptions(per_person=1), shard=(1, 2), progress=False)
    write_cases(mine, tmp_path / "cases", CaseOptions(per_person=1), shard=(2, 2), progress=False)
    (first, _) = CaseFolder(tmp_path / "cases")
    assert first.target is not None and first.target.min() > 240


def test_parts_equal_one_run(people: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ("occlude", people, "--per-person", 1)
    assert run(capsys, *words, "--out", tmp_path / "one")[0] == 0
    for i in (2, 1):
        assert run(capsys, *words, "--shard", f"{i}/2", "--out", tmp_path / "parts")[0] == 0
    assert content(tmp_path / "parts") == content(tmp_path / "one")
    assert run(capsys, *words, "--shard", "3/2", "--out", tmp_path / "no")[0] == 2


def test_two_processes_do_not_make_one_folder(tmp_path: Path) -> None:
    code = (
        "import sys, time; from deocc.io.begun import begun\n"
        "with begun(sys.argv[1], 'occlude', {'seed': 0}):\n    print('held', flush=True); time.sleep(60)\n"
    )
    other = subprocess.Popen([sys.executable, "-c", code, str(tmp_path / "out")], stdout=subprocess.PIPE)
    try:
        assert other.stdout is not None and other.stdout.readline() == b"held\n"
        with pytest.raises(DeoccError, match="in use by another process .deocc occlude.; wait until"):
            with begun(tmp_path / "out", "occlude", {"seed": 0}):
                pass
    finally:
        other.kill()
        other.communicate()
    with begun(tmp_path / "out", "occlude", {"seed": 1}):  # the killed one had made nothing
        pass
    require_whole(tmp_path / "out", "occlude")


def test_a_folder_of_another_making_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(DeoccError, match="holds something already; choose a new folder"):
        with begun(tmp_path, "render", {}):
            pass
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_a_command_that_fails_leaves_nothing(people: Path, tmp_path: Path) -> None:
    with pytest.raises(DeoccError, match="no people in split 'train0'"):
        write_cases(people, tmp_path / "out", CaseOptions(split="train0"), progress=False)
    with pytest.raises(ZeroDivisionError):
        with begun(tmp_path / "out", "render", {}):
            raise ZeroDivisionError
    assert not (tmp_path / "out").exists()


# ------------------------------------------------------------------ one bad person


def speck(name: str) -> Person:
    """Somebody of six pixels."""
    mask = np.zeros((120, 150), bool)
    mask[50:53, 70:72] = True
    return Person(name, photo(mask), mask, split="val")


@pytest.fixture
def mixed(tmp_path: Path) -> Path:
    mask = drawn(ring(40, 25))
    good = [Person(f"good{i}", photo(mask, seed=i), mask, split="val") for i in range(2)]
    disc = np.hypot(*np.mgrid[-20:21, -20:21]) <= 20
    things = [Occluder("o", np.full((41, 41, 3), 99, np.uint8), disc, "disc", "val")]
    write_people(tmp_path / "people", [good[0], speck("speck"), good[1]], things)
    return tmp_path / "people"


def test_one_speck_does_not_end_occlude(
    mixed: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("occlude", mixed, "--per-person", 2, "--ratio", 0.2, 0.3)
    status, said, wrong = run(capsys, *words, "--out", tmp_path / "cases")
    assert status == 0 and "4 cases in" in said
    assert "left out speck_0: " in wrong and "2 cases could not be made and were left out" in wrong
    assert CaseFolder(tmp_path / "cases").ids == ["good0_0", "good0_1", "good1_0", "good1_1"]
    assert set(read_json(tmp_path / "cases/left-out.json")) == {"speck_0", "speck_1"}
    assert run(capsys, *words, "--strict", "--out", tmp_path / "strict")[0] == 3


def test_parts_of_two_divisions_do_not_add_up(tmp_path: Path) -> None:
    def make(*parts: tuple[int, int]) -> None:
        for part in parts:
            with begun(tmp_path / "out", "occlude", {"seed": 0}, part):
                (tmp_path / "out" / f"{part}").touch()

    make((1, 4), (2, 4), (3, 4), (1, 2))
    with pytest.raises(DeoccError, match="incomplete"):
        require_whole(tmp_path / "out", "occlude")
    make((2, 2))
    require_whole(tmp_path / "out", "occlude")
    assert not (tmp_path / "out" / WORK).exists()


def test_nobody_at_all_is_an_error(mixed: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = (mixed / "people.csv").read_text().splitlines()
    (mixed / "people.csv").write_text("\n".join(line for line in lines if "good" not in line))
    words = ("occlude", mixed, "--per-person", 2, "--ratio", 0.2, 0.3)
    status, _, wrong = run(capsys, *words, "--out", tmp_path / "cases")
    assert status == 2 and "none of 2 cases could be made; speck_0: " in wrong
    assert not (tmp_path / "cases").exists()
    parts = (*words, "--out", tmp_path / "parts", "--shard")
    assert run(capsys, *parts, "1/2")[0] == 0  # the other part may have a case
    status, _, wrong = run(capsys, *parts, "2/2")
    assert status == 2 and "no part could make any case; speck_0: " in wrong and "left-out.json" in wrong


def test_ids_with_folders_in_them_go_through(mixed: Path, tmp_path: Path) -> None:
    for kind in ("images", "masks"):
        (mixed / kind / "session1").mkdir()
        for path in list((mixed / kind).glob("good*")):
            path.rename(mixed / kind / "session1" / path.name)
    text = (mixed / "people.csv").read_text()
    text = text.replace("good0", "session1/good0").replace("good1", r"session1\good1")
    (mixed / "people.csv").write_text(text)
    assert [p.id for p in PeopleFolder(mixed)] == ["session1/good0", "session1/good1", "speck"]
    count, left_out = write_cases(mixed, tmp_path / "cases", CaseOptions(per_person=1), progress=False)
    assert count == len(CaseFolder(tmp_path / "cases")) == 2 and list(left_out) == ["speck_0"]
    assert {case.person_id for case in CaseFolder(tmp_path / "cases")} == {"session1/good0", "session1/good1"}
    assert case_name("a/b", 0) != case_name("a_b", 0) and case_name("a", 1) == "a_1"


# ------------------------------------------------------------------ numbers

LARGE = [2**31, 2**32, 2**33 + 7, 2**63 - 1]


@pytest.mark.parametrize("seed", LARGE)
def test_large_seeds(seed: int, people: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ("occlude", people, "--per-person", 1, "--seed", seed)
    assert run(capsys, *words, "--out", tmp_path / "cases")[0] == 0
    if seed < 2**63 - 1:
        assert len(render_people(1, seed, 1, tmp_path / "people", 32)) == 1


BAD_NUMBERS = [
    (["render", "--seed", 2**63], "--seed"),
    (["render", "--seed", 2**64], "--seed"),
    (["render", "--seed", -1], "--seed"),
    (["render", "--seed", 2**63 - 1], "seed >= 0"),
    (["render", "--count", 0], "--count"),
    (["render", "--count", -3], "--count"),
    (["render", "--count", 10**12], "count"),
    (["render", "--size", 10**9], "size"),
    (["render", "--size", "nan"], "--size"),
    (["render", "--workers", 0], "--workers"),
    (["occlude", "F", "--seed", 2**64], "--seed"),
    (["occlude", "F", "--ratio", 1, 1], "none of 6 cases"),
    (["occlude", "F", "--ratio", "nan", "nan"], "ratio nan nan"),
    (["occlude", "F", "--ratio", 0, 0.5], "ratio 0"),
    (["occlude", "F", "--ratio", 0.5, 0.1], "ratio 0.5"),
    (["occlude", "F", "--ratio", 0.1, "inf"], "ratio 0.1 inf"),
    (["occlude", "F", "--initial", "nan"], "--initial"),
    (["occlude", "F", "--initial", "inf"], "severity inf"),
    (["occlude", "F", "--initial", 1e300], "severity 1e+300"),
    (["occlude", "F", "--initial", -1], "--initial"),
    (["occlude", "F", "--per-person", 10**11], "expected 1 to 10000 cases"),
    (["occlude", "F", "--per-person", -2], "--per-person"),
    (["occlude", "F", "--per-person", 0], "--per-person"),
    (["people", "coco", "F", "--seed", 2**64], "--seed"),
    (["people", "coco", "F", "--min-side", -5], "--min-side"),
    (["people", "coco", "F", "--shard", "0/0"], "shard"),
    (["people", "coco", "F", "--workers", -1], "--workers"),
    (["people", "coco", "F", "--export", "../x"], "--export"),
]  # fmt: skip


@pytest.mark.parametrize(("words", "said"), BAD_NUMBERS)
def test_bad_numbers_are_one_clear_line(words, said, people, tmp_path, capsys) -> None:  # type: ignore[no-untyped-def]
    given = [str(people) if word == "F" else word for word in words]
    status, _, wrong = run(capsys, *given, "--out", tmp_path / "out")
    errors = [line for line in wrong.splitlines() if line.startswith("deocc: error: ")]
    assert status == 2 and len(errors) == 1 and said in errors[0] and "Traceback" not in wrong
    assert not (tmp_path / "out").exists()
