"""MediaPipe's person and pose segmenters."""

import importlib.util
from functools import lru_cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from deocc.masks import Box, Frame
from deocc.paths import WEIGHTS
from deocc.segmenters.box import Unavailable, enlarged

MEDIAPIPE_MARGIN = 0.15

MEDIAPIPE_FILE = "selfie_segmentation.tflite"

POSE_FILE, POSE_SIDE = "pose_landmark_full.tflite", 1.15  # side of its square over the box's longer side


def mediapipe_path(file: str) -> Path:
    """A model file of MediaPipe's, in data/weights or inside an installed mediapipe package."""
    candidates = [WEIGHTS / file]
    package = importlib.util.find_spec("mediapipe")
    if package is not None and package.submodule_search_locations:
        places = [Path(place) / "modules" for place in package.submodule_search_locations]
        candidates += [path for place in places for path in place.glob(f"*/{file}")]
    for path in candidates:
        if path.is_file():
            return path
    raise Unavailable(
        f"mediapipe: {file} is not in data/weights; `pip install --no-deps mediapipe==0.10.21` brings it"
    )


@lru_cache(maxsize=2)
def tflite_model(path: Path) -> Any:
    try:
        from ai_edge_litert.interpreter import Interpreter
    except ImportError:
        raise Unavailable("mediapipe: ai-edge-litert is missing; pip install 'deocc[segmenters]'") from None
    model = Interpreter(model_path=str(path), num_threads=1)
    model.allocate_tensors()
    return model


def _run_tflite(model: Any, picture: np.ndarray) -> np.ndarray:
    """The mask output of a segmenter for an RGB picture in [0, 1]: h x w float32, any range."""
    given = model.get_input_details()[0]
    size = given["shape"][2], given["shape"][1]  # 256 x 256
    shrinks = picture.shape[0] > size[1] or picture.shape[1] > size[0]
    crop = cv2.resize(picture, size, interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)
    model.set_tensor(given["index"], crop[None].astype(np.float32))
    model.invoke()
    maps = [d["index"] for d in model.get_output_details() if tuple(d["shape"]) == (1, *size[::-1], 1)]
    return model.get_tensor(maps[0])[0, ..., 0]


@enlarged(MEDIAPIPE_MARGIN)
def mediapipe_person(image: np.ndarray, box: Box) -> np.ndarray:
    """MediaPipe's selfie segmenter; it does not separate people."""
    model = tflite_model(mediapipe_path(MEDIAPIPE_FILE))
    probability = _run_tflite(model, image.astype(np.float32) / 255)
    return cv2.resize(probability, image.shape[1::-1], interpolation=cv2.INTER_LINEAR) > 0.5


def mediapipe_pose(image: np.ndarray, box: Box) -> np.ndarray:
    """The mask of MediaPipe's pose network on a square around the box; it isolates one of several people."""
    model = tflite_model(mediapipe_path(POSE_FILE))
    side = POSE_SIDE * max(box[2] - box[0], box[3] - box[1])
    frame = Frame((box[0] + box[2] - side) / 2, (box[1] + box[3] - side) / 2, side)
    log_odds = _run_tflite(model, frame.crop_image(image, 256).astype(np.float32) / 255)
    probability = 1 / (1 + np.exp(-log_odds.clip(-20, 20)))
    return frame.paste(probability.astype(np.float32), image.shape[:2]) > 0.5
