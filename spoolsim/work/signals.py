"""uwsgi signals: numbers from 0 to 255 with a handler and a target, sent through one shared pipe for each target.

The first free process takes a signal from its pipe; nothing is merged, nothing interrupts a task.
"""

from __future__ import annotations

import marshal
import os

from spoolsim import system
from spoolsim.options.policy import SAFER
from spoolsim.work.scoreboard import DROPPED

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeAlias

    #: what a registration says: of a timer or cron numbers, of a file monitor its path
    Spec: TypeAlias = int | str
    #: a timer, cron or file monitor: its kind, signal number and what its registration says
    Timed: TypeAlias = tuple[str, int, *tuple[Spec, ...]]
    #: the same, with the target of its signal
    Reported: TypeAlias = tuple[str, int, str, *tuple[Spec, ...]]

    from spoolsim.diagnose import Notes
    from spoolsim.log import Log
    from spoolsim.options import Options, Policy

SPOOLER = "spooler"
#: the longest target name uWSGI takes, in characters
TARGET_SIZE = 63
#: how many of each kind uWSGI takes
LIMIT = 64
#: kind -> its names in uWSGI's sentences
_KINDS = {
    "timer": ("timer", "timers"),
    "ms_timer": ("timer", "timers"),
    "rb_timer": ("rb_timer", "rb_timers"),
    "cron": ("cron", "cron"),
    "file": ("file monitor", "file monitors"),
}
UNABLE = "unable to register signal"
#: where a target leads: to the web workers, to a mule or a farm, or nowhere: uWSGI starts no such process
WORKER, ELSEWHERE, NOWHERE = "worker", "elsewhere", ""
#: targets that are any web worker to us
_IN_WORKERS = ("", "worker", "worker0", "workers", "active-workers")
_NO_PIPE = "uwsgi_signal_send(): Bad file descriptor [core/signal.c line 306]"
#: uWSGI's words when a signal does not fit any more
_FULL = "*** SIGNAL QUEUE IS FULL: buffer size {size} bytes (you can tune it with --signal-bufsize) ***"


class Pipe:
    """A queue of signal numbers in the kernel; read by whoever is free first.

    A socket pair with its default buffer, as in uWSGI, so that it holds as many (some 280 on Linux).
    """

    __slots__ = ("reader", "writer")

    def __init__(self, reader: int, writer: int) -> None:
        self.reader = reader
        self.writer = writer

    @classmethod
    def open(cls) -> Pipe:
        """A new one, both ends non-blocking; in memory where one process is all there is."""
        if not system.POSIX:
            return Queue()
        import socket

        reader, writer = socket.socketpair()
        reader.setblocking(False)
        writer.setblocking(False)
        return cls(reader.detach(), writer.detach())

    def size(self) -> int:
        """The buffer's size in bytes, for uWSGI's line."""
        import socket

        with socket.socket(fileno=os.dup(self.writer)) as writer:
            return writer.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF)

    def send(self, number: int) -> bool:
        """Put a signal in; False when the pipe is full."""
        try:
            os.write(self.writer, bytes((number,)))
        except BlockingIOError:
            return False
        return True

    def receive(self) -> int:
        """Take a signal out; -1 when there is none (any more)."""
        try:
            data = os.read(self.reader, 1)
        except BlockingIOError:
            return -1
        return data[0] if data else -1

    def wait(self) -> None:
        """Until there is one to take."""
        import select

        select.select([self.reader], [], [])

    def close(self) -> None:
        """Give both ends back; what nobody took is lost."""
        os.close(self.reader)
        os.close(self.writer)


class Queue(Pipe):
    """The same in the memory of one process, for a system without POSIX."""

    __slots__ = ("_numbers",)

    def __init__(self) -> None:
        super().__init__(-1, -1)
        self._numbers: list[int] = []

    def __len__(self) -> int:
        """How many are waiting."""
        return len(self._numbers)

    def size(self) -> int:
        """No limit."""
        return 0

    def send(self, number: int) -> bool:
        """Put a signal in."""
        self._numbers.append(number)
        return True

    def receive(self) -> int:
        """Take a signal out; -1 when there is none."""
        return self._numbers.pop(0) if self._numbers else -1

    def wait(self) -> None:
        """Nobody but this process can put one in: it does not wait."""

    def close(self) -> None:
        """Nothing to give back."""


