"""The log for people: one aligned line for each thing that happens to a task, what the app prints indented below.

    14:02:11  running   mail(to='ann')                                        #3fa1c2
      #3fa1c2 | sending to ann@example.org
    14:02:12  done      mail(to='ann')                              1.20 s    #3fa1c2
    14:02:12  retry 2   report(month='2026-10')                    31.0 ms    #91be04
              raised ConnectionError: no route to host

Each process tells its own tasks. A line `running` comes only where the task prints something.
"""

from __future__ import annotations

import _thread
import time
from textwrap import wrap
from unicodedata import combining, east_asian_width

from spoolsim.printable import printable
from spoolsim.tasks import ids
from spoolsim.tasks.describe import call_in
from spoolsim.tasks.spans import took

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from spoolsim.log import Log

#: columns: the time, what happened, how long it took, the id with its `#`; two blanks stand between them
_CLOCK, _WHAT, _SPAN, _ID = 8, 9, 8, 7
#: of what is left, the call has at least so many, and at most
_LEAST, _MOST = 12, 100
_BELOW = " " * (_CLOCK + 4)
_COLOURS = {"done": "done", "failed": "error", "killed": "error", "retry": "retry", "ignored": "retry"}
#: reasons that are remembered, to say "same error" the next time
_REMEMBERED = 1000
#: seconds to wait for another thread that prints; then both print
_PATIENCE = 1.0
#: bytes of a line without an end that are kept back
_LINE = 65536


def short_id(name: str) -> str:
    """The id of a task by the name of its file, without asking whether another one has the same."""
    return f"#{ids.digest(name.rpartition('/')[2])[: ids.SHORT]}"


def width(text: str) -> int:
    """Columns that a text takes: two for a wide character, none for one that joins the one before."""
    return len(text) if text.isascii() else sum(_columns(each) for each in text)


def _columns(character: str) -> int:
    if combining(character):
        return 0
    return 2 if east_asian_width(character) in "WF" else 1


def fit(text: str, columns: int) -> str:
    """The text in exactly so many columns: cut, or filled up with blanks."""
    missing = columns - width(text)
    if missing >= 0:
        return text + " " * missing
    kept, room = [], columns - 3
    for character in text:
        room -= _columns(character)
        if room < 0:
            break
        kept.append(character)
    return fit(f"{''.join(kept)}...", columns)


class Story:
    """Tells what happens to tasks, in lines of `log`.

    clock: gives epoch seconds. first: called with (name, why); whether no process of this run has told that before.
    """

    def __init__(self, log: Log, *, clock: Callable[[], float] = time.time) -> None:
        self._log = log
        self._clock = clock
        self._name = ""
        self._data = b""
        self._running = False  # the line of the task that runs is written
        self._printed = bytearray()
        self._open = False  # the line above has no end yet
        self._reasons: dict[str, str] = {}
        self._lock = _thread.allocate_lock()

    def queued(self, name: str, data: bytes, body: bytes, wait: float) -> None:
        """A task was enqueued; it may run in `wait` seconds."""
        self._line("queued", name, data, f"in {took(wait)}" if wait >= 1 else "", body)

    def begin(self, name: str, data: bytes) -> None:
        """A task begins to run in this process."""
        self._name, self._data, self._running = name, data, False

    def done(self, seconds: float, *, quiet: bool) -> None:
        """It is done."""
        name, data = self._end()
        self._reasons.pop(name, None)
        if not quiet:
            self._line("done", name, data, took(seconds))

    def kept(self, what: str, seconds: float, why: str, advice: str) -> None:
        """It is not done: why, and what to do about it, below the line."""
        name, data = self._end()
        same = bool(why) and self._reasons.pop(name, "") == why
        self._line(what, name, data, took(seconds))
        if why:
            if len(self._reasons) >= _REMEMBERED:
                del self._reasons[next(iter(self._reasons))]
            self._reasons[name] = why
            self._below("same error" if same else why, "")
        if advice:
            self._below(advice, "dim")

    def killed(self, name: str, data: bytes, seconds: float, why: str) -> None:
        """Its process died."""
        self._line("killed", name, data, took(seconds))
        self._below(why, "")

    def label(self, name: str, data: bytes) -> str:
        """What people call a task: `mail(to='ann') #3fa1c2`."""
        return f"{call_in(data).line()} {short_id(name)}"

    def _line(self, what: str, name: str, data: bytes, right: str, body: bytes = b"") -> None:
        room = self._log.columns() - _CLOCK - _WHAT - _SPAN - _ID - 9
        room = min(max(room, _LEAST), _MOST)
        clock = time.strftime("%H:%M:%S", time.localtime(self._clock()))
        call = fit(call_in(data, body).line(room), room)
        self._log.parts(
            (clock, "dim"),
            ("  ", ""),
            (fit(what, _WHAT), _COLOURS.get(what.partition(" ")[0], "")),
            ("  ", ""),
            (call, ""),
            (f"  {right:>{_SPAN}}  ", ""),
            (short_id(name), "dim"),
        )

    def _below(self, text: str, kind: str) -> None:
        for line in wrap(printable(text), max(self._log.columns() - 1 - len(_BELOW), _LEAST)) or [""]:
            self._log.parts((_BELOW + line, kind))

    # ---- what the app prints ----

    def printed(self, data: bytes) -> None:
        """The app has printed this: whole lines go out, under the task that runs."""
        held = self._lock.acquire(timeout=_PATIENCE)
        try:
            if not self._name:
                self._log.passed(data)
                return
            self._printed += data
            whole, end, rest = self._printed.rpartition(b"\n")
            if end:
                self._printed = rest
                self._show(bytes(whole + end))
            if len(self._printed) > _LINE:
                self._show_rest()
        finally:
            if held:
                self._lock.release()

    def flush(self) -> None:
        """The app wants to see what it has printed, the begin of a line, too."""
        held = self._lock.acquire(timeout=_PATIENCE)
        try:
            self._show_rest()
        finally:
            if held:
                self._lock.release()

    def _show_rest(self) -> None:
        if self._printed:
            text = bytes(self._printed)
            self._printed.clear()
            self._show(text)

    def _show(self, text: bytes) -> None:
        if not self._running:
            self._running = True
            self._line("running", self._name, self._data, "")
        mark = f"  {short_id(self._name)} | ".encode()
        lines = text.split(b"\n")
        ended = not lines[-1]
        if ended:
            lines.pop()
        out = b"\n".join(line if n == 0 and self._open else mark + line for n, line in enumerate(lines))
        self._open = not ended
        self._log.passed(out + b"\n" if ended else out)

    def _end(self) -> tuple[str, bytes]:
        """The task that ran is over: its last line ends, whether it said so or not."""
        self.flush()
        if self._open:
            self._open = False
            self._log.passed(b"\n")
        ended = self._name, self._data
        self._name, self._data = "", b""
        return ended
