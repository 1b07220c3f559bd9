"""The 20 body-part classes of LIP (Gong et al., CVPR 2017).

Source: Sec. 3.2; claim `parsing_classes`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import numpy as np

if TYPE_CHECKING:  # readers and the renderer do not need torch, whose import is slow
    from torch import Tensor

LIP_CLASSES: tuple[str, ...] = (
    "background", "hat", "hair", "glove", "sunglasses", "upper-clothes", "dress", "coat", "socks", "pants",
    "jumpsuit", "scarf", "skirt", "face", "left-arm", "right-arm", "left-leg", "right-leg", "left-shoe",
    "right-shoe",
)  # fmt: skip
NUM_CLASSES = 20
NUM_PARTS = 19  # one-hot channels of stage 2: every class but the background
IGNORE = 255  # a pixel that no loss or metric counts
FLIP_PAIRS: tuple[tuple[int, int], ...] = ((14, 15), (16, 17), (18, 19))

PALETTE = np.array(
    [
        (0, 0, 0), (128, 0, 0), (255, 0, 0), (0, 85, 0), (170, 0, 51), (255, 85, 0), (0, 0, 85),
        (0, 119, 221), (85, 85, 0), (0, 85, 85), (85, 51, 0), (52, 86, 128), (0, 128, 0), (0, 0, 255),
        (51, 170, 221), (0, 255, 255), (85, 255, 170), (170, 255, 85), (255, 255, 0), (255, 170, 0),
    ],
    dtype=np.uint8,
)  # fmt: skip

Labels = TypeVar("Labels", np.ndarray, "Tensor")


def _table(pairs: dict[int, int]) -> np.ndarray:
    """A 256-entry look-up table: the identity except for `pairs`."""
    table = np.arange(256, dtype=np.uint8)
    for source, target in pairs.items():
        table[source] = target
    return table


_FLIP = _table({a: b for pair in FLIP_PAIRS for a, b in (pair, pair[::-1])})
_MERGE = _table({right: left for left, right in FLIP_PAIRS})


def _look_up(labels: Labels, table: np.ndarray) -> Labels:
    if isinstance(labels, np.ndarray):
        return table[labels]
    import torch

    return torch.from_numpy(table.astype(np.int64)).to(labels.device)[labels]


def swap_sides(parsing: Labels) -> Labels:
    """Exchanges left and right classes without moving a pixel. Args: parsing: any shape, uint8 or int64."""
    return _look_up(parsing, _FLIP)


def merge_sides(parsing: Labels) -> Labels:
    """Maps right arm, leg and shoe onto the left ones, for sources whose labels have no true sides.

    Args:
        parsing: any shape, uint8 array or int64 tensor; 255 stays 255.
    """
    return _look_up(parsing, _MERGE)


def parsing_onehot(parsing: Tensor) -> Tensor:
    """One-hot parts of a label map.

    Args:
        parsing: N x H x W int64, 0..19 or 255.

    Returns:
        N x 19 x H x W float {0, 1}; background (0) and ignored pixels (255) are all zero.
    """
    import torch

    classes = torch.arange(1, NUM_CLASSES, device=parsing.device)
    return (parsing[:, None] == classes[None, :, None, None]).float()


def parts_of_logits(logits: Tensor, soft: bool = False) -> Tensor:
    """Body parts from the logits of a parsing branch, in the form that stage 2 takes.

    Args:
        logits: N x 20 x H x W.
        soft: probabilities of the classes instead of the likeliest class.

    Returns:
        N x 19 x H x W float, {0, 1} or [0, 1]; 1 minus the sum over parts is background.
    """
    return logits.float().softmax(1)[:, 1:] if soft else parsing_onehot(logits.argmax(1))


def colorize(parsing: np.ndarray) -> np.ndarray:
    """Colours a label map by `PALETTE`. H x W uint8 -> H x W x 3 uint8; 255 becomes light grey."""
    table = np.full((256, 3), 200, np.uint8)
    table[:NUM_CLASSES] = PALETTE
    return table[parsing]
