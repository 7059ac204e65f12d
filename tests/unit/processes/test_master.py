"""Histories of events, fed to the real master: its clock, its loop and its fork servers are played."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from spoolsim.diagnose import Notes
from spoolsim.log import Log
from spoolsim.options import Options
from spoolsim.processes import lifecycle
from spoolsim.processes.generation import Generation
from spoolsim.processes.loop import Loop
from spoolsim.processes.master import Master
from spoolsim.spool.directory import SpoolDir
from spoolsim.work.scoreboard import BUSY, PID, SCANNING, STARTED, STATE

#: no process has such a number
NOBODY = 1 << 30
READY = ("ready", [], [], [], {}, [])
GRACE = 8.0


class Waits(Loop):
    """A loop that waits for nothing: its clock, and what comes, are set by the test."""

    def __init__(self) -> None:
        self.time = 1000.0
        self.now = lambda: self.time
        self.came: list[int] = []
        self.ready: set[int] = set()

    def hear(self, numbers: object) -> None: ...
    def was_ignored(self, number: int) -> bool:
        return False

    def watch(self, fd: int) -> None: ...
    def unwatch(self, fd: int) -> None: ...
    def wait(self, looks: Any, at_most: float = 0.0) -> set[int]:
        self.looks = [at for at in looks if at is not None]
        return self.ready

    def signals(self, ready: set[int]) -> list[int]:
        came, self.came = self.came, []
        return came

    def close(self) -> None: ...


class Server(Generation):
    """A fork server that says what the test has it say. orders: what it was told."""

    __slots__ = ("killed", "orders", "says")

    def __init__(self, number: int, loop: Waits) -> None:
        wire: Any = SimpleNamespace(fd=NOBODY + number, close=lambda: None, rest=list)
        super().__init__(number, NOBODY + number, wire)
        self.began = loop.time
        self.says: list[Any] | None = []
        self.orders: list[tuple[object, ...]] = []
        self.killed = False

    def send(self, order: tuple[object, ...]) -> None:
        self.orders.append(order)

    def words(self) -> list[Any] | None:
        said, self.says = self.says, [] if self.says is not None else None
        return said

    def kill(self) -> None:
        self.killed = True


class Run:
    """A master, and what the test does to it."""

    def __init__(self, master: Callable[..., Master], home: Path, **options: Any) -> None:
        self.loop = Waits()
        self.servers: list[Server] = []
        self.refused = False
        self.pids = NOBODY + 1000
        self.master = master(Options(**options), [(SpoolDir(str(home)), 1)], loop=self.loop, spawn=self._spawn)
        self.master.begin_generation()

    def _spawn(self, number: int, board: int, setup: Any) -> Generation:
        if self.refused:
            raise OSError(11, os.strerror(11))
        assert setup["generation"] == number + 1
        self.servers.append(Server(number, self.loop))
        return self.servers[-1]

    def turn(self, *signals: int, seconds: float = 0.0) -> None:
        """Time passes, signals come, fork servers say what they have to say."""
        self.loop.time += seconds
        self.loop.came = list(signals)
        self.loop.ready = {server.wire.fd for server in self.servers if server.says != []}
        self.master.turn()

    def says(self, word: tuple[object, ...], server: int = -1) -> None:
        """A fork server, the newest if no other is named, says something."""
        self.servers[server].says = [word]
        self.turn()

    def dies(self, server: int = -1) -> None:
        """A fork server is gone."""
        self.servers[server].says = None
        self.turn()

    def orders(self, server: int = -1) -> list[tuple[object, ...]]:
        """What a fork server was told since this was asked last."""
        told, self.servers[server].orders = self.servers[server].orders, []
        return told

    def forks(self, server: int = -1) -> int:
        """The fork server does as it was told: a spooler lives; returns its pid."""
        ((what, number, seat),) = self.orders(server)
        assert what == "spawn"
        self.pids += 1
        self.master.fleet.board.slot(number * 2 + seat)[PID] = self.pids  # type: ignore[operator]
        self.says(("spawned", number, self.pids), server)
        return self.pids

    def serves(self) -> int:
        """The app is loaded, and a spooler serves; returns its pid."""
        self.says(READY)
        return self.forks()

    def ends(self, pid: int, status: int = -9, *, worked: bool = False, server: int = -1) -> None:
        """A spooler is dead."""
        for seat in (0, 1):
            words = self.master.fleet.board.slot(seat)
            if words[PID] == pid:
                words[PID] = words[STARTED] = 0
        self.says(("died", 0, pid, status, worked), server)

    def works(self, pid: int) -> None:
        """A spooler has a task."""
        seat = self.master.fleet.seat_of(0, pid)
        self.master.fleet.board.slot(seat)[STARTED] = 1
        self.master.fleet.board.slot(seat)[STATE] = BUSY

    @property
    def state(self) -> str:
        """Of the slot."""
        return self.master.fleet.slots[0].state


@pytest.fixture
def begin(tmp_path: Path) -> Iterator[Callable[..., Run]]:
    """Begins a run with these options."""
    runs: list[Run] = []
    log = Log()

    def master(options: Options, directories: Any, **others: Any) -> Master:
        notes = Notes(log.note, silenced=(), enabled=options.policy.explains)
        return Master(options, directories, log, notes, **others)

    def start(**options: Any) -> Run:
        (tmp_path / "spool").mkdir(exist_ok=True)
        runs.append(Run(master, tmp_path / "spool", **options))
        return runs[-1]

    yield start
    for run in runs:
        run.master.close()


def test_a_start_and_a_stop(begin: Callable[..., Run]) -> None:
    """The fork server imports the app, forks a spooler, and is let go when it is to end."""
    run = begin()
    run.turn()
    assert (run.state, run.orders()) == (lifecycle.CLOSED, [])
    pid = run.serves()
    assert run.state == lifecycle.SERVING
    run.turn(signal.SIGINT)
    assert run.orders() == [("leave", pid), ("retire",)]
    run.ends(pid, 0, worked=True)
    run.dies()
    assert run.master.over()
    assert run.master.ending.status == 0


def test_deaths_are_answered_slower_and_slower(begin: Callable[..., Run], capfd: pytest.CaptureFixture[str]) -> None:
    """Three at once, the fourth after a pause, which is said and waited for."""
    run = begin()
    pid = run.serves()
    for _ in range(lifecycle.PATIENCE):
        run.ends(pid)
        pid = run.forks()
    run.ends(pid)
    assert (run.state, run.orders()) == (lifecycle.BACKOFF, [])
    assert "4 deaths in a row without a task done; next start in 0.5 s" in capfd.readouterr().err
    run.turn(seconds=0.4)
    assert min(run.loop.looks) == pytest.approx(1000.5)
    assert run.orders() == []
    run.turn(seconds=0.1)
    assert run.forks() > pid


def test_a_reload_amid_deaths(begin: Callable[..., Run]) -> None:
    """The new code's fork server gets the order, and at once; the old one is let go."""
    run = begin()
    pid = run.serves()
    for _ in range(lifecycle.PATIENCE):
        run.ends(pid)
        pid = run.forks()
    run.turn(signal.SIGHUP)
    run.ends(pid, server=0)
    assert run.state == lifecycle.BACKOFF
    run.says(READY)
    assert run.orders(0) == [("retire",)]
    run.forks()
    assert run.state == lifecycle.SERVING
    run.dies(0)
    assert run.state == lifecycle.SERVING


