"""The blind comparison of two systems' pictures."""

import json
from pathlib import Path

import numpy as np
import pytest

from deocc import metrics as M
from deocc.cli.main import main
from deocc.errors import DeoccError
from deocc.io import read_image, read_json, write_image, write_json
from deocc.occlusion import OcclusionCase, write_case
from deocc.studies import blind, sheets

RED, BLUE = (200, 0, 0), (0, 0, 200)


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path, Path]:
    """Eight cases of four people: A paints the hidden part red, B blue; one case is painted equally."""
    amodal = np.zeros((64, 48), bool)
    amodal[8:60, 10:40] = True
    modal = amodal.copy()
    modal[30:50, 20:] = False
    image = np.full((64, 48, 3), 120, np.uint8)
    for index in range(8):
        case = OcclusionCase(f"case_{index}", image, modal, amodal, person_id=f"person_{index // 2}")
        write_case(tmp_path / "cases", case)
        for name, colour in (("a", RED), ("b", BLUE if index != 3 else RED)):
            picture = image.copy()
            picture[amodal & ~modal] = colour
            write_image(tmp_path / name / case.id / "recovered.png", picture)
    return tmp_path / "a", tmp_path / "b", tmp_path / "cases"


# --- pure parts


def test_wilson_intervals_of_known_shares() -> None:
    assert M.wilson_interval(45, 60) == pytest.approx((0.6277, 0.8422), abs=1e-4)
    assert M.wilson_interval(0, 10) == pytest.approx((0.0, 0.2775), abs=1e-4)
    low, high = M.wilson_interval(10, 10)
    assert (low, high) == pytest.approx((1 - 0.2775, 1.0), abs=1e-4)
    assert all(np.isnan(M.wilson_interval(0, 0)))


def test_a_score_counts_decided_pairs_and_tests_the_sign() -> None:
    found = blind.score(["b"] * 9 + ["a"] + ["same"] * 3)
    assert (found["judged"], found["a"], found["b"], found["same"]) == (13, 1, 9, 3)
    assert found["share_b"] == 0.9 and found["p"] == pytest.approx(2 * 11 / 1024)
    assert (found["low"], found["high"]) == M.wilson_interval(9, 10)
    assert blind.score(["a", "b"])["p"] == 1
    assert blind.score(["same"])["share_b"] is None and blind.score([])["p"] is None


def test_everybody_comes_once_before_anybody_comes_twice() -> None:
    ids = [f"{person}_{number}" for person in range(20) for number in range(3)]
    people = [name.split("_")[0] for name in ids]
    order = blind.drawn_order(ids, people, 0)
    assert sorted(order) == sorted(ids) and order != ids
    for turn in range(3):
        assert len({name.split("_")[0] for name in order[20 * turn : 20 * turn + 20]}) == 20
    assert order == blind.drawn_order(ids[::-1], people[::-1], 0) != blind.drawn_order(ids, people, 1)


def test_sides_are_drawn_about_equally_often() -> None:
    left = [blind._draw(0, "side", f"case_{i}") < 0.5 for i in range(2000)]
    assert 900 < sum(left) < 1100


def test_an_answer_prefers_the_picture_on_its_side() -> None:
    pair = blind.Pair(1, "x", b_left=True)
    assert [pair.preferred(word) for word in ("left", "right", "same")] == ["b", "a", "same"]  # type: ignore[arg-type]
    assert blind.Pair(1, "x", b_left=False).preferred("left") == "a"


# --- sheets and judgements


def test_equal_pictures_are_left_out_and_sheets_show_sides_as_drawn(folders: tuple[Path, ...]) -> None:
    contest = blind.open_contest(*folders, seed=3)
    assert len(contest.pairs) == 7 and contest.equal == 1
    assert "case_3" not in {pair.id for pair in contest.pairs}
    assert len({pair.b_left for pair in contest.pairs}) == 2
    for pair in contest.pairs:
        sheet = sheets.pair_sheet(contest, pair).astype(int)
        middle, right = np.array_split(sheet, 3, axis=1)[1:]
        blues = [((part[..., 2] > 150) & (part[..., 0] < 60)).sum() for part in (middle, right)]
        assert (blues[0] > blues[1]) == pair.b_left
    assert blind.open_contest(*folders, seed=3).pairs == contest.pairs
    assert len(blind.open_contest(*folders, count=4, seed=3).pairs) == 4


