"""Reads a photo in the orientation of its annotations, which EXIF may contradict."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from deocc.errors import DeoccError
from deocc.io import read_image
from deocc.people.filtering import edge_agreement
from deocc.people.sources.candidates import Photo
from deocc.people.sources.problems import Unusable
from deocc.people.sources.regions import BoxOnly, LabelPicture, labels_of

ORIENTATION = 0x0112  # EXIF's tag; 1 is upright
CLEARLY = 0.1  # by which masks must follow the edges better one way up than the other


def is_turned(path: Path) -> bool:
    """Whether EXIF wants the stored pixels turned or mirrored; False if EXIF is damaged."""
    try:
        with Image.open(path) as image:
            return image.getexif().get(ORIENTATION, 1) in range(2, 9)
    except Exception:  # Pillow raises whatever damaged EXIF makes it stumble over; the pixels may be whole
        return False


def annotated_size(photo: Photo) -> tuple[int, int] | None:
    """Height and width of the pixels that the annotations were drawn on, if known."""
    if photo.size is not None:
        return photo.size
    for subject in photo.subjects:
        if isinstance(subject.region, LabelPicture):
            labels = labels_of(subject.region.path, subject.region.field)
            return labels.shape[0], labels.shape[1]
    return None


def shown_people(photo: Photo) -> np.ndarray | None:
    """All people's visible masks together, H x W bool; None if no size or mask is known."""
    shape, found = annotated_size(photo), None
    for subject in photo.subjects if shape else ():
        if subject.role == "person" and not isinstance(subject.region, BoxOnly):
            try:
                mask = (subject.modal or subject.region).mask(shape)  # type: ignore[arg-type]
            except Unusable:
                continue
            found = mask if found is None else found | mask
    return found


def read_as_annotated(
    path: Path, size: tuple[int, int] | None, people: Callable[[], np.ndarray | None] | None = None
) -> np.ndarray:
    """Reads a photo in the orientation of its annotations.

    Args:
        path: the photo.
        size: height and width according to the annotations. If the stored pixels have this size, they are
            used, as in most annotation tools; else the turned ones.
        people: makes their mask, which decides if EXIF turns the photo and both orientations have this size.
            Without it, as in datasets of boxes, the stored pixels are used.

    Returns:
        H x W x 3 uint8.

    Raises:
        Unusable: the photo is damaged, neither orientation has this size, EXIF turns it and the annotations
            do not give a size, or both orientations have it and the mask fits neither clearly better.
    """
    try:
        turned = is_turned(path)
        if turned and size is None:
            words = f"EXIF turns {path.name}, and the annotation does not say which way up it is"
            raise Unusable("orientation unknown", words)
        image = read_image(path, exif=False)
        if turned and image.shape[:2] != size:
            image = read_image(path)
        elif turned and people is not None:
            image = _which_fits(path, image, read_image(path), people)
    except Unusable:
        raise
    except DeoccError as error:
        raise Unusable("photo damaged", str(error).replace(str(path), path.name)) from None
    if size and size != image.shape[:2]:
        words = f"{path.name} is {image.shape[1]} x {image.shape[0]}, "
        raise Unusable("sizes differ", words + f"the annotation says {size[1]} x {size[0]}")
    return image


def _which_fits(
    path: Path, stored: np.ndarray, turned: np.ndarray, people: Callable[[], np.ndarray | None]
) -> np.ndarray:
    """The pixels whose edges the people's mask follows clearly better; the stored ones without a mask."""
    if stored.shape != turned.shape or (mask := people()) is None:
        return stored
    fits = [edge_agreement(image, mask) for image in (stored, turned)]
    if abs(fits[0] - fits[1]) < CLEARLY:
        words = f"EXIF turns {path.name}, and its annotations fit it turned and unturned"
        raise Unusable("orientation unknown", words)
    return stored if fits[0] > fits[1] else turned
