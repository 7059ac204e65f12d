"""Taking a task: what can be had, what cannot and why; what keeps it ours."""

from __future__ import annotations

import errno
import fcntl
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from elsewhere import another_could_lock, held_by_another

from spoolsim.spool import claim as claims
from spoolsim.spool import keep, settle
from spoolsim.spool.claim import Claim, take
from spoolsim.spool.names import PREFIX
from spoolsim.spool.scan import Level
from spoolsim.spool.verdicts import KEEP, REMOVE
from tests.oracle.packets import packet

NOW = 2_000_000_000.0
NAME = f"{PREFIX}task"
DATA = packet({b"k": b"v"}) + b"body"

both_locks = pytest.mark.parametrize("record", [False, True], ids=["ofd", "record"])
linux = pytest.mark.skipif(not hasattr(fcntl, "F_OFD_SETLK"), reason="this system has no open file description locks")


@pytest.fixture
def path(level: Level) -> str:
    """A task's file in the spool directory."""
    path = f"{level.path}/{NAME}"
    Path(path).write_bytes(DATA)
    return path


def taken(level: Level, **how: bool) -> Claim:
    """The claim that must be had."""
    claim = take(level, NAME, NOW, **how)
    assert isinstance(claim, Claim), claim
    return claim


@both_locks
def test_a_claim_has_the_whole_file(level: Level, path: str, record: bool):
    """Level, name, path, bytes and mtime are the file's."""
    os.utime(path, (1, 1_000_000_000.5))
    claim = taken(level, record=record)
    assert (claim.path, claim.name, claim.data, claim.mtime) == (path, NAME, DATA, 1_000_000_000.5)
    settle.apply(claim, KEEP)


@pytest.mark.parametrize("size", [4, 4096, 65_536, 1_000_003])
def test_files_of_any_size_are_read_whole(level: Level, path: str, size: int):
    """Small and large files are read to their end."""
    data = os.urandom(size)
    Path(path).write_bytes(data)
    claim = taken(level)
    assert claim.data == data
    settle.apply(claim, REMOVE)


@pytest.mark.parametrize(
    ("later", "why"),
    [
        (1, claims.FUTURE),
        (0.999, None),
        (0, None),
        (-1, None),
        pytest.param(3_000_000_000, claims.FUTURE, marks=pytest.mark.needs("late-times")),
    ],
)
def test_a_task_is_had_from_its_second_on(level: Level, path: str, later: float, why: str | None):
    """An mtime in a later second is FUTURE, and the file is not locked afterwards."""
    os.utime(path, (0, NOW + later))
    claim = take(level, NAME, NOW)
    assert claim == why if why else isinstance(claim, Claim)
    if isinstance(claim, Claim):
        settle.apply(claim, KEEP)
    assert another_could_lock(path)


@pytest.mark.parametrize("size", [0, 1, 3])
def test_less_than_a_header_is_unfinished(level: Level, path: str, size: int):
    """A file under 4 bytes may be in the making: it is left as it is, unlocked."""
    os.truncate(path, size)
    assert take(level, NAME, NOW) == claims.UNFINISHED
    assert os.stat(path).st_size == size
    assert another_could_lock(path)


@both_locks
@pytest.mark.parametrize(
    ("kind", "start", "length"), [("LOCK_EX", 0, 0), ("LOCK_SH", 0, 0), ("LOCK_EX", 1, 1), ("LOCK_EX", 10_000, 1)]
)
def test_a_lock_of_another_process_keeps_us_off(
    level: Level, path: str, record: bool, kind: str, start: int, length: int
):
    """I3: a record lock held elsewhere, exclusive or shared, of any byte range, is LOCKED; when it ends we have it."""
    with held_by_another(path, kind, length, start):
        assert take(level, NAME, NOW, record=record) == claims.LOCKED
    settle.apply(taken(level, record=record), KEEP)


@both_locks
def test_our_claim_keeps_another_process_off(level: Level, path: str, record: bool):
    """I3: while it is claimed no other process gets uWSGI's lock; released or removed it does."""
    claim = taken(level, record=record)
    assert not another_could_lock(path)
    settle.apply(claim, KEEP)
    assert another_could_lock(path)


@linux
def test_two_claims_in_one_process_exclude_each_other(level: Level, path: str):
    """An open file description lock is not the process's: a second claim here is LOCKED, too."""
    claim = taken(level)
    assert take(level, NAME, NOW) == claims.LOCKED
    settle.apply(claim, KEEP)


