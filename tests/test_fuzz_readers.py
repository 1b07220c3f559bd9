"""The short form of tools/fuzz_readers.py; the long form's figures are in data/results/fuzz-readers.json."""

import pytest

import fuzz_readers
from deocc.io import read_json
from deocc.paths import RESULTS
from fuzz_readers import READERS, Tally, escapes, fuzz


def test_a_hundred_mutated_inputs_are_read_or_refused() -> None:
    tally = fuzz(100, seed=7)
    assert set(tally.total()) <= {"ok", "refused"}, tally.failures
    assert tally.total().total() == 100 and set(tally.outcomes) == set(READERS)


def test_the_fuzzer_sees_what_goes_wrong(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:  # type: ignore[no-untyped-def]
    def stumble(root, out):  # type: ignore[no-untyped-def]
        (out.parent / "evil").write_text("x")
        raise ZeroDivisionError

    bad = fuzz_readers.Reader(fuzz_readers.make_log, stumble, "*.csv")
    monkeypatch.setitem(READERS, "routes", bad)
    assert fuzz(1, only=["routes"]).total() == {"escape": 1}
    careless = fuzz_readers.Reader(fuzz_readers.make_log, lambda root, out: 1 / 0, "*.csv")
    monkeypatch.setitem(READERS, "routes", careless)
    tally: Tally = fuzz(1, only=["routes"])
    assert tally.total() == {"traceback": 1} and "ZeroDivisionError" in tally.failures[0]
    root, out = tmp_path / "data", tmp_path / "out"
    (tmp_path / "a/b").mkdir(parents=True)
    fuzz_readers.decoys(tmp_path)
    before = fuzz_readers.everything(tmp_path, root)
    out.mkdir()
    (out / "copied.png").write_bytes((tmp_path / "x.png").read_bytes())
    assert escapes(tmp_path, root, out, before) == [str(out / "copied.png")]


def test_the_long_form_found_nothing() -> None:
    result = read_json(RESULTS / "fuzz-readers.json")
    assert result["inputs"] >= 1500 and set(result["outcomes"]) <= {"ok", "refused"}
    assert set(result["readers"]) == set(READERS)
    assert result["most_memory_mb"] < 2000 and result["most_seconds"] < 30
