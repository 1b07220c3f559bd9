"""The ratio-shift experiment, two steps long."""

from dataclasses import replace

import numpy as np
import pytest

from deocc.errors import DeoccError
from deocc.io import read_json
from deocc.paths import PEOPLE_MINI, RESULTS
from deocc.people import PeopleFolder
from deocc.studies.ratio_shift import (
    ALL,
    BANDS,
    PROMPTS,
    SCHEMA,
    ShiftConfig,
    band_batches,
    run_ratio_shift,
    shift_matrix,
)

QUICK = ShiftConfig(width=8, steps=2, batch_size=2, per_person=1, limit=3)


@pytest.fixture(scope="module")
def result(tmp_path_factory) -> dict:
    return run_ratio_shift([PEOPLE_MINI], QUICK, out=tmp_path_factory.mktemp("shift"), device="cpu")


def test_every_training_meets_every_band(result):
    cells = {(cell["trained"], cell["tested"], cell["given"]) for cell in result["cells"]}
    assert len(cells) == len(result["cells"]) == (len(BANDS) + 1) * len(BANDS) * 2
    assert list(result["bands"]) == [*BANDS, ALL] and result["bands"][ALL] == [0.05, 0.7]
    for cell in result["cells"]:
        assert cell["iou"]["amodal"]["n"] == 3 and 0 <= cell["iou"]["amodal"]["value"] <= 1


def test_the_matrix_reads_the_cells(result):
    matrix = shift_matrix(result, "amodal", "initial")
    assert matrix.shape == (4, 3) and np.isfinite(matrix).all()
    wanted = ("middle", "high", "initial")
    cell = next(c for c in result["cells"] if (c["trained"], c["tested"], c["given"]) == wanted)
    assert matrix[1, 2] == cell["iou"]["amodal"]["value"]


def test_cases_lie_in_their_band_and_depend_on_the_seed_alone():
    people = PeopleFolder(PEOPLE_MINI, split="val")
    batches, names = band_batches(people, people.occluders("val"), (0.3, 0.45), 64, QUICK)
    again, _ = band_batches(people, people.occluders("val"), (0.3, 0.45), 64, QUICK)
    (batch,) = batches["modal"]
    assert len(names) == 3 and ((batch["occlusion_ratio"] > 0.28) & (batch["occlusion_ratio"] < 0.47)).all()
    assert (batch["initial_mask"] == batch["modal_mask"]).all()
    assert (batches["initial"][0]["initial_mask"] != batches["initial"][0]["modal_mask"]).any()
    assert (again["initial"][0]["initial_mask"] == batches["initial"][0]["initial_mask"]).all()


def test_a_run_that_was_cut_off_goes_on(tmp_path, caplog):
    first = run_ratio_shift([PEOPLE_MINI], QUICK, {"low": (0.05, 0.2)}, tmp_path, device="cpu")
    again = run_ratio_shift([PEOPLE_MINI], QUICK, {"low": (0.05, 0.2)}, tmp_path, device="cpu")
    assert again["cells"] == first["cells"], "finished trainings are not repeated"
    assert first["cpu_seconds"] is not None and again["cpu_seconds"] is None
    other = replace(QUICK, seed=1)
    other = run_ratio_shift([PEOPLE_MINI], other, {"low": (0.05, 0.2)}, tmp_path, device="cpu")
    assert other["cpu_seconds"] is not None, "another seed is another training"


def test_it_wants_validation_people(tmp_path):
    with pytest.raises(DeoccError):
        run_ratio_shift([tmp_path], QUICK, device="cpu")


def test_the_stored_run_is_whole():
    stored = read_json(RESULTS / "ratio-shift-tiny.json")
    assert stored["schema"] == SCHEMA and stored["cpu_seconds"] is not None
    for metric in ("amodal", "invisible", "modal"):
        for given in PROMPTS:
            assert np.isfinite(shift_matrix(stored, metric, given)).all()
    assert all(cell["iou"]["amodal"]["n"] >= 40 for cell in stored["cells"])
