"""A process of the user's own that imports `uwsgi`: a web server, a script, a child of a task.

What it needs to know rides in one environment variable, set by run and exec, inherited by every child.
"""

from __future__ import annotations

import marshal
import os
import select
from itertools import count

from spoolsim import system
from spoolsim.log import Log
from spoolsim.options import Options
from spoolsim.spool.directory import SpoolDir
from spoolsim.work import installed, signal_fifo
from spoolsim.work import scoreboard as board
from spoolsim.work.alive import alive
from spoolsim.work.app import PROGRAM, App

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import Any

    from spoolsim.work.scoreboard import Scoreboard

#: a marshalled dict, in hex: {"options": ..., "directories": [(path, external), ...], "master": pid,
#: "served": is the master one that takes signals, "run": pid of the `spoolsim run` behind it, "board": the name of its
#: scoreboard if that is not the pid, "instance": see below}; marshal, since json costs 7 ms at the start of every
#: process, in a version that every Python reads
VARIABLE = "SPOOLSIM"
#: set by dev for both of its commands, so that they share what one instance shares
INSTANCE = "SPOOLSIM_INSTANCE"

#: how long a run may take until its master is there, in seconds
_STARTING = 5.0


_count = count(1)


def new_instance() -> str:
    """A name for all processes that share cache, metrics and locks: the pid that it lives with, and what no other had.

    It does not come from a clock that a test may have frozen.
    """
    return f"{os.getpid()}-{system.clock_gettime_ns(system.CLOCK_MONOTONIC):x}-{next(_count):x}"


#: of a process that nobody described, and of its forks
_own = new_instance()


def describe(
    options: Options,
    directories: Sequence[tuple[SpoolDir, int]],
    *,
    master: int = 0,
    served: bool | None = None,
    board: str = "",
    instance: str = "",
) -> str:
    """The value of the environment variable.

    master: pid of the master, by default this process. served: does it take signals; by default unless inline.
    board: the name of its scoreboard, by default that pid. instance: its name, by default that of `dev`, or a new one.
    """
    found = [(directory.path, directory.external) for directory, _ in directories]
    if served is None:
        served = not options.inline
    described = {
        "options": options.to_plain(),
        "directories": found,
        "master": master or os.getpid(),
        "served": served,
        "run": (master or os.getppid()) if served else 0,  # a fork server describes itself: its parent is the run
        "board": board,
        # taken out: an instance started by this one is another
        "instance": instance or os.environ.pop(INSTANCE, "") or new_instance(),
    }
    return marshal.dumps(described, 2).hex()


def _described() -> dict[str, Any] | None:
    text = os.environ.get(VARIABLE)
    if not text:
        return None
    try:
        described = marshal.loads(bytes.fromhex(text))
    except (ValueError, EOFError, TypeError):
        described = None
    if isinstance(described, dict):
        return described
    Log().say(f"the environment variable {VARIABLE} is not what `spoolsim run` or `exec` set: it is ignored; unset it")
    del os.environ[VARIABLE]
    return None


def instance(app: App) -> str:
    """The name of the instance this process belongs to: the described one, or its own, inherited by its forks."""
    if not app.instance:
        described = _described()
        app.instance = described["instance"] if described else _own
    return app.instance


def has_master(app: App) -> bool:
    """Is there a master process that takes signals, at app.master_pid?"""
    if app.board is not None:
        return True
    described = _described()
    return app.role == PROGRAM and described is not None and described["served"]


def scoreboard(app: App) -> Scoreboard | None:
    """The scoreboard of the run behind this process; None when there is none, or none any more. To be closed."""
    described = _described()
    own = next((directory for directory, _ in app.directories if not directory.external), None)
    if described is None or not described["run"] or own is None:
        return None
    return board.Scoreboard.open(own.state_dir("run", described["board"] or str(described["run"])))


def spooler_pids(app: App) -> list[int]:
    """One pid for each entry of uwsgi.spoolers, as the run behind this process has them; 0 for what is not there."""
    found = scoreboard(app)
    pids = []
    slot = 0
    for directory, _ in app.directories:
        known = found is not None and not directory.external
        pids.append(found.serving(slot)[board.PID] if found is not None and known else 0)
        slot += known
    if found is not None:
        found.close()
    return pids


def set_frequency(app: App, seconds: int) -> bool:
    """Change the wait of the spoolers of the run behind this process; False when there is none."""
    found = scoreboard(app)
    if found is None:
        return False
    found.words[board.FREQUENCY] = seconds & 0xFFFFFFFF
    found.close()
    return True


def send_signal(app: App, number: int) -> bool:
    """Hand a uwsgi signal to the master that serves the first directory; False when none does.

    Raises BlockingIOError when so many wait there already that no more fit.
    """
    return any(signal_fifo.put(path, number) for path in _masters(app))


def signal_registered(app: App, number: int) -> bool:
    """Has the app of that master a handler for a uwsgi signal?"""
    for path in _masters(app):
        try:
            fd = os.open(path, os.O_RDONLY | system.O_NONBLOCK | system.O_CLOEXEC)
        except OSError:
            continue
        try:
            data = os.pread(fd, 8 * board.HEAD, 0) if board.count(fd) >= 0 else b""
        finally:
            os.close(fd)
        words = memoryview(data).cast("Q")
        if len(words) == board.HEAD and words[board.LOADED]:
            return bool(words[board.SIGNALS + number // 64] >> number % 64 & 1)
    return False


def _masters(app: App) -> Iterator[str]:
    """The scoreboard of the master that serves the first directory, again and again while it still starts.

    That is the run which this program belongs to, else any other.
    """
    own = next((directory for directory, _ in app.directories if not directory.external), None)
    if own is None:
        return
    described = _described()
    pid = described["run"] if described else 0
    name = (described and described["board"]) or str(pid)
    run = own.state_dir("run")
    end = system.clock_gettime(system.CLOCK_MONOTONIC) + _STARTING
    while system.POSIX and pid and alive(pid) and system.clock_gettime(system.CLOCK_MONOTONIC) < end:
        path = os.path.join(run, name)
        if signal_fifo.is_read(path + signal_fifo.SUFFIX):
            yield path
        select.select((), (), (), 0.01)
    if path := signal_fifo.find(run):
        yield path


def from_environment() -> App:
    """The App of a process that nobody prepared: as described in the environment, else one without a spooler."""
    described = _described()
    if not described:
        return App(Options(), (), Log(), role=PROGRAM)
    options = Options.from_plain(described["options"])
    bare = not options.policy.keeps_state
    directories = [(SpoolDir(path, external=external, bare=bare), -1) for path, external in described["directories"]]
    app = App(options, directories, Log(style=options.log_style, people=options.policy.writes_for_people), role=PROGRAM)
    app.master_pid = described["master"]
    return app


def in_this_process() -> App:
    """The App of this process: installed by run, or described in the environment by exec."""
    return installed.current or installed.install(from_environment())
