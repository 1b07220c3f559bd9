"""Folders in, tables out: values by hand, what is given about bad folders, systems on the same cases."""

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from deocc import metrics as M
from deocc.baselines import ConvexHull, InitialMask, MeanMask, NearestTemplate, Telea
from deocc.errors import DeoccError
from deocc.evaluation.folders import evaluate_folders
from deocc.evaluation.predictors import paste_masks
from deocc.evaluation.report import METRICS, format_evaluation, format_table
from deocc.evaluation.systems import (
    evaluate_system,
    evaluate_systems,
    format_comparison,
    recovery_system,
    save_comparison,
    training_masks,
)
from deocc.inference.deoccluder import Deoccluder
from deocc.inference.predictions import CasePrediction
from deocc.io import require_writable_file, write_image, write_json, write_mask, write_parsing
from deocc.masks import Box, mask_box, person_frame
from deocc.occlusion import CaseFolder, OcclusionCase, write_case
from deocc.occlusion.batch import prompt_mask

SIZE = 48


def ellipse(x: float, y: float, wide: float, high: float, size: int = SIZE) -> np.ndarray:
    rows, columns = np.ogrid[:size, :size]
    return ((columns - x) / wide) ** 2 + ((rows - y) / high) ** 2 <= 1


def make_case(index: int, person: str = "", hidden_from: int = 28, parsing: bool = True) -> OcclusionCase:
    """An elliptic person whose right part lies behind a box."""
    rng = np.random.default_rng(index)
    amodal = ellipse(24, 24, 10 + index % 3, 18)
    occluder = np.zeros((SIZE, SIZE), bool)
    occluder[:, hidden_from : hidden_from + 14] = True
    target = rng.integers(60, 200, (SIZE, SIZE, 3), np.uint8)
    target[amodal] = (150, 90 + 10 * index, 60)
    target[::6][amodal[::6]] += 20  # a striped shirt
    image = target.copy()
    image[occluder] = (10, 200, 10)
    labels = np.where(amodal, np.where(np.arange(SIZE)[:, None] < 24, 5, 9), 0).astype(np.uint8)
    modal = amodal & ~occluder
    return OcclusionCase(
        f"case_{index:02d}", image, modal, amodal, target, occluder, labels if parsing else None,
        ellipse(22, 24, 9, 17), person or f"person_{index}", True,
    )  # fmt: skip


def write_prediction(
    folder: Path, case: OcclusionCase, amodal: np.ndarray, recovered: np.ndarray | None = None
) -> None:
    write_mask(folder / case.id / "modal.png", case.modal_mask)
    write_mask(folder / case.id / "amodal.png", amodal)
    if case.parsing_amodal is not None:
        write_parsing(folder / case.id / "parsing.png", np.where(amodal, case.parsing_amodal, 0))
    if recovered is not None:
        write_image(folder / case.id / "recovered.png", recovered)


@pytest.fixture
def cases(tmp_path: Path) -> list[OcclusionCase]:
    """Six cases of three people, ratios from 0 upwards, on disk under tmp_path / "cases"."""
    made = [
        make_case(i, f"person_{i // 2}", hidden_from)
        for i, hidden_from in enumerate((40, 30, 28, 26, 24, 22))
    ]
    for case in made:
        write_case(tmp_path / "cases", case)
    return made


def evaluate(tmp_path: Path, **options: Any) -> dict[str, Any]:
    return evaluate_folders(tmp_path / "cases", tmp_path / "pred", **options)


# --- values


