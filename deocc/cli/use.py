"""Commands that use the weights: ``demo``, ``deocclude``, ``predict``."""

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from deocc.cli.app import (
    USE,
    BatchSize,
    Device,
    Exemplar,
    Flip,
    Out,
    Seed,
    Segmenter,
    Shard,
    Texture,
    Weights,
    app,
    click,
    load_deoccluder,
    seed_everything,
)
from deocc.device import check_device_name


def _check_choices(device: str, texture: float | None, exemplar: bool | None) -> None:
    """Refuses wrong options before PyTorch is loaded."""
    from deocc.inference.views import check_detail

    check_device_name(device)
    check_detail(texture, exemplar)


@app.command(rich_help_panel=USE)
def demo(
    out: Out = Path("deocc-demo"),
    weights: Weights = "small",
    flip: Flip = True,
    texture: Texture = None,
    exemplar: Exemplar = None,
    seed: Seed = 0,
    device: Device = "auto",
) -> None:
    """De-occlude the bundled cases with the bundled weights; write pictures and metrics.json."""
    from deocc.cli.commands import run_demo
    from deocc.io import require_writable

    _check_choices(device, texture, exemplar)
    require_writable(out)
    seed_everything(seed)
    metrics = run_demo(load_deoccluder(weights, device, flip, texture, exemplar), out, seed=seed)
    for prompt, means in metrics["mean"].items():
        words = ", ".join(f"{name} {value:.3f}" for name, value in means.items())
        typer.echo(f"given {prompt}: {words} (mean of {metrics['cases']} cases)")
    typer.echo(f"pictures: {out / 'overview.png'}; figures: {out / 'metrics.json'}")


@app.command(rich_help_panel=USE)
def deocclude(
    photo: Annotated[Path, typer.Argument(help="A picture of at most 64 million pixels.", metavar="PHOTO")],
    out: Out,
    mask: Annotated[
        Path | None,
        typer.Option("--mask", help="Rough mask of the visible person, of the photo's size.", metavar="PNG"),
    ] = None,
    mask_fits: Annotated[
        Literal["shown", "stored"] | None,
        typer.Option(
            "--mask-fits",
            help="Whether the mask fits a photo that its EXIF data turn as viewers show it, or as stored. "
            "Needed only if its size fits both.",
            show_default=False,
        ),
    ] = None,
    box: Annotated[
        tuple[float, float, float, float] | None,
        typer.Option("--box", help="Box around the visible person, in pixels.", metavar="X0 Y0 X1 Y1"),
    ] = None,
    exact: Annotated[
        bool,
        typer.Option("--exact", help="The mask is the visible person, bit for bit; none of it is painted."),
    ] = False,
    point: Annotated[
        list[str] | None,
        typer.Option(
            "--point",
            help="A click that corrects the answer: is pixel X Y the person? May be repeated. With --exact, "
            "only X,Y,no outside the mask: nobody is hidden there.",
            metavar="X,Y,yes|no",
        ),
    ] = None,
    segmenter: Segmenter = "auto",
    weights: Weights = "small",
    flip: Flip = True,
    texture: Texture = None,
    exemplar: Exemplar = None,
    samples: Annotated[
        int,
        typer.Option(
            min=1,
            help="Number of different completions, up to 16: recovered_1.png, ...; the first equals "
            "recovered.png.",
            metavar="K",
        ),
    ] = 1,
    seed: Seed = 0,
    device: Device = "auto",
) -> None:
    """Complete one person of a photo: masks, body parts, and the recovered photo at full resolution.

    Writes modal.png, amodal.png, invisible.png, parsing.png (LIP class numbers), recovered.png, overview.png
    and result.json. Outside invisible.png, recovered.png equals the photo bit for bit.
    """
    from deocc.cli.photo import deocclude_photo
    from deocc.inference.weights import find_weights

    _check_choices(device, texture, exemplar)
    find_weights(weights)

    def load() -> Any:
        seed_everything(seed)
        return load_deoccluder(weights, device, flip, texture, exemplar)

    points = [click(words) for words in point or ()]
    result = deocclude_photo(photo, out, load, mask, box, segmenter, exact, points, samples, mask_fits, seed)
    for note in result["notes"]:
        typer.echo(f"note: {note}")
    typer.echo(f"hidden share of the person: {result['occlusion_ratio']:.0%}; written to {out}")


@app.command(rich_help_panel=USE)
def predict(
    cases: Annotated[Path, typer.Argument(help="Case folder, as `deocc occlude` makes it.", metavar="CASES")],
    out: Out,
    given: Annotated[
        Literal["initial", "modal", "box"],
        typer.Option("--given", help="The prompt: initial.png, modal.png, or only the box of case.json."),
    ] = "initial",
    batch: BatchSize = 16,
    segmenter: Segmenter = "auto",
    weights: Weights = "small",
    flip: Flip = True,
    texture: Texture = None,
    exemplar: Exemplar = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace the predictions of another run.")
    ] = False,
    shard: Shard = "1/1",
    seed: Seed = 0,
    device: Device = "auto",
) -> None:
    """Predict a case folder in batches; the same command continues an interrupted run."""
    from deocc.io import require_writable
    from deocc.occlusion import CaseFolder
    from deocc.people.sources.options import parse_shard

    _check_choices(device, texture, exemplar)
    part, count = parse_shard(shard)
    require_writable(out)
    folder = CaseFolder(cases)
    seed_everything(seed)
    from deocc.inference.predictions import predict_cases

    deoccluder = load_deoccluder(weights, device, flip, texture, exemplar)
    done = predict_cases(deoccluder, folder, out, given, batch, segmenter, overwrite, shard=(part, count))
    words = f"all {len(folder)}" if count == 1 else f"all of part {part} of {count}"
    typer.echo(f"{len(done)} of {len(folder)} cases predicted now, {words} are in {out}")
