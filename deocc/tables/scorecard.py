"""The reproduction scorecard: a verdict on each finding of the paper, computed from stored results."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from scipy.stats import beta, norm

from deocc.evaluation.report import METRICS
from deocc.io import read_json
from deocc.paths import RESULTS
from deocc.tables.claims import CHECKS, ClaimCheck, Comparison
from deocc.tables.collection import Setup, TableResult, collect
from deocc.tables.configuration import row_name
from deocc.tables.rates import read_rates
from deocc.tables.report import comparable, difference, metric_of
from deocc.tables.rows import CURVES, PLANS
from deocc.tables.statistics import Difference, compare_seeds, holm
from deocc.tables.stored import Result, read_results

SCHEMA = "deocc.scorecard/1"
Verdict = Literal["matched", "trend only", "contradicted", "not decided", "not testable here", ""]
VERDICTS: dict[Verdict, str] = {
    "matched": "every comparison has the claimed sign and is decided, over at least two seeds",
    "trend only": "all that is measured has the claimed sign; not all of it is decided, or only for one seed",
    "contradicted": "at least one comparison is decided the other way, over at least two seeds",
    "not decided": "signs differ or go the other way, undecided over seeds; or nothing is measured",
    "not testable here": "the data it needs are not available",
}
LEAST_SEEDS = 2  # one seed says nothing of others


@dataclass(frozen=True)
class Setting:
    """The input of a comparison. Attributes: given: a key of a table's `givens`; cases: the set of cases."""

    given: str
    cases: str = "synthetic"


SETTINGS: dict[str, dict[str, Setting]] = {
    "masks": {
        "main": Setting("initial"), "other": Setting("modal"), "natural": Setting("initial", "natural")
    },
    "pixels": {
        "main": Setting("modal"), "other": Setting("initial"), "natural": Setting("modal", "natural")
    },
}  # fmt: skip
"""By task: the setting of the verdict, the other prompt, and natural cases.

The paper completes rough masks. It does not say which masks stage 2 gets; the true ones isolate the
difference between painters.
"""


def scorecard_json(
    preset: str = "small",
    folder: Path = RESULTS / "tables",
    wanted: Mapping[str, Setup] | None = None,
) -> dict[str, Any]:
    """The scorecard as JSON values.

    Args:
        preset: of the table rows.
        folder: of their stored results; other measurements are in its parent.
        wanted: what the rows of a table must share, by its number; None: the setup with the most rows.

    Returns:
        "images", "seeds" (fewest and most behind a comparison), "comparisons" and "claims": one entry a check
        with "verdicts" by setting, "comparisons" by setting, and "decide", a sentence.
    """
    results, rates, wanted = read_results([folder]), read_rates(folder, preset), wanted or {}
    tables = {
        number: collect(plan, preset, results, wanted.get(number, Setup()), rates)
        for number, plan in PLANS.items()
    }
    return weigh(tables, _own_facts(folder.parent))


def weigh(
    tables: Mapping[str, TableResult],
    facts: Mapping[str, dict[str, Any]] | None = None,
    checks: Sequence[ClaimCheck] = CHECKS,
) -> dict[str, Any]:
    """The scorecard of collected tables, see `scorecard_json`. Args: facts: claims settled elsewhere."""
    found = {check.key: _compared(check, tables) for check in checks}
    everything = [part for settings in found.values() for parts in settings.values() for part in parts]
    comparisons = decide(everything)
    seeds = [part["found"]["seeds"] for part in everything if part["found"]]
    claims = [
        _claim(check, found[check.key], (facts or {}).get(check.key), tables, comparisons) for check in checks
    ]
    setups = [table.setup.images for table in tables.values() if table.setup.images]
    return {
        "schema": SCHEMA, "preset": next((t.preset for t in tables.values()), ""),
        "images": sorted(set(setups)), "seeds": [min(seeds), max(seeds)] if seeds else [],
        "comparisons": comparisons, "claims": claims,
    }  # fmt: skip


# ------------------------------------------------------------------------------------------ one comparison


def _compared(check: ClaimCheck, tables: Mapping[str, TableResult]) -> dict[str, list[dict[str, Any]]]:
    """Setting -> all comparisons of a claim, measured or not."""
    names = SETTINGS["masks"]
    return {name: [_measured(c, tables.get(c.table), name) for c in check.comparisons] for name in names}


def _measured(c: Comparison, table: TableResult | None, setting: str) -> dict[str, Any]:
    """One comparison: names, direction, and the stored difference `found` (None if there is none)."""
    value: dict[str, Any] = {
        "table": c.table, "row": c.row, "against": c.against, "metric": c.metric, "gain": c.gain,
        "counts": c.counts, "found": None,
    }  # fmt: skip
    if table is None:
        return value
    how = SETTINGS[table.plan.task][setting]
    held = table.rows if how.cases == "synthetic" else table.natural
    rows = {row.key: row for row in table.plan.rows}
    names = {end: row_name(rows[getattr(c, end)], table.preset) for end in ("row", "against")}
    sides = held.get(c.row, []), held.get(c.against, [])
    found = _difference(*sides, how.given, c.metric) if all(sides) else None
    higher = c.metric in METRICS and METRICS[c.metric].higher
    return value | {
        "names": names,
        "agrees": None if found is None else found.value * c.gain * (1 if higher else -1) > 0,
        "found": None if found is None else found.to_json(),
    }


