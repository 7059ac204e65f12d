"""The master: owns the processes, runs no user code, never forks.

Its loop: wait, collect what happened, decide, act. Each part owns one thing and knows no master: `fleet` the spoolers'
slots, `generations` the fork servers, `ending` how the run ends, `touch` the watched files, `clockwork` the timers.
"""

from __future__ import annotations

import os
import signal

from spoolsim.processes import events, lifecycle
from spoolsim.processes.boardfile import BoardFile
from spoolsim.processes.cheap import Cheap
from spoolsim.processes.clockwork import Clockwork
from spoolsim.processes.ending import ASKING, FAILED, KILL, RESTART, STOP, Ending
from spoolsim.processes.fleet import Fleet
from spoolsim.processes.generation import Generation
from spoolsim.processes.generations import PAUSE, Generations, Heard, Lost
from spoolsim.processes.inbox import Inbox
from spoolsim.processes.loop import Loop
from spoolsim.processes.orphans import Orphans
from spoolsim.processes.pipes import Pipes
from spoolsim.processes.reload import NoMercy, ReloadWanted, Touch
from spoolsim.processes.terminal import Terminal
from spoolsim.processes.told import Told
from spoolsim.spool.directory import SpoolDir
from spoolsim.tasks import people
from spoolsim.work import said
from spoolsim.work.scoreboard import FREQUENCY, PID, STALLED

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
    from spoolsim.work.remains import Remains