def test_judgements_are_kept_and_the_later_answer_counts(folders: tuple[Path, ...], tmp_path: Path) -> None:
    contest = blind.open_contest(*folders)
    kept = blind.Judgements(tmp_path / "judgements.jsonl", contest)
    for number, word in ((1, "left"), (2, "same"), (1, "right")):
        kept.add(number, word)  # type: ignore[arg-type]
    again = blind.Judgements(kept.path, contest)
    assert again.answers == {1: "right", 2: "same"}
    assert [pair.number for pair in again.open_pairs()] == [3, 4, 5, 6, 7]
    assert again.result()["judged"] == 2 and len(kept.path.read_text().splitlines()) == 4
    with pytest.raises(DeoccError, match="other folders, cases, --count or --seed"):
        blind.Judgements(kept.path, blind.open_contest(*folders, seed=1))
    whole = kept.path.read_bytes()
    kept.path.write_bytes(whole + b'{"number": 3, "ans')  # a kill in the middle of a line
    again = blind.Judgements(kept.path, contest)
    assert again.answers == {1: "right", 2: "same"} and kept.path.read_bytes() == whole
    again.add(3, "left")
    assert blind.Judgements(kept.path, contest).answers[3] == "left"
    for begun in (b"", b'{"schema"'):
        kept.path.write_bytes(begun)
        assert not blind.Judgements(kept.path, contest).answers
    kept.path.write_text("{}\nx\n")
    with pytest.raises(DeoccError, match="damaged"):
        blind.Judgements(kept.path, contest)


def test_a_terminal_is_asked_again_until_it_answers_and_may_stop(
    folders: tuple[Path, ...], tmp_path: Path
) -> None:
    judgements = blind.Judgements(tmp_path / "j.jsonl", blind.open_contest(*folders))
    words = iter(["what?", "L", "2", ""])
    blind.ask(judgements, tmp_path, lambda text: next(words))
    assert judgements.answers == {1: "left", 2: "right"}


def test_answers_out_of_a_spreadsheet(tmp_path: Path) -> None:
    path = tmp_path / "answers.csv"
    for separator, encoding in ((",", "utf-8"), (";", "utf-8-sig"), ("\t", "utf-16"), (";", "utf-16")):
        rows = ["number,answer", "1,left", "2,", '"3","RIGHT"']
        path.write_text("\r\n".join(rows).replace(",", separator), encoding=encoding)
        assert blind.read_answers(path, 3) == {1: "left", 3: "right"}, (separator, encoding)
    for wrong in (b"number,answer\n1,\xff\xfe\xe9", b"9" * 5000 + b",left", "\u0663,left".encode()):
        path.write_bytes(wrong)
        with pytest.raises(DeoccError, match="answers.csv"):
            blind.read_answers(path, 3)


# --- the command


def run(capsys, *words: object) -> tuple[int, str, str]:  # type: ignore[no-untyped-def]
    with pytest.raises(SystemExit) as end:
        main([str(word) for word in words])
    return int(end.value.code or 0), *capsys.readouterr()


def test_the_command_writes_sheets_then_reads_answers_back(folders, tmp_path: Path, capsys) -> None:  # type: ignore[no-untyped-def]
    out = tmp_path / "out"
    code, text, _ = run(capsys, "compare", *folders, "--out", out)
    assert code == 0 and "0 of 7 pairs judged" in text
    assert len(list((out / "pairs").glob("*.png"))) == 7
    page = (out / "index.html").read_text()
    assert "const total = 7" in page and "COUNT" not in page and str(tmp_path) not in page
    answers = out / "answers.csv"
    assert answers.read_text().splitlines()[:2] == ["number,answer", "1,"]
    sides = {pair.number: pair.b_left for pair in blind.open_contest(*folders).pairs}
    rows = [f"{n},{'left' if b_left == (n > 1) else 'right'}" for n, b_left in sides.items()]  # B but for one
    answers.write_text("number,answer\n" + "\n".join(rows))
    code, text, _ = run(
        capsys, "compare", *folders, "--out", out, "--answers", answers, "--json", tmp_path / "s.json"
    )
    assert code == 0 and "b is preferred in 86% of the decided pairs" in text
    found = json.loads((tmp_path / "s.json").read_text())
    assert (found["a"], found["b"], found["a_name"], found["equal_pictures"]) == (1, 6, "a", 1)
    before = (out / "judgements.jsonl").read_text()
    run(capsys, "compare", *folders, "--out", out, "--answers", answers)
    assert (out / "judgements.jsonl").read_text() == before  # nothing is counted twice