def _difference(
    results: Sequence[Result], reference: Sequence[Result], given: str, metric: str
) -> Difference | None:
    """The difference: case by case if both sides stored single cases; else of whole runs, over seeds."""
    found = difference(results, reference, given, metric)
    if found is not None or not comparable([*results, *reference], given):
        return found
    if metric == "frechet" and not _same_frechet([*results, *reference], given):
        return None
    sides = [[metric_of(r["results"][given], metric) for r in side] for side in (results, reference)]
    if any(m is None or m["value"] is None for side in sides for m in side):
        return None
    first, second = ([float(m["value"]) for m in side if m is not None] for side in sides)
    return compare_seeds(first, second)


def _same_frechet(results: Sequence[Result], given: str) -> bool:
    """Whether all distances have one name, N and width; only those may be subtracted."""
    found = [r["results"][given]["frechet"] for r in results]
    return len({(f["name"], f["n"], f["features"]) for f in found if f is not None}) <= 1


def decide(comparisons: Iterable[dict[str, Any]]) -> int:
    """Holm's correction over all comparisons of a scorecard, each counted once; returns their number."""
    kept: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
    for part in comparisons:
        if part["found"] is not None and part["found"]["p"] is not None:
            found = part["found"]
            key = tuple(part[k] for k in ("table", "row", "against", "metric"))
            kept.setdefault((*key, found["value"], found["p"]), []).append(found)
    adjusted = holm([found[0]["p"] for found in kept.values()])
    for group, value in zip(kept.values(), adjusted, strict=True):
        for found in group:
            found |= {"p_holm": value, "decided": value < 0.05}
    return len(kept)


# ------------------------------------------------------------------------------------------ one claim


def verdict_of(comparisons: Sequence[dict[str, Any]]) -> Verdict:
    """The verdict on a claim from its comparisons; see `VERDICTS`. "" if none is measured."""
    counting = [part for part in comparisons if part["counts"]]
    known = [part for part in counting if part["found"] is not None]
    sure = [part for part in known if _is_decided(part) and part["found"]["seeds"] >= LEAST_SEEDS]
    if not known:
        return ""
    if any(not part["agrees"] for part in sure):
        return "contradicted"
    if not all(part["agrees"] for part in known):
        return "not decided"
    return "matched" if len(sure) == len(counting) else "trend only"


def _is_decided(part: dict[str, Any]) -> bool:
    return bool(part["found"].get("decided"))


def _claim(
    check: ClaimCheck,
    found: dict[str, list[dict[str, Any]]],
    fact: dict[str, Any] | None,
    tables: Mapping[str, TableResult],
    count: int,
) -> dict[str, Any]:
    value: dict[str, Any] = {"key": check.key, "claim": check.claim, "text": check.text, "where": check.where}
    if fact is not None:
        return value | {"comparisons": {}} | fact
    if check.reason:
        told = {"evidence": f"{check.reason}", "decide": _sentence(check.needs)}
        return value | {"verdicts": {"main": "not testable here"}, "comparisons": {}} | told
    verdicts: dict[str, Verdict] = {name: verdict_of(parts) for name, parts in found.items()}
    verdicts["main"] = verdicts["main"] or "not decided"
    return value | {
        "verdicts": verdicts, "comparisons": found, "evidence": "",
        "decide": _what_decides(verdicts["main"], found["main"], tables, count),
    }  # fmt: skip


def least_in_favour(comparisons: Sequence[dict[str, Any]]) -> dict[str, Any] | None:
    """The counting comparison that supports its claim least, in widths of its interval."""
    known = [part for part in comparisons if part["counts"] and part["found"] is not None]
    return min(known, key=_favour, default=None)


def _favour(part: dict[str, Any]) -> tuple[float, float]:
    """Sorts comparisons; of those against a claim that have no interval, the largest difference is first."""
    found = part["found"]
    sign = 1.0 if part["agrees"] else -1.0
    if found["low"] is None or found["high"] <= found["low"]:
        return sign, min(0.0, sign * abs(found["value"]))
    return sign * abs(found["value"]) / (found["high"] - found["low"]), 0.0


