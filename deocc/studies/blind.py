"""Blind pairwise comparison of two systems' pictures.

Order and sides of the pairs follow from a seed. They are derived again when answers are read, so the sheets
reveal nothing. Judgements are appended to a file, so judging may be interrupted at any time.
"""

import hashlib
import json
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from math import comb
from pathlib import Path
from typing import Any, Literal

import numpy as np

from deocc import metrics as M
from deocc.errors import DeoccError
from deocc.inference.predictions import cases_digest, prediction_files
from deocc.io import PathLike, read_image, read_json, write_atomic
from deocc.occlusion import CaseFolder
from deocc.occlusion.folder import person_of
from deocc.people.texts import read_lines

SCHEMA = "deocc.blind/1"
Answer = Literal["left", "right", "same"]
WORDS: dict[str, Answer] = {
    "left": "left", "l": "left", "1": "left", "right": "right", "r": "right", "2": "right",
    "same": "same", "s": "same", "0": "same", "=": "same",
}  # fmt: skip
SEEN = 6  # grey levels by which a pixel must differ to be a difference


@dataclass(frozen=True)
class Pair:
    """Two pictures of one case.

    Attributes:
        number: from 1, in the order of judging.
        id: of the case.
        b_left: whether the second system's picture is on the left.
    """

    number: int
    id: str
    b_left: bool

    def preferred(self, answer: Answer) -> str:
        """The preferred system of an answer: "a", "b" or "same"."""
        if answer == "same":
            return "same"
        return "b" if (answer == "left") == self.b_left else "a"


@dataclass(frozen=True)
class Contest:
    """Two prediction folders of one case folder.

    Attributes:
        first, second: the prediction folders, A and B.
        cases: the case folder.
        pairs: the pairs to judge, in order.
        equal: cases left out because both pictures are the same.
        seed: of order and sides.
        pictures: digest of the files to compare.
    """

    first: Path
    second: Path
    cases: CaseFolder
    pairs: tuple[Pair, ...]
    equal: int
    seed: int
    pictures: str

    def header(self) -> dict[str, Any]:
        """The identity of the contest; the first line of its judgements."""
        names = {"a_name": _name(self.first), "b_name": _name(self.second)}
        if names["a_name"] == names["b_name"]:
            names = {
                key: f"{_name(path.parent)}/{_name(path)}"
                for key, path in zip(names, (self.first.resolve(), self.second.resolve()), strict=True)
            }
        ids = hashlib.sha256("\n".join(pair.id for pair in self.pairs).encode()).hexdigest()[:16]
        return {
            "schema": SCHEMA, **names, "cases": cases_digest(self.cases), "pairs": ids, "seed": self.seed,
            "pictures": self.pictures,
        }  # fmt: skip


def _name(path: Path) -> str:
    return path.resolve().name


# --- pairs ----------------------------------------------------------------------------------------


def _draw(seed: int, *words: str) -> float:
    """A number in [0, 1) that depends only on a seed and a name."""
    return int.from_bytes(hashlib.sha256("\n".join((str(seed), *words)).encode()).digest()[:6]) / 2**48


def drawn_order(ids: Sequence[str], people: Sequence[str], seed: int) -> list[str]:
    """Cases in a random order: every person comes once before anyone comes twice.

    Args:
        ids, people: N cases and their people.
        seed: of the order.
    """
    order = sorted(zip(ids, people, strict=True), key=lambda pair: _draw(seed, "order", pair[0]))
    turns: dict[str, int] = {}
    ranked: list[tuple[int, int, str]] = []
    for case, person in order:
        turns[person] = turns.get(person, 0) + 1
        ranked.append((turns[person], len(ranked), case))
    return [case for *_, case in sorted(ranked)]


