"""Sources of the initial mask M_i: an off-the-shelf segmenter looks for the visible person inside a box.

The paper takes M_i from CenterMask (Sec. 5.1), and whole masks of people that come with boxes alone from a
DeepLab of its authors' own (Sec. 4.1): the box is enlarged, the segmenter sees that part of the photo, and
what it finds inside the box is kept. Here any of five segmenters does so, whichever is on this machine; the
weights are fetched by `deocc people fetch maskrcnn`, never from here. The paper's enlargement is not known.
"""

import importlib.util
import logging
from collections.abc import Callable, Sequence
from functools import lru_cache, wraps
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import cv2
import numpy as np
import torch

from deocc.errors import DeoccError
from deocc.masks import Box, Frame
from deocc.paths import WEIGHTS

LOG = logging.getLogger("deocc")
GRABCUT_SIDE = 256  # longer side of GrabCut's crop in pixels: more costs time, not accuracy
MARGIN = 0.25  # by which a box is enlarged on each side, as a share of its sides
MEDIAPIPE_MARGIN = 0.15
MEDIAPIPE_FILE = "selfie_segmentation.tflite"
POSE_FILE, POSE_SIDE = "pose_landmark_full.tflite", 1.15  # side of its square over the box's longer side
MASKRCNN_FILE = "maskrcnn_resnet50_fpn_v2_coco-73cbd019.pth"  # torchvision's names, known without its import
DEEPLAB_FILE = "deeplabv3_resnet50_coco-cd0a2569.pth"
PERSON_COCO, PERSON_VOC = 1, 15
MIN_SHARE = 0.05  # a mask that fills less of its box is no person


class _Unavailable(Exception):
    """A segmenter that this machine cannot run; the words say what is missing."""


class _Nobody(Exception):
    """A segmenter ran and found no person in the box."""


# --- the enlarged box -----------------------------------------------------------------------------

Finder = Callable[[np.ndarray, Box], np.ndarray]
"""(H x W x 3 uint8 RGB, box) -> H x W bool, the person in the box."""


def _margin_crop(shape: tuple[int, int], box: Box, margin: float) -> Box:
    """The box grown on every side by `margin` of its lengths and cut to the photo."""
    x0, y0, x1, y1 = box
    wide, high = round((x1 - x0) * margin), round((y1 - y0) * margin)
    return max(0, x0 - wide), max(0, y0 - high), min(shape[1], x1 + wide), min(shape[0], y1 + high)


def _enlarged(margin: float) -> Callable[[Finder], Finder]:
    """Makes a segmenter of a crop into one of a photo: it sees the enlarged box alone (Sec. 4.1, step 2)."""

    def decorate(find: Finder) -> Finder:
        @wraps(find)
        def on_photo(image: np.ndarray, box: Box) -> np.ndarray:
            x0, y0, x1, y1 = _margin_crop(image.shape[:2], box, margin)
            mask = np.zeros(image.shape[:2], bool)
            inner = box[0] - x0, box[1] - y0, box[2] - x0, box[3] - y0
            mask[y0:y1, x0:x1] = find(image[y0:y1, x0:x1], inner)
            return mask

        return on_photo

    return decorate


# --- GrabCut --------------------------------------------------------------------------------------


def _ellipse(shape: tuple[int, int], box: Sequence[float]) -> np.ndarray:
    """The ellipse inscribed in a box, H x W bool."""
    x0, y0, x1, y1 = box
    rows, columns = np.ogrid[: shape[0], : shape[1]]
    across = (columns + 0.5 - (x0 + x1) / 2) / max((x1 - x0) / 2, 0.5)
    along = (rows + 0.5 - (y0 + y1) / 2) / max((y1 - y0) / 2, 0.5)
    return across**2 + along**2 <= 1