def test_a_reload_lets_the_task_finish(begin: Callable[..., Run], capfd: pytest.CaptureFixture[str]) -> None:
    """Beside it the new code serves; when the mercy is over, the old process is killed."""
    run = begin()
    old = run.serves()
    run.works(old)
    run.turn(signal.SIGHUP)
    run.says(READY)
    assert run.orders(0) == [("leave", old), ("retire",)]
    run.forks()
    assert "(graceful-reload)" in capfd.readouterr().err
    run.turn(seconds=59)
    assert run.orders(0) == []
    run.turn(seconds=1)
    assert run.orders(0) == [("kill", old)]
    assert "is killed" not in capfd.readouterr().err
    run.ends(old, -signal.SIGKILL, server=0)
    assert f"spooler {old} is killed, reload-mercy (60 s) is over" in capfd.readouterr().err
    assert run.master.ending.status == 0


def test_who_ends_before_the_kill_reaches_it_is_not_called_killed(
    begin: Callable[..., Run], capfd: pytest.CaptureFixture[str]
) -> None:
    """Its task was done at the last moment."""
    run = begin(stop_grace=GRACE)
    pid = run.serves()
    run.works(pid)
    run.turn(signal.SIGINT)
    run.turn(seconds=GRACE)
    run.ends(pid, 0)
    run.master.orders.close()
    assert "is killed" not in capfd.readouterr().err


def test_a_stop_amid_a_reload(begin: Callable[..., Run]) -> None:
    """The fork server that still imports is killed; nothing of the new code is started."""
    run = begin()
    pid = run.serves()
    run.turn(signal.SIGHUP)
    assert len(run.servers) == 2
    run.turn(signal.SIGTERM)
    assert run.servers[1].killed
    run.says(READY)  # it had said so before it was killed
    assert ("spawn", 0, 0) not in run.orders(1)
    run.dies(1)
    assert run.orders(0) == [("leave", pid), ("retire",)]
    run.ends(pid, 0, worked=True, server=0)
    run.dies(0)
    assert run.master.over()


