"""The campaign at preset tiny: rates, seeds, curves; it resumes, and the tables print what it makes."""

import csv
import runpy
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from deocc.errors import DeoccError
from deocc.io import read_json, write_json
from deocc.paths import PEOPLE_MINI
from deocc.tables import runs as table_runs
from deocc.tables.campaign import Campaign, _best
from deocc.tables.collection import collect
from deocc.tables.configuration import configure
from deocc.tables.curves import curve_points, curves_page
from deocc.tables.rates import FILE, Rates, read_rates, scaled
from deocc.tables.report import table_json
from deocc.tables.rows import CURVES, PLANS, TABLE_2, TABLE_4
from deocc.tables.runs import TableMaker, TableOptions
from deocc.tables.stored import read_results
from deocc.training.checkpoints import checkpoints

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def people(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bundled people, with two of them in split val."""
    folder = tmp_path_factory.mktemp("people") / "few"
    shutil.copytree(PEOPLE_MINI, folder)
    with (folder / "people.csv").open() as file:
        rows = list(csv.DictReader(file))
    val = [row for row in rows if row["split"] == "val"][:2]
    with (folder / "people.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows([row for row in rows if row["split"] == "train"] + val)
    return folder


@pytest.fixture(scope="module")
def campaign(people: Path, tmp_path_factory: pytest.TempPathFactory) -> Campaign:
    """Two systems of table 2 and a control; 48 images a row, two rates, two seeds, two points."""
    folder = tmp_path_factory.mktemp("campaign")
    plan = replace(TABLE_2, rows=TABLE_2.picked(["hull", "pix2pix", "ours_plain"]))
    options = TableOptions(
        preset="tiny", people=(people,), images=48, runs=folder / "runs", results=folder / "results",
        threads=1, device="cpu",
    )  # fmt: skip
    return Campaign(
        options, seeds=(0, 1), factors=(1 / 3, 1.0), points=(16, 32), plans=(plan,),
        curves=(("2", ("ours_plain", "pix2pix")),), patience=0.1,
    )  # fmt: skip


def test_the_whole_campaign_runs_resumes_and_fills_the_table(campaign, monkeypatch):
    assert campaign.left()["rates"] == 4 and campaign.left()["curves"] == 4
    campaign.run()
    assert campaign.left() == {"rates": 0, "seeds": 0, "curves": 0}
    results = read_results([campaign.options.results])
    sets = [(r["kind"], r["cases"]["set"]) for r in results if not r["configuration"].schedule]
    assert sorted(sets) == sorted(
        [("control", "synthetic"), ("control", "natural")]
        + 4 * [("trained", "synthetic"), ("trained", "natural")]
    )
    rates = read_rates(campaign.options.results, "tiny")
    value = read_json(campaign.options.results / FILE)["presets"]["tiny"]
    assert set(value["rows"]) == {"mask/pix2pix", "mask/ours_plain"} and value["images"] == 16
    for key, row in value["rows"].items():
        assert row["chosen"] == max(row["tried"], key=lambda t: t["score"])["lr"] == rates.chosen[key]
    table = collect(campaign.plans[0], "tiny", results, rates=rates)
    assert not table.notes
    rows = {row["key"]: row for row in table_json(table)["given"]["initial"]}
    assert rows["pix2pix"]["seeds"] == 2 and rows["pix2pix"]["metrics"]["invisible_iou"]["std"] is not None
    assert rows["pix2pix"]["natural"]["n"] == 6 and rows["hull"]["natural"]["seeds"] == 1

    def refuse(*args, **kwargs):
        raise AssertionError("trained again")

    monkeypatch.setattr(table_runs, "train_system", refuse)
    campaign.run()


def test_a_fresh_copy_with_the_rates_searches_nothing_again(campaign, tmp_path):
    shutil.copytree(campaign.options.results, tmp_path / "results")
    options = replace(campaign.options, runs=tmp_path / "runs", results=tmp_path / "results")
    fresh = replace(campaign, options=options)
    assert fresh.left() == {"rates": 0, "seeds": 0, "curves": 0}
    assert replace(fresh, options=replace(options, precision="bf16")).left()["rates"] == 0
    assert replace(fresh, options=replace(options, images=96)).left()["rates"] == 4
    before = read_json(tmp_path / "results" / FILE)
    fresh.search()
    assert read_json(tmp_path / "results" / FILE) == before


def test_a_search_of_some_tables_keeps_the_rates_of_the_others(campaign):
    path = campaign.options.results / FILE
    found = read_json(path)
    other = {"chosen": 0.5, "protocol": 0.5, "tried": []}
    for images, kept in ((16, True), (15, False)):  # a third of 48 images; another budget
        preset = {**found["presets"]["tiny"], "images": images, "rows": {"content/other": other}}
        write_json(path, {**found, "presets": {"tiny": preset, "small": preset}})
        campaign.search()
        presets = read_json(path)["presets"]
        assert ("content/other" in presets["tiny"]["rows"]) == kept
        assert presets["tiny"]["rows"].items() >= found["presets"]["tiny"]["rows"].items()
        assert presets["small"] == preset
    write_json(path, found)


def test_curves_go_on_in_one_folder_and_are_printed_by_kind(campaign):
    results = read_results([campaign.options.results])
    points = curve_points(campaign.plans[0], "tiny", results)
    assert {key: sorted(found) for key, found in points.items()} == {
        "pix2pix": [16, 32], "ours_plain": [16, 32]
    }  # fmt: skip
    text = curves_page(campaign.plans[0], "tiny", results)
    assert "16 images" in text and "32 images" in text and "*from random weights*" in text
    line = next(line for line in text.splitlines() if line.startswith("| Pix2Pix"))
    assert line.count(";") == 2  # a difference at each budget
    configuration = points["pix2pix"][32]["configuration"]
    folder = TableMaker(campaign.plans[0], campaign.options).folder(configuration)
    assert {p.name for p in folder.glob("weights-*")} == {"weights-16.safetensors", "weights-32.safetensors"}
    assert len(checkpoints(folder)) == 1  # the last one: a later metric needs no training


@pytest.mark.parametrize("points", [(32, 16), (16, 16), (0, 16)])
def test_points_ascend(campaign, points):
    with pytest.raises(DeoccError, match="expected ascending numbers of images, got"):
        replace(campaign, points=points)


def test_the_tool_takes_points_of_its_own(campaign, tmp_path, monkeypatch, capsys):
    people = str(campaign.options.people[0])
    words = ["--preset", "tiny", "--images", "48", "--tables", "2", "--left"]
    folders = ["--runs", str(tmp_path / "runs"), "--results", str(tmp_path / "results")]
    monkeypatch.setattr("sys.argv", ["campaign.py", people, *words, *folders, "--points", "10", "50", "200"])
    runpy.run_path("tools/campaign.py", run_name="__main__")
    assert f"curves: {3 * len(CURVES['2'])}" in capsys.readouterr().out


def test_a_point_that_the_run_has_passed_is_not_made_from_later_weights(campaign, tmp_path):
    options = replace(campaign.options, images=16, constant=True, results=tmp_path)
    shutil.copy(campaign.options.results / FILE, tmp_path / FILE)
    maker = TableMaker(campaign.plans[0], options)
    with pytest.raises(DeoccError, match="has trained 4 steps, 2 were wanted; remove the folder"):
        maker.make(TABLE_2.picked(["pix2pix"]))
    assert not list(tmp_path.glob("mask-*"))


def test_rates_follow_the_search_and_ablations_follow_their_system(tmp_path):
    rows = {"mask/ours": {"chosen": 0.5}, "mask/ours_plain": {"chosen": 0.25}}
    value = {"schema": "deocc.lr-search/1", "presets": {"small": {"rows": rows}}}
    write_json(tmp_path / FILE, value)
    rates = read_rates(tmp_path, "small")
    plain, ours = TABLE_2.picked(["ours_plain", "ours"])
    assert rates.of(ours) == 0.5 and rates.of(plain) == 0.25
    assert {rates.of(row) for row in TABLE_4.rows} == {0.5}
    assert rates.of(TABLE_2.picked(["segan"])[0]) == 2e-3  # the protocol's
    assert read_rates(tmp_path, "tiny") == Rates("tiny") and read_rates(tmp_path / "no", "small").chosen == {}
    assert configure(ours, "small", 64, 0, "d", lr=Rates("small").of(ours)).lr is None
    assert scaled(2e-3, 1 / 3) == 6.67e-4 and scaled(0.1234567, 1) == 0.1234567
    write_json(tmp_path / FILE, value | {"presets": {"small": {"rows": {"mask/ours": {}}}}})
    with pytest.raises(DeoccError, match=f"{FILE}: no result of a search"):
        read_rates(tmp_path, "small")


def test_of_equal_scores_the_protocols_rate_wins():
    trials = [{"factor": f, "lr": f, "score": s} for f, s in ((1 / 3, 0.5), (1.0, 0.5), (3.0, 0.4))]
    assert _best(trials) == 1.0
    assert _best([*trials, {"factor": 9.0, "lr": 9.0, "score": 0.6}]) == 9.0


def test_curves_name_rows_of_their_tables():
    for number, keys in CURVES.items():
        assert all(row.kind == "trained" for row in PLANS[number].picked(keys))