def test_perfect_predictions_score_perfectly(tmp_path: Path, cases: list[OcclusionCase]) -> None:
    for case in cases:
        write_prediction(tmp_path / "pred", case, case.amodal_mask, case.target)
    result = evaluate(tmp_path, perceptual=False)
    values = {name: interval["value"] for name, interval in result["metrics"].items()}
    for name in ("amodal_iou", "modal_iou", "invisible_iou", "invisible_iou_global", "parsing_miou"):
        assert values[name] == 1, name
    assert values["amodal_l1"] == values["recovered_l1"] == 0
    assert values["recovered_psnr"] == pytest.approx(58.92, abs=0.01)
    assert values["recovered_ssim"] == pytest.approx(1, abs=1e-5)
    assert (result["cases"], result["people"]) == (6, 3)
    # one case hides nothing: its invisible masks are both empty (IoU 1), and it has no pixel to recover
    assert result["metrics"]["invisible_iou"]["n"] == 6 and result["metrics"]["recovered_psnr"]["n"] == 5


def test_values_equal_the_metrics_on_arrays(tmp_path: Path, cases: list[OcclusionCase]) -> None:
    guesses = [ellipse(24, 26, 9, 17) | case.modal_mask for case in cases]
    painted = []
    for case, guess in zip(cases, guesses, strict=True):
        picture = case.image.copy()
        picture[guess & ~case.modal_mask] = 128
        painted.append(picture)
        write_prediction(tmp_path / "pred", case, guess, picture)
    result = evaluate(tmp_path, perceptual=False)["metrics"]
    truth = np.stack([case.amodal_mask for case in cases])
    modal = np.stack([case.modal_mask for case in cases])
    found = np.stack(guesses)
    assert result["amodal_iou"]["value"] == pytest.approx(M.mask_iou(found, truth).mean())
    assert result["amodal_iou_global"]["value"] == pytest.approx(M.global_iou(found, truth))
    assert result["amodal_l1"]["value"] == pytest.approx((found ^ truth).mean())
    assert result["invisible_iou"]["value"] == pytest.approx(
        M.invisible_iou(modal, found, modal, truth).mean()
    )
    pairs = [
        (p, c.target, c.invisible_mask) for p, c in zip(painted, cases, strict=True) if c.invisible_mask.any()
    ]
    assert result["recovered_psnr"]["value"] == pytest.approx(np.mean([M.psnr(*pair) for pair in pairs]))
    assert result["recovered_ssim"]["value"] == pytest.approx(
        np.mean([M.ssim(*pair) for pair in pairs]), abs=1e-6
    )
    assert result["recovered_detail"]["value"] == pytest.approx(np.mean([M.detail_ratio(*p) for p in pairs]))
    heights = [np.ptp(np.nonzero(c.amodal_mask)[0]) + 1 for c in cases if c.invisible_mask.any()]
    errors = [M.blurred_colour_error(*p, 0.04 * height) for p, height in zip(pairs, heights, strict=True)]
    assert result["recovered_colour"]["value"] == pytest.approx(np.mean(errors))
    weights = [region.sum() for *_, region in pairs]
    pooled = np.average([M.image_mse(*pair) for pair in pairs], weights=weights)
    assert result["recovered_psnr_pooled"]["value"] == pytest.approx(M.psnr_of_mse(pooled))
    for name, interval in result.items():
        assert interval["low"] <= interval["value"] <= interval["high"], name
    assert result["recovered_psnr_pooled"]["low"] < result["recovered_psnr_pooled"]["high"]


def test_bins_hold_every_case_once_and_worsen_with_occlusion(
    tmp_path: Path, cases: list[OcclusionCase]
) -> None:
    for case in cases:
        write_prediction(tmp_path / "pred", case, case.modal_mask)  # completes nothing
    result = evaluate(tmp_path)
    assert sum(entry["n"] for entry in result["by_ratio"]) == len(cases)
    for entry in result["by_ratio"]:
        inside = [c for c in cases if entry["low"] <= c.occlusion_ratio < entry["high"]]
        expected = np.mean(
            [1 - c.occlusion_ratio for c in inside]
        )  # IoU of the visible with the whole person
        assert entry["metrics"]["amodal_iou"]["value"] == pytest.approx(expected)
    values = [entry["metrics"]["amodal_iou"]["value"] for entry in result["by_ratio"]]
    assert len(values) >= 3 and all(np.diff(values) < 0)