def test_a_fork_server_of_two_reloads_ago_ends_amid_a_reload(
    begin: Callable[..., Run], capfd: pytest.CaptureFixture[str]
) -> None:
    """It owes nobody anything: the process that is being forked is the later one's, and is waited for."""
    run = begin()
    first = run.serves()
    run.turn(signal.SIGHUP)
    run.says(READY)
    run.turn(signal.SIGHUP)
    run.says(READY)  # amid the fork
    assert run.state == lifecycle.STALE
    run.ends(first, 0, worked=True, server=0)
    run.dies(0)
    assert (run.state, run.orders(2)) == (lifecycle.STALE, [])
    stale = run.pids + 1
    assert run.orders(1) == [("spawn", 0, 1), ("retire",)]
    run.master.fleet.board.slot(1)[PID] = run.pids = stale
    run.says(("spawned", 0, stale), 1)
    assert run.orders(1) == [("leave", stale)]
    assert run.forks(2) > stale
    assert run.state == lifecycle.SERVING
    assert "OOOPS" not in capfd.readouterr().err


def test_a_fork_server_that_ends_owing_a_process(begin: Callable[..., Run]) -> None:
    """The one that serves now forks in its place."""
    run = begin()
    first = run.serves()
    run.turn(signal.SIGHUP)
    run.says(READY)
    run.turn(signal.SIGHUP)
    run.says(READY)
    run.ends(first, 0, worked=True, server=0)
    run.dies(1)
    assert run.forks(2) > first
    assert run.state == lifecycle.SERVING


def test_a_killed_fork_server_is_replaced(begin: Callable[..., Run], capfd: pytest.CaptureFixture[str]) -> None:
    """Its spoolers are left to themselves; the new one serves with its own."""
    run = begin()
    pid = run.serves()
    run.dies()
    assert "the fork server was killed: starting another one" in capfd.readouterr().err
    assert (len(run.servers), run.state) == (2, lifecycle.CLOSED)
    assert run.serves() > pid
    assert run.state == lifecycle.SERVING


def test_a_fork_server_killed_amid_a_reload(begin: Callable[..., Run]) -> None:
    """The one that imports had its scoreboard: it is ended, too, and another one begun."""
    run = begin()
    run.serves()
    run.turn(signal.SIGHUP)
    run.dies(0)
    assert run.servers[1].killed
    assert len(run.servers) == 3
    run.serves()
    assert run.state == lifecycle.SERVING


def test_the_second_signal_ends_at_once(begin: Callable[..., Run], capfd: pytest.CaptureFixture[str]) -> None:
    """The first one waits for the task; the same key press is heard once."""
    run = begin()
    pid = run.serves()
    run.works(pid)
    run.turn(signal.SIGINT)
    assert "SIGINT: 1 running, at most 8 s to finish; again to end at once" in capfd.readouterr().err
    assert run.orders() == [("leave", pid), ("retire",)]
    run.turn(signal.SIGINT, seconds=0.2)
    assert run.orders() == []
    run.turn(signal.SIGINT, seconds=1)
    assert run.orders() == [("kill", pid), ("retire",)]
    run.turn(signal.SIGINT, seconds=1)
    run.ends(pid)
    run.dies()
    assert run.master.over()
    assert run.master.ending.status == 128 + signal.SIGINT
    assert capfd.readouterr().err.count("SIGINT again") == 1


def test_a_task_that_is_being_settled_is_not_waited_for(
    begin: Callable[..., Run], capfd: pytest.CaptureFixture[str]
) -> None:
    """It is done, and was said to be; a death now would still be the task's."""
    run = begin()
    pid = run.serves()
    run.works(pid)
    run.master.fleet.board.slot(run.master.fleet.seat_of(0, pid))[STATE] = SCANNING
    run.turn(signal.SIGINT)
    assert capfd.readouterr().err.count("running") == 0
    assert run.orders() == [("leave", pid), ("retire",)]


def test_a_task_that_does_not_end_in_its_grace(begin: Callable[..., Run], capfd: pytest.CaptureFixture[str]) -> None:
    """It is killed, and named; a fork server that does not go either is killed a second later."""
    run = begin(stop_grace=GRACE)
    pid = run.serves()
    run.works(pid)
    run.turn(signal.SIGINT)
    run.orders()
    run.turn(seconds=GRACE)
    assert run.orders() == [("kill", pid)]
    assert "is killed" not in capfd.readouterr().err
    run.turn(seconds=1)
    assert run.servers[0].killed
    assert "does not end: it is killed, and 1 of its spoolers" in capfd.readouterr().err
    assert run.master.over()
    run.master.orders.close()
    assert f"spooler {pid} is killed, stop-grace (8 s) is over" in capfd.readouterr().err
    assert run.master.ending.status == 1


