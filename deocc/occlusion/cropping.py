"""People who are cut by the photo's border, such as half figures and portraits.

A network that is trained on whole people alone continues everybody to the photo's border. If the border cuts
a person, the whole mask ends at the border too.
"""

from dataclasses import replace

import numpy as np

from deocc.masks import mask_box
from deocc.people import Person

LEAST_LEFT = 0.12  # share of the person's pixels that a cut leaves at least


def cut_by_photo(person: Person, rng: np.random.Generator, tries: int = 6) -> Person:
    """Crops a photo through its person.

    The lower border cuts most often (half figures, portraits), the sides less often, the upper one rarely.
    Half of the time, the other borders come close too, as in portraits.

    Args:
        person: with the whole mask inside the photo.
        rng: source of the draws.
        tries: crops that are tried until one leaves enough of the person.

    Returns:
        The person in the smaller photo; unchanged if no try leaves `LEAST_LEFT` of them.
    """
    area = np.count_nonzero(person.amodal_mask)
    for _ in range(tries):
        window = _draw_window(person, rng)
        mask = person.amodal_mask[window]
        if np.count_nonzero(mask) >= LEAST_LEFT * area and min(mask.shape) >= 24:
            parsing = None if person.parsing is None else person.parsing[window]
            return replace(person, image=person.image[window], amodal_mask=mask, parsing=parsing)
    return person


def _draw_window(person: Person, rng: np.random.Generator) -> tuple[slice, slice]:
    """Rows and columns of the crop."""
    (height, width), (x0, y0, x1, y1) = person.amodal_mask.shape, mask_box(person.amodal_mask)
    wide, high = x1 - x0, y1 - y0
    left, top, right, bottom = 0, 0, width, height
    if rng.random() < 0.5:  # little context around
        near = rng.uniform(0.0, 0.5, 4) * max(wide, high) * 0.6
        left, top = max(left, int(x0 - near[0])), max(top, int(y0 - near[1]))
        right, bottom = min(right, int(x1 + near[2])), min(bottom, int(y1 + near[3]))
    below, aside = rng.random(), rng.random()
    if below < 0.75:
        bottom = y0 + round(high * rng.uniform(0.28, 0.92))
    if aside < 0.15 or below >= 0.9:
        left = x0 + round(wide * rng.uniform(0.1, 0.6))
    elif aside < 0.3 or below >= 0.75:
        right = x1 - round(wide * rng.uniform(0.1, 0.6))
    if rng.random() < 0.08:
        top = y0 + round(high * rng.uniform(0.05, 0.3))
    return slice(top, max(bottom, top)), slice(left, max(right, left))
