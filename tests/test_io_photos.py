"""Photos of every common kind become 8-bit sRGB, turned as viewers show them, or are refused in one line."""

import io
import struct
import sys
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms, PngImagePlugin

from deocc.errors import DeoccError
from deocc.io import (
    pictures,
    read_image,
    read_labels,
    read_mask,
    read_photo,
    read_rgba,
    refuse_unclear_turn,
    turn,
    write_image,
)
from deocc.io.pictures import FORMATS, PIXEL_LIMIT

ROWS, COLUMNS = 24, 36
HORIZONTAL, VERTICAL = np.meshgrid(np.linspace(0, 255, COLUMNS), np.linspace(0, 255, ROWS))
COLOURS = np.dstack([HORIZONTAL, VERTICAL, 255 - HORIZONTAL]).round().astype(np.uint8)
GREY = COLOURS[..., 0]


def exif(orientation: object, kind: int = 3, extra: bytes = b"") -> bytes:
    """EXIF data of one tag, the orientation, and whatever else; kind 3: an unsigned short."""
    entries = 1 + len(extra) // 12
    value = struct.pack("<HHI", 0x0112, kind, 1) + struct.pack("<I", orientation)
    return b"Exif\0\0II*\0\x08\0\0\0" + struct.pack("<H", entries) + value + extra + b"\0\0\0\0" * 8


ZERO_DENOMINATOR = struct.pack("<HHII", 0x011A, 5, 1, 0x40)  # a resolution of 0/0


def save(path: Path, array: np.ndarray, **options: Any) -> Path:
    Image.fromarray(array).save(path, **options)
    return path


def close(came: np.ndarray, expected: np.ndarray, tolerance: float = 1) -> bool:
    return bool(np.abs(came.astype(int) - expected.astype(int)).max() <= tolerance)


# ------------------------------------------------------------------ EXIF


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("name", ["p.png", "p.tif", "p.webp"])
def test_orientation_is_followed_or_left_alone(orientation: int, name: str, tmp_path: Path) -> None:
    tags = Image.Exif()
    tags[0x0112] = orientation
    save(tmp_path / name, COLOURS, exif=tags, lossless=True)
    shown, stored = read_photo(tmp_path / name), read_photo(tmp_path / name, exif=False)
    assert shown.orientation == stored.orientation == orientation
    assert np.array_equal(stored.pixels, COLOURS)
    assert np.array_equal(shown.pixels, turn(COLOURS, orientation))
    if orientation == 6:  # stored on its side: the left column comes on top, turned clockwise
        assert np.array_equal(shown.pixels, np.rot90(COLOURS, -1))


@pytest.mark.parametrize(
    ("data", "orientation", "note"),
    [
        (exif(6, extra=ZERO_DENOMINATOR), 6, None),  # another tag's damage does not matter
        (exif(0), 1, None),
        (exif(9), 1, "none of 1 to 8"),
        (exif(60_000), 1, "none of 1 to 8"),
        (exif(0x61616161, kind=2), 1, "none of 1 to 8"),  # text
        (exif(6)[:20], 1, "damaged"),
        (b"Exif\0\0nonsense", 1, None),
        (b"Exif\0\0", 1, None),
    ],
)
def test_damaged_exif_does_not_end_the_reading(
    data: bytes, orientation: int, note: str | None, tmp_path: Path
) -> None:
    save(tmp_path / "p.jpg", COLOURS, exif=data, quality=95)
    photo = read_photo(tmp_path / "p.jpg")
    assert photo.orientation == orientation
    assert close(photo.pixels, turn(COLOURS, orientation), 24)
    assert note is None or note in " ".join(photo.notes)


@settings(deadline=None, max_examples=80)
@given(
    st.binary(max_size=80),
    st.sampled_from([b"Exif\0\0II*\0\x08\0\0\0", b"Exif\0\0MM\0*\0\0\0\x08", b"", b"Exif\0\0"]),
)
def test_no_exif_data_end_the_reading(
    tmp_path_factory: pytest.TempPathFactory, data: bytes, head: bytes
) -> None:
    path = save(tmp_path_factory.mktemp("photos") / "p.jpg", COLOURS, exif=head + data)
    assert sorted(read_image(path).shape) == [3, ROWS, COLUMNS]


