"""Sources of the initial mask M_i: off-the-shelf segmenters that find the visible person inside a box."""

from deocc.segmenters.choice import (
    METHODS,
    available,
    check_segmenter,
    person_guesses,
    segment,
    segmented_mask,
)

__all__ = ["METHODS", "available", "check_segmenter", "person_guesses", "segment", "segmented_mask"]
