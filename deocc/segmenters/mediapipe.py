"""MediaPipe's networks for people, run by OpenCV. Their files are bundled; see data/weights/mediapipe.md.

The pose network isolates one of several people; the other one tells people from what is no person.
"""

from functools import lru_cache
from pathlib import Path
from threading import Lock

import cv2
import numpy as np

from deocc.masks import Box, Frame
from deocc.paths import WEIGHTS
from deocc.segmenters.box import Unavailable, enlarged

PERSON_FILE, PERSON_MARGIN = "selfie_segmentation.tflite", 0.15
POSE_FILE, POSE_SIDE = "pose_landmark_full.tflite", 1.15  # side of its square over the box's longer side
POSE_MASK = "Identity_2"  # the output with the mask
SIZE = 256  # side of the square that both see
_RUNNING = Lock()  # OpenCV's networks answer one caller at a time


@lru_cache(maxsize=2)
def _network(path: Path) -> cv2.dnn.Net:
    mend = "restore it (git checkout data/weights)"
    try:
        return cv2.dnn.readNetFromTFLite(np.fromfile(path, np.uint8))  # bytes: any path works on any system
    except OSError:
        raise Unavailable(f"mediapipe: {path.name} cannot be read in {path.parent}; {mend}") from None
    except cv2.error:
        raise Unavailable(f"mediapipe: {path} is damaged; {mend}") from None


def network(file: str) -> cv2.dnn.Net:
    """A bundled network. Raises: Unavailable: its file is missing or damaged."""
    return _network(WEIGHTS / file)


def _answer(file: str, picture: np.ndarray, output: str = "") -> np.ndarray:
    """A network's answer to an RGB picture (H x W x 3 uint8), `SIZE` x `SIZE` float32."""
    net, shrinks = network(file), max(picture.shape[:2]) > SIZE
    crop = cv2.resize(picture, (SIZE, SIZE), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)
    with _RUNNING:
        net.setInput(cv2.dnn.blobFromImage(crop, 1 / 255))
        return (net.forward(output) if output else net.forward()).reshape(SIZE, SIZE).copy()


@enlarged(PERSON_MARGIN)
def person_probability(image: np.ndarray, box: Box) -> np.ndarray:
    """Where MediaPipe's selfie segmenter sees people, near a box.

    Args:
        image: H x W x 3 uint8 RGB.
        box: x0, y0, x1, y1 in pixels, inside the photo.

    Returns:
        H x W float32 in [0, 1]; 0 farther than `PERSON_MARGIN` from the box.

    Raises:
        Unavailable: the network's file is missing or damaged.
    """
    answer = _answer(PERSON_FILE, image)
    return cv2.resize(answer, image.shape[1::-1], interpolation=cv2.INTER_LINEAR)


def pose_probability(image: np.ndarray, box: Box) -> np.ndarray:
    """The person whom MediaPipe's pose network sees in a square around a box.

    Args, Returns, Raises: as of `person_probability`; 0 outside the square.
    """
    side = POSE_SIDE * max(box[2] - box[0], box[3] - box[1])
    frame = Frame((box[0] + box[2] - side) / 2, (box[1] + box[3] - side) / 2, side)
    log_odds = _answer(POSE_FILE, frame.crop_image(image, SIZE), POSE_MASK)
    probability = 1 / (1 + np.exp(-log_odds.clip(-20, 20)))
    return frame.paste(probability.astype(np.float32), image.shape[:2])


def mediapipe_person(image: np.ndarray, box: Box) -> np.ndarray:
    """All people near the box, H x W bool."""
    return person_probability(image, box) > 0.5


def mediapipe_pose(image: np.ndarray, box: Box) -> np.ndarray:
    """One person, H x W bool."""
    return pose_probability(image, box) > 0.5
