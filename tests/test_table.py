"""`deocc table`: rows as data, hashes that name results, training once, going on after Ctrl-C, printing."""

import hashlib
import json
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from pathlib import Path

import numpy as np
import pytest

from deocc import paper
from deocc.baselines import INPAINTERS, ConvexHull
from deocc.cli import main as cli
from deocc.errors import DeoccError
from deocc.experiments.presets import PRESETS, get_preset
from deocc.experiments.registry import SYSTEMS, preset_of
from deocc.inference.deoccluder import Deoccluder
from deocc.io import read_json, write_json
from deocc.models.content_recovery import ATTENTIONS
from deocc.occlusion import make_cases, write_case
from deocc.paths import DATA, PEOPLE_MINI, RESULTS, WEIGHTS
from deocc.people import PeopleFolder
from deocc.tables import protocol
from deocc.tables import runs as table_runs
from deocc.tables.cases import fixed_cases
from deocc.tables.collection import Setup, collect
from deocc.tables.configuration import (
    Configuration,
    configure,
    differences,
    group_of,
    people_digest,
    resolve,
    result_name,
    row_name,
    schedule,
    shipped_configuration,
    training_changes,
    weights_digest,
)
from deocc.tables.make import make_table
from deocc.tables.measuring import claimed
from deocc.tables.page import cell, format_report
from deocc.tables.protocol import PROTOCOL, protocol_path, protocol_preset, protocol_values
from deocc.tables.rates import read_rates
from deocc.tables.report import difference, summary, table_json
from deocc.tables.results import COMMAND, results_page, verdicts
from deocc.tables.rows import (
    PLANS,
    TABLE_2,
    TABLE_3,
    TABLE_4,
    TABLE_5,
    TABLE_6,
    TablePlan,
    TableRow,
    get_plan,
)
from deocc.tables.runs import TableMaker, TableOptions
from deocc.tables.stored import RESULT_SCHEMA, read_result, read_results
from deocc.training import loop as training

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
    configurations = [configure(row, "small", 10_000, 0, "d") for row in TABLE_4.rows]
    switched = {"settings.adversary.weight", "settings.modal", "settings.parsing", "settings.templates"}
    for c in configurations:
        assert {w.split(" ")[0] for w in differences(configurations[-1], c)} <= switched
    assert len({c.digest for c in configurations}) == 6


def test_all_rows_have_the_same_budget_cases_and_schedule():
    for task, stage in (("masks", "mask"), ("pixels", "content")):
        plans = [plan for plan in PLANS.values() if plan.task == task]
        trained = [row for plan in plans for row in plan.rows if row.kind == "trained"]
        stages = [getattr(resolve(configure(row, "small", 10_000, 0, "d")), stage) for row in trained]
        assert all(s.train == stages[0].train and s.mix == stages[0].mix for s in stages)
        assert stages[0].train.steps == 625
        shares = {getattr(s.settings, "predicted", None) for s in stages}
        assert shares == {None if task == "masks" else 0.5}


def test_ours_is_the_same_run_in_both_tables():
    ours = next(row for row in TABLE_2.rows if row.key == "ours")
    everything = next(row for row in TABLE_4.rows if row.key == "all")
    one, two = (configure(row, "tiny", 64, 3, "d") for row in (ours, everything))
    assert one.digest == two.digest and one.changes == ()


def test_table_3_has_every_system_of_the_paper_and_the_painters_that_learn_nothing():
    published = {row.published: row.system for row in TABLE_3.rows if row.published}
    assert published == {row.name: row.system for row in paper.TABLES["3"].rows}
    assert {row.key for row in TABLE_3.rows if row.kind == "control"} == set(INPAINTERS)
    assert all(row.system in SYSTEMS for row in TABLE_3.rows if row.kind == "trained")


def test_table_5_varies_alpha_and_nothing_else():
    configurations = [configure(row, "small", 10_000, 0, "d") for row in TABLE_5.rows]
    wanted = [dict(row.settings)["alpha"] for row in paper.TABLES["5"].rows]
    assert [resolve(c).content.settings.alpha for c in configurations] == wanted
    for c in configurations:
        assert {w.split(" ")[0] for w in differences(configurations[0], c)} <= {"settings.alpha"}


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
    assert len({configure(row, "tiny", 64, 3, "d", "s").digest for row in picked}) == 1
    assert all(row.changes == () for row in picked)


