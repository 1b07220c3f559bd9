"""Segmenters: what `segment` promises whichever of them runs, and GrabCut on a picture it can solve."""

import logging

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deocc import segmenters as S
from deocc.errors import DeoccError
from deocc.metrics import mask_iou


def scene(size: int = 120) -> tuple[np.ndarray, np.ndarray]:
    """A red elliptic figure on a textured green ground: image and true mask."""
    rng = np.random.default_rng(0)
    rows, columns = np.ogrid[:size, :size]
    figure = ((columns - size / 2) / (size / 6)) ** 2 + ((rows - size / 2) / (size / 3)) ** 2 <= 1
    image = rng.integers(0, 40, (size, size, 3), np.uint8)
    image[..., 1] += 120
    image[figure] = rng.integers(0, 40, (int(figure.sum()), 3), np.uint8) + np.uint8([180, 0, 0])
    return image, figure


BOX = (40, 20, 80, 100)


def test_grabcut_finds_the_figure_and_gives_the_same_answer_twice() -> None:
    image, figure = scene()
    mask, name = S.segment(image, BOX, "grabcut")
    assert name == "grabcut" and mask.dtype == bool and mask.shape == figure.shape
    assert mask_iou(mask, figure) > 0.95
    np.random.default_rng(3).random(9)
    assert (S.segment(image, BOX, "grabcut")[0] == mask).all()


def test_grabcut_works_on_large_photos_at_reduced_size() -> None:
    image, figure = (np.repeat(np.repeat(array, 6, 0), 6, 1) for array in scene())
    mask, _ = S.segment(image, tuple(6 * v for v in BOX), "grabcut")
    assert mask_iou(mask, figure) > 0.95


def test_auto_without_weights_is_grabcut_and_named_methods_say_what_they_lack(monkeypatch, tmp_path) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr(S, "WEIGHTS", tmp_path)
    monkeypatch.setattr(S.importlib.util, "find_spec", lambda name: None)
    image, _ = scene()
    assert S.segment(image, BOX)[1] == "grabcut"
    for method, words in (
        ("maskrcnn", "hub/checkpoints"),
        ("deeplab", "hub/checkpoints"),
        ("mediapipe", "tflite"),
        ("pose", "tflite"),
    ):
        with pytest.raises(DeoccError, match=words):
            S.segment(image, BOX, method)


def test_weights_go_by_torchvision_names() -> None:
    from torchvision.models.detection import MaskRCNN_ResNet50_FPN_V2_Weights
    from torchvision.models.segmentation import DeepLabV3_ResNet50_Weights

    assert MaskRCNN_ResNet50_FPN_V2_Weights.DEFAULT.url.endswith("/" + S.MASKRCNN_FILE)
    assert DeepLabV3_ResNet50_Weights.DEFAULT.url.endswith("/" + S.DEEPLAB_FILE)


def test_auto_takes_the_first_that_finds_somebody(monkeypatch) -> None:  # type: ignore[no-untyped-def]
    def nobody(image: np.ndarray, box: object) -> np.ndarray:
        return np.zeros(image.shape[:2], bool)

    def everything(image: np.ndarray, box: object) -> np.ndarray:
        return np.ones(image.shape[:2], bool)

    monkeypatch.setattr(S, "METHODS", {"first": nobody, "second": everything})
    mask, name = S.segment(scene()[0], BOX)
    assert name == "second"
    inside = np.zeros_like(mask)
    inside[20:100, 40:80] = True
    assert (mask == inside).all()  # cut to the box


def test_the_box_stands_in_where_nobody_is_found(monkeypatch, caplog) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.setattr(S, "METHODS", {"blind": lambda image, box: np.zeros(image.shape[:2], bool)})
    with caplog.at_level(logging.WARNING, "deocc"):
        mask, name = S.segment(scene()[0], BOX)
    assert name == "box" and mask.sum() == 40 * 80 and "whole box" in caplog.text


def test_maskrcnn_takes_the_person_in_the_box(monkeypatch) -> None:  # type: ignore[no-untyped-def]
    import torch

    masks = torch.zeros(3, 1, 120, 120)
    masks[0, 0, 20:100, 40:80], masks[1, 0, :30, :30], masks[2, 0, 20:100, 40:80] = 0.9, 0.9, 0.9
    boxes = torch.tensor([[41.0, 21, 79, 99], [0, 0, 30, 30], [40, 20, 80, 100]])
    found = {
        "boxes": boxes,
        "masks": masks,
        "labels": torch.tensor([1, 1, 18]),
        "scores": torch.tensor([0.9, 1, 1]),
    }
    monkeypatch.setattr(S, "_checkpoint", lambda name: None)
    monkeypatch.setattr(S, "_maskrcnn_model", lambda path: lambda images: [found])
    mask, name = S.segment(scene()[0], BOX, "maskrcnn")
    assert name == "maskrcnn" and mask[20:100, 40:80].all() and mask.sum() == 40 * 80
    far = S.segment(scene()[0], (90, 90, 118, 118), "maskrcnn")  # no person there: the box stands in
    assert far[1] == "box"


@pytest.mark.parametrize(
    ("box", "words"),
    [
        ((200, 200, 300, 300), "no pixel inside"),
        ((50, 50, 50, 80), "no pixel inside"),
        ((80, 20, 40, 100), "no pixel inside"),
        ((0, 0, 10), "not four"),
        ((0, 0, float("nan"), 10), "not four"),
    ],
)
def test_bad_boxes_are_refused(box: tuple[float, ...], words: str) -> None:
    with pytest.raises(DeoccError, match=words):
        S.segment(scene()[0], box)


def test_unknown_methods_and_bad_images_are_refused() -> None:
    with pytest.raises(DeoccError, match="unknown"):
        S.segment(scene()[0], BOX, "magic")
    with pytest.raises(DeoccError, match="H x W x 3"):
        S.segment(scene()[0][..., 0], BOX)


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 40), st.integers(1, 40), st.integers(-5, 38), st.integers(-5, 38), st.integers(1, 45))
def test_any_box_on_any_photo_gives_a_mask_inside_it(
    height: int, width: int, x0: int, y0: int, side: int
) -> None:
    image = np.random.default_rng(height * 41 + width).integers(0, 255, (height, width, 3), np.uint8)
    box = (x0, y0, x0 + side, y0 + side)
    inside = np.zeros((height, width), bool)
    inside[max(0, y0) : max(0, y0 + side), max(0, x0) : max(0, x0 + side)] = True
    if not inside.any():
        with pytest.raises(DeoccError):
            S.segment(image, box, "grabcut")
        return
    mask, name = S.segment(image, box, "grabcut")
    assert mask.any() and not (mask & ~inside).any() and name in ("grabcut", "box")
