"""The fork server: one thread; imports the app once; forks, watches over and reaps the spoolers.

It alone signals them, since it alone knows, as their parent, that a pid is still theirs. When the master is gone it
lets its spoolers finish what they hold, goes on with the harakiri until they are, and ends.
"""

from __future__ import annotations

import os
import select
import signal
import sys
import time

from spoolsim.errors import OptionError
from spoolsim.log import Log
from spoolsim.options import Options
from spoolsim.processes import child, forked, harakiri, imported, webworker
from spoolsim.processes.lifecycle import DRAINED
from spoolsim.processes.poison import Poison, ended
from spoolsim.processes.wire import Wire
from spoolsim.spool import wake
from spoolsim.spool.directory import SpoolDir
from spoolsim.tasks import people
from spoolsim.work import attempt_ring, attempted, handlers, limits, program, said
from spoolsim.work.app import App
from spoolsim.work.installed import install
from spoolsim.work.notices import KEPT
from spoolsim.work.recorder import Box, bury, open_box
from spoolsim.work.remains import reporter
from spoolsim.work.scoreboard import DRAINED as THROUGH
from spoolsim.work.scoreboard import (
    HARAKIRI,
    LEAVE,
    PID,
    SERIAL,
    SPAWNS,
    STARTED,
    STATE,
    TASKS,
    USER,
    Scoreboard,
    read_task,
)
from spoolsim.work.signals import Pipe
from spoolsim.work.unremoved import Unremoved

TYPE_CHECKING = False
if TYPE_CHECKING:
    from spoolsim.processes.messages import Order, SetUp, Word

#: signals that somebody sent us, thinking we are uWSGI's master, and that the master is told of
_PASSED_ON = (signal.SIGHUP, signal.SIGTERM, signal.SIGQUIT)
#: signals that uWSGI's master takes, and that would end a program that does not
_NOT_FOR_US = (signal.SIGUSR1, signal.SIGUSR2)


class Spawned:
    """One living spooler: its slot, its seat and words on the scoreboard, and the write end of its lifeline.

    box: what it has not yet written of its history; None for no history.
    """

    __slots__ = ("box", "lifeline", "number", "seat", "struck", "words")

    def __init__(self, number: int, seat: int, words: memoryview, lifeline: int, box: Box | None) -> None:
        self.box = box
        self.number = number
        self.seat = seat
        self.words = words
        self.lifeline = lifeline
        #: killed by its harakiri
        self.struck = False


