"""The master: owns the processes, runs no user code, never forks.

Its loop: wait, collect what happened, decide, act. Each part owns one thing and knows no master: `fleet` the spoolers'
slots, `generations` the fork servers, `ending` how the run ends, `touch` the watched files, `clockwork` the timers.
"""

from __future__ import annotations

import os
import signal

from spoolsim.processes import events
from spoolsim.processes.cheap import Cheap
from spoolsim.processes.clockwork import Clockwork
from spoolsim.processes.drain import Drain
from spoolsim.processes.ending import ASKING, FAILED, KILL, RESTART, STOP, Ending
from spoolsim.processes.fleet import Fleet
from spoolsim.processes.generation import Generation, Inherited, setup_of
from spoolsim.processes.generations import PAUSE, Generations, Heard, Lost
from spoolsim.processes.loop import Loop
from spoolsim.processes.orders import Orders
from spoolsim.processes.orphans import Orphans
from spoolsim.processes.pipes import Pipes
from spoolsim.processes.registrations import Registrations
from spoolsim.processes.reload import NoMercy, ReloadWanted, Touch
from spoolsim.processes.renewal import Renewal
from spoolsim.processes.signal_reader import SignalReader
from spoolsim.processes.succession import Succession
from spoolsim.processes.terminal import Terminal
from spoolsim.spool.directory import SpoolDir
from spoolsim.tasks import people
from spoolsim.work import said
from spoolsim.work.scoreboard import FREQUENCY, STALLED

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from spoolsim.diagnose import Notes
    from spoolsim.log import Log
    from spoolsim.options import Options
    from spoolsim.processes.events import Action
    from spoolsim.processes.messages import Setup, Timed
    from spoolsim.processes.reload import Asked
    from spoolsim.processes.stats import Stats

_HEARD = (signal.SIGHUP, signal.SIGCHLD, signal.SIGUSR1, signal.SIGUSR2, *sorted(ASKING))
#: seconds that tasks have when the terminal is gone
_HANGUP_GRACE = 1.0
#: seconds that a fork server has to end when the time of its spoolers is over
_OVERTIME = 1.0
#: seconds between two looks at how far a drain is
_PROGRESS = 0.1


