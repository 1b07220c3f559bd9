"""The paper's findings as comparisons of table rows.

Every finding in `deocc.paper.CLAIMS` is listed here, with its comparisons or with the reason why this
repository cannot test it. `deocc.tables.scorecard` computes the verdicts.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from deocc import paper


@dataclass(frozen=True)
class Comparison:
    """One row against another of the same table.

    Attributes:
        table: its number.
        row, against: keys of rows.
        metric: name in `deocc.evaluation.report.METRICS`, or "frechet".
        gain: 1 if the row is better in the paper, -1 if it is worse.
        counts: whether the verdict depends on it; else it is only shown.
    """

    table: str
    row: str
    against: str
    metric: str
    gain: Literal[1, -1] = 1
    counts: bool = True


@dataclass(frozen=True)
class ClaimCheck:
    """How one claim is tested.

    Attributes:
        key: name of the check; "claim" or "claim: among".
        claim: key in `deocc.paper.CLAIMS`; "" for our own question.
        comparisons: all that count must agree.
        among: the compared systems, where they are not simply the paper's.
        reason: why the claim cannot be tested here; "" if it can.
        needs: what an untestable claim would need.
        question: our own question, in words.
    """

    key: str
    claim: str
    comparisons: tuple[Comparison, ...] = ()
    among: str = ""
    reason: str = ""
    needs: str = ""
    question: str = ""

    @property
    def text(self) -> str:
        """The claim in words, with the compared systems."""
        words = paper.CLAIMS[self.claim].text if self.claim else self.question
        return f"{words} ({self.among})" if self.among else words

    @property
    def where(self) -> str:
        """The place in the paper."""
        return paper.CLAIMS[self.claim].where if self.claim else "not in the paper"


SCRATCH = ("pix2pix", "segan", "ovsr", "pcnets")
IMAGENET = ("maskrcnn", "deeplab")
PAINTERS = ("deepfill", "pix2pix", "segan", "ovsr", "pcnets")


def _masks_ahead(claim: str, metric: str) -> tuple[ClaimCheck, ClaimCheck]:
    """Ours against the systems of its kind; the paper's network starts from random weights."""
    kinds = (("ours_plain", SCRATCH, "from random weights"), ("ours", IMAGENET, "from an ImageNet network"))
    first, second = (
        ClaimCheck(
            f"{claim}: {among}", claim, tuple(Comparison("2", ours, key, metric) for key in others), among
        )
        for ours, others, among in kinds
    )
    return first, second


def _ablation(claim: str, row: str, against: str, worse: tuple[str, ...], *better: str) -> ClaimCheck:
    """A row of table 4 against another: metrics in which it is better or worse."""
    gains = [Comparison("4", row, against, f"{mask}_iou") for mask in better]
    losses = [Comparison("4", row, against, f"{mask}_iou", -1) for mask in worse]
    return ClaimCheck(claim, claim, (*gains, *losses), "with an ImageNet trunk")


def _pixels(table: str, row: str, against: str, l1_counts: bool = False) -> tuple[Comparison, ...]:
    """FD-Lite0 for FID, the perceptual distance, and L1, which counts only if the paper claims it."""
    return (
        Comparison(table, row, against, "frechet"),
        Comparison(table, row, against, "recovered_perceptual"),
        Comparison(table, row, against, "recovered_l1", counts=l1_counts),
    )


_NO_PHOTOS = 'those cases are not available; "natural" cases are the nearest here'
_PHOTOS = "the 56 cases that photo editors composed, or others like them"

CHECKS: tuple[ClaimCheck, ...] = (
    ClaimCheck(
        "preserved_lower", "preserved_lower",
        reason="no people of OpenImages and Objects365 are available; the paper's counts are not in our copy",
        needs="`deocc people` over both datasets and COCO, with the number of candidates it keeps",
    ),
    ClaimCheck(
        "aspect_ratio", "aspect_ratio", reason="the bounds of that bin are not in our copy",
        needs="the paper's figure 5",
    ),
    ClaimCheck("ratio_control", "ratio_control"),
    *_masks_ahead("masks_ahead", "amodal_iou"),
    *_masks_ahead("invisible_ahead", "invisible_iou"),
    ClaimCheck(
        "masks_real", "masks_real", reason=_NO_PHOTOS, needs=_PHOTOS,
    ),
    ClaimCheck(
        "content_ahead", "content_ahead",
        tuple(part for key in PAINTERS for part in _pixels("3", "ours", key, l1_counts=True)),
    ),
    ClaimCheck(
        "content_real", "content_real", reason=_NO_PHOTOS, needs=_PHOTOS,
    ),
    _ablation("discriminator_helps", "d", "none", (), "amodal"),
    _ablation("modal_trade", "modal", "d", ("amodal",), "modal", "invisible"),
    _ablation("parsing_helps", "parsing", "modal", (), "modal", "amodal", "invisible"),
    _ablation("templates_help", "templates", "modal", (), "modal", "amodal", "invisible"),
    _ablation("parts_add_up", "all", "none", (), "modal", "invisible"),
    ClaimCheck(
        "parts_from_templates", "", (Comparison("4", "all", "parsing", "parsing_miou"),),
        among="with an ImageNet trunk", question="templates improve the predicted body parts, too",
    ),
    ClaimCheck(
        "stacking", "stacking", reason="no row has a single hourglass: the network always stacks two",
        needs="a row with one hourglass that carries both branches",
    ),
    ClaimCheck(
        "background_helps", "background_helps",
        (*_pixels("6", "background", "baseline"), *_pixels("5", "a0.3", "a0")),
    ),
    ClaimCheck("body_helps", "body_helps", _pixels("6", "body", "background")),
    ClaimCheck("spatial_helps", "spatial_helps", _pixels("6", "spatial", "background")),
    ClaimCheck("cascade_helps", "cascade_helps", _pixels("6", "cascade", "background")),
    ClaimCheck("fusion_beats_cascade", "fusion_beats_cascade", _pixels("6", "ours", "cascade")),
)  # fmt: skip
"""In the paper's order. The paper has no rows with an ImageNet trunk; rows are compared within a kind."""
