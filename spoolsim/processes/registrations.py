"""The line through which forked processes tell the master what they register: a worker with its own app, or a task."""

from __future__ import annotations

import marshal
import os
import socket

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from spoolsim.processes.loop import Loop
    from spoolsim.processes.messages import Timed

#: kind, number and target, with which each message begins, and something behind them
_LEAST = 3


class Registrations:
    """The master's end, and the `registrar` that every process inherits. Datagrams: many tell, each thing whole."""

    __slots__ = ("_reader", "registrar")

    def __init__(self, loop: Loop) -> None:
        reader, registrar = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        reader.setblocking(False)
        self._reader, self.registrar = reader.detach(), registrar.detach()
        loop.watch(self._reader)

    def collect(self, ready: set[int]) -> Iterator[Timed]:
        """What is registered: kind, signal number, target, and what its kind has more."""
        while self._reader in ready:
            try:
                data = os.read(self._reader, 65536)
            except BlockingIOError:
                return
            try:
                message = marshal.loads(data)
            except (ValueError, EOFError, TypeError):
                continue  # something else: a task has taken the number of the descriptor for one of its own
            if type(message) is tuple and len(message) > _LEAST:
                yield message

    def close(self) -> None:
        """Nobody is heard any more."""
        os.close(self._reader)
        os.close(self.registrar)
