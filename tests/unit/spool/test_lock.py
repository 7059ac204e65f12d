"""The platform's own lock structure, and what is done where its kernel refuses."""

from __future__ import annotations

import errno
import fcntl
import os
import struct
import sys
from pathlib import Path

import pytest

from spoolsim.spool import lock


def test_struct_flock_of_macos() -> None:
    """macOS and BSD: l_start, l_len, l_pid, l_type, l_whence."""
    for platform in ("darwin", "freebsd14", "openbsd7"):
        data = lock.flock(3, platform)
        assert struct.unpack_from("=qqihh", data) == (0, 0, 0, 3, os.SEEK_SET)
        assert len(data) == 24


def test_struct_flock_of_linux() -> None:
    """Linux: l_type, l_whence, l_start, l_len, l_pid, each where the C compiler puts it."""
    data = lock.flock(1, "linux")
    assert struct.unpack_from("hh", data) == (1, os.SEEK_SET)
    if sys.maxsize > 2**32:
        assert len(data) == 32


def test_an_unknown_system_has_record_locks_alone() -> None:
    """Where the layout is not known nothing is packed at all."""
    assert lock.flock(1, "sunos5") == b""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A file to lock."""
    path = tmp_path / "file"
    path.write_bytes(b"1234")
    return path


@pytest.mark.skipif(not hasattr(fcntl, "F_OFD_SETLK"), reason="this system has no such locks to refuse")
@pytest.mark.parametrize("refusal", [errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP])
def test_a_kernel_that_refuses(file: Path, monkeypatch: pytest.MonkeyPatch, refusal: int) -> None:
    """EINVAL, ENOSYS and EOPNOTSUPP are answered by record locks, from then on."""

    def refuse(fd: int, command: int, argument: bytes) -> bytes:
        raise OSError(refusal, os.strerror(refusal))

    monkeypatch.setattr(lock, "OFD_SETLK", lock.OFD_SETLK)
    monkeypatch.setattr(lock, "_OFD_SETLKW", lock._OFD_SETLKW)
    monkeypatch.setattr(lock, "call", refuse)
    fd = os.open(file, os.O_RDWR)
    assert lock.try_lock(fd)
    assert lock.OFD_SETLK is None
    assert lock.held(fd) is False
    lock.unlock(fd)
    lock.lock(fd)
    assert _locked_for_others(file)
    os.close(fd)


@pytest.mark.skipif(not hasattr(fcntl, "F_OFD_SETLK"), reason="this system has no such locks to fail")
def test_another_error_is_an_error(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file system without locks is not a kernel without them."""

    def fail(fd: int, command: int, argument: bytes) -> bytes:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    before = lock.OFD_SETLK
    monkeypatch.setattr(lock, "call", fail)
    fd = os.open(file, os.O_RDWR)
    for attempt in (lambda: lock.try_lock(fd), lambda: lock.lock(fd)):
        with pytest.raises(OSError, match="No locks"):
            attempt()
    assert before == lock.OFD_SETLK
    os.close(fd)


def test_record_locks_of_others_are_seen(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without open file description locks, another process's lock can still be asked for."""
    monkeypatch.setattr(lock, "OFD_SETLK", None)
    mine = os.open(file, os.O_RDONLY)
    assert not lock.held(mine)
    ready, done = os.pipe(), os.pipe()
    child = os.fork()
    if not child:
        fcntl.lockf(os.open(file, os.O_RDWR), fcntl.LOCK_EX)
        os.write(ready[1], b"!")
        os.read(done[0], 1)
        os._exit(0)
    os.read(ready[0], 1)
    assert lock.held(mine)
    os.write(done[1], b"!")
    os.waitpid(child, 0)
    assert not lock.held(mine)
    for fd in (mine, *ready, *done):
        os.close(fd)


def _locked_for_others(path: Path) -> bool:
    """Would another process have to wait for a record lock?"""
    child = os.fork()
    if not child:
        try:
            fcntl.lockf(os.open(path, os.O_RDWR), fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os._exit(1)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 1