def test_a_digest_knows_what_changes_results_and_ignores_what_does_not():
    row = TABLE_4.rows[-1]
    base = configure(row, "tiny", 64, 0, "d").digest
    assert base == configure(row, "tiny", 64, 0, "d").digest
    others = [
        configure(row, "tiny", 64, 1, "d"),
        configure(row, "tiny", 128, 0, "d"),
        configure(row, "small", 64, 0, "d"),
        configure(row, "tiny", 64, 0, "e"),
        configure(TABLE_4.rows[0], "tiny", 64, 0, "d"),
        configure(row, "tiny", 64, 0, "d", lr=1e-4),
        configure(row, "tiny", 64, 0, "d", precision="bf16"),
        configure(row, "tiny", 64, 0, "d", constant=True),
        configure(replace(row, changes=(("mask.train.lr", 1e-4),)), "tiny", 64, 0, "d"),
        configure(replace(row, changes=(("mask.train.ema_decay", 0.5),)), "tiny", 64, 0, "d"),
    ]
    assert len({base, *(c.digest for c in others)}) == len(others) + 1
    for key, value in (("log_every", 3), ("workers", 1), ("checkpoint_every", 7)):
        same = replace(row, changes=((f"mask.train.{key}", value),))
        assert configure(same, "tiny", 64, 0, "d").digest == base


def test_a_new_version_of_a_system_is_a_new_result(monkeypatch):
    row = TABLE_2.picked(["segan"])[0]
    before = configure(row, "tiny", 64, 0, "d").digest
    monkeypatch.setitem(SYSTEMS, "mask/segan", replace(SYSTEMS["mask/segan"], version=2))
    assert configure(row, "tiny", 64, 0, "d").digest != before


def test_a_configuration_survives_json_and_a_new_field_voids_nothing(tmp_path):
    made = configure(TABLE_4.rows[0], "small", 10_000, 1, "d", precision="bf16", lr=1e-4)
    again = Configuration.from_json(json.loads(json.dumps(made.to_json())))
    assert again == made and again.digest == made.digest

    @dataclass(frozen=True)
    class Younger(Configuration):
        warmth: float = 0.0

    values = {f.name: getattr(made, f.name) for f in fields(made)}
    assert Younger(**values).digest == made.digest != Younger(**values, warmth=1.0).digest
    with pytest.raises(DeoccError, match="unknown field 'mood'"):
        Configuration.from_json(made.to_json() | {"mood": 1})


def test_a_short_run_has_a_short_warm_up_and_meets_its_adversary():
    chosen = resolve(configure(TABLE_4.rows[-1], "small", 1600, 0, "d")).mask
    assert chosen.train.steps == 100 and chosen.train.warmup_steps == 10
    assert chosen.settings.adversary.start == 25
    long = resolve(configure(TABLE_4.rows[-1], "small", 1_000_000, 0, "d")).mask
    assert long.settings.adversary == protocol_preset("mask/ours", "small").mask.settings.adversary


def test_at_a_constant_rate_a_longer_run_goes_on_from_a_shorter_one():
    preset = protocol_preset("mask/ours", "small")
    short, long = (schedule(preset, "mask", images, constant=True) for images in (2_500, 40_000))
    free = {f"mask.train.{key}" for key in ("steps", "checkpoint_every", "log_every")}
    assert {k for k in long if short[k] != long[k]} == free
    assert long["mask.train.schedule"] == "constant" and long["mask.train.steps"] == 2_500


# ----------------------------------------------------------------------------------------- frozen protocol


def test_no_stored_row_is_orphaned():
    """Every trained row of seed 0 has its result under the name that its configuration has today.

    The rate may still be the protocol's, where a search has found another since.
    """
    data, rates = "3256613a5b66fe37", read_rates(RESULTS / "tables", "small")
    for plan in PLANS.values():
        stage1 = "" if plan.task == "masks" else "c57380cc7336e92e"
        for row in plan.rows:
            if row.kind == "trained":
                known = {"data": data, "stage1": stage1}
                ways = [{"lr": lr, "precision": p} for lr in (rates.of(row), None) for p in ("no", "bf16")]
                made = [configure(row, "small", 10_000, 0, **known, **way) for way in ways]
                names = [result_name(one, "1db0b92bb6eca7a1") for one in made]
                found = any((RESULTS / "tables" / name).is_file() for name in names)
                assert found, f"table {plan.number}, {row.key}: freeze a new protocol, or undo"


def test_rows_do_not_follow_when_a_preset_changes(monkeypatch):
    row = TABLE_2.picked(["ours"])[0]
    before = configure(row, "small", 10_000, 0, "d")
    wanted = resolve(before)
    changes = {"mask.settings.width": 32, "mask.mix.neighbour": 0.5, "mask.train.lr": 1e-5, "size": 192}
    monkeypatch.setitem(PRESETS, "small", get_preset("small", changes))
    assert configure(row, "small", 10_000, 0, "d") == before and resolve(before) == wanted
    trained = training_changes(before)
    assert [trained[k] for k in changes] == [24, 0.0, 2e-3, 128]
    assert get_preset("small", trained).mask == wanted.mask  # what is trained is what the digest names


def test_a_field_younger_than_the_protocol_counts_where_it_is_on(monkeypatch):
    row = TABLE_2.picked(["ours"])[0]
    before = configure(row, "small", 10_000, 0, "d")
    del protocol.pinned()["small"]["mask"]["mix"]["neighbour"]
    try:
        assert configure(row, "small", 10_000, 0, "d") == before  # off: nothing is voided
        monkeypatch.setitem(PRESETS, "small", get_preset("small", {"mask.mix.neighbour": 0.5}))
        after = configure(row, "small", 10_000, 0, "d")
        assert dict(after.changes) == {"mix.neighbour": 0.5} and after.digest != before.digest
        assert resolve(after).mask.mix.neighbour == 0.5
    finally:
        protocol.pinned.cache_clear()


