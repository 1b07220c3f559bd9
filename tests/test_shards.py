"""`--shard i/n`: the parts together equal one run; two processes at one folder do not race."""

import json
import shutil
from pathlib import Path

import pytest

from deocc.cli import main as cli
from deocc.errors import DeoccError
from deocc.evaluation import folders, parts
from deocc.inference import predictions
from deocc.inference.deoccluder import Deoccluder
from deocc.inference.predictions import predict_cases
from deocc.inference.sharing import at_work, is_whole_png
from deocc.io import write_json
from deocc.io.locks import alone
from deocc.occlusion import CaseFolder, make_cases, write_case
from deocc.occlusion.making import CaseOptions, write_cases
from deocc.paths import PEOPLE_MINI
from deocc.people.folder import PeopleFolder, write_people

COUNT = 7


@pytest.fixture(scope="module")
def cases(tmp_path_factory) -> Path:
    """Seven cases of the bundled people."""
    path, folder = tmp_path_factory.mktemp("cases"), PeopleFolder(PEOPLE_MINI, "val")
    people = [folder[i] for i in range(COUNT)]
    for case in make_cases(people, folder.occluders("val"), per_person=1):
        write_case(path, case)
    return path


@pytest.fixture(scope="module")
def deoccluder(tiny_weights) -> Deoccluder:
    return Deoccluder.from_pretrained(tiny_weights, "cpu")


@pytest.fixture(scope="module")
def whole(cases, deoccluder, tmp_path_factory) -> Path:
    """Predictions of one run."""
    out = tmp_path_factory.mktemp("whole") / "predictions"
    predict_cases(deoccluder, cases, out, batch=1, progress=False)
    return out


