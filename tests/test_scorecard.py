"""The reproduction scorecard: each verdict comes out where it should, and only there."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from deocc import paper
from deocc.cli import main as cli
from deocc.paths import RESULTS
from deocc.tables import rows
from deocc.tables.claims import CHECKS, ClaimCheck, Comparison
from deocc.tables.collection import Setup, TableResult
from deocc.tables.rows import PLANS, TABLE_2, TABLE_4, TABLE_6
from deocc.tables.scorecard import VERDICTS, least_in_favour, scorecard_json, verdict_of, weigh
from deocc.tables.scorecard_page import scorecard_page
from deocc.tables.statistics import compare_seeds

PEOPLE = 60


def result(key: str, seed: int, mean: float, spread: float = 0.01, metric: str = "amodal_iou") -> dict:
    """A run whose cases differ from those of other runs by a little noise of its own."""
    shared = np.random.default_rng(0).normal(0, 0.1, 2 * PEOPLE)
    own = np.random.default_rng([seed, *key.encode()]).normal(0, spread, 2 * PEOPLE)
    values = [float(v) for v in mean + shared + own]
    of_run = {"value": float(np.mean(values)), "low": None, "high": None, "n": len(values)}
    given = {
        "metrics": {metric: of_run},
        "frechet": {"name": "FD", "value": 100 * mean, "n": len(values), "features": 8},
        "per_case": {"person": [i // 2 for i in range(len(values))], metric: values},
    }  # fmt: skip
    cases = {"digest": "c"}
    return {"kind": "trained", "cases": cases, "results": {"initial": given, "modal": given}}


def table(means: dict[str, float], seeds: int, plan=TABLE_4, **options) -> dict[str, TableResult]:
    """Table 4, or another, with made-up rows."""
    held = {row.key: [] for row in plan.rows}
    held |= {key: [result(key, s, mean, **options) for s in range(seeds)] for key, mean in means.items()}
    return {plan.number: TableResult(plan, "small", Setup("d", 10_000, "c"), held)}


def weighed(comparisons: list[Comparison], tables: dict[str, TableResult]) -> dict:
    check = ClaimCheck("helps", "discriminator_helps", tuple(comparisons))
    return weigh(tables, checks=[check])["claims"][0]


HELPS = Comparison("4", "d", "none", "amodal_iou")
COSTS = Comparison("4", "modal", "d", "amodal_iou", -1)


@pytest.mark.parametrize(
    ("means", "seeds", "verdict", "words"),
    [
        ({"none": 0.5, "d": 0.52}, 3, "matched", "Decided at 10,000 images"),
        ({"none": 0.52, "d": 0.5}, 3, "contradicted", "Decided at 10,000 images"),
        ({"none": 0.5, "d": 0.52}, 1, "trend only", "for these weights it is decided"),
        ({"none": 0.52, "d": 0.5}, 1, "not decided", "for these weights it goes the other way"),
        ({"none": 0.5, "d": 0.5011}, 3, "trend only", "An interval"),
        ({"none": 0.5011, "d": 0.5}, 3, "not decided", "An interval"),
        ({"none": 0.5}, 3, "not decided", "deocc table 4 --train"),
        ({}, 3, "not decided", "deocc table 4 --train"),
    ],
)
def test_every_verdict_comes_out(means, seeds, verdict, words):
    claim = weighed([HELPS], table(means, seeds))
    assert claim["verdicts"]["main"] == verdict and words in claim["decide"], claim["decide"]


def test_a_claim_that_something_gets_worse_is_matched_where_it_does():
    assert weighed([COSTS], table({"d": 0.5, "modal": 0.48}, 3))["verdicts"]["main"] == "matched"
    assert weighed([COSTS], table({"d": 0.5, "modal": 0.52}, 3))["verdicts"]["main"] == "contradicted"


def test_all_comparisons_must_agree_and_one_decided_against_is_enough():
    both = [HELPS, COSTS]
    assert weighed(both, table({"none": 0.5, "d": 0.52, "modal": 0.5}, 3))["verdicts"]["main"] == "matched"
    mixed = weighed(both, table({"none": 0.5, "d": 0.52, "modal": 0.54}, 3))
    assert mixed["verdicts"]["main"] == "contradicted"
    assert least_in_favour(mixed["comparisons"]["main"])["row"] == "modal"
    half = weighed(both, table({"none": 0.5, "d": 0.52}, 3))  # nothing is known of the second
    assert half["verdicts"]["main"] == "trend only"


def test_the_largest_difference_against_a_claim_is_shown_where_nothing_has_an_interval():
    def part(value: float, agrees: bool, row: str) -> dict:
        found = {"value": value, "low": None, "high": None}
        return {"counts": True, "agrees": agrees, "row": row, "found": found}

    parts = [part(-3.0, True, "a"), part(1.2, False, "b"), part(9.6, False, "c"), part(-0.1, True, "d")]
    assert least_in_favour(parts)["row"] == "c"
    assert least_in_favour(parts[:1] + parts[3:])["row"] == "a"


def test_one_comparison_against_a_claim_would_decide_it():
    means = {"none": 0.5011, "d": 0.5, "modal": 0.4995}  # against the first, barely for the second
    claim = weighed([HELPS, COSTS], table(means, 3))
    assert claim["verdicts"]["main"] == "not decided"
    assert "2: discriminator against 1: baseline, against the claim" in claim["decide"]
    means = {"none": 0.5, "d": 0.5016, "modal": 0.5011}  # both for it: the widest is what is missing
    claim = weighed([HELPS, COSTS], table(means, 3))
    assert claim["verdicts"]["main"] == "trend only" and "3: + modal against" in claim["decide"]


def test_a_longer_budget_is_a_curve_only_for_rows_that_have_one():
    tables = table({"ours_plain": 0.6, "pix2pix": 0.5, "ovsr": 0.5}, 3, TABLE_2)
    followed = Comparison("2", "ours_plain", "pix2pix", "amodal_iou")
    assert "--part curves" in weighed([followed], tables)["decide"]
    text = weighed([followed, replace(followed, against="ovsr")], tables)["decide"]
    assert "--part curves" not in text and "the same rows with more `--images`" in text
    assert "--part curves" not in weighed([HELPS], table({"none": 0.5, "d": 0.6}, 3))["decide"]


def test_what_is_shown_beside_does_not_count():
    beside = replace(COSTS, counts=False)
    claim = weighed([HELPS, beside], table({"none": 0.5, "d": 0.52, "modal": 0.54}, 3))
    assert claim["verdicts"]["main"] == "matched"
    assert claim["comparisons"]["main"][1]["agrees"] is False


def test_of_a_distance_less_is_better_and_its_interval_is_of_seeds():
    part = Comparison("6", "body", "background", "frechet")
    better = table({"background": 0.5, "body": 0.4}, 3, TABLE_6, spread=0.05)
    claim = weighed([part], better)
    found = claim["comparisons"]["main"][0]["found"]
    assert claim["verdicts"]["main"] == "matched" or found["low"] < 0 < found["high"]
    assert claim["comparisons"]["main"][0]["agrees"] and found["seeds"] == 3 and found["people"] == 0
    worse = weighed([part], table({"background": 0.4, "body": 0.5}, 1, TABLE_6))
    assert worse["verdicts"]["main"] == "not decided"
    assert worse["comparisons"]["main"][0]["found"]["low"] is None


def test_what_cannot_be_tested_says_so_and_what_it_needs():
    check = ClaimCheck("x", "stacking", reason="no row", needs="a row with one hourglass")
    claim = weigh({}, checks=[check])["claims"][0]
    assert claim["verdicts"] == {"main": "not testable here"}
    assert claim["evidence"] == "no row" and claim["decide"] == "A row with one hourglass."


def test_many_comparisons_are_corrected_and_each_counts_once():
    one = weigh(table({"none": 0.5, "d": 0.505}, 3, spread=0.02), checks=[ClaimCheck("a", "", (HELPS,))])
    twice = weigh(
        table({"none": 0.5, "d": 0.505}, 3, spread=0.02),
        checks=[ClaimCheck("a", "", (HELPS,)), ClaimCheck("b", "", (HELPS,))],
    )
    assert one["comparisons"] == twice["comparisons"]  # both settings of one pair
    first = one["claims"][0]["comparisons"]["main"][0]["found"]
    assert first["p_holm"] >= first["p"]
    crowd = [replace(HELPS, row=key) for key in ("d", "modal", "parsing", "templates", "all")]
    means = {"none": 0.5, "d": 0.505, "modal": 0.6, "parsing": 0.7, "templates": 0.8, "all": 0.9}
    many = weigh(table(means, 3, spread=0.02), checks=[ClaimCheck("c", "", tuple(crowd))])
    last = many["claims"][0]["comparisons"]["main"][0]["found"]
    assert last["p"] == pytest.approx(first["p"], rel=1e-6) and many["comparisons"] == 5


def test_no_verdict_without_seeds_behind_it():
    sure = {"counts": True, "agrees": True, "found": {"decided": True, "seeds": 1}}
    assert verdict_of([sure]) == "trend only"
    assert verdict_of([sure | {"found": {"decided": True, "seeds": 2}}]) == "matched"
    assert verdict_of([sure | {"agrees": False}]) == "not decided"
    assert verdict_of([]) == ""


def test_every_finding_of_the_paper_is_weighed():
    findings = {key for key, claim in paper.CLAIMS.items() if claim.finding}
    assert {check.claim for check in CHECKS} - {""} == findings
    assert len({check.key for check in CHECKS}) == len(CHECKS)
    for check in CHECKS:
        assert check.text and bool(check.reason) == bool(check.needs)
        assert check.comparisons or check.reason or check.key == "ratio_control"
        for part in check.comparisons:
            PLANS[part.table].picked([part.row, part.against])
    systems = {row.system for row in paper.TABLES["2"].rows} - {"mask/ours"}
    compared = {
        part.against for check in CHECKS if check.claim == "masks_ahead" for part in check.comparisons
    }
    assert {f"mask/{key}" for key in compared} == systems
    painters = {row.system for row in paper.TABLES["3"].rows} - {"content/ours"}
    compared = {p.against for check in CHECKS if check.claim == "content_ahead" for p in check.comparisons}
    assert {f"content/{key}" for key in compared} == painters


def test_like_is_compared_with_like():
    for check in CHECKS:
        for part in check.comparisons:
            pair = PLANS[part.table].picked([part.row, part.against])
            kinds = {rows_group(row) for row in pair}
            assert len(kinds) == 1, (check.key, part)


def rows_group(row: rows.TableRow) -> str:
    from deocc.tables.configuration import group_of

    return group_of(row, "small")


def test_the_stored_scorecard_is_whole_deterministic_and_in_results_md():
    value = scorecard_json()
    assert {claim["verdicts"]["main"] for claim in value["claims"]} <= set(VERDICTS)
    assert json.loads(json.dumps(value)) == json.loads(json.dumps(scorecard_json()))
    page = scorecard_page(value, comparisons=False)
    assert "claims (1 of them our own question), weighed" in page
    assert page.strip() in (RESULTS.parent.parent / "RESULTS.md").read_text(encoding="utf-8")
    for claim in value["claims"]:
        assert claim["decide"].endswith("."), claim["key"]
        for part in claim["comparisons"].get("main", []):
            assert part["found"] is None or part["agrees"] in (True, False)


def test_the_command_prints_and_saves_it(capsys, tmp_path: Path):
    for words, status in ((["--out", str(tmp_path)], 0), (["--train", "--people", "data/people-mini"], 2)):
        with pytest.raises(SystemExit) as stop:
            cli.main(["table", "scorecard", *words])
        assert stop.value.code == status
    out, err = capsys.readouterr()
    assert out.startswith("# Reproduction scorecard, preset small") and "## Every comparison" in out
    assert (tmp_path / "scorecard.md").read_text() in out and "train their rows by number" in err


def test_seeds_alone_give_welchs_interval():
    found = compare_seeds([3.0, 4.0, 5.0], [1.0, 2.0, 3.0])
    assert found.value == 2 and found.low < 2 < found.high and found.people == 0
    reach = 2.776 * np.sqrt(2 / 3)  # Student's quantile of 4 degrees of freedom
    assert found.high - 2 == pytest.approx(reach, rel=1e-3)
    alone = compare_seeds([3.0], [1.0, 2.0])
    assert alone.value == 1.5 and alone.low is None and alone.p is None and alone.seeds == 1
