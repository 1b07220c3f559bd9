"""The prediction folder: for each case, ``modal.png``, ``amodal.png``, ``parsing.png``, ``recovered.png``."""

import hashlib
import shutil
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from tqdm.auto import tqdm

from deocc import __version__
from deocc.errors import DeoccError
from deocc.inference.deoccluder import Deoccluder
from deocc.inference.sharing import at_work, is_whole_png, others_at_work, sweep
from deocc.inference.views import View, check_choice, make_view, preferred_segmenter
from deocc.io import (
    PathLike,
    read_image,
    read_json,
    read_mask,
    read_parsing,
    remove_temporaries,
    require_writable,
    whole_folder,
    write_json,
)
from deocc.memory import keep_freed_memory
from deocc.occlusion import CaseFolder, OcclusionCase
from deocc.occlusion.batch import Prompt, prompt_mask

FILES = {  # what a prediction folder may hold of a case
    "modal_mask": "modal.png", "amodal_mask": "amodal.png",
    "parsing": "parsing.png", "recovered": "recovered.png",
}  # fmt: skip
SETTINGS = "predict.json"  # how the folder was made; a resumed run must have the same settings


@dataclass(frozen=True)
class CasePrediction:
    """A system's answer to one case at the photo's size; None for what it does not predict.

    Attributes:
        modal_mask, amodal_mask: H x W bool.
        parsing: H x W uint8, LIP classes of the whole person.
        recovered: H x W x 3 uint8, the photo without the occluder.
    """

    modal_mask: np.ndarray | None = None
    amodal_mask: np.ndarray | None = None
    parsing: np.ndarray | None = None
    recovered: np.ndarray | None = None

    @property
    def invisible_mask(self) -> np.ndarray | None:
        """The predicted M_a and not M_m; None if one of them is None."""
        if self.modal_mask is None or self.amodal_mask is None:
            return None
        return self.amodal_mask & ~self.modal_mask


def prediction_files(path: PathLike, ids: Sequence[str]) -> list[str]:
    """Which files (modal.png, ...) a prediction folder has of every case.

    Raises:
        DeoccError: no such folder, no prediction of these cases, or some cases lack a file that others have.
    """
    path = Path(path)
    if not path.is_dir():
        raise DeoccError(f"{path}: no such folder; make predictions with `deocc predict CASES --out {path}`")
    if any((path / name / "case.json").is_file() for name in ids):
        raise DeoccError(f"{path}: holds cases, no predictions; name the folder that `deocc predict` wrote")
    present = {file: [name for name in ids if (path / name / file).is_file()] for file in FILES.values()}
    kinds = [file for file, names in present.items() if names]
    if not kinds:
        raise DeoccError(
            f"{path}: holds no prediction of these cases, such as {ids[0]}/amodal.png; name the folder that "
            "`deocc predict` wrote for them"
        )
    for file in kinds:
        missing = sorted(set(ids) - set(present[file]))
        if missing:
            raise DeoccError(
                f"{path / missing[0] / file}: no such file; {len(missing)} of {len(ids)} cases lack it; "
                "predict them too (a run that was cut off resumes where it stopped)"
            )
    return kinds


def read_prediction(folder: PathLike, files: Iterable[str] = tuple(FILES.values())) -> CasePrediction:
    """Reads one case's prediction. Raises: DeoccError where a file is missing or damaged."""
    folder = Path(folder)
    readers = {"modal.png": read_mask, "amodal.png": read_mask, "parsing.png": read_parsing}
    names = {file: name for name, file in FILES.items()}
    return CasePrediction(**{names[file]: readers.get(file, read_image)(folder / file) for file in files})


def predict_cases(
    deoccluder: Deoccluder,
    cases: PathLike | CaseFolder,
    out: PathLike,
    prompt: Prompt = "initial",
    batch: int = 16,
    segmenter: str = "auto",
    overwrite: bool = False,
    progress: bool = True,
    shard: tuple[int, int] = (1, 1),
) -> list[str]:
    """Writes a prediction folder for a case folder; the same call resumes an interrupted run.

    All cases are read before the first is predicted. Each case's folder appears whole or not at all.

    Args:
        deoccluder: both stages.
        cases: the case folder.
        out: the prediction folder; it may hold predictions of the same, interrupted run.
        prompt: what stage 1 starts from: "initial" (M_i), "modal" (the true visible mask), or "box" (the box
            of case.json; a segmenter finds the rough mask).
        batch: cases at once, at least 1.
        segmenter: for "box", see `deocc.segmenters.segment`.
        overwrite: replace the predictions of any other run.
        progress: show a bar.
        shard: (i, n), counted from 1: every n-th case alone; all parts together equal one run, at the same
            time or one after the other.

    Returns:
        Names of the cases that this call predicted.

    Raises:
        DeoccError: a case is damaged or lacks what `prompt` names; `out` cannot be written, holds
            predictions of other weights, settings or cases, or another process is at this part of it.
    """
    if batch < 1:
        raise DeoccError(f"batch is {batch}; at least 1 case at a time")
    folder = cases if isinstance(cases, CaseFolder) else CaseFolder(cases)
    out = require_writable(out)
    settings = _settings(deoccluder, folder, prompt, segmenter)
    check_choice(segmenter)
    _check_folder(out, folder, settings, overwrite, shard)
    mine = range(shard[0] - 1, len(folder), shard[1])
    names = [folder.ids[i] for i in mine]
    for i in tqdm(mine, desc="checking cases", unit="case", disable=not progress, leave=False):
        if overwrite or not _is_done(out / folder.ids[i]):
            prompt_mask(folder[i], prompt)
    keep_freed_memory()
    with at_work(out, shard, lambda: _agree(out, folder, settings, overwrite, shard), settings):
        sweep(out, names)
        todo = [i for i in mine if overwrite or not _is_done(out / folder.ids[i])]
        for i in todo if overwrite else ():
            shutil.rmtree(out / folder.ids[i], ignore_errors=True)
        with tqdm(total=len(todo), desc="predicting", unit="case", disable=not progress) as bar:
            for start in range(0, len(todo), batch):
                chunk = todo[start : start + batch]
                views = [case_view(folder[i], prompt, segmenter) for i in chunk]
                for i, answer in zip(chunk, deoccluder.deocclude_views(views), strict=True):
                    with whole_folder(out / folder.ids[i]) as temporary:
                        answer.save(temporary)
                bar.update(len(chunk))
    return [folder.ids[i] for i in todo]


