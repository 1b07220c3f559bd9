"""`deocc table`: rows as data, hashes that name results, training once, going on after Ctrl-C, printing."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from deocc import cli, paper, table_runs, training
from deocc.baselines import INPAINTERS
from deocc.errors import DeoccError
from deocc.experiments import SYSTEMS, get_preset, preset_of
from deocc.io import read_json, write_json
from deocc.models.content_recovery import ATTENTIONS
from deocc.occlusion import make_cases, write_case
from deocc.paths import PEOPLE_MINI, WEIGHTS
from deocc.people import PeopleFolder
from deocc.pipeline import Deoccluder
from deocc.table_report import (
    Setup,
    cell,
    collect,
    format_report,
    paired,
    read_results,
    summary,
    table_json,
)
from deocc.table_rows import (
    PLANS,
    TABLE_2,
    TABLE_3,
    TABLE_4,
    TABLE_5,
    TABLE_6,
    TablePlan,
    TableRow,
    config_hash,
    get_plan,
    people_digest,
    row_changes,
    run_config,
    setting_differences,
)
from deocc.table_runs import TableMaker, TableOptions, _claimed, fixed_cases
from deocc.texture import GAIN

IMAGES = 64


class Ran:
    """What a command left."""

    def __init__(self, status: int, out: str, err: str) -> None:
        self.status, self.out, self.err = status, out, err


@pytest.fixture
def deocc(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Callable[..., Ran]:
    """Runs a command in this process."""
    monkeypatch.setenv("DEOCC_QUIET", "1")

    def run(*words: object) -> Ran:
        capsys.readouterr()
        with pytest.raises(SystemExit) as stop:
            cli.main([str(word) for word in words])
        return Ran(int(stop.value.code or 0), *capsys.readouterr())

    return run


@pytest.fixture(scope="module")
def cases(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six cases of three bundled validation people."""
    path = tmp_path_factory.mktemp("data") / "cases"
    people = PeopleFolder(PEOPLE_MINI, "val")
    for case in make_cases(people[:3], people.occluders("val"), 2, (0.1, 0.6)):
        write_case(path, case)
    return path


# ---------------------------------------------------------------------------------------- rows and hashes


def test_table_2_has_every_system_of_the_paper_and_the_controls():
    published = {row.published for row in TABLE_2.rows if row.published}
    assert published == {row.name for row in paper.TABLES["2"].rows}
    for row in TABLE_2.rows:
        if row.published:
            assert {r.name: r.system for r in paper.TABLES["2"].rows}[row.published] == row.system
    assert {"initial", "visible", "mean", "hull", "template"} <= {r.key for r in TABLE_2.rows}
    assert all(row.system in SYSTEMS for row in TABLE_2.rows if row.kind == "trained")


def test_table_4_rows_switch_what_the_paper_ticks():
    ticks = {row.name: row.settings for row in paper.TABLES["4"].rows}
    for row in TABLE_4.rows:
        settings = preset_of(row.system, "small", dict(row.changes)).mask.settings
        found = {
            "discriminator": settings.adversary.weight > 0,
            "modal": settings.modal,
            "parsing": settings.parsing,
            "templates": settings.templates > 0,
        }
        assert found == dict(ticks[row.published])


def test_table_4_rows_differ_in_nothing_else():
    configs = [run_config(row, "small", 10_000, 0, "d") for row in TABLE_4.rows]
    switched = {"settings.adversary.weight", "settings.modal", "settings.parsing", "settings.templates"}
    for config in configs:
        assert {w.split(" ")[0] for w in setting_differences(configs[-1], config)} <= switched
    assert len({config_hash(config) for config in configs}) == 6


def test_all_rows_have_the_same_budget_cases_and_schedule():
    for task in ("masks", "pixels"):
        plans = [plan for plan in PLANS.values() if plan.task == task]
        trained = [row for plan in plans for row in plan.rows if row.kind == "trained"]
        configs = [run_config(row, "small", 10_000, 0, "d") for row in trained]
        assert all(c["training"] == configs[0]["training"] and c["mix"] == configs[0]["mix"] for c in configs)
        assert configs[0]["training"]["steps"] == 625 and configs[0]["images"] == 10_000
        assert {c["settings"].get("predicted") for c in configs} == {None if task == "masks" else 0.5}


def test_ours_is_the_same_run_in_both_tables():
    ours = next(row for row in TABLE_2.rows if row.key == "ours")
    everything = next(row for row in TABLE_4.rows if row.key == "all")
    one, two = (run_config(row, "tiny", 64, 3, "d") for row in (ours, everything))
    assert config_hash(one) == config_hash(two)