def test_a_younger_field_whose_default_is_not_zero_is_off_at_its_default(monkeypatch):
    row = TABLE_3.picked(["ours"])[0]
    assert "own_share" not in protocol.pinned()["small"]["content"]["settings"]["content/ours"]
    before = configure(row, "small", 10_000, 0, "d")
    assert resolve(before).content.settings.own_share == 1 and before.changes == ()
    monkeypatch.setitem(PRESETS, "small", get_preset("small", {"content.settings.own_share": 0.0}))
    after = configure(row, "small", 10_000, 0, "d")
    assert dict(after.changes) == {"settings.own_share": 0.0} and after.digest != before.digest


def test_what_is_trained_is_what_the_digest_names():
    for system in SYSTEMS:
        row = TableRow("x", "x", "trained", system)
        c = configure(row, "small", 10_000, 0, "d", lr=1e-4)
        stage = SYSTEMS[system].stage
        assert getattr(preset_of(system, "small", training_changes(c)), stage) == getattr(resolve(c), stage)


def test_a_pinned_field_that_is_gone_asks_for_a_new_protocol(monkeypatch):
    protocol.pinned()["tiny"]["mask"]["train"]["charm"] = 1
    try:
        with pytest.raises(DeoccError, match="TrainConfig.charm, which is gone.*freeze_protocol"):
            protocol_preset("mask/ours", "tiny")
    finally:
        protocol.pinned.cache_clear()


def test_protocol_1_pins_what_the_presets_were():
    """Fields may join the presets; no pinned value changes without a new protocol."""
    assert PROTOCOL == 1
    text = protocol_path(1).read_bytes()
    assert hashlib.sha256(text).hexdigest()[:16] == "df5dbfd99f1bdea2"
    now = json.loads(json.dumps(protocol_values()))
    assert set(now) == set(json.loads(text)["presets"])


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
    with pytest.raises(DeoccError, match="table '7'.*choose from 1, 2, 3, 4, 5, 6, scorecard, or all"):
        get_plan("7")
    with pytest.raises(DeoccError, match="no row 'unet'.*maskrcnn"):
        TABLE_2.picked(["unet"])
    assert [row.key for row in TABLE_2.picked(["ours", "hull"])] == ["hull", "ours"]


# ------------------------------------------------------------------------------------ numbers and Markdown


def made_up(row: TableRow, seed: int, ious: list[float], images: int = IMAGES, **options: object) -> dict:
    """A stored result with given invisible IoUs of cases of two people."""
    if row.kind == "trained":
        configuration = configure(row, "tiny", images, seed, "d", **options)
    else:
        configuration = Configuration(f"{row.kind}/{row.key}", "tiny", data="d")
    value = float(np.mean(ious))
    metric = {"value": value, "low": value - 0.1, "high": value + 0.1, "n": len(ious), "people": 2}
    given = {
        "metrics": {"invisible_iou": metric},
        "frechet": None,
        "per_case": {"person": [i // 2 for i in range(len(ious))], "invisible_iou": ious},
    }
    return {
        "schema": RESULT_SCHEMA, "kind": row.kind, "row": row.key, "seed": seed,
        "changes": [list(c) for c in row.changes], "configuration": configuration,
        "digest": configuration.digest, "evaluation": 1, "made": "2026-11-29T00:00:00+00:00",
        "cases": {"digest": "c", "count": len(ious), "people": 2, "confidence": "95 %", "name": "x"},
        "people": ["p"], "minutes": 1.0, "parameters": 5, "trained_images": images, "device": "CPU",
        "data": "", "results": {"initial": given, "modal": given},
    }  # fmt: skip


def stored(folder: Path, result: dict, **changes: object) -> Path:
    """Writes a made-up result as the tables do."""
    value = result | {"configuration": result["configuration"].to_json()} | changes
    return write_json(folder / result_name(result["configuration"], "c"), value)


def test_a_stored_result_is_read_as_it_was_written(tmp_path):
    result = made_up(TABLE_4.rows[0], 0, [0.2, 0.4], precision="bf16")
    assert read_result(stored(tmp_path, result)) == result
    assert read_results([tmp_path, tmp_path]) == [result]


GIVEN = {"metrics": {}, "frechet": None, "per_case": {"person": []}}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"seed": "0"}, "seed is '0', expected int"),
        ({"results": []}, "results is .*expected dict"),
        ({"minutes": None}, "minutes is None, expected int or float"),
        ({"cases": {"digest": "c", "count": 2}}, "cases.name is missing"),
        ({"results": {"modal": GIVEN | {"per_case": {}}}}, "per_case.person is missing"),
        ({"results": {"modal": GIVEN | {"metrics": {"x": 1}}}}, "modal.metrics.x: expected an object"),
        ({"results": {"modal": GIVEN | {"per_case": {"person": [0, 0], "a": [1, "b"]}}}}, "a: 2 numbers"),
        ({"schema": "deocc.table-run/1"}, "migrate_results"),
    ],
)  # fmt: skip
def test_a_damaged_result_is_one_line_with_the_files_name(tmp_path, deocc, changes, message):
    path = stored(tmp_path, made_up(TABLE_4.rows[0], 0, [0.2, 0.4]), **changes)
    with pytest.raises(DeoccError, match=f"{path.name}: .*{message}"):
        read_results([tmp_path])
    ran = deocc("table", 4, "--preset", "tiny", "--results", tmp_path)
    assert ran.status == 2 and path.name in ran.err and "Traceback" not in ran.err


