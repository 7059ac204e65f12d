"""`spoolsim enqueue`: one spool file by hand, as uwsgi.spool() would write it."""

from __future__ import annotations

import os
import sys
import time

import click

from spoolsim import system
from spoolsim.cli.out import out
from spoolsim.config.code import Code
from spoolsim.diagnose import Notes
from spoolsim.errors import SpoolsimError, UsageError
from spoolsim.log import Log
from spoolsim.spool.enqueue import Producer
from spoolsim.tasks.where import Where, find
from spoolsim.work.diagnosis import closest, listed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

#: keys that steer, with an option of their own
_STEERING = {"at": "--at", "priority": "--priority", "body": "--body-file", "spooler": "--spooler"}

#: the last second of the year 9999
_LAST = 253_402_300_799


#: what the decorators write into their tasks as ud_spool_ret: the outcome, whatever the function returns
_OUTCOMES = {"spool": b"-2", "spoolforever": b"-1"}


@click.command(epilog="\b\nExamples:\n  spoolsim enqueue --spooler spool user=42 action=mail\n"
    "  spoolsim enqueue --spooler spool --at +60 --priority 3 --body-file report.pdf kind=report\n"
    "  spoolsim enqueue --function resize --args '[\"a.png\"]' --kwargs '{\"width\": 4}'")  # fmt: skip
@click.option("--spooler", "directory", default="", metavar="DIR", help="The spool directory; it must exist.")
@click.option("--config", default="", metavar="FILE", help="A uWSGI configuration file that names it, and the app.")
@click.option("--body-file", metavar="FILE", help="The body; - for standard input.")
@click.option("--at", metavar="TIME", help="Not before: epoch seconds, +SECONDS, or YYYY-MM-DD[THH:MM[:SS]].")
@click.option("--priority", metavar="N", help="Sub-directory; a number (it needs spooler-ordered).")
@click.option("--function", metavar="NAME", help="Call this decorated function (@spool, @spoolraw, @spoolforever).")
@click.option("--args", "arguments", metavar="JSON", help="Its positional arguments, a list, for pass_arguments.")
@click.option("--kwargs", "keywords", metavar="JSON", help="Its keyword arguments, an object, for pass_arguments.")
@click.option("--durable", is_flag=True, help="Return only when the file is on the disk.")
@click.argument("variables", nargs=-1, metavar="KEY=VALUE...")
def enqueue(
    directory: str,
    config: str,
    body_file: str | None,
    at: str | None,
    priority: str | None,
    function: str | None,
    arguments: str | None,
    keywords: str | None,
    durable: bool,
    variables: tuple[str, ...],
) -> None:
    """Enqueue one task: write its spool file and print the path. A running spooler of the directory takes it at once.

    Without --spooler and --config, the configuration that `spoolsim run` would find here names the directory. Where a
    configuration is known, --function must be one of the app's functions.
    """
    log = Log()
    where = find((directory,) if directory else (), config, ordered=False, cwd=os.getcwd(), environ=os.environ)
    app = _App.of(where)
    job: dict[object, object] = {}
    if function:
        job |= _call(function, arguments, keywords, app, variables)
    elif arguments is not None or keywords is not None:
        raise UsageError("--args and --kwargs are for a function: add --function NAME")
    for variable in variables:
        key, equals, value = variable.partition("=")
        if not equals or not key:
            raise UsageError(f"expected KEY=VALUE, got {variable!r}")
        if key in _STEERING:
            raise UsageError(f"{variable!r}: use {_STEERING[key]} for this")
        job[os.fsencode(key)] = os.fsencode(value)
    if at is not None:
        job[b"at"] = str(when(at, time.time())).encode()
    if priority is not None:
        job[b"priority"] = os.fsencode(priority)
    if body_file is not None:
        job[b"body"] = _body(body_file)
    if app is not None and not app.own_handler and app.functions and b"ud_spool_func" not in job:
        log.say(
            "this task names no function, and the app's handler is that of uwsgidecorators, which fails for it; "
            f"add --function NAME (the app has {listed(sorted(app.functions))})"
        )
    producer = Producer(where.spools, log=log, notes=Notes(log.note, silenced=("body-removed", "priority-unordered")))
    producer.quiet = True
    producer.durable = durable
    try:
        path = producer.spool(job)
    except ValueError as error:
        raise SpoolsimError("; ".join([str(error), *getattr(error, "__notes__", ())])) from None
    try:
        out(path)
    except SpoolsimError as error:
        raise SpoolsimError(f"spooled, as {os.fsdecode(path)}; but {error}") from None


