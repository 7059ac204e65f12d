"""A spooler goes on, whatever its disk does to one step of one task."""

from __future__ import annotations

import errno
import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from spoolsim import system
from spoolsim.log import Log
from spoolsim.options import Options
from spoolsim.spool import claim, file, lock, settle
from spoolsim.spool.directory import SpoolDir
from spoolsim.work import installed
from spoolsim.work.app import SPOOLER, App
from spoolsim.work.attempt_ring import AttemptRing, share
from spoolsim.work.installed import install
from spoolsim.work.scoreboard import LEAVE
from spoolsim.work.worker import Worker
from tests.oracle.packets import packet


@pytest.fixture
def worker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Worker]:
    """One whose handler asks for a retry, with one task; what is put into this process goes with it."""
    environ, path, here = dict(os.environ), list(sys.path), os.getcwd()
    monkeypatch.setattr(installed, "current", installed.current)
    home = tmp_path / "spool"
    home.mkdir()
    spool = SpoolDir(str(home))
    app = install(App(Options(quiet=True, retry_delay=60.0), [(spool, 0)], Log()))
    app.prepare()
    app.become(SPOOLER)
    sys.modules["uwsgi"].__dict__["spooler"] = lambda env: -1
    file.write(str(home), file.next_name(), packet({b"k": b"v"}))
    yield Worker(app, spool)
    os.environ.clear()
    os.environ.update(environ)
    sys.path[:] = path
    os.chdir(here)
    sys.modules.pop("uwsgi", None)


def _error(*args: object, **options: object) -> None:
    raise OSError(errno.EIO, os.strerror(errno.EIO))


def left(worker: Worker) -> list[str]:
    return [entry.name for entry in os.scandir(worker.spool.path) if entry.name.startswith("uwsgi_")]


