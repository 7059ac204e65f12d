"""Networked spooling: the stand-in worker takes uwsgi packets with modifier1 17 on its sockets and spools them.

The answer is four bytes, 255 0 0 X, with X 1 for spooled and 0 for refused. What follows the packet is ignored, so a
networked task has no body. Any other packet is no task: the connection is closed.
"""

from __future__ import annotations

import os
import socket

from spoolsim.errors import OptionError
from spoolsim.spool.packet import HEADER, MODIFIER1

TYPE_CHECKING = False
if TYPE_CHECKING:
    from spoolsim.work.app import App

#: seconds a client may take (uWSGI's socket-timeout)
_PATIENCE = 4.0
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
            server = socket.socket(socket.AF_UNIX)
            if os.path.exists(address):
                os.unlink(address)
            umask = os.umask(0o177)
            try:
                server.bind(address)
            finally:
                os.umask(umask)
        server.listen(100)
    except (OSError, OverflowError) as error:
        why = getattr(error, "strerror", None) or str(error)
        raise OptionError(f"socket = {address}: {why}") from None
    server.setblocking(False)
    return server


def serve(server: socket.socket, app: App) -> None:
    """Answer one client."""
    try:
        client, _ = server.accept()
    except OSError:
        return  # gone again
    with client:
        client.settimeout(_PATIENCE)
        try:
            _talk(client, app)
        except OSError:
            pass  # a client that does not finish


def _talk(client: socket.socket, app: App) -> None:
    header = _read(client, HEADER)
    if len(header) < HEADER:
        return
    size = header[1] | header[2] << 8
    limit = app.options.buffer_size
    if size > limit:
        app.log.line(f"invalid request block size: {size} (max {limit})...skip")
        return
    variables = _read(client, size)
    if len(variables) < size or header[0] != MODIFIER1:
        return
    if not app.directories:
        app.log.line("the spooler is inactive !!!...skip")
        client.sendall(_ANSWER + b"\0")
        return
    try:
        app.producer.packet(variables)
    except ValueError:
        answer = b"\0"
    else:
        answer = b"\1"
    client.sendall(_ANSWER + answer)
    client.setblocking(False)
    client.recv(app.options.buffer_size)  # what follows is ignored, but unread it would reset the line


def _read(client: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        more = client.recv(size - len(data))
        if not more:
            break
        data += more
    return data