def open_contest(
    first: PathLike, second: PathLike, cases: PathLike, count: int | None = None, seed: int = 0
) -> Contest:
    """Chooses the pairs to judge.

    Args:
        first, second: prediction folders with recovered.png of every case, A and B.
        cases: their case folder.
        count: at most this many pairs; None: all that differ.
        seed: of the choice, the order and the sides.

    Raises:
        DeoccError: a folder is missing or incomplete, or no pair of pictures differs.
    """
    folder = CaseFolder(cases)
    for path in (first, second):
        if "recovered.png" not in prediction_files(path, folder.ids):
            raise DeoccError(f"{path}: holds no recovered.png; compare predictions that have pictures")
    people = [person_of(read_json(folder.path / name / "case.json")) or name for name in folder.ids]
    pairs: list[Pair] = []
    equal = 0
    for name in drawn_order(folder.ids, people, seed):
        if count is not None and len(pairs) == count:
            break
        if difference(*read_pictures(Path(first), Path(second), name)) is None:
            equal += 1
            continue
        pairs.append(Pair(len(pairs) + 1, name, _draw(seed, "side", name) < 0.5))
    if not pairs:
        raise DeoccError(f"{first} and {second}: not one picture differs; compare predictions of two systems")
    digest = hashlib.sha256()
    for path in (Path(side, pair.id, "recovered.png") for pair in pairs for side in (first, second)):
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return Contest(Path(first), Path(second), folder, tuple(pairs), equal, seed, digest.hexdigest()[:16])


def read_pictures(first: Path, second: Path, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Both folders' recovered photos of a case. Raises: DeoccError: their sizes differ."""
    a, b = (read_image(path / name / "recovered.png") for path in (first, second))
    if a.shape != b.shape:
        sizes = " and ".join(f"{p.shape[1]} x {p.shape[0]}" for p in (a, b))
        raise DeoccError(f"{name}/recovered.png: {sizes} pixels; predict both at the case's own size")
    return a, b


def difference(first: np.ndarray, second: np.ndarray) -> np.ndarray | None:
    """Where two pictures differ visibly, H x W bool; None if nowhere."""
    apart = np.abs(first.astype(np.int16) - second).max(-1) >= SEEN
    return apart if apart.any() else None


# --- judgements -----------------------------------------------------------------------------------


class Judgements:
    """Answers in a file of JSON lines that is only appended to; a later answer to a pair replaces an earlier.

    Args:
        path: the file; the first answer creates it.
        contest: the compared folders.

    Raises:
        DeoccError: the file is damaged or belongs to another contest.
    """

    def __init__(self, path: PathLike, contest: Contest) -> None:
        self.path, self.contest = Path(path), contest
        self.answers: dict[int, Answer] = {}
        if self.path.is_file():
            self._read()

    def _read(self) -> None:
        content = self.path.read_bytes()
        whole = content[: content.rfind(b"\n") + 1]  # an incomplete line is dropped, and its pair asked again
        if not whole:
            self.path.unlink()
            return
        try:
            head, *lines = [json.loads(line) for line in whole.decode().splitlines()]
            head = {"pictures": self.contest.pictures, **head}  # older files lack the digest
            answers = {int(line["number"]): WORDS[line["answer"]] for line in lines}
        except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError) as error:
            raise DeoccError(f"{self.path}: damaged ({error}); move it away to begin anew") from None
        if head != self.contest.header():
            raise DeoccError(
                f"{self.path}: judgements of other folders, cases, --count or --seed, or of pictures that "
                "have changed; give the same ones as then, or another --out"
            )
        self.answers = answers
        if len(whole) < len(content):
            write_atomic(self.path, lambda file: file.write(whole))

    def add(self, number: int, answer: Answer) -> None:
        """Appends one answer."""
        pair = self.contest.pairs[number - 1]
        line = {"number": number, "id": pair.id, "answer": answer, "preferred": pair.preferred(answer)}
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("a", encoding="utf-8") as file:
            if not file.tell():
                file.write(json.dumps(self.contest.header()) + "\n")
            file.write(json.dumps(line) + "\n")
        self.answers[number] = answer

    def open_pairs(self) -> list[Pair]:
        """The pairs without an answer, in order."""
        return [pair for pair in self.contest.pairs if pair.number not in self.answers]

    def result(self) -> dict[str, Any]:
        """The score as JSON values; see `score`."""
        counted = [pair.preferred(self.answers[pair.number])
                   for pair in self.contest.pairs if pair.number in self.answers]  # fmt: skip
        facts = {"pairs": len(self.contest.pairs), "equal_pictures": self.contest.equal}
        return {**self.contest.header(), **facts, **score(counted)}


