"""The log: one line, one write, to standard error.

uWSGI's own lines are written as uWSGI writes them, since people grep them; ours begin with `[spoolsim]` or
`[production]`. A terminal gets colours (unless NO_COLOR is set, and not empty), a pipe gets plain text.
"""

from __future__ import annotations

import os
import time

#: ANSI colours by kind of line
_COLOURS = {"note": "33", "say": "36", "error": "31", "done": "32", "dim": "2"}

#: what a name on the disk could use to end our line and begin one of its own, or to command a terminal
_CONTROLS = {number: f"\\x{number:02x}" for number in (*range(32), *range(127, 160))}


def printable(text: str) -> str:
    """The text with its control characters shown as `\\x0a` and the like: a file's name may hold any."""
    return text.translate(_CONTROLS)


class Log:
    """Writes lines to a file descriptor.

    fd: where to; standard error by default.
    colour: True, False, or None to ask the descriptor and the environment.
    as_json: one JSON object a line instead of text: `time` (epoch seconds), `pid`, `kind`, `code`, `text`.
    """

    __slots__ = ("as_json", "colour", "fd")

    def __init__(self, fd: int = 2, *, colour: bool | None = None, as_json: bool = False) -> None:
        self.fd = fd
        self.as_json = as_json
        if colour is None:
            colour = not as_json and not os.environ.get("NO_COLOR") and os.isatty(fd)
        self.colour = colour

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
        """Text as it is, such as a traceback."""
        self._emit(text)

    def _write(self, text: str, kind: str, code: str) -> None:
        if self.as_json:
            import json

            row = {"time": time.time(), "pid": os.getpid(), "kind": kind or "uwsgi", "code": code or None, "text": text}
            self._emit(json.dumps(row) + "\n")
        elif self.colour and kind in _COLOURS:
            self._emit(f"\x1b[{_COLOURS[kind]}m{text}\x1b[0m\n")
        else:
            self._emit(text + "\n")

    def _emit(self, text: str) -> None:
        try:
            data = text.encode("utf-8", "surrogateescape")
        except UnicodeEncodeError:  # a lone surrogate that is no byte of a file's name, in an error's text
            data = text.encode("utf-8", "backslashreplace")
        try:
            while data:
                data = data[os.write(self.fd, data) :]
        except OSError:
            pass  # nobody reads the log any more; the tasks go on