@linux
def test_the_claim_is_not_lost_by_opening_and_closing_the_file(level: Level, path: str):
    """A handler that opens, reads and closes its own task file keeps the lock; uWSGI's own lock is lost that way."""
    claim = taken(level)
    Path(path).read_bytes()
    assert not another_could_lock(path)
    settle.apply(claim, KEEP)
    claim = taken(level, record=True)
    Path(path).read_bytes()
    assert another_could_lock(path)
    settle.apply(claim, KEEP)


def test_what_is_not_there_is_gone(level: Level):
    """A name that vanished since the scan is GONE."""
    assert take(level, NAME, NOW) == claims.GONE


@both_locks
@pytest.mark.parametrize("how", ["removed", "replaced"])
def test_a_file_settled_between_open_and_lock_is_gone(
    level: Level, path: str, record: bool, how: str, monkeypatch: pytest.MonkeyPatch
):
    """Somebody finishes the task, and perhaps puts another of its name, just before our lock: GONE, and no harm."""
    try_lock = claims.try_lock

    def late(fd: int, *, record: bool) -> bool:
        os.unlink(path)
        if how == "replaced":
            Path(path).write_bytes(b"another")
        return try_lock(fd, record=record)

    monkeypatch.setattr(claims, "try_lock", late)
    assert take(level, NAME, NOW, record=record) == claims.GONE
    assert os.path.exists(path) == (how == "replaced")


@pytest.mark.parametrize("kind", ["link", "directory", "fifo"])
def test_another_kind_that_took_the_name_is_not_claimed(level: Level, path: str, kind: str):
    """A link, directory or FIFO that replaced the file since the scan is not had, and does not hang."""
    os.unlink(path)
    if kind == "link":
        os.symlink("/etc/hostname", path)
    elif kind == "directory":
        os.mkdir(path)
    else:
        os.mkfifo(path)
    assert take(level, NAME, NOW) in (claims.GONE, claims.UNREADABLE)


def test_a_file_beyond_the_limit_is_claimed_unread(level: Level, path: str):
    """More bytes than the limit, or than memory holds, are claimed without being read; under uWSGI's lock it fails."""
    claim = take(level, NAME, NOW, limit=len(DATA) - 1)
    assert isinstance(claim, Claim)
    assert claim.data == b""
    assert not another_could_lock(path)
    settle.apply(claim, KEEP)
    os.truncate(path, 1 << 43)
    claim = taken(level)
    assert claim.data == b""
    settle.apply(claim, KEEP)
    with pytest.raises(MemoryError):
        take(level, NAME, NOW, record=True)
    assert another_could_lock(path)


