"""One past attempt at a task, as `ls`, `show`, `why`, `log` and `stats` see it."""

from __future__ import annotations

from dataclasses import dataclass

DONE, RETRY, IGNORED, DIED, DEAD_LETTERED = "done", "retry", "ignored", "died", "failed"


@dataclass(slots=True)
class Attempt:
    """One attempt at one task.

    task: path below the spool directory. number: from 1. outcome: one of the words above; DEAD_LETTERED is not an
    attempt of its own: the task was moved to `.spoolsim/failed/` after that many. ended: epoch seconds. seconds: how
    long it took. pid: the worker. why: what the handler did, for a task that stayed. wait: seconds from when it might
    have run, or from the end of the attempt before, until it did; None where the history does not tell.
    generation: how often the app had been imported in that run; 0 for not known.

    Without `Attempts.detail`, and where they are not recorded, these are empty: call, function; traceback; names: a
    line for each frame of the traceback, with its local variables; output: what it printed.
    """

    spool: str
    task: str
    number: int
    outcome: str
    ended: float
    seconds: float
    pid: int
    why: str = ""
    wait: float | None = None
    generation: int = 0
    call: str = ""
    function: str = ""
    traceback: str = ""
    names: str = ""
    output: str = ""

    @property
    def started(self) -> float:
        """Epoch seconds."""
        return self.ended - self.seconds
