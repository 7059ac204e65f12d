"""Forking a spooler where something is in the way: the fork server lives, and says what it was."""

from __future__ import annotations

import errno
import io
import os
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from spoolsim.log import Log
from spoolsim.options import UWSGI
from spoolsim.processes.forkserver import ForkServer
from spoolsim.work.scoreboard import PID, Scoreboard


class Wired:
    """A wire that keeps what is sent."""

    def __init__(self) -> None:
        self.sent: list[tuple[Any, ...]] = []

    def send(self, *message: object) -> None:
        self.sent.append(message)


@pytest.fixture
def server(tmp_path: Path) -> ForkServer:
    """One without a process, whose log is the file `log`."""
    fd = os.open(tmp_path / "log", os.O_WRONLY | os.O_CREAT, 0o600)
    app: Any = SimpleNamespace(log=Log(fd), policy=UWSGI, options=SimpleNamespace(ordered=False))
    wire: Any = Wired()
    return ForkServer(wire, Scoreboard.create(None, 2), app, [], -1)


@pytest.mark.parametrize("call", ["pipe", "fork"])
def test_what_a_fork_needs_is_refused(
    server: ForkServer, tmp_path: Path, call: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No descriptor or no process to be had: the master is told, and nothing stays open."""

    def refused() -> None:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    before = os.listdir("/proc/self/fd")
    monkeypatch.setattr(os, call, refused)
    server.spawn(0, 0)
    assert os.listdir("/proc/self/fd") == before
    assert server.wire.sent == [("died", 0, 0, 0, False)]
    assert (tmp_path / "log").read_text() == f"[spoolsim] cannot fork: {os.strerror(errno.EMFILE)}\n"


@pytest.mark.parametrize("kind", ["full", "closed"])
def test_a_stream_that_cannot_write_is_no_reason(
    server: ForkServer, tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An app's own standard output, on a full disk or closed, keeps no spooler from being born."""
    stream: Any = io.StringIO()
    if kind == "closed":
        stream.close()
    else:
        stream = open("/dev/full", "w")  # noqa: SIM115 - closing it would raise
        stream.write("x")
    with monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", stream)
        patch.setattr(os, "fork", lambda: 12345)
        server.spawn(0, 0)
    assert server.wire.sent == [("spawned", 0, 12345)]
    assert server.board.slot(0)[PID] == 12345
    assert (tmp_path / "log").read_text() == ""
    os.close(server.living.pop(12345).lifeline)
    if kind == "full":
        with pytest.raises(OSError, match=os.strerror(errno.ENOSPC)):
            stream.close()
