"""What the terms of a loss and the scores of a training log are called in a figure."""

from __future__ import annotations

_WORDS = {
    "ce_modal": "CE of M_m",
    "ce_amodal": "CE of M_a",
    "ce_parsing_modal": "CE of P_m",
    "ce_parsing_amodal": "CE of P_a",
    "l1": "L1 of M_m and M_a",
    "soft_iou": "soft IoU (ours)",
    "l1_hole": "L1, hidden pixels",
    "l1_valid": "L1, visible pixels",
    "l1_composite": "L1, whole person",
    "style_whole": "style, whole person",
    "discriminator": "D's own loss",
    "psnr_true": "true masks given",
    "psnr_predicted": "stage 1's masks given",
}
_MASKS = {"modal": "M_m", "amodal": "M_a", "invisible": "M_inv"}
_GIVEN = {"modal": "true mask given", "initial": "rough mask given"}


def term_words(name: str) -> str:
    """The words for a name of a training log; a name without words of its own loses its underscores.

    "ce_amodal" is "CE of M_a", and "invisible_given_initial" is "M_inv, rough mask given".
    """
    found, _, given = name.partition("_given_")
    if found in _MASKS and given in _GIVEN:
        return f"{_MASKS[found]}, {_GIVEN[given]}"
    return _WORDS.get(name, name.replace("_", " "))
