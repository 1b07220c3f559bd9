"""Drive notebooks in JupyterLab through headless Chromium; for tests and measurements of the widgets.

JupyterLab and Chromium write only into one private folder. `find_chromium` finds the browser or gives the
reason why there is none; `Lab` starts the server, `Lab.open` runs a notebook in the browser.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import nbformat

NAMES = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome", "chrome")
FLAGS = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
)  # fmt: skip
SECONDS = 150.0  # to wait for anything that a slow machine may take long over
TALKATIVE = ("@jupyterlab/apputils-extension:announcements", "@jupyterlab/extensionmanager-extension")


def find_chromium() -> tuple[str, str]:
    """Path of a Chromium (variable DEOCC_CHROMIUM, else on the PATH) and "", or "" and a reason."""
    for module in ("playwright", "jupyterlab"):
        if importlib.util.find_spec(module) is None:
            return "", f"no {module} here; pip install -e .[dev]"
    named = os.environ.get("DEOCC_CHROMIUM", "")
    found = [path for path in (named, *map(shutil.which, NAMES)) if path and os.access(path, os.X_OK)]
    why = f"no Chromium here; install one of {', '.join(NAMES)}, or set DEOCC_CHROMIUM to its path"
    return (found[0], "") if found else ("", why)


def write_notebook(path: Path, cells: Sequence[str]) -> Path:
    """A notebook of code cells, kernel python3."""
    book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    book.metadata = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    nbformat.write(book, path)
    return path


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Lab:
    """JupyterLab on a private port and a Chromium; use it in a `with` statement.

    Attributes:
        folder: the served folder, for notebooks.
        environment: variables that make the server write only into the private folder.
    """

    def __init__(self, folder: Path, chromium: str, width: int = 1400, height: int = 1000) -> None:
        """Args: folder: private, exists. chromium: path. width, height: of the window in pixels."""
        self.folder, self._chromium, self._size = folder / "served", chromium, (width, height)
        self._state = folder / "state"
        private = {f"JUPYTER_{kind}_DIR": str(self._state / kind.lower()) for kind in _KINDS}
        self.environment = {**os.environ, **private}
        for path in (self.folder, self._state):
            path.mkdir()

    def __enter__(self) -> Lab:
        from playwright.sync_api import sync_playwright

        self._port = free_port()
        self._server = self._start_server()
        self._playwright = sync_playwright().start()
        self._context = self._playwright.chromium.launch_persistent_context(
            str(self._state / "chromium"),
            executable_path=self._chromium,
            args=list(FLAGS),
            viewport={"width": self._size[0], "height": self._size[1]},
            has_touch=True,
        )
        self._context.set_default_timeout(SECONDS * 1000)
        return self

    def __exit__(self, *error: object) -> None:
        self._context.close()
        self._playwright.stop()
        self._server.terminate()
        try:
            self._server.wait(10)
        except subprocess.TimeoutExpired:
            self._server.kill()

    def _start_server(self) -> subprocess.Popen[bytes]:
        settings = self._state / "config" / "labconfig"
        settings.mkdir(parents=True)
        disabled = ", ".join(f'"{name}": true' for name in TALKATIVE)
        (settings / "page_config.json").write_text(f'{{"disabledExtensions": {{{disabled}}}}}')
        command = [
            sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", "--expose-app-in-browser",
            f"--ServerApp.port={self._port}", "--ServerApp.port_retries=0", "--ServerApp.ip=127.0.0.1",
            "--IdentityProvider.token=", "--LabApp.extension_manager=readonly", "--LabApp.news_url=",
        ]  # fmt: skip
        with open(self._state / "server.log", "wb") as log:
            return subprocess.Popen(command, cwd=self.folder, env=self.environment, stdout=log, stderr=log)

    def _wait_for_server(self) -> None:
        end = time.monotonic() + SECONDS
        while True:
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{self._port}/api/status", timeout=2).close()
                return
            except OSError:
                if time.monotonic() > end or self._server.poll() is not None:
                    log = (self._state / "server.log").read_text(errors="replace")
                    raise RuntimeError(f"JupyterLab did not start:\n{log[-3000:]}") from None
                time.sleep(0.1)

    def open(self, name: str) -> Notebook:
        """Opens a notebook of `folder` and runs all its cells.

        Raises:
            RuntimeError: the server does not start.
        """
        self._wait_for_server()
        page = self._context.new_page()
        page.goto(f"http://127.0.0.1:{self._port}/lab/tree/{name}?reset")
        notebook = Notebook(page)
        notebook.run()
        return notebook

    def visit(self, address: str) -> Any:
        """A page of another server, retried until the server answers. Returns: Playwright's page."""
        end = time.monotonic() + SECONDS
        while True:
            try:
                urllib.request.urlopen(address, timeout=SECONDS).close()
                break
            except OSError:
                if time.monotonic() > end:
                    raise
                time.sleep(0.1)
        page = self._context.new_page()
        page.goto(address)
        return page


_KINDS = ("CONFIG", "DATA", "RUNTIME")


class Notebook:
    """One notebook in a page of the browser. Attributes: page: Playwright's page."""

    def __init__(self, page: Any) -> None:
        self.page = page
        page.wait_for_selector(".jp-NotebookPanel .jp-Cell")
        page.wait_for_function(f"{_PANEL}.sessionContext.isReady")

    def run(self) -> None:
        """Runs all cells and waits for the last one. Raises: AssertionError with the text of an error."""
        self.page.evaluate("() => { void window.jupyterapp.commands.execute('notebook:run-all-cells') }")
        self.page.wait_for_function(_DONE)
        errors = self.page.locator("[data-mime-type='application/vnd.jupyter.stderr']").all_inner_texts()
        assert not [text for text in errors if "Error" in text], errors

    def restart(self) -> None:
        """Restarts the kernel and clears all outputs without running a cell."""
        self.page.evaluate(f"() => {_PANEL}.sessionContext.restartKernel()")
        self.page.evaluate("() => window.jupyterapp.commands.execute('notebook:clear-all-cell-outputs')")

    def value(self, expression: str) -> str:
        """Evaluates a Python expression in the notebook's kernel; returns its repr."""
        return self.page.evaluate(_EVALUATE, expression)


_PANEL = "window.jupyterapp.shell.currentWidget"
_DONE = f"""() => {{
  const cells = Array.from({_PANEL}.content.model.cells).filter(cell => cell.type === 'code');
  const failed = cells.some(cell => cell.outputs.toJSON().some(out => out.output_type === 'error'));
  return failed || cells.every(cell => cell.executionCount !== null && cell.executionState !== 'running');
}}"""
_EVALUATE = f"""async (expression) => {{
  const kernel = {_PANEL}.sessionContext.session.kernel;
  const request = {{ code: '', silent: true, user_expressions: {{ value: expression }} }};
  const answer = await kernel.requestExecute(request).done;
  const value = answer.content.user_expressions.value;
  if (value.status !== 'ok') throw new Error(value.evalue);
  return value.data['text/plain'];
}}"""