def test_a_cut_off_result_is_one_line(tmp_path):
    path = stored(tmp_path, made_up(TABLE_4.rows[0], 0, [0.2, 0.4]))
    path.write_text(path.read_text()[:200])
    with pytest.raises(DeoccError, match=f"{path.name}: not readable as JSON"):
        read_results([tmp_path])


def test_a_changed_configuration_cannot_pass_for_a_stored_one(tmp_path):
    result = made_up(TABLE_4.rows[0], 0, [0.2, 0.4])
    other = result["configuration"].to_json() | {"lr": 0.5}
    path = stored(tmp_path, result, configuration=other)
    with pytest.raises(DeoccError, match="another"):
        read_result(path)
    honest = Configuration.from_json(other)
    path = stored(tmp_path, result, configuration=other, digest=honest.digest)
    with pytest.raises(DeoccError, match="another"):  # the name is of the first configuration
        read_result(path)
    moved = path.rename(tmp_path / result_name(honest, "c"))
    assert read_result(moved)["configuration"].lr == 0.5  # now it is a result of its own, and says so
    assert any("lr 0.5 -> null" in n for n in collect(TABLE_4, "tiny", read_results([tmp_path])).notes)


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
    result = made_up(row, 0, [0.2, 0.4], precision="bf16")
    table = collect(TABLE_4, "tiny", [result])
    assert not table.notes and "bfloat16" in format_report(table_json(table), TABLE_4)


def test_systems_are_compared_case_by_case():
    row = TABLE_4.rows[0]
    ours = [made_up(row, 0, [0.5, 0.1, 0.9, 0.3])]
    better = [made_up(row, 0, [0.6, 0.2, 1.0, 0.4])]
    found = difference(better, ours, "modal", "invisible_iou")
    assert found.value == pytest.approx(0.1)
    assert found.low == pytest.approx(0.1) and found.high == pytest.approx(0.1)
    assert difference(better, [], "modal", "invisible_iou") is None
    assert difference(better, [made_up(row, 0, [0.5])], "modal", "invisible_iou") is None  # other cases


def test_cases_of_equal_number_are_not_the_same_cases():
    row = TABLE_4.rows[0]
    ours, other = [made_up(row, 0, [0.5, 0.1, 0.9, 0.3])], made_up(row, 1, [0.5, 0.1, 0.9, 0.3])
    assert difference([other], ours, "modal", "invisible_iou") is not None
    elsewhere = other | {"cases": other["cases"] | {"digest": "another"}}
    assert difference([elsewhere], ours, "modal", "invisible_iou") is None


def painted(row: TableRow, seed: int, psnr: list[float], iou: float) -> dict:
    """A painter's stored result, end to end with masks of a given IoU."""
    found = made_up(row, seed, psnr)
    columns = {"amodal_iou": [iou] * len(psnr), "recovered_psnr": psnr}
    for given in found["results"]:
        part = found["results"][given]
        metrics = {"recovered_psnr": part["metrics"]["invisible_iou"]}
        found["results"][given] = part | {
            "metrics": metrics,
            "per_case": {"person": part["per_case"]["person"], **columns},
        }
    return found


def test_painters_are_compared_only_with_the_same_masks():
    ours, other = TABLE_6.rows[-1], TABLE_6.rows[0]
    first = painted(ours, 0, [10.0, 12.0, 11.0, 13.0], 0.7)
    same, changed = (painted(other, 0, [9.0, 11.5, 10.0, 12.0], iou) for iou in (0.7, 0.71))
    assert difference([same], [first], "initial", "recovered_psnr").value < 0
    assert difference([changed], [first], "initial", "recovered_psnr") is None
    assert not table_json(collect(TABLE_6, "tiny", [first, same]))["notes"]
    notes = table_json(collect(TABLE_6, "tiny", [first, changed]))["notes"]
    assert any("masks of another version" in note for note in notes)


