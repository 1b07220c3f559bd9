"""The configuration of a run, which determines its digest."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

from deocc.errors import DeoccError
from deocc.experiments.presets import Preset, Stage, get_preset
from deocc.experiments.registry import SYSTEMS, preset_of
from deocc.inference.weights import default_detail, find_weights
from deocc.models import load_weights
from deocc.paths import PEOPLE_MINI
from deocc.tables.protocol import PROTOCOL, flat, protocol_preset, stage_values, younger_fields
from deocc.tables.rows import Group, TableRow

IMAGES = {
    "tiny": 512,
    "small": 60_000,
    "paper": 56_000 * 32,
}  # training images per run, where no number is given

PRECISIONS = {"no": "32-bit floats", "bf16": "bfloat16", "fp16": "16-bit floats"}
"""Precisions of training, as stored and in words."""
CaseSet = Literal["synthetic", "natural"]
INFERENCE = (
    4  # version of the code that asks shipped weights; 2: the occluder's rim; 3: edges, labels; 4: soft parts
)
FOLDERS = ("images", "masks", "parsing", "occluders")  # subfolders of a people folder


@dataclass(frozen=True)
class Configuration:
    """Everything that a result depends on, except the cases.

    Fields at their default are left out of the digest, so that a new field invalidates no stored result.

    Attributes:
        system: name in `deocc.experiments.registry.SYSTEMS`, or "control/KEY", "shipped/KEY".
        preset: its name; its values are the protocol's.
        protocol: version of the tables' protocol.
        version: of the system's code; of the code that asks shipped weights.
        data: `people_digest` of the people folders.
        images: training images.
        seed: of weights, order and draws.
        stage1: digest of stage 1's weights, for rows of stage 2.
        precision: of training, "bf16" or "fp16"; "": the protocol's.
        schedule: "constant": the rate stays after the warm-up (budget curves); "": the protocol's.
        lr: peak learning rate; None: the protocol's.
        weights: digest of shipped weights.
        texture: share of detail that shipped weights add.
        exemplar: shipped weights copy patches.
        changes: other fields that differ from the protocol, by dotted key such as "settings.templates".
    """

    system: str
    preset: str
    protocol: int = PROTOCOL
    version: int = 1
    data: str = ""
    images: int = 0
    seed: int = 0
    stage1: str = ""
    precision: str = ""
    schedule: str = ""
    lr: float | None = None
    weights: str = ""
    texture: float | None = None
    exemplar: bool = False
    changes: tuple[tuple[str, Any], ...] = ()

    def to_json(self) -> dict[str, Any]:
        """JSON values without fields at their default; the protocol is always included."""
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        defaults = {f.name: f.default for f in fields(self) if f.name != "protocol"}
        kept = {k: v for k, v in values.items() if k not in defaults or v != defaults[k]}
        if self.changes:
            kept["changes"] = dict(self.changes)
        return dict(json.loads(json.dumps(kept)))

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Configuration:
        """A configuration from JSON values. Raises: DeoccError: an unknown or a missing field."""
        known = {f.name for f in fields(cls)}
        if strange := sorted(set(values) - known):
            raise DeoccError(f"configuration has an unknown field {strange[0]!r}")
        if missing := sorted({"system", "preset", "protocol"} - set(values)):
            raise DeoccError(f"configuration lacks {missing[0]!r}")
        changes = tuple(sorted((k, _frozen(v)) for k, v in values.get("changes", {}).items()))
        return cls(**{**values, "changes": changes})

    @property
    def digest(self) -> str:
        """Digest of the configuration, 16 hexadecimal digits."""
        return hashlib.sha256(json.dumps(self.to_json(), sort_keys=True).encode()).hexdigest()[:16]

    @property
    def name(self) -> str:
        """Name of its run's folder: system and digest."""
        return f"{self.system.replace('/', '-')}-{self.digest}"


