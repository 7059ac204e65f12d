"""`instance`: one `spoolsim run` of an app whose tasks do what their own `code` variable says."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from spoolsim.spool import file
from spoolsim.work import scoreboard
from tests.conftest import Spawn, Spawned, poll_until
from tests.oracle.packets import packet
from tests.soak.look import board

#: the app of these tests: a task runs its variable `code`; `note(...)` adds a line to the file $RUNS
APP = """\
import ctypes, os, signal, sys, threading, time
import uwsgi

def note(*words):
    fd = os.open(os.environ["RUNS"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    os.write(fd, (" ".join(map(str, words)) + "\\n").encode())
    os.close(fd)

open(os.environ["RUNS"], "a").close()  # a task may read it before anything is noted

def gate(name, timeout=300):
    "Wait until the test opens the gate."
    end = time.monotonic() + timeout
    while not os.path.exists(os.path.join(os.environ["GATES"], name)) and time.monotonic() < end:
        time.sleep(0.005)

def spooler(env):
    names = {"env": env, "result": uwsgi.SPOOL_OK}
    exec(env[b"code"].decode(), globals(), names)
    return names["result"]

uwsgi.spooler = spooler
"""


class Instance:
    """A running `spoolsim run`. home: its working directory, with app.py. spools: its spool directories."""

    def __init__(self, spawned: Spawned, home: Path, spools: Sequence[Path]) -> None:
        self.spawned = spawned
        self.pid = spawned.pid
        self.home = home
        self.spools = list(spools)
        self.spool = self.spools[0]

    def put(self, code: str, spool: Path | None = None, priority: str = "", **variables: str) -> str:
        """Enqueue a task that runs `code`, as a producer of ours does; returns its path."""
        return put(spool or self.spool, code, priority=priority, **variables)

    def runs(self) -> list[str]:
        """The lines that tasks have noted so far."""
        return noted(self.home)

    def wait_runs(self, *lines: str, timeout: float = 30) -> None:
        """Wait until each of these lines has been noted."""
        try:
            poll_until(lambda: set(lines) <= set(self.runs()), timeout, f"the lines {lines}")
        except pytest.fail.Exception as error:
            pytest.fail(f"{error}; noted were {self.runs()}; the output was:\n{self.output()}")

    def wait_count(self, count: int, timeout: float = 30) -> None:
        """Wait until so many lines have been noted."""
        try:
            poll_until(lambda: len(self.runs()) >= count, timeout, f"{count} lines")
        except pytest.fail.Exception as error:
            pytest.fail(f"{error}; noted were {len(self.runs())}; the output was:\n{self.output()[-3000:]}")

    def open_gate(self, name: str) -> None:
        """Let tasks that wait at `gate(name)` go on."""
        (self.home / "gates" / name).touch()

    def tasks(self, spool: Path | None = None) -> list[str]:
        """The names of the spool files that are there."""
        return tasks(spool or self.spool)

    def wait_empty(self, timeout: float = 30) -> None:
        """Wait until no task is left in any directory."""
        try:
            poll_until(lambda: not any(map(tasks, self.spools)), timeout, "empty spools")
        except pytest.fail.Exception as error:
            pytest.fail(f"{error}; left: {[tasks(s) for s in self.spools]}; the output was:\n{self.output()[-3000:]}")

    def output(self) -> str:
        """What it printed so far."""
        return self.spawned.output()

    def seats(self) -> list[list[int]]:
        """The scoreboard's words, seat by seat; empty before it is there."""
        try:
            return board(self.spool, self.pid)
        except FileNotFoundError:
            return []

    def workers(self) -> list[int]:
        """The pids on the scoreboard."""
        return [words[scoreboard.PID] for words in self.seats() if words[scoreboard.PID]]

    def wait_workers(self, count: int, timeout: float = 30) -> list[int]:
        """Wait until so many spoolers are on the scoreboard, living and waiting for work; returns their pids."""

        def idle() -> list[int]:
            there = [words for words in self.seats() if words[scoreboard.PID]]
            ready = all(
                words[scoreboard.STATE] == scoreboard.IDLE and wakeable(words[scoreboard.PID]) for words in there
            )
            return [words[scoreboard.PID] for words in there] if len(there) == count and ready else []

        try:
            return poll_until(idle, timeout, f"{count} idle spoolers")
        except pytest.fail.Exception as error:
            pytest.fail(f"{error}; there are {self.workers()}; the output was:\n{self.output()[-3000:]}")

    def fork_servers(self) -> list[int]:
        """The pids of the master's living children."""
        return children(self.pid)

    def send(self, number: int) -> None:
        """Send a signal to the master."""
        os.kill(self.pid, number)

    def stop(self, number: int = signal.SIGINT, timeout: float = 30) -> int:
        """Stop it; nothing of it may be left."""
        if self.pid == self.spawned.pid:
            return self.spawned.stop(number, timeout)
        self.send(number)
        status = self.spawned.wait_exit(timeout)
        self.spawned.assert_nothing_left()
        return status

    def behind(self) -> Instance:
        """The same, where what was started (strace) has the master as a child, and its exit status."""

        def masters() -> list[int]:
            return [pid for pid in children(self.spawned.pid) if command(pid).startswith(sys.executable.encode())]

        (self.pid,) = poll_until(masters, what="a master")
        return self


def put(spool: Path, code: str, priority: str = "", **variables: str) -> str:
    """Enqueue a task that runs `code`; returns its path."""
    pairs = {b"code": code.encode(), **{key.encode(): value.encode() for key, value in variables.items()}}
    home = spool
    if priority:
        home = spool / priority
        home.mkdir(exist_ok=True)
    return file.write(str(home), file.next_name(), packet(pairs))


def tasks(spool: Path) -> list[str]:
    """The names of the spool files of a directory, those of priorities included."""
    return sorted(str(p.relative_to(spool)) for p in spool.rglob("uwsgi_spoolfile_on_*"))


def noted(home: Path) -> list[str]:
    """The lines in $RUNS of an instance in this directory."""
    try:
        return (home / "runs").read_text().splitlines()
    except FileNotFoundError:
        return []


def state(pid: int) -> str:
    """The kernel's one-letter state of a process; '' when it is gone."""
    return (stat(pid) or [""])[0]


def stat(pid: int) -> list[str]:
    """The fields of /proc/PID/stat from the state on; empty when it is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return []


def command(pid: int) -> bytes:
    """The command line of a process; empty when it is gone."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return b""


def children(pid: int) -> list[int]:
    """The children of a process, zombies included."""
    found = (int(name) for name in os.listdir("/proc") if name.isdigit())
    return [child for child in found if (fields := stat(child)) and int(fields[1]) == pid]


def wakeable(pid: int) -> bool:
    """Does it sleep, in its wait, with a watch on its directory?"""
    return state(pid) == "S" and any("inotify" in name for name in descriptors(pid))


def descriptors(pid: int) -> list[str]:
    """What the open descriptors of a process are."""
    found = []
    for fd in os.listdir(f"/proc/{pid}/fd"):
        try:
            found.append(os.readlink(f"/proc/{pid}/fd/{fd}"))
        except FileNotFoundError:
            pass
    return sorted(found)


Start = Callable[..., Instance]


@pytest.fixture
def home_app() -> str:
    """The text of app.py, to be added to."""
    return APP


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A working directory with app.py and gates/."""
    place = tmp_path / "home"
    (place / "gates").mkdir(parents=True)
    (place / "app.py").write_text(APP)
    return place


@pytest.fixture
def start(spawn: Spawn, home: Path) -> Start:
    """`start(*options, spools=("spool",), app=None, serve=True, env={}, prefix=[])`: an Instance, importing app.py."""

    def begin(
        *options: str,
        spools: Sequence[str] = ("spool",),
        app: str = "",
        env: dict[str, str] | None = None,
        prefix: Sequence[str] = (),
        orphans_ok: bool = False,
    ) -> Instance:
        if app:
            (home / "app.py").write_text(app)
        paths = [home / name for name in spools]
        for path in paths:
            path.mkdir(exist_ok=True)
        served = [word for name in dict.fromkeys(spools) for word in ("--spooler", name)]
        argv = [*prefix, sys.executable, "-m", "spoolsim", "run", *served, "--import", "app", *options]
        spawned = spawn(argv, cwd=home, env=environment(home, env), orphans_ok=orphans_ok)
        return Instance(spawned, home, paths)

    return begin


def environment(home: Path, more: dict[str, str] | None = None) -> dict[str, str]:
    """The environment of an instance in `home`."""
    return {**os.environ, "RUNS": str(home / "runs"), "GATES": str(home / "gates"), **(more or {})}


@pytest.fixture
def instance(start: Start) -> Iterator[Instance]:
    """One spooler on one directory."""
    yield start()