class ForkServer:
    """The fork server's state. wire: to the master. slots: how many the master has, each with two seats."""

    def __init__(self, wire: Wire, board: Scoreboard, app: App, places: list[tuple[SpoolDir, int, int]], reports: int):
        self.wire = wire
        self.board = board
        self.app = app
        #: by slot: directory, which worker of it, of how many; the stand-in worker's slot is behind them
        self.places = places
        self.reports = reports
        #: by path, the rings of an ordered directory's workers
        self.rings: dict[str, memoryview] = {}
        if app.options.ordered and app.policy.shares_tries:
            counts = {spool.path: count for spool, _, count in places if count > 1}
            self.rings = {path: attempt_ring.share(count) for path, count in counts.items()}
        #: by path, what a drain has tried
        self.attempted: dict[str, memoryview] = {}
        if reports >= 0:
            self.attempted = {spool.path: attempted.share(count) for spool, index, count in places if not index}
        self.living: dict[int, Spawned] = {}
        #: slots that have had a process
        self.spawned: set[int] = set()
        self.poison = Poison(app)
        #: when the living are counted again, by the monotonic clock
        self.count_at = 0.0
        self.orphaned = False
        self.retired = False
        self.wakeup, writer = os.pipe()
        os.set_blocking(self.wakeup, False)
        os.set_blocking(writer, False)
        self.wakeup_writer = writer

    def serve(self) -> None:
        """Until the master is gone or retires us, and all spoolers are."""
        handlers.wake(self.wakeup_writer)  # before the handlers: a signal in between would be swallowed
        for ours in (signal.SIGCHLD, signal.SIGINT, *_PASSED_ON, *_NOT_FOR_US):  # again: the import may have changed it
            handlers.handle(ours, _queued)
        poll = select.poll()
        poll.register(self.wakeup, select.POLLIN)
        poll.register(self.wire.fd, select.POLLIN)
        while self.living or not (self.orphaned or self.retired):
            ready = {fd for fd, _ in poll.poll(self.until_look() * 1000)}
            if self.wire.fd in ready:
                messages = self.wire.receive()
                if messages is None:
                    poll.unregister(self.wire.fd)
                    self.orphaned = True
                    self.leave_all()
                else:
                    for message in messages:
                        self.obey(message)
            if self.wakeup in ready:
                for number in os.read(self.wakeup, 4096):
                    if number in _PASSED_ON:
                        self.say(("signal", number))
            self.reap()
            self.enforce_deadlines()

    def say(self, word: Word) -> None:
        """Tell the master something."""
        self.wire.send(*word)

    def obey(self, order: Order) -> None:
        """One message of the master."""
        if order[0] == "spawn":
            self.spawn(order[1], order[2])
        elif order[0] == "leave":
            self.leave(order[1])
        elif order[0] == "kill":
            self.kill(order[1])
        elif order[0] == "retire":
            self.retired = True

    def spawn(self, number: int, seat: int) -> None:
        """Fork one spooler, or the stand-in worker, into a seat."""
        words = self.board.slot(number * 2 + seat)
        for word in (STATE, SERIAL, TASKS, STARTED, HARAKIRI, USER, LEAVE):
            words[word] = 0
        words[SPAWNS] += 1
        _flush()
        lifeline: tuple[int, ...] = ()
        box = open_box(self.app.options) if number < len(self.places) else None
        try:
            lifeline = reader, writer = os.pipe()
            pid = handlers.fork()
        except OSError as error:
            for fd in lifeline:
                os.close(fd)
            self.app.log.say(f"cannot fork: {error.strerror}", error=True)
            self.say(("died", number, 0, 0, False))
            return
        if not pid:
            os.close(writer)
            self._become_child(number, number * 2 + seat, words, reader, box)
        os.close(reader)
        words[PID] = pid
        self.spawned.add(number)
        self.living[pid] = Spawned(number, number * 2 + seat, words, writer, box)
        self.say(("spawned", number, pid))

    def _become_child(self, number: int, seat: int, words: memoryview, lifeline: int, box: Box | None) -> None:
        # first of all the write ends of all lifelines, or nobody's lifeline would ever end
        for other in self.living.values():
            if other.lifeline >= 0:
                os.close(other.lifeline)
        self.wire.close()
        os.close(self.wakeup)
        os.close(self.wakeup_writer)
        handlers.wake(-1)
        words[PID] = os.getpid()
        if number >= len(self.places):
            webworker.stand_in(self.app, lifeline, again=number in self.spawned)
        spool, index, count = self.places[number]
        place = self.board.task(seat)
        ring = self.rings.get(spool.path)
        trials = self.attempted.get(spool.path)
        child.Spooler(
            self.app,
            spool,
            words=words,
            place=place,
            lifeline=lifeline,
            share=(index, count),
            ring=None if ring is None else attempt_ring.AttemptRing(ring, index),
            attempted=None if trials is None else attempted.Attempted(trials, index),
            reports=self.reports,
            unremoved=Unremoved(self.board.unremoved),
            box=box,
        ).live()

    def leave(self, pid: int) -> None:
        """Ask a spooler to settle what it holds and go: a word for a busy one, the lifeline for an idle one."""
        spawned = self.living.get(pid)
        if spawned is not None and spawned.lifeline >= 0:
            spawned.words[LEAVE] = 1
            os.close(spawned.lifeline)
            spawned.lifeline = -1

    def leave_all(self) -> None:
        """The same to all."""
        for pid, spawned in list(self.living.items()):
            if not self.app.policy.ends_with_master:  # uWSGI's spoolers finish their whole scan before they notice
                if spawned.lifeline >= 0:
                    os.close(spawned.lifeline)
                    spawned.lifeline = -1
            else:
                self.leave(pid)

    def kill(self, pid: int) -> None:
        """SIGKILL, if it is still our child."""
        if pid in self.living:
            self._send(pid, signal.SIGKILL)

    def _send(self, pid: int, number: int) -> None:
        """Signal a spooler, unless somebody else has reaped it."""
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            self._bury_stolen(pid)

    def reap(self) -> None:
        """Collect the dead, and tell the master."""
        while self.living:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                break
            if not pid:
                break
            self.buried(pid, status)
        if time.clock_gettime(time.CLOCK_MONOTONIC) >= self.count_at:
            self.count_at = time.clock_gettime(time.CLOCK_MONOTONIC) + harakiri.POLL
            for pid in list(self.living):
                self._bury_stolen(pid)

    def _bury_stolen(self, pid: int) -> None:
        """A thread that the app started here may wait for any child, and take from us what we are not told of then."""
        try:
            dead, status = os.waitpid(pid, os.WNOHANG)
        except ChildProcessError:
            dead, status = pid, 0
        if dead and pid in self.living:
            self.buried(dead, status)

    def buried(self, pid: int, status: int) -> None:
        """One of our children is dead."""
        spawned = self.living.pop(pid, None)
        if spawned is None:
            return  # a process that the app started while it was imported
        worked = spawned.words[TASKS] > 0
        started = spawned.words[STARTED]
        code = os.waitstatus_to_exitcode(status)
        if spawned.words[STATE] == THROUGH:
            code = DRAINED
        elif started and self.attempted:
            worked = True  # this task is not tried again
        spawned.words[PID] = 0
        spawned.words[STARTED] = 0
        if spawned.lifeline >= 0:
            os.close(spawned.lifeline)
        if started and spawned.number < len(self.places):
            spool = self.places[spawned.number][0]
            task = read_task(self.board.task(spawned.seat))
            how = ended(code, harakiri=spawned.struck)
            if self.reports >= 0 and task:
                reporter(self.reports)(KEPT, f"{spool.path}/{task}", f"its spooler {how}")
            if not self.app.policy.postpones_deadly_tasks:
                pass  # uWSGI knows nothing of it
            elif spawned.lifeline >= 0:
                took = time.clock_gettime_ns(time.CLOCK_MONOTONIC) - started
                self.poison.died(spool, task, how, took, pid, spawned.box)
                spawned.box = None
            else:
                # nobody is spawned for it: its successor has met the task as locked, and would leave it to the poll
                wake.notify(spool)
        if spawned.box is not None:
            bury(self.app.options, self.places[spawned.number][0], spawned.box)
        self.say(("died", spawned.number, pid, code, worked))

    def until_look(self) -> float:
        """Seconds until a deadline passes, or one could have been set."""
        if not self.living:
            return 3600.0
        return harakiri.until_next((spawned.words for spawned in self.living.values()), self.app.options.harakiri)

    def enforce_deadlines(self) -> None:
        """Harakiri: stop, look again, then kill; so never a task that ended at its very deadline."""
        for pid, spawned in list(self.living.items()):
            if harakiri.is_over(spawned.words):
                self._harakiri(pid, spawned)

    def _harakiri(self, pid: int, spawned: Spawned) -> None:
        self._send(pid, signal.SIGSTOP)
        try:
            status = harakiri.wait_stopped(pid)
        except ChildProcessError:
            self._bury_stolen(pid)
            return
        if status is not None:
            self.buried(pid, status)
            return
        if harakiri.still_runs(spawned.words):
            self.app.log.told(f"*** HARAKIRI ON THE SPOOLER (pid: {pid}) ***")
            spawned.struck = True
            self._send(pid, signal.SIGKILL)
            spawned.words[HARAKIRI] = spawned.words[USER] = 0
        self._send(pid, signal.SIGCONT)


