"""The stats server: uWSGI's JSON to whoever connects, so that its readers take it unchanged.

`--stats ADDRESS`: HOST:PORT, [IPV6]:PORT, :PORT (loopback), the path of a unix socket (mode 0600), or @NAME, an
abstract one of Linux (which every user of the machine can read). With `--stats-http` an HTTP header goes before it.
What uWSGI lacks is under the key "spoolsim".
"""

from __future__ import annotations

import os
import select
import socket
import sys
import time

from spoolsim.errors import OptionError
from spoolsim.work.scoreboard import BUSY, DONE, DROPPED, KEPT, PID, SPAWNS, STARTED, STATE, TASKS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from spoolsim.processes.master import Master

LOOPBACK = "127.0.0.1"
#: so many readers may be slow at a time; the one that has been so for longest goes first
_READERS = 16
#: seconds an HTTP client has for its request
_REQUEST = 0.05
_HTTP = (
    "HTTP/1.0 200 OK\r\nConnection: close\r\nAccess-Control-Allow-Origin: *\r\nContent-Type: application/json\r\n\r\n"
)
#: the locks uWSGI lists, by its names
_LOCKS = ("user 0", "signal", "filemon", "timer", "rbtimer", "cron", "rpc", "snmp")


class Stats:
    """Serves a master's numbers at one address."""

    def __init__(self, master: Master) -> None:
        self.master = master
        self.socket: socket.socket | None = None
        self.path = ""
        #: readers that have not taken all yet: descriptor -> (socket, the rest)
        self.answers: dict[int, tuple[socket.socket, memoryview]] = {}

    def start(self) -> None:
        """Bind and listen. Raises OptionError when the address cannot be had."""
        address = self.master.options.stats
        if not address or self.socket is not None:
            return
        try:
            self.socket = self._bind(address)
        except (OSError, ValueError, OverflowError) as error:
            why = getattr(error, "strerror", None) or str(error)
            raise OptionError(f"stats = {address}: {why}; write HOST:PORT, :PORT or the path of a socket") from None
        self.socket.setblocking(False)
        self.master.poll.register(self.socket.fileno(), select.POLLIN)

    def _bind(self, address: str) -> socket.socket:
        host, colon, port = address.rpartition(":")
        if colon and port.isdigit():
            bare = host.removeprefix("[").removesuffix("]")
            server = socket.socket(socket.AF_INET if bare == host else socket.AF_INET6)
            server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            server.bind((bare or LOOPBACK, int(port)))
        elif address.startswith("@") and sys.platform == "linux":
            server = socket.socket(socket.AF_UNIX)
            server.bind(f"\0{address[1:]}\0")  # the last byte is a part of the name, as uWSGI gives it
        else:
            server = socket.socket(socket.AF_UNIX)
            _remove_stale(address)
            umask = os.umask(0o177)
            try:
                server.bind(address)
            finally:
                os.umask(umask)
            self.path = address
        server.listen(16)
        return server

    def collect(self, ready: set[int]) -> None:
        """Answer those who wait; the rest of an answer goes to each as it reads, and nobody is waited for."""
        for fd in ready & self.answers.keys():
            self._send(fd)
        if self.socket is None or self.socket.fileno() not in ready:
            return
        try:
            reader, _ = self.socket.accept()
        except OSError:
            return  # gone again
        import json

        reader.setblocking(False)
        text = json.dumps(snapshot(self.master), indent="\t")
        if self.master.options.stats_http:
            _hear(reader)
            text = _HTTP + text
        if len(self.answers) >= _READERS:
            self._end(next(iter(self.answers)))
        fd = reader.fileno()
        self.answers[fd] = (reader, memoryview(text.encode()))
        self._send(fd)
        if fd in self.answers:
            self.master.poll.register(fd, select.POLLOUT)

    def _send(self, fd: int) -> None:
        """What the reader takes at once; when that is all, or it is gone, that was it."""
        reader, text = self.answers[fd]
        try:
            text = text[reader.send(text) :]
        except BlockingIOError:
            pass
        except OSError:
            text = text[:0]
        self.answers[fd] = (reader, text)
        if not text:
            self._end(fd)

    def _end(self, fd: int) -> None:
        reader, _ = self.answers.pop(fd)
        try:
            self.master.poll.unregister(fd)
        except KeyError:
            pass  # it took everything at once
        reader.close()

    def close(self) -> None:
        """Stop listening."""
        for fd in list(self.answers):
            self._end(fd)
        if self.socket is not None:
            self.socket.close()
            self.socket = None
        if self.path:
            try:
                os.unlink(self.path)
            except OSError:
                pass


