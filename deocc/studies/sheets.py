"""Writes the sheets of a blind comparison, with a page to answer them."""

import hashlib
import json
import re
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from deocc.errors import DeoccError
from deocc.io import PathLike, write_atomic, write_image
from deocc.masks import Frame, mask_box
from deocc.studies.blind import Contest, Pair, difference, read_answers, read_pictures

SHEET = re.compile(r"\d{3,}\.png")
SIDE = 384  # of a picture on a sheet, pixels
CLOSER = 1.3  # side of the closer view over the longer side of what differs
WIDER = 3.0  # and of the wider view, where the whole photo is larger


def pair_sheet(contest: Contest, pair: Pair) -> np.ndarray:
    """The photo and both pictures side by side, above a close-up of each; uint8 RGB.

    The close-up shows where the pictures differ, so no ground truth is needed or shown.
    """
    case = contest.cases[contest.cases.ids.index(pair.id)]
    a, b = read_pictures(contest.first, contest.second, pair.id)
    if a.shape != case.image.shape:
        raise DeoccError(f"{pair.id}/recovered.png: not of the case's size; predict at the case's own size")
    apart = difference(a, b)
    assert apart is not None
    pictures = (case.image, *((b, a) if pair.b_left else (a, b)))
    box, (height, width) = mask_box(apart), apart.shape
    near, far, whole = _square(box, CLOSER), _square(box, WIDER), _square((0, 0, width, height), 1.0)
    frames = (whole if whole.side < far.side else far, near)
    rows = [np.concatenate([_framed(frame.crop_image(p, SIDE)) for p in pictures], 1) for frame in frames]
    return np.concatenate([_titles(rows[0].shape[1]), *rows])


def _square(box: tuple[int, int, int, int], margin: float) -> Frame:
    x0, y0, x1, y1 = box
    side = max(32.0, margin * max(x1 - x0, y1 - y0))
    return Frame((x0 + x1 - side) / 2, (y0 + y1 - side) / 2, side)


def _framed(picture: np.ndarray) -> np.ndarray:
    return np.pad(picture, ((4, 4), (4, 4), (0, 0)), constant_values=255)


def _titles(width: int) -> np.ndarray:
    strip = np.full((36, width, 3), 255, np.uint8)
    for index, word in enumerate(("photo", "left", "right")):
        place = (index * width // 3 + 8, 26)
        cv2.putText(strip, word, place, cv2.FONT_HERSHEY_SIMPLEX, 0.8, (0, 0, 0), 2, cv2.LINE_AA)
    return strip


def write_sheets(contest: Contest, out: PathLike, progress: Any = iter) -> Path:
    """Writes ``pairs/001.png``, ..., ``answers.csv`` to fill in, and ``index.html`` to answer in a browser.

    Existing sheets of this contest and filled-in answers are kept. Sheets of another one are drawn anew.

    Args:
        contest: the compared folders.
        out: the folder.
        progress: wraps the pairs to show a progress bar.

    Returns:
        The page.

    Raises:
        DeoccError: the folder holds answers to another contest, or a page or pictures that are not ours.
    """
    out = Path(out)
    earlier = _make_room(contest, out)
    for pair in progress(contest.pairs):
        path = out / "pairs" / f"{pair.number:03d}.png"
        if not path.is_file():
            write_image(path, pair_sheet(contest, pair))
    blank = "number,answer\n" + "".join(f"{pair.number},\n" for pair in contest.pairs)
    if not (out / "answers.csv").exists():
        write_atomic(out / "answers.csv", lambda file: file.write(blank.encode()))
    page = (
        PAGE.replace("COUNT", str(len(contest.pairs)))
        .replace("KEY", _contest_key(contest))
        .replace("EARLIER", earlier)
    )
    return write_atomic(out / "index.html", lambda file: file.write(page.encode()))


def _make_room(contest: Contest, out: Path) -> str:
    """Removes the sheets of another contest, and marks the folder as this one's.

    Returns:
        The browser's key of the folder's earlier page, where it was another one.
    """
    mark, answers, key = out / "pairs" / "contest.txt", out / "answers.csv", _contest_key(contest)
    if mark.is_file() and mark.read_text(encoding="utf-8").strip() == key:
        return key
    if mark.is_file() and answers.is_file() and read_answers(answers):
        raise DeoccError(
            f"{answers}: answers to other pictures, cases, --count or --seed; give the same ones as then, or "
            "another --out"
        )
    sheets = sorted((out / "pairs").glob("*.png"))
    if foreign := next((sheet for sheet in sheets if not SHEET.fullmatch(sheet.name)), None):
        raise DeoccError(f"{foreign}: not a sheet of this command; choose another --out, or move it away")
    page = out / "index.html"
    if page.is_file() and "deocc-" not in page.read_text(encoding="utf-8", errors="replace"):
        raise DeoccError(f"{page}: not a page of this command; choose another --out, or move it away")
    unmarked = bool(sheets) and not mark.is_file()  # by an earlier version
    for sheet in sheets:
        sheet.unlink()
    if mark.is_file():
        answers.unlink(missing_ok=True)  # it has no answers, and perhaps another number of pairs
    write_atomic(mark, lambda file: file.write(key.encode()))
    return _contest_key(contest, pictures=False) if unmarked else key


def _contest_key(contest: Contest, pictures: bool = True) -> str:
    """The browser's key for the answers; it does not reveal the sides. Earlier ones had no `pictures`."""
    header = {key: value for key, value in contest.header().items() if pictures or key != "pictures"}
    return hashlib.sha256(json.dumps(header, sort_keys=True).encode()).hexdigest()[:16]


PAGE = """<!doctype html>
<meta charset="utf-8">
<title>Which is better?</title>
<style>
body { font: 16px sans-serif; margin: 1em auto; max-width: 1200px; text-align: center }
img { max-width: 100%; max-height: 78vh }
button { font-size: 1.1em; margin: .3em; padding: .4em 1.2em }
</style>
<p id="count"></p>
<img id="sheet" alt="photo, left picture, right picture">
<p><button onclick="answer('left')">left (&larr;)</button>
<button onclick="answer('same')">same (&darr;)</button>
<button onclick="answer('right')">right (&rarr;)</button>
<button onclick="show(at - 1)">back</button>
<button onclick="save()">save answers.csv</button></p>
<script>
const total = COUNT, key = "deocc-KEY", earlier = "deocc-EARLIER";
const given = JSON.parse(localStorage.getItem(key) || localStorage.getItem(earlier) || "{}");
let at = 1;
function show(number) {
  at = Math.min(Math.max(number, 1), total);
  document.getElementById("sheet").src = "pairs/" + String(at).padStart(3, "0") + ".png";
  const done = Object.keys(given).length, mine = given[at] ? ": " + given[at] : "";
  document.getElementById("count").textContent = `pair ${at} of ${total}${mine}; ${done} answered`;
}
function answer(word) { given[at] = word; localStorage.setItem(key, JSON.stringify(given)); show(at + 1) }
function save() {
  const rows = Array.from({ length: total }, (_, i) => `${i + 1},${given[i + 1] || ""}`);
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob(["number,answer\\n" + rows.join("\\n") + "\\n"]));
  link.download = "answers.csv";
  link.click();
}
document.onkeydown = event => {
  const word = { ArrowLeft: "left", ArrowDown: "same", ArrowRight: "right" }[event.key];
  if (word) { event.preventDefault(); answer(word) }
};
let open = 1;
while (given[open] && open < total) open++;
show(open);
</script>
"""
