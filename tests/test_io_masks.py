"""Masks of other programs: the person, or a refusal that names the mend; never inverted in silence."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw, ImageFilter

from deocc.errors import DeoccError
from deocc.io import check_polarity, read_mask, read_mask_file, refuse_overwriting
from deocc.io.masks import MEND, border_share

SIZE = (120, 90)  # width, height
Maker = Callable[[], Image.Image]


def drawn() -> Image.Image:
    """A person of 0 and 255, mode L, the feet at the lower border."""
    image = Image.new("L", SIZE)
    draw = ImageDraw.Draw(image)
    draw.ellipse((48, 8, 66, 30), 255)
    draw.polygon([(40, 32), (76, 32), (86, 99), (60, 60), (32, 99)], 255)
    return image


PERSON = np.asarray(drawn()) > 0


def values(inside: float, outside: float = 0, dtype: type = np.uint8) -> Image.Image:
    return Image.fromarray(np.where(PERSON, inside, outside).astype(dtype))


def coloured(inside: tuple[int, ...], outside: tuple[int, ...]) -> Image.Image:
    return Image.fromarray(np.where(PERSON[..., None], inside, outside).astype(np.uint8))


def palette(indices: np.ndarray, colours: dict[int, tuple[int, int, int]]) -> Image.Image:
    image = Image.fromarray(indices.astype(np.uint8), "L").copy()
    image.putpalette([channel for i in range(256) for channel in colours.get(i, (0, 0, 0))])
    return image


def noise(low: int = 0) -> np.ndarray:
    return np.random.default_rng(1).integers(low, 256, (SIZE[1], SIZE[0], 3), np.uint8)


def blurred(radius: float = 2) -> Image.Image:
    return drawn().filter(ImageFilter.GaussianBlur(radius))


def cutout(outside: int = 0) -> Image.Image:
    """The person's pixels of many colours; elsewhere transparent, with one colour under it."""
    colours = np.where(PERSON[..., None], noise(), np.uint8(outside))
    return Image.fromarray(np.dstack([colours, PERSON * np.uint8(255)]))


def grey_alpha(grey: int, alpha: Image.Image) -> Image.Image:
    image = Image.new("LA", SIZE, (grey, 0))
    image.putalpha(alpha)
    return image


def void_ring() -> np.ndarray:
    """Labels: the person 15, a ring of 255 around them."""
    ring = np.asarray(drawn().filter(ImageFilter.MaxFilter(7))) > 0
    return np.where(PERSON, 15, np.where(ring, 255, 0))


def trimap() -> np.ndarray:
    """The person 255, a band around them that matting leaves open 128; H x W uint8."""
    around = np.asarray(drawn().filter(ImageFilter.MaxFilter(11))) > 0
    return np.where(PERSON, 255, np.where(around, 128, 0)).astype(np.uint8)


def labels_in_stripes() -> np.ndarray:
    """Twelve values from all over the range, H x W uint8."""
    return np.array([40, 200, 90, 250, 60, 130, 255, 20, 170, 110, 220, 75], np.uint8)[
        np.arange(SIZE[1])[:, None] // 8 * np.ones(SIZE[0], int)
    ]


