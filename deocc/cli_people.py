"""``deocc people``: people folders out of public datasets. Commands import what they need when they run."""

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
