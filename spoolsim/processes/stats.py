"""The stats server: uWSGI's JSON to whoever connects, so that its readers take it unchanged.

`--stats ADDRESS`: HOST:PORT, [IPV6]:PORT, :PORT (loopback), the path of a unix socket (mode 0600), or @NAME, an
abstract one of Linux (which every user of the machine can read). With `--stats-http` an HTTP header goes before it.
What uWSGI lacks is under the key "spoolsim".
"""

from __future__ import annotations

import os
import socket
import sys
import time

from spoolsim.errors import OptionError
from spoolsim.processes.addresses import bind_unix, remove, why_not_bound
from spoolsim.work.scoreboard import BUSY, DROPPED, KEPT, PID, SPAWNS, STARTED, STATE, TASKS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from spoolsim.options import Options
    from spoolsim.processes.ending import Ending
    from spoolsim.processes.fleet import Fleet
    from spoolsim.processes.generations import Generations
    from spoolsim.processes.loop import Loop

LOOPBACK = "127.0.0.1"
#: so many readers may be slow at a time; the one that has been so for longest goes first
_READERS = 16
#: seconds after which an HTTP client is answered that has sent no request; and that a reader has for its answer
_REQUEST, _PATIENCE = 0.05, 10.0
_HTTP = (
    "HTTP/1.0 200 OK\r\nConnection: close\r\nAccess-Control-Allow-Origin: *\r\nContent-Type: application/json\r\n\r\n"
)
#: the locks uWSGI lists, by its names
_LOCKS = ("user 0", "signal", "filemon", "timer", "rbtimer", "cron", "rpc", "snmp")


class Stats:
    """Serves the numbers of a run at one address."""

    def __init__(self, options: Options, loop: Loop, fleet: Fleet, ending: Ending, generations: Generations) -> None:
        self._options = options
        self._loop = loop
        self._fleet = fleet
        self._ending = ending
        self._generations = generations
        self._http = options.stats_http
        self.socket: socket.socket | None = None
        self.path = ""
        self._inode = 0
        #: readers that have not taken all yet, by descriptor
        self.readers: dict[int, _Reader] = {}

    def start(self, address: str) -> None:
        """Bind and listen. Raises OptionError when the address cannot be had."""
        try:
            self.socket = self._bind(address)
        except (OSError, ValueError, OverflowError) as error:
            raise OptionError(f"stats = {address}: {why_not_bound(error)}") from None
        self.socket.setblocking(False)
        self._loop.watch(self.socket.fileno())

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
            server = bind_unix(address, replace=False)
            self.path = address
            self._inode = os.lstat(address).st_ino
        server.listen(16)
        return server

    def collect(self, ready: set[int]) -> None:
        """Answer those who wait; the rest of an answer goes to each as it reads, and nobody is waited for."""
        for fd in ready & self.readers.keys():
            self._go_on(self.readers[fd])
        self.tick()
        if self.socket is None or self.socket.fileno() not in ready:
            return
        try:
            found, _ = self.socket.accept()
        except OSError:
            return  # gone again
        found.setblocking(False)
        if len(self.readers) >= _READERS:
            self._end(next(iter(self.readers.values())))
        reader = _Reader(found, self._loop.now())
        self.readers[reader.fd] = reader
        self._loop.watch(reader.fd)
        if not self._http:
            self._answer(reader)

    def next_deadline(self) -> float | None:
        """When the time of a reader is over, by the monotonic clock."""
        return min((reader.end for reader in self.readers.values()), default=None)

    def tick(self) -> None:
        """Answer those who send no request, and leave those whose time is over."""
        for reader in list(self.readers.values()):
            if self._loop.now() < reader.end:
                continue
            if reader.text is None:
                self._answer(reader)
            else:
                self._end(reader)

    def _go_on(self, reader: _Reader) -> None:
        """It has sent its request, or taken a part of its answer, or hung up."""
        if reader.answered:
            self._wait_for_end(reader)
            return
        if reader.text is not None:
            self._send(reader)
            return
        try:  # to a client that sends it to a socket already closed, the answer would be lost
            reader.socket.recv(65536)
        except OSError:
            pass
        self._answer(reader)

    def _answer(self, reader: _Reader) -> None:
        import json

        text = json.dumps(snapshot(self._options, self._fleet, self._ending, self._generations.count), indent="\t")
        reader.text = memoryview(((_HTTP if self._http else "") + text).encode())
        reader.end = self._loop.now() + _PATIENCE
        self._send(reader)
        if reader.fd in self.readers and not reader.answered:
            self._loop.watch_writable(reader.fd)

    def _send(self, reader: _Reader) -> None:
        """What the reader takes at once; when that is all, or it is gone, that was it."""
        text = reader.text
        if text is None:
            return
        try:
            reader.text = text[reader.socket.send(text) :]
        except BlockingIOError:
            return
        except OSError:
            reader.text = text[:0]
        if not reader.text:
            self._finish(reader)

    def _finish(self, reader: _Reader) -> None:
        """All is sent. On a closed socket a late request would reset the line, and take the answer with it."""
        if not self._http:
            self._end(reader)
            return
        reader.answered = True
        try:
            reader.socket.shutdown(socket.SHUT_WR)
        except OSError:
            self._end(reader)  # it is gone
            return
        self._loop.watch(reader.fd)

    def _wait_for_end(self, reader: _Reader) -> None:
        try:
            more = reader.socket.recv(65536)
        except BlockingIOError:
            return
        except OSError:
            more = b""
        if not more:
            self._end(reader)

    def _end(self, reader: _Reader) -> None:
        del self.readers[reader.fd]
        self._loop.unwatch(reader.fd)
        reader.socket.close()

    def close(self) -> None:
        """Stop listening."""
        for reader in list(self.readers.values()):
            self._end(reader)
        if self.socket is not None:
            self.socket.close()
            self.socket = None
        if self.path:
            remove(self.path, self._inode)


