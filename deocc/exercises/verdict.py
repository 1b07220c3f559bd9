"""How an exercise is checked: the reader's answer in, a `Verdict` out."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np


class Wrong(AssertionError):
    """What a check raises about an answer; its message is for the reader."""


@dataclass(frozen=True)
class Verdict:
    """Whether an answer is right, and what to say about it; shown by a notebook as it is.

    Attributes:
        solved: the answer is right.
        text: one or two sentences.
    """

    solved: bool
    text: str

    def __bool__(self) -> bool:
        return self.solved

    def __repr__(self) -> str:
        return f"{'Solved' if self.solved else 'Not solved yet'}: {self.text}"


Check = Callable[[Any], str]


def exercise(check: Check) -> Callable[[Any], Verdict]:
    """Makes a check of a function that raises `Wrong`, or returns what a right answer deserves to hear.

    Whatever else the reader's code raises is reported, too.
    """

    @functools.wraps(check)
    def judge(answer: Any) -> Verdict:
        try:
            return Verdict(True, check(answer))
        except Wrong as error:
            return Verdict(False, str(error))
        except Exception as error:  # anything may happen in a reader's code
            return Verdict(False, f"your code raised {type(error).__name__}: {error}")

    return judge


def require(condition: Any, message: str) -> None:
    """Raises `Wrong` with a message for the reader unless a condition holds."""
    if not bool(condition):
        raise Wrong(message)


def ask(answer: Any, *given: Any) -> Any:
    """What a reader's function returns.

    Raises:
        Wrong: it is no function, or still the stub.
    """
    require(callable(answer), "give the function itself, without calling it")
    found = answer(*given)
    require(found is not ... and found is not None, "put your code in the place of the dots")
    return found


def near(found: Any, wanted: Any, what: str, tolerance: float = 1e-5) -> None:
    """Raises `Wrong` unless two arrays (or numbers) have one shape and are equal within a tolerance.

    Args:
        found: the reader's.
        wanted: the truth.
        what: names it, such as "the result for a 3 x 5 box".
        tolerance: relative and absolute.
    """
    here, there = np.asarray(found, np.float64), np.asarray(wanted, np.float64)
    require(here.shape == there.shape, f"{what} has shape {here.shape}; expected {there.shape}")
    apart = np.abs(here - there) > tolerance * (1 + np.abs(there))
    if (apart | ~np.isfinite(here) & np.isfinite(there)).any():
        place = tuple(int(i) for i in np.argwhere(apart | ~np.isfinite(here))[0])
        at = f" at {place}" if place else ""
        raise Wrong(f"{what} is {here[place]:.6g}{at}; expected {there[place]:.6g}")
