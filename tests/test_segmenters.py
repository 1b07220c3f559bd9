"""Segmenters: what `segment` promises whichever of them runs, and GrabCut on a picture it can solve."""

import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deocc.errors import DeoccError
from deocc.masks import mask_box
from deocc.metrics import mask_iou
from deocc.paths import DATA, PEOPLE_MINI
from deocc.people import PeopleFolder, Person
from deocc.segmenters import box as enlarging
from deocc.segmenters import choice as S
from deocc.segmenters import mediapipe as media
from deocc.segmenters import pretrained as P


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
    monkeypatch.setattr(media, "WEIGHTS", tmp_path)
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
    lacks = S.available()
    assert list(lacks) == list(S.METHODS) and lacks.pop("grabcut") == "" and all(lacks.values())
    assert "deocc people fetch maskrcnn" in lacks["maskrcnn"]


@pytest.fixture(scope="module")
def person() -> Person:
    return PeopleFolder(PEOPLE_MINI, "val")[0]


@pytest.mark.parametrize("method", ["pose", "mediapipe"])
def test_bundled_networks_find_a_person(method: str, person: Person) -> None:
    assert S.available()[method] == ""
    mask, name = S.segment(person.image, mask_box(person.amodal_mask), method)
    assert name == method and mask_iou(mask, person.amodal_mask) > 0.75


def test_first_guesses_of_networks_are_theirs_and_their_mean(person: Person) -> None:
    box = mask_box(person.amodal_mask)
    one, several, both = S.person_guesses(person.image, box)
    assert (one == S.segment(person.image, box, "pose")[0]).all()
    assert (several == S.segment(person.image, box, "mediapipe")[0]).all()
    assert not (both & ~(one | several)).any() and not (one & several & ~both).any()
    assert mask_iou(both, person.amodal_mask) > 0.85


def test_next_to_nothing_is_no_first_guess(monkeypatch) -> None:  # type: ignore[no-untyped-def]
    image = np.zeros((90, 90, 3), np.uint8)
    speck, whole = np.zeros((2, 90, 90), np.float32)
    speck[30:33, 30:33], whole[:] = 1, 1
    monkeypatch.setattr(S, "pose_probability", lambda image, box: speck)
    monkeypatch.setattr(S, "person_probability", lambda image, box: 0 * speck)
    assert S.person_guesses(image, (20, 20, 70, 70)) == []
    monkeypatch.setattr(S, "person_probability", lambda image, box: whole)
    (several,) = S.person_guesses(image, (20, 20, 70, 70))  # the mean is above a half on the speck alone
    assert several.sum() == 50 * 50 and several[20:70, 20:70].all()


@pytest.mark.parametrize("spoil", [b"", b"half a file", None])
def test_damaged_networks_are_named_and_done_without(  # type: ignore[no-untyped-def]
    spoil: bytes | None, monkeypatch, tmp_path, caplog
) -> None:
    monkeypatch.setattr(media, "WEIGHTS", tmp_path)
    if spoil is None:
        spoil = (DATA / "weights" / media.POSE_FILE).read_bytes()[:100_000]
    (tmp_path / media.POSE_FILE).write_bytes(spoil)
    with pytest.raises(DeoccError, match=f"{media.POSE_FILE} is damaged; restore it"):
        S.segment(scene()[0], BOX, "pose")
    assert S.person_guesses(scene()[0], BOX) == [] and "damaged" in caplog.text


def test_networks_answer_threads_in_turn(person: Person) -> None:
    """OpenCV's networks are not made for several callers at once."""
    box = mask_box(person.amodal_mask)
    pictures = [person.image, person.image[:, ::-1].copy()]
    alone = [media.pose_probability(picture, box) for picture in pictures]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda k: media.pose_probability(pictures[k % 2], box), range(12)))
    assert all((found == alone[k % 2]).all() for k, found in enumerate(together))


def test_weights_go_by_torchvision_names() -> None:
    from torchvision.models.detection import MaskRCNN_ResNet50_FPN_V2_Weights
    from torchvision.models.segmentation import DeepLabV3_ResNet50_Weights

    assert MaskRCNN_ResNet50_FPN_V2_Weights.DEFAULT.url.endswith("/" + P.MASKRCNN_FILE)
    assert DeepLabV3_ResNet50_Weights.DEFAULT.url.endswith("/" + P.DEEPLAB_FILE)