def body_parts() -> np.ndarray:
    """Three colours one below the other, H x 1 x 3 uint8."""
    return np.array([(255, 85, 0), (0, 0, 255), (51, 170, 221)], np.uint8)[np.arange(SIZE[1]) // 30][:, None]


def red_and_blue() -> Image.Image:
    image = Image.new("RGB", SIZE, (255, 0, 0))
    image.paste((0, 0, 255), (0, 0, SIZE[0] // 2, SIZE[1]))
    return image


VOC = {0: (0, 0, 0), 15: (192, 128, 128), 1: (128, 0, 0), 255: (224, 224, 192)}
TRANSPARENT_INDEX = {"transparency": 0}

PLAIN: dict[str, tuple[Maker, str, float]] = {  # picture, file name, least IoU with the person
    "0 and 255": (drawn, "m.png", 1),
    "0 and 1": (lambda: values(1), "m.png", 1),
    "0 and 2": (lambda: values(2), "m.png", 1),
    "0 and 128": (lambda: values(128), "m.png", 1),
    "1 bit": (lambda: drawn().convert("1"), "m.png", 1),
    "1-bit TIFF": (lambda: drawn().convert("1"), "m.tif", 1),
    "16 bits, full": (lambda: values(65535, dtype=np.uint16), "m.png", 1),
    "16 bits, 0 and 1": (lambda: values(1, dtype=np.uint16), "m.png", 1),
    "16 bits, 0 and 255": (lambda: values(255, dtype=np.uint16), "m.png", 1),
    "32 bits": (lambda: values(7, dtype=np.int32), "m.tif", 1),
    "float 0..1": (lambda: values(1, dtype=np.float32), "m.tif", 1),
    "float 0..255": (lambda: values(255, dtype=np.float32), "m.tif", 1),
    "float, soft": (lambda: Image.fromarray(np.asarray(blurred(), np.float32) / 255), "m.tif", 0.9),
    "float, soft, at most 0.6": (
        lambda: Image.fromarray(np.asarray(blurred(), np.float32) / 425), "m.tif", 0.9),
    "16 bits, soft": (lambda: Image.fromarray(np.asarray(blurred()).astype(np.uint16) * 257), "m.png", 0.9),
    "two greys, brighter inside": (lambda: values(200, 60), "m.png", 1),
    "soft": (blurred, "m.png", 0.9),
    "very soft": (lambda: blurred(6), "m.png", 0.75),
    "JPEG": (drawn, "m.jpg", 0.95),
    "JPEG, RGB": (lambda: drawn().convert("RGB"), "m.jpg", 0.95),
    "WebP, lossy": (lambda: drawn().convert("RGB"), "m.webp", 0.9),
    "BMP": (drawn, "m.bmp", 1),
    "GIF": (drawn, "m.gif", 1),
    "white on black, RGB": (lambda: drawn().convert("RGB"), "m.png", 1),
    "red on black": (lambda: coloured((255, 0, 0), (0, 0, 0)), "m.png", 1),
    "label 1 in the red channel": (lambda: coloured((1, 0, 0), (0, 0, 0)), "m.png", 1),
    "panoptic id on black": (lambda: coloured((17, 3, 0), (0, 0, 0)), "m.png", 1),
    "blue on black": (lambda: coloured((0, 0, 255), (0, 0, 0)), "m.png", 1),
    "dark blue on black": (lambda: coloured((0, 0, 128), (0, 0, 0)), "m.png", 1),
    "red on black, JPEG": (lambda: coloured((255, 0, 0), (0, 0, 0)), "m.jpg", 0.9),
    "red on white": (lambda: coloured((255, 0, 0), (255, 255, 255)), "m.png", 1),
    "green on white, JPEG": (lambda: coloured((0, 200, 0), (255, 255, 255)), "m.jpg", 0.9),
    "yellow on purple": (lambda: coloured((253, 231, 37), (68, 1, 84)), "m.png", 1),
    "purple on yellow": (lambda: coloured((68, 1, 84), (253, 231, 37)), "m.png", 1),
    "red, smooth, on black": (
        lambda: Image.merge("RGB", [blurred(), Image.new("L", SIZE), Image.new("L", SIZE)]), "m.png", 0.9),
    "palette, index order against brightness": (
        lambda: palette(~PERSON, {0: (250, 250, 250), 1: (5, 5, 5)}), "m.png", 1),
    "palette of two greys": (lambda: palette(PERSON, {0: (40, 40, 40), 1: (180, 180, 180)}), "m.png", 1),
    "palette, first colour white, second red": (
        lambda: palette(PERSON, {0: (255, 255, 255), 1: (255, 0, 0)}), "m.png", 1),
    "palette of greys, dark last": (
        lambda: palette(15 - np.asarray(blurred()) // 17, {i: (255 - 17 * i,) * 3 for i in range(16)}),
        "m.png", 0.8),
    "VOC, one label": (lambda: palette(PERSON * 15, VOC), "m.png", 1),
    "VOC with void": (lambda: palette(void_ring(), VOC), "m.png", 1),
    "VOC with void, as RGB": (lambda: palette(void_ring(), VOC).convert("RGB"), "m.png", 1),
    "palette of one colour": (lambda: palette(PERSON, {}), "m.png", 1),
    "cut-out": (cutout, "m.png", 1),
    "cut-out, white under transparent": (lambda: cutout(255), "m.png", 1),
    "cut-out, WebP": (cutout, "m.webp", 1),
    "red layer": (lambda: coloured((255, 0, 0, 255), (0, 0, 0, 0)), "m.png", 1),
    "black layer on transparent white": (lambda: coloured((0, 0, 0, 255), (255, 255, 255, 0)), "m.png", 1),
    "half transparent layer": (lambda: coloured((255, 0, 0, 100), (0, 0, 0, 0)), "m.png", 1),
    "soft alpha": (lambda: grey_alpha(255, blurred()), "m.png", 0.9),
    "LA, opaque person": (lambda: grey_alpha(0, drawn()), "m.png", 1),
    "alpha 255 everywhere": (lambda: coloured((255, 255, 255, 255), (0, 0, 0, 255)), "m.png", 1),
    "alpha 0 everywhere": (lambda: coloured((255, 255, 255, 0), (0, 0, 0, 0)), "m.png", 1),
    "LA, alpha 255": (lambda: Image.merge("LA", [drawn(), Image.new("L", SIZE, 255)]), "m.png", 1),
}  # fmt: skip

UNCLEAR: dict[str, tuple[Maker, str, str]] = {  # picture, file name, what the refusal says
    "1 and 2": (lambda: values(1, 2), "m.png", "values are 1, 2"),
    "254 and 255": (lambda: values(255, 254), "m.png", "too little contrast"),
    "2 everywhere": (lambda: values(2, 2), "m.png", "have the value 2"),
    "labels 0, 1, 2": (lambda: Image.fromarray(PERSON + np.uint8(0) + np.eye(*SIZE[::-1], dtype=np.uint8)),
                       "m.png", "values are 0, 1, 2"),
    "trimap": (lambda: Image.fromarray(trimap()), "m.png", "values 0, 128, 255"),
    "labels 0, 100, 200": (lambda: Image.fromarray((PERSON * np.where(np.arange(SIZE[0]) < 60, 100, 200))
                                                   .astype(np.uint8)), "m.png", "labels of several people"),
    "label 15 with void, grey": (
        lambda: Image.fromarray(void_ring().astype(np.uint8)), "m.png", "like labels"),
    "label 1 with void, grey": (
        lambda: Image.fromarray(np.where(PERSON, 1, void_ring()).astype(np.uint8)), "m.png", "like labels"),
    "VOC, two labels": (
        lambda: palette(PERSON * np.where(np.arange(SIZE[0]) < 60, 1, 15), VOC), "m.png", "3 colours"),
    "many labels": (lambda: Image.fromarray(PERSON * labels_in_stripes()), "m.png", "like labels"),
    "body parts": (lambda: Image.fromarray(PERSON[..., None] * body_parts()), "m.png", "colours: labels"),
    "red and blue": (lambda: red_and_blue(), "m.png", "neither is black"),
    "photo": (lambda: Image.fromarray(noise()), "m.png", "photo"),
    "photo, JPEG": (lambda: Image.fromarray(noise()).filter(ImageFilter.GaussianBlur(1)), "m.jpg", "photo"),
    "grey photo": (lambda: Image.fromarray(noise()[..., 0]), "m.png", "photo"),
    "photo, opaque": (lambda: Image.fromarray(noise()).convert("RGBA"), "m.png", "photo"),
    "cut-out on black, no alpha": (lambda: Image.fromarray(PERSON[..., None] * noise(60)), "m.png", "photo"),
    "hole in an opaque picture": (lambda: Image.fromarray(np.dstack([noise(), ~PERSON * np.uint8(255)])),
                                  "m.png", "hole in an opaque picture"),
    "mask with transparent corners": (
        lambda: Image.merge("LA", [drawn(), drawn().filter(ImageFilter.MaxFilter(9))]),
        "m.png", "different things"),
    "negative values": (lambda: values(3, -3, np.float32), "m.tif", "negative"),
    "NaN": (lambda: values(1, np.nan, np.float32), "m.tif", "NaN"),
}  # fmt: skip


def save(image: Image.Image, path: Path) -> Path:
    image.save(path)
    return path


def iou(mask: np.ndarray) -> float:
    return float((mask & PERSON).sum() / (mask | PERSON).sum())


@pytest.mark.parametrize("kind", PLAIN)
def test_the_person_is_read(kind: str, tmp_path: Path) -> None:
    make, name, least = PLAIN[kind]
    mask = read_mask(save(make(), tmp_path / name))
    assert mask.dtype == bool and mask.shape == PERSON.shape
    assert iou(mask) >= least


@pytest.mark.parametrize("kind", UNCLEAR)
def test_what_stays_open_is_refused_with_the_mend(kind: str, tmp_path: Path) -> None:
    make, name, words = UNCLEAR[kind]
    with pytest.raises(DeoccError, match=words) as raised:
        read_mask(save(make(), tmp_path / name))
    assert MEND in str(raised.value) and name in str(raised.value) and "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("kind", "note"),
    [("cut-out", "opaque is inside"), ("two greys, brighter inside", "the value 200 is inside"),
     ("very soft", "a soft mask"), ("VOC with void", "void colour is outside"),
     ("red on white", "as the background"),
     ("alpha 0 everywhere", "by its colours"), ("palette of one colour", "by indices")],
)  # fmt: skip
def test_decisions_that_are_not_plain_are_noted(kind: str, note: str, tmp_path: Path) -> None:
    make, name, _ = PLAIN[kind]
    assert any(note in words for words in read_mask_file(save(make(), tmp_path / name)).notes)


def test_plain_masks_have_no_notes(tmp_path: Path) -> None:
    for kind in ("0 and 255", "0 and 2", "1 bit", "red on black", "VOC, one label", "JPEG"):
        make, name, _ = PLAIN[kind]
        assert read_mask_file(save(make(), tmp_path / name)).notes == ()


def test_a_palette_with_a_transparent_index_is_read_by_it(tmp_path: Path) -> None:
    palette(PERSON, {0: (9, 9, 9), 1: (5, 5, 5)}).save(tmp_path / "m.png", transparency=0)
    assert iou(read_mask(tmp_path / "m.png")) == 1


def test_empty_and_full_masks_are_read(tmp_path: Path) -> None:
    assert not read_mask(save(Image.new("L", SIZE), tmp_path / "m.png")).any()
    assert read_mask(save(Image.new("L", SIZE, 255), tmp_path / "m.png")).all()
    assert not read_mask(save(Image.new("RGBA", SIZE, (0, 0, 0, 255)), tmp_path / "m.png")).any()


def test_a_turned_mask_is_turned_back(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    drawn().transpose(Image.Transpose.ROTATE_90).save(tmp_path / "m.png", exif=exif)
    file = read_mask_file(tmp_path / "m.png")
    assert iou(file.mask) == 1 and file.orientation == 6


def test_only_the_first_frame_counts(tmp_path: Path) -> None:
    drawn().save(tmp_path / "m.tif", save_all=True, append_images=[Image.new("L", SIZE, 255)])
    file = read_mask_file(tmp_path / "m.tif")
    assert iou(file.mask) == 1 and "several frames" in file.notes[0]


def test_an_inverted_mask_is_refused() -> None:
    check_polarity(PERSON, "m.png")
    check_polarity(np.zeros_like(PERSON), "m.png")  # emptiness is another check's
    assert border_share(~PERSON) > 0.8 > 0.2 > border_share(PERSON)
    with pytest.raises(DeoccError, match=r"m.png: it covers 9\d% of the picture's border .* Invert it"):
        check_polarity(~PERSON, "m.png")


def test_a_person_at_the_lower_border_is_no_inverted_mask() -> None:
    bust = np.zeros((100, 80), bool)
    bust[40:] = True  # shoulders from side to side
    bust[10:40, 25:55] = True
    check_polarity(bust, "m.png")


SMALL = {  # labels and radii of two people in 640 x 480 pixels
    "two people of equal size": ((1, 44), (2, 40)), "a large and a small one": ((1, 140), (3, 44)),
    "a tiny third colour": ((15, 60), (2, 8)),
}  # fmt: skip


@pytest.mark.parametrize("name", ["m.png", "m.jpg"])
@pytest.mark.parametrize("kind", SMALL)
def test_a_second_small_label_is_never_dropped(kind: str, name: str, tmp_path: Path) -> None:
    """However small its share of the picture: 2 % are a person."""
    voc = {**VOC, 2: (0, 128, 0), 3: (128, 128, 0)}
    image = Image.new("P", (640, 480))
    image.putpalette([channel for i in range(256) for channel in voc.get(i, (0, 0, 0))])
    for (label, radius), middle in zip(SMALL[kind], (180, 500), strict=True):
        ImageDraw.Draw(image).ellipse((middle - radius, 240 - radius, middle + radius, 240 + radius), label)
    image = image if name == "m.png" else image.convert("RGB")
    with pytest.raises(DeoccError, match="no plain mask"):
        read_mask(save(image, tmp_path / name))


@pytest.mark.parametrize("quality", [20, 50, 90])
@pytest.mark.parametrize("scale", [0.3, 1, 3])
def test_what_jpeg_smears_is_no_third_colour(scale: float, quality: int, tmp_path: Path) -> None:
    size = round(SIZE[0] * scale), round(SIZE[1] * scale)
    person = drawn().resize(size, Image.Resampling.NEAREST)
    image = Image.new("RGB", (640, 480), (68, 1, 84))
    image.paste((253, 231, 37), (200, 100), person)
    image.save(tmp_path / "m.jpg", quality=quality)
    expected = np.zeros((480, 640), bool)
    expected[100 : 100 + size[1], 200 : 200 + size[0]] = np.asarray(person) > 0
    mask = read_mask(tmp_path / "m.jpg")
    assert (mask & expected).sum() / (mask | expected).sum() > (0.8 if scale < 1 else 0.9)


@settings(deadline=None, max_examples=60)
@given(
    st.integers(0, 255), st.integers(0, 255), st.sampled_from(["L", "RGB", "RGBA", "P", "LA"]), st.booleans()
)
def test_of_two_greys_never_the_darker_one(
    tmp_path_factory: pytest.TempPathFactory, inside: int, outside: int, mode: str, swap: bool
) -> None:
    """Whatever the mode and the palette's order: the brighter grey is inside, or the file is refused."""
    path = tmp_path_factory.mktemp("masks") / "m.png"
    if mode == "P":
        colours = {0: (outside,) * 3, 1: (inside,) * 3}
        image = palette(PERSON ^ swap, {i ^ swap: colour for i, colour in colours.items()})
    else:
        image = values(inside, outside).convert(mode)
    try:
        mask = read_mask(save(image, path))
    except DeoccError as error:
        assert MEND in str(error)
        assert abs(inside - outside) < 32 and (min(inside, outside) > 0 or inside == outside)
        return
    if inside != outside:
        assert np.array_equal(mask, PERSON if inside > outside else ~PERSON)


@pytest.mark.parametrize("way", ["same", "link to the file", "link to the folder", "hard link", "dots"])
def test_input_files_are_not_overwritten(way: str, tmp_path: Path) -> None:
    out = tmp_path / "w"
    out.mkdir()
    given_file = out / "modal.png"
    drawn().save(given_file)
    if way == "link to the file":
        (tmp_path / "mask.png").symlink_to(given_file)
        given_file = tmp_path / "mask.png"
    elif way == "hard link":
        (tmp_path / "mask.png").hardlink_to(given_file)
        given_file = tmp_path / "mask.png"
    elif way == "link to the folder":
        (tmp_path / "other").symlink_to(out)
        out = tmp_path / "other"
    elif way == "dots":
        out = tmp_path / "w" / ".." / "w"
    with pytest.raises(DeoccError, match="would overwrite it; choose another --out"):
        refuse_overwriting(out, ["amodal.png", "modal.png"], [given_file])
    refuse_overwriting(out, ["amodal.png"], [given_file])
    refuse_overwriting(tmp_path / "new", ["modal.png"], [given_file])
