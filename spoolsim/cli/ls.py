"""`spoolsim ls`, `show`, `why`, `log` and `stats`: what is known of tasks, printed."""

from __future__ import annotations

import shutil
import sys
import time
from functools import partial

import click

from spoolsim import printable
from spoolsim.cli import complete
from spoolsim.cli.out import out, screen
from spoolsim.cli.spools import (
    Look,
    file_argument,
    filter_options,
    function_option,
    span_of,
    spool_options,
    task_arguments,
)
from spoolsim.errors import PacketError
from spoolsim.spool.packet import decode
from spoolsim.tasks import past, records, select
from spoolsim.tasks.describe import BODY, value_of
from spoolsim.tasks.facts import gather
from spoolsim.tasks.listing import Filter, read_head
from spoolsim.tasks.processes import UWSGI, servers
from spoolsim.tasks.spans import span
from spoolsim.tasks.states import DONE as FINISHED
from spoolsim.tasks.states import STATES
from spoolsim.tasks.stats import BUCKETS, by_function, spread
from spoolsim.tasks.why import explain

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from spoolsim.tasks.attempts import Attempt
    from spoolsim.tasks.history import Attempts
    from spoolsim.tasks.listing import Row

#: seconds between two looks for new attempts
_FOLLOW = 0.5
_HEADER = f"{'ID':<8} {'STATE':<13} {'AGE':>8} {'TRIES':>5} {'NEXT':>8}  TASK"


@click.command(
    epilog="\b\nExamples:\n  spoolsim ls --state failed --func mail\n  spoolsim ls --older 5m --json | jq .id"
)
@file_argument
@spool_options
@filter_options
@click.option("--watch", is_flag=True, help="Repeat every second until Ctrl-C; in a pipe, list once.")
def ls(look: Look, wanted: Filter, watch: bool) -> None:
    """List tasks, newest first: state, age, attempts, next run, function and arguments, and why. Changes nothing."""
    if not watch or not sys.stdout.isatty():
        _list(look, wanted, sys.stdout.isatty())
        return
    try:
        while True:
            size = shutil.get_terminal_size()
            lines = _lines(look, wanted, size.columns)
            screen("\n".join(lines[: size.lines - 2] + lines[-1:]))
            time.sleep(1)
    except KeyboardInterrupt:
        pass  # that is how it ends


def _list(look: Look, wanted: Filter, terminal: bool) -> None:
    if look.as_json or look.quiet:
        for row in _fitting(look, wanted):
            if look.as_json:
                look.record(records.task(row, look.now))
            else:
                out(row.id)
        return
    for line in _lines(look, wanted, shutil.get_terminal_size().columns if terminal else 0):
        out(line)


def _fitting(look: Look, wanted: Filter) -> list[Row]:
    finished = FINISHED in wanted.states
    rows = look.rows(finished=finished)
    if finished:
        look.recall(rows)
    return [row for row in rows if wanted.fits(row, look.now)]


def _lines(look: Look, wanted: Filter, width: int) -> list[str]:
    rows = _fitting(look, wanted)
    lines = [_HEADER] if rows else []
    for row in rows:
        lines.append(_line(row, look.now))
        if look.verbose:
            lines.append(f"         {printable.value(row.path)}")
    counts = {state: sum(row.state == state for row in rows) for state in STATES}
    each = ", ".join(f"{count} {state}" for state, count in counts.items() if count)
    lines.append(printable.counted(len(rows), "task") + (f": {each}" if each else ""))
    return [line[: width - 1] if width else line for line in lines]


def _line(row: Row, now: float) -> str:
    ahead = "" if row.next_run is None else "now" if row.next_run <= now else span(row.next_run - now)
    pid = f" (pid {row.holder.pid})" if row.holder else ""
    why = f"  {printable.value(row.why)}" if row.why else ""
    age = span(now - row.enqueued)
    return f"{row.id:<8} {row.state:<13} {age:>8} {row.tries or '':>5} {ahead:>8}  {row.call.line()}{pid}{why}"