def many(row: TableRow, seed: int, mean: float, preset: str = "small", people: int = 40) -> dict:
    """A stored result of many people."""
    spread = np.random.default_rng(0).normal(0, 0.1, 2 * people)  # the same people for all
    own = np.random.default_rng([seed, *row.key.encode()]).normal(0, 0.01, 2 * people)
    result = made_up(row, seed, list(np.round(mean + spread + own, 4)))
    if row.kind == "trained":
        configuration = configure(row, preset, IMAGES, seed, "d")
        result |= {"configuration": configuration, "digest": configuration.digest}
    return result


def test_rows_are_compared_with_the_reference_of_their_kind_and_decided_after_correction():
    means = {"pix2pix": 0.30, "ours_plain": 0.35, "deeplab": 0.4205, "ours": 0.42}
    rows = TABLE_2.picked(list(means))
    results = [many(row, seed, means[row.key]) for row in rows for seed in (0, 1, 2)]
    value = table_json(collect(TABLE_2, "small", results))
    found = {row["key"]: row for row in value["given"]["initial"]}
    assert {k: r["group"] for k, r in found.items() if k in means} == {
        "pix2pix": "scratch", "ours_plain": "scratch", "deeplab": "imagenet", "ours": "imagenet"
    }  # fmt: skip
    assert found["pix2pix"]["difference"]["against"] == "ours_plain"
    assert found["pix2pix"]["difference"]["decided"] and found["pix2pix"]["difference"]["seeds"] == 3
    assert found["deeplab"]["difference"]["against"] == "ours"
    assert not found["deeplab"]["difference"]["decided"]
    assert "difference" not in found["ours"] and value["comparisons"] == 4
    text = format_report(value, TABLE_2)
    assert "\u25cf" in text and "reference" in text and "3 seeds" in text
    one = table_json(collect(TABLE_2, "small", [r for r in results if r["seed"] == 0]))
    line = next(li for li in format_report(one, TABLE_2).splitlines() if li.startswith("| Pix2Pix"))
    assert "\u25c9" in line  # decided for these weights alone
    assert "From a rough mask, against ours (as the paper's: from scratch): behind: Pix2Pix." in verdicts(
        value, TABLE_2
    )


def test_names_promise_no_trunk_that_a_preset_does_not_give():
    plain, ours = TABLE_2.picked(["ours", "ours_plain"])
    assert [row_name(row, "small") for row in (plain, ours)] == [
        "ours (as the paper's: from scratch)", "ours (ImageNet trunk)"
    ]  # fmt: skip
    assert [group_of(ours, preset) for preset in ("tiny", "small", "paper")] == [
        "scratch",
        "imagenet",
        "scratch",
    ]
    assert "ImageNet" not in row_name(ours, "tiny") + row_name(ours, "paper")
    assert group_of(plain, "small") == "scratch"
    kinds = {row.key: group_of(row, "small") for row in TABLE_2.rows}
    assert [k for k, group in kinds.items() if group == "imagenet"] == [
        "maskrcnn", "deeplab", "transformer", "ours", "ours_mend"
    ]  # fmt: skip
    assert {group_of(row, "small") for row in TABLE_3.rows if row.kind == "trained"} == {"scratch"}


def test_the_papers_real_columns_stand_empty_with_a_reason():
    for plan in (TABLE_2, TABLE_3):
        text = format_report(table_json(collect(plan, "tiny", [made_up(plan.rows[-2], 0, [0.1, 0.2])])), plan)
        assert "Real: L1" in text and '"Real" columns are of 56 cases' in text
    assert "Real" not in format_report(table_json(collect(TABLE_5, "tiny", [])), TABLE_5)


def test_results_md_is_current_and_all_tables_render_in_time():
    """Every table of RESULTS.md from stored results: `deocc table all --preset small --out RESULTS.md`."""
    begun = time.process_time()
    text = results_page("small")
    assert time.process_time() - begun < 60
    assert text == (DATA.parent / "RESULTS.md").read_text(encoding="utf-8"), COMMAND.format(preset="small")
    for number in "123456":
        assert f"## Table {number}: " in text
    assert "## What the bundled weights reach" in text and "figure 5" in text


def test_the_command_renders_results_md_byte_for_byte(deocc, tmp_path):
    ran = deocc("table", "all", "--preset", "small", "--out", tmp_path / "RESULTS.md")
    assert ran.status == 0, ran.err
    assert (tmp_path / "RESULTS.md").read_bytes() == (DATA.parent / "RESULTS.md").read_bytes()


def test_all_tables_come_from_the_folder_and_the_setup_that_are_named(deocc, tmp_path):
    shutil.copytree(RESULTS / "tables", tmp_path / "mine")
    stored = deocc("table", "all", "--preset", "small").out
    mine = deocc("table", "all", "--preset", "small", "--results", tmp_path / "mine").out
    tables = slice(stored.index("## How tables"), stored.index("## Learning rates"))
    assert stored[tables] in mine
    few = deocc("table", "all", "--preset", "small", "--images", 777).out
    assert "10,000 training images" not in few and "No stored result yet" in few


def test_all_tables_print_at_once(deocc, tmp_path):
    ran = deocc("table", "1")
    assert ran.status == 0 and "real-humans" in ran.out
    assert deocc("table", "all", "--only", "ours").status == 2


