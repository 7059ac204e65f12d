"""The signal handlers that our processes set for themselves, and that no child of the app's may have.

A child that a task forks (multiprocessing, a pool) would have Python's handler of the spooler: SIGTERM, say, would only
be noted until the child runs Python again, and whoever waits for its end would wait forever. So in such a child, as in
any program, SIGTERM ends it.
"""

from __future__ import annotations

import os
import signal
from _thread import get_ident

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType
    from typing import Any

    Handler = Callable[[int, FrameType | None], Any]


class _Ours:
    """What this process has set. forking: the fork that comes makes a process of ours, which sets its own."""

    __slots__ = ("forking", "handlers", "masks", "wakeup")

    def __init__(self) -> None:
        self.handlers: dict[int, Handler] = {}
        #: by thread, what was blocked before its fork
        self.masks: dict[int, set[int]] = {}
        self.wakeup = -1
        self.forking = False


_ours = _Ours()


def handle(number: int, handler: Handler) -> None:
    """Set a handler of ours for a signal."""
    signal.signal(number, handler)
    _ours.handlers[number] = handler


def wake(fd: int) -> None:
    """Let signals write to this descriptor, which is not blocking; -1 for none. Nothing happens when it is closed."""
    try:
        signal.set_wakeup_fd(fd, warn_on_full_buffer=False)
    except (OSError, ValueError):
        return
    _ours.wakeup = fd


def fork() -> int:
    """Fork a process of ours: as os.fork(). Raises OSError."""
    _ours.forking = True
    try:
        return os.fork()
    finally:
        _ours.forking = False


def _before() -> None:
    """Hold signals back during the fork: one that came before the child has its own handlers would be lost."""
    if not _ours.handlers or _ours.forking:
        return
    _ours.masks[get_ident()] = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    signal.pthread_sigmask(signal.SIG_BLOCK, _ours.handlers)


def _behind() -> None:
    mask = _ours.masks.pop(get_ident(), None)
    if mask is not None:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)


def _in_child() -> None:
    if _ours.forking:
        return
    try:
        _plain()
    finally:
        _behind()


def _plain() -> None:
    for number, handler in _ours.handlers.items():
        if signal.getsignal(number) is handler:
            signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
    _ours.handlers.clear()
    if _ours.wakeup >= 0:
        before = signal.set_wakeup_fd(-1)
        if before >= 0 and before != _ours.wakeup:
            signal.set_wakeup_fd(before)  # the app's own, of asyncio perhaps
        _ours.wakeup = -1


if hasattr(os, "register_at_fork"):  # pragma: no branch - where processes fork
    os.register_at_fork(before=_before, after_in_parent=_behind, after_in_child=_in_child)
