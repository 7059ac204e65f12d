"""The log: one line, one write, to standard error.

uWSGI's own lines are written as uWSGI writes them, since people grep them; ours begin with `[spoolsim]` or
`[production]`. A terminal gets colours (unless NO_COLOR is set, and not empty), a pipe gets plain text.
"""

from __future__ import annotations

import os
import time

from spoolsim.printable import lines, printable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Protocol

    class Turn(Protocol):
        """How several processes take turns."""

        def taken(self) -> bool:
            """Is one of them writing a big text?"""
            ...

        def write(self, write: Callable[[], None]) -> None:
            """Call `write` while no other one writes."""
            ...


#: ANSI colours by kind of line
_COLOURS = {"note": "33", "say": "36", "error": "31", "done": "32", "dim": "2"}

#: environment variable: "1" where another process, such as `spoolsim dev`, passes the log on to a terminal
SHOWN = "SPOOLSIM_LOG_SHOWN"

#: a pipe takes this many bytes in one piece, whoever else writes to it
_ONE_WRITE = 4096


def encoded(text: str) -> bytes:
    """The text as bytes, the bytes of a file's name as they are; never an error, whatever an app has put into it."""
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:  # a lone surrogate that is not a byte of a file's name, in an error's text
        return text.encode("utf-8", "backslashreplace")


class Log:
    """Writes lines to a file descriptor.

    fd: where to; standard error by default.
    colour: True, False, or None to ask the descriptor and the environment.
    as_json: one JSON object a line instead of text: `time` (epoch seconds), `pid`, `kind`, `code`, `text`.
    """

    __slots__ = ("as_json", "colour", "fd", "terminal", "turn")

    def __init__(self, fd: int = 2, *, colour: bool | None = None, as_json: bool = False) -> None:
        self.fd = fd
        self.as_json = as_json
        #: a terminal obeys control characters, so none of a task's or a file's name reaches it
        self.terminal = not as_json and (os.isatty(fd) or os.environ.get(SHOWN) == "1")
        if colour is None:
            colour = self.terminal and os.isatty(fd) and not os.environ.get("NO_COLOR")
        self.colour = colour
        #: how the processes of one run take turns where a text is too big for one write
        self.turn: Turn | None = None

    def line(self, text: str, kind: str = "") -> None:
        """One of uWSGI's own lines."""
        self._write(text, kind, "")

    def dated(self, text: str) -> None:
        """One of uWSGI's lines that carry a date."""
        self._write(f"{time.ctime()} - {text}", "", "")

    def say(self, text: str, *, error: bool = False) -> None:
        """A diagnosis of ours."""
        self._write(f"[spoolsim] {text if self.as_json else printable(text)}", "error" if error else "say", "")

    def note(self, code: str, text: str) -> None:
        """A production note: what uWSGI would have done here."""
        self._write(f"[production] {text if self.as_json else printable(text)} ({code})", "note", code)

    def raw(self, text: str) -> None:
        """Text of several lines, such as a traceback; as it is, but for a terminal."""
        self._emit(lines(text) if self.terminal else text)

    def traceback(self, text: str) -> None:
        """A whole traceback."""
        if self.as_json:
            self._write(text, "traceback", "")
        else:
            self.raw(text)

    def _write(self, text: str, kind: str, code: str) -> None:
        if self.as_json:
            import json

            row = {"time": time.time(), "pid": os.getpid(), "kind": kind or "uwsgi", "code": code or None, "text": text}
            self._emit(json.dumps(row) + "\n")
            return
        if self.terminal:
            text = printable(text)
        if self.colour and kind in _COLOURS:
            self._emit(f"\x1b[{_COLOURS[kind]}m{text}\x1b[0m\n")
        else:
            self._emit(text + "\n")

    def _emit(self, text: str) -> None:
        data = encoded(text)
        turn = self.turn
        if turn is not None and (len(data) > _ONE_WRITE or turn.taken()):
            turn.write(lambda: self._put(data))
        else:
            self._put(data)

    def _put(self, data: bytes) -> None:
        try:
            while data:
                data = data[os.write(self.fd, data) :]
        except OSError:
            pass  # nobody reads the log any more; the tasks go on