def test_only_results_of_one_setup_share_a_table():
    rows = TABLE_4.rows
    few = [made_up(row, 0, [0.5, 0.5]) for row in rows[:2]]
    longer = made_up(rows[0], 0, [0.9, 0.9], images=640)
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
    changes = (*old["configuration"].changes, ("settings.width", 4))
    old["configuration"] = replace(old["configuration"], version=0, changes=changes)
    table = collect(TABLE_4, "tiny", [old])
    assert len(table.rows["none"]) == 1
    assert any("settings.width 4 -> null; version 0 -> 1" in note for note in table.notes)
    fresh = made_up(row, 0, [0.7, 0.7])
    table = collect(TABLE_4, "tiny", [fresh, old])
    assert table.rows["none"] == [fresh] and not table.notes


def test_a_table_says_what_was_measured_and_leaves_the_published_cells_empty():
    results = [made_up(row, seed, [0.1 * i, 0.2]) for i, row in enumerate(TABLE_4.rows) for seed in (0, 1)]
    value = table_json(collect(TABLE_4, "tiny", results))
    text = format_report(value, TABLE_4)
    assert "preset tiny" in text and "2 seeds" in text and "64 training images per system" in text
    assert "2 cases of 2 people" in text and "## Given the true visible mask" in text
    lines = [line for line in text.splitlines() if line.startswith("| ")]
    assert lines[0].rstrip(" |").endswith("published")
    assert all(line.split("|")[-2].strip() in ("published", "---------", "") for line in lines)
    row = value["given"]["modal"][0]
    assert set(row["published"]) >= {"amodal_iou"} and not any(row["published"].values())


def test_rows_that_were_made_before_a_metric_existed_have_an_empty_cell_and_a_note():
    old, new = (made_up(row, 0, [0.1, 0.2]) for row in TABLE_6.rows[:2])
    for given in new["results"].values():
        given["metrics"] = {"recovered_detail": {"value": 0.9, "low": 0.8, "high": 1.1, "n": 2, "people": 2}}
    text = format_report(table_json(collect(TABLE_6, "tiny", [old, new])), TABLE_6)
    assert "invisible detail ratio (to 1)" in text and "0.900 [0.800, 1.100]" in text
    assert f"not measured: invisible detail ratio of {TABLE_6.rows[0].name}" in text
    assert "not measured" not in format_report(table_json(collect(TABLE_6, "tiny", [new])), TABLE_6)


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
    made = configure(plan.rows[0], "tiny", 64, 0, "d", "stage1")
    assert dict(made.changes) == {"settings.alpha": 0} and made.stage1 == "stage1"
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
    words += ["--results", store / "out", "--out", store / "pages"]
    return [*words, "--runs", store / "runs", "--threads", 1]


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
    value = read_json(store / "pages" / "table-4-tiny.json")
    rows = {row["key"]: row for row in value["given"]["initial"]}
    for key in ("none", "all"):
        assert rows[key]["images"] == IMAGES and 0 <= rows[key]["metrics"]["amodal_iou"]["value"] <= 1
        assert rows[key]["metrics"]["amodal_iou"]["n"] == 6
    assert rows["modal"]["seeds"] == 0 and not rows["modal"]["metrics"]
    assert rows["all"]["metrics"]["parsing_miou"] and not rows["none"]["metrics"]["parsing_miou"]
    given = value["given"]["modal"]
    assert given[0]["metrics"]["modal_iou"]["value"] == 1  # M_i stands in for M_m
    assert (store / "pages" / "table-4-tiny.md").read_text() in ran.out + "\n"

    def refuse(*args, **kwargs):
        raise AssertionError("trained again")

    monkeypatch.setattr(table_runs, "train_system", refuse)
    again = deocc(*arguments(store, cases), "--train", "--only", "none", "all")
    assert again.status == 0 and again.out == ran.out
    printed = deocc("table", 4, "--preset", "tiny", "--images", IMAGES, "--results", store / "out")
    assert printed.status == 0 and "| 6: all" in printed.out and "written" not in printed.out


def test_table_2_takes_ours_from_table_4_and_adds_controls(deocc, store, cases):
    words = [*arguments(store, cases, "2"), "--train"]
    ran = deocc(*words, "--only", "initial", "visible", "hull", "template", "ours", "deeplab")
    assert ran.status == 0, ran.err
    rows = {row["key"]: row for row in read_json(store / "pages" / "table-2-tiny.json")["given"]["initial"]}
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
    value = read_json(store / "pages" / "table-3-tiny.json")
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
    files = list((store / "out").glob("*.json"))
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
    run = maker.missing(TABLE_4.picked(["none"]))[0]
    with claimed(store / "runs" / run.configuration.name) as ours:
        assert ours
        assert maker.make([run.row]) == ["1: baseline, seed 5: another process is training it"]


