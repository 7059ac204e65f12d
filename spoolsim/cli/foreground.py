"""The terminal's foreground, lent to a program in a process group of its own.

A group of its own, so that all that the program starts can be ended with it; in the foreground, so that it reads from
the terminal and Ctrl-C reaches it. We would not learn of that Ctrl-C, nor of Ctrl-Z, nor of a read in the background,
so a herald leads the group: a fork of ours that does nothing but pass these on.
"""

from __future__ import annotations

import os
import signal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

#: what the terminal sends, and the herald passes on
STOPS = (signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU)
TOLD = (signal.SIGINT, *STOPS)
_DEAF = (signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)
_TERMINAL = 0


def is_ours() -> bool:
    """Is standard input a terminal, and this process group in its foreground?"""
    try:
        return os.tcgetpgrp(_TERMINAL) == os.getpgrp()
    except OSError:
        return False


class Foreground:
    """A process group in the foreground. group: its number.

    queued: a signal handler that does nothing; the herald tells by the wakeup descriptor that is set at its birth.
    """

    def __init__(self, queued: Callable[[int, object], None]) -> None:
        self._lifeline, end = os.pipe()
        self.group = os.fork()
        if not self.group:
            try:
                os.close(end)
                _be_herald(self._lifeline, queued)
            finally:
                os._exit(0)
        os.close(self._lifeline)
        self._lifeline = end
        try:
            os.setpgid(self.group, self.group)  # whichever of us is first
        except OSError:
            pass
        self.lend()

    def lend(self) -> None:
        """Give the terminal to the group, if it is ours to give."""
        if is_ours():
            _move(self.group)

    def _is_lent(self) -> bool:
        """Has the group the terminal? Then it was stopped before it got it, and this was told late."""
        try:
            return os.tcgetpgrp(_TERMINAL) == self.group
        except OSError:
            return False

    def take_back(self) -> None:
        """Take the terminal, if the group has it, or a group that the program made and that is gone."""
        try:
            holder = os.tcgetpgrp(_TERMINAL)
            if holder != self.group:
                os.killpg(holder, 0)
                return  # we are in the background: it is the shell's
        except OSError:
            pass
        _move(os.getpgrp())

    def resume(self) -> None:
        """We were told to go on: so is the group, in the foreground if we are there."""
        self.lend()
        os.killpg(self.group, signal.SIGCONT)

    def stop(self, number: int) -> None:
        """The group was stopped: so are we, and our own group, for the shell to see; until it is told to go on."""
        if number == signal.SIGTSTP:
            self.take_back()
            os.kill(0, number)
        elif not (is_ours() or self._is_lent()):  # else the shell has put us into the foreground meanwhile
            os.kill(0, signal.SIGSTOP)
        self.resume()  # at once, where no shell would ever tell us: the system does not stop us then

    def close(self) -> None:
        """End the herald; the group has ended, or is killed."""
        self.take_back()
        os.close(self._lifeline)
        os.waitpid(self.group, 0)


def _be_herald(lifeline: int, queued: Callable[[int, object], None]) -> None:
    os.setpgid(0, 0)
    for number in TOLD:
        signal.signal(number, queued)
    for number in _DEAF:
        signal.signal(number, signal.SIG_IGN)
    signal.signal(signal.SIGCONT, signal.SIG_DFL)
    while os.read(lifeline, 1):
        pass


def _move(group: int) -> None:
    """Make a group the terminal's foreground; from the background, too, where asking for it stops one."""
    before = signal.signal(signal.SIGTTOU, signal.SIG_IGN)
    try:
        os.tcsetpgrp(_TERMINAL, group)
    except OSError:
        pass  # the terminal is gone
    finally:
        signal.signal(signal.SIGTTOU, before)
