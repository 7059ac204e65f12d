"""What is known of past attempts: the one interface through which `ls`, `show`, `why`, `log`, `stats` and `rerun` read.

    journal    a line for each attempt: the last ten thousand or so, and those of every task that is still there
    history    the same, much further back; and what the task was, printed and raised

Each attempt is in both, under the same time. A journal's line alone is of a run without a history (--history-size 0),
or of an attempt whose line in the history could not be written. Real uWSGI on the same directory records nothing: its
attempts are not known here.
"""

from __future__ import annotations

from dataclasses import replace

from spoolsim.spool import history, journal
from spoolsim.tasks.attempts import DEAD_LETTERED, DONE, Attempt
from spoolsim.tasks.describe import UNREADABLE, Call, call_in

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Container, Iterator

    from spoolsim.spool.directory import SpoolDir
    from spoolsim.spool.history import Record
    from spoolsim.spool.journal import Line


class Attempts:
    """The attempts at the tasks of one spool directory."""

    def __init__(self, spool: SpoolDir) -> None:
        self._spool = spool
        #: how far the files of the history were read
        self._read: dict[int, int] = {}
        self._records: dict[tuple[str, int], Record] = {}
        #: hashes of (task, at) of the lines that were given out
        self._given: set[int] = set()
        #: task -> number and end of its last attempt
        self._last: dict[str, tuple[int, float]] = {}
        self._known: list[Attempt] = []

    def latest(self) -> Iterator[Attempt]:
        """Those that the journal has, oldest first: quickly had, and all of a task that is there."""
        for line in journal.read(self._spool):
            yield _of_line(self._spool.path, line)

    def all(self) -> Iterator[Attempt]:
        """Every recorded attempt, oldest first."""
        for _ in self.added():
            pass
        return iter(self._known)

    def added(self, until: float = 0) -> Iterator[Attempt]:
        """Those that were recorded since this was asked last, oldest first.

        until: epoch seconds: a later line of the journal is left for the next time, as that of the history may follow;
        0 for none.
        """
        lines = list(journal.read(self._spool))  # first: the line in the history is written after it
        found: list[tuple[int, Record | Line]] = []
        for record in self._new_records():
            key = hash((record.task, record.at))
            if key not in self._given:
                self._given.add(key)
                found.append((record.at, record))
        for line in lines:
            at = round(line.time * 1e6)
            key = hash((line.task, at))
            if key not in self._given and not (until and line.time > until):
                self._given.add(key)
                found.append((at, line))
        found.sort(key=_when)
        for _, each in found:
            attempt = self._of_record(each) if isinstance(each, history.Record) else self._of_line(each)
            self._known.append(attempt)
            yield attempt

    def _new_records(self) -> Iterator[Record]:
        for data in history.read(self._spool, self._read):
            for record in history.records(data):
                self._records[record.task, record.at] = record
                yield record

    def _of_line(self, line: Line) -> Attempt:
        if line.outcome in (DONE, DEAD_LETTERED):
            self._last.pop(line.task, None)
        else:
            self._last[line.task] = line.attempt, line.time
        return _of_line(self._spool.path, line)

    def _of_record(self, record: Record) -> Attempt:
        task, ended, seconds = record.task, record.at / 1e6, record.took / 1e6
        number, before = self._last.get(task, (0, 0.0))
        number = max(record.attempt, number + 1)
        if record.outcome == DONE:
            self._last.pop(task, None)
        else:
            self._last[task] = number, ended
        due = max(record.due / 1e6, before)
        wait = max(ended - seconds - due, 0.0) if due else None
        return Attempt(
            self._spool.path,
            task,
            number,
            record.outcome,
            ended,
            seconds,
            record.pid,
            record.why if record.outcome != DONE else "",
            wait,
            record.generation,
        )

    def call(self, attempt: Attempt) -> Call:
        """What the task called at this attempt, of those that were given out; unreadable where it is not recorded."""
        record = self._records.get((attempt.task, round(attempt.ended * 1e6)))
        return Call(UNREADABLE) if record is None else call_in(record.data)

    def detail(self, attempt: Attempt) -> Attempt:
        """The attempt with all that is recorded of it; of those that were given out."""
        record = self._records.get((attempt.task, round(attempt.ended * 1e6)))
        if record is None:
            return attempt
        call = self.call(attempt)
        return replace(
            attempt,
            call=call.line(),
            function=call.function,
            traceback=record.traceback,
            names=record.names,
            output=record.output,
        )

    def data(self, task: str) -> bytes | None:
        """The bytes of a task's file at its last attempt, by its path below the directory; None for not recorded.

        Of a body that was too large only the begin is recorded: that is no task, and so None, too.
        """
        for _ in self._new_records():
            pass
        whole = [record for (name, _), record in self._records.items() if name == task and _is_whole(record)]
        return max(whole, key=lambda record: record.at).data if whole else None


class Recent:
    """The journal of one directory, read on as it grows, for whoever looks again and again.

    Remembers the last attempt at each task that stayed, as long as the task is there.
    """

    def __init__(self, spool: SpoolDir) -> None:
        self._spool = spool.path
        self._tail = journal.Tail(spool)
        self._last: dict[str, Attempt] = {}

    def added(self) -> list[Attempt]:
        """Those that were recorded since this was asked last, oldest first."""
        found = [_of_line(self._spool, line) for line in self._tail.lines()]
        for attempt in found:
            self._last.pop(attempt.task, None)
            if attempt.outcome != DONE:
                self._last[attempt.task] = attempt
        return found

    def latest(self) -> Iterator[Attempt]:
        """The last attempt at each task that stayed."""
        return iter(self._last.values())

    def all(self) -> Iterator[Attempt]:
        """The same: no more is remembered."""
        return self.latest()

    def keep(self, tasks: Container[str]) -> None:
        """Forget the tasks that are not among these, which are paths below the directory."""
        self._last = {task: attempt for task, attempt in self._last.items() if task in tasks}


def _when(found: tuple[int, Record | Line]) -> int:
    return found[0]


def _is_whole(record: Record) -> bool:
    return len(record.data) == record.size


def _of_line(spool: str, line: Line) -> Attempt:
    return Attempt(spool, line.task, line.attempt, line.outcome, line.time, line.seconds, line.pid, line.why)


def attempts_of(spool: SpoolDir) -> Attempts:
    """What is recorded of the attempts at a directory's tasks."""
    return Attempts(spool)
