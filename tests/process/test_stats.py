"""The stats server: uWSGI's JSON for whoever connects."""

from __future__ import annotations

import json
import os
import shutil
import socket
import stat
import sys
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import WaitFor, poll_until
from tests.process.conftest import Instance, Start, descriptors

KEYS = (
    *("version", "listen_queue", "listen_queue_errors", "signal_queue", "load", "pid", "uid", "gid", "cwd", "locks"),
    *("sockets", "workers", "spoolers"),
)
SPOOLER = ["dir", "pid", "tasks", "respawns", "running"]


def free_port() -> int:
    """A port that nobody has."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def read(address: str | tuple[str, int]) -> bytes:
    """All that the server says."""
    family = socket.AF_UNIX if isinstance(address, str) else socket.AF_INET
    with socket.socket(family) as reader:
        reader.settimeout(20)
        reader.connect(address)
        parts = []
        while part := reader.recv(4096):
            parts.append(part)
    return b"".join(parts)


def document(it: Instance) -> dict[str, Any]:
    """The document at the unix socket `s` of an instance."""
    found: dict[str, Any] = json.loads(read(str(it.home / "s")))
    return found


def test_the_document(start: Start, home: Path) -> None:
    """Keys in uWSGI's order, ours under their own last key; what it tells of each spooler is so."""
    it = start("--stats", "s", "--spooler-external", "out", "--spooler-processes", "2", "--spooler-max-tasks", "1")
    it.wait_workers(2)
    said = document(it)
    assert list(said) == [*KEYS, "spoolsim"]
    assert [list(row) for row in said["spoolers"]] == [SPOOLER] * 3
    assert (said["pid"], said["cwd"], said["uid"]) == (it.pid, str(it.home), os.getuid())
    rows = {row["pid"]: row for row in said["spoolers"]}
    assert set(rows) == {0, *it.workers()}
    assert rows[0]["dir"] == str(home / "out")
    it.put("note('busy'); gate('go', 60)")
    it.wait_runs("busy")
    assert sorted(row["running"] for row in document(it)["spoolers"]) == [0, 0, 1]
    it.open_gate("go")
    poll_until(lambda: sum(row["respawns"] for row in document(it)["spoolers"]) == 1, 20, "the recycled one")
    assert it.stop() == 0
    assert not (home / "s").exists()


def test_faithful_has_uwsgis_keys_only(start: Start) -> None:
    """Under --faithful there is no key that uWSGI lacks."""
    it = start("--stats", "s", "--faithful")
    it.spawned.wait_output("spawned the uWSGI spooler", timeout=20)
    assert list(document(it)) == list(KEYS)
    assert it.stop() == 0


def test_a_unix_socket(start: Start, home: Path) -> None:
    """It is for its owner alone (0600), whatever the umask; one left by a killed instance is no obstacle."""
    old = socket.socket(socket.AF_UNIX)
    old.bind(str(home / "s"))
    old.close()
    it = start("--stats", "s")
    it.wait_workers(1)
    assert stat.S_IMODE((home / "s").stat().st_mode) == 0o600
    assert document(it)["pid"] == it.pid
    assert it.stop() == 0


def test_tcp_is_loopback(start: Start) -> None:
    """:PORT listens at the loopback address only."""
    port = free_port()
    it = start("--stats", f":{port}")
    it.wait_workers(1)
    assert json.loads(read(("127.0.0.1", port)))["pid"] == it.pid
    listening = [line.split()[1] for line in Path("/proc/net/tcp").read_text().splitlines() if f":{port:04X} " in line]
    assert set(listening) <= {f"0100007F:{port:04X}"}
    assert it.stop() == 0


def test_an_abstract_socket(start: Start, home: Path) -> None:
    """@NAME is one of Linux's abstract sockets, no file; its name ends with a zero byte, as under uWSGI."""
    name = f"spoolsim-{os.getpid()}-{home.parent.name}"
    it = start("--stats", f"@{name}")
    it.wait_workers(1)
    assert json.loads(read(f"\0{name}\0"))["pid"] == it.pid
    assert not (home / f"@{name}").exists()
    assert it.stop() == 0


@pytest.mark.skipif(not socket.has_dualstack_ipv6(), reason="this machine has no IPv6")
def test_an_ipv6_address(start: Start) -> None:
    """In brackets, as uWSGI takes it."""
    port = free_port()
    it = start("--stats", f"[::1]:{port}")
    it.wait_workers(1)
    with socket.create_connection(("::1", port), timeout=300) as reader:
        assert b'"version"' in reader.recv(100)
    assert it.stop() == 0


