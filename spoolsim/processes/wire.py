"""Messages between master and fork server: tuples of plain values over a stream socket, each behind its length.

Marshal, because both ends are the same interpreter and anything else costs milliseconds at every start.
"""

from __future__ import annotations

import marshal
import socket

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_LENGTH = 4


class Wire:
    """One end of the line. fd: for polling. `messages` has the types of what goes through it."""

    __slots__ = ("_buffer", "_socket", "fd")

    def __init__(self, fd: int) -> None:
        self._socket = socket.socket(fileno=fd)
        self._buffer = b""
        self.fd = fd

    def send(self, *message: Any) -> bool:
        """Send one message; False when the other end is gone."""
        data = marshal.dumps(message)
        try:
            self._socket.sendall(len(data).to_bytes(_LENGTH, "little") + data)
        except OSError:
            return False
        return True

    def receive(self, *, wait: bool = False) -> list[Any] | None:
        """The messages that are there; None when the other end is gone. wait: until something is there."""
        try:
            data = self._socket.recv(65536, 0 if wait else socket.MSG_DONTWAIT)
        except BlockingIOError:
            return []
        except OSError:
            return None
        if not data:
            return None
        self._buffer += data
        messages = []
        while len(self._buffer) >= _LENGTH:
            end = _LENGTH + int.from_bytes(self._buffer[:_LENGTH], "little")
            if len(self._buffer) < end:
                break
            messages.append(marshal.loads(self._buffer[_LENGTH:end]))
            self._buffer = self._buffer[end:]
        return messages

    def rest(self) -> list[Any]:
        """What a dead other end had still said, without waiting."""
        found: list[Any] = []
        while messages := self.receive():
            found += messages
        return found

    def close(self) -> None:
        """Hang up."""
        self._socket.close()
