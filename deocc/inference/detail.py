"""Adds detail to hidden body parts after the network."""

import numpy as np

from deocc.inference.calm import calm_unseen
from deocc.inference.texture import transfer_texture


def add_detail(
    image: np.ndarray,
    recovered: np.ndarray,
    modal_mask: np.ndarray,
    amodal_mask: np.ndarray,
    parsing: np.ndarray,
    texture: float,
    exemplar: bool,
) -> np.ndarray:
    """Gives hidden parts the detail of visible ones: by exemplar synthesis, or by pieces of visible detail.

    Args:
        texture: gain of `transfer_texture`, where `exemplar` is off; 0 adds nothing.
        exemplar: calm parts that show nowhere (`deocc.inference.calm.calm_unseen`), and copy patches into
            the others (`deocc.inference.exemplar.copy_texture`).
        Others as of `copy_texture`.
    """
    if not exemplar:
        return transfer_texture(image, recovered, modal_mask, amodal_mask, parsing, texture)
    from deocc.inference.exemplar import copy_texture  # loads Numba, which takes a quarter of a second

    calm = calm_unseen(recovered, modal_mask, amodal_mask, parsing)
    return copy_texture(image, calm, modal_mask, amodal_mask, parsing)
