"""Serves the photo studio (notebooks/app/) as a separate page through Voila, for this computer only.

python tools/app.py [--port N] [--no-browser]
"""

from __future__ import annotations

import argparse
import importlib.util
import subprocess
import sys
from pathlib import Path

NOTEBOOK = Path(__file__).resolve().parent.parent / "notebooks" / "app" / "photo_studio.ipynb"
ADDRESS = "127.0.0.1"  # nobody else on the network can reach it
PORT = 8866


def app_command(port: int = PORT, browser: bool = True) -> list[str]:
    """The command that serves the page. Args: port: of `ADDRESS`. browser: whether it opens a browser."""
    return [
        sys.executable, "-m", "voila", str(NOTEBOOK), f"--Voila.ip={ADDRESS}", f"--port={port}",
        f"--Voila.open_browser={browser}", "--VoilaConfiguration.show_tracebacks=True",
    ]  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--port", type=int, default=PORT)
    parser.add_argument("--no-browser", action="store_true", help="only serve; open the page yourself")
    arguments = parser.parse_args()
    if importlib.util.find_spec("voila") is None:
        sys.exit("no Voila here; pip install voila")
    print(
        f"The photo studio: http://{ADDRESS}:{arguments.port} (this computer only; Ctrl+C ends it)",
        flush=True,
    )
    try:
        sys.exit(subprocess.call(app_command(arguments.port, not arguments.no_browser)))
    except KeyboardInterrupt:
        sys.exit(0)


if __name__ == "__main__":
    main()
