"""``deocc deocclude``: completes one person of a photo file."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from deocc.errors import DeoccError
from deocc.figures.panels import overlay_masks, parsing_picture, strip
from deocc.inference.prepared import prepare
from deocc.inference.views import MOST_SAMPLES, check_count, check_mask, make_view
from deocc.io import (
    PathLike,
    Photo,
    check_polarity,
    read_json,
    read_mask_file,
    read_photo,
    refuse_overwriting,
    require_writable,
    turn,
    whole_folder,
    write_image,
    write_json,
    write_mask,
)

if TYPE_CHECKING:  # they load PyTorch
    from deocc.inference.answers import Deocclusion
    from deocc.inference.deoccluder import Deoccluder

PHOTO_FILES = (
    "modal.png", "amodal.png", "invisible.png", "parsing.png", "recovered.png", "overview.png", "result.json",
)  # fmt: skip

Fits = Literal["shown", "stored"]

OVERVIEW_SIDE = 1024  # longest side of a photo's pictures in its overview


def deocclude_photo(
    photo: PathLike,
    out: PathLike,
    load: Callable[[], Deoccluder],
    mask: PathLike | None = None,
    box: Sequence[float] | None = None,
    segmenter: str = "auto",
    exact: bool = False,
    points: Sequence[Sequence[float]] = (),
    samples: int = 1,
    mask_fits: Fits | None = None,
    seed: int = 0,
) -> dict[str, Any]:
    """Completes one person of a photo file and writes the answer as files.

    Args:
        photo: the picture file.
        out: folder for modal.png, amodal.png, invisible.png, parsing.png, recovered.png, overview.png and
            result.json; written completely or not at all.
        load: returns the `Deoccluder`. It is called after the input is checked, so that a wrong argument is
            refused before PyTorch is loaded.
        mask, box, segmenter, exact, points, samples, seed: see `Deoccluder.deocclude`; the mask is a file.
        mask_fits: see `fitting_mask`.

    Returns:
        The content of result.json.

    Raises:
        DeoccError: bad input as of `Deoccluder.deocclude` or `fitting_mask`, or an `out` that is not
            writable or where the photo or the mask would be overwritten.
    """
    check_count(samples, seed)
    if mask_fits is not None and mask is None:
        raise DeoccError(f"mask_fits is {mask_fits!r}, but no mask came; give one, or leave mask_fits out")
    out = require_writable(out)
    drawn = [f"recovered_{number}.png" for number in range(1, samples + 1) if samples > 1]
    refuse_overwriting(out, [*PHOTO_FILES, *drawn], [photo] if mask is None else [photo, mask])
    read = read_photo(photo)
    image, prompt_mask, notes = read.pixels, None, [f"photo: {note}" for note in read.notes]
    if mask is not None:
        prompt_mask = fitting_mask(mask, read, notes, mask_fits)
    view = make_view(image, prompt_mask, box, segmenter, exact, points)
    with ThreadPoolExecutor(1) as pool:  # OpenCV works while Python imports
        loading = pool.submit(load)
        ready = prepare(view)
        deoccluder = loading.result()
        if deoccluder.exemplar:
            pool.submit(_warm_up)  # while the networks work; an error comes again where it is needed
        answer = deoccluder.deocclude_views([ready], samples=samples, seed=seed)[0]
    result = {
        "size": [image.shape[1], image.shape[0]],
        "frame": asdict(answer.frame),
        "occlusion_ratio": round(answer.occlusion_ratio, 4),
        "weights": deoccluder.identity,
        "samples": len(answer.samples),
        "notes": [*notes, *answer.notes],
    }
    earlier = _samples_of(out / "result.json")
    with whole_folder(out, sweep=True) as folder, ThreadPoolExecutor(1) as pool:
        invisible = pool.submit(write_mask, folder / "invisible.png", answer.invisible_mask)
        overview = pool.submit(_write_overview, folder / "overview.png", image, answer)
        answer.save(folder)
        write_json(folder / "result.json", result)
        for job in (invisible, overview):
            job.result()
    inputs = [photo, *([] if mask is None else [mask])]
    _remove_samples(out, range(len(answer.samples) + 1, earlier + 1), inputs)
    return result


def _warm_up() -> None:
    """Loads Numba and what it has compiled, half a second that the painting would wait for."""
    from deocc.inference.exemplar import warm_up

    warm_up()


def _samples_of(path: Path) -> int:
    """How many samples the result.json of an earlier call names; 0 if it is missing or not ours."""
    try:
        count = read_json(path)["samples"]
    except (DeoccError, LookupError, TypeError):
        return 0
    return min(count, MOST_SAMPLES) if isinstance(count, int) else 0


def _remove_samples(out: Path, numbers: Iterable[int], spared: Sequence[PathLike]) -> None:
    """Removes samples of an earlier call; other files of such names are the user's."""
    for number in numbers:
        path = out / f"recovered_{number}.png"
        if path.is_file() and not any(path.samefile(other) for other in spared):
            path.unlink()


def fitting_mask(path: PathLike, photo: Photo, notes: list[str], fits: Fits | None = None) -> np.ndarray:
    """Reads the mask of a photo; a mask drawn on unturned pixels is turned with the photo.

    Only a photo that its EXIF orientation turns leaves a choice, and only if the mask has no orientation of
    its own.

    Args:
        path: the mask's file.
        photo: as it was read.
        notes: one sentence is added for each assumption.
        fits: whether the mask fits the photo as "shown" by viewers, or as "stored" in the file; None: its
            size decides.

    Returns:
        H x W bool.

    Raises:
        DeoccError: it cannot be read, its inside is unclear, it looks inverted, or `fits` is None and its
            size fits both ways.
    """
    file, shape = read_mask_file(path), photo.pixels.shape[:2]
    mask = file.mask
    notes += [f"mask: {note}" for note in file.notes]
    if photo.orientation != 1 and file.orientation == 1:
        turned = turn(mask, photo.orientation)
        if fits is None and mask.shape == turned.shape == shape and not np.array_equal(mask, turned):
            raise DeoccError(
                f"{path}: the photo is turned by its EXIF orientation {photo.orientation}, and the mask's "
                "size fits it turned and unturned; add --mask-fits shown or --mask-fits stored"
            )
        if fits == "stored" or (fits is None and mask.shape != shape and turned.shape == shape):
            notes.append(
                "mask: drawn on the photo's pixels as stored; turned by the photo's EXIF orientation"
            )
            mask = turned
        else:
            notes.append(
                f"mask: taken to fit the photo as shown, turned by EXIF orientation {photo.orientation}"
            )
    if mask.shape == shape:
        check_polarity(mask, path)
    try:
        check_mask(mask, photo.pixels)
    except DeoccError as error:
        raise DeoccError(f"{path}: {error}") from None
    return mask


def _write_overview(path: PathLike, image: np.ndarray, answer: Deocclusion) -> None:
    write_image(path, photo_overview(image, answer))


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
