"""Writes the recipe of a people folder that was cut out of public photos. A recipe holds no pixels.

python tools/make_recipe.py PEOPLE --out data/recipes/NAME.json

PEOPLE holds provenance.json beside people.csv: for each person and occluder the original's path, its
annotation, the region that was cut out, and the size and box in the photo. `deocc people recipe` rebuilds it.
"""

import argparse
import csv
import json
from collections import Counter
from pathlib import Path
from typing import Any

from deocc.io import read_json, write_atomic
from deocc.people.recipe import FORMAT, OCCLUDER_FIELDS, PERSON_FIELDS

LOST = {
    "vik": "photos from an image search and GRAZ-01 in a repository that states no licence, masks by a web "
    "service: the weakest provenance, and no public original to rebuild from",
}
LONGER_SIDE, QUALITY, OCCLUDER_SIDE = 224, 88, 152  # of SOURCES.md


def original_path(path: str) -> str:
    """A path as in the owner's dataset, without folders that mirrors put in front."""
    parts = Path(path).parts
    for i, part in enumerate(parts):
        if part in ("train2017", "val2017", "photos", "annotations", "PNGImages", "PedMasks"):
            return "/".join(parts[i:])
    raise SystemExit(f"{path}: no folder of COCO, Penn-Fudan or CCP in it")


def annotation_of(entry: dict[str, Any]) -> str:
    """The annotation's file, and behind # the COCO id or the label; "box" if only the box identifies it."""
    if entry["ann"].endswith(".txt"):  # a mirror's own numbering
        return "box"
    path = original_path(entry["ann"].split("#")[0])
    if "#" in entry["ann"]:
        return f"{path}#{entry['ann'].split('#')[1]}"
    return path if path.endswith(".mat") else f"{path}#{entry['id'].rsplit('_', 1)[1]}"


def person_row(entry: dict[str, Any], row: dict[str, str], licences: list[str]) -> list[Any]:
    """Values of PERSON_FIELDS."""
    region, box, size = entry["region_xywh"], entry["src_bbox"], entry["src_size"]
    carried = float(row["bag_share"]) if row.get("bag_share") else None
    return [row["id"], row["split"], original_path(entry["path"]), annotation_of(entry), region, box, size,
            entry["mask_frac"], licences.index(row["licence"]), carried]  # fmt: skip


def occluder_row(entry: dict[str, Any], row: dict[str, str], licences: list[str]) -> list[Any]:
    """Values of OCCLUDER_FIELDS."""
    return [row["id"], row["split"], original_path(entry["path"]), annotation_of(entry), row["category"],
            entry["size"], licences.index(row["licence"])]  # fmt: skip


def read_table(path: Path) -> dict[str, dict[str, str]]:
    """Rows of a CSV file by id."""
    with path.open(encoding="utf-8", newline="") as file:
        return {row["id"]: row for row in csv.DictReader(file)}


def make(folder: Path) -> dict[str, Any]:
    """The recipe of a people folder."""
    provenance = read_json(folder / "provenance.json")
    people, occluders = read_table(folder / "people.csv"), read_table(folder / "occluders/occluders.csv")
    kept = [entry for entry in provenance["humans"] if people[entry["id"]]["source"] not in LOST]
    named = [e for e in provenance["occluders"] if e["id"] in occluders]
    rows = [people[e["id"]] for e in kept] + [occluders[e["id"]] for e in named]
    licences = sorted({row["licence"] for row in rows})
    by_source: dict[str, list[Any]] = {}
    for entry in sorted(kept, key=lambda e: e["id"]):
        row = people[entry["id"]]
        by_source.setdefault(row["source"], []).append(person_row(entry, row, licences))
    things = [occluder_row(e, occluders[e["id"]], licences) for e in sorted(named, key=lambda e: e["id"])]
    gone = {name: Counter(r["split"] for r in people.values() if r["source"] == name) for name in LOST}
    return {
        "format": FORMAT, "longer_side": LONGER_SIDE, "quality": QUALITY, "occluder_side": OCCLUDER_SIDE,
        "licences": licences, "person_fields": PERSON_FIELDS, "people": by_source,
        "occluder_fields": OCCLUDER_FIELDS, "occluders": {"coco": things},
        "lost": {name: {"why": why, **gone[name]} for name, why in LOST.items() if gone[name]},
    }  # fmt: skip


def one_row_a_line(recipe: dict[str, Any]) -> str:
    """JSON with one line per person and per occluder, so that a diff reads well."""
    marks, text = {}, dict(recipe)
    for key in ("people", "occluders"):
        text[key] = {name: f"@{key}.{name}" for name in recipe[key]}
        for name, rows in recipe[key].items():
            lines = ",\n".join("   " + json.dumps(row, ensure_ascii=False) for row in rows)
            marks[json.dumps(f"@{key}.{name}")] = f"[\n{lines}\n  ]"
    out = json.dumps(text, indent=1, ensure_ascii=False)
    for mark, lines in marks.items():
        out = out.replace(mark, lines)
    return out + "\n"


def main() -> None:
    """Reads the folder and writes the recipe."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("people", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    recipe = make(args.people)
    write_atomic(args.out, lambda file: file.write(one_row_a_line(recipe).encode()))
    print({name: len(rows) for name, rows in recipe["people"].items()},
          {name: len(rows) for name, rows in recipe["occluders"].items()}, recipe["lost"])  # fmt: skip


if __name__ == "__main__":
    main()