def content(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def deocc(*words: object) -> int:
    with pytest.raises(SystemExit) as stop:
        cli.main([str(word) for word in words])
    return int(stop.value.code or 0)


def test_four_shards_predict_what_one_run_predicts(cases, deoccluder, whole, tmp_path):
    done = [
        predict_cases(deoccluder, cases, tmp_path, batch=1, progress=False, shard=(i, 4))
        for i in (3, 1, 4, 2)
    ]
    assert sorted(name for part in done for name in part) == CaseFolder(cases).ids
    assert max(map(len, done)) - min(map(len, done)) <= 1
    assert content(tmp_path) == content(whole)  # no lock and no temporary folder is left, either


@pytest.mark.parametrize("perceptual", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_shards_evaluate_to_the_result_of_one_run(cases, whole, tmp_path, monkeypatch, capsys, perceptual):
    monkeypatch.setattr(folders, "CHUNK", 2)
    options = ["--device", "cpu", *([] if perceptual else ["--no-perceptual"])]
    assert deocc("evaluate", cases, whole, "--json", tmp_path / "one.json", *options) == 0
    printed = capsys.readouterr().out
    for number in (2, 3, 1):
        four = tmp_path / "parts.json"
        assert deocc("evaluate", cases, whole, "--json", four, "--shard", f"{number}/3", *options) == 0
        assert four.exists() == (number == 1)
        said = capsys.readouterr().out
    assert said == printed
    assert four.read_bytes() == (tmp_path / "one.json").read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["one.json", "parts.json"]


def test_more_shards_than_chunks_evaluate_too(cases, whole, tmp_path):
    result = tmp_path / "r.json"
    options = {"perceptual": False}
    assert folders.evaluate_shard(cases, whole, result, (2, 2), **options) == [1]
    found = folders.evaluate_shard(cases, whole, result, (1, 2), **options)
    assert found == json.loads(json.dumps(folders.evaluate_folders(cases, whole, **options))) == found


def test_parts_of_other_predictions_do_not_count(cases, whole, tmp_path, monkeypatch):
    monkeypatch.setattr(folders, "CHUNK", 2)
    copy, result = tmp_path / "copy", tmp_path / "r.json"
    shutil.copytree(whole, copy)
    assert folders.evaluate_shard(cases, copy, result, (1, 2), perceptual=False) == [2]
    name = CaseFolder(cases).ids[0]
    shutil.copy(copy / name / "modal.png", copy / name / "amodal.png")
    assert folders.evaluate_shard(cases, copy, result, (2, 2), perceptual=False) == [1]
    assert folders.evaluate_shard(cases, copy, result, (2, 2), seed=1, perceptual=False) == [1]


@pytest.mark.parametrize("damage", ["cut", "empty", "other"])
def test_a_damaged_part_is_one_clear_error(cases, whole, tmp_path, damage):
    result = tmp_path / "r.json"
    folders.evaluate_shard(cases, whole, result, (1, 2), perceptual=False)
    path = parts.part_path(result, (1, 2))
    raw = path.read_bytes()
    path.write_bytes({"cut": raw[: len(raw) // 2], "empty": b"", "other": b"PK cut off"}[damage])
    with pytest.raises(DeoccError, match="part-1of2: not a part of an evaluation"):
        folders.evaluate_shard(cases, whole, result, (2, 2), perceptual=False)


@pytest.mark.parametrize("shard", ["0/2", "3/2", "1", "1/0", "a/b", "-1/2"])
def test_wrong_shards_are_one_clear_line(cases, tmp_path, capsys, shard):
    for words in (
        ["predict", cases, "--out", tmp_path / "out"],
        ["evaluate", cases, cases, "--json", tmp_path / "r"],
    ):
        assert deocc(*words, f"--shard={shard}") == 2
        error = capsys.readouterr().err
        assert error.count("\n") == 1 and "i/n with 1 <= i <= n" in error
    assert not list(tmp_path.iterdir())


def test_a_part_without_any_case_does_not_stop_the_others(tmp_path):
    folder = PeopleFolder(PEOPLE_MINI, "val")
    people = write_people(tmp_path / "people", folder[:3], folder.occluders("val")[:6])
    photo = tmp_path / "people/images" / f"{people.ids[2]}.jpg"
    photo.write_bytes(photo.read_bytes()[:900])
    options = CaseOptions(per_person=1)
    made = [
        write_cases(people.path, tmp_path / "cases", options, None, (i, 3), progress=False) for i in (1, 2, 3)
    ]
    assert [count for count, _ in made] == [1, 1, 0] and set(made[2][1]) == {f"{people.ids[2]}_0"}
    write_cases(people.path, tmp_path / "one", options, progress=False)
    assert content(tmp_path / "cases") == content(tmp_path / "one") and len(CaseFolder(tmp_path / "one")) == 2


def test_shards_of_an_evaluation_need_a_file(cases, whole, capsys):
    assert deocc("evaluate", cases, whole, "--shard", "1/2") == 2
    assert "--json FILE" in capsys.readouterr().err


@pytest.mark.parametrize("damage", [b"", b"\x89PNG\r\n\x1a\n", None])
def test_a_prediction_that_is_not_whole_is_made_again(cases, deoccluder, whole, tmp_path, damage):
    out = tmp_path / "predictions"
    shutil.copytree(whole, out)
    victim = out / CaseFolder(cases).ids[2] / "recovered.png"
    victim.write_bytes(victim.read_bytes()[:-20] if damage is None else damage)
    assert not is_whole_png(victim)
    assert predict_cases(deoccluder, cases, out, batch=1, progress=False) == [CaseFolder(cases).ids[2]]
    assert content(out) == content(whole)


def test_what_a_killed_run_left_is_swept(cases, deoccluder, whole, tmp_path):
    first = CaseFolder(cases).ids[0]
    (tmp_path / f".{first}.abcdefgh").mkdir()
    (tmp_path / f".{first}.abcdefgh" / "modal.png").write_bytes(b"half")
    (tmp_path / ".predict.json.abcdefgh").write_bytes(b"half")
    predict_cases(deoccluder, cases, tmp_path, batch=1, progress=False)
    assert content(tmp_path) == content(whole)


def test_a_second_process_at_the_same_part_is_refused(cases, deoccluder, whole, tmp_path):
    with at_work(tmp_path, (1, 2), lambda: None):
        with pytest.raises(DeoccError, match="another process predicts into it"):
            predict_cases(deoccluder, cases, tmp_path, progress=False, shard=(1, 2))
        with pytest.raises(DeoccError, match="with other parts than n = 3"):
            predict_cases(deoccluder, cases, tmp_path, progress=False, shard=(2, 3))
        predict_cases(deoccluder, cases, tmp_path, batch=1, progress=False, shard=(2, 2))
    predict_cases(deoccluder, cases, tmp_path, batch=1, progress=False)
    assert content(tmp_path) == content(whole)


def test_a_lock_of_a_dead_process_holds_nobody(cases, deoccluder, whole, tmp_path):
    (tmp_path / ".predict").mkdir()
    (tmp_path / ".predict" / "2of5.lock").touch()
    predict_cases(deoccluder, cases, tmp_path, batch=1, progress=False)
    assert content(tmp_path) == content(whole)


def test_overwriting_a_part_leaves_no_part_of_another_run(cases, deoccluder, tiny_weights, tmp_path):
    other = Deoccluder.from_pretrained(tiny_weights, "cpu", texture=0.9)
    predict_cases(other, cases, tmp_path, batch=4, progress=False)
    names = predict_cases(deoccluder, cases, tmp_path, batch=4, progress=False, overwrite=True, shard=(1, 2))
    left = sorted(path.parent.name for path in tmp_path.glob("*/modal.png"))
    assert left == sorted(names)


def test_overwriting_a_part_waits_for_a_process_with_other_settings(
    cases, deoccluder, tiny_weights, tmp_path
):
    other = Deoccluder.from_pretrained(tiny_weights, "cpu", texture=0.9)
    predict_cases(other, cases, tmp_path, batch=4, progress=False, shard=(1, 2))
    with at_work(tmp_path, (1, 2), lambda: None):
        before = content(tmp_path)
        with pytest.raises(DeoccError, match=r"another process predicts into it \(other texture\)"):
            predict_cases(deoccluder, cases, tmp_path, progress=False, overwrite=True, shard=(2, 2))
        assert content(tmp_path) == before
        predict_cases(other, cases, tmp_path, batch=4, progress=False, overwrite=True, shard=(2, 2))
    assert len(list(tmp_path.glob("*/modal.png"))) == COUNT


def test_shards_that_overwrite_together_do_not_refuse_each_other(cases, deoccluder, tiny_weights, tmp_path):
    other = Deoccluder.from_pretrained(tiny_weights, "cpu", texture=0.9)
    predict_cases(other, cases, tmp_path, batch=4, progress=False)
    settings = predictions._settings(deoccluder, CaseFolder(cases), "initial", "auto")
    with at_work(tmp_path, (1, 2), lambda: None, settings):  # it has not yet replaced predict.json
        names = predict_cases(deoccluder, cases, tmp_path, progress=False, overwrite=True, shard=(2, 2))
    assert sorted(path.parent.name for path in tmp_path.glob("*/modal.png")) == sorted(names)
    assert not (tmp_path / ".predict").exists()


def test_predictions_of_two_case_folders_do_not_mix(cases, deoccluder, whole, tmp_path):
    half = tmp_path / "half"
    ids = CaseFolder(cases).ids
    shutil.copytree(cases, half, ignore=lambda folder, names: ids[:3] if Path(folder) == cases else [])
    rest = tmp_path / "rest"
    shutil.copytree(cases, rest, ignore=lambda folder, names: ids[3:] if Path(folder) == cases else [])
    out = tmp_path / "out"
    predict_cases(deoccluder, half, out, progress=False)
    with pytest.raises(DeoccError, match=r"another run \(other cases\)"):
        predict_cases(deoccluder, rest, out, progress=False)


def test_a_run_that_predicted_nothing_binds_nobody(cases, deoccluder, whole, tmp_path):
    with pytest.raises(DeoccError, match="segmenter 'maskrcn' is unknown"):
        predict_cases(deoccluder, cases, tmp_path, "box", segmenter="maskrcn", progress=False)
    write_json(tmp_path / "predict.json", {"given": "modal"})  # stopped before its first case
    predict_cases(deoccluder, cases, tmp_path, batch=1, progress=False)
    assert content(tmp_path) == content(whole)


def test_a_damaged_case_leaves_nothing(cases, deoccluder, tmp_path):
    copy = tmp_path / "cases"
    shutil.copytree(cases, copy)
    (copy / CaseFolder(cases).ids[-1] / "initial.png").write_bytes(b"")
    with pytest.raises(DeoccError):
        predict_cases(deoccluder, copy, tmp_path / "out", progress=False)
    assert not (tmp_path / "out").exists()


def test_locks_are_those_of_other_processes_too(tmp_path):
    with alone(tmp_path / ".predict" / "1of1.lock", "held"):
        with pytest.raises(DeoccError, match="another process predicts"):
            with at_work(tmp_path, (1, 1), lambda: None):
                raise AssertionError("two at work")
    assert predictions.SETTINGS not in {path.name for path in tmp_path.iterdir()}
