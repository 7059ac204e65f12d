"""The scoreboard's file: really there, or refused."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from spoolsim.work.scoreboard import MASTER, SLOTS, Scoreboard, size


@pytest.mark.parametrize("memory", [True, False], ids=["memory", "a temporary file"])
@pytest.mark.parametrize("named", [True, False], ids=["named", "nameless"])
def test_every_byte_is_on_the_disk(tmp_path: Path, named: bool, memory: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """No hole is left into which a full disk would let no word be stored; other programs do not inherit it."""
    if not memory:
        monkeypatch.delattr(os, "memfd_create", raising=False)
    board = Scoreboard.create(str(tmp_path / "board") if named else None, 100)
    status = os.fstat(board.fd)
    assert status.st_size == size(100)
    assert status.st_blocks * 512 >= size(100)
    assert status.st_nlink == named
    assert not os.get_inheritable(board.fd)
    assert (board.words[MASTER], board.words[SLOTS]) == (os.getpid(), 100)
    board.close()


def test_no_room_is_an_error_and_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a short write the disk says so; neither file nor descriptor is left."""
    real = os.write
    room = [4096]

    def write(fd: int, data: bytes) -> int:
        if not room:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return real(fd, data[: room.pop()])

    monkeypatch.setattr(os, "write", write)
    before = os.listdir("/proc/self/fd")
    with pytest.raises(OSError, match=os.strerror(errno.ENOSPC)):
        Scoreboard.create(str(tmp_path / "board"), 100)
    assert os.listdir("/proc/self/fd") == before
    assert os.listdir(tmp_path) == []
