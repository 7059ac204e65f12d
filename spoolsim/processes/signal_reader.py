"""The master's ear for uwsgi signals of programs that it has not forked: a web server under `dev`, a script."""

from __future__ import annotations

import os

from spoolsim.work import signal_fifo
from spoolsim.work.scoreboard import LOADED, SIGNALS, STALLED

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from spoolsim.log import Log
    from spoolsim.options import Options
    from spoolsim.processes.loop import Loop
    from spoolsim.work.scoreboard import Scoreboard

#: so many signals are routed in one turn; the others wait in the FIFO
_TURN = 256


class SignalReader:
    """Reads the FIFO beside the master's scoreboard, and lets the scoreboard tell which signals have a handler.

    What arrives before the app is imported waits: only then is it known where it goes.
    """

    def __init__(self, loop: Loop, path: str, options: Options, log: Log) -> None:
        """path: of the scoreboard, '' for none."""
        self._loop = loop
        self._path = path
        self._options = options
        self._log = log
        self._targets: dict[int, str] = {}
        self._fd = -1
        self._listening = False
        if path:
            try:
                self._fd = signal_fifo.make(path)
            except OSError as error:
                log.say(f"no uwsgi signals from other programs: {error.strerror}")

    def start(self, targets: dict[int, str], board: Scoreboard) -> None:
        """The app of a new generation is loaded; number -> target of its handlers."""
        self._targets = targets
        for word in range(4):
            numbers = range(word * 64, word * 64 + 64)
            board.words[SIGNALS + word] = sum(1 << n % 64 for n in numbers if n in targets)
        board.words[LOADED] = 1
        board.words[STALLED] = 0
        if self._fd >= 0 and not self._listening:
            self._listening = True
            self._loop.watch(self._fd)

    def collect(self, ready: set[int]) -> Iterator[int]:
        """The numbers that have come, and lead somewhere."""
        if self._fd not in ready:
            return
        for number in os.read(self._fd, _TURN):
            if number in self._targets or self._options.stand_in_worker:
                yield number
            elif self._options.policy.explains:
                self._log.say(f"signal {number} came from a program, and nothing imported here has a handler for it")

    def close(self) -> None:
        """No program reaches us any more."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
            try:
                os.unlink(self._path + signal_fifo.SUFFIX)
            except OSError:
                pass