def test_a_rows_system_can_be_asked_itself(store, cases):
    options = TableOptions("tiny", (PEOPLE_MINI,), IMAGES, store / "runs", store / "out", cases, (0,))
    maker = TableMaker(TABLE_2, options)
    assert isinstance(maker.system(TABLE_2.picked(["hull"])[0]), ConvexHull)
    with pytest.raises(DeoccError, match="no weights are shipped with preset tiny"):
        maker.system(TABLE_2.picked(["shipped"])[0])
    row = TABLE_2.picked(["segan"])[0]
    with claimed(store / "runs" / maker.run(row, 0).configuration.name):
        with pytest.raises(DeoccError, match="another process trains this row"):
            maker.system(row)


def test_cases_are_made_once_from_val(tmp_path):
    first = fixed_cases(PEOPLE_MINI, tmp_path / "cases", per_person=1, limit=2)
    assert len(first) == 2 and {case.person_id for case in first} <= set(PeopleFolder(PEOPLE_MINI, "val").ids)
    written = (first.path / first.ids[0] / "case.json").stat().st_mtime_ns
    assert len(fixed_cases(PEOPLE_MINI, tmp_path / "cases", per_person=1, limit=2)) == 2
    for other in ({"per_person": 3}, {"tuning": True}, {"seed": 1}, {"placement": "natural"}):
        with pytest.raises(DeoccError, match=f"cases: its cases were made otherwise .*{next(iter(other))}"):
            fixed_cases(PEOPLE_MINI, tmp_path / "cases", **{"per_person": 1, "limit": 2, **other})
    (first.path / "made.json").unlink()  # as earlier versions left it
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
    ran = deocc("table", *words, "--results", tmp_path / "out", "--runs", tmp_path / "runs")
    lines = [line for line in ran.err.splitlines() if line.startswith("deocc: error: ")]
    assert ran.status == 2 and len(lines) == 1 and message in lines[0], ran.err
    assert "Traceback" not in ran.err and not (tmp_path / "out").exists()


def test_shipped_rows_name_what_they_depend_on(store, cases):
    options = TableOptions("small", (PEOPLE_MINI,), IMAGES, store / "runs", store / "out", cases, (0,))
    rows = [next(row for row in plan.rows if row.kind == "shipped") for plan in (TABLE_2, TABLE_3)]
    masks = TableMaker(TABLE_2, options).run(rows[0], 0).configuration
    pixels = TableMaker(TABLE_3, options).run(rows[1], 0).configuration
    assert masks.weights == weights_digest([WEIGHTS / "mask-small.safetensors"])
    assert pixels.weights == weights_digest([WEIGHTS / f"{s}-small.safetensors" for s in ("mask", "content")])
    assert pixels.texture == 0.0 and masks.texture is None, "the painter paints its own texture"


def test_a_result_of_shipped_weights_is_read_as_it_was_stored(tmp_path):
    row = TABLE_3.picked(["shipped-content"])[0]
    result = made_up(row, 0, [0.5, 0.5])
    for exemplar in (True, False):
        result["configuration"] = replace(shipped_configuration(row, "small", "pixels"), exemplar=exemplar)
        result["digest"] = result["configuration"].digest
        assert read_result(stored(tmp_path, result)) == result
    asked = differences(result["configuration"], shipped_configuration(row, "small", "pixels"))
    assert asked == ["exemplar false -> true"]


def test_other_shipped_weights_leave_the_old_result_as_history(monkeypatch):
    row = TABLE_2.picked(["shipped"])[0]
    now = shipped_configuration(row, "small", "masks")
    old = made_up(row, 0, [0.5, 0.5]) | {"configuration": replace(now, weights="0" * 16)}
    new = made_up(row, 0, [0.7, 0.7]) | {"configuration": now, "made": "2020-01-01T00:00:00+00:00"}
    table = collect(TABLE_2, "small", [new, old])
    assert table.rows["shipped"] == [new] and not table.notes
    table = collect(TABLE_2, "small", [old])
    assert table.rows["shipped"] == [old] and "weights" in table.notes[0]


def test_results_that_lack_columns_are_made_again_where_asked(store, cases, tmp_path):
    options = TableOptions("tiny", (PEOPLE_MINI,), IMAGES, store / "runs", tmp_path, cases)
    row = TABLE_3.picked(["telea"])[0]
    maker = TableMaker(TABLE_3, options)
    maker.stage1 = "s"
    run = maker.run(row, 0)
    result = made_up(row, 0, [0.5, 0.5]) | {"configuration": run.configuration}
    cells = result["cases"] | {"digest": maker.digests["synthetic"]}
    for evaluation, again in ((1, [run]), (2, [])):
        value = result | {"configuration": run.configuration.to_json(), "cases": cells}
        write_json(run.path, value | {"digest": run.configuration.digest, "evaluation": evaluation})
        assert maker.missing([row]) == []
        maker.options = replace(options, complete=True)
        assert maker.missing([row]) == again
        maker.options = options