def test_new_code_that_cannot_be_imported(begin: Callable[..., Run], capfd: pytest.CaptureFixture[str]) -> None:
    """The old code goes on."""
    run = begin()
    run.serves()
    run.turn(signal.SIGHUP)
    run.says(("ready", [], ["app: SyntaxError"], [], {}, []))
    assert run.orders() == [("retire",)]
    assert "still serving the old code" in capfd.readouterr().err
    run.dies()
    assert run.state == lifecycle.SERVING
    run.turn(signal.SIGHUP)
    assert len(run.servers) == 3


def test_an_import_that_hangs(begin: Callable[..., Run], capfd: pytest.CaptureFixture[str]) -> None:
    """It is given up after a minute; after five seconds, when the code was touched again, which is then tried."""
    run = begin()
    run.serves()
    run.turn(signal.SIGHUP)
    run.turn(seconds=59)
    assert not run.servers[1].killed
    run.turn(seconds=1)
    assert run.servers[1].killed
    assert "gave up importing the new code after 60 s; still serving the old code" in capfd.readouterr().err
    run.turn(signal.SIGHUP)
    run.turn(signal.SIGHUP, seconds=1)
    assert len(run.servers) == 3
    run.turn(seconds=4)
    assert run.servers[2].killed
    assert len(run.servers) == 4
    run.says(READY)
    assert run.orders()[-1][0] == "spawn"


def test_an_app_that_kills_its_fork_server(begin: Callable[..., Run]) -> None:
    """At the start that is the end; where code has served before, it is tried five times more."""
    run = begin()
    run.dies()
    assert run.master.over()
    assert run.master.ending.status == 1
    run = begin()
    run.serves()
    for server in range(1, 7):
        run.dies()
        assert len(run.servers) == server + 1
    run.dies()
    assert run.master.over()


def test_a_fork_server_that_cannot_be_started(begin: Callable[..., Run], capfd: pytest.CaptureFixture[str]) -> None:
    """It is tried again in a second, where one has served before."""
    run = begin()
    run.serves()
    run.refused = True
    run.dies()
    assert "cannot start a fork server" in capfd.readouterr().err
    assert not run.master.over()
    run.turn(seconds=0.9)
    run.refused = False
    run.turn()
    assert len(run.servers) == 1
    run.turn(seconds=0.1)
    assert len(run.servers) == 2
    run.serves()


def test_faithful_kills_everything_at_a_reload(begin: Callable[..., Run]) -> None:
    """As uWSGI at a SIGHUP: a new fork server is begun when the old one is gone."""
    run = begin(faithful=True)
    pid = run.serves()
    run.turn(signal.SIGHUP)
    assert run.orders() == [("kill", pid), ("retire",)]
    assert len(run.servers) == 1
    run.ends(pid)
    run.dies()
    assert (len(run.servers), run.state) == (2, lifecycle.CLOSED)
    run.serves()
    assert run.state == lifecycle.SERVING


def test_a_restart_amid_the_first_import(begin: Callable[..., Run]) -> None:
    """The fork server had said that it is ready when it was killed: nothing is asked of it, and the next one serves."""
    run = begin(faithful=True)
    run.turn(signal.SIGHUP)
    assert run.servers[0].killed
    run.says(READY)
    run.dies()
    assert run.state == lifecycle.CLOSED
    run.serves()
    assert run.state == lifecycle.SERVING


def test_a_restart_while_nothing_runs(begin: Callable[..., Run]) -> None:
    """The system had no process for a fork server: it is tried at once."""
    run = begin(faithful=True)
    run.serves()
    run.refused = True
    run.dies()
    run.refused = False
    run.turn(signal.SIGHUP)
    assert len(run.servers) == 2
    run.serves()


def test_a_drain_ends_when_nothing_more_is_found(begin: Callable[..., Run]) -> None:
    """A spooler that found nothing more is not replaced; one that died is."""
    run = begin(drain=True)
    pid = run.serves()
    run.ends(pid, worked=True)
    pid = run.forks()
    run.ends(pid, lifecycle.DRAINED)
    assert run.orders() == [("retire",)]
    run.dies()
    assert run.master.over()
    assert run.master.ending.status == 0


def test_a_drain_gives_up(begin: Callable[..., Run], capfd: pytest.CaptureFixture[str]) -> None:
    """Where each process dies before it has tried a task, or each fork server is killed."""
    run = begin(drain=True)
    pid = run.serves()
    for _ in range(lifecycle.PATIENCE):
        run.ends(pid)
        pid = run.forks()
    run.ends(pid)
    assert "4 processes in a row ended without trying a task; draining stops here" in capfd.readouterr().err
    run.dies()
    assert run.master.over()
    assert run.master.ending.status == 1
    run = begin(drain=True)
    for _ in range(lifecycle.PATIENCE + 1):
        run.serves()
        run.dies()
    assert "4 fork servers were killed; draining stops here" in capfd.readouterr().err
    assert run.master.over()
