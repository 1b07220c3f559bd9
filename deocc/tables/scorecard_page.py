"""The scorecard as Markdown: a line per claim, then every comparison."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from deocc.evaluation.report import METRICS
from deocc.markdown import markdown
from deocc.tables.page import mark
from deocc.tables.scorecard import VERDICTS, least_in_favour

OTHER = {"other": "with other masks", "natural": "natural cases"}


def scorecard_page(value: dict[str, Any], head: str = "##", comparisons: bool = True) -> str:
    """A scorecard (`deocc.tables.scorecard.scorecard_json`) as Markdown.

    Args:
        value: the scorecard.
        head: marks of its heading.
        comparisons: also list every comparison.
    """
    counts = Counter(claim["verdicts"]["main"] for claim in value["claims"])
    tally = ", ".join(f"{counts[name]} {name}" for name in VERDICTS if counts[name])
    images = " and ".join(f"{number:,}" for number in value["images"]) or "no"
    seeds = " to ".join(map(str, dict.fromkeys(value["seeds"]))) or "no"
    parts = [
        f"{head} Reproduction scorecard, preset {value['preset']}",
        f"{len(value['claims'])} claims{_own(value['claims'])}, weighed by rows of {images} training images, "
        f"{seeds} seed{'s' if seeds != '1' else ''}: {tally}. {_READING}",
        "\n".join(f"- **{name}**: {words}." for name, words in VERDICTS.items()),
        _claims(value["claims"]),
    ]
    if comparisons:
        header = ("claim", "masks given", "row", "against", "metric", "difference", "as claimed")
        parts += [
            f"{head}# Every comparison",
            f"{value['comparisons']} with an interval. Row minus the other; a metric in brackets is shown "
            "beside and does not count.",
            markdown(header, [line for claim in value["claims"] for line in _lines(claim)]),
        ]
    return "\n\n".join(parts) + "\n"


_READING = (
    "The verdict on a claim about masks is from a rough mask, as in the paper. The paper does not say which "
    "masks stage 2 was given; the verdict on a claim about pixels is with the true ones. The column "
    '"with other masks" repeats the test the other way: mask claims from the true visible mask, pixel claims '
    "end to end from a rough mask. FD-Lite0 stands for FID, the perceptual distance "
    "stands beside it. Intervals: 95 %, of people and seeds; of FD-Lite0 and parsing mIoU over seeds alone; "
    "with one seed there is none. Holm's correction is over all comparisons here."
)


def _own(claims: Sequence[dict[str, Any]]) -> str:
    """How many of them the paper does not make."""
    own = sum(not claim["claim"] for claim in claims)
    return f" ({own} of them our own {'question' if own == 1 else 'questions'})" if own else ""


def _claims(claims: Sequence[dict[str, Any]]) -> str:
    """A line per claim; settings without measurements have no column."""
    columns = [name for name in OTHER if any(claim["verdicts"].get(name) for claim in claims)]
    header = ("claim", "where", "verdict", "least in favour of it", *(OTHER[name] for name in columns),
              "what would decide it")  # fmt: skip
    return markdown(header, [_line(claim, columns) for claim in claims])


def _line(claim: dict[str, Any], columns: Sequence[str]) -> list[str]:
    verdicts = claim["verdicts"]
    least = least_in_favour(claim["comparisons"].get("main", []))
    evidence = claim["evidence"] or ("" if least is None else difference_text(least))
    others = (verdicts.get(name, "") for name in columns)
    return [claim["text"], claim["where"], verdicts["main"], evidence, *others, claim["decide"]]


def difference_text(part: dict[str, Any]) -> str:
    """One comparison, such as "invisible IoU of ours against SeGAN +0.095 [+0.083, +0.107]" and its mark."""
    names = part["names"]
    return f"{_title(part)}, {names['row']} against {names['against']}: {_signed(part)}"


def _title(part: dict[str, Any]) -> str:
    name = part["metric"]
    if name not in METRICS:
        return "FD-Lite0 (down)"
    return METRICS[name].title + ("" if METRICS[name].higher else " (down)")


def _signed(part: dict[str, Any]) -> str:
    found, name = part["found"], part["metric"]
    digits = METRICS[name].digits if name in METRICS else 2
    text = f"{found['value']:+.{digits}f}"
    if found["low"] is not None:
        text += f" [{found['low']:+.{digits}f}, {found['high']:+.{digits}f}]"
    return f"{text} {mark(found)}".rstrip()


_MASKS = {"main": "", "other": "other", "natural": "natural"}


def _lines(claim: dict[str, Any]) -> list[list[str]]:
    lines = []
    for setting, parts in claim["comparisons"].items():
        for part in parts:
            if part["found"] is None and setting != "main":
                continue
            names = part.get("names", {"row": part["row"], "against": part["against"]})
            metric = _title(part) if part["counts"] else f"({_title(part)})"
            told = ("not measured", "") if part["found"] is None else (
                _signed(part), "yes" if part["agrees"] else "no")  # fmt: skip
            lines.append([claim["text"], _MASKS[setting], names["row"], names["against"], metric, *told])
    return lines
