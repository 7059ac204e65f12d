"""What a log for people says beside uWSGI's lines. On the start path: the story itself is imported when needed."""

from __future__ import annotations

import os

from spoolsim.printable import counted, printable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from spoolsim.log import Log

#: so many functions are named
_SHOWN = 8
#: what fires signals: its kind, and its name
_KINDS = {
    "timer": "timer",
    "ms_timer": "timer in milliseconds",
    "rb_timer": "rb timer",
    "cron": "cron",
    "file": "file monitor",
}


def tell(log: Log) -> None:
    """Give a log that people read its story, if it has none."""
    if log.pretty and log.story is None:
        from spoolsim.tasks.story import Story

        log.story = Story(log)


def found(log: Log, functions: Sequence[str], timed: Sequence[str]) -> None:
    """The app is imported. functions: the names of its spooler functions. timed: the kind of each timer and cron."""
    if log.story is None:
        return
    names = ", ".join(functions[:_SHOWN]) + (", …" if len(functions) > _SHOWN else "")
    beats = [counted(timed.count(kind), name) for kind, name in _KINDS.items() if kind in timed]
    what = [f"{counted(len(functions), 'function')} ({printable(names)})"] if functions else ["no spooler function"]
    log.say(f"found {', '.join(what + beats)}")


def serving(log: Log, processes: Sequence[str]) -> None:
    """The start is over. processes: the spool directory of each."""
    if log.story is not None and processes:
        places = ", ".join(_short(path) for path in dict.fromkeys(processes))
        log.say(f"serving {places} with {counted(len(processes), 'process', 'processes')}; Ctrl-C stops")


def stopped(log: Log, done: int, kept: int) -> None:
    """The end. kept: attempts after which a task stayed."""
    if log.story is not None:
        more = f", {counted(kept, 'attempt')} failed or asked to be retried" if kept else ""
        log.say(f"stopped: {counted(done, 'task')} done{more}")


def _short(path: str) -> str:
    try:
        return os.path.relpath(path)
    except OSError:  # our own directory was removed
        return path