_HEARD = (signal.SIGHUP, signal.SIGCHLD, signal.SIGUSR1, signal.SIGUSR2, *sorted(ASKING))
#: seconds that tasks have when the terminal is gone
_HANGUP_GRACE = 1.0
#: seconds that a fork server has to end when the time of its spoolers is over
_OVERTIME = 1.0
#: code that has served is tried so often again when the import kills the fork server
_TRIES = 5
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
        self.fleet = Fleet(
            directories, self._rules(), loop, self._make_board, self.act, stand_in=options.stand_in_worker
        )
        self.generations = Generations(loop, self._start_generation)
        self.pipes = Pipes(stand_in=options.stand_in_worker)
        self.reports = os.pipe() if options.drain else (-1, -1)
        if options.drain:
            os.set_blocking(self.reports[0], False)
            loop.watch(self.reports[0])
        self._restart = False
        self._again = False
        #: the newest fork server was begun for touch-spoolers-reload, and for nothing else
        self._touched = False
        #: how many more fork servers may die while they import code that has served before
        self._tries = 0
        #: the app could not be imported at the start; a change of what is watched tries again
        self.waiting = False
        #: status of the process that died last, as os.waitstatus_to_exitcode
        self._died_of = 0
        #: fork servers that were killed while they served
        self._killed_servers = 0
        self.terminal = Terminal()
        self.touch = Touch(options, log, notes, loop)
        self.clockwork = Clockwork(options, log, loop, self.fleet, self.pipes, self.touch, self._stands)
        self.told = Told(loop)
        self.cheap = Cheap(options, loop, self.fleet, self.pipes, self._serves)
        self.inbox = Inbox(loop, self.fleet.board_path, options, log)
        self.orphans = Orphans(loop, self.fleet, log, self.outlived, rings=self.policy.wakes_while_busy)
        self.stats: Stats | None = None

    # ---- start ----

    def _rules(self) -> lifecycle.Rules:
        options = self.options
        return lifecycle.Rules(
            mercy=float(options.reload_mercy),
            cheap=options.cheap and not options.drain,
            at_once=self.policy.notices_deaths_at_once,
            backs_off=self.policy.respawn_pause,
        )

    def _make_board(self, served: str | None, seats: int) -> BoardFile:
        """The scoreboard, at a path where other programs find it."""
        made = BoardFile(SpoolDir(served, bare=not self.policy.keeps_state) if served else None, seats)
        if made.why:
            self.log.say(made.why)
        return made

    @property
    def remains(self) -> Remains:
        """What a drain did not get done."""
        return self.ending.remains

    def run(self) -> int:
        """Until the end; returns the exit status."""
        self.loop.hear(_HEARD)
        try:
            self.begin_generation()
            if self.options.stats:
                self._start_stats(self.options.stats)
            while not self.over():
                self.turn()
            if self.options.drain:
                self.remains.collect(self.reports[0])  # what came with the death that ended it
            self.log.told("goodbye to uWSGI.")
            if not self.options.drain:
                people.stopped(self.log, *self.fleet.tally())
        finally:
            self.close()
        return self.ending.status

    def _start_stats(self, address: str) -> None:
        from spoolsim.processes.stats import Stats, snapshot

        self.stats = Stats(
            self.loop,
            lambda: snapshot(self.options, self.fleet, self.ending, self.generations.count),
            http=self.options.stats_http,
        )
        self.stats.start(address)

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
            self.remains.stopped = "the system gave it no process"
            then = "nothing runs"
        self.log.say(f"cannot start a fork server: {error.strerror}: {then}", error=True)

    def _start_generation(self, number: int) -> Generation:
        workers = self.pipes.workers
        setup: Setup = {
            "options": self.options.to_plain(),
            "directories": self.fleet.entries,
            "slots": len(self.fleet.slots),
            "spooler_pipe": (self.pipes.spoolers.reader, self.pipes.spoolers.writer),
            "worker_pipe": (workers.reader, workers.writer) if workers else None,
            "reports": self.reports[1],
            "told": self.told.teller,
            "said": self.said,
            "generation": number + 1,
            "board": os.path.basename(self.fleet.board_path),
            "descriptors": [*self.pipes.descriptors(), self.told.teller, self.said],
        }
        if self.options.drain:
            setup["descriptors"].append(self.reports[1])
        return self._spawn(number, self.fleet.board.fd, setup)

    # ---- the loop ----

    def over(self) -> bool:
        """Is there nothing left to wait for?"""
        return not (self.generations or self.orphans or self.waiting or self._restart)

    def _stands(self) -> bool:
        """Is nothing begun any more, or not before everything has ended?"""
        return self.ending.begun or self._restart

    def _serves(self) -> bool:
        """Is there a fork server that spawns?"""
        return self.generations.serving is not None and not self._stands()

    def _looks(self) -> Iterator[float | None]:
        yield from self.fleet.looks()
        yield from self.generations.looks()
        yield self._import_ends()
        for part in (self.touch, self.clockwork, self.cheap, self.orphans, self.stats):
            if part is not None:
                yield part.next_look()

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
        if self.reports[0] in ready:
            self.remains.collect(self.reports[0])
        if self.generations.is_due():
            self.begin_generation()
        self.orphans.tick()
        self.fleet.each(events.TICK)
        self.touch.collect(ready)
        self.asked(self.touch.tick())
        self._hurry_import()
        self._end_overdue()
        for registration in self.told.collect(ready):
            self.clockwork.told(*registration)
        self.clockwork.collect(ready)
        self.clockwork.tick()
        for number in self.inbox.collect(ready):
            self.clockwork.send(number)
        self.cheap.collect(ready)
        if self.stats:
            self.stats.collect(ready)
        self.cheap.tick()
        if self.progress:
            self.progress(*self.fleet.tally())

    def act(self, number: int, action: Action) -> None:
        """Do what lifecycle decided for a slot."""
        path = self.fleet.path(number)
        if isinstance(action, events.Spawn):
            if self.generations.serving is not None:
                self.generations.serving.send(("spawn", number, action.seat))
        elif isinstance(action, events.Leave):
            self.fleet.mark_leaver(number, action.pid)
            self.generations.tell("leave", action.pid)
        elif isinstance(action, events.Kill):
            self._kill(number, action.pid)
        elif isinstance(action, events.Respawning):
            self._say_respawning(number, action.pid)
        elif isinstance(action, events.Ended):
            if not self.options.drain:
                self.log.dated(f"spooler {path} ended")
            self.cheap.died(path)
        elif isinstance(action, events.Crowding):
            self.log.say(
                f"{path}: two processes from earlier reloads are still finishing their tasks; "
                f"the new code starts when one exits, or after {max(action.until - self.loop.now(), 0):.0f} s"
            )
        elif not self.options.drain:
            self.notes.give(
                "crash-loop",
                f"spooler {number + 1} ({path})",
                f"{action.failures} deaths in a row without a task done; next start in {action.pause:g} s",
            )

    def _kill(self, number: int, pid: int) -> None:
        if self.policy.finishes_tasks_on_stop:
            if self.ending.begun:
                self.ending.failed()  # its grace is over
            seat = self.fleet.seat_of(number, pid)
            if number < self.fleet.served and seat >= 0:
                path, task = self.fleet.path(number), self.fleet.task(seat)
                stays = bool(task) and os.path.lexists(os.path.join(path, task or ""))  # else it handled a signal
                self.ending.say_killed(path, pid, task, stays=stays)
        self.fleet.mark_leaver(number, pid)
        self.generations.tell("kill", pid)
        self.orphans.kill(pid)

    def _say_respawning(self, number: int, pid: int) -> None:
        if number >= self.fleet.served:
            how = f", killed by signal {-self._died_of}" if self._died_of < 0 else ""
            self.log.line(f"DAMN ! worker 1 (pid: {pid}) died{how} :( trying respawn ...")
        elif not self.options.drain:
            self.log.told("OOOPS the spooler is no more...trying respawn...")

    # ---- what fork servers say ----

    def on_each(self, happened: Iterable[Heard | Lost]) -> None:
        """All that happened to fork servers, one after the other."""
        for event in happened:
            if isinstance(event, Lost):
                self.lost(event)
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
                self.imported(generation, word[1], word[4])
        elif word[0] == "spawned":
            generation.spawned(word[2], word[1])
            self.fleet.happen(word[1], events.Spawned(word[2]))
        elif word[0] == "died":
            self.died(generation, *word[1:])
        elif word[0] == "signal":
            self.signalled(word[1])
        else:
            self.remains.stopped = "the app called sys.exit while it was imported"
            self.ending.status = word[1]
            self.ending.begun = True

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
            self.remains.stopped = "the app could not be imported"
            self.ending.status = FAILED
            self.ending.begun = True
        self._reload_again()

    def imported(self, generation: Generation, timed: list[Timed], targets: dict[int, str]) -> None:
        """A fork server has imported the app: its spoolers serve from now on."""
        self.waiting = False
        self._tries = _TRIES
        old = self.generations.took_over(generation)
        if self._stands():
            generation.retire(self.loop.now() + _OVERTIME)
            return
        if old is None:
            again = self.generations.count > 1 and not self.policy.keeps_timers_on_reload
            self.log.told(f"{'gracefully (RE)' if again else ''}spawned uWSGI master process (pid: {os.getpid()})")
            if not self.options.drain:
                people.serving(self.log, [self.fleet.path(number) for number in range(self.fleet.served)])
            self.fleet.each(events.Started())
            self.touch.start()
            self.cheap.start()
        else:
            if self._touched and self._imported_once():
                self.notes.give("fresh-code")
            if self._running():
                self.notes.give("graceful-reload")
            self.fleet.each(events.ReloadAsked())
            old.retire(self.loop.now() + self.fleet.rules.mercy + _OVERTIME)
        self.clockwork.start(timed, targets)
        self.inbox.start(targets, self.fleet.board)
        self._reload_again()

    def _imported_once(self) -> bool:
        """Would uWSGI's master import anything of the app, which its spoolers then inherit at each respawn?"""
        lazy = self.options.lazy_apps
        return any(kind == "shared-import" or not lazy for kind, _ in self.options.preloads)

    def _running(self) -> int:
        """How many tasks and signal handlers are running now."""
        return self.fleet.running() + self.orphans.running()

    def died(self, generation: Generation, number: int, pid: int, status: int, worked: bool) -> None:
        """A spooler is dead."""
        generation.forget(pid)
        self._died_of = status
        drains = self.options.drain and not self.ending.begun
        if drains and status == lifecycle.DRAINED:
            self.fleet.want_no_more(number)
        self.fleet.happen(number, events.Died(pid, worked))
        if drains and (deaths := self.fleet.slots[number].failures) > lifecycle.PATIENCE:
            # it would never end: what kills the process again and again is not drained
            self.fleet.give_up(number)
            self._cannot_drain(f"{deaths} processes in a row ended without trying a task", self.fleet.path(number))
        if drains and self.fleet.all_over():
            self.stop(self.options.stop_grace)  # there may be the stand-in worker

    def _cannot_drain(self, why: str, where: str) -> None:
        """Something goes wrong again and again: a drain that goes on would never end."""
        self.log.say(f"{where}: {why}; draining stops here", error=True)
        self.remains.stopped = why
        self.ending.status = FAILED

    def _end_overdue(self) -> None:
        """End fork servers that were told to, and had time: one that is stopped, or hangs in the app's atexit."""
        while (generation := self.generations.overdue()) is not None:
            count = len(generation.pids)
            left = f", and {count} of its spoolers" if count else ""
            self.log.say(f"the fork server {generation.pid} does not end: it is killed{left}", error=True)
            if self.ending.begun:
                self.ending.failed()
            generation.kill()
            self.lost(self.generations.lose(generation))

    def lost(self, event: Lost) -> None:
        """A fork server is gone: as it should, or killed."""
        generation = event.generation
        if event.was_coming and not self._stands():
            self.log.say("the fork server ended before it was ready", error=True)
            if self.generations.serving is None:
                self._start_again()
        if self._restart:
            self.orphans.adopt(generation, self.fleet.board, kill=True)
            if not self.generations:
                self._begin_anew()
        elif event.served and not self.ending.begun:
            self._replace(generation)
        else:
            self.orphans.adopt(generation, self.fleet.board, owed=True, kill=event.overdue)
            for slot in self.fleet.slots if generation.ready else ():  # it still owed us these
                if slot.state == lifecycle.STALE:
                    self.fleet.happen(slot.number, events.Died(0, True))

    def _replace(self, generation: Generation) -> None:
        """The one that served was killed: its spoolers finish their tasks, and write to a scoreboard of the past."""
        self.log.say("the fork server was killed: starting another one", error=True)
        self.orphans.adopt(generation, self.fleet.board)
        self.fleet.abandon()
        if (useless := self.generations.give_up_import()) is not None:
            self.lost(useless)  # it was given the scoreboard that has just gone; what it says counts no more
        self._killed_servers += 1
        if self.options.drain and self._killed_servers > lifecycle.PATIENCE:
            self._cannot_drain(f"{self._killed_servers} fork servers were killed", "master")
            self.stop(self.options.stop_grace)
        else:
            self.begin_generation()

    def _start_again(self) -> None:
        """Nobody serves, and the fork server that was to has died. Code that has served before is tried again."""
        if self._tries:
            self._tries -= 1
            self.begin_generation()
        else:
            self.remains.stopped = "the app ended the fork server while it was imported"
            self.ending.status = FAILED

    # ---- reloads ----

    def asked(self, wishes: Iterable[Asked]) -> None:
        """What a change of watched files asks for."""
        for wish in wishes:
            if isinstance(wish, ReloadWanted):
                self.reload(wish.why, touched=wish.touched)
            elif isinstance(wish, NoMercy):
                self._no_mercy()
            else:
                self.restart("...gracefully killing workers...")

    def _no_mercy(self) -> None:
        """What uWSGI does a second after a touch of touch-spoolers-reload."""
        for number, pid in self.generations.spoolers():
            if number < self.fleet.served:
                self.log.dated(f"spooler {number + 1} (pid: {pid}) is taking too much time to die...NO MERCY !!!")
                self.generations.tell("kill", pid)

    def reload(self, why: str, *, touched: bool = False) -> None:
        """Let a new fork server import the app again; when it is ready it takes over."""
        if self._stands():
            return
        if why:
            self.log.say(why)
        if self.generations.coming is not None:
            self._again = True
            self._touched = self._touched and touched
        else:
            self._touched = touched
            self.begin_generation()

    def _reload_again(self) -> None:
        """The code was touched while it was being imported: once more."""
        if self._again:
            self._again = False
            self.reload("", touched=self._touched)

    def _import_ends(self) -> float | None:
        """When the import that is going on is given up."""
        return None if self._stands() else self.generations.import_ends(again=self._again)

    def _hurry_import(self) -> None:
        """No import may hang for ever and keep later code from being tried."""
        end, now, coming = self._import_ends(), self.loop.now(), self.generations.coming
        if coming is None or end is None or now < end:
            return
        then = (
            "another touch has come: trying again" if self._again else "still serving the old code until the next touch"
        )
        self.log.say(f"gave up importing the new code after {now - coming.began:.0f} s; {then}", error=True)
        if (useless := self.generations.give_up_import()) is not None:
            self.lost(useless)
        self._reload_again()

    def restart(self, line: str) -> None:
        """What uWSGI makes of SIGHUP, and of SIGTERM without die-on-term: kill, and start everything anew."""
        if self._stands():
            return
        self.kill_all()
        self.log.line(line)
        self.log.line("binary reloading uWSGI...")
        self.ending.begun = False
        self._restart = True
        self.fleet.forget()
        if not self.generations:
            self._begin_anew()

    def _begin_anew(self) -> None:
        """As in the program that uWSGI's master becomes: signals that nobody took are lost, timers and crons have never
        fired, the frequency is the option's again.
        """
        self._restart = False
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
                self.remains.stopped = self.remains.stopped or "the terminal is gone"
                self.stop(_HANGUP_GRACE)
            elif self.policy.finishes_tasks_on_reload:
                self.reload("SIGHUP: reloading")
            else:
                self.restart("...gracefully killing workers...")
        elif number in ASKING:
            wish = self.ending.asked(number, self._running())
            if wish == RESTART:
                self.restart("...brutally killing workers...")
            elif wish == STOP:
                self.stop(self.options.stop_grace)
            elif wish == KILL:
                self.kill_all()
        elif number != signal.SIGCHLD:
            self.tell()

    def tell(self) -> None:
        """SIGUSR1 or SIGUSR2: say what runs; uWSGI prints figures of its web workers then, and goes on."""
        for number in range(self.fleet.served):
            pid = self.fleet.board.serving(number)[PID]
            task = self.fleet.task(self.fleet.seat_of(number, pid)) if pid else None
            what = f"runs {task}" if task else "runs no task"
            where = f"spooler {number + 1} ({self.fleet.path(number)})"
            self.log.say(f"{where}, process {pid}: {what}; {self.fleet.done(number)} done")

    def stop(self, grace: float) -> None:
        """Let every spooler settle what it holds and go, for so many seconds at most."""
        if self.ending.begun:
            return
        self.ending.begin()
        end = self.loop.now() + grace
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

    def outlived(self, orphan: str, then: str) -> None:
        """A spooler without a fork server had its time to end, and did not."""
        self.log.say(f"{orphan}, of the killed fork server, {then}", error=True)
        self.ending.failed()

    def close(self) -> None:
        """Give everything back; the scoreboard's file goes."""
        for part in (self.touch, self.clockwork, self.told, self.cheap, self.inbox, self.stats, self.orphans):
            if part is not None:
                part.close()
        self.fleet.close()
        self.log.turn = None
        self.loop.close()
        for fd in (self.said, *self.reports):
            if fd >= 0:
                os.close(fd)
