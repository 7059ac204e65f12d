"""Instructions per task, counted by valgrind: `python -m benchmarks.instructions`.

Those of user space, the interpreter's included; what the kernel does, the system calls count. Like these they do not
depend on how busy the machine is. Each figure is the difference between a long and a short run, so what is done once
does not count. To compare with another version, run the same in a clone of that one.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable

if not __package__:  # run as a file
    sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from benchmarks import machine
from benchmarks.contestants import Missing
from benchmarks.rooms import MEMORY, Places, Room
from spoolsim.log import Log
from spoolsim.options import Options
from spoolsim.spool import settle
from spoolsim.spool.directory import SpoolDir
from spoolsim.testing import SpoolerHarness, swap
from spoolsim.work.app import App
from spoolsim.work.scoreboard import Scoreboard
from spoolsim.work.status import Status
from spoolsim.work.worker import Worker

#: tasks of the short run, and of the long one
SHORT, LONG = 2_000, 6_000
_COUNTED = re.compile(r"I\s+refs:\s+([\d,]+)")
#: 2100-01-01
_LATER = b"4102444800"


def _noop(env: object) -> int:
    return -2


def _app(room: Room) -> App:
    spool = SpoolDir.resolve(room.spool, start="/")
    app = App(Options(quiet=True, opt={"spooler": spool.bpath}), [(spool, 0)], Log())
    swap.enter(app)
    app.module().__dict__["spooler"] = _noop
    return app


def task(room: Room, count: int) -> None:
    """Filling the room, and a worker's scan of it, quiet, with journal and scoreboard."""
    fill(room, count)
    app = _app(room)
    board = Scoreboard.create(None, 1)
    worker = Worker(app, app.directories[0][0], status=Status(app, board.slot(0), board.task(0)))
    worker.status.follow(os.getppid())
    assert worker.cycle() == count


def fill(room: Room, count: int) -> None:
    """What is no part of the task."""
    room.fill(count)


def enqueue(room: Room, count: int) -> None:
    """uwsgi.spool() of a small task."""
    spool = _app(room).module().__dict__["spool"]
    for _ in range(count):
        spool({b"task": b"noop"})


def enqueue_at(room: Room, count: int) -> None:
    """The same, for later."""
    spool = _app(room).module().__dict__["spool"]
    for _ in range(count):
        spool({b"task": b"noop", b"at": _LATER})


def engine(room: Room, count: int) -> None:
    """Enqueuing and draining in a test's process."""
    with SpoolerHarness(_noop, {"spooler_quiet": True}, directory=room.spool, timeout=3600) as harness:
        for number in range(count):
            harness.spool({"n": str(number)})
        assert len(harness.drain()) == count


WORK: dict[str, Callable[[Room, int], None]] = {
    work.__name__: work for work in (task, fill, enqueue, enqueue_at, engine)
}


def _alone(name: str, count: int) -> None:
    """In a process of its own, under valgrind, where a handler that does nothing takes a long time, too."""
    settle.GLIMPSE = 10**12
    places = Places()
    try:
        with places.room(MEMORY) as room:
            WORK[name](room, count)
    finally:
        places.close()


def count(name: str, tasks: int) -> int:
    """Instructions of a run. Raises Missing without valgrind."""
    if shutil.which("valgrind") is None:
        raise Missing("instructions are counted by valgrind, which is not installed")
    with tempfile.TemporaryDirectory() as home:
        tool = ["valgrind", "--tool=cachegrind", "--cache-sim=no", f"--cachegrind-out-file={home}/out"]
        argv = [*tool, sys.executable, "-m", "benchmarks.instructions", name, str(tasks)]
        environ = {**os.environ, "PYTHONHASHSEED": "0", "PYTHONDONTWRITEBYTECODE": "1"}
        done = subprocess.run(argv, env=environ, capture_output=True, text=True, check=False)
    found = _COUNTED.search(done.stderr)
    if done.returncode or found is None:
        raise RuntimeError(f"{name}: {(done.stderr.strip().splitlines() or ['no output'])[-1]}")
    return int(found[1].replace(",", ""))


def each(name: str) -> float:
    """Instructions for each task. Raises Missing."""
    return (count(name, LONG) - count(name, SHORT)) / (LONG - SHORT)


def main() -> int:
    """Print a line for each kind of work; 1 without valgrind."""
    if len(sys.argv) == 3:
        _alone(sys.argv[1], int(sys.argv[2]))
        return 0
    print(machine.line())
    try:
        filling = each("fill")
        for name in ("task", "enqueue", "enqueue_at", "engine"):
            found = each(name) - (filling if name == "task" else 0)
            about = (WORK[name].__doc__ or "").rstrip(".")
            print(f"{name}: {found:,.0f} instructions ({about}{', less the filling' if name == 'task' else ''})")
    except Missing as error:
        print(f"not counted: {error}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
