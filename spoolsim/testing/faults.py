"""Faults on demand: what a test orders to happen to the next task.

A kill is played by an exception that no handler expects. To come close to a real SIGKILL, nothing of the app's own
code runs after it, no cleanup (`finally`, `except BaseException`, `__exit__`, `__del__`, generators) either: a killed
process runs none. That of libraries does run (a database's rollback, a released lock): their resources would be gone
with the process, and outlive it here. Threads that the app started go on.
"""

from __future__ import annotations

import os
import sys
import sysconfig
from opcode import opmap

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
    died: it was killed; whatever the app or a library made of the exception.
    """

    def __init__(self, at: int = 0, outside: Iterable[tuple[str, str]] = ()) -> None:
        self.at = at
        self.outside = tuple(outside)
        self.points: list[tuple[str, int, str]] = []
        self.died = False

    def run(self, call: Callable[[], Any]) -> Any:
        """Call, followed. Raises Killed if it was killed at the ordered line."""
        tracing, unraisable = sys.gettrace(), sys.unraisablehook
        sys.unraisablehook = lambda what: None if what.exc_type is Killed else unraisable(what)
        sys.settrace(self._enter)
        try:
            result = call()
        except BaseException as error:
            if not self.died:
                raise
            _clear(error)  # what its frames hold goes now, while it cannot run any code
            del error
        finally:
            sys.settrace(tracing)
            sys.unraisablehook = unraisable
        if self.died or 0 < self.at <= len(self.points):
            self.died = True
            raise Killed
        return result

    def _enter(self, frame: FrameType, event: str, arg: object) -> Callable[..., Any] | None:
        if self._spared(frame.f_code):
            return None
        if self.died:
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
        if event != "line":
            return self._line
        if self.died:
            if not _begins(frame, _EXIT_BY_ERROR):
                self._die(frame)
            return self._line
        self.points.append((frame.f_code.co_filename, frame.f_lineno, frame.f_code.co_name))
        if 0 < self.at <= len(self.points) and not _begins(frame, _NOTHING) and not _begins(frame, _EXIT):
            self._die(frame)
        return self._line

    def _die(self, frame: FrameType) -> None:
        self.died = True
        frame.f_trace = _Rearmed(self, frame)
        raise Killed


class _Rearmed:
    """Switches tracing on again: Python switches it off when a trace function raises.

    It drops the function of the frame as the last thing before it looks for the frame's handlers, and that is when
    this, held by nobody else, goes.
    """

    __slots__ = ("_frame", "_lines")

    def __init__(self, lines: Lines, frame: FrameType) -> None:
        self._lines = lines
        self._frame = frame

    def __call__(self, frame: FrameType, event: str, arg: object) -> None:
        """Never called: a trace function, as far as Python is concerned."""

    def __del__(self) -> None:
        sys.settrace(self._lines._enter)
        self._frame.f_trace = self._lines._line


#: how the code of a line begins where a `with` leaves its block by an error: a library's `__exit__` is to be called
_EXIT_BY_ERROR = (opmap["PUSH_EXC_INFO"], opmap["WITH_EXCEPT_START"])
#: where it leaves it in peace, and where a line does nothing (`try:`): Python expects no error there, so an enclosing
#: `with` would not be left, and its lock stay locked: the kill comes with the next line, before which nothing happens
_EXIT = (opmap["LOAD_CONST"],) * 3
_NOTHING = (opmap["NOP"],)


def _begins(frame: FrameType, codes: tuple[int, ...]) -> bool:
    at = frame.f_lasti
    return tuple(frame.f_code.co_code[at : at + 2 * len(codes) : 2]) == codes


def _clear(error: BaseException | None) -> None:
    """Clear the frames of an error and of those that led to it."""
    from traceback import clear_frames

    seen: set[int] = set()
    ahead = [error]
    while ahead:
        one = ahead.pop()
        if one is None or id(one) in seen:
            continue
        seen.add(id(one))
        clear_frames(one.__traceback__)
        ahead += [one.__context__, one.__cause__]


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