def test_a_row_trained_in_another_precision_is_not_trained_again(store, cases, tmp_path):
    options = TableOptions("tiny", (PEOPLE_MINI,), IMAGES, store / "runs", tmp_path, cases)
    row = TABLE_2.picked(["ours"])[0]
    full, half = (TableMaker(TABLE_2, replace(options, precision=p)) for p in ("no", "bf16"))
    run = full.run(row, 0)
    assert run.path != half.run(row, 0).path
    cells = made_up(row, 0, [0.5])["cases"] | {"digest": full.digests["synthetic"]}
    facts = {"configuration": run.configuration.to_json(), "digest": run.configuration.digest}
    write_json(run.path, made_up(row, 0, [0.5]) | facts | {"cases": cells, "evaluation": 1})
    assert full.missing([row]) == [] and half.missing([row]) == []
    other = replace(options, precision="bf16", seeds=(1,))
    assert TableMaker(TABLE_2, other).missing([row])  # of another seed


def test_printing_writes_nothing(deocc, monkeypatch):
    def refuse(*args, **kwargs):
        raise AssertionError("wrote a file")

    for name in ("deocc.io.write_atomic", "deocc.io.files.write_atomic", "deocc.tables.page.write_atomic"):
        monkeypatch.setattr(name, refuse)
    folder = RESULTS / "tables"
    before = {p.name: p.stat().st_mtime_ns for p in folder.iterdir()}
    ran = deocc("table", 4, "--preset", "small")
    assert ran.status == 0 and "Table 4" in ran.out
    assert {p.name: p.stat().st_mtime_ns for p in folder.iterdir()} == before


def test_content_rows_keep_their_stage_1_when_other_weights_ship(store, cases):
    options = TableOptions("small", (PEOPLE_MINI,), IMAGES, store / "runs", store / "out", cases, (0,))
    maker = TableMaker(TABLE_3, options)
    assert maker.stage1_weights == WEIGHTS / "table-stage1-small.safetensors"
    assert maker.stage1 == "c57380cc7336e92e"  # of every stored row of tables 3, 5 and 6


def test_shipped_weights_are_asked_in_frames_of_their_own_size(store, cases, monkeypatch):
    options = TableOptions("small", (PEOPLE_MINI,), IMAGES, store / "runs", store / "out", cases, (0,))
    maker, asked = TableMaker(TABLE_3, options), {}
    monkeypatch.setattr(table_runs, "evaluate_system", lambda *_, **told: asked.update(told))
    monkeypatch.setattr(table_runs, "compact", lambda result: result)
    model = Deoccluder.from_pretrained("small", "cpu")
    maker._evaluate(model, "modal", "synthetic")
    assert asked["size"] == model.size != get_preset("small").size
    maker._evaluate(INPAINTERS["telea"](), "modal", "synthetic")
    assert asked["size"] == get_preset("small").size


def test_end_to_end_rows_paint_by_the_masks_of_stage_1(store, cases, monkeypatch):
    options = TableOptions("small", (PEOPLE_MINI,), IMAGES, store / "runs", store / "out", cases, (0,))
    maker, asked = TableMaker(TABLE_3, options), []
    monkeypatch.setattr(table_runs, "evaluate_system", lambda *_, **told: asked.append(told))
    monkeypatch.setattr(table_runs, "compact", lambda result: result)
    monkeypatch.setattr(TableMaker, "_stage1_masks", lambda self, cases: "of stage 1")
    for given in ("modal", "initial"):
        maker._evaluate(INPAINTERS["telea"](), given, "synthetic")
    assert "masks" not in asked[0] and asked[1]["masks"] == "of stage 1"


def test_controls_are_fitted_to_training_people(monkeypatch):
    from deocc.tables import cases as table_cases

    seen = []
    monkeypatch.setattr(table_cases, "make_cases", lambda *given: seen.append(given) or make_cases(*given))
    table_cases.fit_controls([PEOPLE_MINI], 32, samples=6, clusters=2)
    assert {person.id for person in seen[0][0]} <= set(PeopleFolder(PEOPLE_MINI, "train").ids)
    assert {thing.split for thing in seen[0][1]} == {"train"} and len(seen[0][0]) == 6


@pytest.mark.parametrize("page", ["scorecard", "all"])
def test_pages_need_a_result(page, tmp_path, capsys):
    with pytest.raises(SystemExit) as stop:
        cli.main(["table", page, "--preset", "small", "--results", str(tmp_path)])
    err = capsys.readouterr().err
    assert stop.value.code == 2 and str(tmp_path) in err and "no result" in err


def test_stage_1_of_a_table_of_stage_1_is_refused(tmp_path):
    options = TableOptions("tiny", (PEOPLE_MINI,), 8, tmp_path / "runs", tmp_path, stage1=tmp_path / "none")
    with pytest.raises(DeoccError, match="--stage1 is for tables of stage 2"):
        make_table("2", options, train=True)
    with pytest.raises(DeoccError, match="no such file; give weights of stage 1"):
        make_table("3", options, train=True)
