"""The keys that are pressed at a terminal, one by one and without their echo; and the signals that come meanwhile.

At every end the terminal is again as it was: q, Ctrl-C, SIGTERM, SIGQUIT, a hang-up, an error. Ctrl-Z too gives it back
until the program goes on.
"""

from __future__ import annotations

import os
import select
import signal
import termios

from spoolsim.errors import SpoolsimError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import FrameType
    from typing import Self

#: what a key sends -> its name; any other key is named as it is written
_NAMES = {b"\x1b[A": "up", b"\x1b[B": "down", b"\x1bOA": "up", b"\x1bOB": "down", b"k": "up", b"j": "down"}
_ENDS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)
_HEARD = (*_ENDS, signal.SIGWINCH, signal.SIGTSTP)
#: the program was stopped, or the terminal has another size: the screen must be drawn again
REDRAW = "redraw"
STOP = "stop"


class Ended(SpoolsimError):
    """A signal ended the program. number: which; a terminal that is gone counts as a hang-up."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.number = number


class Keys:
    """Reads keys. fd: of a terminal, or of anything else, which has no keys: then only signals are heard."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._terminal = os.isatty(fd)
        self._before: list[int | list[bytes | int]] = []
        self._handlers: dict[int, object] = {}
        self._pending = b""
        self._wakeup = -1
        self._heard, self._woken = -1, -1

    def __enter__(self) -> Self:
        self._heard, self._woken = os.pipe()
        os.set_blocking(self._heard, False)
        os.set_blocking(self._woken, False)
        self._wakeup = signal.set_wakeup_fd(self._woken, warn_on_full_buffer=False)
        for number in _HEARD:
            if signal.getsignal(number) is not signal.SIG_IGN:  # of nohup, say
                self._handlers[number] = signal.signal(number, _queued)
        self.take()
        return self

    def __exit__(self, *_: object) -> None:
        self.give_back()
        for number, handler in self._handlers.items():
            signal.signal(number, handler)  # type: ignore[arg-type]  # getsignal()'s own answer
        signal.set_wakeup_fd(self._wakeup)
        os.close(self._heard)
        os.close(self._woken)

    def take(self) -> None:
        """Have each key at once, without its echo; Ctrl-C and Ctrl-Z stay what they are."""
        if not self._terminal:
            return
        try:
            self._before = termios.tcgetattr(self._fd)
            modes = termios.tcgetattr(self._fd)
            modes[3] &= ~(termios.ICANON | termios.ECHO)
            termios.tcsetattr(self._fd, termios.TCSANOW, modes)
        except termios.error:
            raise Ended(signal.SIGHUP) from None

    def give_back(self) -> None:
        """Set the terminal as it was; keys that were pressed and not read are forgotten."""
        if not self._before:
            return
        try:
            termios.tcflush(self._fd, termios.TCIFLUSH)
            termios.tcsetattr(self._fd, termios.TCSANOW, self._before)  # without waiting for a terminal that is held
        except termios.error:
            pass  # it is gone
        self._before = []

    def stop(self) -> None:
        """Stop this program as Ctrl-Z does any other; returns when it goes on."""
        before = signal.signal(signal.SIGTSTP, signal.SIG_DFL)
        try:
            os.kill(os.getpid(), signal.SIGTSTP)
        finally:
            signal.signal(signal.SIGTSTP, before)

    def wait(self, seconds: float) -> str:
        """The next key, REDRAW or STOP; '' where none came in time. Raises Ended."""
        watched = [self._heard, self._fd] if self._terminal else [self._heard]
        ready, _, _ = select.select(watched, [], [], 0 if self._pending else max(seconds, 0))
        if self._heard in ready:
            numbers = set(os.read(self._heard, 4096))
            for number in _ENDS:
                if number in numbers:
                    raise Ended(number)
            return STOP if signal.SIGTSTP in numbers else REDRAW
        if ready:
            self._read()
        return self._next()

    def _read(self) -> None:
        try:
            data = os.read(self._fd, 64)
        except OSError:
            data = b""
        if not data:
            raise Ended(signal.SIGHUP)
        self._pending += data

    def _next(self) -> str:
        """The first of the keys that were read; '' for none."""
        for sent, name in _NAMES.items():
            if self._pending.startswith(sent):
                self._pending = self._pending[len(sent) :]
                return name
        first, self._pending = self._pending[:1], self._pending[1:]
        return first.decode("ascii", "replace")


def _queued(number: int, frame: FrameType | None) -> None:
    """The wakeup descriptor tells of it."""