def _deny(monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(*args: object, **how: object) -> bool:
        raise OSError(37, "No locks available")

    monkeypatch.setattr(claims, "try_lock", denied)


def test_a_failing_disk_costs_one_task_not_the_scan(level: Level, path: str, monkeypatch: pytest.MonkeyPatch):
    """An error of the file system at lock or read is UNREADABLE, not an exception."""
    _deny(monkeypatch)
    assert take(level, NAME, NOW) == claims.UNREADABLE


def descriptors() -> list[str]:
    return sorted(os.listdir("/proc/self/fd"))


@pytest.mark.parametrize("prepare", ["future", "short", "absent", "denied", "locked"])
def test_a_claim_not_had_leaves_no_descriptor(level: Level, path: str, prepare: str, monkeypatch: pytest.MonkeyPatch):
    """Whatever the reason, nothing stays open."""
    before = descriptors()
    actions: dict[str, Callable[[], object]] = {
        "future": lambda: os.utime(path, (0, NOW + 99)),
        "short": lambda: os.truncate(path, 0),
        "absent": lambda: os.unlink(path),
        "denied": lambda: _deny(monkeypatch),
        "locked": lambda: monkeypatch.setattr(claims, "try_lock", lambda fd, record: False),
    }
    actions[prepare]()
    assert isinstance(take(level, NAME, NOW), str)
    assert descriptors() == before


_FORKS = """
import os, sys
from spoolsim.spool import claim, settle
from spoolsim.spool.scan import Level
from spoolsim.spool.directory import SpoolDir
sys.path.insert(0, sys.argv[3])
from elsewhere import another_could_lock
home, name = sys.argv[1:3]
level = Level(SpoolDir(home), home, os.open(home, os.O_RDONLY))
mine = claim.take(level, name, 2e9, record=sys.argv[4] == "True")
ready, done = os.pipe(), os.pipe()
if os.fork() == 0:  # a child of the handler, which outlives the task
    try:
        os.fstat(mine.fd)
        os.write(ready[1], b"the child has it")
    except OSError:
        os.write(ready[1], b"closed")
    os.close(done[1])
    os.read(done[0], 1)
    os._exit(0)
print(os.read(ready[0], 99).decode(), another_could_lock(mine.path))
os.close(mine.fd)  # as if this process had died
print(another_could_lock(mine.path))
os.close(done[1])
os.wait()
"""


@both_locks
def test_a_forked_child_does_not_keep_the_lock(level: Level, path: str, record: bool):
    """A child that the handler forked has not the claimed descriptor: the lock ends with its parent, not with it."""
    root = str(Path(__file__).parents[3])
    command = [sys.executable, "-c", _FORKS, level.path, NAME, str(Path(__file__).parent), str(record)]
    environ = {**os.environ, "PYTHONPATH": root}
    done = subprocess.run(command, env=environ, capture_output=True, text=True, check=False, timeout=300)
    assert done.stdout.splitlines() == ["closed False", "True"], done.stderr


@both_locks
def test_an_exec_does_not_keep_the_lock(level: Level, path: str, record: bool):
    """The claimed descriptor is closed in a program that the handler starts."""
    claim = taken(level, record=record)
    assert not os.get_inheritable(claim.fd)
    settle.apply(claim, KEEP)


@pytest.mark.parametrize("shrinks", [False, True])
def test_a_file_that_comes_in_pieces(level: Level, path: str, shrinks: bool, monkeypatch: pytest.MonkeyPatch):
    """A read that gives less than it was asked for is gone on with, as far as there is something."""
    Path(path).write_bytes(DATA * 3)

    def read(fd: int, size: int) -> bytes:
        data = os.read(fd, 5)
        if shrinks:
            os.truncate(path, 7)
        return data

    monkeypatch.setattr(claims, "_read", read)
    claim = taken(level)
    assert claim.data == ((DATA * 3)[:7] if shrinks else DATA * 3)
    settle.apply(claim, KEEP)


def test_a_file_that_shrinks_to_nothing_is_no_packet(level: Level, path: str, monkeypatch: pytest.MonkeyPatch):
    """Between the look at its size and the reading: it is not taken for one beyond the limit."""
    monkeypatch.setattr(claims, "_read", lambda fd, size: b"")
    claim = taken(level)
    assert claim.data == b"\0"
    settle.apply(claim, KEEP)


def test_a_forked_child_forgets_what_its_parent_holds(level: Level, path: str, monkeypatch: pytest.MonkeyPatch):
    """Once: a child of a process that holds nothing closes nothing."""
    monkeypatch.setattr(claims.held, "fd", -1)
    before = descriptors()
    claims._close_in_child()
    assert descriptors() == before
    claim = taken(level)
    claims._close_in_child()
    assert claims.held.fd == -1
    assert descriptors() == before
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(claim.fd)


def test_somebody_elses_file_is_claimed_all_the_same(level: Level, path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only its owner may keep a file's time of access; whoever may write it may run it."""
    asked = []

    def refuses(name: str, flags: int, *, dir_fd: int) -> int:
        asked.append(flags)
        if flags != claims.OPEN:
            raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))
        return os.open(name, flags, dir_fd=dir_fd)

    monkeypatch.setattr(claims, "_open", refuses)
    settle.apply(taken(level), KEEP)
    assert asked == [claims.KEEP_TIMES, claims.OPEN]


@pytest.mark.usefixtures("record_locks")
def test_a_task_whose_record_lock_was_lost_is_still_kept(level: Level, path: str):
    """Where there are record locks alone: a second claim here is LOCKED until the first is settled."""
    claim = taken(level)
    before = descriptors()
    assert take(level, NAME, NOW) == claims.LOCKED
    assert descriptors() == before
    settle.apply(claim, KEEP)
    settle.apply(taken(level), KEEP)


def test_a_claim_that_is_made_is_as_one_that_is_taken(level: Level, path: str):
    """take() fills its claim in by itself, which is faster."""
    found = taken(level)
    made = Claim(level, NAME, found.fd, found.data, found.mtime, found.inode, False)
    assert [getattr(made, name) for name in Claim.__slots__] == [getattr(found, name) for name in Claim.__slots__]
    settle.apply(found, KEEP)


def test_with_record_locks_alone_a_task_that_cannot_be_read_is_kept_no_more(
    level: Level, path: str, record_locks: None, monkeypatch: pytest.MonkeyPatch
):
    """What this process remembers of it ends with the attempt."""

    def fails(fd: int, size: int) -> bytes:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(claims, "_read", fails)
    assert take(level, NAME, NOW) == claims.UNREADABLE
    assert keep._mine[level.spool.path] == set()