class Master:
    """One running instance.

    directories: (directory, process count) in option order; count 0 for an external one.
    progress: called at each turn while draining with (done, kept).
    loop, spawn: what waits, and what makes a fork server of a number and a setup; for tests.
    """

    def __init__(
        self,
        options: Options,
        directories: Sequence[tuple[SpoolDir, int]],
        log: Log,
        notes: Notes,
        *,
        progress: Callable[[int, int], None] | None = None,
        loop: Loop | None = None,
        spawn: Callable[[int, int, Setup], Generation] = Generation.spawn,
    ) -> None:
        self.options = options
        self.policy = options.policy
        self.log = log
        self.notes = notes
        self.progress = progress
        self._spawn = spawn
        self.loop = loop = loop or Loop()
        self.ending = Ending(options, log, notes, loop)
        #: the file in which all processes of this run note what was said once
        self.said = said.create()
        notes.first = said.share(self.said, log).first
        self.fleet = Fleet(options, directories, log, loop, self._act)
        self.generations = Generations(loop, self._start_generation)
        self.pipes = Pipes(stand_in=options.stand_in_worker)
        self.drain = Drain(options, log, loop, self.fleet, self.ending)
        self.renewal = Renewal(options, log, loop, self.generations, self.begin_generation, self._stands)
        #: the app could not be imported at the start; a change of what is watched tries again
        self.waiting = False
        self.terminal = Terminal()
        self.touch = Touch(options, log, notes, loop)
        self.clockwork = Clockwork(options, log, loop, self.fleet, self.pipes, self.touch, self._stands)
        self.registrations = Registrations(loop)
        self.cheap = Cheap(options, loop, self.fleet, self.pipes, self._serves)
        self.signal_reader = SignalReader(loop, self.fleet.board_path, options, log)
        self.orphans = Orphans(loop, self.fleet, log, self.ending.outlived, rings=self.policy.wakes_while_busy)
        self.orders = Orders(
            options, log, notes, loop, self.fleet, self.generations, self.orphans, self.ending, self.cheap
        )
        self.succession = Succession(
            log, self.fleet, self.generations, self.orphans, self.ending, self.drain, self.begin_generation, self.stop
        )
        self.stats: Stats | None = None

    # ---- start ----

    def run(self) -> int:
        """Until the end; returns the exit status."""
        self.loop.hear(_HEARD)
        try:
            self.begin_generation()
            if self.options.stats:
                from spoolsim.processes.stats import Stats

                self.stats = Stats(self.options, self.loop, self.fleet, self.ending, self.generations)
                self.stats.start(self.options.stats)
            while not self.over():
                self.turn()
            self.drain.finish()
            self.log.told("goodbye to uWSGI.")
            if not self.options.drain:
                people.stopped(self.log, *self.fleet.tally())
        finally:
            self.close()
        return self.ending.status

    def begin_generation(self) -> None:
        """Start a fork server; what becomes of it, its messages will tell."""
        error = self.generations.begin()
        self.touch.import_began = self.generations.import_began
        if error is None:
            return
        if self.generations.serving is not None:
            then = "the old code goes on"
        elif self.generations.will_try_again():
            then = f"tried again in {PAUSE:g} s"
        else:
            self.ending.status = FAILED
            self.ending.remains.stopped = "the system gave it no process"
            then = "nothing runs"
        self.log.say(f"cannot start a fork server: {error.strerror}: {then}", error=True)

    def _start_generation(self, number: int) -> Generation:
        inherited = Inherited(self.pipes, self.registrations.registrar, self.said, self.drain.reporter)
        return self._spawn(number, self.fleet.board.fd, setup_of(self.options, self.fleet, inherited, number))

    # ---- the loop ----

    def _act(self, number: int, action: Action) -> None:
        self.orders.carry_out(number, action)

    def over(self) -> bool:
        """Is there nothing left to wait for?"""
        return not (self.generations or self.orphans or self.waiting or self.succession.restarting)

    def _stands(self) -> bool:
        """Is nothing begun any more, or not before everything has ended?"""
        return self.ending.begun or self.succession.restarting

    def _serves(self) -> bool:
        """Is there a fork server that spawns?"""
        return self.generations.serving is not None and not self._stands()

    def _looks(self) -> Iterator[float | None]:
        yield from self.fleet.looks()
        yield from self.generations.looks()
        for part in (self.renewal, self.touch, self.clockwork, self.cheap, self.orphans):
            yield part.next_deadline()
        yield self.stats.next_deadline() if self.stats else None

    def turn(self) -> None:
        """One turn: wait, collect, decide, act."""
        ready = self.loop.wait(self._looks(), _PROGRESS) if self.progress else self.loop.wait(self._looks())
        for number in self.loop.signals(ready):
            if number == signal.SIGCHLD:
                self.on_each(self.generations.reap())
            else:
                self.signalled(number)
        self.on_each(self.generations.collect(ready))
        self.orphans.collect(ready)
        self.drain.collect(ready)
        if self.generations.is_due():
            self.begin_generation()
        self.orphans.tick()
        self.fleet.each(events.TICK)
        self.touch.collect(ready)
        self.asked(self.touch.tick())
        if (useless := self.renewal.tick()) is not None:
            self.succession.lost(useless)
            self.renewal.go_on()
        self.succession.end_overdue()
        if self.succession.restarting and not self.generations:
            self._begin_anew()
        for registration in self.registrations.collect(ready):
            self.clockwork.register(*registration)
        self.clockwork.collect(ready)
        self.clockwork.tick()
        for number in self.signal_reader.collect(ready):
            self.clockwork.send(number)
        self.cheap.collect(ready)
        if self.stats:
            self.stats.collect(ready)
        self.cheap.tick()
        if self.progress:
            self.progress(*self.fleet.tally())

    # ---- what fork servers say ----

    def on_each(self, happened: Iterable[Heard | Lost]) -> None:
        """All that happened to fork servers, one after the other."""
        for event in happened:
            if isinstance(event, Lost):
                self.succession.lost(event)
            else:
                self.heard(event)

    def heard(self, event: Heard) -> None:
        """One message of a fork server."""
        generation, word = event.generation, event.word
        if word[0] == "ready":
            self.touch.modules(word[3])
            if word[2] and self.policy.refuses_failed_imports:
                self.not_imported(generation, word[2])
            else:
                self.imported(generation, word[1], word[4], word[5])
        elif word[0] == "spawned":
            generation.spawned(word[2], word[1])
            self.fleet.happen(word[1], events.Spawned(word[2]))
        elif word[0] == "died":
            self.died(generation, *word[1:])
        elif word[0] == "signal":
            self.signalled(word[1])
        elif word[0] == "unable":
            self.ending.unable(word[1])
        else:
            self.ending.exited(word[1])

    def not_imported(self, generation: Generation, failures: list[str]) -> None:
        """A fork server could not import the app."""
        for line in failures:
            self.log.say(f"cannot import: {line}", error=True)
        generation.ready = True
        generation.retire(self.loop.now() + _OVERTIME)
        self.generations.coming = None
        if self.generations.serving is not None:
            self.log.say("still serving the old code; the next touch tries again")
        elif self.touch.watches() and not self.options.drain:
            self.log.say("nothing runs yet; the next change tries again")
            self.waiting = True
            self.fleet.board.words[STALLED] = 1
            self.touch.start()
        else:
            self.notes.give("import-failed")
            self.ending.remains.stopped = "the app could not be imported"
            self.ending.status = FAILED
            self.ending.begun = True
        self.renewal.go_on()

    def imported(
        self, generation: Generation, timed: list[Timed], targets: dict[int, str], functions: list[str]
    ) -> None:
        """A fork server has imported the app: its spoolers serve from now on."""
        self.waiting = False
        self.succession.served()
        old = self.generations.took_over(generation)
        if self._stands():
            generation.retire(self.loop.now() + _OVERTIME)
            return
        if old is None:
            again = self.generations.count > 1 and not self.policy.keeps_timers_on_reload
            self.log.told(f"{'gracefully (RE)' if again else ''}spawned uWSGI master process (pid: {os.getpid()})")
            if not self.options.drain:
                people.found(self.log, functions, [kind for kind, *_ in timed])
                people.serving(self.log, [self.fleet.path(number) for number in range(self.fleet.served)])
            self.fleet.each(events.Started())
            self.touch.start()
            self.cheap.start()
        else:
            if self.renewal.keeps_old_imports():
                self.notes.give("fresh-code")
            if self._running():
                self.notes.give("graceful-reload")
            self.fleet.each(events.ReloadAsked())
            old.retire(self.loop.now() + self.fleet.rules.mercy + _OVERTIME)
        self.clockwork.start(timed, targets)
        self.signal_reader.start(targets, self.fleet.board)
        self.renewal.go_on()

    def _running(self) -> int:
        """How many tasks and signal handlers are running now."""
        return self.fleet.running() + self.orphans.running()

    def died(self, generation: Generation, number: int, pid: int, status: int, worked: bool) -> None:
        """A spooler is dead."""
        generation.died(pid, number)
        self.orders.died(pid, status)
        self.drain.dies(number, status)
        self.fleet.happen(number, events.Died(pid, worked))
        if self.drain.is_over(number):
            self.stop()  # there may be the stand-in worker

    # ---- reloads ----

    def asked(self, wishes: Iterable[Asked]) -> None:
        """What a change of watched files asks for."""
        for wish in wishes:
            if isinstance(wish, ReloadWanted):
                self.renewal.ask(wish.why, touched=wish.touched)
            elif isinstance(wish, NoMercy):
                self.orders.show_no_mercy()
            else:
                self.restart("...gracefully killing workers...")

    def restart(self, line: str) -> None:
        """What uWSGI makes of SIGHUP, and of SIGTERM without die-on-term: kill, and start everything anew."""
        if self._stands():
            return
        self.kill_all()
        self.log.line(line)
        self.log.line("binary reloading uWSGI...")
        self.ending.begun = False
        self.succession.restarting = True
        self.fleet.forget()

    def _begin_anew(self) -> None:
        """As in the program that uWSGI's master becomes: signals that nobody took are lost, timers and crons have never
        fired, the frequency is the option's again.
        """
        self.succession.restarting = False
        self.pipes.renew()
        self.fleet.forget()
        self.fleet.board.words[FREQUENCY] = 0
        self.clockwork.forget()
        self.touch.forget()
        self.begin_generation()

    # ---- signals and stopping ----

    def signalled(self, number: int) -> None:
        """A signal came, to us or to the fork server that the app takes for us."""
        if number == signal.SIGHUP:
            if self.terminal.is_gone() and not self.loop.was_ignored(signal.SIGHUP):
                self.ending.remains.stopped = self.ending.remains.stopped or "the terminal is gone"
                self.stop(_HANGUP_GRACE)
            elif self.policy.finishes_tasks_on_reload:
                self.renewal.ask("SIGHUP: reloading")
            else:
                self.restart("...gracefully killing workers...")
        elif number in ASKING:
            wish = self.ending.asked(number, self._running())
            if wish == RESTART:
                self.restart("...brutally killing workers...")
            elif wish == STOP:
                self.stop()
            elif wish == KILL:
                self.kill_all()
        elif number != signal.SIGCHLD:
            for line in self.fleet.lines():  # uWSGI prints figures of its web workers then
                self.log.say(line)

    def stop(self, grace: float | None = None) -> None:
        """Let every spooler settle what it holds and go, for so many seconds at most; else those of --stop-grace."""
        if self.ending.begun:
            return
        self.ending.begin()
        end = self.loop.now() + (self.options.stop_grace if grace is None else grace)
        self.fleet.each(events.StopAsked(end))
        self.orphans.stop(end)
        self._retire_all(end + _OVERTIME)

    def kill_all(self) -> None:
        """End every spooler at once; their tasks stay."""
        self.ending.begin()
        if not self.policy.finishes_tasks_on_stop:
            for pid in self.fleet.pids():
                self.log.line(f"killing the spooler with pid {pid}")
        self.fleet.each(events.KillAsked())
        self.orphans.stop(self.loop.now())
        self._retire_all(self.loop.now() + _OVERTIME)

    def _retire_all(self, end_by: float) -> None:
        """Let the fork servers go when their spoolers have, and end them then."""
        self.waiting = False
        self.generations.retire_all(end_by)

    def close(self) -> None:
        """Give everything back; the scoreboard's file goes."""
        hearing = (self.registrations, self.signal_reader, self.stats)
        for part in (self.orders, self.touch, self.clockwork, self.cheap, self.orphans, *hearing):
            if part is not None:
                part.close()
        self.fleet.close()
        self.log.turn = None
        self.drain.close()
        self.loop.close()
        if self.said >= 0:
            os.close(self.said)