def _grabcut_labels(shape: tuple[int, int], box: Box) -> np.ndarray:
    """What GrabCut starts from: background outside the box, perhaps person inside, person in its core.

    The core, a fifth of the box wide around the trunk's place, keeps it from giving the person away; on 40
    people it lifts the IoU from 0.79 to 0.81 and the worst from 0.08 to 0.40.
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


@_enlarged(MARGIN)
def _grabcut(image: np.ndarray, box: Box) -> np.ndarray:
    """GrabCut (Rother et al. 2004) from a box."""
    height, width = image.shape[:2]
    scale = min(1.0, GRABCUT_SIDE / max(width, height))
    size = max(1, round(width * scale)), max(1, round(height * scale))
    crop = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    inner: Box = tuple(round(v) for v in np.asarray(box) * scale)  # type: ignore[assignment]
    labels = _grabcut_labels(crop.shape[:2], inner)
    person = np.isin(labels, (cv2.GC_FGD, cv2.GC_PR_FGD))
    if person.sum() < 10 or (~person).sum() < 10:  # its five-part colour models need samples on both sides
        raise _Nobody("grabcut: the box is too small to tell colours apart")
    cv2.setRNGSeed(0)  # its k-means draws at random
    models = np.zeros((1, 65)), np.zeros((1, 65))  # background, foreground
    cv2.grabCut(crop[..., ::-1].copy(), labels, (0, 0, 1, 1), *models, 3, cv2.GC_INIT_WITH_MASK)
    found = np.isin(labels, (cv2.GC_FGD, cv2.GC_PR_FGD)).astype(np.float32)
    return cv2.resize(found, (width, height), interpolation=cv2.INTER_LINEAR) > 0.5


# --- torchvision ----------------------------------------------------------------------------------


def _checkpoint(name: str) -> Path:
    """A torchvision weights file in $TORCH_HOME/hub/checkpoints; never fetched from here."""
    path = Path(torch.hub.get_dir()) / "checkpoints" / name
    if not path.is_file():
        name = "maskrcnn" if name == MASKRCNN_FILE else "deeplab"
        raise _Unavailable(
            f"{name}: {path.name} is not in $TORCH_HOME/hub/checkpoints; `deocc people fetch {name}` gets it"
        )
    return path


def _with_weights(model: torch.nn.Module, path: Path) -> torch.nn.Module:
    """A network with the weights of a file, ready to run."""
    try:
        model.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
    except (RuntimeError, EOFError, UnpicklingError, OSError, KeyError) as error:
        words = " ".join(str(error).split())[:80]
        raise _Unavailable(f"{path}: damaged weights ({words}); remove the file and fetch it again") from None
    return model.eval()


@lru_cache(maxsize=1)
def _maskrcnn_model(path: Path) -> torch.nn.Module:
    from torchvision.models.detection import maskrcnn_resnet50_fpn_v2

    return _with_weights(maskrcnn_resnet50_fpn_v2(weights=None, weights_backbone=None), path)


def _box_overlap(boxes: np.ndarray, box: Box) -> np.ndarray:
    """IoU of K x 4 boxes with one."""
    x0, y0, x1, y1 = box
    wide = np.clip(np.minimum(boxes[:, 2], x1) - np.maximum(boxes[:, 0], x0), 0, None)
    high = np.clip(np.minimum(boxes[:, 3], y1) - np.maximum(boxes[:, 1], y0), 0, None)
    areas = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    return wide * high / np.maximum(areas + (x1 - x0) * (y1 - y0) - wide * high, 1e-9)


def _to_tensor(image: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1))).float() / 255


@_enlarged(MARGIN)
def _maskrcnn(image: np.ndarray, box: Box) -> np.ndarray:
    """Mask R-CNN: the detected person whose box overlaps the given one most."""
    model = _maskrcnn_model(_checkpoint(MASKRCNN_FILE))
    with torch.inference_mode():
        found = model([_to_tensor(image)])[0]
    people = (found["labels"] == PERSON_COCO) & (found["scores"] > 0.3)
    overlap = _box_overlap(found["boxes"][people].numpy(), box)
    if not len(overlap) or overlap.max() < 0.3:
        raise _Nobody("maskrcnn: no person found in the box")
    return found["masks"][people][int(overlap.argmax()), 0].numpy() > 0.5


@lru_cache(maxsize=1)
def _deeplab_model(path: Path) -> torch.nn.Module:
    from torchvision.models.segmentation import deeplabv3_resnet50

    return _with_weights(deeplabv3_resnet50(weights=None, weights_backbone=None, aux_loss=True), path)


@_enlarged(MARGIN)
def _deeplab(image: np.ndarray, box: Box) -> np.ndarray:
    """DeepLab v3: pixels of class person; it cannot tell two people apart."""
    model = _deeplab_model(_checkpoint(DEEPLAB_FILE))
    from torchvision.models.segmentation import DeepLabV3_ResNet50_Weights

    with torch.inference_mode():
        logits = model(DeepLabV3_ResNet50_Weights.DEFAULT.transforms()(_to_tensor(image))[None])["out"]
        logits = torch.nn.functional.interpolate(logits, image.shape[:2], mode="bilinear")
    return (logits[0].argmax(0) == PERSON_VOC).numpy()


# --- MediaPipe ------------------------------------------------------------------------------------


def _mediapipe_path(file: str) -> Path:
    """A model file of MediaPipe's, in data/weights or inside an installed mediapipe package."""
    candidates = [WEIGHTS / file]
    package = importlib.util.find_spec("mediapipe")
    if package is not None and package.submodule_search_locations:
        places = [Path(place) / "modules" for place in package.submodule_search_locations]
        candidates += [path for place in places for path in place.glob(f"*/{file}")]
    for path in candidates:
        if path.is_file():
            return path
    raise _Unavailable(
        f"mediapipe: {file} is not in data/weights; `pip install --no-deps mediapipe==0.10.21` brings it"
    )