@pytest.mark.parametrize("method", ["grabcut", "deeplab", "mediapipe", "maskrcnn"])
def test_segmenters_see_the_enlarged_box_alone(method: str, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    """Pixels farther away than the margin change nothing; what is found outside the box is dropped."""
    seen: list[tuple[np.ndarray, tuple[int, ...]]] = []

    def find(image: np.ndarray, box: tuple[int, ...]) -> np.ndarray:
        seen.append((image, box))
        return np.ones(image.shape[:2], bool)

    margin = 0.15 if method == "mediapipe" else 0.25
    monkeypatch.setitem(S.METHODS, method, enlarging.enlarged(margin)(find))
    image, _ = scene()
    mask, _ = S.segment(image, BOX, method)
    wide, high = round(40 * margin), round(80 * margin)
    assert (seen[0][0] == image[20 - high : 100 + high, 40 - wide : 80 + wide]).all()
    assert seen[0][1] == (wide, high, wide + 40, high + 80)
    assert mask.sum() == 40 * 80 and mask[20:100, 40:80].all()
    S.segment(image, (100, 90, 130, 130), method)
    assert seen[1][0].shape[:2] == (30 + min(high, round(30 * margin)), 20 + round(20 * margin))


@pytest.mark.parametrize("method", ["maskrcnn", "deeplab"])
def test_damaged_weights_are_one_clear_line(method: str, monkeypatch, tmp_path) -> None:  # type: ignore[no-untyped-def]
    """A file cut off on the way, and one of another network: named methods say so, auto goes on."""
    import torch

    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr(media, "WEIGHTS", tmp_path)
    name = P.MASKRCNN_FILE if method == "maskrcnn" else P.DEEPLAB_FILE
    path = tmp_path / "hub/checkpoints" / name
    path.parent.mkdir(parents=True)
    for spoil in (
        lambda: path.write_bytes(b"PK half a file"),
        lambda: torch.save({"other": torch.ones(2)}, path),
    ):
        spoil()
        with pytest.raises(DeoccError, match="damaged weights.*fetch it again"):
            S.segment(scene()[0], BOX, method)
        assert S.segment(scene()[0], BOX)[1] == "grabcut"


def test_deeplab_runs_on_a_file_of_its_own_kind(monkeypatch, tmp_path) -> None:  # type: ignore[no-untyped-def]
    """Weights drawn at random, with a last layer that says person everywhere: the whole path to a mask."""
    import torch
    from torchvision.models.segmentation import deeplabv3_resnet50

    torch.manual_seed(0)
    network = deeplabv3_resnet50(weights=None, weights_backbone=None, aux_loss=True)
    with torch.no_grad():
        network.classifier[4].weight.zero_()
        network.classifier[4].bias.copy_(torch.arange(21.0) == P.PERSON_VOC)
    path = tmp_path / "hub/checkpoints" / P.DEEPLAB_FILE
    path.parent.mkdir(parents=True)
    torch.save(network.state_dict(), path)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    assert S.available()["deeplab"] == ""
    mask, name = S.segment(scene()[0], (40, 40, 80, 80), "deeplab")
    assert name == "deeplab" and mask.sum() == 40 * 40
    path.unlink()


def test_networks_get_large_crops_reduced(monkeypatch) -> None:  # type: ignore[no-untyped-def]
    """Mask R-CNN gets at most `LONGEST` pixels a side, and its mask comes back in place."""
    import torch

    monkeypatch.setattr(P, "checkpoint_file", lambda name: None)
    asked: list[tuple[int, ...]] = []

    def model(images: list[torch.Tensor]) -> list[dict[str, torch.Tensor]]:
        asked.append(tuple(images[0].shape[1:]))
        x0, y0, x1, y1 = (round(v * P.LONGEST / 3000) for v in (200, 500, 1000, 2500))  # in the crop
        masks = torch.zeros(1, 1, *asked[-1])
        masks[0, 0, y0:y1, x0:x1] = 0.9
        boxes = torch.tensor([[x0, y0, x1, y1]], dtype=torch.float32)
        return [{"boxes": boxes, "masks": masks, "labels": torch.tensor([1]), "scores": torch.tensor([0.9])}]

    monkeypatch.setattr(P, "_maskrcnn_model", lambda path: model)
    image = np.zeros((3000, 1600, 3), np.uint8)
    mask, name = S.segment(image, (400, 500, 1200, 2500), "maskrcnn")
    true = np.zeros(image.shape[:2], bool)
    true[500:2500, 400:1200] = True
    assert name == "maskrcnn" and asked == [(P.LONGEST, round(P.LONGEST * 1200 / 3000))]
    assert mask.shape == true.shape and mask_iou(mask, true) > 0.995


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
    with caplog.at_level(logging.INFO, "deocc"):
        mask, name = S.segment(scene()[0], BOX)
    assert name == "box" and mask.sum() == 40 * 80 and "found next to nothing in the box" in caplog.text
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


def test_maskrcnn_takes_the_person_in_the_box(monkeypatch) -> None:  # type: ignore[no-untyped-def]
    import torch

    masks = torch.zeros(3, 1, 120, 120)
    masks[0, 0, 20:100, 40:80], masks[1, 0, :30, :30], masks[2, 0, 20:100, 40:80] = 0.9, 0.9, 0.9
    boxes = torch.tensor([[41.0, 21, 79, 99], [0, 0, 30, 30], [40, 20, 80, 100]])

    def model_for(box: tuple[int, ...]) -> Callable[[list[torch.Tensor]], list[dict[str, torch.Tensor]]]:
        """The network's answer in pixels of the enlarged box, which is all that it sees."""
        x0, y0, x1, y1 = enlarging._margin_crop((120, 120), box, enlarging.MARGIN)
        found = {
            "boxes": boxes - torch.tensor([x0, y0, x0, y0]),
            "masks": masks[..., y0:y1, x0:x1],
            "labels": torch.tensor([1, 1, 18]),
            "scores": torch.tensor([0.9, 1, 1]),
        }
        return lambda images: [found]

    monkeypatch.setattr(P, "checkpoint_file", lambda name: None)
    monkeypatch.setattr(P, "_maskrcnn_model", lambda path: model_for(BOX))
    mask, name = S.segment(scene()[0], BOX, "maskrcnn")
    assert name == "maskrcnn" and mask[20:100, 40:80].all() and mask.sum() == 40 * 80
    elsewhere = (90, 90, 118, 118)
    monkeypatch.setattr(P, "_maskrcnn_model", lambda path: model_for(elsewhere))
    far = S.segment(scene()[0], elsewhere, "maskrcnn")  # no person there: the box stands in
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
