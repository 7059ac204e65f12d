"""What a drain leaves behind, task by task, and the exit status that tells."""

from __future__ import annotations

import os
import time

from spoolsim.spool.journal import DIED, read
from spoolsim.spool.look import FUTURE, look

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from spoolsim.log import Log
    from spoolsim.options import Options
    from spoolsim.spool.directory import SpoolDir
    from spoolsim.spool.look import Found

NOTHING_LEFT, DUE_LEFT = 0, 1
#: so many are listed in full
_SHOWN = 50


def report(spools: Sequence[SpoolDir], options: Options, reasons: Mapping[str, str], log: Log) -> int:
    """List the tasks that are left in these directories; returns 0 when none of them is due, else 1.

    reasons: path -> what its handler did, for those that were tried.
    """
    now = time.time()
    due: list[Found] = []
    future: list[Found] = []
    for path in dict.fromkeys(spool.path for spool in spools if not spool.external):
        spool = next(spool for spool in spools if spool.path == path)
        history = () if options.faithful else read(spool)  # uWSGI keeps no journal
        killers = {line.task: line for line in history if line.outcome == DIED}
        for task in look(spool, ordered=options.ordered, now=now):
            killer = killers.get(os.path.relpath(task.path, spool.path))
            if killer is not None:  # it waits because it kills its spooler; that is not being early
                task.why = f"{killer.why}, {killer.attempt}x"
            (future if task.state == FUTURE and killer is None else due).append(task)
    for task in due[:_SHOWN]:
        why = reasons.get(task.path) or task.why or "was not tried: it came after the last pass"
        log.say(f"left: {_short(task.path, spools)}: {why}")
    if len(due) > _SHOWN:
        log.say(f"left: {len(due) - _SHOWN} more")
    for task in sorted(future, key=lambda task: task.mtime)[:_SHOWN]:
        log.say(f"future: {_short(task.path, spools)}: due in {task.mtime - now:.0f} s ({time.ctime(task.mtime)})")
    if len(future) > _SHOWN:
        log.say(f"future: {len(future) - _SHOWN} more")
    log.say(f"drained: {len(due)} due left, {len(future)} for later")
    return DUE_LEFT if due else NOTHING_LEFT


def _short(path: str, spools: Sequence[SpoolDir]) -> str:
    """The path below its spool directory when there is only one; that directory itself in full."""
    roots = {spool.path for spool in spools}
    return os.path.relpath(path, roots.pop()) if len(roots) == 1 and path not in roots else path