def test_a_directory_that_cannot_be_scanned(
    worker: Worker, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """It is said once, and the next scan finds the task."""
    with monkeypatch.context() as broken:
        broken.setattr("spoolsim.spool.scan.os.scandir", _error)
        assert [worker.cycle(), worker.cycle()] == [0, 0]
    assert worker.cycle() == 1
    assert capfd.readouterr().err.count("cannot be scanned: Input/output error") == 1


def test_a_directory_that_cannot_be_entered(
    worker: Worker, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """The task is kept, unlocked, and run by the next scan."""
    with monkeypatch.context() as broken:
        broken.setattr("spoolsim.work.worker._enter", _error)
        assert worker.cycle() == 0
    assert worker.cycle() == 1
    assert "is kept: its directory: Input/output error" in capfd.readouterr().err


def test_a_delay_that_cannot_be_set(
    worker: Worker, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """Said; the task comes back at the next scan."""
    monkeypatch.setattr("spoolsim.spool.settle.os.utime", _error)
    assert [worker.cycle(), worker.cycle()] == [1, 1]
    assert "could not apply --retry-delay" in capfd.readouterr().err


def test_a_lock_that_cannot_be_given_up_goes_with_its_descriptor(
    worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody minds."""
    monkeypatch.setattr("spoolsim.spool.settle.unlock", _error)
    assert worker.cycle() == 1
    assert claim.held.fd == -1
    assert len(left(worker)) == 1


def test_a_file_that_shrinks_to_nothing_while_it_is_read(worker: Worker, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is set aside, whatever is left of it."""

    def read(fd: int, size: int) -> bytes:
        os.ftruncate(fd, 0)
        return os.read(fd, size)

    monkeypatch.setattr(claim, "_read", read)
    assert worker.cycle() == 0
    assert left(worker) == []
    assert len(os.listdir(worker.spool.state_dir("broken"))) == 2


def test_the_quickest_handler_that_puts_another_file_in_the_place_of_its_own(
    worker: Worker,
) -> None:
    """It does nothing else, and in memory: the other file is a task of its own, not removed with the first."""
    memory = "/dev/shm" if os.path.isdir("/dev/shm") else None
    with tempfile.TemporaryDirectory(dir=memory) as home:
        worker.spool = SpoolDir(home)
        rename, others = os.rename, [f"{home}/other{number}" for number in range(20)]
        for other in others:
            Path(other).write_bytes(packet({b"k": b"other"}))
        name = "uwsgi_spoolfile_on_here"
        Path(home, name).write_bytes(packet({b"k": b"first"}))
        ahead = iter(others)

        def handler(env: dict[Any, bytes]) -> int:
            rename(next(ahead), name)
            return -2

        sys.modules["uwsgi"].__dict__["spooler"] = handler
        for _ in others:
            assert worker.cycle() == 1
            assert left(worker) == [name]


def test_what_another_could_not_have_is_looked_at_again(worker: Worker) -> None:
    """Ordered, a task that is still being written is passed over by who sees that another has tried it; but the other
    may have found itself a long task since, so both look again soon.
    """
    for name in left(worker):
        os.unlink(f"{worker.spool.path}/{name}")
    for name in ("0", "1", "2"):
        Path(worker.spool.path, name).write_bytes(packet({b"k": b"v"}))
    producer = os.open(f"{worker.spool.path}/1", os.O_RDWR)
    assert lock.try_lock(producer)
    app = App(Options(quiet=True, ordered=True), [(worker.spool, 0)], Log())
    words = share(2)
    one, other = (Worker(app, worker.spool, ring=AttemptRing(words, index)) for index in (0, 1))
    ran: list[int] = []

    def handler(env: dict[Any, bytes]) -> int:
        if env["spooler_task_name"] == b"0":
            ran.append(other.cycle())  # all of it, during the first task of ours
        return -2

    sys.modules["uwsgi"].__dict__["spooler"] = handler
    assert one.cycle() == 1
    os.close(producer)
    assert ran == [1]
    assert other.unfinished == {"0", "1"}
    assert one.unfinished == {"1", "2"}  # 2 is done: it may be looked for in vain
    assert one.cycle(set(one.unfinished)) == 1
    assert [name for name in os.listdir(worker.spool.path) if name.isdigit()] == []


def test_a_file_that_takes_the_place_while_lines_are_written(
    worker: Worker, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """However quick the handler was: a log that is not read holds its line up, and so the removal."""
    monkeypatch.setattr(settle, "GLIMPSE", 10**12)
    app = App(Options(), [(worker.spool, 0)], Log())
    loud = Worker(app, worker.spool)
    sys.modules["uwsgi"].__dict__["spooler"] = lambda env: -2
    (name,) = left(worker)
    other = f"{worker.spool.path}/other"
    Path(other).write_bytes(packet({b"k": b"other"}))
    line = app.log.line

    def slow(text: str, *style: str) -> None:
        line(text, *style)
        if "done with task" in text:
            os.rename(other, f"{worker.spool.path}/{name}")

    monkeypatch.setattr(Log, "line", lambda self, *words: slow(*words))
    assert loud.cycle() == 1
    assert left(worker) == [name]


def test_a_look_at_one_name_that_found_nothing_was_no_scan(worker: Worker, capfd: pytest.CaptureFixture[str]) -> None:
    """What came while the scan before it went on is known as that; and a directory of that name is not misnamed."""
    worker.cycle()
    before = worker._began, worker._ended
    name = "uwsgi_spoolfile_on_directory"
    os.mkdir(f"{worker.spool.path}/{name}")
    assert worker.cycle(alone=name) == 0
    assert (worker._began, worker._ended) == before
    assert name not in capfd.readouterr().err
    worker.cycle()
    assert worker.until == before[1]
    assert f"{name} is a directory" in capfd.readouterr().err


def test_a_task_that_comes_after_a_scan_did_not_wait_for_it(worker: Worker) -> None:
    """Though the kernel stamps files by a clock whose ticks are some milliseconds long."""
    sys.modules["uwsgi"].__dict__["spooler"] = lambda env: -2
    for _ in range(40):
        worker.cycle()
        file.write(worker.spool.path, file.next_name(), packet({b"k": b"v"}))
        worker.cycle()
        assert not worker.fresh


def test_a_task_that_comes_amid_a_scan_waited_for_it(worker: Worker) -> None:
    """Until the scan was over."""
    home = worker.spool.path
    ran = []

    def pass_by() -> None:
        """Until a file that is made now is younger than all that are there."""
        newest = max(os.stat(os.path.join(home, name)).st_mtime for name in os.listdir(home))
        while system.file_time() <= newest:
            pass

    def busy(env: dict[str, bytes]) -> int:
        ran.append(env["spooler_task_name"])
        if len(ran) == 1:
            file.write(home, file.next_name(), packet({b"k": b"amid"}))
            pass_by()
        return -2

    sys.modules["uwsgi"].__dict__["spooler"] = busy
    pass_by()
    worker.cycle(only=set(os.listdir(home)))
    assert not worker.fresh
    worker.cycle()
    assert worker.fresh


def test_who_is_to_leave_takes_no_more_tasks(worker: Worker) -> None:
    """Though it had begun to scan: a task that came after newer code serves is that one's, and not locked by us."""
    (name,) = left(worker)
    begin, worker.walk = worker.walk, lambda *args, **options: leaves(begin(*args, **options))

    def leaves(names: Iterator[Any]) -> Iterator[Any]:
        for found in names:
            worker.words[LEAVE] = 1  # just before it is claimed
            yield found

    assert worker.cycle() == 0
    with open(f"{worker.spool.path}/{name}", "r+b") as task:
        assert lock.try_lock(task.fileno())
    worker.words[LEAVE] = 0
    worker.walk = begin
    assert worker.cycle() == 1
