"""Packs cases with stage 1's answers for training the painter (`deocc.training.packed`).

Every case is occluded once, completed by stage 1 as in `Deoccluder` (frame, borders from the photo), and
stored at the photo's resolution. Stage 1 must not have been trained on people whose answers are stored.
Example:

    python tools/prepare_painter.py PEOPLE --out runs/packed/other --guess --per-person 2
"""

import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from tqdm.auto import tqdm

from deocc.errors import DeoccError
from deocc.experiments.people import Picked, is_held_out, load_people
from deocc.experiments.presets import SMALL_MIX
from deocc.inference import Deoccluder
from deocc.inference.photo import paste_parsing
from deocc.inference.views import View
from deocc.masks import person_frame
from deocc.occlusion import OcclusionCase, OcclusionDataset
from deocc.paths import WEIGHTS
from deocc.people import PeopleFolder
from deocc.training.packed import PackedWriter

MIX = replace(SMALL_MIX, unoccluded=0.0, degrade=0.0)


def main(
    people: Annotated[Path, typer.Argument(help="People folder, of which split train is read.")],
    out: Annotated[Path, typer.Option(help="Folder of the pack.")],
    occluders: Annotated[
        Path | None, typer.Option(help="People folder with occluders, if not the same.")
    ] = None,
    stage1: Annotated[Path, typer.Option(help="Weights of stage 1.")] = WEIGHTS / "mask-small.safetensors",
    guess: Annotated[
        bool, typer.Option("--guess", help="Store stage 1's answer for the occluded photo.")
    ] = False,
    tuning: Annotated[bool, typer.Option("--tuning", help="Use the tuning tenth instead.")] = False,
    per_person: int = 1,
    limit: Annotated[int | None, typer.Option(help="At most this many cases.")] = None,
    size: Annotated[int, typer.Option(help="People are 0.9 times as tall, in pixels.")] = 248,
    seed: int = 0,
    batch: int = 8,
) -> None:
    """Packs occluded people."""
    things = load_people([occluders or people])
    crowd = people_of(people, tuning)
    cut_outs = things.tuning_occluders if tuning else things.occluders
    data = OcclusionDataset(crowd, cut_outs, size, seed, MIX)
    net = Deoccluder.masks_only(stage1, "cpu", flip=False)
    wanted = [(i, k) for k in range(per_person) for i in range(len(crowd))][:limit]
    with PackedWriter(out) as pack:
        for start in tqdm(range(0, len(wanted), batch)):
            drawn = list(_cases(data, wanted[start : start + batch], seed))
            views = [_view(case, given) for case, given in drawn] if guess else []
            found = net.deocclude_views(views, paint=False) if guess else [None] * len(drawn)
            whole = labels_for([case for case, _ in drawn], net)
            for (case, _), answer, labels in zip(drawn, found, whole, strict=True):
                pack.add(case, labels, answer)


def people_of(folder: Path, tuning: bool) -> Picked:
    """People of split train, without the tenth held out, or that tenth."""
    everyone = PeopleFolder(folder, "train")
    return Picked(everyone, [i for i, name in enumerate(everyone.ids) if is_held_out(name) == tuning])


def _cases(
    data: OcclusionDataset, wanted: list[tuple[int, int]], seed: int
) -> Iterator[tuple[OcclusionCase, np.ndarray]]:
    """Occluded people and their rough masks."""
    for index, copy in wanted:
        rng = np.random.default_rng([seed, copy, index])
        case = data.case(index, rng)
        yield case, data.initial(case, rng)


def _view(case: OcclusionCase, given: np.ndarray) -> View:
    return View(case.image, given, person_frame(given, photo_shape=given.shape))


def labels_for(cases: Sequence[OcclusionCase], net: Deoccluder) -> list[np.ndarray]:
    """Labels of whole people: true ones, or stage 1's from the unoccluded photo if a person has none."""
    bare = [case for case in cases if case.parsing_amodal is None]
    views = []
    for case in bare:
        assert case.target is not None and case.amodal_mask is not None
        views.append(_view(replace(case, image=case.target), case.amodal_mask))
    found = iter(_whole_labels(views, net) if views else [])
    return [next(found) if case.parsing_amodal is None else case.parsing_amodal for case in cases]


def _whole_labels(views: Sequence[View], net: Deoccluder) -> list[np.ndarray]:
    """Stage 1's likeliest part at every pixel of the given mask."""
    maps = net.stage1(*net.tensors(views, net.mask_size)).parsing_amodal.permute(0, 2, 3, 1).cpu().numpy()
    return [
        paste_parsing(np.ascontiguousarray(logits), view.frame, view.initial_mask)
        for logits, view in zip(maps, views, strict=True)
    ]


if __name__ == "__main__":
    try:
        typer.run(main)
    except DeoccError as error:
        sys.exit(f"error: {error}")
