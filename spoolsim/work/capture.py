"""What a task prints and raises, kept for the history: the begin and the end of it, where it is much."""

from __future__ import annotations

import io
import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TextIO

    from _typeshed import ReadableBuffer

    from spoolsim.options import Options

#: bytes that are kept of the begin and of the end of an output; of a traceback in all
HEAD, TAIL, TRACEBACK = 32_768, 32_768, 65_536


class Capture:
    """Keeps what is printed until it is taken. One for each process."""

    __slots__ = ("_head", "_left_out", "_tail", "raised")

    def __init__(self) -> None:
        self._head = bytearray()
        self._tail = bytearray()
        self._left_out = 0
        #: the last traceback
        self.raised = ""

    def printed(self, data: bytes) -> None:
        """Keep some output."""
        room = HEAD - len(self._head)
        if room > 0:
            self._head += data[:room]
            data = data[room:]
        if data:
            self._tail += data
            if len(self._tail) > 2 * TAIL:  # now and then, or each line would move them all
                self._cut()

    def _cut(self) -> None:
        more = len(self._tail) - TAIL
        if more > 0:
            self._left_out += more
            del self._tail[:more]

    def take(self) -> tuple[bytes, bytes]:
        """The traceback and the output since it was taken last."""
        if not self._head and not self.raised:
            return b"", b""
        self._cut()
        between = b"\n... %d bytes ...\n" % self._left_out if self._left_out else b""
        output = b"".join((self._head, between, self._tail))
        raised = self.raised.encode("utf-8", "backslashreplace")[-TRACEBACK:]
        self._head.clear()
        self._tail.clear()
        self._left_out = 0
        self.raised = ""
        return raised, output


def capture_for(options: Options) -> Capture | None:
    """Where the options ask for a history; None where they do not."""
    return Capture() if options.policy.keeps_state and not options.no_journal and options.history_size > 0 else None


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