@click.command()
@spool_options
@task_arguments
def show(look: Look, tasks: tuple[str, ...]) -> None:
    """Show everything about a task: variables, arguments, the beginning of its body, every attempt. Loads no pickle."""
    for row in _named(look, tasks):
        recorded = look.attempts(row.spool)
        row.attempts = [recorded.detail(attempt) for attempt in row.attempts]
        variables, body, size, problem = _content(row, recorded)
        if look.as_json:
            look.record(records.whole(row, variables, body, size, look.now))
            continue
        out(f"#{row.id} {row.call.line(500)}")
        out(f"  state      {row.state}" + (f", process {row.holder.pid}" if row.holder else ""))
        if row.why and row.state != FINISHED:
            out(f"  why        {printable.value(row.why)}")
        out(f"  enqueued   {_time(row.enqueued)}, {span(look.now - row.enqueued)} ago")
        if row.next_run is not None and row.next_run > look.now:
            out(f"  next run   {_time(row.next_run)}, in {span(row.next_run - look.now)}")
        size_now = "gone" if row.state == FINISHED else printable.counted(row.size, "byte")
        out(f"  file       {printable.value(row.path)}, {size_now}")
        if problem:
            out(f"  content    {problem}")
        for key, value in variables.items():
            out(f"  variable   {value_of(key)}: {value_of(value, 2000)}")
        if size:
            out(f"  body       {printable.counted(size, 'byte')}: {value_of(body, 2000)}")
        _show_attempts(row)


def _show_attempts(row: Row) -> None:
    for attempt in row.attempts:
        out(f"  attempt    {_attempt(attempt)}")
        for kind, text in (("printed", attempt.output), ("raised", attempt.traceback), ("locals", attempt.names)):
            for number, line in enumerate(text.splitlines()):
                out(f"    {kind if not number else '':8} {printable.printable(line)}")
    if missing := _unrecorded(row):
        out(f"  attempts   {missing}")


def _unrecorded(row: Row) -> str:
    """What is not known of past attempts, in words."""
    if any(server.kind == UWSGI for server in servers(row.spool.path) or ()):
        return "those of real uWSGI, which serves this directory now, are not recorded"
    if not row.attempts:
        return "none is recorded; real uWSGI and --faithful record none"
    return ""


def _content(row: Row, recorded: Attempts) -> tuple[dict[bytes, bytes], bytes, int, str]:
    """Variables, the beginning of the body, its size, and why they cannot be had."""
    try:
        if row.state != FINISHED:
            return *read_head(row.path), ""
        data = recorded.data(row.task)
        if data is None:
            return {}, b"", 0, "not known; the history does not hold it"
        variables, body = decode(data)
        return variables, body[:BODY], len(body), "from the history"
    except PacketError as error:
        return {}, b"", 0, f"it cannot be read as a task: {error}"
    except OSError as error:
        return {}, b"", 0, f"it cannot be read: {error.strerror}"


def _attempt(attempt: Attempt) -> str:
    why = f": {printable.value(attempt.why)}" if attempt.why else ""
    took = f"after {span(attempt.seconds)} in process {attempt.pid}"
    wait = f", waited {span(attempt.wait)}" if attempt.wait is not None else ""
    code = f", code of load {attempt.generation}" if attempt.generation > 1 else ""
    return f"{attempt.number}  {_time(attempt.ended)}  {attempt.outcome} {took}{wait}{code}{why}"


def _time(when: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(min(max(when, 0), 253_402_300_799)))


@click.command()
@spool_options
@task_arguments
def why(look: Look, tasks: tuple[str, ...]) -> None:
    """Say why a task has not run, or runs again and again, and what to do."""
    for row in _named(look, tasks):
        found = explain(gather(row, look.where.setting, look.now))
        if look.as_json:
            look.record(records.reasons(row, found, look.now))
            continue
        out(f"#{row.id} {row.call.line()}")
        for reason in found:
            out(f"  {printable.value(reason.line())}")


def _named(look: Look, tasks: tuple[str, ...]) -> list[Row]:
    rows = select.chosen(look.rows(finished=True), look.where, tasks, False, Filter(), look.now, has_all=False)
    look.recall(rows)
    return rows


