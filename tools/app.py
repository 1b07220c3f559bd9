"""Serves the photo studio (notebooks/app/) as a separate page through Voila, for this computer only.

python tools/app.py [--port N] [--no-browser]
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import socket
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

NOTEBOOK = Path(__file__).resolve().parent.parent / "notebooks" / "app" / "photo_studio.ipynb"
ADDRESS = "127.0.0.1"  # nobody else on the network can reach it
PORT = 8866


def app_command(port: int = PORT, browser: bool = True) -> list[str]:
    """The command that serves the page. Args: port: of `ADDRESS`. browser: whether it opens a browser."""
    return [
        sys.executable, "-m", "voila", str(NOTEBOOK), f"--Voila.ip={ADDRESS}", f"--port={port}",
        "--Voila.port_retries=0", "--template=studio", f"--Voila.open_browser={browser}",
        "--VoilaConfiguration.show_tracebacks=True",
    ]  # fmt: skip


def app_environment(environment: Mapping[str, str] = os.environ) -> dict[str, str]:
    """The environment in which Voila finds the page's template, beside the notebook."""
    paths = [str(NOTEBOOK.parent), *environment.get("JUPYTER_PATH", "").split(os.pathsep)]
    return {**environment, "JUPYTER_PATH": os.pathsep.join(filter(None, paths))}


def is_free(port: int) -> bool:
    """Whether nothing listens at `ADDRESS` and the port."""
    with socket.socket() as probe:
        return probe.connect_ex((ADDRESS, port)) != 0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--port", type=int, choices=range(1, 65536), default=PORT, metavar="N")
    parser.add_argument("--no-browser", action="store_true", help="only serve; open the page yourself")
    arguments = parser.parse_args()
    if importlib.util.find_spec("voila") is None:
        sys.exit("no Voila here; pip install voila")
    if not is_free(arguments.port):
        sys.exit(f"port {arguments.port} is taken by another program; choose one with --port N")
    print(
        f"The photo studio: http://{ADDRESS}:{arguments.port} (this computer only; Ctrl+C ends it)",
        flush=True,
    )
    try:
        command = app_command(arguments.port, not arguments.no_browser)
        sys.exit(subprocess.call(command, env=app_environment()))
    except KeyboardInterrupt:
        sys.exit(0)


if __name__ == "__main__":
    main()