class _App:
    """What the code of an app says, which is read and not imported.

    functions: name -> decorator. passing: those with pass_arguments. own_handler: it sets uwsgi.spooler itself.
    """

    def __init__(self) -> None:
        self.functions: dict[str, str] = {}
        self.passing: set[str] = set()
        self.own_handler = False

    @classmethod
    def of(cls, where: Where) -> _App | None:
        """The app of a configuration; None where none is known."""
        if not where.setting.modules:
            return None
        app = cls()
        for module in Code().closure(list(where.setting.modules), list(where.setting.path)).values():
            app.functions |= module.decorators
            app.passing |= module.passing
            app.own_handler = app.own_handler or any(name == "uwsgi.spooler" for name, _ in module.handlers)
        return app


def _call(
    function: str, arguments: str | None, keywords: str | None, app: _App | None, variables: tuple[str, ...]
) -> dict[object, object]:
    """The variables of a call of `function`, as its decorator writes them. Raises UsageError."""
    decorator, passing = "spool", arguments is not None or keywords is not None
    if app is not None:
        decorator = _known(function, app)
        if variables and function in app.passing:
            raise UsageError(f"{function}() takes arguments (pass_arguments), no variables: use --args and --kwargs")
        if passing and function not in app.passing:
            raise UsageError(f"{function}() takes one dictionary, no arguments: write KEY=VALUE")
        passing = function in app.passing
    job: dict[object, object] = {b"ud_spool_func": os.fsencode(function)}
    if decorator in _OUTCOMES:  # @spoolraw leaves the outcome to the function
        job[b"ud_spool_ret"] = _OUTCOMES[decorator]
    if passing:
        import pickle

        job[b"args"] = pickle.dumps(tuple(_json("--args", arguments, list)))
        job[b"kwargs"] = pickle.dumps(_json("--kwargs", keywords, dict))
    return job


def _known(function: str, app: _App) -> str:
    """The decorator of one of the app's functions. Raises UsageError for another one, with the closest."""
    if function in app.functions:
        return app.functions[function]
    known = sorted(app.functions)
    near = closest(function, known)
    there = f"it has {listed(known)}" if known else "it has none"
    hint = f"did you mean {near}?" if near else "import its module in the spooler"
    raise UsageError(
        f"the app has no decorated function {function}(); {there}; {hint} "
        f"To enqueue it nevertheless, write ud_spool_func={function} ud_spool_ret=-2"
    )


def _json(option: str, text: str | None, kind: type[Any]) -> Any:
    if text is None:
        return kind()
    import json

    try:
        value = json.loads(text)
    except ValueError as error:
        raise UsageError(f"{option} {text}: not JSON: {error}") from None
    if not isinstance(value, kind):
        raise UsageError(f"{option} {text}: expected a JSON {'list' if kind is list else 'object'}")
    return value


def when(text: str, now: float) -> int:
    """A time in whole epoch seconds: epoch seconds, +SECONDS from `now`, or a local date and time.

    Raises UsageError; also for a time past the year 9999, which uWSGI may take for none.
    """
    from datetime import datetime

    try:
        if text.startswith("+"):
            seconds = int(now + float(text[1:]))
        elif text.isascii() and text.isdigit():
            seconds = int(text)
        else:
            seconds = int(datetime.fromisoformat(text).timestamp())
    except (ValueError, OverflowError):
        raise UsageError(f"--at {text}: write epoch seconds, +SECONDS, or YYYY-MM-DD[THH:MM[:SS]]") from None
    if seconds > _LAST:
        raise UsageError(f"--at {text}: that is past the year 9999; expected epoch seconds (milliseconds?)")
    return seconds


def _body(path: str) -> bytes:
    try:
        return sys.stdin.buffer.read() if path == "-" else system.read_whole(path)
    except OSError as error:
        raise SpoolsimError(f"--body-file {path}: {error.strerror}") from None
