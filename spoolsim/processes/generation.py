"""One fork server as the master sees it: a generation of the app's code."""

from __future__ import annotations

import os
import signal
import socket
import sys
import time
from collections import namedtuple

from spoolsim.processes.wire import Wire
from spoolsim.work.app import SHIM

TYPE_CHECKING = False
if TYPE_CHECKING:
    from spoolsim.options import Options
    from spoolsim.processes.fleet import Fleet
    from spoolsim.processes.messages import Order, Setup, Word
    from spoolsim.processes.pipes import Pipes

#: what a fresh interpreter runs; spoolsim is found where the master found it
_BOOT = """\
import sys
try:
    import spoolsim
except ImportError:
    sys.path.append({root!r})
from spoolsim.processes.forkserver import main
main({wire}, {board})
"""
#: signals that wait until the interpreter has our handlers: Ctrl-C would strike an import of ours and tell of it
_HELD = {signal.SIGINT, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2}
_ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


class Inherited(namedtuple("Inherited", "pipes registrar said reporter")):
    """The descriptors that each fork server and its spoolers have from the master.

    pipes: of uwsgi signals. registrar: by which they register. said: of what was said once. reporter: of a drain; -1.
    """

    __slots__ = ()
    pipes: Pipes
    registrar: int
    said: int
    reporter: int


def setup_of(options: Options, fleet: Fleet, inherited: Inherited, number: int) -> Setup:
    """What the fork server of this number is to load."""
    pipes = inherited.pipes
    others = [fd for fd in (inherited.registrar, inherited.said, inherited.reporter) if fd >= 0]
    return {
        "options": options.to_plain(),
        "directories": fleet.entries,
        "slots": len(fleet.slots),
        "spooler_pipe": (pipes.spoolers.reader, pipes.spoolers.writer),
        "worker_pipe": (pipes.workers.reader, pipes.workers.writer) if pipes.workers else None,
        "reports": inherited.reporter,
        "registrar": inherited.registrar,
        "said": inherited.said,
        "generation": number + 1,
        "board": os.path.basename(fleet.board_path),
        "descriptors": [*pipes.descriptors(), *others],
    }


class Generation:
    """A fork server. number: counts reloads. pids: its living spoolers, pid -> slot number.

    began: when it was started, by the monotonic clock.
    end_by: when it is killed, by the same clock, as it was told to end and had time; None for not told yet.
    owed: the slots for which it was asked to fork, and has not answered yet.
    handles: pid -> a descriptor of that process, by which it can be signalled when its parent is gone; Linux only.
    """

    __slots__ = ("began", "dead", "end_by", "handles", "number", "owed", "pid", "pids", "ready", "wire")

    def __init__(self, number: int, pid: int, wire: Wire) -> None:
        self.number = number
        self.pid = pid
        self.wire = wire
        self.pids: dict[int, int] = {}
        self.owed: set[int] = set()
        self.began = time.clock_gettime(time.CLOCK_MONOTONIC)
        self.handles: dict[int, int] = {}
        self.end_by: float | None = None
        self.ready = False
        self.dead = False

    def send(self, order: Order) -> None:
        """Tell it something; when it is gone, that is found out in another way."""
        self.wire.send(*order)

    def words(self) -> list[Word] | None:
        """What it says; None when it is gone."""
        return self.wire.receive()

    def retire(self, end_by: float) -> None:
        """Let it go when its spoolers have; one that still imports the app does not listen, and is killed."""
        self.end_by = end_by if self.end_by is None else min(end_by, self.end_by)
        if not self.ready:
            self.kill()
        self.send(("retire",))

    def kill(self) -> None:
        """SIGKILL; its death will tell."""
        if not self.dead:
            os.kill(self.pid, signal.SIGKILL)

    def ask(self, number: int, seat: int) -> None:
        """Let it fork a spooler for slot `number`, into a seat of the scoreboard."""
        self.owed.add(number)
        self.send(("spawn", number, seat))

    def spawned(self, pid: int, number: int) -> None:
        """It has a spooler more, for slot `number`."""
        self.owed.discard(number)
        self.pids[pid] = number
        try:
            self.handles[pid] = os.pidfd_open(pid)
        except (AttributeError, OSError):
            pass  # not Linux, or buried already

    def died(self, pid: int, number: int) -> None:
        """A spooler of it is dead; pid 0: it could not fork one for slot `number`."""
        if not pid:
            self.owed.discard(number)
        self.forget(pid)

    def forget(self, pid: int) -> None:
        """A spooler of it is dead, or somebody else's business."""
        self.pids.pop(pid, None)
        handle = self.handles.pop(pid, -1)
        if handle >= 0:
            os.close(handle)

    @classmethod
    def spawn(cls, number: int, board_fd: int, setup: Setup) -> Generation:
        """Start a fresh interpreter that becomes the fork server, and tell it what to load. Raises OSError."""
        ours, theirs = socket.socketpair()
        passed = [theirs.fileno(), board_fd, *setup["descriptors"]]
        for fd in passed:
            os.set_inheritable(fd, True)
        boot = _BOOT.format(root=_ROOT, wire=theirs.fileno(), board=board_fd)
        environment = dict(os.environ)
        inherited = environment.get("PYTHONPATH", "").split(os.pathsep)
        environment["PYTHONPATH"] = os.pathsep.join([SHIM, *(part for part in inherited if part and part != SHIM)])
        if sys.platform == "darwin":
            # its Objective-C runtime ends a process that forks after a framework was imported, be it only to resolve
            # a name or a proxy; what a task starts inherits it
            environment.setdefault("OBJC_DISABLE_INITIALIZE_FORK_SAFETY", "YES")
        try:
            level = setup["options"]["optimize"]
            flags = ["-P", *(["-" + "O" * min(level, 2)] if level else ())]
            argv = [sys.executable, *flags, "-c", boot]
            mask = signal.pthread_sigmask(signal.SIG_BLOCK, ()) | _HELD
            pid = os.posix_spawn(sys.executable, argv, environment, setsigmask=mask)
        except OSError:
            ours.close()
            raise
        finally:
            for fd in passed:
                os.set_inheritable(fd, False)
            theirs.close()
        wire = Wire(ours.detach())
        generation = cls(number, pid, wire)
        generation.send(("setup", setup))
        return generation
