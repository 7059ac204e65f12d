"""Whatever lies in `.spoolsim/` or at a socket's path, and whoever talks to us: nobody waits, and nothing ends us."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from spoolsim.processes.boardfile import BoardFile
from spoolsim.spool.directory import SpoolDir
from tests.conftest import poll_until
from tests.needs import PROCESS_ONE
from tests.process.conftest import Start, environment, noted, put

AFTER = "note('after')"


@pytest.mark.parametrize("name", ["journal", "journal.1", "wake"])
@pytest.mark.parametrize("read", [False, True], ids=["alone", "with a reader"])
def test_a_fifo_in_our_state_directory(start: Start, home: Path, name: str, read: bool) -> None:
    """Tasks run, and what they enqueue does, too; `spoolsim ls` answers."""
    state = home / "spool" / ".spoolsim"
    state.mkdir(parents=True, mode=0o700)
    os.mkfifo(state / name)
    reader = os.open(state / name, os.O_RDONLY | os.O_NONBLOCK) if read else -1
    i = start("--spooler-quiet", "--spooler-frequency", "1", "--max-attempts", "3")
    i.put("note('first'); result = -1")
    i.wait_runs("first")
    i.put("uwsgi.spool({b'code': b\"note('after')\"})")
    i.wait_runs("after")
    done = subprocess.run(
        [sys.executable, "-m", "spoolsim", "ls", "--spooler", str(i.spool)],
        timeout=60,
        check=False,
        capture_output=True,
    )
    assert done.returncode == 0, done.stderr
    if read:
        os.close(reader)
    assert i.stop() == 0


def test_a_scoreboard_that_somebody_cuts(start: Start) -> None:
    """Nobody can: the instance lives on, and still finds its spoolers there."""
    i = start("--spooler-quiet", "--spooler-frequency", "600")
    i.wait_workers(1)
    board = i.spool / ".spoolsim" / "run" / str(i.pid)
    try:
        board.write_bytes(b"")
    except PermissionError:
        pass
    for lock in board.parent.glob("*.lock"):
        lock.write_bytes(b"")
    i.put("note(*uwsgi.spooler_pids())")
    i.wait_count(1)
    assert i.runs() == [str(i.workers()[0])]
    assert i.stop() == 0
    assert not list(board.parent.iterdir())


def test_two_masters_of_one_pid_have_two_scoreboards(tmp_path: Path) -> None:
    """As process 1 of two containers: the second takes another name, and neither sweeps the other away."""
    read, write = os.pipe()
    stay, go = os.pipe()
    spool = SpoolDir(str(tmp_path))
    child = os.fork()
    if not child:
        os.close(go)
        os.getpid = lambda: 1  # type: ignore[assignment]
        made = BoardFile(spool, 2)
        os.write(write, os.fsencode(made.path))
        os.read(stay, 1)
        os._exit(0)
    os.close(stay)
    first = os.fsdecode(os.read(read, 4096))
    try:
        assert os.path.basename(first) == "1"
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(os, "getpid", lambda: 1)
            second = BoardFile(spool, 2)
            assert os.path.basename(second.path) == "1-2"
            second.board.slot(0)[0] = 77
            assert os.path.lexists(first)
            second.close()
        assert os.path.lexists(first)
        assert not os.path.lexists(f"{tmp_path}/.spoolsim/run/1-2")
    finally:
        os.close(go)
        os.waitpid(child, 0)
    third = BoardFile(spool, 2)  # which finds that the first one's master is gone
    assert sorted(os.listdir(f"{tmp_path}/.spoolsim/run")) == sorted([str(os.getpid()), f"{os.getpid()}.lock"])
    third.close()


@pytest.mark.needs("pid-namespace")
def test_two_process_ones_of_two_containers(home: Path) -> None:
    """The harakiri of the one's task strikes, whatever the other one runs meanwhile."""
    (home / "spool").mkdir()
    words = [sys.executable, "-m", "spoolsim", "run", "--spooler", "spool", "--import", "app", "--spooler-quiet"]
    words += ["--spooler-frequency", "1", "--spooler-harakiri", "1", "--max-attempts", "1"]
    log = (home / "log").open("wb")
    runs = [subprocess.Popen([*PROCESS_ONE, *words], cwd=home, env=environment(home), stdout=log, stderr=log)]
    try:
        put(home / "spool", "note('in'); time.sleep(600)")
        poll_until(lambda: noted(home), what="the task that hangs")
        runs.append(subprocess.Popen([*PROCESS_ONE, *words], cwd=home, env=environment(home), stdout=log, stderr=log))

        def struck() -> bool:
            put(home / "spool", "time.sleep(0.05)")
            time.sleep(0.05)
            return b"HARAKIRI" in (home / "log").read_bytes()

        poll_until(struck, 60, "the harakiri")
    finally:
        log.close()
        for run in runs:
            run.kill()
            run.wait()


