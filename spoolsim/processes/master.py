"""The master: owns the processes, runs no user code, never forks.

Its loop: wait, collect what happened, let `lifecycle` decide, act. Signal handlers only queue.
"""

from __future__ import annotations

import os
import select
import signal
import time

from spoolsim.processes import lifecycle
from spoolsim.processes.boardfile import BoardFile
from spoolsim.processes.cheap import Cheap
from spoolsim.processes.clockwork import Clockwork
from spoolsim.processes.generation import Generation
from spoolsim.processes.inbox import Inbox
from spoolsim.processes.orphans import Orphans
from spoolsim.processes.reload import Touch
from spoolsim.processes.terminal import Terminal
from spoolsim.processes.told import Told
from spoolsim.spool.directory import SpoolDir
from spoolsim.tasks import people
from spoolsim.work import said
from spoolsim.work.remains import Remains
from spoolsim.work.scoreboard import DONE, FREQUENCY, HEAD, LEAVE, PID, STALLED, STARTED, Scoreboard, read_task
from spoolsim.work.signals import Pipe

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from spoolsim.diagnose import Notes
    from spoolsim.log import Log
    from spoolsim.options import Options
    from spoolsim.processes.stats import Stats

#: exit statuses: stopped as asked; a task had to be killed, or the start failed; +128 for a second signal, as shells do
OK, FAILED, BY_SIGNAL = 0, 1, 128

_QUEUED = (
    signal.SIGINT,
    signal.SIGTERM,
    signal.SIGQUIT,
    signal.SIGHUP,
    signal.SIGCHLD,
    signal.SIGUSR1,
    signal.SIGUSR2,
)
_NAMES = {signal.SIGINT: "SIGINT", signal.SIGTERM: "SIGTERM", signal.SIGQUIT: "SIGQUIT"}
#: seconds that tasks have when the terminal is gone
_HANGUP_GRACE = 1.0
#: the same signal again within this time came from the same key press, through the process group
_SAME_PRESS = 0.3
#: seconds that a fork server has from the end of its line to its own
_BURIAL = 2.0
#: seconds that a fork server has to end when the time of its spoolers is over
_OVERTIME = 1.0
#: seconds that new code may take to be imported, while the old one serves; or, after another touch, as the code that
#: it reads may be no more. Code that took long before may take thrice as long
_LONGEST_IMPORT, _STALE_IMPORT = 60.0, 5.0
#: seconds until it is tried again to start a fork server that could not be started
_PAUSE = 1.0
#: code that has served is tried so often again when the import kills the fork server
_TRIES = 5


