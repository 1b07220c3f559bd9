"""`deocc table`: renders a table from stored results, after training missing ones if `train` is set."""

from collections.abc import Sequence
from pathlib import Path

from deocc.device import pick_device
from deocc.errors import DeoccError
from deocc.inference.predictions import cases_digest
from deocc.io import require_writable, write_atomic
from deocc.occlusion import CaseFolder
from deocc.paths import RESULTS
from deocc.tables.collection import Setup, collect
from deocc.tables.configuration import people_digest
from deocc.tables.page import format_report, save_report
from deocc.tables.rates import read_rates
from deocc.tables.report import require_results, table_json
from deocc.tables.results import people_page, results_page
from deocc.tables.rows import PLANS, get_plan
from deocc.tables.runs import TableMaker, TableOptions
from deocc.tables.scorecard import scorecard_json
from deocc.tables.scorecard_page import scorecard_page
from deocc.tables.stored import read_results

PAGES = {"1": "table-1.md", "scorecard": "scorecard.md", "all": "results.md"}
"""What has no JSON of its own: names of their pages in a folder."""


def make_table(
    number: str,
    options: TableOptions,
    *,
    train: bool = False,
    only: Sequence[str] = (),
    out: Path | None = None,
) -> str:
    """A table from stored results. Writes files only with `train` (results) or `out` (pages).

    Args:
        number: the paper's; "scorecard": verdicts on the paper's claims; or "all": every table, the
            scorecard, and the scores of the shipped weights.
        options: shared by all rows; without `train`, people, images and cases narrow the choice of stored
            results.
        train: first train the rows that have no result.
        only: keys of the rows to train.
        out: a page (``.md``), or a folder of ``table-<number>-<preset>.md`` and ``.json``; None: nothing is
            saved.

    Returns:
        The table as Markdown.

    Raises:
        DeoccError: no such table or row, bad folders, or no result to print.
    """
    pick_device(options.device)
    page = out if out is not None and out.suffix == ".md" else None
    written = [options.results, options.runs] if train else []
    for folder in [*written, *([page.parent if page else out] if out else [])]:
        require_writable(folder)
    if number == "all":
        text = _all(options, train, only)
    elif number == "1":
        text = _people()
    elif number == "scorecard":
        if train:
            raise DeoccError("the scorecard is read from tables 2 to 6; train their rows by number, or all")
        wanted = dict.fromkeys(PLANS, _wanted(options))
        _require_any(options)
        text = scorecard_page(scorecard_json(options.preset, options.results, wanted), "#")
    else:
        text = _one(number, options, train, only, None if page else out)
    if page is None and out is not None and number in PAGES:
        page = out / PAGES[number]
    if page is not None:
        write_atomic(page, lambda file: file.write(text.encode()))
    return text


def _all(options: TableOptions, train: bool, only: Sequence[str]) -> str:
    if only:
        raise DeoccError("--only picks rows of one table; name its number")
    wanted, left = dict.fromkeys(PLANS, _wanted(options)), []
    for number, plan in PLANS.items() if train else ():
        maker = TableMaker(plan, options)
        left += maker.make(plan.rows)
        wanted[number] = _setup(maker)
    _require_any(options)
    text = results_page(options.preset, options.results.parent, options.results, wanted)
    return text + "".join(f"\n{note}\n" for note in left)


def _require_any(options: TableOptions) -> None:
    """Raises DeoccError if no row of the preset is stored."""
    found = read_results([options.results])
    if not any(result["configuration"].preset == options.preset for result in found):
        raise DeoccError(
            f"{options.results}: no result of preset {options.preset}; train rows first (--train), or "
            "name another folder with --results"
        )


def _wanted(options: TableOptions) -> Setup:
    """What stored results must share, of the options that were given."""
    data = people_digest(options.people) if options.people else ""
    cases = "" if options.cases is None else cases_digest(CaseFolder(options.cases))
    return Setup(data, options.images or 0, cases)


def _setup(maker: TableMaker) -> Setup:
    return Setup(maker.data, maker.images, maker.digests["synthetic"], maker.stage1)


def _people() -> str:
    text = people_page()
    if not text:
        raise DeoccError(f"{RESULTS / 'people.json'}: no such file; make it with tools/people_facts.py")
    return text + "\n"


def _one(number: str, options: TableOptions, train: bool, only: Sequence[str], out: Path | None) -> str:
    plan = get_plan(number)
    rows, left = plan.picked(only), []
    if train and options.stage1 is not None and plan.task == "masks":
        raise DeoccError(
            f"--stage1 is for tables of stage 2, and table {number} compares stage 1; leave it out"
        )
    if train:
        maker = TableMaker(plan, options)
        left, wanted = maker.make(rows), _setup(maker)
    else:
        wanted = _wanted(options)
    table = collect(plan, options.preset, read_results([options.results]), wanted,
                    read_rates(options.results, options.preset))  # fmt: skip
    table.notes += left
    require_results(table)
    return format_report(table_json(table), plan) if out is None else save_report(table, out)[0]