def test_sides_are_merged_as_soon_as_one_source_lacks_them(tmp_path: Path) -> None:
    for index, true_sides in enumerate((True, False)):
        case = make_case(index)
        arms = np.where(case.amodal_mask, np.where(np.arange(SIZE) < 24, 14, 15), 0).astype(np.uint8)
        case = replace(case, parsing_amodal=arms, true_sides=true_sides)
        write_case(tmp_path / "cases" if not true_sides else tmp_path / "true", case)
        swapped = replace(
            case, parsing_amodal=np.where(arms == 14, 15, np.where(arms == 15, 14, 0)).astype(np.uint8)
        )
        write_prediction(tmp_path / ("pred" if not true_sides else "swapped"), swapped, case.amodal_mask)
    merged = evaluate(tmp_path)
    assert merged["parsing"]["sides"] == "merged" and merged["metrics"]["parsing_miou"]["value"] == 1
    strict = evaluate_folders(tmp_path / "true", tmp_path / "swapped")
    assert strict["parsing"]["sides"] == "true"
    assert strict["metrics"]["parsing_miou"]["value"] == pytest.approx(1 / 3)  # the background alone
    assert strict["parsing"]["class_iou"]["left-arm"] == 0


def test_perceptual_and_frechet_distances_rank_a_copy_before_noise(
    tmp_path: Path, cases: list[OcclusionCase]
) -> None:
    rng = np.random.default_rng(0)
    for name, make in (
        ("pred", lambda c: c.target),
        ("bad", lambda c: rng.integers(0, 255, c.image.shape, np.uint8)),
    ):
        for case in cases[:4]:
            write_prediction(tmp_path / name, case, case.amodal_mask, make(case))
    for case in cases[4:]:
        for path in (tmp_path / "cases" / case.id).iterdir():
            path.unlink()
    good, bad = evaluate(tmp_path), evaluate_folders(tmp_path / "cases", tmp_path / "bad")
    assert good["metrics"]["person_perceptual"]["value"] == 0 < bad["metrics"]["person_perceptual"]["value"]
    assert good["metrics"]["recovered_perceptual"]["n"] == 3  # one of the four cases hides nothing
    assert good["frechet"]["value"] == pytest.approx(0, abs=1e-6) and bad["frechet"]["value"] > 1
    kernels = [result["metrics"]["recovered_kernel"] for result in (good, bad)]
    assert kernels[0]["value"] == pytest.approx(0, abs=1e-6) and kernels[0]["n"] == 3
    assert kernels[1]["value"] > 1 and kernels[1]["low"] <= kernels[1]["value"] <= kernels[1]["high"]
    assert good["metrics"]["recovered_detail"]["value"] == 1 < bad["metrics"]["recovered_detail"]["value"]
    assert good["frechet"]["rank_deficient"] and good["frechet"]["n"] == 4
    assert good["frechet"]["name"] in ("FID", "FD-Lite0")


def test_one_case_is_scored_without_the_distances_between_sets(tmp_path: Path) -> None:
    case = make_case(0, "alone", 30)
    write_case(tmp_path / "cases", case)
    write_prediction(tmp_path / "pred", case, case.amodal_mask, case.target)
    result = evaluate(tmp_path)
    assert result["frechet"] is None and "recovered_kernel" not in result["metrics"]
    assert result["metrics"]["amodal_iou"]["value"] == 1 and "recovered_perceptual" in result["metrics"]
    assert any("two people" in note for note in result["notes"])


def test_results_are_strict_json_and_formats_name_every_metric(
    tmp_path: Path, cases: list[OcclusionCase]
) -> None:
    for case in cases:
        write_prediction(tmp_path / "pred", case, case.amodal_mask, case.image)
    result = evaluate(tmp_path, perceptual=False)
    text = json.dumps(result, allow_nan=False)
    assert json.loads(text)["metrics"].keys() == result["metrics"].keys()
    assert len(result["per_case"]) == 6 and result["per_case"][0]["id"] == "case_00"
    shown = format_evaluation(result)
    for name in result["metrics"]:
        assert METRICS[name].title in shown
    assert "6 cases of 3 people" in shown and "1.000 [1.000, 1.000]" in shown
    table = format_table({"ours": result, "other": result}, ("amodal_iou", "recovered_psnr", "frechet"))
    assert table.count("\n") == 3 and "ours" in table and "FD-Lite0" not in table


