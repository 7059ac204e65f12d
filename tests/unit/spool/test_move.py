"""Moving a task: whole at every instant, and nobody who had it open before runs it."""

from __future__ import annotations

import errno
import os
import time
from pathlib import Path

import pytest

from spoolsim.spool import claim as claims
from spoolsim.spool import move as moving
from spoolsim.spool.claim import GONE, LOCKED, UNREADABLE, take
from spoolsim.spool.directory import SpoolDir
from spoolsim.spool.lock import lock, try_lock
from spoolsim.spool.move import Grip, copy_to, drop, grip, move
from spoolsim.spool.names import PREFIX
from spoolsim.spool.scan import Level
from tests.oracle.packets import packet

TASK = packet({b"user": b"42"}) + b"body" * 1000
NAME = f"{PREFIX}a"


@pytest.fixture
def path(spool: SpoolDir) -> str:
    """A task, of some age and mode."""
    path = f"{spool.path}/{NAME}"
    Path(path).write_bytes(TASK)
    os.utime(path, (1_000_000, 1_000_000))
    os.chmod(path, 0o640)
    return path


def gripped(path: str) -> Grip:
    found = grip(path)
    assert isinstance(found, Grip), found
    return found


def test_a_task_moves_whole(path: str, spool: SpoolDir) -> None:
    """Bytes, time and mode go with it; nothing is left behind."""
    os.mkdir(f"{spool.path}/5")
    move(gripped(path), f"{spool.path}/5/{NAME}")
    there = os.stat(f"{spool.path}/5/{NAME}")
    assert Path(f"{spool.path}/5/{NAME}").read_bytes() == TASK
    assert (there.st_mtime, there.st_mode & 0o7777) == (1_000_000, 0o640)
    assert sorted(name for name in os.listdir(spool.path)) == ["5"]
    assert os.listdir(f"{spool.path}/5") == [NAME]


@pytest.mark.parametrize("how", ["move", "change", "drop"])
def test_who_had_it_open_before_finds_nothing(path: str, spool: SpoolDir, how: str) -> None:
    """Real uWSGI opens a file and locks it later; by then the file that it has is empty."""
    fd = os.open(path, os.O_RDWR)
    task = gripped(path)
    assert not try_lock(fd, record=True)
    if how == "drop":
        drop(task)
    else:
        move(task, path if how == "change" else f"{spool.path}/other", data=b"new" if how == "change" else None)
    assert try_lock(fd, record=True)
    assert os.fstat(fd).st_size == 0
    os.close(fd)


@pytest.mark.parametrize("record", [False, True])
def test_a_spooler_between_open_and_lock_gets_no_task(
    path: str, level: Level, record: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ours, too: the move happens just before its lock."""
    real = claims.try_lock

    def late(fd: int, *, record: bool = False) -> bool:
        monkeypatch.setattr(claims, "try_lock", real)
        move(gripped(path), f"{level.path}/other")
        return real(fd, record=record)

    monkeypatch.setattr(claims, "try_lock", late)
    assert take(level, NAME, time.time() + 1, record=record) == GONE
    assert Path(f"{level.path}/other").read_bytes() == TASK


def test_a_claimed_task_is_not_gripped(path: str, level: Level) -> None:
    """Whoever has the lock keeps it."""
    fd = os.open(path, os.O_RDWR)
    lock(fd)
    assert grip(path) == LOCKED
    os.close(fd)
    gripped(path).close()


def test_what_is_no_task_is_not_gripped(path: str, spool: SpoolDir, monkeypatch: pytest.MonkeyPatch) -> None:
    """Missing, a link, a directory, replaced between open and lock."""
    assert grip(f"{spool.path}/missing") == GONE
    os.symlink(path, f"{spool.path}/link")
    assert grip(f"{spool.path}/link") == UNREADABLE
    os.mkdir(f"{spool.path}/dir")
    assert grip(f"{spool.path}/dir") == UNREADABLE
    os.mkfifo(f"{spool.path}/fifo")
    assert grip(f"{spool.path}/fifo") == GONE

    def replaced(fd: int) -> bool:
        Path(f"{spool.path}/new").write_bytes(TASK)
        os.rename(f"{spool.path}/new", path)
        return try_lock(fd)

    monkeypatch.setattr(moving, "try_lock", replaced)
    assert grip(path) == GONE


def test_nothing_is_put_over_another_task(path: str, spool: SpoolDir) -> None:
    """The target's name is taken: both stay."""
    Path(f"{spool.path}/other").write_bytes(b"another")
    with pytest.raises(FileExistsError):
        move(gripped(path), f"{spool.path}/other")
    with pytest.raises(FileExistsError):
        copy_to(gripped(path), f"{spool.path}/other")
    assert (Path(path).read_bytes(), Path(f"{spool.path}/other").read_bytes()) == (TASK, b"another")


@pytest.mark.parametrize("call", ["write", "fsync", "rename"])
@pytest.mark.parametrize("target", ["other", NAME])
def test_a_failure_leaves_the_task_where_it_was(
    path: str, spool: SpoolDir, call: str, target: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full disk, an I/O error: the error is raised, nothing else is left, and the task can be had again."""

    def fail(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, call, fail)
    with pytest.raises(OSError, match="No space left"):
        move(gripped(path), f"{spool.path}/{target}")
    monkeypatch.undo()
    assert os.listdir(spool.path) == [NAME] or (call, target) == ("rename", NAME)
    assert Path(path).read_bytes() == TASK
    gripped(path).close()


def test_a_crash_between_the_renames_leaves_one_whole_task(
    path: str, spool: SpoolDir, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is at its target; what else is there begins with a dot, which no spooler looks at."""
    real, calls = os.rename, []

    def crash(source: str, target: str) -> None:
        calls.append(target)
        if len(calls) == 2:
            raise KeyboardInterrupt
        real(source, target)

    monkeypatch.setattr(os, "rename", crash)
    with pytest.raises(KeyboardInterrupt):
        move(gripped(path), f"{spool.path}/{PREFIX}b")
    assert [name for name in os.listdir(spool.path) if not name.startswith(".")] == [f"{PREFIX}b"]
    assert Path(f"{spool.path}/{PREFIX}b").read_bytes() == TASK


def test_a_copy_leaves_the_task(path: str, spool: SpoolDir) -> None:
    """For another file system: whole at once, with its time."""
    with gripped(path) as task:
        copy_to(task, f"{spool.path}/copy")
    assert Path(f"{spool.path}/copy").read_bytes() == Path(path).read_bytes() == TASK
    assert os.stat(f"{spool.path}/copy").st_mtime == 1_000_000