def case_view(case: OcclusionCase, prompt: Prompt, segmenter: str = "auto") -> View:
    """The view of a case. Raises: DeoccError: the case lacks that mask, or the segmenter does not run.

    "auto" is the same segmenter for all cases here: none takes its place where it does not run.
    """
    mask = prompt_mask(case, prompt)
    if prompt == "box":
        named = preferred_segmenter() if segmenter == "auto" else segmenter
        return make_view(case.image, box=case.given_box, segmenter=named)
    return make_view(case.image, mask=mask)


def _is_done(folder: Path) -> bool:
    """Whether all of a case's predictions are there and whole."""
    return all(is_whole_png(folder / name) for name in FILES.values())


def _settings(deoccluder: Deoccluder, folder: CaseFolder, prompt: Prompt, segmenter: str) -> dict[str, Any]:
    """The settings of a prediction; runs with other settings may not share a folder."""
    settings: dict[str, Any] = {
        "deocc": __version__, "weights": deoccluder.identity, "given": prompt, "flip": deoccluder.flip,
        "texture": deoccluder.texture, "exemplar": deoccluder.exemplar, "cases": cases_digest(folder),
    }  # fmt: skip
    if prompt == "box":
        settings["segmenter"] = preferred_segmenter() if segmenter == "auto" else segmenter
    return settings


def cases_digest(folder: CaseFolder) -> str:
    """A short name of a case folder's content: names and case.json of all cases, sizes of their pictures."""
    sha = hashlib.sha256()
    for name in folder.ids:
        sha.update(name.encode())
        for path in sorted((folder.path / name).glob("[!.]*")):  # what file managers hide is no content
            facts = f"{path.name}{path.stat().st_size}".encode()
            sha.update(path.read_bytes() if path.suffix == ".json" else facts)
    return sha.hexdigest()[:16]


OTHER_CASES = "predictions were made for another set of cases, or before it changed; see predict.json"


def made_for_others(predictions: Path, folder: CaseFolder) -> bool:
    """Whether a prediction folder says that it was made for other cases, or before they changed."""
    path = predictions / SETTINGS
    if not path.is_file():
        return False
    with suppress(DeoccError):
        settings = read_json(path)
        return isinstance(settings, dict) and settings.get("cases") not in (None, cases_digest(folder))
    return False


def _agree(
    out: Path, folder: CaseFolder, settings: dict[str, Any], overwrite: bool, shard: tuple[int, int]
) -> None:
    """Checks the content of `out`, and stores the settings of this run.

    With --overwrite, all predictions of another run are deleted, so that no mixture remains.
    """
    _check_folder(out, folder, settings, overwrite, shard)
    remove_temporaries(out, SETTINGS.__eq__)
    path = out / SETTINGS
    with suppress(DeoccError):  # missing or damaged: written anew
        if read_json(path) == settings:
            return
    if overwrite:
        for name in folder.ids:
            shutil.rmtree(out / name, ignore_errors=True)
    write_json(path, settings)


def _check_folder(
    out: Path, folder: CaseFolder, settings: dict[str, Any], overwrite: bool, shard: tuple[int, int]
) -> None:
    """Raises DeoccError if `out` holds anything but predictions, or those of another run.

    Args:
        shard: of this process; another one that is at work must have the same settings.
    """
    for name in folder.ids:
        other = sorted(p.name for p in (out / name).glob("[!.]*") if p.name not in FILES.values())
        if other:
            raise DeoccError(f"{out / name}: holds {other[0]}, which is no prediction; choose another folder")
    path = out / SETTINGS
    begun = [name for name in folder.ids if any((out / name).glob("*"))]
    if not path.is_file():
        if begun and not overwrite:
            raise DeoccError(
                f"{out}: holds predictions of {begun[0]}, but no {SETTINGS} that says whose they are; choose "
                "another folder, or replace them with --overwrite"
            )
        return
    try:
        earlier = read_json(path)
    except DeoccError:
        if overwrite:
            return
        raise
    changed = [key for key in settings if not isinstance(earlier, dict) or earlier.get(key) != settings[key]]
    if changed and others_at_work(out, shard, settings):
        raise DeoccError(
            f"{out}: another process predicts into it (other {', '.join(changed)}); wait until it is done, "
            "or choose another folder"
        )
    if changed and not overwrite and any(path.name in FILES.values() for path in out.glob("*/*.png")):
        raise DeoccError(
            f"{out}: holds predictions of another run (other {', '.join(changed)}); choose another folder, "
            "or replace them with --overwrite"
        )
