"""What a worker leaves of each attempt: a line of the history, and in it what the task printed, and what it raised.

Lines are gathered, and written together: at the end of a scan, when they are many, or old. They lie in memory that is
shared with the fork server: of a worker that is killed nothing is lost, as whoever sees its death writes what is there
(`bury`).
"""

from __future__ import annotations

import mmap
import os

from spoolsim.log import encoded
from spoolsim.spool.history import MOST, append, escaped
from spoolsim.spool.packet import HEADER
from spoolsim.work.capture import FULL, Capture, capture_for

TYPE_CHECKING = False
if TYPE_CHECKING:
    from spoolsim.options import Options
    from spoolsim.spool.claim import Claim
    from spoolsim.spool.directory import SpoolDir
    from spoolsim.spool.journal import Journal
    from spoolsim.work.app import App
    from spoolsim.work.outcome import Outcome

    #: bytes, and epoch seconds
    File = tuple[bytes, float]

#: bytes of the lines that are gathered
_ROWS = 65_536
#: microseconds after which what was gathered is written, where a task ends
_OLD = 100_000
#: bytes that are kept of the file of a task that is still there
_STAYS = 4096
_EMPTY = bytes(_ROWS)


class Box:
    """Memory of one worker, and of the fork server that waits for its end.

    capture: of the process, which several workers may share. Raises OSError where there is no memory.
    """

    __slots__ = ("capture", "rows")

    def __init__(self, capture: Capture) -> None:
        self.capture = capture
        self.rows = mmap.mmap(-1, _ROWS)
        self.rows.write(b"\n")

    def left(self) -> bytes:
        """The whole lines of a worker that is dead, which it did not write."""
        rows = self.rows[:]
        end = rows.rfind(b"\n") + 1
        return rows[:end] if end > 1 else b""


class Recorder:
    """Writes the history of one directory, for one worker.

    box: memory for what is not yet written.
    """

    __slots__ = ("_at", "_box", "_capture", "_limit", "_middle", "_printed", "_row", "_spool")

    def __init__(self, app: App, spool: SpoolDir, box: Box) -> None:
        self._spool = spool
        self._box = box
        self._row = box.rows.write
        self._capture = box.capture
        self._printed = box.capture.size
        #: bytes of all files together
        self._limit = app.options.history_size
        self._middle = b"\t%d\t%d" % (os.getpid(), app.generation)
        #: when the lines were written last, microseconds since 1970
        self._at = 0

    def begin(self) -> None:
        """A scan begins: what is printed from now on is seen."""
        self._capture.attend()

    def done(self, claim: Claim, took: int, at: int) -> None:
        """A task is done, after `took` nanoseconds, `at` microseconds since 1970."""
        data = claim.data
        size = len(data)
        if size > MOST:
            data = _begin_of(data)
        task = claim.task
        name = task.encode() if task.isascii() and task.isprintable() and "\\" not in task else escaped(encoded(task))
        printed = escaped(self._capture.take()) if self._printed() else b""
        line = b"%d\t%d\t%d%b\t0\tdone\t%d\t%b\t\t\t\t%b\t%b\t\n" % (
            at,
            took // 1000,
            int(claim.mtime * 1e6),
            self._middle,
            size,
            name,
            printed,
            data.replace(b"\\", b"\\\\").replace(b"\n", b"\\n"),
        )
        try:  # as _put(): hot
            self._row(line)
        except ValueError as error:
            if error.args != FULL:
                raise
            self._write_and_put(line)
        if at - self._at > _OLD:
            self._at = at
            self.flush()

    def kept(self, claim: Claim, outcome: Outcome, attempt: int, took: int, at: int) -> None:
        """Any other outcome, likewise, of this attempt; it is written at once, as the journal's line is."""
        shown, names = self._capture.take_error()
        if not outcome.why.startswith("raised "):
            shown = names = b""  # of a task that was ended in another way
        head = b"%d\t%d\t%d%b\t%d" % (at, took // 1000, int(claim.mtime * 1e6), self._middle, attempt)
        data = claim.data
        fields = (claim.task, outcome.why, shown, names, self._capture.take())
        self._put(_line(head, outcome.state, len(data), fields, data[:_STAYS]))
        self.flush()

    def _put(self, line: bytes) -> None:
        try:
            self._row(line)
        except ValueError as error:
            if error.args != FULL:
                raise
            self._write_and_put(line)

    def _write_and_put(self, line: bytes) -> None:
        """The lines so far, then this one, which may be longer than all that is gathered."""
        self.flush()
        if len(line) < _ROWS:
            self._row(line)
        else:
            self._append(b"\n" + line)

    def flush(self) -> None:
        """Write what was gathered."""
        rows = self._box.rows
        size = rows.tell()
        if size <= 1:
            return
        self._append(rows[:size])
        rows[1:size] = _EMPTY[1:size]
        rows.seek(1)

    def _append(self, lines: bytes) -> None:
        try:
            append(self._spool, lines, self._limit)
        except OSError:
            pass  # the disk is full, or the directory gone: the tasks matter more


def recorder_for(app: App, spool: SpoolDir, journal: Journal | None, box: Box | None = None) -> Recorder | None:
    """A directory's recorder; None without a journal, or in a process that keeps no history.

    box: memory that the fork server sees, too.
    """
    if journal is None or app.capture is None:
        return None
    try:
        return Recorder(app, spool, box or Box(app.capture))
    except OSError:
        return None  # no memory


def open_box(options: Options) -> Box | None:
    """Memory for the worker that is forked next, if it is to keep a history, and there is memory."""
    capture = capture_for(options)
    try:
        return None if capture is None else Box(capture)
    except OSError:
        return None


def bury(options: Options, spool: SpoolDir, box: Box, last: bytes = b"") -> None:
    """Write what a dead worker has left, and then the line of its last attempt; b"" where it died in none."""
    rows = box.left()
    if rows or last:
        try:
            append(spool, (rows or b"\n") + last, options.history_size)
        except OSError:
            pass


def died(app: App, box: Box, task: str, why: str, *, took: int, attempt: int, pid: int, at: int, file: File) -> bytes:
    """The line of an attempt in which the worker `pid` died.

    took: nanoseconds. at: microseconds since 1970. file: the beginning of the task's, which is there, and its time.
    """
    data, mtime = file
    head = b"%d\t%d\t%d\t%d\t%d\t%d" % (at, took // 1000, int(mtime * 1e6), pid, app.generation, attempt)
    return _line(head, "died", len(data), (task, why, b"", b"", box.capture.left()), data[:_STAYS])


def _line(head: bytes, outcome: str, size: int, fields: tuple[str, str, bytes, bytes, bytes], data: bytes) -> bytes:
    """fields: from the task to the output."""
    middle = [escaped(field if isinstance(field, bytes) else encoded(field)) for field in fields]
    end = data.replace(b"\\", b"\\\\").replace(b"\n", b"\\n")
    return b"%b\t%b\t%d\t%b\t%b\t\n" % (head, outcome.encode(), size, b"\t".join(middle), end)


def _begin_of(data: bytes) -> bytes:
    """All variables, and the beginning of the body."""
    return data[: HEADER + (data[1] | data[2] << 8) + MOST]
