"""What the master waits for: descriptors, times, signals and wake-ups. Its only `poll`, and its only clock."""

from __future__ import annotations

import os
import select
import signal
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from types import FrameType
    from typing import TypeAlias

    Handler: TypeAlias = Callable[[int, FrameType | None], object] | int | None

#: the longest wait, in seconds
_LONGEST = 3600.0


class Loop:
    """Waits. Any thread, and any signal, can wake it.

    Attributes:
        now: Seconds of a clock that never jumps (frozen time does not stop it).
    """

    __slots__ = ("_handlers", "_old_wakeup", "_poll", "_reader", "_writer", "now")

    def __init__(self) -> None:
        self.now: Callable[[], float] = monotonic
        self._poll = select.poll()
        self._reader, self._writer = os.pipe()
        for fd in (self._reader, self._writer):
            os.set_blocking(fd, False)
        self._poll.register(self._reader, select.POLLIN)
        self._handlers: dict[int, Handler] = {}
        self._old_wakeup = -1

    def hear(self, numbers: Iterable[int]) -> None:
        """From now on these signals only wake the loop."""
        # the descriptor before the handlers: a signal in between would be swallowed, and nothing would end
        self._old_wakeup = signal.set_wakeup_fd(self._writer, warn_on_full_buffer=False)
        self._handlers = {number: signal.signal(number, _queued) for number in numbers}

    def was_ignored(self, number: int) -> bool:
        """Was this signal ignored before we heard it?"""
        return self._handlers.get(number) == signal.SIG_IGN

    def watch(self, fd: int) -> None:
        """Wait for this descriptor to be readable, too."""
        self._poll.register(fd, select.POLLIN)

    def watch_writable(self, fd: int) -> None:
        """Wait for a watched descriptor to be writable, and no more for its being readable."""
        self._poll.modify(fd, select.POLLOUT)

    def unwatch(self, fd: int) -> None:
        """Wait for this descriptor no more."""
        self._poll.unregister(fd)

    def wait(self, looks: Iterable[float | None], at_most: float = _LONGEST) -> set[int]:
        """Until the first of these times, or something comes; returns the descriptors that are ready."""
        now = self.now()
        timeout = min((max(at - now, 0) for at in looks if at is not None), default=_LONGEST)
        return {fd for fd, _ in self._poll.poll(min(timeout, at_most) * 1000 + 1)}

    def signals(self, ready: set[int]) -> list[int]:
        """The signals that came, in their order."""
        return [number for number in os.read(self._reader, 4096) if number] if self._reader in ready else []

    def wake(self) -> None:
        """End a wait, from another thread."""
        try:
            os.write(self._writer, b"\0")
        except BlockingIOError:
            pass  # it is awake already

    def close(self) -> None:
        """Signals do again what they did before."""
        if self._handlers:
            signal.set_wakeup_fd(self._old_wakeup)
        for number, handler in self._handlers.items():
            signal.signal(number, handler)
        for fd in (self._reader, self._writer):
            os.close(fd)


def monotonic() -> float:
    """Seconds of a clock that never jumps, and that freezegun does not stop."""
    return time.clock_gettime(time.CLOCK_MONOTONIC)


def _queued(number: int, frame: object) -> None:
    """The wakeup descriptor has it."""
