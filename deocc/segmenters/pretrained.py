"""torchvision's Mask R-CNN and DeepLab."""

from __future__ import annotations

import os
import sys
from functools import lru_cache
from pathlib import Path
from pickle import UnpicklingError
from typing import TYPE_CHECKING

import numpy as np

from deocc.masks import Box
from deocc.segmenters.box import MARGIN, NobodyFound, Unavailable, enlarged, reduced

if TYPE_CHECKING:
    import torch

MASKRCNN_FILE = "maskrcnn_resnet50_fpn_v2_coco-73cbd019.pth"  # torchvision's names, known without its import

DEEPLAB_FILE = "deeplabv3_resnet50_coco-cd0a2569.pth"

PERSON_COCO, PERSON_VOC = 1, 15

LONGEST = 1333  # longer side of what the networks get, as Mask R-CNN takes it; more costs memory alone


def checkpoint_file(name: str) -> Path:
    """A torchvision weights file in $TORCH_HOME/hub/checkpoints; never fetched here."""
    path = _hub_folder() / "checkpoints" / name
    if not path.is_file():
        name = "maskrcnn" if name == MASKRCNN_FILE else "deeplab"
        raise Unavailable(
            f"{name}: {path.name} is not in $TORCH_HOME/hub/checkpoints; `deocc people fetch {name}` gets it"
        )
    return path


def _hub_folder() -> Path:
    """torch.hub's folder, found without importing torch, so that input is checked before networks load."""
    if "torch" in sys.modules:
        return Path(sys.modules["torch"].hub.get_dir())
    cache = os.environ.get("XDG_CACHE_HOME", "~/.cache")
    return Path(os.environ.get("TORCH_HOME", f"{cache}/torch")).expanduser() / "hub"


def _with_weights(model: torch.nn.Module, path: Path) -> torch.nn.Module:
    """A network with the weights of a file, ready to run."""
    import torch

    try:
        model.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
    except (RuntimeError, EOFError, UnpicklingError, OSError, KeyError) as error:
        words = " ".join(str(error).split())[:80]
        raise Unavailable(f"{path}: damaged weights ({words}); remove the file and fetch it again") from None
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
    import torch

    return torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1))).float() / 255


@enlarged(MARGIN)
@reduced(LONGEST)
def maskrcnn(image: np.ndarray, box: Box) -> np.ndarray:
    """Mask R-CNN: the detected person whose box overlaps the given one most."""
    import torch

    model = _maskrcnn_model(checkpoint_file(MASKRCNN_FILE))
    with torch.inference_mode():
        found = model([_to_tensor(image)])[0]
    people = (found["labels"] == PERSON_COCO) & (found["scores"] > 0.3)
    overlap = _box_overlap(found["boxes"][people].numpy(), box)
    if not len(overlap) or overlap.max() < 0.3:
        raise NobodyFound("maskrcnn: no person found in the box")
    return found["masks"][people][int(overlap.argmax()), 0].numpy() > 0.5


@lru_cache(maxsize=1)
def _deeplab_model(path: Path) -> torch.nn.Module:
    from torchvision.models.segmentation import deeplabv3_resnet50

    return _with_weights(deeplabv3_resnet50(weights=None, weights_backbone=None, aux_loss=True), path)


@enlarged(MARGIN)
@reduced(LONGEST)
def deeplab(image: np.ndarray, box: Box) -> np.ndarray:
    """DeepLab v3: pixels of class person; it does not separate people."""
    import torch

    model = _deeplab_model(checkpoint_file(DEEPLAB_FILE))
    from torchvision.models.segmentation import DeepLabV3_ResNet50_Weights

    with torch.inference_mode():
        logits = model(DeepLabV3_ResNet50_Weights.DEFAULT.transforms()(_to_tensor(image))[None])["out"]
        logits = torch.nn.functional.interpolate(logits, image.shape[:2], mode="bilinear")
    return (logits[0].argmax(0) == PERSON_VOC).numpy()
