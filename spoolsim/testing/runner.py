"""Running tasks in the test's own process: one turn of the worker's cycle at a time, and when to stop."""

from __future__ import annotations

import os
import sys
from collections import deque
from contextlib import contextmanager

from spoolsim.errors import HarnessError, RetriedForever, TaskTimeout
from spoolsim.spool.look import UNREACHED
from spoolsim.testing.limit import Interrupted, Limit
from spoolsim.testing.record import Record
from spoolsim.testing.task import KILLED, Ran, Task
from spoolsim.testing.worker import Died, TestingWorker
from spoolsim.work import outcome as outcomes
from spoolsim.work.app import SPOOLER, WORKER
from spoolsim.work.installed import print_error
from spoolsim.work.run import Ended
from spoolsim.work.scoreboard import LEAVE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from spoolsim.options import Options
    from spoolsim.spool.claim import Claim
    from spoolsim.testing.clock import Beats
    from spoolsim.testing.faults import Fault

#: passes of a drain in which nothing gets done, before it says that a task is retried forever
RETRIES = 10
#: seconds that a drain, or anything else that runs tasks, may take
TIMEOUT = 10.0
RESPAWN = "OOOPS the spooler is no more...trying respawn..."


class Queue(deque[int]):
    """A signal pipe within one process."""

    def send(self, number: int) -> bool:
        """Put a signal in; there is always room."""
        self.append(number)
        return True

    def receive(self) -> int:
        """Take a signal out; -1 when there is none."""
        return self.popleft() if self else -1

    def wait(self) -> None:
        """Until there is one: nobody else puts one in. Raises HarnessError."""
        if not self:
            raise HarnessError("uwsgi.signal_wait(): no signal waits, and in one process none will come")


