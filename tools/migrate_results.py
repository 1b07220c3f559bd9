"""Converts stored table results of schema 1 (names by two hashes) to schema 2, once; no number changes.

A result keeps its measurements. Its configuration is written as differences from the tables' protocol, and
its file name has the digests of configuration and cases. A result trained with values other than the
protocol's stops the conversion.

    python tools/migrate_results.py data/results/tables
"""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from deocc.errors import DeoccError
from deocc.io import read_json, write_json
from deocc.tables.configuration import Configuration, configure, resolve, result_name
from deocc.tables.protocol import stage_values
from deocc.tables.rows import TableRow
from deocc.tables.stored import RESULT_SCHEMA, read_result

OLD = "deocc.table-run/1"


def main(folder: Path) -> None:
    """Converts all results of a folder; files of other kinds stay."""
    for path in sorted(folder.glob("*.json")):
        old = read_json(path)
        if isinstance(old, dict) and old.get("schema") == OLD:
            new = converted(old, _made(path))
            target = folder / result_name(
                Configuration.from_json(new["configuration"]), new["cases"]["digest"]
            )
            write_json(target, new)
            assert read_result(target) is not None
            path.unlink()
            print(path.name, "->", target.name)


def converted(old: dict[str, Any], made: str) -> dict[str, Any]:
    """A result of schema 1 as one of schema 2."""
    configuration, values = _configuration(old)
    dropped = ("schema", "system", "preset", "config", "hash", "changes", "row", "kind", "seed", "cases",
               "people", "evaluation", "results")  # fmt: skip
    facts = {key: value for key, value in old.items() if key not in dropped}
    return {
        "schema": RESULT_SCHEMA, "kind": old["kind"], "row": old["row"], "seed": old["seed"],
        "changes": old["changes"], "configuration": configuration.to_json(), "digest": configuration.digest,
        "cases": old["cases"], "evaluation": old["evaluation"], "made": made, "people": old["people"],
        **facts, **({"values": values} if values else {}), "results": old["results"],
    }  # fmt: skip


def _configuration(old: dict[str, Any]) -> tuple[Configuration, dict[str, Any]]:
    config, kind = old["config"], old["kind"]
    if kind == "control":
        return Configuration(
            old["system"], old["preset"], data=config["data"], stage1=config.get("stage1", "")
        ), {}
    if kind == "shipped":
        return Configuration(
            old["system"], old["preset"], weights=config["weights"], texture=config.get("texture")
        ), {}
    row = TableRow(old["row"], "", "trained", old["system"], tuple((k, _tuple(v)) for k, v in old["changes"]))
    found = configure(
        row, old["preset"], config["images"], config["seed"], config["data"], config["stage1"],
        config["training"]["mixed_precision"],
    )  # fmt: skip
    preset = resolve(found)
    now = {"size": preset.size} | dict(
        json.loads(json.dumps(stage_values(getattr(preset, row.stage)), default=str))
    )
    then = {"size": config["size"]} | _flat(
        {"settings": config["settings"], "train": config["training"], "mix": config["mix"]}
    )
    missing = {k: v for k, v in now.items() if k not in then}
    if any(missing.values()):  # fields younger than the result, which are off
        raise DeoccError(f"{old['row']}: was made without {missing}")
    if wrong := {k: (v, now.get(k)) for k, v in then.items() if now.get(k) != v}:
        raise DeoccError(f"{old['row']}: the protocol has other values: {wrong}")
    return found, now


def _flat(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    out = {}
    for key, value in values.items():
        out |= _flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value}
    return out


def _tuple(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def _made(path: Path) -> str:
    """When the file was committed last, in UTC."""
    command = [
        "git",
        "log",
        "-1",
        "--format=%cd",
        "--date=format-local:%Y-%m-%dT%H:%M:%S+00:00",
        "--",
        path.name,
    ]
    found = subprocess.run(
        command, cwd=path.parent, env={"TZ": "UTC"}, capture_output=True, text=True, check=True
    )
    return found.stdout.strip() or "2026-11-28T00:00:00+00:00"


if __name__ == "__main__":
    if len(sys.argv) != 2:
        raise SystemExit(__doc__)
    try:
        main(Path(sys.argv[1]))
    except DeoccError as error:
        raise SystemExit(f"error: {error}") from None
