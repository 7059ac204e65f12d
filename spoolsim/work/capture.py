"""What the task that runs has printed: its beginning, and its end; and what it raised.

It is seen where Python writes it, in `write` of sys.stdout and sys.stderr, and passed on as before: what is written to
a descriptor, by a child process perhaps, is not seen. It lies in memory that is shared with the fork server, so that it
is there when the task has killed its process.
"""

from __future__ import annotations

import io
import mmap
import os
import sys

from spoolsim.log import encoded
from spoolsim.spool.history import MOST
from spoolsim.work.outcome import show

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import TracebackType
    from typing import Protocol, TextIO

    from _typeshed import ReadableBuffer

    from spoolsim.options import Options

    class Write(Protocol):
        """What a stream has for `write`."""

        def __call__(self, text: str, /) -> int: ...


#: bytes of a beginning, and of an end
HEAD, TAIL = MOST // 2, MOST // 2
#: frames of a traceback, and local variables of one frame, that are named
_NAMED = 50
#: what mmap.write says where it has no room; an error of the app's, raised by its handler of a signal, is not ours
FULL = ("data out of range",)
_EMPTY = bytes(HEAD)
_GAP = b"\n... %d bytes ...\n"
_encode = str.encode


class Capture:
    """Of one process that runs tasks.

    values: of local variables are kept, not their names alone. Raises OSError where there is no memory.
    """

    __slots__ = ("_head", "_names", "_shown", "_tail", "_values", "size")

    def __init__(self, *, values: bool = False) -> None:
        self._head = mmap.mmap(-1, HEAD)
        #: a ring behind one word: how many bytes went into it
        self._tail = memoryview(mmap.mmap(-1, 8 + TAIL))
        #: how many bytes of the beginning there are
        self.size = self._head.tell
        self._values = values
        self._shown = self._names = b""

    def take(self) -> bytes:
        """What the task has printed; the next one begins anew."""
        head = self._head
        size = head.tell()
        if not size:
            return b""
        printed = self._so_far(size)
        head[:size] = _EMPTY[:size]
        head.seek(0)
        self._tail[:8] = _EMPTY[:8]
        return printed

    def left(self) -> bytes:
        """What the task of a process that is dead has printed."""
        return self._so_far(len(self._head[:].rstrip(b"\0")))

    def _so_far(self, size: int) -> bytes:
        through = int.from_bytes(self._tail[:8], "little")
        head = self._head[:size]
        if not through:
            return head
        at = 8 + through % TAIL
        if through <= TAIL:
            return head + bytes(self._tail[8 : 8 + through])
        return head + _GAP % (through - TAIL) + bytes(self._tail[at:]) + bytes(self._tail[8:at])

    def take_error(self) -> tuple[bytes, bytes]:
        """The traceback of what the task raised, and a line for each of its frames; once."""
        found = self._shown, self._names
        self._shown = self._names = b""
        return found

    def attend(self) -> None:
        """See what is printed from now on; to be called again now and then, as the app may take other streams."""
        for stream in (sys.stdout, sys.stderr):
            if stream is not None and not any(stream is each for each in _attended):
                self._attend(stream)

    def _attend(self, stream: TextIO) -> None:
        try:
            write = self._passing(stream) if type(stream) is io.TextIOWrapper else self._outermost(stream)
            setattr(stream, "write", write)  # noqa: B010 - to a method nothing is assigned, says mypy
        except Exception:
            return  # the app's own, and it takes none
        _attended.append(stream)

    def _passing(self, stream: TextIO) -> Write:
        """What a stream of Python's own has for `write`. Hot: print() calls it for each piece of a line."""
        original, put, encode, not_put = stream.write, self._head.write, str.encode, self._not_put

        def write(text: str, /) -> int:
            count = original(text)
            try:
                put(encode(text))
            except ValueError as error:
                not_put(text, error)
            return count

        return write

    def _not_put(self, text: str, error: ValueError) -> None:
        """The beginning is full, or the text has no UTF-8; any other error is of the app's handler of a signal."""
        ours = error.object is text if isinstance(error, UnicodeEncodeError) else error.args == FULL
        if not ours:
            raise error
        self._whole(text)

    def _outermost(self, stream: TextIO) -> Write:
        """The same for one of the app's, which may pass it on to one that is seen, too."""
        original, took_in = stream.write, self._whole

        def write(text: str, /) -> int:
            before = self._written()
            count = original(text)
            if type(text) is str and before == self._written():
                took_in(text)
            return count

        return write

    def _written(self) -> tuple[int, bytes]:
        return self._head.tell(), bytes(self._tail[:8])

    def wrote(self, line: str) -> None:
        """The app has logged this line (`uwsgi.log`)."""
        self._whole(line + "\n")

    def _whole(self, text: str) -> None:
        self.printed(_encode(text, "utf-8", "backslashreplace"))

    def printed(self, data: bytes) -> None:
        try:
            self._head.write(data)
        except ValueError as error:
            if error.args != FULL:
                raise
            room = max(HEAD - self._head.tell(), 0)
            if room:
                self._head.write(data[:room])
            self._to_tail(data[room:])

    def _to_tail(self, data: bytes) -> None:
        tail = self._tail
        through = int.from_bytes(tail[:8], "little")
        cut = max(len(data) - TAIL, 0)
        at = 8 + (through + cut) % TAIL
        kept = data[cut:]
        first = kept[: 8 + TAIL - at]
        rest = kept[len(first) :]
        tail[at : at + len(first)] = first
        tail[8 : 8 + len(rest)] = rest
        tail[:8] = (through + len(data)).to_bytes(8, "little")

    def raised(self, error: BaseException, shown: str) -> None:
        """The task has raised this; our own frames are off its traceback. shown: as Python prints it."""
        text = encoded(shown)
        if len(text) > MOST:
            text = text[:HEAD] + _GAP % (len(text) - MOST) + text[-TAIL:]
        self._shown = text
        try:
            self._names = encoded("\n".join(_frames(error.__traceback__, self._values)))[:MOST]
        except BaseException:  # of the app's own objects, which may do anything
            self._names = b""