class Runner(Record):
    """What runs tasks; the harness that a test holds adds time, faults and its own setting up.

    errors: "raise" or "collect". timeout: seconds for each call that runs tasks. outcomes: every run so far.
    """

    options: Options

    def __init__(self, errors: str, timeout: float) -> None:
        super().__init__()
        if errors not in ("raise", "collect"):
            raise HarnessError(f'errors: expected "raise" or "collect", got {errors!r}')
        self.errors = errors
        self.timeout = timeout
        self.outcomes: list[Ran] = []
        self._queue = Queue()
        self._workers: list[TestingWorker] = []
        self._faults: deque[Fault] = deque()
        self._follow: Callable[[Ran, list[tuple[str, int, str]]], None] | None = None
        self._plan: Callable[[Ran], Fault | None] | None = None
        self._shuffle: Callable[[list[str]], list[str]] | None = None
        self._outside: list[tuple[str, str]] = []
        self._limit: Limit | None = None
        self._beats: Beats | None = None
        self._eager = False
        self._running = False
        self._only: str | None = None
        self._most = 0
        #: spoolers that took the place of one that was gone
        self._respawned = 0
        self._error: BaseException | None = None
        self._alone: tuple[str, str] | None = None
        self._closed = False

    def run_one(self, timeout: float | None = None) -> Ran | None:
        """Run the next task that is due; None when none is. Raises what the task raised, or TaskTimeout."""
        __tracebackhide__ = True
        with self._limited(timeout):
            ran = self._scan(1)
        return ran[0] if ran else None

    def drain(self, max_tasks: int | None = None, timeout: float | None = None, *, retries: int = RETRIES) -> list[Ran]:
        """Run tasks, and uwsgi signals that were raised, until nothing is due; returns the runs.

        max_tasks: stop after so many runs. timeout: seconds. retries: passes without a task done before it gives up.
        Raises what a task raised (errors="raise"), RetriedForever, TaskTimeout.
        """
        __tracebackhide__ = True
        start = len(self.outcomes)
        fruitless = 0
        with self._limited(timeout):
            while max_tasks is None or len(self.outcomes) - start < max_tasks:
                ran = self._scan(0 if max_tasks is None else max_tasks - (len(self.outcomes) - start))
                if not self._signal() and not ran:
                    break
                if max_tasks is not None:
                    continue
                fruitless = fruitless + 1 if ran and all(_stays(one) for one in ran) else 0
                if fruitless >= retries or (fruitless and self._alone):
                    raise self._forever(ran)
        return self.outcomes[start:]

    def _scan(self, most: int = 0) -> list[Ran]:
        """One scan of every directory; at most so many runs. Raises what a task raised."""
        __tracebackhide__ = True
        start = len(self.outcomes)
        self._most = start + most if most else 0
        for number in range(len(self._workers)):
            self._turn(number)
            if self._error is not None:
                error, self._error = self._error, None
                raise error
            if self._enough():
                break
        if self._limit is not None and self._limit.expired:
            raise TaskTimeout(f"tasks were still running after {self._limit.seconds:g} s; {self.report()}")
        if self._beats is not None:
            self._beats.scanned()
        return self.outcomes[start:]

    def _turn(self, number: int) -> None:
        if self._running:
            raise HarnessError("a task cannot run tasks: it is running in this harness itself")
        worker = self._workers[number]
        here = _here()
        self._running = True
        try:
            worker.cycle()
        except (Died, Ended):
            self.log.line(RESPAWN)
            self._respawn(number)
        except FileNotFoundError as error:
            raise HarnessError(f"the spool directory {worker.spool.path} is gone: {error}") from None
        finally:
            self._running = False
            if here and _here() != here:  # also where a task changed it
                os.chdir(here)
        if worker.recycled or worker.words[LEAVE]:
            self._respawn(number)

    def _respawn(self, number: int) -> None:
        """A new spooler takes the place of one that is gone; its imports were done, its hook is called."""
        self._respawned += 1
        self._workers[number] = TestingWorker(self, self.served[number])
        self.app.role = SPOOLER
        self.app.post_fork()
        self.app.become(WORKER, worker_id=1)

    def _signal(self) -> bool:
        """Handle one uwsgi signal, as a spooler does between two scans; False when none waits."""
        number = self._queue.receive()
        if number < 0:
            return False

        def report() -> None:
            error = sys.exc_info()[1]
            if self.errors == "raise":
                self._error = error
            else:
                print_error()

        app, limit = self.app, self._limit
        app.role, app.signals.in_master = SPOOLER, False
        if limit is not None:
            limit.busy = True
        try:
            who = f"spooler {os.getpid()}"
            self._workers[0].status.guard(lambda: app.signals.run(number, who, report))
        except Interrupted as interrupted:
            if limit is not None:
                limit.busy = False  # it is over: no other one may come
            self._error = interrupted
        finally:
            app.role, app.signals.in_master = WORKER, True
            if limit is not None and limit.end():
                self._error = self._late(f"the handler of signal {number}", self._error)
        if self._error is not None:
            error, self._error = self._error, None
            raise error
        return True

    @contextmanager
    def _limited(self, timeout: float | None) -> Iterator[None]:
        if self._closed:
            raise HarnessError("this harness is closed")
        if self._limit is not None:  # inside of another call
            yield
            return
        with Limit(self.timeout if timeout is None else timeout) as limit:
            self._limit = limit
            try:
                yield
            finally:
                self._limit = None

    # ---- what the worker asks and tells ----

    def _known(self, claim: Claim) -> Task:
        path = claim.path
        known = self._named(path)
        return known if known is not None and known.data == claim.data else Task(path, claim.data)

    def _named(self, path: str) -> Task | None:
        number = self._order.get(path)
        return None if number is None else self._spooled[number]

    def _arrange(self, directory: str, names: list[str]) -> list[str]:
        """The order of one scan where uWSGI promises none: that of spooling; then what others put there, by name."""
        if self._only is not None:
            return [name for name in names if f"{directory}/{name}" == self._only]
        order, last = self._order, len(self._order)
        numbered = [(order.get(f"{directory}/{name}", last), name) for name in names]
        numbered.sort()
        arranged = [name for _, name in numbered]
        return arranged if self._shuffle is None else self._shuffle(arranged)

    def _enough(self) -> bool:
        if self._error is not None or (self._most and len(self.outcomes) >= self._most):
            return True
        return self._limit is not None and self._limit.expired

    def _meddles(self) -> bool:
        """May something happen to the next run that the test has ordered, or is it followed?"""
        return bool(self._faults) or self._plan is not None or self._follow is not None

    def _fault(self, ran: Ran) -> Fault | None:
        if self._faults:
            return self._faults.popleft()
        return None if self._plan is None else self._plan(ran)

    def _outlived(self, ran: Ran, line: int, lines: int) -> None:
        """A kill before a line that the run did not have; a story of `explore` may well end before it."""
        if self._plan is None:
            self._error = HarnessError(f"kill_next({line}): {ran.task!r} ran only {lines} lines of the app's code")

    def _followed(self, ran: Ran, points: list[tuple[str, int, str]]) -> None:
        if self._follow is not None:
            self._follow(ran, points)

    def _was_stuck(self, ran: Ran) -> None:
        self._error = ran.error = self._late(repr(ran.task), ran.error)

    def _late(self, what: str, interrupted: BaseException | None) -> TaskTimeout:
        limit = self._limit
        runs = len(self.outcomes)
        so_far = f", when {runs} runs had ended" if runs else ""
        error = TaskTimeout(f"{what} was still running after {limit.seconds if limit else 0:g} s{so_far}")
        return error.with_traceback(interrupted.__traceback__ if interrupted else None)

    def _has_run(self, ran: Ran, *, missing: bool = False) -> None:
        self.outcomes.append(ran)
        if missing:
            self._alone = (ran.why, outcomes.MISSING.advice)
        error = ran.error
        if error is None or self._error is not None:
            return
        if isinstance(error, SystemExit):
            if self.errors == "raise":
                self._error = HarnessError(f"{ran.task!r} {ran.why}; {outcomes.exited(0).advice}")
                self._error.__cause__ = error
        elif self.errors == "raise" or not isinstance(error, Exception) or type(error).__name__ == "BdbQuit":
            self._error = error

    def _forever(self, ran: list[Ran]) -> RetriedForever:
        one = next(one for one in ran if _stays(one))
        if self._alone is not None:
            why, advice = self._alone
        else:
            advice = outcomes.raised(one.error).advice if one.error else outcomes.returned(None).advice
            why = one.why
        what = "handed to its handler again on every scan" if one.state == outcomes.IGNORED else "retried forever"
        others = len({other.task.path for other in ran}) - 1
        more = f" (and {others} more)" if others else ""
        task = f"{one.task!r}{more}, file {one.name}, function {one.function or 'none'}"
        return RetriedForever(f"{task}, would be {what}: it {why}; {advice}")

    # ---- eager ----

    @contextmanager
    def eager(self) -> Iterator[None]:
        """A context in which a task runs when it is spooled, before uwsgi.spool() returns.

        One that is spooled by a task runs when that task ends; one with `at` in the future waits.
        """
        before, self._eager = self._eager, True
        try:
            yield
        finally:
            self._eager = before

    def _wrote(self, task: Task) -> None:
        __tracebackhide__ = True
        super()._wrote(task)
        if not self._eager or self._running:
            return
        with self._limited(None):
            number = len(self._spooled) - 1
            while number < len(self._spooled):  # what it spools itself comes behind it
                self._only = self._spooled[number].path
                try:
                    if not self._scan():
                        self._say_unreached(self._spooled[number])
                finally:
                    self._only = None
                number += 1

    def _say_unreached(self, task: Task) -> None:
        for left in self._left():
            if left.path == task.path and left.state == UNREACHED:
                raise HarnessError(f"eager: {task!r} never runs: {left.why}")


def _here() -> str:
    """The working directory; "" where it is gone."""
    try:
        return os.getcwd()
    except OSError:
        return ""


def _stays(ran: Ran) -> bool:
    return ran.state in (outcomes.RETRY, outcomes.IGNORED) and not ran.fault and ran.state != KILLED
