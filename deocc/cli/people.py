"""``deocc people``: people folders from public datasets."""

import inspect
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

LEFT_OUT = 3  # exit status of --strict where something was left out
UNREADABLE = (
    "photo missing", "photo damaged", "photo not listed", "annotation missing", "annotation damaged",
    "bad file name", "duplicate id", "mask empty", "mask looks inverted", "orientation unknown",
    "polygon outside the photo", "run lengths of another size", "sizes differ", "unexpected error",
)  # fmt: skip

app = typer.Typer(
    name="people",
    help="Make people folders from public datasets, filtered as in Sec. 4.1 of the paper.",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.command("list")
def list_sources() -> None:
    """List the readable public datasets with their annotations and licences."""
    from deocc.people.sources import ABOUT

    for name, about in ABOUT.items():
        typer.echo(f"{name}: {about.title}; gives {about.gives}; licence: {about.licence}")


def _accept(words: str) -> bool:
    """Shows the licence and asks for consent; without a terminal, only --yes accepts."""
    from deocc.errors import DeoccError

    typer.echo(words)
    if not sys.stdin.isatty():
        raise DeoccError("nobody is there to accept the licence; add --yes if you accept it")
    return typer.confirm("Accept the licence and fetch?")


def _accept_silently(words: str) -> bool:
    typer.echo(words)
    return True


@app.command()
def fetch(
    name: Annotated[str, typer.Argument(help="coco-val, coco, pennfudan, ccp, voc, ...", metavar="NAME")],
    out: Annotated[
        Path, typer.Option("--out", help="Folder of all originals; NAME gets its own in it.", metavar="DIR")
    ] = Path("originals"),
    yes: Annotated[bool, typer.Option("--yes", help="Accept the licence without being asked.")] = False,
    keep: Annotated[bool, typer.Option("--keep-archives", help="Keep archives once unpacked.")] = False,
    again: Annotated[bool, typer.Option("--again", help="Fetch again what is already there.")] = False,
) -> None:
    """Fetch a public dataset: licence first, then download, check and unpack; resumes where it stopped.

    Also fetches the weights of the segmenters for datasets that have boxes only: maskrcnn, deeplab.
    """
    from deocc.people.fetch import fetch as fetch_original

    folder, count = fetch_original(name, out, _accept_silently if yes else _accept, keep, again)
    typer.echo(f"{count} new files in {folder}" if count else f"everything is in {folder} already")


@app.command()
def segmenters() -> None:
    """List the segmenters that make masks of boxes, in the order in which `auto` tries them."""
    from deocc.segmenters import available

    for name, lack in available().items():
        typer.echo(f"{name}: {lack or 'ready'}")


# ------------------------------------------------------------------ datasets

Root = Annotated[Path, typer.Argument(help="Folder of the unpacked dataset.", metavar="ROOT")]
Annotations = Annotated[
    Path | None,
    typer.Option("--annotations", help="One annotation file, instead of all in ROOT.", metavar="FILE"),
]
Images = Annotated[
    Path | None, typer.Option("--images", help="Folder of the photos, if it is elsewhere.", metavar="DIR")
]
Segmenter = Annotated[
    str,
    typer.Option(
        "--segmenter", help="Makes masks of boxes: auto, maskrcnn, pose, mediapipe, deeplab, grabcut."
    ),
]

Shard = Annotated[
    str,
    typer.Option(
        "--shard", help="Do part i of n (from 1); the parts in one folder equal one run.", metavar="I/N"
    ),
]


def _common(
    root: Root,
    out: Annotated[Path, typer.Option("--out", help="People folder to write.", metavar="PEOPLE")],
    shard: Shard = "1/1",
    workers: Annotated[int, typer.Option("--workers", min=1, help="Processes.")] = 1,
    keep: Annotated[
        Literal["preserve", "refine", "all"],
        typer.Option(
            "--keep", help="Proposals of the filter to keep; all: every readable person, to route by hand."
        ),
    ] = "preserve",
    split: Annotated[
        Literal["source", "hash", "train", "val"],
        typer.Option(
            "--split",
            help="source: the dataset's; hash: one photo in six is val, the same in COCO, LIP and COCOA.",
        ),
    ] = "source",
    min_side: Annotated[
        int | None,
        typer.Option("--min-side", min=1, help="Minimum longer side of people, pixels.", show_default="130"),
    ] = None,
    gutter: Annotated[
        int | None,
        typer.Option(
            "--gutter", min=0, help="Smallest distance from the photo's border in pixels.", show_default="3"
        ),
    ] = None,
    occluders: Annotated[
        bool, typer.Option(help="Copy the bundled occluders if the dataset has no objects to cut out.")
    ] = True,
    export: Annotated[
        str,
        typer.Option(
            "--export", help="Added to the ids, so that two exports with the same names fit into PEOPLE."
        ),
    ] = "",
    strict: Annotated[
        bool,
        typer.Option("--strict", help="Exit with status 3 if a photo or annotation could not be read."),
    ] = False,
    seed: Annotated[
        int, typer.Option("--seed", min=0, max=2**63 - 1, help="Seed of the cut-out regions.")
    ] = 0,
    device: Annotated[
        str,
        typer.Option("--device", help="auto or cpu: readers and segmenters run on the CPU.", metavar="NAME"),
    ] = "auto",
) -> None:
    """Options of every dataset."""


def _build(source: Any, chosen: dict[str, Any], **more: Any) -> None:
    """Builds a people folder and prints what was kept. Args: more: further fields of `BuildOptions`."""
    from deocc.device import pick_device
    from deocc.errors import DeoccError
    from deocc.people.filtering import Thresholds
    from deocc.people.sources.build import build_people
    from deocc.people.sources.options import BuildOptions, label_of, parse_shard, refuse_filter

    pick_device(chosen["device"])
    limits = {name: chosen[name] for name in ("min_side", "gutter") if chosen[name] is not None}
    if source.curated:
        refuse_filter(source.name, limits, chosen["keep"])
    options = BuildOptions(
        replace(Thresholds(), **limits), chosen["keep"], chosen["split"], seed=chosen["seed"],
        export=chosen["export"], **more,
    )  # fmt: skip
    shard = parse_shard(chosen["shard"])
    report = build_people(source, chosen["out"], options, shard, chosen["workers"], True, chosen["occluders"])
    facts = report["sources"][label_of(source, options)]
    _say(facts, chosen["out"])
    if shard[1] == 1 and not facts["kept"]:
        raise DeoccError(_nobody(facts))
    if chosen["strict"] and (lost := sum(facts["dropped"].get(reason, 0) for reason in UNREADABLE)):
        typer.echo(f"deocc: {lost} people could not be read (--strict)", err=True)
        raise typer.Exit(LEFT_OUT)


def _nobody(facts: dict[str, Any]) -> str:
    """Reason in one line why a run kept nobody."""
    if not facts["people"]:
        return f"nobody was found in {facts['photos']} photos; is it the right folder, and the right SOURCE?"
    reason, count = next(iter(facts["dropped"].items()), ("no reason", 0))
    example = next(iter(facts["examples"].get(reason, [])), "")
    return f"none of {facts['people']} people was kept; {count} were dropped as {reason} (such as {example})"


def _say(facts: dict[str, Any], out: Path) -> None:
    for reason, count in facts["dropped"].items():
        example = next(iter(facts["examples"].get(reason, [])), "")
        typer.echo(f"dropped {count}: {reason}" + (f" (such as {example})" if reason in UNREADABLE else ""))
    if facts["cases"]:
        typer.echo(f"natural occlusion cases: {facts['cases']}")
    typer.echo(
        f"{facts['kept']} of {facts['people']} people in {facts['photos']} photos are in {out} (report.json)"
    )


def _dataset(name: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Makes a command from a function that opens a dataset; its own options follow the common ones.

    The function returns the source and further fields of `BuildOptions`.
    """

    def register(opener: Callable[..., Any]) -> Callable[..., Any]:
        common, own = (inspect.signature(function).parameters for function in (_common, opener))
        extras = [own[key] for key in own if key != "root"]
        parameters = [*common.values(), *extras]

        def command(**chosen: Any) -> None:
            source, more = opener(chosen["root"], **{p.name: chosen[p.name] for p in extras})
            _build(source, chosen, **more)

        command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        command.__annotations__ = {p.name: p.annotation for p in parameters}
        app.command(name, help=inspect.getdoc(opener))(command)
        return opener

    return register


@_dataset("ahp")
def _ahp(
    root: Path,
    images: Annotated[
        str, typer.Option("--images", help="Folder of the photos, below ROOT.")
    ] = "train/JPEGImages",
    masks: Annotated[
        str, typer.Option("--masks", help="Folder of the masks, below ROOT.")
    ] = "train/Annotations",
    parsing: Annotated[
        str, typer.Option("--parsing", help="Folder of the label maps, below ROOT, or none.")
    ] = "train/PseudoParsingAnnotations",
    lists: Annotated[
        list[str] | None,
        typer.Option(
            "--lists",
            help="File of ids, below ROOT; may be repeated.",
            show_default="train/ImageSets/{train,val}.txt",
        ),
    ] = None,
) -> Any:
    """AHP, the paper's dataset. It is already filtered, so only damaged people are dropped.

    The options name the folders of valid/ and test/, because their layout is not documented.
    """
    from deocc.people.sources.ahp import Ahp

    source = Ahp(root, images, masks, "" if parsing == "none" else parsing)
    return replace(source, lists=tuple(lists)) if lists else source, {}


@_dataset("coco")
def _coco(root: Path, annotations: Annotations = None, images: Images = None) -> Any:
    """COCO instances: polygons and run lengths; crowds are left out; things become occluders."""
    from deocc.people.sources.coco import Coco

    return Coco(root, annotations, images), {}


@_dataset("voc")
def _voc(
    root: Path,
    sbd: Annotated[
        Path | None,
        typer.Option("--sbd", help="SBD's folder.", show_default="looked for in ROOT", metavar="DIR"),
    ] = None,
    year: Annotated[
        str, typer.Option("--year", help="Which of the VOCs in ROOT: 2012, 2007, ...", metavar="YEAR")
    ] = "",
) -> Any:
    """PASCAL VOC 2012 segmentation, and SBD's instances if present."""
    from deocc.people.sources.voc import Voc

    return Voc(root, sbd, year), {}


@_dataset("lip")
def _lip(root: Path) -> Any:
    """Look Into Person, single-person parsing: masks and 20 classes with true sides."""
    from deocc.people.sources.lip import Lip

    return Lip(root), {}


@_dataset("openimages")
def _openimages(
    root: Path, annotations: Annotations = None, images: Images = None, segmenter: Segmenter = "auto"
) -> Any:
    """OpenImages v4: boxes, whose masks a segmenter makes."""
    from deocc.people.sources.openimages import OpenImages

    return OpenImages(root, annotations, images), {"segmenter": segmenter}


@_dataset("objects365")
def _objects365(
    root: Path, annotations: Annotations = None, images: Images = None, segmenter: Segmenter = "auto"
) -> Any:
    """Objects365: boxes, whose masks a segmenter makes."""
    from deocc.people.sources.objects365 import Objects365

    return Objects365(root, annotations, images), {"segmenter": segmenter}


@_dataset("cocoa")
def _cocoa(
    root: Path,
    annotations: Annotations = None,
    images: Images = None,
    cases: Annotated[
        Path | None,
        typer.Option("--cases", help="Write occluded people as natural cases there.", metavar="CASES"),
    ] = None,
) -> Any:
    """COCO amodal: whole masks; the unoccluded become people, the occluded natural cases (--cases)."""
    from deocc.occlusion.folder import write_natural_case
    from deocc.people.sources.cocoa import Cocoa

    source = Cocoa(root, annotations, images)
    if cases is None:
        return source, {}
    return source, {"write_case": partial(write_natural_case, str(cases)), "cases": str(cases.resolve())}


@_dataset("pennfudan")
def _pennfudan(root: Path) -> Any:
    """Penn-Fudan: pedestrians with masks."""
    from deocc.people.sources.pennfudan import PennFudan

    return PennFudan(root), {}


@_dataset("ccp")
def _ccp(root: Path) -> Any:
    """Clothing Co-Parsing: masks, and 59 clothing classes mapped to the 20 of LIP."""
    from deocc.people.sources.ccp import ClothingCoParsing

    return ClothingCoParsing(root), {}


@app.command()
def merge(
    people: Annotated[
        Path, typer.Argument(help="People folder that shards were copied into.", metavar="PEOPLE")
    ],
) -> None:
    """Write people.csv again, after folders of several shards (with their .build) were copied into one."""
    from deocc.people.sources.journal import write_tables

    for name, facts in write_tables(people, occluders=False)["sources"].items():
        typer.echo(f"{name}: {facts['kept']} of {facts['people']} people in {facts['photos']} photos")


# ------------------------------------------------------------------ recipes


@app.command()
def recipe(
    file: Annotated[
        str, typer.Argument(help="Recipe file, or the name of a bundled one: real-humans.", metavar="FILE")
    ],
    root: Annotated[
        Path,
        typer.Argument(help="Folder of the originals, as `deocc people fetch` fills it.", metavar="ROOT"),
    ],
    out: Annotated[Path, typer.Option("--out", help="People folder to write.", metavar="PEOPLE")],
    only: Annotated[
        list[str] | None,
        typer.Option("--only", help="Rebuild only this source: coco, pennfudan or ccp; may be repeated."),
    ] = None,
    workers: Annotated[int, typer.Option("--workers", min=1, help="Processes.")] = 1,
    shard: Shard = "1/1",
) -> None:
    """Rebuild a people folder from public originals. A recipe lists who is cut out of which photo, and where.

    The same command continues an interrupted run, and tries people again that were left out.

    The bundled recipe real-humans makes the folder on which this project's figures for real people were
    measured. It needs coco, pennfudan and ccp.
    """
    from deocc.people.recipe import SOURCES, find_recipe, read_recipe, rebuild
    from deocc.people.sources.options import parse_shard

    facts = read_recipe(find_recipe(file))
    report = rebuild(facts, root, out, only or SOURCES, workers, parse_shard(shard))
    for source, lost in report["lost"].items():
        counts = ", ".join(f"{count} {split}" for split, count in lost.items() if split != "why")
        typer.echo(f"cannot be rebuilt: {source} ({counts}): {lost['why']}")
    for reason, count in report["left_out"].items():
        typer.echo(f"left out {count}: {reason}")
    for kind in ("people", "occluders"):
        typer.echo(f"{report[kind]['rebuilt']} of {report[kind]['in_recipe']} {kind} are in {out}")
