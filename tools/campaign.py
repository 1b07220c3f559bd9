"""Runs the campaign that decides the tables; see docs/campaign.md.

A stopped campaign resumes when it is started again. Several processes share the work.

python tools/campaign.py PEOPLE --preset small --images 10000 --precision bf16 --threads 1
python tools/campaign.py PEOPLE --left
python tools/campaign.py PEOPLE --part curves --points 10000 50000 200000 --device cuda --precision bf16
"""

import argparse
import logging
from dataclasses import replace
from pathlib import Path

from deocc.errors import DeoccError
from deocc.paths import RESULTS
from deocc.tables.campaign import Campaign
from deocc.tables.rows import PLANS
from deocc.tables.runs import TableOptions


def main() -> None:
    """Reads the command line and runs a part, or all."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "people", nargs="+", type=Path, help="people folders; cases come from the first one's val"
    )
    parser.add_argument("--preset", default="small", choices=("tiny", "small", "paper"))
    parser.add_argument("--images", type=int, default=10_000, help="training images per row")
    parser.add_argument("--part", choices=("rates", "seeds", "curves", "all"), default="all")
    parser.add_argument("--points", nargs="+", type=int, help="of the curves: numbers of images, ascending")
    parser.add_argument("--tables", nargs="+", choices=tuple(PLANS), help="only these, in this order")
    parser.add_argument("--precision", choices=("no", "fp16", "bf16"))
    parser.add_argument("--threads", type=int)
    parser.add_argument("--device")
    parser.add_argument("--runs", type=Path, default=Path("runs/tables"))
    parser.add_argument("--results", type=Path, default=RESULTS / "tables")
    parser.add_argument("--left", action="store_true", help="print the number of runs left, and run none")
    words = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    options = TableOptions(
        preset=words.preset, people=tuple(words.people), images=words.images, runs=words.runs,
        results=words.results, threads=words.threads, device=words.device, precision=words.precision,
    )  # fmt: skip
    campaign = Campaign(options)
    if words.tables:
        campaign = replace(campaign, plans=tuple(PLANS[number] for number in words.tables))
    if words.points:
        campaign = replace(campaign, points=tuple(words.points))
    if words.left:
        print(", ".join(f"{part}: {count}" for part, count in campaign.left().items()))
        return
    parts = {
        "rates": campaign.search,
        "seeds": campaign.repeat,
        "curves": campaign.follow,
        "all": campaign.run,
    }
    parts[words.part]()


if __name__ == "__main__":
    try:
        main()
    except DeoccError as error:
        raise SystemExit(f"error: {error}") from None
