"""Names that come from a file never lead out of their folder."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deocc.errors import DeoccError
from deocc.io import inside, safe_name

ANY = st.one_of(
    st.text(max_size=40),
    st.text("./\\aC: \x00\n\ud800é①", max_size=12),
    st.none(), st.integers(), st.floats(), st.lists(st.integers()),
)  # fmt: skip


@given(ANY)
def test_a_name_stays_in_its_folder_or_is_refused(name: object) -> None:
    try:
        path = inside("/there/folder", name)
    except DeoccError as error:
        assert "\n" not in str(error)
        return
    assert path.is_relative_to("/there/folder") and path != Path("/there/folder") and ".." not in path.parts
    assert not path.exists()  # the system takes the name


@given(ANY)
def test_a_safe_name_is_one_part_of_a_path(name: object) -> None:
    try:
        text = safe_name(name)
    except DeoccError as error:
        assert "\n" not in str(error)
        return
    assert Path("/there", f"{text}_0.png").parent == Path("/there")
    assert not Path("/there", f"{text}_0.png").exists()


@pytest.mark.parametrize(
    "name",
    ["../x.jpg", "a/../../x.jpg", "a/..", "/etc/passwd", "\\x.jpg", "..\\x.jpg", "C:\\x.jpg", "c:/x.jpg", ".",
     "/", "", " ", None, 3, "x\x00.jpg", "x\n.jpg", "\ud800.jpg", "x" * 256, "\\\\server\\share\\x.jpg"],
)  # fmt: skip
def test_names_that_lead_out_are_refused(name: object) -> None:
    with pytest.raises(DeoccError, match=r"^images: file_name "):
        inside("folder", name, "images: file_name")


@pytest.mark.parametrize(
    ("name", "expected"),
    [("x.jpg", "x.jpg"), ("a/x.jpg", "a/x.jpg"), ("a\\x.jpg", "a/x.jpg"), ("./x.jpg", "x.jpg"),
     ("写真_①.jpg", "写真_①.jpg"), ("a..b.jpg", "a..b.jpg"), ("a//x y.jpg", "a/x y.jpg"), ("a/C:x", "a/C:x")],
)  # fmt: skip
def test_ordinary_names_are_joined(name: str, expected: str) -> None:
    assert inside("folder", name) == Path("folder", expected)


def test_a_file_really_called_with_a_backslash_is_found(tmp_path: Path) -> None:
    (tmp_path / "a\\x.jpg").touch()
    assert inside(tmp_path, "a\\x.jpg") == tmp_path / "a\\x.jpg"
    assert inside(tmp_path, "b\\x.jpg") == tmp_path / "b" / "x.jpg"


def test_links_in_the_folder_are_followed(tmp_path: Path) -> None:
    (tmp_path / "real.jpg").write_bytes(b"x")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "link.jpg").symlink_to(tmp_path / "real.jpg")
    assert inside(tmp_path / "folder", "link.jpg").read_bytes() == b"x"


@pytest.mark.parametrize("name", ["a/b", "a\\b", "..", ".hidden", "", "C:", None, 7, "x" * 201, "a\tb"])
def test_names_that_no_file_can_have_are_refused(name: object) -> None:
    with pytest.raises(DeoccError, match=r"^id "):
        safe_name(name)


def test_safe_names_come_back_as_they_are() -> None:
    for name in ("rendered_000001", "写真_①", "a b", "x.y-z"):
        assert safe_name(name) == name
