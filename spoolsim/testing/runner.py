"""Running tasks in the test's own process: one turn of the worker's cycle at a time, and when to stop."""

from __future__ import annotations

import os
import sys
import time
from collections import deque
from contextlib import contextmanager

from spoolsim.errors import HarnessError, RetriedForever, TaskTimeout
from spoolsim.testing import clock
from spoolsim.testing.limit import Interrupted, Limit
from spoolsim.testing.script import stays
from spoolsim.testing.swap import active
from spoolsim.testing.worker import Died, TestingWorker
from spoolsim.work import outcome as outcomes
from spoolsim.work.app import SPOOLER, WORKER
from spoolsim.work.installed import print_error
from spoolsim.work.run import Ended
from spoolsim.work.scoreboard import LEAVE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from spoolsim.spool.directory import SpoolDir
    from spoolsim.testing.script import Script
    from spoolsim.testing.task import Ran
    from spoolsim.work.app import App

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


class Runner:
    """The spoolers of one harness, and the only place where they run.

    served: the directories, one spooler for each. script: what the test orders, and what comes of it. timeout: seconds
    for each call that runs tasks. report: what a test is told where tasks never end.
    """

    def __init__(
        self, app: App, served: Sequence[SpoolDir], script: Script, timeout: float, report: Callable[[], str]
    ) -> None:
        self.app = app
        self.served = served
        self.script = script
        self.timeout = timeout
        self.closed = False
        self.running = False
        self._report = report
        self._queue = Queue()
        app.signals.spoolers = self._queue  # type: ignore[assignment]  # a pipe within one process
        app.signals.up = True
        self._workers: list[TestingWorker] = []
        self._beats: clock.Beats | None = None
        #: spoolers that took the place of one that was gone
        self._respawned = 0

    def begin(self) -> None:
        """Spoolers that have run nothing yet; no signal waits, timers count from the next beat."""
        self._queue.clear()
        self._beats = None
        self._workers = [TestingWorker(self.app, spool, self.script) for spool in self.served]

    def drain(self, max_tasks: int | None, retries: int) -> None:
        """Run tasks, and uwsgi signals that were raised, until nothing is due; at most `max_tasks` runs.

        retries: passes without a task done before it gives up. Raises what a task raised, RetriedForever, TaskTimeout.
        """
        __tracebackhide__ = True
        outcomes = self.script.outcomes
        start = len(outcomes)
        fruitless = 0
        while max_tasks is None or len(outcomes) - start < max_tasks:
            ran = self.scan(0 if max_tasks is None else max_tasks - (len(outcomes) - start))
            if not self._signal() and not ran:
                break
            if max_tasks is not None:
                continue
            fruitless = fruitless + 1 if ran and all(map(stays, ran)) else 0
            if fruitless >= retries or (fruitless and self.script.alone):
                raise self._forever(ran)

    def scan(self, most: int = 0) -> list[Ran]:
        """One scan of every directory; at most so many runs. Raises what a task raised."""
        __tracebackhide__ = True
        script = self.script
        start = len(script.outcomes)
        script.most = start + most if most else 0
        for number in range(len(self._workers)):
            self._turn(number)
            script.raise_error()
            if script.enough():
                break
        if script.limit is not None and script.limit.expired:
            raise TaskTimeout(f"tasks were still running after {script.limit.seconds:g} s; {self._report()}")
        if self._beats is not None:
            self._beats.scanned()
        return script.outcomes[start:]

    def _turn(self, number: int) -> None:
        if self.running:
            raise HarnessError("a task cannot run tasks: it is running in this harness itself")
        worker = self._workers[number]
        here = _here()
        self.running = True
        try:
            worker.cycle()
        except (Died, Ended):
            self.app.log.line(RESPAWN)
            self._respawn(number)
        except FileNotFoundError as error:
            raise HarnessError(f"the spool directory {worker.spool.path} is gone: {error}") from None
        finally:
            self.running = False
            if here and _here() != here:  # also where a task changed it
                os.chdir(here)
        if worker.recycled or worker.words[LEAVE]:
            self._respawn(number)

    def _respawn(self, number: int) -> None:
        """A new spooler takes the place of one that is gone; its imports were done, its hook is called."""
        self._respawned += 1
        self._workers[number] = TestingWorker(self.app, self.served[number], self.script)
        self.app.role = SPOOLER
        self.app.post_fork()
        self.app.become(WORKER, worker_id=1)

    def _signal(self) -> bool:
        """Handle one uwsgi signal, as a spooler does between two scans; False when none waits."""
        __tracebackhide__ = True
        number = self._queue.receive()
        if number < 0:
            return False
        script = self.script

        def report() -> None:
            if script.errors == "raise":
                script.error = sys.exc_info()[1]
            else:
                print_error()

        app, limit = self.app, script.limit
        app.role, app.signals.in_master = SPOOLER, False
        if limit is not None:
            limit.busy = True
        try:
            who = f"spooler {os.getpid()}"
            self._workers[0].status.guard(lambda: app.signals.run(number, who, report))
        except Interrupted as interrupted:
            if limit is not None:
                limit.busy = False  # it is over: no other one may come
            script.error = interrupted
        finally:
            app.role, app.signals.in_master = WORKER, True
            if limit is not None and limit.end():
                script.error = script.late(f"the handler of signal {number}", script.error)
        script.raise_error()
        return True

    @contextmanager
    def limited(self, timeout: float | None = None) -> Iterator[None]:
        """A context in which tasks run, for `timeout` seconds at most. Raises HarnessError for a closed harness."""
        if self.closed:
            raise HarnessError("this harness is closed")
        script = self.script
        if script.limit is not None:  # inside of another call
            yield
            return
        with Limit(self.timeout if timeout is None else timeout) as limit:
            script.limit = limit
            try:
                with active(self.app):
                    yield
            finally:
                script.limit = None

    # ---- along the clock ----

    def advance(self, end: float, move: Callable[[float], object]) -> None:
        """Move the frozen clock on to `end` (epoch seconds), by way of all moments at which something may be due."""
        __tracebackhide__ = True
        self.beat(scan=True)
        assert self._beats is not None
        while (moment := self._beats.next()) <= end:
            clock.move_to(moment, move)
            self.beat()
        clock.move_to(end, move)
        self.beat(scan=True)

    def beat(self, *, scan: bool = False) -> None:
        """Do what a spooler and its master do at this moment: raise timers and crons, poll if it is time."""
        __tracebackhide__ = True
        if self._beats is None:
            self._beats = clock.Beats(self.app)
        for number in self._beats.signals():
            self.app.signals.send(number)
        if scan or time.time() >= self._beats.poll:
            self._awake()
        while self._signal():
            self._awake()

    def _awake(self) -> None:
        """Scan; and again when tasks were spooled meanwhile; uWSGI wakes no busy spooler.

        A spooler that took the place of one that was gone scans at once. Raises RetriedForever where that has no end.
        """
        __tracebackhide__ = True
        fruitless = 0
        while True:
            before, respawned = len(self.script.spooled.tasks), self._respawned
            ran = self.scan()
            if self._respawned == respawned and (
                len(self.script.spooled.tasks) == before or not self.app.policy.wakes_while_busy
            ):
                return
            fruitless = fruitless + 1 if ran and all(map(stays, ran)) else 0
            if fruitless >= RETRIES:
                raise self._forever(ran)

    def _forever(self, ran: list[Ran]) -> RetriedForever:
        one = next(one for one in ran if stays(one))
        if self.script.alone is not None:
            why, advice = self.script.alone
        else:
            advice = outcomes.raised(one.error).advice if one.error else outcomes.returned(None).advice
            why = one.why
        what = "handed to its handler again on every scan" if one.state == outcomes.IGNORED else "retried forever"
        others = len({other.task.path for other in ran}) - 1
        more = f" (and {others} more)" if others else ""
        task = f"{one.task!r}{more}, file {one.name}, function {one.function or 'none'}"
        return RetriedForever(f"{task}, would be {what}: it {why}; {advice}")


def _here() -> str:
    """The working directory; "" where it is gone."""
    try:
        return os.getcwd()
    except OSError:
        return ""
