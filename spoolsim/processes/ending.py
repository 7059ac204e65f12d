"""How a run ends: what the signals mean that ask for it, its exit status, and what was left undone."""

from __future__ import annotations

import os
import signal

from spoolsim.work.remains import Remains

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TypeAlias

    from spoolsim.diagnose import Notes
    from spoolsim.log import Log
    from spoolsim.options import Options
    from spoolsim.processes.loop import Loop

    #: a process that had to be killed: its directory, its number, the path of its task below the directory ("" for a
    #: signal's handler), and why
    Killed: TypeAlias = tuple[str, int, str, str]

#: exit statuses: stopped as asked; a task had to be killed, or the start failed; +128 for a second signal, as shells do
OK, FAILED, BY_SIGNAL = 0, 1, 128
#: what a signal asks for
RESTART, STOP, KILL, NOTHING = "restart", "stop", "kill", ""

_NAMES = {signal.SIGINT: "SIGINT", signal.SIGTERM: "SIGTERM", signal.SIGQUIT: "SIGQUIT"}
ASKING = frozenset(_NAMES)
#: the same signal again within this time came from the same key press, through the process group
_SAME_PRESS = 0.3


class Ending:
    """The end of one run.

    Attributes:
        status: The exit status.
        begun: The run is ending.
        remains: What a drain did not get done, as its spoolers report it, and why it was cut short.
        unfinished: Tasks, and handlers of signals, that were killed as they did not end in their time.
    """

    def __init__(self, options: Options, log: Log, notes: Notes, loop: Loop) -> None:
        self.status = OK
        self.begun = False
        self.remains = Remains()
        self.unfinished = 0
        self._at_once = False
        self._since = 0.0
        self._options = options
        self._policy = options.policy
        self._log = log
        self._notes = notes
        self._loop = loop

    def begin(self) -> None:
        """From now on."""
        self.begun = True
        self._since = self._loop.now()

    def failed(self, why: str = "") -> None:
        """Something went wrong: the status says so, unless it says more already. why: it is why a drain ended."""
        self.status = self.status or FAILED
        self.remains.stopped = why or self.remains.stopped

    def exited(self, status: int) -> None:
        """The app called sys.exit while it was imported: the run ends with its status, as uWSGI does."""
        self.remains.stopped = "the app called sys.exit while it was imported"
        self.status = status
        self.begun = True

    def unable(self, why: str) -> None:
        """The system, or a limit, does not let the fork server load any app: the run ends, as uWSGI does."""
        self._log.say(why, error=True)
        self.failed("the fork server could not start")
        self.begun = True

    def outlived(self, orphan: str, then: str) -> None:
        """A spooler without a fork server had its time to end, and did not."""
        self._log.say(f"{orphan}, of the killed fork server, {then}", error=True)
        self.failed()

    def asked(self, number: int, running: int) -> str:
        """SIGINT, SIGTERM or SIGQUIT came, while so many tasks run; returns what it asks for."""
        options = self._options
        name = _NAMES[signal.Signals(number)]
        if number == signal.SIGQUIT and options.die_on_term and not self._policy.stops_when_asked:
            return RESTART
        if number == signal.SIGTERM and not options.die_on_term and not self._policy.stops_on_sigterm:
            return RESTART
        self.remains.stopped = self.remains.stopped or f"stopped by {name}"
        if not self._policy.finishes_tasks_on_stop:
            if self.begun:
                return NOTHING
            self._log.line("SIGINT/SIGTERM received...killing workers...")
            return KILL
        if self.begun:
            return self._asked_again(number, name)
        if number == signal.SIGTERM and not options.die_on_term:
            self._notes.give("sigterm")
        elif number == signal.SIGQUIT and options.die_on_term:
            self._notes.give("stop-reloads")
        if running:
            self._notes.give("graceful-stop")
            self._log.say(
                f"{name}: {running} running, at most {options.stop_grace:g} s to finish; again to end at once"
            )
        return STOP

    def _asked_again(self, number: int, name: str) -> str:
        if self._at_once or self._loop.now() - self._since <= _SAME_PRESS:
            return NOTHING
        self._at_once = True
        self.status = BY_SIGNAL + number
        self._log.say(f"{name} again: ending at once; running tasks stay in the spool")
        return KILL

    def killed(self, where: str, pid: int, task: str | None) -> Killed | None:
        """A leaving process is to be killed, after its time or at the second Ctrl-C: what does it do?

        task: as `Fleet.task` says. Returns None for one that has no task, which is reported at once.
        """
        options = self._options
        if self._at_once:
            why = "at the second signal"
        elif self.begun:
            why = f"stop-grace ({options.stop_grace:g} s) is over"
        else:
            why = f"reload-mercy ({options.reload_mercy:g} s) is over"
        if task is None:
            self._log.say(f"{where}: spooler {pid} has no task and does not end; it is killed, {why}")
            return None
        return where, pid, task, why

    def say_killed(self, killed: Killed) -> None:
        """It is dead: report what became of its task, for another process may have run that by now."""
        where, pid, task, why = killed
        self.unfinished += 1
        if not task:
            what = "it did not finish a signal's handler"
        elif os.path.lexists(os.path.join(where, task)):
            what = f"its task {task} stays"
        else:
            what = f"its task {task} is no longer in the spool"
        self._log.say(f"{where}: spooler {pid} is killed, {why}; {what}", error=True)
