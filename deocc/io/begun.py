"""Output folders that a later run can resume."""

import json
import shutil
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import msgspec

from deocc.errors import DeoccError
from deocc.io.files import require_writable, temporary_of, write_json
from deocc.io.locks import alone, is_held, mark_worker, wait_for_workers
from deocc.io.names import PathLike

WORK = ".work"
LOCK = "lock"  # held while a part begins


class _State(msgspec.Struct):
    """The content of ``.work/<command>-<i>of<n>.json``."""

    options: dict[str, Any] = {}
    done: bool = False
    left_out: dict[str, str] = {}


@dataclass
class Begun:
    """An output folder that is being written.

    Attributes:
        folder: its path.
        lock: the lock file; it is held while the block runs.
        left_out: name -> reason, for items that could not be made; stored in ``left-out.json``.
    """

    folder: Path
    lock: Path
    left_out: dict[str, str] = field(default_factory=dict)

    @property
    def mark_worker(self) -> Callable[[], None]:
        """A function that every other process that writes here must call."""
        return partial(mark_worker, self.lock)

    def left_out_by_all(self) -> dict[str, str]:
        """Name -> reason, for items left out so far by this part and all others."""
        others = _states(self.folder).values()
        return {name: why for state in others for name, why in state.left_out.items()} | self.left_out


def _states(folder: Path) -> dict[str, _State]:
    """Name of each part's file -> its state; a damaged file gives the default state."""
    found = {}
    for path in sorted((folder / WORK).glob("*of*.json")):
        try:
            found[path.stem] = msgspec.json.decode(path.read_bytes(), type=_State)
        except FileNotFoundError:  # another part ends, and removes it
            continue
        except (OSError, msgspec.DecodeError, RecursionError):
            found[path.stem] = _State()
    return found


def _is_empty(folder: Path) -> bool:
    """Whether the folder holds no output yet."""
    return not folder.is_dir() or all(path.name == WORK for path in folder.iterdir())


def _refuse_strangers(folder: Path, command: str) -> None:
    """Refuses a folder that this command did not make."""
    if not _is_empty(folder) and not list((folder / WORK).glob(f"{command}-*of*.json")):
        whole = (folder / "people.csv").is_file() or next(folder.glob("*/case.json"), None)
        what = f"holds something already{', complete as it seems' if whole else ''}"
        raise DeoccError(f"{folder}: {what}; choose a new folder")


def _agree(folder: Path, command: str, options: dict[str, Any], part: str) -> None:
    """Refuses options that differ from earlier ones, unless nothing was made and nobody is at work with them.

    Args:
        part: this process's; it holds the lock.
    """
    for name, state in _states(folder).items():
        changed = sorted(key for key in options if state.options.get(key) != options[key])
        if not changed or not name.startswith(f"{command}-"):
            continue
        if not _is_empty(folder) or (name != part and is_held(folder / WORK / f"{name}.lock")):
            if new := [key for key in changed if key not in state.options]:
                raise DeoccError(
                    f"{folder}: begun by an earlier version, which had no {new[0]}; choose a new folder"
                )
            was = ", ".join(f"{key} {json.dumps(state.options.get(key))}" for key in changed)
            raise DeoccError(
                f"{folder}: holds something already, begun with other options ({was}); give the same ones "
                "or choose a new folder"
            )
        (folder / WORK / f"{name}.json").unlink(missing_ok=True)


@contextmanager
def begun(
    folder: PathLike,
    command: str,
    options: dict[str, Any],
    shard: tuple[int, int] = (1, 1),
    again: bool = False,
) -> Iterator[Begun]:
    """Makes an output folder, or resumes one that the same command did not finish.

    Args:
        folder: missing, empty, or begun by the same command with the same options.
        command: its name, such as "occlude".
        options: JSON values that determine the output.
        shard: (i, n), counted from 1; parts may be made at the same time.
        again: the folder may be complete; the caller has checked that the same command made it.

    Yields:
        The folder. The part is complete when the block ends. When all parts are complete, the folder is
        the same as one made in a single run.

    Raises:
        DeoccError: the folder holds something else, cannot be written, or is in use by another process.
    """
    folder, part = require_writable(folder), f"{command}-{shard[0]}of{shard[1]}"
    there, options = folder.is_dir(), json.loads(json.dumps(options))
    if not again:
        _refuse_strangers(folder, command)
    busy = f"{folder}: in use by another process (deocc {command})"
    lock = folder / WORK / f"{part}.lock"
    mine = False
    try:
        with ExitStack() as held:
            with alone(folder / WORK / LOCK, "", wait=True):  # who holds a part has stored its options
                held.enter_context(alone(lock, busy))
                mine = True
                _agree(folder, command, options, part)
                write_json(folder / WORK / f"{part}.json", {"options": options})
            made = Begun(folder, lock)
            yield made
            state = {"options": options, "done": True, "left_out": made.left_out}
            write_json(folder / WORK / f"{part}.json", state)
    except BaseException:
        if mine and _is_empty(folder):
            _remove_traces(folder, part, there)
        raise
    states = _states(folder)
    if _is_whole(states, command):
        _finish(folder, states)


def _finish(folder: Path, states: Mapping[str, _State]) -> None:
    """Removes the work files; writes ``left-out.json`` if items were left out.

    Args:
        states: of all parts; none if another part, which ended at the same time, has done it.
    """
    if not states:
        shutil.rmtree(folder / WORK, ignore_errors=True)
        return
    left_out = {name: why for state in states.values() for name, why in state.left_out.items()}
    if left_out:
        write_json(folder / "left-out.json", left_out)
    else:
        (folder / "left-out.json").unlink(missing_ok=True)
    _sweep(folder)
    shutil.rmtree(folder / WORK, ignore_errors=True)


def _is_whole(states: Mapping[str, _State], command: str) -> bool:
    """Whether all parts of one division are complete."""
    own = {name: state for name, state in states.items() if name.startswith(f"{command}-")}
    done = Counter(name.rpartition("of")[2] for name, state in own.items() if state.done)
    return not own or any(str(count) == parts for parts, count in done.items())


def _sweep(folder: Path) -> None:
    """Removes the temporary files of killed runs, once no process writes any more.

    The folder is complete, so the final file of each of them exists. Other hidden files belong to others.
    """
    if not wait_for_workers(folder / WORK):
        return
    for path in folder.rglob(".*.*"):
        name = temporary_of(path)
        if name and path.is_file() and path.with_name(name).is_file():
            path.unlink(missing_ok=True)


def _remove_traces(folder: Path, part: str, keep: bool) -> None:
    """Removes the work files of a command that failed before any output. Args: keep: the folder itself."""
    with suppress(OSError, DeoccError):
        with alone(folder / WORK / LOCK, "", wait=True):  # nobody takes the part meanwhile
            if not is_held(folder / WORK / f"{part}.lock") and _is_empty(folder):
                for path in (folder / WORK).glob(f"{part}.*"):
                    path.unlink()
        if [path.name for path in (folder / WORK).iterdir()] == [LOCK]:
            (folder / WORK / LOCK).unlink()
        (folder / WORK).rmdir()
        if not keep:
            folder.rmdir()


def require_whole(folder: PathLike, command: str) -> None:
    """Refuses a folder that the command has not finished.

    Raises:
        DeoccError: a part is not complete.
    """
    if not _is_whole(_states(Path(folder)), command):
        raise DeoccError(
            f"{folder}: incomplete; `deocc {command}` is still running or was stopped: run it again unchanged"
        )
