"""`deocc deocclude` on files of other programs: no input overwritten, no mask inverted in silence."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from deocc.cli.photo import PHOTO_FILES, deocclude_photo, fitting_mask
from deocc.errors import DeoccError
from deocc.inference import Deoccluder
from deocc.io import (
    read_image,
    read_json,
    read_photo,
    require_writable_file,
    turn,
    write_image,
    write_json,
    write_mask,
)

ROWS, COLUMNS = 60, 44


@pytest.fixture(scope="module")
def deoccluder(tiny_weights: Path) -> Deoccluder:
    return Deoccluder.from_pretrained(tiny_weights)


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    """photo.png and mask.png; the person stands in the upper left, so that every turn is told apart."""
    pixels = np.random.default_rng(0).integers(0, 256, (ROWS, COLUMNS, 3), np.uint8)
    write_mask(tmp_path / "mask.png", person())
    return write_image(tmp_path / "photo.png", pixels)


def person() -> np.ndarray:
    mask = np.zeros((ROWS, COLUMNS), bool)
    mask[5:30, 4:16] = True
    return mask


def nothing() -> Any:
    pytest.fail("the networks were loaded before the input was checked")


def stored(path: Path, pixels: np.ndarray, orientation: int) -> Path:
    """A file that viewers show as `pixels`, stored another way."""
    back = {6: 8, 8: 6}.get(orientation, orientation)
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(turn(pixels, back)).save(path, exif=exif)
    return path


@pytest.mark.parametrize("name", PHOTO_FILES[:-1])
def test_neither_mask_nor_photo_is_overwritten(name: str, photo: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    for given in ("mask.png", "photo.png"):
        inside = tmp_path / "out" / name
        inside.write_bytes((tmp_path / given).read_bytes())
        paths = {"mask.png": tmp_path / "mask.png", "photo.png": photo} | {given: inside}
        with pytest.raises(DeoccError, match=rf"{name}: writing .* would overwrite it; choose another --out"):
            deocclude_photo(paths["photo.png"], tmp_path / "out", nothing, mask=paths["mask.png"])
        assert [p.name for p in (tmp_path / "out").iterdir()] == [name]


def test_a_name_that_is_not_written_may_be_the_photo_s(
    photo: Path, tmp_path: Path, deoccluder: Deoccluder
) -> None:
    inside = photo.rename(tmp_path / "recovered_1.png")
    before = inside.read_bytes()
    with pytest.raises(DeoccError, match=r"recovered_1.png: writing .* would overwrite it"):
        deocclude_photo(inside, tmp_path, nothing, mask=tmp_path / "mask.png", samples=2)
    deocclude_photo(inside, tmp_path, lambda: deoccluder, mask=tmp_path / "mask.png")
    assert inside.read_bytes() == before


def test_the_photo_s_own_folder_is_fine_where_names_differ(
    photo: Path, tmp_path: Path, deoccluder: Deoccluder
) -> None:
    deocclude_photo(photo, tmp_path, lambda: deoccluder, mask=tmp_path / "mask.png")
    assert set(PHOTO_FILES) <= {p.name for p in tmp_path.iterdir()}


def test_an_inverted_mask_is_refused(photo: Path, tmp_path: Path) -> None:
    write_mask(tmp_path / "inverted.png", ~person())
    with pytest.raises(DeoccError, match=r"inverted.png: it covers 100% of the picture's border"):
        deocclude_photo(photo, tmp_path / "out", nothing, mask=tmp_path / "inverted.png")


@pytest.mark.parametrize("orientation", range(2, 9))
def test_a_mask_may_be_drawn_on_the_photo_as_stored_or_as_shown(
    orientation: int, photo: Path, tmp_path: Path, deoccluder: Deoccluder
) -> None:
    """Its size decides if it can; a mask that is turned itself is turned with the photo."""
    shown = read_image(photo)
    turned = stored(tmp_path / "turned.png", shown, orientation)
    back = {6: 8, 8: 6}.get(orientation, orientation)
    write_mask(tmp_path / "stored.png", turn(person(), back))
    stored(tmp_path / "tagged.png", np.where(person(), 255, 0).astype(np.uint8), orientation)
    expected = deoccluder.deocclude(shown, person())
    notes = {"mask.png": "as shown", "stored.png": "as stored; turned", "tagged.png": ""}
    for name, note in notes.items():
        fits: Any = None if orientation >= 5 or not note else note[3:].split(";")[0]
        options = {"mask": tmp_path / name, "mask_fits": fits}
        result = deocclude_photo(turned, tmp_path / name[:-4], lambda: deoccluder, **options)
        assert (note in " ".join(result["notes"])) if note else not any("mask:" in n for n in result["notes"])
        assert np.array_equal(read_image(tmp_path / name[:-4] / "recovered.png"), expected.recovered)


@pytest.mark.parametrize(
    ("orientation", "square"), [(2, False), (3, False), (4, False), (6, True), (7, True)]
)
def test_a_mask_that_fits_a_turned_photo_both_ways_is_refused(
    orientation: int, square: bool, tmp_path: Path
) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (ROWS, ROWS if square else COLUMNS, 3), np.uint8)
    turned = stored(tmp_path / "turned.png", pixels, orientation)
    mask = np.zeros(pixels.shape[:2], bool)
    mask[5:30, 4:16] = True
    path = write_mask(tmp_path / "mask.png", mask)
    with pytest.raises(DeoccError, match=r"mask.png: .* turned and unturned; add --mask-fits shown or"):
        deocclude_photo(turned, tmp_path / "out", nothing, mask=path)
    assert not (tmp_path / "out").exists()
    read, notes = read_photo(turned), list[str]()
    assert np.array_equal(fitting_mask(path, read, notes, "shown"), mask)
    assert np.array_equal(fitting_mask(path, read, notes, "stored"), turn(mask, orientation))


def test_a_mask_that_no_turn_changes_needs_no_word(tmp_path: Path) -> None:
    turned = stored(tmp_path / "turned.png", np.zeros((ROWS, COLUMNS, 3), np.uint8), 3)
    mask = np.zeros((ROWS, COLUMNS), bool)
    mask[20 : ROWS - 20, 10 : COLUMNS - 10] = True
    path, notes = write_mask(tmp_path / "mask.png", mask), list[str]()
    assert np.array_equal(fitting_mask(path, read_photo(turned), notes), mask)
    assert "as shown" in notes[0]


def test_what_was_not_plain_is_kept_with_the_result(
    photo: Path, tmp_path: Path, deoccluder: Deoccluder
) -> None:
    pixels = read_image(photo)[..., 0].astype(np.uint16) * 16
    Image.fromarray(pixels).save(tmp_path / "deep.png")
    Image.fromarray(np.where(person(), 200, 60).astype(np.uint8)).save(tmp_path / "greys.png")
    deocclude_photo(tmp_path / "deep.png", tmp_path / "out", lambda: deoccluder, mask=tmp_path / "greys.png")
    notes = read_json(tmp_path / "out" / "result.json")["notes"]
    assert notes[0].startswith("photo: its largest value is 4080") and "4095 is taken as white" in notes[0]
    assert notes[1] == "mask: read by brightness: the value 200 is inside, 60 is not"


@pytest.mark.parametrize("samples", [0, 17, 10**20])
def test_too_many_completions_are_refused_at_once(samples: int, photo: Path, tmp_path: Path) -> None:
    with pytest.raises(DeoccError, match=rf"samples is {samples}; expected 1 to 16"):
        deocclude_photo(photo, tmp_path / "out", nothing, tmp_path / "mask.png", samples=samples)


def test_a_negative_seed_is_refused_at_once(photo: Path, tmp_path: Path) -> None:
    with pytest.raises(DeoccError, match="seed is -1; expected 0 or more"):
        deocclude_photo(photo, tmp_path / "out", nothing, tmp_path / "mask.png", seed=-1)


def test_how_a_mask_fits_needs_a_mask(photo: Path, tmp_path: Path) -> None:
    with pytest.raises(DeoccError, match="mask_fits is 'stored', but no mask came"):
        deocclude_photo(photo, tmp_path / "out", nothing, box=(4, 5, 16, 30), mask_fits="stored")


def test_a_folder_is_no_picture(tmp_path: Path) -> None:
    with pytest.raises(DeoccError, match=r"no such file \(it is a folder or a device\); give the path"):
        deocclude_photo(tmp_path, tmp_path / "out", nothing, box=(4, 5, 16, 30))


def test_devices_and_links_are_no_files_to_replace(tmp_path: Path) -> None:
    with pytest.raises(DeoccError, match="device"):
        require_writable_file("/dev/null")
    (tmp_path / "real.json").write_text("old")
    (tmp_path / "link.json").symlink_to(tmp_path / "real.json")
    assert require_writable_file(tmp_path / "link.json") == tmp_path / "real.json"
    write_json(tmp_path / "link.json", {"new": 1})  # a file of a folder: what it led to may be of others
    assert not (tmp_path / "link.json").is_symlink() and (tmp_path / "real.json").read_text() == "old"
    (tmp_path / "broken.json").symlink_to(tmp_path / "none" / "x.json")
    with pytest.raises(DeoccError, match="link to a file that is missing"):
        require_writable_file(tmp_path / "broken.json")
    (tmp_path / "disk").symlink_to(tmp_path / "unmounted")
    with pytest.raises(DeoccError, match="link to a place that is missing"):
        require_writable_file(tmp_path / "disk" / "x.json")
