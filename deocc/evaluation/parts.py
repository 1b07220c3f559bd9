"""Evaluation in parts: each shard writes its scores; the last one combines them."""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from deocc import __version__
from deocc.errors import DeoccError
from deocc.evaluation.cases import Evaluation
from deocc.evaluation.judge import Seen
from deocc.inference.predictions import cases_digest
from deocc.io import remove_temporaries, write_atomic
from deocc.io.locks import alone
from deocc.occlusion import CaseFolder

FEATURES = ("person", "hidden", "target_person", "target_hidden")


def fingerprint(folder: CaseFolder, predictions: Path, kinds: Sequence[str], **options: Any) -> str:
    """The facts on which all parts must agree: cases, predictions, options and version."""
    sha = hashlib.sha256(json.dumps([__version__, cases_digest(folder), options], sort_keys=True).encode())
    for name in folder.ids:
        for kind in kinds:
            facts = (predictions / name / kind).stat()
            sha.update(f"{name}/{kind} {facts.st_size} {facts.st_mtime_ns}".encode())
    return sha.hexdigest()[:16]


def part_path(result: Path, shard: tuple[int, int]) -> Path:
    """Where a shard's scores lie until all are there."""
    return result.with_name(f"{result.name}.part-{shard[0]}of{shard[1]}")


def write_part(path: Path, evaluation: Evaluation, places: Sequence[int], about: str) -> None:
    """Writes a shard's scores. Args: places: of its cases in the folder; about: see `fingerprint`."""
    seen = (evaluation.features, evaluation.target_features)
    arrays = {
        f"{prefix}{name}": np.concatenate([getattr(chunk, name) for chunk in chunks])
        for prefix, chunks in zip(("", "target_"), seen, strict=True)
        for name in ("person", "hidden")
        if chunks
    }
    facts = {
        "about": about, "places": list(places), "judged": evaluation.judged, "name": evaluation.frechet_name,
        "rows": [_plain(row) for row in evaluation.rows],
    }  # fmt: skip
    arrays["facts"] = np.frombuffer(json.dumps(facts).encode(), np.uint8)
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)  # type: ignore[arg-type]
    write_atomic(path, lambda file: file.write(buffer.getvalue()))


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return value.tolist() if isinstance(value, np.ndarray | np.generic) else value


def _read_part(path: Path) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        return json.loads(arrays.pop("facts").tobytes()), arrays
    except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise DeoccError(
            f"{path}: not a part of an evaluation ({error}); delete it and score it again"
        ) from None


def joined(
    result: Path, count: int, about: str, total: int, seed: int, resamples: int
) -> Evaluation | list[int]:
    """All parts as one evaluation, its rows in the order of the folder; or which parts are missing.

    Args:
        result: the file that the parts lie beside.
        count: of the parts.
        about: see `fingerprint`; parts of another evaluation do not count.
        total: cases of the folder.
        seed, resamples: of the bootstrap.
    """
    parts, missing = [], []
    for number in range(1, count + 1):
        path = part_path(result, (number, count))
        part = _read_part(path) if path.is_file() else None
        if part is None or part[0].get("about") != about:
            missing.append(number)
        else:
            parts.append(part)
    return missing or _sum(parts, total, seed, resamples)


def _sum(parts: list[tuple[dict, dict]], total: int, seed: int, resamples: int) -> Evaluation:
    evaluation = Evaluation(seed, resamples)
    rows: list[dict[str, Any]] = [{}] * total
    judged: list[int] = []
    for facts, _ in parts:
        for place, row in zip(facts["places"], facts["rows"], strict=True):
            row["masks"] = {key: np.array(value) for key, value in row["masks"].items()}
            row["parsing"] = {key: np.array(value) for key, value in row["parsing"].items()}
            rows[place] = row
        judged += [facts["places"][row] for row in facts["judged"]]
        evaluation.frechet_name = evaluation.frechet_name or facts["name"]
    evaluation.rows = rows
    if judged:
        order = np.argsort(judged)
        kinds = [np.concatenate([a[name] for _, a in parts if name in a])[order] for name in FEATURES]
        evaluation.features, evaluation.target_features = [Seen(*kinds[:2])], [Seen(*kinds[2:])]
        evaluation.judged = [judged[index] for index in order]
    return evaluation


def alone_at(result: Path) -> Any:
    """A lock against other shards that combine the same parts."""
    return alone(result.with_name(f".{result.name}.lock"), f"{result}: another shard sums up", wait=True)


def remove_parts(result: Path, count: int) -> None:
    """Removes the parts, and what killed shards left half written, after the result has been written."""
    names = {result.name, *(part_path(result, (number, count)).name for number in range(1, count + 1))}
    remove_temporaries(result.parent, names.__contains__)
    for number in range(1, count + 1):
        part_path(result, (number, count)).unlink(missing_ok=True)
    result.with_name(f".{result.name}.lock").unlink(missing_ok=True)