class _Reader:
    """A client. text: what it has yet to take, None before it is answered. end: when its time is over.

    answered: it has taken all.
    """

    __slots__ = ("answered", "end", "fd", "socket", "text")

    def __init__(self, client: socket.socket, now: float) -> None:
        self.socket = client
        self.fd = client.fileno()
        self.text: memoryview | None = None
        self.answered = False
        self.end = now + _REQUEST


def snapshot(options: Options, fleet: Fleet, ending: Ending, generation: int) -> dict[str, Any]:
    """The document, keys in uWSGI's order. generation: how many fork servers were begun."""
    paths = [path for path, _, _ in fleet.entries]
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
        "workers": _workers(fleet) if options.stand_in_worker else [],
        "spoolers": [_spooler(fleet, path, slot) for path, _, slot in fleet.entries],
    } | ({"spoolsim": _instance(fleet, ending, generation)} if options.policy.extends_stats else {})


def _cwd() -> str:
    try:
        return os.getcwd()
    except OSError:  # removed
        return ""


def _instance(fleet: Fleet, ending: Ending, generation: int) -> dict[str, Any]:
    """What uWSGI lacks."""
    return {
        "generation": generation,
        "stopping": ending.begun,
        "signals_lost": fleet.board.words[DROPPED],
        "tasks_killed_unfinished": ending.unfinished,
        "spoolers": [_ours(fleet, path, slot) for path, _, slot in fleet.entries if slot >= 0],
    }


def _spooler(fleet: Fleet, path: str, slot: int) -> dict[str, Any]:
    if slot < 0:
        return {"dir": path, "pid": 0, "tasks": 0, "respawns": 0, "running": 0}
    words = fleet.board.serving(slot)
    return {
        "dir": path,
        "pid": words[PID],
        "tasks": words[TASKS],
        "respawns": max(fleet.slots[slot].spawns - 1, 0),
        "running": int(words[STATE] == BUSY),
    }


def _ours(fleet: Fleet, path: str, slot: int) -> dict[str, Any]:
    words = fleet.board.serving(slot)
    started = words[STARTED]
    now = time.clock_gettime_ns(time.CLOCK_MONOTONIC)
    return {
        "dir": path,
        "slot": slot,
        "state": fleet.slots[slot].state,
        "running_seconds": (now - started) / 1e9 if started else 0,
        "done": fleet.done(slot),
        "kept": sum(fleet.board.slot(slot * 2 + number)[KEPT] for number in (0, 1)),
        "spawns": sum(fleet.board.slot(slot * 2 + number)[SPAWNS] for number in (0, 1)),
        "leaving": len(fleet.slots[slot].leaving),
    }


def _workers(fleet: Fleet) -> list[dict[str, Any]]:
    """The stand-in worker, as uWSGI describes its web workers."""
    words = fleet.board.serving(fleet.served)
    ago = time.clock_gettime(time.CLOCK_MONOTONIC) - fleet.slots[fleet.served].since
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
            "respawn_count": fleet.slots[fleet.served].spawns,
            "tx": 0,
            "avg_rt": 0,
            "apps": [],
            "cores": [core],
        }
    ]
