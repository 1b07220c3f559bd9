"""What the command line does beyond one call of the package: a photo, the demo, a case folder."""

from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from tqdm.auto import tqdm

from deocc.errors import DeoccError
from deocc.evaluation import evaluate_folders
from deocc.io import (
    PathLike,
    read_image,
    read_mask,
    require_writable,
    whole_folder,
    write_image,
    write_json,
    write_mask,
)
from deocc.occlusion import CaseFolder, PasteOptions, Placement, make_cases, write_case
from deocc.occlusion.dataset import NATURAL_PASTE, initial_mask
from deocc.paths import DATA
from deocc.people import PeopleFolder
from deocc.pipeline import Deoccluder, Deocclusion, Given, make_view, pick_device
from deocc.plots import overlay_masks, parsing_picture, render_case, strip
from deocc.predictions import case_view, cases_digest, predict_cases

DEMO_CASES = DATA / "demo-cases"
DEMO_GIVEN: dict[Given, str] = {"modal": "the true visible mask", "initial": "a rough mask"}
HEADLINE = ("invisible_iou", "amodal_iou", "modal_iou", "recovered_psnr")
OVERVIEW_SIDE = 1024  # longest side of a photo's pictures in its overview


# ------------------------------------------------------------------ one photo


def deocclude_photo(
    photo: PathLike,
    out: PathLike,
    load: Callable[[], Deoccluder],
    mask: PathLike | None = None,
    box: Sequence[float] | None = None,
    segmenter: str = "auto",
) -> dict[str, Any]:
    """Completes one person of a photo file and writes the answer as files.

    Args:
        photo: the picture file.
        out: folder for modal.png, amodal.png, invisible.png, parsing.png, recovered.png, overview.png and
            result.json; written whole or not at all.
        load: gives the networks; called once the input is known to be good.
        mask, box, segmenter: see `Deoccluder.deocclude`; the mask is a file.

    Returns:
        What result.json holds.

    Raises:
        DeoccError: bad input, as `Deoccluder.deocclude` says, or `out` cannot be written.
    """
    out = require_writable(out)
    image = read_image(photo)
    view = make_view(image, None if mask is None else read_mask(mask), box, segmenter)
    deoccluder = load()
    answer = deoccluder.deocclude_views([view])[0]
    result = {
        "size": [image.shape[1], image.shape[0]],
        "frame": asdict(answer.frame),
        "occlusion_ratio": round(answer.occlusion_ratio, 4),
        "weights": deoccluder.identity,
        "notes": list(answer.notes),
    }
    with whole_folder(out) as folder:
        answer.save(folder)
        write_mask(folder / "invisible.png", answer.invisible_mask)
        write_image(folder / "overview.png", photo_overview(image, answer))
        write_json(folder / "result.json", result)
    return result