def test_http(start: Start) -> None:
    """With --stats-http ordinary HTTP clients read it, a hundred times in a row; so does one that asks nothing."""
    port = free_port()
    it = start("--stats", f"127.0.0.1:{port}", "--stats-http")
    it.wait_workers(1)
    for _ in range(100):
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=300) as answer:
            assert answer.headers["Content-Type"] == "application/json"
            assert answer.headers["Access-Control-Allow-Origin"] == "*"  # as uWSGI sends it
            assert json.load(answer)["pid"] == it.pid
    head, _, body = read(("127.0.0.1", port)).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.0 200 OK")
    assert json.loads(body)["pid"] == it.pid
    assert it.stop() == 0


def test_a_request_that_comes_behind_its_answer(start: Start, wait_for: WaitFor) -> None:
    """A slow HTTP client, or a busy machine: the answer is not lost with a line that is reset."""
    port = free_port()
    it = start("--stats", f"127.0.0.1:{port}", "--stats-http")
    it.wait_workers(1)
    with socket.create_connection(("127.0.0.1", port), timeout=300) as client:
        wait_for(lambda: client.recv(1 << 20, socket.MSG_PEEK).endswith(b"}"), 60, "the whole answer")
        client.sendall(b"GET / HTTP/1.0\r\n\r\n")
        answer = b"".join(iter(lambda: client.recv(65536), b""))
    assert json.loads(answer.partition(b"\r\n\r\n")[2])["pid"] == it.pid
    assert it.stop() == 0


def test_readers_that_do_not_read(start: Start, wait_for: WaitFor) -> None:
    """Thirty readers that never read keep nobody waiting: the master reaps, spawns and answers others meanwhile."""
    spools = tuple(f"a-directory-with-a-rather-long-name-{n}" for n in range(4))
    it = start("--stats", "s", "--spooler-max-tasks", "1", spools=spools)
    it.wait_workers(4)
    before = len(descriptors(it.pid))
    idle = []
    try:
        for _ in range(30):
            reader = socket.socket(socket.AF_UNIX)
            reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
            reader.connect(str(it.home / "s"))
            idle.append(reader)
        for n in range(20):
            it.put(f"note('ran', {n})")
        it.wait_count(20, timeout=20)
        for _ in range(20):
            assert document(it)["pid"] == it.pid
    finally:
        for reader in idle:
            reader.close()
    wait_for(lambda: len(descriptors(it.pid)) == before, 20, "the descriptors of the readers that went")
    it.wait_workers(4)
    assert it.stop() == 0


def test_many_readers_at_once(start: Start) -> None:
    """Eight readers connected together all get a whole document."""
    it = start("--stats", "s")
    it.wait_workers(1)
    readers = [socket.socket(socket.AF_UNIX) for _ in range(8)]
    for reader in readers:
        reader.settimeout(20)
        reader.connect(str(it.home / "s"))
    for reader in reversed(readers):
        parts = []
        while part := reader.recv(100):
            parts.append(part)
        reader.close()
        assert json.loads(b"".join(parts))["pid"] == it.pid
    assert it.stop() == 0


def test_a_working_directory_that_is_removed(start: Start, home: Path) -> None:
    """The answer names no directory then, and the master lives."""
    place = home / "place"
    place.mkdir()
    socket_path = home / "s"
    code = "import os, sys; os.chdir('place'); os.execv(sys.argv[1], sys.argv[1:])"
    prefix = (sys.executable, "-c", code)
    it = start(
        *("--stats", str(socket_path), "--spooler", str(home / "spool"), "--pythonpath", str(home)), prefix=prefix
    )
    it.spawned.wait_output("spawned the uWSGI spooler", timeout=20)
    shutil.rmtree(place)
    assert document(it)["cwd"] == ""
    assert document(it)["cwd"] == ""
    assert it.stop() == 0


@pytest.mark.parametrize("options", [("--stats",), ("--stand-in-worker", "--socket")], ids=["stats", "socket"])
def test_an_address_that_cannot_be_had(start: Start, options: tuple[str, ...]) -> None:
    """One line names option, address, reason and what to do, the status is not 0, and nothing is left."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        it = start(*options, address)
        assert it.spawned.wait_exit(20) != 0
        it.spawned.assert_nothing_left()
    said = f"{options[-1][2:]} = {address}: Address already in use: another program listens there; end it, or choose"
    (line,) = [line for line in it.output().splitlines() if address in line]
    assert line.startswith(f"[spoolsim] {said}")