# ------------------------------------------------------------------ bits


def deep(values: np.ndarray, top: float) -> np.ndarray:
    return values.astype(np.float64) * (top / 255)


@pytest.mark.parametrize(
    ("name", "dtype", "top", "note"),
    [("p.png", np.uint16, 65535, None), ("p.png", np.uint16, 4095, "4095 is taken as white"),
     ("p.png", np.uint16, 1023, "1023 is taken as white"), ("p.tif", np.uint16, 16383, "16383 is taken"),
     ("p.png", np.uint16, 255, "255 is taken"), ("p.tif", np.int32, 4095, "4095 is taken"),
     ("p.tif", np.float32, 1, None), ("p.tif", np.float32, 0.6, None),
     ("p.tif", np.float32, 255, "255 is taken"), ("p.tif", np.float32, 65535, None)],
)  # fmt: skip
def test_deep_pictures_are_scaled(
    name: str, dtype: type, top: float, note: str | None, tmp_path: Path
) -> None:
    values = deep(GREY, top)
    photo = read_photo(
        save(tmp_path / name, (values if dtype == np.float32 else values.round()).astype(dtype))
    )
    expected = GREY if top != 0.6 else GREY * 0.6  # as dark as it is: its range is 0..1
    assert close(photo.pixels, np.repeat(np.rint(expected)[..., None], 3, axis=2))
    assert (not photo.notes) if note is None else (note in photo.notes[0])


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("top", [32767, 16383, 4095])
def test_white_of_signed_16_bits_is_their_largest_value(top: int, order: Any, tmp_path: Path) -> None:
    values = deep(GREY, top).round().astype(np.int16)
    tifffile.imwrite(tmp_path / "p.tif", values, byteorder=order, photometric="minisblack")
    photo = read_photo(tmp_path / "p.tif")
    assert close(photo.pixels, np.repeat(GREY[..., None], 3, axis=2))
    assert f"{top} is taken as white" in photo.notes[0]