def test_sheets_of_another_contest_are_drawn_anew_unless_they_have_answers(folders, tmp_path, capsys) -> None:  # type: ignore[no-untyped-def]
    first, second, cases = folders
    out = tmp_path / "out"
    run(capsys, "compare", first, second, cases, "--out", out, "--count", 5)
    code, *_ = run(capsys, "compare", first, second, cases, "--out", out, "--seed", 1)
    assert code == 0 and len((out / "answers.csv").read_text().splitlines()) == 8
    contest = blind.open_contest(first, second, cases, seed=1)
    for pair in contest.pairs:
        stored = read_image(out / "pairs" / f"{pair.number:03d}.png")
        np.testing.assert_array_equal(stored, sheets.pair_sheet(contest, pair))
    (out / "answers.csv").write_text("number,answer\n1,left\n")
    code, _, error = run(capsys, "compare", first, second, cases, "--out", out, "--seed", 2)
    assert code == 2 and "answers to other pictures" in error and error.count("\n") == 1
    run(capsys, "compare", first, second, cases, "--out", out, "--seed", 1, "--answers", out / "answers.csv")
    picture = first / contest.pairs[0].id / "recovered.png"
    write_image(picture, 255 - read_image(picture))  # A is predicted again, with other weights
    code, _, error = run(capsys, "compare", first, second, cases, "--out", out, "--seed", 1)
    assert code == 2 and "judgements of other folders" in error


def test_a_person_called_0_is_one_person(folders) -> None:  # type: ignore[no-untyped-def]
    first, second, cases = folders
    for file in cases.glob("*/case.json"):
        person = int(file.parent.name[-1]) // 4  # two people: 0 and 1
        write_json(file, {**read_json(file), "person_id": person})
    for seed in range(6):  # each comes once before anyone comes twice
        pairs = blind.open_contest(first, second, cases, count=2, seed=seed).pairs
        assert {int(pair.id[-1]) // 4 for pair in pairs} == {0, 1}


def test_judgements_without_a_digest_of_the_pictures_are_read(folders, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    contest = blind.open_contest(*folders)
    kept = blind.Judgements(tmp_path / "judgements.jsonl", contest)
    kept.add(1, "left")
    old = kept.path.read_text().replace(f', "pictures": "{contest.pictures}"', "")
    assert contest.pictures not in old
    kept.path.write_text(old)
    assert blind.Judgements(kept.path, contest).answers == {1: "left"}


def test_predictions_for_other_cases_are_named(folders, tmp_path: Path, capsys) -> None:  # type: ignore[no-untyped-def]
    write_json(folders[0] / "predict.json", {"cases": "0123456789abcdef"})
    code, _, error = run(capsys, "compare", *folders, "--out", tmp_path / "out")
    assert code == 0 and error.count("note:") == 1 and "for another set of cases" in error


@pytest.mark.parametrize(
    ("line", "message"),
    [("9,left", "from 1 to 7"), ("1,better", "line 2"), ("one,left", "line 2")],
)
def test_bad_answers_are_named(folders, tmp_path: Path, capsys, line: str, message: str) -> None:  # type: ignore[no-untyped-def]
    path = tmp_path / "answers.csv"
    path.write_text(f"number,answer\n{line}\n")
    code, _, error = run(capsys, "compare", *folders, "--out", tmp_path / "out", "--answers", path)
    assert code == 2 and message in error and error.count("\n") == 1
    assert not (tmp_path / "out").exists() or not any((tmp_path / "out").iterdir())


def test_folders_without_pictures_or_without_a_difference_are_refused(folders, tmp_path, capsys) -> None:  # type: ignore[no-untyped-def]
    first, _, cases = folders
    code, _, error = run(capsys, "compare", first, first, cases, "--out", tmp_path / "out")
    assert code == 2 and "not one picture differs" in error
    code, _, error = run(capsys, "compare", first, tmp_path / "none", cases, "--out", tmp_path / "out")
    assert code == 2 and "no such folder" in error


def test_pictures_and_pages_of_others_are_never_removed(folders, tmp_path: Path, capsys) -> None:  # type: ignore[no-untyped-def]
    for place, name in ((tmp_path / "one" / "pairs", "mine.png"), (tmp_path / "two", "index.html")):
        place.mkdir(parents=True)
        (place / name).write_bytes(b"mine")
        out = place.parent if place.name == "pairs" else place
        status, _, err = run(capsys, "compare", *folders, "--out", out)
        assert status == 2 and name in err
        assert (place / name).read_bytes() == b"mine" and not (out / "answers.csv").exists()
