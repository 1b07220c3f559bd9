"""`control_tables --again` measures the weights anew and keeps stored controls of the same masks."""

from pathlib import Path
from typing import Any

import pytest

import control_tables
from control_tables import PROBE, _with_stored
from deocc.errors import DeoccError
from deocc.io import write_json

ABOUT = {
    "cases": 2, "people": 1, "confidence": "95 %", "given": "initial", "masks": "stage 1", "masks of": "val",
}  # fmt: skip


def row(psnr: float, counts: tuple[int, ...] = (1, 1)) -> dict[str, Any]:
    """A system's scores, as `evaluate_systems` gives them."""
    return {"metrics": {"recovered_psnr": {"value": psnr}}, "by_ratio": [{"n": n} for n in counts]}


SYSTEMS = {PROBE: row(12.0), "Telea": row(11.0), "ours": row(13.0), "ours, alone": row(12.5)}
STORED = ABOUT | {"facts": "old", "weights": "small, of old", "systems": SYSTEMS}
ANEW = ABOUT | {"facts": "new", "systems": {PROBE: row(12.0), "ours": row(14.0), "ours, alone": row(13.5)}}


def stem_of(tmp_path: Path, stored: dict[str, Any]) -> Path:
    write_json(tmp_path / "controls-pixels-true.json", stored)
    return tmp_path / "controls"


def test_stored_controls_stay_and_the_weights_are_new(tmp_path):
    found = _with_stored(ANEW, stem_of(tmp_path, STORED), "pixels-true")
    values = {name: r["metrics"]["recovered_psnr"]["value"] for name, r in found["systems"].items()}
    assert values == {PROBE: 12.0, "Telea": 11.0, "ours": 14.0, "ours, alone": 13.5}
    assert found["facts"] == "new" and "rows of an earlier reading" not in found


def test_a_row_that_was_left_out_keeps_its_stored_value(tmp_path):
    one = ANEW | {"systems": {PROBE: row(12.0), "ours, alone": row(13.5)}}
    found = _with_stored(one, stem_of(tmp_path, STORED), "pixels-true")
    assert found["systems"]["ours"] == row(13.0) and found["systems"]["ours, alone"] == row(13.5)
    assert found["rows of an earlier reading"] == "ours: of the reading with small, of old"


def test_slightly_other_masks_are_said(tmp_path):
    near = ANEW | {"systems": ANEW["systems"] | {PROBE: row(12.01)}}
    found = _with_stored(near, stem_of(tmp_path, STORED), "pixels-true")
    assert found["rows of an earlier reading"] == f"Telea: of slightly other masks ({PROBE}: 0.0100 dB)"
    assert found["systems"][PROBE] == row(12.01)  # what was measured now


def test_differences_of_masks_do_not_add_up_unseen(tmp_path):
    """The controls stay those of the first reading, and so does what the probe is compared with."""

    def with_probe(psnr):
        return ANEW | {"systems": ANEW["systems"] | {PROBE: row(psnr)}}

    second = _with_stored(with_probe(12.015), stem_of(tmp_path, STORED), "pixels-true")
    third = _with_stored(with_probe(12.015), stem_of(tmp_path, second), "pixels-true")
    assert third["rows of an earlier reading"] == second["rows of an earlier reading"]
    with pytest.raises(DeoccError, match="of other masks"):
        _with_stored(with_probe(12.025), stem_of(tmp_path, third), "pixels-true")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"cases": 3}, "of other cases"),
        ({"masks of": "tuning"}, "of other cases"),
        ({"systems": {"Telea": row(11.0)}}, f"lacks {PROBE}"),
        ({"systems": SYSTEMS | {PROBE: row(12.1)}}, "of other masks"),
        ({"systems": SYSTEMS | {"Telea": row(11.0, (2, 0))}}, "other occlusion ratios"),
    ],
)
def test_other_cases_or_masks_are_refused(tmp_path, change, reason):
    with pytest.raises(DeoccError, match=rf"controls-pixels-true.json: .*{reason}.*leave --again out"):
        _with_stored(ANEW, stem_of(tmp_path, STORED | change), "pixels-true")


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"only": ["pixels"]}, "--only pixels: unknown"),
        ({"no_weights": True, "again": True}, "leave --no-weights out"),
        ({"no_weights": True, "only": ["pixels-end-to-end"]}, "needs weights"),
    ],
)
def test_options_that_contradict_each_other_are_refused_before_any_work(tmp_path, options, reason):
    with pytest.raises(DeoccError, match=reason):
        control_tables.main(tmp_path / "nobody", **options)
