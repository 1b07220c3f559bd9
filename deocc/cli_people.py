"""``deocc people``: people folders out of public datasets. Commands import what they need when they run."""

import sys
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(
    name="people",
    help="Make people folders out of public datasets, filtered as in Sec. 4.1 of the paper.",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.command("list")
def list_sources() -> None:
    """List the public datasets that can be read, what each gives, and its licence."""
    from deocc.people.sources import ABOUT

    for name, about in ABOUT.items():
        typer.echo(f"{name}: {about.title}; gives {about.gives}; licence: {about.licence}")


def _accept(words: str) -> bool:
    """Shows the licence and asks; without a terminal, only --yes accepts."""
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
    again: Annotated[bool, typer.Option("--again", help="Fetch what is there already, too.")] = False,
) -> None:
    """Fetch a public dataset: licence first, then download, check and unpack; goes on where it stopped.

    Also fetches the weights of the segmenters for datasets that have boxes only: maskrcnn, deeplab.
    """
    from deocc.people.fetch import fetch as fetch_original

    folder, count = fetch_original(name, out, _accept_silently if yes else _accept, keep, again)
    typer.echo(f"{count} files came into {folder}" if count else f"everything is in {folder} already")
