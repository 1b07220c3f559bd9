"""The prediction folder: ``<id>/modal.png``, ``amodal.png``, ``parsing.png``, ``recovered.png`` a case."""

import hashlib
import shutil
from pathlib import Path
from typing import Any

from tqdm.auto import tqdm

from deocc import __version__
from deocc.errors import DeoccError
from deocc.evaluation import FILES as EVALUATED
from deocc.io import PathLike, read_json, require_writable, whole_folder, write_json
from deocc.memory import keep_freed_memory
from deocc.occlusion import CaseFolder, OcclusionCase
from deocc.occlusion.dataset import initial_mask
from deocc.pipeline import Deoccluder, Given, View, make_view

FILES = tuple(EVALUATED.values())
SETTINGS = "predict.json"  # what made the folder: a run that goes on there must agree with it


def predict_cases(
    deoccluder: Deoccluder,
    cases: PathLike | CaseFolder,
    out: PathLike,
    given: Given = "initial",
    batch: int = 16,
    segmenter: str = "auto",
    overwrite: bool = False,
    progress: bool = True,
) -> list[str]:
    """Writes a prediction folder for a case folder; a run that was cut off goes on where it stopped.

    Every case is read before the first is predicted, and each case's folder appears whole or not at all.

    Args:
        deoccluder: both stages.
        cases: the case folder.
        out: the prediction folder; may hold predictions that the same run made before it was cut off.
        given: what stage 1 is told: "initial" (M_i), "modal" (the true visible mask), or "box" (the box of
            case.json; a segmenter finds the rough mask).
        batch: cases at once, at least 1.
        segmenter: for "box", see `deocc.segmenters.segment`.
        overwrite: replace predictions of an earlier run, whatever made them.
        progress: show a bar.

    Returns:
        Names of the cases predicted now, without those found done.

    Raises:
        DeoccError: a case is damaged or lacks what `given` names; `out` cannot be written, or holds
            predictions of other weights, settings or cases.
    """
    if batch < 1:
        raise DeoccError(f"batch is {batch}; at least 1 case at a time")
    folder = cases if isinstance(cases, CaseFolder) else CaseFolder(cases)
    out = require_writable(out)
    settings = _settings(deoccluder, folder, given, segmenter)
    _check_folder(out, folder, settings, overwrite)
    keep_freed_memory()
    todo = [i for i, name in enumerate(folder.ids) if overwrite or not _is_done(out / name)]
    for i in tqdm(todo, desc="checking cases", unit="case", disable=not progress, leave=False):
        initial_mask(folder[i], given)
    if overwrite:
        for i in todo:
            shutil.rmtree(out / folder.ids[i], ignore_errors=True)
    write_json(out / SETTINGS, settings)
    with tqdm(total=len(todo), desc="predicting", unit="case", disable=not progress) as bar:
        for start in range(0, len(todo), batch):
            chunk = todo[start : start + batch]
            views = [case_view(folder[i], given, segmenter) for i in chunk]
            for i, answer in zip(chunk, deoccluder.deocclude_views(views), strict=True):
                with whole_folder(out / folder.ids[i]) as temporary:
                    answer.save(temporary)
            bar.update(len(chunk))
    return [folder.ids[i] for i in todo]


def case_view(case: OcclusionCase, given: Given, segmenter: str = "auto") -> View:
    """A case as the networks are asked about it. Raises: DeoccError where it lacks that mask."""
    mask = initial_mask(case, given)
    if given == "box":
        return make_view(case.image, box=case.box_xyxy, segmenter=segmenter)
    return make_view(case.image, mask=mask)


def _is_done(folder: Path) -> bool:
    return all((folder / name).is_file() for name in FILES)


def _settings(deoccluder: Deoccluder, folder: CaseFolder, given: Given, segmenter: str) -> dict[str, Any]:
    """What a prediction depends on; two runs may share a folder only when they agree in it."""
    settings: dict[str, Any] = {
        "deocc": __version__, "weights": deoccluder.identity, "given": given, "flip": deoccluder.flip,
        "texture": deoccluder.texture, "cases": cases_digest(folder),
    }  # fmt: skip
    return settings | ({"segmenter": segmenter} if given == "box" else {})


def cases_digest(folder: CaseFolder) -> str:
    """A short name of a case folder's content: names and case.json of all cases, sizes of their pictures."""
    sha = hashlib.sha256()
    for name in folder.ids:
        sha.update(name.encode())
        for path in sorted((folder.path / name).iterdir()):
            facts = f"{path.name}{path.stat().st_size}".encode()
            sha.update(path.read_bytes() if path.suffix == ".json" else facts)
    return sha.hexdigest()[:16]


def _check_folder(out: Path, folder: CaseFolder, settings: dict[str, Any], overwrite: bool) -> None:
    """Raises DeoccError where `out` holds something else than predictions, or those of another run."""
    for name in folder.ids:
        other = sorted(p.name for p in (out / name).glob("*") if p.name not in FILES)
        if other:
            raise DeoccError(f"{out / name}: holds {other[0]}, which is no prediction; choose another folder")
    path = out / SETTINGS
    if overwrite or not path.is_file():
        return
    earlier = read_json(path)
    changed = [key for key in settings if not isinstance(earlier, dict) or earlier.get(key) != settings[key]]
    if changed:
        raise DeoccError(
            f"{out}: holds predictions of another run (other {', '.join(changed)}); choose another folder, "
            "or replace them with --overwrite"
        )
