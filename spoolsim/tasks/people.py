"""What a log for people says beside uWSGI's lines. On the start path: the story itself is imported when needed."""

from __future__ import annotations

import os

from spoolsim.printable import counted

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from spoolsim.log import Log


def tell(log: Log) -> None:
    """Give a log that people read its story, if it has none."""
    if log.pretty and log.story is None:
        from spoolsim.tasks.story import Story

        log.story = Story(log)


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
