"""`spoolsim enqueue`: one spool file by hand, as uwsgi.spool() would write it."""

from __future__ import annotations

import os
import time

import click

from spoolsim.cli.out import out
from spoolsim.diagnose import Notes
from spoolsim.errors import SpoolsimError, UsageError
from spoolsim.log import Log
from spoolsim.spool.directory import SpoolDir
from spoolsim.spool.enqueue import Producer

#: keys that steer, with an option of their own
_STEERING = {"at": "--at", "priority": "--priority", "body": "--body-file", "spooler": "--spooler"}

#: the last second of the year 9999
_LAST = 253_402_300_799


@click.command(epilog="\b\nExamples:\n  spoolsim enqueue --spooler spool user=42 action=mail\n"
    "  spoolsim enqueue --spooler spool --at +60 --priority 3 --body-file report.pdf kind=report")  # fmt: skip
@click.option("--spooler", "directory", required=True, metavar="DIR", help="The spool directory; it must exist.")
@click.option("--body-file", metavar="FILE", help="The body; - for standard input.")
@click.option("--at", metavar="TIME", help="Not before: epoch seconds, +SECONDS, or YYYY-MM-DD[THH:MM[:SS]].")
@click.option("--priority", metavar="N", help="Sub-directory; a number (it needs spooler-ordered).")
@click.option("--function", metavar="NAME", help="Call this function, decorated with @spool.")
@click.option("--durable", is_flag=True, help="Come back only when the file is on the disk.")
@click.argument("variables", nargs=-1, metavar="KEY=VALUE...")
def enqueue(
    directory: str,
    body_file: str | None,
    at: str | None,
    priority: str | None,
    function: str | None,
    durable: bool,
    variables: tuple[str, ...],
) -> None:
    """Write one spool file and print its path. Running spoolers of the directory wake."""
    job: dict[object, object] = {}
    if function:
        job |= {b"ud_spool_func": os.fsencode(function), b"ud_spool_ret": b"-2"}
    for variable in variables:
        key, equals, value = variable.partition("=")
        if not equals or not key:
            raise UsageError(f"{variable!r} is no KEY=VALUE; write it as {key or 'key'}=value")
        if key in _STEERING:
            raise UsageError(f"{variable!r}: use {_STEERING[key]} for this")
        job[os.fsencode(key)] = os.fsencode(value)
    if at is not None:
        job[b"at"] = str(when(at, time.time())).encode()
    if priority is not None:
        job[b"priority"] = os.fsencode(priority)
    if body_file is not None:
        job[b"body"] = _body(body_file)
    log = Log()
    spool = SpoolDir.resolve(directory, start=os.getcwd(), make=False)
    producer = Producer([spool], log=log, notes=Notes(log.note, silenced=("body-removed", "priority-unordered")))
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


def when(text: str, now: float) -> int:
    """A time in whole epoch seconds: epoch seconds, +SECONDS from `now`, or a local date and time.

    Raises UsageError; also for a time behind the year 9999, which uWSGI may take for none.
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
        raise UsageError(f"--at {text}: this is behind the year 9999; epoch seconds are meant, not milliseconds")
    return seconds


def _body(path: str) -> bytes:
    try:
        with click.open_file(path, "rb") as file:
            return bytes(file.read())
    except OSError as error:
        raise SpoolsimError(f"--body-file {path}: {error.strerror}") from None