def ask(judgements: Judgements, sheets: Path, question: Callable[[str], str] = input) -> None:
    """Asks for the remaining pairs one by one; an empty line or the end of input stops.

    Args:
        judgements: gets the answers.
        sheets: folder of the sheets, named in the questions.
        question: function that asks; the built-in input, or a test's.
    """
    for pair in judgements.open_pairs():
        text = f"{sheets / f'{pair.number:03d}.png'}: left, right or same (l, r, s; Enter stops)? "
        while True:
            try:
                word = question(text).strip().lower()
            except EOFError:
                return
            if not word:
                return
            if word in WORDS:
                judgements.add(pair.number, WORDS[word])
                break


def read_answers(path: PathLike, count: int | None = None) -> dict[int, Answer]:
    """Reads answers.csv: a pair's number and left, right or same; skips pairs without an answer.

    Args:
        path: the file.
        count: number of pairs; None: not known.

    Raises:
        DeoccError: no such file, or a wrong line.
    """
    path = Path(path)
    if not path.is_file():
        raise DeoccError(f"{path}: no such file; `deocc compare` writes an answers.csv to fill in")
    answers: dict[int, Answer] = {}
    for line, text in enumerate(read_lines(path), 1):
        cells = [cell.strip().strip('"').lower() for cell in re.split("[,;\t]", text)]
        if not any(cells) or cells[0] == "number" or text.lower().startswith("sep="):
            continue
        number, word = cells[0], "" if len(cells) < 2 else cells[1]
        most = 10**9 if count is None else count
        good = re.fullmatch("[0-9]{1,9}", number) and 1 <= int(number) <= most
        if not good or (word and word not in WORDS):
            numbers = "a pair's number" if count is None else f"a pair's number from 1 to {count}"
            raise DeoccError(
                f"{path}, line {line}: {text[:80]!r}; {numbers} and left, right or same were expected"
            )
        if word:
            answers[int(number)] = WORDS[word]
    return answers


def score(preferred: Iterable[str]) -> dict[str, Any]:
    """How often B was preferred, with a Wilson interval and an exact sign test.

    Args:
        preferred: "a", "b" or "same" per pair; "same" counts in no share.

    Returns:
        "judged", "a", "b", "same", "share_b" of the decided pairs with "low" and "high" (95 %), and "p": the
        two-sided p-value under the hypothesis that both are equally good. None if nothing is decided.
    """
    counted = list(preferred)
    a, b, same = (counted.count(word) for word in ("a", "b", "same"))
    low, high = M.wilson_interval(b, a + b)
    tail = sum(comb(a + b, k) for k in range(max(a, b), a + b + 1)) / 2 ** (a + b)
    known = a + b > 0
    shares = {"share_b": b / (a + b), "low": low, "high": high, "p": min(1.0, 2 * tail)} if known else {}
    empty = dict.fromkeys(("share_b", "low", "high", "p"))
    return {"judged": len(counted), "a": a, "b": b, "same": same, **empty, **shares}


def format_score(result: dict[str, Any]) -> str:
    """The score in a sentence or two."""
    judged = f"{result['judged']} of {result['pairs']} pairs judged"
    if result["share_b"] is None:
        return f"{judged}; none is decided yet."
    tested = f"95 %, Wilson; sign test p = {result['p']:.2g}"
    return (
        f"{judged}: {result['b']} for {result['b_name']}, {result['a']} for {result['a_name']}, "
        f"{result['same']} the same. {result['b_name']} is preferred in {result['share_b']:.0%} of the "
        f"decided pairs [{result['low']:.0%}, {result['high']:.0%}] ({tested})."
    )
