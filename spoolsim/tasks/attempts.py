"""What is known of past attempts: the one interface through which `ls`, `show`, `why`, `log`, `stats` and `rerun` read.

Its source today is the journal (`.spoolsim/journal`), which records neither the function of a task that is gone nor
its output nor its bytes. Another source implements `Attempts`, and `attempts_of` hands it out.
Real uWSGI on the same directory records nothing: its attempts are not known here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from spoolsim.spool.journal import read

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
    long it took. pid: the worker. why: what the handler did, for a task that stayed. Empty where the source does not
    record it: call, function, traceback, output.
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


class Attempts(Protocol):
    """The attempts at the tasks of one spool directory."""

    def all(self) -> Iterator[Attempt]:
        """Every recorded attempt, oldest first."""

    def data(self, task: str) -> bytes | None:
        """The bytes of a task's file as they were recorded, by its path below the directory; None for not recorded."""


class JournalAttempts:
    """Attempts as the journal has them."""

    def __init__(self, spool: SpoolDir) -> None:
        self._spool = spool

    def all(self) -> Iterator[Attempt]:
        """Every line of the journal, oldest first."""
        for line in read(self._spool):
            yield Attempt(
                self._spool.path, line.task, line.attempt, line.outcome, line.time, line.seconds, line.pid, line.why
            )

    def data(self, task: str) -> bytes | None:
        """Nothing: the journal holds no bytes."""
        return None


def attempts_of(spool: SpoolDir) -> Attempts:
    """What is recorded of the attempts at a directory's tasks."""
    return JournalAttempts(spool)
