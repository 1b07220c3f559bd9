"""Checks the types and ranges of a configuration when it is built."""

import json
import math
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from deocc.errors import DeoccError

KINDS: dict[str, tuple[type, ...]] = {"int": (int,), "float": (int, float), "bool": (bool,), "str": (str,)}
ANY = math.inf
MAX_SEED = 2**63 - 1  # what torch, NumPy and JSON readers all take


def check_config(
    config: Any,
    what: str,
    ranges: Mapping[str, tuple[float, float]],
    others: tuple[float, float] = (-ANY, ANY),
) -> None:
    """Checks a dataclass whose annotations are written as words; meant for its ``__post_init__``.

    Args:
        config: the dataclass; int, float, bool and str fields are checked, "| None" may be None.
        what: begins the message, such as "training configuration".
        ranges: field -> lowest and highest value, both allowed; for tuples, of each entry.
        others: the same for the fields that `ranges` does not name.

    Raises:
        DeoccError: names the field, what it holds and what was expected.
    """
    for field in fields(config):
        value, kind = getattr(config, field.name), _kind(field.type)
        low, high = ranges.get(field.name, others)
        for one in value if isinstance(value, tuple) else (value,):
            if one is None and "None" in str(field.type):
                continue
            good = _is_a(one, kind) if kind in KINDS else True
            if not good or (isinstance(one, int | float) and not low <= one <= high):
                raise DeoccError(f"{what}: {field.name} is {value!r}; expected {_expected(kind, low, high)}")


def _kind(annotation: Any) -> str:
    """ "int" of `int`, "int | None" and "tuple[int, ...]"."""
    words = annotation.__name__ if isinstance(annotation, type) else str(annotation)
    return words.removeprefix("tuple[").split(",")[0].split(" |")[0].rstrip("]")


def _is_a(value: Any, kind: str) -> bool:
    if isinstance(value, bool) and kind != "bool":
        return False
    return isinstance(value, KINDS[kind]) and (not isinstance(value, float) or math.isfinite(value))


def _expected(kind: str, low: float, high: float) -> str:
    words = {"int": "a whole number", "float": "a number", "bool": "true or false", "str": "a word"}
    word = words.get(kind, kind)
    if low > -ANY and high < ANY:
        return f"{word} from {low:g} to {high:g}"
    return word + (f" of at least {low:g}" if low > -ANY else "")


def key_value(text: str) -> tuple[str, Any]:
    """``a.b=1e-3`` -> ("a.b", 0.001); values are JSON; other words are strings."""
    key, equals, value = text.partition("=")
    if not equals or not key:
        raise DeoccError(f"--set {text!r}: KEY=VALUE was expected, such as mask.train.lr=0.001")
    try:
        return key, json.loads(value)
    except ValueError:
        return key, value
