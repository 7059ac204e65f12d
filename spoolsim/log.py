"""The log: one line, one write, to standard error.

    style     who reads it     what happens to a task
    uwsgi     a pipe           uWSGI's own lines, as uWSGI writes them, since people grep them
    pretty    a terminal       one aligned line each, told by a `Story`
    json      a program        uWSGI's own lines, one JSON object a line

Our own lines begin with `[spoolsim]` or `[production]`. A terminal gets colours (unless NO_COLOR is set, and not
empty), a pipe gets plain text.
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

    class Story(Protocol):
        """Tells people what happens to tasks. name: of the file. data: its bytes, or those before `body`."""

        def queued(self, name: str, data: bytes, body: bytes, wait: float) -> None:
            """A task was enqueued; it may run in `wait` seconds."""
            ...

        def begin(self, name: str, data: bytes) -> None:
            """A task begins to run in this process: what is printed from now on is its own."""
            ...

        def done(self, seconds: float, *, quiet: bool) -> None:
            """It is done. quiet: not worth a line."""
            ...

        def kept(self, what: str, seconds: float, why: str, advice: str) -> None:
            """It is not done. what: `retry 3`, say. advice: '' where it was given before."""
            ...

        def killed(self, name: str, data: bytes, seconds: float, why: str) -> None:
            """Its process died; said by another one."""
            ...

        def label(self, name: str, data: bytes) -> str:
            """What people call a task: `mail(to='ann') #3fa1c2`."""
            ...

        def printed(self, data: bytes) -> None:
            """The task that runs has printed this."""
            ...

        def flush(self) -> None:
            """It wants that to be seen, also where no line is at its end."""
            ...


#: ANSI colours by kind of line
_COLOURS = {"note": "33", "say": "36", "error": "31", "done": "32", "retry": "33", "dim": "2"}

AUTO, PRETTY, PLAIN, JSON = "auto", "pretty", "uwsgi", "json"
#: of a terminal that does not say
_COLUMNS = 80

#: environment variable: where another process, such as `spoolsim dev`, passes the log on to a terminal, the number of
#: columns that it leaves
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
    style: PLAIN, PRETTY or JSON; AUTO is PRETTY on a terminal, if it is `people` who read there, and PLAIN
        elsewhere. An object of JSON has `time` (epoch seconds), `pid`, `kind`, `code`, `text`.
    """

    __slots__ = ("as_json", "colour", "fd", "pretty", "story", "terminal", "turn")

    def __init__(self, fd: int = 2, *, colour: bool | None = None, style: str = PLAIN, people: bool = True) -> None:
        self.fd = fd
        self.as_json = style == JSON
        #: a terminal obeys control characters, so none of a task's or a file's name reaches it
        self.terminal = not self.as_json and (os.isatty(fd) or bool(os.environ.get(SHOWN)))
        #: written for people: whoever runs, or enqueues, tasks then gives us a story
        self.pretty = style == PRETTY or (style == AUTO and people and self.terminal)
        self.story: Story | None = None
        if colour is None:
            colour = self.terminal and not os.environ.get("NO_COLOR")
        self.colour = colour
        #: how the processes of one run take turns where a text is too big for one write
        self.turn: Turn | None = None

    def line(self, text: str, kind: str = "") -> None:
        """One of uWSGI's own lines."""
        self._write(text, kind, "")

    def told(self, text: str, kind: str = "") -> None:
        """One of uWSGI's own lines that says what a story says in its own words."""
        if self.story is None:
            self._write(text, kind, "")

    def parts(self, *parts: tuple[str, str]) -> None:
        """One line of (text, kind), each in its colour."""
        shown = [(printable(text), _COLOURS.get(kind)) for text, kind in parts]
        self._emit("".join(f"\x1b[{c}m{text}\x1b[0m" if c and self.colour else text for text, c in shown) + "\n")

    def columns(self) -> int:
        """How many characters fit into a line of the terminal."""
        try:
            return os.get_terminal_size(self.fd).columns or _COLUMNS
        except OSError:
            shown = os.environ.get(SHOWN, "")
            return int(shown) if shown.isdecimal() else _COLUMNS

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
        elif self.story is not None:
            self.story.printed(encoded(lines(text)))
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
        self.passed(encoded(text))

    def passed(self, data: bytes) -> None:
        """Bytes as they are."""
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
