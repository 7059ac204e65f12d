"""What lifecycle decides for a slot is done here: an order to a fork server, a line of the log, a signal."""

from __future__ import annotations

import signal

from spoolsim.processes import events

TYPE_CHECKING = False
if TYPE_CHECKING:
    from spoolsim.diagnose import Notes
    from spoolsim.log import Log
    from spoolsim.options import Options
    from spoolsim.processes.cheap import Cheap
    from spoolsim.processes.ending import Ending, Killed
    from spoolsim.processes.events import Action
    from spoolsim.processes.fleet import Fleet
    from spoolsim.processes.generations import Generations
    from spoolsim.processes.loop import Loop
    from spoolsim.processes.orphans import Orphans


class Orders:
    """Carries out the actions of a fleet.

    Attributes:
        died_of: The status of the process that died last, as os.waitstatus_to_exitcode, for the line that says so.
    """

    def __init__(
        self,
        options: Options,
        log: Log,
        notes: Notes,
        loop: Loop,
        fleet: Fleet,
        generations: Generations,
        orphans: Orphans,
        ending: Ending,
        cheap: Cheap,
    ) -> None:
        self._options = options
        self._log = log
        self._notes = notes
        self._loop = loop
        self._fleet = fleet
        self._generations = generations
        self._orphans = orphans
        self._ending = ending
        self._cheap = cheap
        self.died_of = 0
        #: pid -> one that was told to be killed, and whose death is not known yet
        self._doomed: dict[int, Killed] = {}
        orphans.died = self.died

    def carry_out(self, number: int, action: Action) -> None:
        """One action of one slot."""
        if isinstance(action, events.Spawn):
            if self._generations.serving is not None:
                self._generations.serving.ask(number, action.seat)
        elif isinstance(action, events.Leave):
            self._fleet.mark_leaver(number, action.pid)
            self._generations.tell("leave", action.pid)
        elif isinstance(action, events.Kill):
            self._kill(number, action.pid)
        else:
            self._say(number, action)

    def _kill(self, number: int, pid: int) -> None:
        if self._options.policy.finishes_tasks_on_stop:
            if self._ending.begun:
                self._ending.failed()  # its grace is over
            self._remember(number, pid)
        self._fleet.mark_leaver(number, pid)
        self._generations.tell("kill", pid)
        self._orphans.kill(pid)

    def show_no_mercy(self) -> None:
        """What uWSGI does a second after a touch of touch-spoolers-reload: all spoolers are killed."""
        for number, pid in self._generations.spoolers():
            if number < self._fleet.served:
                self._log.dated(f"spooler {number + 1} (pid: {pid}) is taking too much time to die...NO MERCY !!!")
                self._generations.tell("kill", pid)

    def _remember(self, number: int, pid: int) -> None:
        seat = self._fleet.seat_of(number, pid)
        if number < self._fleet.served and seat >= 0 and pid not in self._doomed:
            killed = self._ending.killed(self._fleet.path(number), pid, self._fleet.task(seat))
            if killed is not None:
                self._doomed[pid] = killed

    def died(self, pid: int, status: int = -signal.SIGKILL) -> None:
        """A process is dead: one that was killed is reported, unless it had ended by itself first.

        status: as os.waitstatus_to_exitcode; without one it counts as killed.
        """
        self.died_of = status
        killed = self._doomed.pop(pid, None)
        if killed is not None and status == -signal.SIGKILL:
            self._ending.say_killed(killed)

    def close(self) -> None:
        """The run is over: nobody told of these deaths, as the fork server died first."""
        for pid in list(self._doomed):
            self.died(pid)

    def _say(self, number: int, action: events.Respawning | events.Ended | events.Crowding | events.BackingOff) -> None:
        """What happens to a slot, and needs no more than a word. A drain tells of its spoolers at its end."""
        path, quiet = self._fleet.path(number), self._options.drain
        if isinstance(action, events.Crowding):
            self._log.say(
                f"{path}: two processes from earlier reloads are still finishing their tasks; "
                f"the new code starts when one exits, or after {max(action.until - self._loop.now(), 0):.0f} s"
            )
        elif isinstance(action, events.Ended):
            if not quiet:
                self._log.dated(f"spooler {path} ended")
            self._cheap.died(path)
        elif isinstance(action, events.Respawning) and number >= self._fleet.served:
            how = f", killed by signal {-self.died_of}" if self.died_of < 0 else ""
            self._log.line(f"DAMN ! worker 1 (pid: {action.pid}) died{how} :( trying respawn ...")
        elif quiet:
            return
        elif isinstance(action, events.Respawning):
            self._log.told("OOOPS the spooler is no more...trying respawn...")
        else:
            self._notes.give(
                "crash-loop",
                f"spooler {number + 1} ({path})",
                f"{action.failures} deaths in a row without a task done; next start in {action.pause:g} s",
            )
