"""Fetching: a local server that cuts connections, lies and hides files; archives that try to break out."""

import hashlib
import http.server
import io
import stat
import tarfile
import threading
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from deocc.cli import main as cli
from deocc.errors import DeoccError
from deocc.io import read_json
from deocc.people import download, registry
from deocc.people import fetch as F
from deocc.people import unpack as U
from deocc.people.registry import ORIGINALS, Original, RemoteFile

PAYLOAD = bytes(range(256)) * 4096  # 1 MiB
SHA = "sha256:" + hashlib.sha256(PAYLOAD).hexdigest()


class Server(http.server.ThreadingHTTPServer):
    """Serves `files` by name; `cut` ends each answer after so many bytes, `ranges` allows to go on."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.files: dict[str, bytes] = {}
        self.cut: list[int] = []  # one answer each
        self.ranges, self.etag, self.status = True, '"v1"', 0
        self.asked: list[dict[str, str]] = []

    def url(self, name: str) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/{name}"


class Handler(http.server.BaseHTTPRequestHandler):
    """One request."""

    server: Server

    def log_message(self, *args: object) -> None:
        pass

    def do_GET(self) -> None:
        self.server.asked.append(dict(self.headers))
        body = self.server.files.get(self.path.lstrip("/"))
        if self.server.status or body is None:
            self.send_error(self.server.status or 404)
            return
        wanted = self.headers.get("Range", "")
        fresh = self.headers.get("If-Range") == self.server.etag
        start = int(wanted[6:].split("-")[0]) if wanted and fresh and self.server.ranges else 0
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
        self.send_header("Content-Length", str(len(body) - start))
        self.send_header("ETag", self.server.etag)
        self.end_headers()
        end = start + self.server.cut.pop(0) if self.server.cut else len(body)
        self.wfile.write(body[start:end])


@pytest.fixture
def server() -> Iterator[Server]:
    made = Server()
    made.files["photos.bin"] = PAYLOAD
    threading.Thread(target=made.serve_forever, args=(0.01,), daemon=True).start()
    yield made
    made.shutdown()
    made.server_close()


@pytest.fixture
def get(server: Server, tmp_path: Path) -> Callable[..., Path]:
    """Downloads photos.bin without waiting between attempts."""

    def run(tries: int = 4, **facts: object) -> Path:
        file = RemoteFile(server.url("photos.bin"), **facts)  # type: ignore[arg-type]
        return F.download(file, tmp_path / "photos.bin", tries=tries, pause=0, progress=False)

    return run


def leftovers(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


# --- one file -------------------------------------------------------------------------------------


def test_a_file_comes_whole(get: Callable[..., Path], tmp_path: Path) -> None:
    assert get(size=len(PAYLOAD), checksum=SHA).read_bytes() == PAYLOAD
    assert leftovers(tmp_path) == ["photos.bin"]


def test_a_cut_connection_is_taken_up_where_it_ended(get: Callable[..., Path], server: Server) -> None:
    server.cut = [300_000, 200_000, 100_000]
    assert get(checksum=SHA).read_bytes() == PAYLOAD
    assert [asked.get("Range") for asked in server.asked] == [
        None, "bytes=300000-", "bytes=500000-", "bytes=600000-",  # not a byte is lost
    ]  # fmt: skip
    assert all(asked["If-Range"] == '"v1"' for asked in server.asked[1:])


def test_a_later_run_goes_on_where_the_first_gave_up(
    get: Callable[..., Path], server: Server, tmp_path: Path
) -> None:
    server.cut = [400_000]
    with pytest.raises(DeoccError, match=r"400\.0 kB are kept.*by hand"):
        get(tries=1)
    assert leftovers(tmp_path) == ["photos.bin.part", "photos.bin.part.json"]
    assert get(checksum=SHA).read_bytes() == PAYLOAD
    assert server.asked[-1]["Range"] == "bytes=400000-"
    assert leftovers(tmp_path) == ["photos.bin"]


def test_a_changed_file_is_fetched_anew(get: Callable[..., Path], server: Server) -> None:
    server.cut = [400_000]
    with pytest.raises(DeoccError):
        get(tries=1)
    server.etag, server.files["photos.bin"] = '"v2"', PAYLOAD[::-1]
    assert get().read_bytes() == PAYLOAD[::-1]  # not the head of one and the tail of the other


def test_a_server_without_ranges_or_tags_sends_it_all_again(get: Callable[..., Path], server: Server) -> None:
    server.cut, server.ranges = [400_000], False
    assert get(checksum=SHA).read_bytes() == PAYLOAD
    server.cut, server.etag = [400_000], 'W/"weak"'
    assert get(checksum=SHA).read_bytes() == PAYLOAD
    assert "Range" not in server.asked[-1]


def test_a_run_that_ended_before_the_checksum_asks_for_nothing(
    get: Callable[..., Path], server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(download, "verify", lambda *words: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        get()
    monkeypatch.undo()
    assert get(checksum=SHA).read_bytes() == PAYLOAD and len(server.asked) == 1


def test_a_wrong_checksum_leaves_nothing(get: Callable[..., Path], tmp_path: Path) -> None:
    with pytest.raises(DeoccError, match="sha256 is .*0000 was expected.*removed"):
        get(checksum="sha256:" + "0" * 64)
    assert leftovers(tmp_path) == []
    assert get(checksum="md5:" + hashlib.md5(PAYLOAD).hexdigest()[:8])  # a beginning, as torchvision's names


def test_a_wrong_size_stops_before_the_bytes_come(get: Callable[..., Path], tmp_path: Path) -> None:
    with pytest.raises(DeoccError, match="another version"):
        get(size=7)
    assert leftovers(tmp_path) == []


def test_a_missing_file_is_said_at_once(get: Callable[..., Path], server: Server) -> None:
    server.files.clear()
    with pytest.raises(DeoccError, match="answers 404.*owner's page"):
        get()
    assert len(server.asked) == 1


def test_a_busy_server_is_asked_again(get: Callable[..., Path], server: Server) -> None:
    server.status = 503
    with pytest.raises(DeoccError, match="503.*by hand"):
        get(tries=3)
    assert len(server.asked) == 3


def test_offline_gives_one_sentence_and_the_way_by_hand(server: Server, tmp_path: Path) -> None:
    closed = Server()
    address = closed.url("photos.bin")
    closed.server_close()
    with pytest.raises(DeoccError) as stop:
        F.download(RemoteFile(address), tmp_path / "x", tries=2, pause=0, progress=False)
    words = str(stop.value)
    assert "cannot be reached" in words and f"download {address} as {tmp_path / 'x'}" in words
    assert "\n" not in words and leftovers(tmp_path) == []


def test_a_full_disk_is_noticed_before_the_bytes_come(
    get: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(U.shutil, "disk_usage", lambda path: SimpleNamespace(free=1000))
    with pytest.raises(DeoccError, match=r"photos.bin needs 1\.0 MB, the disk has 1\.0 kB free"):
        get()
    assert not (tmp_path / "photos.bin").exists()


# --- archives -------------------------------------------------------------------------------------

GOOD = {"set/photos/1.txt": b"one", "set/photos/2.txt": b"two", "set/list.txt": b"1 2"}


def write_zip(path: Path, files: dict[str, bytes], link: tuple[str, str] | None = None) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
        if link:
            info = zipfile.ZipInfo(link[0])
            info.external_attr = (stat.S_IFLNK | 0o777) << 16
            archive.writestr(info, link[1])
    return path


def write_tar(
    path: Path, files: dict[str, bytes], link: tuple[str, str] | None = None, kind: bytes = tarfile.SYMTYPE
) -> Path:
    with tarfile.open(path, "w:gz") as archive:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size, info.mode = len(data), 0o4777
            archive.addfile(info, io.BytesIO(data))
        if link:
            info = tarfile.TarInfo(link[0])
            info.type, info.linkname = kind, link[1]
            archive.addfile(info)
    return path


WRITERS = {"a.zip": write_zip, "a.tgz": write_tar}


@pytest.mark.parametrize("name", WRITERS)
def test_archives_unpack_and_merge(name: str, tmp_path: Path) -> None:
    (tmp_path / "out/set").mkdir(parents=True)
    (tmp_path / "out/set/mine.txt").write_text("mine")
    archive = WRITERS[name](tmp_path / name, GOOD)
    assert U.unpack(archive, tmp_path / "out", progress=False) == 3
    assert leftovers(tmp_path / "out") == ["1.txt", "2.txt", "list.txt", "mine.txt"]
    assert (tmp_path / "out/set/photos/2.txt").read_bytes() == b"two"
    assert not (tmp_path / "out/set/list.txt").stat().st_mode & 0o7111  # no set-uid, nothing executable
    assert U.unpack(archive, tmp_path / "flat", strip=True, progress=False) == 3
    assert (tmp_path / "flat/list.txt").exists()


@pytest.mark.parametrize("name", WRITERS)
@pytest.mark.parametrize("path", ["../evil", "set/../../evil", "/evil", "..\\evil", "C:\\evil"])
def test_paths_that_lead_out_stop_everything(name: str, path: str, tmp_path: Path) -> None:
    archive = WRITERS[name](tmp_path / name, {**GOOD, path: b"evil"})
    with pytest.raises(DeoccError, match="leads out"):
        U.unpack(archive, tmp_path / "out", progress=False)
    assert leftovers(tmp_path) == [name]


@pytest.mark.parametrize("name", WRITERS)
@pytest.mark.parametrize("target", ["/etc/passwd", "../../secret", "photos/../../../x"])
def test_links_that_lead_out_stop_everything(name: str, target: str, tmp_path: Path) -> None:
    archive = WRITERS[name](tmp_path / name, GOOD, ("set/link", target))
    with pytest.raises(DeoccError, match="link to .* leads out"):
        U.unpack(archive, tmp_path / "out", progress=False)
    assert leftovers(tmp_path) == [name]


@pytest.mark.parametrize("name", WRITERS)
def test_links_inside_are_left_out(name: str, tmp_path: Path) -> None:
    archive = WRITERS[name](tmp_path / name, GOOD, ("set/photos/link", "../list.txt"))
    assert U.unpack(archive, tmp_path / "out", progress=False) == 3
    assert not any(path.is_symlink() for path in (tmp_path / "out").rglob("*"))


def test_hard_links_out_and_devices_are_refused(tmp_path: Path) -> None:
    hard = write_tar(tmp_path / "hard.tgz", GOOD, ("set/link", "../../x"), tarfile.LNKTYPE)
    pipe = write_tar(tmp_path / "pipe.tgz", GOOD, ("set/pipe", ""), tarfile.FIFOTYPE)
    for archive, words in ((hard, "leads out"), (pipe, "no plain file")):
        with pytest.raises(DeoccError, match=words):
            U.unpack(archive, tmp_path / "out", progress=False)


@pytest.mark.parametrize("name", WRITERS)
def test_a_damaged_archive_leaves_nothing(name: str, tmp_path: Path) -> None:
    archive = WRITERS[name](tmp_path / name, {"big": bytes(range(256)) * 2000})
    archive.write_bytes(archive.read_bytes()[:200])
    with pytest.raises(DeoccError, match="damaged or cut off"):
        U.unpack(archive, tmp_path / "out", progress=False)
    assert leftovers(tmp_path) == [name]


def test_an_archive_larger_than_the_disk_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bomb = write_zip(tmp_path / "bomb.zip", {"zeros": bytes(5_000_000)})
    monkeypatch.setattr(U.shutil, "disk_usage", lambda path: SimpleNamespace(free=1_000_000))
    with pytest.raises(DeoccError, match=r"needs 5\.0 MB"):
        U.unpack(bomb, tmp_path / "out", progress=False)


# --- datasets -------------------------------------------------------------------------------------


@pytest.fixture
def dataset(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A dataset "toy" of one archive and one table on the local server."""
    server.files["toy.zip"] = write_zip(tmp_path / "served.zip", GOOD).read_bytes()
    server.files["boxes.csv"] = b"a,b\n"
    files = (RemoteFile(server.url("toy.zip"), strip=True), RemoteFile(server.url("boxes.csv"), into="boxes"))
    toy = Original("Toy set", "toys only", "http://toys.example", "toy", files)
    monkeypatch.setitem(ORIGINALS, "toy", toy)
    return "toy"


