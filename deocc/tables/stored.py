"""Stored results of table rows: one JSON file per run, checked on reading."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from deocc.errors import DeoccError
from deocc.io import PathLike, read_json
from deocc.tables.configuration import Configuration, result_name

RESULT_SCHEMA = "deocc.table-run/2"
EARLIER = "deocc.table-run/"
Result = dict[str, Any]

NUMBER = (int, float)
MAYBE = (int, float, type(None))

_METRIC: dict[str, Any] = {"value": MAYBE, "low": MAYBE, "high": MAYBE, "n": int}
_GIVEN: dict[str, Any] = {"metrics": dict, "frechet": (dict, type(None)), "per_case": dict}
_SHAPE: dict[str, Any] = {
    "kind": str, "row": str, "seed": int, "changes": list, "configuration": dict, "digest": str,
    "evaluation": int, "people": list, "device": str, "made": str, "results": dict,
    "cases": {"digest": str, "name": str, "count": int, "people": int, "confidence": str},
}  # fmt: skip
_TRAINED: dict[str, Any] = {"minutes": NUMBER, "parameters": int, "trained_images": int, "data": str}
_CONFIGURATION: dict[str, Any] = {
    "system": str, "preset": str, "protocol": int, "version": int, "data": str, "images": int, "seed": int,
    "stage1": str, "precision": str, "schedule": str, "lr": MAYBE, "weights": str, "texture": MAYBE,
    "exemplar": bool, "changes": dict,
}  # fmt: skip


def read_results(folders: Iterable[PathLike]) -> list[Result]:
    """All results of some folders, oldest first; each file counts once, other files are skipped.

    Returns:
        Results as stored; "configuration" is a `Configuration`.

    Raises:
        DeoccError: a file is damaged, or a value has a wrong type.
    """
    paths = {path.resolve(): None for folder in folders for path in sorted(Path(folder).glob("*.json"))}
    found = [result for result in map(read_result, paths) if result is not None]
    return sorted(found, key=lambda result: (result["made"], result["digest"]))


def read_result(path: Path) -> Result | None:
    """One stored result; None if the file is of another kind.

    Raises:
        DeoccError: the file is damaged, or its content does not fit its name.
    """
    value = read_json(path)
    schema = value.get("schema") if isinstance(value, dict) else None
    if not isinstance(schema, str) or not schema.startswith(EARLIER):
        return None
    if schema != RESULT_SCHEMA:
        raise DeoccError(f"{path}: schema {schema}; convert it once with tools/migrate_results.py")
    try:
        _check(value, _SHAPE, "")
        if value["kind"] == "trained":
            _check(value, _TRAINED, "")
        known = {k: v for k, v in _CONFIGURATION.items() if k in value["configuration"]}
        _check(value["configuration"], known, "configuration.")
        configuration = Configuration.from_json(value["configuration"])
        for given, result in value["results"].items():
            _check_given(result, f"results.{given}.")
    except DeoccError as error:
        raise DeoccError(f"{path}: {error}; restore the file, or make it again with --train") from None
    if value["digest"] != configuration.digest or path.name != result_name(
        configuration, value["cases"]["digest"]
    ):
        raise DeoccError(
            f"{path}: its configuration has digest {configuration.digest}, its name or field says another; "
            "a changed configuration is another result: restore the file, or make it again with --train"
        )
    return {**value, "configuration": configuration}


def _check_given(result: Any, where: str) -> None:
    _check(result, _GIVEN, where)
    for name, metric in result["metrics"].items():
        _check(metric, _METRIC, f"{where}metrics.{name}.")
    columns = result["per_case"]
    _check(columns, dict.fromkeys(columns, list) | {"person": list}, f"{where}per_case.")
    people = columns["person"]
    for name, column in columns.items():
        wanted = int if name == "person" else MAYBE
        if len(column) != len(people) or not all(isinstance(v, wanted) for v in column):
            raise DeoccError(f"{where}per_case.{name}: {len(people)} numbers were expected")


def _check(value: Any, shape: dict[str, Any], where: str) -> None:
    """Raises: DeoccError: a key is missing, or its value has another type."""
    if not isinstance(value, dict):
        raise DeoccError(f"{where.removesuffix('.') or 'file'}: expected an object, got {value!r:.40}")
    for key, wanted in shape.items():
        if key not in value:
            raise DeoccError(f"{where}{key} is missing")
        if isinstance(wanted, dict):
            _check(value[key], wanted, f"{where}{key}.")
        elif not isinstance(value[key], wanted) or (isinstance(value[key], bool) and wanted is not bool):
            names = wanted if isinstance(wanted, tuple) else (wanted,)
            kinds = " or ".join(kind.__name__.replace("NoneType", "null") for kind in names)
            raise DeoccError(f"{where}{key} is {value[key]!r:.40}, expected {kinds}")
