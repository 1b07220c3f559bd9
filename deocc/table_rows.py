"""The rows of the paper's tables as frozen data, and what names a result: the hash of its configuration.

A row says which system is trained and which fields of the preset it changes, nothing else; `run_config`
turns a row, a preset, the data, a budget of images and a seed into plain values, and `config_hash` names
them. Tables 2 and 4 are of task "masks", tables 3, 5 and 6 of task "pixels".
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from deocc.errors import DeoccError
from deocc.experiments import SYSTEMS, Preset, get_preset, preset_of
from deocc.systems import ContentSettings

Kind = Literal["trained", "control", "shipped"]
SCHEMA = 1  # counts changes of cases, frames or training code that make old results incomparable: raise it
IMAGES = {
    "tiny": 512,
    "small": 60_000,
    "paper": 56_000 * 32,
}  # training images a run, where none are asked for
IGNORED = (  # fields of TrainConfig that change speed or logs, not results
    "threads", "workers", "log_every", "eval_every", "checkpoint_every", "keep_checkpoints", "seed",
    "max_minutes",
)  # fmt: skip
PARTS = ("images", "masks", "parsing", "occluders")  # subfolders of a people folder


@dataclass(frozen=True)
class TableRow:
    """One row.

    Attributes:
        key: short name, for --only and for the files of its results.
        name: as printed.
        kind: "trained" by the one loop, "control" (learns nothing, or an average), or "shipped" weights.
        system: name in `deocc.experiments.SYSTEMS`, of a trained row.
        changes: fields of the preset that the row varies, by dotted key.
        published: its row in `deocc.paper.TABLES`; "" where the paper has none.
    """

    key: str
    name: str
    kind: Kind = "trained"
    system: str = ""
    changes: tuple[tuple[str, Any], ...] = ()
    published: str = ""


@dataclass(frozen=True)
class TablePlan:
    """One table.

    Attributes:
        number, title: the paper's.
        task: "masks", or "pixels" (recovery).
        rows: in the order of print.
        columns: metric -> column of `deocc.paper.TABLES`, "" where the paper has none.
        givens: what everything starts from: "initial" (M_i) and "modal" (the true visible mask).
        reference: key of the row that others are compared with, case by case.
        compared: the metric of that comparison.
    """

    number: str
    title: str
    task: Literal["masks", "pixels"]
    rows: tuple[TableRow, ...]
    columns: tuple[tuple[str, str], ...]
    givens: tuple[str, ...] = ("initial", "modal")
    reference: str = "ours"
    compared: str = "invisible_iou"

    def picked(self, only: Sequence[str] = ()) -> tuple[TableRow, ...]:
        """Some rows by key, or all where none is named. Raises: DeoccError: no such row."""
        known = [row.key for row in self.rows]
        unknown = [key for key in only if key not in known]
        if unknown:
            raise DeoccError(
                f"table {self.number} has no row {unknown[0]!r}; its rows are {', '.join(known)}"
            )
        return tuple(row for row in self.rows if not only or row.key in only)


_MASK_COLUMNS = (
    ("amodal_l1", "L1 M_a"), ("amodal_iou", "IoU M_a"), ("modal_iou", "IoU M_m"),
    ("invisible_iou", "IoU M_inv"), ("parsing_miou", ""),
)  # fmt: skip
CONTROLS = (
    TableRow("initial", "given mask", "control"),
    TableRow("visible", "true visible mask", "control"),
    TableRow("mean", "mean training mask", "control"),
    TableRow("hull", "convex hull", "control"),
    TableRow("template", "nearest template", "control"),
)


def _baseline(key: str, name: str, published: str = "") -> TableRow:
    return TableRow(key, name, "trained", f"mask/{key}", (), published)


TABLE_2 = TablePlan(
    "2", "mask completion against other systems", "masks",
    (
        *CONTROLS,
        _baseline("maskrcnn", "Mask R-CNN", "Mask-RCNN"),
        _baseline("deeplab", "DeepLab", "Deeplab"),
        _baseline("pix2pix", "Pix2Pix", "Pix2Pix"),
        _baseline("segan", "SeGAN", "SeGAN"),
        _baseline("ovsr", "OVSR", "OVSR"),
        _baseline("pcnets", "PCNets-M", "PCNets"),
        _baseline("transformer", "prompt transformer (not in the paper)"),
        TableRow(
            "ours_plain", "ours without the pretrained trunk", "trained", "mask/ours",
            (("mask.settings.trunk", ""),),
        ),
        _baseline("ours", "ours", "Ours"),
        TableRow("shipped", "shipped weights (longer training)", "shipped"),
    ),
    _MASK_COLUMNS,
)  # fmt: skip

_OFF: dict[str, tuple[str, Any]] = {
    "discriminator": ("mask.settings.adversary.weight", 0.0),
    "modal": ("mask.settings.modal", False),
    "parsing": ("mask.settings.parsing", False),
    "templates": ("mask.settings.templates", 0),
}


def _ablation(key: str, published: str, *parts: str) -> TableRow:
    """A row of table 4: whatever is not named is off."""
    changes = tuple(change for part, change in _OFF.items() if part not in parts)
    return TableRow(key, published, "trained", "mask/ours", changes, published)


TABLE_4 = TablePlan(
    "4", "ablation of mask completion", "masks",
    (
        _ablation("none", "1: baseline"),
        _ablation("d", "2: discriminator", "discriminator"),
        _ablation("modal", "3: + modal", "discriminator", "modal"),
        _ablation("parsing", "4: + modal + parsing", "discriminator", "modal", "parsing"),
        _ablation("templates", "5: + modal + templates", "discriminator", "modal", "templates"),
        _ablation("all", "6: all", "discriminator", "modal", "parsing", "templates"),
    ),
    _MASK_COLUMNS,
    reference="all",
)  # fmt: skip

_PIXEL_COLUMNS = (
    ("recovered_l1", "L1"), ("recovered_psnr", ""), ("recovered_ssim", ""), ("recovered_perceptual", ""),
    ("person_l1", ""), ("person_psnr", ""), ("person_perceptual", ""), ("frechet", "FID"),
)  # fmt: skip
INPAINTERS = (
    TableRow("colour", "mean colour of the person", "control"),
    TableRow("telea", "Telea", "control"),
    TableRow("telea-person", "Telea, from the person alone", "control"),
    TableRow("navier-stokes", "Navier-Stokes", "control"),
    TableRow("biharmonic", "biharmonic", "control"),
    TableRow("patchmatch", "PatchMatch", "control"),
)
"""Rows of table 3 that learn nothing; keys are those of `deocc.baselines.INPAINTERS`."""
SHIPPED_CONTENT = TableRow(
    "shipped-content", "shipped weights (first guess, texture, longer training)", "shipped"
)


def _painter(key: str, name: str, published: str) -> TableRow:
    return TableRow(key, name, "trained", f"content/{key}", (), published)


TABLE_3 = TablePlan(
    "3", "content recovery against other systems", "pixels",
    (
        *INPAINTERS,
        _painter("deepfill", "DeepFill v2", "Deepfillv2"),
        _painter("pix2pix", "Pix2Pix", "Pix2Pix"),
        _painter("segan", "SeGAN", "SeGAN"),
        _painter("ovsr", "OVSR", "OVSR"),
        _painter("pcnets", "PCNets-C", "PCNets"),
        _painter("ours", "ours", "Ours"),
        TableRow(
            "ours_prior", "ours with a first guess from visible parts (not in the paper)", "trained",
            "content/ours",
            (("content.settings.prior", True), ("content.settings.soft_parts", True)),
        ),
        SHIPPED_CONTENT,
    ),
    _PIXEL_COLUMNS,
    compared="recovered_psnr",
)  # fmt: skip

ALPHAS = (0.0, 0.1, 0.3, 0.5, 1.0)
_DEFAULT = {"alpha": ContentSettings().alpha, "attention": ContentSettings().attention}


def _content_row(key: str, name: str, **settings: Any) -> TableRow:
    """Ours with other settings; what is the default is no change, so that tables share runs."""
    changes = tuple((f"content.settings.{k}", v) for k, v in settings.items() if v != _DEFAULT[k])
    return TableRow(key, name, "trained", "content/ours", changes, name)


TABLE_5 = TablePlan(
    "5", "share of background that stage 2 sees", "pixels",
    tuple(_content_row(f"a{alpha:g}", f"alpha = {alpha:g}", alpha=alpha) for alpha in ALPHAS),
    _PIXEL_COLUMNS,
    reference="a0.3",
    compared="recovered_psnr",
)  # fmt: skip

TABLE_6 = TablePlan(
    "6", "ablation of content recovery", "pixels",
    (
        _content_row("baseline", "baseline", alpha=0.0, attention="none"),
        _content_row("background", "background", attention="none"),
        _content_row("body", "Attention.B", attention="body"),
        _content_row("spatial", "Attention.T", attention="spatial"),
        _content_row("cascade", "cascade", attention="cascade"),
        _content_row("ours", "ours", attention="fusion"),
    ),
    _PIXEL_COLUMNS,
    compared="recovered_psnr",
)  # fmt: skip

PLANS: dict[str, TablePlan] = {
    plan.number: plan for plan in (TABLE_2, TABLE_3, TABLE_4, TABLE_5, TABLE_6)
}


def get_plan(number: str) -> TablePlan:
    """A table by number. Raises: DeoccError: no such table here."""
    if number not in PLANS:
        raise DeoccError(f"table {number!r} cannot be made here; choose from {', '.join(PLANS)}")
    return PLANS[number]


# ------------------------------------------------------------------------------------- configurations


def schedule(preset: Preset, stage: str, images: int) -> dict[str, Any]:
    """What a budget of training images makes of a preset's schedule, as changes by dotted key.

    Warm-up takes a tenth of the steps at most, the adversary rests for a quarter at most: a short run is a
    short run of everything.
    """
    part = getattr(preset, stage)
    steps = -(-images // part.train.batch_size)
    changes: dict[str, Any] = {
        "train.steps": steps,
        "train.max_minutes": None,
        "train.warmup_steps": min(part.train.warmup_steps, steps // 10),
        "train.eval_every": 0,
        "train.checkpoint_every": max(10, min(500, steps // 20)),
        "train.log_every": max(1, min(50, steps // 20)),
    }
    start = part.settings.adversary.start
    if start > steps // 4:
        changes["settings.adversary.start"] = steps // 4
    return {f"{stage}.{key}": value for key, value in changes.items()}


def row_changes(row: TableRow, preset: str, images: int, precision: str | None = None) -> dict[str, Any]:
    """All changes of a trained row: the schedule's and the precision's, then its own.

    Args:
        precision: of training, "no", "fp16" or "bf16"; None: the preset's.
    """
    chosen, stage = preset_of(row.system, preset), SYSTEMS[row.system].stage
    exact = {} if precision is None else {f"{stage}.train.mixed_precision": precision}
    return schedule(chosen, stage, images) | exact | dict(row.changes)


def run_config(
    row: TableRow,
    preset: str,
    images: int,
    seed: int,
    data: str,
    stage1: str = "",
    precision: str | None = None,
) -> dict[str, Any]:
    """Everything that the result of training a row depends on, as JSON values.

    Args:
        row: a trained row.
        preset: its name.
        images: budget of training images.
        seed: of weights, order and draws.
        data: `people_digest` of the people folders.
        stage1: digest of stage 1's weights, for stage 2.
        precision: as `row_changes`.
    """
    recipe = SYSTEMS[row.system]
    chosen = preset_of(row.system, preset, row_changes(row, preset, images, precision))
    stage = getattr(chosen, recipe.stage)
    training = {k: v for k, v in asdict(stage.train).items() if k not in IGNORED}
    config = {
        "schema": SCHEMA, "system": row.system, "version": recipe.version, "preset": preset,
        "size": chosen.size, "settings": asdict(stage.settings), "training": training,
        "mix": asdict(stage.mix), "data": data, "images": images, "seed": seed, "stage1": stage1,
    }  # fmt: skip
    return json.loads(json.dumps(config, default=str))


def fixed_config(
    row: TableRow, preset: str, data: str, weights: str = "", stage1: str = ""
) -> dict[str, Any]:
    """The same of a row that the loop does not train.

    Args:
        weights: digest of shipped weights.
        stage1: digest of stage 1's weights, where a control paints what they say.
    """
    size = get_preset(preset).size
    config = {"schema": SCHEMA, "system": f"{row.kind}/{row.key}", "preset": preset, "size": size}
    if row.kind == "shipped":
        return config | {"weights": weights}
    return config | {"data": data} | ({"stage1": stage1} if stage1 else {})


def config_hash(config: dict[str, Any]) -> str:
    """Sixteen hexadecimal digits that name a configuration."""
    return hashlib.sha256(json.dumps(config, sort_keys=True).encode()).hexdigest()[:16]


def setting_differences(old: dict[str, Any], new: dict[str, Any], prefix: str = "") -> list[str]:
    """Fields in which two configurations differ, as "settings.width 24 -> 16"."""
    words = []
    for key in sorted(set(old) | set(new)):
        a, b = old.get(key), new.get(key)
        if isinstance(a, dict) and isinstance(b, dict):
            words += setting_differences(a, b, f"{prefix}{key}.")
        elif a != b:
            words.append(f"{prefix}{key} {json.dumps(a)} -> {json.dumps(b)}")
    return words


# ----------------------------------------------------------------------------------------- what is read


def people_digest(folders: Sequence[Path]) -> str:
    """Names the content of people folders, in order: their tables' bytes, every file's name and size."""
    sha = hashlib.sha256()
    for folder in map(Path, folders):
        if not (folder / "people.csv").is_file():
            raise DeoccError(f"{folder}: no people folder (people.csv is missing); see `deocc render --help`")
        files = [p for name in PARTS for p in (folder / name).glob("*") if not p.name.startswith(".")]
        for path in (folder / "people.csv", *sorted(files)):
            name = path.relative_to(folder).as_posix()
            sha.update(
                path.read_bytes() if path.suffix == ".csv" else f"{name}{path.stat().st_size}".encode()
            )
    return sha.hexdigest()[:16]
