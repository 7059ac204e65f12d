"""The master's ear for uwsgi signals of programs that it has not forked: a web server under `dev`, a script."""

from __future__ import annotations

import os
import select

from spoolsim.work import signalbox
from spoolsim.work.scoreboard import LOADED, SIGNALS, STALLED

TYPE_CHECKING = False
if TYPE_CHECKING:
    from spoolsim.processes.master import Master

#: so many signals are routed in one turn; the others wait in the FIFO
_TURN = 256


class Inbox:
    """Reads the FIFO beside the master's scoreboard, and lets the scoreboard tell which signals have a handler.

    What arrives before the app is imported waits: only then is it known where it goes.
    """

    def __init__(self, master: Master) -> None:
        self.master = master
        self.targets: dict[int, str] = {}
        self._path = master.board_path
        self._fd = -1
        self._listening = False
        if self._path:
            try:
                self._fd = signalbox.make(self._path)
            except OSError as error:
                master.log.say(f"no uwsgi signals from other programs: {error.strerror}")

    def start(self, targets: dict[int, str]) -> None:
        """The app of a new generation is loaded; number -> target of its handlers."""
        self.targets = targets
        for word in range(4):
            numbers = range(word * 64, word * 64 + 64)
            self.master.board.words[SIGNALS + word] = sum(1 << n % 64 for n in numbers if n in targets)
        self.master.board.words[LOADED] = 1
        self.master.board.words[STALLED] = 0
        if self._fd >= 0 and not self._listening:
            self._listening = True
            self.master.poll.register(self._fd, select.POLLIN)

    def collect(self, ready: set[int]) -> None:
        """Route what has come."""
        if self._fd in ready:
            for number in os.read(self._fd, _TURN):
                self._route(number)

    def _route(self, number: int) -> None:
        master = self.master
        if number in self.targets or master.worker_pipe is not None:
            master.clockwork.send(number)
        elif not master.options.faithful:
            master.log.say(f"signal {number} came from a program, and nothing imported here has a handler for it")

    def close(self) -> None:
        """No program reaches us any more."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
            try:
                os.unlink(self._path + signalbox.SUFFIX)
            except OSError:
                pass