def _flush() -> None:
    """What a buffer holds at a fork is written twice; where the app's own stream cannot write it, that is no matter."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except Exception:
            pass


def _queued(number: int, frame: object) -> None:
    """The wakeup descriptor has it."""


def main(wire_fd: int, board_fd: int) -> None:
    """A fresh interpreter, started by the master, becomes the fork server."""
    # the terminal's Ctrl-C, or its end: the master has it too, and ends us; the import that it would strike tells
    # nobody anything
    ours = (signal.SIGINT, signal.SIGHUP, *_NOT_FOR_US)
    for number in ours:
        handlers.handle(number, _queued)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, ours)  # Generation.spawn held them back
    sys.argv[:] = ["uwsgi"]
    # uWSGI's print() goes to its log, and so to descriptor 2
    sys.stdout = open(2, "w", buffering=1, encoding=sys.stderr.encoding, closefd=False)  # noqa: SIM115 - for life
    sys.modules["__main__"] = type(sys)("__main__")  # uWSGI has no main program
    os.set_inheritable(wire_fd, False)
    wire = Wire(wire_fd)
    messages: list[SetUp] | None = []
    while not messages:
        messages = wire.receive(wait=True)
        if messages is None:
            os._exit(1)
    setup = messages[0][1]
    for fd in setup["descriptors"]:
        os.set_inheritable(fd, False)
    options = Options.from_plain(setup["options"])
    log = Log(style=options.log_style, people=options.policy.writes_for_people)
    people.tell(log)
    known = said.share(setup["said"], log)
    board = Scoreboard(board_fd, setup["slots"] * 2)
    directories = [
        (SpoolDir(path, external=external, bare=not options.policy.keeps_state), -1 if external else slot)
        for path, external, slot in setup["directories"]
    ]
    app = install(App(options, directories, log, board=board, said=known, generation=setup["generation"]))
    imported.take_prints(log.story)
    app.signals.words = board.words
    app.signals.spoolers = Pipe(*setup["spooler_pipe"])
    app.signals.registrar = setup["registrar"]
    if setup["worker_pipe"]:
        app.signals.workers = Pipe(*setup["worker_pipe"])
    os.environ[program.VARIABLE] = program.describe(options, directories, board=setup["board"])
    try:
        ready = imported.load(app, wire)
        places = child.places_of([directory for directory, slot in directories if slot >= 0])
        server = ForkServer(wire, board, app, places, setup["reports"])
    except (MemoryError, OSError, OptionError) as error:
        wire.send("unable", limits.explain(options, error))
        forked.leave(0)
    wire.send(*ready)
    server.serve()
    forked.leave(0)