@click.command()
@file_argument
@spool_options
@click.option(
    "--task", "tasks", multiple=True, metavar="TASK", shell_complete=complete.tasks, help="Attempts at this task."
)
@function_option
@click.option(
    "--since", type=span_of, default=None, metavar="SPAN", help="Attempts not longer ago, such as 90, 5m, 2h, 1d."
)
@click.option("--failed", is_flag=True, help="Only attempts after which the task stayed.")
@click.option("--follow", is_flag=True, help="Go on with new attempts until Ctrl-C.")
def log(look: Look, tasks: tuple[str, ...], function: str, since: float | None, failed: bool, follow: bool) -> None:
    """List past attempts, oldest first. Real uWSGI on the same directory records none."""
    rows = select.named(look.rows(finished=True), look.where, tasks)
    start = 0 if since is None else look.now - since
    wanted = past.Wanted(frozenset((row.spool.path, row.task) for row in rows), function, start, failed)
    found: Iterable[Attempt] = _all(look)
    known = look.rows(finished=True)
    try:
        while True:
            for entry in past.entries(found, known, wanted, partial(_detail, look)):
                _print_entry(look, entry)
            if not follow:
                return
            time.sleep(_FOLLOW)
            until = time.time() - _FOLLOW
            found = [attempt for spool in look.where.spools for attempt in look.attempts(spool).added(until)]
            known = look.rows() if found else known
    except KeyboardInterrupt:
        pass  # that is how it ends


def _print_entry(look: Look, entry: past.Entry) -> None:
    attempt = entry.attempt
    if look.as_json:
        look.record(records.attempt(attempt, entry.id, entry.call))
    elif look.quiet:
        out(entry.id)
    else:
        what = f"{entry.id:<8} {attempt.outcome:<7} {attempt.number:>3} {span(attempt.seconds):>7}"
        why = f"  {printable.value(attempt.why)}" if attempt.why else ""
        out(f"{_time(attempt.ended)}  {what}  {entry.call or printable.value(attempt.task)}{why}")


def _all(look: Look) -> Iterable[Attempt]:
    for spool in look.where.spools:
        yield from look.attempts(spool).all()


def _detail(look: Look, attempt: Attempt) -> Attempt:
    (spool,) = (spool for spool in look.where.spools if spool.path == attempt.spool)
    return look.attempts(spool).detail(attempt)


def _spans(times: list[float]) -> str:
    return " ".join(f"{span(value):>8}" for value in spread(times).values())


@click.command()
@file_argument
@spool_options
def stats(look: Look) -> None:
    """Count runs, failures and times of each function, and how old the waiting tasks are."""
    found = by_function(look.rows(), map(partial(_detail, look), _all(look)), look.now)
    if look.as_json:
        for function in found:
            look.record(records.function(function))
        return
    if not found:
        out("no task waits, and no attempt is recorded")
        return
    out(f"{'RUNS':>7} {'DONE':>7} {'RETRIES':>7} {'DIED':>5} {'FAILED':>6} {'P50':>8} {'P95':>8} {'MAX':>8}  FUNCTION")
    for each in found:
        numbers = f"{each.runs:>7} {each.done:>7} {each.retries:>7} {each.died:>5} {each.failed:>6}"
        out(f"{numbers} {_spans(each.times)}  {each.name}")
    waited = [each for each in found if each.waits]
    if waited:
        out("")
        out(f"{'WAITED BEFORE THEY RAN':36} {'P50':>8} {'P95':>8} {'MAX':>8}  FUNCTION")
    for each in waited:
        out(f"{'':36} {_spans(each.waits)}  {each.name}")
    if not any(sum(each.waiting) for each in found):
        return
    out("")
    out("WAITING " + " ".join(f"{name:>6}" for _, name in BUCKETS) + "  FUNCTION")
    for each in found:
        if sum(each.waiting):
            out(f"{sum(each.waiting):>7} " + " ".join(f"{count:>6}" for count in each.waiting) + f"  {each.name}")
