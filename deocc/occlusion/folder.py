"""The case folder: fixed occlusion cases on disk."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np

from deocc.errors import DeoccError, PlacementError
from deocc.io import (
    PathLike,
    read_image,
    read_json,
    read_mask,
    read_parsing,
    refuse_unclear_turn,
    remove_temporaries,
    safe_name,
    write_image,
    write_json,
    write_mask,
    write_parsing,
)
from deocc.io.begun import require_whole
from deocc.occlusion.case import OcclusionCase, PasteOptions, occlude, unoccluded_case
from deocc.occlusion.kinds import occlude_as
from deocc.occlusion.placement import RatioDensity, as_density
from deocc.occlusion.priors import Placement, suits_by_name
from deocc.occlusion.segmenter_error import segmenter_error
from deocc.people import Occluder, Occluders, Person
from deocc.people.values import as_flag, soft_key

MASK_FILES = {
    "modal_mask": "modal.png", "amodal_mask": "amodal.png", "occluder_mask": "occluder.png",
    "initial_mask": "initial.png",
}  # fmt: skip


def write_case(path: PathLike, case: OcclusionCase) -> Path:
    """Writes a case into ``path/<case.id>/``; ``case.json`` comes last and marks it whole."""
    folder = Path(path) / safe_name(case.id, "case id")
    write_image(folder / "image.png", case.image)
    if case.target is not None:
        write_image(folder / "target.png", case.target)
    for name, file in MASK_FILES.items():
        if (mask := getattr(case, name)) is not None:
            write_mask(folder / file, mask)
    if case.parsing_amodal is not None:
        write_parsing(folder / "parsing.png", case.parsing_amodal)
    facts = {
        "box_xyxy": list(case.given_box),
        "occlusion_ratio": None if np.isnan(case.occlusion_ratio) else round(case.occlusion_ratio, 6),
        "person_id": case.person_id,
        "true_sides": case.true_sides,
    } | ({"placement": case.placement} if case.placement else {})
    write_json(folder / "case.json", facts)
    return folder


def read_case(folder: PathLike) -> OcclusionCase:
    """Reads one case.

    Raises:
        DeoccError: no image, no box, files that are damaged or of different sizes, or masks that fit the
            photo turned and unturned.
    """
    folder = Path(folder)
    facts = read_json(folder / "case.json")
    if not isinstance(facts, dict):
        raise DeoccError(f"{folder / 'case.json'}: expected an object with box_xyxy; write the case again")
    image = read_image(folder / "image.png")
    parts: dict[str, Any] = {}
    for name, file in MASK_FILES.items():
        if (folder / file).exists():
            parts[name] = read_mask(folder / file)
    if (folder / "parsing.png").exists():
        parts["parsing_amodal"] = read_parsing(folder / "parsing.png")
    if (folder / "target.png").exists():
        parts["target"] = read_image(folder / "target.png")
    for name, array in parts.items():
        if array.shape[:2] != image.shape[:2]:
            file = MASK_FILES.get(name, name.split("_")[0] + ".png")
            raise DeoccError(
                f"{folder / file}: {array.shape[1]} x {array.shape[0]} pixels, but image.png has "
                f"{image.shape[1]} x {image.shape[0]}; make them the same size"
            )
    files = {*MASK_FILES.values(), "parsing.png", "target.png"}
    refuse_unclear_turn(folder / "image.png", sorted(folder / f for f in files if (folder / f).exists()))
    case = OcclusionCase(
        folder.name,
        image,
        person_id=person_of(facts),
        true_sides=as_flag(facts.get("true_sides"), f"{folder / 'case.json'}: true_sides"),
        placement=str(facts.get("placement", "")),
        **parts,
    )
    has_box = facts.get("box_xyxy") is not None or case.modal_mask is None
    return _with_box(case, facts, folder) if has_box else case


def person_of(facts: dict) -> str:
    """The id of a case's person, of any type, as text; "" if case.json (`facts`) has none."""
    value = facts.get("person_id")
    return "" if value in (None, "") else soft_key(value) or str(value)


def _with_box(case: OcclusionCase, facts: dict, folder: Path) -> OcclusionCase:
    """Checks the box of case.json; a case without a visible mask needs it."""
    box = facts.get("box_xyxy")
    numbers = (
        isinstance(box, list)
        and len(box) == 4
        and all(isinstance(v, int | float) and abs(v) < 2**31 for v in box)
    )  # no NaN either
    if not numbers or box[2] <= box[0] or box[3] <= box[1]:  # type: ignore[index]
        raise DeoccError(f"{folder / 'case.json'}: box_xyxy must be [x0, y0, x1, y1] with x0 < x1, y0 < y1")
    return replace(case, known_box=tuple(round(v) for v in box))  # type: ignore[union-attr]


class CaseFolder(Sequence[OcclusionCase]):
    """Fixed cases, read on demand, in the order of their names."""

    def __init__(self, path: PathLike):
        """Raises: DeoccError: no such folder, no case (a folder with case.json) in it, or not all of them."""
        self.path = Path(path)
        if not self.path.is_dir():
            raise DeoccError(f"{self.path}: no such case folder; make one with `deocc occlude`")
        require_whole(self.path, "occlude")
        folders = [path for path in self.path.iterdir() if path.is_dir()]
        if closed := [path for path in folders if not os.access(path, os.R_OK | os.X_OK)]:
            raise DeoccError(f"{min(closed)}: no permission to read this case; allow it, or move it away")
        self.ids = sorted(path.name for path in folders if (path / "case.json").exists())
        if not self.ids:
            raise DeoccError(
                f"{self.path}: no case (a folder with case.json) inside; make some with `deocc occlude`"
            )

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, index):  # type: ignore[no-untyped-def, override]
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        return read_case(self.path / self.ids[index])