@pytest.mark.parametrize("option", ["--stats", "--socket"])
def test_a_file_at_the_address_of_an_option(start: Start, home: Path, option: str) -> None:
    """It stays, and one line says so."""
    precious = home / "uwsgi.ini"
    precious.write_text("[uwsgi]\n")
    i = start(option, "uwsgi.ini", *(["--stand-in-worker"] if option == "--socket" else []))
    i.spawned.wait_output("there is something else than a socket, which is left alone; name another path")
    if option == "--stats":
        assert i.spawned.wait_exit() != 0
    assert precious.read_text() == "[uwsgi]\n"


@pytest.fixture
def closing() -> Iterator[Callable[[socket.socket], socket.socket]]:
    """`closing(socket)`: the same, closed at the end of the test."""
    with ExitStack() as stack:
        yield stack.enter_context


def connect(path: Path) -> socket.socket:
    """A connection to the stand-in worker, when it listens."""
    found = socket.socket(socket.AF_UNIX)

    def connected() -> bool:
        try:
            found.connect(str(path))
        except OSError:
            return False
        return True

    poll_until(connected, what="the socket")
    found.settimeout(30)
    return found


def _is_closed(client: socket.socket) -> bool:
    """Send one more byte; whether nobody takes it any more."""
    try:
        client.send(b"x")
    except OSError:
        return True
    return False


def test_a_slow_client_keeps_nobody_waiting(
    start: Start,
    tmp_path_factory: pytest.TempPathFactory,
    closing: Callable[[socket.socket], socket.socket],
) -> None:
    """Others are answered, the stop is heard, and the time for a whole request ends."""
    path = tmp_path_factory.mktemp("s") / "s"
    i = start("--spooler-quiet", "--stand-in-worker", "--socket", str(path))
    slow = [closing(connect(path)) for _ in range(3)]
    for client in slow:
        client.send(b"\x11\xff\x0f\x00x")
    quick = closing(connect(path))
    code = AFTER.encode()
    data = b"\x04\x00code" + len(code).to_bytes(2, "little") + code
    quick.sendall(b"\x11" + bytes([len(data), 0, 0]) + data)
    assert quick.recv(9) == b"\xff\x00\x00\x01"
    i.wait_runs("after")
    for client in slow:
        poll_until(lambda client=client: _is_closed(client), 60, "the end of a slow client's time")  # type: ignore[misc]
    last = closing(connect(path))
    last.send(b"\x11\xff\x0f\x00x")
    assert i.stop() == 0


def test_who_runs_code_through_a_network_socket_is_said(start: Start) -> None:
    """A line at the start names them; a unix socket is the owner's alone."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    i = start("--stand-in-worker", "--socket", f"127.0.0.1:{port}", "--socket", "own.sock")
    i.spawned.wait_output("every user and program of this machine can enqueue tasks there, and so run code as you")
    assert i.output().count("run code as you") == 1
    assert i.stop(signal.SIGINT) == 0
