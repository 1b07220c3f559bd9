"""A server that lies: other bytes than asked for are never delivered, and nothing loops or grows for ever."""

import http.server
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from deocc.errors import DeoccError
from deocc.people.download import download
from deocc.people.registry import RemoteFile

PAYLOAD = bytes(range(256)) * 1024  # 256 kiB
HALF = len(PAYLOAD) // 2
Answer = Callable[["Handler"], None]


class Handler(http.server.BaseHTTPRequestHandler):
    """Gives the answers that a test has set, one a request; the last one again and again."""

    server: "Liar"
    protocol_version = "HTTP/1.1"

    def log_message(self, *args: object) -> None:
        pass

    def do_GET(self) -> None:
        answers = self.server.answers
        self.server.asked.append(dict(self.headers))
        self.close_connection = True
        try:
            (answers.pop(0) if len(answers) > 1 else answers[0])(self)
        except OSError:
            pass  # the client had enough


class Liar(http.server.ThreadingHTTPServer):
    """A local server."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.answers: list[Answer] = []
        self.asked: list[dict[str, str]] = []


def say(status: int = 200, body: bytes = PAYLOAD, length: int | None = -1, **headers: str) -> Answer:
    """An answer. Args: length: of the header; -1: the body's, None: no header."""

    def answer(handler: Handler) -> None:
        handler.send_response(status)
        if length is not None:
            handler.send_header("Content-Length", str(len(body) if length == -1 else length))
        for name, value in {"ETag": '"v1"', **headers}.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.end_headers()
        handler.wfile.write(body)

    return answer


def cut(after: int = HALF, **headers: str) -> Answer:
    return say(body=PAYLOAD[:after], length=len(PAYLOAD), **headers)


def rest(start: int, whole: bytes = PAYLOAD, **headers: str) -> Answer:
    about = f"bytes {start}-{len(whole) - 1}/{len(whole)}"
    return say(206, whole[start:], **{"Content_Range": about, **headers})


def endless(handler: Handler) -> None:
    handler.send_response(200)
    handler.send_header("Transfer-Encoding", "chunked")
    handler.end_headers()
    for _ in range(10**6):
        handler.wfile.write(b"10000\r\n" + bytes(65536) + b"\r\n")


@pytest.fixture
def liar() -> Iterator[Liar]:
    server = Liar()
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def get(liar: Liar, tmp_path: Path) -> Callable[..., Path]:
    def run(*answers: Answer, name: str = "photos.bin", **facts: object) -> Path:
        liar.answers = list(answers)
        file = RemoteFile(f"http://127.0.0.1:{liar.server_address[1]}/{name}", **facts)  # type: ignore[arg-type]
        return download(file, tmp_path / name, tries=3, pause=0, progress=False)

    return run


OTHER = PAYLOAD[::-1]
GOOD_RESUMES = {
    "the right rest": [cut(), rest(HALF)],
    "a wrong offset": [cut(), rest(HALF - 9), say()],
    "offset 0 as a part": [cut(), rest(0), say()],
    "no range in a 206": [cut(), say(206, PAYLOAD[HALF:]), say()],
    "nonsense as a range": [cut(), say(206, PAYLOAD[HALF:], Content_Range="bytes x-y/z"), say()],
    "a digit that is none": [cut(), say(206, PAYLOAD[HALF:], Content_Range="bytes \N{SUPERSCRIPT TWO}-9/9"),
                             say()],
    "another version's rest": [cut(), rest(HALF, OTHER, ETag='"v2"'), say()],
    "the whole file again": [cut(), say()],
    "416": [cut(), say(416, b""), say()],
}  # fmt: skip


@pytest.mark.parametrize("name", GOOD_RESUMES)
@pytest.mark.parametrize("size", [None, len(PAYLOAD)])
def test_a_partial_file_grows_by_the_right_bytes_alone(
    name: str, size: int | None, get: Callable[..., Path]
) -> None:
    assert get(*GOOD_RESUMES[name], size=size).read_bytes() == PAYLOAD


BAD = {
    "empty": ([say(body=b"")], {}, "is empty"),
    "empty although the size is known": ([say(body=b"")], {"size": 9}, "has 0 bytes, 9 were expected"),
    "shorter than said": ([say(length=len(PAYLOAD) + 5, ETag='W/"x"')], {}, "connection ended"),
    "shorter than known": ([say(body=PAYLOAD[:-5])], {"size": len(PAYLOAD)}, "another version"),
    "longer than known": ([say(body=PAYLOAD + b"x", length=None)], {"size": len(PAYLOAD)}, "sends more than"),
    "of a length that is none": ([say(length=10**40)], {}, "does not say how long it is"),
    "of no length": ([say(length=None)], {}, "does not say how long it is"),
    "cut off, of no length": ([say(body=PAYLOAD[:-5], length=None)], {"size": len(PAYLOAD)}, "ended after"),
    "encoded": ([say(Content_Encoding="gzip")], {}, "comes encoded"),
    "endless": ([endless], {"size": len(PAYLOAD)}, "sends more than"),
    "a page": ([say(body=b"\n <!DOCTYPE html><p>log in")], {}, "is a web page"),
    "a page instead of a zip": ([say(body=b"<html>")], {"name": "a.zip"}, "is a web page"),
    "something instead of a zip": ([say()], {"name": "a.zip"}, "is no .zip file"),
    "text instead of a tgz": ([say(body=b"404: not found")], {"name": "a.tgz"}, "is no .tgz file"),
    "no content": ([say(204, b"")], {}, "answers 204"),
    "a loop": ([say(302, b"", Location="/photos.bin")], {}, "cannot be reached"),
    "nowhere": ([say(302, b"", Location="http://[")], {}, "cannot be reached"),
    "no HTTP": ([lambda handler: handler.wfile.write(b"\xff\x00 hello\r\n\r\n")], {}, "cannot be reached"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_what_is_not_the_file_is_refused(
    name: str, get: Callable[..., Path], liar: Liar, tmp_path: Path
) -> None:
    answers, facts, said = BAD[name]
    with pytest.raises(DeoccError, match=said) as error:
        get(*answers, **facts)
    assert "\n" not in str(error.value) and len(liar.asked) < 100
    assert not (tmp_path / "photos.bin").exists() and not (tmp_path / "a.zip").exists()


def test_a_file_that_is_gz_itself_may_say_so(get: Callable[..., Path]) -> None:
    import gzip

    body = gzip.compress(PAYLOAD)
    assert get(say(body=body, Content_Encoding="gzip"), name="a.tgz").read_bytes() == body


@pytest.mark.parametrize("content", [b"", b"[]", b"{", b'{"url": 5}', b"[" * 9999, b"\xff"])
def test_damaged_facts_of_a_partial_file_start_anew(
    content: bytes, get: Callable[..., Path], tmp_path: Path
) -> None:
    (tmp_path / "photos.bin.part").write_bytes(b"old bytes")
    (tmp_path / "photos.bin.part.json").write_bytes(content)
    assert get(say()).read_bytes() == PAYLOAD
