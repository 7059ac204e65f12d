"""What all commands about tasks share: which directories, which tasks, how to print."""

from __future__ import annotations

import os
import time
from functools import update_wrapper

import click

from spoolsim.cli import complete
from spoolsim.cli.out import out
from spoolsim.errors import SpoolDirError, UsageError
from spoolsim.log import Log
from spoolsim.spool.names import PREFIX
from spoolsim.tasks.history import Attempts, attempts_of
from spoolsim.tasks.listing import Calls, Filter, Row, seconds_of, survey
from spoolsim.tasks.states import DONE, STATES
from spoolsim.tasks.where import Where, find

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any

    from spoolsim.spool.directory import SpoolDir

#: how the name of a configuration file ends
ENDINGS = (".ini", ".yaml", ".yml", ".json", ".js", ".xml", ".toml")


class Look:
    """What a command looks at. now: epoch seconds. quiet, verbose: -q and -v."""

    def __init__(self, where: Where, *, as_json: bool, quiet: bool, verbose: bool) -> None:
        self.where = where
        self.as_json = as_json
        self.quiet = quiet
        self.verbose = verbose
        self.now = time.time()
        self._attempts: dict[str, Attempts] = {}
        self._calls = Calls()

    def attempts(self, spool: SpoolDir) -> Attempts:
        """What is recorded of the attempts at a directory's tasks; read once."""
        return self._attempts.setdefault(spool.path, attempts_of(spool))

    def rows(self, *, finished: bool = False) -> list[Row]:
        """All tasks as they are now."""
        self.now = time.time()
        ordered = self.where.setting.ordered
        return survey(
            self.where.spools,
            ordered=ordered,
            now=self.now,
            finished=finished,
            source=self.attempts,
            calls=self._calls,
        )

    def recall(self, rows: Iterable[Row]) -> None:
        """Give tasks that are done, whose files are gone, the call that the history holds of them."""
        for row in rows:
            if row.state == DONE and row.attempts:
                row.call = self.attempts(row.spool).call(row.attempts[-1])

    def record(self, found: dict[str, Any]) -> None:
        """Print one object."""
        import json

        out(json.dumps(found))


def spool_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options that say where, and how to print; the command gets a `Look` as its first argument."""

    def call(
        directories: tuple[str, ...], config: str, ordered: bool, as_json: bool, quiet: bool, verbose: bool, **rest: Any
    ) -> None:
        for word in rest.get("tasks", ()):
            if word.endswith(ENDINGS) and not os.path.basename(word).startswith(PREFIX):
                raise UsageError(f"{word} is not a task but a configuration file: say --config {word}")
        where = find(directories, config, ordered=ordered, cwd=os.getcwd(), environ=os.environ)
        for spool in where.spools:
            if not os.access(spool.path, os.R_OK | os.X_OK):  # nothing would be listed, as if nothing was there
                raise SpoolDirError(f"spooler directory {spool.path}: Permission denied: this user cannot read it")
            _warn_of_what_is_hidden(spool)
        command(Look(where, as_json=as_json, quiet=quiet, verbose=verbose), **rest)

    wrapped: Callable[..., None] = update_wrapper(call, command)
    for option in reversed(_OPTIONS):
        wrapped = option(wrapped)
    return wrapped


def _warn_of_what_is_hidden(spool: SpoolDir) -> None:
    """Say that what another user's spooler has recorded and set aside is missing here, not that there was none."""
    try:
        state = spool.state_dir()
    except OSError:
        return  # gone meanwhile
    if os.path.isdir(state) and not os.access(state, os.R_OK | os.X_OK):
        Log().say(
            f"this user cannot read {state}: past attempts, and tasks that were set aside, are missing here; "
            "run the command as its owner",
            error=True,
        )


def file_argument(command: Callable[..., None]) -> Callable[..., None]:
    """Let a configuration file be given as `run` takes it, beside --config; for commands that take no tasks."""

    def call(*, file: str, config: str, **rest: Any) -> None:
        if file and config:
            raise UsageError(f"{file} and --config {config}: give one configuration file")
        if file and os.path.isdir(file):
            raise UsageError(f"{file} is a directory: say --spooler {file}")
        named = file.endswith(ENDINGS) or file.rpartition(":")[0].endswith(ENDINGS)  # FILE:SECTION
        if file and not named and not os.path.isfile(file):
            raise UsageError(f"{file} is not a configuration file; of a task tell `show`, `why` and `log --task`")
        command(config=file or config, **rest)

    return click.argument("file", default="", metavar="[FILE]")(update_wrapper(call, command))


_OPTIONS = (
    click.option(
        "--spooler", "directories", multiple=True, metavar="DIR", help="A spool directory; may be given several times."
    ),
    click.option("--config", default="", metavar="FILE", help="A uWSGI configuration file that names the directories."),
    click.option(
        "--spooler-ordered", "ordered", is_flag=True, help="List tasks as a spooler with this option finds them."
    ),
    click.option("--json", "as_json", is_flag=True, help="Print one JSON object per line."),
    click.option("-q", "--quiet", is_flag=True, help="Print less: ids alone, or errors alone."),
    click.option("-v", "--verbose", is_flag=True, help="Print more: paths and whole reasons."),
)


def span_of(text: str) -> float:
    """A span of time such as 90, 5m, 2h or 1d, in seconds, for an option. Raises click.BadParameter."""
    try:
        return seconds_of(text)
    except ValueError:
        raise click.BadParameter(f"{text!r} is not a span of time; write it as 90, 5m, 2h or 1d") from None


def filter_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options that say which tasks; the command gets a `Filter` as `wanted`."""

    def call(*args: Any, states: tuple[str, ...], function: str, older: float, grep: str, **rest: Any) -> None:
        command(*args, wanted=Filter(frozenset(states_of(states)), function, older, grep), **rest)

    wrapped: Callable[..., None] = update_wrapper(call, command)
    for option in reversed(_FILTERS):
        wrapped = option(wrapped)
    return wrapped


function_option = click.option(
    "--func",
    "function",
    default="",
    metavar="NAME",
    shell_complete=complete.functions,
    help="Tasks that call this function.",
)
_state_option = click.option(
    "--state",
    "states",
    multiple=True,
    metavar="STATE",
    shell_complete=complete.states,
    help="Tasks in this state; may be given several times.",
)
_FILTERS = (
    _state_option,
    function_option,
    click.option(
        "--older", type=span_of, default="0", metavar="SPAN", help="Tasks enqueued longer ago, such as 90, 5m, 2h, 1d."
    ),
    click.option(
        "--grep", default="", metavar="TEXT", help="Tasks with this in the call, the name, the id or the reason."
    ),
)


def states_of(given: tuple[str, ...]) -> list[str]:
    """The states that were asked for. Raises UsageError for a word that is none."""
    found = [word for text in given for word in text.split(",") if word]
    for word in found:
        if word not in STATES:
            raise UsageError(f"--state {word}: there is no such state; there are {', '.join(STATES)}")
    return found


task_arguments = click.argument("tasks", nargs=-1, metavar="TASK...", shell_complete=complete.tasks)
task_argument = click.argument("task", metavar="TASK", shell_complete=complete.tasks)