class Crew:
    """The processes of a uWSGI configuration that a signal can be sent to, apart from its spoolers.

    workers: web workers, the stand-in worker included. mules: how many. farms: their names.
    web: uWSGI itself would start web workers; it does so for a socket only.
    """

    __slots__ = ("farms", "mules", "web", "workers")

    def __init__(self, workers: int = 1, mules: int = 0, farms: tuple[str, ...] = (), *, web: bool = True) -> None:
        self.workers = workers
        self.web = web
        self.mules = mules
        self.farms = farms

    @classmethod
    def of(cls, options: Options) -> Crew:
        """The crew that uWSGI would start for these options."""
        web = bool(options.sockets or options.web_sockets)
        workers = max(options.web_processes, 1) if web or options.stand_in_worker else 0
        return cls(workers, options.mules, options.farms, web=web)


def route(number: int, target: str, crew: Crew) -> tuple[str, tuple[str, ...]]:
    """Where a uWSGI with this crew sends a signal, and the lines that it logs each time.

    It reads a prefix and a number: "worker2", but also "workerx", which is worker 0 and does not exist.
    """
    if target == SPOOLER or target in _IN_WORKERS:
        return (SPOOLER if target == SPOOLER else WORKER), ()
    if target in ("mules", "subscribed"):
        return (ELSEWHERE if target == "mules" and crew.mules else NOWHERE), ()
    invalid = f"invalid signal target: {target}"
    if target.startswith("worker"):
        which = _leading_number(target[6:])
        if 0 < which <= crew.workers:
            return WORKER, ()
        missing = (_NO_PIPE, f"could not deliver signal {number} to worker {which}")
        return NOWHERE, (invalid, *missing) if which > crew.workers else missing
    if target.startswith("mule"):
        which = _leading_number(target[4:])
        if which > crew.mules:
            return NOWHERE, (invalid,)
        if which < 0 or not crew.mules:
            return NOWHERE, (_NO_PIPE, f"could not deliver signal {number} to a mule")
        return ELSEWHERE, ()
    if target.startswith("farm_"):
        known = target[5:] in crew.farms
        return (ELSEWHERE, ()) if known else (NOWHERE, (f"unknown farm: {target[5:]}",))
    return NOWHERE, (invalid if target.startswith("farm") else f"^^^ UNSUPPORTED SIGNAL TARGET: {target} ^^^",)


def _leading_number(text: str) -> int:
    """As C's atoi reads it: 0 for none."""
    digits = 1 if text[:1] in ("-", "+") else 0
    while text[digits : digits + 1].isdecimal():
        digits += 1
    return int(text[:digits]) if text[:digits].strip("+-") else 0


class SignalRouter:
    """Takes signals to the queue of their target, with uWSGI's lines about those that it cannot take there.

    crew: the processes that uWSGI would start.
    spoolers, workers: the queues, None where nobody is there.
    words: the head of the scoreboard, which counts what did not fit; None without one.
    """

    __slots__ = ("_log", "crew", "spoolers", "words", "workers")

    def __init__(self, log: Log, *, crew: Crew | None = None) -> None:
        self._log = log
        self.crew = crew or Crew()
        self.spoolers: Pipe | None = None
        self.workers: Pipe | None = None
        self.words: memoryview | None = None

    def route(self, number: int, target: str) -> tuple[str, tuple[str, ...]]:
        """As the function; the stand-in worker also takes the signals for mules and farms that uWSGI would start."""
        where, lines = route(number, target, self.crew)
        return (WORKER, ()) if where == ELSEWHERE else (where, lines)

    def deliver(self, number: int, target: str) -> None:
        """Put a signal into the queue of its target; lost when there is none, or it is full."""
        where, lines = self.route(number, target)
        for line in lines:
            self._log.line(line)
        pipe = self.spoolers if where == SPOOLER else self.workers if where == WORKER else None
        if pipe is None or pipe.send(number):
            return
        if self.words is not None:
            self.words[DROPPED] += 1
        self._log.line(_FULL.format(size=pipe.size()), "error")
        self._log.line(f"could not deliver signal {number} to the {target or 'worker'}", "error")