@lru_cache(maxsize=2)
def _tflite_model(path: Path) -> Any:
    try:
        from ai_edge_litert.interpreter import Interpreter
    except ImportError:
        raise _Unavailable("mediapipe: ai-edge-litert is missing; pip install 'deocc[segmenters]'") from None
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


@_enlarged(MEDIAPIPE_MARGIN)
def _mediapipe(image: np.ndarray, box: Box) -> np.ndarray:
    """MediaPipe's selfie segmenter; it cannot tell two people apart."""
    model = _tflite_model(_mediapipe_path(MEDIAPIPE_FILE))
    probability = _run_tflite(model, image.astype(np.float32) / 255)
    return cv2.resize(probability, image.shape[1::-1], interpolation=cv2.INTER_LINEAR) > 0.5


def _mediapipe_pose(image: np.ndarray, box: Box) -> np.ndarray:
    """The mask of MediaPipe's pose network on a square around the box; it isolates one of several people."""
    model = _tflite_model(_mediapipe_path(POSE_FILE))
    side = POSE_SIDE * max(box[2] - box[0], box[3] - box[1])
    frame = Frame((box[0] + box[2] - side) / 2, (box[1] + box[3] - side) / 2, side)
    log_odds = _run_tflite(model, frame.crop_image(image, 256).astype(np.float32) / 255)
    probability = 1 / (1 + np.exp(-log_odds.clip(-20, 20)))
    return frame.paste(probability.astype(np.float32), image.shape[:2]) > 0.5


# --- choice ---------------------------------------------------------------------------------------

METHODS: dict[str, Finder] = {
    "maskrcnn": _maskrcnn,  # it and the next tell people apart, so they come first
    "pose": _mediapipe_pose,
    "mediapipe": _mediapipe,
    "deeplab": _deeplab,
    "grabcut": _grabcut,  # needs no weights
}


_NEEDS: dict[str, Callable[[], object]] = {
    "maskrcnn": lambda: _checkpoint(MASKRCNN_FILE),
    "pose": lambda: _tflite_model(_mediapipe_path(POSE_FILE)),
    "mediapipe": lambda: _tflite_model(_mediapipe_path(MEDIAPIPE_FILE)),
    "deeplab": lambda: _checkpoint(DEEPLAB_FILE),
}


