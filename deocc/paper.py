r"""The paper's equations, tables, figures and claims as data.

The paper is Zhou et al., "Human De-occlusion: Invisible Perception and Recovery for Humans", CVPR 2021. The
copy that this project works from lost its formulas and table values. Formulas are restored from the prose and
from the authors' released model definitions. Published numbers are given where they are known, else `None`.
No value is estimated, and no result of this project is in this file.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from deocc.errors import DeoccError


@dataclass(frozen=True)
class Symbol:
    """A quantity of the paper and its one name in this code."""

    latex: str
    name: str  # the name in the code
    shape: str  # shape and range
    meaning: str


@dataclass(frozen=True)
class Equation:
    """An equation of the paper.

    Attributes:
        number: the paper's number.
        section: of the paper.
        title: what it defines.
        latex: the formula as this project implements it.
        code: dotted name of what implements it.
        restored: True where the formula was restored from prose and released code rather than read.
        reading: our decision where the paper is silent; may be empty.
    """

    number: int
    section: str
    title: str
    latex: str
    code: str
    restored: bool = True
    reading: str = ""

    def _repr_markdown_(self) -> str:
        """How a notebook shows it: number, title, formula, code, and our reading."""
        source = f"`{self.code}`, Sec. {self.section}"
        reading = f"Our reading: {self.reading}." if self.reading else ""
        return f"**Eq. {self.number}**, {self.title} ({source}):\n\n$$ {self.latex} $$\n\n{reading}".rstrip()


@dataclass(frozen=True)
class Figure:
    """A figure of the paper and the notebook that shows its counterpart."""

    number: str  # "1".."6", "S1" for the supplement
    section: str
    title: str
    notebook: str  # stem of the notebook's file name; empty where there is none


@dataclass(frozen=True)
class Column:
    """A column of a table: a metric with its unit, and which direction is better."""

    name: str
    unit: str
    better: str  # "lower", "higher" or "" where it is a plain fact
    group: str = ""  # e.g. "Syn." or "Real"


@dataclass(frozen=True)
class Row:
    """A row of a table.

    Attributes:
        name: as the paper prints it, or a description where it prints ticks.
        system: name of the trainable system of this project that reproduces it; may be empty.
        settings: what the row varies, e.g. {"discriminator": True}.
        published: one value a column; None = not known.
    """

    name: str
    system: str = ""
    settings: Mapping[str, object] = field(default_factory=dict)
    published: tuple[float | None, ...] = ()


@dataclass(frozen=True)
class Table:
    """A table of the paper, with the published values that are known.

    Attributes:
        note: our reading where the layout was lost in the copy.
    """

    number: str
    section: str
    title: str
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    note: str = ""

    def published(self, row: str, column: str, group: str = "") -> float | None:
        """The published value of a cell, or None where it is not known.

        Raises:
            DeoccError: the table has no such row or column.
        """
        rows = {r.name: r for r in self.rows}
        columns = {(c.group, c.name): i for i, c in enumerate(self.columns)}
        if row not in rows or (group, column) not in columns:
            have = f"rows {sorted(rows)} and columns {sorted(' '.join(key).strip() for key in columns)}"
            cell = f"({row!r}, {group!r} {column!r})"
            raise DeoccError(f"table {self.number} has no cell {cell}; it has {have}")
        values = rows[row].published
        return values[columns[group, column]] if values else None


@dataclass(frozen=True)
class Claim:
    """A statement of the paper that can be checked, in our words.

    Attributes:
        value: the published number, if the claim is a number and known; else None.
        where: table, figure or section that carries it.
        finding: it states a result, on which `deocc.tables.scorecard` gives a verdict; else it is a fact of
            the paper's data or set-up.
    """

    key: str
    text: str
    where: str
    value: float | None = None
    unit: str = ""
    finding: bool = False


def _finding(key: str, where: str, text: str) -> Claim:
    return Claim(key, text, where, finding=True)


SYMBOLS: tuple[Symbol, ...] = (
    Symbol(r"I", "image", "3 x H x W, [0, 1]", "a photo with an occluded person"),
    Symbol(r"M_i", "initial_mask", "1 x H x W, {0, 1}", "what a segmenter gives; wrong in places"),
    Symbol(r"M_m", "modal_mask", "1 x H x W, {0, 1}", "the visible person"),
    Symbol(r"M_a", "amodal_mask", "1 x H x W, {0, 1}", "the whole person"),
    Symbol(r"M_{inv}", "invisible_mask", "1 x H x W, {0, 1}", "what must be imagined: M_a without M_m"),
    Symbol(r"M_v", "valid_mask", "1 x H x W, {0, 1}", "the known pixels: 1 - M_inv"),
    Symbol(r"P_m", "parsing_modal", "H x W, 0..19", "body parts of the visible person"),
    Symbol(r"P_a", "parsing_amodal", "H x W, 0..19", "body parts of the whole person"),
    Symbol(r"T_k", "templates", "K x H x W, [0, 1]", "typical-pose masks"),
    Symbol(r"I_o", "recovered", "3 x H x W, [0, 1]", "the de-occluded image"),
    Symbol(r"r", "occlusion_ratio", "[0, 1]", "hidden share of the person"),
)

EQUATIONS: dict[int, Equation] = {
    e.number: e
    for e in (
        Equation(
            1, "3.2", "refined modal mask and its parsing",
            r"(M_m, P_m) = \mathcal{N}_m([I, M_i])",
            "deocc.models.MaskCompletionNet.forward",
        ),
        Equation(
            2, "3.2", "amodal mask and its parsing",
            r"(M_a, P_a) = \mathcal{N}_a([I, F_m], T), \quad"
            r" w = \operatorname{softmax}_k(-d(M_m, T_k) / \tau)",
            "deocc.models.MaskCompletionNet.forward",
            reading="the distance d is not given; here the mean squared difference in the input frame"
            " (`TemplateGuide.distances`)",
        ),
        Equation(
            3, "3.2", "terms of the mask completion loss",
            r"\mathcal{L}_{ce} = \mathrm{CE}(M_m) + \mathrm{CE}(M_a) + \mathrm{CE}(P_m) + \mathrm{CE}(P_a),"
            r" \quad \mathcal{L}_{adv} = \mathbb{E}[\log D(I, M_a^{gt})] + \mathbb{E}[\log(1 - D(I, M_a))],"
            r" \quad \mathcal{L}_{rec} = \|M_a - M_a^{gt}\|_1 + \mathcal{L}_{perc}(M_a, M_a^{gt})",
            "deocc.training.mask.MaskSystem.losses",
            reading="weights of the four cross-entropies are not given; the L1 is of M_m too",
        ),
        Equation(
            4, "3.2", "mask completion loss",
            r"\mathcal{L} = \mathcal{L}_{ce} + \lambda_{adv} \mathcal{L}_{adv}"
            r" + \lambda_{rec} \mathcal{L}_{rec}",
            "deocc.training.mask.MaskSystem.losses",
            reading="the coefficients are lost in our copy; lambda_rec is one weight for each of its terms",
        ),
        Equation(
            5, "3.3", "content recovery",
            r"I_o = \mathcal{N}_c(I', M_v, M_a;\, P_m, P_a), \quad"
            r" I' = I \odot M_a + \alpha\, I \odot (1 - M_a)",
            "deocc.models.ContentRecoveryNet.forward",
            reading="I' and alpha are defined in section 5.3 (table 5)",
        ),
        Equation(
            6, "3.3", "relevance of visible to invisible positions",
            r"K = \mathrm{conv}_v([F, p_m]), \quad Q = \mathrm{conv}_a([F, p_a]), \quad"
            r" R = \operatorname{softmax}(Q^\top K) \in \mathbb{R}^{HW \times HW}",
            "deocc.models.ParsingGuidedAttention.attention_map",
            reading="the softmax runs over visible positions only; what PGA fuses is added to F",
        ),
        Equation(
            7, "3.3", "content recovery loss",
            r"\mathcal{L} = \|I_o - I^{gt}\|_1 + \lambda_{style} \mathcal{L}_{style}"
            r" + \lambda_{adv} \mathcal{L}_{adv}",
            "deocc.training.content.RecoverySystem.losses",
            reading="the style loss is Liu et al.'s (2018); their perceptual term beside it is our addition;"
            " the coefficients are lost in our copy",
        ),
    )
}  # fmt: skip

FIGURES: dict[str, Figure] = {
    f.number: f
    for f in (
        Figure("1", "1", "the two stages, and what a whole person is good for", "00_quickstart"),
        Figure("2", "3.2", "the refined mask completion network", "03_mask_completion"),
        Figure("3", "3.3", "the parsing guided content recovery network", "04_content_recovery"),
        Figure("4", "4.1", "discarded and preserved people, and a pasted occluder", "01_dataset_building"),
        Figure("5", "4.2", "aspect ratios and scene categories of the dataset", "01_dataset_building"),
        Figure("6", "5.2", "masks and recovered images of all systems", "05_paper_tables"),
        Figure("S1", "supplement", "the branches behind each hourglass", "03_mask_completion"),
    )
}

_L1, _IOU = Column("L1 M_a", "", "lower"), Column("IoU M_a", "", "higher")
_IOU_M, _IOU_INV = Column("IoU M_m", "", "higher"), Column("IoU M_inv", "", "higher")
_L1_IMAGE, _FID = Column("L1", "", "lower"), Column("FID", "", "lower")


def _grouped(columns: tuple[Column, ...], groups: tuple[str, ...] = ("Syn.", "Real")) -> tuple[Column, ...]:
    return tuple(Column(c.name, c.unit, c.better, group) for group in groups for c in columns)


def _mask_row(name: str, *ticks: str) -> Row:
    """A row of table 4: everything that is not ticked is off."""
    settings = {part: part in ticks for part in ("discriminator", "modal", "parsing", "templates")}
    return Row(name, "mask/ours", settings)


_SPECIAL = (("SeGAN", "segan"), ("OVSR", "ovsr"), ("PCNets", "pcnets"))
_MASK_SYSTEMS = (("Mask-RCNN", "maskrcnn"), ("Deeplab", "deeplab"), ("Pix2Pix", "pix2pix"), *_SPECIAL)
_CONTENT_SYSTEMS = (("Deepfillv2", "deepfill"), ("Pix2Pix", "pix2pix"), *_SPECIAL)

TABLES: dict[str, Table] = {
    t.number: t
    for t in (
        Table(
            "1", "4.2", "people found and people preserved, by source",
            (Column("COCO", "", ""), Column("OpenImages", "", ""), Column("Objects365", "", "")),
            (Row("Human Count"), Row("Preserved Count"), Row("Preserved Ratio")),
        ),
        Table(
            "2", "5.2", "mask completion against other systems",
            _grouped((_L1, _IOU, _IOU_INV)),
            tuple(Row(name, f"mask/{key}") for name, key in (*_MASK_SYSTEMS, ("Ours", "ours"))),
            note="our copy kept only the two groups and 'IoU'; which columns they hold is our reading",
        ),
        Table(
            "3", "5.2", "content recovery against other systems",
            _grouped((_L1_IMAGE, _FID)),
            tuple(Row(name, f"content/{key}") for name, key in (*_CONTENT_SYSTEMS, ("Ours", "ours"))),
        ),
        Table(
            "4", "5.3", "ablation of mask completion",
            (_L1, _IOU, _IOU_M, _IOU_INV),
            (
                _mask_row("1: baseline"),
                _mask_row("2: discriminator", "discriminator"),
                _mask_row("3: + modal", "discriminator", "modal"),
                _mask_row("4: + modal + parsing", "discriminator", "modal", "parsing"),
                _mask_row("5: + modal + templates", "discriminator", "modal", "templates"),
                _mask_row("6: all", "discriminator", "modal", "parsing", "templates"),
            ),
            note="rows 1 and 2 keep both hourglasses and take M_i for M_m",
        ),
        Table(
            "5", "5.3", "share of background that stage 2 sees",
            (_FID,),
            tuple(Row(f"alpha = {a:g}", "content/ours", {"alpha": a}) for a in (0.0, 0.1, 0.3, 0.5, 1.0)),
            note="the paper's own values of alpha are lost in our copy; the released code uses 0.3",
        ),
        Table(
            "6", "5.3", "ablation of content recovery",
            (_L1_IMAGE, _FID),
            (
                Row("baseline", "content/ours", {"background": False, "body": False, "spatial": False}),
                Row("background", "content/ours", {"background": True, "body": False, "spatial": False}),
                Row("Attention.B", "content/ours", {"background": True, "body": True, "spatial": False}),
                Row("Attention.T", "content/ours", {"background": True, "body": False, "spatial": True}),
                Row("cascade", "content/ours",
                    {"background": True, "body": True, "spatial": True, "fusion": "cascade"}),
                Row("ours", "content/ours",
                    {"background": True, "body": True, "spatial": True, "fusion": "concat"}),
            ),
            note="the ticks of rows 2 to 4 are lost in our copy; one per row is our reading",
        ),
        Table(
            "time", "supplement", "time an image on a Tesla V100",
            (Column("baseline", "ms", "lower"), Column("ours", "ms", "lower")),
            (
                Row("mask completion", "mask/ours", {}, (13.37, 15.83)),
                Row("content recovery", "content/ours", {}, (8.02, 13.84)),
                Row("both", "", {}, (None, 21.65)),
            ),
            note="the published total, 'about 21.65 ms', is not the sum of its parts (29.67 ms)",
        ),
    )
}  # fmt: skip

CLAIMS: dict[str, Claim] = {
    c.key: c
    for c in (
        Claim("train_images", "AHP has this many training images of whole people", "sec. 5.1", 56302),
        Claim("val_people", "validation people", "sec. 5.1", 297),
        Claim("val_occluders", "occluders for each validation person", "sec. 5.1", 3),
        Claim("val_cases", "synthesized validation cases, fixed once made", "sec. 5.1", 891),
        Claim("real_cases", "cases composed by photo editors and approved by vote", "sec. 5.1", 56),
        Claim("parsing_classes", "body-part classes, background included (LIP)", "sec. 3.2", 20),
        Claim("discriminator_layers", "convolution layers of either discriminator", "sec. 5.1", 4),
        Claim("input_size", "side of both networks' input", "sec. 5.1; value: released code", 256, "px"),
        _finding("preserved_lower", "table 1",
                 "OpenImages and Objects365 preserve a smaller share of people than COCO"),
        _finding("aspect_ratio", "fig. 5",
                 "nearly half of the people fall into one bin of aspect ratios: most stand"),
        _finding("ratio_control", "sec. 1", "pasted occluders give any wanted density of occlusion ratios"),
        _finding("masks_ahead", "table 2", "ours beats every other system on whole masks"),
        _finding("invisible_ahead", "table 2", "ours beats every other system on invisible masks, clearly"),
        _finding("masks_real", "table 2, Real", "ours beats every other system on masks of real occlusions"),
        _finding("content_ahead", "table 3", "ours beats every other system on recovered images"),
        _finding("content_real", "table 3, Real",
                 "ours beats every other system on recovered images of real occlusions"),
        _finding("discriminator_helps", "table 4, row 2", "the discriminator improves the whole mask"),
        _finding("modal_trade", "table 4, row 3",
                 "a visible-mask branch improves visible and invisible masks and costs whole masks"),
        _finding("parsing_helps", "table 4, row 4",
                 "body-part branches improve visible, whole and invisible masks"),
        _finding("templates_help", "table 4, row 5", "templates improve visible, whole and invisible masks"),
        _finding("parts_add_up", "table 4, row 6",
                 "all parts together improve visible and invisible masks over the baseline"),
        _finding("stacking", "sec. 3.2",
                 "one hourglass with both branches degrades the refined visible mask"),
        _finding("background_helps", "table 5", "some background in stage 2's input improves FID"),
        _finding("body_helps", "table 6", "attention over body parts improves FID"),
        _finding("spatial_helps", "table 6", "attention from invisible to visible positions improves FID"),
        _finding("cascade_helps", "table 6", "both streams, one after the other, improve FID"),
        _finding("fusion_beats_cascade", "table 6", "fusing both streams beats running them in cascade"),
        Claim("time_masks", "mask completion, an image on a V100", "supplement", 15.83, "ms"),
        Claim("time_content", "content recovery, an image on a V100", "supplement", 13.84, "ms"),
        Claim("time_total", "both stages, an image on a V100", "supplement", 21.65, "ms"),
    )
}  # fmt: skip