class Master:
    """One running instance.

    directories: (directory, process count) in option order; count 0 for an external one.
    progress: called at each turn while draining with (done, kept).
    """

    def __init__(
        self,
        options: Options,
        directories: Sequence[tuple[SpoolDir, int]],
        log: Log,
        notes: Notes,
        *,
        progress: Callable[[int, int], None] | None = None,
    ) -> None:
        self.options = options
        self.log = log
        self.notes = notes
        self.progress = progress
        #: (path, external, slot) for each entry of uwsgi.spoolers
        self.entries: list[tuple[str, bool, int]] = []
        for directory, count in directories:
            if directory.external:
                self.entries.append((directory.path, True, -1))
            for _ in range(count):
                slot = sum(1 for _, external, _ in self.entries if not external)
                self.entries.append((directory.path, False, slot))
        self.served = sum(1 for _, external, _ in self.entries if not external)
        slots = self.served + (1 if options.stand_in_worker else 0)
        self.slots = [lifecycle.new(number) for number in range(slots)]
        self.rules = lifecycle.Rules(options.faithful, float(options.reload_mercy), options.cheap and not options.drain)
        self.generations: list[Generation] = []
        self.serving: Generation | None = None
        self.coming: Generation | None = None
        self.count = 0
        self.status = OK
        self.stopping = False
        self.killed = False
        self.stopped_at = 0.0
        #: what a drain did not get done, as its spoolers report it
        self.remains = Remains()
        #: status of the process that died last, as os.waitstatus_to_exitcode
        self._died_of = 0
        #: the file in which all processes of this run note what was said once
        self.said = said.create()
        notes.first = said.share(self.said, log).first
        self._board_file = self._make_board()
        self.spooler_pipe = Pipe.open()
        self.worker_pipe = Pipe.open() if options.stand_in_worker else None
        self.reports = os.pipe() if options.drain else (-1, -1)
        self.wakeup, self.wakeup_writer = os.pipe()
        for fd in (self.wakeup, self.wakeup_writer):
            os.set_blocking(fd, False)
        self.poll = select.poll()
        self.poll.register(self.wakeup, select.POLLIN)
        if options.drain:
            os.set_blocking(self.reports[0], False)
            self.poll.register(self.reports[0], select.POLLIN)
        self._restart = False
        self._again = False
        #: the newest fork server was begun for touch-spoolers-reload, and for nothing else
        self._touched = False
        #: when to try again to start a fork server that could not be started
        self._begin_at: float | None = None
        #: how many more fork servers may die while they import code that has served before
        self._tries = 0
        #: the app could not be imported at the start; a change of what is watched tries again
        self.waiting = False
        #: when the newest fork server began to import the app, epoch seconds
        self.import_began = 0.0
        #: how long the code that serves took to be imported, in seconds
        self._import_took = 0.0
        #: tasks, and handlers of signals, that were killed as they did not end within their mercy or grace
        self.unfinished = 0
        #: fork servers that were killed while they served
        self._killed_servers = 0
        self.terminal = Terminal()
        #: we were started to live on without the terminal
        self._nohup = False
        self.touch = Touch(self)
        self.clockwork = Clockwork(self)
        self.told = Told(self)
        self.cheap = Cheap(self)
        self.inbox = Inbox(self)
        self.orphans = Orphans(self)
        self.stats: Stats | None = None

    # ---- start ----

    def _make_board(self) -> BoardFile:
        """The scoreboard, at a path where other programs find it."""
        served = next((path for path, external, _ in self.entries if not external), None)
        made = BoardFile(SpoolDir(served, bare=self.options.faithful) if served else None, len(self.slots) * 2)
        if made.why:
            self.log.say(made.why)
        return made

    @property
    def board(self) -> Scoreboard:
        """The scoreboard that the serving spoolers write to."""
        return self._board_file.board

    @property
    def board_path(self) -> str:
        """Where it is; '' for nowhere."""
        return self._board_file.path

    def run(self) -> int:
        """Until the end; returns the exit status."""
        # the descriptor before the handlers: a signal in between would be swallowed, and nothing would end
        old_wakeup = signal.set_wakeup_fd(self.wakeup_writer, warn_on_full_buffer=False)
        handlers = {number: signal.signal(number, _queued) for number in _QUEUED}
        self._nohup = handlers[signal.SIGHUP] == signal.SIG_IGN
        try:
            self.begin_generation()
            if self.options.stats:
                from spoolsim.processes.stats import Stats

                self.stats = Stats(self)
                self.stats.start()
            while not self.over():
                self.turn()
            if self.options.drain:
                self.remains.collect(self.reports[0])  # what came with the death that ended it
            self.log.told("goodbye to uWSGI.")
            if not self.options.drain:
                people.stopped(self.log, *self.tally())
        finally:
            self.close()
            signal.set_wakeup_fd(old_wakeup)
            for number, handler in handlers.items():
                signal.signal(number, handler)
        return self.status

    def begin_generation(self) -> None:
        """Start a fork server; what becomes of it, its messages will tell."""
        descriptors = [self.spooler_pipe.reader, self.spooler_pipe.writer, self.told.teller, self.said]
        if self.worker_pipe:
            descriptors += [self.worker_pipe.reader, self.worker_pipe.writer]
        if self.options.drain:
            descriptors.append(self.reports[1])
        setup = {
            "options": self.options.to_plain(),
            "directories": self.entries,
            "slots": len(self.slots),
            "spooler_pipe": (self.spooler_pipe.reader, self.spooler_pipe.writer),
            "worker_pipe": (self.worker_pipe.reader, self.worker_pipe.writer) if self.worker_pipe else None,
            "reports": self.reports[1],
            "told": self.told.teller,
            "said": self.said,
            "generation": self.count + 1,
            "board": os.path.basename(self.board_path),
            "descriptors": descriptors,
        }
        self.import_began = time.time()
        try:
            generation = Generation.spawn(self.count, self.board.fd, setup)
        except OSError as error:
            self._not_begun(error)
            return
        self._begin_at = None
        self.count += 1
        self.generations.append(generation)
        self.coming = generation
        self.poll.register(generation.wire.fd, select.POLLIN)

    def _not_begun(self, error: OSError) -> None:
        """The system gives us no process, or no descriptor."""
        self._begin_at = None
        if self.serving is not None:
            then = "the old code goes on"
        elif self.count:
            self._begin_at = _now() + _PAUSE
            then = f"tried again in {_PAUSE:g} s"
        else:
            self.status = FAILED
            self.remains.stopped = "the system gave it no process"
            then = "nothing runs"
        self.log.say(f"cannot start a fork server: {error.strerror}: {then}", error=True)

    def wake(self) -> None:
        """End a wait, from another thread."""
        try:
            os.write(self.wakeup_writer, b"\0")
        except BlockingIOError:
            pass  # it is awake already

    # ---- the loop ----

    def over(self) -> bool:
        """Is there nothing left to wait for?"""
        waits = self.waiting or self._restart or self._begin_at is not None
        return not self.generations and not self.orphans and not waits

    def turn(self) -> None:
        """One turn: wait, collect, decide, act."""
        now = _now()
        looks = [at for slot in self.slots if (at := lifecycle.next_look(slot)) is not None]
        parts = (self.touch, self.clockwork, self.cheap, self.orphans)
        ends = (self._begin_at, *(part.next_look() for part in parts), self.stats.next_look() if self.stats else None)
        looks += [at for at in ends if at is not None]
        looks += [generation.end_by for generation in self.generations if generation.end_by is not None]
        if (end := self._import_ends()) is not None:
            looks.append(end)
        timeout = min((max(at - now, 0) for at in looks), default=3600.0)
        if self.progress:
            timeout = min(timeout, 0.1)
        ready = {fd for fd, _ in self.poll.poll(timeout * 1000 + 1)}
        if self.wakeup in ready:
            for number in os.read(self.wakeup, 4096):
                if number == signal.SIGCHLD:
                    self.reap()
                elif number:
                    self.signalled(number)
        for generation in list(self.generations):
            if generation.wire.fd in ready:
                self.collect(generation)
        self.orphans.collect(ready)
        if self.reports[0] in ready:
            self.remains.collect(self.reports[0])
        if self._begin_at is not None and _now() >= self._begin_at:
            self.begin_generation()
        self.orphans.tick()
        self.each("tick")
        self.touch.collect(ready)
        self.touch.tick()
        self._hurry_import()
        self._end_overdue()
        self.told.collect(ready)
        self.clockwork.collect(ready)
        self.clockwork.tick()
        self.inbox.collect(ready)
        self.cheap.collect(ready)
        if self.stats:
            self.stats.collect(ready)
        self.cheap.tick()
        if self.progress:
            self.progress(*self.tally())

    def each(self, what: str, *args: Any) -> None:
        """The same event for every slot."""
        for number in range(len(self.slots)):
            self.happen(number, what, *args)

    def happen(self, number: int, what: str, *args: Any) -> None:
        """An event of one slot: let lifecycle decide, then do it."""
        rules = self.rules if number < self.served else self.rules._replace(cheap=False)
        before = self.slots[number]
        slot, actions = lifecycle.step(before, (what, *args), _now(), rules)
        self.slots[number] = slot
        if slot.state == lifecycle.CROWDED != before.state:
            left = min((at - _now() for _, _, at in slot.leaving if at is not None), default=0.0)
            self.log.say(
                f"{self.path(number)}: two processes from earlier reloads are still finishing their tasks; "
                f"the new code starts when one exits, or after {max(left, 0):.0f} s"
            )
        for action in actions:
            self.act(number, action)

    def act(self, number: int, action: tuple[Any, ...]) -> None:
        """Do what lifecycle decided."""
        what = action[0]
        if what == "spawn":
            if self.serving is not None:
                self.serving.wire.send("spawn", number, action[2])
        elif what in ("leave", "kill"):
            if what == "kill" and not self.options.faithful:
                if self.stopping:
                    self.status = self.status or FAILED  # its grace is over
                self._say_killed(number, action[1])
            self._mark_leaver(number, action[1])
            for generation in self.generations:
                if action[1] in generation.pids:
                    generation.wire.send(what, action[1])
            if what == "kill":
                self.orphans.kill(action[1])
        elif what == "died":
            if number >= self.served:
                how = f", killed by signal {-self._died_of}" if self._died_of < 0 else ""
                self.log.line(f"DAMN ! worker 1 (pid: {action[1]}) died{how} :( trying respawn ...")
            elif not self.options.drain:
                self.log.told("OOOPS the spooler is no more...trying respawn...")
        elif what == "ended":
            if not self.options.drain:
                self.log.dated(f"spooler {self.path(number)} ended")
            self.cheap.died(self.path(number))
        elif what == "slow" and not self.options.drain:
            self.notes.give(
                "crash-loop",
                f"spooler {number + 1} ({self.path(number)})",
                f"{action[2]} deaths in a row without a task done; next start in {action[1]:g} s",
            )

    def _say_killed(self, number: int, pid: int) -> None:
        """A leaving process is killed, after its time or at the second Ctrl-C: what did it do?"""
        if number >= self.served:
            return
        options = self.options
        if self.killed:
            why = "at the second signal"
        elif self.stopping:
            why = f"stop-grace ({options.stop_grace:g} s) is over"
        else:
            why = f"reload-mercy ({options.reload_mercy:g} s) is over"
        for seat in (number * 2, number * 2 + 1):
            words = self.board.slot(seat)
            if words[PID] == pid and not words[STARTED]:
                self.log.say(f"{self.path(number)}: spooler {pid} has no task and does not end; it is killed, {why}")
            elif words[PID] == pid:
                self.unfinished += 1
                task = read_task(self.board.task(seat))
                kept = task and os.path.lexists(os.path.join(self.path(number), task))  # else it handled a signal
                what = f"its task {task} stays" if kept else "it did not finish a signal's handler"
                self.log.say(f"{self.path(number)}: spooler {pid} is killed, {why}; {what}", error=True)

    def frequency(self) -> float:
        """Seconds between two polls: what set_spooler_frequency said, else the option."""
        return self.board.words[FREQUENCY] or self.options.frequency

    def path(self, number: int) -> str:
        """The directory of a slot."""
        return next((path for path, _, slot in self.entries if slot == number), "stand-in worker")

    def collect(self, generation: Generation) -> None:
        """What a fork server says."""
        messages = generation.wire.receive()
        if messages is None:
            self.lost(generation)
            return
        for message in messages:
            self.heard(generation, message)

    def heard(self, generation: Generation, message: tuple[Any, ...]) -> None:
        """One message of a fork server."""
        what = message[0]
        if what == "ready":
            self.touch.modules(message[3])
            self.ready(generation, message[1], message[2], message[4])
        elif what == "spawned":
            generation.spawned(message[2], message[1])
            self.happen(message[1], "spawned", message[2])
        elif what == "died":
            self.died(generation, *message[1:])
        elif what == "signal":
            self.signalled(message[1])
        elif what == "exit":
            self.remains.stopped = "the app called sys.exit while it was imported"
            self.status = message[1]
            self.stopping = True

    def ready(
        self, generation: Generation, timed: list[tuple[Any, ...]], failures: list[str], targets: dict[int, str]
    ) -> None:
        """A fork server has imported the app, or tried to."""
        first = self.serving is None
        if failures and not self.options.faithful:
            for line in failures:
                self.log.say(f"cannot import: {line}", error=True)
            generation.ready = True
            generation.retire(_now() + _OVERTIME)
            self.coming = None
            if not first:
                self.log.say("still serving the old code; the next touch tries again")
            elif self.touch.watches() and not self.options.drain:
                self.log.say("nothing runs yet; the next change tries again")
                self.waiting = True
                self.board.words[STALLED] = 1
                self.touch.start()
            else:
                self.notes.give("import-failed")
                self.remains.stopped = "the app could not be imported"
                self.status = FAILED
                self.stopping = True
            self._reload_again()
            return
        self.waiting = False
        self._tries = _TRIES
        self._import_took = _now() - generation.began
        generation.ready = True
        generation.timed = timed
        old, self.serving, self.coming = self.serving, generation, None
        if self.stopping:
            generation.retire(_now() + _OVERTIME)
            return
        if first:
            respawned = "gracefully (RE)" if self.count > 1 and self.options.faithful else ""
            self.log.told(f"{respawned}spawned uWSGI master process (pid: {os.getpid()})")
            if not self.options.drain:
                people.serving(self.log, [self.path(number) for number in range(self.served)])
            self.each("start")
            self.touch.start()
            self.cheap.start()
        else:
            if self._touched and self._imported_once():
                self.notes.give("fresh-code")
            if self._running():
                self.notes.give("graceful-reload")
            self.each("reload")
            if old is not None:
                old.retire(_now() + self.rules.mercy + _OVERTIME)
        self.clockwork.start(timed, targets)
        self.inbox.start(targets)
        self._reload_again()

    def _reload_again(self) -> None:
        """The code was touched while it was being imported: once more."""
        if self._again:
            self._again = False
            self.reload("", touched=self._touched)

    def reload(self, why: str, *, touched: bool = False) -> None:
        """Let a new fork server import the app again; when it is ready it takes over.

        touched: touch-spoolers-reload asked for it, for which uWSGI imports nothing again but spooler-import.
        """
        if self.stopping or self._restart:
            return
        if why:
            self.log.say(why)
        if self.coming is not None:
            self._again = True
            self._touched = self._touched and touched
        else:
            self._touched = touched
            self.begin_generation()

    def _imported_once(self) -> bool:
        """Would uWSGI's master import anything of the app, which its spoolers then inherit at each respawn?"""
        lazy = self.options.lazy_apps
        return any(kind == "shared-import" or not lazy for kind, _ in self.options.preloads)

    def _running(self) -> int:
        """How many tasks and signal handlers are running now."""
        running = sum(1 for seat in range(len(self.slots) * 2) if self.board.slot(seat)[STARTED])
        return running + self.orphans.running()

    def _import_ends(self) -> float | None:
        """When the import that is going on is given up: it hangs, or reads code that has been changed meanwhile."""
        if self.coming is None or self.stopping or self._restart or not (self._again or self.serving):
            return None
        return self.coming.began + max(_STALE_IMPORT if self._again else _LONGEST_IMPORT, 3 * self._import_took)

    def _hurry_import(self) -> None:
        """No import may hang for ever and keep later code from being tried."""
        end = self._import_ends()
        if self.coming is None or end is None or _now() < end:
            return
        then = (
            "another touch has come: trying again" if self._again else "still serving the old code until the next touch"
        )
        self.log.say(f"gave up importing the new code after {_now() - self.coming.began:.0f} s; {then}", error=True)
        self._give_up_import()
        self._reload_again()

    def _give_up_import(self) -> None:
        """End the fork server that is to serve next."""
        useless, self.coming = self.coming, None
        if useless is not None:
            useless.kill()
            self.lost(useless)

    def died(self, generation: Generation, number: int, pid: int, status: int, worked: bool) -> None:
        """A spooler is dead."""
        generation.forget(pid)
        self._died_of = status
        if self.options.drain and status == lifecycle.DRAINED and not self.stopping:
            self.slots[number] = self.slots[number]._replace(stopping=True)
        self.happen(number, "died", pid, worked)
        if self.options.drain and (deaths := self.slots[number].failures) > lifecycle.PATIENCE and not self.stopping:
            # it would never end: what kills the process again and again is not drained
            self.slots[number] = self.slots[number]._replace(state=lifecycle.CLOSED, stopping=True)
            self._cannot_drain(f"{deaths} processes in a row ended without trying a task", self.path(number))
        if self.options.drain and not self.stopping and all(lifecycle.over(slot) for slot in self.slots[: self.served]):
            self.stop(self.options.stop_grace)  # there may be the stand-in worker

    def _cannot_drain(self, why: str, where: str) -> None:
        """Something goes wrong again and again: a drain that goes on would never end."""
        self.log.say(f"{where}: {why}; draining stops here", error=True)
        self.remains.stopped = why
        self.status = FAILED

    def reap(self) -> None:
        """Which fork server died? One whose line is still held open, by a child that the app made, tells us so only.

        As process 1 of a container we are the parent of all that lost theirs, whatever a task has left behind.
        """
        for generation in list(self.generations):
            try:
                pid, _ = os.waitpid(generation.pid, os.WNOHANG)
            except ChildProcessError:
                pid = generation.pid
            if pid:
                generation.dead = True
                for message in generation.wire.rest():
                    self.heard(generation, message)
                self.lost(generation)
        if os.getpid() == 1:
            self._reap_orphans()

    def _reap_orphans(self) -> None:
        ours = {generation.pid for generation in self.generations}
        try:
            while (found := os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)) is not None:
                if found.si_pid in ours:
                    break  # it is collected by its own number; another signal tells of those behind it
                os.waitpid(found.si_pid, 0)
        except ChildProcessError:
            pass  # there is none at all

    def _end_overdue(self) -> None:
        """End fork servers that were told to, and had time: one that is stopped, or hangs in the app's atexit."""
        for generation in list(self.generations):
            if generation.end_by is None or _now() < generation.end_by:
                continue
            count = len(generation.pids)
            left = f", and {count} of its spoolers" if count else ""
            self.log.say(f"the fork server {generation.pid} does not end: it is killed{left}", error=True)
            if self.stopping:
                self.status = self.status or FAILED
            generation.kill()
            self.lost(generation)

    def lost(self, generation: Generation) -> None:
        """A fork server is gone: as it should, or killed."""
        if generation not in self.generations:
            return
        self.poll.unregister(generation.wire.fd)
        generation.wire.close()
        self.generations.remove(generation)
        if not generation.dead:
            _bury(generation.pid)
        overdue = generation.end_by is not None and _now() >= generation.end_by
        was_serving, was_coming = generation is self.serving, generation is self.coming
        if was_serving:
            self.serving = None
        if was_coming:
            self.coming = None
            if not self.stopping and not self._restart:
                self.log.say("the fork server ended before it was ready", error=True)
                if self.serving is None:
                    self._start_again()
        if self._restart:
            self.orphans.adopt(generation, self.board, kill=True)
            if not self.generations:
                self._restart = False
                self._forget()
                self.begin_generation()
        elif was_serving and not self.stopping:
            self.log.say("the fork server was killed: starting another one", error=True)
            self._abandon(generation)
            self._give_up_import()  # it was given the scoreboard that has just gone; what it says counts no more
            self._killed_servers += 1
            if self.options.drain and self._killed_servers > lifecycle.PATIENCE:
                self._cannot_drain(f"{self._killed_servers} fork servers were killed", "master")
                self.stop(self.options.stop_grace)
            else:
                self.begin_generation()
        else:
            self.orphans.adopt(generation, self.board, owed=True, kill=overdue)
            for slot in self.slots if generation.ready else ():  # it still owed us these
                if slot.state == lifecycle.STALE:
                    self.happen(slot.number, "died", 0, True)

    def _mark_leaver(self, number: int, pid: int) -> None:
        """From now on the process takes no task: it learns that here before its fork server has read our message."""
        for seat in (2 * number, 2 * number + 1):
            words = self.board.slot(seat)
            if words[PID] == pid:
                words[LEAVE] = 1

    def _start_again(self) -> None:
        """Nobody serves, and the fork server that was to has died. Code that has served before is tried again."""
        if self._tries:
            self._tries -= 1
            self.begin_generation()
        else:
            self.remains.stopped = "the app ended the fork server while it was imported"
            self.status = FAILED

    def _abandon(self, generation: Generation) -> None:
        """The fork server was killed: its spoolers finish the task they hold, and write to a scoreboard of the past."""
        self.orphans.adopt(generation, self.board)
        for seat in range(len(self.slots) * 2):
            self.board.slot(seat)[LEAVE] = 1
        kept = self.board.words[FREQUENCY:HEAD].tolist()
        unremoved = self.board.unremoved.tobytes()
        self._board_file.close()
        self._board_file = self._make_board()
        self.board.unremoved.cast("B")[:] = unremoved
        for word, value in enumerate(kept, FREQUENCY):
            self.board.words[word] = value
        self.slots = [lifecycle.new(slot.number) for slot in self.slots]

    # ---- signals and stopping ----

    def signalled(self, number: int) -> None:
        """A signal came, to us or to the fork server that the app takes for us."""
        if number == signal.SIGHUP:
            if self.terminal.is_gone() and not self._nohup:
                self.remains.stopped = self.remains.stopped or "the terminal is gone"
                self.stop(_HANGUP_GRACE)
            elif self.options.faithful:
                self.restart("...gracefully killing workers...")
            else:
                self.reload("SIGHUP: reloading")
        elif number in _NAMES:
            self.asked_to_stop(number)
        elif number != signal.SIGCHLD:
            self.tell()

    def tell(self) -> None:
        """SIGUSR1 or SIGUSR2: say what runs; uWSGI prints figures of its web workers then, and goes on."""
        for number in range(self.served):
            words = self.board.serving(number)
            task = read_task(self.board.task(number * 2 + self.slots[number].seat)) if words[STARTED] else ""
            what = f"runs {task}" if task else "runs no task"
            done = sum(self.board.slot(number * 2 + seat)[DONE] for seat in (0, 1))
            self.log.say(f"spooler {number + 1} ({self.path(number)}), process {words[PID]}: {what}; {done} done")

    def asked_to_stop(self, number: int) -> None:
        """SIGINT, SIGTERM or SIGQUIT."""
        options = self.options
        if options.faithful and number == (signal.SIGQUIT if options.die_on_term else signal.SIGTERM):
            self.restart("...brutally killing workers...")
            return
        self.remains.stopped = self.remains.stopped or f"stopped by {_NAMES[signal.Signals(number)]}"
        if options.faithful:
            if not self.stopping:
                self.log.line("SIGINT/SIGTERM received...killing workers...")
                self.kill_all()
            return
        if self.stopping:
            if _now() - self.stopped_at > _SAME_PRESS and not self.killed:
                self.killed = True
                self.status = BY_SIGNAL + number
                self.log.say(f"{_NAMES[signal.Signals(number)]} again: ending at once; running tasks stay in the spool")
                self.kill_all()
            return
        if number == signal.SIGTERM and not options.die_on_term:
            self.notes.give("sigterm")
        elif number == signal.SIGQUIT and options.die_on_term:
            self.notes.give("stop-reloads")
        running = self._running()
        if running:
            self.notes.give("graceful-stop")
            self.log.say(
                f"{_NAMES[signal.Signals(number)]}: {running} running, at most {options.stop_grace:g} s to finish; "
                "again to end at once"
            )
        self.stop(options.stop_grace)

    def stop(self, grace: float) -> None:
        """Let every spooler settle what it holds and go, for so many seconds at most."""
        if self.stopping:
            return
        self.stopping = True
        self.stopped_at = _now()
        self.each("stop", _now() + grace)
        self.orphans.stop(_now() + grace)
        self._retire_all(_now() + grace + _OVERTIME)

    def kill_all(self) -> None:
        """End every spooler at once; their tasks stay."""
        self.stopping = True
        self.stopped_at = _now()
        for seat in range(self.served * 2):
            pid = self.board.slot(seat)[PID]
            if pid and self.options.faithful:
                self.log.line(f"killing the spooler with pid {pid}")
        self.each("kill")
        self.orphans.stop(_now())
        self._retire_all(_now() + _OVERTIME)

    def outlived(self, orphan: str, then: str) -> None:
        """A spooler without a fork server had its time to end, and did not."""
        self.log.say(f"{orphan}, of the killed fork server, {then}", error=True)
        self.status = self.status or FAILED

    def _retire_all(self, end_by: float) -> None:
        """Let the fork servers go when their spoolers have, and end them then."""
        self.waiting = False
        self._begin_at = None
        for generation in self.generations:
            generation.retire(end_by)

    def restart(self, line: str) -> None:
        """What uWSGI makes of SIGHUP, and of SIGTERM without die-on-term: kill, and start everything anew."""
        if self.stopping or self._restart:
            return
        self.kill_all()
        self.log.line(line)
        self.log.line("binary reloading uWSGI...")
        self.stopping = False
        self._restart = True
        self.slots = [lifecycle.new(slot.number) for slot in self.slots]

    def _forget(self) -> None:
        """Everything begins anew, as in the program that uWSGI's master becomes: signals that nobody took are lost,
        timers and crons have never fired, the frequency is the option's again.
        """
        self.spooler_pipe.close()
        self.spooler_pipe = Pipe.open()
        if self.worker_pipe:
            self.worker_pipe.close()
            self.worker_pipe = Pipe.open()
        self.board.words[FREQUENCY] = 0
        self.clockwork.forget()
        self.touch.forget()

    # ---- draining ----

    def tally(self) -> tuple[int, int]:
        """Tasks done and kept so far, from the scoreboard."""
        from spoolsim.work.scoreboard import DONE, KEPT

        seats = [self.board.slot(seat) for seat in range(len(self.slots) * 2)]
        return sum(words[DONE] for words in seats), sum(words[KEPT] for words in seats)

    def close(self) -> None:
        """Give everything back; the scoreboard's file goes."""
        self.touch.close()
        self.clockwork.close()
        self.told.close()
        self.cheap.close()
        self.inbox.close()
        if self.stats:
            self.stats.close()
        self.orphans.close()
        self._board_file.close()
        self.log.turn = None
        for fd in (self.wakeup, self.wakeup_writer, self.said, *self.reports):
            if fd >= 0:
                os.close(fd)


def _bury(pid: int) -> None:
    """Collect a child whose line is closed; one that goes on without it is killed."""
    end = _now() + _BURIAL
    while _now() < end:
        try:
            if os.waitpid(pid, os.WNOHANG)[0]:
                return
        except ChildProcessError:
            return
        select.select((), (), (), 0.005)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)


def _queued(number: int, frame: object) -> None:
    """The wakeup descriptor has it."""


def _now() -> float:
    return time.clock_gettime(time.CLOCK_MONOTONIC)
