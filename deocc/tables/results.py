"""Generates RESULTS.md from the stored results; nothing in it is typed by hand."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from deocc import paper
from deocc.evaluation.report import METRICS, format_table
from deocc.io import read_json
from deocc.markdown import markdown
from deocc.paths import RESULTS
from deocc.tables.collection import Setup, collect
from deocc.tables.curves import curves_page
from deocc.tables.page import legend, report_parts
from deocc.tables.rates import FILE, read_rates
from deocc.tables.report import table_json
from deocc.tables.rows import CURVES, PLANS, TablePlan
from deocc.tables.scorecard import scorecard_json
from deocc.tables.scorecard_page import scorecard_page
from deocc.tables.stored import read_results

COMMAND = "deocc table all --preset {preset} --out RESULTS.md"
WORDS = (
    "Words: the *modal* mask is of what shows of a person, the *amodal* one of the whole person, the "
    "*invisible* one of the difference. *M_i* is a rough mask of the visible person; at *severity 1* it is "
    "as wrong as a typical segmenter's of occluded people. *Natural* cases have occluders placed and lit as "
    "in photos. A *row* is a system with its settings. *FD-Lite0* is a Frechet distance like FID, of another "
    "network's features. *Holm's correction* keeps the chance of any wrong decision among many comparisons "
    "at about 5 %. All words: [glossary](CONTRIBUTING.md#glossary)."
)
SHIPPED = {
    "masks-modal": "Masks, given the true visible mask",
    "masks-initial": "Masks, from a rough mask M_i of severity 1",
    "pixels-true": "Hidden pixels, given the true masks",
    "pixels-end-to-end": "Hidden pixels, from a rough mask: stage 1's masks and body parts",
}
COLUMNS = {
    "masks": ("amodal_iou", "invisible_iou", "modal_iou", "parsing_miou"),
    "pixels": ("recovered_psnr", "recovered_ssim", "recovered_perceptual", "recovered_detail"),
}


def results_page(
    preset: str = "small",
    folder: Path = RESULTS,
    tables: Path | None = None,
    wanted: Mapping[str, Setup] | None = None,
) -> str:
    """All of RESULTS.md as Markdown.

    Args:
        preset: of the tables.
        folder: of stored results.
        tables: of those of table rows; None: `folder`'s subfolder "tables".
        wanted: what the rows of a table must share, by its number; None: the setup with the most rows.

    Raises:
        DeoccError: a stored result is damaged.
    """
    tables = folder / "tables" if tables is None else tables
    results, rates, wanted = read_results([tables]), read_rates(tables, preset), wanted or {}
    values = [
        (plan, table_json(collect(plan, preset, results, wanted.get(number, Setup()), rates)))
        for number, plan in sorted(PLANS.items())
    ]
    notes = folder / "notes.md"
    parts = [
        "# Results",
        f"Rendered from `data/results/` by `{COMMAND.format(preset=preset)}`; a test compares. Change the "
        "results, not this page.",
        WORDS,
        scorecard_page(scorecard_json(preset, tables, wanted), comparisons=False),
        "Every comparison behind a verdict: `deocc table scorecard`.",
        *_shipped(folder),
        people_page(folder),
        f"## How tables 2 to 6 are read\n\n{legend(values[0][1])} All columns: `deocc table N`.",
        *(_table(plan, value) for plan, value in values),
        *(curves_page(plan, preset, results) for plan, _ in values if plan.number in CURVES),
        _rates(tables, preset),
        notes.read_text(encoding="utf-8") if notes.is_file() else "",
    ]
    return "\n\n".join(part.strip() for part in parts if part) + "\n"


def _table(plan: TablePlan, value: dict[str, Any]) -> str:
    parts = report_parts(value, plan, plan.headlines, "##")
    return "\n\n".join([*parts, verdicts(value, plan)])


def _rates(tables: Path, preset: str) -> str:
    """The search of learning rates, if there was one."""
    path = tables / FILE
    if not path.is_file() or preset not in (value := read_json(path))["presets"]:
        return ""
    found = value["presets"][preset]
    rows = [
        (key, f"{row['protocol']:g}", ", ".join(f"{t['lr']:g}: {t['score']:g}" for t in row["tried"]),
         f"{row['chosen']:g}")
        for key, row in found["rows"].items()
    ]  # fmt: skip
    return (
        f"## Learning rates\n\n{found['images']:,} images a trial, seed {found['seed']}; score: "
        f"{value['score']}.\n\n" + markdown(("system", "protocol", "tried: score", "chosen"), rows)
    )


# ------------------------------------------------------------------------------------------ in words


def verdicts(value: dict[str, Any], plan: TablePlan) -> str:
    """The decisions of a table, a line per prompt: who is better or worse than the reference of its kind."""
    lines = []
    for given, rows in value["given"].items():
        names = {row["key"]: row["name"] for row in rows}
        found = [row for row in rows if row.get("difference") and row["kind"] == "trained"]
        for key in dict.fromkeys(row["difference"]["against"] for row in found):
            compared = [row for row in found if row["difference"]["against"] == key]
            lines.append(f"- {_GIVEN[plan.task][given]}, against {names[key]}: {_words(compared, plan)}")
    title = METRICS[plan.compared].title
    return f"In words, {title} at {value['images']:,} images:\n\n" + "\n".join(lines) if lines else ""


_GIVEN = {
    "masks": {"initial": "From a rough mask", "modal": "Given the true visible mask"},
    "pixels": {"initial": "From a rough mask", "modal": "Given the true masks"},
}


def _words(rows: Sequence[dict[str, Any]], plan: TablePlan) -> str:
    better = 1 if METRICS[plan.compared].higher else -1
    kinds: dict[str, list[str]] = {"ahead": [], "behind": [], "not decided": []}
    for row in rows:
        d = row["difference"]
        kind = ("ahead" if d["value"] * better > 0 else "behind") if d.get("decided") else "not decided"
        kinds[kind].append(row["name"] + (" (one seed)" if d["seeds"] == 1 and d.get("decided") else ""))
    return "; ".join(f"{kind}: {', '.join(names)}" for kind, names in kinds.items() if names) + "."


# -------------------------------------------------------------------------------------- shipped weights


def _shipped(folder: Path) -> list[str]:
    """The scores of the bundled weights, from the files of tools/control_tables.py."""
    parts = ["## What the bundled weights reach"]
    for name, title in SHIPPED.items():
        path = folder / f"controls-real-val-{name}.json"
        if not path.is_file():
            continue
        value = read_json(path)
        parts += [
            f"### {title}",
            f"{value['cases']} cases of {value['people']} people (split {value['masks of']}); weights "
            f"{value['weights']}. Intervals: {value['confidence']}. `{path.name}`.",
            format_table(_renamed(value["systems"]), COLUMNS[value["task"]]),
        ]
    return parts + _given_mask(folder)


def _renamed(systems: dict[str, Any]) -> dict[str, Any]:
    """Renames rows: here "ours" means the shipped weights, not table 2's row of that name."""
    return {name.replace("ours", "shipped weights"): value for name, value in systems.items()}