class Signals(SignalRouter):
    """The signal table of one process; forked processes inherit it.

    policy: where it is stricter than uWSGI.
    handlers: number -> (target, handler). timed: what else fires signals, as (kind, number, ...), for the master.
    """

    __slots__ = ("_notes", "_policy", "handlers", "in_master", "received", "registrar", "timed", "up", "worker_id")

    def __init__(self, log: Log, notes: Notes, *, policy: Policy = SAFER, crew: Crew | None = None) -> None:
        super().__init__(log, crew=crew)
        self._policy = policy
        self._notes = notes
        self.handlers: dict[int, tuple[str, Callable[[int], object]]] = {}
        self.timed: list[Timed] = []
        #: while the app is imported; a forked process registers for itself, a spooler no signal at all
        self.in_master = True
        self.worker_id = 0
        #: a descriptor through which a forked process tells the master what fires signals; -1 for none
        self.registrar = -1
        #: the spoolers are there: before, while the app is imported, a signal is lost, as in uWSGI
        self.up = False
        self.received = 0

    def number(self, number: int) -> int:
        """A signal number as uWSGI reads it: modulo 256, where it is not refused. Raises ValueError."""
        if 0 <= number <= 255:
            return number
        if self._policy.refuses_signal_numbers:
            self._notes.give("signal-number", str(number))
            raise ValueError(UNABLE)
        return number % 256

    def register(self, number: int, target: str, handler: Callable[[int], object]) -> None:
        """uwsgi.register_signal(). Raises ValueError with uWSGI's sentence."""
        number = self.number(number)
        if not self.in_master and not self.worker_id:
            self._log.line("only the master and the workers can register signal handlers")
            raise ValueError(UNABLE)
        if len(target) > TARGET_SIZE:
            raise ValueError(UNABLE)
        if self.in_master and number in self.handlers:
            self._log.line("[uwsgi-signal] you cannot re-register a signal as the master !!!")
            raise ValueError(UNABLE)
        # signals are routed by what the master knows: to the workers if it knows nothing of this one
        routed = target if self.in_master else self.handlers.get(number, ("", None))[0]
        self.handlers[number] = (routed, handler)
        self._log.line(
            f"[uwsgi-signal] signum {number} registered (wid: {self.worker_id} modifier1: 0 "
            f"target: {target or 'default, any worker'})"
        )
        where, _ = self.route(number, target)
        if where == NOWHERE or (where == WORKER and not self._is_there(target)):
            if self._policy.explains_targets:
                self._notes.give("signal-target", f"signal {number}", f"target {target!r}")
        elif where != SPOOLER and self.workers is None:
            self._notes.give("no-worker", f"signal {number}", f"target {target!r}")

    def _is_there(self, target: str) -> bool:
        """Would uWSGI start a process for this target? `route` sends all of them to the stand-in worker."""
        return self.crew.web or route(0, target, self.crew)[0] == ELSEWHERE

    def add(self, kind: str, number: int, *spec: Spec) -> None:
        """Fire a signal by time or by a file: "timer", "rb_timer", "ms_timer", "cron" or "file". Raises ValueError."""
        number = self.number(number)
        one, many = _KINDS[kind]
        if sum(_KINDS[row[0]] == _KINDS[kind] for row in self.timed) >= LIMIT:
            self._log.line(f"you can register max {LIMIT} {many} !!!")
            raise ValueError(f"unable to add {one}")
        self.timed.append((kind, number, *spec))
        if not self.in_master and self.registrar >= 0:
            try:
                os.write(self.registrar, marshal.dumps(self._reported(kind, number, *spec)))
            except OSError:
                pass  # the master is gone

    def report(self) -> list[Reported]:
        """What fires signals, as (kind, number, target, ...), for the master."""
        return [self._reported(*row) for row in self.timed]

    def _reported(self, kind: str, number: int, *spec: Spec) -> Reported:
        return (kind, number, self.handlers.get(number, ("", None))[0], *spec)

    def send(self, number: int) -> None:
        """uwsgi.signal(): route a signal to the processes of its target."""
        number = self.number(number)
        target = self.handlers.get(number, ("", None))[0]
        if not self.up or self.spoolers is None:
            self._log.line(_NO_PIPE)
        else:
            self.deliver(number, target)

    def wait(self, pipe: Pipe, wanted: int, who: str, report: Callable[[], None]) -> None:
        """uwsgi.signal_wait() of the process that `who` names: run the handlers of what arrives, until one (the wanted
        one, if not negative) did. What one raises is printed by `report`.
        """
        while True:
            pipe.wait()
            number = pipe.receive()
            if number >= 0:
                self.run(number, who, report)
                if wanted < 0 or number == wanted:
                    return

    def run(self, number: int, who: str, report: Callable[[], None]) -> None:
        """Call the handler of a received signal; what it raises is printed by `report` and does not kill."""
        self.received = number
        handler = self.handlers.get(number)
        if handler is not None:
            try:
                handler[1](number)
            except (Exception, KeyboardInterrupt):  # a SystemExit ends the process, as in uWSGI
                report()
            else:
                return
        self._log.dated(f"error managing signal {number} on {who}")