def available() -> dict[str, str]:
    """Each segmenter, in the order in which "auto" tries them, with what it lacks here; "" for nothing."""
    lacks = {}
    for name in METHODS:
        try:
            _NEEDS.get(name, lambda: None)()
            lacks[name] = ""
        except _Unavailable as reason:
            lacks[name] = str(reason)
    return lacks


def _clean_box(image: np.ndarray, box: Sequence[float]) -> Box:
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
        raise DeoccError(f"image is {image.shape} {image.dtype}; give H x W x 3 uint8 RGB")
    if len(box) != 4 or not np.isfinite(np.asarray(box, float)).all():
        raise DeoccError(f"box {tuple(box)} is not four finite numbers; give x0 y0 x1 y1 in pixels")
    height, width = image.shape[:2]
    x0, y0 = (max(0, int(np.floor(v))) for v in box[:2])
    x1, y1 = (min(limit, int(np.ceil(v))) for v, limit in zip(box[2:], (width, height), strict=True))
    if x1 <= x0 or y1 <= y0:
        raise DeoccError(f"box {tuple(box)} has no pixel inside the {width} x {height} photo; move it inside")
    return x0, y0, x1, y1


def _run(name: str, image: np.ndarray, box: Box) -> np.ndarray:
    """One method's mask, cut to the box; raises `_Nobody` where it finds next to nothing."""
    mask = np.zeros(image.shape[:2], bool)
    window = np.s_[box[1] : box[3], box[0] : box[2]]
    mask[window] = METHODS[name](image, box)[window]
    if mask.sum() < MIN_SHARE * mask[window].size:
        raise _Nobody(f"{name}: found next to nothing in the box")
    return mask


def _filled_box(image: np.ndarray, box: Box) -> np.ndarray:
    mask = np.zeros(image.shape[:2], bool)
    mask[box[1] : box[3], box[0] : box[2]] = True
    return mask


def segmented_mask(image: np.ndarray, box: Sequence[float], method: str) -> np.ndarray:
    """What one segmenter finds in a box, for training on its mistakes.

    Args: as of `segment`; method: one of `METHODS`.

    Returns:
        H x W bool, not empty; the box itself where the segmenter finds nobody.

    Raises:
        DeoccError: unknown method, or one that is not to be had here.
    """
    inside = _clean_box(image, box)
    if method not in METHODS:
        raise DeoccError(f"segmenter {method!r} is unknown; use one of {', '.join(METHODS)}")
    try:
        return _run(method, image, inside)
    except _Unavailable as reason:
        raise DeoccError(f"segmenter {reason}, or choose another") from None
    except _Nobody:
        return _filled_box(image, inside)


def segment(image: np.ndarray, box: Sequence[float], method: str = "auto") -> tuple[np.ndarray, str]:
    """Finds the visible person inside a box.

    Args:
        image: H x W x 3 uint8 RGB, any size.
        box: x0, y0, x1, y1 in photo pixels, half-open; cut to the photo.
        method: "maskrcnn", "deeplab" (torchvision weights in $TORCH_HOME/hub/checkpoints), "pose",
            "mediapipe" (extra `segmenters` and their model files), "grabcut" (no weights), "box" (the box
            itself), or "auto": the first of these that this machine has and that finds somebody.

    Returns:
        The mask (H x W bool, not empty, False outside the box) and the name of the method that made it; "box"
        where nobody was found.

    Raises:
        DeoccError: bad image or box, an unknown method, or a named method that is not to be had here.
    """
    inside = _clean_box(image, box)
    if method == "box":
        return _filled_box(image, inside), "box"
    if method != "auto" and method not in METHODS:
        raise DeoccError(f"segmenter {method!r} is unknown; use auto, {', '.join(METHODS)} or box")
    for name in METHODS if method == "auto" else (method,):
        try:
            return _run(name, image, inside), name
        except _Unavailable as reason:
            if method != "auto":
                raise DeoccError(f"segmenter {reason}, or choose auto, grabcut or box") from None
            LOG.info("segmenter %s", reason)
        except _Nobody as reason:
            LOG.info("segmenter %s", reason)
    LOG.warning("no segmenter found a person in the box; the whole box stands for them")
    return _filled_box(image, inside), "box"
