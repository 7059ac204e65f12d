"""`spoolsim retry`, `rerun`, `hold`, `release`, `edit`, `rm`, `undo` and `mv`: what a person does to tasks."""

from __future__ import annotations

import os
import sys
import time

import click

from spoolsim import printable
from spoolsim.cli.enqueue import when
from spoolsim.cli.out import out, tell
from spoolsim.cli.spools import Look, filter_options, spool_options, task_argument, task_arguments
from spoolsim.errors import SpoolsimError, UsageError
from spoolsim.spool.directory import SpoolDir
from spoolsim.tasks import actions, records, select
from spoolsim.tasks.listing import Filter, Row
from spoolsim.tasks.states import FAILED, HELD, IN_QUEUE, NEVER, REMOVED, UNFINISHED
from spoolsim.tasks.text import from_text, pair, to_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any

_all = click.option("--all", "everything", is_flag=True, help="All tasks that the filters leave.")


def _many(command: Callable[..., None]) -> Callable[..., None]:
    """The arguments of a command for many tasks."""
    return spool_options(filter_options(_all(task_arguments(command))))


def _report(look: Look, results: Iterable[actions.Result]) -> None:
    """Print what was done; exit status 1 where a task is not as was asked."""
    well, found = True, False
    for result in results:
        found = True
        well = well and result.well
        text = f"#{result.row.id} {result.row.call.line()} {printable.value(result.text)}"
        if look.as_json:
            look.record(records.result(result))
        elif not result.well:
            tell(f"[spoolsim] {text}")
        elif not look.quiet:
            out(f"{text}: {printable.value(result.path)}" if look.verbose or result.action == "rerun" else text)
    if not found and not look.quiet:
        tell(f"[spoolsim] no task to {click.get_current_context().info_name}; `spoolsim ls` lists what there is")
    if not well:
        sys.exit(1)


def _chosen(
    look: Look, tasks: tuple[str, ...], everything: bool, wanted: Filter, states: frozenset[str], finished: bool = False
) -> list[Row]:
    """The tasks that are named, or all that fit: of these states, where none is asked for."""
    if not wanted.states:
        wanted = Filter(states, wanted.function, wanted.older, wanted.grep)
    rows = select.chosen(look.rows(finished=finished), look.where, tasks, everything, wanted, look.now)
    look.recall(rows)
    return rows


@click.command(epilog="\b\nExamples:\n  spoolsim retry 3fa\n  spoolsim retry --all --func mail")
@_many
def retry(look: Look, tasks: tuple[str, ...], everything: bool, wanted: Filter) -> None:
    """Make failed, delayed or broken tasks due now; without a TASK, all that failed."""
    rows = _chosen(look, tasks, everything or not tasks, wanted, frozenset({FAILED}))
    _report(look, (actions.retry(row, look.now) for row in rows))


@click.command()
@_many
def hold(look: Look, tasks: tuple[str, ...], everything: bool, wanted: Filter) -> None:
    """Take tasks out of the queue until they are released; no spooler, uWSGI included, sees them meanwhile."""
    rows = _chosen(look, tasks, everything, wanted, IN_QUEUE - {UNFINISHED, NEVER})
    _report(look, (actions.hold(row) for row in rows))


@click.command()
@_many
def release(look: Look, tasks: tuple[str, ...], everything: bool, wanted: Filter) -> None:
    """Bring held tasks back."""
    rows = _chosen(look, tasks, everything, wanted, frozenset({HELD}))
    _report(look, (actions.release(row) for row in rows))


