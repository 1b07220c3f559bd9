"""Sets `trust` of trained weights of stage 2: how much its own picture counts beside the first guess.

    python tools/set_trust.py RUN/weights.safetensors 0.5
"""

from pathlib import Path

import typer

from deocc.errors import DeoccError
from deocc.models import ContentRecoveryNet, load_weights, read_metadata, save_weights


def main(weights: Path, trust: float) -> None:
    """Writes the file anew with that value; tensors and the other metadata stay."""
    network = load_weights(weights)
    if not isinstance(network, ContentRecoveryNet) or not network.config["prior"]:
        raise DeoccError(f"{weights}: no stage 2 with a first guess; give weights trained with prior=true")
    changed = ContentRecoveryNet(**{**network.config, "trust": trust})
    changed.load_state_dict(network.state_dict())
    save_weights(weights, changed, read_metadata(weights))
    typer.echo(f"{weights}: trust {network.config['trust']:g} -> {trust:g}")


if __name__ == "__main__":
    try:
        typer.run(main)
    except DeoccError as error:
        raise SystemExit(f"error: {error}") from None
