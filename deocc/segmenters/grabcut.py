"""GrabCut, which needs no weights."""

from collections.abc import Sequence

import cv2
import numpy as np

from deocc.masks import Box
from deocc.segmenters.box import MARGIN, NobodyFound, enlarged, reduced

GRABCUT_SIDE = 256  # longer side of GrabCut's crop in pixels: more costs time, not accuracy


def _ellipse(shape: tuple[int, int], box: Sequence[float]) -> np.ndarray:
    """The ellipse inscribed in a box, H x W bool."""
    x0, y0, x1, y1 = box
    rows, columns = np.ogrid[: shape[0], : shape[1]]
    across = (columns + 0.5 - (x0 + x1) / 2) / max((x1 - x0) / 2, 0.5)
    along = (rows + 0.5 - (y0 + y1) / 2) / max((y1 - y0) / 2, 0.5)
    return across**2 + along**2 <= 1


def _grabcut_labels(shape: tuple[int, int], box: Box) -> np.ndarray:
    """What GrabCut starts from: background outside the box, perhaps person inside, person in its core.

    The core is a fifth of the box wide, where the trunk is expected. It keeps GrabCut from losing the person:
    on 40 people, it raises the mean IoU from 0.79 to 0.81 and the lowest from 0.08 to 0.40.
    """
    x0, y0, x1, y1 = box
    labels = np.full(shape, cv2.GC_BGD, np.uint8)
    labels[y0:y1, x0:x1] = cv2.GC_PR_FGD
    if not (labels == cv2.GC_BGD).any():  # the box is all of the photo: its corners are the background
        labels[~_ellipse(shape, box)] = cv2.GC_PR_BGD
    wide, high = x1 - x0, y1 - y0
    core = (x0 + 0.4 * wide, y0 + 0.15 * high, x1 - 0.4 * wide, y1 - 0.45 * high)
    labels[_ellipse(shape, core)] = cv2.GC_FGD
    return labels


@enlarged(MARGIN)
@reduced(GRABCUT_SIDE)
def grabcut(image: np.ndarray, box: Box) -> np.ndarray:
    """GrabCut (Rother et al. 2004) from a box."""
    labels = _grabcut_labels(image.shape[:2], box)
    person = np.isin(labels, (cv2.GC_FGD, cv2.GC_PR_FGD))
    if person.sum() < 10 or (~person).sum() < 10:  # its five-part colour models need samples on both sides
        raise NobodyFound("grabcut: the box is too small to tell colours apart")
    cv2.setRNGSeed(0)  # its k-means draws at random
    models = np.zeros((1, 65)), np.zeros((1, 65))  # background, foreground
    cv2.grabCut(image[..., ::-1].copy(), labels, (0, 0, 1, 1), *models, 3, cv2.GC_INIT_WITH_MASK)
    return np.isin(labels, (cv2.GC_FGD, cv2.GC_PR_FGD))