@click.command()
@_many
@click.option("--yes", is_flag=True, help="Do not ask.")
def rm(look: Look, tasks: tuple[str, ...], everything: bool, wanted: Filter, yes: bool) -> None:
    """Remove tasks; asks first. They go to a trash from which `spoolsim undo` brings them back."""
    rows = _chosen(look, tasks, everything, wanted, frozenset())
    if rows and not yes:
        number = printable.counted(len(rows), "task")
        if not sys.stdin.isatty():
            raise UsageError(f"remove {number}? add --yes, as there is no terminal to ask on")
        for row in rows[:10]:
            tell(f"#{row.id} {row.call.line()}  {row.state}")
        if len(rows) > 10:
            tell(f"and {len(rows) - 10} more")
        click.confirm(f"Remove {number}?", abort=True, err=True)
    now = time.time()
    _report(look, (actions.remove(row, now) for row in rows))


@click.command()
@_many
def undo(look: Look, tasks: tuple[str, ...], everything: bool, wanted: Filter) -> None:
    """Bring removed tasks back to where they were: those named, --all, or those of the last rm."""
    if tasks or everything:
        rows = _chosen(look, tasks, everything, wanted, frozenset({REMOVED}))
    else:
        rows = actions.last_removed(look.rows())
        if not rows:
            raise SpoolsimError("there is nothing to undo: the trash is empty")
    _report(look, (actions.undo(row) for row in rows))


@click.command(epilog="\b\nExamples:\n  spoolsim mv 3fa other/spool\n  spoolsim mv --all --state failed debug/spool")
@_many
@click.argument("target", metavar="DIR")
def mv(look: Look, tasks: tuple[str, ...], everything: bool, wanted: Filter, target: str) -> None:
    """Move tasks to the queue of another spool directory, which must exist."""
    goal = SpoolDir.resolve(target, start=os.getcwd(), make=False)
    rows = _chosen(look, tasks, everything, wanted, frozenset())
    _report(look, (actions.transfer(row, goal) for row in rows))


def _changes(command: Callable[..., None]) -> Callable[..., None]:
    """The options that say how a task is changed; the command gets a `Change` as `change`."""

    def call(*args: Any, variables: tuple[str, ...], at: str | None, priority: str | None, **rest: Any) -> None:
        if priority is not None:
            actions.check_priority(priority)
        found = None if at is None else when(at, time.time())
        command(*args, change=actions.Change(dict(map(pair, variables)), at=found, priority=priority), **rest)

    from functools import update_wrapper

    wrapped: Callable[..., None] = update_wrapper(call, command)
    for option in (
        click.option("--priority", metavar="N", help="The priority; '' for none."),
        click.option("--at", metavar="TIME", help="Not before: epoch seconds, +SECONDS, or YYYY-MM-DD[THH:MM[:SS]]."),
        click.option("--set", "variables", multiple=True, metavar="KEY=VALUE", help="Add or replace a variable."),
    ):
        wrapped = option(wrapped)
    return wrapped


@click.command()
@spool_options
@_changes
@task_arguments
def rerun(look: Look, tasks: tuple[str, ...], change: actions.Change) -> None:
    """Enqueue a copy of a task as a new task, with the changes you name; the old one stays as it is."""
    rows = _chosen(look, tasks, False, Filter(), frozenset(), finished=True)
    _report(look, (actions.rerun(row, change, look.attempts(row.spool).data(row.task)) for row in rows))


@click.command()
@spool_options
@_changes
@click.option("--unset", "removed", multiple=True, metavar="KEY", help="Leave a variable out.")
@task_argument
def edit(look: Look, task: str, change: actions.Change, removed: tuple[str, ...]) -> None:
    """Change the variables of a waiting task: with options, or without any in $EDITOR."""
    (row,) = _chosen(look, (task,), False, Filter(), frozenset())
    change = actions.Change(change.set, [os.fsencode(key) for key in removed], change.at, change.priority)
    if not change:
        before = actions.variables_of(row)
        text = click.edit(to_text(f"Task {row.id} {row.call.line()}", before), extension=".py")
        change = from_text(text, before) if text is not None else change
        if not change:
            raise SpoolsimError("nothing was changed")
    _report(look, [actions.edit(row, change)])