def test_table_3_has_every_system_of_the_paper_and_the_painters_that_learn_nothing():
    published = {row.published: row.system for row in TABLE_3.rows if row.published}
    assert published == {row.name: row.system for row in paper.TABLES["3"].rows}
    assert {row.key for row in TABLE_3.rows if row.kind == "control"} == set(INPAINTERS)
    assert all(row.system in SYSTEMS for row in TABLE_3.rows if row.kind == "trained")


def test_table_5_varies_alpha_and_nothing_else():
    configs = [run_config(row, "small", 10_000, 0, "d") for row in TABLE_5.rows]
    wanted = [dict(row.settings)["alpha"] for row in paper.TABLES["5"].rows]
    assert [config["settings"]["alpha"] for config in configs] == wanted
    for config in configs:
        assert {w.split(" ")[0] for w in setting_differences(configs[0], config)} <= {"settings.alpha"}


def test_table_6_rows_switch_what_the_paper_ticks():
    ticks = {row.name: dict(row.settings) for row in paper.TABLES["6"].rows}
    for row in TABLE_6.rows:
        settings = preset_of(row.system, "small", dict(row.changes)).content.settings
        options = ATTENTIONS[settings.attention]
        found = {
            "background": settings.alpha > 0,
            "body": options is not None and options.get("body", True),
            "spatial": options is not None and options.get("spatial", True),
        }
        if found["body"] and found["spatial"]:
            found["fusion"] = settings.attention.replace("fusion", "concat")
        assert found == ticks[row.published]


def test_ours_is_the_same_run_in_tables_3_5_and_6():
    rows = [(TABLE_3, "ours"), (TABLE_5, "a0.3"), (TABLE_6, "ours")]
    picked = [next(row for row in plan.rows if row.key == key) for plan, key in rows]
    assert len({config_hash(run_config(row, "tiny", 64, 3, "d", "s")) for row in picked}) == 1
    assert all(row.changes == () for row in picked)


def test_a_hash_knows_what_changes_results_and_ignores_what_does_not():
    row = TABLE_4.rows[-1]
    base = config_hash(run_config(row, "tiny", 64, 0, "d"))
    assert base == config_hash(run_config(row, "tiny", 64, 0, "d"))
    others = [
        run_config(row, "tiny", 64, 1, "d"),
        run_config(row, "tiny", 128, 0, "d"),
        run_config(row, "small", 64, 0, "d"),
        run_config(row, "tiny", 64, 0, "e"),
        run_config(TABLE_4.rows[0], "tiny", 64, 0, "d"),
        run_config(replace(row, changes=(("mask.train.lr", 1e-4),)), "tiny", 64, 0, "d"),
        run_config(replace(row, changes=(("mask.train.ema_decay", 0.5),)), "tiny", 64, 0, "d"),
    ]
    assert len({base, *map(config_hash, others)}) == len(others) + 1
    for key, value in (("log_every", 3), ("workers", 1), ("checkpoint_every", 7)):
        same = replace(row, changes=((f"mask.train.{key}", value),))
        assert config_hash(run_config(same, "tiny", 64, 0, "d")) == base


def test_a_new_version_of_a_system_is_a_new_result(monkeypatch):
    row = TABLE_2.picked(["segan"])[0]
    before = config_hash(run_config(row, "tiny", 64, 0, "d"))
    monkeypatch.setitem(SYSTEMS, "mask/segan", replace(SYSTEMS["mask/segan"], version=2))
    assert config_hash(run_config(row, "tiny", 64, 0, "d")) != before


def test_a_short_run_has_a_short_warm_up_and_meets_its_adversary():
    changes = row_changes(TABLE_4.rows[-1], "small", 1600)
    chosen = get_preset("small", changes).mask
    assert chosen.train.steps == 100 and chosen.train.warmup_steps == 10
    assert chosen.settings.adversary.start == 25
    long = get_preset("small", row_changes(TABLE_4.rows[-1], "small", 1_000_000)).mask
    assert long.settings.adversary == get_preset("small").mask.settings.adversary