def photo_overview(image: np.ndarray, answer: Deocclusion) -> np.ndarray:
    """The photo, masks, body parts and the recovered photo side by side, shrunk; uint8 RGB."""
    step = max(1, -(-max(image.shape[:2]) // OVERVIEW_SIDE))
    small = np.s_[::step, ::step]
    return strip(
        {
            "photo": image[small],
            "visible and invisible": overlay_masks(
                image[small], answer.modal_mask[small], answer.amodal_mask[small]
            ),
            "body parts": parsing_picture(answer.parsing[small], image[small]),
            "recovered": answer.recovered[small],
        }
    )


# ------------------------------------------------------------------ the demo


def run_demo(
    deoccluder: Deoccluder, out: PathLike, cases: PathLike | None = None, seed: int = 0, progress: bool = True
) -> dict[str, Any]:
    """De-occludes a case folder twice: from the true visible masks, and from rough ones.

    Writes ``predictions-modal/``, ``predictions-initial/``, ``cases-modal/<id>.png`` and
    ``cases-initial/<id>.png`` (a strip a case: given, found, true), ``overview.png`` (all strips of the rough
    masks) and ``metrics.json``.

    Args:
        deoccluder: both stages.
        out: the folder; an earlier demo there is replaced.
        cases: the case folder; its cases need ground truth and an initial mask; None: the bundled one.
        seed: of the confidence intervals.
        progress: show bars.

    Returns:
        What metrics.json holds.

    Raises:
        DeoccError: the case folder is missing or damaged, or `out` cannot be written.
    """
    out, folder = require_writable(out), CaseFolder(cases or DEMO_CASES)
    for case in folder:  # all of the input is checked before anything is written
        for given in DEMO_GIVEN:
            initial_mask(case, given)
    full = {}
    for given, words in DEMO_GIVEN.items():
        predictions = out / f"predictions-{given}"
        predict_cases(deoccluder, folder, predictions, given, overwrite=True, progress=progress)
        full[words] = evaluate_folders(folder, predictions, seed, deoccluder.device, progress=progress)
        overview = _draw_cases(deoccluder, folder, given, out / f"cases-{given}")
    write_image(out / "overview.png", overview)
    metrics = {
        "cases": len(folder),
        "weights": deoccluder.identity,
        "mean": {words: _headline(result) for words, result in full.items()},
        "full": full,
    }
    write_json(out / "metrics.json", metrics)
    return metrics


def _headline(result: dict[str, Any]) -> dict[str, float]:
    return {
        name: round(result["metrics"][name]["value"], 4) for name in HEADLINE if name in result["metrics"]
    }


def _draw_cases(deoccluder: Deoccluder, folder: CaseFolder, given: Given, out: Path) -> np.ndarray:
    """Writes a strip a case and returns them one below the other; uint8 RGB."""
    answers = deoccluder.deocclude_views([case_view(case, given) for case in folder])
    strips = [render_case(case, answer) for case, answer in zip(folder, answers, strict=True)]
    with whole_folder(out) as temporary:
        for name, picture in zip(folder.ids, strips, strict=True):
            write_image(temporary / f"{name}.png", picture)
    width = max(picture.shape[1] for picture in strips)
    padded = [np.pad(p, ((0, 6), (0, width - p.shape[1]), (0, 0)), constant_values=255) for p in strips]
    return np.concatenate(padded)


# ------------------------------------------------------------------ folders of people and cases


def new_folder(out: PathLike) -> Path:
    """Checks that a folder can be made, or is empty. Raises: DeoccError where it holds something already."""
    out = require_writable(out)
    if out.is_dir() and any(out.iterdir()):
        raise DeoccError(f"{out}: holds something already; choose a new folder")
    return out


def write_cases(
    people: PathLike,
    out: PathLike,
    occluders: PathLike | None = None,
    split: str = "val",
    per_person: int = 3,
    ratio: tuple[float, float] = (0.08, 0.65),
    severity: float = 1.0,
    seed: int = 0,
    progress: bool = True,
    placement: str = "anywhere",
) -> int:
    """Makes a fixed case folder from a people folder; it appears whole or not at all.

    Args:
        people: people folder.
        out: the case folder; must not hold anything yet.
        occluders: people folder whose occluders of that split are pasted; None: `people` itself.
        split: "train", "val" or "all".
        per_person: cases a person.
        ratio: lowest and highest hidden share, 0 < low <= high <= 1.
        severity: of the errors of initial.png.
        seed: of every draw.
        progress: show a bar.
        placement: one of `priors.KINDS`, or a mix by name ("natural"); other kinds than "anywhere" are also
            matched to the photo's colours and sharpness.

    Returns:
        The number of cases.

    Raises:
        DeoccError: bad people folder, nobody in the split, a bad ratio, `out` in use or not to be written.
    """
    out, (low, high) = new_folder(out), ratio
    if not 0 < low <= high <= 1:
        raise DeoccError(f"ratio {low:g} {high:g}: the hidden share lies in (0, 1]; give LO <= HI in it")
    where = Placement.named(placement)
    look = PasteOptions() if placement == "anywhere" else NATURAL_PASTE
    part = None if split == "all" else split
    persons = PeopleFolder(people, part)
    things = PeopleFolder(occluders or people).occluders(part)
    for what, found in (("people", persons), ("occluders", things)):
        if not len(found):
            raise DeoccError(f"{found.path}: no {what} in split {split!r}; choose another --split")
    made = make_cases(persons, things, per_person, ratio, severity, seed, look, where)
    total = len(persons) * per_person
    with whole_folder(out) as temporary:
        for case in tqdm(made, "occluding", total, unit="case", disable=not progress):
            write_case(temporary, case)
    return total


# ------------------------------------------------------------------ tables of the paper


def make_table(
    number: str,
    preset: str,
    training: bool,
    people: tuple[Path, ...],
    cases: Path | None,
    images: int | None,
    seeds: int,
    only: tuple[str, ...],
    threads: int | None,
    runs: Path,
    out: Path,
    seed: int,
    device: str | None,
    stage1: Path | None = None,
    precision: str | None = None,
) -> tuple[str, Path]:
    """Makes what a table lacks (with `training`), then prints it from stored results.

    Returns:
        The table as Markdown, and the file it was written to; the same as JSON lies beside it.

    Raises:
        DeoccError: no such table or row, bad folders, or no result to print.
    """
    from deocc import table_report as R
    from deocc.table_rows import IMAGES, get_plan, people_digest
    from deocc.table_runs import TableMaker, TableOptions

    plan = get_plan(number)
    rows = plan.picked(only)
    pick_device(device)
    require_writable(out)
    left: list[str] = []
    if training:
        require_writable(runs)
        images = images or IMAGES[preset]
        options = TableOptions(
            preset, people, images, runs, out, cases, tuple(range(seed, seed + seeds)), threads, device,
            stage1, precision,
        )  # fmt: skip
        maker = TableMaker(plan, options)
        left = maker.make(rows)
        wanted = R.Setup(maker.data, images, maker.cases_digest, maker.stage1)
    else:
        data = people_digest(people) if people else ""
        wanted = R.Setup(data, images or 0, "" if cases is None else cases_digest(CaseFolder(cases)))
    table = R.collect(plan, preset, R.read_results([out]), wanted)
    table.notes += left
    R.require_results(table)
    text, _, page = R.save_report(table, out)
    return text, page
