"""The ablation workbench: switches become rows; a row trains in a process that can be stopped."""

import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from deocc.errors import DeoccError
from deocc.tables import workbench as module
from deocc.tables.configuration import configure
from deocc.tables.report import table_json
from deocc.tables.rows import MASK_PARTS, TABLE_4, TABLE_5, TABLE_6
from deocc.tables.workbench import (
    STREAM_WORDS,
    Bench,
    Job,
    last_step,
    masks_choice,
    not_comparable,
    pixels_choice,
)
from deocc.widgets import AblationWorkbench


def digest(row) -> str:
    return configure(row, "small", 10_000, 0, "d").digest


def test_switches_are_the_rows_of_tables_4_5_and_6():
    ticks = {
        "none": (), "d": ("discriminator",), "modal": ("discriminator", "modal"),
        "parsing": ("discriminator", "modal", "parsing"),
        "templates": ("discriminator", "modal", "templates"),
        "all": tuple(MASK_PARTS),
    }  # fmt: skip
    for key, parts in ticks.items():
        assert digest(masks_choice(parts)) == digest(TABLE_4.picked([key])[0]), key
    both = tuple(STREAM_WORDS)
    chosen = {
        "baseline": ((), 0.0), "background": ((),), "body": (("body",),), "spatial": (("spatial",),),
        "cascade": (both, 0.3, True), "ours": (both,),
    }  # fmt: skip
    for key, arguments in chosen.items():
        assert digest(pixels_choice(*arguments)) == digest(TABLE_6.picked([key])[0]), key
    for row in TABLE_5.rows:
        assert digest(pixels_choice(both, float(row.key[1:]))) == digest(row)
    assert (
        len({masks_choice([p for i, p in enumerate(MASK_PARTS) if n >> i & 1]).key for n in range(16)}) == 16
    )
    with pytest.raises(DeoccError, match="part 'wings' is unknown; choose from discriminator"):
        masks_choice(["wings"])
    with pytest.raises(DeoccError, match=r"alpha is 0.2; expected one of 0.0, 0.1"):
        pixels_choice((), 0.2)


def test_a_line_that_is_being_written_is_step_0(tmp_path: Path):
    log = tmp_path / "log.jsonl"
    assert last_step(log) == 0
    log.write_text('{"step": 4}\n{"step": 8}\n')
    assert last_step(log) == 8
    log.write_text('{"step": 4}\n{"st')
    assert last_step(log) == 0


def test_progress_is_that_of_the_row_itself(tmp_path: Path, monkeypatch):
    """Another workbench may train in the same folder."""
    idle = SimpleNamespace(start=lambda: None, is_alive=lambda: True)
    pipe = SimpleNamespace(close=lambda: None)
    context = SimpleNamespace(Pipe=lambda **_: (pipe, pipe), Process=lambda **_: idle)
    monkeypatch.setattr(module.multiprocessing, "get_context", lambda _: context)
    bench = Bench(tmp_path, images=48, persons=2)

    def write(log: Path, step: int) -> None:
        log.parent.mkdir(parents=True, exist_ok=True)
        log.write_text(f'{{"step": {step}}}\n')

    row = masks_choice(("modal",))
    job = Job(bench, "masks", row, seed=1)
    write(bench.log("masks", row, 0)[0], 1)
    write(bench.log("masks", masks_choice(("parsing",)), 1)[0], 1)
    assert job.progress().share == 0 and "starting" in job.progress().words
    write(bench.log("masks", row, 1)[0], 2)
    assert job.progress().words == f"training, step 2 of {bench.steps('masks')}"

    painter = Job(bench, "pixels", pixels_choice(("body",)))
    assert "starting" in painter.progress().words
    write(bench._stage1().with_name("log.jsonl"), 1)
    assert painter.progress().words == f"its stage 1 first, step 1 of {bench.steps('masks')}"
    bench._stage1().write_bytes(b"weights")
    log, first = bench.log("pixels", painter.row)
    assert not first and log.parent.name.startswith("content-")
    write(log, 1)
    assert painter.progress().words == f"training, step 1 of {bench.steps('pixels')}"
    nobody = Job(Bench(tmp_path, people=tmp_path / "none"), "masks", row)
    assert "starting" in nobody.progress().words, "the process itself says what is wrong"


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    return Bench(tmp_path_factory.mktemp("bench"), images=48, persons=4, threads=1)


@pytest.mark.slow
def test_the_widget_trains_a_row_and_shows_it_beside_the_stored_ones(bench):
    workbench = AblationWorkbench(bench)
    assert "nothing trained" not in workbench.caption.value and not workbench.own()["given"]["initial"]
    for name in ("parsing", "templates", "discriminator"):
        workbench.parts[name].value = False
    assert "visible-mask branch" in workbench.status.value
    before, image = workbench.image.value, workbench.image
    workbench.begin()
    assert workbench.train.disabled and not workbench.stop.disabled
    workbench.begin()  # a second click while it runs does nothing
    assert workbench.wait(300) and not workbench.job.error, workbench.status.value
    assert "stored" in workbench.status.value and workbench.bar.value == 1 and not workbench.train.disabled
    assert workbench.image is image and workbench.image.value != before
    rows = workbench.own()["given"]["initial"]
    assert [row["key"] for row in rows] == ["modal"] and rows[0]["images"] == 48
    assert 0 <= rows[0]["metrics"]["invisible_iou"]["value"] <= 1
    assert "visible-mask branch" in workbench.caption.value and "Not comparable" in workbench.caption.value
    why = not_comparable(bench, table_json(bench.rows("masks")) | {"preset": "small", "images": 10_000})
    assert "64 x 64 pixels, not 128 x 128" in why and "48 training images, not 10,000" in why


@pytest.mark.slow
def test_a_stopped_training_says_so_and_goes_on_later(bench):
    job = Job(Bench(bench.folder, images=4_000, persons=4, threads=1), "masks", masks_choice(("modal",)))
    end = time.monotonic() + 120
    while "step" not in job.progress().words or job.progress().words.startswith("training, step 0 "):
        assert time.monotonic() < end and job.running, job.progress()
        time.sleep(0.1)
    job.stop()
    assert job.wait(5) and job.stopped and not job.error and not job.running
    assert 0 < job.progress().share < 1


@pytest.mark.slow
def test_what_goes_wrong_is_said_in_words(bench, tmp_path: Path):
    other = Bench(bench.folder, images=48, persons=4, threads=1)
    job = Job(other, "masks", masks_choice(()), seed=-1)
    assert job.wait(120) and "seed" in job.error, job.error


@pytest.mark.slow
def test_a_painter_gets_its_stage_1_first(tmp_path: Path):
    bench = Bench(tmp_path, images=16, persons=2, threads=1)
    bench.make("pixels", pixels_choice(("body",)))
    assert [row.key for row in bench.rows("masks").plan.rows] == ["all"]
    rows = table_json(bench.rows("pixels"))["given"]["modal"]
    assert [row["key"] for row in rows] == ["body-0.3"]
    assert 2 < rows[0]["metrics"]["recovered_psnr"]["value"] < 40
    workbench = AblationWorkbench(bench)
    workbench.stage.value = "stage 2: pixels"
    assert "attention over body parts; alpha = 0.3" in workbench.caption.value