def _hear(reader: socket.socket) -> None:
    """Take the request: to a client that sends it to a socket already closed, the answer would be lost."""
    select.select([reader], [], [], _REQUEST)
    try:
        reader.recv(65536)
    except OSError:
        pass  # it sends none


def _remove_stale(path: str) -> None:
    """A socket that nobody listens at any more is in the way; anything else stays."""
    probe = socket.socket(socket.AF_UNIX)
    try:
        probe.connect(path)
    except ConnectionRefusedError:
        os.unlink(path)
    except OSError:
        pass
    finally:
        probe.close()


def snapshot(master: Master) -> dict[str, Any]:
    """The document, keys in uWSGI's order."""
    options = master.options
    paths = [path for path, _, _ in master.entries]
    return {
        "version": "2.1-dev" if options.uwsgi == "2.1" else "2.0.31",
        "listen_queue": 0,
        "listen_queue_errors": 0,
        "signal_queue": 0,
        "load": 0,
        "pid": os.getpid(),
        "uid": os.getuid(),
        "gid": os.getgid(),
        "cwd": _cwd(),
        "locks": [{name: 0} for name in (*_LOCKS, *(f"spooler on {path}" for path in paths))],
        "sockets": [
            {"name": name, "proto": "uwsgi", "queue": 0, "max_queue": 0, "shared": 0, "can_offload": 0}
            for name in options.sockets
        ],
        "workers": _workers(master),
        "spoolers": [_spooler(master, path, slot) for path, _, slot in master.entries],
    } | ({} if options.faithful else {"spoolsim": _instance(master)})


def _cwd() -> str:
    try:
        return os.getcwd()
    except OSError:  # removed
        return ""


def _instance(master: Master) -> dict[str, Any]:
    """What uWSGI lacks."""
    return {
        "generation": master.count,
        "stopping": master.stopping,
        "signals_lost": master.board.words[DROPPED],
        "tasks_killed_unfinished": master.unfinished,
        "spoolers": [_ours(master, path, slot) for path, _, slot in master.entries if slot >= 0],
    }


def _spooler(master: Master, path: str, slot: int) -> dict[str, Any]:
    if slot < 0:
        return {"dir": path, "pid": 0, "tasks": 0, "respawns": 0, "running": 0}
    words = master.board.serving(slot)
    return {
        "dir": path,
        "pid": words[PID],
        "tasks": words[TASKS],
        "respawns": max(master.slots[slot].spawns - 1, 0),
        "running": int(words[STATE] == BUSY),
    }


def _ours(master: Master, path: str, slot: int) -> dict[str, Any]:
    words = master.board.serving(slot)
    started = words[STARTED]
    now = time.clock_gettime_ns(time.CLOCK_MONOTONIC)
    return {
        "dir": path,
        "slot": slot,
        "state": master.slots[slot].state,
        "running_seconds": (now - started) / 1e9 if started else 0,
        "done": sum(master.board.slot(slot * 2 + number)[DONE] for number in (0, 1)),
        "kept": sum(master.board.slot(slot * 2 + number)[KEPT] for number in (0, 1)),
        "spawns": sum(master.board.slot(slot * 2 + number)[SPAWNS] for number in (0, 1)),
        "leaving": len(master.slots[slot].leaving),
    }


def _workers(master: Master) -> list[dict[str, Any]]:
    """The stand-in worker, as uWSGI describes its web workers."""
    if not master.options.stand_in_worker:
        return []
    words = master.board.serving(master.served)
    ago = time.clock_gettime(time.CLOCK_MONOTONIC) - master.slots[master.served].since
    core = {
        "id": 0,
        "requests": 0,
        "static_requests": 0,
        "routed_requests": 0,
        "offloaded_requests": 0,
        "write_errors": 0,
        "read_errors": 0,
        "in_request": 0,
        "vars": [],
        "req_info": {},
    }
    return [
        {
            "id": 1,
            "pid": words[PID],
            "accepting": 1,
            "requests": 0,
            "delta_requests": 0,
            "exceptions": 0,
            "harakiri_count": 0,
            "signals": 0,
            "signal_queue": 0,
            "status": "idle",
            "rss": 0,
            "vsz": 0,
            "running_time": 0,
            "last_spawn": int(time.time() - ago),
            "respawn_count": master.slots[master.served].spawns,
            "tx": 0,
            "avg_rt": 0,
            "apps": [],
            "cores": [core],
        }
    ]
