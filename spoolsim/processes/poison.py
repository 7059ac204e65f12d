"""Tasks that kill their spooler: recognised, named, and slowed, so that they do not starve the others.

uWSGI restarts the process, which meets the same task again, at once and for ever.
"""

from __future__ import annotations

import os
import signal
import time

from spoolsim.spool.journal import DIED, Journal
from spoolsim.spool.settle import make_due
from spoolsim.work import recorder

TYPE_CHECKING = False
if TYPE_CHECKING:
    from spoolsim.spool.directory import SpoolDir
    from spoolsim.work.app import App
    from spoolsim.work.recorder import Box

#: deaths of one task before it has to wait
_PATIENCE = 2
#: seconds: the first wait, and the longest
_FIRST, _LONGEST = 2, 300
#: bytes of a task's file that its name in the log is taken from: all variables, and the begin of a body
_READ = 2 << 16
#: so many tasks are remembered
_REMEMBERED = 1000


class Poison:
    """What the fork server knows of tasks whose spooler died while it ran them."""

    __slots__ = ("_app", "_deaths", "_journals")

    def __init__(self, app: App) -> None:
        self._app = app
        self._deaths: dict[tuple[str, str], int] = {}
        self._journals: dict[str, Journal] = {}

    def died(self, spool: SpoolDir, task: str, how: str, took: int, pid: int = 0, box: Box | None = None) -> None:
        """A spooler died while it ran `task` (its path below the directory).

        how: what `ended` says. took: nanoseconds. box: what it has left of its history, if it kept one.
        """
        app = self._app
        if not (task and app.policy.postpones_deadly_tasks):
            return
        key = (spool.path, task)
        deaths = self._deaths.pop(key, 0) + 1
        if len(self._deaths) >= _REMEMBERED:
            del self._deaths[next(iter(self._deaths))]
        self._deaths[key] = deaths
        if not app.options.no_journal:
            journal = self._journals.setdefault(spool.path, Journal(spool))
            attempt = journal.add(task, DIED, took, f"its spooler {how}")
            if box is not None:
                line = recorder.died(
                    app,
                    box,
                    task,
                    f"its spooler {how}",
                    took=took,
                    attempt=attempt,
                    pid=pid,
                    at=journal.at,
                    file=_begin_of(spool, task),
                )
                recorder.bury(app.options, spool, box, line)
        if app.log.story is not None:
            again = f" ({deaths} times)" if deaths > 1 else ""
            data, _ = _begin_of(spool, task)
            app.log.story.killed(task, data, took / 1e9, f"its spooler {how}{again}; the task stays")
        else:
            app.log.say(f"the spooler of task {task} {how} while it ran ({deaths}x); the task stays", error=True)
        if deaths > _PATIENCE:
            self._postpone(spool, task, deaths)

    def _postpone(self, spool: SpoolDir, task: str, deaths: int) -> None:
        wait = min(_FIRST * 2 ** min(deaths - _PATIENCE - 1, 10), _LONGEST)
        until = time.time() + wait
        try:
            home = os.open(spool.path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError:
            return  # gone meanwhile
        try:  # from the directory: with it the path may be longer than the kernel takes one
            make_due(task, until, home=home)
        except OSError:
            return
        finally:
            os.close(home)
        self._app.notes.give("poison-task", f"{spool.path}/{task}", f"{deaths} spoolers died; it waits {wait} s")


def _begin_of(spool: SpoolDir, task: str) -> tuple[bytes, float]:
    """The bytes of a task's file, and its time, in epoch seconds; b"" and 0 where it cannot be read."""
    try:
        with open(os.path.join(spool.path, task), "rb", opener=_opened) as file:
            return file.read(_READ), os.fstat(file.fileno()).st_mtime
    except OSError:
        return b"", 0


def _opened(path: str, flags: int) -> int:
    """A FIFO in its place keeps nobody waiting."""
    return os.open(path, flags | os.O_NONBLOCK)


def ended(status: int, *, harakiri: bool = False) -> str:
    """How a process ended, in words that follow its name.

    status: as os.waitstatus_to_exitcode gives it. harakiri: it was killed at its harakiri's deadline.
    """
    if harakiri:
        return "was killed by its harakiri"
    return f"was killed by {_signal_name(-status)}" if status < 0 else f"exited with status {status}"


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