def test_people_are_named_by_their_content(tmp_path):
    shutil.copytree(PEOPLE_MINI, tmp_path / "copy")
    first = people_digest([PEOPLE_MINI])
    assert first == people_digest([tmp_path / "copy"])
    (tmp_path / "copy" / "notes.txt").write_text("not a part of a people folder")
    assert first == people_digest([tmp_path / "copy"])
    assert first != people_digest([PEOPLE_MINI, tmp_path / "copy"])
    next((tmp_path / "copy" / "masks").iterdir()).unlink()
    assert first != people_digest([tmp_path / "copy"])
    with pytest.raises(DeoccError, match="people.csv is missing"):
        people_digest([tmp_path])


def test_unknown_tables_and_rows_are_told():
    with pytest.raises(DeoccError, match="table '7'.*choose from 2, 3, 4, 5, 6"):
        get_plan("7")
    with pytest.raises(DeoccError, match="no row 'unet'.*maskrcnn"):
        TABLE_2.picked(["unet"])
    assert [row.key for row in TABLE_2.picked(["ours", "hull"])] == ["hull", "ours"]


# ------------------------------------------------------------------------------------ numbers and Markdown


def made_up(row: TableRow, seed: int, ious: list[float], **changes: object) -> dict:
    """A stored result with given invisible IoUs of cases of two people."""
    config = run_config(row, "tiny", IMAGES, seed, "d") if row.kind == "trained" else {"data": "d"}
    value = float(np.mean(ious))
    metric = {"value": value, "low": value - 0.1, "high": value + 0.1, "n": len(ious), "people": 2}
    given = {
        "metrics": {"invisible_iou": metric},
        "frechet": None,
        "per_case": {"person": [i // 2 for i in range(len(ious))], "invisible_iou": ious},
    }
    return {
        "schema": table_runs.RESULT_SCHEMA, "kind": row.kind, "row": row.key, "system": row.system,
        "changes": [list(c) for c in row.changes], "preset": "tiny", "seed": seed, "config": config,
        "cases": {"digest": "c", "count": len(ious), "people": 2, "confidence": "95 %", "name": "x"},
        "people": ["p"], "minutes": 1.0, "parameters": 5, "trained_images": IMAGES, "device": "CPU",
        "hash": config_hash(config), "data": "", "results": {"initial": given, "modal": given},
    } | changes  # fmt: skip


def test_seeds_become_mean_and_standard_deviation():
    row = TABLE_4.rows[0]
    results = [made_up(row, 0, [0.2, 0.4]), made_up(row, 1, [0.4, 0.6])]
    found = summary(results, "modal", "invisible_iou")
    assert found["value"] == pytest.approx(0.4) and found["std"] == pytest.approx(0.2 / np.sqrt(2))
    assert found["low"] == pytest.approx(0.3) and found["seeds"] == 2
    assert summary(results[:1], "modal", "invisible_iou")["std"] is None
    assert summary(results, "modal", "parsing_miou") is None
    assert cell("invisible_iou", found) == "0.400 ± 0.141 [0.300, 0.500]"
    assert cell("invisible_iou", None) == ""


def test_the_precision_of_training_is_said_and_is_no_earlier_configuration():
    row = TABLE_4.rows[0]
    result = made_up(row, 0, [0.2, 0.4], config=run_config(row, "tiny", IMAGES, 0, "d", precision="bf16"))
    assert result["config"]["training"]["mixed_precision"] == "bf16"
    table = collect(TABLE_4, "tiny", [result])
    assert not table.notes and "bfloat16" in format_report(table_json(table), TABLE_4)


def test_systems_are_compared_case_by_case():
    row = TABLE_4.rows[0]
    ours = [made_up(row, 0, [0.5, 0.1, 0.9, 0.3])]
    better = [made_up(row, 0, [0.6, 0.2, 1.0, 0.4])]
    found = paired(better, ours, "modal", "invisible_iou")
    assert found["value"] == pytest.approx(0.1)
    assert found["low"] == pytest.approx(0.1) and found["high"] == pytest.approx(0.1)
    assert paired(better, [], "modal", "invisible_iou") is None


def test_only_results_of_one_setup_share_a_table():
    rows = TABLE_4.rows
    few = [made_up(row, 0, [0.5, 0.5]) for row in rows[:2]]
    longer = made_up(rows[0], 0, [0.9, 0.9])
    longer["config"] = run_config(rows[0], "tiny", 640, 0, "d")
    table = collect(TABLE_4, "tiny", [*few, longer])
    assert table.setup == Setup("d", IMAGES, "c")
    assert [len(table.rows[row.key]) for row in rows] == [1, 1, 0, 0, 0, 0]
    assert any("other setups" in note for note in table.notes)
    chosen = collect(TABLE_4, "tiny", [*few, longer], Setup(images=640))
    assert [len(chosen.rows[row.key]) for row in rows] == [1, 0, 0, 0, 0, 0]
    assert not any(collect(TABLE_4, "small", [*few, longer]).rows.values())


def test_results_of_an_earlier_configuration_are_shown_and_named():
    row = TABLE_4.rows[0]
    old = made_up(row, 0, [0.5, 0.5])
    old["config"]["settings"]["width"] = 4
    table = collect(TABLE_4, "tiny", [old])
    assert len(table.rows["none"]) == 1
    assert any("settings.width 4 -> 8" in note for note in table.notes)
    fresh = made_up(row, 0, [0.7, 0.7])
    table = collect(TABLE_4, "tiny", [fresh, old])
    assert table.rows["none"] == [fresh] and not table.notes


def test_a_table_says_what_was_measured_and_leaves_the_published_cells_empty():
    results = [made_up(row, seed, [0.1 * i, 0.2]) for i, row in enumerate(TABLE_4.rows) for seed in (0, 1)]
    value = table_json(collect(TABLE_4, "tiny", results))
    text = format_report(value, TABLE_4)
    assert "preset tiny" in text and "2 seeds" in text and "64 training images a system" in text
    assert "2 cases of 2 people" in text and "## Given the true visible mask" in text
    lines = [line for line in text.splitlines() if line.startswith("| ")]
    assert lines[0].rstrip(" |").endswith("published")
    assert all(line.split("|")[-2].strip() in ("published", "---------", "") for line in lines)
    row = value["given"]["modal"][0]
    assert set(row["published"]) >= {"amodal_iou"} and not any(row["published"].values())


def test_a_known_published_value_is_printed(monkeypatch):
    printed = paper.TABLES["4"]
    rows = (replace(printed.rows[0], published=(0.1, 0.7, 0.8, 0.5)), *printed.rows[1:])
    monkeypatch.setitem(paper.TABLES, "4", replace(printed, rows=rows))
    value = table_json(collect(TABLE_4, "tiny", [made_up(TABLE_4.rows[0], 0, [0.1, 0.2])]))
    assert "amodal IoU 0.7" in format_report(value, TABLE_4)


def test_a_further_table_slots_in_as_data():
    row = TableRow(
        "a", "alpha = 0", "trained", "content/ours", (("content.settings.alpha", 0.0),), "alpha = 0"
    )
    columns, givens = (("frechet", "FID"),), ("modal",)
    plan = TablePlan("5", "background", "pixels", (row,), columns, givens, "a", "recovered_psnr")
    config = run_config(plan.rows[0], "tiny", 64, 0, "d", "stage1")
    assert config["settings"]["alpha"] == 0 and config["stage1"] == "stage1"
    empty = table_json(collect(plan, "tiny", []))
    assert empty["given"]["modal"][0]["published"] == {"frechet": None}
    assert "Frechet distance (down)" in format_report(empty, plan)


# ----------------------------------------------------------------------------------------------- running


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of the runs and results that the tests below share, in order."""
    return tmp_path_factory.mktemp("tables")


def arguments(store: Path, cases: Path, number: str = "4", images: int = IMAGES) -> list[object]:
    words = ["table", number, "--preset", "tiny", "--images", images, "--cases", cases, "--device", "cpu"]
    return [*words, "--runs", store / "runs", "--out", store / "out", "--threads", 1]


def test_ctrl_c_leaves_a_run_that_goes_on(deocc, store, cases, monkeypatch):
    update, steps = training.update_ema, []

    def interrupted(*args):
        update(*args)
        steps.append(args[-1])
        if len(steps) == 25:
            raise KeyboardInterrupt

    monkeypatch.setattr(training, "update_ema", interrupted)
    only = [*arguments(store, cases, images=240), "--train", "--only", "none"]
    try:
        status = deocc(*only).status
    except KeyboardInterrupt:
        status = 130
    assert status in (1, 130) and not list((store / "out").glob("*.json"))
    assert max(steps) == 24
    ran = deocc(*only)
    assert ran.status == 0, ran.err
    assert steps[25] == 20 and max(steps) == 29 and len(steps) == 35  # went on at the last checkpoint
    assert len(list((store / "out").glob("mask-ours-*.json"))) == 1


def test_missing_rows_are_trained_and_nothing_is_done_twice(deocc, store, cases, monkeypatch):
    ran = deocc(*arguments(store, cases), "--train", "--only", "none", "all")
    assert ran.status == 0, ran.err
    assert "| 6: all" in ran.out and "Table 4" in ran.out and "64 training images" in ran.out
    value = read_json(store / "out" / "table-4-tiny.json")
    rows = {row["key"]: row for row in value["given"]["initial"]}
    for key in ("none", "all"):
        assert rows[key]["images"] == IMAGES and 0 <= rows[key]["metrics"]["amodal_iou"]["value"] <= 1
        assert rows[key]["metrics"]["amodal_iou"]["n"] == 6
    assert rows["modal"]["seeds"] == 0 and not rows["modal"]["metrics"]
    assert rows["all"]["metrics"]["parsing_miou"] and not rows["none"]["metrics"]["parsing_miou"]
    given = value["given"]["modal"]
    assert given[0]["metrics"]["modal_iou"]["value"] == 1  # M_i stands in for M_m
    assert (store / "out" / "table-4-tiny.md").read_text() in ran.out + "\n"

    def refuse(*args, **kwargs):
        raise AssertionError("trained again")

    monkeypatch.setattr(table_runs, "train_system", refuse)
    again = deocc(*arguments(store, cases), "--train", "--only", "none", "all")
    assert again.status == 0 and again.out == ran.out
    printed = deocc("table", 4, "--preset", "tiny", "--images", IMAGES, "--out", store / "out")
    assert printed.status == 0 and "| 6: all" in printed.out


def test_table_2_takes_ours_from_table_4_and_adds_controls(deocc, store, cases):
    words = [*arguments(store, cases, "2"), "--train"]
    ran = deocc(*words, "--only", "initial", "visible", "hull", "template", "ours", "deeplab")
    assert ran.status == 0, ran.err
    rows = {row["key"]: row for row in read_json(store / "out" / "table-2-tiny.json")["given"]["initial"]}
    assert rows["initial"]["metrics"]["invisible_iou"]["value"] == 0
    assert rows["visible"]["metrics"]["modal_iou"]["value"] == 1
    assert (
        rows["visible"]["metrics"]["amodal_iou"]["value"] > rows["initial"]["metrics"]["amodal_iou"]["value"]
    )
    assert "shipped" not in rows and rows["pix2pix"]["seeds"] == 0
    assert rows["deeplab"]["difference"]["low"] <= rows["deeplab"]["difference"]["high"]
    runs = [path.name for path in (store / "runs").iterdir() if path.name.startswith("mask-ours")]
    assert len(runs) == 3  # two of table 4, one of the interrupted run


def test_table_3_trains_stage_1_where_there_are_no_weights_and_paints_by_its_masks(deocc, store, cases):
    before = sorted((store / "runs").glob("mask-ours-*"))
    ran = deocc(*arguments(store, cases, "3"), "--train", "--only", "telea-person", "pcnets", "ours")
    assert ran.status == 0, ran.err
    value = read_json(store / "out" / "table-3-tiny.json")
    assert "FD-Lite0" in ran.out and "the true masks" in ran.out and "end to end" in ran.out
    for given, rows in value["given"].items():
        found = {row["key"]: row for row in rows}
        assert found["telea-person"]["kind"] == "control" and found["deepfill"]["seeds"] == 0
        for key in ("telea-person", "pcnets", "ours"):
            metrics = found[key]["metrics"]
            assert 3 < metrics["recovered_psnr"]["value"] < 40, (given, key)
            assert metrics["frechet"]["value"] > 0 and 0 < metrics["person_perceptual"]["value"] < 4
        assert found["pcnets"]["images"] == IMAGES and found["pcnets"]["difference"]
    again = deocc(*arguments(store, cases, "6"))
    assert again.status == 0 and "| ours" in again.out  # table 6's "ours" is table 3's
    assert sorted((store / "runs").glob("mask-ours-*")) == before  # stage 1 was table 4's "all"


def test_results_hold_no_names_of_people_and_no_paths(store):
    files = [p for p in (store / "out").glob("*.json") if not p.name.startswith("table")]
    assert files
    for path in files:
        text = path.read_text()
        assert "rendered_" not in text and str(store) not in text and str(PEOPLE_MINI.parent) not in text
        assert json.loads(text)["cases"]["count"] == 6


def test_other_cases_are_evaluated_without_training(deocc, store, cases, tmp_path):
    fewer = tmp_path / "fewer"
    for path in sorted(cases.iterdir())[:2]:
        shutil.copytree(path, fewer / path.name)
    before = len(list((store / "out").glob("mask-ours-*.json")))
    ran = deocc(*arguments(store, fewer), "--train", "--only", "none")
    assert ran.status == 0 and "2 cases of 1 people" in ran.out
    assert len(list((store / "out").glob("mask-ours-*.json"))) == before + 1
    rows = (store / "runs").glob("mask-ours-*/log.jsonl")
    assert all(max(json.loads(line)["step"] for line in p.read_text().splitlines()) in (8, 30) for p in rows)


def test_a_row_that_another_process_trains_is_left_to_it(store, cases):
    options = TableOptions("tiny", (PEOPLE_MINI,), IMAGES, store / "runs", store / "out", cases, (5,))
    maker = TableMaker(TABLE_4, options)
    row, seed, config = maker.missing(TABLE_4.picked(["none"]))[0]
    with _claimed(store / "runs" / f"mask-ours-{config_hash(config)}") as ours:
        assert ours
        assert maker.make([row]) == ["1: baseline, seed 5: another process is at it"]


def test_cases_are_made_once_from_val(tmp_path):
    first = fixed_cases(PEOPLE_MINI, tmp_path / "cases", per_person=1, limit=2)
    assert len(first) == 2 and {case.person_id for case in first} <= set(PeopleFolder(PEOPLE_MINI, "val").ids)
    written = (first.path / first.ids[0] / "case.json").stat().st_mtime_ns
    assert len(fixed_cases(PEOPLE_MINI, tmp_path / "cases", per_person=3)) == 2
    assert (first.path / first.ids[0] / "case.json").stat().st_mtime_ns == written
    tuned = fixed_cases(PEOPLE_MINI, tmp_path / "tuning", tuning=True, per_person=1, limit=2)
    assert {case.person_id for case in tuned} <= set(PeopleFolder(PEOPLE_MINI, "train").ids)


def test_foreign_files_beside_results_are_passed_over(tmp_path):
    write_json(tmp_path / "other.json", {"schema": "something"})
    write_json(tmp_path / "list.json", [1])
    assert read_results([tmp_path]) == []


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["7"], "table '7'"),
        (["4", "--preset", "tiny"], "no stored result"),
        (["4", "--preset", "small", "--train"], "--people"),
        (["4", "--preset", "tiny", "--train", "--only", "unet"], "no row 'unet'"),
        (["4", "--preset", "tiny", "--train", "--people", "nowhere"], "nowhere"),
        (["4", "--preset", "tiny", "--train", "--cases", "nowhere"], "no such case folder"),
        (["4", "--preset", "tiny", "--images", "0"], "--images"),
        (["4", "--preset", "huge"], "huge"),
    ],
)
def test_bad_input_is_one_line(deocc, tmp_path, words, message):
    ran = deocc("table", *words, "--out", tmp_path / "out", "--runs", tmp_path / "runs")
    lines = [line for line in ran.err.splitlines() if line.startswith("deocc: error: ")]
    assert ran.status == 2 and len(lines) == 1 and message in lines[0], ran.err
    assert "Traceback" not in ran.err and not (tmp_path / "out").exists()


def test_shipped_rows_name_what_they_depend_on(store, cases):
    options = TableOptions("small", (PEOPLE_MINI,), IMAGES, store / "runs", store / "out", cases, (0,))
    rows = [next(row for row in plan.rows if row.kind == "shipped") for plan in (TABLE_2, TABLE_3)]
    masks = TableMaker(TABLE_2, options).config(rows[0], 0)
    pixels = TableMaker(TABLE_3, options).config(rows[1], 0)
    assert masks["weights"] == table_runs._weights_digest([WEIGHTS / "mask-small.safetensors"])
    both = [WEIGHTS / f"{stage}-small.safetensors" for stage in ("mask", "content")]
    assert pixels["weights"] == table_runs._weights_digest(both)
    assert pixels["texture"] == GAIN and "texture" not in masks


def test_shipped_weights_are_asked_in_frames_of_their_own_size(store, cases, monkeypatch):
    options = TableOptions("small", (PEOPLE_MINI,), IMAGES, store / "runs", store / "out", cases, (0,))
    maker, asked = TableMaker(TABLE_3, options), {}
    monkeypatch.setattr(table_runs, "evaluate_system", lambda *_, **told: asked.update(told))
    monkeypatch.setattr(table_runs, "_compact", lambda result: result)
    model = Deoccluder.from_pretrained("small", "cpu")
    maker._evaluate(model, "modal")
    assert asked["size"] == model.size != get_preset("small").size
    maker._evaluate(INPAINTERS["telea"](), "modal")
    assert asked["size"] == get_preset("small").size