def _what_decides(
    verdict: Verdict,
    parts: Sequence[dict[str, Any]],
    tables: Mapping[str, TableResult],
    comparisons: int,
) -> str:
    """A sentence on what would decide a claim, or on whether more training could change the verdict."""
    counting = [part for part in parts if part["counts"]]
    known = [part for part in counting if part["found"] is not None]
    numbers = " and ".join(dict.fromkeys(part["table"] for part in counting))
    if not numbers:
        return "A measurement of its own; none is stored beside these results."
    if not known:
        return f"Its rows: `deocc table {numbers.split(' ')[0]} --train --people DIR`."
    if verdict in ("matched", "contradicted"):
        images = max(tables[part["table"]].setup.images for part in known)
        curves = all({part["row"], part["against"]} <= {*CURVES.get(part["table"], ())} for part in counting)
        more = "`tools/campaign.py PEOPLE --part curves`" if curves else "the same rows with more `--images`"
        return f"Decided at {images:,} images. Whether a longer budget changes it: {more}."
    if any(part["found"]["seeds"] < LEAST_SEEDS for part in known):
        return _needs_seeds(known, len(known) < len(counting))
    if len(known) < len(counting):
        return "The newer columns of its rows: `deocc table N --train --complete`."
    return _needs_width(known, comparisons)


def _needs_seeds(known: Sequence[dict[str, Any]], incomplete: bool) -> str:
    against = [part for part in known if _is_decided(part) and not part["agrees"]]
    text = "Three seeds (`tools/campaign.py`)" + (", which also measure newer columns" if incomplete else "")
    if against:
        names = ", ".join(dict.fromkeys(_short(part) for part in against))
        return f"{text}; for these weights it goes the other way: {names}."
    if all(_is_decided(part) for part in known) and not incomplete:
        return f"{text}; for these weights it is decided."
    return f"{text}."


def _needs_width(known: Sequence[dict[str, Any]], comparisons: int) -> str:
    """How much narrower an interval would have to be, for the strictest step of Holm's correction.

    A claim is decided once all of its comparisons are, or a single one against it. So the narrowest of those
    against it is named, and the widest if there are none.

    Args:
        known: comparisons with their differences.
        comparisons: number that the correction counts.
    """
    stricter = float(norm.isf(0.025 / max(comparisons, 1)) / norm.isf(0.025))
    pending = [part for part in known if not _is_decided(part) and part["found"]["low"] is not None]
    against = [part for part in pending if not part["agrees"]]
    ratios = [(stricter * _half_width(part["found"]), _short(part)) for part in against or pending]
    ratio, name = (min if against else max)(ratios, default=(0.0, ""))
    where = f"{name}, against the claim" if against else name
    if ratio > 10:
        return f"A longer budget: {where} differs so little in its interval that more seeds are little use."
    if ratio > 1:
        times = f"{ratio**2:.{0 if ratio > 3 else 1}f} times as many people and seeds"
        return f"An interval {ratio:.1f} times as narrow ({where}): {times}."
    return "A few more seeds: single intervals exclude 0, corrected for their number they do not."


def _half_width(found: Mapping[str, Any]) -> float:
    """Half the width of an interval, as a multiple of the difference."""
    return float((found["high"] - found["low"]) / 2 / max(abs(found["value"]), 1e-12))


def _short(part: dict[str, Any]) -> str:
    title = METRICS[part["metric"]].title if part["metric"] in METRICS else "Frechet distance"
    return f"{title} of {part['names']['row']} against {part['names']['against']}"


def _sentence(words: str) -> str:
    return f"{words[:1].upper()}{words[1:]}."


# ------------------------------------------------------------------------------------------ other results


def _own_facts(folder: Path) -> dict[str, dict[str, Any]]:
    """Claims that no table row tests."""
    facts = {}
    placement, people = folder / "placement.json", folder / "people.json"
    if placement.is_file():
        facts["ratio_control"] = _ratio_control(read_json(placement)["make_cases"], placement.name)
    if people.is_file():
        facts["aspect_ratio"] = _aspect_ratio(read_json(people))
    return facts


def _ratio_control(made: dict[str, Any], name: str) -> dict[str, Any]:
    """Whether pasting reaches the wanted ratio: share of cases within 0.01 (Clopper-Pearson interval)."""
    cases = int(made["cases"])
    hits = round(made["within_0.01"] * cases)
    low = float(beta.ppf(0.025, hits, cases - hits + 1)) if hits else 0.0
    matched = low > 0.95
    return {
        "verdicts": {"main": "matched" if matched else "not decided"},
        "evidence": f"{hits:,} of {cases:,} cases within 0.01 of the wanted ratio "
        f"(at least {low:.1%} of all; `{name}`)",
        "decide": "Decided: the ratio is reached by construction." if matched else "More cases.",
    }


def _aspect_ratio(value: dict[str, Any]) -> dict[str, Any]:
    check = next(check for check in CHECKS if check.key == "aspect_ratio")
    edges, shares = value["aspect_edges"], []
    for name, facts in value["folders"].items():
        tall = sum(s for low, s in zip(edges, facts["aspect_shares"], strict=False) if low >= 2)
        shares.append(f"{tall:.0%} of {name}")
    told = f"{check.reason}; at least twice as tall as wide are {', '.join(shares)}"
    return {
        "verdicts": {"main": "not testable here"}, "evidence": told, "decide": _sentence(check.needs)
    }  # fmt: skip
