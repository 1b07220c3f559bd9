"""Which doubtful pixels are the visible person, by colour. Ours, not the paper's.

From a box alone, stage 1 leaves holes and specks in clothes, and finds specks of the person in what hides
them. A graph cut on the photo's colours (GrabCut) decides these pixels: pixels that stage 1 is sure of teach
it the colours of the person and of the rest, and neighbours of one colour go together. With a rough mask from
elsewhere, it costs more than it gains.
"""

import cv2
import numpy as np

from deocc.masks import mask_box

SURE = 5.0  # log-odds from which stage 1's answer about a visible pixel stays
WHOLE = 4.0  # log-odds of the whole person from which a pixel that is not visible is hidden
AROUND = 1 / 12  # margin around the whole person's box whose colours count, in sides of the frame
ROUNDS = 2
FEW = 20  # sure pixels of the person below which colours say little


def settle(
    image: np.ndarray, modal: np.ndarray, amodal: np.ndarray, photo: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Stage 1's answers with doubtful visible pixels decided by their colour.

    A pixel of the whole person may become visible. A visible pixel may become hidden, if stage 1 is sure
    that the person is there, or else background.

    Args:
        image: S x S x 3 uint8, what the network saw.
        modal, amodal: S x S float32 log-odds of the visible and of the whole person.
        photo: S x S bool, a rectangle: pixels inside the photo; None: all. Others have no colour.

    Returns:
        Both again; changed pixels get the log-odds of a clear yes or no.

    Source: Rother, Kolmogorov and Blake 2004, "GrabCut".
    """
    visible, sure = modal > 0, modal > SURE
    whole = (amodal > 0) | visible
    if sure.sum() < FEW or not (np.abs(modal) <= SURE).any():
        return modal, amodal
    labels = np.where(visible, cv2.GC_PR_FGD, cv2.GC_PR_BGD).astype(np.uint8)
    labels[sure], labels[modal < -SURE] = cv2.GC_FGD, cv2.GC_BGD
    x0, y0, x1, y1 = mask_box(whole)
    reach = round(AROUND * len(modal))
    left, top, right, bottom = (0, 0, *image.shape[1::-1]) if photo is None else mask_box(photo)
    window = np.s_[
        max(top, y0 - reach) : min(bottom, y1 + reach), max(left, x0 - reach) : min(right, x1 + reach)
    ]
    found = labels[window].copy()
    if (found == cv2.GC_BGD).sum() < FEW:
        return modal, amodal
    cv2.setRNGSeed(0)  # its k-means draws at random
    colours = np.zeros((1, 65)), np.zeros((1, 65))  # of the rest, of the person
    cv2.grabCut(image[window][..., ::-1].copy(), found, (0, 0, 1, 1), *colours, ROUNDS, cv2.GC_INIT_WITH_MASK)
    person = visible.copy()
    person[window] = np.isin(found, (cv2.GC_FGD, cv2.GC_PR_FGD))
    gained, lost = person & ~visible & whole, visible & ~person
    new_modal, new_amodal = modal.copy(), amodal.copy()
    new_modal[gained], new_modal[lost] = SURE, -SURE
    new_amodal[gained] = np.maximum(amodal[gained], SURE)
    new_amodal[lost & (amodal <= WHOLE)] = -SURE
    return new_modal, new_amodal
