"""The rows of the paper's tables as frozen data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from deocc.errors import DeoccError

Kind = Literal["trained", "control", "shipped"]
Group = Literal["nothing", "scratch", "imagenet", "shipped"]
GROUPS: dict[Group, str] = {
    "nothing": "learns nothing, or an average",
    "scratch": "from random weights",
    "imagenet": "from an ImageNet network",
    "shipped": "shipped weights",
}
"""The groups of rows. Rows are printed and compared within a group."""


@dataclass(frozen=True)
class TableRow:
    """One row.

    Attributes:
        key: short name, for --only and for the files of its results.
        name: as printed.
        searched: whether it has its own search of the learning rate; else it has its system's rate.
        plain_name: printed name at presets where it has no ImageNet trunk; "" = name.
        kind: "trained", "control" (learns nothing, or an average), or "shipped" weights.
        system: of a trained row, the name in `deocc.experiments.registry.SYSTEMS`.
        changes: fields of the preset that the row changes, by dotted key.
        published: its row in `deocc.paper.TABLES`; "" if the paper has none.
    """

    key: str
    name: str
    kind: Kind = "trained"
    system: str = ""
    changes: tuple[tuple[str, Any], ...] = ()
    published: str = ""
    plain_name: str = ""
    searched: bool = False

    @property
    def search_key(self) -> str:
        """Key of its learning rate: its own if one was searched for it, else its system's."""
        return f"{self.stage}/{self.key}" if self.searched else self.system

    @property
    def stage(self) -> str:
        """Of a trained row, the preset's stage: "mask" or "content"."""
        return self.system.partition("/")[0]


@dataclass(frozen=True)
class TablePlan:
    """One table.

    Attributes:
        number, title: the paper's.
        task: "masks", or "pixels" (recovery).
        rows: in printing order.
        columns: metric -> column of `deocc.paper.TABLES`, "" if the paper has none.
        givens: the prompts: "initial" (M_i) and "modal" (the true visible mask).
        reference: key of the row that others are compared with, case by case.
        references: group -> its own reference, if any.
        headlines: the columns of RESULTS.md; `deocc table` also prints the others.
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
    references: tuple[tuple[Group, str], ...] = ()
    headlines: tuple[str, ...] = ("amodal_iou", "modal_iou", "invisible_iou", "parsing_miou")

    def reference_of(self, group: Group) -> str:
        """Key of the row that a group's rows are compared with."""
        return dict(self.references).get(group, self.reference)

    def picked(self, only: Sequence[str] = ()) -> tuple[TableRow, ...]:
        """Rows by key, or all if none is named. Raises: DeoccError: no such row."""
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
            "ours_plain", "ours (as the paper's: from scratch)", "trained", "mask/ours",
            (("mask.settings.trunk", ""),), "Ours", searched=True,
        ),
        TableRow("ours", "ours (ImageNet trunk)", "trained", "mask/ours", (), "", "ours (the preset's)"),
        TableRow(
            "ours_mend", "ours, mended (not in the paper)", "trained", "mask/ours",
            (("mask.settings.given_logit", 2.0), ("mask.settings.trunk_start", 1.0)),
        ),
        TableRow("shipped", "shipped weights (longer training)", "shipped"),
    ),
    _MASK_COLUMNS,
    references=(("nothing", "ours_plain"), ("scratch", "ours_plain")),
)  # fmt: skip

MASK_PARTS: dict[str, tuple[str, Any]] = {
    "discriminator": ("mask.settings.adversary.weight", 0.0),
    "modal": ("mask.settings.modal", False),
    "parsing": ("mask.settings.parsing", False),
    "templates": ("mask.settings.templates", 0),
}
"""The parts in table 4, each with the change that switches it off."""


def mask_row(key: str, name: str, parts: Sequence[str], published: str = "") -> TableRow:
    """Ours with some of `MASK_PARTS`; the others are off."""
    changes = tuple(change for part, change in MASK_PARTS.items() if part not in parts)
    return TableRow(key, name, "trained", "mask/ours", changes, published)


def _ablation(key: str, published: str, *parts: str) -> TableRow:
    """A row of table 4."""
    return mask_row(key, published, parts, published)


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

_PIXEL_HEADLINES = (
    "recovered_psnr", "recovered_ssim", "recovered_perceptual", "recovered_detail", "recovered_colour",
    "frechet",
)  # fmt: skip
_PIXEL_COLUMNS = (
    ("recovered_l1", "L1"), ("recovered_psnr", ""), ("recovered_ssim", ""), ("recovered_perceptual", ""),
    ("recovered_detail", ""), ("recovered_colour", ""), ("recovered_kernel", ""),
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

SHIPPED_CONTENT = TableRow("shipped-content", "shipped weights (longer training, other losses)", "shipped")


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
            (("content.settings.prior", True), ("content.settings.soft_parts", True)), searched=True,
        ),
        SHIPPED_CONTENT,
    ),
    _PIXEL_COLUMNS,
    compared="recovered_psnr",
    headlines=_PIXEL_HEADLINES,
)  # fmt: skip

ALPHAS = (0.0, 0.1, 0.3, 0.5, 1.0)

_DEFAULT = {"alpha": 0.3, "attention": "fusion"}  # the protocol's


def content_row(key: str, name: str, published: str = "", **settings: Any) -> TableRow:
    """Ours with other settings; default values are no change, so that tables share runs."""
    changes = tuple((f"content.settings.{k}", v) for k, v in settings.items() if v != _DEFAULT[k])
    return TableRow(key, name, "trained", "content/ours", changes, published)


def _content_row(key: str, name: str, **settings: Any) -> TableRow:
    """A row of table 5 or 6."""
    return content_row(key, name, name, **settings)


TABLE_5 = TablePlan(
    "5", "share of background that stage 2 sees", "pixels",
    tuple(_content_row(f"a{alpha:g}", f"alpha = {alpha:g}", alpha=alpha) for alpha in ALPHAS),
    _PIXEL_COLUMNS,
    reference="a0.3",
    compared="recovered_psnr",
    headlines=_PIXEL_HEADLINES,
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
    headlines=_PIXEL_HEADLINES,
)  # fmt: skip

PLANS: dict[str, TablePlan] = {plan.number: plan for plan in (TABLE_2, TABLE_3, TABLE_4, TABLE_5, TABLE_6)}
CURVES: dict[str, tuple[str, ...]] = {
    "2": ("ours_plain", "ours", "transformer", "deeplab", "maskrcnn", "pix2pix", "pcnets"),
    "3": ("ours", "segan", "pcnets"),
}
"""Rows of the budget curves by table, in the order in which they are made."""


def get_plan(number: str) -> TablePlan:
    """A table by number. Raises: DeoccError: no such table here."""
    if number not in PLANS:
        raise DeoccError(
            f"table {number!r} is unknown; choose from 1, {', '.join(sorted(PLANS))}, scorecard, or all"
        )
    return PLANS[number]
