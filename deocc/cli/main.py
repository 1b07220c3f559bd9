"""The entry point of the command line. Commands import what they need when they run: ``--help`` is fast."""

import gc
import io
import os
import sys
from collections.abc import Sequence
from contextlib import suppress

import typer

from deocc.cli import make, measure, people, use
from deocc.cli.app import MAKE, app
from deocc.errors import DeoccError
from deocc.paths import DATA

__all__ = ["app", "main", "make", "measure", "use"]

app.add_typer(people.app, rich_help_panel=MAKE)


def _fail(message: str) -> None:
    """One line on stderr, exit status 2."""
    print(f"deocc: error: {' '.join(message.split())}", file=sys.stderr)
    sys.exit(2)


def _fail_usage(error: typer.TyperException) -> None:
    """Reports a wrong option or argument; prints only the help page where help was requested."""
    message, context = error.format_message().rstrip("."), getattr(error, "ctx", None)
    if not message:
        sys.exit(2)
    _fail(f"{message}; see {context.command_path if context else 'deocc'} --help")


def _where_data_are(message: str) -> str:
    """A hint for a package that was installed without the data of its repository."""
    if DATA.is_dir() or str(DATA) not in message:
        return ""
    return f" (there are no bundled data at {DATA}; set DEOCC_DATA to the folder data/ of a clone of deocc)"


def _refuse_empty(args: Sequence[str]) -> None:
    """An empty path would mean the present folder.

    Raises:
        DeoccError: a word without a value, as ``--out "$UNSET"`` gives.
    """
    for index, word in enumerate(args):
        option, is_pair, value = word.partition("=")
        if not word.strip():
            before = args[index - 1] if index else ""
            name = before if before.startswith("--") else f"argument {index + 1}"
        elif word.startswith("--") and is_pair and not value.strip():
            name = option
        else:
            continue
        raise DeoccError(f"{name}: the value is empty; is a shell variable unset?")


def _leave(status: int) -> None:
    """Ends the process at once, for a command whose files are written and whose threads have ended.

    Taking PyTorch apart piece by piece would take most of a second. Returns if the output's end cannot be
    written (Python says so when it ends), and under a profiler or tracer, which has to write its own.
    """
    if sys.getprofile() or sys.gettrace():
        return
    with suppress(OSError, ValueError):
        for stream in (sys.stdout, sys.stderr):
            if stream is not None:
                stream.flush()
        os._exit(status)


def main(args: list[str] | None = None) -> None:
    """Runs the command line. Bad input ends in one line on stderr and exit status 2, Ctrl-C in status 130."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a character that the terminal lacks is no reason to stop
            stream.reconfigure(errors="replace")
    brief = args is None and sys.argv[1:2] == ["deocclude"]
    if brief:
        gc.disable()  # searching a few seconds' work for garbage takes half a second
    try:
        _refuse_empty(sys.argv[1:] if args is None else args)
        status = app(args, prog_name="deocc", standalone_mode=False)
    except DeoccError as error:
        _fail(str(error) + _where_data_are(str(error)))
    except typer.Abort:  # Ctrl-C or Ctrl-D at a question
        sys.exit(130)
    except typer.TyperException as error:
        _fail_usage(error)
    except OSError as error:
        if os.environ.get("DEOCC_DEBUG"):
            raise
        _fail(f"{error.filename or 'input or output'}: {error.strerror or error}")
    code = status if isinstance(status, int) else 0
    if brief:
        _leave(code)
    sys.exit(code)


if __name__ == "__main__":
    main()