def capture_for(options: Options) -> Capture | None:
    """Where the options ask for a history, and there is memory; None where not."""
    try:
        return Capture(values=options.history_locals) if is_kept(options) else None
    except OSError:
        return None


def is_kept(options: Options) -> bool:
    """Whether the options ask for a history."""
    return options.policy.keeps_state and not options.no_journal and options.history_size > 0


def _frames(found: TracebackType | None, values: bool) -> Iterator[str]:
    """Of the last frames: where each is, and the names of its local variables; with their values, if asked for."""
    frames = []
    while found is not None:
        frames.append((found.tb_frame, found.tb_lineno))
        found = found.tb_next
    for frame, number in frames[-_NAMED:]:
        code = frame.f_code
        there = frame.f_locals
        if there is frame.f_globals:  # of a module
            continue
        names = list(there)[:_NAMED]
        shown = [f"{name}={show(there[name])}" for name in names] if values else names
        yield f"{code.co_filename}:{number} {code.co_name}: {', '.join(shown)}"


#: the streams whose `write` is ours
_attended: list[TextIO] = []


def leave_streams() -> None:
    """The streams are as they were: in a process that a task has forked, and where a program goes on without us."""
    while _attended:
        try:
            del _attended.pop().write  # the instance's: then it is the class's again
        except Exception:
            pass  # the app has done so


if hasattr(os, "register_at_fork"):  # pragma: no branch - where processes fork
    os.register_at_fork(after_in_child=leave_streams)


def replacement(of: TextIO, write: Callable[[bytes], None], flush: Callable[[], None]) -> TextIO:
    """A stream for the app, in place of `of`, which shows where it ends and how it encodes.

    write: called with the bytes of each write. flush: called when the app flushes.
    """
    raw = _Passed(of.fileno(), write, flush)
    return io.TextIOWrapper(raw, encoding=of.encoding, errors=of.errors, line_buffering=True, write_through=True)


class _Passed(io.BufferedIOBase):
    """Where the app's own streams write to. fd: what they would have written to."""

    name = "<stderr>"

    def __init__(self, fd: int, write: Callable[[bytes], None], flush: Callable[[], None]) -> None:
        super().__init__()
        self._fd = fd
        self._write = write
        self._flush = flush

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._fd

    def isatty(self) -> bool:
        return os.isatty(self._fd)

    def write(self, data: ReadableBuffer) -> int:
        text = bytes(data)
        self._write(text)
        return len(text)

    def flush(self) -> None:
        if not self.closed:
            self._flush()
