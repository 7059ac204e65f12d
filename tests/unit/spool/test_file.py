"""Writing a spool file: whole under its name, or not at all."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from spoolsim import system
from spoolsim.spool import file
from spoolsim.spool.names import PREFIX

NAME = f"{PREFIX}x"
DATA, BODY = b"d" * 100, b"b" * 5000


def names(home: Path) -> list[str]:
    return sorted(os.listdir(home))


@pytest.mark.parametrize("durable", [False, True])
@pytest.mark.parametrize("at", [0, 1_000_000_000])
@pytest.mark.parametrize("body", [b"", BODY[:9], BODY], ids=["no body", "small", "big"])
@pytest.mark.parametrize("data", [DATA, DATA * 60], ids=["few", "many"])
def test_it_is_whole(tmp_path: Path, data: bytes, body: bytes, at: int, durable: bool):
    """In one write or renamed, with its time, and nothing beside it."""
    path = file.write(str(tmp_path), NAME, data, body, at, durable)
    status = os.stat(path)  # before it is read, which may move the time of access
    assert not at or (status.st_mtime, status.st_atime) == (at, at)
    assert Path(path).read_bytes() == data + body
    assert names(tmp_path) == [NAME]


@pytest.mark.parametrize("body", [b"", BODY], ids=["one write", "two parts"])
def test_a_write_that_is_cut_short_is_gone_on_with(tmp_path: Path, body: bytes, monkeypatch: pytest.MonkeyPatch):
    """Where there is room, until all is written."""
    real = os.write
    monkeypatch.setattr(os, "write", lambda fd, data: real(fd, data[:7]))
    monkeypatch.setattr(os, "writev", lambda fd, parts: real(fd, parts[0][:7]))
    path = file.write(str(tmp_path), NAME, DATA, body)
    assert Path(path).read_bytes() == DATA + body


def test_a_disk_that_takes_nothing_is_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Also where it says so by writing no byte; nothing is left."""
    monkeypatch.setattr(os, "write", lambda fd, data: 0)
    with pytest.raises(OSError, match=os.strerror(errno.ENOSPC)):
        file.write(str(tmp_path), NAME, DATA)
    assert names(tmp_path) == []


@pytest.mark.parametrize("call", ["write", "writev", "fsync", "utime", "rename", "close"])
def test_what_is_refused_leaves_nothing(tmp_path: Path, call: str, monkeypatch: pytest.MonkeyPatch):
    """An error at any step: neither a task nor a temporary file, nor a descriptor; the error is the disk's."""
    real = os.close

    def refused(*args: object, **how: object) -> None:
        if call == "close":
            real(args[0])
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    before = os.listdir("/proc/self/fd")
    with monkeypatch.context() as patch:
        patch.setattr(os, call, refused)
        with pytest.raises(OSError, match=os.strerror(errno.EIO)):
            body = b"" if call == "write" else BODY
            file.write(str(tmp_path), NAME, DATA, body, int(call == "utime"), call == "fsync")
    assert names(tmp_path) == []
    assert os.listdir("/proc/self/fd") == before


def test_a_file_that_somebody_removed_meanwhile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The error of the disk is what is told, not that there is nothing to remove."""

    def failing(fd: int, data: bytes) -> int:
        os.unlink(tmp_path / NAME)
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(os, "write", failing)
    with pytest.raises(OSError, match=os.strerror(errno.EIO)):
        file.write(str(tmp_path), NAME, DATA)


def test_an_existing_file_is_not_written_over(tmp_path: Path):
    """Whoever has the name keeps it."""
    (tmp_path / NAME).write_bytes(b"there")
    with pytest.raises(FileExistsError):
        file.write(str(tmp_path), NAME, DATA)
    assert (tmp_path / NAME).read_bytes() == b"there"


def test_names_are_new_each_time():
    """Two calls, two names of uWSGI's form, the counter one further."""
    first, second = (file.next_name() for _ in range(2))
    assert first.startswith(PREFIX)
    assert int(second.rsplit("_", 5)[2]) == int(first.rsplit("_", 5)[2]) + 1


@pytest.mark.parametrize("at", [0, 1_000_000_000])
def test_without_posix_it_is_closed_before_it_is_renamed(tmp_path: Path, at: int, monkeypatch: pytest.MonkeyPatch):
    """An open file cannot be renamed there, nor a directory be synced."""
    monkeypatch.setattr(system, "POSIX", False)
    open_files = os.listdir("/proc/self/fd")
    seen = []
    real = os.rename

    def watched(old: str, new: str) -> None:
        seen.append(os.listdir("/proc/self/fd") == open_files)
        real(old, new)

    monkeypatch.setattr(os, "rename", watched)
    path = file.write(str(tmp_path), NAME, DATA, BODY, at, durable=True)
    assert seen == [True]
    assert Path(path).read_bytes() == DATA + BODY
    assert not at or os.stat(path).st_mtime == at
    assert names(tmp_path) == [NAME]
    file.sync(str(tmp_path / "absent"))


@pytest.mark.parametrize("call", ["write", "rename"])
def test_without_posix_what_is_refused_is_closed_then_removed(
    tmp_path: Path, call: str, monkeypatch: pytest.MonkeyPatch
):
    """An open file cannot be removed there; nothing is left all the same."""
    monkeypatch.setattr(system, "POSIX", False)
    before = os.listdir("/proc/self/fd")
    removed = []
    real = os.unlink

    def refused(*args: object) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    def watched(path: str) -> None:
        removed.append(os.listdir("/proc/self/fd") == before)
        real(path)

    with monkeypatch.context() as patch:
        patch.setattr(os, call, refused)
        patch.setattr(os, "unlink", watched)
        with pytest.raises(OSError, match=os.strerror(errno.EIO)):
            file.write(str(tmp_path), NAME, DATA, BODY)
    assert removed == [True]
    assert names(tmp_path) == []
