"""Writes a people folder with stage 1's body parts of people who have none. Example:

python tools/label_people.py real-humans real-humans-2 --weights RUN/weights.safetensors --out labelled

Nothing hides these people, so that most labels are right; those that stage 1 is unsure of are 255 (ignored).
"""

import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from tqdm.auto import tqdm

from deocc.errors import DeoccError
from deocc.inference import Deoccluder
from deocc.inference.views import make_view
from deocc.labels import IGNORE
from deocc.memory import keep_freed_memory
from deocc.people import PeopleFolder, Person
from deocc.people.folder import write_people
from deocc.people.values import as_flag


def main(
    people: Annotated[list[Path], typer.Argument(help="People folders, of which split train is read.")],
    weights: Annotated[Path, typer.Option(help="Weights of stage 1.")],
    out: Annotated[Path, typer.Option(help="People folder to write.")],
    least: Annotated[float, typer.Option(help="Least probability of a label that counts.")] = 0.5,
    limit: Annotated[int | None, typer.Option(help="At most this many people.")] = None,
) -> None:
    """Labels people."""
    keep_freed_memory()
    if out.exists():
        raise DeoccError(f"{out} exists; give another folder")
    net = Deoccluder.masks_only(weights, "cpu")
    found = write_people(out, labelled(net, people, least, limit))
    shares = [float((p.parsing[p.amodal_mask] == IGNORE).mean()) for p in found if p.parsing is not None]
    print(f"{len(found)} people in {out}; on average {np.mean(shares):.0%} of a person is ignored")


def labelled(net: Deoccluder, people: list[Path], least: float, limit: int | None) -> Iterator[Person]:
    """People without body parts, with stage 1's."""
    plain = [
        (folder, i)
        for folder in (PeopleFolder(path, "train") for path in people)
        for i, row in enumerate(folder.rows)
        if not as_flag(row["has_parsing"], f"{folder.path / 'people.csv'}: {row['id']}: has_parsing")
    ]
    names = [folder.ids[i] for folder, i in plain]
    if twice := {name for name in names if names.count(name) > 1}:
        raise DeoccError(f"id {min(twice)!r} is in two of the folders; label them one by one")
    if not plain:
        raise DeoccError(f"{', '.join(map(str, people))}: everybody in split train has body parts already")
    for folder, i in tqdm(plain[:limit], "labelling", unit="person"):
        person = folder[i]
        view = make_view(person.image, person.amodal_mask, exact=True)
        logits = net.stage1(*net.tensors([view], net.mask_size)).parsing_amodal[0, 1:]  # 19 x S x S
        best, label = logits.softmax(0).max(0)
        shape = person.image.shape[:2]
        sure = view.frame.paste(best.cpu().numpy(), shape) >= least
        labels = view.frame.paste((label + 1).cpu().numpy().astype(np.uint8), shape, mode="nearest")
        labels = np.where(sure & (labels > 0), labels, IGNORE)  # 0 beyond the frame
        yield replace(person, parsing=np.where(person.amodal_mask, labels, 0).astype(np.uint8))


if __name__ == "__main__":
    try:
        typer.run(main)
    except DeoccError as error:
        sys.exit(f"error: {error}")