def _given_mask(folder: Path) -> list[str]:
    path = folder / "given-mask.json"
    if not path.is_file():
        return []
    value = read_json(path)
    rows = [
        (name, *(f"{metrics[m]['value']:.3f}" for m in ("amodal_iou", "invisible_iou", "modal_iou")))
        for name, metrics in value["systems"].items()
    ]
    return [
        "### What predicting the given mask again costs",
        f"Table 2's ours (ImageNet trunk), seed 0, given the true visible mask, {value['cases']} cases: with "
        f"the mask that it predicts, and with the given one in its place. `{path.name}`.",
        markdown(("visible mask", "amodal IoU", "invisible IoU", "modal IoU"), rows),
    ]


# ------------------------------------------------------------------------------------ table 1 and figure 5


def people_page(folder: Path = RESULTS) -> str:
    """Table 1 and the facts of fig. 5 of the people folders measured, from ``people.json``; "" without it."""
    path = folder / "people.json"
    if not path.is_file():
        return ""
    value = read_json(path)
    parts = [
        f"## Table 1: {paper.TABLES['1'].title}, and figure 5",
        f"People folders of this project (`{value['command']}`). How many candidates a folder's people were "
        "chosen from is known only where `deocc people` made it; the paper's own counts are not in our copy.",
        markdown(("folder", "source", "candidates", "preserved", "share"), _counts(value["folders"])),
        "Height over width of the person's box, share of people in each bin (the paper: nearly half fall "
        "into one bin, most stand):",
        _aspects(value),
        "Fig. 5's scene categories need the paper's recognition model; notebook 01 groups surroundings "
        "instead.",
    ]
    return "\n\n".join(parts)


def _counts(folders: dict[str, Any]) -> list[tuple[str, ...]]:
    lines: list[tuple[str, ...]] = []
    for name, facts in folders.items():
        for source, counts in facts["sources"].items():
            known = [counts["people"], counts["kept"], counts["preserved_ratio"]]
            share = "" if known[2] is None else f"{known[2]:.1%}"
            lines.append((name, source, "" if known[0] is None else f"{known[0]:,}", f"{known[1]:,}", share))
    return lines


def _aspects(value: dict[str, Any]) -> str:
    edges = value["aspect_edges"]
    header = [f"{low:g}-{high:g}" for low, high in itertools.pairwise(edges)]
    rows = [
        (name, f"{facts['people']:,}", *(f"{share:.0%}" for share in facts["aspect_shares"]),
         f"{facts['aspect_median']:.2f}")
        for name, facts in value["folders"].items()
    ]  # fmt: skip
    return markdown(("folder", "people", *header, "median"), rows)
