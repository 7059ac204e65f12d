"""What a drain leaves behind, task by task, and the exit status that tells."""

from __future__ import annotations

import os
import time

from spoolsim.spool.journal import DIED, read
from spoolsim.spool.look import FUTURE, look

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from spoolsim.log import Log
    from spoolsim.options import Options
    from spoolsim.spool.directory import SpoolDir
    from spoolsim.spool.look import Found
    from spoolsim.work.remains import Remains

NOTHING_LEFT, DUE_LEFT = 0, 1
#: so many are listed in full
_SHOWN = 50


def report(spools: Sequence[SpoolDir], options: Options, remains: Remains, log: Log) -> int:
    """List the tasks that are left in these directories; returns 0 when all that was due is done, else 1.

    remains: what became of those that were tried, and whether the drain came to its end.
    """
    now = time.time()
    due: list[tuple[str, str]] = []
    future: list[Found] = []
    for spool in _served(spools):
        history = read(spool) if options.policy.keeps_state else ()  # uWSGI keeps no journal
        killers = {line.task: line for line in history if line.outcome == DIED}
        for task in look(spool, ordered=options.ordered, now=now):
            why = remains.reasons.get(task.path, "")
            killer = killers.get(os.path.relpath(task.path, spool.path))
            if killer is not None:
                why = f"{killer.why} ({killer.attempt} attempts)" if killer.attempt > 1 else killer.why
            if not why and task.state == FUTURE:
                future.append(task)
                continue
            # one that failed and waits (--retry-delay, or as it kills its spooler) is not early
            later = f"; it waits another {task.mtime - now:.0f} s" if task.state == FUTURE else ""
            due.append((task.path, (why or task.why or "was not tried") + later))
    # of a drain that was ended early only those that were tried: the others are many, and all the same
    shown = [(path, why) for path, why in due if path in remains.reasons] if remains.stopped else due
    for path, why in shown[:_SHOWN]:
        log.say(f"left: {_short(path, spools)}: {why}")
    if len(shown) > _SHOWN:
        log.say(f"left: {len(shown) - _SHOWN} more")
    if not remains.stopped:
        for task in sorted(future, key=lambda task: task.mtime)[:_SHOWN]:
            log.say(f"future: {_short(task.path, spools)}: due in {task.mtime - now:.0f} s ({time.ctime(task.mtime)})")
        if len(future) > _SHOWN:
            log.say(f"future: {len(future) - _SHOWN} more")
    return _sum_up(len(due), len(future), remains, log)


def _served(spools: Sequence[SpoolDir]) -> list[SpoolDir]:
    return list({spool.path: spool for spool in spools if not spool.external}.values())


def _sum_up(due: int, future: int, remains: Remains, log: Log) -> int:
    """The last line. It begins with "drained: 0" only when each task that was due has been run and is done."""
    counts = f"{due} due left, {future} for later"
    if remains.aside:
        counts = f"{len(remains.aside)} moved into .spoolsim/ (see `spoolsim ls`), {counts}"
    if remains.dropped:
        counts = f"{len(remains.dropped)} deleted without being run, as uWSGI does, {counts}"
    if remains.stopped:
        log.say(f"not drained, {remains.stopped}: {counts}", error=True)
    else:
        log.say(f"drained: {counts}")
    return DUE_LEFT if due or remains.aside or remains.dropped else NOTHING_LEFT


def _short(path: str, spools: Sequence[SpoolDir]) -> str:
    """The path below its spool directory when there is only one; that directory itself in full."""
    roots = {spool.path for spool in spools}
    return os.path.relpath(path, roots.pop()) if len(roots) == 1 and path not in roots else path
