"""Faults on demand: what a test orders to happen to the next task.

A kill is played by an exception that no handler expects. To come close to a real SIGKILL, the lines of the app's own
cleanup (`finally`, `except BaseException`) are not run: a killed process runs none. That of libraries is (a database's
rollback, a released lock): their resources would be gone with the process, and outlive it here.
"""

from __future__ import annotations

import os
import sys
import sysconfig

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from types import CodeType, FrameType
    from typing import Any

BEFORE, AFTER = "before", "after"
_HOW = ("cut", "garbage", "empty")


class Killed(BaseException):
    """The process is gone at this point."""


class Fault:
    """What is to happen to one run: `error` is raised in place of the handler, or the process is killed.

    kill: BEFORE the handler runs, AFTER it returned (the task's file is still there), or the number of the line of
        the app's code, counted from 1 along the run, before which it happens; None for no kill.
    """

    __slots__ = ("error", "kill", "text")

    def __init__(self, *, error: BaseException | None = None, kill: str | int | None = None, text: str = "") -> None:
        self.error = error
        self.kill = kill
        self.text = text


def is_library(name: str) -> bool:
    """Is this file Python's, an installed package's or spoolsim's, not the app's?"""
    known = _libraries.get(name)
    if known is None:
        known = _libraries[name] = name.startswith(_ROOTS) or name.startswith("<") or "/site-packages/" in name
    return known


_ROOTS = tuple(
    os.path.join(os.path.realpath(path), "")
    for path in {sysconfig.get_path("stdlib"), os.path.dirname(os.path.dirname(os.path.abspath(__file__)))}
)
_libraries: dict[str, bool] = {}


class Lines:
    """Follows a handler line by line through the app's code; records the lines, or kills it before one of them.

    at: the line to kill before, counted from 1; 0 only records. points: (file, line, function) of each line run.
    outside: as `places_of` gives it: code that plays the world outside of the process, and outlives it.
    """

    def __init__(self, at: int = 0, outside: Iterable[tuple[str, str]] = ()) -> None:
        self.at = at
        self.outside = tuple(outside)
        self.points: list[tuple[str, int, str]] = []
        self.dead = False

    def run(self, call: Callable[[], Any]) -> Any:
        """Call, followed. Raises Killed at the ordered line."""
        tracing, profiling = sys.gettrace(), sys.getprofile()
        sys.settrace(self._enter)
        try:
            return call()
        finally:
            self.dead = False
            sys.settrace(tracing)
            sys.setprofile(profiling)

    def _enter(self, frame: FrameType, event: str, arg: object) -> Callable[..., Any] | None:
        if self._spared(frame.f_code):
            return None
        if self.dead:
            self._die(frame)
        return self._line

    def _spared(self, code: CodeType) -> bool:
        if is_library(code.co_filename):
            return True
        return any(
            code.co_filename == file and (not name or f"{code.co_qualname}.".startswith(f"{name}."))
            for file, name in self.outside
        )

    def _line(self, frame: FrameType, event: str, arg: object) -> Callable[..., Any]:
        if self.dead and event == "line":
            self._die(frame)
        if event == "line":
            self.points.append((frame.f_code.co_filename, frame.f_lineno, frame.f_code.co_name))
            if len(self.points) == self.at:
                self._die(frame)
        return self._line

    def _die(self, frame: FrameType) -> None:
        # An error in a trace function switches tracing off, one in a profile function profiling: so each arms the
        # other before it raises, and the first line or call of any cleanup meets one of them.
        self.dead = True
        sys.setprofile(self._cleanup)
        raise Killed

    def _cleanup(self, frame: FrameType, event: str, arg: object) -> None:
        if not self.dead or event not in ("call", "c_call") or self._spared(frame.f_code):
            return
        sys.settrace(self._enter)
        outer: FrameType | None = frame
        while outer is not None:
            if not self._spared(outer.f_code):
                outer.f_trace = self._line
            outer = outer.f_back
        raise Killed


def places_of(things: Iterable[Any]) -> list[tuple[str, str]]:
    """(file, qualified name) of modules, classes and functions; the name of a module is "". Raises TypeError."""
    import inspect

    found = []
    for thing in things:
        inner = getattr(thing, "f", thing)  # a decorated function
        name = "" if inspect.ismodule(inner) else inner.__qualname__
        found.append((os.path.abspath(inspect.getfile(inner)), name))
    return found


def corrupt(path: str, how: str) -> None:
    """Damage a task's file: "cut" ends it within the variables, "garbage" makes them unreadable, "empty" empties it.

    Its mtime stays. Raises ValueError for another `how`.
    """
    if how not in _HOW:
        raise ValueError(f"corrupt: {how!r} is not one of {', '.join(_HOW)}")
    status = os.stat(path)
    with open(path, "r+b") as file:
        if how == "cut":
            file.truncate(max(status.st_size // 2, 5) if status.st_size > 5 else 3)
            file.seek(1)
            file.write(b"\xff\xff")
        elif how == "garbage":
            file.write(b"\x11\x08\x00\x00" + b"\xff" * 8)
            file.truncate(12)
        else:
            file.truncate(0)
    os.utime(path, (status.st_atime, status.st_mtime))
