"""What can be done for a person before the networks are needed; nothing here loads PyTorch."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from deocc.inference.prompts import guesses_of_box
from deocc.inference.shrink import shrunk
from deocc.inference.views import View
from deocc.inference.window import Window, seen_through, window_of


class Prepared(NamedTuple):
    """A view with the part of the photo that is worked on.

    Attributes:
        view: of the whole photo.
        window: rows and columns of the photo that are needed.
        local: the view of the window alone.
        worked: the local view on pixels that are worked on, fewer if the person is very large.
        guesses: of a boxed view, first guesses of the visible person, each a bool array of the worked view's
            size; else empty.
    """

    view: View
    window: Window
    local: View
    worked: View
    guesses: tuple[np.ndarray, ...]


def prepare(view: View) -> Prepared:
    """Crops and shrinks the photo and makes the first guesses in a box.

    Args:
        view: from `deocc.inference.views.make_view`.
    """
    window = window_of(view)
    local = seen_through(view, window)
    worked = shrunk(local)
    guesses = guesses_of_box(worked.image, worked.initial_mask) if worked.boxed else ()
    return Prepared(view, window, local, worked, tuple(guesses))