def test_the_seed_decides_the_intervals(tmp_path: Path, cases: list[OcclusionCase]) -> None:
    for case in cases:
        write_prediction(tmp_path / "pred", case, ellipse(24, 26, 9, 17))
    first, again, other = (evaluate(tmp_path, seed=seed, resamples=50) for seed in (1, 1, 2))
    assert first == again
    assert first["metrics"]["amodal_iou"]["value"] == other["metrics"]["amodal_iou"]["value"]
    assert first["metrics"]["amodal_l1"] != other["metrics"]["amodal_l1"]


# --- what is given about bad folders


def test_missing_folders_and_predictions_are_named(tmp_path: Path, cases: list[OcclusionCase]) -> None:
    with pytest.raises(DeoccError, match="no such folder.*deocc predict"):
        evaluate(tmp_path)
    (tmp_path / "pred").mkdir()
    with pytest.raises(DeoccError, match="no prediction of these cases"):
        evaluate(tmp_path)
    for case in cases[:4]:
        write_prediction(tmp_path / "pred", case, case.amodal_mask)
    with pytest.raises(DeoccError, match=r"case_04/modal.png: no such file; 2 of 6 cases lack it"):
        evaluate(tmp_path)
    with pytest.raises(DeoccError, match="no such case folder"):
        evaluate_folders(tmp_path / "nowhere", tmp_path / "pred")


def test_wrong_sizes_and_damaged_files_are_named(tmp_path: Path, cases: list[OcclusionCase]) -> None:
    for case in cases:
        write_prediction(tmp_path / "pred", case, case.amodal_mask)
    write_mask(tmp_path / "pred" / "case_03" / "amodal.png", np.ones((SIZE, SIZE - 8), bool))
    with pytest.raises(DeoccError, match=r"case_03/amodal.png: 40 x 48 pixels, but the case has 48 x 48"):
        evaluate(tmp_path)
    (tmp_path / "pred" / "case_03" / "amodal.png").write_text("not a picture")
    with pytest.raises(DeoccError, match="not a picture"):
        evaluate(tmp_path)


def test_nothing_to_score_is_an_error_not_an_empty_table(tmp_path: Path) -> None:
    case = make_case(1, parsing=False)
    bare = replace(case, amodal_mask=None, target=None, parsing_amodal=None)
    write_case(tmp_path / "cases", bare)
    write_mask(tmp_path / "pred" / case.id / "amodal.png", case.amodal_mask)
    with pytest.raises(DeoccError, match="nothing to score"):
        evaluate(tmp_path)


def test_what_is_unknown_is_left_out_and_noted(tmp_path: Path, cases: list[OcclusionCase]) -> None:
    for case in cases:
        write_mask(tmp_path / "pred" / case.id / "amodal.png", case.amodal_mask)
    (tmp_path / "pred" / "stranger").mkdir()
    result = evaluate(tmp_path)
    assert set(result["metrics"]) == {"amodal_iou", "amodal_iou_global", "amodal_l1"}
    assert any("no modal.png" in note for note in result["notes"])
    assert any("stranger" in note for note in result["notes"])


# --- several systems


def test_baselines_on_photos_score_as_on_arrays(tmp_path: Path, cases: list[OcclusionCase]) -> None:
    systems = {"given": InitialMask(), "hull": ConvexHull()}
    result = evaluate_systems(systems, tmp_path / "cases", prompt="modal")
    expected = np.mean([M.mask_iou(case.modal_mask, case.amodal_mask) for case in cases])
    assert result["systems"]["given"]["metrics"]["amodal_iou"]["value"] == pytest.approx(expected)
    assert result["systems"]["given"]["metrics"]["modal_iou"]["value"] == 1
    hull = result["systems"]["hull"]["metrics"]["amodal_iou"]["value"]
    assert hull == evaluate_system(ConvexHull(), cases, prompt="modal")["metrics"]["amodal_iou"]["value"]
    given = evaluate_system(InitialMask(), cases)["metrics"]
    assert given["modal_iou"]["value"] < 1  # M_i is rough, and it is what counts as visible


