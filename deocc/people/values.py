"""Parses loosely typed values of JSON and CSV files, such as "TRUE" for 1 or 7.0 for the id 7."""

import math
import re
from typing import Any

from deocc.errors import DeoccError

YES = frozenset({"1", "1.0", "true", "t", "yes", "y"})
NO = frozenset({"0", "0.0", "-1", "-1.0", "false", "f", "no", "n", "", "nan", "none", "null", "na"})
LONGEST = 200  # characters of an id
_WHOLE = re.compile(r"([+-]?\d+)\.0*")


def shown(value: Any) -> str:
    """A value of any type as short text on one line."""
    text = ascii(value) if isinstance(value, str | int | float | bool | None) else type(value).__name__
    return text if len(text) <= 60 else f"{text[:57]}..."


def as_flag(value: Any, what: str) -> bool:
    """A value as bool; empty values and -1 ("unknown" in OpenImages) are False.

    Args:
        value: from JSON or CSV.
        what: its name, for the message.

    Raises:
        DeoccError: the value is neither true nor false.
    """
    word = str(value).strip().casefold() if isinstance(value, str | int | float | bool | None) else "?"
    if word in YES or word in NO:
        return word in YES
    raise DeoccError(f"{what} is {shown(value)}; 1 or 0 was expected")


def soft_key(value: Any) -> str:
    """An id as text as of `as_key`; "" for what is none."""
    try:
        return as_key(value, "id")
    except DeoccError:
        return ""


def as_key(value: Any, what: str) -> str:
    """An id as text: 7, 7.0, "7" and "7.0" are the same id.

    Raises:
        DeoccError: neither text nor a number, empty, or too long.
    """
    text = ""
    if isinstance(value, str):
        text = value.strip().encode("utf-8", "backslashreplace").decode()
    elif isinstance(value, int) and not isinstance(value, bool) and value.bit_length() < 600:
        text = str(value)
    elif isinstance(value, float) and math.isfinite(value):
        text = str(int(value)) if value == int(value) and abs(value) < 1e15 else repr(value)
    if not 0 < len(text) <= LONGEST:
        raise DeoccError(f"{what} is {shown(value)}; an id (a number, or text) was expected")
    return match[1] if (match := _WHOLE.fullmatch(text)) else text


def as_length(value: Any, what: str) -> int:
    """A positive whole number, such as a number of pixels: 640, 640.0 or "640".

    Raises:
        DeoccError: not a whole number, or not positive.
    """
    try:
        number = float(value) if isinstance(value, str | int | float) else math.nan
    except (ValueError, OverflowError):
        number = math.nan
    if isinstance(value, bool) or not (0 < number < 1e12) or number != int(number):
        raise DeoccError(f"{what} is {shown(value)}; a whole number above 0 was expected")
    return int(number)


def as_number(text: Any) -> float:
    """A number, also as text and with a decimal comma (as some spreadsheets write); nan for anything else."""
    try:
        number = float(str(text).replace(",", ".") if isinstance(text, str) else text)
    except (TypeError, ValueError, OverflowError):
        return math.nan
    return number if math.isfinite(number) else math.nan
