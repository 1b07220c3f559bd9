"""Markdown tables of evaluation results."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from deocc.markdown import markdown

MASKS = ("amodal", "modal", "invisible")

REGIONS = {"recovered": "the true invisible mask", "person": "the true amodal mask"}


@dataclass(frozen=True)
class Metric:
    """A metric's name, format and definition.

    Attributes:
        name: its key in results.
        title: its column.
        digits: decimals in a table.
        higher: larger is better; None: 1 is right.
        definition: one sentence.
        unit: "" or "dB".
    """

    name: str
    title: str
    digits: int
    higher: bool | None
    definition: str
    unit: str = ""

    @property
    def aim(self) -> str:
        """Which way is better: "up", "down" or "to 1"."""
        return "to 1" if self.higher is None else "up" if self.higher else "down"


def _mask_metrics(mask: str) -> list[Metric]:
    what = {"amodal": "M_a", "modal": "M_m", "invisible": "M_inv = M_a and not M_m (both empty: 1)"}
    return [
        Metric(f"{mask}_iou", f"{mask} IoU", 3, True, f"mean over cases of the IoU of {what[mask]}"),
        Metric(
            f"{mask}_iou_global", f"{mask} IoU, global", 3, True, "summed intersections over summed unions"
        ),
        Metric(f"{mask}_l1", f"{mask} L1", 4, False, "mean over cases: share of wrong photo pixels"),
    ]


def _pixel_metrics(prefix: str) -> list[Metric]:
    inside, title = f"inside {REGIONS[prefix]}", {"recovered": "invisible", "person": "person"}[prefix]
    pooled = f"PSNR of all cases' pixels {inside}"
    features = (
        f"mean over cases of the EfficientNet-lite0 feature distance {inside}, target pasted outside M_a"
    )
    return [
        Metric(f"{prefix}_l1", f"{title} pixel L1", 4, False, f"mean over cases of |difference| {inside}"),
        Metric(f"{prefix}_psnr", f"{title} PSNR", 2, True, f"mean over cases of the PSNR {inside}", "dB"),
        Metric(f"{prefix}_psnr_pooled", f"{title} PSNR, pooled", 2, True, pooled, "dB"),
        Metric(f"{prefix}_ssim", f"{title} SSIM", 3, True, f"mean over cases of the SSIM {inside}"),
        Metric(f"{prefix}_perceptual", f"{title} perceptual", 4, False, features),
    ]


def _fog_metrics() -> list[Metric]:
    """What PSNR does not see: whether the hidden region has detail, right colours, and looks like people."""
    inside = f"inside {REGIONS['recovered']}"
    detail = f"mean over cases: gradient strength of luma {inside}, without its border, over the target's"
    colour = f"mean over cases of the CIE Lab distance {inside} after a blur of 4 % of the person's height"
    kernel = (
        "unbiased squared distance x 1000 of EfficientNet-lite0's features (cubic kernel) of the squares "
        "around the true invisible masks, target pasted outside M_a, over pairs of cases of two people"
    )
    return [
        Metric("recovered_detail", "invisible detail ratio", 3, None, detail),
        Metric("recovered_colour", "invisible blurred colour error", 2, False, colour, "Lab"),
        Metric("recovered_kernel", "kernel distance KD-Lite0", 2, False, kernel, "x 1000"),
    ]


METRICS: dict[str, Metric] = {
    metric.name: metric
    for group in (
        *(_mask_metrics(mask) for mask in MASKS),
        [
            Metric(
                "parsing_miou", "parsing mIoU", 3, True, "mean over classes of the IoU of all cases' pixels"
            ),
            Metric(
                "parsing_miou_invisible", "parsing mIoU, invisible", 3, True, "the same inside true M_inv"
            ),
        ],
        *(_pixel_metrics(prefix) for prefix in REGIONS),
        _fog_metrics(),
    )
    for metric in group
}

HEADLINES = ("amodal_iou", "modal_iou", "invisible_iou", "parsing_miou", "recovered_psnr")


def _number(value: float | None, digits: int) -> str:
    return "" if value is None else f"{value:.{digits}f}"


def interval_text(metric: Metric, interval: dict[str, Any] | None, with_interval: bool = True) -> str:
    """ "0.812 [0.801, 0.823]", or "" where there is no number."""
    if interval is None or interval["value"] is None:
        return ""
    text = _number(interval["value"], metric.digits)
    if with_interval and interval["low"] is not None:
        text += f" [{_number(interval['low'], metric.digits)}, {_number(interval['high'], metric.digits)}]"
    return text


def format_evaluation(result: dict[str, Any]) -> str:
    """A result of `evaluate_folders` for people: a line a metric, the ratio bins, the notes."""
    rows = [
        (
            metric.title,
            interval_text(metric, result["metrics"][name]),
            metric.unit,
            str(result["metrics"][name]["n"]),
        )
        for name, metric in METRICS.items()
        if name in result["metrics"]
    ]
    if frechet := result["frechet"]:
        rank = f"rank-deficient: N <= {frechet['features']}" if frechet["rank_deficient"] else ""
        rows.append((frechet["name"], f"{frechet['value']:.2f}", rank, str(frechet["n"])))
    parts = [
        f"{result['cases']} cases of {result['people']} people; intervals: {result['confidence']}",
        markdown(("metric", "value", "", "N"), rows),
        *_ratio_table(result),
        *(f"note: {note}" for note in result["notes"]),
    ]
    return "\n\n".join(parts)


def _ratio_table(result: dict[str, Any]) -> list[str]:
    names = [n for n in HEADLINES if any(n in entry["metrics"] for entry in result["by_ratio"])]
    if not names:
        return []
    rows = [
        (
            f"{entry['low']:.1f}-{entry['high']:.1f}", str(entry["n"]),
            *(interval_text(METRICS[name], entry["metrics"].get(name)) for name in names),
        )
        for entry in result["by_ratio"]
    ]  # fmt: skip
    return [markdown(("occlusion ratio", "cases", *(METRICS[name].title for name in names)), rows)]


def format_table(results: dict[str, dict[str, Any]], columns: Sequence[str] = HEADLINES) -> str:
    """Several systems' results as one Markdown table, a row per system.

    Args:
        results: name -> result of an evaluation.
        columns: names of metrics; those that no system has are left out. "frechet" adds FID or FD-Lite0.
    """
    shown = [n for n in columns if n == "frechet" or any(n in r["metrics"] for r in results.values())]
    kinds = sorted({r["frechet"]["name"] for r in results.values() if r["frechet"]})
    shown = [n for n in shown if n != "frechet" or kinds]

    def title(name: str) -> str:
        if name == "frechet":
            return " / ".join(kinds) + " (down)"
        metric = METRICS[name]
        unit = f", {metric.unit}" if metric.unit else ""
        return f"{metric.title}{unit} ({metric.aim})"

    def cell(result: dict[str, Any], name: str) -> str:
        if name != "frechet":
            return interval_text(METRICS[name], result["metrics"].get(name))
        found = result["frechet"]
        return "" if found is None else f"{found['value']:.1f}{' *' if found['rank_deficient'] else ''}"

    rows = [(label, str(r["cases"]), *(cell(r, name) for name in shown)) for label, r in results.items()]
    table = markdown(("system", "N", *(title(name) for name in shown)), rows)
    flagged = any(r["frechet"] and r["frechet"]["rank_deficient"] for r in results.values())
    starred = flagged and "frechet" in shown
    return table + ("\n\n\\* N is below the feature width: compare only at this N." if starred else "")
