"""Adds detail to hidden body parts after the network."""

import numpy as np

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
    """Adds detail by exemplar synthesis, or by pieces of visible detail.

    Args:
        texture: gain of `transfer_texture`, where `exemplar` is off; 0 adds nothing.
        exemplar: copy patches (`deocc.inference.exemplar.copy_texture`).
        Others as of `copy_texture`.
    """
    arrays = image, recovered, modal_mask, amodal_mask, parsing
    if not exemplar:
        return transfer_texture(*arrays, texture)
    from deocc.inference.exemplar import copy_texture  # loads Numba, which takes a quarter of a second

    return copy_texture(*arrays)