@dataclass(frozen=True)
class Run:
    """One training of a row with one seed.

    Attributes:
        row: the table's row.
        seed: of weights, order and draws.
        configuration: everything that the result depends on.
        path: of the result, ``<system>-<digest>-<digest of the cases>.json``.
        cases: name of the set of cases.
    """

    row: TableRow
    seed: int
    configuration: Configuration
    path: Path
    cases: CaseSet = "synthetic"


def result_name(configuration: Configuration, cases: str) -> str:
    """File name of a result. Args: cases: `cases_digest` of the case folder."""
    return f"{configuration.name}-{cases}.json"


def _frozen(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


# ------------------------------------------------------------------------------------------ trained rows


def schedule(preset: Preset, stage: str, images: int, constant: bool = False) -> dict[str, Any]:
    """A preset's schedule adapted to a budget of training images, as changes by dotted key.

    Warm-up takes at most a tenth of the steps, and the adversary starts after at most a quarter, so that a
    short run has all phases. At a constant rate both are those of `CURVE_START` images, whatever the budget,
    so that a longer run can resume a shorter one.
    """
    part: Stage = getattr(preset, stage)
    steps = -(-images // part.train.batch_size)
    begun = min(steps, -(-CURVE_START // part.train.batch_size)) if constant else steps
    changes: dict[str, Any] = {
        "train.steps": steps,
        "train.max_minutes": None,
        "train.warmup_steps": min(part.train.warmup_steps, begun // 10),
        "train.eval_every": 0,
        "train.checkpoint_every": max(10, min(500, steps // 20)),
        "train.log_every": max(1, min(50, steps // 20)),
    }
    if constant:
        changes["train.schedule"] = "constant"
    start = part.settings.adversary.start
    if start > begun // 4:
        changes["settings.adversary.start"] = begun // 4
    return {f"{stage}.{key}": value for key, value in changes.items()}


CURVE_START = 2_500
"""On a budget curve, warm-up and the adversary's start are shares of this number of images."""


def configure(
    row: TableRow,
    preset: str,
    images: int,
    seed: int,
    data: str,
    stage1: str = "",
    precision: str | None = None,
    lr: float | None = None,
    constant: bool = False,
) -> Configuration:
    """The configuration of a trained row.

    Args:
        row: a trained row.
        preset: its name.
        images: budget of training images.
        seed: of weights, order and draws.
        data: `people_digest` of the people folders.
        stage1: digest of stage 1's weights, for stage 2.
        precision: of training, "no", "fp16" or "bf16"; None: the protocol's.
        lr: peak learning rate; None: the protocol's.
        constant: the rate stays after the warm-up.
    """
    recipe = SYSTEMS[row.system]
    protocol: Stage = getattr(protocol_preset(row.system, preset), recipe.stage)
    plain = Configuration(
        row.system, preset, PROTOCOL, recipe.version, data, images, seed, stage1,
        "" if precision in (None, protocol.train.mixed_precision) else str(precision),
        "constant" if constant else "", None if lr == protocol.train.lr else lr,
    )  # fmt: skip
    base, stage = resolve(plain), recipe.stage
    chosen = get_preset(base, dict(row.changes))
    old, new = stage_values(getattr(base, stage)), stage_values(getattr(chosen, stage))
    young = younger_fields(row.system, preset)
    changes = {
        key: _frozen(v) for key, v in new.items() if v != old[key] or (key in young and v != young[key])
    }
    return replace(plain, changes=tuple(sorted(changes.items())))


def group_of(row: TableRow, preset: str) -> Group:
    """The group of a row at a preset: nothing to learn, random weights, ImageNet's, or shipped ones."""
    if row.kind != "trained":
        return "nothing" if row.kind == "control" else "shipped"
    chosen = get_preset(protocol_preset(row.system, preset), dict(row.changes))
    trunk = getattr(getattr(chosen, row.stage).settings, "trunk", "")
    return "imagenet" if trunk == "lite0" else "scratch"


def row_name(row: TableRow, preset: str) -> str:
    """A row's name at a preset; it mentions a trunk only if the preset has one."""
    return row.name if group_of(row, preset) == "imagenet" else row.plain_name or row.name


def in_any_precision(configuration: Configuration) -> list[Configuration]:
    """The configuration in every precision of training: a table shows one result of them."""
    return [replace(configuration, precision=name) for name in ("", *PRECISIONS)]


def resolve(configuration: Configuration) -> Preset:
    """The complete preset of a trained configuration."""
    c = configuration
    stage = SYSTEMS[c.system].stage
    chosen = protocol_preset(c.system, c.preset)
    chosen = get_preset(chosen, schedule(chosen, stage, c.images, c.schedule == "constant"))
    own = {f"train.{key}": v for key, v in (("mixed_precision", c.precision), ("lr", c.lr)) if v}
    return get_preset(chosen, {f"{stage}.{key}": v for key, v in (own | dict(c.changes)).items()})


def training_changes(configuration: Configuration) -> dict[str, Any]:
    """The changes to the preset that make `train_system` train this configuration exactly."""
    stage = SYSTEMS[configuration.system].stage
    now, wanted = preset_of(configuration.system, configuration.preset), resolve(configuration)
    old, new = dict(flat(now)), dict(flat(wanted))
    mine = (f"{stage}.", "size", "held_out")
    return {key: v for key, v in new.items() if v != old.get(key) and key.startswith(mine)}


# ---------------------------------------------------------------------------------------------- the rest


def shipped_configuration(row: TableRow, preset: str, task: str) -> Configuration | None:
    """The configuration of a row of shipped weights; None if a preset has none.

    New weights mean a new result. Rows of stage 1 (task "masks") do not depend on stage 2.
    """
    try:
        mask, content = find_weights(preset)
    except DeoccError:
        return None
    shipped = Configuration(f"shipped/{row.key}", preset, version=INFERENCE)
    if task == "masks":
        return replace(shipped, weights=weights_digest([mask]))
    texture, exemplar = _detail(content, weights_digest([content]))
    digest = weights_digest([mask, content])
    return replace(shipped, weights=digest, texture=texture, exemplar=exemplar)


@lru_cache(8)
def _detail(weights: Path, digest: str) -> tuple[float, bool]:
    """The detail that weights of stage 2 are used with. Args: digest: of the file, for the cache."""
    return default_detail(load_weights(weights, "cpu"))


def differences(old: Configuration, new: Configuration) -> list[str]:
    """Fields in which two configurations differ, as "settings.width 24 -> 16"."""
    sides = [{**{f.name: getattr(c, f.name) for f in fields(c)}, **dict(c.changes)} for c in (old, new)]
    sides = [{k: v for k, v in side.items() if k != "changes"} for side in sides]
    keys = sorted({*sides[0], *sides[1]})
    words = [(key, *(json.dumps(side.get(key)) for side in sides)) for key in keys]
    return [f"{key} {a} -> {b}" for key, a, b in words if a != b]


def people_digest(folders: Sequence[Path]) -> str:
    """Digest of people folders, in order: their tables' bytes, every file's name and size."""
    sha = hashlib.sha256()
    for folder in map(Path, folders):
        if not (folder / "people.csv").is_file():
            raise DeoccError(f"{folder}: no people folder (people.csv is missing); see `deocc render --help`")
        files = [p for name in FOLDERS for p in (folder / name).glob("*") if not p.name.startswith(".")]
        for path in (folder / "people.csv", *sorted(files)):
            name = path.relative_to(folder).as_posix()
            sha.update(
                path.read_bytes() if path.suffix == ".csv" else f"{name}{path.stat().st_size}".encode()
            )
    if not any((Path(folder) / "occluders").is_dir() for folder in folders):
        sha.update(people_digest([PEOPLE_MINI]).encode())  # whose occluders are used then
    return sha.hexdigest()[:16]


def weights_digest(paths: Sequence[Path]) -> str:
    """Digest of the bytes of weight files. Raises: DeoccError: there is no such file."""
    sha = hashlib.sha256()
    for path in map(Path, paths):
        if not path.is_file():
            raise DeoccError(f"{path}: no such weights file")
        sha.update(path.read_bytes())
    return sha.hexdigest()[:16]