def make_cases(
    people: Sequence[Person],
    occluders: Sequence[Occluder],
    per_person: int = 3,
    density: RatioDensity | str | Sequence[float] = "val",
    severity: float = 1.0,
    seed: int = 0,
    options: PasteOptions = PasteOptions(),  # noqa: B008 (frozen)
    placement: Placement = Placement(),  # noqa: B008 (frozen)
) -> Iterator[OcclusionCase]:
    """Fixed validation cases: each person behind `per_person` occluders.

    Each case depends on (seed, person's index, number) alone.

    Args:
        people, occluders: of the split in question.
        per_person: cases per person (the paper: 3, claim `val_occluders`).
        density: of occlusion ratios; a density, its name, or (low, high).
        severity: of the segmenter-error model that makes M_i.
        seed: first part of every case's seed.
        options: how occluders are fitted.
        placement: where they are; other kinds than "anywhere" also use the other people.

    Raises:
        PlacementError: twenty occluders in turn fit nowhere at the drawn ratio.
    """
    for index in range(len(people)):
        for number in range(per_person):
            yield make_case(people, index, number, occluders, density, severity, seed, options, placement)


def case_name(person_id: str, number: int) -> str:
    """Name of a person's case: a single folder, even if the person's id contains folders ("session1/x")."""
    flat = person_id.replace("/", "_").replace("\\", "_")
    if flat != person_id:  # a_b is somebody else than a/b
        flat += "-" + sha256(person_id.encode()).hexdigest()[:8]
    return f"{flat}_{number}"


def make_case(
    people: Sequence[Person],
    index: int,
    number: int,
    occluders: Sequence[Occluder],
    density: RatioDensity | str | Sequence[float] = "val",
    severity: float = 1.0,
    seed: int = 0,
    options: PasteOptions = PasteOptions(),  # noqa: B008 (frozen)
    placement: Placement = Placement(),  # noqa: B008 (frozen)
) -> OcclusionCase:
    """One of the cases of `make_cases`. Args: index: of the person; number: of the person's cases.

    Raises:
        PlacementError: twenty occluders in turn fit nowhere at the drawn ratio, or nothing of the person is
            left to see.
    """
    person = people[index]
    name = case_name(person.id, number)
    rng, ratio, kind = first_draws(index, number, density, seed, placement)
    if ratio <= options.tolerance:  # else "hides nothing" would be within it
        options = replace(options, tolerance=0.99 * ratio)
    case = _draw_kind(people, index, occluders, ratio, rng, options, kind, name)
    if case is None:
        case = _draw_case(person, occluders, ratio, rng, options, name)
    assert case.modal_mask is not None and case.amodal_mask is not None and case.occluder_mask is not None
    if not case.modal_mask.any():
        raise PlacementError(f"{name}: at ratio {ratio:.3f} the occluder hides the person completely")
    mask = segmenter_error(case.modal_mask, case.amodal_mask, case.occluder_mask, severity, rng)
    return replace(case, initial_mask=mask)


def first_draws(
    index: int, number: int, density: RatioDensity | str | Sequence[float], seed: int, placement: Placement
) -> tuple[np.random.Generator, float, str]:
    """What a case of `make_case` (same arguments) begins with: source of draws, ratio, wanted kind."""
    rng = np.random.default_rng([seed, index, number])
    return rng, float(as_density(density).sample(rng)), placement.draw(rng)


def _draw_kind(people: Sequence[Person], index: int, occluders: Sequence[Occluder], ratio: float,
               rng: np.random.Generator, options: PasteOptions, kind: str, case_id: str,
               ) -> OcclusionCase | None:  # fmt: skip
    """A case of a kind; None for plain pasting, or if no occluder reaches the ratio in this way.

    A damaged file of another person or of a thing counts as one that does not fit.
    """
    if kind == "anywhere":
        return None

    def thing(r: np.random.Generator) -> Occluder | None:
        at = int(r.integers(len(occluders)))
        if isinstance(occluders, Occluders) and not suits_by_name(kind, occluders.rows[at]["category"]):
            return None  # its picture need not be read
        try:
            return occluders[at]
        except DeoccError:
            return None

    def other(r: np.random.Generator) -> Person:
        try:
            return people[(index + 1 + int(r.integers(max(1, len(people) - 1)))) % len(people)]
        except DeoccError as error:
            raise PlacementError(str(error)) from error

    try:
        case = unoccluded_case(people[index], case_id)
        return occlude_as(kind, case, ratio, rng, thing, other, options, tries=8)
    except PlacementError:
        return None


def _draw_case(person: Person, occluders: Sequence[Occluder], ratio: float, rng: np.random.Generator,
               options: PasteOptions, case_id: str) -> OcclusionCase:  # fmt: skip
    for attempt in range(20):
        try:
            occluder = occluders[int(rng.integers(len(occluders)))]
            return occlude(person, occluder, ratio, rng, options, case_id)
        except DeoccError:  # it fits nowhere, or its file is damaged: another one may do
            if attempt == 19:
                raise
    raise AssertionError("unreachable")


def write_natural_case(
    folder: PathLike,
    name: str,
    image: np.ndarray,
    modal: np.ndarray,
    amodal: np.ndarray,
    occluder: np.ndarray,
) -> None:
    """Writes a naturally occluded person as a case without target: the hidden pixels are unknown.

    Args:
        folder: the case folder.
        name: id of the case and of the person.
        image: H x W x 3 uint8.
        modal, amodal, occluder: H x W bool.
    """
    place = Path(folder) / safe_name(name, "case id")
    remove_temporaries(place, lambda left: left.endswith((".png", ".json")))  # of a run that was killed
    write_case(folder, OcclusionCase(name, image, modal, amodal, None, occluder, person_id=name))
