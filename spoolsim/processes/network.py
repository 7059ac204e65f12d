"""Networked spooling: the stand-in worker takes uwsgi packets with modifier1 17 on its sockets and spools them.

The answer is four bytes, 255 0 0 X, with X 1 for spooled and 0 for refused. What follows the packet is ignored, so a
networked task has no body. Any other packet is no task: the connection is closed.

Many clients are heard at once, and each has so long for its whole request: a slow one keeps nobody waiting.
"""

from __future__ import annotations

import socket

from spoolsim.errors import OptionError
from spoolsim.processes.addresses import bind_unix, why_not_bound
from spoolsim.spool.packet import HEADER, MODIFIER1

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from spoolsim.work.app import App

#: seconds a client may take (uWSGI's socket-timeout)
_PATIENCE = 4.0
#: clients that are heard at a time; one more, and the one that has been there for longest goes
_CLIENTS = 100
#: bytes that are read at once
_READ = 65536
_ANSWER = b"\xff\x00\x00"


def bind(address: str) -> socket.socket:
    """A listening socket at HOST:PORT, :PORT (loopback) or a path. Raises OptionError."""
    host, colon, port = address.rpartition(":")
    try:
        if colon and port.isdigit():
            server = socket.socket(socket.AF_INET)
            server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            server.bind((host or "127.0.0.1", int(port)))
        else:
            server = bind_unix(address, replace=True)
        server.listen(100)
    except (OSError, OverflowError) as error:
        raise OptionError(f"socket = {address}: {why_not_bound(error)}") from None
    server.setblocking(False)
    return server


def who_runs_code(address: str) -> str:
    """Who can run code through a network socket, as a line for the log; '' for a unix socket, which is its owner's."""
    host, colon, port = address.rpartition(":")
    if not colon or not port.isdigit():
        return ""
    who = "every user and program of this machine"
    if host and not host.startswith("127.") and host != "localhost":
        who = "everybody who can reach this machine"
    return (
        f"socket = {address}: {who} can enqueue tasks there, and so run code as you: a task of uwsgidecorators carries "
        "pickles, which run what they say; a unix socket (socket = /path/of.sock) is yours alone"
    )


class _Client:
    """A connection. data: what has come. end: when its time is over. answered: it is closed when it says no more."""

    __slots__ = ("answered", "data", "end", "socket")

    def __init__(self, client: socket.socket, end: float) -> None:
        self.socket = client
        self.end = end
        self.data = b""
        self.answered = False


class Network:
    """The clients of some listening sockets.

    poll, forget: called with a descriptor whose readiness is to be waited for, or no more. now: the monotonic clock.
    """

    def __init__(
        self,
        servers: list[socket.socket],
        app: App,
        *,
        poll: Callable[[int], None],
        forget: Callable[[int], None],
        now: Callable[[], float],
    ) -> None:
        self._servers = servers
        self._app = app
        self._poll = poll
        self._forget = forget
        self._now = now
        #: by descriptor, the one that came first in front
        self._clients: dict[int, _Client] = {}
        for server in servers:
            poll(server.fileno())

    def next_deadline(self) -> float | None:
        """When the time of a client is over, by the monotonic clock."""
        return min((client.end for client in self._clients.values()), default=None)

    def turn(self) -> None:
        """Take who has come, hear who has said something, and leave those whose time is over. Never waits."""
        for server in self._servers:
            self._accept(server)
        for client in list(self._clients.values()):
            try:
                done = self._hear(client)
            except BlockingIOError:
                done = False
            except OSError:
                done = True  # it has gone
            if done or self._now() >= client.end:
                self._close(client)

    def _accept(self, server: socket.socket) -> None:
        try:
            found, _ = server.accept()
        except OSError:
            return  # nobody, or gone again
        found.setblocking(False)
        if len(self._clients) >= _CLIENTS:
            self._close(next(iter(self._clients.values())))
        self._clients[found.fileno()] = _Client(found, self._now() + _PATIENCE)
        self._poll(found.fileno())

    def _close(self, client: _Client) -> None:
        self._forget(client.socket.fileno())
        del self._clients[client.socket.fileno()]
        client.socket.close()

    def _hear(self, client: _Client) -> bool:
        """Read on; returns whether that was all. Raises BlockingIOError when there is no more yet."""
        while True:
            # the header alone at first: what is refused for its size stays unread, so that the line is reset (as uWSGI)
            more = client.socket.recv(_READ if len(client.data) >= HEADER else HEADER - len(client.data))
            if not more:
                return True
            if client.answered:
                continue  # what follows is ignored, but unread it would reset the line
            client.data += more
            if len(client.data) < HEADER:
                continue
            size = client.data[1] | client.data[2] << 8
            limit = self._app.options.buffer_size
            if size > limit:
                self._app.log.line(f"invalid request block size: {size} (max {limit})...skip")
                return True
            if len(client.data) < HEADER + size:
                continue
            if client.data[0] != MODIFIER1:
                return True
            client.socket.sendall(_ANSWER + self._spool(client.data[HEADER : HEADER + size]))
            client.socket.shutdown(socket.SHUT_WR)
            client.answered = True

    def _spool(self, variables: bytes) -> bytes:
        if not self._app.directories:
            self._app.log.line("the spooler is inactive !!!...skip")
            return b"\0"
        try:
            self._app.producer.packet(variables)
        except ValueError:
            return b"\0"
        return b"\1"