def run(capsys: pytest.CaptureFixture[str], *words: object) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as stop:
        cli.main([str(word) for word in words])
    return int(stop.value.code or 0), *capsys.readouterr()


def test_the_command_shows_the_licence_and_fetches(
    dataset: str, server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    status, said, wrong = run(capsys, "people", "fetch", dataset, "--out", out)
    assert status == 2 and "licence: toys only" in said and "--yes" in wrong
    assert not out.exists() and not server.asked  # nothing happens before the licence is accepted
    status, said, _ = run(capsys, "people", "fetch", dataset, "--out", out, "--yes")
    assert status == 0 and said.index("licence") < said.index("4 new files")
    assert leftovers(out / "toy") == [
        "1.txt", "2.txt", "boxes.csv", "boxes.csv.json", "list.txt", "toy.zip.json",
    ]  # fmt: skip
    facts = read_json(out / "toy/.fetched/toy.zip.json")
    assert facts["sha256"] == hashlib.sha256(server.files["toy.zip"]).hexdigest() and facts["files"] == 3
    asked = len(server.asked)
    assert run(capsys, "people", "fetch", dataset, "--out", out, "--yes")[0] == 0
    assert len(server.asked) == asked  # all there
    options = ("--out", out, "--yes", "--again", "--keep-archives")
    assert run(capsys, "people", "fetch", dataset, *options)[0] == 0
    assert len(server.asked) == asked + 2 and (out / "toy/toy.zip").is_file()


def test_what_was_put_there_by_hand_is_taken(dataset: str, server: Server, tmp_path: Path) -> None:
    place = tmp_path / "out/toy"
    write_zip((place.mkdir(parents=True), place / "toy.zip")[1], GOOD)
    folder, count = F.fetch(dataset, tmp_path / "out", lambda words: True, progress=False)
    assert count == 4 and (folder / "photos/1.txt").exists() and len(server.asked) == 1


def test_a_file_that_was_removed_is_fetched_again(dataset: str, server: Server, tmp_path: Path) -> None:
    def fetched() -> int:
        return F.fetch(dataset, tmp_path / "out", lambda words: True, progress=False)[1]

    table = tmp_path / "out/toy/boxes/boxes.csv"
    assert fetched() == 4 and fetched() == 0
    table.unlink()
    assert fetched() == 1 and table.read_bytes() == b"a,b\n"


def test_a_dataset_larger_than_the_disk_is_refused_first(
    dataset: str, server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    toy = ORIGINALS[dataset]
    large = replace(toy, files=(replace(toy.files[0], size=10**16),))
    monkeypatch.setitem(ORIGINALS, dataset, large)
    with pytest.raises(DeoccError, match="this dataset needs"):
        F.fetch(dataset, tmp_path / "out", lambda words: True, progress=False)
    assert not server.asked


@pytest.mark.parametrize("name", [name for name, entry in ORIGINALS.items() if not entry.files])
def test_datasets_that_ask_for_a_person_say_so(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status, said, wrong = run(capsys, "people", "fetch", name, "--yes", "--out", tmp_path)
    assert status == 2 and "licence" in said
    assert ORIGINALS[name].page in wrong and wrong.count("\n") == 1 and "Traceback" not in wrong


def test_unknown_names_and_refused_licences(tmp_path: Path) -> None:
    with pytest.raises(DeoccError, match="unknown; choose from coco"):
        F.fetch("nothing", tmp_path)
    with pytest.raises(DeoccError, match="not accepted"):
        F.fetch("coco", tmp_path, lambda words: False)
    assert not list(tmp_path.iterdir())


# --- the registry ---------------------------------------------------------------------------------


def test_registry_agrees_with_torchvision() -> None:
    from torchvision.datasets import SBDataset
    from torchvision.datasets.voc import DATASET_YEAR_DICT
    from torchvision.models.detection import MaskRCNN_ResNet50_FPN_V2_Weights
    from torchvision.models.segmentation import DeepLabV3_ResNet50_Weights

    voc = DATASET_YEAR_DICT["2012"]
    assert (registry.VOC.url, registry.VOC.checksum) == (voc["url"], f"md5:{voc['md5']}")
    assert (registry.SBD.url, registry.SBD.checksum) == (SBDataset.url, f"md5:{SBDataset.md5}")
    weights = {"maskrcnn": MaskRCNN_ResNet50_FPN_V2_Weights, "deeplab": DeepLabV3_ResNet50_Weights}
    for name, enum in weights.items():
        (file,) = ORIGINALS[name].files
        assert file.url == enum.DEFAULT.url and file.checksum is not None
        assert file.name.endswith(f"-{file.checksum.removeprefix('sha256:')}.pth")


@pytest.mark.parametrize("name", ORIGINALS)
def test_registry_entries_are_complete(name: str) -> None:
    entry = ORIGINALS[name]
    assert entry.title and entry.licence and entry.page.startswith("http")
    assert entry.files or entry.by_hand
    for file in entry.files:
        kind, _, digits = (file.checksum or "sha256:" + "0" * 64).partition(":")
        assert kind in hashlib.algorithms_guaranteed and set(digits) <= set("0123456789abcdef")
        assert 8 <= len(digits) <= 2 * hashlib.new(kind).digest_size and file.url.startswith("http")


def test_every_source_that_can_be_read_can_be_had() -> None:
    from deocc.people.sources import ABOUT

    assert set(ABOUT) <= {entry.folder for entry in ORIGINALS.values()}


def test_from_a_server_to_a_people_folder(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What `fetch` leaves is what the reader of the dataset takes."""
    from test_sources import make_pennfudan

    from deocc.people import PeopleFolder

    make_pennfudan(tmp_path / "made")
    files = {
        str(path.relative_to(tmp_path / "made")): path.read_bytes()
        for path in (tmp_path / "made").rglob("*.png")
    }
    server.files["PennFudanPed.zip"] = write_zip(tmp_path / "served.zip", files).read_bytes()
    entry = replace(ORIGINALS["pennfudan"], files=(RemoteFile(server.url("PennFudanPed.zip")),))
    monkeypatch.setitem(ORIGINALS, "pennfudan", entry)
    originals, out = tmp_path / "originals", tmp_path / "people"
    assert run(capsys, "people", "fetch", "pennfudan", "--yes", "--out", originals)[0] == 0
    options = ("--out", out, "--min-side", 50, "--no-occluders")
    assert run(capsys, "people", "pennfudan", originals / "pennfudan", *options)[0] == 0
    assert len(PeopleFolder(out)) == 3
