"""What is known of past attempts: the one interface through which `ls`, `show`, `why`, `log`, `stats` and `rerun` read.

The journal has a line for each attempt; the history has, for the latest of them, what the task was, printed and raised.
Real uWSGI on the same directory records nothing: its attempts are not known here.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from spoolsim.spool import history
from spoolsim.spool.journal import read
from spoolsim.tasks.describe import call_in

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from spoolsim.spool.directory import SpoolDir

DONE, RETRY, IGNORED, DIED, DEAD_LETTERED = "done", "retry", "ignored", "died", "failed"


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt at one task.

    task: path below the spool directory. number: from 1. outcome: one of the words above; DEAD_LETTERED is not an
    attempt of its own: the task was moved to `.spoolsim/failed/` after that many. ended: epoch seconds. seconds: how
    long it took. pid: the worker. why: what the handler did, for a task that stayed. Without `Attempts.detail`, and
    where they are not recorded, these are empty: call, function, traceback, output.
    """

    spool: str
    task: str
    number: int
    outcome: str
    ended: float
    seconds: float
    pid: int
    why: str = ""
    call: str = ""
    function: str = ""
    traceback: str = ""
    output: str = ""


class Attempts:
    """The attempts at the tasks of one spool directory."""

    def __init__(self, spool: SpoolDir) -> None:
        self._spool = spool
        self._records: dict[tuple[str, int], history.Record] | None = None

    def all(self) -> Iterator[Attempt]:
        """Every line of the journal, oldest first."""
        for line in read(self._spool):
            yield Attempt(
                self._spool.path, line.task, line.attempt, line.outcome, line.time, line.seconds, line.pid, line.why
            )

    def detail(self, attempt: Attempt) -> Attempt:
        """The attempt with all that is recorded of it."""
        record = self._recorded().get((attempt.task, round(attempt.ended * 1e6)))
        if record is None:
            return attempt
        call = call_in(record.data)
        return replace(
            attempt,
            call=call.line(),
            function=call.function,
            traceback=record.traceback,
            output=record.output,
        )

    def data(self, task: str) -> bytes | None:
        """The bytes of a task's file at its last attempt, by its path below the directory; None for not recorded.

        Of a body that was too large only the begin is recorded: that is no task, and so None, too.
        """
        found = None
        for (name, _), record in self._recorded().items():
            if name == task:
                found = record.data
        return None if found is None or len(found) >= history.DATA else found

    def _recorded(self) -> dict[tuple[str, int], history.Record]:
        if self._records is None:
            self._records = {(record.task, record.ended): record for record in history.read(self._spool)}
        return self._records


def attempts_of(spool: SpoolDir) -> Attempts:
    """What is recorded of the attempts at a directory's tasks."""
    return Attempts(spool)