class Oracle:
    """A system on person frames that answers with the truth of its batch."""

    name = "oracle"
    on_photo = False

    def predict(self, batch: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        names = ("modal_mask", "amodal_mask", "parsing_modal", "parsing_amodal")
        return {name: batch[name] for name in names} | {"recovered": batch["target"]}


def test_what_is_no_system_is_refused(cases: list[OcclusionCase]) -> None:
    for system in (object(), SimpleNamespace(name="a sign without a system", on_photo=True)):
        with pytest.raises(DeoccError, match="no system that can be evaluated"):
            evaluate_system(system, cases)


def test_frame_systems_lose_only_the_resampling(cases: list[OcclusionCase]) -> None:
    fine = evaluate_system(Oracle(), cases, size=192)["metrics"]
    coarse = evaluate_system(Oracle(), cases, size=32)["metrics"]
    assert fine["amodal_iou"]["value"] > 0.97 > coarse["amodal_iou"]["value"] > 0.7
    assert fine["parsing_miou"]["value"] > 0.95


def test_recovery_uses_true_masks_or_those_of_a_mask_system(cases: list[OcclusionCase]) -> None:
    options: dict[str, Any] = {"task": "pixels", "perceptual": False, "size": 96}
    true = evaluate_system(Oracle(), cases, prompt="modal", **options)["metrics"]
    assert true["recovered_psnr"]["value"] > 22 and true["invisible_iou"]["value"] == 1
    coarse: dict[str, Any] = options | {"size": 24}
    end_to_end = evaluate_system(Oracle(), cases, masks=Oracle(), **coarse)["metrics"]
    assert 0.8 < end_to_end["amodal_iou"]["value"] < 1
    blind = evaluate_system(Telea(), cases, masks=InitialMask(), **options)["metrics"]
    occluded = np.mean([M.psnr(c.image, c.target, c.invisible_mask) for c in cases if c.invisible_mask.any()])
    assert blind["recovered_psnr"]["value"] == pytest.approx(occluded)  # no invisible mask, nothing painted
    assert (
        evaluate_system(Telea(), cases, prompt="modal", **options)["metrics"]["recovered_psnr"]["value"]
        > occluded
    )


class Blind:
    """Sees nobody."""

    name = "blind"
    on_photo = True

    def predict(self, batch: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        nobody = torch.zeros_like(batch["initial_mask"])
        return {"modal_mask": nobody, "amodal_mask": nobody}


def test_masks_without_anybody_leave_the_photo_as_it_is(
    cases: list[OcclusionCase], tiny_weights: Path
) -> None:
    from deocc.evaluation.systems import predict_chunk

    ours = recovery_system(Deoccluder.from_pretrained(tiny_weights, device="cpu"))
    for system, size in ((Telea("person"), 64), (Oracle(), 64), (ours, 64)):
        for case, answer in zip(
            cases, predict_chunk(system, cases, "pixels", "initial", size, Blind()), strict=True
        ):
            assert np.array_equal(answer.recovered, case.image)


@pytest.mark.parametrize("detail", [{"texture": 1.0, "exemplar": False}, {"exemplar": True}])
def test_recovery_from_given_masks_adds_the_detail_that_the_pipeline_adds(
    cases: list[OcclusionCase], tiny_weights: Path, detail: dict[str, Any]
) -> None:
    from deocc.evaluation.systems import predict_chunk

    stripes = np.where(np.arange(SIZE) % 3 == 0, 0, 255).astype(np.uint8)[:, None, None]
    cases = [
        replace(case, image=np.where(case.modal_mask[..., None], stripes, case.image).astype(np.uint8))
        for case in cases
    ]
    changed = 0
    plain = {"texture": 0.0, "exemplar": False}
    models = [Deoccluder.from_pretrained(tiny_weights, device="cpu", **kind) for kind in (plain, detail)]
    answers = [
        predict_chunk(recovery_system(model), cases, "pixels", "modal", model.size) for model in models
    ]
    for case, smooth, textured in zip(cases, *answers, strict=True):
        assert smooth.recovered is not None and textured.recovered is not None
        differs = (smooth.recovered != textured.recovered).any(-1)
        assert case.invisible_mask is not None and not (differs & ~case.invisible_mask).any()
        changed += bool(differs.any())
    assert changed >= 3


def test_trained_weights_recover_from_given_masks_and_end_to_end(
    cases: list[OcclusionCase], tiny_weights: Path
) -> None:
    ours = Deoccluder.from_pretrained(tiny_weights, device="cpu")
    options: dict[str, Any] = {"task": "pixels", "perceptual": False, "size": ours.size}
    given = evaluate_system(recovery_system(ours), cases, prompt="modal", **options)["metrics"]
    seen = evaluate_system(recovery_system(ours, "seen"), cases, prompt="modal", **options)["metrics"]
    assert seen["recovered_psnr"]["value"] != given["recovered_psnr"]["value"]
    assert seen["amodal_iou"]["value"] == given["amodal_iou"]["value"]
    assert given["invisible_iou"]["value"] == 1 and given["recovered_psnr"]["n"] == 5
    masks = evaluate_system(ours, cases, task="masks", size=ours.size)["metrics"]
    assert "amodal_iou" in masks and "recovered_psnr" not in masks  # nothing was painted
    told = evaluate_system(recovery_system(ours), cases, masks=ours, **options)["metrics"]
    alone = evaluate_system(ours, cases, **options)["metrics"]
    assert told["amodal_iou"]["value"] == alone["amodal_iou"]["value"]  # the masks are the same
    assert told["recovered_l1"]["value"] == pytest.approx(alone["recovered_l1"]["value"], abs=0.05)


def test_recovered_pixels_outside_the_invisible_mask_stay(cases: list[OcclusionCase]) -> None:
    from deocc.evaluation.systems import predict_chunk

    for system in (Oracle(), Telea()):
        for case, answer in zip(cases, predict_chunk(system, cases, "pixels", "modal", 64), strict=True):
            assert answer.recovered is not None and case.invisible_mask is not None
            assert (answer.recovered[~case.invisible_mask] == case.image[~case.invisible_mask]).all()


def test_hidden_pixels_outside_the_person_frame_are_not_black(cases: list[OcclusionCase]) -> None:
    """The frame follows the visible mask alone: of a person of whom little shows it misses much."""
    from deocc.evaluation.predictors import as_predictor

    case = cases[0]
    modal, amodal = np.zeros((2, SIZE, SIZE), bool)
    modal[2:7, 2:7], amodal[2 : SIZE - 2, 2 : SIZE - 2] = True, True
    image = np.full((SIZE, SIZE, 3), 200, np.uint8)
    far = replace(case, image=image, target=image, modal_mask=modal, amodal_mask=amodal)
    answer = as_predictor(Oracle(), 32).recover_pixels([far], [far], "modal")[0]
    assert answer.recovered is not None and far.invisible_mask is not None
    assert (answer.recovered[far.invisible_mask] > 150).all()


def test_pasted_masks_contain_the_visible_person(cases: list[OcclusionCase]) -> None:
    case = cases[2]
    frame = person_frame(case.modal_mask)
    modal, smaller = torch.zeros(1, 1, 32, 32), torch.zeros(1, 1, 32, 32)
    modal[..., 8:24, 8:24], smaller[..., 10:20, 10:20] = 1, 1
    answer = paste_masks({"modal_mask": modal, "amodal_mask": smaller}, 0, frame, (SIZE, SIZE))
    assert answer.invisible_mask is not None and not answer.invisible_mask.any()
    assert answer.amodal_mask is not None and answer.amodal_mask.any()


def test_a_prediction_folder_is_a_system_too(tmp_path: Path, cases: list[OcclusionCase]) -> None:
    for case in cases:
        write_prediction(tmp_path / "pred", case, ellipse(24, 26, 9, 17))
    alone = evaluate(tmp_path)
    beside = evaluate_systems(
        {"folder": tmp_path / "pred", "hull": ConvexHull()}, CaseFolder(tmp_path / "cases")
    )
    assert beside["systems"]["folder"]["metrics"] == alone["metrics"]


def test_training_masks_fit_the_controls(cases: list[OcclusionCase]) -> None:
    masks = training_masks(cases, 32)
    assert masks.shape == (6, 32, 32) and masks.dtype == bool
    systems = {"mean": MeanMask.fit(masks), "template": NearestTemplate(masks)}
    result = evaluate_systems(systems, cases, prompt="modal", size=32)
    mean, template = (result["systems"][name]["metrics"]["amodal_iou"]["value"] for name in systems)
    assert 0.3 < mean < 1 and template > 0.6
    assert result["systems"]["mean"]["metrics"]["modal_iou"]["value"] == 1  # passed through, not resampled


def test_the_mean_mask_is_not_helped_by_the_given_mask(cases: list[OcclusionCase]) -> None:
    nothing = MeanMask(np.zeros((32, 32), np.float32))
    scores = evaluate_system(nothing, cases, prompt="modal", size=32)["metrics"]
    assert scores["amodal_iou"]["value"] == 0 and scores["modal_iou"]["value"] == 1


def test_a_comparison_is_saved_with_its_command(tmp_path: Path, cases: list[OcclusionCase]) -> None:
    facts = {"command": "deocc table 2", "preset": "tiny"}
    result = evaluate_systems({"given": InitialMask(), "hull": ConvexHull()}, cases, facts=facts)
    data, page = save_comparison(result, tmp_path / "results" / "controls", "Controls")
    stored = json.loads(data.read_text())
    assert stored["command"] == "deocc table 2" and stored["cases"] == 6 and stored["people"] == 3
    assert "per_case" not in stored["systems"]["given"]
    text = page.read_text()
    assert text == format_comparison(result, "Controls")
    for words in (
        "# Controls",
        "6 cases of 3 people; given M_i",
        "`deocc table 2`",
        "| hull",
        "by occlusion ratio",
    ):
        assert words in text


def test_cases_of_one_person_widen_no_interval_by_number_alone(tmp_path: Path) -> None:
    """The interval is over people: repeating each person's case leaves it as it was."""
    cases = [make_case(i, f"person_{i}", 22 + 2 * i) for i in range(6)]
    repeated = [replace(c, id=f"{c.id}_{k}") for c in cases for k in range(4)]
    first, second = (evaluate_system(InitialMask(), c)["metrics"]["amodal_iou"] for c in (cases, repeated))
    assert (second["n"], second["people"]) == (24, 6)
    for key in ("value", "low", "high"):
        assert first[key] == pytest.approx(second[key])


def test_predictions_of_another_size_are_refused_in_memory(cases: list[OcclusionCase]) -> None:
    from deocc.evaluation.cases import Evaluation

    with pytest.raises(DeoccError, match="the case has 48 x 48"):
        Evaluation().add(cases[0], CasePrediction(amodal_mask=np.ones((8, 8), bool)))


def test_a_folder_in_place_of_the_json_file_is_refused_before_anything_is_scored(tmp_path: Path) -> None:
    with pytest.raises(DeoccError, match="a folder, a file was expected; give a file's name"):
        require_writable_file(tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(DeoccError, match=r"file: cannot be made, .* is a file"):
        require_writable_file(tmp_path / "file" / "scores.json")
    assert require_writable_file(tmp_path / "new" / "scores.json") == tmp_path / "new" / "scores.json"
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize(
    "box", ["[NaN, 0, 5, 9]", "[0, 0, 1e300, 9]", f"[0, 0, {'9' * 400}, 9]", "[0, 0, 5]"]
)
def test_a_case_whose_only_box_is_no_box_is_refused(box: str, tmp_path: Path) -> None:
    write_image(tmp_path / "case" / "image.png", np.zeros((20, 20, 3), np.uint8))
    (tmp_path / "case" / "case.json").write_text(f'{{"box_xyxy": {box}}}')
    with pytest.raises(DeoccError, match="box_xyxy must be"):
        CaseFolder(tmp_path)[0]


@pytest.mark.parametrize(
    ("box", "inside"), [([-1, -1, 9, 9], (0, 0, 9, 9)), ([-5, 4, 99, 99], (0, 4, 30, 20))]
)
def test_a_box_that_sticks_out_of_the_photo_is_cut(box: list[int], inside: Box, tmp_path: Path) -> None:
    write_image(tmp_path / "case" / "image.png", np.zeros((20, 30, 3), np.uint8))
    write_json(tmp_path / "case" / "case.json", {"box_xyxy": box})
    assert mask_box(prompt_mask(CaseFolder(tmp_path)[0], "box")) == inside


@pytest.mark.parametrize("box", [[-9, -9, 0, 5], [40, 2, 50, 9]])
def test_a_box_outside_the_photo_is_refused(box: list[int], tmp_path: Path) -> None:
    write_image(tmp_path / "case" / "image.png", np.zeros((20, 30, 3), np.uint8))
    write_json(tmp_path / "case" / "case.json", {"box_xyxy": box})
    with pytest.raises(DeoccError, match="case case: box_xyxy of case.json lies outside"):
        prompt_mask(CaseFolder(tmp_path)[0], "box")


def test_a_person_of_any_kind_of_name_is_read(tmp_path: Path) -> None:
    write_image(tmp_path / "case" / "image.png", np.zeros((20, 30, 3), np.uint8))
    write_json(tmp_path / "case" / "case.json", {"box_xyxy": [1, 1, 9, 9], "person_id": ["p", 3]})
    assert CaseFolder(tmp_path)[0].person_id == "['p', 3]"


def spotted(index: int) -> OcclusionCase:
    """A person with a round hidden part in the middle, so that no box of it holds hidden pixels alone."""
    case = make_case(index)
    return replace(case, modal_mask=case.amodal_mask & ~ellipse(24, 20, 5, 5))


def test_person_and_hidden_scores_equal_the_metrics_on_arrays(tmp_path: Path) -> None:
    cases = [spotted(index) for index in range(3)]
    for case in cases:
        write_case(tmp_path / "cases", case)
        write_prediction(tmp_path / "pred", case, case.amodal_mask, case.image)
        wrong = np.where(case.invisible_mask, 13, case.parsing_amodal).astype(np.uint8)
        write_parsing(tmp_path / "pred" / case.id / "parsing.png", wrong)
    found = {name: one["value"] for name, one in evaluate(tmp_path, perceptual=False)["metrics"].items()}
    for name, metric in (("l1", M.image_l1), ("psnr", M.psnr), ("ssim", M.ssim)):
        wanted = np.mean([metric(c.image, c.target, c.amodal_mask) for c in cases])
        assert found[f"person_{name}"] == pytest.approx(wanted, abs=1e-5), name
    assert found["parsing_miou_invisible"] == 0 and found["parsing_miou"] > 0.5


def test_the_judge_sees_the_person_alone_and_the_hidden_part_closer() -> None:
    from deocc.evaluation.judge import PixelJudge

    case, judge = spotted(1), PixelJudge()
    beside = np.where(case.amodal_mask[..., None], case.target, 0)  # the person, and nothing around them
    assert np.array_equal(judge._crops(case, beside), judge._crops(case, case.target))
    assert judge._hidden_frame(case).side == pytest.approx(1.5 * 11)
    assert not np.array_equal(judge._crops(case, case.target, hidden=True), judge._crops(case, case.target))
