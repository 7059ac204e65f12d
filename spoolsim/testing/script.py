"""What a test orders for the runs of its tasks, and what came of them.

The harness writes the orders, its spoolers carry them out and tell what happened, `explore` plays many scripts.
"""

from __future__ import annotations

from collections import deque

from spoolsim.errors import HarnessError, TaskTimeout
from spoolsim.testing.task import Task
from spoolsim.work import outcome as outcomes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from spoolsim.spool.claim import Claim
    from spoolsim.testing.faults import Fault
    from spoolsim.testing.limit import Limit
    from spoolsim.testing.task import Ran


def stays(ran: Ran) -> bool:
    """Whether the task's file is kept by what the task itself did, so that it runs again."""
    return ran.state in (outcomes.RETRY, outcomes.IGNORED) and not ran.fault


class Spooled:
    """The tasks that were spooled in a test, in order."""

    __slots__ = ("_number", "tasks")

    def __init__(self) -> None:
        self.tasks: list[Task] = []
        self._number: dict[str, int] = {}

    def add(self, task: Task) -> None:
        """It was written just now."""
        self._number[task.path] = len(self._number)
        self.tasks.append(task)

    def number(self, path: str) -> int:
        """The number of a task's file, from 0; behind all of them for one that others put there."""
        return self._number.get(path, len(self._number))

    def named(self, path: str) -> Task | None:
        """The task of that file; None for one that others put there."""
        number = self._number.get(path)
        return None if number is None else self.tasks[number]

    def clear(self) -> None:
        """As if nothing had been spooled."""
        self.tasks.clear()
        self._number.clear()


class Script:
    """The orders of one harness, and the runs.

    errors: "raise" what a task raises, or "collect" it. spooled: what was spooled so far. outcomes: every run so far.
    limit: of the call that runs tasks now. error: what that call is to raise. alone: why and advice for a task that
        no app can run.

    faults: one for each of the next runs. only: the path of the one task that may run. most: runs after which a scan
        stops, 0 for no end.
    plan: called with each run, returns its fault. follow: called with each run and the lines of the app's code that it
        met. shuffle: the order of a scan. outside: code that plays the world outside, as `places_of` gives it.
    """

    def __init__(self, errors: str) -> None:
        if errors not in ("raise", "collect"):
            raise HarnessError(f'errors: expected "raise" or "collect", got {errors!r}')
        self.errors = errors
        self.spooled = Spooled()
        self.outcomes: list[Ran] = []
        self.limit: Limit | None = None
        self.error: BaseException | None = None
        self.alone: tuple[str, str] | None = None
        self.faults: deque[Fault] = deque()
        self.only: str | None = None
        self.most = 0
        self.plan: Callable[[Ran], Fault | None] | None = None
        self.follow: Callable[[Ran, list[tuple[str, int, str]]], None] | None = None
        self.shuffle: Callable[[list[str]], list[str]] | None = None
        self.outside: list[tuple[str, str]] = []

    def clear(self) -> None:
        """Nothing spooled, nothing run, no faults: for the next run of a scenario."""
        self.spooled.clear()
        self.outcomes.clear()
        self.faults.clear()
        self.error = self.alone = None

    # ---- what a spooler asks ----

    def known(self, claim: Claim) -> Task:
        """The task that a spooler has claimed: the one that the test spooled, unless its file has changed since."""
        found = self.spooled.named(claim.path)
        return found if found is not None and found.data == claim.data else Task(claim.path, claim.data)

    def arrange(self, directory: str, names: list[str]) -> list[str]:
        """The order of one scan where uWSGI promises none: that of spooling; then what others put there, by name."""
        if self.only is not None:
            return [name for name in names if f"{directory}/{name}" == self.only]
        number = self.spooled.number
        arranged = [name for _, name in sorted((number(f"{directory}/{name}"), name) for name in names)]
        return arranged if self.shuffle is None else self.shuffle(arranged)

    def enough(self) -> bool:
        """Is the scan to stop before the next task?"""
        if self.error is not None or (self.most and len(self.outcomes) >= self.most):
            return True
        return self.limit is not None and self.limit.expired

    def meddles(self) -> bool:
        """May something happen to the next run that the test has ordered, or is it followed?"""
        return bool(self.faults) or self.plan is not None or self.follow is not None

    def fault(self, ran: Ran) -> Fault | None:
        """What is to happen to this run."""
        if self.faults:
            return self.faults.popleft()
        return None if self.plan is None else self.plan(ran)

    # ---- what a spooler tells ----

    def outlived(self, ran: Ran, line: int, lines: int) -> None:
        """A kill before a line that the run did not have; one that `explore` plans may well end before it."""
        if self.plan is None:
            self.error = HarnessError(f"kill_next({line}): {ran.task!r} ran only {lines} lines of the app's code")

    def followed(self, ran: Ran, points: list[tuple[str, int, str]]) -> None:
        """These lines of the app's code were met."""
        if self.follow is not None:
            self.follow(ran, points)

    def was_stuck(self, ran: Ran) -> None:
        """The time limit has ended it."""
        self.error = ran.error = self.late(repr(ran.task), ran.error)

    def late(self, what: str, interrupted: BaseException | None) -> TaskTimeout:
        """The error of a task, or of a signal's handler, that the time limit has ended."""
        limit = self.limit
        runs = len(self.outcomes)
        so_far = f", when {runs} runs had ended" if runs else ""
        error = TaskTimeout(f"{what} was still running after {limit.seconds if limit else 0:g} s{so_far}")
        return error.with_traceback(interrupted.__traceback__ if interrupted else None)

    def has_run(self, ran: Ran, *, missing: bool = False) -> None:
        """It is over. missing: no handler, or no function of that name."""
        self.outcomes.append(ran)
        if missing:
            self.alone = (ran.why, outcomes.MISSING.advice)
        error = ran.error
        if error is None or self.error is not None:
            return
        if isinstance(error, SystemExit):
            if self.errors == "raise":
                self.error = HarnessError(f"{ran.task!r} {ran.why}; {outcomes.exited(0).advice}")
                self.error.__cause__ = error
        elif self.errors == "raise" or not isinstance(error, Exception) or type(error).__name__ == "BdbQuit":
            self.error = error

    def raise_error(self) -> None:
        """Raise what the call is to raise, if there is something."""
        __tracebackhide__ = True
        if self.error is not None:
            error, self.error = self.error, None
            raise error