@pytest.mark.parametrize("low", [0, -128])
def test_signed_8_bits_are_no_photo_but_may_be_labels(low: int, tmp_path: Path) -> None:
    path = tmp_path / "p.tif"
    values = (GREY // 2 if not low else GREY - 128.0).astype(np.int8)
    tifffile.imwrite(path, values, photometric="minisblack")
    for read in (read_photo, read_rgba):
        with pytest.raises(DeoccError, match=r"p.tif: its values are signed; save it with .* 8 bits"):
            read(path)
    tifffile.imwrite(path, (GREY // 13).astype(np.int8), photometric="minisblack")
    assert np.array_equal(read_labels(path), GREY // 13)


@pytest.mark.parametrize("name", ["p.png", "p.tif"])
@pytest.mark.parametrize("top", [65535, 4095, 16383])
def test_deep_colours_are_scaled(name: str, top: int, tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / name), deep(COLOURS[..., ::-1], top).round().astype(np.uint16))
    photo = read_photo(tmp_path / name)
    assert close(photo.pixels, COLOURS, 2)
    assert bool(photo.notes) == (top != 65535)


def test_deep_colours_with_alpha_are_scaled(tmp_path: Path) -> None:
    alpha = np.full((ROWS, COLUMNS, 1), 65535)
    alpha[:, :9] = 0
    values = np.dstack([deep(COLOURS[..., ::-1], 4095).round(), alpha]).astype(np.uint16)
    cv2.imwrite(str(tmp_path / "p.png"), values)
    pixels = read_image(tmp_path / "p.png")
    assert (pixels[:, :9] == 255).all() and close(pixels[:, 9:], COLOURS[:, 9:], 2)


@pytest.mark.parametrize(
    ("values", "dtype"),
    [(np.where(GREY > 9, GREY, np.nan), np.float32), (np.where(GREY > 9, GREY, np.inf), np.float32),
     (GREY - 100.0, np.float32), (GREY * 1000.0, np.float32), (GREY / 20.0, np.float32),
     (GREY - 100.0, np.int32), (GREY * 1e6, np.int32), (GREY / 20, np.uint16)],
)  # fmt: skip
def test_a_range_that_stays_open_is_refused(values: np.ndarray, dtype: type, tmp_path: Path) -> None:
    path = save(tmp_path / "p.tif", values.astype(dtype))
    with pytest.raises(DeoccError, match=r"p.tif: .*save (it|the picture)"):
        read_image(path)


# ------------------------------------------------------------------ colours


def profile(red: tuple[float, float, float], green: tuple[float, float, float],
            blue: tuple[float, float, float], gamma: float) -> bytes:  # fmt: skip
    """A matrix profile by the XYZ (D50) of its primaries; what Adobe RGB and Display P3 are made of."""

    def xyz(values: tuple[float, float, float]) -> bytes:
        return b"XYZ \0\0\0\0" + b"".join(struct.pack(">i", round(v * 65536)) for v in values)

    curve = b"curv\0\0\0\0" + struct.pack(">IH", 1, round(gamma * 256)) + b"\0\0"
    words = b"desc\0\0\0\0\0\0\0\x05test\0" + b"\0" * 79
    words += b"\0" * (-len(words) % 4)
    tags = {b"desc": words, b"cprt": b"text\0\0\0\0none\0\0\0\0", b"wtpt": xyz((0.9642, 1, 0.8249)),
            b"rXYZ": xyz(red), b"gXYZ": xyz(green), b"bXYZ": xyz(blue),
            b"rTRC": curve, b"gTRC": curve, b"bTRC": curve}  # fmt: skip
    table, body, start = struct.pack(">I", len(tags)), b"", 128 + 4 + 12 * len(tags)
    for name, data in tags.items():
        table += name + struct.pack(">II", start + len(body), len(data))
        body += data
    head = struct.pack(">I", start + len(body)) + b"none" + struct.pack(">I", 0x02400000) + b"mntrRGB XYZ "
    head += b"\x07\xd0\0\x01\0\x01\0\0\0\0\0\0" + b"acsp" + b"\0" * 28
    head += b"".join(struct.pack(">i", round(v * 65536)) for v in (0.9642, 1, 0.8249))
    return head.ljust(128, b"\0") + table + body


ADOBE_RGB = profile((0.6097, 0.3111, 0.0195), (0.2053, 0.6257, 0.0609), (0.1492, 0.0632, 0.7446), 2.19921875)
DISPLAY_P3 = profile((0.5151, 0.2412, -0.0011), (0.2919, 0.6922, 0.0419), (0.1572, 0.0666, 0.7841), 2.2)
EXCHANGED = profile((0.3851, 0.7169, 0.0971), (0.4361, 0.2225, 0.0139), (0.1431, 0.0606, 0.7141), 2.2)
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


@pytest.mark.parametrize("name", ["p.png", "p.tif", "p.webp"])
def test_exchanged_channels_are_exchanged_back(name: str, tmp_path: Path) -> None:
    photo = read_photo(save(tmp_path / name, COLOURS, icc_profile=EXCHANGED, lossless=True))
    assert close(photo.pixels[VERTICAL > 60], COLOURS[VERTICAL > 60][:, [1, 0, 2]], 24)
    assert "converted to sRGB from its profile (test)" in photo.notes[0]


@pytest.mark.parametrize(
    ("data", "colour", "expected"),
    [(ADOBE_RGB, (200, 100, 100), (228, 99, 99)), (ADOBE_RGB, (128, 128, 128), (128, 128, 128)),
     (DISPLAY_P3, (200, 100, 100), (214, 95, 98))],
)  # fmt: skip
def test_wide_gamuts_become_srgb(
    data: bytes, colour: tuple[int, ...], expected: tuple[int, ...], tmp_path: Path
) -> None:
    flat = np.full((8, 8, 3), colour, np.uint8)
    for mode in ("RGB", "RGBA"):
        Image.fromarray(flat).convert(mode).save(tmp_path / "p.png", icc_profile=data)
        assert close(read_image(tmp_path / "p.png"), np.full((8, 8, 3), expected), 4)


def test_srgb_profiles_leave_every_bit(tmp_path: Path) -> None:
    photo = read_photo(save(tmp_path / "p.png", COLOURS, icc_profile=SRGB))
    assert np.array_equal(photo.pixels, COLOURS) and photo.notes == ()


@pytest.mark.parametrize("data", [b"nonsense", SRGB[:200], ADOBE_RGB[:-20], b"\0" * 128])
def test_a_damaged_profile_leaves_the_colours(data: bytes, tmp_path: Path) -> None:
    photo = read_photo(save(tmp_path / "p.png", COLOURS, icc_profile=data))
    assert photo.notes and close(photo.pixels, COLOURS, 80)


def test_a_profile_of_another_kind_of_colours_is_left_out(tmp_path: Path) -> None:
    photo = read_photo(save(tmp_path / "p.png", GREY, icc_profile=ADOBE_RGB))
    assert np.array_equal(photo.pixels[..., 1], GREY) and "does not fit" in photo.notes[0]


MODES: dict[str, tuple[Callable[[], Image.Image], str, int]] = {
    "grey": (lambda: Image.fromarray(COLOURS).convert("L"), "p.png", 1),
    "1 bit": (lambda: Image.fromarray(COLOURS).convert("1"), "p.png", 0),
    "palette": (lambda: Image.fromarray(COLOURS).quantize(256), "p.png", 0),
    "CMYK": (lambda: Image.fromarray(COLOURS).convert("CMYK"), "p.tif", 1),
    "CMYK JPEG": (lambda: Image.fromarray(COLOURS).convert("CMYK"), "p.jpg", 16),
    "YCbCr": (lambda: Image.fromarray(COLOURS).convert("YCbCr"), "p.jpg", 24),
    "BMP": (lambda: Image.fromarray(COLOURS), "p.bmp", 0),
    "PPM": (lambda: Image.fromarray(COLOURS), "p.ppm", 0),
}


@pytest.mark.parametrize("kind", MODES)
def test_modes_become_rgb(kind: str, tmp_path: Path) -> None:
    make, name, tolerance = MODES[kind]
    image = make()
    image.save(tmp_path / name)
    assert close(read_image(tmp_path / name), np.asarray(image.convert("RGB")), tolerance)


def test_lab_becomes_rgb(tmp_path: Path) -> None:
    to_lab = ImageCms.buildTransform(
        ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), "RGB", "LAB"
    )
    lab = ImageCms.applyTransform(Image.fromarray(COLOURS), to_lab)
    assert lab is not None
    lab.save(tmp_path / "p.tif")
    assert np.abs(read_image(tmp_path / "p.tif").astype(int) - COLOURS).mean() < 6  # Lab has 8 bits, too


def test_transparent_pixels_lie_on_white(tmp_path: Path) -> None:
    image = Image.fromarray(COLOURS).quantize(16)
    image.save(tmp_path / "p.png", transparency=image.getpixel((0, 0)))
    pixels = read_image(tmp_path / "p.png")
    assert (pixels[0, 0] == 255).all() and not (pixels[-1, -1] == 255).all()
    rgba = np.dstack([COLOURS, np.full((ROWS, COLUMNS), 128, np.uint8)])
    assert close(read_image(save(tmp_path / "q.png", rgba)), (COLOURS.astype(int) + 255) // 2, 2)
    assert np.array_equal(read_rgba(tmp_path / "q.png"), rgba)


@pytest.mark.parametrize("name", ["p.gif", "p.png", "p.tif", "p.webp"])
def test_the_first_of_several_frames_counts(name: str, tmp_path: Path) -> None:
    other = Image.new("RGB", (COLUMNS, ROWS), (9, 200, 9))
    first = Image.new("RGB", (COLUMNS, ROWS), (200, 9, 9))
    first.save(tmp_path / name, save_all=True, append_images=[other])
    photo = read_photo(tmp_path / name)
    assert (
        close(photo.pixels, np.full((ROWS, COLUMNS, 3), (200, 9, 9)), 3)
        and "several frames" in photo.notes[0]
    )


def test_the_preview_of_a_camera_file_is_no_second_frame(tmp_path: Path) -> None:
    Image.fromarray(COLOURS).save(
        tmp_path / "p.jpg", format="MPO", save_all=True, append_images=[Image.new("RGB", (8, 8))]
    )
    assert (
        read_photo(tmp_path / "p.jpg").notes == () and read_image(tmp_path / "p.jpg").shape == COLOURS.shape
    )


# ------------------------------------------------------------------ refusals


def chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def png(width: int, height: int, *chunks: bytes) -> bytes:
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + b"".join(chunks) + chunk(b"IEND", b"")


def text_bomb() -> bytes:
    words = [chunk(b"zTXt", b"a\0\0" + zlib.compress(b"x" * 900_000)) for _ in range(90)]
    return png(2, 2, *words, chunk(b"IDAT", zlib.compress(b"\0" * 14)))


def test_too_many_pixels_are_refused_before_they_are_decoded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Image.Image, "load", lambda self: pytest.fail("decoded"))
    side = int(PIXEL_LIMIT**0.5) + 1
    (tmp_path / "p.png").write_bytes(png(side, side, chunk(b"IDAT", zlib.compress(b"\0" * 99))))
    with pytest.raises(
        DeoccError, match=rf"p.png: {side} x {side} pixels, more than the limit of \d+ million"
    ):
        read_image(tmp_path / "p.png")
    (tmp_path / "p.png").write_bytes(png(90_000, 90_000, chunk(b"IDAT", zlib.compress(b"\0" * 99))))
    with pytest.raises(DeoccError, match=r"p.png: more than the limit of \d+ million; shrink it"):
        read_mask(tmp_path / "p.png")


@pytest.mark.parametrize("name", ["p.png", "p.jpg", "p.tif", "p.webp", "p.gif", "p.bmp", "p.ppm"])
def test_every_cut_of_a_file_is_refused_in_one_line(name: str, tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (ROWS, COLUMNS, 3), np.uint8)
    whole = save(tmp_path / name, noise).read_bytes()
    for length in range(0, int(len(whole) * 0.9), max(1, len(whole) // 40)):
        (tmp_path / name).write_bytes(whole[:length])
        with pytest.raises(DeoccError, match=rf"{name}: [^\n]*; (save|give)[^\n]*$"):
            read_image(tmp_path / name)


@settings(deadline=None, max_examples=150)
@given(st.data(), st.sampled_from(["p.png", "p.jpg", "p.tif", "p.webp", "p.gif", "p.bmp", "p.ppm"]))
def test_changed_bytes_are_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject, name: str
) -> None:
    path = save(tmp_path_factory.mktemp("photos") / name, COLOURS)
    raw = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 8))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(raw)
    for read in (read_image, read_mask, read_labels, read_rgba):
        try:
            assert read(path).dtype in (np.uint8, bool)
        except DeoccError as error:
            assert "\n" not in str(error)


@pytest.mark.parametrize(
    ("name", "data"),
    [("p.eps", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n"), ("p.pdf", b"%PDF-1.7\n"),
     ("p.svg", b"<svg xmlns='http://www.w3.org/2000/svg'/>"), ("p.png", b""),
     ("p.psd", b"8BPS\0\x01" + b"\0" * 40),
     ("p.png", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n")],
)  # fmt: skip
def test_other_formats_are_refused_with_the_list(name: str, data: bytes, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(data)
    with pytest.raises(
        DeoccError, match=rf"{name}: not a picture that can be read; give PNG, JPEG, WebP, .*HEIF$"
    ):
        read_image(tmp_path / name)


@pytest.mark.parametrize("format_name", ["TGA", "ICO", "PCX", "SGI", "JPEG2000", "DDS", "EPS"])
def test_what_pillow_could_read_but_nobody_documented_is_refused(format_name: str, tmp_path: Path) -> None:
    assert format_name not in FORMATS
    buffer = io.BytesIO()
    Image.fromarray(COLOURS).save(buffer, format_name)
    (tmp_path / "p.png").write_bytes(buffer.getvalue())
    with pytest.raises(DeoccError, match=r"p.png: not a picture that can be read"):
        read_image(tmp_path / "p.png")


def test_bombs_of_text_are_refused(tmp_path: Path) -> None:
    (tmp_path / "p.png").write_bytes(text_bomb())
    with pytest.raises(DeoccError, match=r"p.png: damaged or cut off \(Too much memory"):
        read_image(tmp_path / "p.png")
    about = PngImagePlugin.PngInfo()
    about.add_text("a", "x" * 9_000_000, zip=True)
    save(tmp_path / "p.png", COLOURS, pnginfo=about)
    with pytest.raises(DeoccError, match=r"p.png: damaged or cut off \(Decompressed data too large"):
        read_image(tmp_path / "p.png")


def test_a_heic_photo_names_the_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    (tmp_path / "p.jpg").write_bytes(b"\0\0\0\x18ftypheic" + b"\0" * 40)
    with pytest.raises(DeoccError, match=r"a HEIC photo; run `.* -m pip install pillow-heif`") as raised:
        read_image(tmp_path / "p.jpg")
    assert sys.executable in str(raised.value)  # this Python's pip, whichever one the shell would find


def test_a_heic_photo_is_read_where_the_package_is(tmp_path: Path) -> None:
    pillow_heif = pytest.importorskip("pillow_heif")
    pillow_heif.from_pillow(Image.fromarray(COLOURS)).save(tmp_path / "p.heic", quality=-1)
    assert close(read_image(tmp_path / "p.heic"), COLOURS, 40)


def test_a_turned_heic_photo_is_turned_once(tmp_path: Path) -> None:
    """Phones write both an EXIF orientation and the file's own turn, which the decoder follows."""
    pillow_heif = pytest.importorskip("pillow_heif")
    tags = Image.Exif()
    tags[0x0112] = 6
    stored = pillow_heif.from_pillow(Image.fromarray(COLOURS))
    stored.save(tmp_path / "p.heic", exif=tags.tobytes(), quality=-1)
    photo = read_photo(tmp_path / "p.heic")
    assert photo.orientation == 1 and photo.notes == ()  # nothing is left for masks to follow
    assert close(photo.pixels, turn(COLOURS, 6), 40)


def test_colours_of_a_wholly_transparent_photo_are_taken(tmp_path: Path) -> None:
    save(tmp_path / "p.png", np.dstack([COLOURS, np.zeros(COLOURS.shape[:2], np.uint8)]))
    photo = read_photo(tmp_path / "p.png")
    assert np.array_equal(photo.pixels, COLOURS)
    assert photo.notes == ("it is transparent everywhere: read by its colours",)


@pytest.mark.parametrize(
    ("orientation", "size", "unclear"),
    [(1, (20, 20), False), (6, (20, 30), False), (6, (20, 20), True), (3, (20, 30), True), (2, (9, 5), True)],
)
def test_a_photo_that_masks_fit_both_ways_is_refused(
    orientation: int, size: tuple[int, int], unclear: bool, tmp_path: Path
) -> None:
    tags = Image.Exif()
    tags[0x0112] = orientation
    Image.new("RGB", size).save(tmp_path / "p.jpg", exif=tags)
    Image.new("L", size).save(tmp_path / "turned.png", exif=tags)
    Image.new("L", size).save(tmp_path / "m.png")
    refuse_unclear_turn(tmp_path / "p.jpg", [])
    if orientation > 1:
        refuse_unclear_turn(tmp_path / "p.jpg", [tmp_path / "turned.png"])
    if not unclear:
        return refuse_unclear_turn(tmp_path / "p.jpg", [tmp_path / "m.png"])
    with pytest.raises(DeoccError, match=f"orientation {orientation} turns it, and m.png fits .* save the"):
        refuse_unclear_turn(tmp_path / "p.jpg", [tmp_path / "turned.png", tmp_path / "m.png"])


@pytest.mark.parametrize("place", ["none", "before", "behind"])
def test_a_png_s_orientation_is_read_without_its_pixels(
    place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tags = Image.Exif()
    tags[0x0112] = 3
    Image.new("RGB", (20, 30)).save(tmp_path / "p.jpg", exif=tags)
    Image.new("L", (20, 30)).save(tmp_path / "m.png", exif=b"" if place == "none" else tags)
    if place == "behind":
        move_exif_behind_the_pixels(tmp_path / "m.png")
    else:
        monkeypatch.setattr(PngImagePlugin.PngImageFile, "load", lambda *_: pytest.fail("decoded"))
    if place == "none":
        with pytest.raises(DeoccError, match="m.png fits it turned and unturned"):
            refuse_unclear_turn(tmp_path / "p.jpg", [tmp_path / "m.png"])
    else:
        refuse_unclear_turn(tmp_path / "p.jpg", [tmp_path / "m.png"])


def move_exif_behind_the_pixels(path: Path) -> None:
    raw = path.read_bytes()
    start, end = raw.index(b"eXIf") - 4, raw.index(b"IEND") - 4
    length = 12 + int.from_bytes(raw[start : start + 4], "big")
    chunk, rest = raw[start : start + length], raw[start + length : end]
    path.write_bytes(raw[:start] + rest + chunk + raw[end:])


@pytest.mark.parametrize("ending", [".png", ".jpg", ".tif", ".webp"])
def test_every_format_with_an_orientation_of_its_own_is_not_refused(ending: str, tmp_path: Path) -> None:
    tags = Image.Exif()
    tags[0x0112] = 3
    for name in ("p", "m"):
        Image.new("RGB", (20, 30)).save(tmp_path / (name + ending), exif=tags)
    Image.new("L", (20, 30)).save(tmp_path / "plain.png")
    refuse_unclear_turn(tmp_path / f"p{ending}", [tmp_path / f"m{ending}"])
    with pytest.raises(DeoccError, match="orientation 3 turns it, and plain.png"):
        refuse_unclear_turn(tmp_path / f"p{ending}", [tmp_path / "plain.png"])


def test_raw_files_of_cameras_are_refused(tmp_path: Path) -> None:
    save(tmp_path / "p.dng", COLOURS, format="TIFF", tiffinfo={50706: b"\x01\x04\0\0"})
    with pytest.raises(DeoccError, match=r"p.dng: a raw or thumbnail file"):
        read_image(tmp_path / "p.dng")
    save(tmp_path / "p.nef", COLOURS, format="TIFF", tiffinfo={254: 1})
    with pytest.raises(DeoccError, match=r"p.nef: a raw or thumbnail file"):
        read_image(tmp_path / "p.nef")


def test_folders_and_missing_files_are_refused(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "missing.png"):
        with pytest.raises(DeoccError, match="no such file"):
            read_image(path)


def test_memory_that_runs_out_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise MemoryError

    save(tmp_path / "p.png", COLOURS)
    monkeypatch.setattr(pictures, "_decoded", fail)
    with pytest.raises(DeoccError, match=r"p.png: too large for the memory; make it smaller"):
        read_image(tmp_path / "p.png")


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda p: tifffile.imwrite(p, 65535 - GREY.astype(np.uint16) * 257, photometric="miniswhite"),
         "zero is white"),
        (lambda p: tifffile.imwrite(p, COLOURS.transpose(2, 0, 1).astype(np.uint16) * 257, photometric="rgb",
                                    planarconfig="separate"), "separate planes"),
        (lambda p: tifffile.imwrite(p, COLOURS.astype(np.float32) / 255, photometric="rgb"), "of a kind"),
        (lambda p: tifffile.imwrite(p, GREY.astype(np.float64) / 255), "of a kind"),
        (lambda p: tifffile.imwrite(p, GREY.astype(np.float16) / 255), "of a kind"),
    ],
)  # fmt: skip
def test_tiff_files_that_would_be_misread_are_refused(
    make: Callable[[Path], None], said: str, tmp_path: Path
) -> None:
    make(tmp_path / "p.tif")
    with pytest.raises(DeoccError, match=f"p.tif: .*{said}.* 8 bits"):
        read_image(tmp_path / "p.tif")


@pytest.mark.parametrize(
    "more",
    [
        {"planarconfig": "separate"},
        {"bigtiff": True},
        {"byteorder": ">"},
        {"predictor": True, "tile": (16, 16)},
    ],
)
def test_layouts_of_tiff_are_read(more: dict[str, Any], tmp_path: Path) -> None:
    planes = COLOURS.transpose(2, 0, 1).copy() if "planarconfig" in more else COLOURS
    packed = {"compression": "zlib"} if "predictor" in more else {}
    tifffile.imwrite(tmp_path / "p.tif", planes, photometric="rgb", **more, **packed)
    assert np.array_equal(read_image(tmp_path / "p.tif"), COLOURS)


LABELS = np.repeat(np.arange(ROWS, dtype=np.uint8)[:, None] // 4, COLUMNS, 1)


@pytest.mark.parametrize(
    ("name", "make"),
    [
        ("l.png", lambda: Image.fromarray(LABELS)),
        ("l.png", lambda: Image.merge("RGB", [Image.fromarray(LABELS)] * 3)),
        ("l.png", lambda: Image.fromarray(LABELS).convert("RGBA")),
        ("l.png", lambda: Image.fromarray(LABELS).convert("LA")),
        ("l.png", lambda: Image.fromarray(LABELS.astype(np.uint16))),
        ("l.tif", lambda: Image.fromarray(LABELS.astype(np.int32))),
        ("l.bmp", lambda: Image.fromarray(LABELS)),
        ("l.gif", lambda: Image.fromarray(LABELS)),
    ],
)  # fmt: skip
def test_labels_are_read_from_more_than_they_need(
    name: str, make: Callable[[], Image.Image], tmp_path: Path
) -> None:
    make().save(tmp_path / name)
    labels = read_labels(tmp_path / name)
    assert labels.dtype == np.uint8 and np.array_equal(labels, LABELS)


def test_one_bit_is_a_label(tmp_path: Path) -> None:
    Image.fromarray(LABELS > 2).save(tmp_path / "l.png")
    assert np.array_equal(read_labels(tmp_path / "l.png"), LABELS > 2)


@pytest.mark.parametrize(
    ("name", "make", "said"),
    [
        ("l.jpg", lambda: Image.fromarray(LABELS), "JPEG smears labels"),
        ("l.webp", lambda: Image.fromarray(LABELS), "WEBP smears labels"),
        ("l.png", lambda: Image.fromarray(COLOURS), "one 8-bit channel, this one is RGB"),
        ("l.png", lambda: Image.fromarray(LABELS.astype(np.uint16) * 200), "labels 0..255"),
        ("l.tif", lambda: Image.fromarray(LABELS - np.int32(1)), "labels 0..255"),
        ("l.tif", lambda: Image.fromarray(LABELS / np.float32(2)), "this one is F"),
        ("l.png", lambda: Image.fromarray(np.dstack([LABELS, LABELS])), "this one is LA"),
    ],
)  # fmt: skip
def test_what_is_no_label_map_is_refused(
    name: str, make: Callable[[], Image.Image], said: str, tmp_path: Path
) -> None:
    make().save(tmp_path / name)
    with pytest.raises(DeoccError, match=f"{name}: .*{said}"):
        read_labels(tmp_path / name)


# ------------------------------------------------------------------ writing


@pytest.mark.parametrize("channels", [(), (3,), (4,)])
def test_large_and_small_png_files_hold_the_same_pixels(
    channels: tuple[int, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (37, 53, *channels), np.uint8)
    small = write_image(tmp_path / "small.png", pixels).read_bytes()
    monkeypatch.setattr(pictures, "LARGE", 1)
    large = write_image(tmp_path / "large.png", pixels[:, ::-1][:, ::-1]).read_bytes()
    assert large != small
    for content in (small, large):
        assert np.array_equal(np.asarray(Image.open(io.BytesIO(content))), pixels)
